//! `changes`: which places of the stream got entries after a sequence.
//!
//! Invariant: answered from memory alone. What is older than the tail is `too_old`, never guessed.

use bus_schema::error::Failure;
use bus_schema::ops::history::{ChangesReply, ChangesRequest, Freshness, RANGE_BYTES};

use super::view::View;

/// Places in one answer.
const PLACES: usize = 20_000;

/// Answers a request.
pub(super) async fn handle(view: &View, request: ChangesRequest) -> Result<ChangesReply, Failure> {
    let min = request.fresh.min.max(request.after);
    view.fresh(Freshness { min, ..request.fresh }).await?;
    Ok(view.peek(|tail| {
        if request.after < tail.base() {
            return ChangesReply { through: tail.read(), too_old: true, places: Vec::new() };
        }
        let (places, through) = tail.changes(request.after, PLACES, RANGE_BYTES);
        ChangesReply { through, too_old: false, places }
    }))
}
