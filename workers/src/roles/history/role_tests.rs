//! Against a real NATS server: history and persister as edges see them.

use std::sync::Arc;
use std::time::Duration;

use bus_schema::entry::{Body, EntryKind};
use bus_schema::error::Code;
use bus_schema::events::Digest;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::ops::history::*;
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::log;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects::{self, LogSubject};
use futures::StreamExt as _;
use tokio::task::JoinHandle;

use super::{HistorySettings, TailSettings, run};
use crate::roles::RoleError;
use crate::roles::persister::{self, PersisterSettings};
use crate::roles::setup::{SetupSettings, set_up};
use crate::store::Stores;
use crate::store::conformance::history::model::{self, PLACE};
use crate::store::history::HistoryStore;
use crate::testing::{NatsServer, eventually};

pub(super) const STREAM: StreamIndex = StreamIndex(0);
pub(super) const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);
pub(super) const LATEST: Freshness = Freshness { min: 0, latest: true };

pub(super) struct Bench {
    nats: NatsServer,
    pub(super) stores: Stores,
    writer: Bus,
    pub(super) edge: Bus,
}

pub(super) type Running = (Shutdown, JoinHandle<Result<(), RoleError>>);

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
        let (writer, edge) =
            (nats.connect(BusUser::Channels).await, nats.connect(BusUser::Edge).await);
        Self { nats, stores, writer, edge }
    }

    pub(super) async fn history(&self, settings: HistorySettings) -> Running {
        let (bus, stores) = (self.nats.connect(BusUser::History).await, self.stores.clone());
        let (shutdown, serving) = (Shutdown::new(), bus.clone());
        let stop = shutdown.clone();
        let running = tokio::spawn(async move { run(bus, stores, &settings, stop).await });
        eventually("history serves", async || serving.is_serving().then_some(())).await;
        (shutdown, running)
    }

    pub(super) async fn persister(&self) -> Running {
        let (bus, stores) = (self.nats.connect(BusUser::Persister).await, self.stores.clone());
        let settings = PersisterSettings { batch_wait_ms: 5, ..PersisterSettings::default() };
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let running = async move { persister::run(bus, stores, &settings, stop).await };
        (shutdown, tokio::spawn(running))
    }

    pub(super) async fn say(&self, body: &Body) -> u64 {
        let id = self.writer.client().new_inbox();
        let id = id.get(id.len().saturating_sub(60)..).unwrap_or(&id).to_owned();
        let kind = body.kind().as_str();
        log::publish(&self.writer, PLACE, kind, body.encode(), &id).await.unwrap().sequence
    }

    pub(super) async fn range(&self, after: Option<u64>, fresh: Freshness) -> RangeReply {
        let request = RangeRequest { place: PLACE, after, fresh, limit: 500, membership: true };
        self.edge.call::<Range>(&Call::platform().stream(STREAM), &request).await.unwrap()
    }

    pub(super) async fn messages(&self, bound: Bound) -> MessagesReply {
        let request = MessagesRequest { place: PLACE, bound, limit: 3, fresh: LATEST };
        self.edge.call::<Messages>(&Call::platform().stream(STREAM), &request).await.unwrap()
    }

    pub(super) async fn summary(&self, user: UserId) -> Summary {
        let of = SummaryOf { place: PLACE, since: EntryId::ZERO, messages: 2 };
        let request = SummariesRequest { user, places: vec![of], fresh: LATEST };
        let call = Call::platform().stream(STREAM);
        let reply = self.edge.call::<Summaries>(&call, &request).await.unwrap();
        reply.summaries.into_iter().next().unwrap()
    }
}

pub(super) fn ids(seqs: impl IntoIterator<Item = u64>) -> Vec<EntryId> {
    seqs.into_iter().map(|seq| EntryId::new(seq, STREAM)).collect()
}

pub(super) async fn stop((shutdown, running): Running) {
    shutdown.request();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn what_is_acknowledged_is_answered_without_a_persister() {
    let bench = Bench::new().await;
    let history = bench.history(HistorySettings::default()).await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    for n in 2..=6 {
        bench.say(&model::message(ANN, &format!("m{n}"))).await;
    }
    bench.say(&model::message(BOB, "void")).await;
    bench.say(&model::delete(ANN, 4, STREAM)).await;
    let reply = bench.range(Some(1), LATEST).await;
    assert_eq!(reply.through, 8);
    assert_eq!(reply.entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [2, 3, 4, 5, 6, 8]);
    assert_eq!(reply.entries[2].t, EntryKind::MessageCreate);
    assert!(reply.entries[2].d.get().contains(r#""content":"""#));
    assert!(reply.membership.unwrap().contains(ANN));
    let page = bench.messages(Bound::Newest).await;
    assert_eq!(page.messages.iter().map(|m| m.id).collect::<Vec<_>>(), ids([3, 5, 6]));
    assert!(page.has_more);
    let call = Call::platform().stream(STREAM);
    let get =
        |seq| GetMessageRequest { place: PLACE, id: EntryId::new(seq, STREAM), fresh: LATEST };
    let found = bench.edge.call::<GetMessage>(&call, &get(5)).await.unwrap();
    assert_eq!(found.content.as_str(), "m5");
    for gone in [1, 4, 7, 99] {
        let failure = bench.edge.call::<GetMessage>(&call, &get(gone)).await.unwrap_err();
        assert_eq!(failure.code, Code::NotFound, "{gone}");
    }
    stop(history).await;
}

#[tokio::test]
async fn answers_are_the_same_after_persisting_and_a_restart_with_the_smallest_tail() {
    let bench = Bench::new().await;
    let persister = bench.persister().await;
    let history = bench.history(HistorySettings::default()).await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    bench.say(&model::add(BOB, ANN, 2)).await;
    for n in 3..=30 {
        bench.say(&model::message(if n % 2 == 0 { ANN } else { BOB }, &format!("m{n}"))).await;
    }
    bench.say(&model::edit(ANN, 4, STREAM, "edited")).await;
    bench.say(&model::delete(BOB, 5, STREAM)).await;
    let before = (
        serde_json::to_value(bench.range(Some(0), LATEST).await).unwrap(),
        serde_json::to_value(bench.messages(Bound::After(EntryId::new(3, STREAM))).await).unwrap(),
        serde_json::to_value(bench.summary(ANN).await).unwrap(),
    );
    stop(history).await;
    eventually("all is stored", async || {
        (bench.stores.history.floor(STREAM).await.unwrap() == 32).then_some(())
    })
    .await;
    let tail = TailSettings { entries: 1, ..TailSettings::default() };
    let settings = HistorySettings { tail, warm_entries: 5, ..HistorySettings::default() };
    let history = bench.history(settings).await;
    let after = (
        serde_json::to_value(bench.range(Some(0), LATEST).await).unwrap(),
        serde_json::to_value(bench.messages(Bound::After(EntryId::new(3, STREAM))).await).unwrap(),
        serde_json::to_value(bench.summary(ANN).await).unwrap(),
    );
    assert_eq!(before, after);
    stop(history).await;
    stop(persister).await;
}

#[tokio::test]
async fn a_worker_that_has_not_read_so_far_says_so_within_the_bound() {
    let bench = Bench::new().await;
    let history = bench.history(HistorySettings::default()).await;
    let seq = bench.say(&model::add(ANN, ANN, 1)).await;
    let fresh = Freshness { min: seq + 5, latest: false };
    let request = RangeRequest { place: PLACE, after: Some(0), fresh, limit: 5, membership: false };
    let call = Call::platform().stream(STREAM).timeout(Duration::from_millis(1_800));
    let failure = bench.edge.call::<Range>(&call, &request).await.unwrap_err();
    assert_eq!(failure.code, Code::Unavailable);
    let elsewhere = RangeRequest { place: LogSubject::User(ANN), ..request };
    let failure = bench.edge.call::<Range>(&call, &elsewhere).await.unwrap_err();
    assert_eq!(failure.code, Code::BadRequest);
    stop(history).await;
}

#[tokio::test]
async fn markers_move_forward_only_and_count_what_is_unread() {
    let bench = Bench::new().await;
    let history = bench.history(HistorySettings::default()).await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    bench.say(&model::add(BOB, ANN, 2)).await;
    for n in 3..=6 {
        bench.say(&model::message(ANN, &format!("m{n}"))).await;
    }
    let call = Call::platform().stream(STREAM);
    let read = |seq| SetReadRequest {
        user: BOB,
        place: PLACE,
        since: EntryId::new(2, STREAM),
        id: EntryId::new(seq, STREAM),
        fresh: LATEST,
    };
    assert_eq!(bench.summary(BOB).await.unread, 4);
    for (seq, now, moved) in
        [(1, 2, false), (4, 4, true), (3, 4, false), (4, 4, false), (5, 5, true)]
    {
        let reply = bench.edge.call::<SetRead>(&call, &read(seq)).await.unwrap();
        assert_eq!((reply.id, reply.moved), (EntryId::new(now, STREAM), moved));
    }
    let failure = bench.edge.call::<SetRead>(&call, &read(7)).await.unwrap_err();
    assert_eq!(failure.code, Code::BadRequest);
    let summary = bench.summary(BOB).await;
    assert_eq!((summary.unread, summary.read_id), (1, Some(EntryId::new(5, STREAM))));
    assert_eq!(summary.messages.iter().map(|m| m.id).collect::<Vec<_>>(), ids([5, 6]));
    assert_eq!(bench.summary(ANN).await.unread, 0, "one's own do not count");
    stop(history).await;
}

#[tokio::test]
async fn digests_join_and_name_the_last_entry_of_each_place() {
    let bench = Bench::new().await;
    let history = bench.history(HistorySettings::default()).await;
    let mut digests = bench.edge.client().subscribe(subjects::digest(STREAM)).await.unwrap();
    bench.edge.client().flush().await.unwrap();
    bench.say(&model::add(ANN, ANN, 1)).await;
    bench.say(&model::message(ANN, "x")).await;
    let mut seen = Vec::new();
    let mut position = None;
    while position != Some(2) {
        let message = tokio::time::timeout(Duration::from_secs(10), digests.next()).await.unwrap();
        let digest: Digest = serde_json::from_slice(&message.unwrap().payload).unwrap();
        assert!(position.is_none_or(|p| p == digest.from), "{digest:?} after {position:?}");
        position = Some(digest.to);
        seen.extend(digest.last);
    }
    assert_eq!(seen.last(), Some(&(PLACE, 2)));
    let call = Call::platform().stream(STREAM);
    let request = ChangesRequest { after: 1, fresh: LATEST };
    let reply = bench.edge.call::<Changes>(&call, &request).await.unwrap();
    assert_eq!((reply.through, reply.too_old, reply.places), (2, false, vec![(PLACE, 2)]));
    stop(history).await;
}

#[tokio::test]
async fn hundreds_of_idle_conversations_are_summed_up_at_once() {
    let bench = Bench::new().await;
    let history = bench.history(HistorySettings::default()).await;
    let places = (0..500).map(|n| LogSubject::Channel(ConversationId(n)));
    let of = |place| SummaryOf { place, since: EntryId::ZERO, messages: 0 };
    let request = SummariesRequest { user: ANN, places: places.map(of).collect(), fresh: LATEST };
    let call = Call::platform().stream(STREAM);
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let begun = tokio::time::Instant::now();
        let reply = bench.edge.call::<Summaries>(&call, &request).await.unwrap();
        best = best.min(begun.elapsed());
        assert_eq!(reply.summaries.len(), 500);
    }
    // Two look-ups each: generous for a busy machine and an unoptimized build.
    assert!(best < Duration::from_millis(250), "{best:?}");
    eprintln!("500 summaries in {best:?}");
    stop(history).await;
}
