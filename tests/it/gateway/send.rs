//! SEND: ACK, NACK, MESSAGE_CREATE, nonces.

use natter_tests::client::{Cursors, Event, Kind, Session, nonce};
use natter_tests::json::Look as _;
use natter_tests::{Outcome, ensure};
use serde_json::{Value, json};

use crate::support::{Person, nobody, play};

/// The ACK or NACK of a nonce.
async fn answer(session: &mut Session, nonce: &str) -> Outcome<Event> {
    let wanted = |event: &Event| {
        matches!(event.kind, Kind::Ack | Kind::Nack) && event.data["nonce"] == nonce
    };
    session.wait("an answer", wanted).await
}

async fn said(person: &Person, conversation: u64) -> Outcome<usize> {
    Ok(natter_tests::client::paging::forwards(&person.api, conversation, 100).await?.len())
}

#[test]
fn a_message_is_acknowledged_and_reaches_everyone() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let (mut from, mut to) = (owner.session().await?, member.session().await?);
        let nonce = nonce();
        from.send(channel, " hello\u{7} ", &nonce).await?;
        let ack = answer(&mut from, &nonce).await?;
        assert_eq!(ack.kind, Kind::Ack, "{}", ack.data);
        assert_eq!(ack.data.id("conversation_id")?, channel);
        let id = ack.data.id("id")?;
        let own = from.message(id).await?;
        assert_eq!(own["nonce"], nonce.as_str());
        let seen = to.message(id).await?;
        for key in ["id", "conversation_id", "author_id", "content", "at", "edited_at"] {
            assert_eq!(own[key], seen[key], "{key}");
        }
        assert_eq!(seen["content"], "hello");
        assert_eq!(seen.id("author_id")?, owner.id());
        let stored =
            member.api.get(&format!("/conversations/{channel}/messages")).await?.ok(200)?;
        assert_eq!(stored.at("messages/0/at")?, &seen["at"]);
        Ok(())
    });
}

#[test]
fn messages_of_one_socket_keep_their_order() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let (mut from, mut to) = (owner.session().await?, member.session().await?);
        let mut ids = Vec::new();
        for index in 0..20 {
            ids.push(from.say(channel, &index.to_string()).await?);
        }
        ensure!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
        let last = to.message(ids[19]).await?;
        assert_eq!(last["content"], "19");
        let before = to.drain()?;
        let got: Vec<_> = before.iter().filter(|event| event.name == "MESSAGE_CREATE").collect();
        let got: Vec<_> = got.iter().map(|event| event.data["content"].clone()).collect();
        let wanted: Vec<_> = (0..19).map(|index| json!(index.to_string())).collect();
        assert_eq!(got, wanted);
        Ok(())
    });
}

#[test]
fn a_repeated_send_is_answered_each_time_with_the_same_id() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mut to = member.session().await?;
        let mut here = owner.session().await?;
        let mut there =
            Session::resume(owner.other_edge(), owner.token(), Cursors::default()).await?.0;
        let nonce = nonce();
        here.send(channel, "once", &nonce).await?;
        let id = answer(&mut here, &nonce).await?.data.id("id")?;
        for session in [&mut here, &mut there] {
            for _ in 0..2 {
                session.send(channel, "once", &nonce).await?;
                let again = answer(session, &nonce).await?;
                assert_eq!((again.kind, again.data.id("id")?), (Kind::Ack, id), "{}", again.data);
            }
        }
        let path = format!("/conversations/{channel}/messages");
        let body = json!({ "content": "once", "nonce": nonce });
        assert_eq!(owner.api.post(&path, &body).await?.ok(201)?.id("id")?, id);
        let fence = here.say(channel, "fence").await?;
        to.message(fence).await?;
        let copies = to.drain()?.iter().filter(|event| event.name == "MESSAGE_CREATE").count();
        assert_eq!(copies, 1);
        assert_eq!(said(&owner, channel).await?, 2);
        Ok(())
    });
}

#[test]
fn both_ways_of_sending_share_their_nonces() {
    play(async |world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        let mut session = owner.session().await?;
        let nonce = nonce();
        let path = format!("/conversations/{channel}/messages");
        let body = json!({ "content": "once", "nonce": nonce });
        let id = owner.api.at(owner.other_edge()).post(&path, &body).await?.ok(201)?.id("id")?;
        session.send(channel, "once", &nonce).await?;
        assert_eq!(answer(&mut session, &nonce).await?.data.id("id")?, id);
        Ok(())
    });
}

#[test]
fn the_same_nonce_with_other_content_is_a_conflict() {
    play(async |world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        let mut here = owner.session().await?;
        let mut there =
            Session::resume(owner.other_edge(), owner.token(), Cursors::default()).await?.0;
        let nonce = nonce();
        here.send(channel, "one", &nonce).await?;
        answer(&mut here, &nonce).await?;
        for session in [&mut here, &mut there] {
            session.send(channel, "two", &nonce).await?;
            let nack = answer(session, &nonce).await?;
            assert_eq!((nack.kind, &nack.data["code"]), (Kind::Nack, &json!("conflict")));
        }
        assert_eq!(said(&owner, channel).await?, 1);
        Ok(())
    });
}

#[test]
fn what_may_not_be_sent_is_refused_by_name_and_the_socket_stays() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?.to_string();
        let mut session = ann.session().await?;
        let (long, nonce) = ("x".repeat(4001), nonce());
        let too_long = "n".repeat(33);
        let send = |conversation: Value, content: Value, nonce: Value| json!({ "conversation_id": conversation, "content": content, "nonce": nonce });
        let good = json!(channel);
        let cases = [
            (send(good.clone(), json!(""), json!(nonce)), "bad_request"),
            (send(good.clone(), json!(" \u{0}\n"), json!(nonce)), "bad_request"),
            (send(good.clone(), json!(long), json!(nonce)), "bad_request"),
            (send(good.clone(), json!(5), json!(nonce)), "bad_request"),
            (send(good.clone(), Value::Null, json!(nonce)), "bad_request"),
            (send(good.clone(), json!("x"), Value::Null), "bad_request"),
            (send(good.clone(), json!("x"), json!("")), "bad_request"),
            (send(good.clone(), json!("x"), json!(too_long)), "bad_request"),
            (send(good.clone(), json!("x"), json!("ä")), "bad_request"),
            (send(good, json!("x"), json!(7)), "bad_request"),
            (send(json!("x"), json!("x"), json!(nonce)), "bad_request"),
            (send(json!(5), json!("x"), json!(nonce)), "bad_request"),
            (send(Value::Null, json!("x"), json!(nonce)), "bad_request"),
            (send(json!(nobody().to_string()), json!("x"), json!(nonce)), "not_found"),
            (json!({}), "bad_request"),
            (json!([]), "bad_request"),
            (json!("x"), "bad_request"),
            (Value::Null, "bad_request"),
        ];
        for (data, code) in cases {
            session.frame(&json!({ "op": 20, "d": data })).await?;
            let nack = session.expect("NACK").await?;
            ensure!(nack["op"] == 20 && nack["code"] == code, "{data}: {nack}");
            nack.text("message")?;
            if data["nonce"] == nonce.as_str() && data["conversation_id"] == channel.as_str() {
                assert_eq!(nack["nonce"], data["nonce"], "{data}");
                assert_eq!(nack["conversation_id"], data["conversation_id"], "{data}");
            }
        }
        session.say(channel.parse()?, "still here").await?;
        assert_eq!(said(&ann, channel.parse()?).await?, 1);
        Ok(())
    });
}

#[test]
fn where_one_is_no_member_there_is_nothing() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let stranger = world.person("stranger").await?;
        let mut session = stranger.session().await?;
        let mut former = member.session().await?;
        owner.remove(channel, &member).await?;
        for session in [&mut session, &mut former] {
            let nonce = nonce();
            session.send(channel, "x", &nonce).await?;
            let nack = answer(session, &nonce).await?;
            assert_eq!((nack.kind, &nack.data["code"]), (Kind::Nack, &json!("not_found")));
        }
        assert_eq!(said(&owner, channel).await?, 0);
        Ok(())
    });
}

#[test]
fn who_was_added_a_moment_ago_may_send_from_any_edge() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        for index in 0..6 {
            let guest = world.person_on(index % 2, "guest").await?;
            let mut session = guest.session().await?;
            ann.add(channel, &guest).await?;
            session.say(channel, "hello").await?;
        }
        Ok(())
    });
}

#[test]
fn only_the_socket_that_sent_is_answered() {
    play(async |world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        let (mut one, mut two) = (owner.session().await?, owner.session().await?);
        let id = one.say(channel, "hello").await?;
        two.message(id).await?;
        one.send(channel, "", "bad").await?;
        answer(&mut one, "bad").await?;
        let fence = one.say(channel, "fence").await?;
        two.message(fence).await?;
        let answers: Vec<_> = two.drain()?;
        let answers = answers.iter().filter(|event| matches!(event.kind, Kind::Ack | Kind::Nack));
        assert_eq!(answers.count(), 0);
        Ok(())
    });
}

#[test]
fn a_dm_reaches_a_partner_who_had_not_seen_it() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let mut to = bob.session().await?;
        let mut from = ann.session().await?;
        let dm = ann.dm(&bob).await?;
        let shown = from.wait("CONVERSATION_ADD", |event| event.name == "CONVERSATION_ADD").await?;
        assert_eq!(shown.data.id("user_id")?, bob.id());
        let id = from.say(dm, "hello").await?;
        to.message(id).await?;
        let events = to.drain()?;
        ensure!(events.len() == 1, "{events:?}");
        assert_eq!(events[0].kind, Kind::ConversationAdd { conversation: dm, new: true });
        assert_eq!(events[0].data.text("kind")?, "dm");
        assert_eq!(events[0].data.id("user_id")?, ann.id());
        let back = to.say(dm, "hello yourself").await?;
        from.message(back).await?;
        Ok(())
    });
}
