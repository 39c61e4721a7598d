//! What the acknowledged changes of membership settle.
//!
//! Invariant: something is settled only where no other change of the same membership was under way,
//! or may still be. Where calls overlap nobody was promised an order, so nothing is said.

use super::Story;
use super::story::{Asked, Fate};
use crate::check::record::Op;

/// Whether a call changes somebody's membership, and to what.
fn effect(call: &Asked<'_>, conversation: u64, user: u64) -> Option<bool> {
    match call.op {
        Op::AddMember { conversation: c, user: u } if (*c, *u) == (conversation, user) => {
            Some(true)
        }
        Op::RemoveMember { conversation: c, user: u } if (*c, *u) == (conversation, user) => {
            Some(false)
        }
        Op::DeleteChannel { conversation: c } if *c == conversation => Some(false),
        Op::CreateChannel { .. } if call.person == user => {
            (call.fate == Fate::Done(Some(conversation))).then_some(true)
        }
        _ => None,
    }
}

/// The last change that was acknowledged before a note, and asked for after all others were over.
fn deciding<'s, 'a>(
    story: &'s Story<'a>,
    conversation: u64,
    user: u64,
    before: u64,
) -> Option<(&'s Asked<'a>, bool)> {
    let changes = || {
        let asked = story.changes(conversation).filter(move |call| call.index < before);
        asked.filter_map(move |call| Some((call, effect(call, conversation, user)?)))
    };
    let done = changes().filter(|(call, _)| {
        matches!(call.fate, Fate::Done(_)) && call.over().is_some_and(|over| over < before)
    });
    let (last, is) = done.max_by_key(|(call, _)| call.index)?;
    let alone = changes().filter(|(call, _)| call.index != last.index && call.may_be_done()).all(
        |(call, _)| call.over().is_some_and(|over| over < last.index) && call.index < last.index,
    );
    alone.then_some((last, is))
}

/// Whether somebody certainly is a member, or certainly is none, at a note.
pub(super) fn settled(
    story: &Story<'_>,
    conversation: u64,
    user: u64,
    before: u64,
) -> Option<bool> {
    deciding(story, conversation, user, before).map(|(_, is)| is)
}

/// The note of the change that settles somebody's membership at the end.
pub(super) fn last(story: &Story<'_>, conversation: u64, user: u64) -> Option<u64> {
    deciding(story, conversation, user, u64::MAX).map(|(call, _)| call.index)
}
