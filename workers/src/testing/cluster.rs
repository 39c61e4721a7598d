//! Where the real Cassandra, MongoDB and Redis are that tests use.
//!
//! Invariant: a server that cannot be found fails the test that needs it; nothing is skipped. All
//! tests share the servers, so each makes names of its own for what it keeps there.

use std::path::Path;

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

/// A name that no other test uses, for a keyspace, a database, a prefix.
pub(crate) fn unique_name() -> String {
    format!("natter_test_{:016x}", rand::random::<u64>())
}
