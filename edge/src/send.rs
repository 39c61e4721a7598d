//! Appending an entry: from a checked request to "durable and part of the conversation".
//!
//! Invariants: an entry is answered for only after this edge's own follower has passed it and
//! judged it valid. Repeating is always done under the same message id. What may have happened is
//! `unknown_outcome`, never a plain failure.

use std::sync::Arc;
use std::time::Duration;

use bus_schema::entry::Body;
use bus_schema::error::{Code, Failure};
use bus_schema::events::Ephemeral;
use bus_schema::ids::UserId;
use bus_schema::runtime::log::PublishError;
use bus_schema::sabotage::{Safeguard, off};
use bus_schema::subjects::LogSubject;
use bus_schema::text::Nonce;
use rand::distr::{Alphanumeric, SampleString as _};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use crate::follow::conversation::{Command, Passed};
use crate::follow::fetch;
use crate::follow::item::Item;
use crate::hub::StartBy;
use crate::state::Edge;

/// How long after its acknowledgement an entry may take to pass this edge's follower.
const PASS_DEADLINE: Duration = Duration::from_secs(5);

/// Appends an entry and returns it once it is durable and valid. Without a nonce one is made, which
/// makes only this call's own repetitions harmless.
pub(crate) async fn append(
    edge: &Arc<Edge>,
    author: UserId,
    place: LogSubject,
    body: Body,
    nonce: Option<&Nonce>,
) -> Result<Arc<Item>, Failure> {
    let started = Instant::now();
    let result = append_inner(edge, author, place, body, nonce).await;
    let outcome = result.as_ref().err().map_or("ok", |failure| failure.code.as_str());
    metrics::histogram!("natter_send_seconds", "outcome" => outcome).record(started.elapsed());
    result
}

async fn append_inner(
    edge: &Arc<Edge>,
    author: UserId,
    place: LogSubject,
    body: Body,
    nonce: Option<&Nonce>,
) -> Result<Arc<Item>, Failure> {
    edge.cut_off()?;
    let conversation = body.conversation();
    let name = nonce.map_or_else(
        || Alphanumeric.sample_string(&mut rand::rng(), 22),
        |nonce| nonce.as_str().to_owned(),
    );
    follow(edge, author, place).await?;
    let id = format!("{conversation}:{author}:{name}");
    let kind = body.kind().as_str();
    let published = edge.log.publish(place, kind, body.encode(), &id).await;
    let published = published.map_err(|error| match error {
        PublishError::Unknown => Failure::unknown_outcome(),
        PublishError::NotConnected | PublishError::Busy => Failure::unavailable(),
        PublishError::Refused(why) => {
            tracing::error!(why, %place, "the log refused an entry");
            Failure::unavailable()
        }
    })?;
    edge.heard.hear(edge.layout.stream_of(place), published.sequence);
    if published.duplicate && !off(Safeguard::Nudge) {
        // A duplicate is never republished: tell everybody where it is, in case it passed them by.
        let nudge = Ephemeral::Nudge { sequence: published.sequence };
        let nudged = edge.bus.publish_event(place.ephemeral(), &nudge).await;
        nudged.unwrap_or_else(|error| tracing::debug!(%error, "a nudge was not sent"));
    }
    let item = passed(edge, place, published.sequence).await?;
    if published.duplicate && !same(&item.entry.body, &body) {
        return Err(Failure::new(Code::Conflict, "this nonce names another message"));
    }
    Ok(item)
}

/// Makes sure that this edge will see the entry come back.
async fn follow(edge: &Arc<Edge>, author: UserId, place: LogSubject) -> Result<(), Failure> {
    let failed = |error: async_nats::SubscribeError| {
        tracing::warn!(%error, "cannot subscribe");
        Failure::unavailable()
    };
    if matches!(place, LogSubject::Dm(_)) {
        edge.hub.user(edge, author).await.map_err(failed)?;
    }
    edge.hub.follow(edge, place, StartBy::Itself).await.map(|_| ()).map_err(failed)
}

/// Waits until the follower has passed the entry.
async fn passed(edge: &Arc<Edge>, place: LogSubject, sequence: u64) -> Result<Arc<Item>, Failure> {
    let deadline = Instant::now() + PASS_DEADLINE;
    loop {
        let handle = edge.hub.follow(edge, place, StartBy::Itself).await;
        let handle = handle.map_err(|_| Failure::unknown_outcome())?;
        let (reply, answer) = oneshot::channel();
        let asked = timeout_at(deadline, handle.send(Command::Await { sequence, reply })).await;
        match asked {
            // The task has just retired: another takes its place.
            Ok(Err(_)) => continue,
            Ok(Ok(())) => {}
            Err(_) => return Err(Failure::unknown_outcome()),
        }
        match timeout_at(deadline, answer).await {
            Ok(Ok(Passed::Valid(item))) => return Ok(item),
            Ok(Ok(Passed::Void)) => return Err(Failure::not_found()),
            Ok(Ok(Passed::Unknown)) => return look_up(edge, place, sequence).await,
            Ok(Err(_)) => {}
            Err(_) => return Err(Failure::unknown_outcome()),
        }
    }
}

/// An entry older than what the follower remembers.
async fn look_up(edge: &Edge, place: LogSubject, sequence: u64) -> Result<Arc<Item>, Failure> {
    let found = fetch::range(edge, place, Some(sequence - 1), 1, sequence, false).await;
    let found = found.map_err(|_| Failure::unknown_outcome())?;
    let item = found.items.into_iter().find(|item| item.sequence() == sequence);
    item.ok_or_else(Failure::not_found)
}

/// Whether two entries under one nonce say the same.
fn same(stored: &Body, sent: &Body) -> bool {
    match (stored, sent) {
        (Body::MessageCreate(a), Body::MessageCreate(b)) => {
            // What was deleted meanwhile can no longer be compared, and is no other message.
            let same = a.content == b.content || a.content.as_str().is_empty();
            same && a.author_id == b.author_id
        }
        (stored, sent) => stored == sent,
    }
}
