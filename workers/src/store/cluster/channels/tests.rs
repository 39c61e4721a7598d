//! The suite on the real server, and that it does whatever the embedded store does.

mod equal;

use bus_schema::ids::{ConversationId, UserId};

use super::*;
use crate::store::cluster::mongodb::testing::with_database;
use crate::store::conformance::channels as suite;

#[tokio::test]
async fn passes_the_suite() {
    with_database(async |mongo| suite::run(&Channels(mongo)).await).await;
}

#[tokio::test]
async fn two_handles_on_one_database_are_one_store() {
    with_database(async |mongo| {
        let other = mongo.another();
        suite::races(&Channels(mongo), &Channels(other)).await;
    })
    .await;
}

#[tokio::test]
async fn as_many_members_as_may_be() {
    with_database(async |mongo| {
        let store = Channels(mongo);
        let members: Vec<_> = (1..=10_000).map(UserId).collect();
        let bytes = store.fill(ConversationId(77), &members).await.unwrap();
        assert!(bytes < 1 << 20, "far from the 16 MB that a document may have: {bytes}");
        suite::large(&store, ConversationId(77)).await;
    })
    .await;
}
