//! Pictures that repeat the last, between those an encoder made.
//!
//! ```text
//! encoder:   I0  P1                P2  P3                I0 ...       frame_num as the encoder counts
//! spliced:   I0  P1  r2  r3  r4    P5  P6  r7            I0 ...       r: all macroblocks skipped, some 11 bytes
//! ```
//!
//! A P picture of which every macroblock is skipped repeats its reference bit for bit: without neighbours that move, the
//! predicted vector is zero (section 8.4.1.1), and there is no residual; deblocking is switched off. It is coded by CAVLC
//! under a PPS of its own, and it is referred to, so that it takes the place of the one it repeats. As `frame_num` must
//! not have gaps, the encoder's own slices get theirs moved on until the next IDR; the order of showing, too, where slices
//! tell it. Both are fields of fixed length, so nothing else in a slice changes.
//!
//! It works for streams in which every P picture refers to the picture before it alone: one reference, no B pictures.
//! [`Splicer::new`] says why a stream does not qualify.
//!
//! Spec: 14496-10 sections 7.3.3, 7.3.4, 7.4.3, 8.2.1, 8.2.5.3. Left out: when to repeat, which is the caller's.

use bytes::{BufMut, Bytes, BytesMut};

use super::{
    bits::Writer,
    nal::{NalKind, escape, put_length_prefixed},
    pps::{self, Pps},
    slice::{self, Field, Slice, Start},
    sps::{self, PicOrder, Sps},
};

/// `nal_ref_idc` 2, type 1: a slice that others refer to.
const HEADER: u8 = 0x41;
/// `slice_type`: P, and so are all slices of the picture.
const ALL_P: u32 = 5;
/// What frames differ by in the order of showing: both fields count.
const ORDER_STEP: u32 = 2;

/// Puts repeats between the pictures of one encoder. See the module's description.
#[derive(Debug)]
pub struct Splicer {
    sps: Sps,
    pps: Pps,
    repeat_pps: Bytes,
    /// Pictures repeated since the last IDR.
    repeated: u32,
    last: Option<Last>,
}

/// The picture sent last.
#[derive(Debug, Clone, Copy)]
struct Last {
    frame_num: u32,
    order_lsb: u32,
    /// Whether it can be repeated: others may refer to it.
    is_reference: bool,
}

/// What became of an encoder's access unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coded {
    /// Its slices, each behind its length.
    pub nalus: Bytes,
    /// The coarsest quantiser of its slices.
    pub qp: i32,
}

/// Why nothing can be repeated in a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Its SPS cannot be read.
    #[error(transparent)]
    Sps(#[from] sps::Error),
    /// Its PPS cannot be read.
    #[error(transparent)]
    Pps(#[from] pps::Error),
    /// It is of another kind.
    #[error("its {field} is {value} where {wanted} is needed")]
    Kind {
        /// A field of the SPS.
        field: &'static str,
        /// What it says.
        value: u32,
        /// What it would have to say.
        wanted: &'static str,
    },
}

/// Why an access unit cannot be followed. Nothing can be repeated in its stream from here on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It is not made of slices behind their lengths.
    #[error("an access unit is not made of slices behind their lengths")]
    Framing,
    /// A slice cannot be read.
    #[error(transparent)]
    Slice(#[from] slice::Error),
    /// A slice refers to a picture other than the last.
    #[error("a slice refers to a picture other than the last")]
    Reference,
}

impl Splicer {
    /// A splicer for a stream with these parameter sets, NAL units with their header byte.
    pub fn new(sps: &[u8], pps: &[u8]) -> Result<Self, Unfit> {
        let (sps, pps) = (Sps::parse(sps)?, Pps::parse(pps)?);
        let need =
            |field, value: u32, is_met, wanted| if is_met { Ok(()) } else { Err(Unfit::Kind { field, value, wanted }) };
        need("max_num_ref_frames", sps.num_ref_frames.into(), sps.num_ref_frames == 1, "1")?;
        need("pic_order_cnt_type", 1, sps.pic_order != PicOrder::Cycle, "0 or 2")?;
        need("frame_mbs_only_flag", 0, sps.is_frame_mbs_only, "1")?;
        need("chroma_format_idc", sps.chroma_format_idc.into(), sps.chroma_format_idc == 1, "1")?;
        need("redundant_pic_cnt_present_flag", 1, !pps.has_redundant_pictures, "0")?;
        let repeat_pps = pps::repeating(pps.id.wrapping_add(1), sps.id, pps.has_bottom_order).into();
        Ok(Self { sps, pps, repeat_pps, repeated: 0, last: None })
    }

    /// The PPS of repeats, a NAL unit; belongs into the sequence header.
    pub fn repeat_pps(&self) -> &Bytes {
        &self.repeat_pps
    }

    /// Whether the picture sent last can be repeated.
    pub fn can_repeat(&self) -> bool {
        self.last.is_some_and(|last| last.is_reference)
    }

    /// Takes the encoder's next access unit, slices behind their lengths, into the stream.
    ///
    /// What has to be moved is moved where it lies, if nobody else holds the buffer.
    ///
    /// # Errors
    /// After any of them nothing can be repeated before the next IDR picture, which the caller has to ask for if something
    /// was repeated since the last.
    pub fn coded(&mut self, nalus: Bytes) -> Result<Coded, Error> {
        let mut starts = Vec::new();
        let mut qp = 0;
        let mut offset = 0;
        while offset < nalus.len() {
            let nal = length_prefixed(&nalus, offset).ok_or(Error::Framing)?;
            let slice = Slice::parse(nal, &self.sps, &self.pps)?;
            qp = slice.qp.max(qp);
            if slice.is_idr {
                self.repeated = 0;
            }
            let moved = self.moved(&slice)?;
            if self.repeated > 0 {
                starts.push((offset + 4, Start::with_fields(nal, &moved.fields())?));
            }
            self.last = Some(Last {
                frame_num: moved.frame_num.value,
                order_lsb: moved.order_lsb.map_or(0, |field| field.value),
                is_reference: slice.is_reference,
            });
            offset += 4 + nal.len();
        }
        Ok(Coded { nalus: if starts.is_empty() { nalus } else { with_starts(nalus, &starts) }, qp })
    }

    /// The picture sent last once more, behind its length; nothing when it cannot be repeated.
    pub fn repeat(&mut self) -> Option<Bytes> {
        let last = self.last.filter(|last| last.is_reference)?;
        let next = Last {
            frame_num: (last.frame_num + 1) & mask(self.sps.log2_max_frame_num),
            order_lsb: (last.order_lsb + ORDER_STEP) & self.order_mask(),
            is_reference: true,
        };
        self.repeated += 1;
        self.last = Some(next);
        let mut out = BytesMut::with_capacity(64);
        let nal = self.skipped(next);
        put_length_prefixed(&nal, &mut out);
        Some(out.freeze())
    }

    /// A slice's numbers as they are in the spliced stream.
    fn moved(&self, slice: &Slice) -> Result<Moved, Error> {
        if self.repeated > 0 && !slice.refers_to_last_only {
            return Err(Error::Reference);
        }
        let on = |field: Field, by: u32| Field { value: field.value.wrapping_add(by) & mask(field.len), ..field };
        Ok(Moved {
            frame_num: on(slice.frame_num, self.repeated),
            order_lsb: slice.order_lsb.map(|field| on(field, self.repeated.wrapping_mul(ORDER_STEP))),
        })
    }

    fn order_mask(&self) -> u32 {
        if let PicOrder::Lsb { log2_max_lsb } = self.sps.pic_order { mask(log2_max_lsb) } else { 0 }
    }

    /// The only slice of a picture without a coded macroblock.
    fn skipped(&self, picture: Last) -> Vec<u8> {
        let mut bits = Writer::new();
        bits.ue(0); // first_mb_in_slice
        bits.ue(ALL_P);
        bits.ue(self.pps.id.wrapping_add(1).into());
        bits.bits(picture.frame_num, self.sps.log2_max_frame_num.into());
        if let PicOrder::Lsb { log2_max_lsb } = self.sps.pic_order {
            bits.bits(picture.order_lsb, log2_max_lsb.into());
            if self.pps.has_bottom_order {
                bits.se(0); // delta_pic_order_cnt_bottom
            }
        }
        bits.flag(false); // num_ref_idx_active_override_flag
        bits.flag(false); // ref_pic_list_modification_flag_l0
        bits.flag(false); // adaptive_ref_pic_marking_mode_flag
        bits.se(0); // slice_qp_delta
        bits.ue(1); // disable_deblocking_filter_idc
        bits.ue(self.sps.picture_mbs); // mb_skip_run
        let mut nal = vec![HEADER];
        nal.extend(escape(&bits.finish()));
        nal
    }
}

/// A slice's fields that are moved on.
struct Moved {
    frame_num: Field,
    order_lsb: Option<Field>,
}

impl Moved {
    fn fields(&self) -> Vec<Field> {
        [self.frame_num].into_iter().chain(self.order_lsb).collect()
    }
}

/// The access unit with other starts of its slices, each given with the place of its slice.
fn with_starts(nalus: Bytes, starts: &[(usize, Start)]) -> Bytes {
    if starts.iter().any(|(_, start)| start.bytes.len() != start.replaced) {
        return with_longer_starts(&nalus, starts);
    }
    let mut nalus = nalus.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    for (at, start) in starts {
        nalus[*at..][..start.replaced].copy_from_slice(&start.bytes);
    }
    nalus.freeze()
}

/// The same where emulation prevention makes a start longer or shorter, which is rare: a copy.
fn with_longer_starts(nalus: &[u8], starts: &[(usize, Start)]) -> Bytes {
    let mut out = BytesMut::with_capacity(nalus.len() + 4 * starts.len());
    let mut copied = 0;
    for (at, start) in starts {
        let (before, len) = nalus[copied..*at].split_at(at - 4 - copied);
        let len = u32::from_be_bytes(len.try_into().expect("four bytes are before each slice"));
        out.put_slice(before);
        out.put_u32(len + start.bytes.len() as u32 - start.replaced as u32);
        out.put_slice(&start.bytes);
        copied = at + start.replaced;
    }
    out.put_slice(&nalus[copied..]);
    out.freeze()
}

/// The NAL unit behind the length at `offset`.
fn length_prefixed(nalus: &[u8], offset: usize) -> Option<&[u8]> {
    let len = nalus.get(offset..offset + 4)?;
    let len = u32::from_be_bytes(len.try_into().ok()?) as usize;
    nalus.get(offset + 4..)?.get(..len).filter(|nal| !nal.is_empty() && NalKind::of(nal) != NalKind::Filler)
}

/// The largest value of a field with so many bits.
fn mask(len: u8) -> u32 {
    (1 << len) - 1
}
