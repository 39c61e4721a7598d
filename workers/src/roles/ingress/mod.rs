//! The ingress role: what bots ask for over NATS.
//!
//! Invariants: who asks is in the subject, which the server lets nobody else publish to; whether they
//! may is asked anew for each request. An answer goes into an inbox of the bot that asked or nowhere.
//! Nothing of a request but its payload is used: headers from outside end here. A message is answered
//! with its id only when it is durable and part of the conversation, and under the same message id as
//! a person's, so repeating it with its nonce is the same message.
//!
//! Leaves out what bots receive (the delivery role) and their credentials (the bots role).

mod append;
mod entries;
mod lists;
mod messages;
mod rates;
mod send;
mod settings;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_nats::{HeaderMap, Message};
use bus_schema::body;
use bus_schema::bots::{UsersGet, api};
use bus_schema::error::{Code, ErrorBody, Failure};
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::limits::BODY_BYTES;
use bus_schema::ops::Empty;
use bus_schema::ops::bots::RenewCredentials;
use bus_schema::ops::channels::{Access, ChannelRequest, Listed, ShowChannel};
use bus_schema::ops::profiles::{GetProfiles, GetProfilesRequest};
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::log::group::Group;
use bus_schema::runtime::service::Host;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::Layout;
use bus_schema::subjects::{self, BotRequest};
use futures::FutureExt as _;
use serde::Serialize;
use tokio::time::Instant;

pub use self::settings::IngressSettings;
use super::{RoleError, serve};

/// What every request is worked on with.
struct Ingress {
    bus: Bus,
    layout: Layout,
    log: Group,
    rates: rates::Rates,
}

/// The operations under `api`.
const OPERATIONS: [&str; 8] = [
    api::USERS_GET,
    api::CHANNELS_GET,
    api::CONVERSATIONS_LIST,
    api::MESSAGES_LIST,
    api::MESSAGES_EDIT,
    api::MESSAGES_DELETE,
    api::ENTRIES_LIST,
    api::CREDENTIALS_RENEW,
];

/// Headers by which NATS micro clients know a refusal.
const SERVICE_ERROR: &str = "Nats-Service-Error";
const SERVICE_ERROR_CODE: &str = "Nats-Service-Error-Code";

/// Serves until stopped.
pub async fn run(
    bus: Bus,
    settings: &IngressSettings,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    let layout = bus.layout().await?;
    let log = Group::start(&bus, layout, settings.appends());
    let rates = rates::Rates::new(settings);
    let role = Arc::new(Ingress { bus: bus.clone(), layout, log, rates });
    let mut host = Host::named(&bus, "ingress", settings.service).await?;
    let handler = || {
        let role = Arc::clone(&role);
        move |message| answer(Arc::clone(&role), message)
    };
    host.raw("send", subjects::BOT_SENDS.to_owned(), handler()).await?;
    for operation in OPERATIONS {
        let name = operation.replace('.', "-");
        host.raw(&name, subjects::bot_api(operation), handler()).await?;
    }
    serve(host, &shutdown).await
}

/// Works on one request, unless its answer would go to somebody else.
async fn answer(role: Arc<Ingress>, message: Message) {
    let started = Instant::now();
    let asked = BotRequest::parse(&message.subject).ok();
    let reply = message.reply.clone();
    let (Some(asked), Some(reply)) = (asked, reply) else { return ignored("malformed") };
    if !asked.accepts_reply(&reply) {
        return ignored("reply");
    }
    let work = AssertUnwindSafe(role.work(asked, &message.payload)).catch_unwind();
    let outcome = work.await.unwrap_or_else(|_| {
        tracing::error!("a handler panicked");
        Err(Failure::unavailable())
    });
    let (operation, bot) = (name(asked), asked.bot());
    let said = outcome.as_ref().err().map_or("ok", |failure| failure.code.as_str());
    metrics::histogram!("natter_bot_request_seconds", "operation" => operation, "outcome" => said)
        .record(started.elapsed());
    tracing::debug!(bot.id = %bot, operation, outcome = said, "answered a bot");
    let mut headers = HeaderMap::new();
    let body = outcome.unwrap_or_else(|failure| {
        headers.insert(SERVICE_ERROR, failure.code.as_str());
        headers.insert(SERVICE_ERROR_CODE, failure.code.status().to_string());
        serde_json::to_vec(&ErrorBody { error: failure }).unwrap_or_default()
    });
    let sent = role.bus.client().publish_with_headers(reply, headers, body.into()).await;
    if let Err(error) = sent {
        tracing::warn!(%error, "a bot's answer was not sent");
    }
}

fn ignored(why: &'static str) {
    metrics::counter!("natter_bot_requests_ignored_total", "why" => why).increment(1);
}

/// Operations are the bot's text; metrics know those that there are.
fn name(asked: BotRequest<'_>) -> &'static str {
    match asked {
        BotRequest::Send(..) => "send",
        BotRequest::Api(_, named) => {
            OPERATIONS.into_iter().find(|known| *known == named).unwrap_or("unknown")
        }
    }
}

impl Ingress {
    /// The answer's bytes.
    async fn work(&self, asked: BotRequest<'_>, payload: &[u8]) -> Result<Vec<u8>, Failure> {
        self.rates.count(asked.bot())?;
        if payload.len() > BODY_BYTES {
            return Err(Failure::new(Code::TooLarge, "a request may have 64 KiB"));
        }
        match asked {
            BotRequest::Send(bot, conversation) => {
                encode(&send::send(self, bot, conversation, body::parse(payload)?).await?)
            }
            BotRequest::Api(bot, operation) => self.operate(bot, operation, payload).await,
        }
    }

    async fn operate(&self, bot: UserId, name: &str, payload: &[u8]) -> Result<Vec<u8>, Failure> {
        // An empty payload is what a request without parameters has in most tools.
        let payload = if payload.is_empty() { b"{}" } else { payload };
        match name {
            api::USERS_GET => {
                let UsersGet { ids } = body::parse(payload)?;
                let request = GetProfilesRequest { ids };
                encode(&self.bus.call::<GetProfiles>(&Call::platform(), &request).await?)
            }
            api::CHANNELS_GET => {
                let bus_schema::bots::ChannelsGet { id } = body::parse(payload)?;
                let request = ChannelRequest { id };
                encode(&self.bus.call::<ShowChannel>(&Call::asserted(bot), &request).await?)
            }
            api::CONVERSATIONS_LIST => {
                body::parse::<Empty>(payload)?;
                encode(&lists::conversations(self, bot).await?)
            }
            api::MESSAGES_LIST => encode(&lists::messages(self, bot, body::parse(payload)?).await?),
            api::ENTRIES_LIST => encode(&entries::list(self, bot, body::parse(payload)?).await?),
            api::MESSAGES_EDIT => encode(&messages::edit(self, bot, body::parse(payload)?).await?),
            api::MESSAGES_DELETE => {
                encode(&messages::delete(self, bot, body::parse(payload)?).await?)
            }
            api::CREDENTIALS_RENEW => {
                body::parse::<Empty>(payload)?;
                encode(&self.bus.call::<RenewCredentials>(&Call::asserted(bot), &Empty {}).await?)
            }
            _ => Err(Failure::not_found()),
        }
    }

    /// A conversation of the bot's; `not_found` unless it is in it now.
    async fn access(&self, bot: UserId, id: ConversationId) -> Result<Listed, Failure> {
        self.bus.call::<Access>(&Call::asserted(bot), &ChannelRequest { id }).await
    }
}

fn encode(answer: &impl Serialize) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(answer).map_err(|error| {
        tracing::error!(%error, "an answer does not serialize");
        Failure::unavailable()
    })
}
