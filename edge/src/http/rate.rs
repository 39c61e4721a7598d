//! How many requests one address may make.
//!
//! Invariant: memory is bounded, whoever asks from wherever: at most [`ADDRESSES`] are told apart,
//! and what comes from further ones shares one allowance until idle ones are forgotten.

use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bus_schema::error::{Code, Failure};
use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::address;
use super::refusal::Refusal;
use crate::config::EdgeSettings;

/// Addresses told apart.
const ADDRESSES: usize = 100_000;
/// How often idle addresses may be looked for, which walks over all of them.
const SWEEP_EVERY: Duration = Duration::from_secs(1);
/// What addresses share that came when the table was full.
const OVERFLOW: IpAddr = IpAddr::V4(Ipv4Addr::BROADCAST);

/// The allowances.
pub(super) struct Rates {
    limiter: Option<DefaultKeyedRateLimiter<IpAddr>>,
    swept: Mutex<Option<Instant>>,
    behind_proxy: bool,
    capacity: usize,
}

impl Rates {
    /// As the settings say; rates of 0 count as 1.
    pub(super) fn new(settings: &EdgeSettings) -> Self {
        let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(at_least_one(settings.http_per_s))
            .allow_burst(at_least_one(settings.http_burst));
        Self {
            limiter: settings.limits_per_address.then(|| DefaultKeyedRateLimiter::keyed(quota)),
            swept: Mutex::new(None),
            behind_proxy: settings.behind_proxy,
            capacity: ADDRESSES,
        }
    }

    /// Takes one request from an address's allowance.
    fn take(&self, address: IpAddr) -> Result<(), Failure> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let key = if self.has_room(limiter) { address::household(address) } else { OVERFLOW };
        limiter.check_key(&key).map_err(|refused| {
            let wait = refused.wait_time_from(limiter.clock().now());
            let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
            Failure::new(Code::RateLimited, "too many requests from this address")
                .retry_after_ms(ms)
        })
    }

    fn has_room(&self, limiter: &DefaultKeyedRateLimiter<IpAddr>) -> bool {
        if limiter.len() < self.capacity {
            return true;
        }
        {
            let mut swept = self.swept.lock();
            if swept.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
                return false;
            }
            *swept = Some(Instant::now());
        }
        limiter.retain_recent();
        limiter.len() < self.capacity
    }
}

/// Refuses what comes too fast. Health, documents and the page are free.
pub(super) async fn limit(
    State(rates): State<Arc<Rates>>,
    request: Request,
    next: Next,
) -> Response {
    if request.uri().path().starts_with("/v1/") {
        let address = address::of(request.extensions(), request.headers(), rates.behind_proxy);
        if let Err(failure) = rates.take(address) {
            metrics::counter!("natter_http_rate_limited_total").increment(1);
            return Refusal(failure).into_response();
        }
    }
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(limits_per_address: bool) -> Rates {
        let settings = EdgeSettings {
            limits_per_address,
            http_per_s: 1,
            http_burst: 2,
            ..EdgeSettings::default()
        };
        Rates::new(&settings)
    }

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, n])
    }

    #[test]
    fn each_address_has_its_own_allowance() {
        let rates = rates(true);
        assert!(rates.take(ip(1)).is_ok() && rates.take(ip(1)).is_ok());
        let failure = rates.take(ip(1)).unwrap_err();
        assert_eq!(failure.code, Code::RateLimited);
        assert!(failure.retry_after_ms.is_some_and(|ms| (1..=1_001).contains(&ms)));
        assert!(rates.take(ip(2)).is_ok());
    }

    #[test]
    fn addresses_beyond_the_bound_share_one() {
        let rates = Rates { capacity: 2, ..rates(true) };
        assert!(rates.take(ip(1)).is_ok() && rates.take(ip(2)).is_ok());
        assert!(rates.take(ip(3)).is_ok() && rates.take(ip(4)).is_ok());
        assert!(rates.take(ip(5)).is_err());
        assert!(rates.limiter.as_ref().unwrap().len() <= 3);
    }

    #[test]
    fn can_be_lifted() {
        let rates = rates(false);
        assert!((0..100).all(|_| rates.take(ip(1)).is_ok()));
    }
}
