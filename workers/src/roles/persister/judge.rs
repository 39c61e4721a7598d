//! Judging a batch of entries with what the store and the batch itself know.
//!
//! Invariant: batches are given in log order without a hole, each once, beginning above the floor;
//! a verdict uses only what stands before its entry, also when the store has read further (another
//! persister may have been here already).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bus_schema::entry::{Body, Entry};
use bus_schema::ids::{EntryId, StreamIndex, UserId};
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::{Membership, Target, Verdict};

use crate::store::StoreError;
use crate::store::history::{HistoryStore, Precedents, PrecedentsQuery};

/// The judge of one stream.
pub(super) struct Judge {
    store: Arc<dyn HistoryStore>,
    stream: StreamIndex,
    /// Memberships after the last batch, for conversations seen lately.
    memberships: HashMap<LogSubject, Membership>,
    /// Members kept in memory at most.
    bound: usize,
}

/// A message as the batch knows it.
struct Message {
    author: UserId,
    deleted: bool,
}

/// The messages that edits and deletions of a batch may be about.
type Messages = HashMap<(LogSubject, u64), Message>;

impl Judge {
    pub(super) fn new(store: Arc<dyn HistoryStore>, stream: StreamIndex, bound: usize) -> Self {
        Self { store, stream, memberships: HashMap::new(), bound }
    }

    /// The valid ones of a batch.
    pub(super) async fn valid(
        &mut self,
        batch: Vec<(LogSubject, Entry)>,
    ) -> Result<Vec<Entry>, StoreError> {
        let Some(first) = batch.first().map(|(_, entry)| entry.id.sequence()) else {
            return Ok(Vec::new());
        };
        let mut messages = self.prepare(&batch, first).await?;
        let mut valid = Vec::with_capacity(batch.len());
        for (place, entry) in batch {
            let target = self.target(place, &entry, &messages);
            let membership =
                self.memberships.entry(place).or_insert_with(|| Membership::at_start(place));
            if membership.judge(&entry.body, target) == Verdict::Valid {
                membership.apply(&entry);
                remember(&mut messages, place, &entry);
                valid.push(entry);
            }
        }
        if self.memberships.values().map(|m| m.members.len().max(1)).sum::<usize>() > self.bound {
            self.memberships.clear();
        }
        Ok(valid)
    }

    /// Asks the store, once, for all that the batch needs of what was before it.
    async fn prepare(
        &mut self,
        batch: &[(LogSubject, Entry)],
        first: u64,
    ) -> Result<Messages, StoreError> {
        let mut wanted: HashMap<LogSubject, HashSet<u64>> = HashMap::new();
        for (place, entry) in batch {
            let unknown = !self.memberships.contains_key(place);
            let target = entry.body.target().filter(|id| id.stream() == self.stream);
            let target = target.map(EntryId::sequence).filter(|seq| *seq < first);
            if unknown || target.is_some() {
                wanted.entry(*place).or_default().extend(target);
            }
        }
        let queries = wanted.into_iter().filter_map(|(place, targets)| {
            let events = !self.memberships.contains_key(&place) && !is_dm(place);
            let targets = targets.into_iter().collect();
            let conversation = place.conversation()?;
            Some((place, PrecedentsQuery { conversation, events, targets }))
        });
        let (places, queries): (Vec<_>, Vec<_>) = queries.unzip();
        if queries.is_empty() {
            return Ok(Messages::new());
        }
        let found = self.store.precedents(self.stream, queries).await?;
        let mut messages = Messages::new();
        for (place, precedents) in places.into_iter().zip(found.value) {
            self.learn(place, &precedents, first, &mut messages);
        }
        Ok(messages)
    }

    /// Takes in what the store knows, as it was before the sequence `first`.
    fn learn(
        &mut self,
        place: LogSubject,
        found: &Precedents,
        first: u64,
        messages: &mut Messages,
    ) {
        self.memberships.entry(place).or_insert_with(|| {
            let mut membership = Membership::at_start(place);
            let before = found.events.iter().take_while(|event| event.id.sequence() < first);
            before.for_each(|event| membership.apply_event(*event));
            membership
        });
        for target in &found.targets {
            let deleted = target.deleted.is_some_and(|seq| seq < first);
            messages.insert((place, target.seq), Message { author: target.author, deleted });
        }
    }

    fn target(&self, place: LogSubject, entry: &Entry, messages: &Messages) -> Target {
        let Some(id) = entry.body.target() else { return Target::Unknown };
        let known = messages.get(&(place, id.sequence()));
        match known.filter(|_| id.stream() == self.stream && id < entry.id) {
            Some(message) => Target::Found { author: message.author, deleted: message.deleted },
            None => Target::Missing,
        }
    }
}

fn remember(messages: &mut Messages, place: LogSubject, entry: &Entry) {
    match &entry.body {
        Body::MessageCreate(body) => {
            let message = Message { author: body.author_id, deleted: false };
            messages.insert((place, entry.id.sequence()), message);
        }
        Body::MessageDelete(body) => {
            if let Some(message) = messages.get_mut(&(place, body.message_id.sequence())) {
                message.deleted = true;
            }
        }
        _ => {}
    }
}

const fn is_dm(place: LogSubject) -> bool {
    matches!(place, LogSubject::Dm(_))
}
