//! Rows to records and back.
//!
//! Invariant: what does not pass the rules of its type is `Corrupt`, never guessed at.

use bus_schema::entry::EntryKind;
use bus_schema::ids::UserId;
use bus_schema::text::{Content, Nonce};
use bus_schema::timestamp::Timestamp;
use rusqlite::Row;

use crate::store::embedded::from_sql;
use crate::store::history::{EditRecord, MessageRecord, kind_number, kind_numbered};
use crate::store::{StoreError, StoreErrorKind};

/// The number a kind is stored as.
pub(super) fn kind_to_sql(kind: EntryKind) -> i64 {
    kind_number(kind).into()
}

/// The kind stored as `number`.
pub(super) fn kind_from_sql(number: i64) -> Result<EntryKind, StoreError> {
    kind_numbered(number).ok_or_else(|| corrupt(format!("kind {number}")))
}

pub(super) fn corrupt(what: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, what.into())
}

pub(super) fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis(from_sql(ms))
}

/// The columns [`message`] reads, in its order.
pub(super) const MESSAGE: &str = "seq, at, author, nonce, content, edited_at, edit_seq";

/// A shown message.
pub(super) fn message(row: &Row<'_>) -> Result<MessageRecord, StoreError> {
    let nonce: Option<String> = row.get(3)?;
    let content: String = row.get(4)?;
    let edited: (Option<i64>, Option<i64>) = (row.get(5)?, row.get(6)?);
    let bad = |_| corrupt("a message breaks the rules");
    Ok(MessageRecord {
        seq: from_sql(row.get(0)?),
        at: time(row.get(1)?),
        author: UserId(from_sql(row.get(2)?)),
        nonce: nonce.map(|text| Nonce::parse(&text)).transpose().map_err(bad)?,
        content: Content::parse(&content).map_err(bad)?,
        edit: match edited {
            (Some(at), Some(seq)) => Some(EditRecord { seq: from_sql(seq), at: time(at) }),
            _ => None,
        },
    })
}
