//! The admin port: `/healthz`, `/readyz`, `/metrics`. For operators, never for clients.
//!
//! Invariant: `/readyz` says what [`Readiness`] says at that moment; it has no state of its own.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;

use super::shutdown::Shutdown;

/// Whether the process can do its work now; the error says what is missing.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// `/healthz` and `/readyz`, also for an edge's public port.
pub fn health(readiness: Readiness) -> Router {
    Router::new().route("/healthz", get(async || "ok\n")).route(
        "/readyz",
        get(async move || match readiness() {
            Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
            Err(missing) => (StatusCode::SERVICE_UNAVAILABLE, format!("{missing}\n")),
        }),
    )
}

/// Serves the admin port until stopped.
pub async fn serve(
    listener: TcpListener,
    metrics: PrometheusHandle,
    readiness: Readiness,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let upkeep = metrics.clone();
    let every = std::time::Duration::from_secs(5);
    let stop = shutdown.clone();
    tokio::spawn(async move {
        while tokio::time::timeout(every, stop.requested()).await.is_err() {
            upkeep.run_upkeep();
        }
    });
    let app = health(readiness).route("/metrics", get(async move || metrics.render()));
    axum::serve(listener, app)
        .with_graceful_shutdown(async move { shutdown.requested().await })
        .await
}
