//! Filling gaps when no history worker answers: one sequential read of a stream serves everybody.
//!
//! Invariant: at most one consumer per stream, whoever is missing whatever; unfiltered, because
//! filtered consumers and direct gets on a cold conversation were measured to stall that stream's
//! publishes for 200-350 ms. At most [`BACK`] entries back, else the asker keeps waiting for history.
//!
//! Leaves out the verdict: what comes from here is the raw log, judged by whoever asked.

use std::time::Duration;

use bus_schema::entry::Entry;
use bus_schema::ids::StreamIndex;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::{Reader, Stored, leader};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

/// Entries of a stream read back at most.
const BACK: u64 = 200_000;
/// Askers waiting for one stream; more keep asking history.
const WAITING: usize = 10_000;
/// How long one read may take in all.
const READ: Duration = Duration::from_secs(20);
/// How long askers gather before a read starts.
const GATHER: Duration = Duration::from_millis(50);

/// What somebody is missing: everything of a place after a sequence, up to another.
struct Asked {
    place: LogSubject,
    after: u64,
    min: u64,
    reply: oneshot::Sender<Raw>,
    found: Vec<Entry>,
}

/// The raw log of a place.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) entries: Vec<Entry>,
    pub(crate) through: u64,
}

/// A way to ask, for each stream.
pub(crate) struct Fallback(Vec<mpsc::Sender<Asked>>);

impl Fallback {
    /// Starts one idle reader task per stream.
    pub(crate) fn start(bus: &Bus, layout: Layout, shutdown: &Shutdown) -> Self {
        let start = |stream| {
            let (asking, asked) = mpsc::channel(WAITING);
            tokio::spawn(serve(bus.clone(), stream, asked, shutdown.clone()));
            asking
        };
        Self(layout.all().map(start).collect())
    }

    /// Everything of a place after `after`, at least up to `min`; nothing if it cannot be had here.
    pub(crate) async fn read(
        &self,
        stream: StreamIndex,
        place: LogSubject,
        after: u64,
        min: u64,
    ) -> Option<Raw> {
        let (reply, answer) = oneshot::channel();
        let asked = Asked { place, after, min, reply, found: Vec::new() };
        self.0.get(usize::from(stream.0))?.try_send(asked).ok()?;
        timeout(READ * 2, answer).await.ok()?.ok()
    }
}

async fn serve(
    bus: Bus,
    stream: StreamIndex,
    mut asked: mpsc::Receiver<Asked>,
    shutdown: Shutdown,
) {
    loop {
        let mut waiting = Vec::new();
        tokio::select! {
            count = asked.recv_many(&mut waiting, WAITING) => if count == 0 { return },
            () = shutdown.requested() => return,
        }
        tokio::time::sleep(GATHER).await;
        while let Ok(more) = asked.try_recv() {
            waiting.push(more);
        }
        metrics::counter!("natter_fallback_reads_total").increment(1);
        if let Err(_late) = timeout(READ, read(&bus, stream, &mut waiting)).await {
            tracing::warn!(%stream, waiting = waiting.len(), "reading back took too long");
        }
    }
}

async fn read(bus: &Bus, stream: StreamIndex, waiting: &mut Vec<Asked>) {
    let started = Instant::now();
    let last = match leader::ask(bus, stream).await {
        Ok(info) => info.cached_info().state.last_sequence,
        Err(error) => {
            tracing::debug!(%stream, %error, "the stream cannot be asked");
            return;
        }
    };
    waiting.retain(|asked| last.saturating_sub(asked.after) <= BACK && asked.min <= last);
    let Some(first) = waiting.iter().map(|asked| asked.after).min() else { return };
    tracing::info!(%stream, first, last, waiting = waiting.len(), "reading back without history");
    let mut reader = Reader::open(bus, stream, first);
    while reader.last() < last {
        let Ok(stored) = reader.next().await else { return };
        give(waiting, &stored);
    }
    for asked in waiting.drain(..) {
        let _ = asked.reply.send(Raw { entries: asked.found, through: last });
    }
    tracing::info!(%stream, elapsed = ?started.elapsed(), "read back");
}

fn give(waiting: &mut [Asked], stored: &Stored) {
    for asked in waiting.iter_mut() {
        if Some(asked.place) == stored.place && stored.sequence > asked.after {
            // What cannot be decoded is nothing, here as everywhere.
            asked.found.extend(stored.entry().ok());
        }
    }
}
