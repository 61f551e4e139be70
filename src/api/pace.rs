//! Moments that are the same for all who want something equally often, so that they share what is made for them.

use std::time::Duration;

use tokio::time::Instant;

use crate::base::clock::Clock;

/// From one moment to the next, aligned to the daemon's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    period: Duration,
    due: Instant,
}

impl Pace {
    /// `period` is not zero.
    pub(super) fn new(clock: &dyn Clock, period: Duration) -> Self {
        let into_period = clock.now().as_nanos() % period.as_nanos().max(1);
        let rest = period.saturating_sub(Duration::from_nanos(into_period as u64));
        Self { period, due: Instant::now() + rest }
    }

    /// The next moment.
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Whether it has come; then the next one is one to come, whatever was missed.
    pub(super) fn is_due(&mut self) -> bool {
        let Some(late) = Instant::now().checked_duration_since(self.due) else { return false };
        let missed = late.as_nanos() / self.period.as_nanos().max(1);
        self.due += self.period * u32::try_from(missed + 1).unwrap_or(u32::MAX);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::ManualClock;

    #[tokio::test(start_paused = true)]
    async fn those_of_the_same_pace_come_at_the_same_moments_and_make_up_for_nothing() {
        let clock = ManualClock::default();
        let advance = async |ms| {
            clock.advance(Duration::from_millis(ms));
            tokio::time::advance(Duration::from_millis(ms)).await;
        };
        let mut early = Pace::new(&clock, Duration::from_millis(100));
        advance(30).await;
        let mut late = Pace::new(&clock, Duration::from_millis(100));
        assert_eq!(early.due(), late.due());
        advance(69).await;
        assert!(!early.is_due());
        advance(1).await;
        assert!(early.is_due() && !early.is_due() && late.is_due());
        advance(350).await;
        assert!(early.is_due() && !early.is_due());
        assert_eq!(early.due() - Instant::now(), Duration::from_millis(50));
    }
}
