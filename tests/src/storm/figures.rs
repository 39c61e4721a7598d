//! What processes took: memory, as the system counts it, and work, as they count it.
//!
//! Invariant: memory is looked at all the time, so a peak of half a second is seen; counts are the
//! difference of two looks.

use std::collections::BTreeMap;
use std::fs::read_to_string;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::task::AbortOnDropHandle;

use crate::process::memory;
use crate::stack::Stack;
use crate::{Context as _, Outcome};

/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// Files that this program and an edge need beside sessions.
const SPARE: usize = 1_000;
/// What is counted, by the beginnings of names.
const COUNTED: [&str; 6] = [
    "natter_identify_admitted_total",
    "natter_identify_refused_total",
    "natter_catch_up_pulls_total",
    "natter_follow_fetches_total",
    "natter_sockets_lagged_total",
    "natter_operation_seconds_count",
];

/// How many sessions there can be, and why fewer than wanted.
pub fn room_for(wanted: usize, others: usize) -> Outcome<(usize, Option<String>)> {
    let limits = read_to_string("/proc/self/limits")?;
    let files = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let files =
        files.and_then(|rest| rest.split_whitespace().next()).during("no limit of files")?;
    let files = files.parse().unwrap_or(usize::MAX);
    let room = files.saturating_sub(SPARE + others);
    let why = (room < wanted).then(|| format!("{files} open files are allowed to a process"));
    Ok((wanted.min(room), why))
}

/// Bytes in memory, by process.
type Sizes = BTreeMap<String, u64>;

/// Looks at memory.
pub struct Memory {
    pids: BTreeMap<String, u32>,
    peak: Arc<Mutex<Sizes>>,
    _looking: AbortOnDropHandle<()>,
}

impl Memory {
    /// Looks at all processes of a platform from now on.
    pub fn watch(stack: &Stack) -> Outcome<Self> {
        let mut pids = BTreeMap::new();
        for name in stack.names() {
            if let Some(pid) = stack.pid(&name)? {
                pids.insert(name, pid);
            }
        }
        let peak = Arc::new(Mutex::new(Sizes::new()));
        let (peaks, watched) = (peak.clone(), pids.clone());
        let looking = tokio::spawn(async move {
            loop {
                for (name, size) in sizes(&watched) {
                    let mut peaks = peaks.lock().unwrap_or_else(PoisonError::into_inner);
                    let most = peaks.entry(name).or_default();
                    *most = size.max(*most);
                }
                sleep(LOOK).await;
            }
        });
        Ok(Self { pids, peak, _looking: AbortOnDropHandle::new(looking) })
    }

    /// What there is now.
    pub fn now(&self) -> Sizes {
        sizes(&self.pids)
    }

    /// Each process with its sizes before, at its peak, and now.
    pub fn report(&self, before: &Sizes) -> Vec<(String, [u64; 3])> {
        let (peak, now) = (self.peak.lock().unwrap_or_else(PoisonError::into_inner), self.now());
        let size = |sizes: &Sizes, name| sizes.get(name).copied().unwrap_or(0);
        let all = self.pids.keys();
        all.map(|name| (name.clone(), [size(before, name), size(&peak, name), size(&now, name)]))
            .collect()
    }
}

fn sizes(pids: &BTreeMap<String, u32>) -> Sizes {
    pids.iter().filter_map(|(name, pid)| Some((name.clone(), memory(*pid)?))).collect()
}

/// Counters of the edge that all come to and of all workers.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<String, f64>);

impl Counts {
    /// Reads them.
    pub async fn read(stack: &Stack, edge: &str) -> Outcome<Self> {
        let mut all = BTreeMap::new();
        for name in stack.names().iter().filter(|n| *n == edge || n.starts_with("worker")) {
            for line in stack.metrics(name).await?.lines() {
                if COUNTED.iter().any(|counted| line.starts_with(counted))
                    && let Some((name, value)) = line.rsplit_once(' ')
                    && let Ok(value) = value.parse::<f64>()
                {
                    *all.entry(name.to_owned()).or_default() += value;
                }
            }
        }
        Ok(Self(all))
    }

    /// What was added.
    pub fn since(self, before: &Self) -> Self {
        let added = self.0.into_iter().map(|(name, value)| {
            let earlier = before.0.get(&name).copied().unwrap_or(0.0);
            (name, value - earlier)
        });
        Self(added.filter(|(_, value)| *value > 0.0).collect())
    }

    /// Each that is not 0.
    pub fn each(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.iter().map(|(name, value)| (name.as_str(), *value))
    }

    /// The sum of those whose line contains all of this.
    pub fn of(&self, parts: &[&str]) -> f64 {
        let ours = self.0.iter().filter(|(name, _)| parts.iter().all(|part| name.contains(part)));
        ours.fold(0.0, |sum, (_, value)| sum + value)
    }
}
