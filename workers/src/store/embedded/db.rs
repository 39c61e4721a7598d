//! One SQLite database behind an async handle: one writer thread, a few reader threads.
//!
//! Invariant: a write that was answered `Ok` is committed, and every read begun after that sees it,
//! in this process and in others that opened the same directory. Many waiting writes share one
//! transaction (and so one fsync), each in a savepoint of its own: one that fails undoes itself and
//! no other. Every read sees one consistent snapshot.
//!
//! Leaves out SQL: that stands beside each aggregate.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use crate::store::{StoreError, StoreErrorKind};

/// Writes that may wait for the writer thread.
const WRITE_QUEUE: usize = 1_024;
/// Reads that may wait for a reader thread.
const READ_QUEUE: usize = 1_024;
/// Writes that share one commit.
const WRITES_PER_COMMIT: usize = 256;
/// Threads, each with a connection of its own, that read.
const READERS: usize = 4;
/// How long a request waits for a place in a queue.
const QUEUE_WAIT: Duration = Duration::from_secs(5);
/// How long SQLite waits for another process that is writing.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Between two looks at what SQLite does not wait for itself.
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// Prepared statements kept by each connection.
const STATEMENTS: usize = 128;

/// What a committed write survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// A power cut: each commit is on disk before it is answered.
    Full,
    /// A crash of the process. For data that the log can give again.
    Normal,
}

/// A cloneable handle; the threads end when the last clone is dropped.
#[derive(Clone)]
pub struct Db {
    writes: mpsc::Sender<Box<dyn WriteJob>>,
    reads: mpsc::Sender<ReadJob>,
}

impl std::fmt::Debug for Db {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Db").finish_non_exhaustive()
    }
}

impl Db {
    /// Opens or creates the database and brings its schema up to date. Blocks the thread.
    ///
    /// `migrations` is append-only: number `n` brings `user_version` from `n` to `n + 1`.
    pub fn open(
        path: &Path,
        durability: Durability,
        migrations: &'static [&'static str],
    ) -> Result<Self, StoreError> {
        let mut writer = connect(path, durability)?;
        migrate(&mut writer, migrations)?;
        let name = path.file_stem().map_or_else(String::new, |s| s.to_string_lossy().into_owned());
        let (writes, jobs) = mpsc::channel(WRITE_QUEUE);
        spawn(format!("{name}-write"), move || write_loop(writer, jobs))?;
        let (reads, jobs) = mpsc::channel(READ_QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        for n in 0..READERS {
            let reader = connect(path, durability)?;
            reader.pragma_update(None, "query_only", true)?;
            let jobs = Arc::clone(&jobs);
            spawn(format!("{name}-read-{n}"), move || read_loop(&reader, &jobs))?;
        }
        Ok(Self { writes, reads })
    }

    /// Reads on one of the reader threads.
    pub async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: ReadJob = Box::new(move |connection| {
            if !reply.is_closed() {
                let result = guarded(|| {
                    let snapshot = connection.unchecked_transaction()?;
                    work(&snapshot)
                });
                // The asker may have gone away meanwhile; a read leaves nothing behind.
                let _ = reply.send(result);
            }
        });
        self.reads.send_timeout(job, QUEUE_WAIT).await.map_err(|_| busy("reader"))?;
        answer.await.map_err(|_| busy("reader"))?
    }

    /// Writes on the writer thread; answered after the commit. An `Err` undoes what `work` did.
    pub async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Box::new(Pending { work: Some(work), result: None, reply });
        self.writes.send_timeout(job, QUEUE_WAIT).await.map_err(|_| busy("writer"))?;
        answer.await.map_err(|_| busy("writer"))?
    }
}

fn busy(who: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, format!("the {who} does not answer"))
}

fn spawn(name: String, body: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
    std::thread::Builder::new()
        .name(name)
        .spawn(body)
        .map(drop)
        .map_err(|e| StoreError::new(StoreErrorKind::Unavailable, e))
}

/// A connection that has the database to itself until it is closed: it fails while anybody else has
/// it open, and nobody else can open it meanwhile. Blocks the thread.
pub(super) fn exclusive(
    path: &Path,
    durability: Durability,
    migrations: &[&str],
) -> Result<Connection, StoreError> {
    let open = || {
        let mut connection = connect_as(path, durability, Sharing::Alone)?;
        migrate(&mut connection, migrations)?;
        Ok(connection)
    };
    open().map_err(|error: StoreError| {
        let why = format!("cannot have {} to itself: {error}", path.display());
        StoreError::new(error.kind, why)
    })
}

/// SQLite gives its other files the mode of the first one.
///
/// A file that is there is left alone, not even opened: closing any descriptor of a file gives up
/// all locks that the process holds on it, also those of SQLite's connections
/// (<https://www.sqlite.org/howtocorrupt.html>, 2.2), and other processes would think themselves
/// alone.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::OpenOptions::new();
    match options.write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Who else may have the database open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// Anybody.
    Shared,
    /// Nobody.
    Alone,
}

fn connect(path: &Path, durability: Durability) -> Result<Connection, StoreError> {
    connect_as(path, durability, Sharing::Shared)
}

fn connect_as(
    path: &Path,
    durability: Durability,
    sharing: Sharing,
) -> Result<Connection, StoreError> {
    create_private(path).map_err(|e| StoreError::new(StoreErrorKind::Unavailable, e))?;
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    if sharing == Sharing::Alone {
        // Before the first access: every connection in WAL mode holds a shared lock as long as it
        // is open, and this one then takes an exclusive one.
        connection.pragma_update_and_check(None, "locking_mode", "EXCLUSIVE", |_| Ok(()))?;
    }
    write_ahead(&connection)?;
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Normal => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Makes the database one with a write-ahead log. Blocks the thread. SQLite does not wait by itself for another process
/// that is doing the same to a new file, and says that it is busy.
#[expect(clippy::disallowed_methods, reason = "opening blocks its thread, which is no runtime's")]
fn write_ahead(connection: &Connection) -> Result<(), StoreError> {
    let deadline = Instant::now() + BUSY_WAIT;
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && Instant::now() < deadline =>
            {
                std::thread::sleep(BUSY_PAUSE);
            }
            other => return Ok(other?),
        }
    }
}

fn migrate(connection: &mut Connection, migrations: &[&str]) -> Result<(), StoreError> {
    // Immediate: of several processes that start at once, one migrates and the others then find it
    // done.
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > migrations.len() {
        let newer = format!("schema version {version} is newer than this program");
        return Err(StoreError::new(StoreErrorKind::Corrupt, newer));
    }
    for step in &migrations[done..] {
        tx.execute_batch(step)?;
    }
    tx.pragma_update(None, "user_version", i64::try_from(migrations.len()).unwrap_or(i64::MAX))?;
    Ok(tx.commit()?)
}

/// A panic in one request's closure must not end the thread that serves all others.
fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError::new(StoreErrorKind::Unavailable, "a query panicked")))
}

type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

fn read_loop(connection: &Connection, jobs: &Mutex<mpsc::Receiver<ReadJob>>) {
    loop {
        // The lock is held while waiting: whoever holds it takes the next job and hands it on.
        let job = jobs.lock().blocking_recv();
        match job {
            Some(job) => job(connection),
            None => return,
        }
    }
}

/// A write in two steps, so that it is answered only after the commit it shares with others.
trait WriteJob: Send {
    /// Whether nobody waits for it any more.
    fn abandoned(&self) -> bool;
    /// Does the work; whether it succeeded.
    fn run(&mut self, tx: &Transaction<'_>) -> bool;
    /// Answers its own result, or the failure that all of the batch share.
    fn answer(self: Box<Self>, shared: Option<StoreError>);
}

struct Pending<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> WriteJob for Pending<T, F>
where
    T: Send,
    F: FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send,
{
    fn abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn run(&mut self, tx: &Transaction<'_>) -> bool {
        self.result = self.work.take().map(|work| guarded(|| work(tx)));
        matches!(self.result, Some(Ok(_)))
    }

    fn answer(self: Box<Self>, shared: Option<StoreError>) {
        let result = match (shared, self.result) {
            (_, Some(Err(own))) => Err(own),
            (None, Some(Ok(value))) => Ok(value),
            (Some(shared), _) => Err(shared),
            (None, None) => Err(busy("writer")),
        };
        // The asker may have gone away meanwhile; what was committed stays.
        let _ = self.reply.send(result);
    }
}

fn write_loop(mut connection: Connection, mut jobs: mpsc::Receiver<Box<dyn WriteJob>>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < WRITES_PER_COMMIT {
            match jobs.try_recv() {
                Ok(next) => batch.push(next),
                Err(_) => break,
            }
        }
        batch.retain(|job| !job.abandoned());
        let shared = commit_together(&mut connection, &mut batch).err();
        for job in batch {
            job.answer(shared.clone());
        }
    }
}

fn commit_together(
    connection: &mut Connection,
    batch: &mut [Box<dyn WriteJob>],
) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in batch {
        tx.execute_batch("SAVEPOINT one")?;
        let ok = job.run(&tx);
        if tx.is_autocommit() {
            // A full disk or an I/O error makes SQLite undo the whole transaction; going on would
            // commit the rest one by one and then call it failed.
            let gone = "the transaction was undone";
            return Err(StoreError::new(StoreErrorKind::Unavailable, gone));
        }
        tx.execute_batch(if ok { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" })?;
    }
    Ok(tx.commit()?)
}

#[cfg(test)]
mod tests;
