//! `GET /v1/edges`.

use std::sync::Arc;

use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::extract::Caller;
use super::refusal::{Answer, Shown};
use super::route::{Route, get};
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![get("/v1/edges", "Lists the edges alive now, this one first", list).shows::<Edges>()]
}

/// Where else one can connect.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Edges {
    /// Their URLs.
    edges: Vec<String>,
}

async fn list(State(edge): State<Arc<Edge>>, _: Caller) -> Answer<Shown<Edges>> {
    Ok(Shown(Edges { edges: edge.directory.alive() }))
}
