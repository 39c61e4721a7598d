//! `members`: what the log says of who belongs where. The channels role says it of the documents, which
//! are ahead of the log; this is for when that does not answer.

use serde::{Deserialize, Serialize};

use super::Freshness;
use crate::ids::UserId;
use crate::subjects::LogSubject;

/// Conversations of one [`super::Members`].
pub const MEMBERS_MAX: usize = 500;

/// See [`super::Members`]. All places belong to the worker's stream; at most [`MEMBERS_MAX`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MembersRequest {
    /// Who.
    pub user: UserId,
    /// Of which conversations.
    pub places: Vec<LogSubject>,
    /// How far the worker must have read.
    pub fresh: Freshness,
}

/// Who belongs where.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MembersReply {
    /// In the order asked: whether they are a member of what still exists. Null where only the store
    /// would know, and it is away.
    pub members: Vec<Option<bool>>,
}
