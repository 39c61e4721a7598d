//! Comparing a sequence with the one it should be.
//!
//! Invariant: every difference is counted exactly once, as the simplest thing it can be: an entry is
//! lost, there again, out of order, changed, or of nobody's making. Pure.

use std::collections::{HashMap, HashSet};
use std::ops::AddAssign;

/// One entry: which, and a digest of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Item {
    /// Its id.
    pub id: u64,
    /// What it says.
    pub digest: u64,
}

/// Counted differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many there should be.
    pub wanted: u64,
    /// Missing.
    pub lost: u64,
    /// There again, after the first time.
    pub twice: u64,
    /// After one that should follow it.
    pub disordered: u64,
    /// There, but saying something else.
    pub changed: u64,
    /// There, and should not be.
    pub strange: u64,
}

impl Tally {
    /// Whether there is no difference.
    pub fn clean(&self) -> bool {
        let differences = [self.lost, self.twice, self.disordered, self.changed, self.strange];
        differences.iter().all(|&count| count == 0)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.wanted += other.wanted;
        self.lost += other.lost;
        self.twice += other.twice;
        self.disordered += other.disordered;
        self.changed += other.changed;
        self.strange += other.strange;
    }
}

/// What is wrong with one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is missing.
    Lost,
    /// It is there again.
    Twice,
    /// It comes after one that should follow it.
    Disordered,
    /// It says something else.
    Changed,
    /// It should not be there.
    Strange,
}

/// Compares, and returns the counts and the difference with the smallest id.
pub fn compare(wanted: &[Item], got: &[Item]) -> (Tally, Option<(u64, Wrong)>) {
    let mut tally = Tally { wanted: wanted.len() as u64, ..Tally::default() };
    let mut first: Option<(u64, Wrong)> = None;
    let mut note = |id, wrong| {
        if first.is_none_or(|(smallest, _)| id < smallest) {
            first = Some((id, wrong));
        }
    };
    let places: HashMap<u64, (usize, u64)> =
        wanted.iter().enumerate().map(|(place, item)| (item.id, (place, item.digest))).collect();
    let mut seen = HashSet::with_capacity(got.len());
    let mut furthest = None;
    for item in got {
        let Some(&(place, digest)) = places.get(&item.id) else {
            tally.strange += 1;
            note(item.id, Wrong::Strange);
            continue;
        };
        if !seen.insert(item.id) {
            tally.twice += 1;
            note(item.id, Wrong::Twice);
            continue;
        }
        if digest != item.digest {
            tally.changed += 1;
            note(item.id, Wrong::Changed);
        }
        if furthest.is_some_and(|furthest| place < furthest) {
            tally.disordered += 1;
            note(item.id, Wrong::Disordered);
        } else {
            furthest = Some(place);
        }
    }
    for item in wanted.iter().filter(|item| !seen.contains(&item.id)) {
        tally.lost += 1;
        note(item.id, Wrong::Lost);
    }
    (tally, first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn items(ids: &[u64]) -> Vec<Item> {
        ids.iter().map(|&id| Item { id, digest: id }).collect()
    }

    fn counts(wanted: &[u64], got: &[u64]) -> [u64; 5] {
        let (tally, first) = compare(&items(wanted), &items(got));
        assert_eq!(tally.clean(), first.is_none());
        [tally.lost, tally.twice, tally.disordered, tally.changed, tally.strange]
    }

    #[test]
    fn each_difference_is_counted_as_what_it_is() {
        assert_eq!(counts(&[1, 2, 3], &[1, 2, 3]), [0, 0, 0, 0, 0]);
        assert_eq!(counts(&[1, 2, 3], &[1, 3]), [1, 0, 0, 0, 0]);
        assert_eq!(counts(&[1, 2, 3], &[1, 2, 2, 3]), [0, 1, 0, 0, 0]);
        assert_eq!(counts(&[1, 2, 3], &[1, 3, 2]), [0, 0, 1, 0, 0]);
        assert_eq!(counts(&[1, 2, 3], &[1, 2, 3, 9]), [0, 0, 0, 0, 1]);
        let changed = [Item { id: 1, digest: 5 }];
        assert_eq!(compare(&items(&[1]), &changed).0.changed, 1);
    }

    #[test]
    fn the_smallest_difference_is_told() {
        let (_, first) = compare(&items(&[1, 2, 3, 4]), &items(&[1, 4, 4]));
        assert_eq!(first, Some((2, Wrong::Lost)));
    }

    proptest! {
        #[test]
        fn losing_some_and_repeating_some_is_counted(
            kept in prop::collection::vec((any::<bool>(), 1..4_usize), 0..100),
        ) {
            let wanted: Vec<u64> = (1..=kept.len() as u64).collect();
            let mut got = Vec::new();
            let (mut lost, mut twice) = (0, 0);
            for (&id, &(keep, times)) in wanted.iter().zip(&kept) {
                if keep {
                    got.extend(std::iter::repeat_n(id, times));
                    twice += times as u64 - 1;
                } else {
                    lost += 1;
                }
            }
            prop_assert_eq!(counts(&wanted, &got), [lost, twice, 0, 0, 0]);
        }

        #[test]
        fn any_other_order_is_seen(swap in 0..49_usize) {
            let wanted: Vec<u64> = (1..=50).collect();
            let mut got = wanted.clone();
            got.swap(swap, swap + 1);
            prop_assert_eq!(counts(&wanted, &got), [0, 0, 1, 0, 0]);
        }
    }
}
