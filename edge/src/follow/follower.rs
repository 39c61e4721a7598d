//! The heart of following, without any I/O: which entry may be passed next, and what to fetch.
//!
//! A follower has a position: every entry of the conversation up to that stream sequence was
//! passed. A live entry carries its own sequence and its predecessor's on the same subject. It may
//! be passed when its predecessor is covered; otherwise the range up to it must be fetched.
//!
//! Invariants (held by the property tests below): entries are passed in ascending order, each at
//! most once; the position never exceeds what live predecessors or an answer's `through` cover;
//! and whoever answers fetches will get the follower to the highest sequence it has heard of,
//! whatever was lost, repeated, reordered or refused.
//!
//! Leaves out the verdict, time and retries: the caller repeats a fetch until it is answered.

use std::collections::BTreeMap;

use bus_schema::sabotage::{Safeguard, off};

/// A fetch that the follower needs: every entry after `after`, from somebody who has read `min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fetch {
    /// Exclusive.
    pub(crate) after: u64,
    /// The answer must cover this sequence.
    pub(crate) min: u64,
}

/// What to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<T> {
    /// This entry comes next. Answer with [`Follower::passed`] or [`Follower::refused`].
    Entry(u64, T),
    /// Start this fetch and answer with [`Follower::fetched`]; none other is asked for meanwhile.
    Fetch(Fetch),
    /// Nothing, until something is heard or answered.
    Idle,
}

/// Follows one conversation. `T` is whatever the caller keeps of a live entry.
#[derive(Debug)]
pub(crate) struct Follower<T> {
    /// Unknown until started.
    position: Option<u64>,
    /// No entry of the conversation exists up to the position, as somebody told us.
    empty: bool,
    /// The highest sequence heard of.
    heard: u64,
    /// The caller asked for a fetch although nothing newer was heard of.
    doubt: bool,
    fetching: bool,
    /// Live entries not passed yet: sequence → (predecessor, entry).
    pending: BTreeMap<u64, (u64, T)>,
    pending_max: usize,
}

impl<T> Follower<T> {
    /// A follower that only collects until it is told where to start.
    pub(crate) const fn new(pending_max: usize) -> Self {
        Self {
            position: None,
            empty: false,
            heard: 0,
            doubt: false,
            fetching: false,
            pending: BTreeMap::new(),
            pending_max,
        }
    }

    /// Starts after `through`; `empty` if the conversation had no entry up to there. Later starts
    /// are ignored: a position never goes back, and never skips.
    pub(crate) fn start(&mut self, through: u64, empty: bool) {
        if self.position.is_none() {
            self.position = Some(through);
            self.empty = empty;
            self.drop_covered();
        }
    }

    /// Every entry up to here was passed; `None` before the start.
    pub(crate) const fn position(&self) -> Option<u64> {
        self.position
    }

    /// Whether nothing is known to be missing.
    pub(crate) fn is_caught_up(&self) -> bool {
        !self.doubt && self.position.is_some_and(|position| position >= self.heard)
    }

    /// Takes a live entry.
    pub(crate) fn live(&mut self, sequence: u64, predecessor: u64, entry: T) {
        if self.position.is_some_and(|position| sequence <= position) {
            return;
        }
        self.heard = self.heard.max(sequence);
        if self.pending.len() < self.pending_max || self.pending.contains_key(&sequence) {
            self.pending.insert(sequence, (predecessor, entry));
        }
    }

    /// Learns that the conversation has an entry at `sequence`.
    pub(crate) fn hear(&mut self, sequence: u64) {
        self.heard = self.heard.max(sequence);
    }

    /// Learns that something may have been missed, without knowing what.
    pub(crate) fn doubt(&mut self) {
        self.doubt = true;
    }

    /// What to do next.
    pub(crate) fn next(&mut self) -> Next<T> {
        let Some(position) = self.position else { return Next::Idle };
        if self.fetching {
            return Next::Idle;
        }
        let covered = match self.pending.first_key_value() {
            // A predecessor of 0 means "none that the stream still holds": trimmed, or never any.
            Some((_, (0, _))) => position == 0 || self.empty,
            Some(_) if off(Safeguard::Gap) => true,
            Some((_, (predecessor, _))) => *predecessor <= position,
            None => false,
        };
        if covered
            && !self.doubt
            && let Some((sequence, (_, entry))) = self.pending.pop_first()
        {
            return Next::Entry(sequence, entry);
        }
        if !self.is_caught_up() {
            self.fetching = true;
            self.doubt = false;
            return Next::Fetch(Fetch { after: position, min: self.heard });
        }
        Next::Idle
    }

    /// The entry that [`Next::Entry`] gave was passed, shown or void.
    pub(crate) fn passed(&mut self, sequence: u64) {
        self.advance(sequence);
        self.empty = false;
    }

    /// The entry that [`Next::Entry`] gave cannot be judged here: fetch it, judged, instead.
    pub(crate) fn refused(&mut self, sequence: u64) {
        self.heard = self.heard.max(sequence);
        self.doubt = true;
    }

    /// A fetch was answered: its entries were passed, and they are all there are up to `through`.
    pub(crate) fn fetched(&mut self, through: u64, any: bool) {
        self.fetching = false;
        self.advance(through);
        self.empty = self.empty && !any;
    }

    fn advance(&mut self, to: u64) {
        self.position = self.position.map(|position| position.max(to));
        self.drop_covered();
    }

    fn drop_covered(&mut self) {
        if let Some(position) = self.position {
            self.pending = self.pending.split_off(&position.saturating_add(1));
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world_tests;
