//! HELLO, IDENTIFY, READY, RESUMED.

use natter_tests::client::{Heard, Socket};
use natter_tests::json::Look as _;
use natter_tests::{Context as _, ensure};
use serde_json::{Value, json};

use crate::support::{find, play};

#[test]
fn hello_comes_first_and_need_not_be_waited_for() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let mut socket = Socket::open(&ann.edge).await?;
        socket.send(&json!({ "op": 2, "d": { "token": ann.token() } })).await?;
        let Heard::Frame(hello) = socket.next().await? else {
            natter_tests::fail!("closed at once");
        };
        assert_eq!(hello["op"], 10, "{hello}");
        ensure!(hello.number("d/heartbeat_interval_ms")? >= 1000, "{hello}");
        hello.text("d/server")?;
        socket.event("READY").await?;
        Ok(())
    });
}

#[test]
fn ready_is_as_documented_and_resumed_always_comes() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        owner.post(channel, "hello").await?;
        member.will_list(channel, "the message", |shown| shown["unread"] == 1).await?;
        let mut socket = Socket::open(&member.edge).await?;
        let ready = socket.identify(member.token()).await?;
        assert_eq!(ready.at("user")?, &member.account.user);
        ensure!(!ready.at("session_id")?.is_null(), "{ready}");
        ensure!(ready.number("limits/send_per_s")? >= 1, "{ready}");
        ensure!(ready.number("limits/send_burst")? >= 1, "{ready}");
        let edges = ready.list("edges")?;
        ensure!(edges.contains(&json!(member.edge)), "{} is not in {edges:?}", member.edge);
        let shown = find(&ready, channel)?.during("the channel is not in READY")?;
        assert_eq!(shown["messages"][0]["content"], "hello");
        assert_eq!(shown["unread"], 1);
        ensure!(ready.list("users")?.contains(&owner.account.user), "no owner in {ready}");
        Ok(())
    });
}

#[test]
fn the_session_of_ready_is_listed() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let ready = ann.ready(&ann.edge).await?;
        let sessions = ann.api.get("/sessions").await?.ok(200)?;
        assert_eq!(sessions.list("sessions")?[0]["id"], ready["session_id"]);
        Ok(())
    });
}

#[test]
fn heartbeats_are_answered_also_before_identify() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let mut socket = Socket::open(&ann.edge).await?;
        socket.heartbeat().await?;
        socket.send(&json!({ "op": 1, "d": { "anything": [1] } })).await?;
        socket.until("HEARTBEAT_ACK", |frame| frame["op"] == 11).await?;
        socket.identify(ann.token()).await?;
        socket.heartbeat().await?;
        Ok(())
    });
}

#[test]
fn key_order_white_space_and_unknown_fields_mean_nothing() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let dm = ann.dm(&world.person("bob").await?).await?;
        let mut socket = Socket::open(&ann.edge).await?;
        let token = json!(ann.token());
        let identify = format!(
            "\n{{ \"colour\": {{\"x\": [1]}}, \"d\":\t{{\"z\": null, \"token\": {token}}} ,\r\n \"op\" : 2 }} \n"
        );
        socket.send_text(&identify).await?;
        socket.event("RESUMED").await?;
        let send = format!(
            "{{\"d\":{{\"nonce\":\"n\",\"x\":{{}},\"content\":\"h\\u0069\",\"conversation_id\":\"{dm}\"}},\"s\":5,\"op\":20}}"
        );
        socket.send_text(&send).await?;
        let ack = socket.event("ACK").await?;
        assert_eq!(ack["nonce"], "n");
        let said = ann.api.get(&format!("/conversations/{dm}/messages")).await?.ok(200)?;
        assert_eq!(said.at("messages/0/content")?, "hi");
        Ok(())
    });
}

#[test]
fn empty_cursors_are_no_cursors() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        ann.post(channel, "hello").await?;
        let mut socket = Socket::open(&ann.edge).await?;
        let data = json!({ "token": ann.token(), "cursors": {} });
        socket.send(&json!({ "op": 2, "d": data })).await?;
        let ready = socket.event("READY").await?;
        let shown = find(&ready, channel)?.unwrap_or_default();
        assert_eq!(shown["messages"][0]["content"], "hello");
        socket.event("RESUMED").await?;
        Ok(())
    });
}

#[test]
fn a_conversation_with_a_cursor_comes_without_messages() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let (with, without) = (ann.channel("with").await?, ann.channel("without").await?);
        let seen = ann.post(with, "seen").await?;
        ann.post(without, "not seen").await?;
        let mut socket = Socket::open(&ann.edge).await?;
        let cursors = json!({ with.to_string(): seen.to_string() });
        let data = json!({ "token": ann.token(), "cursors": cursors });
        socket.send(&json!({ "op": 2, "d": data })).await?;
        let ready = socket.event("READY").await?;
        let messages = |shown: Option<Value>| shown.unwrap_or_default()["messages"].clone();
        let given = messages(find(&ready, with)?);
        ensure!(given.as_array().is_none_or(Vec::is_empty), "{given}");
        assert_eq!(messages(find(&ready, without)?)[0]["content"], "not seen");
        Ok(())
    });
}
