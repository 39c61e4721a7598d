//! Serving operations as a NATS micro service.
//!
//! Invariant: every request gets exactly one answer: its handler's, or a refusal. At most
//! `max_in_flight` requests of a host are worked on at once; what waits is bounded by the
//! subscription's buffer. Stopping finishes what was taken and what the server had sent by then.

mod discovery;
mod operation;
mod raw;

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use axum::body::Bytes;
use futures::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use self::discovery::Discovery;
use super::bus::Bus;
use super::shutdown::Shutdown;
use crate::error::{Code, Failure};
use crate::ids::{SessionId, StreamIndex, UserId};
use crate::ops::{self, Operation, Service};

/// How a role serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceSettings {
    /// Requests worked on at once.
    pub max_in_flight: usize,
    /// Seconds to finish what was taken when stopping.
    pub drain_s: u64,
}

impl Default for ServiceSettings {
    fn default() -> Self {
        Self { max_in_flight: 256, drain_s: 10 }
    }
}

/// The queue group of NATS services, in which one of those who serve an operation gets a request.
const QUEUE_GROUP: &str = "q";
/// How long stopping waits until the server has the last answers.
const LAST_FLUSH: Duration = Duration::from_secs(1);
/// How long stopping waits for the server's word that it sends no more requests.
const LAST_REQUESTS: Duration = Duration::from_secs(1);
/// More messages than a subscription ever gets.
const NEVER: u64 = u64::MAX;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The account.
    pub user: UserId,
    /// The session, if the request carried a token.
    pub session: Option<SessionId>,
}

/// What a handler knows of its request besides its content.
#[derive(Debug, Clone)]
pub struct Context {
    caller: Option<Caller>,
    /// Follows the request from its frame to here.
    pub request_id: String,
    /// The same for all attempts of one call of an operation that may be repeated, and for no other
    /// call; empty where there is none.
    pub call_id: String,
}

impl Context {
    /// Who asks; a refusal for operations that nobody in particular asks for.
    pub fn caller(&self) -> Result<Caller, Failure> {
        self.caller.ok_or_else(Failure::unauthorized)
    }
}

/// The service could not start.
#[derive(Debug, thiserror::Error)]
#[error("serving {service}: {why}")]
pub struct ServeError {
    service: &'static str,
    why: String,
}

/// A role's service.
pub struct Host {
    bus: Bus,
    name: &'static str,
    discovery: Arc<Discovery>,
    /// Answers who looks for services, for as long as this is here.
    found: JoinSet<()>,
    permits: Arc<Semaphore>,
    settings: ServiceSettings,
    loops: JoinSet<()>,
    shutdown: Shutdown,
}

impl Host {
    /// Announces the service; operations follow.
    pub async fn new(
        bus: &Bus,
        service: Service,
        settings: ServiceSettings,
    ) -> Result<Self, ServeError> {
        Self::named(bus, service.name(), settings).await
    }

    /// As [`Host::new`], for what serves no operations.
    pub async fn named(
        bus: &Bus,
        name: &'static str,
        settings: ServiceSettings,
    ) -> Result<Self, ServeError> {
        let discovery = Arc::new(Discovery::new(name));
        let found = discovery.start(bus.client()).await;
        let found = found.map_err(|e| ServeError { service: name, why: e.to_string() })?;
        Ok(Self {
            bus: bus.clone(),
            name,
            discovery,
            found,
            permits: Arc::new(Semaphore::new(settings.max_in_flight.max(1))),
            settings,
            loops: JoinSet::new(),
            shutdown: Shutdown::new(),
        })
    }

    /// Serves one operation with `handler`, on one stream's subject if given.
    pub async fn operation<O, F, R>(
        &mut self,
        stream: Option<StreamIndex>,
        handler: F,
    ) -> Result<(), ServeError>
    where
        O: Operation,
        F: Fn(Context, O::Request) -> R + Send + Sync + 'static,
        R: Future<Output = Result<O::Reply, Failure>> + Send + 'static,
    {
        let subject = ops::subject::<O>(stream);
        let name = stream.map_or_else(|| O::NAME.to_owned(), |s| format!("{}-{s}", O::NAME));
        let (bus, handler) = (self.bus.clone(), Arc::new(handler));
        self.accept(name, subject, move |request| {
            let (bus, handler) = (bus.clone(), handler.clone());
            async move { operation::serve::<O, F, R>(&bus, &handler, &request).await }
        })
        .await
    }

    /// Works on every request that comes to a subject, many at once; `work` says how it refused.
    async fn accept<F, R>(
        &mut self,
        name: String,
        subject: String,
        work: F,
    ) -> Result<(), ServeError>
    where
        F: Fn(Message) -> R + Send + Sync + 'static,
        R: Future<Output = Option<Code>> + Send + 'static,
    {
        let client = self.bus.client().clone();
        let requests = client.queue_subscribe(subject.clone(), QUEUE_GROUP.to_owned()).await;
        let mut requests =
            requests.map_err(|e| ServeError { service: self.name, why: e.to_string() })?;
        let endpoint = self.discovery.add(name, subject);
        let (permits, shutdown) = (self.permits.clone(), self.shutdown.clone());
        let discovery = self.discovery.clone();
        self.loops.spawn(async move {
            let mut running = JoinSet::new();
            let mut stopping = false;
            loop {
                let request = tokio::select! {
                    request = requests.next() => request,
                    Some(_) = running.join_next() => continue,
                    () = shutdown.requested(), if !stopping => {
                        // What it has buffered is still served.
                        stopping = true;
                        leave(&client, &discovery, &mut requests).await;
                        continue;
                    }
                };
                let taken = Instant::now();
                let (Some(request), Ok(permit)) = (request, permits.clone().acquire_owned().await)
                else {
                    break;
                };
                let (working, discovery) = (work(request), discovery.clone());
                running.spawn(async move {
                    let refused = working.await;
                    discovery.count(endpoint, taken.elapsed(), refused);
                    drop(permit);
                });
            }
            while running.join_next().await.is_some() {}
        });
        Ok(())
    }

    /// Serves until stopped, then finishes what was taken. Whether all of it was finished in time.
    pub async fn run(mut self, shutdown: Shutdown) -> bool {
        // Requests can reach the subscriptions only once the server has them.
        tokio::select! {
            () = shutdown.requested() => {}
            _ = self.bus.client().flush() => {}
        }
        self.bus.set_serving(true);
        tracing::info!(service = self.name, "serving");
        tokio::select! {
            () = shutdown.requested() => {}
            _ = self.loops.join_next() => {
                tracing::error!(service = self.name, "an operation ended by itself");
            }
        }
        self.bus.set_serving(false);
        self.shutdown.request();
        let drained = async { while self.loops.join_next().await.is_some() {} };
        let in_time = timeout(Duration::from_secs(self.settings.drain_s), drained);
        let in_time = in_time.await.is_ok();
        self.found.shutdown().await;
        // Without NATS there is nobody to flush to, and async-nats would wait for it to come back.
        let _ = timeout(LAST_FLUSH, self.bus.client().flush()).await;
        tracing::info!(service = self.name, in_time, "stopped serving");
        in_time
    }
}

/// Ends a subscription: when this returns it holds all that the server sent to it, and no more comes.
///
/// async-nats 0.51 forgets a subscription before the server has ended it, also in `drain`, which
/// does not wait for the server's word; what comes in between is lost. So the server is asked to end
/// it after more messages than it can count to, which it takes for "now", and the client, which can
/// count that far, keeps it. A server that did count that far would end it at the last line, and
/// what is on its way then would be lost, as with `drain`; `tests/it/log/stop.rs` would see it.
async fn leave(client: &Client, discovery: &Discovery, requests: &mut Subscriber) {
    let _ = requests.unsubscribe_after(NEVER).await;
    // On one connection: what the server sent before it read of the end comes before this answer.
    let answer = client.request(discovery.own_ping(), Bytes::new());
    if !matches!(timeout(LAST_REQUESTS, answer).await, Ok(Ok(_))) {
        tracing::warn!("NATS did not say in time that no more requests come");
    }
    let _ = requests.unsubscribe().await;
}
