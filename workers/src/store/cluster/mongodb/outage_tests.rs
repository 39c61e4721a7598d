//! What operations come to while a real server is away, with the settings that operators have.

use std::error::Error as _;
use std::time::Duration;

use bus_schema::error::{Code, Failure};
use bus_schema::events::User;
use bus_schema::ids::UserId;
use bus_schema::text::{DisplayName, Username};
use bus_schema::timestamp::Timestamp;
use futures::future::join_all;
use tokio::time::Instant;

use super::Mongo;
use super::reach::{LOOK, PAUSE_MAX};
use crate::store::cluster::users::Users;
use crate::store::users::{Account, ProfileChange, Updated, UserStore as _};
use crate::store::{KnownAway, StoreError, StoreErrorKind};
use crate::testing::eventually;
use crate::testing::mongod::MongoServer;

/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(1);

async fn opened(server: &MongoServer) -> (Mongo, Users) {
    let mongo = Mongo::open(&server.settings()).unwrap();
    mongo.migrate().await.unwrap();
    (mongo.clone(), Users(mongo))
}

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
    let (mongo, users) = opened(&server).await;
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
    let (mongo, users) = opened(&server).await;
    eventually("it answers", async || ask(&users).await.0.ok()).await;
    server.signal("STOP").await;
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
    server.signal("CONT").await;
    answers_again(&users).await;
}

async fn rename(users: &Users, name: &str) -> Result<Updated, StoreError> {
    let display_name = Some(DisplayName::parse(name).unwrap());
    let call = String::new();
    let change = ProfileChange { username: None, display_name, avatar_url: None, call };
    users.update_profile(UserId(1), change).await
}

/// What was on its way arrives when the server wakes up; what was refused was never sent.
#[tokio::test]
async fn a_change_that_was_not_answered_is_not_said_to_be_refused() {
    let server = MongoServer::start().await;
    let (_, users) = opened(&server).await;
    let user = User {
        id: UserId(1),
        username: Username::parse("ann").unwrap(),
        display_name: DisplayName::parse("before").unwrap(),
        avatar_url: None,
        bot: false,
    };
    users.create(Account::new(user, None, Timestamp::now())).await.unwrap();
    rename(&users, "answered").await.unwrap();
    server.signal("STOP").await;
    let lost = rename(&users, "on its way").await.unwrap_err();
    assert_eq!(lost.kind, StoreErrorKind::Unknown, "{lost}");
    assert_eq!(Failure::from(lost).code, Code::UnknownOutcome);
    eventually("it is known to be away", async || {
        let refused = ask(&users).await.0.unwrap_err();
        refused.source()?.is::<KnownAway>().then_some(())
    })
    .await;
    let refused = rename(&users, "refused").await.unwrap_err();
    assert_eq!(refused.kind, StoreErrorKind::Unavailable, "{refused}");
    server.signal("CONT").await;
    eventually("what was on its way is done", async || {
        let account = users.by_id(UserId(1)).await.ok()??;
        (account.profile.user.display_name.as_str() == "on its way").then_some(())
    })
    .await;
}

/// Nobody was asked: that is as good as a refusal.
#[tokio::test]
async fn a_change_that_reached_nobody_is_refused() {
    let mut server = MongoServer::start().await;
    let (_, users) = opened(&server).await;
    server.kill();
    eventually("nothing of it is open", async || {
        let refused = rename(&users, "anything").await.unwrap_err();
        (refused.kind == StoreErrorKind::Unavailable).then_some(())
    })
    .await;
}
