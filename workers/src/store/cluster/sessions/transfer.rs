//! Sessions, whole.

use super::document::SessionDocument;
use crate::store::StoreError;
use crate::store::cluster::mongodb::{Mongo, schema};
use crate::store::cluster::transfer::{Documents, page, this, upsert};
use crate::store::transfer::{Cursor, Page, Record, Table, misplaced};

/// Records of sessions.
pub(in crate::store::cluster) async fn export(
    mongo: &Mongo,
    from: Option<&Cursor>,
    most: usize,
) -> Result<Page, StoreError> {
    let all = Documents::all(schema::SESSIONS);
    let record = |stored: SessionDocument| stored.copy().map(Record::Session);
    page(mongo, all, from, most, |session: &SessionDocument| session.id, record).await
}

/// Writes records of sessions. Who may have signed in at the same moment as another is not kept:
/// nobody signs in now.
pub(in crate::store::cluster) async fn import(
    mongo: &Mongo,
    records: &[Record],
) -> Result<(), StoreError> {
    let updates = records.iter().map(|record| match record {
        Record::Session(copy) => this(&SessionDocument::from_copy(copy)),
        _ => Err(misplaced(Table::Sessions)),
    });
    upsert(mongo, schema::SESSIONS, updates.collect::<Result<Vec<_>, _>>()?).await
}
