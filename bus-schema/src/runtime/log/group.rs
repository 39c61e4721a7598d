//! Appending together: what arrives while one batch is being synced to disk is the next batch.
//!
//! A stream syncs each write by itself, and that sync is the cost of an append; an atomic batch
//! (`Nats-Batch-*`, ADR-50) is synced once, but has a cost of its own, that of about 25 appends (the
//! benchmark `append` shows both). So appends go each by itself while few are under way, and beyond
//! that what has gathered goes as one batch: a lone append waits for nobody, and the busier the
//! stream, the larger the batches. A stream has at most one batch of a process under way.
//!
//! Invariants: a batch is stored whole or not at all, in the order of its members, which then have
//! consecutive sequences. Whatever becomes of a batch, each member ends as if it had been published
//! by itself: with its own sequence, or by [`publish_until`] under the same message id.
//!
//! A batch that a leader dropped when it stepped down is not waited for: after [`FIRST_SILENCE`] one of
//! its members is sent by itself as well. A stream takes what one connection sends in order, so where
//! it answers for that one and not for the batch, it has no answer for the batch to give. Where it is
//! only slow, it has one message more to read for each batch.
//!
//! Leaves out what entries mean, and order between callers that do not wait for each other.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use axum::body::Bytes;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use super::batch::{self, BATCH_MEMBERS, BatchError};
use super::publish::{
    FIRST_SILENCE, PUBLISH_ATTEMPT, PUBLISH_DEADLINE, PublishError, Published, headers,
    publish_until,
};
use crate::runtime::bus::Bus;
use crate::streams::Layout;
use crate::subjects::LogSubject;

/// Appends to one stream that are under way each by itself, and the fewest worth a batch.
const ALONE: usize = 32;
/// Bytes of payload in a batch; the server takes a batch into memory before it stores it.
const BATCH_BYTES: usize = 1 << 20;

/// The bounds of a [`Group`].
#[derive(Debug, Clone, Copy)]
pub struct GroupSettings {
    /// Members of a batch; 1: each append by itself.
    pub members: usize,
    /// Appends to one stream that may wait for the batch under way; more are refused.
    pub queue: usize,
}

/// Appends to the log in batches.
#[derive(Clone)]
pub struct Group {
    bus: Bus,
    layout: Layout,
    streams: Arc<[mpsc::Sender<Member>]>,
}

struct Member {
    place: LogSubject,
    kind: &'static str,
    payload: Bytes,
    msg_id: String,
    deadline: Instant,
    reply: oneshot::Sender<Answer>,
}

/// What a member is told.
#[derive(Debug)]
enum Answer {
    Ended(Result<Published, PublishError>),
    /// To go on by itself. `sent`: it may have been stored.
    GoOn {
        sent: bool,
    },
}

/// Why nothing is known of the members of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failed {
    /// None of them was stored.
    Refused,
    /// They may have been, and the stream answers for others.
    Lost,
    /// They may have been; the stream does not answer.
    Silent,
}

impl Group {
    /// Starts one task a stream; they end with the last clone.
    pub fn start(bus: &Bus, layout: Layout, settings: GroupSettings) -> Self {
        let members = settings.members.min(BATCH_MEMBERS);
        // Without batches nobody has to wait for those before: the server takes many at once.
        let streams = if members > 1 { layout.count() } else { 0 };
        let streams = (0..streams).map(|_| {
            let (queue, waiting) = mpsc::channel(settings.queue.max(1));
            tokio::spawn(append_all(bus.clone(), waiting, members));
            queue
        });
        Self { bus: bus.clone(), layout, streams: streams.collect() }
    }

    /// Appends to the log; as [`super::publish`] otherwise.
    pub async fn publish(
        &self,
        place: LogSubject,
        kind: &'static str,
        payload: String,
        msg_id: &str,
    ) -> Result<Published, PublishError> {
        let deadline = Instant::now() + PUBLISH_DEADLINE;
        let payload = Bytes::from(payload);
        let mut sent = false;
        if let Some(queue) = self.streams.get(usize::from(self.layout.stream_of(place).0)) {
            let (reply, answer) = oneshot::channel();
            let msg_id = msg_id.to_owned();
            let member = Member { place, kind, payload: payload.clone(), msg_id, deadline, reply };
            if let Err(mpsc::error::TrySendError::Full(_)) = queue.try_send(member) {
                return Err(PublishError::Busy);
            }
            match answer.await {
                Ok(Answer::Ended(ended)) => return ended,
                Ok(Answer::GoOn { sent: before }) => sent = before,
                Err(_) => {}
            }
        }
        publish_until(&self.bus, place, kind, payload, msg_id, deadline, sent).await
    }
}

async fn append_all(bus: Bus, mut waiting: mpsc::Receiver<Member>, members: usize) {
    let alone = Arc::new(Semaphore::new(ALONE));
    let mut gathered = VecDeque::new();
    loop {
        if gathered.is_empty() {
            match waiting.recv().await {
                Some(member) => gathered.push_back(member),
                None => return,
            }
        }
        // Those under way by themselves hold back the next: meanwhile a batch may gather.
        let turn = match timeout(PUBLISH_ATTEMPT, Arc::clone(&alone).acquire_owned()).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(_)) => return,
            Err(_) => {
                let_go(&mut gathered, &mut waiting);
                continue;
            }
        };
        while gathered.len() < members
            && let Ok(member) = waiting.try_recv()
        {
            gathered.push_back(member);
        }
        if gathered.len() < ALONE {
            if let Some(member) = gathered.pop_front() {
                let bus = bus.clone();
                tokio::spawn(async move {
                    append_alone(&bus, member).await;
                    drop(turn);
                });
            }
            continue;
        }
        drop(turn);
        if append_batch(&bus, take_batch(&mut gathered)).await {
            continue;
        }
        let_go(&mut gathered, &mut waiting);
    }
}

/// The stream does not answer: nobody waits here for it one after the other.
fn let_go(gathered: &mut VecDeque<Member>, waiting: &mut mpsc::Receiver<Member>) {
    go_on(gathered.drain(..), false);
    go_on(std::iter::from_fn(|| waiting.try_recv().ok()), false);
}

/// The first of those gathered that can go together: up to the bytes of a batch, and each message
/// id once, or the server refuses all of it. Never none.
fn take_batch(gathered: &mut VecDeque<Member>) -> Vec<Member> {
    let mut ids = HashSet::new();
    let mut bytes = 0;
    let fitting = gathered.iter().take_while(|member| {
        bytes += member.payload.len();
        bytes <= BATCH_BYTES && ids.insert(&*member.msg_id)
    });
    let fitting = fitting.count().max(1);
    gathered.drain(..fitting).collect()
}

async fn append_alone(bus: &Bus, member: Member) {
    if !bus.is_connected() {
        return go_on([member], false);
    }
    let Member { place, kind, payload, msg_id, deadline, reply } = member;
    let ended = publish_until(bus, place, kind, payload, &msg_id, deadline, false).await;
    let _ = reply.send(Answer::Ended(ended));
}

/// Has a batch stored, and answers its members. Whether the stream answered in time.
async fn append_batch(bus: &Bus, batch: Vec<Member>) -> bool {
    metrics::histogram!("natter_log_batch_members").record(count(batch.len()));
    let stored = if bus.is_connected() { send(bus, &batch).await } else { Err(Failed::Refused) };
    match stored {
        Ok(last) => {
            let first = (last + 1).saturating_sub(batch.len() as u64);
            for (sequence, member) in (first..).zip(batch) {
                let published = Published { sequence, duplicate: false };
                let _ = member.reply.send(Answer::Ended(Ok(published)));
            }
            true
        }
        Err(failed) => {
            metrics::counter!("natter_log_batches_failed_total").increment(1);
            tracing::debug!(members = batch.len(), ?failed, "a batch failed");
            go_on(batch, failed != Failed::Refused);
            failed != Failed::Silent
        }
    }
}

/// Whoever asked may have gone away; what the log has it has all the same.
fn go_on(members: impl IntoIterator<Item = Member>, sent: bool) {
    for member in members {
        let _ = member.reply.send(Answer::GoOn { sent });
    }
}

/// Sends a batch; the sequence of its last member.
async fn send(bus: &Bus, members: &[Member]) -> Result<u64, Failed> {
    let Some(one) = members.first() else { return Err(Failed::Refused) };
    let batch = members.iter().map(|member| batch::Member {
        subject: member.place.to_string(),
        headers: headers(member.kind, &member.msg_id),
        payload: member.payload.clone(),
    });
    let committed = tokio::select! {
        biased;
        committed = batch::commit(bus, batch.collect()) => committed,
        () = passed_by(bus, one) => return Err(Failed::Lost),
    };
    committed.map_err(|error| {
        tracing::debug!(%error, "a batch was not stored");
        match error {
            BatchError::Refused(_) => Failed::Refused,
            BatchError::Unknown => Failed::Silent,
        }
    })
}

/// Waits until a member that was sent after its batch is answered before it. For ever if it never is.
async fn passed_by(bus: &Bus, member: &Member) {
    sleep(FIRST_SILENCE).await;
    let Member { place, kind, payload, msg_id, deadline, .. } = member;
    let payload = payload.clone();
    let answered = publish_until(bus, *place, kind, payload, msg_id, *deadline, true).await;
    if answered.is_err() {
        std::future::pending::<()>().await;
    }
}

#[expect(clippy::cast_precision_loss, reason = "a histogram of small numbers")]
fn count(members: usize) -> f64 {
    members as f64
}
