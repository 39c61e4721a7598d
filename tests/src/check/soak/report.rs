//! What a soak showed.
//!
//! Invariant: what counts as growth is said here and nowhere else.

use std::collections::BTreeMap;
use std::fmt;

use super::vitals::{Held, Life, Vitals};
use crate::check::judge::Judgement;
use crate::check::run::report::each;

/// A process that has this much more memory at the end has grown...
const GROWN_BYTES: u64 = 64 << 20;
/// ... if that is also more than this share of what it had.
const GROWN_PERCENT: u64 = 50;
/// Equal parts of the run for which it is told how much memory there was.
const PARTS: usize = 10;
/// Subscriptions, connections and consumers that may be more at the end: people have gone to other
/// edges, and conversations were made.
const SPARE: u64 = 100;

/// What there is to tell.
pub(super) struct Report {
    pub judgement: Judgement,
    pub wrong: Vec<String>,
    pub faults: BTreeMap<String, u64>,
    /// Messages a second while faults came.
    pub acknowledged: f64,
    pub vitals: Vitals,
    /// At the start, at the end, at rest.
    pub held: Vec<(&'static str, Held)>,
}

impl Report {
    /// Whether all was as promised, and nothing grew.
    pub(super) fn is_good(&self) -> bool {
        self.judgement.is_clean() && self.wrong.is_empty() && self.grown().is_empty()
    }

    /// What grew, in words.
    fn grown(&self) -> Vec<String> {
        let mut grown = Vec::new();
        for (name, life) in &self.vitals.lives {
            if has_grown(life) {
                grown.push(format!("{name} has grown"));
            }
        }
        if let [(_, start), (_, end), (_, rest)] = self.held.as_slice() {
            for (what, before, after) in [
                ("subscriptions", start.subscriptions, end.subscriptions),
                ("connections", start.connections, end.connections),
                ("consumers", start.consumers, end.consumers),
            ] {
                if after > before + SPARE {
                    grown.push(format!("{what}: {before} at the start, {after} at the end"));
                }
            }
            if rest.unacknowledged > 0 {
                grown.push(format!("{} entries unacknowledged at rest", rest.unacknowledged));
            }
        } else {
            grown.push("not everything was looked at".to_owned());
        }
        grown
    }
}

fn has_grown(life: &Life) -> bool {
    let (Some(start), Some(end)) = (life.start, life.end) else { return true };
    let more = end.memory.saturating_sub(start.memory);
    more > GROWN_BYTES && more * 100 > start.memory * GROWN_PERCENT
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.judgement)?;
        writeln!(out, "faults: {}", each(&self.faults))?;
        writeln!(out, "{:.0} messages acknowledged a second under them", self.acknowledged)?;
        for wrong in &self.wrong {
            writeln!(out, "WRONG: {wrong}")?;
        }
        writeln!(
            out,
            "\n| process | MiB at the start / most / end | files | threads | restarts |"
        )?;
        writeln!(out, "|---|---|---|---|---|")?;
        for (name, life) in &self.vitals.lives {
            let (start, end) = (life.start.unwrap_or_default(), life.end.unwrap_or_default());
            let most = life.most;
            writeln!(
                out,
                "| {name} | {} / {} / {} | {} / {} / {} | {} / {} / {} | {} |",
                start.memory >> 20,
                most.memory >> 20,
                end.memory >> 20,
                start.files,
                most.files,
                end.files,
                start.threads,
                most.threads,
                end.threads,
                life.restarts
            )?;
        }
        writeln!(out, "\nmemory over the run, MiB, the median of each of {PARTS} equal parts:")?;
        for (name, life) in &self.vitals.lives {
            let course: Vec<_> =
                life.course(PARTS).iter().map(|bytes| (bytes >> 20).to_string()).collect();
            writeln!(out, "{name}: {}", course.join(" "))?;
        }
        writeln!(out)?;
        for (when, held) in &self.held {
            let Held { subscriptions, connections, consumers, unacknowledged, waiting } = held;
            writeln!(
                out,
                "{when}: {subscriptions} subscriptions, {connections} connections, {consumers} \
                 consumers, {unacknowledged} unacknowledged, {waiting} waiting"
            )?;
        }
        let grown = self.grown();
        grown.iter().try_for_each(|grown| writeln!(out, "GROWN: {grown}"))?;
        write!(out, "soak: {}", if self.is_good() { "GOOD" } else { "FAILED" })
    }
}

#[cfg(test)]
mod tests {
    use super::super::vitals::Look;
    use super::*;

    fn life(start: u64, end: u64) -> Life {
        let look = |mib: u64| Some(Look { memory: mib << 20, ..Look::default() });
        Life { start: look(start), end: look(end), ..Life::default() }
    }

    #[test]
    fn a_process_grows_by_much_and_by_a_share() {
        assert!(has_grown(&life(100, 200)));
        assert!(!has_grown(&life(10, 60)));
        assert!(!has_grown(&life(1000, 1200)));
        assert!(has_grown(&Life::default()), "one that was not seen is no proof");
    }
}
