//! What the AAC encoder promises, held against two decoders by other people: Symphonia's and FFmpeg's.

use std::{f64::consts::TAU, fs, process::Command};

use symphonia::{
    core::{
        codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_AAC},
        packet::PacketRef,
    },
    default::codecs::AacDecoder,
};

use super::*;
use crate::{
    aac::{Adts, AudioSpecificConfig},
    base::id::Id,
};

const FIRST_SAMPLE: u64 = 5_000_000;

/// The frames that `blocks` blocks of `source` make, from [`FIRST_SAMPLE`] on.
fn frames(source: &mut dyn Source, bitrate_kbps: u32, blocks: u64) -> Vec<AudioFrame> {
    let mut encoder = Encoder::open(bitrate_kbps).unwrap();
    let firsts = (0..blocks).map(|block| FIRST_SAMPLE + block * BLOCK_SAMPLES as u64);
    let frames = firsts.filter_map(|first_sample| {
        let mut block = SILENT_BLOCK;
        source.mix(first_sample, &mut block);
        encoder.encode(first_sample, &block).unwrap()
    });
    frames.collect()
}

/// Left channel as Symphonia decodes it, and the right.
fn by_symphonia(config: AudioSpecificConfig, frames: &[AudioFrame]) -> [Vec<f32>; 2] {
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(CODEC_ID_AAC).with_extra_data(config.to_bytes().into());
    let mut decoder = AacDecoder::try_new(&parameters, &AudioDecoderOptions::default()).unwrap();
    let mut sound = [Vec::new(), Vec::new()];
    for frame in frames {
        let packet = PacketRef::new(0, 0.into(), (BLOCK_SAMPLES as u32).into(), &frame.data);
        let decoded = decoder.decode_ref(&packet).unwrap();
        assert_eq!((decoded.frames(), decoded.num_planes()), (BLOCK_SAMPLES, CHANNELS), "each frame decodes in full");
        assert_eq!(decoded.spec().rate(), SAMPLE_RATE);
        let mut planes = Vec::<Vec<f32>>::new();
        decoded.copy_to_vecs_planar(&mut planes);
        for (sound, plane) in sound.iter_mut().zip(planes) {
            sound.extend(plane);
        }
    }
    sound
}

/// The same by FFmpeg.
fn by_ffmpeg(config: AudioSpecificConfig, frames: &[AudioFrame]) -> [Vec<f32>; 2] {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("sound.aac");
    let adts = |frame: &AudioFrame| [&Adts::header(config, frame.data.len()).unwrap()[..], &frame.data].concat();
    fs::write(&file, frames.iter().flat_map(adts).collect::<Vec<_>>()).unwrap();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-xerror", "-err_detect", "explode", "-f", "aac", "-i", file.to_str().unwrap()])
        .args(["-f", "f32le", "-c:a", "pcm_f32le", "pipe:1"])
        .output()
        .expect("ffmpeg is needed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "ffmpeg: {said}");
    let (samples, _) = output.stdout.as_chunks::<4>();
    let channel = |first| samples.iter().skip(first).step_by(2).map(|&bytes| f32::from_le_bytes(bytes)).collect();
    [channel(0), channel(1)]
}

fn decoded_twice(frames: &[AudioFrame]) -> [[Vec<f32>; 2]; 2] {
    let config = Encoder::open(128).unwrap().config();
    [by_symphonia(config, frames), by_ffmpeg(config, frames)]
}

/// Amplitude of the part of `sound` that is a sine of `hz` in phase with sample `first`, and of all the rest (RMS).
fn sine_and_rest(sound: &[f32], first: u64, hz: f64) -> (f64, f64) {
    let angle = |index: usize| (first + index as u64) as f64 * hz / f64::from(SAMPLE_RATE) * TAU;
    let with_sine: f64 = sound.iter().enumerate().map(|(index, &s)| f64::from(s) * angle(index).sin()).sum();
    let amplitude = with_sine * 2.0 / sound.len() as f64;
    let rest = sound.iter().enumerate().map(|(index, &s)| (f64::from(s) - amplitude * angle(index).sin()).powi(2));
    (amplitude, (rest.sum::<f64>() / sound.len() as f64).sqrt())
}

#[test]
fn a_tone_keeps_frequency_level_and_place_in_time() {
    let peak = 0.25;
    let frames = frames(&mut Tone { frequency_hz: 997, level_dbfs: decibels(peak) }, 128, 100);
    assert_eq!(frames.len(), 98);
    assert_eq!(frames[0].first_sample, FIRST_SAMPLE, "the first block that went in is the first heard");
    assert!(frames.windows(2).all(|pair| pair[1].first_sample == pair[0].first_sample + BLOCK_SAMPLES as u64));
    for [left, right] in decoded_twice(&frames) {
        assert_eq!((left.len(), right.len()), (98 * BLOCK_SAMPLES, 98 * BLOCK_SAMPLES), "duration");
        for channel in [left, right] {
            // The first frame fades in; a whole number of seconds behind it holds whole periods.
            let heard = &channel[BLOCK_SAMPLES..][..2 * SAMPLE_RATE as usize];
            let (amplitude, rest) = sine_and_rest(heard, FIRST_SAMPLE + BLOCK_SAMPLES as u64, 997.0);
            assert!((20.0 * (amplitude / peak).log10()).abs() < 0.1, "amplitude {amplitude}");
            // In phase: one sample of shift alone would leave a rest of 13 % of the amplitude.
            assert!(rest < amplitude / 100.0, "rest {rest}");
        }
    }
}

#[test]
fn silence_is_silent_and_small() {
    let frames = frames(
        &mut *SourceKind::read(serde_json::json!({ "type": "silence" }))
            .unwrap()
            .open(&Id::new("a").unwrap(), &Opener::default()),
        128,
        50,
    );
    for channel in decoded_twice(&frames).into_iter().flatten() {
        assert_eq!(channel.len(), 48 * BLOCK_SAMPLES);
        assert!(channel.iter().all(|&sample| sample == 0.0));
    }
    // Fraunhofer's keeps its bitrate with padding.
    let is_padded = AAC_CANDIDATES[0].name == "fdk-aac";
    assert!(frames.iter().all(|frame| is_padded || (1..64).contains(&frame.data.len())));
}

#[test]
fn channels_keep_their_sides() {
    #[derive(Debug)]
    struct LeftOnly(Tone);
    impl Source for LeftOnly {
        fn mix(&mut self, first_sample: u64, out: &mut Block) {
            self.0.mix(first_sample, out);
            out.iter_mut().for_each(|[_, right]| *right = 0.0);
        }
    }
    let frames = frames(&mut LeftOnly(Tone::ALIGNMENT), 128, 50);
    for [left, right] in decoded_twice(&frames) {
        let peak = |channel: &[f32]| channel[4 * BLOCK_SAMPLES..].iter().fold(0.0, |peak: f32, s| peak.max(s.abs()));
        assert!(peak(&left) > 0.12 && peak(&right) < 0.001, "{} {}", peak(&left), peak(&right));
    }
}

/// Noise fills any bitrate; over two seconds it is met within a twentieth, and no frame exceeds what a decoder holds.
#[test]
fn bitrate_is_met_over_its_whole_range() {
    #[derive(Debug)]
    struct Noise(u32);
    impl Source for Noise {
        fn mix(&mut self, _first_sample: u64, out: &mut Block) {
            for sample in out.as_flattened_mut() {
                self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample += (self.0 >> 8) as f32 / (1 << 24) as f32 - 0.5;
            }
        }
    }
    for bitrate_kbps in [BITRATE_KBPS_MIN, 96, 128, 192, 256, BITRATE_KBPS_MAX] {
        let frames = frames(&mut Noise(1), bitrate_kbps, 96);
        let bits = frames.iter().map(|frame| frame.data.len() * 8).sum::<usize>();
        let rate_kbps = bits as f64 * f64::from(SAMPLE_RATE) / (frames.len() * BLOCK_SAMPLES) as f64 / 1000.0;
        let ratio = rate_kbps / f64::from(bitrate_kbps);
        assert!((0.95..1.05).contains(&ratio), "{rate_kbps:.1} instead of {bitrate_kbps} kbit/s");
        assert!(frames.iter().all(|frame| frame.data.len() <= 6144 * CHANNELS / 8));
        for [left, right] in decoded_twice(&frames) {
            assert_eq!((left.len(), right.len()), (94 * BLOCK_SAMPLES, 94 * BLOCK_SAMPLES));
        }
    }
}

#[test]
fn what_is_out_of_range_is_refused_or_made_audible() {
    for bitrate_kbps in [0, 63, 321, u32::MAX] {
        assert_eq!(Encoder::open(bitrate_kbps).unwrap_err(), Error::Bitrate { bitrate_kbps });
    }
    assert_eq!(Encoder::open(500).unwrap_err().to_string(), "audio bitrate of 500 kbit/s is out of range: 64 to 320");
    let mut encoder = Encoder::open(64).unwrap();
    for (number, sample) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -2.0, 0.0].into_iter().enumerate() {
        encoder.encode((number * BLOCK_SAMPLES) as u64, &[[sample, -sample]; BLOCK_SAMPLES]).unwrap();
    }
}

#[test]
fn a_gap_starts_anew_where_it_ends() {
    let mut encoder = Encoder::open(128).unwrap();
    let block = BLOCK_SAMPLES as u64;
    let mut heard = |first_sample| Some(encoder.encode(first_sample, &SILENT_BLOCK).unwrap()?.first_sample);
    assert_eq!([0, 1, 2, 3].map(|n| heard(n * block)), [None, None, Some(0), Some(block)]);
    assert_eq!([7, 8, 9].map(|n| heard(n * block)), [None, None, Some(7 * block)]);
    assert_eq!(heard(3), None, "backwards is a gap, too");
}

#[test]
fn the_config_is_that_of_lc_at_48_khz_in_stereo() {
    assert_eq!(Encoder::open(128).unwrap().config().to_bytes(), [0x11, 0x90]);
}
