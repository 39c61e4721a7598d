//! Which sessions are over: for requests that come with a token, and for open sockets.
//!
//! Invariant: a revocation takes effect here at once when it is heard, and within [`CHECK_EVERY`]
//! when it was not: what was revoked lately is fetched, and sessions with sockets are looked up, at
//! the start, each minute and after anything that may have cost a message.
//!
//! Leaves out tokens: [`bus_schema::runtime::tokens`] verifies them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use bus_schema::error::Failure;
use bus_schema::events::Revoked;
use bus_schema::ids::SessionId;
use bus_schema::ops::Empty;
use bus_schema::ops::auth::{CheckSessions, CheckSessionsRequest, RecentlyRevoked};
use bus_schema::runtime::bus::{Bus, Status, jitter};
use bus_schema::runtime::call::Call;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects;
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::state::Edge;

/// How often to make sure.
const CHECK_EVERY: Duration = Duration::from_mins(1);
/// How long to wait before making sure again after a failure.
const CHECK_AGAIN: Duration = Duration::from_secs(5);
/// A revoked session's last access token has expired after this long.
const KEPT: Duration = Duration::from_mins(16);
/// Revoked sessions kept; beyond, the oldest is forgotten, whose token is the first to expire.
const REVOKED_MAX: usize = 200_000;
/// Sessions asked for in one request.
const CHECK_BATCH: usize = 5_000;

/// What this edge knows of sessions. Clones share it.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    revoked: HashSet<SessionId>,
    /// The same, as they came.
    order: VecDeque<(Instant, SessionId)>,
    live: HashMap<SessionId, Live>,
}

struct Live {
    watches: usize,
    ended: watch::Sender<bool>,
}

impl Sessions {
    /// Whether tokens of this session are to be refused.
    pub fn is_revoked(&self, session: SessionId) -> bool {
        self.0.lock().revoked.contains(&session)
    }

    /// Takes note that sessions are over, and ends their watches.
    pub(crate) fn revoke(&self, sessions: impl IntoIterator<Item = SessionId>) {
        let mut known = self.0.lock();
        for session in sessions {
            if let Some(live) = known.live.get(&session) {
                live.ended.send_replace(true);
            }
            if known.revoked.insert(session) {
                known.order.push_back((Instant::now(), session));
            }
        }
        known.forget();
    }

    /// Watches a session as long as it has a socket here.
    pub fn watch(&self, session: SessionId) -> SessionWatch {
        let mut known = self.0.lock();
        let over = known.revoked.contains(&session);
        let live = known.live.entry(session);
        let live = live.or_insert_with(|| Live { watches: 0, ended: watch::Sender::new(over) });
        live.watches += 1;
        SessionWatch { session, ended: live.ended.subscribe(), sessions: self.clone() }
    }

    fn live(&self) -> Vec<SessionId> {
        self.0.lock().live.keys().copied().collect()
    }
}

impl Known {
    fn forget(&mut self) {
        while let Some((at, session)) = self.order.front().copied() {
            if at.elapsed() < KEPT && self.order.len() <= REVOKED_MAX {
                break;
            }
            self.order.pop_front();
            self.revoked.remove(&session);
        }
    }
}

/// One socket's interest in its session.
pub struct SessionWatch {
    session: SessionId,
    ended: watch::Receiver<bool>,
    sessions: Sessions,
}

impl SessionWatch {
    /// Waits until the session is over. Cancel-safe.
    pub async fn ended(&mut self) {
        let lost = self.ended.wait_for(|over| *over).await.is_err();
        if lost {
            // The sender lives as long as this watch is counted, so this does not happen.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for SessionWatch {
    fn drop(&mut self) {
        let mut known = self.sessions.0.lock();
        if let Some(live) = known.live.get_mut(&self.session) {
            live.watches -= 1;
            if live.watches == 0 {
                known.live.remove(&self.session);
            }
        }
    }
}

/// Keeps what this edge knows true until stopped.
pub(crate) async fn run(edge: Arc<Edge>, shutdown: Shutdown) {
    tokio::select! {
        () = follow(&edge.bus, &edge.sessions) => {}
        () = shutdown.requested() => {}
    }
}

/// Hears revocations as they happen, and asks for those before. Never ends.
async fn follow(bus: &Bus, sessions: &Sessions) {
    loop {
        match bus.client().subscribe(subjects::REVOKED).await {
            Ok(messages) => tokio::select! {
                () = hear(messages, sessions) => {}
                () = make_sure(bus, sessions) => {}
            },
            Err(error) => tracing::warn!(%error, "cannot hear of revoked sessions"),
        }
        sleep(jitter(CHECK_AGAIN)).await;
    }
}

async fn hear(mut messages: Subscriber, sessions: &Sessions) {
    while let Some(message) = messages.next().await {
        match serde_json::from_slice::<Revoked>(&message.payload) {
            Ok(revoked) => sessions.revoke(revoked.sessions),
            Err(error) => tracing::warn!(%error, "a revocation cannot be read"),
        }
    }
}

/// Asks at the start, each minute, and when messages may have been lost. Never ends.
async fn make_sure(bus: &Bus, sessions: &Sessions) {
    let mut status = bus.status();
    loop {
        let losses = *status.borrow_and_update();
        let wait = match refresh(bus, sessions).await {
            Ok(()) => CHECK_EVERY,
            Err(error) => {
                tracing::warn!(%error, "cannot ask which sessions are over");
                CHECK_AGAIN
            }
        };
        tokio::select! {
            () = sleep(jitter(wait)) => {}
            () = lost_more(&mut status, losses) => {}
        }
    }
}

/// Waits until messages may have been lost, and can be asked for.
async fn lost_more(status: &mut watch::Receiver<Status>, before: Status) {
    let lost = |now: &Status| now.connected && (now.epoch, now.slow) != (before.epoch, before.slow);
    let ended = status.wait_for(lost).await.is_err();
    if ended {
        // The connection is being taken down with the process.
        std::future::pending::<()>().await;
    }
}

async fn refresh(bus: &Bus, sessions: &Sessions) -> Result<(), Failure> {
    let platform = Call::platform();
    sessions.revoke(bus.call::<RecentlyRevoked>(&platform, &Empty {}).await?.sessions);
    for batch in sessions.live().chunks(CHECK_BATCH) {
        let request = CheckSessionsRequest { sessions: batch.to_vec() };
        sessions.revoke(bus.call::<CheckSessions>(&platform, &request).await?.sessions);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tokio::time::{advance, timeout};

    use super::*;

    const MOMENT: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn a_revocation_ends_every_watch_of_its_session() {
        let sessions = Sessions::default();
        let mut first = sessions.watch(SessionId(1));
        let mut second = sessions.watch(SessionId(1));
        let mut other = sessions.watch(SessionId(2));
        sessions.revoke([SessionId(1)]);
        timeout(MOMENT, first.ended()).await.unwrap();
        timeout(MOMENT, second.ended()).await.unwrap();
        assert!(timeout(MOMENT, other.ended()).await.is_err());
        assert!(sessions.is_revoked(SessionId(1)) && !sessions.is_revoked(SessionId(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_on_a_session_that_is_over_ends_at_once() {
        let sessions = Sessions::default();
        sessions.revoke([SessionId(1)]);
        timeout(MOMENT, sessions.watch(SessionId(1)).ended()).await.unwrap();
    }

    #[test]
    fn nothing_is_kept_of_sessions_without_sockets() {
        let sessions = Sessions::default();
        let (first, second) = (sessions.watch(SessionId(1)), sessions.watch(SessionId(1)));
        drop(first);
        assert_eq!(sessions.live(), [SessionId(1)]);
        drop(second);
        assert!(sessions.live().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn revocations_are_forgotten_when_their_tokens_have_expired() {
        let sessions = Sessions::default();
        sessions.revoke([SessionId(1)]);
        advance(KEPT).await;
        sessions.revoke([SessionId(2)]);
        assert!(!sessions.is_revoked(SessionId(1)) && sessions.is_revoked(SessionId(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn hearing_of_it_again_does_not_keep_it_longer() {
        let sessions = Sessions::default();
        sessions.revoke([SessionId(1)]);
        advance(KEPT / 2).await;
        sessions.revoke([SessionId(1)]);
        advance(KEPT / 2).await;
        sessions.revoke([]);
        assert!(!sessions.is_revoked(SessionId(1)));
    }

    #[test]
    fn revocations_are_bounded() {
        let sessions = Sessions::default();
        sessions.revoke((0..=REVOKED_MAX as u64).map(SessionId));
        assert!(!sessions.is_revoked(SessionId(0)) && sessions.is_revoked(SessionId(1)));
        assert_eq!(sessions.0.lock().revoked.len(), REVOKED_MAX);
    }
}
