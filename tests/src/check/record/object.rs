//! The things that events and answers show.
//!
//! Invariant: an entry reads alike from the log, an event and a page, so that they can be compared.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::text;

/// The kind of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs)]
pub enum Kind {
    MessageCreate,
    MessageUpdate,
    MessageDelete,
    MemberAdd,
    MemberRemove,
    ChannelUpdate,
    ChannelDelete,
}

/// An entry as a client or the log shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its id.
    pub id: u64,
    /// Where.
    pub conversation: u64,
    /// What kind.
    pub kind: Kind,
    /// By whom.
    pub author: u64,
    /// The log's time, in microseconds since 1970.
    pub at: u64,
    /// Who was added or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u64>,
    /// The message that an edit or a deletion is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<u64>,
    /// What it says, as [`text`] gives it; a channel's name in a renaming.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// Its author's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The channel's revision that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// A message in its final state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its id.
    pub id: u64,
    /// By whom.
    pub author: u64,
    /// What it says now, as [`text`] gives it.
    pub content: String,
    /// Whether it says when it was edited.
    pub edited: bool,
}

/// A conversation as one of its people is shown it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// Which.
    pub conversation: u64,
    /// The name of a channel; none for a DM.
    pub name: Option<String>,
    /// The creator of a channel.
    pub owner: Option<u64>,
    /// The other one in a DM.
    pub user: Option<u64>,
    /// The newest entry.
    pub last: Option<u64>,
    /// Up to where they have read.
    pub read: Option<u64>,
    /// Messages after that; 100 means 100 or more.
    pub unread: u64,
}

/// A profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Who.
    pub id: u64,
    /// Unique.
    pub username: String,
    /// Shown.
    pub display_name: String,
}

/// A channel's document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Its name.
    pub name: String,
    /// Its creator.
    pub owner: u64,
    /// Its revision.
    pub revision: u64,
    /// Its members, ascending.
    pub members: Vec<u64>,
}
