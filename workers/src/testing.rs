//! The servers that tests need: those of the cluster stores, shared by all tests ([`cluster`]), and a
//! nats-server of a test's own, with the platform's users and what each may do.
//!
//! Invariant: fresh, on a free port, killed when dropped; its log is shown when it does not start.

pub(crate) mod cluster;
pub(crate) mod cut;
pub(crate) mod mongod;
pub(crate) mod redis;
mod signal;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::settings::BusSettings;
use bus_schema::timestamp::Timestamp;
use tokio::time::{Instant, sleep};

use crate::identity::directory as identity;

/// How long anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `done` gives something.
pub(crate) async fn eventually<T>(what: &str, mut done: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = done().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// A running server and its directory.
pub(crate) struct NatsServer {
    process: Child,
    pub(crate) settings: BusSettings,
    pub(crate) directory: tempfile::TempDir,
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl NatsServer {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let secrets = directory.path().join("secrets");
        identity::make(&secrets, Timestamp::now()).unwrap();
        let (process, url) = run(directory.path(), "-1").await;
        let settings = BusSettings { url, secrets, start_wait_s: 20, ..BusSettings::default() };
        Self { process, settings, directory }
    }

    /// Kills it, and starts it again on its port and with what it kept.
    pub(crate) async fn restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        let (_, port) = self.settings.url.rsplit_once(':').unwrap();
        let (process, _) = run(self.directory.path(), port).await;
        self.process = process;
    }

    pub(crate) async fn connect(&self, user: BusUser) -> Bus {
        Bus::connect(&self.settings, user).await.unwrap()
    }
}

/// Starts a server that keeps what it has in `here`. Its address.
async fn run(here: &Path, port: &str) -> (Child, String) {
    let conf = format!(
        "host: 127.0.0.1\nport: {port}\nports_file_dir: \"{0}\"\n\
         jetstream {{ store_dir: \"{0}/nats\", max_file_store: 64GiB }}\n\
         operator: \"{0}/secrets/operator.jwt\"\n\
         resolver: {{ type: full, dir: \"{0}/secrets/accounts\" }}\n",
        here.display(),
    );
    std::fs::write(here.join("nats.conf"), conf).unwrap();
    let log = std::fs::File::create(here.join("nats.log")).unwrap();
    let mut command = Command::new(binary());
    command.arg("-c").arg(here.join("nats.conf")).stderr(log).stdout(Stdio::null());
    let mut process = command.spawn().unwrap();
    let ports = here.join(format!("nats-server_{}.ports", process.id()));
    let url = eventually("nats-server listens", async || {
        let log = || std::fs::read_to_string(here.join("nats.log")).unwrap_or_default();
        assert!(process.try_wait().unwrap().is_none(), "nats-server ended: {}", log());
        let ports: serde_json::Value = serde_json::from_slice(&std::fs::read(&ports).ok()?).ok()?;
        ports["nats"][0].as_str().map(str::to_owned)
    })
    .await;
    (process, url)
}

fn binary() -> PathBuf {
    if let Some(given) = std::env::var_os("NATTER_NATS_SERVER") {
        return given.into();
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search).map(|d| d.join("nats-server")).find(|p| p.is_file());
    let downloaded = || {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.natter");
        find_below(&root, "nats-server", 4)
    };
    found.or_else(downloaded).expect(
        "no nats-server: put one on PATH, name it in NATTER_NATS_SERVER, or run ./deploy/dev once",
    )
}

fn find_below(directory: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let here = directory.join(name);
    if here.is_file() {
        return Some(here);
    }
    let inner = std::fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path());
    let depth = depth.checked_sub(1)?;
    inner.filter(|path| path.is_dir()).find_map(|path| find_below(&path, name, depth))
}
