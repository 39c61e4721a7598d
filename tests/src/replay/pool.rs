//! The sockets of authors: opened when somebody first speaks, closed when others need the place.
//!
//! Invariant: never more sockets than the bound, and none is closed while a message of its author is
//! pending. An author who speaks on two days at once has one socket.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::Run;
use super::cast::Cast;
use super::pending::{Order, Sent};
use super::speaker::Speaker;
use crate::{Context as _, Outcome};

/// Orders that wait for one socket: one for each channel in which its author may speak at once.
const ORDERS: usize = 64;

struct Slot {
    orders: mpsc::Sender<Order>,
    busy: usize,
    used: u64,
}

#[derive(Default)]
struct Slots {
    open: HashMap<usize, Slot>,
    clock: u64,
}

/// All sockets of authors.
pub struct Pool {
    run: Arc<Run>,
    cast: Arc<Cast>,
    bound: usize,
    slots: Mutex<Slots>,
    speakers: TaskTracker,
}

impl Pool {
    /// A pool without sockets, of at most `bound`.
    pub fn new(run: Arc<Run>, cast: Arc<Cast>, bound: usize) -> Self {
        let speakers = TaskTracker::new();
        Self { run, cast, bound, slots: Mutex::default(), speakers }
    }

    /// Has an author say something, and waits until it is part of the conversation.
    pub async fn say(
        &self,
        author: usize,
        conversation: u64,
        content: &str,
        nonce: &str,
    ) -> Outcome<Sent> {
        let (done, sent) = oneshot::channel();
        let (content, nonce) = (content.to_owned(), nonce.to_owned());
        let order = Order { conversation, content, nonce, done };
        let orders = self.take(author)?;
        let given = orders.send(order).await;
        // The pool alone keeps a socket open, not who once used it.
        drop(orders);
        let sent = async {
            given.ok().during("the author's socket has failed")?;
            sent.await.during("the author's socket has failed")?
        };
        let sent = sent.await;
        self.give_back(author);
        sent
    }

    fn take(&self, author: usize) -> Outcome<mpsc::Sender<Order>> {
        let person = self.cast.authors.get(author).during("an author without account")?;
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.clock += 1;
        let now = slots.clock;
        if let Some(slot) = slots.open.get_mut(&author) {
            slot.busy += 1;
            slot.used = now;
            return Ok(slot.orders.clone());
        }
        if slots.open.len() >= self.bound {
            let idle = slots.open.iter().filter(|(_, slot)| slot.busy == 0);
            let oldest = idle.min_by_key(|(_, slot)| slot.used).map(|(&author, _)| author);
            // Its task sees the end of its orders and closes the socket.
            slots.open.remove(&oldest.during("more channels at once than sockets")?);
        }
        let (orders, wishes) = mpsc::channel(ORDERS);
        let speaker = Speaker::new(self.run.clone(), person.clone(), wishes);
        self.speakers.spawn(Box::pin(speaker.speak()));
        slots.open.insert(author, Slot { orders: orders.clone(), busy: 1, used: now });
        Ok(orders)
    }

    fn give_back(&self, author: usize) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.open.get_mut(&author) {
            slot.busy = slot.busy.saturating_sub(1);
        }
    }

    /// Closes all sockets and waits for it.
    pub async fn close(self) {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).open.clear();
        self.speakers.close();
        self.speakers.wait().await;
    }
}
