//! AAC around the encoder: the AudioSpecificConfig, and the ADTS header that some encoders put before each frame.
//!
//! ```text
//! ASC   object type 5 | rate index 4 | channels 4 | 000: 1024 samples, no core coder, no extension
//! ADTS  FFF | id 1 | layer 2 | no CRC 1 | object type - 1 2 | rate index 4 | private 1 | channels 3 | copy bits 4
//!       | frame length 13, header included | fullness 11 | raw blocks - 1 2 | CRC 16 if there is one
//! ```
//!
//! FLV and RTMP carry the ASC once and raw frames after it. Spec: ISO/IEC 14496-3 sections 1.6.2.1 (ASC), 1.A.2.2
//! (ADTS) and 4.4.1. Left out: object types other than AAC-LC, rates off the table, channel layouts in a program config
//! element.

/// Samples of one channel in a frame.
pub const FRAME_SAMPLES: u32 = 1024;
/// Object type AAC-LC.
const OBJECT_TYPE_LC: u8 = 2;
/// Sampling rates by their index (table 1.18), in hertz.
const SAMPLE_RATES_HZ: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];

/// Why a description or a header is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A rate without an index.
    #[error("{sample_rate_hz} Hz is no AAC sampling rate")]
    SampleRate {
        /// The refused rate.
        sample_rate_hz: u32,
    },
    /// A rate index that is reserved, or that says the rate is written out.
    #[error("AAC sampling rate index {index} is not supported")]
    SampleRateIndex {
        /// The refused index.
        index: u8,
    },
    /// A count of channels, or a channel configuration, without meaning: 1 to 6 and 8 channels have one.
    #[error("{channels} is no AAC channel configuration")]
    Channels {
        /// The refused number.
        channels: u8,
    },
    /// Another kind of AAC.
    #[error("AAC object type {object_type} is not supported, only 2 (LC)")]
    ObjectType {
        /// The refused type.
        object_type: u8,
    },
    /// Fewer bytes than the header or its length says.
    #[error("{len} bytes of AAC, {needed} needed")]
    Truncated {
        /// Bytes there are.
        len: usize,
        /// Bytes needed.
        needed: usize,
    },
    /// No ADTS header here.
    #[error("no ADTS header: the first bytes are {bytes:02x?}")]
    NoSync {
        /// What is there instead.
        bytes: [u8; 2],
    },
    /// A frame shorter than its header, or longer than a header can say.
    #[error("ADTS frame length {frame_len} is impossible")]
    FrameLen {
        /// The refused length in bytes.
        frame_len: usize,
    },
    /// Several raw blocks under one header, which FLV cannot carry as one frame.
    #[error("ADTS frame has {blocks} raw blocks, only one is supported")]
    Blocks {
        /// How many there are.
        blocks: u8,
    },
}

/// What a decoder must know before the first frame: AAC-LC of a rate and a number of channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AudioSpecificConfig {
    rate_index: u8,
    /// 1 to 6 are as many channels, 7 is eight.
    channel_config: u8,
}

impl AudioSpecificConfig {
    /// AAC-LC with `sample_rate_hz` of the table and 1 to 6 or 8 channels.
    pub fn lc(sample_rate_hz: u32, channels: u8) -> Result<Self, Error> {
        let index = SAMPLE_RATES_HZ.iter().position(|&rate| rate == sample_rate_hz);
        let rate_index = index.ok_or(Error::SampleRate { sample_rate_hz })? as u8;
        let channel_config = match channels {
            1..=6 => channels,
            8 => 7,
            _ => return Err(Error::Channels { channels }),
        };
        Ok(Self { rate_index, channel_config })
    }

    /// Reads a description; bytes after the first two are extensions that plain LC decoders ignore.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let [high, low] = *bytes.first_chunk().ok_or(Error::Truncated { len: bytes.len(), needed: 2 })?;
        let object_type = high >> 3;
        if object_type != OBJECT_TYPE_LC {
            return Err(Error::ObjectType { object_type });
        }
        Self::from_codes((high & 0b111) << 1 | low >> 7, low >> 3 & 0xF)
    }

    fn from_codes(rate_index: u8, channel_config: u8) -> Result<Self, Error> {
        if usize::from(rate_index) >= SAMPLE_RATES_HZ.len() {
            return Err(Error::SampleRateIndex { index: rate_index });
        }
        if !(1..=7).contains(&channel_config) {
            return Err(Error::Channels { channels: channel_config });
        }
        Ok(Self { rate_index, channel_config })
    }

    /// Samples per second.
    pub fn sample_rate_hz(self) -> u32 {
        SAMPLE_RATES_HZ[usize::from(self.rate_index)]
    }

    /// Number of channels.
    pub fn channels(self) -> u8 {
        if self.channel_config == 7 { 8 } else { self.channel_config }
    }

    /// The description's two bytes.
    pub fn to_bytes(self) -> [u8; 2] {
        [OBJECT_TYPE_LC << 3 | self.rate_index >> 1, self.rate_index << 7 | self.channel_config << 3]
    }
}

/// Bytes of an ADTS header without CRC.
pub const ADTS_HEADER_LEN: usize = 7;
/// Bytes of the CRC.
const ADTS_CRC_LEN: usize = 2;
/// Longest frame that the 13-bit length can say, header included.
const ADTS_FRAME_LEN_MAX: usize = 0x1FFF;
/// Buffer fullness that says the rate varies.
const ADTS_FULLNESS_VBR: u16 = 0x7FF;

/// An ADTS header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adts {
    /// What the frame is.
    pub config: AudioSpecificConfig,
    /// Bytes before the raw frame: 7, or 9 with a CRC.
    pub header_len: usize,
    /// Bytes of header and raw frame.
    pub frame_len: usize,
}

impl Adts {
    /// Reads the header at the start of `bytes`; the frame itself need not be there.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let short = Error::Truncated { len: bytes.len(), needed: ADTS_HEADER_LEN };
        let [b0, b1, b2, b3, b4, b5, b6] = *bytes.first_chunk::<ADTS_HEADER_LEN>().ok_or(short)?;
        // The sync word, and layer 0; MPEG audio of another layer has the same first bits.
        if b0 != 0xFF || b1 & 0xF6 != 0xF0 {
            return Err(Error::NoSync { bytes: [b0, b1] });
        }
        let object_type = (b2 >> 6) + 1;
        if object_type != OBJECT_TYPE_LC {
            return Err(Error::ObjectType { object_type });
        }
        let config = AudioSpecificConfig::from_codes(b2 >> 2 & 0xF, (b2 & 1) << 2 | b3 >> 6)?;
        let has_crc = b1 & 1 == 0;
        let header_len = ADTS_HEADER_LEN + if has_crc { ADTS_CRC_LEN } else { 0 };
        let frame_len = usize::from(b3 & 0b11) << 11 | usize::from(b4) << 3 | usize::from(b5 >> 5);
        let blocks = (b6 & 0b11) + 1;
        if blocks > 1 {
            return Err(Error::Blocks { blocks });
        }
        if frame_len < header_len {
            return Err(Error::FrameLen { frame_len });
        }
        Ok(Self { config, header_len, frame_len })
    }

    /// The header for a raw frame of `raw_len` bytes, without CRC.
    pub fn header(config: AudioSpecificConfig, raw_len: usize) -> Result<[u8; ADTS_HEADER_LEN], Error> {
        let frame_len = raw_len.saturating_add(ADTS_HEADER_LEN);
        if frame_len > ADTS_FRAME_LEN_MAX {
            return Err(Error::FrameLen { frame_len });
        }
        let AudioSpecificConfig { rate_index, channel_config } = config;
        Ok([
            0xFF,
            0xF1,
            (OBJECT_TYPE_LC - 1) << 6 | rate_index << 2 | channel_config >> 2,
            channel_config << 6 | (frame_len >> 11) as u8,
            (frame_len >> 3) as u8,
            (frame_len << 5) as u8 | (ADTS_FULLNESS_VBR >> 6) as u8,
            (ADTS_FULLNESS_VBR << 2) as u8,
        ])
    }
}

/// The raw frame in `bytes`, which start with an ADTS header; bytes after the frame are not part of it.
pub fn strip_adts(bytes: &[u8]) -> Result<&[u8], Error> {
    let Adts { header_len, frame_len, .. } = Adts::parse(bytes)?;
    bytes.get(header_len..frame_len).ok_or(Error::Truncated { len: bytes.len(), needed: frame_len })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn configs_by_hand() {
        for (rate, channels, bytes) in [
            (48_000, 2, [0x11, 0x90]), // 00010 0011 0010 000
            (44_100, 2, [0x12, 0x10]), // 00010 0100 0010 000
            (48_000, 1, [0x11, 0x88]), // 00010 0011 0001 000
            (96_000, 8, [0x10, 0x38]), // 00010 0000 0111 000
        ] {
            let config = AudioSpecificConfig::lc(rate, channels).unwrap();
            assert_eq!(config.to_bytes(), bytes);
            assert_eq!(AudioSpecificConfig::parse(&bytes), Ok(config));
            assert_eq!((config.sample_rate_hz(), config.channels()), (rate, channels));
        }
    }

    #[test]
    fn config_refusals() {
        assert_eq!(AudioSpecificConfig::lc(47_999, 2), Err(Error::SampleRate { sample_rate_hz: 47_999 }));
        assert_eq!(AudioSpecificConfig::lc(48_000, 7), Err(Error::Channels { channels: 7 }));
        assert_eq!(AudioSpecificConfig::parse(&[0x11]), Err(Error::Truncated { len: 1, needed: 2 }));
        assert_eq!(AudioSpecificConfig::parse(&[0x29, 0x90]), Err(Error::ObjectType { object_type: 5 }));
        assert_eq!(AudioSpecificConfig::parse(&[0x17, 0x90]), Err(Error::SampleRateIndex { index: 15 }));
        assert_eq!(AudioSpecificConfig::parse(&[0x11, 0x80]), Err(Error::Channels { channels: 0 }));
    }

    /// 48 kHz stereo, 4 raw bytes: FFF1, 01 0011 0 0 | 10 0000 00 | frame length 11 = 00000001 011 | 11111 111111 00.
    #[test]
    fn adts_by_hand() {
        let config = AudioSpecificConfig::lc(48_000, 2).unwrap();
        let header = Adts::header(config, 4).unwrap();
        assert_eq!(header, [0xFF, 0xF1, 0x4C, 0x80, 0x01, 0x7F, 0xFC]);
        let frame = [&header[..], &[1, 2, 3, 4], &[9]].concat();
        assert_eq!(strip_adts(&frame), Ok(&[1, 2, 3, 4][..]));
        assert_eq!(strip_adts(&frame[..10]), Err(Error::Truncated { len: 10, needed: 11 }));
    }

    #[test]
    fn adts_with_crc() {
        let bytes = [0xFF, 0xF0, 0x4C, 0x80, 0x01, 0x7F, 0xFC, 0xAA, 0xBB, 1, 2];
        assert_eq!(strip_adts(&bytes), Ok(&[1, 2][..]));
    }

    #[test]
    fn adts_refusals() {
        let good = [0xFF, 0xF1, 0x4C, 0x80, 0x01, 0x7F, 0xFC];
        let with = |index: usize, byte: u8| {
            let mut bytes = good;
            bytes[index] = byte;
            Adts::parse(&bytes)
        };
        assert_eq!(Adts::parse(&good[..6]), Err(Error::Truncated { len: 6, needed: 7 }));
        assert_eq!(with(1, 0xFB), Err(Error::NoSync { bytes: [0xFF, 0xFB] }), "an MP3 header");
        assert_eq!(with(2, 0x0C), Err(Error::ObjectType { object_type: 1 }));
        assert_eq!(with(2, 0x7C), Err(Error::SampleRateIndex { index: 15 }));
        assert_eq!(with(3, 0x00), Err(Error::Channels { channels: 0 }));
        assert_eq!(with(4, 0x00), Err(Error::FrameLen { frame_len: 3 }));
        assert_eq!(with(6, 0xFF), Err(Error::Blocks { blocks: 4 }));
        let config = AudioSpecificConfig::lc(48_000, 2).unwrap();
        assert_eq!(Adts::header(config, 0x1FFF - 6), Err(Error::FrameLen { frame_len: 0x2000 }));
    }

    proptest! {
        #[test]
        fn adts_round_trips(
            rate in 0usize..13,
            channels in 1u8..=6,
            raw in prop::collection::vec(any::<u8>(), 0..8000),
        ) {
            let config = AudioSpecificConfig::lc(SAMPLE_RATES_HZ[rate], channels).unwrap();
            let frame = [&Adts::header(config, raw.len()).unwrap()[..], &raw].concat();
            prop_assert_eq!(Adts::parse(&frame).map(|adts| adts.config), Ok(config));
            prop_assert_eq!(strip_adts(&frame), Ok(&raw[..]));
        }

        #[test]
        fn garbage_is_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..16)) {
            let _ = AudioSpecificConfig::parse(&bytes);
            let _ = strip_adts(&bytes);
            let _ = strip_adts(&[&[0xFF, 0xF1, 0x4C], &bytes[..]].concat());
        }
    }
}
