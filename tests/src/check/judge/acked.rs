//! What was acknowledged is in the log as it was acknowledged, and counts.
//!
//! Invariant: judged from answers alone. That it is also in history and with every device follows from
//! `agreed` and `delivered`, which compare those with the log.

use super::story::{Asked, Fate};
use super::{Finding, Guarantee, Story};
use crate::check::record::{Entry, Kind, Op};

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let done = story.calls.iter().filter_map(|call| match call.fate {
        Fate::Done(id) => Some((call, id)),
        _ => None,
    });
    done.filter_map(|(call, id)| missing(story, call, id)).collect()
}

fn missing(story: &Story<'_>, call: &Asked<'_>, id: Option<u64>) -> Option<Finding> {
    let at = call.answered.map_or(call.index, |(index, _)| index);
    let person = call.person;
    let finding = |conversation: u64, what: String| {
        Finding::new(Guarantee::Acked, what).at(at).of(conversation).person(person)
    };
    let lacks = |conversation: u64, what: &str, is: &dyn Fn(&Entry) -> bool| {
        let log = story.logs.get(&conversation);
        let there =
            log.is_some_and(|log| log.valid().any(|entry| entry.author == person && is(entry)));
        let told =
            || finding(conversation, format!("{what} was acknowledged, and is not in the log"));
        (!there).then(told)
    };
    match call.op {
        Op::Send { conversation, nonce, content } => {
            let Some(id) = id else {
                return Some(finding(
                    *conversation,
                    "a message was acknowledged without its id".into(),
                ));
            };
            let held = story.logs.get(conversation).and_then(|log| log.entries.get(&id));
            let wrong = match held {
                None => "is not in the log",
                Some(held) if !held.valid => "does not count where it stands",
                Some(held) if held.entry.author != person => "is somebody else's",
                Some(held) if held.entry.nonce.as_ref() != Some(nonce) => "has another nonce",
                Some(held) if held.entry.content.as_ref() != Some(content) => "says something else",
                Some(_) => return None,
            };
            let what = format!("message {id} was acknowledged, and {wrong}");
            Some(finding(*conversation, what).entry(id))
        }
        Op::Edit { conversation, message, content } => {
            let what = format!("an edit of {message} to {content:?}");
            lacks(*conversation, &what, &|entry| {
                let same =
                    entry.message == Some(*message) && entry.content.as_ref() == Some(content);
                entry.kind == Kind::MessageUpdate && same
            })
        }
        Op::Delete { conversation, message } => {
            lacks(*conversation, &format!("a deletion of {message}"), &|entry| {
                entry.kind == Kind::MessageDelete && entry.message == Some(*message)
            })
        }
        Op::CreateChannel { name } => {
            let Some(id) = id else {
                return Some(Finding::new(Guarantee::Acked, format!("{name:?} has no id")).at(at));
            };
            lacks(id, &format!("channel {name:?}"), &|entry| {
                entry.kind == Kind::MemberAdd && entry.user == Some(person)
            })
        }
        Op::Rename { conversation, name } => {
            lacks(*conversation, &format!("the name {name:?}"), &|entry| {
                entry.kind == Kind::ChannelUpdate && entry.content.as_ref() == Some(name)
            })
        }
        Op::DeleteChannel { conversation } => {
            lacks(*conversation, "the end", &|entry| entry.kind == Kind::ChannelDelete)
        }
        Op::AddMember { conversation, user } | Op::RemoveMember { conversation, user } => {
            let there = super::changes::settled(story, *conversation, *user, u64::MAX)?;
            let log = story.logs.get(conversation)?;
            let (is, last) = (log.has(*user), super::changes::last(story, *conversation, *user)?);
            // Told once, of the change that was the last.
            let told = last == call.index && is != there;
            told.then(|| {
                let what =
                    format!("{user} was acknowledged as member: {there}, the log says: {is}");
                finding(*conversation, what)
            })
        }
        Op::OpenDm { .. } | Op::Read { .. } | Op::Profile { .. } | Op::Page { .. } => None,
    }
}
