//! What a stack consists of: how many edges, which roles together, which settings.
//!
//! Invariant: a plan names no port, path or secret; those belong to the stack that is started from
//! it, so that two of the same plan never meet.

use std::path::Path;
use std::sync::Arc;

use super::{Direct, Member, Wiring};
use crate::nats::NatsServer;
use crate::process::Log;
use crate::stores::Stores;
use crate::{Outcome, locate};

/// Every role of the workers.
pub const ALL_ROLES: &str =
    "setup,auth,profiles,channels,history,persister,bots,ingress,delivery,auditor";

/// A platform to be started.
pub struct Plan {
    edges: usize,
    workers: Vec<String>,
    settings: Vec<(String, String)>,
    edge_settings: Vec<(String, String)>,
    clustered: bool,
    wiring: Arc<dyn Wiring>,
}

impl Default for Plan {
    /// Two edges, all roles in one process, no limits per address.
    fn default() -> Self {
        let plan = Self {
            edges: 2,
            workers: vec![ALL_ROLES.to_owned()],
            settings: Vec::new(),
            edge_settings: Vec::new(),
            clustered: false,
            wiring: Arc::new(Direct),
        };
        plan.setting("LOG", "FORMAT", "text")
            .setting("AUTH", "LIMITS_PER_ADDRESS", "false")
            .setting("EDGE", "LIMITS_PER_ADDRESS", "false")
    }
}

impl Plan {
    /// That many edges.
    pub fn edges(mut self, count: usize) -> Self {
        self.edges = count;
        self
    }

    /// One worker process for each group of roles, as in `["setup,auth", "history"]`.
    pub fn workers(mut self, groups: &[&str]) -> Self {
        self.workers = groups.iter().map(|&group| group.to_owned()).collect();
        self
    }

    /// One setting for all workers and edges; the last of a name counts.
    pub fn setting(mut self, section: &str, key: &str, value: &str) -> Self {
        self.settings.push((format!("NATTER_{section}__{key}"), value.to_owned()));
        self
    }

    /// One setting for all edges, which have it in place of that of all.
    pub fn edge_setting(mut self, key: &str, value: &str) -> Self {
        self.edge_settings.push((format!("NATTER_{key}"), value.to_owned()));
        self
    }

    /// With these safeguards switched off, which only binaries with the feature `sabotage` let be.
    pub fn without(mut self, safeguards: &[String]) -> Self {
        self.settings.push(("NATTER_SABOTAGE".to_owned(), safeguards.join(",")));
        self
    }

    /// On three NATS nodes that hold everything three times.
    pub fn clustered(mut self) -> Self {
        self.clustered = true;
        self.setting("SETUP", "REPLICAS", "3")
    }

    /// Every connection between two parts leads where this says.
    pub fn wired(mut self, wiring: Arc<dyn Wiring>) -> Self {
        self.wiring = wiring;
        self
    }

    pub(super) fn is_clustered(&self) -> bool {
        self.clustered
    }

    pub(super) fn wiring(&self) -> &dyn Wiring {
        self.wiring.as_ref()
    }

    /// Where a part finds the bus.
    fn bus(&self, name: &str, nodes: &[NatsServer]) -> Outcome<(String, String)> {
        let mut urls = Vec::new();
        for node in nodes {
            let port = self.wiring.port(name, node.name(), node.port())?;
            urls.push(format!("nats://127.0.0.1:{port}"));
        }
        Ok(("NATTER_BUS__URL".to_owned(), urls.join(",")))
    }

    /// Everything in Cassandra, MongoDB and Redis.
    pub fn cluster(mut self, stores: &Stores) -> Self {
        self.settings.extend(stores.settings());
        self
    }

    /// The processes of this plan, not yet started, and the public addresses of its edges.
    pub(super) fn members(
        self,
        root: &Path,
        nodes: &[NatsServer],
    ) -> Outcome<(Vec<Member>, Vec<String>)> {
        // An empty file: whatever a test needs is in the environment, the rest is the default.
        let config = root.join("natter.toml");
        std::fs::write(&config, "")?;
        let config = config.display().to_string();
        let mut common = self.settings.clone();
        for (name, value) in [
            ("NATTER_BUS__SECRETS", root.join("secrets").display().to_string()),
            ("NATTER_STORE__EMBEDDED", root.join("store").display().to_string()),
        ] {
            common.push((name.to_owned(), value));
        }
        let ports = locate::free_ports(self.workers.len() + 2 * self.edges)?;
        let mut ports = ports.iter().map(|port| format!("127.0.0.1:{port}"));
        let mut members = Vec::new();
        for (index, (roles, admin)) in self.workers.iter().zip(&mut ports).enumerate() {
            let name = format!("worker-{index}");
            let mut settings = common.clone();
            settings.push(self.bus(&name, nodes)?);
            settings.push(("NATTER_WORKERS__ADMIN_LISTEN".to_owned(), admin.clone()));
            members.push(Member {
                log: Log::new(root, &name),
                name,
                roles: roles.clone(),
                binary: "natter-workers",
                arguments: ["--roles", roles, "--config", &config].map(str::to_owned).to_vec(),
                settings,
                ready: vec![format!("http://{admin}")],
                process: None,
            });
        }
        let mut edges = Vec::new();
        for index in 0..self.edges {
            let (Some(public), Some(admin)) = (ports.next(), ports.next()) else { break };
            let name = format!("edge-{index}");
            let url = format!("http://{public}");
            let arguments = ["--listen", &public, "--public-url", &url, "--admin-listen", &admin];
            let mut arguments = arguments.map(str::to_owned).to_vec();
            arguments.extend(["--config".to_owned(), config.clone()]);
            let mut settings = common.clone();
            settings.push(self.bus(&name, nodes)?);
            settings.extend(self.edge_settings.iter().cloned());
            members.push(Member {
                log: Log::new(root, &name),
                name,
                roles: String::new(),
                binary: "natter-edge",
                arguments,
                settings,
                ready: vec![format!("http://{admin}"), url.clone()],
                process: None,
            });
            edges.push(url);
        }
        Ok((members, edges))
    }
}
