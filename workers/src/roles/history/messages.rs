//! `messages` and `message`: messages in their final state.
//!
//! Invariant: a page without holes: between its first and last message nothing is left out but what
//! is deleted. A page that bounds cut short says `has_more` and where to go on.

use bus_schema::error::Failure;
use bus_schema::events::Message;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex};
use bus_schema::limits::PAGE_MAX;
use bus_schema::ops::history::{
    Bound, GetMessageRequest, MessagesReply, MessagesRequest, RANGE_BYTES,
};
use bus_schema::subjects::LogSubject;
use bus_schema::timestamp::Timestamp;

use super::shown::{changed, fit, shown};
use super::tail::Tail;
use super::view::{Step, View};
use crate::store::history::{Anchor, MessageRecord, PageQuery, PageRows, after, before};

/// Answers a request for a page.
pub(super) async fn handle(
    view: &View,
    request: MessagesRequest,
) -> Result<MessagesReply, Failure> {
    let away = view.is_store_away();
    let answer = answer_with(view, &request, away).await;
    if !away && view.went_away(&answer) {
        return answer_with(view, &request, true).await;
    }
    answer
}

async fn answer_with(
    view: &View,
    request: &MessagesRequest,
    away: bool,
) -> Result<MessagesReply, Failure> {
    let conversation = view.conversation(request.place)?;
    if !(1..=PAGE_MAX).contains(&request.limit) {
        return Err(Failure::bad_request("limit: 1 to 100"));
    }
    view.fresh(request.fresh).await?;
    let asked = Asked { place: request.place, conversation, stream: view.stream, away };
    let limit = request.limit as usize;
    let around = match request.bound {
        Bound::Newest => return asked.older(view, u64::MAX, limit).await,
        Bound::Before(id) => return asked.older(view, before(id, view.stream), limit).await,
        Bound::After(id) => {
            let from = after(id, view.stream).saturating_add(1);
            return asked.newer(view, from, limit).await;
        }
        Bound::Around(id) => before(id, view.stream),
        Bound::At(at) => asked.first_at(view, at).await?,
    };
    asked.around(view, around, limit).await
}

/// Answers a request for one message.
pub(super) async fn one(view: &View, request: GetMessageRequest) -> Result<Message, Failure> {
    let conversation = view.conversation(request.place)?;
    view.fresh(request.fresh).await?;
    let asked = Asked { place: request.place, conversation, stream: view.stream, away: false };
    let seq = request.id.sequence();
    let places = [request.place];
    let found = view.merge(
        &places,
        |tail, rows| asked.newer_part(tail, seq, 1, rows).map(|part| part.found),
        |query| view.store.page(view.stream, query),
    );
    let found = found.await?.into_iter().next();
    let found = found.filter(|m| EntryId::new(m.seq, view.stream) == request.id);
    found.map(|m| shown(m, conversation, view.stream)).ok_or_else(Failure::not_found)
}

/// Leaves out what is beyond the limit or the budget. Whether anything was left out.
fn cut(found: &mut Vec<MessageRecord>, limit: usize, budget: &mut usize) -> bool {
    let beyond = found.len() > limit;
    found.truncate(limit);
    fit(found, budget) || beyond
}

/// One side of a page.
struct Part {
    /// In the direction away from the anchor; one more than asked for if there are more.
    found: Vec<MessageRecord>,
    /// If it ends early though there may be more: everything up to here was looked at.
    stop: Option<u64>,
}

/// Deletions in the tail for which the store is asked for more than needed, at most.
const SLACK: usize = 100;

struct Asked {
    place: LogSubject,
    conversation: ConversationId,
    stream: StreamIndex,
    /// The store is away: pages end where memory does.
    away: bool,
}

impl Asked {
    async fn older(&self, view: &View, below: u64, limit: usize) -> Result<MessagesReply, Failure> {
        let places = [self.place];
        let part = view.merge(
            &places,
            |tail, rows| self.older_part(tail, below, limit, rows),
            |query| view.store.page(view.stream, query),
        );
        let Part { mut found, stop } = part.await?;
        let cut = cut(&mut found, limit, &mut { RANGE_BYTES });
        found.reverse();
        let next = stop.filter(|_| !cut).or(found.first().map(|m| m.seq));
        Ok(self.reply(found, cut || stop.is_some(), next))
    }

    async fn newer(&self, view: &View, from: u64, limit: usize) -> Result<MessagesReply, Failure> {
        let places = [self.place];
        let part = view.merge(
            &places,
            |tail, rows| self.newer_part(tail, from, limit, rows),
            |query| view.store.page(view.stream, query),
        );
        let Part { mut found, stop } = part.await?;
        let cut = cut(&mut found, limit, &mut { RANGE_BYTES });
        let next = stop.filter(|_| !cut).or(found.last().map(|m| m.seq));
        Ok(self.reply(found, cut || stop.is_some(), next))
    }

    async fn around(&self, view: &View, at: u64, limit: usize) -> Result<MessagesReply, Failure> {
        let places = [self.place];
        let parts = view.merge(
            &places,
            |tail, rows| {
                let older = match self.older_part(tail, at, limit, rows) {
                    Step::Done(part) => part,
                    Step::Ask(query) => return Step::Ask(self.both(tail, at, query)),
                };
                match self.newer_part(tail, at, limit, rows) {
                    Step::Done(newer) => Step::Done((older, newer)),
                    Step::Ask(query) => Step::Ask(self.both(tail, at, query)),
                }
            },
            |query| view.store.page(view.stream, query),
        );
        let (Part { found: mut older, stop }, Part { found: mut newer, .. }) = parts.await?;
        newer.truncate(limit.div_ceil(2).max(limit.saturating_sub(older.len())));
        let mut budget = RANGE_BYTES / 2;
        fit(&mut newer, &mut budget);
        budget += RANGE_BYTES / 2;
        let cut = cut(&mut older, limit - newer.len(), &mut budget);
        older.reverse();
        older.extend(newer);
        let next = stop.filter(|_| !cut).or(older.first().map(|m| m.seq));
        Ok(self.reply(older, cut || stop.is_some(), next))
    }

    /// The sequence of the first message at or after a time; after all if there is none.
    async fn first_at(&self, view: &View, at: Timestamp) -> Result<u64, Failure> {
        let query = PageQuery {
            conversation: self.conversation,
            anchor: Anchor::At(at),
            older: 0,
            newer: 0,
        };
        view.merge(
            &[self.place],
            |tail, rows: Option<&PageRows>| {
                let stored = rows.and_then(|rows| rows.anchor);
                match (stored.filter(|seq| *seq <= tail.base()), rows) {
                    (None, None) if tail.base_of(self.place) > 0 => Step::Ask(query),
                    (Some(seq), _) => Step::Done(seq),
                    (None, _) => {
                        let found = tail.thread(self.place).and_then(|t| t.first_at(at));
                        Step::Done(found.unwrap_or(u64::MAX))
                    }
                }
            },
            |query| view.store.page(view.stream, query),
        )
        .await
    }

    /// Up to `limit` and one more shown messages below `below`, descending.
    fn older_part(
        &self,
        tail: &Tail,
        below: u64,
        limit: usize,
        rows: Option<&PageRows>,
    ) -> Step<Part, PageQuery> {
        let below = below.min(tail.read() + 1);
        let thread = tail.thread(self.place);
        let mut found: Vec<_> =
            thread.into_iter().flat_map(|t| t.older(below)).take(limit + 1).collect();
        let mut stop = None;
        if found.len() <= limit && tail.base_of(self.place) > 0 {
            if rows.is_none() && self.away && below > tail.base() + 1 {
                stop = Some(tail.base() + 1);
                return Step::Done(Part { found, stop });
            }
            let Some(rows) = rows else {
                let older = self.wanted(tail, limit);
                return Step::Ask(self.query(below, older, 0));
            };
            let stored = rows.older.rows.iter().filter(|row| row.seq <= tail.base());
            found.extend(stored.cloned().filter_map(|row| changed(thread, row)).take(limit + 1));
            if found.len() <= limit {
                // Above its base the tail has been looked at as a whole.
                stop = rows.older.stop.map(|stop| stop.min(tail.base() + 1));
            }
            found.truncate(limit + 1);
        }
        Step::Done(Part { found, stop })
    }

    /// Up to `limit` and one more shown messages at and above `from`, ascending.
    fn newer_part(
        &self,
        tail: &Tail,
        from: u64,
        limit: usize,
        rows: Option<&PageRows>,
    ) -> Step<Part, PageQuery> {
        let thread = tail.thread(self.place);
        let mut found = Vec::new();
        let mut next = from;
        if from <= tail.base_of(self.place) {
            let Some(rows) = rows else {
                let newer = self.wanted(tail, limit);
                return Step::Ask(self.query(from, 0, newer));
            };
            let stored = rows.newer.rows.iter().filter(|row| row.seq <= tail.read());
            found.extend(stored.cloned().filter_map(|row| changed(thread, row)).take(limit + 1));
            if let Some(stop) = rows.newer.stop.filter(|stop| *stop <= tail.read()) {
                let stop = Some(stop).filter(|_| found.len() <= limit);
                return Step::Done(Part { found, stop });
            }
            let last = rows.newer.stop.or(rows.newer.rows.last().map(|row| row.seq));
            next = last.map_or(from, |seq| seq + 1);
        }
        if found.len() <= limit {
            let room = limit + 1 - found.len();
            found.extend(thread.into_iter().flat_map(|t| t.newer(next)).take(room));
        }
        Step::Done(Part { found, stop: None })
    }

    /// How many rows to ask for, so that what the tail deletes of them leaves enough.
    fn wanted(&self, tail: &Tail, limit: usize) -> u32 {
        let deleted = tail
            .thread(self.place)
            .map_or(0, |thread| thread.deleted_below(u64::MAX).take(SLACK).count());
        u32::try_from(limit + 1 + deleted).unwrap_or(PAGE_MAX)
    }

    const fn query(&self, at: u64, older: u32, newer: u32) -> PageQuery {
        PageQuery { conversation: self.conversation, anchor: Anchor::Seq(at), older, newer }
    }

    /// Both sides of a page in one question. Its anchor is that of the older side, which may be
    /// lower than the newer side's only if there is nothing between.
    fn both(&self, tail: &Tail, at: u64, asked: PageQuery) -> PageQuery {
        let rows = asked.older.max(asked.newer);
        self.query(at.min(tail.read() + 1), rows, rows)
    }

    fn reply(
        &self,
        messages: Vec<MessageRecord>,
        has_more: bool,
        next: Option<u64>,
    ) -> MessagesReply {
        let messages = messages.into_iter();
        MessagesReply {
            messages: messages.map(|m| shown(m, self.conversation, self.stream)).collect(),
            has_more,
            next: next.map(|seq| EntryId::new(seq, self.stream)),
        }
    }
}
