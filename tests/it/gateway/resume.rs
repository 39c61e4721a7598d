//! Coming back with cursors: nothing missed, nothing twice.

use natter_tests::client::{Cursors, Event, Kind, Session, Socket};
use natter_tests::json::{Look as _, is_id};
use natter_tests::{Context as _, Outcome, ensure};
use serde_json::{Value, json};

use crate::support::{Person, find, nobody, play};

/// Identifies with raw cursors. Returns READY and every event up to RESUMED.
async fn identify(
    person: &Person,
    edge: &str,
    cursors: &Value,
) -> Outcome<(Value, Vec<(String, Value)>)> {
    let mut socket = Socket::open(edge).await?;
    let data = json!({ "token": person.token(), "cursors": cursors });
    socket.send(&json!({ "op": 2, "d": data })).await?;
    let ready = socket.event("READY").await?;
    let mut events = Vec::new();
    loop {
        let mut frame = socket.until("an event", |frame| frame["op"] == 0).await?;
        let name = frame.text("t")?.to_owned();
        if name == "RESUMED" {
            return Ok((ready, events));
        }
        events.push((name, frame["d"].take()));
    }
}

fn entries(events: Vec<Event>) -> Vec<Event> {
    events.into_iter().filter(|event| matches!(event.kind, Kind::Entry { .. })).collect()
}

#[test]
fn what_happened_meanwhile_is_replayed_in_order_on_any_edge() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let dm = owner.dm(&member).await?;
        let old = owner.post(channel, "old").await?;
        owner.post(dm, "old").await?;
        let mut cursors = member.session().await?.close().await;
        for edge in world.edges.iter().cycle().take(4) {
            let mut wanted = Vec::new();
            for index in 0..5 {
                wanted.push(owner.post(channel, &index.to_string()).await?);
            }
            owner.edit(channel, old, &format!("new on {edge}")).await?;
            let last = owner.post(dm, "meanwhile").await?;
            let mut session = member.resume(edge, cursors).await?;
            let got = entries(session.drain()?);
            let of =
                |id: u64| got.iter().filter(move |event| is_id(&event.data["conversation_id"], id));
            let ids: Vec<u64> =
                of(channel).map(|event| event.data.id("id")).collect::<Outcome<_>>()?;
            assert_eq!(ids[..5], wanted);
            let names: Vec<_> = of(channel).map(|event| event.name.as_str()).collect();
            assert_eq!(names[5..], ["MESSAGE_UPDATE"], "an edit of an old message is not missed");
            let ids: Vec<u64> = of(dm).map(|event| event.data.id("id")).collect::<Outcome<_>>()?;
            assert_eq!(ids, [last]);
            cursors = session.close().await;
        }
        Ok(())
    });
}

#[test]
fn nothing_new_is_nothing_sent() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        owner.post(channel, "hello").await?;
        let cursors = member.session().await?.close().await;
        for edge in &world.edges {
            let mut session = member.resume(edge, cursors.clone()).await?;
            let events = session.drain()?;
            ensure!(entries(events.clone()).is_empty(), "{events:?}");
        }
        Ok(())
    });
}

#[test]
fn replay_goes_over_into_live_without_a_seam() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mut cursors = member.session().await?.close().await;
        let mut from = owner.session().await?;
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        for round in 0..8 {
            for _ in 0..3 {
                sent.push(from.say(channel, &format!("before {round}")).await?);
            }
            let edge = &world.edges[round % 2];
            let mut session = Session::open(edge, member.token(), cursors).await?;
            for _ in 0..3 {
                sent.push(from.say(channel, &format!("during {round}")).await?);
            }
            session.expect("RESUMED").await?;
            sent.push(from.say(channel, &format!("after {round}")).await?);
            let last = sent.last().copied().unwrap_or_default();
            let wanted =
                |event: &Event| event.kind == Kind::Entry { conversation: channel, id: last };
            let event = session.wait("the last message", wanted).await?;
            for event in entries(session.drain()?).into_iter().chain([event]) {
                got.push(event.data.id("id")?);
            }
            cursors = session.abandon();
        }
        assert_eq!(got, sent);
        Ok(())
    });
}

#[test]
fn a_replayed_message_is_as_it_was_sent_and_empty_once_deleted() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let cursors = member.session().await?.close().await;
        let (edited, deleted) =
            (owner.post(channel, "first").await?, owner.post(channel, "second").await?);
        owner.edit(channel, edited, "FIRST").await?;
        owner.delete(channel, deleted).await?;
        for edge in &world.edges {
            let mut session = member.resume(edge, cursors.clone()).await?;
            let events = entries(session.drain()?);
            let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
            assert_eq!(
                names,
                ["MESSAGE_CREATE", "MESSAGE_CREATE", "MESSAGE_UPDATE", "MESSAGE_DELETE"]
            );
            assert_eq!(events[0].data["content"], "first");
            assert_eq!(events[1].data["content"], "");
            assert_eq!(events[2].data["content"], "FIRST");
        }
        Ok(())
    });
}

#[test]
fn removed_while_away_says_only_that_it_is_gone() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let deleted = owner.channel("deleted").await?;
        owner.add(deleted, &member).await?;
        let cursors = member.session().await?.close().await;
        owner.post(channel, "while away").await?;
        owner.remove(channel, &member).await?;
        owner.delete_channel(deleted).await?;
        for edge in &world.edges {
            let mut given = cursors.clone();
            let (ready, events) = identify(&member, edge, &given.identify()).await?;
            assert_eq!(ready.list("conversations")?.len(), 0);
            let mut gone = Vec::new();
            for (name, data) in events {
                ensure!(name == "CONVERSATION_REMOVE", "{name} {data}");
                gone.push(data.id("conversation_id")?);
            }
            gone.sort_unstable();
            let mut wanted = [channel, deleted];
            wanted.sort_unstable();
            assert_eq!(gone, wanted);
        }
        Ok(())
    });
}

#[test]
fn removed_and_added_again_while_away_is_one_history() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let cursors = member.session().await?.close().await;
        owner.remove(channel, &member).await?;
        owner.post(channel, "between").await?;
        owner.add(channel, &member).await?;
        let mut session = member.resume(member.other_edge(), cursors).await?;
        let events = entries(session.drain()?);
        let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(names, ["MEMBER_REMOVE", "MESSAGE_CREATE", "MEMBER_ADD"]);
        let message = owner.post(channel, "after").await?;
        session.message(message).await?;
        Ok(())
    });
}

#[test]
fn added_while_away_is_in_ready_and_live_from_its_last_id() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let cursors = bob.session().await?.close().await;
        let channel = ann.channel("den").await?;
        ann.add(channel, &bob).await?;
        let last = ann.post(channel, "hello").await?;
        let (mut session, ready) = Session::resume(&bob.edge, bob.token(), cursors).await?;
        let shown = find(&ready, channel)?.during("not in READY")?;
        assert_eq!(shown.id("last_id")?, last);
        assert_eq!(shown["messages"][0]["content"], "hello");
        let next = ann.post(channel, "next").await?;
        session.message(next).await?;
        ensure!(entries(session.drain()?).is_empty(), "something came before");
        Ok(())
    });
}

#[test]
fn a_cursor_for_what_one_may_not_see_is_answered_by_a_removal() {
    play(async |world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        let stranger = world.person("stranger").await?;
        owner.post(channel, "secret").await?;
        for id in [channel, nobody()] {
            let cursors = json!({ id.to_string(): "0" });
            let (_, events) = identify(&stranger, &stranger.edge, &cursors).await?;
            let wanted = json!({ "conversation_id": id.to_string() });
            assert_eq!(events, [("CONVERSATION_REMOVE".to_owned(), wanted)]);
        }
        Ok(())
    });
}

#[test]
fn a_cursor_of_zero_brings_everything() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = owner.post(channel, "hello").await?;
        let cursors = json!({ channel.to_string(): "0" });
        let (_, events) = identify(&member, &member.edge, &cursors).await?;
        let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["MEMBER_ADD", "MEMBER_ADD", "MESSAGE_CREATE"]);
        assert_eq!(events[2].1.id("id")?, message);
        Ok(())
    });
}

#[test]
fn a_cursor_above_the_newest_entry_starts_over() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        owner.post(channel, "hello").await?;
        for above in [nobody(), u64::MAX] {
            let cursors = json!({ channel.to_string(): above.to_string() });
            let (_, events) = identify(&member, &member.edge, &cursors).await?;
            assert_eq!(events[0].0, "GAP");
            assert_eq!(events[0].1["from"], "0");
            assert_eq!(events[0].1["to"], events[1].1["id"], "its end is the first that comes");
            let names: Vec<_> = events[1..].iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["MEMBER_ADD", "MEMBER_ADD", "MESSAGE_CREATE"]);
        }
        Ok(())
    });
}

#[test]
fn a_cursor_above_the_newest_entry_of_an_empty_dm_has_nothing_to_page() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person("bob").await?);
        let dm = ann.dm(&bob).await?;
        let cursors = json!({ dm.to_string(): nobody().to_string() });
        let (_, events) = identify(&ann, &ann.edge, &cursors).await?;
        let wanted = json!({ "conversation_id": dm.to_string(), "from": "0", "to": "0" });
        assert_eq!(events, [("GAP".to_owned(), wanted)]);
        let none = json!({ dm.to_string(): "0" });
        let (_, events) = identify(&ann, &ann.edge, &none).await?;
        ensure!(events.is_empty(), "{events:?}");
        Ok(())
    });
}

#[test]
fn a_conversation_opened_on_this_connection_resumes_from_where_its_entries_started() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let mut session = bob.session().await?;
        let channel = ann.channel("den").await?;
        ann.add(channel, &bob).await?;
        session.expect("CONVERSATION_ADD").await?;
        // Whatever of it has come by now: the rest comes on the next connection.
        let mut got = entries(session.drain()?);
        let cursors: Cursors = session.abandon();
        let message = ann.post(channel, "hello").await?;
        let mut session = bob.resume(bob.other_edge(), cursors).await?;
        got.extend(entries(session.drain()?));
        let names: Vec<_> = got.iter().map(|event| event.name.as_str()).collect();
        assert_eq!(names, ["MEMBER_ADD", "MESSAGE_CREATE"]);
        assert_eq!(got[1].data.id("id")?, message);
        Ok(())
    });
}
