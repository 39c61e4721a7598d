//! The rules of order on one connection, applied to each event as it arrives.
//!
//! Invariant: READY is first and comes once, RESUMED comes once, nothing is said of a conversation
//! that was not shown or was taken away, and entries obey the cursors. Pure. A broken rule is
//! returned, and the event is classified all the same, so that counting can go on.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cursors::{Cursors, Gap};
use crate::Outcome;
use crate::json::{Look as _, require_id};

/// What an event is, as far as the rules care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The state to start from.
    Ready,
    /// All replays and GAPs have been sent.
    Resumed,
    /// MESSAGE_*, MEMBER_* or CHANNEL_*.
    Entry {
        /// Where.
        conversation: u64,
        /// Which.
        id: u64,
    },
    /// A range that must be paged.
    Gap {
        /// Where.
        conversation: u64,
    },
    /// A conversation is shown.
    ConversationAdd {
        /// Which.
        conversation: u64,
        /// Whether it was not known before.
        new: bool,
    },
    /// A conversation is taken away.
    ConversationRemove {
        /// Which.
        conversation: u64,
    },
    /// A user changed.
    UserUpdate,
    /// Somebody types.
    Typing,
    /// A read marker moved.
    Read,
    /// A SEND is durable.
    Ack,
    /// A frame was refused.
    Nack,
    /// A name that this version does not know, which clients ignore.
    Other,
}

/// The names of all entries.
pub const ENTRIES: [&str; 7] = [
    "MESSAGE_CREATE",
    "MESSAGE_UPDATE",
    "MESSAGE_DELETE",
    "MEMBER_ADD",
    "MEMBER_REMOVE",
    "CHANNEL_UPDATE",
    "CHANNEL_DELETE",
];

/// The state of one connection.
#[derive(Debug, Default)]
pub struct Rules {
    ready: bool,
    resumed: bool,
    gone: BTreeSet<u64>,
}

impl Rules {
    /// Whether RESUMED has come: what follows is live.
    pub fn resumed(&self) -> bool {
        self.resumed
    }

    /// Takes an event in. Fails where it has not the documented form.
    pub fn hear(
        &mut self,
        cursors: &mut Cursors,
        name: &str,
        data: &Value,
    ) -> Outcome<(Kind, Option<String>)> {
        let first = !self.ready;
        let kind = match name {
            "READY" => return self.hear_ready(cursors, data),
            "RESUMED" => {
                let again = std::mem::replace(&mut self.resumed, true);
                let wrong = again.then(|| "RESUMED twice".to_owned());
                return Ok((Kind::Resumed, wrong));
            }
            "GAP" => return Self::hear_gap(cursors, data),
            "CONVERSATION_ADD" => return self.hear_add(cursors, data),
            "CONVERSATION_REMOVE" => {
                let conversation = data.id("conversation_id")?;
                cursors.removed(conversation);
                let again = !self.gone.insert(conversation);
                let wrong = again.then(|| format!("CONVERSATION_REMOVE twice of {conversation}"));
                return Ok((Kind::ConversationRemove { conversation }, wrong));
            }
            _ if ENTRIES.contains(&name) => {
                let (conversation, id) = (data.id("conversation_id")?, data.id("id")?);
                let wrong = cursors.entry(conversation, id).err();
                let wrong = wrong.map(|wrong| format!("{name} {id} in {conversation}: {wrong}"));
                return Ok((Kind::Entry { conversation, id }, wrong));
            }
            "USER_UPDATE" => Kind::UserUpdate,
            "TYPING" => Kind::Typing,
            "READ" => Kind::Read,
            "ACK" => Kind::Ack,
            "NACK" => Kind::Nack,
            _ => Kind::Other,
        };
        let mut wrong = first.then(|| format!("{name} before READY"));
        if matches!(kind, Kind::Typing | Kind::Read) {
            let conversation = data.id("conversation_id")?;
            if self.gone.contains(&conversation) {
                wrong = Some(format!("{name} of {conversation} after its CONVERSATION_REMOVE"));
            }
        }
        Ok((kind, wrong))
    }

    fn hear_ready(
        &mut self,
        cursors: &mut Cursors,
        data: &Value,
    ) -> Outcome<(Kind, Option<String>)> {
        let mut wrong = None;
        if std::mem::replace(&mut self.ready, true) {
            wrong = Some("READY twice".to_owned());
        }
        let mut seen = BTreeSet::new();
        for conversation in data.list("conversations")? {
            let id = conversation.id("id")?;
            cursors.shown(id, conversation.id_or_null("last_id")?);
            if !seen.insert(id) {
                wrong = Some(format!("READY lists {id} twice"));
            }
        }
        Ok((Kind::Ready, wrong))
    }

    fn hear_gap(cursors: &mut Cursors, data: &Value) -> Outcome<(Kind, Option<String>)> {
        let conversation = data.id("conversation_id")?;
        let gap = Gap { from: data.id("from")?, to: data.id("to")? };
        let wrong = cursors.gap(conversation, gap).err();
        let wrong = wrong.map(|wrong| format!("GAP {gap:?} in {conversation}: {wrong}"));
        Ok((Kind::Gap { conversation }, wrong))
    }

    fn hear_add(&mut self, cursors: &mut Cursors, data: &Value) -> Outcome<(Kind, Option<String>)> {
        let conversation = data.id("id")?;
        let new = cursors.shown(conversation, data.id_or_null("last_id")?);
        self.gone.remove(&conversation);
        let wrong = (!self.ready).then(|| "CONVERSATION_ADD before READY".to_owned());
        Ok((Kind::ConversationAdd { conversation, new }, wrong))
    }
}

/// The cursors a client gave, read back from its IDENTIFY; for tests that build their own.
pub fn given(cursors: &Value) -> Outcome<Vec<(u64, u64)>> {
    let map = cursors.as_object();
    let pairs = map.into_iter().flatten();
    pairs.map(|(id, cursor)| Ok((require_id(id)?, crate::json::read_id(cursor)?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hear(events: &[(&str, Value)]) -> Vec<Option<String>> {
        let (mut rules, mut cursors) = (Rules::default(), Cursors::default());
        let hear = |(name, data): &(&str, Value)| rules.hear(&mut cursors, name, data).unwrap().1;
        events.iter().map(hear).collect()
    }

    fn ready() -> (&'static str, Value) {
        ("READY", json!({ "conversations": [{ "id": "7", "last_id": "4" }] }))
    }

    fn message(id: u64) -> (&'static str, Value) {
        ("MESSAGE_CREATE", json!({ "id": id.to_string(), "conversation_id": "7" }))
    }

    #[test]
    fn a_plain_connection_breaks_nothing() {
        let events = [ready(), ("RESUMED", json!({})), message(5), message(9)];
        assert_eq!(hear(&events), [None, None, None, None]);
    }

    #[test]
    fn ready_is_first_and_once() {
        let wrong = hear(&[("ACK", json!({})), ready(), ready()]);
        assert!(wrong[0].is_some() && wrong[1].is_none() && wrong[2].is_some());
    }

    #[test]
    fn what_ready_showed_does_not_come_again() {
        assert!(hear(&[ready(), message(4)])[1].is_some());
    }

    #[test]
    fn nothing_comes_after_a_removal_until_the_conversation_is_shown_again() {
        let gone = ("CONVERSATION_REMOVE", json!({ "conversation_id": "7" }));
        let add = ("CONVERSATION_ADD", json!({ "id": "7", "last_id": "20" }));
        let typing = ("TYPING", json!({ "conversation_id": "7", "user_id": "1" }));
        let wrong = hear(&[ready(), gone, message(9), typing, add, message(21)]);
        let broken: Vec<bool> = wrong.iter().map(Option::is_some).collect();
        assert_eq!(broken, [false, false, true, true, false, false]);
    }
}
