//! Edges and workers: killed, paused, flooded.

use super::{Heal, Kind, World, Wound};
use crate::Outcome;
use crate::process::signal;

/// How much more is sent while an edge is paused that is to be flooded.
const BURST: u32 = 8;

pub(super) fn inject(world: &mut World, kind: Kind, pick: u64) -> Outcome<Option<Wound>> {
    let edge = matches!(kind, Kind::KillEdge | Kind::PauseEdge | Kind::Overflow);
    let mut names = world.running(if edge { "edge-" } else { "worker-" })?;
    if kind == Kind::PersisterAway {
        let mut persisters = Vec::new();
        for name in names {
            // One that has other roles too must go on.
            if world.stack.roles(&name)? == "persister" {
                persisters.push(name);
            }
        }
        names = persisters;
    } else {
        names = World::choose(pick, &names).into_iter().collect();
    }
    if names.is_empty() {
        return Ok(None);
    }
    let mut target = Vec::new();
    for name in &names {
        let roles = world.stack.roles(name)?;
        target.push(if roles.is_empty() { name.clone() } else { format!("{name} ({roles})") });
    }
    let target = target.join(", ");
    let heal = if matches!(kind, Kind::KillEdge | Kind::KillWorker | Kind::PersisterAway) {
        for name in &names {
            world.stack.kill(name)?;
        }
        Heal::Launch(names)
    } else {
        if kind == Kind::Overflow {
            world.orders.send_modify(|orders| orders.burst = BURST);
        }
        let mut pids = Vec::new();
        for name in &names {
            if let Some(pid) = world.stack.pid(name)? {
                signal(pid, "STOP")?;
                pids.push(pid);
            }
        }
        Heal::Continue(pids)
    };
    Ok(Some(Wound { target, heal }))
}

pub(super) fn launch(world: &mut World, names: &[String]) -> Outcome {
    for name in names {
        if world.stack.pid(name)?.is_none() {
            world.stack.launch(name)?;
        }
    }
    Ok(())
}

pub(super) fn unpause(world: &World, pids: &[u32]) {
    for &pid in pids {
        // Fails where it was killed meanwhile.
        let _ = signal(pid, "CONT");
    }
    world.orders.send_modify(|orders| orders.burst = 1);
}
