//! A session with its statements, and how many of them may be under way.
//!
//! Invariant: what exceeds the bounds waits here, in order, and not in the servers. Waiting and
//! reading together take no longer than twice the time limit of a read.

use futures::TryStreamExt as _;
use scylla::client::session::Session;
use scylla::deserialize::row::DeserializeRow;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::Batch;
use scylla::statement::prepared::PreparedStatement;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::row::Row;
use super::schema;
use super::statements::Statements;
use crate::store::StoreError;
use crate::store::cluster::cassandra::{CassandraSettings, connect, corrupt, failed, unavailable};

/// Everything that asking takes.
pub(super) struct Connected {
    session: Session,
    pub(super) statements: Statements,
    reads: Semaphore,
    writes: Semaphore,
    pub(super) writes_at_once: usize,
    read_timeout: std::time::Duration,
}

impl Connected {
    pub(super) async fn new(settings: &CassandraSettings) -> Result<Self, StoreError> {
        let keyspace = settings.keyspace()?;
        let session = connect(settings).await?;
        schema::check(&session, keyspace).await?;
        let statements = Statements::prepare(&session, settings).await?;
        let writes_at_once = settings.writes_at_once.max(1);
        Ok(Self {
            session,
            statements,
            reads: Semaphore::new(settings.reads_at_once.max(1)),
            writes: Semaphore::new(writes_at_once),
            writes_at_once,
            read_timeout: settings.read_timeout(),
        })
    }

    /// Reads rows whose number the statement bounds.
    pub(super) async fn rows<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let _turn = self.turn().await?;
        let found = self.session.execute_unpaged(statement, values).await.map_err(failed)?;
        let found = found.into_rows_result().map_err(corrupt)?;
        let rows = found.rows::<R>().map_err(corrupt)?;
        let rows = rows.collect::<Result<Vec<_>, _>>().map_err(corrupt)?;
        count(rows.len());
        Ok(rows)
    }

    /// Reads all rows of a partition, page by page.
    pub(super) async fn paged<R>(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm> + 'static,
    {
        let _turn = self.turn().await?;
        let pages = self.session.execute_iter(statement.clone(), values).await;
        let rows = pages.map_err(unavailable)?.rows_stream::<R>().map_err(corrupt)?;
        let rows: Vec<R> = rows.try_collect().await.map_err(unavailable)?;
        count(rows.len());
        Ok(rows)
    }

    /// Writes one row.
    pub(super) async fn write(
        &self,
        statement: &PreparedStatement,
        values: impl SerializeRow,
    ) -> Result<(), StoreError> {
        let _turn = self.writes.acquire().await.map_err(unavailable)?;
        self.session.execute_unpaged(statement, values).await.map_err(failed).map(drop)
    }

    /// Writes rows of one partition.
    pub(super) async fn write_together(
        &self,
        batch: &Batch,
        rows: &[Row<'_>],
    ) -> Result<(), StoreError> {
        let _turn = self.writes.acquire().await.map_err(unavailable)?;
        self.session.batch(batch, rows).await.map_err(failed).map(drop)
    }

    async fn turn(&self) -> Result<SemaphorePermit<'_>, StoreError> {
        match timeout(self.read_timeout, self.reads.acquire()).await {
            Ok(turn) => turn.map_err(unavailable),
            Err(_) => Err(unavailable("too many reads are under way")),
        }
    }
}

/// Rows that servers gave, also those that no answer shows.
fn count(rows: usize) {
    let rows = u64::try_from(rows).unwrap_or(u64::MAX);
    metrics::counter!("natter_history_rows_read_total").increment(rows);
}
