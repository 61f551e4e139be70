//! How long to wait before the next try: exponential, with full jitter. Pure; the randomness is handed in.
//!
//! Full jitter (any time up to the ceiling) spreads the reconnects of many outputs after a common cause better than a
//! fixed time with some noise: Brooker, *Exponential Backoff And Jitter*, AWS Architecture Blog, 2015.

use std::time::Duration;

/// Ceiling of the first wait.
pub(super) const CEILING_MIN: Duration = Duration::from_millis(500);
/// Highest ceiling.
pub(super) const CEILING_MAX: Duration = Duration::from_secs(30);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Notes a failure; the wait is `jitter` (0 to 1) of a ceiling that doubles with each.
    pub(super) fn next(&mut self, jitter: f64) -> Duration {
        let doubled = CEILING_MIN.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        self.failures = self.failures.saturating_add(1);
        doubled.min(CEILING_MAX).mul_f64(jitter.clamp(0.0, 1.0))
    }

    /// Failures in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// All is well: the next failure counts as the first.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_ceiling_and_starts_again() {
        let mut backoff = Backoff::default();
        let ceilings: Vec<_> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(ceilings, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
        assert_eq!((0..100).map(|_| backoff.next(1.0)).max(), Some(CEILING_MAX), "a hundred failures do not overflow");
        assert_eq!(backoff.failures(), 108);
        backoff.reset();
        assert_eq!(backoff.next(0.5), Duration::from_millis(250));
        assert_eq!(backoff.next(0.0), Duration::ZERO);
    }
}
