//! What every [`WebhookStore`] must do. Expects an empty store.

use bus_schema::ids::{ConversationId, UserId, WebhookId};
use bus_schema::timestamp::Timestamp;

use crate::store::webhooks::{Created, WebhookRecord, WebhookStore};

fn webhook(id: u64, channel: u64, bot: u64) -> WebhookRecord {
    WebhookRecord {
        id: WebhookId(id),
        hash: [u8::try_from(id % 251).unwrap(); 32],
        channel: ConversationId(channel),
        bot: UserId(bot),
        created_at: Timestamp::from_millis(id % 1_000),
    }
}

async fn of_channel(store: &dyn WebhookStore, channel: u64) -> Vec<u64> {
    let all = store.of_channel(ConversationId(channel)).await.unwrap();
    let mut ids: Vec<u64> = all.iter().map(|webhook| webhook.id.0).collect();
    ids.sort_unstable();
    ids
}

pub(crate) async fn suite(store: &dyn WebhookStore) {
    // Ids use all 64 bits.
    for new in [webhook(1, 10, 100), webhook(2, 10, 101), webhook(u64::MAX, 20, 101)] {
        assert_eq!(store.create(new, 2).await.unwrap(), Created::Done);
    }
    assert_eq!(store.create(webhook(3, 10, 100), 2).await.unwrap(), Created::TooMany);
    assert_eq!(store.create(webhook(1, 20, 100), 2).await.unwrap(), Created::IdTaken);
    assert_eq!(store.by_id(WebhookId(1)).await.unwrap(), Some(webhook(1, 10, 100)));
    assert_eq!(store.by_id(WebhookId(9)).await.unwrap(), None);
    assert_eq!(of_channel(store, 10).await, [1, 2]);
    assert!(of_channel(store, 30).await.is_empty());

    assert!(!store.delete(ConversationId(20), WebhookId(1)).await.unwrap(), "another's");
    assert!(store.delete(ConversationId(10), WebhookId(1)).await.unwrap());
    assert!(!store.delete(ConversationId(10), WebhookId(1)).await.unwrap());
    assert_eq!(store.create(webhook(4, 10, 100), 2).await.unwrap(), Created::Done);
    store.delete_of(UserId(101)).await.unwrap();
    assert_eq!(of_channel(store, 10).await, [4]);
    assert!(of_channel(store, 20).await.is_empty());
}
