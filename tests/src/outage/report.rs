//! One outage in a table, and everything that was not as it should be.
//!
//! Invariant: it is good only when nothing was lost, twice or out of order, every promise was kept,
//! no process of ours was started anew, and connections to the store stayed bounded.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use super::duty::{Duty, STORM, STORM_SPARE, Store};
use super::journal::{Cell, Phase, Sample, Window};
use super::judge::{first_success, judge};
use super::kind::Kind;
use super::truth::Message;
use super::verify::Findings;
use crate::Outcome;
use crate::replay::compare::Tally;
use crate::replay::progress::Quantiles;

/// Differences that are told one by one.
const TOLD: usize = 12;

/// Connections to the store's port: the most at once, and the most opened in a second.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Before it was killed.
    pub before: (usize, usize),
    /// After it was back.
    pub after: (usize, usize),
}

/// Live delivery in one phase.
#[derive(Clone, Copy, Debug, Default)]
struct Live {
    took: Quantiles,
    worst: Duration,
}

/// Everything that one outage showed.
pub struct Report {
    store: Store,
    duty: Duty,
    window: Window,
    rows: Vec<(Kind, [Cell; 3], Option<Duration>)>,
    live: [Live; 3],
    connections: Option<Connections>,
    processes: (BTreeMap<String, u64>, BTreeMap<String, u64>),
    findings: Findings,
    broken: Vec<String>,
    wrongs: (u64, Vec<String>),
}

/// What a report is made of.
pub struct Facts<'a> {
    /// What was killed.
    pub store: Store,
    /// When.
    pub window: Window,
    /// What people did.
    pub samples: &'a [Sample],
    /// Messages that came live, with when each did.
    pub live: Vec<(u64, Instant)>,
    /// What was acknowledged.
    pub messages: BTreeMap<u64, Message>,
    /// Connections to the store, if there is one.
    pub connections: Option<Connections>,
    /// Our processes before and after.
    pub processes: (BTreeMap<String, u64>, BTreeMap<String, u64>),
    /// What the comparison found.
    pub findings: Findings,
    /// What was seen to be wrong on the way.
    pub wrongs: (u64, Vec<String>),
}

impl Report {
    /// Draws it up.
    pub fn new(facts: Facts<'_>) -> Outcome<Self> {
        let duty = super::duty::duty(facts.store);
        let mut rows = Vec::new();
        for kind in Kind::ALL {
            let mut cells = <[Cell; 3]>::default();
            for (cell, phase) in cells.iter_mut().zip(Phase::ALL) {
                let here = |sample: &&Sample| {
                    let at = facts.window.phase(sample.began, sample.ended());
                    sample.kind == kind && at == phase
                };
                *cell = Cell::of(facts.samples.iter().filter(here))?;
            }
            rows.push((kind, cells, first_success(&facts.window, kind, facts.samples)));
        }
        let mut broken = judge(&duty, &facts.window, facts.samples);
        if let Some(Connections { before, after }) = facts.connections {
            let bound = STORM * before.0 + STORM_SPARE;
            if after.0 > bound || after.1 > bound {
                broken.push(format!(
                    "{} connections to the store after its return, {} opened in one second: more \
                     than {bound}",
                    after.0, after.1
                ));
            }
        }
        if facts.processes.0 != facts.processes.1 {
            broken.push("a process of ours was started anew".to_owned());
        }
        Ok(Self {
            store: facts.store,
            duty,
            window: facts.window,
            rows,
            live: live(&facts)?,
            connections: facts.connections,
            processes: facts.processes,
            findings: facts.findings,
            broken,
            wrongs: facts.wrongs,
        })
    }

    /// Whether everything is as it must be.
    pub fn good(&self) -> bool {
        let clean = self.findings.tallies.values().all(Tally::clean);
        let kept = self.broken.is_empty() && self.wrongs.0 == 0;
        clean && kept && self.findings.list.is_empty()
    }

    fn table(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:<23} {:<6} | {:<32} | {:<32} | {:<32} | first ok",
            "operation",
            "",
            "before: ok, p50/p99 ms",
            "during: ok, p50/p99 ms",
            "after: ok, p50/p99 ms"
        )?;
        for (kind, cells, first) in &self.rows {
            let duty = if self.duty.must(*kind) { "must" } else { "may" };
            write!(out, "{:<23} {duty:<6}", kind.label())?;
            for cell in cells {
                write!(out, " | {:<32}", told(cell))?;
            }
            let first = first.map(|took| format!("{:.1} s", took.as_secs_f64()));
            writeln!(out, " | {}", first.unwrap_or_else(|| "never".to_owned()))?;
            let refused: BTreeMap<_, _> =
                Phase::ALL.into_iter().zip(cells).filter(|(_, c)| !c.refused.is_empty()).collect();
            for (phase, cell) in refused {
                let codes: Vec<_> =
                    cell.refused.iter().map(|(code, count)| format!("{count} {code}")).collect();
                writeln!(
                    out,
                    "    refused {phase:?}: {}, after p50 {:.0} ms, p99 {:.0} ms",
                    codes.join(", "),
                    ms(cell.waited.p50),
                    ms(cell.waited.p99)
                )?;
            }
        }
        Ok(())
    }
}

fn live(facts: &Facts<'_>) -> Outcome<[Live; 3]> {
    let mut all = <[Live; 3]>::default();
    for (live, phase) in all.iter_mut().zip(Phase::ALL) {
        let took = facts.live.iter().filter_map(|(id, at)| {
            let first = facts.messages.get(id)?.first;
            let here = facts.window.phase(first, *at) == phase;
            here.then(|| at.saturating_duration_since(first))
        });
        let took: Vec<_> = took.collect();
        live.worst = took.iter().max().copied().unwrap_or_default();
        live.took = Quantiles::collect(took.into_iter())?;
    }
    Ok(all)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn told(cell: &Cell) -> String {
    let refused: u64 = cell.refused.values().sum();
    let took = format!("{:.0}/{:.0}", ms(cell.took.p50), ms(cell.took.p99));
    let took = if cell.ok == 0 { "-".to_owned() } else { took };
    if refused == 0 {
        format!("{} {took}", cell.ok)
    } else {
        format!("{} {took}, {refused} refused", cell.ok)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let down = (self.window.back - self.window.killed).as_secs_f64();
        writeln!(out, "\n== {} killed; it served again after {down:.0} s", self.store)?;
        writeln!(out, "promise: {}", self.duty.promise)?;
        self.table(out)?;
        for (live, phase) in self.live.iter().zip(Phase::ALL) {
            writeln!(
                out,
                "live delivery {phase:?}: {}, worst {:.1} ms",
                live.took,
                ms(live.worst)
            )?;
        }
        if let Some(Connections { before, after }) = self.connections {
            writeln!(
                out,
                "connections to the store: {} at once before; after its return at most {} at once, \
                 {} opened in one second",
                before.0, after.0, after.1
            )?;
        }
        let processes = |all: &BTreeMap<String, u64>| {
            all.iter().map(|(name, pid)| format!("{name} {pid}")).collect::<Vec<_>>().join(", ")
        };
        writeln!(out, "processes before: {}", processes(&self.processes.0))?;
        writeln!(out, "processes after:  {}", processes(&self.processes.1))?;
        for (name, tally) in &self.findings.tallies {
            let Tally { wanted, lost, twice, disordered, changed, strange } = tally;
            writeln!(
                out,
                "{name}: {wanted} compared, {lost} lost, {twice} twice, {disordered} out of order, \
                 {changed} changed, {strange} of nobody's making"
            )?;
        }
        for finding in self.findings.list.iter().take(TOLD) {
            writeln!(out, "  {finding}")?;
        }
        for broken in &self.broken {
            writeln!(out, "  not as promised: {broken}")?;
        }
        for wrong in self.wrongs.1.iter().take(TOLD) {
            writeln!(out, "  seen: {wrong}")?;
        }
        write!(
            out,
            "{}: {} ({} differences, {} promises broken, {} wrongs seen)",
            self.store,
            if self.good() { "GOOD" } else { "FAILED" },
            self.findings.list.len(),
            self.broken.len(),
            self.wrongs.0
        )
    }
}
