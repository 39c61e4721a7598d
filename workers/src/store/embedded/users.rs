//! Accounts in `people.db`.

use async_trait::async_trait;
use bus_schema::events::{User, VersionedUser};
use bus_schema::ids::UserId;
use bus_schema::text::Username;
use bus_schema::timestamp::Timestamp;
use rusqlite::{Connection, Row, named_params, params};

use super::db::Db;
use super::{corrupt, from_sql, to_sql};
use crate::store::users::{Account, CALLS_KEPT, Created, ProfileChange, Updated, UserStore};
use crate::store::{StoreError, StoreErrorKind};

pub(super) const COLUMNS: &str = "id, username, display_name, avatar_url, bot, version, password_hash, \
                       disabled, created_at, owner";
/// Ids in one statement's list of values.
const IDS_PER_STATEMENT: usize = 500;

/// The embedded [`UserStore`].
pub(crate) struct Users(pub(crate) Db);

pub(super) fn account(row: &Row<'_>) -> Result<Account, StoreError> {
    let avatar: Option<String> = row.get("avatar_url")?;
    let user = User {
        id: UserId(from_sql(row.get("id")?)),
        username: row.get::<_, String>("username")?.try_into().map_err(corrupt)?,
        display_name: row.get::<_, String>("display_name")?.try_into().map_err(corrupt)?,
        avatar_url: avatar.map(TryInto::try_into).transpose().map_err(corrupt)?,
        bot: row.get("bot")?,
    };
    Ok(Account {
        profile: VersionedUser { version: from_sql(row.get("version")?), user },
        password_hash: row.get("password_hash")?,
        disabled: row.get("disabled")?,
        owner: row.get::<_, Option<i64>>("owner")?.map(|owner| UserId(from_sql(owner))),
        created_at: Timestamp::from_millis(from_sql(row.get("created_at")?)),
    })
}

fn find(
    connection: &Connection,
    condition: &str,
    value: impl rusqlite::ToSql,
) -> Result<Option<Account>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM users WHERE {condition} = ?1");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([value])?;
    rows.next()?.map(account).transpose()
}

#[async_trait]
impl UserStore for Users {
    async fn create(&self, account: Account) -> Result<Created, StoreError> {
        self.0.write(move |tx| insert(tx, &account)).await
    }

    async fn create_bot(&self, account: Account, most: usize) -> Result<Created, StoreError> {
        self.0
            .write(move |tx| {
                let owner = account.owner.map(|owner| to_sql(owner.0));
                let sql = "SELECT count(*) FROM users WHERE owner = ?1";
                let have: i64 = tx.query_row(sql, [owner], |row| row.get(0))?;
                if usize::try_from(have).is_ok_and(|have| have >= most) {
                    return Ok(Created::TooManyBots);
                }
                insert(tx, &account)
            })
            .await
    }

    async fn bots_of(&self, owner: UserId) -> Result<Vec<Account>, StoreError> {
        self.0
            .read(move |c| {
                let sql = format!("SELECT {COLUMNS} FROM users WHERE owner = ?1 ORDER BY id");
                let mut statement = c.prepare_cached(&sql)?;
                let mut rows = statement.query([to_sql(owner.0)])?;
                let mut all = Vec::new();
                while let Some(row) = rows.next()? {
                    all.push(account(row)?);
                }
                Ok(all)
            })
            .await
    }

    async fn retire_bot(&self, id: UserId, name: Username) -> Result<Updated, StoreError> {
        self.0
            .write(move |tx| {
                let found = find(tx, "id", to_sql(id.0))?.filter(|account| account.owner.is_some());
                let Some(Account { profile: old, .. }) = found else {
                    return Ok(Updated::NotFound);
                };
                let user = User { username: name, ..old.user };
                let new = VersionedUser { version: old.version + 1, user };
                match write_profile(tx, &new) {
                    Ok(()) => {}
                    Err(e) if e.kind == StoreErrorKind::Conflict => {
                        return Ok(Updated::UsernameTaken);
                    }
                    Err(e) => return Err(e),
                }
                let sql = "UPDATE users SET owner = NULL, disabled = 1 WHERE id = ?1";
                tx.execute(sql, [to_sql(id.0)])?;
                Ok(Updated::Done(new))
            })
            .await
    }

    async fn by_id(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.0.read(move |c| find(c, "id", to_sql(id.0))).await
    }

    async fn by_username(&self, name: &Username) -> Result<Option<Account>, StoreError> {
        let name = name.clone();
        self.0.read(move |c| find(c, "username", name.as_str())).await
    }

    async fn profiles(&self, ids: Vec<UserId>) -> Result<Vec<VersionedUser>, StoreError> {
        self.0
            .read(move |c| {
                let mut found = Vec::with_capacity(ids.len());
                for ids in ids.chunks(IDS_PER_STATEMENT) {
                    let list = ids.iter().map(|id| to_sql(id.0).to_string());
                    let list = list.collect::<Vec<_>>().join(",");
                    let sql = format!("SELECT {COLUMNS} FROM users WHERE id IN ({list})");
                    let mut statement = c.prepare(&sql)?;
                    let mut rows = statement.query([])?;
                    while let Some(row) = rows.next()? {
                        found.push(account(row)?.profile);
                    }
                }
                Ok(found)
            })
            .await
    }

    async fn update_profile(&self, id: UserId, to: ProfileChange) -> Result<Updated, StoreError> {
        self.0
            .write(move |tx| {
                let Some(account) = find(tx, "id", to_sql(id.0))? else {
                    return Ok(Updated::NotFound);
                };
                let old = account.profile;
                if is_done(tx, id, &to.call)? {
                    return Ok(Updated::Done(old));
                }
                let user = User {
                    username: to.username.unwrap_or_else(|| old.user.username.clone()),
                    display_name: to.display_name.unwrap_or_else(|| old.user.display_name.clone()),
                    avatar_url: to.avatar_url.unwrap_or_else(|| old.user.avatar_url.clone()),
                    ..old.user
                };
                if user == old.user {
                    remember(tx, id, &to.call)?;
                    return Ok(Updated::Done(old));
                }
                let new = VersionedUser { version: old.version + 1, user };
                match write_profile(tx, &new) {
                    Ok(()) => {
                        remember(tx, id, &to.call)?;
                        Ok(Updated::Done(new))
                    }
                    Err(e) if e.kind == StoreErrorKind::Conflict => Ok(Updated::UsernameTaken),
                    Err(e) => Err(e),
                }
            })
            .await
    }

    async fn set_password(
        &self,
        id: UserId,
        only_if: Option<String>,
        hash: String,
    ) -> Result<bool, StoreError> {
        self.0
            .write(move |tx| {
                let sql = "UPDATE users SET password_hash = ?2 \
                           WHERE id = ?1 AND (?3 IS NULL OR password_hash = ?3)";
                Ok(tx.execute(sql, params![to_sql(id.0), hash, only_if])? == 1)
            })
            .await
    }

    async fn set_disabled(&self, id: UserId, disabled: bool) -> Result<bool, StoreError> {
        self.0
            .write(move |tx| {
                let sql = "UPDATE users SET disabled = ?2 WHERE id = ?1";
                Ok(tx.execute(sql, params![to_sql(id.0), disabled])? == 1)
            })
            .await
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        self.0
            .read(move |c| {
                let sql = format!(
                    "SELECT {COLUMNS} FROM users WHERE ?1 IS NULL OR id > ?1 ORDER BY id LIMIT ?2"
                );
                let mut statement = c.prepare_cached(&sql)?;
                let mut rows = statement.query(params![after.map(|id| to_sql(id.0)), limit])?;
                let mut all = Vec::new();
                while let Some(row) = rows.next()? {
                    all.push(account(row)?);
                }
                Ok(all)
            })
            .await
    }
}

/// Whether a call is known to be done.
fn is_done(tx: &Connection, user: UserId, call: &str) -> Result<bool, StoreError> {
    let sql = "SELECT count(*) FROM profile_calls WHERE user = ?1 AND call = ?2";
    let parameters = params![to_sql(user.0), call];
    let known: i64 = tx.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?;
    Ok(known > 0)
}

/// A call is done; the oldest is forgotten.
fn remember(tx: &Connection, user: UserId, call: &str) -> Result<(), StoreError> {
    if call.is_empty() {
        return Ok(());
    }
    let user = to_sql(user.0);
    let sql = "INSERT INTO profile_calls (user, number, call) SELECT ?1, \
               coalesce(max(number), 0) + 1, ?2 FROM profile_calls WHERE user = ?1";
    tx.prepare_cached(sql)?.execute(params![user, call])?;
    let sql = "DELETE FROM profile_calls WHERE user = ?1 AND number <= \
               (SELECT max(number) FROM profile_calls WHERE user = ?1) - ?2";
    tx.prepare_cached(sql)?.execute(params![user, CALLS_KEPT])?;
    Ok(())
}

fn insert(tx: &Connection, account: &Account) -> Result<Created, StoreError> {
    let user = &account.profile.user;
    if find(tx, "username", user.username.as_str())?.is_some() {
        return Ok(Created::UsernameTaken);
    }
    let sql = format!(
        "INSERT INTO users ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
         ON CONFLICT (id) DO NOTHING"
    );
    let inserted = tx.prepare_cached(&sql)?.execute(params![
        to_sql(user.id.0),
        user.username.as_str(),
        user.display_name.as_str(),
        user.avatar_url.as_ref().map(bus_schema::text::AvatarUrl::as_str),
        user.bot,
        to_sql(account.profile.version),
        account.password_hash,
        account.disabled,
        to_sql(account.created_at.as_millis()),
        account.owner.map(|owner| to_sql(owner.0)),
    ])?;
    Ok(if inserted == 1 { Created::Done } else { Created::IdTaken })
}

fn write_profile(tx: &Connection, profile: &VersionedUser) -> Result<(), StoreError> {
    let sql = "UPDATE users SET username = :username, display_name = :display_name, \
               avatar_url = :avatar_url, version = :version WHERE id = :id";
    let user = &profile.user;
    tx.prepare_cached(sql)?.execute(named_params! {
        ":id": to_sql(user.id.0),
        ":username": user.username.as_str(),
        ":display_name": user.display_name.as_str(),
        ":avatar_url": user.avatar_url.as_ref().map(bus_schema::text::AvatarUrl::as_str),
        ":version": to_sql(profile.version),
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conformance;

    #[tokio::test]
    async fn conforms() {
        let dir = tempfile::tempdir().unwrap();
        let db = super::super::people::open(dir.path()).unwrap();
        conformance::users::suite(&Users(db)).await;
    }
}
