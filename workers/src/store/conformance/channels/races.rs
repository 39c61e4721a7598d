//! What two workers do at the same moment.

use futures::future::join_all;

use super::*;
use crate::store::StoreError;

/// Everything that happens at once.
pub(crate) async fn races(one: &dyn ChannelStore, two: &dyn ChannelStore) {
    let either = |n: u64| if n.is_multiple_of(2) { one } else { two };

    let created = join_all((0..8).map(|n| either(n).create(new_channel(100, UserId(n))))).await;
    let new = created.iter().filter(|c| matches!(c, Ok(Created::New))).count();
    let taken = created.iter().filter(|c| matches!(c, Ok(Created::IdTaken))).count();
    assert_eq!((new, taken), (1, 7), "one of eight gets the id");

    let same = |n: u64| NewChannel {
        nonce: Some(Nonce::parse("same").unwrap()),
        ..new_channel(200 + n, ANN)
    };
    let created = join_all((0..8).map(|n| either(n).create(same(n)))).await;
    let new = |created: &[Result<Created, StoreError>]| {
        created.iter().filter(|c| matches!(c, Ok(Created::New))).count()
    };
    assert_eq!(new(&created), 1, "one nonce, one channel");
    // And once more when it is free again.
    let late = |n: u64| NewChannel { nonces_before: at(1_000), at: at(2_000), ..same(10 + n) };
    let created = join_all((0..8).map(|n| either(n).create(late(n)))).await;
    let repeated = created.iter().filter(|c| matches!(c, Ok(Created::Repeated(_)))).count();
    assert_eq!((new(&created), repeated), (1, 7));
    assert_eq!(one.channels_of(ANN).await.unwrap(), [], "not published");

    let changes = (0..8).map(|n| async move {
        let store = either(n);
        loop {
            let revision = look(store, 100, &[]).await.channel.revision;
            if commit(store, 100, revision, add(UserId(1_000 + n))).await == Committed::Done {
                return;
            }
        }
    });
    join_all(changes).await;
    let now = look(two, 100, &[]).await.channel;
    assert_eq!((now.revision, now.members, now.waiting), (9, 9, 9));
    let drained = join_all([one, two, one, two].map(|store| drain(store, 100, 1))).await;
    assert_eq!(drained.len(), 4, "four publishers of one outbox");
    let now = look(two, 100, &[UserId(1_003)]).await;
    assert_eq!((now.channel.waiting, now.channel.published), (0, 9));
    assert!(now.members[0].since.is_some());

    let (low, high) = (UserId(1), UserId(2));
    let opened = join_all((0..8).map(|n| {
        let candidate = DmSubject::new(low, high, ConversationId(300 + n)).unwrap();
        either(n).open_dm(candidate, if n < 4 { low } else { high }, at(1_000))
    }));
    let places: Vec<_> = opened.await.into_iter().map(Result::unwrap).collect();
    assert!(places.windows(2).all(|pair| pair[0] == pair[1]), "{places:?}");
}
