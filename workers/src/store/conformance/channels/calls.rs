//! A channel's last changes are known by the calls that asked for them.

use super::*;

/// Commits a renaming that a call asks for.
async fn rename(store: &dyn ChannelStore, expected: u64, call: &str) -> Committed {
    let change = Change::Rename { name: name(&format!("name {expected}")) };
    let (id, call) = (ConversationId(360), call.to_owned());
    store.commit(Commit { id, expected, author: ANN, change, at: at(2_000), call }).await.unwrap()
}

async fn made_by(store: &dyn ChannelStore, id: u64, call: &str) -> Option<u64> {
    store.made_by(ConversationId(id), call.to_owned()).await.unwrap()
}

pub(super) async fn are_known_by_what_they_made(store: &dyn ChannelStore) {
    for id in [360, 361] {
        store.create(new_channel(id, ANN)).await.unwrap();
    }
    assert_eq!(made_by(store, 360, "call-1").await, None);
    assert_eq!(made_by(store, 9_999, "call-1").await, None, "no such channel");
    assert_eq!(rename(store, 1, "call-1").await, Committed::Done);
    assert_eq!(rename(store, 1, "call-2").await, Committed::Stale);
    assert_eq!(rename(store, 2, "").await, Committed::Done);
    assert_eq!(rename(store, 3, "call-3").await, Committed::Done);
    assert_eq!(made_by(store, 360, "call-1").await, Some(2));
    assert_eq!(made_by(store, 360, "call-2").await, None, "it made nothing");
    assert_eq!(made_by(store, 360, "call-3").await, Some(4));
    assert_eq!(made_by(store, 360, "").await, None);
    assert_eq!(made_by(store, 361, "call-1").await, None, "of another channel");

    for n in 0..CALLS_KEPT {
        assert_eq!(made_by(store, 360, "call-3").await, Some(4), "after {n} more");
        assert_eq!(rename(store, 4 + n, &format!("later-{n}")).await, Committed::Done);
    }
    assert_eq!(made_by(store, 360, "call-3").await, None, "forgotten");
    assert_eq!(made_by(store, 360, "later-0").await, Some(5));
    drain(store, 360, 1).await;
    assert_eq!(made_by(store, 360, "later-0").await, Some(5), "also when it is published");
    // Its members and its outbox are as they would be without calls.
    let now = look(store, 360, &[ANN]).await;
    assert_eq!((now.channel.revision, now.channel.members), (4 + CALLS_KEPT, 1));
}
