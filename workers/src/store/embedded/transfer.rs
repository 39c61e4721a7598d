//! The embedded store as the source or target of a copy.
//!
//! Invariant: its files belong to the copy alone, from opening to the end: whoever else has one of
//! them open makes opening fail, and nobody can open them meanwhile. The state of a copy is in a file
//! of its own beside them, replaced as a whole.
//!
//! Leaves out channels and history, whose rows are moved beside their schemas.

mod people;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::{Connection, Row, Rows, TransactionBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::db::{self, Durability};
use super::{channels, history};
use crate::store::transfer::{CopyState, Cursor, Page, Record, Table, Transfer};
use crate::store::{StoreError, StoreErrorKind};

/// Where the state of a copy into a directory is kept.
const STATE: &str = "copy.json";

/// A directory that is being copied.
pub(crate) struct EmbeddedTransfer {
    directory: PathBuf,
    people: Arc<Mutex<Connection>>,
    channels: Arc<Mutex<Connection>>,
    history: Arc<Mutex<Connection>>,
}

impl EmbeddedTransfer {
    /// Opens a directory, which is made if it is not there, for oneself alone.
    pub(crate) async fn open(directory: &Path) -> Result<Self, StoreError> {
        let directory = directory.to_owned();
        blocking(move || {
            super::make_directory(&directory)?;
            let open = |name: &str, migrations| {
                let path = directory.join(name);
                db::exclusive(&path, Durability::Full, migrations).map(|c| Arc::new(Mutex::new(c)))
            };
            Ok(Self {
                people: open(super::people::FILE, super::people::MIGRATIONS)?,
                channels: open(channels::FILE, channels::MIGRATIONS)?,
                history: open(history::FILE, history::MIGRATIONS)?,
                directory,
            })
        })
        .await
    }

    const fn file(&self, table: Table) -> &Arc<Mutex<Connection>> {
        match table {
            Table::Keys | Table::Accounts | Table::Invites | Table::Webhooks | Table::Sessions => {
                &self.people
            }
            Table::Channels | Table::Dms | Table::Nonces => &self.channels,
            Table::Entries
            | Table::Messages
            | Table::Membership
            | Table::Buckets
            | Table::Markers
            | Table::Floors => &self.history,
        }
    }
}

#[async_trait]
impl Transfer for EmbeddedTransfer {
    async fn export(
        &self,
        table: Table,
        from: Option<Cursor>,
        rows: usize,
    ) -> Result<Page, StoreError> {
        let file = Arc::clone(self.file(table));
        blocking(move || {
            let c = &*file.lock();
            let from = from.as_ref();
            match table {
                Table::Keys
                | Table::Accounts
                | Table::Invites
                | Table::Webhooks
                | Table::Sessions => people::export(c, table, from, rows),
                Table::Channels | Table::Dms | Table::Nonces => {
                    channels::transfer::export(c, table, from, rows)
                }
                _ => history::transfer::export(c, table, from, rows),
            }
        })
        .await
    }

    async fn import(&self, table: Table, records: Arc<[Record]>) -> Result<(), StoreError> {
        let file = Arc::clone(self.file(table));
        blocking(move || {
            let mut c = file.lock();
            let tx = c.transaction_with_behavior(TransactionBehavior::Immediate)?;
            match table {
                Table::Keys
                | Table::Accounts
                | Table::Invites
                | Table::Webhooks
                | Table::Sessions => {
                    people::import(&tx, table, &records)?;
                }
                Table::Channels | Table::Dms | Table::Nonces => {
                    channels::transfer::import(&tx, table, &records)?;
                }
                _ => history::transfer::import(&tx, table, &records)?,
            }
            Ok(tx.commit()?)
        })
        .await
    }

    async fn state(&self) -> Result<Option<CopyState>, StoreError> {
        let directory = self.directory.clone();
        blocking(move || read_state(&directory)).await
    }

    async fn keep_state(&self, state: CopyState) -> Result<(), StoreError> {
        let directory = self.directory.clone();
        blocking(move || {
            let text = serde_json::to_vec(&state).map_err(super::corrupt)?;
            write_state(&directory, &text)
                .map_err(|e| StoreError::new(StoreErrorKind::Unavailable, e))
        })
        .await
    }
}

/// Fails if a copy into a directory is not finished.
pub(crate) fn usable(directory: &Path) -> Result<(), StoreError> {
    CopyState::usable(read_state(directory)?.as_ref())
}

fn read_state(directory: &Path) -> Result<Option<CopyState>, StoreError> {
    match fs::read(directory.join(STATE)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text).map_err(super::corrupt)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::new(StoreErrorKind::Unavailable, error)),
    }
}

/// The old state or the new one is there, whenever the machine stops.
fn write_state(directory: &Path, text: &[u8]) -> io::Result<()> {
    let draft = directory.join(format!("{STATE}.draft"));
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&draft, directory.join(STATE))?;
    fs::File::open(directory)?.sync_all()
}

/// Runs what blocks away from the runtime.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| StoreError::new(StoreErrorKind::Unavailable, e))?
}

/// The key at which a page begins: what the cursor says, or `least`.
pub(super) fn start<K: DeserializeOwned>(from: Option<&Cursor>, least: K) -> Result<K, StoreError> {
    from.map_or(Ok(least), Cursor::at)
}

/// A page from rows in the order of their key, which says where the next page begins.
pub(super) fn page<K: Serialize>(
    mut rows: Rows<'_>,
    most: usize,
    key: impl Fn(&Row<'_>) -> rusqlite::Result<K>,
    record: impl Fn(&Row<'_>) -> Result<Record, StoreError>,
) -> Result<Page, StoreError> {
    let mut page = Page::default();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        if count >= most {
            page.next = Some(Cursor::new(&key(row)?)?);
            break;
        }
        let record = record(row)?;
        count += record.rows();
        page.records.push(record);
    }
    Ok(page)
}

#[cfg(test)]
mod tests;
