//! Why a file is not heard, as its author is told; the name of the file is put before it.

use std::io;

use super::{
    baggage,
    decode::{DAMAGED_MAX, HOURS_MAX, RATES_HZ},
    downmix::CHANNELS_MAX,
};

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("it is no sound that is understood ({reason}); use WAV, FLAC, MP3, AAC (ADTS or M4A) or Ogg Vorbis")]
    NoSound { reason: String },
    #[error("its sampling rate of {rate_hz} Hz is out of range: {} to {}", RATES_HZ.start(), RATES_HZ.end())]
    Rate { rate_hz: u32 },
    #[error("its {count} channels are out of range: 1 to {CHANNELS_MAX}")]
    Channels { count: usize },
    #[error("there is no sound in it")]
    Empty,
    #[error("it is over before {start_ms} ms, where it is to start")]
    StartsBehindItsEnd { start_ms: f64 },
    #[error(
        "it carries {bytes} bytes of tags, pictures and tables beside its sound: {} are allowed",
        baggage::BYTES_MAX
    )]
    Baggage { bytes: u64 },
    #[error("it is longer than {HOURS_MAX} hours")]
    TooLong,
    #[error("it is damaged ({reason}); up to {DAMAGED_MAX} packets in a row are passed over")]
    Damaged { reason: String },
    #[error("its sampling rate or its channels change on the way")]
    Changed,
    #[error("it was changed while it was played")]
    Rewritten,
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl Error {
    pub(super) fn no_sound(reason: &str) -> Self {
        Self::NoSound { reason: reason.into() }
    }
}
