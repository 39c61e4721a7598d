//! Writing what the log said, and markers, without reading any of it.
//!
//! Invariants: a row's time stamp is the sequence of the entry it comes from, so of two writes to a
//! column the later entry's stays, whichever came last: the highest edit, and a deletion over all
//! before it. For the first entry of a bucket the time stamp falls as the sequence rises, so there
//! the lowest stays. Rows of one partition go together; a floor goes after all rows.

use std::collections::HashMap;

use bus_schema::entry::{Body, Entry, shown_deleted};
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::verdict::MembershipEvent;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use scylla::statement::batch::{Batch, BatchType};

use super::connected::Connected;
use super::row::{Row, number};
use super::{bucket_of, read};
use crate::store::StoreError;
use crate::store::cluster::cassandra::corrupt;
use crate::store::history::Marker;

/// Rows of one request at most,
const TOGETHER_ROWS: usize = 100;
/// and bytes, about. Far below what servers take: small requests spread better.
const TOGETHER_BYTES: usize = 64 * 1024;
/// A partition: of a bucket, or of a conversation as a whole.
type Partition = (ConversationId, Option<u64>);

/// Rows by partition.
#[derive(Default)]
struct Plan<'a>(HashMap<Partition, Vec<Row<'a>>>);

impl<'a> Plan<'a> {
    fn add(&mut self, conversation: ConversationId, bucket: Option<u64>, row: Row<'a>) {
        self.0.entry((conversation, bucket)).or_default().push(row);
    }

    fn of(entries: &'a [Entry]) -> Result<Self, StoreError> {
        let mut plan = Self::default();
        let mut spans: HashMap<(ConversationId, u64), (&Entry, &Entry)> = HashMap::new();
        for entry in entries {
            let (conversation, seq) = (entry.body.conversation(), entry.id.sequence());
            let bucket = bucket_of(seq);
            plan.add(conversation, Some(bucket), kept(entry)?);
            match &entry.body {
                Body::MessageCreate(message) => {
                    plan.add(conversation, Some(bucket), Row::Create(entry, message));
                }
                Body::MessageUpdate(edit) => {
                    let (target, content) = (edit.message_id.sequence(), edit.content.as_str());
                    let row = Row::Edit { entry, target, content };
                    plan.add(conversation, Some(bucket_of(target)), row);
                }
                Body::MessageDelete(deletion) => {
                    let (target, by) = (deletion.message_id.sequence(), seq);
                    let bucket = Some(bucket_of(target));
                    plan.add(conversation, bucket, Row::Delete { conversation, target, by });
                    plan.add(conversation, bucket, Row::EmptyEntry { conversation, target, by });
                }
                _ => {}
            }
            if let Some(event) = MembershipEvent::of(entry) {
                plan.add(conversation, None, Row::Member(conversation, event));
            }
            let (first, last) = spans.entry((conversation, bucket)).or_insert((entry, entry));
            if entry.id < first.id {
                *first = entry;
            }
            if entry.id > last.id {
                *last = entry;
            }
        }
        for ((conversation, _), (first, last)) in spans {
            let (seq, at) = (first.id.sequence(), first.at.as_millis());
            plan.add(conversation, None, Row::First { conversation, seq, at });
            plan.add(conversation, None, Row::Last { conversation, seq: last.id.sequence() });
        }
        Ok(plan)
    }

    /// Runs of rows of one partition, within the bounds of a request.
    fn requests(self) -> Vec<Vec<Row<'a>>> {
        let mut requests = Vec::new();
        for rows in self.0.into_values() {
            let mut together = Vec::new();
            let mut bytes = 0;
            for row in rows {
                bytes += row.bytes();
                if together.len() >= TOGETHER_ROWS
                    || (bytes > TOGETHER_BYTES && !together.is_empty())
                {
                    bytes = row.bytes();
                    requests.push(std::mem::take(&mut together));
                }
                together.push(row);
            }
            requests.push(together);
        }
        requests
    }
}

fn kept(entry: &Entry) -> Result<Row<'_>, StoreError> {
    Ok(match &entry.body {
        Body::MessageCreate(_) => {
            let emptied = shown_deleted(&entry.payload)
                .map_err(|e| corrupt(format!("entry {}: {e}", entry.id)))?;
            Row::Message(entry, emptied)
        }
        _ => Row::Other(entry),
    })
}

/// Writes valid entries; returns when all rows are there.
pub(super) async fn entries(c: &Connected, entries: &[Entry]) -> Result<(), StoreError> {
    let requests = Plan::of(entries)?.requests();
    let writes: Vec<_> = requests.into_iter().map(|rows| together(c, rows).boxed()).collect();
    stream::iter(writes).buffer_unordered(c.writes_at_once).try_collect().await
}

async fn together(c: &Connected, rows: Vec<Row<'_>>) -> Result<(), StoreError> {
    let mut batch = Batch::new(BatchType::Unlogged);
    batch.set_is_idempotent(true);
    for row in &rows {
        batch.append_statement(row.statement(&c.statements).clone());
    }
    c.write_together(&batch, &rows).await
}

/// Raises a floor; a lower one stays without effect.
pub(super) async fn floor(
    c: &Connected,
    stream: StreamIndex,
    floor: u64,
) -> Result<(), StoreError> {
    if floor == 0 {
        return Ok(());
    }
    let floor = number(floor);
    c.write(&c.statements.raise_floor, (floor, floor, i32::from(stream.0))).await
}

/// Moves a marker forward. Of two at the same time that ask for the same, both may hear that they
/// moved it; none is ever lost to a lower one.
pub(super) async fn marker(
    c: &Connected,
    user: UserId,
    conversation: ConversationId,
    id: EntryId,
) -> Result<Marker, StoreError> {
    let now = read::markers(c, user, &[conversation]).await?.get(&conversation).copied();
    if let Some(now) = now.filter(|now| *now >= id) {
        return Ok(Marker { id: now, moved: false });
    }
    let values = (number(id.0), number(id.0), number(user.0), number(conversation.0));
    c.write(&c.statements.advance_marker, values).await.map_err(StoreError::of_a_change)?;
    Ok(Marker { id, moved: true })
}
