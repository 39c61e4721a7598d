//! Keys, accounts, invitations and sessions, whole.

use bus_schema::text::{AvatarUrl, Nonce};
use bus_schema::timestamp::Timestamp;
use rusqlite::{Connection, Row, Transaction, params};

use super::{page, start};
use crate::store::StoreError;
use crate::store::embedded::{corrupt, from_sql, sessions, to_sql, users, webhooks};
use crate::store::invites::InviteRecord;
use crate::store::keys::{KeyRecord, Purpose};
use crate::store::transfer::{Cursor, Page, Record, RotationCopy, SessionCopy, Table, misplaced};
use crate::store::users::Account;
use crate::store::webhooks::WebhookRecord;

fn millis(at: Timestamp) -> i64 {
    to_sql(at.as_millis())
}

fn time(ms: i64) -> Timestamp {
    Timestamp::from_millis(from_sql(ms))
}

/// Records of one of these tables.
pub(super) fn export(
    c: &Connection,
    table: Table,
    from: Option<&Cursor>,
    most: usize,
) -> Result<Page, StoreError> {
    match table {
        Table::Keys => {
            let (purpose, kid): (String, String) = start(from, Default::default())?;
            let sql = "SELECT purpose, kid, secret, created_at FROM keys
                       WHERE (purpose, kid) >= (?1, ?2) ORDER BY purpose, kid";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query([purpose, kid])?;
            let name = |row: &Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
            page(rows, most, name, key)
        }
        Table::Accounts => {
            let sql = format!("SELECT {} FROM users WHERE id >= ?1 ORDER BY id", users::COLUMNS);
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query([start(from, i64::MIN)?])?;
            let read = |row: &Row<'_>| Ok(Record::Account(Box::new(users::account(row)?)));
            page(rows, most, |row| row.get::<_, i64>("id"), read)
        }
        Table::Invites => {
            let sql = "SELECT name, hash, uses_left, created_at FROM invites
                       WHERE name >= ?1 ORDER BY name";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query([start(from, String::new())?])?;
            page(rows, most, |row| row.get::<_, String>(0), invite)
        }
        Table::Webhooks => {
            let columns = webhooks::COLUMNS;
            let sql = format!("SELECT {columns} FROM webhooks WHERE id >= ?1 ORDER BY id");
            let mut statement = c.prepare_cached(&sql)?;
            let rows = statement.query([start(from, i64::MIN)?])?;
            let read = |row: &Row<'_>| Ok(Record::Webhook(webhooks::record(row)?));
            page(rows, most, |row| row.get::<_, i64>("id"), read)
        }
        Table::Sessions => {
            let sql = "SELECT * FROM sessions WHERE id >= ?1 ORDER BY id";
            let mut statement = c.prepare_cached(sql)?;
            let rows = statement.query([start(from, i64::MIN)?])?;
            page(rows, most, |row| row.get::<_, i64>("id"), |row| session(c, row))
        }
        _ => Err(misplaced(table)),
    }
}

fn key(row: &Row<'_>) -> Result<Record, StoreError> {
    let name: String = row.get(0)?;
    let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.as_str() == name);
    let purpose = purpose.ok_or_else(|| corrupt(format!("a key for {name}")))?;
    let (kid, secret) = (row.get(1)?, row.get(2)?);
    Ok(Record::Key(purpose, KeyRecord { kid, secret, created_at: time(row.get(3)?) }))
}

fn invite(row: &Row<'_>) -> Result<Record, StoreError> {
    Ok(Record::Invite(InviteRecord {
        name: row.get(0)?,
        hash: row.get(1)?,
        uses_left: row.get(2)?,
        created_at: time(row.get(3)?),
    }))
}

fn session(c: &Connection, row: &Row<'_>) -> Result<Record, StoreError> {
    let session = sessions::record(row)?;
    let sql = "SELECT spent, nonce, at FROM rotations WHERE session = ?1 ORDER BY spent";
    let mut statement = c.prepare_cached(sql)?;
    let mut rows = statement.query([to_sql(session.id.0)])?;
    let mut rotations = Vec::new();
    while let Some(row) = rows.next()? {
        let nonce = Nonce::parse(&row.get::<_, String>(1)?).map_err(corrupt)?;
        rotations.push(RotationCopy { spent: row.get(0)?, nonce, at: time(row.get(2)?) });
    }
    let ended: Option<i64> = row.get("ended_at")?;
    let token = row.get("token")?;
    Ok(Record::Session(SessionCopy { session, token, ended_at: ended.map(time), rotations }))
}

/// Writes records of one of these tables.
pub(super) fn import(
    tx: &Transaction<'_>,
    table: Table,
    records: &[Record],
) -> Result<(), StoreError> {
    for record in records {
        match (table, record) {
            (Table::Keys, Record::Key(purpose, key)) => put_key(tx, *purpose, key)?,
            (Table::Accounts, Record::Account(account)) => put_account(tx, account)?,
            (Table::Invites, Record::Invite(invite)) => put_invite(tx, invite)?,
            (Table::Webhooks, Record::Webhook(webhook)) => put_webhook(tx, webhook)?,
            (Table::Sessions, Record::Session(session)) => put_session(tx, session)?,
            _ => return Err(misplaced(table)),
        }
    }
    Ok(())
}

fn put_key(tx: &Transaction<'_>, purpose: Purpose, key: &KeyRecord) -> Result<(), StoreError> {
    let sql = "INSERT INTO keys (purpose, kid, secret, created_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (purpose, kid) DO UPDATE SET
                 secret = excluded.secret, created_at = excluded.created_at";
    let values = params![purpose.as_str(), key.kid, key.secret, millis(key.created_at)];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn put_account(tx: &Transaction<'_>, account: &Account) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO users ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
         ON CONFLICT (id) DO UPDATE SET
           username = excluded.username, display_name = excluded.display_name,
           avatar_url = excluded.avatar_url, bot = excluded.bot, version = excluded.version,
           password_hash = excluded.password_hash, disabled = excluded.disabled,
           created_at = excluded.created_at, owner = excluded.owner",
        users::COLUMNS
    );
    let user = &account.profile.user;
    tx.prepare_cached(&sql)?.execute(params![
        to_sql(user.id.0),
        user.username.as_str(),
        user.display_name.as_str(),
        user.avatar_url.as_ref().map(AvatarUrl::as_str),
        user.bot,
        to_sql(account.profile.version),
        account.password_hash,
        account.disabled,
        millis(account.created_at),
        account.owner.map(|owner| to_sql(owner.0)),
    ])?;
    Ok(())
}

fn put_invite(tx: &Transaction<'_>, invite: &InviteRecord) -> Result<(), StoreError> {
    let sql = "INSERT INTO invites (hash, name, uses_left, created_at) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (hash) DO UPDATE SET name = excluded.name,
                 uses_left = excluded.uses_left, created_at = excluded.created_at";
    let values = params![invite.hash, invite.name, invite.uses_left, millis(invite.created_at)];
    tx.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

fn put_webhook(tx: &Transaction<'_>, webhook: &WebhookRecord) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO webhooks ({}) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (id) DO UPDATE SET hash = excluded.hash, channel = excluded.channel,
           bot = excluded.bot, created_at = excluded.created_at",
        webhooks::COLUMNS
    );
    tx.prepare_cached(&sql)?.execute(params![
        to_sql(webhook.id.0),
        webhook.hash,
        to_sql(webhook.channel.0),
        to_sql(webhook.bot.0),
        millis(webhook.created_at),
    ])?;
    Ok(())
}

fn put_session(tx: &Transaction<'_>, copy: &SessionCopy) -> Result<(), StoreError> {
    let session = copy.session;
    let id = to_sql(session.id.0);
    let sql = "INSERT INTO sessions (id, user, created_at, last_used_at, token, ended_at)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (id) DO UPDATE SET user = excluded.user,
                 created_at = excluded.created_at, last_used_at = excluded.last_used_at,
                 token = excluded.token, ended_at = excluded.ended_at";
    tx.prepare_cached(sql)?.execute(params![
        id,
        to_sql(session.user.0),
        millis(session.created_at),
        millis(session.last_used_at),
        copy.token,
        copy.ended_at.map(millis),
    ])?;
    tx.prepare_cached("DELETE FROM rotations WHERE session = ?1")?.execute([id])?;
    let sql = "INSERT INTO rotations (spent, session, nonce, at) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = tx.prepare_cached(sql)?;
    for rotation in &copy.rotations {
        let at = millis(rotation.at);
        statement.execute(params![rotation.spent, id, rotation.nonce.as_str(), at])?;
    }
    Ok(())
}
