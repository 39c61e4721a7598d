//! Everything in the log was asked for, and as often: an unknown send is there once or not at all, a
//! refused one is not, and nothing is there that nobody did.
//!
//! Invariant: only what counts is looked at; a repetition that the log holds and that does not count
//! harms nobody.

use std::collections::BTreeMap;

use super::{Finding, Guarantee, Story};
use crate::check::record::{Entry, Kind, Op};

/// What makes two entries the same deed.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Deed<'a> {
    Message(u64, u64, &'a str),
    Edit(u64, u64, u64, &'a str),
    Deletion(u64, u64, u64),
    Added(u64, u64, u64),
    Removed(u64, u64, u64),
    Renamed(u64, u64, &'a str),
    Ended(u64, u64),
}

/// How often it was asked for: at all, and by calls that were not refused.
#[derive(Clone, Copy, Default)]
struct Asked {
    all: u64,
    perhaps: u64,
}

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut asked: BTreeMap<Deed<'_>, Asked> = BTreeMap::new();
    for call in &story.calls {
        if let Some(deed) = wish(call.person, call.op) {
            let known = asked.entry(deed).or_default();
            known.all += 1;
            known.perhaps += u64::from(call.may_be_done());
        }
    }
    let mut found = Vec::new();
    for (&conversation, log) in &story.logs {
        let mut there: BTreeMap<Deed<'_>, Vec<&Entry>> = BTreeMap::new();
        for entry in log.valid() {
            if let Some(deed) = deed(conversation, entry) {
                there.entry(deed).or_default().push(entry);
            }
        }
        for (deed, entries) in there {
            let Asked { all, perhaps } = asked.get(&deed).copied().unwrap_or_default();
            // A nonce names one message, however often it is sent.
            let most = if matches!(deed, Deed::Message(..)) { perhaps.min(1) } else { perhaps };
            // A channel's first entry adds its creator, which nobody asks for by itself.
            let made = entries.first().is_some_and(|first| {
                log.valid().next().is_some_and(|begin| begin.id == first.id) && log.owner.is_some()
            });
            let count = entries.len() as u64 - u64::from(made);
            let Some(last) = entries.last().filter(|_| count > most) else { continue };
            let times = if all == 0 {
                "and nobody asked for it".to_owned()
            } else if perhaps == 0 {
                "and was refused".to_owned()
            } else {
                let ids: Vec<u64> = entries.iter().map(|entry| entry.id).collect();
                format!("as {ids:?}, and was asked for {most} times")
            };
            let what = format!("{deed:?} is there {count} times, {times}");
            let finding = Finding::new(Guarantee::Made, what).of(conversation);
            found.push(finding.entry(last.id).person(last.author));
        }
    }
    found
}

fn wish(person: u64, op: &Op) -> Option<Deed<'_>> {
    Some(match op {
        Op::Send { conversation, nonce, .. } => Deed::Message(*conversation, person, nonce),
        Op::Edit { conversation, message, content } => {
            Deed::Edit(*conversation, person, *message, content)
        }
        Op::Delete { conversation, message } => Deed::Deletion(*conversation, person, *message),
        Op::AddMember { conversation, user } => Deed::Added(*conversation, person, *user),
        Op::RemoveMember { conversation, user } => Deed::Removed(*conversation, person, *user),
        Op::Rename { conversation, name } => Deed::Renamed(*conversation, person, name),
        Op::DeleteChannel { conversation } => Deed::Ended(*conversation, person),
        Op::CreateChannel { .. }
        | Op::OpenDm { .. }
        | Op::Read { .. }
        | Op::Profile { .. }
        | Op::Page { .. } => return None,
    })
}

fn deed(conversation: u64, entry: &Entry) -> Option<Deed<'_>> {
    let (author, content) = (entry.author, entry.content.as_deref().unwrap_or_default());
    Some(match entry.kind {
        Kind::MessageCreate => {
            Deed::Message(conversation, author, entry.nonce.as_deref().unwrap_or_default())
        }
        Kind::MessageUpdate => Deed::Edit(conversation, author, entry.message?, content),
        Kind::MessageDelete => Deed::Deletion(conversation, author, entry.message?),
        Kind::MemberAdd => Deed::Added(conversation, author, entry.user?),
        Kind::MemberRemove => Deed::Removed(conversation, author, entry.user?),
        Kind::ChannelUpdate => Deed::Renamed(conversation, author, content),
        Kind::ChannelDelete => Deed::Ended(conversation, author),
    })
}
