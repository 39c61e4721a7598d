//! Waiting for a store that fails.
//!
//! Invariant: nothing is left out because it could not be stored: it is tried again, with a jittered
//! back-off, for as long as the lease is held. A failure is logged when it begins and each minute
//! that it lasts, and every one is counted, so that a row which the store refuses for ever is seen.

use std::time::Duration;

use bus_schema::ids::StreamIndex;
use bus_schema::runtime::bus::jitter;
use tokio::time::{Instant, sleep};

use crate::store::{StoreError, StoreErrorKind};

/// The wait after the first failure; it doubles with each,
const WAIT_MIN: Duration = Duration::from_millis(100);
/// up to this.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Between two log lines about the same failure.
const SAY: Duration = Duration::from_mins(1);

/// One thing that is tried until it succeeds.
pub(super) struct Patience {
    stream: StreamIndex,
    what: &'static str,
    /// The last sequence of the batch it is about.
    at: u64,
    wait: Duration,
    said: Option<Instant>,
}

impl Patience {
    pub(super) const fn new(stream: StreamIndex, what: &'static str, at: u64) -> Self {
        Self { stream, what, at, wait: WAIT_MIN, said: None }
    }

    /// Takes note of a failure, and waits.
    pub(super) async fn failed(&mut self, error: &StoreError) {
        let Self { stream, what, at, .. } = *self;
        let kind = match error.kind {
            StoreErrorKind::Unavailable | StoreErrorKind::Unknown => "unavailable",
            StoreErrorKind::Conflict | StoreErrorKind::NotFound | StoreErrorKind::Corrupt => {
                "refused"
            }
        };
        metrics::counter!(
            "natter_persister_failures_total",
            "stream" => stream.to_string(), "what" => what, "kind" => kind
        )
        .increment(1);
        if self.said.is_none_or(|said| said.elapsed() >= SAY) {
            self.said = Some(Instant::now());
            tracing::error!(%stream, upto = at, kind, store.error = %error, "cannot {what}; trying on");
        }
        sleep(jitter(self.wait)).await;
        self.wait = WAIT_MAX.min(self.wait * 2);
    }

    /// It succeeded.
    pub(super) fn done(&self) {
        if self.said.is_some() {
            let Self { stream, what, at, .. } = *self;
            tracing::info!(%stream, upto = at, "could {what} again");
        }
    }
}
