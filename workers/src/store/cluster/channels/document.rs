//! A channel's document.
//!
//! Members stand twice in it: in `members`, by bucket and id, with what is known of each, and in
//! `users`, a plain list, for the index that finds a user's channels. Measured with 10,000 members
//! against one array of documents: reading one member costs an eighth, for it is found by its path
//! instead of by looking at all, a user's ten such channels a thirtieth, and changing one no more.

use std::collections::HashMap;

use bus_schema::entry::EntryKind;
use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::text::ChannelName;
use mongodb::bson::{Bson, DateTime, Document, doc};
use mongodb::{Collection, Database};
use serde::{Deserialize, Serialize};

use crate::store::StoreError;
use crate::store::channels::{ChannelRecord, Look, Member, Outbox, OutboxItem, OwnChannel};
use crate::store::cluster::mongodb::{corrupt, date, from_bson, schema, time, to_bson};

/// Fields of `members`: of 10,000 members, each holds about 80. For ever: stored documents have it.
const BUCKETS: u64 = 128;

/// What is there of a channel, or was asked for of it.
#[derive(Serialize, Deserialize)]
pub(super) struct ChannelDocument {
    #[serde(rename = "_id")]
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) owner: i64,
    pub(super) revision: i64,
    /// The number of members.
    pub(super) count: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deleted_by: Option<String>,
    pub(super) outbox: Vec<Waiting>,
    #[serde(default)]
    pub(super) members: Members,
    /// `members`, where all were asked for and are not too many.
    #[serde(default, skip_serializing)]
    listed: Option<Members>,
}

/// By bucket and id; made by [`member_path`] alone.
pub(super) type Members = HashMap<String, HashMap<String, MemberDocument>>;

#[derive(Serialize, Deserialize)]
pub(super) struct MemberDocument {
    pub(super) revision: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<i64>,
}

/// What is asked of an item of the outbox by who does not publish it.
#[derive(Serialize, Deserialize)]
pub(super) struct Waiting {
    revision: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<i64>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct ItemDocument {
    revision: i64,
    kind: String,
    payload: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    notice: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    entry: Option<i64>,
    at: DateTime,
}

/// A conversation of which nothing but the id is asked for.
#[derive(Serialize, Deserialize)]
pub(super) struct Id {
    #[serde(rename = "_id")]
    id: i64,
}

impl Id {
    pub(super) const fn conversation(&self) -> ConversationId {
        ConversationId(from_bson(self.id))
    }
}

pub(super) fn conversations<T: Send + Sync>(database: &Database) -> Collection<T> {
    database.collection(schema::CONVERSATIONS)
}

/// Its bucket, and its name there.
pub(super) fn member_key(user: UserId) -> (String, String) {
    ((user.0 % BUCKETS).to_string(), user.to_string())
}

/// Where a member stands in the document.
pub(super) fn member_path(user: UserId) -> String {
    let (bucket, key) = member_key(user);
    format!("members.{bucket}.{key}")
}

/// A channel and what it says of these users, without the others.
pub(super) fn projection(users: &[UserId]) -> Document {
    let mut fields = doc! {
        "name": 1, "owner": 1, "revision": 1, "count": 1, "deleted_by": 1,
        "outbox.revision": 1, "outbox.entry": 1,
    };
    for user in users {
        fields.insert(member_path(*user), 1);
    }
    fields
}

/// All members, unless more than `most` of them must be in the log: those who are not have their
/// MEMBER_ADD in the outbox.
pub(super) fn listed(most: usize) -> Document {
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let in_the_log = doc! { "$subtract": ["$count", { "$size": "$outbox" }] };
    doc! { "$cond": [{ "$lte": [in_the_log, most] }, "$members", Bson::Null] }
}

impl ChannelDocument {
    fn name(&self) -> Result<ChannelName, StoreError> {
        ChannelName::parse(&self.name).map_err(|_| corrupt("a channel's name"))
    }

    fn published(&self) -> u64 {
        let unknown = self.outbox.iter().find(|item| item.entry.is_none());
        let revision = from_bson(self.revision);
        unknown.map_or(revision, |item| from_bson(item.revision).saturating_sub(1))
    }

    fn member(&self, user: UserId) -> Option<Member> {
        let (bucket, key) = member_key(user);
        let member = self.members.get(&bucket)?.get(&key)?;
        let since = member.since.map(|since| EntryId(from_bson(since)));
        Some(Member { user, revision: from_bson(member.revision), since })
    }

    pub(super) fn look(&self, users: &[UserId]) -> Result<Look, StoreError> {
        let channel = ChannelRecord {
            id: ConversationId(from_bson(self.id)),
            name: self.name()?,
            owner: UserId(from_bson(self.owner)),
            revision: from_bson(self.revision),
            published: self.published(),
            members: from_bson(self.count),
            waiting: self.outbox.len() as u64,
            deleted_by: self.deleted_by.clone(),
        };
        let members = users.iter().filter_map(|user| self.member(*user)).collect();
        Ok(Look { channel, members })
    }

    /// The members that the log has, ascending; none if there are more than `most`.
    pub(super) fn published_members(&self, most: usize) -> Result<Option<Vec<UserId>>, StoreError> {
        let Some(listed) = &self.listed else { return Ok(None) };
        let in_the_log = listed.values().flatten().filter(|(_, member)| member.since.is_some());
        let mut users = in_the_log
            .map(|(user, _)| user.parse().map_err(corrupt))
            .collect::<Result<Vec<UserId>, _>>()?;
        users.sort_unstable();
        Ok((users.len() <= most).then_some(users))
    }

    /// As one of its members sees it, once the log has them.
    pub(super) fn own(&self, user: UserId) -> Result<Option<OwnChannel>, StoreError> {
        let since = self.member(user).and_then(|member| member.since);
        let Some(since) = since else { return Ok(None) };
        Ok(Some(OwnChannel {
            id: ConversationId(from_bson(self.id)),
            name: self.name()?,
            owner: UserId(from_bson(self.owner)),
            published: self.published(),
            since,
        }))
    }
}

impl From<&OutboxItem> for ItemDocument {
    fn from(item: &OutboxItem) -> Self {
        Self {
            revision: to_bson(item.revision),
            kind: item.kind.as_str().to_owned(),
            payload: item.payload.clone(),
            notice: item.notice.map(|user| to_bson(user.0)),
            entry: item.entry.map(|entry| to_bson(entry.0)),
            at: date(item.at),
        }
    }
}

impl TryFrom<ItemDocument> for OutboxItem {
    type Error = StoreError;

    fn try_from(stored: ItemDocument) -> Result<Self, StoreError> {
        Ok(Self {
            revision: from_bson(stored.revision),
            kind: EntryKind::parse(&stored.kind).ok_or_else(|| corrupt("an entry's kind"))?,
            payload: stored.payload,
            notice: stored.notice.map(|user| UserId(from_bson(user))),
            entry: stored.entry.map(|entry| EntryId(from_bson(entry))),
            at: time(stored.at),
        })
    }
}

/// What an outbox is published from.
#[derive(Serialize, Deserialize)]
pub(super) struct OutboxDocument {
    revision: i64,
    /// The head alone, or nothing.
    outbox: Vec<ItemDocument>,
}

/// Only the head of the outbox.
pub(super) fn head_projection() -> Document {
    doc! { "_id": 0, "revision": 1, "outbox": { "$slice": 1 } }
}

impl TryFrom<OutboxDocument> for Outbox {
    type Error = StoreError;

    fn try_from(stored: OutboxDocument) -> Result<Self, StoreError> {
        let head = stored.outbox.into_iter().next().map(OutboxItem::try_from).transpose()?;
        Ok(Self { revision: from_bson(stored.revision), head })
    }
}
