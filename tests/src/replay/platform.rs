//! The platform under replay: one that somebody runs, or one of its own; and the killing of its
//! edges.
//!
//! Invariant: only a process that is an edge of this platform is ever killed, with SIGKILL, and the
//! run goes on while it is away: whoever restarts it (`./deploy/dev`, or this program for its own
//! platform) is not waited for by anyone but the next kill.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::Run;
use super::plan::{Kill, Plan};
use crate::eventually::{Seen, eventually};
use crate::json::Look as _;
use crate::stack::{self, Stack};
use crate::{Context as _, Outcome, ensure, process};

/// An edge that is there answers by then.
const ASKED_WITHIN: Duration = Duration::from_secs(2);
/// A killed edge is back by then.
const BACK_WITHIN: Duration = Duration::from_secs(90);

/// Where the edges are and who can kill them.
pub struct Platform {
    edges: Vec<String>,
    nats: String,
    kind: Kind,
}

enum Kind {
    Dev { file: PathBuf, killed: Vec<u64> },
    Own(Box<Stack>),
}

impl Platform {
    /// The platform that a `dev.json` describes, else one of its own.
    pub async fn find(dev: Option<&Path>) -> Outcome<Self> {
        let Some(file) = dev else {
            let mut stack = Box::pin(Stack::start(stack::Plan::default())).await?;
            let (edges, nats) = (stack.edges().to_vec(), stack.nats().url());
            return Ok(Self { edges, nats, kind: Kind::Own(Box::new(stack)) });
        };
        let dev = read(file)?;
        let edges = dev.list("edges")?.iter().map(|edge| Ok(edge.text("url")?.to_owned()));
        let edges: Vec<_> = edges.collect::<Outcome<_>>().during(file.display())?;
        ensure!(!edges.is_empty(), "no edges in {}", file.display());
        let nats = dev.text("nats/url").during(file.display())?.to_owned();
        Ok(Self { edges, nats, kind: Kind::Dev { file: file.to_owned(), killed: Vec::new() } })
    }

    /// The addresses of the edges.
    pub fn edges(&self) -> &[String] {
        &self.edges
    }

    /// The address of the bus, for bots.
    pub fn nats(&self) -> &str {
        &self.nats
    }

    /// Kills edges at the places of the plan.
    pub async fn kill_when_due(&mut self, plan: &Plan, run: &Run) -> Outcome {
        for Kill { at, edge } in &plan.kills {
            run.progress.sent_at_least(*at).await;
            let edge = edge % self.edges.len();
            let url = self.edges[edge].clone();
            println!("killing edge {url} after {} messages", run.progress.sent());
            self.kill(edge).await.during(format_args!("killing edge {url}"))?;
            run.progress.kills.up();
            println!("edge {url} is back");
        }
        Ok(())
    }

    async fn kill(&mut self, edge: usize) -> Outcome {
        let url = self.edges[edge].clone();
        match &mut self.kind {
            Kind::Own(stack) => stack.restart(&format!("edge-{edge}")).await,
            Kind::Dev { file, killed } => {
                let pid = read(file)?.number(&format!("edges/{edge}/pid"))?;
                let name = file.display();
                ensure!(!killed.contains(&pid), "{name} still names {pid}, killed before");
                kill_edge(pid)?;
                killed.push(pid);
                back(&url).await
            }
        }
    }
}

fn read(file: &Path) -> Outcome<Value> {
    let text = std::fs::read(file).during(file.display())?;
    serde_json::from_slice(&text).during(file.display())
}

fn kill_edge(pid: u64) -> Outcome {
    // Where the system shows it: never kill what has meanwhile taken the number of an edge.
    if let Ok(command) = std::fs::read(format!("/proc/{pid}/cmdline")) {
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        ensure!(command.contains("natter-edge"), "{pid} is no edge: {command}");
    }
    process::signal(u32::try_from(pid)?, "KILL")
}

/// Waits until the edge is ready, once it has been seen away.
async fn back(url: &str) -> Outcome {
    let http = reqwest::Client::builder().timeout(ASKED_WITHIN).build()?;
    let ready = format!("{url}/readyz");
    let mut away = false;
    eventually("the edge is back", BACK_WITHIN, async || {
        let ready = http.get(&ready).send().await.is_ok_and(|answer| answer.status().is_success());
        away |= !ready;
        Ok(Seen::when(away && ready, if away { "not back yet" } else { "still there" }))
    })
    .await
}
