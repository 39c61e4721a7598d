//! Leases: who works on which stream, persisting or delivering.
//!
//! Invariant: a lease changes hands only by an update that expects the revision last seen, so of
//! several that try, one gets it. A standby takes over when the revision has not changed for
//! `expire_ms` by the standby's own clock: no two clocks are compared. A holder that cannot
//! renew for as long stops by itself.
//!
//! Leaves out exclusiveness beyond that: work under a lease must be safe when two do it.

use std::time::Duration;

use async_nats::jetstream::kv::{CreateErrorKind, Operation, Store, UpdateErrorKind};
use bus_schema::ids::StreamIndex;
use bus_schema::runtime::bus::{Bus, jitter};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::streams::LEASES;
use bytes::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::roles::RoleError;

/// How leases are held, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// Between two renewals.
    pub(crate) renew_ms: u64,
    /// Without renewal until another takes over.
    pub(crate) expire_ms: u64,
}

/// What is done under a lease.
pub(crate) trait Leased: Send + Sync + 'static {
    /// How much longer to wait after each failure in a row.
    const RETRY_STEP: Duration;
    /// The longest wait after something failed.
    const RETRY_MAX: Duration;
    /// What it is called in logs.
    const DOING: &'static str;

    /// The name of the lease, another one for each stream.
    fn lease(&self) -> String;

    /// Works until `held` ends. `failures` counts those in a row; work that gets on may set it to 0.
    fn while_held(
        &self,
        held: &Shutdown,
        failures: &mut u32,
    ) -> impl Future<Output = Result<(), RoleError>> + Send;
}

/// The bucket of leases.
#[derive(Clone)]
pub(crate) struct Leases {
    bucket: Store,
    /// Tells this process's leases from another's.
    holder: Bytes,
    renew: Duration,
    expire: Duration,
}

impl Leases {
    /// Opens the bucket, waiting for setup to have made it.
    pub(crate) async fn open(bus: &Bus, timing: Timing) -> Result<Self, RoleError> {
        let deadline = Instant::now() + Duration::from_secs(bus.settings().start_wait_s);
        let renew = Duration::from_millis(timing.renew_ms.max(1));
        let bucket = loop {
            match bus.jetstream().get_key_value(LEASES).await {
                Ok(bucket) => break bucket,
                Err(error) if Instant::now() >= deadline => return Err(RoleError::new(error)),
                Err(_) => sleep(jitter(renew)).await,
            }
        };
        let holder = Bytes::from(bus.client().new_inbox());
        let expire = Duration::from_millis(timing.expire_ms).max(renew * 2);
        Ok(Self { bucket, holder, renew, expire })
    }

    /// Waits until the lease of this name is free or left, and takes it.
    pub(crate) async fn acquire(&self, key: String) -> Lease {
        let mut seen: Option<(u64, Instant)> = None;
        loop {
            let taken = match self.bucket.entry(key.as_str()).await {
                Ok(Some(entry)) if entry.operation == Operation::Put => {
                    let since = match seen {
                        Some((revision, since)) if revision == entry.revision => since,
                        _ => Instant::now(),
                    };
                    seen = Some((entry.revision, since));
                    let left = since.elapsed() >= self.expire || entry.value == self.holder;
                    if left { self.update(&key, entry.revision).await.ok() } else { None }
                }
                Ok(_) => {
                    let created = self.bucket.create(&key, self.holder.clone()).await;
                    if let Err(error) = &created
                        && error.kind() != CreateErrorKind::AlreadyExists
                    {
                        tracing::warn!(key, %error, "cannot take the lease");
                    }
                    created.ok()
                }
                Err(error) => {
                    tracing::warn!(key, %error, "cannot read the lease");
                    None
                }
            };
            if let Some(revision) = taken {
                return Lease { leases: self.clone(), key, revision, renewed: Instant::now() };
            }
            sleep(jitter(self.renew)).await;
        }
    }

    async fn update(&self, key: &str, revision: u64) -> Result<u64, UpdateErrorKind> {
        let update = self.bucket.update(key, self.holder.clone(), revision);
        match timeout(self.expire, update).await {
            Ok(Ok(revision)) => Ok(revision),
            Ok(Err(error)) => Err(error.kind()),
            Err(_) => Err(UpdateErrorKind::TimedOut),
        }
    }
}

/// A lease that is held.
pub(crate) struct Lease {
    leases: Leases,
    key: String,
    revision: u64,
    renewed: Instant,
}

impl Lease {
    /// Renews until `held` is ended from outside; ends it when the lease is lost.
    pub(crate) async fn keep(mut self, held: Shutdown) -> Self {
        loop {
            tokio::select! {
                () = sleep(self.leases.renew) => {}
                () = held.requested() => return self,
            }
            let kept = match self.leases.update(&self.key, self.revision).await {
                Ok(revision) => {
                    self.revision = revision;
                    self.renewed = Instant::now();
                    true
                }
                Err(UpdateErrorKind::WrongLastRevision) => self.adopt().await,
                Err(_) => self.renewed.elapsed() < self.leases.expire,
            };
            if !kept {
                held.request();
                return self;
            }
        }
    }

    /// After a renewal whose answer was lost, the revision is another one but still ours.
    async fn adopt(&mut self) -> bool {
        match self.leases.bucket.entry(self.key.as_str()).await {
            Ok(Some(entry)) if entry.value == self.leases.holder => {
                self.revision = entry.revision;
                true
            }
            Ok(_) => false,
            Err(_) => self.renewed.elapsed() < self.leases.expire,
        }
    }

    /// Gives it up, so that another need not wait for it to expire.
    pub(crate) async fn release(self) {
        let delete = self.leases.bucket.delete_expect_revision(&self.key, Some(self.revision));
        // If it is lost already, there is nothing to give up.
        let _ = timeout(self.leases.renew, delete).await;
    }
}

/// Does the work of each log stream whenever its lease is held, until stopped.
pub(crate) async fn work_on_streams<W: Leased>(
    bus: &Bus,
    timing: Timing,
    shutdown: &Shutdown,
    worker: impl Fn(StreamIndex) -> W,
) -> Result<(), RoleError> {
    let layout = bus.layout().await?;
    let leases = Leases::open(bus, timing).await?;
    bus.set_serving(true);
    let mut tasks = JoinSet::new();
    for stream in layout.all() {
        tasks.spawn(drive(worker(stream), leases.clone(), shutdown.clone()));
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(RoleError::new)?;
    }
    Ok(())
}

/// Works whenever the lease is held.
async fn drive<W: Leased>(work: W, leases: Leases, shutdown: Shutdown) {
    let (key, doing) = (work.lease(), W::DOING);
    let mut failures = 0;
    while !shutdown.is_requested() {
        let lease = tokio::select! {
            lease = leases.acquire(key.clone()) => lease,
            () = shutdown.requested() => return,
        };
        tracing::info!(key, doing, "holds the lease");
        let held = shutdown.child();
        // In one task, so that a lease never outlives the work it is for.
        let working = async {
            let ended = work.while_held(&held, &mut failures).await;
            held.request();
            ended
        };
        let (ended, lease) = tokio::join!(working, lease.keep(held.clone()));
        lease.release().await;
        match ended {
            Ok(()) if shutdown.is_requested() => return,
            Ok(()) => {
                failures = 0;
                tracing::warn!(key, doing, "lost the lease");
            }
            Err(error) => {
                failures += 1;
                tracing::error!(key, doing, %error, "cannot go on now");
                let wait = W::RETRY_MAX.min(W::RETRY_STEP * failures);
                let _ = timeout(wait, shutdown.requested()).await;
            }
        }
    }
}
