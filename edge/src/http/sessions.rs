//! `/v1/sessions`: signing in, refreshing, listing, signing out.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::error::{Code, Failure};
use bus_schema::ids::SessionId;
use bus_schema::ops::Empty;
use bus_schema::ops::auth::{
    EndSession, EndSessionRequest, ListSessions, Refresh, RefreshRequest, Secret, Sessions, SignIn,
    SignInRequest, SignedIn,
};
use bus_schema::runtime::call::Call;
use bus_schema::text::Nonce;
use schemars::JsonSchema;
use serde::Deserialize;

use super::accounts::ClientAddress;
use super::extract::{Caller, InBody, InPath};
use super::refusal::{Answer, Created, Done, Shown};
use super::request_id::RequestId;
use super::route::{Route, delete, get, post};
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        post("/v1/sessions", "Signs in", sign_in)
            .public()
            .takes::<Credentials>()
            .creates::<SignedIn>()
            .refuses(&[Code::Unauthorized, Code::Forbidden]),
        post("/v1/sessions/refresh", "Turns a refresh token into a new pair", refresh)
            .public()
            .takes::<Renewal>()
            .shows::<SignedIn>()
            .refuses(&[Code::Unauthorized]),
        get("/v1/sessions", "Lists one's sessions", list).shows::<Sessions>(),
        delete(
            "/v1/sessions/{session}",
            "Ends a session, by its id or as `current`; its sockets are closed",
            end,
        )
        .refuses(&[Code::NotFound]),
    ]
}

/// Who wants to sign in.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Credentials {
    /// The account's name.
    username: String,
    /// Its password.
    password: Secret,
}

async fn sign_in(
    State(edge): State<Arc<Edge>>,
    request: RequestId,
    ClientAddress(address): ClientAddress,
    InBody(body): InBody<Credentials>,
) -> Answer<Created<SignedIn>> {
    let request_to_auth = SignInRequest {
        username: body.username,
        password: body.password,
        address: Some(address.to_string()),
    };
    let call = Call::platform().request_id(request.as_str());
    Ok(Created(edge.bus.call::<SignIn>(&call, &request_to_auth).await?))
}

/// A refresh token to be exchanged.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Renewal {
    /// The token.
    refresh_token: Secret,
    /// Repeated with it within 2 minutes: the same answer.
    #[serde(default)]
    nonce: Option<Nonce>,
}

async fn refresh(
    State(edge): State<Arc<Edge>>,
    request: RequestId,
    InBody(body): InBody<Renewal>,
) -> Answer<Shown<SignedIn>> {
    let request_to_auth = RefreshRequest { refresh_token: body.refresh_token, nonce: body.nonce };
    let call = Call::platform().request_id(request.as_str());
    Ok(Shown(edge.bus.call::<Refresh>(&call, &request_to_auth).await?))
}

async fn list(State(edge): State<Arc<Edge>>, caller: Caller) -> Answer<Shown<Sessions>> {
    Ok(Shown(edge.bus.call::<ListSessions>(&caller.with_token(), &Empty {}).await?))
}

async fn end(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(session): InPath<String>,
) -> Answer<Done> {
    let id = match session.as_str() {
        "current" => None,
        id => Some(id.parse::<SessionId>().map_err(|_| Failure::not_found())?),
    };
    edge.bus.call::<EndSession>(&caller.with_token(), &EndSessionRequest { id }).await?;
    // The revocation is announced to every edge; this one need not wait for it.
    edge.sessions.revoke([id.unwrap_or(caller.session)]);
    Ok(Done)
}
