//! Trimming the log: what the store holds and is old enough leaves it.
//!
//! Invariant: nothing above the floor is purged, whatever the clocks say.

use std::time::Duration;

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use bus_schema::ids::StreamIndex;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::leader;
use bus_schema::sabotage::{Safeguard, off};
use bus_schema::streams::LogStream;
use time::OffsetDateTime;

use crate::roles::RoleError;

/// The server forgets the consumer that finds the boundary after this, should deleting it fail.
const FORGET: Duration = Duration::from_secs(5);

/// Purges what is at or below `floor` and older than `age`. The last sequence that is gone, if
/// anything was purged.
pub(super) async fn trim(
    bus: &Bus,
    stream: StreamIndex,
    floor: u64,
    age: Duration,
) -> Result<Option<u64>, RoleError> {
    let name = LogStream(stream).to_string();
    let jetstream = bus.jetstream();
    let log = leader::ask(bus, stream).await.map_err(RoleError::new)?;
    let state = &log.cached_info().state;
    let start_time = OffsetDateTime::now_utc() - age;
    let floor = if off(Safeguard::Floor) { u64::MAX } else { floor };
    if state.messages == 0 || state.first_sequence > floor || state.first_timestamp >= start_time {
        return Ok(None);
    }
    // A consumer that begins at a time knows the last sequence before it, without reading.
    let config = pull::Config {
        deliver_policy: DeliverPolicy::ByStartTime { start_time },
        ack_policy: AckPolicy::None,
        inactive_threshold: FORGET,
        memory_storage: true,
        num_replicas: 1,
        ..pull::Config::default()
    };
    let consumer =
        jetstream.create_consumer_on_stream(config, &name).await.map_err(RoleError::new)?;
    let info = consumer.cached_info();
    let before = info.delivered.stream_sequence;
    if let Err(error) = jetstream.delete_consumer_from_stream(&info.name, &name).await {
        tracing::debug!(%stream, %error, "a consumer is left to expire");
    }
    let upto = floor.min(before);
    if upto < state.first_sequence {
        return Ok(None);
    }
    log.purge().sequence(upto + 1).await.map_err(RoleError::new)?;
    Ok(Some(upto))
}
