//! Read markers never move back, and unread counts are right at rest.
//!
//! Invariant: a marker may lag by [`LAG_US`], and is judged against what was told longer ago than that:
//! in a list, anybody; in an event, that connection. What an edge or a client heard late comes late, in
//! its order, and moves nothing back for who has only that.
//! While Cassandra is away, lists show what the worker asked last knew (a limit that the documents
//! name), so what is shown meanwhile is not judged; at rest everything is.

use std::collections::BTreeMap;

use super::story::Fate;
use super::{Finding, Guarantee, Story};
use crate::check::record::{Event, Kind, Op, Seen, Shown, What};

/// Markers and counts in lists may lag by that long.
const LAG_US: u64 = 2_000_000;
/// A store that is started again serves by then.
const STARTS_US: u64 = 60_000_000;
/// The store that keeps markers.
const KEEPER: &str = "cassandra";
/// Counts go no further.
const UNREAD_MAX: u64 = 100;

/// Something known of a marker: it stood here, as of that time.
#[derive(Clone, Copy)]
struct Stood {
    at: u64,
    id: u64,
}

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut stood: BTreeMap<(u64, u64), Vec<Stood>> = BTreeMap::new();
    for call in &story.calls {
        if let (Op::Read { conversation, id }, Fate::Done(_)) = (call.op, call.fate)
            && let Some((_, at)) = call.answered
        {
            stood.entry((call.person, *conversation)).or_default().push(Stood { at, id: *id });
        }
    }
    for (&conversation, log) in story.logs.iter().filter(|(_, log)| !log.dm) {
        // A new member has read up to their own MEMBER_ADD.
        for (&user, spans) in &log.spans {
            let own =
                spans.iter().map(|s| Stood { at: s.at.saturating_sub(story.unix), id: s.from });
            stood.entry((user, conversation)).or_default().extend(own);
        }
    }
    let mut told: BTreeMap<(u64, u64), Vec<Stood>> = BTreeMap::new();
    let mut found = Vec::new();
    let away = away(story);
    // Notes are in the order of time, so what is shown is compared with what was known before.
    for note in &story.record.notes {
        let (person, on, since, list): (u64, Option<u64>, u64, &[Shown]) = match &note.what {
            What::Heard { connection, event } => {
                let Some(line) = story.lines.get(connection) else { continue };
                if away.iter().any(|&(from, to)| (from..to).contains(&note.at)) {
                    continue;
                }
                match event {
                    Event::Ready { conversations, .. } => {
                        (line.person, Some(*connection), line.opened.1, conversations)
                    }
                    Event::Read { conversation, id } => {
                        let here = told.entry((*connection, *conversation)).or_default();
                        if let Some(before) = ahead(here, note.at, *id) {
                            found.push(back(note.index, line.person, *conversation, *id, before));
                        }
                        let now = Stood { at: note.at, id: *id };
                        here.push(now);
                        stood.entry((line.person, *conversation)).or_default().push(now);
                        continue;
                    }
                    _ => continue,
                }
            }
            What::Seen(Seen::Fresh { person, conversations: Ok(list), .. }) => {
                (*person, None, note.at, list)
            }
            _ => continue,
        };
        for shown in list {
            let known = stood.entry((person, shown.conversation)).or_default();
            let id = shown.read.unwrap_or(0);
            if let Some(before) = ahead(known, since, id) {
                found.push(back(note.index, person, shown.conversation, id, before));
            }
            let now = Stood { at: note.at, id };
            known.push(now);
            if let Some(connection) = on {
                told.entry((connection, shown.conversation)).or_default().push(now);
            }
        }
    }
    found
}

/// When the store that keeps markers was away.
fn away(story: &Story<'_>) -> Vec<(u64, u64)> {
    let mut open = BTreeMap::new();
    let mut away = Vec::new();
    for note in &story.record.notes {
        match &note.what {
            What::FaultBegan { fault, target, .. } if target == KEEPER => {
                open.insert(*fault, note.at);
            }
            What::FaultEnded { fault } => {
                let began = open.remove(fault);
                away.extend(began.map(|from| (from, note.at.saturating_add(STARTS_US))));
            }
            _ => {}
        }
    }
    away.extend(open.into_values().map(|from| (from, u64::MAX)));
    away
}

/// Where the marker stood, if it was ahead of that id long enough before.
fn ahead(known: &[Stood], at: u64, id: u64) -> Option<u64> {
    let sure = known.iter().filter(|stood| stood.at.saturating_add(LAG_US) < at && stood.id > id);
    sure.map(|stood| stood.id).max()
}

fn back(index: u64, person: u64, conversation: u64, id: u64, before: u64) -> Finding {
    let what = format!("the marker of {person} is shown at {id}, and stood at {before}");
    Finding::new(Guarantee::Markers, what).at(index).of(conversation).entry(id).person(person)
}

/// Unread counts at rest.
pub(super) fn judge_unread(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for note in &story.record.notes {
        let What::Seen(Seen::Fresh { person, conversations: Ok(list), .. }) = &note.what else {
            continue;
        };
        for shown in list {
            let Some(log) = story.logs.get(&shown.conversation) else { continue };
            let read = shown.read.unwrap_or(0);
            let unread = log.valid().filter(|entry| {
                let message = entry.kind == Kind::MessageCreate && entry.author != *person;
                message && entry.id > read && log.deletion(entry.id).is_none()
            });
            let wanted = (unread.count() as u64).min(UNREAD_MAX);
            if shown.unread != wanted {
                let has = shown.unread;
                let what =
                    format!("{person} is shown {has} unread after {read}, there are {wanted}");
                let finding = Finding::new(Guarantee::Unread, what).at(note.index);
                found.push(finding.of(shown.conversation).person(*person));
            }
        }
    }
    found
}
