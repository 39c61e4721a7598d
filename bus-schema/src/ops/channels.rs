//! `svc.channels.*`: channels, DMs, and who is in them.
//!
//! Invariant: everything about membership carries the channel's revision, and a lower revision
//! never overrides a higher one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::operations;
use crate::events::{Channel, User};
use crate::ids::{ConversationId, EntryId, UserId};
use crate::subjects::LogSubject;
use crate::text::{ChannelName, Nonce, Username};

operations! { Channels:
    /// Makes a channel; repeated with its nonce within 5 minutes, the same one.
    CreateChannel, "create", Token, Unsafe, CreateChannelRequest => Channel;
    /// Shows a channel to a member.
    GetChannel, "get", Token, Safe, ChannelRequest => Channel;
    /// Renames; the creator only.
    RenameChannel, "rename", Token, Safe, RenameChannelRequest => Channel;
    /// Deletes; the creator only.
    DeleteChannel, "delete", Token, Safe, ChannelRequest => super::Empty;
    /// Adds somebody by name; the creator only. Adding a member again changes nothing.
    AddMember, "add_member", Token, Safe, AddMemberRequest => Channel;
    /// Removes somebody, or leaves.
    RemoveMember, "remove_member", Token, Unsafe, RemoveMemberRequest => super::Empty;
    /// The DM with somebody: the same id whoever opens it, whenever.
    OpenDm, "open_dm", Token, Safe, OpenDmRequest => OpenedDm;
    /// The caller's conversations, without their members.
    ListConversations, "list", Asserted, Safe, super::Empty => Listing;
    /// One conversation of the caller; `not_found` unless they are in it.
    Access, "access", Asserted, Safe, ChannelRequest => Listed;
    /// Every place where a change of the caller's profile is seen.
    Audience, "audience", Asserted, Safe, super::Empty => AudienceReply;
}

/// See [`CreateChannel`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CreateChannelRequest {
    /// Its name.
    pub name: ChannelName,
    /// Makes repeating safe.
    #[serde(default)]
    pub nonce: Option<Nonce>,
}

/// Names a channel or DM.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ChannelRequest {
    /// Which.
    pub id: ConversationId,
}

/// See [`RenameChannel`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RenameChannelRequest {
    /// Which.
    pub id: ConversationId,
    /// The new name.
    pub name: ChannelName,
}

/// See [`AddMember`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AddMemberRequest {
    /// Which channel.
    pub id: ConversationId,
    /// Whom.
    pub username: Username,
}

/// See [`RemoveMember`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct RemoveMemberRequest {
    /// Which channel.
    pub id: ConversationId,
    /// Whom; none means oneself.
    pub user_id: Option<UserId>,
}

/// See [`OpenDm`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenDmRequest {
    /// With whom.
    pub username: Username,
}

/// A DM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenedDm {
    /// Its conversation.
    pub id: ConversationId,
    /// The other person.
    pub user: User,
}

/// One of the caller's conversations, as the document says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// Where its entries are.
    pub place: LogSubject,
    /// What it is.
    #[serde(flatten)]
    pub what: ListedKind,
}

/// What a [`Listed`] conversation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ListedKind {
    /// A channel of which the caller is a member.
    Channel {
        /// Its name.
        name: ChannelName,
        /// Its creator.
        owner_id: UserId,
        /// Its revision.
        revision: u64,
        /// The caller's own MEMBER_ADD.
        since: EntryId,
    },
    /// A DM. It shows to the caller if they opened it or if it has entries.
    Dm {
        /// Whether the caller opened it.
        opened: bool,
    },
}

impl Listed {
    /// The caller's own MEMBER_ADD; zero in a DM.
    pub fn since(&self) -> EntryId {
        match self.what {
            ListedKind::Channel { since, .. } => since,
            ListedKind::Dm { .. } => EntryId::ZERO,
        }
    }
}

/// The caller's conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Channels, then DMs.
    pub conversations: Vec<Listed>,
}

/// See [`Audience`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudienceReply {
    /// Channels of the user, and the user places of their DM partners.
    pub places: Vec<LogSubject>,
}
