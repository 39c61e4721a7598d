//! What every [`ProfileCache`] must do. Expects an empty cache that can be reached.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bus_schema::events::{User, VersionedUser};
use bus_schema::ids::UserId;
use bus_schema::text::{AvatarUrl, DisplayName, Username};
use futures::future::join_all;
use proptest::prelude::{Strategy as _, any};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::store::profiles::{CacheLimits, Cached, ProfileCache, ProfileCaches};
use crate::testing::eventually;

const MINUTE: Duration = Duration::from_mins(1);

/// So long that no test waits for any of it.
pub(crate) const LIMITS: CacheLimits =
    CacheLimits { entries: 100_000, idle: MINUTE, fresh: MINUTE, absent: MINUTE };

pub(crate) fn profile(id: u64, version: u64, name: &str) -> VersionedUser {
    let user = User {
        id: UserId(id),
        username: Username::parse(&format!("user{id}")).unwrap(),
        display_name: DisplayName::parse(name).unwrap(),
        avatar_url: None,
        bot: false,
    };
    VersionedUser { version, user }
}

/// Each part has ids of its own.
pub(crate) async fn suite(caches: &dyn ProfileCaches) {
    let cache = caches.open(LIMITS);
    reachable(&*cache).await;
    keeps_all_of_a_profile_in_the_order_asked(&*cache).await;
    a_lower_version_never_replaces_a_higher_one(&*cache).await;
    only_reading_again_renews(&*cache).await;
    what_was_read_long_ago_is_stale_however_late_it_is_put(&*cache).await;
    absence_never_replaces_a_profile_and_a_profile_replaces_absence(&*cache).await;
    absence_ends(caches).await;
    asking_keeps_and_leaving_alone_forgets(caches).await;
    the_highest_version_wins_in_any_order(&cache).await;
    whole_batches(&*cache).await;
}

/// A cache beside this process knows nothing until it is connected.
pub(crate) async fn reachable(cache: &dyn ProfileCache) {
    eventually("the cache keeps", async || {
        cache.put(&[profile(1, 1, "probe")], Instant::now()).await;
        (cache.get(&[UserId(1)]).await != [Cached::Unknown]).then_some(())
    })
    .await;
}

async fn one(cache: &dyn ProfileCache, id: u64) -> Cached {
    let mut all = cache.get(&[UserId(id)]).await;
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// Longer ago than anything is fresh.
fn long_ago() -> Instant {
    Instant::now().checked_sub(60 * MINUTE).unwrap()
}

async fn keeps_all_of_a_profile_in_the_order_asked(cache: &dyn ProfileCache) {
    let mut whole = profile(u64::MAX, u64::MAX, "Zoë \u{1f980} \"\\ :");
    whole.user.avatar_url = Some(AvatarUrl::parse("https://example.org/a?b=c#d").unwrap());
    whole.user.bot = true;
    let plain = profile(2, 1, "plain");
    cache.put(&[whole.clone(), plain.clone()], Instant::now()).await;
    let seen = cache.get(&[UserId(2), UserId(3), UserId(u64::MAX)]).await;
    assert_eq!(seen, [Cached::Fresh(plain), Cached::Unknown, Cached::Fresh(whole)]);
    assert_eq!(cache.get(&[]).await, []);
}

/// The race: somebody reads, somebody else changes and puts, and then the slow reader puts.
async fn a_lower_version_never_replaces_a_higher_one(cache: &dyn ProfileCache) {
    let (old, new) = (profile(4, 9, "old"), profile(4, 10, "new"));
    let slow_reader = Instant::now();
    cache.put(std::slice::from_ref(&new), Instant::now()).await;
    cache.put(std::slice::from_ref(&old), slow_reader).await;
    assert_eq!(one(cache, 4).await, Cached::Fresh(new.clone()));
    cache.put(&[old], Instant::now()).await;
    assert_eq!(one(cache, 4).await, Cached::Fresh(new));
}

async fn only_reading_again_renews(cache: &dyn ProfileCache) {
    let same = profile(5, 1, "same");
    cache.put(std::slice::from_ref(&same), long_ago()).await;
    assert_eq!(one(cache, 5).await, Cached::Stale(same.clone()));
    cache.put(std::slice::from_ref(&same), Instant::now()).await;
    assert_eq!(one(cache, 5).await, Cached::Fresh(same.clone()));
    cache.put(std::slice::from_ref(&same), long_ago()).await;
    assert_eq!(one(cache, 5).await, Cached::Fresh(same));
}

async fn what_was_read_long_ago_is_stale_however_late_it_is_put(cache: &dyn ProfileCache) {
    let newer = profile(6, 2, "newer");
    cache.put(&[profile(6, 1, "older")], Instant::now()).await;
    cache.put(std::slice::from_ref(&newer), long_ago()).await;
    assert_eq!(one(cache, 6).await, Cached::Stale(newer));
}

async fn absence_never_replaces_a_profile_and_a_profile_replaces_absence(cache: &dyn ProfileCache) {
    let here = profile(7, 1, "here");
    cache.put(std::slice::from_ref(&here), Instant::now()).await;
    cache.put_absent(&[UserId(7), UserId(8)], Instant::now()).await;
    assert_eq!(one(cache, 7).await, Cached::Fresh(here));
    assert_eq!(one(cache, 8).await, Cached::Absent);
    let made = profile(8, 1, "made");
    cache.put(std::slice::from_ref(&made), Instant::now()).await;
    assert_eq!(one(cache, 8).await, Cached::Fresh(made));
}

async fn absence_ends(caches: &dyn ProfileCaches) {
    let cache = caches.open(CacheLimits { absent: Duration::from_millis(300), ..LIMITS });
    reachable(&*cache).await;
    eventually("absence is seen", async || {
        cache.put_absent(&[UserId(9)], Instant::now()).await;
        (one(&*cache, 9).await == Cached::Absent).then_some(())
    })
    .await;
    let ends = async || (one(&*cache, 9).await == Cached::Unknown).then_some(());
    eventually("absence ends", ends).await;
}

async fn asking_keeps_and_leaving_alone_forgets(caches: &dyn ProfileCaches) {
    let idle = Duration::from_millis(1_500);
    let cache = caches.open(CacheLimits { idle, ..LIMITS });
    reachable(&*cache).await;
    let (asked, left) = (profile(10, 1, "asked"), profile(11, 1, "left"));
    cache.put(&[asked.clone(), left], Instant::now()).await;
    let began = Instant::now();
    // Asked for all the time, it outlives what it would live without; the other one does not.
    while began.elapsed() < 2 * idle {
        assert_eq!(one(&*cache, 10).await, Cached::Fresh(asked.clone()), "{:?}", began.elapsed());
        tokio::time::sleep(idle / 20).await;
    }
    assert_eq!(one(&*cache, 11).await, Cached::Unknown);
    // Asking would keep it: only after longer than it may live is it asked for once.
    tokio::time::sleep(idle + idle / 2).await;
    assert_eq!(one(&*cache, 10).await, Cached::Unknown);
}

/// Whatever is put by whom, in any order and at once, the highest version is what is there.
async fn the_highest_version_wins_in_any_order(cache: &Arc<dyn ProfileCache>) {
    let mut runner = TestRunner::deterministic();
    for id in 1_000..1_032 {
        let versions = proptest::collection::vec(any::<u64>(), 1..24);
        let versions = versions.new_tree(&mut runner).unwrap().current();
        let puts = versions.iter().map(|version| async {
            cache.put_absent(&[UserId(id)], Instant::now()).await;
            cache.put(&[profile(id, (*version).max(1), "x")], Instant::now()).await;
        });
        join_all(puts).await;
        let highest = versions.iter().copied().max().unwrap().max(1);
        assert_eq!(one(&**cache, id).await, Cached::Fresh(profile(id, highest, "x")));
    }
}

async fn whole_batches(cache: &dyn ProfileCache) {
    let ids: Vec<UserId> = (2_000..3_000).map(UserId).collect();
    let (odd, even): (Vec<UserId>, Vec<UserId>) = ids.iter().partition(|id| id.0 % 2 == 1);
    let profiles: Vec<_> = odd.iter().map(|id| profile(id.0, id.0, "many")).collect();
    cache.put(&profiles, Instant::now()).await;
    cache.put_absent(&even, Instant::now()).await;
    for (id, cached) in ids.iter().zip(cache.get(&ids).await) {
        let there = Cached::Fresh(profile(id.0, id.0, "many"));
        assert_eq!(cached, if id.0 % 2 == 1 { there } else { Cached::Absent });
    }
}
