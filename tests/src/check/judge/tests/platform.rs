//! A tiny platform that keeps every promise, played by a seed, and what a driver would record of it.
//!
//! Invariant: everything happens at once and in one place, so there is nothing to lose; what is
//! random is who does what, when devices are away, and which answers nobody gets.

mod acts;
mod rest;

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::check::record::{
    Answer, Entry, Event, Kind, Message, Note, Op, Record, Shown, User, What,
};

const PEOPLE: u64 = 4;
const DEVICES: u64 = 7;
const ACTS: usize = 110;
/// A device that missed more gets a GAP and the newest two.
const REPLAYED: usize = 4;
const UNIX: u64 = 1_790_000_000_000_000;

#[derive(Default)]
struct Place {
    dm: Option<[u64; 2]>,
    owner: u64,
    name: String,
    revision: u64,
    members: BTreeSet<u64>,
    deleted: bool,
    /// Valid ones.
    log: Vec<Entry>,
    void: Vec<Entry>,
    opened_by: BTreeSet<u64>,
}

#[derive(Default)]
struct Device {
    person: u64,
    line: Option<u64>,
    cursors: BTreeMap<u64, u64>,
}

struct World {
    rng: StdRng,
    notes: Vec<Note>,
    at: u64,
    numbers: u64,
    sequence: u64,
    places: BTreeMap<u64, Place>,
    devices: BTreeMap<u64, Device>,
    markers: BTreeMap<(u64, u64), u64>,
    names: BTreeMap<u64, String>,
}

/// A whole correct run.
pub(super) fn play(seed: u64) -> Record {
    let mut world = World {
        rng: StdRng::seed_from_u64(seed),
        notes: Vec::new(),
        at: 0,
        numbers: 1_000,
        sequence: 0,
        places: BTreeMap::new(),
        devices: BTreeMap::new(),
        markers: BTreeMap::new(),
        names: (1..=PEOPLE).map(|person| (person, format!("name {person}"))).collect(),
    };
    world.note(What::Began { seed, unix_us: UNIX, setting: "simulated".to_owned() });
    for person in 1..=PEOPLE {
        world.note(What::Person(user(person, &format!("name {person}"))));
    }
    for device in 1..=DEVICES {
        let person = (device - 1) % PEOPLE + 1;
        world.devices.insert(device, Device { person, ..Device::default() });
        world.connect(device);
    }
    world.create(1);
    world.create(2);
    world.open_dm(3, 4);
    for _ in 0..ACTS {
        world.act();
    }
    world.rest();
    Record { notes: world.notes }
}

fn user(id: u64, name: &str) -> User {
    User { id, username: format!("user{id}"), display_name: name.to_owned() }
}

impl Place {
    fn has(&self, person: u64) -> bool {
        !self.deleted && self.members.contains(&person)
    }

    /// Messages that are not deleted, in their final state.
    fn state(&self) -> Vec<Message> {
        let mut state: BTreeMap<u64, Message> = BTreeMap::new();
        for entry in &self.log {
            let content = entry.content.clone().unwrap_or_default();
            match (entry.kind, entry.message) {
                (Kind::MessageCreate, _) => {
                    let (id, author) = (entry.id, entry.author);
                    state.insert(id, Message { id, author, content, edited: false });
                }
                (Kind::MessageUpdate, Some(id)) => {
                    if let Some(message) = state.get_mut(&id) {
                        (message.content, message.edited) = (content, true);
                    }
                }
                (Kind::MessageDelete, Some(id)) => _ = state.remove(&id),
                _ => {}
            }
        }
        state.into_values().collect()
    }

    /// As `/entries` and replay show it.
    fn shown(&self, entry: &Entry) -> Entry {
        let deleted = self
            .log
            .iter()
            .any(|other| other.kind == Kind::MessageDelete && other.message == Some(entry.id));
        let mut entry = entry.clone();
        if deleted {
            entry.content = Some(String::new());
        }
        entry
    }
}

impl World {
    fn note(&mut self, what: What) {
        self.at += 1_000;
        let index = self.notes.len() as u64;
        self.notes.push(Note { index, at: self.at, what });
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn any(&mut self) -> u64 {
        self.rng.random_range(1..=PEOPLE)
    }

    fn place(&mut self) -> u64 {
        let ids: Vec<u64> = self.places.keys().copied().collect();
        ids[self.rng.random_range(0..ids.len())]
    }

    fn asked(&mut self, person: u64, connection: Option<u64>, op: Op) -> u64 {
        let call = self.number();
        self.note(What::Asked { call, person, connection, edge: 0, op });
        call
    }

    fn answered(&mut self, call: u64, answer: Answer) {
        self.note(What::Answered { call, answer });
    }

    fn refuse(&mut self, call: u64, code: &str) {
        self.answered(call, Answer::Refused(code.to_owned()));
    }

    fn shown(&self, place: u64, person: u64) -> Shown {
        let known = &self.places[&place];
        let read = self.markers.get(&(person, place)).copied();
        let unread = known
            .state()
            .into_iter()
            .filter(|message| message.author != person && message.id > read.unwrap_or(0));
        let channel = known.dm.is_none();
        Shown {
            conversation: place,
            name: channel.then(|| known.name.clone()),
            owner: channel.then_some(known.owner),
            user: known.dm.map(|[a, b]| if a == person { b } else { a }),
            last: known.log.last().map(|entry| entry.id),
            read,
            unread: (unread.count() as u64).min(100),
        }
    }

    fn list(&self, person: u64) -> Vec<Shown> {
        let listed = self.places.iter().filter(|(_, place)| {
            let there = place.dm.is_none() || !place.log.is_empty();
            place.has(person) && (there || place.opened_by.contains(&person))
        });
        listed.map(|(&id, _)| self.shown(id, person)).collect()
    }

    fn hear(&mut self, device: u64, event: Event) {
        if let Some(connection) = self.devices[&device].line {
            self.note(What::Heard { connection, event });
        }
    }

    fn entry(&mut self, author: u64, conversation: u64, kind: Kind) -> Entry {
        self.sequence += self.rng.random_range(1..3);
        let (user, message, content, nonce, revision) = (None, None, None, None, None);
        let (id, at) = (self.sequence * 1024, UNIX + self.at);
        Entry { id, conversation, kind, author, at, user, message, content, nonce, revision }
    }

    /// Stores an entry that counts and gives it to all who are there.
    fn store(&mut self, entry: &Entry) {
        let conversation = entry.conversation;
        let known = self.places.entry(conversation).or_default();
        let before = known.log.last().map(|entry| entry.id);
        known.log.push(entry.clone());
        if let (Kind::MemberAdd, Some(user)) = (entry.kind, entry.user) {
            known.members.insert(user);
            self.markers.insert((user, conversation), entry.id);
        }
        let devices: Vec<u64> = self.devices.keys().copied().collect();
        for device in devices {
            let person = self.devices[&device].person;
            if self.devices[&device].line.is_none() || !self.places[&conversation].has(person) {
                continue;
            }
            if !self.devices[&device].cursors.contains_key(&conversation) {
                let shown = Shown { last: before, ..self.shown(conversation, person) };
                self.hear(device, Event::ConversationAdd(shown));
            }
            self.hear(device, Event::Entry(entry.clone()));
            self.devices.entry(device).or_default().cursors.insert(conversation, entry.id);
        }
        let known = self.places.entry(conversation).or_default();
        let gone: Vec<u64> = match (entry.kind, entry.user) {
            (Kind::MemberRemove, Some(user)) => vec![user],
            (Kind::ChannelDelete, _) => known.members.iter().copied().collect(),
            _ => return,
        };
        known.members.retain(|member| !gone.contains(member));
        known.deleted = entry.kind == Kind::ChannelDelete;
        let devices: Vec<u64> = self.devices.keys().copied().collect();
        for device in devices {
            let known = self.devices.entry(device).or_default();
            if known.line.is_some() && gone.contains(&known.person) {
                known.cursors.remove(&conversation);
                self.hear(device, Event::ConversationRemove { conversation });
            }
        }
    }

    fn connect(&mut self, device: u64) {
        let connection = self.number();
        let known = self.devices.entry(device).or_default();
        known.line = Some(connection);
        let (person, cursors) = (known.person, known.cursors.clone());
        self.note(What::Opened { connection, device, person, edge: 0, cursors: cursors.clone() });
        let list = self.list(person);
        let users = self.names.iter().map(|(&id, name)| user(id, name)).collect();
        self.hear(device, Event::Ready { conversations: list.clone(), users });
        for &conversation in cursors.keys() {
            if !list.iter().any(|shown| shown.conversation == conversation) {
                self.devices.entry(device).or_default().cursors.remove(&conversation);
                self.hear(device, Event::ConversationRemove { conversation });
            }
        }
        for shown in list {
            let conversation = shown.conversation;
            match cursors.get(&conversation) {
                None => {
                    let cursor = shown.last.unwrap_or(0);
                    self.devices.entry(device).or_default().cursors.insert(conversation, cursor);
                }
                Some(&cursor) => self.replay(device, conversation, cursor),
            }
        }
        self.hear(device, Event::Resumed);
    }

    fn replay(&mut self, device: u64, conversation: u64, from: u64) {
        let place = &self.places[&conversation];
        let missed: Vec<Entry> =
            place.log.iter().filter(|e| e.id > from).map(|e| place.shown(e)).collect();
        let split = if missed.len() > REPLAYED { missed.len() - 2 } else { 0 };
        if split > 0 {
            let to = missed[split].id;
            self.hear(device, Event::Gap { conversation, from, to });
            self.note(What::Paged {
                device,
                conversation,
                from,
                to,
                entries: missed[..split].to_vec(),
                done: true,
            });
        }
        for entry in &missed[split..] {
            self.hear(device, Event::Entry(entry.clone()));
        }
        if let Some(last) = missed.last() {
            self.devices.entry(device).or_default().cursors.insert(conversation, last.id);
        }
    }

    fn disconnect(&mut self, device: u64) {
        if let Some(connection) = self.devices.entry(device).or_default().line.take() {
            self.note(What::Closed { connection, code: None, wished: true });
        }
    }
}
