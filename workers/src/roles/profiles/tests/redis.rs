//! The role with Redis beside it: killed, empty, and asked by several workers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bus_schema::ids::UserId;
use bus_schema::ops::profiles::UpdateProfile;
use bus_schema::text::DisplayName;
use futures::future::join_all;
use rand::seq::IteratorRandom as _;

use super::support::{Place, World, display_name, names};
use crate::roles::profiles::ProfilesSettings;
use crate::store::cluster::redis::RedisSettings;
use crate::store::users::{ProfileChange, UserStore as _};
use crate::testing::cluster::{Server, unique_name};
use crate::testing::eventually;
use crate::testing::redis::RedisServer;

fn shared() -> Place {
    let (url, key_prefix) = (Server::Redis.url(), format!("{}:", unique_name()));
    Place::Redis(RedisSettings { url, key_prefix, ..RedisSettings::default() })
}

/// Somebody reads a profile and is slow to say so; meanwhile it is changed. What the slow one brings
/// must not be what people see from then on.
async fn race(place: Place) {
    let mut world = World::new(place, 3, 2, ProfilesSettings::default()).await;
    let token = world.token().await;
    // What there is of the connection to Redis is there.
    eventually("profiles are cached", async || {
        let before = world.users.counted();
        world.names(&[2, 3]).await;
        (world.users.counted() == before).then_some(())
    })
    .await;
    let before = world.users.counted().0;
    world.users.hold.send_replace(true);
    let edge = world.edge.clone();
    let slow = tokio::spawn(async move { names(&edge, &[1]).await });
    eventually("the slow one has read", async || (world.users.counted().0 > before).then_some(()))
        .await;
    world.ask::<UpdateProfile>(token, &display_name("second")).await.unwrap();
    world.users.hold.send_replace(false);
    slow.await.unwrap();
    for _ in 0..50 {
        assert_eq!(world.names(&[1]).await[&1], "second");
    }
}

#[tokio::test]
async fn a_slow_reader_cannot_bring_an_old_profile_back_into_memory() {
    race(Place::Memory).await;
}

#[tokio::test]
async fn a_slow_reader_cannot_bring_an_old_profile_back_into_redis() {
    race(shared()).await;
}

#[tokio::test]
async fn an_answered_change_is_seen_through_every_worker() {
    let mut world = World::new(shared(), 1, 3, ProfilesSettings::default()).await;
    let token = world.token().await;
    for n in 0..20 {
        let name = format!("name {n}");
        world.ask::<UpdateProfile>(token.clone(), &display_name(&name)).await.unwrap();
        for _ in 0..5 {
            assert_eq!(world.names(&[1]).await[&1], name);
        }
    }
}

#[tokio::test]
async fn a_cached_profile_is_read_again_after_its_hard_age_however_often_it_is_used() {
    let settings = ProfilesSettings { fresh_s: 1, ..ProfilesSettings::default() };
    let world = World::new(shared(), 1, 2, settings).await;
    eventually("it is cached", async || {
        let before = world.users.counted();
        world.names(&[1]).await;
        (world.users.counted() == before).then_some(())
    })
    .await;
    // Behind the caches' backs, as if nobody could tell them.
    let change = ProfileChange {
        display_name: Some(DisplayName::parse("second").unwrap()),
        ..ProfileChange::default()
    };
    world.users.update_profile(UserId(1), change).await.unwrap();
    eventually("the new name", async || (world.names(&[1]).await[&1] == "second").then_some(()))
        .await;
}

#[tokio::test]
async fn a_request_is_one_command_and_a_change_is_written_through() {
    let server = RedisServer::start().await;
    let settings = ProfilesSettings::default();
    let mut world = World::new(Place::Redis(server.settings()), 100, 1, settings).await;
    let token = world.token().await;
    let all: Vec<u64> = (1..=100).collect();
    eventually("all are cached", async || {
        world.names(&all).await;
        (server.cli(&["dbsize"]) == "100").then_some(())
    })
    .await;
    server.count_anew();
    let before = world.users.counted();
    assert_eq!(world.names(&all).await.len(), 100);
    assert_eq!(server.commands(), [("mget".to_owned(), 1)].into());
    assert_eq!(server.look_ups(), 100, "each person once");
    assert_eq!(world.users.counted(), before, "nobody was asked of the store");
    world.users.queries.store(0, Ordering::SeqCst);
    assert_eq!(server.cli(&["flushall"]), "OK");
    server.count_anew();
    assert_eq!(world.names(&all).await.len(), 100);
    let commands = server.commands();
    assert_eq!((commands["mget"], commands["evalsha"]), (1, 1), "{commands:?}");
    assert_eq!(world.users.queries.load(Ordering::SeqCst), 1);
    let before = world.users.counted();
    world.ask::<UpdateProfile>(token, &display_name("second")).await.unwrap();
    let commands = server.commands();
    assert!(commands["evalsha"] >= 1 && commands["set"] >= 1, "{commands:?}");
    assert!(!commands.contains_key("del") && !commands.contains_key("unlink"), "{commands:?}");
    assert_eq!(world.names(&all).await[&1], "second");
    assert_eq!(world.users.counted(), before, "and no one now");
}

/// Redis comes back with nothing in it, and everybody wants everybody.
#[tokio::test]
async fn an_empty_redis_is_filled_by_few_queries_that_ask_for_each_person_once() {
    let server = RedisServer::start().await;
    let settings = ProfilesSettings::default();
    // A Redis that is given up is read past, and what is missing is read more often.
    let redis = RedisSettings { answer_within_ms: 10_000, ..server.settings() };
    let world = World::new(Place::Redis(redis), 100, 1, settings).await;
    let all: Vec<u64> = (1..=100).collect();
    eventually("all are cached", async || {
        world.names(&all).await;
        (server.cli(&["dbsize"]) == "100").then_some(())
    })
    .await;
    for _ in 0..5 {
        assert_eq!(server.cli(&["flushall"]), "OK");
        let (queries, ids) = world.users.counted();
        let answers = join_all((0..200).map(|_| world.names(&all))).await;
        assert!(answers.iter().all(|names| names.len() == 100));
        let (queries, ids) = (world.users.counted().0 - queries, world.users.counted().1 - ids);
        assert_eq!((queries, ids), (1, 100), "200 requests of 100 people");
    }
    assert_eq!(world.users.at_once.load(Ordering::SeqCst), 1);
}

/// Asks for people until told to stop; how many times it has.
async fn ask_on(world: &World, stop: &AtomicBool, asked: &AtomicUsize) {
    while !stop.load(Ordering::SeqCst) {
        let some = (1..=400).sample(&mut rand::rng(), 100);
        let names = world.names(&some).await;
        for id in some {
            match id {
                // Somebody changes this one all the time.
                1 => assert!(names[&1].starts_with("name ") || names[&1] == "first"),
                2..=300 => assert_eq!(names[&id], "first"),
                _ => assert!(!names.contains_key(&id), "nobody is {id}"),
            }
        }
        asked.fetch_add(1, Ordering::SeqCst);
    }
}

async fn change_on(
    world: &World,
    call: &bus_schema::runtime::call::Call,
    stop: &AtomicBool,
) -> String {
    let mut last = String::new();
    for n in 0.. {
        if stop.load(Ordering::SeqCst) {
            break;
        }
        last = format!("name {n}");
        world.ask::<UpdateProfile>(call.clone(), &display_name(&last)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    last
}

/// Redis is killed under load and comes back empty, twice: every answer is right, and the accounts
/// are asked by one query of each worker at a time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_killed_under_load_makes_nothing_wrong_and_no_stampede() {
    let mut server = RedisServer::start().await;
    let settings = ProfilesSettings { fresh_s: 2, ..ProfilesSettings::default() };
    let mut world = World::new(Place::Redis(server.settings()), 300, 2, settings).await;
    let token = world.token().await;
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let more = async |what: &str| {
        let before = asked.load(Ordering::SeqCst);
        eventually(what, async || (asked.load(Ordering::SeqCst) > before + 50).then_some(())).await;
    };
    let faults = async {
        for _ in 0..2 {
            more("answers from Redis").await;
            server.kill();
            more("answers without Redis").await;
            server.revive().await;
            eventually("Redis is used again", async || {
                (server.cli(&["dbsize"]).parse::<u64>().unwrap() > 300).then_some(())
            })
            .await;
        }
        more("answers from Redis").await;
        stop.store(true, Ordering::SeqCst);
    };
    let load = join_all((0..16).map(|_| ask_on(&world, &stop, &asked)));
    let ((), _, last) = tokio::join!(faults, load, change_on(&world, &token, &stop));
    let (queries, asked) = (world.users.counted().0, asked.load(Ordering::SeqCst));
    assert!(queries < asked, "{queries} queries for {asked} requests");
    let at_once = world.users.at_once.load(Ordering::SeqCst);
    assert!(at_once <= 2, "{at_once} queries at once of two workers");
    eventually("the last change", async || (world.names(&[1]).await[&1] == last).then_some(()))
        .await;
    println!("{asked} requests, {queries} queries, {at_once} at once");
}

/// Several workers coalesce each for itself: what is missing may be read once by each of them.
#[tokio::test]
async fn two_workers_read_what_is_missing_at_most_once_each() {
    let server = RedisServer::start().await;
    let settings = ProfilesSettings::default();
    // A loaded machine is slow, not broken: a Redis that is given up is not asked, so what is missing in
    // it would be read more often.
    let redis = RedisSettings { answer_within_ms: 10_000, ..server.settings() };
    let world = Arc::new(World::new(Place::Redis(redis), 100, 2, settings).await);
    let all: Vec<u64> = (1..=100).collect();
    eventually("all are cached", async || {
        world.names(&all).await;
        (server.cli(&["dbsize"]) == "100").then_some(())
    })
    .await;
    for _ in 0..20 {
        assert_eq!(server.cli(&["flushall"]), "OK");
        let (queries, ids) = world.users.counted();
        join_all((0..100).map(|_| world.names(&all))).await;
        let (queries, ids) = (world.users.counted().0 - queries, world.users.counted().1 - ids);
        assert!((1..=2).contains(&queries), "{queries}");
        assert!((100..=200).contains(&ids), "{ids}");
    }
}
