//! Everything that the role talks to, around a NATS server of the test's own.
//!
//! The profiles role is played by a service that knows everybody named `u<id>`.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::stream;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus_schema::entry::{Entry, Notice};
use bus_schema::error::{Code, Failure};
use bus_schema::events::{Channel, User};
use bus_schema::ids::{ConversationId, EntryId, SessionId, StreamIndex, UserId};
use bus_schema::ops::auth::{Claims, ISSUER, PublicKey, PublicKeys};
use bus_schema::ops::channels::*;
use bus_schema::ops::profiles::{ByUsername, ByUsernameRequest};
use bus_schema::ops::{self, Empty, Operation, Service};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::log::{Reader, Stored};
use bus_schema::runtime::service::{Host, ServiceSettings};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::runtime::{HEADER_CALL, HEADER_FAILURE, HEADER_TOKEN};
use bus_schema::streams::{Layout, LogStream, METADATA_STREAMS};
use bus_schema::subjects::LogSubject;
use bus_schema::text::{ChannelName, DisplayName, Nonce, Username};
use bus_schema::timestamp::Timestamp;
use tokio::task::JoinHandle;

use crate::roles::channels::{Channels, ChannelsSettings, offer};
use crate::store::channels::ChannelStore;
use crate::store::cluster::channels::Channels as MongoChannels;
use crate::store::cluster::mongodb::Mongo;
use crate::store::embedded::channels::EmbeddedChannels;
pub(super) use crate::testing::eventually;
use crate::testing::{NatsServer, PATIENCE};

/// More than one, so that ids show their stream.
const STREAMS: u64 = 3;
/// The seed of the key that signs the tests' tokens, as PKCS #8 has it.
const SIGNING_KEY: [u8; 48] = {
    let mut der = [7; 48];
    let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let mut n = 0;
    while n < prefix.len() {
        der[n] = prefix[n];
        n += 1;
    }
    der
};

/// Everything around the role.
pub(super) struct World {
    pub(super) edge: Bus,
    history: Bus,
    setup: Bus,
    _profiles: JoinHandle<bool>,
    server: NatsServer,
    /// Where the store is; none: embedded, beside the server.
    mongo: Option<Mongo>,
}

/// A running channels role with a handle of its own on the one store.
pub(super) struct Worker {
    pub(super) store: Arc<dyn ChannelStore>,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Worker {
    /// Ends it as SIGTERM does.
    pub(super) async fn stop(self) {
        self.shutdown.request();
        tokio::time::timeout(PATIENCE, self.task).await.expect("stops in time").unwrap();
    }
}

impl World {
    pub(super) async fn embedded() -> Self {
        Self::new(None).await
    }

    pub(super) async fn mongodb(mongo: Mongo) -> Self {
        Self::new(Some(mongo)).await
    }

    async fn new(mongo: Option<Mongo>) -> Self {
        let server = NatsServer::start().await;
        let setup = server.connect(BusUser::Setup).await;
        for index in layout().all() {
            let config = stream_config(index, layout().subjects(index));
            setup.jetstream().create_stream(config).await.unwrap();
        }
        let profiles = server.connect(BusUser::Profiles).await;
        let mut host =
            Host::new(&profiles, Service::Profiles, ServiceSettings::default()).await.unwrap();
        host.operation::<ByUsername, _, _>(None, async |_, request: ByUsernameRequest| {
            profile(&request.username)
        })
        .await
        .unwrap();
        Self {
            edge: server.connect(BusUser::Edge).await,
            history: server.connect(BusUser::History).await,
            setup,
            _profiles: tokio::spawn(host.run(Shutdown::new())),
            server,
            mongo,
        }
    }

    /// The store, without a worker.
    pub(super) fn store(&self) -> Arc<dyn ChannelStore> {
        match &self.mongo {
            Some(mongo) => Arc::new(MongoChannels(mongo.another())),
            None => Arc::new(EmbeddedChannels::open(self.server.directory.path()).unwrap()),
        }
    }

    pub(super) async fn worker(&self) -> Worker {
        self.worker_with(ChannelsSettings { sweep_after_ms: 0, ..Default::default() }).await
    }

    pub(super) async fn worker_with(&self, settings: ChannelsSettings) -> Worker {
        let bus = self.server.connect(BusUser::Channels).await;
        let x = public_key();
        bus.verifier().set(&PublicKeys { keys: vec![PublicKey { kid: "test".to_owned(), x }] });
        let (store, shutdown) = (self.store(), Shutdown::new());
        let (stores, stop) = (store.clone(), shutdown.clone());
        let role = Channels::new(bus, stores, &settings).await.unwrap();
        let host = offer(&role).await.unwrap();
        self.edge.client().flush().await.unwrap();
        let task = tokio::spawn(async move { role.serve(host, stop).await.unwrap() });
        Worker { store, shutdown, task }
    }

    /// One attempt with a generous time-out, so that tests see what the role answers.
    pub(super) async fn ask<O: Operation>(
        &self,
        call: Call,
        request: &O::Request,
    ) -> Result<O::Reply, Failure> {
        self.edge.call::<O>(&call.timeout(PATIENCE), request).await
    }

    /// One attempt of a call, as any of them arrives. Whether it was answered without a refusal.
    pub(super) async fn attempt<O: Operation>(
        &self,
        user: u64,
        call: &str,
        request: &O::Request,
    ) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_TOKEN, token_text(user).as_str());
        headers.insert(HEADER_CALL, call);
        let body = serde_json::to_vec(request).unwrap();
        let client = self.edge.client();
        let asked = client.request_with_headers(ops::subject::<O>(None), headers, body.into());
        let answer = tokio::time::timeout(PATIENCE, asked).await.expect("an answer").unwrap();
        answer.headers.is_none_or(|headers| headers.get(HEADER_FAILURE).is_none())
    }

    pub(super) async fn create(&self, user: u64, name: &str) -> Channel {
        let request = CreateChannelRequest { name: channel_name(name), nonce: None };
        self.ask::<CreateChannel>(token(user), &request).await.unwrap()
    }

    pub(super) async fn create_with(&self, user: u64, nonce: &str) -> Channel {
        let nonce = Some(Nonce::parse(nonce).unwrap());
        let request = CreateChannelRequest { name: channel_name("tea"), nonce };
        self.ask::<CreateChannel>(token(user), &request).await.unwrap()
    }

    pub(super) async fn get(&self, user: u64, id: ConversationId) -> Result<Channel, Code> {
        code(self.ask::<GetChannel>(token(user), &ChannelRequest { id }).await)
    }

    pub(super) async fn add(
        &self,
        user: u64,
        id: ConversationId,
        whom: &str,
    ) -> Result<Channel, Code> {
        let request = AddMemberRequest { id, username: Username::parse(whom).unwrap() };
        code(self.ask::<AddMember>(token(user), &request).await)
    }

    pub(super) async fn remove(
        &self,
        user: u64,
        id: ConversationId,
        whom: Option<u64>,
    ) -> Result<Empty, Code> {
        let request = RemoveMemberRequest { id, user_id: whom.map(UserId) };
        code(self.ask::<RemoveMember>(token(user), &request).await)
    }

    pub(super) async fn rename(
        &self,
        user: u64,
        id: ConversationId,
        name: &str,
    ) -> Result<Channel, Code> {
        let request = RenameChannelRequest { id, name: channel_name(name) };
        code(self.ask::<RenameChannel>(token(user), &request).await)
    }

    pub(super) async fn delete(&self, user: u64, id: ConversationId) -> Result<Empty, Code> {
        code(self.ask::<DeleteChannel>(token(user), &ChannelRequest { id }).await)
    }

    pub(super) async fn open_dm(&self, user: u64, whom: &str) -> Result<OpenedDm, Code> {
        let request = OpenDmRequest { username: Username::parse(whom).unwrap() };
        code(self.ask::<OpenDm>(token(user), &request).await)
    }

    pub(super) async fn access(&self, user: u64, id: ConversationId) -> Result<Listed, Code> {
        code(self.ask::<Access>(Call::asserted(UserId(user)), &ChannelRequest { id }).await)
    }

    pub(super) async fn list(&self, user: u64) -> Vec<Listed> {
        let call = Call::asserted(UserId(user));
        self.ask::<ListConversations>(call, &Empty {}).await.unwrap().conversations
    }

    /// Takes the log away from all who publish to it, or gives it back.
    pub(super) async fn set_log(&self, there: bool) {
        for index in layout().all() {
            let subjects =
                if there { layout().subjects(index) } else { vec![format!("away.{index}")] };
            let config = stream_config(index, subjects);
            self.setup.jetstream().update_stream(config).await.unwrap();
        }
    }

    /// Everything in the log now, stream by stream.
    pub(super) async fn log(&self) -> Vec<Stored> {
        let mut all = Vec::new();
        for index in self.history.layout().await.unwrap().all() {
            let name = LogStream(index).to_string();
            let mut stream = self.history.jetstream().get_stream(name).await.unwrap();
            let last = stream.info().await.unwrap().state.last_sequence;
            let mut reader = Reader::open(&self.history, index, 0);
            while reader.last() < last {
                let next = tokio::time::timeout(PATIENCE, reader.next()).await;
                all.push(next.expect("the log is read in time").unwrap());
            }
        }
        all
    }

    /// A channel's entries in the log, in order.
    pub(super) async fn entries(&self, id: ConversationId) -> Vec<Entry> {
        let place = Some(LogSubject::Channel(id));
        let log = self.log().await;
        log.iter().filter(|s| s.place == place).map(|s| s.entry().unwrap()).collect()
    }

    /// A user's notices in the log, in order.
    pub(super) async fn notices(&self, user: u64) -> Vec<Notice> {
        let place = Some(LogSubject::User(UserId(user)));
        let log = self.log().await;
        let own = log.iter().filter(|s| s.place == place);
        own.map(|s| {
            assert_eq!(s.kind.as_deref(), Some("NOTICE"));
            serde_json::from_slice(&s.payload).unwrap()
        })
        .collect()
    }
}

fn layout() -> Layout {
    Layout::new(STREAMS).unwrap()
}

fn stream_config(index: StreamIndex, subjects: Vec<String>) -> stream::Config {
    stream::Config {
        name: LogStream(index).to_string(),
        subjects,
        duplicate_window: Duration::from_mins(5),
        metadata: HashMap::from([(METADATA_STREAMS.to_owned(), STREAMS.to_string())]),
        ..stream::Config::default()
    }
}

/// The caller's MEMBER_ADD in a listed channel.
pub(super) fn since(listed: &Listed) -> EntryId {
    match &listed.what {
        ListedKind::Channel { since, .. } => *since,
        ListedKind::Dm { .. } => panic!("a DM"),
    }
}

pub(super) fn channel_name(name: &str) -> ChannelName {
    ChannelName::parse(name).unwrap()
}

pub(super) fn code<T>(answer: Result<T, Failure>) -> Result<T, Code> {
    answer.map_err(|failure| failure.code)
}

fn profile(name: &Username) -> Result<User, Failure> {
    let id = name.as_str().strip_prefix('u').and_then(|id| id.parse().ok());
    Ok(User {
        id: id.ok_or_else(Failure::not_found)?,
        username: name.clone(),
        display_name: DisplayName::parse(name.as_str())?,
        avatar_url: None,
        bot: false,
    })
}

/// A call with an access token of this user.
pub(super) fn token(user: u64) -> Call {
    Call::token(&token_text(user))
}

fn token_text(user: u64) -> String {
    let iat = Timestamp::now().as_millis() / 1_000;
    let (sub, sid, exp) = (UserId(user), SessionId(user), iat + 600);
    let claims = Claims { sub, sid, iat, exp, iss: ISSUER.to_owned() };
    let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
    header.kid = Some("test".to_owned());
    let key = jsonwebtoken::EncodingKey::from_ed_der(&SIGNING_KEY);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

fn public_key() -> String {
    let seed: [u8; 32] = SIGNING_KEY[16..].try_into().unwrap();
    let key = ed25519_dalek::SigningKey::from_bytes(&seed).verifying_key();
    URL_SAFE_NO_PAD.encode(key.as_bytes())
}
