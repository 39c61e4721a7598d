//! POST, PATCH and DELETE of messages.

use natter_tests::client::{Api, nonce, paging};
use natter_tests::json::Look as _;
use natter_tests::{Context as _, Outcome, ensure};
use serde_json::{Value, json};

use crate::support::{Person, nobody, play};

async fn contents(person: &Person, conversation: u64) -> Outcome<Vec<String>> {
    let messages = paging::forwards(&person.api, conversation, 100).await?;
    messages.iter().map(|message| Ok(message.text("content")?.to_owned())).collect()
}

async fn post(api: &Api, conversation: u64, body: &Value) -> Outcome<natter_tests::client::Answer> {
    api.post(&format!("/conversations/{conversation}/messages"), body).await
}

#[test]
fn a_message_is_answered_as_documented_and_there_at_once_on_every_edge() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let nonce = nonce();
        let body = json!({ "content": "hello", "nonce": nonce });
        let message = post(&owner.api, channel, &body).await?.ok(201)?;
        assert_eq!(message.id("conversation_id")?, channel);
        assert_eq!(message.id("author_id")?, owner.id());
        assert_eq!(message.text("content")?, "hello");
        assert_eq!(message.text("nonce")?, nonce);
        assert_eq!(message.at("edited_at")?, &Value::Null);
        let at = message.text("at")?;
        ensure!(
            at.len() == 24 && at.ends_with('Z') && &at[19..20] == ".",
            "not as times are: {at}"
        );
        for edge in &world.edges {
            let read = paging::messages(&member.api.at(edge), channel, "", 50).await?;
            assert_eq!(read.ids, [message.id("id")?]);
            for key in ["id", "conversation_id", "author_id", "content", "at", "edited_at"] {
                assert_eq!(read.items[0][key], message[key], "{key}");
            }
        }
        Ok(())
    });
}

#[test]
fn content_is_normalized() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        for (given, kept) in [
            ("  a \n", "a"),
            ("a\u{0}\u{7}\u{1b}[31mb\u{7f}\u{85}\r\n\tc", "a[31mb\n\tc"),
            ("\u{202e}reversed", "\u{202e}reversed"),
            ("\u{2}\u{3}x\u{f}", "x"),
            ("<b>&amp;\\\"'", "<b>&amp;\\\"'"),
            ("🦦\u{200d}🦦 \u{a0}", "🦦\u{200d}🦦"),
        ] {
            let message = post(&ann.api, channel, &json!({ "content": given })).await?.ok(201)?;
            assert_eq!(message.text("content")?, kept, "{given:?}");
        }
        Ok(())
    });
}

#[test]
fn content_has_1_to_4000_characters() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        let longest = "🦦".repeat(4000);
        let padded = format!("  {longest}\u{7}\n");
        for accepted in ["x", &longest, &padded] {
            post(&ann.api, channel, &json!({ "content": accepted })).await?.ok(201)?;
        }
        let too_long = "x".repeat(4001);
        for wrong in ["", "   ", "\u{0}\u{7}\n\t", &too_long] {
            let answer = post(&ann.api, channel, &json!({ "content": wrong })).await?;
            answer.refused(400, "bad_request")?;
        }
        assert_eq!(contents(&ann, channel).await?.len(), 3);
        Ok(())
    });
}

#[test]
fn bodies_and_nonces_of_the_wrong_kind_are_refused() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        let long = "n".repeat(33);
        for wrong in [
            json!({}),
            json!([]),
            json!(null),
            json!({ "content": 5 }),
            json!({ "content": null }),
            json!({ "content": ["x"] }),
            json!({ "content": "x", "nonce": "" }),
            json!({ "content": "x", "nonce": long }),
            json!({ "content": "x", "nonce": "ä" }),
            json!({ "content": "x", "nonce": "a\nb" }),
            json!({ "content": "x", "nonce": 5 }),
        ] {
            let answer = post(&ann.api, channel, &wrong).await?;
            answer.refused(400, "bad_request").during(&wrong)?;
        }
        assert_eq!(contents(&ann, channel).await?.len(), 0);
        let longest = "~".repeat(32);
        post(&ann.api, channel, &json!({ "content": "x", "nonce": longest })).await?.ok(201)?;
        Ok(())
    });
}

#[test]
fn a_repeated_nonce_is_the_same_message_on_every_edge() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let body = json!({ "content": "once", "nonce": nonce() });
        let first = post(&owner.api, channel, &body).await?.ok(201)?;
        for edge in world.edges.iter().cycle().take(4) {
            let again = post(&owner.api.at(edge), channel, &body).await?.ok(201)?;
            assert_eq!(again.id("id")?, first.id("id")?);
        }
        let other = post(&member.api, channel, &body).await?.ok(201)?;
        assert_ne!(other.id("id")?, first.id("id")?, "a nonce is its author's");
        assert_eq!(contents(&owner, channel).await?, ["once", "once"]);
        let second = owner.channel("second").await?;
        let third = post(&owner.api, second, &body).await?.ok(201)?;
        assert_ne!(third.id("id")?, first.id("id")?, "and its conversation's");
        Ok(())
    });
}

#[test]
fn a_repeated_nonce_with_other_content_is_a_conflict() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        let nonce = nonce();
        post(&ann.api, channel, &json!({ "content": "one", "nonce": nonce })).await?.ok(201)?;
        for edge in &world.edges {
            let other = json!({ "content": "two", "nonce": nonce });
            post(&ann.api.at(edge), channel, &other).await?.refused(409, "conflict")?;
        }
        assert_eq!(contents(&ann, channel).await?, ["one"]);
        Ok(())
    });
}

#[test]
fn without_a_nonce_each_is_a_message_of_its_own() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        for _ in 0..2 {
            post(&ann.api, channel, &json!({ "content": "same" })).await?.ok(201)?;
        }
        assert_eq!(contents(&ann, channel).await?, ["same", "same"]);
        Ok(())
    });
}

#[test]
fn editing_is_the_authors() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = member.post(channel, "frist").await?;
        let edited = member.edit(channel, message, " first\u{7} ").await?;
        assert_eq!(edited.text("content")?, "first");
        assert_eq!(edited.id("id")?, message);
        ensure!(edited.text("edited_at")? >= edited.text("at")?, "{edited}");
        let path = format!("/conversations/{channel}/messages/{message}");
        let words = json!({ "content": "mine now" });
        owner.api.patch(&path, &words).await?.refused(403, "forbidden")?;
        for wrong in [json!({}), json!({ "content": "" }), json!({ "content": 5 }), json!([])] {
            member.api.patch(&path, &wrong).await?.refused(400, "bad_request")?;
        }
        let read = paging::messages(&owner.api, channel, "", 50).await?;
        assert_eq!(read.items[0]["content"], "first");
        assert_eq!(read.items[0]["edited_at"], edited["edited_at"]);
        assert_eq!(read.items[0]["at"], edited["at"]);
        Ok(())
    });
}

#[test]
fn deleting_is_the_authors_and_the_channel_owners() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let carl = world.person("carl").await?;
        owner.add(channel, &carl).await?;
        let (one, two) = (member.post(channel, "one").await?, member.post(channel, "two").await?);
        let three = owner.post(channel, "three").await?;
        for message in [one, three] {
            let path = format!("/conversations/{channel}/messages/{message}");
            carl.api.delete(&path).await?.refused(403, "forbidden")?;
        }
        member.delete(channel, one).await?;
        owner.delete(channel, two).await?;
        assert_eq!(contents(&carl, channel).await?, ["three"]);
        Ok(())
    });
}

#[test]
fn what_is_deleted_is_not_found() {
    play(async |world| {
        let (_, member, channel) = world.channel_of_two().await?;
        let message = member.post(channel, "gone").await?;
        member.delete(channel, message).await?;
        let path = format!("/conversations/{channel}/messages/{message}");
        for edge in &world.edges {
            let api = member.api.at(edge);
            api.delete(&path).await?.refused(404, "not_found")?;
            let words = json!({ "content": "x" });
            api.patch(&path, &words).await?.refused(404, "not_found")?;
        }
        assert_eq!(paging::all_entries(&member.api, channel, message).await?.len(), 1);
        Ok(())
    });
}

#[test]
fn a_message_belongs_to_its_conversation() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let (one, two) = (ann.channel("one").await?, ann.channel("two").await?);
        let message = ann.post(one, "hello").await?;
        let words = json!({ "content": "x" });
        for id in [message.to_string(), nobody().to_string(), "abc".into(), "-1".into()] {
            let path = format!("/conversations/{two}/messages/{id}");
            ann.api.patch(&path, &words).await?.refused(404, "not_found").during(&path)?;
            ann.api.delete(&path).await?.refused(404, "not_found").during(&path)?;
        }
        let added = paging::all_entries(&ann.api, two, 0).await?[0].id("d/id")?;
        let path = format!("/conversations/{two}/messages/{added}");
        ann.api.delete(&path).await?.refused(404, "not_found").during("no message")?;
        assert_eq!(contents(&ann, one).await?, ["hello"]);
        Ok(())
    });
}

#[test]
fn a_stranger_finds_nothing_to_change() {
    play(async |world| {
        let (_, member, channel) = world.channel_of_two().await?;
        let stranger = world.person("stranger").await?;
        let message = member.post(channel, "hello").await?;
        let words = json!({ "content": "x" });
        let path = format!("/conversations/{channel}/messages");
        stranger.api.post(&path, &words).await?.refused(404, "not_found")?;
        let path = format!("{path}/{message}");
        stranger.api.patch(&path, &words).await?.refused(404, "not_found")?;
        stranger.api.delete(&path).await?.refused(404, "not_found")?;
        assert_eq!(contents(&member, channel).await?, ["hello"]);
        Ok(())
    });
}
