//! Cassandra, MongoDB and Redis: servers that all tests share, with names of a platform's own in them.
//!
//! Invariant: a server that cannot be found is a failure that says what to run; two platforms never
//! meet in one keyspace, database or prefix.

use serde_json::Value;

use crate::{Context as _, Outcome, locate};

/// The three servers, and what one platform calls its own in each.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Contact points of Cassandra.
    pub cassandra: String,
    /// The address of MongoDB.
    pub mongodb: String,
    /// The address of Redis.
    pub redis: String,
    /// The keyspace, the database, and the first part of every key.
    pub name: String,
}

impl Stores {
    /// Finds the servers: named in the environment, or left by `./deploy/services up`.
    pub fn find() -> Outcome<Self> {
        Ok(Self {
            cassandra: server("cassandra", "NATTER_TEST_CASSANDRA")?,
            mongodb: server("mongo", "NATTER_TEST_MONGODB")?,
            redis: server("redis", "NATTER_TEST_REDIS")?,
            name: format!("natter_test_{:016x}", rand::random::<u64>()),
        })
    }

    /// What all keys in Redis begin with.
    pub fn key_prefix(&self) -> String {
        format!("{}:", self.name)
    }

    /// The settings that lead workers there.
    pub fn settings(&self) -> Vec<(String, String)> {
        let setting = |store: &str, key: &str, value: &str| {
            (format!("NATTER_STORE__{store}__{key}"), value.to_owned())
        };
        vec![
            setting("CASSANDRA", "URL", &self.cassandra),
            setting("CASSANDRA", "KEYSPACE", &self.name),
            setting("MONGODB", "URL", &self.mongodb),
            setting("MONGODB", "DATABASE", &self.name),
            setting("REDIS", "URL", &self.redis),
            setting("REDIS", "KEY_PREFIX", &self.key_prefix()),
        ]
    }
}

fn server(name: &str, variable: &str) -> Outcome<String> {
    if let Ok(given) = std::env::var(variable) {
        return Ok(given);
    }
    let missing = format!("no {name}: run `./deploy/services up`, or name one in {variable}");
    let said = services().during(&missing)?;
    Ok(said[name]["url"].as_str().during(&missing)?.to_owned())
}

/// What `./deploy/services up` has started: each server's address, port and process.
pub fn services() -> Outcome<Value> {
    let file = locate::repository()?.join(".natter/services/services.json");
    Ok(serde_json::from_slice(&std::fs::read(file)?)?)
}
