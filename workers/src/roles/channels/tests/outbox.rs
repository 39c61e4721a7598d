//! Publishing an outbox under every interleaving of publishers, crashes and repetitions: what the
//! log then holds, judged by the verdict, is what was committed.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use bus_schema::entry::{Entry, Notice};
use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;
use bus_schema::text::ChannelName;
use bus_schema::timestamp::Timestamp;
use bus_schema::verdict::{Membership, Target, Verdict};
use proptest::prelude::*;

use crate::roles::channels::outbox::{self, Publication};
use crate::store::channels::*;

const C: ConversationId = ConversationId(513);
const OWNER: UserId = UserId(1);
const PUBLISHERS: usize = 3;

/// The channel's document, as a store keeps it.
struct Document {
    revision: u64,
    members: BTreeMap<UserId, Member>,
    outbox: VecDeque<OutboxItem>,
    at: Timestamp,
}

impl Document {
    fn new() -> Self {
        let at = Timestamp::from_millis(0);
        let mut new = Self { revision: 0, members: BTreeMap::new(), outbox: VecDeque::new(), at };
        new.commit(&Change::AddMember { user: OWNER, most_channels: 1 }, OWNER);
        new
    }

    fn commit(&mut self, change: &Change, author: UserId) {
        let revision = self.revision + 1;
        match change {
            Change::AddMember { user, .. } => {
                let member = Member { user: *user, revision, since: None };
                self.members.insert(*user, member);
            }
            Change::RemoveMember { user } => drop(self.members.remove(user)),
            Change::Rename { .. } | Change::Delete { .. } => {}
        }
        self.outbox.push_back(OutboxItem::new(C, revision, author, change, self.at));
        self.revision = revision;
    }

    fn acknowledge(&mut self, ack: Ack) {
        let Some(head) = self.outbox.front_mut() else { return };
        let effect = head.acknowledged(ack);
        if effect == AckEffect::Nothing {
            return;
        }
        if let Ack::Entry { revision, entry } = ack {
            head.entry = Some(entry);
            let added = self.members.values_mut().find(|m| m.revision == revision);
            if let Some(member) = added {
                member.since = Some(entry);
            }
        }
        if effect == AckEffect::Remove {
            self.outbox.pop_front();
        }
    }
}

/// The log: what it stored, and the message ids it remembers.
#[derive(Default)]
struct Log {
    stored: Vec<Publication>,
    remembered: HashMap<String, u64>,
}

impl Log {
    fn publish(&mut self, publication: Publication) -> u64 {
        if let Some(sequence) = self.remembered.get(&publication.msg_id) {
            return *sequence;
        }
        let sequence = self.stored.len() as u64 + 1;
        self.remembered.insert(publication.msg_id.clone(), sequence);
        self.stored.push(publication);
        sequence
    }
}

/// A publisher between two of its steps.
#[derive(Clone, Default)]
enum Publisher {
    #[default]
    Idle,
    Loaded(OutboxItem),
    Published(Ack),
}

#[derive(Debug, Clone)]
enum Event {
    Add(u64),
    Remove(u64),
    Rename,
    Step(usize),
    Crash(usize),
    /// The acknowledgement is lost; the publisher repeats what it published.
    Repeat(usize),
    /// The de-duplication window passes.
    Forget,
}

fn events(forget: u32) -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => (2u64..6).prop_map(Event::Add),
        2 => (2u64..6).prop_map(Event::Remove),
        1 => Just(Event::Rename),
        12 => (0..PUBLISHERS).prop_map(Event::Step),
        2 => (0..PUBLISHERS).prop_map(Event::Crash),
        2 => (0..PUBLISHERS).prop_map(Event::Repeat),
        forget => Just(Event::Forget),
    ];
    prop::collection::vec(event, 0..160)
}

struct Model {
    document: Document,
    log: Log,
    publishers: [Publisher; PUBLISHERS],
    layout: Layout,
}

impl Model {
    fn run(events: Vec<Event>) -> Self {
        let layout = Layout::new(3).unwrap();
        let publishers = std::array::from_fn(|_| Publisher::Idle);
        let mut model = Self { document: Document::new(), log: Log::default(), publishers, layout };
        for event in events {
            model.apply(&event);
        }
        // Somebody finishes what is left.
        model.publishers[0] = Publisher::Idle;
        while !model.document.outbox.is_empty() {
            model.step(0);
        }
        model
    }

    fn apply(&mut self, event: &Event) {
        let document = &mut self.document;
        match *event {
            Event::Add(user) if !document.members.contains_key(&UserId(user)) => {
                let change = Change::AddMember { user: UserId(user), most_channels: 1 };
                document.commit(&change, OWNER);
            }
            Event::Remove(user) if document.members.contains_key(&UserId(user)) => {
                document.commit(&Change::RemoveMember { user: UserId(user) }, UserId(user));
            }
            Event::Add(_) | Event::Remove(_) => {}
            Event::Rename => {
                let name = ChannelName::parse("x").unwrap();
                document.commit(&Change::Rename { name }, OWNER);
            }
            Event::Step(n) => self.step(n),
            Event::Crash(n) => self.publishers[n] = Publisher::Idle,
            Event::Repeat(n) => {
                if let Publisher::Loaded(head) = &self.publishers[n] {
                    self.log.publish(outbox::next(C, head));
                }
            }
            Event::Forget => self.log.remembered.clear(),
        }
    }

    fn step(&mut self, n: usize) {
        self.publishers[n] = match std::mem::take(&mut self.publishers[n]) {
            Publisher::Idle => {
                self.document.outbox.front().cloned().map_or(Publisher::Idle, Publisher::Loaded)
            }
            Publisher::Loaded(head) => {
                let sequence = self.log.publish(outbox::next(C, &head));
                let ack = outbox::acknowledgement(self.layout, C, &head, sequence);
                Publisher::Published(ack)
            }
            Publisher::Published(ack) => {
                self.document.acknowledge(ack);
                Publisher::Idle
            }
        };
    }

    /// Replays the channel's log; the number of void entries beside the membership.
    fn replay(&self) -> (Membership, usize) {
        let place = LogSubject::Channel(C);
        let stream = self.layout.stream_of(place);
        let mut membership = Membership::at_start(place);
        let mut void = 0;
        for (sequence, stored) in (1..).zip(&self.log.stored).filter(|(_, s)| s.place == place) {
            let (at, payload) = (self.document.at, stored.payload.as_bytes());
            let entry =
                Entry::decode(place, stream, sequence, at, Some(stored.kind), payload).unwrap();
            if membership.judge(&entry.body, Target::Unknown) == Verdict::Valid {
                membership.apply(&entry);
            } else {
                void += 1;
            }
        }
        (membership, void)
    }

    fn notices(&self) -> impl Iterator<Item = (usize, UserId, Notice)> {
        self.log.stored.iter().enumerate().filter_map(|(n, stored)| match stored.place {
            LogSubject::User(user) => {
                assert_eq!(stored.kind, outbox::NOTICE);
                Some((n, user, serde_json::from_str(&stored.payload).unwrap()))
            }
            _ => None,
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn within_the_window_the_log_has_each_change_once_and_in_order(events in events(0)) {
        let model = Model::run(events);
        let (membership, void) = model.replay();
        prop_assert_eq!(void, 0);
        prop_assert_eq!(membership.revision, model.document.revision);
        let since: BTreeMap<_, _> =
            model.document.members.iter().map(|(u, m)| (*u, m.since.unwrap())).collect();
        prop_assert_eq!(membership.members, since);

        let stream = model.layout.stream_of(LogSubject::Channel(C));
        let mut seen = BTreeSet::new();
        for (n, user, notice) in model.notices() {
            let Notice::AddedToChannel { conversation_id, entry_id, revision } = notice else {
                panic!("no DM here");
            };
            prop_assert_eq!(conversation_id, C);
            prop_assert!(seen.insert(revision), "one notice for each addition");
            let index = usize::try_from(entry_id.sequence()).unwrap() - 1;
            prop_assert!(index < n, "after its entry");
            prop_assert_eq!(entry_id, EntryId::new(index as u64 + 1, stream));
            let added = format!(r#""user_id":"{user}""#);
            prop_assert!(model.log.stored[index].payload.contains(&added));
        }
        let additions = model.log.stored.iter().filter(|s| s.kind == "MEMBER_ADD").count();
        prop_assert_eq!(seen.len(), additions);
    }

    #[test]
    fn beyond_the_window_repetitions_are_void_and_nothing_is_lost(events in events(2)) {
        let model = Model::run(events);
        let (membership, _) = model.replay();
        prop_assert_eq!(membership.revision, model.document.revision);
        let members: Vec<_> = membership.members.into_keys().collect();
        let expected: Vec<_> = model.document.members.keys().copied().collect();
        prop_assert_eq!(members, expected);
        prop_assert!(model.document.members.values().all(|m| m.since.is_some()));
    }
}
