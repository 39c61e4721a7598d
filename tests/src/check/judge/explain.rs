//! The smallest explanation of a finding: the entry's life, who has it and who not, and what happened
//! around it.
//!
//! Invariant: it only reads the record; every line names its note, so that more can be looked up there.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Finding, Story};
use crate::check::record::{Event, Note, Op, Seen, What};

/// Notes of the same conversation or device that are shown before and after.
const AROUND: usize = 4;

pub(super) fn explain(story: &Story<'_>, finding: &Finding) -> String {
    let mut out = format!("\n{}: {}\n", finding.guarantee.words(), finding.what);
    let Some(conversation) = finding.conversation else {
        around(story, finding, finding.index, &mut out);
        return out;
    };
    let mut place = finding.index;
    if let Some(entry) = finding.entry.filter(|&entry| entry > 0) {
        place = life(story, conversation, entry, &mut out).or(place);
        received(story, conversation, entry, &mut out);
    }
    around(story, finding, finding.index.or(place), &mut out);
    out
}

/// Who asked for the entry, what the log has, and where it first showed.
fn life(story: &Story<'_>, conversation: u64, id: u64, out: &mut String) -> Option<u64> {
    let held = story.logs.get(&conversation).and_then(|log| log.entries.get(&id));
    match held {
        None => _ = writeln!(out, "  the log has no {id} in {conversation}"),
        Some(held) => {
            let counts = if held.valid { "counts" } else { "does not count" };
            let (kind, author) = (held.entry.kind, held.entry.author);
            let content = held.entry.content.as_deref().unwrap_or_default();
            let at = held.entry.at.saturating_sub(story.unix);
            let (stream, sequence) = (id % 1024, id / 1024);
            let _ = writeln!(
                out,
                "  {kind:?} {id} (LOG_{stream}, {sequence}) of {conversation} by {author} {content:?}, \
                 stored at {}, {counts}",
                seconds(at)
            );
        }
    }
    let nonce = held.and_then(|held| held.entry.nonce.as_deref());
    let mut place = None;
    for call in &story.calls {
        let ours = match call.op {
            Op::Send { nonce: n, .. } => Some(n.as_str()) == nonce,
            Op::Edit { content, .. } => {
                held.is_some_and(|held| held.entry.content.as_ref() == Some(content))
            }
            _ => false,
        };
        if ours {
            let answered = call.answered.map(|(index, at)| format!("#{index} {}", seconds(at)));
            let _ = writeln!(
                out,
                "  asked for by {} at #{} {}: {:?} {}",
                call.person,
                call.index,
                seconds(call.at),
                call.fate,
                answered.unwrap_or_default()
            );
            place = Some(call.index);
        }
    }
    place
}

/// Who received the entry, and which devices that are back did not.
fn received(story: &Story<'_>, conversation: u64, id: u64, out: &mut String) {
    let mut got: BTreeSet<u64> = BTreeSet::new();
    for (&number, device) in &story.devices {
        let has =
            device.notes.iter().filter_map(|&index| story.note(index)).any(|note| {
                match &note.what {
                    What::Heard { event: Event::Entry(entry), .. } => {
                        (entry.conversation, entry.id) == (conversation, id)
                    }
                    What::Paged { conversation: c, entries, .. } => {
                        *c == conversation && entries.iter().any(|entry| entry.id == id)
                    }
                    _ => false,
                }
            });
        if has {
            got.insert(number);
        }
    }
    let entitled = |person: u64| {
        story.logs.get(&conversation).is_some_and(|log| log.may_see(person, id, u64::MAX - 1_000))
    };
    let lack = story.devices.iter().filter(|(number, device)| {
        !got.contains(number) && entitled(device.person) && super::stuck::is_back(story, device)
    });
    let lack: Vec<String> =
        lack.map(|(number, device)| format!("{number} of {}", device.person)).collect();
    let _ = writeln!(out, "  received by {} devices; not by {lack:?}", got.len());
}

/// The notes around a place that concern the same conversation or device, and the faults then.
fn around(story: &Story<'_>, finding: &Finding, place: Option<u64>, out: &mut String) {
    let Some(place) = place else { return };
    let mut faults: BTreeSet<(u64, String)> = BTreeSet::new();
    let mut lately = Vec::new();
    for note in story.record.notes.iter().take_while(|note| note.index <= place) {
        match &note.what {
            What::FaultBegan { fault, kind, target } => {
                faults.insert((*fault, format!("{kind} {target}")));
                lately.push((note.at, format!("{kind} {target}")));
            }
            What::FaultEnded { fault } => faults.retain(|(other, _)| other != fault),
            _ => {}
        }
    }
    for (_, fault) in &faults {
        let _ = writeln!(out, "  fault then: {fault}");
    }
    if let Some((at, fault)) = lately.last() {
        let _ = writeln!(out, "  last fault before: {} {fault}", seconds(*at));
    }
    let concerns = |note: &&Note| concerns(story, finding, note);
    let notes = &story.record.notes;
    let (before, after) = notes.split_at(usize::try_from(place).unwrap_or(0).min(notes.len()));
    let mut shown: Vec<&Note> = before.iter().rev().filter(concerns).take(AROUND).collect();
    shown.reverse();
    shown
        .extend(after.iter().filter(|note| concerns(note) || note.index == place).take(AROUND + 1));
    for note in shown {
        let mark = if note.index == place { '>' } else { ' ' };
        let mut text = format!("{:?}", note.what);
        if text.chars().count() > 220 {
            text = text.chars().take(219).chain(['…']).collect();
        }
        let _ = writeln!(out, "  {mark} #{} {} {text}", note.index, seconds(note.at));
    }
}

fn concerns(story: &Story<'_>, finding: &Finding, note: &Note) -> bool {
    let ours = |conversation: u64| finding.conversation == Some(conversation);
    let device = |connection: &u64| {
        let line = story.lines.get(connection);
        finding.device.is_none_or(|device| line.is_some_and(|line| line.device == device))
    };
    match &note.what {
        What::Asked {
            op:
                Op::Send { conversation, .. }
                | Op::Edit { conversation, .. }
                | Op::Delete { conversation, .. }
                | Op::AddMember { conversation, .. }
                | Op::RemoveMember { conversation, .. }
                | Op::Rename { conversation, .. }
                | Op::DeleteChannel { conversation },
            ..
        }
        | What::Seen(Seen::Channel { conversation, .. }) => ours(*conversation),
        What::Opened { connection, .. } | What::Closed { connection, .. } => {
            finding.device.is_some() && device(connection)
        }
        What::Heard { connection, event } => match event {
            Event::Entry(entry) => ours(entry.conversation) && device(connection),
            Event::Gap { conversation, .. } | Event::ConversationRemove { conversation } => {
                ours(*conversation) && device(connection)
            }
            Event::ConversationAdd(shown) => ours(shown.conversation) && device(connection),
            Event::Resumed => finding.device.is_some() && device(connection),
            _ => false,
        },
        What::Paged { device, conversation, .. } => {
            ours(*conversation) && finding.device.is_none_or(|other| other == *device)
        }
        What::FaultBegan { .. } | What::FaultEnded { .. } => true,
        _ => false,
    }
}

fn seconds(at: u64) -> String {
    format!("{}.{:03} s", at / 1_000_000, at % 1_000_000 / 1_000)
}
