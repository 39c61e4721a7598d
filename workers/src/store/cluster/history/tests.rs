//! On a real Cassandra, in keyspaces of their own.

use bus_schema::entry::Entry;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::*;
use crate::store::StoreErrorKind;
use crate::store::cluster::cassandra::connect;
use crate::store::conformance::history::{self as suite, model};
use crate::store::embedded::history::SqliteHistory;
use crate::testing::cluster::{Server, unique_name};

const STREAM: StreamIndex = StreamIndex(0);

fn settings() -> CassandraSettings {
    CassandraSettings {
        url: Server::Cassandra.url(),
        keyspace: unique_name(),
        // Many tests share one small server.
        read_timeout_ms: 15_000,
        write_timeout_ms: 15_000,
        ..CassandraSettings::default()
    }
}

/// Runs a test on a store in a new keyspace, which is dropped after it.
async fn with_fresh<F: Future<Output = ()>>(test: impl FnOnce(CassandraHistory) -> F) {
    let settings = settings();
    let store = open(&settings);
    store.migrate().await.unwrap();
    test(store).await;
    drop_keyspace(&settings).await;
}

async fn drop_keyspace(settings: &CassandraSettings) {
    let session = connect(settings).await.unwrap();
    let cql = format!("DROP KEYSPACE {}", settings.keyspace);
    session.query_unpaged(cql, ()).await.unwrap();
}

#[tokio::test]
async fn passes_the_suite() {
    with_fresh(async |store| suite::run(&store).await).await;
}

#[tokio::test]
async fn has_rows_before_the_floor_says_so() {
    with_fresh(async |store| suite::rows_before_the_floor(&store).await).await;
}

#[tokio::test]
async fn passes_what_is_sparse() {
    with_fresh(async |store| {
        suite::many_unread(&store).await;
        suite::sparse::far_apart(&store).await;
        suite::sparse::many_deleted(&store).await;
        suite::sparse::many_of_ones_own(&store).await;
        suite::sparse::equal_times(&store).await;
    })
    .await;
}

/// Whatever order and however often entries come, it ends in what the other backend has.
#[test]
fn redelivery_in_any_order_converges() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let settings = settings();
    let store = runtime.block_on(async {
        let store = open(&settings);
        store.migrate().await.unwrap();
        store
    });
    let case = (model::any_log(0..30), prop::collection::vec(0usize..1_000, 0..20), any::<u64>());
    let mut runner = TestRunner::new(ProptestConfig::with_cases(12));
    let outcome = runner.run(&case, |(log, extra, shuffle)| {
        let conversation = ConversationId(rand::random::<u64>() >> 2);
        let valid: Vec<Entry> = log.valid().iter().map(|e| model::moved(e, conversation)).collect();
        let mut order: Vec<usize> = (0..valid.len()).chain(extra).collect();
        order.sort_by_key(|i| (*i as u64 + 1).wrapping_mul(shuffle | 1).rotate_left(17));
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let once = SqliteHistory::open(&dir.path().join("history.db")).unwrap();
            once.write_batch(STREAM, valid.clone(), 0).await.unwrap();
            suite::redelivery(&store, &valid, &order).await;
            let once = suite::contents_of(&once, STREAM, conversation).await;
            let often = suite::contents_of(&store, STREAM, conversation).await;
            assert_eq!(once, often);
        });
        Ok(())
    });
    runtime.block_on(drop_keyspace(&settings));
    outcome.unwrap();
}

#[tokio::test]
async fn two_setups_at_once_both_end_well_and_others_wait_for_them() {
    let settings = settings();
    let early = open(&settings);
    let error = early.floor(STREAM).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    let (one, two) = (open(&settings), open(&settings));
    let (one, two) = tokio::join!(one.migrate(), two.migrate());
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    early.migrate().await.unwrap();
    let floor = crate::testing::eventually("it is usable", async || early.floor(STREAM).await.ok());
    assert_eq!(floor.await, 0);
    drop_keyspace(&settings).await;
}

#[tokio::test]
async fn without_a_server_it_is_unavailable_at_once() {
    // Nobody listens on a port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = listener.local_addr().unwrap().to_string();
    drop(listener);
    let store = open(&CassandraSettings { url, ..CassandraSettings::default() });
    let begun = Instant::now();
    for _ in 0..50 {
        let error = store.floor(STREAM).await.unwrap_err();
        assert_eq!(error.kind, StoreErrorKind::Unavailable);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_server_that_says_nothing_is_unavailable_within_the_bound() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = listener.local_addr().unwrap().to_string();
    let store = open(&CassandraSettings { url, ..CassandraSettings::default() });
    let begun = Instant::now();
    let error = store.floor(STREAM).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
