//! Channels and DMs in SQLite.
//!
//! Invariant: what the trait calls one document is a few rows that change in one transaction only.
//! Members are rows of their own, so adding one does not rewrite the others. Leaves out the
//! rules: it commits what the revision allows.

mod dms;
mod rows;
pub(super) mod transfer;

use std::path::Path;

use async_trait::async_trait;
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::timestamp::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use self::rows::{millis, published_sql, read_item, to_count};
use super::db::{Db, Durability};
use super::{from_sql, to_sql};
use crate::store::StoreError;
use crate::store::channels::{
    Ack, AckEffect, CALLS_KEPT, Change, ChannelStore, Commit, Committed, Created, DmNotice, Look,
    NewChannel, Opening, Outbox, OutboxItem, OwnChannel, OwnDm,
};

/// Its file in the directory.
pub(super) const FILE: &str = "channels.db";
/// The schema, by version.
pub(super) const MIGRATIONS: &[&str] =
    &[include_str!("channels/schema_1.sql"), include_str!("channels/schema_2.sql")];

/// Channels and DMs in one SQLite file.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddedChannels {
    db: Db,
}

impl EmbeddedChannels {
    /// Opens or creates `channels.db` in a directory. Blocks the thread.
    pub(crate) fn open(directory: &Path) -> Result<Self, StoreError> {
        let db = Db::open(&directory.join(FILE), Durability::Full, MIGRATIONS)?;
        Ok(Self { db })
    }
}

#[async_trait]
impl ChannelStore for EmbeddedChannels {
    async fn create(&self, new: NewChannel) -> Result<Created, StoreError> {
        self.db.write(move |tx| create(tx, &new)).await
    }

    async fn look(
        &self,
        id: ConversationId,
        users: Vec<UserId>,
    ) -> Result<Option<Look>, StoreError> {
        self.db.read(move |c| rows::look(c, id, &users)).await
    }

    async fn show(
        &self,
        id: ConversationId,
        user: UserId,
        most: usize,
    ) -> Result<Option<(Look, Option<Vec<UserId>>)>, StoreError> {
        self.db
            .read(move |c| {
                let Some(look) = rows::look(c, id, &[user])? else { return Ok(None) };
                let members = rows::members(c, id, most)?;
                Ok(Some((look, members)))
            })
            .await
    }

    async fn made_by(&self, id: ConversationId, call: String) -> Result<Option<u64>, StoreError> {
        self.db.read(move |c| rows::made_by(c, id, &call)).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.db.write(move |tx| apply(tx, &commit)).await
    }

    async fn outbox(&self, id: ConversationId) -> Result<Option<Outbox>, StoreError> {
        self.db.read(move |c| outbox(c, id)).await
    }

    async fn acknowledge(
        &self,
        id: ConversationId,
        ack: Ack,
    ) -> Result<Option<Outbox>, StoreError> {
        self.db
            .write(move |tx| {
                acknowledge(tx, id, ack)?;
                outbox(tx, id)
            })
            .await
    }

    async fn waiting_channels(
        &self,
        before: Timestamp,
        after: ConversationId,
        limit: usize,
    ) -> Result<Vec<ConversationId>, StoreError> {
        self.db
            .read(move |c| {
                let sql = "SELECT DISTINCT channel FROM channel_outbox
                           WHERE channel > ?1 AND at <= ?2 ORDER BY channel LIMIT ?3";
                let mut statement = c.prepare_cached(sql)?;
                let parameters = params![to_sql(after.0), millis(before), to_count(limit)];
                let rows = statement.query_map(parameters, rows::conversation)?;
                Ok(rows.collect::<Result<_, _>>()?)
            })
            .await
    }

    async fn channels_of(&self, user: UserId) -> Result<Vec<OwnChannel>, StoreError> {
        self.db.read(move |c| channels_of(c, user)).await
    }

    async fn dms_of(&self, user: UserId) -> Result<Vec<OwnDm>, StoreError> {
        self.db.read(move |c| dms::of(c, user)).await
    }

    async fn dm(&self, id: ConversationId, user: UserId) -> Result<Option<OwnDm>, StoreError> {
        self.db.read(move |c| dms::one(c, id, user)).await
    }

    async fn open_dm(
        &self,
        candidate: bus_schema::subjects::DmSubject,
        opener: UserId,
        at: Timestamp,
    ) -> Result<Opening, StoreError> {
        self.db.write(move |tx| dms::open(tx, candidate, opener, at)).await
    }

    async fn dm_noticed(&self, notice: DmNotice) -> Result<(), StoreError> {
        self.db.write(move |tx| dms::noticed(tx, notice)).await
    }

    async fn waiting_dms(
        &self,
        before: Timestamp,
        after: DmNotice,
        limit: usize,
    ) -> Result<Vec<DmNotice>, StoreError> {
        self.db.read(move |c| dms::waiting(c, before, after, limit)).await
    }

    async fn forget_nonces(&self, before: Timestamp) -> Result<(), StoreError> {
        self.db
            .write(move |tx| {
                tx.execute("DELETE FROM channel_nonces WHERE at <= ?1", [millis(before)])?;
                Ok(())
            })
            .await
    }
}

fn create(tx: &Transaction<'_>, new: &NewChannel) -> Result<Created, StoreError> {
    let (id, owner) = (to_sql(new.id.0), to_sql(new.owner.0));
    if let Some(nonce) = &new.nonce {
        let sql = "SELECT channel FROM channel_nonces WHERE owner = ?1 AND nonce = ?2 AND at > ?3";
        let parameters = params![owner, nonce.as_str(), millis(new.nonces_before)];
        let used = tx.prepare_cached(sql)?.query_row(parameters, rows::conversation).optional()?;
        if let Some(channel) = used {
            return Ok(Created::Repeated(channel));
        }
    }
    if !has_room(tx, new.owner, new.most_channels)? {
        return Ok(Created::TooManyChannels);
    }
    if !rows::register(tx, new.id)? {
        return Ok(Created::IdTaken);
    }
    tx.prepare_cached(
        "INSERT INTO channels (id, name, owner, revision, members) VALUES (?1, ?2, ?3, 1, 1)",
    )?
    .execute(params![id, new.name.as_str(), owner])?;
    rows::insert_member(tx, new.id, new.owner, 1)?;
    let change = Change::AddMember { user: new.owner, most_channels: new.most_channels };
    rows::insert_item(tx, new.id, &OutboxItem::new(new.id, 1, new.owner, &change, new.at))?;
    if let Some(nonce) = &new.nonce {
        let sql = "INSERT OR REPLACE INTO channel_nonces (owner, nonce, channel, at)
                   VALUES (?1, ?2, ?3, ?4)";
        tx.prepare_cached(sql)?.execute(params![owner, nonce.as_str(), id, millis(new.at)])?;
    }
    Ok(Created::New)
}

/// Whether a user may be in one channel more.
fn has_room(tx: &Transaction<'_>, user: UserId, most: u64) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM channel_members WHERE user = ?1";
    let count: i64 = tx.prepare_cached(sql)?.query_row([to_sql(user.0)], |row| row.get(0))?;
    Ok(from_sql(count) < most)
}

fn apply(tx: &Transaction<'_>, commit: &Commit) -> Result<Committed, StoreError> {
    let (id, revision) = (to_sql(commit.id.0), commit.revision());
    if let Change::AddMember { user, most_channels } = &commit.change
        && !has_room(tx, *user, *most_channels)?
    {
        return Ok(Committed::TooManyChannels);
    }
    let sql = "UPDATE channels SET revision = ?3 WHERE id = ?1 AND revision = ?2
               AND deleted_by IS NULL";
    let parameters = params![id, to_sql(commit.expected), to_sql(revision)];
    if tx.prepare_cached(sql)?.execute(parameters)? == 0 {
        return Ok(Committed::Stale);
    }
    match &commit.change {
        Change::AddMember { user, .. } => {
            rows::insert_member(tx, commit.id, *user, revision)?;
            let sql = "UPDATE channels SET members = members + 1 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute([id])?;
        }
        Change::RemoveMember { user } => {
            let sql = "DELETE FROM channel_members WHERE channel = ?1 AND user = ?2";
            let gone = tx.prepare_cached(sql)?.execute([id, to_sql(user.0)])?;
            let sql = "UPDATE channels SET members = members - ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute([id, to_count(gone)])?;
        }
        Change::Rename { name } => {
            let sql = "UPDATE channels SET name = ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![id, name.as_str()])?;
        }
        Change::Delete { request } => {
            tx.prepare_cached("DELETE FROM channel_members WHERE channel = ?1")?.execute([id])?;
            let sql = "UPDATE channels SET members = 0, deleted_by = ?2 WHERE id = ?1";
            tx.prepare_cached(sql)?.execute(params![id, request])?;
        }
    }
    rows::insert_item(tx, commit.id, &commit.item())?;
    if !commit.call.is_empty() {
        rows::remember_call(tx, commit.id, &commit.call, revision)?;
        rows::forget_calls(tx, commit.id, revision.saturating_sub(CALLS_KEPT))?;
    }
    Ok(Committed::Done)
}

fn outbox(c: &Connection, id: ConversationId) -> Result<Option<Outbox>, StoreError> {
    let sql = "SELECT revision FROM channels WHERE id = ?1";
    let revision: Option<i64> =
        c.prepare_cached(sql)?.query_row([to_sql(id.0)], |row| row.get(0)).optional()?;
    let Some(revision) = revision else { return Ok(None) };
    Ok(Some(Outbox { revision: from_sql(revision), head: head(c, id)? }))
}

fn head(c: &Connection, id: ConversationId) -> Result<Option<OutboxItem>, StoreError> {
    let sql = "SELECT revision, kind, payload, notice, entry, at FROM channel_outbox
               WHERE channel = ?1 ORDER BY revision LIMIT 1";
    Ok(c.prepare_cached(sql)?.query_row([to_sql(id.0)], read_item).optional()?)
}

fn acknowledge(tx: &Transaction<'_>, id: ConversationId, ack: Ack) -> Result<(), StoreError> {
    let Some(head) = head(tx, id)? else { return Ok(()) };
    let effect = head.acknowledged(ack);
    let key = [to_sql(id.0), to_sql(head.revision)];
    if let (Ack::Entry { entry, .. }, AckEffect::Record | AckEffect::Remove) = (ack, effect) {
        // A member who was removed and added again meanwhile waits for the later MEMBER_ADD.
        let sql = "UPDATE channel_members SET since = ?3
                   WHERE channel = ?1 AND user = ?4 AND revision = ?2";
        let user = head.notice.map(|user| to_sql(user.0));
        tx.prepare_cached(sql)?.execute(params![key[0], key[1], to_sql(entry.0), user])?;
        if effect == AckEffect::Record {
            let sql = "UPDATE channel_outbox SET entry = ?3 WHERE channel = ?1 AND revision = ?2";
            tx.prepare_cached(sql)?.execute(params![key[0], key[1], to_sql(entry.0)])?;
        }
    }
    if effect == AckEffect::Remove {
        let sql = "DELETE FROM channel_outbox WHERE channel = ?1 AND revision = ?2";
        tx.prepare_cached(sql)?.execute(key)?;
    }
    Ok(())
}

fn channels_of(c: &Connection, user: UserId) -> Result<Vec<OwnChannel>, StoreError> {
    let sql = format!(
        "SELECT c.id, c.name, c.owner, {published}, m.since
         FROM channel_members m JOIN channels c ON c.id = m.channel
         WHERE m.user = ?1 AND m.since IS NOT NULL ORDER BY c.id",
        published = published_sql!("c"),
    );
    let mut statement = c.prepare_cached(&sql)?;
    let rows = statement.query_map([to_sql(user.0)], rows::own_channel)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance::channels as suite;

    #[tokio::test]
    async fn passes_the_suite() {
        let directory = tempfile::tempdir().unwrap();
        suite::run(&EmbeddedChannels::open(directory.path()).unwrap()).await;
    }

    #[tokio::test]
    async fn two_handles_on_one_directory_are_one_store() {
        let directory = tempfile::tempdir().unwrap();
        let one = EmbeddedChannels::open(directory.path()).unwrap();
        let two = EmbeddedChannels::open(directory.path()).unwrap();
        suite::races(&one, &two).await;
    }

    #[tokio::test]
    async fn as_many_members_as_may_be() {
        let directory = tempfile::tempdir().unwrap();
        let store = EmbeddedChannels::open(directory.path()).unwrap();
        let fill = "INSERT INTO conversations VALUES (77);
                    INSERT INTO channels VALUES (77, 'full', 1, 10000, 10000, NULL);
                    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 10000)
                    INSERT INTO channel_members SELECT 77, n, n, n FROM n;";
        store.db.write(move |tx| Ok(tx.execute_batch(fill)?)).await.unwrap();
        suite::large(&store, ConversationId(77)).await;
    }
}
