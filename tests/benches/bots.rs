//! What bots send, against bare publishes into a stream that is configured and synced alike; and
//! what one more bot in a channel adds to an entry.
//!
//! `cargo build --release --workspace --bins`, then `cargo bench -p natter-tests --bench bots --
//! [SECONDS] [ENTRIES]`, about two minutes. The first part takes turns, three times each; ratios are
//! those of the medians. The second reads processor time where Linux shows it.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use async_nats::jetstream::{self, stream};
use async_nats::{Client, ConnectOptions, HeaderMap};
use futures::future::join_all;
use futures::stream::{StreamExt as _, iter};
use natter_tests::client::{Account, Api, nonce};
use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::locate;
use natter_tests::replay::progress::Quantiles;
use natter_tests::stack::{Plan, Stack};
use serde_json::{Value, json};

const BOTS: usize = 200;
/// Bots that one owner may have.
const OF_AN_OWNER: usize = 20;
const ROUNDS: usize = 3;
/// Bots in one channel, in the second part.
const TOGETHER: [usize; 3] = [1, 10, 50];
/// Messages of its speaker under way at once.
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_mins(1);
/// The worker that delivers, and does nothing else.
const DELIVERY: &str = "worker-1";

/// A bot and a channel that it is in.
struct Bot {
    id: u64,
    username: String,
    client: Client,
    channel: u64,
}

impl Bot {
    async fn make(owner: &Api, nats: &str, number: usize) -> Self {
        let username = format!("bench_bot{number}");
        let body = json!({ "username": username, "display_name": "bot" });
        let profile = owner.post("/bots", &body).await.unwrap().ok(201).unwrap();
        let id = profile.id("id").unwrap();
        let path = format!("/bots/{id}/credentials");
        let answer = owner.post(&path, &json!({})).await.unwrap().ok(201).unwrap();
        let options = ConnectOptions::with_credentials(answer.text("creds").unwrap()).unwrap();
        let options = options.custom_inbox_prefix(format!("_INBOX_{id}"));
        let client = options.connect(nats).await.unwrap();
        Self { id, username, client, channel: 0 }
    }

    async fn say(&self, channel: u64) {
        let body = json!({ "content": "x".repeat(100), "nonce": nonce() }).to_string();
        let subject = format!("bot.{}.send.{channel}", self.id);
        let answer = self.client.request(subject, body.into()).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
        answer.id("id").unwrap();
    }
}

/// A channel of this creator's with these bots.
async fn channel(creator: &Api, bots: &[Bot]) -> u64 {
    let body = json!({ "name": "bench", "nonce": nonce() });
    let id = creator.post("/channels", &body).await.unwrap().ok(201).unwrap().id("id").unwrap();
    for bot in bots {
        let path = format!("/channels/{id}/members");
        let body = json!({ "username": bot.username });
        creator.post(&path, &body).await.unwrap().ok(200).unwrap();
    }
    id
}

/// A server by itself whose stream is as the platform's log, and connections to it.
struct Bare {
    server: std::process::Child,
    clients: Vec<jetstream::Context>,
    _directory: tempfile::TempDir,
}

impl Bare {
    async fn start(mut config: stream::Config) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = locate::free_ports(1).unwrap()[0];
        let store = directory.path().join("js");
        let conf = format!(
            "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\", sync_interval: always \
             }}\n",
            store.display()
        );
        let file = directory.path().join("nats.conf");
        std::fs::write(&file, conf).unwrap();
        let mut command = Command::new(locate::nats_server().unwrap());
        let server = command.arg("-c").arg(&file).stderr(Stdio::null()).spawn().unwrap();
        let url = format!("nats://127.0.0.1:{port}");
        let mut clients = Vec::new();
        for _ in 0..BOTS {
            let options = ConnectOptions::new().retry_on_initial_connect();
            clients.push(jetstream::new(options.connect(&url).await.unwrap()));
        }
        config.subjects = vec!["raw.>".to_owned()];
        if let Some(republish) = &mut config.republish {
            "raw.>".clone_into(&mut republish.source);
            "ev.raw.>".clone_into(&mut republish.destination);
        }
        eventually("the bare server has its stream", PATIENCE, async || {
            let made = clients[0].create_stream(config.clone()).await;
            Ok(Seen::when(made.is_ok(), format_args!("{made:?}")))
        })
        .await
        .unwrap();
        Self { server, clients, _directory: directory }
    }

    /// What ingress writes for a message, as it writes it.
    async fn say(&self, number: usize) {
        let nonce = nonce();
        let mut headers = HeaderMap::new();
        headers.insert("Natter-Type", "MESSAGE_CREATE");
        headers.insert("Nats-Msg-Id", format!("{number}:{number}:{nonce}"));
        let body = json!({ "conversation_id": "302443229184000000", "nonce": nonce,
            "author_id": "302443229184000000", "content": "x".repeat(100) });
        let published = self.clients[number].publish_with_headers(
            format!("raw.{number}"),
            headers,
            body.to_string().into(),
        );
        published.await.unwrap().await.unwrap();
    }
}

/// So many at once, each after its last answer, for a while. How many a second, and how long each
/// took.
async fn pace(at_once: usize, time: Duration, one: impl AsyncFn(usize)) -> (f64, Quantiles) {
    let start = Instant::now();
    let all = join_all((0..at_once).map(async |number| {
        let mut took = Vec::new();
        while start.elapsed() < time {
            let began = Instant::now();
            one(number).await;
            took.push(began.elapsed());
        }
        took
    }));
    let took: Vec<Duration> = all.await.into_iter().flatten().collect();
    #[expect(clippy::cast_precision_loss, reason = "a rate is read by people")]
    let rate = took.len() as f64 / start.elapsed().as_secs_f64();
    (rate, Quantiles::collect(took.into_iter()).unwrap())
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// The processor time of a process so far.
fn spent(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    // Hundredths of a second, in user and in system mode.
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// How many copies have been written in all.
async fn delivered(stack: &Stack) -> u64 {
    let text = stack.metrics(DELIVERY).await.unwrap();
    let lines = text.lines().filter(|line| line.starts_with("natter_delivery_events_total"));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let seconds: u64 = numbers.next().unwrap_or(4);
    let entries = usize::try_from(numbers.next().unwrap_or(1_000)).unwrap();
    let others = "setup,auth,profiles,channels,history,persister,bots,ingress";
    let plan = Plan::default().workers(&[others, "delivery"]).edges(1);
    let plan = plan.setting("INGRESS", "REQUESTS_PER_S", "100000");
    let plan = plan.setting("INGRESS", "REQUESTS_BURST", "100000");
    let mut stack = Box::pin(Stack::start(plan)).await.unwrap();
    let nats = stack.nats().url();
    let edge = Api::new(&stack.edges()[0]).unwrap();
    let mut owners = Vec::new();
    let mut bots = Vec::new();
    for number in 0..BOTS {
        if number % OF_AN_OWNER == 0 {
            let name = format!("bench_owner{}", owners.len());
            let account = Account::register(&edge, &name, "a long password", None).await.unwrap();
            owners.push(edge.with_token(&account.access));
        }
        let mut bot = Bot::make(owners.last().unwrap(), &nats, number).await;
        bot.channel = channel(&owners[0], std::slice::from_ref(&bot)).await;
        bots.push(bot);
    }
    let creds = stack.directory().join("secrets/operator.creds");
    let options = ConnectOptions::with_credentials_file(creds).await.unwrap();
    let looker = options.custom_inbox_prefix("_INBOX_operator").connect(&nats).await.unwrap();
    let log = jetstream::new(looker).get_stream("LOG_0").await.unwrap();
    let mut bare = Bare::start(log.cached_info().config.clone()).await;
    rates(&bare, &bots, Duration::from_secs(seconds)).await;
    let _ = bare.server.kill();
    let _ = bare.server.wait();
    costs(&mut stack, &owners[0], &bots, entries).await;
}

/// The first part.
async fn rates(bare: &Bare, bots: &[Bot], time: Duration) {
    for at_once in [1, BOTS] {
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            let (rate, took) = pace(at_once, time, async |number| bare.say(number).await).await;
            println!("{at_once:3} bare publishers: {rate:7.0}/s, {took}");
            rates[0].push(rate);
            let say = async |number: usize| bots[number].say(bots[number].channel).await;
            let (rate, took) = pace(at_once, time, say).await;
            println!("{at_once:3} bots:            {rate:7.0}/s, {took}");
            rates[1].push(rate);
        }
        let [bare, through] = rates.map(median);
        println!("{at_once:3}: bots / bare = {:.2}", through / bare);
    }
}

/// The second part.
async fn costs(stack: &mut Stack, creator: &Api, bots: &[Bot], entries: usize) {
    let (delivery, server) = (stack.pid(DELIVERY).unwrap().unwrap(), stack.nats().pid());
    for together in TOGETHER {
        let place = channel(creator, &bots[..together]).await;
        // What is left of before is not counted.
        let mut last = 0;
        eventually("delivery is at rest", PATIENCE, async || {
            let now = delivered(stack).await;
            let rests = std::mem::replace(&mut last, now) == now;
            Ok(Seen::when(rests, now))
        })
        .await
        .unwrap();
        let until = last + (entries * together) as u64;
        let (before, start) = ([spent(delivery), spent(server)], Instant::now());
        iter(0..entries).for_each_concurrent(AT_ONCE, |_| bots[0].say(place)).await;
        let said = start.elapsed();
        eventually("all copies are written", PATIENCE, async || {
            let now = delivered(stack).await;
            Ok(Seen::when(now >= until, format_args!("{now} of {until}")))
        })
        .await
        .unwrap();
        let all = start.elapsed();
        let [own, nats] =
            [spent(delivery).saturating_sub(before[0]), spent(server).saturating_sub(before[1])];
        let each = |time: Duration| time.as_micros() / entries as u128;
        println!(
            "{together:2} bots in a channel: {} entries said in {said:.1?}, delivered in {all:.1?}; \
             processor time an entry: delivery {} µs, nats-server {} µs",
            entries,
            each(own),
            each(nats),
        );
    }
}
