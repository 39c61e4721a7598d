//! A change of a channel: one update, if the revision is the expected one.

use bus_schema::ids::ConversationId;
use mongodb::Database;
use mongodb::bson::{Bson, Document, doc, serialize_to_bson};
use serde::{Deserialize, Serialize};

use super::create::has_room;
use super::document::{Id, ItemDocument, conversations, member_path};
use crate::store::channels::{CALLS_KEPT, Change, Commit, Committed};
use crate::store::cluster::mongodb::{corrupt, from_bson, to_bson};
use crate::store::{StoreError, StoreErrorKind};

/// The revision that a call has made, if it is still known.
pub(super) async fn made_by(
    database: &Database,
    id: ConversationId,
    call: String,
) -> Result<Option<u64>, StoreError> {
    let known = doc! { "calls": { "$elemMatch": { "call": call } } };
    let all = conversations::<Calls>(database);
    let found = all.find_one(doc! { "_id": to_bson(id.0) }).projection(known).await?;
    let first = found.and_then(|found| found.calls.into_iter().next());
    Ok(first.map(|call| from_bson(call.revision)))
}

/// The calls that made a channel's last changes, or those of them that were asked for.
#[derive(Serialize, Deserialize)]
struct Calls {
    #[serde(default)]
    calls: Vec<Made>,
}

#[derive(Serialize, Deserialize)]
struct Made {
    revision: i64,
}

pub(super) async fn apply(database: &Database, commit: &Commit) -> Result<Committed, StoreError> {
    if let Change::AddMember { user, most_channels } = &commit.change
        && !has_room(database, *user, *most_channels).await?
    {
        return Ok(Committed::TooManyChannels);
    }
    if update(database, unchanged(commit), change(commit)?).await? {
        return Ok(Committed::Done);
    }
    if !matches!(commit.change, Change::AddMember { .. } | Change::RemoveMember { .. }) {
        return Ok(Committed::Stale);
    }
    // The revision is another, or the change is none.
    let all = conversations::<Id>(database);
    let as_expected = all.find_one(expected(commit)).projection(doc! { "_id": 1 }).await?;
    if as_expected.is_none() {
        return Ok(Committed::Stale);
    }
    if let Change::AddMember { .. } = commit.change {
        return Err(StoreError::new(StoreErrorKind::Conflict, "they are a member"));
    }
    let done = update(database, expected(commit), revised(commit)?).await?;
    Ok(if done { Committed::Done } else { Committed::Stale })
}

/// Whether the filter matched.
async fn update(
    database: &Database,
    filter: Document,
    update: Document,
) -> Result<bool, StoreError> {
    Ok(conversations::<Id>(database).update_one(filter, update).await?.matched_count == 1)
}

/// The channel at the revision that the change was decided upon.
fn expected(commit: &Commit) -> Document {
    doc! {
        "_id": to_bson(commit.id.0), "revision": to_bson(commit.expected), "deleted_by": Bson::Null,
    }
}

/// As [`expected`], with a member or without, so that the lists cannot come to contradict.
fn unchanged(commit: &Commit) -> Document {
    let mut filter = expected(commit);
    match &commit.change {
        Change::AddMember { user, .. } => {
            filter.insert(member_path(*user), doc! { "$exists": false });
        }
        Change::RemoveMember { user } => {
            filter.insert(member_path(*user), doc! { "$exists": true });
        }
        Change::Rename { .. } | Change::Delete { .. } => {}
    }
    filter
}

/// Raises the revision and puts the entry into the outbox.
fn revised(commit: &Commit) -> Result<Document, StoreError> {
    Ok(doc! { "$set": { "revision": to_bson(commit.revision()) }, "$push": pushed(commit)? })
}

/// What every change adds: its entry, and the call that asked for it, in place of the oldest.
fn pushed(commit: &Commit) -> Result<Document, StoreError> {
    let item = serialize_to_bson(&ItemDocument::from(&commit.item())).map_err(corrupt)?;
    let mut pushed = doc! { "outbox": item };
    if !commit.call.is_empty() {
        let call = doc! { "call": &commit.call, "revision": to_bson(commit.revision()) };
        let kept = to_bson(CALLS_KEPT).saturating_neg();
        pushed.insert("calls", doc! { "$each": [call], "$slice": kept });
    }
    Ok(pushed)
}

fn change(commit: &Commit) -> Result<Document, StoreError> {
    let revision = to_bson(commit.revision());
    let mut pushed = pushed(commit)?;
    Ok(match &commit.change {
        Change::AddMember { user, .. } => {
            pushed.insert("users", to_bson(user.0));
            doc! {
                "$set": { "revision": revision, member_path(*user): { "revision": revision } },
                "$inc": { "count": 1_i64 },
                "$push": pushed,
            }
        }
        Change::RemoveMember { user } => doc! {
            "$set": { "revision": revision },
            "$unset": { member_path(*user): "" },
            "$inc": { "count": -1_i64 },
            "$push": pushed,
            "$pull": { "users": to_bson(user.0) },
        },
        Change::Rename { name } => doc! {
            "$set": { "revision": revision, "name": name.as_str() },
            "$push": pushed,
        },
        Change::Delete { request } => doc! {
            "$set": {
                "revision": revision,
                "deleted_by": request,
                "count": 0_i64,
                "members": {},
                "users": [],
            },
            "$push": pushed,
        },
    })
}
