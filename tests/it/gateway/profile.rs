//! USER_UPDATE.

use natter_tests::client::Event;
use serde_json::json;

use crate::support::play;

#[test]
fn a_changed_profile_reaches_oneself_and_who_shares_a_conversation() {
    play(async |world| {
        let (owner, member, _) = world.channel_of_two().await?;
        let partner = world.person_on(1, "partner").await?;
        let dm = owner.dm(&partner).await?;
        owner.post(dm, "hello").await?;
        let mut sessions = Vec::new();
        for person in [&owner, &member, &partner] {
            sessions.push(person.session().await?);
        }
        let change = json!({ "display_name": "renamed" });
        let user = owner.api.patch("/users/@me", &change).await?.ok(200)?;
        for session in &mut sessions {
            let wanted = |event: &Event| event.name == "USER_UPDATE" && event.data == user;
            session.wait("USER_UPDATE", wanted).await?;
        }
        Ok(())
    });
}
