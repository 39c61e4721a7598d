//! The id that follows a request from its first byte to the last worker.
//!
//! Invariant: every request has one; one given by the client is kept only if it cannot be mistaken
//! for anything else in a log or a header.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

/// Where clients may give it and find it.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// A client's id is kept up to this many characters.
const GIVEN_CHARS: usize = 64;

/// The id of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    /// The client's, if it is a plain word; else a new one.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(HEADER).and_then(|id| id.to_str().ok()).filter(|id| is_plain(id));
        given.map_or_else(Self::generate, |id| Self(id.into()))
    }

    fn generate() -> Self {
        Self(format!("{:016x}", rand::random::<u64>()).into())
    }

    /// Its text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As a header's value; plain words always are one.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        HeaderValue::from_str(&self.0).ok()
    }
}

fn is_plain(id: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    (1..=GIVEN_CHARS).contains(&id.len()) && id.bytes().all(plain)
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(Self::generate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_kept() {
        let of = |id: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, HeaderValue::from_static(id));
            RequestId::of(&headers).as_str() == id
        };
        assert!(of("abc-1_2.3"));
        for bad in ["", "a b", "a\tb", "{}", "\"", "a,b"] {
            assert!(!of(bad), "{bad:?}");
        }
        assert!(!is_plain(&"a".repeat(65)));
    }

    #[test]
    fn new_ones_differ() {
        assert_ne!(RequestId::generate(), RequestId::generate());
    }
}
