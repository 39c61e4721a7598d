//! Auditing one stream while its lease is held.
//!
//! Invariant: the service of a stream is there exactly while somebody audits it, so whoever asks gets
//! the word of that one or finds nobody. A store that fails is waited for, and what it does not say
//! counts as not accounted for; a failure of the log ends the run, and the next begins anew.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use bus_schema::ids::StreamIndex;
use bus_schema::ops::audit::{Account, Report, WrongRow};
use bus_schema::ops::{Empty, Service};
use bus_schema::runtime::bus::{Bus, jitter};
use bus_schema::runtime::log::leader;
use bus_schema::runtime::service::Host;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::BOTS;
use bus_schema::subjects;
use bus_schema::timestamp::Timestamp;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::edges::Edges;
use super::ledger::Ledger;
use super::{AuditorSettings, fresh, show, sweep};
use crate::roles::RoleError;
use crate::store::StoreError;
use crate::store::history::HistoryStore;

/// Between two looks at how far everybody is.
const BEAT: Duration = Duration::from_secs(1);
/// How long one of them may take.
const LOOK: Duration = Duration::from_secs(5);

/// What auditing a stream needs.
pub(super) struct Worker {
    pub(super) bus: Bus,
    pub(super) store: Arc<dyn HistoryStore>,
    pub(super) edges: Arc<Mutex<Edges>>,
    pub(super) stream: StreamIndex,
    pub(super) settings: AuditorSettings,
}

/// One run.
pub(super) struct Audit<'a> {
    pub(super) worker: &'a Worker,
    pub(super) ledger: Arc<Mutex<Ledger>>,
}

/// What the log holds.
pub(super) struct Log {
    pub(super) first: u64,
    last: u64,
    at: Timestamp,
}

/// Up to where delivery has read, as it keeps it; the rest of that is its own.
#[derive(Deserialize)]
struct Delivered {
    sequence: u64,
}

impl Worker {
    /// Audits until `held` ends.
    pub(super) async fn run(&self, held: &Shutdown) -> Result<(), RoleError> {
        let log = tokio::select! {
            log = self.log() => log?,
            () = held.requested() => return Ok(()),
        };
        let after = log.first.saturating_sub(1);
        let ledger = Ledger::new(self.stream, self.settings.late_s, after);
        let audit = Audit { worker: self, ledger: Arc::new(Mutex::new(ledger)) };
        let (floor, floors) = watch::channel(None);
        audit.look(&floor).await;
        let mut host = Host::new(&self.bus, Service::Audit, self.settings.service).await?;
        let (ledger, edges) = (Arc::clone(&audit.ledger), Arc::clone(&self.edges));
        host.operation::<Report, _, _>(Some(self.stream), move |_, _: Empty| {
            let account = account(&ledger, &edges);
            async move { Ok(account) }
        })
        .await?;
        let work = async {
            let ended = tokio::select! {
                ended = fresh::follow(&audit, after, floors) => ended,
                ended = sweep::sweep(&audit) => ended,
                () = audit.beat(&floor) => Ok(()),
                () = held.requested() => Ok(()),
            };
            held.request();
            ended
        };
        let (ended, _) = tokio::join!(work, host.run(held.clone()));
        ended
    }

    /// What the log holds now.
    pub(super) async fn log(&self) -> Result<Log, RoleError> {
        let log = leader::ask(&self.bus, self.stream).await.map_err(RoleError::new)?;
        let state = &log.cached_info().state;
        let (first, last) = (state.first_sequence, state.last_sequence);
        Ok(Log { first, last, at: Timestamp::from(state.last_timestamp) })
    }

    /// How far delivery to bots is; none if there never was any.
    async fn delivered(&self) -> Result<Option<u64>, RoleError> {
        use async_nats::jetstream::stream::LastRawMessageErrorKind;
        let bots = self.bus.jetstream().get_stream_no_info(BOTS).await.map_err(RoleError::new)?;
        match bots.get_last_raw_message_by_subject(&subjects::delivered(self.stream)).await {
            Ok(message) => {
                let said: Delivered =
                    serde_json::from_slice(&message.payload).map_err(RoleError::new)?;
                Ok(Some(said.sequence))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(RoleError::new(error)),
        }
    }
}

fn account(ledger: &Mutex<Ledger>, edges: &Mutex<Edges>) -> Account {
    let edges = edges.lock();
    ledger.lock().account(&edges, Instant::now())
}

impl Audit<'_> {
    /// A run of the log was compared with the store.
    pub(super) fn found(&self, run: RangeInclusive<u64>, found: Vec<WrongRow>) {
        let stream = self.worker.stream;
        let mut ledger = self.ledger.lock();
        let before = ledger.faults.count();
        let first = found.first().copied();
        ledger.faults.replace(run, found);
        if let Some(first) = first
            && ledger.faults.count() > before
        {
            let wrong_rows = ledger.faults.count();
            tracing::error!(%stream, wrong_rows, %first, "the store is not as the log says");
        }
    }

    /// Each second: how far everybody is.
    async fn beat(&self, floor: &watch::Sender<Option<u64>>) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            self.look(floor).await;
            show::account(&account(&self.ledger, &self.worker.edges));
        }
    }

    /// Looks at everybody at once; what does not answer stays as it was.
    async fn look(&self, floor: &watch::Sender<Option<u64>>) {
        let worker = self.worker;
        let end = async {
            match timeout(LOOK, worker.log()).await {
                Ok(Ok(log)) => self.ledger.lock().ends_at(log.last, log.at, Instant::now()),
                Ok(Err(error)) => self.silent("the log", &error),
                Err(late) => self.silent("the log", &late),
            }
        };
        let store = async {
            match timeout(LOOK, worker.store.floor(worker.stream)).await {
                Ok(Ok(now)) => {
                    floor.send_if_modified(|known| {
                        let higher = known.is_none_or(|known| now > known);
                        if higher {
                            *known = Some(now);
                        }
                        higher
                    });
                }
                Ok(Err(error)) => self.silent("the store", &error),
                Err(late) => self.silent("the store", &late),
            }
        };
        let bots = async {
            if !worker.settings.bots {
                return;
            }
            match timeout(LOOK, worker.delivered()).await {
                Ok(Ok(position)) => self.ledger.lock().bots_have(position),
                Ok(Err(error)) => self.silent("delivery", &error),
                Err(late) => self.silent("delivery", &late),
            }
        };
        tokio::join!(end, store, bots);
    }

    fn silent(&self, who: &str, error: &dyn std::fmt::Display) {
        tracing::debug!(stream = %self.worker.stream, who, %error, "does not say how far it is");
    }
}

/// The wait after the first failure of the store; it doubles with each,
const WAIT_MIN: Duration = Duration::from_millis(200);
/// up to this.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// Waiting for a store that fails, for as long as the lease is held.
#[derive(Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// Takes note of a failure, and waits.
    pub(super) async fn failed(&mut self, stream: StreamIndex, error: &StoreError) {
        if self.0 == 0 {
            tracing::warn!(%stream, store.error = %error, "cannot look for rows; trying on");
        }
        let wait = WAIT_MAX.min(WAIT_MIN * 2u32.saturating_pow(self.0.min(8)));
        self.0 = self.0.saturating_add(1);
        sleep(jitter(wait)).await;
    }
}
