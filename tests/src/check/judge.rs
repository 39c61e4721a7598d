//! The verdict on a record: every guarantee, derived anew from the protocol's page.
//!
//! Invariant: pure functions of the record, which share nothing with the product but the words of its
//! protocol. Every guarantee is looked at in full, also after one is found broken. What breaks several
//! at one note is told once, as the first of [`Guarantee`] that it breaks.

mod acked;
mod agreed;
mod changes;
mod delivered;
mod document;
mod explain;
mod log;
mod made;
mod markers;
mod order;
mod profiles;
mod removed;
mod story;
mod stuck;
mod visible;
mod void;
mod whole;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::record::Record;

pub use story::Story;

/// Findings of one guarantee that are kept; the others are counted.
const KEPT: usize = 25;
/// Guarantees that are explained in full.
const EXPLAINED: usize = 3;

/// Within this many seconds of the end of all faults, and of whatever happens later, everybody is
/// served again and has everything.
pub const PROGRESS_WITHIN_S: u64 = 30;

/// What is promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarantee {
    /// The record says enough to judge the run by.
    Whole,
    /// What was acknowledged is in the log, as it was acknowledged, and counts.
    Acked,
    /// Who was removed receives nothing later than that, until they are added again.
    Removed,
    /// What does not count is shown to nobody.
    Void,
    /// What was not acknowledged is there once or not at all, what was refused is not, and nothing
    /// is there that nobody did.
    Made,
    /// READY first, entries ascending and once, nothing of what was taken away, GAPs that fit.
    Order,
    /// All sessions, pages and the log show the same.
    Agreed,
    /// Every device of every member has every entry.
    Delivered,
    /// What was acknowledged is seen by every later request.
    Visible,
    /// A channel's document and everybody's lists are the replay of the log.
    Document,
    /// Read markers never move back.
    Markers,
    /// Unread counts are right at rest.
    Unread,
    /// Profiles are not stale at rest.
    Profiles,
    /// Nobody is stuck.
    Progress,
}

impl Guarantee {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Whole => "the record is whole",
            Self::Acked => "what was acknowledged is in the log",
            Self::Removed => "nothing is received after a removal",
            Self::Void => "what does not count is not shown",
            Self::Made => "everything there was asked for, once",
            Self::Order => "events come in the order of the protocol",
            Self::Agreed => "all see the same",
            Self::Delivered => "every device has every entry",
            Self::Visible => "later requests see what was acknowledged",
            Self::Document => "documents and lists are the replay of the log",
            Self::Markers => "read markers never move back",
            Self::Unread => "unread counts are right",
            Self::Profiles => "profiles are not stale",
            Self::Progress => "nobody is stuck",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which promise it breaks.
    pub guarantee: Guarantee,
    /// The note where it shows; none where something is missing.
    pub index: Option<u64>,
    /// Where.
    pub conversation: Option<u64>,
    /// Which entry.
    pub entry: Option<u64>,
    /// Who saw it, or missed it.
    pub person: Option<u64>,
    /// Their device, or none.
    pub device: Option<u64>,
    /// In words.
    pub what: String,
}

impl Finding {
    fn new(guarantee: Guarantee, what: String) -> Self {
        let (index, conversation, entry, person, device) = (None, None, None, None, None);
        Self { guarantee, index, conversation, entry, person, device, what }
    }

    fn at(mut self, index: u64) -> Self {
        self.index = Some(index);
        self
    }

    fn of(mut self, conversation: u64) -> Self {
        self.conversation = Some(conversation);
        self
    }

    fn entry(mut self, entry: u64) -> Self {
        self.entry = Some(entry);
        self
    }

    fn person(mut self, person: u64) -> Self {
        self.person = Some(person);
        self
    }

    fn device(mut self, device: u64) -> Self {
        self.device = Some(device);
        self
    }
}

/// What the judge looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages acknowledged.
    pub acked: u64,
    /// Sends of which nobody knows.
    pub unknown: u64,
    /// Entries in all logs, and those that do not count.
    pub entries: u64,
    /// Entries that do not count.
    pub void: u64,
    /// Entries received by all devices.
    pub received: u64,
    /// Devices, and connections that resumed with cursors.
    pub devices: u64,
    /// Connections that resumed with cursors.
    pub resumed: u64,
    /// Faults.
    pub faults: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        let Self { acked, unknown, entries, void, received, devices, resumed, faults } = other;
        self.acked += acked;
        self.unknown += unknown;
        self.entries += entries;
        self.void += void;
        self.received += received;
        self.devices += devices;
        self.resumed += resumed;
        self.faults += faults;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { acked, unknown, entries, void, received, devices, resumed, faults } = self;
        write!(
            out,
            "{acked} acknowledged, {unknown} unknown, {entries} entries ({void} void), {received} \
             received by {devices} devices, {resumed} resumed, {faults} faults"
        )
    }
}

/// The verdict.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    /// What is wrong, the most telling first.
    pub findings: Vec<Finding>,
    /// How often each guarantee was broken, also where it was not kept.
    pub broken: BTreeMap<Guarantee, u64>,
    /// What was looked at.
    pub counts: Counts,
    /// The smallest explanations.
    pub explained: Vec<String>,
}

impl Judgement {
    /// Whether everything is as promised.
    pub fn is_clean(&self) -> bool {
        self.broken.is_empty()
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{}", self.counts)?;
        for (guarantee, count) in &self.broken {
            writeln!(out, "BROKEN {count} times: {}", guarantee.words())?;
        }
        for explained in &self.explained {
            writeln!(out, "{explained}")?;
        }
        if self.is_clean() { writeln!(out, "violations: 0") } else { Ok(()) }
    }
}

/// Judges a record.
pub fn judge(record: &Record) -> Judgement {
    let story = Story::read(record);
    let mut all = Vec::new();
    // In the order of the enumeration: the first that a note breaks is what is told of it.
    let guarantees: [fn(&Story<'_>) -> Vec<Finding>; 14] = [
        whole::judge,
        acked::judge,
        removed::judge,
        void::judge,
        made::judge,
        order::judge,
        agreed::judge,
        delivered::judge,
        visible::judge,
        document::judge,
        markers::judge,
        markers::judge_unread,
        profiles::judge,
        stuck::judge,
    ];
    for guarantee in guarantees {
        all.extend(guarantee(&story));
    }
    let mut judgement = Judgement { counts: story.counts(), ..Judgement::default() };
    let mut told: BTreeMap<u64, Guarantee> = BTreeMap::new();
    for finding in all {
        let guarantee = finding.guarantee;
        let first = finding.index.map(|index| *told.entry(index).or_insert(guarantee));
        if first.is_some_and(|first| first != guarantee) {
            continue;
        }
        let count = judgement.broken.entry(guarantee).or_default();
        *count += 1;
        if *count <= KEPT as u64 {
            judgement.findings.push(finding);
        }
    }
    let mut explained = BTreeSet::new();
    for finding in &judgement.findings {
        if explained.len() < EXPLAINED && explained.insert(finding.guarantee) {
            judgement.explained.push(explain::explain(&story, finding));
        }
    }
    judgement
}
