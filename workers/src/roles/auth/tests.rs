//! The role as an edge sees it: over a real bus, on a real store, with real permissions.

use std::path::PathBuf;
use std::sync::Arc;

use bus_schema::error::{Code, Failure};
use bus_schema::events::Revoked;
use bus_schema::ids::SessionId;
use bus_schema::limits::SESSIONS_PER_USER;
use bus_schema::ops::auth::*;
use bus_schema::ops::{Empty, Operation};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects;
use bus_schema::text::{Nonce, Password, Username};
use bus_schema::timestamp::Timestamp;
use futures::StreamExt as _;
use tokio::task::JoinHandle;

use super::{AuthSettings, Registration};
use crate::cli::{self, Command, InviteCommand, UserCommand};
use crate::config::Settings;
use crate::roles::RoleError;
use crate::store::Stores;
use crate::store::cluster::keys::Keys;
use crate::store::cluster::mongodb::Mongo;
use crate::store::keys::{KeyRecord, KeyStore as _, Purpose};
use crate::testing::mongod::MongoServer;
use crate::testing::{NatsServer, PATIENCE};

mod halfway;

const PASSWORD: &str = "correct horse";

struct World {
    edge: Bus,
    settings: Settings,
    shutdown: Shutdown,
    role: JoinHandle<Result<(), RoleError>>,
    server: NatsServer,
}

/// Cheap hashes; everything else as delivered, without limits.
fn cheap() -> AuthSettings {
    AuthSettings {
        argon2_memory_kib: 64,
        argon2_passes: 1,
        limits_per_address: false,
        ..AuthSettings::default()
    }
}

impl World {
    async fn new(auth: AuthSettings) -> Self {
        let server = NatsServer::start().await;
        let mut settings = Settings { auth: auth.clone(), ..Settings::default() };
        settings.store.embedded = server.directory.path().join("store");
        let stores = Stores::embedded(&settings.store.embedded).await.unwrap();
        let bus = server.connect(BusUser::Auth).await;
        let shutdown = Shutdown::new();
        let (probe, stop) = (bus.clone(), shutdown.clone());
        let role = tokio::spawn(async move { super::run(bus, stores, &auth, stop).await });
        crate::testing::eventually("auth serves", async || probe.is_serving().then_some(())).await;
        let edge = server.connect(BusUser::Edge).await;
        Self { edge, settings, shutdown, role, server }
    }

    async fn ask<O: Operation>(
        &self,
        call: Call,
        request: &O::Request,
    ) -> Result<O::Reply, Failure> {
        self.edge.call::<O>(&call.timeout(PATIENCE), request).await
    }

    async fn register(&self, name: &str) -> SignedIn {
        self.try_register(name, None).await.unwrap()
    }

    async fn try_register(&self, name: &str, invite: Option<&str>) -> Result<SignedIn, Failure> {
        let request = RegisterRequest {
            username: Username::parse(name).unwrap(),
            password: Password::parse(PASSWORD).unwrap(),
            display_name: None,
            invite: invite.map(|i| Secret::new(i.to_owned())),
            address: Some("192.0.2.1".to_owned()),
        };
        self.ask::<Register>(Call::platform(), &request).await
    }

    async fn sign_in(&self, name: &str, password: &str) -> Result<SignedIn, Failure> {
        let request = SignInRequest {
            username: name.to_owned(),
            password: Secret::new(password.to_owned()),
            address: Some("192.0.2.1".to_owned()),
        };
        self.ask::<SignIn>(Call::platform(), &request).await
    }

    async fn refresh(&self, token: &Secret, nonce: Option<&str>) -> Result<SignedIn, Failure> {
        let nonce = nonce.map(|n| Nonce::parse(n).unwrap());
        let request = RefreshRequest { refresh_token: token.clone(), nonce };
        self.ask::<Refresh>(Call::platform(), &request).await
    }

    async fn sessions(&self, who: &SignedIn) -> Result<Vec<Session>, Failure> {
        Ok(self.ask::<ListSessions>(by(who), &Empty {}).await?.sessions)
    }

    async fn current(&self, who: &SignedIn) -> SessionId {
        self.sessions(who).await.unwrap().iter().find(|s| s.current).unwrap().id
    }

    async fn operator(&self, command: Command) -> String {
        let mut out = Vec::new();
        cli::execute(command, &self.settings, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }
}

fn by(who: &SignedIn) -> Call {
    Call::token(who.access_token.expose())
}

fn code<T>(answer: Result<T, Failure>) -> Code {
    answer.err().expect("a refusal").code
}

#[tokio::test]
async fn registering_and_signing_in() {
    let world = World::new(cheap()).await;
    let ann = world.register("Ann").await;
    assert_eq!(ann.user.username.as_str(), "ann");
    assert_eq!((ann.user.display_name.as_str(), ann.expires_in), ("ann", 900));
    assert_eq!(code(world.try_register("ann", None).await), Code::UsernameTaken);
    let again = world.sign_in("ANN", PASSWORD).await.unwrap();
    assert_eq!(again.user, ann.user);
    let wrong = world.sign_in("ann", "wrong").await.unwrap_err();
    let nobody = world.sign_in("nobody", PASSWORD).await.unwrap_err();
    let impossible = world.sign_in("no such name!", PASSWORD).await.unwrap_err();
    assert_eq!(wrong.code, Code::Unauthorized);
    assert_eq!((&nobody, &impossible), (&wrong, &wrong), "misses look alike");
    let sessions = world.sessions(&again).await.unwrap();
    assert_eq!(sessions.iter().map(|s| s.current).collect::<Vec<_>>(), [true, false]);
    world.shutdown.request();
    world.role.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_refresh_token_is_used_once_and_repeats_only_with_its_nonce() {
    let world = World::new(cheap()).await;
    let ann = world.register("ann").await;
    let first = world.refresh(&ann.refresh_token, Some("n")).await.unwrap();
    assert_ne!(first.refresh_token, ann.refresh_token);
    assert_eq!(world.refresh(&ann.refresh_token, Some("n")).await.unwrap(), first);
    let second = world.refresh(&first.refresh_token, None).await.unwrap();
    assert_eq!(world.refresh(&ann.refresh_token, Some("n")).await.unwrap(), first);
    let id = world.current(&second).await;
    assert_eq!(code(world.refresh(&first.refresh_token, None).await), Code::Unauthorized);
    assert_eq!(code(world.refresh(&second.refresh_token, None).await), Code::Unauthorized);
    assert_eq!(code(world.sessions(&second).await), Code::Unauthorized);
    let gone = world.ask::<RecentlyRevoked>(Call::platform(), &Empty {}).await.unwrap();
    assert_eq!(gone.sessions, [id]);
    for forged in ["", "x", &"A".repeat(75), ann.access_token.expose()] {
        let forged = Secret::new(forged.to_owned());
        assert_eq!(code(world.refresh(&forged, None).await), Code::Unauthorized);
    }
}

#[tokio::test]
async fn the_oldest_session_ends_and_edges_hear_of_it() {
    let world = World::new(cheap()).await;
    let mut revoked = world.edge.client().subscribe(subjects::REVOKED).await.unwrap();
    world.edge.client().flush().await.unwrap();
    let first = world.register("ann").await;
    let oldest = world.current(&first).await;
    let mut last = None;
    for _ in 0..SESSIONS_PER_USER {
        last = Some(world.sign_in("ann", PASSWORD).await.unwrap());
    }
    let last = last.unwrap();
    let message = tokio::time::timeout(PATIENCE, revoked.next()).await.unwrap().unwrap();
    let message: Revoked = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(message.sessions, [oldest]);
    assert_eq!(world.sessions(&last).await.unwrap().len(), SESSIONS_PER_USER);
    let ids = vec![oldest, world.current(&last).await, SessionId(1)];
    let request = CheckSessionsRequest { sessions: ids };
    let gone = world.ask::<CheckSessions>(Call::platform(), &request).await.unwrap();
    assert_eq!(gone.sessions, [oldest, SessionId(1)]);
    let request = CheckSessionsRequest { sessions: vec![SessionId(1); 5_001] };
    let too_many = world.ask::<CheckSessions>(Call::platform(), &request).await;
    assert_eq!(code(too_many), Code::BadRequest);
}

#[tokio::test]
async fn ending_sessions() {
    let world = World::new(cheap()).await;
    let one = world.register("ann").await;
    let two = world.sign_in("ann", PASSWORD).await.unwrap();
    let bob = world.register("bob").await;
    let end = async |who: &SignedIn, id| {
        world.ask::<EndSession>(by(who), &EndSessionRequest { id }).await
    };
    let first = world.current(&one).await;
    assert_eq!(code(end(&bob, Some(first)).await), Code::NotFound);
    assert_eq!(code(end(&one, Some(SessionId(1))).await), Code::NotFound);
    end(&two, Some(first)).await.unwrap();
    assert_eq!(code(world.sessions(&one).await), Code::Unauthorized);
    assert_eq!(code(world.refresh(&one.refresh_token, None).await), Code::Unauthorized);
    assert_eq!(code(end(&one, Some(world.current(&two).await)).await), Code::Unauthorized);
    end(&two, None).await.unwrap();
    end(&two, None).await.unwrap();
    assert_eq!(code(world.sessions(&two).await), Code::Unauthorized);
    assert_eq!(world.sessions(&bob).await.unwrap().len(), 1, "others notice nothing");
    let forged = Call::token(&format!("{}x", bob.access_token.expose()));
    assert_eq!(code(world.ask::<ListSessions>(forged, &Empty {}).await), Code::Unauthorized);
    let none = world.ask::<ListSessions>(Call::platform(), &Empty {}).await;
    assert_eq!(code(none), Code::Unauthorized);
}

#[tokio::test]
async fn changing_the_password_ends_the_other_sessions() {
    let world = World::new(cheap()).await;
    let one = world.register("ann").await;
    let two = world.sign_in("ann", PASSWORD).await.unwrap();
    let change = async |old: &str| {
        let new = Password::parse("another secret").unwrap();
        let request = ChangePasswordRequest { old: Secret::new(old.to_owned()), new };
        world.ask::<ChangePassword>(by(&one), &request).await
    };
    assert_eq!(code(change("wrong").await), Code::Forbidden);
    change(PASSWORD).await.unwrap();
    assert_eq!(code(world.sessions(&two).await), Code::Unauthorized);
    assert_eq!(world.sessions(&one).await.unwrap().len(), 1);
    assert_eq!(code(world.sign_in("ann", PASSWORD).await), Code::Unauthorized);
    world.sign_in("ann", "another secret").await.unwrap();
}

#[tokio::test]
async fn invitations() {
    let world = World::new(AuthSettings { registration: Registration::Invite, ..cheap() }).await;
    assert_eq!(code(world.try_register("ann", None).await), Code::Forbidden);
    assert_eq!(code(world.try_register("ann", Some("guess")).await), Code::Forbidden);
    let create = Command::Invite(InviteCommand::Create { uses: 1 });
    let invite = world.operator(create).await;
    world.try_register("ann", Some(&invite)).await.unwrap();
    assert_eq!(code(world.try_register("bob", Some(&invite)).await), Code::Forbidden);
}

#[tokio::test]
async fn closed_means_closed() {
    let world = World::new(AuthSettings { registration: Registration::Closed, ..cheap() }).await;
    assert_eq!(code(world.try_register("ann", None).await), Code::Forbidden);
}

#[tokio::test]
async fn an_operators_commands_reach_people() {
    let world = World::new(cheap()).await;
    let ann = world.register("ann").await;
    let id = world.current(&ann).await;
    let mut revoked = world.edge.client().subscribe(subjects::REVOKED).await.unwrap();
    world.edge.client().flush().await.unwrap();
    let username = || "ann".to_owned();
    world.operator(Command::User(UserCommand::Disable { username: username() })).await;
    let message = tokio::time::timeout(PATIENCE, revoked.next()).await.unwrap().unwrap();
    let message: Revoked = serde_json::from_slice(&message.payload).unwrap();
    assert_eq!(message.sessions, [id], "told although the command was not on the bus");
    assert_eq!(code(world.sessions(&ann).await), Code::Unauthorized);
    assert_eq!(code(world.refresh(&ann.refresh_token, None).await), Code::Unauthorized);
    assert_eq!(code(world.sign_in("ann", PASSWORD).await), Code::Forbidden);
    assert_eq!(code(world.sign_in("ann", "wrong").await), Code::Unauthorized);
    world.operator(Command::User(UserCommand::Enable { username: username() })).await;
    world.sign_in("ann", PASSWORD).await.unwrap();
    let reset = UserCommand::ResetPassword { username: username(), stdin: false };
    let printed = world.operator(Command::User(reset)).await;
    assert_eq!(code(world.sign_in("ann", PASSWORD).await), Code::Unauthorized);
    world.sign_in("ann", printed.lines().last().unwrap()).await.unwrap();
}

#[tokio::test]
async fn rates_are_limited() {
    let limited = AuthSettings {
        limits_per_address: true,
        registrations_per_hour: 1,
        failures_per_minute: 2,
        ..cheap()
    };
    let world = World::new(limited).await;
    world.register("ann").await;
    let refused = world.try_register("bob", None).await.unwrap_err();
    assert_eq!(refused.code, Code::RateLimited);
    assert!(refused.retry_after_ms.is_some());
    for _ in 0..3 {
        assert_eq!(code(world.sign_in("ann", "wrong").await), Code::Unauthorized);
    }
    assert_eq!(code(world.sign_in("ann", PASSWORD).await), Code::RateLimited);
}

#[tokio::test]
async fn two_workers_are_one() {
    let world = World::new(cheap()).await;
    let stores = Stores::embedded(&PathBuf::from(&world.settings.store.embedded)).await.unwrap();
    let bus = world.server.connect(BusUser::Auth).await;
    let (probe, stop) = (bus.clone(), world.shutdown.clone());
    let other = tokio::spawn(async move { super::run(bus, stores, &cheap(), stop).await });
    crate::testing::eventually("serves", async || probe.is_serving().then_some(())).await;
    // Requests go to either; both know the same keys, accounts and sessions.
    for n in 0..10 {
        let who = world.register(&format!("user{n}")).await;
        let (a, b) = tokio::join!(
            world.refresh(&who.refresh_token, Some("n")),
            world.refresh(&who.refresh_token, Some("n"))
        );
        assert_eq!(a.unwrap(), b.unwrap());
        assert_eq!(world.sessions(&who).await.unwrap().len(), 1);
    }
    world.shutdown.request();
    other.await.unwrap().unwrap();
}

/// The role starts while its store is away: it serves as soon as the store is back, and stops when it is
/// told to before that.
#[tokio::test]
async fn a_store_that_is_away_at_the_start_is_waited_for() {
    let mut mongod = MongoServer::start().await;
    let server = NatsServer::start().await;
    let mut stores = Stores::embedded(&server.directory.path().join("store")).await.unwrap();
    let mongo = Mongo::open(&mongod.settings()).unwrap();
    stores.keys = Arc::new(Keys(mongo.clone()));
    mongod.kill();
    let start = async |shutdown: &Shutdown| {
        let (bus, stores) = (server.connect(BusUser::Auth).await, stores.clone());
        let (probe, auth, stop) = (bus.clone(), cheap(), shutdown.clone());
        (probe, tokio::spawn(async move { super::run(bus, stores, &auth, stop).await }))
    };
    let (shutdown, early) = (Shutdown::new(), Shutdown::new());
    let (probe, role) = start(&shutdown).await;
    let (_, stopped) = start(&early).await;
    let keys = Keys(mongo.clone());
    let ask = async || keys.ensure(Purpose::AccessTokens, any_key()).await;
    crate::testing::eventually("the store is known to be away", async || ask().await.err()).await;
    early.request();
    let ended = tokio::time::timeout(PATIENCE, stopped).await.expect("it stops").unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    assert!(!probe.is_serving() && !role.is_finished(), "it waits");

    mongod.revive().await;
    mongo.migrate().await.unwrap();
    crate::testing::eventually("auth serves", async || probe.is_serving().then_some(())).await;
    shutdown.request();
    tokio::time::timeout(PATIENCE, role).await.expect("it stops").unwrap().unwrap();
}

fn any_key() -> KeyRecord {
    KeyRecord { kid: "k".to_owned(), secret: [1; 32], created_at: Timestamp::now() }
}
