//! PUT /conversations/{id}/read, and unread counts.

use natter_tests::json::{Look as _, is_id};
use natter_tests::{Context as _, Outcome};
use serde_json::{Value, json};

use crate::support::{Person, nobody, play};

async fn put(
    person: &Person,
    conversation: u64,
    id: &Value,
) -> Outcome<natter_tests::client::Answer> {
    let path = format!("/conversations/{conversation}/read");
    person.api.put(&path, &json!({ "id": id })).await
}

#[test]
fn unread_counts_what_others_wrote_after_the_marker() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let first = owner.post(channel, "one").await?;
        member.post(channel, "mine").await?;
        let deleted = owner.post(channel, "two").await?;
        let last = owner.post(channel, "three").await?;
        member.will_list(channel, "three unread", |shown| shown["unread"] == 3).await?;
        member.read(channel, first).await?;
        let wanted = |shown: &Value| shown["unread"] == 2 && is_id(&shown["read_id"], first);
        member.will_list(channel, "two unread", wanted).await?;
        owner.delete(channel, deleted).await?;
        member.will_list(channel, "one unread", |shown| shown["unread"] == 1).await?;
        member.read(channel, last).await?;
        member.will_list(channel, "none unread", |shown| shown["unread"] == 0).await?;
        Ok(())
    });
}

#[test]
fn the_marker_never_moves_back_and_sending_does_not_move_it() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let first = owner.post(channel, "one").await?;
        let second = owner.post(channel, "two").await?;
        member.read(channel, second).await?;
        member.read(channel, first).await?;
        member.post(channel, "mine").await?;
        let read = |shown: &Value| is_id(&shown["read_id"], second);
        member.will_list(channel, "the marker", read).await?;
        for edge in &world.edges {
            let shown = crate::support::find(&member.ready(edge).await?, channel)?;
            assert_eq!(shown.during("not in READY")?.id("read_id")?, second);
        }
        Ok(())
    });
}

#[test]
fn a_marker_beyond_the_newest_entry_is_refused() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let last = owner.post(channel, "one").await?;
        for beyond in [last + 1, nobody(), u64::MAX] {
            let answer = put(&member, channel, &json!(beyond.to_string())).await?;
            answer.refused(400, "bad_request").during(beyond)?;
        }
        for wrong in [json!(null), json!("x"), json!("-1"), json!([]), json!({}), json!("")] {
            put(&member, channel, &wrong).await?.refused(400, "bad_request").during(&wrong)?;
        }
        member.will_list(channel, "one unread", |shown| shown["unread"] == 1).await?;
        Ok(())
    });
}

#[test]
fn a_marker_is_for_all_ones_sessions_and_nobody_else() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let last = owner.post(channel, "one").await?;
        let phone = member.again_on(member.other_edge()).await?;
        member.read(channel, last).await?;
        phone.will_list(channel, "none unread", |shown| shown["unread"] == 0).await?;
        let shown = owner.listed(channel).await?.during("not listed")?;
        assert_ne!(shown.id_or_null("read_id")?, Some(last));
        Ok(())
    });
}

#[test]
fn a_hundred_unread_are_a_hundred_or_more() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mut ids = Vec::new();
        for index in 0..103 {
            ids.push(owner.post(channel, &index.to_string()).await?);
        }
        member.will_list(channel, "100 unread", |shown| shown["unread"] == 100).await?;
        member.read(channel, ids[4]).await?;
        member.will_list(channel, "98 unread", |shown| shown["unread"] == 98).await?;
        Ok(())
    });
}

#[test]
fn a_stranger_marks_nothing() {
    play(async |world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        let stranger = world.person("stranger").await?;
        let last = owner.post(channel, "one").await?;
        for conversation in [channel, nobody()] {
            let answer = put(&stranger, conversation, &json!(last.to_string())).await?;
            answer.refused(404, "not_found")?;
        }
        Ok(())
    });
}
