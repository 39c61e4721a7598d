//! Every operation's outcome, as it happened.
//!
//! Invariant: an attempt is noted once, with when it began and ended; nothing is judged here. An
//! attempt belongs to the outage when any of it lies in the outage. Bounded by the run's length and
//! rate.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::kind::Kind;
use crate::Outcome;
use crate::replay::progress::Quantiles;

/// One attempt.
#[derive(Clone, Debug)]
pub struct Sample {
    /// What.
    pub kind: Kind,
    /// When it began.
    pub began: Instant,
    /// How long it took until its answer.
    pub took: Duration,
    /// Why it was refused, if it was.
    pub refused: Option<String>,
}

impl Sample {
    /// When its answer came.
    pub fn ended(&self) -> Instant {
        self.began + self.took
    }
}

/// Where in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Before the store was killed.
    Before,
    /// Until it served again.
    During,
    /// Afterwards.
    After,
}

impl Phase {
    /// All, in order.
    pub const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];
}

/// When a store was killed and when it served again.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// The traffic began.
    pub began: Instant,
    /// The kill.
    pub killed: Instant,
    /// It served again.
    pub back: Instant,
}

impl Window {
    /// Where something that began and ended then belongs.
    pub fn phase(&self, began: Instant, ended: Instant) -> Phase {
        if ended < self.killed {
            Phase::Before
        } else if began >= self.back {
            Phase::After
        } else {
            Phase::During
        }
    }
}

/// All attempts of one run.
#[derive(Debug, Default)]
pub struct Journal {
    samples: Mutex<Vec<Sample>>,
}

/// A lock whose holder cannot have broken anything: all changes are single steps.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    /// Notes an attempt that has just ended.
    pub fn note(&self, kind: Kind, began: Instant, refused: Option<String>) {
        let sample = Sample { kind, began, took: began.elapsed(), refused };
        locked(&self.samples).push(sample);
    }

    /// All, in the order of their ends.
    pub fn samples(&self) -> Vec<Sample> {
        locked(&self.samples).clone()
    }
}

/// What became of one kind in one phase.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// Done.
    pub ok: u64,
    /// Refused, by code.
    pub refused: BTreeMap<String, u64>,
    /// Of those done.
    pub took: Quantiles,
    /// Of those refused: how long people waited for it.
    pub waited: Quantiles,
}

impl Cell {
    /// Counts.
    pub fn of<'a>(samples: impl Iterator<Item = &'a Sample>) -> Outcome<Self> {
        let (mut cell, mut took, mut waited) = (Self::default(), Vec::new(), Vec::new());
        for sample in samples {
            match &sample.refused {
                None => {
                    cell.ok += 1;
                    took.push(sample.took);
                }
                Some(code) => {
                    *cell.refused.entry(code.clone()).or_default() += 1;
                    waited.push(sample.took);
                }
            }
        }
        cell.took = Quantiles::collect(took.into_iter())?;
        cell.waited = Quantiles::collect(waited.into_iter())?;
        Ok(cell)
    }
}

/// One line of JSON for each second and kind in which something ended.
pub fn by_second(store: &str, window: &Window, samples: &[Sample]) -> Outcome<Vec<Value>> {
    let mut groups: BTreeMap<(u64, Kind), Vec<&Sample>> = BTreeMap::new();
    for sample in samples {
        let second = sample.ended().saturating_duration_since(window.began).as_secs();
        groups.entry((second, sample.kind)).or_default().push(sample);
    }
    let line = |((second, kind), samples): ((u64, Kind), Vec<&Sample>)| {
        let cell = Cell::of(samples.into_iter())?;
        Ok(json!({
            "store": store, "second": second, "operation": kind.label(), "ok": cell.ok,
            "refused": cell.refused, "p50_ms": cell.took.p50.as_secs_f64() * 1000.0,
            "p99_ms": cell.took.p99.as_secs_f64() * 1000.0,
        }))
    };
    groups.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_touches_the_outage_belongs_to_it() {
        let began = Instant::now();
        let at = |s| began + Duration::from_secs(s);
        let window = Window { began, killed: at(10), back: at(20) };
        assert_eq!(window.phase(at(1), at(9)), Phase::Before);
        assert_eq!(window.phase(at(9), at(11)), Phase::During);
        assert_eq!(window.phase(at(9), at(21)), Phase::During);
        assert_eq!(window.phase(at(19), at(21)), Phase::During);
        assert_eq!(window.phase(at(20), at(21)), Phase::After);
    }

    #[test]
    fn refusals_are_counted_by_code() {
        let journal = Journal::default();
        journal.note(Kind::Edit, Instant::now(), None);
        for _ in 0..2 {
            journal.note(Kind::Edit, Instant::now(), Some("unavailable".to_owned()));
        }
        let samples = journal.samples();
        let cell = Cell::of(samples.iter()).unwrap();
        assert_eq!((cell.ok, cell.refused["unavailable"]), (1, 2));
        assert_eq!((cell.took.count, cell.waited.count), (1, 2));
    }
}
