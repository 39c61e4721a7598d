//! NATS nodes: killed, paused, sent away, told to step down.
//!
//! Invariant: one node at a time, so that two of three live.

use std::time::Duration;

use super::bus::REFERENCE;
use super::{Heal, Kind, World, Wound, link};
use crate::check::proxy::{Flow, Weather};
use crate::json::Look as _;
use crate::process::signal;
use crate::{Context as _, Outcome};

/// How late routes are that break.
const LATE: Duration = Duration::from_millis(300);

pub(super) async fn inject(world: &mut World, kind: Kind, pick: u64) -> Outcome<Option<Wound>> {
    let streams = world.bus.log_streams();
    let Some(stream) = World::choose(pick, streams) else { return Ok(None) };
    let leads = kind != Kind::KillFollower && kind != Kind::PauseFollower;
    // Without a leader there is an election under way, and enough is wrong.
    let Some(leader) = world.bus.leader(&stream).await? else { return Ok(None) };
    if leads {
        world.bus.lead_reference(leader).await?;
    }
    if kind == Kind::CutRoutes {
        return late_routes(world, &stream, leader).await.map(Some);
    }
    let (nodes, network) = (world.stack.nodes(), &world.network);
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
        Kind::DeafLeader => {
            let name = node.name().to_owned();
            let other = |one: &str| one.starts_with("nats-") && one != name;
            Heal::Deaf(place, link::deafen(network, other, &name))
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

/// Has a stream led by a node that no edge is connected to, where there is one, and makes routes late.
async fn late_routes(world: &mut World, stream: &str, leader: usize) -> Outcome<Wound> {
    let mut idle = Vec::new();
    for (index, node) in world.stack.nodes().iter().enumerate() {
        let connections = node.monitor("connz?limit=10000").await?;
        let named = connections.list("connections")?.iter().map(|one| one.text("name"));
        if !named.flatten().any(|name| name == "natter-edge") {
            idle.push(index);
        }
    }
    let heir = idle.iter().copied().find(|&index| index == leader).or(idle.first().copied());
    if let Some(heir) = heir {
        world.bus.lead(stream, heir).await?;
    }
    let links = link::routes(world);
    link::set_all(&links, Weather::both(Flow::Late(LATE)));
    let leader = heir.unwrap_or(leader) + 1;
    Ok(Wound {
        target: format!("all routes; nats-{leader} leads {stream}"),
        heal: Heal::Break(links),
    })
}

pub(super) fn kill(world: &mut World, index: usize) -> Outcome {
    world.stack.nodes().get_mut(index).during("no such node")?.kill();
    Ok(())
}

pub(super) fn revive(world: &mut World, index: usize) -> Outcome {
    let node = world.stack.nodes().get_mut(index).during("no such node")?;
    node.revive()
}
