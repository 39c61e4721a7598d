//! A channel's document is what replaying its log through the verdict gives, whatever was asked, on
//! however many workers, and whichever of them stopped in between.

use std::collections::BTreeMap;
use std::time::Duration;

use bus_schema::ids::ConversationId;
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::{Membership, Target, Verdict};
use futures::future::join_all;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::timeout;

use super::support::*;
use crate::store::channels::ChannelStore;

const OWNER: u64 = 1;
const USERS: std::ops::Range<u64> = 1..9;

/// How long to wait for an answer that a stopping worker may have taken with it.
const ANSWER: Duration = Duration::from_secs(3);

/// One random request; its answer does not matter here.
async fn act(world: &World, id: ConversationId, roll: u32, user: u64, other: u64) {
    let name = format!("u{other}");
    match roll {
        0..450 => drop(world.add(OWNER, id, &name).await),
        450..600 => drop(world.remove(OWNER, id, Some(other)).await),
        600..750 => drop(world.remove(user, id, None).await),
        750..850 => drop(world.rename(OWNER, id, &format!("name {roll}")).await),
        850..950 => drop(world.add(user, id, &name).await),
        950..996 => drop(world.remove(user, id, Some(other)).await),
        _ => drop(world.delete(OWNER, id).await),
    }
}

/// How many entries the channel has.
async fn check(world: &World, store: &dyn ChannelStore, id: ConversationId) -> usize {
    eventually("the outbox is empty", async || {
        store.outbox(id).await.unwrap().unwrap().head.is_none().then_some(())
    })
    .await;
    let mut replayed = Membership::at_start(LogSubject::Channel(id));
    let entries = world.entries(id).await;
    for entry in &entries {
        let verdict = replayed.judge(&entry.body, Target::Unknown);
        assert_eq!(verdict, Verdict::Valid, "what the role publishes is valid: {:?}", entry.body);
        replayed.apply(entry);
    }
    let users = USERS.map(bus_schema::ids::UserId).collect();
    let look = store.look(id, users).await.unwrap().unwrap();
    let document: BTreeMap<_, _> =
        look.members.iter().map(|member| (member.user, member.since.unwrap())).collect();
    assert_eq!(replayed.owner, Some(look.channel.owner));
    assert_eq!(replayed.revision, look.channel.revision);
    assert_eq!(replayed.deleted, look.channel.deleted_by.is_some());
    if !replayed.deleted {
        assert_eq!(replayed.members, document);
        assert_eq!(look.channel.members, document.len() as u64);
    }
    entries.len()
}

async fn the_document_is_the_replay_of_its_log(world: World) {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let lasting = world.worker().await;
    let mut passing = world.worker().await;
    let mut channels = Vec::new();
    for n in 0..4 {
        channels.push(world.create(OWNER, &format!("c{n}")).await.id);
    }
    for round in 0..12 {
        let acts = (0..24).map(|_| {
            let id = channels[rng.random_range(0..channels.len())];
            let (user, other) = (rng.random_range(USERS), rng.random_range(USERS));
            timeout(ANSWER, act(&world, id, rng.random_range(0..1_000), user, other))
        });
        let acts = join_all(acts.collect::<Vec<_>>());
        if round % 4 == 3 {
            let next = world.worker().await;
            let leaving = std::mem::replace(&mut passing, next);
            tokio::join!(acts, leaving.stop());
        } else {
            acts.await;
        }
    }
    let mut entries = 0;
    for id in channels {
        entries += check(&world, &*lasting.store, id).await;
    }
    assert!(entries > 40, "only {entries} entries: the requests did too little");
}

on_every_store! {
    the_document_is_the_replay_of_its_log,
}
