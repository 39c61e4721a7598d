//! Invitations in `people.db`.

use async_trait::async_trait;
use bus_schema::timestamp::Timestamp;
use rusqlite::params;

use super::db::Db;
use super::{from_sql, to_sql};
use crate::store::StoreError;
use crate::store::invites::{InviteHash, InviteRecord, InviteStore};

/// The embedded [`InviteStore`].
pub(crate) struct Invites(pub(crate) Db);

#[async_trait]
impl InviteStore for Invites {
    async fn create(&self, invite: InviteRecord) -> Result<(), StoreError> {
        self.0
            .write(move |tx| {
                tx.execute(
                    "INSERT INTO invites (hash, name, uses_left, created_at) \
                     VALUES (?1, ?2, ?3, ?4)",
                    params![
                        invite.hash,
                        invite.name,
                        invite.uses_left,
                        to_sql(invite.created_at.as_millis())
                    ],
                )?;
                Ok(())
            })
            .await
    }

    async fn list(&self, limit: u32) -> Result<Vec<InviteRecord>, StoreError> {
        self.0
            .read(move |c| {
                let mut statement = c.prepare_cached(
                    "SELECT hash, name, uses_left, created_at FROM invites WHERE uses_left > 0 \
                     ORDER BY created_at, name LIMIT ?1",
                )?;
                let rows = statement.query_map([limit], |row| {
                    Ok(InviteRecord {
                        hash: row.get(0)?,
                        name: row.get(1)?,
                        uses_left: row.get(2)?,
                        created_at: Timestamp::from_millis(from_sql(row.get(3)?)),
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn revoke(&self, name: &str) -> Result<bool, StoreError> {
        let name = name.to_owned();
        self.0
            .write(move |tx| Ok(tx.execute("DELETE FROM invites WHERE name = ?1", [name])? == 1))
            .await
    }

    async fn usable(&self, hash: InviteHash) -> Result<bool, StoreError> {
        self.0
            .read(move |c| {
                let sql = "SELECT 1 FROM invites WHERE hash = ?1 AND uses_left > 0";
                Ok(c.prepare_cached(sql)?.exists([hash])?)
            })
            .await
    }

    async fn take(&self, hash: InviteHash) -> Result<bool, StoreError> {
        self.0
            .write(move |tx| {
                let sql = "UPDATE invites SET uses_left = uses_left - 1 \
                           WHERE hash = ?1 AND uses_left > 0";
                Ok(tx.execute(sql, [hash])? == 1)
            })
            .await
    }

    async fn give_back(&self, hash: InviteHash) -> Result<(), StoreError> {
        self.0
            .write(move |tx| {
                tx.execute("UPDATE invites SET uses_left = uses_left + 1 WHERE hash = ?1", [hash])?;
                Ok(())
            })
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[tokio::test]
    async fn conforms() {
        let dir = tempfile::tempdir().unwrap();
        let db = super::super::people::open(dir.path()).unwrap();
        conformance::invites::suite(&Invites(db)).await;
    }
}
