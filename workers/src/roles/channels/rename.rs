//! Renaming a channel.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::events::Channel;
use bus_schema::ops::channels::{RenameChannel, RenameChannelRequest};
use bus_schema::runtime::service::Context;

use super::{Channels, change, rules};

/// See [`RenameChannel`]. The name it has already makes no entry.
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    request: RenameChannelRequest,
) -> Result<Channel, Failure> {
    let caller = context.caller()?.user;
    let deadline = role.deadline();
    let RenameChannelRequest { id, name } = request;
    let decide = |look: &_| rules::rename(look, caller, name.clone());
    let call = &context.call_id;
    let request = change::Request { id, caller, user: None, call, deadline, decide: &decide };
    change::make::<RenameChannel>(&role, request).await?;
    role.show(id, caller).await
}
