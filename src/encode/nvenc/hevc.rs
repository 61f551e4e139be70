//! What of HEVC has to be known to hand its access units on: the kinds of NAL units, and what the SPS says of the picture.
//!
//! ```text
//! nal   [0 | type 6 | layer 6 | temporal id + 1, 3] payload      emulation prevention as in H.264
//! ```
//!
//! Spec: ITU-T H.265 sections 7.3.1.2, 7.3.2.2 and 7.4.2.2, table 7-1. Left out: everything behind the SPS's cropping, and
//! streams with temporal layers, which are not asked for.

use super::Kind;
use crate::{
    base::size::Size,
    encode::ParameterSets,
    h264::{
        bits::{self, Reader},
        nal::unescape,
    },
};

/// Bytes of a NAL unit's header.
const HEADER_LEN: usize = 2;
/// `general_profile_idc` of Main.
const PROFILE_MAIN: u32 = 1;
/// Bits of a profile between `general_profile_idc` and `general_level_idc`: compatibility and constraint flags.
const FLAGS: [usize; 3] = [32, 32, 16];
/// `chroma_format_idc` 4:2:0.
const CHROMA_420: u32 = 1;

/// What a NAL unit is.
pub(super) fn kind_of(nal: &[u8]) -> Kind {
    match nal.first().map_or(63, |header| header >> 1 & 0x3F) {
        // IDR pictures, with and without leading ones: the keyframes that are asked for.
        19 | 20 => Kind::Key,
        0..=31 => Kind::Slice,
        32 => Kind::Vps,
        33 => Kind::Sps,
        34 => Kind::Pps,
        _ => Kind::Other,
    }
}

/// The parameter sets, if the SPS is of the Main profile and of this size; else what it says.
pub(super) fn checked(sets: ParameterSets, size: Size) -> Result<ParameterSets, String> {
    let said = read_sps(&sets.sps).map_err(|error| format!("an SPS that cannot be read: {error}"))?;
    let meant = [PROFILE_MAIN, 0, CHROMA_420, size.width(), size.height()];
    if said == meant {
        return Ok(sets);
    }
    Err(format!("an SPS of profile, temporal layers, chroma, width and height {said:?} instead of {meant:?}"))
}

/// Profile, temporal layers, chroma format, width and height.
fn read_sps(nal: &[u8]) -> Result<[u32; 5], bits::Error> {
    let payload = unescape(nal.get(HEADER_LEN..).unwrap_or_default());
    let mut bits = Reader::new(&payload);
    let _vps_id = bits.bits(4)?;
    let layers = bits.bits(3)?;
    let (_is_nesting, _profile_space_and_tier) = (bits.flag()?, bits.bits(3)?);
    let profile = bits.bits(5)?;
    for len in FLAGS {
        let _flags = bits.bits(len)?;
    }
    let (_level, _sps_id, chroma) = (bits.u8()?, bits.ue()?, bits.ue()?);
    let (width, height) = (bits.ue()?, bits.ue()?);
    let mut cropped = [0; 4];
    if bits.flag()? {
        for side in &mut cropped {
            *side = bits.ue()?;
        }
    }
    // The cropping is told in chroma samples.
    let [left, right, top, bottom] = cropped.map(|samples| samples.saturating_mul(2));
    let width = width.saturating_sub(left.saturating_add(right));
    Ok([profile, layers, chroma, width, height.saturating_sub(top.saturating_add(bottom))])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// x265's SPS for 322x182: 328x184, cropped.
    const SPS: &[u8] = b"\x42\x01\x01\x01\x60\x00\x00\x03\x00\x90\x00\x00\x03\x00\x00\x03\x00\x3c\xa0\x0a\x48\x0b\x9c\
        \x95\x96\x56\x69\x24\xca\xf0\x16\x80\x80\x00\x00\x03\x00\x80\x00\x00\x0f\x04";

    #[test]
    fn kinds_by_their_numbers() {
        for (header, kind) in [
            (0x02, Kind::Slice),
            (0x26, Kind::Key),
            (0x28, Kind::Key),
            (0x40, Kind::Vps),
            (0x42, Kind::Sps),
            (0x44, Kind::Pps),
            (0x46, Kind::Other),
            (0x4E, Kind::Other),
        ] {
            assert_eq!(kind_of(&[header, 1]), kind, "{header:#x}");
        }
        assert_eq!(kind_of(&[]), Kind::Other);
    }

    #[test]
    fn an_sps_says_what_it_is_of() {
        assert_eq!(read_sps(SPS), Ok([1, 0, 1, 322, 182]));
        let sets = ParameterSets { vps: None, sps: bytes::Bytes::from_static(SPS), pps: Vec::new() };
        assert!(checked(sets.clone(), Size::new(322, 182).unwrap()).is_ok());
        let other = checked(sets, Size::new(322, 184).unwrap()).unwrap_err();
        assert!(other.ends_with("[1, 0, 1, 322, 182] instead of [1, 0, 1, 322, 184]"), "{other}");
        assert!(read_sps(&SPS[..20]).is_err());
    }

    proptest! {
        #[test]
        fn garbage_is_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = read_sps(&bytes);
        }
    }
}
