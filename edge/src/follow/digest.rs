//! What headers cannot show: a lost last entry, an entry committed by a dying leader and never
//! republished, everything during a disconnection.
//!
//! History workers publish, each second, which places got entries in a range of a stream's
//! sequences. Invariant: [`Seen`] never passes a range that was not accounted for; where ranges do
//! not join, and after every reconnection and dropped message, one request a stream fills the hole.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bus_schema::events::Digest;
use bus_schema::ids::StreamIndex;
use bus_schema::ops::history::{Changes, ChangesRequest, Freshness};
use bus_schema::runtime::bus::jitter;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::log::leader;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::sabotage::{Safeguard, off};
use bus_schema::subjects::{self, LogSubject};
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep, sleep_until};

use crate::state::Edge;

/// The highest sequence of each stream that this edge has heard of.
#[derive(Debug)]
pub struct Heard(Vec<Mutex<u64>>);

impl Heard {
    pub(crate) fn new(streams: u16) -> Self {
        Self((0..streams).map(|_| Mutex::new(0)).collect())
    }

    /// Learns of a sequence.
    pub(crate) fn hear(&self, stream: StreamIndex, sequence: u64) {
        if let Some(highest) = self.0.get(usize::from(stream.0)) {
            let mut highest = highest.lock();
            *highest = (*highest).max(sequence);
        }
    }

    /// The highest sequence heard of.
    pub(crate) fn of(&self, stream: StreamIndex) -> u64 {
        self.0.get(usize::from(stream.0)).map_or(0, |highest| *highest.lock())
    }
}

/// Up to where a stream is accounted for, and what to do about a digest.
#[derive(Debug, Default)]
pub(super) struct Seen(Option<u64>);

/// What a digest asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It joins: look at its places.
    Joins,
    /// Entries between are unaccounted for: ask what changed after this.
    Hole(u64),
    /// The first that was heard, after this: what is followed already may have missed entries before.
    First(u64),
    /// Nothing new.
    Old,
}

impl Seen {
    pub(super) fn take(&mut self, digest: &Digest) -> Verdict {
        let Some(seen) = self.0 else {
            return Verdict::First(digest.from);
        };
        if digest.from > seen {
            return Verdict::Hole(seen);
        }
        if digest.to <= seen {
            return Verdict::Old;
        }
        self.0 = Some(digest.to);
        Verdict::Joins
    }

    pub(super) fn accounted(&mut self, through: u64) {
        self.0 = Some(self.0.unwrap_or(0).max(through));
    }

    #[cfg(test)]
    pub(super) const fn get(&self) -> Option<u64> {
        self.0
    }

    /// For the auditor: whoever has entries up to here was told.
    fn show(&self, edge: &Edge, stream: StreamIndex) {
        if let Some(seen) = self.0 {
            edge.positions.seen(stream, seen);
        }
    }
}

/// Live entries are given this long to come by themselves before a digest has them fetched.
const PATIENCE: Duration = Duration::from_secs(1);
/// Digests that wait for their turn; more are dropped, and found missing by the next.
const WAITING: usize = 4_096;

/// Watches the digests of one stream, reconnections and drops, until stopped.
pub(crate) async fn watch(edge: Arc<Edge>, stream: StreamIndex, shutdown: Shutdown) {
    let mut status = edge.bus.status();
    let mut seen = Seen::default();
    tokio::select! {
        () = shutdown.requested() => return,
        () = begin(&edge, stream, &mut seen) => {}
    }
    loop {
        let subscribed = edge.bus.client().subscribe(subjects::digest(stream)).await;
        let Ok(mut digests) = subscribed else {
            sleep(jitter(PATIENCE)).await;
            continue;
        };
        let mut waiting: VecDeque<(Instant, Digest)> = VecDeque::new();
        let (mut epoch, mut slow) = (status.borrow().epoch, status.borrow().slow);
        loop {
            let due = waiting.front().map_or_else(far, |(at, _)| *at);
            tokio::select! {
                () = shutdown.requested() => return,
                message = digests.next() => {
                    let Some(message) = message else { break };
                    if let Ok(digest) = serde_json::from_slice(&message.payload)
                        && waiting.len() < WAITING
                    {
                        waiting.push_back((Instant::now() + PATIENCE, digest));
                    }
                }
                () = sleep_until(due) => {
                    if let Some((_, digest)) = waiting.pop_front() {
                        apply(&edge, stream, &mut seen, &digest).await;
                        seen.show(&edge, stream);
                    }
                }
                changed = status.changed() => {
                    if changed.is_err() { return }
                    let now = *status.borrow();
                    let news = now.epoch != epoch || now.slow != slow;
                    (epoch, slow) = (now.epoch, now.slow);
                    if news && now.connected && !off(Safeguard::Reconnect) {
                        account(&edge, stream, &mut seen).await;
                        seen.show(&edge, stream);
                    }
                }
            }
        }
    }
}

/// Accounts from where the stream ends now: whoever begins to follow later begins there or after it. Without
/// that, an edge that loses its connection before its first digest would not know what it missed.
async fn begin(edge: &Edge, stream: StreamIndex, seen: &mut Seen) {
    match leader::ask(&edge.bus, stream).await {
        Ok(found) => {
            let last = found.cached_info().state.last_sequence;
            seen.accounted(last);
            edge.hub.doubt_stream(edge.layout, stream, last);
        }
        Err(error) => tracing::debug!(%stream, %error, "accounting begins with the first digest"),
    }
}

fn far() -> Instant {
    Instant::now() + Duration::from_hours(1)
}

/// Whoever follows a place must know that it has an entry.
fn tell(edge: &Edge, stream: StreamIndex, place: LogSubject, sequence: u64) {
    if let Some(id) = place.conversation()
        && edge.hub.find(id).is_some()
    {
        edge.positions.told(stream, id, sequence);
    }
    edge.hub.hear(place, sequence);
}

async fn apply(edge: &Arc<Edge>, stream: StreamIndex, seen: &mut Seen, digest: &Digest) {
    match seen.take(digest) {
        _ if off(Safeguard::Digest) => {}
        Verdict::Old => {}
        Verdict::Joins => {
            edge.heard.hear(stream, digest.to);
            for (place, sequence) in &digest.last {
                tell(edge, stream, *place, *sequence);
            }
        }
        Verdict::First(after) => {
            seen.accounted(after);
            edge.hub.doubt_stream(edge.layout, stream, after);
            account(edge, stream, seen).await;
        }
        Verdict::Hole(_) => account(edge, stream, seen).await,
    }
}

/// Asks what changed since the last accounted sequence, until it is answered.
async fn account(edge: &Arc<Edge>, stream: StreamIndex, seen: &mut Seen) {
    let Some(mut after) = seen.0.filter(|_| !off(Safeguard::Digest)) else { return };
    let mut wait = Duration::from_millis(100);
    loop {
        let fresh = Freshness { min: edge.heard.of(stream), latest: false };
        let request = ChangesRequest { after, fresh };
        match edge.bus.call::<Changes>(&Call::platform().stream(stream), &request).await {
            Ok(reply) => {
                if reply.too_old {
                    edge.hub.doubt_stream(edge.layout, stream, reply.through);
                }
                for (place, sequence) in &reply.places {
                    tell(edge, stream, *place, *sequence);
                }
                edge.heard.hear(stream, reply.through);
                seen.accounted(reply.through);
                if reply.too_old || reply.through <= after || reply.places.len() < CHANGES_CUT {
                    return;
                }
                after = reply.through;
            }
            Err(failure) => {
                tracing::debug!(%stream, %failure, "asking for changes again");
                sleep(jitter(wait)).await;
                wait = (wait * 2).min(Duration::from_secs(5));
                if !edge.bus.is_connected() {
                    return;
                }
            }
        }
    }
}

/// Below this many places an answer was not cut.
const CHANGES_CUT: usize = 20_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn digest(from: u64, to: u64) -> Digest {
        Digest { from, to, last: Vec::new() }
    }

    #[test]
    fn ranges_join_or_leave_a_hole() {
        let mut seen = Seen::default();
        assert_eq!(seen.take(&digest(5, 9)), Verdict::First(5));
        seen.accounted(9);
        assert_eq!(seen.take(&digest(9, 12)), Verdict::Joins);
        assert_eq!(seen.take(&digest(8, 11)), Verdict::Old, "another worker's");
        assert_eq!(seen.take(&digest(10, 14)), Verdict::Joins, "overlapping ranges join");
        assert_eq!(seen.take(&digest(15, 16)), Verdict::Hole(14));
    }

    proptest! {
        #[test]
        fn nothing_unaccounted_is_ever_passed(ranges in prop::collection::vec((0u64..30, 0u64..6), 0..40)) {
            let mut seen = Seen::default();
            seen.accounted(0);
            let mut accounted = 0;
            for (from, length) in ranges {
                match seen.take(&digest(from, from + length)) {
                    Verdict::Joins => {
                        prop_assert!(from <= accounted);
                        accounted = from + length;
                    }
                    Verdict::Old => prop_assert!(from + length <= accounted),
                    Verdict::Hole(after) => prop_assert_eq!(after, accounted),
                    Verdict::First(_) => prop_assert!(false, "it has begun"),
                }
                prop_assert_eq!(seen.0, Some(accounted));
            }
        }
    }
}
