//! Reaching Redis.
//!
//! Invariant: connecting happens in the background and never ends; until there is a connection,
//! operations are [`Unavailable`](crate::store::StoreErrorKind::Unavailable).

use serde::{Deserialize, Serialize};

/// `[store.redis]`: where profiles are cached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// Where it is; empty: not used.
    pub url: String,
}
