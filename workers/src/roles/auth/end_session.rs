//! `svc.auth.end_session`: ends one of the caller's sessions.
//!
//! Ending one that has just ended succeeds too: a caller whose answer was lost asks again.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::Empty;
use bus_schema::ops::auth::EndSessionRequest;
use bus_schema::runtime::service::Context;
use bus_schema::timestamp::Timestamp;

use super::Auth;

pub(super) async fn end_session(
    auth: Arc<Auth>,
    context: Context,
    request: EndSessionRequest,
) -> Result<Empty, Failure> {
    let caller = context.caller()?;
    let own = caller.session.ok_or_else(Failure::unauthorized)?;
    let id = request.id.unwrap_or(own);
    // Ending the caller's own session again is the one thing that an ended session may ask for.
    if id != own {
        auth.live_session(caller).await?;
    }
    if !auth.stores.sessions.end(caller.user, id, Timestamp::now()).await? {
        return Err(if id == own { Failure::unauthorized() } else { Failure::not_found() });
    }
    auth.announce(vec![id]).await;
    Ok(Empty {})
}
