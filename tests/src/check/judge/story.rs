//! A record read once, so that every guarantee can look things up.
//!
//! Invariant: it arranges and never judges, but for the verdict on each entry of the log, which all
//! guarantees need. Where an answer is missing the outcome is unknown, never assumed.

use std::collections::BTreeMap;

use super::Counts;
use super::log::{Log, gather};
use crate::check::record::{Answer, Event, Note, Op, Record, Shown, User, What};

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate<'a> {
    /// It is done.
    Done(Option<u64>),
    /// It was refused with that code.
    Refused(&'a str),
    /// Nobody knows.
    Unknown,
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its note.
    pub index: u64,
    /// When.
    pub at: u64,
    /// Who.
    pub person: u64,
    /// On which connection.
    pub connection: Option<u64>,
    /// For what.
    pub op: &'a Op,
    /// How it ended.
    pub fate: Fate<'a>,
    /// The note that said so, and its time.
    pub answered: Option<(u64, u64)>,
}

impl Asked<'_> {
    /// The note after which it can have no effect any more; none if nobody knows.
    pub fn over(&self) -> Option<u64> {
        match self.fate {
            Fate::Unknown => None,
            _ => self.answered.map(|(index, _)| index),
        }
    }

    /// Whether it may have had an effect.
    pub fn may_be_done(&self) -> bool {
        !matches!(self.fate, Fate::Refused(_))
    }
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// Whose device.
    pub device: u64,
    /// Whose.
    pub person: u64,
    /// The note of its IDENTIFY, and its time.
    pub opened: (u64, u64),
    /// The cursors given.
    pub cursors: &'a BTreeMap<u64, u64>,
    /// When READY and RESUMED came.
    pub ready: Option<(u64, u64)>,
    /// When RESUMED came.
    pub resumed: Option<(u64, u64)>,
    /// The note of its end.
    pub closed: Option<u64>,
}

/// A device: one memory of cursors.
#[derive(Clone, Debug, Default)]
pub struct Device {
    /// Whose.
    pub person: u64,
    /// The notes of what it did and heard.
    pub notes: Vec<u64>,
    /// Its last connection.
    pub last: u64,
    /// It never comes back.
    pub retired: bool,
}

/// A record, arranged.
#[derive(Debug)]
pub struct Story<'a> {
    /// The record.
    pub record: &'a Record,
    /// The time of day at its beginning, in microseconds since 1970.
    pub unix: u64,
    /// The note from which progress is owed, and its time.
    pub calm: Option<(u64, u64)>,
    /// The note from which everything is at rest, and its time.
    pub rest: Option<(u64, u64)>,
    /// Everybody, as they were first.
    pub people: BTreeMap<u64, &'a User>,
    /// Every call, in order.
    pub calls: Vec<Asked<'a>>,
    /// By number.
    pub lines: BTreeMap<u64, Line<'a>>,
    /// By number.
    pub devices: BTreeMap<u64, Device>,
    /// Conversations between two people.
    pub dms: BTreeMap<u64, [u64; 2]>,
    /// Every conversation's log.
    pub logs: BTreeMap<u64, Log<'a>>,
    /// Faults so far.
    pub faults: u64,
    /// The calls that change, or may change, who is in a conversation, by their places among the calls.
    changes: BTreeMap<u64, Vec<usize>>,
    /// The SENDs of each connection and nonce, by their places among the calls.
    sends: BTreeMap<(u64, &'a str), Vec<usize>>,
}

impl<'a> Story<'a> {
    /// Arranges a record.
    pub fn read(record: &'a Record) -> Self {
        let mut story = Self {
            record,
            unix: 0,
            calm: None,
            rest: None,
            people: BTreeMap::new(),
            calls: Vec::new(),
            lines: BTreeMap::new(),
            devices: BTreeMap::new(),
            dms: BTreeMap::new(),
            logs: BTreeMap::new(),
            faults: 0,
            changes: BTreeMap::new(),
            sends: BTreeMap::new(),
        };
        let mut calls = BTreeMap::new();
        for note in &record.notes {
            story.take(note, &mut calls);
        }
        for (place, call) in story.calls.iter().enumerate() {
            let changed = match (call.op, call.fate) {
                (
                    Op::AddMember { conversation, .. }
                    | Op::RemoveMember { conversation, .. }
                    | Op::DeleteChannel { conversation },
                    _,
                ) => Some(*conversation),
                (Op::CreateChannel { .. }, Fate::Done(made)) => made,
                _ => None,
            };
            if let Some(conversation) = changed {
                story.changes.entry(conversation).or_default().push(place);
            }
        }
        story.logs = gather(record, &story.dms);
        story
    }

    fn take(&mut self, note: &'a Note, calls: &mut BTreeMap<u64, usize>) {
        let place = (note.index, note.at);
        match &note.what {
            What::Began { unix_us, .. } => self.unix = *unix_us,
            What::Person(user) => _ = self.people.insert(user.id, user),
            What::FaultBegan { .. } => self.faults += 1,
            What::Calm => self.calm = Some(place),
            What::Rest => self.rest = Some(place),
            What::Asked { call, person, connection, op, .. } => {
                calls.insert(*call, self.calls.len());
                let (index, at) = place;
                let (person, connection) = (*person, *connection);
                if let (Some(connection), Op::Send { nonce, .. }) = (connection, op) {
                    let sends = self.sends.entry((connection, nonce)).or_default();
                    sends.push(self.calls.len());
                }
                let (fate, answered) = (Fate::Unknown, None);
                self.calls.push(Asked { index, at, person, connection, op, fate, answered });
            }
            What::Answered { call, answer } => {
                if let Some(&index) = calls.get(call) {
                    self.answered(index, answer, place);
                }
            }
            What::Opened { connection, device, person, cursors, .. } => {
                let line = Line {
                    device: *device,
                    person: *person,
                    opened: place,
                    cursors,
                    ready: None,
                    resumed: None,
                    closed: None,
                };
                self.lines.insert(*connection, line);
                let known = self.devices.entry(*device).or_default();
                (known.person, known.last) = (*person, *connection);
                known.notes.push(note.index);
            }
            What::Heard { connection, event } => self.heard(*connection, event, place),
            What::Paged { device, .. } => {
                self.devices.entry(*device).or_default().notes.push(note.index);
            }
            What::Closed { connection, .. } => {
                if let Some(line) = self.lines.get_mut(connection) {
                    line.closed.get_or_insert(note.index);
                }
            }
            What::Retired { device } => {
                self.devices.entry(*device).or_default().retired = true;
            }
            What::FaultEnded { .. } | What::Quiet | What::Seen(_) => {}
        }
    }

    fn answered(&mut self, index: usize, answer: &'a Answer, place: (u64, u64)) {
        let Some(call) = self.calls.get_mut(index) else { return };
        let fate = match answer {
            Answer::Done(id) => Fate::Done(*id),
            Answer::Entries(_) | Answer::Messages(_) => Fate::Done(None),
            Answer::Refused(code) => Fate::Refused(code),
            Answer::Unknown(_) => Fate::Unknown,
        };
        if !matches!(call.fate, Fate::Done(_)) {
            (call.fate, call.answered) = (fate, Some(place));
        }
        if let (Op::OpenDm { user }, Answer::Done(Some(id))) = (call.op, answer) {
            self.dms.insert(*id, [call.person, *user]);
        }
    }

    fn heard(&mut self, connection: u64, event: &'a Event, place: (u64, u64)) {
        let Some(line) = self.lines.get_mut(&connection) else { return };
        let (device, person) = (line.device, line.person);
        self.devices.entry(device).or_default().notes.push(place.0);
        match event {
            Event::Ready { conversations, .. } => {
                line.ready.get_or_insert(place);
                for shown in conversations {
                    self.shown(person, shown);
                }
            }
            Event::ConversationAdd(shown) => self.shown(person, shown),
            Event::Resumed => _ = line.resumed.get_or_insert(place),
            Event::Ack { conversation, nonce, id } => {
                for index in self.sends(connection, nonce, Some(*conversation)) {
                    let call = &mut self.calls[index];
                    if !matches!(call.fate, Fate::Done(_)) {
                        (call.fate, call.answered) = (Fate::Done(Some(*id)), Some(place));
                    }
                }
            }
            Event::Nack { nonce: Some(nonce), code } => {
                let unsure = matches!(code.as_str(), "unknown_outcome" | "timeout");
                let fate = if unsure { Fate::Unknown } else { Fate::Refused(code) };
                let open = |index: &usize| self.calls[*index].answered.is_none();
                if let Some(index) = self.sends(connection, nonce, None).into_iter().find(open) {
                    let call = &mut self.calls[index];
                    (call.fate, call.answered) = (fate, Some(place));
                }
            }
            _ => {}
        }
    }

    fn shown(&mut self, person: u64, shown: &Shown) {
        if let Some(other) = shown.user {
            self.dms.entry(shown.conversation).or_insert([person, other]);
        }
    }

    /// The SENDs of a nonce on a connection, the newest first, by their places among the calls.
    fn sends(&self, connection: u64, nonce: &str, place: Option<u64>) -> Vec<usize> {
        let all = self.sends.get(&(connection, nonce)).into_iter().flatten().rev().copied();
        let there = |index: &usize| match self.calls.get(*index).map(|call| call.op) {
            Some(Op::Send { conversation, .. }) => place.is_none_or(|p| p == *conversation),
            _ => false,
        };
        all.filter(there).collect()
    }

    /// The calls that change, or may change, who is in a conversation, in order.
    pub fn changes(&self, conversation: u64) -> impl Iterator<Item = &Asked<'a>> {
        let all = self.changes.get(&conversation).into_iter().flatten();
        all.filter_map(|&place| self.calls.get(place))
    }

    /// The note at an index.
    pub fn note(&self, index: u64) -> Option<&'a Note> {
        self.record.notes.get(usize::try_from(index).ok()?)
    }

    /// A time of the record as a time of day.
    pub fn wall(&self, at: u64) -> u64 {
        self.unix.saturating_add(at)
    }

    /// What there was to look at.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { faults: self.faults, ..Counts::default() };
        for call in &self.calls {
            if let Op::Send { .. } = call.op {
                counts.acked += u64::from(matches!(call.fate, Fate::Done(_)));
                counts.unknown += u64::from(call.fate == Fate::Unknown);
            }
        }
        for log in self.logs.values() {
            counts.entries += log.entries.len() as u64;
            counts.void += log.entries.values().filter(|held| !held.valid).count() as u64;
        }
        for note in &self.record.notes {
            match &note.what {
                What::Heard { event: Event::Entry(_), .. } => counts.received += 1,
                What::Paged { entries, .. } => counts.received += entries.len() as u64,
                _ => {}
            }
        }
        counts.devices = self.devices.len() as u64;
        let resumed = |line: &&Line<'_>| !line.cursors.is_empty() && line.resumed.is_some();
        counts.resumed = self.lines.values().filter(resumed).count() as u64;
        counts
    }
}
