//! Where a change of the caller's profile is seen.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::Empty;
use bus_schema::ops::channels::AudienceReply;
use bus_schema::runtime::service::Context;
use bus_schema::subjects::LogSubject;

use super::Channels;

/// See [`bus_schema::ops::channels::Audience`].
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    _: Empty,
) -> Result<AudienceReply, Failure> {
    let caller = context.caller()?.user;
    let channels = role.store.channels_of(caller).await?;
    let dms = role.store.dms_of(caller).await?;
    let channels = channels.into_iter().map(|channel| LogSubject::Channel(channel.id));
    let partners = dms.into_iter().filter_map(|dm| dm.place.partner_of(caller));
    Ok(AudienceReply { places: channels.chain(partners.map(LogSubject::User)).collect() })
}
