//! What a crash left, and what waits for too long.

use bus_schema::entry::{EntryKind, Notice};
use bus_schema::error::Code;
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::ops::channels::{CreateChannel, CreateChannelRequest};
use bus_schema::runtime::log;
use bus_schema::subjects::{DmSubject, LogSubject};
use bus_schema::text::Nonce;
use bus_schema::timestamp::Timestamp;

use super::support::*;
use crate::roles::channels::ChannelsSettings;
use crate::store::channels::*;

const ANN: u64 = 11;
const BOB: u64 = 12;
const MOST: u64 = 1_000;

/// Creates a channel and adds somebody, as a worker that dies before it publishes.
async fn left_behind(store: &dyn ChannelStore, id: ConversationId, at: Timestamp) {
    let new = NewChannel {
        id,
        name: channel_name("tea"),
        owner: UserId(ANN),
        nonce: None,
        nonces_before: Timestamp::from_millis(0),
        at,
        most_channels: MOST,
    };
    assert_eq!(store.create(new).await.unwrap(), Created::New);
    let change = Change::AddMember { user: UserId(BOB), most_channels: MOST };
    let commit = Commit { id, expected: 1, author: UserId(ANN), change, at, call: String::new() };
    assert_eq!(store.commit(commit).await.unwrap(), Committed::Done);
}

async fn the_sweeper_publishes_what_a_crash_left(world: World) {
    let id = ConversationId(4_000);
    let store = world.store();
    left_behind(&*store, id, Timestamp::from_millis(1_000)).await;
    let (dm, at) = (ConversationId(4_001), Timestamp::from_millis(1_000));
    let place = DmSubject::new(UserId(ANN), UserId(BOB), dm).unwrap();
    store.open_dm(place, UserId(ANN), at).await.unwrap();
    assert!(store.channels_of(UserId(ANN)).await.unwrap().is_empty(), "not yet");

    let worker = world.worker().await;
    eventually("the sweep", async || {
        let outbox = store.outbox(id).await.unwrap().unwrap();
        let notices = store.waiting_dms(at, DmNotice { id: dm, user: UserId(0) }, 1).await.unwrap();
        (outbox.head.is_none() && notices.is_empty()).then_some(())
    })
    .await;
    let entries = world.entries(id).await;
    assert_eq!(entries.len(), 2);
    assert_eq!(since(&world.access(BOB, id).await.unwrap()), entries[1].id);
    let added =
        Notice::AddedToChannel { conversation_id: id, entry_id: entries[1].id, revision: 2 };
    assert_eq!(world.notices(BOB).await, [added]);
    let notices = world.notices(ANN).await;
    assert!(notices.contains(&Notice::DmOpened { conversation_id: dm }), "{notices:?}");
    worker.stop().await;
}

async fn an_entry_that_was_published_before_the_crash_is_not_published_twice(world: World) {
    let id = ConversationId(4_000);
    let store = world.store();
    left_behind(&*store, id, Timestamp::from_millis(1_000)).await;
    // The worker got as far as this: the log has the entry, the store does not know.
    let head = store.outbox(id).await.unwrap().unwrap().head.unwrap();
    let place = LogSubject::Channel(id);
    let kind = EntryKind::MemberAdd.as_str();
    let first = log::publish(&world.edge, place, kind, head.payload, "4000:1:c").await.unwrap();

    let _worker = world.worker().await;
    let listed = eventually("the sweep", async || world.access(ANN, id).await.ok()).await;
    assert_eq!(since(&listed).sequence(), first.sequence);
    eventually("the rest", async || world.access(BOB, id).await.ok()).await;
    assert_eq!(world.entries(id).await.len(), 2);
}

async fn adding_a_member_again_waits_for_their_own_entry(world: World) {
    let id = ConversationId(4_000);
    let store = world.store();
    // Not long ago: the sweeper leaves it alone.
    left_behind(&*store, id, Timestamp::now()).await;
    // The creator's own entry is known to the log's followers, the other's is still waiting.
    let head = store.outbox(id).await.unwrap().unwrap().head.unwrap();
    let kind = EntryKind::MemberAdd.as_str();
    let place = LogSubject::Channel(id);
    let first = log::publish(&world.edge, place, kind, head.payload, "4000:1:c").await.unwrap();
    let stream = world.edge.layout().await.unwrap().stream_of(place);
    let entry = bus_schema::ids::EntryId::new(first.sequence, stream);
    store.acknowledge(id, Ack::Entry { revision: 1, entry }).await.unwrap();

    let _worker = world.worker_with(no_sweep()).await;
    assert_eq!(world.get(BOB, id).await, Err(Code::NotFound), "not yet a member");
    let shown = world.get(ANN, id).await.unwrap();
    assert_eq!((shown.revision, shown.member_ids), (1, Some(vec![UserId(ANN)])));
    let added = world.add(ANN, id, "u12").await.unwrap();
    assert_eq!((added.revision, added.member_ids), (2, Some(vec![UserId(ANN), UserId(BOB)])));
    assert!(world.get(BOB, id).await.is_ok());
    assert_eq!(world.entries(id).await.len(), 2);
}

async fn a_full_outbox_refuses_until_it_is_published(world: World) {
    let worker = world.worker().await;
    let id = world.create(ANN, "tea").await.id;
    worker.stop().await;
    let store = world.store();
    for expected in 1..4 {
        let change = Change::Rename { name: channel_name(&format!("tea {expected}")) };
        let at = Timestamp::now();
        let commit = Commit { id, expected, author: UserId(ANN), change, at, call: String::new() };
        assert_eq!(store.commit(commit).await.unwrap(), Committed::Done);
    }
    let _worker =
        world.worker_with(ChannelsSettings { max_waiting_changes: 3, ..no_sweep() }).await;
    assert_eq!(world.rename(ANN, id, "late").await, Err(Code::Unavailable));
    let renamed =
        eventually("there is room", async || world.rename(ANN, id, "late").await.ok()).await;
    assert_eq!(renamed.revision, 5);
    assert_eq!(world.entries(id).await.len(), 5);
}

async fn without_the_log_removals_hold_additions_wait_and_all_is_finished_later(world: World) {
    let impatient = ChannelsSettings {
        answer_within_ms: 300,
        sweep_after_ms: 0,
        sweep_every_ms: 100,
        ..ChannelsSettings::default()
    };
    let _worker = world.worker_with(impatient).await;
    let id = world.create(ANN, "tea").await.id;
    world.add(ANN, id, "u12").await.unwrap();

    world.set_log(false).await;
    assert_eq!(world.remove(ANN, id, Some(BOB)).await, Err(Code::UnknownOutcome));
    assert_eq!(world.access(BOB, id).await, Err(Code::NotFound), "refused at once");
    assert!(world.list(BOB).await.is_empty());
    assert_eq!(world.add(ANN, id, "u13").await, Err(Code::Timeout));
    assert_eq!(world.access(13, id).await, Err(Code::NotFound), "not yet");
    assert_eq!(world.rename(ANN, id, "late").await, Err(Code::Timeout));
    assert_eq!(world.open_dm(ANN, "u12").await, Err(Code::Timeout));
    let shown = world.get(ANN, id).await.unwrap();
    assert_eq!((shown.revision, shown.member_ids), (2, Some(vec![UserId(ANN)])));
    let nonce = Some(Nonce::parse("n").unwrap());
    let request = CreateChannelRequest { name: channel_name("more"), nonce };
    let answer = world.ask::<CreateChannel>(token(ANN), &request).await;
    assert_eq!(code(answer), Err(Code::UnknownOutcome));
    assert_eq!(world.list(ANN).await.len(), 2, "one channel and the DM");

    world.set_log(true).await;
    let shown = eventually("all is published", async || {
        let shown = world.get(ANN, id).await.unwrap();
        (shown.revision == 5).then_some(shown)
    })
    .await;
    assert_eq!(shown.member_ids, Some(vec![UserId(ANN), UserId(13)]));
    assert_eq!(shown.name, channel_name("late"));
    let more = world.create_with(ANN, "n").await;
    assert_eq!(world.entries(more.id).await.len(), 1);
    let kinds: Vec<_> = world.entries(id).await.iter().map(|e| e.body.kind()).collect();
    let (add, remove) = (EntryKind::MemberAdd, EntryKind::MemberRemove);
    assert_eq!(kinds, [add, add, remove, add, EntryKind::ChannelUpdate]);
}

/// Nothing is published but for requests.
fn no_sweep() -> ChannelsSettings {
    ChannelsSettings { sweep_after_ms: 3_600_000, ..ChannelsSettings::default() }
}

on_every_store! {
    the_sweeper_publishes_what_a_crash_left,
    an_entry_that_was_published_before_the_crash_is_not_published_twice,
    adding_a_member_again_waits_for_their_own_entry,
    a_full_outbox_refuses_until_it_is_published,
    without_the_log_removals_hold_additions_wait_and_all_is_finished_later,
}
