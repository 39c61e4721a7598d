//! Keys, accounts and invitations, whole.

use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc, serialize_to_bson};

use super::{Documents, page, this, upsert};
use crate::store::StoreError;
use crate::store::cluster::invites::InviteDocument;
use crate::store::cluster::keys::{KeyDocument, PurposeDocument};
use crate::store::cluster::mongodb::{Mongo, corrupt, schema};
use crate::store::cluster::users::UserDocument;
use crate::store::cluster::webhooks::WebhookDocument;
use crate::store::keys::{KeyRecord, Purpose};
use crate::store::transfer::{Cursor, Page, Record, Table, misplaced};

/// Records of one of these tables.
pub(super) async fn export(
    mongo: &Mongo,
    table: Table,
    from: Option<&Cursor>,
    most: usize,
) -> Result<Page, StoreError> {
    match table {
        Table::Keys => keys(mongo).await,
        Table::Accounts => {
            let account = |stored: UserDocument| Ok(Record::Account(Box::new(stored.try_into()?)));
            let all = Documents::all(schema::USERS);
            page(mongo, all, from, most, |user: &UserDocument| user.id, account).await
        }
        Table::Invites => {
            let invite = |stored: InviteDocument| Ok(Record::Invite(stored.try_into()?));
            let name = |invite: &InviteDocument| invite.name.clone();
            let mut all = Documents::all(schema::INVITES);
            (all.key, all.index) = ("name", "name");
            page(mongo, all, from, most, name, invite).await
        }
        Table::Webhooks => {
            let webhook = |stored: WebhookDocument| Ok(Record::Webhook(stored.try_into()?));
            let all = Documents::all(schema::WEBHOOKS);
            page(mongo, all, from, most, |webhook: &WebhookDocument| webhook.id, webhook).await
        }
        _ => Err(misplaced(table)),
    }
}

/// There are a few; all of them at once.
async fn keys(mongo: &Mongo) -> Result<Page, StoreError> {
    mongo
        .read(|database| async move {
            let all = database.collection::<PurposeDocument>(schema::KEYS);
            let mut found = all.find(doc! {}).sort(doc! { "_id": 1 }).await?;
            let mut page = Page::default();
            while let Some(stored) = found.try_next().await? {
                let named = |purpose: &Purpose| purpose.as_str() == stored.purpose;
                let purpose = Purpose::ALL.into_iter().find(named);
                let purpose = purpose.ok_or_else(|| corrupt("a key for nothing"))?;
                for key in stored.keys {
                    page.records.push(Record::Key(purpose, key.try_into()?));
                }
            }
            Ok(page)
        })
        .await
}

/// Writes records of one of these tables.
pub(super) async fn import(
    mongo: &Mongo,
    table: Table,
    records: &[Record],
) -> Result<(), StoreError> {
    let collection = match table {
        Table::Keys => schema::KEYS,
        Table::Accounts => schema::USERS,
        Table::Invites => schema::INVITES,
        Table::Webhooks => schema::WEBHOOKS,
        _ => return Err(misplaced(table)),
    };
    let updates = records.iter().map(|record| match (table, record) {
        (Table::Keys, Record::Key(purpose, key)) => put_key(*purpose, key),
        (Table::Accounts, Record::Account(account)) => {
            this(&UserDocument::from(account.as_ref().clone()))
        }
        (Table::Webhooks, Record::Webhook(webhook)) => {
            this(&WebhookDocument::from(webhook.clone()))
        }
        (Table::Invites, Record::Invite(invite)) => this(&InviteDocument::from(invite.clone())),
        _ => Err(misplaced(table)),
    });
    upsert(mongo, collection, updates.collect::<Result<Vec<Document>, _>>()?).await
}

/// All keys for a purpose are in one document: this one takes the place of the one with its name.
fn put_key(purpose: Purpose, key: &KeyRecord) -> Result<Document, StoreError> {
    let new = serialize_to_bson(&[KeyDocument::from(key.clone())]).map_err(corrupt)?;
    let others = doc! { "$filter": {
        "input": { "$ifNull": ["$keys", []] },
        "cond": { "$ne": ["$$this.kid", { "$literal": &key.kid }] },
    } };
    let all = doc! { "$concatArrays": [others, { "$literal": new }] };
    Ok(doc! {
        "q": { "_id": purpose.as_str() },
        "u": [{ "$set": { "keys": all } }],
        "upsert": true,
    })
}
