//! Channels and DMs in MongoDB, in one collection, whose primary key is the one registry of their
//! ids.
//!
//! Invariants: a channel is one document, and a change is one update of it: a compare-and-set on the
//! revision that names what changes and nothing else, and puts the entry into the outbox. A DM is
//! one document as well. No operation needs a transaction; how many channels somebody is in is
//! counted before, so additions at the same moment may exceed it, as the trait says.
//!
//! Leaves out the rules: it commits what the revision allows.

mod commit;
mod create;
mod dms;
mod document;
mod filled;
mod outbox;
pub(super) mod transfer;

use async_trait::async_trait;
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::subjects::DmSubject;
use bus_schema::timestamp::Timestamp;
use futures::TryStreamExt as _;
use mongodb::bson::{Document, doc};

use self::document::{ChannelDocument, Id, conversations, member_path};
use super::mongodb::{Mongo, date, to_bson};
use crate::store::StoreError;
use crate::store::channels::{
    Ack, ChannelStore, Commit, Committed, Created, DmNotice, Look, NewChannel, Opening, Outbox,
    OwnChannel, OwnDm,
};

/// The cluster's [`ChannelStore`].
#[derive(Debug)]
pub(crate) struct Channels(pub(crate) Mongo);

/// The channel with this id; a DM is none.
fn this(id: ConversationId) -> Document {
    doc! { "_id": to_bson(id.0), "revision": { "$exists": true } }
}

#[async_trait]
impl ChannelStore for Channels {
    async fn create(&self, new: NewChannel) -> Result<Created, StoreError> {
        self.0.change(|database| async move { create::create(&database, &new).await }).await
    }

    async fn look(
        &self,
        id: ConversationId,
        users: Vec<UserId>,
    ) -> Result<Option<Look>, StoreError> {
        let projection = document::projection(&users);
        let found = self.find(id, projection).await?;
        found.map(|found| found.look(&users)).transpose()
    }

    async fn show(
        &self,
        id: ConversationId,
        user: UserId,
        most: usize,
    ) -> Result<Option<(Look, Option<Vec<UserId>>)>, StoreError> {
        let mut projection = document::projection(&[user]);
        projection.insert("listed", document::listed(most));
        let Some(found) = self.find(id, projection).await? else { return Ok(None) };
        let members = found.published_members(most)?;
        Ok(Some((found.look(&[user])?, members)))
    }

    async fn made_by(&self, id: ConversationId, call: String) -> Result<Option<u64>, StoreError> {
        self.0.read(|database| async move { commit::made_by(&database, id, call).await }).await
    }

    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError> {
        self.0.change(|database| async move { commit::apply(&database, &commit).await }).await
    }

    async fn outbox(&self, id: ConversationId) -> Result<Option<Outbox>, StoreError> {
        self.0.read(|database| async move { outbox::stands(&database, id).await }).await
    }

    async fn acknowledge(
        &self,
        id: ConversationId,
        ack: Ack,
    ) -> Result<Option<Outbox>, StoreError> {
        self.0.change(|database| async move { outbox::acknowledge(&database, id, ack).await }).await
    }

    async fn waiting_channels(
        &self,
        before: Timestamp,
        after: ConversationId,
        limit: usize,
    ) -> Result<Vec<ConversationId>, StoreError> {
        self.0
            .read(|database| async move { outbox::waiting(&database, before, after, limit).await })
            .await
    }

    async fn channels_of(&self, user: UserId) -> Result<Vec<OwnChannel>, StoreError> {
        let since = format!("{}.since", member_path(user));
        let filter = doc! { "users": to_bson(user.0), since: { "$exists": true } };
        self.0
            .read(|database| async move {
                let all = conversations::<ChannelDocument>(&database);
                let found = all.find(filter).projection(document::projection(&[user]));
                let mut rows = found.await?;
                let mut own = Vec::new();
                while let Some(row) = rows.try_next().await? {
                    own.extend(row.own(user)?);
                }
                own.sort_by_key(|channel| to_bson(channel.id.0));
                Ok(own)
            })
            .await
    }

    async fn dms_of(&self, user: UserId) -> Result<Vec<OwnDm>, StoreError> {
        self.0.read(|database| async move { dms::of(&database, user).await }).await
    }

    async fn dm(&self, id: ConversationId, user: UserId) -> Result<Option<OwnDm>, StoreError> {
        self.0.read(|database| async move { dms::one(&database, id, user).await }).await
    }

    async fn open_dm(
        &self,
        candidate: DmSubject,
        opener: UserId,
        at: Timestamp,
    ) -> Result<Opening, StoreError> {
        self.0
            .change(|database| async move { dms::open(&database, candidate, opener, at).await })
            .await
    }

    async fn dm_noticed(&self, notice: DmNotice) -> Result<(), StoreError> {
        self.0.change(|database| async move { dms::noticed(&database, notice).await }).await
    }

    async fn waiting_dms(
        &self,
        before: Timestamp,
        after: DmNotice,
        limit: usize,
    ) -> Result<Vec<DmNotice>, StoreError> {
        self.0
            .read(|database| async move { dms::waiting(&database, before, after, limit).await })
            .await
    }

    async fn forget_nonces(&self, before: Timestamp) -> Result<(), StoreError> {
        let used = doc! { "nonce.at": { "$lte": date(before) } };
        self.0
            .change(|database| async move {
                let forget = doc! { "$unset": { "nonce": "" } };
                conversations::<Id>(&database).update_many(used, forget).await?;
                Ok(())
            })
            .await
    }
}

impl Channels {
    async fn find(
        &self,
        id: ConversationId,
        projection: Document,
    ) -> Result<Option<ChannelDocument>, StoreError> {
        self.0
            .read(|database| async move {
                let all = conversations(&database);
                Ok(all.find_one(this(id)).projection(projection).await?)
            })
            .await
    }
}

#[cfg(test)]
mod tests;
