//! The cache of profiles: what it must do, and the one in this process's memory.
//!
//! Invariant: putting never replaces a higher version by a lower one, so a slow reader cannot bring
//! an old profile back. A cache may forget at any time.

use std::time::{Duration, Instant};

use async_trait::async_trait;
use bus_schema::events::VersionedUser;
use bus_schema::ids::UserId;
use moka::future::Cache;
use moka::ops::compute::Op;

use super::ProfilesSettings;

/// What the cache knows of one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cached {
    /// The profile, as recently as the cache promises.
    Fresh(VersionedUser),
    /// There was no such account a moment ago.
    Absent,
    /// The profile as it was some time ago: good only while the store does not answer.
    Stale(VersionedUser),
    /// Nothing.
    Unknown,
}

/// A cache, in this process or beside it.
#[async_trait]
pub(super) trait ProfileCache: Send + Sync {
    /// What is known of these ids, in their order.
    async fn get(&self, ids: &[UserId]) -> Vec<Cached>;

    /// Keeps profiles, each unless a higher version is there.
    async fn put(&self, profiles: &[VersionedUser]);

    /// Keeps that these accounts do not exist, each unless a profile is there.
    async fn put_absent(&self, ids: &[UserId]);
}

#[derive(Clone)]
struct Slot {
    profile: Option<VersionedUser>,
    read_at: Instant,
}

/// The cache in this process's memory.
pub(super) struct InProcess {
    slots: Cache<UserId, Slot>,
    fresh: Duration,
    absent: Duration,
}

impl InProcess {
    pub(super) fn new(settings: &ProfilesSettings) -> Self {
        Self {
            slots: Cache::builder()
                .max_capacity(settings.cache_entries)
                .time_to_idle(Duration::from_secs(settings.cache_idle_s))
                .build(),
            fresh: Duration::from_secs(settings.fresh_s),
            absent: Duration::from_millis(settings.absent_ms),
        }
    }

    fn judge(&self, slot: Slot) -> Cached {
        let age = slot.read_at.elapsed();
        match slot.profile {
            Some(profile) if age <= self.fresh => Cached::Fresh(profile),
            Some(profile) => Cached::Stale(profile),
            None if age <= self.absent => Cached::Absent,
            None => Cached::Unknown,
        }
    }

    async fn put_slot(&self, id: UserId, profile: Option<VersionedUser>) {
        let version = |p: &Option<VersionedUser>| p.as_ref().map(|p| p.version);
        let new = Slot { profile, read_at: Instant::now() };
        self.slots
            .entry(id)
            .and_compute_with(async |present| {
                let keep = present
                    .is_some_and(|old| version(&old.value().profile) > version(&new.profile));
                if keep { Op::Nop } else { Op::Put(new) }
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

    async fn put(&self, profiles: &[VersionedUser]) {
        for profile in profiles {
            self.put_slot(profile.user.id, Some(profile.clone())).await;
        }
    }

    async fn put_absent(&self, ids: &[UserId]) {
        for id in ids {
            self.put_slot(*id, None).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::profile;
    use super::*;

    fn cache(fresh_s: u64) -> InProcess {
        InProcess::new(&ProfilesSettings { fresh_s, absent_ms: 0, ..ProfilesSettings::default() })
    }

    #[tokio::test]
    async fn a_lower_version_never_replaces_a_higher_one() {
        let cache = cache(60);
        let (old, new) = (profile(1, 3, "old"), profile(1, 4, "new"));
        cache.put(std::slice::from_ref(&new)).await;
        cache.put(&[old]).await;
        cache.put_absent(&[UserId(1)]).await;
        assert_eq!(cache.get(&[UserId(1)]).await, [Cached::Fresh(new)]);
    }

    #[tokio::test]
    async fn age_makes_stale_and_absence_ends() {
        let cache = cache(0);
        let known = profile(1, 1, "x");
        cache.put(std::slice::from_ref(&known)).await;
        cache.put_absent(&[UserId(2)]).await;
        let seen = cache.get(&[UserId(1), UserId(2), UserId(3)]).await;
        assert_eq!(seen, [Cached::Stale(known), Cached::Unknown, Cached::Unknown]);
    }
}
