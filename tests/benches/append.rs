//! Appends a second in groups against one by one, on one log whose every write is synced to disk.
//!
//! `cargo bench -p natter-tests --bench append -- [APPENDS] [AT_ONCE]`. The two take turns, three
//! times each; the ratio is that of the medians.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark")]

use std::process::{Command, Stdio};
use std::time::Instant;

use async_nats::jetstream::{self, stream};
use bus_schema::ids::ConversationId;
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::group::{Group, GroupSettings};
use bus_schema::runtime::settings::BusSettings;
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;
use futures::stream::{StreamExt as _, iter};
use natter_tests::locate;

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let appends: u32 = numbers.next().unwrap_or(10_000);
    let at_once = numbers.next().unwrap_or(256) as usize;
    let directory = tempfile::tempdir().unwrap();
    let port = locate::free_ports(1).unwrap()[0];
    let conf = format!(
        "listen: \"127.0.0.1:{port}\"\njetstream {{ store_dir: \"{}\", sync_interval: always }}\n",
        directory.path().join("js").display()
    );
    let file = directory.path().join("nats.conf");
    std::fs::write(&file, conf).unwrap();
    let mut server = Command::new(locate::nats_server().unwrap())
        .arg("-c")
        .arg(&file)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let settings =
        BusSettings { url: format!("nats://127.0.0.1:{port}"), ..BusSettings::default() };
    let bus = Bus::connect(&settings, BusUser::Edge).await.unwrap();
    let config = stream::Config {
        name: "LOG_0".to_owned(),
        subjects: vec!["log.>".to_owned()],
        allow_atomic_publish: true,
        ..stream::Config::default()
    };
    jetstream::new(bus.client().clone()).create_stream(config).await.unwrap();
    println!("{appends} appends of 100 bytes, {at_once} at once, {ROUNDS} rounds");
    let mut rates = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        for (members, rates) in [1, 128].into_iter().zip(&mut rates) {
            let rate = rate(&bus, members, appends, at_once, round).await;
            println!("  up to {members:3} together: {rate:8.0} appends/s");
            rates.push(rate);
        }
    }
    let [alone, together] = rates.map(|mut all| {
        all.sort_by(f64::total_cmp);
        all[ROUNDS / 2]
    });
    println!("together / alone = {:.2}", together / alone);
    let _ = server.kill();
    let _ = server.wait();
}

async fn rate(bus: &Bus, members: usize, appends: u32, at_once: usize, round: usize) -> f64 {
    let settings = GroupSettings { members, queue: at_once };
    let group = Group::start(bus, Layout::new(1).unwrap(), settings);
    let payload = "x".repeat(100);
    let started = Instant::now();
    iter(0..appends)
        .for_each_concurrent(at_once, |n| {
            let (group, payload) = (&group, payload.clone());
            async move {
                let place = LogSubject::Channel(ConversationId(u64::from(n % 50)));
                let id = format!("{members}:{round}:{n}");
                group.publish(place, "MESSAGE_CREATE", payload, &id).await.unwrap();
            }
        })
        .await;
    f64::from(appends) / started.elapsed().as_secs_f64()
}
