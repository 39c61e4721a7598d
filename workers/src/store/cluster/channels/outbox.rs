//! The outbox of a channel: an array in its document that leaves from the head.

use bus_schema::ids::ConversationId;
use bus_schema::timestamp::Timestamp;
use futures::TryStreamExt as _;
use mongodb::Database;
use mongodb::bson::{Document, doc};
use mongodb::options::{Hint, ReturnDocument};

use super::document::{Id, OutboxDocument, conversations, head_projection, member_path};
use super::this;
use crate::store::StoreError;
use crate::store::channels::{Ack, AckEffect, Outbox, OutboxItem};
use crate::store::cluster::mongodb::{date, schema, to_bson};

pub(super) async fn stands(
    database: &Database,
    id: ConversationId,
) -> Result<Option<Outbox>, StoreError> {
    let all = conversations::<OutboxDocument>(database);
    let found = all.find_one(this(id)).projection(head_projection()).await?;
    found.map(Outbox::try_from).transpose()
}

pub(super) async fn acknowledge(
    database: &Database,
    id: ConversationId,
    ack: Ack,
) -> Result<Option<Outbox>, StoreError> {
    let Some(outbox) = stands(database, id).await? else { return Ok(None) };
    let Some(head) = &outbox.head else { return Ok(Some(outbox)) };
    for (filter, update) in effects(id, head, ack) {
        let moved_on = conversations::<OutboxDocument>(database)
            .find_one_and_update(filter, update)
            .projection(head_projection())
            .return_document(ReturnDocument::After)
            .await?;
        if let Some(now) = moved_on {
            return now.try_into().map(Some);
        }
    }
    // Nothing was to be done, or another publisher has done it meanwhile.
    stands(database, id).await
}

/// What an acknowledgement does: the first that can be done.
fn effects(id: ConversationId, head: &OutboxItem, ack: Ack) -> Vec<(Document, Document)> {
    let still_head = doc! {
        "_id": to_bson(id.0),
        "outbox.0.revision": to_bson(head.revision),
        "outbox.0.entry": head.entry.map(|entry| to_bson(entry.0)),
    };
    match (head.acknowledged(ack), ack) {
        (AckEffect::Remove, _) => vec![(still_head, doc! { "$pop": { "outbox": -1 } })],
        (AckEffect::Record, Ack::Entry { entry, .. }) => {
            let entry = to_bson(entry.0);
            let mut effects = Vec::with_capacity(2);
            if let Some(user) = head.notice {
                let member = member_path(user);
                let mut theirs = still_head.clone();
                theirs.insert(format!("{member}.revision"), to_bson(head.revision));
                let since = format!("{member}.since");
                effects.push((theirs, doc! { "$set": { "outbox.0.entry": entry, since: entry } }));
            }
            // A member who was removed and added again meanwhile waits for the later MEMBER_ADD.
            effects.push((still_head, doc! { "$set": { "outbox.0.entry": entry } }));
            effects
        }
        (AckEffect::Nothing, _) | (AckEffect::Record, Ack::Notice { .. }) => Vec::new(),
    }
}

/// Channels with something in the outbox, found in the index of those that have.
pub(super) async fn waiting(
    database: &Database,
    before: Timestamp,
    after: ConversationId,
    limit: usize,
) -> Result<Vec<ConversationId>, StoreError> {
    // To the server, no rows means all.
    if limit == 0 {
        return Ok(Vec::new());
    }
    let filter = doc! { "_id": { "$gt": to_bson(after.0) }, "outbox.at": { "$lte": date(before) } };
    let found = conversations::<Id>(database)
        .find(filter)
        .projection(doc! { "_id": 1 })
        .sort(doc! { "_id": 1 })
        .hint(Hint::Name(schema::OUTBOX_INDEX.to_owned()))
        .limit(i64::try_from(limit).unwrap_or(i64::MAX))
        .await?;
    let found: Vec<Id> = found.try_collect().await?;
    Ok(found.iter().map(Id::conversation).collect())
}
