//! Rows that are not as the log says: which are known now. No I/O.
//!
//! Invariant: looking again at a run of the log replaces what was known of it, so a row that is right
//! again is forgotten. At most [`KNOWN`] are kept; what one pass finds beyond is counted.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use bus_schema::ops::audit::{EXAMPLES, WrongRow};

/// Rows kept by name.
const KNOWN: usize = 1_000;

/// What is known.
#[derive(Debug, Default)]
pub(super) struct Faults {
    known: BTreeSet<WrongRow>,
    /// Found beyond, by the pass that goes on and the one before.
    beyond: (u64, u64),
}

impl Faults {
    /// A run of sequences was looked at, and this was found.
    pub(super) fn replace(&mut self, run: RangeInclusive<u64>, found: Vec<WrongRow>) {
        self.known.retain(|row| !run.contains(&row.id.sequence()));
        for row in found {
            if self.known.len() < KNOWN {
                self.known.insert(row);
            } else {
                self.beyond.0 += 1;
            }
        }
    }

    /// A pass over all begins.
    pub(super) const fn begin(&mut self) {
        self.beyond =
            (0, if self.beyond.0 > self.beyond.1 { self.beyond.0 } else { self.beyond.1 });
    }

    /// It has ended.
    pub(super) const fn end(&mut self) {
        self.beyond.1 = self.beyond.0;
    }

    /// Those whose entries have left the log before a sequence: only the store can tell of them.
    pub(super) fn before(&self, first: u64) -> Vec<WrongRow> {
        self.known.iter().filter(|row| row.id.sequence() < first).copied().collect()
    }

    /// One of them is right again.
    pub(super) fn heal(&mut self, row: &WrongRow) {
        self.known.remove(row);
    }

    /// How many there are.
    pub(super) fn count(&self) -> u64 {
        let beyond = self.beyond.0.max(self.beyond.1);
        u64::try_from(self.known.len()).unwrap_or(u64::MAX).saturating_add(beyond)
    }

    /// The first few.
    pub(super) fn examples(&self) -> Vec<WrongRow> {
        self.known.iter().take(EXAMPLES).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use bus_schema::ids::{ConversationId, EntryId, StreamIndex};
    use bus_schema::ops::audit::{Fault, RowKind};

    use super::*;

    fn row(sequence: u64) -> WrongRow {
        WrongRow {
            id: EntryId::new(sequence, StreamIndex(0)),
            conversation_id: ConversationId(7),
            row: RowKind::Entry,
            fault: Fault::Missing,
        }
    }

    #[test]
    fn looking_again_replaces_what_was_known_of_a_run() {
        let mut faults = Faults::default();
        faults.replace(1..=10, vec![row(3), row(9)]);
        faults.replace(11..=20, vec![row(15)]);
        assert_eq!(faults.count(), 3);
        faults.replace(1..=10, vec![row(9)]);
        assert_eq!(faults.examples(), [row(9), row(15)]);
        assert_eq!(faults.before(12), [row(9)]);
        faults.heal(&row(9));
        assert_eq!(faults.examples(), [row(15)]);
    }

    #[test]
    fn many_are_counted_though_few_are_kept() {
        let mut faults = Faults::default();
        for _ in 0..3 {
            faults.begin();
            faults.replace(1..=2_000, (1..=2_000).map(row).collect());
            assert_eq!(faults.count(), 2_000);
            faults.end();
            assert_eq!((faults.count(), faults.examples().len()), (2_000, EXAMPLES));
        }
        faults.begin();
        faults.replace(1..=2_000, Vec::new());
        faults.end();
        assert_eq!(faults.count(), 0);
    }
}
