//! Against a real NATS server, with the permissions of the persister role.

use std::time::Duration;

use bus_schema::entry::Body;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::log;
use bus_schema::streams::DEAD;
use bus_schema::subjects::LogSubject;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::roles::setup::{SetupSettings, set_up};
use crate::store::conformance::history::{contents, model};
use crate::store::history::HistoryStore;
use crate::testing::{NatsServer, eventually};

pub(super) const STREAM: StreamIndex = StreamIndex(0);
pub(super) const ANN: UserId = UserId(1);

pub(super) struct Bench {
    nats: NatsServer,
    pub(super) stores: Stores,
    channels: Bus,
}

pub(super) type Ended = JoinHandle<Result<(), RoleError>>;

impl Bench {
    async fn new() -> Self {
        Self::with(None).await
    }

    /// With its history in another store than the embedded one.
    pub(super) async fn with(history: Option<Arc<dyn HistoryStore>>) -> Self {
        let nats = NatsServer::start().await;
        let setup = nats.connect(BusUser::Setup).await;
        set_up(&setup, &SetupSettings::default()).await.unwrap();
        let stores = Stores::embedded(&nats.directory.path().join("store")).await.unwrap();
        let stores = Stores { history: history.unwrap_or(stores.history), ..stores };
        let channels = nats.connect(BusUser::Channels).await;
        Self { nats, stores, channels }
    }

    pub(super) async fn say(&self, body: &Body) -> u64 {
        self.write(model::PLACE, body.kind().as_str(), body.encode()).await
    }

    async fn write(&self, place: LogSubject, kind: &str, payload: String) -> u64 {
        let id = self.channels.client().new_inbox();
        let id = id.get(id.len().saturating_sub(60)..).unwrap_or(&id);
        log::publish(&self.channels, place, kind, payload, id).await.unwrap().sequence
    }

    /// Runs a persister on a connection of its own.
    pub(super) async fn persist(&self, settings: PersisterSettings) -> (Shutdown, Ended) {
        let (bus, stores) = (self.nats.connect(BusUser::Persister).await, self.stores.clone());
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        (shutdown, tokio::spawn(async move { run(bus, stores, &settings, stop).await }))
    }

    pub(super) async fn floor(&self, wanted: u64) {
        eventually("the floor rises", async || {
            (self.stores.history.floor(STREAM).await.unwrap() >= wanted).then_some(())
        })
        .await;
    }
}

pub(super) fn quick() -> PersisterSettings {
    PersisterSettings { batch_wait_ms: 5, trim_every_s: 1, ..PersisterSettings::default() }
}

#[tokio::test]
async fn what_is_valid_is_stored_and_what_is_not_is_passed() {
    let bench = Bench::new().await;
    let (stop, ended) = bench.persist(quick()).await;
    let mut log = model::Log::new(STREAM);
    let bodies = [
        model::add(ANN, ANN, 1),
        model::message(ANN, "one"),
        model::message(UserId(9), "void: not a member"),
        model::edit(ANN, 2, STREAM, "two"),
        model::delete(UserId(9), 2, STREAM),
        model::message(ANN, "three"),
    ];
    for body in bodies {
        bench.say(&body).await;
        log.push(body);
    }
    bench.write(LogSubject::User(ANN), "NOTICE", "{}".to_owned()).await;
    bench.floor(7).await;
    let events = contents(&*bench.stores.history, STREAM).await;
    let entries = events.iter().filter(|line| line.contains("MessageCreate"));
    assert_eq!(entries.count(), 2, "{events:?}");
    assert_eq!(log.valid().len(), 4);
    assert!(events.iter().any(|line| line.contains("\"two\"")));
    stop.request();
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_cannot_be_decoded_is_kept_as_a_dead_letter_before_the_floor_passes_it() {
    let bench = Bench::new().await;
    let (stop, ended) = bench.persist(quick()).await;
    bench.write(model::PLACE, "MESSAGE_CREATE", "not json \u{1}".to_owned()).await;
    bench.write(model::PLACE, "ODD\u{1f600}KIND", "{}".to_owned()).await;
    bench.floor(2).await;
    let setup = bench.nats.connect(BusUser::Setup).await;
    let dead = setup.jetstream().get_stream(DEAD).await.unwrap();
    assert_eq!(dead.cached_info().state.messages, 2);
    assert!(contents(&*bench.stores.history, STREAM).await.is_empty());
    stop.request();
    ended.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_standby_takes_over_from_one_that_died_and_goes_on_where_it_was() {
    let bench = Bench::new().await;
    let (_, first) = bench.persist(quick()).await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    bench.floor(1).await;
    let (stop, second) = bench.persist(quick()).await;
    for n in 2..6 {
        bench.say(&model::message(ANN, &format!("m{n}"))).await;
    }
    bench.floor(5).await;
    // Dropped in the middle of whatever it did: it gives up no lease.
    first.abort();
    let died = Instant::now();
    bench.say(&model::edit(ANN, 3, STREAM, "edited")).await;
    bench.floor(6).await;
    assert!(died.elapsed() < Duration::from_secs(7), "{:?}", died.elapsed());
    let shown = contents(&*bench.stores.history, STREAM).await;
    assert!(shown.iter().any(|line| line.contains("edited")));
    stop.request();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_that_stops_gives_up_its_lease_at_once() {
    let bench = Bench::new().await;
    let settings = PersisterSettings { lease_expire_ms: 60_000, ..quick() };
    let (stop, first) = bench.persist(settings).await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    bench.floor(1).await;
    stop.request();
    first.await.unwrap().unwrap();
    let (stop, second) = bench.persist(settings).await;
    bench.say(&model::message(ANN, "x")).await;
    bench.floor(2).await;
    stop.request();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn two_at_once_store_what_one_would() {
    let bench = Bench::new().await;
    // Each believes at once that the other is gone.
    let rash = PersisterSettings { lease_renew_ms: 1, lease_expire_ms: 1, ..quick() };
    let (stop_one, one) = bench.persist(rash).await;
    let (stop_two, two) = bench.persist(rash).await;
    let mut log = model::Log::new(STREAM);
    for (n, body) in (1u64..).zip(story()) {
        assert_eq!(bench.say(&body).await, n);
        log.push(body);
    }
    bench.floor(log.entries.len() as u64).await;
    stop_one.request();
    stop_two.request();
    let (one, two) = (one.await.unwrap(), two.await.unwrap());
    assert!(one.is_ok() && two.is_ok());
    let ids: Vec<EntryId> = log.valid().iter().map(|entry| entry.id).collect();
    let ids = ids.iter().map(|id| id.sequence()).collect::<Vec<_>>();
    assert_eq!(stored(&*bench.stores.history).await, ids);
}

/// Sixty entries, of which some are void.
fn story() -> Vec<Body> {
    let other = UserId(2);
    let mut bodies = vec![model::add(ANN, ANN, 1)];
    for n in 2..60u64 {
        bodies.push(match n % 6 {
            0 => model::add(other, ANN, n),
            3 => model::remove(other, ANN, n),
            4 => model::delete(ANN, n - 3, STREAM),
            5 => model::edit(other, n - 4, STREAM, "edited"),
            _ => model::message(if n % 2 == 0 { ANN } else { other }, "text"),
        });
    }
    bodies
}

#[tokio::test]
async fn the_log_is_trimmed_where_it_is_stored_and_old() {
    let bench = Bench::new().await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    for n in 2..=5 {
        bench.say(&model::message(ANN, &format!("m{n}"))).await;
    }
    let setup = bench.nats.connect(BusUser::Setup).await;
    let first = async || {
        let log = setup.jetstream().get_stream("LOG_0").await.unwrap();
        log.cached_info().state.first_sequence
    };
    let (persister, age) = (bench.nats.connect(BusUser::Persister).await, Duration::ZERO);
    assert_eq!(trim::trim(&persister, STREAM, 3, Duration::from_mins(1)).await.unwrap(), None);
    assert_eq!(first().await, 1, "too young");
    assert_eq!(trim::trim(&persister, STREAM, 0, age).await.unwrap(), None);
    assert_eq!(first().await, 1, "nothing is stored");
    assert_eq!(trim::trim(&persister, STREAM, 3, age).await.unwrap(), Some(3));
    assert_eq!(first().await, 4, "stored up to 3");
    tokio::time::sleep(Duration::from_millis(400)).await;
    bench.say(&model::message(ANN, "young")).await;
    let age = Duration::from_millis(300);
    assert_eq!(trim::trim(&persister, STREAM, 6, age).await.unwrap(), Some(5));
    assert_eq!(first().await, 6, "the young one stays");
}

#[tokio::test]
async fn a_log_that_ends_below_the_store_is_not_written_from() {
    let bench = Bench::new().await;
    bench.stores.history.write_batch(STREAM, Vec::new(), 100).await.unwrap();
    bench.write(LogSubject::Channel(ConversationId(7)), "MEMBER_ADD", "{}".to_owned()).await;
    let worker = Worker {
        bus: bench.nats.connect(BusUser::Persister).await,
        store: Arc::clone(&bench.stores.history) as Arc<dyn HistoryStore>,
        stream: STREAM,
        settings: quick(),
    };
    let error = worker.run(&Shutdown::new()).await.unwrap_err().to_string();
    assert!(error.contains("begin above 100"), "{error}");
}

pub(super) async fn stored(store: &dyn HistoryStore) -> Vec<u64> {
    let query = crate::store::history::RangeQuery {
        conversation: model::CHANNEL,
        after: Some(0),
        upto: u64::MAX >> 1,
        limit: 500,
        bytes: 1 << 24,
        events: false,
    };
    let found = store.range(STREAM, query).await.unwrap().value.entries.rows;
    found.iter().map(|entry| entry.seq).collect()
}
