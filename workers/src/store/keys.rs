//! The platform's own secrets: what signs access tokens and what derives refresh tokens.
//!
//! Invariant: however many processes start at once, all of them get the same keys. Secrets have no
//! readable `Debug`. Leaves out what they are used for.

use std::fmt;

use async_trait::async_trait;
use bus_schema::timestamp::Timestamp;

use super::StoreError;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Ed25519 seeds.
    AccessTokens,
    /// HMAC-SHA-256 keys.
    RefreshTokens,
}

impl Purpose {
    /// Every purpose.
    pub(crate) const ALL: [Self; 2] = [Self::AccessTokens, Self::RefreshTokens];

    /// Its name in a store.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AccessTokens => "access_tokens",
            Self::RefreshTokens => "refresh_tokens",
        }
    }
}

/// A secret key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyRecord {
    /// Names it; unique for its purpose.
    pub(crate) kid: String,
    pub(crate) secret: [u8; 32],
    pub(crate) created_at: Timestamp,
}

impl fmt::Debug for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRecord").field("kid", &self.kid).finish_non_exhaustive()
    }
}

/// Keys.
#[async_trait]
pub(crate) trait KeyStore: Send + Sync {
    /// The keys for a purpose, newest first; `first` is kept if there is none yet. Never empty.
    async fn ensure(
        &self,
        purpose: Purpose,
        first: KeyRecord,
    ) -> Result<Vec<KeyRecord>, StoreError>;
}
