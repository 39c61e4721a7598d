//! What one persister leaves undone, another does as the first would have; and a store that goes away
//! is waited for.

use std::sync::Arc;

use bus_schema::entry::Body;
use bus_schema::ids::UserId;

use super::tests::{ANN, Bench, STREAM, quick, stored};
use crate::judge::Judge;
use crate::store::Stores;
use crate::store::conformance::history::model;
use crate::store::history::HistoryStore;
use crate::testing::cluster::{Keyspace, Server};
use crate::testing::cut::Cut;
use crate::testing::eventually;

/// A removal, and what follows it that is void because of it.
fn around_a_removal() -> Vec<Body> {
    let bob = UserId(2);
    vec![
        model::add(ANN, ANN, 1),
        model::add(bob, ANN, 2),
        model::message(bob, "said"),
        model::remove(bob, ANN, 3),
        model::message(bob, "void: removed"),
        model::edit(bob, 3, STREAM, "void: removed"),
        model::add(bob, ANN, 4),
        model::delete(bob, 3, STREAM),
        model::edit(bob, 3, STREAM, "void: deleted"),
        model::message(bob, "said again"),
    ]
}

/// One is killed after the removal is stored, before what follows is judged; another takes over.
async fn killed_after_a_removal(history: Option<Arc<dyn HistoryStore>>) {
    let bench = Bench::with(history).await;
    let story = around_a_removal();
    let (_stop, first) = bench.persist(quick()).await;
    for body in &story[..4] {
        bench.say(body).await;
    }
    bench.floor(4).await;
    first.abort();
    let mut log = model::Log::new(STREAM);
    for body in &story {
        log.push(body.clone());
    }
    for body in &story[4..] {
        bench.say(body).await;
    }
    let (stop, second) = bench.persist(quick()).await;
    bench.floor(10).await;
    let valid: Vec<u64> = log.valid().iter().map(|entry| entry.id.sequence()).collect();
    assert_eq!(stored(&*bench.stores.history).await, valid);
    assert_eq!(valid, [1, 2, 3, 4, 7, 8, 10]);
    stop.request();
    second.await.unwrap().unwrap();
}

#[tokio::test]
async fn after_a_kill_between_a_removal_and_what_follows_the_verdict_is_the_same() {
    killed_after_a_removal(None).await;
}

#[tokio::test]
async fn after_a_kill_between_a_removal_and_what_follows_the_verdict_is_the_same_in_cassandra() {
    let keyspace = Keyspace::at(Server::Cassandra.url()).await;
    killed_after_a_removal(Some(Arc::clone(&keyspace.history))).await;
    keyspace.drop().await;
}

/// Wherever another had got to when it was killed, also with rows of later entries stored already.
#[tokio::test]
async fn the_verdict_is_the_same_wherever_another_was_killed() {
    let mut log = model::Log::new(STREAM);
    for body in around_a_removal() {
        log.push(body);
    }
    let valid = log.valid();
    let keyspace = Keyspace::at(Server::Cassandra.url()).await;
    let dir = tempfile::tempdir().unwrap();
    let embedded = Stores::embedded(dir.path()).await.unwrap().history;
    for store in [Arc::clone(&keyspace.history), embedded] {
        store.write_batch(STREAM, valid.clone(), 0).await.unwrap();
        for floor in 0..10 {
            for size in [1, 3, 10] {
                // Nothing is written meanwhile: each batch builds on what the ones before it said.
                let mut judge = Judge::new(Arc::clone(&store), STREAM, 0, 0);
                let mut judged = Vec::new();
                for batch in log.entries[floor..].chunks(size) {
                    judge.prepare(batch, floor as u64).await.unwrap();
                    judged.extend(judge.valid(batch.to_vec()));
                }
                let wanted = valid.iter().filter(|e| e.id.sequence() > floor as u64);
                assert_eq!(judged, wanted.cloned().collect::<Vec<_>>(), "{floor} {size}");
            }
        }
    }
    keyspace.drop().await;
}

#[tokio::test]
async fn a_store_that_goes_away_and_comes_back_is_waited_for() {
    let mut way = Cut::to(&Server::Cassandra.url()).await;
    let keyspace = Keyspace::at(way.address.to_string()).await;
    let bench = Bench::with(Some(Arc::clone(&keyspace.history))).await;
    let (stop, persister) = bench.persist(quick()).await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    bench.floor(1).await;
    way.cut().await;
    for n in 2..=40 {
        bench.say(&model::message(ANN, &format!("m{n}"))).await;
    }
    let away = async || bench.stores.history.floor(STREAM).await.is_err().then_some(());
    eventually("the store is away", away).await;
    assert!(!persister.is_finished());
    way.mend();
    eventually("the floor rises again", async || {
        (bench.stores.history.floor(STREAM).await.ok()? == 40).then_some(())
    })
    .await;
    assert_eq!(stored(&*bench.stores.history).await, (1..=40).collect::<Vec<_>>());
    stop.request();
    persister.await.unwrap().unwrap();
    keyspace.drop().await;
}
