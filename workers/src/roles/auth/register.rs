//! `svc.auth.register`: makes an account and signs it in.
//!
//! What is cheap to refuse is refused before the password is hashed. An invitation is taken just
//! before the account is made and given back if its name was taken meanwhile; a crash between the
//! two costs one use of it, never an account without an invitation.

use std::sync::Arc;

use bus_schema::error::{Code, Failure};
use bus_schema::events::User;
use bus_schema::ids::{self, UserId};
use bus_schema::ops::auth::{RegisterRequest, Secret, SignedIn};
use bus_schema::runtime::service::Context;
use bus_schema::text::DisplayName;
use bus_schema::timestamp::Timestamp;
use sha2::{Digest as _, Sha256};

use super::issue::ID_ATTEMPTS;
use super::{Auth, Registration};
use crate::store::invites::InviteHash;
use crate::store::users::{Account, Created};

pub(super) async fn register(
    auth: Arc<Auth>,
    _: Context,
    request: RegisterRequest,
) -> Result<SignedIn, Failure> {
    auth.limits.registration(request.address.as_deref())?;
    let invite = auth.invitation(request.invite.as_ref()).await?;
    if auth.stores.users.by_username(&request.username).await?.is_some() {
        return Err(taken());
    }
    let display_name = match request.display_name {
        Some(name) => name,
        None => DisplayName::parse(request.username.as_str())?,
    };
    let hash = auth.passwords.hash(request.password).await?;
    if let Some(invite) = invite
        && !auth.stores.invites.take(invite).await?
    {
        return Err(not_invited());
    }
    let user = User {
        id: UserId(0),
        username: request.username,
        display_name,
        avatar_url: None,
        bot: false,
    };
    match auth.create(user, hash).await {
        Ok(account) => {
            let session = auth.open_session(&account).await;
            session.map(|(_, signed_in)| signed_in).map_err(Failure::halfway)
        }
        Err(failure) => {
            // Where nobody knows, the account may be there: an invitation is never used twice.
            if let Some(invite) = invite.filter(|_| failure.code != Code::UnknownOutcome) {
                let given = auth.stores.invites.give_back(invite).await;
                given.map_err(|error| Failure::from(error).halfway())?;
            }
            Err(failure)
        }
    }
}

impl Auth {
    /// The invitation to take, where one is needed.
    async fn invitation(&self, given: Option<&Secret>) -> Result<Option<InviteHash>, Failure> {
        match self.settings.registration {
            Registration::Open => Ok(None),
            Registration::Closed => {
                Err(Failure::new(Code::Forbidden, "registration is closed here"))
            }
            Registration::Invite => {
                let hash = hash_invite(given.ok_or_else(not_invited)?.expose());
                let usable = self.stores.invites.usable(hash).await?;
                if usable { Ok(Some(hash)) } else { Err(not_invited()) }
            }
        }
    }

    async fn create(&self, mut user: User, hash: String) -> Result<Account, Failure> {
        let now = Timestamp::now();
        for _ in 0..ID_ATTEMPTS {
            user.id = UserId(ids::compose(now.as_millis(), rand::random()));
            let account = Account::new(user.clone(), Some(hash.clone()), now);
            match self.stores.users.create(account.clone()).await? {
                Created::Done => return Ok(account),
                Created::UsernameTaken => return Err(taken()),
                Created::IdTaken | Created::TooManyBots => {}
            }
        }
        tracing::error!("no free account id was found");
        Err(Failure::unavailable())
    }
}

/// What is stored in place of an invitation.
pub(crate) fn hash_invite(text: &str) -> InviteHash {
    Sha256::digest(text.trim().as_bytes()).into()
}

fn taken() -> Failure {
    Failure::new(Code::UsernameTaken, "this username is taken")
}

fn not_invited() -> Failure {
    Failure::new(Code::Forbidden, "registration needs an invitation that has not been used")
}
