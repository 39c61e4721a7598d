//! One followed conversation: its follower, membership, ring and sockets, and what happens to them.
//!
//! Invariants: entries reach sockets judged, in log order, each once. A socket is attached in the
//! same step in which it is told the last entry before, so nothing falls between replay and live.
//! A removed member's sockets get nothing after the removal. What it wants of the world it says as
//! [`Wish`]es: nothing here waits, and the simulation has it live through any order of events.
//!
//! Leaves out the bus and history (`task`, `fetching`), and who may ask: whoever pulls for a user has
//! looked at the user's list; the log's own membership is looked at here once more.

mod catching_up;
mod entries;
mod fetching;
mod replies;
#[cfg(test)]
mod simulation;
mod standing;
mod task;
mod types;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use bus_schema::entry::Entry;
use bus_schema::error::Failure;
use bus_schema::events::ConversationRemove;
use bus_schema::frames::{self, event};
use bus_schema::ids::ConversationId;
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::Membership;
use tokio::sync::oneshot;
use tokio::time::Instant;

pub(crate) use task::run;
pub(crate) use types::{Command, Passed, Pull, Pulled, Then};

use catching_up::{Flight, Landed};
use types::Wish;

use super::fallback::Raw;
use super::fetch::Fetched;
use super::follower::Follower;
use super::pages::{Pages, Shelf};
use super::ring::Ring;
use crate::config::EdgeSettings;
use crate::ws::outbox::{Outbox, SocketId};

/// How long an awaited entry may come live before it is fetched.
const LIVE_PATIENCE: Duration = Duration::from_millis(200);
/// Commands waiting for one conversation.
pub(crate) const COMMANDS: usize = 1_024;
/// Waiting pulls of one conversation; more are refused and tried again by their sockets.
const PARKED: usize = 20_000;

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

/// How much of a conversation is kept.
#[derive(Debug, Clone, Copy)]
struct Sizes {
    /// Live entries behind a hole.
    pending: usize,
    ring_entries: usize,
    ring_bytes: usize,
}

impl From<&EdgeSettings> for Sizes {
    fn from(settings: &EdgeSettings) -> Self {
        let EdgeSettings { pending_entries: pending, ring_entries, ring_bytes, .. } = *settings;
        Self { pending, ring_entries, ring_bytes }
    }
}

struct Conversation {
    place: LogSubject,
    id: ConversationId,
    sizes: Sizes,
    follower: Follower<Entry>,
    membership: Option<Membership>,
    ring: Ring,
    pages: Pages,
    flights: Vec<Flight>,
    sockets: HashMap<SocketId, Attached>,
    parked: Vec<Pull>,
    awaiting: Vec<(u64, Instant, oneshot::Sender<Passed>)>,
    /// What is to be done outside, since the last time that was looked at.
    wishes: Vec<Wish>,
    starting: bool,
    void: VecDeque<u64>,
    ended: bool,
    /// What the auditor was told last: whether it lacks entries,
    lacking: bool,
    /// and whether it has heard of entries since.
    told: bool,
}

impl Conversation {
    /// One that collects what comes until it is told where to start.
    fn new(place: LogSubject, id: ConversationId, sizes: Sizes, shelf: Shelf) -> Self {
        Self {
            place,
            id,
            sizes,
            follower: Follower::new(sizes.pending),
            ring: Ring::new(u64::MAX, sizes.ring_entries, sizes.ring_bytes),
            membership: matches!(place, LogSubject::Dm(_)).then(|| Membership::at_start(place)),
            pages: Pages::new(shelf),
            flights: Vec::new(),
            sockets: HashMap::new(),
            parked: Vec::new(),
            awaiting: Vec::new(),
            wishes: Vec::new(),
            starting: false,
            void: VecDeque::new(),
            ended: false,
            lacking: false,
            told: false,
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
            self.ring = Ring::new(through, self.sizes.ring_entries, self.sizes.ring_bytes);
        }
    }

    /// Starts from history if whoever created this conversation has not done so soon.
    fn self_start(&mut self) {
        if self.follower.position().is_none() && !self.starting {
            self.starting = true;
            self.wishes.push(Wish::Start);
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

/// Tells a socket that a conversation is no longer its user's.
pub(crate) fn remove_frame(id: ConversationId) -> Utf8Bytes {
    let gone = ConversationRemove { conversation_id: id };
    frames::dispatch(event::CONVERSATION_REMOVE, &gone).into()
}
