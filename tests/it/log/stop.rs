//! A worker that stops answers all that was sent to it, and is found for as long as it is there.
//!
//! At its own node nothing is lost. Another node may forward a request before it learns that the worker
//! has left, and the node that gets it drops it: NATS offers nothing against that.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::service::{Info, PingResponse, Stats};
use bus_schema::error::{Code, Failure};
use bus_schema::ids::UserId;
use bus_schema::ops::bots::RenewCredentials;
use bus_schema::ops::{self, Empty, Operation as _, Repeat, Service};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::service::{Host, ServiceSettings};
use bus_schema::runtime::settings::BusSettings;
use bus_schema::runtime::shutdown::Shutdown;
use natter_tests::eventually::{Seen, eventually};
use natter_tests::nats::NatsServer;
use natter_tests::nats::cluster::Cluster;
use natter_tests::stack::{Direct, make_secrets};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a call waits: far longer than any answer takes here.
const ANSWER: Duration = Duration::from_secs(4);
/// Who call at once, each again as soon as it is answered.
const CALLERS: u64 = 64;
/// How often a worker stops among them.
const ROUNDS: usize = 100;
/// Calls that nodes may forward too late, of all rounds. Ending subscriptions at once loses 270.
const FORWARDED_LATE: u32 = 10;

/// Serves one operation that must not be repeated, by refusing it.
struct Worker {
    served: Arc<AtomicUsize>,
    shutdown: Shutdown,
    task: JoinHandle<bool>,
}

impl Worker {
    async fn start(settings: &BusSettings) -> Self {
        let bus = Bus::connect(settings, BusUser::Bots).await.unwrap();
        let mut host = Host::new(&bus, Service::Bots, ServiceSettings::default()).await.unwrap();
        let (served, shutdown) = (Arc::new(AtomicUsize::new(0)), Shutdown::new());
        let count = Arc::clone(&served);
        host.operation::<RenewCredentials, _, _>(None, move |_, _| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Err(Failure::not_found()) }
        })
        .await
        .unwrap();
        let task = tokio::spawn(host.run(shutdown.clone()));
        Self { served, shutdown, task }
    }

    /// Ends it once it is busy.
    async fn stop_at_work(self) {
        eventually("the worker is asked", PATIENCE, async || {
            let served = self.served.load(Ordering::Relaxed);
            Ok(Seen::when(served > 100, served))
        })
        .await
        .unwrap();
        self.stop().await;
    }

    /// Ends it as SIGTERM does.
    async fn stop(self) {
        self.shutdown.request();
        assert!(timeout(PATIENCE, self.task).await.unwrap().unwrap(), "it finishes in time");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_with_a_worker_that_stops() {
    let server = NatsServer::bare().await.unwrap();
    let settings = BusSettings { url: server.url(), ..BusSettings::default() };
    stop_among_callers([&settings; 3], 0).await;
}

/// Under the permissions that the roles have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hardly_a_call_is_lost_with_a_worker_at_another_node_than_its_callers() {
    let directory = tempfile::tempdir().unwrap();
    let secrets = directory.path().join("secrets");
    make_secrets(&secrets).unwrap();
    let cluster = Cluster::start(&secrets, directory.path(), &Direct).await.unwrap();
    let settings: Vec<_> = cluster
        .nodes
        .iter()
        .map(|node| BusSettings {
            url: node.url(),
            secrets: secrets.clone(),
            ..BusSettings::default()
        })
        .collect();
    let nodes = [&settings[0], &settings[1], &settings[2]];
    stop_among_callers(nodes, FORWARDED_LATE).await;
}

/// Callers, one worker that stays and one that comes and goes, at a node each.
async fn stop_among_callers([callers, stays, goes]: [&BusSettings; 3], late: u32) {
    assert_eq!(RenewCredentials::REPEAT, Repeat::Unsafe);
    let bus = Bus::connect(callers, BusUser::Edge).await.unwrap();
    let enough = Shutdown::new();
    let lasting = Worker::start(stays).await;
    let mut calling = JoinSet::new();
    for caller in 0..CALLERS {
        let (bus, enough) = (bus.clone(), enough.clone());
        calling.spawn(call_again_and_again(bus, UserId(caller), enough));
    }
    for _ in 0..ROUNDS {
        Worker::start(goes).await.stop_at_work().await;
    }
    enough.request();
    let (mut answered, mut lost) = (0, 0);
    for (answers, losses) in calling.join_all().await {
        answered += answers;
        lost += losses;
    }
    assert!(lost <= late, "{lost} lost beside {answered} answered, in {ROUNDS} stops");
    lasting.stop().await;
    let call = Call::asserted(UserId(1)).timeout(ANSWER);
    let first = bus.call::<RenewCredentials>(&call, &Empty {}).await.unwrap_err().code;
    assert!(late > 0 || first == Code::Unavailable, "nobody serves it: at once known: {first:?}");
    // Elsewhere, once the callers' node knows.
    eventually("nobody serves it", PATIENCE, async || {
        let code = bus.call::<RenewCredentials>(&call, &Empty {}).await.unwrap_err().code;
        let known = code == Code::Unavailable;
        Ok(Seen::when(known, code.as_str()))
    })
    .await
    .unwrap();
}

/// How many calls were answered, and how many not.
async fn call_again_and_again(bus: Bus, user: UserId, enough: Shutdown) -> (u32, u32) {
    let call = Call::asserted(user).timeout(ANSWER);
    let (mut answered, mut lost) = (0, 0);
    while !enough.is_requested() {
        let answer = bus.call::<RenewCredentials>(&call, &Empty {}).await;
        match answer.unwrap_err().code {
            Code::NotFound => answered += 1,
            _ => lost += 1,
        }
    }
    (answered, lost)
}

/// What `nats micro` asks.
#[tokio::test]
async fn who_looks_for_services_finds_what_runs_and_how_it_goes() {
    let server = NatsServer::bare().await.unwrap();
    let settings = BusSettings { url: server.url(), ..BusSettings::default() };
    let bus = Bus::connect(&settings, BusUser::Edge).await.unwrap();
    let worker = Worker::start(&settings).await;
    let call = Call::asserted(UserId(1));
    for _ in 0..3 {
        bus.call::<RenewCredentials>(&call, &Empty {}).await.unwrap_err();
    }
    let client = server.connect().await.unwrap();
    let ask = async |subject: String| client.request(subject, Vec::new().into()).await;
    let info = ask("$SRV.INFO.natter-bots".to_owned()).await.unwrap();
    let info: Info = serde_json::from_slice(&info.payload).unwrap();
    let subject = ops::subject::<RenewCredentials>(None);
    let (endpoint, asked_of) = (&info.endpoints[0], ("natter-bots", "renew", subject.as_str()));
    assert_eq!((info.name.as_str(), &*endpoint.name, &*endpoint.subject), asked_of);
    assert_eq!((info.endpoints.len(), &*endpoint.queue_group), (1, "q"));
    let one = format!("$SRV.STATS.natter-bots.{}", info.id);
    eventually("what was answered is counted", PATIENCE, async || {
        let stats = ask(one.clone()).await?;
        let stats: Stats = serde_json::from_slice(&stats.payload)?;
        let renewals = &stats.endpoints[0];
        let counted = (renewals.requests, renewals.errors) == (3, 3);
        let error = renewals.last_error.as_ref().map(|e| (e.code, e.status.clone()));
        let right = counted && error == Some((404, "not_found".to_owned()));
        Ok(Seen::when(right, String::from_utf8_lossy(&serde_json::to_vec(&stats)?)))
    })
    .await
    .unwrap();
    let ping = ask("$SRV.PING".to_owned()).await.unwrap();
    let ping: PingResponse = serde_json::from_slice(&ping.payload).unwrap();
    assert_eq!(ping.id, info.id);
    worker.stop().await;
    eventually("it is found no longer", PATIENCE, async || {
        let answer = timeout(ANSWER, ask(one.clone())).await;
        let kind = answer.map(|answer| answer.map_err(|error| error.kind()));
        let gone = matches!(kind, Ok(Err(RequestErrorKind::NoResponders)));
        Ok(Seen::when(gone, format!("{kind:?}")))
    })
    .await
    .unwrap();
}
