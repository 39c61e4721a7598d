//! Sessions in MongoDB: one document each, with what it remembers of its refresh tokens.
//!
//! Invariant: a token moves its session on by a compare-and-set on the token, so exactly once.
//!
//! Keeping a user's sessions below a number concerns several documents: making one is a transaction,
//! the only one here, and those of one user happen one after the other.

mod create;
mod document;
pub(super) mod transfer;

use std::collections::HashSet;

use async_trait::async_trait;
use bus_schema::ids::{SessionId, UserId};
use bus_schema::timestamp::Timestamp;
use futures::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};

use self::document::{Id, SessionDocument, Use, ids, sessions};
use super::mongodb::{Mongo, bytes, corrupt, date, kept_changing, to_bson};
use crate::store::StoreError;
use crate::store::sessions::{Rotated, Rotation, SessionRecord, SessionStore, TokenHash};

/// Tries of one rotation. A try fails only when another rotation of the session succeeded.
const ATTEMPTS: usize = 16;
/// Ids in one query's list of values.
const IDS_PER_QUERY: usize = 1_000;

/// The cluster's [`SessionStore`].
pub(crate) struct Sessions(pub(crate) Mongo);

/// Not ended.
const LIVE: Bson = Bson::Null;

#[async_trait]
impl SessionStore for Sessions {
    async fn create(
        &self,
        session: SessionRecord,
        token: TokenHash,
        keep: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        let new = SessionDocument::new(session, &token);
        self.0.change(|database| async move { create::create(&database, new, keep).await }).await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        self.0.change(|database| async move { rotate(&database, &rotation).await }).await
    }

    async fn of_user(
        &self,
        user: UserId,
        idle_since: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let live = doc! {
            "user": to_bson(user.0), "ended_at": LIVE, "last_used_at": { "$gte": date(idle_since) },
        };
        self.0
            .read(|database| async move {
                let all = sessions::<SessionDocument>(&database);
                let newest_first = doc! { "created_at": -1, "_id": -1 };
                let rows = all.find(live).sort(newest_first).await?;
                Ok(rows.map_ok(|row| row.record()).try_collect().await?)
            })
            .await
    }

    async fn end(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<bool, StoreError> {
        let this = doc! { "_id": to_bson(id.0), "user": to_bson(user.0) };
        let end = doc! { "$set": { "ended_at": { "$ifNull": ["$ended_at", date(at)] } } };
        self.0
            .change(|database| async move {
                let ended = sessions::<Id>(&database).update_one(this, vec![end]).await?;
                Ok(ended.matched_count == 1)
            })
            .await
    }

    async fn end_others(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut live = doc! { "user": to_bson(user.0), "ended_at": LIVE };
        if let Some(keep) = keep {
            live.insert("_id", doc! { "$ne": to_bson(keep.0) });
        }
        self.0
            .change(|database| async move {
                let all = sessions::<Id>(&database);
                let found = all.find(live).projection(doc! { "_id": 1 }).await?;
                let ended: Vec<Id> = found.try_collect().await?;
                let these = doc! { "_id": { "$in": ids(&ended) }, "ended_at": LIVE };
                all.update_many(these, doc! { "$set": { "ended_at": date(at) } }).await?;
                Ok(ended.iter().map(Id::session).collect())
            })
            .await
    }

    async fn gone(
        &self,
        asked: Vec<SessionId>,
        idle_since: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.0
            .read(|database| async move {
                let all = sessions::<Id>(&database);
                let mut live = HashSet::with_capacity(asked.len());
                for some in asked.chunks(IDS_PER_QUERY) {
                    let some: Vec<_> = some.iter().map(|id| to_bson(id.0)).collect();
                    let filter = doc! {
                        "_id": { "$in": some },
                        "ended_at": LIVE,
                        "last_used_at": { "$gte": date(idle_since) },
                    };
                    let mut rows = all.find(filter).projection(doc! { "_id": 1 }).await?;
                    while let Some(row) = rows.try_next().await? {
                        live.insert(row.session());
                    }
                }
                Ok(asked.into_iter().filter(|id| !live.contains(id)).collect())
            })
            .await
    }

    async fn ended_since(&self, at: Timestamp, limit: u32) -> Result<Vec<SessionId>, StoreError> {
        let filter = doc! { "ended_at": { "$gte": date(at) } };
        let found = self.find_ids(filter, doc! { "ended_at": -1 }, limit).await?;
        Ok(found.iter().map(Id::session).collect())
    }

    async fn forget(
        &self,
        ended_before: Timestamp,
        idle_since: Timestamp,
        limit: u32,
    ) -> Result<usize, StoreError> {
        let over = doc! { "$or": [
            { "ended_at": { "$lt": date(ended_before) } },
            { "last_used_at": { "$lt": date(idle_since) } },
        ] };
        let found = self.find_ids(over.clone(), Document::new(), limit).await?;
        self.0
            .change(|database| async move {
                let these = doc! { "$and": [{ "_id": { "$in": ids(&found) } }, over] };
                let deleted = sessions::<Id>(&database).delete_many(these).await?.deleted_count;
                Ok(usize::try_from(deleted).unwrap_or(usize::MAX))
            })
            .await
    }
}

impl Sessions {
    async fn find_ids(
        &self,
        filter: Document,
        sort: Document,
        limit: u32,
    ) -> Result<Vec<Id>, StoreError> {
        // To the server, no rows means all.
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.0
            .read(|database| async move {
                let all = sessions(&database);
                let found = all.find(filter).projection(doc! { "_id": 1 }).sort(sort);
                Ok(found.limit(i64::from(limit)).await?.try_collect().await?)
            })
            .await
    }
}

async fn rotate(database: &Database, rotation: &Rotation) -> Result<Rotated, StoreError> {
    let id = to_bson(rotation.session.0);
    for _ in 0..ATTEMPTS {
        let live = doc! { "_id": id, "ended_at": LIVE };
        let Some(found) = sessions::<SessionDocument>(database).find_one(live).await? else {
            return Ok(Rotated::Gone);
        };
        let session = found.record();
        if session.last_used_at < rotation.idle_since {
            return Ok(Rotated::Gone);
        }
        let (fields, rotated) = match found.use_of(rotation) {
            Use::Repeated(at) => return Ok(Rotated::Repeated { session, at }),
            Use::Reused => (doc! { "ended_at": date(rotation.at) }, Rotated::Reused(session)),
            Use::First(rotations) => {
                let fields = doc! {
                    "token": bytes(&rotation.next),
                    "last_used_at": date(rotation.at),
                    "rotations": serialize_to_bson(&rotations).map_err(corrupt)?,
                };
                let session = SessionRecord { last_used_at: rotation.at, ..session };
                (fields, Rotated::Moved(session))
            }
        };
        let unchanged = doc! { "_id": id, "ended_at": LIVE, "token": found.token };
        let all = sessions::<Id>(database);
        let update = all.update_one(unchanged, doc! { "$set": fields }).await?;
        if update.matched_count == 1 {
            return Ok(rotated);
        }
    }
    Err(kept_changing())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cluster::mongodb::testing::with_database;
    use crate::store::conformance;

    #[tokio::test]
    async fn conforms() {
        with_database(async |mongo| conformance::sessions::suite(&Sessions(mongo)).await).await;
    }
}
