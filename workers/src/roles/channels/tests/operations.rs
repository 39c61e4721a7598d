//! Each operation, as an edge asks for it.

use std::collections::BTreeSet;

use bus_schema::entry::{EntryKind, Notice};
use bus_schema::error::Code;
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::ops::Empty;
use bus_schema::ops::channels::*;
use bus_schema::runtime::call::Call;
use bus_schema::subjects::LogSubject;
use futures::future::join_all;

use super::support::*;

const ANN: u64 = 11;
const BOB: u64 = 12;
const CYD: u64 = 13;

fn ids<const N: usize>(users: [u64; N]) -> Vec<UserId> {
    users.map(UserId).to_vec()
}

async fn a_created_channel_shows_with_the_creator_as_its_first_entry(world: World) {
    let worker = world.worker().await;
    let channel = world.create(ANN, " Tea ").await;
    assert_eq!((channel.name.as_str(), channel.owner_id), ("Tea", UserId(ANN)));
    assert_eq!((channel.revision, &channel.member_ids), (1, &Some(ids([ANN]))));
    assert_eq!(world.get(ANN, channel.id).await, Ok(channel.clone()));

    let entries = world.entries(channel.id).await;
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].body.kind(), EntryKind::MemberAdd);
    assert_eq!((entries[0].body.author(), entries[0].body.revision()), (UserId(ANN), Some(1)));
    let listed = world.list(ANN).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(since(&listed[0]), entries[0].id);
    assert_eq!(world.access(ANN, channel.id).await.as_ref(), Ok(&listed[0]));
    let notice = Notice::AddedToChannel {
        conversation_id: channel.id,
        entry_id: entries[0].id,
        revision: 1,
    };
    worker.stop().await;
    assert_eq!(world.notices(ANN).await, [notice]);
}

async fn a_repeated_nonce_is_the_same_channel_also_after_a_restart(world: World) {
    let worker = world.worker().await;
    let first = world.create_with(ANN, "n").await;
    assert_eq!(world.create_with(ANN, "n").await, first);
    worker.stop().await;
    let _worker = world.worker().await;
    assert_eq!(world.create_with(ANN, "n").await, first);
    assert_ne!(world.create_with(ANN, "m").await.id, first.id);
    assert_ne!(world.create_with(BOB, "n").await.id, first.id);
    assert_eq!(world.list(ANN).await.len(), 2);
}

async fn members_come_once_and_go(world: World) {
    let _worker = world.worker().await;
    let id = world.create(ANN, "tea").await.id;
    assert_eq!(world.get(BOB, id).await, Err(Code::NotFound));
    let added = world.add(ANN, id, "U12").await.unwrap();
    assert_eq!((added.revision, &added.member_ids), (2, &Some(ids([ANN, BOB]))));
    assert_eq!(world.add(ANN, id, "u12").await.as_ref(), Ok(&added), "again changes nothing");
    assert_eq!(world.add(ANN, id, "u11").await.as_ref(), Ok(&added), "nor does oneself");
    assert_eq!(world.get(BOB, id).await, Ok(added));
    assert_eq!(world.list(BOB).await, [world.access(BOB, id).await.unwrap()]);

    assert_eq!(world.add(ANN, id, "nobody").await, Err(Code::NotFound));
    assert_eq!(world.add(BOB, id, "nobody").await, Err(Code::NotOwner));
    assert_eq!(world.add(BOB, id, "u13").await, Err(Code::NotOwner));
    assert_eq!(world.add(CYD, id, "u13").await, Err(Code::NotFound));
    assert_eq!(world.remove(BOB, id, Some(ANN)).await, Err(Code::NotOwner));
    assert_eq!(world.remove(ANN, id, None).await, Err(Code::Conflict));
    assert_eq!(world.remove(ANN, id, Some(ANN)).await, Err(Code::Conflict));
    assert_eq!(world.remove(ANN, id, Some(CYD)).await, Err(Code::NotAMember));
    assert_eq!(world.remove(CYD, id, Some(CYD)).await, Err(Code::NotFound));

    assert_eq!(world.remove(BOB, id, None).await, Ok(Empty {}));
    assert_eq!(world.get(BOB, id).await, Err(Code::NotFound));
    assert_eq!(world.access(BOB, id).await, Err(Code::NotFound));
    assert!(world.list(BOB).await.is_empty());
    let back = world.add(ANN, id, "u12").await.unwrap();
    assert_eq!(back.revision, 4);
    assert_eq!(world.remove(ANN, id, Some(BOB)).await, Ok(Empty {}));

    let kinds: Vec<_> = world.entries(id).await.iter().map(|e| e.body.kind()).collect();
    let (add, remove) = (EntryKind::MemberAdd, EntryKind::MemberRemove);
    assert_eq!(kinds, [add, add, remove, add, remove]);
}

async fn only_the_creator_renames_and_deletes(world: World) {
    let _worker = world.worker().await;
    let id = world.create(ANN, "tea").await.id;
    world.add(ANN, id, "u12").await.unwrap();
    assert_eq!(world.rename(BOB, id, "x").await, Err(Code::NotOwner));
    assert_eq!(world.rename(CYD, id, "x").await, Err(Code::NotFound));
    let renamed = world.rename(ANN, id, "coffee").await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.revision), ("coffee", 3));
    assert_eq!(world.rename(ANN, id, "coffee").await, Ok(renamed), "the same name: no change");
    assert_eq!(world.delete(BOB, id).await, Err(Code::NotOwner));
    assert_eq!(world.delete(CYD, id).await, Err(Code::NotFound));
    assert_eq!(world.delete(ANN, id).await, Ok(Empty {}));
    for user in [ANN, BOB] {
        assert_eq!(world.get(user, id).await, Err(Code::NotFound));
        assert_eq!(world.delete(user, id).await, Err(Code::NotFound));
        assert_eq!(world.rename(user, id, "x").await, Err(Code::NotFound));
        assert_eq!(world.add(user, id, "u13").await, Err(Code::NotFound));
        assert_eq!(world.remove(user, id, None).await, Err(Code::NotFound));
        assert_eq!(world.access(user, id).await, Err(Code::NotFound));
        assert!(world.list(user).await.is_empty());
    }
    let kinds: Vec<_> = world.entries(id).await.iter().map(|e| e.body.kind()).collect();
    let (add, update) = (EntryKind::MemberAdd, EntryKind::ChannelUpdate);
    assert_eq!(kinds, [add, add, update, EntryKind::ChannelDelete]);
}

async fn a_repeated_deletion_request_is_answered_as_the_first(world: World) {
    let _worker = world.worker().await;
    let id = world.create(ANN, "tea").await.id;
    for _ in 0..2 {
        let call = token(ANN).request_id("r-1");
        let answer = world.ask::<DeleteChannel>(call, &ChannelRequest { id }).await;
        assert_eq!(code(answer), Ok(Empty {}));
    }
    let call = token(ANN).request_id("r-2");
    let answer = world.ask::<DeleteChannel>(call, &ChannelRequest { id }).await;
    assert_eq!(code(answer), Err(Code::NotFound));
    assert_eq!(world.entries(id).await.len(), 2);
}

async fn a_dm_is_the_same_whoever_opens_it(world: World) {
    let worker = world.worker().await;
    assert_eq!(world.open_dm(ANN, "u11").await, Err(Code::BadRequest));
    assert_eq!(world.open_dm(ANN, "nobody").await, Err(Code::NotFound));
    let opened = world.open_dm(ANN, "u12").await.unwrap();
    assert_eq!(opened.user.id, UserId(BOB));
    assert_eq!(world.open_dm(ANN, "u12").await.as_ref(), Ok(&opened));

    let kind = |opened| ListedKind::Dm { opened };
    let seen = world.list(ANN).await;
    assert_eq!((seen.len(), &seen[0].what), (1, &kind(true)));
    assert_eq!(seen[0].place.conversation(), Some(opened.id));
    assert_eq!(world.list(BOB).await[0].what, kind(false));
    assert_eq!(world.access(BOB, opened.id).await.unwrap().what, kind(false));
    assert_eq!(world.access(CYD, opened.id).await, Err(Code::NotFound));
    assert_eq!(world.get(ANN, opened.id).await, Err(Code::NotFound), "a DM is no channel");
    assert_eq!(world.notices(BOB).await, []);

    let back = world.open_dm(BOB, "u11").await.unwrap();
    assert_eq!((back.id, back.user.id), (opened.id, UserId(ANN)));
    assert_eq!(world.list(BOB).await[0].what, kind(true));
    worker.stop().await;
    let notice = Notice::DmOpened { conversation_id: opened.id };
    assert_eq!(world.notices(ANN).await, std::slice::from_ref(&notice));
    assert_eq!(world.notices(BOB).await, [notice]);
}

async fn the_audience_is_the_channels_and_the_dm_partners(world: World) {
    let _worker = world.worker().await;
    let channel = world.create(ANN, "tea").await.id;
    let other = world.create(CYD, "not hers").await.id;
    world.open_dm(BOB, "u11").await.unwrap();
    let call = Call::asserted(UserId(ANN));
    let audience = world.ask::<Audience>(call, &Empty {}).await.unwrap().places;
    assert_eq!(audience, [LogSubject::Channel(channel), LogSubject::User(UserId(BOB))]);
    assert_ne!(other, channel);
}

async fn what_does_not_exist_is_not_found_and_nobody_is_unauthorized(world: World) {
    let _worker = world.worker().await;
    for id in [0, 1, u64::MAX].map(ConversationId) {
        assert_eq!(world.get(ANN, id).await, Err(Code::NotFound));
        assert_eq!(world.rename(ANN, id, "x").await, Err(Code::NotFound));
        assert_eq!(world.delete(ANN, id).await, Err(Code::NotFound));
        assert_eq!(world.add(ANN, id, "u12").await, Err(Code::NotFound));
        assert_eq!(world.remove(ANN, id, None).await, Err(Code::NotFound));
        assert_eq!(world.access(ANN, id).await, Err(Code::NotFound));
    }
    let id = ConversationId(1);
    for call in [Call::platform(), Call::asserted(UserId(ANN)), Call::token("x.y.z")] {
        let answer = world.ask::<GetChannel>(call, &ChannelRequest { id }).await;
        assert_eq!(code(answer), Err(Code::Unauthorized));
    }
    let answer = world.ask::<Access>(Call::platform(), &ChannelRequest { id }).await;
    assert_eq!(code(answer), Err(Code::Unauthorized));
}

async fn concurrent_changes_on_two_workers_are_serialized_not_refused(world: World) {
    let _workers = [world.worker().await, world.worker().await];
    let id = world.create(ANN, "tea").await.id;
    let users: Vec<u64> = (100..150).collect();
    let added = join_all(users.iter().map(|user| {
        let world = &world;
        async move { world.add(ANN, id, &format!("u{user}")).await }
    }))
    .await;
    for answer in added {
        answer.unwrap();
    }
    let shown = world.get(ANN, id).await.unwrap();
    assert_eq!((shown.revision, shown.member_ids.unwrap().len()), (51, 51));
    let entries = world.entries(id).await;
    let revisions: Vec<_> = entries.iter().filter_map(|e| e.body.revision()).collect();
    assert_eq!(revisions, (1..=51).collect::<Vec<_>>(), "each once, in order");
    let channels: BTreeSet<_> = join_all((0..20).map(|_| world.create_with(BOB, "one")))
        .await
        .iter()
        .map(|c| c.id)
        .collect();
    assert_eq!(channels.len(), 1, "one nonce at the same moment on two workers");
}

on_every_store! {
    a_created_channel_shows_with_the_creator_as_its_first_entry,
    a_repeated_nonce_is_the_same_channel_also_after_a_restart,
    members_come_once_and_go,
    only_the_creator_renames_and_deletes,
    a_repeated_deletion_request_is_answered_as_the_first,
    a_dm_is_the_same_whoever_opens_it,
    the_audience_is_the_channels_and_the_dm_partners,
    what_does_not_exist_is_not_found_and_nobody_is_unauthorized,
    concurrent_changes_on_two_workers_are_serialized_not_refused,
}
