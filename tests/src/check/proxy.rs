//! A network that can be made bad: a TCP proxy between any two parts of the platform.
//!
//! Invariant: bytes are never changed, reordered or lost inside a connection that lives, as in TCP
//! itself: what a [`Weather`] holds back arrives when it clears, or the connection dies. What is under
//! way is bounded by [`CHUNKS`] a direction; then the sender is no longer read. Names of links are
//! those of the parts: `edge-0` to `nats-1`.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use crate::stack::Wiring;
use crate::{Context as _, Outcome};

/// Chunks of a direction that are under way.
const CHUNKS: usize = 32;
/// Bytes of a chunk.
const CHUNK: usize = 16 * 1024;
/// Connections of a link.
const CONNECTIONS: usize = 4096;
/// How long the target may take to accept.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What happens to bytes in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// They pass.
    #[default]
    Free,
    /// They stay where they are, and so does the news that the sender has closed.
    Held,
    /// They arrive so much later.
    Late(Duration),
    /// So many pass in a second.
    Thin(u32),
}

/// The state of a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weather {
    /// From who connects to who is connected to.
    pub there: Flow,
    /// The other way.
    pub back: Flow,
    /// Connections are broken, and new ones are refused.
    pub cut: bool,
}

impl Weather {
    /// Nothing passes, and nobody is told.
    pub const DEAD: Self = Self { there: Flow::Held, back: Flow::Held, cut: false };
    /// Everything breaks.
    pub const CUT: Self = Self { there: Flow::Free, back: Flow::Free, cut: true };

    /// Both directions alike.
    pub fn both(flow: Flow) -> Self {
        Self { there: flow, back: flow, cut: false }
    }
}

/// A way from one part to another.
pub struct Link {
    from: String,
    to: String,
    port: u16,
    weather: Arc<watch::Sender<Weather>>,
    flapping: Mutex<Option<AbortOnDropHandle<()>>>,
    _accepting: AbortOnDropHandle<()>,
}

impl Link {
    /// Opens a port that leads to another one. Needs a runtime.
    pub fn open(from: &str, to: &str, port: u16) -> Outcome<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        let own = listener.local_addr()?.port();
        let (weather, seen) = watch::channel(Weather::default());
        let target = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, target, seen)));
        Ok(Self {
            from: from.to_owned(),
            to: to.to_owned(),
            port: own,
            weather: Arc::new(weather),
            flapping: Mutex::new(None),
            _accepting: accepting,
        })
    }

    /// Who connects.
    pub fn from(&self) -> &str {
        &self.from
    }

    /// To whom.
    pub fn to(&self) -> &str {
        &self.to
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on.
    pub fn set(&self, weather: Weather) {
        *self.flapping.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.weather.send_replace(weather);
    }

    /// Cut and whole by turns, so long each, until it is set anew.
    pub fn flap(&self, every: Duration) {
        let weather = self.weather.clone();
        let flapping = tokio::spawn(async move {
            loop {
                weather.send_replace(Weather::CUT);
                sleep(every).await;
                weather.send_replace(Weather::default());
                sleep(every).await;
            }
        });
        let flapping = AbortOnDropHandle::new(flapping);
        *self.flapping.lock().unwrap_or_else(PoisonError::into_inner) = Some(flapping);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, seen: watch::Receiver<Weather>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((client, _)) = listener.accept().await else {
            // Out of file descriptors, most likely: others may be closed meanwhile.
            sleep(Duration::from_millis(50)).await;
            continue;
        };
        if connections.len() < CONNECTIONS && !seen.borrow().cut {
            connections.spawn(connection(client, target, seen.clone()));
        }
    }
}

async fn connection(client: TcpStream, target: SocketAddr, seen: watch::Receiver<Weather>) {
    let Ok(Ok(server)) = timeout(CONNECT_WITHIN, TcpStream::connect(target)).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (client_out, client_in) = client.into_split();
    let (server_out, server_in) = server.into_split();
    let mut cut = seen.clone();
    let there = pump(client_out, server_in, seen.clone(), |weather| weather.there);
    let back = pump(server_out, client_in, seen, |weather| weather.back);
    tokio::select! {
        _ = cut.wait_for(|weather| weather.cut) => {}
        _ = async { tokio::join!(there, back) } => {}
    }
}

/// One direction, until its sender has closed or one side is gone.
async fn pump(
    mut from: OwnedReadHalf,
    to: OwnedWriteHalf,
    seen: watch::Receiver<Weather>,
    flow: impl Fn(&Weather) -> Flow + Copy,
) {
    let (deliver, chunks) = mpsc::channel::<(Instant, Vec<u8>)>(CHUNKS);
    let now = seen.clone();
    let reading = async move {
        loop {
            let Ok(place) = deliver.reserve().await else { return };
            let mut chunk = Vec::with_capacity(CHUNK);
            if !matches!(from.read_buf(&mut chunk).await, Ok(1..)) {
                return;
            }
            let late = match flow(&now.borrow()) {
                Flow::Late(late) => late,
                _ => Duration::ZERO,
            };
            place.send((Instant::now() + late, chunk));
        }
    };
    tokio::join!(reading, write(to, chunks, seen, flow));
}

async fn write(
    mut to: OwnedWriteHalf,
    mut chunks: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut seen: watch::Receiver<Weather>,
    flow: impl Fn(&Weather) -> Flow,
) {
    while let Some((due, chunk)) = chunks.recv().await {
        sleep_until(due).await;
        let mut rest = &chunk[..];
        while !rest.is_empty() {
            let clear = seen.wait_for(|weather| flow(weather) != Flow::Held).await;
            let Ok(now) = clear.map(|weather| flow(&weather)) else { return };
            // A thin line is written in pieces, each a twentieth of a second.
            let piece = match now {
                Flow::Thin(rate) => usize::try_from(rate / 20).unwrap_or(CHUNK).max(1),
                _ => rest.len(),
            };
            let (piece, later) = rest.split_at(piece.min(rest.len()));
            if to.write_all(piece).await.is_err() {
                return;
            }
            rest = later;
            if let Flow::Thin(_) = now {
                sleep(Duration::from_millis(50)).await;
            }
        }
    }
    // The sender has closed, which is news like any other.
    if seen.wait_for(|weather| flow(weather) != Flow::Held).await.is_ok() {
        let _ = to.shutdown().await;
    }
}

/// All links of a platform.
#[derive(Default)]
pub struct Network {
    links: Mutex<BTreeMap<(String, String), Arc<Link>>>,
}

impl Network {
    /// The links that are wanted, by who connects and to whom.
    pub fn links(&self, wanted: impl Fn(&str, &str) -> bool) -> Vec<Arc<Link>> {
        let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.values().filter(|link| wanted(&link.from, &link.to)).cloned().collect()
    }

    /// The weather of those links.
    pub fn set(&self, weather: Weather, wanted: impl Fn(&str, &str) -> bool) {
        self.links(wanted).iter().for_each(|link| link.set(weather));
    }

    /// Everything is as it should be.
    pub fn clear(&self) {
        self.set(Weather::default(), |_, _| true);
    }
}

impl Wiring for Network {
    fn port(&self, from: &str, to: &str, port: u16) -> Outcome<u16> {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        let name = (from.to_owned(), to.to_owned());
        if let Some(link) = links.get(&name) {
            return Ok(link.port);
        }
        let link = Link::open(from, to, port).during(format_args!("a link {from} to {to}"))?;
        let port = link.port;
        links.insert(name, Arc::new(link));
        Ok(port)
    }
}

#[cfg(test)]
#[path = "proxy_tests.rs"]
mod tests;
