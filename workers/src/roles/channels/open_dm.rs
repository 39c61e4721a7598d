//! Opening a DM.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::channels::{OpenDm, OpenDmRequest, OpenedDm};
use bus_schema::runtime::service::Context;
use bus_schema::subjects::DmSubject;
use bus_schema::timestamp::Timestamp;

use super::{Channels, ID_ATTEMPTS, change, new_id};
use crate::store::channels::{DmNotice, Opening};

/// See [`OpenDm`]. Answered when the log has the opener's notice, which shows the DM to all of
/// their sockets.
pub(super) async fn handle(
    role: Arc<Channels>,
    context: Context,
    request: OpenDmRequest,
) -> Result<OpenedDm, Failure> {
    let caller = context.caller()?.user;
    let deadline = role.deadline();
    let user = role.user(&context, request.username, deadline).await?;
    for _ in 0..ID_ATTEMPTS {
        let candidate = DmSubject::new(caller, user.id, new_id())
            .ok_or_else(|| Failure::bad_request("username: not your own"))?;
        let (place, notice) = match role.store.open_dm(candidate, caller, Timestamp::now()).await? {
            Opening::Open { place, notice } => (place, notice),
            Opening::IdTaken => continue,
        };
        let id = place.id();
        if notice {
            let published = role.publisher.notify(DmNotice { id, user: caller }, deadline).await;
            published.map_err(change::not_yet::<OpenDm>)?;
        }
        return Ok(OpenedDm { id, user });
    }
    tracing::error!("no new id was free");
    Err(Failure::unavailable())
}
