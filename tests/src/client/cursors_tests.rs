//! Cursors against a small model of a server: whatever it replays, wherever the connection breaks,
//! whenever a gap is paged, every entry is received exactly once.

use proptest::prelude::*;
use serde_json::json;

use super::*;

const CHAT: u64 = 7;

fn at(cursor: u64) -> Cursors {
    let mut cursors = Cursors::default();
    assert!(cursors.shown(CHAT, Some(cursor)));
    cursors
}

#[test]
fn a_known_conversation_shown_again_keeps_its_cursor() {
    let mut cursors = at(5);
    assert!(!cursors.shown(CHAT, Some(90)));
    assert_eq!(cursors.cursor(CHAT), Some(5));
    assert_eq!(cursors.identify(), json!({ "7": "5" }));
}

#[test]
fn the_cursor_for_a_null_last_id_is_zero() {
    let mut cursors = Cursors::default();
    cursors.shown(CHAT, None);
    assert_eq!(cursors.identify(), json!({ "7": "0" }));
}

#[test]
fn an_entry_at_or_below_the_cursor_is_wrong() {
    let mut cursors = at(5);
    assert_eq!(cursors.entry(CHAT, 5), Err(Wrong::Again { cursor: 5 }));
    assert_eq!(cursors.entry(CHAT, 6), Ok(()));
    assert_eq!(cursors.entry(CHAT, 6), Err(Wrong::Again { cursor: 6 }));
    assert_eq!(cursors.entry(8, 1), Err(Wrong::Unknown));
}

#[test]
fn after_a_removal_nothing_is_known() {
    let mut cursors = at(5);
    assert!(cursors.removed(CHAT));
    assert_eq!(cursors.entry(CHAT, 6), Err(Wrong::Unknown));
    assert_eq!(cursors.identify(), json!({}));
}

#[test]
fn an_unpaged_gap_is_remembered_once_something_came_after_it() {
    let mut cursors = at(5);
    cursors.gap(CHAT, Gap { from: 5, to: 50 }).unwrap();
    cursors.entry(CHAT, 50).unwrap();
    assert_eq!(cursors.identify(), json!({ "7": "50" }));
    assert_eq!(cursors.next_gap(CHAT), Some(Gap { from: 5, to: 50 }));
}

#[test]
fn an_unpaged_gap_with_nothing_after_it_is_the_servers_again() {
    let mut cursors = at(5);
    cursors.gap(CHAT, Gap { from: 5, to: 50 }).unwrap();
    cursors.paged(CHAT, 9).unwrap();
    assert_eq!(cursors.identify(), json!({ "7": "9" }));
    assert_eq!(cursors.next_gap(CHAT), None);
}

#[test]
fn the_end_of_a_paged_gap_still_comes_as_an_event() {
    let mut cursors = at(5);
    cursors.gap(CHAT, Gap { from: 5, to: 50 }).unwrap();
    cursors.paged(CHAT, 9).unwrap();
    assert_eq!(cursors.paged(CHAT, 50), Err(Wrong::Outside(Gap { from: 9, to: 50 })));
    cursors.paged_to_the_end(CHAT);
    assert_eq!(cursors.cursor(CHAT), Some(49));
    assert_eq!(cursors.entry(CHAT, 50), Ok(()));
}

#[test]
fn nothing_comes_from_inside_a_gap() {
    let mut cursors = at(5);
    cursors.gap(CHAT, Gap { from: 5, to: 50 }).unwrap();
    assert_eq!(cursors.entry(CHAT, 49), Err(Wrong::Again { cursor: 49 }));
}

#[test]
fn a_gap_of_what_cannot_be_read_ends_above_all_that_is_known() {
    let mut cursors = at(5);
    cursors.gap(CHAT, Gap { from: 5, to: 50 }).unwrap();
    cursors.paged_to_the_end(CHAT);
    assert_eq!(cursors.entry(CHAT, 49), Err(Wrong::Again { cursor: 49 }));
    assert_eq!(cursors.entry(CHAT, 51), Ok(()));
}

#[test]
fn a_gap_starts_at_the_cursor() {
    assert_eq!(at(5).gap(CHAT, Gap { from: 6, to: 9 }), Err(Wrong::Skipped { wanted: 5 }));
    assert_eq!(at(5).gap(CHAT, Gap { from: 4, to: 9 }), Err(Wrong::Again { cursor: 5 }));
    assert_eq!(at(5).gap(CHAT, Gap { from: 5, to: 5 }), Err(Wrong::Backwards));
}

#[test]
fn a_cursor_above_the_newest_entry_starts_over() {
    let mut cursors = at(900);
    cursors.gap(CHAT, Gap { from: 0, to: 40 }).unwrap();
    assert_eq!(cursors.entry(CHAT, 40), Ok(()));
    assert_eq!(cursors.next_gap(CHAT), Some(Gap { from: 0, to: 40 }));
}

#[test]
fn a_gap_without_an_end_has_nothing_to_page() {
    let mut cursors = at(900);
    cursors.gap(CHAT, Gap { from: 0, to: 0 }).unwrap();
    assert_eq!((cursors.cursor(CHAT), cursors.owing()), (Some(0), None));
}

/// One connection of the model: what the log grew by before it, how long it lasts, and how the
/// client pages.
#[derive(Clone, Debug)]
struct Connection {
    grown: u64,
    events: usize,
    pages_at_once: bool,
    page_entries: usize,
}

fn connections() -> impl Strategy<Value = Vec<Connection>> {
    let one = (0..30_u64, 0..20_usize, any::<bool>(), 0..12_usize);
    let one = one.prop_map(|(grown, events, pages_at_once, page_entries)| Connection {
        grown,
        events,
        pages_at_once,
        page_entries,
    });
    prop::collection::vec(one, 1..12)
}

/// What a server with a replay bound of 10 and a newest page of 3 sends after a cursor.
fn answer(log: &[u64], cursor: u64) -> (Option<Gap>, Vec<u64>) {
    let after: Vec<u64> = log.iter().copied().filter(|&id| id > cursor).collect();
    if after.len() <= 10 {
        return (None, after);
    }
    let newest = after[after.len() - 3..].to_vec();
    (Some(Gap { from: cursor, to: newest[0] }), newest)
}

/// Pages at most `limit` entries of the remembered gaps; fewer when the connection breaks.
fn page(cursors: &mut Cursors, log: &[u64], limit: usize, got: &mut Vec<u64>) {
    let mut left = limit;
    while let Some(gap) = cursors.next_gap(CHAT) {
        for &id in log.iter().filter(|&&id| id > gap.from && id < gap.to) {
            if left == 0 {
                return;
            }
            left -= 1;
            cursors.paged(CHAT, id).unwrap();
            got.push(id);
        }
        cursors.paged_to_the_end(CHAT);
    }
}

proptest! {
    #[test]
    fn every_entry_is_received_exactly_once(connections in connections(), step in 1..5_u64) {
        let mut cursors = at(0);
        let (mut log, mut got) = (Vec::new(), Vec::new());
        let last = Connection { grown: 0, events: usize::MAX, pages_at_once: true, page_entries: 0 };
        for connection in connections.iter().chain([&last]) {
            for _ in 0..connection.grown {
                log.push(log.last().unwrap_or(&0) + step);
            }
            cursors.identify();
            let (gap, events) = answer(&log, cursors.cursor(CHAT).unwrap());
            let unbroken = connection.events > events.len();
            if let Some(gap) = gap {
                cursors.gap(CHAT, gap).unwrap();
            }
            if connection.pages_at_once {
                let limit = if unbroken { usize::MAX } else { connection.page_entries };
                page(&mut cursors, &log, limit, &mut got);
            }
            if unbroken || cursors.owing().is_none() || !connection.pages_at_once {
                for &id in events.iter().take(connection.events) {
                    cursors.entry(CHAT, id).unwrap();
                    got.push(id);
                }
            }
        }
        page(&mut cursors, &log, usize::MAX, &mut got);
        got.sort_unstable();
        prop_assert_eq!(got, log);
    }
}
