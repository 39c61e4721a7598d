//! Against a real NATS server, with the permissions of the setup role.

use bus_schema::ids::ConversationId;
use bus_schema::permissions::BusUser;
use bus_schema::runtime::log;
use bus_schema::streams::{BOTS, DEAD, LEASES};
use bus_schema::subjects::LogSubject;

use super::*;
use crate::testing::NatsServer;

fn streams(streams: u64) -> SetupSettings {
    SetupSettings { streams, ..SetupSettings::default() }
}

#[tokio::test]
async fn makes_everything_once_and_again_changes_nothing() {
    let nats = NatsServer::start().await;
    let bus = nats.connect(BusUser::Setup).await;
    for _ in 0..2 {
        assert_eq!(set_up(&bus, &streams(3)).await.unwrap(), []);
    }
    assert_eq!(bus.layout().await.unwrap(), Layout::new(3).unwrap());
    for name in ["LOG_0", "LOG_1", "LOG_2", DEAD, BOTS, &format!("KV_{LEASES}")] {
        assert!(info(bus.jetstream(), name).await.unwrap().is_some(), "{name}");
    }
    let log = info(bus.jetstream(), "LOG_2").await.unwrap().unwrap().config;
    assert!(log.deny_delete && log.allow_atomic_publish && !log.allow_direct);
    assert_eq!(log.republish.unwrap().destination, "ev.log.>");
}

#[tokio::test]
async fn the_log_grows_while_it_is_empty_and_never_shrinks_or_moves() {
    let nats = NatsServer::start().await;
    let bus = nats.connect(BusUser::Setup).await;
    let count = async || existing(bus.jetstream()).await.unwrap().unwrap().layout.count();
    set_up(&bus, &streams(1)).await.unwrap();
    set_up(&bus, &streams(4)).await.unwrap();
    assert_eq!(count().await, 4);
    set_up(&bus, &streams(2)).await.unwrap();
    assert_eq!(count().await, 4, "never fewer");
    let channels = nats.connect(BusUser::Channels).await;
    let place = LogSubject::Channel(ConversationId(200));
    log::publish(&channels, place, "MEMBER_ADD", "{}".to_owned(), "x").await.unwrap();
    set_up(&bus, &streams(8)).await.unwrap();
    assert_eq!(count().await, 4, "not once entries are stored");
}

#[tokio::test]
async fn drift_is_undone_where_that_is_safe_and_reported_where_not() {
    let nats = NatsServer::start().await;
    let bus = nats.connect(BusUser::Setup).await;
    set_up(&bus, &streams(1)).await.unwrap();
    let mut config = info(bus.jetstream(), "LOG_0").await.unwrap().unwrap().config;
    let wanted = config.clone();
    config.republish = None;
    config.max_bytes *= 2;
    bus.jetstream().update_stream(&config).await.unwrap();
    let left = set_up(&bus, &streams(1)).await.unwrap();
    assert_eq!(left.iter().map(|d| d.field).collect::<Vec<_>>(), ["max_bytes"]);
    let now = info(bus.jetstream(), "LOG_0").await.unwrap().unwrap().config;
    assert_eq!(now.republish, wanted.republish);
    assert_eq!(now.max_bytes, wanted.max_bytes * 2, "an operator's wider bound stays");
}

#[test]
fn the_number_of_streams_is_chosen_before_the_first_message() {
    let layout = |n| Layout::new(n).unwrap();
    let have = |n, used| Some(Existing { layout: layout(n), used });
    assert_eq!(choose(layout(4), None), layout(4));
    assert_eq!(choose(layout(4), have(2, false)), layout(4));
    assert_eq!(choose(layout(4), have(2, true)), layout(2));
    assert_eq!(choose(layout(1), have(2, false)), layout(2));
}
