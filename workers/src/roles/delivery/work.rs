//! Delivering one stream while its lease is held.
//!
//! Invariants: judging begins at or below what the store holds, like the persister's, so that a
//! verdict never lacks what stands before its entry; copying begins at the position. A failure ends
//! the run, and the next begins at the position that was written.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bus_schema::entry::Entry;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::{ReadError, Reader, Stored, leader};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects::LogSubject;
use tokio::time::{Instant, timeout, timeout_at};

use super::DeliverySettings;
use super::backlog::Backlogs;
use super::position::{Position, Written};
use super::who::Who;
use crate::judge::Judge;
use crate::roles::RoleError;
use crate::store::history::HistoryStore;

/// How often a bot that is left out is looked at, and how far the store is asked for.
const TICK: Duration = Duration::from_secs(1);
/// What delivering a stream needs.
pub(super) struct Worker {
    pub(super) bus: Bus,
    pub(super) store: Arc<dyn HistoryStore>,
    pub(super) stream: StreamIndex,
    pub(super) settings: DeliverySettings,
}

/// One run.
pub(super) struct Run<'a> {
    pub(super) worker: &'a Worker,
    pub(super) judge: Judge,
    pub(super) who: Who,
    pub(super) backlogs: Backlogs,
    /// The bots in each conversation seen lately.
    pub(super) bots: HashMap<LogSubject, BTreeSet<UserId>>,
    pub(super) written: Written,
    pub(super) written_at: Instant,
    /// Where delivery stands, written or not: sequence and who is left out.
    pub(super) now: Position,
    /// Up to where the store has everything, and when that was asked.
    pub(super) stored: (u64, Instant),
    /// Entries that the log forgot before they were delivered, and who was told.
    pub(super) lost: Option<(EntryId, EntryId)>,
    pub(super) told: HashSet<(UserId, ConversationId)>,
}

impl Worker {
    /// Delivers until `held` ends.
    pub(super) async fn run(&self, held: &Shutdown, failures: &mut u32) -> Result<(), RoleError> {
        tokio::select! {
            ended = self.work(failures) => ended,
            () = held.requested() => Ok(()),
        }
    }

    async fn work(&self, failures: &mut u32) -> Result<(), RoleError> {
        let (mut run, mut reader) = self.start().await?;
        loop {
            let batch = gather(&mut reader, &self.settings).await.map_err(RoleError::new)?;
            match batch.last().map(|stored| stored.sequence) {
                Some(last) => run.deliver(batch, last).await?,
                None => run.tick().await?,
            }
            *failures = 0;
        }
    }

    async fn start(&self) -> Result<(Run<'_>, Reader), RoleError> {
        let stream = self.stream;
        let stored = self.store.floor(stream).await?;
        let log = leader::ask(&self.bus, stream).await.map_err(RoleError::new)?;
        let state = &log.cached_info().state;
        let before_first = state.first_sequence.saturating_sub(1);
        let written = if let Some(written) = Written::read(&self.bus, stream).await? {
            written
        } else {
            // What was said before there were bots is nobody's to receive.
            let position = Position { sequence: state.last_sequence, ..Position::default() };
            let mut written = Written::nowhere(position.clone());
            written.advance(&self.bus, stream, &[], position).await?;
            written
        };
        let from = written.position.sequence;
        let lost = (from < before_first).then(|| {
            tracing::error!(%stream, from, log_begins = before_first + 1, "bots miss entries");
            (EntryId::new(from, stream), EntryId::new(before_first + 1, stream))
        });
        let (members, messages) = (self.settings.members, self.settings.messages);
        let run = Run {
            worker: self,
            judge: Judge::new(Arc::clone(&self.store), stream, members, messages),
            who: Who::new(&self.bus),
            backlogs: Backlogs::new(&self.bus, self.settings.backlog_events),
            bots: HashMap::new(),
            now: written.position.clone(),
            written,
            written_at: Instant::now(),
            stored: (stored, Instant::now()),
            lost,
            told: HashSet::new(),
        };
        let start = from.min(stored).max(before_first);
        Ok((run, Reader::open(&self.bus, stream, start)))
    }
}

/// Entries that come together; none if nothing comes for a while.
async fn gather(
    reader: &mut Reader,
    settings: &DeliverySettings,
) -> Result<Vec<Stored>, ReadError> {
    let Ok(first) = timeout(TICK, reader.next()).await else { return Ok(Vec::new()) };
    let mut batch = vec![first?];
    let deadline = Instant::now() + Duration::from_millis(settings.batch_wait_ms);
    while batch.len() < settings.batch_entries {
        // A failure comes up again at the next call.
        let Ok(Ok(stored)) = timeout_at(deadline, reader.next()).await else { break };
        batch.push(stored);
    }
    Ok(batch)
}

impl Run<'_> {
    /// Judges a run of the log, and writes what bots get of it.
    async fn deliver(&mut self, batch: Vec<Stored>, last: u64) -> Result<(), RoleError> {
        self.ask_what_is_stored().await?;
        // What cannot be decoded is nobody's to receive; the persister keeps it.
        let entries = batch.into_iter().filter_map(|stored| {
            let place = stored.place.filter(|place| place.conversation().is_some())?;
            Some((place, stored.entry().ok()?))
        });
        let entries: Vec<(LogSubject, Entry)> = entries.collect();
        self.judge.prepare(&entries, self.stored.0).await?;
        let mut copies = Vec::new();
        for (place, entry) in entries {
            if self.judge.admits(place, &entry) {
                self.copy(place, &entry, &mut copies).await?;
            }
        }
        self.write(&copies, last).await
    }

    /// Nothing comes: tells bots that have caught up what they were not given.
    async fn tick(&mut self) -> Result<(), RoleError> {
        let mut copies = Vec::new();
        let behind: Vec<UserId> = self.now.behind.keys().copied().collect();
        for bot in behind {
            self.catch_up(bot, self.now.sequence, &mut copies).await?;
        }
        self.write(&copies, self.now.sequence).await
    }

    async fn ask_what_is_stored(&mut self) -> Result<(), RoleError> {
        if self.stored.1.elapsed() > TICK {
            self.stored = (self.worker.store.floor(self.worker.stream).await?, Instant::now());
        }
        Ok(())
    }
}
