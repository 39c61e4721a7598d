//! Writing one entry to the log.
//!
//! Invariants: a sequence is returned only when the entry is on disk on a quorum. Every repetition is
//! made under the same message id, by which the stream knows what it has stored and, while it leads,
//! what it is about to store: it writes an entry once however often it is sent, and a log that is slow
//! has more to read because of repetitions, never more to write.
//!
//! A leader that steps down drops what reaches it then without a word, so silence is not waited out:
//! the entry is sent again after 1, 3, 7 and 12 s, while the answers to all that was sent are still
//! listened to. So an answer that is only late is taken when it comes. What is not answered at all is
//! sent five times within [`PUBLISH_DEADLINE`].
//!
//! Leaves out what entries mean, and order between callers that do not wait for each other.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishErrorKind;
use axum::body::Bytes;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until, timeout};

use crate::runtime::bus::{Bus, jitter};
use crate::sabotage::{Safeguard, off};
use crate::streams::HEADER_TYPE;
use crate::subjects::LogSubject;

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
/// How long an answer is listened for, and the longest silence before an entry is sent again.
pub(super) const PUBLISH_ATTEMPT: Duration = Duration::from_secs(5);
/// The first silence after which an entry is sent again; each next one is twice as long. Well above
/// what an append takes, also on a busy disk.
pub(super) const FIRST_SILENCE: Duration = Duration::from_secs(1);
/// Until an entry is sent again to a log that said "not now", or once NATS is connected.
const PAUSE: Duration = Duration::from_millis(250);
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
pub(super) async fn publish_until(
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
    let mut unanswered = FuturesUnordered::new();
    let (mut next, mut silence) = (Instant::now(), FIRST_SILENCE);
    loop {
        // Not by the timer: that is only exact to a millisecond, which is more than an append takes.
        let now = Instant::now();
        if now >= deadline {
            let unknown = sent || !unanswered.is_empty();
            return Err(if unknown { PublishError::Unknown } else { PublishError::NotConnected });
        }
        if now >= next && bus.is_connected() {
            unanswered.push(attempt(bus, &subject, &headers, &payload));
            next = now + silence;
            silence = (silence * 2).min(PUBLISH_ATTEMPT);
        } else if now >= next {
            next = now + jitter(PAUSE);
        }
        tokio::select! {
            biased;
            Some(end) = unanswered.next() => match end {
                End::Stored(published) => return Ok(published),
                End::Refused(why) if !sent && unanswered.is_empty() => {
                    return Err(PublishError::Refused(why));
                }
                End::Silent | End::UnderWay => sent = true,
                End::Refused(_) | End::NotNow | End::Nowhere => {
                    tracing::debug!(?end, %place, "publishing again");
                    sent = sent || !matches!(end, End::Nowhere);
                    silence = FIRST_SILENCE;
                    next = next.min(Instant::now() + jitter(PAUSE));
                }
            },
            () = sleep_until(next.min(deadline)) => {}
        }
    }
}

pub(super) fn headers(kind: &str, msg_id: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_TYPE, kind);
    if !off(Safeguard::Deduplication) {
        headers.insert(async_nats::header::NATS_MESSAGE_ID, msg_id);
    }
    headers
}

/// What came of sending an entry once.
#[derive(Debug)]
enum End {
    Stored(Published),
    /// It was not stored, and would not be another time.
    Refused(String),
    /// It may have been stored.
    NotNow,
    /// Nobody listens: between two leaders, or before the stream exists.
    Nowhere,
    /// The stream is about to store a copy that came before this one. Nothing is won by haste.
    UnderWay,
    /// No answer.
    Silent,
}

async fn attempt(bus: &Bus, subject: &str, headers: &HeaderMap, payload: &Bytes) -> End {
    let publish =
        bus.jetstream().publish_with_headers(subject.to_owned(), headers.clone(), payload.clone());
    match timeout(PUBLISH_ATTEMPT, async { publish.await?.await }).await {
        Ok(Ok(ack)) => End::Stored(Published { sequence: ack.sequence, duplicate: ack.duplicate }),
        Ok(Err(error)) => match error.kind() {
            PublishErrorKind::StreamNotFound => End::Nowhere,
            PublishErrorKind::TimedOut => End::Silent,
            PublishErrorKind::BrokenPipe => End::NotNow,
            _ => answered(&error),
        },
        Err(_) => End::Silent,
    }
}

/// Answers that are none for ever: 10158 (the id is being stored, or de-duplication is not ready),
/// 429/10167 (too many in flight), measured on NATS 2.15, and 503 (no leader, no room to store).
fn answered(error: &async_nats::jetstream::context::PublishError) -> End {
    use std::error::Error as _;
    let source = error.source().map(ToString::to_string).unwrap_or_default();
    let text = format!("{error} {source}");
    if text.contains("10158") {
        End::UnderWay
    } else if ["10167", "10164", "429", "503"].iter().any(|code| text.contains(code)) {
        End::NotNow
    } else {
        End::Refused(error.to_string())
    }
}
