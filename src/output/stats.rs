//! What an output shows of itself: its state, its counters, its last error. Data, and one small meter.
//!
//! ```text
//! Idle ─► Resolving ─► Connecting ─► Handshaking ─► Publishing ─► Stopped      (Stopped from anywhere)
//!             ▲            │              │              │
//!             │            ▼              ▼              ▼
//!             └──── BackingOff, or Refused where trying again soon would change nothing
//! ```

use serde::Serialize;

use crate::base::id::Id;

/// Where an output stands. In JSON: `"state": "backingOff", "attempt": 3`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum State {
    /// Spawned, not yet run.
    Idle,
    /// Asking for the host's addresses.
    Resolving,
    /// Opening a TCP connection.
    Connecting,
    /// Greeting, and asking to publish.
    Handshaking,
    /// On air: the server takes media.
    Publishing,
    /// The last attempt failed; another follows at [`Stats::retry_in_ms`].
    BackingOff {
        /// Failures in a row, from 1.
        attempt: u32,
    },
    /// The server does not want us. It is asked again now and then, since someone may repair it there.
    Refused {
        /// The server's code, e.g. `NetStream.Publish.Denied`; empty if it gave none.
        code: String,
    },
    /// Ended by us, for good.
    Stopped,
}

/// Why the last attempt that failed did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LastError {
    /// Stable name: [`Error::class`](super::Error::class).
    pub class: &'static str,
    /// For people; never contains the stream key.
    pub message: String,
}

/// A snapshot of an output. Counters run over all its sessions.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// Which output.
    pub id: Id,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// Time to the next attempt, in ms; only while backing off or refused.
    pub retry_in_ms: Option<u64>,
    /// Bytes the network took, with all that RTMP adds.
    pub output_bytes: u64,
    /// Pictures sent.
    pub output_total_frames: u64,
    /// Pictures lost because the network was too slow. Those of an outage are not counted: see `reconnects`.
    pub output_skipped_frames: u64,
    /// AAC frames lost because the network stood still for long.
    pub output_skipped_audio_frames: u64,
    /// Length of the media sent, in ms.
    pub output_duration_ms: u64,
    /// Sent over the last four whole seconds, in kb/s.
    pub bitrate_kbps: u64,
    /// Length of the media waiting, in ms.
    pub queue_ms: u64,
    /// Bytes of the media waiting.
    pub queue_bytes: usize,
    /// Attempts to connect.
    pub attempts: u64,
    /// Times it went on air again.
    pub reconnects: u64,
    /// Why the last attempt that failed did; kept when the next one succeeds.
    pub last_error: Option<LastError>,
    /// Seconds since the network took bytes last; null before it ever did.
    pub seconds_since_progress: Option<f64>,
}

const SLOT_MS: u64 = 1000;
const SLOTS: usize = 5;

/// Bytes a second over the last four whole seconds.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Number of the second and bytes in it, at the number modulo [`SLOTS`].
    slots: [(u64, u64); SLOTS],
}

impl Meter {
    /// Notes `bytes` at `now_ms`, which never goes back.
    pub(super) fn record(&mut self, now_ms: u64, bytes: u64) {
        let second = now_ms / SLOT_MS;
        let slot = &mut self.slots[second as usize % SLOTS];
        if slot.0 != second {
            *slot = (second, 0);
        }
        slot.1 += bytes;
    }

    /// The rate at `now_ms` in kb/s. It climbs during the first four seconds.
    pub(super) fn kbps(&self, now_ms: u64) -> u64 {
        let second = now_ms / SLOT_MS;
        let whole = second.saturating_sub(SLOTS as u64 - 1)..second;
        let bytes: u64 = self.slots.iter().filter(|slot| whole.contains(&slot.0)).map(|slot| slot.1).sum();
        bytes * 8 / (SLOT_MS * (SLOTS as u64 - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_four_whole_seconds() {
        let mut meter = Meter::default();
        for second in 0..10 {
            meter.record(second * 1000, 300_000);
            meter.record(second * 1000 + 999, 325_000);
        }
        assert_eq!(meter.kbps(10_000), 5000); // 625,000 bytes/s * 8
        assert_eq!(meter.kbps(10_999), 5000);
        assert_eq!(meter.kbps(12_000), 2500, "two of four seconds were silent");
        assert_eq!(meter.kbps(14_000), 0);
        meter.record(100_000, 4000);
        assert_eq!((meter.kbps(100_500), meter.kbps(101_000)), (0, 8));
    }
}
