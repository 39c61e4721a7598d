//! `svc.auth.check_sessions`: which of an edge's sessions are gone.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::auth::{CheckSessionsRequest, SessionList};
use bus_schema::runtime::service::Context;

use super::Auth;

/// Sessions of one request.
const SESSIONS_MAX: usize = 5_000;

pub(super) async fn check_sessions(
    auth: Arc<Auth>,
    _: Context,
    request: CheckSessionsRequest,
) -> Result<SessionList, Failure> {
    if request.sessions.len() > SESSIONS_MAX {
        return Err(Failure::bad_request("sessions: at most 5,000"));
    }
    let sessions = auth.stores.sessions.gone(request.sessions, auth.idle_since()).await?;
    Ok(SessionList { sessions })
}
