//! The stream's timeline: frame and sample numbers to moments of the clock and to timestamps.
//!
//! Picture and sound count from the same start, each by its own integer, so they cannot drift apart however long the
//! stream runs. Nothing else reads the clock to make a timestamp.

use std::time::Duration;

use crate::{audio, base::rate::FrameRate};

/// Samples per second, as the arithmetic here wants it.
const SAMPLE_RATE: u64 = audio::SAMPLE_RATE as u64;

/// Where frame 0 and sample 0 lie on the clock, and how frames follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeline {
    start: Duration,
    rate: FrameRate,
}

impl Timeline {
    /// Frame 0 and sample 0 are at `start` on the clock.
    pub(super) fn new(start: Duration, rate: FrameRate) -> Self {
        Self { start, rate }
    }

    /// Frames per second.
    pub(super) fn rate(&self) -> FrameRate {
        self.rate
    }

    /// When frame `number` is due.
    pub(super) fn frame_due(&self, number: u64) -> Duration {
        self.start.saturating_add(self.rate.time_of(number))
    }

    /// When sample `number` is due.
    pub(super) fn sample_due(&self, number: u64) -> Duration {
        self.start.saturating_add(time_of_sample(number))
    }

    /// The frame that is on at `now`.
    pub(super) fn frame_at(&self, now: Duration) -> u64 {
        self.rate.frame_at(now.saturating_sub(self.start))
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
    fn aac_frames_are_21_and_a_third_ms_apart() {
        let ms: Vec<u64> = (0..4).map(|k| ms_of_sample(k * 1024)).collect();
        assert_eq!(ms, [0, 21, 43, 64]);
    }
}
