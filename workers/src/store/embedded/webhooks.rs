//! Webhooks in `people.db`.

use async_trait::async_trait;
use bus_schema::ids::{ConversationId, UserId, WebhookId};
use bus_schema::timestamp::Timestamp;
use rusqlite::{Row, params};

use super::db::Db;
use super::{from_sql, to_sql};
use crate::store::StoreError;
use crate::store::webhooks::{Created, WebhookRecord, WebhookStore};

/// The embedded [`WebhookStore`].
pub(crate) struct Webhooks(pub(crate) Db);

pub(super) const COLUMNS: &str = "id, hash, channel, bot, created_at";

pub(super) fn record(row: &Row<'_>) -> rusqlite::Result<WebhookRecord> {
    Ok(WebhookRecord {
        id: WebhookId(from_sql(row.get("id")?)),
        hash: row.get("hash")?,
        channel: ConversationId(from_sql(row.get("channel")?)),
        bot: UserId(from_sql(row.get("bot")?)),
        created_at: Timestamp::from_millis(from_sql(row.get("created_at")?)),
    })
}

#[async_trait]
impl WebhookStore for Webhooks {
    async fn create(&self, webhook: WebhookRecord, most: usize) -> Result<Created, StoreError> {
        self.0
            .write(move |tx| {
                let channel = to_sql(webhook.channel.0);
                let sql = "SELECT count(*) FROM webhooks WHERE channel = ?1";
                let have: i64 = tx.query_row(sql, [channel], |row| row.get(0))?;
                if usize::try_from(have).is_ok_and(|have| have >= most) {
                    return Ok(Created::TooMany);
                }
                let sql = format!(
                    "INSERT INTO webhooks ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5) \
                     ON CONFLICT (id) DO NOTHING"
                );
                let inserted = tx.prepare_cached(&sql)?.execute(params![
                    to_sql(webhook.id.0),
                    webhook.hash,
                    channel,
                    to_sql(webhook.bot.0),
                    to_sql(webhook.created_at.as_millis()),
                ])?;
                Ok(if inserted == 1 { Created::Done } else { Created::IdTaken })
            })
            .await
    }

    async fn by_id(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError> {
        self.0
            .read(move |c| {
                let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE id = ?1");
                let mut statement = c.prepare_cached(&sql)?;
                let mut rows = statement.query([to_sql(id.0)])?;
                Ok(rows.next()?.map(record).transpose()?)
            })
            .await
    }

    async fn of_channel(&self, channel: ConversationId) -> Result<Vec<WebhookRecord>, StoreError> {
        self.0
            .read(move |c| {
                let sql = format!("SELECT {COLUMNS} FROM webhooks WHERE channel = ?1");
                let mut statement = c.prepare_cached(&sql)?;
                let rows = statement.query_map([to_sql(channel.0)], record)?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn delete(&self, channel: ConversationId, id: WebhookId) -> Result<bool, StoreError> {
        self.0
            .write(move |tx| {
                let sql = "DELETE FROM webhooks WHERE id = ?1 AND channel = ?2";
                Ok(tx.execute(sql, [to_sql(id.0), to_sql(channel.0)])? == 1)
            })
            .await
    }

    async fn delete_of(&self, bot: UserId) -> Result<(), StoreError> {
        self.0
            .write(move |tx| {
                tx.execute("DELETE FROM webhooks WHERE bot = ?1", [to_sql(bot.0)])?;
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
        conformance::webhooks::suite(&Webhooks(db)).await;
    }
}
