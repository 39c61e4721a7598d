//! The streams, as whoever may do everything sees them.
//!
//! Invariant: a question that is not answered in time is no failure: an election may be under way.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use crate::eventually::{Seen, eventually};
use crate::json::Look as _;
use crate::stack::Stack;
use crate::{Context as _, Outcome};

/// How long a question may take.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A stream is led by another node by then.
const LED_WITHIN: Duration = Duration::from_secs(15);
/// The stream that is no part of the platform.
pub const REFERENCE: &str = "REFERENCE";

/// A connection to the cluster, and the log streams there.
pub struct Bus {
    client: async_nats::Client,
    streams: Vec<String>,
    /// Whether there is a stream beside the platform's, to compare with.
    pub has_reference: bool,
}

impl Bus {
    /// Connects, and finds the log streams.
    pub async fn find(stack: &Stack) -> Outcome<Self> {
        let mut bus =
            Self { client: stack.checker().await?, streams: Vec::new(), has_reference: false };
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

    /// Tells the leader of a stream to step down; for a node, where one is named by its index.
    pub async fn step_down(&self, stream: &str, heir: Option<usize>) -> Outcome {
        let body = match heir {
            Some(index) => json!({ "placement": { "preferred": format!("natter-{}", index + 1) } }),
            None => json!({}),
        };
        self.ask(&format!("STREAM.LEADER.STEPDOWN.{stream}"), &body).await.map(|_| ())
    }

    /// Has the reference stream, where there is one, led by a node, so that what hits the leader of a
    /// log stream hits that of the reference as well.
    pub async fn lead_reference(&self, index: usize) -> Outcome {
        if self.has_reference { self.lead(REFERENCE, index).await } else { Ok(()) }
    }

    /// Has a stream led by a node.
    pub async fn lead(&self, stream: &str, index: usize) -> Outcome {
        eventually(&format!("{stream} is led by another node"), LED_WITHIN, async || {
            let leader = self.leader(stream).await?;
            if leader == Some(index) {
                return Ok(Seen::Done(()));
            }
            if leader.is_some() {
                self.step_down(stream, Some(index)).await?;
            }
            Ok(Seen::not_yet(format_args!("led by {leader:?}, not by {index}")))
        })
        .await
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
