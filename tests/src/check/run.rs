//! One run after the other: a platform is started, people live on it while faults come and go, all
//! comes to rest, and the record is judged.
//!
//! Invariant: a run is a function of its seed and its options as far as processes and networks allow.
//! A run that could not be driven to its end is a failure, never a clean one.

pub(super) mod inject;
pub(super) mod platform;
pub(super) mod report;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use futures::{StreamExt as _, stream};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use self::inject::inject;
use self::platform::world;
pub use self::report::{Report, Sum};
use super::drive::town::Town;
use super::drive::{Drive, Traffic, rest};
use super::faults::schedule;
use super::faults::{Kind, Orders, World};
use super::judge::judge;
use super::record::{Record, Recorder, What};
use super::single::{self, Costs};
use crate::{Context as _, Outcome, ensure};

/// Acts a second, where nothing else is said.
const RATE: f64 = 12.0;
/// What an edge's subscription holds where it is to overflow.
const SMALL_BUFFER: &str = "16";

/// Where workers keep what they keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// In files.
    #[default]
    Embedded,
    /// In Cassandra, MongoDB and Redis, as `./deploy/services up` starts them.
    Cluster,
}

/// What is run.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// A seed, or several: A..B, without B.
    #[arg(long, default_value = "1..4", value_name = "A..B", value_parser = seeds)]
    pub seeds: std::ops::Range<u64>,
    /// Runs at a time, each with a platform of its own.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub lanes: usize,
    /// Seconds of traffic under faults.
    #[arg(long, default_value_t = 30, value_name = "N")]
    pub seconds: u64,
    /// Which faults; all but the longest (rolling) where none is named.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "KIND")]
    pub faults: Vec<Kind>,
    /// No faults at all.
    #[arg(long, conflicts_with = "faults")]
    pub calm: bool,
    /// Where everything is kept.
    #[arg(long, value_enum, default_value_t, value_name = "WHERE")]
    pub stores: Backend,
    /// Keeps the records of failed runs, and the logs of their processes, there.
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// People.
    #[arg(long, default_value_t = 6, value_name = "C")]
    pub clients: usize,
    /// Edges.
    #[arg(long, default_value_t = 2, value_name = "E")]
    pub edges: usize,
    /// Channels with everybody in them, to begin with. Many, and few acts in each: what nobody says
    /// anything after.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub channels: usize,
    /// Processes of each kind of worker.
    #[arg(long, default_value_t = 2, value_name = "W")]
    pub workers: usize,
    /// Log streams.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub streams: usize,
    /// Acts a second, of all people together; 12 if not given.
    #[arg(long)]
    pub rate: Option<f64>,
    /// People send messages, and do nothing else.
    #[arg(long)]
    pub only_messages: bool,
    /// Each fault by itself, and a table of what it cost.
    #[arg(long)]
    pub single_faults: bool,
    /// Safeguards that are switched off, to see that this program notices. Only where edges and
    /// workers were built with the feature `sabotage`.
    #[arg(long, value_delimiter = ',', value_name = "SAFEGUARD")]
    pub without: Vec<String>,
    /// A setting of edges and workers, as SECTION__KEY=VALUE.
    #[arg(long, value_name = "SETTING", value_parser = setting)]
    pub set: Vec<(String, String, String)>,
}

/// Runs all seeds. Returns whether all were clean.
pub async fn run(options: &Options) -> Outcome<bool> {
    if options.single_faults {
        return Box::pin(single_faults(options)).await;
    }
    let alone = options.stores == Backend::Embedded || options.lanes <= 1;
    ensure!(alone, "the stores are one for all platforms: --lanes 1, please");
    let began = Instant::now();
    let mut sum = Sum::default();
    let mut runs = stream::iter(options.seeds.clone())
        .map(|seed| async move { (seed, Box::pin(one(options, seed)).await) })
        .buffer_unordered(options.lanes.max(1));
    while let Some((seed, outcome)) = runs.next().await {
        match &outcome {
            Ok(report) => println!("{report}"),
            Err(failure) => println!("seed {seed}: NOT DRIVEN TO ITS END: {failure:?}"),
        }
        sum.add(outcome.ok().as_ref());
    }
    println!("\n{sum}after {:.0?}", began.elapsed());
    Ok(sum.clean == sum.runs)
}

/// One run for each kind of fault, in which there is no other.
async fn single_faults(options: &Options) -> Outcome<bool> {
    let (mut clean, mut lines) = (true, Vec::new());
    let mut kinds = options.kinds();
    if options.faults.is_empty() {
        kinds.push(Kind::Rolling);
    }
    for (seed, kind) in (options.seeds.start..).zip(kinds) {
        let options = Options { faults: vec![kind], only_messages: true, ..options.clone() };
        match Box::pin(one(&options, seed)).await {
            Ok(report) => {
                println!("{report}");
                clean &= report.is_clean();
                lines.extend(report.costs.map(|costs| costs.to_string()));
            }
            Err(failure) => {
                clean = false;
                println!("{kind}: NOT DRIVEN TO ITS END: {failure:?}");
            }
        }
    }
    println!("\n| fault | times | sending | live | NATS: publishing | NATS: live |");
    println!("|---|---|---|---|---|---|");
    for line in &lines {
        println!("{line}");
    }
    Ok(clean)
}

/// Judges a record that was kept. Returns whether it is clean.
pub fn judge_file(file: &Path) -> Outcome<bool> {
    let judgement = judge(&Record::load(file)?);
    println!("{judgement}");
    Ok(judgement.is_clean())
}

async fn one(options: &Options, seed: u64) -> Outcome<Report> {
    let began = Instant::now();
    let recorder = Recorder::begin(seed, &format!("{options:?}"));
    let (mut world, orders) = world(options).await.during("starting the platform")?;
    world.bus.has_reference = options.single_faults;
    if options.single_faults {
        single::prepare(world.bus.client()).await?;
    }
    let (over, ended) = tokio::sync::oneshot::channel::<()>();
    let referring = options.single_faults.then(|| {
        let (client, recorder) = (world.bus.client().clone(), recorder.clone());
        let refer = single::refer(client, move || recorder.now(), async { _ = ended.await });
        AbortOnDropHandle::new(tokio::spawn(Box::pin(refer)))
    });
    let driven = Box::pin(drive(options, seed, &recorder, &mut world, orders)).await;
    drop(over);
    let record = recorder.record()?;
    let costs = match referring {
        None => None,
        Some(referring) => {
            let kinds: Vec<String> = options.kinds().iter().map(|kind| kind.name()).collect();
            Some(Costs::read(&kinds.join(", "), &record, &referring.await??))
        }
    };
    let wrong = match driven {
        Ok(wrong) => wrong,
        Err(failure) => {
            keep(options, seed, &record, &world)?;
            return Err(failure);
        }
    };
    let (judgement, faults) = (judge(&record), faults(&record));
    let mut report =
        Report { seed, took: began.elapsed(), judgement, wrong, faults, costs, kept: None };
    if !report.is_clean() {
        report.kept = keep(options, seed, &record, &world)?;
    }
    Ok(report)
}

/// Keeps a record and the logs of all processes, where that was asked for.
pub(super) fn keep(
    options: &Options,
    seed: u64,
    record: &Record,
    world: &World,
) -> Outcome<Option<PathBuf>> {
    let Some(keep) = &options.keep else { return Ok(None) };
    std::fs::create_dir_all(keep)?;
    let file = keep.join(format!("seed-{seed}.jsonl"));
    record.save(&file)?;
    std::fs::write(keep.join(format!("seed-{seed}.log")), world.stack.logs_since(&[]))?;
    Ok(Some(file))
}

async fn drive(
    options: &Options,
    seed: u64,
    recorder: &Recorder,
    world: &mut World,
    orders: watch::Receiver<Orders>,
) -> Outcome<Vec<String>> {
    let town = people(options, recorder, world).await?;
    let (rate, only_messages) = (options.rate(), options.only_messages);
    let traffic = Traffic { seed, rate, only_messages, messages: 0.0 };
    let mut drive = Drive::start(&town, traffic, &orders);
    let lasts = Duration::from_secs(options.seconds);
    let planned = schedule::plan(seed, lasts, &options.kinds());
    inject(world, recorder, &planned, lasts, |_| {}).await?;
    come_to_rest(recorder, world, &town, &mut drive).await?;
    Ok(drive.wrong())
}

/// Everybody who lives on a platform, and channels of all of them.
pub(super) async fn people(
    options: &Options,
    recorder: &Recorder,
    world: &World,
) -> Outcome<Arc<Town>> {
    let edges = world.stack.edges().to_vec();
    let network = world.network.clone();
    let town = Town::build(&edges, network, recorder.clone(), options.clients).await?;
    for (index, owner) in town.people.iter().cycle().take(options.channels).enumerate() {
        town.channel_of_all(owner, &format!("channel of all {index}")).await?;
    }
    Ok(Arc::new(town))
}

/// Ends all faults, then all that people do, and looks at everything.
pub(super) async fn come_to_rest(
    recorder: &Recorder,
    world: &mut World,
    town: &Town,
    drive: &mut Drive,
) -> Outcome {
    world.calm().await?;
    recorder.note(What::Calm);
    drive.quiet().await?;
    rest::still(&world.bus).await?;
    drive.rest().await?;
    world.stack.must_run()?;
    rest::observe(town, &world.bus).await.during("looking at everything at rest")
}

/// How many faults of each kind there were.
pub(super) fn faults(record: &Record) -> BTreeMap<String, u64> {
    let mut faults = BTreeMap::new();
    for note in &record.notes {
        if let What::FaultBegan { kind, .. } = &note.what {
            *faults.entry(kind.clone()).or_default() += 1;
        }
    }
    faults
}

impl Options {
    /// Acts a second.
    pub(super) fn rate(&self) -> f64 {
        self.rate.unwrap_or(RATE)
    }

    /// What may go wrong.
    pub(super) fn kinds(&self) -> Vec<Kind> {
        if self.calm {
            return Vec::new();
        }
        if !self.faults.is_empty() {
            return self.faults.clone();
        }
        let all = Kind::value_variants().iter().copied();
        let wanted = |kind: &Kind| match kind {
            Kind::Rolling => false,
            Kind::StoreAway | Kind::KillStore | Kind::PauseStore => self.stores == Backend::Cluster,
            _ => true,
        };
        all.filter(wanted).collect()
    }
}

fn seeds(text: &str) -> Result<std::ops::Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|_| format!("not a number: {text:?}"));
    match text.split_once("..") {
        Some((from, to)) => Ok(number(from)?..number(to)?),
        None => number(text).map(|seed| seed..seed + 1),
    }
}

fn setting(text: &str) -> Result<(String, String, String), String> {
    let parts =
        text.split_once('=').and_then(|(name, value)| Some((name.split_once("__")?, value)));
    let ((section, key), value) =
        parts.ok_or_else(|| format!("not SECTION__KEY=VALUE: {text:?}"))?;
    Ok((section.to_owned(), key.to_owned(), value.to_owned()))
}
