//! The servers that tests share, and a keyspace and a database of one's own in them.

use std::path::Path;

use scylla::client::session_builder::SessionBuilder;

/// Where the cluster's stores are, and what a test calls its own there.
pub(crate) struct Servers {
    cassandra: String,
    mongodb: String,
    redis: String,
    name: String,
}

impl Servers {
    pub(crate) fn find() -> Self {
        Self {
            cassandra: server("NATTER_TEST_CASSANDRA", "cassandra"),
            mongodb: server("NATTER_TEST_MONGODB", "mongo"),
            redis: server("NATTER_TEST_REDIS", "redis"),
            name: format!("natter_test_{:016x}", rand::random::<u64>()),
        }
    }

    /// The settings that lead there.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("NATTER_STORE__CASSANDRA__URL", self.cassandra.clone()),
            ("NATTER_STORE__CASSANDRA__KEYSPACE", self.name.clone()),
            ("NATTER_STORE__MONGODB__URL", self.mongodb.clone()),
            ("NATTER_STORE__MONGODB__DATABASE", self.name.clone()),
            ("NATTER_STORE__REDIS__URL", self.redis.clone()),
        ]
    }

    /// Drops all that a test has kept there.
    pub(crate) async fn clean(&self) {
        let client = mongodb::Client::with_uri_str(&self.mongodb).await.unwrap();
        client.database(&self.name).drop().await.unwrap();
        let session = SessionBuilder::new().known_node(&self.cassandra).build().await.unwrap();
        let drop = format!("DROP KEYSPACE IF EXISTS {}", self.name);
        session.query_unpaged(drop, ()).await.unwrap();
    }
}

fn server(variable: &str, name: &str) -> String {
    std::env::var(variable).ok().or_else(|| running(name)).unwrap_or_else(|| {
        panic!("no {name} to test with: run `./deploy/services up`, or name one in {variable}")
    })
}

/// What `./deploy/services up` left.
fn running(name: &str) -> Option<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../.natter/services/services.json");
    let said: serde_json::Value =
        serde_json::from_slice(&std::fs::read(Path::new(file)).ok()?).ok()?;
    said[name]["url"].as_str().map(str::to_owned)
}
