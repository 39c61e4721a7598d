//! The protocol's rules of order on every connection of every device.
//!
//! Invariant: each device is followed over all its connections with the cursors it gave, so what comes
//! again after a reconnection is noticed too. What an entry says, and whether it should have come at
//! all, is judged elsewhere.

use std::collections::BTreeSet;

use super::{Finding, Guarantee, Story};
use crate::check::record::{Event, Kind, Shown, What};
use crate::client::cursors::{Cursors, Gap};

/// A device on its present connection.
#[derive(Default)]
struct Walk {
    cursors: Cursors,
    /// Conversations whose cursors were given and that READY has not shown.
    unseen: BTreeSet<u64>,
    gone: BTreeSet<u64>,
    ready: bool,
    resumed: bool,
}

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (&number, device) in &story.devices {
        let mut walk = Walk::default();
        for &index in &device.notes {
            let Some(note) = story.note(index) else { continue };
            let mut wrong = Vec::new();
            match &note.what {
                What::Opened { cursors, .. } => walk.opened(cursors.keys(), &mut wrong),
                What::Heard { event, .. } => walk.hear(story, device.person, event, &mut wrong),
                What::Paged { conversation, entries, done, .. } => {
                    for entry in entries {
                        if let Err(why) = walk.cursors.paged(*conversation, entry.id) {
                            wrong.push((*conversation, entry.id, format!("a page: {why}")));
                        }
                    }
                    if *done {
                        walk.cursors.paged_to_the_end(*conversation);
                    }
                }
                _ => {}
            }
            found.extend(wrong.into_iter().map(|(conversation, entry, what)| {
                let finding = Finding::new(Guarantee::Order, what).at(index).of(conversation);
                finding.entry(entry).person(device.person).device(number)
            }));
        }
    }
    found
}

/// What is wrong: where, with which entry, and why.
type Wrongs = Vec<(u64, u64, String)>;

impl Walk {
    fn opened<'c>(&mut self, given: impl Iterator<Item = &'c u64>, wrong: &mut Wrongs) {
        let _ = self.cursors.identify();
        let given: BTreeSet<u64> = given.copied().collect();
        let known: BTreeSet<u64> = self.cursors.conversations().collect();
        for conversation in known.symmetric_difference(&given) {
            let what = "the driver's cursors are not what it heard".to_owned();
            wrong.push((*conversation, 0, what));
        }
        (self.ready, self.resumed) = (false, false);
        self.unseen = given;
        self.gone.clear();
    }

    fn hear(&mut self, story: &Story<'_>, person: u64, event: &Event, wrong: &mut Wrongs) {
        let first = !self.ready;
        match event {
            Event::Ready { conversations, .. } => {
                self.ready(conversations, wrong);
                return;
            }
            Event::Resumed => self.resume(wrong),
            Event::Entry(entry) => {
                if let Err(why) = self.cursors.entry(entry.conversation, entry.id) {
                    wrong.push((entry.conversation, entry.id, why.to_string()));
                }
            }
            Event::Gap { conversation, from, to } => self.gap(*conversation, *from, *to, wrong),
            Event::ConversationAdd(shown) => self.add(story, person, shown, wrong),
            Event::ConversationRemove { conversation } => {
                self.unseen.remove(conversation);
                self.cursors.removed(*conversation);
                if !self.gone.insert(*conversation) {
                    wrong.push((*conversation, 0, "CONVERSATION_REMOVE twice".to_owned()));
                }
            }
            Event::Typing { conversation, .. } | Event::Read { conversation, .. } => {
                if self.gone.contains(conversation) {
                    let what = "spoken of after its CONVERSATION_REMOVE".to_owned();
                    wrong.push((*conversation, 0, what));
                }
            }
            Event::Malformed { why } => wrong.push((0, 0, format!("malformed: {why}"))),
            Event::Reconnect => return,
            Event::UserUpdate(_) | Event::Ack { .. } | Event::Nack { .. } | Event::Other { .. } => {
            }
        }
        if first {
            wrong.push((0, 0, format!("before READY: {event:?}")));
        }
    }

    fn ready(&mut self, conversations: &[Shown], wrong: &mut Wrongs) {
        if std::mem::replace(&mut self.ready, true) {
            wrong.push((0, 0, "READY twice".to_owned()));
        }
        let mut seen = BTreeSet::new();
        for shown in conversations {
            self.unseen.remove(&shown.conversation);
            self.cursors.shown(shown.conversation, shown.last);
            if !seen.insert(shown.conversation) {
                wrong.push((shown.conversation, 0, "READY lists it twice".to_owned()));
            }
        }
    }

    fn resume(&mut self, wrong: &mut Wrongs) {
        if std::mem::replace(&mut self.resumed, true) {
            wrong.push((0, 0, "RESUMED twice".to_owned()));
        }
        for conversation in std::mem::take(&mut self.unseen) {
            let what = "neither in READY nor taken away, though its cursor was given".to_owned();
            wrong.push((conversation, 0, what));
        }
    }

    fn gap(&mut self, conversation: u64, from: u64, to: u64, wrong: &mut Wrongs) {
        let cursor = self.cursors.cursor(conversation);
        if from == 0 && cursor.is_some_and(|cursor| cursor > 0) {
            let what = format!("a GAP from 0: {cursor:?} is taken for newer than everything");
            wrong.push((conversation, to, what));
        }
        if let Err(why) = self.cursors.gap(conversation, Gap { from, to }) {
            wrong.push((conversation, to, format!("GAP {from} to {to}: {why}")));
        }
    }

    fn add(&mut self, story: &Story<'_>, person: u64, shown: &Shown, wrong: &mut Wrongs) {
        let new = self.cursors.shown(shown.conversation, shown.last);
        self.unseen.remove(&shown.conversation);
        self.gone.remove(&shown.conversation);
        let Some(log) = story.logs.get(&shown.conversation).filter(|log| new && !log.dm) else {
            return;
        };
        // A new member's entries start with their own MEMBER_ADD.
        let last = shown.last.unwrap_or(0);
        let next = log.valid().find(|entry| entry.id > last);
        let own = |kind: Kind, user: Option<u64>| kind == Kind::MemberAdd && user == Some(person);
        if next.is_none_or(|next| !own(next.kind, next.user)) {
            let what = format!("shown from {last}, which is not just before their MEMBER_ADD");
            wrong.push((shown.conversation, last, what));
        }
    }
}
