//! A 2xx answer or an ACK means that every later request, on any edge, sees it.
//!
//! Invariant: "later" is an IDENTIFY that was sent after the answer was read. Names, markers and counts,
//! which may lag, are judged elsewhere.

use std::collections::BTreeMap;

use super::story::Fate;
use super::{Finding, Guarantee, Story, changes};
use crate::check::record::{Event, Op, What};

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    // In the order of the notes: what is acknowledged so far, by conversation.
    let mut acks: Vec<(u64, u64, u64)> = Vec::new();
    for call in &story.calls {
        if let (Op::Send { conversation, .. }, Fate::Done(Some(id))) = (call.op, call.fate)
            && let Some((answered, _)) = call.answered
        {
            acks.push((answered, *conversation, id));
        }
    }
    acks.sort_unstable();
    let mut opened: Vec<_> = story.lines.values().filter(|line| line.ready.is_some()).collect();
    opened.sort_unstable_by_key(|line| line.opened);
    let (mut next, mut newest) = (0, BTreeMap::<u64, u64>::new());
    for line in opened {
        while let Some(&(answered, conversation, id)) = acks.get(next)
            && answered < line.opened.0
        {
            let known = newest.entry(conversation).or_default();
            *known = (*known).max(id);
            next += 1;
        }
        let Some((ready, _)) = line.ready else { continue };
        let Some(What::Heard { event: Event::Ready { conversations, .. }, .. }) =
            story.note(ready).map(|note| &note.what)
        else {
            continue;
        };
        let mut tell = |conversation: u64, entry: Option<u64>, what: String| {
            let finding = Finding::new(Guarantee::Visible, what).at(ready).of(conversation);
            let finding = finding.person(line.person).device(line.device);
            found.push(Finding { entry, ..finding });
        };
        for shown in conversations {
            let acked = newest.get(&shown.conversation).copied().unwrap_or(0);
            if shown.last.unwrap_or(0) < acked {
                let what = format!("READY shows {:?}, {acked} was acknowledged", shown.last);
                tell(shown.conversation, Some(acked), what);
            }
        }
        for (&conversation, log) in &story.logs {
            if log.dm {
                continue;
            }
            // Settled when IDENTIFY was sent, and still when READY came.
            let before = changes::settled(story, conversation, line.person, line.opened.0);
            let after = changes::settled(story, conversation, line.person, ready);
            let listed = conversations.iter().any(|shown| shown.conversation == conversation);
            if before.is_some() && before == after && before != Some(listed) {
                let is = if listed { "lists" } else { "does not list" };
                tell(
                    conversation,
                    None,
                    format!("READY {is} it, a change that was answered says otherwise"),
                );
            }
        }
    }
    found
}
