//! What happens, and when: the log, the bus, history, and edges that come and go.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::runtime::Runtime;

use super::device::Device;
use super::edge::{Edge, Question, What};
use super::log::{CHATS, Log};
use super::{ACTIVE, DEVICES, EDGES, HISTORIES, REST, Rules, SECOND, STILL, Sum};
use crate::follow::conversation::{Command, Found};
use crate::ws::outbox::{Lag, SocketId};

/// How long the stream keeps an entry, longer than anybody is ever cut off.
const KEPT: u64 = 800;
/// How long a digest waits before it is believed.
const PATIENCE: u64 = SECOND;
/// How long a conversation that nobody needs is followed.
const LINGER: u64 = 300;

pub(super) enum Event {
    Second,
    Write,
    Read { history: usize, sequence: u64 },
    Live { edge: usize, wire: (u64, u64), sequence: u64, predecessor: u64 },
    Digest { edge: usize, life: u64, from: u64, to: u64 },
    Account { edge: usize, life: u64 },
    Ask(Question),
    Answer { question: Question, found: Box<Found> },
    Trouble,
    Back { edge: usize, life: u64 },
    Up { edge: usize },
    Begin { edge: usize, life: u64 },
    Dial { device: usize },
    Ready { device: usize, dialled: u64, end: u64 },
    Turn { device: usize, dialled: u64 },
    Again { device: usize, dialled: u64, lag: Lag },
    Detach { edge: usize, life: u64, socket: SocketId },
    Leave { device: usize },
    Page { device: usize },
}

pub(super) struct World {
    pub(super) rules: Rules,
    pub(super) random: StdRng,
    pub(super) now: u64,
    events: BTreeMap<(u64, u64), Event>,
    pub(super) count: u64,
    pub(super) log: Log,
    pub(super) edges: Vec<Edge>,
    pub(super) devices: Vec<Device>,
    /// Up to where each worker has read, when it reads next at the earliest, and what it has told of.
    pub(super) read: [u64; HISTORIES],
    pub(super) reads_at: [u64; HISTORIES],
    digested: [u64; HISTORIES],
    pub(super) sum: Sum,
    still: u64,
}

impl World {
    pub(super) fn new(seed: u64, rules: Rules) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let edges = (0..EDGES).map(|_| Edge::new(0, random.random_range(0..40_000))).collect();
        let mut this = Self {
            rules,
            random,
            now: 0,
            events: BTreeMap::new(),
            count: 0,
            log: Log::default(),
            edges,
            devices: (0..DEVICES).map(|_| Device::default()).collect(),
            read: [0; HISTORIES],
            reads_at: [0; HISTORIES],
            digested: [0; HISTORIES],
            sum: Sum::default(),
            still: 0,
        };
        (0..CHATS).for_each(|chat| this.log.found(chat, 0));
        this.read = [this.log.end(); HISTORIES];
        this.later(0, Event::Second);
        this.later(1, Event::Write);
        (0..EDGES).for_each(|edge| this.later(0, Event::Up { edge }));
        this.later(50, Event::Trouble);
        for device in 0..DEVICES {
            let ticks = this.random.random_range(0..200);
            this.later(ticks, Event::Dial { device });
        }
        this
    }

    pub(super) fn later(&mut self, ticks: u64, event: Event) {
        self.count += 1;
        self.events.insert((self.now + ticks, self.count), event);
    }

    /// Soon, or now and then late.
    pub(super) fn soon(&mut self) -> u64 {
        let late = self.random.random_ratio(1, 10);
        self.random.random_range(1..if late { 60 } else { 5 })
    }

    /// Whether something goes wrong, in one of so many cases.
    pub(super) fn fault(&mut self, one_in: u32) -> bool {
        self.now < ACTIVE && self.random.random_ratio(1, one_in)
    }

    pub(super) fn run(mut self, clock: &Runtime) -> Result<Sum, String> {
        while let Some(((at, _), event)) = self.events.pop_first() {
            if at > ACTIVE + REST {
                break;
            }
            self.now = at;
            if matches!(event, Event::Second) {
                clock.block_on(tokio::time::advance(Duration::from_secs(1)));
            }
            self.happen(event).map_err(|why| format!("at {at}: {why}"))?;
        }
        self.verdict()?;
        self.sum.entries = self.log.end();
        Ok(self.sum)
    }

    fn verdict(&mut self) -> Result<(), String> {
        for (number, device) in self.devices.iter().enumerate() {
            device.is_at_rest(&self.log).map_err(|why| format!("device {number}: {why}"))?;
        }
        for (number, edge) in self.edges.iter().enumerate() {
            edge.is_at_rest().map_err(|why| format!("edge {number}: {why}"))?;
        }
        if self.sum.fetches != self.still {
            return Err(format!("{} fetches at rest", self.sum.fetches - self.still));
        }
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Second => self.second(),
            Event::Write => self.write(),
            Event::Read { history, sequence } => self.read[history] = sequence,
            Event::Live { edge, wire, sequence, predecessor } => {
                if self.edges[edge].wire() == wire {
                    let readable = !self.fault(40);
                    let rules = self.rules;
                    self.edges[edge].live(&self.log, sequence, predecessor, readable, rules);
                    self.step(edge, self.log.get(sequence).chat);
                }
            }
            Event::Digest { edge, life, from, to } => self.digest(edge, life, from, to),
            Event::Account { edge, life } => self.account(edge, life),
            Event::Ask(question) => self.ask(question),
            Event::Answer { question, found } => self.answer(question, *found),
            Event::Trouble => self.trouble(),
            Event::Back { edge, life } => {
                if self.edges[edge].life == life {
                    self.edges[edge].cut = false;
                    // Everything is a gap.
                    self.begin_account(edge);
                }
            }
            Event::Up { edge } => {
                self.edges[edge].up = true;
                let (ticks, life) = (self.soon(), self.edges[edge].life);
                self.later(ticks, Event::Begin { edge, life });
            }
            Event::Begin { edge, life } => self.begin(edge, life),
            Event::Dial { device } => self.dial(device),
            Event::Ready { device, dialled, end } => self.ready(device, dialled, end),
            Event::Turn { device, dialled } => return self.turn(device, dialled),
            Event::Again { device, dialled, lag } => self.again(device, dialled, lag),
            Event::Detach { edge, life, socket } => {
                if self.edges[edge].life == life {
                    for chat in 0..CHATS {
                        self.edges[edge].command(chat, Command::Detach(socket));
                        self.step(edge, chat);
                    }
                }
            }
            Event::Leave { device } => return self.leave(device),
            Event::Page { device } => return self.page(device),
        }
        Ok(())
    }

    /// Whether what is sent to an edge of that life arrives.
    pub(super) fn hears(&self, edge: usize, life: u64) -> bool {
        let Edge { up, cut, life: now, .. } = self.edges[edge];
        up && !cut && life == now
    }

    fn second(&mut self) {
        self.later(SECOND, Event::Second);
        if self.now == ACTIVE + REST - STILL {
            self.still = self.sum.fetches;
        }
        if self.random.random_ratio(1, 3) {
            self.log.trim(self.now.saturating_sub(KEPT));
        }
        for edge in 0..EDGES {
            let identifies =
                self.devices.iter().any(|d| d.edge == Some(edge) && d.socket.is_none());
            if !identifies {
                self.edges[edge].retire(self.now.saturating_sub(LINGER));
            }
        }
        for history in 0..HISTORIES {
            let (from, to) = (self.digested[history], self.read[history]);
            self.digested[history] = to;
            for edge in 0..EDGES {
                let life = self.edges[edge].life;
                if self.rules.digests && self.hears(edge, life) && !self.fault(5) {
                    self.later(PATIENCE, Event::Digest { edge, life, from, to });
                }
            }
        }
    }

    /// A conversation goes on, after whatever happened to it.
    pub(super) fn step(&mut self, edge: usize, chat: usize) {
        let patience = self.edges[edge].tasks.get(&chat).map_or(0, |task| task.patience);
        for question in self.edges[edge].step(edge, chat, self.now) {
            self.sum.fetches += 1;
            let ticks = if matches!(question.what, What::Start) { patience } else { 0 };
            self.later(ticks + 1, Event::Ask(question));
        }
        self.turns(edge);
    }

    /// An edge or a device gets into trouble.
    fn trouble(&mut self) {
        if self.now >= ACTIVE {
            return;
        }
        let ticks = self.random.random_range(20..250);
        self.later(ticks, Event::Trouble);
        let edge = self.random.random_range(0..EDGES);
        let Edge { up, cut, life, .. } = self.edges[edge];
        match self.random.random_range(0..6) {
            0 if up => {
                self.sum.restarts += 1;
                self.edges[edge] = Edge::new(life + 1, self.random.random_range(0..40_000));
                self.hang_up(edge);
                let ticks = self.random.random_range(10..200);
                self.later(ticks, Event::Up { edge });
            }
            1..=2 if up && !cut => {
                self.sum.cuts += 1;
                self.edges[edge].cut = true;
                // What was on the wire is lost.
                self.edges[edge].wire += 1;
                let ticks = self.random.random_range(5..300);
                self.later(ticks, Event::Back { edge, life });
            }
            _ => {
                let device = self.random.random_range(0..DEVICES);
                self.later(0, Event::Leave { device });
            }
        }
    }
}
