//! Attempts of a call that come when the call has long been done: they were under way to a worker that
//! was cut off or stopped, while another worker did what was asked.

use bus_schema::entry::EntryKind;
use bus_schema::error::Code;
use bus_schema::ops::Empty;
use bus_schema::ops::channels::*;
use bus_schema::text::Username;

use super::support::*;

const ANN: u64 = 11;
const BOB: u64 = 12;

async fn nobody_comes_back_by_a_late_attempt_to_add_them(world: World) {
    let _worker = world.worker().await;
    let id = world.create(ANN, "tea").await.id;
    let add = AddMemberRequest { id, username: Username::parse("u12").unwrap() };
    assert!(world.attempt::<AddMember>(ANN, "call-1", &add).await);
    assert!(world.attempt::<AddMember>(ANN, "call-1", &add).await, "the same again");
    assert_eq!(world.remove(ANN, id, Some(BOB)).await, Ok(Empty {}));
    assert!(world.attempt::<AddMember>(ANN, "call-1", &add).await, "late");
    assert_eq!(world.get(BOB, id).await, Err(Code::NotFound));

    assert!(world.attempt::<AddMember>(ANN, "call-2", &add).await, "another call");
    assert!(world.get(BOB, id).await.is_ok());
    let kinds: Vec<_> = world.entries(id).await.iter().map(|e| e.body.kind()).collect();
    let (add, remove) = (EntryKind::MemberAdd, EntryKind::MemberRemove);
    assert_eq!(kinds, [add, add, remove, add]);
}

async fn a_late_attempt_to_rename_keeps_the_later_name(world: World) {
    let _one = world.worker().await;
    let _two = world.worker().await;
    let id = world.create(ANN, "tea").await.id;
    let rename = |name: &str| RenameChannelRequest { id, name: channel_name(name) };
    assert!(world.attempt::<RenameChannel>(ANN, "call-1", &rename("first")).await);
    assert_eq!(world.rename(ANN, id, "second").await.unwrap().name.as_str(), "second");
    // Whichever worker gets it: what was done is in the store, not in a process.
    for _ in 0..8 {
        assert!(world.attempt::<RenameChannel>(ANN, "call-1", &rename("first")).await);
    }
    assert_eq!(world.get(ANN, id).await.unwrap().name.as_str(), "second");
    assert_eq!(world.entries(id).await.len(), 3);
}

on_every_store! {
    nobody_comes_back_by_a_late_attempt_to_add_them,
    a_late_attempt_to_rename_keeps_the_later_name,
}
