//! What every [`InviteStore`] must do. Expects an empty store.

use bus_schema::timestamp::Timestamp;
use futures::future::join_all;

use crate::store::StoreErrorKind;
use crate::store::invites::{InviteRecord, InviteStore};

fn invite(n: u8, uses_left: u32) -> InviteRecord {
    InviteRecord {
        hash: [n; 32],
        name: format!("invite{n}"),
        uses_left,
        created_at: Timestamp::from_millis(u64::from(n)),
    }
}

pub(crate) async fn suite(store: &dyn InviteStore) {
    store.create(invite(1, 1)).await.unwrap();
    store.create(invite(2, 3)).await.unwrap();
    let twice = store.create(invite(1, 1)).await.unwrap_err();
    assert_eq!(twice.kind, StoreErrorKind::Conflict);
    let same_name = InviteRecord { hash: [9; 32], ..invite(1, 1) };
    assert_eq!(store.create(same_name).await.unwrap_err().kind, StoreErrorKind::Conflict);
    assert_eq!(store.list(0).await.unwrap(), []);
    assert_eq!(store.list(10).await.unwrap(), [invite(1, 1), invite(2, 3)]);
    assert_eq!(store.list(1).await.unwrap(), [invite(1, 1)]);

    assert!(store.usable([1; 32]).await.unwrap());
    assert!(!store.usable([9; 32]).await.unwrap());
    assert!(!store.take([9; 32]).await.unwrap());
    let taken = join_all((0..10).map(|_| store.take([2; 32]))).await;
    assert_eq!(taken.into_iter().filter(|t| *t.as_ref().unwrap()).count(), 3);
    assert!(!store.usable([2; 32]).await.unwrap());
    assert_eq!(store.list(10).await.unwrap(), [invite(1, 1)], "used up");
    store.give_back([2; 32]).await.unwrap();
    assert_eq!(store.list(10).await.unwrap(), [invite(1, 1), invite(2, 1)]);

    assert!(store.revoke("invite1").await.unwrap());
    assert!(!store.revoke("invite1").await.unwrap());
    assert!(!store.take([1; 32]).await.unwrap());
    store.give_back([1; 32]).await.unwrap();
    assert!(!store.usable([1; 32]).await.unwrap(), "giving back revives nothing");
}
