//! HEVC around the encoder: what an SPS says of the picture, and the record by which FLV and MP4 describe a stream.
//!
//! ```text
//! SPS   [0 | type 6 | layer 6 | temporal id + 1, 3] [vps id 4 | layers - 1, 3 | nesting 1] profile, tier and level 12 bytes ...
//! hvcC  01 | profile, tier and level 12 | F000 | FC | FC + chroma format | F8 + luma bits - 8 | F8 + chroma bits - 8 | 0000
//!       | layers 3, nesting 1, length size - 1 | 03 | (80 + type, u16 count 1, u16 length, VPS), the same of SPS and PPS
//! ```
//!
//! Specs: ITU-T H.265 sections 7.3.1.2, 7.3.2.2 and 7.3.3; ISO/IEC 14496-15 section 8.3.3.1. Left out: everything behind the
//! SPS's bit depths, streams with temporal layers, which are not asked for, and all that H.264 has in common with it, which is
//! `h264`'s.

use crate::h264::{
    bits::{self, Reader},
    nal::unescape,
};

/// Bytes of a NAL unit's header.
const HEADER_LEN: usize = 2;
/// Bytes that say profile, tier and level.
const PROFILE_LEN: usize = 12;
/// `chroma_format_idc` 4:4:4, with a flag more.
const CHROMA_444: u32 = 3;
/// Types of NAL units (H.265 table 7-1).
const NAL_VPS: u8 = 32;
const NAL_SPS: u8 = 33;
const NAL_PPS: u8 = 34;
/// Set where all parameter sets of a type stand in the record, and none in the stream.
const IS_COMPLETE: u8 = 0x80;
/// What the record says of the lengths before NAL units: four bytes.
const LENGTH_SIZE_MINUS_ONE: u8 = 3;

/// What a sequence parameter set says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    /// Pixels from left to right, cropped.
    pub width: u32,
    /// Pixels from top to bottom, cropped.
    pub height: u32,
    /// `chroma_format_idc`.
    pub chroma_format: u32,
    /// Temporal layers beside the first.
    pub layers: u32,
    is_nested: bool,
    profile: [u8; PROFILE_LEN],
    luma_bits_over_8: u32,
    chroma_bits_over_8: u32,
}

/// Why parameter sets make no record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The SPS ends too soon, or says what no SPS may.
    #[error("an SPS of HEVC that cannot be read: {0}")]
    Sps(#[from] bits::Error),
    /// There is a kind of layer that is not read here.
    #[error("an SPS of HEVC with {layers} temporal layers beside the first")]
    Layers {
        /// How many.
        layers: u32,
    },
    /// A bit depth that the record cannot say.
    #[error("an SPS of HEVC with {0} bits above 8")]
    Depth(u32),
    /// A parameter set longer than its 16-bit length can say.
    #[error("a parameter set of HEVC of {len} bytes is longer than a record can say")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
}

impl Sps {
    /// Reads an SPS, a NAL unit with its header.
    pub fn parse(nal: &[u8]) -> Result<Self, Error> {
        let payload = unescape(nal.get(HEADER_LEN..).unwrap_or_default());
        let mut bits = Reader::new(&payload);
        let _vps_id = bits.bits(4)?;
        let layers = bits.bits(3)?;
        let is_nested = bits.flag()?;
        let mut profile = [0; PROFILE_LEN];
        for byte in &mut profile {
            *byte = bits.u8()?;
        }
        if layers > 0 {
            // What follows is said of each layer once more.
            return Err(Error::Layers { layers });
        }
        let (_sps_id, chroma_format) = (bits.ue()?, bits.ue()?);
        if chroma_format == CHROMA_444 {
            let _is_in_planes = bits.flag()?;
        }
        let (width, height) = (bits.ue()?, bits.ue()?);
        let mut cropped = [0_u32; 4];
        if bits.flag()? {
            for side in &mut cropped {
                // Told in chroma samples, of which 4:2:0 has one for two pixels.
                *side = bits.ue()?.saturating_mul(2);
            }
        }
        let [left, right, top, bottom] = cropped;
        let (luma_bits_over_8, chroma_bits_over_8) = (bits.ue()?, bits.ue()?);
        if let Some(&over) = [luma_bits_over_8, chroma_bits_over_8].iter().find(|over| **over > 7) {
            return Err(Error::Depth(over));
        }
        Ok(Self {
            width: width.saturating_sub(left.saturating_add(right)),
            height: height.saturating_sub(top.saturating_add(bottom)),
            chroma_format,
            layers,
            is_nested,
            profile,
            luma_bits_over_8,
            chroma_bits_over_8,
        })
    }

    /// `general_profile_idc`: 1 is Main.
    pub fn profile_idc(&self) -> u8 {
        self.profile[0] & 0x1F
    }
}

/// The HEVCDecoderConfigurationRecord of a stream whose access units have their NAL units behind four bytes of length, and
/// none of these parameter sets.
pub fn decoder_configuration(vps: &[u8], sps: &[u8], pps: &[Vec<u8>]) -> Result<Vec<u8>, Error> {
    let said = Sps::parse(sps)?;
    let mut record = vec![1];
    record.extend(said.profile);
    // No word on slices and threads, an unknown rate of frames.
    record.extend([0xF0, 0, 0xFC, 0xFC | (said.chroma_format & 3) as u8]);
    record.extend([0xF8 | said.luma_bits_over_8 as u8, 0xF8 | said.chroma_bits_over_8 as u8, 0, 0]);
    record.push(((said.layers as u8 + 1) << 3) | (u8::from(said.is_nested) << 2) | LENGTH_SIZE_MINUS_ONE);
    record.push(3);
    put_array(NAL_VPS, &[vps], &mut record)?;
    put_array(NAL_SPS, &[sps], &mut record)?;
    let pps: Vec<_> = pps.iter().map(Vec::as_slice).collect();
    put_array(NAL_PPS, &pps, &mut record)?;
    Ok(record)
}

/// Appends all parameter sets of a type.
fn put_array(kind: u8, nals: &[&[u8]], record: &mut Vec<u8>) -> Result<(), Error> {
    let short = |len: usize| u16::try_from(len).map_err(|_| Error::TooLong { len });
    record.push(IS_COMPLETE | kind);
    record.extend(short(nals.len())?.to_be_bytes());
    for nal in nals {
        record.extend(short(nal.len())?.to_be_bytes());
        record.extend_from_slice(nal);
    }
    Ok(())
}

/// x265's SPS for 322x182: 328x184, cropped.
#[cfg(test)]
pub(crate) const SPS: &[u8] =
    b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x48\x0b\x9c\
        \x95\x96\x56\x69\x24\xca\xf0\x16\x80\x80\x00\x00\x03\x00\x80\x00\x00\x0f\x04";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_sps_says_what_it_is_of() {
        let sps = Sps::parse(SPS).unwrap();
        assert_eq!((sps.width, sps.height, sps.profile_idc(), sps.chroma_format), (322, 182, 1, 1));
        assert!(matches!(Sps::parse(&SPS[..20]), Err(Error::Sps(_))));
        let mut layered = SPS.to_vec();
        layered[2] |= 2;
        assert_eq!(Sps::parse(&layered), Err(Error::Layers { layers: 1 }));
    }

    #[test]
    fn the_record_by_hand() {
        let record = decoder_configuration(&[0x40, 1, 2], SPS, &[vec![0x44, 1], vec![0x44, 1, 3]]).unwrap();
        let head = b"\x01\x01\x60\x00\x00\x00\x90\x00\x00\x00\x00\x00\x3C\xF0\x00\xFC\xFD\xF8\xF8\x00\x00\x0F\x03";
        let sps = [&[0xA1, 0, 1, 0, SPS.len() as u8], SPS].concat();
        let pps = b"\xA2\x00\x02\x00\x02\x44\x01\x00\x03\x44\x01\x03";
        assert_eq!(record, [&head[..], b"\xA0\x00\x01\x00\x03\x40\x01\x02", &sps, pps].concat());
        let endless = decoder_configuration(&[0x40; 70_000], SPS, &[]);
        assert_eq!(endless, Err(Error::TooLong { len: 70_000 }));
    }

    proptest! {
        #[test]
        fn garbage_is_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Sps::parse(&bytes);
        }
    }
}
