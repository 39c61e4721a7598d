//! One author's socket: sends what it is given, and follows the protocol's rules of sending when
//! something goes wrong.
//!
//! Invariant: a message has one nonce for all its tries. On the same connection it is repeated for
//! less than two minutes; on a new one only after RESUMED and after paging the GAPs of its
//! conversation; a MESSAGE_CREATE of one's own with its nonce is its ACK. What is never answered is
//! a failure, not a loss that nobody notices. The bookkeeping is in [`super::pending`].

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout};

use super::Run;
use super::cast::Person;
use super::pending::{Book, Order};
use crate::client::backoff::Backoff;
use crate::client::{Cursors, Event, Kind, Session, paging};
use crate::json::Look as _;
use crate::{Context as _, Failure, Outcome, fail};

/// READY and RESUMED have come by then.
const RESUMED_WITHIN: Duration = Duration::from_mins(1);

/// The task of one socket.
pub struct Speaker {
    run: Arc<Run>,
    person: Arc<Person>,
    orders: mpsc::Receiver<Order>,
    book: Book,
    edge: usize,
}

impl Speaker {
    /// A speaker that takes orders; its socket opens when it runs.
    pub fn new(run: Arc<Run>, person: Arc<Person>, orders: mpsc::Receiver<Order>) -> Self {
        let edge = usize::try_from(person.id % 1021).unwrap_or(0);
        Self { run, person, orders, book: Book::default(), edge }
    }

    /// Works until nobody gives orders any more.
    pub async fn speak(mut self) {
        let seat = self.person.seat.clone();
        // An earlier socket of the same author may still be closing.
        let mut cursors = seat.lock_owned().await;
        if let Err(failure) = self.serve(&mut cursors).await {
            self.orders.close();
            while let Ok(order) = self.orders.try_recv() {
                self.book.take(order);
            }
            self.book.abandon(&format!("{}: {failure}", self.person.username));
        }
    }

    async fn serve(&mut self, cursors: &mut Cursors) -> Outcome {
        let mut backoff = Backoff::default();
        loop {
            self.edge += 1;
            let edge = &self.run.edges[self.edge % self.run.edges.len()];
            let token = self.person.token().await?;
            let opening = Session::open(edge, &token, cursors.clone());
            let mut session = match Box::pin(opening).await {
                Ok(session) => session,
                Err(failure) => {
                    self.book.overdue().during(failure)?;
                    sleep(backoff.wait()).await;
                    continue;
                }
            };
            self.run.progress.author_sockets.up();
            let ended = self.connection(&mut session).await;
            for violation in session.violations() {
                self.run.progress.violation(format!("{}: {violation}", self.person.username));
            }
            if ended? {
                *cursors = session.close().await;
                return Ok(());
            }
            *cursors = session.abandon();
            self.book.overdue()?;
            sleep(backoff.wait()).await;
        }
    }

    /// Serves one connection. Returns whether nobody gives orders any more.
    async fn connection(&mut self, session: &mut Session) -> Outcome<bool> {
        self.book.reconnected();
        let resumed = async {
            while let Ok(event) = session.next().await {
                self.hear(&event)?;
                if event.kind == Kind::Resumed {
                    return Ok(true);
                }
            }
            Ok::<_, Failure>(false)
        };
        if !timeout(RESUMED_WITHIN, resumed).await.unwrap_or(Ok(false))? {
            return Ok(false);
        }
        self.page(session).await?;
        for took in self.book.settle_created()? {
            self.run.progress.acked(took);
        }
        loop {
            tokio::select! {
                biased;
                event = session.next() => match event {
                    Ok(event) => self.hear(&event)?,
                    Err(_) => return Ok(false),
                },
                order = self.orders.recv() => match order {
                    Some(order) => self.book.take(order),
                    None if self.book.is_empty() => return Ok(true),
                    None => fail!("dismissed with messages pending"),
                },
                () = sleep_until(self.book.next_due().into()) => {
                    self.book.overdue()?;
                    if !self.send_due(session).await {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Sends what is due. Returns false where a new connection is needed.
    async fn send_due(&mut self, session: &Session) -> bool {
        while let Some(due) = self.book.due() {
            let Some(due) = due else { return false };
            if due.again {
                self.run.progress.repeated.up();
            }
            if session.send(due.conversation, &due.content, &due.nonce).await.is_err() {
                return false;
            }
        }
        true
    }

    fn hear(&mut self, event: &Event) -> Outcome {
        let data = &event.data;
        match event.kind {
            Kind::Ack => {
                let id = data.id("id")?;
                if let Some(took) = self.book.acked(data.text("nonce")?, id, event.at)? {
                    self.run.progress.acked(took);
                }
            }
            Kind::Nack => {
                self.book.refused(data)?;
                self.run.progress.refused.up();
            }
            Kind::Entry { id, .. } if event.name == "MESSAGE_CREATE" && !self.book.is_empty() => {
                self.created(data, id)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn created(&mut self, message: &serde_json::Value, id: u64) -> Outcome {
        if message.id("author_id")? == self.person.id {
            self.book.created(message, id)?;
        }
        Ok(())
    }

    /// Pages the GAPs of conversations with something pending, which may be in them.
    async fn page(&mut self, session: &mut Session) -> Outcome {
        for conversation in self.book.conversations() {
            while let Some(gap) = session.cursors.next_gap(conversation) {
                let api = self.person.api().await?;
                let page = paging::entries(&api, conversation, gap.from, paging::PAGE).await?;
                for (entry, &id) in page.items.iter().zip(&page.ids) {
                    if id >= gap.to {
                        break;
                    }
                    session.cursors.paged(conversation, id).map_err(|wrong| {
                        Failure::new(format!("entry {id} of {conversation}: {wrong}"))
                    })?;
                    if entry.text("t")? == "MESSAGE_CREATE" {
                        self.created(entry.at("d")?, id)?;
                    }
                }
                let reached = page.next.is_none_or(|next| next + 1 >= gap.to);
                if reached || !page.has_more {
                    session.cursors.paged_to_the_end(conversation);
                }
            }
        }
        Ok(())
    }
}
