//! Video usability information: the part of an SPS that says how to show and to buffer the picture.
//!
//! Everything is kept as read, so that what is written again says the same; what to say is decided in [`super::sps`].
//!
//! Spec: 14496-10 annex E. Left out: the multi-view extensions of annex H.

use super::{
    bits::{Reader, Writer},
    sps::{Error, in_range},
};

/// `aspect_ratio_idc` that says the ratio is written out.
const EXTENDED_SAR: u8 = 255;
/// `video_format` that says nothing.
pub const VIDEO_FORMAT_UNSPECIFIED: u8 = 5;

/// The whole of `vui_parameters()`, in the order of the bits. `None` where a presence flag is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vui {
    /// Shape of a sample.
    pub aspect_ratio: Option<AspectRatio>,
    /// Whether the borders may be cut off.
    pub is_overscan_appropriate: Option<bool>,
    /// Range and colour.
    pub video_signal: Option<VideoSignal>,
    /// `chroma_sample_loc_type` of the top and the bottom field, each 0 to 5; 0 is left.
    pub chroma_location: Option<[u8; 2]>,
    /// Frame rate.
    pub timing: Option<Timing>,
    /// Buffer model of the NAL stream.
    pub nal_hrd: Option<Hrd>,
    /// Buffer model of the slices alone.
    pub vcl_hrd: Option<Hrd>,
    /// Written only with one of the buffer models.
    pub is_low_delay_hrd: bool,
    /// Whether picture timing SEI tells how a picture is shown.
    pub has_pic_struct: bool,
    /// What a decoder need not reckon with.
    pub restriction: Option<Restriction>,
}

/// Shape of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AspectRatio {
    /// `aspect_ratio_idc` of table E-1; 1 is square.
    pub idc: u8,
    /// Width and height of the sample; written only with `idc` 255.
    pub extended: [u16; 2],
}

impl AspectRatio {
    /// Table E-1, from `aspect_ratio_idc` 1 on.
    const TABLE: [[u16; 2]; 16] = [
        [1, 1],
        [12, 11],
        [10, 11],
        [16, 11],
        [40, 33],
        [24, 11],
        [20, 11],
        [32, 11],
        [80, 33],
        [18, 11],
        [15, 11],
        [64, 33],
        [160, 99],
        [4, 3],
        [3, 2],
        [2, 1],
    ];

    /// Width and height of a sample to each other; `None` where they are not told.
    pub fn ratio(self) -> Option<[u16; 2]> {
        let told = match self.idc {
            EXTENDED_SAR => self.extended,
            idc => *Self::TABLE.get(usize::from(idc).checked_sub(1)?)?,
        };
        told.iter().all(|&side| side > 0).then_some(told)
    }
}

/// Range and colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoSignal {
    /// 0 to 7: component, PAL, NTSC, SECAM, MAC, unspecified (5).
    pub format: u8,
    /// Whether luma uses 0 to 255.
    pub is_full_range: bool,
    /// H.273 code points.
    pub colour: Option<Colour>,
}

/// H.273 code points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour {
    /// `colour_primaries`.
    pub primaries: u8,
    /// `transfer_characteristics`.
    pub transfer: u8,
    /// `matrix_coefficients`.
    pub matrix: u8,
}

/// Frame rate as `time_scale / (2 * num_units_in_tick)`: a tick is the time of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Units of time in a tick.
    pub num_units_in_tick: u32,
    /// Units of time in a second.
    pub time_scale: u32,
    /// Whether the rate never changes.
    pub is_fixed_frame_rate: bool,
}

/// `hrd_parameters()`: a model of the decoder's buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hrd {
    /// Exponent of the bit rates, 0 to 15.
    pub bit_rate_scale: u8,
    /// Exponent of the buffer sizes, 0 to 15.
    pub cpb_size_scale: u8,
    /// 1 to 32 ways to deliver the stream.
    pub deliveries: Vec<Delivery>,
    /// Length of a field of buffering period SEI less one, 0 to 31 bits.
    pub initial_cpb_removal_delay_length_minus1: u8,
    /// Length of a field of picture timing SEI less one, 0 to 31 bits.
    pub cpb_removal_delay_length_minus1: u8,
    /// Length of a field of picture timing SEI less one, 0 to 31 bits.
    pub dpb_output_delay_length_minus1: u8,
    /// Length of a field of picture timing SEI, 0 to 31 bits.
    pub time_offset_length: u8,
}

/// One way to deliver the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delivery {
    /// Bit rate, scaled, less one.
    pub bit_rate_value_minus1: u32,
    /// Buffer size, scaled, less one.
    pub cpb_size_value_minus1: u32,
    /// Whether the bit rate is constant.
    pub is_cbr: bool,
}

/// `bitstream_restriction`: what a decoder need not reckon with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restriction {
    /// Whether motion vectors point beyond the picture.
    pub has_vectors_over_boundaries: bool,
    /// Bytes in a picture, as a divisor; 0 is no limit.
    pub max_bytes_per_pic_denom: u32,
    /// Bits in a macroblock, as a divisor; 0 is no limit.
    pub max_bits_per_mb_denom: u32,
    /// Logarithm of the longest horizontal vector, in quarter samples.
    pub log2_max_mv_length_horizontal: u32,
    /// Logarithm of the longest vertical vector, in quarter samples.
    pub log2_max_mv_length_vertical: u32,
    /// Frames that may come before a frame that is shown earlier; 0 lets a decoder show each at once.
    pub max_num_reorder_frames: u32,
    /// Frames a decoder must be able to keep.
    pub max_dec_frame_buffering: u32,
}

impl Vui {
    /// Reads `vui_parameters()`.
    pub(super) fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        let aspect_ratio = optional(bits, AspectRatio::read)?;
        let is_overscan_appropriate = optional(bits, |bits| Ok(bits.flag()?))?;
        let video_signal = optional(bits, VideoSignal::read)?;
        let chroma_location = optional(bits, |bits| Ok([chroma_location(bits)?, chroma_location(bits)?]))?;
        let timing = optional(bits, Timing::read)?;
        let nal_hrd = optional(bits, Hrd::read)?;
        let vcl_hrd = optional(bits, Hrd::read)?;
        let is_low_delay_hrd = (nal_hrd.is_some() || vcl_hrd.is_some()) && bits.flag()?;
        let has_pic_struct = bits.flag()?;
        let restriction = optional(bits, Restriction::read)?;
        Ok(Self {
            aspect_ratio,
            is_overscan_appropriate,
            video_signal,
            chroma_location,
            timing,
            nal_hrd,
            vcl_hrd,
            is_low_delay_hrd,
            has_pic_struct,
            restriction,
        })
    }

    /// Writes `vui_parameters()`.
    pub(super) fn write(&self, bits: &mut Writer) {
        put_optional(bits, self.aspect_ratio.as_ref(), AspectRatio::write);
        put_optional(bits, self.is_overscan_appropriate.as_ref(), |&is_appropriate, bits| bits.flag(is_appropriate));
        put_optional(bits, self.video_signal.as_ref(), VideoSignal::write);
        put_optional(bits, self.chroma_location.as_ref(), |fields, bits| {
            fields.iter().for_each(|&f| bits.ue(f.into()))
        });
        put_optional(bits, self.timing.as_ref(), Timing::write);
        put_optional(bits, self.nal_hrd.as_ref(), Hrd::write);
        put_optional(bits, self.vcl_hrd.as_ref(), Hrd::write);
        if self.nal_hrd.is_some() || self.vcl_hrd.is_some() {
            bits.flag(self.is_low_delay_hrd);
        }
        bits.flag(self.has_pic_struct);
        put_optional(bits, self.restriction.as_ref(), Restriction::write);
    }
}

/// A presence flag, and what it announces.
fn optional<T>(
    bits: &mut Reader<'_>,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    if bits.flag()? { read(bits).map(Some) } else { Ok(None) }
}

fn put_optional<T>(bits: &mut Writer, value: Option<&T>, write: impl FnOnce(&T, &mut Writer)) {
    bits.flag(value.is_some());
    if let Some(value) = value {
        write(value, bits);
    }
}

fn chroma_location(bits: &mut Reader<'_>) -> Result<u8, Error> {
    Ok(in_range(bits, "chroma_sample_loc_type", 0..=5)? as u8)
}

impl AspectRatio {
    fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        let idc = bits.u8()?;
        let extended = if idc == EXTENDED_SAR { [bits.bits(16)? as u16, bits.bits(16)? as u16] } else { [0; 2] };
        Ok(Self { idc, extended })
    }

    fn write(&self, bits: &mut Writer) {
        bits.u8(self.idc);
        if self.idc == EXTENDED_SAR {
            self.extended.iter().for_each(|&side| bits.bits(side.into(), 16));
        }
    }
}

impl VideoSignal {
    fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        let (format, is_full_range) = (bits.bits(3)? as u8, bits.flag()?);
        let colour =
            optional(bits, |bits| Ok(Colour { primaries: bits.u8()?, transfer: bits.u8()?, matrix: bits.u8()? }))?;
        Ok(Self { format, is_full_range, colour })
    }

    fn write(&self, bits: &mut Writer) {
        bits.bits(self.format.into(), 3);
        bits.flag(self.is_full_range);
        put_optional(bits, self.colour.as_ref(), |colour, bits| {
            [colour.primaries, colour.transfer, colour.matrix].into_iter().for_each(|code| bits.u8(code));
        });
    }
}

impl Timing {
    fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        let (num_units_in_tick, time_scale) = (bits.bits(32)?, bits.bits(32)?);
        Ok(Self { num_units_in_tick, time_scale, is_fixed_frame_rate: bits.flag()? })
    }

    fn write(&self, bits: &mut Writer) {
        bits.bits(self.num_units_in_tick, 32);
        bits.bits(self.time_scale, 32);
        bits.flag(self.is_fixed_frame_rate);
    }
}

impl Hrd {
    fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        let count = in_range(bits, "cpb_cnt_minus1", 0..=31)? + 1;
        let (bit_rate_scale, cpb_size_scale) = (bits.bits(4)? as u8, bits.bits(4)? as u8);
        let deliveries = (0..count).map(|_| Delivery::read(bits)).collect::<Result<_, _>>()?;
        Ok(Self {
            bit_rate_scale,
            cpb_size_scale,
            deliveries,
            initial_cpb_removal_delay_length_minus1: bits.bits(5)? as u8,
            cpb_removal_delay_length_minus1: bits.bits(5)? as u8,
            dpb_output_delay_length_minus1: bits.bits(5)? as u8,
            time_offset_length: bits.bits(5)? as u8,
        })
    }

    fn write(&self, bits: &mut Writer) {
        debug_assert!((1..=32).contains(&self.deliveries.len()), "{} deliveries", self.deliveries.len());
        bits.ue(self.deliveries.len().saturating_sub(1) as u32);
        bits.bits(self.bit_rate_scale.into(), 4);
        bits.bits(self.cpb_size_scale.into(), 4);
        self.deliveries.iter().for_each(|delivery| delivery.write(bits));
        for length in [
            self.initial_cpb_removal_delay_length_minus1,
            self.cpb_removal_delay_length_minus1,
            self.dpb_output_delay_length_minus1,
            self.time_offset_length,
        ] {
            bits.bits(length.into(), 5);
        }
    }
}

impl Delivery {
    fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self { bit_rate_value_minus1: bits.ue()?, cpb_size_value_minus1: bits.ue()?, is_cbr: bits.flag()? })
    }

    fn write(&self, bits: &mut Writer) {
        bits.ue(self.bit_rate_value_minus1);
        bits.ue(self.cpb_size_value_minus1);
        bits.flag(self.is_cbr);
    }
}

impl Restriction {
    fn read(bits: &mut Reader<'_>) -> Result<Self, Error> {
        Ok(Self {
            has_vectors_over_boundaries: bits.flag()?,
            max_bytes_per_pic_denom: bits.ue()?,
            max_bits_per_mb_denom: bits.ue()?,
            log2_max_mv_length_horizontal: bits.ue()?,
            log2_max_mv_length_vertical: bits.ue()?,
            max_num_reorder_frames: bits.ue()?,
            max_dec_frame_buffering: bits.ue()?,
        })
    }

    fn write(&self, bits: &mut Writer) {
        bits.flag(self.has_vectors_over_boundaries);
        for number in [
            self.max_bytes_per_pic_denom,
            self.max_bits_per_mb_denom,
            self.log2_max_mv_length_horizontal,
            self.log2_max_mv_length_vertical,
            self.max_num_reorder_frames,
            self.max_dec_frame_buffering,
        ] {
            bits.ue(number);
        }
    }
}
