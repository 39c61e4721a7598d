//! NATS nodes: killed, paused, sent away, told to step down.
//!
//! Invariant: one node at a time, so that two of three live.

use super::bus::REFERENCE;
use super::{Heal, Kind, World, Wound};
use crate::process::signal;
use crate::{Context as _, Outcome};

pub(super) async fn inject(world: &mut World, kind: Kind, pick: u64) -> Outcome<Option<Wound>> {
    let streams = world.bus.log_streams();
    let Some(stream) = World::choose(pick, streams) else { return Ok(None) };
    let leads = kind != Kind::KillFollower && kind != Kind::PauseFollower;
    // Without a leader there is an election under way, and enough is wrong.
    let Some(leader) = world.bus.leader(&stream).await? else { return Ok(None) };
    if leads {
        world.bus.lead_reference(leader).await?;
    }
    let nodes = world.stack.nodes();
    let place = if leads {
        leader
    } else {
        let others: Vec<_> = (0..nodes.len()).filter(|&index| index != leader).collect();
        World::choose(pick / 7, &others).during("one of three nodes")?
    };
    let node = &mut nodes[place];
    let word = if leads { "leader" } else { "follower" };
    let target = format!("{} ({word} of {stream})", node.name());
    let heal = match kind {
        Kind::KillLeader | Kind::KillFollower => {
            node.kill();
            Heal::Node(place)
        }
        Kind::PauseLeader | Kind::PauseFollower => {
            signal(node.pid(), "STOP")?;
            Heal::Continue(vec![node.pid()])
        }
        Kind::LameDuck => {
            signal(node.pid(), "USR2")?;
            Heal::Node(place)
        }
        _ => {
            world.bus.step_down(&stream, None).await?;
            if world.bus.has_reference {
                world.bus.step_down(REFERENCE, None).await?;
            }
            Heal::Nothing
        }
    };
    Ok(Some(Wound { target, heal }))
}

pub(super) fn revive(world: &mut World, index: usize) -> Outcome {
    let node = world.stack.nodes().get_mut(index).during("no such node")?;
    node.revive()
}
