//! Who was removed at R receives nothing later than R, live, by resuming or from history, until added.
//!
//! Invariant: judged by the log's order and the log's times, which are those of one machine here: an
//! entry that somebody was no member for is theirs only once they have been added again.

use super::log::Log;
use super::story::Fate;
use super::{Finding, Guarantee, Story, changes};
use crate::check::record::{Answer, Event, Op, Seen, What};

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut call = std::collections::BTreeMap::new();
    for note in &story.record.notes {
        let mut look = |person: u64, conversation: u64, id: u64, how: &str, device: Option<u64>| {
            let log = story.logs.get(&conversation);
            let leaked = |log: &&Log<'_>| {
                log.entries.contains_key(&id) && !log.may_see(person, id, story.wall(note.at))
            };
            if let Some(log) = log.filter(leaked) {
                let since = log.spans_of(person).iter().rev().find_map(|span| span.to);
                let what = format!("{person} got {id} {how}, removed at {since:?}");
                let finding = Finding::new(Guarantee::Removed, what).at(note.index);
                let finding = finding.of(conversation).entry(id).person(person);
                found.push(Finding { device, ..finding });
            }
        };
        match &note.what {
            What::Heard { connection, event: Event::Entry(entry) } => {
                if let Some(line) = story.lines.get(connection) {
                    let how = if line.resumed.is_some_and(|(at, _)| at < note.index) {
                        "live"
                    } else {
                        "by resuming"
                    };
                    look(line.person, entry.conversation, entry.id, how, Some(line.device));
                }
            }
            What::Paged { device, conversation, entries, .. } => {
                let person = story.devices.get(device).map_or(0, |device| device.person);
                for entry in entries {
                    look(person, *conversation, entry.id, "by paging a GAP", Some(*device));
                }
            }
            What::Asked { call: number, person, op: Op::Page { conversation, .. }, .. } => {
                call.insert(*number, (*person, *conversation, note.index));
            }
            What::Answered { call: number, answer } => {
                let Some(&(person, conversation, _)) = call.get(number) else { continue };
                let ids: Vec<u64> = match answer {
                    Answer::Entries(entries) => entries.iter().map(|entry| entry.id).collect(),
                    Answer::Messages(messages) => messages.iter().map(|m| m.id).collect(),
                    _ => continue,
                };
                for id in &ids {
                    look(person, conversation, *id, "from history", None);
                }
            }
            What::Seen(Seen::Entries { person, conversation, pages: Ok(entries) }) => {
                for e in entries {
                    look(*person, *conversation, e.id, "at rest", None);
                }
            }
            What::Seen(Seen::History { person, conversation, pages: Ok(messages), .. }) => {
                for m in messages {
                    look(*person, *conversation, m.id, "at rest", None);
                }
            }
            _ => {}
        }
    }
    found.extend(admitted(story));
    found
}

/// Once a removal was answered, reading is refused at once.
fn admitted(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for call in &story.calls {
        let (Op::Page { conversation, .. }, Fate::Done(_)) = (call.op, call.fate) else { continue };
        let settled = changes::settled(story, *conversation, call.person, call.index);
        let Some((answered, _)) = call.answered else { continue };
        // Added again while the page was read?
        let still = changes::settled(story, *conversation, call.person, answered);
        if settled == Some(false) && still == Some(false) {
            let what = format!("{} reads though their removal was answered", call.person);
            let finding = Finding::new(Guarantee::Removed, what).at(answered);
            found.push(finding.of(*conversation).person(call.person));
        }
    }
    found
}
