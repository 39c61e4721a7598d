use bus_schema::entry::{Body, Entry, MessageCreate};
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::text::Content;
use bus_schema::timestamp::Timestamp;
use proptest::prelude::*;

use super::*;

const ROOM: usize = 1024 * 1024;

fn message(sequence: u64) -> Arc<Item> {
    let body = Body::MessageCreate(MessageCreate {
        conversation_id: ConversationId(1),
        author_id: UserId(7),
        content: Content::parse("x").unwrap(),
        edited_at: None,
        nonce: None,
    });
    let payload = body.encode();
    let id = EntryId::new(sequence, StreamIndex(0));
    Item::new(Entry { id, at: Timestamp::from_millis(0), body, payload })
}

/// What history answers about a log: up to `limit` entries, and through where.
fn fetch(log: &[u64], after: u64, limit: usize, end: u64) -> Page {
    let rest: Vec<_> = log.iter().copied().filter(|s| *s > after && *s <= end).collect();
    let given: Vec<_> = rest.iter().copied().take(limit).collect();
    let through = if given.len() < rest.len() { *given.last().unwrap() } else { end };
    Page { after, through, items: given.into_iter().map(message).collect() }
}

fn pages() -> Pages {
    Pages::new(Shelf::new(ROOM))
}

#[tokio::test(start_paused = true)]
async fn is_kept_for_as_long_as_it_is_asked_for() {
    let mut pages = pages();
    pages.keep(fetch(&[1, 2, 3], 0, 10, 5), 0);
    for _ in 0..3 {
        tokio::time::advance(KEPT / 2).await;
        pages.forget();
        assert!(pages.after(1, 10, 5).is_some());
    }
    tokio::time::advance(KEPT).await;
    assert_eq!(pages.until(), Some(Instant::now()));
    pages.forget();
    assert!(pages.after(1, 10, 5).is_none() && pages.until().is_none());
    assert_eq!(pages.shelf.taken.load(Ordering::Acquire), 0);
}

#[tokio::test]
async fn what_was_asked_for_before_a_deletion_is_not_kept() {
    let mut pages = pages();
    let before = pages.generation();
    pages.keep(fetch(&[1, 2], 0, 10, 2), before);
    pages.keep(fetch(&[5, 6], 4, 10, 6), before);
    pages.deleted(2);
    assert!(pages.after(0, 10, 9).is_none());
    assert!(pages.after(4, 10, 9).is_some());
    pages.keep(fetch(&[1, 2], 0, 10, 2), before);
    assert!(pages.after(0, 10, 9).is_none());
    pages.keep(fetch(&[1, 2], 0, 10, 2), pages.generation());
    assert!(pages.after(0, 10, 9).is_some());
}

#[tokio::test]
async fn room_and_number_are_bounded() {
    let shelf = Shelf::new(fetch(&[1], 0, 1, 1).bytes());
    let (mut first, mut second) = (Pages::new(shelf.clone()), Pages::new(shelf.clone()));
    first.keep(fetch(&[1], 0, 1, 1), 0);
    second.keep(fetch(&[1], 0, 1, 1), 0);
    assert!(first.after(0, 1, 1).is_some() && second.after(0, 1, 1).is_none());
    drop(first);
    assert_eq!(shelf.taken.load(Ordering::Acquire), 0);
    let mut many = pages();
    for at in 0..100 {
        many.keep(fetch(&[at + 1], at, 1, at + 1), 0);
    }
    assert_eq!(many.kept.len(), PAGES);
}

proptest! {
    /// Whoever pulls from any cursor, in any pieces, with pages coming and going, gets the log up
    /// to the position, each entry once and in order, and always gets on.
    #[test]
    fn pulls_are_the_log(
        steps in prop::collection::vec(1u64..4, 1..60),
        cursors in prop::collection::vec(0u64..120, 1..12),
        (limit, fetched) in (1usize..9, 1usize..20),
        behind in 0u64..30,
    ) {
        let log: Vec<u64> = steps.iter().scan(0, |at, step| { *at += step; Some(*at) }).collect();
        let end = log.last().copied().unwrap_or(0);
        // History may be ahead of the conversation's own position.
        let position = end.saturating_sub(behind);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        let mut pages = pages();
        for cursor in cursors {
            let mut at = cursor;
            let mut got = Vec::new();
            while at < position {
                let cut = if let Some(cut) = pages.after(at, limit, position) {
                    cut
                } else {
                    let page = fetch(&log, at, fetched, end);
                    pages.keep(page, pages.generation());
                    pages.after(at, limit, position).unwrap()
                };
                prop_assert!(cut.reached > at && cut.items.len() <= limit);
                at = cut.reached;
                got.extend(cut.items.iter().map(|item| item.sequence()));
            }
            let wanted = log.iter().copied().filter(|s| *s > cursor && *s <= position);
            prop_assert_eq!(got, wanted.collect::<Vec<_>>());
        }
    }
}
