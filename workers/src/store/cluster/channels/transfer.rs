//! Channels, DMs and nonces, whole. A nonce is a part of the channel's document.

use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::subjects::DmSubject;
use bus_schema::text::{ChannelName, Nonce};
use mongodb::bson::{DateTime, Document, doc, serialize_to_bson};
use serde::{Deserialize, Serialize};

use super::document::{ItemDocument, MemberDocument, Members, member_key};
use crate::store::StoreError;
use crate::store::channels::{Member, OutboxItem};
use crate::store::cluster::mongodb::{Mongo, corrupt, date, from_bson, schema, time, to_bson};
use crate::store::cluster::transfer::{Documents, page, this, upsert};
use crate::store::transfer::{
    ChannelCopy, Cursor, DmCopy, DmOpening, NonceCopy, Page, Record, Table, misplaced,
};

/// All of a channel but its nonce.
#[derive(Serialize, Deserialize)]
struct WholeChannel {
    #[serde(rename = "_id")]
    id: i64,
    name: String,
    owner: i64,
    revision: i64,
    #[serde(default)]
    deleted_by: Option<String>,
    outbox: Vec<ItemDocument>,
    #[serde(default)]
    members: Members,
}

#[derive(Serialize, Deserialize)]
struct WholeDm {
    #[serde(rename = "_id")]
    id: i64,
    low: i64,
    high: i64,
    opened: Vec<i64>,
    waiting: Vec<Waiting>,
}

#[derive(Serialize, Deserialize)]
struct Waiting {
    user: i64,
    at: DateTime,
}

/// The nonce of a channel.
#[derive(Serialize, Deserialize)]
struct Used {
    #[serde(rename = "_id")]
    id: i64,
    nonce: UsedNonce,
}

#[derive(Serialize, Deserialize)]
struct UsedNonce {
    owner: i64,
    text: String,
    at: DateTime,
}

/// Records of one of these tables.
pub(in crate::store::cluster) async fn export(
    mongo: &Mongo,
    table: Table,
    from: Option<&Cursor>,
    most: usize,
) -> Result<Page, StoreError> {
    let all = Documents::all(schema::CONVERSATIONS);
    match table {
        Table::Channels => {
            let mut channels = all.having("revision");
            channels.fields = Some(doc! { "nonce": 0, "users": 0, "count": 0 });
            page(mongo, channels, from, most, |channel: &WholeChannel| channel.id, channel).await
        }
        Table::Dms => page(mongo, all.having("low"), from, most, |dm: &WholeDm| dm.id, dm).await,
        Table::Nonces => {
            let mut nonces = all.having("nonce.text");
            nonces.fields = Some(doc! { "nonce": 1 });
            page(mongo, nonces, from, most, |used: &Used| used.id, nonce).await
        }
        _ => Err(misplaced(table)),
    }
}

fn channel(stored: WholeChannel) -> Result<Record, StoreError> {
    let members = stored.members.values().flatten().map(|(user, member)| {
        Ok(Member {
            user: user.parse().map_err(corrupt)?,
            revision: from_bson(member.revision),
            since: member.since.map(from_bson).map(EntryId),
        })
    });
    let mut members = members.collect::<Result<Vec<_>, StoreError>>()?;
    members.sort_unstable_by_key(|member| member.user);
    let outbox = stored.outbox.into_iter().map(OutboxItem::try_from);
    Ok(Record::Channel(Box::new(ChannelCopy {
        id: ConversationId(from_bson(stored.id)),
        name: ChannelName::parse(&stored.name).map_err(corrupt)?,
        owner: UserId(from_bson(stored.owner)),
        revision: from_bson(stored.revision),
        deleted_by: stored.deleted_by,
        members,
        outbox: outbox.collect::<Result<_, _>>()?,
    })))
}

#[expect(clippy::needless_pass_by_value, reason = "as all that make records of what a page holds")]
fn dm(stored: WholeDm) -> Result<Record, StoreError> {
    let openings = stored.opened.iter().map(|user| {
        let waiting = stored.waiting.iter().find(|waiting| waiting.user == *user);
        let waiting_since = waiting.map(|waiting| time(waiting.at));
        DmOpening { user: UserId(from_bson(*user)), waiting_since }
    });
    let mut openings: Vec<_> = openings.collect();
    openings.sort_unstable_by_key(|opening| opening.user);
    let [low, high] = [stored.low, stored.high].map(|user| UserId(from_bson(user)));
    let place = DmSubject::new(low, high, ConversationId(from_bson(stored.id)));
    let place = place.ok_or_else(|| corrupt("a DM with oneself"))?;
    Ok(Record::Dm(DmCopy { place, openings }))
}

#[expect(clippy::needless_pass_by_value, reason = "as all that make records of what a page holds")]
fn nonce(stored: Used) -> Result<Record, StoreError> {
    Ok(Record::Nonce(NonceCopy {
        owner: UserId(from_bson(stored.nonce.owner)),
        nonce: Nonce::parse(&stored.nonce.text).map_err(corrupt)?,
        channel: ConversationId(from_bson(stored.id)),
        at: time(stored.nonce.at),
    }))
}

/// Writes records of one of these tables.
pub(in crate::store::cluster) async fn import(
    mongo: &Mongo,
    table: Table,
    records: &[Record],
) -> Result<(), StoreError> {
    let updates = records.iter().map(|record| match (table, record) {
        (Table::Channels, Record::Channel(channel)) => put_channel(channel),
        (Table::Dms, Record::Dm(dm)) => put_dm(dm),
        (Table::Nonces, Record::Nonce(nonce)) => Ok(put_nonce(nonce)),
        _ => Err(misplaced(table)),
    });
    upsert(mongo, schema::CONVERSATIONS, updates.collect::<Result<Vec<_>, _>>()?).await
}

/// Leaves a nonce that is there alone.
fn put_channel(channel: &ChannelCopy) -> Result<Document, StoreError> {
    let items: Vec<_> = channel.outbox.iter().map(ItemDocument::from).collect();
    let mut members = Members::new();
    for member in &channel.members {
        let (bucket, key) = member_key(member.user);
        let revision = to_bson(member.revision);
        let since = member.since.map(|entry| to_bson(entry.0));
        members.entry(bucket).or_default().insert(key, MemberDocument { revision, since });
    }
    let users: Vec<_> = channel.members.iter().map(|m| to_bson(m.user.0)).collect();
    let mut fields = doc! {
        "name": channel.name.as_str(),
        "owner": to_bson(channel.owner.0),
        "revision": to_bson(channel.revision),
        "count": to_bson(channel.members.len() as u64),
        "outbox": serialize_to_bson(&items).map_err(corrupt)?,
        "members": serialize_to_bson(&members).map_err(corrupt)?,
        "users": users,
    };
    let mut update = Document::new();
    match &channel.deleted_by {
        Some(request) => {
            fields.insert("deleted_by", request);
        }
        None => {
            update.insert("$unset", doc! { "deleted_by": "" });
        }
    }
    update.insert("$set", fields);
    Ok(doc! { "q": { "_id": to_bson(channel.id.0) }, "u": update, "upsert": true })
}

fn put_dm(dm: &DmCopy) -> Result<Document, StoreError> {
    let [low, high] = dm.place.people().map(|user| to_bson(user.0));
    let waiting = dm.openings.iter().filter_map(|opening| {
        let at = date(opening.waiting_since?);
        Some(Waiting { user: to_bson(opening.user.0), at })
    });
    this(&WholeDm {
        id: to_bson(dm.place.id().0),
        low,
        high,
        opened: dm.openings.iter().map(|opening| to_bson(opening.user.0)).collect(),
        waiting: waiting.collect(),
    })
}

/// Of a channel that is there.
fn put_nonce(copy: &NonceCopy) -> Document {
    let nonce = doc! {
        "owner": to_bson(copy.owner.0), "text": copy.nonce.as_str(), "at": date(copy.at),
    };
    doc! { "q": { "_id": to_bson(copy.channel.0) }, "u": { "$set": { "nonce": nonce } } }
}
