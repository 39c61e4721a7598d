//! [`HistoryStore`] on SQLite.
//!
//! Invariant: the floor is read in the snapshot that the rows are read in, and raised in the
//! transaction that writes them. Commits are on disk before they are answered: the log forgets
//! what the floor says is here.

mod read;
mod rows;
mod schema;
mod standing;
pub(super) mod transfer;
mod write;

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bus_schema::entry::Entry;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use rusqlite::Connection;

use super::db::{Db, Durability};
use crate::store::StoreError;
use crate::store::history::{
    HistoryStore, Marker, PageQuery, PageRows, Precedents, PrecedentsQuery, RangeQuery, RangeRows,
    Snapshot, Standing, StandingQuery,
};

/// Its file in the directory.
pub(crate) const FILE: &str = "history.db";
pub(super) use self::schema::MIGRATIONS;

/// The history database.
#[derive(Debug, Clone)]
pub(crate) struct SqliteHistory(Db);

impl SqliteHistory {
    /// Opens or creates it. Blocks the thread.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self(Db::open(path, Durability::Full, MIGRATIONS)?))
    }

    /// Reads something and the floor in one snapshot.
    async fn snapshot<T: Send + 'static>(
        &self,
        stream: StreamIndex,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<Snapshot<T>, StoreError> {
        let both =
            move |c: &Connection| Ok(Snapshot { floor: read::floor(c, stream)?, value: work(c)? });
        self.0.read(both).await
    }
}

#[async_trait]
impl HistoryStore for SqliteHistory {
    async fn floor(&self, stream: StreamIndex) -> Result<u64, StoreError> {
        self.0.read(move |c| read::floor(c, stream)).await
    }

    async fn write_batch(
        &self,
        stream: StreamIndex,
        entries: Vec<Entry>,
        floor: u64,
    ) -> Result<(), StoreError> {
        self.0.write(move |tx| write::batch(tx, stream, &entries, floor)).await
    }

    async fn write_rows(&self, _: StreamIndex, entries: Arc<[Entry]>) -> Result<(), StoreError> {
        self.0.write(move |tx| write::rows(tx, &entries)).await
    }

    async fn precedents(
        &self,
        stream: StreamIndex,
        queries: Vec<PrecedentsQuery>,
    ) -> Result<Snapshot<Vec<Precedents>>, StoreError> {
        let work = move |c: &Connection| {
            queries.iter().map(|query| read::precedents(c, stream, query)).collect()
        };
        self.snapshot(stream, work).await
    }

    async fn range(
        &self,
        stream: StreamIndex,
        query: RangeQuery,
    ) -> Result<Snapshot<RangeRows>, StoreError> {
        self.snapshot(stream, move |c| read::range(c, stream, query)).await
    }

    async fn page(
        &self,
        stream: StreamIndex,
        query: PageQuery,
    ) -> Result<Snapshot<PageRows>, StoreError> {
        self.snapshot(stream, move |c| read::page(c, query)).await
    }

    async fn standings(
        &self,
        stream: StreamIndex,
        user: UserId,
        queries: Vec<StandingQuery>,
    ) -> Result<Snapshot<Vec<Standing>>, StoreError> {
        let work = move |c: &Connection| {
            queries.iter().map(|query| standing::standing(c, stream, user, query)).collect()
        };
        self.snapshot(stream, work).await
    }

    async fn advance_marker(
        &self,
        user: UserId,
        conversation: ConversationId,
        id: EntryId,
    ) -> Result<Marker, StoreError> {
        self.0.write(move |tx| write::marker(tx, user, conversation, id)).await
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::conformance::history::{self as suite, model};

    fn fresh() -> (tempfile::TempDir, SqliteHistory) {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteHistory::open(&dir.path().join("history.db")).unwrap();
        (dir, store)
    }

    #[tokio::test]
    async fn passes_the_suite() {
        suite::run(&fresh().1).await;
    }

    #[tokio::test]
    async fn passes_what_wants_a_store_for_itself() {
        suite::many_unread(&fresh().1).await;
        suite::rows_before_the_floor(&fresh().1).await;
    }

    #[tokio::test]
    async fn passes_what_is_sparse() {
        let (_dir, store) = fresh();
        suite::sparse::far_apart(&store).await;
        suite::sparse::many_deleted(&store).await;
        suite::sparse::many_of_ones_own(&store).await;
        suite::sparse::equal_times(&store).await;
    }

    #[tokio::test]
    async fn what_was_written_is_there_after_opening_again() {
        let (dir, store) = fresh();
        let mut log = model::Log::new(StreamIndex(0));
        log.push(model::add(UserId(1), UserId(1), 1));
        store.write_batch(StreamIndex(0), log.valid(), 1).await.unwrap();
        let before = suite::contents(&store, StreamIndex(0)).await;
        drop(store);
        let store = SqliteHistory::open(&dir.path().join("history.db")).unwrap();
        assert_eq!(suite::contents(&store, StreamIndex(0)).await, before);
        assert_eq!(store.floor(StreamIndex(0)).await.unwrap(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn redelivery_in_any_order_converges(
            log in model::any_log(0..30),
            extra in prop::collection::vec(0usize..1_000, 0..40),
            shuffle: u64,
        ) {
            let valid = log.valid();
            // Every entry once, in some order, with repeats before, between and after.
            let mut order: Vec<usize> = (0..valid.len()).chain(extra).collect();
            order.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(shuffle | 1).rotate_left(17));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                let ((_a, once), (_b, often)) = (fresh(), fresh());
                once.write_batch(StreamIndex(0), valid.clone(), 0).await.unwrap();
                suite::redelivery(&often, &valid, &order).await;
                let stream = StreamIndex(0);
                let (once, often) =
                    (suite::contents(&once, stream).await, suite::contents(&often, stream).await);
                assert_eq!(once, often);
            });
        }
    }
}
