//! An entry that is in the log and was passed on to nobody, as by a leader that died in between.

use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::header::NATS_MESSAGE_ID;
use async_nats::jetstream;
use bus_schema::entry::{Body, MessageCreate};
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::streams::HEADER_TYPE;
use bus_schema::subjects::{LIVE_ALL, LogSubject};
use bus_schema::text::{Content, Nonce};
use futures::StreamExt as _;
use natter_tests::client::{Event, Kind, nonce};
use natter_tests::ensure;
use natter_tests::json::Look as _;
use natter_tests::stack::{Plan, Stack};
use natter_tests::{Context as _, Outcome};

use crate::support::alone;

const LIMIT: Duration = Duration::from_mins(3);

/// Whoever sent it sends it again, as they have no answer. The log has it and does not pass it on then
/// either. Here nothing else tells the other edge: without history there are no digests, and nothing is
/// said afterwards. It takes the nudge of the edge that was told "I have it".
#[test]
fn a_message_that_nobody_heard_reaches_everybody_when_it_is_sent_again() {
    let plan =
        Plan::default().clustered().workers(&["setup,auth,profiles,channels,persister", "history"]);
    alone(LIMIT, plan, async |stack, world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let (mut from, mut to) = (owner.session().await?, member.session().await?);
        let before = from.say(channel, "before").await?;
        to.message(before).await?;
        stack.kill("worker-1")?;
        let nonce = nonce();
        let message = MessageCreate {
            conversation_id: ConversationId(channel),
            author_id: UserId(owner.id()),
            content: Content::parse("unheard").during("content")?,
            edited_at: None,
            nonce: Some(Nonce::parse(&nonce).during("nonce")?),
        };
        store_unheard(stack, &Body::MessageCreate(message), &nonce).await?;
        from.send(channel, "unheard", &nonce).await?;
        let answer = |event: &Event| {
            matches!(event.kind, Kind::Ack | Kind::Nack) && event.data["nonce"] == nonce.as_str()
        };
        let answer = from.wait("ACK or NACK", answer).await?;
        ensure!(answer.kind == Kind::Ack, "refused: {}", answer.data);
        let heard = to.message(answer.data.id("id")?).await?;
        ensure!(heard["content"] == "unheard", "{heard}");
        stack.revive("worker-1").await
    });
}

/// Stores a message under the id that its author's edge would give it, while its stream passes on
/// nothing.
async fn store_unheard(stack: &Stack, body: &Body, nonce: &str) -> Outcome {
    let client = stack.checker().await?;
    let context = jetstream::new(client.clone());
    let mut live = client.subscribe(LIVE_ALL).await?;
    let place = LogSubject::Channel(body.conversation()).to_string();
    let name = context.stream_by_subject(place.clone()).await?;
    let loud = context.get_stream(&name).await?.cached_info().config.clone();
    let silent = jetstream::stream::Config { republish: None, ..loud.clone() };
    ensure!(loud.republish.is_some(), "{name} passes on nothing anyway");
    context.update_stream(&silent).await?;
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_TYPE, body.kind().as_str());
    let id = format!("{}:{}:{nonce}", body.conversation(), body.author());
    headers.insert(NATS_MESSAGE_ID, id.as_str());
    let stored = context.publish_with_headers(place, headers, body.encode().into()).await?.await?;
    ensure!(!stored.duplicate, "{name} had it");
    context.update_stream(&loud).await?;
    // What the stream passed on came before its acknowledgement, and so before this.
    let marker = LIVE_ALL.replace('>', "marker");
    client.publish(marker.clone(), "".into()).await?;
    let first = live.next().await.during("anything live")?;
    ensure!(first.subject.as_str() == marker, "passed on: {first:?}");
    Ok(())
}
