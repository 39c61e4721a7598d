//! Leaving every channel: what is left to a bot that is being deleted.

use std::sync::Arc;

use bus_schema::error::{Code, Failure};
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::ops::Empty;
use bus_schema::ops::channels::LeaveChannels;
use bus_schema::runtime::service::Context;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use tokio::time::Instant;

use super::{Channels, change, rules};

/// Channels left at once.
const AT_ONCE: usize = 16;

/// See [`LeaveChannels`]. Each removal is an entry by the one who leaves, as when people do. What is
/// not done in time is done by the same request made again.
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    _: Empty,
) -> Result<Empty, Failure> {
    let caller = context.caller()?.user;
    let deadline = role.deadline();
    let channels = role.store.channels_of(caller).await?;
    let call = &context.call_id;
    let leaving =
        channels.into_iter().map(|channel| leave(&role, channel.id, caller, call, deadline));
    let left = stream::iter(leaving).buffer_unordered(AT_ONCE).try_collect::<()>().await;
    left.map_err(Failure::halfway)?;
    Ok(Empty {})
}

async fn leave(
    role: &Channels,
    id: ConversationId,
    caller: UserId,
    call: &str,
    deadline: Instant,
) -> Result<(), Failure> {
    let decide = |look: &_| rules::remove(look, caller, caller);
    let request = change::Request { id, caller, user: None, call, deadline, decide: &decide };
    match change::make::<LeaveChannels>(role, request).await {
        // Removed or deleted meanwhile by others.
        Err(failure) if matches!(failure.code, Code::NotFound | Code::NotAMember) => Ok(()),
        left => left,
    }
}
