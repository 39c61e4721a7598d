//! The history role: entries, messages in their final state, read markers.
//!
//! Each stream is followed by one reader into a bounded tail in memory; below the tail the store
//! answers. Invariants: an answer about a range says how far it reaches and holds every valid entry
//! up to there, whatever the persister's lag (`view`); verdicts are the same as everybody's,
//! because they use only what stands before an entry (`thread`); a worker that has not read far
//! enough, or finds a hole between store and tail, answers `unavailable` and another is asked. While
//! the store is away, what is in memory is answered, at once, and is said to be no more than that.
//!
//! Leaves out who may read: edges ask only for those who may. It writes nothing but markers.

mod changes;
mod follow;
mod known;
mod latest;
mod members;
mod messages;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod outage_tests;
mod range;
mod reach;
mod recent;
#[cfg(test)]
mod role_tests;
mod set_read;
mod shown;
mod standings;
mod summaries;
mod tail;
mod thread;
mod view;

use std::sync::Arc;
use std::time::Duration;

use bus_schema::ids::StreamIndex;
use bus_schema::ops::Service;
use bus_schema::ops::history as ops;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::service::{Host, ServiceSettings};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::Layout;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use self::latest::Latest;
use self::tail::Tail;
pub use self::tail::TailSettings;
use self::view::View;
use super::{RoleError, serve, with};
use crate::store::Stores;

/// `[history]`: the history role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistorySettings {
    /// Which log streams this worker serves; none named: all.
    pub streams: Vec<u16>,
    /// Entries below the store's floor to read at start, so that short absences are answered from
    /// memory at once.
    pub warm_entries: u64,
    /// Seconds to wait at start until the log is read, before serving.
    pub catch_up_s: u64,
    /// How much of each stream is kept in memory.
    pub tail: TailSettings,
    /// How it serves.
    pub service: ServiceSettings,
}

impl Default for HistorySettings {
    fn default() -> Self {
        Self {
            streams: Vec::new(),
            warm_entries: 10_000,
            catch_up_s: 30,
            tail: TailSettings::default(),
            service: ServiceSettings::default(),
        }
    }
}

/// Serves until stopped.
pub async fn run(
    bus: Bus,
    stores: Stores,
    settings: &HistorySettings,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    let layout = bus.layout().await?;
    let mut host = Host::new(&bus, Service::History, settings.service).await?;
    // The tasks of the views outlive the last request, so that what was taken can be finished.
    let following = Shutdown::new();
    let mut tasks = JoinSet::new();
    let mut views = Vec::new();
    for stream in streams(layout, &settings.streams)? {
        let start = follow::start(&bus, &*stores.history, stream, settings).await?;
        let tail = Tail::new(stream, start.base, settings.tail);
        let latest = Some(Latest::of(&bus, stream));
        let view = Arc::new(View::new(layout, tail, Arc::clone(&stores.history), latest));
        tasks.spawn(follow::read(bus.clone(), Arc::clone(&view), following.clone()));
        views.push((view, start));
    }
    for (view, start) in views {
        let wait = Duration::from_secs(settings.catch_up_s);
        tokio::select! {
            caught_up = follow::catch_up(&view, start, wait) => caught_up.map_err(RoleError::new)?,
            () = shutdown.requested() => break,
        }
        tasks.spawn(follow::beat(bus.clone(), Arc::clone(&view), following.clone()));
        offer(&mut host, &view).await?;
    }
    let served = serve(host, &shutdown).await;
    following.request();
    while tasks.join_next().await.is_some() {}
    served
}

fn streams(layout: Layout, chosen: &[u16]) -> Result<Vec<StreamIndex>, RoleError> {
    let all: Vec<StreamIndex> = layout.all().collect();
    if chosen.is_empty() {
        return Ok(all);
    }
    let chosen: Vec<StreamIndex> = chosen.iter().copied().map(StreamIndex).collect();
    match chosen.iter().find(|stream| !all.contains(stream)) {
        Some(unknown) => Err(RoleError::new(format!("history.streams: no stream {unknown}"))),
        None => Ok(chosen),
    }
}

async fn offer(host: &mut Host, view: &Arc<View>) -> Result<(), RoleError> {
    let stream = Some(view.stream);
    macro_rules! operation {
        ($operation:ty, $handler:path) => {
            host.operation::<$operation, _, _>(
                stream,
                with(view, async |view: Arc<View>, _, request| $handler(&view, request).await),
            )
            .await?
        };
    }
    operation!(ops::Range, range::handle);
    operation!(ops::Summaries, summaries::handle);
    operation!(ops::Members, members::handle);
    operation!(ops::Changes, changes::handle);
    operation!(ops::Messages, messages::handle);
    operation!(ops::GetMessage, messages::one);
    operation!(ops::SetRead, set_read::handle);
    Ok(())
}
