//! 4009: silence.

use std::time::{Duration, Instant};

use natter_tests::client::{Heard, Socket};
use natter_tests::{ensure, fail};
use serde_json::json;
use tokio::time::interval;

use crate::support::play_within;

#[test]
fn without_identify_for_ten_seconds_is_4009_whatever_else_is_sent() {
    play_within(Duration::from_mins(1), async |world| {
        let started = Instant::now();
        let mut silent = Socket::open(&world.edges[0]).await?;
        let mut beating = Socket::open(&world.edges[1]).await?;
        let beats = async {
            let mut tick = interval(Duration::from_secs(2));
            loop {
                tokio::select! {
                    _ = tick.tick() => beating.send(&json!({ "op": 1 })).await?,
                    heard = beating.next_within(Duration::from_secs(30)) => {
                        if let Heard::Closed(code) = heard? {
                            return Ok(code);
                        }
                    }
                }
                ensure!(started.elapsed() < Duration::from_secs(30), "still open");
            }
        };
        let silence = silent.closed_within(Duration::from_secs(30));
        let (code, beating) = tokio::try_join!(silence, beats)?;
        assert_eq!((code, beating), (4009, Some(4009)));
        ensure!(started.elapsed() >= Duration::from_secs(9), "after {:?}", started.elapsed());
        Ok(())
    });
}

#[test]
fn silent_for_two_intervals_is_4009_and_pings_do_not_count() {
    play_within(Duration::from_mins(4), async |world| {
        let ann = world.person("ann").await?;
        let mut silent = Socket::open(&ann.edge).await?;
        let interval_of = silent.hello().await?;
        silent.identify(ann.token()).await?;
        let mut alive = ann.session().await?;
        let started = Instant::now();
        let mut tick = interval(interval_of / 4);
        let code = loop {
            tokio::select! {
                _ = tick.tick() => silent.ping().await?,
                heard = silent.next_within(interval_of * 4) => match heard? {
                    Heard::Closed(code) => break code,
                    Heard::Frame(_) => {}
                },
            }
            if started.elapsed() > interval_of * 4 {
                fail!("open after {:?}", started.elapsed());
            }
        };
        assert_eq!(code, Some(4009));
        ensure!(started.elapsed() >= interval_of, "already after {:?}", started.elapsed());
        let dm = ann.dm(&world.person("bob").await?).await?;
        alive.say(dm, "still here").await?;
        Ok(())
    });
}
