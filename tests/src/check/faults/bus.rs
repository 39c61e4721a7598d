//! The streams, as whoever may do everything sees them.
//!
//! Invariant: a question that is not answered in time is no failure: an election may be under way.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::json::Look as _;
use crate::stack::Stack;
use crate::{Context as _, Outcome};

/// How long a question may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A connection to the cluster, and the log streams there.
pub struct Bus {
    client: async_nats::Client,
    streams: Vec<String>,
}

impl Bus {
    /// Connects, and finds the log streams.
    pub async fn find(stack: &Stack) -> Outcome<Self> {
        let mut bus = Self { client: stack.checker().await?, streams: Vec::new() };
        let names =
            bus.ask("STREAM.NAMES", &json!({})).await?.during("the names of the streams")?;
        for name in names.list("streams")? {
            let name = name.as_str().during("a stream without a name")?;
            if name.starts_with("LOG_") {
                bus.streams.push(name.to_owned());
            }
        }
        bus.streams.sort();
        Ok(bus)
    }

    /// The connection.
    pub fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// Their names.
    pub fn log_streams(&self) -> &[String] {
        &self.streams
    }

    /// What a stream says of itself.
    pub async fn info(&self, stream: &str) -> Outcome<Option<Value>> {
        self.ask(&format!("STREAM.INFO.{stream}"), &json!({})).await
    }

    /// The index of the node that leads a stream.
    pub async fn leader(&self, stream: &str) -> Outcome<Option<usize>> {
        let Some(info) = self.info(stream).await? else { return Ok(None) };
        let leader = info.pointer("/cluster/leader").and_then(Value::as_str).unwrap_or_default();
        let number = leader.strip_prefix("natter-").and_then(|number| number.parse::<usize>().ok());
        Ok(number.and_then(|number| number.checked_sub(1)))
    }

    /// Tells the leader of a stream to step down.
    pub async fn step_down(&self, stream: &str) -> Outcome {
        self.ask(&format!("STREAM.LEADER.STEPDOWN.{stream}"), &json!({})).await.map(|_| ())
    }

    /// One request of the JetStream API. None: no answer, or that there is none now.
    pub async fn ask(&self, what: &str, body: &Value) -> Outcome<Option<Value>> {
        let subject = format!("$JS.API.{what}");
        let asked = self.client.request(subject, body.to_string().into());
        let Ok(Ok(answer)) = timeout(ANSWERED_WITHIN, asked).await else { return Ok(None) };
        let answer: Value = serde_json::from_slice(&answer.payload).during(what)?;
        match answer.pointer("/error/code").and_then(Value::as_u64) {
            None => Ok(Some(answer)),
            Some(503) => Ok(None),
            Some(_) => crate::fail!("{what}: {answer}"),
        }
    }
}
