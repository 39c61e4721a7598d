//! Sessions and their refresh tokens, of which only hashes are kept.
//!
//! Invariant: a token moves its session on exactly once. The same token with the same nonce is
//! recognized for a while; any other token that was used before ends the session.
//!
//! Leaves out what tokens look like and who is told of an ended session.

use async_trait::async_trait;
use bus_schema::ids::{SessionId, UserId};
use bus_schema::text::Nonce;
use bus_schema::timestamp::Timestamp;

use super::StoreError;

/// SHA-256 of a refresh token.
pub(crate) type TokenHash = [u8; 32];

/// Repeatable refreshes that a session remembers; older ones count as reuse.
pub(crate) const REPEATS_PER_SESSION: usize = 16;

/// A live session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SessionRecord {
    pub(crate) id: SessionId,
    pub(crate) user: UserId,
    pub(crate) created_at: Timestamp,
    pub(crate) last_used_at: Timestamp,
}

/// One use of a refresh token.
#[derive(Debug, Clone)]
pub(crate) struct Rotation {
    pub(crate) session: SessionId,
    /// The token that was presented.
    pub(crate) spent: TokenHash,
    /// The token to be valid next.
    pub(crate) next: TokenHash,
    /// Makes repeating it recognizable.
    pub(crate) nonce: Option<Nonce>,
    pub(crate) at: Timestamp,
    /// Repeats of rotations since then are recognized.
    pub(crate) repeats_since: Timestamp,
    /// Sessions last used before are gone.
    pub(crate) idle_since: Timestamp,
}

/// How using a refresh token ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rotated {
    /// It was the session's token; `next` is now.
    Moved(SessionRecord),
    /// It moved the session on before, with the same nonce.
    Repeated { session: SessionRecord, at: Timestamp },
    /// It was used before: the session has just been ended.
    Reused(SessionRecord),
    /// There is no such session any more.
    Gone,
}

/// Sessions.
#[async_trait]
pub(crate) trait SessionStore: Send + Sync {
    /// Keeps a new session; those of its user beyond `keep`, oldest first, end and are returned.
    /// A [`Conflict`](super::StoreErrorKind::Conflict) means that the id is taken.
    async fn create(
        &self,
        session: SessionRecord,
        token: TokenHash,
        keep: usize,
    ) -> Result<Vec<SessionId>, StoreError>;

    /// Uses a refresh token.
    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError>;

    /// A user's live sessions used since `idle_since`, newest first.
    async fn of_user(
        &self,
        user: UserId,
        idle_since: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError>;

    /// Ends one session of a user, which may have ended before. Whether there is such a session.
    async fn end(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<bool, StoreError>;

    /// Ends all sessions of a user but one. Those that were live.
    async fn end_others(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError>;

    /// Those of `ids` that do not exist, have ended, or were last used before `idle_since`.
    async fn gone(
        &self,
        ids: Vec<SessionId>,
        idle_since: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError>;

    /// Sessions that ended since, the latest first, at most `limit`.
    async fn ended_since(&self, at: Timestamp, limit: u32) -> Result<Vec<SessionId>, StoreError>;

    /// Forgets at most `limit` sessions that ended before `ended_before` or were last used before
    /// `idle_since`. How many.
    async fn forget(
        &self,
        ended_before: Timestamp,
        idle_since: Timestamp,
        limit: u32,
    ) -> Result<usize, StoreError>;
}
