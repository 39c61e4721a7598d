//! Workers are killed and started again.

use std::time::Duration;

use async_nats::{HeaderMap, jetstream};
use bus_schema::entry::Notice;
use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::streams::HEADER_TYPE;
use bus_schema::subjects::LogSubject;
use natter_tests::client::{Event, Session};
use natter_tests::eventually::{Seen, eventually};
use natter_tests::stack::{Plan, Stack};
use natter_tests::{Outcome, ensure};

use crate::support::{alone, find};

const LIMIT: Duration = Duration::from_mins(3);
const BACK: Duration = Duration::from_secs(30);

#[test]
fn live_chat_goes_on_without_workers_and_everything_is_there_when_they_are_back() {
    alone(LIMIT, Plan::default(), async |stack, world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let (mut from, mut to) = (owner.session().await?, member.session().await?);
        let mut sent = vec![from.say(channel, "before").await?];
        stack.kill("worker-0")?;
        for index in 0..5 {
            sent.push(from.say(channel, &index.to_string()).await?);
        }
        for &id in &sent {
            to.message(id).await?;
        }
        let path = format!("/channels/{channel}");
        let answer = owner.api.patch(&path, &serde_json::json!({ "name": "x" })).await?;
        ensure!(matches!(answer.status, 503 | 504) && answer.code().is_some(), "{answer:?}");
        stack.revive("worker-0").await?;
        eventually("history is whole again", BACK, async || {
            let path = format!("/conversations/{channel}/messages?limit=100");
            let answer = member.api.get(&path).await?;
            let count = answer.body["messages"].as_array().map_or(0, Vec::len);
            Ok(Seen::when(count == sent.len(), format!("{answer:?}")))
        })
        .await?;
        let name = owner.patient().patch(&path, &serde_json::json!({ "name": "lair" })).await?;
        name.ok(200)?;
        Ok(())
    });
}

/// What asks whether somebody may read, and where, is answered from what their edge knows.
#[test]
fn who_is_connected_goes_on_without_the_channels_role() {
    let plan = Plan::default().workers(&["setup,auth,profiles,history,persister", "channels"]);
    alone(LIMIT, plan, async |stack, world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let (mut from, to) = (owner.session().await?, member.session().await?);
        let sent = from.say(channel, "before").await?;
        stack.kill("worker-1")?;
        from.say(channel, "after").await?;
        owner.edit(channel, sent, "edited").await?;
        member.read(channel, sent).await?;
        ensure!(member.listed(channel).await?.is_some(), "the list is there");
        let cursors = to.close().await;
        let _resumed = member.resume(&member.edge, cursors).await?;
        let path = format!("/channels/{channel}");
        let answer = owner.api.patch(&path, &serde_json::json!({ "name": "x" })).await?;
        ensure!(answer.code() == Some("unavailable"), "{answer:?}");
        stack.revive("worker-1").await
    });
}

/// A removal tells nobody but the channel's own log, which an edge does not follow for who is not there.
#[test]
fn who_was_removed_is_shown_nothing_while_the_channels_role_is_away() {
    let plan = Plan::default().workers(&["setup,auth,profiles,history,persister", "channels"]);
    alone(LIMIT, plan, async |stack, world| {
        let owner = world.person_on(0, "owner").await?;
        let member = world.person_on(1, "member").await?;
        let (channel, kept) = (owner.channel("den").await?, owner.channel("kept").await?);
        // The edge keeps the list beyond the socket. It hears of both additions by their notices, so
        // that none is news to it later, when the list could not be read anew.
        let mut session = member.session().await?;
        for id in [channel, kept] {
            owner.add(id, &member).await?;
            session.message(owner.post(id, "before").await?).await?;
        }
        let cursors = session.close().await;
        owner.remove(channel, &member).await?;
        owner.post(channel, "after").await?;
        stack.kill("worker-1")?;
        ensure!(member.listed(channel).await?.is_none(), "the list shows it");
        ensure!(member.listed(kept).await?.is_some(), "the list lacks another");
        for page in ["messages", "entries"] {
            let path = format!("/conversations/{channel}/{page}");
            let answer = member.api.get(&path).await?;
            ensure!(answer.code() == Some("not_found"), "{answer:?}");
            let path = format!("/conversations/{kept}/{page}");
            member.api.get(&path).await?.ok(200)?;
        }
        let (mut resumed, ready) = Session::resume(&member.edge, member.token(), cursors).await?;
        ensure!(find(&ready, channel)?.is_none(), "READY shows it: {ready}");
        ensure!(find(&ready, kept)?.is_some(), "READY lacks another: {ready}");
        let channel = channel.to_string();
        let gone = |event: &Event| event.data["conversation_id"] == channel.as_str();
        resumed.wait("CONVERSATION_REMOVE", gone).await?;
        stack.revive("worker-1").await
    });
}

/// An addition that was answered is in every list that is shown later, or none is shown: an edge that
/// has its notice, and cannot read the list, knows that the one it holds is not whole.
#[test]
fn a_list_that_is_known_not_to_be_whole_is_not_shown() {
    let workers = ["setup,auth,profiles,history,persister", "channels"];
    let plan = Plan::default().clustered().workers(&workers);
    alone(LIMIT, plan, async |stack, world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let later = owner.channel("later").await?;
        let mut session = member.session().await?;
        stack.kill("worker-1")?;
        ensure!(member.listed(channel).await?.is_some(), "the list is there");
        notice(stack, later, member.id()).await?;
        eventually("no list is shown", BACK, async || {
            let answer = member.api.get("/conversations").await?;
            Ok(Seen::when(answer.code() == Some("unavailable"), format!("{answer:?}")))
        })
        .await?;
        let refused = member.socket().await.err().map(|refused| refused.to_string());
        let come_again = refused.as_ref().is_some_and(|refused| refused.contains("4000"));
        ensure!(come_again, "IDENTIFY was answered: {refused:?}");
        session.say(channel, "who is connected goes on").await?;
        stack.revive("worker-1").await?;
        eventually("the list is shown again", BACK, async || {
            let answer = member.api.get("/conversations").await?;
            Ok(Seen::when(answer.status == 200, format!("{answer:?}")))
        })
        .await?;
        session.say(channel, "and is not sent away").await.map(drop)
    });
}

/// A notice that somebody was added, as the channels role leaves it in the log before it ends.
async fn notice(stack: &Stack, channel: u64, user: u64) -> Outcome {
    let added = Notice::AddedToChannel {
        conversation_id: ConversationId(channel),
        entry_id: EntryId(1),
        revision: 2,
    };
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_TYPE, "NOTICE");
    let place = LogSubject::User(UserId(user)).to_string();
    let payload = serde_json::to_vec(&added)?;
    let context = jetstream::new(stack.checker().await?);
    context.publish_with_headers(place, headers, payload.into()).await?.await?;
    Ok(())
}

#[test]
fn what_was_stored_survives_everything_being_killed() {
    alone(LIMIT, Plan::default(), async |stack, world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = owner.post(channel, "to be kept").await?;
        let names = stack.names();
        for name in &names {
            stack.kill(name)?;
        }
        stack.nats().restart().await?;
        for name in &names {
            stack.revive(name).await?;
        }
        let again = member.again_on(&world.edges[0]).await?;
        eventually("the message is there", BACK, async || {
            let path = format!("/conversations/{channel}/messages");
            let answer = again.api.get(&path).await?;
            let there = answer.body["messages"][0]["id"] == message.to_string().as_str();
            Ok(Seen::when(there, format!("{answer:?}")))
        })
        .await
    });
}
