//! What a conversation is asked, what it answers, and what it wishes done.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ids::UserId;
use tokio::sync::oneshot;

use crate::follow::item::Item;
use crate::hub::events::LiveEvent;
use crate::ws::outbox::{Lag, Outbox, SocketId};

/// What a conversation is asked.
#[derive(Debug)]
pub(crate) enum Command {
    /// Start after `through` unless started; `empty` if it had no entry up to there.
    Start { through: u64, empty: bool },
    /// A live event of a DM, which has no subscription of its own.
    Live(LiveEvent),
    /// It has an entry at this sequence, or may have some up to there.
    Hear(u64),
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
    /// The newest entries, wherever the position is.
    pub(crate) newest: bool,
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

/// What a conversation wants done outside of it.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wish {
    /// Start it from history, as [`super::Found::Start`].
    Start,
    /// Find entries after a sequence, from somebody who has read `min`; until they are found.
    Fetch { after: u64, min: u64, membership: bool },
    /// The same for those who catch up, and the newest entries without `after`; tried once.
    CatchUp { after: Option<u64>, generation: u64, limit: u32, min: u64 },
    /// It has ended for a user's socket.
    Forget { user: UserId, socket: SocketId },
    /// The auditor is to know that it lacks entries after a position,
    Lacks(u64),
    /// or that it has all it knows of up to one.
    Whole(u64),
}
