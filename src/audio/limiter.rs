//! A true-peak limiter: what comes out stays below a ceiling, between samples too; below it, it comes out as it went in.
//!
//! ```text
//!  peak between samples (4x) ─► gain that brings it to the ceiling ─► lowest of the next HOLD samples
//!      ─► let go slowly ─► mean of ATTACK samples ─► times the sample of DELAY samples ago
//! ```
//!
//! The lowest gain is known [`DELAY_SAMPLES`] ahead and held on both sides of the peak for as long as the interpolation
//! reaches; the mean makes a straight ramp of its step, so the gain is at its lowest when the peak comes, without a click,
//! and stands still around it. Both channels share it, so that nothing wanders in the stereo picture.
//!
//! Peaks are those of ITU-R BS.1770-5, annex 2: four times as many samples, by a filter of 48 taps. Where the loudest
//! sample near by could not reach the ceiling even through that filter, nothing is interpolated; when nothing has been
//! limited for as long as is looked ahead, either, a block costs a copy.

use std::f64::consts::PI;

use super::{BLOCK_SAMPLES, Block, CHANNELS, mix};

/// From a sample's going in to its coming out.
pub(super) const DELAY_SAMPLES: usize = ATTACK + 2 * REACH - 1;
/// Samples, 5 ms, in which the gain goes down before a peak.
const ATTACK: usize = 240;
/// Samples on each side of a peak that the interpolation looks at.
const REACH: usize = TAPS / 2;
/// Samples over which the lowest gain is held.
const HOLD: usize = ATTACK + 2 * REACH;
/// Taps of each phase of the interpolation.
const TAPS: usize = 12;
/// Values between one sample and the next, that sample included.
const PHASES: usize = 4;
/// How near the gain must come to 1 to be it, as it lets go.
const SLACK: f64 = 1e-5;

/// Holds the samples on their way and the gains ahead of them.
#[derive(Debug)]
pub(super) struct Limiter {
    filter: Interpolation,
    /// What went in last, the oldest first.
    held: Box<[[f32; CHANNELS]; DELAY_SAMPLES]>,
    lowest: Lowest,
    /// The gain as it lets go; in steps that are too small for 24 bits.
    released: f64,
    mean: Mean,
    /// The loudest sample of the block before.
    last_peak: f32,
    /// The lowest gain of the block.
    gain: f32,
}

impl Limiter {
    pub(super) fn new() -> Self {
        Self {
            filter: Interpolation::new(),
            held: Box::new([[0.0; CHANNELS]; DELAY_SAMPLES]),
            lowest: Lowest::default(),
            released: 1.0,
            mean: Mean::default(),
            last_peak: 0.0,
            gain: 1.0,
        }
    }

    /// Forgets what it holds.
    pub(super) fn reset(&mut self) {
        self.filter.history = [[0.0; CHANNELS]; TAPS];
        self.held.fill([0.0; CHANNELS]);
        self.lowest = Lowest::default();
        self.released = 1.0;
        self.mean = Mean::default();
        (self.last_peak, self.gain) = (0.0, 1.0);
    }

    /// The lowest gain of the last block, as a factor.
    pub(super) fn gain(&self) -> f32 {
        self.gain
    }

    /// Takes a block and gives the one of [`DELAY_SAMPLES`] before in its place.
    pub(super) fn process(&mut self, settings: &mix::Limiter, block: &mut Block) {
        let ceiling = if settings.enabled { 10f32.powf(settings.ceiling_dbtp as f32 / 20.0) } else { f32::MAX };
        let peak = block.as_flattened().iter().fold(0.0, |peak: f32, sample| peak.max(sample.abs()));
        let reachable = peak.max(self.last_peak) * self.filter.boost;
        self.last_peak = peak;
        self.gain = 1.0;
        let is_idle = self.released == 1.0 && self.mean.is_one();
        if is_idle && reachable <= ceiling {
            return self.pass(block);
        }
        // The gain comes back by what is left of e after so long.
        let release = 1.0 - (-1.0 / (settings.release_ms * 48.0)).exp();
        for (index, place) in block.iter_mut().enumerate() {
            let pair = *place;
            let needed = if reachable <= ceiling {
                self.filter.skip(pair);
                1.0
            } else {
                (ceiling / self.filter.peak(pair)).min(1.0)
            };
            let gain = self.next_gain(needed, release);
            self.gain = self.gain.min(gain);
            let held = &mut self.held[index % DELAY_SAMPLES];
            *place = held.map(|sample| sample * gain);
            *held = pair;
        }
        // The ring begins with the oldest again.
        self.held.rotate_left(BLOCK_SAMPLES % DELAY_SAMPLES);
    }

    /// The gain of the sample that comes out when `needed` is that of the newest peak.
    fn next_gain(&mut self, needed: f32, release: f64) -> f32 {
        let lowest = f64::from(self.lowest.push(needed));
        self.released =
            if lowest <= self.released + SLACK { lowest } else { self.released + (lowest - self.released) * release };
        self.mean.push(self.released as f32)
    }

    /// Gives what is held and holds the block's end.
    fn pass(&mut self, block: &mut Block) {
        let mut last = [[0.0; CHANNELS]; TAPS];
        last.copy_from_slice(&block[BLOCK_SAMPLES - TAPS..]);
        self.filter.history = last;
        self.lowest = Lowest::default();
        block.rotate_right(DELAY_SAMPLES);
        self.held.swap_with_slice(&mut block[..DELAY_SAMPLES]);
    }
}

/// Four values for each sample, by a windowed sinc.
#[derive(Debug)]
struct Interpolation {
    /// `phases[p][k]` weighs the sample of `k` before, for the value `REACH - p / 4` samples before the newest.
    phases: [[f32; TAPS]; PHASES],
    /// By how much a value can exceed the loudest sample.
    boost: f32,
    /// The last samples, the oldest first.
    history: [[f32; CHANNELS]; TAPS],
}

impl Interpolation {
    fn new() -> Self {
        let weight = |phase: usize, tap: usize| {
            let len = (TAPS * PHASES) as f64;
            let place = (tap * PHASES + phase) as f64;
            let window = 0.5 - 0.5 * (2.0 * PI * place / len).cos();
            let x = (place - len / 2.0) * PI / PHASES as f64;
            window * if x == 0.0 { 1.0 } else { x.sin() / x }
        };
        let phases = std::array::from_fn(|phase| std::array::from_fn(|tap| weight(phase, tap) as f32));
        let sums = phases.iter().map(|phase: &[f32; TAPS]| phase.iter().map(|weight| weight.abs()).sum());
        Self { phases, boost: sums.fold(1.0, f32::max), history: [[0.0; CHANNELS]; TAPS] }
    }

    fn skip(&mut self, pair: [f32; CHANNELS]) {
        self.history.copy_within(1.., 0);
        self.history[TAPS - 1] = pair;
    }

    /// The loudest value, of both channels, from [`REACH`] samples before the newest to the one after.
    fn peak(&mut self, pair: [f32; CHANNELS]) -> f32 {
        self.skip(pair);
        let mut peak = 0.0f32;
        for phase in &self.phases {
            let mut value = [0.0; CHANNELS];
            for (weight, pair) in phase.iter().zip(self.history.iter().rev()) {
                value[0] += weight * pair[0];
                value[1] += weight * pair[1];
            }
            peak = peak.max(value[0].abs()).max(value[1].abs());
        }
        peak
    }
}

/// The lowest of the last [`HOLD`] values: those that may still be it, rising, in a ring.
#[derive(Debug)]
struct Lowest {
    ring: [(u64, f32); Lowest::LEN],
    first: u64,
    end: u64,
    now: u64,
}

impl Default for Lowest {
    fn default() -> Self {
        Self { ring: [(0, 1.0); Self::LEN], first: 0, end: 0, now: 0 }
    }
}

impl Lowest {
    /// Room for one more than are held, as a power of two.
    const LEN: usize = (HOLD + 1).next_power_of_two();

    fn at(&mut self, index: u64) -> &mut (u64, f32) {
        &mut self.ring[index as usize % Self::LEN]
    }

    fn push(&mut self, value: f32) -> f32 {
        self.now += 1;
        while self.first < self.end && self.at(self.end - 1).1 >= value {
            self.end -= 1;
        }
        *self.at(self.end) = (self.now, value);
        self.end += 1;
        while self.at(self.first).0 + HOLD as u64 <= self.now {
            self.first += 1;
        }
        self.at(self.first).1
    }
}

/// The mean of the last [`ATTACK`] values.
#[derive(Debug)]
struct Mean {
    ring: [f32; ATTACK],
    next: usize,
    /// Exact: gains have 24 bits, and so few of them leave room in 53.
    sum: f64,
}

impl Default for Mean {
    fn default() -> Self {
        Self { ring: [1.0; ATTACK], next: 0, sum: ATTACK as f64 }
    }
}

impl Mean {
    fn is_one(&self) -> bool {
        self.sum == ATTACK as f64
    }

    fn push(&mut self, value: f32) -> f32 {
        self.sum += f64::from(value) - f64::from(std::mem::replace(&mut self.ring[self.next], value));
        self.next = (self.next + 1) % ATTACK;
        (self.sum / ATTACK as f64) as f32
    }
}

const _: () = assert!(DELAY_SAMPLES < BLOCK_SAMPLES, "what is looked ahead is within the next block");

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use ebur128::{EbuR128, Mode};

    use super::{super::SILENT_BLOCK, *};

    const SETTINGS: mix::Limiter = mix::Limiter { enabled: true, ceiling_dbtp: -1.0, release_ms: 100.0 };

    /// A sound as a function of the sample's number.
    type Sound = Box<dyn Fn(usize) -> [f32; CHANNELS]>;

    /// What `blocks` blocks of a sound become.
    fn limited(
        settings: &mix::Limiter,
        blocks: usize,
        sound: impl Fn(usize) -> [f32; CHANNELS],
    ) -> Vec<[f32; CHANNELS]> {
        let mut limiter = Limiter::new();
        let mut out = Vec::new();
        for number in 0..blocks {
            let mut block = std::array::from_fn(|index| sound(number * BLOCK_SAMPLES + index));
            limiter.process(settings, &mut block);
            out.extend(block);
        }
        out
    }

    fn true_peak_db(sound: &[[f32; CHANNELS]]) -> f64 {
        let mut meter = EbuR128::new(2, 48_000, Mode::TRUE_PEAK).unwrap();
        meter.add_frames_f32(sound.as_flattened()).unwrap();
        20.0 * meter.true_peak(0).unwrap().max(meter.true_peak(1).unwrap()).log10()
    }

    fn sine(hz: f64, phase: f64, level: f64) -> impl Fn(usize) -> [f32; CHANNELS] {
        move |n| [((n as f64 * hz / 48_000.0 * TAU + phase).sin() * level) as f32; CHANNELS]
    }

    fn noise(seed: u32, level: f32) -> impl Fn(usize) -> [f32; CHANNELS] {
        move |n| {
            let one = |salt: u32| {
                let mut x = (n as u32).wrapping_mul(0x9e37_79b9) ^ seed ^ salt;
                x = (x ^ (x >> 16)).wrapping_mul(0x7feb_352d);
                x = (x ^ (x >> 15)).wrapping_mul(0x846c_a68b);
                ((x ^ (x >> 16)) as f32 / u32::MAX as f32 - 0.5) * 2.0 * level
            };
            [one(1), one(2)]
        }
    }

    #[test]
    fn what_stays_below_the_ceiling_comes_out_as_it_went_in_so_much_later() {
        let sounds: [Sound; 2] = [Box::new(noise(1, 0.45)), Box::new(sine(997.0, 0.0, 0.88))];
        for sound in sounds {
            let out = limited(&SETTINGS, 8, &sound);
            assert!(out[..DELAY_SAMPLES].iter().all(|pair| *pair == [0.0; 2]));
            assert!(out[DELAY_SAMPLES..].iter().enumerate().all(|(n, pair)| *pair == sound(n)), "to the bit");
        }
    }

    #[test]
    fn peaks_between_samples_stay_below_the_ceiling() {
        // Samples at 45 degrees: none is above -3 dB of the sine's peak.
        let quarter = sine(12_000.0, TAU / 8.0, 1.4);
        let raw: Vec<_> = (0..8192).map(&quarter).collect();
        assert!(
            true_peak_db(&raw) > 2.0 && raw.iter().all(|pair| pair[0].abs() < 1.0),
            "no sample clips, the wave does"
        );
        let sounds: [(&str, Sound); 6] = [
            ("a quarter of the rate", Box::new(quarter)),
            ("low", Box::new(sine(50.0, 0.0, 4.0))),
            ("odd", Box::new(sine(9_973.0, 0.3, 2.0))),
            ("noise", Box::new(noise(3, 3.0))),
            ("clicks", Box::new(|n| if n % 700 == 350 { [8.0, -1.0] } else { [0.2, 0.0] })),
            ("bursts", Box::new(|n| if n / 3000 % 2 == 1 { noise(4, 2.0)(n) } else { noise(5, 0.3)(n) })),
        ];
        for (what, sound) in &sounds {
            for ceiling_dbtp in [-1.0, -9.0] {
                let out = limited(&mix::Limiter { ceiling_dbtp, ..SETTINGS }, 24, sound);
                let peak = true_peak_db(&out);
                assert!(peak <= ceiling_dbtp + 0.1, "{what}: {peak:.3} dBTP above {ceiling_dbtp}");
                assert!(peak >= ceiling_dbtp - 1.0, "{what}: {peak:.3} dBTP is more than needed");
            }
        }
    }

    #[test]
    fn the_gain_moves_without_a_click_and_comes_back() {
        // A loud second within a soft one: a steady value shows the gain itself.
        let steady = |n: usize| if (10_000..20_000).contains(&n) { [2.0; 2] } else { [0.5; 2] };
        let out = limited(&SETTINGS, 80, steady);
        let gains: Vec<_> = (0..out.len() - DELAY_SAMPLES).map(|n| out[n + DELAY_SAMPLES][0] / steady(n)[0]).collect();
        let step = gains.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
        assert!(step < 1.0 / ATTACK as f32, "{step} in one sample");
        assert_eq!(gains[9_000], 1.0);
        // Of a steady value the filter makes 3 % more, and so do meters that go by the same annex.
        assert!((gains[15_000] * 2.0 * 1.033 - 0.891).abs() < 0.005, "{}", gains[15_000]);
        assert!(gains[20_000 + 4_800] > 0.7, "let go after 100 ms: {}", gains[24_800]);
        assert_eq!(gains[78_000], 1.0, "and it is transparent again");
    }

    #[test]
    fn both_channels_share_the_gain() {
        let out = limited(&SETTINGS, 8, |_| [2.0, 0.2]);
        let [left, right] = out[4000];
        assert!((left / right - 10.0).abs() < 1e-3, "{left} {right}");
    }

    #[test]
    fn switched_off_it_delays_alone() {
        let loud = sine(997.0, 0.0, 3.0);
        let out = limited(&mix::Limiter { enabled: false, ..SETTINGS }, 6, &loud);
        assert!(out[DELAY_SAMPLES..].iter().enumerate().all(|(n, pair)| *pair == loud(n)));
    }

    #[test]
    fn after_a_reset_nothing_of_before_is_left() {
        let mut limiter = Limiter::new();
        limiter.process(&SETTINGS, &mut [[9.0; 2]; BLOCK_SAMPLES]);
        limiter.reset();
        let mut block = SILENT_BLOCK;
        limiter.process(&SETTINGS, &mut block);
        assert_eq!((block == SILENT_BLOCK, limiter.gain()), (true, 1.0));
    }
}
