//! A NATS server of one's own: fresh, on free ports, killed when dropped.
//!
//! Invariant: two servers never share a port or a store, and a server that was killed comes back on
//! the same of both. Its log is shown when the test that owns it panics. Three that are one are
//! started by [`cluster`].

pub mod cluster;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::eventually::{Seen, eventually};
use crate::process::{Log, Process};
use crate::{Outcome, locate, warden};

/// A server that is not up by then has failed.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// How a server is configured.
pub enum Mode {
    /// JetStream, no accounts, no permissions: for tests of what stands above them.
    Bare,
    /// `nats-config/single.conf`, with the public keys that its accounts name.
    Configured {
        /// `NATTER_NKEY_<USER>` and its key, for every user.
        keys: Vec<(String, String)>,
    },
    /// One of three, by a file of `nats-config/cluster`.
    Node(cluster::Node),
}

/// One running server.
pub struct NatsServer {
    name: String,
    process: Process,
    mode: Mode,
    port: u16,
    monitor: u16,
    directory: PathBuf,
    log: Log,
    http: reqwest::Client,
    /// Last, so that the server is dead before its files go.
    _owned: Option<TempDir>,
}

impl NatsServer {
    /// A server without accounts, in a directory of its own.
    pub async fn bare() -> Outcome<Self> {
        let owned = tempfile::Builder::new().prefix("natter-nats-").tempdir()?;
        warden::sweep(owned.path())?;
        let directory = owned.path().to_owned();
        Self::start(Mode::Bare, directory, Some(owned)).await
    }

    /// A server with the product's configuration, keeping its store and log in `directory`.
    pub async fn configured(keys: Vec<(String, String)>, directory: &Path) -> Outcome<Self> {
        Self::start(Mode::Configured { keys }, directory.to_owned(), None).await
    }

    async fn start(mode: Mode, directory: PathBuf, owned: Option<TempDir>) -> Outcome<Self> {
        let mut server = Self::launch("nats", mode, directory, owned)?;
        server.ready().await?;
        Ok(server)
    }

    fn launch(name: &str, mode: Mode, directory: PathBuf, owned: Option<TempDir>) -> Outcome<Self> {
        let ports = locate::free_ports(2)?;
        let (port, monitor) = (ports[0], ports[1]);
        let log = Log::new(&directory, name);
        let command = command(&mode, &directory, port, monitor)?;
        let process = Process::start(name, command, &log)?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?;
        let name = name.to_owned();
        Ok(Self { name, process, mode, port, monitor, directory, log, http, _owned: owned })
    }

    /// What its log is called: `nats`, or `nats-1` to `nats-3`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The port where clients connect.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its number in the system.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it wrote.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// A connection without credentials, for a server without accounts.
    pub async fn connect(&self) -> Outcome<async_nats::Client> {
        Ok(async_nats::connect(self.url()).await?)
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Kills it if it runs, and starts it again on the same port and store.
    pub async fn restart(&mut self) -> Outcome {
        self.revive()?;
        self.ready().await
    }

    /// The same without waiting until it serves: one of three may have to wait for another.
    pub fn revive(&mut self) -> Outcome {
        self.process.kill();
        let command = command(&self.mode, &self.directory, self.port, self.monitor)?;
        self.process = Process::start(&self.name, command, &self.log)?;
        Ok(())
    }

    /// Whether it has ended, killed or not.
    pub fn ended(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// What it shows to its operators.
    pub async fn monitor(&self, path: &str) -> Outcome<serde_json::Value> {
        let url = format!("http://127.0.0.1:{}/{path}", self.monitor);
        let answer = self.http.get(&url).send().await?.error_for_status()?;
        Ok(serde_json::from_slice(&answer.bytes().await?)?)
    }

    /// Waits until it serves; a node of three, until it has caught up with the others.
    pub async fn ready(&mut self) -> Outcome {
        let url = format!("http://127.0.0.1:{}/healthz", self.monitor);
        eventually(&format!("{} is healthy", self.name), READY_WITHIN, async || {
            self.process.must_run()?;
            Ok(match self.http.get(&url).send().await {
                Ok(answer) => Seen::when(answer.status().is_success(), answer.status()),
                Err(error) => Seen::not_yet(error),
            })
        })
        .await
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the log of {} ends:\n{}", self.name, self.log.tail(0));
        }
    }
}

fn command(mode: &Mode, directory: &Path, port: u16, monitor: u16) -> Outcome<Command> {
    let mut command = Command::new(locate::nats_server()?);
    let store = directory.join("jetstream");
    match mode {
        Mode::Bare => {
            command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
            command.args(["-m", &monitor.to_string(), "-js", "-sd"]).arg(store);
        }
        Mode::Configured { keys } => {
            command.arg("-c").arg(locate::repository()?.join("nats-config/single.conf"));
            command.env("NATTER_NATS_PORT", port.to_string());
            command.env("NATTER_NATS_MONITOR_PORT", monitor.to_string());
            command.env("NATTER_NATS_STORE", format!("\"{}\"", store.display()));
            command.envs(keys.iter().map(|(name, key)| (name, key)));
        }
        Mode::Node(node) => {
            node.configure(&mut command);
            command.env("NATTER_NATS_PORT", port.to_string());
            command.env("NATTER_NATS_MONITOR_PORT", monitor.to_string());
            command.env("NATTER_NATS_STORE", format!("\"{}\"", store.display()));
        }
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    #[tokio::test]
    async fn a_killed_server_comes_back_with_what_it_stored() {
        let mut server = NatsServer::bare().await.unwrap();
        let client = server.connect().await.unwrap();
        let mut echo = client.subscribe("echo").await.unwrap();
        client.publish("echo", "hello".into()).await.unwrap();
        assert_eq!(echo.next().await.unwrap().payload, "hello");

        let jetstream = async_nats::jetstream::new(client);
        let config = async_nats::jetstream::stream::Config {
            name: "KEPT".into(),
            subjects: vec!["kept.>".into()],
            ..Default::default()
        };
        jetstream.create_stream(config).await.unwrap();
        jetstream.publish("kept.a", "1".into()).await.unwrap().await.unwrap();
        server.restart().await.unwrap();

        let jetstream = async_nats::jetstream::new(server.connect().await.unwrap());
        let mut stream = jetstream.get_stream("KEPT").await.unwrap();
        assert_eq!(stream.info().await.unwrap().state.messages, 1);
    }
}
