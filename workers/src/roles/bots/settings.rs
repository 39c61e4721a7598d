//! `[bots]`.

use bus_schema::runtime::service::ServiceSettings;
use serde::{Deserialize, Serialize};

/// `[bots]`: bots, and how they take their events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BotsSettings {
    /// Seconds a bot has to acknowledge an event before it is given it again; then twice as many,
    /// and so on up to a minute.
    pub ack_within_s: u64,
    /// Events a bot may have unacknowledged. More than one is faster over long ways, but after a
    /// bot died newer events may come before those it had not acknowledged.
    pub max_unacknowledged: i64,
    /// Days that credentials hold. A bot renews its own before.
    pub credentials_days: u32,
    /// How it serves.
    pub service: ServiceSettings,
}

impl Default for BotsSettings {
    fn default() -> Self {
        Self {
            ack_within_s: 5,
            max_unacknowledged: 1,
            credentials_days: 90,
            service: ServiceSettings::default(),
        }
    }
}
