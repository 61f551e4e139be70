//! NAL units: their kinds, the two ways to put them one after the other, and emulation prevention.
//!
//! ```text
//! Annex B    00 00 00 01 nal  00 00 01 nal 00 ...      start codes of three bytes, any zeros before and after
//! AVCC       length(4) nal    length(4) nal            big endian; what FLV and MP4 carry
//! nal        [0 | ref_idc 2 | type 5] payload          in the payload 00 00 00..03 becomes 00 00 03 00..03
//! ```
//!
//! Spec: 14496-10 section 7.3.1 and annex B, 14496-15 section 5.3.3. Left out: extension headers of types 14, 20, 21.

use bytes::BufMut;

/// What a NAL unit contains (table 7-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NalKind {
    /// 1: slice of a picture that is not IDR.
    Slice,
    /// 5: slice of an IDR picture, from which decoding can start.
    Idr,
    /// 6: supplemental information.
    Sei,
    /// 7: sequence parameter set.
    Sps,
    /// 8: picture parameter set.
    Pps,
    /// 9: access unit delimiter.
    AccessUnitDelimiter,
    /// 12: filler data, to be thrown away.
    Filler,
    /// Anything else, by its number.
    Other(u8),
}

impl NalKind {
    /// The kind of `nal`; an empty one is of the unspecified kind 0.
    pub fn of(nal: &[u8]) -> Self {
        match nal.first().map_or(0, |header| header & 0x1F) {
            1 => Self::Slice,
            5 => Self::Idr,
            6 => Self::Sei,
            7 => Self::Sps,
            8 => Self::Pps,
            9 => Self::AccessUnitDelimiter,
            12 => Self::Filler,
            other => Self::Other(other),
        }
    }
}

/// `nal_ref_idc`: 0 when no other picture refers to this one, so that it may be dropped.
pub fn ref_idc(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |header| header >> 5 & 0b11)
}

/// The NAL units between the start codes of `bytes`, without the zeros around them; empty ones are passed over.
///
/// What comes before the first start code is no NAL unit.
pub fn annex_b(bytes: &[u8]) -> AnnexB<'_> {
    AnnexB { rest: find_start_code(bytes).map_or(&[], |(_, after)| after) }
}

/// Iterator of [`annex_b`].
#[derive(Debug, Clone)]
pub struct AnnexB<'a> {
    /// Behind the last start code found.
    rest: &'a [u8],
}

impl<'a> Iterator for AnnexB<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        while !self.rest.is_empty() {
            let (before, after) = find_start_code(self.rest).unwrap_or((self.rest, &[]));
            self.rest = after;
            // A NAL unit ends with a one bit or with 03: zeros at its end belong to the next start code or to nobody.
            let len = before.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            if len > 0 {
                return Some(&before[..len]);
            }
        }
        None
    }
}

/// What comes before and after the first 00 00 01.
fn find_start_code(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut at = 0;
    while let Some(third) = bytes.get(at + 2) {
        at += match third {
            0 => 1,
            1 if bytes[at] == 0 && bytes[at + 1] == 0 => return Some((&bytes[..at], &bytes[at + 3..])),
            // No start code contains a byte above 1, nor a 1 in its first two places.
            _ => 3,
        };
    }
    None
}

/// Appends `nal` behind its four length bytes.
pub fn put_length_prefixed(nal: &[u8], out: &mut impl BufMut) {
    debug_assert!(u32::try_from(nal.len()).is_ok(), "NAL unit of {} bytes", nal.len());
    out.put_u32(nal.len() as u32);
    out.put_slice(nal);
}

/// The fewest bytes that filler takes, its length included.
pub const FILLER_LEN_MIN: usize = 6;

/// Appends a NAL unit of filler data that takes `len` bytes with its length, at least [`FILLER_LEN_MIN`].
pub fn put_filler(len: usize, out: &mut impl BufMut) {
    let bytes = len.max(FILLER_LEN_MIN) - 4;
    out.put_u32(bytes as u32);
    out.put_u8(12);
    out.put_bytes(0xFF, bytes - 2);
    // The stop bit.
    out.put_u8(0x80);
}

/// The NAL units of an access unit in AVCC framing; `None`, and nothing after it, where a length is wrong.
pub fn length_prefixed(mut bytes: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let split = bytes.split_first_chunk::<4>();
        let split = split.and_then(|(len, rest)| rest.split_at_checked(u32::from_be_bytes(*len) as usize));
        let (nal, rest) =
            split.filter(|(nal, _)| !nal.is_empty()).map_or((None, &[][..]), |(nal, rest)| (Some(nal), rest));
        bytes = rest;
        Some(nal)
    })
}

/// Appends all NAL units of an Annex B byte stream in AVCC framing.
pub fn append_length_prefixed(bytes: &[u8], out: &mut impl BufMut) {
    for nal in annex_b(bytes) {
        put_length_prefixed(nal, out);
    }
}

/// The payload of a NAL unit without its emulation prevention bytes; `payload` starts after the header byte.
pub fn unescape(payload: &[u8]) -> Vec<u8> {
    let mut rbsp = Vec::with_capacity(payload.len());
    let mut zeros = 0;
    for &byte in payload {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        rbsp.push(byte);
    }
    rbsp
}

/// `rbsp` with emulation prevention bytes, so that no start code appears in it or across its end.
pub fn escape(rbsp: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(rbsp.len() + rbsp.len() / 64 + 4);
    let mut zeros = 0;
    for &byte in rbsp {
        if zeros >= 2 && byte <= 3 {
            payload.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        payload.push(byte);
    }
    if zeros > 0 {
        payload.push(3);
    }
    payload
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nals(bytes: &[u8]) -> Vec<&[u8]> {
        annex_b(bytes).collect()
    }

    #[test]
    fn start_codes_of_both_lengths_and_stray_zeros() {
        let bytes = [0, 0, 0, 0, 1, 0x67, 1, 0, 0, 0, 1, 0x68, 2, 0, 0, 1, 0x65, 0, 0, 3, 1, 0, 0, 0];
        assert_eq!(nals(&bytes), [&[0x67, 1][..], &[0x68, 2], &[0x65, 0, 0, 3, 1]]);
        assert_eq!(nals(&[0, 0, 1, 9]), [[9]]);
        assert_eq!(nals(&[7, 8, 0, 0, 1, 9]), [[9]], "what stands before the first start code is skipped");
        assert_eq!(nals(&[0, 0, 1, 0, 0, 1, 9]), [[9]], "an empty unit is passed over");
        for none in [&[][..], &[0, 0, 1], &[0, 0, 0, 0], &[1, 2, 3, 4], &[0, 1, 0, 1]] {
            assert_eq!(nals(none), [[0u8; 0]; 0], "{none:?}");
        }
    }

    #[test]
    fn avcc_by_hand() {
        let mut out = vec![0xEE];
        append_length_prefixed(&[0, 0, 0, 1, 0x67, 1, 0, 0, 1, 0x65], &mut out);
        assert_eq!(out, [0xEE, 0, 0, 0, 2, 0x67, 1, 0, 0, 0, 1, 0x65]);
    }

    #[test]
    fn avcc_by_hand_and_back() {
        let nals = |bytes| length_prefixed(bytes).collect::<Vec<_>>();
        assert_eq!(nals(&[0, 0, 0, 1, 0x65, 0, 0, 0, 2, 0x41, 9]), [Some(&[0x65][..]), Some(&[0x41, 9])]);
        assert_eq!(nals(&[0, 0, 0, 1, 0x65, 0, 0, 0, 2, 0x41]), [Some(&[0x65][..]), None]);
        for wrong in [&[0][..], &[0, 0, 0, 0], &[255, 255, 255, 255, 1]] {
            assert_eq!(nals(wrong), [None], "{wrong:?}");
        }
        assert_eq!(nals(&[]), []);
    }

    #[test]
    fn filler_takes_what_it_is_told_to() {
        for len in [FILLER_LEN_MIN, 7, 300] {
            let mut out = Vec::new();
            put_filler(len, &mut out);
            assert_eq!(out.len(), len);
            let nals: Vec<_> = length_prefixed(&out).map(Option::unwrap).collect();
            assert_eq!(nals.iter().map(|nal| NalKind::of(nal)).collect::<Vec<_>>(), [NalKind::Filler]);
            assert!(nals[0][1..len - 5].iter().all(|&byte| byte == 0xFF) && nals[0].last() == Some(&0x80));
        }
    }

    #[test]
    fn headers() {
        assert_eq!((NalKind::of(&[0x65]), ref_idc(&[0x65])), (NalKind::Idr, 3));
        assert_eq!((NalKind::of(&[0x41]), ref_idc(&[0x41])), (NalKind::Slice, 2));
        assert_eq!((NalKind::of(&[0x06]), ref_idc(&[0x06])), (NalKind::Sei, 0));
        assert_eq!(NalKind::of(&[]), NalKind::Other(0));
    }

    #[test]
    fn emulation_prevention_by_hand() {
        for (rbsp, payload) in [
            (&[0, 0, 0][..], &[0, 0, 3, 0, 3][..]),
            (&[0, 0, 1], &[0, 0, 3, 1]),
            (&[0, 0, 3], &[0, 0, 3, 3]),
            (&[0, 0, 4], &[0, 0, 4]),
            (&[0, 0, 0, 0, 1], &[0, 0, 3, 0, 0, 3, 1]),
            (&[5, 0], &[5, 0, 3]),
        ] {
            assert_eq!(escape(rbsp), payload);
        }
        assert_eq!(unescape(&[0, 0, 3, 0, 0, 3, 1]), [0, 0, 0, 0, 1]);
    }

    fn zero_rich() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop_oneof![3 => 0u8..5, 1 => any::<u8>()], 0..64)
    }

    /// Any payload, with the stop bit that every real one ends with.
    fn rbsp() -> impl Strategy<Value = Vec<u8>> {
        zero_rich().prop_map(|bytes| [&bytes[..], &[0x80]].concat())
    }

    proptest! {
        #[test]
        fn escaped_payloads_hide_no_start_code(rbsp in rbsp()) {
            let payload = escape(&rbsp);
            prop_assert!(!payload.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3));
            prop_assert_eq!(unescape(&payload), rbsp);
        }

        #[test]
        fn units_survive_any_start_codes(rbsps in prop::collection::vec((rbsp(), 2usize..5), 1..6)) {
            let units: Vec<Vec<u8>> = rbsps.iter().map(|(rbsp, _)| [&[0x65][..], &escape(rbsp)].concat()).collect();
            let mut stream = Vec::new();
            for (unit, (_, zeros)) in units.iter().zip(&rbsps) {
                stream.extend(std::iter::repeat_n(0, *zeros).chain([1]).chain(unit.iter().copied()));
            }
            prop_assert_eq!(nals(&stream), units);
        }

        #[test]
        fn garbage_is_an_answer(bytes in zero_rich()) {
            prop_assert!(annex_b(&bytes).all(|nal| !nal.is_empty() && nal.last() != Some(&0)));
            unescape(&bytes);
        }
    }
}
