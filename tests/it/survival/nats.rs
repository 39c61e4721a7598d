//! The NATS server is killed and started again.

use std::time::Duration;

use natter_tests::client::{Cursors, Kind, Session, nonce, paging};
use natter_tests::ensure;
use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::stack::Plan;

use crate::support::alone;

const LIMIT: Duration = Duration::from_mins(4);
const BACK: Duration = Duration::from_mins(1);

#[test]
fn nothing_acknowledged_is_lost_and_all_edges_go_on_by_themselves() {
    alone(LIMIT, Plan::default(), async |stack, world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let mut cursors = member.session().await?.close().await;
        let mut acknowledged = Vec::new();
        for round in 0..3 {
            let content = format!("round {round}");
            let nonce = nonce();
            stack.nats().restart().await?;
            let id = eventually("a message is taken again", BACK, async || {
                let path = format!("/conversations/{channel}/messages");
                let body = serde_json::json!({ "content": content, "nonce": nonce });
                let answer = owner.api.post(&path, &body).await?;
                let again = matches!(answer.status, 503 | 504);
                ensure!(again || answer.status == 201, "{answer:?}");
                Ok(if again {
                    Seen::not_yet(format!("{answer:?}"))
                } else {
                    Seen::Done(answer.body.id("id")?)
                })
            })
            .await?;
            acknowledged.push(id);
        }
        // Reading the past may take a moment longer than writing.
        let stored = paging::forwards(&owner.patient(), channel, 100).await?;
        let ids: Vec<u64> =
            stored.iter().map(|message| message.id("id")).collect::<Result<_, _>>()?;
        assert_eq!(ids, acknowledged, "each once");
        let mut got = Vec::new();
        while got.len() < acknowledged.len() {
            let opened = Session::resume(&member.edge, member.token(), cursors).await;
            let (mut session, _) = opened?;
            got.extend(session.drain()?);
            cursors = session.close().await;
        }
        ensure!(got.iter().all(|event| matches!(event.kind, Kind::Entry { .. })), "{got:?}");
        assert_eq!(got.len(), acknowledged.len());
        let _: Cursors = cursors;
        Ok(())
    });
}
