//! The bus and history: what is written reaches edges or does not, workers read on and answer, digests tell.

use bus_schema::events::Digest;
use rand::RngExt as _;

use super::edge::{Edge, Question, What};
use super::log::CHATS;
use super::world::{Event, World};
use super::{ACTIVE, EDGES, HISTORIES, SECOND};
use crate::follow::conversation::{Command, Found};
use crate::follow::digest::Verdict;

/// How far back a history worker can say what changed.
const CHANGES: u64 = 60;

impl World {
    pub(super) fn write(&mut self) {
        if self.now < ACTIVE {
            let ticks =
                if self.random.random_ratio(1, 3) { 1 } else { self.random.random_range(1..60) };
            let burst = self.random.random_ratio(1, 40);
            let entries = if burst { self.random.random_range(10..40) } else { 1 };
            (0..entries).for_each(|_| self.append());
            self.later(ticks, Event::Write);
        }
    }

    fn append(&mut self) {
        let sequence = self.log.write(&mut self.random, self.now);
        let predecessor = self.log.header(sequence);
        // A leader that dies after the commit republishes to nobody.
        let died = self.fault(40);
        for edge in 0..EDGES {
            let (life, wire) = (self.edges[edge].life, self.edges[edge].wire());
            let followed = self.edges[edge].tasks.contains_key(&self.log.get(sequence).chat);
            let lost = died || !followed || !self.hears(edge, life) || self.fault(25);
            let copies = if lost { 0 } else { 1 + u32::from(self.fault(20)) };
            for _ in 0..copies {
                let ticks = self.soon();
                self.later(ticks, Event::Live { edge, wire, sequence, predecessor });
            }
        }
        for history in 0..HISTORIES {
            let lag = if self.fault(30) { 150 } else { 3 };
            let at = (self.now + self.random.random_range(1..=lag)).max(self.reads_at[history]);
            self.reads_at[history] = at;
            self.later(at - self.now, Event::Read { history, sequence });
        }
    }

    pub(super) fn digest(&mut self, edge: usize, life: u64, from: u64, to: u64) {
        if self.edges[edge].life != life {
            return;
        }
        if self.edges[edge].accounting {
            // It waits until that is done.
            return self.later(5, Event::Digest { edge, life, from, to });
        }
        match self.edges[edge].seen.take(&Digest { from, to, last: Vec::new() }) {
            Verdict::Old => {}
            Verdict::Joins => self.tell(edge, from, to),
            Verdict::First(after) => {
                self.edges[edge].seen.accounted(after);
                if self.rules.begins {
                    self.doubt(edge, after);
                }
                self.begin_account(edge);
            }
            Verdict::Hole(_) => self.begin_account(edge),
        }
    }

    /// An edge that has just started learns where the log ends; or begins with the first digest.
    pub(super) fn begin(&mut self, edge: usize, life: u64) {
        if self.rules.begins
            && self.hears(edge, life)
            && self.edges[edge].seen.get().is_none()
            && !self.fault(3)
        {
            self.edges[edge].seen.accounted(self.log.end());
            self.doubt(edge, self.log.end());
        }
    }

    pub(super) fn begin_account(&mut self, edge: usize) {
        if self.rules.digests
            && !self.edges[edge].accounting
            && self.edges[edge].seen.get().is_some()
        {
            self.edges[edge].accounting = true;
            let (ticks, life) = (self.soon(), self.edges[edge].life);
            self.later(ticks, Event::Account { edge, life });
        }
    }

    pub(super) fn account(&mut self, edge: usize, life: u64) {
        if self.edges[edge].life != life {
            return;
        }
        if self.edges[edge].cut {
            // Given up: it is begun anew once the bus is back.
            self.edges[edge].accounting = false;
            return;
        }
        let read = self.read[self.random.random_range(0..HISTORIES)];
        let after = self.edges[edge].seen.get().unwrap_or(0);
        if read < self.edges[edge].heard || self.fault(10) {
            return self.later(20, Event::Account { edge, life });
        }
        if after + CHANGES < read {
            self.doubt(edge, read);
        }
        self.edges[edge].accounting = false;
        self.edges[edge].seen.accounted(read);
        self.tell(edge, after.max(read.saturating_sub(CHANGES)), read);
    }

    /// Everything followed may have missed something up to a sequence.
    fn doubt(&mut self, edge: usize, through: u64) {
        for chat in 0..CHATS {
            self.edges[edge].command(chat, Command::Hear(through));
            self.step(edge, chat);
        }
    }

    /// Whoever follows a place with an entry in a range hears of it.
    fn tell(&mut self, edge: usize, after: u64, through: u64) {
        self.edges[edge].heard = self.edges[edge].heard.max(through);
        for (chat, sequence) in Edge::places(&self.log, after, through) {
            self.edges[edge].tell(chat, sequence);
            self.step(edge, chat);
        }
    }

    /// Whether the task that asked is still there.
    fn is_asked(&self, question: &Question) -> bool {
        let task = self.edges[question.edge].tasks.get(&question.chat);
        task.is_some_and(|task| task.number == question.task)
    }

    pub(super) fn ask(&mut self, mut question: Question) {
        if !self.is_asked(&question) {
            return;
        }
        let Edge { cut, heard, .. } = self.edges[question.edge];
        if matches!(question.what, What::Start) {
            question.min = question.min.max(heard);
        }
        let read = self.read[self.random.random_range(0..HISTORIES)];
        let behind = read < question.min && self.rules.coverage;
        if cut || behind || self.fault(8) {
            let ticks = if behind { SECOND } else { self.soon() };
            return self.refuse(question, ticks);
        }
        let (ticks, limit) = (self.soon(), self.random.random_range(1..8));
        let found = question.answer(&self.log, read, limit);
        self.later(ticks, Event::Answer { question, found: Box::new(found) });
    }

    /// Nobody answers: it is asked again, or of the log itself, or given up.
    fn refuse(&mut self, mut question: Question, ticks: u64) {
        if let Some(found) = question.refused() {
            return self.later(ticks, Event::Answer { question, found: Box::new(found) });
        }
        question.failures += 1;
        let cut = self.edges[question.edge].cut;
        let found =
            if question.failures >= 2 && !cut { question.read_back(&self.log) } else { None };
        if let Some(found) = found {
            self.sum.read_back += 1;
            return self.later(ticks, Event::Answer { question, found: Box::new(found) });
        }
        self.later(ticks + 5, Event::Ask(question));
    }

    pub(super) fn answer(&mut self, question: Question, found: Found) {
        let Question { edge, chat, .. } = question;
        if !self.is_asked(&question) {
            return;
        }
        if self.edges[edge].cut && question.refused().is_none() {
            return self.refuse(question, SECOND);
        }
        let lost = self.edges[edge].cut.then(|| question.refused()).flatten();
        if let Some(task) = self.edges[edge].tasks.get_mut(&chat) {
            task.conversation.found(lost.unwrap_or(found));
            self.step(edge, chat);
        }
    }
}
