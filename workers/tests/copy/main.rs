//! `natter-workers copy` as a process that is killed: whenever that happens, starting it again ends in
//! the same store as if it had not been.
//!
//! Stores are compared table by table with SQL, which shares nothing with the command.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test from top to bottom")]

mod servers;
mod source;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use natter_workers::store::Stores;
use rand::RngExt as _;
use rusqlite::Connection;
use rusqlite::types::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

/// Runs that are killed at least, unless some went on,
const KILLS: u32 = 8;
/// and at most.
const KILLS_MAX: u32 = 24;
/// How much time a run has, at most, after the line at which it is to be killed.
const LONGER: Duration = Duration::from_millis(60);
/// The same where servers are on the way.
const LONGER_THERE: Duration = Duration::from_millis(500);
/// A run that is let run to its end takes no longer.
const PATIENCE: Duration = Duration::from_mins(5);

fn command(store: &Path, settings: &[(&str, String)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_natter-workers"));
    command.arg("copy").args(arguments).env("NATTER_STORE__EMBEDDED", store);
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// Starts the command again and again, killing it at random moments, until it comes to its end.
async fn copy_with_kills(
    store: &Path,
    settings: &[(&str, String)],
    arguments: &[&str],
    longer: Duration,
) {
    let mut kills = 0;
    let mut went_on = 0;
    loop {
        let mut child = command(store, settings, arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut said = String::new();
        // So many lines of progress, and some time more: however fast the machine is, kills are
        // spread over the whole of the copy.
        let random = &mut rand::rng();
        let after = if kills < KILLS_MAX { random.random_range(0..=2 * kills) } else { u32::MAX };
        let patience = longer.mul_f64(random.random_range(0.0..=1.0));
        for _ in 0..after {
            let Some(line) = lines.next_line().await.unwrap() else { break };
            said += &line;
        }
        let patience = if kills < KILLS_MAX { patience } else { PATIENCE };
        let Ok(ended) = timeout(patience, child.wait()).await else {
            child.kill().await.unwrap();
            kills += 1;
            continue;
        };
        while let Some(line) = lines.next_line().await.unwrap() {
            said += &line;
        }
        let output = child.wait_with_output().await.unwrap();
        went_on += u32::from(said.contains("going on with"));
        // The last kill may have come when all was done, and before the process could end.
        let complaint = String::from_utf8_lossy(&output.stderr);
        if kills > 0 && complaint.contains("the target was copied and found the same before") {
            return;
        }
        assert!(ended.unwrap().success(), "{said}{complaint}");
        assert!(kills >= KILLS || went_on > 0, "killed {kills} times, and never went on");
        return;
    }
}

/// Every row of every table, as text.
fn rows(directory: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for file in ["people.db", "channels.db", "history.db"] {
        let connection = Connection::open(directory.join(file)).unwrap();
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
        let mut tables = connection.prepare(sql).unwrap();
        let tables: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        for table in tables {
            let mut statement = connection.prepare(&format!("SELECT * FROM {table}")).unwrap();
            let columns = statement.column_count();
            let mut found = statement.query([]).unwrap();
            while let Some(row) = found.next().unwrap() {
                let values: Vec<Value> = (0..columns).map(|n| row.get(n).unwrap()).collect();
                all.push(format!("{table} {values:?}"));
            }
        }
    }
    all.sort_unstable();
    all
}

fn embedded(directory: &Path) -> String {
    format!("embedded:{}", directory.display())
}

async fn verify(store: &Path, settings: &[(&str, String)], from: &str, to: &str) {
    let arguments = ["--from", from, "--to", to, "--verify-only", "--assume-stopped"];
    let output = command(store, settings, &arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("both hold the same"), "{said}");
}

#[tokio::test]
async fn another_process_that_has_the_store_open_keeps_the_copy_out() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    // Every file has several connections in this process, made one after the other.
    let stores = Stores::embedded(&a).await.unwrap();
    let arguments = ["--from", "embedded", "--to", &embedded(&b)];
    let output = command(&a, &[], &arguments).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("people.db to itself"), "{said}");
    drop(stores);
    let output = command(&a, &[], &arguments).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_killed_copy_goes_on_and_ends_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    source::fill(&a).await;
    let (from, to) = ("embedded", embedded(&b));
    copy_with_kills(&a, &[], &["--from", from, "--to", &to], LONGER).await;
    assert!(rows(&a) == rows(&b), "the tables differ");
    verify(&a, &[], from, &to).await;
}

#[tokio::test]
async fn there_and_back_with_kills_on_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
    source::fill(&a).await;
    let servers = servers::Servers::find();
    let settings = servers.settings();
    let there = ["--from", "embedded", "--to", "cluster", "--assume-stopped"];
    copy_with_kills(&a, &settings, &there, LONGER_THERE).await;
    verify(&a, &settings, "embedded", "cluster").await;
    let to = embedded(&b);
    let back = ["--from", "cluster", "--to", &to, "--assume-stopped"];
    copy_with_kills(&a, &settings, &back, LONGER_THERE).await;
    assert!(rows(&a) == rows(&b), "the tables differ");
    servers.clean().await;
}
