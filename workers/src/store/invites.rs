//! Invitations, where registration needs one. Only their hashes are kept.
//!
//! Invariant: an invitation is taken at most as often as it has uses, however many ask at once.

use async_trait::async_trait;
use bus_schema::timestamp::Timestamp;

use super::StoreError;

/// SHA-256 of an invitation.
pub(crate) type InviteHash = [u8; 32];

/// A stored invitation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct InviteRecord {
    pub(crate) hash: InviteHash,
    /// Shown to operators, and how they name it.
    pub(crate) name: String,
    pub(crate) uses_left: u32,
    pub(crate) created_at: Timestamp,
}

/// Invitations.
#[async_trait]
pub(crate) trait InviteStore: Send + Sync {
    /// Keeps a new one.
    async fn create(&self, invite: InviteRecord) -> Result<(), StoreError>;

    /// All that have uses left, oldest first, at most `limit`.
    async fn list(&self, limit: u32) -> Result<Vec<InviteRecord>, StoreError>;

    /// Forgets one. Whether there was one.
    async fn revoke(&self, name: &str) -> Result<bool, StoreError>;

    /// Whether it has uses left.
    async fn usable(&self, hash: InviteHash) -> Result<bool, StoreError>;

    /// Takes one use. Whether there was one left.
    async fn take(&self, hash: InviteHash) -> Result<bool, StoreError>;

    /// Gives one use back, after what it was taken for came to nothing.
    async fn give_back(&self, hash: InviteHash) -> Result<(), StoreError>;
}
