//! One conversation's part of the tail: its entries, judged on demand and in order.
//!
//! Invariants: an entry is judged once, by what stands before it: the store as it was at the tail's
//! base, then the valid entries of the thread. Void entries are forgotten at once. What edits and
//! deletions in the thread say about messages, here or in the store, is in `changes`, and leaves
//! together with the entry that said it.
//!
//! Pure. Leaves out where precedents come from.

use std::collections::{BTreeMap, VecDeque};

use bus_schema::entry::{Body, Entry, MessageCreate};
use bus_schema::ids::StreamIndex;
use bus_schema::subjects::LogSubject;
use bus_schema::text::Content;
use bus_schema::timestamp::Timestamp;
use bus_schema::verdict::{Membership, MembershipEvent, Target, Verdict};

use super::known::{Known, Missing};
use crate::store::history::{EditRecord, MessageRecord, Precedents, TargetRecord};

/// What entries of the thread did to a message.
#[derive(Debug, Default)]
struct Change {
    edit: Option<(EditRecord, Content)>,
    deleted: Option<u64>,
}

/// One conversation's entries above the tail's base.
#[derive(Debug)]
pub(super) struct Thread {
    place: LogSubject,
    stream: StreamIndex,
    /// Valid entries, ascending.
    valid: VecDeque<Entry>,
    /// Entries after those, not judged yet, ascending.
    pending: VecDeque<Entry>,
    /// The membership after the last judged entry; none: to be built from the store's events.
    membership: Option<Membership>,
    changes: BTreeMap<u64, Change>,
}

impl Thread {
    /// `before`: the membership before the first entry of the thread, if it is known.
    pub(super) fn new(
        place: LogSubject,
        stream: StreamIndex,
        base: u64,
        before: Option<Membership>,
    ) -> Self {
        // Nothing comes before the log, and a DM's two people are in its name.
        let known = base == 0 || matches!(place, LogSubject::Dm(_));
        Self {
            place,
            stream,
            valid: VecDeque::new(),
            pending: VecDeque::new(),
            membership: before.or_else(|| known.then(|| Membership::at_start(place))),
            changes: BTreeMap::new(),
        }
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.pending.push_back(entry);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.valid.is_empty() && self.pending.is_empty()
    }

    /// Forgets the entry at `seq`, which the tail's base has reached. Whether it was valid; `None` if
    /// nobody asked.
    pub(super) fn forget(&mut self, seq: u64) -> Option<bool> {
        if self.valid.front().is_some_and(|e| e.id.sequence() == seq) {
            let target = self.valid.pop_front().and_then(|entry| entry.body.target());
            if let Some(target) = target {
                self.unchange(target.sequence(), seq);
            }
            return Some(true);
        }
        let unjudged = self.pending.front().is_some_and(|e| e.id.sequence() == seq);
        if !(self.valid.is_empty() && unjudged) {
            return Some(false);
        }
        // It leaves without having been judged, so what follows builds on the store again.
        self.pending.pop_front();
        self.membership = dm(self.place);
        None
    }

    fn unchange(&mut self, target: u64, by: u64) {
        let Some(change) = self.changes.get_mut(&target) else { return };
        change.edit.take_if(|(edit, _)| edit.seq == by);
        change.deleted.take_if(|seq| *seq == by);
        if change.edit.is_none() && change.deleted.is_none() {
            self.changes.remove(&target);
        }
    }

    /// Whether something is not judged yet.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The newest entry that is not known to be void.
    pub(super) fn last(&self) -> Option<u64> {
        let newest = self.pending.back().or_else(|| self.valid.back());
        newest.map(|entry| entry.id.sequence())
    }

    /// The membership after everything judged, if it is at hand.
    pub(super) fn into_membership(self) -> Option<Membership> {
        self.membership
    }

    /// Forgets the membership, to be built again when needed.
    pub(super) fn forget_membership(&mut self) {
        self.membership = dm(self.place);
    }

    /// How many members are held in memory.
    pub(super) fn members(&self) -> usize {
        self.membership.as_ref().map_or(0, |m| m.members.len())
    }

    /// What must be known before everything is judged; `None` if nothing.
    pub(super) fn missing(&self, base: u64, known: Option<&Known>) -> Option<Missing> {
        if self.pending.is_empty() {
            return None;
        }
        let events = self.membership.is_none();
        let mut lacking = events && !known.is_some_and(|k| k.asked.events);
        let mut targets = Vec::new();
        for target in self.pending.iter().filter_map(|e| e.body.target()) {
            let seq = target.sequence();
            if target.stream() == self.stream && seq <= base {
                lacking |= known.is_none_or(|k| k.asked.targets.binary_search(&seq).is_err());
                targets.push(seq);
            }
        }
        targets.sort_unstable();
        targets.dedup();
        lacking.then_some(Missing { events, targets })
    }

    /// Judges all that is pending, once nothing is [`Self::missing`]. `known` was read at a floor at
    /// or above `base`.
    pub(super) fn judge(&mut self, base: u64, known: &Precedents) {
        if self.pending.is_empty() {
            return;
        }
        let mut membership = match self.membership.take() {
            Some(membership) => membership,
            None => self.membership_at(base, u64::MAX, &known.events),
        };
        while let Some(entry) = self.pending.pop_front() {
            let target = self.target(&entry, base, &known.targets);
            if membership.judge(&entry.body, target) == Verdict::Valid {
                membership.apply(&entry);
                self.accept(entry);
            }
        }
        self.membership = Some(membership);
    }

    fn target(&self, entry: &Entry, base: u64, known: &[TargetRecord]) -> Target {
        let Some(id) = entry.body.target() else { return Target::Unknown };
        let seq = id.sequence();
        let found = if id.stream() != self.stream || id >= entry.id {
            None
        } else if seq > base {
            self.create(seq).map(|(_, message)| (message.author_id, None))
        } else {
            // The store may have read further than the base; only what is below it counts.
            let below = |deleted: &u64| *deleted <= base;
            let target = known.iter().find(|t| t.seq == seq);
            target.map(|t| (t.author, t.deleted.filter(below)))
        };
        match found {
            Some((author, deleted)) => {
                Target::Found { author, deleted: deleted.is_some() || self.deleted(seq) }
            }
            None => Target::Missing,
        }
    }

    fn accept(&mut self, entry: Entry) {
        let seq = entry.id.sequence();
        match &entry.body {
            Body::MessageUpdate(b) => {
                let edit = EditRecord { seq, at: entry.at };
                let change = self.changes.entry(b.message_id.sequence()).or_default();
                change.edit = Some((edit, b.content.clone()));
            }
            Body::MessageDelete(b) => {
                let change = self.changes.entry(b.message_id.sequence()).or_default();
                change.deleted.get_or_insert(seq);
            }
            _ => {}
        }
        self.valid.push_back(entry);
    }

    /// The membership as it is at `upto`, at or above the base unless `events` reach that far.
    pub(super) fn membership_at(
        &self,
        base: u64,
        upto: u64,
        events: &[MembershipEvent],
    ) -> Membership {
        let mut membership = Membership::at_start(self.place);
        replay(&mut membership, events, base.min(upto));
        for entry in self.valid.iter().take_while(|e| e.id.sequence() <= upto) {
            membership.apply(entry);
        }
        membership
    }

    /// The membership after everything judged, if it is at hand.
    pub(super) fn membership(&self) -> Option<&Membership> {
        self.membership.as_ref()
    }

    /// Whether a valid entry of the thread deleted the message at `seq`.
    pub(super) fn deleted(&self, seq: u64) -> bool {
        self.changes.get(&seq).is_some_and(|change| change.deleted.is_some())
    }

    /// Messages below `seq` that entries of the thread deleted, ascending.
    pub(super) fn deleted_below(&self, seq: u64) -> impl Iterator<Item = u64> {
        let changes = self.changes.range(..seq);
        changes.filter(|(_, change)| change.deleted.is_some()).map(|(seq, _)| *seq)
    }

    /// Valid entries with a sequence above `seq`, ascending.
    pub(super) fn after(
        &self,
        seq: u64,
    ) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        let from = self.valid.partition_point(|e| e.id.sequence() <= seq);
        self.valid.range(from..)
    }

    /// Shown messages below `seq`, descending.
    pub(super) fn older(&self, seq: u64) -> impl Iterator<Item = MessageRecord> {
        let to = self.valid.partition_point(|e| e.id.sequence() < seq);
        self.valid.range(..to).rev().filter_map(|entry| self.shown(entry))
    }

    /// Shown messages at and above `seq`, ascending.
    pub(super) fn newer(&self, seq: u64) -> impl Iterator<Item = MessageRecord> {
        let from = self.valid.partition_point(|e| e.id.sequence() < seq);
        self.valid.range(from..).filter_map(|entry| self.shown(entry))
    }

    /// The sequence of the first message, deleted or not, at or after a time.
    pub(super) fn first_at(&self, at: Timestamp) -> Option<u64> {
        let mut messages = self.valid.iter().filter(|e| matches!(e.body, Body::MessageCreate(_)));
        messages.find(|e| e.at >= at).map(|e| e.id.sequence())
    }

    fn create(&self, seq: u64) -> Option<(&Entry, &MessageCreate)> {
        let index = self.valid.binary_search_by_key(&seq, |e| e.id.sequence()).ok()?;
        let entry = self.valid.get(index)?;
        match &entry.body {
            Body::MessageCreate(message) => Some((entry, message)),
            _ => None,
        }
    }

    fn shown(&self, entry: &Entry) -> Option<MessageRecord> {
        let Body::MessageCreate(message) = &entry.body else { return None };
        let record = MessageRecord {
            seq: entry.id.sequence(),
            at: entry.at,
            author: message.author_id,
            nonce: message.nonce.clone(),
            content: message.content.clone(),
            edit: None,
        };
        self.changed(record)
    }

    /// A message with what the thread knows of it; `None` if it is deleted.
    pub(super) fn changed(&self, mut record: MessageRecord) -> Option<MessageRecord> {
        let Some(change) = self.changes.get(&record.seq) else { return Some(record) };
        if change.deleted.is_some() {
            return None;
        }
        if let Some((edit, content)) = &change.edit
            && record.edit.is_none_or(|stored| stored.seq < edit.seq)
        {
            record.content = content.clone();
            record.edit = Some(*edit);
        }
        Some(record)
    }
}

/// Applies the events up to a sequence.
pub(super) fn replay(membership: &mut Membership, events: &[MembershipEvent], upto: u64) {
    for event in events.iter().take_while(|event| event.id.sequence() <= upto) {
        membership.apply_event(*event);
    }
}

fn dm(place: LogSubject) -> Option<Membership> {
    matches!(place, LogSubject::Dm(_)).then(|| Membership::at_start(place))
}
