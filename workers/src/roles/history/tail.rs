//! The newest part of one stream in memory: every entry after `base` up to `read`.
//!
//! Invariants: the tail holds every entry it has read above its base, and says so truthfully: what
//! is at or below the base is the store's to answer, if the store reaches that far. Of entries that
//! the store holds it keeps the newest, up to a soft bound, beside all that the store does not hold;
//! so while the store is away it lets go of nothing, up to a hard bound. A hole in the sequences
//! empties it and raises its base.
//!
//! Of conversations that it no longer has any entry of it knows the last valid entry (`heads`) and
//! the membership (`memberships`), where there is room: both are exact, for nothing came since.
//!
//! Pure. Leaves out reading and judging.

use std::collections::{HashMap, VecDeque};

use bus_schema::entry::Entry;
use bus_schema::ids::{self, StreamIndex};
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::Membership;
use serde::{Deserialize, Serialize};

use super::recent::Recent;
use super::thread::Thread;

/// How much a tail may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TailSettings {
    /// Entries of one stream to keep in memory once the store holds them.
    pub entries: usize,
    /// Bytes of one stream to keep in memory once the store holds them.
    pub bytes: usize,
    /// How many times as much to keep while the store does not hold them yet.
    pub lag_factor: usize,
    /// Members of all conversations of a stream whose membership is kept in memory; as many again
    /// of those without an entry in memory.
    pub members: usize,
    /// Conversations of a stream whose last entry is remembered when the entry itself no longer is.
    pub heads: usize,
}

impl Default for TailSettings {
    fn default() -> Self {
        Self {
            entries: 50_000,
            bytes: 64 * 1024 * 1024,
            lag_factor: 8,
            members: 500_000,
            heads: 100_000,
        }
    }
}

/// One sequence of the stream, whether it is an entry of a conversation or not.
#[derive(Debug, Clone, Copy)]
struct Slot {
    seq: u64,
    place: Option<LogSubject>,
    bytes: usize,
    threaded: bool,
    /// The log's time of an entry, in milliseconds since the Unix epoch.
    at_ms: Option<u64>,
}

/// What an entry costs beside its payload, which is held twice: as it was and decoded.
const ENTRY_OVERHEAD: usize = 320;

/// How far the clocks that make ids may be ahead of the log's.
const CLOCKS_MS: u64 = 10_000;

/// The tail of one stream.
#[derive(Debug)]
pub(super) struct Tail {
    stream: StreamIndex,
    bounds: TailSettings,
    base: u64,
    /// No entry at or below the base is later than this; not known before the first entry.
    base_ms: Option<u64>,
    read: u64,
    floor: u64,
    slots: VecDeque<Slot>,
    bytes: usize,
    /// How many of the slots, the oldest, the store holds, and their bytes.
    stored: (usize, usize),
    threads: HashMap<LogSubject, Thread>,
    heads: Recent<LogSubject, u64>,
    memberships: Recent<LogSubject, Membership>,
    /// Members held by all threads, as far as it is known; judging corrects it.
    members: usize,
}

impl Tail {
    /// An empty tail that will be given everything after `base`.
    pub(super) fn new(stream: StreamIndex, base: u64, bounds: TailSettings) -> Self {
        Self {
            stream,
            bounds,
            base,
            base_ms: None,
            read: base,
            floor: 0,
            slots: VecDeque::new(),
            bytes: 0,
            stored: (0, 0),
            threads: HashMap::new(),
            heads: Recent::new(bounds.heads),
            memberships: Recent::new(bounds.members),
            members: 0,
        }
    }

    pub(super) const fn stream(&self) -> StreamIndex {
        self.stream
    }

    /// Everything above this sequence is here.
    pub(super) const fn base(&self) -> u64 {
        self.base
    }

    /// Up to here the store may have something of a conversation: the base, or 0 for one that was
    /// made after everything at the base, so that all there ever was of it is here.
    pub(super) fn base_of(&self, place: LogSubject) -> u64 {
        let made_ms = place.conversation().map(|id| ids::made_at_ms(id.0));
        let is_younger = |base_ms: u64| made_ms.is_some_and(|ms| ms > base_ms + CLOCKS_MS);
        if self.base_ms.is_some_and(is_younger) { 0 } else { self.base }
    }

    /// Up to here the store is known to hold the stream.
    pub(super) const fn floor(&self) -> u64 {
        self.floor
    }

    /// Everything up to this sequence has been read.
    pub(super) const fn read(&self) -> u64 {
        self.read
    }

    /// How many entries and bytes it holds.
    pub(super) fn held(&self) -> (usize, usize) {
        (self.slots.len(), self.bytes)
    }

    /// Takes what the log holds at the next sequence; `entry` if it can be decoded as one. Whether
    /// it followed on what was read before.
    pub(super) fn push(
        &mut self,
        seq: u64,
        place: Option<LogSubject>,
        entry: Option<Entry>,
    ) -> bool {
        if seq <= self.read {
            return true;
        }
        let contiguous = seq == self.read + 1;
        if !contiguous {
            *self = Self { floor: self.floor, ..Self::new(self.stream, seq - 1, self.bounds) };
        }
        self.read = seq;
        let bytes = entry.as_ref().map_or(0, |e| e.payload.len() * 2) + ENTRY_OVERHEAD;
        let at_ms = entry.as_ref().map(|e| e.at.as_millis());
        self.base_ms = self.base_ms.or(at_ms);
        let threaded = place.filter(|p| p.conversation().is_some()).zip(entry);
        self.slots.push_back(Slot { seq, place, bytes, threaded: threaded.is_some(), at_ms });
        self.bytes += bytes;
        if let Some((place, entry)) = threaded {
            let (stream, base) = (self.stream, self.base_of(place));
            let known = &mut self.memberships;
            self.threads
                .entry(place)
                .or_insert_with(|| Thread::new(place, stream, base, known.take(&place)))
                .push(entry);
        }
        self.shrink();
        contiguous
    }

    /// Learns how far the store holds the stream.
    pub(super) fn raise_floor(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        self.shrink();
    }

    fn shrink(&mut self) {
        while let Some(slot) = self.slots.get(self.stored.0).filter(|slot| slot.seq <= self.floor) {
            self.stored = (self.stored.0 + 1, self.stored.1 + slot.bytes);
        }
        while let Some(slot) = self.slots.front().copied() {
            let above = |entries: usize, bytes: usize, factor: usize| {
                entries > self.bounds.entries.max(1).saturating_mul(factor)
                    || bytes > self.bounds.bytes.saturating_mul(factor)
            };
            let lag_factor = self.bounds.lag_factor.max(1);
            let (stored, stored_bytes) = self.stored;
            let too_many = above(self.slots.len(), self.bytes, lag_factor);
            if !(too_many || above(stored, stored_bytes, 1)) {
                return;
            }
            self.slots.pop_front();
            self.base = slot.seq;
            self.base_ms = slot.at_ms.or(self.base_ms);
            self.bytes -= slot.bytes;
            if stored > 0 {
                self.stored = (stored - 1, stored_bytes - slot.bytes);
            }
            if let (true, Some(place)) = (slot.threaded, slot.place)
                && let Some(thread) = self.threads.get_mut(&place)
            {
                match thread.forget(slot.seq) {
                    Some(true) => self.heads.set(place, slot.seq, 1),
                    Some(false) => {}
                    None => drop(self.heads.take(&place)),
                }
                if thread.is_empty() {
                    self.members = self.members.saturating_sub(thread.members());
                    let thread = self.threads.remove(&place);
                    if let Some(membership) = thread.and_then(Thread::into_membership) {
                        self.learn_membership(place, membership);
                    }
                }
            }
        }
    }

    /// A conversation's entries, if the tail has any.
    pub(super) fn thread(&self, place: LogSubject) -> Option<&Thread> {
        self.threads.get(&place)
    }

    /// The newest valid entry of a conversation at or below the base, if it is known.
    pub(super) fn head(&self, place: LogSubject) -> Option<u64> {
        self.heads.get(&place).copied()
    }

    /// Learns that `seq`, at or below the base, is the newest valid entry there.
    pub(super) fn learn_head(&mut self, place: LogSubject, seq: u64) {
        self.heads.set(place, seq, 1);
    }

    /// The membership of a channel that the tail has no entry of, if it is known.
    pub(super) fn membership(&self, place: LogSubject) -> Option<&Membership> {
        self.memberships.get(&place)
    }

    /// The membership after everything judged, if it is at hand.
    pub(super) fn membership_now(&self, place: LogSubject) -> Option<&Membership> {
        match self.thread(place) {
            Some(thread) => thread.membership(),
            None => self.membership(place),
        }
    }

    /// Learns that a channel which the tail has no entry of has this membership.
    pub(super) fn learn_membership(&mut self, place: LogSubject, membership: Membership) {
        if matches!(place, LogSubject::Channel(_)) {
            let weight = membership.members.len() + 1;
            self.memberships.set(place, membership, weight);
        }
    }

    /// Conversations with entries that are not judged yet, so many at most.
    pub(super) fn unjudged(&self, most: usize) -> Vec<LogSubject> {
        let unjudged = self.threads.iter().filter(|(_, thread)| thread.is_pending());
        unjudged.map(|(place, _)| *place).take(most).collect()
    }

    /// Judges what is pending of a conversation; see [`Thread::judge`].
    pub(super) fn judge(&mut self, place: LogSubject, known: &crate::store::history::Precedents) {
        let Some(thread) = self.threads.get_mut(&place) else { return };
        let before = thread.members();
        thread.judge(self.base, known);
        self.members = (self.members + thread.members()).saturating_sub(before);
        if self.members > self.bounds.members {
            // Rare, and each is rebuilt from the store when it is asked for again.
            for (other, thread) in &mut self.threads {
                if *other != place {
                    thread.forget_membership();
                }
            }
            self.members = self.threads.get(&place).map_or(0, Thread::members);
        }
    }

    /// Each place that got something after `after`, with its last sequence, ascending by the first
    /// one after `after`; up to `places` places and `bytes` of their names. And how far that reaches.
    pub(super) fn changes(
        &self,
        after: u64,
        places: usize,
        bytes: usize,
    ) -> (Vec<(LogSubject, u64)>, u64) {
        let from = self.slots.partition_point(|slot| slot.seq <= after);
        let mut index: HashMap<LogSubject, usize> = HashMap::new();
        let mut found: Vec<(LogSubject, u64)> = Vec::new();
        let mut size = 0;
        let mut through = after.max(self.base).min(self.read);
        for slot in self.slots.range(from..) {
            if let Some(place) = slot.place {
                if let Some(known) = index.get(&place).and_then(|i| found.get_mut(*i)) {
                    known.1 = slot.seq;
                } else {
                    size += place.to_string().len() + PAIR_BYTES;
                    if found.len() >= places || size > bytes {
                        return (found, through);
                    }
                    index.insert(place, found.len());
                    found.push((place, slot.seq));
                }
            }
            through = slot.seq;
        }
        (found, through)
    }
}

/// A pair of place and sequence in JSON costs so much beside the place.
const PAIR_BYTES: usize = 28;
