//! Changing a channel: look, decide, commit if nobody was faster, wait for the log.
//!
//! Invariant: a change is decided on the very revision it is committed upon. Concurrent changes of
//! one channel are serialized, not refused: within a process by turns, between processes by trying
//! again. A call is done once, however many of its attempts arrive, and however late.

use std::time::Duration;

use bus_schema::error::Failure;
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::ops::Operation;
use bus_schema::runtime::bus::jitter;
use bus_schema::timestamp::Timestamp;
use tokio::time::{Instant, sleep};

use super::Channels;
use super::publisher::NotYet;
use super::rules::{Decision, too_many_channels};
use crate::store::channels::{Commit, Committed, Look};

/// How long to wait at most before looking again at a channel that another process has changed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A request to change a channel.
pub(super) struct Request<'a> {
    /// Which channel.
    pub(super) id: ConversationId,
    /// Who asks.
    pub(super) caller: UserId,
    /// Whom it is about, if not the caller.
    pub(super) user: Option<UserId>,
    /// The call that it is an attempt of.
    pub(super) call: &'a str,
    /// Until when it must be answered.
    pub(super) deadline: Instant,
    /// The role's rule for it.
    pub(super) decide: &'a (dyn Fn(&Look) -> Result<Decision, Failure> + Send + Sync),
}

/// Makes a change; answers when the log has it.
pub(super) async fn make<O: Operation>(
    role: &Channels,
    request: Request<'_>,
) -> Result<(), Failure> {
    let Request { id, deadline, .. } = request;
    let revision = {
        let turn = role.turns.take(id, deadline).await;
        // The place in the queue came too late; nothing was changed.
        let _turn = turn.ok_or_else(Failure::unavailable)?;
        commit(role, request).await?
    };
    role.publisher.reach(id, revision, deadline).await.map_err(not_yet::<O>)
}

/// The revision that the log must have before the answer.
async fn commit(role: &Channels, request: Request<'_>) -> Result<u64, Failure> {
    let Request { id, caller, user, call, deadline, decide } = request;
    let mut users = vec![caller];
    users.extend(user.filter(|user| *user != caller));
    for _ in 0..role.settings.change_attempts.max(1) {
        let look = role.store.look(id, users.clone()).await?.ok_or_else(Failure::not_found)?;
        let change = match decide(&look)? {
            Decision::Already(revision) => return Ok(revision),
            Decision::Commit(change) => change,
        };
        // After the look: what an attempt has made since then makes the commit below stale.
        let made = if call.is_empty() { None } else { role.store.made_by(id, call.into()).await? };
        if let Some(revision) = made {
            tracing::info!(channel.id = %id, revision, "a call that was done came again");
            return Ok(revision);
        }
        if look.channel.waiting >= role.settings.max_waiting_changes {
            tracing::warn!(channel.id = %id, "too many changes wait for the log");
            role.publisher.start(id);
            return Err(Failure::unavailable());
        }
        let expected = look.channel.revision;
        let at = Timestamp::now();
        let commit = Commit { id, expected, author: caller, change, at, call: call.into() };
        let revision = commit.revision();
        match role.store.commit(commit).await? {
            Committed::Done => return Ok(revision),
            Committed::TooManyChannels => return Err(too_many_channels(false)),
            Committed::Stale if Instant::now() >= deadline => break,
            Committed::Stale => sleep(jitter(LOOK_AGAIN)).await,
        }
    }
    tracing::warn!(channel.id = %id, "other processes kept changing the channel");
    Err(Failure::unavailable())
}

/// The change is committed, but the log has not acknowledged it in time.
pub(super) fn not_yet<O: Operation>(_: NotYet) -> Failure {
    O::REPEAT.unknown()
}
