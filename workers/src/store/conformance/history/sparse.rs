//! What a backend that cuts conversations into pieces, or reads deleted messages to leave them out,
//! could get wrong: sequences far apart and around powers of two, long runs of deleted messages,
//! equal times.
//!
//! Each function has a conversation of its own, so all of them can share a store.

use std::collections::BTreeSet;

use bus_schema::entry::{Body, Entry};
use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::limits::UNREAD_MAX;
use bus_schema::timestamp::Timestamp;

use super::model::{self, delete, message, moved};
use super::{ANN, BOB, STREAM, page, range};
use crate::store::history::*;

/// A power of two at which a backend may cut.
const EDGE: u64 = 1 << 18;

fn entry(conversation: ConversationId, seq: u64, at: u64, body: Body) -> Entry {
    let at = Timestamp::from_millis(at);
    let payload = body.encode();
    moved(&Entry { id: EntryId::new(seq, STREAM), at, body, payload }, conversation)
}

/// All shown messages, page after page, each going on where the one before says.
async fn all(
    store: &dyn HistoryStore,
    conversation: ConversationId,
    from: u64,
    limit: u32,
    up: bool,
) -> Vec<u64> {
    let mut found = Vec::new();
    let mut at = from;
    loop {
        let (older, newer) = if up { (0, limit) } else { (limit, 0) };
        let query = PageQuery { conversation, ..page(Anchor::Seq(at), older, newer) };
        let rows = store.page(STREAM, query).await.unwrap().value;
        let rows = if up { rows.newer } else { rows.older };
        assert!(rows.rows.len() <= limit as usize);
        assert_eq!(rows.more, rows.stop.is_some());
        found.extend(rows.rows.iter().map(|message| message.seq));
        let Some(stop) = rows.stop else { return found };
        assert!(if up { stop >= at } else { stop < at }, "{stop} does not go on from {at}");
        assert!(rows.rows.last().is_none_or(|last| if up {
            last.seq <= stop
        } else {
            last.seq >= stop
        }));
        at = if up { stop + 1 } else { stop };
    }
}

/// Sequences around the edges of pieces, and pieces far apart.
pub(crate) async fn far_apart(store: &dyn HistoryStore) {
    let conversation = ConversationId(101);
    let mut seqs = vec![1, 2, EDGE - 1, EDGE, EDGE + 1, 2 * EDGE - 1, 2 * EDGE];
    seqs.extend((5..40).map(|n| n * n * EDGE + n));
    seqs.extend([EDGE << 20, (EDGE << 20) + 1, (1 << 52) - 1]);
    let said = |seq: &u64| entry(conversation, *seq, seq * 10, message(ANN, &format!("m{seq}")));
    let entries: Vec<_> = seqs.iter().map(said).collect();
    store.write_batch(STREAM, entries, 0).await.unwrap();
    let down: Vec<u64> = seqs.iter().rev().copied().collect();
    for limit in [1, 3, 100] {
        assert_eq!(all(store, conversation, 0, limit, true).await, seqs);
        assert_eq!(all(store, conversation, u64::MAX, limit, false).await, down);
    }
    for at in [EDGE - 1, EDGE, EDGE + 1, 3 * EDGE, 25 * EDGE + 5] {
        let query = PageQuery { conversation, ..page(Anchor::Seq(at), 2, 2) };
        let found = store.page(STREAM, query).await.unwrap().value;
        let older: Vec<_> = down.iter().filter(|seq| **seq < at).take(2).copied().collect();
        let newer: Vec<_> = seqs.iter().filter(|seq| **seq >= at).take(2).copied().collect();
        assert_eq!((super::seqs(&found.older), super::seqs(&found.newer)), (older, newer));
    }
    let query = RangeQuery { conversation, ..range(Some(EDGE - 1), 7) };
    let found = store.range(STREAM, query).await.unwrap().value.entries;
    let wanted: Vec<_> = seqs.iter().filter(|seq| **seq >= EDGE).take(7).copied().collect();
    assert_eq!(found.rows.iter().map(|e| e.seq).collect::<Vec<_>>(), wanted);
    assert_eq!((found.more, found.stop), (true, wanted.last().copied()));
    let query = RangeQuery { conversation, upto: 40 * EDGE, ..range(None, 3) };
    let found = store.range(STREAM, query).await.unwrap().value.entries;
    let wanted: Vec<_> = down.iter().filter(|seq| **seq <= 40 * EDGE).take(3).copied().collect();
    assert_eq!(found.rows.iter().map(|e| e.seq).collect::<Vec<_>>(), wanted);
    times_of(store, conversation, &seqs.iter().map(|seq| (*seq, seq * 10)).collect::<Vec<_>>())
        .await;
    let query = StandingQuery {
        conversation,
        since: EntryId::new(EDGE, STREAM),
        upto: 30 * EDGE,
        last: None,
        deleted: Vec::new(),
        messages: 2,
    };
    let found = store.standings(STREAM, BOB, vec![query]).await.unwrap().value;
    let within = |seq: &&u64| **seq > EDGE && **seq <= 30 * EDGE;
    let unread: Vec<_> = seqs.iter().filter(within).copied().collect();
    assert_eq!((found[0].last, &found[0].unread), (unread.last().copied(), &unread));
    let newest: Vec<_> = found[0].messages.iter().map(|m| m.seq).collect();
    assert_eq!(newest, unread.iter().rev().take(2).copied().collect::<Vec<_>>());
}

/// Pages across long runs of deleted messages: each may be short, all of them leave nothing out.
pub(crate) async fn many_deleted(store: &dyn HistoryStore) {
    let conversation = ConversationId(102);
    let first = EDGE - 300;
    let mut entries = Vec::new();
    let mut kept = Vec::new();
    for n in 0..900 {
        let seq = first + n;
        entries.push(entry(conversation, seq, seq, message(ANN, "said")));
        if (20..700).contains(&n) && n % 97 != 0 || n > 890 {
            let by = first + 1_000 + n;
            entries.push(entry(conversation, by, by, delete(ANN, seq, STREAM)));
        } else {
            kept.push(seq);
        }
    }
    store.write_batch(STREAM, entries, 0).await.unwrap();
    let down: Vec<u64> = kept.iter().rev().copied().collect();
    for limit in [5, 50] {
        assert_eq!(all(store, conversation, 0, limit, true).await, kept);
        assert_eq!(all(store, conversation, u64::MAX, limit, false).await, down);
    }
    let query = StandingQuery {
        conversation,
        since: EntryId::new(first + 30, STREAM),
        upto: u64::MAX >> 12,
        last: None,
        deleted: Vec::new(),
        messages: 0,
    };
    let found = store.standings(STREAM, BOB, vec![query]).await.unwrap().value;
    let unread: Vec<_> = kept.iter().filter(|seq| **seq > first + 30).copied().collect();
    assert_eq!(found[0].unread, unread[..UNREAD_MAX as usize], "deleted ones are not counted");
}

/// Others' messages are found behind many of one's own.
pub(crate) async fn many_of_ones_own(store: &dyn HistoryStore) {
    let conversation = ConversationId(103);
    let author = |n: u64| if n.is_multiple_of(20) { BOB } else { ANN };
    let entries = (1..=1_500).map(|n| entry(conversation, n, n, message(author(n), "said")));
    store.write_batch(STREAM, entries.collect(), 0).await.unwrap();
    let query = StandingQuery {
        conversation,
        since: EntryId::ZERO,
        upto: 10_000,
        last: None,
        deleted: vec![40, 80],
        messages: 0,
    };
    let found = store.standings(STREAM, ANN, vec![query]).await.unwrap().value;
    let others = (1..=1_500).filter(|n| author(*n) == BOB && ![40, 80].contains(n));
    assert_eq!(found[0].unread, others.collect::<Vec<u64>>());
}

/// The first message at or after a time, where many have the same.
pub(crate) async fn equal_times(store: &dyn HistoryStore) {
    let conversation = ConversationId(104);
    let mut all = Vec::new();
    let mut entries = Vec::new();
    for n in 0..240u64 {
        // Runs of equal times, some of them across an edge, and gaps between.
        let (seq, at) = (EDGE - 60 + n + (n / 120) * 3 * EDGE, 1_000 + n / 40 * 10);
        let body = if n % 7 == 0 { model::add(UserId(n), ANN, n + 1) } else { message(ANN, "x") };
        if n % 7 != 0 {
            all.push((seq, at));
        }
        entries.push(entry(conversation, seq, at, body));
    }
    let deleted = all[3].0;
    let by = 9 * EDGE;
    entries.push(entry(conversation, by, 9_000, delete(ANN, deleted, STREAM)));
    store.write_batch(STREAM, entries, 0).await.unwrap();
    times_of(store, conversation, &all).await;
}

/// Asks for the times of messages, and those just before and after.
async fn times_of(store: &dyn HistoryStore, conversation: ConversationId, all: &[(u64, u64)]) {
    let times: BTreeSet<u64> = all.iter().map(|(_, at)| *at).collect();
    let near = |at: &u64| [at.saturating_sub(1), *at, at + 1];
    let asked: BTreeSet<u64> = times.iter().flat_map(near).chain([0]).collect();
    for at in asked {
        let anchor = Anchor::At(Timestamp::from_millis(at));
        let query = PageQuery { conversation, ..page(anchor, 0, 1) };
        let found = store.page(STREAM, query).await.unwrap().value;
        let wanted = all
            .iter()
            .find(|(_, time)| Timestamp::from_millis(*time) >= Timestamp::from_millis(at));
        assert_eq!(found.anchor, wanted.map(|(seq, _)| *seq), "at {at}");
    }
}
