//! All that one run did and saw, in the order in which the driver noticed it.
//!
//! Invariant: a record holds everything that is needed to judge the run, and nothing of the product's
//! types: what clients were shown was read as plain JSON. Nothing is judged here. Ids are numbers in
//! memory and in the file, where every note is one line of JSON.

mod read;
mod recorder;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use read::text;
pub use recorder::{Call, Connection, Device, Fault, NOTES, Recorder};

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// By index, which is their place here.
    pub notes: Vec<Note>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Its place in the record.
    pub index: u64,
    /// Microseconds since the run began, by a clock that never goes back.
    pub at: u64,
    /// What it was.
    pub what: What,
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// The run begins. First, and once.
    Began {
        /// What the run was made from.
        seed: u64,
        /// The time of day, in microseconds since 1970, to compare with the log's times.
        unix_us: u64,
        /// What was started, in words.
        setting: String,
    },
    /// A person exists.
    Person(User),
    /// A fault sets in. `target` says which part, in words.
    FaultBegan {
        /// Which.
        fault: u64,
        /// What kind, e.g. `kill`, `partition`.
        kind: String,
        /// What it hit, e.g. `nats-1 (leader of LOG_0)`.
        target: String,
    },
    /// It has ended. One that is over at once (a step-down) ends right after it began.
    FaultEnded {
        /// Which.
        fault: u64,
    },
    /// All faults are over, and everything is started again: from here progress is owed.
    Calm,
    /// Nothing is sent any more, and what was sent has been answered.
    Quiet,
    /// Clients have had their time to catch up; what follows are observations at rest.
    Rest,
    /// A client is about to ask for something.
    Asked {
        /// Which call.
        call: u64,
        /// Who asks.
        person: u64,
        /// On which connection; none over HTTP.
        connection: Option<u64>,
        /// At which edge.
        edge: usize,
        /// For what.
        op: Op,
    },
    /// The call is over.
    Answered {
        /// Which call.
        call: u64,
        /// How.
        answer: Answer,
    },
    /// A client sends IDENTIFY on a new connection.
    Opened {
        /// Which connection.
        connection: u64,
        /// The device: one memory of cursors, over all its connections.
        device: u64,
        /// Whose.
        person: u64,
        /// At which edge.
        edge: usize,
        /// By conversation.
        cursors: BTreeMap<u64, u64>,
    },
    /// A client hears something.
    Heard {
        /// Where.
        connection: u64,
        /// What.
        event: Event,
    },
    /// A client pages a GAP: these came between its two ends.
    Paged {
        /// Which device.
        device: u64,
        /// Where.
        conversation: u64,
        /// After this entry.
        from: u64,
        /// Before this one.
        to: u64,
        /// In the order of the pages.
        entries: Vec<Entry>,
        /// Whether the GAP is paged to its end with these.
        done: bool,
    },
    /// A connection is over.
    Closed {
        /// Which.
        connection: u64,
        /// The server's close code, if it gave one.
        code: Option<u16>,
        /// Whether the client wished it.
        wished: bool,
    },
    /// The device never comes back; until then every device is owed what it missed.
    Retired {
        /// Which.
        device: u64,
    },
    /// An observation at rest.
    Seen(Seen),
}

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
