//! Live messages from the bus, read.
//!
//! Invariant: what the server appended to a header (always the last of its name) is believed,
//! nothing that came before it. What cannot be read is counted and otherwise ignored: a lost event
//! is what following is made for.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use async_nats::{HeaderMap, HeaderValue, Message};
use bus_schema::entry::Entry;
use bus_schema::events::{Ephemeral, User};
use bus_schema::streams::HEADER_TYPE;
use bus_schema::subjects::{EventKind, LogSubject};

use crate::state::Edge;

/// An event and the place it belongs to.
#[derive(Debug)]
pub(crate) struct LiveEvent {
    pub(crate) place: LogSubject,
    pub(crate) event: Live,
}

/// What happened.
#[derive(Debug)]
pub(crate) enum Live {
    /// The log stored something. No entry: a notice, or bytes that are none.
    Entry { sequence: u64, predecessor: u64, entry: Option<Box<Entry>> },
    /// Something that is not durable.
    Ephemeral(Ephemeral),
}

fn last<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get_last(name).map(HeaderValue::as_str)
}

impl LiveEvent {
    /// Reads a message, and notes its sequence as heard.
    pub(crate) fn read(edge: &Edge, message: &Message) -> Option<Self> {
        let read = Self::parse(edge, message);
        if read.is_none() {
            metrics::counter!("natter_events_unreadable_total").increment(1);
        }
        read
    }

    fn parse(edge: &Edge, message: &Message) -> Option<Self> {
        let (kind, place) = LogSubject::parse_event(&message.subject).ok()?;
        let event = match kind {
            EventKind::Ephemeral => Live::Ephemeral(serde_json::from_slice(&message.payload).ok()?),
            EventKind::Log => {
                let headers = message.headers.as_ref()?;
                let sequence = last(headers, "Nats-Sequence")?.parse().ok()?;
                let predecessor = last(headers, "Nats-Last-Sequence")?.parse().ok()?;
                let at = last(headers, "Nats-Time-Stamp")?.parse().ok()?;
                let stream = edge.layout.stream_of(place);
                edge.heard.hear(stream, sequence);
                let kind = last(headers, HEADER_TYPE);
                let entry = Entry::decode(place, stream, sequence, at, kind, &message.payload);
                Live::Entry { sequence, predecessor, entry: entry.ok().map(Box::new) }
            }
        };
        Some(Self { place, event })
    }
}

/// Tells one state of a profile from another.
pub(crate) fn profile_hash(user: &User) -> u64 {
    let mut hasher = DefaultHasher::new();
    (user.id, user.username.as_str(), user.display_name.as_str()).hash(&mut hasher);
    user.avatar_url.as_ref().map(bus_schema::text::AvatarUrl::as_str).hash(&mut hasher);
    hasher.finish()
}
