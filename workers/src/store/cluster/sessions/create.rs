//! Making a session, and ending the oldest beyond what its user may have.

use bus_schema::ids::SessionId;
use futures::FutureExt as _;
use futures::stream::TryStreamExt as _;
use mongodb::bson::{Document, doc};
use mongodb::error::Result;
use mongodb::options::ReadConcern;
use mongodb::{ClientSession, Database};

use super::LIVE;
use super::document::{Id, SessionDocument, ids, sessions};
use crate::store::StoreError;
use crate::store::cluster::mongodb::schema;

/// What every try of the transaction needs.
struct New {
    database: Database,
    session: SessionDocument,
    keep: usize,
}

/// Those that ended.
pub(super) async fn create(
    database: &Database,
    session: SessionDocument,
    keep: usize,
) -> std::result::Result<Vec<SessionId>, StoreError> {
    let mut transaction = database.client().start_session().await?;
    let new = New { database: database.clone(), session, keep };
    // What is met on the way is tried again by the driver, within the bounds of the operation.
    let ended = transaction
        .start_transaction()
        .read_concern(ReadConcern::snapshot())
        .and_run(new, |transaction, new| within(transaction, new).boxed())
        .await?;
    Ok(ended.iter().map(Id::session).collect())
}

async fn within(transaction: &mut ClientSession, new: &New) -> Result<Vec<Id>> {
    let New { database, session, keep } = new;
    // Of two sign-ins of one user at the same moment, each would see only its own session: both
    // write here, so that one of them is tried again when the other is there.
    database
        .collection::<Document>(schema::SIGN_INS)
        .update_one(doc! { "_id": session.user }, doc! { "$inc": { "count": 1_i64 } })
        .upsert(true)
        .session(&mut *transaction)
        .await?;
    sessions::<SessionDocument>(database).insert_one(session).session(&mut *transaction).await?;
    // The new one stays whatever the clocks of other machines say.
    let others = doc! { "user": session.user, "ended_at": LIVE, "_id": { "$ne": session.id } };
    let mut oldest = sessions::<Id>(database)
        .find(others)
        .projection(doc! { "_id": 1 })
        .sort(doc! { "created_at": -1, "_id": -1 })
        .skip(u32::try_from(keep.saturating_sub(1)).unwrap_or(u32::MAX).into())
        .session(&mut *transaction)
        .await?;
    let ended: Vec<Id> = oldest.stream(transaction).try_collect().await?;
    if !ended.is_empty() {
        sessions::<Id>(database)
            .update_many(
                doc! { "_id": { "$in": ids(&ended) } },
                doc! { "$set": { "ended_at": session.created_at } },
            )
            .session(transaction)
            .await?;
    }
    Ok(ended)
}
