//! What every [`HistoryStore`] must do, and a model of it: all entries in one list, judged one by
//! one.
//!
//! Each function expects an empty store.

pub(crate) mod model;
pub(crate) mod sparse;

use bus_schema::entry::{Entry, EntryKind};
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::limits::UNREAD_MAX;
use bus_schema::timestamp::Timestamp;

use self::model::{CHANNEL, Log, add, delete, edit, message, remove};
use crate::store::history::*;

const STREAM: StreamIndex = StreamIndex(3);
const ANN: UserId = UserId(11);
const BOB: UserId = UserId(12);

fn range(after: Option<u64>, limit: u32) -> RangeQuery {
    RangeQuery { conversation: CHANNEL, after, upto: 1_000, limit, bytes: 1 << 20, events: false }
}

fn page(anchor: Anchor, older: u32, newer: u32) -> PageQuery {
    PageQuery { conversation: CHANNEL, anchor, older, newer }
}

fn seqs(rows: &Rows<MessageRecord>) -> Vec<u64> {
    rows.rows.iter().map(|m| m.seq).collect()
}

/// A channel of two with eight messages; 5 is edited twice, 6 deleted.
fn story() -> Vec<Entry> {
    let mut log = Log::new(STREAM);
    log.push(add(ANN, ANN, 1)); // 1
    log.push(add(BOB, ANN, 2)); // 2
    for n in 3..=10 {
        log.push(message(if n % 2 == 0 { ANN } else { BOB }, &format!("m{n}")));
    }
    log.push(edit(BOB, 5, STREAM, "first")); // 11
    log.push(edit(BOB, 5, STREAM, "second")); // 12
    log.push(delete(ANN, 6, STREAM)); // 13
    log.push(remove(BOB, ANN, 3)); // 14
    log.valid()
}

/// Everything that is the same whatever was stored before.
pub(crate) async fn run(store: &dyn HistoryStore) {
    assert_eq!(store.floor(STREAM).await.unwrap(), 0);
    store.write_batch(STREAM, story(), 14).await.unwrap();
    floors(store).await;
    ranges(store).await;
    pages(store).await;
    precedents(store).await;
    standings(store).await;
    markers(store).await;
}

async fn floors(store: &dyn HistoryStore) {
    assert_eq!(store.floor(STREAM).await.unwrap(), 14);
    assert_eq!(store.floor(StreamIndex(4)).await.unwrap(), 0, "each stream has its own");
    store.write_batch(STREAM, Vec::new(), 9).await.unwrap();
    assert_eq!(store.floor(STREAM).await.unwrap(), 14, "never goes back");
    store.write_batch(STREAM, Vec::new(), 20).await.unwrap();
    assert_eq!(store.floor(STREAM).await.unwrap(), 20, "passes what is no history");
}

/// Rows may be there before the floor says so; it rises without them.
pub(crate) async fn rows_before_the_floor(store: &dyn HistoryStore) {
    let stream = StreamIndex(5);
    store.write_rows(stream, story().into()).await.unwrap();
    assert_eq!(store.floor(stream).await.unwrap(), 0);
    let all = store.range(stream, range(Some(0), 100)).await.unwrap().value.entries;
    assert_eq!(all.rows.len(), 14);
    store.write_batch(stream, Vec::new(), 14).await.unwrap();
    assert_eq!(store.floor(stream).await.unwrap(), 14);
}

async fn ranges(store: &dyn HistoryStore) {
    let found = store.range(STREAM, range(Some(4), 3)).await.unwrap();
    assert_eq!(found.floor, 20);
    let rows = found.value.entries;
    assert_eq!(rows.rows.iter().map(|e| e.seq).collect::<Vec<_>>(), [5, 6, 7]);
    assert!(rows.more);
    assert_eq!(rows.rows[0].at, model::at(5));
    assert!(rows.rows[0].d.get().contains(r#""content":"m5""#), "as it was sent");
    assert!(rows.rows[1].d.get().contains(r#""content":"""#), "empty once deleted");

    let query = RangeQuery { upto: 13, events: true, ..range(None, 2) };
    let found = store.range(STREAM, query).await.unwrap().value;
    assert_eq!(found.entries.rows.iter().map(|e| e.seq).collect::<Vec<_>>(), [13, 12]);
    assert!(found.entries.more);
    let kinds: Vec<_> = found.events.iter().map(|e| (e.id.sequence(), e.kind)).collect();
    let (added, removed) = (EntryKind::MemberAdd, EntryKind::MemberRemove);
    assert_eq!(kinds, [(1, added), (2, added), (14, removed)], "all of them");
    assert_eq!(found.events[0].id.stream(), STREAM);

    let all = store.range(STREAM, range(Some(0), 100)).await.unwrap().value.entries;
    assert_eq!((all.rows.len(), all.more), (14, false));
    let query = RangeQuery { bytes: 300, ..range(Some(0), 100) };
    let cut = store.range(STREAM, query).await.unwrap().value.entries;
    assert!(cut.more && !cut.rows.is_empty() && cut.rows.len() < 14, "bytes end it early");
    let query = RangeQuery { conversation: ConversationId(99), ..range(Some(0), 100) };
    assert!(store.range(STREAM, query).await.unwrap().value.entries.rows.is_empty());
}

async fn pages(store: &dyn HistoryStore) {
    let found = store.page(STREAM, page(Anchor::Seq(8), 2, 2)).await.unwrap().value;
    assert_eq!(seqs(&found.older), [7, 5], "6 is deleted");
    assert_eq!(seqs(&found.newer), [8, 9]);
    assert!(found.older.more && found.newer.more);
    let edited = &found.older.rows[1];
    assert_eq!(edited.content.as_str(), "second");
    assert_eq!(edited.edit, Some(EditRecord { seq: 12, at: model::at(12) }));
    assert_eq!((edited.author, edited.at), (BOB, model::at(5)));

    let found = store.page(STREAM, page(Anchor::Seq(u64::MAX), 3, 3)).await.unwrap().value;
    assert_eq!(seqs(&found.older), [10, 9, 8]);
    assert!(found.newer.rows.is_empty() && !found.newer.more);
    let found = store.page(STREAM, page(Anchor::Seq(0), 3, 9)).await.unwrap().value;
    assert!(found.older.rows.is_empty() && !found.newer.more);
    assert_eq!(found.newer.rows.len(), 7);

    let at = |seq: u64| Anchor::At(model::at(seq));
    for (asked, anchor) in [(0, Some(3)), (7, Some(7)), (6, Some(6)), (11, None)] {
        let found = store.page(STREAM, page(at(asked), 0, 0)).await.unwrap().value;
        assert_eq!(found.anchor, anchor, "at {asked}");
    }
    let late = Anchor::At(Timestamp::from_millis(u64::MAX));
    assert_eq!(store.page(STREAM, page(late, 1, 1)).await.unwrap().value.anchor, None);
}

async fn precedents(store: &dyn HistoryStore) {
    let query =
        PrecedentsQuery { conversation: CHANNEL, events: true, targets: vec![3, 6, 11, 99] };
    let other =
        PrecedentsQuery { conversation: ConversationId(99), events: true, targets: vec![3] };
    let found = store.precedents(STREAM, vec![other, query]).await.unwrap().value;
    assert!(found[0].events.is_empty() && found[0].targets.is_empty());
    assert_eq!(found[1].events.len(), 3);
    let target = |seq, author, deleted| TargetRecord { seq, author, deleted };
    assert_eq!(found[1].targets, [target(3, BOB, None), target(6, ANN, Some(13))]);
}

async fn standings(store: &dyn HistoryStore) {
    let query = StandingQuery {
        conversation: CHANNEL,
        since: EntryId::ZERO,
        upto: 1_000,
        last: None,
        deleted: Vec::new(),
        messages: 2,
    };
    let ask = async |query: &StandingQuery| {
        let found = store.standings(STREAM, ANN, vec![query.clone()]).await.unwrap();
        found.value.into_iter().next().unwrap()
    };
    let found = ask(&query).await;
    assert_eq!((found.marker, found.last), (None, Some(14)));
    assert_eq!(found.unread, [3, 5, 7, 9], "of others, not deleted");
    assert_eq!(found.messages.iter().map(|m| m.seq).collect::<Vec<_>>(), [10, 9]);
    let found = ask(&StandingQuery { deleted: vec![5, 9], ..query.clone() }).await;
    assert_eq!(found.unread, [3, 7]);
    assert_eq!(found.messages.iter().map(|m| m.seq).collect::<Vec<_>>(), [10]);
    let found = ask(&StandingQuery { upto: 7, since: EntryId::new(3, STREAM), ..query }).await;
    assert_eq!((found.last, found.unread), (Some(7), vec![5, 7]));
    assert_eq!(found.messages.iter().map(|m| m.seq).collect::<Vec<_>>(), [7, 5]);
}

async fn markers(store: &dyn HistoryStore) {
    let id = |seq| EntryId::new(seq, STREAM);
    let moved = |seq, moved| Marker { id: id(seq), moved };
    assert_eq!(store.advance_marker(ANN, CHANNEL, id(7)).await.unwrap(), moved(7, true));
    assert_eq!(store.advance_marker(ANN, CHANNEL, id(5)).await.unwrap(), moved(7, false));
    assert_eq!(store.advance_marker(ANN, CHANNEL, id(7)).await.unwrap(), moved(7, false));
    assert_eq!(store.advance_marker(BOB, CHANNEL, id(5)).await.unwrap(), moved(5, true));
    let query = StandingQuery {
        conversation: CHANNEL,
        since: EntryId::ZERO,
        upto: 1_000,
        last: Some(14),
        deleted: Vec::new(),
        messages: 0,
    };
    let found = store.standings(STREAM, ANN, vec![query.clone()]).await.unwrap().value;
    assert_eq!((found[0].marker, &found[0].unread), (Some(id(7)), &vec![9]));
    let read = StandingQuery { last: Some(7), ..query };
    let found = store.standings(STREAM, ANN, vec![read]).await.unwrap().value;
    assert!(found[0].unread.is_empty());
}

/// Unread counts no further than it is shown.
pub(crate) async fn many_unread(store: &dyn HistoryStore) {
    let mut log = Log::new(STREAM);
    log.push(add(ANN, ANN, 1));
    (0..150).for_each(|n| log.push(message(ANN, &format!("m{n}"))));
    store.write_batch(STREAM, log.valid(), 151).await.unwrap();
    let query = StandingQuery {
        conversation: CHANNEL,
        since: EntryId::ZERO,
        upto: 1_000,
        last: None,
        deleted: Vec::new(),
        messages: 0,
    };
    let found = store.standings(STREAM, BOB, vec![query]).await.unwrap().value;
    assert_eq!(found[0].unread.len(), UNREAD_MAX as usize);
}

/// Everything a store shows of [`CHANNEL`], to compare two stores.
pub(crate) async fn contents(store: &dyn HistoryStore, stream: StreamIndex) -> Vec<String> {
    contents_of(store, stream, CHANNEL).await
}

/// Everything a store shows of a conversation.
pub(crate) async fn contents_of(
    store: &dyn HistoryStore,
    stream: StreamIndex,
    conversation: ConversationId,
) -> Vec<String> {
    let mut shown = Vec::new();
    let query = RangeQuery { conversation, events: true, ..range(Some(0), 10_000) };
    let found = store.range(stream, query).await.unwrap().value;
    for entry in &found.entries.rows {
        shown.push(format!("{} {} {:?} {}", entry.seq, entry.at, entry.t, entry.d));
    }
    shown.extend(found.events.iter().map(|event| format!("{event:?}")));
    let query = PageQuery { conversation, ..page(Anchor::Seq(0), 0, 10_000) };
    let found = store.page(stream, query).await.unwrap().value;
    shown.extend(found.newer.rows.iter().map(|message| format!("{message:?}")));
    let targets = (0..100).collect();
    let query = PrecedentsQuery { conversation, events: false, targets };
    let found = store.precedents(stream, vec![query]).await.unwrap().value;
    shown.extend(found[0].targets.iter().map(|target| format!("{target:?}")));
    shown
}

/// Writes the same valid entries in `order`, which may repeat them, one batch each.
pub(crate) async fn redelivery(store: &dyn HistoryStore, valid: &[Entry], order: &[usize]) {
    for index in order {
        if let Some(entry) = valid.get(index % valid.len().max(1)) {
            store.write_batch(StreamIndex(0), vec![entry.clone()], 0).await.unwrap();
        }
    }
}
