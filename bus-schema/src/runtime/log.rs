//! Writing to the log and reading it in order.
//!
//! Invariant: [`Reader`] gives every entry of its stream after its start, in order, without a hole
//! but for those the stream itself no longer has.
//!
//! Leaves out what entries mean.

pub mod append;
pub mod batch;
pub mod group;
pub mod leader;
pub mod publish;

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig, OrderedError};
use async_nats::jetstream::consumer::{DeliverPolicy, ReplayPolicy};
use axum::body::Bytes;
use futures::StreamExt as _;
use tokio::sync::watch;
use tokio::time::sleep;

pub use publish::{PUBLISH_DEADLINE, PublishError, Published, publish};

use super::bus::{Bus, Status, jitter};
use crate::entry::{Entry, Undecodable};
use crate::ids::StreamIndex;
use crate::streams::{HEADER_TYPE, LogStream};
use crate::subjects::LogSubject;
use crate::timestamp::Timestamp;

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
