//! The cache of profiles in this process's memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bus_schema::events::VersionedUser;
use bus_schema::ids::UserId;
use moka::future::Cache;
use moka::ops::compute::Op;

use crate::store::profiles::{CacheLimits, Cached, ProfileCache, ProfileCaches};

/// After so long a profile is read again, whatever the settings allow: processes tell each other of
/// changes by messages, and one that a dying NATS node swallowed would show an old name until then.
const FRESH: Duration = Duration::from_secs(5);

/// Opens caches in memory, each for itself.
pub(crate) struct InMemory;

impl ProfileCaches for InMemory {
    fn open(&self, limits: CacheLimits) -> Arc<dyn ProfileCache> {
        let fresh = limits.fresh.min(FRESH);
        Arc::new(InProcess::new(CacheLimits { fresh, ..limits }))
    }
}

#[derive(Clone)]
struct Slot {
    /// None: there is no such account.
    profile: Option<VersionedUser>,
    read_at: Instant,
}

impl Slot {
    fn replaces(&self, old: &Self) -> bool {
        let rank = |slot: &Self| (slot.profile.as_ref().map(|p| p.version), slot.read_at);
        rank(self) >= rank(old)
    }
}

/// The embedded [`ProfileCache`].
pub(crate) struct InProcess {
    slots: Cache<UserId, Slot>,
    limits: CacheLimits,
}

impl InProcess {
    pub(crate) fn new(limits: CacheLimits) -> Self {
        let slots = Cache::builder().max_capacity(limits.entries).time_to_idle(limits.idle).build();
        Self { slots, limits }
    }

    fn judge(&self, slot: Slot) -> Cached {
        let age = slot.read_at.elapsed();
        match slot.profile {
            Some(profile) if age <= self.limits.fresh => Cached::Fresh(profile),
            Some(profile) => Cached::Stale(profile),
            None if age <= self.limits.absent => Cached::Absent,
            None => Cached::Unknown,
        }
    }

    async fn put_slot(&self, id: UserId, new: Slot) {
        self.slots
            .entry(id)
            .and_compute_with(async |present| match present {
                Some(old) if !new.replaces(old.value()) => Op::Nop,
                _ => Op::Put(new),
            })
            .await;
    }
}

#[async_trait]
impl ProfileCache for InProcess {
    async fn get(&self, ids: &[UserId]) -> Vec<Cached> {
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            let slot = self.slots.get(id).await;
            all.push(slot.map_or(Cached::Unknown, |slot| self.judge(slot)));
        }
        all
    }

    async fn put(&self, profiles: &[VersionedUser], read_at: Instant) {
        for profile in profiles {
            self.put_slot(profile.user.id, Slot { profile: Some(profile.clone()), read_at }).await;
        }
    }

    async fn put_absent(&self, ids: &[UserId], read_at: Instant) {
        for id in ids {
            self.put_slot(*id, Slot { profile: None, read_at }).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[tokio::test]
    async fn conforms() {
        conformance::profiles::suite(&InMemory).await;
    }
}
