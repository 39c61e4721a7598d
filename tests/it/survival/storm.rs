//! Many come back at once: none is lost, and what all of them missed is fetched once.

use std::time::Duration;

use futures::future::join_all;
use natter_tests::client::{Event, Kind, Socket};
use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::stack::{Plan, Stack};
use natter_tests::{Outcome, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::alone;

const LIMIT: Duration = Duration::from_mins(3);
/// Sessions that missed the same.
const SESSIONS: usize = 100;
/// More than one pull of one socket takes, so that pages are cut too.
const MISSED: usize = 120;

/// The sum of an edge's counters whose line contains all of this.
async fn counted(stack: &Stack, edge: &str, parts: &[&str]) -> Outcome<f64> {
    let metrics = stack.metrics(edge).await?;
    let ours = metrics.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
    Ok(ours.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}

#[test]
fn a_hundred_who_missed_the_same_cost_one_fetch() {
    alone(LIMIT, Plan::default(), async |stack, world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let cursors = member.session().await?.close().await;
        let mut sent = Vec::new();
        for index in 0..MISSED {
            sent.push(owner.post(channel, &index.to_string()).await?);
        }
        // An edge that has heard none of it: its ring begins where it is asked for the first time.
        stack.restart("edge-1").await?;
        let back = (0..SESSIONS).map(|_| member.resume(&world.edges[1], cursors.clone()));
        // Kept open, or the next one might find nobody following any more.
        let mut sessions = join_all(back).await.into_iter().collect::<Outcome<Vec<_>>>()?;
        for session in &mut sessions {
            let ours = |event: &Event| matches!(event.kind, Kind::Entry { .. });
            let events = session.drain()?.into_iter().filter(ours);
            let got = events.map(|event| event.data.id("id")).collect::<Outcome<Vec<_>>>()?;
            assert_eq!(got, sent);
            ensure!(session.violations().is_empty(), "a rule was broken");
        }
        let pulls = "natter_catch_up_pulls_total";
        let fetched = counted(stack, "edge-1", &[pulls, "\"history\""]).await?;
        ensure!((fetched - 1.0).abs() < 0.5, "{fetched} fetches for what all of them missed");
        let shared = counted(stack, "edge-1", &[pulls, "\"joined\""]).await?
            + counted(stack, "edge-1", &[pulls, "\"page\""]).await?;
        ensure!(shared >= 99.0, "only {shared} pulls shared it");
        Ok(())
    });
}

/// Comes until it is let in, as it is told to. How often it was refused with a hint.
async fn insist(edge: &str, token: &str) -> Outcome<usize> {
    let mut refused = 0;
    loop {
        let Ok(mut socket) = Socket::open(edge).await else {
            // Refused before the upgrade; the hint stands in the body, which this client cannot read.
            refused += 1;
            tokio::time::sleep(Duration::from_millis(500)).await;
            continue;
        };
        socket.send(&json!({ "op": 2, "d": { "token": token } })).await?;
        let first = |frame: &Value| frame["op"] == 7 || frame["t"] == "READY";
        let frame = socket.until("READY or RECONNECT", first).await?;
        if frame["t"] == "READY" {
            return Ok(refused);
        }
        let wait = frame.number("d/after_ms")?;
        ensure!((1..=60_000).contains(&wait), "a hint of {wait} ms");
        ensure!(socket.closed().await? == 4000, "another close code");
        refused += 1;
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
}

#[test]
fn who_is_refused_is_told_when_to_come_back_and_gets_in_at_last() {
    let plan = Plan::default()
        .edges(2)
        .edge_setting("EDGE__IDENTIFY_PER_S", "20")
        .edge_setting("EDGE__IDENTIFY_BURST", "5")
        .edge_setting("EDGE__IDENTIFY_WAIT_MS", "500");
    alone(LIMIT, plan, async |stack, world| {
        let person = world.person("storm").await?;
        let edge = &world.edges[0];
        let come = (0..60).map(|_| insist(edge, person.token()));
        let refused: Vec<usize> = join_all(come).await.into_iter().collect::<Outcome<_>>()?;
        ensure!(refused.iter().sum::<usize>() >= 30, "hardly anybody was refused: {refused:?}");
        // The hint of a refusal before the upgrade is in the shape of every other.
        let headers = [
            ("connection", "upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let api = person.api.at(edge);
        let crowd = join_all((0..40).map(|_| insist(edge, person.token())));
        let knock = eventually("a refusal", Duration::from_secs(20), async || {
            let answer = api.raw(Method::GET, "/v1/gateway", None, &headers).await;
            Ok(match answer {
                Ok(answer) if answer.status == 503 => Seen::Done(answer),
                other => Seen::not_yet(format!("{other:?}")),
            })
        });
        let (crowd, answer) = futures::join!(crowd, knock);
        crowd.into_iter().collect::<Outcome<Vec<_>>>()?;
        let answer = answer?;
        let hint = answer.retry_after();
        ensure!(hint.is_some_and(|wait| !wait.is_zero()), "no hint: {answer:?}");
        answer.refused(503, "unavailable")?;
        let refused = counted(stack, "edge-0", &["natter_identify_refused_total"]).await?;
        ensure!(refused > 0.0, "nobody was counted");
        Ok(())
    });
}
