//! `svc.auth.refresh`: a new pair of tokens for a refresh token, which is thereby spent.
//!
//! The same token with the same nonce within two minutes gets the same answer, for clients whose
//! answer was lost. Any other use of a spent token means that two hold it: the session ends.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::limits::REFRESH_REPEAT_S;
use bus_schema::ops::auth::{RefreshRequest, SignedIn};
use bus_schema::runtime::service::Context;
use bus_schema::timestamp::Timestamp;

use super::{Auth, ago};
use crate::store::sessions::{Rotated, Rotation};

pub(super) async fn refresh(
    auth: Arc<Auth>,
    _: Context,
    request: RefreshRequest,
) -> Result<SignedIn, Failure> {
    let spent =
        auth.tokens.parse(request.refresh_token.expose()).ok_or_else(Failure::unauthorized)?;
    let next = auth.tokens.next(&spent, request.nonce.as_ref());
    let rotation = Rotation {
        session: spent.session(),
        spent: spent.hash(),
        next: next.hash(),
        nonce: request.nonce,
        at: Timestamp::now(),
        repeats_since: ago(REFRESH_REPEAT_S),
        idle_since: auth.idle_since(),
    };
    let (session, at) = match auth.stores.sessions.rotate(rotation).await? {
        Rotated::Moved(session) => (session, session.last_used_at),
        Rotated::Repeated { session, at } => (session, at),
        Rotated::Reused(session) => {
            tracing::warn!(
                user.id = %session.user,
                session.id = %session.id,
                "a spent refresh token was used again; the session is ended"
            );
            auth.announce(vec![session.id]).await;
            return Err(Failure::unauthorized());
        }
        Rotated::Gone => return Err(Failure::unauthorized()),
    };
    // From here on the session has moved on; the same request again gives what this one would have.
    let account = auth.stores.users.by_id(session.user).await;
    let account = account.map_err(|error| Failure::from(error).halfway())?;
    match account {
        Some(account) if !account.disabled => auth.signed_in(&account, session.id, &next, at),
        _ => {
            auth.end_all_sessions(session.user).await.map_err(Failure::halfway)?;
            Err(Failure::unauthorized())
        }
    }
}
