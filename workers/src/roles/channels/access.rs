//! One conversation of the caller.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::channels::{ChannelRequest, Listed};
use bus_schema::runtime::service::Context;

use super::{Channels, rules};
use crate::store::channels::OwnChannel;

/// See [`bus_schema::ops::channels::Access`].
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    request: ChannelRequest,
) -> Result<Listed, Failure> {
    let caller = context.caller()?.user;
    let id = request.id;
    if let Some(look) = role.store.look(id, vec![caller]).await? {
        let since = rules::visible(&look, caller)?;
        let channel = look.channel;
        let (owner, published) = (channel.owner, channel.published);
        return Ok(OwnChannel { id, name: channel.name, owner, published, since }.into());
    }
    let dm = role.store.dm(id, caller).await?;
    dm.map(Listed::from).ok_or_else(Failure::not_found)
}
