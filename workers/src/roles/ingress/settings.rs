//! `[ingress]`.

use bus_schema::runtime::log::group::GroupSettings;
use bus_schema::runtime::service::ServiceSettings;
use serde::{Deserialize, Serialize};

/// `[ingress]`: what bots ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngressSettings {
    /// Requests of one bot in a second, at this process.
    pub requests_per_s: u32,
    /// Requests of one bot at once.
    pub requests_burst: u32,
    /// Appends to one stream that may wait; further ones are `unavailable`.
    pub append_queue: usize,
    /// Appends to one stream that are committed together at most.
    pub append_together: usize,
    /// How it serves.
    pub service: ServiceSettings,
}

impl Default for IngressSettings {
    fn default() -> Self {
        Self {
            requests_per_s: 20,
            requests_burst: 100,
            append_queue: 4_096,
            append_together: 128,
            service: ServiceSettings::default(),
        }
    }
}

impl IngressSettings {
    pub(super) const fn appends(&self) -> GroupSettings {
        GroupSettings { members: self.append_together, queue: self.append_queue }
    }
}
