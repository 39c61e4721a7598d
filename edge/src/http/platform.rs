//! Without prefix and token: health and documents.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderName, header};
use axum::response::IntoResponse;
use bus_schema::error::{Code, Failure};

use super::refusal::Answer;
use super::route::{Route, get};
use crate::docs;
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/healthz", "Says that the process runs", async || "ok\n").public().answers(200),
        get("/readyz", "Says whether this edge can serve now", ready)
            .public()
            .answers(200)
            .refuses(&[Code::Unavailable]),
        get("/openapi.json", "This document", async || json(docs::openapi())).public().answers(200),
        get("/asyncapi.json", "The websocket's document", async || json(docs::asyncapi()))
            .public()
            .answers(200),
    ]
}

async fn ready(State(edge): State<Arc<Edge>>) -> Answer<&'static str> {
    match edge.readiness() {
        Ok(()) => Ok("ready\n"),
        Err(missing) => Err(Failure::new(Code::Unavailable, missing).into()),
    }
}

const DOCUMENT: [(HeaderName, &str); 2] =
    [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];

fn json(document: &'static str) -> impl IntoResponse {
    (DOCUMENT, document)
}
