//! The edge's settings, each with its default, unit and bound.
//!
//! Invariant: `deploy/config.default.toml` shows exactly these defaults (a test holds them together).

use std::net::SocketAddr;

use bus_schema::runtime::log::group::GroupSettings;
use bus_schema::runtime::settings::{BusSettings, LogSettings};
use serde::{Deserialize, Serialize};

/// All settings of an edge process. Sections for workers in the same file are left alone.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Config {
    /// How to reach NATS.
    pub bus: BusSettings,
    /// Logging.
    pub log: LogSettings,
    /// The edge itself.
    pub edge: EdgeSettings,
}

/// `[edge]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeSettings {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// How clients reach this edge from outside; announced to all. Empty: `http://<listen>`.
    pub public_url: String,
    /// Where operators look: health and metrics.
    pub admin_listen: SocketAddr,
    /// Origins allowed to open a websocket, beside the announced edges'.
    pub allowed_origins: Vec<String>,
    /// Trust the last `X-Forwarded-For` address, for edges behind a proxy of yours.
    pub behind_proxy: bool,
    /// Whether rates per address hold.
    pub limits_per_address: bool,
    /// HTTP requests a second of one address, sustained.
    pub http_per_s: u32,
    /// HTTP requests of one address at once.
    pub http_burst: u32,
    /// Messages a second through one webhook, sustained.
    pub webhook_per_s: u32,
    /// Messages through one webhook at once.
    pub webhook_burst: u32,
    /// SENDs a second of one socket, sustained.
    pub send_per_s: u32,
    /// SENDs of one socket at once.
    pub send_burst: u32,
    /// Connections at once; more get HTTP 503.
    pub max_connections: usize,
    /// Connections that the kernel keeps until they are accepted, at most; it has a bound of its own
    /// (`net.core.somaxconn`), and those beyond try again after seconds.
    pub accept_queue: u32,
    /// IDENTIFYs worked on at once; more wait their turn.
    pub identify_concurrency: usize,
    /// IDENTIFYs that wait; more are sent away with a hint when to come back.
    pub identify_queue: usize,
    /// IDENTIFYs admitted a second, sustained.
    pub identify_per_s: u32,
    /// IDENTIFYs admitted at once.
    pub identify_burst: u32,
    /// Milliseconds that an IDENTIFY waits; one that would have to wait longer is sent away.
    pub identify_wait_ms: u64,
    /// Bytes of entries, fetched for sessions that come back, that are kept a while for others who
    /// missed the same.
    pub catch_up_bytes: usize,
    /// Frames queued for one socket; when full the socket is fed from its cursors instead.
    pub socket_queue: usize,
    /// Messages that are appended to the log together while the disk is busy with others; 1: each
    /// by itself.
    pub append_together: usize,
    /// Messages to one log stream that may wait for the disk; more are answered `unavailable`.
    pub append_queue: usize,
    /// Entries kept for each followed conversation.
    pub ring_entries: usize,
    /// Bytes of entries kept for each followed conversation.
    pub ring_bytes: usize,
    /// Entries that wait behind a gap of one conversation; more are fetched again.
    pub pending_entries: usize,
    /// Seconds a conversation is followed after its last socket has gone.
    pub linger_s: u64,
    /// Seconds a user's list of conversations is kept after their last socket, for when the
    /// channels role does not answer.
    pub list_kept_s: u64,
    /// Seconds without NATS until clients are sent elsewhere.
    pub cut_off_s: u64,
    /// Seconds over which clients are spread when sent elsewhere.
    pub reconnect_spread_s: u64,
    /// Seconds to finish what was taken when stopping.
    pub drain_s: u64,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            public_url: String::new(),
            admin_listen: SocketAddr::from(([127, 0, 0, 1], 9080)),
            allowed_origins: Vec::new(),
            behind_proxy: false,
            limits_per_address: true,
            http_per_s: 50,
            http_burst: 200,
            webhook_per_s: 2,
            webhook_burst: 30,
            send_per_s: 20,
            send_burst: 100,
            max_connections: 20_000,
            accept_queue: 4_096,
            identify_concurrency: 64,
            identify_queue: 4_096,
            identify_per_s: 400,
            identify_burst: 200,
            identify_wait_ms: 5_000,
            catch_up_bytes: 64 * 1024 * 1024,
            socket_queue: 512,
            append_together: 128,
            append_queue: 4_096,
            ring_entries: 256,
            ring_bytes: 256 * 1024,
            pending_entries: 1_024,
            linger_s: 60,
            list_kept_s: 600,
            cut_off_s: 10,
            reconnect_spread_s: 10,
            drain_s: 20,
        }
    }
}

impl EdgeSettings {
    /// The bounds of appending to the log.
    pub(crate) const fn appends(&self) -> GroupSettings {
        GroupSettings { members: self.append_together, queue: self.append_queue }
    }

    /// How clients reach this edge.
    pub fn url(&self) -> String {
        if self.public_url.is_empty() {
            format!("http://{}", self.listen)
        } else {
            self.public_url.trim_end_matches('/').to_owned()
        }
    }
}

/// Flags, which override every other source.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Flags {
    edge: EdgeFlags,
}

#[derive(Debug, Clone, Default, Serialize)]
struct EdgeFlags {
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_listen: Option<SocketAddr>,
}

impl Flags {
    /// The flags that were given.
    pub const fn new(
        listen: Option<SocketAddr>,
        public_url: Option<String>,
        admin_listen: Option<SocketAddr>,
    ) -> Self {
        Self { edge: EdgeFlags { listen, public_url, admin_listen } }
    }
}
