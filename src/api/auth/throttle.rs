//! Who tries wrong tokens waits, longer each time.
//!
//! Counted by address. It stands before the reckoning of hashes alone: a token that is known already is let in from an
//! address that waits, so that nobody can lock others out who share an address or a proxy.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::base::clock::Clock;

/// Wrong tokens that cost nothing.
const FREE: u32 = 5;
/// The longest wait.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// After so long without a further one they are forgotten.
const MEMORY: Duration = Duration::from_secs(15 * 60);
/// Addresses that are remembered; of more, the one is forgotten that was seen first.
const ADDRESSES_MAX: usize = 4096;

/// An address as it is counted: of IPv6 the network of 64 bits, all of which its owner has.
pub(super) fn source(address: Option<IpAddr>) -> Option<IpAddr> {
    address.map(|address| match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    })
}

#[derive(Debug)]
pub(super) struct Throttle {
    clock: Arc<dyn Clock>,
    failures: Mutex<HashMap<Option<IpAddr>, Failures>>,
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Duration,
}

impl Failures {
    /// Until when whoever failed so often waits.
    fn until(self) -> Duration {
        match self.count.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(beyond) => self.last + Duration::from_secs(1 << beyond.min(6)).min(WAIT_MAX),
        }
    }
}

impl Throttle {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, failures: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Option<IpAddr>, Failures>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long an address has to wait; none where it may try.
    pub(super) fn wait(&self, address: Option<IpAddr>) -> Option<Duration> {
        let failures = self.lock().get(&source(address)).copied()?;
        failures.until().checked_sub(self.clock.now()).filter(|wait| !wait.is_zero())
    }

    pub(super) fn failed(&self, address: Option<IpAddr>) {
        let now = self.clock.now();
        let key = source(address);
        let mut all = self.lock();
        if all.len() == ADDRESSES_MAX && !all.contains_key(&key) {
            all.retain(|_, failures| now.saturating_sub(failures.last) < MEMORY);
            let oldest = all.iter().min_by_key(|(_, failures)| failures.last).map(|(key, _)| *key);
            if let Some(oldest) = oldest.filter(|_| all.len() == ADDRESSES_MAX) {
                all.remove(&oldest);
            }
        }
        let failures = all.entry(key).or_insert(Failures { count: 0, last: now });
        if now.saturating_sub(failures.last) >= MEMORY {
            failures.count = 0;
        }
        *failures = Failures { count: failures.count.saturating_add(1), last: now };
    }

    /// A good token makes up for all wrong ones.
    pub(super) fn succeeded(&self, address: Option<IpAddr>) {
        self.lock().remove(&source(address));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn waits_grow_up_to_a_minute_and_are_forgotten() {
        let clock = Arc::new(ManualClock::default());
        let throttle = Throttle::new(clock.clone());
        let (me, other) = (address("192.0.2.1"), address("192.0.2.2"));
        for _ in 1..FREE {
            throttle.failed(me);
            assert_eq!(throttle.wait(me), None);
        }
        for seconds in [1, 2, 4, 8, 16, 32, 60, 60] {
            throttle.failed(me);
            let wait = Duration::from_secs(seconds);
            assert_eq!(throttle.wait(me), Some(wait));
            assert_eq!(throttle.wait(other), None, "it is nobody else's");
            clock.advance(wait - Duration::from_millis(1));
            assert_eq!(throttle.wait(me), Some(Duration::from_millis(1)));
            clock.advance(Duration::from_millis(1));
            assert_eq!(throttle.wait(me), None);
        }
        clock.advance(MEMORY);
        throttle.failed(me);
        assert_eq!(throttle.wait(me), None, "it begins anew");
    }

    #[test]
    fn a_good_token_ends_the_wait() {
        let throttle = Throttle::new(Arc::new(ManualClock::default()));
        (0..FREE).for_each(|_| throttle.failed(None));
        assert!(throttle.wait(None).is_some());
        throttle.succeeded(None);
        assert_eq!(throttle.wait(None), None);
    }

    #[test]
    fn an_owner_has_a_whole_network_and_one_address_in_two_forms() {
        assert_eq!(source(address("2001:db8::1")), source(address("2001:db8::ffff:1")));
        assert_ne!(source(address("2001:db8::1")), source(address("2001:db8:0:1::1")));
        assert_eq!(source(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn no_more_addresses_than_there_is_room_for() {
        let clock = Arc::new(ManualClock::default());
        let throttle = Throttle::new(clock.clone());
        let first = address("192.0.2.1");
        (0..=FREE).for_each(|_| throttle.failed(first));
        clock.advance(Duration::from_millis(1));
        for i in 0..ADDRESSES_MAX as u32 {
            throttle.failed(Some(std::net::Ipv4Addr::from_bits(0x0a00_0000 + i).into()));
        }
        assert_eq!(throttle.lock().len(), ADDRESSES_MAX);
        assert_eq!(throttle.wait(first), None, "the one seen first was forgotten");
    }
}
