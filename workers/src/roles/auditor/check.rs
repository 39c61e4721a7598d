//! Looking for the rows of a run of the log.
//!
//! Invariants: a run is judged as the persister judged it, by what stands before each entry; rows are
//! read as people's pages read them, and only below the store's floor. What seems wrong is looked at
//! twice.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bus_schema::entry::{Body, Entry, shown_deleted};
use bus_schema::ids::{ConversationId, StreamIndex};
use bus_schema::ops::audit::{Fault, RowKind, WrongRow};
use bus_schema::ops::history::{RANGE_BYTES, StoredEntry};
use bus_schema::runtime::log::{ReadError, Reader, Stored};
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::MembershipEvent;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use tokio::time::{Instant, timeout_at};

use super::AuditorSettings;
use crate::judge::Judge;
use crate::store::history::{HistoryStore, Precedents, PrecedentsQuery, RangeQuery};
use crate::store::{StoreError, StoreErrorKind};

/// Entries of one run at most,
const RUN: usize = 500;
/// and bytes.
const RUN_BYTES: usize = 4 * 1024 * 1024;
/// How long a run is gathered after its first entry.
const GATHER: Duration = Duration::from_millis(100);
/// Conversations looked at at once.
const AT_ONCE: usize = 8;

/// Entries that come together, at least one.
pub(super) async fn gather(reader: &mut Reader) -> Result<Vec<Stored>, ReadError> {
    let first = reader.next().await?;
    let deadline = Instant::now() + GATHER;
    let mut bytes = first.payload.len();
    let mut run = vec![first];
    while run.len() < RUN && bytes < RUN_BYTES {
        // A failure comes up again at the next call.
        let Ok(Ok(stored)) = timeout_at(deadline, reader.next()).await else { break };
        bytes += stored.payload.len();
        run.push(stored);
    }
    Ok(run)
}

/// An entry with its verdict.
struct Judged {
    entry: Entry,
    valid: bool,
}

/// Compares runs of one stream, given in order, with the store.
pub(super) struct Checker {
    store: Arc<dyn HistoryStore>,
    stream: StreamIndex,
    judge: Judge,
}

impl Checker {
    pub(super) fn new(
        store: &Arc<dyn HistoryStore>,
        stream: StreamIndex,
        settings: &AuditorSettings,
    ) -> Self {
        let judge = Judge::new(Arc::clone(store), stream, settings.members, settings.messages);
        Self { store: Arc::clone(store), stream, judge }
    }

    /// Judges a run that the store holds, by conversation. To be done once for each.
    async fn judged(
        &mut self,
        run: &[Stored],
    ) -> Result<BTreeMap<ConversationId, Vec<Judged>>, StoreError> {
        let decoded = run.iter().filter_map(|stored| {
            // Users' notices are no history, and what cannot be decoded is a dead letter.
            let place = stored.place.filter(|place| place.conversation().is_some())?;
            Some((place, stored.entry().ok()?))
        });
        let entries: Vec<(LogSubject, Entry)> = decoded.collect();
        let last = entries.last().map_or(0, |(_, entry)| entry.id.sequence());
        self.judge.prepare(&entries, last).await?;
        let mut all: BTreeMap<ConversationId, Vec<Judged>> = BTreeMap::new();
        for (place, entry) in entries {
            let valid = self.judge.admits(place, &entry);
            all.entry(entry.body.conversation()).or_default().push(Judged { entry, valid });
        }
        Ok(all)
    }

    /// The rows of a run that are not as the log says. The store's floor must have passed it.
    pub(super) async fn check(&mut self, run: &[Stored]) -> Result<Vec<WrongRow>, StoreError> {
        let judged = self.judged(run).await?;
        let mut doubted = judged;
        let mut wrong = Vec::new();
        // Twice, so that what is wrong once is not said to be.
        for _ in 0..2 {
            let this = &*self;
            let groups = std::mem::take(&mut doubted).into_iter();
            // Boxed, so that the stream of them can move between threads.
            let looks: Vec<_> = groups.map(|(id, group)| this.look(id, group).boxed()).collect();
            let looks = futures::stream::iter(looks).buffer_unordered(AT_ONCE);
            let looks: Vec<_> = looks.try_collect().await?;
            wrong.clear();
            for (conversation, group, found) in looks {
                if !found.is_empty() {
                    doubted.insert(conversation, group);
                    wrong.extend(found);
                }
            }
            if wrong.is_empty() {
                break;
            }
        }
        Ok(wrong)
    }

    async fn look(
        &self,
        conversation: ConversationId,
        group: Vec<Judged>,
    ) -> Result<(ConversationId, Vec<Judged>, Vec<WrongRow>), StoreError> {
        let found = self.compare(conversation, &group).await?;
        Ok((conversation, group, found))
    }

    async fn compare(
        &self,
        conversation: ConversationId,
        group: &[Judged],
    ) -> Result<Vec<WrongRow>, StoreError> {
        match self.rows(conversation, group).await {
            Ok((rows, precedents)) => Ok(differences(conversation, group, &rows, &precedents)),
            Err(error) if error.kind == StoreErrorKind::Corrupt => {
                let id = group.first().map(|judged| judged.entry.id);
                let unreadable = id.map(|id| WrongRow {
                    id,
                    conversation_id: conversation,
                    row: RowKind::Entry,
                    fault: Fault::Unreadable,
                });
                Ok(unreadable.into_iter().collect())
            }
            Err(error) => Err(error),
        }
    }

    async fn rows(
        &self,
        conversation: ConversationId,
        group: &[Judged],
    ) -> Result<(HashMap<u64, StoredEntry>, Precedents), StoreError> {
        let mut rows = HashMap::new();
        let sequences = group.iter().map(|judged| judged.entry.id.sequence());
        let (first, last) = (sequences.clone().min().unwrap_or(0), sequences.max().unwrap_or(0));
        let mut after = first.saturating_sub(1);
        loop {
            let limit = u32::try_from(group.len()).unwrap_or(u32::MAX);
            let query = RangeQuery {
                conversation,
                after: Some(after),
                upto: last,
                limit,
                bytes: RANGE_BYTES,
                events: false,
            };
            let found = self.store.range(self.stream, query).await?.value.entries;
            let stop = found.stop.filter(|stop| found.more && *stop < last && *stop > after);
            rows.extend(found.rows.into_iter().map(|row| (row.seq, row)));
            match stop {
                Some(stop) => after = stop,
                None => break,
            }
        }
        let created = |judged: &&Judged| matches!(judged.entry.body, Body::MessageCreate(_));
        let targets: Vec<u64> =
            group.iter().filter(created).map(|judged| judged.entry.id.sequence()).collect();
        let events = group.iter().any(|judged| MembershipEvent::of(&judged.entry).is_some());
        if targets.is_empty() && !events {
            return Ok((rows, Precedents::default()));
        }
        let query = PrecedentsQuery { conversation, events, targets };
        let found = self.store.precedents(self.stream, vec![query]).await?.value;
        Ok((rows, found.into_iter().next().unwrap_or_default()))
    }

    /// Whether the row that is said to be missing or too many is still so. Of the rest only the log
    /// could tell.
    pub(super) async fn is_still(&self, wrong: &WrongRow) -> Result<bool, StoreError> {
        let (conversation, sequence) = (wrong.conversation_id, wrong.id.sequence());
        let there = match wrong.row {
            RowKind::Entry => {
                let after = Some(sequence.saturating_sub(1));
                let query = RangeQuery {
                    conversation,
                    after,
                    upto: sequence,
                    limit: 1,
                    bytes: RANGE_BYTES,
                    events: false,
                };
                let found = self.store.range(self.stream, query).await?.value.entries.rows;
                found.iter().any(|row| row.seq == sequence)
            }
            RowKind::Message | RowKind::Membership => {
                let events = wrong.row == RowKind::Membership;
                let query = PrecedentsQuery { conversation, events, targets: vec![sequence] };
                let found = self.store.precedents(self.stream, vec![query]).await?.value;
                found.iter().any(|found| {
                    let event = found.events.iter().any(|event| event.id == wrong.id);
                    if events { event } else { !found.targets.is_empty() }
                })
            }
        };
        Ok(match wrong.fault {
            Fault::Missing => !there,
            Fault::Surplus => there,
            Fault::Different | Fault::Unreadable => true,
        })
    }
}

/// What is wrong with the rows of some entries of a conversation.
fn differences(
    conversation_id: ConversationId,
    group: &[Judged],
    rows: &HashMap<u64, StoredEntry>,
    precedents: &Precedents,
) -> Vec<WrongRow> {
    let mut wrong = Vec::new();
    for Judged { entry, valid } in group {
        let (id, valid, sequence) = (entry.id, *valid, entry.id.sequence());
        let mut look = |row, there: Option<bool>| {
            let fault = match (valid, there) {
                (true, None) => Fault::Missing,
                (true, Some(false)) => Fault::Different,
                (false, Some(_)) => Fault::Surplus,
                (true, Some(true)) | (false, None) => return,
            };
            wrong.push(WrongRow { id, conversation_id, row, fault });
        };
        look(RowKind::Entry, rows.get(&sequence).map(|row| is_row_of(row, entry)));
        if let Body::MessageCreate(message) = &entry.body {
            let found = precedents.targets.iter().find(|target| target.seq == sequence);
            look(RowKind::Message, found.map(|target| target.author == message.author_id));
        }
        if let Some(event) = MembershipEvent::of(entry) {
            let found = precedents.events.iter().find(|event| event.id == id);
            look(RowKind::Membership, found.map(|found| *found == event));
        }
    }
    wrong
}

/// Whether a row says what the entry does; a message's may have been emptied since.
fn is_row_of(row: &StoredEntry, entry: &Entry) -> bool {
    let same = row.t == entry.body.kind() && row.at == entry.at;
    let text = row.d.get();
    let emptied = || {
        matches!(entry.body, Body::MessageCreate(_))
            && shown_deleted(&entry.payload).is_ok_and(|emptied| emptied == text)
    };
    same && (text == entry.payload || emptied())
}
