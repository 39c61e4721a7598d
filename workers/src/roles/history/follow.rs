//! The tasks behind a view: one that reads the log, one that keeps time.
//!
//! Invariants: the tail gets everything after its base, in order, for as long as the role runs. The
//! ranges of the digests join: each begins where the one before it ended.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use bus_schema::error::Failure;
use bus_schema::events::Digest;
use bus_schema::ids::StreamIndex;
use bus_schema::runtime::bus::{Bus, jitter};
use bus_schema::runtime::log::{Reader, leader};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::HistorySettings;
use super::tail::{Tail, TailSettings};
use super::view::View;
use crate::roles::RoleError;
use crate::store::StoreErrorKind;
use crate::store::history::HistoryStore;

/// Between two digests, and two looks at the store's floor.
const BEAT: Duration = Duration::from_secs(1);
/// The wait after reading or the store failed.
const RETRY: Duration = Duration::from_secs(1);
/// Nothing is read for so long of what is known to be there: the consumer has died.
const STALLED: Duration = Duration::from_secs(2);
/// Places of one digest; a beat with more publishes several.
const DIGEST_PLACES: usize = 8_000;
/// Bytes of the places of one digest.
const DIGEST_BYTES: usize = 512 * 1024;

/// Where a tail begins, and where the stream ends now.
#[derive(Debug, Clone, Copy)]
pub(super) struct Start {
    pub(super) base: u64,
    pub(super) last: u64,
}

/// Finds where to begin: `warm` entries below the store's floor, or where the log begins. Without the
/// store, as far back as the tail can hold: the floor is not known to be higher.
pub(super) async fn start(
    bus: &Bus,
    store: &dyn HistoryStore,
    stream: StreamIndex,
    settings: &HistorySettings,
) -> Result<Start, RoleError> {
    let log = log(bus, stream).await?;
    let state = &log.cached_info().state;
    // The floor after the log's beginning: what was trimmed meanwhile is below both.
    let first = state.first_sequence.saturating_sub(1);
    let wanted = match store.floor(stream).await {
        Ok(floor) => floor.saturating_sub(settings.warm_entries),
        Err(error) if error.kind == StoreErrorKind::Unavailable => {
            tracing::warn!(%stream, store.error = %error, "beginning without the store");
            let TailSettings { entries, lag_factor, .. } = settings.tail;
            let room = entries.saturating_mul(lag_factor.max(1));
            state.last_sequence.saturating_sub(u64::try_from(room).unwrap_or(u64::MAX))
        }
        Err(error) => return Err(error.into()),
    };
    let base = wanted.max(first).min(state.last_sequence.max(first));
    Ok(Start { base, last: state.last_sequence })
}

/// The stream, as soon as somebody leads it: a node that dies must not end who starts just then.
async fn log(bus: &Bus, stream: StreamIndex) -> Result<Stream, RoleError> {
    let deadline = Instant::now() + Duration::from_secs(bus.settings().start_wait_s);
    loop {
        match leader::ask(bus, stream).await {
            Ok(log) => return Ok(log),
            Err(error) if Instant::now() >= deadline => return Err(RoleError::new(error)),
            Err(error) => tracing::warn!(%stream, %error, "waiting for the log"),
        }
        sleep(jitter(RETRY)).await;
    }
}

/// Reads the log into the view until stopped.
pub(super) async fn read(bus: Bus, view: Arc<View>, shutdown: Shutdown) {
    while !shutdown.is_requested() {
        let mut reader = Reader::open(&bus, view.stream, view.peek(Tail::read));
        let mut stalled = pin!(view.stalled(STALLED));
        loop {
            let next = tokio::select! {
                next = reader.next() => next,
                () = &mut stalled => {
                    stalled.set(view.stalled(STALLED));
                    tracing::warn!(stream = %view.stream, "the log is known to go on; reading anew");
                    reader.reopen();
                    continue;
                }
                () = shutdown.requested() => return,
            };
            match next {
                Ok(stored) => view.push(&stored),
                Err(error) => {
                    tracing::warn!(stream = %view.stream, %error, "cannot read the log now");
                    break;
                }
            }
        }
        sleep(jitter(RETRY)).await;
    }
}

/// Each second: publishes a digest, learns the floor, judges what came, shows sizes.
pub(super) async fn beat(bus: Bus, view: Arc<View>, shutdown: Shutdown) {
    let mut digested = view.peek(Tail::read);
    let mut beats = interval(BEAT);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut store_answers = true;
    loop {
        tokio::select! {
            _ = beats.tick() => {}
            () = shutdown.requested() => return,
        }
        digested = digest(&bus, &view, digested).await;
        let look = tokio::select! {
            look = view.look() => look,
            () = shutdown.requested() => return,
        };
        match &look {
            Ok(()) => {
                tokio::select! {
                    // What is left waits for the next beat; digests do not wait.
                    _ = timeout(BEAT, view.settle()) => {}
                    () = shutdown.requested() => return,
                }
            }
            // Once, not each second.
            Err(error) if store_answers => {
                tracing::warn!(stream = %view.stream, store.error = %error, "no floor");
            }
            Err(_) => {}
        }
        store_answers = look.is_ok();
        show(&view);
    }
}

/// Publishes what was read since `from`; up to where it is published now.
async fn digest(bus: &Bus, view: &View, mut from: u64) -> u64 {
    loop {
        let (digest, read) = view.peek(|tail| {
            // Where the tail was begun anew, the range between is nobody's to tell.
            let begin = from.max(tail.base());
            let (last, to) = tail.changes(begin, DIGEST_PLACES, DIGEST_BYTES);
            (Digest { from: begin, to, last }, tail.read())
        });
        let to = digest.to;
        if let Err(error) = bus.publish_event(subjects::digest(view.stream), &digest).await {
            tracing::debug!(stream = %view.stream, %error, "a digest was not published");
            return from;
        }
        from = to;
        if to >= read {
            return from;
        }
    }
}

fn show(view: &View) {
    let (base, read, (entries, bytes)) = view.peek(|t| (t.base(), t.read(), t.held()));
    let stream = view.stream.to_string();
    let set = |name: &'static str, value: u64| {
        #[expect(clippy::cast_precision_loss, reason = "a gauge; sequences stay below 2^53")]
        metrics::gauge!(name, "stream" => stream.clone()).set(value as f64);
    };
    set("natter_history_read", read);
    set("natter_history_tail_base", base);
    set("natter_history_tail_entries", u64::try_from(entries).unwrap_or(u64::MAX));
    set("natter_history_store_up", u64::from(!view.is_store_away()));
    set("natter_history_tail_bytes", u64::try_from(bytes).unwrap_or(u64::MAX));
}

/// Waits until the view has read what the stream held at the start, but not for ever: a worker
/// that is behind still answers what it can.
pub(super) async fn catch_up(view: &View, start: Start, at_most: Duration) -> Result<(), Failure> {
    if let Ok(reached) = timeout(at_most, view.reach(start.last)).await {
        return reached;
    }
    tracing::warn!(stream = %view.stream, last = start.last, "serving though behind");
    Ok(())
}
