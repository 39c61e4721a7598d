//! A log stream that takes nothing more, as on a full disk.
//!
//! Invariant: healing gives back the limit that was there.

use serde_json::{Value, json};

use super::{Heal, World, Wound};
use crate::Outcome;
use crate::eventually::{Seen, eventually};
use crate::json::Look as _;

/// A limit is given back by then.
const HEALED_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// A stream that is full.
pub struct Full {
    stream: String,
    config: Value,
}

pub(super) async fn inject(world: &World, pick: u64) -> Outcome<Option<Wound>> {
    let Some(stream) = World::choose(pick, world.bus.log_streams()) else { return Ok(None) };
    let Some(info) = world.bus.info(&stream).await? else { return Ok(None) };
    let config = info.at("config")?.clone();
    let mut full = config.clone();
    full["max_bytes"] = json!(info.number("state/bytes")?.max(1));
    if world.bus.ask(&format!("STREAM.UPDATE.{stream}"), &full).await?.is_none() {
        // Nobody knows whether that was done: it is undone all the same.
        return Ok(Some(wound(stream, config)));
    }
    Ok(Some(wound(stream, config)))
}

fn wound(stream: String, config: Value) -> Wound {
    Wound { target: stream.clone(), heal: Heal::Stream(Full { stream, config }) }
}

pub(super) async fn heal(world: &World, full: Full) -> Outcome {
    let Full { stream, config } = full;
    eventually(&format!("{stream} may grow again"), HEALED_WITHIN, async || {
        let updated = world.bus.ask(&format!("STREAM.UPDATE.{stream}"), &config).await?;
        Ok(Seen::when(updated.is_some(), "no answer"))
    })
    .await
}
