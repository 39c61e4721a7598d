//! The role over a real bus, two workers of it where that matters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bus_schema::error::{Code, Failure};
use bus_schema::events::{Ephemeral, User, VersionedUser};
use bus_schema::ids::{ConversationId, SessionId, UserId};
use bus_schema::ops::channels::{Audience, AudienceReply};
use bus_schema::ops::profiles::*;
use bus_schema::ops::{Operation, Service};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::service::{Context, Host, ServiceSettings};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects::LogSubject;
use bus_schema::text::{DisplayName, Username};
use bus_schema::timestamp::Timestamp;
use futures::StreamExt as _;
use tokio::task::JoinHandle;

use super::ProfilesSettings;
use super::cache::{InProcess, ProfileCache};
use super::loader::Loader;
use crate::roles::{RoleError, auth};
use crate::store::users::{Account, Created, ProfileChange, Updated, UserStore};
use crate::store::{StoreError, StoreErrorKind, Stores};
use crate::testing::{NatsServer, PATIENCE, eventually};

pub(super) fn profile(id: u64, version: u64, name: &str) -> VersionedUser {
    let user = User {
        id: UserId(id),
        username: Username::parse(&format!("user{id}")).unwrap(),
        display_name: DisplayName::parse(name).unwrap(),
        avatar_url: None,
        bot: false,
    };
    VersionedUser { version, user }
}

struct World {
    edge: Bus,
    stores: Stores,
    shutdown: Shutdown,
    workers: Vec<JoinHandle<Result<(), RoleError>>>,
    server: NatsServer,
}

impl World {
    async fn new(workers: usize, settings: ProfilesSettings) -> Self {
        let server = NatsServer::start().await;
        let stores = Stores::embedded(&server.directory.path().join("store")).await.unwrap();
        for id in 1..=5 {
            let user = profile(id, 1, "first").user;
            let account = Account::new(user, None, Timestamp::now());
            assert_eq!(stores.users.create(account).await.unwrap(), Created::Done);
        }
        let edge = server.connect(BusUser::Edge).await;
        let shutdown = Shutdown::new();
        let mut world = Self { edge, stores, shutdown, workers: Vec::new(), server };
        for _ in 0..workers {
            world.worker(settings.clone()).await;
        }
        world
    }

    async fn worker(&mut self, settings: ProfilesSettings) {
        let bus = self.server.connect(BusUser::Profiles).await;
        let (probe, stores, stop) = (bus.clone(), self.stores.clone(), self.shutdown.clone());
        let run = async move { super::run(bus, stores, &settings, stop).await };
        self.workers.push(tokio::spawn(run));
        eventually("serves", async || probe.is_serving().then_some(())).await;
    }

    async fn ask<O: Operation>(
        &self,
        call: Call,
        request: &O::Request,
    ) -> Result<O::Reply, Failure> {
        self.edge.call::<O>(&call.timeout(PATIENCE), request).await
    }

    async fn names(&self, ids: &[u64]) -> BTreeMap<u64, String> {
        let request = GetProfilesRequest { ids: ids.iter().copied().map(UserId).collect() };
        let users = self.ask::<GetProfiles>(Call::platform(), &request).await.unwrap().users;
        users.into_iter().map(|u| (u.id.0, u.display_name.to_string())).collect()
    }

    /// An auth role that vouches for user 1, and the call of user 1.
    async fn token(&mut self) -> Call {
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

fn display_name(name: &str) -> UpdateProfileRequest {
    let display_name = Some(DisplayName::parse(name).unwrap());
    UpdateProfileRequest { display_name, ..UpdateProfileRequest::default() }
}

#[tokio::test]
async fn gets_each_known_user_once() {
    let world = World::new(1, ProfilesSettings::default()).await;
    let names = world.names(&[1, 2, 2, 1, 77]).await;
    assert_eq!(names.keys().copied().collect::<Vec<_>>(), [1, 2]);
    assert_eq!(world.names(&[]).await.len(), 0);
    let request = GetProfilesRequest { ids: (0..101).map(UserId).collect() };
    let too_many = world.ask::<GetProfiles>(Call::platform(), &request).await;
    assert_eq!(too_many.unwrap_err().code, Code::BadRequest);
    let by_name = |name| ByUsernameRequest { username: Username::parse(name).unwrap() };
    let found = world.ask::<ByUsername>(Call::platform(), &by_name("USER3")).await.unwrap();
    assert_eq!(found.id, UserId(3));
    let nobody = world.ask::<ByUsername>(Call::platform(), &by_name("nobody")).await;
    assert_eq!(nobody.unwrap_err().code, Code::NotFound);
    world.shutdown.request();
    for worker in world.workers {
        worker.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn an_answered_change_is_seen_through_every_worker() {
    let mut world = World::new(3, ProfilesSettings::default()).await;
    let token = world.token().await;
    for _ in 0..20 {
        world.names(&[1]).await;
    }
    for n in 0..20 {
        let name = format!("name {n}");
        let user = world.ask::<UpdateProfile>(token.clone(), &display_name(&name)).await.unwrap();
        assert_eq!(user.display_name.as_str(), name);
        for _ in 0..5 {
            assert_eq!(world.names(&[1]).await[&1], name);
        }
    }
    let taken = UpdateProfileRequest {
        username: Some(Username::parse("user2").unwrap()),
        ..UpdateProfileRequest::default()
    };
    let refused = world.ask::<UpdateProfile>(token.clone(), &taken).await.unwrap_err();
    assert_eq!(refused.code, Code::UsernameTaken);
    let nobody = world.ask::<UpdateProfile>(Call::platform(), &display_name("x")).await;
    assert_eq!(nobody.unwrap_err().code, Code::Unauthorized);
}

#[tokio::test]
async fn a_change_behind_the_caches_is_seen_when_they_are_no_longer_fresh() {
    let world = World::new(1, ProfilesSettings { fresh_s: 1, ..Default::default() }).await;
    assert_eq!(world.names(&[1]).await[&1], "first");
    let change = ProfileChange {
        display_name: Some(DisplayName::parse("second").unwrap()),
        ..ProfileChange::default()
    };
    world.stores.users.update_profile(UserId(1), change).await.unwrap();
    assert_eq!(world.names(&[1]).await[&1], "first", "a cached profile costs no query");
    eventually("the new name", async || (world.names(&[1]).await[&1] == "second").then_some(()))
        .await;
}

#[tokio::test]
async fn everybody_who_sees_a_person_is_told() {
    let mut world = World::new(1, ProfilesSettings::default()).await;
    let token = world.token().await;
    let channel = LogSubject::Channel(ConversationId(300));
    let channels = world.server.connect(BusUser::Channels).await;
    let mut host =
        Host::new(&channels, Service::Channels, ServiceSettings::default()).await.unwrap();
    host.operation::<Audience, _, _>(None, move |context: Context, _| async move {
        let partner = LogSubject::User(UserId(2));
        assert_eq!(context.caller()?.user, UserId(1));
        Ok(AudienceReply { places: vec![channel, partner] })
    })
    .await
    .unwrap();
    let host = tokio::spawn(host.run(world.shutdown.clone()));
    let mut heard = Vec::new();
    for place in [channel, LogSubject::User(UserId(2)), LogSubject::User(UserId(1))] {
        heard.push(world.edge.client().subscribe(place.ephemeral()).await.unwrap());
    }
    world.edge.client().flush().await.unwrap();
    channels.client().flush().await.unwrap();
    world.ask::<UpdateProfile>(token, &display_name("Ann")).await.unwrap();
    for place in &mut heard {
        let message = tokio::time::timeout(PATIENCE, place.next()).await.unwrap().unwrap();
        let event: Ephemeral = serde_json::from_slice(&message.payload).unwrap();
        assert!(matches!(event, Ephemeral::UserUpdate(u) if u.display_name.as_str() == "Ann"));
    }
    world.shutdown.request();
    assert!(host.await.unwrap());
}

/// Counts queries and takes its time, so that misses meet; or does not answer.
struct Slow {
    queries: AtomicUsize,
    ids: AtomicUsize,
    down: bool,
}

#[async_trait]
impl UserStore for Slow {
    async fn profiles(&self, ids: Vec<UserId>) -> Result<Vec<VersionedUser>, StoreError> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        self.ids.fetch_add(ids.len(), Ordering::Relaxed);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        if self.down {
            return Err(StoreError::new(StoreErrorKind::Unavailable, "down"));
        }
        Ok(ids.into_iter().map(|id| profile(id.0, 1, "x")).collect())
    }

    async fn create(&self, _: Account) -> Result<Created, StoreError> {
        unreachable!()
    }
    async fn by_id(&self, _: UserId) -> Result<Option<Account>, StoreError> {
        unreachable!()
    }
    async fn by_username(&self, _: &Username) -> Result<Option<Account>, StoreError> {
        unreachable!()
    }
    async fn update_profile(&self, _: UserId, _: ProfileChange) -> Result<Updated, StoreError> {
        unreachable!()
    }
    async fn set_password(
        &self,
        _: UserId,
        _: Option<String>,
        _: String,
    ) -> Result<bool, StoreError> {
        unreachable!()
    }
    async fn set_disabled(&self, _: UserId, _: bool) -> Result<bool, StoreError> {
        unreachable!()
    }
    async fn list(&self, _: Option<UserId>, _: u32) -> Result<Vec<Account>, StoreError> {
        unreachable!()
    }
}

fn loader(down: bool, fresh_s: u64) -> (Arc<Slow>, Arc<InProcess>, Arc<Loader>) {
    let slow = Arc::new(Slow { queries: 0.into(), ids: 0.into(), down });
    let settings = ProfilesSettings { fresh_s, ..ProfilesSettings::default() };
    let cache = Arc::new(InProcess::new(&settings));
    let loader = Loader::start(slow.clone(), cache.clone());
    (slow, cache, Arc::new(loader))
}

#[tokio::test]
async fn misses_that_meet_share_a_query_and_no_id_is_read_twice() {
    let (slow, _cache, loader) = loader(false, 60);
    let ids: Vec<UserId> = (0..10).map(UserId).collect();
    let loads = (0..50).map(|_| loader.load(ids.clone()));
    for found in futures::future::join_all(loads).await {
        assert_eq!(found.unwrap().len(), 10);
    }
    assert_eq!(slow.queries.load(Ordering::Relaxed), 1);
    assert_eq!(slow.ids.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn a_store_that_is_down_is_covered_by_what_was_known() {
    let (_slow, cache, loader) = loader(true, 0);
    cache.put(&[profile(1, 1, "known")]).await;
    let found = loader.load(vec![UserId(1)]).await.unwrap();
    assert_eq!(found[&UserId(1)].user.display_name.as_str(), "known");
    let refused = loader.load(vec![UserId(1), UserId(2)]).await.unwrap_err();
    assert_eq!(refused.code, Code::Unavailable);
}
