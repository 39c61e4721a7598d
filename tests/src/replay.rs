//! The replay program: real days of a real channel through the public protocol, and proof of every
//! message.
//!
//! Invariant: for every channel, every observer's sequence = the order of the log = the pages of
//! history = the input, whatever was disconnected or killed meanwhile; and what each bot was given = the
//! log from its addition on. Each part counts by itself and nothing is repaired: a client that lost an
//! entry has lost it for good.
//!
//! The parts: [`input`] is what will be said, [`plan`] what will go wrong, [`cast`] the accounts,
//! [`channel`] plays one day with [`speaker`]s from a [`pool`], [`observer`]s watch into [`ledger`]s,
//! [`bots`] into their journals, and [`verify`] compares. Real time is not replayed: the next message follows the previous ack.

pub mod bots;
pub mod cast;
pub mod channel;
pub mod compare;
pub mod input;
pub mod ledger;
pub mod observer;
pub mod pending;
pub mod plan;
pub mod platform;
pub mod pool;
pub mod progress;
pub mod report;
pub mod speaker;
pub mod verify;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::replay::bots::{Bots, OF_AN_OWNER};
use crate::replay::cast::Cast;
use crate::replay::channel::Played;
use crate::replay::input::{Input, Limits};
use crate::replay::ledger::Ledger;
use crate::replay::observer::Observer;
use crate::replay::plan::Plan;
use crate::replay::platform::Platform;
use crate::replay::pool::Pool;
use crate::replay::progress::Progress;
use crate::replay::report::Report;
use crate::{Context as _, Outcome, ensure};

/// What to replay, against what, and what shall go wrong.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The directory of the logs: one `.txt` file a day.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Use the running platform that this file of ./deploy/dev describes (start it with
    /// --no-limits).
    #[arg(long, value_name = "DIR/dev.json", required_unless_present = "stack")]
    pub dev: Option<PathBuf>,
    /// Start a platform of its own.
    #[arg(long, conflicts_with = "dev")]
    pub stack: bool,
    /// Decides where disconnects and kills fall.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Members of every channel who only watch.
    #[arg(long, default_value_t = 40)]
    pub observers: usize,
    /// How often observers disconnect and resume, in all.
    #[arg(long, default_value_t = 400)]
    pub reconnects: usize,
    /// How often an edge is killed with SIGKILL.
    #[arg(long, default_value_t = 2)]
    pub edge_kills: usize,
    /// Bots, each a process of its own in a channel of its own: where there are more than days, the days are cut
    /// into as many channels.
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub bots: usize,
    /// How many of the bots are killed with SIGKILL, and started again later.
    #[arg(long, default_value_t = 0, value_name = "K")]
    pub kill_bots: usize,
    /// Only the first days.
    #[arg(long, value_name = "N")]
    pub days: Option<usize>,
    /// At most that many messages, spread over the days.
    #[arg(long, value_name = "N")]
    pub messages: Option<usize>,
    /// Channels played at the same time.
    #[arg(long, default_value_t = 8)]
    pub channels_at_once: usize,
    /// Sockets of authors open at the same time.
    #[arg(long, default_value_t = 64)]
    pub sockets: usize,
}

/// What all parts of one run share.
pub struct Run {
    /// The addresses of the edges.
    pub edges: Vec<String>,
    /// Counters and latencies.
    pub progress: Progress,
    /// Last entries of all channels, once nothing more will be sent.
    pub targets: watch::Sender<Option<Arc<BTreeMap<u64, u64>>>>,
}

/// Replays, compares, and tells.
pub async fn run(options: Options) -> Outcome<Report> {
    ensure!(options.observers > 0, "at least one observer is needed");
    ensure!(options.kill_bots <= options.bots, "more kills of bots than bots");
    ensure!(options.sockets > options.channels_at_once, "more sockets than channels are needed");
    let limits = Limits { days: options.days, messages: options.messages };
    let input = Input::read(&options.data, limits)?.cut(options.bots);
    ensure!(options.bots <= input.days.len(), "fewer messages than bots");
    println!("{input}");
    let plan = Plan::new(options.seed, options.observers, options.reconnects)
        .killing(options.edge_kills, input.messages());
    let mut platform = Platform::find(options.dev.as_deref()).await?;
    let run = Arc::new(Run {
        edges: platform.edges().to_vec(),
        progress: Progress::default(),
        targets: watch::Sender::new(None),
    });
    println!("edges: {}", run.edges.join(", "));
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let printer = tokio::spawn(progress::print(run.clone(), input.messages(), stop));
    let _printer = AbortOnDropHandle::new(printer);

    let owners = options.bots.div_ceil(OF_AN_OWNER);
    let cast = Arc::new(Cast::register(&run, &input, options.observers, owners).await?);
    let bots = Bots::make(&run, &cast, platform.nats(), options.bots).await?;
    let bot_kills = plan.bot_kills(options.kill_bots, &input.sizes()[..options.bots]);
    let cuts = plan.cuts(input.messages());
    let watching = watch_all(&run, &cast, cuts);
    let play = play(&run, &cast, &input, &bots, &options);
    let messages = input.messages() as u64;
    let (played, (), ()) = tokio::try_join!(
        play,
        platform.kill_when_due(&plan, &run),
        bots.kill_when_due(&bot_kills, &run, messages),
    )?;
    let ledgers = finish(&run, &cast, &bots, &played, watching).await?;
    run.progress.phase("comparing");
    let findings = verify::all(&run, &cast, &bots, &played, &ledgers).await?;
    Ok(Report::new(&options, &input, &run, findings))
}

fn watch_all(
    run: &Arc<Run>,
    cast: &Arc<Cast>,
    cuts: Vec<Vec<plan::Cut>>,
) -> Vec<AbortOnDropHandle<Outcome<Ledger>>> {
    let people = cast.observers.iter().cloned().zip(cuts).enumerate();
    let observers = people.map(|(index, (person, cuts))| {
        let observer = Observer::new(run.clone(), index, person, cuts);
        AbortOnDropHandle::new(tokio::spawn(Box::pin(observer.watch())))
    });
    observers.collect()
}

async fn play(
    run: &Arc<Run>,
    cast: &Arc<Cast>,
    input: &Input,
    bots: &Bots,
    options: &Options,
) -> Outcome<Vec<Played>> {
    run.progress.phase("playing");
    let pool = Pool::new(run.clone(), cast.clone(), options.sockets);
    let days = input.days.iter().enumerate().map(|(index, day)| {
        let bot = bots.all.get(index).map(AsRef::as_ref);
        let play = channel::play(run, cast, &pool, day, bot);
        async move { play.await.during(&day.name) }
    });
    let played = stream::iter(days).buffered(options.channels_at_once).try_collect().await?;
    pool.close().await;
    run.progress.played();
    Ok(played)
}

/// Tells the observers where everything ends, and waits until they and the bots are there.
async fn finish(
    run: &Arc<Run>,
    cast: &Arc<Cast>,
    bots: &Bots,
    played: &[Played],
    watching: Vec<AbortOnDropHandle<Outcome<Ledger>>>,
) -> Outcome<Vec<Ledger>> {
    run.progress.phase("waiting for observers");
    let mut targets = BTreeMap::new();
    let mut lasts = Vec::new();
    for channel in played {
        let last = verify::last_entry(run, cast, channel).await?;
        targets.insert(channel.conversation, last);
        lasts.push(last);
    }
    run.targets.send_replace(Some(Arc::new(targets)));
    let mut ledgers = Vec::new();
    for (index, watching) in watching.into_iter().enumerate() {
        ledgers.push(watching.await?.during(format_args!("observer {index}"))?);
    }
    run.progress.phase("waiting for bots");
    bots.at_the_end(&lasts).await?;
    Ok(ledgers)
}

/// Calls that may be repeated are, for as long as an edge takes to come back.
pub const PATIENCE: Duration = Duration::from_mins(2);
