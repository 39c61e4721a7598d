//! The setup role: makes the streams of `nats-config/streams.toml` and reports what differs.
//!
//! Invariants: running it again changes nothing; it never makes the log's streams fewer, and never
//! moves a partition of a log that holds entries, because entry ids name their stream. What differs
//! from the file and can be brought in line without losing anything is; the rest is logged, field by
//! field, and left to the operator. LOG_0, where others read the layout, is made last.
//!
//! The stores come after the streams: what a backend needs that cannot make it itself.
//!
//! Leaves out consumers (readers make their own).

mod apply;
mod definitions;
mod drift;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::Info;
use async_nats::jetstream::{self, ErrorCode};
use bus_schema::ids::StreamIndex;
use bus_schema::runtime::bus::{Bus, jitter};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::{Layout, LogStream, METADATA_STREAMS};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use self::definitions::Definitions;
use super::RoleError;
use crate::store::Stores;

/// `[setup]`: the streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SetupSettings {
    /// A file in the form of `nats-config/streams.toml` to use in its place. Empty: that one, as it
    /// was when this program was built.
    pub definitions: PathBuf,
    /// How many log streams, in place of what the file says. 0: as it says.
    pub streams: u64,
    /// How many replicas of every stream, in place of what the file says. 0: as it says.
    pub replicas: usize,
    /// Seconds to wait for the servers of the stores.
    pub stores_wait_s: u64,
}

impl Default for SetupSettings {
    fn default() -> Self {
        Self { definitions: PathBuf::new(), streams: 0, replicas: 0, stores_wait_s: 60 }
    }
}

/// Brings the streams in line with their definitions, then is done.
pub async fn run(
    bus: Bus,
    stores: Stores,
    settings: &SetupSettings,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    // What is wrong with the file itself is told at once.
    Definitions::load(settings)?;
    tokio::select! {
        done = streams(&bus, settings) => done?,
        () = shutdown.requested() => return Ok(()),
    }
    tokio::select! {
        done = migrate(&stores, Duration::from_secs(settings.stores_wait_s)) => done?,
        () = shutdown.requested() => return Ok(()),
    }
    bus.set_serving(true);
    Ok(())
}

/// How long a NATS cluster may take to elect leaders, or to hear of all its nodes.
const STREAMS_WAIT: Duration = Duration::from_secs(30);

/// Prepares the streams, also where NATS has just been started, or has just lost a node.
async fn streams(bus: &Bus, settings: &SetupSettings) -> Result<(), RoleError> {
    let deadline = Instant::now() + STREAMS_WAIT;
    loop {
        match set_up(bus, settings).await {
            Err(error) if Instant::now() < deadline => {
                tracing::warn!(%error, "the streams cannot be prepared yet");
            }
            done => return done.map(drop),
        }
        sleep(jitter(RETRY)).await;
    }
}

/// Between two tries to reach the streams, or the stores.
const RETRY: Duration = Duration::from_secs(1);

/// Prepares the stores, waiting for their servers.
async fn migrate(stores: &Stores, wait: Duration) -> Result<(), RoleError> {
    let deadline = Instant::now() + wait;
    loop {
        match stores.migrate().await {
            Err(error) if error.kind.passes() && Instant::now() < deadline => {
                tracing::warn!(store.error = %error, "a store cannot be prepared yet");
            }
            done => return done.map_err(Into::into),
        }
        sleep(jitter(RETRY)).await;
    }
}

/// The streams, without what only a role has. What still differs from the definitions.
pub(crate) async fn set_up(
    bus: &Bus,
    settings: &SetupSettings,
) -> Result<Vec<drift::Difference>, RoleError> {
    let definitions = Definitions::load(settings)?;
    let jetstream = bus.jetstream();
    let existing = existing(jetstream).await?;
    let layout = choose(definitions.layout()?, existing);
    // The layout is read from LOG_0: others need all streams to be there when it says so. Only
    // when it gives partitions away must it do so first.
    let giving_away = existing.is_some_and(|e| e.layout != layout);
    let mut order: Vec<StreamIndex> = layout.all().collect();
    if !giving_away {
        order.rotate_left(1);
    }
    let mut configs = vec![definitions.dead(), definitions.bots(), definitions.leases()];
    for stream in order {
        configs.push(definitions.log(layout, stream));
    }
    let mut left = Vec::new();
    for config in configs {
        left.extend(apply::apply(jetstream, config).await?);
    }
    tracing::info!(log_streams = layout.count(), differences = left.len(), "the streams are there");
    Ok(left)
}

/// What there is of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Existing {
    layout: Layout,
    /// Whether any of its streams ever held an entry.
    used: bool,
}

async fn existing(jetstream: &jetstream::Context) -> Result<Option<Existing>, RoleError> {
    let Some(first) = info(jetstream, &LogStream(StreamIndex(0)).to_string()).await? else {
        return Ok(None);
    };
    let said = first.config.metadata.get(METADATA_STREAMS).and_then(|n| n.parse().ok());
    let layout = match said {
        Some(count) => Layout::new(count).map_err(RoleError::new)?,
        // Made by hand, or the metadata were lost: its subjects tell as well.
        None => (1..=256)
            .filter_map(|count| Layout::new(count).ok())
            .find(|layout| layout.subjects(StreamIndex(0)) == first.config.subjects)
            .ok_or_else(|| RoleError::new("LOG_0 exists, but is no log stream of Natter"))?,
    };
    let mut used = false;
    for stream in layout.all() {
        let info = info(jetstream, &LogStream(stream).to_string()).await?;
        used |= info.is_some_and(|info| info.state.last_sequence > 0);
    }
    Ok(Some(Existing { layout, used }))
}

/// The layout to have: the one wanted, unless entries are stored under another, or it is smaller.
fn choose(wanted: Layout, existing: Option<Existing>) -> Layout {
    let Some(existing) = existing else { return wanted };
    let (have, want) = (existing.layout.count(), wanted.count());
    if want == have || (want > have && !existing.used) {
        return wanted;
    }
    tracing::warn!(
        have,
        want,
        "the number of log streams stays: entry ids name their stream (setup.streams)"
    );
    existing.layout
}

/// A stream as the server has it.
async fn info(jetstream: &jetstream::Context, name: &str) -> Result<Option<Info>, RoleError> {
    match jetstream.get_stream(name).await {
        Ok(stream) => Ok(Some(stream.cached_info().clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            _ => Err(RoleError::new(error)),
        },
    }
}
