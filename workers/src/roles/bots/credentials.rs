//! Credentials: for an owner who asks for a bot of theirs, and for a bot that renews its own.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ids::UserId;
use bus_schema::ops::Empty;
use bus_schema::ops::bots::{BotRequest, Creds};
use bus_schema::runtime::service::Context;

use super::Bots;

/// See [`bus_schema::ops::bots::Credentials`].
pub(super) async fn credentials(
    bots: Arc<Bots>,
    context: Context,
    request: BotRequest,
) -> Result<Creds, Failure> {
    let bot = bots.owned(request.id, context.caller()?.user).await?.id();
    bots.make_consumer(bot).await?;
    bots.mint(bot)
}

/// See [`bus_schema::ops::bots::RenewCredentials`].
pub(super) async fn renew(bots: Arc<Bots>, context: Context, _: Empty) -> Result<Creds, Failure> {
    let caller = context.caller()?.user;
    let account = bots.users.by_id(caller).await?.filter(|account| account.owner.is_some());
    bots.mint(account.ok_or_else(Failure::not_found)?.id())
}

impl Bots {
    /// Credentials need the key that signs them, which this platform does not have: its users are
    /// known to nats-server by name.
    #[expect(clippy::unused_self, reason = "the signing key is the role's")]
    fn mint(&self, bot: UserId) -> Result<Creds, Failure> {
        tracing::warn!(bot.id = %bot, "there is no key to sign credentials with");
        Err(Failure::unavailable())
    }

    /// Ends the credentials of a bot: none were made here.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as for making them")]
    pub(super) fn revoke(&self, _: UserId) -> Result<(), Failure> {
        Ok(())
    }
}
