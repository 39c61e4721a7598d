//! Incoming webhooks: addresses whose bearer may write to one channel as one bot. Only hashes of their
//! secrets are kept.

use async_trait::async_trait;
use bus_schema::ids::{ConversationId, UserId, WebhookId};
use bus_schema::timestamp::Timestamp;

use super::StoreError;

/// SHA-256 of a webhook's secret.
pub(crate) type SecretHash = [u8; 32];

/// A stored webhook.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct WebhookRecord {
    pub(crate) id: WebhookId,
    pub(crate) hash: SecretHash,
    /// Where it writes.
    pub(crate) channel: ConversationId,
    /// As whom.
    pub(crate) bot: UserId,
    pub(crate) created_at: Timestamp,
}

/// How making a webhook ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    Done,
    /// Choose another id.
    IdTaken,
    /// The channel has as many as allowed.
    TooMany,
}

/// Webhooks.
#[async_trait]
pub(crate) trait WebhookStore: Send + Sync {
    /// Keeps a new one of a channel that then has at most `most`. Exact where the backend has
    /// transactions across documents; elsewhere those made at the same moment may exceed it.
    async fn create(&self, webhook: WebhookRecord, most: usize) -> Result<Created, StoreError>;

    /// The one with this id.
    async fn by_id(&self, id: WebhookId) -> Result<Option<WebhookRecord>, StoreError>;

    /// Those of a channel, in any order.
    async fn of_channel(&self, channel: ConversationId) -> Result<Vec<WebhookRecord>, StoreError>;

    /// Forgets one of a channel's. Whether there was one.
    async fn delete(&self, channel: ConversationId, id: WebhookId) -> Result<bool, StoreError>;

    /// Forgets those that write as a bot.
    async fn delete_of(&self, bot: UserId) -> Result<(), StoreError>;
}
