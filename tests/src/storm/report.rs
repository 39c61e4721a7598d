//! What a storm showed, and whether it was weathered.
//!
//! Invariant: it is good only when every session got every entry that it missed, once and in order,
//! in time, no other session lost its connection, and each channel's entries were fetched as often as
//! one, and not as there are sessions.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::figures::Counts;

/// Fetches for those who come back that a channel may cost: two, for some may have seen an entry
/// less than others when their edge died.
const FETCHES_PER_CHANNEL: usize = 2;

/// All figures.
pub struct Report {
    /// Sessions that lost their edge.
    pub clients: usize,
    /// Why they were not as many as wanted.
    pub why: Option<String>,
    /// Channels.
    pub channels: usize,
    /// Entries that each channel got meanwhile.
    pub missed: usize,
    /// From when they came until all had everything.
    pub took: Duration,
    /// What was waited for too long.
    pub late: Option<String>,
    /// When each had everything, ascending.
    pub caught_up: Vec<Duration>,
    /// Refusals by kind, and all hints, ascending.
    pub refused: (BTreeMap<&'static str, u64>, Vec<Duration>),
    /// How often something was wrong, and the first of it.
    pub wrong: (u64, Vec<String>),
    /// Live delivery to the others before, and during.
    pub live: [Vec<Duration>; 2],
    /// Each process: bytes before, at most, afterwards.
    pub memory: Vec<(String, [u64; 3])>,
    /// What was worked on.
    pub counts: Counts,
}

impl Report {
    fn fetches(&self) -> f64 {
        self.counts.of(&["natter_catch_up_pulls_total", "\"history\""])
    }

    /// Whether it was weathered.
    pub fn is_good(&self) -> bool {
        let most = u32::try_from(self.channels * FETCHES_PER_CHANNEL).unwrap_or(u32::MAX);
        self.late.is_none()
            && self.wrong.0 == 0
            && self.caught_up.len() == self.clients
            && self.fetches() <= f64::from(most)
    }
}

/// The value below which so many thousandths lie.
fn quantile(sorted: &[Duration], thousandths: usize) -> Duration {
    let index = (sorted.len() * thousandths / 1_000).min(sorted.len().saturating_sub(1));
    sorted.get(index).copied().unwrap_or_default()
}

fn quantiles(sorted: &[Duration]) -> String {
    let [p50, p99, worst] = [500, 990, 1_000].map(|part| quantile(sorted, part));
    format!("p50 {p50:.1?}, p99 {p99:.1?}, worst {worst:.1?} of {}", sorted.len())
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} sessions came back at once", self.clients)?;
        if let Some(why) = &self.why {
            writeln!(out, "  and not more, for {why}")?;
        }
        writeln!(out, "  {} channels, {} entries missed in each", self.channels, self.missed)?;
        writeln!(out, "caught up: {} (all after {:.1?})", quantiles(&self.caught_up), self.took)?;
        let (refused, hints) = &self.refused;
        writeln!(out, "refused, since the start: {refused:?}; hints {}", quantiles(hints))?;
        writeln!(out, "live, before: {}", quantiles(&self.live[0]))?;
        writeln!(out, "live, during: {}", quantiles(&self.live[1]))?;
        for (name, sizes) in &self.memory {
            let [before, peak, after] = sizes.map(|bytes| bytes / (1024 * 1024));
            writeln!(out, "memory of {name}: {before} MiB, at most {peak}, then {after}")?;
        }
        for (name, value) in self.counts.each() {
            writeln!(out, "  {name} {value}")?;
        }
        writeln!(out, "fetches for who came back: {}", self.fetches())?;
        for wrong in &self.wrong.1 {
            writeln!(out, "WRONG: {wrong}")?;
        }
        if let Some(late) = &self.late {
            writeln!(out, "LATE: {late}")?;
        }
        let verdict = if self.is_good() { "good" } else { "NOT good" };
        write!(out, "{verdict}: {} wrong", self.wrong.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_what_there_is() {
        let sorted: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(quantile(&sorted, 500), Duration::from_millis(51));
        assert_eq!(quantile(&sorted, 990), Duration::from_millis(100));
        assert_eq!(quantile(&sorted, 1_000), Duration::from_millis(100));
        assert_eq!(quantile(&[], 500), Duration::ZERO);
    }
}
