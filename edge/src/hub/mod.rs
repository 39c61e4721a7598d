//! Who is followed on this edge: one task for each conversation, one for each connected user.
//!
//! Invariant: at most one task of each; a task leaves the table in the same step in which it sees
//! that nobody waits for it, so no request is lost between an old and a new one.
//!
//! Leaves out what the tasks do: `follow::conversation` and `user`.

pub(crate) mod events;
pub(crate) mod handle;
mod show;
pub(crate) mod user;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_nats::SubscribeError;
use bus_schema::ids::{ConversationId, StreamIndex, UserId};
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::follow::conversation::{self, COMMANDS, Command};
use crate::state::Edge;
use crate::ws::outbox::SocketId;
use handle::{UserCommand, UserHandle};

/// A way to reach a conversation's task.
pub(crate) type ConversationHandle = mpsc::Sender<Command>;

/// The tasks of this edge.
#[derive(Default)]
pub struct Hub {
    conversations: Mutex<HashMap<ConversationId, (LogSubject, ConversationHandle)>>,
    users: Mutex<HashMap<UserId, UserHandle>>,
    sockets: AtomicU64,
}

/// Who starts a conversation that is not followed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartBy {
    /// The caller, with a position it is about to learn.
    Caller,
    /// Itself, from history.
    Itself,
}

/// How long a caller may take to start what it created.
const CALLER_PATIENCE: Duration = Duration::from_millis(1_500);

impl Hub {
    /// A number no other socket of this edge has.
    pub(crate) fn next_socket(&self) -> SocketId {
        SocketId(self.sockets.fetch_add(1, Ordering::Relaxed))
    }

    /// The task of a conversation, if there is one.
    pub(crate) fn find(&self, id: ConversationId) -> Option<ConversationHandle> {
        self.conversations.lock().get(&id).map(|(_, handle)| handle.clone())
    }

    /// The task of a conversation, made if need be. A channel's subscription is on its way to the
    /// server when this returns; DMs are fed by their people's subscriptions.
    pub(crate) async fn follow(
        &self,
        edge: &Arc<Edge>,
        place: LogSubject,
        start: StartBy,
    ) -> Result<ConversationHandle, SubscribeError> {
        let Some(id) = place.conversation() else {
            return Err(SubscribeError::with_source(
                async_nats::client::SubscribeErrorKind::InvalidSubject,
                "a user's notices are no conversation",
            ));
        };
        if let Some(handle) = self.find(id) {
            return Ok(handle);
        }
        let feed = match place {
            LogSubject::Channel(_) => Some(edge.bus.client().subscribe(place.events()).await?),
            _ => None,
        };
        let mut table = self.conversations.lock();
        if let Some((_, handle)) = table.get(&id) {
            return Ok(handle.clone());
        }
        let (handle, commands) = mpsc::channel(COMMANDS);
        table.insert(id, (place, handle.clone()));
        metrics::gauge!("natter_followed_conversations").set(gauge(table.len()));
        drop(table);
        let patience = if start == StartBy::Caller { CALLER_PATIENCE } else { Duration::ZERO };
        tokio::spawn(conversation::run(edge.clone(), place, id, feed, commands, patience));
        Ok(handle)
    }

    /// Takes an idle conversation's task out of the table, unless somebody has just asked it.
    pub(crate) fn retire(&self, id: ConversationId, commands: &mpsc::Receiver<Command>) -> bool {
        let mut table = self.conversations.lock();
        let idle = commands.is_empty();
        if idle {
            table.remove(&id);
            metrics::gauge!("natter_followed_conversations").set(gauge(table.len()));
        }
        idle
    }

    /// The task of a user, if there is one.
    pub(crate) fn find_user(&self, user: UserId) -> Option<UserHandle> {
        self.users.lock().get(&user).cloned()
    }

    /// The task of a user, made if need be; its subscriptions are on their way to the server.
    pub(crate) async fn user(
        &self,
        edge: &Arc<Edge>,
        user: UserId,
    ) -> Result<UserHandle, SubscribeError> {
        if let Some(handle) = self.find_user(user) {
            return Ok(handle);
        }
        let feed = user::subscribe(edge, user).await?;
        let mut table = self.users.lock();
        if let Some(handle) = table.get(&user) {
            return Ok(handle.clone());
        }
        let (handle, commands) = UserHandle::new();
        table.insert(user, handle.clone());
        drop(table);
        tokio::spawn(user::run(edge.clone(), user, handle.clone(), feed, commands));
        Ok(handle)
    }

    /// Takes an idle user's task out of the table, unless somebody has just asked it.
    pub(crate) fn retire_user(&self, id: UserId, commands: &mpsc::Receiver<UserCommand>) -> bool {
        let mut table = self.users.lock();
        let idle = commands.is_empty();
        if idle {
            table.remove(&id);
        }
        idle
    }

    /// A place of the log has an entry at `sequence`: whoever follows it must know.
    pub(crate) fn hear(&self, place: LogSubject, sequence: u64) {
        if let Some(handle) = place.conversation().and_then(|id| self.find(id)) {
            // A full task has plenty to do and will hear of it again with the next digest's hole.
            if handle.try_send(Command::Hear(sequence)).is_err() {
                metrics::counter!("natter_hub_full_total").increment(1);
                tokio::spawn(async move { handle.send(Command::Hear(sequence)).await });
            }
        }
        let people = match place {
            LogSubject::User(user) => vec![user],
            LogSubject::Dm(dm) => dm.people().to_vec(),
            LogSubject::Channel(_) => return,
        };
        for user in people {
            if let Some(handle) = self.find_user(user) {
                handle.tell(UserCommand::Hear { place, sequence });
            }
        }
    }

    /// Anything of a stream up to a sequence may have been missed.
    pub(crate) fn doubt_stream(&self, layout: Layout, stream: StreamIndex, through: u64) {
        let table = self.conversations.lock();
        let theirs = table.values().filter(|(place, _)| layout.stream_of(*place) == stream);
        let handles: Vec<_> = theirs.map(|(_, handle)| handle.clone()).collect();
        drop(table);
        if !handles.is_empty() {
            tracing::warn!(%stream, followed = handles.len(), "everything followed is in doubt");
        }
        tokio::spawn(async move {
            // Who is not yet as far has it fetched, from somebody who is.
            for handle in handles {
                let _ = handle.send(Command::Hear(through)).await;
            }
        });
        for handle in self.users.lock().values() {
            handle.tell(UserCommand::Reload);
        }
    }

    /// A conversation has ended for a user's socket.
    pub(crate) fn forget(&self, user: UserId, id: ConversationId, socket: SocketId) {
        if let Some(handle) = self.find_user(user) {
            handle.tell(UserCommand::Gone { id, socket });
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a gauge")]
fn gauge(n: usize) -> f64 {
    n as f64
}
