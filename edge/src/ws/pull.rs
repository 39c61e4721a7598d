//! Feeding a socket with a conversation from a position: replay after IDENTIFY, and catching up
//! when it was slow. One path for both.
//!
//! Invariant: what `replays` says is asked for, written and told, in that order.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::frames::{self, event};
use bus_schema::ids::ConversationId;
use bus_schema::runtime::bus::jitter;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout_at};

use super::outbox::Lag;
use super::replays::{Ask, Cut, Onward};
use super::writer::{End, Writer};
use crate::follow::conversation::{Command, Pull, Pulled, Then, remove_frame};
use crate::hub::StartBy;

/// Pulls once. Whether the conversation is done: live, gone, or no longer waited for.
pub(super) async fn pull(writer: &mut Writer, lag: Lag) -> Result<bool, End> {
    let Some(id) = lag.place.conversation() else { return Ok(true) };
    let newest = match writer.replays.ask(id) {
        Ask::Entries(limit) => match ask(writer, lag, limit, false).await {
            Ok(pulled) => return take(writer, id, lag, pulled).await,
            Err(failure) => return Ok(try_later(writer, id, lag, &failure)),
        },
        Ask::Newest(limit) => match ask(writer, lag, limit, true).await {
            Ok(gone) if gone.then == Then::Gone => return take(writer, id, lag, gone).await,
            Ok(pulled) => Some(pulled),
            Err(failure) => return Ok(try_later(writer, id, lag, &failure)),
        },
        Ask::Nothing => None,
    };
    cut(writer, id, lag, newest).await
}

/// Puts a conversation off for a moment: it is not done.
fn try_later(writer: &mut Writer, id: ConversationId, lag: Lag, failure: &Failure) -> bool {
    tracing::debug!(%failure, conversation = %id, "pulling again");
    let wait = writer.replays.failed(id);
    let outbox = writer.outbox.clone();
    tokio::spawn(async move {
        sleep(jitter(wait)).await;
        outbox.lag(lag);
    });
    false
}

async fn ask(writer: &Writer, lag: Lag, limit: usize, newest: bool) -> Result<Pulled, Failure> {
    let id = lag.place.conversation().ok_or_else(Failure::not_found)?;
    let until = Instant::now() + writer.replays.patience(id);
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
    for item in &pulled.items {
        writer.write(item.frame()).await?;
    }
    match writer.replays.took(id, lag, &pulled) {
        Onward::Again(lag) => {
            writer.outbox.lag(lag);
            Ok(false)
        }
        Onward::Live => Ok(true),
        Onward::Gone => {
            writer.write(remove_frame(id)).await?;
            writer.edge.hub.forget(writer.outbox.user, id, writer.outbox.id);
            Ok(true)
        }
    }
}

/// Cuts a replay: a GAP, then the newest entries, then live.
async fn cut(
    writer: &mut Writer,
    id: ConversationId,
    lag: Lag,
    newest: Option<Pulled>,
) -> Result<bool, End> {
    let stream = writer.edge.layout.stream_of(lag.place);
    let Cut { gap, items, lag, done } = writer.replays.cut((id, stream), lag, newest);
    if let Some(gap) = gap {
        writer.write(frames::dispatch(event::GAP, &gap).into()).await?;
    }
    for item in &items {
        writer.write(item.frame()).await?;
    }
    writer.outbox.lag(lag);
    Ok(done)
}
