//! `GET /v1/gateway`: the way to the websocket.
//!
//! Invariant: what is refused before the upgrade is refused in the shape of every other route.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::response::Response;
use bus_schema::error::{Code, Failure};

use super::refusal::Answer;
use super::route::{Route, get};
use crate::state::Edge;
use crate::ws;

/// Its path.
pub(super) const PATH: &str = "/v1/gateway";

pub(super) fn routes() -> Vec<Route> {
    vec![
        get(PATH, "Becomes a websocket; see /asyncapi.json", upgrade)
            .public()
            .answers(101)
            .refuses(&[Code::BadRequest, Code::Forbidden]),
    ]
}

async fn upgrade(
    State(edge): State<Arc<Edge>>,
    request: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let request = request.map_err(|_| Failure::bad_request("a websocket must be asked for"))?;
    Ok(ws::upgrade(edge, request)?)
}
