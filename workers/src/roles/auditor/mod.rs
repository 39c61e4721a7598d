//! The auditor role: whether every entry of the log has come to all who must know of it.
//!
//! For each stream one at a time, whoever holds its lease, looks each second at where the log ends
//! and how far the store, the edges and delivery to bots are. It looks for the rows of each new entry
//! once the store's floor has passed it, and goes again and again over all that the log still holds, so
//! that a row which is lost, altered or too many is found while the log can still tell.
//!
//! Invariants: nothing counts as accounted for because of silence, but for an edge that has been silent
//! so long that its people are elsewhere; what the auditor keeps depends on the number of edges and
//! streams, never of entries or conversations; it writes nothing but its lease, so it may die at any
//! moment, and two at once do no harm.
//!
//! Leaves out mending, and what sockets were given: that is `natter-check`'s to judge.

mod check;
mod edges;
mod faults;
mod fresh;
mod ledger;
mod listen;
mod show;
mod sweep;
mod term;

use std::sync::Arc;
use std::time::Duration;

use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::service::ServiceSettings;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::audit_lease;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio_util::task::AbortOnDropHandle;

use self::edges::Edges;
use self::term::Worker;
use super::RoleError;
use crate::lease::{Leased, Timing, work_on_streams};
use crate::store::Stores;

/// `[auditor]`: the auditor role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuditorSettings {
    /// Seconds from the begin of one pass over all that the log holds to that of the next, at least.
    pub sweep_every_s: u64,
    /// Entries of a stream that a pass goes over in a second, at most.
    pub sweep_per_s: u32,
    /// Entries by which looking for new rows may be behind the store's floor; beyond, those between
    /// are left to the next pass.
    pub behind_entries: u64,
    /// Seconds after which an entry that is not accounted for is late.
    pub late_s: u64,
    /// Seconds of silence after which an edge is no longer waited for.
    pub edge_silent_s: u64,
    /// Whether delivery to bots must come to know every entry too, once there was any.
    pub bots: bool,
    /// Members of all conversations of a stream whose membership is kept in memory.
    pub members: usize,
    /// Messages of a stream that are remembered for edits and deletions to come.
    pub messages: usize,
    /// Milliseconds between two renewals of a lease.
    pub lease_renew_ms: u64,
    /// Milliseconds without renewal after which another auditor takes over.
    pub lease_expire_ms: u64,
    /// How it serves.
    pub service: ServiceSettings,
}

impl Default for AuditorSettings {
    fn default() -> Self {
        Self {
            sweep_every_s: 60,
            sweep_per_s: 2_000,
            behind_entries: 20_000,
            late_s: 30,
            edge_silent_s: 60,
            bots: true,
            members: 100_000,
            messages: 20_000,
            lease_renew_ms: 1_000,
            lease_expire_ms: 3_000,
            service: ServiceSettings::default(),
        }
    }
}

/// Audits every stream whose lease it gets, until stopped.
pub async fn run(
    bus: Bus,
    stores: Stores,
    settings: &AuditorSettings,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    let (renew_ms, expire_ms) = (settings.lease_renew_ms, settings.lease_expire_ms);
    let timing = Timing { renew_ms, expire_ms };
    let edges = Arc::new(Mutex::new(Edges::new(Duration::from_secs(settings.edge_silent_s))));
    let listening = listen::listen(bus.clone(), Arc::clone(&edges), shutdown.clone());
    let listening = AbortOnDropHandle::new(tokio::spawn(listening));
    let worker = |stream| Worker {
        bus: bus.clone(),
        store: Arc::clone(&stores.history),
        edges: Arc::clone(&edges),
        stream,
        settings: *settings,
    };
    let worked = work_on_streams(&bus, timing, &shutdown, worker).await;
    bus.set_serving(false);
    worked?;
    listening.await.map_err(RoleError::new)
}

impl Leased for Worker {
    const RETRY_STEP: Duration = Duration::from_secs(1);
    const RETRY_MAX: Duration = Duration::from_secs(10);
    const DOING: &'static str = "auditing";

    fn lease(&self) -> String {
        audit_lease(self.stream)
    }

    async fn while_held(&self, held: &Shutdown, _failures: &mut u32) -> Result<(), RoleError> {
        let ended = Box::pin(self.run(held)).await;
        show::nothing(self.stream);
        // A service that has ended said that nothing is served; the next stream or term still is.
        self.bus.set_serving(true);
        ended
    }
}
