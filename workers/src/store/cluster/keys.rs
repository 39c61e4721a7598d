//! Keys in MongoDB: one document for each purpose, so that the first of many is the only one.

use async_trait::async_trait;
use mongodb::bson::{Binary, DateTime, doc, serialize_to_bson};
use mongodb::options::ReturnDocument;
use serde::{Deserialize, Serialize};

use super::mongodb::{Mongo, bytes, corrupt, date, hash, schema, time};
use crate::store::StoreError;
use crate::store::keys::{KeyRecord, KeyStore, Purpose};

/// The cluster's [`KeyStore`].
pub(crate) struct Keys(pub(crate) Mongo);

#[derive(Serialize, Deserialize)]
pub(super) struct KeyDocument {
    kid: String,
    secret: Binary,
    created_at: DateTime,
}

#[derive(Serialize, Deserialize)]
pub(super) struct PurposeDocument {
    #[serde(rename = "_id")]
    pub(super) purpose: String,
    pub(super) keys: Vec<KeyDocument>,
}

impl From<KeyRecord> for KeyDocument {
    fn from(key: KeyRecord) -> Self {
        Self { kid: key.kid, secret: bytes(&key.secret), created_at: date(key.created_at) }
    }
}

impl TryFrom<KeyDocument> for KeyRecord {
    type Error = StoreError;

    fn try_from(stored: KeyDocument) -> Result<Self, StoreError> {
        let (secret, created_at) = (hash(&stored.secret)?, time(stored.created_at));
        Ok(Self { kid: stored.kid, secret, created_at })
    }
}

#[async_trait]
impl KeyStore for Keys {
    async fn ensure(
        &self,
        purpose: Purpose,
        first: KeyRecord,
    ) -> Result<Vec<KeyRecord>, StoreError> {
        let first = serialize_to_bson(&[KeyDocument::from(first)]).map_err(corrupt)?;
        self.0
            .change(|database| async move {
                let update = doc! { "$setOnInsert": { "keys": first } };
                let stored = database
                    .collection::<PurposeDocument>(schema::KEYS)
                    .find_one_and_update(doc! { "_id": purpose.as_str() }, update)
                    .upsert(true)
                    .return_document(ReturnDocument::After)
                    .await?
                    .ok_or_else(|| corrupt("a purpose without a document"))?;
                let keys = stored.keys.into_iter().map(KeyRecord::try_from);
                let mut keys = keys.collect::<Result<Vec<_>, _>>()?;
                keys.sort_by(|a, b| b.created_at.cmp(&a.created_at).then(a.kid.cmp(&b.kid)));
                Ok(keys)
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
        with_database(async |mongo| conformance::keys::suite(&Keys(mongo)).await).await;
    }
}
