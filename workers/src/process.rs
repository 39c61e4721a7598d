//! Running the chosen roles in one process, from start to end.
//!
//! Invariant: `/readyz` says yes only while every chosen role is connected and serving; one that
//! ends by itself ends the process, for whoever supervises it to start it anew. Stopping has a
//! deadline and says which way it ended.

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bus_schema::runtime::admin::{self, Readiness};
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::shutdown::Shutdown;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::config::Settings;
use crate::readiness::Serving;
use crate::roles::{self, Role, RoleError};
use crate::store::{StoreError, Stores};

/// Why a process ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// No role was chosen.
    #[error("workers.roles: choose at least one")]
    NoRoles,
    /// The admin port is not to be had.
    #[error("cannot listen on {0} (workers.admin_listen): {1}")]
    Admin(SocketAddr, std::io::Error),
    /// The stores could not be opened.
    #[error("cannot open the store: {0}")]
    Store(#[from] StoreError),
    /// A role ended.
    #[error("{}: {source}", role.name())]
    Role {
        /// Which.
        role: Role,
        /// Why.
        source: RoleError,
    },
    /// Something still ran at the deadline.
    #[error("cut off after {0} s: not everything was finished")]
    CutOff(u64),
}

/// Runs the roles of the settings until stopped or until one fails. Boxed, so that its code is
/// generated here and not again in every binary: that halves the time of a build.
pub fn run(
    settings: &Settings,
    metrics: PrometheusHandle,
    shutdown: Shutdown,
) -> BoxFuture<'_, Result<(), RunError>> {
    Box::pin(run_process(settings, metrics, shutdown))
}

async fn run_process(
    settings: &Settings,
    metrics: PrometheusHandle,
    shutdown: Shutdown,
) -> Result<(), RunError> {
    let mut chosen = settings.workers.roles.clone();
    chosen.sort_unstable();
    chosen.dedup();
    if chosen.is_empty() {
        return Err(RunError::NoRoles);
    }
    let address = settings.workers.admin_listen;
    let listener =
        TcpListener::bind(address).await.map_err(|error| RunError::Admin(address, error))?;
    let stores = Stores::open(&settings.store).await?;
    let serving = Arc::new(Serving::new(&chosen));
    let readiness: Readiness = {
        let serving = Arc::clone(&serving);
        Arc::new(move || serving.missing())
    };
    let stop_admin = Shutdown::new();
    tracing::info!(admin = %address, roles = ?chosen, "starting");
    let admin = tokio::spawn(admin::serve(listener, metrics, readiness, stop_admin.clone()));
    let ended = run_roles(settings, &chosen, stores, &serving, &shutdown).await;
    stop_admin.request();
    admin.abort();
    match &ended {
        Ok(()) => tracing::info!("stopped; everything was finished"),
        Err(error) => tracing::error!(%error, "stopped"),
    }
    ended
}

async fn run_roles(
    settings: &Settings,
    chosen: &[Role],
    stores: Stores,
    serving: &Arc<Serving>,
    shutdown: &Shutdown,
) -> Result<(), RunError> {
    let failed = |role| move |source| RunError::Role { role, source };
    let mut rest = chosen.to_vec();
    // Everybody else needs what setup makes; it runs to its end before they start.
    if let Some(setup) = rest.iter().position(|r| *r == Role::Setup) {
        rest.remove(setup);
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            done = start(Role::Setup, settings.clone(), stores.clone(), Arc::clone(serving), shutdown.clone()) => {
                done.map_err(failed(Role::Setup))?;
            }
        }
        serving.done(Role::Setup);
    }
    if rest.is_empty() {
        return Ok(());
    }
    let mut running = JoinSet::new();
    for role in rest {
        let (settings, stores, serving, shutdown) =
            (settings.clone(), stores.clone(), Arc::clone(serving), shutdown.clone());
        running
            .spawn(async move { (role, start(role, settings, stores, serving, shutdown).await) });
    }
    drop(stores);
    let mut first = None;
    tokio::select! {
        () = shutdown.requested() => {}
        ended = running.join_next() => first = ended,
    }
    // One that ended by itself takes the others with it, in good order.
    shutdown.request();
    let mut outcome = first.map_or(Ok(()), one_ended);
    let within = settings.workers.stop_within_s;
    let rest = async {
        while let Some(ended) = running.join_next().await {
            let ended = one_ended(ended);
            if outcome.is_ok() {
                outcome = ended;
            }
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(within), rest).await.is_ok();
    if in_time { outcome } else { outcome.and(Err(RunError::CutOff(within))) }
}

type Ended = Result<(Role, Result<(), RoleError>), tokio::task::JoinError>;

fn one_ended(ended: Ended) -> Result<(), RunError> {
    match ended {
        Ok((role, Ok(()))) => {
            tracing::info!(role = role.name(), "ended");
            Ok(())
        }
        Ok((role, Err(source))) => Err(RunError::Role { role, source }),
        // Panics are caught within; tasks are cancelled only after their answer has no reader.
        Err(_) => Ok(()),
    }
}

/// Runs one role to its end, on a connection of its own.
async fn start(
    role: Role,
    settings: Settings,
    stores: Stores,
    serving: Arc<Serving>,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    let bus = tokio::select! {
        () = shutdown.requested() => return Ok(()),
        bus = Bus::connect(&settings.bus, role.user()) => bus?,
    };
    serving.started(role, bus.clone());
    let run = run_role(role, bus, stores, &settings, shutdown.clone());
    let ended = AssertUnwindSafe(run).catch_unwind().await;
    let ended = ended.unwrap_or_else(|_| Err(RoleError::new("panicked")));
    if ended.is_ok() && role != Role::Setup && !shutdown.is_requested() {
        return Err(RoleError::new("ended by itself"));
    }
    ended
}

async fn run_role(
    role: Role,
    bus: Bus,
    stores: Stores,
    settings: &Settings,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    match role {
        Role::Setup => roles::setup::run(bus, stores, &settings.setup, shutdown).await,
        Role::Auth => roles::auth::run(bus, stores, &settings.auth, shutdown).await,
        Role::Profiles => roles::profiles::run(bus, stores, &settings.profiles, shutdown).await,
        Role::Channels => roles::channels::run(bus, stores, &settings.channels, shutdown).await,
        Role::History => roles::history::run(bus, stores, &settings.history, shutdown).await,
        Role::Bots => roles::bots::run(bus, stores, &settings.bots, shutdown).await,
        Role::Ingress => roles::ingress::run(bus, &settings.ingress, shutdown).await,
        Role::Delivery => roles::delivery::run(bus, stores, &settings.delivery, shutdown).await,
        Role::Auditor => roles::auditor::run(bus, stores, &settings.auditor, shutdown).await,
        Role::Persister => roles::persister::run(bus, stores, &settings.persister, shutdown).await,
    }
}

#[cfg(test)]
mod tests;
