//! What people do with channels and DMs.

use std::sync::Arc;

use rand::RngExt as _;
use reqwest::Method;
use serde_json::json;

use super::{Act, Actor, CHANNELS, KEPT, TRIES};
use crate::Outcome;
use crate::check::drive::town::{Person, Place};
use crate::check::record::{Op, text};
use crate::client::nonce;
use crate::json::Look as _;

impl Actor {
    pub(super) async fn create(&mut self) -> Outcome {
        let channels = self.town.places().iter().filter(|place| place.owner.is_some()).count();
        if channels >= CHANNELS {
            return Ok(());
        }
        let (name, nonce) = (self.new_text("channel"), nonce());
        for _ in 0..TRIES {
            let op = Op::CreateChannel { name: text(&name) };
            let body = json!({ "name": name, "nonce": nonce });
            let made = self.call(op, (Method::POST, "/channels", Some(body))).await?;
            if let Some((201, made)) = made {
                let me = self.person.id;
                let mut place = Place { id: made.id("id")?, owner: Some(me), ..Place::default() };
                place.people.insert(me);
                self.town.places().push(place);
                return Ok(());
            }
        }
        Ok(())
    }

    pub(super) async fn add(&mut self) -> Outcome {
        let Some(place) = self.own() else { return Ok(()) };
        let others: Vec<Arc<Person>> = self
            .town
            .people
            .iter()
            .filter(|person| !place.people.contains(&person.id))
            .cloned()
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let other = others[self.random.random_range(0..others.len())].clone();
        let op = Op::AddMember { conversation: place.id, user: other.id };
        let path = format!("/channels/{}/members", place.id);
        let body = json!({ "username": other.username });
        if let Some((200, _)) = self.call(op, (Method::POST, &path, Some(body))).await? {
            self.town.believe(place.id, |place| {
                place.people.insert(other.id);
            });
        }
        Ok(())
    }

    pub(super) async fn remove(&mut self, act: Act) -> Outcome {
        let me = self.person.id;
        let place = if act == Act::Leave {
            let wanted = |place: &Place| {
                place.owner.is_some_and(|owner| owner != me) && place.people.contains(&me)
            };
            self.town.place(&mut self.random, wanted)
        } else {
            self.own()
        };
        let Some(place) = place else { return Ok(()) };
        let user = if act == Act::Leave {
            me
        } else {
            let others = place.people.iter().copied().filter(|&other| other != me);
            let others: Vec<u64> = others.collect();
            if others.is_empty() {
                return Ok(());
            }
            others[self.random.random_range(0..others.len())]
        };
        let op = Op::RemoveMember { conversation: place.id, user };
        let path = format!("/channels/{}/members/{user}", place.id);
        if let Some((204, _)) = self.call(op, (Method::DELETE, &path, None)).await? {
            self.town.believe(place.id, |place| {
                place.people.remove(&user);
            });
        }
        Ok(())
    }

    pub(super) async fn change_a_channel(&mut self, act: Act) -> Outcome {
        let Some(place) = self.own() else { return Ok(()) };
        let conversation = place.id;
        let path = format!("/channels/{conversation}");
        if act == Act::Rename {
            let name = self.new_text("renamed");
            let op = Op::Rename { conversation, name: text(&name) };
            let body = json!({ "name": name });
            self.call(op, (Method::PATCH, &path, Some(body))).await?;
            return Ok(());
        }
        let channels = self.town.places().iter().filter(|place| place.owner.is_some()).count();
        if channels > KEPT {
            let op = Op::DeleteChannel { conversation };
            if let Some((204, _)) = self.call(op, (Method::DELETE, &path, None)).await? {
                self.town.places().retain(|place| place.id != conversation);
            }
        }
        Ok(())
    }

    pub(super) async fn dm(&mut self) -> Outcome {
        let others = self.town.people.iter().filter(|person| person.id != self.person.id);
        let others: Vec<Arc<Person>> = others.cloned().collect();
        if others.is_empty() {
            return Ok(());
        }
        let other = others[self.random.random_range(0..others.len())].clone();
        let op = Op::OpenDm { user: other.id };
        let body = json!({ "username": other.username });
        let opened = self.call(op, (Method::POST, "/dms", Some(body))).await?;
        if let Some((200, dm)) = opened {
            let id = dm.id("id")?;
            let mut places = self.town.places();
            if !places.iter().any(|place| place.id == id) {
                let people = [self.person.id, other.id].into();
                places.push(Place { id, people, ..Place::default() });
            }
        }
        Ok(())
    }
}
