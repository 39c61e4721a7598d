//! `svc.bots.*`: bots and their credentials.
//!
//! Invariant: a bot is an account of its own kind, owned by the person who made it, and stays one
//! for ever; only its owner manages it. What a bot itself asks comes over NATS ([`crate::bots`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Secret;
use super::{Empty, operations};
use crate::events::User;
use crate::ids::{ConversationId, UserId, WebhookId};
use crate::text::{DisplayName, Username};
use crate::timestamp::Timestamp;

operations! { Bots:
    /// Makes a bot of the caller's.
    CreateBot, "create", Token, Unsafe, CreateBotRequest => User;
    /// The caller's bots.
    ListBots, "list", Token, Safe, Empty => Bots;
    /// Ends a bot of the caller's: its credentials, its memberships, then its name.
    DeleteBot, "delete", Token, Safe, BotRequest => Empty;
    /// New credentials for a bot of the caller's.
    Credentials, "credentials", Token, Unsafe, BotRequest => Creds;
    /// Ends all credentials of a bot of the caller's, and with them its connections.
    RevokeCredentials, "revoke", Token, Safe, BotRequest => Empty;
    /// New credentials for the caller, who is a bot.
    RenewCredentials, "renew", Asserted, Unsafe, Empty => Creds;
    /// Makes a webhook of a channel that the caller created, for a bot of theirs that is in it.
    CreateWebhook, "create_webhook", Token, Unsafe, CreateWebhookRequest => NewWebhook;
    /// The webhooks of a channel that the caller created.
    ListWebhooks, "list_webhooks", Token, Safe, ListWebhooksRequest => Webhooks;
    /// Deletes a webhook of a channel that the caller created.
    DeleteWebhook, "delete_webhook", Token, Safe, DeleteWebhookRequest => Empty;
    /// Where and as whom a webhook writes, for whoever has its secret.
    CheckWebhook, "check_webhook", Platform, Safe, CheckWebhookRequest => WebhookTarget;
    /// Which of these accounts are bots that were not deleted.
    WhichBots, "which", Platform, Safe, WhichBotsRequest => BotIds;
}

/// See [`CreateBot`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct CreateBotRequest {
    /// The name to take; bots and people share them.
    pub username: Username,
    /// What others see; the username if none is given.
    #[serde(default)]
    pub display_name: Option<DisplayName>,
}

/// Names a bot.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct BotRequest {
    /// Which.
    pub id: UserId,
}

/// Some bots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bots {
    /// The oldest first.
    pub bots: Vec<User>,
}

/// The text of a creds file, shown once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Creds {
    /// To be saved as a file that only the bot can read.
    pub creds: Secret,
}

/// See [`WhichBots`]. At most [`WHICH_MAX`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WhichBotsRequest {
    /// Whom.
    pub ids: Vec<UserId>,
}

/// Accounts of one [`WhichBots`].
pub const WHICH_MAX: usize = 500;

/// Those that are bots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BotIds {
    /// In any order, each once.
    pub bots: Vec<UserId>,
}

/// See [`CreateWebhook`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct CreateWebhookRequest {
    /// Where it shall write.
    pub channel: ConversationId,
    /// As whom.
    pub bot: UserId,
}

/// A new webhook.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NewWebhook {
    /// Its id.
    pub id: WebhookId,
    /// What whoever writes through it must have; not shown again.
    pub secret: Secret,
}

/// See [`ListWebhooks`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ListWebhooksRequest {
    /// Whose.
    pub channel: ConversationId,
}

/// One webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// As whom it writes.
    pub bot_id: UserId,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Some webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Webhooks {
    /// The oldest first.
    pub webhooks: Vec<Webhook>,
}

/// See [`DeleteWebhook`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct DeleteWebhookRequest {
    /// Whose.
    pub channel: ConversationId,
    /// Which.
    pub id: WebhookId,
}

/// See [`CheckWebhook`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckWebhookRequest {
    /// Which.
    pub id: WebhookId,
    /// What was given as its secret.
    pub secret: Secret,
}

/// What a webhook is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTarget {
    /// Where it writes.
    pub channel: ConversationId,
    /// As whom.
    pub bot: UserId,
}
