//! The one durable consumer with which a bot takes its events.

use std::time::Duration;

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::stream::{ConsumerErrorKind, Stream};
use bus_schema::error::Failure;
use bus_schema::ids::UserId;
use bus_schema::streams::BOTS;
use bus_schema::subjects;

use super::{Bots, BotsSettings};

/// The longest wait before an event is given again.
const AGAIN_MAX: Duration = Duration::from_mins(1);
/// How often that wait doubles.
const AGAIN_STEPS: u32 = 4;

fn failed(error: &dyn std::fmt::Display) -> Failure {
    tracing::warn!(%error, "the stream of bots does not answer");
    Failure::unavailable()
}

fn config(bot: UserId, settings: &BotsSettings) -> pull::Config {
    let name = subjects::bot_consumer(bot);
    let first = Duration::from_secs(settings.ack_within_s.max(1));
    pull::Config {
        durable_name: Some(name.clone()),
        name: Some(name),
        description: Some("Natter: what a bot is to receive".to_owned()),
        filter_subject: subjects::bot_events(bot),
        deliver_policy: DeliverPolicy::All,
        ack_policy: AckPolicy::Explicit,
        ack_wait: first,
        // A limit would skip an event silently.
        max_deliver: -1,
        backoff: (0..=AGAIN_STEPS).map(|step| AGAIN_MAX.min(first * 2_u32.pow(step))).collect(),
        max_ack_pending: settings.max_unacknowledged.max(1),
        ..pull::Config::default()
    }
}

impl Bots {
    async fn stream(&self) -> Result<Stream, Failure> {
        self.bus.jetstream().get_stream(BOTS).await.map_err(|e| failed(&e))
    }

    /// Makes it, or brings it in line with the settings.
    pub(super) async fn make_consumer(&self, bot: UserId) -> Result<(), Failure> {
        let config = config(bot, &self.settings);
        self.stream().await?.create_consumer(config).await.map(drop).map_err(|e| failed(&e))
    }

    /// Takes it away, with all that waits for the bot.
    pub(super) async fn end_consumer(&self, bot: UserId) -> Result<(), Failure> {
        let stream = self.stream().await?;
        if let Err(error) = stream.delete_consumer(&subjects::bot_consumer(bot)).await {
            let gone = matches!(error.kind(), ConsumerErrorKind::JetStream(e)
                if e.error_code() == ErrorCode::CONSUMER_NOT_FOUND);
            if !gone {
                return Err(failed(&error));
            }
        }
        let purge = stream.purge().filter(subjects::bot_events(bot)).await;
        purge.map(drop).map_err(|e| failed(&e))
    }
}
