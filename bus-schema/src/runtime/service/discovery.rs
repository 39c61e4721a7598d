//! What a host tells those who look for services: NATS's micro protocol (ADR-32), which `nats micro`
//! speaks.
//!
//! Invariant: told of is what the host subscribed to, and everything that it took is counted.
//!
//! The messages are async-nats's. Its service itself is not used: when it stops it forgets its
//! subscriptions before the server does, and what is on its way between them is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::service::error::Error as ServiceError;
use async_nats::service::{Info, PingResponse, Stats, endpoint};
use async_nats::{Client, SubscribeError};
use futures::StreamExt as _;
use futures::stream::select_all;
use parking_lot::Mutex;
use rand::distr::{Alphanumeric, SampleString as _};
use time::OffsetDateTime;
use tokio::task::JoinSet;

use super::QUEUE_GROUP;
use crate::error::Code;
use crate::subjects;

/// Characters of an instance's id.
const ID_CHARS: usize = 22;

/// One running service.
pub(super) struct Discovery {
    name: String,
    id: String,
    description: String,
    started: OffsetDateTime,
    endpoints: Mutex<Vec<endpoint::Stats>>,
}

impl Discovery {
    /// Without endpoints.
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: subjects::service(name),
            id: Alphanumeric.sample_string(&mut rand::rng(), ID_CHARS),
            description: format!("Natter: {name}"),
            started: OffsetDateTime::now_utc(),
            endpoints: Mutex::default(),
        }
    }

    /// Tells of an endpoint from now on. Its number, for [`Discovery::count`].
    pub(super) fn add(&self, name: String, subject: String) -> usize {
        let queue_group = QUEUE_GROUP.to_owned();
        let mut endpoints = self.endpoints.lock();
        endpoints.push(endpoint::Stats { name, subject, queue_group, ..Default::default() });
        endpoints.len() - 1
    }

    /// Counts a request that was worked on.
    pub(super) fn count(&self, endpoint: usize, took: Duration, refused: Option<Code>) {
        let mut endpoints = self.endpoints.lock();
        let Some(stats) = endpoints.get_mut(endpoint) else { return };
        stats.requests += 1;
        stats.processing_time += took;
        let requests = u32::try_from(stats.requests).unwrap_or(u32::MAX);
        stats.average_processing_time = stats.processing_time / requests;
        if let Some(code) = refused {
            let (status, code) = (code.as_str().to_owned(), usize::from(code.status()));
            stats.errors += 1;
            stats.last_error = Some(ServiceError { status, code });
        }
    }

    /// Where this instance alone is asked whether it is there.
    pub(super) fn own_ping(&self) -> String {
        subjects::ping(&self.name, &self.id)
    }

    /// Answers whoever asks, until the tasks are dropped.
    pub(super) async fn start(
        self: &Arc<Self>,
        client: &Client,
    ) -> Result<JoinSet<()>, SubscribeError> {
        let mut subscriptions = Vec::new();
        for subject in subjects::discovery(&self.name, &self.id) {
            subscriptions.push(client.subscribe(subject).await?);
        }
        let mut asked = select_all(subscriptions);
        let (this, client) = (Arc::clone(self), client.clone());
        let mut task = JoinSet::new();
        task.spawn(async move {
            while let Some(message) = asked.next().await {
                let verb = message.subject.split('.').nth(1).unwrap_or_default();
                let (Some(reply), Some(said)) = (message.reply, this.answer(verb)) else {
                    continue;
                };
                if let Err(error) = client.publish(reply, said.into()).await {
                    tracing::warn!(%error, "an answer about the service was not sent");
                }
            }
        });
        Ok(task)
    }

    /// Nothing to verbs that the protocol does not have.
    fn answer(&self, verb: &str) -> Option<Vec<u8>> {
        let (name, id) = (self.name.clone(), self.id.clone());
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let kind = |what: &str| format!("io.nats.micro.v1.{what}_response");
        let metadata = HashMap::new;
        let encoded = match verb {
            "PING" => serde_json::to_vec(&PingResponse {
                kind: kind("ping"),
                name,
                id,
                version,
                metadata: metadata(),
            }),
            "INFO" => serde_json::to_vec(&Info {
                kind: kind("info"),
                name,
                id,
                version,
                description: self.description.clone(),
                metadata: metadata(),
                endpoints: self.endpoints.lock().iter().map(described).collect(),
            }),
            "STATS" => serde_json::to_vec(&Stats {
                kind: kind("stats"),
                name,
                id,
                version,
                started: self.started,
                endpoints: self.endpoints.lock().clone(),
            }),
            _ => return None,
        };
        encoded.inspect_err(|error| tracing::error!(%error, verb, "does not serialize")).ok()
    }
}

fn described(stats: &endpoint::Stats) -> endpoint::Info {
    endpoint::Info {
        name: stats.name.clone(),
        subject: stats.subject.clone(),
        queue_group: stats.queue_group.clone(),
        metadata: HashMap::new(),
    }
}
