//! Keys in `people.db`, which only its owner can read.

use async_trait::async_trait;
use bus_schema::timestamp::Timestamp;
use rusqlite::params;

use super::db::Db;
use super::{from_sql, to_sql};
use crate::store::StoreError;
use crate::store::keys::{KeyRecord, KeyStore, Purpose};

/// The embedded [`KeyStore`].
pub(crate) struct Keys(pub(crate) Db);

#[async_trait]
impl KeyStore for Keys {
    async fn ensure(
        &self,
        purpose: Purpose,
        first: KeyRecord,
    ) -> Result<Vec<KeyRecord>, StoreError> {
        self.0
            .write(move |tx| {
                let purpose = purpose.as_str();
                tx.execute(
                    "INSERT INTO keys (purpose, kid, secret, created_at) SELECT ?1, ?2, ?3, ?4 \
                     WHERE NOT EXISTS (SELECT 1 FROM keys WHERE purpose = ?1)",
                    params![purpose, first.kid, first.secret, to_sql(first.created_at.as_millis())],
                )?;
                let mut statement = tx.prepare_cached(
                    "SELECT kid, secret, created_at FROM keys WHERE purpose = ?1 \
                     ORDER BY created_at DESC, kid",
                )?;
                let rows = statement.query_map([purpose], |row| {
                    Ok(KeyRecord {
                        kid: row.get(0)?,
                        secret: row.get(1)?,
                        created_at: Timestamp::from_millis(from_sql(row.get(2)?)),
                    })
                })?;
                Ok(rows.collect::<Result<_, _>>()?)
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
        conformance::keys::suite(&Keys(db)).await;
    }
}
