//! The most sessions a user may have.

use std::time::Duration;

use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;

use crate::support::{SOON, play_within};

#[test]
fn the_fifty_first_session_ends_the_oldest() {
    play_within(Duration::from_mins(3), async |world| {
        let ann = world.person("ann").await?;
        let mut socket = ann.session().await?;
        let mut last = ann.again_on(&ann.edge).await?;
        for _ in 0..48 {
            last = ann.again_on(&ann.edge).await?;
        }
        let sessions = last.api.get("/sessions").await?.ok(200)?;
        assert_eq!(sessions.list("sessions")?.len(), 50);
        ann.api.get("/users/@me").await?.ok(200)?;
        let last = ann.again_on(&ann.edge).await?;
        assert_eq!(socket.closed().await?, 4004);
        eventually("the oldest has ended", SOON, async || {
            let answer = ann.api.get("/users/@me").await?;
            Ok(Seen::when(answer.status == 401, format!("{answer:?}")))
        })
        .await?;
        let sessions = last.api.get("/sessions").await?.ok(200)?;
        assert_eq!(sessions.list("sessions")?.len(), 50);
        Ok(())
    });
}
