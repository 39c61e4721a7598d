//! GET /conversations.

use natter_tests::json::{Look as _, is_id};
use natter_tests::{Outcome, ensure};
use serde_json::{Value, json};

use crate::support::{find, play};

/// The conversations by id, without their messages, which only READY has.
fn plain(answer: &Value) -> Outcome<Vec<Value>> {
    let mut list = answer.list("conversations")?.clone();
    for conversation in &mut list {
        if let Some(fields) = conversation.as_object_mut() {
            fields.remove("messages");
        }
    }
    list.sort_by_key(|conversation| conversation.id("id").unwrap_or(0));
    Ok(list)
}

fn users(answer: &Value) -> Outcome<Vec<u64>> {
    let mut ids: Vec<u64> =
        answer.list("users")?.iter().map(|user| user.id("id")).collect::<Outcome<_>>()?;
    ids.sort_unstable();
    Ok(ids)
}

#[test]
fn a_new_account_has_none() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let answer = ann.api.get("/conversations").await?.ok(200)?;
        assert_eq!(answer.list("conversations")?.len(), 0);
        Ok(())
    });
}

#[test]
fn a_channel_is_listed_as_documented() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = owner.post(channel, "hello").await?;
        let listed = member.will_list(channel, "the message", |shown| shown["unread"] == 1).await?;
        assert_eq!(listed.text("kind")?, "channel");
        assert_eq!(listed.text("name")?, "den");
        assert_eq!(listed.id("owner_id")?, owner.id());
        assert_eq!(listed.id("last_id")?, message);
        let entries = natter_tests::client::paging::all_entries(&member.api, channel, 0).await?;
        assert_eq!(listed.id("read_id")?, entries[1].id("d/id")?, "their own MEMBER_ADD");
        Ok(())
    });
}

#[test]
fn the_list_is_that_of_ready_on_every_edge() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let other = member.channel("other").await?;
        let dm = owner.dm(&member).await?;
        owner.post(dm, "hello").await?;
        let last = owner.post(channel, "hello").await?;
        member.will_list(dm, "the DM", |shown| shown["unread"] == 1).await?;
        let wanted = |shown: &Value| shown["unread"] == 1 && is_id(&shown["last_id"], last);
        member.will_list(channel, "the message", wanted).await?;
        let answer = member.api.get("/conversations").await?.ok(200)?;
        for edge in &world.edges {
            let ready = member.ready(edge).await?;
            assert_eq!(plain(&ready)?, plain(&answer)?);
            ensure!(find(&ready, other)?.is_some(), "no {other} in {ready}");
        }
        Ok(())
    });
}

#[test]
fn each_user_that_is_mentioned_is_there_once() {
    play(async |world| {
        let (owner, member, _) = world.channel_of_two().await?;
        let second = owner.channel("second").await?;
        owner.add(second, &member).await?;
        let carl = world.person("carl").await?;
        member.dm(&carl).await?;
        let answer = member.api.get("/conversations").await?.ok(200)?;
        let ids = users(&answer)?;
        ensure!(ids.is_sorted_by(|a, b| a < b), "somebody is there twice: {ids:?}");
        for person in [&owner, &carl] {
            ensure!(ids.contains(&person.id()), "{} is missing: {answer}", person.name());
            ensure!(answer.list("users")?.contains(&person.account.user), "{answer}");
        }
        Ok(())
    });
}

#[test]
fn ready_has_the_newest_messages_of_the_ten_most_recent() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let mut channels = Vec::new();
        for index in 0..12 {
            let channel = ann.channel(&format!("channel {index}")).await?;
            ann.post(channel, "hello").await?;
            channels.push(channel);
        }
        let last = channels[0];
        for index in 0..52 {
            ann.post(last, &format!("message {index}")).await?;
        }
        let ready = ann.ready(ann.other_edge()).await?;
        let with: Vec<u64> = ready
            .list("conversations")?
            .iter()
            .filter(|shown| shown["messages"].is_array())
            .map(|shown| shown.id("id"))
            .collect::<Outcome<_>>()?;
        assert_eq!(with.len(), 10);
        ensure!(
            !with.contains(&channels[1]) && !with.contains(&channels[2]),
            "the oldest have some"
        );
        let shown = find(&ready, last)?.unwrap_or_default();
        let messages = shown.list("messages")?;
        assert_eq!(messages.len(), 50);
        let newest: Vec<_> = messages.iter().map(|message| message["content"].clone()).collect();
        let wanted: Vec<_> = (2..52).map(|index| json!(format!("message {index}"))).collect();
        assert_eq!(newest, wanted);
        Ok(())
    });
}
