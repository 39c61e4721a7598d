//! A channel that has many members from the start. Adding them one by one, as the trait does, would
//! take benchmarks and tests longer than what they are about.

use bus_schema::ids::{ConversationId, UserId};
use mongodb::bson::{Document, doc};

use super::document::{conversations, member_key};
use crate::store::StoreError;
use crate::store::cluster::mongodb::to_bson;

impl super::Channels {
    /// Makes a channel of these members, the first its creator, all of them in the log: the entry of
    /// the member with revision `n` has the id `n`. How many bytes its document has.
    pub(crate) async fn fill(
        &self,
        id: ConversationId,
        members: &[UserId],
    ) -> Result<usize, StoreError> {
        let mut by_bucket = Document::new();
        for (revision, user) in (1_i64..).zip(members) {
            let member = doc! { "revision": revision, "since": revision };
            let (bucket, key) = member_key(*user);
            if let Ok(bucket) = by_bucket.get_document_mut(&bucket) {
                bucket.insert(key, member);
            } else {
                by_bucket.insert(bucket, doc! { key: member });
            }
        }
        let count = to_bson(members.len() as u64);
        let document = doc! {
            "_id": to_bson(id.0),
            "name": "full",
            "owner": members.first().map(|user| to_bson(user.0)),
            "revision": count,
            "count": count,
            "outbox": [],
            "members": by_bucket,
            "users": members.iter().map(|user| to_bson(user.0)).collect::<Vec<_>>(),
        };
        let bytes = document.to_vec().map_or(0, |bytes| bytes.len());
        self.0
            .change(|database| async move {
                conversations::<Document>(&database).insert_one(document).await?;
                Ok(bytes)
            })
            .await
    }
}
