//! Every device of every member has every entry, once, from where it was shown the conversation.
//!
//! Invariant: what a device must have is derived from the log and from where its conversations began and
//! ended for it, never from what others received. A device that never came back owes nothing after the
//! last that it received.

use std::collections::{BTreeMap, BTreeSet};

use super::{Finding, Guarantee, Story};
use crate::check::record::{Event, What};

/// A stretch of a conversation in which every entry must come.
#[derive(Debug, Default)]
struct Stretch {
    /// Entries start after this one.
    from: u64,
    closed: bool,
    /// Received, and how often beyond once.
    got: BTreeMap<u64, u64>,
    /// Left out by GAPs that are not paged to their end.
    owed: Vec<(u64, u64)>,
}

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for (&number, device) in &story.devices {
        // Whoever is back at rest has everything; others have no holes.
        let back = super::stuck::is_back(story, device);
        for (conversation, stretches) in stretches(story, &device.notes) {
            let Some(log) = story.logs.get(&conversation) else { continue };
            for stretch in stretches {
                let newest = stretch.got.keys().next_back().copied().unwrap_or(stretch.from);
                let to = if stretch.closed || !back { newest } else { u64::MAX };
                // What was taken away, with a channel that was deleted for example, cannot be paged.
                let pages = back && !stretch.closed;
                let owed = |id: u64| stretch.owed.iter().any(|&(a, b)| a < id && id < b);
                let finding = |id: u64, what: &str| {
                    let who = device.person;
                    let what = format!("device {number} of {who} {what} {id}");
                    let finding = Finding::new(Guarantee::Delivered, what).of(conversation);
                    finding.entry(id).person(who).device(number)
                };
                let wanted = log.valid().filter(|entry| entry.id > stretch.from && entry.id <= to);
                for entry in wanted {
                    if !stretch.got.contains_key(&entry.id) && (pages || !owed(entry.id)) {
                        found.push(finding(entry.id, "never received"));
                    }
                }
                for (&id, &again) in stretch.got.iter().filter(|(_, again)| **again > 0) {
                    found.push(finding(id, &format!("received {} times", again + 1)));
                }
            }
        }
    }
    found
}

fn stretches(story: &Story<'_>, notes: &[u64]) -> BTreeMap<u64, Vec<Stretch>> {
    let mut all: BTreeMap<u64, Vec<Stretch>> = BTreeMap::new();
    // What came again as an event is a matter of order, and told there.
    let mut events: BTreeSet<(u64, u64)> = BTreeSet::new();
    for &index in notes {
        let Some(note) = story.note(index) else { continue };
        match &note.what {
            What::Opened { .. } => {
                // A GAP that starts at the cursor is covered by what comes after the cursor.
                for stretch in all.values_mut().filter_map(|all| all.last_mut()) {
                    let newest = stretch.got.keys().next_back().copied().unwrap_or(stretch.from);
                    stretch.owed.retain(|&(from, _)| from < newest);
                }
            }
            What::Heard { event, .. } => match event {
                Event::Ready { conversations, .. } => {
                    for shown in conversations {
                        show(&mut all, shown.conversation, shown.last);
                    }
                }
                Event::ConversationAdd(shown) => show(&mut all, shown.conversation, shown.last),
                Event::ConversationRemove { conversation } => {
                    if let Some(stretch) = last(&mut all, *conversation) {
                        stretch.closed = true;
                    }
                }
                Event::Entry(entry) => {
                    let first = events.insert((entry.conversation, entry.id));
                    if let Some(stretch) = last(&mut all, entry.conversation) {
                        let again = stretch.got.entry(entry.id).or_default();
                        // Only a page may have brought it before.
                        *again += u64::from(!first && *again > 0);
                    }
                }
                Event::Gap { conversation, from, to } if *to > *from => {
                    if let Some(stretch) = last(&mut all, *conversation) {
                        stretch.owed.push((*from, *to));
                    }
                }
                _ => {}
            },
            What::Paged { conversation, to, entries, done, .. } => {
                if let Some(stretch) = last(&mut all, *conversation) {
                    for entry in entries {
                        let known = stretch.got.contains_key(&entry.id);
                        *stretch.got.entry(entry.id).or_default() += u64::from(known);
                    }
                    if *done {
                        stretch.owed.retain(|(_, end)| end != to);
                    }
                }
            }
            _ => {}
        }
    }
    all
}

fn show(all: &mut BTreeMap<u64, Vec<Stretch>>, conversation: u64, from: Option<u64>) {
    let stretches = all.entry(conversation).or_default();
    if stretches.last().is_none_or(|stretch| stretch.closed) {
        stretches.push(Stretch { from: from.unwrap_or(0), ..Stretch::default() });
    }
}

fn last(all: &mut BTreeMap<u64, Vec<Stretch>>, conversation: u64) -> Option<&mut Stretch> {
    all.get_mut(&conversation)?.last_mut().filter(|stretch| !stretch.closed)
}
