//! Reading history, recent and old, and moving read markers.

use rand::RngExt as _;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Actor, Reply};
use crate::client::paging::Page;
use crate::json::Look as _;
use crate::outage::kind::Kind;

/// Messages or entries of one page.
const PAGE: usize = 50;

impl Actor {
    pub(super) async fn read_recent(&mut self) {
        let path = format!("/conversations/{}/messages?limit={PAGE}", self.room());
        let reply =
            self.ask(Kind::ReadRecent, &self.person.api, (Method::GET, &path), None, None).await;
        self.check_page(&reply, "messages", "id");
    }

    pub(super) async fn read_entries(&mut self) {
        let room = self.room();
        let Some(newest) = self.scene.truth.newest_in(room) else { return };
        // A little before the newest: sequences count for all conversations of a stream.
        let after = newest.saturating_sub(30 * 1024);
        let path = format!("/conversations/{room}/entries?after={after}&limit={PAGE}");
        let reply =
            self.ask(Kind::ReadEntries, &self.person.api, (Method::GET, &path), None, None).await;
        self.check_page(&reply, "entries", "d/id");
    }

    /// A page of the first third of the long channel, which must be exactly what was said there.
    pub(super) async fn read_old(&mut self) {
        let said = &self.scene.old.said;
        let third = said.len() / 3;
        if third <= PAGE {
            return;
        }
        let end = rand::rng().random_range(PAGE..third);
        let (wanted, bound) = (&said[end - PAGE..end], said[end].0);
        let old = self.scene.old.conversation;
        let path = format!("/conversations/{old}/messages?before={bound}&limit={PAGE}");
        let asked = (Method::GET, path.as_str());
        let reply = self.ask(Kind::ReadOld, &self.person.api, asked, None, None).await;
        self.check_page(&reply, "messages", "id");
        let Reply::Done(page) = reply else { return };
        let shown: Option<Vec<_>> = page["messages"].as_array().map(|messages| {
            let one = |m: &Value| {
                (m.id("id").unwrap_or(0), m["content"].as_str().unwrap_or("").to_owned())
            };
            messages.iter().map(one).collect()
        });
        if !shown.is_some_and(|shown| wanted.ends_with(&shown) && !shown.is_empty()) {
            self.wrong(&format!("a page of old messages before {bound} has others"));
        }
    }

    fn check_page(&self, reply: &Reply, list: &str, id: &str) {
        let Reply::Done(page) = reply else { return };
        if let Err(failure) = Page::read(page, list, id, PAGE) {
            self.wrong(&format!("a page: {failure}"));
        }
    }

    pub(super) async fn mark(&mut self) {
        let (room, user) = (self.room(), self.person.id);
        let Some(newest) = self.scene.truth.newest_in(room) else { return };
        let truth = &self.scene.truth;
        truth.marker(user, room, |marker| marker.tried = marker.tried.max(newest));
        let path = format!("/conversations/{room}/read");
        let body = json!({ "id": newest.to_string() });
        let asked = (Method::PUT, path.as_str());
        let reply = self.ask(Kind::Mark, &self.person.api, asked, Some(&body), None).await;
        if let Reply::Done(_) = reply {
            truth.marker(user, room, |marker| marker.acked = marker.acked.max(newest));
        }
    }

    pub(super) async fn conversations(&mut self) {
        let asked = (Method::GET, "/conversations");
        let reply = self.ask(Kind::Conversations, &self.person.api, asked, None, None).await;
        if let Reply::Done(answer) = reply {
            self.check_rooms("/conversations", &answer);
        }
    }

    /// Everyone is in all busy channels, all the time.
    pub(super) fn check_rooms(&self, what: &str, answer: &Value) {
        let listed = answer.list("conversations").map(|all| {
            all.iter().filter_map(|conversation| conversation.id("id").ok()).collect::<Vec<_>>()
        });
        let complete =
            listed.is_ok_and(|listed| self.scene.rooms.iter().all(|room| listed.contains(room)));
        if !complete {
            self.wrong(&format!("{what} leaves out a conversation"));
        }
    }
}
