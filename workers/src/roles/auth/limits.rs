//! How often one address may register and sign in, and how often sign-ins to one name may fail.
//!
//! Invariant: memory is bounded whatever comes: a key is one of [`BUCKETS`] numbers, chosen by a
//! keyed hash that nobody outside can aim at. Two addresses that meet in one share its rate.
//! Successful sign-ins do not count for a name, so nobody locks its owner out while they sign in
//! with the right password before the limit is reached; open sessions never notice.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use bus_schema::error::{Code, Failure};
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use moka::sync::Cache;

use super::AuthSettings;

/// Different keys of one limit.
const BUCKETS: u64 = 1 << 18;
/// Names that are blocked at one time; beyond, those blocked longest ago are forgotten.
const BLOCKED_NAMES: u64 = 100_000;

/// The limits, or none where they are switched off.
pub(super) struct Limits(Option<On>);

struct On {
    registrations: DefaultKeyedRateLimiter<u64>,
    sign_ins: DefaultKeyedRateLimiter<u64>,
    failures: DefaultKeyedRateLimiter<u64>,
    blocked: Cache<u64, Instant>,
    hasher: RandomState,
}

impl Limits {
    pub(super) fn new(settings: &AuthSettings) -> Self {
        if !settings.limits_per_address {
            return Self(None);
        }
        let per = |count: u32, seconds: u64| {
            let count = NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN);
            let each = Duration::from_secs(seconds) / count.get();
            let quota = Quota::with_period(each).unwrap_or(Quota::per_second(count));
            RateLimiter::keyed(quota.allow_burst(count))
        };
        Self(Some(On {
            registrations: per(settings.registrations_per_hour, 3_600),
            sign_ins: per(settings.sign_ins_per_minute, 60),
            failures: per(settings.failures_per_minute, 60),
            blocked: Cache::builder()
                .max_capacity(BLOCKED_NAMES)
                .time_to_live(Duration::from_mins(1))
                .build(),
            hasher: RandomState::new(),
        }))
    }

    /// Counts a registration.
    pub(super) fn registration(&self, address: Option<&str>) -> Result<(), Failure> {
        let Some(on) = &self.0 else { return Ok(()) };
        address.map_or(Ok(()), |a| on.count(&on.registrations, on.of_address(a)))
    }

    /// Counts a sign-in from an address, unless the name is blocked.
    pub(super) fn sign_in(&self, address: Option<&str>, name: &str) -> Result<(), Failure> {
        let Some(on) = &self.0 else { return Ok(()) };
        address.map_or(Ok(()), |a| on.count(&on.sign_ins, on.of_address(a)))?;
        self.name(name)
    }

    /// Refuses while a name is blocked.
    pub(super) fn name(&self, name: &str) -> Result<(), Failure> {
        let Some(on) = &self.0 else { return Ok(()) };
        let wait = on
            .blocked
            .get(&on.of_name(name))
            .map(|until| until.saturating_duration_since(Instant::now()));
        wait.filter(|wait| !wait.is_zero()).map_or(Ok(()), |wait| Err(refuse(wait)))
    }

    /// Counts a failed sign-in to a name.
    pub(super) fn failed(&self, name: &str) {
        let Some(on) = &self.0 else { return };
        let key = on.of_name(name);
        if let Err(until) = on.failures.check_key(&key) {
            let wait = until.wait_time_from(DefaultClock::default().now());
            on.blocked.insert(key, Instant::now() + wait);
        }
    }

    /// Frees the memory of keys that are back at their full rate.
    pub(super) fn tidy(&self) {
        let Some(on) = &self.0 else { return };
        for limiter in [&on.registrations, &on.sign_ins, &on.failures] {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }
}

impl On {
    #[expect(clippy::unused_self, reason = "reads as one of the limits")]
    fn count(&self, limiter: &DefaultKeyedRateLimiter<u64>, key: u64) -> Result<(), Failure> {
        limiter
            .check_key(&key)
            .map_err(|until| refuse(until.wait_time_from(DefaultClock::default().now())))
    }

    /// An IPv6 customer has a whole /64 to choose from, so that is what counts.
    fn of_address(&self, address: &str) -> u64 {
        let key = match address.parse::<IpAddr>() {
            Ok(IpAddr::V4(v4)) => u128::from(v4.to_bits()),
            Ok(IpAddr::V6(v6)) => v6
                .to_ipv4_mapped()
                .map_or_else(|| v6.to_bits() >> 64 << 64, |v4| u128::from(v4.to_bits())),
            Err(_) => u128::MAX,
        };
        self.hasher.hash_one(key) % BUCKETS
    }

    fn of_name(&self, name: &str) -> u64 {
        self.hasher.hash_one(name.to_ascii_lowercase()) % BUCKETS
    }
}

fn refuse(wait: Duration) -> Failure {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1);
    Failure::new(Code::RateLimited, "too many attempts, wait a little").retry_after_ms(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> Limits {
        Limits::new(&AuthSettings {
            registrations_per_hour: 2,
            sign_ins_per_minute: 3,
            failures_per_minute: 2,
            ..AuthSettings::default()
        })
    }

    #[test]
    fn an_address_has_its_rate_and_others_have_theirs() {
        let limits = limits();
        for _ in 0..2 {
            limits.registration(Some("192.0.2.1")).unwrap();
        }
        let refused = limits.registration(Some("192.0.2.1")).unwrap_err();
        assert_eq!(refused.code, Code::RateLimited);
        assert!(refused.retry_after_ms.is_some_and(|ms| (1..=1_800_000).contains(&ms)));
        limits.registration(Some("192.0.2.2")).unwrap();
        limits.registration(Some("::ffff:192.0.2.1")).unwrap_err();
        limits.registration(None).unwrap();
    }

    #[test]
    fn a_whole_ipv6_network_is_one_address() {
        let limits = limits();
        for host in 1..=2 {
            limits.registration(Some(&format!("2001:db8::{host}"))).unwrap();
        }
        limits.registration(Some("2001:db8::3")).unwrap_err();
        limits.registration(Some("2001:db8:0:1::3")).unwrap();
    }

    #[test]
    fn only_failures_block_a_name() {
        let limits = limits();
        for host in 0..20 {
            limits.sign_in(Some(&format!("192.0.2.{host}")), "ann").unwrap();
        }
        for _ in 0..3 {
            limits.failed("Ann");
        }
        assert_eq!(limits.sign_in(None, "ann").unwrap_err().code, Code::RateLimited);
        limits.sign_in(None, "bob").unwrap();
    }

    #[test]
    fn off_means_off() {
        let off = AuthSettings { limits_per_address: false, ..AuthSettings::default() };
        let limits = Limits::new(&off);
        for _ in 0..1_000 {
            limits.registration(Some("192.0.2.1")).unwrap();
            limits.failed("ann");
            limits.sign_in(Some("192.0.2.1"), "ann").unwrap();
        }
    }
}
