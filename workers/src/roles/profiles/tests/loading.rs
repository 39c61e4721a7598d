//! What the cache does not have: shared by all who miss it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bus_schema::error::Code;
use bus_schema::ids::UserId;
use bus_schema::timestamp::Timestamp;

use super::support::Watched;
use crate::roles::profiles::loader::Loader;
use crate::store::Stores;
use crate::store::conformance::profiles::{LIMITS, profile};
use crate::store::embedded::profiles::InProcess;
use crate::store::profiles::{CacheLimits, ProfileCache as _};
use crate::store::users::{Account, UserStore as _};
use crate::testing::eventually;

struct World {
    users: Arc<Watched>,
    cache: Arc<InProcess>,
    loader: Arc<Loader>,
    _directory: tempfile::TempDir,
}

/// People 0 to 9 have accounts.
async fn world(fresh: Duration) -> World {
    let directory = tempfile::tempdir().unwrap();
    let stores = Stores::embedded(directory.path()).await.unwrap();
    let users = Arc::new(Watched::new(stores.users));
    for id in 0..10 {
        let account = Account::new(profile(id, 1, "first").user, None, Timestamp::now());
        users.create(account).await.unwrap();
    }
    let cache = Arc::new(InProcess::new(CacheLimits { fresh, ..LIMITS }));
    let loader = Arc::new(Loader::start(users.clone(), cache.clone()));
    World { users, cache, loader, _directory: directory }
}

#[tokio::test]
async fn misses_that_meet_share_a_query_and_no_id_is_read_twice() {
    let World { users, loader, .. } = &world(LIMITS.fresh).await;
    let ids: Vec<UserId> = (0..10).map(UserId).collect();
    let loads = (0..50).map(|_| loader.load(ids.clone()));
    for found in futures::future::join_all(loads).await {
        assert_eq!(found.unwrap().len(), 10);
    }
    assert_eq!(users.counted(), (1, 10));
}

/// Who misses while a query runs waits for the next one, which asks for nothing twice.
#[tokio::test]
async fn who_misses_during_a_query_finds_what_it_brought() {
    let World { users, loader, .. } = &world(LIMITS.fresh).await;
    users.hold.send_replace(true);
    let load = |ids: std::ops::Range<u64>| {
        let (loader, ids) = (Arc::clone(loader), ids.map(UserId).collect());
        tokio::spawn(async move { loader.load(ids).await.unwrap().len() })
    };
    let first = load(0..6);
    eventually("the first query", async || (users.counted() == (1, 6)).then_some(())).await;
    let later: Vec<_> = (0..20).map(|_| load(3..12)).collect();
    tokio::task::yield_now().await;
    users.hold.send_replace(false);
    assert_eq!(first.await.unwrap(), 6);
    for found in later {
        assert_eq!(found.await.unwrap(), 7, "3 to 9; 10 and 11 do not exist");
    }
    assert_eq!(users.counted(), (2, 12), "6 to 11 in one more query");
    assert_eq!(users.at_once.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_store_that_is_down_is_covered_by_what_was_known() {
    let World { users, cache, loader, .. } = &world(Duration::ZERO).await;
    users.down.store(true, Ordering::SeqCst);
    cache.put(&[profile(1, 1, "known")], Instant::now()).await;
    let found = loader.load(vec![UserId(1)]).await.unwrap();
    assert_eq!(found[&UserId(1)].user.display_name.as_str(), "known");
    let refused = loader.load(vec![UserId(1), UserId(2)]).await.unwrap_err();
    assert_eq!(refused.code, Code::Unavailable);
}
