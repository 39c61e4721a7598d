//! `POST /v1/accounts`.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use bus_schema::error::Code;
use bus_schema::ops::auth::{Register, RegisterRequest, Secret, SignedIn};
use bus_schema::runtime::call::Call;
use bus_schema::text::{DisplayName, Password, Username};
use schemars::JsonSchema;
use serde::Deserialize;

use super::address;
use super::extract::InBody;
use super::refusal::{Answer, Created};
use super::request_id::RequestId;
use super::route::{Route, post};
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        post("/v1/accounts", "Makes an account and signs it in", register)
            .public()
            .takes::<NewAccount>()
            .creates::<SignedIn>()
            .refuses(&[Code::Forbidden, Code::UsernameTaken]),
    ]
}

/// Somebody new.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewAccount {
    /// The name to take.
    username: Username,
    /// The password to set.
    password: Password,
    /// What others see; the username if none is given.
    #[serde(default)]
    display_name: Option<DisplayName>,
    /// An invitation, where registration needs one.
    #[serde(default)]
    invite: Option<Secret>,
}

async fn register(
    State(edge): State<Arc<Edge>>,
    request: RequestId,
    ClientAddress(address): ClientAddress,
    InBody(body): InBody<NewAccount>,
) -> Answer<Created<SignedIn>> {
    let request_to_auth = RegisterRequest {
        username: body.username,
        password: body.password,
        display_name: body.display_name,
        invite: body.invite,
        address: Some(address.to_string()),
    };
    let call = Call::platform().request_id(request.as_str());
    Ok(Created(edge.bus.call::<Register>(&call, &request_to_auth).await?))
}

/// Where the request comes from, for rates that the auth role holds.
pub(super) struct ClientAddress(pub(super) IpAddr);

impl FromRequestParts<Arc<Edge>> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        edge: &Arc<Edge>,
    ) -> Result<Self, Self::Rejection> {
        let behind_proxy = edge.settings.behind_proxy;
        Ok(Self(address::of(&parts.extensions, &parts.headers, behind_proxy)))
    }
}
