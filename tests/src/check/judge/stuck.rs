//! Nobody is stuck: within [`PROGRESS_WITHIN_S`] of the end of all faults, everybody is served again, is
//! connected, and has everything.
//!
//! Invariant: the time runs from the latest of the end of the faults, the entry and the connection that
//! it came on; before that nothing is owed.

use super::story::{Device, Fate};
use super::{Finding, Guarantee, PROGRESS_WITHIN_S, Story};
use crate::check::record::{Event, Op, Seen, What};

const WITHIN_US: u64 = PROGRESS_WITHIN_S * 1_000_000;

/// Whether a device was connected, and had resumed, when everything was at rest.
pub(super) fn is_back(story: &Story<'_>, device: &Device) -> bool {
    let Some((rest, _)) = story.rest else { return false };
    let line = story.lines.get(&device.last);
    !device.retired
        && line.is_some_and(|line| {
            let open = line.closed.is_none_or(|closed| closed > rest);
            open && line.resumed.is_some_and(|(resumed, _)| resumed < rest)
        })
}

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let Some((_, calm)) = story.calm else { return Vec::new() };
    let mut found = refusals(story, calm);
    for (&number, device) in &story.devices {
        if !device.retired && !is_back(story, device) {
            let what = format!("device {number} of {} is not back at rest", device.person);
            let finding = Finding::new(Guarantee::Progress, what).device(number);
            found.push(finding.person(device.person));
        }
    }
    for line in story.lines.values() {
        let owed = line.opened.1.max(calm).saturating_add(WITHIN_US);
        if let Some((index, at)) = line.resumed
            && at > owed
        {
            let what =
                format!("RESUMED came {} s after IDENTIFY", (at - line.opened.1) / 1_000_000);
            let finding = Finding::new(Guarantee::Progress, what).at(index);
            found.push(finding.person(line.person).device(line.device));
        }
    }
    for note in &story.record.notes {
        let What::Heard { connection, event: Event::Entry(entry) } = &note.what else { continue };
        let Some(line) = story.lines.get(connection) else { continue };
        let since = entry.at.saturating_sub(story.unix).max(calm).max(line.opened.1);
        if note.at > since.saturating_add(WITHIN_US) {
            let late = (note.at - since) / 1_000_000;
            let what = format!("{} came to {} after {late} s", entry.id, line.person);
            let finding = Finding::new(Guarantee::Progress, what).at(note.index);
            let finding = finding.of(entry.conversation).entry(entry.id);
            found.push(finding.person(line.person).device(line.device));
        }
    }
    found
}

/// What was refused, or not answered, though nothing was wrong any more.
fn refusals(story: &Story<'_>, calm: u64) -> Vec<Finding> {
    let mut found = Vec::new();
    for call in &story.calls {
        let silent = matches!(call.op, Op::Read { .. }) && call.connection.is_some();
        let why = match call.fate {
            Fate::Refused(code @ ("unavailable" | "timeout")) => code,
            Fate::Unknown if !silent => "nothing certain",
            _ => continue,
        };
        if call.at > calm.saturating_add(WITHIN_US) {
            let what = format!("{} asks for {:?} and gets {why}", call.person, call.op);
            let finding = Finding::new(Guarantee::Progress, what).at(call.index);
            found.push(finding.person(call.person));
        }
    }
    for note in &story.record.notes {
        let What::Seen(seen) = &note.what else { continue };
        let (person, code) = match seen {
            Seen::Entries { person, pages: Err(code), .. }
            | Seen::History { person, pages: Err(code), .. }
            | Seen::Channel { person, document: Err(code), .. }
            | Seen::Fresh { person, conversations: Err(code), .. } => (*person, code),
            _ => continue,
        };
        if code != "not_found" {
            let what = format!("{person} is answered {code} at rest");
            let finding = Finding::new(Guarantee::Progress, what).at(note.index);
            found.push(finding.person(person));
        }
    }
    found
}
