//! Telling edges about ended sessions, and forgetting what has no use any more.
//!
//! A message on the bus may be lost, and an operator's command ends sessions without being on the
//! bus at all. So every ended session is announced again from the store for a few seconds; edges
//! that missed even that ask within a minute.

use std::sync::Arc;
use std::time::Duration;

use bus_schema::error::Failure;
use bus_schema::events::Revoked;
use bus_schema::ids::{SessionId, UserId};
use bus_schema::limits::ACCESS_TOKEN_S;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects;
use bus_schema::timestamp::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use super::{Auth, ago};
use crate::store::StoreError;

/// Sessions of one message.
const SESSIONS_PER_MESSAGE: usize = 5_000;
/// How often ended sessions are announced again.
const AGAIN_EVERY: Duration = Duration::from_secs(2);
/// For how many seconds.
const AGAIN_FOR_S: u64 = 6;
/// Sessions announced again at most.
const AGAIN_MAX: u32 = 30_000;
/// Announcements between two rounds of forgetting: ten minutes.
const FORGET_EVERY: u32 = 300;
/// Sessions forgotten in one write.
const FORGET_MAX: u32 = 1_000;
/// Seconds for which ended sessions are kept.
const KEEP_ENDED_S: u64 = ACCESS_TOKEN_S + 3_600;

impl Auth {
    /// Tells edges that these sessions have ended.
    pub(super) async fn announce(&self, ended: Vec<SessionId>) {
        for sessions in ended.chunks(SESSIONS_PER_MESSAGE) {
            let revoked = Revoked { sessions: sessions.to_vec() };
            let sent = self.bus.publish_event(subjects::REVOKED.to_owned(), &revoked).await;
            if let Err(error) = sent {
                tracing::warn!(%error, "ended sessions are announced later");
            }
        }
    }

    /// Ends every session of an account.
    pub(super) async fn end_all_sessions(&self, user: UserId) -> Result<(), Failure> {
        let ended = self.stores.sessions.end_others(user, None, Timestamp::now()).await?;
        self.announce(ended).await;
        Ok(())
    }

    async fn announce_again(&self) -> Result<(), StoreError> {
        let ended = self.stores.sessions.ended_since(ago(AGAIN_FOR_S), AGAIN_MAX).await?;
        self.announce(ended).await;
        Ok(())
    }

    async fn forget(&self) -> Result<(), StoreError> {
        let sessions = &self.stores.sessions;
        while sessions.forget(ago(KEEP_ENDED_S), self.idle_since(), FORGET_MAX).await?
            == FORGET_MAX as usize
        {}
        Ok(())
    }
}

/// Runs until stopped.
pub(super) async fn upkeep(auth: Arc<Auth>, shutdown: Shutdown) {
    let mut ticks = interval(AGAIN_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = 0u32;
    loop {
        tokio::select! {
            () = shutdown.requested() => return,
            _ = ticks.tick() => {}
        }
        if let Err(error) = auth.announce_again().await {
            tracing::warn!(%error, "ended sessions could not be read");
        }
        // Only the auth role can fill this; others ask it.
        auth.bus.verifier().set(&auth.tokens.public_keys());
        if round.is_multiple_of(FORGET_EVERY) {
            auth.limits.tidy();
            if let Err(error) = auth.forget().await {
                tracing::warn!(%error, "old sessions could not be forgotten");
            }
        }
        round = round.wrapping_add(1);
    }
}
