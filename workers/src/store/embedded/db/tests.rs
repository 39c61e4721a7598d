//! The handle's promises, on files of their own.

use super::*;

const SCHEMA: &[&str] =
    &["CREATE TABLE t (k INTEGER PRIMARY KEY)", "ALTER TABLE t ADD COLUMN v TEXT"];

fn fresh() -> (tempfile::TempDir, Db) {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&dir.path().join("t.db"), Durability::Full, SCHEMA).unwrap();
    (dir, db)
}

fn insert(tx: &Transaction<'_>, key: i64) -> Result<(), StoreError> {
    tx.execute("INSERT INTO t (k) VALUES (?1)", [key])?;
    Ok(())
}

async fn count(db: &Db) -> i64 {
    db.read(|c| Ok(c.query_row("SELECT count(*) FROM t", [], |r| r.get(0))?)).await.unwrap()
}

#[tokio::test]
async fn many_writes_share_commits_and_one_failure_undoes_itself_alone() {
    let (_dir, db) = fresh();
    let writes = (0..200i64).map(|n| {
        let db = db.clone();
        async move {
            db.write(move |tx| {
                insert(tx, n)?;
                if n % 10 == 0 {
                    insert(tx, n)?;
                }
                Ok(())
            })
            .await
        }
    });
    let results = futures::future::join_all(writes).await;
    for (n, result) in results.into_iter().enumerate() {
        match result {
            Ok(()) => assert_ne!(n % 10, 0),
            Err(e) => assert_eq!((n % 10, e.kind), (0, StoreErrorKind::Conflict)),
        }
    }
    assert_eq!(count(&db).await, 180);
}

#[tokio::test]
async fn a_panic_is_answered_and_the_next_request_served() {
    let (_dir, db) = fresh();
    let bad = db.write(|tx| -> Result<(), StoreError> {
        insert(tx, 1)?;
        panic!("on purpose")
    });
    assert_eq!(bad.await.unwrap_err().kind, StoreErrorKind::Unavailable);
    let bad = db.read(|_| -> Result<(), StoreError> { panic!("on purpose") }).await;
    assert_eq!(bad.unwrap_err().kind, StoreErrorKind::Unavailable);
    db.write(|tx| insert(tx, 2)).await.unwrap();
    assert_eq!(count(&db).await, 1);
}

#[tokio::test]
async fn two_handles_on_one_file_see_each_other() {
    let (dir, one) = fresh();
    let two = Db::open(&dir.path().join("t.db"), Durability::Full, SCHEMA).unwrap();
    let begun = Instant::now();
    for n in 0..20 {
        let db = if n % 2 == 0 { &one } else { &two };
        db.write(move |tx| insert(tx, n)).await.unwrap();
        assert_eq!(count(if n % 2 == 0 { &two } else { &one }).await, n + 1);
    }
    assert!(begun.elapsed() < BUSY_WAIT, "never waited for a lock that nobody holds");
}

#[test]
fn many_may_open_a_new_file_at_once() {
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let open = || Db::open(&path, Durability::Full, SCHEMA).map(drop);
        std::thread::scope(|scope| {
            let opening: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            for opened in opening {
                opened.join().unwrap().unwrap();
            }
        });
    }
}

#[tokio::test]
async fn readers_cannot_write() {
    let (_dir, db) = fresh();
    let written = db.read(|c| Ok(c.execute("INSERT INTO t (k) VALUES (1)", [])?)).await;
    assert!(written.is_err());
}

#[tokio::test]
async fn only_the_owner_can_read_its_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let (dir, db) = fresh();
    db.write(|tx| insert(tx, 1)).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap).collect();
    assert!(files.len() > 1, "the write-ahead log is there too");
    for file in files {
        let mode = file.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", file.path());
    }
}

#[test]
fn migrations_run_once_and_an_older_program_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    for schema in [&SCHEMA[..1], SCHEMA, SCHEMA] {
        drop(Db::open(&path, Durability::Normal, schema).unwrap());
    }
    let older = Db::open(&path, Durability::Normal, &SCHEMA[..1]).unwrap_err();
    assert_eq!(older.kind, StoreErrorKind::Corrupt);
}
