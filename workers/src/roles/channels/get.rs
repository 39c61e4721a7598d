//! Showing a channel to a member.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::events::Channel;
use bus_schema::ops::channels::ChannelRequest;
use bus_schema::runtime::service::Context;

use super::Channels;

/// See [`bus_schema::ops::channels::GetChannel`].
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    request: ChannelRequest,
) -> Result<Channel, Failure> {
    role.show(request.id, context.caller()?.user).await
}
