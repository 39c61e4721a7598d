//! Floors, markers, precedents, ranges of entries and pages of messages.

use std::collections::{BTreeMap, HashMap};

use bus_schema::entry::EntryKind;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::verdict::MembershipEvent;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream, try_join};

use super::connected::Connected;
use super::rows::{AuthorRow, EntryRow, MessageRow, Sequenced as _, event};
use super::scan::{Found, LAST_SEQ, Scan, Take, Way, scan};
use super::{bucket_of, time};
use crate::store::StoreError;
use crate::store::history::{
    Anchor, MessageRecord, PageQuery, PageRows, Precedents, PrecedentsQuery, RangeQuery, RangeRows,
    Rows, TargetRecord,
};

/// Questions of one request that are asked at once.
const AT_ONCE: usize = 32;
/// Targets looked up by one read.
const TARGETS: usize = 100;
/// Buckets that one side of a page looks into: some hold no message.
const PAGE_BUCKETS: usize = 64;
/// Rows read for one row of a page at most: deleted messages are rows too.
const ROWS_PER_ROW: usize = 3;
/// Rows that the smallest page may read.
const PAGE_ROWS_MIN: usize = 16;
/// Markers that are read one by one; beyond, all of the user.
const MARKERS_ONE_BY_ONE: usize = 16;

/// How far a stream is held.
pub(super) async fn floor(c: &Connected, stream: StreamIndex) -> Result<u64, StoreError> {
    let rows = c.rows::<(Option<i64>,)>(&c.statements.floor, (i32::from(stream.0),)).await?;
    let seq = rows.into_iter().next().and_then(|(seq,)| seq);
    Ok(seq.map_or(0, i64::cast_unsigned))
}

/// A user's markers in some conversations.
pub(super) async fn markers(
    c: &Connected,
    user: UserId,
    conversations: &[ConversationId],
) -> Result<HashMap<ConversationId, EntryId>, StoreError> {
    let user = user.0.cast_signed();
    let rows: Vec<(i64, i64)> = if conversations.len() <= MARKERS_ONE_BY_ONE {
        let of: Vec<i64> = conversations.iter().map(|c| c.0.cast_signed()).collect();
        c.rows(&c.statements.markers_of, (user, of)).await?
    } else {
        c.paged(&c.statements.markers, (user,)).await?
    };
    let pair = |(conversation, entry): (i64, i64)| {
        (ConversationId(conversation.cast_unsigned()), EntryId(entry.cast_unsigned()))
    };
    Ok(rows.into_iter().map(pair).collect())
}

/// What is needed to judge, in the order asked.
pub(super) async fn precedents(
    c: &Connected,
    stream: StreamIndex,
    queries: Vec<PrecedentsQuery>,
) -> Result<Vec<Precedents>, StoreError> {
    let asked: Vec<_> = queries.into_iter().map(|query| asked(c, stream, query).boxed()).collect();
    stream::iter(asked).buffered(AT_ONCE).try_collect().await
}

async fn asked(
    c: &Connected,
    stream: StreamIndex,
    query: PrecedentsQuery,
) -> Result<Precedents, StoreError> {
    let events = events(c, stream, query.conversation, query.events);
    let targets = targets(c, query.conversation, &query.targets);
    let (events, targets) = try_join!(events, targets)?;
    Ok(Precedents { events, targets })
}

/// A conversation's membership events, if they are wanted.
async fn events(
    c: &Connected,
    stream: StreamIndex,
    conversation: ConversationId,
    wanted: bool,
) -> Result<Vec<MembershipEvent>, StoreError> {
    if !wanted {
        return Ok(Vec::new());
    }
    let rows = c.paged(&c.statements.events, (conversation.0.cast_signed(),)).await?;
    rows.into_iter().map(|row| event(row, stream)).collect()
}

/// Those of the targets that are messages, in the order asked.
async fn targets(
    c: &Connected,
    conversation: ConversationId,
    wanted: &[u64],
) -> Result<Vec<TargetRecord>, StoreError> {
    let mut buckets: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for seq in wanted {
        buckets.entry(bucket_of(*seq)).or_default().push(seq.cast_signed());
    }
    let id = conversation.0.cast_signed();
    let mut reads = Vec::new();
    for (bucket, seqs) in &buckets {
        for seqs in seqs.chunks(TARGETS) {
            let values = (id, bucket.cast_signed(), seqs);
            let read = c.rows::<(i64, Option<i64>, Option<i64>)>(&c.statements.targets, values);
            reads.push(read.boxed());
        }
    }
    let found: Vec<_> = stream::iter(reads).buffer_unordered(AT_ONCE).try_collect().await?;
    let known: HashMap<u64, TargetRecord> = found
        .into_iter()
        .flatten()
        .filter_map(|(seq, author, deleted)| {
            let (seq, deleted) = (seq.cast_unsigned(), deleted.map(i64::cast_unsigned));
            let author = UserId(author?.cast_unsigned());
            Some((seq, TargetRecord { seq, author, deleted }))
        })
        .collect();
    Ok(wanted.iter().filter_map(|seq| known.get(seq).copied()).collect())
}

/// Entries as the log had them.
pub(super) async fn range(
    c: &Connected,
    stream: StreamIndex,
    query: RangeQuery,
) -> Result<RangeRows, StoreError> {
    let limit = query.limit as usize;
    let (way, statement, from, to) = match query.after {
        Some(after) => (Way::Up, &c.statements.entries_up, after.saturating_add(1), LAST_SEQ),
        None => (Way::Down, &c.statements.entries_down, query.upto.min(LAST_SEQ), 0),
    };
    let what = Scan {
        conversation: query.conversation,
        statement,
        way,
        from,
        to,
        // One more, to see whether there are more.
        want: limit + 1,
        rows: usize::MAX,
        buckets: usize::MAX,
    };
    let mut bytes = 0;
    let mut given = 0;
    let mut more = false;
    let entries = scan(c, what, |row: EntryRow| {
        let Some(entry) = row.entry()? else { return Ok(Take::Pass) };
        bytes += entry.d.get().len();
        if given >= limit || (bytes > query.bytes && given > 0) {
            more = true;
            return Ok(Take::End);
        }
        given += 1;
        Ok(Take::Row(entry))
    });
    let events = events(c, stream, query.conversation, query.events);
    let (entries, events) = try_join!(entries, events)?;
    let stop = entries.rows.last().map(|entry| entry.seq).filter(|_| more);
    Ok(RangeRows { entries: Rows { rows: entries.rows, more, stop }, events })
}

/// Messages around an anchor.
pub(super) async fn page(c: &Connected, query: PageQuery) -> Result<PageRows, StoreError> {
    let anchor = match query.anchor {
        Anchor::Seq(seq) => Some(seq),
        Anchor::At(at) => time::first_at(c, query.conversation, at).await?,
    };
    // A sequence that no stream reaches stands for "after all".
    let at = anchor.unwrap_or(LAST_SEQ).min(LAST_SEQ);
    let older = async {
        match at.checked_sub(1) {
            Some(from) => shown(c, query.conversation, Way::Down, from, query.older).await,
            None => Ok(Rows::default()),
        }
    };
    let newer = shown(c, query.conversation, Way::Up, at, query.newer);
    let (older, newer) = try_join!(older, newer)?;
    Ok(PageRows { anchor, older, newer })
}

/// Shown messages from a sequence on.
pub(super) async fn shown(
    c: &Connected,
    conversation: ConversationId,
    way: Way,
    from: u64,
    limit: u32,
) -> Result<Rows<MessageRecord>, StoreError> {
    if limit == 0 {
        return Ok(Rows::default());
    }
    let limit = limit as usize;
    let (statement, to) = match way {
        Way::Up => (&c.statements.messages_up, LAST_SEQ),
        Way::Down => (&c.statements.messages_down, 0),
    };
    let what = Scan {
        conversation,
        statement,
        way,
        from,
        to,
        want: limit + 1,
        rows: (limit * ROWS_PER_ROW).max(PAGE_ROWS_MIN),
        buckets: PAGE_BUCKETS,
    };
    let found = scan(c, what, |row: MessageRow| Ok(row.shown()?.map_or(Take::Pass, Take::Row)));
    let Found { mut rows, mut stop } = found.await?;
    if rows.len() > limit {
        rows.truncate(limit);
        stop = rows.last().map(|message| message.seq);
    }
    Ok(Rows { more: stop.is_some(), rows, stop })
}

/// The first message, deleted or not, at or above a sequence.
pub(super) async fn first_message(
    c: &Connected,
    conversation: ConversationId,
    from: u64,
) -> Result<Option<u64>, StoreError> {
    let what = Scan {
        conversation,
        statement: &c.statements.authors_up,
        way: Way::Up,
        from,
        to: LAST_SEQ,
        want: 1,
        rows: usize::MAX,
        buckets: usize::MAX,
    };
    let found = scan(c, what, |row: AuthorRow| {
        Ok(row.author().map_or(Take::Pass, |_| Take::Row(row.seq())))
    });
    Ok(found.await?.rows.into_iter().next())
}

/// The newest entry at or below a sequence.
pub(super) async fn last_entry(
    c: &Connected,
    conversation: ConversationId,
    upto: u64,
) -> Result<Option<u64>, StoreError> {
    let what = Scan {
        conversation,
        statement: &c.statements.entries_down,
        way: Way::Down,
        from: upto.min(LAST_SEQ),
        to: 0,
        want: 1,
        rows: usize::MAX,
        buckets: usize::MAX,
    };
    let found = scan(c, what, |row: EntryRow| {
        Ok(row.entry()?.map_or(Take::Pass, |entry| Take::Row((entry.seq, entry.t))))
    });
    let newest: Option<(u64, EntryKind)> = found.await?.rows.into_iter().next();
    Ok(newest.map(|(seq, _)| seq))
}
