//! What people see when membership changes: the order of events, live.

use natter_tests::client::{Cursors, Event, Kind, Session};
use natter_tests::json::{Look as _, is_id};
use natter_tests::{Outcome, ensure};

use crate::support::{Person, play};

/// The events of a conversation up to and including one of a name.
async fn events_until(session: &mut Session, conversation: u64, name: &str) -> Outcome<Vec<Event>> {
    let id = conversation.to_string();
    let about = |event: &Event| {
        let key = if event.name == "CONVERSATION_ADD" { "id" } else { "conversation_id" };
        event.data[key] == id.as_str()
    };
    let mut events = Vec::new();
    loop {
        let event = session.wait(name, about).await?;
        let last = event.name == name;
        events.push(event);
        if last {
            return Ok(events);
        }
    }
}

fn names(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.name.as_str()).collect()
}

/// Sees to it that whatever was still to come to a person has come.
async fn settle(person: &Person, session: &mut Session) -> Outcome {
    let fence = person.channel("fence").await?;
    for _ in 0..2 {
        let message = person.post(fence, "fence").await?;
        session.message(message).await?;
    }
    Ok(())
}

#[test]
fn a_new_member_is_shown_the_channel_and_then_their_own_member_add() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let before = owner.post(channel, "before").await?;
        let carl = world.person_on(1, "carl").await?;
        let (mut new, mut old) = (carl.session().await?, member.session().await?);
        owner.add(channel, &carl).await?;
        let events = events_until(&mut new, channel, "MEMBER_ADD").await?;
        assert_eq!(names(&events), ["CONVERSATION_ADD", "MEMBER_ADD"]);
        assert_eq!(events[0].data.id("last_id")?, before, "its entries start after this");
        assert_eq!(events[0].data.text("kind")?, "channel");
        assert_eq!(events[0].data.text("name")?, "den");
        assert_eq!(events[1].data.id("user_id")?, carl.id());
        assert_eq!(events[1].data.id("author_id")?, owner.id());
        let seen = events_until(&mut old, channel, "MEMBER_ADD").await?;
        assert_eq!(seen[0].data, events[1].data);
        Ok(())
    });
}

#[test]
fn a_removed_member_sees_their_removal_and_then_nothing() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let carl = world.person("carl").await?;
        owner.add(channel, &carl).await?;
        let (mut gone, mut stays) = (member.session().await?, carl.session().await?);
        owner.remove(channel, &member).await?;
        let message = owner.post(channel, "without them").await?;
        let events = events_until(&mut gone, channel, "CONVERSATION_REMOVE").await?;
        assert_eq!(names(&events), ["MEMBER_REMOVE", "CONVERSATION_REMOVE"]);
        assert_eq!(events[0].data.id("user_id")?, member.id());
        stays.message(message).await?;
        settle(&member, &mut gone).await?;
        let later = gone.drain()?;
        let later: Vec<_> =
            later.iter().filter(|event| is_id(&event.data["conversation_id"], channel)).collect();
        ensure!(later.is_empty(), "{later:?}");
        Ok(())
    });
}

#[test]
fn who_leaves_sees_the_same() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let (mut gone, mut stays) = (member.session().await?, owner.session().await?);
        member.leave(channel).await?;
        let events = events_until(&mut gone, channel, "CONVERSATION_REMOVE").await?;
        assert_eq!(names(&events), ["MEMBER_REMOVE", "CONVERSATION_REMOVE"]);
        let seen = events_until(&mut stays, channel, "MEMBER_REMOVE").await?;
        assert_eq!(seen[0].data, events[0].data);
        assert_eq!(seen[0].data.id("author_id")?, member.id());
        Ok(())
    });
}

#[test]
fn a_deleted_channel_ends_for_everyone() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mut sessions = [owner.session().await?, member.session().await?];
        owner.delete_channel(channel).await?;
        for session in &mut sessions {
            let events = events_until(session, channel, "CONVERSATION_REMOVE").await?;
            assert_eq!(names(&events), ["CHANNEL_DELETE", "CONVERSATION_REMOVE"]);
            assert_eq!(events[0].data.id("author_id")?, owner.id());
        }
        Ok(())
    });
}

#[test]
fn who_is_removed_and_added_again_is_shown_it_again() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mut session = member.session().await?;
        owner.remove(channel, &member).await?;
        let between = owner.post(channel, "between").await?;
        owner.add(channel, &member).await?;
        let after = owner.post(channel, "after").await?;
        let events = events_until(&mut session, channel, "MESSAGE_CREATE").await?;
        let wanted = [
            "MEMBER_REMOVE",
            "CONVERSATION_REMOVE",
            "CONVERSATION_ADD",
            "MEMBER_ADD",
            "MESSAGE_CREATE",
        ];
        assert_eq!(names(&events), wanted);
        assert_eq!(events[2].data.id("last_id")?, between);
        assert_eq!(events[4].data.id("id")?, after);
        Ok(())
    });
}

#[test]
fn the_owners_other_sockets_are_shown_a_new_channel() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let mut session =
            Session::resume(ann.other_edge(), ann.token(), Cursors::default()).await?.0;
        let channel = ann.channel("den").await?;
        let events = events_until(&mut session, channel, "MEMBER_ADD").await?;
        assert_eq!(names(&events), ["CONVERSATION_ADD", "MEMBER_ADD"]);
        assert_eq!(events[0].kind, Kind::ConversationAdd { conversation: channel, new: true });
        assert_eq!(events[0].data.id_or_null("last_id")?, None);
        Ok(())
    });
}

#[test]
fn renaming_editing_and_deleting_reach_every_member() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let message = member.post(channel, "one").await?;
        let mut sessions = [owner.session().await?, member.session().await?];
        owner.rename(channel, "lair").await?;
        let edited = member.edit(channel, message, "ONE").await?;
        owner.delete(channel, message).await?;
        for session in &mut sessions {
            let events = events_until(session, channel, "MESSAGE_DELETE").await?;
            assert_eq!(names(&events), ["CHANNEL_UPDATE", "MESSAGE_UPDATE", "MESSAGE_DELETE"]);
            assert_eq!(events[0].data.text("name")?, "lair");
            assert_eq!(events[0].data.id("author_id")?, owner.id());
            assert_eq!(events[1].data.id("message_id")?, message);
            assert_eq!(events[1].data.text("content")?, "ONE");
            assert_eq!(events[1].data["at"], edited["edited_at"]);
            assert_eq!(events[2].data.id("message_id")?, message);
            assert_eq!(events[2].data.id("author_id")?, owner.id());
        }
        Ok(())
    });
}
