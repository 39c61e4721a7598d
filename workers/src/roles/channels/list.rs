//! The caller's conversations.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::Empty;
use bus_schema::ops::channels::{Listed, ListedKind, Listing};
use bus_schema::runtime::service::Context;
use bus_schema::subjects::LogSubject;

use super::Channels;
use crate::store::channels::{OwnChannel, OwnDm};

impl From<OwnChannel> for Listed {
    fn from(channel: OwnChannel) -> Self {
        let OwnChannel { id, name, owner, published, since } = channel;
        let what = ListedKind::Channel { name, owner_id: owner, revision: published, since };
        Self { place: LogSubject::Channel(id), what }
    }
}

impl From<OwnDm> for Listed {
    fn from(dm: OwnDm) -> Self {
        Self { place: LogSubject::Dm(dm.place), what: ListedKind::Dm { opened: dm.opened } }
    }
}

/// See [`bus_schema::ops::channels::ListConversations`].
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    _: Empty,
) -> Result<Listing, Failure> {
    let caller = context.caller()?.user;
    let channels = role.store.channels_of(caller).await?.into_iter().map(Listed::from);
    let dms = role.store.dms_of(caller).await?.into_iter().map(Listed::from);
    Ok(Listing { conversations: channels.chain(dms).collect() })
}
