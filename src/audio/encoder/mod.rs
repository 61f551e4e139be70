//! Blocks in, AAC-LC frames out.
//!
//! AAC codes each frame together with the one before it, and a decoder therefore gives back a block one frame late;
//! libraries also look ahead, so that a transient is coded in short windows from its start. Both are accounted for here: a
//! frame carries the number of the first sample that is *heard* when it is decoded, and comes out [`DELAY_SAMPLES`] after
//! its block went in.
//!
//! ```text
//! block in        0      1      2      3
//! frame out       -      -      ▼      ▼
//! heard samples              0..1024  1024..2048
//! ```
//!
//! Frames that would be heard before sample 0 are dropped. Who decodes from the first frame on, or joins later, misses the
//! overlap of its first 1024 samples, which fade in; that is so with any AAC stream.
//!
//! What codes is a [`Library`], of which there are two: see ARCHITECTURE.md, "Decisions", for how they compare.
//!
//! Spec: ISO/IEC 14496-3 subpart 4. Left out: ADTS (see `aac`), other rates and layouts, changing the bitrate live, and
//! the last blocks of a stream, which stay in the encoder when it is dropped.

#[cfg(feature = "fdk-aac")]
mod fdk;
mod syom;

use std::fmt;

use bytes::Bytes;

use super::{BLOCK_SAMPLES, Block, CHANNELS, SAMPLE_RATE};
use crate::aac::AudioSpecificConfig;

/// Lowest bitrate of both channels together, in kilobits per second; below it AAC-LC audibly suffers.
pub const BITRATE_KBPS_MIN: u32 = 64;
/// Highest bitrate of both channels together, in kilobits per second, as ingests accept it.
pub const BITRATE_KBPS_MAX: u32 = 320;
/// From a block's going in to the coming out of the frame in which it is heard, whatever the library.
pub const DELAY_SAMPLES: u64 = 2 * BLOCK_SAMPLES as u64;

/// One AAC-LC frame: a `raw_data_block` without ADTS header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFrame {
    /// Number of the first of the 1024 samples that a decoder gives for this frame; its timestamp.
    pub first_sample: u64,
    /// The coded bytes; the body of an FLV audio tag.
    pub data: Bytes,
}

/// Why there is no encoder or no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bitrate is out of range.
    #[error("audio bitrate of {bitrate_kbps} kbit/s is out of range: {BITRATE_KBPS_MIN} to {BITRATE_KBPS_MAX}")]
    Bitrate {
        /// Refused bitrate in kilobits per second.
        bitrate_kbps: u32,
    },
    /// The library failed. The encoder has started anew and may be used further.
    #[error("AAC encoder: {reason}")]
    Library {
        /// What it said.
        reason: String,
    },
}

impl Error {
    fn library(error: impl fmt::Display) -> Self {
        Self::Library { reason: error.to_string() }
    }
}

/// What makes AAC-LC of 48 kHz stereo sound, block by block.
trait Library: Send + fmt::Debug {
    /// What all frames are.
    fn config(&self) -> Result<AudioSpecificConfig, Error>;

    /// How many samples later than the block went in, counted by what a decoder gives, it is heard: the first frame is
    /// heard so long before the first block.
    fn lag_samples(&self) -> u64;

    /// Begins anew, as if nothing had been coded.
    fn reset(&mut self) -> Result<(), Error>;

    /// Codes the next block; the next frame, if there is one yet. Samples beyond full scale are clipped, such as are not
    /// numbers are silent.
    fn encode(&mut self, block: &Block) -> Result<Option<Bytes>, Error>;
}

/// A library that may be had in this build.
#[derive(Clone, Copy)]
pub struct Candidate {
    /// Its name.
    pub name: &'static str,
    /// What it is under.
    pub licence: &'static str,
    open: fn(bitrate_bps: u32) -> Result<Box<dyn Library>, Error>,
}

/// The libraries of this build, the better one first.
pub const CANDIDATES: &[Candidate] = &[
    #[cfg(feature = "fdk-aac")]
    fdk::CANDIDATE,
    syom::CANDIDATE,
];

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A stream's AAC-LC encoder: 48 kHz, stereo.
#[derive(Debug)]
pub struct Encoder {
    library: Box<dyn Library>,
    config: AudioSpecificConfig,
    /// Number of the block that would continue what was encoded so far.
    next_sample: Option<u64>,
    /// The first block since the library last started, and the frames it has given since.
    begun_at: u64,
    frames: u64,
}

impl Encoder {
    /// Opens an encoder of `bitrate_kbps`, [`BITRATE_KBPS_MIN`] to [`BITRATE_KBPS_MAX`] kilobits per second for both
    /// channels together, with the best library of this build. That is an average: silence may take much less.
    ///
    /// # Errors
    ///
    /// [`Error::Bitrate`] out of that range; [`Error::Library`] where the library refuses.
    pub fn open(bitrate_kbps: u32) -> Result<Self, Error> {
        Self::open_with(&CANDIDATES[0], bitrate_kbps)
    }

    /// The same with a library of choice.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_with(candidate: &Candidate, bitrate_kbps: u32) -> Result<Self, Error> {
        if !(BITRATE_KBPS_MIN..=BITRATE_KBPS_MAX).contains(&bitrate_kbps) {
            return Err(Error::Bitrate { bitrate_kbps });
        }
        let library = (candidate.open)(bitrate_kbps * 1000)?;
        let config = library.config()?;
        if (config.sample_rate_hz(), usize::from(config.channels())) != (SAMPLE_RATE, CHANNELS) {
            return Err(Error::library(format!("is not what was asked for: {config:?}")));
        }
        Ok(Self { library, config, next_sample: None, begun_at: 0, frames: 0 })
    }

    /// What all frames are: AAC-LC, 48 kHz, stereo. Its bytes are the AAC sequence header.
    pub fn config(&self) -> AudioSpecificConfig {
        self.config
    }

    /// Takes the block that starts at `first_sample` and gives the frame of the block before the last, if there is one.
    ///
    /// Blocks follow one another. Where one does not, sound is missing anyway: the encoder starts anew with it, and the
    /// next two calls (this one included) give no frame. Samples beyond full scale are clipped, such as are not numbers
    /// are silent.
    ///
    /// # Errors
    ///
    /// [`Error::Library`]; the block is lost and the next one starts anew.
    pub fn encode(&mut self, first_sample: u64, block: &Block) -> Result<Option<AudioFrame>, Error> {
        if self.next_sample != Some(first_sample) {
            self.library.reset()?;
            (self.begun_at, self.frames) = (first_sample, 0);
        }
        // Whatever fails below, the next block does not continue this one.
        self.next_sample = None;
        let data = self.library.encode(block)?;
        let next_sample = first_sample + BLOCK_SAMPLES as u64;
        if data.is_none() && next_sample > self.begun_at + DELAY_SAMPLES {
            return Err(Error::library("no frame for a block"));
        }
        self.next_sample = Some(next_sample);
        Ok(data.and_then(|data| self.frame(data)))
    }

    /// The next frame with its number, unless nothing of it is to be heard.
    fn frame(&mut self, data: Bytes) -> Option<AudioFrame> {
        let number = self.frames * BLOCK_SAMPLES as u64;
        self.frames += 1;
        let first_sample = self.begun_at + number.checked_sub(self.library.lag_samples())?;
        Some(AudioFrame { first_sample, data })
    }
}

/// Libraries refuse samples beyond full scale and what is not a number; nobody would want to hear them either.
fn audible(sample: f32) -> f32 {
    if sample.is_nan() { 0.0 } else { sample.clamp(-1.0, 1.0) }
}
