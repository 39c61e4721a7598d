//! The cluster as the source or target of a copy.
//!
//! Invariant: from the first record that is copied into it until both sides were found the same, the
//! platform refuses the store: MongoDB holds the state of the copy and Cassandra a mark, and each is
//! looked at where a worker connects. The mark is set before the state and taken away before it, so
//! a copy that was killed in between goes on.
//!
//! Leaves out the caches in Redis, which hold nothing of record.

mod documents;
mod people;

use std::sync::Arc;

use async_trait::async_trait;
use mongodb::bson::doc;
use serde::{Deserialize, Serialize};

use super::cassandra::CassandraSettings;
use super::history::{self, CassandraHistory};
use super::mongodb::{Mongo, MongoSettings, corrupt};
use super::{channels, sessions};
use crate::store::StoreError;
use crate::store::history::HistoryStore as _;
use crate::store::settings::StoreSettings;
use crate::store::transfer::{CopyState, Cursor, Page, Record, Stage, Table, Transfer};

pub(super) use self::documents::{Documents, page, this, upsert};

/// What one request may take: pages are larger than what people ask for, and nobody waits.
const REQUEST_MS: u64 = 60_000;
/// Where the state of a copy is kept, and under which id.
const STATES: &str = "copy";
const STATE: &str = "state";

/// The servers of the settings.
struct ClusterTransfer {
    mongo: Mongo,
    history: CassandraHistory,
}

/// Opens them; a store to be written is prepared as the setup role does it.
pub(crate) async fn open(
    settings: &StoreSettings,
    to_be_read: bool,
) -> Result<Arc<dyn Transfer>, StoreError> {
    settings.all_named()?;
    let cassandra = CassandraSettings {
        read_timeout_ms: REQUEST_MS,
        write_timeout_ms: REQUEST_MS,
        ..settings.cassandra.clone()
    };
    let mongodb = MongoSettings { operation_timeout_ms: REQUEST_MS, ..settings.mongodb.clone() };
    let history = history::open_to_copy(&cassandra);
    let mongo = Mongo::open_to_copy(&mongodb)?;
    if !to_be_read {
        history.migrate().await?;
        mongo.migrate().await?;
    }
    Ok(Arc::new(ClusterTransfer { mongo, history }))
}

#[async_trait]
impl Transfer for ClusterTransfer {
    async fn export(
        &self,
        table: Table,
        from: Option<Cursor>,
        rows: usize,
    ) -> Result<Page, StoreError> {
        let (mongo, from) = (&self.mongo, from.as_ref());
        match table {
            Table::Keys | Table::Accounts | Table::Invites | Table::Webhooks => {
                people::export(mongo, table, from, rows).await
            }
            Table::Sessions => sessions::transfer::export(mongo, from, rows).await,
            Table::Channels | Table::Dms | Table::Nonces => {
                channels::transfer::export(mongo, table, from, rows).await
            }
            _ => self.history.export(table, from.cloned(), rows).await,
        }
    }

    async fn import(&self, table: Table, records: Arc<[Record]>) -> Result<(), StoreError> {
        match table {
            Table::Keys | Table::Accounts | Table::Invites | Table::Webhooks => {
                people::import(&self.mongo, table, &records).await
            }
            Table::Sessions => sessions::transfer::import(&self.mongo, &records).await,
            Table::Channels | Table::Dms | Table::Nonces => {
                channels::transfer::import(&self.mongo, table, &records).await
            }
            _ => self.history.import(table, &records).await,
        }
    }

    async fn state(&self) -> Result<Option<CopyState>, StoreError> {
        self.mongo.read(|database| async move { state(&database).await }).await
    }

    async fn keep_state(&self, state: CopyState) -> Result<(), StoreError> {
        let unfinished = state.stage != Stage::Finished;
        if !unfinished || matches!(state.stage, Stage::Copying { from: None, .. }) {
            self.history.set_unfinished(unfinished).await?;
        }
        let text = serde_json::to_string(&state).map_err(corrupt)?;
        let update = doc! { "q": { "_id": STATE }, "u": { "text": text }, "upsert": true };
        upsert(&self.mongo, STATES, vec![update]).await
    }
}

#[derive(Serialize, Deserialize)]
struct StateDocument {
    text: String,
}

/// The state of the copy into a database, if there ever was one.
pub(super) async fn state(database: &mongodb::Database) -> Result<Option<CopyState>, StoreError> {
    let states = database.collection::<StateDocument>(STATES);
    let kept = states.find_one(doc! { "_id": STATE }).await?;
    kept.map(|kept| serde_json::from_str(&kept.text).map_err(corrupt)).transpose()
}

#[cfg(test)]
mod tests;
