//! `[store]`: which backend, and where its servers are.
//!
//! Invariant: either no server of the cluster is named, and everything is in the embedded directory,
//! or all three are. Passwords are in files of their own, never in an address.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::StoreErrorKind;
use super::cluster::cassandra::CassandraSettings;
use super::cluster::mongodb::MongoSettings;
use super::cluster::redis::RedisSettings;

/// Where data is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreSettings {
    /// Directory of the embedded store.
    pub embedded: PathBuf,
    /// Where history is, in a cluster.
    pub cassandra: CassandraSettings,
    /// Where people and channels are, in a cluster.
    pub mongodb: MongoSettings,
    /// Where profiles are cached, in a cluster.
    pub redis: RedisSettings,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self {
            embedded: PathBuf::from("natter-data"),
            cassandra: CassandraSettings::default(),
            mongodb: MongoSettings::default(),
            redis: RedisSettings::default(),
        }
    }
}

impl StoreSettings {
    /// Whether any server of the cluster is named.
    pub fn is_cluster(&self) -> bool {
        self.servers().iter().any(|(_, url)| !url.is_empty())
    }

    /// That all servers of the cluster are named.
    pub(crate) fn all_named(&self) -> Result<(), StoreError> {
        let missing: Vec<_> =
            self.servers().iter().filter(|(_, url)| url.is_empty()).map(|(key, _)| *key).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let why = format!("set all three addresses or none; missing: {}", missing.join(", "));
        Err(StoreError::new(StoreErrorKind::Unavailable, why))
    }

    fn servers(&self) -> [(&'static str, &str); 3] {
        [
            ("store.cassandra.url", &self.cassandra.url),
            ("store.mongodb.url", &self.mongodb.url),
            ("store.redis.url", &self.redis.url),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_needs_all_three() {
        let mut settings = StoreSettings::default();
        assert!(!settings.is_cluster());
        settings.mongodb.url = "mongodb://127.0.0.1".to_owned();
        assert!(settings.is_cluster());
        let error = settings.all_named().unwrap_err().to_string();
        assert!(error.contains("store.cassandra.url, store.redis.url"), "{error}");
        assert!(!error.contains("store.mongodb.url"), "{error}");
    }
}
