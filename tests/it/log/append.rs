//! Appending in groups ends for each append as if it had been alone.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use async_nats::jetstream::{self, stream};
use bus_schema::ids::{ConversationId, StreamIndex};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::group::{Group, GroupSettings};
use bus_schema::runtime::log::{PublishError, Published, Reader, Stored};
use bus_schema::runtime::settings::BusSettings;
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;
use futures::future::join_all;
use natter_tests::nats::NatsServer;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(40);

struct Log {
    server: NatsServer,
    bus: Bus,
    group: Group,
}

impl Log {
    async fn start(atomic: bool, queue: usize) -> Self {
        let server = NatsServer::bare().await.unwrap();
        let settings = BusSettings { url: server.url(), ..BusSettings::default() };
        let bus = Bus::connect(&settings, BusUser::Edge).await.unwrap();
        let config = stream::Config {
            name: "LOG_0".to_owned(),
            subjects: vec!["log.>".to_owned()],
            allow_atomic_publish: atomic,
            ..stream::Config::default()
        };
        jetstream::new(server.connect().await.unwrap()).create_stream(config).await.unwrap();
        let layout = Layout::new(1).unwrap();
        let group = Group::start(&bus, layout, GroupSettings { members: 64, queue });
        Self { server, bus, group }
    }

    /// Appends under a message id of its own; the payload says which.
    async fn append(&self, place: u64, id: &str) -> Result<Published, PublishError> {
        let place = LogSubject::Channel(ConversationId(place));
        self.group.publish(place, "MESSAGE_CREATE", format!("\"{id}\""), id).await
    }

    /// Everything in the log, by sequence.
    async fn read(&self, last: u64) -> BTreeMap<u64, Stored> {
        let mut reader = Reader::open(&self.bus, StreamIndex(0), 0);
        let mut all = BTreeMap::new();
        while reader.last() < last {
            let stored = tokio::time::timeout(PATIENCE, reader.next()).await.unwrap().unwrap();
            all.insert(stored.sequence, stored);
        }
        all
    }

    async fn last(&self) -> u64 {
        let client = jetstream::new(self.server.connect().await.unwrap());
        let mut log = client.get_stream("LOG_0").await.unwrap();
        log.info().await.unwrap().state.last_sequence
    }
}

#[tokio::test]
async fn each_append_of_a_burst_is_answered_with_its_own_place() {
    let log = Log::start(true, 4_096).await;
    let names: Vec<String> = (0..1_000).map(|n| format!("m{n}")).collect();
    let appends = (0..).zip(&names).map(|(n, name)| log.append(n % 7, name));
    let published: Vec<_> = join_all(appends).await.into_iter().map(Result::unwrap).collect();
    let stored = log.read(1_000).await;
    let mut seen = HashSet::new();
    for ((n, name), published) in (0..).zip(&names).zip(&published) {
        assert!(seen.insert(published.sequence), "{} is given twice", published.sequence);
        assert!(!published.duplicate);
        let entry = &stored[&published.sequence];
        assert_eq!(entry.payload, format!("\"{name}\""), "at {}", published.sequence);
        let place = LogSubject::Channel(ConversationId(n % 7));
        assert_eq!((entry.place, entry.kind.as_deref()), (Some(place), Some("MESSAGE_CREATE")));
    }
    assert_eq!(log.last().await, 1_000, "nothing is there twice");
    // They did go together: most of the log came in batches.
    let client = jetstream::new(log.server.connect().await.unwrap());
    let stream = client.get_stream("LOG_0").await.unwrap();
    let message = stream.get_raw_message(900).await.unwrap();
    assert!(message.headers.get("Nats-Batch-Id").is_some(), "{:?}", message.headers);
}

#[tokio::test]
async fn what_the_log_has_already_is_said_and_spoils_nothing_for_others() {
    let log = Log::start(true, 4_096).await;
    let first = log.append(1, "known").await.unwrap();
    let names: Vec<String> = (0..200).map(|n| format!("n{}", n / 2)).collect();
    let appends = join_all(names.iter().map(|name| log.append(1, name)));
    let (again, all) = tokio::join!(log.append(1, "known"), appends);
    assert_eq!(again.unwrap(), Published { sequence: first.sequence, duplicate: true });
    let mut places: HashMap<&str, HashSet<u64>> = HashMap::new();
    for (name, published) in names.iter().zip(all) {
        places.entry(name).or_default().insert(published.unwrap().sequence);
    }
    assert!(places.values().all(|sequences| sequences.len() == 1), "one place for one id");
    assert_eq!(log.last().await, 101);
}

#[tokio::test]
async fn a_log_without_batches_takes_each_by_itself() {
    let log = Log::start(false, 4_096).await;
    let names: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
    let all = join_all(names.iter().map(|name| log.append(1, name))).await;
    let places: HashSet<u64> = all.into_iter().map(|p| p.unwrap().sequence).collect();
    assert_eq!((places.len(), log.last().await), (100, 100));
}

#[tokio::test]
async fn beyond_the_queue_nothing_is_sent() {
    let log = Log::start(true, 8).await;
    let names: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
    let all = join_all(names.iter().map(|name| log.append(1, name))).await;
    let busy = all.iter().filter(|one| matches!(one, Err(PublishError::Busy))).count();
    let stored = all.iter().filter(|one| one.is_ok()).count();
    assert!(busy > 0, "100 at once do not fit into 8");
    assert_eq!(busy + stored, 100);
    assert_eq!(log.last().await, stored as u64);
}

#[tokio::test]
async fn a_server_killed_between_batches_costs_no_entry_and_doubles_none() {
    let mut log = Log::start(true, 4_096).await;
    let mut acknowledged = HashMap::new();
    for round in 0..4 {
        let names: Vec<String> = (0..300).map(|n| format!("r{round}-{n}")).collect();
        let group = log.group.clone();
        let appends = names.into_iter().map(|name| {
            let group = group.clone();
            async move {
                let place = LogSubject::Channel(ConversationId(1));
                let payload = format!("\"{name}\"");
                let done = group.publish(place, "MESSAGE_CREATE", payload, &name).await;
                (name, done)
            }
        });
        let appends = tokio::spawn(join_all(appends));
        log.server.restart().await.unwrap();
        for (name, done) in tokio::time::timeout(PATIENCE, appends).await.unwrap().unwrap() {
            acknowledged.insert(name, done.unwrap().sequence);
        }
    }
    let stored = log.read(log.last().await).await;
    assert_eq!(stored.len(), acknowledged.len());
    for (name, sequence) in acknowledged {
        assert_eq!(stored[&sequence].payload, format!("\"{name}\""));
    }
}
