//! Who may open what when. That everything is copied is tested with the command.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use bus_schema::timestamp::Timestamp;

use super::*;
use crate::store::Stores;
use crate::store::transfer::Stage;

#[tokio::test]
async fn a_copy_and_a_platform_keep_each_other_out() {
    let dir = tempfile::tempdir().unwrap();
    let stores = Stores::embedded(dir.path()).await.unwrap();
    let refused = EmbeddedTransfer::open(dir.path()).await.err().unwrap().to_string();
    assert!(refused.contains("people.db to itself"), "{refused}");
    drop(stores);
    // Its threads close the files a moment later, which is waited for.
    let copy = EmbeddedTransfer::open(dir.path()).await.unwrap();
    let refused = Stores::embedded(dir.path()).await.err().unwrap();
    assert_eq!(refused.kind, StoreErrorKind::Unavailable, "{refused}");
    let refused = EmbeddedTransfer::open(dir.path()).await.err().unwrap();
    assert_eq!(refused.kind, StoreErrorKind::Unavailable, "{refused}");
    drop(copy);
    let begun = Instant::now();
    Stores::embedded(dir.path()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5), "nothing is left of the lock");
}

#[tokio::test]
async fn the_state_is_private_and_bars_the_platform() {
    let dir = tempfile::tempdir().unwrap();
    let copy = EmbeddedTransfer::open(dir.path()).await.unwrap();
    assert_eq!(copy.state().await.unwrap(), None);
    let stages = [
        (Stage::Copying { table: Table::Entries, from: Some(Cursor::new(&(1, 2)).unwrap()) }, true),
        (Stage::Comparing, true),
        (Stage::Finished, false),
    ];
    for (stage, bars) in stages {
        let state = CopyState { source: "s".to_owned(), begun_at: Timestamp::now(), stage };
        copy.keep_state(state.clone()).await.unwrap();
        assert_eq!(copy.state().await.unwrap(), Some(state));
        assert_eq!(usable(dir.path()).is_err(), bars);
    }
    for file in fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
    }
}
