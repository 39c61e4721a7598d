//! Rows to records.
//!
//! Invariant: what does not pass the rules of its type is `Corrupt`, never guessed at. A row without
//! author or kind is of an entry that has not come yet: nobody's.

use bus_schema::entry::EntryKind;
use bus_schema::ids::{EntryId, StreamIndex, UserId};
use bus_schema::ops::history::StoredEntry;
use bus_schema::text::{Content, Nonce};
use bus_schema::timestamp::Timestamp;
use bus_schema::verdict::MembershipEvent;
use scylla::DeserializeRow;
use serde_json::value::RawValue;

use crate::store::StoreError;
use crate::store::cluster::cassandra::corrupt;
use crate::store::history::{EditRecord, MessageRecord, kind_numbered};

/// A row of a bucket.
pub(super) trait Sequenced {
    /// Its stream sequence.
    fn seq(&self) -> u64;
}

macro_rules! sequenced {
    ($($row:ident),*) => {$(
        impl Sequenced for $row {
            fn seq(&self) -> u64 {
                self.seq.cast_unsigned()
            }
        }
    )*};
}

sequenced!(EntryRow, MessageRow, AuthorRow);

/// An entry as the log had it.
#[derive(DeserializeRow)]
pub(super) struct EntryRow {
    seq: i64,
    at: Option<i64>,
    kind: Option<i8>,
    payload: Option<String>,
    emptied: Option<String>,
}

impl EntryRow {
    pub(super) fn entry(self) -> Result<Option<StoredEntry>, StoreError> {
        let (Some(at), Some(number), Some(payload)) = (self.at, self.kind, self.payload) else {
            return Ok(None);
        };
        let payload = if payload.is_empty() { self.emptied.unwrap_or_default() } else { payload };
        Ok(Some(StoredEntry {
            seq: self.seq.cast_unsigned(),
            at: time(at),
            t: kind(number)?,
            d: RawValue::from_string(payload).map_err(corrupt)?,
        }))
    }
}

/// A message in its final state, deleted or not.
#[derive(DeserializeRow)]
pub(super) struct MessageRow {
    seq: i64,
    at: Option<i64>,
    author: Option<i64>,
    nonce: Option<String>,
    content: Option<String>,
    edited_at: Option<i64>,
    edit_seq: Option<i64>,
    deleted_seq: Option<i64>,
}

impl MessageRow {
    /// The message, if it is to be shown.
    pub(super) fn shown(self) -> Result<Option<MessageRecord>, StoreError> {
        let (Some(at), Some(author), None) = (self.at, self.author, self.deleted_seq) else {
            return Ok(None);
        };
        let bad = |_| corrupt(format!("the message at {} breaks the rules", self.seq));
        let edit = self.edited_at.zip(self.edit_seq);
        Ok(Some(MessageRecord {
            seq: self.seq.cast_unsigned(),
            at: time(at),
            author: UserId(author.cast_unsigned()),
            nonce: self.nonce.map(|text| Nonce::parse(&text)).transpose().map_err(bad)?,
            content: Content::parse(&self.content.unwrap_or_default()).map_err(bad)?,
            edit: edit.map(|(at, seq)| EditRecord { seq: seq.cast_unsigned(), at: time(at) }),
        }))
    }
}

/// Who wrote a message, when, and what deleted it.
#[derive(DeserializeRow)]
pub(super) struct AuthorRow {
    seq: i64,
    pub(super) at: Option<i64>,
    author: Option<i64>,
    deleted_seq: Option<i64>,
}

impl AuthorRow {
    /// The author, once the message itself has come.
    pub(super) fn author(&self) -> Option<UserId> {
        self.author.map(|author| UserId(author.cast_unsigned()))
    }

    pub(super) const fn deleted(&self) -> bool {
        self.deleted_seq.is_some()
    }
}

/// One bucket of a conversation.
#[derive(DeserializeRow)]
pub(super) struct BucketRow {
    bucket: i64,
    pub(super) first_at: Option<i64>,
    last_seq: Option<i64>,
}

impl BucketRow {
    pub(super) const fn bucket(&self) -> u64 {
        self.bucket.cast_unsigned()
    }

    pub(super) fn last_seq(&self) -> Option<u64> {
        self.last_seq.map(i64::cast_unsigned)
    }
}

/// A membership event.
pub(super) fn event(
    (seq, number, user, revision): (i64, i8, i64, i64),
    stream: StreamIndex,
) -> Result<MembershipEvent, StoreError> {
    Ok(MembershipEvent {
        id: EntryId::new(seq.cast_unsigned(), stream),
        kind: kind(number)?,
        user: UserId(user.cast_unsigned()),
        revision: revision.cast_unsigned(),
    })
}

fn kind(number: i8) -> Result<EntryKind, StoreError> {
    kind_numbered(number.into()).ok_or_else(|| corrupt(format!("kind {number}")))
}

const fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms.cast_unsigned())
}
