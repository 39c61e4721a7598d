//! Reaching Cassandra: its settings, and the one session a process has.
//!
//! Invariants: connecting happens in the background and never ends; until there is a connection,
//! operations are [`Unavailable`](crate::store::StoreErrorKind::Unavailable). The password is read
//! from its file at each connection, is never in an address, and is never logged.

mod errors;
mod link;
mod replication;
mod session;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use self::errors::{corrupt, failed, unavailable};
pub(super) use self::link::Link;
pub(super) use self::replication::Replication;
pub(crate) use self::session::connect;

/// `[store.cassandra]`: where history is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CassandraSettings {
    /// Where it is; empty: not used.
    pub url: String,
    /// The user to connect as; empty: without one.
    pub user: String,
    /// File with that user's password.
    pub password_file: PathBuf,
    /// PEM file with the authority of the servers' certificates; with it, TLS is required.
    pub tls_ca: PathBuf,
    /// The datacenter to prefer, whose quorum counts; empty: any.
    pub datacenter: String,
    /// The keyspace.
    pub keyspace: String,
    /// How often the setup role has everything kept: a number, or `datacenter:number` pairs.
    pub replication: String,
    /// Connections to each server.
    pub connections: usize,
    /// Milliseconds that connecting to one server may take.
    pub connect_timeout_ms: u64,
    /// Milliseconds that one read may take.
    pub read_timeout_ms: u64,
    /// Milliseconds that one write may take.
    pub write_timeout_ms: u64,
    /// Milliseconds after which a read is asked of a second server as well. 0: never.
    pub speculate_after_ms: u64,
    /// Reads under way at once.
    pub reads_at_once: usize,
    /// Writes under way at once.
    pub writes_at_once: usize,
    /// Whether servers keep traces of what they are asked: benchmarks count rows with them.
    #[doc(hidden)]
    #[serde(skip)]
    pub trace: bool,
}

impl Default for CassandraSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            tls_ca: PathBuf::new(),
            datacenter: String::new(),
            keyspace: "natter".to_owned(),
            replication: "1".to_owned(),
            connections: 2,
            connect_timeout_ms: 3_000,
            read_timeout_ms: 1_500,
            write_timeout_ms: 5_000,
            speculate_after_ms: 300,
            reads_at_once: 256,
            writes_at_once: 32,
            trace: false,
        }
    }
}

impl CassandraSettings {
    /// How long one read may take.
    pub(super) const fn read_timeout(&self) -> Duration {
        Duration::from_millis(self.read_timeout_ms)
    }

    /// The keyspace, if it is a name that can stand in CQL as it is.
    pub(super) fn keyspace(&self) -> Result<&str, crate::store::StoreError> {
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let name = self.keyspace.as_str();
        if name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.len() <= KEYSPACE_CHARS
            && name.chars().all(word)
        {
            return Ok(name);
        }
        Err(unavailable("store.cassandra.keyspace: up to 48 of a-z, 0-9 and _, a letter first"))
    }
}

/// The longest name of a keyspace that servers take.
const KEYSPACE_CHARS: usize = 48;
