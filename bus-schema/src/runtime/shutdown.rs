//! Stopping: one signal that every task can wait for.
//!
//! Invariant: a request to stop is never lost and never taken back. Leaves out how long to wait:
//! whoever owns the tasks sets the deadline and says which way it ended.

use tokio_util::sync::CancellationToken;

/// Requests to stop, seen by every clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// Nothing requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A part that can be stopped alone, and stops with the whole.
    pub fn child(&self) -> Self {
        Self(self.0.child_token())
    }

    /// Asks every task to stop.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// Whether stopping was requested.
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until stopping is requested.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// Requests stopping at the first SIGTERM or SIGINT.
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut term = signal(SignalKind::terminate())?;
        let mut int = signal(SignalKind::interrupt())?;
        let shutdown = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = term.recv() => tracing::info!(signal = "SIGTERM", "stopping"),
                _ = int.recv() => tracing::info!(signal = "SIGINT", "stopping"),
                () = shutdown.requested() => {}
            }
            shutdown.request();
        });
        Ok(())
    }
}
