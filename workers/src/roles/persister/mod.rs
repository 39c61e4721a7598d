//! The persister role: brings the log into the store, in log order.
//!
//! A stream has one persister at a time: whoever holds its lease reads it with one ordered consumer
//! from the floor that the store holds. (A pinned pull consumer would keep the position in the
//! server as well, a second truth that can part from the store's; with the floor beside the rows
//! there is one.) Invariants: the floor never passes an entry that is
//! neither stored, void, nor kept as a dead letter; the log is trimmed only below the floor. Two
//! persisters of one stream at once, as a lease that is lost without knowing it may bring about,
//! do no harm: both judge alike, by what stands before each entry, and rows are idempotent.
//!
//! Leaves out reading for people, which is the history role's.

mod batch;
mod dead;
mod patience;
#[cfg(test)]
mod takeover_tests;
#[cfg(test)]
mod tests;
mod trim;
mod work;

use std::sync::Arc;
use std::time::Duration;

use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::LogStream;
use serde::{Deserialize, Serialize};

use self::work::Worker;
use super::RoleError;
use crate::lease::{Leased, Timing, work_on_streams};
use crate::store::Stores;

/// `[persister]`: the persister role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PersisterSettings {
    /// Entries of one write at most.
    pub batch_entries: usize,
    /// Bytes of one write at most.
    pub batch_bytes: usize,
    /// Milliseconds to gather a write after its first entry.
    pub batch_wait_ms: u64,
    /// Batches of a stream that are written at once.
    pub batches_at_once: usize,
    /// Members of all conversations of a stream whose membership is kept in memory.
    pub members: usize,
    /// Messages of a stream that are remembered for edits and deletions to come.
    pub messages: usize,
    /// Milliseconds between two renewals of a lease.
    pub lease_renew_ms: u64,
    /// Milliseconds without renewal after which another persister takes over.
    pub lease_expire_ms: u64,
    /// Seconds an entry stays in the log at least, stored or not.
    pub trim_after_s: u64,
    /// Seconds between two trims of the log.
    pub trim_every_s: u64,
}

impl Default for PersisterSettings {
    fn default() -> Self {
        Self {
            batch_entries: 1_000,
            batch_bytes: 4 * 1024 * 1024,
            batch_wait_ms: 50,
            batches_at_once: 3,
            members: 500_000,
            messages: 20_000,
            lease_renew_ms: 1_000,
            lease_expire_ms: 3_000,
            trim_after_s: 3_600,
            trim_every_s: 60,
        }
    }
}

/// Persists every stream whose lease it gets, until stopped.
pub async fn run(
    bus: Bus,
    stores: Stores,
    settings: &PersisterSettings,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    let (renew_ms, expire_ms) = (settings.lease_renew_ms, settings.lease_expire_ms);
    let timing = Timing { renew_ms, expire_ms };
    let worker = |stream| {
        let store = Arc::clone(&stores.history);
        Worker { bus: bus.clone(), store, stream, settings: *settings }
    };
    work_on_streams(&bus, timing, &shutdown, worker).await
}

impl Leased for Worker {
    const RETRY_STEP: Duration = Duration::from_secs(1);
    const RETRY_MAX: Duration = Duration::from_secs(10);
    const DOING: &'static str = "persisting";

    fn lease(&self) -> String {
        LogStream(self.stream).to_string()
    }

    async fn while_held(&self, held: &Shutdown, _failures: &mut u32) -> Result<(), RoleError> {
        self.run(held).await
    }
}
