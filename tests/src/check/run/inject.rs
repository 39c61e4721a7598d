//! Faults, each at its time.

use std::time::Duration;

use tokio::time::{Instant, interval, sleep_until};

use crate::check::faults::schedule::Planned;
use crate::check::faults::{Heal, World};
use crate::check::record::{Fault, Recorder};
use crate::{Context as _, Outcome};

/// A fault that comes so much later than planned does not come.
const LATE: Duration = Duration::from_secs(5);
/// From one look to the next, where nothing takes longer.
const LOOK: Duration = Duration::from_secs(5);

/// Brings faults about and undoes them, each at its time. Looks at the world now and then.
pub(in crate::check) async fn inject(
    world: &mut World,
    recorder: &Recorder,
    planned: &[Planned],
    lasts: Duration,
    mut look: impl FnMut(&mut World),
) -> Outcome {
    let began = Instant::now();
    let mut looks = interval(LOOK);
    let mut open: Vec<(Instant, Fault, Heal)> = Vec::new();
    let mut next = planned.iter().peekable();
    loop {
        let healing = open.iter().map(|(at, ..)| *at).min();
        let coming = next.peek().map(|fault| began + fault.from);
        let at = [healing, coming].into_iter().flatten().min();
        let over = at.is_none();
        let at = at.unwrap_or(began + lasts);
        loop {
            tokio::select! {
                () = sleep_until(at) => break,
                _ = looks.tick() => look(world),
            }
        }
        if over {
            return Ok(());
        }
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
}
