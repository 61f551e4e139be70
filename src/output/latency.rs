//! How long pictures take to leave: from the moment one is ready to its last byte in the socket's buffer. A histogram of
//! fixed size, and what finds that moment; neither allocates once a session runs.
//!
//! ```text
//! ready ─► Queue ─► Publisher ─► Outbox ─► socket
//!                      │ ends at byte n        │ has taken n bytes or more: it has left
//!                      └────────► Underway ◄───┘
//! ```
//!
//! Ready is a picture once the encoder has handed it to the mux thread, and so has the other track what belongs before
//! it. Behind TLS the buffer is that of the TLS session, which hands on what it has at once. Sound is left out: it is small, and would only flatter.
//! So are pictures that were lost on their way, which are counted as such.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// Upper bounds of the buckets, in microseconds: fine up to 2 ms, where delivery on a quiet machine ends, coarse up to
/// what a queue holds.
pub const BOUNDS_US: [u64; 21] = [
    50, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000,
];

/// A histogram of what was observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many lie in each bucket, and beyond all bounds.
    counts: [u64; BOUNDS_US.len() + 1],
    sum: Duration,
}

impl Latency {
    /// Counts one more.
    pub fn record(&mut self, latency: Duration) {
        let bucket = BOUNDS_US.partition_point(|&bound| Duration::from_micros(bound) < latency);
        self.counts[bucket] += 1;
        self.sum = self.sum.saturating_add(latency);
    }

    /// Adds what another one counted.
    pub fn join(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Each bound with how many do not exceed it.
    pub fn cumulative(&self) -> impl Iterator<Item = (Duration, u64)> {
        BOUNDS_US.iter().zip(self.counts).scan(0, |below, (&bound, count)| {
            *below += count;
            Some((Duration::from_micros(bound), *below))
        })
    }

    /// What a share of them, 0 to 1, does not exceed: evenly spread within a bucket, as Prometheus has it, and no more
    /// than the last bound. `None` where nothing was counted.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let rank = (self.count() as f64 * share.clamp(0.0, 1.0)).max(f64::MIN_POSITIVE);
        let (mut floor, mut below) = (Duration::ZERO, 0);
        for (bound, upto) in self.cumulative() {
            if upto as f64 >= rank {
                let within = (rank - below as f64) / (upto - below) as f64;
                return Some(floor + (bound - floor).mul_f64(within.clamp(0.0, 1.0)));
            }
            (floor, below) = (bound, upto);
        }
        (self.count() > 0).then_some(floor)
    }
}

/// Pictures that the socket has not taken whole, oldest first. As many as an outbox holds at most.
#[derive(Debug, Default)]
pub(super) struct Underway {
    /// Bytes that the socket took.
    taken: u64,
    /// At which byte each ends, and since when it is ready.
    ends: VecDeque<(u64, Instant)>,
}

impl Underway {
    /// A picture's last byte has `ahead` bytes of the connection, itself included, between it and the socket.
    pub(super) fn begin(&mut self, ahead: usize, ready_at: Instant) {
        self.ends.push_back((self.taken + ahead as u64, ready_at));
    }

    /// The socket took so many bytes; gives the pictures that are gone with them.
    pub(super) fn take(&mut self, bytes: usize) -> impl Iterator<Item = Instant> {
        self.taken += bytes as u64;
        let Self { taken, ends } = self;
        std::iter::from_fn(|| {
            let is_gone = ends.front().is_some_and(|(end, _)| *end <= *taken);
            if is_gone { ends.pop_front().map(|(_, ready_at)| ready_at) } else { None }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(latencies_us: impl IntoIterator<Item = u64>) -> Latency {
        let mut latency = Latency::default();
        latencies_us.into_iter().for_each(|us| latency.record(Duration::from_micros(us)));
        latency
    }

    #[test]
    fn a_bound_is_of_its_bucket() {
        let latency = of([0, 50, 51, 100, 2000, 2001, 10_000_000, 10_000_001]);
        let cumulative: Vec<_> = latency.cumulative().map(|(bound, upto)| (bound.as_micros(), upto)).collect();
        assert_eq!(cumulative[..3], [(50, 2), (100, 4), (150, 4)]);
        assert_eq!((cumulative[9], cumulative[10], cumulative[20]), ((2000, 5), (3000, 6), (10_000_000, 7)));
        assert_eq!((latency.count(), latency.sum().as_micros()), (8, 20_004_203));
    }

    #[test]
    fn quantiles_lie_evenly_in_their_bucket() {
        assert_eq!(of([]).quantile(0.5), None);
        let latency = of([60; 50].into_iter().chain([900; 49]).chain([20_000_000]));
        let us = |share| latency.quantile(share).unwrap().as_micros();
        assert_eq!((us(0.0), us(0.25), us(0.5)), (50, 75, 100));
        assert_eq!((us(0.99), us(1.0)), (1000, 10_000_000), "beyond the last bound nothing is known");
        let mut joined = of([60; 50]);
        joined.join(&of([900; 49]));
        joined.join(&of([20_000_000]));
        assert_eq!(joined, latency);
    }

    proptest! {
        /// However the socket takes them, each picture is gone with its last byte, and none before.
        #[test]
        fn a_picture_is_gone_with_its_last_byte(
            lens in prop::collection::vec(1_usize..50, 1..20),
            steps in prop::collection::vec(1_usize..40, 1..40),
        ) {
            let (start, mut underway) = (Instant::now(), Underway::default());
            let (mut begun, mut waiting, mut taken, mut gone) = (Vec::new(), 0, 0, 0);
            for n in 0..lens.len().max(steps.len()) {
                if let Some(len) = lens.get(n) {
                    waiting += len;
                    underway.begin(waiting, start + Duration::from_secs(begun.len() as u64));
                    begun.push(taken + waiting);
                }
                let step = steps.get(n).map_or(0, |step| *step.min(&waiting));
                (taken, waiting) = (taken + step, waiting - step);
                for ready_at in underway.take(step) {
                    prop_assert_eq!(ready_at - start, Duration::from_secs(gone as u64), "in order");
                    gone += 1;
                }
                prop_assert_eq!(gone, begun.iter().filter(|&&end| end <= taken).count());
            }
        }
    }
}
