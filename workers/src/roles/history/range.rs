//! `range`: valid entries of one conversation after a sequence, or its newest.
//!
//! Invariant: `through` is the last sequence read, unless entries were left out after the last one
//! given; then it is that one's. Nothing above what the tail has read is given, even if the store
//! has it already.

use bus_schema::entry::EntryKind;
use bus_schema::error::Failure;
use bus_schema::ids::ConversationId;
use bus_schema::ops::history::{RANGE_BYTES, RANGE_MAX, RangeReply, RangeRequest, StoredEntry};
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::{Membership, MembershipEvent};

use super::tail::Tail;
use super::thread::{Thread, replay};
use super::view::{Step, View};
use crate::store::history::{RangeQuery, RangeRows};

/// Answers a request.
pub(super) async fn handle(view: &View, request: RangeRequest) -> Result<RangeReply, Failure> {
    let away = view.is_store_away();
    let mut answer = answer_with(view, request.clone(), away).await;
    if !away && view.went_away(&answer) {
        answer = answer_with(view, request.clone(), true).await;
    }
    if let Ok(RangeReply { through, membership: Some(membership), .. }) = &answer {
        view.learn_membership(request.place, *through, membership);
    }
    answer
}

async fn answer_with(
    view: &View,
    request: RangeRequest,
    away: bool,
) -> Result<RangeReply, Failure> {
    let conversation = view.conversation(request.place)?;
    if !(1..=RANGE_MAX).contains(&request.limit) {
        return Err(Failure::bad_request("limit: 1 to 500"));
    }
    view.fresh(request.fresh).await?;
    let (place, limit) = (request.place, request.limit);
    let asked = Asked { place, conversation, limit, membership: request.membership, away };
    view.merge(
        &[place],
        |tail, rows| match request.after {
            Some(after) => asked.after(tail, after, rows),
            None => asked.newest(tail, rows),
        },
        |query| view.store.range(view.stream, query),
    )
    .await
}

/// The entries given, within their bounds.
struct Given {
    entries: Vec<StoredEntry>,
    bytes: usize,
    limit: usize,
}

impl Given {
    /// Takes one more unless a bound is met.
    fn take(&mut self, entry: StoredEntry) -> bool {
        let bytes = self.bytes + entry.d.get().len() + FRAME_BYTES;
        let full =
            self.entries.len() >= self.limit || (bytes > RANGE_BYTES && !self.entries.is_empty());
        if !full {
            self.bytes = bytes;
            self.entries.push(entry);
        }
        !full
    }
}

/// What an entry costs in the answer beside its payload.
const FRAME_BYTES: usize = 96;

struct Asked {
    place: LogSubject,
    conversation: ConversationId,
    limit: u32,
    membership: bool,
    /// The store is away: of the newest, those in memory are given, and no membership that it would
    /// have to tell.
    away: bool,
}

type Answer = Step<RangeReply, RangeQuery>;

impl Asked {
    fn after(&self, tail: &Tail, after: u64, rows: Option<&RangeRows>) -> Answer {
        let base = tail.base_of(self.place);
        if after < base && rows.is_none() {
            return self.ask(tail, Some(after));
        }
        let thread = tail.thread(self.place);
        let mut given = self.given();
        let mut from = after;
        let mut more = false;
        if let Some(rows) = rows.filter(|_| after < base) {
            for row in rows.entries.rows.iter().take_while(|row| row.seq <= tail.read()) {
                more = more || !given.take(stored(thread, row));
                from = row.seq;
            }
            let all_read = rows.entries.rows.last().is_some_and(|row| row.seq > tail.read());
            more = more || (rows.entries.more && !all_read);
        }
        for entry in thread.filter(|_| !more).into_iter().flat_map(|t| t.after(from)) {
            if pack(thread, entry).is_some_and(|entry| !given.take(entry)) {
                more = true;
                break;
            }
        }
        let last = given.entries.last().map_or(after, |entry| entry.seq);
        let through = if more { last } else { tail.read() };
        self.reply(tail, given, through, more, rows, Some(after))
    }

    fn newest(&self, tail: &Tail, rows: Option<&RangeRows>) -> Answer {
        let thread = tail.thread(self.place);
        let mut given = self.given();
        let mut more = false;
        for entry in thread.into_iter().flat_map(|t| t.after(0).rev()) {
            if pack(thread, entry).is_some_and(|entry| !given.take(entry)) {
                more = true;
                break;
            }
        }
        let base = tail.base_of(self.place);
        if !more && base > 0 && rows.is_none() && self.away {
            more = true;
        }
        if !more && base > 0 {
            let Some(rows) = rows else { return self.ask(tail, None) };
            let below = rows.entries.rows.iter().filter(|row| row.seq <= tail.base());
            for row in below {
                more = more || !given.take(stored(thread, row));
            }
            more = more || rows.entries.more;
        }
        given.entries.reverse();
        self.reply(tail, given, tail.read(), more, rows, None)
    }

    fn given(&self) -> Given {
        Given { entries: Vec::new(), bytes: 0, limit: self.limit as usize }
    }

    fn ask(&self, tail: &Tail, after: Option<u64>) -> Answer {
        Step::Ask(RangeQuery {
            conversation: self.conversation,
            after,
            upto: tail.read(),
            // One more, to see whether what is left out has been read at all.
            limit: self.limit + 1,
            bytes: RANGE_BYTES,
            events: self.membership,
        })
    }

    fn reply(
        &self,
        tail: &Tail,
        given: Given,
        through: u64,
        more: bool,
        rows: Option<&RangeRows>,
        after: Option<u64>,
    ) -> Answer {
        let mut membership = None;
        if self.membership {
            let events = rows.map(|rows| rows.events.as_slice());
            membership = membership_at(tail, self.place, through, events);
            if membership.is_none() && !self.away {
                return self.ask(tail, after);
            }
        }
        Step::Done(RangeReply { through, more, entries: given.entries, membership })
    }
}

/// The membership at a sequence; `None` if the store's events are needed and not there.
pub(super) fn membership_at(
    tail: &Tail,
    place: LogSubject,
    through: u64,
    events: Option<&[MembershipEvent]>,
) -> Option<Membership> {
    let thread = tail.thread(place);
    if through >= tail.read()
        && let Some(now) = tail.membership_now(place)
    {
        return Some(now.clone());
    }
    let needless = tail.base_of(place) == 0 || matches!(place, LogSubject::Dm(_));
    let events = match events {
        Some(events) => events,
        None if needless => &[],
        None => return None,
    };
    let from_events = || {
        let mut membership = Membership::at_start(place);
        replay(&mut membership, events, through);
        membership
    };
    let of_thread = thread.map(|thread| thread.membership_at(tail.base(), through, events));
    Some(of_thread.unwrap_or_else(from_events))
}

/// A row of the store, with what the tail knows of it.
fn stored(thread: Option<&Thread>, row: &StoredEntry) -> StoredEntry {
    let mut entry = row.clone();
    let deleted = thread.is_some_and(|thread| thread.deleted(row.seq));
    if deleted && row.t == EntryKind::MessageCreate {
        let shown = bus_schema::entry::shown_deleted(row.d.get()).ok();
        let shown = shown.and_then(|json| serde_json::value::RawValue::from_string(json).ok());
        // Stored payloads are objects; if one is not, showing nothing of it is still right.
        entry.d = shown.unwrap_or_default();
    }
    entry
}

/// An entry of the tail; none if its payload is no JSON, which decoding has excluded.
fn pack(thread: Option<&Thread>, entry: &bus_schema::entry::Entry) -> Option<StoredEntry> {
    let seq = entry.id.sequence();
    let message = entry.body.kind() == EntryKind::MessageCreate;
    let deleted = message && thread.is_some_and(|thread| thread.deleted(seq));
    let packed = if deleted { StoredEntry::pack_deleted(entry) } else { StoredEntry::pack(entry) };
    packed.ok()
}
