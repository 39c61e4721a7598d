//! What operations come to while a real server is away, with the settings that operators have.

use std::time::Duration;

use bus_schema::ids::UserId;
use futures::future::join_all;
use tokio::time::Instant;

use super::Mongo;
use super::reach::{LOOK, PAUSE_MAX};
use crate::store::cluster::users::Users;
use crate::store::users::UserStore as _;
use crate::store::{StoreError, StoreErrorKind};
use crate::testing::eventually;
use crate::testing::mongod::MongoServer;

/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(1);

async fn ask(users: &Users) -> (Result<(), StoreError>, Duration) {
    let started = Instant::now();
    let answer = users.by_id(UserId(1)).await.map(drop);
    (answer, started.elapsed())
}

/// Asks several times at once, and again: all are refused, and so soon.
async fn refused_at_once(users: &Users) {
    for _ in 0..3 {
        for (answer, took) in join_all((0..50).map(|_| ask(users))).await {
            assert_eq!(answer.unwrap_err().kind, StoreErrorKind::Unavailable);
            assert!(took < Duration::from_millis(500), "{took:?}");
        }
    }
}

/// Waits until it answers, which is soon after it could.
async fn answers_again(users: &Users) {
    let back = Instant::now();
    eventually("it answers again", async || ask(users).await.0.ok()).await;
    assert!(back.elapsed() < LOOK + PAUSE_MAX + SLACK, "{:?}", back.elapsed());
}

#[tokio::test]
async fn a_server_that_is_killed_costs_one_wait_and_is_found_again() {
    let mut server = MongoServer::start().await;
    let mongo = Mongo::open(&server.settings()).unwrap();
    mongo.migrate().await.unwrap();
    let users = Users(mongo.clone());
    eventually("it answers", async || ask(&users).await.0.ok()).await;
    for _ in 0..2 {
        server.kill();
        let wait = Duration::from_millis(mongo.0.settings.primary_wait_ms);
        for (answer, took) in join_all((0..50).map(|_| ask(&users))).await {
            assert_eq!(answer.unwrap_err().kind, StoreErrorKind::Unavailable);
            assert!(took < wait + SLACK, "{took:?}");
        }
        refused_at_once(&users).await;
        server.revive().await;
        answers_again(&users).await;
    }
}

/// It keeps its connections: nothing but the time tells.
#[tokio::test]
async fn a_server_that_says_nothing_is_away_once_a_look_has_seen_it() {
    let server = MongoServer::start().await;
    let mongo = Mongo::open(&server.settings()).unwrap();
    mongo.migrate().await.unwrap();
    let users = Users(mongo.clone());
    eventually("it answers", async || ask(&users).await.0.ok()).await;
    server.signal("STOP");
    let longest = Duration::from_millis(mongo.0.settings.operation_timeout_ms);
    let (answer, took) = ask(&users).await;
    assert_eq!(answer.unwrap_err().kind, StoreErrorKind::Unavailable);
    assert!(took < longest + SLACK, "{took:?}");
    eventually("it is known to be away", async || {
        let (answer, took) = ask(&users).await;
        answer.unwrap_err();
        (took < Duration::from_millis(100)).then_some(())
    })
    .await;
    refused_at_once(&users).await;
    server.signal("CONT");
    answers_again(&users).await;
}
