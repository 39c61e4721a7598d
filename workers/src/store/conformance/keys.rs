//! What every [`KeyStore`] must do. Expects an empty store.

use bus_schema::timestamp::Timestamp;
use futures::future::join_all;

use crate::store::keys::{KeyRecord, KeyStore, Purpose};

fn key(n: u8) -> KeyRecord {
    KeyRecord {
        kid: format!("key {n}"),
        secret: [n; 32],
        created_at: Timestamp::from_millis(u64::from(n)),
    }
}

pub(crate) async fn suite(store: &dyn KeyStore) {
    let all = join_all((1..20).map(|n| store.ensure(Purpose::AccessTokens, key(n)))).await;
    let first = all[0].as_ref().unwrap();
    assert_eq!(first.len(), 1, "the first one is kept, no other");
    for keys in &all {
        assert_eq!(keys.as_ref().unwrap(), first, "everybody gets the same");
    }
    let other = store.ensure(Purpose::RefreshTokens, key(42)).await.unwrap();
    assert_eq!(other, [key(42)], "purposes have keys of their own");
    assert!(!format!("{other:?}").contains("42, 42"), "secrets are not shown");
}
