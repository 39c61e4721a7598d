//! A whole platform of real processes: NATS, workers, edges.
//!
//! Invariant: every process is a built binary started as an operator would start it, with settings
//! from the environment and every file in one temporary directory; all of them are dead when the
//! stack is dropped, and killing one never moves its address. Logs of all are shown when the test
//! that owns the stack panics; a test that shares one uses [`Stack::marks`] and [`Stack::logs_since`].

mod member;
mod plan;
mod secrets;
mod wiring;

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use member::Member;
pub use plan::{ALL_ROLES, Plan};
pub use secrets::make_secrets;
pub use wiring::{Direct, Wiring};

use crate::eventually::{Seen, eventually};
use crate::nats::NatsServer;
use crate::nats::cluster::Cluster;
use crate::process::{Log, Process, crashed};
use crate::{Context as _, Outcome, locate, warden};

/// A process that is not ready by then has failed. The first start creates every stream.
const READY_WITHIN: Duration = Duration::from_mins(1);
/// A process that was asked to leave has gone by then.
const DRAINED_WITHIN: Duration = Duration::from_mins(1);

/// What it all stands on.
#[expect(clippy::large_enum_variant, reason = "there is one of it, and it is not moved about")]
enum Bus {
    Single(NatsServer),
    Cluster(Cluster),
}

/// A running platform.
pub struct Stack {
    members: Vec<Member>,
    edges: Vec<String>,
    bus: Bus,
    http: reqwest::Client,
    /// Last, so that all processes are dead before their files go.
    directory: TempDir,
}

impl Stack {
    /// Starts everything and waits until all of it says that it is ready.
    pub async fn start(plan: Plan) -> Outcome<Self> {
        // Say what is missing before anything runs.
        locate::binary("natter-workers")?;
        locate::binary("natter-edge")?;
        let directory = tempfile::Builder::new().prefix("natter-stack-").tempdir()?;
        let root = directory.path();
        warden::sweep(root)?;
        let secrets = root.join("secrets");
        make_secrets(&secrets)?;
        let bus = if plan.is_clustered() {
            Bus::Cluster(Cluster::start(&secrets, root, plan.wiring()).await?)
        } else {
            Bus::Single(NatsServer::configured(&secrets, root).await?)
        };
        let (members, edges) = plan.members(root, bus.nodes())?;
        let http = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        let mut stack = Self { members, edges, bus, http, directory };
        // The first has the setup role: what it makes is there before others ask for it.
        stack.members[0].launch()?;
        stack.ready(0).await?;
        for member in &mut stack.members[1..] {
            member.launch()?;
        }
        for index in 1..stack.members.len() {
            stack.ready(index).await?;
        }
        Ok(stack)
    }

    /// The public address of each edge.
    pub fn edges(&self) -> &[String] {
        &self.edges
    }

    /// The NATS server under it all; the first node of a cluster.
    pub fn nats(&mut self) -> &mut NatsServer {
        match &mut self.bus {
            Bus::Single(server) => server,
            Bus::Cluster(cluster) => &mut cluster.nodes[0],
        }
    }

    /// All NATS servers under it.
    pub fn nodes(&mut self) -> &mut [NatsServer] {
        match &mut self.bus {
            Bus::Single(server) => std::slice::from_mut(server),
            Bus::Cluster(cluster) => &mut cluster.nodes,
        }
    }

    /// A connection that may do everything, past all that is between the parts. Only of a cluster.
    pub async fn checker(&self) -> Outcome<async_nats::Client> {
        match &self.bus {
            Bus::Single(_) => crate::fail!("a single server has no user for tests"),
            Bus::Cluster(cluster) => cluster.connect().await,
        }
    }

    /// The roles of a worker, as they were given to it; nothing for an edge.
    pub fn roles(&self, name: &str) -> Outcome<&str> {
        Ok(&self.members[self.index(name)?].roles)
    }

    /// The number of a running process in the system; none where it does not run.
    pub fn pid(&self, name: &str) -> Outcome<Option<u32>> {
        Ok(self.members[self.index(name)?].process.as_ref().map(Process::pid))
    }

    /// The names of the processes that can be killed: `worker-0`…, `edge-0`….
    pub fn names(&self) -> Vec<String> {
        self.members.iter().map(|member| member.name.clone()).collect()
    }

    /// Kills one process with SIGKILL.
    pub fn kill(&mut self, name: &str) -> Outcome {
        let index = self.index(name)?;
        let process = self.members[index].process.take();
        drop(process.during(format_args!("{name} does not run"))?);
        Ok(())
    }

    /// Starts a killed process again, at its old address, and waits until it is ready.
    pub async fn revive(&mut self, name: &str) -> Outcome {
        self.launch(name)?;
        self.await_ready(name).await
    }

    /// The same without waiting.
    pub fn launch(&mut self, name: &str) -> Outcome {
        let index = self.index(name)?;
        self.members[index].launch()
    }

    /// Waits until a process that was started is ready.
    pub async fn await_ready(&mut self, name: &str) -> Outcome {
        let index = self.index(name)?;
        self.ready(index).await
    }

    /// Kills one process and starts it again.
    pub async fn restart(&mut self, name: &str) -> Outcome {
        self.kill(name)?;
        self.revive(name).await
    }

    /// Asks one process to leave (SIGTERM) and waits until it has, well.
    pub async fn drain(&mut self, name: &str) -> Outcome {
        let index = self.index(name)?;
        let member = &mut self.members[index];
        let process = member.process.as_mut().during(format_args!("{name} does not run"))?;
        process.terminate()?;
        let status = eventually(&format!("{name} has left"), DRAINED_WITHIN, async || {
            Ok(process.ended().map_or_else(|| Seen::not_yet("running"), Seen::Done))
        })
        .await?;
        member.process = None;
        crate::ensure!(!crashed(status), "{name} left with {status}: {}", member.log.tail(0));
        Ok(())
    }

    /// A directory for what a test keeps; it goes with the stack.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// From now on, processes that are started have this setting.
    pub fn set(&mut self, section: &str, key: &str, value: &str) {
        self.set_variable(&format!("NATTER_{section}__{key}"), value);
    }

    /// The same, by the name that it has in the environment.
    pub fn set_variable(&mut self, name: &str, value: &str) {
        for member in &mut self.members {
            member.settings.push((name.to_owned(), value.to_owned()));
        }
    }

    /// Runs a command of an operator's with the settings of the workers. How it ended, what it said.
    pub async fn operate(&self, arguments: &[&str]) -> Outcome<(ExitStatus, String)> {
        let worker = self.members.first().during("there is no worker")?;
        let mut command = tokio::process::Command::from(worker.command()?);
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let output = command.output().await.during(format_args!("running {arguments:?}"))?;
        let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
        said.push_str(&String::from_utf8_lossy(&output.stderr));
        Ok((output.status, said))
    }

    /// Fails when a process that should run has ended.
    pub fn must_run(&mut self) -> Outcome {
        self.members
            .iter_mut()
            .flat_map(|member| &mut member.process)
            .try_for_each(Process::must_run)
    }

    /// What a process shows to its operators at `/metrics`.
    pub async fn metrics(&self, name: &str) -> Outcome<String> {
        let member = &self.members[self.index(name)?];
        let admin = member.ready.first().during("every process has an admin address")?;
        let answer = self.http.get(format!("{admin}/metrics")).send().await?;
        Ok(answer.error_for_status()?.text().await?)
    }

    /// How much every process has written so far.
    pub fn marks(&self) -> Vec<u64> {
        self.logs().map(|(_, log)| log.length()).collect()
    }

    /// The ends of what every process wrote after the marks.
    pub fn logs_since(&self, marks: &[u64]) -> String {
        let from = marks.iter().copied().chain(std::iter::repeat(0));
        let mut all = String::new();
        for ((name, log), from) in self.logs().zip(from) {
            let tail = log.tail(from);
            if !tail.is_empty() {
                all.extend(["--- the log of ", name, " ends:\n", &tail, "\n"]);
            }
        }
        all
    }

    fn logs(&self) -> impl Iterator<Item = (&str, &Log)> {
        let members = self.members.iter().map(|member| (member.name.as_str(), &member.log));
        let nodes = self.bus.nodes().iter().map(|node| (node.name(), node.log()));
        nodes.chain(members)
    }

    fn index(&self, name: &str) -> Outcome<usize> {
        let found = self.members.iter().position(|member| member.name == name);
        found.during(format_args!("no {name} in {:?}", self.names()))
    }

    async fn ready(&mut self, index: usize) -> Outcome {
        let Self { members, http, .. } = self;
        let member = &mut members[index];
        let name = &member.name;
        let process = member.process.as_mut().during(format_args!("{name} was not started"))?;
        for address in &member.ready {
            let url = format!("{address}/readyz");
            eventually(&format!("{name} is ready"), READY_WITHIN, async || {
                process.must_run()?;
                Ok(match http.get(&url).send().await {
                    Ok(answer) if answer.status().is_success() => Seen::Done(()),
                    Ok(answer) => {
                        let status = answer.status();
                        Seen::not_yet(format!("{status} {}", answer.text().await?))
                    }
                    Err(error) => Seen::not_yet(error),
                })
            })
            .await
            .during(format_args!("its log ends:\n{}", member.log.tail(0)))?;
        }
        Ok(())
    }
}

impl Bus {
    fn nodes(&self) -> &[NatsServer] {
        match self {
            Self::Single(server) => std::slice::from_ref(server),
            Self::Cluster(cluster) => &cluster.nodes,
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs_since(&[]));
        }
    }
}
