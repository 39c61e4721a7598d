//! What every [`ChannelStore`] must do.
//!
//! [`run`] expects an empty store; [`races`] two handles on one empty store, as two workers have;
//! [`large`] a store with one channel.

mod calls;
mod large;
mod races;

use bus_schema::entry::EntryKind;
use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::subjects::DmSubject;
use bus_schema::text::{ChannelName, Nonce};
use bus_schema::timestamp::Timestamp;

pub(crate) use self::large::large;
pub(crate) use self::races::races;
use crate::store::StoreErrorKind;
use crate::store::channels::*;

const ANN: UserId = UserId(11);
const BOB: UserId = UserId(12);
const CYD: UserId = UserId(13);
const MOST: u64 = 1_000;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn name(text: &str) -> ChannelName {
    ChannelName::parse(text).unwrap()
}

fn new_channel(id: u64, owner: UserId) -> NewChannel {
    NewChannel {
        id: ConversationId(id),
        name: name("tea"),
        owner,
        nonce: None,
        nonces_before: at(0),
        at: at(1_000),
        most_channels: MOST,
    }
}

fn add(user: UserId) -> Change {
    Change::AddMember { user, most_channels: MOST }
}

async fn commit(store: &dyn ChannelStore, id: u64, expected: u64, change: Change) -> Committed {
    let id = ConversationId(id);
    store
        .commit(Commit { id, expected, author: ANN, change, at: at(2_000), call: String::new() })
        .await
        .unwrap()
}

async fn look(store: &dyn ChannelStore, id: u64, users: &[UserId]) -> Look {
    store.look(ConversationId(id), users.to_vec()).await.unwrap().unwrap()
}

/// Publishes, as it were, all that waits; entries get the ids `first`, `first + 1`, ...
async fn drain(store: &dyn ChannelStore, id: u64, mut first: u64) {
    let id = ConversationId(id);
    let mut outbox = store.outbox(id).await.unwrap().unwrap();
    while let Some(head) = outbox.head {
        let revision = head.revision;
        let ack = match head.entry {
            Some(_) => Ack::Notice { revision },
            None => Ack::Entry { revision, entry: EntryId(first) },
        };
        first += u64::from(head.entry.is_none());
        outbox = store.acknowledge(id, ack).await.unwrap().unwrap();
    }
}

/// The whole suite.
pub(crate) async fn run(store: &dyn ChannelStore) {
    nothing_is_nothing(store).await;
    a_channel_from_creation_to_deletion(store).await;
    the_outbox_leaves_from_its_head(store).await;
    adding_again_waits_for_the_later_entry(store).await;
    members_come_and_go_once(store).await;
    calls::are_known_by_what_they_made(store).await;
    nonces_name_channels(store).await;
    ids_have_64_bits(store).await;
    ids_are_arbitrated(store).await;
    limits_hold(store).await;
    only_published_members_show(store).await;
    what_waits_is_found(store).await;
    dms_are_one_for_each_pair(store).await;
    dm_notices_wait(store).await;
}

async fn nothing_is_nothing(store: &dyn ChannelStore) {
    for id in [ConversationId(1), ConversationId(u64::MAX)] {
        assert_eq!(store.look(id, vec![ANN]).await.unwrap(), None);
        assert_eq!(store.show(id, ANN, 10).await.unwrap(), None);
        assert_eq!(store.outbox(id).await.unwrap(), None);
        let ack = Ack::Notice { revision: 1 };
        assert_eq!(store.acknowledge(id, ack).await.unwrap(), None);
        assert_eq!(store.dm(id, ANN).await.unwrap(), None);
    }
    assert_eq!(commit(store, 1, 0, add(BOB)).await, Committed::Stale);
    assert!(store.channels_of(ANN).await.unwrap().is_empty());
    assert!(store.dms_of(ANN).await.unwrap().is_empty());
}

async fn a_channel_from_creation_to_deletion(store: &dyn ChannelStore) {
    assert_eq!(store.create(new_channel(100, ANN)).await.unwrap(), Created::New);
    let created = look(store, 100, &[ANN, BOB]).await;
    assert_eq!(
        created.channel,
        ChannelRecord {
            id: ConversationId(100),
            name: name("tea"),
            owner: ANN,
            revision: 1,
            published: 0,
            members: 1,
            waiting: 1,
            deleted_by: None,
        }
    );
    assert_eq!(created.members, [Member { user: ANN, revision: 1, since: None }]);

    assert_eq!(commit(store, 100, 1, add(BOB)).await, Committed::Done);
    assert_eq!(commit(store, 100, 1, add(CYD)).await, Committed::Stale);
    assert_eq!(commit(store, 100, 2, Change::Rename { name: name("café") }).await, Committed::Done);
    drain(store, 100, 50).await;
    let now = look(store, 100, &[ANN, BOB, CYD]).await;
    assert_eq!((now.channel.revision, now.channel.published), (3, 3));
    assert_eq!((now.channel.members, now.channel.waiting), (2, 0));
    assert_eq!(now.channel.name, name("café"));
    assert_eq!(now.member(BOB).unwrap().since, Some(EntryId(51)));
    assert_eq!(now.member(CYD), None);

    assert_eq!(commit(store, 100, 3, Change::RemoveMember { user: BOB }).await, Committed::Done);
    let now = look(store, 100, &[BOB]).await;
    assert_eq!((now.channel.members, now.channel.published), (1, 3));
    assert!(now.members.is_empty() && store.channels_of(BOB).await.unwrap().is_empty());

    let deletion = Change::Delete { request: "r".to_owned() };
    assert_eq!(commit(store, 100, 4, deletion).await, Committed::Done);
    let now = look(store, 100, &[ANN]).await;
    assert_eq!(now.channel.deleted_by.as_deref(), Some("r"));
    assert_eq!((now.channel.members, now.channel.waiting), (0, 2));
    assert!(now.members.is_empty() && store.channels_of(ANN).await.unwrap().is_empty());
    assert_eq!(commit(store, 100, 5, add(BOB)).await, Committed::Stale, "no change after the end");
    drain(store, 100, 53).await;
    assert_eq!(look(store, 100, &[]).await.channel.published, 5);
}

async fn the_outbox_leaves_from_its_head(store: &dyn ChannelStore) {
    let id = ConversationId(200);
    store.create(new_channel(200, ANN)).await.unwrap();
    commit(store, 200, 1, Change::Rename { name: name("b") }).await;
    let outbox = store.outbox(id).await.unwrap().unwrap();
    let head = outbox.head.clone().unwrap();
    assert_eq!((outbox.revision, outbox.published()), (2, 0));
    assert_eq!((head.revision, head.kind, head.notice), (1, EntryKind::MemberAdd, Some(ANN)));
    let change = add(ANN);
    assert_eq!(head, OutboxItem::new(id, 1, ANN, &change, at(1_000)), "kept as it was committed");

    // Not the head, not yet, and somebody else's: all change nothing.
    for ack in [
        Ack::Entry { revision: 2, entry: EntryId(9) },
        Ack::Notice { revision: 1 },
        Ack::Entry { revision: 7, entry: EntryId(9) },
    ] {
        assert_eq!(store.acknowledge(id, ack).await.unwrap().unwrap(), outbox);
    }
    let ack = Ack::Entry { revision: 1, entry: EntryId(70) };
    for _ in 0..2 {
        let outbox = store.acknowledge(id, ack).await.unwrap().unwrap();
        assert_eq!(outbox.published(), 1);
        assert_eq!(outbox.head.unwrap().entry, Some(EntryId(70)));
    }
    let later = Ack::Entry { revision: 1, entry: EntryId(71) };
    let outbox = store.acknowledge(id, later).await.unwrap().unwrap();
    assert_eq!(outbox.head.unwrap().entry, Some(EntryId(70)), "the first one counts");
    let outbox = store.acknowledge(id, Ack::Notice { revision: 1 }).await.unwrap().unwrap();
    assert_eq!((outbox.published(), outbox.head.unwrap().revision), (1, 2));
    let ack = Ack::Entry { revision: 2, entry: EntryId(72) };
    let outbox = store.acknowledge(id, ack).await.unwrap().unwrap();
    assert_eq!(outbox, Outbox { revision: 2, head: None });
    assert_eq!(look(store, 200, &[ANN]).await.members[0].since, Some(EntryId(70)));
}

async fn adding_again_waits_for_the_later_entry(store: &dyn ChannelStore) {
    let id = ConversationId(300);
    store.create(new_channel(300, ANN)).await.unwrap();
    drain(store, 300, 1).await;
    commit(store, 300, 1, add(BOB)).await;
    commit(store, 300, 2, Change::RemoveMember { user: BOB }).await;
    commit(store, 300, 3, add(BOB)).await;
    let ack = Ack::Entry { revision: 2, entry: EntryId(5) };
    store.acknowledge(id, ack).await.unwrap();
    let member = look(store, 300, &[BOB]).await.members[0];
    assert_eq!(member, Member { user: BOB, revision: 4, since: None });
    drain(store, 300, 6).await;
    assert_eq!(look(store, 300, &[BOB]).await.members[0].since, Some(EntryId(7)));
}

async fn members_come_and_go_once(store: &dyn ChannelStore) {
    store.create(new_channel(350, ANN)).await.unwrap();
    let change = Change::AddMember { user: ANN, most_channels: MOST };
    let again = Commit {
        id: ConversationId(350),
        expected: 1,
        author: ANN,
        change,
        at: at(2_000),
        call: String::new(),
    };
    assert_eq!(store.commit(again).await.unwrap_err().kind, StoreErrorKind::Conflict);
    let now = look(store, 350, &[ANN]).await;
    assert_eq!((now.channel.revision, now.channel.members, now.channel.waiting), (1, 1, 1));
    assert_eq!(commit(store, 350, 1, Change::RemoveMember { user: BOB }).await, Committed::Done);
    let now = look(store, 350, &[ANN, BOB]).await;
    assert_eq!((now.channel.revision, now.channel.members, now.members.len()), (2, 1, 1));
    assert_eq!(commit(store, 350, 1, Change::RemoveMember { user: BOB }).await, Committed::Stale);
}

async fn ids_have_64_bits(store: &dyn ChannelStore) {
    let (owner, other) = (UserId(u64::MAX), UserId(u64::MAX - 1));
    let id = u64::MAX - 2;
    store.create(new_channel(id, owner)).await.unwrap();
    drain(store, id, u64::MAX / 2).await;
    commit(store, id, 1, add(other)).await;
    drain(store, id, u64::MAX - 3).await;
    let seen = look(store, id, &[owner, other]).await;
    let since = |user| seen.member(user).unwrap().since.unwrap();
    assert_eq!((since(owner), since(other)), (EntryId(u64::MAX / 2), EntryId(u64::MAX - 3)));
    let shown = store.show(ConversationId(id), owner, 2).await.unwrap().unwrap();
    assert_eq!(shown.1.unwrap(), [other, owner]);
    assert_eq!(store.channels_of(other).await.unwrap()[0].id, ConversationId(id));
    let place = DmSubject::new(owner, other, ConversationId(u64::MAX)).unwrap();
    store.open_dm(place, other, at(1)).await.unwrap();
    let own = OwnDm { place, opened: true };
    assert_eq!(store.dms_of(other).await.unwrap(), [own]);
    store.dm_noticed(DmNotice { id: place.id(), user: other }).await.unwrap();
}

async fn nonces_name_channels(store: &dyn ChannelStore) {
    let nonce = Some(Nonce::parse("n1").unwrap());
    let new = |id, owner, now: u64| NewChannel {
        nonce: nonce.clone(),
        at: at(now),
        nonces_before: at(now.saturating_sub(300)),
        ..new_channel(id, owner)
    };
    assert_eq!(store.create(new(400, ANN, 10_000)).await.unwrap(), Created::New);
    let repeated = Created::Repeated(ConversationId(400));
    assert_eq!(store.create(new(401, ANN, 10_299)).await.unwrap(), repeated);
    assert_eq!(store.look(ConversationId(401), vec![]).await.unwrap(), None);
    assert_eq!(store.create(new(402, BOB, 10_299)).await.unwrap(), Created::New, "another's");
    assert_eq!(store.create(new(403, ANN, 10_300)).await.unwrap(), Created::New, "too old");
    let repeated = Created::Repeated(ConversationId(403));
    assert_eq!(store.create(new(404, ANN, 10_301)).await.unwrap(), repeated);
    let deletion = Change::Delete { request: String::new() };
    assert_eq!(commit(store, 403, 1, deletion).await, Committed::Done);
    let answer = store.create(new(404, ANN, 10_301)).await.unwrap();
    assert_eq!(answer, repeated, "also when the channel is gone");
    let taken = NewChannel { nonce: Some(Nonce::parse("n2").unwrap()), ..new(403, ANN, 10_301) };
    assert_eq!(store.create(taken).await.unwrap(), Created::IdTaken);
    let free = NewChannel { nonce: Some(Nonce::parse("n2").unwrap()), ..new(406, ANN, 10_301) };
    assert_eq!(store.create(free).await.unwrap(), Created::New, "a refused one used no nonce");
    store.forget_nonces(at(10_300)).await.unwrap();
    assert_eq!(store.create(new(405, ANN, 10_301)).await.unwrap(), Created::New, "forgotten");
}

async fn ids_are_arbitrated(store: &dyn ChannelStore) {
    let dm = |id| DmSubject::new(UserId(500), UserId(501), ConversationId(id)).unwrap();
    store.create(new_channel(500, ANN)).await.unwrap();
    assert_eq!(store.create(new_channel(500, BOB)).await.unwrap(), Created::IdTaken);
    assert_eq!(look(store, 500, &[]).await.channel.owner, ANN);
    let opened = store.open_dm(dm(500), UserId(500), at(1_000)).await.unwrap();
    assert_eq!(opened, Opening::IdTaken);
    assert!(store.dms_of(UserId(500)).await.unwrap().is_empty());
    store.open_dm(dm(501), UserId(500), at(1_000)).await.unwrap();
    assert_eq!(store.create(new_channel(501, ANN)).await.unwrap(), Created::IdTaken);
}

async fn limits_hold(store: &dyn ChannelStore) {
    let (few, owner) = (UserId(600), UserId(601));
    let new = |id| NewChannel { most_channels: 2, ..new_channel(id, few) };
    assert_eq!(store.create(new(600)).await.unwrap(), Created::New);
    assert_eq!(store.create(new(601)).await.unwrap(), Created::New);
    assert_eq!(store.create(new(602)).await.unwrap(), Created::TooManyChannels);
    store.create(new_channel(603, owner)).await.unwrap();
    let add = || Change::AddMember { user: few, most_channels: 2 };
    assert_eq!(commit(store, 603, 1, add()).await, Committed::TooManyChannels);
    assert_eq!(look(store, 603, &[few]).await.channel.revision, 1, "nothing happened");
    let deletion = Change::Delete { request: String::new() };
    commit(store, 600, 1, deletion).await;
    assert_eq!(commit(store, 603, 1, add()).await, Committed::Done, "deleted ones do not count");
}

async fn only_published_members_show(store: &dyn ChannelStore) {
    let owner = UserId(700);
    let others = [UserId(702), UserId(701), UserId(1 << 62)];
    store.create(new_channel(700, owner)).await.unwrap();
    assert!(store.channels_of(owner).await.unwrap().is_empty());
    drain(store, 700, 1).await;
    for (expected, user) in (1..).zip(others) {
        commit(store, 700, expected, add(user)).await;
    }
    let id = ConversationId(700);
    let (seen, members) = store.show(id, owner, 4).await.unwrap().unwrap();
    assert_eq!((seen.channel.revision, seen.channel.published), (4, 1));
    assert_eq!(members.unwrap(), [owner]);
    assert!(store.channels_of(others[0]).await.unwrap().is_empty());
    drain(store, 700, 2).await;
    let (seen, members) = store.show(id, others[0], 4).await.unwrap().unwrap();
    assert_eq!(seen.member(others[0]).unwrap().since, Some(EntryId(2)));
    assert_eq!(members.unwrap(), [owner, others[1], others[0], others[2]]);
    assert_eq!(store.show(id, owner, 3).await.unwrap().unwrap().1, None, "more than asked for");
    assert_eq!(
        store.channels_of(others[0]).await.unwrap(),
        [OwnChannel { id, name: name("tea"), owner, published: 4, since: EntryId(2) }]
    );
}

async fn what_waits_is_found(store: &dyn ChannelStore) {
    let owner = UserId(800);
    for id in 800..803 {
        store.create(NewChannel { at: at(id), ..new_channel(id, owner) }).await.unwrap();
    }
    let from = ConversationId(799);
    let found = async |before, after, limit| {
        let found = store.waiting_channels(at(before), after, limit).await.unwrap();
        found.iter().map(|id| id.0).filter(|id| (800..803).contains(id)).collect::<Vec<_>>()
    };
    assert_eq!(found(801, from, 10).await, [800, 801]);
    assert_eq!(found(802, from, 2).await, [800, 801]);
    assert_eq!(found(802, ConversationId(801), 10).await, [802]);
    drain(store, 800, 1).await;
    assert_eq!(found(802, from, 10).await, [801, 802]);
}

async fn dms_are_one_for_each_pair(store: &dyn ChannelStore) {
    let (low, high, other) = (UserId(900), UserId(901), UserId(902));
    let place = |a, b, id| DmSubject::new(a, b, ConversationId(id)).unwrap();
    let first = place(high, low, 900);
    let open = async |candidate, opener| match store
        .open_dm(candidate, opener, at(1_000))
        .await
        .unwrap()
    {
        Opening::Open { place, .. } => place,
        Opening::IdTaken => panic!("the id is free"),
    };
    assert_eq!(open(first, high).await, first);
    let own = |place, opened| OwnDm { place, opened };
    assert_eq!(store.dms_of(high).await.unwrap(), [own(first, true)]);
    assert_eq!(store.dms_of(low).await.unwrap(), [own(first, false)]);
    assert_eq!(open(place(low, high, 901), low).await, first, "whoever opens it, whenever");
    assert_eq!(open(place(low, high, 902), high).await, first);
    let second = open(place(other, high, 903), other).await;
    assert_eq!(store.dms_of(high).await.unwrap(), [own(first, true), own(second, false)]);
    assert_eq!(store.dms_of(low).await.unwrap(), [own(first, true)]);
    let id = ConversationId(900);
    assert_eq!(store.dm(id, low).await.unwrap(), Some(own(first, true)));
    assert_eq!(store.dm(id, other).await.unwrap(), None);
    assert_eq!(store.look(id, vec![low]).await.unwrap(), None, "a DM is no channel");
}

async fn dm_notices_wait(store: &dyn ChannelStore) {
    let (low, high) = (UserId(950), UserId(951));
    let id = ConversationId(950);
    let place = DmSubject::new(low, high, id).unwrap();
    let open = async |opener, now| store.open_dm(place, opener, at(now)).await.unwrap();
    let start = DmNotice { id, user: UserId(0) };
    let waiting = async |before, after| store.waiting_dms(at(before), after, 1).await.unwrap();
    assert_eq!(open(high, 5_000).await, Opening::Open { place, notice: true });
    assert_eq!(open(high, 6_000).await, Opening::Open { place, notice: true });
    assert_eq!(open(low, 5_500).await, Opening::Open { place, notice: true });
    let (first, second) = (DmNotice { id, user: low }, DmNotice { id, user: high });
    assert_eq!(waiting(5_000, start).await, [second], "since it was first opened");
    assert_eq!(waiting(5_500, start).await, [first]);
    assert_eq!(waiting(5_500, first).await, [second]);
    store.dm_noticed(first).await.unwrap();
    assert_eq!(open(low, 7_000).await, Opening::Open { place, notice: false });
    assert_eq!(waiting(5_500, start).await, [second]);
    store.dm_noticed(second).await.unwrap();
    assert!(waiting(5_500, start).await.is_empty());
}
