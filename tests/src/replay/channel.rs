//! One day: a channel, its members, and what they say, each message after the previous ack.
//!
//! Invariant: the bot, if there is one, and every observer is a member before anyone speaks, and every author before they do. What
//! has been acknowledged is remembered, to be compared with everything else at the end.

use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use super::Run;
use super::bots::Bot;
use super::cast::Cast;
use super::compare::Item;
use super::input::{Day, Step};
use super::ledger::message_digest;
use super::pool::Pool;
use crate::client::nonce;
use crate::json::Look as _;
use crate::{Context as _, Outcome, ensure};

/// Observers added at the same time: the platform serializes the changes of one channel.
const ADDED_AT_ONCE: usize = 4;

/// A message as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct Said {
    /// Its id by the ACK, and what was said.
    pub item: Item,
    /// When it was first sent.
    pub first: Instant,
}

/// A channel after its day.
#[derive(Clone, Debug)]
pub struct Played {
    /// The day.
    pub name: String,
    /// The channel.
    pub conversation: u64,
    /// Everyone who was added, the creator included.
    pub members: Vec<u64>,
    /// Everything said, in the order of the input.
    pub said: Vec<Said>,
}

/// Plays a day.
pub async fn play(
    run: &Arc<Run>,
    cast: &Arc<Cast>,
    pool: &Pool,
    day: &Day,
    bot: Option<&Bot>,
) -> Outcome<Played> {
    let body = json!({ "name": format!("ubuntu {}", day.name), "nonce": nonce() });
    let api = cast.keeper.api().await?;
    let channel = api.post("/channels", &body).await?.ok(201)?;
    let conversation = channel.id("id")?;
    let mut members = vec![cast.keeper.id];
    if let Some(bot) = bot {
        members.push(add(run, cast, conversation, bot.id, &bot.username).await?);
    }
    let watching = cast.observers.iter();
    let adding = watching.map(|one| add(run, cast, conversation, one.id, &one.username));
    let added: Vec<u64> = stream::iter(adding).buffered(ADDED_AT_ONCE).try_collect().await?;
    members.extend(added);
    let mut said = Vec::new();
    for step in &day.steps {
        match step {
            Step::Join { author } => {
                let person = cast.authors.get(*author).during("an author without account")?;
                members.push(add(run, cast, conversation, person.id, &person.username).await?);
            }
            Step::Say { author, content } => {
                let person = cast.authors.get(*author).during("an author without account")?;
                let sent = pool.say(*author, conversation, content, &nonce()).await?;
                let digest = message_digest(person.id, content);
                said.push(Said { item: Item { id: sent.id, digest }, first: sent.first });
                if let Some(bot) = bot {
                    bot.said.send_modify(|said| *said += 1);
                }
            }
        }
    }
    Ok(Played { name: day.name.clone(), conversation, members, said })
}

async fn add(run: &Run, cast: &Cast, conversation: u64, id: u64, username: &str) -> Outcome<u64> {
    let api = cast.keeper.api().await?;
    let body = json!({ "username": username });
    let path = format!("/channels/{conversation}/members");
    let channel = api.post(&path, &body).await?.ok(200)?;
    if channel.get("member_ids").is_some() {
        let members = channel.ids("member_ids")?;
        ensure!(members.contains(&id), "{username} was added and is no member");
    }
    run.progress.added.up();
    Ok(id)
}
