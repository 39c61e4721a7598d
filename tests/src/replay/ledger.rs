//! What one observer received, in the order in which it did.
//!
//! Invariant: everything received is noted, also what came twice or out of order; nothing is
//! compared here. A note keeps a digest of the text instead of the text.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Instant;

use serde_json::Value;

use super::compare::Item;
use crate::Outcome;
use crate::json::Look as _;

/// One entry received.
#[derive(Clone, Copy, Debug)]
pub struct Note {
    /// The entry and its content.
    pub item: Item,
    /// Whether it is a message.
    pub message: bool,
    /// When it was read from the socket, if it came live.
    pub live: Option<Instant>,
}

/// The entries of one conversation.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// In the order of their arrival; those of a GAP stand where they were paged.
    pub notes: Vec<Note>,
    /// Entries that came as events after a later one.
    pub disordered: u64,
    newest_event: u64,
}

/// The entries of all conversations.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// By conversation.
    pub records: BTreeMap<u64, Record>,
    /// How many there are in all.
    pub count: u64,
}

impl Ledger {
    /// Notes an entry that came as an event.
    pub fn event(
        &mut self,
        conversation: u64,
        name: &str,
        data: &Value,
        live: Option<Instant>,
    ) -> Outcome {
        let note = note(name, data, live)?;
        self.count += 1;
        let record = self.records.entry(conversation).or_default();
        if note.item.id < record.newest_event {
            // What came twice is counted as that when all is compared.
            let twice = record.notes.iter().any(|other| other.item.id == note.item.id);
            record.disordered += u64::from(!twice);
        } else {
            record.newest_event = note.item.id;
        }
        record.notes.push(note);
        Ok(())
    }

    /// Notes an entry of a page, as `/entries` gives it.
    pub fn page(&mut self, conversation: u64, entry: &Value) -> Outcome {
        let note = note(entry.text("t")?, entry.at("d")?, None)?;
        self.count += 1;
        self.records.entry(conversation).or_default().notes.push(note);
        Ok(())
    }
}

fn note(name: &str, data: &Value, live: Option<Instant>) -> Outcome<Note> {
    Ok(Note { item: item(name, data)?, message: name == "MESSAGE_CREATE", live })
}

/// An entry as it is compared: its id and a digest of what it says.
pub fn item(name: &str, data: &Value) -> Outcome<Item> {
    let digest = match name {
        "MESSAGE_CREATE" => message_digest(data.id("author_id")?, data.text("content")?),
        _ => digest(&[name, &data["user_id"].to_string(), &data["author_id"].to_string()]),
    };
    Ok(Item { id: data.id("id")?, digest })
}

/// The digest of a message.
pub fn message_digest(author: u64, content: &str) -> u64 {
    digest(&["MESSAGE_CREATE", &author.to_string(), content])
}

fn digest(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn message(id: u64) -> Value {
        json!({ "id": id.to_string(), "author_id": "1", "content": "hi" })
    }

    #[test]
    fn counts_what_came_late_but_not_what_came_twice() {
        let mut ledger = Ledger::default();
        for id in [1, 3, 2, 3, 4] {
            ledger.event(7, "MESSAGE_CREATE", &message(id), None).unwrap();
        }
        assert_eq!((ledger.records[&7].disordered, ledger.count), (1, 5));
    }

    #[test]
    fn a_page_may_be_older_than_events() {
        let mut ledger = Ledger::default();
        ledger.event(7, "MESSAGE_CREATE", &message(9), None).unwrap();
        let entry = json!({ "t": "MESSAGE_CREATE", "d": message(4) });
        ledger.page(7, &entry).unwrap();
        assert_eq!(ledger.records[&7].disordered, 0);
    }

    #[test]
    fn the_digest_tells_authors_and_contents_apart() {
        assert_ne!(message_digest(1, "a"), message_digest(2, "a"));
        assert_ne!(message_digest(1, "a"), message_digest(1, "b"));
        let item = item("MESSAGE_CREATE", &message(5)).unwrap();
        assert_eq!(item, Item { id: 5, digest: message_digest(1, "hi") });
    }
}
