//! A redis-server of a test's own, for what the shared one must not suffer.
//!
//! Invariant: on a free port that it keeps over kills and starts; killed when dropped.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::{eventually, find_below, signal};
use crate::store::cluster::redis::RedisSettings;

/// A server, running or killed.
pub(crate) struct RedisServer {
    process: Option<Child>,
    port: u16,
    more: Vec<String>,
    pub(crate) directory: tempfile::TempDir,
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl RedisServer {
    /// Keeps nothing over a kill.
    pub(crate) async fn start() -> Self {
        Self::with(|_, port| vec!["--port".to_owned(), port.to_string()]).await
    }

    /// With arguments, made from its directory and port.
    pub(crate) async fn with(more: impl FnOnce(&std::path::Path, u16) -> Vec<String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let more = more(directory.path(), port);
        let mut server = Self { process: None, port, more, directory };
        server.revive().await;
        server
    }

    /// Starts it, empty.
    pub(crate) async fn revive(&mut self) {
        let log = std::fs::File::create(self.directory.path().join("redis.log")).unwrap();
        let process = Command::new(binary())
            .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(&self.more)
            .current_dir(&self.directory)
            .stdout(log)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let process = self.process.insert(process);
        let log = self.directory.path().join("redis.log");
        eventually("redis-server listens", async || {
            let log = || std::fs::read_to_string(&log).unwrap_or_default();
            assert!(process.try_wait().unwrap().is_none(), "redis-server ended: {}", log());
            TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()
        })
        .await;
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Sends it a signal, such as `STOP`: then it keeps its connections, and does not answer.
    pub(crate) async fn signal(&self, signal: &str) {
        signal::send(self.process.as_ref(), signal).await;
    }

    pub(crate) fn settings(&self) -> RedisSettings {
        let url = format!("redis://127.0.0.1:{}", self.port);
        RedisSettings { url, ..RedisSettings::default() }
    }

    /// What it answers to a command of an operator.
    pub(crate) fn cli(&self, arguments: &[&str]) -> String {
        let port = self.port.to_string();
        let output = Command::new("redis-cli").args(["-p", &port]).args(arguments).output();
        let output = output.expect("redis-cli, which comes with redis-server");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Forgets what it has counted.
    pub(crate) fn count_anew(&self) {
        assert_eq!(self.cli(&["config", "resetstat"]), "OK");
    }

    /// How often it has worked on each command, those that only tests and looking after the
    /// connection use left out.
    pub(crate) fn commands(&self) -> BTreeMap<String, u64> {
        let said = self.cli(&["info", "commandstats"]);
        let lines = said.lines().filter_map(|line| line.trim().strip_prefix("cmdstat_"));
        let counted = lines.filter_map(|line| line.split_once(":calls="));
        counted
            .map(|(name, rest)| (name.to_owned(), rest.split(',').next().unwrap().parse().unwrap()))
            .filter(|(name, _)| {
                let quiet = ["info", "config", "time", "client", "command", "ping", "hello"];
                !quiet.iter().any(|quiet| name.split('|').next() == Some(quiet))
            })
            .collect()
    }

    /// How many keys it has looked up for reading.
    pub(crate) fn look_ups(&self) -> u64 {
        let said = self.cli(&["info", "stats"]);
        let of = |name: &str| -> u64 {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
            line.unwrap().parse().unwrap()
        };
        of("keyspace_hits:") + of("keyspace_misses:")
    }
}

fn binary() -> PathBuf {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&search).map(|d| d.join("redis-server")).find(|p| p.is_file());
    let downloaded = || {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.natter"));
        find_below(&root, "redis-server", 5)
    };
    found
        .or_else(downloaded)
        .expect("no redis-server: put one on PATH, or run `./deploy/services up`")
}
