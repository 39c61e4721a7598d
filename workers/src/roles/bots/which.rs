//! Which of some accounts are bots.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::bots::{BotIds, WHICH_MAX, WhichBotsRequest};
use bus_schema::runtime::service::Context;

use super::Bots;

/// See [`bus_schema::ops::bots::WhichBots`]. From the store: what is answered here is remembered by
/// those who ask, and an account is a bot from its first moment on.
pub(super) async fn which(
    bots: Arc<Bots>,
    _: Context,
    request: WhichBotsRequest,
) -> Result<BotIds, Failure> {
    if request.ids.len() > WHICH_MAX {
        return Err(Failure::bad_request("ids: at most 500"));
    }
    let found = bots.users.profiles(request.ids).await?;
    let bots = found.into_iter().filter(|profile| profile.user.bot).map(|profile| profile.user.id);
    Ok(BotIds { bots: bots.collect() })
}
