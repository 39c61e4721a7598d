//! An edge is killed, or leaves.

use std::time::Duration;

use natter_tests::client::{Cursors, Event, Kind, Session, nonce, paging};
use natter_tests::json::Look as _;
use natter_tests::stack::Plan;
use natter_tests::{Outcome, ensure};

use crate::support::alone;

const LIMIT: Duration = Duration::from_mins(3);
/// Sent at once by one socket.
const SENDS: usize = 60;

fn messages(events: &[Event]) -> Outcome<Vec<u64>> {
    let messages = events.iter().filter(|event| event.name == "MESSAGE_CREATE");
    messages.map(|event| event.data.id("id")).collect()
}

#[test]
fn who_was_on_a_killed_edge_goes_on_at_another_and_has_missed_nothing() {
    alone(LIMIT, Plan::default(), async |stack, world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mut from = owner.session().await?;
        let (mut sent, mut got) = (Vec::new(), Vec::new());
        let mut session = member.session().await?;
        for round in 0..3 {
            for index in 0..10 {
                sent.push(from.say(channel, &format!("{round} {index}")).await?);
                if index == 4 {
                    stack.kill("edge-1")?;
                }
            }
            // Whatever arrived before the edge died.
            while let Ok(event) = session.next().await {
                got.extend(messages(&[event])?);
            }
            ensure!(session.violations().is_empty(), "a rule was broken");
            let cursors = session.abandon();
            let mut other = member.resume(&world.edges[0], cursors).await?;
            got.extend(messages(&other.drain()?)?);
            stack.revive("edge-1").await?;
            session = member.resume(&world.edges[1], other.close().await).await?;
            got.extend(messages(&session.drain()?)?);
        }
        assert_eq!(got, sent);
        Ok(())
    });
}

#[test]
fn a_message_pending_when_its_edge_dies_is_there_once_after_being_sent_again() {
    alone(LIMIT, Plan::default(), async |stack, world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        for round in 0..5 {
            let mut session = owner.session().await?;
            let (nonce, content) = (nonce(), format!("message {round}"));
            session.send(channel, &content, &nonce).await?;
            stack.kill("edge-0")?;
            let mut seen = None;
            while let Ok(event) = session.next().await {
                if matches!(event.kind, Kind::Ack) {
                    seen = Some(event.data.id("id")?);
                }
            }
            let cursors = session.abandon();
            let mut session = owner.resume(&world.edges[1], cursors).await?;
            session.send(channel, &content, &nonce).await?;
            let answer = session.wait("ACK", |event| {
                event.data["nonce"] == nonce.as_str() && event.kind == Kind::Ack
            });
            let id = answer.await?.data.id("id")?;
            ensure!(seen.is_none_or(|seen| seen == id), "{seen:?} and then {id}");
            stack.revive("edge-0").await?;
        }
        let all = paging::forwards(&owner.api, channel, 100).await?;
        let contents: Vec<_> = all.iter().map(|message| message["content"].clone()).collect();
        let wanted: Vec<_> =
            (0..5).map(|round| serde_json::json!(format!("message {round}"))).collect();
        assert_eq!(contents, wanted);
        Ok(())
    });
}

#[test]
fn an_edge_that_leaves_says_so_first_and_ends_well() {
    alone(LIMIT, Plan::default(), async |stack, world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mut session =
            Session::resume(&world.edges[1], member.token(), Cursors::default()).await?.0;
        owner.post(channel, "before").await?;
        let leaving = stack.drain("edge-1");
        let watching = async {
            let mut got = Vec::new();
            while let Ok(event) = session.next().await {
                got.push(event);
            }
            ensure!(session.reconnect_after().is_some(), "no RECONNECT came");
            Ok((got, session))
        };
        let ((), (mut got, session)) = tokio::try_join!(leaving, watching)?;
        let after = owner.post(channel, "after").await?;
        let mut session = member.resume(&world.edges[0], session.abandon()).await?;
        got.extend(session.drain()?);
        let ids = messages(&got)?;
        assert_eq!((ids.len(), ids.last()), (2, Some(&after)));
        Ok(())
    });
}

#[test]
fn an_edge_that_leaves_answers_every_send_that_it_carried_out() {
    alone(LIMIT, Plan::default(), async |stack, world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        for _ in 0..3 {
            let mut session =
                Session::resume(&world.edges[1], owner.token(), Cursors::default()).await?.0;
            let before = paging::forwards(&owner.api, channel, 100).await?.len();
            for index in 0..SENDS {
                session.send(channel, &format!("message {index}"), &nonce()).await?;
            }
            session.wait("the first ACK", |event| event.kind == Kind::Ack).await?;
            let leaving = stack.drain("edge-1");
            let watching = async {
                let mut acknowledged = 1;
                while let Ok(event) = session.next().await {
                    acknowledged += usize::from(event.kind == Kind::Ack);
                }
                Ok(acknowledged)
            };
            let ((), acknowledged) = tokio::try_join!(leaving, watching)?;
            let after = paging::forwards(&owner.api, channel, 100).await?.len();
            assert_eq!(after - before, acknowledged, "what is in the log was acknowledged");
            stack.revive("edge-1").await?;
        }
        Ok(())
    });
}
