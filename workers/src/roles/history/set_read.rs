//! `set_read`: moves a read marker forward.
//!
//! Invariant: a marker never moves backwards, nor below where a new member's stands, and never beyond the newest valid entry.

use bus_schema::error::Failure;
use bus_schema::ids::EntryId;
use bus_schema::ops::history::{SetReadReply, SetReadRequest, SummariesRequest, SummaryOf};

use super::summaries;
use super::view::View;

/// Answers a request.
pub(super) async fn handle(view: &View, request: SetReadRequest) -> Result<SetReadReply, Failure> {
    let conversation_id = view.conversation(request.place)?;
    let of = SummaryOf { place: request.place, since: request.since, messages: 0 };
    let asked = SummariesRequest { user: request.user, places: vec![of], fresh: request.fresh };
    let standing = summaries::handle(view, asked).await?.summaries.into_iter().next();
    let standing = standing.ok_or_else(Failure::unavailable)?;
    if request.id > standing.last_id.unwrap_or(EntryId::ZERO) {
        return Err(Failure::bad_request("id: beyond the newest entry"));
    }
    let now = standing.read_id.unwrap_or(EntryId::ZERO);
    if request.id <= now {
        return Ok(SetReadReply { conversation_id, id: now, moved: false });
    }
    let marker = view.store.advance_marker(request.user, conversation_id, request.id).await?;
    Ok(SetReadReply { conversation_id, id: marker.id, moved: marker.moved })
}
