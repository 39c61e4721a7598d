//! Typed requests to workers.
//!
//! Invariant: a caller gets the reply or a [`Failure`] within the time-out. What may have been done
//! is never repeated unless its row says that repeating is safe; a request that provably reached
//! nobody is. All attempts of a call carry one id: an earlier one may still be under way to a worker
//! that is cut off or stopped, and be taken up after others have changed what it changes.

use std::time::Duration;

use async_nats::client::{Request, RequestErrorKind};
use async_nats::{HeaderMap, Message};
use rand::distr::{Alphanumeric, SampleString as _};
use tokio::time::{Instant, sleep};

use super::bus::{Bus, jitter};
use super::{HEADER_CALL, HEADER_FAILURE, HEADER_REQUEST_ID, HEADER_TOKEN, HEADER_USER};
use crate::error::{Code, Failure};
use crate::ids::{StreamIndex, UserId};
use crate::ops::{self, Operation, Repeat};

/// On whose behalf a request is made, and how.
#[derive(Debug, Clone)]
pub struct Call {
    headers: HeaderMap,
    stream: Option<StreamIndex>,
    timeout: Option<Duration>,
}

impl Call {
    /// The platform asks for itself, or for nobody.
    pub fn platform() -> Self {
        Self { headers: HeaderMap::new(), stream: None, timeout: None }
    }

    /// For a user, as vouched for by this process's NATS identity.
    pub fn asserted(user: UserId) -> Self {
        Self::platform().header(HEADER_USER, &user.to_string())
    }

    /// For the owner of an access token, which the worker verifies. A token with characters that
    /// do not belong in one is left out, and so refused.
    pub fn token(token: &str) -> Self {
        if token.bytes().all(|b| b.is_ascii_graphic()) {
            Self::platform().header(HEADER_TOKEN, token)
        } else {
            Self::platform()
        }
    }

    /// To the workers of one stream.
    pub const fn stream(mut self, stream: StreamIndex) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Within another time than the settings say.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// As a part of the request with this id.
    pub fn request_id(self, id: &str) -> Self {
        self.header(HEADER_REQUEST_ID, id)
    }

    fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.insert(name, value);
        self
    }
}

/// How long one attempt of a repeatable request may take.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How long to look for somebody who serves an operation.
const NO_RESPONDERS: Duration = Duration::from_millis(1_500);

impl Bus {
    /// Asks for an operation and waits for its answer.
    pub async fn call<O: Operation>(
        &self,
        call: &Call,
        request: &O::Request,
    ) -> Result<O::Reply, Failure> {
        let started = Instant::now();
        let reply = self.attempts::<O>(call, request, started).await;
        let outcome = reply.as_ref().err().map_or("ok", |f| f.code.as_str());
        metrics::histogram!("natter_call_seconds", "service" => O::SERVICE.name(), "operation" => O::NAME, "outcome" => outcome)
            .record(started.elapsed());
        reply
    }

    async fn attempts<O: Operation>(
        &self,
        call: &Call,
        request: &O::Request,
        started: Instant,
    ) -> Result<O::Reply, Failure> {
        let payload = serde_json::to_vec(request).map_err(|error| {
            tracing::error!(%error, operation = O::NAME, "a request does not serialize");
            Failure::unavailable()
        })?;
        let payload = bytes_of(payload);
        let mut headers = call.headers.clone();
        if O::REPEAT == Repeat::Safe {
            // Not the request's id: clients may give that, and to more than one request.
            let id = Alphanumeric.sample_string(&mut rand::rng(), 22);
            headers.insert(HEADER_CALL, id.as_str());
        }
        let whole = call
            .timeout
            .unwrap_or_else(|| Duration::from_millis(self.settings().request_timeout_ms));
        // Whether an attempt may have been carried out although nobody answered.
        let mut perhaps = false;
        loop {
            if !self.is_connected() {
                let asked = if perhaps { give_up::<O>(false) } else { Failure::unavailable() };
                return Err(asked);
            }
            let left = whole.saturating_sub(started.elapsed());
            let attempt = if O::REPEAT == Repeat::Safe { left.min(ATTEMPT) } else { left };
            let message = Request::new()
                .headers(headers.clone())
                .payload(payload.clone())
                .timeout(Some(attempt));
            let subject = ops::subject::<O>(call.stream);
            let error = match self.client().send_request(subject, message).await {
                Ok(message) => return decode::<O>(&message).map_err(|f| after(f, perhaps)),
                Err(error) => error.kind(),
            };
            let reached_nobody = error == RequestErrorKind::NoResponders;
            perhaps |= !reached_nobody;
            let limit = if reached_nobody { whole.min(NO_RESPONDERS) } else { whole };
            let repeat = reached_nobody || O::REPEAT == Repeat::Safe;
            if !repeat || started.elapsed() >= limit {
                return Err(give_up::<O>(!perhaps));
            }
            sleep(jitter(Duration::from_millis(100))).await;
        }
    }
}

fn give_up<O: Operation>(reached_nobody: bool) -> Failure {
    tracing::warn!(service = O::SERVICE.name(), operation = O::NAME, reached_nobody, "no answer");
    if reached_nobody { Failure::unavailable() } else { O::REPEAT.unknown() }
}

/// What a refusal means after an attempt that may have been carried out, or may still be: that
/// nothing was changed is said of the last one alone.
fn after(failure: Failure, perhaps: bool) -> Failure {
    if perhaps && failure.code == Code::Unavailable { Failure::timeout() } else { failure }
}

fn decode<O: Operation>(message: &Message) -> Result<O::Reply, Failure> {
    let failure = message.headers.as_ref().and_then(|h| h.get(HEADER_FAILURE));
    if let Some(failure) = failure {
        return Err(serde_json::from_str(failure.as_str()).unwrap_or_else(|error| {
            tracing::error!(%error, operation = O::NAME, "a refusal cannot be read");
            Failure::unavailable()
        }));
    }
    serde_json::from_slice(&message.payload).map_err(|error| {
        tracing::error!(%error, operation = O::NAME, "an answer cannot be read");
        Failure::unavailable()
    })
}

fn bytes_of(vec: Vec<u8>) -> axum::body::Bytes {
    vec.into()
}
