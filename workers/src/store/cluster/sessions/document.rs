//! A session's document, and what a refresh token means to it.

use bus_schema::ids::{SessionId, UserId};
use bus_schema::timestamp::Timestamp;
use mongodb::bson::{Binary, DateTime};
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};

use crate::store::cluster::mongodb::{bytes, date, from_bson, schema, time, to_bson};
use crate::store::sessions::{REPEATS_PER_SESSION, Rotation, SessionRecord, TokenHash};

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SessionDocument {
    #[serde(rename = "_id")]
    pub(super) id: i64,
    pub(super) user: i64,
    pub(super) created_at: DateTime,
    last_used_at: DateTime,
    /// The hash of the token that is valid now.
    pub(super) token: Binary,
    /// Absent while it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ended_at: Option<DateTime>,
    /// The repeatable ones, as they came.
    rotations: Vec<RotationDocument>,
}

#[derive(Clone, Serialize, Deserialize)]
pub(super) struct RotationDocument {
    spent: Binary,
    nonce: String,
    at: DateTime,
}

/// A session of which nothing but the id is asked for.
#[derive(Serialize, Deserialize)]
pub(super) struct Id {
    #[serde(rename = "_id")]
    id: i64,
}

impl Id {
    pub(super) const fn session(&self) -> SessionId {
        SessionId(from_bson(self.id))
    }
}

pub(super) fn ids(ids: &[Id]) -> Vec<i64> {
    ids.iter().map(|id| id.id).collect()
}

pub(super) fn sessions<T: Send + Sync>(database: &Database) -> Collection<T> {
    database.collection(schema::SESSIONS)
}

/// What a refresh token is to a live session.
pub(super) enum Use {
    /// Its token; these rotations are to be remembered from now on.
    First(Vec<RotationDocument>),
    /// It moved the session on before, then.
    Repeated(Timestamp),
    /// It was used before, and that cannot be a repetition.
    Reused,
}

impl SessionDocument {
    pub(super) fn new(session: SessionRecord, token: &TokenHash) -> Self {
        Self {
            id: to_bson(session.id.0),
            user: to_bson(session.user.0),
            created_at: date(session.created_at),
            last_used_at: date(session.last_used_at),
            token: bytes(token),
            ended_at: None,
            rotations: Vec::new(),
        }
    }

    pub(super) fn record(&self) -> SessionRecord {
        SessionRecord {
            id: SessionId(from_bson(self.id)),
            user: UserId(from_bson(self.user)),
            created_at: time(self.created_at),
            last_used_at: time(self.last_used_at),
        }
    }

    pub(super) fn use_of(&self, rotation: &Rotation) -> Use {
        if self.token.bytes == rotation.spent {
            return Use::First(self.remembered_after(rotation));
        }
        let since = date(rotation.repeats_since);
        let repeated = self.rotations.iter().find(|known| {
            known.spent.bytes == rotation.spent
                && rotation.nonce.as_ref().is_some_and(|nonce| nonce.as_str() == known.nonce)
                && known.at >= since
        });
        repeated.map_or(Use::Reused, |known| Use::Repeated(time(known.at)))
    }

    /// The latest of those that are not too old, and this one if it has a nonce.
    fn remembered_after(&self, rotation: &Rotation) -> Vec<RotationDocument> {
        let since = date(rotation.repeats_since);
        let mut kept = self.rotations.clone();
        kept.retain(|known| known.at >= since);
        kept.sort_by_key(|known| known.at);
        let too_many = kept.len().saturating_sub(REPEATS_PER_SESSION - 1);
        kept.drain(..too_many);
        kept.extend(rotation.nonce.as_ref().map(|nonce| RotationDocument {
            spent: bytes(&rotation.spent),
            nonce: nonce.as_str().to_owned(),
            at: date(rotation.at),
        }));
        kept
    }
}
