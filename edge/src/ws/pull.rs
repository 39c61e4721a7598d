//! Feeding a socket with a conversation from a position: replay after IDENTIFY, and catching up
//! when it was slow. One path for both.
//!
//! Invariant: every entry after the position is written, in order, or lies in a GAP that is written
//! (only when replaying, and only beyond the protocol's bounds or when it cannot be read now).

use std::sync::Arc;
use std::time::Duration;

use bus_schema::error::Failure;
use bus_schema::events::Gap;
use bus_schema::frames::{self, event};
use bus_schema::ids::{ConversationId, EntryId};
use bus_schema::limits;
use bus_schema::runtime::bus::jitter;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::outbox::Lag;
use super::writer::{End, Writer};
use crate::follow::conversation::{Command, Pull, Pulled, Then, remove_frame};
use crate::hub::StartBy;

/// Entries of one pull.
const BATCH: usize = 100;
/// Entries that follow a GAP.
const AFTER_GAP: usize = limits::AFTER_GAP as usize;
/// How long one pull may take.
const PATIENCE: Duration = Duration::from_secs(6);
/// How long one of a replay may take,
const REPLAY_PATIENCE: Duration = Duration::from_secs(2);
/// and once enough of this socket's have failed: what can be read at all is read by then.
const RUSHED: Duration = Duration::from_millis(250);
/// How long after the first failure of its replays a socket goes on trying, whatever the number of
/// its conversations: after that each that fails gets a GAP at once.
const REPLAY_RETRIES: Duration = Duration::from_secs(4);
/// How long a conversation that could not be pulled is put off.
const AGAIN: Duration = Duration::from_millis(500);
/// Failed pulls of one replay before it gets a GAP instead.
const ATTEMPTS: u32 = 3;

/// What one conversation may still replay.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
    failures: u32,
    from_zero: bool,
    gapped: bool,
}

impl Budget {
    pub(super) const fn new(from_zero: bool) -> Self {
        Self { left: limits::REPLAY_PER_CONVERSATION, failures: 0, from_zero, gapped: false }
    }
}

/// Pulls once. Whether the conversation is done: live, gone, or no longer waited for.
pub(super) async fn pull(writer: &mut Writer, lag: Lag) -> Result<bool, End> {
    let Some(id) = lag.place.conversation() else { return Ok(true) };
    let mut limit = BATCH;
    let total = writer.left;
    if let Some(budget) = writer.budget(id)
        && !budget.gapped
    {
        let left = budget.left.min(total);
        if budget.from_zero || left == 0 || budget.failures >= ATTEMPTS {
            return gap(writer, id, lag).await;
        }
        limit = limit.min(left);
    }
    match ask(writer, lag, limit, false).await {
        Ok(pulled) => take(writer, id, lag, pulled).await,
        Err(failure) => {
            tracing::debug!(%failure, conversation = %id, "pulling again");
            try_later(writer, id, lag);
            Ok(false)
        }
    }
}

/// Puts a conversation off for a moment; one that is replayed for as long as there is patience.
fn try_later(writer: &mut Writer, id: ConversationId, lag: Lag) {
    let mut wait = jitter(AGAIN);
    let over = writer.is_replay_late();
    if let Some(budget) = writer.budget(id) {
        budget.failures += 1;
        if over {
            budget.failures = ATTEMPTS;
            wait = Duration::ZERO;
        }
        writer.late_after.get_or_insert_with(|| Instant::now() + REPLAY_RETRIES);
    }
    let outbox = writer.outbox.clone();
    tokio::spawn(async move {
        sleep(wait).await;
        outbox.lag(lag);
    });
}

async fn ask(writer: &mut Writer, lag: Lag, limit: usize, newest: bool) -> Result<Pulled, Failure> {
    let late = writer.is_replay_late();
    let replayed = lag.place.conversation().is_some_and(|id| writer.budget(id).is_some());
    let patience = match (replayed, late) {
        (false, _) => PATIENCE,
        (true, false) => REPLAY_PATIENCE,
        (true, true) => RUSHED,
    };
    let edge = &writer.edge;
    let asked = async {
        let followed = edge.hub.follow(edge, lag.place, StartBy::Itself).await;
        let handle = followed.map_err(|_| Failure::unavailable())?;
        let (reply, answer) = oneshot::channel();
        let outbox = Arc::clone(&writer.outbox);
        let sent = handle.send(Command::Pull(Pull { lag, limit, newest, outbox, reply })).await;
        sent.map_err(|_| Failure::unavailable())?;
        Ok::<_, Failure>(answer)
    };
    let until = Instant::now() + patience;
    let asked = timeout_at(until, asked).await;
    let mut answer = asked.unwrap_or_else(|_| Err(Failure::unavailable()))?;
    if let Ok(answered) = timeout_at(until, &mut answer).await {
        return answered.unwrap_or_else(|_| Err(Failure::unavailable()));
    }
    // An answer may attach the socket, so one that was given is taken, however late: after the
    // close none can be given any more.
    answer.close();
    answer.try_recv().unwrap_or_else(|_| Err(Failure::unavailable()))
}

async fn take(
    writer: &mut Writer,
    id: ConversationId,
    lag: Lag,
    pulled: Pulled,
) -> Result<bool, End> {
    let count = pulled.items.len();
    for item in &pulled.items {
        writer.write(item.frame()).await?;
    }
    let counted = writer.budget(id).filter(|budget| !budget.gapped).map(|budget| {
        budget.failures = 0;
        budget.left = budget.left.saturating_sub(count);
    });
    if counted.is_some() {
        writer.left = writer.left.saturating_sub(count);
    }
    match pulled.then {
        Then::More => {
            writer.outbox.lag(Lag { after: pulled.position, ..lag });
            Ok(false)
        }
        Then::Live => Ok(true),
        Then::Gone => {
            writer.write(remove_frame(id)).await?;
            writer.edge.hub.forget(writer.outbox.user, id, writer.outbox.id);
            Ok(true)
        }
    }
}

/// Lets a conversation catch up when it can, without RESUMED waiting for it.
fn go_on(writer: &Writer, lag: Lag) -> bool {
    writer.outbox.lag(lag);
    true
}

/// Cuts a replay: a GAP, then the newest entries, then live.
async fn gap(writer: &mut Writer, id: ConversationId, lag: Lag) -> Result<bool, End> {
    let stream = writer.edge.layout.stream_of(lag.place);
    let unreadable = writer.budget(id).is_some_and(|budget| budget.failures >= ATTEMPTS);
    let newest = if unreadable {
        Err(Failure::unavailable())
    } else {
        ask(writer, lag, AFTER_GAP, true).await
    };
    let (items, after, to) = match newest {
        Ok(gone) if gone.then == Then::Gone => return take(writer, id, lag, gone).await,
        Ok(pulled) => {
            let items: Vec<_> =
                pulled.items.into_iter().filter(|item| item.sequence() > lag.after).collect();
            let to = items.first().map_or(EntryId::ZERO, |item| item.entry.id);
            (items, pulled.position, to)
        }
        Err(failure) if !unreadable => {
            tracing::debug!(%failure, conversation = %id, "the newest entries cannot be read");
            try_later(writer, id, lag);
            return Ok(false);
        }
        // Nothing is known to be missing, so there is no GAP to tell of.
        Err(_) if lag.need <= lag.after => return Ok(go_on(writer, lag)),
        // What cannot be read now is a GAP up to where this conversation is known to reach.
        Err(_) => (Vec::new(), lag.need, EntryId::new(lag.need + 1, stream)),
    };
    let from_zero = writer.budget(id).is_some_and(|budget| budget.from_zero);
    if to == EntryId::ZERO && !from_zero {
        // All bounds are used up, and of this conversation nothing is left: there is nothing to tell of.
        if let Some(budget) = writer.budget(id) {
            budget.gapped = true;
        }
        writer.outbox.lag(Lag { after: after.max(lag.after), ..lag });
        return Ok(false);
    }
    let from = EntryId::new(lag.after, stream);
    let from = if lag.after == 0 { EntryId::ZERO } else { from };
    let gap = Gap { conversation_id: id, from, to };
    writer.write(frames::dispatch(event::GAP, &gap).into()).await?;
    for item in &items {
        writer.write(item.frame()).await?;
    }
    if let Some(budget) = writer.budget(id) {
        budget.gapped = true;
    }
    writer.outbox.lag(Lag { after: after.max(lag.after), ..lag });
    Ok(unreadable)
}
