//! Too many frames.

use std::time::Duration;

use futures::FutureExt as _;
use natter_tests::client::{Event, Kind, nonce, paging};
use natter_tests::json::Look as _;
use natter_tests::{Outcome, ensure, fail};
use serde_json::json;

use super::bystanders::Bystanders;
use crate::support::play_within;

#[test]
fn over_the_rate_is_refused_with_a_wait_after_which_it_is_taken() {
    play_within(Duration::from_mins(2), async |world| {
        let bystanders = Bystanders::new(&world).await?;
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        let ready = ann.ready(&ann.edge).await?;
        let (rate, burst) =
            (ready.number("limits/send_per_s")?, ready.number("limits/send_burst")?);
        let mut session = ann.session().await?;
        // Above the burst, and still far below ten times the rate.
        let count = usize::try_from(burst + rate.max(3))?;
        let nonces: Vec<String> = (0..count).map(|_| nonce()).collect();
        for nonce in &nonces {
            session.send(channel, "hello", nonce).await?;
        }
        let mut refused = Vec::new();
        for nonce in &nonces {
            let wanted = |event: &Event| {
                matches!(event.kind, Kind::Ack | Kind::Nack)
                    && event.data["nonce"] == nonce.as_str()
            };
            let answer = session.wait("an answer", wanted).await?;
            if answer.kind == Kind::Nack {
                ensure!(answer.data["code"] == "rate_limited", "{}", answer.data);
                refused.push((nonce, answer.data.number("retry_after_ms")?));
            }
        }
        ensure!(!refused.is_empty(), "{count} at once were all taken, the burst is {burst}");
        ensure!(refused.len() < count, "nothing was taken");
        for (nonce, wait) in refused {
            ensure!(wait > 0, "a wait of nothing");
            tokio::time::sleep(Duration::from_millis(wait)).await;
            again(&mut session, channel, nonce).await?;
        }
        assert_eq!(paging::forwards(&ann.api, channel, 100).await?.len(), count);
        bystanders.undisturbed().await
    });
}

/// Sends once more, as often as it is refused with a wait.
async fn again(session: &mut natter_tests::client::Session, channel: u64, nonce: &str) -> Outcome {
    for _ in 0..10 {
        session.send(channel, "hello", nonce).await?;
        let wanted = |event: &Event| {
            matches!(event.kind, Kind::Ack | Kind::Nack) && event.data["nonce"] == nonce
        };
        let answer = session.wait("an answer", wanted).await?;
        if answer.kind == Kind::Ack {
            return Ok(());
        }
        ensure!(answer.data["code"] == "rate_limited", "{}", answer.data);
        let wait = Duration::from_millis(answer.data.number("retry_after_ms")?);
        tokio::time::sleep(wait).await;
    }
    fail!("refused ten times, each time after waiting as long as was asked")
}

#[test]
fn ten_times_the_rate_is_4008() {
    play_within(Duration::from_mins(1), async |world| {
        let bystanders = Bystanders::new(&world).await?;
        let ann = world.person("ann").await?;
        let ready = ann.ready(&ann.edge).await?;
        let most =
            ready.number("limits/send_per_s")? * 30 + ready.number("limits/send_burst")? * 30;
        // Read while it is written: the close frame stands behind refusals.
        let mut session = ann.session().await?;
        let frame = json!({ "op": 21, "d": { "conversation_id": "1" } });
        let mut ended = None;
        for _ in 0..most.max(1000) {
            // Once it has been closed, sending fails and reading tells why.
            let sent = session.frame(&frame).await.is_ok();
            while let Some(next) = session.next().now_or_never() {
                if let Err(end) = next {
                    ended = Some(end.code);
                    break;
                }
            }
            if !sent || ended.is_some() {
                break;
            }
        }
        let code = match ended {
            Some(code) => code,
            None => Some(session.closed().await?),
        };
        assert_eq!(code, Some(4008));
        bystanders.undisturbed().await
    });
}
