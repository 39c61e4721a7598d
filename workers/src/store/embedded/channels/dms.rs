//! DMs in SQLite: one for each pair of people, and who of them opened it.

use bus_schema::ids::{ConversationId, UserId};
use bus_schema::subjects::DmSubject;
use bus_schema::timestamp::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::rows::{self, millis, to_count};
use crate::store::channels::{DmNotice, Opening, OwnDm};
use crate::store::embedded::{from_sql, to_sql};
use crate::store::{StoreError, StoreErrorKind};

fn own(row: &Row<'_>) -> rusqlite::Result<Option<OwnDm>> {
    let people = [row.get(0)?, row.get(1)?].map(|n| UserId(from_sql(n)));
    let id = ConversationId(from_sql(row.get(2)?));
    let opened = row.get(3)?;
    Ok(DmSubject::new(people[0], people[1], id).map(|place| OwnDm { place, opened }))
}

/// The row passed the table's rules and is still no DM: somebody else wrote it.
fn corrupt() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "a DM with oneself")
}

pub(super) fn of(c: &Connection, user: UserId) -> Result<Vec<OwnDm>, StoreError> {
    let sql = "SELECT low, high, id, o.dm IS NOT NULL
               FROM (SELECT low, high, id FROM dms WHERE low = ?1
                     UNION ALL SELECT low, high, id FROM dms WHERE high = ?1)
               LEFT JOIN dm_openings o ON o.dm = id AND o.user = ?1 ORDER BY id";
    let mut statement = c.prepare_cached(sql)?;
    let rows = statement.query_map([to_sql(user.0)], own)?;
    rows.map(|row| row?.ok_or_else(corrupt)).collect()
}

pub(super) fn one(
    c: &Connection,
    id: ConversationId,
    user: UserId,
) -> Result<Option<OwnDm>, StoreError> {
    let sql = "SELECT low, high, id, EXISTS (SELECT 1 FROM dm_openings o
                                             WHERE o.dm = id AND o.user = ?2)
               FROM dms WHERE id = ?1 AND (low = ?2 OR high = ?2)";
    let parameters = [to_sql(id.0), to_sql(user.0)];
    let found = c.prepare_cached(sql)?.query_row(parameters, own).optional()?;
    found.map(|dm| dm.ok_or_else(corrupt)).transpose()
}

pub(super) fn open(
    tx: &Transaction<'_>,
    candidate: DmSubject,
    opener: UserId,
    at: Timestamp,
) -> Result<Opening, StoreError> {
    let [low, high] = candidate.people();
    let sql = "SELECT id FROM dms WHERE low = ?1 AND high = ?2";
    let pair = [to_sql(low.0), to_sql(high.0)];
    let known = tx.prepare_cached(sql)?.query_row(pair, rows::conversation).optional()?;
    let place = if let Some(id) = known {
        DmSubject::new(low, high, id).ok_or_else(corrupt)?
    } else {
        if !rows::register(tx, candidate.id())? {
            return Ok(Opening::IdTaken);
        }
        let sql = "INSERT INTO dms (low, high, id) VALUES (?1, ?2, ?3)";
        tx.prepare_cached(sql)?.execute([pair[0], pair[1], to_sql(candidate.id().0)])?;
        candidate
    };
    let key = [to_sql(place.id().0), to_sql(opener.0)];
    let sql = "INSERT INTO dm_openings (dm, user, at, noticed) VALUES (?1, ?2, ?3, 0)
               ON CONFLICT DO NOTHING";
    tx.prepare_cached(sql)?.execute(params![key[0], key[1], millis(at)])?;
    let sql = "SELECT noticed = 0 FROM dm_openings WHERE dm = ?1 AND user = ?2";
    let notice = tx.prepare_cached(sql)?.query_row(key, |row| row.get(0))?;
    Ok(Opening::Open { place, notice })
}

pub(super) fn noticed(tx: &Transaction<'_>, notice: DmNotice) -> Result<(), StoreError> {
    let sql = "UPDATE dm_openings SET noticed = 1 WHERE dm = ?1 AND user = ?2";
    tx.prepare_cached(sql)?.execute([to_sql(notice.id.0), to_sql(notice.user.0)])?;
    Ok(())
}

pub(super) fn waiting(
    c: &Connection,
    before: Timestamp,
    after: DmNotice,
    limit: usize,
) -> Result<Vec<DmNotice>, StoreError> {
    let sql = "SELECT dm, user FROM dm_openings
               WHERE noticed = 0 AND (dm, user) > (?1, ?2) AND at <= ?3 ORDER BY dm, user LIMIT ?4";
    let mut statement = c.prepare_cached(sql)?;
    let parameters =
        params![to_sql(after.id.0), to_sql(after.user.0), millis(before), to_count(limit)];
    let rows = statement.query_map(parameters, |row| {
        let (id, user) = (from_sql(row.get(0)?), from_sql(row.get(1)?));
        Ok(DmNotice { id: ConversationId(id), user: UserId(user) })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
