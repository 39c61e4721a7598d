//! The websocket: `GET /v1/gateway`.
//!
//! A connection goes `upgrade` → `connection` (HELLO, waiting for IDENTIFY) → `handshake` (READY and
//! what must be replayed) → `reader` and `writer` side by side, with an `outbox` between all who
//! have something for the socket and its writer.

mod commands;
mod connection;
mod handshake;
pub(crate) mod outbox;
mod pull;
mod reader;
mod stages;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use bus_schema::limits;

use crate::state::Edge;

/// Bytes of the read buffer of a socket: measured, the default costs 136 KiB per idle connection.
const READ_BUFFER: usize = 512;
/// Bytes gathered before a write.
const WRITE_BUFFER: usize = 4 * 1024;
/// Bytes of a message above which the websocket layer gives up by itself. Above the largest frame,
/// so that one somewhat too large still gets its documented close code.
const MESSAGE_BYTES: usize = 4 * limits::IDENTIFY_BYTES;
/// Bytes that may wait in a socket's write buffer.
const MAX_WRITE_BUFFER: usize = 1024 * 1024;

/// Turns a request into a websocket.
#[expect(clippy::unused_async, reason = "a handler is a future")]
pub(crate) async fn upgrade(State(edge): State<Arc<Edge>>, request: WebSocketUpgrade) -> Response {
    let count = edge.sockets.fetch_add(1, Ordering::Relaxed);
    let counted = Counted(edge.clone());
    if count >= edge.settings.max_connections || edge.shutdown.is_requested() {
        return (StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "2")]).into_response();
    }
    request
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
        .on_upgrade(async move |socket| {
            connection::run(edge, socket).await;
            drop(counted);
        })
}

/// One of the open sockets, for as long as it lives.
struct Counted(Arc<Edge>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}
