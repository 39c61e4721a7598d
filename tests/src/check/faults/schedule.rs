//! When what goes wrong: made from a seed, the same each time.
//!
//! Invariant: faults of one family never overlap, what concerns everything begins when nothing is wrong,
//! and between two of the NATS nodes there is time for an election and for catching up; all end before
//! the schedule does. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{Family, Kind};

/// The first fault, after traffic has begun.
const FIRST: u64 = 2_000;
/// From one fault to the next.
const GAP: std::ops::RangeInclusive<u64> = 800..=4_000;
/// After a fault of the nodes: elections, and the node's catching up.
const NODES_RECOVER: u64 = 8_000;
/// After any other.
const OTHERS_RECOVER: u64 = 1_500;

/// One fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planned {
    /// What.
    pub kind: Kind,
    /// Which of the parts that it may hit.
    pub pick: u64,
    /// Since traffic began.
    pub from: Duration,
    /// Since traffic began.
    pub to: Duration,
}

/// The faults of one run, by when they begin.
pub fn plan(seed: u64, lasts: Duration, kinds: &[Kind]) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed);
    let end = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    let mut planned = Vec::new();
    let mut busy: BTreeMap<Family, u64> = BTreeMap::new();
    let mut now = FIRST;
    // Each kind once before any twice, so that a few seeds meet all.
    let mut deck: Vec<Kind> = Vec::new();
    while now < end {
        if deck.is_empty() {
            deck = kinds.to_vec();
        }
        let free = |kind: &Kind| match kind.family() {
            Family::All => busy.values().all(|&until| until <= now),
            family => busy.get(&family).is_none_or(|&until| until <= now),
        };
        let choice: Vec<usize> = (0..deck.len()).filter(|&index| free(&deck[index])).collect();
        if choice.is_empty() {
            now += 500;
            if deck.len() < kinds.len() {
                deck.extend_from_slice(kinds);
            }
            continue;
        }
        let kind = deck.remove(choice[random.random_range(0..choice.len())]);
        let to = now + random.random_range(kind.lasts());
        let pick = random.random();
        if to < end {
            let [from, to] = [now, to].map(Duration::from_millis);
            planned.push(Planned { kind, pick, from, to });
            let recover =
                if kind.family() == Family::Nats { NODES_RECOVER } else { OTHERS_RECOVER };
            busy.insert(kind.family(), u64::try_from(to.as_millis()).unwrap_or(end) + recover);
        }
        now += random.random_range(GAP);
    }
    planned
}

/// Faults one after the other, each `every` so long, in a random order in which each kind comes once
/// before any comes twice. None begins in the last stretch, so that all end in time.
pub fn evenly(seed: u64, lasts: Duration, every: Duration, kinds: &[Kind]) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut planned, mut deck): (_, Vec<Kind>) = (Vec::new(), Vec::new());
    let most = u64::try_from(every.as_millis()).unwrap_or(u64::MAX).saturating_sub(1);
    let mut from = Duration::ZERO;
    while from + every < lasts && !kinds.is_empty() {
        if deck.is_empty() {
            deck = kinds.to_vec();
        }
        let kind = deck.swap_remove(random.random_range(0..deck.len()));
        let takes = random.random_range(kind.lasts()).min(most);
        let to = from + Duration::from_millis(takes);
        planned.push(Planned { kind, pick: random.random(), from, to });
        from += every;
    }
    planned
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn a_seed_gives_the_same_again_and_another_something_else() {
        let minute = Duration::from_mins(1);
        let kinds = Kind::value_variants();
        assert_eq!(plan(1, minute, kinds), plan(1, minute, kinds));
        assert_ne!(plan(1, minute, kinds), plan(2, minute, kinds));
    }

    #[test]
    fn families_do_not_overlap_and_all_ends_in_time() {
        let kinds = Kind::value_variants();
        for seed in 0..200 {
            let lasts = Duration::from_secs(20 + seed);
            let planned = plan(seed, lasts, kinds);
            assert!(!planned.is_empty());
            for (index, one) in planned.iter().enumerate() {
                assert!(one.from <= one.to && one.to < lasts);
                for other in &planned[index + 1..] {
                    let (one_is, other_is) = (one.kind.family(), other.kind.family());
                    let apart = one_is == other_is || other_is == Family::All;
                    assert!(!apart || one.to < other.from, "{one:?} and {other:?}");
                }
            }
        }
    }

    #[test]
    fn even_faults_come_one_after_the_other_and_each_kind_in_turn() {
        let kinds = Kind::value_variants();
        let every = Duration::from_secs(20);
        let planned = evenly(5, every * 61, every, kinds);
        assert_eq!(planned.len(), 60);
        assert!(planned.windows(2).all(|two| two[0].to < two[1].from));
        let mut first: Vec<Kind> = planned.iter().take(kinds.len()).map(|one| one.kind).collect();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), kinds.len());
    }

    #[test]
    fn one_kind_alone_comes_again_and_again() {
        let planned = plan(3, Duration::from_mins(1), &[Kind::KillEdge]);
        assert!(planned.len() > 3, "{planned:?}");
    }
}
