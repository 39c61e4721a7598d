//! Floors, precedents, ranges of entries and pages of messages.
//!
//! Invariant: each function reads in index order and stops at its bound.

use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::ops::history::StoredEntry;
use bus_schema::verdict::MembershipEvent;
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::value::RawValue;

use super::rows::{MESSAGE, corrupt, kind_from_sql, message, time};
use crate::store::StoreError;
use crate::store::embedded::{from_sql, to_sql};
use crate::store::history::{
    Anchor, MessageRecord, PageQuery, PageRows, Precedents, PrecedentsQuery, RangeQuery, RangeRows,
    Rows, TargetRecord,
};

/// How far a stream is held.
pub(super) fn floor(c: &Connection, stream: StreamIndex) -> Result<u64, StoreError> {
    let seq: Option<i64> = c
        .prepare_cached("SELECT seq FROM floors WHERE stream = ?1")?
        .query_row([stream.0], |row| row.get(0))
        .optional()?;
    Ok(seq.map_or(0, from_sql))
}

/// What is needed to judge entries of one conversation.
pub(super) fn precedents(
    c: &Connection,
    stream: StreamIndex,
    query: &PrecedentsQuery,
) -> Result<Precedents, StoreError> {
    let events = if query.events { events(c, stream, query.conversation)? } else { Vec::new() };
    let mut statement = c.prepare_cached(
        "SELECT author, deleted_seq FROM messages
         WHERE conversation = ?1 AND seq = ?2 AND author IS NOT NULL",
    )?;
    let mut targets = Vec::new();
    for seq in &query.targets {
        let found = statement.query_row(params![to_sql(query.conversation.0), to_sql(*seq)], |r| {
            Ok((r.get::<_, i64>(0)?, r.get::<_, Option<i64>>(1)?))
        });
        if let Some((author, deleted)) = found.optional()? {
            let (author, deleted) = (UserId(from_sql(author)), deleted.map(from_sql));
            targets.push(TargetRecord { seq: *seq, author, deleted });
        }
    }
    Ok(Precedents { events, targets })
}

fn events(
    c: &Connection,
    stream: StreamIndex,
    conversation: ConversationId,
) -> Result<Vec<MembershipEvent>, StoreError> {
    let mut statement = c.prepare_cached(
        "SELECT seq, kind, user, revision FROM membership WHERE conversation = ?1 ORDER BY seq",
    )?;
    let mut rows = statement.query([to_sql(conversation.0)])?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(MembershipEvent {
            id: EntryId::new(from_sql(row.get(0)?), stream),
            kind: kind_from_sql(row.get(1)?)?,
            user: UserId(from_sql(row.get(2)?)),
            revision: from_sql(row.get(3)?),
        });
    }
    Ok(events)
}

/// Entries as the log had them.
pub(super) fn range(
    c: &Connection,
    stream: StreamIndex,
    query: RangeQuery,
) -> Result<RangeRows, StoreError> {
    let (sql, from) = match query.after {
        Some(after) => (
            "SELECT seq, at, kind, payload FROM entries
             WHERE conversation = ?1 AND seq > ?2 ORDER BY seq LIMIT ?3",
            to_sql(after),
        ),
        None => (
            "SELECT seq, at, kind, payload FROM entries
             WHERE conversation = ?1 AND seq <= ?2 ORDER BY seq DESC LIMIT ?3",
            to_sql(query.upto),
        ),
    };
    let mut statement = c.prepare_cached(sql)?;
    let limit = i64::from(query.limit) + 1;
    let mut rows = statement.query(params![to_sql(query.conversation.0), from, limit])?;
    let mut entries = Rows::default();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let entry = entry(row)?;
        bytes += entry.d.get().len();
        let full = entries.rows.len() >= query.limit as usize;
        if full || (bytes > query.bytes && !entries.rows.is_empty()) {
            entries.more = true;
            entries.stop = entries.rows.last().map(|entry: &StoredEntry| entry.seq);
            break;
        }
        entries.rows.push(entry);
    }
    let events = if query.events { events(c, stream, query.conversation)? } else { Vec::new() };
    Ok(RangeRows { entries, events })
}

fn entry(row: &Row<'_>) -> Result<StoredEntry, StoreError> {
    Ok(StoredEntry {
        seq: from_sql(row.get(0)?),
        at: time(row.get(1)?),
        t: kind_from_sql(row.get(2)?)?,
        d: RawValue::from_string(row.get(3)?).map_err(|e| corrupt(e.to_string()))?,
    })
}

/// Messages around an anchor.
pub(super) fn page(c: &Connection, query: PageQuery) -> Result<PageRows, StoreError> {
    let anchor = match query.anchor {
        Anchor::Seq(seq) => Some(seq),
        Anchor::At(at) => first_at(c, query.conversation, to_sql(at.as_millis()))?,
    };
    // A sequence that no stream reaches stands for "after all".
    let at = anchor.unwrap_or(u64::MAX).min(u64::MAX >> 1);
    Ok(PageRows {
        anchor,
        older: shown(c, query.conversation, &below(), at, query.older)?,
        newer: shown(c, query.conversation, &from(), at, query.newer)?,
    })
}

fn first_at(
    c: &Connection,
    conversation: ConversationId,
    at: i64,
) -> Result<Option<u64>, StoreError> {
    let seq: Option<i64> = c
        .prepare_cached(
            "SELECT seq FROM messages INDEXED BY messages_by_time
             WHERE conversation = ?1 AND at >= ?2 AND author IS NOT NULL
             ORDER BY at, seq LIMIT 1",
        )?
        .query_row(params![to_sql(conversation.0), at], |row| row.get(0))
        .optional()?;
    Ok(seq.map(from_sql))
}

/// Shown messages below `?2`, descending.
pub(super) fn below() -> String {
    pages("seq < ?2 ORDER BY seq DESC")
}

/// Shown messages from `?2` on, ascending.
fn from() -> String {
    pages("seq >= ?2 ORDER BY seq")
}

fn pages(which: &str) -> String {
    format!(
        "SELECT {MESSAGE} FROM messages INDEXED BY messages_shown
         WHERE deleted_seq IS NULL AND author IS NOT NULL AND conversation = ?1 AND {which} LIMIT ?3"
    )
}

/// Reads what `sql`, one of the above, selects.
pub(super) fn shown(
    c: &Connection,
    conversation: ConversationId,
    sql: &str,
    at: u64,
    limit: u32,
) -> Result<Rows<MessageRecord>, StoreError> {
    let mut found = Rows::default();
    if limit == 0 {
        return Ok(found);
    }
    let mut statement = c.prepare_cached(sql)?;
    let bounds = params![to_sql(conversation.0), to_sql(at), i64::from(limit) + 1];
    let mut rows = statement.query(bounds)?;
    while let Some(row) = rows.next()? {
        if found.rows.len() >= limit as usize {
            found.more = true;
            found.stop = found.rows.last().map(|message| message.seq);
            break;
        }
        found.rows.push(message(row)?);
    }
    Ok(found)
}
