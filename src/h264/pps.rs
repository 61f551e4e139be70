//! The picture parameter set: what of it the header of a slice depends on, and one for pictures that repeat the last.
//!
//! Spec: 14496-10 sections 7.3.2.2 and 7.4.2.2. Left out: slice groups, which only Baseline has and nobody uses, and what
//! comes after the flags (8x8 transform, scaling), which no slice header depends on.

use super::{
    bits::{self, Reader, Writer},
    nal::{NalKind, escape, unescape},
};

/// Longest NAL unit taken for a PPS, in bytes; the longest legal one is shorter.
const PPS_LEN_MAX: usize = 4096;
/// `nal_ref_idc` 3, type 8.
const HEADER: u8 = 0x68;

/// What a PPS says of slice headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pps {
    /// `pic_parameter_set_id`, 0 to 255.
    pub id: u8,
    /// Whether slices are coded by CABAC rather than CAVLC.
    pub is_cabac: bool,
    /// Whether slices of frames tell the place of the bottom field, too.
    pub has_bottom_order: bool,
    /// How many frames a P slice may refer to, unless it says otherwise itself; at least 1.
    pub num_ref_idx_l0: u32,
    /// Whether P slices carry weights.
    pub is_weighted: bool,
    /// From what a slice's quantiser is told: 26 and the set's own offset.
    pub init_qp: i32,
    /// Whether slices tell the number of redundant pictures.
    pub has_redundant_pictures: bool,
}

/// Why a NAL unit is not a PPS we can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another kind of NAL unit, or one that is too long.
    #[error("NAL unit of kind {kind:?} and {len} bytes is not a PPS")]
    NotPps {
        /// What it is.
        kind: NalKind,
        /// Its length in bytes.
        len: usize,
    },
    /// The bits end early or make no sense.
    #[error("PPS: {0}")]
    Bits(#[from] bits::Error),
    /// A field has a value the standard does not know, or that we do not.
    #[error("PPS: {field} is {value}")]
    Unknown {
        /// The field's name in the standard.
        field: &'static str,
        /// Its value.
        value: u32,
    },
}

impl Pps {
    /// Reads a NAL unit, header byte included.
    pub fn parse(nal: &[u8]) -> Result<Self, Error> {
        let (kind, len) = (NalKind::of(nal), nal.len());
        if kind != NalKind::Pps || len > PPS_LEN_MAX {
            return Err(Error::NotPps { kind, len });
        }
        Self::read(&mut Reader::new(&unescape(&nal[1..])))
    }

    fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        let id = up_to(bits, "pic_parameter_set_id", 255)? as u8;
        let _sps_id = up_to(bits, "seq_parameter_set_id", 31)?;
        let (is_cabac, has_bottom_order) = (bits.flag()?, bits.flag()?);
        up_to(bits, "num_slice_groups_minus1", 0)?;
        let num_ref_idx_l0 = up_to(bits, "num_ref_idx_l0_default_active_minus1", 31)? + 1;
        let _num_ref_idx_l1 = up_to(bits, "num_ref_idx_l1_default_active_minus1", 31)?;
        let is_weighted = bits.flag()?;
        let _weighted_bipred_idc = bits.bits(2)?;
        let init_qp = 26 + bits.se()?;
        let (_init_qs, _chroma_qp_offset) = (bits.se()?, bits.se()?);
        let (_has_deblocking_control, _is_intra_constrained) = (bits.flag()?, bits.flag()?);
        let has_redundant_pictures = bits.flag()?;
        Ok(Self { id, is_cabac, has_bottom_order, num_ref_idx_l0, is_weighted, init_qp, has_redundant_pictures })
    }
}

/// A PPS for pictures that repeat the last: CAVLC, one reference, no weights; slices may switch deblocking off.
pub fn repeating(id: u8, sps_id: u8, has_bottom_order: bool) -> Vec<u8> {
    let mut bits = Writer::new();
    bits.ue(id.into());
    bits.ue(sps_id.into());
    bits.flag(false); // entropy_coding_mode_flag: CAVLC
    bits.flag(has_bottom_order);
    bits.ue(0); // one slice group
    bits.ue(0); // one reference in list 0
    bits.ue(0); // and in list 1
    bits.flag(false); // weighted_pred_flag
    bits.bits(0, 2); // weighted_bipred_idc
    bits.se(0); // pic_init_qp_minus26
    bits.se(0); // pic_init_qs_minus26
    bits.se(0); // chroma_qp_index_offset
    bits.flag(true); // deblocking_filter_control_present_flag
    bits.flag(false); // constrained_intra_pred_flag
    bits.flag(false); // redundant_pic_cnt_present_flag
    let mut nal = vec![HEADER];
    nal.extend(escape(&bits.finish()));
    nal
}

fn up_to(bits: &mut Reader<'_>, field: &'static str, max: u32) -> Result<u32, Error> {
    let value = bits.ue()?;
    if value <= max { Ok(value) } else { Err(Error::Unknown { field, value }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ours_reads_as_what_it_is() {
        let pps = Pps::parse(&repeating(7, 2, false)).unwrap();
        let expected = Pps {
            id: 7,
            is_cabac: false,
            has_bottom_order: false,
            num_ref_idx_l0: 1,
            is_weighted: false,
            init_qp: 26,
            has_redundant_pictures: false,
        };
        assert_eq!(pps, expected);
    }

    /// What x264 writes at preset superfast: CABAC, weights, quantiser 23.
    #[test]
    fn x264s() {
        let pps = Pps::parse(&[0x68, 0xEF, 0x0F, 0xCB]).unwrap();
        assert_eq!((pps.id, pps.is_cabac, pps.is_weighted, pps.num_ref_idx_l0), (0, true, true, 1));
        assert_eq!(pps.init_qp, 23);
    }

    #[test]
    fn others_are_refused() {
        assert!(matches!(Pps::parse(&[0x67, 1]), Err(Error::NotPps { kind: NalKind::Sps, len: 2 })));
        assert!(matches!(Pps::parse(&[0x68]), Err(Error::Bits(_))));
        assert!(matches!(Pps::parse(&vec![0x68; PPS_LEN_MAX + 1]), Err(Error::NotPps { .. })));
        // Two slice groups: 1 | 1 | 0 0 | 010.
        let groups = Pps::parse(&[0x68, 0b1100_0100]);
        assert_eq!(groups, Err(Error::Unknown { field: "num_slice_groups_minus1", value: 1 }));
    }

    proptest! {
        #[test]
        fn garbage_is_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..32)) {
            let _ = Pps::parse(&[&[HEADER][..], &bytes].concat());
        }
    }
}
