//! The truth: one log of a few channels, and what history says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bus_schema::entry::{Body, Entry, MemberChange, MessageCreate, MessageDelete, MessageUpdate};
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::subjects::LogSubject;
use bus_schema::text::Content;
use bus_schema::timestamp::Timestamp;
use bus_schema::verdict::{Membership, MembershipEvent, Target, Verdict};
use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::follow::fetch::Fetched;
use crate::follow::item::Item;

pub(super) const CHATS: usize = 3;
pub(super) const STREAM: StreamIndex = StreamIndex(0);
/// Whose devices are looked at: the creator of every channel.
pub(super) const OWNER: UserId = UserId(1);
/// Comes and goes; what they write while they are gone is void.
const GUEST: UserId = UserId(2);

pub(super) const fn id_of(chat: usize) -> ConversationId {
    ConversationId(100 + chat as u64)
}

pub(super) const fn place_of(chat: usize) -> LogSubject {
    LogSubject::Channel(id_of(chat))
}

/// One of all entries.
pub(super) struct Written {
    /// The channel; one above all followed for what concerns nobody here.
    pub(super) chat: usize,
    pub(super) entry: Entry,
    pub(super) predecessor: u64,
    at: u64,
}

#[derive(Default)]
struct Chat {
    membership: Option<Membership>,
    messages: BTreeMap<u64, Target>,
    events: Vec<MembershipEvent>,
    /// As history shows them.
    valid: BTreeMap<u64, Arc<Item>>,
}

#[derive(Default)]
pub(super) struct Log {
    written: Vec<Written>,
    chats: [Chat; CHATS],
    last: [u64; CHATS + 1],
    /// The stream holds nothing up to here any more.
    pub(super) trimmed: u64,
}

impl Log {
    pub(super) const fn end(&self) -> u64 {
        self.written.len() as u64
    }

    pub(super) fn get(&self, sequence: u64) -> &Written {
        &self.written[usize::try_from(sequence).unwrap() - 1]
    }

    /// The sequences of a chat's valid entries in a range that excludes `after`.
    pub(super) fn valid(&self, chat: usize, after: u64, through: u64) -> BTreeSet<u64> {
        let range = after + 1..through.max(after).saturating_add(1);
        self.chats[chat].valid.range(range).map(|(sequence, _)| *sequence).collect()
    }

    /// What the stream still says of the entry before one.
    pub(super) fn header(&self, sequence: u64) -> u64 {
        Some(self.get(sequence).predecessor).filter(|before| *before > self.trimmed).unwrap_or(0)
    }

    /// The stream forgets what is older than a time.
    pub(super) fn trim(&mut self, before: u64) {
        self.trimmed = self.written.partition_point(|written| written.at < before) as u64;
    }

    /// The first entry of a channel.
    pub(super) fn found(&mut self, chat: usize, now: u64) {
        let (conversation_id, user_id, author_id) = (id_of(chat), OWNER, OWNER);
        self.chats[chat].membership = Some(Membership::at_start(place_of(chat)));
        self.append(
            chat,
            now,
            Body::MemberAdd(MemberChange { conversation_id, user_id, author_id, revision: 1 }),
        );
    }

    /// Somebody writes something somewhere.
    pub(super) fn write(&mut self, random: &mut StdRng, now: u64) -> u64 {
        let chat = random.random_range(0..=CHATS);
        let body = self.body(random, chat);
        self.append(chat, now, body)
    }

    fn body(&self, random: &mut StdRng, chat: usize) -> Body {
        let conversation_id = id_of(chat);
        let content = Content::parse("x").unwrap();
        let author_id = if random.random_ratio(1, 3) { GUEST } else { OWNER };
        let message = |author_id, content| {
            Body::MessageCreate(MessageCreate {
                conversation_id,
                author_id,
                content,
                edited_at: None,
                nonce: None,
            })
        };
        let Some(known) = self.chats.get(chat) else { return message(OWNER, content) };
        let nth = random.random_range(0..known.messages.len().max(1));
        let target = known.messages.keys().nth(nth).map(|sequence| EntryId::new(*sequence, STREAM));
        match (random.random_range(0..20), target, &known.membership) {
            (0..=1, Some(message_id), _) => Body::MessageUpdate(MessageUpdate {
                conversation_id,
                message_id,
                content,
                author_id,
            }),
            (2..=3, Some(message_id), _) => {
                Body::MessageDelete(MessageDelete { conversation_id, message_id, author_id })
            }
            (4..=6, _, Some(membership)) => {
                let revision = membership.revision + 1;
                let change =
                    MemberChange { conversation_id, user_id: GUEST, author_id: OWNER, revision };
                if membership.contains(GUEST) {
                    Body::MemberRemove(change)
                } else {
                    Body::MemberAdd(change)
                }
            }
            _ => message(author_id, content),
        }
    }

    fn append(&mut self, chat: usize, now: u64, body: Body) -> u64 {
        let sequence = self.end() + 1;
        let predecessor = std::mem::replace(&mut self.last[chat], sequence);
        let payload = body.encode();
        let id = EntryId::new(sequence, STREAM);
        let entry = Entry { id, at: Timestamp::from_millis(0), body, payload };
        if let Some(chat) = self.chats.get_mut(chat) {
            chat.take(&entry);
        }
        self.written.push(Written { chat, entry, predecessor, at: now });
        sequence
    }

    /// Every entry of a chat as the stream has it, in a range that excludes `after`.
    pub(super) fn raw(&self, chat: usize, after: u64, through: u64) -> Vec<Entry> {
        let range = (after + 1..=through).map(|sequence| self.get(sequence));
        range.filter(|written| written.chat == chat).map(|written| written.entry.clone()).collect()
    }

    /// What a worker that has read up to `read` answers.
    pub(super) fn range(
        &self,
        chat: usize,
        after: Option<u64>,
        read: u64,
        limit: usize,
        membership: bool,
    ) -> Fetched {
        let (valid, events) = (&self.chats[chat].valid, &self.chats[chat].events);
        let known: Vec<_> = valid
            .range(after.unwrap_or(0) + 1..=read.max(after.unwrap_or(0) + 1))
            .filter(|(s, _)| **s <= read)
            .collect();
        let more = known.len() > limit;
        let left_out = if after.is_none() { known.len().saturating_sub(limit) } else { 0 };
        let items: Vec<_> =
            known.into_iter().skip(left_out).take(limit).map(|(_, item)| item.clone()).collect();
        let last = items.last().map(|item| item.sequence()).filter(|_| more && after.is_some());
        let through = last.unwrap_or(read);
        let membership = membership.then(|| {
            let mut membership = Membership::at_start(place_of(chat));
            let known = events.iter().filter(|event| event.id.sequence() <= through);
            known.for_each(|event| membership.apply_event(*event));
            membership
        });
        Fetched { through, more, items, membership }
    }
}

impl Chat {
    fn take(&mut self, entry: &Entry) {
        let Some(membership) = &mut self.membership else { return };
        let target = entry.body.target().map_or(Target::Unknown, |id| {
            self.messages.get(&id.sequence()).copied().unwrap_or(Target::Missing)
        });
        if membership.judge(&entry.body, target) != Verdict::Valid {
            return;
        }
        membership.apply(entry);
        self.events.extend(MembershipEvent::of(entry));
        let sequence = entry.id.sequence();
        match &entry.body {
            Body::MessageCreate(message) => {
                self.messages
                    .insert(sequence, Target::Found { author: message.author_id, deleted: false });
            }
            Body::MessageDelete(gone) => {
                let message = gone.message_id.sequence();
                if let Some(Target::Found { deleted, .. }) = self.messages.get_mut(&message) {
                    *deleted = true;
                }
                if let Some(item) = self.valid.get_mut(&message) {
                    *item = Item::new(item.entry.clone().emptied().unwrap());
                }
            }
            _ => {}
        }
        self.valid.insert(sequence, Item::new(entry.clone()));
    }
}
