//! One person's socket: sends what it is told, notes what comes, breaks now and then and resumes.
//!
//! Invariant: it relies on cursors and GAPs alone, so an entry it was not sent is lost for good. A
//! connection that ends otherwise than by its own wish is wrong: stores are killed here, not edges.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{sleep, sleep_until, timeout, timeout_at};

use super::kind::Kind;
use super::record::{Entry, Record};
use super::scene::{Person, Scene};
use crate::client::backoff::Backoff;
use crate::client::link::Ended;
use crate::client::{Cursors, Event, Kind as What, Session, paging};
use crate::json::Look as _;
use crate::replay::pending::{Book, Order};
use crate::{Context as _, Outcome};

/// The last entry of each conversation.
pub type Targets = Arc<BTreeMap<u64, u64>>;

/// READY and RESUMED have come by then.
pub const RESUMED_WITHIN: Duration = Duration::from_secs(15);
/// Seconds between two breaks of one connection.
const BREAKS_S: std::ops::Range<f64> = 8.0..24.0;
/// How often what a GAP left out is asked for again.
const PAGES_EVERY: Duration = Duration::from_secs(2);
/// Once everything has been sent: nothing for that long means that nothing will come.
const SILENCE: Duration = Duration::from_secs(30);
/// Once everything has been sent: no connection gets to RESUMED any more.
const HOPELESS: u32 = 30;

/// Why a connection ended.
enum End {
    Planned,
    Lost,
    Finished,
}

/// The task of one socket.
pub struct Watcher {
    scene: Arc<Scene>,
    person: Arc<Person>,
    orders: mpsc::Receiver<Order>,
    book: Book,
    /// When each message was last sent.
    sent: HashMap<String, Instant>,
    cursors: Cursors,
    record: Record,
    connected: Option<mpsc::Sender<()>>,
}

impl Watcher {
    /// A socket that is not open yet; says when it first is.
    pub fn new(
        scene: Arc<Scene>,
        person: Arc<Person>,
        orders: mpsc::Receiver<Order>,
        connected: mpsc::Sender<()>,
    ) -> Self {
        Self {
            scene,
            person,
            orders,
            book: Book::default(),
            sent: HashMap::new(),
            cursors: Cursors::default(),
            record: Record::default(),
            connected: Some(connected),
        }
    }

    /// Watches until it stands at all targets. Returns what came.
    pub async fn watch(mut self) -> Outcome<Record> {
        let mut backoff = Backoff::default();
        let (mut kind, mut edge) = (None, self.person.home);
        let mut in_vain = 0;
        loop {
            let began = Instant::now();
            let opened = self.open(edge).await?;
            if let Some(kind) = kind {
                self.scene.journal.note(kind, began, opened.as_ref().err().cloned());
            }
            let Ok(mut session) = opened else {
                in_vain += 1;
                if in_vain > HOPELESS && self.scene.targets.borrow().is_some() {
                    self.wrong("no connection gets to RESUMED");
                    return Ok(self.record);
                }
                (kind, edge) = (Some(Kind::Resume), self.person.home);
                sleep(backoff.wait()).await;
                continue;
            };
            (in_vain, backoff) = (0, Backoff::default());
            if let Some(connected) = self.connected.take() {
                // There is room for everybody; whoever counts has not gone before the last.
                let _ = connected.try_send(());
            }
            let end = self.serve(&mut session, edge).await?;
            self.tell_violations(&mut session);
            self.cursors = session.abandon();
            match end {
                End::Finished => return Ok(self.record),
                End::Planned if edge == self.person.home && rand::rng().random_ratio(1, 3) => {
                    edge = (edge + 1) % self.scene.edges.len();
                    kind = Some(Kind::ResumeElsewhere);
                }
                End::Planned | End::Lost => {
                    (kind, edge) = (Some(Kind::Resume), self.person.home);
                }
            }
        }
    }

    /// Opens a connection up to RESUMED. The inner error is how it was refused.
    async fn open(&mut self, edge: usize) -> Outcome<Result<Session, String>> {
        let deadline = tokio::time::Instant::now() + RESUMED_WITHIN;
        let url = &self.scene.edges[edge];
        let token = self.person.api.token().unwrap_or_default();
        let opening = Box::pin(Session::open(url, token, self.cursors.clone()));
        let Ok(mut session) = opening.await else {
            return Ok(Err("no connection".to_owned()));
        };
        loop {
            let refused = match timeout_at(deadline, session.next()).await {
                Ok(Ok(event)) => {
                    self.hear(&event)?;
                    if event.kind == What::Resumed {
                        return Ok(Ok(session));
                    }
                    continue;
                }
                Ok(Err(ended)) => code(&ended),
                Err(_) => "no RESUMED".to_owned(),
            };
            self.tell_violations(&mut session);
            self.cursors = session.abandon();
            return Ok(Err(refused));
        }
    }

    async fn serve(&mut self, session: &mut Session, edge: usize) -> Outcome<End> {
        self.book.reconnected();
        self.book.settle_created()?;
        let break_at = Instant::now() + Duration::from_secs_f64(rand::rng().random_range(BREAKS_S));
        let mut page_at = Instant::now();
        let mut heard_at = Instant::now();
        let mut targets = self.scene.targets.subscribe();
        loop {
            let ending = targets.borrow().clone();
            if let Some(ending) = &ending {
                if self.finished(session, ending) {
                    return Ok(End::Finished);
                }
                if heard_at.elapsed() > SILENCE {
                    self.wrong("nothing more comes, and entries are missing");
                    return Ok(End::Finished);
                }
            }
            let alarm = page_at.min(self.book.next_due()).min(if ending.is_some() {
                Instant::now() + Duration::from_secs(1)
            } else {
                break_at
            });
            tokio::select! {
                biased;
                event = session.next() => match event {
                    Ok(event) => {
                        heard_at = Instant::now();
                        self.hear(&event)?;
                    }
                    Err(ended) => {
                        let url = &self.scene.edges[edge];
                        self.wrong(&format!("cut off by {url}: {}", code(&ended)));
                        return Ok(End::Lost);
                    }
                },
                Some(order) = self.orders.recv() => self.book.take(order),
                _ = targets.changed() => {}
                () = sleep_until(alarm.into()) => {
                    if page_at <= Instant::now() {
                        self.page(session).await?;
                        page_at = Instant::now() + PAGES_EVERY;
                    }
                    if ending.is_none() && break_at <= Instant::now() {
                        return Ok(End::Planned);
                    }
                }
            }
            if !self.send_due(session).await {
                return Ok(End::Planned);
            }
        }
    }

    fn finished(&self, session: &Session, targets: &Targets) -> bool {
        let stands = |conversation: u64| {
            let target = targets.get(&conversation);
            target.is_none() || session.cursors.cursor(conversation).as_ref() >= target
        };
        let nothing_owed = session.cursors.owing().is_none() && self.book.is_empty();
        nothing_owed && self.record.open().all(stands)
    }

    fn hear(&mut self, event: &Event) -> Outcome {
        let data = &event.data;
        match event.kind {
            What::Ready => {
                for conversation in data.list("conversations")? {
                    let last = conversation.id_or_null("last_id")?;
                    self.record.shown(conversation.id("id")?, last);
                }
            }
            What::ConversationAdd { conversation, .. } => {
                self.record.shown(conversation, data.id_or_null("last_id")?);
            }
            What::ConversationRemove { conversation } => self.record.removed(conversation),
            What::Entry { conversation, .. } => {
                let entry = Entry::read(&event.name, data)?;
                if entry.name == "MESSAGE_CREATE" && data.id("author_id")? == self.person.id {
                    self.book.created(data, entry.id)?;
                }
                let live = event.live.then_some(event.at);
                if let Err(failure) = self.record.entry(conversation, entry, live) {
                    self.wrong(&failure.to_string());
                }
            }
            What::Ack => self.acked(data, event.at)?,
            What::Nack => self.refused(data)?,
            _ => {}
        }
        Ok(())
    }

    fn acked(&mut self, data: &Value, at: Instant) -> Outcome {
        let nonce = data.text("nonce")?;
        if self.book.acked(nonce, data.id("id")?, at)?.is_some()
            && let Some(began) = self.sent.remove(nonce)
        {
            self.scene.journal.note(Kind::Send, began, None);
        }
        Ok(())
    }

    fn refused(&mut self, data: &Value) -> Outcome {
        let (nonce, why) = (data.text("nonce")?, data.text("code")?);
        let began = self.sent.get(nonce).copied().unwrap_or_else(Instant::now);
        self.scene.journal.note(Kind::Send, began, Some(why.to_owned()));
        if let Err(failure) = self.book.refused(data) {
            self.wrong(&failure.to_string());
            self.book.abandon("refused for good");
        }
        Ok(())
    }

    /// Sends what is due. Returns false where a new connection is needed.
    async fn send_due(&mut self, session: &Session) -> bool {
        if let Err(failure) = self.book.overdue() {
            self.wrong(&failure.to_string());
            self.book.abandon("never acknowledged");
        }
        while let Some(due) = self.book.due() {
            let Some(due) = due else { return false };
            let now = Instant::now();
            if let Some(before) = self.sent.insert(due.nonce.clone(), now)
                && now - before > RESUMED_WITHIN
            {
                self.scene.journal.note(Kind::Send, before, Some("no answer".to_owned()));
            }
            if session.send(due.conversation, &due.content, &due.nonce).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Pages what is owed, as far as there are answers; the rest stays owed.
    async fn page(&mut self, session: &mut Session) -> Outcome {
        while let Some(conversation) = session.cursors.owing() {
            let Some(gap) = session.cursors.next_gap(conversation) else { return Ok(()) };
            let asked = paging::entries(&self.person.api, conversation, gap.from, paging::PAGE);
            let Ok(Ok(page)) = timeout(RESUMED_WITHIN, asked).await else { return Ok(()) };
            for (item, &id) in page.items.iter().zip(&page.ids).take_while(|(_, id)| **id < gap.to)
            {
                let paged = session.cursors.paged(conversation, id);
                if let Err(wrong) = paged {
                    self.wrong(&format!("a page of {conversation} has {id}: {wrong}"));
                }
                let entry = Entry::read(item.text("t")?, item.at("d")?)?;
                self.record.entry(conversation, entry, None).during("a page")?;
            }
            let reached = page.next.is_none_or(|next| next.saturating_add(1) >= gap.to);
            if reached || !page.has_more {
                session.cursors.paged_to_the_end(conversation);
            }
        }
        Ok(())
    }

    fn tell_violations(&self, session: &mut Session) {
        session.violations().iter().for_each(|violation| self.wrong(violation));
    }

    fn wrong(&self, what: &str) {
        self.scene.truth.wrong(format!("{}: {what}", self.person.username));
    }
}

/// How a connection ended, as a code of the table.
pub fn code(ended: &Ended) -> String {
    ended.code.map_or_else(|| "broken off".to_owned(), |code| code.to_string())
}
