//! Channels, DMs and nonces, whole.
//!
//! Invariant: every channel and every DM is in the registry of ids, and nothing else is, so the
//! registry follows from them.

use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::subjects::DmSubject;
use bus_schema::text::{ChannelName, Nonce};
use bus_schema::timestamp::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};

use super::rows::{millis, read_item, register, to_count};
use crate::store::StoreError;
use crate::store::channels::{Member, OutboxItem};
use crate::store::embedded::transfer::{page, start};
use crate::store::embedded::{corrupt, from_sql, to_sql};
use crate::store::transfer::{
    ChannelCopy, Cursor, DmCopy, DmOpening, NonceCopy, Page, Record, Table, misplaced,
};

/// Records of one of these tables.
pub(in crate::store::embedded) fn export(
    c: &Connection,
    table: Table,
    from: Option<&Cursor>,
    most: usize,
) -> Result<Page, StoreError> {
    match table {
        Table::Channels => {
            let sql = "SELECT id, name, owner, revision, deleted_by FROM channels
                       WHERE id >= ?1 ORDER BY id";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query([start(from, i64::MIN)?])?;
            page(rows, most, |row| row.get::<_, i64>(0), |row| channel(c, row))
        }
        Table::Dms => {
            let sql = "SELECT id, low, high FROM dms WHERE id >= ?1 ORDER BY id";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query([start(from, i64::MIN)?])?;
            page(rows, most, |row| row.get::<_, i64>(0), |row| dm(c, row))
        }
        Table::Nonces => {
            let (owner, nonce): (i64, String) = start(from, (i64::MIN, String::new()))?;
            let sql = "SELECT owner, nonce, channel, at FROM channel_nonces
                       WHERE (owner, nonce) >= (?1, ?2) ORDER BY owner, nonce";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query(params![owner, nonce])?;
            let name = |row: &Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?));
            page(rows, most, name, used)
        }
        _ => Err(misplaced(table)),
    }
}

fn channel(c: &Connection, row: &Row<'_>) -> Result<Record, StoreError> {
    let id: i64 = row.get(0)?;
    let sql = "SELECT user, revision, since FROM channel_members WHERE channel = ?1";
    let mut statement = c.prepare_cached(sql)?;
    let members = statement.query_map([id], |row| {
        let since: Option<i64> = row.get(2)?;
        Ok(Member {
            user: UserId(from_sql(row.get(0)?)),
            revision: from_sql(row.get(1)?),
            since: since.map(from_sql).map(EntryId),
        })
    })?;
    let mut members = members.collect::<Result<Vec<_>, _>>()?;
    members.sort_unstable_by_key(|member| member.user);
    let sql = "SELECT revision, kind, payload, notice, entry, at FROM channel_outbox
               WHERE channel = ?1 ORDER BY revision";
    let mut statement = c.prepare_cached(sql)?;
    let outbox = statement.query_map([id], read_item)?.collect::<Result<Vec<_>, _>>()?;
    Ok(Record::Channel(Box::new(ChannelCopy {
        id: ConversationId(from_sql(id)),
        name: ChannelName::parse(&row.get::<_, String>(1)?).map_err(corrupt)?,
        owner: UserId(from_sql(row.get(2)?)),
        revision: from_sql(row.get(3)?),
        deleted_by: row.get(4)?,
        members,
        outbox,
    })))
}

fn dm(c: &Connection, row: &Row<'_>) -> Result<Record, StoreError> {
    let [id, low, high] = [row.get(0)?, row.get(1)?, row.get(2)?];
    let sql = "SELECT user, at, noticed FROM dm_openings WHERE dm = ?1";
    let mut statement = c.prepare_cached(sql)?;
    let openings = statement.query_map([id], |row| {
        let (user, noticed): (_, bool) = (UserId(from_sql(row.get(0)?)), row.get(2)?);
        let at = Timestamp::from_millis(from_sql(row.get(1)?));
        Ok(DmOpening { user, waiting_since: (!noticed).then_some(at) })
    })?;
    let mut openings = openings.collect::<Result<Vec<_>, _>>()?;
    openings.sort_unstable_by_key(|opening| opening.user);
    let [low, high] = [low, high].map(|user| UserId(from_sql(user)));
    let place = DmSubject::new(low, high, ConversationId(from_sql(id)));
    let place = place.ok_or_else(|| corrupt("a DM with oneself"))?;
    Ok(Record::Dm(DmCopy { place, openings }))
}

fn used(row: &Row<'_>) -> Result<Record, StoreError> {
    Ok(Record::Nonce(NonceCopy {
        owner: UserId(from_sql(row.get(0)?)),
        nonce: Nonce::parse(&row.get::<_, String>(1)?).map_err(corrupt)?,
        channel: ConversationId(from_sql(row.get(2)?)),
        at: Timestamp::from_millis(from_sql(row.get(3)?)),
    }))
}

/// Writes records of one of these tables.
pub(in crate::store::embedded) fn import(
    tx: &Transaction<'_>,
    table: Table,
    records: &[Record],
) -> Result<(), StoreError> {
    for record in records {
        match (table, record) {
            (Table::Channels, Record::Channel(channel)) => put_channel(tx, channel)?,
            (Table::Dms, Record::Dm(dm)) => put_dm(tx, dm)?,
            (Table::Nonces, Record::Nonce(nonce)) => put_nonce(tx, nonce)?,
            _ => return Err(misplaced(table)),
        }
    }
    Ok(())
}

fn put_channel(tx: &Transaction<'_>, channel: &ChannelCopy) -> Result<(), StoreError> {
    let id = to_sql(channel.id.0);
    register(tx, channel.id)?;
    let sql = "INSERT INTO channels (id, name, owner, revision, members, deleted_by)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (id) DO UPDATE SET name = excluded.name, owner = excluded.owner,
                 revision = excluded.revision, members = excluded.members,
                 deleted_by = excluded.deleted_by";
    tx.prepare_cached(sql)?.execute(params![
        id,
        channel.name.as_str(),
        to_sql(channel.owner.0),
        to_sql(channel.revision),
        to_count(channel.members.len()),
        channel.deleted_by,
    ])?;
    tx.prepare_cached("DELETE FROM channel_members WHERE channel = ?1")?.execute([id])?;
    let sql = "INSERT INTO channel_members (channel, user, revision, since)
               VALUES (?1, ?2, ?3, ?4)";
    let mut statement = tx.prepare_cached(sql)?;
    for member in &channel.members {
        let since = member.since.map(|entry| to_sql(entry.0));
        statement.execute(params![id, to_sql(member.user.0), to_sql(member.revision), since])?;
    }
    tx.prepare_cached("DELETE FROM channel_outbox WHERE channel = ?1")?.execute([id])?;
    channel.outbox.iter().try_for_each(|item| put_item(tx, id, item))
}

fn put_item(tx: &Transaction<'_>, channel: i64, item: &OutboxItem) -> Result<(), StoreError> {
    let sql = "INSERT INTO channel_outbox (channel, revision, kind, payload, notice, entry, at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    tx.prepare_cached(sql)?.execute(params![
        channel,
        to_sql(item.revision),
        item.kind.as_str(),
        item.payload,
        item.notice.map(|user| to_sql(user.0)),
        item.entry.map(|entry| to_sql(entry.0)),
        millis(item.at),
    ])?;
    Ok(())
}

fn put_dm(tx: &Transaction<'_>, dm: &DmCopy) -> Result<(), StoreError> {
    let id = to_sql(dm.place.id().0);
    let [low, high] = dm.place.people().map(|user| to_sql(user.0));
    register(tx, dm.place.id())?;
    let sql = "INSERT INTO dms (low, high, id) VALUES (?1, ?2, ?3)
               ON CONFLICT (low, high) DO UPDATE SET id = excluded.id";
    tx.prepare_cached(sql)?.execute([low, high, id])?;
    tx.prepare_cached("DELETE FROM dm_openings WHERE dm = ?1")?.execute([id])?;
    let sql = "INSERT INTO dm_openings (dm, user, at, noticed) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = tx.prepare_cached(sql)?;
    for opening in &dm.openings {
        let at = opening.waiting_since.map_or(0, millis);
        let noticed = opening.waiting_since.is_none();
        statement.execute(params![id, to_sql(opening.user.0), at, noticed])?;
    }
    Ok(())
}

fn put_nonce(tx: &Transaction<'_>, copy: &NonceCopy) -> Result<(), StoreError> {
    let sql = "INSERT INTO channel_nonces (owner, nonce, channel, at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (owner, nonce) DO UPDATE SET
                 channel = excluded.channel, at = excluded.at";
    let (owner, channel) = (to_sql(copy.owner.0), to_sql(copy.channel.0));
    let values = params![owner, copy.nonce.as_str(), channel, millis(copy.at)];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}
