//! `svc.auth.change_password`: sets a new password and ends the caller's other sessions.

use std::sync::Arc;

use bus_schema::error::{Code, Failure};
use bus_schema::ops::Empty;
use bus_schema::ops::auth::ChangePasswordRequest;
use bus_schema::runtime::service::Context;
use bus_schema::timestamp::Timestamp;

use super::Auth;

pub(super) async fn change_password(
    auth: Arc<Auth>,
    context: Context,
    request: ChangePasswordRequest,
) -> Result<Empty, Failure> {
    let caller = context.caller()?;
    let session = auth.live_session(caller).await?;
    let account = auth.stores.users.by_id(caller.user).await?;
    let account = account.filter(|a| !a.disabled).ok_or_else(Failure::unauthorized)?;
    let name = account.profile.user.username.as_str();
    auth.limits.name(name)?;
    let old = account.password_hash.clone();
    if !auth.passwords.verify(request.old, old.clone()).await? {
        auth.limits.failed(name);
        return Err(Failure::new(Code::Forbidden, "the old password is wrong"));
    }
    let hash = auth.passwords.hash(request.new).await?;
    if !auth.stores.users.set_password(caller.user, old, hash).await? {
        return Err(Failure::new(Code::Conflict, "the password has just been changed elsewhere"));
    }
    let now = Timestamp::now();
    let ended = auth.stores.sessions.end_others(caller.user, Some(session), now).await;
    let ended = ended.map_err(|error| Failure::from(error).halfway())?;
    auth.announce(ended).await;
    Ok(Empty {})
}
