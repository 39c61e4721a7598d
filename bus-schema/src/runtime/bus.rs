//! A process's connection to NATS under one of the platform's users.
//!
//! Invariant: [`Status::epoch`] rises with every (re)connection and [`Status::slow`] with every
//! dropped message the client reported, so that whoever follows the log can treat both as a gap.
//!
//! Leaves out reconnecting itself (async-nats does it, for ever) and what to do after it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream;
use rand::RngExt as _;
use serde::Serialize;
use tokio::sync::{OnceCell, watch};
use tokio::time::{Instant, sleep};

use super::credentials::Credentials;
use super::settings::BusSettings;
use super::tokens::Verifier;
use crate::ids::StreamIndex;
use crate::permissions::{BusUser, SYSTEM};
use crate::streams::{self, Layout, LogStream};

/// What went wrong with the bus.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// A credentials file could not be read.
    #[error("cannot read the credentials {path}: {source}")]
    Credentials {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// No server answered, or it refused.
    #[error("cannot connect to NATS: {0}")]
    Connect(#[from] async_nats::ConnectError),
    /// The log streams are not there.
    #[error("no log streams yet ({0}); has the setup role run?")]
    NoStreams(String),
    /// Publishing failed before it reached a server.
    #[error("cannot publish: {0}")]
    Publish(String),
}

/// How the connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// Whether it is up.
    pub connected: bool,
    /// Since when it is as it is.
    pub since: Instant,
    /// How many times it came up.
    pub epoch: u64,
    /// How many messages the client reported to have dropped.
    pub slow: u64,
}

/// A connection. Clones share it.
#[derive(Clone)]
pub struct Bus {
    user: BusUser,
    client: async_nats::Client,
    jetstream: jetstream::Context,
    status: watch::Receiver<Status>,
    layout: Arc<OnceCell<Layout>>,
    verifier: Verifier,
    settings: Arc<BusSettings>,
    serving: Arc<AtomicBool>,
}

/// The longest wait between two attempts to connect.
const RECONNECT_MAX: Duration = Duration::from_secs(2);
/// How long one attempt to connect may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a JetStream request may take.
const JETSTREAM_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a dead connection is looked for; two unanswered pings end it.
const PING_INTERVAL: Duration = Duration::from_secs(5);

impl Bus {
    /// Connects as `user`, waiting up to `start_wait_s` for a server.
    pub async fn connect(settings: &BusSettings, user: BusUser) -> Result<Self, BusError> {
        let (events, status) =
            watch::channel(Status { connected: false, since: Instant::now(), epoch: 0, slow: 0 });
        let deadline = Instant::now() + Duration::from_secs(settings.start_wait_s);
        let client = loop {
            let options = options(settings, user.name())?.event_callback(tell(&events, user));
            match options.connect(addresses(settings)).await {
                Ok(client) => break client,
                Err(error) if Instant::now() >= deadline => return Err(error.into()),
                Err(error) => {
                    tracing::info!(%error, user = user.name(), "NATS is not there yet");
                    sleep(jitter(Duration::from_millis(500))).await;
                }
            }
        };
        let jetstream = jetstream::ContextBuilder::new()
            .timeout(JETSTREAM_TIMEOUT)
            .ack_timeout(JETSTREAM_TIMEOUT)
            .build(client.clone());
        Ok(Self {
            user,
            verifier: Verifier::default(),
            client,
            jetstream,
            status,
            layout: Arc::default(),
            settings: Arc::new(settings.clone()),
            serving: Arc::default(),
        })
    }

    /// Under which user.
    pub const fn user(&self) -> BusUser {
        self.user
    }

    /// The NATS client.
    pub const fn client(&self) -> &async_nats::Client {
        &self.client
    }

    /// JetStream.
    pub const fn jetstream(&self) -> &jetstream::Context {
        &self.jetstream
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &BusSettings {
        &self.settings
    }

    /// Verifies access tokens with keys fetched from the auth role.
    pub const fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// How the connection is doing, and its changes.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Whether it is up now. Ask before writing: async-nats queues while it is down, and sends later.
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == State::Connected
    }

    /// Whether this connection's host answers requests now.
    pub fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    /// Says so. For a host; and for a part that works without one, once it does its work.
    pub fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Relaxed);
    }

    /// The layout of the log, as `setup` wrote it; waits up to `start_wait_s` for it to be there.
    pub async fn layout(&self) -> Result<Layout, BusError> {
        self.layout.get_or_try_init(|| self.discover()).await.copied()
    }

    async fn discover(&self) -> Result<Layout, BusError> {
        let first = LogStream(StreamIndex(0)).to_string();
        let deadline = Instant::now() + Duration::from_secs(self.settings.start_wait_s);
        loop {
            let problem = match self.jetstream.get_stream(&first).await {
                Ok(stream) => {
                    let count = stream.cached_info().config.metadata.get(streams::METADATA_STREAMS);
                    let layout = count.and_then(|n| n.parse().ok()).map(Layout::new);
                    match layout {
                        Some(Ok(layout)) => return Ok(layout),
                        _ => format!("{first} does not say how many there are"),
                    }
                }
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(BusError::NoStreams(problem));
            }
            sleep(jitter(Duration::from_millis(300))).await;
        }
    }

    /// Publishes something that is not durable.
    pub async fn publish_event<T: Serialize + Sync>(
        &self,
        subject: String,
        event: &T,
    ) -> Result<(), BusError> {
        let payload = serde_json::to_vec(event).map_err(|e| BusError::Publish(e.to_string()))?;
        if !self.is_connected() {
            return Err(BusError::Publish("not connected".to_owned()));
        }
        let sent = self.client.publish(subject, payload.into()).await;
        sent.map_err(|e| BusError::Publish(e.to_string()))
    }
}

fn addresses(settings: &BusSettings) -> Vec<String> {
    settings.url.split(',').map(|url| url.trim().to_owned()).collect()
}

/// A connection to the system account, for the bots role alone: whoever has it decides which
/// accounts there are. Comes back by itself; to be asked with a time limit.
pub async fn connect_system(settings: &BusSettings) -> Result<async_nats::Client, BusError> {
    Ok(options(settings, SYSTEM)?.connect(addresses(settings)).await?)
}

/// Those of the user with that name. Its credentials are read anew for each connection, so that
/// rotated ones are taken up by whoever lost the old; here once, to say at the start what is wrong.
fn options(settings: &BusSettings, name: &str) -> Result<async_nats::ConnectOptions, BusError> {
    let mut options = async_nats::ConnectOptions::new();
    if !settings.secrets.as_os_str().is_empty() {
        let path = settings.secrets.join(format!("{name}.creds"));
        Credentials::read(&path)?;
        options = async_nats::ConnectOptions::with_auth_callback(move |nonce| {
            let answer = Credentials::read(&path).map_err(async_nats::AuthError::new);
            std::future::ready(answer.and_then(|credentials| credentials.answer(&nonce)))
        });
    }
    if !settings.tls_ca.as_os_str().is_empty() {
        options = options.add_root_certificates(settings.tls_ca.clone()).require_tls(true);
    }
    Ok(options
        .name(format!("natter-{name}"))
        .custom_inbox_prefix(format!("_INBOX_{name}"))
        .subscription_capacity(settings.subscription_buffer)
        .connection_timeout(CONNECT_TIMEOUT)
        .ping_interval(PING_INTERVAL)
        .max_reconnects(None)
        .reconnect_delay_callback(|attempts| {
            let attempts = u32::try_from(attempts).unwrap_or(u32::MAX).min(8);
            jitter(RECONNECT_MAX.min(Duration::from_millis(10 << attempts)))
        }))
}

fn tell(
    status: &watch::Sender<Status>,
    user: BusUser,
) -> impl Fn(async_nats::Event) -> std::future::Ready<()> + Send + Sync + 'static {
    let status = status.clone();
    move |event| {
        on_event(&status, user, &event);
        std::future::ready(())
    }
}

fn on_event(status: &watch::Sender<Status>, user: BusUser, event: &async_nats::Event) {
    use async_nats::Event;
    let user = user.name();
    match event {
        Event::Connected => {
            tracing::info!(user, "connected to NATS");
            status.send_modify(|s| {
                *s = Status { connected: true, since: Instant::now(), epoch: s.epoch + 1, ..*s };
            });
        }
        Event::Disconnected | Event::Closed => {
            tracing::warn!(user, "NATS is lost");
            status.send_modify(|s| {
                *s = Status { connected: false, since: Instant::now(), ..*s };
            });
        }
        Event::SlowConsumer(_) => {
            metrics::counter!("natter_bus_dropped_total", "user" => user).increment(1);
            status.send_modify(|s| s.slow += 1);
        }
        event => tracing::warn!(user, %event, "NATS"),
    }
}

/// Between half of `wait` and all of it, so that many who wait do not come back together.
pub fn jitter(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(0.5..=1.0))
}
