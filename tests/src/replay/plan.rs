//! What will go wrong, and when: decided by the seed before anything starts.
//!
//! Invariant: the same seed gives the same plan. Places are numbers of entries or messages, never
//! times, so a faster machine is interrupted at the same places. Pure.

use rand::rngs::StdRng;
use rand::seq::index;
use rand::{RngExt as _, SeedableRng as _};

/// One disconnect of one observer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// When it has received that many entries.
    pub at: u64,
    /// It comes back when that many further messages have been sent.
    pub away: u64,
    /// It says goodbye; else the connection just breaks.
    pub polite: bool,
    /// On the next connection it pages a GAP at once; else after RESUMED.
    pub pages_at_once: bool,
    /// Coming back breaks first, before RESUMED and after that many events.
    pub breaks_after: Option<u64>,
}

/// One SIGKILL of one edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kill {
    /// When that many messages have been sent.
    pub at: u64,
    /// Counts the edges round, from wherever the seed starts.
    pub edge: usize,
}

/// One SIGKILL of one bot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BotKill {
    /// Which.
    pub bot: usize,
    /// Soon after so many messages have been said in its channel.
    pub at: u64,
    /// It is started again when that many further messages have been sent, in all channels.
    pub away: u64,
}

/// The whole plan.
#[derive(Clone, Debug)]
pub struct Plan {
    seed: u64,
    observers: usize,
    reconnects: usize,
    /// In the order of their places.
    pub kills: Vec<Kill>,
}

impl Plan {
    /// A plan without kills.
    pub fn new(seed: u64, observers: usize, reconnects: usize) -> Self {
        Self { seed, observers, reconnects, kills: Vec::new() }
    }

    /// With that many kills, spread over that many messages.
    pub fn killing(mut self, kills: usize, messages: usize) -> Self {
        let mut random = StdRng::seed_from_u64(self.seed ^ 0x6b69_6c6c);
        let first: usize = random.random_range(0..64);
        let place = |number: usize| (messages * (number + 1) / (kills + 1)) as u64;
        let kill = |number| Kill { at: place(number), edge: first + number };
        self.kills = (0..kills).map(kill).collect();
        self
    }

    /// Kills of that many different bots, whose channels have so many messages each.
    pub fn bot_kills(&self, kills: usize, messages: &[u64]) -> Vec<BotKill> {
        let mut random = StdRng::seed_from_u64(self.seed ^ 0x626f_7473);
        let kills = kills.min(messages.len());
        let bots = index::sample(&mut random, messages.len(), kills).into_vec();
        let kill = |bot: usize| BotKill {
            bot,
            at: random.random_range(1..=messages[bot].max(1)),
            away: random.random_range(0..3_000),
        };
        bots.into_iter().map(kill).collect()
    }

    /// The cuts of each observer, in the order of their places.
    pub fn cuts(&self, messages: usize) -> Vec<Vec<Cut>> {
        let mut random = StdRng::seed_from_u64(self.seed);
        let mut all = vec![Vec::new(); self.observers];
        let last = messages.max(1) as u64;
        for _ in 0..self.reconnects {
            let observer = random.random_range(0..self.observers);
            // Most are short; some are long enough for a full replay, a few for a GAP everywhere.
            let away = match random.random_range(0..100) {
                0..60 => random.random_range(0..100),
                60..90 => random.random_range(100..2_000),
                _ => random.random_range(2_000..15_000),
            };
            all[observer].push(Cut {
                at: random.random_range(1..=last),
                away,
                polite: random.random_bool(0.3),
                pages_at_once: random.random_bool(0.5),
                breaks_after: random.random_bool(0.3).then(|| random.random_range(0..300)),
            });
        }
        for cuts in &mut all {
            cuts.sort_by_key(|cut| cut.at);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_plan() {
        let plan = |seed| Plan::new(seed, 40, 400).killing(2, 48_000);
        assert_eq!(plan(7).cuts(48_000), plan(7).cuts(48_000));
        assert_eq!(plan(7).kills, plan(7).kills);
        assert_ne!(plan(7).cuts(48_000), plan(8).cuts(48_000));
    }

    #[test]
    fn different_bots_are_killed_at_places_that_will_be_reached() {
        let sizes: Vec<u64> = (1..=200).collect();
        let mut kills = Plan::new(3, 1, 0).bot_kills(20, &sizes);
        assert_eq!(kills, Plan::new(3, 1, 0).bot_kills(20, &sizes));
        assert!(kills.iter().all(|kill| (1..=sizes[kill.bot]).contains(&kill.at)));
        kills.sort_by_key(|kill| kill.bot);
        kills.dedup_by_key(|kill| kill.bot);
        assert_eq!(kills.len(), 20);
    }

    #[test]
    fn every_cut_has_a_place_that_will_be_reached() {
        for messages in [1, 50, 48_000] {
            let cuts = Plan::new(3, 40, 400).cuts(messages);
            assert_eq!(cuts.iter().map(Vec::len).sum::<usize>(), 400);
            assert!(cuts.iter().flatten().all(|cut| (1..=messages as u64).contains(&cut.at)));
            assert!(cuts.iter().all(|cuts| cuts.is_sorted_by_key(|cut| cut.at)));
        }
    }

    #[test]
    fn kills_fall_midway_and_on_edges_in_turn() {
        let kills = Plan::new(3, 1, 0).killing(2, 900).kills;
        assert_eq!([kills[0].at, kills[1].at], [300, 600]);
        assert_ne!(kills[0].edge % 2, kills[1].edge % 2);
    }
}
