//! The websocket: `GET /v1/gateway`.
//!
//! A connection goes `admission` → `upgrade` → `connection` (HELLO, waiting for IDENTIFY) → `handshake` (READY and
//! what must be replayed) → `reader` and `writer` side by side, with an `outbox` between all who
//! have something for the socket and its writer.

pub(crate) mod admission;
mod commands;
mod connection;
mod handshake;
pub(crate) mod outbox;
mod pull;
mod reader;
pub(crate) mod replays;
mod stages;
mod writer;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::ws::WebSocketUpgrade;
use axum::response::Response;
use bus_schema::error::Failure;
use bus_schema::limits;
use rand::RngExt as _;

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

/// Spread of the hint to who finds every place taken: milliseconds.
const FULL_MS: std::ops::Range<u64> = 1_000..5_000;

/// Turns a request into a websocket, if there is a place for it.
pub(crate) fn upgrade(edge: Arc<Edge>, request: WebSocketUpgrade) -> Result<Response, Failure> {
    let count = edge.sockets.fetch_add(1, Ordering::Relaxed);
    let counted = Counted(edge.clone());
    if count >= edge.settings.max_connections || edge.shutdown.is_requested() {
        let wait = rand::rng().random_range(FULL_MS);
        return Err(Failure::unavailable().retry_after_ms(wait));
    }
    edge.admission.knock()?;
    let upgraded = request
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(MAX_WRITE_BUFFER)
        .max_message_size(MESSAGE_BYTES)
        .max_frame_size(MESSAGE_BYTES)
        .on_upgrade(async move |socket| {
            connection::run(edge, socket).await;
            drop(counted);
        });
    Ok(upgraded)
}

/// One of the open sockets, for as long as it lives.
struct Counted(Arc<Edge>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}
