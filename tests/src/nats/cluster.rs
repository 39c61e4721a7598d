//! Three NATS nodes that are one, by the files of `nats-config/cluster`.
//!
//! Invariant: every route leads where a [`Wiring`] says and nowhere else: nodes tell each other an
//! address at which nobody listens, so that what is cut between two stays cut. Beside the users of the
//! platform there is one more in its account, [`USER`], who may do everything; it exists in the copy
//! of the configuration that these nodes read, and in no file of the product.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Mode, NatsServer};
use crate::eventually::{Seen, eventually};
use crate::stack::Wiring;
use crate::{Context as _, Outcome, locate};

/// Nodes of a cluster.
pub const NODES: usize = 3;
/// Who may do everything, for tests.
pub const USER: &str = "checker";
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
    keys: Vec<(String, String)>,
}

/// A running cluster.
pub struct Cluster {
    /// `nats-1` to `nats-3`.
    pub nodes: Vec<NatsServer>,
    /// The password of [`USER`].
    pub password: String,
}

impl Cluster {
    /// Starts three nodes, and waits until they are one.
    pub async fn start(
        keys: &[(String, String)],
        root: &Path,
        wiring: &dyn Wiring,
    ) -> Outcome<Self> {
        let password = format!("p{:032x}", rand::random::<u128>());
        let config = configuration(root, &password)?;
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
            let node = Node {
                file: config.join(format!("cluster/node-{number}.conf")),
                port: ports[number - 1],
                routes,
                password: password.clone(),
                keys: keys.to_vec(),
            };
            let directory = root.join(&from);
            std::fs::create_dir_all(&directory)?;
            nodes.push(NatsServer::launch(&from, Mode::Node(node), directory, None)?);
        }
        for node in &mut nodes {
            node.ready().await?;
        }
        let cluster = Self { nodes, password };
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
        let options = async_nats::ConnectOptions::with_user_and_password(
            USER.to_owned(),
            self.password.clone(),
        );
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
        command.envs(self.keys.iter().map(|(name, key)| (name, key)));
    }
}

/// What a node is called.
pub fn name(number: usize) -> String {
    format!("nats-{number}")
}

/// A copy of the configuration of the product with one more user.
fn configuration(root: &Path, password: &str) -> Outcome<PathBuf> {
    let (from, to) = (locate::repository()?.join("nats-config"), root.join("nats-config"));
    std::fs::create_dir_all(to.join("cluster"))?;
    for entry in std::fs::read_dir(from.join("cluster"))? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join("cluster").join(entry.file_name()))?;
    }
    let accounts = std::fs::read_to_string(from.join("accounts.conf"))?;
    let place = "users: [";
    crate::ensure!(accounts.matches(place).count() == 1, "accounts.conf has no one list of users");
    let user = format!("{place}\n      {{ user: {USER}, password: {password} }}");
    std::fs::write(to.join("accounts.conf"), accounts.replace(place, &user))?;
    Ok(to)
}
