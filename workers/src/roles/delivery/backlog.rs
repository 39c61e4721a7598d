//! How much waits for a bot.
//!
//! Invariant: a bot is looked at before so much was written for it since the last look that it could
//! have passed its bound. One without a consumer is given nothing: it was deleted.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{ErrorCode, stream};
use bus_schema::ids::UserId;
use bus_schema::runtime::bus::Bus;
use bus_schema::streams::BOTS;
use bus_schema::subjects;
use tokio::time::Instant;

use crate::roles::RoleError;

/// How long what was seen of a bot that is left out, or has no consumer, is believed.
const BELIEVED: Duration = Duration::from_secs(1);
/// Bots remembered; beyond, all are looked at again.
const KEPT: usize = 100_000;

/// What a bot's next event comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// There is room for it.
    Free,
    /// Too much waits.
    Full,
    /// Nobody will ever take it.
    Nobody,
}

#[derive(Clone, Copy)]
struct Seen {
    /// Events that waited, if there is a consumer.
    waiting: Option<u64>,
    /// Events written since.
    written: u64,
    at: Instant,
}

/// What is known of bots.
pub(super) struct Backlogs {
    bus: Bus,
    /// Events that may wait.
    most: u64,
    seen: HashMap<UserId, Seen>,
}

impl Backlogs {
    pub(super) fn new(bus: &Bus, most: u64) -> Self {
        Self { bus: bus.clone(), most: most.max(2), seen: HashMap::new() }
    }

    /// Whether there is room for one more event; if so, it counts as written. A bot that was `left_out`
    /// must first have taken half of what may wait.
    pub(super) async fn take(&mut self, bot: UserId, left_out: bool) -> Result<Room, RoleError> {
        let most = if left_out { self.most / 2 } else { self.most };
        let known = self.seen.get(&bot).filter(|seen| match seen.waiting {
            None => seen.at.elapsed() < BELIEVED,
            Some(waiting) if waiting >= most => seen.at.elapsed() < BELIEVED,
            Some(waiting) => waiting + seen.written < most,
        });
        let mut seen = match known {
            Some(seen) => *seen,
            None => self.look(bot).await?,
        };
        let room = match seen.waiting {
            None => Room::Nobody,
            Some(waiting) if waiting + seen.written < most => {
                seen.written += 1;
                Room::Free
            }
            Some(_) => Room::Full,
        };
        if self.seen.len() >= KEPT {
            self.seen.clear();
        }
        self.seen.insert(bot, seen);
        Ok(room)
    }

    async fn look(&self, bot: UserId) -> Result<Seen, RoleError> {
        let found =
            self.bus.jetstream().get_consumer_from_stream(subjects::bot_consumer(bot), BOTS);
        let waiting = match found.await {
            Ok(consumer) => {
                let consumer: PullConsumer = consumer;
                let info = consumer.cached_info();
                Some(info.num_pending + u64::try_from(info.num_ack_pending).unwrap_or(u64::MAX))
            }
            Err(error) => match error.kind() {
                stream::ConsumerErrorKind::JetStream(e)
                    if e.error_code() == ErrorCode::CONSUMER_NOT_FOUND =>
                {
                    None
                }
                _ => return Err(RoleError::new(error)),
            },
        };
        Ok(Seen { waiting, written: 0, at: Instant::now() })
    }
}
