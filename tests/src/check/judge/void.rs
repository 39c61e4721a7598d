//! What does not count is shown to nobody: above all what somebody wrote after their removal.
//!
//! Invariant: the verdict is that of `log`, derived anew; what the platform made of it is not asked.

use super::{Finding, Guarantee, Story};
use crate::check::record::{Answer, Event, Op, Seen, What};

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut asked = std::collections::BTreeMap::new();
    for call in &story.calls {
        if let Op::Page { conversation, .. } = call.op
            && let Some((index, _)) = call.answered
        {
            asked.insert(index, (*conversation, call.person));
        }
    }
    for note in &story.record.notes {
        let mut look = |conversation: u64, id: u64, person: u64, whom: &str| {
            let held = story.logs.get(&conversation).and_then(|log| log.entries.get(&id));
            if let Some(held) = held.filter(|held| !held.valid) {
                let entry = held.entry;
                let (kind, by) = (entry.kind, entry.author);
                let what = format!("{kind:?} {id} by {by} does not count, and is shown {whom}");
                let finding = Finding::new(Guarantee::Void, what).at(note.index);
                found.push(finding.of(conversation).entry(id).person(person));
            }
        };
        match &note.what {
            What::Heard { connection, event: Event::Entry(entry) } => {
                let person = story.lines.get(connection).map_or(0, |line| line.person);
                look(entry.conversation, entry.id, person, &format!("to {person}"));
            }
            What::Paged { device, conversation, entries, .. } => {
                let person = story.devices.get(device).map_or(0, |device| device.person);
                for entry in entries {
                    look(*conversation, entry.id, person, "in a GAP");
                }
            }
            What::Answered { answer, .. } => {
                let Some(&(conversation, person)) = asked.get(&note.index) else { continue };
                let ids: Vec<u64> = match answer {
                    Answer::Entries(entries) => entries.iter().map(|entry| entry.id).collect(),
                    Answer::Messages(messages) => messages.iter().map(|m| m.id).collect(),
                    _ => continue,
                };
                for id in &ids {
                    look(conversation, *id, person, "on a page");
                }
            }
            What::Seen(Seen::Entries { person, conversation, pages: Ok(entries) }) => {
                for e in entries {
                    look(*conversation, e.id, *person, "in /entries");
                }
            }
            What::Seen(Seen::History { person, conversation, pages: Ok(messages), .. }) => {
                for m in messages {
                    look(*conversation, m.id, *person, "in history");
                }
            }
            _ => {}
        }
    }
    found
}
