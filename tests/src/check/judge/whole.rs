//! The record says enough: it ran to its rest, everything was observed there, nobody was forgotten.
//!
//! Invariant: a run that was cut short, or a driver that forgot to look, is never called clean.

use std::collections::BTreeSet;

use super::{Finding, Guarantee, Story};
use crate::check::record::{Event, Op, Seen, What};

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut lacks = |what: String| found.push(Finding::new(Guarantee::Whole, what));
    let began = matches!(story.record.notes.first().map(|n| &n.what), Some(What::Began { .. }));
    if !began || story.calm.is_none() || story.rest.is_none() {
        lacks("the run has no beginning, no calm or no rest".to_owned());
    }
    let ordered = |(place, note): (usize, &crate::check::record::Note)| note.index == place as u64;
    if !story.record.notes.iter().enumerate().all(ordered) {
        lacks("notes are missing, or not in their order".to_owned());
    }
    let mut seen = BTreeSet::new();
    let (mut read, mut shown, mut streams) = (BTreeSet::new(), BTreeSet::new(), 0);
    for note in &story.record.notes {
        match &note.what {
            What::Seen(Seen::Fresh { person, .. }) => _ = seen.insert(*person),
            What::Seen(Seen::Entries { conversation, pages: Ok(_), .. }) => {
                read.insert(*conversation);
            }
            What::Seen(Seen::History { conversation, pages: Ok(_), .. }) => {
                shown.insert(*conversation);
            }
            What::Seen(Seen::Stream { .. }) => streams += 1,
            _ => {}
        }
    }
    if streams == 0 {
        lacks("no log stream was read".to_owned());
    }
    for person in story.people.keys().filter(|person| !seen.contains(person)) {
        lacks(format!("nobody looked at what {person} is shown on a new device"));
    }
    for (conversation, log) in &story.logs {
        let readable = log.deleted.is_none() && log.valid().next().is_some();
        if readable && !(read.contains(conversation) && shown.contains(conversation)) {
            lacks(format!("nobody read {conversation} to its end"));
        }
    }
    found.extend(cursors(story));
    found
}

/// A driver that gives cursors other than what it heard makes every other verdict worthless.
fn cursors(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for call in &story.calls {
        if let Op::Page { .. } = call.op
            && call.connection.is_some()
        {
            let what = "pages are not asked for on sockets".to_owned();
            found.push(Finding::new(Guarantee::Whole, what).at(call.index));
        }
    }
    for note in &story.record.notes {
        if let What::Heard { connection, event } = &note.what
            && !matches!(event, Event::Reconnect)
            && !story.lines.contains_key(connection)
        {
            let what = format!("something was heard on {connection}, which nobody opened");
            found.push(Finding::new(Guarantee::Whole, what).at(note.index));
        }
    }
    found
}
