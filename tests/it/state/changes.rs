//! One test for each operation that changes something.

use natter_tests::client::nonce;
use serde_json::json;

use super::check::same_for;
use crate::support::{PASSWORD, play};

#[test]
fn creating_a_channel() {
    play(async |world| {
        let ann = world.person("ann").await?;
        same_for(&[&ann], async || ann.channel("den").await.map(drop)).await
    });
}

#[test]
fn renaming_a_channel() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        same_for(&[&owner, &member], async || owner.rename(channel, "lair").await.map(drop)).await
    });
}

#[test]
fn deleting_a_channel() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        owner.post(channel, "last words").await?;
        same_for(&[&owner, &member], async || owner.delete_channel(channel).await).await
    });
}

#[test]
fn adding_a_member() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let carl = world.person_on(1, "carl").await?;
        owner.post(channel, "before").await?;
        let everyone = [&owner, &member, &carl];
        same_for(&everyone, async || owner.add(channel, &carl).await.map(drop)).await
    });
}

#[test]
fn removing_a_member() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let carl = world.person_on(1, "carl").await?;
        owner.add(channel, &carl).await?;
        let everyone = [&owner, &member, &carl];
        same_for(&everyone, async || owner.remove(channel, &carl).await).await
    });
}

#[test]
fn leaving() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        same_for(&[&owner, &member], async || member.leave(channel).await).await
    });
}

#[test]
fn leaving_and_coming_back() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mine = member.post(channel, "mine").await?;
        same_for(&[&owner, &member], async || {
            member.leave(channel).await?;
            owner.post(channel, "between").await?;
            owner.delete(channel, mine).await?;
            owner.add(channel, &member).await?;
            owner.post(channel, "after").await.map(drop)
        })
        .await
    });
}

#[test]
fn opening_a_dm() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        same_for(&[&ann, &bob], async || ann.dm(&bob).await.map(drop)).await
    });
}

#[test]
fn the_first_message_of_a_dm() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let dm = ann.dm(&bob).await?;
        same_for(&[&ann, &bob], async || ann.post(dm, "hello").await.map(drop)).await
    });
}

#[test]
fn sending_over_http() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        same_for(&[&owner, &member], async || {
            owner.post(channel, "one").await?;
            member.post(channel, "two").await.map(drop)
        })
        .await
    });
}

#[test]
fn sending_over_the_websocket() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        same_for(&[&owner, &member], async || {
            let (mut one, mut two) = (owner.session().await?, member.session().await?);
            one.say(channel, "one").await?;
            two.say(channel, "two").await.map(drop)
        })
        .await
    });
}

#[test]
fn sending_twice_with_one_nonce() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        same_for(&[&owner, &member], async || {
            let path = format!("/conversations/{channel}/messages");
            let body = json!({ "content": "once", "nonce": nonce() });
            owner.api.post(&path, &body).await?.ok(201)?;
            owner.api.at(owner.other_edge()).post(&path, &body).await?.ok(201).map(drop)
        })
        .await
    });
}

#[test]
fn editing_a_message() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = member.post(channel, "one").await?;
        same_for(&[&owner, &member], async || {
            member.edit(channel, message, "ONE").await?;
            member.edit(channel, message, "one!").await.map(drop)
        })
        .await
    });
}

#[test]
fn deleting_a_message() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let read = owner.post(channel, "read").await?;
        let unread = owner.post(channel, "unread").await?;
        member.read(channel, read).await?;
        same_for(&[&owner, &member], async || {
            owner.delete(channel, unread).await?;
            owner.delete(channel, read).await
        })
        .await
    });
}

#[test]
fn deleting_somebody_elses_message() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = member.post(channel, "one").await?;
        same_for(&[&owner, &member], async || owner.delete(channel, message).await).await
    });
}

#[test]
fn reading() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let first = owner.post(channel, "one").await?;
        owner.post(channel, "two").await?;
        same_for(&[&owner, &member], async || member.read(channel, first).await).await
    });
}

#[test]
fn changing_a_profile() {
    play(async |world| {
        let (owner, member, _) = world.channel_of_two().await?;
        let change = json!({ "display_name": "renamed", "avatar_url": "https://a.example/a.png" });
        same_for(&[&owner, &member], async || {
            owner.api.patch("/users/@me", &change).await?.ok(200).map(drop)
        })
        .await
    });
}

#[test]
fn changing_the_password() {
    play(async |world| {
        let (owner, member, _) = world.channel_of_two().await?;
        let change = json!({ "old": PASSWORD, "new": "battery horse correct" });
        same_for(&[&owner, &member], async || {
            owner.api.post("/users/@me/password", &change).await?.ok(204).map(drop)
        })
        .await
    });
}

#[test]
fn everything_that_is_refused() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = owner.post(channel, "one").await?;
        same_for(&[&owner, &member], async || {
            let words = json!({ "content": "x" });
            let path = format!("/conversations/{channel}/messages/{message}");
            member.api.patch(&path, &words).await?.refused(403, "forbidden")?;
            member.api.delete(&path).await?.refused(403, "forbidden")?;
            let path = format!("/channels/{channel}");
            member.api.delete(&path).await?.refused(403, "not_owner")?;
            let name = json!({ "name": "x" });
            member.api.patch(&path, &name).await?.refused(403, "not_owner")?;
            owner.api.patch(&path, &json!({ "name": "" })).await?.refused(400, "bad_request")?;
            let path = format!("/conversations/{channel}/messages");
            owner
                .api
                .post(&path, &json!({ "content": " " }))
                .await?
                .refused(400, "bad_request")
                .map(drop)
        })
        .await
    });
}

#[test]
fn all_of_it_at_once() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let carl = world.person_on(1, "carl").await?;
        let old = owner.post(channel, "old").await?;
        let everyone = [&owner, &member, &carl];
        same_for(&everyone, async || {
            let talk = async |person: &crate::support::Person| {
                for index in 0..6 {
                    let message = person.post(channel, &index.to_string()).await?;
                    if index % 2 == 0 {
                        person.edit(channel, message, "edited").await?;
                    }
                    if index % 3 == 0 {
                        person.delete(channel, message).await?;
                    }
                }
                Ok::<_, natter_tests::Failure>(())
            };
            let moderate = async {
                owner.add(channel, &carl).await?;
                owner.rename(channel, "lair").await?;
                owner.delete(channel, old).await?;
                owner.remove(channel, &carl).await?;
                owner.add(channel, &carl).await.map(drop)
            };
            tokio::try_join!(talk(&owner), talk(&member), moderate).map(drop)
        })
        .await
    });
}
