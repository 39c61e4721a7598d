//! The caller's bots.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::Empty;
use bus_schema::ops::bots::Bots as Listed;
use bus_schema::runtime::service::Context;

use super::Bots;

/// See [`bus_schema::ops::bots::ListBots`].
pub(super) async fn list(bots: Arc<Bots>, context: Context, _: Empty) -> Result<Listed, Failure> {
    let all = bots.users.bots_of(context.caller()?.user).await?;
    let mut all: Vec<_> = all.into_iter().map(|account| account.profile.user).collect();
    all.sort_unstable_by_key(|bot| bot.id);
    Ok(Listed { bots: all })
}
