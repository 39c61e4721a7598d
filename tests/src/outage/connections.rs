//! How many connections lead to a port, by the system's own table.
//!
//! Invariant: a connection is counted on the side of whoever opened it, established or being made,
//! whichever process it is of. What is opened and closed between two looks is not seen.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::journal::locked;

/// How often is looked.
const EVERY: Duration = Duration::from_millis(100);
/// The system's tables.
const TABLES: [&str; 2] = ["/proc/net/tcp", "/proc/net/tcp6"];
/// ESTABLISHED and SYN_SENT, as the table writes them.
const OPEN: [&str; 2] = ["01", "02"];

/// One look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// When.
    pub at: Instant,
    /// Connections there.
    pub open: usize,
    /// Of these, not there at the look before.
    pub new: usize,
}

/// Looks until it is dropped.
pub struct Watch {
    looks: Arc<Mutex<Vec<Look>>>,
    _task: AbortOnDropHandle<()>,
}

impl Watch {
    /// Begins to look at a port.
    pub fn start(port: u16) -> Self {
        let looks = Arc::new(Mutex::new(Vec::new()));
        let task = tokio::spawn(look(port, looks.clone()));
        Self { looks, _task: AbortOnDropHandle::new(task) }
    }

    /// The most connections at once in a span of time, and the most opened within a second.
    pub fn peak(&self, from: Instant, to: Instant) -> (usize, usize) {
        peak(&locked(&self.looks), from, to)
    }
}

fn peak(looks: &[Look], from: Instant, to: Instant) -> (usize, usize) {
    let looks: Vec<_> = looks.iter().filter(|look| look.at >= from && look.at < to).collect();
    let open = looks.iter().map(|look| look.open).max().unwrap_or(0);
    let within = |first: &Look| {
        let near = looks
            .iter()
            .filter(|look| look.at >= first.at && look.at < first.at + Duration::from_secs(1));
        near.map(|look| look.new).sum::<usize>()
    };
    (open, looks.iter().map(|first| within(first)).max().unwrap_or(0))
}

async fn look(port: u16, looks: Arc<Mutex<Vec<Look>>>) {
    let mut tick = interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<BTreeSet<String>> = None;
    loop {
        tick.tick().await;
        let mut now = BTreeSet::new();
        for table in TABLES {
            // A system without the table has no connections to count; the report says zero.
            let text = tokio::fs::read_to_string(table).await.unwrap_or_default();
            now.extend(text.lines().filter_map(|line| local_end(line, port)));
        }
        let new = before.as_ref().map_or(0, |before| now.difference(before).count());
        locked(&looks).push(Look { at: Instant::now(), open: now.len(), new });
        before = Some(now);
    }
}

/// The local end of a line's connection, if it is open and leads to the port.
fn local_end(line: &str, port: u16) -> Option<String> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
    let (_, remote_port) = remote.rsplit_once(':')?;
    let leads_there = u16::from_str_radix(remote_port, 16).ok()? == port;
    (leads_there && OPEN.contains(&state)).then(|| local.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_open_connections_to_the_port_count() {
        let line = |remote: &str, state: &str| {
            format!("   0: 0100007F:C350 0100007F:{remote} {state} 00000000:00000000 00:00000000")
        };
        assert_eq!(local_end(&line("2352", "01"), 9042).as_deref(), Some("0100007F:C350"));
        assert!(local_end(&line("2352", "02"), 9042).is_some());
        assert!(local_end(&line("2352", "06"), 9042).is_none());
        assert!(local_end(&line("2353", "01"), 9042).is_none());
        assert!(local_end("  sl  local_address rem_address   st", 9042).is_none());
    }

    #[test]
    fn openings_are_summed_over_a_second() {
        let start = Instant::now();
        let look = |ms, open, new| Look { at: start + Duration::from_millis(ms), open, new };
        let looks = [look(0, 1, 1), look(900, 3, 2), look(1100, 4, 4), look(2500, 2, 1)];
        assert_eq!(peak(&looks, start, start + Duration::from_secs(3)), (4, 6));
        assert_eq!(
            peak(&looks, start + Duration::from_secs(2), start + Duration::from_secs(3)),
            (2, 1)
        );
    }
}
