//! Reaching Cassandra.
//!
//! Invariant: connecting happens in the background and never ends; until there is a connection,
//! operations are [`Unavailable`](crate::store::StoreErrorKind::Unavailable).

use serde::{Deserialize, Serialize};

/// `[store.cassandra]`: where history is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CassandraSettings {
    /// Where it is; empty: not used.
    pub url: String,
}
