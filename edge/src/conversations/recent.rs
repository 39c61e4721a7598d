//! Which conversations come with their newest messages, and those messages.
//!
//! Ids of different streams do not compare, so recency across streams is that of the newest
//! message's time. The few candidates are found by id within each stream.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use bus_schema::error::Failure;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex};
use bus_schema::limits::{READY_MESSAGES, READY_WITH_MESSAGES};
use bus_schema::ops::history::SummaryOf;

use super::{Asking, Shown, Through, Wanted, summaries};
use crate::state::Edge;

/// Gives messages to the most recent conversations that may have them: those up to `last_id`, for
/// what was written since is sent as entries.
pub(super) async fn fill(
    edge: &Edge,
    asking: Asking<'_>,
    shown: &mut [Shown],
    through: &Through,
    with_messages: impl Fn(ConversationId) -> bool,
) -> Result<(), Failure> {
    let mut chosen = candidates(shown, with_messages);
    if chosen.len() > READY_WITH_MESSAGES {
        let wanted = chosen.iter().map(|at| wanted(&shown[*at], 1)).collect();
        let (newest, _) = summaries(edge, asking, wanted, Some(through)).await?;
        let times = newest.iter().map(|summary| summary.messages.last().map(|m| m.at));
        let mut timed: Vec<_> = chosen.into_iter().zip(times).collect();
        timed.sort_by_key(|(_, at)| Reverse(*at));
        timed.truncate(READY_WITH_MESSAGES);
        chosen = timed.into_iter().map(|(position, _)| position).collect();
    }
    let asked = chosen.iter().map(|at| wanted(&shown[*at], READY_MESSAGES)).collect();
    let (filled, _) = summaries(edge, asking, asked, Some(through)).await?;
    for (position, summary) in chosen.into_iter().zip(filled) {
        let conversation = &mut shown[position];
        let last = conversation.summary.last_id.unwrap_or(EntryId::ZERO);
        conversation.summary.messages = summary.messages;
        conversation.summary.messages.retain(|message| message.id <= last);
        conversation.with_messages = true;
    }
    Ok(())
}

fn wanted(shown: &Shown, messages: u32) -> Wanted {
    Wanted { of: SummaryOf { messages, ..shown.wanted.of }, ..shown.wanted }
}

/// The positions of those among which the most recent are: of each stream the latest few.
fn candidates(shown: &[Shown], may: impl Fn(ConversationId) -> bool) -> Vec<usize> {
    let mut streams: BTreeMap<StreamIndex, Vec<usize>> = BTreeMap::new();
    for (position, conversation) in shown.iter().enumerate() {
        if may(conversation.wanted.id) {
            streams.entry(conversation.wanted.stream).or_default().push(position);
        }
    }
    let mut all = Vec::new();
    for mut positions in streams.into_values() {
        positions.sort_by_key(|position| Reverse(shown[*position].summary.last_id));
        positions.truncate(READY_WITH_MESSAGES);
        all.extend(positions);
    }
    all
}

#[cfg(test)]
mod tests {
    use bus_schema::ops::history::Summary;
    use bus_schema::subjects::LogSubject;

    use super::*;

    fn shown(id: u64, stream: u16, last: Option<u64>) -> Shown {
        let stream = StreamIndex(stream);
        let place = LogSubject::Channel(ConversationId(id));
        let of = SummaryOf { place, since: EntryId::ZERO, messages: 0 };
        Shown {
            wanted: Wanted { id: ConversationId(id), stream, of },
            summary: Summary {
                last_id: last.map(|seq| EntryId::new(seq, stream)),
                read_id: None,
                unread: 0,
                messages: Vec::new(),
            },
            with_messages: false,
        }
    }

    #[test]
    fn the_latest_of_each_stream_are_candidates() {
        let mut all: Vec<_> = (0..30).map(|n| shown(n, 0, Some(n))).collect();
        all.push(shown(30, 1, Some(1)));
        all.push(shown(31, 1, None));
        let found = candidates(&all, |id| id != ConversationId(29));
        assert_eq!(found, [28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 30, 31]);
    }
}
