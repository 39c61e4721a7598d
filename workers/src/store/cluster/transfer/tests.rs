//! Copies to the real servers and back, each in a keyspace and a database of its own.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;

use bus_schema::ids::{StreamIndex, UserId};
use futures::FutureExt as _;
use mongodb::bson::Document;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::*;
use crate::cli::copy::tests::say;
use crate::config::Settings;
use crate::store::cluster::cassandra::connect;
use crate::store::conformance::history::contents;
use crate::store::conformance::transfer::{Content, any_content, everything, fill};
use crate::store::embedded::transfer::EmbeddedTransfer;
use crate::store::{Stores, cluster};
use crate::testing::cluster::{Server, unique_name};

/// Cases of random content: each needs tables of its own, which take the servers seconds.
const CASES: usize = 2;

/// Settings of a cluster that no other test uses, and of an embedded store.
fn settings(embedded: &Path) -> Settings {
    let mut settings = Settings::default();
    let store = &mut settings.store;
    store.embedded = embedded.to_owned();
    store.cassandra.url = Server::Cassandra.url();
    store.cassandra.keyspace = unique_name();
    store.cassandra.read_timeout_ms = 15_000;
    store.cassandra.write_timeout_ms = 15_000;
    store.mongodb.url = Server::Mongodb.url();
    store.mongodb.database = unique_name();
    store.mongodb.operation_timeout_ms = 20_000;
    store.redis.url = Server::Redis.url();
    settings
}

/// A filled embedded store and what a test does with it and a cluster, which is dropped afterwards.
async fn with_cluster(content: &Content, test: impl AsyncFnOnce(&Settings, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    let a = dir.path().join("a");
    let stores = Stores::embedded(&a).await.unwrap();
    fill(&stores, content).await;
    drop(stores);
    let settings = settings(&a);
    let test = AssertUnwindSafe(Box::pin(test(&settings, dir.path()))).catch_unwind();
    let ended = test.await;
    Mongo::open(&settings.store.mongodb).unwrap().drop_database().await;
    cql(&settings, &format!("DROP KEYSPACE IF EXISTS {}", keyspace(&settings))).await;
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

fn keyspace(settings: &Settings) -> &str {
    &settings.store.cassandra.keyspace
}

async fn cql(settings: &Settings, text: &str) {
    let session = connect(&settings.store.cassandra).await.unwrap();
    session.query_unpaged(text, ()).await.unwrap();
}

async fn copy(settings: &Settings, line: &str) -> String {
    let (printed, ended) = say(settings, &format!("copy --assume-stopped {line}")).await;
    assert!(ended.is_ok(), "{line}: {ended:?}: {printed}");
    printed
}

async fn round_trip(content: &Content) {
    with_cluster(content, async |settings, dir| {
        let b = dir.join("b");
        copy(settings, "--from embedded --to cluster").await;
        copy(settings, &format!("--from cluster --to embedded:{}", b.display())).await;
        let here = EmbeddedTransfer::open(&settings.store.embedded).await.unwrap();
        let there = open(&settings.store, true).await.unwrap();
        let back = EmbeddedTransfer::open(&b).await.unwrap();
        let all = everything(&here, 1_000).await;
        assert_eq!(everything(&*there, 1_000).await, all);
        assert_eq!(everything(&*there, content.page).await, all, "whatever the size of a page");
        assert_eq!(everything(&back, 1_000).await, all);
        drop((here, back));
        // And as the platform reads it.
        let stream = StreamIndex(0);
        let embedded = Stores::embedded(&settings.store.embedded).await.unwrap().history;
        let clustered = cluster::open(&settings.store).unwrap().history;
        assert_eq!(contents(&*clustered, stream).await, contents(&*embedded, stream).await);
        let floors = (clustered.floor(stream).await, embedded.floor(stream).await);
        assert_eq!(floors.0.unwrap(), floors.1.unwrap());
    })
    .await;
}

#[tokio::test]
async fn there_and_back_is_the_same() {
    round_trip(&Content::rich()).await;
    let mut runner = TestRunner::default();
    for _ in 0..CASES {
        let content = any_content().new_tree(&mut runner).unwrap().current();
        println!("{content:?}");
        round_trip(&content).await;
    }
}

/// What is changed by hand, and what is said of it.
enum Change {
    Cql(&'static str, &'static str),
    Mongo(&'static str, Document, Document, &'static str),
}

fn changes() -> Vec<Change> {
    use super::super::mongodb::schema::{CONVERSATIONS, INVITES, KEYS, SESSIONS, USERS};
    let set = |fields: Document| doc! { "$set": fields };
    let this = |id: i64| doc! { "_id": id };
    let (key, dm) = (doc! { "_id": "access_tokens" }, doc! { "low": { "$exists": true } });
    let no_nonce = doc! { "$unset": { "nonce": "" } };
    let mongo = |collection, which, how, said| Change::Mongo(collection, which, how, said);
    vec![
        mongo(KEYS, key, set(doc! { "keys.0.kid": "x" }), "keys access_tokens x: only in the t"),
        mongo(USERS, this(100), set(doc! { "version": 99_i64 }), "accounts 100: not"),
        mongo(INVITES, doc! {}, set(doc! { "uses_left": 7_i64 }), "invites invite"),
        mongo(SESSIONS, this(100), set(doc! { "rotations": [] }), "sessions 100: not"),
        mongo(CONVERSATIONS, this(100), set(doc! { "members": {} }), "channels 100: not"),
        mongo(CONVERSATIONS, this(102), set(doc! { "outbox": [] }), "channels 102: not"),
        mongo(CONVERSATIONS, dm, set(doc! { "opened": [] }), "dms 1001: not"),
        mongo(CONVERSATIONS, this(100), no_nonce, "nonces 100 "),
        Change::Cql(
            "UPDATE {k}.log_entries SET at = 1 WHERE conversation = 7 AND bucket = 0 AND seq = 3",
            "entries 7 3: not",
        ),
        Change::Cql(
            "UPDATE {k}.messages SET content = 'x' WHERE conversation = 7 AND bucket = 0 AND seq = 3",
            "messages 7 3: not",
        ),
        Change::Cql(
            "DELETE FROM {k}.membership WHERE conversation = 7 AND seq = 1",
            "membership 7 1: only in the source",
        ),
        Change::Cql("DELETE FROM {k}.buckets WHERE conversation = 7", "buckets 7 0: only in the s"),
        Change::Cql(
            "UPDATE {k}.read_markers SET entry = 1 WHERE user = 100 AND conversation = 100",
            "markers 100 100: not",
        ),
        Change::Cql("UPDATE {k}.floors SET seq = 4 WHERE stream = 3", "floors 3: not"),
    ]
}

#[tokio::test]
async fn a_row_changed_by_hand_is_found_in_every_table() {
    with_cluster(&Content::rich(), async |settings, _| {
        copy(settings, "--from embedded --to cluster").await;
        let verify = "copy --assume-stopped --from embedded --to cluster --verify-only";
        let (mut before, ended) = say(settings, verify).await;
        assert!(ended.is_ok(), "{before}");
        let mongo = Mongo::open(&settings.store.mongodb).unwrap();
        for change in changes() {
            let said = match change {
                Change::Cql(text, said) => {
                    cql(settings, &text.replace("{k}", keyspace(settings))).await;
                    said
                }
                Change::Mongo(collection, which, how, said) => {
                    let update = async |database: mongodb::Database| {
                        let all = database.collection::<Document>(collection);
                        Ok(all.update_one(which, how).await?.modified_count)
                    };
                    assert_eq!(mongo.change(update).await.unwrap(), 1, "{said}");
                    said
                }
            };
            assert!(!before.contains(said), "{said} before it was changed: {before}");
            let (printed, ended) = say(settings, verify).await;
            assert!(ended.is_err() && printed.contains(said), "{said}: {ended:?}: {printed}");
            before = printed;
        }
    })
    .await;
}

#[tokio::test]
async fn the_platform_refuses_what_is_not_finished() {
    with_cluster(&Content::rich(), async |settings, dir| {
        copy(settings, "--from embedded --to cluster").await;
        let user = UserId(100);
        let stores = cluster::open(&settings.store).unwrap();
        assert!(stores.users.by_id(user).await.unwrap().is_some());
        assert!(stores.history.floor(StreamIndex(3)).await.unwrap() > 0);
        // As if it had been killed in the middle.
        let transfer = open(&settings.store, false).await.unwrap();
        let state = transfer.state().await.unwrap().unwrap();
        assert_eq!(state.stage, Stage::Finished);
        let stage = Stage::Copying { table: Table::Sessions, from: None };
        transfer.keep_state(CopyState { stage, ..state }).await.unwrap();
        let stores = cluster::open(&settings.store).unwrap();
        let refused = stores.users.by_id(user).await.unwrap_err().to_string();
        assert!(refused.contains("not finished"), "{refused}");
        let refused = stores.history.floor(StreamIndex(3)).await.unwrap_err().to_string();
        assert!(refused.contains("not finished"), "{refused}");
        let line = format!("--from cluster --to embedded:{}", dir.join("b").display());
        let (printed, ended) = say(settings, &format!("copy --assume-stopped {line}")).await;
        assert!(ended.is_err(), "half a store is no source: {printed}");
        let printed = copy(settings, "--from embedded --to cluster").await;
        assert!(printed.contains("going on with sessions"), "{printed}");
        let stores = cluster::open(&settings.store).unwrap();
        assert!(stores.users.by_id(user).await.unwrap().is_some());
        assert!(stores.history.floor(StreamIndex(3)).await.unwrap() > 0);
    })
    .await;
}
