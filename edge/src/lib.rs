//! The edge: websocket and HTTP in front, NATS behind, nothing kept.
//!
//! A request goes `http` → a worker. A message goes `ws` → `send` → the log → `follow` → every
//! socket. A returning client goes `ws::handshake` → `ws::pull` → `follow`'s ring or history.
//!
//! Invariant: no database driver, no data of record. Any edge can die at any moment.

pub mod config;
pub mod docs;
pub mod state;

mod conversations;
mod directory;
mod follow;
mod http;
mod hub;
mod membership;
mod page;
mod positions;
mod read;
mod send;
mod sessions;
mod ws;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bus_schema::permissions::BusUser;
use bus_schema::runtime::admin::{self, Readiness};
use bus_schema::runtime::bus::{Bus, BusError};
use bus_schema::runtime::shutdown::Shutdown;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep, timeout};

use crate::config::Config;
use crate::state::Edge;

/// The edge could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// NATS or its streams are not there.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A listener failed.
    #[error("serving: {0}")]
    Serve(#[from] std::io::Error),
}

/// Serves on the listeners until asked to stop. Whether everything was finished within the drain
/// time. Boxed, so that its code is generated here and not again in every binary: that halves the
/// time of a build.
pub fn run(
    config: Config,
    listener: TcpListener,
    admin: TcpListener,
    metrics: PrometheusHandle,
    shutdown: Shutdown,
) -> futures::future::BoxFuture<'static, Result<bool, RunError>> {
    Box::pin(run_edge(config, listener, admin, metrics, shutdown))
}

async fn run_edge(
    config: Config,
    listener: TcpListener,
    admin: TcpListener,
    metrics: PrometheusHandle,
    shutdown: Shutdown,
) -> Result<bool, RunError> {
    let bus = Bus::connect(&config.bus, BusUser::Edge).await?;
    let layout = bus.layout().await?;
    let edge = Edge::new(config.edge, bus, layout, shutdown.clone());
    let stop_background = Shutdown::new();
    let readiness: Readiness = {
        let edge = edge.clone();
        Arc::new(move || edge.readiness())
    };
    tokio::spawn(admin::serve(admin, metrics, readiness, stop_background.clone()));
    for stream in layout.all() {
        tokio::spawn(follow::digest::watch(edge.clone(), stream, stop_background.clone()));
    }
    tokio::spawn(sessions::run(edge.clone(), stop_background.clone()));
    tokio::spawn(directory::run(edge.clone(), shutdown.clone()));
    tokio::spawn(positions::report(edge.clone(), shutdown.clone()));
    tracing::info!(listen = %listener.local_addr()?, url = edge.settings.url(), "serving");

    let app = http::router(edge.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let stop = shutdown.clone();
    let serving =
        axum::serve(listener, app).with_graceful_shutdown(async move { stop.requested().await });
    let serving = tokio::spawn(async move { serving.await });
    shutdown.requested().await;
    let in_time = drain(&edge, serving).await;
    stop_background.request();
    tracing::info!(in_time, open_sockets = edge.open_sockets(), "stopped");
    Ok(in_time)
}

/// Waits for requests and sockets to end. Whether they did in time.
async fn drain(edge: &Edge, serving: tokio::task::JoinHandle<std::io::Result<()>>) -> bool {
    /// How often to look whether sockets are left.
    const LOOK: Duration = Duration::from_millis(50);
    let deadline = Instant::now() + Duration::from_secs(edge.settings.drain_s);
    while edge.open_sockets() > 0 && Instant::now() < deadline {
        sleep(LOOK).await;
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let served = timeout(left, serving).await.is_ok();
    served && edge.open_sockets() == 0
}
