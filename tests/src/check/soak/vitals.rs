//! What processes hold: memory, open files and threads; and what the bus holds for them:
//! subscriptions, connections, entries that are delivered and not acknowledged.
//!
//! Invariant: a process is known by its name over all its restarts; a look never waits for one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::check::faults::World;
use crate::json::Look as _;
use crate::{Context as _, Outcome, process};

/// One look at one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// Its number in the system.
    pub pid: u32,
    /// Bytes in memory.
    pub memory: u64,
    /// Open files.
    pub files: u64,
    /// Threads.
    pub threads: u64,
}

/// One process over the whole run.
#[derive(Clone, Debug, Default)]
pub(super) struct Life {
    /// Before the first fault, the last look so far.
    pub start: Option<Look>,
    /// After the last fault.
    pub end: Option<Look>,
    /// The most of each.
    pub most: Look,
    /// How often another process was found under its name.
    pub restarts: u64,
    /// The last look so far.
    pub last: Option<Look>,
    /// Bytes in memory at every look while faults came.
    pub between: Vec<u64>,
}

/// All processes.
#[derive(Clone, Debug, Default)]
pub(super) struct Vitals {
    /// By name.
    pub lives: BTreeMap<String, Life>,
}

impl Vitals {
    /// Looks at every process that runs.
    pub(super) fn look(&mut self, world: &mut World) {
        let mut pids: Vec<(String, u32)> = Vec::new();
        for node in world.stack.nodes() {
            if !node.ended() {
                pids.push((node.name().to_owned(), node.pid()));
            }
        }
        for name in world.stack.names() {
            if let Ok(Some(pid)) = world.stack.pid(&name) {
                pids.push((name, pid));
            }
        }
        for (name, pid) in pids {
            // One that has just ended cannot be looked at.
            if let Some(look) = Look::at(pid) {
                self.lives.entry(name).or_default().take(look);
            }
        }
    }

    /// What was seen last is what there was at the start.
    pub(super) fn mark_start(&mut self) {
        for life in self.lives.values_mut() {
            life.start = life.last;
            life.between.clear();
        }
    }

    /// What was seen last is what there was at the end.
    pub(super) fn mark_end(&mut self) {
        self.lives.values_mut().for_each(|life| life.end = life.last);
    }
}

impl Life {
    fn take(&mut self, look: Look) {
        self.restarts += u64::from(self.last.is_some_and(|last| last.pid != look.pid));
        let most = self.most;
        self.most = Look {
            pid: look.pid,
            memory: most.memory.max(look.memory),
            files: most.files.max(look.files),
            threads: most.threads.max(look.threads),
        };
        self.last = Some(look);
        self.between.push(look.memory);
    }

    /// The median memory in each of so many equal parts of the run.
    pub(super) fn course(&self, parts: usize) -> Vec<u64> {
        let all = &self.between;
        let part = |n: usize| {
            let mut some = all.get(n * all.len() / parts..(n + 1) * all.len() / parts)?.to_vec();
            some.sort_unstable();
            some.get(some.len() / 2).copied()
        };
        (0..parts).filter_map(part).collect()
    }
}

impl Look {
    fn at(pid: u32) -> Option<Self> {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        let threads = process::status(pid, "Threads:")?;
        let memory = process::memory(pid)?;
        Some(Self { pid, memory, files: u64::try_from(files).ok()?, threads })
    }
}

/// What the bus holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Subscriptions of all clients, on all nodes.
    pub subscriptions: u64,
    /// Connections of clients, on all nodes.
    pub connections: u64,
    /// Consumers of all streams.
    pub consumers: u64,
    /// Delivered and not acknowledged, of all consumers.
    pub unacknowledged: u64,
    /// Not delivered yet, of all consumers.
    pub waiting: u64,
}

impl Held {
    /// Looks at all nodes and all consumers.
    pub(super) async fn look(world: &mut World) -> Outcome<Self> {
        let mut held = Self::default();
        for node in world.stack.nodes() {
            let connections = node.monitor("connz?subs=1&limit=10000").await?;
            for connection in connections.list("connections")? {
                held.connections += 1;
                held.subscriptions += connection.number("subscriptions")?;
            }
        }
        let names = world.bus.ask("STREAM.NAMES", &json!({})).await?;
        let names = names.during("the names of the streams")?;
        for stream in names.list("streams")? {
            let stream = stream.as_str().during("a stream without a name")?;
            let consumers = world.bus.ask(&format!("CONSUMER.LIST.{stream}"), &json!({})).await?;
            let consumers = consumers.during(format_args!("the consumers of {stream}"))?;
            let listed = consumers.get("consumers").and_then(Value::as_array);
            for consumer in listed.into_iter().flatten() {
                held.consumers += 1;
                held.unacknowledged += consumer.number("num_ack_pending")?;
                held.waiting += consumer.number("num_pending")?;
            }
        }
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_and_its_most_is_kept() {
        let look = Look::at(std::process::id()).unwrap();
        assert!(look.memory > 1_000_000 && look.files > 2 && look.threads > 0, "{look:?}");
        let mut life = Life::default();
        life.take(Look { memory: 5, ..look });
        life.take(Look { memory: 3, pid: look.pid + 1, ..look });
        assert_eq!((life.most.memory, life.restarts), (5, 1));
        assert_eq!(life.last.unwrap().memory, 3);
        life.between = vec![1, 9, 2, 4, 4, 4, 7];
        assert_eq!(life.course(2), [2, 4]);
        assert_eq!(life.course(7), life.between);
    }
}
