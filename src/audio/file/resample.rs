//! Any sampling rate to 48 kHz, as a function of the sample's number.
//!
//! A band-limited interpolation by windowed sinc, of which the filters are rubato's: sample *n* of the result is the
//! original at *n* times the ratio of the rates, wherever one began to ask, so a sound that is joined late is the one
//! that was heard from the start. The ratio is a fraction in lowest terms; if its denominator is small, as between all
//! usual rates, there is one filter for each phase that occurs, and nothing is interpolated between filters.
//!
//! ```text
//!  original   ─┬──┬──┬──┬──┬──┬──┬──┬─     TAPS of them are weighed for each sample
//!  at 48 kHz       ▲ number × rate / 48000
//! ```
//!
//! When the rate goes down the filter gets longer, so that its edge stays as steep.

use std::fmt;

use rubato::{
    WindowFunction,
    interpolation::interp_cubic,
    sinc_interpolator::{AnyInterpolator, SincInterpolator, make_interpolator},
};

use super::{
    super::{CHANNELS, SAMPLE_RATE},
    downmix::Frame,
};

/// Original samples that are weighed for one of the result, when the rate does not go down.
const TAPS: usize = 256;
/// Filters, at most, of which each is for one phase. A rate that needs more is interpolated between as many.
const PHASES_MAX: u32 = 640;

/// The way from one rate to [`SAMPLE_RATE`].
pub(super) struct Resampler {
    /// None: nothing is to be done.
    filters: Option<AnyInterpolator<f32>>,
    /// Original samples, and those of the result, of the shortest time that has whole numbers of both.
    from: u64,
    to: u64,
    /// Original samples that are still needed, each channel for itself, and the number of the first one.
    planes: [Vec<f32>; CHANNELS],
    first: i64,
}

impl Resampler {
    /// From `rate_hz`.
    pub(super) fn new(rate_hz: u32) -> Self {
        let by = gcd(rate_hz, SAMPLE_RATE);
        let (from, to) = (rate_hz / by, SAMPLE_RATE / by);
        let filters = (from != to).then(|| {
            let ratio = f64::from(to) / f64::from(from);
            let taps = (TAPS as f64 * (1.0 / ratio).max(1.0)).ceil() as usize;
            let phases = if to <= PHASES_MAX { to } else { PHASES_MAX };
            make_interpolator(taps, ratio, None, phases as usize, WindowFunction::BlackmanHarris2)
        });
        Self { filters, from: from.into(), to: to.into(), planes: Default::default(), first: 0 }
    }

    /// How many samples of the result `frames` original ones make.
    pub(super) fn length_of(&self, frames: u64) -> u64 {
        let length = (u128::from(frames) * u128::from(self.to)).div_ceil(self.from.into());
        u64::try_from(length).unwrap_or(u64::MAX)
    }

    /// Forgets what was pushed. The next frame to push is the one returned, and `number` can then be pulled.
    pub(super) fn restart(&mut self, number: u64) -> u64 {
        self.planes.iter_mut().for_each(Vec::clear);
        let (at, _) = self.place_of(number);
        // One more than there are taps on one side: the four filters next to a place may begin one sample apart.
        self.first = at - self.reach();
        let next = self.first.max(0);
        // Before the first sample there is silence.
        let silence = next.abs_diff(self.first) as usize;
        self.planes.iter_mut().for_each(|plane| plane.resize(silence, 0.0));
        next as u64
    }

    /// Takes the next original samples.
    pub(super) fn push(&mut self, frames: &[Frame]) {
        for (side, plane) in self.planes.iter_mut().enumerate() {
            plane.extend(frames.iter().map(|frame| frame[side]));
        }
    }

    /// Takes the silence behind the last original sample that the last ones of the result need.
    pub(super) fn push_end(&mut self) {
        let reach = self.reach() as usize;
        self.planes.iter_mut().for_each(|plane| plane.resize(plane.len() + reach, 0.0));
    }

    /// Adds samples of the result to `out`, from `number` on and below `end`, as far as the originals are there. Gives
    /// the number of the next one.
    pub(super) fn pull(&mut self, mut number: u64, end: u64, out: &mut Vec<Frame>) -> u64 {
        while number < end {
            let Some(frame) = self.frame(number) else { break };
            out.push(frame);
            number += 1;
        }
        let needed = self.place_of(number).0 - self.reach();
        let done = usize::try_from(needed - self.first).unwrap_or(0).min(self.planes[0].len());
        self.planes.iter_mut().for_each(|plane| drop(plane.drain(..done)));
        self.first += done as i64;
        number
    }

    /// Original samples on either side that may be needed.
    fn reach(&self) -> i64 {
        self.filters.as_ref().map_or(0, |filters| filters.nbr_points() as i64 / 2 + 2)
    }

    /// The original sample at or before a sample of the result, and how many parts of `to` lie between.
    fn place_of(&self, number: u64) -> (i64, u64) {
        let parts = u128::from(number) * u128::from(self.from);
        let to = u128::from(self.to);
        (i64::try_from(parts / to).unwrap_or(i64::MAX), (parts % to) as u64)
    }

    fn frame(&self, number: u64) -> Option<Frame> {
        let (at, part) = self.place_of(number);
        let at = usize::try_from(at - self.first).ok()?;
        let Some(filters) = &self.filters else {
            return self.planes[0].get(at).map(|_| [0, 1].map(|side| self.planes[side][at]));
        };
        let half = filters.nbr_points() / 2;
        if at < half + 1 || at + half + 2 >= self.planes[0].len() {
            return None;
        }
        // A filter reads what is its index + half - 1 + (its phase + 1) / phases.
        if self.to == filters.nbr_sincs() as u64 {
            let (index, phase) = if part == 0 { (at - half, self.to - 1) } else { (at - half + 1, part - 1) };
            return Some([0, 1].map(|side| filters.get_sinc_interpolated(&self.planes[side], index, phase as usize)));
        }
        // In whole numbers, so that a place has the same filters wherever one began.
        let phases = filters.nbr_sincs() as u64;
        let (below, rest) = (part * phases / self.to, part * phases % self.to);
        let between = rest as f32 / self.to as f32;
        let nearest = [0, 1, 2, 3].map(|step| {
            let phase = below + step + 2 * phases - 2;
            (at - half + (phase / phases) as usize - 1, (phase % phases) as usize)
        });
        Some([0, 1].map(|side| {
            let plane = &self.planes[side];
            interp_cubic(between, &nearest.map(|(index, phase)| filters.get_sinc_interpolated(plane, index, phase)))
        }))
    }
}

impl fmt::Debug for Resampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resampler").field("from", &self.from).field("to", &self.to).finish_non_exhaustive()
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn sine(rate_hz: u32, hz: f64, frames: usize) -> Vec<Frame> {
        let sample = |index: usize| (index as f64 * hz / f64::from(rate_hz) * TAU).sin() * 0.5;
        (0..frames).map(|index| [sample(index) as f32, -sample(index) as f32]).collect()
    }

    /// Samples `numbers` of what `frames` become.
    fn resampled(rate_hz: u32, frames: &[Frame], numbers: std::ops::Range<u64>) -> Vec<Frame> {
        let mut resampler = Resampler::new(rate_hz);
        let mut next = resampler.restart(numbers.start) as usize;
        let mut out = Vec::new();
        let mut number = numbers.start;
        while next < frames.len() && number < numbers.end {
            let end = frames.len().min(next + 700);
            resampler.push(&frames[next..end]);
            next = end;
            number = resampler.pull(number, numbers.end, &mut out);
        }
        if next == frames.len() {
            resampler.push_end();
            resampler.pull(number, numbers.end.min(resampler.length_of(frames.len() as u64)), &mut out);
        }
        out
    }

    fn power(sound: impl IntoIterator<Item = f64>) -> f64 {
        sound.into_iter().map(|sample| sample * sample).sum::<f64>()
    }

    fn db(ratio: f64) -> f64 {
        10.0 * ratio.log10()
    }

    /// How far a resampled sine stands above all that it is not, against the sine that it should be: level, phase and
    /// place in time included.
    fn signal_to_noise_db(rate_hz: u32, hz: f64) -> f64 {
        let frames = sine(rate_hz, hz, rate_hz as usize / 4);
        let out = resampled(rate_hz, &frames, 1000..6000);
        assert_eq!(out.len(), 5000);
        let ideal: Vec<f64> = (1000..6000).map(|n| (f64::from(n) * hz / 48_000.0 * TAU).sin() * 0.5).collect();
        let off = out.iter().zip(&ideal).map(|(frame, ideal)| f64::from(frame[0]) - ideal);
        assert!(out.iter().all(|frame| (frame[0] + frame[1]).abs() < 1e-6), "left and right are each other's opposite");
        db(power(ideal.iter().copied()) / power(off))
    }

    #[test]
    fn tones_keep_level_phase_and_purity() {
        for (rate_hz, hz) in
            [(44_100, 1000.0), (44_100, 10_000.0), (96_000, 10_000.0), (22_050, 5000.0), (8000, 1000.0)]
        {
            let snr = signal_to_noise_db(rate_hz, hz);
            assert!(snr > 90.0, "{hz} Hz from {rate_hz} Hz: {snr:.1} dB");
        }
        // A ratio of 48000 to 47999 has more phases than there are filters.
        let snr = signal_to_noise_db(47_999, 10_000.0);
        assert!(snr > 90.0, "between filters: {snr:.1} dB");
    }

    /// What lies beyond half the new rate is gone, and the band below is whole.
    #[test]
    fn nothing_is_mirrored_and_the_band_is_kept() {
        let level = |rate_hz: u32, hz| {
            let out = resampled(rate_hz, &sine(rate_hz, hz, rate_hz as usize / 8), 1000..4000);
            db(power(out.iter().map(|frame| f64::from(frame[0]))) / out.len() as f64 / 0.125)
        };
        for (rate_hz, hz) in [(96_000, 26_000.0), (96_000, 40_000.0), (192_000, 30_000.0), (88_200, 26_000.0)] {
            assert!(level(rate_hz, hz) < -80.0, "{hz} Hz from {rate_hz} Hz: {:.1} dB", level(rate_hz, hz));
        }
        for (rate_hz, hz) in [(44_100, 20_000.0), (96_000, 20_000.0), (32_000, 14_500.0)] {
            assert!(level(rate_hz, hz).abs() < 0.1, "{hz} Hz from {rate_hz} Hz: {:.2} dB", level(rate_hz, hz));
        }
    }

    /// Images of what is below half the old rate do not appear above it.
    #[test]
    fn no_images_appear_above_the_old_band() {
        // Whole periods of both.
        let out = resampled(32_000, &sine(32_000, 12_000.0, 8000), 1000..5800);
        let angle = |n: usize| n as f64 * 20_000.0 / 48_000.0 * TAU;
        let part = |wave: fn(f64) -> f64| {
            let sum: f64 = out.iter().enumerate().map(|(n, frame)| f64::from(frame[0]) * wave(angle(n))).sum();
            sum * 2.0 / out.len() as f64
        };
        let image = part(f64::sin).hypot(part(f64::cos));
        assert!(20.0 * (image / 0.5).log10() < -80.0, "{image}");
    }

    /// Joined anywhere it is the same, bit for bit, from the first sample to the last.
    #[test]
    fn it_is_a_function_of_the_number() {
        for rate_hz in [44_100, 48_000, 96_000, 47_999] {
            let frames = sine(rate_hz, 333.0, 9000);
            let whole = resampled(rate_hz, &frames, 0..u64::MAX);
            let length = Resampler::new(rate_hz).length_of(9000) as usize;
            assert_eq!(whole.len(), length, "{rate_hz} Hz");
            assert!(resampled(rate_hz, &frames, 4321..4400) == whole[4321..4400], "{rate_hz} Hz");
            let tail = length - 50;
            assert!(resampled(rate_hz, &frames, tail as u64..u64::MAX) == whole[tail..], "{rate_hz} Hz");
        }
    }

    #[test]
    fn the_right_rate_is_left_alone() {
        let frames = sine(48_000, 1234.5, 2000);
        assert_eq!(resampled(48_000, &frames, 0..u64::MAX), frames);
    }
}
