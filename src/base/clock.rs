//! The one source of time: monotonic, counted from the clock's own start.
//!
//! Everything above asks a [`Clock`]; tests hand in a [`ManualClock`] and move it by hand, so no test sleeps. Wall time
//! (UTC) is a scene's business and is passed in as data.

use std::{
    fmt,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Monotonic time and waiting for it.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Time since the clock started.
    fn now(&self) -> Duration;
    /// Returns once `now() >= deadline`.
    fn sleep_until(&self, deadline: Duration);
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
}
