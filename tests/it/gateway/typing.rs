//! TYPING.

use natter_tests::client::Kind;
use natter_tests::json::Look as _;
use serde_json::{Value, json};

use crate::support::{nobody, play};

#[test]
fn typing_reaches_the_others_on_every_edge() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let from = owner.session().await?;
        let mut to = member.session().await?;
        from.frame(&json!({ "op": 21, "d": { "conversation_id": channel.to_string() } })).await?;
        let typing = to.expect("TYPING").await?;
        assert_eq!(typing.id("conversation_id")?, channel);
        assert_eq!(typing.id("user_id")?, owner.id());
        Ok(())
    });
}

#[test]
fn typing_where_one_is_not_is_refused_by_name() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let stranger = world.person("stranger").await?;
        let mut session = stranger.session().await?;
        let mut watching = member.session().await?;
        for id in [channel, nobody()] {
            let data = json!({ "conversation_id": id.to_string() });
            session.frame(&json!({ "op": 21, "d": data })).await?;
            let nack = session.expect("NACK").await?;
            assert_eq!((&nack["op"], &nack["code"]), (&json!(21), &json!("not_found")));
            assert_eq!(nack["conversation_id"], data["conversation_id"]);
        }
        let message = owner.post(channel, "fence").await?;
        watching.message(message).await?;
        let typing = watching.drain()?.iter().filter(|event| event.kind == Kind::Typing).count();
        assert_eq!(typing, 0);
        Ok(())
    });
}

#[test]
fn typing_of_the_wrong_kind_is_refused_and_the_socket_stays() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        let mut session = ann.session().await?;
        for data in [
            json!({}),
            Value::Null,
            json!([]),
            json!({ "conversation_id": 5 }),
            json!({ "conversation_id": "x" }),
        ] {
            session.frame(&json!({ "op": 21, "d": data })).await?;
            let nack = session.expect("NACK").await?;
            assert_eq!((&nack["op"], &nack["code"]), (&json!(21), &json!("bad_request")), "{data}");
        }
        session.say(channel, "still here").await?;
        Ok(())
    });
}
