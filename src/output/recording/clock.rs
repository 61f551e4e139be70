//! From the packets' milliseconds to the units of a track. Pure.
//!
//! A packet's time is rounded to a millisecond; in a file, frames are of equal length. Both clocks find the exact time that
//! was rounded: pictures stand on the grid of their rate, and AAC frames follow one another without a gap unless one as long
//! as frames is told. What is on no grid is left where its millisecond is.

use crate::{aac::FRAME_SAMPLES, base::rate::FrameRate};

/// Pictures: from milliseconds to units, by the grid of the rate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    rate: Option<FrameRate>,
    /// Units in a second; with a rate, a whole number of them is a frame.
    timescale: u32,
}

impl Grid {
    pub(super) fn new(rate: Option<FrameRate>, timescale: u32) -> Self {
        Self { rate, timescale }
    }

    /// The time that was rounded to `ms`, in units.
    pub(super) fn units(self, ms: u64) -> u64 {
        let by_ms = scaled(ms, self.timescale.into(), 1000);
        let Some(rate) = self.rate else { return by_ms };
        let number = scaled(ms, rate.num().into(), u64::from(rate.den()) * 1000);
        if rate.ms_of(number).abs_diff(ms) > 1 {
            return by_ms;
        }
        number.saturating_mul(self.frame_units(rate))
    }

    /// The length of a frame, as far as is known.
    pub(super) fn frame(self) -> u32 {
        let known = self.rate.map(|rate| self.frame_units(rate));
        known.and_then(|units| u32::try_from(units).ok()).unwrap_or(self.timescale / 30).max(1)
    }

    fn frame_units(self, rate: FrameRate) -> u64 {
        u64::from(self.timescale) * u64::from(rate.den()) / u64::from(rate.num())
    }
}

/// Sound: from milliseconds to samples, frame after frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Steps {
    sample_rate_hz: u32,
    /// No frame begins earlier, wherever its millisecond was rounded to.
    origin: u64,
    /// Where the next frame begins if nothing is missing.
    next: Option<u64>,
}

impl Steps {
    pub(super) fn new(sample_rate_hz: u32, origin: u64) -> Self {
        Self { sample_rate_hz, origin, next: None }
    }

    /// The first sample of the frame whose time was rounded to `ms`. Frames may be missing before it, in whole numbers.
    pub(super) fn sample(&mut self, ms: u64) -> u64 {
        let frame = u64::from(FRAME_SAMPLES);
        let told = scaled(ms, self.sample_rate_hz.into(), 1000);
        let expected = *self.next.get_or_insert(told.max(self.origin));
        let missing = (told.saturating_sub(expected) + frame / 2) / frame;
        let sample = expected.saturating_add(missing * frame);
        self.next = Some(sample.saturating_add(frame));
        sample
    }
}

/// `value * numerator / denominator`, rounded to nearest.
pub(super) fn scaled(value: u64, numerator: u64, denominator: u64) -> u64 {
    let scaled = (u128::from(value) * u128::from(numerator) + u128::from(denominator) / 2) / u128::from(denominator);
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_of_pictures_is_exact() {
        for (num, den, timescale, frame) in [(30_000, 1001, 30_000, 1001), (60, 1, 60_000, 1000), (25, 2, 25_000, 2000)]
        {
            let rate = FrameRate::new(num, den).unwrap();
            let grid = Grid::new(Some(rate), timescale);
            assert_eq!(grid.frame(), frame);
            for number in (0..10_000).chain(900_000_000..900_010_000) {
                assert_eq!(grid.units(rate.ms_of(number)), number * u64::from(frame), "frame {number} of {num}/{den}");
            }
        }
    }

    #[test]
    fn what_is_off_the_grid_stays_where_it_is() {
        let grid = Grid::new(Some(FrameRate::new(25, 1).unwrap()), 25_000);
        assert_eq!([0, 40, 41, 50, 80].map(|ms| grid.units(ms)), [0, 1000, 1000, 1250, 2000]);
        assert_eq!(Grid::new(None, 90_000).units(7), 630);
    }

    #[test]
    fn sound_goes_on_by_whole_frames() {
        let mut steps = Steps::new(48_000, 0);
        let ms_of = |sample: u64| scaled(sample, 1000, 48_000);
        for n in 0..100_000 {
            assert_eq!(steps.sample(ms_of(n * 1024)), n * 1024);
        }
        assert_eq!(steps.sample(ms_of(100_003 * 1024)), 100_003 * 1024, "three are missing");
        assert_eq!(steps.sample(ms_of(100_004 * 1024) - 9), 100_004 * 1024, "a time that is a little off");
        assert_eq!(steps.sample(0), 100_005 * 1024, "never back");
        assert_eq!(Steps::new(48_000, 1010).sample(21), 1010, "21 ms are 1008 samples");
    }
}
