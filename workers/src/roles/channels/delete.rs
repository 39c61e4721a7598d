//! Deleting a channel.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::Empty;
use bus_schema::ops::channels::{ChannelRequest, DeleteChannel};
use bus_schema::runtime::service::Context;

use super::{Channels, change, rules};

/// See [`DeleteChannel`]. A caller who repeats a request that got no answer is told of its success,
/// although a deleted channel is `not_found` to all: the request's id tells them apart.
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    request: ChannelRequest,
) -> Result<Empty, Failure> {
    let caller = context.caller()?.user;
    let deadline = role.deadline();
    let decide = |look: &_| rules::delete(look, caller, &context.request_id);
    let call = &context.call_id;
    let request =
        change::Request { id: request.id, caller, user: None, call, deadline, decide: &decide };
    change::make::<DeleteChannel>(&role, request).await?;
    Ok(Empty {})
}
