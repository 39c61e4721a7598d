//! What bots ask over NATS (`bot.<bot>.send.<conversation>`, `bot.<bot>.api.<operation>`), and what
//! they are answered.
//!
//! Invariant: what a bot sends is bound by the same types as what people send ([`crate::text`]), and
//! an answer is the object that people get for the same request, or `{"error": …}`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ids::{ConversationId, EntryId, UserId};
use crate::text::{Content, Nonce};
use crate::timestamp::Timestamp;

/// The operations under `api`, but for sending.
pub mod api {
    /// Users by id.
    pub const USERS_GET: &str = "users.get";
    /// A channel of the bot's.
    pub const CHANNELS_GET: &str = "channels.get";
    /// All conversations of the bot.
    pub const CONVERSATIONS_LIST: &str = "conversations.list";
    /// A page of messages.
    pub const MESSAGES_LIST: &str = "messages.list";
    /// Replacing a message's content.
    pub const MESSAGES_EDIT: &str = "messages.edit";
    /// Deleting a message.
    pub const MESSAGES_DELETE: &str = "messages.delete";
    /// A page of entries, for what a GAP left out.
    pub const ENTRIES_LIST: &str = "entries.list";
    /// New credentials.
    pub const CREDENTIALS_RENEW: &str = "credentials.renew";
}

/// A message to be sent.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BotSend {
    /// 1 to 4,000 characters.
    pub content: Content,
    /// Repeated with it within 5 minutes: the same message. Without it each request is another.
    #[serde(default)]
    pub nonce: Option<Nonce>,
}

/// The message is durable and part of the conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BotSent {
    /// Its entry.
    pub id: EntryId,
}

/// `users.get`: at most 100.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct UsersGet {
    /// Whom.
    pub ids: Vec<UserId>,
}

/// `channels.get`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct ChannelsGet {
    /// Which.
    pub id: ConversationId,
}

/// `messages.list`: at most one bound, as over HTTP.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct MessagesList {
    /// Where.
    pub conversation_id: ConversationId,
    /// The newest before this one.
    #[serde(default)]
    pub before: Option<EntryId>,
    /// The oldest after this one.
    #[serde(default)]
    pub after: Option<EntryId>,
    /// This one and what is on both sides of it.
    #[serde(default)]
    pub around: Option<EntryId>,
    /// What is on both sides of the first at or after this time.
    #[serde(default)]
    pub at: Option<Timestamp>,
    /// How many, 1 to 100; 50 by default.
    #[serde(default)]
    pub limit: Option<u32>,
}

/// `messages.edit`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MessagesEdit {
    /// Where.
    pub conversation_id: ConversationId,
    /// Which message.
    pub message_id: EntryId,
    /// 1 to 4,000 characters.
    pub content: Content,
}

/// `messages.delete`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct MessagesDelete {
    /// Where.
    pub conversation_id: ConversationId,
    /// Which message.
    pub message_id: EntryId,
}

/// `entries.list`: every kind, ascending.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
pub struct EntriesList {
    /// Where.
    pub conversation_id: ConversationId,
    /// After this one; none: from the first.
    #[serde(default)]
    pub after: Option<EntryId>,
    /// How many, 1 to 100; 50 by default.
    #[serde(default)]
    pub limit: Option<u32>,
}
