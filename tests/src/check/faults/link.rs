//! What is between two parts: cut, one way, late, thin, flapping.

use std::sync::Arc;
use std::time::Duration;

use super::{Heal, Kind, World, Wound};
use crate::check::proxy::{Flow, Link, Network, Weather};

/// How late a slow link is.
const LATE_MS: std::ops::RangeInclusive<u64> = 20..=250;
/// Bytes a second for a slow client.
const THIN: u32 = 400;
/// How long a flapping link is whole, and cut.
const FLAP: Duration = Duration::from_millis(500);

pub(super) fn inject(world: &World, kind: Kind, pick: u64) -> Option<Wound> {
    let late = Duration::from_millis(LATE_MS.start() + pick % (LATE_MS.end() - LATE_MS.start()));
    let late = Weather::both(Flow::Late(late));
    let edges = names(world, "edge-");
    let workers = names(world, "worker-");
    let nodes = ["nats-1", "nats-2", "nats-3"].map(str::to_owned);
    let to_node = |from: &str, to: &str| from.contains('-') && to.starts_with("nats-");
    let of = |name: Option<String>| {
        let name = name?;
        let links = world.network.links(|from, to| from == name && to_node(from, to));
        Some((name, links))
    };
    let (target, links) = match kind {
        Kind::CutEdge => {
            let (name, mut links) = of(World::choose(pick, &edges))?;
            let link = World::choose(pick / 7, &links)?;
            links.retain(|other| other.to() == link.to());
            (format!("{name} and {}", link.to()), links)
        }
        Kind::PartitionEdge | Kind::DeafEdge | Kind::MuteEdge | Kind::SlowEdge | Kind::FlapEdge => {
            of(World::choose(pick, &edges))?
        }
        Kind::FlapEdges => {
            let edge = |from: &str| from.starts_with("edge-");
            let links = world.network.links(|from, to| edge(from) && to_node(from, to));
            ("all edges".to_owned(), links)
        }
        Kind::PartitionWorker | Kind::SlowWorker => of(World::choose(pick, &workers))?,
        Kind::IsolateNode => {
            let node = World::choose(pick, &nodes)?;
            let links = world
                .network
                .links(|from, to| from.starts_with("nats-") && (from == node || to == node));
            (node, links)
        }
        Kind::OneWayRoute => return Some(one_way(world, pick, &nodes)),
        Kind::SlowRoutes => ("all routes".to_owned(), routes(world)),
        Kind::SlowClient | Kind::PartitionClient => {
            let count = u64::try_from(world.clients.max(1)).unwrap_or(1);
            let name = format!("client-{}", pick % count);
            let links = world.network.links(|from, _| from == name);
            (name, links)
        }
        Kind::StoreAway => {
            let links = world.network.links(|from, _| from == "workers");
            let link = World::choose(pick, &links)?;
            (link.to().to_owned(), vec![link])
        }
        _ => return None,
    };
    let weather = match kind {
        Kind::CutEdge => Weather::CUT,
        Kind::DeafEdge => Weather { back: Flow::Held, ..Weather::default() },
        Kind::MuteEdge => Weather { there: Flow::Held, ..Weather::default() },
        Kind::SlowEdge | Kind::SlowWorker | Kind::SlowRoutes => late,
        Kind::SlowClient => Weather { back: Flow::Thin(THIN), ..Weather::default() },
        _ => Weather::DEAD,
    };
    for link in &links {
        let flaps = matches!(kind, Kind::FlapEdge | Kind::FlapEdges);
        if flaps { link.flap(FLAP) } else { link.set(weather) }
    }
    (!links.is_empty()).then_some(Wound { target, heal: Heal::Links(links) })
}

/// All that is between nodes.
pub(super) fn routes(world: &World) -> Vec<Arc<Link>> {
    world.network.links(|from, to| from.starts_with("nats-") && to.starts_with("nats-"))
}

pub(super) fn set_all(links: &[Arc<Link>], weather: Weather) {
    for link in links {
        link.set(weather);
    }
}

/// Either of two nodes may have made the connection between them.
fn one_way(world: &World, pick: u64, nodes: &[String; 3]) -> Wound {
    let (a, b) =
        [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)][usize::try_from(pick % 6).unwrap_or(0)];
    let (speaker, hearer) = (&nodes[a], &nodes[b]);
    let links = deafen(&world.network, |one| one == speaker, hearer);
    Wound { target: format!("{speaker} to {hearer}"), heal: Heal::Links(links) }
}

/// A node does not hear those that are named any more.
pub(super) fn deafen(
    network: &Network,
    speaks: impl Fn(&str) -> bool,
    hearer: &str,
) -> Vec<Arc<Link>> {
    let mut links: Vec<Arc<Link>> = Vec::new();
    for link in network.links(|from, to| speaks(from) && to == hearer) {
        link.set(Weather { there: Flow::Held, ..Weather::default() });
        links.push(link);
    }
    for link in network.links(|from, to| from == hearer && speaks(to)) {
        link.set(Weather { back: Flow::Held, ..Weather::default() });
        links.push(link);
    }
    links
}

fn names(world: &World, prefix: &str) -> Vec<String> {
    let mut names = world.stack.names();
    names.retain(|name| name.starts_with(prefix));
    names
}
