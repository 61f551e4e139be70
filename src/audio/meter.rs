//! Meters: loudness as EBU R 128 has it, peaks, and silence, of what is encoded; peak and mean of each source.
//!
//! The audio thread measures each block and leaves the [`Levels`] in a ring of the last 64 blocks, some 1.4 s; whoever
//! looks, at whatever interval, gets the highest of all blocks since it looked last ([`Meters::since`]), so no peak is
//! missed between two looks. Loudness is worked out anew ten times a second, as R 128's meters do. What is kept does not
//! grow with time: the gated loudness comes from histograms.
//!
//! Spec: EBU R 128, EBU Tech 3341 and 3342, ITU-R BS.1770-5, by the `ebur128` crate.

use std::sync::Arc;

use ebur128::{EbuR128, Mode};

use super::{
    BLOCK_SAMPLES, Block, CHANNELS, SAMPLE_RATE,
    fader::{self, SILENT_DB},
    mix::{self, SOURCES_MAX},
};
use crate::base::id::Id;

/// Blocks that are kept for whoever looks.
const RING: usize = 64;
/// Blocks from one working out of loudness to the next, some 100 ms.
const LOUDNESS_EACH: u64 = 5;
/// Blocks that the status shows the peaks of: a second.
const SECOND: u64 = 47;

/// Loudness, in LUFS; its range in LU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Loudness {
    /// Of the last 400 ms.
    pub momentary_lufs: f64,
    /// Of the last 3 s.
    pub short_term_lufs: f64,
    /// Since the start, or since it was reset, gated.
    pub integrated_lufs: f64,
    /// By how much it varied in that time.
    pub range_lu: f64,
    /// The highest true peak in that time, in dB of full scale.
    pub true_peak_dbtp: f64,
}

impl Loudness {
    const NONE: Self = Self {
        momentary_lufs: SILENT_DB,
        short_term_lufs: SILENT_DB,
        integrated_lufs: SILENT_DB,
        range_lu: 0.0,
        true_peak_dbtp: SILENT_DB,
    };
}

/// Peak and mean square of two channels.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Stereo {
    pub(super) peak: [f32; CHANNELS],
    pub(super) square: [f32; CHANNELS],
}

impl Stereo {
    /// Notes a pair of samples.
    pub(super) fn note(&mut self, pair: [f32; CHANNELS]) {
        for ((sample, peak), square) in pair.into_iter().zip(&mut self.peak).zip(&mut self.square) {
            *peak = peak.max(sample.abs());
            *square += sample * sample / BLOCK_SAMPLES as f32;
        }
    }

    fn add(&mut self, other: &Self, blocks: f32) {
        for channel in 0..CHANNELS {
            self.peak[channel] = self.peak[channel].max(other.peak[channel]);
            self.square[channel] += other.square[channel] / blocks;
        }
    }

    fn levels(&self) -> Levels {
        Levels {
            peak_dbfs: self.peak.map(|peak| fader::decibels(peak.into())),
            rms_dbfs: self.square.map(|square| fader::decibels(f64::from(square).sqrt())),
        }
    }
}

/// Levels of left and right, in dB of full scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Levels {
    /// The highest sample.
    pub peak_dbfs: [f64; CHANNELS],
    /// The root of the mean square.
    pub rms_dbfs: [f64; CHANNELS],
}

/// What the meters show.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Of the whole.
    pub loudness: Loudness,
    /// Of the whole, over the time that was looked at.
    pub levels: Levels,
    /// The highest true peaks in that time, in dB of full scale.
    pub true_peak_dbtp: [f64; CHANNELS],
    /// By how much the limiter lowered the whole at most in that time, in dB.
    pub limiter_reduction_db: f64,
    /// Whether it has been silent for long enough to be called so.
    pub is_silent: bool,
    /// Of each source, in the order of the mix.
    pub sources: Vec<SourceReading>,
}

/// What the meters show of a source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceReading {
    /// Which one.
    pub id: Id,
    /// Behind its fader.
    pub levels: Levels,
    /// Why it is not heard as it should be, if it is not.
    pub problem: Option<Arc<str>>,
    /// Whether it has come to its end.
    pub is_over: bool,
}

/// One block's levels.
#[derive(Debug, Clone, Default)]
pub(super) struct BlockLevels {
    pub(super) whole: Stereo,
    pub(super) true_peak: [f32; CHANNELS],
    /// The limiter's lowest gain.
    pub(super) gain: f32,
    pub(super) sources: [Option<SourceLevels>; SOURCES_MAX],
}

/// One block's levels of a source.
#[derive(Debug, Clone)]
pub(super) struct SourceLevels {
    pub(super) id: Id,
    pub(super) levels: Stereo,
    pub(super) problem: Option<Arc<str>>,
    pub(super) is_over: bool,
}

/// What the audio thread leaves for whoever looks.
#[derive(Debug)]
pub struct Meters {
    ring: Box<[BlockLevels; RING]>,
    /// Blocks measured so far.
    count: u64,
    loudness: Loudness,
    is_silent: bool,
}

impl Default for Meters {
    fn default() -> Self {
        let ring = Box::new(std::array::from_fn(|_| BlockLevels::default()));
        Self { ring, count: 0, loudness: Loudness::NONE, is_silent: false }
    }
}

impl Meters {
    fn push(&mut self, block: BlockLevels, loudness: Loudness, is_silent: bool) {
        self.ring[self.count as usize % RING] = block;
        self.count += 1;
        (self.loudness, self.is_silent) = (loudness, is_silent);
    }

    /// What the meters showed since they had counted `seen` blocks, or as long ago as is kept, with the blocks that they
    /// have counted now; at least the newest block.
    pub fn since(&self, seen: u64) -> (Reading, u64) {
        let newest = self.count.saturating_sub(1);
        let first = seen.min(newest).max(self.count.saturating_sub(RING as u64));
        (self.reading(first), self.count)
    }

    /// What the meters showed in the last second.
    pub fn last_second(&self) -> Reading {
        self.since(self.count.saturating_sub(SECOND)).0
    }

    /// Of the blocks from `first` on.
    fn reading(&self, first: u64) -> Reading {
        let count = (self.count - first) as f32;
        let (mut whole, mut true_peak, mut gain) = (Stereo::default(), [0.0f32; CHANNELS], 1.0f32);
        for number in first..self.count {
            let block = &self.ring[number as usize % RING];
            whole.add(&block.whole, count);
            true_peak = [0, 1].map(|channel| true_peak[channel].max(block.true_peak[channel]));
            gain = gain.min(block.gain);
        }
        // A source that is gone shows nothing any more.
        let newest = &self.ring[self.count.saturating_sub(1) as usize % RING];
        let sources = newest.sources.iter().flatten().map(|source| self.source_reading(source, first)).collect();
        Reading {
            loudness: self.loudness,
            levels: whole.levels(),
            true_peak_dbtp: true_peak.map(|peak| fader::decibels(peak.into())),
            limiter_reduction_db: -fader::decibels(gain.into()),
            is_silent: self.is_silent,
            sources,
        }
    }

    /// A source that is there, with its levels of the blocks from `first` on.
    fn source_reading(&self, newest: &SourceLevels, first: u64) -> SourceReading {
        let mut sum = Stereo::default();
        for number in first..self.count {
            let sources = &self.ring[number as usize % RING].sources;
            let same = sources.iter().flatten().find(|source| source.id == newest.id);
            same.into_iter().for_each(|source| sum.add(&source.levels, (self.count - first) as f32));
        }
        let SourceLevels { id, problem, is_over, .. } = newest.clone();
        SourceReading { id, levels: sum.levels(), problem, is_over }
    }
}

/// The audio thread's side of the meters.
pub struct Gauge {
    loudness: EbuR128,
    shown: Loudness,
    blocks: u64,
    silent_samples: u64,
    is_silent: bool,
}

impl Default for Gauge {
    fn default() -> Self {
        let mode = Mode::M | Mode::S | Mode::I | Mode::LRA | Mode::TRUE_PEAK | Mode::SAMPLE_PEAK | Mode::HISTOGRAM;
        let loudness = EbuR128::new(CHANNELS as u32, SAMPLE_RATE, mode);
        let loudness = loudness.unwrap_or_else(|_| unreachable!("two channels at 48 kHz are within its limits"));
        Self { loudness, shown: Loudness::NONE, blocks: 0, silent_samples: 0, is_silent: false }
    }
}

impl std::fmt::Debug for Gauge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gauge").field("blocks", &self.blocks).finish_non_exhaustive()
    }
}

impl Gauge {
    /// Loudness, range and the highest peak start anew.
    pub fn reset(&mut self) {
        self.loudness.reset();
        self.shown = Loudness::NONE;
    }

    /// Whether silence has been for so long.
    pub fn is_silent(&self) -> bool {
        self.is_silent
    }

    /// Measures a block as it is encoded. Only what it takes to leave the result is done under `meters`' lock, which
    /// `leave` takes.
    pub(super) fn measure(&mut self, block: &Block, settings: &mix::Silence, mut levels: BlockLevels) -> Measured {
        // Samples are finite, and a block of them has as many left as right: it has nothing to refuse.
        let _ = self.loudness.add_frames_f32(block.as_flattened());
        block.iter().for_each(|&pair| levels.whole.note(pair));
        for (channel, peak) in levels.true_peak.iter_mut().enumerate() {
            *peak = self.loudness.prev_true_peak(channel as u32).unwrap_or_default() as f32;
        }
        if self.blocks.is_multiple_of(LOUDNESS_EACH) {
            self.shown = self.worked_out();
        }
        self.blocks += 1;
        self.listen(levels.whole.peak, settings);
        Measured { levels, loudness: self.shown, is_silent: self.is_silent }
    }

    fn listen(&mut self, peak: [f32; CHANNELS], settings: &mix::Silence) {
        let is_quiet = f64::from(peak[0].max(peak[1])) <= fader::amplitude(settings.threshold_dbfs);
        self.silent_samples = if is_quiet { self.silent_samples.saturating_add(BLOCK_SAMPLES as u64) } else { 0 };
        self.is_silent = fader::ms_of(self.silent_samples) >= settings.duration_ms;
    }

    fn worked_out(&self) -> Loudness {
        let shown = |lufs: Result<f64, ebur128::Error>| lufs.map_or(SILENT_DB, |lufs| lufs.max(SILENT_DB));
        let peak = |channel| self.loudness.true_peak(channel).unwrap_or_default();
        Loudness {
            momentary_lufs: shown(self.loudness.loudness_momentary()),
            short_term_lufs: shown(self.loudness.loudness_shortterm()),
            integrated_lufs: shown(self.loudness.loudness_global()),
            range_lu: self.loudness.loudness_range().unwrap_or_default(),
            true_peak_dbtp: fader::decibels(peak(0).max(peak(1))),
        }
    }
}

/// A block's measures, to be left for whoever looks.
#[derive(Debug)]
pub struct Measured {
    levels: BlockLevels,
    loudness: Loudness,
    is_silent: bool,
}

impl Measured {
    /// What R 128 says now.
    pub fn loudness(&self) -> &Loudness {
        &self.loudness
    }

    /// Peaks of left and right.
    pub fn peak_dbfs(&self) -> [f64; CHANNELS] {
        self.levels.whole.levels().peak_dbfs
    }

    /// Whether the limiter worked.
    pub fn is_limited(&self) -> bool {
        self.levels.gain < 1.0
    }

    /// Leaves them.
    pub fn leave(self, meters: &mut Meters) {
        meters.push(self.levels, self.loudness, self.is_silent);
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{SILENT_BLOCK, Source, source::Tone},
        *,
    };

    const SILENCE: mix::Silence = mix::Silence { threshold_dbfs: -60.0, duration_ms: 1000.0 };

    /// What the meters show after so many seconds of a 1 kHz sine, left and right, with these peaks.
    fn after(gauge: &mut Gauge, parts: &[(f64, f64)]) -> Meters {
        let mut meters = Meters::default();
        let mut number = 0;
        for &(level_dbfs, seconds) in parts {
            let mut tone = Tone { frequency_hz: 1000, level_dbfs };
            for _ in 0..(seconds * 48_000.0 / BLOCK_SAMPLES as f64).round() as u64 {
                let mut block = SILENT_BLOCK;
                tone.mix(number * BLOCK_SAMPLES as u64, &mut block);
                let levels = BlockLevels { gain: 1.0, ..BlockLevels::default() };
                gauge.measure(&block, &SILENCE, levels).leave(&mut meters);
                number += 1;
            }
        }
        meters
    }

    /// EBU Tech 3341, cases 1 and 2: a stereo sine of 1 kHz with peaks of -23 and -33 dBFS for 20 s.
    #[test]
    fn a_steady_sine_reads_as_loud_as_its_peak() {
        for level in [-23.0, -33.0] {
            let shown = after(&mut Gauge::default(), &[(level, 20.0)]).last_second();
            let Loudness { momentary_lufs, short_term_lufs, integrated_lufs, range_lu, true_peak_dbtp } =
                shown.loudness;
            for lufs in [momentary_lufs, short_term_lufs, integrated_lufs] {
                assert!((lufs - level).abs() <= 0.1, "{lufs} instead of {level}");
            }
            assert!(range_lu < 0.1 && (true_peak_dbtp - level).abs() < 0.2, "{range_lu} {true_peak_dbtp}");
            let Levels { peak_dbfs, rms_dbfs } = shown.levels;
            assert!((peak_dbfs[0] - level).abs() < 0.05 && (rms_dbfs[1] - level + 3.01).abs() < 0.05);
        }
    }

    /// EBU Tech 3341, case 3: what is 13 dB below the rest is gated, and Tech 3342, case 1: the range of two levels.
    #[test]
    fn soft_parts_are_gated_and_make_the_range() {
        let gated = after(&mut Gauge::default(), &[(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)]).last_second();
        assert!((gated.loudness.integrated_lufs + 23.0).abs() <= 0.1, "{}", gated.loudness.integrated_lufs);
        let range = after(&mut Gauge::default(), &[(-20.0, 20.0), (-30.0, 20.0)]).last_second();
        assert!((range.loudness.range_lu - 10.0).abs() <= 1.0, "{}", range.loudness.range_lu);
    }

    #[test]
    fn nothing_is_silence_and_a_reset_forgets() {
        let mut gauge = Gauge::default();
        assert_eq!(after(&mut gauge, &[(-100.0, 1.0)]).last_second().loudness, Loudness::NONE);
        after(&mut gauge, &[(-10.0, 2.0)]);
        gauge.reset();
        let shown = after(&mut gauge, &[(-30.0, 4.0)]).last_second().loudness;
        assert!((shown.integrated_lufs + 30.0).abs() < 0.2 && shown.true_peak_dbtp < -29.0, "{shown:?}");
    }

    #[test]
    fn silence_is_what_lasts() {
        let mut gauge = Gauge::default();
        for (level, seconds, is_silent) in
            [(-20.0, 1.0, false), (-61.0, 0.9, false), (-20.0, 0.1, false), (-61.0, 1.1, true), (-59.0, 0.1, false)]
        {
            assert_eq!(
                after(&mut gauge, &[(level, seconds)]).last_second().is_silent,
                is_silent,
                "{level} for {seconds}"
            );
            assert_eq!(gauge.is_silent(), is_silent);
        }
    }

    #[test]
    fn no_peak_is_missed_between_two_looks() {
        let id = |name: &str| Id::new(name).unwrap();
        let mut meters = Meters::default();
        let push = |meters: &mut Meters, peak: f32, sources: &[(&str, f32)]| {
            let mut levels = BlockLevels { gain: peak, ..BlockLevels::default() };
            levels.whole.peak = [peak, 0.0];
            for (slot, (name, peak)) in levels.sources.iter_mut().zip(sources) {
                let levels = Stereo { peak: [*peak; 2], square: [peak * peak; 2] };
                *slot = Some(SourceLevels { id: id(name), levels, problem: None, is_over: false });
            }
            Measured { levels, loudness: Loudness::NONE, is_silent: false }.leave(meters);
        };
        let (_, seen) = meters.since(0);
        push(&mut meters, 1.0, &[("a", 0.1), ("b", 1.0)]);
        push(&mut meters, 0.1, &[("b", 0.1)]);
        let (shown, now) = meters.since(seen);
        assert_eq!((shown.levels.peak_dbfs[0], now), (0.0, 2), "the higher of the two");
        assert!((shown.limiter_reduction_db - 20.0).abs() < 1e-6);
        let [SourceReading { id: b, levels, problem: None, is_over: false }] = &shown.sources[..] else {
            panic!("{shown:?}")
        };
        assert_eq!((b.as_str(), levels.peak_dbfs[0]), ("b", 0.0), "a is gone");
        assert!((levels.rms_dbfs[0] - 10.0 * 0.505f64.log10()).abs() < 1e-4, "the mean of both");
        assert!((meters.since(now).0.levels.peak_dbfs[0] + 20.0).abs() < 1e-6, "at least the newest");
        for _ in 0..200 {
            push(&mut meters, 0.1, &[]);
        }
        assert!((meters.since(now).0.levels.peak_dbfs[0] + 20.0).abs() < 1e-6, "a slow one gets what is kept");
    }
}
