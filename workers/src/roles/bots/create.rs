//! Making a bot.

use std::sync::Arc;

use bus_schema::error::{Code, Failure};
use bus_schema::events::User;
use bus_schema::ids::{self, UserId};
use bus_schema::limits::BOTS_PER_OWNER;
use bus_schema::ops::bots::CreateBotRequest;
use bus_schema::runtime::service::Context;
use bus_schema::text::DisplayName;
use bus_schema::timestamp::Timestamp;

use super::Bots;
use crate::store::users::{Account, Created};

/// Random ids to try before giving up; the second is hardly ever needed.
const ID_ATTEMPTS: usize = 4;

/// See [`bus_schema::ops::bots::CreateBot`].
pub(super) async fn create(
    bots: Arc<Bots>,
    context: Context,
    request: CreateBotRequest,
) -> Result<User, Failure> {
    let owner = context.caller()?.user;
    let display_name = match request.display_name {
        Some(name) => name,
        None => DisplayName::parse(request.username.as_str())?,
    };
    let now = Timestamp::now();
    for _ in 0..ID_ATTEMPTS {
        let id = UserId(ids::compose(now.as_millis(), rand::random()));
        let (username, display_name) = (request.username.clone(), display_name.clone());
        let user = User { id, username, display_name, avatar_url: None, bot: true };
        let account = Account::bot(user.clone(), owner, now);
        match bots.users.create_bot(account, BOTS_PER_OWNER).await? {
            Created::Done => {
                // Should this fail, the bot is there without it: making credentials makes it too.
                if let Err(failure) = bots.make_consumer(id).await {
                    tracing::warn!(bot.id = %id, %failure, "a bot has no consumer yet");
                }
                return Ok(user);
            }
            Created::UsernameTaken => {
                return Err(Failure::new(Code::UsernameTaken, "this username is taken"));
            }
            Created::TooManyBots => {
                return Err(Failure::new(Code::Conflict, "you have 20 bots, which is the most"));
            }
            Created::IdTaken => {}
        }
    }
    tracing::error!("no free account id was found");
    Err(Failure::unavailable())
}
