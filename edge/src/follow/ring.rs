//! The recent entries of one conversation.
//!
//! Invariant: the ring holds every valid entry after `from` up to its end, without a hole; what it
//! evicts moves `from`. Bounded by entries and bytes.

use std::collections::VecDeque;
use std::sync::Arc;

use bus_schema::entry::Body;
use bus_schema::ids::EntryId;
use bus_schema::verdict::Target;

use super::item::Item;

/// Recent entries, ascending.
#[derive(Debug)]
pub(crate) struct Ring {
    from: u64,
    items: VecDeque<Arc<Item>>,
    bytes: usize,
    max_items: usize,
    max_bytes: usize,
}

impl Ring {
    /// An empty ring that will hold everything after `from`.
    pub(crate) const fn new(from: u64, max_items: usize, max_bytes: usize) -> Self {
        Self { from, items: VecDeque::new(), bytes: 0, max_items, max_bytes }
    }

    /// Adds the next entry. A deletion empties its message here too: whoever is replayed it later
    /// sees it as everybody does from then on.
    pub(crate) fn push(&mut self, item: Arc<Item>) {
        if let Body::MessageDelete(gone) = &item.entry.body {
            self.empty(gone.message_id);
        }
        self.bytes += item.entry.payload.len();
        self.items.push_back(item);
        while self.items.len() > self.max_items || self.bytes > self.max_bytes {
            let Some(old) = self.items.pop_front() else { break };
            self.bytes -= old.entry.payload.len();
            self.from = old.sequence();
        }
    }

    fn empty(&mut self, id: EntryId) {
        let found = self.items.binary_search_by_key(&id.sequence(), |item| item.sequence());
        let Some(item) = found.ok().and_then(|index| self.items.get_mut(index)) else { return };
        match item.entry.clone().emptied() {
            Ok(entry) => {
                self.bytes += entry.payload.len();
                self.bytes -= item.entry.payload.len();
                *item = Item::new(entry);
            }
            Err(error) => tracing::error!(%error, %id, "a message cannot be emptied"),
        }
    }

    /// Takes over older entries: all there are after `from`, up to `through`. Nothing changes if they do
    /// not join what it holds, or do not fit beside it.
    pub(crate) fn reach_back(&mut self, from: u64, older: Vec<Arc<Item>>, through: u64) {
        if from >= self.from || through < self.from {
            return;
        }
        let older: Vec<_> = older.into_iter().filter(|item| item.sequence() <= self.from).collect();
        let bytes: usize = older.iter().map(|item| item.entry.payload.len()).sum();
        let fits = self.items.len() + older.len() <= self.max_items
            && self.bytes + bytes <= self.max_bytes;
        if fits {
            self.bytes += bytes;
            self.from = from;
            older.into_iter().rev().for_each(|item| self.items.push_front(item));
        }
    }

    /// The newest `limit` entries, oldest first; `None` if it may not hold them all.
    pub(crate) fn newest(&self, limit: usize) -> Option<Vec<Arc<Item>>> {
        let start = self.items.len().checked_sub(limit).or((self.from == 0).then_some(0))?;
        Some(self.items.iter().skip(start).cloned().collect())
    }

    /// Whether it holds every entry after `sequence`.
    pub(crate) const fn covers(&self, sequence: u64) -> bool {
        sequence >= self.from
    }

    /// Up to `limit` entries after `sequence`, oldest first; `None` if it does not cover that.
    pub(crate) fn after(&self, sequence: u64, limit: usize) -> Option<Vec<Arc<Item>>> {
        self.covers(sequence).then(|| {
            let start = self.items.partition_point(|item| item.sequence() <= sequence);
            self.items.iter().skip(start).take(limit).cloned().collect()
        })
    }

    /// The entry at `sequence`, if it holds it.
    pub(crate) fn get(&self, sequence: u64) -> Option<&Arc<Item>> {
        let index = self.items.binary_search_by_key(&sequence, |item| item.sequence()).ok()?;
        self.items.get(index)
    }

    /// What it knows of a message that an edit or deletion is about.
    pub(crate) fn target(&self, id: EntryId) -> Target {
        if !self.covers(id.sequence().saturating_sub(1)) {
            return Target::Unknown;
        }
        let Some(item) = self.get(id.sequence()).filter(|item| item.entry.id == id) else {
            return Target::Missing;
        };
        let Body::MessageCreate(message) = &item.entry.body else { return Target::Missing };
        let deleted = self.items.iter().any(
            |later| matches!(&later.entry.body, Body::MessageDelete(gone) if gone.message_id == id),
        );
        Target::Found { author: message.author_id, deleted }
    }
}

#[cfg(test)]
mod tests {
    use bus_schema::entry::{MessageCreate, MessageDelete};
    use bus_schema::ids::{ConversationId, StreamIndex, UserId};
    use bus_schema::text::Content;
    use bus_schema::timestamp::Timestamp;
    use proptest::prelude::*;

    use super::*;

    const C: ConversationId = ConversationId(1);

    fn item(sequence: u64, body: Body) -> Arc<Item> {
        let payload = body.encode();
        let id = EntryId::new(sequence, StreamIndex(0));
        Item::new(bus_schema::entry::Entry { id, at: Timestamp::from_millis(0), body, payload })
    }

    fn message(sequence: u64) -> Arc<Item> {
        let content = Content::parse("x").unwrap();
        let author_id = UserId(7);
        item(
            sequence,
            Body::MessageCreate(MessageCreate {
                conversation_id: C,
                author_id,
                content,
                edited_at: None,
                nonce: None,
            }),
        )
    }

    #[test]
    fn knows_targets_only_where_it_covers_them() {
        let id = |n| EntryId::new(n, StreamIndex(0));
        let mut ring = Ring::new(5, 10, 10_000);
        ring.push(message(8));
        let author = UserId(7);
        assert_eq!(ring.target(id(5)), Target::Unknown);
        assert_eq!(ring.target(id(7)), Target::Missing);
        assert_eq!(ring.target(id(8)), Target::Found { author, deleted: false });
        let gone = MessageDelete { conversation_id: C, message_id: id(8), author_id: author };
        ring.push(item(9, Body::MessageDelete(gone)));
        assert_eq!(ring.target(id(8)), Target::Found { author, deleted: true });
        let frame = ring.get(8).unwrap().frame();
        assert!(frame.contains(r#""content":"""#), "{frame}");
    }

    proptest! {
        #[test]
        fn reaching_back_is_the_log_too(
            steps in prop::collection::vec(1u64..4, 1..40),
            (begins, back, ahead) in (0usize..40, 0usize..40, 0usize..5),
            max in 1usize..50,
            limit in 1usize..12,
        ) {
            let log: Vec<u64> =
                steps.iter().scan(0, |at, step| { *at += step; Some(*at) }).collect();
            let before = |index: usize| index.checked_sub(1).map_or(0, |before| log[before]);
            let begins = begins.min(log.len());
            let mut ring = Ring::new(before(begins), max, 100_000);
            log[begins..].iter().for_each(|at| ring.push(message(*at)));
            let back = back.min(begins);
            let end = (begins + ahead).min(log.len());
            let older = log[back..end].iter().map(|at| message(*at)).collect();
            ring.reach_back(before(back), older, before(end));
            let held: Vec<_> = ring.items.iter().map(|item| item.sequence()).collect();
            let wanted = log.iter().copied().filter(|at| *at > ring.from);
            prop_assert_eq!(&held, &wanted.collect::<Vec<_>>());
            prop_assert!(held.len() <= max.max(1));
            if let Some(newest) = ring.newest(limit) {
                let newest: Vec<_> = newest.iter().map(|item| item.sequence()).collect();
                prop_assert_eq!(&newest[..], &log[log.len().saturating_sub(limit)..]);
            }
        }

        #[test]
        fn answers_are_the_log_or_nothing(
            steps in prop::collection::vec(1u64..4, 0..40),
            max in 1usize..12,
            after in 0u64..90,
        ) {
            let mut ring = Ring::new(10, max, 100_000);
            let mut log = Vec::new();
            let mut at = 10;
            for step in steps {
                at += step;
                log.push(at);
                ring.push(message(at));
            }
            if let Some(items) = ring.after(after, usize::MAX) {
                let expected: Vec<_> = log.iter().copied().filter(|s| *s > after).collect();
                let given: Vec<_> = items.iter().map(|i| i.sequence()).collect();
                prop_assert_eq!(given, expected);
            } else {
                prop_assert!(after < 10 || log.iter().filter(|s| **s > after).count() > max);
            }
        }
    }
}
