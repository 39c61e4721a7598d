//! A long run at a share of what the platform can take, with a fault at even intervals: whether it
//! keeps its promises all the while, and whether what its processes hold grows.
//!
//! Invariant: the record is judged as that of every other run. What is held is looked at twice under
//! the same traffic without a fault, before the first and after the last, and once at rest.

mod report;
mod saturation;
mod vitals;

use std::time::Duration;

use self::report::Report;
use self::vitals::{Held, Vitals};
use super::drive::{Drive, Traffic};
use super::faults::schedule::evenly;
use super::judge::judge;
use super::record::Recorder;
use super::run::inject::inject;
use super::run::platform::world;
use super::run::{self, come_to_rest, faults, people};
use crate::{Context as _, Outcome, ensure};

/// Traffic without faults after the last of them.
const CALM: Duration = Duration::from_mins(1);
/// A socket may send as much as there is to send.
const UNLIMITED: [(&str, &str, &str); 2] =
    [("EDGE", "SEND_PER_S", "100000"), ("EDGE", "SEND_BURST", "100000")];

/// How long, and how much.
#[derive(Clone, Debug, clap::Args)]
#[group(skip)]
pub struct Options {
    /// The platform and the people; the first seed alone counts.
    #[command(flatten)]
    pub run: run::Options,
    /// Minutes of faults; traffic without them comes before and after.
    #[arg(long, default_value_t = 30, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=600))]
    pub minutes: u64,
    /// Minutes of traffic before the first fault and before it is noted what there is at the start: so
    /// long that what processes keep on purpose is full. History keeps the last 50,000 entries of each
    /// of 4 streams, which at 374 messages a second takes 9 minutes.
    #[arg(long, default_value_t = 12, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=60))]
    pub warm: u64,
    /// Seconds from the beginning of a fault to that of the next.
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u64).range(5..=600))]
    pub every: u64,
    /// Which share of the messages a second that the platform takes.
    #[arg(long, default_value_t = 0.5)]
    pub share: f64,
    /// Messages a second, whatever the platform takes: nothing is measured before.
    #[arg(long, value_name = "N")]
    pub messages: Option<f64>,
}

/// Runs it. Returns whether all was as promised, and nothing grew.
pub async fn run(options: &Options) -> Outcome<bool> {
    let mut run = options.run.clone();
    let unlimited = UNLIMITED.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    run.set.splice(0..0, unlimited);
    let messages = if let Some(messages) = options.messages {
        messages
    } else {
        let most = Box::pin(saturation::measure(&run)).await.during("saturation")?;
        println!("saturation: {most:.0} messages acknowledged a second");
        most * options.share
    };
    let some = messages.is_normal() && messages.is_sign_positive();
    ensure!(some, "no traffic: {messages} messages a second");
    let (rate, every) = (run.rate(), options.every);
    println!("soak: {messages:.0} messages and {rate:.0} acts a second, a fault every {every} s");
    let report = Box::pin(soak(options, &run, messages)).await?;
    println!("{report}");
    Ok(report.is_good())
}

async fn soak(options: &Options, run: &run::Options, messages: f64) -> Outcome<Report> {
    let seed = run.seeds.start;
    let recorder = Recorder::begin(seed, &format!("{options:?}"));
    let (mut world, orders) = world(run).await.during("starting the platform")?;
    let town = people(run, &recorder, &world).await?;
    let only_messages = run.only_messages;
    let traffic = Traffic { seed, rate: run.rate(), only_messages, messages };
    let mut drive = Drive::start(&town, traffic, &orders);
    let mut vitals = Vitals::default();
    let driven = Box::pin(async {
        let warm = Duration::from_mins(options.warm);
        inject(&mut world, &recorder, &[], warm, |world| vitals.look(world)).await?;
        vitals.mark_start();
        let mut held = vec![("start", Held::look(&mut world).await?)];
        let from = recorder.now();
        let lasts = Duration::from_mins(options.minutes);
        let every = Duration::from_secs(options.every);
        let planned = evenly(seed, lasts, every, &run.kinds());
        inject(&mut world, &recorder, &planned, lasts, |world| vitals.look(world)).await?;
        let stretch = from..recorder.now();
        world.calm().await?;
        inject(&mut world, &recorder, &[], CALM, |world| vitals.look(world)).await?;
        vitals.mark_end();
        held.push(("end", Held::look(&mut world).await?));
        come_to_rest(&recorder, &mut world, &town, &mut drive).await?;
        held.push(("at rest", Held::look(&mut world).await?));
        Ok::<_, crate::Failure>((held, stretch))
    })
    .await;
    let record = recorder.record()?;
    let (held, stretch) = match driven {
        Ok(driven) => driven,
        Err(failure) => {
            run::keep(run, seed, &record, &world)?;
            return Err(failure);
        }
    };
    let wrong = drive.wrong();
    let judged = tokio::task::spawn_blocking(move || (judge(&record), record));
    let (judgement, record) = judged.await?;
    let acknowledged = saturation::acknowledged(&record, stretch)?;
    let faults = faults(&record);
    let report = Report { judgement, wrong, faults, acknowledged, vitals, held };
    if !report.is_good() {
        run::keep(run, seed, &record, &world)?;
    }
    Ok(report)
}
