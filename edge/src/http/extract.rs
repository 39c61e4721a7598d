//! What handlers ask for: the caller, ids of the path, the query, the body.
//!
//! Invariant: each refuses in the documented shape. A malformed id is `not_found` in a path and
//! `bad_request` in a query; a body is read only as far as its bound.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use bus_schema::body::{parse, readable};
use bus_schema::error::{Code, Failure};
use bus_schema::ids::{SessionId, UserId};
use bus_schema::limits::BODY_BYTES;
use bus_schema::runtime::call::Call;
use futures::StreamExt as _;
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use super::request_id::RequestId;
use crate::state::Edge;

/// Whoever's access token came with the request, verified and not revoked.
#[derive(Clone)]
pub(crate) struct Caller {
    /// The account.
    pub(crate) user: UserId,
    /// The session.
    pub(crate) session: SessionId,
    /// The request.
    pub(crate) request: RequestId,
    token: String,
}

impl Caller {
    /// A call that carries the token, for the worker to verify too.
    pub(crate) fn with_token(&self) -> Call {
        Call::token(&self.token).request_id(self.request.as_str())
    }

    /// A call of the platform as part of this request.
    pub(crate) fn as_platform(&self) -> Call {
        Call::platform().request_id(self.request.as_str())
    }

    /// The request's id.
    pub(crate) fn request_id(&self) -> &str {
        self.request.as_str()
    }
}

impl FromRequestParts<Arc<Edge>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, edge: &Arc<Edge>) -> Result<Self, Refusal> {
        let Ok(request) = RequestId::from_request_parts(parts, edge).await;
        let token = bearer(&parts.headers).ok_or_else(Failure::unauthorized)?.to_owned();
        let claims = edge.bus.verifier().verify(&edge.bus, &token).await?;
        if edge.sessions.is_revoked(claims.sid) {
            return Err(Failure::unauthorized().into());
        }
        Ok(Self { user: claims.sub, session: claims.sid, request, token })
    }
}

/// The token of `Authorization: Bearer <token>`.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// Ids of the path; malformed is like missing.
pub(crate) struct InPath<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for InPath<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = Path::<T>::from_request_parts(parts, state).await;
        found.map(|Path(ids)| Self(ids)).map_err(|_| Failure::not_found().into())
    }
}

/// Parameters of the query.
pub(crate) struct InQuery<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for InQuery<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let found = Query::<T>::from_request_parts(parts, state).await;
        found.map(|Query(query)| Self(query)).map_err(|rejection| {
            use std::error::Error as _;
            let cause = rejection.source().map_or_else(String::new, ToString::to_string);
            Failure::bad_request(format!("query: {}", readable(&cause))).into()
        })
    }
}

/// A JSON object in the body, whatever the content type says.
pub(crate) struct InBody<T>(pub(crate) T);

impl<T, S> FromRequest<S> for InBody<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refusal> {
        let bytes = read(request.into_body()).await?;
        parse(&bytes).map(Self).map_err(Refusal)
    }
}

/// What of a body above its bound is still read and thrown away, so that a client which first
/// writes all of it and then reads gets to see the refusal.
const DISCARDED_BYTES: usize = 1024 * 1024;

async fn read(body: Body) -> Result<Vec<u8>, Failure> {
    let mut chunks = body.into_data_stream();
    let mut bytes = Vec::new();
    let mut length = 0_usize;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Failure::bad_request("the body could not be read"))?;
        length = length.saturating_add(chunk.len());
        if length > DISCARDED_BYTES {
            break;
        }
        if length <= BODY_BYTES {
            bytes.extend_from_slice(&chunk);
        }
    }
    if length > BODY_BYTES {
        return Err(Failure::new(Code::TooLarge, "the body may have 64 KiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use bus_schema::ops::profiles::UpdateProfileRequest;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_found_whatever_the_case_of_the_scheme() {
        let of = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, HeaderValue::from_static(value));
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(of("Bearer abc").as_deref(), Some("abc"));
        assert_eq!(of("bearer  abc ").as_deref(), Some("abc"));
        for bad in ["", "abc", "Basic abc", "Bearer", "Bearer "] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }

    fn refused(body: &str) -> Failure {
        parse::<UpdateProfileRequest>(body.as_bytes()).unwrap_err()
    }

    #[test]
    fn only_objects_pass() {
        assert!(parse::<UpdateProfileRequest>(b" {} ").is_ok());
        for bad in
            ["", "[]", "null", "1", "\"x\"", "{", "{}{}", "{\"display_name\":7}", "\u{feff}{}"]
        {
            assert_eq!(refused(bad).code, Code::BadRequest, "{bad:?}");
        }
    }

    #[test]
    fn a_broken_rule_is_named() {
        let failure = refused(r#"{"username":"a"}"#);
        assert_eq!(failure.message, "username: 2 to 32 of a-z, 0-9, _ and .");
    }

    #[tokio::test]
    async fn bodies_are_bounded() {
        let of = |length: usize| read(Body::from(vec![b' '; length]));
        assert_eq!(of(BODY_BYTES).await.unwrap().len(), BODY_BYTES);
        assert_eq!(of(BODY_BYTES + 1).await.unwrap_err().code, Code::TooLarge);
        assert_eq!(of(DISCARDED_BYTES * 3).await.unwrap_err().code, Code::TooLarge);
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes: Vec<u8>) {
            let _ = parse::<UpdateProfileRequest>(&bytes);
        }

        #[test]
        fn any_error_is_readable(text in ".{0,400}") {
            prop_assert!(readable(&text).chars().count() <= 200);
        }
    }
}
