//! What an output shows of itself: its state, its counters, its last error. Data, and two small meters.
//!
//! ```text
//! Idle ─► Resolving ─► Connecting ─► Handshaking ─► Publishing ◄─► Stalled     (Stopped from anywhere)
//!             ▲            │              │              │            │
//!             │            ▼              ▼              ▼            ▼
//!             └──── BackingOff, or Refused where trying again soon would change nothing
//!
//! a recording: Idle ─► Recording ◄─► BackingOff
//! ```
//!
//! Counters have the names of OBS Studio's WebSocket (`outputBytes`, `outputCongestion`, ...), so that dashboards port
//! over.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use super::{latency::Latency, recording};
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
    /// On air, but the server takes no bytes although some wait for it; it goes on or is given up soon.
    Stalled,
    /// A file is written.
    Recording,
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

impl State {
    /// Every name that [`Self::as_str`] gives, for metrics.
    pub const NAMES: [&str; 10] = [
        "idle",
        "resolving",
        "connecting",
        "handshaking",
        "publishing",
        "stalled",
        "recording",
        "backing_off",
        "refused",
        "stopped",
    ];

    /// Name for metrics and logs.
    pub fn as_str(&self) -> &'static str {
        Self::NAMES[match self {
            Self::Idle => 0,
            Self::Resolving => 1,
            Self::Connecting => 2,
            Self::Handshaking => 3,
            Self::Publishing => 4,
            Self::Stalled => 5,
            Self::Recording => 6,
            Self::BackingOff { .. } => 7,
            Self::Refused { .. } => 8,
            Self::Stopped => 9,
        }]
    }

    /// Whether the server has us on air, or a file is written.
    pub fn is_on_air(&self) -> bool {
        matches!(self, Self::Publishing | Self::Stalled | Self::Recording)
    }
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
    #[serde(rename = "outputDuration")]
    pub output_duration_ms: u64,
    /// How near it is to losing pictures to a slow network: 0 to 1, and 1 while it loses them.
    pub output_congestion: f64,
    /// Whether it is off air and tries to get back, or on for the first time after a failure.
    pub output_reconnecting: bool,
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
    /// Whether it publishes, or tries to, to the address that stands in for the first.
    #[serde(rename = "onBackup")]
    pub is_on_backup: bool,
    /// Attempts that failed, by [`Error::class`](super::Error::class).
    pub failures: BTreeMap<&'static str, u64>,
    /// Why the last attempt that failed did; kept when the next one succeeds.
    pub last_error: Option<LastError>,
    /// Seconds since the network, or the disk, took bytes last; null before it ever did.
    pub seconds_since_progress: Option<f64>,
    /// From a picture's being ready to its last byte in the socket's buffer; for metrics.
    #[serde(skip)]
    pub latency: Latency,
    /// The kernel's smoothed round-trip time to the server, in ms; only while on air over TCP.
    pub round_trip_ms: Option<f64>,
    /// Of a recording, its files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recording: Option<recording::Report>,
}

/// How well an output gets rid of its packets, for whoever decides how many there are. Cheap to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Which session on air this is, from 1; `None` while off air.
    pub session: Option<u64>,
    /// Length of the media waiting, in ms.
    pub queue_ms: u64,
    /// Its bytes.
    pub queue_bytes: usize,
    /// Time for which the network could not take at once what there was.
    pub busy: Duration,
    /// Bytes that it took in that time.
    pub busy_bytes: u64,
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

/// A stretch in which bytes wait for the network this short says nothing of it: a buffer took them.
const BUSY_MIN: Duration = Duration::from_millis(2);

/// What the network takes while it is the network that is waited for: the only time in which its rate is seen. Sums that
/// grow, so that two readings give the rate between them.
#[derive(Debug, Default)]
pub(super) struct Effort {
    /// Since when bytes wait, and how many the network took since then.
    stretch: Option<(Duration, u64)>,
    busy: Duration,
    bytes: u64,
}

impl Effort {
    /// Bytes wait for the network from `now` on, if they did not already.
    pub(super) fn begin(&mut self, now: Duration) {
        self.stretch.get_or_insert((now, 0));
    }

    /// The network took `bytes`.
    pub(super) fn record(&mut self, bytes: u64) {
        if let Some((_, taken)) = &mut self.stretch {
            *taken += bytes;
        }
    }

    /// Nothing waits any more.
    pub(super) fn end(&mut self, now: Duration) {
        (self.busy, self.bytes) = self.read(now);
        self.stretch = None;
    }

    /// Time that was waited, and bytes taken in it.
    pub(super) fn read(&self, now: Duration) -> (Duration, u64) {
        let stretch = self.stretch.map(|(since, bytes)| (now.saturating_sub(since), bytes));
        let (time, bytes) = stretch.filter(|(time, _)| *time >= BUSY_MIN).unwrap_or_default();
        (self.busy + time, self.bytes + bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_waits_counts_as_effort() {
        let ms = Duration::from_millis;
        let mut effort = Effort::default();
        effort.record(1000);
        effort.begin(ms(10));
        effort.record(1000);
        assert_eq!(effort.read(ms(11)), (ms(0), 0), "too short to tell");
        effort.end(ms(11));
        effort.begin(ms(20));
        effort.record(500);
        effort.begin(ms(30));
        effort.record(700);
        assert_eq!(effort.read(ms(60)), (ms(40), 1200), "one stretch");
        effort.end(ms(70));
        effort.record(9000);
        assert_eq!(effort.read(ms(99)), (ms(50), 1200));
    }

    #[test]
    fn every_state_has_its_name() {
        let (attempt, code) = (1, String::new());
        let states = [
            State::Idle,
            State::Resolving,
            State::Connecting,
            State::Handshaking,
            State::Publishing,
            State::Stalled,
            State::Recording,
            State::BackingOff { attempt },
            State::Refused { code },
            State::Stopped,
        ];
        assert_eq!(states.each_ref().map(State::as_str), State::NAMES);
        let shown = states.each_ref().map(|state| serde_json::to_value(state).unwrap()["state"].clone());
        assert_eq!(
            shown.map(|name| name.as_str().unwrap().to_lowercase()),
            State::NAMES.map(|name| name.replace('_', ""))
        );
    }

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
