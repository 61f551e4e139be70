//! Pictures in, H.264 access units out.
//!
//! An [`Encoder`] lives on the one thread that calls it, from [`open`] to drop. Frames are numbered by the stream's clock;
//! the number is the only timestamp there is. In the low-latency tuning nothing is reordered and it is both decoding and
//! presentation time; in the quality tuning an encoder may code a frame before those that are shown before it, and says by
//! how much ([`AccessUnit::lead`]). A frame that cannot be coded costs that frame, never its successors' place in time.
//!
//! ```text
//! Picture (NV12) ─► deinterleave ─► library ─► NAL units ─► SPS, PPS, AUD, SEI out ─► AccessUnit { frame, length-prefixed }
//!                                                └─ once, at open ─► ParameterSets (SPS rewritten) ─► sequence header
//! ```
//!
//! Parameter sets are not repeated in front of IDRs: they stand in the sequence header, servers hand that to whoever joins,
//! and the `avc1` sample entry into which servers and recorders put these access units forbids them in band (ISO/IEC
//! 14496-15, 5.4.2.1). OBS sends streams of the same shape to every ingest.
//!
//! A picture that does not change is not coded again and again: see `still.rs`, which is around every encoder. Where the
//! bitrate is to be held whatever is shown, `constant.rs` is around that.
//!
//! Keyframes stand on the grid of frame numbers divisible by the length of a group, so that encoders started at different
//! times agree on it and a dropped frame does not move it; a forced one is extra and does not move it either.
//!
//! Specs: ITU-T H.264 (08/2021); ISO/IEC 14496-15 5.3 for the length-prefixed form. Left out: threads and
//! queues, which are the pipeline's.

mod config;
mod constant;
mod gop;
pub mod jpeg;
mod level;
pub mod nvenc;
mod openh264;
mod planar;
mod still;
#[cfg(feature = "x264")]
mod x264;

#[cfg(test)]
mod tests;

use std::{error::Error as StdError, fmt};

use bytes::Bytes;

use self::{constant::Constant, still::Still};
use crate::{
    base::{nv12::Picture, size::Size},
    scene::damage::Damage,
};

pub use self::config::{
    BITRATE_KBPS_MAX, BITRATE_KBPS_MIN, Backend, Codec, Config, GOP_FRAMES_MAX, InvalidConfig, Nvenc, NvencPreset,
    RateControl, THREADS_MAX, Tuning, UnknownBackend, X264, X264Preset,
};

/// Every encoder there is, in the order in which `auto` tries them.
pub const CANDIDATES: &[Candidate] = &[
    nvenc::CANDIDATE,
    #[cfg(feature = "x264")]
    x264::CANDIDATE,
    openh264::CANDIDATE,
];

/// An encoder that may be had on this machine.
#[derive(Clone, Copy)]
pub struct Candidate {
    /// The name in configurations, logs and metrics.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// Its licence, in SPDX's words.
    pub licence: &'static str,
    open: fn(&Config) -> Result<Box<dyn Encoder>, Error>,
}

/// An open encoder of one stream.
pub trait Encoder: Send + fmt::Debug {
    /// The name of the candidate it was opened from.
    fn backend(&self) -> &'static str;

    /// SPS and PPS of all access units, constant from open to drop.
    fn parameter_sets(&self) -> &ParameterSets;

    /// Takes one picture and gives the next access unit in the order of decoding. `None` where the encoder left the frame
    /// out to hold its bitrate, or has to see more pictures first; the latter only in the quality tuning.
    ///
    /// Frame numbers rise from call to call; gaps are allowed. The first access unit is a keyframe, and so is the first
    /// of each cell of the grid.
    ///
    /// # Errors
    ///
    /// [`Error::PictureSize`] leaves the encoder as it was. After any other the encoder is of no further use: drop it and
    /// open another.
    fn encode(&mut self, picture: &Picture, request: Request) -> Result<Option<AccessUnit>, Error>;

    /// Gives what is still held back, one access unit a call, until `None`. No picture may follow.
    ///
    /// # Errors
    ///
    /// As [`Encoder::encode`].
    fn flush(&mut self) -> Result<Option<AccessUnit>, Error>;

    /// Changes the target bitrate from the next frame on.
    ///
    /// # Errors
    ///
    /// [`Error::Bitrate`] where `bitrate_kbps` is out of range or above what the level in the SPS allows; the encoder goes
    /// on as before. For more, open another encoder.
    fn set_bitrate_kbps(&mut self, bitrate_kbps: u32) -> Result<(), Error>;
}

/// What is asked of one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Number of the frame.
    pub frame: u64,
    /// Whether it has to be an IDR even off the grid: for an output that has just (re)connected.
    pub is_idr_forced: bool,
    /// In which of its pixels the picture may differ from that of the request before; nowhere if it is that picture once
    /// more. Who does not know damages the whole.
    pub damage: Damage,
}

impl Request {
    /// Whether the picture is, bit for bit, that of the request before.
    pub fn is_unchanged(&self) -> bool {
        self.damage.is_empty()
    }
}

/// NAL units that describe the sequence, without start codes; what a sequence header is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterSets {
    /// Video parameter set, which HEVC alone has.
    pub vps: Option<Bytes>,
    /// Sequence parameter set, with size, colour, chroma location and frame rate in it.
    pub sps: Bytes,
    /// Picture parameter sets: the encoder's own, and that of repeated pictures.
    pub pps: Vec<Bytes>,
}

/// One coded frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// Number of the frame: its place in the order of showing.
    pub frame: u64,
    /// Frames by which it is decoded before it is shown. All are shown [`Tuning::delay_frames`] later than their number
    /// says, so that none is decoded before frame 0 is due.
    pub lead: u64,
    /// Whether it is an IDR, where decoding can start.
    pub is_key: bool,
    /// How it came to be.
    pub origin: Origin,
    /// Its slices, and filler where that is wanted, each behind its length as four bytes, big-endian; the body of an FLV video tag.
    pub nalus: Bytes,
}

/// How an access unit came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The encoder coded a picture.
    Coded,
    /// The encoder coded the picture before once more, finer.
    Refined,
    /// The picture before is repeated; the encoder was not asked.
    Repeated,
}

/// Why a picture was not coded or a setting not taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The picture has another size than the encoder.
    #[error("a picture of {}x{} was given to an encoder of {}x{}", got.width(), got.height(), expected.width(), expected.height())]
    PictureSize {
        /// Size the encoder was opened with.
        expected: Size,
        /// Size of the picture.
        got: Size,
    },
    /// A bitrate is out of range.
    #[error("{bitrate_kbps} kbit/s is out of range: {BITRATE_KBPS_MIN} to {bitrate_kbps_max} kbit/s at level {}.{}", level_idc / 10, level_idc % 10)]
    Bitrate {
        /// Refused bitrate in kilobits per second.
        bitrate_kbps: u32,
        /// Highest bitrate that the stream's level allows.
        bitrate_kbps_max: u32,
        /// `level_idc` of the stream.
        level_idc: u8,
    },
    /// There is no such encoder on this machine, as on most.
    #[error("{source}")]
    Absent {
        /// Which encoder.
        backend: &'static str,
        /// What was looked for.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The encoder does not know this codec.
    #[error("{backend} does not code {}", codec.name())]
    Codec {
        /// Which encoder.
        backend: &'static str,
        /// What was asked for.
        codec: Codec,
    },
    /// The library failed.
    #[error("{backend}: {source}")]
    Library {
        /// Which encoder.
        backend: &'static str,
        /// What it said.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The library wrote something it should not have.
    #[error("{backend} wrote {what}")]
    Bitstream {
        /// Which encoder.
        backend: &'static str,
        /// What was found.
        what: String,
    },
}

/// A candidate that did not open.
#[derive(Debug, thiserror::Error)]
#[error("encoder {backend} is not available: {source}")]
pub struct Refusal {
    /// Name of the candidate.
    pub backend: &'static str,
    /// Its reason.
    pub source: Error,
}

impl Refusal {
    /// Whether the machine has no such encoder, so that there is nothing to mend.
    pub fn is_absence(&self) -> bool {
        matches!(self.source, Error::Absent { .. })
    }
}

/// An encoder and the story of how it was found.
#[derive(Debug)]
pub struct Opened {
    /// The first candidate that opened.
    pub encoder: Box<dyn Encoder>,
    /// Those in front of it that did not: worth one warning each, unless there is no such encoder at all.
    pub refusals: Vec<Refusal>,
}

/// Why no encoder was opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration asks for what no encoder does.
    #[error(transparent)]
    Config(#[from] InvalidConfig),
    /// Every candidate that was asked refused.
    #[error("no encoder for backend `{wanted}`: {}", list(refusals))]
    Refused {
        /// What was asked for.
        wanted: Backend,
        /// One for each candidate tried.
        refusals: Vec<Refusal>,
    },
}

/// Opens the first candidate that `wanted` allows and that opens with `config`.
///
/// # Errors
///
/// [`OpenError::Config`] where a value is out of its range, whatever the backend; [`OpenError::Refused`] where no candidate
/// opens.
pub fn open(wanted: Backend, config: &Config) -> Result<Opened, OpenError> {
    open_but(wanted, config, &[])
}

/// [`open`], without the candidates of these names.
///
/// # Errors
///
/// As [`open`].
pub fn open_but(wanted: Backend, config: &Config, unwanted: &[&str]) -> Result<Opened, OpenError> {
    config.validate()?;
    let mut refusals = Vec::new();
    for candidate in wanted.candidates().iter().filter(|candidate| !unwanted.contains(&candidate.name)) {
        match (candidate.open)(config) {
            Ok(encoder) => {
                let encoder = Still::around(encoder, config);
                let encoder = match config.rate_control {
                    RateControl::Variable => encoder,
                    RateControl::Constant => Constant::around(encoder, config),
                };
                return Ok(Opened { encoder, refusals });
            }
            Err(source) => refusals.push(Refusal { backend: candidate.name, source }),
        }
    }
    Err(OpenError::Refused { wanted, refusals })
}

/// What an encoder that knows no other codec starts with.
fn h264_only(backend: &'static str, config: &Config) -> Result<(), Error> {
    if config.codec == Codec::H264 { Ok(()) } else { Err(Error::Codec { backend, codec: config.codec }) }
}

fn list(refusals: &[Refusal]) -> String {
    refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("; ")
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Candidate {}
