//! The profiles role on a bus of its own, and accounts for it to tell of.

#![expect(clippy::unwrap_used, reason = "for benchmarks")]

use std::time::{Duration, Instant};

use bus_schema::ids::UserId;
use bus_schema::ops::auth::{Register, RegisterRequest};
use bus_schema::ops::profiles::{GetProfiles, GetProfilesRequest, Users};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::settings::BusSettings;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::text::{DisplayName, Password, Username};
use natter_workers::roles::{auth, profiles};
use natter_workers::store::Stores;

use super::Nats;

/// How long anything may take to start.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A bus of its own, and where its stores are.
pub(crate) struct World {
    pub(crate) nats: Nats,
    pub(crate) directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { nats: Nats::start(directory.path()).await, directory }
    }

    async fn connect(&self, user: BusUser) -> Bus {
        let settings = BusSettings { url: self.nats.url.clone(), ..BusSettings::default() };
        Bus::connect(&settings, user).await.unwrap()
    }

    /// Starts the profiles role on these stores, and a connection to ask it through.
    pub(crate) async fn profiles(&self, stores: Stores, shutdown: &Shutdown) -> Bus {
        let (bus, stop) = (self.connect(BusUser::Profiles).await, shutdown.clone());
        let serving = bus.clone();
        tokio::spawn(async move {
            profiles::run(bus, stores, &profiles::ProfilesSettings::default(), stop).await.unwrap();
        });
        until_serving(&serving).await;
        self.connect(BusUser::Edge).await
    }
}

async fn until_serving(bus: &Bus) {
    let began = Instant::now();
    while !bus.is_serving() {
        assert!(began.elapsed() < PATIENCE, "a role does not serve");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Makes so many accounts, as people do.
pub(crate) async fn register(
    world: &World,
    stores: &Stores,
    people: u64,
    shutdown: &Shutdown,
) -> Vec<UserId> {
    let settings = auth::AuthSettings {
        argon2_memory_kib: 64,
        limits_per_address: false,
        ..auth::AuthSettings::default()
    };
    let (bus, stores, stop) =
        (world.connect(BusUser::Auth).await, stores.clone(), shutdown.clone());
    let serving = bus.clone();
    tokio::spawn(async move { auth::run(bus, stores, &settings, stop).await.unwrap() });
    until_serving(&serving).await;
    let edge = world.connect(BusUser::Edge).await;
    let mut ids = Vec::new();
    for n in 0..people {
        let request = RegisterRequest {
            username: Username::parse(&format!("someone_{n:03}")).unwrap(),
            password: Password::parse("correct horse battery").unwrap(),
            display_name: Some(DisplayName::parse(&format!("Some One the {n}th")).unwrap()),
            invite: None,
            address: None,
        };
        let made = edge.call::<Register>(&Call::platform(), &request).await.unwrap();
        ids.push(made.user.id);
    }
    ids
}

/// Asks for profiles, as an edge does.
pub(crate) async fn ask(bus: &Bus, ids: &[UserId]) -> Users {
    let request = GetProfilesRequest { ids: ids.to_vec() };
    bus.call::<GetProfiles>(&Call::platform(), &request).await.unwrap()
}
