//! What users last had read and not read, for when the store is away.
//!
//! Invariant: what is remembered was true when the store last said it, here; another worker may have
//! moved a marker since. Markers only move forward, so one that is remembered is never too high.

use bus_schema::ids::{EntryId, UserId};
use bus_schema::limits::UNREAD_MAX;
use bus_schema::ops::history::{SummariesReply, SummaryOf};
use bus_schema::subjects::LogSubject;
use parking_lot::Mutex;

use super::recent::Recent;
use super::tail::Tail;
use crate::store::history::after;

/// Pairs of user and conversation that are remembered for a stream.
const REMEMBERED: usize = 100_000;

/// How a conversation stood for a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stood {
    read_id: Option<EntryId>,
    unread: u32,
    /// Everything up to here is in `unread`.
    through: u64,
}

/// What is remembered.
#[derive(Debug)]
pub(super) struct Standings(Mutex<Recent<(UserId, LogSubject), Stood>>);

impl Default for Standings {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(REMEMBERED)))
    }
}

impl Standings {
    /// Learns what the store and the tail said together.
    pub(super) fn learn(&self, user: UserId, asked: &[SummaryOf], reply: &SummariesReply) {
        let mut known = self.0.lock();
        for (of, summary) in asked.iter().zip(&reply.summaries) {
            let (read_id, unread) = (summary.read_id, summary.unread);
            known.set((user, of.place), Stood { read_id, unread, through: reply.through }, 1);
        }
    }

    /// Learns that a user has read up to an entry.
    pub(super) fn moved(&self, user: UserId, place: LogSubject, id: EntryId) {
        let stood = Stood { read_id: Some(id), unread: 0, through: id.sequence() };
        self.0.lock().set((user, place), stood, 1);
    }

    /// The marker, and how much is unread: as last known, and what came since. Where nothing is
    /// known, neither is made up, unless the user became a member so late that the store had not
    /// heard of it.
    pub(super) fn recall(
        &self,
        tail: &Tail,
        user: UserId,
        of: SummaryOf,
    ) -> (Option<EntryId>, u32) {
        let stood = self.0.lock().get(&(user, of.place)).copied();
        let new_member = of.since.sequence() > tail.floor();
        let by_since = Stood { read_id: Some(of.since), unread: 0, through: of.since.sequence() };
        let Some(stood) = stood.or(new_member.then_some(by_since)) else { return (None, 0) };
        let read_id = stood.read_id.max(Some(of.since).filter(|since| *since > EntryId::ZERO));
        let read = after(read_id.unwrap_or(EntryId::ZERO), tail.stream());
        let (known, from) =
            if read >= tail.base() { (0, read) } else { (stood.unread, stood.through.max(read)) };
        let came = tail.thread(of.place).into_iter().flat_map(|thread| thread.newer(from + 1));
        let came = came.filter(|message| message.author != user).take(UNREAD_MAX as usize).count();
        let unread = known.saturating_add(u32::try_from(came).unwrap_or(UNREAD_MAX));
        (read_id, unread.min(UNREAD_MAX))
    }
}
