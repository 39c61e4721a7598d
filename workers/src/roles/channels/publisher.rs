//! Publishes outboxes, each from its head, and lets requests wait for it.
//!
//! Invariant: in one process at most one task publishes a channel's outbox at a time, however many
//! requests wait for it, and it goes on when they have gone away. Other processes may publish the
//! same outbox at the same time: the message ids make that harmless.
//!
//! Leaves out finding outboxes that nobody waits for: that is the sweeper.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use bus_schema::ids::ConversationId;
use bus_schema::runtime::bus::{Bus, jitter};
use bus_schema::runtime::log;
use bus_schema::sabotage::{Safeguard, off};
use bus_schema::streams::Layout;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

use super::outbox::{self, Publication};
use crate::store::StoreError;
use crate::store::channels::{ChannelStore, DmNotice, Outbox};

/// Publishes outboxes. Clones share the work.
#[derive(Clone)]
pub(super) struct Publisher(Arc<Inner>);

struct Inner {
    bus: Bus,
    layout: Layout,
    store: Arc<dyn ChannelStore>,
    /// Outboxes and notices published at once.
    permits: Semaphore,
    running: Mutex<HashMap<ConversationId, watch::Receiver<Progress>>>,
    tasks: TaskTracker,
}

/// How far a task has come with one channel.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// The revision up to which the log is known to have the changes.
    published: u64,
    /// The task gave up; the sweeper goes on later.
    failed: bool,
}

/// The log did not acknowledge in time. The change is committed and will be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotYet;

/// Why a task gave up.
#[derive(Debug, thiserror::Error)]
enum GaveUp {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("{0}")]
    Log(#[from] log::PublishError),
    #[error("an acknowledgement changed nothing")]
    Stuck,
}

impl Publisher {
    pub(super) fn new(
        bus: Bus,
        layout: Layout,
        store: Arc<dyn ChannelStore>,
        at_once: usize,
    ) -> Self {
        Self(Arc::new(Inner {
            bus,
            layout,
            store,
            permits: Semaphore::new(at_once.max(1)),
            running: Mutex::default(),
            tasks: TaskTracker::new(),
        }))
    }

    /// Waits until the log has a channel's changes up to `revision`.
    pub(super) async fn reach(
        &self,
        channel: ConversationId,
        revision: u64,
        deadline: Instant,
    ) -> Result<(), NotYet> {
        loop {
            let mut progress = self.join(channel);
            let reached = progress.wait_for(|p| p.published >= revision || p.failed);
            match timeout_at(deadline, reached).await.map_err(|_| NotYet)? {
                Ok(seen) if seen.published >= revision => return Ok(()),
                // The task ended between its last look and this change's commit: start another.
                Err(_) if Instant::now() < deadline => {}
                Ok(_) | Err(_) => return Err(NotYet),
            }
        }
    }

    /// Publishes a channel's outbox until it is empty or cannot be published now.
    pub(super) async fn drive(&self, channel: ConversationId) {
        let mut progress = self.join(channel);
        while progress.changed().await.is_ok() {}
    }

    /// Sees to it that a channel's outbox is being published.
    pub(super) fn start(&self, channel: ConversationId) {
        drop(self.join(channel));
    }

    /// Publishes the notice of an opened DM.
    pub(super) async fn notify(&self, notice: DmNotice, deadline: Instant) -> Result<(), NotYet> {
        let this = self.clone();
        let work = async move {
            let published = this.0.notify(notice).await;
            if let Err(error) = &published {
                tracing::warn!(dm.id = %notice.id, %error, "a notice waits for the sweeper");
            }
            published
        };
        let task = self.0.tasks.spawn(work.in_current_span());
        match timeout_at(deadline, task).await {
            Ok(Ok(Ok(()))) => Ok(()),
            _ => Err(NotYet),
        }
    }

    /// Waits for what is being published. Whether all of it ended in time.
    pub(super) async fn finish(&self, within: Duration) -> bool {
        self.0.tasks.close();
        timeout(within, self.0.tasks.wait()).await.is_ok()
    }

    /// The progress of the task that publishes this channel; starts one if there is none.
    fn join(&self, channel: ConversationId) -> watch::Receiver<Progress> {
        let mut running = self.0.running.lock();
        let vacant = match running.entry(channel) {
            Entry::Occupied(task) => return task.get().clone(),
            Entry::Vacant(vacant) => vacant,
        };
        let (progress, seen) = watch::channel(Progress::default());
        vacant.insert(seen.clone());
        let task = Task { inner: self.0.clone(), channel, progress };
        self.0.tasks.spawn(task.run().in_current_span());
        seen
    }
}

impl Inner {
    async fn notify(&self, notice: DmNotice) -> Result<(), GaveUp> {
        let _permit = self.permits.acquire().await.map_err(|_| GaveUp::Stuck)?;
        self.publish(outbox::dm_opened(notice)).await?;
        Ok(self.store.dm_noticed(notice).await?)
    }

    async fn publish(&self, publication: Publication) -> Result<u64, log::PublishError> {
        let Publication { place, kind, payload, msg_id } = publication;
        Ok(log::publish(&self.bus, place, kind, payload, &msg_id).await?.sequence)
    }

    /// What an outbox is there to prevent: not waiting for the log. Only for [`Safeguard::Outbox`].
    fn publish_some_time(self: &Arc<Self>, publication: Publication) -> u64 {
        let this = Arc::clone(self);
        self.tasks.spawn(async move {
            sleep(jitter(Duration::from_millis(200))).await;
            this.publish(publication).await
        });
        1
    }
}

struct Task {
    inner: Arc<Inner>,
    channel: ConversationId,
    progress: watch::Sender<Progress>,
}

impl Task {
    async fn run(self) {
        if let Err(error) = self.publish_all().await {
            tracing::warn!(channel.id = %self.channel, %error, "an outbox waits for the sweeper");
            metrics::counter!("natter_channels_outbox_failures_total").increment(1);
            self.progress.send_modify(|p| p.failed = true);
        }
    }

    async fn publish_all(&self) -> Result<(), GaveUp> {
        let inner = &self.inner;
        let _permit = inner.permits.acquire().await.map_err(|_| GaveUp::Stuck)?;
        let mut now = inner.store.outbox(self.channel).await?;
        while let Some(outbox) = now {
            self.progress.send_modify(|p| p.published = outbox.published());
            let Outbox { head: Some(head), .. } = outbox else { break };
            let next = outbox::next(self.channel, &head);
            let sequence = if off(Safeguard::Outbox) {
                inner.publish_some_time(next)
            } else {
                inner.publish(next).await?
            };
            let ack = outbox::acknowledgement(inner.layout, self.channel, &head, sequence);
            now = inner.store.acknowledge(self.channel, ack).await?;
            if now.as_ref().and_then(|o| o.head.as_ref()) == Some(&head) {
                return Err(GaveUp::Stuck);
            }
        }
        Ok(())
    }
}

impl Drop for Task {
    /// Whoever waits learns of the end after the next one can be started.
    fn drop(&mut self) {
        self.inner.running.lock().remove(&self.channel);
    }
}
