//! How far a socket's conversations are replayed, and what is a GAP instead.
//!
//! Invariants: every entry after a lag's position is given, in order, or lies in a GAP; GAPs come only
//! beyond the protocol's bounds or where entries cannot be read now. A conversation that is no part of
//! the resumption (any more) is never cut.
//!
//! Leaves out asking and writing: `pull`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bus_schema::events::Gap;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex};
use bus_schema::limits;
use bus_schema::subjects::LogSubject;
use tokio::time::Instant;

use super::outbox::Lag;
use crate::follow::conversation::{Pulled, Then};
use crate::follow::item::Item;

/// How long one pull may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long one of a replay may take,
const REPLAY_PATIENCE: Duration = Duration::from_secs(2);
/// and once enough of this socket's have failed: what can be read at all is read by then.
const RUSHED: Duration = Duration::from_millis(250);
/// How long after the first failure of its replays a socket goes on trying, whatever the number of
/// its conversations: after that each that fails gets a GAP at once.
const REPLAY_RETRIES: Duration = Duration::from_secs(4);
/// How long a conversation that could not be pulled is put off.
const AGAIN: Duration = Duration::from_millis(500);
/// Failed pulls of one replay before it gets a GAP instead.
const ATTEMPTS: u32 = 3;

/// Numbers of entries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Replayed of one conversation.
    pub(crate) conversation: usize,
    /// Replayed in all.
    pub(crate) total: usize,
    /// Of one pull.
    pub(crate) batch: usize,
    /// That follow a GAP.
    pub(crate) newest: usize,
}

impl Bounds {
    /// The protocol's.
    pub(super) const PROTOCOL: Self = Self {
        conversation: limits::REPLAY_PER_CONVERSATION,
        total: limits::REPLAY_TOTAL,
        batch: 100,
        newest: limits::AFTER_GAP as usize,
    };
}

/// A conversation to be replayed after IDENTIFY.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replay {
    pub(crate) id: ConversationId,
    pub(crate) lag: Lag,
    /// The client's cursor. No entry is between it and the lag's position, which may be further.
    stands: EntryId,
    /// The cursor was above everything: a GAP from "0" and the newest page.
    pub(crate) from_zero: bool,
}

impl Replay {
    /// Where a conversation's entries start for a socket that READY shows its `last` entry, or none, as
    /// of a time when its stream was read up to `through`.
    pub(crate) fn new(
        (id, place): (ConversationId, LogSubject),
        last: Option<EntryId>,
        through: u64,
        cursor: Option<EntryId>,
    ) -> Self {
        let last = last.unwrap_or(EntryId::ZERO);
        // What READY shows is never sent again, also where it is newer than the stream's `through`.
        let covered = through.max(last.sequence());
        let (after, stands, from_zero) = match cursor.unwrap_or(last) {
            // Perhaps the end of a GAP that could not be read.
            cursor if cursor.sequence() == last.sequence() => (covered, cursor, false),
            cursor if cursor > last => (0, EntryId::ZERO, true),
            cursor => (cursor.sequence(), cursor, false),
        };
        let lag = Lag { place, after, need: last.sequence(), resume: true };
        Self { id, lag, stands, from_zero }
    }
}

/// What one conversation may still replay.
#[derive(Debug)]
struct Budget {
    left: usize,
    failures: u32,
    /// The client's cursor.
    stands: EntryId,
    from_zero: bool,
    gapped: bool,
}

/// What to ask a conversation for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Entries after the lag, so many at most.
    Entries(usize),
    /// So many of the newest, for [`Replays::cut`].
    Newest(usize),
    /// Nothing, it cannot be read: [`Replays::cut`] at once.
    Nothing,
}

/// What follows an answer.
#[derive(Debug)]
pub(crate) enum Onward {
    /// There are more.
    Again(Lag),
    /// The socket is attached.
    Live,
    /// The conversation is no longer the user's.
    Gone,
}

/// The end of a replay by a bound: the GAP if there is something to tell of, the entries after it,
/// and from where the socket goes on.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) gap: Option<Gap>,
    pub(crate) items: Vec<Arc<Item>>,
    pub(crate) lag: Lag,
    /// RESUMED does not wait for it any more.
    pub(crate) done: bool,
}

/// The replays of one socket, until RESUMED.
pub(crate) struct Replays {
    bounds: Bounds,
    waited_for: HashMap<ConversationId, Budget>,
    /// Entries that may still be replayed.
    left: usize,
    /// When replays that fail are no longer tried again; none has failed yet if there is none.
    late_after: Option<Instant>,
}

impl Replays {
    pub(crate) fn new(bounds: Bounds, replays: &[Replay]) -> Self {
        let budget = |replay: &Replay| {
            let Replay { id, stands, from_zero, .. } = *replay;
            let left = bounds.conversation;
            (id, Budget { left, failures: 0, stands, from_zero, gapped: false })
        };
        let waited_for = replays.iter().map(budget).collect();
        Self { bounds, waited_for, left: bounds.total, late_after: None }
    }

    /// Whether RESUMED waits for none any more.
    pub(crate) fn are_done(&self) -> bool {
        self.waited_for.is_empty()
    }

    /// RESUMED does not wait for this one any more.
    pub(crate) fn done(&mut self, id: ConversationId) {
        self.waited_for.remove(&id);
    }

    /// What to ask a conversation for.
    pub(crate) fn ask(&self, id: ConversationId) -> Ask {
        let Some(budget) = self.waited_for.get(&id).filter(|budget| !budget.gapped) else {
            return Ask::Entries(self.bounds.batch);
        };
        let left = budget.left.min(self.left);
        if budget.failures >= ATTEMPTS {
            Ask::Nothing
        } else if budget.from_zero || left == 0 {
            Ask::Newest(self.bounds.newest)
        } else {
            Ask::Entries(self.bounds.batch.min(left))
        }
    }

    /// How long the answer may take.
    pub(crate) fn patience(&self, id: ConversationId) -> Duration {
        match (self.waited_for.contains_key(&id), self.is_late()) {
            (false, _) => PATIENCE,
            (true, false) => REPLAY_PATIENCE,
            (true, true) => RUSHED,
        }
    }

    /// Whether replays have failed for so long that RESUMED shall wait for none any more.
    fn is_late(&self) -> bool {
        self.late_after.is_some_and(|late| Instant::now() >= late)
    }

    /// A conversation did not answer: how long it is put off. One that is replayed is asked again for as
    /// long as there is patience.
    pub(crate) fn failed(&mut self, id: ConversationId) -> Duration {
        let late = self.is_late();
        let mut wait = AGAIN;
        if let Some(budget) = self.waited_for.get_mut(&id) {
            budget.failures += 1;
            if late {
                budget.failures = ATTEMPTS;
                wait = Duration::ZERO;
            }
            self.late_after.get_or_insert_with(|| Instant::now() + REPLAY_RETRIES);
        }
        wait
    }

    /// The entries of an answer were written.
    pub(crate) fn took(&mut self, id: ConversationId, lag: Lag, pulled: &Pulled) -> Onward {
        let count = pulled.items.len();
        if let Some(budget) = self.waited_for.get_mut(&id).filter(|budget| !budget.gapped) {
            budget.failures = 0;
            budget.left = budget.left.saturating_sub(count);
            budget.stands = pulled.items.last().map_or(budget.stands, |item| item.entry.id);
            self.left = self.left.saturating_sub(count);
        }
        match pulled.then {
            Then::More => Onward::Again(Lag { after: pulled.position, ..lag }),
            Then::Live => Onward::Live,
            Then::Gone => Onward::Gone,
        }
    }

    /// Cuts a replay: a GAP, then the newest entries, then live. Without `newest` they cannot be read.
    pub(crate) fn cut(
        &mut self,
        (id, stream): (ConversationId, StreamIndex),
        lag: Lag,
        newest: Option<Pulled>,
    ) -> Cut {
        let unreadable = newest.is_none();
        let (items, after, to) = match newest {
            Some(pulled) => {
                let later = |item: &Arc<Item>| item.sequence() > lag.after;
                let items: Vec<_> = pulled.items.into_iter().filter(later).collect();
                let to = items.first().map_or(EntryId::ZERO, |item| item.entry.id);
                (items, pulled.position, to)
            }
            // Nothing is known to be missing, so there is no GAP to tell of: it catches up when it can.
            None if lag.need <= lag.after => {
                return Cut { gap: None, items: Vec::new(), lag, done: true };
            }
            // What cannot be read now is a GAP up to where this conversation is known to reach. It ends at
            // the id right above, which no entry ever has: who comes back with it has missed nothing.
            None => (Vec::new(), lag.need, EntryId(EntryId::new(lag.need, stream).0 + 1)),
        };
        let (mut from, mut from_zero) = (EntryId::new(lag.after, stream), false);
        if let Some(budget) = self.waited_for.get_mut(&id) {
            budget.gapped = true;
            (from, from_zero) = (budget.stands, budget.from_zero);
        }
        // Where all bounds are used up and nothing is left there is nothing to tell of.
        let tell = to != EntryId::ZERO || from_zero;
        let gap = tell.then_some(Gap { conversation_id: id, from, to });
        let lag = Lag { after: after.max(lag.after), ..lag };
        Cut { gap, items, lag, done: unreadable }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_begins_where_the_client_stands() {
        let id = ConversationId(7);
        let (place, stream) = (LogSubject::Channel(id), StreamIndex(0));
        let (cursor, last) = (EntryId::new(40, stream), EntryId::new(58, stream));
        let replay = Replay::new((id, place), Some(last), 61, Some(cursor));
        let mut replays = Replays::new(Bounds::PROTOCOL, &[replay]);
        // There is nothing up to 50: the position moves on, the client does not.
        let nothing = Pulled { items: Vec::new(), position: 50, then: Then::More };
        let Onward::Again(lag) = replays.took(id, replay.lag, &nothing) else {
            panic!("at an end")
        };
        assert_eq!((lag.after, lag.need), (50, 58));
        (0..ATTEMPTS).for_each(|_| {
            assert_eq!(replays.ask(id), Ask::Entries(100));
            replays.failed(id);
        });
        assert_eq!(replays.ask(id), Ask::Nothing);
        let cut = replays.cut((id, stream), lag, None);
        let to = EntryId(last.0 + 1);
        assert_eq!(cut.gap, Some(Gap { conversation_id: id, from: cursor, to }));
        assert_eq!((cut.lag.after, cut.done), (58, true));
        // It ends where one can come back to.
        for cursor in [EntryId(to.0 - 1), to] {
            let replay = Replay::new((id, place), Some(last), 61, Some(cursor));
            assert_eq!((replay.lag.after, replay.from_zero), (61, false));
        }
        let ahead = Replay::new((id, place), Some(last), 61, Some(EntryId::new(59, stream)));
        assert!(ahead.from_zero);
    }
}
