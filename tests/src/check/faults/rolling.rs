//! Every process stopped and started, in the order in which an operator updates a platform: NATS
//! nodes one after the other, then workers, then edges; each is back before the next one leaves.

use std::time::Duration;

use super::{Heal, World, Wound};
use crate::Outcome;
use crate::eventually::{Seen, eventually};
use crate::process::signal;

/// A lame duck has gone by then: 5 seconds of grace, 30 for its clients, and some to spare.
const GONE_WITHIN: Duration = Duration::from_mins(1);

pub(super) async fn inject(world: &mut World) -> Outcome<Wound> {
    for node in world.stack.nodes() {
        signal(node.pid(), "USR2")?;
        let leaving = format!("{} leaves", node.name());
        eventually(&leaving, GONE_WITHIN, async || Ok(Seen::when(node.ended(), "it runs"))).await?;
        node.revive()?;
        node.ready().await?;
    }
    let names = world.stack.names();
    for prefix in ["worker-", "edge-"] {
        for name in names.iter().filter(|name| name.starts_with(prefix)) {
            world.stack.drain(name).await?;
            world.stack.revive(name).await?;
        }
    }
    Ok(Wound { target: "every process".to_owned(), heal: Heal::Nothing })
}
