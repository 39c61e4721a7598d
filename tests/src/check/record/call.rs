//! What clients ask for, and how that ends.
//!
//! Invariant: what may have happened is told apart from what certainly did not.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::text;
use super::{Entry, Message};

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A message. Answered with its id. On a socket the ACK or NACK is its answer, also in the record.
    Send {
        /// Where.
        conversation: u64,
        /// Its name; a repetition is another call with the same nonce.
        nonce: String,
        /// As [`text`] gives it. No two edits or messages of a run should say the same.
        content: String,
    },
    /// An edit.
    Edit {
        /// Where.
        conversation: u64,
        /// Of what.
        message: u64,
        /// As [`text`] gives it.
        content: String,
    },
    /// A deletion.
    Delete {
        /// Where.
        conversation: u64,
        /// Of what.
        message: u64,
    },
    /// Answered with the channel's id.
    CreateChannel {
        /// Its name, which no other channel of the run has.
        name: String,
    },
    /// The creator adds somebody.
    AddMember {
        /// Where.
        conversation: u64,
        /// Whom.
        user: u64,
    },
    /// The creator removes somebody, or somebody leaves.
    RemoveMember {
        /// Where.
        conversation: u64,
        /// Whom.
        user: u64,
    },
    /// The creator renames the channel.
    Rename {
        /// Where.
        conversation: u64,
        /// To what; new in this run.
        name: String,
    },
    /// The creator ends the channel.
    DeleteChannel {
        /// Which.
        conversation: u64,
    },
    /// Answered with the DM's id.
    OpenDm {
        /// With whom.
        user: u64,
    },
    /// A read marker. On a socket it has no answer unless it is wrong.
    Read {
        /// Where.
        conversation: u64,
        /// Up to where.
        id: u64,
    },
    /// One's own display name.
    Profile {
        /// New in this run.
        display_name: String,
    },
    /// A page of entries or messages of any kind, answered with what it holds.
    Page {
        /// Where.
        conversation: u64,
        /// What was asked, in words.
        query: String,
    },
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It is done, and has that id where it made something.
    Done(Option<u64>),
    /// A page of entries.
    Entries(Vec<Entry>),
    /// A page of messages.
    Messages(Vec<Message>),
    /// It was refused with this code.
    Refused(String),
    /// Nobody knows: `unknown_outcome`, `timeout`, or no answer at all.
    Unknown(String),
}
