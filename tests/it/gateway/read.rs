//! READ: markers over the websocket.

use natter_tests::client::{Cursors, Kind, Session};
use natter_tests::json::{Look as _, is_id};
use natter_tests::{Context as _, ensure};
use serde_json::{Value, json};

use crate::support::{find, nobody, play};

fn read(conversation: u64, id: u64) -> Value {
    json!({ "op": 22, "d": { "conversation_id": conversation.to_string(), "id": id.to_string() } })
}

#[test]
fn a_marker_goes_to_all_ones_own_sockets_and_to_nobody_elses() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = owner.post(channel, "hello").await?;
        let mut here = member.session().await?;
        let mut there =
            Session::resume(member.other_edge(), member.token(), Cursors::default()).await?.0;
        let mut owners = owner.session().await?;
        here.frame(&read(channel, message)).await?;
        for session in [&mut here, &mut there] {
            let marker = session.expect("READ").await?;
            assert_eq!((marker.id("conversation_id")?, marker.id("id")?), (channel, message));
        }
        let fence = member.post(channel, "fence").await?;
        owners.message(fence).await?;
        ensure!(owners.drain()?.iter().all(|event| event.kind != Kind::Read), "the owner saw it");
        Ok(())
    });
}

#[test]
fn a_marker_set_over_http_comes_as_an_event() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = owner.post(channel, "hello").await?;
        let mut session =
            Session::resume(member.other_edge(), member.token(), Cursors::default()).await?.0;
        member.read(channel, message).await?;
        assert_eq!(session.expect("READ").await?.id("id")?, message);
        Ok(())
    });
}

#[test]
fn a_marker_is_in_ready_afterwards() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let first = owner.post(channel, "one").await?;
        owner.post(channel, "two").await?;
        let mut session = member.session().await?;
        session.frame(&read(channel, first)).await?;
        session.expect("READ").await?;
        let wanted = |shown: &Value| is_id(&shown["read_id"], first) && shown["unread"] == 1;
        member.will_list(channel, "the marker", wanted).await?;
        for edge in &world.edges {
            let shown = find(&member.ready(edge).await?, channel)?.during("not in READY")?;
            ensure!(wanted(&shown), "{shown}");
        }
        Ok(())
    });
}

#[test]
fn a_wrong_marker_is_refused_by_name_and_the_socket_stays() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let last = owner.post(channel, "one").await?;
        let mut session = member.session().await?;
        let frame = |data: Value| json!({ "op": 22, "d": data });
        let channel_text = channel.to_string();
        for (frame, code) in [
            (read(channel, last + 1), "bad_request"),
            (read(channel, u64::MAX), "bad_request"),
            (read(nobody(), last), "not_found"),
            (frame(json!({ "conversation_id": channel_text })), "bad_request"),
            (frame(json!({ "conversation_id": channel_text, "id": 5 })), "bad_request"),
            (frame(json!({ "conversation_id": channel_text, "id": "x" })), "bad_request"),
            (frame(json!({ "id": "1" })), "bad_request"),
            (frame(json!(null)), "bad_request"),
            (frame(json!([])), "bad_request"),
        ] {
            session.frame(&frame).await?;
            let nack = session.expect("NACK").await?;
            ensure!(nack["op"] == 22 && nack["code"] == code, "{frame}: {nack}");
        }
        session.say(channel, "still here").await?;
        Ok(())
    });
}
