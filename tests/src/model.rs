//! What a client believes, kept up to date by events alone.
//!
//! Invariant: the state a client held, plus the events it was sent, equals what a fresh client
//! fetches. The reducer here is what a careful client would write from the protocol's page; it never
//! fetches. It assumes small conversations, whose whole history it holds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::json::Look as _;
use crate::{Outcome, ensure};

/// Unread counts go no further.
const UNREAD_MAX: usize = 100;

/// The state of one person.
#[derive(Clone, Debug, Default)]
pub struct Model {
    me: u64,
    user: Value,
    users: BTreeMap<u64, Value>,
    conversations: BTreeMap<u64, Conversation>,
}

#[derive(Clone, Debug, Default)]
struct Conversation {
    /// `kind`, `name`, `owner_id`, `user_id`: as shown.
    shown: Map<String, Value>,
    last_id: u64,
    read_id: u64,
    unread: usize,
    /// None where nobody has fetched them yet; always none in a DM.
    members: Option<BTreeSet<u64>>,
    messages: BTreeMap<u64, Value>,
}

impl Model {
    /// The state that READY shows.
    pub fn from_ready(ready: &Value) -> Outcome<Self> {
        let mut model = Self { me: ready.id("user/id")?, ..Self::default() };
        model.learn_user(ready.at("user")?)?;
        for user in ready.list("users")? {
            model.learn_user(user)?;
        }
        for conversation in ready.list("conversations")? {
            model.show(conversation)?;
        }
        Ok(model)
    }

    /// The conversations it knows.
    pub fn conversations(&self) -> Vec<u64> {
        self.conversations.keys().copied().collect()
    }

    /// Channels whose members nobody has fetched yet.
    pub fn without_members(&self) -> Vec<u64> {
        let channels = self.conversations.iter().filter(|(_, conversation)| {
            conversation.members.is_none()
                && conversation.shown.get("kind") == Some(&json!("channel"))
        });
        channels.map(|(&id, _)| id).collect()
    }

    /// Takes in a channel as fetched.
    pub fn learn_channel(&mut self, channel: &Value) -> Outcome {
        let id = channel.id("id")?;
        let members = channel.ids("member_ids")?.into_iter().collect();
        if let Some(known) = self.conversations.get_mut(&id) {
            known.members = Some(members);
            known.shown.insert("name".into(), channel.at("name")?.clone());
        }
        Ok(())
    }

    /// Takes in messages as fetched.
    pub fn learn_messages(&mut self, conversation: u64, messages: &[Value]) -> Outcome {
        if let Some(known) = self.conversations.get_mut(&conversation) {
            for message in messages {
                known.messages.insert(message.id("id")?, without_nonce(message));
            }
        }
        Ok(())
    }

    /// Takes in a user as fetched or told.
    pub fn learn_user(&mut self, user: &Value) -> Outcome {
        let id = user.id("id")?;
        if id == self.me {
            self.user = user.clone();
        }
        self.users.insert(id, user.clone());
        Ok(())
    }

    /// Takes in an event.
    pub fn apply(&mut self, name: &str, data: &Value) -> Outcome {
        match name {
            "CONVERSATION_ADD" => return self.show(data),
            "CONVERSATION_REMOVE" => {
                self.conversations.remove(&data.id("conversation_id")?);
                return Ok(());
            }
            // Sent to all who share a conversation; only those who are shown are kept.
            "USER_UPDATE" => return self.learn_user(data),
            "READ" => {
                let id = data.id("id")?;
                return self.change(data, |known| known.read_id = known.read_id.max(id));
            }
            _ if crate::client::rules::ENTRIES.contains(&name) => {}
            _ => return Ok(()),
        }
        let id = data.id("id")?;
        self.change(data, |known| known.last_id = id)?;
        match name {
            "MESSAGE_CREATE" => {
                let message = without_nonce(data);
                self.change(data, |known| _ = known.messages.insert(id, message))
            }
            "MESSAGE_UPDATE" => {
                let (message, at) = (data.id("message_id")?, data.at("at")?.clone());
                let content = data.at("content")?.clone();
                self.change(data, |known| {
                    if let Some(message) = known.messages.get_mut(&message) {
                        message["content"] = content;
                        message["edited_at"] = at;
                    }
                })
            }
            "MESSAGE_DELETE" => {
                let message = data.id("message_id")?;
                self.change(data, |known| _ = known.messages.remove(&message))
            }
            "MEMBER_ADD" => {
                let (user, me) = (data.id("user_id")?, self.me);
                self.change(data, |known| {
                    known.members.iter_mut().for_each(|members| _ = members.insert(user));
                    if user == me {
                        known.read_id = id;
                    }
                })
            }
            "MEMBER_REMOVE" => {
                let user = data.id("user_id")?;
                self.change(data, |known| {
                    known.members.iter_mut().for_each(|members| _ = members.remove(&user));
                })
            }
            "CHANNEL_UPDATE" => {
                let name = data.at("name")?.clone();
                self.change(data, |known| _ = known.shown.insert("name".into(), name))
            }
            _ => Ok(()),
        }
    }

    fn change(&mut self, data: &Value, change: impl FnOnce(&mut Conversation)) -> Outcome {
        let (id, me) = (data.id("conversation_id")?, self.me);
        if let Some(known) = self.conversations.get_mut(&id) {
            change(known);
            known.unread = known.count_unread(me);
        }
        Ok(())
    }

    fn show(&mut self, data: &Value) -> Outcome {
        let id = data.id("id")?;
        let known = self.conversations.entry(id).or_default();
        for key in ["kind", "name", "owner_id", "user_id"] {
            if let Some(value) = data.get(key).filter(|value| !value.is_null()) {
                known.shown.insert(key.into(), value.clone());
            }
        }
        known.last_id = known.last_id.max(data.id_or_null("last_id")?.unwrap_or(0));
        known.read_id = known.read_id.max(data.id_or_null("read_id")?.unwrap_or(0));
        let unread = data.number("unread")?;
        ensure!(unread <= UNREAD_MAX as u64, "unread {unread}");
        known.unread = usize::try_from(unread)?;
        for message in data.get("messages").and_then(Value::as_array).into_iter().flatten() {
            known.messages.insert(message.id("id")?, without_nonce(message));
        }
        Ok(())
    }

    /// The first difference to what a fresh client has fetched, if there is one. Users are compared
    /// where both know them: a client fetches unknown authors when it needs them.
    pub fn difference(&self, fresh: &Self) -> Option<String> {
        if self.user != fresh.user {
            return Some(format!("the user: held {}, fetched {}", self.user, fresh.user));
        }
        let ids: BTreeSet<_> =
            self.conversations.keys().chain(fresh.conversations.keys()).collect();
        for id in ids {
            let held = self.conversations.get(id).map(Conversation::view);
            let fetched = fresh.conversations.get(id).map(Conversation::view);
            if held != fetched {
                let text = |view: Option<Value>| view.map_or("nothing".into(), |v| v.to_string());
                return Some(format!("{id}: held {}, fetched {}", text(held), text(fetched)));
            }
        }
        let both = self.users.iter().filter_map(|(id, user)| Some((user, fresh.users.get(id)?)));
        let mut different = both.filter(|(held, fetched)| held != fetched);
        different.next().map(|(held, fetched)| format!("held {held}, fetched {fetched}"))
    }
}

impl Conversation {
    fn count_unread(&self, me: u64) -> usize {
        let me = json!(me.to_string());
        let after = self.messages.range(self.read_id.saturating_add(1)..);
        after.filter(|(_, message)| message["author_id"] != me).count().min(UNREAD_MAX)
    }

    fn view(&self) -> Value {
        json!({
            "shown": self.shown,
            "last_id": self.last_id,
            "read_id": self.read_id,
            "unread": self.unread,
            "members": self.members,
            "messages": self.messages.values().collect::<Vec<_>>(),
        })
    }
}

/// A nonce matters to who sent it and while it is pending; it is no part of the state.
fn without_nonce(message: &Value) -> Value {
    let mut message = message.clone();
    if let Some(fields) = message.as_object_mut() {
        fields.remove("nonce");
    }
    message
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
