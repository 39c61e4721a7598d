//! The account of one stream: where it ends, and how far each place is. No I/O.
//!
//! Invariants: an entry is unaccounted for until the place itself has said so; its age is told from
//! when the auditor first saw the log reach it, or from the log's own time stamps, so that no two
//! clocks are compared; what is kept does not grow with the log.

use std::collections::VecDeque;
use std::time::Duration;

use bus_schema::ids::StreamIndex;
use bus_schema::ops::audit::{Account, EntryAt, Place, Standing, Sweep};
use bus_schema::timestamp::Timestamp;
use tokio::time::Instant;

use super::edges::Edges;
use super::faults::Faults;

/// Ends of the log remembered, one a second while it grows. What is older than the oldest of them is
/// said to be as old as it.
const ENDS: usize = 4_096;

/// Where the log ended once.
#[derive(Debug, Clone, Copy)]
struct End {
    sequence: u64,
    /// The log's time of that entry.
    at: Timestamp,
    /// When it was seen.
    seen: Instant,
}

/// The oldest entries for whose rows nobody has looked yet.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) at: Timestamp,
    pub(super) examples: Vec<EntryAt>,
}

/// The account.
pub(super) struct Ledger {
    stream: StreamIndex,
    late_s: u64,
    ends: VecDeque<End>,
    checked: u64,
    pending: Option<Pending>,
    bots: Option<u64>,
    pub(super) faults: Faults,
    sweep: Option<(u64, Duration, Instant)>,
}

impl Ledger {
    /// Of a stream of which the store accounts for what is up to `checked`.
    pub(super) fn new(stream: StreamIndex, late_s: u64, checked: u64) -> Self {
        Self {
            stream,
            late_s,
            ends: VecDeque::new(),
            checked,
            pending: None,
            bots: None,
            faults: Faults::default(),
            sweep: None,
        }
    }

    /// The log was seen to end there.
    pub(super) fn ends_at(&mut self, sequence: u64, at: Timestamp, seen: Instant) {
        if self.ends.back().is_some_and(|end| end.sequence >= sequence) {
            return;
        }
        if self.ends.len() >= ENDS {
            self.ends.pop_front();
        }
        self.ends.push_back(End { sequence, at, seen });
    }

    fn end(&self) -> u64 {
        self.ends.back().map_or(0, |end| end.sequence)
    }

    /// Up to where rows were looked for, or left to the next pass.
    pub(super) const fn checked(&self) -> u64 {
        self.checked
    }

    /// Rows were looked for up to here; what waits after it.
    pub(super) fn check(&mut self, upto: u64, pending: Option<Pending>) {
        self.checked = self.checked.max(upto);
        self.pending = pending;
    }

    /// Delivery to bots has read so far, if there is any.
    pub(super) const fn bots_have(&mut self, position: Option<u64>) {
        self.bots = position;
    }

    /// A pass over all that the log holds has ended.
    pub(super) const fn swept(&mut self, entries: u64, took: Duration, ended: Instant) {
        self.sweep = Some((entries, took, ended));
    }

    /// How long the log is known to have had an entry at a sequence.
    fn age(&self, sequence: u64, now: Instant) -> Duration {
        let from = self.ends.partition_point(|end| end.sequence < sequence);
        self.ends.get(from).map_or(Duration::ZERO, |end| now.saturating_duration_since(end.seen))
    }

    /// The same for an entry whose time stamp is known.
    fn age_at(&self, at: Timestamp, now: Instant) -> Duration {
        self.ends.back().map_or(Duration::ZERO, |end| {
            let before = end.at.as_millis().saturating_sub(at.as_millis());
            now.saturating_duration_since(end.seen) + Duration::from_millis(before)
        })
    }

    fn standing(&self, place: Place, complete: u64, now: Instant) -> Standing {
        let unaccounted = self.end().saturating_sub(complete);
        let age = if unaccounted > 0 { self.age(complete + 1, now) } else { Duration::ZERO };
        Standing { place, unaccounted, oldest_s: age.as_secs(), who: None, examples: Vec::new() }
    }

    fn store(&self, now: Instant) -> Standing {
        let mut store = self.standing(Place::Store, self.checked, now);
        if let Some(pending) = self.pending.as_ref().filter(|_| store.unaccounted > 0) {
            store.oldest_s = store.oldest_s.max(self.age_at(pending.at, now).as_secs());
            store.examples.clone_from(&pending.examples);
        }
        store
    }

    fn edge(&self, edges: &Edges, now: Instant) -> Standing {
        let behind = edges.last(self.stream, now);
        let complete = behind.as_ref().map_or(self.end(), |behind| behind.complete);
        let standing = self.standing(Place::Edge, complete, now);
        let who = behind.filter(|_| standing.unaccounted > 0);
        Standing { who: who.map(|behind| behind.edge.to_owned()), ..standing }
    }

    /// All of it.
    pub(super) fn account(&self, edges: &Edges, now: Instant) -> Account {
        let mut places = vec![self.store(now), self.edge(edges, now)];
        places.extend(self.bots.map(|bots| self.standing(Place::Bots, bots, now)));
        let sweep = self.sweep.map(|(entries, took, ended)| Sweep {
            entries,
            took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            ended_s: now.saturating_duration_since(ended).as_secs(),
        });
        Account {
            stream: self.stream,
            end: self.end(),
            late_s: self.late_s,
            places,
            wrong_rows: self.faults.count(),
            examples: self.faults.examples(),
            sweep,
            edges: edges.standings(self.stream, self.end(), now),
        }
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "a handful of edges and entries")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: StreamIndex = StreamIndex(0);

    fn second(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn ages_are_told_from_when_the_log_was_seen_to_reach_an_entry() {
        let (mut ledger, t) = (Ledger::new(STREAM, 30, 0), Instant::now());
        let edges = Edges::new(second(60));
        for n in 1..=5 {
            ledger.ends_at(n * 10, Timestamp::from_millis(n * 1_000), t + second(n));
        }
        let store =
            |ledger: &Ledger, at: u64| ledger.account(&edges, t + second(at)).places[0].clone();
        assert_eq!((store(&ledger, 9).unaccounted, store(&ledger, 9).oldest_s), (50, 8));
        ledger.check(30, None);
        assert_eq!((store(&ledger, 9).unaccounted, store(&ledger, 9).oldest_s), (20, 5));
        let at = Timestamp::from_millis(1_500);
        ledger.check(30, Some(Pending { at, examples: Vec::new() }));
        assert_eq!(store(&ledger, 9).oldest_s, 7, "the log's own times tell more");
        ledger.check(50, None);
        assert_eq!((store(&ledger, 9).unaccounted, store(&ledger, 9).oldest_s), (0, 0));
    }

    proptest! {
        /// Whatever order looks and places come in: nothing is accounted for that was not said to be,
        /// an age is never more than the truth, and all is zero once all places are at the end.
        #[test]
        fn counts_and_ages_hold(steps in prop::collection::vec((0u64..50, 0u64..3, 0u64..60), 1..200)) {
            let (mut ledger, t) = (Ledger::new(STREAM, 30, 0), Instant::now());
            let edges = Edges::new(second(60));
            let (mut end, mut checked) = (0, 0);
            // When each entry came.
            let mut came: Vec<u64> = vec![0];
            for (n, (more, what, upto)) in (0u64..).zip(steps) {
                let now = t + second(n);
                if what > 0 {
                    end += more;
                    came.resize(end as usize + 1, n);
                    ledger.ends_at(end, Timestamp::from_millis(n * 1_000), now);
                } else {
                    checked = (checked + upto).min(end);
                    ledger.check(checked, None);
                }
                let store = ledger.account(&edges, now).places[0].clone();
                prop_assert_eq!(store.unaccounted, end - checked);
                if store.unaccounted > 0 {
                    prop_assert_eq!(store.oldest_s, n - came[checked as usize + 1]);
                } else {
                    prop_assert_eq!(store.oldest_s, 0);
                }
            }
        }
    }
}
