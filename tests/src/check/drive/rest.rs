//! What is there once everything has come to rest: as the log has it, and as each person sees it on
//! each edge.
//!
//! Invariant: nothing is compared here. A refusal is an observation, too.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::{DeliverPolicy, pull};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::town::{Person, Town};
use crate::check::faults::bus::Bus;
use crate::check::record::{Document, Entry, Message, Seen as Observed, Shown, User};
use crate::client::{Api, Socket, paging};
use crate::eventually::{Seen, eventually};
use crate::json::Look as _;
use crate::{Context as _, Outcome, ensure};

/// How long what is asked is asked again.
const PATIENCE: Duration = Duration::from_secs(20);
/// Questions at once.
const AT_ONCE: usize = 6;
/// The next entry of a stream.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// The log has come to rest when nothing has come into it for so long: what a change left in its outbox
/// is found after 2 s by a sweep that comes every 2 s, and takes a moment to write.
const STILL: Duration = Duration::from_secs(6);
/// How long that may take in all.
const STILL_WITHIN: Duration = Duration::from_mins(1);

/// Waits until nothing more comes into the log: a change whose writer died is written later.
pub async fn still(bus: &Bus) -> Outcome {
    let context = jetstream::new(bus.client().clone());
    let mut seen = (Vec::new(), Instant::now());
    eventually("the log comes to rest", STILL_WITHIN, async || {
        let mut ends = Vec::new();
        for name in bus.log_streams() {
            let log = context.get_stream(name).await;
            ends.push(log.map(|log| log.cached_info().state.last_sequence).ok());
        }
        if ends != seen.0 || ends.contains(&None) {
            seen = (ends, Instant::now());
        }
        Ok(Seen::when(seen.1.elapsed() >= STILL, format_args!("it ends at {:?}", seen.0)))
    })
    .await
}

/// Observes everything.
pub async fn observe(town: &Town, bus: &Bus) -> Outcome {
    for stream in bus.log_streams() {
        read_stream(town, bus, stream).await.during(format_args!("reading {stream}"))?;
    }
    let places = town.places().iter().map(|place| (place.id, place.owner.is_some())).collect();
    let mut conversations: BTreeSet<(u64, bool)> = places;
    let mut asking = Vec::new();
    for person in &town.people {
        for edge in 0..town.edges {
            asking.push((person, edge));
        }
    }
    let fresh = stream::iter(asking).map(|(person, edge)| fresh(town, person, edge));
    let fresh: Vec<Vec<(u64, bool)>> = fresh.buffer_unordered(AT_ONCE).try_collect().await?;
    conversations.extend(fresh.into_iter().flatten());
    let mut asking = Vec::new();
    for person in &town.people {
        let api = town.patient(person, person.index % town.edges, PATIENCE).await?;
        asking.extend(conversations.iter().map(|&place| (api.clone(), person.id, place)));
    }
    let places = stream::iter(asking)
        .map(|(api, person, place)| async move { place_of(town, &api, person, place).await });
    places.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
    profiles(town).await
}

/// What a new device is shown. Returns the conversations, and which of them are channels.
async fn fresh(town: &Town, person: &Person, edge: usize) -> Outcome<Vec<(u64, bool)>> {
    let token = town.token(person).await?;
    let url = town.direct().get(edge).during("no such edge")?;
    let ready = async {
        let mut socket = Socket::open(url).await?;
        let ready = socket.identify(&token).await?;
        let mut users = vec![User::read(ready.at("user")?)?];
        for user in ready.list("users")? {
            users.push(User::read(user)?);
        }
        Ok::<_, crate::Failure>((Shown::read_all(ready.list("conversations")?)?, users))
    };
    let (conversations, users) = match Box::pin(ready).await {
        Ok((conversations, users)) => (Ok(conversations), users),
        Err(failure) => (Err(failure.to_string()), Vec::new()),
    };
    let all = conversations.iter().flatten();
    let all = all.map(|shown| (shown.conversation, shown.owner.is_some())).collect();
    town.recorder.seen(Observed::Fresh { person: person.id, edge, conversations, users });
    Ok(all)
}

/// A conversation as one person is given it.
async fn place_of(
    town: &Town,
    api: &Api,
    person: u64,
    (conversation, is_channel): (u64, bool),
) -> Outcome {
    let recorder = &town.recorder;
    // A refusal is a code; everything else that is wrong is told in words.
    let path = format!("/conversations/{conversation}/entries?after=0&limit=1");
    if let Some(code) = api.get(&path).await?.code() {
        let refused = || code.to_owned();
        recorder.seen(Observed::Entries { person, conversation, pages: Err(refused()) });
        for forwards in [true, false] {
            let pages = Err(refused());
            recorder.seen(Observed::History { person, conversation, forwards, pages });
        }
        if is_channel {
            let document = Err(refused());
            recorder.seen(Observed::Channel { person, conversation, document });
        }
        return Ok(());
    }
    let entries = paging::all_entries(api, conversation, 0).await;
    let entries = entries.and_then(|all| all.iter().map(Entry::read_item).collect());
    let pages = entries.map_err(|failure: crate::Failure| failure.to_string());
    recorder.seen(Observed::Entries { person, conversation, pages });
    let read = |all: Vec<Value>| all.iter().map(Message::read).collect::<Outcome<Vec<_>>>();
    for forwards in [true, false] {
        let pages = if forwards {
            paging::forwards(api, conversation, paging::PAGE).await
        } else {
            paging::backwards(api, conversation, 37).await
        };
        let pages = pages.and_then(read).map_err(|failure| failure.to_string());
        recorder.seen(Observed::History { person, conversation, forwards, pages });
    }
    if is_channel {
        let answer = api.get(&format!("/channels/{conversation}")).await?;
        let document = match answer.code() {
            Some(code) => Err(code.to_owned()),
            None => Ok(Document::read(&answer.body)?),
        };
        recorder.seen(Observed::Channel { person, conversation, document });
    }
    Ok(())
}

/// Everybody's profile, from each edge.
async fn profiles(town: &Town) -> Outcome {
    let Some(somebody) = town.people.first() else { return Ok(()) };
    let ids: Vec<String> = town.people.iter().map(|person| person.id.to_string()).collect();
    for (edge, url) in town.direct().iter().enumerate() {
        let api = town.patient(somebody, edge, PATIENCE).await?.at(url);
        let answer = api.get(&format!("/users?ids={}", ids.join(","))).await?.ok(200)?;
        for user in answer.list("users")? {
            town.recorder.seen(Observed::Profile { edge, user: User::read(user)? });
        }
    }
    Ok(())
}

/// A log stream as it is, entry by entry.
async fn read_stream(town: &Town, bus: &Bus, name: &str) -> Outcome {
    let index: u64 = name.strip_prefix("LOG_").during("not a log stream")?.parse()?;
    let log = jetstream::new(bus.client().clone()).get_stream(name).await?;
    let state = log.get_info().await?.state;
    let (first, last) = (state.first_sequence, state.last_sequence);
    town.recorder.seen(Observed::Stream { stream: index, first, last });
    if state.messages == 0 {
        return Ok(());
    }
    let config = pull::OrderedConfig { deliver_policy: DeliverPolicy::All, ..Default::default() };
    let mut messages = log.create_consumer(config).await?.messages().await?;
    loop {
        let next = timeout(READ_WITHIN, messages.next()).await.during("the next entry")?;
        let message = next.during("the end of a stream without end")??;
        let info = message.info().map_err(|error| crate::Failure::new(error.to_string()))?;
        let sequence = info.stream_sequence;
        let at = u64::try_from(info.published.unix_timestamp_nanos() / 1_000)?;
        // Notices are nobody's entries.
        if message.subject.split('.').nth(2) != Some("u") {
            let headers = message.headers.as_ref();
            let kind = headers.and_then(|headers| headers.get("Natter-Type"));
            let read = kind.during("no Natter-Type").and_then(|kind| {
                let data: Value = serde_json::from_slice(&message.payload)?;
                Entry::read_stored(kind.as_str(), &data, sequence * 1024 + index, at)
            });
            town.recorder.seen(match read {
                Ok(entry) => Observed::Stored(entry),
                Err(why) => Observed::Undecodable { stream: index, sequence, why: why.to_string() },
            });
        }
        ensure!(sequence <= last, "{name} grows at rest: {sequence} after {last}");
        if sequence == last {
            return Ok(());
        }
    }
}
