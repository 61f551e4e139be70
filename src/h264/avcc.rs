//! AVCDecoderConfigurationRecord: SPS and PPS as FLV's video sequence header carries them.
//!
//! ```text
//! 01 | profile | constraints | level | FC + length size - 1 | E0 + count | (u16 length, SPS)*
//!    | count | (u16 length, PPS)*
//!    | FC + chroma format | F8 + luma bits - 8 | F8 + chroma bits - 8 | 00         only High profiles
//! ```
//!
//! Spec: 14496-15 section 5.3.3.1. Left out: SPS extensions (alpha), of which the last byte says there are none.

use bytes::BufMut;

use super::{
    nal::{NalKind, annex_b},
    sps::{self, Sps},
};

/// Bytes of the length before each NAL unit, in all we write.
const LENGTH_SIZE: u8 = 4;
/// Most PPS a record's count can say.
const PPS_COUNT_MAX: usize = 255;

/// The parameter sets of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AvcConfig {
    sps: Vec<u8>,
    pps: Vec<Vec<u8>>,
    parsed: Sps,
}

/// Why parameter sets make no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// What was given as an SPS cannot be read.
    #[error(transparent)]
    Sps(#[from] sps::Error),
    /// The headers of the encoder have no SPS.
    #[error("no SPS among the headers")]
    NoSps,
    /// The headers of the encoder have no PPS.
    #[error("no PPS among the headers")]
    NoPps,
    /// More PPS than a record can count.
    #[error("more than {PPS_COUNT_MAX} PPS")]
    TooManyPps,
    /// What was given as a PPS is something else.
    #[error("NAL unit of kind {kind:?} is not a PPS")]
    NotPps {
        /// What it is.
        kind: NalKind,
    },
    /// The bytes are no record, or end early.
    #[error("AVC decoder configuration record of {len} bytes: {reason}")]
    Record {
        /// Its length in bytes.
        len: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A PPS longer than its 16-bit length can say.
    #[error("PPS of {len} bytes is longer than a record can say")]
    PpsTooLong {
        /// Its length in bytes.
        len: usize,
    },
}

impl AvcConfig {
    /// The record of one SPS and one PPS, NAL units with their header byte.
    pub fn new(sps: &[u8], pps: &[u8]) -> Result<Self, Error> {
        let parsed = Sps::parse(sps)?;
        Self { sps: sps.to_vec(), pps: Vec::new(), parsed }.and_pps(pps)
    }

    /// The same with one PPS more.
    pub fn and_pps(mut self, pps: &[u8]) -> Result<Self, Error> {
        let kind = NalKind::of(pps);
        if kind != NalKind::Pps {
            return Err(Error::NotPps { kind });
        }
        if pps.len() > usize::from(u16::MAX) {
            return Err(Error::PpsTooLong { len: pps.len() });
        }
        if self.pps.len() == PPS_COUNT_MAX {
            return Err(Error::TooManyPps);
        }
        self.pps.push(pps.to_vec());
        Ok(self)
    }

    /// The first SPS and the PPS of an Annex B byte stream: an encoder's headers, or a keyframe that repeats them.
    pub fn from_annex_b(bytes: &[u8]) -> Result<Self, Error> {
        let of_kind = |kind| annex_b(bytes).filter(move |nal| NalKind::of(nal) == kind);
        let sps = of_kind(NalKind::Sps).next().ok_or(Error::NoSps)?;
        let mut pps: Vec<_> = of_kind(NalKind::Pps).collect();
        // Encoders that repeat their headers repeat them bit by bit.
        pps.dedup();
        let (first, others) = pps.split_first().ok_or(Error::NoPps)?;
        others.iter().try_fold(Self::new(sps, first)?, |config, nal| config.and_pps(nal))
    }

    /// The SPS, as a NAL unit.
    pub fn sps_nal(&self) -> &[u8] {
        &self.sps
    }

    /// The PPS, as NAL units.
    pub fn pps_nals(&self) -> impl Iterator<Item = &[u8]> {
        self.pps.iter().map(Vec::as_slice)
    }

    /// What the SPS says.
    pub fn sps(&self) -> &Sps {
        &self.parsed
    }

    /// The record.
    pub fn to_bytes(&self) -> Vec<u8> {
        let Sps { profile_idc, constraint_flags, level_idc, .. } = self.parsed;
        let mut record = Vec::with_capacity(64 + self.sps.len());
        record.put_slice(&[1, profile_idc, constraint_flags, level_idc]);
        record.put_slice(&[0xFC | (LENGTH_SIZE - 1), 0xE0 | 1]);
        put_set(&self.sps, &mut record);
        record.put_u8(self.pps.len() as u8);
        self.pps.iter().for_each(|nal| put_set(nal, &mut record));
        if self.parsed.is_high_profile() {
            let Sps { chroma_format_idc, luma_bits, chroma_bits, .. } = self.parsed;
            record.put_slice(&[0xFC | chroma_format_idc, 0xF8 | (luma_bits - 8), 0xF8 | (chroma_bits - 8), 0]);
        }
        record
    }
}

/// What the first SPS of a record says. Records of others are read no further: they are handed on as they are.
pub fn sps_of_record(record: &[u8]) -> Result<Sps, Error> {
    let wrong = |reason| Error::Record { len: record.len(), reason };
    let Some((&[version, _, _, _, _, count, high, low], rest)) = record.split_first_chunk() else {
        return Err(wrong("too short"));
    };
    if version != 1 {
        return Err(wrong("its version is not 1"));
    }
    if count & 0x1F == 0 {
        return Err(Error::NoSps);
    }
    let len = usize::from(u16::from_be_bytes([high, low]));
    Ok(Sps::parse(rest.get(..len).ok_or_else(|| wrong("it ends within its SPS"))?)?)
}

/// A parameter set behind its length, which `new` has checked.
fn put_set(nal: &[u8], record: &mut Vec<u8>) {
    record.put_u16(nal.len() as u16);
    record.put_slice(nal);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Baseline 16x16, by hand in the tests of `sps`.
    const BASELINE: [u8; 6] = [0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x79];
    /// x264's headers for 1080p30 High with one reference frame: SPS, PPS and an SEI.
    const X264: &[u8] =
        b"\0\0\0\x01\x67\x64\x00\x28\xac\xb4\x03\xc0\x11\x3f\x2e\x02\x20\x00\x00\x03\x00\x20\x00\x00\x07\
        \x91\xe3\x06\x54\0\0\0\x01\x68\xef\x0f\xcb\0\0\x01\x06\x05\xff";

    #[test]
    fn baseline_record_by_hand() {
        let config = AvcConfig::new(&BASELINE, &[0x68, 0xCE]).unwrap().and_pps(&[0x68, 0x5A, 1]).unwrap();
        let by_hand =
            [&[1, 0x42, 0xC0, 0x1E, 0xFF, 0xE1, 0, 6][..], &BASELINE, &[2, 0, 2, 0x68, 0xCE, 0, 3, 0x68, 0x5A, 1]];
        assert_eq!(config.to_bytes(), by_hand.concat());
    }

    #[test]
    fn high_record_tells_format_and_depth() {
        let config = AvcConfig::from_annex_b(X264).unwrap();
        let record = config.to_bytes();
        assert_eq!(record[..8], [1, 100, 0, 40, 0xFF, 0xE1, 0, 25]);
        assert_eq!(record[8..33], *config.sps_nal());
        assert_eq!(record[33..], [1, 0, 4, 0x68, 0xEF, 0x0F, 0xCB, 0xFD, 0xF8, 0xF8, 0]);
        assert_eq!((config.sps().width, config.sps().height), (1920, 1080));
    }

    #[test]
    fn a_record_is_read_as_far_as_its_sps() {
        let config = AvcConfig::from_annex_b(X264).unwrap();
        let record = config.to_bytes();
        assert_eq!(sps_of_record(&record).as_ref(), Ok(config.sps()));
        for len in 0..33 {
            assert!(matches!(sps_of_record(&record[..len]), Err(Error::Record { .. })), "{len}");
        }
        let [mut version, mut count] = [record.clone(), record];
        (version[0], count[5]) = (2, 0xE0);
        assert!(matches!(sps_of_record(&version), Err(Error::Record { .. })));
        assert_eq!(sps_of_record(&count), Err(Error::NoSps));
    }

    #[test]
    fn repeated_headers_count_once() {
        let twice = [X264, X264].concat();
        assert_eq!(AvcConfig::from_annex_b(&twice).unwrap(), AvcConfig::from_annex_b(X264).unwrap());
    }

    #[test]
    fn refusals() {
        let headers = |nals: &[&[u8]]| AvcConfig::from_annex_b(&nals.join(&[0, 0, 1][..]));
        assert_eq!(headers(&[&[], &[0x68]]), Err(Error::NoSps));
        assert_eq!(headers(&[&[], &BASELINE]), Err(Error::NoPps));
        assert_eq!(AvcConfig::new(&BASELINE, &[0x67]), Err(Error::NotPps { kind: NalKind::Sps }));
        assert_eq!(AvcConfig::new(&BASELINE, &[0x68; 65_536]), Err(Error::PpsTooLong { len: 65_536 }));
        assert!(matches!(AvcConfig::new(&[0x68], &[0x68]), Err(Error::Sps(_))));
        let full = (1..PPS_COUNT_MAX).try_fold(AvcConfig::new(&BASELINE, &[0x68]).unwrap(), |c, _| c.and_pps(&[0x68]));
        assert_eq!(full.unwrap().and_pps(&[0x68]), Err(Error::TooManyPps));
    }
}
