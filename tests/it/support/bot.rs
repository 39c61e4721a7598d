//! A bot of a test: what any NATS client can be, with the inbox prefix, subjects and consumer that
//! the protocol's page names.
//!
//! Invariant: knows nothing of the product's code; an event is acknowledged only when a test takes it.

use std::time::Duration;

use async_nats::jetstream::{self, AckKind};
use async_nats::{Client, ConnectOptions};
use futures::StreamExt as _;
use natter_tests::json::{Look as _, parse_id};
use natter_tests::{Context as _, Failure, Outcome, client, ensure};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::{Person, SOON, World, unique};

/// A bot and its connection.
pub(crate) struct Bot {
    pub(crate) id: u64,
    pub(crate) username: String,
    /// Its credentials file.
    pub(crate) creds: String,
    pub(crate) client: Client,
}

/// An event that a bot took and acknowledged.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Taken {
    /// The entry's id.
    pub(crate) fn id(&self) -> Outcome<u64> {
        self.data.id("id")
    }
}

impl Bot {
    /// A new bot of this owner's, connected.
    pub(crate) async fn of(owner: &Person, world: &World, hint: &str) -> Outcome<Self> {
        let username = unique(hint);
        let body = json!({ "username": username, "display_name": hint });
        let profile = owner.api.post("/bots", &body).await?.ok(201)?;
        let id = profile.id("id")?;
        let creds = Self::new_credentials(owner, id).await?;
        let client = Self::connect(&world.nats, id, &creds).await?;
        Ok(Self { id, username, creds, client })
    }

    /// Credentials as its owner downloads them.
    pub(crate) async fn new_credentials(owner: &Person, id: u64) -> Outcome<String> {
        let path = format!("/bots/{id}/credentials");
        let answer = owner.api.post(&path, &json!({})).await?.ok(201)?;
        Ok(answer["creds"].as_str().during("no creds")?.to_owned())
    }

    /// Another connection of a bot's.
    pub(crate) async fn connect(url: &str, id: u64, creds: &str) -> Outcome<Client> {
        let options = ConnectOptions::with_credentials(creds)?;
        Ok(options.custom_inbox_prefix(format!("_INBOX_{id}")).connect(url).await?)
    }

    /// Asks, and reads the answer.
    pub(crate) async fn ask(&self, what: &str, body: &Value) -> Outcome<Value> {
        let subject = format!("bot.{}.{what}", self.id);
        let asked = self.client.request(subject, body.to_string().into());
        let answer = timeout(SOON, asked).await.during(format_args!("asking {what}"))??;
        Ok(serde_json::from_slice(&answer.payload)?)
    }

    /// Sends, and gives the entry's id.
    pub(crate) async fn say(&self, conversation: u64, content: &str) -> Outcome<u64> {
        self.say_as(conversation, content, &client::nonce()).await
    }

    /// Sends under a nonce.
    pub(crate) async fn say_as(&self, place: u64, content: &str, nonce: &str) -> Outcome<u64> {
        let body = json!({ "content": content, "nonce": nonce });
        let answer = self.ask(&format!("send.{place}"), &body).await?;
        answer.id("id").map_err(|failure| failure.within(format_args!("{answer}")))
    }

    /// Asks for what must be refused with this code.
    pub(crate) async fn refused(&self, what: &str, body: &Value, code: &str) -> Outcome {
        let answer = self.ask(what, body).await?;
        ensure!(answer["error"]["code"] == code, "{what} {body}: {answer}, not {code}");
        Ok(())
    }

    /// The next event, acknowledged.
    pub(crate) async fn take(&self) -> Outcome<Taken> {
        Self::take_on(&self.client, self.id, SOON).await
    }

    /// The next event of a bot on this connection.
    pub(crate) async fn take_on(client: &Client, id: u64, within: Duration) -> Outcome<Taken> {
        let deadline = Instant::now() + within;
        let ask = format!("$JS.API.CONSUMER.MSG.NEXT.BOTS.bot_{id}");
        let jetstream = jetstream::new(client.clone());
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "no event for bot {id} within {within:?}");
            let inbox = client.new_inbox();
            let mut answers = client.subscribe(inbox.clone()).await?;
            let pull = json!({ "batch": 1, "expires": 1_000_000_000 }).to_string();
            client.publish_with_reply(ask.clone(), inbox, pull.into()).await?;
            let waited = timeout(left.min(Duration::from_secs(2)), answers.next()).await;
            let Ok(Some(message)) = waited else { continue };
            // Nothing came in time, or nobody answers now: ask again.
            if message.status.is_some_and(|status| status.as_u16() != 200) {
                continue;
            }
            let message = jetstream::Message { message, context: jetstream.clone() };
            let event: Value = serde_json::from_slice(&message.payload)?;
            message.ack_with(AckKind::Ack).await.map_err(|e| Failure::new(e.to_string()))?;
            client.flush().await?;
            let name = event["t"].as_str().during("an event without a name")?.to_owned();
            return Ok(Taken { name, data: event["d"].clone() });
        }
    }

    /// Takes events until one is of this name, which must be the next.
    pub(crate) async fn expect(&self, name: &str) -> Outcome<Value> {
        let taken = self.take().await?;
        ensure!(taken.name == name, "{taken:?}, not {name}");
        Ok(taken.data)
    }

    /// Whether it is this bot that a field names.
    pub(crate) fn is(&self, field: &Value) -> bool {
        field.as_str().and_then(parse_id) == Some(self.id)
    }
}

impl Person {
    /// Adds a bot to a channel, by its name as anyone.
    pub(crate) async fn add_bot(&self, channel: u64, bot: &Bot) -> Outcome<Value> {
        let path = format!("/channels/{channel}/members");
        self.api.post(&path, &json!({ "username": bot.username })).await?.ok(200)
    }
}
