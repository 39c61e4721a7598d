//! A connection to Redis that is good, or is not there.
//!
//! Invariant: a Redis that does not answer costs each request under way one wait and later ones
//! none: whoever waited in vain takes the connection away from all, and one task alone finds out,
//! with growing pauses, when it is good again. So nobody storms a Redis that comes back.
//!
//! While it did not answer, changes were not written to it: what it holds from before it answered
//! again is not trusted ([`Clock::trusts`]), by whoever could not reach it.
//!
//! A refusal, such as "out of memory", is an answer: the connection stays.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bus_schema::runtime::bus::jitter;
use parking_lot::Mutex;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisError, RedisResult};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::Redis;
use crate::store::{StoreError, StoreErrorKind};

/// The first pause before a connection is tried again; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How often a good connection is looked at.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How often refusals are logged, of which there may be one for every request.
const LOG_EVERY: Duration = Duration::from_mins(1);

/// What time it is in Redis, which is the clock that all workers share. Off by no more than
/// `answer_within_ms`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    here: Instant,
    there_ms: u64,
    /// Since when nothing that was to be written there can have been missed.
    trusted_ms: u64,
}

impl Clock {
    /// Whether what was read at a moment of Redis's time, and kept there, may be believed: a change
    /// after it would have been kept there as well.
    pub(crate) const fn trusts(self, at_ms: u64) -> bool {
        at_ms >= self.trusted_ms
    }

    /// Redis's time at a moment of this process, in milliseconds.
    pub(crate) fn at(self, moment: Instant) -> u64 {
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        match moment.checked_duration_since(self.here) {
            Some(later) => self.there_ms.saturating_add(ms(later)),
            None => self.there_ms.saturating_sub(ms(self.here.duration_since(moment))),
        }
    }
}

#[derive(Clone)]
struct Live {
    /// Which time it is good, so that late complaints about an earlier one do not count.
    number: u64,
    connection: MultiplexedConnection,
    clock: Clock,
}

/// Hands out the connection while it is good.
pub(crate) struct Link {
    live: watch::Receiver<Option<Live>>,
    doubts: watch::Sender<u64>,
    answer_within: Duration,
    logged: Mutex<Option<Instant>>,
    /// Ends with the link.
    _keeper: AbortOnDropHandle<()>,
}

impl Link {
    /// Begins to connect.
    pub(crate) fn start(redis: Redis) -> Self {
        let (publish, live) = watch::channel(None);
        let (doubts, doubted) = watch::channel(0);
        let answer_within = Duration::from_millis(redis.settings.answer_within_ms.max(1));
        let keeper = Keeper {
            pause_max: Duration::from_millis(redis.settings.pause_max_ms).max(FIRST_PAUSE),
            pause: FIRST_PAUSE,
            redis: Arc::new(redis),
            answer_within,
            publish,
            doubted,
        };
        let keeper = AbortOnDropHandle::new(tokio::spawn(keeper.keep()));
        Self { live, doubts, answer_within, logged: Mutex::new(None), _keeper: keeper }
    }

    /// What `ask` answers and what time it is there; `None` if there is no good connection, or the
    /// answer does not come in time, or is a refusal.
    pub(crate) async fn ask<T, F>(
        &self,
        ask: impl FnOnce(MultiplexedConnection, Clock) -> F,
    ) -> Option<(T, Clock)>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let Live { number, connection, clock } = self.live.borrow().clone()?;
        match timeout(self.answer_within, ask(connection, clock)).await {
            Ok(Ok(answer)) => return Some((answer, clock)),
            Ok(Err(error)) if !is_lost(&error) => self.refused(&error),
            Ok(Err(_)) | Err(_) => {
                metrics::counter!("natter_redis_unanswered_total").increment(1);
                self.doubts.send_if_modified(|doubted| {
                    let news = *doubted < number;
                    *doubted = number.max(*doubted);
                    news
                });
            }
        }
        None
    }

    fn refused(&self, error: &RedisError) {
        metrics::counter!("natter_redis_refused_total").increment(1);
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() >= LOG_EVERY) {
            *logged = Some(Instant::now());
            tracing::warn!(%error, "Redis refuses; profiles are slower");
        }
    }
}

fn is_lost(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error()
}

/// Keeps the connection.
struct Keeper {
    redis: Arc<Redis>,
    answer_within: Duration,
    pause_max: Duration,
    pause: Duration,
    publish: watch::Sender<Option<Live>>,
    doubted: watch::Receiver<u64>,
}

impl Keeper {
    async fn keep(mut self) {
        let mut connection = None;
        let mut number = 0;
        let mut known_gone = false;
        // Whether it did not answer since the last time that it was good; its clock then.
        let mut missed = false;
        let mut trusted_ms = 0;
        loop {
            match self.probe(connection.take()).await {
                Ok((good, mut clock)) => {
                    if std::mem::take(&mut missed) {
                        trusted_ms = clock.there_ms;
                    }
                    clock.trusted_ms = trusted_ms;
                    if number == 0 || known_gone {
                        tracing::info!("Redis answers");
                    }
                    known_gone = false;
                    metrics::gauge!("natter_redis_up").set(1.0);
                    number += 1;
                    connection = Some(good.clone());
                    self.publish.send_replace(Some(Live { number, connection: good, clock }));
                    let doubt = self.doubted.wait_for(|doubted| *doubted >= number);
                    if timeout(CHECK_EVERY, doubt).await.is_err() {
                        self.pause = FIRST_PAUSE;
                        continue;
                    }
                }
                Err(error) if !known_gone => {
                    known_gone = true;
                    tracing::warn!(%error, "Redis does not answer; profiles are slower");
                }
                Err(_) => {}
            }
            metrics::gauge!("natter_redis_up").set(0.0);
            // Before the first connection nothing was known here that could be missed there.
            missed = number > 0;
            self.publish.send_replace(None);
            sleep(jitter(self.pause)).await;
            self.pause = (self.pause * 2).min(self.pause_max);
        }
    }

    /// Whether Redis answers, through this connection or a new one, and what time it says.
    async fn probe(
        &self,
        connection: Option<MultiplexedConnection>,
    ) -> Result<(MultiplexedConnection, Clock), StoreError> {
        let mut connection = match connection {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let time = redis::cmd("TIME");
        let asked = time.query_async::<(u64, u64)>(&mut connection);
        let (s, us) = timeout(self.answer_within, asked).await.map_err(gone)?.map_err(gone)?;
        let there_ms = s.saturating_mul(1_000).saturating_add(us / 1_000);
        Ok((connection, Clock { here: Instant::now(), there_ms, trusted_ms: 0 }))
    }

    async fn connect(&self) -> Result<MultiplexedConnection, StoreError> {
        let redis = Arc::clone(&self.redis);
        let client = tokio::task::spawn_blocking(move || redis.client()).await.map_err(gone)??;
        let within = Duration::from_millis(self.redis.settings.connect_within_ms.max(1));
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(within))
            .set_response_timeout(Some(self.answer_within));
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        timeout(within, connecting).await.map_err(gone)?.map_err(gone)
    }
}

fn gone(error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes_both_ways() {
        let here = Instant::now();
        let clock = Clock { here, there_ms: 10_000, trusted_ms: 9_000 };
        assert!(clock.trusts(9_000) && !clock.trusts(8_999));
        assert_eq!(clock.at(here), 10_000);
        assert_eq!(clock.at(here + Duration::from_millis(1_500)), 11_500);
        assert_eq!(clock.at(here.checked_sub(Duration::from_secs(4)).unwrap()), 6_000);
        assert_eq!(clock.at(here.checked_sub(Duration::from_secs(40)).unwrap()), 0);
    }
}
