//! The sequence parameter set: what it says about the picture, and how to make it say more.
//!
//! ```text
//! 67 | profile constraints level | id, chroma, depth, scaling | frame_num, order | size, crop | 0/1 VUI | stop bit
//!     ◄──────────────────── copied bit by bit ───────────────────────────────────────────────► ◄─ ours ──────────►
//! ```
//!
//! Not every encoder can write all that ingests and players look at: OpenH264 knows neither timing nor the place of
//! chroma samples. [`with_vui`] replaces the VUI of an SPS and leaves all bits before it as they are, so that slices
//! keep their meaning; [`described`] is what an encoder backend calls.
//!
//! Spec: 14496-10 sections 7.3.2.1.1, 7.4.2.1.1 and E.2. Left out: SPS extensions and the subset SPS of type 15.

use std::ops::RangeInclusive;

use super::{
    bits::{self, Reader, Writer},
    nal::{NalKind, escape, unescape},
    vui::{Colour, Restriction, Timing, VIDEO_FORMAT_UNSPECIFIED, VideoSignal, Vui},
};
use crate::base::{colour::VideoColour, rate::FrameRate};

/// Most macroblocks on a side; level 6.2 ends at 1055.
const SIDE_MBS_MAX: u32 = 1055;
/// Profiles whose SPS tells chroma format, bit depth and scaling.
const HIGH_PROFILES: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// `chroma_format_idc` 4:2:0, where none is told.
const CHROMA_420: u8 = 1;
/// Longest NAL unit taken for an SPS, in bytes; the longest legal one is shorter.
const SPS_LEN_MAX: usize = 4096;

/// Why a NAL unit is not an SPS.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another kind of NAL unit, or none.
    #[error("NAL unit of kind {kind:?} is not an SPS")]
    NotSps {
        /// What it is.
        kind: NalKind,
    },
    /// No SPS is that long.
    #[error("SPS of {len} bytes is longer than {SPS_LEN_MAX}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The bits end early or make no sense.
    #[error("SPS: {0}")]
    Bits(#[from] bits::Error),
    /// A field has a value the standard does not know.
    #[error("SPS: {field} is {value} at bit {bit}")]
    OutOfRange {
        /// The field's name in the standard.
        field: &'static str,
        /// Its value.
        value: u32,
        /// Where the field starts, in bits after the NAL unit's header.
        bit: usize,
    },
    /// The cropping leaves nothing.
    #[error("SPS: cropping leaves nothing of {width}x{height}")]
    Cropping {
        /// Width before cropping, in pixels.
        width: u32,
        /// Height before cropping, in pixels.
        height: u32,
    },
}

/// How the order of pictures is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PicOrder {
    /// Type 0: each slice carries the low bits of its place.
    Lsb {
        /// How many bits, 4 to 16.
        log2_max_lsb: u8,
    },
    /// Type 1: by a cycle in the SPS.
    Cycle,
    /// Type 2: pictures are shown as they are decoded.
    Decoding,
}

/// What an SPS says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sps {
    /// `profile_idc`: 66 Baseline, 77 Main, 100 High.
    pub profile_idc: u8,
    /// The byte of constraint flags, set 0 in the highest bit.
    pub constraint_flags: u8,
    /// Level times ten.
    pub level_idc: u8,
    /// `seq_parameter_set_id`, 0 to 31.
    pub id: u8,
    /// 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u8,
    /// Bits of a luma sample, 8 to 14.
    pub luma_bits: u8,
    /// Bits of a chroma sample, 8 to 14.
    pub chroma_bits: u8,
    /// Length of `frame_num` in slices, 4 to 16 bits.
    pub log2_max_frame_num: u8,
    /// How the order of pictures is told.
    pub pic_order: PicOrder,
    /// Frames others may refer to, 0 to 16.
    pub num_ref_frames: u8,
    /// Whether all pictures are frames, none are fields.
    pub is_frame_mbs_only: bool,
    /// Macroblocks of a picture.
    pub picture_mbs: u32,
    /// Pixels from left to right, after cropping.
    pub width: u32,
    /// Pixels from top to bottom, after cropping.
    pub height: u32,
    /// How to show and buffer it.
    pub vui: Option<Vui>,
    /// Where `vui_parameters_present_flag` stands, in bits after the NAL unit's header.
    vui_flag_bit: usize,
}

impl Sps {
    /// Reads a NAL unit, header byte included.
    pub fn parse(nal: &[u8]) -> Result<Self, Error> {
        Self::read(&mut Reader::new(&payload(nal)?))
    }

    fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        let (profile_idc, constraint_flags, level_idc) = (bits.u8()?, bits.u8()?, bits.u8()?);
        let id = in_range(bits, "seq_parameter_set_id", 0..=31)? as u8;
        let sampling = if HIGH_PROFILES.contains(&profile_idc) { Sampling::read(bits)? } else { Sampling::default() };
        let log2_max_frame_num = in_range(bits, "log2_max_frame_num_minus4", 0..=12)? as u8 + 4;
        let pic_order = PicOrder::read(bits)?;
        let num_ref_frames = in_range(bits, "max_num_ref_frames", 0..=16)? as u8;
        let _gaps_in_frame_num_allowed = bits.flag()?;
        let width_mbs = in_range(bits, "pic_width_in_mbs_minus1", 0..=SIDE_MBS_MAX - 1)? + 1;
        let height_map_units = in_range(bits, "pic_height_in_map_units_minus1", 0..=SIDE_MBS_MAX - 1)? + 1;
        let is_frame_mbs_only = bits.flag()?;
        if !is_frame_mbs_only {
            let _is_frame_field_adaptive = bits.flag()?;
        }
        let _is_direct_8x8_inference = bits.flag()?;
        let rows_per_unit = if is_frame_mbs_only { 1 } else { 2 };
        let coded = (width_mbs * 16, height_map_units * rows_per_unit * 16);
        let (width, height) = cropped(bits, coded, sampling.crop_unit(rows_per_unit))?;
        let vui_flag_bit = bits.position();
        let vui = if bits.flag()? { Some(Vui::read(bits)?) } else { None };
        Ok(Self {
            profile_idc,
            constraint_flags,
            level_idc,
            id,
            chroma_format_idc: sampling.chroma_format_idc,
            luma_bits: sampling.luma_bits,
            chroma_bits: sampling.chroma_bits,
            log2_max_frame_num,
            pic_order,
            num_ref_frames,
            is_frame_mbs_only,
            picture_mbs: width_mbs * height_map_units * rows_per_unit,
            width,
            height,
            vui,
            vui_flag_bit,
        })
    }

    /// Whether the profile is one whose SPS tells chroma format and bit depth; the AVCC record then tells them too.
    pub fn is_high_profile(&self) -> bool {
        HIGH_PROFILES.contains(&self.profile_idc)
    }

    /// The VUI this SPS has, or an empty one, made to say colour, chroma siting, frame rate and, if it says nothing
    /// about buffering, that pictures come in the order of showing.
    ///
    /// The last is the caller's promise: no B-frames, or an encoder that writes its own restriction. Without it a
    /// decoder keeps as many frames as the level allows before it shows the first one.
    pub fn vui_saying(&self, colour: VideoColour, rate: FrameRate) -> Vui {
        let VideoColour { primaries, transfer, matrix, is_full_range, chroma_location, .. } = colour;
        let old = self.vui.clone().unwrap_or_default();
        let format = old.video_signal.map_or(VIDEO_FORMAT_UNSPECIFIED, |signal| signal.format);
        let colour = Some(Colour { primaries, transfer, matrix });
        Vui {
            video_signal: Some(VideoSignal { format, is_full_range, colour }),
            chroma_location: Some([chroma_location; 2]),
            // A tick is the time of a field, so a frame has two.
            timing: Some(Timing {
                num_units_in_tick: rate.den(),
                time_scale: rate.num() * 2,
                is_fixed_frame_rate: true,
            }),
            restriction: Some(old.restriction.unwrap_or_else(|| Restriction::without_reordering(self.num_ref_frames))),
            ..old
        }
    }
}

impl Restriction {
    /// Pictures come in the order of showing; nothing else is promised.
    fn without_reordering(num_ref_frames: u8) -> Self {
        Self {
            has_vectors_over_boundaries: true,
            max_bytes_per_pic_denom: 0,
            max_bits_per_mb_denom: 0,
            // The value inferred where the field is missing, in every edition of the standard a legal one.
            log2_max_mv_length_horizontal: 15,
            log2_max_mv_length_vertical: 15,
            max_num_reorder_frames: 0,
            max_dec_frame_buffering: num_ref_frames.into(),
        }
    }
}

/// The SPS in `nal` with exactly this VUI, as a whole NAL unit.
pub fn with_vui(nal: &[u8], vui: &Vui) -> Result<Vec<u8>, Error> {
    let rbsp = payload(nal)?;
    let sps = Sps::read(&mut Reader::new(&rbsp))?;
    let mut bits = Writer::new();
    bits.copy(&mut Reader::new(&rbsp), sps.vui_flag_bit)?;
    bits.flag(true);
    vui.write(&mut bits);
    let mut out = nal[..1].to_vec();
    out.extend(escape(&bits.finish()));
    Ok(out)
}

/// The SPS in `nal` with [`Sps::vui_saying`] this colour and frame rate, as a whole NAL unit.
pub fn described(nal: &[u8], colour: VideoColour, rate: FrameRate) -> Result<Vec<u8>, Error> {
    with_vui(nal, &Sps::parse(nal)?.vui_saying(colour, rate))
}

/// What follows the header byte of an SPS, without emulation prevention.
fn payload(nal: &[u8]) -> Result<Vec<u8>, Error> {
    match NalKind::of(nal) {
        NalKind::Sps if nal.len() <= SPS_LEN_MAX => Ok(unescape(&nal[1..])),
        NalKind::Sps => Err(Error::TooLong { len: nal.len() }),
        kind => Err(Error::NotSps { kind }),
    }
}

/// An Exp-Golomb code with the range the standard gives its field.
pub(super) fn in_range(bits: &mut Reader<'_>, field: &'static str, range: RangeInclusive<u32>) -> Result<u32, Error> {
    let bit = bits.position();
    let value = bits.ue()?;
    if range.contains(&value) { Ok(value) } else { Err(Error::OutOfRange { field, value, bit }) }
}

/// Chroma format and bit depth.
#[derive(Debug)]
struct Sampling {
    chroma_format_idc: u8,
    has_separate_planes: bool,
    luma_bits: u8,
    chroma_bits: u8,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { chroma_format_idc: CHROMA_420, has_separate_planes: false, luma_bits: 8, chroma_bits: 8 }
    }
}

impl Sampling {
    fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        let chroma_format_idc = in_range(bits, "chroma_format_idc", 0..=3)? as u8;
        let has_separate_planes = chroma_format_idc == 3 && bits.flag()?;
        let luma_bits = in_range(bits, "bit_depth_luma_minus8", 0..=6)? as u8 + 8;
        let chroma_bits = in_range(bits, "bit_depth_chroma_minus8", 0..=6)? as u8 + 8;
        let _is_lossless_transform_bypassed = bits.flag()?;
        if bits.flag()? {
            skip_scaling_lists(bits, if chroma_format_idc == 3 { 12 } else { 8 })?;
        }
        Ok(Self { chroma_format_idc, has_separate_planes, luma_bits, chroma_bits })
    }

    /// Pixels in a unit of cropping (equations 7-19 to 7-22).
    fn crop_unit(&self, rows_per_unit: u32) -> (u32, u32) {
        let (width, height) = match self.chroma_format_idc {
            1 if !self.has_separate_planes => (2, 2),
            2 if !self.has_separate_planes => (2, 1),
            _ => (1, 1),
        };
        (width, height * rows_per_unit)
    }
}

/// Passes over the scaling lists (section 7.3.2.1.1.1); their values do not matter here, only where they end.
fn skip_scaling_lists(bits: &mut Reader<'_>, count: usize) -> Result<(), Error> {
    for list in 0..count {
        if bits.flag()? {
            skip_scaling_list(bits, if list < 6 { 16 } else { 64 })?;
        }
    }
    Ok(())
}

fn skip_scaling_list(bits: &mut Reader<'_>, len: usize) -> Result<(), Error> {
    let (mut last, mut next) = (8, 8);
    for _ in 0..len {
        if next != 0 {
            next = (last + i64::from(bits.se()?)).rem_euclid(256);
        }
        last = if next == 0 { last } else { next };
    }
    Ok(())
}

impl PicOrder {
    fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        match in_range(bits, "pic_order_cnt_type", 0..=2)? {
            0 => Ok(Self::Lsb { log2_max_lsb: in_range(bits, "log2_max_pic_order_cnt_lsb_minus4", 0..=12)? as u8 + 4 }),
            1 => {
                let _is_delta_always_zero = bits.flag()?;
                let (_offset_for_non_ref, _offset_for_top_to_bottom) = (bits.se()?, bits.se()?);
                for _ in 0..in_range(bits, "num_ref_frames_in_pic_order_cnt_cycle", 0..=255)? {
                    bits.se()?;
                }
                Ok(Self::Cycle)
            }
            _ => Ok(Self::Decoding),
        }
    }
}

/// Width and height after the cropping that the next bits tell.
fn cropped(bits: &mut Reader<'_>, coded: (u32, u32), unit: (u32, u32)) -> Result<(u32, u32), Error> {
    if !bits.flag()? {
        return Ok(coded);
    }
    let (left, right, top, bottom) = (bits.ue()?, bits.ue()?, bits.ue()?, bits.ue()?);
    let rest = |coded: u32, a: u32, b: u32, unit: u32| {
        let cut = (u64::from(a) + u64::from(b)) * u64::from(unit);
        u64::from(coded).checked_sub(cut).filter(|&rest| rest > 0).map(|rest| rest as u32)
    };
    rest(coded.0, left, right, unit.0)
        .zip(rest(coded.1, top, bottom, unit.1))
        .ok_or(Error::Cropping { width: coded.0, height: coded.1 })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::h264::vui::{AspectRatio, Delivery, Hrd};

    /// Baseline 3.0, 16x16: after level 1E the bits are 1 (id) 1 (frame_num) 011 (order 2) 010 (1 ref) 0 (gaps)
    /// 1 (width) 1 (height) 1 (frames) 1 (8x8) 0 (crop) 0 (VUI) 1 (stop): DA 79.
    const BASELINE: [u8; 6] = [0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x79];
    /// x264, 1920x1080, High 4.0, 30 fps, one reference frame.
    const X264_HIGH: [u8; 27] = [
        0x67, 0x64, 0x00, 0x28, 0xac, 0xb4, 0x03, 0xc0, 0x11, 0x3f, 0x2e, 0x02, 0x20, 0x00, 0x00, 0x03, 0x00, 0x20,
        0x00, 0x00, 0x07, 0x91, 0xe3, 0x06, 0x54, 0x00, 0x00,
    ];
    /// x264, 1280x720 interlaced, 29.97 fps, B-frames, CBR buffer model, BT.709.
    const X264_INTERLACED: [u8; 43] = [
        0x67, 0x64, 0x00, 0x20, 0xac, 0xd9, 0x40, 0x50, 0x0b, 0xbf, 0x2e, 0x02, 0xd4, 0x04, 0x04, 0x05, 0x00, 0x00,
        0x03, 0x03, 0xe9, 0x00, 0x00, 0xea, 0x60, 0x60, 0x40, 0x00, 0x2d, 0xc6, 0xc0, 0x00, 0x5b, 0x8d, 0xe4, 0xc3,
        0x00, 0xf8, 0xb1, 0x6c, 0xb0, 0x00, 0x00,
    ];

    fn thirty() -> FrameRate {
        FrameRate::new(30, 1).unwrap()
    }

    #[test]
    fn baseline_by_hand() {
        let sps = Sps::parse(&BASELINE).unwrap();
        assert_eq!((sps.profile_idc, sps.constraint_flags, sps.level_idc), (66, 0xC0, 30));
        assert_eq!((sps.width, sps.height, sps.num_ref_frames), (16, 16, 1));
        assert_eq!((sps.pic_order, sps.log2_max_frame_num), (PicOrder::Decoding, 4));
        assert_eq!((sps.chroma_format_idc, sps.luma_bits, sps.chroma_bits), (1, 8, 8));
        assert!(sps.is_frame_mbs_only && sps.vui.is_none() && !sps.is_high_profile());
    }

    /// The values FFmpeg's `trace_headers` prints for these bytes.
    #[test]
    fn x264_high() {
        let sps = Sps::parse(&X264_HIGH).unwrap();
        assert_eq!((sps.profile_idc, sps.level_idc, sps.width, sps.height), (100, 40, 1920, 1080));
        assert_eq!((sps.pic_order, sps.log2_max_frame_num, sps.num_ref_frames), (PicOrder::Decoding, 4, 1));
        let vui = sps.vui.unwrap();
        assert_eq!(vui.aspect_ratio, Some(AspectRatio { idc: 1, extended: [0; 2] }));
        assert_eq!(vui.timing, Some(Timing { num_units_in_tick: 1, time_scale: 60, is_fixed_frame_rate: true }));
        let restriction = vui.restriction.unwrap();
        assert_eq!((restriction.max_num_reorder_frames, restriction.max_dec_frame_buffering), (0, 1));
        assert_eq!(restriction.log2_max_mv_length_vertical, 11);
    }

    /// The values FFmpeg's `trace_headers` prints for these bytes.
    #[test]
    fn x264_interlaced_with_buffer_model() {
        let sps = Sps::parse(&X264_INTERLACED).unwrap();
        assert_eq!((sps.width, sps.height, sps.is_frame_mbs_only), (1280, 720, false));
        assert_eq!((sps.pic_order, sps.num_ref_frames), (PicOrder::Lsb { log2_max_lsb: 6 }, 4));
        let vui = sps.vui.unwrap();
        let colour = Some(Colour { primaries: 1, transfer: 1, matrix: 1 });
        assert_eq!(vui.video_signal, Some(VideoSignal { format: 5, is_full_range: false, colour }));
        let timing = Timing { num_units_in_tick: 1001, time_scale: 60_000, is_fixed_frame_rate: false };
        assert_eq!(vui.timing, Some(timing));
        let hrd = vui.nal_hrd.unwrap();
        let delivery = Delivery { bit_rate_value_minus1: 46_874, cpb_size_value_minus1: 46_874, is_cbr: true };
        assert_eq!((hrd.bit_rate_scale, hrd.cpb_size_scale, &hrd.deliveries[..]), (0, 2, &[delivery][..]));
        assert_eq!((hrd.initial_cpb_removal_delay_length_minus1, hrd.dpb_output_delay_length_minus1), (18, 6));
        assert!(vui.has_pic_struct && !vui.is_low_delay_hrd && vui.vcl_hrd.is_none());
        assert_eq!(vui.restriction.unwrap().max_num_reorder_frames, 2);
    }

    /// Read and written again, foreign bytes are the same up to the zeros that x264's start code left behind.
    #[test]
    fn what_is_read_is_written() {
        for nal in [&X264_HIGH[..25], &X264_INTERLACED[..41]] {
            let vui = Sps::parse(nal).unwrap().vui.unwrap();
            assert_eq!(with_vui(nal, &vui).unwrap(), nal);
        }
    }

    /// DA 7A up to the aspect ratio; then 0 (overscan) 1 101 0 1 (signal) 01 01 01 (BT.709) 1 1 1 (left) 1 (timing)
    /// 00000001 0000003C (30 fps) 1 0 0 0 (fixed, no buffer models) 1 1 1 1 (restriction) 000010000 twice 1 010, stop.
    #[test]
    fn described_by_hand() {
        let described = described(&BASELINE, VideoColour::BT709_LIMITED, thirty()).unwrap();
        let by_hand = [
            0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x7A, 0x6A, 0x02, 0x02, 0x03, 0xE0, 0x00, 0x00, 0x03, 0x00, 0x20, 0x00, 0x00,
            0x07, 0x91, 0xE1, 0x00, 0x85, 0x40,
        ];
        assert_eq!(described, by_hand);
    }

    #[test]
    fn described_keeps_what_it_does_not_say() {
        let rate = FrameRate::new(60_000, 1001).unwrap();
        for nal in [&X264_HIGH[..], &X264_INTERLACED] {
            let old = Sps::parse(nal).unwrap();
            let new = Sps::parse(&described(nal, VideoColour::BT709_LIMITED, rate).unwrap()).unwrap();
            let vui = new.vui.clone().unwrap();
            let timing = Timing { num_units_in_tick: 1001, time_scale: 120_000, is_fixed_frame_rate: true };
            assert_eq!((vui.timing, vui.chroma_location), (Some(timing), Some([0, 0])));
            let kept = |vui: &Vui| (vui.aspect_ratio, vui.nal_hrd.clone(), vui.has_pic_struct, vui.restriction);
            assert_eq!(old.vui.as_ref().map(kept), Some(kept(&vui)));
            assert_eq!(Sps { vui: None, ..old }, Sps { vui: None, ..new });
        }
    }

    /// High with a scaling matrix: the first list falls back after one delta, the others are not there.
    #[test]
    fn scaling_lists_are_passed_over() {
        let mut bits = Writer::new();
        [100, 0, 30].into_iter().for_each(|byte| bits.u8(byte));
        [0, 1, 0, 0].into_iter().for_each(|code| bits.ue(code));
        bits.flag(false);
        bits.flag(true);
        bits.flag(true);
        bits.se(-8);
        bits.bits(0, 6);
        bits.flag(true);
        (0..64).for_each(|_| bits.se(1));
        [0, 1, 0, 0, 0, 0, 2].into_iter().for_each(|code| bits.ue(code));
        bits.flag(false);
        [39, 29].into_iter().for_each(|code| bits.ue(code));
        [true, true, false, false].into_iter().for_each(|flag| bits.flag(flag));
        let sps = Sps::parse(&[&[0x67][..], &escape(&bits.finish())].concat()).unwrap();
        assert_eq!((sps.width, sps.height, sps.num_ref_frames, sps.pic_order), (640, 480, 2, PicOrder::Cycle));
    }

    #[test]
    fn refusals_name_the_bit() {
        assert_eq!(Sps::parse(&[]), Err(Error::NotSps { kind: NalKind::Other(0) }));
        assert_eq!(Sps::parse(&[0x68, 1]), Err(Error::NotSps { kind: NalKind::Pps }));
        assert_eq!(Sps::parse(&[0x67; SPS_LEN_MAX + 1]), Err(Error::TooLong { len: SPS_LEN_MAX + 1 }));
        let truncated = bits::Error::Truncated { bit: 24, needed: 1, left: 0 };
        assert_eq!(Sps::parse(&BASELINE[..4]), Err(Error::Bits(truncated)));
        // id 62: 00000 1 11111
        let out_of_range = Error::OutOfRange { field: "seq_parameter_set_id", value: 62, bit: 24 };
        assert_eq!(Sps::parse(&[0x67, 66, 0, 30, 0b0000_0111, 0b1110_0000]), Err(out_of_range));
        // The baseline SPS with crop 1 and 8 units of two pixels from the left: 0 1 1 1 1 1 | 0001001 1 1 1
        let cropped_away = [0x67, 0x42, 0xC0, 0x1E, 0xDA, 0b0111_1100, 0b0100_1111, 0b0100_0000];
        assert_eq!(Sps::parse(&cropped_away), Err(Error::Cropping { width: 16, height: 16 }));
    }

    fn any_hrd() -> impl Strategy<Value = Hrd> {
        let delivery = (0..u32::MAX, 0..u32::MAX, any::<bool>());
        let delivery = delivery.prop_map(|(bit_rate_value_minus1, cpb_size_value_minus1, is_cbr)| Delivery {
            bit_rate_value_minus1,
            cpb_size_value_minus1,
            is_cbr,
        });
        (prop::array::uniform2(0u8..16), prop::collection::vec(delivery, 1..=32), prop::array::uniform4(0u8..32))
            .prop_map(|([bit_rate_scale, cpb_size_scale], deliveries, [initial, removal, output, offset])| Hrd {
                bit_rate_scale,
                cpb_size_scale,
                deliveries,
                initial_cpb_removal_delay_length_minus1: initial,
                cpb_removal_delay_length_minus1: removal,
                dpb_output_delay_length_minus1: output,
                time_offset_length: offset,
            })
    }

    prop_compose! {
        fn any_vui()(
            aspect_ratio in prop::option::of((any::<u8>(), any::<[u16; 2]>())),
            is_overscan_appropriate in any::<Option<bool>>(),
            signal in prop::option::of((0u8..8, any::<bool>(), any::<Option<[u8; 3]>>())),
            chroma_location in prop::option::of(prop::array::uniform2(0u8..6)),
            timing in any::<Option<(u32, u32, bool)>>(),
            hrds in prop::array::uniform2(prop::option::of(any_hrd())),
            flags in any::<[bool; 2]>(),
            restriction in prop::option::of((any::<bool>(), prop::array::uniform6(0..u32::MAX))),
        ) -> Vui {
            let [nal_hrd, vcl_hrd] = hrds;
            let colour = |[primaries, transfer, matrix]: [u8; 3]| Colour { primaries, transfer, matrix };
            Vui {
                aspect_ratio: aspect_ratio
                    .map(|(idc, sides)| AspectRatio { idc, extended: if idc == 255 { sides } else { [0; 2] } }),
                is_overscan_appropriate,
                video_signal: signal
                    .map(|(format, is_full_range, c)| VideoSignal { format, is_full_range, colour: c.map(colour) }),
                chroma_location,
                timing: timing.map(|(num_units_in_tick, time_scale, is_fixed_frame_rate)| Timing {
                    num_units_in_tick,
                    time_scale,
                    is_fixed_frame_rate,
                }),
                is_low_delay_hrd: flags[0] && (nal_hrd.is_some() || vcl_hrd.is_some()),
                nal_hrd,
                vcl_hrd,
                has_pic_struct: flags[1],
                restriction: restriction.map(|(has_vectors_over_boundaries, n)| Restriction {
                    has_vectors_over_boundaries,
                    max_bytes_per_pic_denom: n[0],
                    max_bits_per_mb_denom: n[1],
                    log2_max_mv_length_horizontal: n[2],
                    log2_max_mv_length_vertical: n[3],
                    max_num_reorder_frames: n[4],
                    max_dec_frame_buffering: n[5],
                }),
            }
        }
    }

    proptest! {
        #[test]
        fn any_vui_round_trips(vui in any_vui()) {
            for nal in [&BASELINE[..], &X264_HIGH, &X264_INTERLACED] {
                let old = Sps::parse(nal).unwrap();
                let new = Sps::parse(&with_vui(nal, &vui).unwrap()).unwrap();
                prop_assert_eq!(new.vui.as_ref(), Some(&vui));
                prop_assert_eq!(Sps { vui: None, ..old }, Sps { vui: None, ..new });
            }
        }

        #[test]
        fn garbage_is_an_answer(
            profile in prop_oneof![Just(66u8), Just(100), Just(244)],
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let _ = Sps::parse(&bytes);
            let _ = described(&[&[0x67, profile, 0, 30], &bytes[..]].concat(), VideoColour::BT709_LIMITED, thirty());
        }

        /// Broken in one bit, a real SPS is an answer too.
        #[test]
        fn a_flipped_bit_is_an_answer(bit in 0..X264_INTERLACED.len() * 8) {
            let mut nal = X264_INTERLACED;
            nal[bit / 8] ^= 1 << (bit % 8);
            let _ = described(&nal, VideoColour::BT709_LIMITED, thirty());
        }
    }
}
