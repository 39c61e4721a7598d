//! From which pages a websocket may be opened.
//!
//! Invariant: a browser says truly where a page came from, so a page of somebody else cannot open a
//! socket. What sends no Origin is not a browser and has nobody's cookies to abuse.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::ORIGIN;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bus_schema::error::{Code, Failure};

use super::refusal::Refusal;
use crate::state::Edge;

/// Lets the upgrade pass, or answers 403.
pub(super) async fn check(State(edge): State<Arc<Edge>>, request: Request, next: Next) -> Response {
    let refused = request.headers().get(ORIGIN).is_some_and(|origin| {
        let known = edge.directory.alive().into_iter();
        let mut known = known.chain(edge.settings.allowed_origins.iter().cloned());
        let origin = origin.to_str().ok().and_then(normal);
        origin.is_none_or(|origin| !known.any(|url| normal(&url).as_ref() == Some(&origin)))
    });
    if refused {
        return Refusal(Failure::new(Code::Forbidden, "not from this origin")).into_response();
    }
    next.run(request).await
}

/// Scheme, host and port of a URL in one form: lower case, no port where it is the scheme's own,
/// and one name for this machine, whose loopback addresses nobody else can serve a page from.
fn normal(url: &str) -> Option<String> {
    let (scheme, rest) = url.trim().split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let own_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?.to_ascii_lowercase();
    let authority = authority.strip_suffix(own_port).unwrap_or(&authority);
    let (host, port) = match authority.rfind(':') {
        Some(colon) if !authority[colon..].contains(']') => authority.split_at(colon),
        _ => (authority, ""),
    };
    let host = if matches!(host, "127.0.0.1" | "[::1]") { "localhost" } else { host };
    (!host.is_empty()).then(|| format!("{scheme}://{host}{port}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_of_one_origin_are_equal() {
        for (a, b) in [
            ("https://Chat.Example", "https://chat.example:443/app/"),
            ("http://chat.example:80", "http://chat.example"),
            ("http://127.0.0.1:8080", "http://localhost:8080"),
            ("http://[::1]:8080", "http://localhost:8080/"),
            ("http://[2001:db8::1]", "http://[2001:DB8::1]:80"),
        ] {
            assert_eq!(normal(a), normal(b), "{a} {b}");
            assert!(normal(a).is_some());
        }
    }

    #[test]
    fn other_origins_are_not() {
        for (a, b) in [
            ("http://chat.example", "https://chat.example"),
            ("http://chat.example:8080", "http://chat.example:8081"),
            ("http://chat.example.evil", "http://chat.example"),
            ("http://localhost.evil:8080", "http://localhost:8080"),
        ] {
            assert_ne!(normal(a), normal(b), "{a} {b}");
        }
        for bad in ["null", "", "file://", "chat.example", "http://", "javascript:x"] {
            assert_eq!(normal(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_header_is_judged(text in ".{0,80}") {
            let _ = normal(&text);
        }
    }
}
