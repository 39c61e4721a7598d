//! Serving operations as a NATS micro service.
//!
//! Invariant: every request gets exactly one answer: its handler's, or a refusal. At most
//! `max_in_flight` requests of a host are worked on at once; what waits is bounded by the
//! subscription's buffer. Stopping finishes what was taken.

mod raw;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::service::error::Error as ServiceError;
use async_nats::service::{self, ServiceExt as _};
use futures::{FutureExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::bus::Bus;
use super::shutdown::Shutdown;
use super::{HEADER_CALL, HEADER_FAILURE, HEADER_REQUEST_ID, HEADER_TOKEN, HEADER_USER};
use crate::error::Failure;
use crate::ids::{SessionId, StreamIndex, UserId};
use crate::ops::{self, CallerRule, Operation, Service};

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

/// How long stopping waits until the server has the last answers.
const LAST_FLUSH: Duration = Duration::from_secs(1);

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

/// Characters of a call's id that are kept.
const CALL_ID_CHARS: usize = 64;

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
    service: service::Service,
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
        let started = bus
            .client()
            .service_builder()
            .description(format!("Natter: {name}"))
            .start(format!("natter-{name}"), env!("CARGO_PKG_VERSION"))
            .await
            .map_err(|e| ServeError { service: name, why: e.to_string() })?;
        Ok(Self {
            bus: bus.clone(),
            name,
            service: started,
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
            async move { serve::<O, F, R>(&bus, &handler, &request).await }
        })
        .await
    }

    /// Works on every request that comes to a subject, many at once.
    async fn accept<F, R>(
        &mut self,
        name: String,
        subject: String,
        work: F,
    ) -> Result<(), ServeError>
    where
        F: Fn(service::Request) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let endpoint = self.service.endpoint_builder().name(name).add(subject).await;
        let mut endpoint =
            endpoint.map_err(|e| ServeError { service: self.name, why: e.to_string() })?;
        let (permits, shutdown) = (self.permits.clone(), self.shutdown.clone());
        self.loops.spawn(async move {
            let mut running = JoinSet::new();
            let mut stopping = false;
            loop {
                let request = tokio::select! {
                    request = endpoint.next() => request,
                    Some(_) = running.join_next() => continue,
                    () = shutdown.requested(), if !stopping => {
                        // Ends the subscription; what it has buffered is still served.
                        stopping = true;
                        let _ = endpoint.stop().await;
                        continue;
                    }
                };
                let (Some(request), Ok(permit)) = (request, permits.clone().acquire_owned().await)
                else {
                    break;
                };
                let working = work(request);
                running.spawn(async move {
                    working.await;
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
        let in_time = tokio::time::timeout(Duration::from_secs(self.settings.drain_s), drained);
        let in_time = in_time.await.is_ok();
        // Without NATS there is nobody to flush to, and async-nats would wait for it to come back.
        let _ = tokio::time::timeout(LAST_FLUSH, self.bus.client().flush()).await;
        let _ = self.service.stop().await;
        tracing::info!(service = self.name, in_time, "stopped serving");
        in_time
    }
}

async fn serve<O, F, R>(bus: &Bus, handler: &F, request: &service::Request)
where
    O: Operation,
    F: Fn(Context, O::Request) -> R + Send + Sync,
    R: Future<Output = Result<O::Reply, Failure>> + Send,
{
    let started = Instant::now();
    let header = |name: &str| {
        let headers = request.message.headers.as_ref()?;
        // Duplicated headers are kept; the last one is the server's or the latest hop's.
        headers.get_last(name).map(|value| value.as_str().to_owned())
    };
    let request_id = header(HEADER_REQUEST_ID).unwrap_or_default();
    let span = tracing::info_span!("op", service = O::SERVICE.name(), op = O::NAME, %request_id);
    let answer = async {
        let caller = caller::<O>(bus, header(HEADER_TOKEN), header(HEADER_USER)).await?;
        let body: O::Request = serde_json::from_slice(&request.message.payload)
            .map_err(|error| Failure::bad_request(format!("malformed request: {error}")))?;
        let mut call_id = header(HEADER_CALL).unwrap_or_default();
        if call_id.len() > CALL_ID_CHARS {
            return Err(Failure::bad_request("the call's id is too long"));
        }
        if O::REPEAT == ops::Repeat::Unsafe {
            call_id.clear();
        }
        let context = Context { caller, request_id: request_id.clone(), call_id };
        AssertUnwindSafe(handler(context, body)).catch_unwind().await.unwrap_or_else(|_| {
            tracing::error!("a handler panicked");
            Err(Failure::unavailable())
        })
    };
    let answer = answer.instrument(span.clone()).await;
    let outcome = answer.as_ref().err().map_or("ok", |f| f.code.as_str());
    metrics::histogram!("natter_operation_seconds", "service" => O::SERVICE.name(), "operation" => O::NAME, "outcome" => outcome)
        .record(started.elapsed());
    span.in_scope(|| tracing::debug!(outcome, elapsed = ?started.elapsed(), "answered"));
    let encoded = answer.and_then(|reply| {
        serde_json::to_vec(&reply).map_err(|error| {
            tracing::error!(%error, operation = O::NAME, "an answer does not serialize");
            Failure::unavailable()
        })
    });
    let sent = match encoded {
        Ok(body) => request.respond(Ok(body.into())).await,
        Err(failure) => refuse(request, &failure).await,
    };
    if let Err(error) = sent {
        tracing::warn!(%error, operation = O::NAME, "an answer was not sent");
    }
}

async fn refuse(
    request: &service::Request,
    failure: &Failure,
) -> Result<(), async_nats::PublishError> {
    let mut headers = HeaderMap::new();
    let json = serde_json::to_string(failure).unwrap_or_default();
    headers.insert(HEADER_FAILURE, json.as_str());
    let error = ServiceError {
        status: failure.code.as_str().to_owned(),
        code: usize::from(failure.code.status()),
    };
    request.respond_with_headers(Err(error), headers).await
}

async fn caller<O: Operation>(
    bus: &Bus,
    token: Option<String>,
    user: Option<String>,
) -> Result<Option<Caller>, Failure> {
    match O::CALLER {
        CallerRule::Nobody | CallerRule::Platform => Ok(None),
        CallerRule::Asserted => {
            let user = user.and_then(|u| u.parse().ok()).ok_or_else(Failure::unauthorized)?;
            Ok(Some(Caller { user, session: None }))
        }
        CallerRule::Token => {
            let token = token.ok_or_else(Failure::unauthorized)?;
            let claims = bus.verifier().verify(bus, &token).await?;
            Ok(Some(Caller { user: claims.sub, session: Some(claims.sid) }))
        }
    }
}
