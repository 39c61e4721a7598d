//! Making a channel.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::events::Channel;
use bus_schema::limits::NONCE_WINDOW_S;
use bus_schema::ops::channels::{CreateChannel, CreateChannelRequest};
use bus_schema::runtime::service::Context;
use bus_schema::timestamp::Timestamp;

use super::rules::{MOST_CHANNELS, too_many_channels};
use super::{Channels, ID_ATTEMPTS, change, new_id};
use crate::store::channels::{Created, NewChannel};

/// The revision of the creator's MEMBER_ADD, a channel's first entry.
const FIRST_REVISION: u64 = 1;

/// When a nonce was last used, to be free again now.
pub(super) fn nonces_before(now: Timestamp) -> Timestamp {
    Timestamp::from_millis(now.as_millis().saturating_sub(NONCE_WINDOW_S * 1_000))
}

/// See [`CreateChannel`].
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    request: CreateChannelRequest,
) -> Result<Channel, Failure> {
    let owner = context.caller()?.user;
    let deadline = role.deadline();
    let CreateChannelRequest { name, nonce } = request;
    for _ in 0..ID_ATTEMPTS {
        let (id, at) = (new_id(), Timestamp::now());
        let new = NewChannel {
            id,
            name: name.clone(),
            owner,
            nonce: nonce.clone(),
            nonces_before: nonces_before(at),
            at,
            most_channels: MOST_CHANNELS,
        };
        let id = match role.store.create(new).await? {
            Created::New => id,
            Created::Repeated(id) => id,
            Created::IdTaken => continue,
            Created::TooManyChannels => return Err(too_many_channels(true)),
        };
        let reached = role.publisher.reach(id, FIRST_REVISION, deadline).await;
        reached.map_err(change::not_yet::<CreateChannel>)?;
        return role.show(id, owner).await.map_err(Failure::halfway);
    }
    tracing::error!("no new id was free");
    Err(Failure::unavailable())
}
