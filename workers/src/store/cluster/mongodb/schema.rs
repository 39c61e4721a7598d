//! Collections and indexes, by version.
//!
//! Invariant: a version is recorded after all of its indexes are there. Steps are append-only, and
//! doing one again changes nothing, so that any number of processes may do them at once.

use mongodb::bson::{Document, doc};
use mongodb::error::ErrorKind;
use mongodb::options::IndexOptions;
use mongodb::{Database, IndexModel};

use crate::store::{StoreError, StoreErrorKind};

/// What the collections are called.
pub(crate) const USERS: &str = "users";
pub(crate) const SESSIONS: &str = "sessions";
pub(crate) const SIGN_INS: &str = "sign_ins";
pub(crate) const KEYS: &str = "keys";
pub(crate) const INVITES: &str = "invites";
pub(crate) const WEBHOOKS: &str = "webhooks";
pub(crate) const CONVERSATIONS: &str = "conversations";
const SCHEMA: &str = "schema";

/// Unique indexes that tell callers what was taken; the first is every collection's.
pub(crate) const ID_INDEX: &str = "_id_";
pub(crate) const USERNAME_INDEX: &str = "username";
pub(crate) const NONCE_INDEX: &str = "nonce";
pub(crate) const PAIR_INDEX: &str = "pair";
/// Of conversations with something in the outbox, and of those with a notice that waits. The server
/// would rather walk through all ids.
pub(crate) const OUTBOX_INDEX: &str = "outbox";
pub(crate) const WAITING_INDEX: &str = "waiting";

/// The document of [`SCHEMA`] with the version.
const PEOPLE: &str = "people";
/// The code of "there is such a collection".
const NAMESPACE_EXISTS: i32 = 48;

/// A collection and its indexes.
type Collection = (&'static str, Vec<IndexModel>);

/// Number `n` brings the version from `n` to `n + 1`. Append only.
const STEPS: [fn() -> Vec<Collection>; 2] = [first, second];

fn index(name: &str, keys: Document, options: IndexOptions) -> IndexModel {
    let mut options = options;
    options.name = Some(name.to_owned());
    IndexModel::builder().keys(keys).options(options).build()
}

fn plain(name: &str, keys: Document) -> IndexModel {
    index(name, keys, IndexOptions::default())
}

fn unique(name: &str, keys: Document) -> IndexModel {
    index(name, keys, IndexOptions::builder().unique(true).build())
}

/// An index of the documents that have a field.
fn having(field: &str, index: IndexModel) -> IndexModel {
    let mut options = index.options.unwrap_or_default();
    options.partial_filter_expression = Some(doc! { field: { "$exists": true } });
    IndexModel::builder().keys(index.keys).options(options).build()
}

fn first() -> Vec<Collection> {
    vec![
        (USERS, vec![unique(USERNAME_INDEX, doc! { "username": 1 })]),
        (
            SESSIONS,
            vec![
                plain("user", doc! { "user": 1, "created_at": -1, "_id": -1 }),
                having("ended_at", plain("ended", doc! { "ended_at": 1 })),
                plain("used", doc! { "last_used_at": 1 }),
            ],
        ),
        (SIGN_INS, vec![]),
        (KEYS, vec![]),
        (
            INVITES,
            vec![
                unique("name", doc! { "name": 1 }),
                plain("age", doc! { "created_at": 1, "name": 1 }),
            ],
        ),
        (
            CONVERSATIONS,
            vec![
                having("users", plain("users", doc! { "users": 1 })),
                having(
                    "nonce.text",
                    unique(NONCE_INDEX, doc! { "nonce.owner": 1, "nonce.text": 1 }),
                ),
                having("nonce.at", plain("nonce_at", doc! { "nonce.at": 1 })),
                having("outbox.at", plain(OUTBOX_INDEX, doc! { "_id": 1, "outbox.at": 1 })),
                having("low", unique(PAIR_INDEX, doc! { "low": 1, "high": 1 })),
                having("high", plain("high", doc! { "high": 1 })),
                having("waiting.at", plain(WAITING_INDEX, doc! { "_id": 1, "waiting.at": 1 })),
            ],
        ),
    ]
}

/// Bots have owners, channels have webhooks.
fn second() -> Vec<Collection> {
    let of_channel = plain("channel", doc! { "channel": 1 });
    let of_bot = plain("bot", doc! { "bot": 1 });
    vec![
        (USERS, vec![having("owner", plain("owner", doc! { "owner": 1, "_id": 1 }))]),
        (WEBHOOKS, vec![of_channel, of_bot]),
    ]
}

/// Whether the database has this program's version.
pub(super) async fn is_there(database: &Database) -> Result<bool, StoreError> {
    Ok(usize::try_from(version(database).await?) == Ok(STEPS.len()))
}

/// Brings the database to this program's version; which that is.
pub(super) async fn migrate(database: &Database) -> Result<i64, StoreError> {
    let mut version = version(database).await?;
    let done = usize::try_from(version).unwrap_or(0);
    for step in &STEPS[done..] {
        for (collection, indexes) in step() {
            make(database, collection, indexes).await?;
        }
        version += 1;
        database
            .collection::<Document>(SCHEMA)
            .update_one(doc! { "_id": PEOPLE }, doc! { "$max": { "version": version } })
            .upsert(true)
            .await?;
    }
    Ok(version)
}

async fn make(
    database: &Database,
    collection: &str,
    indexes: Vec<IndexModel>,
) -> Result<(), StoreError> {
    match database.create_collection(collection).await {
        Err(e) if matches!(&*e.kind, ErrorKind::Command(c) if c.code == NAMESPACE_EXISTS) => {}
        made => made?,
    }
    if !indexes.is_empty() {
        database.collection::<Document>(collection).create_indexes(indexes).await?;
    }
    Ok(())
}

/// The recorded version; 0 before the first step.
async fn version(database: &Database) -> Result<i64, StoreError> {
    let known = database.collection::<Document>(SCHEMA).find_one(doc! { "_id": PEOPLE }).await?;
    let version = known.map_or(Ok(0), |known| known.get_i64("version"));
    let version = version.map_err(|_| super::corrupt("the schema's version is no number"))?;
    if usize::try_from(version).is_ok_and(|version| version <= STEPS.len()) {
        return Ok(version);
    }
    let newer = format!("schema version {version} of MongoDB is newer than this program");
    Err(StoreError::new(StoreErrorKind::Corrupt, newer))
}
