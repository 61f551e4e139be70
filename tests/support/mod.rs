//! What integration tests share: a daemon's API without a socket, the program itself as a child, the daemon driven with
//! curl, pictures to feed them with, Chromium as an oracle, and polling.
//!
//! [`eventually`] and [`until`] are where these tests pause. Their pauses decide nothing but the speed; a condition that
//! does not come true within their bound fails the test.

#![allow(dead_code, reason = "each test crate uses its own part of this module")]

pub(crate) mod api;
pub(crate) mod chromium;
pub(crate) mod clients;
pub(crate) mod daemon;
pub(crate) mod http;
pub(crate) mod pictures;
pub(crate) mod program;

use std::{thread, time::Duration};

const PAUSE: Duration = Duration::from_millis(20);
/// Pauses before a test is given up: two minutes, far more than anything here needs.
const PAUSES_MAX: usize = 6000;

/// Polls `probe` until it gives something.
pub(crate) async fn eventually<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..PAUSES_MAX {
        if let Some(found) = probe().await {
            return found;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("never: {what}");
}

/// [`eventually`] without a runtime; `None` when it never came.
pub(crate) fn until<T>(mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    for _ in 0..PAUSES_MAX {
        if let Some(found) = probe() {
            return Some(found);
        }
        thread::sleep(PAUSE);
    }
    None
}
