//! Three NATS nodes that are one, by the files of `nats-config/cluster`.
//!
//! Invariant: every route leads where a [`Wiring`] says and nowhere else: nodes tell each other an
//! address at which nobody listens, so that what is cut between two stays cut.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Mode, NatsServer, everything, quoted};
use crate::eventually::{Seen, eventually};
use crate::stack::Wiring;
use crate::{Context as _, Outcome, locate};

/// Nodes of a cluster.
pub const NODES: usize = 3;
/// A new cluster is one by then.
const WHOLE_WITHIN: Duration = Duration::from_secs(30);
/// Where nobody listens.
const NOWHERE: &str = "127.0.0.1:1";

/// How one node is started.
pub struct Node {
    file: PathBuf,
    port: u16,
    routes: Vec<String>,
    password: String,
    /// Its own copy: nodes tell each other what changes.
    accounts: PathBuf,
    operator: PathBuf,
}

/// A running cluster.
pub struct Cluster {
    /// `nats-1` to `nats-3`.
    pub nodes: Vec<NatsServer>,
    /// Of the user who may do everything.
    credentials: String,
}

impl Cluster {
    /// Starts three nodes, and waits until they are one.
    pub async fn start(secrets: &Path, root: &Path, wiring: &dyn Wiring) -> Outcome<Self> {
        // Of the routes, by which nodes know each other.
        let password = format!("p{:032x}", rand::random::<u128>());
        let config = locate::repository()?.join("nats-config/cluster");
        let ports = locate::free_ports(NODES)?;
        let mut nodes = Vec::new();
        for number in 1..=NODES {
            let from = name(number);
            let mut routes = Vec::new();
            for (other, &port) in (1..=NODES).zip(&ports) {
                // The route to itself must be recognized as that.
                let own = other == number;
                let port = if own { port } else { wiring.port(&from, &name(other), port)? };
                routes.push(format!("nats://natter:{password}@127.0.0.1:{port}"));
            }
            let directory = root.join(&from);
            let accounts = directory.join("accounts");
            copy(&secrets.join("accounts"), &accounts)?;
            let node = Node {
                file: config.join(format!("node-{number}.conf")),
                port: ports[number - 1],
                routes,
                password: password.clone(),
                accounts,
                operator: secrets.join("operator.jwt"),
            };
            nodes.push(NatsServer::launch(&from, Mode::Node(node), directory, None)?);
        }
        for node in &mut nodes {
            node.ready().await?;
        }
        let cluster = Self { nodes, credentials: everything::credentials(secrets)? };
        cluster.whole().await?;
        Ok(cluster)
    }

    /// Waits until the leader of them all has heard of the others: before that no stream can be kept
    /// on all three.
    async fn whole(&self) -> Outcome {
        eventually("three nodes are one", WHOLE_WITHIN, async || {
            for node in &self.nodes {
                let seen = node.monitor("jsz").await?;
                let replicas = seen.pointer("/meta_cluster/replicas").and_then(Value::as_array);
                let well =
                    |replica: &&Value| replica["current"] == true && replica["offline"] != true;
                let count = replicas.map_or(0, |all| all.iter().filter(well).count());
                if count == NODES - 1 {
                    return Ok(Seen::Done(()));
                }
            }
            Ok(Seen::not_yet("no leader that sees two others"))
        })
        .await
    }

    /// A connection that may do everything, to whichever node answers, past all that is between the
    /// parts of the platform.
    pub async fn connect(&self) -> Outcome<async_nats::Client> {
        let urls: Vec<String> = self.nodes.iter().map(NatsServer::url).collect();
        let options = async_nats::ConnectOptions::with_credentials(&self.credentials)?;
        options.connect(urls).await.during("connecting to the cluster")
    }
}

impl Node {
    pub(super) fn configure(&self, command: &mut Command) {
        command.arg("-c").arg(&self.file).args(["--cluster_advertise", NOWHERE]);
        command.env("NATTER_NATS_CLUSTER_PORT", self.port.to_string());
        for (number, route) in (1..).zip(&self.routes) {
            command.env(format!("NATTER_NATS_ROUTE_{number}"), route);
        }
        command.env("NATTER_NATS_ROUTE_PASSWORD", &self.password);
        command.env("NATTER_NATS_OPERATOR", quoted(&self.operator));
        command.env("NATTER_NATS_ACCOUNTS", quoted(&self.accounts));
    }
}

/// What a node is called.
pub fn name(number: usize) -> String {
    format!("nats-{number}")
}

/// Copies the files of a directory.
fn copy(from: &Path, to: &Path) -> Outcome {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
