//! Dead letters: what cannot be decoded is kept, as it was, before the log may forget it.
//!
//! Invariant: returns only when the stream of dead letters has it. Its id is its place in the log,
//! so that a repeat within the window is the same letter.

use async_nats::HeaderMap;
use async_nats::jetstream::context::PublishError;
use bus_schema::entry::Undecodable;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::Stored;
use bus_schema::streams::HEADER_TYPE;
use bus_schema::subjects;

/// Header with the subject it was found on.
const HEADER_SUBJECT: &str = "Natter-Dead-Subject";
/// Header with its stream sequence.
const HEADER_SEQUENCE: &str = "Natter-Dead-Sequence";
/// Header with the log's time stamp.
const HEADER_AT: &str = "Natter-Dead-At";
/// Header with the reason.
const HEADER_REASON: &str = "Natter-Dead-Reason";

/// Keeps what could not be decoded.
pub(super) async fn keep(
    bus: &Bus,
    stored: &Stored,
    reason: &Undecodable,
) -> Result<(), PublishError> {
    let (stream, sequence) = (stored.stream, stored.sequence);
    let mut headers = HeaderMap::new();
    headers.insert(async_nats::header::NATS_MESSAGE_ID, format!("dead:{stream}:{sequence}"));
    headers.insert(HEADER_SUBJECT, printable(&stored.subject));
    headers.insert(HEADER_SEQUENCE, sequence.to_string());
    headers.insert(HEADER_AT, stored.at.to_string());
    headers.insert(HEADER_REASON, printable(&reason.to_string()));
    if let Some(kind) = &stored.kind {
        headers.insert(HEADER_TYPE, printable(kind));
    }
    let subject = subjects::dead(stream);
    let sent = bus.jetstream().publish_with_headers(subject, headers, stored.payload.clone());
    sent.await?.await?;
    tracing::warn!(%stream, sequence, %reason, subject = stored.subject, "kept a dead letter");
    metrics::counter!("natter_persister_dead_total", "stream" => stream.to_string()).increment(1);
    Ok(())
}

/// Longest text of a header.
const HEADER_CHARS: usize = 512;

/// What fits into a header: somebody else chose this text.
fn printable(text: &str) -> String {
    let clean = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    text.chars().map(clean).take(HEADER_CHARS).collect()
}
