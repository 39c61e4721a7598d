//! What every [`SessionStore`] must do. Expects an empty store.

use bus_schema::ids::{SessionId, UserId};
use bus_schema::text::Nonce;
use bus_schema::timestamp::Timestamp;
use futures::future::join_all;

use crate::store::StoreErrorKind;
use crate::store::sessions::{
    REPEATS_PER_SESSION, Rotated, Rotation, SessionRecord, SessionStore, TokenHash,
};

const ANN: UserId = UserId(1);
const BOB: UserId = UserId(2);
const MANY: usize = 50;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn token(n: u8) -> TokenHash {
    [n; 32]
}

fn session(id: u64, user: UserId, ms: u64) -> SessionRecord {
    SessionRecord { id: SessionId(id), user, created_at: at(ms), last_used_at: at(ms) }
}

/// Token `from` of a session turns into token `to`.
fn rotation(id: u64, from: u8, to: u8, nonce: Option<&str>, ms: u64) -> Rotation {
    Rotation {
        session: SessionId(id),
        spent: token(from),
        next: token(to),
        nonce: nonce.map(|n| Nonce::parse(n).unwrap()),
        at: at(ms),
        repeats_since: at(ms.saturating_sub(120)),
        idle_since: at(ms.saturating_sub(10_000)),
    }
}

pub(crate) async fn suite(store: &dyn SessionStore) {
    rotating(store).await;
    repeating(store).await;
    racing(store).await;
    limiting(store).await;
    ending(store).await;
    forgetting(store).await;
}

async fn rotating(store: &dyn SessionStore) {
    store.create(session(10, ANN, 1_000), token(1), MANY).await.unwrap();
    let taken = store.create(session(10, BOB, 1_000), token(1), MANY).await.unwrap_err();
    assert_eq!(taken.kind, StoreErrorKind::Conflict);
    let moved = store.rotate(rotation(10, 1, 2, None, 2_000)).await.unwrap();
    let now = SessionRecord { last_used_at: at(2_000), ..session(10, ANN, 1_000) };
    assert_eq!(moved, Rotated::Moved(now));
    assert_eq!(store.of_user(ANN, at(0)).await.unwrap(), [now]);
    let reused = store.rotate(rotation(10, 1, 3, None, 2_001)).await.unwrap();
    assert_eq!(reused, Rotated::Reused(now), "without a nonce nothing is repeated");
    assert_eq!(store.of_user(ANN, at(0)).await.unwrap(), []);
    assert_eq!(store.rotate(rotation(10, 2, 4, None, 2_002)).await.unwrap(), Rotated::Gone);
    assert_eq!(store.rotate(rotation(11, 2, 4, None, 2_002)).await.unwrap(), Rotated::Gone);
}

async fn repeating(store: &dyn SessionStore) {
    store.create(session(20, ANN, 1_000), token(1), MANY).await.unwrap();
    let first = rotation(20, 1, 2, Some("a"), 2_000);
    assert!(matches!(store.rotate(first).await.unwrap(), Rotated::Moved(_)));
    let again = rotation(20, 1, 2, Some("a"), 2_100);
    let Rotated::Repeated { session: same, at: first_at } = store.rotate(again).await.unwrap()
    else {
        panic!("not recognized")
    };
    assert_eq!((same.id, first_at), (SessionId(20), at(2_000)));
    // Still the same after the session has moved on.
    assert!(matches!(
        store.rotate(rotation(20, 2, 3, Some("a"), 2_101)).await.unwrap(),
        Rotated::Moved(_)
    ));
    assert!(matches!(
        store.rotate(rotation(20, 1, 2, Some("a"), 2_110)).await.unwrap(),
        Rotated::Repeated { at: first, .. } if first == at(2_000)
    ));
    let late = store.rotate(rotation(20, 1, 2, Some("a"), 2_121)).await.unwrap();
    assert!(matches!(late, Rotated::Reused(_)), "{late:?}");

    store.create(session(21, ANN, 1_000), token(1), MANY).await.unwrap();
    store.rotate(rotation(21, 1, 2, Some("a"), 2_000)).await.unwrap();
    let other = store.rotate(rotation(21, 1, 3, Some("b"), 2_001)).await.unwrap();
    assert!(matches!(other, Rotated::Reused(_)), "another nonce is reuse");

    store.create(session(22, ANN, 1_000), token(1), MANY).await.unwrap();
    let idle = store.rotate(rotation(22, 1, 2, None, 11_001)).await.unwrap();
    assert_eq!(idle, Rotated::Gone, "unused for too long");
}

async fn racing(store: &dyn SessionStore) {
    store.create(session(30, BOB, 1_000), token(100), MANY).await.unwrap();
    let tries = (0..20).map(|_| store.rotate(rotation(30, 100, 101, Some("n"), 2_000)));
    let results = join_all(tries).await;
    let moved = results.iter().filter(|r| matches!(r, Ok(Rotated::Moved(_)))).count();
    let repeated = results.iter().filter(|r| matches!(r, Ok(Rotated::Repeated { .. }))).count();
    assert_eq!((moved, repeated), (1, 19));
    // More rotations within the window than a session remembers: the oldest count as reuse.
    let steps = u8::try_from(REPEATS_PER_SESSION).unwrap();
    for n in 101..101 + steps {
        let moved = store.rotate(rotation(30, n, n + 1, Some("n"), 2_000 + u64::from(n))).await;
        assert!(matches!(moved, Ok(Rotated::Moved(_))), "{n}");
    }
    let forgotten = store.rotate(rotation(30, 100, 101, Some("n"), 2_110)).await.unwrap();
    assert!(matches!(forgotten, Rotated::Reused(_)), "{forgotten:?}");

    // One token used by many who are not the same: one is served, and then the session is over.
    store.create(session(31, BOB, 1_000), token(1), MANY).await.unwrap();
    let tries = (0..20).map(|n| {
        let nonce = format!("n{n}");
        let rotation = rotation(31, 1, 2 + n, Some(&nonce), 2_000);
        store.rotate(rotation)
    });
    let results = join_all(tries).await;
    let count = |is: fn(&Rotated) -> bool| results.iter().flatten().filter(|r| is(r)).count();
    assert_eq!(count(|r| matches!(r, Rotated::Moved(_))), 1);
    assert_eq!(count(|r| matches!(r, Rotated::Reused(_))), 1);
    assert_eq!(count(|r| matches!(r, Rotated::Gone)), 18);
}

async fn limiting(store: &dyn SessionStore) {
    let user = UserId(3);
    for n in 0..5u8 {
        let new = session(40 + u64::from(n), user, 1_000 + u64::from(n));
        assert_eq!(store.create(new, token(n), 5).await.unwrap(), []);
    }
    let ended = store.create(session(45, user, 2_000), token(5), 5).await.unwrap();
    assert_eq!(ended, [SessionId(40)], "the oldest ends");
    let left: Vec<_> = store.of_user(user, at(0)).await.unwrap().iter().map(|s| s.id.0).collect();
    assert_eq!(left, [45, 44, 43, 42, 41]);
    // A clock that is behind does not end the session that is just being made.
    let ended = store.create(session(46, user, 1), token(6), 5).await.unwrap();
    assert_eq!(ended, [SessionId(41)]);
    let taken = store.create(session(46, user, 3_000), token(7), 1).await.unwrap_err();
    assert_eq!(taken.kind, StoreErrorKind::Conflict);
    assert_eq!(store.of_user(user, at(0)).await.unwrap().len(), 5, "nothing ended for it");

    // Many sign-ins at once: as many stay as may, and each of the others is told of once.
    let user = UserId(6);
    let tries = (0..12u8).map(|n| store.create(session(70 + u64::from(n), user, 1), token(n), 3));
    let results = join_all(tries).await;
    let mut ended: Vec<_> = results.into_iter().flat_map(Result::unwrap).collect();
    ended.extend(store.of_user(user, at(0)).await.unwrap().iter().map(|live| live.id));
    assert_eq!(store.of_user(user, at(0)).await.unwrap().len(), 3);
    ended.sort_unstable();
    assert_eq!(ended, (70..82).map(SessionId).collect::<Vec<_>>());
}

async fn ending(store: &dyn SessionStore) {
    let user = UserId(4);
    for id in 50..54 {
        store.create(session(id, user, 100_000 + id), token(1), MANY).await.unwrap();
    }
    let end = |user, id| store.end(user, SessionId(id), at(200_000));
    assert!(!end(BOB, 50).await.unwrap(), "someone else's");
    assert!(!end(user, 999).await.unwrap());
    assert!(end(user, 50).await.unwrap());
    assert!(end(user, 50).await.unwrap(), "ending again is no error");
    let mut ended = store.end_others(user, Some(SessionId(51)), at(200_001)).await.unwrap();
    ended.sort_unstable();
    assert_eq!(ended, [SessionId(52), SessionId(53)]);
    assert_eq!(store.end_others(user, Some(SessionId(51)), at(200_002)).await.unwrap(), []);
    let ids = [50, 51, 52, 53, 999].map(SessionId).to_vec();
    let gone = store.gone(ids, at(0)).await.unwrap();
    assert_eq!(gone, [50, 52, 53, 999].map(SessionId));
    let idle = store.gone(vec![SessionId(51)], at(100_052)).await.unwrap();
    assert_eq!(idle, [SessionId(51)]);
    let since = store.ended_since(at(200_000), 2).await.unwrap();
    assert_eq!(since.len(), 2, "at most as many as asked for");
    assert!(!since.contains(&SessionId(50)), "the latest first");
    assert_eq!(store.ended_since(at(200_000), 100).await.unwrap().len(), 3);
    assert_eq!(store.ended_since(at(200_000), 0).await.unwrap(), []);
    assert_eq!(store.end_others(user, None, at(200_003)).await.unwrap(), [SessionId(51)]);
}

async fn forgetting(store: &dyn SessionStore) {
    let user = UserId(5);
    store.create(session(60, user, 300_000), token(1), MANY).await.unwrap();
    let rotated = store.rotate(rotation(60, 1, 2, Some("a"), 300_001)).await.unwrap();
    assert!(matches!(rotated, Rotated::Moved(_)));
    assert_eq!(store.forget(at(200_001), at(0), 0).await.unwrap(), 0);
    assert_eq!(store.forget(at(200_001), at(0), 1).await.unwrap(), 1, "at most as many");
    while store.forget(at(400_000), at(200_000), 100).await.unwrap() > 0 {}
    assert_eq!(store.ended_since(at(0), 1_000).await.unwrap(), []);
    assert_eq!(store.of_user(user, at(0)).await.unwrap().len(), 1);
    assert_eq!(store.forget(at(0), at(400_000), 100).await.unwrap(), 1);
    assert_eq!(store.of_user(user, at(0)).await.unwrap(), []);
}
