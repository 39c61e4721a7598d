//! The naive model: every entry in one list, judged one after the other from the beginning.

use std::collections::HashMap;

use bus_schema::entry::{
    Body, ChannelUpdate, Entry, MemberChange, MessageCreate, MessageDelete, MessageUpdate,
};
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::subjects::{DmSubject, LogSubject};
use bus_schema::text::{ChannelName, Content};
use bus_schema::timestamp::Timestamp;
use bus_schema::verdict::{Membership, Target, Verdict};
use proptest::prelude::*;

use crate::store::history::{EditRecord, MessageRecord};

/// The channel that most tests speak of.
pub(crate) const CHANNEL: ConversationId = ConversationId(7);

/// Its place.
pub(crate) const PLACE: LogSubject = LogSubject::Channel(CHANNEL);

/// The time of the entry at a sequence: a second apart.
pub(crate) fn at(seq: u64) -> Timestamp {
    Timestamp::from_millis(1_500_000_000_000 + seq * 1_000)
}

/// A log of one stream.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) stream: StreamIndex,
    pub(crate) entries: Vec<(LogSubject, Entry)>,
}

impl Log {
    pub(crate) fn new(stream: StreamIndex) -> Self {
        Self { stream, entries: Vec::new() }
    }

    /// Appends to [`PLACE`].
    pub(crate) fn push(&mut self, body: Body) {
        self.push_to(PLACE, body);
    }

    pub(crate) fn push_to(&mut self, place: LogSubject, body: Body) {
        let seq = self.entries.len() as u64 + 1;
        let id = EntryId::new(seq, self.stream);
        let payload = body.encode();
        self.entries.push((place, Entry { id, at: at(seq), body, payload }));
    }

    /// The valid entries, judged in order.
    pub(crate) fn valid(&self) -> Vec<Entry> {
        let mut memberships: HashMap<LogSubject, Membership> = HashMap::new();
        let mut valid: Vec<(LogSubject, Entry)> = Vec::new();
        for (place, entry) in &self.entries {
            let membership =
                memberships.entry(*place).or_insert_with(|| Membership::at_start(*place));
            let target = target(*place, entry, &valid);
            if membership.judge(&entry.body, target) == Verdict::Valid {
                membership.apply(entry);
                valid.push((*place, entry.clone()));
            }
        }
        valid.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The valid entries of one place up to a sequence.
    pub(crate) fn of(&self, place: LogSubject, upto: u64) -> Vec<Entry> {
        let mut valid = self.valid();
        let conversation = place.conversation();
        valid.retain(|e| Some(e.body.conversation()) == conversation && e.id.sequence() <= upto);
        valid
    }

    /// The membership of one place at a sequence.
    pub(crate) fn membership(&self, place: LogSubject, upto: u64) -> Membership {
        let mut membership = Membership::at_start(place);
        self.of(place, upto).iter().for_each(|entry| membership.apply(entry));
        membership
    }

    /// The messages of one place in their final state at a sequence, without the deleted ones.
    pub(crate) fn messages(&self, place: LogSubject, upto: u64) -> Vec<MessageRecord> {
        let entries = self.of(place, upto);
        let created = entries.iter().filter_map(|entry| match &entry.body {
            Body::MessageCreate(body) => Some((entry, body)),
            _ => None,
        });
        created.filter_map(|(entry, body)| final_state(entry, body, &entries)).collect()
    }

    /// Whether a message of one place is deleted at a sequence.
    pub(crate) fn deleted(&self, place: LogSubject, seq: u64, upto: u64) -> bool {
        !self.messages(place, upto).iter().any(|message| message.seq == seq)
    }
}

fn target(place: LogSubject, entry: &Entry, before: &[(LogSubject, Entry)]) -> Target {
    let Some(id) = entry.body.target() else { return Target::Unknown };
    let found = before.iter().find_map(|(at, e)| match &e.body {
        Body::MessageCreate(body) if *at == place && e.id == id => Some(body.author_id),
        _ => None,
    });
    let deletes = |e: &Entry| matches!(&e.body, Body::MessageDelete(b) if b.message_id == id);
    match found {
        Some(author) => {
            let deleted = before.iter().any(|(at, e)| *at == place && deletes(e));
            Target::Found { author, deleted }
        }
        None => Target::Missing,
    }
}

fn final_state(entry: &Entry, body: &MessageCreate, all: &[Entry]) -> Option<MessageRecord> {
    let mut record = MessageRecord {
        seq: entry.id.sequence(),
        at: entry.at,
        author: body.author_id,
        nonce: body.nonce.clone(),
        content: body.content.clone(),
        edit: None,
    };
    for later in all {
        match &later.body {
            Body::MessageUpdate(edit) if edit.message_id == entry.id => {
                record.content = edit.content.clone();
                record.edit = Some(EditRecord { seq: later.id.sequence(), at: later.at });
            }
            Body::MessageDelete(deletion) if deletion.message_id == entry.id => return None,
            _ => {}
        }
    }
    Some(record)
}

pub(crate) fn add(user_id: UserId, author_id: UserId, revision: u64) -> Body {
    Body::MemberAdd(MemberChange { conversation_id: CHANNEL, user_id, author_id, revision })
}

pub(crate) fn remove(user_id: UserId, author_id: UserId, revision: u64) -> Body {
    Body::MemberRemove(MemberChange { conversation_id: CHANNEL, user_id, author_id, revision })
}

pub(crate) fn message(author_id: UserId, content: &str) -> Body {
    Body::MessageCreate(MessageCreate {
        conversation_id: CHANNEL,
        author_id,
        content: Content::parse(content).unwrap(),
        edited_at: None,
        nonce: None,
    })
}

pub(crate) fn edit(author_id: UserId, target: u64, stream: StreamIndex, content: &str) -> Body {
    Body::MessageUpdate(MessageUpdate {
        conversation_id: CHANNEL,
        message_id: EntryId::new(target, stream),
        content: Content::parse(content).unwrap(),
        author_id,
    })
}

pub(crate) fn delete(author_id: UserId, target: u64, stream: StreamIndex) -> Body {
    Body::MessageDelete(MessageDelete {
        conversation_id: CHANNEL,
        message_id: EntryId::new(target, stream),
        author_id,
    })
}

/// A DM of the same people, in the same stream.
pub(crate) fn dm() -> LogSubject {
    LogSubject::Dm(DmSubject::new(UserId(1), UserId(2), ConversationId(9)).unwrap())
}

/// What random logs are made of.
#[derive(Debug, Clone)]
enum Step {
    Say(u64),
    Edit(u64, u64),
    Delete(u64, u64),
    Add(u64),
    Remove(u64),
    Rename,
    InDm(u64),
    EditInDm(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let who = 1u64..4;
    let back = 1u64..12;
    prop_oneof![
        6 => who.clone().prop_map(Step::Say),
        3 => (who.clone(), back.clone()).prop_map(|(a, b)| Step::Edit(a, b)),
        2 => (who.clone(), back.clone()).prop_map(|(a, b)| Step::Delete(a, b)),
        2 => who.clone().prop_map(Step::Add),
        1 => who.clone().prop_map(Step::Remove),
        1 => Just(Step::Rename),
        3 => who.clone().prop_map(Step::InDm),
        1 => (who, back).prop_map(|(a, b)| Step::EditInDm(a, b)),
    ]
}

/// A log of a channel, whose creator is user 1, and a DM; some of its entries are void.
pub(crate) fn any_log(steps: std::ops::Range<usize>) -> impl Strategy<Value = Log> {
    prop::collection::vec(step(), steps).prop_map(|steps| {
        let mut log = Log::new(StreamIndex(0));
        log.push(add(UserId(1), UserId(1), 1));
        for (n, step) in (2u64..).zip(steps) {
            let (stream, text) = (log.stream, format!("text {n}"));
            let target = |back: u64| n.saturating_sub(back);
            match step {
                Step::Say(who) => log.push(message(UserId(who), &text)),
                Step::Edit(who, b) => log.push(edit(UserId(who), target(b), stream, &text)),
                Step::Delete(who, b) => log.push(delete(UserId(who), target(b), stream)),
                Step::Add(who) => log.push(add(UserId(who), UserId(1), n)),
                Step::Remove(who) => log.push(remove(UserId(who), UserId(1), n)),
                Step::Rename => log.push(rename(n)),
                Step::InDm(who) => log.push_to(dm(), in_dm(message(UserId(who), &text))),
                Step::EditInDm(who, b) => {
                    log.push_to(dm(), in_dm(edit(UserId(who), target(b), stream, &text)));
                }
            }
        }
        log
    })
}

fn rename(revision: u64) -> Body {
    let name = ChannelName::parse("renamed").unwrap();
    let author_id = UserId(1);
    Body::ChannelUpdate(ChannelUpdate { conversation_id: CHANNEL, name, author_id, revision })
}

/// The same entry in another conversation.
pub(crate) fn moved(entry: &Entry, conversation_id: ConversationId) -> Entry {
    let body = match entry.body.clone() {
        Body::MessageCreate(b) => Body::MessageCreate(MessageCreate { conversation_id, ..b }),
        Body::MessageUpdate(b) => Body::MessageUpdate(MessageUpdate { conversation_id, ..b }),
        Body::MessageDelete(b) => Body::MessageDelete(MessageDelete { conversation_id, ..b }),
        Body::MemberAdd(b) => Body::MemberAdd(MemberChange { conversation_id, ..b }),
        Body::MemberRemove(b) => Body::MemberRemove(MemberChange { conversation_id, ..b }),
        Body::ChannelUpdate(b) => Body::ChannelUpdate(ChannelUpdate { conversation_id, ..b }),
        other @ Body::ChannelDelete(_) => other,
    };
    let payload = body.encode();
    Entry { body, payload, ..entry.clone() }
}

fn in_dm(body: Body) -> Body {
    let conversation_id = ConversationId(9);
    match body {
        Body::MessageCreate(b) => Body::MessageCreate(MessageCreate { conversation_id, ..b }),
        Body::MessageUpdate(b) => Body::MessageUpdate(MessageUpdate { conversation_id, ..b }),
        other => other,
    }
}
