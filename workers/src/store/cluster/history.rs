//! [`HistoryStore`] on Cassandra.
//!
//! Invariants: a conversation's rows are cut into buckets of [`BUCKET`] stream sequences, so that no
//! partition grows without bound and none is read whole. Every write carries the sequence of the
//! entry it comes from as its time stamp, so writing again, in any order, ends in the same rows;
//! nothing is ever deleted and no null is written, so there are no tombstones. A floor is written
//! only after all rows up to it, and read before the rows it is given with.

mod connected;
mod read;
mod row;
mod rows;
mod scan;
mod schema;
mod standing;
mod statements;
mod time;
mod transfer;
mod write;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bus_schema::entry::Entry;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use parking_lot::Mutex;
use tokio::time::Instant;

use self::connected::{Connected, Purpose};
use super::cassandra::{CassandraSettings, Link};
use crate::store::StoreError;
use crate::store::history::{
    HistoryStore, Marker, PageQuery, PageRows, Precedents, PrecedentsQuery, RangeQuery, RangeRows,
    Snapshot, Standing, StandingQuery,
};

/// Stream sequences of one bucket. At 250 bytes a row, compressed, a bucket that one conversation
/// has for itself is about 65 MB.
pub(super) const BUCKET: u64 = 1 << 18;

/// The bucket of a sequence: a pure function, for ever.
const fn bucket_of(seq: u64) -> u64 {
    seq / BUCKET
}

/// A floor read so long ago still counts as read before the rows: floors only rise, and whoever
/// learnt a newer one from this store made it known here.
const FLOOR_AGE: Duration = Duration::from_millis(500);

/// The history of all streams.
pub(crate) struct CassandraHistory {
    settings: Arc<CassandraSettings>,
    link: Link<Connected>,
    /// The highest floor seen of each stream, and when.
    floors: Mutex<HashMap<StreamIndex, (u64, Instant)>>,
}

/// The store that the settings name. Connects when it is first used.
pub(crate) fn open(settings: &CassandraSettings) -> CassandraHistory {
    open_for(settings, Purpose::Use)
}

/// The same store, to be copied as a whole.
pub(super) fn open_to_copy(settings: &CassandraSettings) -> CassandraHistory {
    open_for(settings, Purpose::Copy)
}

fn open_for(settings: &CassandraSettings, purpose: Purpose) -> CassandraHistory {
    let settings = Arc::new(settings.clone());
    let making = Arc::clone(&settings);
    let link = Link::new(Box::new(move || {
        let settings = Arc::clone(&making);
        Box::pin(async move { Connected::new(&settings, purpose).await })
    }));
    CassandraHistory { settings, link, floors: Mutex::new(HashMap::new()) }
}

impl CassandraHistory {
    /// Takes note of a floor; the highest known.
    fn saw(&self, stream: StreamIndex, floor: u64) -> u64 {
        let mut floors = self.floors.lock();
        let known = floors.entry(stream).or_insert((floor, Instant::now()));
        *known = (known.0.max(floor), Instant::now());
        known.0
    }

    /// A floor that was read before what is read now.
    async fn floor_before(&self, c: &Connected, stream: StreamIndex) -> Result<u64, StoreError> {
        let known = self.floors.lock().get(&stream).copied();
        match known.filter(|(_, seen)| seen.elapsed() < FLOOR_AGE) {
            Some((floor, _)) => Ok(floor),
            None => Ok(self.saw(stream, read::floor(c, stream).await?)),
        }
    }
}

#[async_trait]
impl HistoryStore for CassandraHistory {
    async fn migrate(&self) -> Result<(), StoreError> {
        schema::migrate(&self.settings).await
    }

    async fn floor(&self, stream: StreamIndex) -> Result<u64, StoreError> {
        let c = self.link.get().await?;
        Ok(self.saw(stream, read::floor(&c, stream).await?))
    }

    async fn write_batch(
        &self,
        stream: StreamIndex,
        entries: Vec<Entry>,
        floor: u64,
    ) -> Result<(), StoreError> {
        let c = self.link.get().await?;
        write::entries(&c, &entries).await?;
        write::floor(&c, stream, floor).await?;
        self.saw(stream, floor);
        Ok(())
    }

    async fn write_rows(&self, _: StreamIndex, entries: Arc<[Entry]>) -> Result<(), StoreError> {
        let c = self.link.get().await?;
        write::entries(&c, &entries).await
    }

    async fn precedents(
        &self,
        stream: StreamIndex,
        queries: Vec<PrecedentsQuery>,
    ) -> Result<Snapshot<Vec<Precedents>>, StoreError> {
        let c = self.link.get().await?;
        let floor = self.floor_before(&c, stream).await?;
        Ok(Snapshot { floor, value: read::precedents(&c, stream, queries).await? })
    }

    async fn range(
        &self,
        stream: StreamIndex,
        query: RangeQuery,
    ) -> Result<Snapshot<RangeRows>, StoreError> {
        let c = self.link.get().await?;
        let floor = self.floor_before(&c, stream).await?;
        Ok(Snapshot { floor, value: read::range(&c, stream, query).await? })
    }

    async fn page(
        &self,
        stream: StreamIndex,
        query: PageQuery,
    ) -> Result<Snapshot<PageRows>, StoreError> {
        let c = self.link.get().await?;
        let floor = self.floor_before(&c, stream).await?;
        Ok(Snapshot { floor, value: read::page(&c, query).await? })
    }

    async fn standings(
        &self,
        stream: StreamIndex,
        user: UserId,
        queries: Vec<StandingQuery>,
    ) -> Result<Snapshot<Vec<Standing>>, StoreError> {
        let c = self.link.get().await?;
        let floor = self.floor_before(&c, stream).await?;
        Ok(Snapshot { floor, value: standing::standings(&c, stream, user, queries).await? })
    }

    async fn advance_marker(
        &self,
        user: UserId,
        conversation: ConversationId,
        id: EntryId,
    ) -> Result<Marker, StoreError> {
        let c = self.link.get().await?;
        write::marker(&c, user, conversation, id).await
    }
}

#[cfg(test)]
mod tests;
