//! Making channels and changing them.

use reqwest::Method;
use serde_json::json;

use super::{Actor, Reply, id_of, one_of};
use crate::client::nonce;
use crate::outage::kind::Kind;
use crate::outage::settled::Settled;
use crate::outage::truth::Channel;

/// Channels that one person makes, at most.
const MADE: usize = 4;

/// A channel that has no answer yet.
pub(super) struct Unmade {
    name: String,
    nonce: String,
}

impl Actor {
    pub(super) async fn create_channel(&mut self) {
        let user = self.person.id;
        let unmade = match self.unmade.take() {
            Some(unmade) => unmade,
            None if self.own().len() >= MADE => return self.show_channel().await,
            None => {
                let unmade = Unmade { name: self.text("channel"), nonce: nonce() };
                self.scene.truth.making(&unmade.nonce, user);
                unmade
            }
        };
        let body = json!({ "name": unmade.name, "nonce": unmade.nonce });
        let asked = (Method::POST, "/channels");
        let reply = self.ask(Kind::ChannelCreate, &self.person.api, asked, Some(&body), None).await;
        let Reply::Done(answer) = reply else {
            self.unmade = Some(unmade);
            return;
        };
        let Some(id) = id_of(&answer) else { return self.wrong("a channel without id") };
        let members = [(user, Settled::new(true))].into();
        let channel = Channel { owner: user, name: Settled::new(unmade.name), members };
        self.scene.truth.made(&unmade.nonce, id, channel);
    }

    pub(super) async fn show_channel(&mut self) {
        let channel = one_of(&self.own()).copied().unwrap_or_else(|| self.room());
        let path = format!("/channels/{channel}");
        let asked = (Method::GET, path.as_str());
        self.ask(Kind::ChannelGet, &self.person.api, asked, None, None).await;
    }

    /// Adds somebody, or removes somebody, in one of one's own channels.
    pub(super) async fn change_member(&mut self, add: bool) {
        let Some(channel) = one_of(&self.own()).copied() else { return };
        let truth = &self.scene.truth;
        let of =
            |id: u64| truth.channel(channel, |channel| channel.members.get(&id).cloned()).flatten();
        let fits = |id: u64| {
            id != self.person.id
                && of(id).map_or(add, |member| *member.sure() != add || !member.is_settled())
        };
        let others: Vec<_> = self.scene.people.iter().filter(|other| fits(other.id)).collect();
        let Some(&other) = one_of(&others) else { return };
        let unsure = of(other.id).is_some_and(|member| !member.is_settled());
        truth.channel(channel, |channel| {
            let member = channel.members.entry(other.id).or_insert_with(|| Settled::new(false));
            member.begin(add);
        });
        let reply = if add {
            let path = format!("/channels/{channel}/members");
            let body = json!({ "username": other.username });
            let asked = (Method::POST, path.as_str());
            self.ask(Kind::MemberAdd, &self.person.api, asked, Some(&body), None).await
        } else {
            let path = format!("/channels/{channel}/members/{}", other.id);
            let asked = (Method::DELETE, path.as_str());
            // Where an earlier removal had no answer, they may be gone already.
            let fine = unsure.then_some("not_a_member");
            self.ask(Kind::MemberRemove, &self.person.api, asked, None, fine).await
        };
        truth.channel(channel, |channel| {
            if let Some(member) = channel.members.get_mut(&other.id) {
                member.settle(&add, reply.fate());
            }
        });
    }

    pub(super) async fn rename_channel(&mut self) {
        let Some(channel) = one_of(&self.own()).copied() else { return };
        let name = self.text("renamed");
        self.scene.truth.channel(channel, |channel| channel.name.begin(name.clone()));
        let path = format!("/channels/{channel}");
        let body = json!({ "name": name });
        let asked = (Method::PATCH, path.as_str());
        let reply = self.ask(Kind::ChannelRename, &self.person.api, asked, Some(&body), None).await;
        self.scene.truth.channel(channel, |channel| channel.name.settle(&name, reply.fate()));
    }

    fn own(&self) -> Vec<u64> {
        let all = self.scene.truth.channels();
        let own = all.iter().filter(|(_, channel)| channel.owner == self.person.id);
        own.map(|(&id, _)| id).collect()
    }
}
