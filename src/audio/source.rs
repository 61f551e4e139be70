//! Where sound comes from.
//!
//! A source adds to a block whatever it has for the samples asked for. Asking twice for the same number gives the same
//! sound, and numbers may be asked for in any order.

use std::{f64::consts::TAU, fmt};

use serde::{Deserialize, Serialize};

use super::{Block, SAMPLE_RATE};

/// Something that sounds.
pub trait Source: Send + fmt::Debug {
    /// Adds the samples `first_sample..first_sample + 1024` of this source to `out`.
    fn mix(&mut self, first_sample: u64, out: &mut Block);
}

/// A source that needs no more than its name: `"silence"` or `"tone"` in documents.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SourceKind {
    /// [`Silence`].
    #[default]
    Silence,
    /// [`Tone::ALIGNMENT`].
    Tone,
}

impl SourceKind {
    /// The source of this name.
    pub fn open(self) -> Box<dyn Source> {
        match self {
            Self::Silence => Box::new(Silence),
            Self::Tone => Box::new(Tone::ALIGNMENT),
        }
    }
}

/// Nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Silence;

impl Source for Silence {
    fn mix(&mut self, _first_sample: u64, _out: &mut Block) {}
}

/// A sine, the same left and right, that is at phase zero at sample 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tone {
    hz: u32,
    peak: f32,
}

impl Tone {
    /// 1 kHz at -18 dBFS: the alignment signal of EBU R 68.
    pub const ALIGNMENT: Self = Self::new(1000, 0.125_892_54);

    /// A sine of `hz` whole periods per second and a peak of `peak`, where 1 is full scale.
    pub const fn new(hz: u32, peak: f32) -> Self {
        Self { hz, peak }
    }
}

impl Source for Tone {
    fn mix(&mut self, first_sample: u64, out: &mut Block) {
        let rate = u64::from(SAMPLE_RATE);
        for (number, pair) in (first_sample..).zip(out) {
            // Whole periods fit into a second, so the phase is an integer and stays exact however long the stream runs.
            let phase = number % rate * u64::from(self.hz) % rate;
            let value = (phase as f64 / rate as f64 * TAU).sin() as f32 * self.peak;
            for sample in pair {
                *sample += value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::SILENT_BLOCK, *};

    #[test]
    fn a_tone_has_no_seams() {
        let mut block = SILENT_BLOCK;
        // A day and an odd number of samples into the stream: 21 samples are 7/16 of a period of 1 kHz.
        let first = 86_400 * 48_000 + 21;
        Tone::new(1000, 0.5).mix(first, &mut block);
        for (index, [left, right]) in block.into_iter().enumerate() {
            let expected = 0.5 * ((21 + index) as f64 / 48.0 * TAU).sin() as f32;
            assert!((left - expected).abs() < 1e-5 && left == right, "{index}: {left} instead of {expected}");
        }
    }

    #[test]
    fn sources_add_up() {
        let mut block = SILENT_BLOCK;
        Tone::new(480, 0.25).mix(0, &mut block);
        Silence.mix(0, &mut block);
        Tone::new(480, 0.25).mix(0, &mut block);
        assert!((block[25][0] - 0.5).abs() < 1e-6, "a quarter of a period in");
    }

    #[test]
    fn names_in_documents() {
        for (kind, name) in [(SourceKind::Silence, "\"silence\""), (SourceKind::Tone, "\"tone\"")] {
            assert_eq!(serde_json::to_string(&kind).unwrap(), name);
            assert_eq!(serde_json::from_str::<SourceKind>(name).unwrap(), kind);
        }
        assert!(serde_json::from_str::<SourceKind>("\"noise\"").is_err());
    }
}
