//! `[profiles]`.

use std::time::Duration;

use bus_schema::runtime::service::ServiceSettings;
use serde::{Deserialize, Serialize};

use crate::store::profiles::CacheLimits;

/// `[profiles]`: the cache in front of the store, and telling others of changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProfilesSettings {
    /// Profiles kept in memory, where there is no Redis.
    pub cache_entries: u64,
    /// Seconds without use after which one leaves the cache.
    pub cache_idle_s: u64,
    /// Seconds after which one is read again, used or not; in memory 5 at most.
    pub fresh_s: u64,
    /// Milliseconds for which an id is believed not to exist.
    pub absent_ms: u64,
    /// Changes being told at once to all who see that person; beyond, nobody is told of a change
    /// before they look.
    pub fan_outs: usize,
    /// Conversations told of one change.
    pub fan_out_places: usize,
    /// How it serves.
    pub service: ServiceSettings,
}

impl Default for ProfilesSettings {
    fn default() -> Self {
        Self {
            cache_entries: 100_000,
            cache_idle_s: 600,
            fresh_s: 60,
            absent_ms: 2_000,
            fan_outs: 16,
            fan_out_places: 5_000,
            service: ServiceSettings::default(),
        }
    }
}

impl ProfilesSettings {
    /// What of this concerns the cache.
    pub(super) fn limits(&self) -> CacheLimits {
        CacheLimits {
            entries: self.cache_entries,
            idle: Duration::from_secs(self.cache_idle_s),
            fresh: Duration::from_secs(self.fresh_s),
            absent: Duration::from_millis(self.absent_ms),
        }
    }
}
