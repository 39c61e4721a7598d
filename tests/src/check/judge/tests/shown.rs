//! Documents, lists, counts, markers and names that are not what they should be.

use super::*;

#[test]
fn a_document_with_another_member() {
    breaks(Guarantee::Document, true, |notes, rng| {
        let there =
            |note: &Note| matches!(note.what, What::Seen(Seen::Channel { document: Ok(_), .. }));
        let Some(at) = place(notes, rng, there) else { return false };
        if let What::Seen(Seen::Channel { document: Ok(document), .. }) = &mut notes[at].what {
            document.members.push(u64::MAX);
        }
        true
    });
}

#[test]
fn a_list_without_a_conversation() {
    breaks(Guarantee::Document, true, |notes, rng| {
        let Some(old) = fresh(notes, rng, |shown| shown.last.is_some()) else { return false };
        for note in notes {
            if let What::Seen(Seen::Fresh { conversations: Ok(list), .. }) = &mut note.what
                && let Some(at) = list.iter().position(|shown| *shown == old)
            {
                list.remove(at);
                return true;
            }
        }
        false
    });
}

#[test]
fn a_count_that_is_wrong() {
    breaks(Guarantee::Unread, true, |notes, rng| {
        let Some(old) = fresh(notes, rng, |shown| shown.last.is_some()) else { return false };
        change_fresh(notes, &old, |shown| shown.unread += 1);
        true
    });
}

#[test]
fn a_marker_that_went_back() {
    breaks(Guarantee::Markers, true, |notes, rng| {
        let Some(old) = fresh(notes, rng, |shown| shown.read.is_some()) else { return false };
        change_fresh(notes, &old, |shown| shown.read = None);
        true
    });
}

#[test]
fn a_marker_is_as_it_was_last_known_while_its_store_is_away() {
    let marked = |note: &Note| match &note.what {
        What::Heard { event: Event::Ready { conversations, .. }, .. } => {
            conversations.iter().any(|shown| shown.read.is_some())
        }
        _ => false,
    };
    let mut told = 0;
    for seed in 0..SEEDS {
        let mut notes = play(seed).notes;
        let Some(at) = notes.iter().rposition(marked) else { continue };
        let What::Heard { connection, event: Event::Ready { conversations, .. } } =
            &mut notes[at].what
        else {
            continue;
        };
        for shown in conversations.iter_mut() {
            shown.read = None;
        }
        // Long after what was told before.
        let line = *connection;
        let opened = |note: &Note| matches!(note.what, What::Opened { connection, .. } if connection == line);
        let Some(from) = notes.iter().position(opened) else { continue };
        notes[from..].iter_mut().for_each(|note| note.at += 10_000_000);
        let markers =
            |notes: Vec<Note>| broken(&judge(&renumbered(notes))).contains(&Guarantee::Markers);
        told += u64::from(markers(notes.clone()));
        let (kind, target) = ("kill-store".to_owned(), "cassandra".to_owned());
        let what = What::FaultBegan { fault: u64::MAX, kind, target };
        notes.insert(1, Note { index: 0, at: notes[0].at, what });
        assert!(!markers(notes), "seed {seed}");
    }
    assert!(told > 0, "nothing was to be told in any run");
}

#[test]
fn a_name_that_is_stale() {
    breaks(Guarantee::Profiles, true, |notes, rng| {
        let there = |note: &Note| matches!(note.what, What::Seen(Seen::Profile { .. }));
        let Some(at) = place(notes, rng, there) else { return false };
        if let What::Seen(Seen::Profile { user, .. }) = &mut notes[at].what {
            user.display_name.push_str(" of old");
        }
        true
    });
}
