//! Blocks in, AAC-LC frames out.
//!
//! AAC codes each frame together with the one before it, and a decoder therefore gives back a block one frame late; this
//! encoder also looks one block ahead, so that a transient is coded in short windows from its start. Both are accounted
//! for here: a frame carries the number of the first sample that is *heard* when it is decoded, and comes out
//! [`DELAY_SAMPLES`] after its block went in.
//!
//! ```text
//! block in        0      1      2      3
//! frame out       -      -      ▼      ▼
//! heard samples              0..1024  1024..2048
//! ```
//!
//! The library's very first frame would be heard before sample 0 and is dropped. Who decodes from the first frame on, or
//! joins later, misses the overlap of its first 1024 samples, which fade in; that is so with any AAC stream.
//!
//! Spec: ISO/IEC 14496-3 subpart 4. Left out: ADTS (see `aac`), other rates and layouts, changing the bitrate live, and
//! the last two blocks of a stream, which stay in the encoder when it is dropped.

use std::fmt;

use bytes::Bytes;

use super::{BLOCK_SAMPLES, Block, CHANNELS, SAMPLE_RATE};
use crate::aac::AudioSpecificConfig;

/// Lowest bitrate of both channels together, in kilobits per second; below it AAC-LC audibly suffers.
pub const BITRATE_KBPS_MIN: u32 = 64;
/// Highest bitrate of both channels together, in kilobits per second, as ingests accept it.
pub const BITRATE_KBPS_MAX: u32 = 320;
/// From a block's going in to the coming out of the frame in which it is heard.
pub const DELAY_SAMPLES: u64 = DELAY_BLOCKS * BLOCK_SAMPLES as u64;
/// One for the overlap of AAC's windows, one for looking ahead.
const DELAY_BLOCKS: u64 = 2;

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

/// A stream's AAC-LC encoder: 48 kHz, stereo.
pub struct Encoder {
    library: syom::Encoder,
    config: AudioSpecificConfig,
    /// Number of the block that would continue what was encoded so far.
    next_sample: Option<u64>,
    /// Blocks taken since the library last started, up to those that yield no frame.
    primed_blocks: u64,
    /// The block in planes, as the library reads it; samples are made fit for it here.
    planes: [[f32; BLOCK_SAMPLES]; CHANNELS],
}

impl Encoder {
    /// Opens an encoder of `bitrate_kbps`, [`BITRATE_KBPS_MIN`] to [`BITRATE_KBPS_MAX`] kilobits per second for both
    /// channels together. That is an average: silence takes much less.
    ///
    /// # Errors
    ///
    /// [`Error::Bitrate`] out of that range; [`Error::Library`] where the library refuses.
    pub fn open(bitrate_kbps: u32) -> Result<Self, Error> {
        if !(BITRATE_KBPS_MIN..=BITRATE_KBPS_MAX).contains(&bitrate_kbps) {
            return Err(Error::Bitrate { bitrate_kbps });
        }
        let mut options = syom::EncodeOptions::raw();
        options.bitrate_bps = bitrate_kbps * 1000;
        options.lookahead = true;
        let library = syom::Encoder::new(SAMPLE_RATE, CHANNELS, &options).map_err(library_error)?;
        let config = AudioSpecificConfig::parse(library.asc()).map_err(library_error)?;
        if (config.sample_rate_hz(), usize::from(config.channels())) != (SAMPLE_RATE, CHANNELS) {
            return Err(Error::Library { reason: format!("is not what was asked for: {config:?}") });
        }
        Ok(Self { library, config, next_sample: None, primed_blocks: 0, planes: [[0.0; BLOCK_SAMPLES]; CHANNELS] })
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
            self.restart()?;
        }
        self.fill_planes(block);
        let mut data = None;
        let [left, right] = &self.planes;
        let fed = self.library.feed(&[left, right], |frame| {
            data = Some(Bytes::copy_from_slice(frame.payload));
            Ok(())
        });
        // Whatever fails below, the next block does not continue this one.
        self.next_sample = None;
        fed.map_err(library_error)?;
        if self.primed_blocks < DELAY_BLOCKS {
            self.primed_blocks += 1;
            data = None;
        } else if data.is_none() {
            return Err(Error::Library { reason: "no frame for a block".into() });
        }
        self.next_sample = Some(first_sample + BLOCK_SAMPLES as u64);
        Ok(data.map(|data| AudioFrame { first_sample: first_sample - DELAY_SAMPLES, data }))
    }

    fn restart(&mut self) -> Result<(), Error> {
        self.primed_blocks = 0;
        self.library.reset().map_err(library_error)
    }

    fn fill_planes(&mut self, block: &Block) {
        let [left, right] = &mut self.planes;
        for ((&[l, r], left), right) in block.iter().zip(left).zip(right) {
            *left = audible(l);
            *right = audible(r);
        }
    }
}

/// The library refuses samples beyond full scale and what is not a number; nobody would want to hear them either.
fn audible(sample: f32) -> f32 {
    if sample.is_nan() { 0.0 } else { sample.clamp(-1.0, 1.0) }
}

fn library_error(error: impl fmt::Display) -> Error {
    Error::Library { reason: error.to_string() }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("next_sample", &self.next_sample).finish_non_exhaustive()
    }
}
