//! Pulls from before the ring: asked of history once for all sessions that missed the same.
//!
//! Invariant: a pull waits in at most one flight and is answered when that lands, from what landed
//! or by being looked at anew. Who joins a flight had its range, or a part of it, still to come.

use bus_schema::error::Failure;
use tokio::time::Instant;

use super::fetching::FETCH;
use super::{Conversation, Pull, Pulled, Then, Wish};
use crate::follow::fetch::Fetched;
use crate::follow::pages::{Cut, Page};
use crate::ws::outbox::Lag;

/// One request under way, and who waits for it.
pub(super) struct Flight {
    /// Entries after this; the newest ones if nothing.
    after: Option<u64>,
    generation: u64,
    waiting: Vec<Pull>,
}

/// What a flight brought.
pub(super) struct Landed {
    pub(super) after: Option<u64>,
    pub(super) generation: u64,
    pub(super) answer: Result<Fetched, Failure>,
}

impl Conversation {
    /// Answers a pull that the ring does not reach back for. `exactly`: a flight that began elsewhere
    /// did not bring what it needs.
    pub(super) fn catch_up(&mut self, pull: Pull, position: u64, exactly: bool) {
        let after = if pull.newest { None } else { Some(pull.lag.after) };
        if let Some(after) = after
            && let Some(cut) = self.pages.after(after, pull.limit, position)
        {
            count("page");
            give(pull, cut);
            return;
        }
        let generation = self.pages.generation();
        let suits = |flight: &&mut Flight| {
            let same = flight.after == after;
            let wider = flight.after.is_some() && after.is_some() && flight.after < after;
            flight.generation == generation && (same || (wider && !exactly))
        };
        if let Some(flight) = self.flights.iter_mut().find(suits) {
            count("joined");
            flight.waiting.push(pull);
            return;
        }
        count("history");
        let limit = if pull.newest { u32::try_from(pull.limit).unwrap_or(FETCH) } else { FETCH };
        self.flights.push(Flight { after, generation, waiting: vec![pull] });
        self.wishes.push(Wish::CatchUp { after, generation, limit, min: position });
    }

    /// A flight has landed: everybody who waited for it is answered.
    pub(super) fn landed(&mut self, landed: Landed) {
        let Landed { after, generation, answer } = landed;
        let ours = |flight: &Flight| flight.after == after && flight.generation == generation;
        let Some(index) = self.flights.iter().position(ours) else { return };
        let waiting = self.flights.swap_remove(index).waiting;
        let fetched = match answer {
            Ok(fetched) => fetched,
            Err(failure) => {
                for pull in waiting {
                    let _ = pull.reply.send(Err(failure.clone()));
                }
                return;
            }
        };
        let Some(position) = self.follower.position() else { return };
        let Some(after) = after else {
            return self.newest_landed(waiting, fetched, generation, position);
        };
        let page = Page { after, through: fetched.through, items: fetched.items };
        for pull in waiting {
            match page.after(pull.lag.after, pull.limit, position) {
                Some(cut) if !self.is_gone(&pull) => give(pull, cut),
                // An answer that leads nowhere: trying again is for those who have patience.
                None if pull.lag.after == after => {
                    let _ = pull.reply.send(Err(Failure::unavailable()));
                }
                _ => self.answer(pull, position, true),
            }
        }
        self.pages.keep(page, generation);
    }

    fn newest_landed(
        &mut self,
        waiting: Vec<Pull>,
        fetched: Fetched,
        generation: u64,
        position: u64,
    ) {
        let Fetched { through, more, mut items, .. } = fetched;
        let reached = through.min(position);
        items.retain(|item| item.sequence() <= reached);
        if items.is_empty() && more {
            // All of them are newer than what was passed here, and of what is between nothing is known.
            self.follower.hear(through);
            self.parked.extend(waiting.into_iter().map(|pull| {
                let lag = Lag { need: through, ..pull.lag };
                Pull { lag, ..pull }
            }));
            return;
        }
        for pull in waiting {
            if self.is_gone(&pull) {
                self.answer(pull, position, true);
            } else {
                give(pull, Cut { items: items.clone(), reached });
            }
        }
        if generation == self.pages.generation() {
            let from = items.first().filter(|_| more).map_or(0, |first| first.sequence() - 1);
            self.ring.reach_back(from, items, through);
        }
    }

    /// Whether whoever pulls is no member any more, as far as is known here.
    pub(super) fn is_gone(&self, pull: &Pull) -> bool {
        let user = pull.outbox.user;
        self.ended || self.membership.as_ref().is_some_and(|m| !m.contains(user))
    }

    /// When the pages are to be looked through.
    pub(super) fn pages_until(&self) -> Option<Instant> {
        self.pages.until()
    }
}

fn give(pull: Pull, cut: Cut) {
    let Cut { items, reached } = cut;
    let _ = pull.reply.send(Ok(Pulled { items, position: reached, then: Then::More }));
}

/// Counts where a pull from before the ring got its answer.
fn count(from: &'static str) {
    metrics::counter!("natter_catch_up_pulls_total", "from" => from).increment(1);
}
