//! The platform under test, as its `dev.json` describes it, and the killing of its stores.
//!
//! Invariant: stores are killed and started by `./deploy/services` alone, which knows the processes
//! that are its own; no process is ended from here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use super::duty::Store;
use crate::json::Look as _;
use crate::{Context as _, Outcome, ensure};

/// Killing and starting end by then; Cassandra takes a while on a busy machine.
const DONE_WITHIN: Duration = Duration::from_mins(5);

/// A running platform.
#[derive(Debug)]
pub struct Platform {
    file: PathBuf,
    services: PathBuf,
    /// The addresses of the edges.
    pub edges: Vec<String>,
}

impl Platform {
    /// The one that a `dev.json` describes, with the program that kills and starts its stores.
    pub fn find(file: &Path, services: &Path) -> Outcome<Self> {
        let dev = read(file)?;
        let edges = dev.list("edges")?.iter().map(|edge| Ok(edge.text("url")?.to_owned()));
        let edges: Vec<_> = edges.collect::<Outcome<_>>().during(file.display())?;
        ensure!(edges.len() > 1, "at least two edges are needed, {} names fewer", file.display());
        Ok(Self { file: file.to_owned(), services: services.to_owned(), edges })
    }

    /// The stores it has; none with the embedded one.
    pub fn stores(&self) -> Outcome<Vec<Store>> {
        let dev = read(&self.file)?;
        let has =
            |store: &Store| *store == Store::None || dev["stores"].get(store.name()).is_some();
        Ok(Store::ALL.into_iter().filter(has).collect())
    }

    /// The port of a store.
    pub fn port(&self, store: Store) -> Outcome<u16> {
        let dev = read(&self.file)?;
        Ok(u16::try_from(dev.number(&format!("stores/{store}/port"))?)?)
    }

    /// Which process is what: ours alone, not the stores'.
    pub fn processes(&self) -> Outcome<BTreeMap<String, u64>> {
        let dev = read(&self.file)?;
        let mut all = BTreeMap::from([("nats".to_owned(), dev.number("nats/pid")?)]);
        for group in ["edges", "workers"] {
            for (index, process) in dev.list(group)?.iter().enumerate() {
                all.insert(format!("{group} {index}"), process.number("pid")?);
            }
        }
        Ok(all)
    }

    /// Ends a store without a warning.
    pub async fn kill(&self, store: Store) -> Outcome {
        self.services("kill", store).await
    }

    /// Starts it again, and waits until it serves.
    pub async fn start(&self, store: Store) -> Outcome {
        self.services("start", store).await
    }

    async fn services(&self, what: &str, store: Store) -> Outcome {
        let data = self.file.parent().during("dev.json is in no directory")?.join("services");
        let mut command = Command::new(&self.services);
        command.arg(what).arg(store.name()).arg("--data").arg(data);
        command.stdin(Stdio::null()).kill_on_drop(true);
        let what = format!("{} {what} {store}", self.services.display());
        let output = timeout(DONE_WITHIN, command.output()).await.during(&what)?.during(&what)?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{what}: {}", said.trim());
        Ok(())
    }
}

fn read(file: &Path) -> Outcome<Value> {
    let text = std::fs::read(file).during(file.display())?;
    serde_json::from_slice(&text).during(file.display())
}
