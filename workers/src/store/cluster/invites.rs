//! Invitations in MongoDB: one document each, named by its hash.

use async_trait::async_trait;
use futures::TryStreamExt as _;
use mongodb::bson::{Binary, DateTime, Document, doc};
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};

use super::mongodb::{Mongo, bytes, corrupt, date, hash, schema, time};
use crate::store::StoreError;
use crate::store::invites::{InviteHash, InviteRecord, InviteStore};

/// The cluster's [`InviteStore`].
pub(crate) struct Invites(pub(crate) Mongo);

#[derive(Serialize, Deserialize)]
pub(super) struct InviteDocument {
    #[serde(rename = "_id")]
    hash: Binary,
    pub(super) name: String,
    uses_left: i64,
    created_at: DateTime,
}

impl From<InviteRecord> for InviteDocument {
    fn from(invite: InviteRecord) -> Self {
        Self {
            hash: bytes(&invite.hash),
            name: invite.name,
            uses_left: i64::from(invite.uses_left),
            created_at: date(invite.created_at),
        }
    }
}

impl TryFrom<InviteDocument> for InviteRecord {
    type Error = StoreError;

    fn try_from(stored: InviteDocument) -> Result<Self, StoreError> {
        Ok(Self {
            hash: hash(&stored.hash)?,
            name: stored.name,
            uses_left: stored.uses_left.try_into().map_err(corrupt)?,
            created_at: time(stored.created_at),
        })
    }
}

fn invites(database: &Database) -> Collection<InviteDocument> {
    database.collection(schema::INVITES)
}

/// One that has uses left.
fn usable(hash: InviteHash) -> Document {
    doc! { "_id": bytes(&hash), "uses_left": { "$gt": 0 } }
}

#[async_trait]
impl InviteStore for Invites {
    async fn create(&self, invite: InviteRecord) -> Result<(), StoreError> {
        let invite = InviteDocument::from(invite);
        self.0
            .change(|database| async move {
                invites(&database).insert_one(invite).await?;
                Ok(())
            })
            .await
    }

    async fn list(&self, limit: u32) -> Result<Vec<InviteRecord>, StoreError> {
        // To the server, no rows means all.
        if limit == 0 {
            return Ok(Vec::new());
        }
        self.0
            .read(|database| async move {
                let all = invites(&database);
                let found = all.find(doc! { "uses_left": { "$gt": 0 } });
                let sorted = found.sort(doc! { "created_at": 1, "name": 1 });
                let mut rows = sorted.limit(i64::from(limit)).await?;
                let mut listed = Vec::new();
                while let Some(row) = rows.try_next().await? {
                    listed.push(row.try_into()?);
                }
                Ok(listed)
            })
            .await
    }

    async fn revoke(&self, name: &str) -> Result<bool, StoreError> {
        let named = doc! { "name": name };
        self.0
            .change(|database| async move {
                Ok(invites(&database).delete_one(named).await?.deleted_count == 1)
            })
            .await
    }

    async fn usable(&self, hash: InviteHash) -> Result<bool, StoreError> {
        self.0
            .read(|database| async move {
                Ok(invites(&database).find_one(usable(hash)).await?.is_some())
            })
            .await
    }

    async fn take(&self, hash: InviteHash) -> Result<bool, StoreError> {
        self.0
            .change(|database| async move {
                let less = doc! { "$inc": { "uses_left": -1_i64 } };
                let taken = invites(&database).update_one(usable(hash), less).await?;
                Ok(taken.matched_count == 1)
            })
            .await
    }

    async fn give_back(&self, hash: InviteHash) -> Result<(), StoreError> {
        self.0
            .change(|database| async move {
                let more = doc! { "$inc": { "uses_left": 1_i64 } };
                invites(&database).update_one(doc! { "_id": bytes(&hash) }, more).await?;
                Ok(())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cluster::mongodb::testing::with_database;
    use crate::store::conformance;

    #[tokio::test]
    async fn conforms() {
        with_database(async |mongo| conformance::invites::suite(&Invites(mongo)).await).await;
    }
}
