//! Accounts in MongoDB: one document each.

use async_trait::async_trait;
use bus_schema::events::{User, VersionedUser};
use bus_schema::ids::UserId;
use bus_schema::text::{AvatarUrl, Username};
use futures::TryStreamExt as _;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::options::ReturnDocument;
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};

use super::mongodb::schema::{self, ID_INDEX};
use super::mongodb::{Mongo, corrupt, date, duplicate_key, from_bson, time, to_bson};
use crate::store::StoreError;
use crate::store::users::{Account, CALLS_KEPT, Created, ProfileChange, Updated, UserStore};

/// Ids in one query's list of values.
const IDS_PER_QUERY: usize = 500;

/// The cluster's [`UserStore`].
pub(crate) struct Users(pub(crate) Mongo);

#[derive(Serialize, Deserialize)]
pub(super) struct UserDocument {
    #[serde(rename = "_id")]
    pub(super) id: i64,
    username: String,
    display_name: String,
    avatar_url: Option<String>,
    bot: bool,
    version: i64,
    password_hash: Option<String>,
    disabled: bool,
    created_at: DateTime,
    /// Absent, not null, for whoever has none: the index is of those that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<i64>,
}

impl From<Account> for UserDocument {
    fn from(account: Account) -> Self {
        let VersionedUser { version, user } = account.profile;
        Self {
            id: to_bson(user.id.0),
            username: user.username.as_str().to_owned(),
            display_name: user.display_name.as_str().to_owned(),
            avatar_url: user.avatar_url.map(|url| url.as_str().to_owned()),
            bot: user.bot,
            version: to_bson(version),
            password_hash: account.password_hash,
            disabled: account.disabled,
            created_at: date(account.created_at),
            owner: account.owner.map(|owner| to_bson(owner.0)),
        }
    }
}

impl TryFrom<UserDocument> for Account {
    type Error = StoreError;

    fn try_from(stored: UserDocument) -> Result<Self, StoreError> {
        let user = User {
            id: UserId(from_bson(stored.id)),
            username: stored.username.try_into().map_err(corrupt)?,
            display_name: stored.display_name.try_into().map_err(corrupt)?,
            avatar_url: stored.avatar_url.map(TryInto::try_into).transpose().map_err(corrupt)?,
            bot: stored.bot,
        };
        Ok(Self {
            profile: VersionedUser { version: from_bson(stored.version), user },
            password_hash: stored.password_hash,
            disabled: stored.disabled,
            owner: stored.owner.map(|owner| UserId(from_bson(owner))),
            created_at: time(stored.created_at),
        })
    }
}

fn users(database: &Database) -> Collection<UserDocument> {
    database.collection(schema::USERS)
}

/// Only the account with this id.
fn this(id: UserId) -> Document {
    doc! { "_id": to_bson(id.0) }
}

async fn find(database: &Database, filter: Document) -> Result<Option<Account>, StoreError> {
    users(database).find_one(filter).await?.map(TryInto::try_into).transpose()
}

#[async_trait]
impl UserStore for Users {
    async fn migrate(&self) -> Result<(), StoreError> {
        self.0.migrate().await
    }

    async fn create(&self, account: Account) -> Result<Created, StoreError> {
        self.0.change(|database| async move { create(&database, account).await }).await
    }

    async fn create_bot(&self, account: Account, most: usize) -> Result<Created, StoreError> {
        self.0
            .change(|database| async move {
                let owner = account.owner.map_or(Bson::Null, |owner| to_bson(owner.0).into());
                let have = users(&database).count_documents(doc! { "owner": owner }).await?;
                if usize::try_from(have).is_ok_and(|have| have >= most) {
                    return Ok(Created::TooManyBots);
                }
                create(&database, account).await
            })
            .await
    }

    async fn bots_of(&self, owner: UserId) -> Result<Vec<Account>, StoreError> {
        let filter = doc! { "owner": to_bson(owner.0) };
        self.0
            .read(|database| async move {
                let all = users(&database);
                let mut rows = all.find(filter).sort(doc! { "_id": 1 }).await?;
                let mut listed = Vec::new();
                while let Some(row) = rows.try_next().await? {
                    listed.push(row.try_into()?);
                }
                Ok(listed)
            })
            .await
    }

    async fn retire_bot(&self, id: UserId, name: Username) -> Result<Updated, StoreError> {
        let mut owned = this(id);
        owned.insert("owner", doc! { "$exists": true });
        let retire = doc! {
            "$set": { "username": name.as_str(), "disabled": true },
            "$inc": { "version": 1_i64 },
            "$unset": { "owner": "" },
        };
        self.0
            .change(|database| async move {
                let all = users(&database);
                let update = all.find_one_and_update(owned, retire);
                match update.return_document(ReturnDocument::After).await {
                    Ok(Some(now)) => Ok(Updated::Done(Account::try_from(now)?.profile)),
                    Ok(None) => Ok(Updated::NotFound),
                    Err(e) if duplicate_key(&e).is_some() => Ok(Updated::UsernameTaken),
                    Err(e) => Err(e.into()),
                }
            })
            .await
    }

    async fn by_id(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.0.read(|database| async move { find(&database, this(id)).await }).await
    }

    async fn by_username(&self, name: &Username) -> Result<Option<Account>, StoreError> {
        let named = doc! { "username": name.as_str() };
        self.0.read(|database| async move { find(&database, named).await }).await
    }

    async fn profiles(&self, ids: Vec<UserId>) -> Result<Vec<VersionedUser>, StoreError> {
        self.0
            .read(|database| async move {
                let all = users(&database);
                let mut found = Vec::with_capacity(ids.len());
                for ids in ids.chunks(IDS_PER_QUERY) {
                    let ids: Vec<_> = ids.iter().map(|id| to_bson(id.0)).collect();
                    let these = doc! { "_id": { "$in": ids } };
                    let mut rows = all.find(these).projection(doc! { "password_hash": 0 }).await?;
                    while let Some(row) = rows.try_next().await? {
                        found.push(Account::try_from(row)?.profile);
                    }
                }
                Ok(found)
            })
            .await
    }

    async fn update_profile(&self, id: UserId, to: ProfileChange) -> Result<Updated, StoreError> {
        self.0
            .change(|database| async move {
                let all = users(&database);
                let mut filter = this(id);
                if !to.call.is_empty() {
                    filter.insert("calls", doc! { "$ne": &to.call });
                }
                let update = all.find_one_and_update(filter, [profile_update(to)].to_vec());
                match update.return_document(ReturnDocument::After).await {
                    Ok(Some(now)) => Ok(Updated::Done(Account::try_from(now)?.profile)),
                    // Nobody, or a call that was done before.
                    Ok(None) => Ok(find(&database, this(id))
                        .await?
                        .map_or(Updated::NotFound, |account| Updated::Done(account.profile))),
                    Err(e) if duplicate_key(&e).is_some() => Ok(Updated::UsernameTaken),
                    Err(e) => Err(e.into()),
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
        let mut filter = this(id);
        if let Some(present) = only_if {
            filter.insert("password_hash", present);
        }
        self.set(filter, doc! { "password_hash": hash }).await
    }

    async fn set_disabled(&self, id: UserId, disabled: bool) -> Result<bool, StoreError> {
        self.set(this(id), doc! { "disabled": disabled }).await
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        // To the server, no rows means all.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let filter = after.map_or_else(Document::new, |after| {
            doc! { "_id": { "$gt": to_bson(after.0) } }
        });
        self.0
            .read(|database| async move {
                let all = users(&database);
                let found = all.find(filter).sort(doc! { "_id": 1 });
                let mut rows = found.limit(i64::from(limit)).await?;
                let mut listed = Vec::new();
                while let Some(row) = rows.try_next().await? {
                    listed.push(row.try_into()?);
                }
                Ok(listed)
            })
            .await
    }
}

impl Users {
    /// Whether there was such an account.
    async fn set(&self, filter: Document, fields: Document) -> Result<bool, StoreError> {
        self.0
            .change(|database| async move {
                let set = users(&database).update_one(filter, doc! { "$set": fields }).await?;
                Ok(set.matched_count == 1)
            })
            .await
    }
}

async fn create(database: &Database, account: Account) -> Result<Created, StoreError> {
    let name = account.profile.user.username.clone();
    let Err(error) = users(database).insert_one(UserDocument::from(account)).await else {
        return Ok(Created::Done);
    };
    match duplicate_key(&error) {
        Some(schema::USERNAME_INDEX) => Ok(Created::UsernameTaken),
        Some(ID_INDEX) => {
            // Another id would not help who wants a name that is taken.
            let named = find(database, doc! { "username": name.as_str() }).await?;
            Ok(if named.is_some() { Created::UsernameTaken } else { Created::IdTaken })
        }
        _ => Err(error.into()),
    }
}

/// Sets what changes, and raises the version if anything does, in one step of the server's: all
/// expressions of a stage see the document as it was before.
fn profile_update(to: ProfileChange) -> Document {
    let ProfileChange { username, display_name, avatar_url, call } = to;
    let text = |url: Option<AvatarUrl>| url.map_or(Bson::Null, |url| url.as_str().into());
    let fields = [
        ("username", username.map(|name| name.as_str().into())),
        ("display_name", display_name.map(|name| name.as_str().into())),
        ("avatar_url", avatar_url.map(text)),
    ];
    let (mut set, mut differs) = (Document::new(), Vec::new());
    for (field, value) in fields.into_iter().filter_map(|(field, value)| Some((field, value?))) {
        // Literally: what people write may begin with a dollar sign.
        let value = doc! { "$literal": value };
        differs.push(doc! { "$ne": [format!("${field}"), value.clone()] });
        set.insert(field, value);
    }
    let next = doc! { "$add": ["$version", 1_i64] };
    set.insert("version", doc! { "$cond": [{ "$or": differs }, next, "$version"] });
    if !call.is_empty() {
        let calls = doc! { "$ifNull": ["$calls", []] };
        let calls = doc! { "$concatArrays": [calls, [{ "$literal": call }]] };
        set.insert("calls", doc! { "$slice": [calls, i64::from(CALLS_KEPT).saturating_neg()] });
    }
    doc! { "$set": set }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::cluster::mongodb::testing::with_database;
    use crate::store::conformance;

    #[tokio::test]
    async fn conforms() {
        with_database(async |mongo| conformance::users::suite(&Users(mongo)).await).await;
    }
}
