//! `svc.audit.<stream>.*`: what of the log is not accounted for.
//!
//! Invariant: an answer is bounded whatever is wrong: counts are whole, examples are few. Only whoever
//! holds the lease on auditing a stream answers for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Empty, operations};
use crate::ids::{ConversationId, EntryId, StreamIndex};

operations! { Audit:
    /// What of a stream is not accounted for now, and which rows of the store are not as the log says.
    Report, "report", Platform, Safe, Empty => Account;
}

/// Examples of one kind in an [`Account`].
pub const EXAMPLES: usize = 10;

/// How a stream is accounted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Which stream.
    pub stream: StreamIndex,
    /// Its last sequence, as last seen.
    pub end: u64,
    /// Seconds after which an entry that is not accounted for is late, by the auditor's settings.
    pub late_s: u64,
    /// Each place that must come to know every entry.
    pub places: Vec<Standing>,
    /// Rows of the store that are not as the log says.
    pub wrong_rows: u64,
    /// Some of them.
    pub examples: Vec<WrongRow>,
    /// The last pass over all that the log still holds, if one was finished.
    pub sweep: Option<Sweep>,
    /// Every edge that is waited for.
    pub edges: Vec<EdgeStanding>,
}

impl Account {
    /// Whether somebody should look: a row is wrong, or an entry late.
    pub fn is_troubled(&self) -> bool {
        self.wrong_rows > 0 || self.places.iter().any(|standing| standing.oldest_s > self.late_s)
    }
}

/// Who must come to know every entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The store: its floor has passed the entry, and its rows were found.
    Store,
    /// The edges: each has what its followed conversations got.
    Edge,
    /// Delivery to bots.
    Bots,
}

impl Place {
    /// Its name: in metrics, in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Edge => "edge",
            Self::Bots => "bots",
        }
    }
}

/// What one place has not accounted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Which.
    pub place: Place,
    /// Entries of the stream.
    pub unaccounted: u64,
    /// How old the oldest of them is at least, in seconds.
    pub oldest_s: u64,
    /// Who has not, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// The oldest of them, as far as it is known which they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<EntryAt>,
}

/// Names an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryAt {
    /// Where.
    pub conversation_id: ConversationId,
    /// Which.
    pub id: EntryId,
}

/// What one edge has not accounted for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeStanding {
    /// Where clients reach it.
    pub edge: String,
    /// Entries of the stream; none before it first says.
    pub unaccounted: Option<u64>,
    /// Seconds since it was last heard.
    pub silent_s: u64,
    /// A followed conversation of which it lacks entries, the one that has for longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
}

/// A row of the store that is not as the log says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct WrongRow {
    /// The entry it comes from,
    pub id: EntryId,
    /// and its conversation.
    pub conversation_id: ConversationId,
    /// Which of the entry's rows.
    pub row: RowKind,
    /// What is wrong.
    pub fault: Fault,
}

/// Which rows an entry has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowKind {
    /// The entry as the log had it.
    Entry,
    /// A message in its final state.
    Message,
    /// A change of a channel's membership.
    Membership,
}

/// What can be wrong with a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is there, though its entry is void.
    Surplus,
    /// It says something else than the log.
    Different,
    /// Its conversation's rows cannot be read: one of them is broken.
    Unreadable,
}

impl fmt::Display for WrongRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = match self.row {
            RowKind::Entry => "entry",
            RowKind::Message => "message",
            RowKind::Membership => "membership",
        };
        let fault = match self.fault {
            Fault::Missing => "missing",
            Fault::Surplus => "surplus",
            Fault::Different => "different",
            Fault::Unreadable => "unreadable",
        };
        write!(f, "{row} row {fault}: conversation {}, entry {}", self.conversation_id, self.id)
    }
}

/// A pass over all that the log holds, comparing it with the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// Entries it went over.
    pub entries: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// How long ago it ended, in seconds.
    pub ended_s: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn late_or_wrong_is_trouble_and_nothing_else() {
        let standing = |oldest_s| Standing {
            place: Place::Edge,
            unaccounted: 3,
            oldest_s,
            who: None,
            examples: Vec::new(),
        };
        let account = |oldest_s, wrong_rows| Account {
            stream: StreamIndex(0),
            end: 9,
            late_s: 30,
            places: vec![standing(oldest_s)],
            wrong_rows,
            examples: Vec::new(),
            sweep: None,
            edges: Vec::new(),
        };
        assert!(!account(30, 0).is_troubled());
        assert!(account(31, 0).is_troubled());
        assert!(account(0, 1).is_troubled());
    }
}
