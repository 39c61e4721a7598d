//! Where a conversation stands for a user: marker, newest entry, unread, newest messages.
//!
//! Invariant: a conversation that is read to its end costs two look-ups, so that a user with
//! hundreds of idle ones is answered at once.

use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::limits::UNREAD_MAX;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::read::{below, shown};
use crate::store::StoreError;
use crate::store::embedded::{from_sql, to_sql};
use crate::store::history::{Standing, StandingQuery, after};

/// Reads one standing.
pub(super) fn standing(
    c: &Connection,
    stream: StreamIndex,
    user: UserId,
    query: &StandingQuery,
) -> Result<Standing, StoreError> {
    let marker = marker(c, user, query.conversation)?;
    let last = match query.last {
        Some(last) => Some(last),
        None => last_entry(c, query)?,
    };
    let read = after(marker.unwrap_or(EntryId::ZERO).max(query.since), stream);
    let unread = match last {
        Some(last) if last > read => unread(c, user, query, read)?,
        _ => Vec::new(),
    };
    let messages = match (query.messages, last) {
        (0, _) | (_, None) => Vec::new(),
        (wanted, Some(_)) => {
            let top = query.upto.saturating_add(1).min(u64::MAX >> 1);
            let mut rows = shown(c, query.conversation, &below(), top, wanted)?.rows;
            rows.retain(|m| query.deleted.binary_search(&m.seq).is_err());
            rows
        }
    };
    Ok(Standing { marker, last, unread, messages })
}

fn marker(
    c: &Connection,
    user: UserId,
    conversation: ConversationId,
) -> Result<Option<EntryId>, StoreError> {
    let entry: Option<i64> = c
        .prepare_cached("SELECT entry FROM read_markers WHERE user = ?1 AND conversation = ?2")?
        .query_row(params![to_sql(user.0), to_sql(conversation.0)], |row| row.get(0))
        .optional()?;
    Ok(entry.map(|n| EntryId(from_sql(n))))
}

fn last_entry(c: &Connection, query: &StandingQuery) -> Result<Option<u64>, StoreError> {
    let seq: Option<i64> = c
        .prepare_cached(
            "SELECT seq FROM entries WHERE conversation = ?1 AND seq <= ?2
             ORDER BY seq DESC LIMIT 1",
        )?
        .query_row(params![to_sql(query.conversation.0), to_sql(query.upto)], |row| row.get(0))
        .optional()?;
    Ok(seq.map(from_sql))
}

fn unread(
    c: &Connection,
    user: UserId,
    query: &StandingQuery,
    read: u64,
) -> Result<Vec<u64>, StoreError> {
    let mut statement = c.prepare_cached(
        "SELECT seq FROM messages INDEXED BY messages_shown
         WHERE deleted_seq IS NULL AND author IS NOT NULL AND conversation = ?1
           AND seq > ?2 AND seq <= ?3 AND author <> ?4 ORDER BY seq",
    )?;
    let mut rows = statement.query(params![
        to_sql(query.conversation.0),
        to_sql(read),
        to_sql(query.upto),
        to_sql(user.0),
    ])?;
    let mut found = Vec::new();
    while found.len() < UNREAD_MAX as usize
        && let Some(row) = rows.next()?
    {
        let seq = from_sql(row.get(0)?);
        if query.deleted.binary_search(&seq).is_err() {
            found.push(seq);
        }
    }
    Ok(found)
}
