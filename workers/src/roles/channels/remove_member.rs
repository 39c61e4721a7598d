//! Removing somebody from a channel, or leaving it.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::Empty;
use bus_schema::ops::channels::{RemoveMember, RemoveMemberRequest};
use bus_schema::runtime::service::Context;

use super::{Channels, change, rules};

/// See [`RemoveMember`].
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    request: RemoveMemberRequest,
) -> Result<Empty, Failure> {
    let caller = context.caller()?.user;
    let deadline = role.deadline();
    let RemoveMemberRequest { id, user_id } = request;
    let user = user_id.unwrap_or(caller);
    let decide = |look: &_| rules::remove(look, caller, user);
    let call = &context.call_id;
    let request = change::Request { id, caller, user: Some(user), call, deadline, decide: &decide };
    change::make::<RemoveMember>(&role, request).await?;
    Ok(Empty {})
}
