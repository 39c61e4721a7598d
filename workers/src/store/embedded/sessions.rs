//! Sessions in `people.db`.

use async_trait::async_trait;
use bus_schema::ids::{SessionId, UserId};
use bus_schema::timestamp::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use super::db::Db;
use super::{from_sql, to_sql};
use crate::store::StoreError;
use crate::store::sessions::{
    REPEATS_PER_SESSION, Rotated, Rotation, SessionRecord, SessionStore, TokenHash,
};

/// The embedded [`SessionStore`].
pub(crate) struct Sessions(pub(crate) Db);

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<SessionRecord> {
    Ok(SessionRecord {
        id: SessionId(from_sql(row.get("id")?)),
        user: UserId(from_sql(row.get("user")?)),
        created_at: Timestamp::from_millis(from_sql(row.get("created_at")?)),
        last_used_at: Timestamp::from_millis(from_sql(row.get("last_used_at")?)),
    })
}

fn millis(at: Timestamp) -> i64 {
    to_sql(at.as_millis())
}

fn ids(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<Vec<SessionId>, StoreError> {
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map(params, |row| row.get(0).map(from_sql).map(SessionId))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(
        &self,
        session: SessionRecord,
        token: TokenHash,
        keep: usize,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.0
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO sessions (id, user, created_at, last_used_at, token) \
                     VALUES (?1, ?2, ?3, ?4, ?5)",
                    params![
                        to_sql(session.id.0),
                        to_sql(session.user.0),
                        millis(session.created_at),
                        millis(session.last_used_at),
                        token,
                    ],
                )?;
                // The new one stays whatever the clocks of other machines say.
                let others = i64::try_from(keep.saturating_sub(1)).unwrap_or(i64::MAX);
                ids(
                    tx,
                    "UPDATE sessions SET ended_at = ?4 WHERE id IN (\
                         SELECT id FROM sessions WHERE user = ?1 AND ended_at IS NULL AND id <> ?2 \
                         ORDER BY created_at DESC, id DESC LIMIT -1 OFFSET ?3) \
                     RETURNING id",
                    params![
                        to_sql(session.user.0),
                        to_sql(session.id.0),
                        others,
                        millis(session.created_at)
                    ],
                )
            })
            .await
    }

    async fn rotate(&self, rotation: Rotation) -> Result<Rotated, StoreError> {
        self.0.write(move |tx| rotate(tx, &rotation)).await
    }

    async fn of_user(
        &self,
        user: UserId,
        idle_since: Timestamp,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        self.0
            .read(move |c| {
                let sql = "SELECT * FROM sessions \
                           WHERE user = ?1 AND ended_at IS NULL AND last_used_at >= ?2 \
                           ORDER BY created_at DESC, id DESC";
                let mut statement = c.prepare_cached(sql)?;
                let rows =
                    statement.query_map(params![to_sql(user.0), millis(idle_since)], record)?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn end(&self, user: UserId, id: SessionId, at: Timestamp) -> Result<bool, StoreError> {
        self.0
            .write(move |tx| {
                let sql = "UPDATE sessions SET ended_at = COALESCE(ended_at, ?3) \
                           WHERE id = ?2 AND user = ?1";
                let values = params![to_sql(user.0), to_sql(id.0), millis(at)];
                Ok(tx.prepare_cached(sql)?.execute(values)? == 1)
            })
            .await
    }

    async fn end_others(
        &self,
        user: UserId,
        keep: Option<SessionId>,
        at: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.0
            .write(move |tx| {
                let sql = "UPDATE sessions SET ended_at = ?3 \
                           WHERE user = ?1 AND ended_at IS NULL AND (?2 IS NULL OR id <> ?2) \
                           RETURNING id";
                let keep = keep.map(|id| to_sql(id.0));
                ids(tx, sql, params![to_sql(user.0), keep, millis(at)])
            })
            .await
    }

    async fn gone(
        &self,
        sessions: Vec<SessionId>,
        idle_since: Timestamp,
    ) -> Result<Vec<SessionId>, StoreError> {
        self.0
            .read(move |c| {
                let mut statement = c.prepare_cached(
                    "SELECT 1 FROM sessions \
                     WHERE id = ?1 AND ended_at IS NULL AND last_used_at >= ?2",
                )?;
                let mut gone = Vec::new();
                for id in sessions {
                    if !statement.exists(params![to_sql(id.0), millis(idle_since)])? {
                        gone.push(id);
                    }
                }
                Ok(gone)
            })
            .await
    }

    async fn ended_since(&self, at: Timestamp, limit: u32) -> Result<Vec<SessionId>, StoreError> {
        self.0
            .read(move |c| {
                let sql = "SELECT id FROM sessions WHERE ended_at >= ?1 \
                           ORDER BY ended_at DESC LIMIT ?2";
                ids(c, sql, params![millis(at), limit])
            })
            .await
    }

    async fn forget(
        &self,
        ended_before: Timestamp,
        idle_since: Timestamp,
        limit: u32,
    ) -> Result<usize, StoreError> {
        self.0
            .write(move |tx| {
                let sql = "DELETE FROM sessions WHERE id IN (\
                               SELECT id FROM sessions WHERE ended_at < ?1 \
                               UNION SELECT id FROM sessions WHERE last_used_at < ?2 LIMIT ?3)";
                let values = params![millis(ended_before), millis(idle_since), limit];
                Ok(tx.prepare_cached(sql)?.execute(values)?)
            })
            .await
    }
}

fn rotate(tx: &Transaction<'_>, rotation: &Rotation) -> Result<Rotated, StoreError> {
    let id = to_sql(rotation.session.0);
    let found = tx
        .prepare_cached("SELECT * FROM sessions WHERE id = ?1 AND ended_at IS NULL")?
        .query_row([id], |row| Ok((record(row)?, row.get::<_, TokenHash>("token")?)))
        .optional()?;
    let Some((session, current)) = found else { return Ok(Rotated::Gone) };
    if session.last_used_at < rotation.idle_since {
        return Ok(Rotated::Gone);
    }
    if current == rotation.spent {
        return move_on(tx, rotation, session);
    }
    if let Some(at) = repeated(tx, rotation)? {
        return Ok(Rotated::Repeated { session, at });
    }
    tx.prepare_cached("UPDATE sessions SET ended_at = ?2 WHERE id = ?1")?
        .execute(params![id, millis(rotation.at)])?;
    Ok(Rotated::Reused(session))
}

fn move_on(
    tx: &Transaction<'_>,
    rotation: &Rotation,
    session: SessionRecord,
) -> Result<Rotated, StoreError> {
    let (id, at) = (to_sql(rotation.session.0), millis(rotation.at));
    tx.prepare_cached("UPDATE sessions SET token = ?2, last_used_at = ?3 WHERE id = ?1")?
        .execute(params![id, rotation.next, at])?;
    let others = i64::try_from(REPEATS_PER_SESSION - 1).unwrap_or(i64::MAX);
    tx.prepare_cached(
        "DELETE FROM rotations WHERE session = ?1 AND (at < ?2 OR spent IN (\
             SELECT spent FROM rotations WHERE session = ?1 ORDER BY at DESC LIMIT -1 OFFSET ?3))",
    )?
    .execute(params![id, millis(rotation.repeats_since), others])?;
    if let Some(nonce) = &rotation.nonce {
        tx.prepare_cached(
            "INSERT INTO rotations (spent, session, nonce, at) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![rotation.spent, id, nonce.as_str(), at])?;
    }
    Ok(Rotated::Moved(SessionRecord { last_used_at: rotation.at, ..session }))
}

fn repeated(tx: &Transaction<'_>, rotation: &Rotation) -> Result<Option<Timestamp>, StoreError> {
    let Some(nonce) = &rotation.nonce else { return Ok(None) };
    let sql = "SELECT at FROM rotations \
               WHERE spent = ?1 AND session = ?2 AND nonce = ?3 AND at >= ?4";
    let values = params![
        rotation.spent,
        to_sql(rotation.session.0),
        nonce.as_str(),
        millis(rotation.repeats_since)
    ];
    let at = tx.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()?;
    Ok(at.map(|at: i64| Timestamp::from_millis(from_sql(at))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[tokio::test]
    async fn conforms() {
        let dir = tempfile::tempdir().unwrap();
        let db = super::super::people::open(dir.path()).unwrap();
        conformance::sessions::suite(&Sessions(db)).await;
    }
}
