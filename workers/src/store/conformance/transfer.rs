//! Random content for a store, and everything that a [`Transfer`] gives of one.
//!
//! Content comes into being as it does on a platform, by the operations of each aggregate, in any
//! order; what an operation refuses does not happen.

use std::collections::BTreeMap;

use bus_schema::events::User;
use bus_schema::ids::{ConversationId, EntryId, SessionId, StreamIndex, UserId, WebhookId};
use bus_schema::subjects::DmSubject;
use bus_schema::text::{ChannelName, DisplayName, Nonce, Username};
use bus_schema::timestamp::Timestamp;
use proptest::prelude::*;

use super::history::model::{self, Log};
use crate::store::Stores;
use crate::store::channels::{Ack, Change, Commit, DmNotice, NewChannel};
use crate::store::invites::InviteRecord;
use crate::store::keys::{KeyRecord, Purpose};
use crate::store::sessions::{Rotation, SessionRecord};
use crate::store::transfer::{Record, Table, Transfer};
use crate::store::users::{Account, ProfileChange};
use crate::store::webhooks::WebhookRecord;

/// Something that happens on a platform. Numbers are small; [`id`] makes ids of them.
#[derive(Debug, Clone)]
enum Deed {
    Register(u8),
    Rename(u8, u8),
    Disable(u8),
    Invite(u8, u32),
    Take(u8),
    Hook(u8, u8),
    SignIn(u8, u8),
    Rotate(u8, u8, bool),
    SignOut(u8, u8),
    Create(u8, u8, bool),
    Change(u8, Step),
    Publish(u8),
    OpenDm(u8, u8),
    Notice(u8, u8),
    Read(u8, u64),
}

#[derive(Debug, Clone)]
enum Step {
    Add(u8),
    Remove(u8),
    Rename(u8),
    Delete,
}

/// Everything a store may hold.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    deeds: Vec<Deed>,
    log: Log,
    /// Which of the valid entries are there; edits may so come before their messages.
    kept: Vec<bool>,
    floor: u64,
    /// Sizes of pages to read it with.
    pub(crate) page: usize,
}

fn deed() -> impl Strategy<Value = Deed> {
    let n = || 0u8..6;
    let step = prop_oneof![
        4 => n().prop_map(Step::Add),
        2 => n().prop_map(Step::Remove),
        2 => n().prop_map(Step::Rename),
        1 => Just(Step::Delete),
    ];
    prop_oneof![
        3 => n().prop_map(Deed::Register),
        2 => (n(), n()).prop_map(|(a, b)| Deed::Rename(a, b)),
        1 => n().prop_map(Deed::Disable),
        1 => (n(), 0u32..3).prop_map(|(a, b)| Deed::Invite(a, b)),
        1 => n().prop_map(Deed::Take),
        1 => (n(), n()).prop_map(|(a, b)| Deed::Hook(a, b)),
        3 => (n(), n()).prop_map(|(a, b)| Deed::SignIn(a, b)),
        4 => (n(), 0u8..4, any::<bool>()).prop_map(|(a, b, c)| Deed::Rotate(a, b, c)),
        1 => (n(), n()).prop_map(|(a, b)| Deed::SignOut(a, b)),
        3 => (n(), n(), any::<bool>()).prop_map(|(a, b, c)| Deed::Create(a, b, c)),
        6 => (n(), step).prop_map(|(a, b)| Deed::Change(a, b)),
        6 => n().prop_map(Deed::Publish),
        3 => (n(), n()).prop_map(|(a, b)| Deed::OpenDm(a, b)),
        1 => (n(), n()).prop_map(|(a, b)| Deed::Notice(a, b)),
        2 => (n(), 1u64..1 << 40).prop_map(|(a, b)| Deed::Read(a, b)),
    ]
}

/// Any content.
pub(crate) fn any_content() -> impl Strategy<Value = Content> {
    let deeds = prop::collection::vec(deed(), 0..60);
    let kept = prop::collection::vec(prop::bool::weighted(0.9), 40);
    (deeds, model::any_log(0..40), kept, 0u64..50, 1usize..9)
        .prop_map(|(deeds, log, kept, floor, page)| Content { deeds, log, kept, floor, page })
}

impl Content {
    /// Content with something of every kind.
    pub(crate) fn rich() -> Self {
        let deeds = vec![
            Deed::Register(0),
            Deed::Register(1),
            Deed::Register(3),
            Deed::Rename(1, 2),
            Deed::Disable(3),
            Deed::Invite(0, 2),
            Deed::Take(0),
            Deed::Hook(0, 3),
            Deed::Hook(5, 3),
            Deed::Invite(1, 0),
            Deed::SignIn(0, 0),
            Deed::Rotate(0, 0, true),
            Deed::Rotate(0, 1, true),
            Deed::SignIn(1, 0),
            Deed::SignOut(1, 0),
            Deed::Create(0, 0, true),
            Deed::Publish(0),
            Deed::Change(0, Step::Add(1)),
            Deed::Publish(0),
            Deed::Create(2, 1, false),
            Deed::Change(2, Step::Rename(4)),
            Deed::Create(1, 0, true),
            Deed::Change(1, Step::Delete),
            Deed::OpenDm(0, 1),
            Deed::OpenDm(1, 0),
            Deed::Notice(1, 0),
            Deed::Read(0, 7),
        ];
        let (ann, bob) = (UserId(1), UserId(2));
        let mut log = Log::new(StreamIndex(0));
        log.push(model::add(ann, ann, 1)); // 1
        log.push(model::add(bob, ann, 2)); // 2
        log.push(model::message(ann, "first")); // 3
        log.push(model::message(bob, "second")); // 4
        log.push(model::edit(ann, 3, StreamIndex(0), "edited")); // 5
        log.push(model::edit(bob, 4, StreamIndex(0), "to be deleted")); // 6
        log.push(model::delete(ann, 4, StreamIndex(0))); // 7
        log.push(model::message(bob, "edited before it was deleted")); // 8
        Self { deeds, log, kept: Vec::new(), floor: 8, page: 1 }
    }
}

/// Ids use all 64 bits.
fn id(n: u8) -> u64 {
    if n.is_multiple_of(2) { u64::from(n) + 100 } else { u64::MAX - u64::from(n) }
}

fn at(n: usize) -> Timestamp {
    Timestamp::from_millis(1_600_000_000_000 + n as u64)
}

/// Makes a store hold the content.
pub(crate) async fn fill(stores: &Stores, content: &Content) {
    for purpose in Purpose::ALL {
        let key = KeyRecord { kid: "first".to_owned(), secret: [7; 32], created_at: at(0) };
        stores.keys.ensure(purpose, key).await.unwrap();
    }
    for (n, deed) in content.deeds.iter().enumerate() {
        people(stores, deed, n).await;
        channels(stores, deed, n).await;
        if let Deed::Read(who, entry) = deed {
            let (user, place) = (UserId(id(*who)), ConversationId(id(*who / 2)));
            stores.history.advance_marker(user, place, EntryId(*entry)).await.unwrap();
        }
    }
    let valid = content.log.valid();
    let kept = content.kept.iter().chain(std::iter::repeat(&true));
    let entries: Vec<_> =
        valid.into_iter().zip(kept).filter(|(_, kept)| **kept).map(|(entry, _)| entry).collect();
    for batch in entries.chunks(7) {
        stores.history.write_batch(StreamIndex(0), batch.to_vec(), 0).await.unwrap();
    }
    stores.history.write_batch(StreamIndex(0), Vec::new(), content.floor).await.unwrap();
    stores.history.write_batch(StreamIndex(3), Vec::new(), 5).await.unwrap();
}

async fn people(stores: &Stores, deed: &Deed, n: usize) {
    let name = |n: u8| Username::parse(&format!("name{n}")).unwrap();
    match *deed {
        Deed::Register(who) => {
            let user = User {
                id: UserId(id(who)),
                username: name(who),
                display_name: DisplayName::parse("Élise").unwrap(),
                avatar_url: None,
                bot: who == 3,
            };
            if who == 3 {
                let bot = Account::bot(user, UserId(id(0)), at(n));
                stores.users.create_bot(bot, 1).await.unwrap();
            } else {
                let account = Account::new(user, Some(format!("hash {who}")), at(n));
                stores.users.create(account).await.unwrap();
            }
        }
        Deed::Rename(who, to) => {
            let change = ProfileChange { username: Some(name(to)), ..ProfileChange::default() };
            stores.users.update_profile(UserId(id(who)), change).await.unwrap();
        }
        Deed::Disable(who) => {
            stores.users.set_disabled(UserId(id(who)), true).await.unwrap();
        }
        Deed::Invite(which, uses_left) => {
            let name = format!("invite{which}");
            let invite = InviteRecord { hash: [which; 32], name, uses_left, created_at: at(n) };
            let _ = stores.invites.create(invite).await;
        }
        Deed::Take(which) => {
            stores.invites.take([which; 32]).await.unwrap();
        }
        Deed::Hook(which, who) => {
            let webhook = WebhookRecord {
                id: WebhookId(id(which)),
                hash: [which; 32],
                channel: ConversationId(id(which / 2)),
                bot: UserId(id(who)),
                created_at: at(n),
            };
            stores.webhooks.create(webhook, 1).await.unwrap();
        }
        Deed::SignIn(which, who) => {
            let (id, user) = (SessionId(id(which)), UserId(id(who)));
            let session = SessionRecord { id, user, created_at: at(n), last_used_at: at(n) };
            let _ = stores.sessions.create(session, [0; 32], 3).await;
        }
        Deed::Rotate(which, from, named) => {
            let rotation = Rotation {
                session: SessionId(id(which)),
                spent: [from; 32],
                next: [from + 1; 32],
                nonce: named.then(|| Nonce::parse("again").unwrap()),
                at: at(n),
                repeats_since: at(0),
                idle_since: at(0),
            };
            stores.sessions.rotate(rotation).await.unwrap();
        }
        Deed::SignOut(which, who) => {
            let ended = stores.sessions.end(UserId(id(who)), SessionId(id(which)), at(n));
            ended.await.unwrap();
        }
        _ => {}
    }
}

async fn channels(stores: &Stores, deed: &Deed, n: usize) {
    let store = &stores.channels;
    let name = |n: u8| ChannelName::parse(&format!("room {n}")).unwrap();
    match deed {
        Deed::Create(which, who, named) => {
            let new = NewChannel {
                id: ConversationId(id(*which)),
                name: name(*which),
                owner: UserId(id(*who)),
                nonce: named.then(|| Nonce::parse(&format!("a b:{n}")).unwrap()),
                nonces_before: at(0),
                at: at(n),
                most_channels: 100,
            };
            store.create(new).await.unwrap();
        }
        Deed::Change(which, step) => {
            let channel = ConversationId(id(*which));
            let Some(look) = store.look(channel, members(step)).await.unwrap() else { return };
            let change = match step {
                Step::Add(who) if look.members.is_empty() => {
                    Change::AddMember { user: UserId(id(*who)), most_channels: 100 }
                }
                Step::Remove(who) if !look.members.is_empty() => {
                    Change::RemoveMember { user: UserId(id(*who)) }
                }
                Step::Rename(to) => Change::Rename { name: name(*to) },
                Step::Delete => Change::Delete { request: format!("request {n}") },
                _ => return,
            };
            let (expected, author) = (look.channel.revision, look.channel.owner);
            let commit =
                Commit { id: channel, expected, author, change, at: at(n), call: String::new() };
            store.commit(commit).await.unwrap();
        }
        Deed::Publish(which) => {
            let channel = ConversationId(id(*which));
            let Some(outbox) = store.outbox(channel).await.unwrap() else { return };
            let Some(head) = outbox.head else { return };
            let revision = head.revision;
            let ack = match head.entry {
                Some(_) => Ack::Notice { revision },
                None => Ack::Entry { revision, entry: EntryId(n as u64 * 1_024) },
            };
            store.acknowledge(channel, ack).await.unwrap();
        }
        Deed::OpenDm(a, b) if a != b => {
            let number = u64::from(a.min(b) * 6 + a.max(b)) + 1_000;
            let place = DmSubject::new(UserId(id(*a)), UserId(id(*b)), ConversationId(number));
            store.open_dm(place.unwrap(), UserId(id(*a)), at(n)).await.unwrap();
        }
        Deed::Notice(a, b) => {
            let number = u64::from(a.min(b) * 6 + a.max(b)) + 1_000;
            let notice = DmNotice { id: ConversationId(number), user: UserId(id(*a)) };
            store.dm_noticed(notice).await.unwrap();
        }
        _ => {}
    }
}

fn members(step: &Step) -> Vec<UserId> {
    match step {
        Step::Add(who) | Step::Remove(who) => vec![UserId(id(*who))],
        _ => Vec::new(),
    }
}

/// All records of a store, read in pages of some rows, by table and key.
pub(crate) async fn everything(
    store: &dyn Transfer,
    rows: usize,
) -> BTreeMap<(Table, String), Record> {
    let mut all = BTreeMap::new();
    for table in Table::ALL {
        let mut from = None;
        loop {
            let page = store.export(table, from, rows).await.unwrap();
            assert!(page.next.is_none() || !page.records.is_empty(), "no page is empty");
            for record in page.records {
                let twice = all.insert((table, record.key()), record);
                assert_eq!(twice, None, "each record once");
            }
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    all
}
