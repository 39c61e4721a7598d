//! Hearing how far edges are.
//!
//! Invariant: what cannot be read is nobody's word, and changes nothing.

use std::sync::Arc;
use std::time::Duration;

use bus_schema::runtime::bus::{Bus, jitter};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects;
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::edges::Edges;

/// How long to wait before subscribing again.
const AGAIN: Duration = Duration::from_secs(1);

/// Listens until stopped.
pub(super) async fn listen(bus: Bus, edges: Arc<Mutex<Edges>>, shutdown: Shutdown) {
    while !shutdown.is_requested() {
        match bus.client().subscribe(subjects::POSITIONS).await {
            Ok(mut messages) => loop {
                let message = tokio::select! {
                    message = messages.next() => message,
                    () = shutdown.requested() => return,
                };
                let Some(message) = message else { break };
                match serde_json::from_slice(&message.payload) {
                    Ok(said) => edges.lock().hear(said, Instant::now()),
                    Err(error) => tracing::warn!(%error, "what an edge said cannot be read"),
                }
            },
            Err(error) => tracing::warn!(%error, "cannot hear how far edges are"),
        }
        sleep(jitter(AGAIN)).await;
    }
}
