//! How long each stage of an IDENTIFY takes, by one clock read between two stages.
//!
//! Invariant: stages follow each other without a gap, so their sum is the whole. A stage that is
//! worked on again, because the list of conversations changed meanwhile, counts again.

use std::time::Duration;

use bus_schema::ids::UserId;
use tokio::time::Instant;

/// Stages of one IDENTIFY at most that are told in its log line: some, of each of a few rounds.
const TOLD: usize = 32;

/// The stages so far.
pub(super) struct Stages {
    since: Instant,
    told: Vec<(&'static str, Duration)>,
}

impl Stages {
    /// The first stage begins.
    pub(super) fn begin() -> Self {
        Self { since: Instant::now(), told: Vec::new() }
    }

    /// What was done since the last call, or the beginning, was this stage.
    pub(super) fn done(&mut self, stage: &'static str) {
        let now = Instant::now();
        let took = now - self.since;
        self.since = now;
        metrics::histogram!("natter_identify_stage_seconds", "stage" => stage).record(took);
        if self.told.len() < TOLD {
            self.told.push((stage, took));
        }
    }

    /// Logs all of it.
    pub(super) fn tell(&self, user: UserId) {
        tracing::debug!(%user, stages = ?self.told, "identified");
    }
}
