//! `svc.auth.sign_in`: a session for a name and its password.
//!
//! A name that does not exist, one that cannot exist and a wrong password get the same answer after
//! the same work.

use std::sync::Arc;

use bus_schema::error::{Code, Failure};
use bus_schema::ids::SessionId;
use bus_schema::ops::auth::{SignInRequest, SignedIn};
use bus_schema::runtime::service::Context;
use bus_schema::text::Username;
use bus_schema::timestamp::Timestamp;

use super::Auth;
use crate::store::users::Account;

pub(super) async fn sign_in(
    auth: Arc<Auth>,
    _: Context,
    request: SignInRequest,
) -> Result<SignedIn, Failure> {
    auth.limits.sign_in(request.address.as_deref(), &request.username)?;
    let account = match Username::parse(&request.username) {
        Ok(name) => auth.stores.users.by_username(&name).await?,
        Err(_) => None,
    };
    let hash = account.as_ref().and_then(|a| a.password_hash.clone());
    let matches = auth.passwords.verify(request.password, hash).await?;
    // A bot proves itself to NATS, never here, whatever is stored of it.
    let Some(account) = account.filter(|a| matches && !a.profile.user.bot) else {
        auth.limits.failed(&request.username);
        return Err(Failure::new(Code::Unauthorized, "wrong username or password"));
    };
    if account.disabled {
        return Err(disabled());
    }
    let (session, signed_in) = auth.open_session(&account).await?;
    auth.still_the_same(&account, session).await.map_err(Failure::halfway)?;
    Ok(signed_in)
}

impl Auth {
    /// A password changed, or an account disabled, while this sign-in was being worked on ended the
    /// sessions it saw. Whichever of the two comes last sees the other, so no session is left over.
    async fn still_the_same(&self, account: &Account, new: SessionId) -> Result<(), Failure> {
        let now = self.stores.users.by_id(account.id()).await?;
        let same = now.is_some_and(|a| !a.disabled && a.password_hash == account.password_hash);
        if same {
            return Ok(());
        }
        self.stores.sessions.end(account.id(), new, Timestamp::now()).await?;
        self.announce(vec![new]).await;
        Err(Failure::unauthorized())
    }
}

/// Told only to who knows the password.
fn disabled() -> Failure {
    Failure::new(Code::Forbidden, "this account is disabled")
}
