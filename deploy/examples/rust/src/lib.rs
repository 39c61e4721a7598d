//! What every bot needs: connecting, asking, taking events.
//!
//! From the environment: `NATS_URL`, `NATS_CREDS` (the path of the credentials file) and `BOT_ID`.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, RequestErrorKind, StatusCode};
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};

pub type Error = Box<dyn StdError + Send + Sync>;

/// A connection, and whose it is.
pub struct Bot {
    pub id: String,
    client: Client,
}

/// What happened; what `d` holds depends on `t`. It is kept as it came.
#[derive(Serialize, Deserialize)]
pub struct Event {
    pub t: String,
    pub d: Box<RawValue>,
}

/// An answer that asking again does not change.
#[derive(Debug, Default, Deserialize)]
pub struct Refused {
    pub code: String,
    pub message: String,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl StdError for Refused {}

impl Bot {
    /// Connects, and from then on reconnects for ever.
    pub async fn connect() -> Result<Self, Error> {
        let id = std::env::var("BOT_ID")?;
        let client = ConnectOptions::with_credentials_file(std::env::var("NATS_CREDS")?)
            .await?
            // The only place where a bot may hear anything.
            .custom_inbox_prefix(format!("_INBOX_{id}"))
            .connect(std::env::var("NATS_URL")?)
            .await?;
        Ok(Self { id, client })
    }

    /// Asks until there is an answer. Safe for everything but a message without a nonce, which each
    /// try would write once more.
    pub async fn ask(&self, what: &str, request: &Value) -> Result<Value, Error> {
        loop {
            let refused = match self.ask_once(what, request).await? {
                Ok(answer) => return Ok(answer),
                Err(refused) => refused,
            };
            match refused.code.as_str() {
                "unavailable" | "timeout" | "unknown_outcome" | "rate_limited" => {}
                _ => return Err(refused.into()),
            }
            sleep(Duration::from_millis(refused.retry_after_ms.unwrap_or(500))).await;
        }
    }

    async fn ask_once(&self, what: &str, request: &Value) -> Result<Result<Value, Refused>, Error> {
        let subject = format!("bot.{}.{what}", self.id);
        let reply = match self.client.request(subject, request.to_string().into()).await {
            Ok(reply) => reply,
            Err(error) => match error.kind() {
                // Nobody was there, or nobody in time.
                RequestErrorKind::TimedOut | RequestErrorKind::NoResponders => {
                    return Ok(Err(Refused { code: "timeout".to_owned(), ..Refused::default() }));
                }
                _ => return Err(error.into()),
            },
        };
        let mut answer: Value = serde_json::from_slice(&reply.payload)?;
        match answer.get_mut("error") {
            Some(error) => Ok(Err(serde_json::from_value(error.take())?)),
            None => Ok(Ok(answer)),
        }
    }

    /// Writes a message, once, however often it is asked for with this nonce in 5 minutes.
    pub async fn send(&self, conversation: &str, content: &str, nonce: &str) -> Result<(), Error> {
        let request = serde_json::json!({ "content": content, "nonce": nonce });
        self.ask(&format!("send.{conversation}"), &request).await.map(drop)
    }

    /// Gives every event to `handle`, and acknowledges it when that succeeds. Ends with its first
    /// error; an event that was not acknowledged comes again.
    pub async fn each(
        &self,
        mut handle: impl AsyncFnMut(Event) -> Result<(), Error>,
    ) -> Result<(), Error> {
        // By hand: the library would look the consumer up, which a bot may not do.
        let pull = format!("$JS.API.CONSUMER.MSG.NEXT.BOTS.bot_{}", self.id);
        let one = r#"{"batch": 1, "expires": 5000000000}"#;
        let inbox = self.client.new_inbox();
        let mut events = self.client.subscribe(inbox.clone()).await?;
        loop {
            self.client.publish_with_reply(pull.clone(), inbox.clone(), one.into()).await?;
            let Ok(event) = timeout(Duration::from_secs(7), events.next()).await else {
                continue; // the connection is being made anew
            };
            let event = event.ok_or("the connection has ended")?;
            // What the server itself says, such as that nothing happened, is not to be acknowledged.
            let Some(acknowledge) = event.reply else {
                if event.status != Some(StatusCode::TIMEOUT) {
                    sleep(Duration::from_millis(500)).await; // it elects a leader, or nobody is there
                }
                continue;
            };
            handle(serde_json::from_slice(&event.payload)?).await?;
            self.client.publish(acknowledge, "+ACK".into()).await?;
        }
    }
}
