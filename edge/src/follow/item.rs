//! An entry on its way to sockets, with its one serialization.
//!
//! Invariant: the frame is encoded at most once per edge, whoever and however many read it.

use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;
use bus_schema::entry::{Body, Entry};
use bus_schema::ids::UserId;

/// A judged, valid entry.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) entry: Entry,
    frame: OnceLock<Utf8Bytes>,
}

impl Item {
    pub(crate) fn new(entry: Entry) -> Arc<Self> {
        Arc::new(Self { entry, frame: OnceLock::new() })
    }

    /// The stream sequence.
    pub(crate) const fn sequence(&self) -> u64 {
        self.entry.id.sequence()
    }

    /// The DISPATCH frame.
    pub(crate) fn frame(&self) -> Utf8Bytes {
        self.frame.get_or_init(|| self.entry.frame_json().into()).clone()
    }
}

/// Where a user is removed for good as far as these entries say: the index of the removal and its
/// revision, unless an addition follows it.
pub(crate) fn removal(items: &[Arc<Item>], user: UserId) -> Option<(usize, u64)> {
    items.iter().enumerate().rev().find_map(|(index, item)| match &item.entry.body {
        Body::MemberAdd(change) if change.user_id == user => Some(None),
        Body::MemberRemove(change) if change.user_id == user => {
            Some(Some((index, change.revision)))
        }
        _ => None,
    })?
}

#[cfg(test)]
mod tests {
    use bus_schema::entry::MemberChange;
    use bus_schema::ids::{ConversationId, EntryId, StreamIndex};
    use bus_schema::timestamp::Timestamp;

    use super::*;

    fn item(revision: u64, body: impl Fn(MemberChange) -> Body, user: u64) -> Arc<Item> {
        let (user_id, author_id) = (UserId(user), UserId(1));
        let conversation_id = ConversationId(7);
        let body = body(MemberChange { conversation_id, user_id, author_id, revision });
        let payload = body.encode();
        let id = EntryId::new(revision, StreamIndex(0));
        Item::new(Entry { id, at: Timestamp::from_millis(0), body, payload })
    }

    #[test]
    fn the_last_word_on_a_user_counts() {
        let (added, removed) = (Body::MemberAdd, Body::MemberRemove);
        let items = [item(1, added, 1), item(2, added, 2), item(3, removed, 2), item(4, added, 3)];
        assert_eq!(removal(&items, UserId(2)), Some((2, 3)));
        assert_eq!(removal(&items, UserId(3)), None);
        assert_eq!(removal(&items, UserId(9)), None);
        let again = [item(3, removed, 2), item(4, added, 2)];
        assert_eq!(removal(&again, UserId(2)), None);
    }
}
