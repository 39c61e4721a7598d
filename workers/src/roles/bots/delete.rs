//! Deleting a bot.

use std::sync::Arc;
use std::time::Duration;

use bus_schema::error::Failure;
use bus_schema::events::VersionedUser;
use bus_schema::ids::UserId;
use bus_schema::ops::Empty;
use bus_schema::ops::bots::BotRequest;
use bus_schema::ops::channels::{LeaveChannels, ListConversations};
use bus_schema::runtime::call::Call;
use bus_schema::runtime::service::Context;
use bus_schema::subjects::{self, LogSubject};
use bus_schema::text::Username;

use super::Bots;
use crate::store::users::Updated;

/// Rounds of leaving: somebody may add the bot while it leaves.
const ROUNDS: usize = 4;
/// Names to try for what is left.
const NAME_ATTEMPTS: usize = 4;
/// How long the answer waits for the server to have the message for the caches of profiles.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// See [`bus_schema::ops::bots::DeleteBot`].
pub(super) async fn delete(
    bots: Arc<Bots>,
    context: Context,
    request: BotRequest,
) -> Result<Empty, Failure> {
    let bot = bots.owned(request.id, context.caller()?.user).await?.id();
    // From here on it gets no credentials, and nobody finds it by name: it is not added again once
    // it has left.
    bots.users.set_disabled(bot, true).await?;
    clear_away(&bots, &context, bot).await.map_err(Failure::halfway)?;
    Ok(Empty {})
}

async fn clear_away(bots: &Bots, context: &Context, bot: UserId) -> Result<(), Failure> {
    bots.revoke(bot).await?;
    bots.webhooks.delete_of(bot).await?;
    leave(bots, context, bot).await?;
    bots.end_consumer(bot).await?;
    retire(bots, bot).await
}

async fn leave(bots: &Bots, context: &Context, bot: UserId) -> Result<(), Failure> {
    let call = Call::asserted(bot).request_id(&context.request_id);
    for _ in 0..ROUNDS {
        let left = bots.bus.call::<ListConversations>(&call, &Empty {}).await?;
        let channel = |place| matches!(place, LogSubject::Channel(_));
        if !left.conversations.iter().any(|listed| channel(listed.place)) {
            return Ok(());
        }
        bots.bus.call::<LeaveChannels>(&call, &Empty {}).await?;
    }
    Err(Failure::unavailable())
}

async fn retire(bots: &Bots, bot: UserId) -> Result<(), Failure> {
    for _ in 0..NAME_ATTEMPTS {
        let random: u64 = rand::random();
        let name = Username::parse(&format!("deleted_{random:016x}"))?;
        match bots.users.retire_bot(bot, name).await? {
            Updated::Done(profile) => {
                tell_caches(bots, &profile).await;
                return Ok(());
            }
            Updated::UsernameTaken => {}
            // The same request was here a moment ago.
            Updated::NotFound => return Ok(()),
        }
    }
    tracing::error!("no free name was found for what is left of a bot");
    Err(Failure::unavailable())
}

async fn tell_caches(bots: &Bots, profile: &VersionedUser) {
    let sent = bots.bus.publish_event(subjects::PROFILES.to_owned(), profile).await;
    let flushed = tokio::time::timeout(FLUSH_WAIT, bots.bus.client().flush()).await;
    if sent.is_err() || !matches!(flushed, Ok(Ok(()))) {
        tracing::warn!(user.id = %profile.user.id, "caches see a changed profile later");
    }
}
