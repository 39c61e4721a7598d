//! The profiles role: who people are, from a cache in front of the store.
//!
//! Invariant: a profile that is not changing is right within `fresh_s` seconds, whatever died: a
//! cached one older than that is read again, and a lower version never replaces a higher one. One
//! request looks each user up at most once, and many requests that miss share one query. Sharing is
//! within a process: of several workers, each may read what the cache does not have.
//!
//! Leaves out accounts (the auth role's) and who may see whom: profiles are public.

mod by_username;
mod fan_out;
mod get;
mod listen;
mod loader;
mod settings;
#[cfg(test)]
mod tests;
mod update;

use std::sync::Arc;

use bus_schema::ops::Service;
use bus_schema::ops::profiles as ops;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::service::Host;
use bus_schema::runtime::shutdown::Shutdown;

pub use self::settings::ProfilesSettings;
use super::{RoleError, serve, with};
use crate::store::Stores;
use crate::store::profiles::ProfileCache;
use crate::store::users::UserStore;

/// What every operation of the role works with.
struct Profiles {
    bus: Bus,
    users: Arc<dyn UserStore>,
    cache: Arc<dyn ProfileCache>,
    loader: loader::Loader,
    fan_out: fan_out::FanOut,
}

/// Serves until stopped.
pub async fn run(
    bus: Bus,
    stores: Stores,
    settings: &ProfilesSettings,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    let cache = stores.profiles.open(settings.limits());
    // Listening first: a change made while the rest starts must not be missed.
    let listener = listen::start(&bus, Arc::clone(&cache), shutdown.clone()).await?;
    let profiles = Arc::new(Profiles {
        loader: loader::Loader::start(Arc::clone(&stores.users), Arc::clone(&cache)),
        fan_out: fan_out::FanOut::new(bus.clone(), settings),
        users: stores.users,
        bus: bus.clone(),
        cache,
    });
    let mut host = Host::new(&bus, Service::Profiles, settings.service).await?;
    host.operation::<ops::GetProfiles, _, _>(None, with(&profiles, get::get)).await?;
    host.operation::<ops::ByUsername, _, _>(None, with(&profiles, by_username::by_username))
        .await?;
    host.operation::<ops::UpdateProfile, _, _>(None, with(&profiles, update::update)).await?;
    let served = serve(host, &shutdown).await;
    profiles.fan_out.finish().await;
    listener.abort();
    served
}
