//! The one source of time: monotonic, counted from the clock's own start.
//!
//! Everything above asks a [`Clock`]; tests hand in a [`ManualClock`] and move it by hand, so no test sleeps. The world's
//! time is for what a scene shows; no timestamp is made of it, for it may be set.

use std::{
    fmt,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

/// Monotonic time and waiting for it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Time since the clock started.
    fn now(&self) -> Duration;
    /// Returns once `now() >= deadline`.
    fn sleep_until(&self, deadline: Duration);
    /// Milliseconds since 1970 UTC when this clock shows, or showed, `time`, as far as is known now.
    fn utc_ms_at(&self, time: Duration) -> i64;
    /// The same of now.
    fn utc_ms(&self) -> i64 {
        self.utc_ms_at(self.now())
    }
}

/// The machine's monotonic clock.
#[derive(Debug)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock that stands at zero now.
    #[expect(clippy::disallowed_methods, reason = "the one place where the machine's clock is read")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep_until(&self, deadline: Duration) {
        // A sleep may return early on no platform Rust supports, but the loop costs nothing and states the contract.
        while let Some(rest) = deadline.checked_sub(self.now()).filter(|rest| !rest.is_zero()) {
            std::thread::sleep(rest);
        }
    }

    fn utc_ms_at(&self, time: Duration) -> i64 {
        let ms = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        // Asked anew each time, so that a clock on air follows a machine whose time is corrected.
        let utc = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        ms(utc) - ms(self.now()) + ms(time)
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    now: Mutex<Duration>,
    moved: Condvar,
}

impl ManualClock {
    /// Moves the clock forward and wakes who waits.
    pub fn advance(&self, by: Duration) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) += by;
        self.moved.notify_all();
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep_until(&self, deadline: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        while *now < deadline {
            now = self.moved.wait(now).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// This clock started with the year 1970.
    fn utc_ms_at(&self, time: Duration) -> i64 {
        i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
    }
}
