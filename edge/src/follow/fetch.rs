//! Asking history for ranges of entries.
//!
//! Invariant: an answer is used only if it covers what was asked for; entries that this edge cannot
//! decode are left out, and the position still moves.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::history::{Freshness, RANGE_MAX, Range, RangeRequest};
use bus_schema::runtime::call::Call;
use bus_schema::sabotage::{Safeguard, off};
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::Membership;

use super::item::Item;
use crate::state::Edge;

/// Judged entries of a range.
#[derive(Debug)]
pub(crate) struct Fetched {
    /// All there are up to this sequence.
    pub(crate) through: u64,
    pub(crate) more: bool,
    pub(crate) items: Vec<Arc<Item>>,
    pub(crate) membership: Option<Membership>,
}

/// Entries after a sequence, or the newest ones; with the membership at their end if asked for, which
/// in a large channel is larger than they are.
pub(crate) async fn range(
    edge: &Edge,
    place: LogSubject,
    after: Option<u64>,
    limit: u32,
    min: u64,
    membership: bool,
) -> Result<Fetched, Failure> {
    let stream = edge.layout.stream_of(place);
    let fresh = Freshness { min: min.max(after.unwrap_or(0)), latest: false };
    let limit = limit.clamp(1, RANGE_MAX);
    let request = RangeRequest { place, after, fresh, limit, membership };
    let reply = edge.bus.call::<Range>(&Call::platform().stream(stream), &request).await?;
    let covers = off(Safeguard::Coverage);
    if reply.through < fresh.min && !reply.more && !covers {
        return Err(Failure::unavailable());
    }
    let unpack = |stored: &bus_schema::ops::history::StoredEntry| {
        stored
            .unpack(place, stream)
            .inspect_err(|error| tracing::error!(%error, %place, "history gave an odd entry"))
            .ok()
    };
    let items = reply.entries.iter().filter_map(unpack).map(Item::new).collect();
    metrics::counter!("natter_follow_fetches_total").increment(1);
    let through = if covers { reply.through.max(fresh.min) } else { reply.through };
    Ok(Fetched { through, more: reply.more, items, membership: reply.membership })
}
