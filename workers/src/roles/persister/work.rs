//! Persisting one stream while its lease is held.
//!
//! Invariants: entries are read, kept as dead letters and judged in the order of the log. A bounded
//! number of batches is written at once while the next is judged; the floor rises only to the last
//! batch before which all are written. A store that fails is waited for, without losing the place; a
//! failure of the log ends the run, and the next begins at the floor that the store holds.

use std::sync::Arc;
use std::time::Duration;

use bus_schema::entry::Entry;
use bus_schema::events::Floor;
use bus_schema::ids::StreamIndex;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::{Reader, Stored, leader};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::LogStream;
use bus_schema::subjects::{self, LogSubject};
use futures::StreamExt as _;
use futures::stream::FuturesOrdered;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::batch::gather;
use super::patience::Patience;
use super::{PersisterSettings, dead, trim};
use crate::judge::Judge;
use crate::roles::RoleError;
use crate::store::history::HistoryStore;

/// Between two announcements of the floor.
const ANNOUNCE: Duration = Duration::from_secs(1);

/// What persisting a stream needs.
pub(super) struct Worker {
    pub(super) bus: Bus,
    pub(super) store: Arc<dyn HistoryStore>,
    pub(super) stream: StreamIndex,
    pub(super) settings: PersisterSettings,
}

/// A batch with its verdicts.
struct Judged {
    valid: Arc<[Entry]>,
    /// How many entries it was made of.
    read: usize,
    /// The last of them.
    last: u64,
}

/// Writes the rows of a batch, however long it takes.
async fn rows(store: Arc<dyn HistoryStore>, stream: StreamIndex, judged: Judged) -> Judged {
    let mut patience = Patience::new(stream, "write", judged.last);
    while let Err(error) = store.write_rows(stream, Arc::clone(&judged.valid)).await {
        patience.failed(&error).await;
    }
    patience.done();
    judged
}

impl Worker {
    /// Persists until `held` ends.
    pub(super) async fn run(&self, held: &Shutdown) -> Result<(), RoleError> {
        let start = tokio::select! {
            start = self.start() => start?,
            () = held.requested() => return Ok(()),
        };
        let floor = watch::Sender::new(start);
        let (judged, waiting) = mpsc::channel(1);
        tokio::select! {
            ended = self.judge(start, &floor, judged) => ended,
            () = self.write(waiting, &floor) => Err(RoleError::new("writing ended")),
            () = self.announce(&floor) => Ok(()),
            () = self.keep_trimmed(&floor) => Ok(()),
            () = held.requested() => Ok(()),
        }
    }

    /// The floor to begin at.
    async fn start(&self) -> Result<u64, RoleError> {
        let stream = self.stream;
        let mut patience = Patience::new(stream, "read the floor", 0);
        let floor = loop {
            match self.store.floor(stream).await {
                Ok(floor) => break floor,
                Err(error) => patience.failed(&error).await,
            }
        };
        patience.done();
        let name = LogStream(stream).to_string();
        let log = leader::ask(&self.bus, stream).await.map_err(RoleError::new)?;
        let state = &log.cached_info().state;
        if floor > state.last_sequence {
            let last = state.last_sequence;
            return Err(RoleError::new(format!(
                "the store holds {name} up to {floor}, but the log ends at {last}: was it \
                 replaced? Restore it, or create it again to begin above {floor}"
            )));
        }
        let first = state.first_sequence.saturating_sub(1);
        if floor < first && floor > 0 {
            tracing::error!(%stream, floor, log_begins = first + 1, "entries are lost for ever");
        }
        Ok(floor.max(first))
    }

    /// Reads and judges, a few batches ahead of what is written.
    async fn judge(
        &self,
        start: u64,
        floor: &watch::Sender<u64>,
        judged: mpsc::Sender<Judged>,
    ) -> Result<(), RoleError> {
        let mut reader = Reader::open(&self.bus, self.stream, start);
        let mut judge = Judge::new(
            Arc::clone(&self.store),
            self.stream,
            self.settings.members,
            self.settings.messages,
        );
        loop {
            let batch = gather(&mut reader, &self.settings).await.map_err(RoleError::new)?;
            let Some(last) = batch.last().map(|stored| stored.sequence) else { continue };
            let read = batch.len();
            let entries = self.decode(batch).await?;
            let mut patience = Patience::new(self.stream, "read what verdicts need", last);
            loop {
                let written = *floor.borrow();
                match judge.prepare(&entries, written).await {
                    Ok(()) => break,
                    Err(error) => patience.failed(&error).await,
                }
            }
            patience.done();
            let valid = judge.valid(entries).into();
            if judged.send(Judged { valid, read, last }).await.is_err() {
                return Err(RoleError::new("writing ended"));
            }
        }
    }

    /// Writes batches, a few at once, and raises the floor as far as all before it are written.
    async fn write(&self, mut waiting: mpsc::Receiver<Judged>, floor: &watch::Sender<u64>) {
        let mut under_way = FuturesOrdered::new();
        loop {
            let room = under_way.len() < self.settings.batches_at_once.max(1);
            tokio::select! {
                Some(judged) = waiting.recv(), if room => {
                    let rows = rows(Arc::clone(&self.store), self.stream, judged);
                    // A task of its own: rows are made on another core than verdicts.
                    under_way.push_back(AbortOnDropHandle::new(tokio::spawn(rows)));
                }
                Some(written) = under_way.next() => {
                    // Only a panic ends a task without its answer; the next run writes again.
                    let Ok(written) = written else { return };
                    self.raise(written.last).await;
                    floor.send_replace(written.last);
                    self.count(written.read, written.valid.len(), written.last);
                }
                else => return,
            }
        }
    }

    async fn raise(&self, last: u64) {
        let mut patience = Patience::new(self.stream, "raise the floor", last);
        while let Err(error) = self.store.write_batch(self.stream, Vec::new(), last).await {
            patience.failed(&error).await;
        }
        patience.done();
    }

    /// The entries of conversations. Users' notices are no history; what cannot be decoded is kept
    /// elsewhere first.
    async fn decode(&self, batch: Vec<Stored>) -> Result<Vec<(LogSubject, Entry)>, RoleError> {
        let mut entries = Vec::with_capacity(batch.len());
        for stored in batch {
            if matches!(stored.place, Some(LogSubject::User(_))) {
                continue;
            }
            match (stored.place, stored.entry()) {
                (Some(place), Ok(entry)) => entries.push((place, entry)),
                (_, Err(reason)) => {
                    dead::keep(&self.bus, &stored, &reason).await.map_err(RoleError::new)?;
                }
                // Decoding without a place fails.
                (None, Ok(_)) => {}
            }
        }
        Ok(entries)
    }

    async fn announce(&self, floor: &watch::Sender<u64>) {
        let mut beats = interval(ANNOUNCE);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            let event = Floor { sequence: *floor.borrow() };
            let sent = self.bus.publish_event(subjects::floor(self.stream), &event).await;
            if let Err(error) = sent {
                tracing::debug!(stream = %self.stream, %error, "a floor was not announced");
            }
        }
    }

    async fn keep_trimmed(&self, floor: &watch::Sender<u64>) {
        let stream = self.stream;
        let age = Duration::from_secs(self.settings.trim_after_s);
        let mut beats = interval(Duration::from_secs(self.settings.trim_every_s.max(1)));
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            let upto = *floor.borrow();
            match trim::trim(&self.bus, stream, upto, age).await {
                Ok(Some(upto)) => tracing::debug!(%stream, upto, "trimmed the log"),
                Ok(None) => {}
                Err(error) => tracing::warn!(%stream, %error, "cannot trim the log now"),
            }
        }
    }

    fn count(&self, read: usize, written: usize, floor: u64) {
        let stream = self.stream.to_string();
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        metrics::counter!("natter_persister_read_total", "stream" => stream.clone())
            .increment(count(read));
        metrics::counter!("natter_persister_written_total", "stream" => stream.clone())
            .increment(count(written));
        #[expect(clippy::cast_precision_loss, reason = "a gauge; sequences stay below 2^53")]
        metrics::gauge!("natter_persister_floor", "stream" => stream).set(floor as f64);
    }
}
