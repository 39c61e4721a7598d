//! `svc.profiles.get` of 100 cached ids, through real servers, against its parts alone in the same run.
//!
//! `cargo bench -p natter-workers --bench profiles`, with a Redis named in `NATTER_TEST_REDIS` or
//! started by `./deploy/services up redis`. The kinds of request take turns, so that whatever else the machine does
//! meets them all.

#![expect(clippy::unwrap_used, reason = "a benchmark")]

mod common;

use std::time::{Duration, Instant};

use bus_schema::events::User;
use bus_schema::ids::UserId;
use bus_schema::ops::profiles::GetProfilesRequest;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::shutdown::Shutdown;
use futures::StreamExt as _;
use natter_workers::store::Stores;
use natter_workers::store::cluster::redis::RedisSettings;

use self::common::percentile;
use self::common::world::{PATIENCE, World, ask, register};

/// Ids of one request.
const IDS: u64 = 100;
/// Requests of each kind: some first that do not count, so that everything is warm.
const WARM: usize = 500;
const ROUNDS: usize = 5_000;

/// A request answered with the same bytes each time: what NATS alone takes.
async fn echo(world: &World, answer: Vec<u8>) -> async_nats::Client {
    let client = async_nats::connect(&world.nats.url).await.unwrap();
    let mut asked = client.subscribe("echo").await.unwrap();
    client.flush().await.unwrap();
    let answer = bytes::Bytes::from(answer);
    tokio::spawn(async move {
        while let Some(request) = asked.next().await {
            client.publish(request.reply.unwrap(), answer.clone()).await.unwrap();
        }
    });
    async_nats::connect(&world.nats.url).await.unwrap()
}

/// The times of one kind of request.
struct Kind(&'static str, Vec<Duration>);

impl Kind {
    const fn new(name: &'static str) -> Self {
        Self(name, Vec::new())
    }

    async fn time<T>(&mut self, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = work.await;
        self.1.push(began.elapsed());
        done
    }

    fn at(&self, part: f64) -> f64 {
        percentile(&mut self.1[WARM..].to_vec(), part).as_secs_f64() * 1e6
    }
}

/// What is asked.
struct Asked {
    ids: Vec<UserId>,
    with_redis: Bus,
    in_process: Bus,
    echo: async_nats::Client,
    redis: redis::aio::MultiplexedConnection,
    keys: Vec<String>,
}

async fn mget(redis: &redis::aio::MultiplexedConnection, keys: &[String]) -> Vec<Option<Vec<u8>>> {
    redis::cmd("MGET").arg(keys).query_async(&mut redis.clone()).await.unwrap()
}

async fn rounds(asked: &Asked, question: &bytes::Bytes) -> [Kind; 6] {
    let [mut bare, mut redis, mut memory, mut nats, mut decode, mut encode] = [
        "bare MGET of 100 keys",
        "svc.profiles.get, Redis",
        "svc.profiles.get, in process",
        "bare NATS request, same bytes",
        "100 users from JSON",
        "100 users to JSON",
    ]
    .map(Kind::new);
    for _ in 0..WARM + ROUNDS {
        let values = bare.time(mget(&asked.redis, &asked.keys)).await;
        assert!(values.iter().all(Option::is_some), "all are cached");
        let users = redis.time(ask(&asked.with_redis, &asked.ids)).await.users;
        assert_eq!(users.len(), asked.ids.len());
        let users = memory.time(ask(&asked.in_process, &asked.ids)).await.users;
        assert_eq!(users.len(), asked.ids.len());
        nats.time(asked.echo.request("echo", question.clone())).await.unwrap();
        let json = encode.time(async { serde_json::to_vec(&users).unwrap() }).await;
        decode.time(async { serde_json::from_slice::<Vec<User>>(&json).unwrap() }).await;
    }
    [bare, redis, memory, nats, decode, encode]
}

#[tokio::main]
async fn main() {
    let (one, other) = (World::start().await, World::start().await);
    let shutdown = Shutdown::new();
    let stores = Stores::embedded(&one.directory.path().join("store")).await.unwrap();
    let ids = register(&one, &stores, IDS, &shutdown).await;
    let prefix = format!("natter_bench_{:016x}:", rand::random::<u64>());
    let settings = RedisSettings {
        url: common::redis(),
        key_prefix: prefix.clone(),
        ..RedisSettings::default()
    };
    let cached = stores.clone().with_profiles_in(&settings).unwrap();
    let with_redis = one.profiles(cached, &shutdown).await;
    let in_process = other.profiles(stores, &shutdown).await;
    let client = redis::Client::open(settings.url.as_str()).unwrap();
    let redis = client.get_multiplexed_async_connection().await.unwrap();
    let keys: Vec<_> = ids.iter().map(|id| format!("{prefix}profile:1:{id}")).collect();
    let began = Instant::now();
    while mget(&redis, &keys).await.iter().any(Option::is_none) {
        assert!(began.elapsed() < PATIENCE, "profiles do not come into Redis");
        ask(&with_redis, &ids).await;
    }
    let answer = serde_json::to_vec(&ask(&with_redis, &ids).await).unwrap();
    let question = serde_json::to_vec(&GetProfilesRequest { ids: ids.clone() }).unwrap();
    println!("question {} bytes, answer {} bytes; {ROUNDS} rounds", question.len(), answer.len());
    let echo = echo(&one, answer).await;
    let asked = Asked { ids, with_redis, in_process, echo, redis, keys };
    let kinds = rounds(&asked, &question.into()).await;
    for kind in &kinds {
        let to = |part| kind.at(part) / kinds[0].at(part);
        println!(
            "{:<31} p50 {:>6.0} us ({:>4.1} x MGET)   p99 {:>6.0} us ({:>4.1} x MGET)",
            kind.0,
            kind.at(0.5),
            to(0.5),
            kind.at(0.99),
            to(0.99)
        );
    }
    shutdown.request();
}
