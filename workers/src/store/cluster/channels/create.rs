//! Making a channel: one insertion, which the unique keys of ids and nonces refuse or accept.

use bus_schema::ids::{ConversationId, UserId};
use mongodb::Database;
use mongodb::bson::{Document, doc, serialize_to_bson};

use super::document::{Id, ItemDocument, conversations, member_key};
use crate::store::StoreError;
use crate::store::channels::{Change, Created, NewChannel, OutboxItem};
use crate::store::cluster::mongodb::schema::{self, ID_INDEX};
use crate::store::cluster::mongodb::{corrupt, date, duplicate_key, kept_changing, to_bson};

/// Tries of one creation. A try fails only when a nonce was freed or taken meanwhile.
const ATTEMPTS: usize = 8;

pub(super) async fn create(database: &Database, new: &NewChannel) -> Result<Created, StoreError> {
    let document = document(new)?;
    for attempt in 0..ATTEMPTS {
        if let Some(used) = repeated(database, new).await? {
            return Ok(Created::Repeated(used));
        }
        if !has_room(database, new.owner, new.most_channels).await? {
            return Ok(Created::TooManyChannels);
        }
        let Err(error) = conversations::<Document>(database).insert_one(&document).await else {
            return Ok(Created::New);
        };
        match duplicate_key(&error) {
            // What made the id is not looked at: a nonce may have been used meanwhile.
            Some(ID_INDEX) if attempt > 0 || new.nonce.is_none() => return Ok(Created::IdTaken),
            Some(ID_INDEX) => {}
            Some(schema::NONCE_INDEX) => free(database, new).await?,
            _ => return Err(error.into()),
        }
    }
    Err(kept_changing())
}

/// Whether a user may be in one channel more. Counted in the index; no document is read.
pub(super) async fn has_room(
    database: &Database,
    user: UserId,
    most: u64,
) -> Result<bool, StoreError> {
    // To the server, counting up to nothing is counting all.
    let Some(limit) = std::num::NonZeroU64::new(most) else { return Ok(false) };
    let theirs = doc! { "users": to_bson(user.0) };
    let all = conversations::<Id>(database);
    let count = all.count_documents(theirs).limit(limit.get()).await?;
    Ok(count < most)
}

/// The channel for which the nonce was used, if that was not too long ago.
async fn repeated(
    database: &Database,
    new: &NewChannel,
) -> Result<Option<ConversationId>, StoreError> {
    let Some(mut used) = with_nonce(new) else { return Ok(None) };
    used.insert("nonce.at", doc! { "$gt": date(new.nonces_before) });
    let all = conversations::<Id>(database);
    let found = all.find_one(used).projection(doc! { "_id": 1 }).await?;
    Ok(found.map(|found| found.conversation()))
}

/// Forgets that a nonce was used, if that was too long ago.
async fn free(database: &Database, new: &NewChannel) -> Result<(), StoreError> {
    let Some(mut used) = with_nonce(new) else { return Ok(()) };
    used.insert("nonce.at", doc! { "$lte": date(new.nonces_before) });
    let forget = doc! { "$unset": { "nonce": "" } };
    conversations::<Id>(database).update_one(used, forget).await?;
    Ok(())
}

fn with_nonce(new: &NewChannel) -> Option<Document> {
    let nonce = new.nonce.as_ref()?;
    Some(doc! { "nonce.owner": to_bson(new.owner.0), "nonce.text": nonce.as_str() })
}

fn document(new: &NewChannel) -> Result<Document, StoreError> {
    let owner = to_bson(new.owner.0);
    let change = Change::AddMember { user: new.owner, most_channels: new.most_channels };
    let item = OutboxItem::new(new.id, 1, new.owner, &change, new.at);
    let (bucket, key) = member_key(new.owner);
    let mut document = doc! {
        "_id": to_bson(new.id.0),
        "name": new.name.as_str(),
        "owner": owner,
        "revision": 1_i64,
        "count": 1_i64,
        "outbox": [serialize_to_bson(&ItemDocument::from(&item)).map_err(corrupt)?],
        "members": { bucket: { key: { "revision": 1_i64 } } },
        "users": [owner],
    };
    if let Some(nonce) = &new.nonce {
        let nonce = doc! { "owner": owner, "text": nonce.as_str(), "at": date(new.at) };
        document.insert("nonce", nonce);
    }
    Ok(document)
}
