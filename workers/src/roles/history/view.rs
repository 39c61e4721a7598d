//! One stream as this worker sees it: the tail in memory, the store below it.
//!
//! Invariant: an answer is made in one look at the tail, under its lock, with rows of the store
//! read at a floor at or above the tail's base: so every valid entry up to the tail's last one is
//! in reach, whatever the persister or the tail did meanwhile. Where that cannot be had, the answer
//! is `unavailable`; nothing is guessed. The lock is never held while waiting.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bus_schema::error::Failure;
use bus_schema::ids::{ConversationId, StreamIndex};
use bus_schema::ops::history::Freshness;
use bus_schema::runtime::log::Stored;
use bus_schema::sabotage::{Safeguard, off};
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::Membership;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::timeout;

use super::known::{Known, Missing};
use super::latest::Latest;
use super::reach::Reach;
use super::standings::Standings;
use super::tail::Tail;
use crate::store::StoreError;
use crate::store::history::{HistoryStore, Precedents, PrecedentsQuery, Snapshot};

/// What a look at the tail came to.
#[derive(Debug)]
pub(super) enum Step<T, Q> {
    /// The answer.
    Done(T),
    /// The store must be asked first.
    Ask(Q),
}

impl<T, Q> Step<T, Q> {
    /// The answer made into another.
    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Step<U, Q> {
        match self {
            Self::Done(answer) => Step::Done(f(answer)),
            Self::Ask(query) => Step::Ask(query),
        }
    }
}

/// Looks at the tail for one request: each but the first follows a question to the store.
const LOOKS: usize = 6;
/// Conversations that are judged together without being asked for,
const SETTLE_PLACES: usize = 200;
/// and how often in a row.
const SETTLE_ROUNDS: usize = 10;
/// How long to wait for the tail to have read far enough.
const FRESH_WAIT: Duration = Duration::from_secs(1);

/// One stream.
pub(super) struct View {
    pub(super) stream: StreamIndex,
    layout: Layout,
    pub(super) store: Arc<dyn HistoryStore>,
    tail: Mutex<Tail>,
    read: watch::Sender<u64>,
    /// Up to where somebody waited for the tail to read.
    wanted: watch::Sender<u64>,
    latest: Option<Latest>,
    pub(super) reach: Reach,
    pub(super) standings: Standings,
}

impl View {
    /// A view of a tail. Without `latest` it cannot answer who asks for the end
    /// of the stream.
    pub(super) fn new(
        layout: Layout,
        tail: Tail,
        store: Arc<dyn HistoryStore>,
        latest: Option<Latest>,
    ) -> Self {
        let (stream, read) = (tail.stream(), watch::Sender::new(tail.read()));
        let (reach, standings) = (Reach::default(), Standings::default());
        let wanted = watch::Sender::new(0);
        Self {
            stream,
            layout,
            store,
            tail: Mutex::new(tail),
            read,
            wanted,
            latest,
            reach,
            standings,
        }
    }

    /// The conversation of a place, if it is one and belongs to this stream.
    pub(super) fn conversation(&self, place: LogSubject) -> Result<ConversationId, Failure> {
        let conversation =
            place.conversation().filter(|_| self.layout.stream_of(place) == self.stream);
        conversation.ok_or_else(|| Failure::bad_request("place: not a conversation of this stream"))
    }

    /// Takes what was read next.
    pub(super) fn push(&self, stored: &Stored) {
        let (place, sequence) = (stored.place, stored.sequence);
        let of_conversation = place.is_some_and(|p| p.conversation().is_some());
        // What cannot be decoded moves positions only; the persister reports it.
        let entry = of_conversation.then(|| stored.entry().ok()).flatten();
        let contiguous = self.tail.lock().push(sequence, place, entry);
        if !contiguous {
            tracing::warn!(stream = %self.stream, sequence, "the log has a hole; tail begun anew");
        }
        self.read.send_replace(sequence);
    }

    /// Takes an entry that comes next.
    #[cfg(test)]
    pub(super) fn take(&self, place: LogSubject, entry: bus_schema::entry::Entry) {
        let sequence = entry.id.sequence();
        assert!(self.tail.lock().push(sequence, Some(place), Some(entry)));
        self.read.send_replace(sequence);
    }

    /// Looks at the tail as it is, whether judged or not.
    pub(super) fn peek<T>(&self, look: impl FnOnce(&Tail) -> T) -> T {
        look(&self.tail.lock())
    }

    /// Learns how far the store holds the stream.
    pub(super) fn raise_floor(&self, floor: u64) {
        self.tail.lock().raise_floor(floor);
    }

    /// Learns the newest valid entry up to `through` of conversations of which the tail has none.
    pub(super) fn learn_heads(&self, through: u64, heads: impl Iterator<Item = (LogSubject, u64)>) {
        let mut tail = self.tail.lock();
        if tail.base() > through {
            // What came after the answer may have been let go of since.
            return;
        }
        for (place, seq) in heads {
            if seq <= tail.base() && tail.thread(place).is_none() {
                tail.learn_head(place, seq);
            }
        }
    }

    /// Learns the membership of a channel as it is at `through`, if the tail has nothing of it.
    pub(super) fn learn_membership(&self, place: LogSubject, through: u64, now: &Membership) {
        let mut tail = self.tail.lock();
        // What came after the answer may have been let go of since.
        let is_now = tail.base() <= through && tail.thread(place).is_none();
        if is_now && tail.membership(place).is_none() {
            tail.learn_membership(place, now.clone());
        }
    }

    /// Judges what nobody has asked for yet, so that it can be answered when the store is away.
    pub(super) async fn settle(&self) {
        for _ in 0..SETTLE_ROUNDS {
            let places = self.peek(|tail| tail.unjudged(SETTLE_PLACES));
            if places.is_empty() || self.judged(&places, |_| ()).await.is_err() {
                return;
            }
        }
    }

    /// Waits until the tail has read as far as is asked.
    pub(super) async fn fresh(&self, fresh: Freshness) -> Result<(), Failure> {
        if off(Safeguard::Coverage) {
            return Ok(());
        }
        let wait = async {
            let mut min = fresh.min;
            if fresh.latest {
                let latest = self.latest.as_ref().ok_or_else(Failure::unavailable)?;
                min = min.max(latest.sequence().await.ok_or_else(Failure::unavailable)?);
            }
            self.reach(min).await
        };
        timeout(FRESH_WAIT, wait).await.unwrap_or_else(|_| Err(Failure::unavailable()))
    }

    /// Waits until the tail has read up to a sequence, as long as it takes.
    pub(super) async fn reach(&self, sequence: u64) -> Result<(), Failure> {
        self.wanted.send_if_modified(|wanted| {
            let more = sequence > *wanted;
            *wanted = sequence.max(*wanted);
            more
        });
        let mut read = self.read.subscribe();
        let reached = read.wait_for(|read| *read >= sequence).await;
        reached.map(drop).map_err(|_| Failure::unavailable())
    }

    /// Waits until nothing was read for `patience` although it is known that there is more.
    pub(super) async fn stalled(&self, patience: Duration) {
        let (mut wanted, mut read) = (self.wanted.subscribe(), self.read.subscribe());
        loop {
            let at = *read.borrow_and_update();
            // The sender is in `self`, so it is there.
            let _ = wanted.wait_for(|wanted| *wanted > at).await;
            if timeout(patience, read.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Looks at the tail with everything in `places` judged.
    pub(super) async fn judged<T>(
        &self,
        places: &[LogSubject],
        look: impl FnOnce(&Tail) -> T,
    ) -> Result<T, Failure> {
        let mut known = HashMap::new();
        let mut floor = u64::MAX;
        for _ in 0..LOOKS {
            let missing = {
                let mut tail = self.tail.lock();
                let missing = settle(&mut tail, places, &known, floor);
                if missing.is_empty() {
                    return Ok(look(&tail));
                }
                missing
            };
            let queries = missing.iter().filter_map(|(place, asked)| {
                let targets = asked.targets.clone();
                let conversation = place.conversation()?;
                Some(PrecedentsQuery { conversation, events: asked.events, targets })
            });
            let found = self.ask(self.store.precedents(self.stream, queries.collect())).await?;
            floor = found.floor;
            known = missing
                .into_iter()
                .zip(found.value)
                .map(|((place, asked), found)| (place, Known { asked, found }))
                .collect();
        }
        self.lagging()
    }

    /// Makes an answer in steps: `step` looks at the judged tail and at rows of the store that
    /// leave no hole, or says what to ask the store for.
    pub(super) async fn merge<T, Q, R, F>(
        &self,
        places: &[LogSubject],
        mut step: impl FnMut(&Tail, Option<&R>) -> Step<T, Q>,
        fetch: impl Fn(Q) -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<Snapshot<R>, StoreError>>,
    {
        let mut rows: Option<(Snapshot<R>, u64)> = None;
        for _ in 0..LOOKS {
            let stepped = self.judged(places, |tail| {
                // Questions reach up to what was read when they were asked, so a base above that
                // leaves a hole as well.
                let whole =
                    |(rows, read): &&(Snapshot<R>, u64)| rows.floor.min(*read) >= tail.base();
                let usable = rows.as_ref().filter(whole);
                (step(tail, usable.map(|(rows, _)| &rows.value)), tail.read())
            });
            match stepped.await? {
                (Step::Done(answer), _) => return Ok(answer),
                (Step::Ask(query), read) => rows = Some((self.ask(fetch(query)).await?, read)),
            }
        }
        self.lagging()
    }

    fn lagging<T>(&self) -> Result<T, Failure> {
        let base = self.peek(Tail::base);
        metrics::counter!("natter_history_holes_total", "stream" => self.stream.to_string())
            .increment(1);
        tracing::debug!(stream = %self.stream, base, "the store does not reach the tail");
        Err(Failure::unavailable())
    }
}

/// Judges what can be judged; what is missing for the rest.
fn settle(
    tail: &mut Tail,
    places: &[LogSubject],
    known: &HashMap<LogSubject, Known>,
    floor: u64,
) -> Vec<(LogSubject, Missing)> {
    let base = tail.base();
    let mut missing = Vec::new();
    for place in places {
        let known = known.get(place).filter(|_| floor >= base);
        let Some(thread) = tail.thread(*place) else { continue };
        match thread.missing(base, known) {
            Some(asked) => missing.push((*place, asked)),
            None => match known {
                Some(known) => tail.judge(*place, &known.found),
                None => tail.judge(*place, &Precedents::default()),
            },
        }
    }
    missing
}
