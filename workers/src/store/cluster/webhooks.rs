//! Webhooks in MongoDB: one document each.

use async_trait::async_trait;
use bus_schema::ids::{ConversationId, UserId, WebhookId};
use futures::TryStreamExt as _;
use mongodb::bson::{Binary, DateTime, doc};
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};

use super::mongodb::{Mongo, bytes, date, duplicate_key, from_bson, hash, schema, time, to_bson};
use crate::store::StoreError;
use crate::store::webhooks::{Created, WebhookRecord, WebhookStore};

/// The cluster's [`WebhookStore`].
pub(crate) struct Webhooks(pub(crate) Mongo);

#[derive(Serialize, Deserialize)]
pub(super) struct WebhookDocument {
    #[serde(rename = "_id")]
    pub(super) id: i64,
    hash: Binary,
    channel: i64,
    bot: i64,
    created_at: DateTime,
}

impl From<WebhookRecord> for WebhookDocument {
    fn from(webhook: WebhookRecord) -> Self {
        Self {
            id: to_bson(webhook.id.0),
            hash: bytes(&webhook.hash),
            channel: to_bson(webhook.channel.0),
            bot: to_bson(webhook.bot.0),
            created_at: date(webhook.created_at),
        }
    }
}

impl TryFrom<WebhookDocument> for WebhookRecord {
    type Error = StoreError;

    fn try_from(stored: WebhookDocument) -> Result<Self, StoreError> {
        Ok(Self {
            id: WebhookId(from_bson(stored.id)),
            hash: hash(&stored.hash)?,
            channel: ConversationId(from_bson(stored.channel)),
            bot: UserId(from_bson(stored.bot)),
            created_at: time(stored.created_at),
        })
    }
}

fn webhooks(database: &Database) -> Collection<WebhookDocument> {
    database.collection(schema::WEBHOOKS)
}

#[async_trait]
impl WebhookStore for Webhooks {
    async fn create(&self, webhook: WebhookRecord, most: usize) -> Result<Created, StoreError> {
        let webhook = WebhookDocument::from(webhook);
        self.0
            .change(|database| async move {
                let all = webhooks(&database);
                let have = all.count_documents(doc! { "channel": webhook.channel }).await?;
                if usize::try_from(have).is_ok_and(|have| have >= most) {
                    return Ok(Created::TooMany);
                }
                match all.insert_one(webhook).await {
                    Ok(_) => Ok(Created::Done),
                    Err(error) if duplicate_key(&error).is_some() => Ok(Created::IdTaken),
                    Err(error) => Err(error.into()),
                }
            })
            .await
    }

    async fn by_id(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError> {
        let this = doc! { "_id": to_bson(id.0) };
        self.0
            .read(|database| async move {
                let found = webhooks(&database).find_one(this).await?;
                found.map(TryInto::try_into).transpose()
            })
            .await
    }

    async fn of_channel(&self, channel: ConversationId) -> Result<Vec<WebhookRecord>, StoreError> {
        let of_channel = doc! { "channel": to_bson(channel.0) };
        self.0
            .read(|database| async move {
                let mut rows = webhooks(&database).find(of_channel).await?;
                let mut listed = Vec::new();
                while let Some(row) = rows.try_next().await? {
                    listed.push(row.try_into()?);
                }
                Ok(listed)
            })
            .await
    }

    async fn delete(&self, channel: ConversationId, id: WebhookId) -> Result<bool, StoreError> {
        let this = doc! { "_id": to_bson(id.0), "channel": to_bson(channel.0) };
        self.0
            .change(|database| async move {
                Ok(webhooks(&database).delete_one(this).await?.deleted_count == 1)
            })
            .await
    }

    async fn delete_of(&self, bot: UserId) -> Result<(), StoreError> {
        let of_bot = doc! { "bot": to_bson(bot.0) };
        self.0
            .change(|database| async move {
                webhooks(&database).delete_many(of_bot).await?;
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
        with_database(async |mongo| conformance::webhooks::suite(&Webhooks(mongo)).await).await;
    }
}
