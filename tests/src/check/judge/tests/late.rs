//! What comes late, or can come no more, and is no fault.

use std::collections::BTreeMap;

use super::*;

/// Later than anything may lag.
const LONG_US: u64 = 10_000_000;

/// The device of every connection.
fn devices(notes: &[Note]) -> BTreeMap<u64, u64> {
    let opened = notes.iter().filter_map(|note| match note.what {
        What::Opened { connection, device, .. } => Some((connection, device)),
        _ => None,
    });
    opened.collect()
}

/// Whether a conversation is taken away from a device after a place in the record.
fn is_taken_away(notes: &[Note], after: usize, (of, from): (u64, u64)) -> bool {
    let devices = devices(notes);
    notes[after..].iter().any(|note| match &note.what {
        What::Heard { connection, event: Event::ConversationRemove { conversation } } => {
            *conversation == from && devices.get(connection) == Some(&of)
        }
        _ => false,
    })
}

#[test]
fn a_gap_is_owed_until_its_conversation_is_taken_away() {
    let (mut owed, mut gone) = (0, 0);
    for seed in 0..SEEDS {
        let whole = play(seed).notes;
        for at in 0..whole.len() {
            let What::Paged { device, conversation, .. } = whole[at].what else { continue };
            let taken = is_taken_away(&whole, at, (device, conversation));
            let mut notes = whole.clone();
            notes.remove(at);
            let missed = broken(&judge(&renumbered(notes))).contains(&Guarantee::Delivered);
            assert!(!(missed && taken), "seed {seed}: the GAP at {at} could not be paged");
            owed += u64::from(missed);
            gone += u64::from(taken);
        }
    }
    assert!(owed > 0 && gone > 0, "{owed} owed, {gone} gone");
}

/// Every connection that lives at rest, with each conversation that it was shown at its start and has
/// still, and the marker that it was told last.
fn markers(notes: &[Note]) -> Vec<(u64, u64, Option<u64>)> {
    let mut open = BTreeMap::new();
    for note in notes.iter().take_while(|note| note.what != What::Rest) {
        match &note.what {
            What::Heard { connection, event: Event::Ready { conversations, .. } } => {
                for shown in conversations {
                    open.insert((*connection, shown.conversation), shown.read);
                }
            }
            What::Heard { connection, event: Event::ConversationRemove { conversation } } => {
                open.remove(&(*connection, *conversation));
            }
            What::Heard { connection, event: Event::Read { conversation, id } } => {
                open.insert((*connection, *conversation), Some(*id));
            }
            What::Closed { connection, .. } => open.retain(|(one, _), _| one != connection),
            _ => {}
        }
    }
    open.into_iter().map(|((connection, place), read)| (connection, place, read)).collect()
}

/// Whether it is a fault that a connection hears of a marker long after everything else.
fn is_back(mut notes: Vec<Note>, connection: u64, conversation: u64, id: u64) -> bool {
    let Some(rest) = notes.iter().position(|note| note.what == What::Rest) else { return false };
    notes[rest..].iter_mut().for_each(|note| note.at += LONG_US);
    let what = What::Heard { connection, event: Event::Read { conversation, id } };
    notes.insert(rest, Note { index: 0, at: notes[rest].at, what });
    broken(&judge(&renumbered(notes))).contains(&Guarantee::Markers)
}

#[test]
fn a_marker_goes_back_for_who_was_told_of_a_later_one_there() {
    let (mut back, mut late) = (0, 0);
    for seed in 0..SEEDS {
        let notes = play(seed).notes;
        for (connection, conversation, read) in markers(&notes) {
            let Some(read) = read else { continue };
            assert!(is_back(notes.clone(), connection, conversation, read - 1), "seed {seed}");
            back += 1;
            // It may have moved on meanwhile, for others.
            assert!(!is_back(notes.clone(), connection, conversation, read), "seed {seed}");
            let moved = |note: &Note| match &note.what {
                What::Seen(Seen::Fresh { conversations: Ok(all), .. }) => {
                    all.iter().any(|now| now.conversation == conversation && now.read > Some(read))
                }
                _ => false,
            };
            late += u64::from(notes.iter().any(moved));
        }
    }
    assert!(back > 0 && late > 0, "{back} back, {late} late");
}
