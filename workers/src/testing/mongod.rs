//! A mongod of a test's own, for what the shared one must not suffer.
//!
//! Invariant: a replica set of one on a free port; it keeps the port and its data over kills and
//! starts; killed when dropped.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use mongodb::bson::{Document, doc};
use mongodb::{Client, error};

use super::{eventually, find_below, signal};
use crate::store::cluster::mongodb::MongoSettings;

/// A server, running or killed.
pub(crate) struct MongoServer {
    process: Option<Child>,
    port: u16,
    directory: tempfile::TempDir,
}

impl Drop for MongoServer {
    fn drop(&mut self) {
        self.kill();
    }
}

impl MongoServer {
    /// A new one, which has elected itself.
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let mut server = Self { process: None, port, directory };
        server.run();
        let member = doc! { "_id": 0, "host": format!("127.0.0.1:{port}") };
        let initiate = doc! { "replSetInitiate": { "_id": "rs0", "members": [member] } };
        eventually("mongod listens", async || {
            server.check();
            server.command(initiate.clone()).await.ok()
        })
        .await;
        server.is_primary().await;
        server
    }

    /// Starts it with what it kept, and waits until it can be written to.
    pub(crate) async fn revive(&mut self) {
        self.run();
        self.is_primary().await;
    }

    fn run(&mut self) {
        let log = std::fs::File::options().create(true).append(true).open(self.log()).unwrap();
        let process = Command::new(binary())
            .args(["--bind_ip", "127.0.0.1", "--replSet", "rs0", "--nounixsocket", "--quiet"])
            .args(["--wiredTigerCacheSizeGB", "0.25", "--oplogSize", "64"])
            .args(["--setParameter", "diagnosticDataCollectionEnabled=false"])
            .args(["--port", &self.port.to_string(), "--dbpath"])
            .arg(self.directory.path())
            .stdout(log)
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        self.process = Some(process);
    }

    async fn is_primary(&mut self) {
        eventually("mongod is the primary", async || {
            self.check();
            let hello = self.command(doc! { "hello": 1 }).await.ok()?;
            hello.get_bool("isWritablePrimary").ok()?.then_some(())
        })
        .await;
    }

    fn check(&mut self) {
        let ended = self.process.as_mut().unwrap().try_wait().unwrap();
        let log = || std::fs::read_to_string(self.log()).unwrap_or_default();
        assert!(ended.is_none(), "mongod ended: {}", log());
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("mongod.log")
    }

    /// Asks this server, whatever it is in its set.
    async fn command(&self, command: Document) -> error::Result<Document> {
        let wait = "serverSelectionTimeoutMS=1000&connectTimeoutMS=1000";
        let url = format!("mongodb://127.0.0.1:{}/?directConnection=true&{wait}", self.port);
        Client::with_uri_str(url).await?.database("admin").run_command(command).await
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

    /// As an operator leaves them.
    pub(crate) fn settings(&self) -> MongoSettings {
        let url = format!("mongodb://127.0.0.1:{}/?replicaSet=rs0", self.port);
        MongoSettings { url, ..MongoSettings::default() }
    }
}

fn binary() -> PathBuf {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search).map(|d| d.join("mongod")).find(|p| p.is_file());
    let downloaded = || {
        let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.natter"));
        find_below(&root, "mongod", 5)
    };
    found.or_else(downloaded).expect("no mongod: put one on PATH, or run `./deploy/services up`")
}
