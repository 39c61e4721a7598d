//! How often a bot may ask.
//!
//! Invariant: a bot that asks too often is refused and holds nobody else back. Memory is bounded by
//! the number of bots: the server lets nobody ask in the name of one that is not there.

use std::num::NonZeroU32;
use std::time::Duration;

use bus_schema::error::{Code, Failure};
use bus_schema::ids::UserId;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use super::IngressSettings;

/// Bots told apart before those that are back at their full rate are forgotten.
const KEPT: usize = 10_000;

/// The rates of all bots.
pub(super) struct Rates(DefaultKeyedRateLimiter<u64>);

impl Rates {
    pub(super) fn new(settings: &IngressSettings) -> Self {
        let at_least_one = |count| NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(settings.requests_per_s));
        Self(RateLimiter::keyed(quota.allow_burst(at_least_one(settings.requests_burst))))
    }

    /// Counts a request.
    pub(super) fn count(&self, bot: UserId) -> Result<(), Failure> {
        if self.0.len() > KEPT {
            self.0.retain_recent();
        }
        self.0.check_key(&bot.0).map_err(|until| {
            let wait: Duration = until.wait_time_from(DefaultClock::default().now());
            let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            Failure::new(Code::RateLimited, "too many requests").retry_after_ms(ms.max(1))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bot_holds_back_itself_only() {
        let settings = IngressSettings { requests_burst: 3, ..IngressSettings::default() };
        let rates = Rates::new(&settings);
        for _ in 0..3 {
            assert_eq!(rates.count(UserId(1)), Ok(()));
        }
        let refused = rates.count(UserId(1)).unwrap_err();
        assert_eq!(refused.code, Code::RateLimited);
        assert!(refused.retry_after_ms.is_some_and(|ms| (1..=50).contains(&ms)), "{refused:?}");
        assert_eq!(rates.count(UserId(2)), Ok(()));
    }
}
