//! Failures as HTTP answers: `{"error": {"code", "message", "retry_after_ms"?}}`.
//!
//! Invariant: whatever goes wrong on the way to a handler, in it or after it, the answer has this
//! one shape and the status that belongs to its code.

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bus_schema::error::{Code, ErrorBody, Failure};
use serde::Serialize;

/// A [`Failure`] on its way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) Failure);

/// What handlers return.
pub(crate) type Answer<T> = Result<T, Refusal>;

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(failure) = self;
        let status = StatusCode::from_u16(failure.code.status());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (code, wait) = (failure.code, failure.retry_after_ms);
        let mut response = (status, axum::Json(ErrorBody { error: failure })).into_response();
        let headers = response.headers_mut();
        if matches!(code, Code::RateLimited | Code::Unavailable) {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_s(wait)));
        }
        if code == Code::Unauthorized {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The header counts whole seconds: never fewer than the wait, never none.
fn retry_after_s(wait_ms: Option<u64>) -> u64 {
    wait_ms.unwrap_or(1_000).div_ceil(1_000).max(1)
}

/// 200 with a body.
pub(crate) struct Shown<T>(pub(crate) T);

/// 201 with a body.
pub(crate) struct Created<T>(pub(crate) T);

/// 204.
pub(crate) struct Done;

impl<T: Serialize> IntoResponse for Shown<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, axum::Json(self.0)).into_response()
    }
}

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// Whatever no route matches.
pub(super) async fn unknown_route() -> Refusal {
    Refusal(Failure::not_found())
}

/// A known path with a method it does not have: 405, which no code of ours stands for, so the body
/// says `not_found`. The router adds `Allow`.
pub(super) async fn wrong_method() -> Response {
    let mut response = Refusal(Failure::not_found()).into_response();
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up_to_whole_seconds() {
        for (ms, s) in [(None, 1), (Some(0), 1), (Some(1), 1), (Some(1_000), 1), (Some(1_001), 2)] {
            assert_eq!(retry_after_s(ms), s, "{ms:?}");
        }
    }

    #[test]
    fn every_code_has_its_status() {
        for code in Code::ALL {
            let response = Refusal(Failure::new(code, "x")).into_response();
            assert_eq!(response.status().as_u16(), code.status());
            let waits = matches!(code, Code::RateLimited | Code::Unavailable);
            assert_eq!(response.headers().contains_key(RETRY_AFTER), waits, "{code:?}");
        }
    }
}
