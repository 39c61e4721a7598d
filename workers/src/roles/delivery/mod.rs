//! The delivery role: brings the entries of a bot's conversations to the bot, exactly once.
//!
//! One at a time, whoever holds its lease, reads a stream of the log and copies each valid entry, as
//! the event that people's clients get, to every bot that is a member at the entry's place in the log:
//! from its own MEMBER_ADD to its own MEMBER_REMOVE, both included.
//!
//! Invariants: copies and the position up to which they go are written as one atomic batch, and the
//! batch expects the position that it follows. So whatever dies, for however long, the next begins
//! exactly where the last batch ended, and of two at once one is refused: nothing is lost or doubled,
//! and no window of de-duplication is relied on. Copies are written in log order, one batch after the
//! other. A bot that is too far behind is left out and, once it has caught up, told by a GAP of each
//! conversation what it was not given.
//!
//! Leaves out making consumers (the bots role) and what bots ask for (the ingress role).

mod backlog;
mod copy;
mod position;
mod who;
mod work;
mod write;

use std::sync::Arc;
use std::time::Duration;

use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::delivery_lease;
use serde::{Deserialize, Serialize};

use self::work::Worker;
use super::RoleError;
use crate::lease::{Leased, Timing, work_on_streams};
use crate::store::Stores;

/// `[delivery]`: the delivery role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeliverySettings {
    /// Events that may wait for a bot; beyond, it is left out until half of them are taken.
    pub backlog_events: u64,
    /// Entries read before their copies are written, at most.
    pub batch_entries: usize,
    /// Milliseconds to gather more after the first.
    pub batch_wait_ms: u64,
    /// Members of all conversations of a stream whose membership is kept in memory.
    pub members: usize,
    /// Messages of a stream that are remembered for edits and deletions to come.
    pub messages: usize,
    /// Milliseconds between two renewals of a lease.
    pub lease_renew_ms: u64,
    /// Milliseconds without renewal after which another takes over.
    pub lease_expire_ms: u64,
}

impl Default for DeliverySettings {
    fn default() -> Self {
        Self {
            backlog_events: 10_000,
            batch_entries: 500,
            batch_wait_ms: 2,
            members: 500_000,
            messages: 20_000,
            lease_renew_ms: 1_000,
            lease_expire_ms: 3_000,
        }
    }
}

/// Delivers every stream whose lease it gets, until stopped.
pub async fn run(
    bus: Bus,
    stores: Stores,
    settings: &DeliverySettings,
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
    const RETRY_STEP: Duration = Duration::from_millis(250);
    const RETRY_MAX: Duration = Duration::from_secs(5);
    const DOING: &'static str = "delivering to bots";

    fn lease(&self) -> String {
        delivery_lease(self.stream)
    }

    async fn while_held(&self, held: &Shutdown, failures: &mut u32) -> Result<(), RoleError> {
        self.run(held, failures).await
    }
}
