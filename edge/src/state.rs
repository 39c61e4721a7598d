//! What all parts of an edge share.
//!
//! Invariant: nothing here is data of record; an edge that dies loses nothing but time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bus_schema::error::Failure;
use bus_schema::ops::history::Freshness;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::group::Group;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;
use tokio::sync::Semaphore;

use crate::config::EdgeSettings;
use crate::directory::Directory;
use crate::follow::digest::Heard;
use crate::follow::fallback::Fallback;
use crate::follow::pages::Shelf;
use crate::http::webhooks::WebhookRates;
use crate::hub::Hub;
use crate::positions::Standings;
use crate::sessions::Sessions;
use crate::ws::admission::Admission;

/// An edge.
pub struct Edge {
    /// Its settings.
    pub settings: EdgeSettings,
    /// Its connection to NATS.
    pub bus: Bus,
    /// Appends to the log.
    pub log: Group,
    /// Which stream has what.
    pub layout: Layout,
    /// The highest sequences heard of.
    pub heard: Heard,
    /// The edges that are alive.
    pub directory: Directory,
    /// Sessions: revoked ones, and those with sockets here.
    pub sessions: Sessions,
    /// What is followed here.
    pub hub: Hub,
    /// How far that is.
    pub(crate) positions: Standings,
    /// How often webhooks may write.
    pub(crate) webhooks: WebhookRates,
    /// Asks this edge to stop.
    pub shutdown: Shutdown,
    pub(crate) fetches: Fetches,
    pub(crate) fallback: Fallback,
    pub(crate) catching_up: CatchingUp,
    pub(crate) admission: Admission,
    pub(crate) sockets: AtomicUsize,
}

/// How long NATS may be gone until nothing new is begun.
const CUT_OFF: Duration = Duration::from_secs(2);

impl Edge {
    /// An edge on a connected bus.
    pub fn new(settings: EdgeSettings, bus: Bus, layout: Layout, shutdown: Shutdown) -> Arc<Self> {
        Arc::new(Self {
            heard: Heard::new(layout.count()),
            directory: Directory::new(&settings.url()),
            sessions: Sessions::default(),
            hub: Hub::default(),
            positions: Standings::default(),
            webhooks: WebhookRates::new(&settings),
            fetches: Fetches::default(),
            fallback: Fallback::start(&bus, layout, &shutdown),
            catching_up: CatchingUp::new(&settings),
            admission: Admission::new(&settings),
            sockets: AtomicUsize::new(0),
            log: Group::start(&bus, layout, settings.appends()),
            settings,
            bus,
            layout,
            shutdown,
        })
    }

    /// How far a history worker must have read to answer for a place.
    pub(crate) fn fresh(&self, place: LogSubject, latest: bool) -> Freshness {
        Freshness { min: self.heard.of(self.layout.stream_of(place)), latest }
    }

    /// Refuses what cannot be done while NATS is gone.
    pub(crate) fn cut_off(&self) -> Result<(), Failure> {
        let status = *self.bus.status().borrow();
        if !status.connected && status.since.elapsed() > CUT_OFF {
            return Err(Failure::unavailable());
        }
        Ok(())
    }

    /// Whether this edge can serve clients now.
    pub fn readiness(&self) -> Result<(), String> {
        if self.shutdown.is_requested() {
            return Err("stopping".to_owned());
        }
        self.cut_off().map_err(|_| "NATS is gone".to_owned())
    }

    /// Sockets open now.
    pub fn open_sockets(&self) -> usize {
        self.sockets.load(Ordering::Relaxed)
    }
}

/// Fetches by followers under way, bounded.
pub(crate) struct Fetches(Semaphore);

/// Fetches by followers under way at once.
const FETCHES: usize = 64;

impl Default for Fetches {
    fn default() -> Self {
        Self(Semaphore::new(FETCHES))
    }
}

impl Fetches {
    /// A follower's turn to fetch; nothing once the edge has ended.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.0.acquire().await.ok()
    }
}

/// What serves sessions that come back. Its fetches have turns of their own: however many come
/// back, what followers miss of live entries does not wait for them.
pub(crate) struct CatchingUp {
    turns: Semaphore,
    /// Room for what was fetched for them.
    pub(crate) shelf: Shelf,
}

/// Fetches for those who catch up under way at once.
const CATCHING_UP: usize = 32;

impl CatchingUp {
    fn new(settings: &EdgeSettings) -> Self {
        Self { turns: Semaphore::new(CATCHING_UP), shelf: Shelf::new(settings.catch_up_bytes) }
    }

    /// A turn to fetch; nothing once the edge has ended.
    pub(crate) async fn turn(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.turns.acquire().await.ok()
    }
}
