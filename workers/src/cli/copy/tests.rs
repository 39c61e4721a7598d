//! Copies of embedded stores, by the command itself.

use std::path::Path;

use clap::Parser as _;
use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::cli::{Arguments, execute as run};
use crate::store::Stores;
use crate::store::conformance::transfer::{Content, any_content, everything, fill};

/// What a command printed, and how it ended.
pub(crate) async fn say(settings: &Settings, line: &str) -> (String, Result<(), CommandError>) {
    let words = std::iter::once("natter-workers").chain(line.split(' '));
    let mut out = Vec::new();
    let ended = run(Arguments::parse_from(words).command.unwrap(), settings, &mut out).await;
    (String::from_utf8(out).unwrap(), ended)
}

fn line(from: &Path, to: &Path) -> String {
    format!("copy --from embedded:{} --to embedded:{}", from.display(), to.display())
}

/// A directory with two stores, the first one filled.
async fn filled(content: &Content) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let stores = Stores::embedded(&dir.path().join("a")).await.unwrap();
    fill(&stores, content).await;
    dir
}

/// A copy that is done, of a store that has something in every table.
async fn copied() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let dir = filled(&Content::rich()).await;
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    let (printed, ended) = say(&Settings::default(), &line(&a, &b)).await;
    assert!(ended.is_ok(), "{ended:?}: {printed}");
    (dir, a, b)
}

fn sql(directory: &Path, file: &str, change: &str) {
    let connection = Connection::open(directory.join(file)).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    assert!(connection.execute(change, []).unwrap() >= 1, "nothing changed: {change}");
}

/// One change of one row of each table, and what is said of it. Those that follow from entries are
/// changed without the entries.
const CHANGES: [(&str, &str, &str); 20] = [
    ("people.db", "UPDATE keys SET created_at = 1 WHERE purpose = 'access_tokens'", "keys access"),
    ("people.db", "UPDATE users SET password_hash = 'x' WHERE id = 100", "accounts 100: not"),
    ("people.db", "UPDATE users SET version = version + 1 WHERE id = 100", "accounts 100: not"),
    (
        "people.db",
        "UPDATE invites SET uses_left = 9 WHERE name = 'invite0'",
        "invites invite0: not",
    ),
    ("people.db", "UPDATE sessions SET token = zeroblob(32) WHERE id = 100", "sessions "),
    ("people.db", "DELETE FROM rotations", "sessions "),
    ("channels.db", "UPDATE channels SET name = 'other' WHERE id = 100", "channels 100: not"),
    ("channels.db", "DELETE FROM channel_members WHERE channel = 100", "channels 100: not"),
    ("channels.db", "UPDATE channel_outbox SET at = 5 WHERE channel = 102", "channels 102: not"),
    ("channels.db", "UPDATE dm_openings SET noticed = 1 - noticed", "dms "),
    ("channels.db", "DELETE FROM channel_nonces", "only in the source"),
    ("history.db", "DELETE FROM entries WHERE seq = 2", "entries 7 2: only in the source"),
    ("history.db", "UPDATE entries SET at = 7 WHERE seq = 2", "entries 7 2: not"),
    ("history.db", "INSERT INTO entries VALUES (7, 99, 0, 1, '{}')", "entries 7 99: only in the t"),
    ("history.db", "UPDATE messages SET content = 'x' WHERE seq = 3", "messages 7 3: not"),
    ("history.db", "UPDATE messages SET deleted_seq = 9 WHERE seq = 3", "messages 7 3: not"),
    ("history.db", "UPDATE membership SET revision = 9 WHERE seq = 1", "membership 7 1: not"),
    ("history.db", "UPDATE entries SET at = 7 WHERE seq = 1", "buckets 7 0: not"),
    ("history.db", "UPDATE read_markers SET entry = 3", "markers "),
    ("history.db", "UPDATE floors SET seq = seq - 1 WHERE stream = 3", "floors 3: not"),
];

#[tokio::test]
async fn a_row_changed_by_hand_is_found_in_every_table() {
    let (dir, a, b) = copied().await;
    let settings = Settings::default();
    for (file, change, named) in CHANGES {
        let changed = dir.path().join("changed");
        std::fs::create_dir(&changed).unwrap();
        for name in ["people.db", "channels.db", "history.db"] {
            std::fs::copy(b.join(name), changed.join(name)).unwrap();
        }
        sql(&changed, file, change);
        let verify = format!("{} --verify-only", line(&a, &changed));
        let (printed, ended) = say(&settings, &verify).await;
        assert!(matches!(ended, Err(CommandError::Refused(_))), "{change}: {ended:?}");
        assert!(printed.lines().any(|l| l.trim().contains(named)), "{change}: {printed}");
        std::fs::remove_dir_all(&changed).unwrap();
    }
    let (printed, ended) = say(&settings, &format!("{} --verify-only", line(&a, &b))).await;
    assert!(ended.is_ok() && printed.contains("both hold the same"), "{printed}");
}

#[tokio::test]
async fn what_cannot_be_a_copy_is_refused() {
    let (dir, a, b) = copied().await;
    let settings = Settings::default();
    let refused = async |line: &str, why: &str| {
        let (printed, ended) = say(&settings, line).await;
        let error = ended.unwrap_err().to_string();
        assert!(error.contains(why), "{line}: {error} {printed}");
    };
    refused(&line(&a, &b), "found the same before").await;
    refused(&line(&a, &dir.path().join("b/../a")), "the same store").await;
    refused(&line(&dir.path().join("nowhere"), &b), "no store in").await;
    assert!(!dir.path().join("nowhere").exists());
    let c = dir.path().join("c");
    refused(&format!("{} --verify-only", line(&a, &c)), "no store in").await;
    // Somebody has either of them open.
    for held in [&a, &b] {
        let stores = Stores::embedded(held).await.unwrap();
        refused(&line(&a, &b), "to itself").await;
        drop(stores);
    }
    // The target holds something else, or something of a source that went on.
    let stores = Stores::embedded(&c).await.unwrap();
    let invite = crate::store::invites::InviteRecord {
        hash: [0; 32],
        name: "x".to_owned(),
        uses_left: 1,
        created_at: bus_schema::timestamp::Timestamp::now(),
    };
    stores.invites.create(invite).await.unwrap();
    drop(stores);
    refused(&line(&a, &c), "holds invites already").await;
    sql(&a, "history.db", "UPDATE floors SET seq = seq + 1");
    refused(&line(&a, &b), "used again").await;
}

#[tokio::test]
async fn a_copy_goes_on_where_it_was_and_nobody_uses_the_target_before() {
    let (dir, a, b) = copied().await;
    let state = std::fs::read_to_string(b.join("copy.json")).unwrap();
    assert!(state.contains("\"finished\""), "{state}");
    let all = everything(&EmbeddedTransfer::open(&b).await.unwrap(), 100).await;
    // As if it had been killed in the middle of each table, more or less of it being there.
    for table in crate::store::transfer::Table::ALL {
        let stage = format!("{{\"copying\":{{\"table\":\"{}\",\"from\":null}}}}", table.name());
        std::fs::write(b.join("copy.json"), state.replace("\"finished\"", &stage)).unwrap();
        let error = Stores::embedded(&b).await.err().unwrap().to_string();
        assert!(error.contains("not finished"), "{error}");
        let back = format!("copy --from embedded:{} --to cluster", b.display());
        let from_it = say(&cluster_nowhere(), &format!("{back} --assume-stopped")).await.1;
        assert!(from_it.is_err());
        let (printed, ended) = say(&Settings::default(), &line(&a, &b)).await;
        assert!(ended.is_ok(), "{ended:?}: {printed}");
        assert!(printed.contains(&format!("going on with {}", table.name())), "{printed}");
        assert_eq!(everything(&EmbeddedTransfer::open(&b).await.unwrap(), 100).await, all);
    }
    drop(Stores::embedded(&b).await.unwrap());
    drop(dir);
}

/// Settings that name a cluster which is not there.
fn cluster_nowhere() -> Settings {
    let mut settings = Settings::default();
    settings.store.cassandra.url = "127.0.0.1:1".to_owned();
    settings.store.mongodb.url = "mongodb://127.0.0.1:1".to_owned();
    settings.store.redis.url = "redis://127.0.0.1:1".to_owned();
    settings
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_copy_holds_the_same(content in any_content()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = filled(&content).await;
            let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
            let settings = Settings::default();
            let (printed, ended) = say(&settings, &line(&a, &b)).await;
            assert!(ended.is_ok(), "{ended:?}: {printed}");
            let a = EmbeddedTransfer::open(&a).await.unwrap();
            let b = EmbeddedTransfer::open(&b).await.unwrap();
            let all = everything(&a, 1_000).await;
            assert_eq!(everything(&a, content.page).await, all, "whatever the size of a page");
            assert_eq!(everything(&b, 1_000).await, all);
            assert_eq!(b.state().await.unwrap().unwrap().stage, Stage::Finished);
        });
    }
}
