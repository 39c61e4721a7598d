//! The handle by which a run is written down.
//!
//! Invariant: notes are indexed and timed in one step, so their order is that of their times; a call
//! is noted before it is made, what is heard after it was. Memory is bounded by [`NOTES`]: what comes
//! beyond is counted and fails the record, for a run that is only half known proves nothing.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use serde_json::Value;

use super::{Answer, Entry, Event, Message, Note, Op, Record, Seen, User, What, read};
use crate::{Context as _, Outcome, ensure};

/// Notes that one run may make: some gigabytes, an hour of a busy soak.
pub const NOTES: usize = 20_000_000;

/// A call that was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Call(pub u64);

/// A connection that was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Connection(pub u64);

/// A client's memory of cursors, over all its connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device(pub u64);

/// A fault that was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fault(pub u64);

/// Writes a run down. Cheap to clone, and shared by all who take part.
#[derive(Clone, Debug)]
pub struct Recorder {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    began: Instant,
    notes: Vec<Note>,
    lost: u64,
    /// Calls, connections, devices and faults so far: they share their numbers.
    numbers: u64,
}

impl Recorder {
    /// A run begins.
    pub fn begin(seed: u64, setting: &str) -> Self {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let inner = Inner { began: Instant::now(), notes: Vec::new(), lost: 0, numbers: 0 };
        let recorder = Self { inner: Arc::new(Mutex::new(inner)) };
        let unix_us = u64::try_from(unix.as_micros()).unwrap_or(u64::MAX);
        recorder.note(What::Began { seed, unix_us, setting: setting.to_owned() });
        recorder
    }

    /// Notes anything. The methods below are what a driver needs of it.
    pub fn note(&self, what: What) {
        self.noted(|_| what);
    }

    fn noted(&self, what: impl FnOnce(u64) -> What) -> u64 {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.numbers += 1;
        let number = inner.numbers;
        if inner.notes.len() >= NOTES {
            inner.lost += 1;
            return number;
        }
        // Taken inside the lock, so that no later note has an earlier time.
        let at = u64::try_from(inner.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let index = inner.notes.len() as u64;
        inner.notes.push(Note { index, at, what: what(number) });
        number
    }

    /// A person exists; `user` as an answer shows them.
    pub fn person(&self, user: &Value) -> Outcome {
        let user = User::read(user)?;
        self.note(What::Person(user));
        Ok(())
    }

    /// A fault sets in.
    pub fn fault(&self, kind: &str, target: &str) -> Fault {
        let (kind, target) = (kind.to_owned(), target.to_owned());
        Fault(self.noted(|fault| What::FaultBegan { fault, kind, target }))
    }

    /// It is over.
    pub fn fault_ended(&self, fault: Fault) {
        self.note(What::FaultEnded { fault: fault.0 });
    }

    /// Somebody is about to ask for something over HTTP.
    pub fn asked(&self, person: u64, edge: usize, op: Op) -> Call {
        Call(self.noted(|call| What::Asked { call, person, connection: None, edge, op }))
    }

    /// Somebody is about to ask for something on a socket. ACK and NACK are noted as events, too.
    pub fn asked_on(&self, person: u64, edge: usize, connection: Connection, op: Op) -> Call {
        let connection = Some(connection.0);
        Call(self.noted(|call| What::Asked { call, person, connection, edge, op }))
    }

    /// A call is over.
    pub fn answered(&self, call: Call, answer: Answer) {
        self.note(What::Answered { call: call.0, answer });
    }

    /// A call is over: its HTTP status and body, or `None` where no answer came.
    pub fn answered_http(&self, call: Call, answer: Option<(u16, &Value)>) {
        let answer = answer.map_or_else(
            || Answer::Unknown("no answer".to_owned()),
            |(status, body)| Answer::read(status, body),
        );
        self.answered(call, answer);
    }

    /// A new device: a client that remembers no cursors.
    pub fn device(&self) -> Device {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.numbers += 1;
        Device(inner.numbers)
    }

    /// IDENTIFY is about to be sent on a new connection, with these `cursors`.
    pub fn opened(
        &self,
        device: Device,
        person: u64,
        edge: usize,
        cursors: &Value,
    ) -> Outcome<Connection> {
        let cursors: BTreeMap<u64, u64> = read::cursors(cursors)?;
        let device = device.0;
        Ok(Connection(self.noted(|connection| What::Opened {
            connection,
            device,
            person,
            edge,
            cursors,
        })))
    }

    /// An event came: its name and data. What has not the documented form is noted as that.
    pub fn heard(&self, connection: Connection, name: &str, data: &Value) {
        let event = Event::read(name, data).unwrap_or_else(|failure| Event::Malformed {
            why: format!("{failure}; {name} {data}"),
        });
        self.note(What::Heard { connection: connection.0, event });
    }

    /// A connection is over.
    pub fn closed(&self, connection: Connection, code: Option<u16>, wished: bool) {
        self.note(What::Closed { connection: connection.0, code, wished });
    }

    /// A device paged a GAP between two entries; `items` as `/entries` gives them.
    pub fn paged(
        &self,
        device: Device,
        conversation: u64,
        (from, to): (u64, u64),
        items: &[Value],
        done: bool,
    ) -> Outcome {
        let entries = items.iter().map(Entry::read_item).collect::<Outcome<_>>()?;
        self.note(What::Paged { device: device.0, conversation, from, to, entries, done });
        Ok(())
    }

    /// A device will never be seen again.
    pub fn retired(&self, device: Device) {
        self.note(What::Retired { device: device.0 });
    }

    /// Something is observed at rest.
    pub fn seen(&self, seen: Seen) {
        self.note(What::Seen(seen));
    }

    /// Microseconds since the run began.
    pub fn now(&self) -> u64 {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        u64::try_from(inner.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// The record so far.
    pub fn record(&self) -> Outcome<Record> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(inner.lost == 0, "{} notes more than the {NOTES} a record may have", inner.lost);
        Ok(Record { notes: inner.notes.clone() })
    }
}

impl Record {
    /// Writes the record, one note a line.
    pub fn save(&self, path: &Path) -> Outcome {
        let file = File::create(path).during(path.display())?;
        let mut out = BufWriter::new(file);
        for note in &self.notes {
            serde_json::to_writer(&mut out, note)?;
            out.write_all(b"\n")?;
        }
        out.flush().during(path.display())
    }

    /// Reads a record that was written.
    pub fn load(path: &Path) -> Outcome<Self> {
        let file = File::open(path).during(path.display())?;
        let mut record = Self::default();
        for line in BufReader::new(file).lines() {
            ensure!(record.notes.len() < NOTES, "more than {NOTES} notes");
            let note = serde_json::from_str(&line?);
            record.notes.push(note.during(format_args!("line {}", record.notes.len() + 1))?);
        }
        Ok(record)
    }
}

impl Answer {
    /// An answer over HTTP.
    pub fn read(status: u16, body: &Value) -> Self {
        let code = body.pointer("/error/code").and_then(Value::as_str);
        let list = |name: &str| body.get(name).and_then(Value::as_array);
        match (status, code) {
            (504, code) => Self::Unknown(code.unwrap_or("504").to_owned()),
            (200..=299, _) => {
                if let Some(entries) = list("entries") {
                    let entries: Outcome<_> = entries.iter().map(Entry::read_item).collect();
                    return entries.map_or_else(|e| Self::Refused(e.to_string()), Self::Entries);
                }
                if let Some(messages) = list("messages") {
                    let messages: Outcome<_> = messages.iter().map(Message::read).collect();
                    return messages.map_or_else(|e| Self::Refused(e.to_string()), Self::Messages);
                }
                Self::Done(body.get("id").and_then(|id| crate::json::read_id(id).ok()))
            }
            (_, Some(code)) => Self::Refused(code.to_owned()),
            (status, None) => Self::Unknown(format!("status {status} without a code")),
        }
    }
}
