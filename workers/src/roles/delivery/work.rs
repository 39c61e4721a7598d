//! Delivering one stream while its lease is held.
//!
//! Invariants: judging begins at or below what the store holds, like the persister's, so that a
//! verdict never lacks what stands before its entry; copying begins at the position. A failure ends
//! the run, and the next begins at the position that was written.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bus_schema::entry::{Body, Entry};
use bus_schema::events::Gap;
use bus_schema::frames::event;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::{ReadError, Reader, Stored};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::LogStream;
use bus_schema::subjects::LogSubject;
use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::DeliverySettings;
use super::backlog::{Backlogs, Room};
use super::position::{Copy, LeftOut, Position, Written};
use super::who::Who;
use crate::judge::Judge;
use crate::roles::RoleError;
use crate::store::history::HistoryStore;

/// How often a bot that is left out is looked at, and the position written where nothing is copied.
const TICK: Duration = Duration::from_secs(1);
/// How often the position is written where nothing is copied.
const WRITE_POSITION: Duration = Duration::from_secs(5);
/// Events of one batch, which is one write,
const COPIES: usize = 500;
/// and their bytes.
const COPIES_BYTES: usize = 1 << 20;
/// Conversations of a bot that is left out for which it is remembered where that began.
const LEFT_OUT: usize = 5_000;
/// Conversations whose bots are remembered; beyond, they are found again.
const PLACES: usize = 200_000;

/// What delivering a stream needs.
pub(super) struct Worker {
    pub(super) bus: Bus,
    pub(super) store: Arc<dyn HistoryStore>,
    pub(super) stream: StreamIndex,
    pub(super) settings: DeliverySettings,
}

/// One run.
struct Run<'a> {
    worker: &'a Worker,
    judge: Judge,
    who: Who,
    backlogs: Backlogs,
    /// The bots in each conversation seen lately.
    bots: HashMap<LogSubject, BTreeSet<UserId>>,
    written: Written,
    written_at: Instant,
    /// Where delivery stands, written or not: sequence and who is left out.
    now: Position,
    /// Up to where the store has everything, and when that was asked.
    stored: (u64, Instant),
    /// Entries that the log forgot before they were delivered, and who was told.
    lost: Option<(EntryId, EntryId)>,
    told: HashSet<(UserId, ConversationId)>,
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
        let name = LogStream(stream).to_string();
        let log = self.bus.jetstream().get_stream(&name).await.map_err(RoleError::new)?;
        let state = &log.cached_info().state;
        let before_first = state.first_sequence.saturating_sub(1);
        let written = match Written::read(&self.bus, stream).await? {
            Some(written) => written,
            None => {
                // What was said before there were bots is nobody's to receive.
                let sequence = state.last_sequence;
                let position = Position { sequence, ..Position::default() };
                let mut written = Written::nowhere(position.clone());
                written.advance(&self.bus, stream, &[], position).await?;
                written
            }
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

/// An event as bots get it: as on the websocket, without the frame's number.
fn said(name: &str, data: &str) -> Bytes {
    Bytes::from(format!(r#"{{"t":"{name}","d":{data}}}"#))
}

fn gap(conversation_id: ConversationId, from: EntryId, to: EntryId) -> Bytes {
    let gap = Gap { conversation_id, from, to };
    // Serializing ids cannot fail.
    said(event::GAP, &serde_json::to_string(&gap).unwrap_or_default())
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
        self.write(&copies, last.max(self.now.sequence)).await
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

    /// Adds the copies of one valid entry.
    async fn copy(
        &mut self,
        place: LogSubject,
        entry: &Entry,
        copies: &mut Vec<Copy>,
    ) -> Result<(), RoleError> {
        let recipients = self.recipients(place, entry).await?;
        let (sequence, conversation) = (entry.id.sequence(), entry.body.conversation());
        if recipients.is_empty() || sequence <= self.now.sequence {
            return Ok(());
        }
        let event = said(entry.body.kind().as_str(), &entry.event_json());
        for bot in recipients {
            if self.now.covers(sequence, bot) {
                continue;
            }
            if self.now.behind.contains_key(&bot) && !self.catch_up(bot, sequence, copies).await? {
                self.leave_out(bot, conversation, entry.id);
                continue;
            }
            match self.backlogs.take(bot, false).await? {
                Room::Nobody => continue,
                Room::Full => {
                    tracing::info!(bot.id = %bot, "a bot is too far behind and is left out");
                    self.now.behind.insert(bot, BTreeMap::new());
                    self.leave_out(bot, conversation, entry.id);
                    continue;
                }
                Room::Free => {}
            }
            let came = matches!(&entry.body, Body::MemberAdd(b) if b.user_id == bot);
            if let Some((from, to)) = self.lost
                && self.told.insert((bot, conversation))
                && !came
            {
                copies.push(Copy {
                    sequence,
                    bot,
                    event: gap(conversation, from, to),
                    whole: false,
                });
            }
            copies.push(Copy { sequence, bot, event: event.clone(), whole: true });
        }
        Ok(())
    }

    /// The bots that get an entry, and who is in the conversation after it.
    async fn recipients(
        &mut self,
        place: LogSubject,
        entry: &Entry,
    ) -> Result<BTreeSet<UserId>, RoleError> {
        let failed = |failure: bus_schema::error::Failure| RoleError::new(failure);
        if !self.bots.contains_key(&place) {
            let members = self.judge.members(place).collect();
            let found = self.who.bots(members).await.map_err(failed)?;
            if self.bots.len() >= PLACES {
                self.bots.clear();
            }
            self.bots.insert(place, found.into_iter().collect());
        }
        let bots = self.bots.entry(place).or_default();
        let mut recipients = bots.clone();
        match &entry.body {
            Body::MemberAdd(body) => {
                let found = self.who.bots(vec![body.user_id]).await.map_err(failed)?;
                bots.extend(&found);
                recipients.extend(found);
            }
            Body::MemberRemove(body) => {
                bots.remove(&body.user_id);
                recipients.extend(self.who.bots(vec![body.user_id]).await.map_err(failed)?);
            }
            _ => {}
        }
        Ok(recipients)
    }

    fn leave_out(&mut self, bot: UserId, conversation: ConversationId, id: EntryId) {
        let left_out = self.now.behind.entry(bot).or_default();
        if let Some(known) = left_out.get_mut(&conversation) {
            known.last = known.last.max(id);
        } else if left_out.len() < LEFT_OUT {
            left_out.insert(conversation, LeftOut { first: id, last: id });
        } else {
            tracing::error!(bot.id = %bot, conversation.id = %conversation, "a bot misses entries");
        }
    }

    /// Tells a bot that was left out what it was not given, if it has caught up. Whether it has.
    async fn catch_up(
        &mut self,
        bot: UserId,
        sequence: u64,
        copies: &mut Vec<Copy>,
    ) -> Result<bool, RoleError> {
        if self.backlogs.take(bot, true).await? == Room::Full {
            return Ok(false);
        }
        for (conversation, LeftOut { first, last }) in
            self.now.behind.remove(&bot).unwrap_or_default()
        {
            let (from, to) = (EntryId(first.0.saturating_sub(1)), EntryId(last.0 + 1));
            copies.push(Copy { sequence, bot, event: gap(conversation, from, to), whole: false });
        }
        Ok(true)
    }

    /// Writes copies in batches, each with the position after it.
    async fn write(&mut self, copies: &[Copy], last: u64) -> Result<(), RoleError> {
        let (bus, stream) = (&self.worker.bus, self.worker.stream);
        self.now.sequence = last;
        self.now.part = None;
        let left_out_changed = self.now.behind != self.written.position.behind;
        if copies.is_empty() {
            let moved = self.now != self.written.position;
            if !left_out_changed && !(moved && self.written_at.elapsed() >= WRITE_POSITION) {
                return Ok(());
            }
        }
        let mut rest = copies;
        loop {
            let (batch, left) = rest.split_at(fitting(rest));
            let mut position = self.now.clone();
            if let Some(next) = left.first() {
                // Who is left out is known only at the end; until then as it was.
                position = self.written.position.clone();
                if let Some(done) = batch.iter().rev().find(|copy| copy.whole) {
                    let parted = done.sequence == next.sequence;
                    position.sequence = if parted { done.sequence - 1 } else { done.sequence };
                    position.part = parted.then_some((done.sequence, done.bot));
                }
            }
            self.written.advance(bus, stream, batch, position).await?;
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        self.written_at = Instant::now();
        self.count(copies.len());
        Ok(())
    }

    fn count(&self, copies: usize) {
        let stream = self.worker.stream.to_string();
        let copies = u64::try_from(copies).unwrap_or(u64::MAX);
        metrics::counter!("natter_delivery_events_total", "stream" => stream.clone())
            .increment(copies);
        #[expect(clippy::cast_precision_loss, reason = "gauges; sequences stay below 2^53")]
        let (behind, position) = (self.now.behind.len() as f64, self.now.sequence as f64);
        metrics::gauge!("natter_delivery_left_out", "stream" => stream.clone()).set(behind);
        metrics::gauge!("natter_delivery_position", "stream" => stream).set(position);
    }
}

/// The first copies that go into one batch. Never none of some.
fn fitting(copies: &[Copy]) -> usize {
    let mut bytes = 0;
    let fitting = copies.iter().take(COPIES).take_while(|copy| {
        bytes += copy.event.len();
        bytes <= COPIES_BYTES
    });
    fitting.count().max(1).min(copies.len())
}
