//! What bots say and hear.

use std::time::Duration;

use futures::StreamExt as _;
use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::{client, ensure};
use serde_json::json;
use tokio::time::timeout;

use crate::support::{Bot, SOON, nobody, play};

#[test]
fn people_and_a_bot_hear_each_other() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let before = owner.post(channel, "before it came").await?;
        let bot = Bot::of(&owner, &world, "echo").await?;
        let mut session = member.session().await?;
        owner.add_bot(channel, &bot).await?;
        let added = session.expect("MEMBER_ADD").await?;
        assert_eq!(bot.expect("MEMBER_ADD").await?, added, "its own addition is the first");
        ensure!(bot.is(&added["user_id"]) && added.id("id")? > before, "{added}");

        let asked = owner.post(channel, "hello bot").await?;
        let heard = bot.expect("MESSAGE_CREATE").await?;
        assert_eq!(heard, session.message(asked).await?, "the same event as people get");
        let answered = bot.say(channel, "hello people").await?;
        let shown = session.message(answered).await?;
        ensure!(bot.is(&shown["author_id"]) && shown["content"] == "hello people", "{shown}");
        assert_eq!(bot.expect("MESSAGE_CREATE").await?, shown, "and its own");

        let edit = json!({ "conversation_id": channel.to_string(),
            "message_id": answered.to_string(), "content": "hello, people" });
        let edited = bot.ask("api.messages.edit", &edit).await?;
        assert_eq!(edited["content"], "hello, people");
        let update = bot.expect("MESSAGE_UPDATE").await?;
        assert_eq!(update, session.expect("MESSAGE_UPDATE").await?);
        let delete = json!({ "conversation_id": channel.to_string(),
            "message_id": answered.to_string() });
        assert_eq!(bot.ask("api.messages.delete", &delete).await?, json!({}));
        assert_eq!(bot.expect("MESSAGE_DELETE").await?, session.expect("MESSAGE_DELETE").await?);
        bot.refused("api.messages.delete", &delete, "not_found").await?;

        let theirs = json!({ "conversation_id": channel.to_string(),
            "message_id": asked.to_string(), "content": "x" });
        bot.refused("api.messages.edit", &theirs, "forbidden").await?;
        bot.refused("api.messages.delete", &theirs, "forbidden").await?;

        let path = format!("/channels/{channel}/members/{}", bot.id);
        owner.api.delete(&path).await?.ok(204)?;
        let removed = bot.expect("MEMBER_REMOVE").await?;
        ensure!(bot.is(&removed["user_id"]), "{removed}");
        owner.post(channel, "behind its back").await?;
        bot.refused(&format!("send.{channel}"), &json!({ "content": "x" }), "not_found").await?;
        owner.add_bot(channel, &bot).await?;
        bot.expect("MEMBER_ADD").await?;
        Ok(())
    });
}

#[test]
fn a_nonce_names_a_message_of_a_bots_as_of_anyones() {
    play(async |world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        let bot = Bot::of(&owner, &world, "again").await?;
        owner.add_bot(channel, &bot).await?;
        let nonce = client::nonce();
        let first = bot.say_as(channel, "once", &nonce).await?;
        assert_eq!(bot.say_as(channel, "once", &nonce).await?, first);
        let other = json!({ "content": "twice", "nonce": nonce });
        bot.refused(&format!("send.{channel}"), &other, "conflict").await?;
        let plain = bot.ask(&format!("send.{channel}"), &json!({ "content": "plain" })).await?;
        ensure!(plain.id("id")? > first, "{plain}");
        Ok(())
    });
}

#[test]
fn what_a_bot_asks_is_checked_as_what_people_ask() {
    play(async |world| {
        let (owner, other, channel) = world.channel_of_two().await?;
        let bot = Bot::of(&owner, &world, "checked").await?;
        let send = format!("send.{channel}");
        bot.refused(&send, &json!({ "content": "not in it" }), "not_found").await?;
        bot.refused(&format!("send.{}", nobody()), &json!({ "content": "x" }), "not_found").await?;
        owner.add_bot(channel, &bot).await?;
        for wrong in [
            json!({}),
            json!({ "content": "" }),
            json!({ "content": 5 }),
            json!({ "content": "x".repeat(4_001) }),
            json!({ "content": "x", "nonce": "é" }),
            json!(["x", "n"]),
            json!("x"),
        ] {
            bot.refused(&send, &wrong, "bad_request").await?;
        }
        bot.refused(&send, &json!({ "content": "x".repeat(70_000) }), "too_large").await?;
        let ids = [bot.id, other.id()].map(|id| id.to_string());
        let users = bot.ask("api.users.get", &json!({ "ids": ids })).await?;
        assert_eq!(users.list("users")?.len(), 2);
        bot.refused("api.users.get", &json!({}), "bad_request").await?;
        let id = channel.to_string();
        let shown = bot.ask("api.channels.get", &json!({ "id": id })).await?;
        assert_eq!(shown["name"], "den");
        bot.refused("api.channels.get", &json!({ "id": nobody().to_string() }), "not_found")
            .await?;
        let list = bot.ask("api.conversations.list", &json!({})).await?;
        assert_eq!(list["conversations"][0]["id"], id.as_str());
        let said = bot.say(channel, "one").await?;
        let page = json!({ "conversation_id": id, "limit": 1 });
        let messages = bot.ask("api.messages.list", &page).await?;
        assert_eq!(messages["messages"][0].id("id")?, said);
        let page = json!({ "conversation_id": id, "limit": 101 });
        bot.refused("api.messages.list", &page, "bad_request").await?;
        let page = json!({ "conversation_id": id, "before": "1", "after": "1" });
        bot.refused("api.messages.list", &page, "bad_request").await?;
        let entries = bot.ask("api.entries.list", &json!({ "conversation_id": id })).await?;
        assert_eq!(entries["entries"][0]["t"], "MEMBER_ADD");
        assert_eq!(entries["next"].as_str(), Some(said.to_string().as_str()));
        let stranger = Bot::of(&owner, &world, "stranger").await?;
        for what in ["api.messages.list", "api.entries.list"] {
            let body = json!({ "conversation_id": id });
            stranger.refused(what, &body, "not_found").await?;
        }
        Ok(())
    });
}

#[test]
fn an_answer_asks_for_nothing_in_anothers_name_and_headers_from_outside_end() {
    play(async |world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        let bot = Bot::of(&owner, &world, "sly").await?;
        owner.add_bot(channel, &bot).await?;
        let other = Bot::of(&owner, &world, "victim").await?;
        owner.add_bot(channel, &other).await?;
        let mut inbox = other.client.subscribe(format!("_INBOX_{}.>", other.id)).await?;
        other.client.flush().await?;
        let subject = format!("bot.{}.send.{channel}", bot.id);
        let place = format!("bot.{}.send.{channel}", other.id);
        let body = json!({ "content": "zero" }).to_string();
        bot.client.publish_with_reply(subject.clone(), place, body.into()).await?;
        bot.client.flush().await?;
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", "chosen");
        headers.insert("Nats-Expected-Last-Sequence", "1");
        headers.insert("Nats-Rollup", "all");
        headers.insert("Natter-User", owner.id().to_string());
        let mut ids = Vec::new();
        for content in ["one", "two"] {
            let body = json!({ "content": content }).to_string();
            let asked =
                bot.client.request_with_headers(subject.clone(), headers.clone(), body.into());
            let answer: serde_json::Value = serde_json::from_slice(&asked.await?.payload)?;
            ids.push(answer.id("id")?);
        }
        ensure!(ids[0] != ids[1], "a message id from outside counted");
        let waited = timeout(Duration::from_millis(200), inbox.next()).await;
        ensure!(waited.is_err(), "another bot asked: {waited:?}");
        let path = format!("/conversations/{channel}/messages");
        // Whoever does not wait for an answer has no order among what it asked: "zero" may be later.
        let page = eventually("all three are said", SOON, async || {
            let page = owner.api.get(&path).await?.ok(200)?;
            let all = page.list("messages")?.len() == 3;
            Ok(if all { Seen::Done(page) } else { Seen::not_yet(page) })
        })
        .await?;
        let mut said: Vec<_> =
            page.list("messages")?.iter().filter_map(|m| m["content"].as_str()).collect();
        said.sort_unstable();
        assert_eq!(said, ["one", "two", "zero"]);
        ensure!(page.list("messages")?.iter().all(|m| bot.is(&m["author_id"])), "{page}");
        Ok(())
    });
}

#[test]
fn a_bot_hears_its_dms() {
    play(async |world| {
        let (owner, bob) = (world.person("owner").await?, world.person_on(1, "bob").await?);
        let bot = Bot::of(&owner, &world, "dm").await?;
        let dm = bob.api.post("/dms", &json!({ "username": bot.username })).await?.ok(200)?;
        let id = dm.id("id")?;
        let asked = bob.post(id, "psst").await?;
        assert_eq!(bot.expect("MESSAGE_CREATE").await?.id("id")?, asked);
        let mut session = bob.session().await?;
        let answered = bot.say(id, "yes?").await?;
        session.message(answered).await?;
        Ok(())
    });
}
