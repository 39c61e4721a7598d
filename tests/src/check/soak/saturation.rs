//! How many messages a second a platform takes, when everybody sends as fast as they are answered.
//!
//! Invariant: measured on a platform of its own, of the same shape and with the same people as the one
//! that is soaked; clients run on the same machine, so what they cost counts as the platform's.

use std::ops::Range;
use std::time::Duration;

use tokio::time::sleep;

use super::run::platform::world;
use super::run::{Options, people};
use crate::Outcome;
use crate::check::drive::{Drive, Traffic};
use crate::check::record::{Event, Record, Recorder, What};

/// Far more than any platform takes: clients wait for answers with as many messages as they may have
/// under way.
const ENDLESS: f64 = 20_000.0;
/// Not counted.
const WARM: Duration = Duration::from_secs(10);
/// Counted.
const COUNTED: Duration = Duration::from_secs(30);

/// Messages acknowledged a second.
pub(super) async fn measure(options: &Options) -> Outcome<f64> {
    let options = Options { calm: true, faults: Vec::new(), ..options.clone() };
    let recorder = Recorder::begin(options.seeds.start, "saturation");
    let (world, orders) = world(&options).await?;
    let town = people(&options, &recorder, &world).await?;
    let seed = options.seeds.start;
    let traffic = Traffic { seed, rate: ENDLESS, only_messages: true, messages: 0.0 };
    let drive = Drive::start(&town, traffic, &orders);
    sleep(WARM).await;
    let from = recorder.now();
    sleep(COUNTED).await;
    let to = recorder.now();
    drop(drive);
    acknowledged(&recorder.record()?, from..to)
}

/// Messages acknowledged a second, in a stretch of microseconds.
pub(super) fn acknowledged(record: &Record, within: Range<u64>) -> Outcome<f64> {
    let acked = record.notes.iter().filter(|note| {
        within.contains(&note.at)
            && matches!(note.what, What::Heard { event: Event::Ack { .. }, .. })
    });
    let acked = u32::try_from(acked.count())?;
    let lasted = within.end.saturating_sub(within.start);
    Ok(f64::from(acked) / Duration::from_micros(lasted).as_secs_f64())
}
