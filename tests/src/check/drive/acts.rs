//! What a person does, over and over, as chance wants it.
//!
//! Invariant: one thing after the other, each answer waited for, so that whoever does something knows
//! what came before; what a socket sends is handed over and not waited for. Texts are never said twice.

mod channels;

use std::sync::Arc;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::book::Message;
use super::client::{Phase, Wish};
use super::town::{Person, Place, Town};
use crate::Outcome;
use crate::check::faults::Orders;
use crate::check::record::{Op, text};
use crate::client::nonce;
use crate::json::Look as _;

/// Channels of a run.
const CHANNELS: usize = 8;
/// Channels that there are at least before one is deleted.
const KEPT: usize = 4;
/// Answers that nobody got, after which a call that may be repeated is.
const TRIES: usize = 2;

/// What there is to do, and how often against the others.
const WEIGHTS: [(Act, u32); 15] = [
    (Act::Say, 60),
    (Act::Post, 6),
    (Act::Edit, 7),
    (Act::Delete, 4),
    (Act::Create, 3),
    (Act::Add, 9),
    (Act::Remove, 5),
    (Act::Leave, 3),
    (Act::Rename, 3),
    (Act::End, 1),
    (Act::Dm, 4),
    (Act::Read, 8),
    (Act::Profile, 3),
    (Act::Entries, 3),
    (Act::Messages, 3),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Say,
    Post,
    Edit,
    Delete,
    Create,
    Add,
    Remove,
    Leave,
    Rename,
    End,
    Dm,
    Read,
    Profile,
    Entries,
    Messages,
}

/// Of what a person does, what one task does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Voice {
    /// Everything, one after the other.
    Acts,
    /// It talks beside that.
    Talks,
}

/// One person's doing.
pub struct Actor {
    /// Where.
    pub town: Arc<Town>,
    /// Who.
    pub person: Arc<Person>,
    /// Its own chance.
    pub random: StdRng,
    /// Their sockets.
    pub sockets: Vec<mpsc::Sender<Wish>>,
    /// What all are to do.
    pub phase: watch::Receiver<Phase>,
    /// What faults say.
    pub orders: watch::Receiver<Orders>,
    /// Acts a second.
    pub rate: f64,
    /// Which part of it.
    pub voice: Voice,
    /// Whether nothing but messages is sent.
    pub only_messages: bool,
    /// What it has written so far.
    pub count: u64,
}

impl Actor {
    /// Does one thing after the other while the phase is to live.
    pub async fn act(mut self) -> Outcome {
        while matches!(*self.phase.borrow(), Phase::Running) {
            let burst = self.orders.borrow().burst.max(1);
            let spread = self.random.random_range(0.3..1.7);
            let pause = Duration::from_secs_f64(spread / (self.rate * f64::from(burst)));
            sleep(pause).await;
            let act = if self.only_messages || burst > 1 { Act::Say } else { self.choose() };
            self.one(act).await?;
        }
        Ok(())
    }

    fn choose(&mut self) -> Act {
        let all: u32 = WEIGHTS.iter().map(|&(_, weight)| weight).sum();
        let mut left = self.random.random_range(0..all);
        for (act, weight) in WEIGHTS {
            if left < weight {
                return act;
            }
            left -= weight;
        }
        Act::Say
    }

    async fn one(&mut self, act: Act) -> Outcome {
        match act {
            Act::Say | Act::Read => self.on_a_socket(act),
            Act::Post => self.post().await?,
            Act::Edit | Act::Delete => self.change_a_message(act).await?,
            Act::Create => self.create().await?,
            Act::Add => self.add().await?,
            Act::Remove | Act::Leave => self.remove(act).await?,
            Act::Rename | Act::End => self.change_a_channel(act).await?,
            Act::Dm => self.dm().await?,
            Act::Profile => {
                let name = self.new_text("name");
                let op = Op::Profile { display_name: name.clone() };
                let body = json!({ "display_name": name });
                self.call(op, (Method::PATCH, "/users/@me", Some(body))).await?;
            }
            Act::Entries | Act::Messages => self.page(act).await?,
        }
        Ok(())
    }

    /// Never the same twice in a run.
    fn new_text(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what} {} of {}", self.count, self.person.username)
    }

    /// Mostly a place of one's own; now and then one where one is not.
    fn mine(&mut self) -> Option<Place> {
        let me = self.person.id;
        let strange = self.random.random_ratio(1, 40);
        self.town.place(&mut self.random, |place| strange || place.people.contains(&me))
    }

    /// A channel that one has made.
    fn own(&mut self) -> Option<Place> {
        let me = Some(self.person.id);
        self.town.place(&mut self.random, |place| place.owner == me)
    }

    async fn call(
        &mut self,
        op: Op,
        request: (Method, &str, Option<serde_json::Value>),
    ) -> Outcome<Option<(u16, serde_json::Value)>> {
        let edge = self.random.random_range(0..self.town.edges);
        self.town.call(&self.person, edge, op, request).await
    }

    fn on_a_socket(&mut self, act: Act) {
        let Some(place) = self.mine() else { return };
        let wish = if act == Act::Say {
            let content = match self.voice {
                Voice::Acts => self.new_text("message"),
                Voice::Talks => self.new_text("line"),
            };
            Wish::Say(Message { conversation: place.id, content, nonce: nonce() })
        } else {
            let ids = place.messages.iter().map(|&(id, _)| id);
            let ids: Vec<u64> = ids.collect();
            if ids.is_empty() {
                return;
            }
            let id = ids[self.random.random_range(0..ids.len())];
            Wish::Read { conversation: place.id, id }
        };
        let socket = self.random.random_range(0..self.sockets.len());
        // A full queue: that socket has been away for long, and has enough to say.
        let _ = self.sockets[socket].try_send(wish);
    }

    async fn post(&mut self) -> Outcome {
        let Some(place) = self.mine() else { return Ok(()) };
        let (content, nonce) = (self.new_text("post"), nonce());
        let path = format!("/conversations/{}/messages", place.id);
        for _ in 0..TRIES {
            let op =
                Op::Send { conversation: place.id, nonce: nonce.clone(), content: text(&content) };
            let body = json!({ "content": content, "nonce": nonce });
            match self.call(op, (Method::POST, &path, Some(body))).await? {
                Some((201, said)) => {
                    self.town.said(place.id, said.id("id")?, self.person.id);
                    return Ok(());
                }
                Some((503 | 504 | 429, _)) | None => {}
                Some(_) => return Ok(()),
            }
        }
        Ok(())
    }

    async fn change_a_message(&mut self, act: Act) -> Outcome {
        let Some(place) = self.mine() else { return Ok(()) };
        let me = self.person.id;
        let owner = place.owner == Some(me) && act == Act::Delete;
        let may = |&&(_, author): &&(u64, u64)| author == me || owner;
        let own: Vec<u64> = place.messages.iter().filter(may).map(|&(id, _)| id).collect();
        if own.is_empty() {
            return Ok(());
        }
        let message = own[self.random.random_range(0..own.len())];
        let path = format!("/conversations/{}/messages/{message}", place.id);
        let conversation = place.id;
        if act == Act::Edit {
            let content = self.new_text("edit");
            let op = Op::Edit { conversation, message, content: text(&content) };
            let body = json!({ "content": content });
            self.call(op, (Method::PATCH, &path, Some(body))).await?;
        } else {
            let op = Op::Delete { conversation, message };
            self.call(op, (Method::DELETE, &path, None)).await?;
        }
        Ok(())
    }

    async fn page(&mut self, act: Act) -> Outcome {
        let Some(place) = self.mine() else { return Ok(()) };
        let (kind, query) = if act == Act::Entries {
            let ids: Vec<u64> = place.messages.iter().map(|&(id, _)| id).collect();
            let after =
                if ids.is_empty() { 0 } else { ids[self.random.random_range(0..ids.len())] };
            ("entries", format!("after={after}&limit=100"))
        } else {
            ("messages", "limit=100".to_owned())
        };
        let path = format!("/conversations/{}/{kind}?{query}", place.id);
        let op = Op::Page { conversation: place.id, query: format!("{kind}?{query}") };
        self.call(op, (Method::GET, &path, None)).await?;
        Ok(())
    }
}
