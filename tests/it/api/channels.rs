//! POST /channels, GET, PATCH and DELETE /channels/{id}.

use natter_tests::client::{nonce, paging};
use natter_tests::json::Look as _;
use natter_tests::{Context as _, Outcome, ensure};
use reqwest::Method;
use serde_json::json;

use crate::support::{Person, nobody, play};

/// Every way to touch a channel answers that there is none.
async fn is_not_found(person: &Person, channel: &str) -> Outcome {
    let path = format!("/channels/{channel}");
    let name = json!({ "name": "x" });
    let member = json!({ "username": person.name() });
    for (method, path, body) in [
        (Method::GET, path.clone(), None),
        (Method::PATCH, path.clone(), Some(&name)),
        (Method::DELETE, path.clone(), None),
        (Method::POST, format!("{path}/members"), Some(&member)),
        (Method::DELETE, format!("{path}/members/@me"), None),
        (Method::DELETE, format!("{path}/members/{}", person.id()), None),
    ] {
        person.api.call(method, &path, body).await?.refused(404, "not_found")?;
    }
    Ok(())
}

#[test]
fn creating_answers_with_the_channel_and_writes_its_first_entry() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.api.post("/channels", &json!({ "name": "  the den " })).await?.ok(201)?;
        let id = channel.id("id")?;
        assert_eq!(channel.text("name")?, "the den");
        assert_eq!(channel.id("owner_id")?, ann.id());
        assert_eq!(channel.ids("member_ids")?, [ann.id()]);
        channel.at("revision")?;
        let elsewhere = ann.api.at(ann.other_edge());
        assert_eq!(elsewhere.get(&format!("/channels/{id}")).await?.ok(200)?, channel);
        let entries = paging::all_entries(&elsewhere, id, 0).await?;
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].text("t")?, "MEMBER_ADD");
        assert_eq!(entries[0].id("d/user_id")?, ann.id());
        assert_eq!(entries[0].id("d/author_id")?, ann.id());
        assert_eq!(entries[0].id("d/conversation_id")?, id);
        Ok(())
    });
}

#[test]
fn creating_again_with_the_nonce_gives_the_same_channel() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let body = json!({ "name": "den", "nonce": nonce() });
        let first = ann.api.post("/channels", &body).await?.ok(201)?;
        let elsewhere = ann.api.at(ann.other_edge());
        let second = elsewhere.post("/channels", &body).await?;
        ensure!(matches!(second.status, 200 | 201), "{second:?}");
        assert_eq!(second.body.id("id")?, first.id("id")?);
        let bob = world.person("bob").await?;
        let other = bob.api.post("/channels", &body).await?.ok(201)?;
        assert_ne!(other.id("id")?, first.id("id")?, "a nonce is its author's");
        let without = json!({ "name": "den" });
        let third = ann.api.post("/channels", &without).await?.ok(201)?;
        assert_ne!(third.id("id")?, first.id("id")?, "names need not be unique");
        Ok(())
    });
}

#[test]
fn channel_names_are_trimmed_and_bounded() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let (longest, too_long) = ("é".repeat(100), "é".repeat(101));
        let channel = ann.channel(&longest).await?;
        for wrong in ["", "  ", &too_long, "a\nb", "a\u{0}b", "a\u{202e}b", "a\u{2066}b"] {
            let body = json!({ "name": wrong });
            ann.api.post("/channels", &body).await?.refused(400, "bad_request")?;
            let path = format!("/channels/{channel}");
            ann.api.patch(&path, &body).await?.refused(400, "bad_request")?;
        }
        let now = ann.api.get(&format!("/channels/{channel}")).await?.ok(200)?;
        assert_eq!(now.text("name")?, longest);
        assert_eq!(paging::all_entries(&ann.api, channel, 0).await?.len(), 1);
        Ok(())
    });
}

#[test]
fn renaming_is_the_owners_and_raises_the_revision() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let path = format!("/channels/{channel}");
        let before = member.api.get(&path).await?.ok(200)?;
        let body = json!({ "name": "lair" });
        member.api.patch(&path, &body).await?.refused(403, "not_owner")?;
        let renamed = owner.rename(channel, " lair ").await?;
        assert_eq!(renamed.text("name")?, "lair");
        assert_eq!(member.api.get(&path).await?.ok(200)?, renamed);
        ensure!(before["revision"] != renamed["revision"], "{before} {renamed}");
        let entries = paging::all_entries(&member.api, channel, 0).await?;
        let last = entries.last().during("no entries")?;
        assert_eq!((last.text("t")?, last.text("d/name")?), ("CHANNEL_UPDATE", "lair"));
        Ok(())
    });
}

#[test]
fn deleting_is_the_owners_and_leaves_nothing_to_anyone() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = owner.post(channel, "last words").await?;
        let path = format!("/channels/{channel}");
        member.api.delete(&path).await?.refused(403, "not_owner")?;
        owner.delete_channel(channel).await?;
        for person in [&owner, &member] {
            is_not_found(person, &channel.to_string()).await?;
            let conversation = format!("/conversations/{channel}");
            let words = json!({ "content": "x" });
            let marker = json!({ "id": message.to_string() });
            for (method, path, body) in [
                (Method::GET, "messages".to_owned(), None),
                (Method::GET, "entries".to_owned(), None),
                (Method::POST, "messages".to_owned(), Some(&words)),
                (Method::PATCH, format!("messages/{message}"), Some(&words)),
                (Method::DELETE, format!("messages/{message}"), None),
                (Method::PUT, "read".to_owned(), Some(&marker)),
            ] {
                let path = format!("{conversation}/{path}");
                person.api.call(method, &path, body).await?.refused(404, "not_found")?;
            }
            person.will_not_list(channel).await?;
        }
        Ok(())
    });
}

#[test]
fn what_one_may_not_see_does_not_exist() {
    play(async |world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        let stranger = world.person_on(1, "stranger").await?;
        is_not_found(&stranger, &channel.to_string()).await?;
        is_not_found(&stranger, &nobody().to_string()).await?;
        let now = owner.api.get(&format!("/channels/{channel}")).await?.ok(200)?;
        assert_eq!(now.text("name")?, "den");
        assert_eq!(now.ids("member_ids")?.len(), 2);
        Ok(())
    });
}

#[test]
fn a_malformed_id_is_not_found() {
    play(async |world| {
        let ann = world.person("ann").await?;
        for id in ["abc", "-1", "0", "1.5", "99999999999999999999", "%00", "1%20", "0x10", "١"] {
            is_not_found(&ann, id).await.during(id)?;
        }
        Ok(())
    });
}

#[test]
fn a_dm_is_no_channel() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person("bob").await?);
        let dm = ann.dm(&bob).await?;
        is_not_found(&ann, &dm.to_string()).await
    });
}
