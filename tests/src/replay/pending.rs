//! Messages of one author that are not yet known to be part of their conversations.
//!
//! Invariant: a message leaves this book exactly once, with the id that its ACK or its own
//! MESSAGE_CREATE gave it; the two must agree. Pure but for the clock: the socket is the speaker's.

use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::sync::oneshot;

use crate::client::backoff::Backoff;
use crate::json::Look as _;
use crate::{Context as _, Failure, Outcome, ensure, fail};

/// No answer for that long: the message is sent again. The server tries for 20 s.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// On one connection a message is repeated for less than two minutes.
const SAME_CONNECTION: Duration = Duration::from_secs(100);
/// A message that is not acknowledged by then has failed: its nonce soon means nothing.
const ACKED_WITHIN: Duration = Duration::from_secs(270);
/// Refusals that ask to come again.
const PATIENT: [&str; 4] = ["rate_limited", "unavailable", "timeout", "unknown_outcome"];

/// A message to be sent.
pub struct Order {
    /// Where.
    pub conversation: u64,
    /// What.
    pub content: String,
    /// The name of this message.
    pub nonce: String,
    /// Who waits for it.
    pub done: oneshot::Sender<Outcome<Sent>>,
}

/// A message that is part of the conversation.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Its id.
    pub id: u64,
    /// When it was first sent.
    pub first: Instant,
}

/// A message that has to be sent now.
pub struct Due {
    /// Where.
    pub conversation: u64,
    /// What.
    pub content: String,
    /// The name of this message.
    pub nonce: String,
    /// Whether it was sent before.
    pub again: bool,
}

struct Pending {
    order: Order,
    taken: Instant,
    first: Option<Instant>,
    /// When it was first sent on this connection.
    here: Option<Instant>,
    due: Instant,
    backoff: Backoff,
    /// The id under which its MESSAGE_CREATE came.
    created: Option<u64>,
}

/// All pending messages of one author.
#[derive(Default)]
pub struct Book {
    pending: Vec<Pending>,
}

impl Book {
    /// Takes a message in; it is due at once.
    pub fn take(&mut self, order: Order) {
        let now = Instant::now();
        self.pending.push(Pending {
            order,
            taken: now,
            first: None,
            here: None,
            due: now,
            backoff: Backoff::default(),
            created: None,
        });
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// The conversations with something pending.
    pub fn conversations(&self) -> Vec<u64> {
        let mut all: Vec<u64> = self.pending.iter().map(|one| one.order.conversation).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// A new connection: everything is due again, once it may be.
    pub fn reconnected(&mut self) {
        for one in &mut self.pending {
            (one.here, one.due) = (None, Instant::now());
        }
    }

    /// When the next message is due.
    pub fn next_due(&self) -> Instant {
        let due = self.pending.iter().map(|one| one.due).min();
        due.unwrap_or_else(|| Instant::now() + ANSWER_WITHIN)
    }

    /// A message that is due, noted as sent now. The inner none is where the rules ask for a new
    /// connection first.
    pub fn due(&mut self) -> Option<Option<Due>> {
        let now = Instant::now();
        let one = self.pending.iter_mut().find(|one| one.due <= now)?;
        if one.here.is_some_and(|here| now - here > SAME_CONNECTION) {
            return Some(None);
        }
        let again = one.first.is_some();
        one.first.get_or_insert(now);
        one.here.get_or_insert(now);
        one.due = now + ANSWER_WITHIN;
        let Order { conversation, content, nonce, .. } = &one.order;
        let (content, nonce) = (content.clone(), nonce.clone());
        Some(Some(Due { conversation: *conversation, content, nonce, again }))
    }

    /// An ACK. Returns how long it took, or none where nobody waits for it any more: a repeated SEND
    /// is answered each time.
    pub fn acked(&mut self, nonce: &str, id: u64, at: Instant) -> Outcome<Option<Duration>> {
        let place = self.pending.iter().position(|one| one.order.nonce == nonce);
        let Some(place) = place else { return Ok(None) };
        let Pending { order, first, created, .. } = self.pending.remove(place);
        ensure!(created.is_none_or(|created| created == id), "ACK {id}, created as {created:?}");
        let first = first.during("an answer to what was not sent")?;
        // Who gave the order may have given up; then the run has failed already.
        let _ = order.done.send(Ok(Sent { id, first }));
        Ok(Some(at.saturating_duration_since(first)))
    }

    /// One's own MESSAGE_CREATE.
    pub fn created(&mut self, message: &Value, id: u64) -> Outcome {
        let nonce = message.get("nonce").and_then(Value::as_str);
        let found = self.pending.iter_mut().find(|one| Some(one.order.nonce.as_str()) == nonce);
        if let Some(one) = found {
            if let Some(other) = one.created.filter(|&other| other != id) {
                fail!("{nonce:?} created twice, as {other} and as {id}");
            }
            one.created = Some(id);
        }
        Ok(())
    }

    /// After a resume: what came as MESSAGE_CREATE needs no ACK. Returns how long each took.
    pub fn settle_created(&mut self) -> Outcome<Vec<Duration>> {
        let created = self.pending.iter().filter_map(|one| {
            let id = one.created?;
            Some((one.order.nonce.clone(), id))
        });
        let created: Vec<_> = created.collect();
        let mut settle = |(nonce, id): (String, u64)| self.acked(&nonce, id, Instant::now());
        created.into_iter().filter_map(|one| settle(one).transpose()).collect()
    }

    /// A NACK of a SEND: it says to come again, or the message has failed.
    pub fn refused(&mut self, nack: &Value) -> Outcome {
        ensure!(nack.number("op")? == 20, "a NACK of what was never sent: {nack}");
        let (nonce, code) = (nack.text("nonce")?, nack.text("code")?);
        ensure!(PATIENT.contains(&code), "a message was refused: {nack}");
        let found = self.pending.iter_mut().find(|one| one.order.nonce == nonce);
        if let Some(one) = found {
            let asked = nack.get("retry_after_ms").and_then(Value::as_u64);
            let asked = asked.map_or(Duration::ZERO, Duration::from_millis);
            one.due = Instant::now() + asked.max(one.backoff.wait());
        }
        Ok(())
    }

    /// Fails where a message has waited for too long.
    pub fn overdue(&self) -> Outcome {
        let late = |one: &&Pending| one.taken.elapsed() > ACKED_WITHIN;
        if let Some(one) = self.pending.iter().find(late) {
            let Order { conversation, nonce, .. } = &one.order;
            fail!("no ACK of {nonce} in {conversation} within {ACKED_WITHIN:?}");
        }
        Ok(())
    }

    /// Tells everyone who waits that nothing will come.
    pub fn abandon(&mut self, why: &str) {
        for one in self.pending.drain(..) {
            let _ = one.order.done.send(Err(Failure::new(why)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn book() -> (Book, oneshot::Receiver<Outcome<Sent>>) {
        let mut book = Book::default();
        let (done, sent) = oneshot::channel();
        book.take(Order { conversation: 7, content: "hi".into(), nonce: "n".into(), done });
        (book, sent)
    }

    #[test]
    fn a_message_is_sent_once_until_it_is_due_again() {
        let (mut book, _sent) = book();
        assert!(!book.due().flatten().unwrap().again);
        assert!(book.due().is_none());
        book.reconnected();
        assert!(book.due().flatten().unwrap().again);
    }

    #[test]
    fn the_first_answer_settles_it() {
        let (mut book, mut sent) = book();
        book.due();
        assert!(book.acked("n", 5, Instant::now()).unwrap().is_some());
        assert!(book.acked("n", 5, Instant::now()).unwrap().is_none());
        assert_eq!(sent.try_recv().unwrap().unwrap().id, 5);
    }

    #[test]
    fn a_message_seen_after_a_resume_needs_no_ack() {
        let (mut book, mut sent) = book();
        book.due();
        book.created(&json!({ "nonce": "n" }), 5).unwrap();
        assert_eq!(book.settle_created().unwrap().len(), 1);
        assert_eq!(sent.try_recv().unwrap().unwrap().id, 5);
        assert!(book.is_empty());
    }

    #[test]
    fn one_nonce_is_one_message() {
        let (mut book, _sent) = book();
        book.due();
        book.created(&json!({ "nonce": "n" }), 5).unwrap();
        assert!(book.created(&json!({ "nonce": "n" }), 6).is_err());
        assert!(book.acked("n", 6, Instant::now()).is_err());
    }

    #[test]
    fn a_refusal_is_waited_for_or_final() {
        let nack = |code: &str| json!({ "op": 20, "nonce": "n", "code": code });
        let (mut book, _sent) = book();
        book.due();
        book.refused(&nack("rate_limited")).unwrap();
        assert!(book.next_due() <= Instant::now() + Duration::from_secs(1));
        assert!(book.refused(&nack("not_found")).is_err());
    }
}
