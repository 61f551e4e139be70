//! The stream's timeline: frame and sample numbers to moments of the clock and to timestamps.
//!
//! Picture and sound count from the same start, each by its own integer, so they cannot drift apart however long the
//! stream runs. Nothing else reads the clock to make a timestamp.

use std::time::Duration;

use crate::{audio, base::rate::FrameRate};

/// Samples per second, as the arithmetic here wants it.
const SAMPLE_RATE: u64 = audio::SAMPLE_RATE as u64;

/// Where frame 0 and sample 0 lie on the clock, and how frames follow. That may be before the clock began: a stream that
/// was cut off goes on, and its first frame here is a later one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    start: Duration,
    /// What had elapsed at the start.
    begun: Duration,
    rate: FrameRate,
}

impl Timeline {
    /// Frame 0 and sample 0 are at `start` on the clock.
    pub(super) fn new(start: Duration, rate: FrameRate) -> Self {
        Self::resumed(start, Duration::ZERO, rate)
    }

    /// At `start` on the clock the stream has run for `begun`.
    pub(super) fn resumed(start: Duration, begun: Duration, rate: FrameRate) -> Self {
        Self { start, begun, rate }
    }

    /// The same of a rendition that has another rate.
    pub(super) fn at_rate(self, rate: FrameRate) -> Self {
        Self { rate, ..self }
    }

    /// Frames per second.
    pub(super) fn rate(&self) -> FrameRate {
        self.rate
    }

    /// When frame `number` is due.
    pub(super) fn frame_due(&self, number: u64) -> Duration {
        self.due(self.rate.time_of(number))
    }

    /// When sample `number` is due.
    pub(super) fn sample_due(&self, number: u64) -> Duration {
        self.due(time_of_sample(number))
    }

    fn due(&self, elapsed: Duration) -> Duration {
        self.start.saturating_add(elapsed).saturating_sub(self.begun)
    }

    /// What has elapsed at `now`.
    pub(super) fn elapsed_at(&self, now: Duration) -> Duration {
        now.saturating_add(self.begun).saturating_sub(self.start)
    }

    /// What had elapsed at the start.
    pub(super) fn begun(&self) -> Duration {
        self.begun
    }

    /// The first sample of the first block of sound: the end of the block that is under way at the start.
    pub(super) fn first_sample(&self, block: u64) -> u64 {
        let samples = self.begun.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000;
        u64::try_from(samples).unwrap_or(u64::MAX / 2).next_multiple_of(block)
    }

    /// The frame that is on at `now`.
    pub(super) fn frame_at(&self, now: Duration) -> u64 {
        self.rate.frame_at(self.elapsed_at(now))
    }
}

/// When a sample is heard, counted from sample 0.
pub(super) fn time_of_sample(number: u64) -> Duration {
    let nanos = u128::from(number) * 1_000_000_000 / u128::from(SAMPLE_RATE);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The first sample that is heard at `time` or after it.
pub(super) fn first_sample_at(time: Duration) -> u64 {
    let samples = (time.as_nanos() * u128::from(SAMPLE_RATE)).div_ceil(1_000_000_000);
    u64::try_from(samples).unwrap_or(u64::MAX)
}

/// The timestamp of a sample in milliseconds, rounded to nearest.
pub(super) fn ms_of_sample(number: u64) -> u64 {
    let ms = (u128::from(number) * 1000 + u128::from(SAMPLE_RATE) / 2) / u128::from(SAMPLE_RATE);
    u64::try_from(ms).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_and_picture_agree_after_a_year() {
        let timeline = Timeline::new(Duration::from_secs(5), FrameRate::new(30_000, 1001).unwrap());
        let year_s = 365 * 24 * 3600;
        let frame = timeline.frame_at(Duration::from_secs(5 + year_s));
        let sample = year_s * SAMPLE_RATE;
        assert!(timeline.rate().ms_of(frame).abs_diff(ms_of_sample(sample)) <= 34);
        assert_eq!(timeline.sample_due(sample), Duration::from_secs(5 + year_s));
    }

    #[test]
    fn a_stream_that_goes_on_is_as_far_as_if_it_had_run_on() {
        let (rate, day) = (FrameRate::new(30, 1).unwrap(), Duration::from_secs(24 * 3600));
        let whole = Timeline::new(Duration::ZERO, rate);
        // Cut off and started again in a process whose clock shows three seconds.
        let second = Timeline::resumed(Duration::from_secs(3), day, rate);
        let now = Duration::from_secs(10);
        assert_eq!(second.frame_at(now), whole.frame_at(day + Duration::from_secs(7)));
        assert_eq!(second.frame_due(24 * 3600 * 30 + 210), now);
        assert_eq!(second.sample_due((24 * 3600 + 7) * SAMPLE_RATE), now);
        assert_eq!(second.frame_due(0), Duration::ZERO, "before the clock began");
        let first = second.first_sample(1024);
        assert!(first.is_multiple_of(1024) && second.sample_due(first) >= Duration::from_secs(3), "{first}");
        assert_eq!(whole.first_sample(1024), 0);
    }

    #[test]
    fn aac_frames_are_21_and_a_third_ms_apart() {
        let ms: Vec<u64> = (0..4).map(|k| ms_of_sample(k * 1024)).collect();
        assert_eq!(ms, [0, 21, 43, 64]);
    }
}
