//! The rows of a channel, to and from records.

use bus_schema::entry::EntryKind;
use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::text::ChannelName;
use bus_schema::timestamp::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::store::StoreError;
use crate::store::channels::{ChannelRecord, Look, Member, OutboxItem, OwnChannel};
use crate::store::embedded::{from_sql, to_sql};

/// The revision up to which the log has the changes of the channel with this table alias: the one
/// before the first item without an entry.
macro_rules! published_sql {
    ($alias:literal) => {
        concat!(
            "coalesce((SELECT min(o.revision) - 1 FROM channel_outbox o WHERE o.channel = ",
            $alias,
            ".id AND o.entry IS NULL), ",
            $alias,
            ".revision)"
        )
    };
}
pub(super) use published_sql;

pub(super) fn millis(at: Timestamp) -> i64 {
    to_sql(at.as_millis())
}

pub(super) fn to_count(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// What was stored does not fit its type: somebody else wrote it.
fn corrupt(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get(column).map(from_sql)
}

fn optional_number(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<u64>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(from_sql))
}

fn name(row: &Row<'_>, column: usize) -> rusqlite::Result<ChannelName> {
    let text: String = row.get(column)?;
    ChannelName::parse(&text).map_err(|_| corrupt(column, "a channel's name"))
}

pub(super) fn conversation(row: &Row<'_>) -> rusqlite::Result<ConversationId> {
    number(row, 0).map(ConversationId)
}

/// Whether the id was free.
pub(super) fn register(tx: &Transaction<'_>, id: ConversationId) -> Result<bool, StoreError> {
    let sql = "INSERT INTO conversations (id) VALUES (?1) ON CONFLICT DO NOTHING";
    Ok(tx.prepare_cached(sql)?.execute([to_sql(id.0)])? == 1)
}

pub(super) fn insert_member(
    tx: &Transaction<'_>,
    channel: ConversationId,
    user: UserId,
    revision: u64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO channel_members (channel, user, revision) VALUES (?1, ?2, ?3)";
    let parameters = [to_sql(channel.0), to_sql(user.0), to_sql(revision)];
    tx.prepare_cached(sql)?.execute(parameters)?;
    Ok(())
}

pub(super) fn insert_item(
    tx: &Transaction<'_>,
    channel: ConversationId,
    item: &OutboxItem,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO channel_outbox (channel, revision, kind, payload, notice, at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    tx.prepare_cached(sql)?.execute(params![
        to_sql(channel.0),
        to_sql(item.revision),
        item.kind.as_str(),
        item.payload,
        item.notice.map(|user| to_sql(user.0)),
        millis(item.at),
    ])?;
    Ok(())
}

pub(super) fn made_by(
    c: &Connection,
    channel: ConversationId,
    call: &str,
) -> Result<Option<u64>, StoreError> {
    let sql = "SELECT revision FROM channel_calls WHERE channel = ?1 AND call = ?2";
    let parameters = params![to_sql(channel.0), call];
    Ok(c.prepare_cached(sql)?.query_row(parameters, |row| number(row, 0)).optional()?)
}

pub(super) fn remember_call(
    tx: &Transaction<'_>,
    channel: ConversationId,
    call: &str,
    revision: u64,
) -> Result<(), StoreError> {
    let sql = "INSERT INTO channel_calls (channel, revision, call) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(sql)?.execute(params![to_sql(channel.0), to_sql(revision), call])?;
    Ok(())
}

/// Forgets the calls of revisions up to this one.
pub(super) fn forget_calls(
    tx: &Transaction<'_>,
    channel: ConversationId,
    through: u64,
) -> Result<(), StoreError> {
    let sql = "DELETE FROM channel_calls WHERE channel = ?1 AND revision <= ?2";
    tx.prepare_cached(sql)?.execute([to_sql(channel.0), to_sql(through)])?;
    Ok(())
}

pub(super) fn read_item(row: &Row<'_>) -> rusqlite::Result<OutboxItem> {
    let kind: String = row.get(1)?;
    Ok(OutboxItem {
        revision: number(row, 0)?,
        kind: EntryKind::parse(&kind).ok_or_else(|| corrupt(1, "an entry's kind"))?,
        payload: row.get(2)?,
        notice: optional_number(row, 3)?.map(UserId),
        entry: optional_number(row, 4)?.map(EntryId),
        at: Timestamp::from_millis(number(row, 5)?),
    })
}

pub(super) fn own_channel(row: &Row<'_>) -> rusqlite::Result<OwnChannel> {
    Ok(OwnChannel {
        id: conversation(row)?,
        name: name(row, 1)?,
        owner: UserId(number(row, 2)?),
        published: number(row, 3)?,
        since: EntryId(number(row, 4)?),
    })
}

fn channel(row: &Row<'_>) -> rusqlite::Result<ChannelRecord> {
    Ok(ChannelRecord {
        id: conversation(row)?,
        name: name(row, 1)?,
        owner: UserId(number(row, 2)?),
        revision: number(row, 3)?,
        published: number(row, 4)?,
        members: number(row, 5)?,
        waiting: number(row, 6)?,
        deleted_by: row.get(7)?,
    })
}

pub(super) fn look(
    c: &Connection,
    id: ConversationId,
    users: &[UserId],
) -> Result<Option<Look>, StoreError> {
    let sql = concat!(
        "SELECT c.id, c.name, c.owner, c.revision, ",
        published_sql!("c"),
        ", c.members, (SELECT count(*) FROM channel_outbox o WHERE o.channel = c.id), c.deleted_by
         FROM channels c WHERE c.id = ?1"
    );
    let found = c.prepare_cached(sql)?.query_row([to_sql(id.0)], channel).optional()?;
    let Some(channel) = found else { return Ok(None) };
    let sql = "SELECT revision, since FROM channel_members WHERE channel = ?1 AND user = ?2";
    let mut statement = c.prepare_cached(sql)?;
    let mut members = Vec::with_capacity(users.len());
    for user in users {
        let member = |row: &Row<'_>| {
            let since = optional_number(row, 1)?.map(EntryId);
            Ok(Member { user: *user, revision: number(row, 0)?, since })
        };
        members.extend(statement.query_row([to_sql(id.0), to_sql(user.0)], member).optional()?);
    }
    Ok(Some(Look { channel, members }))
}

/// The members that the log has, ascending; none if there are more than `most`.
pub(super) fn members(
    c: &Connection,
    id: ConversationId,
    most: usize,
) -> Result<Option<Vec<UserId>>, StoreError> {
    let sql = "SELECT user FROM channel_members WHERE channel = ?1 AND since IS NOT NULL LIMIT ?2";
    let mut statement = c.prepare_cached(sql)?;
    let parameters = [to_sql(id.0), to_count(most.saturating_add(1))];
    let users = statement.query_map(parameters, |row| number(row, 0).map(UserId))?;
    let mut users = users.collect::<Result<Vec<_>, _>>()?;
    users.sort_unstable();
    Ok((users.len() <= most).then_some(users))
}
