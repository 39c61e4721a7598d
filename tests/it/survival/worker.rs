//! Workers are killed and started again.

use std::time::Duration;

use natter_tests::client::{Event, Session};
use natter_tests::ensure;
use natter_tests::eventually::{Seen, eventually};
use natter_tests::stack::Plan;

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
