//! Writing what the log said, and markers.
//!
//! Invariant: every statement is idempotent and commutes with the others: the highest edit wins,
//! the lowest deletion stays, a deletion empties the content wherever it stands.

use bus_schema::entry::{Body, Entry, MessageCreate, shown_deleted};
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::verdict::MembershipEvent;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::rows::{corrupt, kind_to_sql};
use crate::store::StoreError;
use crate::store::embedded::{from_sql, to_sql};
use crate::store::history::Marker;

/// Writes valid entries, then raises the floor.
pub(super) fn batch(
    tx: &Transaction<'_>,
    stream: StreamIndex,
    entries: &[Entry],
    upto: u64,
) -> Result<(), StoreError> {
    rows(tx, entries)?;
    floor(tx, stream, upto)
}

/// Writes valid entries.
pub(super) fn rows(tx: &Transaction<'_>, entries: &[Entry]) -> Result<(), StoreError> {
    entries.iter().try_for_each(|one| entry(tx, one))
}

/// Writes a valid entry and all that follows from it.
pub(super) fn entry(tx: &Transaction<'_>, entry: &Entry) -> Result<(), StoreError> {
    keep(tx, entry)?;
    match &entry.body {
        Body::MessageCreate(message) => create(tx, entry, message)?,
        Body::MessageUpdate(edit) => {
            let target = edit.message_id.sequence();
            update(tx, entry, target, edit.content.as_str())?;
        }
        Body::MessageDelete(deletion) => delete(tx, entry, deletion.message_id.sequence())?,
        _ => {}
    }
    match MembershipEvent::of(entry) {
        Some(event) => remember(tx, entry.body.conversation(), event),
        None => Ok(()),
    }
}

/// Raises a stream's floor.
pub(super) fn floor(
    tx: &Transaction<'_>,
    stream: StreamIndex,
    floor: u64,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO floors (stream, seq) VALUES (?1, ?2)
         ON CONFLICT (stream) DO UPDATE SET seq = max(seq, excluded.seq)",
    )?
    .execute(params![stream.0, to_sql(floor)])?;
    Ok(())
}

fn keep(tx: &Transaction<'_>, entry: &Entry) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO entries (conversation, seq, at, kind, payload) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (conversation, seq) DO NOTHING",
    )?
    .execute(params![
        to_sql(entry.body.conversation().0),
        to_sql(entry.id.sequence()),
        to_sql(entry.at.as_millis()),
        kind_to_sql(entry.body.kind()),
        entry.payload,
    ])?;
    Ok(())
}

fn create(tx: &Transaction<'_>, entry: &Entry, message: &MessageCreate) -> Result<(), StoreError> {
    let (conversation, seq) = (message.conversation_id, entry.id.sequence());
    let deleted: Option<i64> = tx
        .prepare_cached(
            "INSERT INTO messages (conversation, seq, at, author, nonce, content)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (conversation, seq) DO UPDATE SET
               at = excluded.at, author = excluded.author,
               nonce = excluded.nonce, content = CASE
                 WHEN deleted_seq IS NOT NULL THEN ''
                 WHEN edit_seq IS NOT NULL THEN content
                 ELSE excluded.content END
             RETURNING deleted_seq",
        )?
        .query_row(
            params![
                to_sql(conversation.0),
                to_sql(seq),
                to_sql(entry.at.as_millis()),
                to_sql(message.author_id.0),
                message.nonce.as_ref().map(bus_schema::text::Nonce::as_str),
                message.content.as_str(),
            ],
            |row| row.get(0),
        )?;
    if deleted.is_some() { empty(tx, conversation, seq) } else { Ok(()) }
}

fn update(
    tx: &Transaction<'_>,
    entry: &Entry,
    target: u64,
    content: &str,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO messages (conversation, seq, content, edited_at, edit_seq)
         VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (conversation, seq) DO UPDATE SET
           content = CASE WHEN deleted_seq IS NOT NULL THEN '' ELSE excluded.content END,
           edited_at = excluded.edited_at, edit_seq = excluded.edit_seq
         WHERE coalesce(edit_seq, 0) < excluded.edit_seq",
    )?
    .execute(params![
        to_sql(entry.body.conversation().0),
        to_sql(target),
        content,
        to_sql(entry.at.as_millis()),
        to_sql(entry.id.sequence()),
    ])?;
    Ok(())
}

fn delete(tx: &Transaction<'_>, entry: &Entry, target: u64) -> Result<(), StoreError> {
    let conversation = entry.body.conversation();
    tx.prepare_cached(
        "INSERT INTO messages (conversation, seq, content, deleted_seq) VALUES (?1, ?2, '', ?3)
         ON CONFLICT (conversation, seq) DO UPDATE SET content = '',
           deleted_seq = min(coalesce(deleted_seq, excluded.deleted_seq), excluded.deleted_seq)",
    )?
    .execute(params![to_sql(conversation.0), to_sql(target), to_sql(entry.id.sequence())])?;
    empty(tx, conversation, target)
}

/// Empties the content of a message's entry, if the entry is there.
fn empty(tx: &Transaction<'_>, conversation: ConversationId, seq: u64) -> Result<(), StoreError> {
    let key = (to_sql(conversation.0), to_sql(seq));
    let payload: Option<String> = tx
        .prepare_cached("SELECT payload FROM entries WHERE conversation = ?1 AND seq = ?2")?
        .query_row(key, |row| row.get(0))
        .optional()?;
    if let Some(payload) = payload {
        let shown = shown_deleted(&payload).map_err(|e| corrupt(e.to_string()))?;
        tx.prepare_cached("UPDATE entries SET payload = ?3 WHERE conversation = ?1 AND seq = ?2")?
            .execute(params![key.0, key.1, shown])?;
    }
    Ok(())
}

fn remember(
    tx: &Transaction<'_>,
    conversation: ConversationId,
    event: MembershipEvent,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO membership (conversation, seq, kind, user, revision)
         VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (conversation, seq) DO NOTHING",
    )?
    .execute(params![
        to_sql(conversation.0),
        to_sql(event.id.sequence()),
        kind_to_sql(event.kind),
        to_sql(event.user.0),
        to_sql(event.revision),
    ])?;
    Ok(())
}

/// Moves a marker forward, never backwards.
pub(super) fn marker(
    tx: &Transaction<'_>,
    user: UserId,
    conversation: ConversationId,
    id: EntryId,
) -> Result<Marker, StoreError> {
    let (user, conversation) = (to_sql(user.0), to_sql(conversation.0));
    let moved = tx
        .prepare_cached(
            "INSERT INTO read_markers (user, conversation, entry) VALUES (?1, ?2, ?3)
             ON CONFLICT (user, conversation) DO UPDATE SET entry = excluded.entry
             WHERE entry < excluded.entry",
        )?
        .execute(params![user, conversation, to_sql(id.0)])?;
    let now = tx
        .prepare_cached("SELECT entry FROM read_markers WHERE user = ?1 AND conversation = ?2")?
        .query_row(params![user, conversation], |row| row.get(0))?;
    Ok(Marker { id: EntryId(from_sql(now)), moved: moved > 0 })
}
