//! Several sockets of one person: each gets every event.

use natter_tests::Outcome;
use natter_tests::client::{Cursors, Session};

use crate::support::play;

#[test]
fn every_socket_on_every_edge_gets_every_event() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mut sockets = Vec::new();
        for edge in world.edges.iter().cycle().take(6) {
            sockets.push(Session::resume(edge, member.token(), Cursors::default()).await?.0);
        }
        let phone = member.again_on(member.other_edge()).await?;
        sockets.push(phone.session().await?);
        let message = owner.post(channel, "hello").await?;
        owner.edit(channel, message, "hello!").await?;
        for socket in &mut sockets {
            socket.message(message).await?;
            let update = socket.expect("MESSAGE_UPDATE").await?;
            assert_eq!(update["content"], "hello!");
        }
        Ok(())
    });
}

#[test]
fn what_one_socket_sends_the_others_get() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        let mut one = ann.session().await?;
        let mut two = Session::resume(ann.other_edge(), ann.token(), Cursors::default()).await?.0;
        let id = one.say(channel, "to myself").await?;
        two.message(id).await?;
        one.message(id).await?;
        Ok(())
    });
}

#[test]
fn a_new_channel_shows_on_all_of_them() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let mut sockets = Vec::new();
        for edge in &world.edges {
            for person in [&ann, &bob] {
                sockets.push(Session::resume(edge, person.token(), Cursors::default()).await?.0);
            }
        }
        let channel = ann.channel("den").await?;
        ann.add(channel, &bob).await?;
        let message = bob.post(channel, "hello").await?;
        for socket in &mut sockets {
            let shown = socket.expect("CONVERSATION_ADD").await?;
            assert_eq!(shown["id"], channel.to_string());
            assert_eq!(shown["name"], "den");
            socket.message(message).await?;
        }
        Ok(())
    });
}

#[test]
fn a_socket_that_is_gone_hinders_no_other() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mut stays = member.session().await?;
        for _ in 0..5 {
            let gone: Outcome<Session> = member.session().await;
            gone?.abandon();
        }
        let message = owner.post(channel, "hello").await?;
        stays.message(message).await?;
        Ok(())
    });
}
