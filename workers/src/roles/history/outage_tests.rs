//! What is answered while the store is away, against a real Cassandra behind a way that is cut.

use std::sync::Arc;

use bus_schema::entry::{Body, MemberChange};
use bus_schema::error::Code;
use bus_schema::ids::{ConversationId, EntryId, UserId, compose};
use bus_schema::ops::history::*;
use bus_schema::runtime::call::Call;
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;

use super::role_tests::{ANN, Bench, LATEST, STREAM, ids, stop};
use super::tail::Tail;
use super::view::View;
use super::{HistorySettings, TailSettings, range};
use crate::store::cluster::cassandra::CassandraSettings;
use crate::store::conformance::history::model::{self, Log, PLACE};
use crate::store::history::HistoryStore;
use crate::testing::cluster::{Keyspace, Server};
use crate::testing::cut::Cut;
use crate::testing::eventually;

/// A worker whose tail holds about the last 20 of 60 stored entries.
fn small() -> HistorySettings {
    let tail = TailSettings { entries: 20, ..TailSettings::default() };
    HistorySettings { tail, warm_entries: 20, ..HistorySettings::default() }
}

#[tokio::test]
async fn recent_history_goes_on_while_the_store_is_away() {
    let mut way = Cut::to(&Server::Cassandra.url()).await;
    let keyspace = Keyspace::at(way.address.to_string()).await;
    let bench = Bench::with(Some(Arc::clone(&keyspace.history))).await;
    let persister = bench.persister().await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    for n in 2..=60 {
        bench.say(&model::message(ANN, &format!("m{n}"))).await;
    }
    eventually("all is stored", async || {
        (bench.stores.history.floor(STREAM).await.ok()? == 60).then_some(())
    })
    .await;
    let history = bench.history(small()).await;
    // Learns the membership that judging what comes needs.
    bench.say(&model::message(ANN, "m61")).await;
    assert_eq!(bench.summary(ANN).await.last_id, ids([61]).pop());
    let call = Call::platform().stream(STREAM);
    let bob = UserId(2);
    let (id, since) = (EntryId::new(55, STREAM), EntryId::ZERO);
    let read = SetReadRequest { user: bob, place: PLACE, since, id, fresh: LATEST };
    assert!(bench.edge.call::<SetRead>(&call, &read).await.unwrap().moved);
    let before = bench.summary(bob).await;
    assert_eq!((before.read_id, before.unread), (Some(read.id), 6));
    way.cut().await;
    // Nobody has noticed yet; whoever asks first finds out, and is answered.
    assert_eq!(bench.summary(bob).await.read_id, Some(read.id));
    let old = MessagesRequest {
        place: PLACE,
        bound: Bound::After(EntryId::new(3, STREAM)),
        limit: 5,
        fresh: LATEST,
    };
    eventually("old pages are unavailable", async || {
        let failure = bench.edge.call::<Messages>(&call, &old).await.err()?;
        (failure.code == Code::Unavailable).then_some(())
    })
    .await;
    bench.say(&model::message(ANN, "m62")).await;
    let now = bench.summary(bob).await;
    assert_eq!((now.read_id, now.unread), (Some(read.id), 7), "as last known, and what came");
    let unknown = bench.summary(UserId(3)).await;
    assert_eq!((unknown.read_id, unknown.unread), (None, 0), "nothing is made up");
    let reply = bench.range(Some(58), LATEST).await;
    assert_eq!(reply.entries.iter().map(|e| e.seq).collect::<Vec<_>>(), [59, 60, 61, 62]);
    let page = bench.messages(Bound::Newest).await;
    assert_eq!(page.messages.iter().map(|m| m.id).collect::<Vec<_>>(), ids([60, 61, 62]));
    let summary = eventually("where it stands is known", async || {
        let of = SummaryOf { place: PLACE, since: EntryId::ZERO, messages: 2 };
        let request = SummariesRequest { user: ANN, places: vec![of], fresh: LATEST };
        let reply = bench.edge.call::<Summaries>(&call, &request).await.ok()?;
        reply.summaries.into_iter().next()
    });
    let summary = summary.await;
    assert_eq!(summary.last_id, ids([62]).pop());
    assert_eq!(summary.messages.iter().map(|m| m.id).collect::<Vec<_>>(), ids([61, 62]));
    // A page that would go on below memory ends there, and says where.
    let page = MessagesRequest { bound: Bound::Newest, limit: 100, ..old.clone() };
    let page = bench.edge.call::<Messages>(&call, &page).await.unwrap();
    assert!(page.has_more && page.messages.len() < 60 && page.messages.len() > 10);
    assert!(page.next.unwrap() <= page.messages[0].id);
    way.mend();
    eventually("old pages are there again", async || {
        let reply = bench.edge.call::<Messages>(&call, &old).await.ok()?;
        assert_eq!(reply.messages.iter().map(|m| m.id).collect::<Vec<_>>(), ids(4..=8));
        Some(())
    })
    .await;
    stop(history).await;
    stop(persister).await;
    keyspace.drop().await;
}

#[tokio::test]
async fn a_worker_that_starts_without_the_store_answers_what_the_log_holds() {
    let mut way = Cut::to(&Server::Cassandra.url()).await;
    let keyspace = Keyspace::at(way.address.to_string()).await;
    way.cut().await;
    let bench = Bench::with(Some(Arc::clone(&keyspace.history))).await;
    bench.say(&model::add(ANN, ANN, 1)).await;
    for n in 2..=20 {
        bench.say(&model::message(ANN, &format!("m{n}"))).await;
    }
    let history = bench.history(HistorySettings::default()).await;
    let reply = bench.range(Some(0), LATEST).await;
    assert_eq!(reply.entries.len(), 20);
    let page = bench.messages(Bound::Newest).await;
    assert_eq!(page.messages.iter().map(|m| m.id).collect::<Vec<_>>(), ids([18, 19, 20]));
    way.mend();
    let persister = bench.persister().await;
    eventually("all is stored", async || {
        (bench.stores.history.floor(STREAM).await.ok()? == 20).then_some(())
    })
    .await;
    assert_eq!(bench.summary(ANN).await.last_id, ids([20]).pop());
    stop(history).await;
    stop(persister).await;
    keyspace.drop().await;
}

/// A store that nobody has ever reached.
fn never_there() -> Arc<dyn HistoryStore> {
    let settings =
        CassandraSettings { url: "127.0.0.1:1".to_owned(), ..CassandraSettings::default() };
    Arc::new(crate::store::cluster::history::open(&settings))
}

#[tokio::test]
async fn a_channel_whose_entries_have_left_memory_goes_on_without_the_store() {
    let mut log = Log::new(STREAM);
    log.push(model::add(ANN, ANN, 1));
    (0..10).for_each(|n| log.push_to(model::dm(), model::message(ANN, &format!("m{n}"))));
    log.push(model::message(ANN, "after a long silence"));
    log.push(model::message(UserId(9), "from a stranger"));
    let bounds = TailSettings { entries: 5, ..TailSettings::default() };
    let view =
        View::new(Layout::new(1).unwrap(), Tail::new(STREAM, 0, bounds), never_there(), None);
    let fresh = Freshness { min: 0, latest: false };
    let asked = RangeRequest { place: PLACE, after: Some(0), fresh, limit: 9, membership: true };
    for (place, entry) in log.entries.iter().take(11) {
        view.take(*place, entry.clone());
    }
    let reply = range::handle(&view, asked.clone()).await.unwrap();
    assert_eq!(reply.entries.len(), 1);
    view.raise_floor(11);
    assert_eq!(view.peek(Tail::base), 6, "five are kept");
    for (place, entry) in log.entries.iter().skip(11) {
        view.take(*place, entry.clone());
    }
    let reply = range::handle(&view, RangeRequest { after: Some(11), ..asked }).await.unwrap();
    assert_eq!(reply.entries.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [12]);
    assert!(reply.membership.unwrap().contains(ANN));
}

#[test]
fn nothing_leaves_memory_for_what_is_not_stored() {
    let mut log = Log::new(STREAM);
    log.push(model::add(ANN, ANN, 1));
    (0..29).for_each(|n| log.push(model::message(ANN, &format!("m{n}"))));
    let bounds = TailSettings { entries: 5, lag_factor: 5, ..TailSettings::default() };
    let mut tail = Tail::new(STREAM, 0, bounds);
    for (place, entry) in &log.entries {
        tail.push(entry.id.sequence(), Some(*place), Some(entry.clone()));
        if entry.id.sequence() == 10 {
            tail.raise_floor(10);
        }
        let base = tail.base();
        match entry.id.sequence() {
            ..10 => assert_eq!(base, 0),
            10..=25 => assert_eq!(base, 5, "five that are stored, and all that is not"),
            seq => assert_eq!(base, 5.max(seq - 25), "five times as many at most"),
        }
    }
    tail.raise_floor(30);
    assert_eq!(tail.base(), 25);
}

#[tokio::test]
async fn a_channel_made_while_the_store_is_away_is_whole() {
    let mut log = Log::new(STREAM);
    (0..10).for_each(|n| log.push_to(model::dm(), model::message(ANN, &format!("m{n}"))));
    let last_ms = log.entries.iter().map(|(_, entry)| entry.at.as_millis()).max().unwrap();
    let id = ConversationId(compose(last_ms + 20_000, 7));
    let made = LogSubject::Channel(id);
    let add = Body::MemberAdd(MemberChange {
        conversation_id: id,
        user_id: ANN,
        author_id: ANN,
        revision: 1,
    });
    log.push_to(made, add);
    let bounds = TailSettings { entries: 5, ..TailSettings::default() };
    let tail = Tail::new(STREAM, 0, bounds);
    let view = View::new(Layout::new(1).unwrap(), tail, never_there(), None);
    for (place, entry) in log.entries.iter().take(10) {
        view.take(*place, entry.clone());
    }
    view.raise_floor(10);
    assert_eq!(view.peek(Tail::base), 5);
    let (place, entry) = log.entries.last().unwrap();
    view.take(*place, entry.clone());
    let fresh = Freshness { min: 0, latest: false };
    for after in [None, Some(0)] {
        let asked = RangeRequest { place: made, after, fresh, limit: 9, membership: true };
        let reply = range::handle(&view, asked).await.unwrap();
        assert_eq!((reply.entries.len(), reply.more), (1, false));
        assert!(reply.membership.unwrap().contains(ANN));
    }
}
