//! One client: a socket that sends what it is told, breaks now and then, and resumes, on another edge
//! or as another device.
//!
//! Invariant: it follows the protocol's rules for clients to the letter, relies on cursors and GAPs
//! alone, and writes down all that it says and hears. What a device has missed is owed to it until it
//! is retired, so devices that were put away come back at the end.

mod hears;
mod pages;
mod parts;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

pub use self::parts::{Parts, Phase, Wish};
use super::book::{Book, Message, PENDING};
use crate::Outcome;
use crate::check::record::{Answer, Call, Connection, Device as Memory, Op, text};
use crate::client::backoff::Backoff;
use crate::client::{Cursors, Session};

/// RESUMED has come by then, or another connection is tried.
const RESUMED_WITHIN: Duration = Duration::from_secs(20);
/// How long a connection may take to be made.
const CONNECTED_WITHIN: Duration = Duration::from_secs(5);
/// How long a page of a GAP may take.
const PAGED_WITHIN: Duration = Duration::from_secs(10);
/// From one attempt to page a GAP to the next.
const PAGE_AGAIN: Duration = Duration::from_secs(1);
/// How often a client looks at what else there is to do.
const LOOK: Duration = Duration::from_millis(100);
/// Milliseconds of a connection that the client breaks itself.
const LIVES: std::ops::Range<u64> = 2_000..20_000;
/// Milliseconds without a connection then.
const AWAY: std::ops::Range<u64> = 0..3_000;
/// Devices put away.
const PARKED: usize = 2;

/// Why a connection ended.
enum End {
    /// The client wished it.
    Wished,
    /// Another way, perhaps with a close code.
    Lost(Option<u16>),
}

struct Device {
    memory: Memory,
    cursors: Cursors,
}

/// The task of one client.
pub struct Client {
    parts: Parts,
    device: Device,
    parked: Vec<Device>,
    /// Those that came back at the end.
    others: JoinSet<Outcome>,
    book: Book,
    /// SENDs on this connection without an answer.
    asked: HashMap<String, Vec<Call>>,
    edge: usize,
    reconnect: u64,
    page_at: Instant,
    /// Whether it has stood at its targets.
    stood: bool,
}

impl Client {
    /// A client that has not connected yet.
    pub fn new(parts: Parts) -> Self {
        let device = Device { memory: parts.town.recorder.device(), cursors: Cursors::default() };
        parts.owing.fetch_add(1, Ordering::Relaxed);
        Self::with(parts, device)
    }

    fn with(parts: Parts, device: Device) -> Self {
        let (edge, reconnect) = (parts.person.index, parts.orders.borrow().reconnect);
        Self {
            parts,
            device,
            parked: Vec::new(),
            others: JoinSet::new(),
            book: Book::default(),
            asked: HashMap::new(),
            edge,
            reconnect,
            page_at: Instant::now(),
            stood: false,
        }
    }

    /// Lives until the phase is over. Devices that were put away come back at the end.
    pub async fn live(mut self) -> Outcome {
        let mut backoff = Backoff::default();
        loop {
            let (end, resumed) = Box::pin(self.connection()).await?;
            if resumed {
                backoff.reset();
            }
            match end {
                _ if matches!(*self.parts.phase.borrow(), Phase::Over) => break,
                End::Wished => self.between().await,
                End::Lost(_) => {
                    self.edge += 1;
                    sleep(backoff.wait()).await;
                }
            }
        }
        while let Some(other) = self.others.join_next().await {
            other??;
        }
        Ok(())
    }

    /// After a break of one's own: perhaps elsewhere, perhaps as another device, after a while.
    async fn between(&mut self) {
        let random = &mut self.parts.random;
        if random.random_ratio(1, 2) {
            self.edge += 1;
        }
        if matches!(*self.parts.phase.borrow(), Phase::Running) && random.random_ratio(1, 5) {
            self.change_device();
        }
        let away = Duration::from_millis(self.parts.random.random_range(AWAY));
        // Nobody stays away when all come back at once, or when it is over.
        let _ = timeout(away, async {
            tokio::select! {
                _ = self.parts.orders.changed() => {}
                _ = self.parts.phase.changed() => {}
            }
        })
        .await;
    }

    fn change_device(&mut self) {
        let recorder = &self.parts.town.recorder;
        let random = &mut self.parts.random;
        let next = if !self.parked.is_empty() && random.random_ratio(1, 2) {
            self.parked.remove(0)
        } else {
            self.parts.owing.fetch_add(1, Ordering::Relaxed);
            Device { memory: recorder.device(), cursors: Cursors::default() }
        };
        let old = std::mem::replace(&mut self.device, next);
        if self.parked.len() < PARKED && random.random_ratio(2, 3) {
            self.parked.push(old);
        } else {
            self.parts.owing.fetch_sub(1, Ordering::Relaxed);
            recorder.retired(old.memory);
        }
    }

    /// One connection. Whether RESUMED came, beside how it ended.
    async fn connection(&mut self) -> Outcome<(End, bool)> {
        let town = self.parts.town.clone();
        let edge = self.edge % town.edges;
        let url = town.url(&self.parts.person, edge)?;
        let token = town.token(&self.parts.person).await?;
        let cursors = self.device.cursors.clone();
        let given = cursors.clone().identify();
        let person = self.parts.person.id;
        let connection = town.recorder.opened(self.device.memory, person, edge, &given)?;
        let opening = timeout(CONNECTED_WITHIN, Box::pin(Session::open(&url, &token, cursors)));
        let Ok(Ok(mut session)) = opening.await else {
            town.recorder.closed(connection, None, false);
            return Ok((End::Lost(None), false));
        };
        let end = self.serve(&mut session, connection, edge).await?;
        for rule in session.violations() {
            let rule = format!("{}: {rule}", self.parts.person.username);
            // Beyond a full queue, more say nothing new.
            let _ = self.parts.broken.try_send(rule);
        }
        for call in self.asked.drain().flat_map(|(_, calls)| calls) {
            town.recorder.answered(call, Answer::Unknown("the connection ended".to_owned()));
        }
        let resumed = session.is_resumed();
        let polite = self.parts.random.random_ratio(1, 3);
        self.device.cursors = match end {
            End::Wished if polite => session.close().await,
            End::Lost(_) | End::Wished => session.abandon(),
        };
        let (code, wished) = match end {
            End::Lost(code) => (code, false),
            End::Wished => (None, true),
        };
        town.recorder.closed(connection, code, wished);
        Ok((end, resumed))
    }

    async fn serve(
        &mut self,
        session: &mut Session,
        connection: Connection,
        edge: usize,
    ) -> Outcome<End> {
        let opened = Instant::now();
        let mut break_at = opened + Duration::from_millis(self.parts.random.random_range(LIVES));
        let (mut greeted, mut leaving) = (false, false);
        loop {
            let phase = self.parts.phase.borrow().clone();
            self.note_pending();
            match &phase {
                Phase::Over => return Ok(End::Wished),
                Phase::Ending(_) => self.bring_back(),
                _ => {}
            }
            if session.is_resumed() {
                if !std::mem::replace(&mut greeted, true) {
                    self.book.resumed();
                }
                self.page(session, edge).await?;
                self.send_due(session, connection, edge).await;
                match &phase {
                    Phase::Ending(targets) if !self.stood && self.stands(session, targets) => {
                        self.stood = true;
                        self.parts.owing.fetch_sub(1, Ordering::Relaxed);
                    }
                    Phase::Running if Instant::now() >= break_at => return Ok(End::Wished),
                    _ if leaving && Instant::now() >= break_at => return Ok(End::Wished),
                    _ => {}
                }
            } else if opened.elapsed() > RESUMED_WITHIN {
                return Ok(End::Lost(None));
            }
            if let Some(wait) = session.reconnect_after()
                && !std::mem::replace(&mut leaving, true)
            {
                self.parts.town.recorder.heard(connection, "RECONNECT", &json!({}));
                break_at = Instant::now() + wait;
            }
            let reconnect = self.parts.orders.borrow().reconnect;
            if std::mem::replace(&mut self.reconnect, reconnect) != reconnect {
                return Ok(End::Wished);
            }
            let room = self.book.len() < PENDING && session.is_resumed();
            tokio::select! {
                event = session.next() => match event {
                    Ok(event) => self.hear(&event, connection)?,
                    Err(ended) => return Ok(End::Lost(ended.code)),
                },
                Some(wish) = self.parts.wishes.recv(), if room => {
                    self.grant(wish, session, connection, edge).await;
                }
                () = sleep(LOOK) => {}
            }
        }
    }

    async fn grant(&mut self, wish: Wish, session: &Session, on: Connection, edge: usize) {
        match wish {
            Wish::Say(message) => self.book.take(message),
            Wish::Read { conversation, id } => {
                let op = Op::Read { conversation, id };
                self.parts.town.recorder.asked_on(self.parts.person.id, edge, on, op);
                let (conversation, id) = (conversation.to_string(), id.to_string());
                let data = json!({ "conversation_id": conversation, "id": id });
                // How the connection ended comes where events come.
                let _ = session.frame(&json!({ "op": 22, "d": data })).await;
            }
        }
    }

    async fn send_due(&mut self, session: &Session, on: Connection, edge: usize) {
        while let Some(message) = self.book.due(|place| session.cursors.next_gap(place).is_some()) {
            let Message { conversation, content, nonce } = message;
            let op = Op::Send { conversation, nonce: nonce.clone(), content: text(&content) };
            let call = self.parts.town.recorder.asked_on(self.parts.person.id, edge, on, op);
            self.asked.entry(nonce.clone()).or_default().push(call);
            if session.send(conversation, &content, &nonce).await.is_err() {
                return;
            }
        }
    }

    /// At the end every device that was put away lives by itself.
    fn bring_back(&mut self) {
        for device in std::mem::take(&mut self.parked) {
            let other = Self::with(self.parts.beside(), device);
            let living: Pin<Box<dyn Future<Output = Outcome> + Send>> = Box::pin(other.live());
            self.others.spawn(living);
        }
    }

    fn note_pending(&self) {
        let pending = self.book.len() + self.parts.wishes.len();
        self.parts.pending.store(pending, Ordering::Relaxed);
    }
}
