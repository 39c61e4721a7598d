//! Moving a user's read marker, and telling all of their sockets.
//!
//! Invariant: the marker never moves backwards (the store holds that), and READ is sent only when
//! it moved.

use bus_schema::error::Failure;
use bus_schema::events::{Ephemeral, Read};
use bus_schema::ids::{EntryId, UserId};
use bus_schema::ops::channels::Listed;
use bus_schema::ops::history::{SetRead, SetReadRequest};
use bus_schema::runtime::call::Call;
use bus_schema::subjects::LogSubject;

use crate::state::Edge;

/// Marks everything up to `id` as read.
pub(crate) async fn set(
    edge: &Edge,
    user: UserId,
    listed: &Listed,
    id: EntryId,
    request_id: &str,
) -> Result<(), Failure> {
    let (place, since) = (listed.place, listed.since());
    let call = Call::asserted(user).stream(edge.layout.stream_of(place)).request_id(request_id);
    let fresh = edge.fresh(place, true);
    let request = SetReadRequest { user, place, since, id, fresh };
    let reply = edge.bus.call::<SetRead>(&call, &request).await?;
    if reply.moved {
        let read = Read { conversation_id: reply.conversation_id, id: reply.id };
        let subject = LogSubject::User(user).ephemeral();
        let sent = edge.bus.publish_event(subject, &Ephemeral::Read(read)).await;
        sent.unwrap_or_else(|error| tracing::debug!(%error, "READ was not sent"));
    }
    Ok(())
}
