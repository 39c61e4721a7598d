//! Judging a batch of entries with what the store and the batch itself know.
//!
//! Invariant: batches are given in log order without a hole, each once, beginning above the floor;
//! a verdict uses only what stands before its entry, also when the store has read further (another
//! persister may have been here already), and also when it has not yet: what earlier batches said
//! is remembered at least until they are written.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bus_schema::entry::{Body, Entry};
use bus_schema::ids::{EntryId, StreamIndex, UserId};
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::{Membership, Target, Verdict};

use crate::store::StoreError;
use crate::store::history::{HistoryStore, Precedents, PrecedentsQuery};

/// The judge of one stream.
pub(crate) struct Judge {
    store: Arc<dyn HistoryStore>,
    stream: StreamIndex,
    /// Memberships after the last batch, of conversations seen lately.
    memberships: HashMap<LogSubject, Known>,
    /// Messages seen lately that edits and deletions may be about.
    messages: HashMap<(LogSubject, u64), Message>,
    /// Members kept in memory at most, but for what the store does not have yet,
    members_bound: usize,
    /// and messages.
    messages_bound: usize,
}

struct Known {
    membership: Membership,
    /// The last entry that changed it since it was read.
    changed: u64,
}

struct Message {
    author: UserId,
    deleted: bool,
    /// The last entry that made or deleted it, since it was read.
    changed: u64,
}

impl Judge {
    pub(crate) fn new(
        store: Arc<dyn HistoryStore>,
        stream: StreamIndex,
        members_bound: usize,
        messages_bound: usize,
    ) -> Self {
        let (memberships, messages) = (HashMap::new(), HashMap::new());
        Self { store, stream, memberships, messages, members_bound, messages_bound }
    }

    /// Asks the store, once, for all that the batch needs of what was before it and is not known.
    /// `written` is how far the store has everything.
    pub(crate) async fn prepare(
        &mut self,
        batch: &[(LogSubject, Entry)],
        written: u64,
    ) -> Result<(), StoreError> {
        let Some(first) = batch.first().map(|(_, entry)| entry.id.sequence()) else {
            return Ok(());
        };
        self.forget(written);
        let mut wanted: HashMap<LogSubject, HashSet<u64>> = HashMap::new();
        for (place, entry) in batch {
            let unknown = !self.memberships.contains_key(place);
            let target = entry.body.target().filter(|id| id.stream() == self.stream);
            let target = target.map(EntryId::sequence).filter(|seq| *seq < first);
            let target = target.filter(|seq| !self.messages.contains_key(&(*place, *seq)));
            if (unknown && !is_dm(*place)) || target.is_some() {
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
            return Ok(());
        }
        let found = self.store.precedents(self.stream, queries).await?;
        for (place, precedents) in places.into_iter().zip(found.value) {
            self.learn(place, &precedents, first);
        }
        Ok(())
    }

    /// The valid ones of a batch that was prepared.
    pub(crate) fn valid(&mut self, batch: Vec<(LogSubject, Entry)>) -> Vec<Entry> {
        let mut valid = Vec::with_capacity(batch.len());
        for (place, entry) in batch {
            if self.admits(place, &entry) {
                valid.push(entry);
            }
        }
        valid
    }

    /// Judges the next entry of a batch that was prepared, and moves on past it.
    pub(crate) fn admits(&mut self, place: LogSubject, entry: &Entry) -> bool {
        let target = self.target(place, entry);
        let known = self
            .memberships
            .entry(place)
            .or_insert_with(|| Known { membership: Membership::at_start(place), changed: 0 });
        let valid = known.membership.judge(&entry.body, target) == Verdict::Valid;
        if valid {
            if entry.body.revision().is_some() {
                known.membership.apply(entry);
                known.changed = entry.id.sequence();
            }
            self.remember(place, entry);
        }
        valid
    }

    /// The members of a place whose entry was the last to be judged.
    pub(crate) fn members(&self, place: LogSubject) -> impl Iterator<Item = UserId> {
        let known = self.memberships.get(&place);
        known.into_iter().flat_map(|known| known.membership.members.keys().copied())
    }

    /// Keeps within the bounds. What the store may not have yet stays: it could not be read again.
    fn forget(&mut self, written: u64) {
        let members = self.memberships.values().map(|known| known.membership.members.len().max(1));
        if members.sum::<usize>() > self.members_bound {
            self.memberships.retain(|_, known| known.changed > written);
        }
        if self.messages.len() > self.messages_bound {
            self.messages.retain(|_, message| message.changed > written);
        }
    }

    /// Takes in what the store knows, as it was before the sequence `first`.
    fn learn(&mut self, place: LogSubject, found: &Precedents, first: u64) {
        self.memberships.entry(place).or_insert_with(|| {
            let mut membership = Membership::at_start(place);
            let before = found.events.iter().take_while(|event| event.id.sequence() < first);
            before.for_each(|event| membership.apply_event(*event));
            Known { membership, changed: 0 }
        });
        for target in &found.targets {
            let deleted = target.deleted.is_some_and(|seq| seq < first);
            let message = Message { author: target.author, deleted, changed: 0 };
            self.messages.insert((place, target.seq), message);
        }
    }

    fn target(&self, place: LogSubject, entry: &Entry) -> Target {
        let Some(id) = entry.body.target() else { return Target::Unknown };
        let known = self.messages.get(&(place, id.sequence()));
        match known.filter(|_| id.stream() == self.stream && id < entry.id) {
            Some(message) => Target::Found { author: message.author, deleted: message.deleted },
            None => Target::Missing,
        }
    }

    fn remember(&mut self, place: LogSubject, entry: &Entry) {
        let changed = entry.id.sequence();
        match &entry.body {
            Body::MessageCreate(body) => {
                let message = Message { author: body.author_id, deleted: false, changed };
                self.messages.insert((place, changed), message);
            }
            Body::MessageDelete(body) => {
                if let Some(message) = self.messages.get_mut(&(place, body.message_id.sequence())) {
                    message.deleted = true;
                    message.changed = changed;
                }
            }
            _ => {}
        }
    }
}

const fn is_dm(place: LogSubject) -> bool {
    matches!(place, LogSubject::Dm(_))
}
