//! How far the edges are, from what each says of itself. No I/O.
//!
//! Invariants (held by the property test): what an edge is counted to have is never more than the
//! newest of what it said, in whatever order, how often or with what gaps that came; an edge is
//! forgotten when it says that it leaves, or after it was silent for too long; the table is bounded.

use std::collections::HashMap;
use std::time::Duration;

use bus_schema::ids::StreamIndex;
use bus_schema::ops::audit::EdgeStanding;
use bus_schema::positions::{Position, Positions};
use tokio::time::Instant;

/// Edges remembered; more are not counted.
const EDGES: usize = 1_000;
/// Bytes of a name that is believed to be one.
const NAME_BYTES: usize = 512;
/// Streams of one edge.
const STREAMS: usize = 256;

struct Known {
    since: u64,
    number: u64,
    heard: Instant,
    left: bool,
    streams: Vec<Position>,
}

/// What is known of all edges.
pub(super) struct Edges {
    silent: Duration,
    known: HashMap<String, Known>,
}

/// The edge that is the farthest behind in a stream.
pub(super) struct Behind<'a> {
    pub(super) edge: &'a str,
    pub(super) complete: u64,
}

impl Edges {
    /// An edge that was `silent` for so long is no longer waited for.
    pub(super) fn new(silent: Duration) -> Self {
        Self { silent, known: HashMap::new() }
    }

    /// Takes in what an edge said.
    pub(super) fn hear(&mut self, said: Positions, now: Instant) {
        if said.edge.len() > NAME_BYTES || said.streams.len() > STREAMS {
            return;
        }
        self.forget(now);
        let known = self.known.get(&said.edge);
        if known.is_some_and(|known| (said.since, said.number) <= (known.since, known.number)) {
            return;
        }
        if known.is_none() && self.known.len() >= EDGES {
            return;
        }
        let Positions { edge, since, number, leaving, streams } = said;
        // One that has left is kept for a while, so that what it said before and comes late is known.
        self.known.insert(edge, Known { since, number, heard: now, left: leaving, streams });
    }

    fn forget(&mut self, now: Instant) {
        self.known.retain(|_, known| now.saturating_duration_since(known.heard) < self.silent);
    }

    fn alive(&self, now: Instant) -> impl Iterator<Item = (&str, &Known)> {
        let silent = self.silent;
        let alive =
            move |known: &Known| !known.left && now.saturating_duration_since(known.heard) < silent;
        let all = self.known.iter().filter(move |(_, known)| alive(known));
        all.map(|(edge, known)| (edge.as_str(), known))
    }

    /// The edge with the lowest position in a stream, of those that know one.
    pub(super) fn last(&self, stream: StreamIndex, now: Instant) -> Option<Behind<'_>> {
        let positions = self.alive(now).filter_map(|(edge, known)| {
            Some(Behind { edge, complete: known.position(stream)?.complete })
        });
        positions.min_by_key(|behind| behind.complete)
    }

    /// Every edge, the farthest behind first.
    pub(super) fn standings(
        &self,
        stream: StreamIndex,
        end: u64,
        now: Instant,
    ) -> Vec<EdgeStanding> {
        let standing = |(edge, known): (&str, &Known)| {
            let position = known.position(stream);
            EdgeStanding {
                edge: edge.to_owned(),
                unaccounted: position.map(|position| end.saturating_sub(position.complete)),
                silent_s: now.saturating_duration_since(known.heard).as_secs(),
                conversation_id: position.and_then(|position| position.conversation_id),
            }
        };
        let mut all: Vec<_> = self.alive(now).map(standing).collect();
        all.sort_by(|a, b| b.unaccounted.cmp(&a.unaccounted).then_with(|| a.edge.cmp(&b.edge)));
        all
    }
}

impl Known {
    fn position(&self, stream: StreamIndex) -> Option<&Position> {
        self.streams.iter().find(|position| position.stream == stream)
    }
}

#[cfg(test)]
#[expect(clippy::cast_possible_truncation, reason = "a handful of edges and entries")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STREAM: StreamIndex = StreamIndex(0);
    const SILENT: Duration = Duration::from_mins(1);

    fn said(edge: u64, since: u64, number: u64, complete: u64) -> Positions {
        let position = Position { stream: STREAM, complete, behind: 0, conversation_id: None };
        let edge = format!("http://{edge}");
        Positions { edge, since, number, leaving: false, streams: vec![position] }
    }

    #[test]
    fn the_silent_and_those_who_leave_are_not_waited_for() {
        let (mut edges, now) = (Edges::new(SILENT), Instant::now());
        edges.hear(said(1, 1, 1, 5), now);
        edges.hear(said(2, 1, 1, 9), now + SILENT / 2);
        assert_eq!(edges.last(STREAM, now + SILENT / 2).map(|b| b.complete), Some(5));
        assert_eq!(edges.last(STREAM, now + SILENT).map(|b| b.complete), Some(9));
        edges.hear(Positions { leaving: true, ..said(2, 1, 3, 9) }, now + SILENT);
        edges.hear(said(2, 1, 2, 9), now + SILENT);
        assert!(edges.last(STREAM, now + SILENT).is_none(), "what comes late counts for nothing");
        edges.hear(said(2, 2, 1, 4), now + SILENT);
        assert_eq!(edges.last(STREAM, now + SILENT).map(|b| b.complete), Some(4), "it came back");
    }

    #[test]
    fn bounded() {
        let (mut edges, now) = (Edges::new(SILENT), Instant::now());
        (0..2_000).for_each(|n| edges.hear(said(n, 1, 1, 5), now));
        assert_eq!(edges.standings(STREAM, 9, now).len(), EDGES);
        edges.hear(said(5_000, 1, 1, 5), now + SILENT);
        assert_eq!(edges.known.len(), 1);
    }

    /// What happens to one of three edges.
    #[derive(Debug, Clone)]
    enum Act {
        /// It gets on so far, and says so.
        Say(u64, u64),
        /// It dies, and its successor of the same name begins.
        Restart(u64),
        /// Something that was said comes, perhaps again.
        Deliver(prop::sample::Index),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => (0u64..3, 0u64..20).prop_map(|(edge, more)| Act::Say(edge, more)),
            1 => (0u64..3).prop_map(Act::Restart),
            6 => any::<prop::sample::Index>().prop_map(Act::Deliver),
        ];
        prop::collection::vec(act, 1..80)
    }

    proptest! {
        #[test]
        fn nothing_is_taken_for_accounted_that_an_edge_did_not_say(acts in acts()) {
            let (mut edges, now) = (Edges::new(SILENT), Instant::now());
            let mut truth = [(1u64, 0u64, 0u64); 3];
            let mut wire: Vec<Positions> = Vec::new();
            let mut newest: HashMap<String, Positions> = HashMap::new();
            for act in acts {
                match act {
                    Act::Say(edge, more) => {
                        let (since, number, complete) = &mut truth[edge as usize];
                        (*number, *complete) = (*number + 1, *complete + more);
                        wire.push(said(edge, *since, *number, *complete));
                    }
                    Act::Restart(edge) => {
                        let (since, number, complete) = &mut truth[edge as usize];
                        (*since, *number, *complete) = (*since + 1, 0, *complete / 2);
                    }
                    Act::Deliver(index) if !wire.is_empty() => {
                        let one = index.get(&wire).clone();
                        let known = newest.entry(one.edge.clone()).or_insert_with(|| one.clone());
                        if (one.since, one.number) > (known.since, known.number) {
                            *known = one.clone();
                        }
                        edges.hear(one, now);
                    }
                    Act::Deliver(_) => {}
                }
                let lowest = newest.values().map(|said| said.streams[0].complete).min();
                prop_assert_eq!(edges.last(STREAM, now).map(|behind| behind.complete), lowest);
            }
            // At rest everybody says where it is, and that is heard.
            for (edge, (since, number, _)) in (0u64..).zip(truth) {
                edges.hear(said(edge, since, number + 1, 99), now);
            }
            prop_assert_eq!(edges.last(STREAM, now).map(|behind| behind.complete), Some(99));
            prop_assert!(edges.last(STREAM, now + SILENT).is_none());
        }
    }
}
