//! What clients hear.
//!
//! Invariant: every event of the protocol has its own form here; what has none is kept as that.

use serde::{Deserialize, Serialize};

use super::{Entry, Shown, User};

/// What a client hears on a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The state to start from.
    Ready {
        /// Every conversation.
        conversations: Vec<Shown>,
        /// Oneself and all that these mention.
        users: Vec<User>,
    },
    /// All replays and GAPs have been sent.
    Resumed,
    /// An entry.
    Entry(Entry),
    /// A range to page, both ends exclusive.
    Gap {
        /// Where.
        conversation: u64,
        /// After.
        from: u64,
        /// Before.
        to: u64,
    },
    /// A conversation is shown.
    ConversationAdd(Shown),
    /// A conversation is taken away.
    ConversationRemove {
        /// Which.
        conversation: u64,
    },
    /// Somebody's profile.
    UserUpdate(User),
    /// One's own marker.
    Read {
        /// Where.
        conversation: u64,
        /// Up to where.
        id: u64,
    },
    /// Somebody types.
    Typing {
        /// Where.
        conversation: u64,
        /// Who.
        user: u64,
    },
    /// A SEND is part of the conversation.
    Ack {
        /// Where.
        conversation: u64,
        /// Which.
        nonce: String,
        /// Its entry.
        id: u64,
    },
    /// A frame was refused.
    Nack {
        /// Which SEND, if it was one.
        nonce: Option<String>,
        /// Why.
        code: String,
    },
    /// The edge asks to go elsewhere.
    Reconnect,
    /// Something that this version does not know.
    Other {
        /// Its name.
        name: String,
    },
    /// Something that has not the documented form.
    Malformed {
        /// What was wrong, and the frame.
        why: String,
    },
}
