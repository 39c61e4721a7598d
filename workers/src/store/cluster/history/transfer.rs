//! Entries, markers and floors, whole; and what follows from entries, to be compared.
//!
//! Invariants: tables are read partition by partition, in the order of the servers' tokens, which
//! is the same as long as nobody writes; a cursor is the servers' own word for a place in it. What is
//! written is written as the persister writes it, with the same time stamps, so that it goes on
//! from there as if it had been here always.

use bus_schema::entry::Entry;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::text::Nonce;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use scylla::deserialize::row::DeserializeRow;

use super::connected::Connected;
use super::rows::{kind, time};
use super::{BUCKET, CassandraHistory, write};
use crate::store::StoreError;
use crate::store::cluster::cassandra::corrupt;
use crate::store::history::EditRecord;
use crate::store::transfer::{
    self, BucketCopy, Cursor, EntryCopy, MarkerCopy, MembershipCopy, MessageCopy, Page, Record,
    Table, misplaced,
};

/// Rows name no stream; ids that are read again name the one that was asked.
const ANY_STREAM: StreamIndex = StreamIndex(0);

const _: () = assert!(BUCKET == transfer::BUCKET, "every store cuts conversations alike");

impl CassandraHistory {
    /// Records of one of these tables.
    pub(in crate::store::cluster) async fn export(
        &self,
        table: Table,
        from: Option<Cursor>,
        most: usize,
    ) -> Result<Page, StoreError> {
        let c = self.link.get().await?;
        let read = Read { c: &c, keyspace: self.settings.keyspace()?, from, most };
        match table {
            Table::Entries => {
                let columns = "conversation, seq, at, kind, payload, emptied";
                read.page("log_entries", columns, entry).await
            }
            Table::Messages => {
                let columns = "conversation, seq, at, author, nonce, content, edited_at, edit_seq,
                    deleted_seq";
                read.page("messages", columns, message).await
            }
            Table::Membership => {
                let columns = "conversation, seq, kind, user, revision";
                read.page("membership", columns, membership).await
            }
            Table::Buckets => {
                read.page("buckets", "conversation, bucket, first_at, last_seq", bucket).await
            }
            Table::Markers => read.page("read_markers", "user, conversation, entry", marker).await,
            Table::Floors => read.page("floors", "stream, seq", floor).await,
            _ => Err(misplaced(table)),
        }
    }

    /// Writes records of one of these tables.
    pub(in crate::store::cluster) async fn import(
        &self,
        table: Table,
        records: &[Record],
    ) -> Result<(), StoreError> {
        let c = self.link.get().await?;
        if table == Table::Entries {
            let entries = records.iter().map(|record| match record {
                Record::Entry(copy) => copy.entry(ANY_STREAM),
                _ => Err(misplaced(table)),
            });
            let entries = entries.collect::<Result<Vec<Entry>, _>>()?;
            return write::entries(&c, &entries).await;
        }
        let writes = records.iter().map(|record| write_one(&c, table, record).boxed());
        let writes: Vec<_> = writes.collect();
        stream::iter(writes).buffer_unordered(c.writes_at_once).try_collect().await
    }

    /// Keeps in mind that a copy into this store is not finished, or is.
    pub(in crate::store::cluster) async fn set_unfinished(
        &self,
        unfinished: bool,
    ) -> Result<(), StoreError> {
        let c = self.link.get().await?;
        c.set_unfinished(self.settings.keyspace()?, unfinished).await
    }
}

async fn write_one(c: &Connected, table: Table, record: &Record) -> Result<(), StoreError> {
    match (table, record) {
        (Table::Markers, Record::Marker(copy)) => {
            let MarkerCopy { user, conversation, entry } = copy;
            write::marker(c, *user, *conversation, *entry).await.map(drop)
        }
        (Table::Floors, Record::Floor(stream, seq)) => write::floor(c, *stream, *seq).await,
        _ => Err(misplaced(table)),
    }
}

/// What to read of a table.
struct Read<'a> {
    c: &'a Connected,
    keyspace: &'a str,
    from: Option<Cursor>,
    most: usize,
}

impl Read<'_> {
    /// Rows that are records; those that are not yet any are passed over.
    async fn page<R>(
        self,
        table: &str,
        columns: &str,
        record: fn(R) -> Result<Option<Record>, StoreError>,
    ) -> Result<Page, StoreError>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let cql = format!("SELECT {columns} FROM {}.{table}", self.keyspace);
        let mut state: Option<Vec<u8>> = self.from.as_ref().map(Cursor::at).transpose()?;
        loop {
            let (rows, next) = self.c.page_of_all::<R>(&cql, state, self.most).await?;
            let records = rows.into_iter().filter_map(|row| record(row).transpose());
            let records = records.collect::<Result<Vec<_>, _>>()?;
            if next.is_none() || !records.is_empty() {
                let next = next.map(|state| Cursor::new(&state)).transpose()?;
                return Ok(Page { records, next });
            }
            state = next;
        }
    }
}

const fn conversation(number: i64) -> ConversationId {
    ConversationId(number.cast_unsigned())
}

type EntryColumns = (i64, i64, Option<i64>, Option<i8>, Option<String>, Option<String>);

fn entry(
    (place, seq, at, number, payload, emptied): EntryColumns,
) -> Result<Option<Record>, StoreError> {
    let (Some(at), Some(number), Some(payload)) = (at, number, payload) else { return Ok(None) };
    let payload = if payload.is_empty() { emptied.unwrap_or_default() } else { payload };
    Ok(Some(Record::Entry(EntryCopy {
        conversation: conversation(place),
        seq: seq.cast_unsigned(),
        at: time(at),
        kind: kind(number)?,
        payload,
    })))
}

type MessageColumns = (
    i64,
    i64,
    Option<i64>,
    Option<i64>,
    Option<String>,
    Option<String>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

fn message(
    (place, seq, at, author, nonce, content, edited_at, edit_seq, deleted): MessageColumns,
) -> Result<Option<Record>, StoreError> {
    let nonce = nonce.map(|text| Nonce::parse(&text)).transpose();
    let edit = edited_at.zip(edit_seq);
    Ok(Some(Record::Message(Box::new(MessageCopy {
        conversation: conversation(place),
        seq: seq.cast_unsigned(),
        at: at.map(time),
        author: author.map(|author| UserId(author.cast_unsigned())),
        nonce: nonce.map_err(|_| corrupt(format!("the nonce of the message at {seq}")))?,
        content: content.unwrap_or_default(),
        edit: edit.map(|(at, seq)| EditRecord { seq: seq.cast_unsigned(), at: time(at) }),
        deleted: deleted.map(i64::cast_unsigned),
    }))))
}

fn membership(
    (place, seq, number, user, revision): (i64, i64, i8, i64, i64),
) -> Result<Option<Record>, StoreError> {
    Ok(Some(Record::Membership(MembershipCopy {
        conversation: conversation(place),
        seq: seq.cast_unsigned(),
        kind: kind(number)?,
        user: UserId(user.cast_unsigned()),
        revision: revision.cast_unsigned(),
    })))
}

#[expect(clippy::unnecessary_wraps, reason = "as all that make records of rows")]
fn bucket(
    (place, bucket, first_at, last_seq): (i64, i64, Option<i64>, Option<i64>),
) -> Result<Option<Record>, StoreError> {
    Ok(first_at.zip(last_seq).map(|(first_at, last_seq)| {
        Record::Bucket(BucketCopy {
            conversation: conversation(place),
            bucket: bucket.cast_unsigned(),
            first_at: time(first_at),
            last_seq: last_seq.cast_unsigned(),
        })
    }))
}

#[expect(clippy::unnecessary_wraps, reason = "as all that make records of rows")]
fn marker((user, place, entry): (i64, i64, i64)) -> Result<Option<Record>, StoreError> {
    Ok(Some(Record::Marker(MarkerCopy {
        user: UserId(user.cast_unsigned()),
        conversation: conversation(place),
        entry: EntryId(entry.cast_unsigned()),
    })))
}

fn floor((stream, seq): (i32, i64)) -> Result<Option<Record>, StoreError> {
    let stream = u16::try_from(stream).map_err(corrupt)?;
    Ok((seq != 0).then_some(Record::Floor(StreamIndex(stream), seq.cast_unsigned())))
}
