//! Where conversations stand for a user: marker, newest entry, unread, newest messages.
//!
//! Invariant: a conversation that is read to its end costs one row at most, so that a user with
//! hundreds of idle ones is answered soon; all markers come in one read.

use bus_schema::ids::{EntryId, StreamIndex, UserId};
use bus_schema::limits::UNREAD_MAX;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream, try_join};

use super::connected::Connected;
use super::rows::{AuthorRow, Sequenced as _};
use super::scan::{LAST_SEQ, Scan, Take, Way, buckets, scan};
use super::{bucket_of, read};
use crate::store::StoreError;
use crate::store::history::{MessageRecord, Standing, StandingQuery, after};

/// Conversations looked at at once.
const AT_ONCE: usize = 32;
/// Messages looked at to count the unread ones of a conversation. One's own and deleted ones are
/// among them: where so many come in a row, fewer are counted than there are.
const UNREAD_ROWS: usize = 2_000;
/// Buckets looked into for that.
const UNREAD_BUCKETS: usize = 256;

/// Reads standings, in the order asked.
pub(super) async fn standings(
    c: &Connected,
    stream: StreamIndex,
    user: UserId,
    queries: Vec<StandingQuery>,
) -> Result<Vec<Standing>, StoreError> {
    let conversations: Vec<_> = queries.iter().map(|query| query.conversation).collect();
    let markers = read::markers(c, user, &conversations).await?;
    let mut standings = Vec::with_capacity(queries.len());
    for query in &queries {
        let marker = markers.get(&query.conversation).copied();
        standings.push(standing(c, stream, user, query, marker).boxed());
    }
    stream::iter(standings).buffered(AT_ONCE).try_collect().await
}

async fn standing(
    c: &Connected,
    stream: StreamIndex,
    user: UserId,
    query: &StandingQuery,
    marker: Option<EntryId>,
) -> Result<Standing, StoreError> {
    let last = match query.last {
        Some(last) => Some(last),
        None => last_entry(c, query).await?,
    };
    let Some(newest) = last else { return Ok(Standing { marker, ..Standing::default() }) };
    let read = after(marker.unwrap_or(EntryId::ZERO).max(query.since), stream);
    let unread =
        async { if newest > read { unread(c, user, query, read).await } else { Ok(Vec::new()) } };
    let (unread, messages) = try_join!(unread, messages(c, query))?;
    Ok(Standing { marker, last, unread, messages })
}

async fn last_entry(c: &Connected, query: &StandingQuery) -> Result<Option<u64>, StoreError> {
    let within = (0, bucket_of(query.upto.min(LAST_SEQ)));
    let newest = buckets(c, query.conversation, Way::Down, within, 1).await?;
    let Some(newest) = newest.first() else { return Ok(None) };
    match newest.last_seq().filter(|seq| *seq <= query.upto) {
        Some(seq) => Ok(Some(seq)),
        None => read::last_entry(c, query.conversation, query.upto).await,
    }
}

async fn unread(
    c: &Connected,
    user: UserId,
    query: &StandingQuery,
    read: u64,
) -> Result<Vec<u64>, StoreError> {
    let what = Scan {
        conversation: query.conversation,
        statement: &c.statements.authors_up,
        way: Way::Up,
        from: read.saturating_add(1),
        to: query.upto.min(LAST_SEQ),
        want: UNREAD_MAX as usize,
        rows: UNREAD_ROWS,
        buckets: UNREAD_BUCKETS,
    };
    let counts = |row: &AuthorRow| {
        let others = row.author().is_some_and(|author| author != user);
        others && !row.deleted() && query.deleted.binary_search(&row.seq()).is_err()
    };
    let found = scan(c, what, |row: AuthorRow| {
        Ok(if counts(&row) { Take::Row(row.seq()) } else { Take::Pass })
    });
    Ok(found.await?.rows)
}

async fn messages(c: &Connected, query: &StandingQuery) -> Result<Vec<MessageRecord>, StoreError> {
    if query.messages == 0 {
        return Ok(Vec::new());
    }
    let from = query.upto.min(LAST_SEQ);
    let found = read::shown(c, query.conversation, Way::Down, from, query.messages).await?;
    let mut rows = found.rows;
    rows.retain(|message| query.deleted.binary_search(&message.seq).is_err());
    Ok(rows)
}
