//! Faults, each at its time.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::check::faults::schedule::Planned;
use crate::check::faults::{Heal, World};
use crate::check::record::{Fault, Recorder};
use crate::{Context as _, Outcome};

/// A fault that comes so much later than planned does not come.
const LATE: Duration = Duration::from_secs(5);

/// Brings faults about and undoes them, each at its time.
pub(super) async fn inject(
    world: &mut World,
    recorder: &Recorder,
    planned: &[Planned],
    lasts: Duration,
) -> Outcome {
    let began = Instant::now();
    let mut open: Vec<(Instant, Fault, Heal)> = Vec::new();
    let mut next = planned.iter().peekable();
    loop {
        let healing = open.iter().map(|(at, ..)| *at).min();
        let coming = next.peek().map(|fault| began + fault.from);
        let Some(at) = [healing, coming].into_iter().flatten().min() else { break };
        sleep_until(at).await;
        let now = Instant::now();
        while let Some(index) = open.iter().position(|(at, ..)| *at <= now) {
            let (_, fault, heal) = open.swap_remove(index);
            world.heal(heal).await.during("healing")?;
            recorder.fault_ended(fault);
        }
        while let Some(fault) = next.next_if(|fault| began + fault.from <= now) {
            // A long one was before it, and its own time is over.
            if began + fault.from + LATE < now {
                continue;
            }
            let wound = world.inject(fault.kind, fault.pick).await;
            if let Some(wound) = wound.during(fault.kind)? {
                let noted = recorder.fault(&fault.kind.name(), &wound.target);
                open.push((began + fault.to, noted, wound.heal));
            }
        }
    }
    sleep_until(began + lasts).await;
    Ok(())
}
