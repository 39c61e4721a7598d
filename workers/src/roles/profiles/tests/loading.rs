//! What the cache does not have: shared by all who miss it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bus_schema::error::{Code, Failure};
use bus_schema::events::VersionedUser;
use bus_schema::ids::UserId;
use bus_schema::timestamp::Timestamp;
use futures::future::join_all;

use super::support::Watched;
use crate::roles::profiles::loader::{Loader, Missing};
use crate::store::Stores;
use crate::store::conformance::profiles::{LIMITS, profile};
use crate::store::embedded::profiles::InProcess;
use crate::store::users::{Account, UserStore as _};
use crate::testing::eventually;

struct World {
    users: Arc<Watched>,
    loader: Arc<Loader>,
    _directory: tempfile::TempDir,
}

impl World {
    /// As a request for these does that finds nothing in the cache, and this of the others.
    fn load(
        &self,
        ids: std::ops::Range<u64>,
        stale: Option<&VersionedUser>,
    ) -> impl Future<Output = Result<usize, Failure>> + use<> {
        let mut missing = Missing::default();
        ids.for_each(|id| missing.add(UserId(id), stale.filter(|p| p.user.id.0 == id).cloned()));
        let (loader, asked_at) = (Arc::clone(&self.loader), Instant::now());
        async move { Ok(loader.load(missing, asked_at).await?.len()) }
    }
}

/// People 0 to 9 have accounts.
async fn world() -> World {
    let directory = tempfile::tempdir().unwrap();
    let stores = Stores::embedded(directory.path()).await.unwrap();
    let users = Arc::new(Watched::new(stores.users));
    for id in 0..10 {
        let account = Account::new(profile(id, 1, "first").user, None, Timestamp::now());
        users.create(account).await.unwrap();
    }
    let cache = Arc::new(InProcess::new(LIMITS));
    let loader = Arc::new(Loader::start(users.clone(), cache.clone()));
    World { users, loader, _directory: directory }
}

#[tokio::test]
async fn misses_that_meet_share_a_query_and_no_id_is_read_twice() {
    let world = world().await;
    for found in join_all((0..50).map(|_| world.load(0..10, None))).await {
        assert_eq!(found.unwrap(), 10);
    }
    assert_eq!(world.users.counted(), (1, 10));
}

/// Who misses while a query runs waits for the next one, which asks for nothing twice.
#[tokio::test]
async fn who_misses_during_a_query_finds_what_it_brought() {
    let world = world().await;
    world.users.hold.send_replace(true);
    let first = tokio::spawn(world.load(0..6, None));
    eventually("the first query", async || (world.users.counted() == (1, 6)).then_some(())).await;
    let later: Vec<_> = (0..20).map(|_| tokio::spawn(world.load(3..12, None))).collect();
    tokio::task::yield_now().await;
    world.users.hold.send_replace(false);
    assert_eq!(first.await.unwrap().unwrap(), 6);
    for found in later {
        // 3 to 9; 10 and 11 do not exist. One answer may hold more than it was asked for.
        assert!(found.await.unwrap().unwrap() >= 7);
    }
    assert_eq!(world.users.counted(), (2, 12), "6 to 11 in one more query");
    assert_eq!(world.users.at_once.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn who_looked_after_the_last_query_is_not_made_to_look_again() {
    let world = world().await;
    assert_eq!(world.load(0..5, None).await.unwrap(), 5);
    // As if the cache had forgotten them: what it holds now is not looked at.
    assert_eq!(world.load(0..5, None).await.unwrap(), 5);
    assert_eq!(world.users.counted(), (2, 10));
}

#[tokio::test]
async fn a_store_that_is_down_is_covered_by_what_was_known() {
    let world = world().await;
    world.users.down.store(true, Ordering::SeqCst);
    let known = Some(profile(1, 1, "known"));
    assert_eq!(world.load(1..2, known.as_ref()).await.unwrap(), 1);
    let refused = world.load(1..3, known.as_ref()).await.unwrap_err();
    assert_eq!(refused.code, Code::Unavailable);
}

#[tokio::test]
async fn a_store_that_is_down_refuses_nobody_because_of_others() {
    let world = world().await;
    world.users.hold.send_replace(true);
    let first = tokio::spawn(world.load(5..6, None));
    eventually("the first query", async || (world.users.counted() == (1, 1)).then_some(())).await;
    let known = Some(profile(1, 1, "known"));
    let knows = tokio::spawn(world.load(1..2, known.as_ref()));
    let knows_not = tokio::spawn(world.load(2..3, None));
    tokio::task::yield_now().await;
    world.users.down.store(true, Ordering::SeqCst);
    world.users.hold.send_replace(false);
    assert_eq!(first.await.unwrap().unwrap(), 1);
    assert_eq!(knows.await.unwrap().unwrap(), 1);
    assert_eq!(knows_not.await.unwrap().unwrap_err().code, Code::Unavailable);
    assert_eq!(world.users.counted(), (2, 3), "they met");
}
