//! What is answered while the store is away, against a real Cassandra behind a way that is cut.

use std::sync::Arc;

use bus_schema::error::Code;
use bus_schema::ids::EntryId;
use bus_schema::ops::history::*;
use bus_schema::runtime::call::Call;

use super::role_tests::{ANN, Bench, LATEST, STREAM, ids, stop};
use super::{HistorySettings, TailSettings};
use crate::store::conformance::history::model::{self, PLACE};
use crate::testing::cluster::{Keyspace, Server};
use crate::testing::cut::Cut;
use crate::testing::eventually;

/// A worker whose tail holds about the last 20 of 60 stored entries.
fn small() -> HistorySettings {
    let tail = TailSettings { entries: 20, ..TailSettings::default() };
    HistorySettings { tail, warm_entries: 20, ..HistorySettings::default() }
}

#[tokio::test]
async fn recent_history_goes_on_while_the_store_is_away() {
    let mut way = Cut::to(&Server::Cassandra.url()).await;
    let keyspace = Keyspace::at(way.address.to_string()).await;
    let bench = Bench::with(Some(Arc::clone(&keyspace.history))).await;
    let persister = bench.persister().await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    for n in 2..=60 {
        bench.say(&model::message(ANN, &format!("m{n}"))).await;
    }
    eventually("all is stored", async || {
        (bench.stores.history.floor(STREAM).await.ok()? == 60).then_some(())
    })
    .await;
    let history = bench.history(small()).await;
    // Learns the membership that judging what comes needs.
    bench.say(&model::message(ANN, "m61")).await;
    assert_eq!(bench.summary(ANN).await.last_id, ids([61]).pop());
    way.cut().await;
    let old = MessagesRequest {
        place: PLACE,
        bound: Bound::After(EntryId::new(3, STREAM)),
        limit: 5,
        fresh: LATEST,
    };
    let call = Call::platform().stream(STREAM);
    eventually("old pages are unavailable", async || {
        let failure = bench.edge.call::<Messages>(&call, &old).await.err()?;
        (failure.code == Code::Unavailable).then_some(())
    })
    .await;
    bench.say(&model::message(ANN, "m62")).await;
    let reply = bench.range(Some(58), LATEST).await;
    assert_eq!(reply.entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [59, 60, 61, 62]);
    let page = bench.messages(Bound::Newest).await;
    assert_eq!(page.messages.iter().map(|m| m.id).collect::<Vec<_>>(), ids([60, 61, 62]));
    let summary = eventually("where it stands is known", async || {
        let of = SummaryOf { place: PLACE, since: EntryId::ZERO, messages: 2 };
        let request = SummariesRequest { user: ANN, places: vec![of], fresh: LATEST };
        let reply = bench.edge.call::<Summaries>(&call, &request).await.ok()?;
        reply.summaries.into_iter().next()
    });
    let summary = summary.await;
    assert_eq!(summary.last_id, ids([62]).pop());
    assert_eq!(summary.messages.iter().map(|m| m.id).collect::<Vec<_>>(), ids([61, 62]));
    // A page that would go on below memory ends there, and says where.
    let page = MessagesRequest { bound: Bound::Newest, limit: 100, ..old.clone() };
    let page = bench.edge.call::<Messages>(&call, &page).await.unwrap();
    assert!(page.has_more && page.messages.len() < 60 && page.messages.len() > 10);
    assert!(page.next.unwrap() <= page.messages[0].id);
    way.mend();
    eventually("old pages are there again", async || {
        let reply = bench.edge.call::<Messages>(&call, &old).await.ok()?;
        assert_eq!(reply.messages.iter().map(|m| m.id).collect::<Vec<_>>(), ids(4..=8));
        Some(())
    })
    .await;
    stop(history).await;
    stop(persister).await;
    keyspace.drop().await;
}

#[tokio::test]
async fn a_worker_that_starts_without_the_store_answers_what_the_log_holds() {
    let mut way = Cut::to(&Server::Cassandra.url()).await;
    let keyspace = Keyspace::at(way.address.to_string()).await;
    way.cut().await;
    let bench = Bench::with(Some(Arc::clone(&keyspace.history))).await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    for n in 2..=20 {
        bench.say(&model::message(ANN, &format!("m{n}"))).await;
    }
    let history = bench.history(HistorySettings::default()).await;
    let reply = bench.range(Some(0), LATEST).await;
    assert_eq!(reply.entries.len(), 20);
    let page = bench.messages(Bound::Newest).await;
    assert_eq!(page.messages.iter().map(|m| m.id).collect::<Vec<_>>(), ids([18, 19, 20]));
    way.mend();
    let persister = bench.persister().await;
    eventually("all is stored", async || {
        (bench.stores.history.floor(STREAM).await.ok()? == 20).then_some(())
    })
    .await;
    assert_eq!(bench.summary(ANN).await.last_id, ids([20]).pop());
    stop(history).await;
    stop(persister).await;
    keyspace.drop().await;
}
