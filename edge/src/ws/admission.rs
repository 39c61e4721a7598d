//! Who may IDENTIFY now, who waits, and who is told when to come back.
//!
//! Invariants: IDENTIFYs begin at a bounded rate and are worked on by a bounded number at once, in
//! the order in which they came; nobody waits longer than they are meant to; who is sent away costs
//! neither a look-up nor a request to a worker, and gets a moment of their own to come back at, so that
//! many who come at once do not come at once again. Live delivery needs nothing from here, so what
//! is not admitted leaves the edge to those who are connected.
//!
//! Leaves out rates per address: `http::rate`.

mod schedule;

use std::time::Duration;

use bus_schema::error::Failure;
use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::config::EdgeSettings;
use schedule::{Pace, Schedule};

/// The door of an edge.
pub(crate) struct Admission {
    began: Instant,
    patience: Duration,
    schedule: Mutex<Schedule>,
    turns: Semaphore,
}

/// Sent away: come back after this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SentAway(pub(crate) Duration);

impl SentAway {
    /// The wait as clients are told it: never 0.
    pub(crate) fn after_ms(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX).max(1)
    }
}

impl From<SentAway> for Failure {
    fn from(away: SentAway) -> Self {
        Self::unavailable().retry_after_ms(away.after_ms())
    }
}

/// The right to be worked on; giving it back lets the next one in.
pub(crate) struct Turn<'a> {
    door: &'a Admission,
    since: Instant,
    _permit: SemaphorePermit<'a>,
}

impl Admission {
    pub(crate) fn new(settings: &EdgeSettings) -> Self {
        let patience = Duration::from_millis(settings.identify_wait_ms);
        let pace = Pace {
            per_s: settings.identify_per_s.max(1),
            burst: settings.identify_burst.max(1),
            at_once: settings.identify_concurrency.max(1),
            waiting: settings.identify_queue,
            patience,
        };
        Self {
            began: Instant::now(),
            patience,
            schedule: Mutex::new(Schedule::new(pace)),
            turns: Semaphore::new(settings.identify_concurrency.max(1)),
        }
    }

    /// Before a websocket is made: whether an IDENTIFY that came now would be sent away. So most of
    /// those who come at once are refused before they cost a connection's buffers.
    pub(crate) fn knock(&self) -> Result<(), SentAway> {
        let refused = self.schedule.lock().knock(self.began.elapsed());
        refused.map_or(Ok(()), |hint| Err(Self::send_away("upgrade", hint)))
    }

    /// Waits for a turn to be worked on.
    pub(crate) async fn turn(&self) -> Result<Turn<'_>, SentAway> {
        let now = self.began.elapsed();
        let start = self.schedule.lock().ask(now);
        let start = start.map_err(|hint| Self::send_away("identify", hint))?;
        let waiting = Waiting::begin(self);
        sleep_until(self.began + start).await;
        let until = self.began + now + self.patience;
        let Ok(Ok(permit)) = timeout_at(until, self.turns.acquire()).await else {
            drop(waiting);
            let hint = self.schedule.lock().appointment(self.began.elapsed());
            return Err(Self::send_away("late", hint));
        };
        metrics::counter!("natter_identify_admitted_total").increment(1);
        Ok(Turn { door: self, since: Instant::now(), _permit: permit })
    }

    /// The same wait, spread at random by a quarter and a bit more, for appointments are as regular
    /// as a clock and clients of several edges keep them.
    fn send_away(stage: &'static str, hint: Duration) -> SentAway {
        /// The spread of the shortest waits.
        const SPREAD: Duration = Duration::from_millis(250);
        metrics::counter!("natter_identify_refused_total", "stage" => stage).increment(1);
        let spread = hint / 4 + SPREAD;
        SentAway(hint + spread.mul_f64(rand::rng().random_range(0.0..1.0)))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.door.schedule.lock().took(self.since.elapsed());
    }
}

/// One of those who wait, for as long as they do.
struct Waiting<'a>(&'a Admission);

impl<'a> Waiting<'a> {
    fn begin(door: &'a Admission) -> Self {
        metrics::gauge!("natter_identify_waiting").increment(1);
        Self(door)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        metrics::gauge!("natter_identify_waiting").decrement(1);
        self.0.schedule.lock().left();
    }
}

#[cfg(test)]
mod tests;
