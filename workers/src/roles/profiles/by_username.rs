//! `svc.profiles.by_username`: one user by name.
//!
//! Always from the store: a name moves to another person the moment it is free, and whoever is
//! added to a channel by name must be the one who has it now.

use std::sync::Arc;
use std::time::Instant;

use bus_schema::error::Failure;
use bus_schema::events::User;
use bus_schema::ops::profiles::ByUsernameRequest;
use bus_schema::runtime::service::Context;

use super::Profiles;
use crate::store::users::Account;

pub(super) async fn by_username(
    profiles: Arc<Profiles>,
    _: Context,
    request: ByUsernameRequest,
) -> Result<User, Failure> {
    let read_at = Instant::now();
    let account = profiles.users.by_username(&request.username).await?;
    // A deleted bot is there for its messages, not to be found by the name it has since.
    let account = account.filter(Account::has_name);
    let profile = account.ok_or_else(Failure::not_found)?.profile;
    profiles.cache.put(std::slice::from_ref(&profile), read_at).await;
    Ok(profile.user)
}
