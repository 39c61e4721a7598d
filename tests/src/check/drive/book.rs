//! Messages of one client that are not yet known to be part of their conversations.
//!
//! Invariant: a message keeps its nonce for all its tries, and is tried as the protocol allows: on the
//! same connection for less than two minutes, on a new one only after RESUMED and where no GAP of its
//! conversation is unpaged; never when its nonce may have been forgotten. Pure but for the clock.

use std::time::{Duration, Instant};

use crate::client::backoff::Backoff;

/// No answer for that long: the message is sent again. The server tries for 20 s.
const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// On one connection a message is repeated for less than two minutes.
const SAME_CONNECTION: Duration = Duration::from_secs(100);
/// After that a nonce may mean nothing: five minutes, less what a try may take.
const NONCE_KEPT: Duration = Duration::from_mins(4);
/// Messages pending at once; a client with more waits.
pub const PENDING: usize = 64;

/// Refusals that ask to come again.
pub const PATIENT: [&str; 4] = ["rate_limited", "unavailable", "timeout", "unknown_outcome"];

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Where.
    pub conversation: u64,
    /// What.
    pub content: String,
    /// Its name.
    pub nonce: String,
}

struct Pending {
    message: Message,
    first: Option<Instant>,
    /// When it was first sent on this connection.
    here: Option<Instant>,
    due: Instant,
    backoff: Backoff,
}

/// All pending messages of one client.
#[derive(Default)]
pub struct Book {
    pending: Vec<Pending>,
}

impl Book {
    /// Takes a message in; it is due at once.
    pub fn take(&mut self, message: Message) {
        let due = Instant::now();
        let backoff = Backoff::default();
        self.pending.push(Pending { message, first: None, here: None, due, backoff });
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether nothing is pending.
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// A new connection is RESUMED: everything is due again.
    pub fn resumed(&mut self) {
        for one in &mut self.pending {
            (one.here, one.due) = (None, Instant::now());
        }
    }

    /// A message that may be sent now, noted as sent. `held` says which conversations have to wait.
    pub fn due(&mut self, held: impl Fn(u64) -> bool) -> Option<Message> {
        let now = Instant::now();
        let forgotten = |since: Option<Instant>, limit| since.is_some_and(|at| now - at > limit);
        self.pending.retain(|one| {
            !forgotten(one.first, NONCE_KEPT) && !forgotten(one.here, SAME_CONNECTION)
        });
        let due = |one: &&mut Pending| one.due <= now && !held(one.message.conversation);
        let one = self.pending.iter_mut().find(due)?;
        one.first.get_or_insert(now);
        one.here.get_or_insert(now);
        one.due = now + ANSWER_WITHIN;
        Some(one.message.clone())
    }

    /// When the next message is due.
    pub fn next_due(&self) -> Instant {
        let due = self.pending.iter().map(|one| one.due).min();
        due.unwrap_or_else(|| Instant::now() + ANSWER_WITHIN)
    }

    /// It is part of its conversation, or never will be.
    pub fn settle(&mut self, nonce: &str) {
        self.pending.retain(|one| one.message.nonce != nonce);
    }

    /// It was refused, and may be tried again after a wait.
    pub fn again(&mut self, nonce: &str, asked: Duration) {
        let found = self.pending.iter_mut().find(|one| one.message.nonce == nonce);
        if let Some(one) = found {
            one.due = Instant::now() + asked.max(one.backoff.wait());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn book() -> Book {
        let mut book = Book::default();
        book.take(Message { conversation: 7, content: "hi".into(), nonce: "n".into() });
        book
    }

    #[test]
    fn a_message_is_sent_once_until_a_new_connection_is_resumed() {
        let mut book = book();
        assert!(book.due(|_| false).is_some() && book.due(|_| false).is_none());
        book.resumed();
        assert!(book.due(|_| false).is_some());
        book.settle("n");
        assert!(book.is_empty());
    }

    #[test]
    fn a_message_waits_while_a_gap_of_its_conversation_is_unpaged() {
        let mut book = book();
        assert!(book.due(|conversation| conversation == 7).is_none());
        assert!(book.due(|conversation| conversation == 8).is_some());
    }
}
