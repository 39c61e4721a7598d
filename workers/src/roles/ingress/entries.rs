//! `entries.list`: what a GAP left out.

use bus_schema::bots::EntriesList;
use bus_schema::entry::EntryKind;
use bus_schema::error::Failure;
use bus_schema::ids::{EntryId, UserId};
use bus_schema::ops::history::{Freshness, Range, RangeRequest, page_limit};
use bus_schema::runtime::call::Call;
use serde::Serialize;
use serde_json::value::RawValue;

use super::Ingress;

/// A page of entries, ascending.
#[derive(Debug, Serialize)]
pub(super) struct Page {
    entries: Vec<Event>,
    has_more: bool,
    /// What to give as `after` for the next page; null on an empty one.
    next: Option<EntryId>,
}

#[derive(Debug, Serialize)]
struct Event {
    t: EntryKind,
    d: Box<RawValue>,
}

/// How often an answer may be nothing but void entries before the page is given up.
const EMPTY_RANGES: usize = 8;

pub(super) async fn list(role: &Ingress, bot: UserId, asked: EntriesList) -> Result<Page, Failure> {
    let limit = page_limit(asked.limit)?;
    let place = role.access(bot, asked.conversation_id).await?.place;
    let stream = role.layout.stream_of(place);
    let call = Call::platform().stream(stream);
    let mut after = asked.after.unwrap_or(EntryId::ZERO).last_sequence(stream);
    for _ in 0..EMPTY_RANGES {
        let fresh = Freshness { min: 0, latest: true };
        let request = RangeRequest { place, after: Some(after), fresh, limit, membership: false };
        let reply = role.bus.call::<Range>(&call, &request).await?;
        if reply.entries.is_empty() && reply.more {
            after = reply.through;
            continue;
        }
        let shown = |entry: &bus_schema::ops::history::StoredEntry| {
            let d = entry.event(stream).map_err(|error| {
                tracing::error!(%error, "an entry from history cannot be shown");
                Failure::unavailable()
            })?;
            Ok(Event { t: entry.t, d })
        };
        // What was read may be later than a removal that came meanwhile.
        role.access(bot, asked.conversation_id).await?;
        let next = reply.entries.last().map(|entry| EntryId::new(entry.seq, stream));
        let entries = reply.entries.iter().map(shown).collect::<Result<_, Failure>>()?;
        return Ok(Page { entries, has_more: reply.more && next.is_some(), next });
    }
    Err(Failure::unavailable())
}
