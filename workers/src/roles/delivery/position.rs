//! Where delivery of a stream stands, kept beside what was delivered.
//!
//! Invariant: a position is written only on top of the one that was read, together with the copies
//! that it counts. Whoever's is refused no longer knows where delivery stands, and reads it anew.

use std::collections::BTreeMap;

use async_nats::HeaderMap;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::batch::{self, Member};
use bus_schema::streams::BOTS;
use bus_schema::subjects;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::roles::RoleError;

/// Up to where a stream was delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Every entry up to this stream sequence.
    pub(super) sequence: u64,
    /// Of the entry at this sequence: the bots up to and with this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) part: Option<(u64, UserId)>,
    /// Bots that are left out, and what they were not given.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) behind: BTreeMap<UserId, BTreeMap<ConversationId, LeftOut>>,
}

/// Entries of a conversation that a bot was not given: from the first to the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LeftOut {
    pub(super) first: EntryId,
    pub(super) last: EntryId,
}

impl Position {
    /// Whether a copy of the entry at a sequence for a bot was written already.
    pub(super) fn covers(&self, sequence: u64, bot: UserId) -> bool {
        sequence <= self.sequence
            || self.part.is_some_and(|(part, upto)| part == sequence && bot <= upto)
    }
}

/// An event for a bot.
#[derive(Debug, Clone)]
pub(super) struct Copy {
    /// The sequence of the entry that it is, or comes with.
    pub(super) sequence: u64,
    pub(super) bot: UserId,
    pub(super) event: Bytes,
    /// Whether the bot then has all of that entry.
    pub(super) whole: bool,
}

/// The position as it was last written, and which message that was.
pub(super) struct Written {
    pub(super) position: Position,
    /// Its sequence in the stream of bots; 0 if there is none.
    message: u64,
}

impl Written {
    /// Reads it; none if nothing was ever delivered of this stream.
    pub(super) async fn read(bus: &Bus, stream: StreamIndex) -> Result<Option<Self>, RoleError> {
        let bots = bus.jetstream().get_stream(BOTS).await.map_err(RoleError::new)?;
        match bots.get_last_raw_message_by_subject(&subjects::delivered(stream)).await {
            Ok(message) => {
                let position = serde_json::from_slice(&message.payload).map_err(RoleError::new)?;
                Ok(Some(Self { position, message: message.sequence }))
            }
            Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(RoleError::new(error)),
        }
    }

    /// Before anything is written.
    pub(super) const fn nowhere(position: Position) -> Self {
        Self { position, message: 0 }
    }

    /// Writes copies and the position after them.
    pub(super) async fn advance(
        &mut self,
        bus: &Bus,
        stream: StreamIndex,
        copies: &[Copy],
        position: Position,
    ) -> Result<(), RoleError> {
        let mut batch: Vec<Member> = Vec::with_capacity(copies.len() + 1);
        batch.extend(copies.iter().map(|copy| Member {
            subject: subjects::bot_events(copy.bot),
            headers: HeaderMap::new(),
            payload: copy.event.clone(),
        }));
        let mut headers = HeaderMap::new();
        let expected = async_nats::header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE;
        headers.insert(expected, self.message.to_string());
        let payload = serde_json::to_vec(&position).map_err(RoleError::new)?.into();
        batch.push(Member { subject: subjects::delivered(stream), headers, payload });
        self.message = batch::commit(bus, batch).await.map_err(RoleError::new)?;
        self.position = position;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_of_an_entry_in_part_is_known() {
        let part = Some((8, UserId(20)));
        let position = Position { sequence: 7, part, ..Position::default() };
        for (sequence, bot, covered) in
            [(7, 99, true), (8, 20, true), (8, 21, false), (9, 1, false)]
        {
            assert_eq!(position.covers(sequence, UserId(bot)), covered, "{sequence} {bot}");
        }
    }

    #[test]
    fn its_text_is_read_by_those_who_come_later() {
        let text =
            r#"{"sequence":7,"part":[8,"20"],"behind":{"5":{"6":{"first":"1","last":"2"}}}}"#;
        let read: Position = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!(serde_json::to_string(&Position::default()).unwrap(), r#"{"sequence":0}"#);
    }
}
