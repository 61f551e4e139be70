//! Sound: sources mixed to 48 kHz stereo, and AAC-LC made of the mix.
//!
//! ```text
//! Source::mix ─► Mixer::block ─► Block: 1024 stereo samples ─► Encoder::encode ─► AudioFrame
//!                                            └─► Gauge ─► Meters
//! ```
//!
//! There is always sound, if only silence: YouTube and Facebook refuse streams without an audio track. Sound is addressed
//! by absolute sample number, counted by the stream's clock from the same zero as its frames; a source computes what
//! belongs to a number and keeps no time of its own, so sound and picture cannot drift apart.
//!
//! Left out: live inputs, more than two channels.

mod duck;
mod encoder;
mod fader;
mod file;
mod limiter;
mod meter;
mod mix;
mod mixer;
mod source;

#[cfg(test)]
mod tests;

use crate::aac;

pub use self::{
    encoder::{
        AudioFrame, BITRATE_KBPS_MAX, BITRATE_KBPS_MIN, CANDIDATES as AAC_CANDIDATES, Candidate as AacCandidate,
        DELAY_SAMPLES, Encoder, Error,
    },
    fader::{Fade, SILENT_DB, decibels},
    file::{Examined, File, examine},
    meter::{Gauge, Levels, Loudness, Measured, Meters, Reading, SourceReading},
    mix::{Duck, Limiter, Mix, SOURCES_MAX, Silence, Strip},
    mixer::{Mixer, Opened, Seen},
    source::{Opener, Source, SourceKind, SyncBeep, Tone},
};

/// Samples per second, in each channel.
pub const SAMPLE_RATE: u32 = 48_000;
/// Left and right.
pub const CHANNELS: usize = 2;
/// Samples, in each channel, of a block and of an AAC-LC frame.
pub const BLOCK_SAMPLES: usize = aac::FRAME_SAMPLES as usize;

/// The unit of work: 1024 pairs of left and right, full scale from -1 to 1.
pub type Block = [[f32; CHANNELS]; BLOCK_SAMPLES];

/// A block of silence.
pub const SILENT_BLOCK: Block = [[0.0; CHANNELS]; BLOCK_SAMPLES];
