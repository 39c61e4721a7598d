//! One request for an operation: who asks, what is asked, and the answer.

use std::panic::AssertUnwindSafe;

use async_nats::service::{NATS_SERVICE_ERROR, NATS_SERVICE_ERROR_CODE};
use async_nats::{HeaderMap, Message};
use axum::body::Bytes;
use futures::FutureExt as _;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::super::bus::Bus;
use super::super::{HEADER_CALL, HEADER_FAILURE, HEADER_REQUEST_ID, HEADER_TOKEN, HEADER_USER};
use super::{Caller, Context};
use crate::error::{Code, Failure};
use crate::ops::{self, CallerRule, Operation};

/// Characters of a call's id that are kept.
const CALL_ID_CHARS: usize = 64;

/// Answers one request with what `handler` says; how it refused.
pub(super) async fn serve<O, F, R>(bus: &Bus, handler: &F, request: &Message) -> Option<Code>
where
    O: Operation,
    F: Fn(Context, O::Request) -> R + Send + Sync,
    R: Future<Output = Result<O::Reply, Failure>> + Send,
{
    let started = Instant::now();
    let header = |name: &str| {
        let headers = request.headers.as_ref()?;
        // Duplicated headers are kept; the last one is the server's or the latest hop's.
        headers.get_last(name).map(|value| value.as_str().to_owned())
    };
    let request_id = header(HEADER_REQUEST_ID).unwrap_or_default();
    let span = tracing::info_span!("op", service = O::SERVICE.name(), op = O::NAME, %request_id);
    let answer = async {
        let caller = caller::<O>(bus, header(HEADER_TOKEN), header(HEADER_USER)).await?;
        let body: O::Request = serde_json::from_slice(&request.payload)
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
    let refused = encoded.as_ref().err().map(|failure| failure.code);
    let Some(to) = request.reply.clone() else {
        tracing::warn!(operation = O::NAME, "nobody waits for an answer");
        return refused;
    };
    let sent = match encoded {
        Ok(body) => bus.client().publish(to, body.into()).await,
        Err(failure) => {
            bus.client().publish_with_headers(to, refusal(&failure), Bytes::new()).await
        }
    };
    if let Err(error) = sent {
        tracing::warn!(%error, operation = O::NAME, "an answer was not sent");
    }
    refused
}

/// As NATS's own clients of services know it too.
fn refusal(failure: &Failure) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let json = serde_json::to_string(failure).unwrap_or_default();
    headers.insert(HEADER_FAILURE, json.as_str());
    headers.insert(NATS_SERVICE_ERROR, failure.code.as_str());
    headers.insert(NATS_SERVICE_ERROR_CODE, failure.code.status().to_string().as_str());
    headers
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
