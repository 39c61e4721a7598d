//! What a user's task is asked, and the way to ask it.
//!
//! Invariant: the list that a handle shows is as the task last read it, or none: a list that is not
//! kept up is not believed. As a whole it is not shown either while something that came is not in it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::ws::Utf8Bytes;
use bus_schema::error::Failure;
use bus_schema::ids::{ConversationId, StreamIndex};
use bus_schema::ops::channels::{Listed, Listing};
use bus_schema::subjects::LogSubject;
use parking_lot::RwLock;
use tokio::sync::mpsc;

use crate::ws::outbox::{Outbox, SocketId};

/// What a user's task is asked.
pub(crate) enum UserCommand {
    /// A socket is ready for events.
    Join(Join),
    /// A socket is gone.
    Leave(SocketId),
    /// A place that concerns this user has an entry at this sequence.
    Hear { place: LogSubject, sequence: u64 },
    /// Read the list anew.
    Reload,
    /// The list, read anew when so many notices had come.
    Listed { notices: u64, listing: Result<Listing, Failure> },
    /// A conversation that a socket must be told of is ready to be shown.
    Ready { socket: SocketId, shown: Box<Shown> },
    /// A conversation was taken from a socket.
    Gone { id: ConversationId, socket: SocketId },
}

/// A socket joins with what READY told it.
pub(crate) struct Join {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) known: HashSet<ConversationId>,
    /// DMs whose task feeds this socket already.
    pub(crate) awake: HashSet<ConversationId>,
    pub(crate) through: HashMap<StreamIndex, u64>,
    pub(crate) listing: Listing,
    /// [`UserHandle::notices`] before the listing was read.
    pub(crate) notices: u64,
}

/// A conversation as CONVERSATION_ADD shows it.
pub(crate) struct Shown {
    pub(crate) place: LogSubject,
    pub(crate) frame: Utf8Bytes,
    /// Entries start after this stream sequence.
    pub(crate) after: u64,
    /// The conversation must be followed up to here first.
    pub(crate) need: u64,
}

/// Conversations a user is in, as far as this edge knows.
pub(super) struct KnownList {
    pub(super) conversations: HashMap<ConversationId, Listed>,
    /// How many notices had come when it was read: what they tell of is in it.
    pub(super) notices: u64,
}

/// A way to reach a user's task.
#[derive(Clone)]
pub(crate) struct UserHandle {
    commands: mpsc::Sender<UserCommand>,
    pub(super) list: Arc<RwLock<Option<KnownList>>>,
    pub(super) notices: Arc<AtomicU64>,
}

/// Commands waiting for one user.
const COMMANDS: usize = 1_024;
impl UserHandle {
    pub(super) fn new() -> (Self, mpsc::Receiver<UserCommand>) {
        let (commands, receiver) = mpsc::channel(COMMANDS);
        (Self { commands, list: Arc::default(), notices: Arc::default() }, receiver)
    }

    /// Sends a command; waits in the background if the task is busy.
    pub(crate) fn tell(&self, command: UserCommand) {
        if let Err(mpsc::error::TrySendError::Full(command)) = self.commands.try_send(command) {
            let commands = self.commands.clone();
            tokio::spawn(async move { commands.send(command).await });
        }
    }

    /// Sends a command; false if the task has just ended.
    pub(crate) async fn send(&self, command: UserCommand) -> bool {
        self.commands.send(command).await.is_ok()
    }

    /// Sends a command; gives it back if the task has just ended.
    pub(crate) async fn try_again(&self, command: UserCommand) -> Result<(), UserCommand> {
        self.commands.send(command).await.map_err(|returned| returned.0)
    }

    /// One conversation of the list, if this edge knows it.
    pub(crate) fn listed(&self, id: ConversationId) -> Option<Listed> {
        self.list.read().as_ref()?.conversations.get(&id).cloned()
    }

    /// The whole list, if this edge holds it and knows of nothing that is not in it.
    pub(crate) fn listing(&self) -> Option<Listing> {
        let list = self.list.read();
        let whole = list.as_ref().filter(|list| list.notices == self.notices())?;
        Some(Listing { conversations: whole.conversations.values().cloned().collect() })
    }

    /// How many notices came.
    pub(crate) fn notices(&self) -> u64 {
        self.notices.load(Ordering::Acquire)
    }
}
