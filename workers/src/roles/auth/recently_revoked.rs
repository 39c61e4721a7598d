//! `svc.auth.recently_revoked`: sessions that ended while their access tokens may still be valid.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::limits::ACCESS_TOKEN_S;
use bus_schema::ops::Empty;
use bus_schema::ops::auth::SessionList;
use bus_schema::runtime::service::Context;

use super::{Auth, ago};

/// Sessions of one answer, which stays below the bus's 1 MB.
const SESSIONS_MAX: u32 = 30_000;
/// Seconds by which clocks may differ.
const LEEWAY_S: u64 = 60;

pub(super) async fn recently_revoked(
    auth: Arc<Auth>,
    _: Context,
    _: Empty,
) -> Result<SessionList, Failure> {
    let since = ago(ACCESS_TOKEN_S + LEEWAY_S);
    let sessions = auth.stores.sessions.ended_since(since, SESSIONS_MAX).await?;
    if sessions.len() >= SESSIONS_MAX as usize {
        tracing::warn!(limit = SESSIONS_MAX, "more sessions ended than one answer can name");
    }
    Ok(SessionList { sessions })
}
