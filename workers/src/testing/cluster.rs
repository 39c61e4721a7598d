//! Where the real Cassandra, MongoDB and Redis are that tests use.
//!
//! Invariant: a server that cannot be found fails the test that needs it; nothing is skipped. All
//! tests share the servers, so each makes names of its own for what it keeps there.

use std::path::Path;
use std::sync::Arc;

use crate::store::cluster::cassandra::{CassandraSettings, connect};
use crate::store::cluster::history;
use crate::store::history::HistoryStore;

/// A server of the cluster stores.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Server {
    /// History.
    Cassandra,
    /// People and channels.
    Mongodb,
    /// Profiles.
    Redis,
}

impl Server {
    /// Its address: from the environment, else from what `./deploy/services up` left.
    pub(crate) fn url(self) -> String {
        let (variable, name) = match self {
            Self::Cassandra => ("NATTER_TEST_CASSANDRA", "cassandra"),
            Self::Mongodb => ("NATTER_TEST_MONGODB", "mongo"),
            Self::Redis => ("NATTER_TEST_REDIS", "redis"),
        };
        std::env::var(variable).ok().or_else(|| running(name)).unwrap_or_else(|| {
            panic!("no {name} to test with: run `./deploy/services up`, or name one in {variable}")
        })
    }
}

fn running(name: &str) -> Option<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../.natter/services/services.json");
    let said: serde_json::Value =
        serde_json::from_slice(&std::fs::read(Path::new(file)).ok()?).ok()?;
    said[name]["url"].as_str().map(str::to_owned)
}

/// A history in a keyspace of its own.
pub(crate) struct Keyspace {
    pub(crate) history: Arc<dyn HistoryStore>,
    settings: CassandraSettings,
}

impl Keyspace {
    /// Made on the server itself, then reached at `url`.
    pub(crate) async fn at(url: String) -> Self {
        let settings = CassandraSettings {
            url: Server::Cassandra.url(),
            keyspace: unique_name(),
            // Many tests share one small server.
            write_timeout_ms: 15_000,
            ..CassandraSettings::default()
        };
        history::open(&settings).migrate().await.unwrap();
        let reached = CassandraSettings { url, ..settings.clone() };
        Self { history: Arc::new(history::open(&reached)), settings }
    }

    /// Drops it: each costs the server memory.
    pub(crate) async fn drop(self) {
        let session = connect(&self.settings).await.unwrap();
        let cql = format!("DROP KEYSPACE {}", self.settings.keyspace);
        session.query_unpaged(cql, ()).await.unwrap();
    }
}

/// A name that no other test uses, for a keyspace, a database, a prefix.
pub(crate) fn unique_name() -> String {
    format!("natter_test_{:016x}", rand::random::<u64>())
}
