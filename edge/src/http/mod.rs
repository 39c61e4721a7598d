//! The HTTP side of an edge: `/v1`, health, documents and the page.
//!
//! Invariant: whatever is asked, the answer is one of protocol.md's or a refusal in its shape. One
//! file per operation or small resource; each gives its rows of the one table of routes.
//!
//! Leaves out what a request means: workers decide, handlers here translate.

mod accounts;
mod address;
mod bots;
mod channels;
mod conversations;
mod dms;
mod edges;
mod entries;
mod extract;
mod gateway;
mod members;
mod messages;
mod origin;
mod platform;
mod rate;
mod read;
mod refusal;
mod request_id;
mod route;
mod sessions;
mod trace;
mod users;
pub(crate) mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::{Method, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bus_schema::error::Failure;
use tower_http::cors::{Any, CorsLayer};

pub(crate) use extract::InPath;
pub(crate) use route::{Route, SchemaOf};

use crate::page;
use crate::state::Edge;

/// How long browsers keep the answer to a preflight.
const PREFLIGHT_AGE: Duration = Duration::from_hours(2);

/// Every route but the page's files.
pub(crate) fn table() -> Vec<Route> {
    [
        accounts::routes(),
        sessions::routes(),
        users::routes(),
        channels::routes(),
        members::routes(),
        dms::routes(),
        conversations::routes(),
        messages::routes(),
        entries::routes(),
        read::routes(),
        bots::routes(),
        webhooks::routes(),
        edges::routes(),
        gateway::routes(),
        platform::routes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Everything that an edge's public port serves. Serve it with connect info, for rates.
pub(crate) fn router(edge: Arc<Edge>) -> Router {
    let rates = Arc::new(rate::Rates::new(&edge.settings));
    let origins = from_fn_with_state(edge.clone(), origin::check);
    routes(|route| match route.path {
        gateway::PATH => route.handler.layer(origins.clone()),
        _ => route.handler,
    })
    .layer(from_fn_with_state(rates, rate::limit))
    .layer(from_fn(trace::surround))
    .layer(cors())
    .with_state(edge)
}

/// The refusal of what does not exist, for what is served beside the table.
pub(crate) fn not_found() -> Response {
    refusal::Refusal(Failure::not_found()).into_response()
}

fn routes(handler: impl Fn(Route) -> axum::routing::MethodRouter<Arc<Edge>>) -> Router<Arc<Edge>> {
    let mut router = Router::new();
    for route in table() {
        router = router.route(route.path, handler(route));
    }
    router
        .route("/", get(page::index))
        .route("/app/{*file}", get(page::file))
        .fallback(refusal::unknown_route)
        .method_not_allowed_fallback(refusal::wrong_method)
}

/// Any page may ask: there are no cookies, and without the token an answer tells nothing.
fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([request_id::HEADER, header::RETRY_AFTER])
        .max_age(PREFLIGHT_AGE)
}

#[cfg(test)]
mod tests;
