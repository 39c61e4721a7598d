//! POST /channels/{id}/members, DELETE /channels/{id}/members/{user id or @me}.

use futures::future::join_all;
use natter_tests::client::paging;
use natter_tests::json::Look as _;
use natter_tests::{Context as _, Outcome, ensure};
use serde_json::json;

use crate::support::{Person, nobody, play, unique};

/// Names and users of the entries about members.
async fn history(person: &Person, channel: u64) -> Outcome<Vec<(String, u64)>> {
    let entries = paging::all_entries(&person.api, channel, 0).await?;
    let about =
        entries.iter().filter(|entry| entry["t"].as_str().is_some_and(|t| t.starts_with("MEMBER")));
    about.map(|entry| Ok((entry.text("t")?.to_owned(), entry.id("d/user_id")?))).collect()
}

#[test]
fn a_new_member_is_a_member_everywhere_once_it_is_answered() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let channel = ann.channel("den").await?;
        let before = ann.post(channel, "before bob").await?;
        let answer = ann.add(channel, &bob).await?;
        assert_eq!(answer.id("id")?, channel);
        ensure!(answer.ids("member_ids")?.contains(&bob.id()), "{answer}");
        let ready = bob.ready(&bob.edge).await?;
        ensure!(crate::support::find(&ready, channel)?.is_some(), "READY does not show it");
        bob.post(channel, "hello").await?;
        let messages = paging::forwards(&bob.api, channel, 50).await?;
        assert_eq!(messages[0].id("id")?, before, "also what was said before");
        Ok(())
    });
}

#[test]
fn adding_a_member_again_changes_nothing() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let before = owner.api.get(&format!("/channels/{channel}")).await?.ok(200)?;
        assert_eq!(owner.add(channel, &member).await?, before);
        assert_eq!(owner.add(channel, &owner).await?, before);
        assert_eq!(history(&owner, channel).await?.len(), 2);
        Ok(())
    });
}

#[test]
fn only_the_owner_adds() {
    play(async |world| {
        let (_, member, channel) = world.channel_of_two().await?;
        let carl = world.person("carl").await?;
        let path = format!("/channels/{channel}/members");
        let body = json!({ "username": carl.name() });
        member.api.post(&path, &body).await?.refused(403, "not_owner")?;
        carl.api.post(&path, &body).await?.refused(404, "not_found")?;
        assert_eq!(history(&member, channel).await?.len(), 2);
        Ok(())
    });
}

#[test]
fn who_does_not_exist_cannot_be_added() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        let path = format!("/channels/{channel}/members");
        let body = json!({ "username": unique("nobody") });
        ann.api.post(&path, &body).await?.refused(404, "not_found")?;
        for wrong in [json!({}), json!({ "username": 5 }), json!([]), json!({ "username": null })] {
            ann.api.post(&path, &wrong).await?.refused(400, "bad_request")?;
        }
        Ok(())
    });
}

#[test]
fn a_removed_member_sees_and_says_nothing_any_more() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        owner.remove(channel, &member).await?;
        let path = format!("/conversations/{channel}/messages");
        for edge in &world.edges {
            let api = member.api.at(edge);
            let body = json!({ "content": "x" });
            api.post(&path, &body).await?.refused(404, "not_found").during(edge)?;
            api.get(&path).await?.refused(404, "not_found").during(edge)?;
            let ready = member.ready(edge).await?;
            ensure!(crate::support::find(&ready, channel)?.is_none(), "READY shows it");
        }
        let wanted = ["MEMBER_ADD", "MEMBER_ADD", "MEMBER_REMOVE"];
        let names: Vec<_> =
            history(&owner, channel).await?.into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, wanted);
        Ok(())
    });
}

#[test]
fn who_comes_back_sees_everything_again() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        member.post(channel, "one").await?;
        owner.remove(channel, &member).await?;
        owner.post(channel, "two").await?;
        owner.add(channel, &member).await?;
        member.post(channel, "three").await?;
        let messages = paging::forwards(&member.api, channel, 50).await?;
        let said: Vec<_> = messages.iter().map(|message| message["content"].clone()).collect();
        assert_eq!(said, ["one", "two", "three"]);
        Ok(())
    });
}

#[test]
fn anyone_leaves_but_the_owner() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let own = [
            format!("/channels/{channel}/members/@me"),
            format!("/channels/{channel}/members/{}", owner.id()),
        ];
        for path in &own {
            owner.api.delete(path).await?.refused(409, "conflict")?;
        }
        member.api.delete(&own[1]).await?.refused(403, "not_owner")?;
        member.leave(channel).await?;
        member.api.delete(&own[0]).await?.refused(404, "not_found")?;
        let last = history(&owner, channel).await?.pop();
        assert_eq!(last, Some(("MEMBER_REMOVE".to_owned(), member.id())));
        Ok(())
    });
}

#[test]
fn a_member_leaves_by_their_own_id_too_and_removes_nobody_else() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let carl = world.person("carl").await?;
        owner.add(channel, &carl).await?;
        let path = |person: &Person| format!("/channels/{channel}/members/{}", person.id());
        member.api.delete(&path(&carl)).await?.refused(403, "not_owner")?;
        carl.api.delete(&path(&carl)).await?.ok(204)?;
        let now = owner.api.get(&format!("/channels/{channel}")).await?.ok(200)?;
        assert_eq!(now.ids("member_ids")?.len(), 2);
        Ok(())
    });
}

#[test]
fn who_is_not_in_it_cannot_be_removed() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let carl = world.person("carl").await?;
        for id in [carl.id(), nobody()] {
            let path = format!("/channels/{channel}/members/{id}");
            owner.api.delete(&path).await?.refused(404, "not_a_member")?;
            carl.api.delete(&path).await?.refused(404, "not_found")?;
        }
        owner.remove(channel, &member).await?;
        let path = format!("/channels/{channel}/members/{}", member.id());
        owner.api.delete(&path).await?.refused(404, "not_a_member")?;
        Ok(())
    });
}

#[test]
fn changes_at_the_same_time_are_all_made() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        let mut people = Vec::new();
        for index in 0..12 {
            people.push(world.person_on(index % 2, "guest").await?);
        }
        let added = join_all(people.iter().enumerate().map(async |(index, person)| {
            let path = format!("/channels/{channel}/members");
            let body = json!({ "username": person.name() });
            ann.api.at(&world.edges[index % 2]).post(&path, &body).await?.ok(200)
        }));
        added.await.into_iter().collect::<Outcome<Vec<_>>>()?;
        let now = ann.api.get(&format!("/channels/{channel}")).await?.ok(200)?;
        assert_eq!(now.ids("member_ids")?.len(), 13);
        let history = history(&ann, channel).await?;
        assert_eq!(history.len(), 13);
        let removed = join_all(people.iter().map(|person| ann.remove(channel, person)));
        removed.await.into_iter().collect::<Outcome<Vec<_>>>()?;
        let now = ann.api.get(&format!("/channels/{channel}")).await?.ok(200)?;
        assert_eq!(now.ids("member_ids")?, [ann.id()]);
        Ok(())
    });
}
