//! The storm program: an edge dies under thousands of sessions, and all of them come back at once.
//!
//! Invariant: each session is a client of the protocol by the same rules and cursors as everywhere in
//! this crate, and must receive each entry that it missed once, in order; it waits as long as it is
//! told to. Figures are the clients' clocks, the processes' own metrics and the system's.
//!
//! The parts: a [`cast`] of users and channels, each session a [`client`], the [`figures`] of
//! processes, and a [`report`].

pub mod cast;
pub mod client;
pub mod figures;
pub mod report;

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use self::cast::Cast;
use self::client::{Client, Phase, Shared};
use self::figures::{Counts, Memory, room_for};
use self::report::Report;
use crate::client::{Account, Api, nonce};
use crate::eventually::{Seen, eventually};
use crate::json::Look as _;
use crate::stack::{Plan, Stack};
use crate::{Outcome, ensure};

/// The edge that dies, and the one that all come to.
const HOME: &str = "edge-0";
const REFUGE: &str = "edge-1";
/// Live messages a second.
const LIVE_PER_S: u64 = 10;
/// Everybody is connected by then, and later caught up.
const SETTLED_WITHIN: Duration = Duration::from_mins(4);

/// How large a storm.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Sessions that lose their edge; fewer where the system does not allow so many.
    #[arg(long, default_value_t = 10_000)]
    pub clients: usize,
    /// Users whose they are, at most 100 of one.
    #[arg(long, default_value_t = 200)]
    pub users: usize,
    /// Channels; every user is in three of them.
    #[arg(long, default_value_t = 20)]
    pub channels: usize,
    /// Entries of each channel that they miss.
    #[arg(long, default_value_t = 20)]
    pub missed: usize,
    /// Sessions on the other edge that are connected all the time.
    #[arg(long, default_value_t = 50)]
    pub others: usize,
    /// Seconds of live traffic before.
    #[arg(long, default_value_t = 10, value_name = "S")]
    pub before: u64,
    /// Settings of the edges, as in `EDGE__IDENTIFY_PER_S=100`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
}

/// Starts a platform, and does it.
pub async fn run(options: Options) -> Outcome<Report> {
    ensure!(options.channels >= 3 && options.users >= options.channels, "more users, channels");
    let (clients, why) = room_for(options.clients, options.others)?;
    ensure!(clients <= options.users * 100, "at most 100 sessions of a user");
    let mut plan = Plan::default()
        .workers(&["setup,auth,profiles,channels,persister,bots,ingress,delivery", "history"]);
    for setting in &options.set {
        if let Some((key, value)) = setting.split_once('=') {
            plan = plan.edge_setting(key, value);
        }
    }
    let mut stack = Stack::start(plan).await?;
    let edges = stack.edges().to_vec();
    println!("making {} users, {} channels", options.users, options.channels);
    let cast = Cast::gather(&edges[1], options.users, options.channels).await?;
    let (phase, told) = watch::channel(Phase::Home);
    let shared = Arc::new(Shared::new(&edges, &cast.channels, told));
    let memory = Memory::watch(&stack)?;
    println!("connecting {clients} sessions to {HOME}, {} to {REFUGE}", options.others);
    let crowd: Vec<_> = (0..clients)
        .map(|n| {
            let token = cast.people[n % cast.people.len()].access.clone();
            AbortOnDropHandle::new(tokio::spawn(Client::new(shared.clone(), token, n).run()))
        })
        .collect();
    let speaker = cast.speaker(&edges[1]).await?;
    let _others: Vec<_> = (0..options.others)
        .map(|n| {
            let client = Client::other(shared.clone(), speaker.account.access.clone(), n);
            AbortOnDropHandle::new(tokio::spawn(client.run()))
        })
        .collect();
    settled(&shared, "connected", clients + options.others).await?;
    let speaking = AbortOnDropHandle::new(tokio::spawn(speak(
        shared.clone(),
        Api::new(&edges[1])?.with_token(&speaker.account.access),
        speaker.channel,
    )));
    let live_from = Instant::now();
    sleep(Duration::from_secs(options.before)).await;
    let memory_before = memory.now();
    println!("killing {HOME}; writing {} entries to each channel", options.missed);
    stack.kill(HOME)?;
    cast.write(&edges[1], options.missed, &shared).await?;
    settled_away(&shared, clients).await?;
    let before = Counts::read(&stack, REFUGE).await?;
    println!("all come back at once");
    let came = Instant::now();
    phase.send_replace(Phase::Back);
    let in_time = settled(&shared, "caught up", clients).await;
    let over = Instant::now();
    drop(speaking);
    stack.must_run()?;
    let counts = Counts::read(&stack, REFUGE).await?.since(&before);
    let report = Report {
        clients,
        why,
        channels: cast.channels.len(),
        missed: options.missed,
        took: came.elapsed(),
        late: in_time.err().map(|failure| failure.to_string()),
        caught_up: shared.caught_up(came),
        refused: shared.refused(),
        wrong: shared.wrong(),
        live: shared.live([live_from, came, over]),
        memory: memory.report(&memory_before),
        counts,
    };
    drop(crowd);
    Ok(report)
}

/// Waits until so many clients have done so.
async fn settled(shared: &Shared, what: &str, clients: usize) -> Outcome {
    eventually(what, SETTLED_WITHIN, async || {
        let there = shared.settled();
        Ok(Seen::when(there >= clients, format!("{there} of {clients}, {:?}", shared.wrong())))
    })
    .await
}

async fn settled_away(shared: &Shared, clients: usize) -> Outcome {
    eventually("all are away", SETTLED_WITHIN, async || {
        let away = shared.away();
        Ok(Seen::when(away >= clients, format!("{away} of {clients}")))
    })
    .await?;
    shared.begin_again();
    Ok(())
}

/// Who speaks live, and where.
pub struct Speaker {
    /// Whose sessions also listen.
    pub account: Account,
    /// The channel.
    pub channel: u64,
}

/// Says at which time it says it, again and again.
async fn speak(shared: Arc<Shared>, api: Api, channel: u64) {
    let mut ticks = interval(Duration::from_millis(1_000 / LIVE_PER_S));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let path = format!("/conversations/{channel}/messages");
    loop {
        ticks.tick().await;
        let body = json!({ "content": shared.clock().to_string(), "nonce": nonce() });
        let said = api.post(&path, &body).await.and_then(|answer| answer.ok(201)?.id("id"));
        if let Err(failure) = said {
            shared.wrongly(format!("a live message was refused: {failure}"));
        }
    }
}
