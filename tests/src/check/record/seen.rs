//! What is observed at rest.
//!
//! Invariant: a refusal is an observation too, and is kept with its code.

use serde::{Deserialize, Serialize};

use super::{Document, Entry, Message, Shown, User};

/// What is observed once everything has come to rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seen {
    /// A log stream as JetStream describes it; entries below `first` have been trimmed.
    Stream {
        /// Which.
        stream: u64,
        /// The first sequence still there.
        first: u64,
        /// The last one.
        last: u64,
    },
    /// An entry as JetStream holds it, void or not, in the order of the stream.
    Stored(Entry),
    /// Something in the log that is no entry of a conversation that clients could be shown.
    Undecodable {
        /// The stream.
        stream: u64,
        /// Its place.
        sequence: u64,
        /// What is wrong, and what it says.
        why: String,
    },
    /// All pages of `/entries`, or how that was refused.
    Entries {
        /// Whoever asked.
        person: u64,
        /// Where.
        conversation: u64,
        /// In the order of the pages.
        pages: Result<Vec<Entry>, String>,
    },
    /// All pages of `/messages`, or how that was refused.
    History {
        /// Whoever asked.
        person: u64,
        /// Where.
        conversation: u64,
        /// Whether it was read from the oldest to the newest.
        forwards: bool,
        /// Oldest first.
        pages: Result<Vec<Message>, String>,
    },
    /// A new device's READY, or how that was refused.
    Fresh {
        /// Whose.
        person: u64,
        /// At which edge.
        edge: usize,
        /// Every conversation.
        conversations: Result<Vec<Shown>, String>,
        /// Everybody it mentions.
        users: Vec<User>,
    },
    /// A channel's document, or how that was refused.
    Channel {
        /// Whoever asked.
        person: u64,
        /// Which.
        conversation: u64,
        /// What it says.
        document: Result<Document, String>,
    },
    /// A profile as an edge answers it.
    Profile {
        /// At which edge.
        edge: usize,
        /// What it says.
        user: User,
    },
}
