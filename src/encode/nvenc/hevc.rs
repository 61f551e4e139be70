//! What of HEVC has to be known to hand its access units on: the kinds of NAL units, and whether its SPS says what was
//! configured.
//!
//! Spec: ITU-T H.265 table 7-1. What an SPS says is read by [`crate::hevc`].

use super::Kind;
use crate::{base::size::Size, encode::ParameterSets, hevc::Sps};

/// `general_profile_idc` of Main.
const PROFILE_MAIN: u8 = 1;
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
    let said = Sps::parse(&sets.sps).map_err(|error| error.to_string())?;
    let is_main = said.profile_idc() == PROFILE_MAIN && said.chroma_format == CHROMA_420;
    if is_main && [said.width, said.height] == size.sides() {
        return Ok(sets);
    }
    let Sps { width, height, chroma_format, .. } = said;
    let profile = said.profile_idc();
    Err(format!(
        "an SPS of {width}x{height}, profile {profile}, chroma format {chroma_format} instead of {size:?}, Main"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hevc::SPS;

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
        let sets = ParameterSets { vps: None, sps: bytes::Bytes::from_static(SPS), pps: Vec::new() };
        assert!(checked(sets.clone(), Size::new(322, 182).unwrap()).is_ok());
        let other = checked(sets, Size::new(322, 184).unwrap()).unwrap_err();
        assert!(other.starts_with("an SPS of 322x182, profile 1, chroma format 1 instead"), "{other}");
    }
}
