//! Many edges in virtual time: one log, republishing that loses, history workers that lag, digests that
//! get lost, connections that break. Whatever happens, every edge passes every entry, once, in order.
//!
//! Everything is drawn from a seed. Two of the tests switch off what the promise rests on, and see
//! some seed break it: a simulation that cannot fail shows nothing.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

const EDGES: usize = 3;
const HISTORIES: usize = 2;
const CONVERSATIONS: usize = 4;
/// Ticks of 10 ms in which entries are written, and in which everybody must have caught up.
const ACTIVE: u64 = 1_500;
const REST: u64 = 3_000;
/// A digest, and how long one waits before it is believed.
const SECOND: u64 = 100;
const SEEDS: u64 = 3_000;

/// What holds in a world; all of it in the real one.
#[derive(Clone, Copy)]
struct Rules {
    digests: bool,
    coverage: bool,
}

enum Event {
    Live { edge: usize, sequence: u64, predecessor: u64 },
    Digest { edge: usize, from: u64, to: u64 },
    Changes { edge: usize, after: u64 },
    Ask { edge: usize, conversation: usize, fetch: Fetch, until: u64 },
    Answer { edge: usize, conversation: usize, entries: Vec<u64>, through: u64 },
    Read { history: usize, sequence: u64 },
    Broken { edge: usize, until: u64 },
    Back { edge: usize },
}

struct Edge {
    followers: Vec<Follower<u64>>,
    passed: Vec<Vec<u64>>,
    seen: u64,
    broken: bool,
}

struct World {
    rules: Rules,
    random: StdRng,
    now: u64,
    events: BTreeMap<(u64, u64), Event>,
    count: u64,
    /// The conversation of each sequence, from 1.
    log: Vec<usize>,
    edges: Vec<Edge>,
    read: Vec<u64>,
    /// When each worker reads next, at the earliest: it reads in order.
    reads_at: Vec<u64>,
}

impl World {
    fn new(seed: u64, rules: Rules) -> Self {
        let edge = || Edge {
            followers: (0..CONVERSATIONS)
                .map(|_| {
                    let mut follower = Follower::new(16);
                    follower.start(0, true);
                    follower
                })
                .collect(),
            passed: vec![Vec::new(); CONVERSATIONS],
            seen: 0,
            broken: false,
        };
        Self {
            rules,
            random: StdRng::seed_from_u64(seed),
            now: 0,
            events: BTreeMap::new(),
            count: 0,
            log: Vec::new(),
            edges: (0..EDGES).map(|_| edge()).collect(),
            read: vec![0; HISTORIES],
            reads_at: vec![0; HISTORIES],
        }
    }

    fn later(&mut self, ticks: u64, event: Event) {
        self.count += 1;
        self.events.insert((self.now + ticks, self.count), event);
    }

    fn conversation_of(&self, sequence: u64) -> usize {
        let index = usize::try_from(sequence).unwrap_or(0);
        self.log[index - 1]
    }

    /// The sequences of a conversation, in a range that excludes `after`.
    fn entries(&self, conversation: usize, after: u64, through: u64) -> Vec<u64> {
        (after + 1..=through).filter(|&s| self.conversation_of(s) == conversation).collect()
    }

    fn write(&mut self) {
        let conversation = self.random.random_range(0..CONVERSATIONS);
        let before = self.log.iter().rposition(|&other| other == conversation);
        let predecessor = before.map_or(0, |index| index as u64 + 1);
        self.log.push(conversation);
        let sequence = self.log.len() as u64;
        // A leader that dies after the commit republishes to nobody.
        let died = self.random.random_ratio(1, 40);
        for edge in 0..EDGES {
            let lost = died || self.edges[edge].broken || self.random.random_ratio(1, 25);
            let times = if lost { 0 } else { 1 + u64::from(self.random.random_ratio(1, 20)) };
            for _ in 0..times {
                let late = self.random.random_ratio(1, 10);
                let ticks = self.random.random_range(1..if late { 60 } else { 4 });
                self.later(ticks, Event::Live { edge, sequence, predecessor });
            }
        }
        for history in 0..HISTORIES {
            let lag = if self.random.random_ratio(1, 30) { 150 } else { 3 };
            let at = (self.now + self.random.random_range(1..=lag)).max(self.reads_at[history]);
            self.reads_at[history] = at;
            self.later(at - self.now, Event::Read { history, sequence });
        }
    }

    fn run(mut self) -> Result<(), String> {
        let mut digested = [0; HISTORIES];
        while self.now < ACTIVE + REST {
            if self.now < ACTIVE && self.random.random_ratio(1, 4) {
                self.write();
            }
            if self.now < ACTIVE && self.random.random_ratio(1, 300) {
                let edge = self.random.random_range(0..EDGES);
                let until = self.now + self.random.random_range(5..300);
                self.later(0, Event::Broken { edge, until });
            }
            if self.now.is_multiple_of(SECOND) && self.rules.digests {
                for (history, from) in digested.iter_mut().enumerate() {
                    let to = self.read[history];
                    for edge in 0..EDGES {
                        let lost = self.now < ACTIVE && self.random.random_ratio(1, 5);
                        if !lost && !self.edges[edge].broken {
                            self.later(SECOND, Event::Digest { edge, from: *from, to });
                        }
                    }
                    *from = to;
                }
            }
            while let Some(entry) = self.events.first_entry().filter(|e| e.key().0 <= self.now) {
                let event = entry.remove();
                self.happen(event);
            }
            self.now += 1;
        }
        self.verdict()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Live { edge, sequence, predecessor } => {
                let conversation = self.conversation_of(sequence);
                self.edges[edge].followers[conversation].live(sequence, predecessor, sequence);
                self.step(edge, conversation);
            }
            Event::Digest { edge, from, to } => {
                let seen = self.edges[edge].seen;
                if from > seen {
                    self.later(1, Event::Changes { edge, after: seen });
                } else if to > seen {
                    self.edges[edge].seen = to;
                    self.account(edge, from, to);
                }
            }
            Event::Changes { edge, after } => {
                let history = self.random.random_range(0..HISTORIES);
                let through = self.read[history];
                if self.edges[edge].broken || through < after {
                    return self.later(20, Event::Changes { edge, after });
                }
                self.edges[edge].seen = self.edges[edge].seen.max(through);
                self.account(edge, after, through);
            }
            Event::Ask { edge, conversation, fetch, until } => {
                let history = self.random.random_range(0..HISTORIES);
                let read = self.read[history];
                let behind = read < fetch.min && self.rules.coverage;
                if self.edges[edge].broken || behind {
                    // Patience with this worker, then another is asked.
                    let until = if self.now > until { self.now + SECOND } else { until };
                    return self.later(5, Event::Ask { edge, conversation, fetch, until });
                }
                let mut entries = self.entries(conversation, fetch.after, read);
                let mut through = read.max(if self.rules.coverage { 0 } else { fetch.min });
                let limit = self.random.random_range(1..6);
                if entries.len() > limit {
                    entries.truncate(limit);
                    through = entries.last().copied().unwrap_or(fetch.after);
                }
                let ticks = self.random.random_range(1..10);
                self.later(ticks, Event::Answer { edge, conversation, entries, through });
            }
            Event::Answer { edge, conversation, entries, through } => {
                let place = &mut self.edges[edge];
                let follower = &mut place.followers[conversation];
                let any = !entries.is_empty();
                for sequence in entries {
                    if follower.position().is_some_and(|position| sequence > position) {
                        place.passed[conversation].push(sequence);
                    }
                }
                follower.fetched(through, any);
                self.step(edge, conversation);
            }
            Event::Read { history, sequence } => self.read[history] = sequence,
            Event::Broken { edge, until } => {
                self.edges[edge].broken = true;
                let ticks = until.saturating_sub(self.now);
                // What was on the wire is lost.
                let lost =
                    |event: &Event| matches!(event, Event::Live { edge: to, .. } if *to == edge);
                self.events.retain(|_, event| !lost(event));
                self.later(ticks, Event::Back { edge });
            }
            Event::Back { edge } => {
                self.edges[edge].broken = false;
                if self.rules.digests {
                    let after = self.edges[edge].seen;
                    self.later(1, Event::Changes { edge, after });
                }
            }
        }
    }

    /// Everything that is followed hears of its last entry in the range.
    fn account(&mut self, edge: usize, after: u64, through: u64) {
        for conversation in 0..CONVERSATIONS {
            if let Some(&last) = self.entries(conversation, after, through).last() {
                self.edges[edge].followers[conversation].hear(last);
                self.step(edge, conversation);
            }
        }
    }

    fn step(&mut self, edge: usize, conversation: usize) {
        loop {
            let refuses = self.random.random_ratio(1, 30);
            let place = &mut self.edges[edge];
            match place.followers[conversation].next() {
                Next::Idle => return,
                Next::Entry(sequence, _) if refuses => {
                    place.followers[conversation].refused(sequence);
                }
                Next::Entry(sequence, entry) => {
                    place.passed[conversation].push(entry);
                    place.followers[conversation].passed(sequence);
                }
                Next::Fetch(fetch) => {
                    let until = self.now + SECOND;
                    self.later(1, Event::Ask { edge, conversation, fetch, until });
                }
            }
        }
    }

    fn verdict(&self) -> Result<(), String> {
        for (number, edge) in self.edges.iter().enumerate() {
            for (conversation, passed) in edge.passed.iter().enumerate() {
                let wanted = self.entries(conversation, 0, self.log.len() as u64);
                if *passed != wanted {
                    let got: BTreeSet<u64> = passed.iter().copied().collect();
                    let lost: Vec<_> = wanted.iter().filter(|s| !got.contains(s)).collect();
                    return Err(format!("edge {number}, conversation {conversation}: {lost:?}"));
                }
            }
        }
        Ok(())
    }
}

#[test]
fn every_edge_passes_everything_once_and_in_order() {
    for seed in 0..SEEDS {
        let world = World::new(seed, Rules { digests: true, coverage: true });
        world.run().unwrap_or_else(|lost| panic!("seed {seed}: {lost}"));
    }
}

#[test]
fn without_digests_the_last_entries_are_lost() {
    let lost = (0..50)
        .filter(|&seed| World::new(seed, Rules { digests: false, coverage: true }).run().is_err());
    assert!(lost.count() > 0);
}

#[test]
fn without_coverage_a_worker_that_lags_hides_entries() {
    let lost = (0..50)
        .filter(|&seed| World::new(seed, Rules { digests: true, coverage: false }).run().is_err());
    assert!(lost.count() > 0);
}
