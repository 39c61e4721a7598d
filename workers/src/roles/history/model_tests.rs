//! Whatever the persister's floor, the tail's base and the worker's position: answers made of tail
//! and store equal those of the naive model.

use std::sync::Arc;

use bus_schema::entry::EntryKind;
use bus_schema::error::Code;
use bus_schema::ids::{EntryId, StreamIndex, UserId};
use bus_schema::ops::history::*;
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;
use proptest::prelude::*;

use super::tail::{Tail, TailSettings};
use super::view::View;
use super::{members, messages, range, set_read, summaries};
use crate::store::conformance::history::model::{self, Log, PLACE};
use crate::store::embedded::history::SqliteHistory;
use crate::store::history::{HistoryStore, MessageRecord, after, before};

const STREAM: StreamIndex = StreamIndex(0);
const FRESH: Freshness = Freshness { min: 0, latest: false };

/// One worker in the middle of a log.
struct Bench {
    log: Log,
    read: u64,
    view: View,
    _dir: tempfile::TempDir,
}

/// Where everything is in a log of `n` entries: the tail's base, the store's floor at or above it,
/// how far the tail has read, and what the tail may hold.
#[derive(Debug, Clone, Copy)]
struct Cut {
    base: u64,
    floor: u64,
    read: u64,
    held: usize,
    members: usize,
}

fn any_bench() -> impl Strategy<Value = (Log, Cut)> {
    model::any_log(1..60).prop_flat_map(|log| {
        let n = log.entries.len() as u64;
        let cut =
            (0..=n, 0..=n, 0..=n, 1usize..80, 0usize..6).prop_map(move |(a, b, c, held, m)| {
                let (base, read) = (a.min(b), a.max(b));
                Cut { base, floor: c.max(base), read, held, members: m }
            });
        (Just(log), cut)
    })
}

async fn bench(log: Log, cut: Cut) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteHistory::open(&dir.path().join("history.db")).unwrap();
    let mut valid = log.valid();
    valid.retain(|entry| entry.id.sequence() <= cut.floor);
    store.write_batch(STREAM, valid, cut.floor).await.unwrap();
    let bounds = TailSettings {
        entries: cut.held,
        lag_factor: 1_000,
        members: cut.members,
        ..TailSettings::default()
    };
    let mut tail = Tail::new(STREAM, cut.base, bounds);
    let (known, after) = (cut.floor.min(cut.read), cut.base);
    for (place, entry) in &log.entries {
        let seq = entry.id.sequence();
        if seq > after && seq <= cut.read {
            assert!(tail.push(seq, Some(*place), Some(entry.clone())));
        }
        if seq == known.midpoint(after) {
            tail.raise_floor(known);
        }
    }
    let read = tail.read();
    let view = View::new(Layout::new(1).unwrap(), tail, Arc::new(store), None);
    Bench { log, read, view, _dir: dir }
}

fn block<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

impl Bench {
    async fn range(&self, place: LogSubject, after: Option<u64>, limit: u32) {
        let request = RangeRequest { place, after, fresh: FRESH, limit, membership: true };
        let reply = range::handle(&self.view, request).await.unwrap();
        let all = self.log.of(place, self.read);
        let wanted: Vec<_> = match after {
            Some(after) => {
                all.iter().filter(|e| e.id.sequence() > after).take(limit as usize).collect()
            }
            None => all.iter().skip(all.len().saturating_sub(limit as usize)).collect(),
        };
        let left = match after {
            Some(after) => all.iter().filter(|e| e.id.sequence() > after).count(),
            None => all.len(),
        };
        let seqs: Vec<_> = reply.entries.iter().map(|e| e.seq).collect();
        assert_eq!(seqs, wanted.iter().map(|e| e.id.sequence()).collect::<Vec<_>>());
        assert_eq!(reply.more, left > wanted.len());
        let through = match (after, reply.more) {
            (Some(_), true) => seqs.last().copied().unwrap(),
            _ => self.read,
        };
        assert_eq!(reply.through, through);
        assert_eq!(reply.membership, Some(self.log.membership(place, through)));
        // The store may already know of a deletion that this worker has not read.
        let end = self.log.entries.len() as u64;
        for (given, wanted) in reply.entries.iter().zip(wanted) {
            let unpacked = given.unpack(place, STREAM).unwrap();
            assert_eq!((unpacked.id, unpacked.at), (wanted.id, wanted.at));
            let seq = wanted.id.sequence();
            let message = wanted.body.kind() == EntryKind::MessageCreate;
            let empty = given.d.get().contains(r#""content":"""#);
            if message && self.log.deleted(place, seq, self.read) {
                assert!(empty, "deleted content is shown at {seq}");
            } else if message && empty {
                assert!(self.log.deleted(place, seq, end));
            } else {
                assert_eq!(unpacked.payload, wanted.payload);
            }
        }
    }

    /// Whether somebody is a member is what the log says as far as this worker has read it.
    async fn members(&self, places: &[LogSubject], user: UserId) {
        let request = MembersRequest { user, places: places.to_vec(), fresh: FRESH };
        let reply = members::handle(&self.view, request).await.unwrap();
        let wanted = places.iter().map(|p| Some(self.log.membership(*p, self.read).contains(user)));
        assert_eq!(reply.members, wanted.collect::<Vec<_>>());
    }

    /// Messages as this worker may show them: those it has read, in their state as it has read
    /// them or as the store has it already.
    fn allowed(&self, place: LogSubject) -> (Vec<MessageRecord>, Vec<MessageRecord>) {
        let end = self.log.entries.len() as u64;
        (self.log.messages(place, self.read), self.log.messages(place, end))
    }

    async fn page(&self, place: LogSubject, bound: Bound, limit: u32) {
        let request = MessagesRequest { place, bound, limit, fresh: FRESH };
        let reply = messages::handle(&self.view, request).await.unwrap();
        let (now, end) = self.allowed(place);
        let id = |m: &MessageRecord| EntryId::new(m.seq, STREAM);
        // What the store knows beyond the tail's position may already be gone from the page.
        let gone: Vec<_> = now.iter().filter(|m| !end.iter().any(|e| e.seq == m.seq)).collect();
        let given: Vec<_> = reply.messages.iter().map(|m| m.id).collect();
        assert!(given.is_sorted() && given.len() <= limit as usize);
        let model: Vec<_> = now
            .iter()
            .filter(|m| given.contains(&id(m)) || { !gone.iter().any(|g| g.seq == m.seq) })
            .collect();
        let limit = limit as usize;
        let at = match bound {
            Bound::Newest => u64::MAX,
            Bound::Before(id) | Bound::Around(id) => before(id, STREAM),
            Bound::After(id) => after(id, STREAM) + 1,
            Bound::At(at) => model.iter().find(|m| m.at >= at).map_or(u64::MAX, |m| m.seq),
        };
        let older: Vec<_> = model.iter().rev().filter(|m| m.seq < at).map(|m| id(m)).collect();
        let newer: Vec<_> = model.iter().filter(|m| m.seq >= at).map(|m| id(m)).collect();
        let (mut wanted, more) = match bound {
            Bound::Newest | Bound::Before(_) => {
                (older.iter().take(limit).copied().collect::<Vec<_>>(), older.len() > limit)
            }
            Bound::After(_) => (newer.iter().take(limit).copied().collect(), newer.len() > limit),
            Bound::Around(_) | Bound::At(_) => {
                let right = limit.div_ceil(2).max(limit.saturating_sub(older.len()));
                let right: Vec<_> = newer.iter().take(right).copied().collect();
                let left = limit - right.len();
                (older.iter().take(left).copied().chain(right).collect(), older.len() > left)
            }
        };
        wanted.sort_unstable();
        assert_eq!(given, wanted, "{bound:?} {limit}");
        // It may offer more where what follows is gone only now.
        assert!(reply.has_more || !more, "{bound:?}");
        assert!(!reply.has_more || more || !gone.is_empty(), "{bound:?}");
        for message in &reply.messages {
            let same = |m: &&MessageRecord| {
                let edited_at = m.edit.map(|edit| edit.at);
                id(m) == message.id
                    && (&m.content, edited_at, m.author, m.at)
                        == (&message.content, message.edited_at, message.author_id, message.at)
            };
            // A state between the two is possible too: what the store's floor says.
            let between = (self.read..=self.log.entries.len() as u64)
                .any(|upto| self.log.messages(place, upto).iter().find(same).is_some());
            assert!(between, "{message:?} is in no state it had");
        }
    }

    async fn standing(&self, place: LogSubject, user: UserId, since: u64, marker: u64, n: u32) {
        let since = EntryId::new(since, STREAM);
        let marker = EntryId::new(marker, STREAM);
        let set = SetReadRequest { user, place, since, id: marker, fresh: FRESH };
        let all = self.log.of(place, self.read);
        let last = all.last().map(|e| e.id);
        let moved = set_read::handle(&self.view, set).await;
        match moved {
            Ok(reply) => assert_eq!((reply.id, reply.moved), (marker.max(since), marker > since)),
            Err(failure) => {
                assert_eq!(failure.code, Code::BadRequest);
                assert!(marker > last.unwrap_or(EntryId::ZERO));
                return;
            }
        }
        let of = SummaryOf { place, since, messages: n };
        let request = SummariesRequest { user, places: vec![of], fresh: FRESH };
        let reply = summaries::handle(&self.view, request).await.unwrap();
        let summary = &reply.summaries[0];
        assert_eq!((reply.through, summary.last_id), (self.read, last));
        let read = marker.max(since);
        assert_eq!(summary.read_id, (read > EntryId::ZERO).then_some(read));
        let (now, end) = self.allowed(place);
        let unread = |of: &[MessageRecord]| {
            let unread = of.iter().filter(|m| m.author != user && m.seq <= self.read);
            unread.filter(|m| EntryId::new(m.seq, STREAM) > read).count()
        };
        let count = summary.unread as usize;
        assert!((unread(&end)..=unread(&now)).contains(&count), "{count} unread");
        let given: Vec<_> = summary.messages.iter().map(|m| m.id.sequence()).collect();
        assert!(given.len() <= n as usize && given.is_sorted());
        if unread(&end) == unread(&now)
            && now.len() == end.iter().filter(|m| m.seq <= self.read).count()
        {
            let wanted: Vec<_> = now.iter().rev().take(n as usize).map(|m| m.seq).collect();
            assert_eq!(given, wanted.into_iter().rev().collect::<Vec<_>>());
        }
    }
}

fn any_bound(n: u64) -> impl Strategy<Value = Bound> {
    let id = (0..n + 3).prop_map(|seq| EntryId::new(seq, STREAM));
    prop_oneof![
        Just(Bound::Newest),
        id.clone().prop_map(Bound::Before),
        id.clone().prop_map(Bound::After),
        id.prop_map(Bound::Around),
        (0..n + 3).prop_map(|seq| Bound::At(model::at(seq))),
    ]
}

fn any_place() -> impl Strategy<Value = LogSubject> {
    prop_oneof![3 => Just(PLACE), 1 => Just(model::dm())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn ranges_equal_the_model(
        (log, cut) in any_bench(),
        asked in prop::collection::vec((any_place(), prop::option::of(0u64..64), 1u32..20), 1..8),
    ) {
        block(async {
            let bench = bench(log, cut).await;
            for (place, after, limit) in asked {
                bench.range(place, after.map(|a| a.min(bench.read)), limit).await;
            }
        });
    }

    #[test]
    fn pages_equal_the_model(
        (log, cut) in any_bench(),
        asked in prop::collection::vec((any_place(), any_bound(60), 1u32..12), 1..10),
    ) {
        block(async {
            let bench = bench(log, cut).await;
            for (place, bound, limit) in asked {
                bench.page(place, bound, limit).await;
            }
        });
    }

    #[test]
    fn summaries_equal_the_model(
        (log, cut) in any_bench(),
        (place, user) in (any_place(), 1u64..5),
        (since, marker, messages) in (0u64..20, 0u64..64, 0u32..8),
    ) {
        block(async {
            let bench = bench(log, cut).await;
            bench.standing(place, UserId(user), since, marker, messages).await;
        });
    }

    #[test]
    fn members_equal_the_model(
        (log, cut) in any_bench(),
        asked in prop::collection::vec((prop::collection::vec(any_place(), 0..4), 1u64..5), 1..4),
    ) {
        block(async {
            let bench = bench(log, cut).await;
            for (places, user) in asked {
                bench.members(&places, UserId(user)).await;
            }
        });
    }

    #[test]
    fn a_page_after_another_leaves_nothing_out((log, cut) in any_bench(), limit in 1u32..7) {
        block(async {
            let bench = bench(log, cut).await;
            let mut found = Vec::new();
            let mut bound = Bound::Newest;
            loop {
                let request = MessagesRequest { place: PLACE, bound, limit, fresh: FRESH };
                let reply = messages::handle(&bench.view, request).await.unwrap();
                found.extend(reply.messages.iter().rev().map(|m| m.id.sequence()));
                if !reply.has_more {
                    break;
                }
                bound = Bound::Before(reply.next.unwrap());
            }
            found.reverse();
            let (now, end) = bench.allowed(PLACE);
            let kept: Vec<_> = now.iter().map(|m| m.seq)
                .filter(|seq| found.contains(seq) || end.iter().any(|m| m.seq == *seq)).collect();
            assert_eq!(found, kept);
        });
    }
}

#[test]
fn a_hole_between_store_and_tail_is_unavailable_and_closes_again() {
    block(async {
        let mut log = Log::new(STREAM);
        log.push(model::add(UserId(1), UserId(1), 1));
        (0..9).for_each(|n| log.push(model::message(UserId(1), &format!("m{n}"))));
        let mut tail = Tail::new(STREAM, 6, TailSettings::default());
        for (place, entry) in log.entries.iter().skip(6) {
            tail.push(entry.id.sequence(), Some(*place), Some(entry.clone()));
        }
        let dir = tempfile::tempdir().unwrap();
        let behind = Arc::new(SqliteHistory::open(&dir.path().join("history.db")).unwrap());
        let store: Arc<dyn HistoryStore> = behind.clone();
        let view = View::new(Layout::new(1).unwrap(), tail, store, None);
        let request = RangeRequest {
            place: PLACE,
            after: Some(8),
            fresh: FRESH,
            limit: 5,
            membership: false,
        };
        let failure = range::handle(&view, request.clone()).await.unwrap_err();
        assert_eq!(failure.code, Code::Unavailable);
        behind.write_batch(STREAM, log.valid(), 10).await.unwrap();
        let reply = range::handle(&view, request).await.unwrap();
        assert_eq!(reply.entries.len(), 2);
    });
}

#[test]
fn changes_name_each_place_once_and_know_their_age() {
    let mut log = Log::new(STREAM);
    log.push(model::add(UserId(1), UserId(1), 1));
    log.push_to(model::dm(), model::message(UserId(1), "x"));
    log.push(model::message(UserId(1), "y"));
    let cut = Cut { base: 0, floor: 0, read: 3, held: 100, members: 100 };
    block(async {
        let bench = bench(log, cut).await;
        let (places, through) = bench.view.peek(|tail| tail.changes(0, 10, 1 << 20));
        assert_eq!((places, through), (vec![(PLACE, 3), (model::dm(), 2)], 3));
        let (places, through) = bench.view.peek(|tail| tail.changes(0, 1, 1 << 20));
        assert_eq!((places, through), (vec![(PLACE, 1)], 1), "cut, and says where");
        let ask = |after| ChangesRequest { after, fresh: FRESH };
        let reply = super::changes::handle(&bench.view, ask(3)).await.unwrap();
        assert!(!reply.too_old && reply.places.is_empty() && reply.through == 3);
    });
}
