//! Incoming webhooks: their management, and what is written through them.
//!
//! Invariant: the secret is in the path because that is what other programs can be given as one text.
//! Nothing here or around it keeps a path: spans and metrics name the route.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::extract::State;
use bus_schema::entry::{Body, MessageCreate};
use bus_schema::error::{Code, Failure};
use bus_schema::ids::{ConversationId, EntryId, UserId, WebhookId};
use bus_schema::ops::auth::Secret;
use bus_schema::ops::bots::{
    CheckWebhook, CheckWebhookRequest, CreateWebhook, CreateWebhookRequest, DeleteWebhook,
    DeleteWebhookRequest, ListWebhooks, ListWebhooksRequest, Webhooks,
};
use bus_schema::runtime::call::Call;
use bus_schema::text::{Content, Nonce};
use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::extract::{Caller, InBody, InPath};
use super::refusal::{Answer, Created, Done, Shown};
use super::request_id::RequestId;
use super::route::{Route, delete, get, post};
use crate::config::EdgeSettings;
use crate::send;
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        post(
            "/v1/channels/{channel}/webhooks",
            "Makes an address that writes as a bot of one's own; its creator only. Shown once",
            create,
        )
        .takes::<AsBot>()
        .creates::<Address>()
        .refuses(&[Code::NotFound, Code::NotOwner, Code::Conflict]),
        get(
            "/v1/channels/{channel}/webhooks",
            "Lists a channel's webhooks; its creator only",
            list,
        )
        .shows::<Webhooks>()
        .refuses(&[Code::NotFound, Code::NotOwner]),
        delete(
            "/v1/channels/{channel}/webhooks/{webhook}",
            "Deletes a webhook: its address is refused from then on",
            remove,
        )
        .refuses(&[Code::NotFound, Code::NotOwner]),
        post(
            "/v1/webhooks/{webhook}/{secret}",
            "Writes a message as the webhook's bot; `text` is what other programs call `content`",
            write,
        )
        .public()
        .takes::<Incoming>()
        .creates::<Written>()
        .refuses(&[Code::NotFound, Code::Conflict]),
    ]
}

/// How often each webhook may write, at this edge.
pub(crate) struct WebhookRates(DefaultKeyedRateLimiter<u64>);

/// Webhooks told apart before those that are back at their full rate are forgotten. Only what exists
/// is counted.
const KEPT: usize = 10_000;

impl WebhookRates {
    /// As the settings say; rates of 0 count as 1.
    pub(crate) fn new(settings: &EdgeSettings) -> Self {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(settings.webhook_per_s))
            .allow_burst(at_least_one(settings.webhook_burst));
        Self(DefaultKeyedRateLimiter::keyed(quota))
    }

    fn count(&self, id: WebhookId) -> Result<(), Failure> {
        if self.0.len() > KEPT {
            self.0.retain_recent();
        }
        self.0.check_key(&id.0).map_err(|refused| {
            let wait = refused.wait_time_from(self.0.clock().now());
            let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            Failure::new(Code::RateLimited, "too many messages through this webhook")
                .retry_after_ms(ms)
        })
    }
}

/// As whom a webhook writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AsBot {
    /// A bot of one's own that is in the channel.
    bot_id: UserId,
}

/// A new webhook.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Address {
    /// Its id.
    id: WebhookId,
    /// Where to write; whoever has it may. Not shown again.
    url: Secret,
}

async fn create(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(channel): InPath<ConversationId>,
    InBody(body): InBody<AsBot>,
) -> Answer<Created<Address>> {
    let request = CreateWebhookRequest { channel, bot: body.bot_id };
    let made = edge.bus.call::<CreateWebhook>(&caller.with_token(), &request).await?;
    let (base, id, secret) = (edge.settings.url(), made.id, made.secret.expose());
    let url = Secret::new(format!("{base}/v1/webhooks/{id}/{secret}"));
    Ok(Created(Address { id, url }))
}

async fn list(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(channel): InPath<ConversationId>,
) -> Answer<Shown<Webhooks>> {
    let request = ListWebhooksRequest { channel };
    Ok(Shown(edge.bus.call::<ListWebhooks>(&caller.with_token(), &request).await?))
}

async fn remove(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath((channel, id)): InPath<(ConversationId, WebhookId)>,
) -> Answer<Done> {
    let request = DeleteWebhookRequest { channel, id };
    edge.bus.call::<DeleteWebhook>(&caller.with_token(), &request).await?;
    Ok(Done)
}

/// What other programs send: one of the two.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Incoming {
    /// 1 to 4,000 characters.
    #[serde(alias = "text")]
    content: Content,
    /// Repeated with it within 5 minutes: the same message.
    #[serde(default)]
    nonce: Option<Nonce>,
}

/// The message that was written.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Written {
    /// Its id.
    id: EntryId,
}

async fn write(
    State(edge): State<Arc<Edge>>,
    request_id: RequestId,
    InPath((id, secret)): InPath<(WebhookId, String)>,
    InBody(body): InBody<Incoming>,
) -> Answer<Created<Written>> {
    let request = CheckWebhookRequest { id, secret: Secret::new(secret) };
    let call = Call::platform().request_id(request_id.as_str());
    let target = edge.bus.call::<CheckWebhook>(&call, &request).await?;
    edge.webhooks.count(id)?;
    let listed = edge.access(target.bot, target.channel, request_id.as_str()).await?;
    let message = Body::MessageCreate(MessageCreate {
        conversation_id: target.channel,
        author_id: target.bot,
        content: body.content,
        edited_at: None,
        nonce: body.nonce.clone(),
    });
    let nonce = body.nonce.as_ref();
    let item = send::append(&edge, target.bot, listed.place, message, nonce).await?;
    Ok(Created(Written { id: item.entry.id }))
}
