//! Writing to the log and reading it in order.
//!
//! Invariants: [`publish`] returns a sequence only when the entry is on disk on a quorum, and
//! repeats only with the same message id. [`Reader`] gives every entry of its stream after its
//! start, in order, without a hole but for those the stream itself no longer has.
//!
//! Leaves out what entries mean.

pub mod append;
pub mod batch;
pub mod group;
pub mod leader;

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig, OrderedError};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::context::PublishErrorKind;
use axum::body::Bytes;
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::bus::{Bus, Status, jitter};
use crate::entry::{Entry, Undecodable};
use crate::ids::StreamIndex;
use crate::sabotage::{Safeguard, off};
use crate::streams::{HEADER_TYPE, LogStream};
use crate::subjects::LogSubject;
use crate::timestamp::Timestamp;

/// Where an entry was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// Its stream sequence.
    pub sequence: u64,
    /// The log had it already, at that sequence.
    pub duplicate: bool,
}

/// Why an entry was not, or perhaps not, stored.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// Nothing was sent: too many appends are waiting already.
    #[error("too many appends are waiting")]
    Busy,
    /// It certainly was not.
    #[error("refused: {0}")]
    Refused(String),
    /// Nothing was sent.
    #[error("NATS is not connected")]
    NotConnected,
    /// It may have been.
    #[error("no answer in time")]
    Unknown,
}

/// How long publishing is tried in all.
pub const PUBLISH_DEADLINE: Duration = Duration::from_secs(15);
/// How long one attempt waits for its acknowledgement.
const PUBLISH_ATTEMPT: Duration = Duration::from_secs(5);
/// The longest message id: NATS keeps each for the whole window.
const MSG_ID_BYTES: usize = 80;

/// Appends to the log. `kind` goes to the type header, `msg_id` de-duplicates within 5 minutes.
pub async fn publish(
    bus: &Bus,
    place: LogSubject,
    kind: &str,
    payload: String,
    msg_id: &str,
) -> Result<Published, PublishError> {
    let deadline = Instant::now() + PUBLISH_DEADLINE;
    publish_until(bus, place, kind, Bytes::from(payload), msg_id, deadline, false).await
}

/// Publishes until it is stored or the deadline has passed; `sent`: it may have been stored before.
async fn publish_until(
    bus: &Bus,
    place: LogSubject,
    kind: &str,
    payload: Bytes,
    msg_id: &str,
    deadline: Instant,
    mut sent: bool,
) -> Result<Published, PublishError> {
    if msg_id.len() > MSG_ID_BYTES {
        return Err(PublishError::Refused("message id too long".to_owned()));
    }
    let headers = headers(kind, msg_id);
    let subject = place.to_string();
    loop {
        if bus.is_connected() {
            match attempt(bus, &subject, &headers, &payload).await {
                Ok(published) => return Ok(published),
                Err(PublishError::Refused(why)) if !sent => return Err(PublishError::Refused(why)),
                Err(error) => {
                    tracing::debug!(%error, %place, "publishing again");
                    sent = sent || !matches!(error, PublishError::NotConnected);
                }
            }
        }
        if Instant::now() >= deadline {
            return Err(if sent { PublishError::Unknown } else { PublishError::NotConnected });
        }
        sleep(jitter(Duration::from_millis(250))).await;
    }
}

fn headers(kind: &str, msg_id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_TYPE, kind);
    if !off(Safeguard::Deduplication) {
        headers.insert(async_nats::header::NATS_MESSAGE_ID, msg_id);
    }
    headers
}

async fn attempt(
    bus: &Bus,
    subject: &str,
    headers: &HeaderMap,
    payload: &Bytes,
) -> Result<Published, PublishError> {
    let publish =
        bus.jetstream().publish_with_headers(subject.to_owned(), headers.clone(), payload.clone());
    let acknowledged = timeout(PUBLISH_ATTEMPT, async { publish.await?.await });
    match acknowledged.await {
        Ok(Ok(ack)) => Ok(Published { sequence: ack.sequence, duplicate: ack.duplicate }),
        Ok(Err(error)) => Err(match error.kind() {
            // Nobody listens: between two leaders, or before the stream exists.
            PublishErrorKind::StreamNotFound => PublishError::NotConnected,
            PublishErrorKind::TimedOut | PublishErrorKind::BrokenPipe => PublishError::Unknown,
            _ if retryable(&error) => PublishError::Unknown,
            _ => PublishError::Refused(error.to_string()),
        }),
        Err(_) => Err(PublishError::Unknown),
    }
}

/// Answers that say "not now": 10158 (de-duplication not ready) and 429/10167 (too many in
/// flight), measured on NATS 2.15, and 503 (no leader, no room to store).
fn retryable(error: &async_nats::jetstream::context::PublishError) -> bool {
    use std::error::Error as _;
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    let text = format!("{error} {source}");
    ["10158", "10167", "10164", "429", "503"].iter().any(|code| text.contains(code))
}

/// What the log holds at one sequence.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The subject.
    pub subject: String,
    /// The place, if the subject is one.
    pub place: Option<LogSubject>,
    /// The stream.
    pub stream: StreamIndex,
    /// The stream sequence.
    pub sequence: u64,
    /// The log's time stamp.
    pub at: Timestamp,
    /// The type header.
    pub kind: Option<String>,
    /// The stored bytes.
    pub payload: Bytes,
}

impl Stored {
    /// Decodes it as an entry of a conversation.
    pub fn entry(&self) -> Result<Entry, Undecodable> {
        let place = self.place.ok_or(Undecodable::Misplaced)?;
        let kind = self.kind.as_deref();
        Entry::decode(place, self.stream, self.sequence, self.at, kind, &self.payload)
    }
}

/// The reader could not go on; open another from the last sequence read.
#[derive(Debug, thiserror::Error)]
#[error("reading the log: {0}")]
pub struct ReadError(String);

/// Reads one stream in order with one unfiltered ordered consumer.
pub struct Reader {
    bus: Bus,
    stream: StreamIndex,
    last: u64,
    messages: Option<Ordered>,
    failures: u32,
    status: watch::Receiver<Status>,
    /// The connection that the consumer was made on.
    epoch: u64,
}

/// Attempts to reopen before [`Reader::next`] gives up; with back-off about a minute.
const REOPEN_ATTEMPTS: u32 = 30;

impl Reader {
    /// Starts after the sequence `after`. Connects at the first [`Reader::next`].
    pub fn open(bus: &Bus, stream: StreamIndex, after: u64) -> Self {
        Self {
            status: bus.status(),
            bus: bus.clone(),
            stream,
            last: after,
            messages: None,
            failures: 0,
            epoch: 0,
        }
    }

    /// The last sequence read, or where it started.
    pub const fn last(&self) -> u64 {
        self.last
    }

    /// Begins anew where it is: for whoever knows that there is more than is given. A consumer that died
    /// with its server is otherwise noticed by its silence, which takes half a minute.
    pub fn reopen(&mut self) {
        self.messages = None;
    }

    /// The next entry; waits for it as long as it takes. Cancel-safe.
    pub async fn next(&mut self) -> Result<Stored, ReadError> {
        loop {
            if self.messages.is_none() {
                self.epoch = self.status.borrow_and_update().epoch;
            }
            let problem = match &mut self.messages {
                None => match consume(&self.bus, self.stream, self.last).await {
                    Ok(messages) => {
                        self.messages = Some(messages);
                        continue;
                    }
                    Err(error) => error,
                },
                Some(messages) => match either(messages, &mut self.status, self.epoch).await {
                    None => ReadError("connected anew".to_owned()),
                    Some(Some(Ok(message))) => {
                        self.failures = 0;
                        match self.read(&message) {
                            Ok(Some(stored)) => return Ok(stored),
                            Ok(None) => continue,
                            Err(error) => error,
                        }
                    }
                    Some(Some(Err(error))) => ReadError(error.to_string()),
                    Some(None) => ReadError("the consumer ended".to_owned()),
                },
            };
            self.messages = None;
            self.failures += 1;
            if self.failures > REOPEN_ATTEMPTS {
                return Err(problem);
            }
            tracing::debug!(stream = %self.stream, after = self.last, error = %problem, "reopening");
            sleep(jitter(Duration::from_millis(50) * self.failures.min(40))).await;
        }
    }

    /// A message as an entry; `None` if it was read before.
    fn read(
        &mut self,
        message: &async_nats::jetstream::Message,
    ) -> Result<Option<Stored>, ReadError> {
        let info = message.info().map_err(|e| ReadError(e.to_string()))?;
        let sequence = info.stream_sequence;
        if sequence <= self.last {
            return Ok(None);
        }
        let at = Timestamp::from(info.published);
        self.last = sequence;
        let kind = message.headers.as_ref().and_then(|h| h.get(HEADER_TYPE));
        Ok(Some(Stored {
            subject: message.subject.to_string(),
            place: message.subject.parse().ok(),
            stream: self.stream,
            sequence,
            at,
            kind: kind.map(|k| k.as_str().to_owned()),
            payload: message.payload.clone(),
        }))
    }
}

/// The next message, or nothing once the connection was made anew: a server that has restarted no
/// longer has the consumer, and its silence alone would take half a minute to be noticed.
async fn either(
    messages: &mut Ordered,
    status: &mut watch::Receiver<Status>,
    epoch: u64,
) -> Option<Option<Result<async_nats::jetstream::Message, OrderedError>>> {
    let anew = async {
        // Without a sender there is no connection left to come back.
        if status.wait_for(|now| now.connected && now.epoch != epoch).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        message = messages.next() => Some(message),
        () = anew => None,
    }
}

/// Starts an ordered consumer after `last`. Not a method: a reader is not `Sync`, and a future that
/// borrows one could not move between threads.
async fn consume(bus: &Bus, stream: StreamIndex, last: u64) -> Result<Ordered, ReadError> {
    let name = LogStream(stream).to_string();
    let config = OrderedConfig {
        deliver_policy: DeliverPolicy::ByStartSequence { start_sequence: last + 1 },
        replay_policy: ReplayPolicy::Instant,
        ..OrderedConfig::default()
    };
    let failed = |error: &dyn std::fmt::Display| ReadError(error.to_string());
    let consumer = bus.jetstream().create_consumer_on_stream(config, name).await;
    consumer.map_err(|e| failed(&e))?.messages().await.map_err(|e| failed(&e))
}
