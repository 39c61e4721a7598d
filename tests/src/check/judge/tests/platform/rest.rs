//! What is seen of the tiny platform once it is at rest.
//!
//! Invariant: what is seen is what there is: its log, and what each person may see of it.

use super::{DEVICES, PEOPLE, World, user};
use crate::check::record::{Answer, Document, Entry, Kind, Op, Seen, User, What};

impl World {
    pub(super) fn rest(&mut self) {
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

    pub(super) fn seen(&mut self, seen: Seen) {
        self.note(What::Seen(seen));
    }

    pub(super) fn look(&mut self, person: u64, conversation: u64) {
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
