//! Opening a session for an account that has proved itself.

use bus_schema::error::Failure;
use bus_schema::ids::{self, SessionId};
use bus_schema::limits::{ACCESS_TOKEN_S, SESSIONS_PER_USER};
use bus_schema::ops::auth::SignedIn;
use bus_schema::timestamp::Timestamp;

use super::Auth;
use super::tokens::RefreshToken;
use crate::store::StoreErrorKind;
use crate::store::sessions::SessionRecord;
use crate::store::users::Account;

/// Random ids to try before giving up; the second is hardly ever needed.
pub(super) const ID_ATTEMPTS: usize = 4;

impl Auth {
    /// Opens a session; the oldest beyond a user's limit ends.
    pub(super) async fn open_session(
        &self,
        account: &Account,
    ) -> Result<(SessionId, SignedIn), Failure> {
        let now = Timestamp::now();
        for _ in 0..ID_ATTEMPTS {
            let session = SessionRecord {
                id: SessionId(ids::compose(now.as_millis(), rand::random())),
                user: account.id(),
                created_at: now,
                last_used_at: now,
            };
            let token = self.tokens.first(session.id);
            match self.stores.sessions.create(session, token.hash(), SESSIONS_PER_USER).await {
                Ok(ended) => {
                    self.announce(ended).await;
                    let answer = self.signed_in(account, session.id, &token, now)?;
                    return Ok((session.id, answer));
                }
                Err(error) if error.kind == StoreErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
        tracing::error!("no free session id was found");
        Err(Failure::unavailable())
    }

    /// The answer that carries a session's tokens.
    pub(super) fn signed_in(
        &self,
        account: &Account,
        session: SessionId,
        token: &RefreshToken,
        at: Timestamp,
    ) -> Result<SignedIn, Failure> {
        Ok(SignedIn {
            user: account.profile.user.clone(),
            access_token: self.tokens.access(account.id(), session, at)?,
            refresh_token: token.encode(),
            expires_in: ACCESS_TOKEN_S,
        })
    }
}
