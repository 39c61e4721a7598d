//! As many members as a channel may have.

use super::*;

/// What a channel with 10,000 members must do. It is there with this id, its members are 1 to 10,000,
/// the first its creator, and the entry of member `n` has revision and id `n`.
pub(crate) async fn large(store: &dyn ChannelStore, id: ConversationId) {
    const FULL: usize = 10_000;
    let (first, last, new) = (UserId(1), UserId(10_000), UserId(10_001));
    let seen = look(store, id.0, &[last, new, first]).await;
    assert_eq!(
        (seen.channel.members, seen.channel.revision, seen.channel.published),
        (10_000, 10_000, 10_000)
    );
    let member = |user: UserId| Member { user, revision: user.0, since: Some(EntryId(user.0)) };
    assert_eq!(seen.members, [member(last), member(first)], "those asked for, no other");
    let shown = async |most| store.show(id, last, most).await.unwrap().unwrap();
    let (look_shown, members) = shown(FULL).await;
    assert_eq!(look_shown.members, [member(last)]);
    assert!(members.unwrap().into_iter().eq((1..=10_000).map(UserId)));
    assert_eq!(shown(FULL - 1).await.1, None);
    assert_eq!(shown(0).await.1, None);

    assert_eq!(commit(store, id.0, 10_000, add(new)).await, Committed::Done);
    assert_eq!(look(store, id.0, &[]).await.channel.members, 10_001);
    assert_eq!(shown(FULL).await.1.unwrap().len(), FULL, "the log does not have the new one");
    drain(store, id.0, 10_001).await;
    assert_eq!(shown(FULL).await.1, None);
    assert_eq!(shown(FULL + 1).await.1.unwrap().len(), FULL + 1);
    assert_eq!(store.channels_of(new).await.unwrap()[0].since, EntryId(10_001));
    for (expected, user) in [(10_001, first), (10_002, UserId(5_000))] {
        let removal = Change::RemoveMember { user };
        assert_eq!(commit(store, id.0, expected, removal).await, Committed::Done);
    }
    let shown = shown(FULL).await.1.unwrap();
    assert_eq!((shown.len(), shown[0], shown[4_998]), (FULL - 1, UserId(2), UserId(5_001)));
    assert!(store.channels_of(first).await.unwrap().is_empty());
    let deletion = Change::Delete { request: String::new() };
    assert_eq!(commit(store, id.0, 10_003, deletion).await, Committed::Done);
    assert_eq!(look(store, id.0, &[last]).await.members, []);
    assert!(store.channels_of(last).await.unwrap().is_empty());
}
