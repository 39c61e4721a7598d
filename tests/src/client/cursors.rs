//! Where a client stands in each conversation, by the protocol's rules of cursors and GAPs.
//!
//! Invariant: entries after the cursor have not been received, and entries up to it have been, except
//! those inside a remembered gap. So every entry is either received, owed by a gap, or sent by the
//! server on the next IDENTIFY. Pure: no clock, no I/O. What the entries say is kept elsewhere.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

/// A range of entries, both ends exclusive, that must be fetched from `/entries`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The entry before the first one that is missing.
    pub from: u64,
    /// The entry after the last one that is missing.
    pub to: u64,
}

/// What a server did that no cursor allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Something about a conversation that was never shown, or was taken away.
    Unknown,
    /// An entry at or below the cursor: sent twice, or out of order.
    Again {
        /// Where the client stood.
        cursor: u64,
    },
    /// An entry or GAP that leaves something out.
    Skipped {
        /// What had to come next, at the latest.
        wanted: u64,
    },
    /// A page with an entry from outside of what was asked.
    Outside(Gap),
    /// A GAP whose end is before its start.
    Backwards,
}

impl fmt::Display for Wrong {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => out.write_str("of a conversation that is not shown"),
            Self::Again { cursor } => write!(out, "again or out of order, cursor at {cursor}"),
            Self::Skipped { wanted } => write!(out, "{wanted} was left out before it"),
            Self::Outside(gap) => write!(out, "not between {} and {}", gap.from, gap.to),
            Self::Backwards => out.write_str("ends before it starts"),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Place {
    cursor: u64,
    /// Oldest first. Only the last may start at the cursor: nothing after it has come yet.
    gaps: Vec<Gap>,
    /// After a GAP: what comes next is not before this. It is its id, but where a conversation could not be
    /// read: then the GAP ends just above where that is known to reach. Whether anything is left out
    /// between is for whoever knows the log to say.
    next: Option<u64>,
}

/// The cursors of one client over all its connections.
#[derive(Clone, Debug, Default)]
pub struct Cursors {
    places: BTreeMap<u64, Place>,
}

impl Cursors {
    /// The `cursors` of an IDENTIFY. A gap that starts at its cursor is forgotten here: what the
    /// server sends after that cursor covers it.
    pub fn identify(&mut self) -> Value {
        let mut cursors = Map::new();
        for (conversation, place) in &mut self.places {
            place.next = None;
            place.gaps.retain(|gap| gap.from != place.cursor);
            cursors.insert(conversation.to_string(), place.cursor.to_string().into());
        }
        Value::Object(cursors)
    }

    /// Whether the conversation is one of this client's.
    pub fn knows(&self, conversation: u64) -> bool {
        self.places.contains_key(&conversation)
    }

    /// The cursor of a conversation.
    pub fn cursor(&self, conversation: u64) -> Option<u64> {
        self.places.get(&conversation).map(|place| place.cursor)
    }

    /// The conversations known.
    pub fn conversations(&self) -> impl Iterator<Item = u64> {
        self.places.keys().copied()
    }

    /// READY or CONVERSATION_ADD shows a conversation. Returns whether it was new: one that is known
    /// keeps its cursor.
    pub fn shown(&mut self, conversation: u64, last_id: Option<u64>) -> bool {
        if self.knows(conversation) {
            return false;
        }
        let place = Place { cursor: last_id.unwrap_or(0), ..Place::default() };
        self.places.insert(conversation, place);
        true
    }

    /// The client sets out to fetch a range by its own wish, as when READY shows a conversation
    /// of which it wants the past too.
    pub fn owe(&mut self, conversation: u64, gap: Gap) {
        if let Some(place) = self.places.get_mut(&conversation) {
            place.gaps.insert(0, gap);
        }
    }

    /// CONVERSATION_REMOVE. Returns whether it was known.
    pub fn removed(&mut self, conversation: u64) -> bool {
        self.places.remove(&conversation).is_some()
    }

    /// An entry arrives as an event.
    pub fn entry(&mut self, conversation: u64, id: u64) -> Result<(), Wrong> {
        let place = self.places.get_mut(&conversation).ok_or(Wrong::Unknown)?;
        if id <= place.cursor {
            return Err(Wrong::Again { cursor: place.cursor });
        }
        place.cursor = id;
        match place.next.take() {
            Some(end) if id < end => Err(Wrong::Again { cursor: end - 1 }),
            _ => Ok(()),
        }
    }

    /// A GAP arrives.
    pub fn gap(&mut self, conversation: u64, gap: Gap) -> Result<(), Wrong> {
        let place = self.places.get_mut(&conversation).ok_or(Wrong::Unknown)?;
        let Gap { from, to } = gap;
        if from > place.cursor {
            return Err(Wrong::Skipped { wanted: place.cursor });
        }
        if from < place.cursor {
            // Only a cursor that was above the newest entry starts over, and from "0".
            if from != 0 {
                return Err(Wrong::Again { cursor: place.cursor });
            }
            *place = Place::default();
        }
        if to == 0 {
            return Ok(());
        }
        if to <= from {
            return Err(Wrong::Backwards);
        }
        place.next = Some(to);
        place.gaps.push(gap);
        Ok(())
    }

    /// The oldest gap of the conversation that is still to be paged.
    pub fn next_gap(&self, conversation: u64) -> Option<Gap> {
        self.places.get(&conversation)?.gaps.first().copied()
    }

    /// Any conversation with a gap still to be paged.
    pub fn owing(&self) -> Option<u64> {
        let owing = self.places.iter().find(|(_, place)| !place.gaps.is_empty());
        owing.map(|(&conversation, _)| conversation)
    }

    /// An entry of the oldest gap arrives on a page.
    pub fn paged(&mut self, conversation: u64, id: u64) -> Result<(), Wrong> {
        let place = self.places.get_mut(&conversation).ok_or(Wrong::Unknown)?;
        let gap = place.gaps.first_mut().ok_or(Wrong::Again { cursor: place.cursor })?;
        if id <= gap.from || id >= gap.to {
            return Err(Wrong::Outside(*gap));
        }
        if gap.from == place.cursor {
            place.cursor = id;
        }
        gap.from = id;
        Ok(())
    }

    /// The oldest gap has been paged to its end.
    pub fn paged_to_the_end(&mut self, conversation: u64) {
        let Some(place) = self.places.get_mut(&conversation) else { return };
        if place.gaps.is_empty() {
            return;
        }
        let gap = place.gaps.remove(0);
        if gap.from == place.cursor {
            // The end is exclusive: the entry that bears its id comes as an event.
            place.cursor = place.cursor.max(gap.to - 1);
        }
    }
}

#[cfg(test)]
#[path = "cursors_tests.rs"]
mod tests;
