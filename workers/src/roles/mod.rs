//! The worker roles. Each scales alone, and each can run beside others in one process.
//!
//! Invariant: a role has its own connection to NATS under its own user, and never calls another
//! role's code: roles talk by bus.

pub mod auditor;
pub mod auth;
pub mod bots;
pub mod channels;
pub mod delivery;
pub mod history;
pub mod ingress;
pub mod persister;
pub mod profiles;
pub mod setup;

use std::error::Error;
use std::sync::Arc;

use bus_schema::permissions::BusUser;
use bus_schema::runtime::service::{Context, Host};
use bus_schema::runtime::shutdown::Shutdown;
use serde::{Deserialize, Serialize};

/// What a worker process can be.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    clap::ValueEnum,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Creates the streams and reports drift, then is done.
    Setup,
    /// Accounts, sessions, tokens.
    Auth,
    /// Profiles.
    Profiles,
    /// Channels, DMs, membership.
    Channels,
    /// Entries, messages, markers.
    History,
    /// Brings the log into the store.
    Persister,
    /// Bots and their credentials.
    Bots,
    /// What bots ask for.
    Ingress,
    /// What bots receive.
    Delivery,
    /// Whether everything in the log has come to all who must know of it.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 10] = [
        Self::Setup,
        Self::Auth,
        Self::Profiles,
        Self::Channels,
        Self::History,
        Self::Persister,
        Self::Bots,
        Self::Ingress,
        Self::Delivery,
        Self::Auditor,
    ];

    /// The NATS user it connects as.
    pub const fn user(self) -> BusUser {
        match self {
            Self::Setup => BusUser::Setup,
            Self::Auth => BusUser::Auth,
            Self::Profiles => BusUser::Profiles,
            Self::Channels => BusUser::Channels,
            Self::History => BusUser::History,
            Self::Persister => BusUser::Persister,
            Self::Bots => BusUser::Bots,
            Self::Ingress => BusUser::Ingress,
            Self::Delivery => BusUser::Delivery,
            Self::Auditor => BusUser::Auditor,
        }
    }

    /// Its name, which is its NATS user's.
    pub const fn name(self) -> &'static str {
        self.user().name()
    }
}

/// A role could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct RoleError(Box<dyn Error + Send + Sync>);

impl RoleError {
    /// With its cause, or a text that says what went wrong.
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(cause.into())
    }
}

macro_rules! causes {
    ($($cause:ty),*) => {$(
        impl From<$cause> for RoleError {
            fn from(cause: $cause) -> Self {
                Self::new(cause)
            }
        }
    )*};
}

causes!(
    bus_schema::runtime::bus::BusError,
    bus_schema::runtime::service::ServeError,
    crate::store::StoreError
);

/// A handler that works with a role's shared state.
fn with<S, Q, R, F>(state: &Arc<S>, handler: F) -> impl Fn(Context, Q) -> R + Send + Sync + 'static
where
    S: Send + Sync + 'static,
    F: Fn(Arc<S>, Context, Q) -> R + Send + Sync + 'static,
{
    let state = Arc::clone(state);
    move |context, request| handler(Arc::clone(&state), context, request)
}

/// Serves until stopped. Ending before that is an error, and so is leaving requests unfinished.
async fn serve(host: Host, shutdown: &Shutdown) -> Result<(), RoleError> {
    let in_time = host.run(shutdown.clone()).await;
    if !shutdown.is_requested() {
        return Err(RoleError::new("stopped serving by itself"));
    }
    if in_time { Ok(()) } else { Err(RoleError::new("requests were cut off at the deadline")) }
}
