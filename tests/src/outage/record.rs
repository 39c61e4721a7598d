//! What one client received, and what the log has, in a form in which both can be compared.
//!
//! Invariant: everything received is noted, also what came twice; nothing is compared here. What a
//! message said counts only while it is not deleted: replays show it empty then.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

use serde_json::Value;

use crate::json::Look as _;
use crate::replay::compare::Item;
use crate::{Failure, Outcome};

/// An entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its id.
    pub id: u64,
    /// What kind.
    pub name: String,
    /// The message it is about; its own id if it is one.
    pub about: Option<u64>,
    full: u64,
    bare: u64,
}

impl Entry {
    /// Reads an event, or what `/entries` gives.
    pub fn read(name: &str, data: &Value) -> Outcome<Self> {
        let id = data.id("id")?;
        let about = match name {
            "MESSAGE_CREATE" => Some(id),
            "MESSAGE_UPDATE" | "MESSAGE_DELETE" => Some(data.id("message_id")?),
            _ => None,
        };
        let mut hasher = DefaultHasher::new();
        let parts = ["author_id", "user_id", "message_id", "name"].map(|key| data[key].to_string());
        (name, parts).hash(&mut hasher);
        let bare = hasher.finish();
        data["content"].to_string().hash(&mut hasher);
        Ok(Self { id, name: name.to_owned(), about, full: hasher.finish(), bare })
    }

    /// As it is compared, where these messages are deleted.
    pub fn item(&self, deleted: &BTreeSet<u64>) -> Item {
        let emptied = self.about.is_some_and(|about| deleted.contains(&about));
        Item { id: self.id, digest: if emptied { self.bare } else { self.full } }
    }
}

/// A stretch of a conversation in which every entry must come.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Entries start after this one.
    pub from: u64,
    /// Whether the conversation was taken away at the end.
    pub closed: bool,
    /// As they came; those of a GAP stand where they were paged.
    pub entries: Vec<Entry>,
}

/// The conversations of one client.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// By conversation; only the last of each may be open.
    pub segments: BTreeMap<u64, Vec<Segment>>,
    /// Messages that came live: which, and when.
    pub live: Vec<(u64, Instant)>,
}

impl Record {
    /// A conversation is shown. One that is known goes on where it was.
    pub fn shown(&mut self, conversation: u64, last_id: Option<u64>) {
        let segments = self.segments.entry(conversation).or_default();
        if segments.last().is_none_or(|segment| segment.closed) {
            let from = last_id.unwrap_or(0);
            segments.push(Segment { from, closed: false, entries: Vec::new() });
        }
    }

    /// A conversation is taken away.
    pub fn removed(&mut self, conversation: u64) {
        if let Some(segment) = self.segments.get_mut(&conversation).and_then(|all| all.last_mut()) {
            segment.closed = true;
        }
    }

    /// Conversations that are there.
    pub fn open(&self) -> impl Iterator<Item = u64> {
        let open = self.segments.iter().filter(|(_, all)| all.last().is_some_and(|s| !s.closed));
        open.map(|(&conversation, _)| conversation)
    }

    /// Notes an entry.
    pub fn entry(&mut self, conversation: u64, entry: Entry, live: Option<Instant>) -> Outcome {
        let segment = self.segments.get_mut(&conversation).and_then(|all| all.last_mut());
        let Some(segment) = segment.filter(|segment| !segment.closed) else {
            return Err(Failure::new(format!(
                "{} {} of {conversation}, which is not shown",
                entry.name, entry.id
            )));
        };
        if let Some(at) = live.filter(|_| entry.name == "MESSAGE_CREATE") {
            self.live.push((entry.id, at));
        }
        segment.entries.push(entry);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_deleted_message_said_does_not_count() {
        let read = |content: &str| {
            let data = json!({ "id": "5", "author_id": "1", "content": content });
            Entry::read("MESSAGE_CREATE", &data).unwrap()
        };
        let (none, deleted) = (BTreeSet::new(), BTreeSet::from([5]));
        assert_ne!(read("a").item(&none), read("").item(&none));
        assert_eq!(read("a").item(&deleted), read("").item(&deleted));
    }

    #[test]
    fn a_conversation_that_returns_starts_anew() {
        let mut record = Record::default();
        record.shown(1, Some(7));
        record.shown(1, Some(9));
        record.removed(1);
        record.shown(1, Some(20));
        let from: Vec<_> = record.segments[&1].iter().map(|s| (s.from, s.closed)).collect();
        assert_eq!(from, [(7, true), (20, false)]);
    }
}
