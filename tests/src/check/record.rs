//! All that one run did and saw, in the order in which the driver noticed it.
//!
//! Invariant: a record holds everything that is needed to judge the run, and nothing of the product's
//! types: what clients were shown was read as plain JSON. Nothing is judged here. Ids are numbers in
//! memory and in the file, where every note is one line of JSON.

mod call;
mod event;
mod object;
mod read;
mod recorder;
mod seen;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use call::{Answer, Op};
pub use event::Event;
pub use object::{Document, Entry, Kind, Message, Shown, User};
pub use read::text;
pub use recorder::{Call, Connection, Device, Fault, NOTES, Recorder};
pub use seen::Seen;

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
