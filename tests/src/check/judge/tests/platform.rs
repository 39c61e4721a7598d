//! A tiny platform that keeps every promise, played by a seed, and what a driver would record of it.
//!
//! Invariant: everything happens at once and in one place, so there is nothing to lose; what is
//! random is who does what, when devices are away, and which answers nobody gets.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::check::record::{
    Answer, Document, Entry, Event, Kind, Message, Note, Op, Record, Seen, Shown, User, What,
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

    fn act(&mut self) {
        let person = self.any();
        match self.rng.random_range(0..20) {
            0..=6 => self.send(),
            7 => self.edit(person),
            8 => self.delete(person),
            9 | 10 => self.add(),
            11 => self.remove(),
            12 => self.rename(),
            13..=15 => {
                let device = self.rng.random_range(1..=DEVICES);
                if self.devices[&device].line.is_some() {
                    self.disconnect(device);
                } else {
                    self.connect(device);
                }
            }
            16 => self.read(person),
            17 => self.profile(person),
            18 => self.page(person),
            _ => match self.rng.random_range(0..6) {
                0 => self.create(person),
                1 => self.end(),
                2 => {
                    let other = person % PEOPLE + 1;
                    self.open_dm(person, other);
                }
                _ => self.fault(),
            },
        }
    }

    fn send(&mut self) {
        let device = self.rng.random_range(1..=DEVICES);
        let Some(line) = self.devices[&device].line else { return };
        let (person, conversation) = (self.devices[&device].person, self.place());
        let nonce = format!("n{}", self.number());
        let content = format!("said {}", self.number());
        let wish = (nonce.clone(), content.clone());
        let op = Op::Send { conversation, nonce: wish.0, content: wish.1 };
        self.asked(person, Some(line), op);
        let mut entry = self.entry(person, conversation, Kind::MessageCreate);
        (entry.nonce, entry.content) = (Some(nonce.clone()), Some(content));
        let id = entry.id;
        let nack = |code: &str| Event::Nack { nonce: Some(nonce.clone()), code: code.to_owned() };
        if !self.places[&conversation].has(person) {
            // The edge had not heard of the removal yet.
            self.places.entry(conversation).or_default().void.push(entry);
            self.hear(device, nack("not_found"));
            return;
        }
        match self.rng.random_range(0..12) {
            0 => {
                self.store(&entry);
                self.hear(device, nack("unknown_outcome"));
            }
            1 => self.hear(device, nack("unavailable")),
            2 => {}
            _ => {
                self.store(&entry);
                self.hear(device, Event::Ack { conversation, nonce, id });
            }
        }
    }

    fn message(&mut self) -> Option<(u64, u64, u64)> {
        let place = self.place();
        let state = self.places[&place].state();
        let message = (!state.is_empty()).then(|| &state[self.rng.random_range(0..state.len())]);
        message.map(|message| (place, message.id, message.author))
    }

    fn edit(&mut self, person: u64) {
        let Some((conversation, message, author)) = self.message() else { return };
        let content = format!("edited {}", self.number());
        let op = Op::Edit { conversation, message, content: content.clone() };
        let call = self.asked(person, None, op);
        let place = &self.places[&conversation];
        if !place.has(person) {
            return self.refuse(call, "not_found");
        }
        if author != person {
            return self.refuse(call, "forbidden");
        }
        let mut entry = self.entry(person, conversation, Kind::MessageUpdate);
        (entry.message, entry.content) = (Some(message), Some(content));
        self.store(&entry);
        self.answered(call, Answer::Done(Some(message)));
    }

    fn delete(&mut self, person: u64) {
        let Some((conversation, message, author)) = self.message() else { return };
        let call = self.asked(person, None, Op::Delete { conversation, message });
        let place = &self.places[&conversation];
        if !place.has(person) {
            return self.refuse(call, "not_found");
        }
        if author != person && place.owner != person {
            return self.refuse(call, "forbidden");
        }
        let mut entry = self.entry(person, conversation, Kind::MessageDelete);
        entry.message = Some(message);
        self.store(&entry);
        self.answered(call, Answer::Done(None));
    }

    fn channel(&mut self) -> Option<u64> {
        let place = self.place();
        let known = &self.places[&place];
        (known.dm.is_none() && !known.deleted).then_some(place)
    }

    fn change(&mut self, place: u64, author: u64, kind: Kind) -> Entry {
        let mut entry = self.entry(author, place, kind);
        let known = self.places.entry(place).or_default();
        known.revision += 1;
        entry.revision = Some(known.revision);
        entry
    }

    fn create(&mut self, person: u64) {
        let name = format!("channel {}", self.number());
        let call = self.asked(person, None, Op::CreateChannel { name: name.clone() });
        let id = self.number();
        let place = Place { owner: person, name, ..Place::default() };
        self.places.insert(id, place);
        let mut entry = self.change(id, person, Kind::MemberAdd);
        entry.user = Some(person);
        self.store(&entry);
        self.answered(call, Answer::Done(Some(id)));
    }

    fn add(&mut self) {
        let Some(conversation) = self.channel() else { return };
        let (owner, user) = (self.places[&conversation].owner, self.any());
        let call = self.asked(owner, None, Op::AddMember { conversation, user });
        if !self.places[&conversation].has(user) {
            let mut entry = self.change(conversation, owner, Kind::MemberAdd);
            entry.user = Some(user);
            self.store(&entry);
        }
        self.answered(call, Answer::Done(Some(conversation)));
    }

    fn remove(&mut self) {
        let Some(conversation) = self.channel() else { return };
        let (owner, user) = (self.places[&conversation].owner, self.any());
        let leaves = self.rng.random_ratio(1, 3);
        let author = if leaves { user } else { owner };
        let call = self.asked(author, None, Op::RemoveMember { conversation, user });
        if user == owner {
            return self.refuse(call, "conflict");
        }
        if !self.places[&conversation].has(user) {
            return self.refuse(call, if leaves { "not_found" } else { "not_a_member" });
        }
        let mut entry = self.change(conversation, author, Kind::MemberRemove);
        entry.user = Some(user);
        self.store(&entry);
        self.answered(call, Answer::Done(None));
    }

    fn rename(&mut self) {
        let Some(conversation) = self.channel() else { return };
        let owner = self.places[&conversation].owner;
        let name = format!("renamed {}", self.number());
        let call = self.asked(owner, None, Op::Rename { conversation, name: name.clone() });
        let mut entry = self.change(conversation, owner, Kind::ChannelUpdate);
        entry.content = Some(name.clone());
        self.places.entry(conversation).or_default().name = name;
        self.store(&entry);
        self.answered(call, Answer::Done(Some(conversation)));
    }

    fn end(&mut self) {
        let Some(conversation) = self.channel().filter(|_| self.places.len() > 3) else { return };
        let owner = self.places[&conversation].owner;
        let call = self.asked(owner, None, Op::DeleteChannel { conversation });
        let entry = self.change(conversation, owner, Kind::ChannelDelete);
        self.store(&entry);
        self.answered(call, Answer::Done(None));
    }

    fn open_dm(&mut self, person: u64, other: u64) {
        let call = self.asked(person, None, Op::OpenDm { user: other });
        let pair = [person.min(other), person.max(other)];
        let known = self.places.iter().find(|(_, place)| place.dm == Some(pair));
        let id = known.map(|(&id, _)| id);
        let id = id.unwrap_or_else(|| self.number());
        let place = self.places.entry(id).or_default();
        (place.dm, place.members) = (Some(pair), pair.into());
        if place.opened_by.insert(person) && place.log.is_empty() {
            let shown = self.shown(id, person);
            let devices: Vec<u64> = self.devices.keys().copied().collect();
            for device in devices {
                let known = self.devices.entry(device).or_default();
                if known.person == person && known.line.is_some() {
                    known.cursors.insert(id, 0);
                    self.hear(device, Event::ConversationAdd(shown.clone()));
                }
            }
        }
        self.answered(call, Answer::Done(Some(id)));
    }

    fn read(&mut self, person: u64) {
        let conversation = self.place();
        let place = &self.places[&conversation];
        let Some(id) = place.log.last().map(|entry| entry.id) else { return };
        if !place.has(person) {
            return;
        }
        let call = self.asked(person, None, Op::Read { conversation, id });
        let marker = self.markers.entry((person, conversation)).or_default();
        *marker = (*marker).max(id);
        self.answered(call, Answer::Done(None));
        let devices: Vec<u64> = self.devices.keys().copied().collect();
        for device in devices {
            if self.devices[&device].person == person {
                self.hear(device, Event::Read { conversation, id });
            }
        }
    }

    fn profile(&mut self, person: u64) {
        let name = format!("named {}", self.number());
        let call = self.asked(person, None, Op::Profile { display_name: name.clone() });
        match self.rng.random_range(0..4) {
            0 => self.answered(call, Answer::Unknown("timeout".to_owned())),
            1 => {
                self.names.insert(person, name);
                self.answered(call, Answer::Unknown("no answer".to_owned()));
            }
            _ => {
                self.names.insert(person, name);
                self.answered(call, Answer::Done(Some(person)));
            }
        }
    }

    fn page(&mut self, person: u64) {
        let conversation = self.place();
        let op = Op::Page { conversation, query: "entries?after=0".to_owned() };
        let call = self.asked(person, None, op);
        let place = &self.places[&conversation];
        if place.has(person) {
            let entries = place.log.iter().map(|entry| place.shown(entry)).collect();
            self.answered(call, Answer::Entries(entries));
        } else {
            self.refuse(call, "not_found");
        }
    }

    fn fault(&mut self) {
        let fault = self.number();
        self.note(What::FaultBegan { fault, kind: "kill".into(), target: "edge-0".into() });
        self.note(What::FaultEnded { fault });
    }

    fn rest(&mut self) {
        for device in 1..=DEVICES {
            if self.devices[&device].line.is_none() {
                self.connect(device);
            }
        }
        self.note(What::Calm);
        let place = self.places.iter().find(|(_, place)| place.has(place.owner));
        if let Some((&place, known)) = place {
            let mut entry = self.entry(known.owner, place, Kind::MessageCreate);
            let (nonce, content) = ("last".to_owned(), "at last".to_owned());
            (entry.nonce, entry.content) = (Some(nonce.clone()), Some(content.clone()));
            let op = Op::Send { conversation: place, nonce, content };
            let call = self.asked(entry.author, None, op);
            self.store(&entry);
            self.answered(call, Answer::Done(Some(entry.id)));
        }
        self.note(What::Quiet);
        self.at += 60_000_000;
        self.note(What::Rest);
        let last = self.sequence;
        self.seen(Seen::Stream { stream: 0, first: 1, last });
        let places: Vec<u64> = self.places.keys().copied().collect();
        let mut stored = Vec::new();
        for place in self.places.values() {
            stored.extend(place.log.iter().chain(&place.void).cloned());
        }
        stored.sort_by_key(|entry| entry.id);
        for entry in stored {
            self.seen(Seen::Stored(entry));
        }
        for person in 1..=PEOPLE {
            let conversations = Ok(self.list(person));
            let users: Vec<User> = self.names.iter().map(|(&id, name)| user(id, name)).collect();
            let profile = Seen::Profile { edge: 0, user: user(person, &self.names[&person]) };
            self.seen(profile);
            self.seen(Seen::Fresh { person, edge: 0, conversations, users });
            for &place in &places {
                self.look(person, place);
            }
        }
    }

    fn seen(&mut self, seen: Seen) {
        self.note(What::Seen(seen));
    }

    fn look(&mut self, person: u64, conversation: u64) {
        let place = &self.places[&conversation];
        let may = place.has(person);
        let refusal = || "not_found".to_owned();
        let entries: Vec<Entry> = place.log.iter().map(|entry| place.shown(entry)).collect();
        let (owner, revision, name) = (place.owner, place.revision, place.name.clone());
        let members = place.members.iter().copied().collect();
        let document = Document { name, owner, revision, members };
        let (state, dm) = (place.state(), place.dm.is_some());
        let pages = if may { Ok(entries) } else { Err(refusal()) };
        self.seen(Seen::Entries { person, conversation, pages });
        for forwards in [true, false] {
            let pages = if may { Ok(state.clone()) } else { Err(refusal()) };
            self.seen(Seen::History { person, conversation, forwards, pages });
        }
        if !dm {
            let document = if may { Ok(document) } else { Err(refusal()) };
            self.seen(Seen::Channel { person, conversation, document });
        }
    }
}
