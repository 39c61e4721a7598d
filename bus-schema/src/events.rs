//! What clients are shown: the objects of answers and events.
//!
//! Invariant: the same object has the same form everywhere it appears (READY, an answer, an event).
//! Entries are not here: their events are their stored bytes ([`crate::entry`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Code;
use crate::ids::{ConversationId, EntryId, SessionId, UserId};
use crate::text::{AvatarUrl, ChannelName, Content, DisplayName, Nonce, Username};
use crate::timestamp::Timestamp;

/// A person's or bot's profile.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// The account.
    pub id: UserId,
    /// Unique.
    pub username: Username,
    /// Shown to others.
    pub display_name: DisplayName,
    /// Picture, or null.
    pub avatar_url: Option<AvatarUrl>,
    /// Whether this is a bot.
    pub bot: bool,
}

/// A message in its final state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Its entry.
    pub id: EntryId,
    /// Where.
    pub conversation_id: ConversationId,
    /// By whom.
    pub author_id: UserId,
    /// What it says now.
    pub content: Content,
    /// When it was written.
    pub at: Timestamp,
    /// When it was last edited, or null.
    pub edited_at: Option<Timestamp>,
    /// The author's name for it.
    pub nonce: Option<Nonce>,
}

/// A channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Channel {
    /// Its id, which is its conversation's.
    pub id: ConversationId,
    /// Need not be unique.
    pub name: ChannelName,
    /// The creator, its only moderator.
    pub owner_id: UserId,
    /// Rises with every change.
    pub revision: u64,
    /// The members, left out above 1,000.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub member_ids: Option<Vec<UserId>>,
}

/// Channel or DM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConversationKind {
    /// Many people.
    Channel,
    /// Two people.
    Dm,
}

/// A conversation as one of its people sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// Channel or DM.
    pub kind: ConversationKind,
    /// A channel's name.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<ChannelName>,
    /// A channel's creator.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub owner_id: Option<UserId>,
    /// A DM's other person.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub user_id: Option<UserId>,
    /// The newest entry.
    pub last_id: Option<EntryId>,
    /// Up to where this user has read.
    pub read_id: Option<EntryId>,
    /// Messages of others after `read_id`; 100 means 100 or more.
    pub unread: u32,
    /// The newest messages, for some conversations of READY.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub messages: Option<Vec<Message>>,
}

/// The rates a client may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rates {
    /// Sends a second, sustained.
    pub send_per_s: u32,
    /// Sends at once.
    pub send_burst: u32,
}

/// The first event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ready {
    /// Oneself.
    pub user: User,
    /// The session this socket belongs to.
    pub session_id: SessionId,
    /// Every conversation.
    pub conversations: Vec<Conversation>,
    /// Everybody these mention, once.
    pub users: Vec<User>,
    /// Edges alive now.
    pub edges: Vec<String>,
    /// The rates that hold here.
    pub limits: Rates,
}

/// Somebody is typing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Typing {
    /// Where.
    pub conversation_id: ConversationId,
    /// Who.
    pub user_id: UserId,
}

/// A read marker moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Read {
    /// Where.
    pub conversation_id: ConversationId,
    /// To which entry.
    pub id: EntryId,
}

/// More was missed than is replayed: page the entries between, both ends exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// Where.
    pub conversation_id: ConversationId,
    /// After this entry.
    pub from: EntryId,
    /// Before this entry; "0" when nothing follows and nothing is to be paged.
    pub to: EntryId,
}

/// A SEND is durable and part of the conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ack {
    /// Where.
    pub conversation_id: ConversationId,
    /// Which.
    pub nonce: Nonce,
    /// Its entry.
    pub id: EntryId,
}

/// A frame was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Nack {
    /// The op of the refused frame.
    pub op: u8,
    /// Its conversation, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub conversation_id: Option<String>,
    /// Its nonce, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub nonce: Option<String>,
    /// Why.
    pub code: Code,
    /// Why, for people.
    pub message: String,
    /// How long to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retry_after_ms: Option<u64>,
}

/// The conversation is no longer yours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationRemove {
    /// Which.
    pub conversation_id: ConversationId,
}

/// The server's greeting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hello {
    /// How often to send something.
    pub heartbeat_interval_ms: u64,
    /// Product and version.
    pub server: String,
}

/// This edge is leaving.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reconnect {
    /// Wait this long, then connect elsewhere and resume.
    pub after_ms: u64,
}

/// What travels on `ev.eph.<place>` and is not durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "t", content = "d", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Ephemeral {
    /// Somebody is typing; on the conversation's place.
    Typing(Typing),
    /// A marker moved; on the user's place.
    Read(Read),
    /// A profile changed; on every place where it is seen.
    UserUpdate(User),
    /// "This stream sequence is yours and may have passed you by"; on the conversation's place.
    Nudge {
        /// The stream sequence.
        sequence: u64,
    },
}

/// Which subjects got entries in a range of a stream's sequences; ranges of one worker join.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// After this sequence.
    pub from: u64,
    /// Up to and with this one.
    pub to: u64,
    /// Each subject's last sequence in the range.
    pub last: Vec<(crate::subjects::LogSubject, u64)>,
}

/// Up to where the store holds a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floor {
    /// The stream sequence.
    pub sequence: u64,
}

/// An edge that is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeAlive {
    /// Where clients reach it.
    pub url: String,
    /// It is leaving: forget it at once.
    #[serde(default)]
    pub leaving: bool,
}

/// Sessions that were just revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    /// Which.
    pub sessions: Vec<SessionId>,
}

/// A profile as caches see it: a higher version replaces a lower one, never the other way.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct VersionedUser {
    /// Rises with every change of the profile.
    pub version: u64,
    /// The profile.
    pub user: User,
}
