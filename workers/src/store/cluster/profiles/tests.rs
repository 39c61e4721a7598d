//! The cache on real servers: the shared one for what does no harm, others of their own.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpListener;

use super::*;
use crate::store::conformance::profiles::{LIMITS, profile, reachable, suite};
use crate::testing::cluster::{Server, unique_name};
use crate::testing::cut::Cut;
use crate::testing::eventually;
use crate::testing::redis::RedisServer;

fn open(settings: &RedisSettings) -> Arc<dyn ProfileCache> {
    InRedis::new(settings).unwrap().open(LIMITS)
}

fn ids(range: std::ops::Range<u64>) -> Vec<UserId> {
    range.map(UserId).collect()
}

#[tokio::test]
async fn conforms() {
    let key_prefix = format!("{}:", unique_name());
    let url = Server::Redis.url();
    // What is shown is what is kept, not how fast a busy machine is.
    let settings =
        RedisSettings { url, key_prefix, answer_within_ms: 5_000, ..RedisSettings::default() };
    suite(&InRedis::new(&settings).unwrap()).await;
}

#[tokio::test]
async fn a_batch_is_one_command_and_looks_each_id_up_once() {
    let server = RedisServer::start().await;
    let cache = open(&server.settings());
    reachable(&*cache).await;
    let known: Vec<_> = (100..160).map(|id| profile(id, 1, "known")).collect();
    cache.put(&known, Instant::now()).await;
    server.count_anew();
    let seen = cache.get(&ids(100..200)).await;
    assert_eq!(seen.iter().filter(|cached| matches!(cached, Cached::Fresh(_))).count(), 60);
    let counted = server.commands();
    assert_eq!(counted, [("mget".to_owned(), 1)].into(), "60 found, 40 not");
    assert_eq!(server.look_ups(), 100);
    server.count_anew();
    cache.put_absent(&ids(160..200), Instant::now()).await;
    let counted = server.commands();
    assert_eq!(counted.get("evalsha"), Some(&1), "{counted:?}");
}

#[tokio::test]
async fn what_cannot_be_understood_is_missing_and_is_overwritten() {
    let server = RedisServer::start().await;
    let cache = open(&server.settings());
    reachable(&*cache).await;
    let key = |id: u64| format!("natter:profile:1:{id}");
    let highest = "ffffffffffffffff:ffffffffffffffff:";
    let other = serde_json::to_string(&profile(1, 1, "another").user).unwrap();
    let spoilt = [
        String::new(),
        "garbage".to_owned(),
        "zzzzzzzzzzzzzzzz:zzzzzzzzzzzzzzzz:{}".to_owned(),
        highest.to_owned(),
        format!("{highest}{{\"id\":\"4\""),
        format!("{highest}{other}"),
    ];
    let count = spoilt.len() as u64;
    for (id, value) in (0..).zip(&spoilt) {
        server.cli(&["set", &key(id), value]);
    }
    server.cli(&["lpush", &key(count), "of", "another", "type"]);
    server.cli(&["hset", &key(count + 1), "field", "value"]);
    let all = ids(0..count + 2);
    let seen = cache.get(&all).await;
    assert!(seen.iter().all(|cached| *cached == Cached::Unknown), "{seen:?}");
    // As whoever asked would do, until it need not any more.
    let right: Vec<_> = all.iter().map(|id| profile(id.0, 1, "right")).collect();
    let wanted: Vec<_> = right.iter().cloned().map(Cached::Fresh).collect();
    eventually("all are overwritten", async || {
        cache.put(&right, Instant::now()).await;
        (cache.get(&all).await == wanted).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_another_clock_dated_into_the_future_is_not_fresh() {
    let server = RedisServer::start().await;
    let cache = open(&server.settings());
    reachable(&*cache).await;
    let known = profile(1, 5, "known");
    let bytes = value::encode(5, u64::MAX / 2, Some(&known.user)).unwrap();
    server.cli(&["set", "natter:profile:1:1", &String::from_utf8(bytes).unwrap()]);
    assert_eq!(cache.get(&[UserId(1)]).await, [Cached::Stale(known)]);
}

#[tokio::test]
async fn what_is_used_lives_on_and_the_rest_does_not() {
    let server = RedisServer::start().await;
    let life = |id: u64| -> u64 {
        server.cli(&["pttl", &format!("natter:profile:1:{id}")]).parse().unwrap()
    };
    let cache = open(&server.settings());
    reachable(&*cache).await;
    let all_of_it = millis(LIMITS.idle);
    let (young, old) = (Instant::now(), Instant::now().checked_sub(LIMITS.idle).unwrap());
    cache.put(&[profile(2, 1, "young")], young).await;
    cache.put(&[profile(3, 1, "used"), profile(4, 1, "left")], old).await;
    for id in [2, 3, 4] {
        assert!((all_of_it / 2..=all_of_it).contains(&life(id)));
        server.cli(&["pexpire", &format!("natter:profile:1:{id}"), "20000"]);
    }
    cache.get(&ids(2..4)).await;
    eventually("what was read long ago and is used", async || (life(3) > 20_000).then_some(()))
        .await;
    assert!(life(4) <= 20_000, "nobody asked for it");
    assert!(life(2) <= 20_000, "it will be read again before it has to go");
}

/// Waits until the cache does without Redis, or does not any more.
async fn until(cache: &dyn ProfileCache, id: u64, known: bool) {
    let seen = async || cache.get(&[UserId(id)]).await != [Cached::Unknown];
    let what = if known { "Redis is back" } else { "Redis is missed" };
    eventually(what, async || (seen().await == known).then_some(())).await;
}

#[tokio::test]
async fn a_redis_that_was_killed_comes_back_empty_and_is_used() {
    let mut server = RedisServer::start().await;
    let cache = open(&server.settings());
    reachable(&*cache).await;
    for _ in 0..3 {
        cache.put(&[profile(2, 1, "kept")], Instant::now()).await;
        until(&*cache, 2, true).await;
        server.kill();
        until(&*cache, 2, false).await;
        cache.put(&[profile(2, 1, "lost")], Instant::now()).await;
        assert_eq!(cache.get(&[UserId(2)]).await, [Cached::Unknown]);
        server.revive().await;
        reachable(&*cache).await;
        assert_eq!(cache.get(&[UserId(2)]).await, [Cached::Unknown], "it is empty");
    }
}

#[tokio::test]
async fn a_redis_that_does_not_answer_costs_one_wait_and_not_one_a_request() {
    let server = RedisServer::start().await;
    let wait = Duration::from_secs(1);
    let cache = open(&RedisSettings { answer_within_ms: millis(wait), ..server.settings() });
    reachable(&*cache).await;
    cache.put(&[profile(2, 1, "kept")], Instant::now()).await;
    server.signal("STOP").await;
    let began = Instant::now();
    for _ in 0..100 {
        assert_eq!(cache.get(&[UserId(2)]).await, [Cached::Unknown]);
        cache.put(&[profile(2, 2, "meanwhile")], Instant::now()).await;
    }
    assert!(began.elapsed() < 5 * wait, "200 requests took {:?}", began.elapsed());
    server.signal("CONT").await;
    until(&*cache, 2, true).await;
}

#[tokio::test]
async fn what_was_kept_before_redis_was_out_of_reach_may_have_missed_a_change() {
    let server = RedisServer::start().await;
    let settings = RedisSettings { answer_within_ms: 5_000, ..server.settings() };
    let mut way = Cut::to(settings.url.trim_start_matches("redis://")).await;
    let cut_off = RedisSettings { url: format!("redis://{}", way.address), ..settings.clone() };
    let (near, far) = (open(&settings), open(&cut_off));
    for cache in [&near, &far] {
        reachable(&**cache).await;
    }
    let (old, new) = (profile(2, 1, "old"), profile(2, 2, "new"));
    near.put(std::slice::from_ref(&old), Instant::now()).await;
    assert_eq!(far.get(&[UserId(2)]).await, [Cached::Fresh(old.clone())]);
    way.cut().await;
    until(&*far, 2, false).await;
    far.put(std::slice::from_ref(&new), Instant::now()).await;
    way.mend();
    until(&*far, 2, true).await;
    assert_eq!(far.get(&[UserId(2)]).await, [Cached::Stale(old)], "it is to be read again");
    eventually("it is believed once it was read again", async || {
        far.put(std::slice::from_ref(&new), Instant::now()).await;
        (far.get(&[UserId(2)]).await == [Cached::Fresh(new.clone())]).then_some(())
    })
    .await;
}

/// Something that takes connections and ends them.
async fn refuser() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&taken);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            drop(socket);
        }
    });
    (port, taken)
}

#[tokio::test]
async fn many_requests_do_not_make_many_attempts_to_connect() {
    let (port, taken) = refuser().await;
    let url = format!("redis://127.0.0.1:{port}");
    let cache = open(&RedisSettings { url, ..RedisSettings::default() });
    let all = ids(0..100);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(2) {
        assert!(cache.get(&all).await.iter().all(|cached| *cached == Cached::Unknown));
        tokio::task::yield_now().await;
    }
    // Pauses of at least 25, 50, 100, 200, 400, 800 and then 1,000 ms.
    let taken = taken.load(Ordering::Relaxed);
    assert!((2..=8).contains(&taken), "{taken} attempts");
}
