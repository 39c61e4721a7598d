//! The documents that describe the edge: OpenAPI for HTTP, AsyncAPI for the websocket.
//!
//! Invariant: both are made from what the edge runs on: the table of routes and the types of
//! requests, answers, frames and events. `deploy/docs` holds the same for readers, and a test says
//! when it does not; `UPDATE_DOCS=1 cargo test -p natter-edge docs` writes it anew.

mod asyncapi;
pub(crate) mod entries;
mod openapi;
mod schemas;

use std::sync::LazyLock;

use serde_json::Value;

/// The OpenAPI 3.1 document.
pub fn openapi() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| text(&openapi::document()));
    &TEXT
}

/// The AsyncAPI 3.0 document.
pub fn asyncapi() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| text(&asyncapi::document()));
    &TEXT
}

/// A JSON value always has a text. Links that descriptions take along from the sources lead
/// nowhere here and become plain names.
fn text(document: &Value) -> String {
    let text = serde_json::to_string_pretty(document).unwrap_or_default();
    text.replace("[`", "`").replace("`]", "`") + "\n"
}

#[cfg(test)]
mod tests;
