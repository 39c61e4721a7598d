//! A well-behaved client on one connection: identifies, follows the rules, keeps its cursors.
//!
//! Invariant: every event passes the rules before anyone sees it; what broke one is in
//! [`Session::violations`]. The cursors it ends with are those to resume with. It neither reconnects
//! nor pages a GAP by itself.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::timeout;

use super::cursors::Cursors;
use super::link::{Ended, Link};
use super::rules::{Kind, Rules};
use super::socket::ANSWER_WITHIN;
use crate::json::Look as _;
use crate::{Outcome, ensure, fail};

/// Events received and not yet asked for.
const BACKLOG: usize = 20_000;
/// Violations kept; more say nothing new.
const VIOLATIONS: usize = 20;

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its data.
    pub data: Value,
    /// When it was read from the socket.
    pub at: Instant,
    /// Whether RESUMED had come before.
    pub live: bool,
}

/// One connection of one person.
pub struct Session {
    link: Link,
    rules: Rules,
    /// Where the client stands.
    pub cursors: Cursors,
    backlog: VecDeque<Event>,
    violations: Vec<String>,
    reconnect_after: Option<Duration>,
}

impl Session {
    /// Connects and identifies. READY has not come yet.
    pub async fn open(base: &str, token: &str, cursors: Cursors) -> Outcome<Self> {
        let link = Link::open(base).await?;
        let mut session = Self {
            link,
            rules: Rules::default(),
            cursors,
            backlog: VecDeque::new(),
            violations: Vec::new(),
            reconnect_after: None,
        };
        let cursors = session.cursors.identify();
        let identify = json!({ "op": 2, "d": { "token": token, "cursors": cursors } });
        session.link.send(&identify).await?;
        Ok(session)
    }

    /// Connects, identifies and waits for RESUMED. Returns READY too; what came between is kept.
    pub async fn resume(base: &str, token: &str, cursors: Cursors) -> Outcome<(Self, Value)> {
        let mut session = Self::open(base, token, cursors).await?;
        let ready = session.expect("READY").await?;
        session.expect("RESUMED").await?;
        Ok((session, ready))
    }

    /// The next event, or how the connection ended. Does not look at the backlog. Safe to cancel.
    pub async fn next(&mut self) -> Result<Event, Ended> {
        loop {
            let arrival = self.link.next().await?;
            match self.hear(arrival.frame, arrival.at) {
                Ok(Some(event)) => return Ok(event),
                Ok(None) => {}
                Err(failure) => self.violated(failure.to_string()),
            }
        }
    }

    fn hear(&mut self, mut frame: Value, at: Instant) -> Outcome<Option<Event>> {
        match frame.at("op")?.as_u64() {
            Some(0) => {}
            Some(7) => {
                let wait = frame.number("d/after_ms")?;
                self.reconnect_after = Some(Duration::from_millis(wait));
                return Ok(None);
            }
            Some(11) => return Ok(None),
            _ => fail!("not a frame that a server sends: {frame}"),
        }
        let name = frame.text("t")?.to_owned();
        let data = frame.get_mut("d").map(Value::take).unwrap_or_default();
        let live = self.rules.resumed();
        let (kind, wrong) = self.rules.hear(&mut self.cursors, &name, &data)?;
        if let Some(wrong) = wrong {
            self.violated(wrong);
        }
        Ok(Some(Event { kind, name, data, at, live }))
    }

    fn violated(&mut self, what: String) {
        if self.violations.len() < VIOLATIONS {
            self.violations.push(what);
        }
    }

    /// Broken rules that nobody has taken yet.
    pub fn violations(&mut self) -> Vec<String> {
        std::mem::take(&mut self.violations)
    }

    /// Whether RESUMED has come.
    pub fn is_resumed(&self) -> bool {
        self.rules.resumed()
    }

    /// The wait after which the server asked to connect elsewhere, if it did.
    pub fn reconnect_after(&self) -> Option<Duration> {
        self.reconnect_after
    }

    /// The data of the first event of a name not taken yet.
    #[track_caller]
    pub fn expect(&mut self, name: &str) -> impl Future<Output = Outcome<Value>> {
        let name = name.to_owned();
        async move {
            let event = self.wait(&name, |event| event.name == name).await?;
            Ok(event.data)
        }
    }

    /// The first event not taken yet that is wanted; events passed over stay for later calls.
    /// Fails when a rule has been broken.
    pub async fn wait(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Outcome<Event> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        let mut looked = 0;
        loop {
            if let Some(violation) = self.violations.first() {
                fail!("waiting for {what}: {violation}");
            }
            while looked < self.backlog.len() {
                if wanted(&self.backlog[looked]) {
                    let found = self.backlog.remove(looked);
                    return found.ok_or_else(|| crate::Failure::new("no event"));
                }
                looked += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.next()).await {
                Ok(Ok(event)) => self.keep(event)?,
                Ok(Err(ended)) => fail!("waiting for {what}: {ended:?}; had {}", self.had()),
                Err(_) => fail!("no {what} within {ANSWER_WITHIN:?}; had {}", self.had()),
            }
        }
    }

    /// Takes every event not taken yet, without waiting.
    pub fn drain(&mut self) -> Outcome<Vec<Event>> {
        use futures::FutureExt as _;
        while let Some(next) = self.next().now_or_never() {
            match next {
                Ok(event) => self.keep(event)?,
                Err(ended) => fail!("the connection ended: {ended:?}"),
            }
        }
        if let Some(violation) = self.violations.first() {
            fail!("{violation}");
        }
        Ok(self.backlog.drain(..).collect())
    }

    fn keep(&mut self, event: Event) -> Outcome {
        ensure!(self.backlog.len() < BACKLOG, "more than {BACKLOG} events that nobody took");
        self.backlog.push_back(event);
        Ok(())
    }

    fn had(&self) -> String {
        let had = self.backlog.iter().map(|event| format!("{} {}", event.name, event.data));
        let had: Vec<String> = had.collect();
        if had.is_empty() { "nothing".to_owned() } else { had.join(", ") }
    }

    /// Waits until the server closes the connection, and returns the code.
    pub async fn closed(&mut self) -> Outcome<u16> {
        let deadline = Instant::now() + ANSWER_WITHIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match timeout(left, self.next()).await {
                Ok(Ok(event)) => self.keep(event)?,
                Ok(Err(Ended { code: Some(code), .. })) => return Ok(code),
                Ok(Err(ended)) => fail!("ended without a code: {ended:?}"),
                Err(_) => fail!("still open after {ANSWER_WITHIN:?}"),
            }
        }
    }

    /// Sends any frame.
    pub async fn frame(&self, frame: &Value) -> Outcome {
        self.link.send(frame).await
    }

    /// Sends a message; its ACK or NACK comes as an event.
    pub async fn send(&self, conversation: u64, content: &str, nonce: &str) -> Outcome {
        let data = json!({
            "conversation_id": conversation.to_string(), "content": content, "nonce": nonce,
        });
        self.frame(&json!({ "op": 20, "d": data })).await
    }

    /// Sends a message and waits for its ACK. Returns its id.
    pub async fn say(&mut self, conversation: u64, content: &str) -> Outcome<u64> {
        let nonce = super::nonce();
        self.send(conversation, content, &nonce).await?;
        let answer = self
            .wait("ACK or NACK", |event| {
                matches!(event.kind, Kind::Ack | Kind::Nack) && event.data["nonce"] == nonce
            })
            .await?;
        ensure!(answer.kind == Kind::Ack, "refused: {}", answer.data);
        ensure!(answer.data.id("conversation_id")? == conversation, "{}", answer.data);
        answer.data.id("id")
    }

    /// The MESSAGE_CREATE with that id.
    pub async fn message(&mut self, id: u64) -> Outcome<Value> {
        let id = id.to_string();
        let what = format!("MESSAGE_CREATE {id}");
        let wanted = |event: &Event| event.name == "MESSAGE_CREATE" && event.data["id"] == id;
        Ok(self.wait(&what, wanted).await?.data)
    }

    /// Leaves in good order and returns the cursors to resume with.
    pub async fn close(self) -> Cursors {
        let Self { link, cursors, .. } = self;
        link.close().await;
        cursors
    }

    /// Breaks the connection without a word and returns the cursors to resume with.
    pub fn abandon(self) -> Cursors {
        self.cursors
    }
}
