//! H.264 in software, by the machine's libx264: better and cheaper pictures than OpenH264's, where its licence is wanted.
//!
//! It is told which macroblocks are what they were in the picture before and passes over them, once they are as fine as
//! [`QUANTISER_MIN`] lets them get; without that bound still areas would be polished for as long as bits are left.
//!
//! The rate is constant, over a buffer of one second: what ingests and players hold at least, and room for a keyframe of a
//! detailed picture, which half a second would make visibly coarser. The library counts time in pictures that it is given,
//! so it does not see the buffer of the decoder fill while a picture is repeated (`still.rs`). [`Buffer`] sees it, and lets
//! the library have what came meanwhile by a raised rate for the first picture after the repeats: it has as much room as
//! the library takes it to have, or more, so that the buffer model holds.

use std::ffi::CStr;

use bytes::Bytes;

use super::{
    AccessUnit, Candidate, Config, Encoder, Error, Origin, ParameterSets, Request, X264Preset, gop::Gop, h264_only,
    level::Level,
};
use crate::{
    base::{
        nv12::{Layout, Picture},
        rate::FrameRate,
        size::Size,
    },
    ffi::x264 as ffi,
    h264::{NalKind, nal::length_prefixed, sps},
    scene::damage::Damage,
};

/// The entry of the table of candidates.
pub(super) const CANDIDATE: Candidate = Candidate {
    name: NAME,
    summary: "libx264, in software, a thread for each processor",
    licence: "GPL-2.0-or-later",
    open,
};

const NAME: &str = "x264";
/// Finest quantiser: that from which on a picture is repeated.
const QUANTISER_MIN: u8 = 15;
/// Seconds of the stream that a decoder holds.
const BUFFER_S: f64 = 1.0;
/// What of the buffer may come at once; of more the library takes it that each picture is to fill the buffer.
const REFILL_MAX: f64 = 0.9;

/// A stream's encoder.
#[derive(Debug)]
struct X264 {
    library: ffi::Encoder,
    layout: Layout,
    level: Level,
    gop: Gop,
    bitrate_kbps: u32,
    buffer: Buffer,
    /// Number of the frame coded last.
    last: Option<u64>,
    constant: Constant,
    parameter_sets: ParameterSets,
}

fn open(config: &Config) -> Result<Box<dyn Encoder>, Error> {
    h264_only(NAME, config)?;
    let level = Level::of(config.size, config.rate, config.bitrate_kbps);
    let buffer = Buffer::new(config.rate, config.bitrate_kbps);
    let mut library = ffi::Encoder::open(&ffi::Parameters {
        size: config.size,
        rate: config.rate,
        preset: native_name(config.x264.preset),
        bitrate_kbps: config.bitrate_kbps,
        buffer_kbit: buffer.kbit(),
        level_idc: level.idc,
        threads: config.threads as u32,
        quantiser_min: QUANTISER_MIN,
        colour: config.colour,
    })
    .map_err(library_error)?;
    let parameter_sets = read_parameter_sets(library.headers().map_err(library_error)?, config)?;
    Ok(Box::new(X264 {
        library,
        layout: Layout::of(config.size),
        level,
        gop: Gop::new(config.gop_frames),
        bitrate_kbps: config.bitrate_kbps,
        buffer,
        last: None,
        constant: Constant::new(config.size),
        parameter_sets,
    }))
}

fn native_name(preset: X264Preset) -> &'static CStr {
    match preset {
        X264Preset::Ultrafast => c"ultrafast",
        X264Preset::Superfast => c"superfast",
        X264Preset::Veryfast => c"veryfast",
        X264Preset::Faster => c"faster",
        X264Preset::Fast => c"fast",
        X264Preset::Medium => c"medium",
        X264Preset::Slow => c"slow",
        X264Preset::Slower => c"slower",
    }
}

impl Encoder for X264 {
    fn backend(&self) -> &'static str {
        NAME
    }

    fn parameter_sets(&self) -> &ParameterSets {
        &self.parameter_sets
    }

    fn encode(&mut self, picture: &Picture, request: Request) -> Result<Option<AccessUnit>, Error> {
        if picture.layout() != self.layout {
            return Err(Error::PictureSize { expected: self.layout.size, got: picture.layout().size });
        }
        let Request { frame, is_idr_forced, damage } = request;
        let missed = self.last.map_or(0, |last| frame.saturating_sub(last + 1));
        let refill = self.buffer.refill_after(missed);
        if missed > 0 {
            self.use_rate(self.buffer.rate_kbps(refill))?;
        }
        let is_idr = is_idr_forced || self.gop.is_due(frame);
        let constant = self.constant.outside(&damage);
        let coded = self.library.encode(picture, frame, is_idr, Some(constant)).map_err(library_error)?;
        check_slices(coded.nalus)?;
        let (is_key, nalus) = (coded.is_idr, Bytes::copy_from_slice(coded.nalus));
        self.buffer.take(nalus.len(), refill);
        self.last = Some(frame);
        if is_key {
            self.gop.handle_keyframe(frame);
        }
        if missed > 0 {
            self.use_rate(self.bitrate_kbps)?;
        }
        Ok(Some(AccessUnit { frame, lead: 0, is_key, origin: Origin::Coded, nalus }))
    }

    fn flush(&mut self) -> Result<Option<AccessUnit>, Error> {
        Ok(None)
    }

    fn set_bitrate_kbps(&mut self, bitrate_kbps: u32) -> Result<(), Error> {
        self.level.check(bitrate_kbps)?;
        self.bitrate_kbps = bitrate_kbps;
        self.buffer.set_bitrate_kbps(bitrate_kbps);
        self.use_rate(bitrate_kbps)
    }
}

impl X264 {
    /// From the next picture on.
    fn use_rate(&mut self, kbps: u32) -> Result<(), Error> {
        self.library.set_rate(kbps, self.buffer.kbit()).map_err(library_error)
    }
}

/// A decoder's buffer as the library models it, in bits: each picture takes its own, and what comes in its time follows.
#[derive(Debug)]
struct Buffer {
    rate: FrameRate,
    size: f64,
    /// What comes in the time of one frame.
    frame: f64,
    fill: f64,
}

impl Buffer {
    /// As full as the library takes it to be at first.
    fn new(rate: FrameRate, bitrate_kbps: u32) -> Self {
        let mut buffer = Self { rate, size: 0.0, frame: 0.0, fill: f64::INFINITY };
        buffer.set_bitrate_kbps(bitrate_kbps);
        buffer.fill = buffer.size * 0.9;
        buffer
    }

    fn set_bitrate_kbps(&mut self, bitrate_kbps: u32) {
        let bits_per_s = f64::from(bitrate_kbps) * 1000.0;
        // At least one frame; the slowest rate is one a second.
        self.size = bits_per_s * BUFFER_S;
        self.frame = bits_per_s / self.rate.as_f64();
        self.fill = self.fill.min(self.size);
    }

    fn kbit(&self) -> u32 {
        (self.size / 1000.0) as u32
    }

    /// What is to follow a picture before which so many were not given to the library: what has come in their time, too.
    fn refill_after(&self, missed: u64) -> f64 {
        let came = (missed as f64 * self.frame).min(self.size - self.fill);
        (came + self.frame).min((self.size * REFILL_MAX).max(self.frame))
    }

    /// The rate at which so much comes in the time of a frame.
    fn rate_kbps(&self, refill: f64) -> u32 {
        (refill * self.rate.as_f64() / 1000.0) as u32
    }

    fn take(&mut self, bytes: usize, refill: f64) {
        self.fill = ((self.fill - bytes as f64 * 8.0).max(0.0) + refill).min(self.size);
    }
}

/// Flags for the macroblocks of a picture: 1 where it is what it was.
#[derive(Debug)]
struct Constant {
    columns: usize,
    flags: Box<[u8]>,
}

impl Constant {
    fn new(size: Size) -> Self {
        let [columns, rows] = ffi::macroblocks(size).map(|count| count as usize);
        Self { columns, flags: vec![0; columns * rows].into_boxed_slice() }
    }

    /// Macroblocks of which no pixel lies in the damage.
    fn outside(&mut self, damage: &Damage) -> &[u8] {
        self.flags.fill(1);
        let rows = self.flags.len() / self.columns;
        for rect in damage.rects() {
            let [left, top] = [rect.left, rect.top].map(|edge| edge as usize / 16);
            let [right, bottom] = [rect.right, rect.bottom].map(|edge| (edge as usize).div_ceil(16));
            let (right, bottom) = (right.min(self.columns), bottom.min(rows));
            for row in self.flags.chunks_exact_mut(self.columns).take(bottom).skip(top) {
                row[left.min(right)..right].fill(0);
            }
        }
        &self.flags
    }
}

/// Picks SPS and PPS out of the library's headers; the text about itself among them stays behind. The SPS is made to say
/// where chroma is, which the library leaves out where it is on the left.
fn read_parameter_sets(headers: &[u8], config: &Config) -> Result<ParameterSets, Error> {
    let (mut sps, mut pps) = (None, Vec::new());
    for nal in length_prefixed(headers) {
        match nal.map(|nal| (NalKind::of(nal), nal)) {
            Some((NalKind::Sps, nal)) => sps = Some(Bytes::copy_from_slice(nal)),
            Some((NalKind::Pps, nal)) => pps.push(Bytes::copy_from_slice(nal)),
            Some(_) => {}
            None => return Err(bitstream("headers that are not behind their lengths".into())),
        }
    }
    match sps {
        Some(sps) if !pps.is_empty() => {
            let sps = sps::described(&sps, config.colour, config.rate).map_err(|error| bitstream(error.to_string()))?;
            Ok(ParameterSets { vps: None, sps: sps.into(), pps })
        }
        _ => Err(bitstream("no parameter sets".into())),
    }
}

/// An access unit holds slices and nothing else.
fn check_slices(nalus: &[u8]) -> Result<(), Error> {
    for nal in length_prefixed(nalus) {
        match nal.map(NalKind::of) {
            Some(NalKind::Slice | NalKind::Idr) => {}
            Some(kind) => return Err(bitstream(format!("a NAL unit of kind {kind:?} among slices"))),
            None => return Err(bitstream("slices that are not behind their lengths".into())),
        }
    }
    Ok(())
}

fn library_error(error: ffi::Error) -> Error {
    Error::Library { backend: NAME, source: error.into() }
}

fn bitstream(what: String) -> Error {
    Error::Bitstream { backend: NAME, what }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scene::damage::PixelRect;

    proptest! {
        /// A macroblock is constant if and only if the damage does not touch it.
        #[test]
        fn constant_is_what_the_damage_does_not_touch(
            places in prop::collection::vec((0..130u32, 0..90u32, 1..60u32, 1..60u32), 0..6),
        ) {
            let size = Size::new(130, 90).unwrap();
            let mut damage = Damage::none();
            for (left, top, width, height) in places {
                damage.add(PixelRect { left, top, right: left + width, bottom: top + height });
            }
            let mut constant = Constant::new(size);
            for (at, &flag) in constant.outside(&damage).iter().enumerate() {
                let (left, top) = (at as u32 % 9 * 16, at as u32 / 9 * 16);
                let block = PixelRect { left, top, right: left + 16, bottom: top + 16 };
                prop_assert_eq!(flag == 0, damage.rects().iter().any(|rect| rect.touches(block)), "{:?}", block);
            }
        }
    }

    #[test]
    fn all_of_it_and_none_of_it() {
        let mut constant = Constant::new(Size::new(64, 48).unwrap());
        assert_eq!(constant.outside(&Damage::none()), [1; 12]);
        assert_eq!(constant.outside(&Damage::whole([64, 48])), [0; 12]);
        assert_eq!(constant.outside(&Damage::whole([u32::MAX; 2])), [0; 12]);
    }

    /// 1000 kbit/s at 25 frames: 40 kbit a frame, a buffer of 1000, 900 of it full at first.
    #[test]
    fn what_came_meanwhile_follows_the_first_picture_after_repeats() {
        let mut buffer = Buffer::new(FrameRate::new(25, 1).unwrap(), 1000);
        assert_eq!(buffer.refill_after(0), 40_000.0);
        buffer.take(50_000, buffer.refill_after(0));
        assert_eq!(buffer.fill, 540_000.0);
        assert_eq!(buffer.rate_kbps(buffer.refill_after(3)), 4 * 1000);
        assert_eq!(buffer.refill_after(50), 500_000.0, "no more than there is room for");
        buffer.take(5_000, buffer.refill_after(50));
        assert_eq!(buffer.fill, 1_000_000.0);
        buffer.take(1_000_000, 40_000.0);
        assert_eq!(buffer.refill_after(1000), 900_000.0, "never all of it at once");
    }
}
