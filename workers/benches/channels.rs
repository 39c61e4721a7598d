//! What a channel with 10,000 members costs to change and to read in MongoDB, against one with 10
//! in the same run, and against the bare driver's `ping` and `findOne`.
//!
//! `NATTER_TEST_MONGODB=mongodb://host:port/?replicaSet=rs0 cargo bench -p natter-workers --bench channels`

#![expect(clippy::expect_used, clippy::print_stdout, reason = "a program that measures")]

use std::time::{Duration, Instant};

use mongodb::bson::{Document, doc};
use natter_workers::bench::{ChannelBench, Step};
use natter_workers::store::cluster::mongodb::MongoSettings;

/// Measured calls of each operation.
const CALLS: u64 = 200;
/// Unmeasured ones before.
const WARM_UP: u64 = 20;
/// Channels of the user whose list is read.
const OWN: u64 = 10;
/// The most members that are listed to clients.
const LISTED: usize = 1_000;
const SMALL: u64 = 10;
const LARGE: u64 = 10_000;

/// The user with this number, with bits as ids have them.
const fn user(n: u64) -> u64 {
    (1 << 58) + n * 0x9_E377
}

/// The channel with this number among those of a size.
const fn channel(size: u64, n: u64) -> u64 {
    size * 1_000 + n
}

struct Measured {
    name: String,
    times: Vec<Duration>,
}

impl Measured {
    fn new(name: impl Into<String>, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self { name: name.into(), times }
    }

    fn at(&self, percent: usize) -> Duration {
        self.times[(self.times.len() - 1) * percent / 100]
    }
}

/// Times calls one after the other; `call` is given their number.
async fn measure(name: impl Into<String>, mut call: impl AsyncFnMut(u64) -> Duration) -> Measured {
    let mut times = Vec::new();
    for n in 0..WARM_UP + CALLS {
        let took = call(n).await;
        if n >= WARM_UP {
            times.push(took);
        }
    }
    Measured::new(name, times)
}

async fn timed<T>(work: impl Future<Output = T>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
}

/// Changes of one channel, each acknowledged unmeasured, so that the outbox stays short.
struct Changes<'a> {
    store: &'a ChannelBench,
    channel: u64,
    revision: u64,
    acknowledged: Vec<Duration>,
}

impl Changes<'_> {
    async fn make(&mut self, step: Step) -> Duration {
        let committed = self.store.commit(self.channel, self.revision, step);
        let took = timed(async { committed.await.expect("commits") }).await;
        self.revision += 1;
        let acknowledged = self.store.acknowledge(self.channel, self.revision);
        self.acknowledged.push(timed(async { acknowledged.await.expect("acknowledges") }).await);
        took
    }
}

async fn of_size(store: &ChannelBench, size: u64) -> Vec<Measured> {
    let members: Vec<u64> = (0..size).map(user).collect();
    let mut bytes = 0;
    for n in 0..OWN {
        bytes = store.fill(channel(size, n), &members).await.expect("fills");
    }
    println!("a channel with {size} members: {bytes} bytes");
    let id = channel(size, 0);
    let mut changes = Changes { store, channel: id, revision: size, acknowledged: Vec::new() };
    let (mut added, mut removed) = (Vec::new(), Vec::new());
    for n in 0..WARM_UP + CALLS {
        // At once removed again, so that the small channel stays small.
        let new = user(1_000_000 + n);
        let (add, remove) =
            (changes.make(Step::Add(new)).await, changes.make(Step::Remove(new)).await);
        if n >= WARM_UP {
            added.push(add);
            removed.push(remove);
        }
    }
    let mut all = vec![
        Measured::new("add", added),
        Measured::new("remove", removed),
        Measured::new("acknowledge entry and notice", std::mem::take(&mut changes.acknowledged)),
    ];
    all.push(measure("rename", async |n| changes.make(Step::Rename(n)).await).await);
    let some = |n: u64| user((n * 7_919) % size);
    let look = async |n| timed(async { store.look(id, some(n)).await.expect("looks") }).await;
    all.push(measure("look for one user", look).await);
    let show =
        async |n| timed(async { store.show(id, some(n), LISTED).await.expect("shows") }).await;
    all.push(measure("show (lists up to 1,000)", show).await);
    let list = async |n| timed(async { store.channels_of(some(n)).await.expect("lists") }).await;
    all.push(measure(format!("list of a user's {OWN} channels"), list).await);
    all
}

async fn bare(database: &mongodb::Database) -> Vec<Measured> {
    let ping = async |_| {
        timed(async { database.run_command(doc! { "ping": 1 }).await.expect("pings") }).await
    };
    let one = database.collection::<Document>("bare");
    one.insert_one(doc! { "_id": 1, "name": "tea" }).await.expect("inserts");
    let find =
        async |_| timed(async { one.find_one(doc! { "_id": 1 }).await.expect("finds") }).await;
    vec![measure("ping", ping).await, measure("findOne by id", find).await]
}

fn ms(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1_000.0)
}

#[tokio::main]
async fn main() {
    let url = std::env::var("NATTER_TEST_MONGODB").expect("NATTER_TEST_MONGODB names a server");
    let database = format!("natter_bench_{}", std::process::id());
    let settings = MongoSettings { url, database, ..MongoSettings::default() };
    let client = mongodb::Client::with_uri_str(&settings.url).await.expect("an address");
    let driver = client.database(&settings.database);
    let store = ChannelBench::open(&settings).await.expect("opens");

    let bare = bare(&driver).await;
    let (small, large) = (of_size(&store, SMALL).await, of_size(&store, LARGE).await);
    println!("{CALLS} calls each, one after the other; milliseconds");
    for call in &bare {
        println!("{:32} p50 {:>7}  p99 {:>7}", call.name, ms(call.at(50)), ms(call.at(99)));
    }
    let one = bare[1].at(50).as_secs_f64();
    for (small, large) in small.iter().zip(&large) {
        println!(
            "{:32} 10 members: p50 {:>7}  p99 {:>7} | 10,000: p50 {:>7}  p99 {:>7} | {:.1} x of 10, {:.1} x findOne",
            large.name,
            ms(small.at(50)),
            ms(small.at(99)),
            ms(large.at(50)),
            ms(large.at(99)),
            large.at(50).as_secs_f64() / small.at(50).as_secs_f64(),
            large.at(50).as_secs_f64() / one,
        );
    }
    driver.drop().await.expect("drops");
}
