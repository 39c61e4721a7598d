//! Sending, editing, deleting.

use std::time::Instant;

use reqwest::Method;
use serde_json::json;
use tokio::sync::oneshot;

use super::{Actor, Reply, id_of, one_of};
use crate::client::nonce;
use crate::outage::kind::Kind;
use crate::outage::settled::{Fate, Settled};
use crate::outage::truth::Message;
use crate::replay::pending::Order;

/// A message over HTTP that has no answer yet.
pub(super) struct Unsent {
    room: u64,
    content: String,
    nonce: String,
    first: Instant,
}

impl Actor {
    /// Orders a SEND; its socket sends it until it is acknowledged, and this does not wait for it.
    pub(super) async fn send(&mut self) {
        let (room, content, nonce) = (self.room(), self.text("message"), nonce());
        let (done, told) = oneshot::channel();
        self.scene.truth.sending(&nonce, room);
        let order =
            Order { conversation: room, content: content.clone(), nonce: nonce.clone(), done };
        if self.person.orders.send(order).await.is_err() {
            return self.wrong("the socket takes no orders");
        }
        let (scene, author) = (self.scene.clone(), self.person.id);
        tokio::spawn(async move {
            // Whatever is not told stays unsettled, which the comparison knows of.
            if let Ok(Ok(sent)) = told.await {
                let message = message(author, room, content, sent.first);
                scene.truth.said(&nonce, sent.id, message);
            }
        });
    }

    pub(super) async fn http_send(&mut self) {
        let unsent = self.unsent.take().unwrap_or_else(|| {
            let unsent = Unsent {
                room: self.room(),
                content: self.text("http"),
                nonce: nonce(),
                first: Instant::now(),
            };
            self.scene.truth.sending(&unsent.nonce, unsent.room);
            unsent
        });
        let path = format!("/conversations/{}/messages", unsent.room);
        let body = json!({ "content": unsent.content, "nonce": unsent.nonce });
        let asked = (Method::POST, path.as_str());
        let api = self.person.api.clone();
        let Reply::Done(answer) = self.ask(Kind::HttpSend, &api, asked, Some(&body), None).await
        else {
            self.unsent = Some(unsent);
            return;
        };
        let Some(id) = id_of(&answer) else { return self.wrong("a message without id") };
        let message = message(self.person.id, unsent.room, unsent.content, unsent.first);
        self.scene.truth.said(&unsent.nonce, id, message);
    }

    pub(super) async fn edit(&mut self) {
        let recent = self.scene.truth.recent_of(self.person.id);
        let Some(&(id, conversation)) = one_of(&recent) else { return };
        let content = self.text("edited");
        self.scene.truth.message(id, |message| message.content.begin(content.clone()));
        let path = format!("/conversations/{conversation}/messages/{id}");
        let body = json!({ "content": content });
        let asked = (Method::PATCH, path.as_str());
        let reply = self.ask(Kind::Edit, &self.person.api, asked, Some(&body), None).await;
        let fate = reply.fate();
        self.scene.truth.message(id, |message| {
            message.content.settle(&content, fate);
            message.edits += u64::from(fate == Fate::Acked);
            message.perhaps_edits += u64::from(fate == Fate::Unknown);
        });
    }

    pub(super) async fn delete(&mut self) {
        let recent = self.scene.truth.recent_of(self.person.id);
        let Some(&(id, conversation)) = one_of(&recent) else { return };
        self.scene.truth.message(id, |message| message.deleted.begin(true));
        let path = format!("/conversations/{conversation}/messages/{id}");
        let asked = (Method::DELETE, path.as_str());
        let reply = self.ask(Kind::Delete, &self.person.api, asked, None, None).await;
        let fate = reply.fate();
        self.scene.truth.message(id, |message| message.deleted.settle(&true, fate));
    }
}

fn message(author: u64, conversation: u64, content: String, first: Instant) -> Message {
    Message {
        author,
        conversation,
        said: content.clone(),
        content: Settled::new(content),
        deleted: Settled::new(false),
        edits: 0,
        perhaps_edits: 0,
        first,
    }
}
