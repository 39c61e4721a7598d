//! The end of a run, in words and numbers.
//!
//! Invariant: a run is good only when nothing was lost, twice or out of order, nothing went against
//! the protocol, and everything that was planned to go wrong has gone wrong.

use std::fmt;

use super::compare::Tally;
use super::input::Input;
use super::progress::Quantiles;
use super::verify::{Finding, Findings};
use super::{Options, Run};

/// Differences that are told one by one.
const TOLD: usize = 5;

/// All that a run found.
#[derive(Clone, Debug)]
pub struct Report {
    input: String,
    findings: Findings,
    violations: Vec<String>,
    violated: u64,
    shortfalls: Vec<String>,
    conditions: String,
    rate: f64,
    acks: Quantiles,
}

impl Report {
    /// Draws it up.
    pub fn new(options: &Options, input: &Input, run: &Run, findings: Findings) -> Self {
        let progress = &run.progress;
        let mut shortfalls = Vec::new();
        let mut fewer = |what: &str, done: u64, planned: usize| {
            if done < planned as u64 {
                shortfalls.push(format!("only {done} of {planned} {what}"));
            }
        };
        fewer("messages", progress.sent(), input.messages());
        fewer("disconnects", progress.cuts.get(), options.reconnects);
        fewer("resumes", progress.resumed.get(), options.reconnects);
        fewer("kills of an edge", progress.kills.get(), options.edge_kills);
        fewer("kills of a bot", progress.bot_kills.get(), options.kill_bots);
        let conditions = format!(
            "{} observers on {} edges, seed {}: {} planned disconnects, {} connections broken \
             again before RESUMED, {} lost otherwise, {} resumed, {} gaps, {} entries paged; {} kills of an edge; {} sockets of \
             authors, {} messages repeated, {} refusals waited for; {} bots in {} channels, {} of them \
             killed, {} events given again",
            options.observers,
            run.edges.len(),
            options.seed,
            progress.cuts.get(),
            progress.broken.get(),
            progress.lost.get(),
            progress.resumed.get(),
            progress.gaps.get(),
            progress.paged.get(),
            progress.kills.get(),
            progress.author_sockets.get(),
            progress.repeated.get(),
            progress.refused.get(),
            options.bots,
            input.days.len(),
            progress.bot_kills.get(),
            findings.given_again,
        );
        Self {
            input: input.to_string(),
            findings,
            violations: progress.violations(),
            violated: progress.violated.get(),
            shortfalls,
            conditions,
            rate: progress.rate(),
            acks: progress.acks(),
        }
    }

    /// Whether everything is as it must be.
    pub fn good(&self) -> bool {
        let clean = self.findings.tallies.values().all(Tally::clean);
        clean && self.findings.list.is_empty() && self.violated == 0 && self.shortfalls.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "\n{}\n{}", self.input, self.conditions)?;
        writeln!(
            out,
            "{:.0} messages/s; ack {}; live delivery {}",
            self.rate, self.acks, self.findings.live
        )?;
        let mut sum = Tally::default();
        for (name, tally) in &self.findings.tallies {
            let Tally { wanted, lost, twice, disordered, changed, strange } = tally;
            writeln!(
                out,
                "{name}: {wanted} compared, {lost} lost, {twice} twice, {disordered} out of order, \
                 {changed} changed, {strange} of nobody's making"
            )?;
            sum += *tally;
        }
        for Finding { channel, entry, what } in self.findings.list.iter().take(TOLD) {
            writeln!(out, "  in {channel}: entry {entry} {what}")?;
        }
        for violation in self.violations.iter().take(TOLD) {
            writeln!(out, "  against the protocol: {violation}")?;
        }
        for shortfall in &self.shortfalls {
            writeln!(out, "  not as planned: {shortfall}")?;
        }
        let Tally { lost, twice, disordered, changed, strange, .. } = sum;
        writeln!(
            out,
            "lost {lost}, twice {twice}, out of order {disordered} (changed {changed}, of nobody's \
             making {strange}, against the protocol {})",
            self.violated
        )?;
        write!(out, "{}", if self.good() { "GOOD" } else { "FAILED" })
    }
}
