//! How a run went, and how all of them did.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::check::judge::{Counts, Judgement};
use crate::check::single::Costs;

/// How one run went.
#[derive(Debug)]
pub struct Report {
    /// What it began with.
    pub seed: u64,
    /// From the start of the platform to the verdict.
    pub took: Duration,
    /// The verdict on its record.
    pub judgement: Judgement,
    /// What clients saw that no protocol allows, and who was stuck.
    pub wrong: Vec<String>,
    /// Faults of each kind that were injected.
    pub faults: BTreeMap<String, u64>,
    /// What the faults cost, where that was asked for.
    pub costs: Option<Costs>,
    /// Where the record of a run that was not clean is kept.
    pub kept: Option<PathBuf>,
}

impl Report {
    /// Whether everything was as promised.
    pub fn is_clean(&self) -> bool {
        self.wrong.is_empty() && self.judgement.is_clean()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_clean() { "clean" } else { "FAILED" };
        writeln!(out, "seed {}: {word} after {:.0?}", self.seed, self.took)?;
        write!(out, "{}", self.judgement)?;
        writeln!(out, "faults: {}", each(&self.faults))?;
        for wrong in &self.wrong {
            writeln!(out, "WRONG: {wrong}")?;
        }
        if let Some(file) = &self.kept {
            writeln!(out, "kept: {}", file.display())?;
        }
        Ok(())
    }
}

/// How all runs went.
#[derive(Clone, Debug, Default)]
pub struct Sum {
    /// Runs that were begun.
    pub runs: u64,
    /// Those that came to their end.
    pub ended: u64,
    /// Those in which everything was as promised.
    pub clean: u64,
    /// Broken guarantees, and what else was wrong.
    pub violations: u64,
    counts: Counts,
    faults: BTreeMap<String, u64>,
}

impl Sum {
    /// One run more; none that could not be driven to its end.
    pub fn add(&mut self, report: Option<&Report>) {
        self.runs += 1;
        let Some(report) = report else { return };
        self.ended += 1;
        self.clean += u64::from(report.is_clean());
        self.violations += report.judgement.broken.values().sum::<u64>();
        self.violations += u64::try_from(report.wrong.len()).unwrap_or(u64::MAX);
        self.counts += report.judgement.counts;
        for (kind, count) in &report.faults {
            *self.faults.entry(kind.clone()).or_default() += count;
        }
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, ended, clean, violations, counts, faults } = self;
        writeln!(out, "{clean} of {runs} runs clean, {} not driven to their end", runs - ended)?;
        writeln!(out, "{counts}\nfaults: {}\nviolations: {violations}", each(faults))
    }
}

/// How many of each kind, in words.
pub(in crate::check) fn each(faults: &BTreeMap<String, u64>) -> String {
    let all: Vec<_> = faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    all.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_did_not_end_is_not_clean_and_what_is_wrong_counts() {
        let run = |wrong: &[&str]| Report {
            seed: 1,
            took: Duration::ZERO,
            judgement: Judgement::default(),
            wrong: wrong.iter().map(|&word| word.to_owned()).collect(),
            faults: BTreeMap::from([("kill-edge".to_owned(), 2)]),
            costs: None,
            kept: None,
        };
        let mut sum = Sum::default();
        for report in [Some(&run(&[])), Some(&run(&["stuck"])), None] {
            sum.add(report);
        }
        assert_eq!((sum.runs, sum.ended, sum.clean, sum.violations), (3, 2, 1, 1));
        assert!(sum.to_string().contains("kill-edge 4"), "{sum}");
    }
}
