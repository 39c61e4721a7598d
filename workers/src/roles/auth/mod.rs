//! The auth role: accounts, sessions and tokens.
//!
//! Invariant: passwords are stored as argon2id hashes, refresh tokens as SHA-256 hashes; neither is
//! ever logged. Every session that ends is told on the bus at once, again by a loop that reads the
//! store, and once more to whoever asks for those of the last 15 minutes.
//!
//! Leaves out profiles beyond their first version: changing them is the profiles role's.

mod announce;
mod change_password;
mod check_sessions;
mod end_session;
mod issue;
mod keys;
mod limits;
mod list_sessions;
pub(crate) mod passwords;
mod recently_revoked;
mod refresh;
mod register;
mod settings;
mod sign_in;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ids::SessionId;
use bus_schema::ops::Service;
use bus_schema::ops::auth as ops;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::service::{Caller, Host};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::timestamp::Timestamp;

pub(crate) use self::register::hash_invite;
pub use self::settings::{AuthSettings, Registration};
use super::{RoleError, serve, with};
use crate::store::Stores;
use crate::store::sessions::SessionRecord;

/// What every operation of the role works with.
struct Auth {
    bus: Bus,
    stores: Stores,
    settings: AuthSettings,
    passwords: passwords::Passwords,
    tokens: tokens::Tokens,
    limits: limits::Limits,
}

impl Auth {
    async fn new(
        bus: Bus,
        stores: Stores,
        tokens: tokens::Tokens,
        settings: &AuthSettings,
    ) -> Result<Self, RoleError> {
        // This role holds the keys; others ask for them.
        bus.verifier().set(&tokens.public_keys());
        Ok(Self {
            passwords: passwords::Passwords::new(settings).await?,
            limits: limits::Limits::new(settings),
            settings: settings.clone(),
            tokens,
            bus,
            stores,
        })
    }

    /// Sessions last used before this moment are gone.
    fn idle_since(&self) -> Timestamp {
        ago(self.settings.refresh_idle_days.saturating_mul(24 * 3_600))
    }

    /// The caller's session. Tokens outlive sessions by up to 15 minutes, so the store is asked.
    async fn live_session(&self, caller: Caller) -> Result<SessionId, Failure> {
        let id = caller.session.ok_or_else(Failure::unauthorized)?;
        let gone = self.stores.sessions.gone(vec![id], self.idle_since()).await?;
        if gone.is_empty() { Ok(id) } else { Err(Failure::unauthorized()) }
    }

    /// The caller's sessions, newest first, the caller's own among them.
    async fn live_sessions(
        &self,
        caller: Caller,
    ) -> Result<(SessionId, Vec<SessionRecord>), Failure> {
        let own = caller.session.ok_or_else(Failure::unauthorized)?;
        let all = self.stores.sessions.of_user(caller.user, self.idle_since()).await?;
        if all.iter().any(|s| s.id == own) { Ok((own, all)) } else { Err(Failure::unauthorized()) }
    }
}

/// That many seconds before now.
fn ago(seconds: u64) -> Timestamp {
    let ms = seconds.saturating_mul(1_000);
    Timestamp::from_millis(Timestamp::now().as_millis().saturating_sub(ms))
}

/// Serves until stopped.
pub async fn run(
    bus: Bus,
    stores: Stores,
    settings: &AuthSettings,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    let Some(tokens) = tokens::Tokens::loaded(&*stores.keys, &shutdown).await? else {
        return Ok(());
    };
    let auth = Arc::new(Auth::new(bus.clone(), stores, tokens, settings).await?);
    let mut host = Host::new(&bus, Service::Auth, settings.service).await?;
    host.operation::<ops::Register, _, _>(None, with(&auth, register::register)).await?;
    host.operation::<ops::SignIn, _, _>(None, with(&auth, sign_in::sign_in)).await?;
    host.operation::<ops::Refresh, _, _>(None, with(&auth, refresh::refresh)).await?;
    host.operation::<ops::ListSessions, _, _>(None, with(&auth, list_sessions::list_sessions))
        .await?;
    host.operation::<ops::EndSession, _, _>(None, with(&auth, end_session::end_session)).await?;
    host.operation::<ops::ChangePassword, _, _>(
        None,
        with(&auth, change_password::change_password),
    )
    .await?;
    host.operation::<ops::Keys, _, _>(None, with(&auth, keys::keys)).await?;
    host.operation::<ops::CheckSessions, _, _>(None, with(&auth, check_sessions::check_sessions))
        .await?;
    host.operation::<ops::RecentlyRevoked, _, _>(
        None,
        with(&auth, recently_revoked::recently_revoked),
    )
    .await?;
    let upkeep = tokio::spawn(announce::upkeep(auth, shutdown.clone()));
    let served = serve(host, &shutdown).await;
    upkeep.abort();
    served
}

/// An access token of this platform, without a session behind it.
#[cfg(test)]
pub(crate) async fn access_token(
    stores: &Stores,
    user: bus_schema::ids::UserId,
    session: SessionId,
) -> String {
    let tokens = tokens::Tokens::load(&*stores.keys).await.unwrap();
    tokens.access(user, session, Timestamp::now()).unwrap().expose().to_owned()
}
