//! The judge says nothing of correct runs, and names what was broken in the others.

mod late;
mod platform;
mod shown;

use std::collections::BTreeSet;

use proptest::prelude::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::{Guarantee, Judgement, Story, judge};
use crate::check::record::{Answer, Entry, Event, Kind, Note, Op, Record, Seen, Shown, What};
use platform::play;

/// A change of a record; false if it has nothing that could be changed so.
type Mutation = fn(&mut Vec<Note>, &mut StdRng) -> bool;

/// Seeds tried for each mutation; at least one in [`SOME`] must have something to change.
const SEEDS: u64 = 60;
const SOME: u64 = 4;

fn renumbered(mut notes: Vec<Note>) -> Record {
    for (index, note) in (0..).zip(&mut notes) {
        note.index = index;
    }
    Record { notes }
}

fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

fn broken(judgement: &Judgement) -> BTreeSet<Guarantee> {
    judgement.broken.keys().copied().collect()
}

/// Every mutated run breaks this guarantee and, if `alone`, no other.
fn breaks(wanted: Guarantee, alone: bool, mutation: Mutation) {
    let mut changed = 0;
    for seed in 0..SEEDS {
        let mut notes = play(seed).notes;
        if !mutation(&mut notes, &mut StdRng::seed_from_u64(seed)) {
            continue;
        }
        changed += 1;
        let judgement = judge(&renumbered(notes));
        let broken = broken(&judgement);
        assert!(broken.contains(&wanted), "seed {seed}: {wanted:?} is not told: {judgement}");
        assert!(!alone || broken.len() == 1, "seed {seed}: more than {wanted:?}: {judgement}");
        assert!(!judgement.explained.is_empty());
    }
    assert!(changed * SOME >= SEEDS, "only {changed} of {SEEDS} runs could be changed");
}

/// A connection is given an entry just before all is at rest.
fn hears_at_last(notes: &mut Vec<Note>, connection: u64, entry: Entry) -> bool {
    let rest = notes.iter().position(|note| note.what == What::Rest);
    rest.is_some_and(|rest| {
        let what = What::Heard { connection, event: Event::Entry(entry) };
        notes.insert(rest, Note { index: 0, at: notes[rest].at, what });
        true
    })
}

/// A random place where something holds.
fn place(notes: &[Note], rng: &mut StdRng, wanted: impl Fn(&Note) -> bool) -> Option<usize> {
    let places: Vec<usize> = (0..notes.len()).filter(|&i| wanted(&notes[i])).collect();
    places.choose(rng).copied()
}

fn entry(note: &Note) -> Option<(u64, &Entry)> {
    match &note.what {
        What::Heard { connection, event: Event::Entry(entry) } => Some((*connection, entry)),
        _ => None,
    }
}

/// An entry that is followed by another of its conversation on its connection: both places.
fn pair(notes: &[Note], rng: &mut StdRng) -> Option<(usize, usize)> {
    let next = |at: usize| {
        let (line, first) = entry(&notes[at])?;
        let of = |note: &Note| match &note.what {
            What::Heard { connection, event } if *connection == line => match event {
                Event::Entry(entry) => entry.conversation == first.conversation,
                Event::Gap { conversation, .. } | Event::ConversationRemove { conversation } => {
                    *conversation == first.conversation
                }
                _ => false,
            },
            What::Closed { connection, .. } => *connection == line,
            _ => false,
        };
        let found = (at + 1..notes.len()).find(|&i| of(&notes[i]))?;
        entry(&notes[found]).map(|_| (at, found))
    };
    let pairs: Vec<_> = (0..notes.len()).filter_map(next).collect();
    pairs.choose(rng).copied()
}

fn fresh(notes: &mut [Note], rng: &mut StdRng, wanted: fn(&Shown) -> bool) -> Option<Shown> {
    let at = place(notes, rng, |note| match &note.what {
        What::Seen(Seen::Fresh { conversations: Ok(list), .. }) => list.iter().any(wanted),
        _ => false,
    })?;
    let What::Seen(Seen::Fresh { conversations: Ok(list), .. }) = &notes[at].what else {
        return None;
    };
    list.iter().find(|shown| wanted(shown)).cloned()
}

fn change_fresh(notes: &mut [Note], old: &Shown, change: impl Fn(&mut Shown)) {
    for note in notes {
        if let What::Seen(Seen::Fresh { conversations: Ok(list), .. }) = &mut note.what
            && let Some(shown) = list.iter_mut().find(|shown| *shown == old)
        {
            change(shown);
            return;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_correct_run_is_clean(seed in any::<u64>()) {
        let record = play(seed);
        let judgement = judge(&record);
        prop_assert!(judgement.is_clean(), "{judgement}");
        prop_assert!(judgement.counts.acked > 0 && judgement.counts.received > 0);
    }
}

#[test]
fn correct_runs_have_everything_that_could_go_wrong() {
    let mut counts = [0; 6];
    for seed in 0..SEEDS {
        let record = play(seed);
        let story = Story::read(&record);
        let has = |what: fn(&What) -> bool| record.notes.iter().any(|note| what(&note.what));
        let looks = [
            story.counts().void > 0,
            story.counts().unknown > 0,
            story.counts().resumed > 0,
            has(|what| matches!(what, What::Paged { .. })),
            has(|what| matches!(what, What::Heard { event: Event::ConversationRemove { .. }, .. })),
            story.dms.keys().any(|dm| story.logs[dm].valid().next().is_some()),
        ];
        for (count, there) in counts.iter_mut().zip(looks) {
            *count += u64::from(there);
        }
    }
    assert!(counts.iter().all(|&count| count * SOME >= SEEDS), "{counts:?}");
}

#[test]
fn an_entry_that_a_device_missed() {
    breaks(Guarantee::Delivered, true, |notes, rng| {
        let Some((at, _)) = pair(notes, rng) else { return false };
        // The one that a GAP names is missed there, too.
        let named = matches!(notes[at - 1].what, What::Paged { .. });
        if !named {
            notes.remove(at);
        }
        !named
    });
}

#[test]
fn an_entry_that_came_twice() {
    breaks(Guarantee::Order, true, |notes, rng| {
        let Some(at) = place(notes, rng, |note| entry(note).is_some()) else { return false };
        notes.insert(at, notes[at].clone());
        true
    });
}

#[test]
fn two_entries_that_changed_places() {
    breaks(Guarantee::Order, false, |notes, rng| {
        let Some((first, second)) = pair(notes, rng) else { return false };
        let what = notes[first].what.clone();
        notes[first].what = std::mem::replace(&mut notes[second].what, what);
        true
    });
}

#[test]
fn an_entry_that_says_something_else() {
    breaks(Guarantee::Agreed, true, |notes, rng| {
        let says = |note: &Note| entry(note).is_some_and(|(_, e)| e.kind == Kind::MessageCreate);
        let Some(at) = place(notes, rng, says) else { return false };
        if let What::Heard { event: Event::Entry(entry), .. } = &mut notes[at].what {
            entry.content = Some("never said".to_owned());
        }
        true
    });
}

#[test]
fn a_page_of_history_without_a_message() {
    breaks(Guarantee::Agreed, true, |notes, rng| {
        let full = |note: &Note| match &note.what {
            What::Seen(Seen::History { pages: Ok(messages), .. }) => !messages.is_empty(),
            _ => false,
        };
        let Some(at) = place(notes, rng, full) else { return false };
        if let What::Seen(Seen::History { pages: Ok(messages), .. }) = &mut notes[at].what {
            messages.remove(rng.random_range(0..messages.len()));
        }
        true
    });
}

#[test]
fn an_entry_received_after_a_removal() {
    breaks(Guarantee::Removed, true, |notes, rng| {
        let record = Record { notes: notes.clone() };
        let story = Story::read(&record);
        let mut leaks = Vec::new();
        for (&number, line) in &story.lines {
            let (Some((resumed, _)), None) = (line.resumed, line.closed) else { continue };
            for log in story.logs.values() {
                let removed = log.spans_of(line.person).last().and_then(|span| span.to);
                let Some(removed) = removed.filter(|_| log.deleted.is_none()) else { continue };
                let late = log.valid().find(|entry| entry.id > removed);
                leaks.extend(late.map(|entry| (resumed, number, entry.clone())));
            }
        }
        let Some((_, connection, entry)) = leaks.choose(rng).cloned() else { return false };
        hears_at_last(notes, connection, entry)
    });
}

#[test]
fn a_void_entry_that_was_shown() {
    breaks(Guarantee::Void, true, |notes, rng| {
        let record = Record { notes: notes.clone() };
        let story = Story::read(&record);
        let mut shown = Vec::new();
        for (&number, line) in story.lines.iter().filter(|(_, line)| line.closed.is_none()) {
            for log in story.logs.values().filter(|log| log.has(line.person)) {
                let void = log.entries.values().find(|held| !held.valid);
                let void = void.filter(|v| log.may_see(line.person, v.entry.id, u64::MAX - 1_000));
                shown.extend(void.map(|held| (number, held.entry.clone())));
            }
        }
        let Some((connection, entry)) = shown.choose(rng).cloned() else { return false };
        hears_at_last(notes, connection, entry)
    });
}

#[test]
fn a_message_that_was_acknowledged_otherwise() {
    breaks(Guarantee::Acked, true, |notes, rng| {
        let record = Record { notes: notes.clone() };
        let story = Story::read(&record);
        let acked = story.calls.iter().filter(|call| {
            matches!(call.op, Op::Send { .. }) && matches!(call.fate, super::story::Fate::Done(_))
        });
        let acked: Vec<u64> = acked.map(|call| call.index).collect();
        let Some(&at) = acked.choose(rng) else { return false };
        if let What::Asked { op: Op::Send { content, .. }, .. } = &mut notes[index(at)].what {
            content.push('!');
        }
        true
    });
}

#[test]
fn a_message_that_nobody_sent() {
    breaks(Guarantee::Made, true, |notes, rng| {
        let record = Record { notes: notes.clone() };
        let story = Story::read(&record);
        let unknown = story.calls.iter().filter(|call| match call.op {
            Op::Send { conversation, nonce, .. } => {
                let log = story.logs.get(conversation);
                call.fate == super::story::Fate::Unknown
                    && log.is_some_and(|log| log.valid().any(|e| e.nonce.as_ref() == Some(nonce)))
            }
            _ => false,
        });
        let unknown: Vec<u64> = unknown.map(|call| call.index).collect();
        let Some(&at) = unknown.choose(rng) else { return false };
        if let What::Asked { op: Op::Send { nonce, .. }, .. } = &mut notes[index(at)].what {
            nonce.push('!');
        }
        true
    });
}

#[test]
fn a_refused_message_that_is_there() {
    breaks(Guarantee::Made, false, |notes, rng| {
        let sent = |note: &Note| matches!(&note.what, What::Heard { event: Event::Ack { .. }, .. });
        let Some(at) = place(notes, rng, sent) else { return false };
        if let What::Heard { event, .. } = &mut notes[at].what
            && let Event::Ack { nonce, .. } = event
        {
            *event = Event::Nack { nonce: Some(nonce.clone()), code: "unavailable".to_owned() };
        }
        true
    });
}

#[test]
fn an_answer_that_ready_does_not_show() {
    breaks(Guarantee::Visible, true, |notes, rng| {
        let record = Record { notes: notes.clone() };
        let story = Story::read(&record);
        let mut places = Vec::new();
        for line in story.lines.values() {
            let acked = |conversation: u64| {
                story.calls.iter().any(|call| {
                    let (index, _) = call.answered.unwrap_or((u64::MAX, 0));
                    matches!(call.op, Op::Send { conversation: c, .. } if *c == conversation)
                        && matches!(call.fate, super::story::Fate::Done(_))
                        && index < line.opened.0
                })
            };
            let known = line.cursors.keys().copied().filter(|&c| acked(c));
            places.extend(
                line.ready.into_iter().flat_map(|(at, _)| known.clone().map(move |c| (at, c))),
            );
        }
        let listed = |(at, conversation): &&(u64, u64)| match &notes[index(*at)].what {
            What::Heard { event: Event::Ready { conversations, .. }, .. } => {
                conversations.iter().any(|shown| shown.conversation == *conversation)
            }
            _ => false,
        };
        let places: Vec<_> = places.iter().filter(listed).copied().collect();
        let Some(&(at, conversation)) = places.choose(rng) else { return false };
        if let What::Heard { event: Event::Ready { conversations, .. }, .. } =
            &mut notes[index(at)].what
        {
            for shown in conversations.iter_mut().filter(|s| s.conversation == conversation) {
                shown.last = None;
            }
        }
        true
    });
}

#[test]
fn a_refusal_long_after_the_faults() {
    breaks(Guarantee::Progress, true, |notes, _| {
        let Some(rest) = notes.iter().position(|note| note.what == What::Rest) else {
            return false;
        };
        let at = notes[rest].at;
        let op = Op::OpenDm { user: 1 };
        let asked = What::Asked { call: u64::MAX, person: 2, connection: None, edge: 0, op };
        let answer = Answer::Refused("unavailable".to_owned());
        let answered = What::Answered { call: u64::MAX, answer };
        notes.insert(rest, Note { index: 0, at, what: answered });
        notes.insert(rest, Note { index: 0, at, what: asked });
        true
    });
}

#[test]
fn an_entry_that_came_late() {
    breaks(Guarantee::Progress, true, |notes, _| {
        let Some(calm) = notes.iter().position(|note| note.what == What::Calm) else {
            return false;
        };
        let Some(late) = (calm..notes.len()).find(|&at| entry(&notes[at]).is_some()) else {
            return false;
        };
        notes[late..].iter_mut().for_each(|note| note.at += 40_000_000);
        true
    });
}

#[test]
fn a_device_that_is_not_back() {
    breaks(Guarantee::Progress, true, |notes, rng| {
        let rest = notes.iter().position(|note| note.what == What::Rest).unwrap_or(0);
        let resumed = |note: &Note| matches!(note.what, What::Heard { event: Event::Resumed, .. });
        let Some(at) = place(&notes[..rest], rng, resumed) else { return false };
        let What::Heard { connection: line, .. } = notes[at].what else { return false };
        let closed = |note: &Note| matches!(note.what, What::Closed { connection, .. } if connection == line);
        if notes.iter().any(closed) {
            return false;
        }
        let what = What::Closed { connection: line, code: Some(4000), wished: false };
        notes.insert(rest, Note { index: 0, at: notes[rest].at, what });
        true
    });
}

#[test]
fn an_event_before_ready() {
    breaks(Guarantee::Order, false, |notes, rng| {
        let ready =
            |note: &Note| matches!(note.what, What::Heard { event: Event::Ready { .. }, .. });
        let Some(at) = place(notes, rng, ready) else { return false };
        let What::Heard { connection, .. } = notes[at].what else { return false };
        let what = What::Heard { connection, event: Event::Resumed };
        notes.insert(at, Note { index: 0, at: notes[at].at, what });
        true
    });
}

#[test]
fn a_run_that_was_cut_short() {
    breaks(Guarantee::Whole, false, |notes, _| {
        let length = notes.len();
        notes.truncate(length / 2);
        true
    });
}
