//! `summaries`: where some conversations of one user stand.
//!
//! Invariant: all of an answer is as of one sequence, `through`; what the tail or the store learnt
//! after the first look is left out. One question to the store serves all conversations.

use bus_schema::error::Failure;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::limits::{PAGE_MAX, UNREAD_MAX};
use bus_schema::ops::history::{
    RANGE_BYTES, SUMMARIES_MAX, SummariesReply, SummariesRequest, Summary, SummaryOf,
};

use super::shown::{changed, fit, shown};
use super::tail::Tail;
use super::view::{Step, View};
use crate::store::history::{Standing, StandingQuery, after};

/// Answers a request.
pub(super) async fn handle(
    view: &View,
    request: SummariesRequest,
) -> Result<SummariesReply, Failure> {
    if request.places.len() > SUMMARIES_MAX {
        return Err(Failure::bad_request("places: at most 500"));
    }
    if request.places.iter().any(|of| of.messages > PAGE_MAX) {
        return Err(Failure::bad_request("messages: at most 100"));
    }
    let conversations: Result<Vec<_>, _> =
        request.places.iter().map(|of| view.conversation(of.place)).collect();
    let wanted: Vec<_> = request.places.iter().copied().zip(conversations?).collect();
    view.fresh(request.fresh).await?;
    if view.is_store_away() {
        return Ok(without_store(view, &request).await);
    }
    let reply = with_store(view, &request, &wanted).await;
    if view.went_away(&reply) {
        return Ok(without_store(view, &request).await);
    }
    reply
}

async fn with_store(
    view: &View,
    request: &SummariesRequest,
    wanted: &[(SummaryOf, ConversationId)],
) -> Result<SummariesReply, Failure> {
    let places: Vec<_> = request.places.iter().map(|of| of.place).collect();
    let asking = wanted.iter().filter(|(of, _)| of.messages > 0).count().max(1);
    let budget = RANGE_BYTES / asking;
    let mut through = None;
    let summaries = view.merge(
        &places,
        |tail, rows: Option<&Vec<Standing>>| {
            let through = *through.get_or_insert(tail.read());
            let Some(rows) = rows else {
                let queries = wanted.iter().map(|(of, c)| query(tail, *of, *c, through));
                return Step::Ask(queries.collect());
            };
            let found = wanted.iter().zip(rows).map(|((of, conversation), row)| {
                let asked = Asked { user: request.user, through, budget, stream: view.stream };
                asked.summary(tail, *of, *conversation, row)
            });
            Step::Done(SummariesReply { through, summaries: found.collect() })
        },
        |queries| view.store.standings(view.stream, request.user, queries),
    );
    let reply = summaries.await?;
    view.learn_heads(
        reply.through,
        places
            .iter()
            .zip(&reply.summaries)
            .filter_map(|(place, summary)| Some((*place, summary.last_id?.sequence()))),
    );
    view.standings.learn(request.user, &request.places, &reply);
    Ok(reply)
}

/// What memory alone can say, so that people who come back while the store is away are not kept
/// waiting: nothing of what came is passed over, and markers and counts are those last known here,
/// with what came since. Where it is not known which entry is the last, it is given as late as it
/// can be; who asks for what is below gets `unavailable` for that conversation alone.
async fn without_store(view: &View, request: &SummariesRequest) -> SummariesReply {
    let places: Vec<_> = request.places.iter().map(|of| of.place).collect();
    // What memory alone can judge is judged; what it cannot is not counted.
    let _ = view.judged(&places, |_| ()).await;
    view.peek(|tail| {
        let through = tail.read();
        let summaries = request.places.iter().map(|of| {
            let thread = tail.thread(of.place);
            let base = tail.base_of(of.place);
            let at_most = if base > 0 { Some(base) } else { None };
            let last = thread.and_then(super::thread::Thread::last).or(tail.head(of.place));
            let newest = thread.into_iter().flat_map(|thread| thread.older(through + 1));
            let mut messages: Vec<_> = newest.take(of.messages as usize).collect();
            fit(&mut messages, &mut { RANGE_BYTES / request.places.len().max(1) });
            messages.reverse();
            let conversation = of.place.conversation();
            let messages = messages.into_iter().zip(std::iter::repeat(conversation));
            let messages = messages.filter_map(|(m, of)| Some(shown(m, of?, view.stream)));
            let last = last.or(at_most);
            let (read_id, unread) = view.standings.recall(tail, request.user, *of);
            Summary {
                last_id: last.map(|seq| EntryId::new(seq, view.stream)),
                read_id,
                unread,
                messages: messages.collect(),
            }
        });
        SummariesReply { through, summaries: summaries.collect() }
    })
}

/// Deleted messages for which the store is asked for more of the newest than needed, at most.
const SLACK: usize = 500;

fn query(tail: &Tail, of: SummaryOf, conversation: ConversationId, upto: u64) -> StandingQuery {
    let thread = tail.thread(of.place);
    let deleted: Vec<u64> = thread.into_iter().flat_map(|t| t.deleted_below(u64::MAX)).collect();
    let slack = u32::try_from(deleted.len().min(SLACK)).unwrap_or(0);
    StandingQuery {
        conversation,
        since: of.since,
        upto,
        last: last_in(tail, of, upto),
        deleted,
        messages: if of.messages == 0 { 0 } else { of.messages + slack },
    }
}

fn last_in(tail: &Tail, of: SummaryOf, upto: u64) -> Option<u64> {
    let entries = tail.thread(of.place).into_iter().flat_map(|thread| thread.after(0).rev());
    let newest = entries.map(|entry| entry.id.sequence()).find(|seq| *seq <= upto);
    newest.or(tail.head(of.place).filter(|seq| *seq <= upto))
}

struct Asked {
    user: UserId,
    through: u64,
    budget: usize,
    stream: StreamIndex,
}

impl Asked {
    fn summary(
        &self,
        tail: &Tail,
        of: SummaryOf,
        conversation: ConversationId,
        row: &Standing,
    ) -> Summary {
        let last = last_in(tail, of, self.through).max(row.last);
        let read_id = row.marker.unwrap_or(EntryId::ZERO).max(of.since);
        let read = after(read_id, self.stream);
        let unread = match last {
            Some(last) if last > read => self.unread(tail, of, read, row),
            _ => 0,
        };
        Summary {
            last_id: last.map(|seq| EntryId::new(seq, self.stream)),
            read_id: (read_id > EntryId::ZERO).then_some(read_id),
            unread,
            messages: self.messages(tail, of, conversation, row),
        }
    }

    fn unread(&self, tail: &Tail, of: SummaryOf, read: u64, row: &Standing) -> u32 {
        let thread = tail.thread(of.place);
        let deleted = |seq: u64| thread.is_some_and(|thread| thread.deleted(seq));
        let stored = row.unread.iter().filter(|seq| **seq <= tail.base() && !deleted(**seq));
        let from = read.max(tail.base()) + 1;
        let above = thread.into_iter().flat_map(|thread| thread.newer(from));
        let above = above.take_while(|m| m.seq <= self.through).filter(|m| m.author != self.user);
        let all = stored.map(|_| ()).chain(above.map(|_| ()));
        u32::try_from(all.take(UNREAD_MAX as usize).count()).unwrap_or(UNREAD_MAX)
    }

    fn messages(
        &self,
        tail: &Tail,
        of: SummaryOf,
        conversation: ConversationId,
        row: &Standing,
    ) -> Vec<bus_schema::events::Message> {
        let thread = tail.thread(of.place);
        let above = thread.into_iter().flat_map(|thread| thread.older(self.through + 1));
        let stored = row.messages.iter().filter(|m| m.seq <= tail.base());
        let stored = stored.cloned().filter_map(|m| changed(thread, m));
        let mut found: Vec<_> = above.chain(stored).take(of.messages as usize).collect();
        fit(&mut found, &mut self.budget.clone());
        found.reverse();
        found.into_iter().map(|m| shown(m, conversation, self.stream)).collect()
    }
}
