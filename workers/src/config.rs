//! The settings of a worker process, section by section.
//!
//! Invariant: `deploy/config.default.toml` says the same as [`Settings::default`], key by key; a
//! test holds the two together. One file serves workers and edges, so sections that are not the
//! workers' are left to whose they are.

use std::net::SocketAddr;

use bus_schema::runtime::settings::{BusSettings, LogSettings};
use serde::{Deserialize, Serialize};

use crate::roles::Role;
use crate::roles::auditor::AuditorSettings;
use crate::roles::auth::AuthSettings;
use crate::roles::bots::BotsSettings;
use crate::roles::channels::ChannelsSettings;
use crate::roles::delivery::DeliverySettings;
use crate::roles::history::HistorySettings;
use crate::roles::ingress::IngressSettings;
use crate::roles::persister::PersisterSettings;
use crate::roles::profiles::ProfilesSettings;
use crate::roles::setup::SetupSettings;
use crate::store::settings::StoreSettings;

/// All of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How to reach NATS.
    pub bus: BusSettings,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Where data is kept.
    pub store: StoreSettings,
    /// The process.
    pub workers: WorkersSettings,
    /// Accounts, passwords, sessions.
    pub auth: AuthSettings,
    /// The cache of profiles.
    pub profiles: ProfilesSettings,
    /// Channels.
    pub channels: ChannelsSettings,
    /// Entries, messages, markers.
    pub history: HistorySettings,
    /// Bringing the log into the store.
    pub persister: PersisterSettings,
    /// Bots.
    pub bots: BotsSettings,
    /// What bots ask for.
    pub ingress: IngressSettings,
    /// What bots receive.
    pub delivery: DeliverySettings,
    /// Whether everything comes to all who must know of it.
    pub auditor: AuditorSettings,
    /// The streams.
    pub setup: SetupSettings,
}

/// `[workers]`: the process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkersSettings {
    /// What it does.
    pub roles: Vec<Role>,
    /// Where operators find health and metrics.
    pub admin_listen: SocketAddr,
    /// Seconds from being asked to stop until whatever still runs is cut off.
    pub stop_within_s: u64,
}

impl Default for WorkersSettings {
    fn default() -> Self {
        Self {
            roles: Role::ALL.to_vec(),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9_090)),
            stop_within_s: 20,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bus_schema::runtime::settings::load;

    use super::*;

    const REFERENCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/config.default.toml");

    #[test]
    fn the_reference_says_every_default_and_nothing_else() {
        let text = std::fs::read_to_string(REFERENCE).unwrap();
        let mut said: toml::Table = toml::from_str(&text).unwrap();
        said.remove("edge");
        let defaults = toml::Table::try_from(Settings::default()).unwrap();
        assert_eq!(said, defaults);
    }

    #[test]
    fn the_reference_can_be_read_as_settings() {
        let read: Settings = load(Some(Path::new(REFERENCE)), toml::Table::new()).unwrap();
        let defaults = toml::Table::try_from(Settings::default()).unwrap();
        assert_eq!(toml::Table::try_from(read).unwrap(), defaults);
    }

    #[test]
    fn a_mistyped_key_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("natter.toml");
        std::fs::write(&file, "[auth]\nregistratoin = \"closed\"\n").unwrap();
        let error = load::<Settings>(Some(&file), toml::Table::new()).unwrap_err();
        assert!(error.to_string().contains("registratoin"), "{error}");
    }
}
