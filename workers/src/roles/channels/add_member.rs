//! Adding somebody to a channel.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::events::Channel;
use bus_schema::ops::channels::{AddMember, AddMemberRequest};
use bus_schema::runtime::service::Context;

use super::{Channels, change, rules};

/// See [`AddMember`].
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    request: AddMemberRequest,
) -> Result<Channel, Failure> {
    let caller = context.caller()?.user;
    let deadline = role.deadline();
    let AddMemberRequest { id, username } = request;
    // Before the name: whoever may not add is not told which names exist.
    let look = role.store.look(id, vec![caller]).await?.ok_or_else(Failure::not_found)?;
    rules::owned(&look, caller)?;
    let user = role.user(&context, username, deadline).await?.id;
    let decide = |look: &_| rules::add(look, caller, user);
    let call = &context.call_id;
    let request = change::Request { id, caller, user: Some(user), call, deadline, decide: &decide };
    change::make::<AddMember>(&role, request).await?;
    role.show(id, caller).await
}
