//! Random operations, one by one on this store and on the embedded one: the same answers.

use bus_schema::ids::EntryId;
use bus_schema::text::{ChannelName, Nonce};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::store::StoreErrorKind;
use crate::store::channels::Change;
use crate::store::embedded::channels::EmbeddedChannels;

const STEPS: u64 = 1_500;
/// Few, so that they meet.
const IDS: std::ops::Range<u64> = 1..9;
const USERS: std::ops::Range<u64> = 1..7;

#[derive(Debug, Clone)]
enum Operation {
    Create(NewChannel),
    Commit(Commit),
    Acknowledge(ConversationId, Ack),
    OpenDm(DmSubject, UserId, Timestamp),
    DmNoticed(DmNotice),
    ForgetNonces(Timestamp),
}

/// Everything that a store says of these few ids and users.
#[derive(Debug, PartialEq)]
struct State {
    looks: Vec<Option<Look>>,
    shown: Vec<Option<(Look, Option<Vec<UserId>>)>>,
    outboxes: Vec<Option<Outbox>>,
    own: Vec<(Vec<OwnChannel>, Vec<OwnDm>)>,
    dms: Vec<Option<OwnDm>>,
    waiting: (Vec<ConversationId>, Vec<DmNotice>),
}

#[derive(Debug, PartialEq)]
enum Answer {
    Created(Created),
    Committed(Committed),
    Outbox(Option<Outbox>),
    Opening(Opening),
    Done,
}

async fn answer(store: &dyn ChannelStore, step: Operation) -> Result<Answer, StoreErrorKind> {
    let answered = match step {
        Operation::Create(new) => store.create(new).await.map(Answer::Created),
        Operation::Commit(commit) => store.commit(commit).await.map(Answer::Committed),
        Operation::Acknowledge(id, ack) => store.acknowledge(id, ack).await.map(Answer::Outbox),
        Operation::OpenDm(place, user, at) => {
            store.open_dm(place, user, at).await.map(Answer::Opening)
        }
        Operation::DmNoticed(notice) => store.dm_noticed(notice).await.map(|()| Answer::Done),
        Operation::ForgetNonces(at) => store.forget_nonces(at).await.map(|()| Answer::Done),
    };
    answered.map_err(|error| error.kind)
}

async fn state(store: &dyn ChannelStore, now: Timestamp, roll: u64) -> State {
    let users: Vec<_> = USERS.map(UserId).collect();
    let mut state = State {
        looks: Vec::new(),
        shown: Vec::new(),
        outboxes: Vec::new(),
        own: Vec::new(),
        dms: Vec::new(),
        waiting: (Vec::new(), Vec::new()),
    };
    for id in IDS.map(ConversationId) {
        state.looks.push(store.look(id, users.clone()).await.unwrap());
        let user = users[usize::try_from(roll).unwrap() % users.len()];
        let most = usize::try_from(roll % 5).unwrap();
        state.shown.push(store.show(id, user, most).await.unwrap());
        state.outboxes.push(store.outbox(id).await.unwrap());
        state.dms.push(store.dm(id, user).await.unwrap());
    }
    for user in users {
        let channels = store.channels_of(user).await.unwrap();
        state.own.push((channels, store.dms_of(user).await.unwrap()));
    }
    let after = ConversationId(roll % 4);
    let before = Timestamp::from_millis(now.as_millis().saturating_sub(roll % 20));
    let limit = usize::try_from(roll % 4).unwrap();
    let notice = DmNotice { id: after, user: UserId(roll % 7) };
    state.waiting = (
        store.waiting_channels(before, after, limit).await.unwrap(),
        store.waiting_dms(before, notice, limit).await.unwrap(),
    );
    state
}

struct Steps {
    rng: StdRng,
    now: Timestamp,
}

impl Steps {
    fn id(&mut self) -> ConversationId {
        ConversationId(self.rng.random_range(IDS))
    }

    fn user(&mut self) -> UserId {
        UserId(self.rng.random_range(USERS))
    }

    fn change(&mut self) -> Change {
        let user = self.user();
        match self.rng.random_range(0..20) {
            0..10 => Change::AddMember { user, most_channels: self.rng.random_range(2..6) },
            10..16 => Change::RemoveMember { user },
            16..19 => Change::Rename { name: name(self.rng.random_range(0..50)) },
            _ => Change::Delete { request: "r".to_owned() },
        }
    }

    /// The next operation. Most fit what is there: those at random would mostly come to nothing.
    async fn next(&mut self, store: &dyn ChannelStore) -> Operation {
        let id = self.id();
        let (at, outbox) = (self.now, store.outbox(id).await.unwrap());
        match self.rng.random_range(0..100) {
            0..12 => Operation::Create(self.creation(id)),
            12..50 => {
                let current = outbox.map_or(0, |outbox| outbox.revision);
                let off = u64::from(self.rng.random_ratio(1, 10));
                let (author, change) = (self.user(), self.change());
                Operation::Commit(Commit {
                    id,
                    expected: current + off,
                    author,
                    change,
                    at,
                    call: String::new(),
                })
            }
            50..82 => {
                let head = outbox.and_then(|outbox| outbox.head);
                let off = u64::from(self.rng.random_ratio(1, 10));
                let revision = head.as_ref().map_or(1, |head| head.revision) + off;
                let noticed = head.is_some_and(|head| head.entry.is_some());
                if noticed != self.rng.random_ratio(1, 10) {
                    return Operation::Acknowledge(id, Ack::Notice { revision });
                }
                let entry = EntryId(self.now.as_millis());
                Operation::Acknowledge(id, Ack::Entry { revision, entry })
            }
            82..92 => {
                let (low, high) = (self.user(), self.user());
                let place = DmSubject::new(low, high, id);
                place.map_or(Operation::ForgetNonces(Timestamp::from_millis(0)), |place| {
                    Operation::OpenDm(place, low, at)
                })
            }
            92..98 => Operation::DmNoticed(DmNotice { id, user: self.user() }),
            _ => Operation::ForgetNonces(Timestamp::from_millis(at.as_millis().saturating_sub(50))),
        }
    }

    fn creation(&mut self, id: ConversationId) -> NewChannel {
        let nonce = self.rng.random_bool(0.6).then(|| self.rng.random_range(0..3));
        NewChannel {
            id,
            name: name(0),
            owner: self.user(),
            nonce: nonce.map(|n: u8| Nonce::parse(&format!("n{n}")).unwrap()),
            nonces_before: Timestamp::from_millis(self.now.as_millis().saturating_sub(30)),
            at: self.now,
            most_channels: self.rng.random_range(1..6),
        }
    }
}

fn name(n: u32) -> ChannelName {
    ChannelName::parse(&format!("name {n}")).unwrap()
}

#[tokio::test]
async fn it_answers_as_the_embedded_store_does() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    with_database(async |mongo| {
        let directory = tempfile::tempdir().unwrap();
        let embedded = EmbeddedChannels::open(directory.path()).unwrap();
        let store = Channels(mongo);
        let now = Timestamp::from_millis(1_000);
        let mut steps = Steps { rng: StdRng::seed_from_u64(seed), now };
        let mut refused = 0;
        for n in 0..STEPS {
            steps.now = Timestamp::from_millis(1_000 + n);
            let step = steps.next(&embedded).await;
            let expected = answer(&embedded, step.clone()).await;
            assert_eq!(answer(&store, step.clone()).await, expected, "step {n}: {step:?}");
            refused += u64::from(expected.is_err());
            if n % 10 == 0 {
                let roll = steps.rng.random_range(0..1_000);
                let expected = state(&embedded, steps.now, roll).await;
                assert_eq!(state(&store, steps.now, roll).await, expected, "after step {n}");
            }
        }
        assert!(refused < STEPS / 10, "{refused} steps came to nothing");
    })
    .await;
}
