//! Channels, their members and DMs: what the channels role keeps.
//!
//! Invariants: a channel is one document. A change and the log entry it makes are committed
//! together, by a compare-and-set on the revision, which rises by one with each change; the entry
//! waits in the document's outbox until the log has it, and leaves from the head, so the log gets
//! the changes in the order of their revisions. Changes are explicit, so that no backend has to
//! rewrite 10,000 members to add one. One registry holds the ids of channels and DMs: its primary
//! key arbitrates.
//!
//! Leaves out who may do what (the role's rules) and publishing (the role's publisher).

mod outbox;

use async_trait::async_trait;
use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::subjects::DmSubject;
use bus_schema::text::{ChannelName, Nonce};
use bus_schema::timestamp::Timestamp;

pub(crate) use self::outbox::{Ack, AckEffect, Change, Commit, Committed, Outbox, OutboxItem};
use super::StoreError;

/// A channel without its members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChannelRecord {
    /// Its id.
    pub(crate) id: ConversationId,
    /// Its name.
    pub(crate) name: ChannelName,
    /// Its creator.
    pub(crate) owner: UserId,
    /// The revision of its last committed change.
    pub(crate) revision: u64,
    /// The revision up to which the log is known to have its changes. Answers name this one: what
    /// they show never lacks a change at or below it, so the entries above it are news to whoever
    /// got the answer.
    pub(crate) published: u64,
    /// Members, those included whose MEMBER_ADD is not yet in the log.
    pub(crate) members: u64,
    /// Changes in the outbox.
    pub(crate) waiting: u64,
    /// The request that deleted it, if it is deleted.
    pub(crate) deleted_by: Option<String>,
}

/// A member, as the document has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Member {
    /// Who.
    pub(crate) user: UserId,
    /// The revision that made them one.
    pub(crate) revision: u64,
    /// Their MEMBER_ADD; none until the log has it, and until then they are not yet a member to
    /// anybody who asks.
    pub(crate) since: Option<EntryId>,
}

/// A channel and what it says of some users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Look {
    /// The channel.
    pub(crate) channel: ChannelRecord,
    /// Those of the users asked about who are members.
    pub(crate) members: Vec<Member>,
}

impl Look {
    /// What the document says of a user, if they were asked about and are a member.
    pub(crate) fn member(&self, user: UserId) -> Option<Member> {
        self.members.iter().copied().find(|member| member.user == user)
    }
}

/// A channel of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OwnChannel {
    /// Its id.
    pub(crate) id: ConversationId,
    /// Its name.
    pub(crate) name: ChannelName,
    /// Its creator.
    pub(crate) owner: UserId,
    /// As [`ChannelRecord::published`].
    pub(crate) published: u64,
    /// The user's MEMBER_ADD.
    pub(crate) since: EntryId,
}

/// A DM as one of its two people sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OwnDm {
    /// Where it is; names both people.
    pub(crate) place: DmSubject,
    /// Whether this one opened it.
    pub(crate) opened: bool,
}

/// A channel to create. The creator's MEMBER_ADD is its revision 1.
#[derive(Debug, Clone)]
pub(crate) struct NewChannel {
    /// The id to try.
    pub(crate) id: ConversationId,
    /// Its name.
    pub(crate) name: ChannelName,
    /// Its creator.
    pub(crate) owner: UserId,
    /// The creator's name for the request.
    pub(crate) nonce: Option<Nonce>,
    /// A nonce used at or before this time is free again.
    pub(crate) nonces_before: Timestamp,
    /// Now.
    pub(crate) at: Timestamp,
    /// Channels the creator may be in, this one included.
    pub(crate) most_channels: u64,
}

/// What became of a [`NewChannel`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    /// It is there, its entry in its outbox.
    New,
    /// The creator used the nonce for this channel before.
    Repeated(ConversationId),
    /// The id belongs to another conversation; try another.
    IdTaken,
    /// The creator is in as many channels as allowed.
    TooManyChannels,
}

/// What became of opening a DM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Opening {
    /// It is open to this user.
    Open {
        /// Where it is.
        place: DmSubject,
        /// The user's notice of it is still to be published.
        notice: bool,
    },
    /// The id belongs to another conversation; try another.
    IdTaken,
}

/// A DM notice that is still to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DmNotice {
    /// The DM.
    pub(crate) id: ConversationId,
    /// Who opened it.
    pub(crate) user: UserId,
}

/// How many of a channel's last changes are known by the calls that asked for them.
pub(crate) const CALLS_KEPT: u64 = 64;

/// What the channels role needs of a store. Every write is durable when it is answered.
#[async_trait]
pub(crate) trait ChannelStore: Send + Sync + 'static {
    /// Creates a channel; its id, its nonce and its first outbox item together or not at all.
    async fn create(&self, new: NewChannel) -> Result<Created, StoreError>;

    /// A channel, also a deleted one, and what it says of `users`.
    async fn look(
        &self,
        id: ConversationId,
        users: Vec<UserId>,
    ) -> Result<Option<Look>, StoreError>;

    /// As [`ChannelStore::look`] for one user, and at the same moment the members that the log
    /// has, in ascending order; none if there are more than `most`.
    async fn show(
        &self,
        id: ConversationId,
        user: UserId,
        most: usize,
    ) -> Result<Option<(Look, Option<Vec<UserId>>)>, StoreError>;

    /// The revision that a call has made, if it is one of the channel's last [`CALLS_KEPT`]. A call
    /// that is repeated may still be under way to a worker that cannot be reached, and come there
    /// when it has long been done elsewhere and undone again.
    async fn made_by(&self, id: ConversationId, call: String) -> Result<Option<u64>, StoreError>;

    /// Commits a change if the channel's revision is the expected one.
    async fn commit(&self, commit: Commit) -> Result<Committed, StoreError>;

    /// Where a channel's outbox stands; none for a channel that is not there.
    async fn outbox(&self, id: ConversationId) -> Result<Option<Outbox>, StoreError>;

    /// Does what [`OutboxItem::acknowledged`] says to the head, and tells where the outbox stands
    /// then.
    async fn acknowledge(&self, id: ConversationId, ack: Ack)
    -> Result<Option<Outbox>, StoreError>;

    /// Channels with something in the outbox that was committed at or before `before`, in
    /// ascending order of their ids, after `after`, at most `limit`.
    async fn waiting_channels(
        &self,
        before: Timestamp,
        after: ConversationId,
        limit: usize,
    ) -> Result<Vec<ConversationId>, StoreError>;

    /// The channels of which a user is a member (with their MEMBER_ADD in the log), by id.
    async fn channels_of(&self, user: UserId) -> Result<Vec<OwnChannel>, StoreError>;

    /// The DMs of a user, whoever opened them, by id.
    async fn dms_of(&self, user: UserId) -> Result<Vec<OwnDm>, StoreError>;

    /// A DM as `user` sees it; none for anybody but its two people.
    async fn dm(&self, id: ConversationId, user: UserId) -> Result<Option<OwnDm>, StoreError>;

    /// Marks the DM of two people as opened by the first, making it with the id `candidate` where
    /// there is none.
    async fn open_dm(
        &self,
        candidate: DmSubject,
        opener: UserId,
        at: Timestamp,
    ) -> Result<Opening, StoreError>;

    /// The notice was published.
    async fn dm_noticed(&self, notice: DmNotice) -> Result<(), StoreError>;

    /// Notices of DMs opened at or before `before`, in ascending order, after `after`, at most
    /// `limit`.
    async fn waiting_dms(
        &self,
        before: Timestamp,
        after: DmNotice,
        limit: usize,
    ) -> Result<Vec<DmNotice>, StoreError>;

    /// Forgets nonces used at or before `before`.
    async fn forget_nonces(&self, before: Timestamp) -> Result<(), StoreError>;
}
