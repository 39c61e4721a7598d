//! One session among thousands: lean, and by the protocol's rules.
//!
//! Invariant: what it receives passes the rules and cursors of every other client here; it comes back
//! when it is told to, and waits as long as a refusal says, or backs off with jitter where it says
//! nothing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::SinkExt as _;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{interval, sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async_with_config};

use crate::client::backoff::Backoff;
use crate::client::rules::Rules;
use crate::client::socket::{Heard, next};
use crate::client::{Cursors, Kind};
use crate::json::Look as _;
use crate::{Context as _, Outcome};

/// Bytes of a client's buffers: there are many of them.
const BUFFER: usize = 4 * 1024;
/// Sessions that share a source address, well below what ports there are.
const PER_ADDRESS: usize = 12_000;
/// A connection is made by then.
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
/// Heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Wrongs that are kept.
const WRONGS: usize = 20;

/// Where the crowd is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// On the edge that will die; and where it is dead, nowhere.
    Home,
    /// On the other one.
    Back,
}

/// What all clients know and tell.
pub struct Shared {
    edges: Vec<SocketAddr>,
    phase: watch::Receiver<Phase>,
    began: Instant,
    truth: OnceLock<BTreeMap<u64, Vec<u64>>>,
    channels: Vec<u64>,
    settled: AtomicUsize,
    away: AtomicUsize,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    caught_up: Vec<Instant>,
    refused: BTreeMap<&'static str, u64>,
    hints: Vec<Duration>,
    live: Vec<(Instant, Duration)>,
    wrong: Vec<String>,
    wrongs: u64,
}

impl Shared {
    /// For clients of these edges, of which the first will die.
    pub fn new(edges: &[String], channels: &[u64], phase: watch::Receiver<Phase>) -> Self {
        let address = |edge: &String| edge.strip_prefix("http://")?.parse().ok();
        Self {
            edges: edges.iter().filter_map(address).collect(),
            phase,
            began: Instant::now(),
            truth: OnceLock::new(),
            channels: channels.to_vec(),
            settled: AtomicUsize::new(0),
            away: AtomicUsize::new(0),
            told: Mutex::default(),
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Microseconds since the beginning.
    pub fn clock(&self) -> u128 {
        self.began.elapsed().as_micros()
    }

    /// What everybody missed, by channel.
    pub fn wrote(&self, truth: BTreeMap<u64, Vec<u64>>) {
        let _ = self.truth.set(truth);
    }

    /// Clients that have all they are to have.
    pub fn settled(&self) -> usize {
        self.settled.load(Ordering::Relaxed)
    }

    /// Clients without an edge.
    pub fn away(&self) -> usize {
        self.away.load(Ordering::Relaxed)
    }

    /// Counts anew who is settled.
    pub fn begin_again(&self) {
        self.settled.store(0, Ordering::Relaxed);
    }

    /// Something that must not be.
    pub fn wrongly(&self, what: String) {
        let mut told = self.told();
        told.wrongs += 1;
        if told.wrong.len() < WRONGS {
            told.wrong.push(what);
        }
    }

    /// How often something was wrong, and the first of it.
    pub fn wrong(&self) -> (u64, Vec<String>) {
        let told = self.told();
        (told.wrongs, told.wrong.clone())
    }

    /// When each client had everything, ascending.
    pub fn caught_up(&self, since: Instant) -> Vec<Duration> {
        let told = self.told();
        let mut all: Vec<_> = told.caught_up.iter().map(|at| *at - since).collect();
        all.sort_unstable();
        all
    }

    /// Refusals by kind, and the hints that came with them, ascending.
    pub fn refused(&self) -> (BTreeMap<&'static str, u64>, Vec<Duration>) {
        let told = self.told();
        let mut hints = told.hints.clone();
        hints.sort_unstable();
        (told.refused.clone(), hints)
    }

    /// Live delivery between the first two moments and between the last two, ascending.
    pub fn live(&self, [from, came, over]: [Instant; 3]) -> [Vec<Duration>; 2] {
        let told = self.told();
        [(from, came), (came, over)].map(|(from, to)| {
            let within = told.live.iter().filter(|(at, _)| (from..to).contains(at));
            let mut within: Vec<_> = within.map(|(_, took)| *took).collect();
            within.sort_unstable();
            within
        })
    }

    fn refuse(&self, how: &'static str, hint: Option<Duration>) {
        let mut told = self.told();
        *told.refused.entry(how).or_default() += 1;
        told.hints.extend(hint);
    }
}

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One session.
pub struct Client {
    shared: Arc<Shared>,
    token: String,
    number: usize,
    other: bool,
    cursors: Cursors,
    /// How many entries of each channel have come since the edge died.
    got: BTreeMap<u64, usize>,
    done: bool,
}

impl Client {
    /// One of the crowd.
    pub fn new(shared: Arc<Shared>, token: String, number: usize) -> Self {
        let (cursors, got) = (Cursors::default(), BTreeMap::new());
        Self { shared, token, number, other: false, cursors, got, done: false }
    }

    /// One of those whose edge lives.
    pub fn other(shared: Arc<Shared>, token: String, number: usize) -> Self {
        Self { other: true, ..Self::new(shared, token, number) }
    }

    /// Connects, listens, and comes back. Ends when it is aborted.
    pub async fn run(mut self) {
        let mut phase = self.shared.phase.clone();
        let home = self.shared.edges[usize::from(self.other)];
        self.stay(home).await;
        if self.other {
            self.shared.wrongly("one who had no part in it lost their connection".to_owned());
            return;
        }
        self.shared.away.fetch_add(1, Ordering::Relaxed);
        if phase.wait_for(|phase| *phase == Phase::Back).await.is_ok() {
            let channels = self.shared.channels.iter();
            self.got = channels.filter(|id| self.cursors.knows(**id)).map(|id| (*id, 0)).collect();
            self.done = false;
            self.stay(self.shared.edges[1]).await;
            self.shared.wrongly("the second edge ended a connection".to_owned());
        }
    }

    /// Tries until it is resumed, and listens until the connection ends.
    async fn stay(&mut self, edge: SocketAddr) {
        let mut backoff = Backoff::default();
        loop {
            let wait = match self.connect(edge).await {
                Ok(stream) => match self.listen(stream).await {
                    Ended::Resumed => return,
                    Ended::Refused(hint) => {
                        self.shared.refuse("4000", hint);
                        hint
                    }
                },
                Err(Unmade::Refused(hint)) => {
                    self.shared.refuse("503", hint);
                    hint
                }
                Err(Unmade::Broken) => {
                    self.shared.refuse("not connected", None);
                    None
                }
            };
            sleep(wait.unwrap_or_else(|| backoff.wait())).await;
        }
    }

    async fn connect(&self, edge: SocketAddr) -> Result<Stream, Unmade> {
        let made = async {
            let socket = TcpSocket::new_v4()?;
            let last = u8::try_from(1 + self.number / PER_ADDRESS).unwrap_or(1);
            socket.bind(SocketAddr::from(([127, 0, 0, last], 0)))?;
            let stream = MaybeTlsStream::Plain(socket.connect(edge).await?);
            let config = WebSocketConfig::default()
                .read_buffer_size(BUFFER)
                .write_buffer_size(0)
                .max_write_buffer_size(64 * BUFFER);
            let url = format!("ws://{edge}/v1/gateway");
            client_async_with_config(url, stream, Some(config)).await
        };
        match timeout(CONNECT_WITHIN, made).await {
            Ok(Ok((stream, _))) => Ok(stream),
            Ok(Err(Error::Http(answer))) => {
                let body = answer.body().clone().unwrap_or_default();
                let body: Value = serde_json::from_slice(&body).unwrap_or_default();
                let hint = body.pointer("/error/retry_after_ms").and_then(Value::as_u64);
                Err(Unmade::Refused(hint.map(Duration::from_millis)))
            }
            _ => Err(Unmade::Broken),
        }
    }

    async fn listen(&mut self, mut stream: Stream) -> Ended {
        let (mut rules, mut hint) = (Rules::default(), None);
        let cursors = self.cursors.identify();
        let identify = json!({ "op": 2, "d": { "token": self.token, "cursors": cursors } });
        if stream.send(Message::text(identify.to_string())).await.is_err() {
            return Ended::Refused(None);
        }
        let mut beat = interval(HEARTBEAT);
        beat.reset();
        loop {
            let heard = tokio::select! {
                heard = next(&mut stream) => heard,
                _ = beat.tick() => {
                    // What is wrong shows on reading.
                    let _ = stream.send(Message::text(r#"{"op":1}"#)).await;
                    continue;
                }
            };
            let frame = match heard {
                Ok(Heard::Frame(frame)) => frame,
                _ if rules.resumed() => return Ended::Resumed,
                _ => return Ended::Refused(hint),
            };
            match frame["op"].as_u64() {
                Some(0) => {
                    if let Err(failure) = self.hear(&mut rules, &frame) {
                        self.shared.wrongly(failure.to_string());
                    }
                }
                Some(7) => hint = frame["d"]["after_ms"].as_u64().map(Duration::from_millis),
                _ => {}
            }
        }
    }

    fn hear(&mut self, rules: &mut Rules, frame: &Value) -> Outcome {
        let (name, data) = (frame.text("t")?, frame.at("d")?);
        let (kind, wrong) = rules.hear(&mut self.cursors, name, data)?;
        if let Some(wrong) = wrong {
            self.shared.wrongly(wrong);
        }
        match kind {
            Kind::Entry { .. } if self.other => {
                let said: u64 = data.text("content")?.parse().during("a live message")?;
                let took = self.shared.began.elapsed().saturating_sub(Duration::from_micros(said));
                self.shared.told().live.push((Instant::now(), took));
            }
            Kind::Entry { conversation, id } => self.count(conversation, id),
            Kind::Gap { .. } => self.shared.wrongly("a GAP although little was missed".to_owned()),
            _ => {}
        }
        if rules.resumed() && !self.done && self.has_all() {
            self.done = true;
            self.shared.settled.fetch_add(1, Ordering::Relaxed);
            if !self.got.is_empty() {
                self.shared.told().caught_up.push(Instant::now());
            }
        }
        Ok(())
    }

    /// The next entry of a channel must be the next one that was missed.
    fn count(&mut self, conversation: u64, id: u64) {
        let Some(got) = self.got.get_mut(&conversation) else { return };
        let missed = self.shared.truth.get().and_then(|truth| truth.get(&conversation));
        let wanted = missed.and_then(|ids| ids.get(*got));
        if wanted != Some(&id) {
            self.shared.wrongly(format!("{id} in {conversation}, where {wanted:?} is next"));
        }
        *got += 1;
    }

    fn has_all(&self) -> bool {
        let Some(truth) = self.shared.truth.get() else { return true };
        self.got.iter().all(|(id, got)| truth.get(id).is_none_or(|ids| ids.len() == *got))
    }
}

enum Unmade {
    Refused(Option<Duration>),
    Broken,
}

enum Ended {
    /// After RESUMED.
    Resumed,
    /// Before, with what was said about coming back.
    Refused(Option<Duration>),
}
