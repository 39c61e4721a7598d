//! One who only watches, disconnects as planned, and must miss nothing.
//!
//! Invariant: it relies on cursors and GAPs alone: an entry it was not sent and does not owe itself
//! is lost for good. It ends when it stands at the end of every channel with all cuts done, or when
//! nothing has come for so long that nothing will.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::Run;
use super::cast::Person;
use super::ledger::Ledger;
use super::plan::Cut;
use crate::client::backoff::Backoff;
use crate::client::link::Ended;
use crate::client::{Cursors, Event, Gap, Kind, Session, paging};
use crate::json::Look as _;
use crate::{Outcome, fail};

/// Once everything has been sent: nothing for that long means that nothing will come.
const SILENCE: Duration = Duration::from_mins(1);
/// READY and RESUMED have come by then.
const RESUMED_WITHIN: Duration = Duration::from_secs(90);
/// The longest absence, if sending should be slow.
const AWAY: Duration = Duration::from_mins(1);
/// Connections in a row that end before RESUMED.
const HOPELESS: u32 = 100;

/// Why a connection ended.
enum End {
    /// As planned.
    Cut(Cut),
    /// As planned, before RESUMED.
    Broken,
    /// Not as planned.
    Lost,
    /// Nothing more is to come.
    Finished,
}

/// One observer.
pub struct Observer {
    run: Arc<Run>,
    index: usize,
    person: Arc<Person>,
    cuts: VecDeque<Cut>,
    cursors: Cursors,
    ledger: Ledger,
    edge: usize,
    pages_at_once: bool,
    breaks_after: Option<u64>,
    connections: u64,
}

impl Observer {
    /// An observer who has not connected yet. They start on different edges.
    pub fn new(run: Arc<Run>, index: usize, person: Arc<Person>, cuts: Vec<Cut>) -> Self {
        Self {
            run,
            index,
            person,
            cuts: cuts.into(),
            cursors: Cursors::default(),
            ledger: Ledger::default(),
            edge: index,
            pages_at_once: true,
            breaks_after: None,
            connections: 0,
        }
    }

    /// Watches to the end.
    pub async fn watch(mut self) -> Outcome<Ledger> {
        let mut backoff = Backoff::default();
        let mut in_vain = 0;
        loop {
            let edge = self.run.edges[self.edge % self.run.edges.len()].clone();
            self.edge += 1;
            let token = self.person.token().await?;
            let cursors = self.cursors.clone();
            let known: BTreeSet<u64> = cursors.conversations().collect();
            let mut end = End::Lost;
            if let Ok(mut session) = Box::pin(Session::open(&edge, &token, cursors)).await {
                end = self.connection(&mut session, &known).await?;
                self.tell_violations(&mut session);
                in_vain = if session.is_resumed() { 0 } else { in_vain + 1 };
                if session.is_resumed() {
                    backoff.reset();
                }
                let polite = matches!(end, End::Cut(Cut { polite: true, .. }) | End::Finished);
                self.cursors = if polite { session.close().await } else { session.abandon() };
            } else {
                in_vain += 1;
            }
            match end {
                End::Finished => return Ok(self.ledger),
                End::Cut(cut) => self.stay_away(cut).await,
                End::Broken => self.run.progress.broken.up(),
                End::Lost if in_vain > HOPELESS => fail!("no connection gets to RESUMED"),
                End::Lost => {
                    self.run.progress.lost.up();
                    sleep(backoff.wait()).await;
                }
            }
        }
    }

    async fn connection(&mut self, session: &mut Session, known: &BTreeSet<u64>) -> Outcome<End> {
        self.connections += 1;
        let mut targets = self.run.targets.subscribe();
        loop {
            if self.finished(session) {
                return Ok(End::Finished);
            }
            let patience = match (session.is_resumed(), targets.borrow().is_some()) {
                (false, _) => RESUMED_WITHIN,
                (true, true) => SILENCE,
                (true, false) => Duration::MAX,
            };
            let event = tokio::select! {
                event = timeout(patience, session.next()) => event,
                _ = targets.changed() => continue,
            };
            let event = match event {
                Ok(Ok(event)) => event,
                Ok(Err(ended)) => return Ok(self.lost(session, &ended).await),
                Err(_) if session.is_resumed() => return Ok(End::Finished),
                Err(_) => return Ok(End::Lost),
            };
            if let Some(end) = self.hear(session, known, &event).await? {
                return Ok(end);
            }
        }
    }

    async fn hear(
        &mut self,
        session: &mut Session,
        known: &BTreeSet<u64>,
        event: &Event,
    ) -> Outcome<Option<End>> {
        match event.kind {
            Kind::Ready => owe_the_past(session, known, event)?,
            Kind::Entry { conversation, .. } => {
                let live = event.live.then_some(event.at);
                self.ledger.event(conversation, &event.name, &event.data, live)?;
                self.run.progress.received.up();
            }
            Kind::Gap { .. } => {
                self.run.progress.gaps.up();
                if self.pages_at_once && !self.page(session).await? {
                    return Ok(Some(End::Lost));
                }
            }
            Kind::Resumed => {
                if self.connections > 1 {
                    self.run.progress.resumed.up();
                }
                if !self.page(session).await? {
                    return Ok(Some(End::Lost));
                }
            }
            Kind::ConversationRemove { conversation } => {
                let what = format!("observer {}: {conversation} taken away", self.index);
                self.run.progress.violation(what);
            }
            _ => {}
        }
        if !session.is_resumed() {
            return Ok(self.breaks_now().then_some(End::Broken));
        }
        self.breaks_after = None;
        if self.cuts.front().is_some_and(|cut| cut.at <= self.ledger.count) {
            return Ok(self.cuts.pop_front().map(End::Cut));
        }
        Ok(None)
    }

    /// Counts down the events before RESUMED, where that is planned to break.
    fn breaks_now(&mut self) -> bool {
        self.breaks_after = match self.breaks_after {
            Some(0) => {
                self.breaks_after = None;
                return true;
            }
            left => left.map(|left| left - 1),
        };
        false
    }

    /// Pages what is owed. Returns false where it must be left for the next connection.
    async fn page(&mut self, session: &mut Session) -> Outcome<bool> {
        while let Some(conversation) = session.cursors.owing() {
            let Some(gap) = session.cursors.next_gap(conversation) else { break };
            let api = self.person.api().await?;
            let fetched = paging::entries(&api, conversation, gap.from, paging::PAGE).await;
            let page = match fetched {
                Ok(page) => page,
                Err(failure) => {
                    println!("observer {} pages again later: {failure}", self.index);
                    return Ok(false);
                }
            };
            for (entry, &id) in page.items.iter().zip(&page.ids) {
                if id >= gap.to {
                    break;
                }
                if let Err(wrong) = session.cursors.paged(conversation, id) {
                    fail!("a page of {conversation} has {id}: {wrong}");
                }
                self.ledger.page(conversation, entry)?;
                self.run.progress.received.up();
                self.run.progress.paged.up();
            }
            let reached = page.next.is_none_or(|next| next.saturating_add(1) >= gap.to);
            if reached || !page.has_more {
                session.cursors.paged_to_the_end(conversation);
            }
        }
        Ok(true)
    }

    fn finished(&self, session: &Session) -> bool {
        let targets = self.run.targets.borrow();
        let Some(targets) = &*targets else { return false };
        let at_end = |targets: &BTreeMap<u64, u64>| {
            let stands = |(&id, &last): (&u64, &u64)| session.cursors.cursor(id) >= Some(last);
            targets.iter().all(stands)
        };
        let nothing_owed = session.cursors.owing().is_none();
        session.is_resumed() && self.cuts.is_empty() && nothing_owed && at_end(targets)
    }

    async fn lost(&self, session: &Session, ended: &Ended) -> End {
        // 4000 asks to come back, 4008 to 4010 happen to whoever is too slow, and the death of an
        // edge has no code. Everything else says that this client did something wrong.
        let excused = matches!(ended.code, None | Some(1000..=1012 | 4000 | 4009 | 4010));
        if !excused {
            self.run.progress.violation(format!("observer {}: {ended:?}", self.index));
        }
        if let Some(wait) = session.reconnect_after() {
            sleep(wait.min(AWAY)).await;
        }
        End::Lost
    }

    async fn stay_away(&mut self, cut: Cut) {
        self.pages_at_once = cut.pages_at_once;
        self.breaks_after = cut.breaks_after;
        let progress = &self.run.progress;
        progress.cuts.up();
        let mut targets = self.run.targets.subscribe();
        let enough = progress.sent_at_least(progress.sent() + cut.away);
        let over = targets.wait_for(Option::is_some);
        // Whichever is first; the deadline only bounds a run that has become slow.
        let _ = timeout(AWAY, async {
            tokio::select! {
                () = enough => {}
                _ = over => {}
            }
        })
        .await;
    }

    fn tell_violations(&self, session: &mut Session) {
        for violation in session.violations() {
            self.run.progress.violation(format!("observer {}: {violation}", self.index));
        }
    }
}

/// READY shows a conversation for which no cursor was given, and its entries then start after what
/// it shows: an observer, who wants the past too, fetches it.
fn owe_the_past(session: &mut Session, known: &BTreeSet<u64>, event: &Event) -> Outcome {
    for conversation in event.data.list("conversations")? {
        let id = conversation.id("id")?;
        let last = conversation.id_or_null("last_id")?;
        if let Some(last) = last.filter(|_| !known.contains(&id)) {
            session.cursors.owe(id, Gap { from: 0, to: last.saturating_add(1) });
        }
    }
    Ok(())
}
