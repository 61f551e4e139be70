//! The header of a slice: the numbers of its picture, what it refers to, its quantiser.
//!
//! ```text
//! header | first_mb  type  pps | frame_num | order lsb | ... references, weights, marking ... | qp delta | ... data
//!                                ▲ v bits    ▲ v bits      both of fixed length: they can be replaced in place
//! ```
//!
//! Spec: 14496-10 sections 7.3.3 and 7.4.3. Left out: fields, B slices, separate colour planes, and slice data.

use super::{
    bits::{self, Reader, Writer},
    nal::{NalKind, escape, ref_idc, unescape},
    pps::Pps,
    sps::{PicOrder, Sps},
};

/// Bytes of a slice in which its header surely ends, emulation prevention included: what is unescaped to read it.
const HEADER_LEN_MAX: usize = 256;
/// Most commands that change the list of references, or mark them.
const COMMANDS_MAX: u32 = 66;

/// What the header of a slice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Whether it belongs to an IDR picture.
    pub is_idr: bool,
    /// Whether others may refer to its picture.
    pub is_reference: bool,
    /// Number of its picture among those that are referred to.
    pub frame_num: Field,
    /// The low bits of its picture's place in the order of showing, where slices tell it.
    pub order_lsb: Option<Field>,
    /// Whether it refers to nothing but the picture before it.
    pub refers_to_last_only: bool,
    /// Its quantiser, 0 (finest) to 51.
    pub qp: i32,
}

/// A field of fixed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Where it starts, in bits of the payload without emulation prevention.
    pub bit: usize,
    /// Bits it has.
    pub len: u8,
    /// What it says.
    pub value: u32,
}

/// Why a NAL unit is not a slice we can read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another kind of NAL unit.
    #[error("NAL unit of kind {kind:?} is not a slice")]
    NotSlice {
        /// What it is.
        kind: NalKind,
    },
    /// The bits end early or make no sense.
    #[error("slice: {0}")]
    Bits(#[from] bits::Error),
    /// It refers to another PPS than was given.
    #[error("slice: refers to PPS {got} where {expected} is known")]
    OtherPps {
        /// The id of the known one.
        expected: u8,
        /// The id it names.
        got: u32,
    },
    /// A kind of slice, or something in it, that is not read here.
    #[error("slice: has {what}")]
    Unknown {
        /// What it has.
        what: &'static str,
    },
}

impl Slice {
    /// Reads the header of a slice, NAL unit header included.
    pub fn parse(nal: &[u8], sps: &Sps, pps: &Pps) -> Result<Self, Error> {
        let kind = NalKind::of(nal);
        let is_idr = match kind {
            NalKind::Slice => false,
            NalKind::Idr => true,
            _ => return Err(Error::NotSlice { kind }),
        };
        let head = unescape(&nal[1..nal.len().min(HEADER_LEN_MAX)]);
        read(&mut Reader::new(&head), sps, pps, is_idr, ref_idc(nal) > 0)
    }
}

fn read(bits: &mut Reader<'_>, sps: &Sps, pps: &Pps, is_idr: bool, is_reference: bool) -> Result<Slice, Error> {
    let _first_mb = bits.ue()?;
    let is_intra = match bits.ue()? % 5 {
        0 => false,
        2 => true,
        1 => return Err(Error::Unknown { what: "B macroblocks" }),
        _ => return Err(Error::Unknown { what: "switching macroblocks" }),
    };
    let pps_id = bits.ue()?;
    if pps_id != u32::from(pps.id) {
        return Err(Error::OtherPps { expected: pps.id, got: pps_id });
    }
    let frame_num = field(bits, sps.log2_max_frame_num)?;
    if is_idr {
        let _idr_pic_id = bits.ue()?;
    }
    let order_lsb = match sps.pic_order {
        PicOrder::Lsb { log2_max_lsb } => Some(field(bits, log2_max_lsb)?),
        PicOrder::Decoding => None,
        PicOrder::Cycle => return Err(Error::Unknown { what: "picture order of type 1" }),
    };
    if order_lsb.is_some() && pps.has_bottom_order {
        let _delta_bottom = bits.se()?;
    }
    if pps.has_redundant_pictures {
        let _redundant_pic_cnt = bits.ue()?;
    }
    let mut refers_to_last_only = true;
    if !is_intra {
        let count = if bits.flag()? { bits.ue()?.saturating_add(1) } else { pps.num_ref_idx_l0 };
        refers_to_last_only = count == 1 && refers_to_last(bits)?;
        if pps.is_weighted {
            skip_weights(bits, count, sps.chroma_format_idc != 0)?;
        }
    }
    if is_reference {
        skip_marking(bits, is_idr)?;
    }
    if pps.is_cabac && !is_intra {
        let _cabac_init_idc = bits.ue()?;
    }
    let qp = pps.init_qp + bits.se()?;
    Ok(Slice { is_idr, is_reference, frame_num, order_lsb, refers_to_last_only, qp })
}

fn field(bits: &mut Reader<'_>, len: u8) -> Result<Field, Error> {
    let bit = bits.position();
    Ok(Field { bit, len, value: bits.bits(len.into())? })
}

/// Reads the changes to the list of references (7.3.3.1): whether it still starts with the last picture.
fn refers_to_last(bits: &mut Reader<'_>) -> Result<bool, Error> {
    if !bits.flag()? {
        return Ok(true);
    }
    let mut is_last = true;
    for command in 0..COMMANDS_MAX {
        let operation = bits.ue()?;
        if operation == 3 {
            return Ok(is_last);
        }
        // The first command picks the first reference: the one whose number is smaller by this, less one.
        let distance = bits.ue()?;
        is_last &= command > 0 || (operation == 0 && distance == 0);
    }
    Err(Error::Unknown { what: "too many changes to its references" })
}

/// Passes over the weights of `count` references (7.3.3.2).
fn skip_weights(bits: &mut Reader<'_>, count: u32, has_chroma: bool) -> Result<(), Error> {
    if count > 32 {
        return Err(Error::Unknown { what: "more references than there can be" });
    }
    let _luma_denominator = bits.ue()?;
    if has_chroma {
        let _chroma_denominator = bits.ue()?;
    }
    for _ in 0..count {
        if bits.flag()? {
            let (_weight, _offset) = (bits.se()?, bits.se()?);
        }
        if has_chroma && bits.flag()? {
            for _ in 0..4 {
                bits.se()?;
            }
        }
    }
    Ok(())
}

/// Passes over what becomes of the pictures referred to (7.3.3.3); only the sliding window is known.
fn skip_marking(bits: &mut Reader<'_>, is_idr: bool) -> Result<(), Error> {
    if is_idr {
        let (_no_output_of_prior, is_long_term) = (bits.flag()?, bits.flag()?);
        return if is_long_term { Err(Error::Unknown { what: "a long-term reference" }) } else { Ok(()) };
    }
    if bits.flag()? { Err(Error::Unknown { what: "memory management commands" }) } else { Ok(()) }
}

/// What stands in place of the first bytes of a slice, so that some of its fields have other values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Bytes of the NAL unit whose place it takes, header byte included.
    pub replaced: usize,
    /// As many bytes, but for where emulation prevention takes more or fewer.
    pub bytes: Vec<u8>,
}

impl Start {
    /// The start of `nal` with these values in its fields. What follows it stays as it is.
    ///
    /// # Errors
    /// [`Error::Bits`] when a field does not lie in the slice.
    pub fn with_fields(nal: &[u8], fields: &[Field]) -> Result<Self, Error> {
        let Some((&header, payload)) = nal.split_first() else {
            return Err(Error::NotSlice { kind: NalKind::of(nal) });
        };
        let changed = fields.iter().map(|field| (field.bit + usize::from(field.len)).div_ceil(8)).max().unwrap_or(0);
        let len = len_up_to_data(payload, changed);
        let mut rbsp = unescape(&payload[..len]);
        for field in fields {
            replace(&mut rbsp, *field)?;
        }
        let mut bytes = vec![header];
        bytes.extend(escape(&rbsp));
        Ok(Self { replaced: 1 + len, bytes })
    }
}

/// Bytes of `payload` up to the first behind `changed` bytes of data that is not zero: emulation prevention of what
/// follows does not depend on what is before.
fn len_up_to_data(payload: &[u8], changed: usize) -> usize {
    let (mut zeros, mut data) = (0, 0);
    for (at, &byte) in payload.iter().enumerate() {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        if byte != 0 && data >= changed {
            return at + 1;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        data += 1;
    }
    payload.len()
}

/// Writes a field's value over the bits it has.
fn replace(rbsp: &mut [u8], field: Field) -> Result<(), Error> {
    let len = usize::from(field.len);
    let (first, last) = (field.bit / 8, (field.bit + len).div_ceil(8));
    let lack = bits::Error::Truncated { bit: field.bit, needed: len, left: (rbsp.len() * 8).saturating_sub(field.bit) };
    let bytes = rbsp.get_mut(first..last).ok_or(lack)?;
    let mut old = Reader::new(bytes);
    let mut new = Writer::new();
    new.copy(&mut old, field.bit % 8)?;
    new.bits(field.value, len);
    let _replaced = old.bits(len)?;
    let rest = old.left();
    new.copy(&mut old, rest)?;
    // `finish` ends with a stop bit of its own: a byte more, as these are whole bytes.
    let new = new.finish();
    bytes.copy_from_slice(&new[..last - first]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A field can be replaced wherever it lies, whatever is around it, and nothing else changes.
        #[test]
        fn only_the_field_changes(
            bytes in prop::collection::vec(prop_oneof![2 => 0u8..4, 1 => any::<u8>()], 8..40),
            bit in 0usize..40, len in 1u8..=16, value in any::<u32>(),
        ) {
            let rbsp = [&bytes[..], &[0x80]].concat();
            let value = value & ((1 << len) - 1);
            let nal = [&[0x41][..], &escape(&rbsp)].concat();
            let field = Field { bit, len, value };
            let start = Start::with_fields(&nal, &[field]).unwrap();
            let changed = [&start.bytes[..], &nal[start.replaced..]].concat();
            let payload = &changed[1..];
            prop_assert!(!payload.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3), "a start code");
            let changed = unescape(payload);
            prop_assert_eq!(changed.len(), rbsp.len());
            for i in 0..rbsp.len() * 8 {
                let at = |bytes: &[u8]| Reader::new(&bytes[i / 8..]).bits(8).unwrap() >> (7 - i % 8) & 1;
                let inside = i.checked_sub(bit).filter(|&i| i < usize::from(len));
                let expected = inside.map_or_else(|| at(&rbsp), |i| value >> (usize::from(len) - 1 - i) & 1);
                prop_assert_eq!(at(&changed), expected, "bit {}", i);
            }
        }

        #[test]
        fn garbage_is_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..64), at in 0usize..600) {
            let nal = [&[0x41][..], &bytes].concat();
            let _ = Start::with_fields(&nal, &[Field { bit: at, len: 8, value: 3 }]);
        }
    }

    /// Emulation prevention comes and goes with what a field says, and ends where data does.
    #[test]
    fn only_the_start_is_written_anew() {
        let field = |value| Field { bit: 16, len: 8, value };
        let start = |nal: &[u8], value| {
            let start = Start::with_fields(nal, &[field(value)]).unwrap();
            (start.replaced, start.bytes)
        };
        let data = [9; 1000];
        assert_eq!(start(&[&[0x41, 0, 7, 5, 6][..], &data].concat(), 8), (5, vec![0x41, 0, 7, 8, 6]));
        assert_eq!(start(&[&[0x41, 0, 0, 5, 6][..], &data].concat(), 1), (5, vec![0x41, 0, 0, 3, 1, 6]));
        assert_eq!(start(&[&[0x41, 0, 0, 3, 1, 6][..], &data].concat(), 5), (6, vec![0x41, 0, 0, 5, 6]));
        assert_eq!(start(&[&[0x41, 7, 7, 0, 0, 3, 0, 6][..], &data].concat(), 8), (8, vec![0x41, 7, 7, 8, 0, 0, 6]));
        assert_eq!(start(&[0x41, 7, 7, 7], 0), (4, vec![0x41, 7, 7, 0, 3]));
        assert!(Start::with_fields(&[0x41, 7, 7], &[field(1)]).is_err());
        assert!(Start::with_fields(&[], &[field(1)]).is_err());
    }
}
