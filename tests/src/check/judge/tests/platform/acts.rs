//! What people of the tiny platform do, at random.
//!
//! Invariant: each act leaves log, documents, markers and devices as the promises have it. Leaves out
//! how it is written down.

use rand::RngExt as _;

use super::{DEVICES, PEOPLE, Place, World};
use crate::check::record::{Answer, Entry, Event, Kind, Op, What};

impl World {
    pub(super) fn act(&mut self) {
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

    pub(super) fn send(&mut self) {
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

    pub(super) fn message(&mut self) -> Option<(u64, u64, u64)> {
        let place = self.place();
        let state = self.places[&place].state();
        let message = (!state.is_empty()).then(|| &state[self.rng.random_range(0..state.len())]);
        message.map(|message| (place, message.id, message.author))
    }

    pub(super) fn edit(&mut self, person: u64) {
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

    pub(super) fn delete(&mut self, person: u64) {
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

    pub(super) fn channel(&mut self) -> Option<u64> {
        let place = self.place();
        let known = &self.places[&place];
        (known.dm.is_none() && !known.deleted).then_some(place)
    }

    pub(super) fn change(&mut self, place: u64, author: u64, kind: Kind) -> Entry {
        let mut entry = self.entry(author, place, kind);
        let known = self.places.entry(place).or_default();
        known.revision += 1;
        entry.revision = Some(known.revision);
        entry
    }

    pub(super) fn create(&mut self, person: u64) {
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

    pub(super) fn add(&mut self) {
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

    pub(super) fn remove(&mut self) {
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

    pub(super) fn rename(&mut self) {
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

    pub(super) fn end(&mut self) {
        let Some(conversation) = self.channel().filter(|_| self.places.len() > 3) else { return };
        let owner = self.places[&conversation].owner;
        let call = self.asked(owner, None, Op::DeleteChannel { conversation });
        let entry = self.change(conversation, owner, Kind::ChannelDelete);
        self.store(&entry);
        self.answered(call, Answer::Done(None));
    }

    pub(super) fn open_dm(&mut self, person: u64, other: u64) {
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

    pub(super) fn read(&mut self, person: u64) {
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

    pub(super) fn profile(&mut self, person: u64) {
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

    pub(super) fn page(&mut self, person: u64) {
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

    pub(super) fn fault(&mut self) {
        let fault = self.number();
        self.note(What::FaultBegan { fault, kind: "kill".into(), target: "edge-0".into() });
        self.note(What::FaultEnded { fault });
    }
}
