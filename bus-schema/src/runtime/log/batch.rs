//! Atomic batches (`Nats-Batch-*`, ADR-50): several messages of one stream, stored together or not at
//! all, in their order, with consecutive sequences and one sync of the disk.

use async_nats::client::{Request, RequestErrorKind};
use async_nats::{HeaderMap, Message};
use axum::body::Bytes;
use rand::distr::{Alphanumeric, SampleString as _};
use serde::Deserialize;

use super::publish::PUBLISH_ATTEMPT;
use crate::runtime::bus::Bus;

/// The most members of a batch that the server takes (NATS 2.15).
pub const BATCH_MEMBERS: usize = 1_000;

/// One message of a batch.
#[derive(Debug, Clone)]
pub struct Member {
    /// Where.
    pub subject: String,
    /// With which headers.
    pub headers: HeaderMap,
    /// What.
    pub payload: Bytes,
}

/// Why a batch was not, or perhaps not, stored.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// It certainly was not.
    #[error("refused: {0}")]
    Refused(String),
    /// It may have been.
    #[error("no answer in time")]
    Unknown,
}

fn refused(why: &impl ToString) -> BatchError {
    BatchError::Refused(why.to_string())
}

/// Has a batch stored; the stream sequence of its last member. One of a single message is none.
pub async fn commit(bus: &Bus, mut batch: Vec<Member>) -> Result<u64, BatchError> {
    let members = batch.len();
    let mut last = batch.pop().ok_or_else(|| refused(&"nothing to store"))?;
    if members > 1 {
        let id = Alphanumeric.sample_string(&mut rand::rng(), 22);
        for (place, Member { subject, mut headers, payload }) in (1..).zip(batch) {
            headers.insert("Nats-Batch-Id", &*id);
            headers.insert("Nats-Batch-Sequence", place.to_string());
            let sent = bus.client().publish_with_headers(subject, headers, payload).await;
            sent.map_err(|error| refused(&error))?;
        }
        last.headers.insert("Nats-Batch-Id", &*id);
        last.headers.insert("Nats-Batch-Sequence", members.to_string());
        last.headers.insert("Nats-Batch-Commit", "1");
    }
    let Member { subject, headers, payload } = last;
    let request = Request::new().headers(headers).payload(payload).timeout(Some(PUBLISH_ATTEMPT));
    let answered = bus.client().send_request(subject, request).await;
    let answered: Message = answered.map_err(|error| match error.kind() {
        // The stream has not seen the end, and keeps nothing without it.
        RequestErrorKind::NoResponders => refused(&"nobody listens"),
        _ => BatchError::Unknown,
    })?;
    match serde_json::from_slice::<Ack>(&answered.payload) {
        Ok(Ack { error: None, seq: Some(seq), count }) if count.unwrap_or(1) == members => Ok(seq),
        // An error, such as a member that the stream has already, refuses all of it.
        Ok(Ack { error: Some(error), .. }) => Err(refused(&error)),
        _ => Err(BatchError::Unknown),
    }
}

/// The answer to the member that ends a batch, which is that of all.
#[derive(Deserialize)]
struct Ack {
    error: Option<serde_json::Value>,
    seq: Option<u64>,
    count: Option<usize>,
}
