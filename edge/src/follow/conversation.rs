//! One followed conversation: the task that owns its follower, membership, ring and sockets.
//!
//! Invariants: entries reach sockets judged, in log order, each once. A socket is attached in the
//! same step in which it is told the last entry before, so nothing falls between replay and live.
//! A removed member's sockets get nothing after the removal.
//!
//! Leaves out who may ask: whoever pulls for a user has looked at the user's list; the log's own
//! membership is looked at here once more.

mod catching_up;
mod entries;
mod fetching;
mod replies;
mod standing;
mod types;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use axum::extract::ws::Utf8Bytes;
use bus_schema::entry::Entry;
use bus_schema::error::Failure;
use bus_schema::events::ConversationRemove;
use bus_schema::frames::{self, event};
use bus_schema::ids::ConversationId;
use bus_schema::sabotage::{Safeguard, off};
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::Membership;
use futures::StreamExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

pub(crate) use types::{Command, Passed, Pull, Pulled, Then};

use catching_up::{Flight, Landed};

use super::fallback::Raw;
use super::fetch::Fetched;
use super::follower::Follower;
use super::pages::Pages;
use super::ring::Ring;
use crate::hub::events::LiveEvent;
use crate::state::Edge;
use crate::ws::outbox::{Outbox, SocketId};

/// How long an awaited entry may come live before it is fetched.
const LIVE_PATIENCE: Duration = Duration::from_millis(200);
/// Commands waiting for one conversation.
pub(crate) const COMMANDS: usize = 1_024;
/// Waiting pulls of one conversation; more are refused and tried again by their sockets.
const PARKED: usize = 20_000;

/// How much later than the first questions a subscription begins, where it is to be later.
const LATE: Duration = Duration::from_millis(500);

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
    /// What was asked for those who catch up.
    Landed(Landed),
}

pub(crate) struct Conversation {
    edge: Arc<Edge>,
    place: LogSubject,
    id: ConversationId,
    follower: Follower<Entry>,
    membership: Option<Membership>,
    ring: Ring,
    pages: Pages,
    flights: Vec<Flight>,
    sockets: HashMap<SocketId, Attached>,
    parked: Vec<Pull>,
    awaiting: Vec<(u64, Instant, oneshot::Sender<Passed>)>,
    found: mpsc::Sender<Found>,
    /// When this task began, which is when it subscribed.
    made: Instant,
    starting: bool,
    patience: Duration,
    void: VecDeque<u64>,
    ended: bool,
    /// What the auditor was told last: whether it lacks entries,
    lacking: bool,
    /// and whether it has heard of entries since.
    told: bool,
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
            pages: Pages::new(edge.catching_up.shelf.clone()),
            flights: Vec::new(),
            sockets: HashMap::new(),
            parked: Vec::new(),
            awaiting: Vec::new(),
            found,
            made: Instant::now(),
            starting: false,
            patience,
            void: VecDeque::new(),
            ended: false,
            lacking: false,
            told: false,
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
        self.sockets.is_empty()
            && self.parked.is_empty()
            && self.flights.is_empty()
            && self.awaiting.is_empty()
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Start { through, empty } => self.start(through, empty),
            Command::Live(live) => self.live(live),
            Command::Hear(sequence) => {
                self.told = true;
                self.follower.hear(sequence);
            }
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
            if self.membership.is_none() {
                // Learned now, and not with the first entry: live chat must go on when no history
                // worker answers then.
                self.follower.doubt();
            }
            let settings = &self.edge.settings;
            self.ring = Ring::new(through, settings.ring_entries, settings.ring_bytes);
        }
    }

    fn message(&mut self, message: &async_nats::Message) {
        if off(Safeguard::Subscribe) && self.made.elapsed() < LATE {
            return;
        }
        if let Some(live) = LiveEvent::read(&self.edge, message)
            && live.place == self.place
        {
            self.live(live);
        }
    }

    /// When something must happen although nothing was heard.
    fn next_alarm(&self, linger: Instant) -> Instant {
        let patience = self.awaiting.iter().map(|(_, until, _)| *until).min();
        [patience, self.pages_until()].into_iter().flatten().fold(linger, Instant::min)
    }

    /// An awaited entry did not come live in time: have it fetched. Pages nobody wants go.
    fn alarm(&mut self) {
        self.pages.forget();
        let now = Instant::now();
        for (sequence, until, _) in &mut self.awaiting {
            if *until <= now {
                self.follower.hear(*sequence);
                *until = now + Duration::from_secs(1);
            }
        }
    }
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
