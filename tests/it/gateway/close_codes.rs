//! Every close code that takes no waiting, and what does not close.

use natter_tests::client::Socket;
use natter_tests::{Context as _, Outcome, ensure};
use serde_json::{Value, json};

use crate::support::{Person, World, play};

/// Sends texts to a socket that has not identified, and expects a close code.
async fn closes_before(world: &World, text: &str, code: u16) -> Outcome {
    let mut socket = Socket::open(&world.edges[0]).await?;
    socket.send_text(text).await?;
    let closed = socket.closed().await.during(text)?;
    ensure!(closed == code, "{text}: closed with {closed}, wanted {code}");
    Ok(())
}

/// The same for one that has.
async fn closes_after(person: &Person, text: &str, code: u16) -> Outcome {
    let mut socket = person.socket().await?;
    socket.send_text(text).await?;
    let closed = socket.closed().await.during(text)?;
    ensure!(closed == code, "{text}: closed with {closed}, wanted {code}");
    Ok(())
}

/// What is no frame at all.
const NO_FRAMES: [&str; 15] = [
    "",
    " ",
    "{",
    "x",
    "null",
    "5",
    "\"text\"",
    "[]",
    "[{\"op\":1}]",
    "{}",
    "{\"op\":null}",
    "{\"op\":\"1\"}",
    "{\"op\":1.5}",
    "{\"op\":[1]}",
    "{\"op\":1}{\"op\":1}",
];

#[test]
fn what_is_no_frame_is_4002() {
    play(async |world| {
        let ann = world.person("ann").await?;
        for text in NO_FRAMES {
            closes_before(&world, text, 4002).await?;
            closes_after(&ann, text, 4002).await?;
        }
        Ok(())
    });
}

#[test]
fn binary_is_4002_and_invalid_utf_8_is_too() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let mut socket = ann.socket().await?;
        socket.send_binary(br#"{"op":1}"#.to_vec()).await?;
        assert_eq!(socket.closed().await?, 4002);
        let mut socket = ann.socket().await?;
        socket.send_bytes_as_text(b"{\"op\":1,\"d\":\"\xff\xfe\"}".to_vec()).await?;
        let code = socket.closed().await?;
        ensure!(matches!(code, 4002 | 1007), "closed with {code}");
        Ok(())
    });
}

#[test]
fn an_unknown_op_is_4001_and_so_is_one_that_only_the_server_sends() {
    play(async |world| {
        let ann = world.person("ann").await?;
        for op in [0, 3, 5, 7, 10, 11, 19, 23, 99, -1, i64::MAX] {
            closes_after(&ann, &json!({ "op": op, "d": {} }).to_string(), 4001).await?;
        }
        Ok(())
    });
}

#[test]
fn without_identify_nothing_but_heartbeats_is_heard_4003() {
    play(async |world| {
        let data = json!({ "conversation_id": "1", "content": "x", "nonce": "n", "id": "1" });
        for op in [20, 21, 22] {
            closes_before(&world, &json!({ "op": op, "d": data }).to_string(), 4003).await?;
        }
        Ok(())
    });
}

#[test]
fn a_token_that_is_none_is_4004() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let forged = format!("{}x", ann.token());
        for token in ["", "x", "a.b.c", &forged, &ann.account.refresh] {
            let identify = json!({ "op": 2, "d": { "token": token } });
            closes_before(&world, &identify.to_string(), 4004).await?;
        }
        Ok(())
    });
}

#[test]
fn a_session_that_has_ended_is_4004() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let phone = ann.again_on(ann.other_edge()).await?;
        let mut open = phone.socket().await?;
        phone.api.delete("/sessions/current").await?.ok(204)?;
        assert_eq!(open.closed().await?, 4004);
        let identify = json!({ "op": 2, "d": { "token": phone.token() } });
        for edge in &world.edges {
            natter_tests::eventually::eventually("4004", crate::support::SOON, async || {
                let mut socket = Socket::open(edge).await?;
                socket.send(&identify).await?;
                let first = socket.until("an answer", |frame| frame["t"] == "READY").await;
                Ok(match first {
                    Ok(_) => natter_tests::eventually::Seen::not_yet("accepted"),
                    Err(failure) => {
                        ensure!(failure.to_string().contains("4004"), "{failure}");
                        natter_tests::eventually::Seen::Done(())
                    }
                })
            })
            .await?;
        }
        Ok(())
    });
}

#[test]
fn identifying_twice_is_4005() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let identify = json!({ "op": 2, "d": { "token": ann.token() } });
        closes_after(&ann, &identify.to_string(), 4005).await
    });
}

#[test]
fn a_bad_identify_is_4002() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let token = ann.token();
        let with = |cursors: Value| json!({ "token": token, "cursors": cursors });
        for data in [
            json!(null),
            json!({}),
            json!([]),
            json!("x"),
            json!({ "token": 5 }),
            json!({ "token": null }),
            with(json!([])),
            with(json!("x")),
            with(json!(5)),
            with(json!({ "1": 5 })),
            with(json!({ "1": "x" })),
            with(json!({ "1": "-1" })),
            with(json!({ "1": null })),
            with(json!({ "x": "1" })),
            with(json!({ "-1": "1" })),
            with(json!({ "": "1" })),
            with(json!({ "1": "99999999999999999999" })),
        ] {
            closes_before(&world, &json!({ "op": 2, "d": data }).to_string(), 4002).await?;
        }
        closes_before(&world, &json!({ "op": 2 }).to_string(), 4002).await
    });
}

fn identify_with_cursors(person: &Person, count: u64) -> String {
    let first = 1_000_000_000_000_000_000_u64;
    let cursors: serde_json::Map<String, Value> =
        (first..first + count).map(|id| (id.to_string(), id.to_string().into())).collect();
    json!({ "op": 2, "d": { "token": person.token(), "cursors": cursors } }).to_string()
}

#[test]
fn five_thousand_cursors_are_taken_and_more_are_4002() {
    play(async |world| {
        let ann = world.person("ann").await?;
        closes_before(&world, &identify_with_cursors(&ann, 5001), 4002).await?;
        let most = identify_with_cursors(&ann, 5000);
        ensure!(most.len() > 64 * 1024 && most.len() <= 256 * 1024, "{} bytes", most.len());
        let mut socket = Socket::open(&ann.edge).await?;
        socket.send_text(&most).await?;
        socket.event("READY").await?;
        for _ in 0..5000 {
            socket.event("CONVERSATION_REMOVE").await?;
        }
        socket.event("RESUMED").await?;
        Ok(())
    });
}

/// Pads a frame with white space to a size in bytes.
fn padded(frame: &Value, bytes: usize) -> String {
    let text = frame.to_string();
    format!("{text}{}", " ".repeat(bytes - text.len()))
}

#[test]
fn a_frame_above_64_kib_is_4011_and_one_of_64_kib_is_not() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let mut socket = ann.socket().await?;
        socket.send_text(&padded(&json!({ "op": 1 }), 64 * 1024)).await?;
        socket.until("HEARTBEAT_ACK", |frame| frame["op"] == 11).await?;
        closes_after(&ann, &padded(&json!({ "op": 1 }), 64 * 1024 + 1), 4011).await?;
        closes_after(&ann, &"x".repeat(300 * 1024), 4011).await
    });
}

#[test]
fn an_identify_above_256_kib_is_4011_and_one_of_256_kib_is_not() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let identify = json!({ "op": 2, "d": { "token": ann.token() } });
        let mut socket = Socket::open(&ann.edge).await?;
        socket.send_text(&padded(&identify, 256 * 1024)).await?;
        socket.event("READY").await?;
        closes_before(&world, &padded(&identify, 256 * 1024 + 1), 4011).await
    });
}

#[test]
fn a_wrong_frame_of_one_socket_ends_no_other() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let mut other = ann.socket().await?;
        closes_after(&ann, "x", 4002).await?;
        other.heartbeat().await
    });
}
