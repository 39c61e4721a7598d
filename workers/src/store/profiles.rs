//! The cache of profiles that stands in front of the accounts.
//!
//! Invariant: putting never replaces a higher version by a lower one, so a slow reader cannot bring
//! an old profile back; and what was read from the accounts longer ago than `fresh` is never
//! [`Fresh`](Cached::Fresh), however late it was put. A cache may forget at any time, and one that
//! cannot be reached knows nothing: it never fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bus_schema::events::VersionedUser;
use bus_schema::ids::UserId;

/// What the cache knows of one id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cached {
    /// The profile, as recently as the cache promises.
    Fresh(VersionedUser),
    /// There was no such account a moment ago.
    Absent,
    /// The profile as it was some time ago: good only while the store does not answer.
    Stale(VersionedUser),
    /// Nothing.
    Unknown,
}

/// How long what is known is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CacheLimits {
    /// Profiles kept, where that is for this process to decide.
    pub(crate) entries: u64,
    /// How long one stays that nobody asks for. One that is asked for stays.
    pub(crate) idle: Duration,
    /// How long after it was read from the accounts one is believed, asked for or not.
    pub(crate) fresh: Duration,
    /// How long an id is believed not to exist.
    pub(crate) absent: Duration,
}

/// A cache, in this process or beside it. `read_at` is when the accounts were asked, at the latest.
#[async_trait]
pub(crate) trait ProfileCache: Send + Sync {
    /// What is known of these ids, in their order.
    async fn get(&self, ids: &[UserId]) -> Vec<Cached>;

    /// Keeps profiles, each unless a higher version is there.
    async fn put(&self, profiles: &[VersionedUser], read_at: Instant);

    /// Keeps that these accounts do not exist, each unless a profile is there.
    async fn put_absent(&self, ids: &[UserId], read_at: Instant);
}

/// Where profiles are cached; whoever serves them opens it.
pub(crate) trait ProfileCaches: Send + Sync {
    /// The cache. What it keeps running ends with it.
    fn open(&self, limits: CacheLimits) -> Arc<dyn ProfileCache>;
}
