//! Signals to servers.
//!
//! Invariant: once a server was told to stop, none of its threads goes on: a thread may finish what it
//! was at after the signal was sent.

use std::path::Path;
use std::process::{Child, Command};

use super::eventually;

/// Sends a signal, such as `STOP`: then it keeps its connections, and does not answer.
pub(super) async fn send(process: Option<&Child>, signal: &str) {
    let id = process.unwrap().id();
    let sent = Command::new("kill").args([&format!("-{signal}"), &id.to_string()]).status();
    assert!(sent.unwrap().success());
    if signal == "STOP" {
        eventually("all its threads stand still", async || stands_still(id).then_some(())).await;
    }
}

/// Where the kernel does not tell it is believed.
fn stands_still(id: u32) -> bool {
    let threads = Path::new("/proc").join(id.to_string()).join("task");
    let Ok(threads) = std::fs::read_dir(threads) else { return true };
    threads.flatten().all(|thread| {
        // As in "17 (mongod) T 1 ...": the name may hold anything, also brackets. See proc(5).
        let stat = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    })
}
