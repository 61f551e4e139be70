//! How many requests a second an address and a token may make.
//!
//! A token bucket for each (GCRA, by `governor`). Addresses share 65,536 of them by a hash that nobody outside can
//! foresee: the memory is bounded without a list to keep, and two addresses seldom meet.

use std::{
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use governor::{Quota, RateLimiter, clock, middleware::NoOpMiddleware, state::keyed::DashMapStateStore};
use serde::{Deserialize, Serialize};

use super::throttle::source;
use crate::base::clock::Clock;

/// Limits as they are configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Requests a second, of an address and of a token.
    pub requests_per_second: NonZeroU32,
    /// Requests at once, for who made none for a while.
    pub burst: NonZeroU32,
}

impl Default for Config {
    fn default() -> Self {
        let number = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self { requests_per_second: number(500), burst: number(2000) }
    }
}

/// The daemon's clock as the limiter reads it.
#[derive(Debug, Clone)]
struct Reading(Arc<dyn Clock>);

impl clock::Clock for Reading {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.now()
    }
}

type Buckets = RateLimiter<u16, DashMapStateStore<u16>, Reading, NoOpMiddleware<Duration>>;

#[derive(Debug)]
pub(super) struct Limits {
    addresses: Buckets,
    tokens: Buckets,
    hasher: RandomState,
    clock: Arc<dyn Clock>,
}

impl Limits {
    pub(super) fn new(config: &Config, clock: Arc<dyn Clock>) -> Self {
        let quota = Quota::per_second(config.requests_per_second).allow_burst(config.burst);
        let buckets = || RateLimiter::new(quota, DashMapStateStore::default(), Reading(clock.clone()));
        Self { addresses: buckets(), tokens: buckets(), hasher: RandomState::new(), clock }
    }

    /// How long an address has to wait before its next request; none where this one is counted.
    pub(super) fn wait_of_address(&self, address: Option<IpAddr>) -> Option<Duration> {
        let hash = self.hasher.hash_one(source(address));
        self.wait(&self.addresses, hash as u16)
    }

    /// How long a token has to wait.
    pub(super) fn wait_of_token(&self, token: usize) -> Option<Duration> {
        self.wait(&self.tokens, token as u16)
    }

    fn wait(&self, buckets: &Buckets, key: u16) -> Option<Duration> {
        buckets.check_key(&key).err().map(|not_until| not_until.wait_time_from(self.clock.now()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    #[test]
    fn a_burst_and_then_the_rate() {
        let number = |number| NonZeroU32::new(number).unwrap();
        let config = Config { requests_per_second: number(10), burst: number(3) };
        let clock = Arc::new(ManualClock::default());
        let limits = Limits::new(&config, clock.clone());
        let address = |last: u8| Some(IpAddr::from([192, 0, 2, last]));
        for _ in 0..3 {
            assert_eq!(limits.wait_of_address(address(1)), None);
            assert_eq!(limits.wait_of_token(7), None);
        }
        assert_eq!(limits.wait_of_address(address(1)), Some(Duration::from_millis(100)));
        assert_eq!(limits.wait_of_token(7), Some(Duration::from_millis(100)));
        assert_eq!(limits.wait_of_token(8), None, "it is another's");
        clock.advance(Duration::from_millis(100));
        assert_eq!(limits.wait_of_address(address(1)), None);
        assert!(limits.wait_of_address(address(1)).is_some());
    }
}
