//! A session's document, and what a refresh token means to it.

use bus_schema::ids::{SessionId, UserId};
use bus_schema::text::Nonce;
use bus_schema::timestamp::Timestamp;
use mongodb::bson::{Binary, DateTime};
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::store::cluster::mongodb::{
    bytes, corrupt, date, from_bson, hash, schema, time, to_bson,
};
use crate::store::sessions::{REPEATS_PER_SESSION, Rotation, SessionRecord, TokenHash};
use crate::store::transfer::{RotationCopy, SessionCopy};

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

    /// All of it. Rotations are told apart by their tokens, and stand in that order.
    pub(super) fn copy(self) -> Result<SessionCopy, StoreError> {
        let rotations = self.rotations.iter().map(|known| {
            let nonce = Nonce::parse(&known.nonce).map_err(corrupt)?;
            Ok(RotationCopy { spent: hash(&known.spent)?, nonce, at: time(known.at) })
        });
        let mut rotations = rotations.collect::<Result<Vec<_>, StoreError>>()?;
        rotations.sort_unstable_by_key(|rotation| rotation.spent);
        Ok(SessionCopy {
            session: self.record(),
            token: hash(&self.token)?,
            ended_at: self.ended_at.map(time),
            rotations,
        })
    }

    /// The document of such a session.
    pub(super) fn from_copy(copy: &SessionCopy) -> Self {
        let mut rotations: Vec<_> = copy.rotations.iter().collect();
        rotations.sort_by_key(|rotation| rotation.at);
        let rotations = rotations.into_iter().map(|rotation| RotationDocument {
            spent: bytes(&rotation.spent),
            nonce: rotation.nonce.as_str().to_owned(),
            at: date(rotation.at),
        });
        Self {
            ended_at: copy.ended_at.map(date),
            rotations: rotations.collect(),
            ..Self::new(copy.session, &copy.token)
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
