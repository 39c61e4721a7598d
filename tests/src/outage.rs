//! The outage program: each store is killed under traffic, one at a time, and brought back; what
//! people saw meanwhile is held against what they were promised, and nothing may be lost.
//!
//! Invariant: what was acknowledged = log = history = what every client received, and each promise of
//! [`duty`] holds for each single attempt. Nothing is repaired, and no process but a store is ended.
//!
//! The parts: a [`scene`] has people, each a [`watcher`] (their socket) and some [`acts`]; the
//! [`journal`] has every attempt and the [`truth`] every acknowledgement; [`judge`] and [`verify`]
//! compare, and a [`report`] tells.

pub mod acts;
pub mod connections;
pub mod duty;
pub mod journal;
pub mod judge;
pub mod kind;
pub mod platform;
pub mod record;
pub mod report;
pub mod scene;
pub mod settled;
mod standing;
pub mod truth;
pub mod verify;
pub mod watcher;

use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use self::acts::{Actor, PARTS};
use self::connections::Watch;
use self::duty::{RECOVERED_WITHIN_S, Store};
use self::journal::Window;
use self::platform::Platform;
use self::record::Record;
use self::report::{Connections, Facts, Report};
use self::scene::{Old, Scene};
use self::watcher::Watcher;
use crate::eventually::{Seen, eventually};
use crate::{Context as _, Outcome, ensure};

/// Everyone's first connection is there by then.
const CONNECTED_WITHIN: Duration = Duration::from_mins(1);
/// Traffic ends by then, once it is told to.
const ENDED_WITHIN: Duration = Duration::from_mins(2);
/// Messages without an answer get it by then, once nothing new is sent.
const SETTLED_WITHIN: Duration = Duration::from_mins(1);
/// Sockets stand at the end of everything by then.
const WATCHED_WITHIN: Duration = Duration::from_mins(3);

/// What is killed, and for how long, and under which traffic.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The running platform: what ./deploy/dev --cluster --no-limits describes.
    #[arg(long, value_name = "DIR/dev.json")]
    pub dev: PathBuf,
    /// The program that kills and starts stores.
    #[arg(long, value_name = "PATH", default_value = "./deploy/services")]
    pub services: PathBuf,
    /// What to kill, one after the other; all that there are, after a reference without a kill.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "STORE")]
    pub stores: Vec<Store>,
    /// Seconds for which a store is down, before it is started again.
    #[arg(long, default_value_t = 60, value_name = "S")]
    pub down: u64,
    /// Seconds of traffic before.
    #[arg(long, default_value_t = 20, value_name = "S")]
    pub before: u64,
    /// Seconds of traffic afterwards.
    #[arg(long, default_value_t = 50, value_name = "S")]
    pub after: u64,
    /// People.
    #[arg(long, default_value_t = 30)]
    pub people: usize,
    /// Operations a second, of all people together.
    #[arg(long, default_value_t = 40.0)]
    pub rate: f64,
    /// Messages of the long channel. Start the platform with a smaller tail of history
    /// (`NATTER_HISTORY__TAIL__ENTRIES`), so that the store alone has them.
    #[arg(long, default_value_t = 3000, value_name = "N")]
    pub old: usize,
    /// Adds what happened to this file: a line of JSON for each second and operation.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
}

/// Kills one store after the other. Returns whether all was as it must be.
pub async fn run(options: Options) -> Outcome<bool> {
    ensure!(options.after > RECOVERED_WITHIN_S, "--after: more than {RECOVERED_WITHIN_S}");
    ensure!(options.people > 1 && options.rate > 0.0, "some people who do something are needed");
    let platform = Platform::find(&options.dev, &options.services)?;
    let there = platform.stores()?;
    let stores = if options.stores.is_empty() { there.clone() } else { options.stores.clone() };
    for store in &stores {
        ensure!(there.contains(store), "{} has no {store}", options.dev.display());
    }
    println!("writing {} old messages", options.old);
    let old = Arc::new(Old::write(&platform.edges, options.old).await.during("old messages")?);
    let mut verdicts = Vec::new();
    for &store in &stores {
        let good = match Box::pin(outage(&options, &platform, old.clone(), store)).await {
            Ok(report) => {
                println!("{report}");
                report.good()
            }
            Err(failure) => {
                println!("{store}: FAILED: {failure}");
                false
            }
        };
        verdicts.push((store, good));
    }
    let word = |good: bool| if good { "GOOD" } else { "FAILED" };
    let words = verdicts.iter().map(|&(store, good)| format!("{store} {}", word(good)));
    println!("\n{}", words.collect::<Vec<_>>().join(", "));
    Ok(verdicts.iter().all(|&(_, good)| good))
}

async fn outage(
    options: &Options,
    platform: &Platform,
    old: Arc<Old>,
    store: Store,
) -> Outcome<Report> {
    println!("\n{store}: {} people on {}", options.people, platform.edges.join(", "));
    let (scene, orders) = Scene::build(&platform.edges, old, options.people).await?;
    let scene = Arc::new(scene);
    let (connected, mut connections) = mpsc::channel(options.people);
    let people = scene.people.iter().cloned().zip(orders);
    let watchers: Vec<_> = people
        .map(|(person, orders)| {
            let id = person.id;
            let watcher = Watcher::new(scene.clone(), person, orders, connected.clone());
            (id, AbortOnDropHandle::new(tokio::spawn(Box::pin(watcher.watch()))))
        })
        .collect();
    for _ in 0..options.people {
        let first = timeout(CONNECTED_WITHIN, connections.recv()).await;
        first.during("not everyone gets connected")?.during("a socket has ended")?;
    }
    drop(connections);
    let processes = platform.processes()?;
    let stop = CancellationToken::new();
    let actors: Vec<_> = scene
        .people
        .iter()
        .flat_map(|person| PARTS.map(|part| Actor::new(scene.clone(), person.clone(), part)))
        .map(|actor| tokio::spawn(actor.act(options.rate, stop.clone())))
        .collect();
    let watch = match store {
        Store::None => None,
        store => Some(Watch::start(platform.port(store)?)),
    };
    let window = strike(options, platform, store).await?;
    let ended = Instant::now();
    stop.cancel();
    let connections = watch.map(|watch| Connections {
        before: watch.peak(window.began, window.killed),
        after: watch.peak(window.back, ended),
    });
    let records = finish(&scene, actors, watchers).await?;
    println!("{store}: comparing");
    let findings = verify::all(&scene, &records).await.during("comparing")?;
    let samples = scene.journal.samples();
    if let Some(file) = &options.record {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(file)?;
        for line in journal::by_second(store.name(), &window, &samples)? {
            writeln!(file, "{line}")?;
        }
    }
    let live = records.into_iter().flat_map(|(_, record)| record.live).collect();
    Report::new(Facts {
        store,
        window,
        samples: &samples,
        live,
        messages: scene.truth.messages(),
        connections,
        processes: (processes, platform.processes()?),
        findings,
        wrongs: scene.truth.wrongs(),
    })
}

/// Traffic, the kill, the outage, the return, and traffic again.
async fn strike(options: &Options, platform: &Platform, store: Store) -> Outcome<Window> {
    let began = Instant::now();
    sleep(Duration::from_secs(options.before)).await;
    let killed = Instant::now();
    if store != Store::None {
        platform.kill(store).await?;
        println!("{store}: killed");
    }
    sleep(Duration::from_secs(options.down)).await;
    if store != Store::None {
        println!("{store}: starting");
        platform.start(store).await?;
    }
    let back = Instant::now();
    println!("{store}: serves again, {:.1} s after the kill", (back - killed).as_secs_f64());
    sleep(Duration::from_secs(options.after)).await;
    Ok(Window { began, killed, back })
}

/// Lets everything come to its end, and returns what each client received.
async fn finish(
    scene: &Scene,
    actors: Vec<JoinHandle<()>>,
    watchers: Vec<(u64, AbortOnDropHandle<Outcome<Record>>)>,
) -> Outcome<Vec<(u64, Record)>> {
    timeout(ENDED_WITHIN, futures::future::join_all(actors)).await.during("the traffic's end")?;
    let settled = eventually("every message is answered", SETTLED_WITHIN, async || {
        let unsettled = scene.truth.unsettled().len();
        Ok(Seen::when(unsettled == 0, format_args!("{unsettled} are not")))
    });
    if let Err(failure) = settled.await {
        scene.truth.wrong(failure.to_string());
    }
    let targets = verify::last_entries(scene).await.during("where everything ends")?;
    scene.targets.send_replace(Some(Arc::new(targets)));
    let mut records = Vec::new();
    for (id, watcher) in watchers {
        let record = timeout(WATCHED_WITHIN, watcher).await;
        records.push((id, record.during("a socket's end")??.during(format_args!("user {id}"))?));
    }
    Ok(records)
}
