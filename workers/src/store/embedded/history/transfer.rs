//! Entries, markers and floors, whole; and what follows from entries, to be compared.
//!
//! Invariant: entries are written as the persister writes them, which also makes messages and
//! membership: both are functions of the entries that are kept. A deleted message's entry is kept
//! without its content, but so is the entry that deleted it, and with both comes the same row.

use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::text::Nonce;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction};

use super::rows::{corrupt, kind_from_sql, time};
use super::write;
use crate::store::StoreError;
use crate::store::embedded::transfer::{page, start};
use crate::store::embedded::{from_sql, to_sql};
use crate::store::history::EditRecord;
use crate::store::transfer::{
    BUCKET, BucketCopy, Cursor, EntryCopy, MarkerCopy, MembershipCopy, MessageCopy, Page, Record,
    Table, misplaced,
};

/// Entries are written without a stream; ids that are read again name the one that was asked.
const ANY_STREAM: StreamIndex = StreamIndex(0);

/// Records of one of these tables.
pub(in crate::store::embedded) fn export(
    c: &Connection,
    table: Table,
    from: Option<&Cursor>,
    most: usize,
) -> Result<Page, StoreError> {
    let (sql, record): (_, fn(&Row<'_>) -> _) = match table {
        Table::Entries => (
            "SELECT conversation, seq, at, kind, payload FROM entries
             WHERE (conversation, seq) >= (?1, ?2) ORDER BY conversation, seq",
            entry,
        ),
        Table::Messages => (
            "SELECT conversation, seq, at, author, nonce, content, edit_seq, edited_at, deleted_seq
             FROM messages WHERE (conversation, seq) >= (?1, ?2) ORDER BY conversation, seq",
            message,
        ),
        Table::Membership => (
            "SELECT conversation, seq, kind, user, revision FROM membership
             WHERE (conversation, seq) >= (?1, ?2) ORDER BY conversation, seq",
            membership,
        ),
        Table::Markers => (
            "SELECT user, conversation, entry FROM read_markers
             WHERE (user, conversation) >= (?1, ?2) ORDER BY user, conversation",
            marker,
        ),
        // A floor of 0 says no more than none.
        Table::Floors => (
            "SELECT stream, seq FROM floors WHERE (stream, 0) >= (?1, ?2) AND seq <> 0
             ORDER BY stream",
            floor,
        ),
        Table::Buckets => return buckets(c, from, most),
        _ => return Err(misplaced(table)),
    };
    let (first, second): (i64, i64) = start(from, (i64::MIN, i64::MIN))?;
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query([first, second])?;
    let floors = table == Table::Floors;
    let key = |row: &Row<'_>| Ok((row.get(0)?, if floors { 0i64 } else { row.get(1)? }));
    page::<(i64, i64)>(rows, most, key, record)
}

/// Finds where each bucket begins and ends without reading what is between.
fn buckets(c: &Connection, from: Option<&Cursor>, most: usize) -> Result<Page, StoreError> {
    let sql = "SELECT conversation, seq, at FROM entries
               WHERE (conversation, seq) >= (?1, ?2) ORDER BY conversation, seq LIMIT 1";
    let mut first = c.prepare_cached(sql)?;
    let sql = "SELECT max(seq) FROM entries WHERE conversation = ?1 AND seq < ?2";
    let mut last = c.prepare_cached(sql)?;
    let (mut conversation, mut seq): (i64, i64) = start(from, (i64::MIN, i64::MIN))?;
    let mut page = Page::default();
    let read = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, number(row, 1)?, row.get(2)?));
    while let Some((at, begin, time_ms)) = first.query_row([conversation, seq], read).optional()? {
        if page.records.len() >= most {
            page.next = Some(Cursor::new(&(at, to_sql(begin)))?);
            break;
        }
        let bucket = begin / BUCKET;
        (conversation, seq) = (at, to_sql((bucket + 1) * BUCKET));
        page.records.push(Record::Bucket(BucketCopy {
            conversation: ConversationId(from_sql(at)),
            bucket,
            first_at: time(time_ms),
            last_seq: last.query_row([conversation, seq], |row| number(row, 0))?,
        }));
    }
    Ok(page)
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(from_sql)
}

fn optional(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(from_sql))
}

fn entry(row: &Row<'_>) -> Result<Record, StoreError> {
    Ok(Record::Entry(EntryCopy {
        conversation: ConversationId(number(row, 0)?),
        seq: number(row, 1)?,
        at: time(row.get(2)?),
        kind: kind_from_sql(row.get(3)?)?,
        payload: row.get(4)?,
    }))
}

fn message(row: &Row<'_>) -> Result<Record, StoreError> {
    let at: Option<i64> = row.get(2)?;
    let nonce: Option<String> = row.get(4)?;
    let edit = match (optional(row, 6)?, row.get::<_, Option<i64>>(7)?) {
        (Some(seq), Some(at)) => Some(EditRecord { seq, at: time(at) }),
        (None, None) => None,
        _ => return Err(corrupt("half an edit")),
    };
    Ok(Record::Message(Box::new(MessageCopy {
        conversation: ConversationId(number(row, 0)?),
        seq: number(row, 1)?,
        at: at.map(time),
        author: optional(row, 3)?.map(UserId),
        nonce: nonce.map(|text| Nonce::parse(&text)).transpose().map_err(|_| corrupt("a nonce"))?,
        content: row.get(5)?,
        edit,
        deleted: optional(row, 8)?,
    })))
}

fn membership(row: &Row<'_>) -> Result<Record, StoreError> {
    Ok(Record::Membership(MembershipCopy {
        conversation: ConversationId(number(row, 0)?),
        seq: number(row, 1)?,
        kind: kind_from_sql(row.get(2)?)?,
        user: UserId(number(row, 3)?),
        revision: number(row, 4)?,
    }))
}

fn marker(row: &Row<'_>) -> Result<Record, StoreError> {
    Ok(Record::Marker(MarkerCopy {
        user: UserId(number(row, 0)?),
        conversation: ConversationId(number(row, 1)?),
        entry: EntryId(number(row, 2)?),
    }))
}

fn floor(row: &Row<'_>) -> Result<Record, StoreError> {
    Ok(Record::Floor(StreamIndex(row.get(0)?), number(row, 1)?))
}

/// Writes records of one of these tables.
pub(in crate::store::embedded) fn import(
    tx: &Transaction<'_>,
    table: Table,
    records: &[Record],
) -> Result<(), StoreError> {
    for record in records {
        match (table, record) {
            (Table::Entries, Record::Entry(copy)) => write::entry(tx, &copy.entry(ANY_STREAM)?)?,
            (Table::Markers, Record::Marker(copy)) => put_marker(tx, copy)?,
            (Table::Floors, Record::Floor(stream, seq)) => write::floor(tx, *stream, *seq)?,
            _ => return Err(misplaced(table)),
        }
    }
    Ok(())
}

fn put_marker(tx: &Transaction<'_>, copy: &MarkerCopy) -> Result<(), StoreError> {
    write::marker(tx, copy.user, copy.conversation, copy.entry).map(drop)
}
