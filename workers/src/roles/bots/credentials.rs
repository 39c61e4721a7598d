//! Credentials: for an owner who asks for a bot of theirs, and for a bot that renews its own.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ids::UserId;
use bus_schema::ops::Empty;
use bus_schema::ops::auth::Secret;
use bus_schema::ops::bots::{BotRequest, Creds};
use bus_schema::runtime::service::Context;

use super::Bots;
use crate::identity::authority::AuthorityError;

/// See [`bus_schema::ops::bots::Credentials`].
pub(super) async fn credentials(
    bots: Arc<Bots>,
    context: Context,
    request: BotRequest,
) -> Result<Creds, Failure> {
    let owner = context.caller()?.user;
    let bot = bots.owned(request.id, owner).await?.id();
    bots.make_consumer(bot).await?;
    bots.mint(bot).await
}

/// See [`bus_schema::ops::bots::RevokeCredentials`].
pub(super) async fn revoke(
    bots: Arc<Bots>,
    context: Context,
    request: BotRequest,
) -> Result<Empty, Failure> {
    let bot = bots.owned(request.id, context.caller()?.user).await?.id();
    bots.revoke(bot).await.map(|()| Empty {})
}

/// See [`bus_schema::ops::bots::RenewCredentials`].
pub(super) async fn renew(bots: Arc<Bots>, context: Context, _: Empty) -> Result<Creds, Failure> {
    bots.mint(context.caller()?.user).await
}

fn failed(error: &AuthorityError) -> Failure {
    tracing::warn!(%error, "credentials cannot be changed");
    match error {
        AuthorityError::Unclear(_) => Failure::unknown_outcome(),
        _ => Failure::unavailable(),
    }
}

impl Bots {
    /// Credentials of a bot that is not being deleted, also not meanwhile: a bot is disabled before
    /// its key is revoked, so either this sees it, or the key it signs is the one revoked.
    async fn mint(&self, bot: UserId) -> Result<Creds, Failure> {
        let creds = self.authority.mint(bot).await.map_err(|error| failed(&error))?;
        let account = self.users.by_id(bot).await?;
        let there = account.is_some_and(|account| account.owner.is_some() && !account.disabled);
        if there { Ok(Creds { creds: Secret::new(creds) }) } else { Err(Failure::not_found()) }
    }

    /// Ends the credentials of a bot: its connections, and its coming back.
    pub(super) async fn revoke(&self, bot: UserId) -> Result<(), Failure> {
        self.authority.revoke(bot).await.map_err(|error| failed(&error))
    }
}
