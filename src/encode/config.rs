//! What an encoder is opened with, and the limits of each value.
//!
//! Sizes and frame rates carry their limits in their types; what is checked here concerns every encoder alike, so that a
//! configuration does not become valid or invalid with the machine it runs on.

use std::{fmt, slice, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{CANDIDATES, Candidate};
use crate::base::schema::written;
use crate::base::{colour::VideoColour, rate::FrameRate, size::Size};

/// Lowest target bitrate, in kilobits per second.
pub const BITRATE_KBPS_MIN: u32 = 50;
/// Highest target bitrate, in kilobits per second.
pub const BITRATE_KBPS_MAX: u32 = 100_000;
/// Longest group of pictures, in frames: ten seconds at the highest frame rate. Ingests ask for two seconds.
pub const GOP_FRAMES_MAX: u32 = 600;
/// Most threads an encoder is given.
pub const THREADS_MAX: usize = 64;

/// What an encoder is opened with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Config {
    /// Size of every picture.
    pub size: Size,
    /// Nominal frame rate, said so in the SPS.
    pub rate: FrameRate,
    /// Target bitrate, [`BITRATE_KBPS_MIN`] to [`BITRATE_KBPS_MAX`] kilobits (of 1000 bits) per second.
    pub bitrate_kbps: u32,
    /// What becomes of the bits that a picture does not need.
    pub rate_control: RateControl,
    /// Frames from keyframe to keyframe, 1 to [`GOP_FRAMES_MAX`].
    pub gop_frames: u32,
    /// Colour of the pictures, said so in the SPS.
    pub colour: VideoColour,
    /// Processor threads the encoder may use, 1 to [`THREADS_MAX`]; hardware ignores it.
    pub threads: usize,
    /// What the access units are coded as.
    pub codec: Codec,
    /// What the encoder is tuned for.
    pub tuning: Tuning,
    /// What NVENC alone is told.
    pub nvenc: Nvenc,
    /// What x264 alone is told.
    pub x264: X264,
}

/// What becomes of the bits that a picture does not need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum RateControl {
    /// They are saved: the bitrate is what hard pictures take, and easy ones less.
    #[default]
    #[serde(rename = "vbr")]
    Variable,
    /// They are filled up, so that the stream holds its bitrate whatever is shown.
    #[serde(rename = "cbr")]
    Constant,
}

/// Codecs there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Codec {
    /// H.264 High.
    #[default]
    H264,
    /// HEVC Main.
    Hevc,
    /// AV1 Main.
    Av1,
}

impl Codec {
    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
            Self::Av1 => "AV1",
        }
    }
}

/// What an encoder is tuned for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Tuning {
    /// No frame waits for another.
    #[default]
    LowLatency,
    /// Frames may be coded from later ones, where the encoder can; all are shown a frame later for it.
    Quality,
}

impl Tuning {
    /// Frames by which the showing of every picture, and with it the sound, is put off so that none is due before it can be
    /// decoded. It is the tuning's, not the encoder's: another encoder may take over, and the times go on.
    pub fn delay_frames(self) -> u64 {
        match self {
            Self::LowLatency => 0,
            Self::Quality => 1,
        }
    }
}

/// What NVENC alone is told. It is there whatever machine a document is read on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Nvenc {
    /// How hard it searches.
    pub preset: NvencPreset,
}

/// NVENC's presets, from the fastest to the finest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are NVIDIA's")]
pub enum NvencPreset {
    P1,
    P2,
    P3,
    P4,
    #[default]
    P5,
    P6,
    P7,
}

/// What x264 alone is told. It is there whether or not x264 is built in: a document does not become valid or invalid with
/// the machine it is read on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct X264 {
    /// How hard it searches.
    pub preset: X264Preset,
}

/// x264's presets, from the fastest to the slowest that a live stream has use for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are x264's")]
pub enum X264Preset {
    Ultrafast,
    #[default]
    Superfast,
    Veryfast,
    Faster,
    Fast,
    Medium,
    Slow,
    Slower,
}

/// Why a [`Config`] is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidConfig {
    /// The bitrate is out of range.
    #[error("bitrate of {bitrate_kbps} kbit/s is out of range: {BITRATE_KBPS_MIN} to {BITRATE_KBPS_MAX}")]
    Bitrate {
        /// Refused bitrate in kilobits per second.
        bitrate_kbps: u32,
    },
    /// The group of pictures is empty or too long.
    #[error("keyframe interval of {gop_frames} frames is out of range: 1 to {GOP_FRAMES_MAX}")]
    Gop {
        /// Refused length in frames.
        gop_frames: u32,
    },
    /// The number of threads is out of range.
    #[error("{threads} encoder threads are out of range: 1 to {THREADS_MAX}")]
    Threads {
        /// Refused number.
        threads: usize,
    },
}

impl Config {
    /// Checks each value against its limits.
    pub(super) fn validate(&self) -> Result<(), InvalidConfig> {
        if !(BITRATE_KBPS_MIN..=BITRATE_KBPS_MAX).contains(&self.bitrate_kbps) {
            return Err(InvalidConfig::Bitrate { bitrate_kbps: self.bitrate_kbps });
        }
        if !(1..=GOP_FRAMES_MAX).contains(&self.gop_frames) {
            return Err(InvalidConfig::Gop { gop_frames: self.gop_frames });
        }
        if !(1..=THREADS_MAX).contains(&self.threads) {
            return Err(InvalidConfig::Threads { threads: self.threads });
        }
        Ok(())
    }
}

/// Which encoder is wanted: `auto`, or the name of one of [`CANDIDATES`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Backend {
    /// The first that opens.
    #[default]
    Auto,
    /// This one or none.
    Named(&'static Candidate),
}

/// Why a text is not a backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an encoder: use auto{}", CANDIDATES.iter().map(|c| format!(", {}", c.name)).collect::<String>())]
pub struct UnknownBackend {
    /// The refused text.
    pub text: String,
}

written!(Backend as "EncoderBackend" = {
    "description": "Which encoder is wanted: `auto` takes the first that opens.",
    "type": "string",
    "enum": (std::iter::once("auto").chain(CANDIDATES.iter().map(|candidate| candidate.name)).collect::<Vec<_>>())
});

impl Backend {
    /// The candidates that may be tried, in order.
    pub(super) fn candidates(self) -> &'static [Candidate] {
        match self {
            Self::Auto => CANDIDATES,
            Self::Named(candidate) => slice::from_ref(candidate),
        }
    }

    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Named(candidate) => candidate.name,
        }
    }
}

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        if text == Self::Auto.name() {
            return Ok(Self::Auto);
        }
        let candidate = CANDIDATES.iter().find(|candidate| candidate.name == text);
        candidate.map(Self::Named).ok_or_else(|| UnknownBackend { text: text.chars().take(32).collect() })
    }
}

impl TryFrom<String> for Backend {
    type Error = UnknownBackend;
    fn try_from(text: String) -> Result<Self, UnknownBackend> {
        text.parse()
    }
}

impl From<Backend> for String {
    fn from(backend: Backend) -> Self {
        backend.name().into()
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
