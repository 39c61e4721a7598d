//! One followed conversation: the task that owns its follower, membership, ring and sockets.
//!
//! Invariants: entries reach sockets judged, in log order, each once. A socket is attached in the
//! same step in which it is told the last entry before, so nothing falls between replay and live.
//! A removed member's sockets get nothing after the removal.
//!
//! Leaves out who may ask: whoever pulls for a user has looked at the user's list; the log's own
//! membership is looked at here once more.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use axum::extract::ws::Utf8Bytes;
use bus_schema::entry::{Body, Entry};
use bus_schema::error::Failure;
use bus_schema::events::{ConversationRemove, Ephemeral};
use bus_schema::frames::{self, event};
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::runtime::bus::jitter;
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::{Membership, Target, Verdict};
use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::fallback::Raw;
use super::fetch::{self, Fetched};
use super::follower::{Follower, Next};
use super::item::Item;
use super::ring::Ring;
use crate::hub::events::{LiveEvent, profile_hash};
use crate::state::Edge;
use crate::ws::outbox::{Lag, Outbox, SocketId};

/// What a conversation is asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Start after `through` unless started; `empty` if it had no entry up to there.
    Start { through: u64, empty: bool },
    /// A live event of a DM, which has no subscription of its own.
    Live(LiveEvent),
    /// It has an entry at this sequence.
    Hear(u64),
    /// It may have entries we do not know of.
    Doubt,
    /// Entries for a socket after a position; attaches the socket once there are no more.
    Pull(Pull),
    /// A socket is gone.
    Detach(SocketId),
    /// Tell when this sequence is passed.
    Await { sequence: u64, reply: oneshot::Sender<Passed> },
}

/// A request for entries.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) lag: Lag,
    pub(crate) limit: usize,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) reply: oneshot::Sender<Result<Pulled, Failure>>,
}

/// The answer to a [`Pull`].
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) items: Vec<Arc<Item>>,
    /// Every entry up to here is in the answers so far.
    pub(crate) position: u64,
    pub(crate) then: Then,
}

/// What follows an answer to a [`Pull`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// There are more: pull again.
    More,
    /// The socket is attached; everything later comes live.
    Live,
    /// The user is no member, or the channel is deleted.
    Gone,
}

/// What became of an entry.
#[derive(Debug, Clone)]
pub(crate) enum Passed {
    Valid(Arc<Item>),
    Void,
    /// It lies before what is remembered.
    Unknown,
}

/// Entries of one fetch.
const FETCH: u32 = 500;
/// How long an awaited entry may come live before it is fetched.
const LIVE_PATIENCE: Duration = Duration::from_millis(200);
/// Commands waiting for one conversation.
pub(crate) const COMMANDS: usize = 1_024;
/// Waiting pulls of one conversation; more are refused and tried again by their sockets.
const PARKED: usize = 20_000;
/// Failed fetches before the log itself is read.
const HISTORY_FAILURES: u32 = 2;
/// Void sequences remembered for those who await them.
const VOIDS: usize = 64;

struct Attached {
    outbox: Arc<Outbox>,
    last: u64,
}

/// What a task of this conversation found out.
enum Found {
    Range(Fetched),
    Start(Fetched),
    /// The raw log after a sequence, when history does not answer.
    Raw {
        after: u64,
        raw: Raw,
    },
}

pub(crate) struct Conversation {
    edge: Arc<Edge>,
    place: LogSubject,
    id: ConversationId,
    follower: Follower<Entry>,
    membership: Option<Membership>,
    ring: Ring,
    sockets: HashMap<SocketId, Attached>,
    parked: Vec<Pull>,
    awaiting: Vec<(u64, Instant, oneshot::Sender<Passed>)>,
    found: mpsc::Sender<Found>,
    starting: bool,
    patience: Duration,
    void: std::collections::VecDeque<u64>,
    ended: bool,
}

impl Conversation {
    /// Runs until nobody has needed it for the linger time. `patience` is how long whoever created
    /// it may take to start it, before it starts from history by itself.
    pub(crate) async fn run(
        edge: Arc<Edge>,
        place: LogSubject,
        id: ConversationId,
        mut feed: Option<Subscriber>,
        mut commands: mpsc::Receiver<Command>,
        patience: Duration,
    ) {
        let settings = &edge.settings;
        let linger = Duration::from_secs(settings.linger_s);
        let (found, mut results) = mpsc::channel(4);
        let mut this = Self {
            follower: Follower::new(settings.pending_entries),
            ring: Ring::new(u64::MAX, settings.ring_entries, settings.ring_bytes),
            edge: edge.clone(),
            place,
            id,
            membership: matches!(place, LogSubject::Dm(_)).then(|| Membership::at_start(place)),
            sockets: HashMap::new(),
            parked: Vec::new(),
            awaiting: Vec::new(),
            found,
            starting: false,
            patience,
            void: std::collections::VecDeque::new(),
            ended: false,
        };
        let mut used = Instant::now();
        loop {
            if !this.is_idle() {
                used = Instant::now();
            }
            tokio::select! {
                biased;
                message = next_of(&mut feed) => match message {
                    Some(message) => this.message(&message),
                    // The subscription ends only with the client, so with the edge.
                    None => break,
                },
                Some(found) = results.recv() => this.found(found),
                command = commands.recv() => match command {
                    Some(command) => {
                        used = Instant::now();
                        this.command(command);
                    }
                    None => break,
                },
                () = sleep_until(this.next_alarm(used + linger)) => {
                    this.alarm();
                    let over = this.is_idle() && used.elapsed() >= linger;
                    if over && this.edge.hub.retire(id, &commands) {
                        break;
                    }
                }
            }
            this.step();
        }
    }

    fn is_idle(&self) -> bool {
        self.sockets.is_empty() && self.parked.is_empty() && self.awaiting.is_empty()
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Start { through, empty } => self.start(through, empty),
            Command::Live(live) => self.live(live),
            Command::Hear(sequence) => self.follower.hear(sequence),
            Command::Doubt => self.follower.doubt(),
            Command::Pull(pull) => {
                if self.parked.len() >= PARKED {
                    let _ = pull.reply.send(Err(Failure::unavailable()));
                    return;
                }
                self.follower.hear(pull.lag.need);
                self.parked.push(pull);
                self.self_start();
            }
            Command::Detach(socket) => {
                self.sockets.remove(&socket);
                self.parked.retain(|pull| pull.outbox.id != socket);
            }
            Command::Await { sequence, reply } => {
                self.awaiting.push((sequence, Instant::now() + LIVE_PATIENCE, reply));
                self.self_start();
            }
        }
    }

    fn start(&mut self, through: u64, empty: bool) {
        if self.follower.position().is_none() {
            self.follower.start(through, empty);
            let settings = &self.edge.settings;
            self.ring = Ring::new(through, settings.ring_entries, settings.ring_bytes);
        }
    }

    /// Starts from history if whoever created this conversation has not done so soon.
    fn self_start(&mut self) {
        if self.follower.position().is_some() || self.starting {
            return;
        }
        self.starting = true;
        let (edge, place, found) = (self.edge.clone(), self.place, self.found.clone());
        let patience = self.patience;
        tokio::spawn(async move {
            sleep(patience).await;
            // The subscription must have reached the server before the answer is taken.
            if let Err(error) = edge.bus.client().flush().await {
                tracing::debug!(%error, %place, "flushing before a start");
            }
            let min = edge.heard.of(edge.layout.stream_of(place));
            let answer = until_answered(&edge, place, None, 50, min, &found).await;
            if let Some(Found::Range(range)) = answer {
                let _ = found.send(Found::Start(range)).await;
            }
        });
    }

    fn message(&mut self, message: &async_nats::Message) {
        if let Some(live) = LiveEvent::read(&self.edge, message)
            && live.place == self.place
        {
            self.live(live);
        }
    }

    fn live(&mut self, live: LiveEvent) {
        use crate::hub::events::Live;
        match live.event {
            Live::Entry { sequence, predecessor, entry } => match entry {
                Some(entry) => self.follower.live(sequence, predecessor, *entry),
                // Undecodable here: let history say that it is nothing.
                None => self.follower.hear(sequence),
            },
            Live::Ephemeral(Ephemeral::Nudge { sequence }) => self.follower.hear(sequence),
            Live::Ephemeral(Ephemeral::Typing(typing)) => {
                let frame: Utf8Bytes = frames::dispatch(event::TYPING, &typing).into();
                self.each_socket(|outbox| {
                    outbox.push(frame.clone());
                });
            }
            Live::Ephemeral(Ephemeral::UserUpdate(user)) => {
                let hash = profile_hash(&user);
                let frame: Utf8Bytes = frames::dispatch(event::USER_UPDATE, &user).into();
                self.each_socket(|outbox| outbox.push_profile(hash, frame.clone()));
            }
            Live::Ephemeral(Ephemeral::Read(_)) => {}
        }
    }

    fn each_socket(&self, act: impl Fn(&Outbox)) {
        self.sockets.values().for_each(|attached| act(&attached.outbox));
    }

    fn found(&mut self, found: Found) {
        match found {
            Found::Start(range) => {
                self.starting = false;
                if self.follower.position().is_some() {
                    return;
                }
                // The newest entries fill the ring, which begins before the first of them.
                let from = match range.items.first() {
                    Some(first) if range.more => first.sequence() - 1,
                    _ => 0,
                };
                self.start(range.through, range.items.is_empty() && !range.more);
                let settings = &self.edge.settings;
                self.ring = Ring::new(from, settings.ring_entries, settings.ring_bytes);
                range.items.into_iter().for_each(|item| self.ring.push(item));
                self.adopt(range.membership);
            }
            Found::Raw { after, raw } => {
                // Each entry's predecessor is the one before it, for the read left nothing out.
                let mut before = after;
                let mut whole = true;
                for entry in raw.entries {
                    let sequence = entry.id.sequence();
                    // Without a membership nothing can be judged here: history must answer first.
                    whole = whole && self.membership.is_some();
                    if whole {
                        self.follower.live(sequence, before, entry);
                    }
                    before = sequence;
                }
                self.follower.hear(before);
                let empty = before == after;
                self.follower.fetched(if empty { raw.through } else { after }, !empty);
            }
            Found::Range(range) => {
                let any = !range.items.is_empty();
                for item in range.items {
                    if self.follower.position().is_some_and(|p| item.sequence() > p) {
                        self.pass(&item);
                    }
                }
                self.adopt(range.membership);
                self.follower.fetched(range.through, any);
            }
        }
    }

    /// Takes over a membership that is newer than ours.
    fn adopt(&mut self, membership: Option<Membership>) {
        if let Some(theirs) = membership
            && self.membership.as_ref().is_none_or(|ours| ours.revision < theirs.revision)
        {
            self.membership = Some(theirs);
        }
    }

    fn step(&mut self) {
        loop {
            match self.follower.next() {
                Next::Idle => break,
                Next::Fetch(fetch) => self.fetch(fetch.after, fetch.min),
                Next::Entry(sequence, entry) => match self.judge(&entry) {
                    Verdict::Valid => {
                        self.pass(&Item::new(entry));
                        self.follower.passed(sequence);
                    }
                    Verdict::Void => {
                        self.void.push_back(sequence);
                        if self.void.len() > VOIDS {
                            self.void.pop_front();
                        }
                        self.follower.passed(sequence);
                    }
                    Verdict::NeedsTarget => self.follower.refused(sequence),
                },
            }
        }
        self.answer_awaiting();
        self.answer_parked();
    }

    fn judge(&self, entry: &Entry) -> Verdict {
        let Some(membership) = &self.membership else { return Verdict::NeedsTarget };
        let target = entry.body.target().map_or(Target::Unknown, |id| {
            if id.stream() == entry.id.stream() { self.ring.target(id) } else { Target::Missing }
        });
        membership.judge(&entry.body, target)
    }

    fn fetch(&self, after: u64, min: u64) {
        let (edge, place, found) = (self.edge.clone(), self.place, self.found.clone());
        tokio::spawn(async move {
            let answer = until_answered(&edge, place, Some(after), FETCH, min, &found).await;
            if let Some(answer) = answer {
                let _ = found.send(answer).await;
            }
        });
    }

    /// Shows a valid entry to everybody attached.
    fn pass(&mut self, item: &Arc<Item>) {
        let sequence = item.sequence();
        if let Some(membership) = &mut self.membership {
            membership.apply(&item.entry);
        }
        let frame = if self.sockets.is_empty() { None } else { Some(item.frame()) };
        self.ring.push(item.clone());
        if let Some(frame) = frame {
            let place = self.place;
            self.sockets.retain(|_, attached| {
                if attached.last >= sequence {
                    return true;
                }
                let queued = attached.outbox.push(frame.clone());
                if queued {
                    attached.last = sequence;
                } else {
                    metrics::counter!("natter_sockets_lagged_total").increment(1);
                    let after = attached.last;
                    attached.outbox.lag(Lag { place, after, need: sequence, resume: false });
                }
                queued
            });
        }
        match &item.entry.body {
            Body::MemberRemove(change) => self.dismiss(Some(change.user_id)),
            Body::ChannelDelete(_) => {
                self.ended = true;
                self.dismiss(None);
            }
            _ => {}
        }
    }

    /// Ends the conversation for a user, or for all.
    fn dismiss(&mut self, only: Option<UserId>) {
        let frame = remove_frame(self.id);
        let id = self.id;
        let hub = &self.edge.hub;
        self.sockets.retain(|_, attached| {
            let theirs = only.is_none_or(|user| user == attached.outbox.user);
            if theirs {
                attached.outbox.push_sure(frame.clone());
                hub.forget(attached.outbox.user, id, attached.outbox.id);
            }
            !theirs
        });
    }

    fn answer_awaiting(&mut self) {
        let Some(position) = self.follower.position() else { return };
        let mut index = 0;
        while let Some((sequence, _, reply)) = self.awaiting.get(index) {
            if *sequence > position && !reply.is_closed() {
                index += 1;
                continue;
            }
            let (sequence, _, reply) = self.awaiting.swap_remove(index);
            let _ = reply.send(match self.ring.get(sequence) {
                Some(item) => Passed::Valid(item.clone()),
                None if self.void.contains(&sequence) => Passed::Void,
                None if self.ring.covers(sequence.saturating_sub(1)) => Passed::Void,
                None => Passed::Unknown,
            });
        }
    }

    fn answer_parked(&mut self) {
        let Some(position) = self.follower.position() else { return };
        let mut index = 0;
        while let Some(pull) = self.parked.get(index) {
            if pull.lag.need > position && !pull.reply.is_closed() {
                index += 1;
                continue;
            }
            let pull = self.parked.swap_remove(index);
            self.answer(pull, position);
        }
    }

    fn answer(&mut self, pull: Pull, position: u64) {
        let user = pull.outbox.user;
        let gone = self.membership.as_ref().is_some_and(|m| !m.contains(user));
        if gone || self.ended {
            let gone = Pulled { items: Vec::new(), position, then: Then::Gone };
            let _ = pull.reply.send(Ok(gone));
            return;
        }
        let after = pull.lag.after;
        let Some(items) = self.ring.after(after, pull.limit) else {
            self.answer_from_history(pull);
            return;
        };
        let last = items.last().map_or(after, |item| item.sequence());
        let end = self.ring.after(last, 1).is_some_and(|rest| rest.is_empty());
        let then = if end { Then::Live } else { Then::More };
        let reached = if end { position.max(after) } else { last };
        let pulled = Pulled { items, position: reached, then };
        if pull.reply.send(Ok(pulled)).is_ok() && end {
            let attached = Attached { outbox: pull.outbox.clone(), last: reached };
            self.sockets.insert(pull.outbox.id, attached);
        }
    }

    fn answer_from_history(&self, pull: Pull) {
        let (edge, place) = (self.edge.clone(), self.place);
        let min = self.follower.position().unwrap_or(0);
        tokio::spawn(async move {
            let limit = u32::try_from(pull.limit).unwrap_or(FETCH).min(FETCH);
            let fetched = edge.fetches.range(&edge, place, pull.lag.after, limit, min).await;
            let _ = pull.reply.send(fetched.map(|range| Pulled {
                items: range.items.clone(),
                position: range.through,
                then: Then::More,
            }));
        });
    }

    /// When something must happen although nothing was heard.
    fn next_alarm(&self, linger: Instant) -> Instant {
        let patience = self.awaiting.iter().map(|(_, until, _)| *until).min();
        patience.map_or(linger, |until| until.min(linger))
    }

    /// An awaited entry did not come live in time: have it fetched.
    fn alarm(&mut self) {
        let now = Instant::now();
        for (sequence, until, _) in &mut self.awaiting {
            if *until <= now {
                self.follower.hear(*sequence);
                *until = now + Duration::from_secs(1);
            }
        }
    }
}

/// Repeats a fetch with back-off for as long as somebody follows.
async fn until_answered(
    edge: &Edge,
    place: LogSubject,
    after: Option<u64>,
    limit: u32,
    min: u64,
    found: &mpsc::Sender<Found>,
) -> Option<Found> {
    let mut wait = Duration::from_millis(50);
    let mut failures = 0;
    while !found.is_closed() {
        match fetch::range(edge, place, after, limit, min).await {
            Ok(range) => return Some(Found::Range(range)),
            Err(failure) => {
                failures += 1;
                metrics::counter!("natter_follow_fetch_failures_total").increment(1);
                tracing::debug!(%place, %failure, "fetching again");
            }
        }
        if let Some(after) = after
            && failures >= HISTORY_FAILURES
            && let Some(raw) =
                edge.fallback.read(edge.layout.stream_of(place), place, after, min).await
        {
            return Some(Found::Raw { after, raw });
        }
        sleep(jitter(wait)).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
    None
}

async fn next_of(feed: &mut Option<Subscriber>) -> Option<async_nats::Message> {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}

/// Tells a socket that a conversation is no longer its user's.
pub(crate) fn remove_frame(id: ConversationId) -> Utf8Bytes {
    let gone = ConversationRemove { conversation_id: id };
    frames::dispatch(event::CONVERSATION_REMOVE, &gone).into()
}
