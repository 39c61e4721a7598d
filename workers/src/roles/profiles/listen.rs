//! Hearing of profiles that other workers changed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bus_schema::events::VersionedUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects;
use futures::StreamExt as _;
use tokio::task::JoinHandle;

use crate::roles::RoleError;
use crate::store::profiles::ProfileCache;

/// How long to wait for the subscription to be with the server.
const FLUSH_WAIT: Duration = Duration::from_secs(5);

/// Starts listening; it has begun when this returns.
pub(super) async fn start(
    bus: &Bus,
    cache: Arc<dyn ProfileCache>,
    shutdown: Shutdown,
) -> Result<JoinHandle<()>, RoleError> {
    let mut changes = bus.client().subscribe(subjects::PROFILES).await.map_err(RoleError::new)?;
    tokio::time::timeout(FLUSH_WAIT, bus.client().flush())
        .await
        .map_err(RoleError::new)?
        .map_err(RoleError::new)?;
    Ok(tokio::spawn(async move {
        loop {
            let change = tokio::select! {
                () = shutdown.requested() => return,
                change = changes.next() => change,
            };
            let Some(change) = change else { return };
            match serde_json::from_slice::<VersionedUser>(&change.payload) {
                Ok(profile) => cache.put(&[profile], Instant::now()).await,
                Err(error) => tracing::warn!(%error, "a changed profile cannot be read"),
            }
        }
    }))
}
