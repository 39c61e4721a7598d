//! What surrounds every request: its id, its span, its deadline, its metrics.
//!
//! Invariant: every request is answered within [`DEADLINE`], also one whose handler panics.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bus_schema::error::{Code, Failure};
use futures::FutureExt as _;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::refusal::Refusal;
use super::request_id::{self, RequestId};

/// The longest a request may take: above all that a send may wait for.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs one request.
pub(super) async fn surround(mut request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = RequestId::of(request.headers());
    request.extensions_mut().insert(id.clone());
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = route.unwrap_or_else(|| "none".to_owned());
    let method = request.method().clone();
    let span = tracing::info_span!("http", request_id = id.as_str(), %method, route);
    let run = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span.clone());
    let mut response = match timeout(DEADLINE, run).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => {
            span.in_scope(|| tracing::error!("a handler panicked"));
            Refusal(Failure::unavailable()).into_response()
        }
        Err(_) => {
            span.in_scope(|| tracing::warn!("a request ran into its deadline"));
            Refusal(too_late(&method)).into_response()
        }
    };
    let (status, elapsed) = (response.status().as_u16(), started.elapsed());
    span.in_scope(|| tracing::debug!(status, ?elapsed, "answered"));
    metrics::histogram!(
        "natter_http_seconds",
        "method" => metric_method(&method), "route" => route, "status" => status.to_string()
    )
    .record(elapsed);
    finish(&mut response, &id);
    response
}

/// Reading may be repeated; whether writing happened is not known.
fn too_late(method: &Method) -> Failure {
    if method.is_safe() {
        Failure::new(Code::Timeout, "no answer in time, try again").retry_after_ms(1_000)
    } else {
        Failure::unknown_outcome()
    }
}

/// Methods are the client's text; metrics know the usual ones.
fn metric_method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

fn finish(response: &mut Response, id: &RequestId) {
    let headers = response.headers_mut();
    if let Some(id) = id.header() {
        headers.insert(request_id::HEADER, id);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    // Answers hold tokens and private text. What may be kept says so itself.
    let no_store = HeaderValue::from_static("no-store");
    headers.entry(header::CACHE_CONTROL).or_insert(no_store);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_write_is_of_unknown_outcome() {
        assert_eq!(too_late(&Method::GET).code, Code::Timeout);
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(too_late(&method).code, Code::UnknownOutcome);
        }
    }
}
