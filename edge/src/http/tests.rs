//! The table of routes and what surrounds it, without a bus.

use std::collections::BTreeSet;

use super::*;

/// The HTTP table of protocol.md, with webhooks and the revoking of credentials: frozen, because programs rely on it.
const PROTOCOL: [&str; 39] = [
    "DELETE /v1/bots/{bot}",
    "DELETE /v1/bots/{bot}/credentials",
    "DELETE /v1/channels/{channel}",
    "DELETE /v1/channels/{channel}/members/{user}",
    "DELETE /v1/channels/{channel}/webhooks/{webhook}",
    "DELETE /v1/conversations/{conversation}/messages/{message}",
    "DELETE /v1/sessions/{session}",
    "GET /asyncapi.json",
    "GET /healthz",
    "GET /openapi.json",
    "GET /readyz",
    "GET /v1/bots",
    "GET /v1/channels/{channel}",
    "GET /v1/channels/{channel}/webhooks",
    "GET /v1/conversations",
    "GET /v1/conversations/{conversation}/entries",
    "GET /v1/conversations/{conversation}/messages",
    "GET /v1/edges",
    "GET /v1/gateway",
    "GET /v1/sessions",
    "GET /v1/users",
    "GET /v1/users/@me",
    "GET /v1/users/by-username/{username}",
    "PATCH /v1/channels/{channel}",
    "PATCH /v1/conversations/{conversation}/messages/{message}",
    "PATCH /v1/users/@me",
    "POST /v1/accounts",
    "POST /v1/bots",
    "POST /v1/bots/{bot}/credentials",
    "POST /v1/channels",
    "POST /v1/channels/{channel}/members",
    "POST /v1/channels/{channel}/webhooks",
    "POST /v1/conversations/{conversation}/messages",
    "POST /v1/dms",
    "POST /v1/sessions",
    "POST /v1/sessions/refresh",
    "POST /v1/users/@me/password",
    "POST /v1/webhooks/{webhook}/{secret}",
    "PUT /v1/conversations/{conversation}/read",
];

#[test]
fn the_table_is_the_protocols() {
    let served: BTreeSet<_> = table().iter().map(|r| format!("{} {}", r.method, r.path)).collect();
    assert_eq!(served.iter().map(String::as_str).collect::<Vec<_>>(), PROTOCOL);
    assert_eq!(served.len(), table().len(), "a route is there twice");
}

/// The router refuses by panicking: two handlers for one method and path, or a malformed path.
#[test]
fn the_table_makes_a_router() {
    let _ = routes(|route| route.handler);
}

#[test]
fn only_these_may_be_asked_without_a_token() {
    let public: Vec<_> = table().into_iter().filter(|r| !r.token).map(|r| r.path).collect();
    assert_eq!(
        public,
        [
            "/v1/accounts",
            "/v1/sessions",
            "/v1/sessions/refresh",
            // The secret in its path is what it asks for.
            "/v1/webhooks/{webhook}/{secret}",
            "/v1/gateway",
            "/healthz",
            "/readyz",
            "/openapi.json",
            "/asyncapi.json",
        ]
    );
}
