//! `svc.auth.list_sessions`: the caller's sessions.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::Empty;
use bus_schema::ops::auth::{Session, Sessions};
use bus_schema::runtime::service::Context;

use super::Auth;

pub(super) async fn list_sessions(
    auth: Arc<Auth>,
    context: Context,
    _: Empty,
) -> Result<Sessions, Failure> {
    let (own, all) = auth.live_sessions(context.caller()?).await?;
    let shown = all.into_iter().map(|session| Session {
        id: session.id,
        created_at: session.created_at,
        last_used_at: session.last_used_at,
        current: session.id == own,
    });
    Ok(Sessions { sessions: shown.collect() })
}
