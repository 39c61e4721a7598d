//! A bus, accounts that count who asks for them, and workers of the role.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use bus_schema::error::Failure;
use bus_schema::events::VersionedUser;
use bus_schema::ids::{SessionId, UserId};
use bus_schema::ops::Operation;
use bus_schema::ops::profiles::*;
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::text::{DisplayName, Username};
use bus_schema::timestamp::Timestamp;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::roles::profiles::ProfilesSettings;
use crate::roles::{RoleError, auth};
use crate::store::cluster::redis::RedisSettings;
use crate::store::conformance::profiles::profile;
use crate::store::users::{Account, Created, ProfileChange, Updated, UserStore};
use crate::store::{StoreError, StoreErrorKind, Stores};
use crate::testing::{NatsServer, PATIENCE, eventually};

/// Where profiles are cached.
pub(super) enum Place {
    Memory,
    Redis(RedisSettings),
}

/// A platform of profiles: people 1, 2, 3… called "first".
pub(super) struct World {
    pub(super) edge: Bus,
    pub(super) stores: Stores,
    /// What all workers ask.
    pub(super) users: Arc<Watched>,
    pub(super) shutdown: Shutdown,
    pub(super) workers: Vec<JoinHandle<Result<(), RoleError>>>,
    pub(super) server: NatsServer,
}

impl World {
    pub(super) async fn new(
        place: Place,
        people: u64,
        workers: usize,
        settings: ProfilesSettings,
    ) -> Self {
        let server = NatsServer::start().await;
        let mut stores = Stores::embedded(&server.directory.path().join("store")).await.unwrap();
        let users = Arc::new(Watched::new(Arc::clone(&stores.users)));
        stores.users = users.clone();
        if let Place::Redis(redis) = place {
            stores = stores.with_profiles_in(&redis).unwrap();
        }
        for id in 1..=people {
            let account = Account::new(profile(id, 1, "first").user, None, Timestamp::now());
            assert_eq!(stores.users.create(account).await.unwrap(), Created::Done);
        }
        let edge = server.connect(BusUser::Edge).await;
        let shutdown = Shutdown::new();
        let mut world = Self { edge, stores, users, shutdown, workers: Vec::new(), server };
        for _ in 0..workers {
            world.worker(settings.clone()).await;
        }
        world
    }

    async fn worker(&mut self, settings: ProfilesSettings) {
        let bus = self.server.connect(BusUser::Profiles).await;
        let (probe, stores, stop) = (bus.clone(), self.stores.clone(), self.shutdown.clone());
        let run = async move { super::super::run(bus, stores, &settings, stop).await };
        self.workers.push(tokio::spawn(run));
        eventually("serves", async || probe.is_serving().then_some(())).await;
    }

    pub(super) async fn ask<O: Operation>(
        &self,
        call: Call,
        request: &O::Request,
    ) -> Result<O::Reply, Failure> {
        self.edge.call::<O>(&call.timeout(PATIENCE), request).await
    }

    pub(super) async fn names(&self, ids: &[u64]) -> BTreeMap<u64, String> {
        names(&self.edge, ids).await
    }

    /// An auth role that vouches for user 1, and the call of user 1.
    pub(super) async fn token(&mut self) -> Call {
        let settings = auth::AuthSettings { argon2_memory_kib: 64, ..Default::default() };
        let token = auth::access_token(&self.stores, UserId(1), SessionId(1)).await;
        let bus = self.server.connect(BusUser::Auth).await;
        let (probe, stores, stop) = (bus.clone(), self.stores.clone(), self.shutdown.clone());
        let run = async move { auth::run(bus, stores, &settings, stop).await };
        self.workers.push(tokio::spawn(run));
        eventually("serves", async || probe.is_serving().then_some(())).await;
        Call::token(&token)
    }
}

pub(super) async fn names(edge: &Bus, ids: &[u64]) -> BTreeMap<u64, String> {
    let request = GetProfilesRequest { ids: ids.iter().copied().map(UserId).collect() };
    let call = Call::platform().timeout(PATIENCE);
    let users = edge.call::<GetProfiles>(&call, &request).await.unwrap().users;
    users.into_iter().map(|u| (u.id.0, u.display_name.to_string())).collect()
}

pub(super) fn display_name(name: &str) -> UpdateProfileRequest {
    let display_name = Some(DisplayName::parse(name).unwrap());
    UpdateProfileRequest { display_name, ..UpdateProfileRequest::default() }
}

/// Real accounts, whose answers can be counted, held back and refused.
pub(super) struct Watched {
    inner: Arc<dyn UserStore>,
    pub(super) queries: AtomicUsize,
    pub(super) ids: AtomicUsize,
    running: AtomicUsize,
    /// The most queries that ever ran at once.
    pub(super) at_once: AtomicUsize,
    /// While true, what was read is not answered.
    pub(super) hold: watch::Sender<bool>,
    pub(super) down: AtomicBool,
}

impl Watched {
    pub(super) fn new(inner: Arc<dyn UserStore>) -> Self {
        Self {
            inner,
            queries: 0.into(),
            ids: 0.into(),
            running: 0.into(),
            at_once: 0.into(),
            hold: watch::Sender::new(false),
            down: false.into(),
        }
    }

    /// Queries, and ids looked up in them.
    pub(super) fn counted(&self) -> (usize, usize) {
        (self.queries.load(Ordering::SeqCst), self.ids.load(Ordering::SeqCst))
    }
}

#[async_trait]
impl UserStore for Watched {
    async fn profiles(&self, ids: Vec<UserId>) -> Result<Vec<VersionedUser>, StoreError> {
        self.queries.fetch_add(1, Ordering::SeqCst);
        self.ids.fetch_add(ids.len(), Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once.fetch_max(running, Ordering::SeqCst);
        let found = if self.down.load(Ordering::SeqCst) {
            Err(StoreError::new(StoreErrorKind::Unavailable, "down"))
        } else {
            self.inner.profiles(ids).await
        };
        self.hold.subscribe().wait_for(|hold| !hold).await.unwrap();
        self.running.fetch_sub(1, Ordering::SeqCst);
        found
    }

    async fn create(&self, account: Account) -> Result<Created, StoreError> {
        self.inner.create(account).await
    }

    async fn create_bot(&self, account: Account, most: usize) -> Result<Created, StoreError> {
        self.inner.create_bot(account, most).await
    }

    async fn bots_of(&self, owner: UserId) -> Result<Vec<Account>, StoreError> {
        self.inner.bots_of(owner).await
    }

    async fn retire_bot(&self, id: UserId, name: Username) -> Result<Updated, StoreError> {
        self.inner.retire_bot(id, name).await
    }

    async fn by_id(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.inner.by_id(id).await
    }

    async fn by_username(&self, name: &Username) -> Result<Option<Account>, StoreError> {
        self.inner.by_username(name).await
    }

    async fn update_profile(&self, id: UserId, to: ProfileChange) -> Result<Updated, StoreError> {
        self.inner.update_profile(id, to).await
    }

    async fn set_password(
        &self,
        id: UserId,
        only_if: Option<String>,
        hash: String,
    ) -> Result<bool, StoreError> {
        self.inner.set_password(id, only_if, hash).await
    }

    async fn set_disabled(&self, id: UserId, disabled: bool) -> Result<bool, StoreError> {
        self.inner.set_disabled(id, disabled).await
    }

    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>, StoreError> {
        self.inner.list(after, limit).await
    }
}
