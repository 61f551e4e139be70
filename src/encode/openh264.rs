//! H.264 in software, by OpenH264: always there, and the last candidate to be tried.
//!
//! What was measured with library 2.7, and what follows from it:
//!
//! - The library warns that it cannot hold a bitrate unless it may skip frames. It can: film grain, a moving texture,
//!   confetti and cuts every 1.5 s averaged the bitrate asked for over each group of two seconds but the first, mostly
//!   within 5 % and at worst 18 % above (grain at 1920x1080); every frame was coded. Allowed to skip, it dropped 169 of 180
//!   frames of noise. So it may not, and a skipped frame is only handled because the library's interface has it.
//! - It has no model of a buffer. A minute of grain at 640x360 and 1 Mbit/s takes 0.98, and a decoder would have to hold 1.6
//!   seconds of it (x264: 0.64); the tests hold it to two.
//! - The price is paid where something hard begins: the library bounds the quantiser of IDRs (at 35 for usual bitrates), so
//!   they come out too big, and then makes up for it with nearly empty frames. A coarsest quantiser of 48 instead of 51
//!   raises the worst frame by 1 to 2 dB; at 46 it is up to 4 dB, but confetti at 1920x1080 no longer fits into 4.5 Mbit/s
//!   and half-scale noise takes 16. Even at 48 such noise takes twice its bitrate in the second that has the IDR, and an
//!   IDR of full-scale white noise has 1.07 MB.
//! - `MEDIUM_COMPLEXITY` against `LOW`, at 1280x720 and 3 Mbit/s: 0.5 dB better on motion, 2.7 on a ticker, equal on
//!   grain, 1.2 worse on cuts, where it spent 6 % less; 10 to 25 % more time. `HIGH` is equal to it.
//! - 1920x1080 on the two threads of a small cloud machine takes 2 to 4 ms where little moves, 7 where all does, and 14 to
//!   29 for an IDR.
//!
//! Slices are cut for threads, at most four, which the library takes from one pool for all streams.

use bytes::Bytes;

use super::{
    AccessUnit, Candidate, Config, Encoder, Error, Origin, ParameterSets, Request, gop::Gop, h264_only, level::Level,
    planar::Planar,
};
use crate::{
    base::{
        nv12::{Layout, Picture},
        rate::FrameRate,
    },
    ffi::openh264::{self as ffi, Complexity, Encoded, Nalus},
    h264::{NalKind, put_length_prefixed, sps},
};

/// The entry of the table of candidates.
pub(super) const CANDIDATE: Candidate = Candidate {
    name: NAME,
    summary: "OpenH264, in software, up to four threads a stream",
    licence: "BSD-2-Clause",
    open,
};

const NAME: &str = "openh264";
/// Bytes in front of each NAL unit of an access unit.
const LENGTH_BYTES: usize = 4;
/// By how much the bitrate is raised for the keyframe of a picture that stands still: it has most of the bits that the repeats
/// after it save, of which the library's rate control knows nothing. With less it would be coarser than what it follows, and
/// the picture would pulse; at four times the bitrate it has a fifth of what its group may have.
const STILL_KEY_SHARE: u32 = 4;

/// A stream's encoder.
#[derive(Debug)]
struct OpenH264 {
    library: ffi::Encoder,
    layout: Layout,
    rate: FrameRate,
    level: Level,
    gop: Gop,
    bitrate_kbps: u32,
    planar: Planar,
    /// SPS and PPS as the library repeats them in front of each IDR.
    written: [Bytes; 2],
    parameter_sets: ParameterSets,
}

fn open(config: &Config) -> Result<Box<dyn Encoder>, Error> {
    h264_only(NAME, config)?;
    let level = Level::of(config.size, config.rate, config.bitrate_kbps);
    let layout = Layout::of(config.size);
    let mut library = ffi::Encoder::open(&ffi::Parameters {
        size: config.size,
        frames_per_second: config.rate.as_f64() as f32,
        bitrate_bps: config.bitrate_kbps * 1000,
        level_idc: level.idc,
        slices: ffi::slices_for(config.size, config.threads),
        colour: config.colour,
        may_skip_frames: false,
        complexity: Complexity::Medium,
        quantiser: 12..=48,
    })
    .map_err(library_error)?;
    let written = read_parameter_sets(library.parameter_sets().map_err(library_error)?)?;
    let parameter_sets = describe(&written, config)?;
    Ok(Box::new(OpenH264 {
        library,
        layout,
        rate: config.rate,
        level,
        gop: Gop::new(config.gop_frames),
        bitrate_kbps: config.bitrate_kbps,
        planar: Planar::new(layout),
        written,
        parameter_sets,
    }))
}

impl Encoder for OpenH264 {
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
        let is_key = request.is_idr_forced || self.gop.is_due(request.frame);
        if is_key {
            self.library.force_idr().map_err(library_error)?;
        }
        if !(is_key && request.is_unchanged()) {
            return self.code(picture, request.frame);
        }
        let raised = self.bitrate_kbps.saturating_mul(STILL_KEY_SHARE).min(self.level.bitrate_kbps_max());
        self.use_bitrate(raised)?;
        let unit = self.code(picture, request.frame)?;
        self.use_bitrate(self.bitrate_kbps)?;
        Ok(unit)
    }

    fn flush(&mut self) -> Result<Option<AccessUnit>, Error> {
        Ok(None)
    }

    fn set_bitrate_kbps(&mut self, bitrate_kbps: u32) -> Result<(), Error> {
        self.level.check(bitrate_kbps)?;
        self.use_bitrate(bitrate_kbps)?;
        self.bitrate_kbps = bitrate_kbps;
        Ok(())
    }
}

impl OpenH264 {
    fn code(&mut self, picture: &Picture, frame: u64) -> Result<Option<AccessUnit>, Error> {
        let time_ms = i64::try_from(self.rate.ms_of(frame)).unwrap_or(i64::MAX);
        let planes = self.planar.planes(picture);
        let Encoded::Frame { is_idr, nalus } = self.library.encode(&planes, time_ms).map_err(library_error)? else {
            return Ok(None);
        };
        if is_idr {
            self.gop.handle_keyframe(frame);
        }
        let nalus = length_prefixed(nalus, &self.written)?;
        Ok(Some(AccessUnit { frame, lead: 0, is_key: is_idr, origin: Origin::Coded, nalus }))
    }

    fn use_bitrate(&mut self, bitrate_kbps: u32) -> Result<(), Error> {
        self.library.set_bitrate_bps(bitrate_kbps * 1000).map_err(library_error)
    }
}

/// Picks SPS and PPS out of what the library wrote.
fn read_parameter_sets(nalus: Nalus<'_>) -> Result<[Bytes; 2], Error> {
    let (mut sps, mut pps) = (None, None);
    for nalu in nalus {
        match NalKind::of(nalu) {
            NalKind::Sps => sps = Some(Bytes::copy_from_slice(nalu)),
            NalKind::Pps => pps = Some(Bytes::copy_from_slice(nalu)),
            _ => {}
        }
    }
    sps.zip(pps).map(|(sps, pps)| [sps, pps]).ok_or_else(|| bitstream("no parameter sets".into()))
}

/// Has the SPS say what the library cannot: chroma location and frame rate.
fn describe([sps, pps]: &[Bytes; 2], config: &Config) -> Result<ParameterSets, Error> {
    let sps = sps::described(sps, config.colour, config.rate).map_err(|error| bitstream(error.to_string()))?;
    Ok(ParameterSets { vps: None, sps: sps.into(), pps: vec![pps.clone()] })
}

/// Puts the slices of one frame into one buffer, each behind its length, and leaves out what stands elsewhere.
fn length_prefixed(nalus: Nalus<'_>, [sps, pps]: &[Bytes; 2]) -> Result<Bytes, Error> {
    let mut len = 0;
    for nalu in nalus.clone() {
        match NalKind::of(nalu) {
            NalKind::Slice | NalKind::Idr => len += LENGTH_BYTES + nalu.len(),
            NalKind::Sps if nalu != sps => return Err(bitstream("another SPS than it opened with".into())),
            NalKind::Pps if nalu != pps => return Err(bitstream("another PPS than it opened with".into())),
            _ => {}
        }
    }
    if len == 0 {
        return Err(bitstream("a frame without slices".into()));
    }
    let mut out = Vec::with_capacity(len);
    for nalu in nalus.filter(|nalu| matches!(NalKind::of(nalu), NalKind::Slice | NalKind::Idr)) {
        put_length_prefixed(nalu, &mut out);
    }
    Ok(out.into())
}

fn library_error(error: ffi::Error) -> Error {
    Error::Library { backend: NAME, source: error.into() }
}

fn bitstream(what: String) -> Error {
    Error::Bitstream { backend: NAME, what }
}
