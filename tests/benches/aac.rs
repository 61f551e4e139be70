//! How the AAC encoders of this build sound, in figures, beside FFmpeg's own. Run by `make bench`; with
//! `--features fdk-aac` Fraunhofer's is among them.
//!
//! Ten seconds each of something like speech, like music, and of castanets, made by formulas; encoded, decoded by FFmpeg,
//! laid upon the original to the sample, and compared:
//!
//! ```text
//! SNR    mean over stretches of 20 ms of signal to error, in dB; of little use to ears, but it finds what is broken
//! NMR    mean over stretches of 43 ms of the error to what its Bark band masks, in dB: below 0 nobody should hear it
//! heard  share of bands and stretches in which the error exceeds what is masked
//! LSD    difference of the logarithmic spectra, 100 Hz to 16 kHz, in dB
//! echo   error in the 10 ms before an attack to the attack itself, in dB
//! ```
//!
//! The model of masking is a simple one (spreading of 10 dB a Bark downwards in level upwards in frequency, 25 the other way,
//! 16 dB below the masker, and a threshold of hearing), the same for all; it ranks, and does not replace ears.

mod cpu;

use std::{
    f64::consts::TAU,
    fs,
    io::Write,
    path::Path,
    process::{Command, Stdio},
};

use stream_manager::{
    aac::Adts,
    audio::{AAC_CANDIDATES, BLOCK_SAMPLES, Encoder, SAMPLE_RATE},
};

const SECONDS: usize = 10;
const LEN: usize = SECONDS * SAMPLE_RATE as usize / BLOCK_SAMPLES * BLOCK_SAMPLES;
/// Samples of a stretch whose spectrum is looked at.
const WINDOW: usize = 2048;

type Sound = Vec<[f32; 2]>;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    say("material   kbit/s  encoder   SNR     NMR   heard     LSD    echo  to kHz  kbit/s  worst second  CPU ms/s"
        .into());
    for (name, sound) in [("speech", speech()), ("music", music()), ("castanets", castanets())] {
        for bitrate_kbps in [64, 96, 128, 192] {
            for candidate in AAC_CANDIDATES {
                let (coded, cpu_ms) = by_us(directory.path(), candidate, bitrate_kbps, &sound);
                row(name, bitrate_kbps, candidate.name, &sound, &coded, cpu_ms);
            }
            let (coded, cpu_ms) = by_ffmpeg(directory.path(), bitrate_kbps, &sound);
            row(name, bitrate_kbps, "ffmpeg", &sound, &coded, cpu_ms);
        }
    }
}

fn say(line: String) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

/// What an encoder made of a sound.
struct Coded {
    /// Decoded, from the original's first sample on.
    sound: Sound,
    frames: Vec<usize>,
}

fn row(name: &str, bitrate_kbps: u32, encoder: &str, original: &Sound, coded: &Coded, cpu_ms: f64) {
    // Neither the fading in of the first frame nor what stays in the encoder at the end.
    let span = 4 * BLOCK_SAMPLES..original.len().min(coded.sound.len()) - 4 * BLOCK_SAMPLES;
    let (original, decoded) = (&original[span.clone()], &coded.sound[span]);
    let figures = Figures::of(original, decoded);
    let rate = |frames: &[usize]| {
        frames.iter().sum::<usize>() as f64 * 8.0 * f64::from(SAMPLE_RATE) / (frames.len() * BLOCK_SAMPLES) as f64 / 1e3
    };
    let worst = coded.frames.windows(47).map(rate).fold(0.0, f64::max);
    let echo = if name == "castanets" { format!("{:.1}", echo_db(original, decoded)) } else { "-".into() };
    say(format!(
        "{name:<10} {bitrate_kbps:>6}  {encoder:<7} {:>5.1}  {:>6.1}  {:>4.1} %  {:>6.1}  {echo:>6}  {:>6.1}  {:>6.1}  {worst:>12.1}  {:>8.2}",
        figures.snr_db,
        figures.nmr_db,
        figures.heard * 100.0,
        figures.lsd_db,
        figures.bandwidth_khz,
        rate(&coded.frames),
        cpu_ms / SECONDS as f64,
    ));
}

fn by_us(
    directory: &Path,
    candidate: &stream_manager::audio::AacCandidate,
    bitrate_kbps: u32,
    sound: &Sound,
) -> (Coded, f64) {
    let mut frames = Vec::new();
    let mut adts = Vec::new();
    let mut first = None;
    let before = cpu_ms();
    let mut encoder = Encoder::open_with(candidate, bitrate_kbps).unwrap();
    for (number, block) in sound.chunks_exact(BLOCK_SAMPLES).enumerate() {
        let block = block.try_into().unwrap();
        if let Some(frame) = encoder.encode((number * BLOCK_SAMPLES) as u64, block).unwrap() {
            first.get_or_insert(frame.first_sample as usize);
            frames.push(frame.data.len());
            adts.extend(Adts::header(encoder.config(), frame.data.len()).unwrap());
            adts.extend(&frame.data[..]);
        }
    }
    let taken = cpu_ms() - before;
    let file = directory.join("ours.aac");
    fs::write(&file, adts).unwrap();
    let mut decoded = vec![[0.0; 2]; first.unwrap_or(0)];
    decoded.extend(decode(&file));
    (Coded { sound: decoded, frames }, taken)
}

fn by_ffmpeg(directory: &Path, bitrate_kbps: u32, sound: &Sound) -> (Coded, f64) {
    let file = directory.join("theirs.aac");
    let before = cpu_ms();
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-f", "f32le", "-ar", "48000", "-ac", "2", "-i", "pipe:0", "-c:a", "aac"]);
    command.args(["-b:a", &format!("{bitrate_kbps}k"), "-f", "adts"]).arg(&file).stdin(Stdio::piped());
    let mut child = command.spawn().expect("apt-get install ffmpeg");
    let bytes: Vec<u8> = sound.as_flattened().iter().flat_map(|sample| sample.to_le_bytes()).collect();
    child.stdin.take().unwrap().write_all(&bytes).unwrap();
    assert!(child.wait().unwrap().success());
    let taken = cpu_ms() - before;
    let bytes = fs::read(&file).unwrap();
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while let Ok(header) = Adts::parse(rest) {
        frames.push(header.frame_len);
        rest = &rest[header.frame_len.min(rest.len())..];
    }
    // Its first frame is heard 1024 samples before the first that went in.
    (Coded { sound: decode(&file).split_off(BLOCK_SAMPLES), frames }, taken)
}

fn decode(file: &Path) -> Sound {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(file)
        .args(["-f", "f32le", "-c:a", "pcm_f32le", "pipe:1"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let (samples, _) = output.stdout.as_chunks::<4>();
    samples.chunks_exact(2).map(|pair| [f32::from_le_bytes(pair[0]), f32::from_le_bytes(pair[1])]).collect()
}

fn cpu_ms() -> f64 {
    cpu::taken_ms("self").iter().sum()
}

// What is heard.

struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1 << 23) - 1.0
    }
}

fn seconds(n: usize) -> f64 {
    n as f64 / f64::from(SAMPLE_RATE)
}

/// A voice that glides: pulses of the vocal folds through three formants that move from vowel to vowel, with hisses
/// between the syllables, a little to the left.
fn speech() -> Sound {
    const VOWELS: [[f64; 3]; 4] =
        [[730.0, 1090.0, 2440.0], [270.0, 2290.0, 3010.0], [300.0, 870.0, 2240.0], [530.0, 1840.0, 2480.0]];
    let (mut noise, mut phase) = (Noise(1), 0.0);
    let mut filters = [[0.0f64; 2]; 3];
    let (mut hiss_last, mut hiss) = (0.0, [0.0; 2]);
    let sample = |n: usize| {
        let t = seconds(n);
        let syllable = t * 4.0;
        let (within, vowel) = (syllable.fract(), VOWELS[syllable as usize % VOWELS.len()]);
        let pitch = 115.0 + 18.0 * (t * 1.3 * TAU).sin() + 3.0 * (t * 5.5 * TAU).sin();
        phase = (phase + pitch / f64::from(SAMPLE_RATE)).fract();
        let voiced = if within < 0.7 { (within / 0.7 * TAU / 2.0).sin() } else { 0.0 };
        let breath = noise.next();
        let pulse = (if phase < 0.1 { (phase / 0.1 * TAU / 2.0).sin() } else { 0.0 }) - 0.064 + 0.02 * breath;
        let mut sound = 0.0;
        for (filter, hz) in filters.iter_mut().zip(vowel) {
            let (radius, angle) = (0.994, hz / f64::from(SAMPLE_RATE) * TAU);
            let out = pulse + 2.0 * radius * angle.cos() * filter[0] - radius * radius * filter[1];
            *filter = [out, filter[0]];
            sound += out * 0.02;
        }
        // Between some 2 and 8 kHz.
        let edge = breath - hiss_last;
        hiss_last = breath;
        hiss[0] += 0.5 * (edge - hiss[0]);
        hiss[1] += 0.5 * (hiss[0] - hiss[1]);
        let hissed = if within > 0.78 { ((within - 0.78) / 0.22 * TAU / 2.0).sin() * 0.15 } else { 0.0 };
        let sound = sound * voiced * 0.5 + hiss[1] * hissed;
        [(sound * 0.9) as f32, (sound * 0.7) as f32]
    };
    (0..LEN).map(sample).collect()
}

/// Chords of many partials that die away, spread from left to right, over a bed of noise.
fn music() -> Sound {
    const CHORDS: [[f64; 4]; 4] = [
        [130.81, 261.63, 329.63, 392.0],
        [110.0, 220.0, 261.63, 329.63],
        [87.31, 174.61, 261.63, 349.23],
        [98.0, 196.0, 246.94, 392.0],
    ];
    let mut noise = Noise(2);
    let mut soft = [0.0; 2];
    let sample = |n: usize| {
        let t = seconds(n);
        let chord = CHORDS[(t / 1.25) as usize % CHORDS.len()];
        let within = t % 1.25;
        let mut pair = [0.0; 2];
        for (voice, hz) in chord.into_iter().enumerate() {
            for partial in 1..=24 {
                let hz = hz * f64::from(partial) * (1.0 + 0.0002 * f64::from(partial * partial)).sqrt();
                if hz > 18_000.0 {
                    break;
                }
                let decay = (-within * (1.5 + 0.35 * f64::from(partial))).exp();
                let attack = (within / 0.008).min(1.0);
                let value = (t * hz * TAU + f64::from(partial)).sin() * decay * attack / f64::from(partial);
                let side = 0.25 + 0.5 * voice as f64 / 3.0;
                pair[0] += value * (1.0 - side);
                pair[1] += value * side;
            }
        }
        for (sound, soft) in pair.iter_mut().zip(&mut soft) {
            *soft = 0.7 * *soft + 0.3 * noise.next();
            *sound = *sound * 0.2 + *soft * 0.015;
        }
        pair.map(|sound| sound as f32)
    };
    (0..LEN).map(sample).collect()
}

/// Samples from attack to attack.
const CLICK: usize = 11_111;

/// Short bursts of noise that ring at 2.2 kHz, on silence.
fn castanets() -> Sound {
    let mut noise = Noise(3);
    let sample = |n: usize| {
        let t = seconds(n % CLICK);
        let burst = noise.next() * (-t * 300.0).exp() + (t * 2200.0 * TAU).sin() * (-t * 90.0).exp() * 0.6;
        let side = if (n / CLICK).is_multiple_of(2) { [0.6, 0.4] } else { [0.4, 0.6] };
        side.map(|side| (burst * side) as f32)
    };
    (0..LEN).map(sample).collect()
}

// How it is compared.

struct Figures {
    snr_db: f64,
    nmr_db: f64,
    heard: f64,
    lsd_db: f64,
    bandwidth_khz: f64,
}

fn db(power: f64) -> f64 {
    10.0 * power.max(1e-20).log10()
}

fn power(sound: impl Iterator<Item = [f32; 2]>) -> f64 {
    sound.map(|[l, r]| f64::from(l).powi(2) + f64::from(r).powi(2)).sum()
}

fn difference<'a>(a: &'a [[f32; 2]], b: &'a [[f32; 2]]) -> impl Iterator<Item = [f32; 2]> + 'a {
    a.iter().zip(b).map(|(a, b)| [a[0] - b[0], a[1] - b[1]])
}

impl Figures {
    fn of(original: &[[f32; 2]], decoded: &[[f32; 2]]) -> Self {
        let (mut nmr, mut heard, mut bands, mut lsd, mut windows) = (0.0, 0.0, 0.0, 0.0, 0.0);
        let mut spectra = [vec![0.0; WINDOW / 2], vec![0.0; WINDOW / 2]];
        for (original, decoded) in original.chunks_exact(WINDOW).zip(decoded.chunks_exact(WINDOW)) {
            if db(power(original.iter().copied()) / WINDOW as f64) < -60.0 {
                continue;
            }
            for side in 0..2 {
                let of = |sound: &[[f32; 2]]| spectrum(sound.iter().map(|pair| f64::from(pair[side])));
                let (a, b) = (of(original), of(decoded));
                let error = spectrum(difference(original, decoded).map(|pair| f64::from(pair[side])));
                let masks = masked(&bark(&a));
                let ratios: Vec<f64> = bark(&error).iter().zip(&masks).map(|(error, mask)| error / mask).collect();
                nmr += db(ratios.iter().sum::<f64>() / ratios.len() as f64);
                heard += ratios.iter().filter(|&&ratio| ratio > 1.0).count() as f64;
                bands += ratios.len() as f64;
                let range = bin(100.0)..bin(16_000.0);
                let squares = range.clone().map(|k| (db(a[k] + 1e-9) - db(b[k] + 1e-9)).powi(2)).sum::<f64>();
                lsd += (squares / range.len() as f64).sqrt();
                windows += 1.0;
                for (sum, bins) in spectra.iter_mut().zip([&a, &b]) {
                    sum.iter_mut().zip(bins).for_each(|(sum, bin)| *sum += bin);
                }
            }
        }
        Self {
            snr_db: segmental_snr(original, decoded),
            nmr_db: nmr / windows,
            heard: heard / bands,
            lsd_db: lsd / windows,
            bandwidth_khz: bandwidth_khz(&spectra),
        }
    }
}

fn segmental_snr(original: &[[f32; 2]], decoded: &[[f32; 2]]) -> f64 {
    let stretches = original.chunks_exact(960).zip(decoded.chunks_exact(960));
    let ratios: Vec<f64> = stretches
        .filter(|(original, _)| db(power(original.iter().copied()) / 960.0) > -60.0)
        .map(|(original, decoded)| {
            (db(power(original.iter().copied())) - db(power(difference(original, decoded)))).clamp(-10.0, 60.0)
        })
        .collect();
    ratios.iter().sum::<f64>() / ratios.len() as f64
}

/// The frequency up to which half of the power of each kilohertz is kept.
fn bandwidth_khz([original, decoded]: &[Vec<f64>; 2]) -> f64 {
    let of = |bins: &[f64], khz: f64| bins[bin(khz * 1e3)..bin(khz * 1e3 + 500.0)].iter().sum::<f64>();
    let steps = (2..44).map(|half| f64::from(half) / 2.0);
    let kept = steps.take_while(|&khz| of(decoded, khz) > 0.5 * of(original, khz) || of(original, khz) < 1e-6);
    kept.last().map_or(0.0, |khz| khz + 0.5)
}

fn echo_db(original: &[[f32; 2]], decoded: &[[f32; 2]]) -> f64 {
    // What is compared begins four blocks into the sound.
    let attacks = (1..).map(|n| n * CLICK - 4 * BLOCK_SAMPLES).take_while(|&at| at + 480 < original.len());
    let echoes: Vec<f64> = attacks
        .map(|at| {
            let before = power(difference(&original[at - 480..at], &decoded[at - 480..at]));
            db(before) - db(power(original[at..at + 480].iter().copied()))
        })
        .collect();
    echoes.iter().sum::<f64>() / echoes.len() as f64
}

fn bin(hz: f64) -> usize {
    (hz * WINDOW as f64 / f64::from(SAMPLE_RATE)).round() as usize
}

/// Powers of the 25 Bark bands.
fn bark(bins: &[f64]) -> [f64; 25] {
    let mut bands = [0.0; 25];
    for (k, power) in bins.iter().enumerate().skip(1) {
        let khz = k as f64 * f64::from(SAMPLE_RATE) / WINDOW as f64 / 1e3;
        let bark = 13.0 * (0.76 * khz).atan() + 3.5 * (khz / 7.5).powi(2).atan();
        bands[(bark as usize).min(24)] += power;
    }
    bands
}

/// What each band masks.
fn masked(bands: &[f64; 25]) -> [f64; 25] {
    /// Upper edges of the bands, in kHz (Zwicker).
    const EDGES: [f64; 25] = [
        0.1, 0.2, 0.3, 0.4, 0.51, 0.63, 0.77, 0.92, 1.08, 1.27, 1.48, 1.72, 2.0, 2.32, 2.7, 3.15, 3.7, 4.4, 5.3, 6.4,
        7.7, 9.5, 12.0, 15.5, 20.0,
    ];
    // The threshold of hearing after Terhardt, with full scale at 96 dB of sound pressure.
    let hearing = |khz: f64| {
        let level = 3.64 * khz.powf(-0.8) - 6.5 * (-0.6 * (khz - 3.3).powi(2)).exp() + 1e-3 * khz.powi(4);
        10f64.powf((level - 96.0) / 10.0)
    };
    let spread = |from: usize, to: usize| {
        let slope = if to > from { -1.0 } else { -2.5 };
        10f64.powf(slope * from.abs_diff(to) as f64 - 1.6)
    };
    std::array::from_fn(|to| (0..25).map(|from| bands[from] * spread(from, to)).sum::<f64>() + hearing(EDGES[to] * 0.9))
}

/// Powers of the bins up to half the sample rate, behind a Hann window; a sine of full scale has about 1.
fn spectrum(samples: impl Iterator<Item = f64>) -> Vec<f64> {
    let window = |n: usize| 0.5 - 0.5 * (n as f64 / WINDOW as f64 * TAU).cos();
    let mut values: Vec<[f64; 2]> = samples.enumerate().map(|(n, sample)| [sample * window(n), 0.0]).collect();
    transform(&mut values);
    let scale = (4.0 / WINDOW as f64).powi(2);
    values[..WINDOW / 2].iter().map(|[re, im]| (re * re + im * im) * scale).collect()
}

/// The discrete Fourier transform of a power of two of complex values, in place (Cooley and Tukey).
fn transform(values: &mut [[f64; 2]]) {
    let len = values.len();
    let bits = len.trailing_zeros();
    for n in 0..len {
        let m = n.reverse_bits() >> (usize::BITS - bits);
        if n < m {
            values.swap(n, m);
        }
    }
    let mut half = 1;
    while half < len {
        for start in (0..len).step_by(2 * half) {
            for k in 0..half {
                let (sin, cos) = (-(k as f64) / half as f64 * TAU / 2.0).sin_cos();
                let [re, im] = values[start + half + k];
                let turned = [re * cos - im * sin, re * sin + im * cos];
                let even = values[start + k];
                values[start + k] = [even[0] + turned[0], even[1] + turned[1]];
                values[start + half + k] = [even[0] - turned[0], even[1] - turned[1]];
            }
        }
        half *= 2;
    }
}
