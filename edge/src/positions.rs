//! How far this edge is in each stream, as it tells the auditor.
//!
//! Invariant: an edge says that it is complete up to a sequence only if every place with an entry up
//! to there was told of it, and every followed conversation that was has it. Whatever is not known is
//! said as less. The table holds only conversations that lack something: none, at rest.
//!
//! Leaves out sockets, which have their own positions, and DMs that nobody has opened here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bus_schema::ids::{ConversationId, StreamIndex};
use bus_schema::positions::{Position, Positions};
use bus_schema::runtime::bus::jitter;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects;
use bus_schema::timestamp::Timestamp;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::state::Edge;

/// Between two reports, at most.
const EVERY: Duration = Duration::from_secs(2);

/// What is known.
#[derive(Debug, Default)]
pub(crate) struct Standings(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Up to where each stream is accounted for: every place with an entry was told.
    seen: HashMap<StreamIndex, u64>,
    behind: HashMap<ConversationId, Behind>,
}

#[derive(Debug)]
struct Behind {
    stream: StreamIndex,
    /// It has every entry before this one; none while nothing is known of its stream.
    missing: Option<u64>,
    /// The highest sequence that was on its way to it.
    told: u64,
    since: Instant,
}

impl Standings {
    /// Every place with an entry up to a sequence was told of it.
    pub(crate) fn seen(&self, stream: StreamIndex, sequence: u64) {
        let mut state = self.0.lock();
        let seen = state.seen.entry(stream).or_insert(sequence);
        *seen = (*seen).max(sequence);
    }

    /// A followed conversation is about to be told of an entry.
    pub(crate) fn told(&self, stream: StreamIndex, id: ConversationId, sequence: u64) {
        let mut state = self.0.lock();
        let behind = state.behind(stream, id, 0);
        behind.told = behind.told.max(sequence);
    }

    /// A followed conversation has every entry up to its position and knows of later ones.
    pub(crate) fn lacks(&self, stream: StreamIndex, id: ConversationId, position: u64) {
        self.0.lock().behind(stream, id, position);
    }

    /// A followed conversation has all that it knows of, up to its position.
    pub(crate) fn whole(&self, id: ConversationId, position: u64) {
        let mut state = self.0.lock();
        if state.behind.get(&id).is_some_and(|behind| behind.told <= position) {
            state.behind.remove(&id);
        }
    }

    /// How far each stream is, after forgetting conversations that are no longer `followed`.
    fn positions(&self, followed: impl Fn(ConversationId) -> bool) -> Vec<Position> {
        let mut state = self.0.lock();
        let State { seen, behind } = &mut *state;
        behind.retain(|id, _| followed(*id));
        let mut positions: HashMap<StreamIndex, (Position, Option<Instant>)> = HashMap::new();
        for (stream, seen) in &*seen {
            let position =
                Position { stream: *stream, complete: *seen, behind: 0, conversation_id: None };
            positions.insert(*stream, (position, None));
        }
        for (id, behind) in behind.iter_mut() {
            let Some((position, longest)) = positions.get_mut(&behind.stream) else { continue };
            let seen = seen.get(&behind.stream).copied().unwrap_or_default();
            let missing = *behind.missing.get_or_insert(seen + 1);
            position.complete = position.complete.min(missing.saturating_sub(1));
            position.behind = position.behind.saturating_add(1);
            if longest.is_none_or(|longest| behind.since < longest) {
                *longest = Some(behind.since);
                position.conversation_id = Some(*id);
            }
        }
        let mut positions: Vec<_> = positions.into_values().map(|(position, _)| position).collect();
        positions.sort_by_key(|position| position.stream);
        positions
    }
}

impl State {
    /// What is known of a conversation that lacks entries after `position`. What was accounted for
    /// before it was first found to lack any, it had.
    fn behind(&mut self, stream: StreamIndex, id: ConversationId, position: u64) -> &mut Behind {
        let missing = self.seen.get(&stream).map(|seen| (*seen).max(position) + 1);
        self.behind.entry(id).or_insert_with(|| Behind {
            stream,
            missing,
            told: 0,
            since: Instant::now(),
        })
    }
}

/// Says how far this edge is until it stops; then that it leaves.
pub(crate) async fn report(edge: Arc<Edge>, shutdown: Shutdown) {
    let since = Timestamp::now().as_millis();
    let mut number = 0;
    loop {
        let leaving = tokio::select! {
            () = sleep(jitter(EVERY)) => false,
            () = shutdown.requested() => true,
        };
        number += 1;
        let streams = edge.positions.positions(|id| edge.hub.find(id).is_some());
        let behind: u32 = streams.iter().map(|position| position.behind).sum();
        metrics::gauge!("natter_follow_behind").set(f64::from(behind));
        let said = Positions { edge: edge.settings.url(), since, number, leaving, streams };
        let sent = edge.bus.publish_event(subjects::POSITIONS.to_owned(), &said).await;
        if let Err(error) = sent {
            tracing::debug!(%error, "how far this edge is was not said");
        }
        if leaving {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: StreamIndex = StreamIndex(0);

    fn complete(standings: &Standings) -> Option<u64> {
        standings.positions(|_| true).first().map(|position| position.complete)
    }

    #[test]
    fn what_a_conversation_lacks_is_not_passed() {
        let (standings, id) = (Standings::default(), ConversationId(7));
        assert_eq!(complete(&standings), None, "nothing is known yet");
        standings.seen(STREAM, 10);
        standings.told(STREAM, id, 14);
        standings.seen(STREAM, 15);
        assert_eq!(complete(&standings), Some(10));
        standings.whole(id, 13);
        assert_eq!(complete(&standings), Some(10), "it does not know yet what it was told");
        standings.lacks(STREAM, id, 13);
        standings.whole(id, 14);
        assert_eq!(complete(&standings), Some(15));
    }

    #[test]
    fn a_conversation_that_is_not_followed_holds_nothing_back() {
        let standings = Standings::default();
        standings.lacks(STREAM, ConversationId(7), 3);
        standings.seen(STREAM, 5);
        assert_eq!(standings.positions(|_| false)[0].complete, 5);
        assert!(standings.0.lock().behind.is_empty());
    }

    proptest! {
        /// Entries of a few conversations, told of a digest at a time, and had in any order.
        #[test]
        fn it_is_never_said_that_there_is_what_is_not(
            log in prop::collection::vec((0u64..4, any::<bool>()), 1..60),
            digests in prop::collection::vec(1usize..8, 1..20),
        ) {
            let standings = Standings::default();
            standings.seen(STREAM, 0);
            let mut had: HashMap<u64, u64> = HashMap::new();
            let mut read = 0;
            for length in digests {
                let range = read..(read + length).min(log.len());
                for (index, (id, at_once)) in log.iter().enumerate().take(range.end).skip(read) {
                    let sequence = index as u64 + 1;
                    standings.told(STREAM, ConversationId(*id), sequence);
                    if *at_once {
                        had.insert(*id, sequence);
                        standings.whole(ConversationId(*id), sequence);
                    } else {
                        standings.lacks(STREAM, ConversationId(*id), had.get(id).copied().unwrap_or(0));
                    }
                }
                read = range.end;
                standings.seen(STREAM, read as u64);
                let said = complete(&standings).unwrap();
                for (index, (id, _)) in log.iter().enumerate().take(read) {
                    let sequence = index as u64 + 1;
                    let there = had.get(id).is_some_and(|had| *had >= sequence);
                    prop_assert!(there || sequence > said, "{sequence} of {id}, said {said}");
                }
            }
            for id in 0..4 {
                standings.whole(ConversationId(id), u64::MAX);
            }
            prop_assert_eq!(complete(&standings), Some(read as u64), "all is there at rest");
        }
    }
}
