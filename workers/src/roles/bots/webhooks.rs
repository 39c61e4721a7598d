//! Incoming webhooks: made, listed and deleted by a channel's creator, and checked for edges.
//!
//! Invariant: a secret is in the answer that makes it and nowhere else; what is kept is its hash. What
//! does not exist and what does not fit are answered alike.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus_schema::error::{Code, Failure};
use bus_schema::ids::{self, ConversationId, UserId, WebhookId};
use bus_schema::limits::WEBHOOKS_PER_CHANNEL;
use bus_schema::ops::Empty;
use bus_schema::ops::auth::Secret;
use bus_schema::ops::bots::{
    CheckWebhookRequest, CreateWebhookRequest, DeleteWebhookRequest, ListWebhooksRequest,
    NewWebhook, Webhook, WebhookTarget, Webhooks,
};
use bus_schema::ops::channels::{Access, ChannelRequest, Listed, ListedKind};
use bus_schema::runtime::call::Call;
use bus_schema::runtime::service::Context;
use bus_schema::timestamp::Timestamp;
use rand::Rng as _;
use sha2::{Digest as _, Sha256};

use super::Bots;
use crate::store::webhooks::{Created, SecretHash, WebhookRecord};

/// Random ids to try before giving up; the second is hardly ever needed.
const ID_ATTEMPTS: usize = 4;

/// See [`bus_schema::ops::bots::CreateWebhook`].
pub(super) async fn create(
    bots: Arc<Bots>,
    context: Context,
    request: CreateWebhookRequest,
) -> Result<NewWebhook, Failure> {
    let caller = context.caller()?.user;
    let CreateWebhookRequest { channel, bot } = request;
    created_by(&bots, &context, channel, caller).await?;
    bots.owned(bot, caller).await?;
    let member = access(&bots, &context, channel, bot).await;
    member.map_err(|failure| match failure.code {
        Code::NotFound => Failure::new(Code::Conflict, "add the bot to the channel first"),
        _ => failure,
    })?;
    let mut random = [0; 32];
    rand::rng().fill_bytes(&mut random);
    let secret = URL_SAFE_NO_PAD.encode(random);
    let created_at = Timestamp::now();
    for _ in 0..ID_ATTEMPTS {
        let id = WebhookId(ids::compose(created_at.as_millis(), rand::random()));
        let record = WebhookRecord { id, hash: hash(&secret), channel, bot, created_at };
        match bots.webhooks.create(record, WEBHOOKS_PER_CHANNEL).await? {
            Created::Done => return Ok(NewWebhook { id, secret: Secret::new(secret) }),
            Created::TooMany => {
                let why = "the channel has 10 webhooks, which is the most";
                return Err(Failure::new(Code::Conflict, why));
            }
            Created::IdTaken => {}
        }
    }
    tracing::error!("no free webhook id was found");
    Err(Failure::unavailable())
}

/// See [`bus_schema::ops::bots::ListWebhooks`].
pub(super) async fn list(
    bots: Arc<Bots>,
    context: Context,
    request: ListWebhooksRequest,
) -> Result<Webhooks, Failure> {
    let caller = context.caller()?.user;
    created_by(&bots, &context, request.channel, caller).await?;
    let all = bots.webhooks.of_channel(request.channel).await?;
    let mut webhooks: Vec<_> = all
        .into_iter()
        .map(|WebhookRecord { id, bot, created_at, .. }| Webhook { id, bot_id: bot, created_at })
        .collect();
    webhooks.sort_unstable_by_key(|webhook| webhook.id);
    Ok(Webhooks { webhooks })
}

/// See [`bus_schema::ops::bots::DeleteWebhook`].
pub(super) async fn delete(
    bots: Arc<Bots>,
    context: Context,
    request: DeleteWebhookRequest,
) -> Result<Empty, Failure> {
    let caller = context.caller()?.user;
    created_by(&bots, &context, request.channel, caller).await?;
    let deleted = bots.webhooks.delete(request.channel, request.id).await?;
    if deleted { Ok(Empty {}) } else { Err(Failure::not_found()) }
}

/// See [`bus_schema::ops::bots::CheckWebhook`].
pub(super) async fn check(
    bots: Arc<Bots>,
    _: Context,
    request: CheckWebhookRequest,
) -> Result<WebhookTarget, Failure> {
    let found = bots.webhooks.by_id(request.id).await?;
    // Hashes may be compared in any time: nobody can aim at one.
    let found = found.filter(|webhook| webhook.hash == hash(request.secret.expose()));
    let WebhookRecord { channel, bot, .. } = found.ok_or_else(Failure::not_found)?;
    Ok(WebhookTarget { channel, bot })
}

fn hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}

async fn access(
    bots: &Bots,
    context: &Context,
    id: ConversationId,
    user: UserId,
) -> Result<Listed, Failure> {
    let call = Call::asserted(user).request_id(&context.request_id);
    bots.bus.call::<Access>(&call, &ChannelRequest { id }).await
}

/// Refuses whoever did not create the channel.
async fn created_by(
    bots: &Bots,
    context: &Context,
    channel: ConversationId,
    caller: UserId,
) -> Result<(), Failure> {
    match access(bots, context, channel, caller).await?.what {
        ListedKind::Channel { owner_id, .. } if owner_id == caller => Ok(()),
        ListedKind::Channel { .. } => {
            Err(Failure::new(Code::NotOwner, "only the channel's creator may do this"))
        }
        ListedKind::Dm { .. } => Err(Failure::not_found()),
    }
}
