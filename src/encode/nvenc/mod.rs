//! H.264 and HEVC by NVENC, the encoder in NVIDIA's GPUs: the first candidate to be tried, where there is one.
//!
//! No chip was at hand when this was written. What is known of the driver is its header and what others report; all of it
//! is tried on a stand-in that is as strict as the documentation (`tests/nvenc`), and the refusals of GPUs without an
//! encoder on such a GPU. What follows from what others measured:
//!
//! - Keyframes are forced on our own grid, and the driver's own period is infinite.
//! - The bitrate is changed without resetting the encoder and without a keyframe, which the header allows and which was
//!   measured to follow within a percent.
//! - In the low-latency tuning each frame refers to the one before it alone, so that pictures which do not change are
//!   repeated without the chip (`still.rs`). In the quality tuning there are two B frames between others where the chip has
//!   them; none is referred to, so that one frame of delay is enough.
//! - The decoder's buffer holds half a second in the low-latency tuning, a second in the other.
//! - Pictures go through memory: at 1920x1080 and 60 frames a second 187 MB/s, little for the bus.
//!
//! Before the driver is opened in this process, it is tried in another (`probe`). Left out: AV1, which came with version 12
//! of the driver's interface and is not in the header this speaks; what HEVC's parameter sets say of timing is the driver's.

mod hevc;
mod probe;

#[cfg(test)]
mod tests;

use std::{collections::VecDeque, path::Path};

use bytes::Bytes;

use super::{
    AccessUnit, BITRATE_KBPS_MAX, BITRATE_KBPS_MIN, Candidate, Codec, Config, Encoder, Error, InvalidConfig,
    NvencPreset, Origin, ParameterSets, Request, Tuning, gop::Gop, level::Level,
};
use crate::{
    base::nv12::{Layout, Picture},
    ffi::nvenc::{self as ffi, Capabilities, Coded, Driver, Session},
    h264::{NalKind, Sps, annex_b, put_length_prefixed, sps, vui::Restriction},
};

pub use self::probe::{Access, Findings, PATIENCE, Probe, ProbeError, examine, set_access};

/// The entry of the table of candidates.
pub(super) const CANDIDATE: Candidate =
    Candidate { name: NAME, summary: "NVENC, the encoder in NVIDIA's GPUs", licence: "that of NVIDIA's driver", open };

const NAME: &str = "nvenc";
/// B frames between two others in the quality tuning.
const B_FRAMES: u32 = 2;
/// `profile_idc` of High.
const PROFILE_HIGH: u8 = 100;

/// What the encoder of this GPU cannot do.
#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("{device} encodes {limits:?} pixels {side}, and {got} are asked for")]
    Size { device: String, side: &'static str, limits: std::ops::RangeInclusive<u32>, got: u32 },
    #[error("{device} {lack}")]
    Lacks { device: String, lack: &'static str },
}

/// A stream's encoder.
#[derive(Debug)]
struct Nvenc {
    codec: ffi::Codec,
    library: ffi::Encoder,
    config: Config,
    capabilities: Capabilities,
    /// H.264's, up to which the bitrate may be raised; that of HEVC is left to the driver.
    level: Option<Level>,
    gop: Gop,
    order: Order,
    /// Keyframes that were asked for and have not come out.
    asked: VecDeque<u64>,
    /// The parameter sets as the driver writes them.
    written: Vec<Bytes>,
    parameter_sets: ParameterSets,
    is_finished: bool,
}

fn open(config: &Config) -> Result<Box<dyn Encoder>, Error> {
    codec_of(config)?;
    let access = probe::access();
    let absent = |error: ffi::Error| Error::Absent { backend: NAME, source: error.into() };
    ffi::find(access.directory.as_deref()).map_err(absent)?;
    let findings = probe::ask(&access).map_err(library_error)?;
    if let Some(findings) = findings {
        tracing::info!(%findings, "NVENC was tried in a process of its own");
    }
    Ok(Box::new(open_here(access.directory.as_deref(), config)?))
}

fn codec_of(config: &Config) -> Result<ffi::Codec, Error> {
    match config.codec {
        Codec::H264 => Ok(ffi::Codec::H264),
        Codec::Hevc => Ok(ffi::Codec::Hevc),
        codec @ Codec::Av1 => Err(Error::Codec { backend: NAME, codec }),
    }
}

/// Opens the encoder of the first device that has one.
fn open_here(directory: Option<&Path>, config: &Config) -> Result<Nvenc, Error> {
    let codec = codec_of(config)?;
    let driver = Driver::open(directory).map_err(library_error)?;
    let mut reason = None;
    for device in driver.devices().map_err(library_error)? {
        let opened = Session::open(&driver, &device).and_then(|session| {
            let capabilities = session.capabilities(codec)?;
            Ok((session, capabilities))
        });
        match opened {
            Ok((session, capabilities)) => return Nvenc::start(session, codec, capabilities, &device.name, config),
            // That of the first device is the one to tell.
            Err(error) => reason = reason.or(Some(error)),
        }
    }
    Err(library_error(reason.unwrap_or(ffi::Error::Cuda(crate::ffi::cuda::Error::NoDevice))))
}

impl Nvenc {
    fn start(
        session: Session,
        codec: ffi::Codec,
        capabilities: Capabilities,
        device: &str,
        config: &Config,
    ) -> Result<Self, Error> {
        check(codec, &capabilities, device, config).map_err(library_error)?;
        let level = (codec == ffi::Codec::H264).then(|| Level::of(config.size, config.rate, config.bitrate_kbps));
        let parameters = parameters(codec, config, &capabilities, level);
        let mut library = session.start(&parameters).map_err(library_error)?;
        let bytes = library.parameter_sets().map_err(library_error)?;
        let written: Vec<_> = annex_b(&bytes).map(Bytes::copy_from_slice).collect();
        let sets = read_parameter_sets(codec, &written)?;
        let parameter_sets = match level {
            Some(level) => describe(&sets, config, level, parameters.b_frames > 0)?,
            None => hevc::checked(sets, config.size).map_err(bitstream)?,
        };
        Ok(Self {
            codec,
            library,
            config: *config,
            capabilities,
            level,
            gop: Gop::new(config.gop_frames),
            order: Order { is_kept: parameters.b_frames == 0, ..Order::default() },
            asked: VecDeque::new(),
            written,
            parameter_sets,
            is_finished: false,
        })
    }

    /// The next frame that has come out.
    fn next(&mut self) -> Result<Option<AccessUnit>, Error> {
        let (codec, written) = (self.codec, &self.written);
        let taken = self.library.take(|coded| unit(codec, coded, written)).map_err(library_error)?;
        let Some(mut unit) = taken.transpose()? else { return Ok(None) };
        if self.asked.front() == Some(&unit.frame) {
            self.asked.pop_front();
            if !unit.is_key {
                return Err(bitstream(format!("no keyframe for frame {}, where one was asked for", unit.frame)));
            }
        }
        unit.lead = self.order.take(unit.frame)?;
        Ok(Some(unit))
    }
}

impl Encoder for Nvenc {
    fn backend(&self) -> &'static str {
        NAME
    }

    fn parameter_sets(&self) -> &ParameterSets {
        &self.parameter_sets
    }

    fn encode(&mut self, picture: &Picture, request: Request) -> Result<Option<AccessUnit>, Error> {
        if picture.layout() != Layout::of(self.config.size) {
            return Err(Error::PictureSize { expected: self.config.size, got: picture.layout().size });
        }
        let is_key = request.is_idr_forced || self.gop.is_due(request.frame);
        self.library.submit(picture, request.frame, is_key).map_err(library_error)?;
        self.order.given.push_back(request.frame);
        if is_key {
            self.gop.handle_keyframe(request.frame);
            self.asked.push_back(request.frame);
        }
        self.next()
    }

    fn flush(&mut self) -> Result<Option<AccessUnit>, Error> {
        if !self.is_finished {
            self.library.finish().map_err(library_error)?;
            self.is_finished = true;
        }
        self.next()
    }

    fn set_bitrate_kbps(&mut self, bitrate_kbps: u32) -> Result<(), Error> {
        match self.level {
            Some(level) => level.check(bitrate_kbps)?,
            None if (BITRATE_KBPS_MIN..=BITRATE_KBPS_MAX).contains(&bitrate_kbps) => {}
            None => return Err(library_error(InvalidConfig::Bitrate { bitrate_kbps })),
        }
        if !self.capabilities.has_live_bitrate {
            let device = self.library.device().to_owned();
            return Err(library_error(Unfit::Lacks { device, lack: "cannot change its bitrate while it runs" }));
        }
        let config = Config { bitrate_kbps, ..self.config };
        let buffer_bits = buffer_bits(&config, &self.capabilities);
        self.library.set_bitrate(bitrate_kbps * 1000, buffer_bits).map_err(library_error)?;
        self.config = config;
        Ok(())
    }
}

/// When frames are decoded that come out in another order than they went in.
///
/// ```text
/// shown    0 1 2 3 4 5 6     given    0  1  2  3  4  5  6
/// decoded  0 3 1 2 6 4 5     decoded -1  0  1  2  3  4  5     each in the place of the one given before it
/// lead     1 3 0 0 3 0 0
/// ```
///
/// With a delay of one frame for all nothing is decoded before the stream starts, nor after it is due.
#[derive(Debug, Default)]
struct Order {
    /// Whether frames come out as they go in.
    is_kept: bool,
    /// Frames that went in and whose place in the order of decoding has not been used.
    given: VecDeque<u64>,
    /// The one whose place comes next.
    place: Option<u64>,
}

impl Order {
    /// By how much `frame`, the next that comes out, is decoded before it is shown.
    fn take(&mut self, frame: u64) -> Result<u64, Error> {
        let next = self.given.pop_front();
        let place = std::mem::replace(&mut self.place, next);
        if self.is_kept {
            return Ok(0);
        }
        let late = || bitstream(format!("frame {frame} after it was due: it reorders by more than one frame"));
        place.map_or(Ok(1), |place| frame.checked_sub(place).ok_or_else(late))
    }
}

/// Whether the encoder can do what is asked.
fn check(codec: ffi::Codec, capabilities: &Capabilities, device: &str, config: &Config) -> Result<(), Unfit> {
    let device = || device.to_owned();
    for (side, limits, got) in [
        ("from left to right", &capabilities.width, config.size.width()),
        ("from top to bottom", &capabilities.height, config.size.height()),
    ] {
        if !limits.contains(&got) {
            return Err(Unfit::Size { device: device(), side, limits: limits.clone(), got });
        }
    }
    if !capabilities.has_cbr {
        return Err(Unfit::Lacks { device: device(), lack: "does not hold a constant bitrate" });
    }
    if codec == ffi::Codec::H264 && !capabilities.has_cabac {
        return Err(Unfit::Lacks { device: device(), lack: "does not code by CABAC" });
    }
    Ok(())
}

fn b_frames(config: &Config, capabilities: &Capabilities) -> u32 {
    match config.tuning {
        Tuning::LowLatency => 0,
        Tuning::Quality => B_FRAMES.min(capabilities.b_frames_max),
    }
}

fn buffer_bits(config: &Config, capabilities: &Capabilities) -> u32 {
    let bits = match config.tuning {
        Tuning::LowLatency => config.bitrate_kbps * 500,
        Tuning::Quality => config.bitrate_kbps * 1000,
    };
    if capabilities.has_buffer_size { bits } else { 0 }
}

fn parameters(
    codec: ffi::Codec,
    config: &Config,
    capabilities: &Capabilities,
    level: Option<Level>,
) -> ffi::Parameters {
    let is_quality = config.tuning == Tuning::Quality;
    ffi::Parameters {
        codec,
        preset: preset(config.nvenc.preset),
        is_quality,
        size: config.size,
        rate: config.rate,
        bitrate_bps: config.bitrate_kbps * 1000,
        buffer_bits: buffer_bits(config, capabilities),
        level_idc: level.map_or(0, |level| level.idc.into()),
        b_frames: b_frames(config, capabilities),
        has_one_reference: !is_quality && capabilities.has_reference_count,
        has_temporal_aq: is_quality && capabilities.has_temporal_aq,
        colour: config.colour,
    }
}

fn preset(preset: NvencPreset) -> usize {
    match preset {
        NvencPreset::P1 => 1,
        NvencPreset::P2 => 2,
        NvencPreset::P3 => 3,
        NvencPreset::P4 => 4,
        NvencPreset::P5 => 5,
        NvencPreset::P6 => 6,
        NvencPreset::P7 => 7,
    }
}

/// What a NAL unit is, in either codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Vps,
    Sps,
    Pps,
    /// A slice of a picture from which decoding can start.
    Key,
    Slice,
    Other,
}

impl Kind {
    fn of(codec: ffi::Codec, nal: &[u8]) -> Self {
        match (codec, NalKind::of(nal)) {
            (ffi::Codec::Hevc, _) => hevc::kind_of(nal),
            (ffi::Codec::H264, NalKind::Sps) => Self::Sps,
            (ffi::Codec::H264, NalKind::Pps) => Self::Pps,
            (ffi::Codec::H264, NalKind::Idr) => Self::Key,
            (ffi::Codec::H264, NalKind::Slice) => Self::Slice,
            (ffi::Codec::H264, _) => Self::Other,
        }
    }
}

/// Picks the parameter sets out of what the driver wrote.
fn read_parameter_sets(codec: ffi::Codec, written: &[Bytes]) -> Result<ParameterSets, Error> {
    let of_kind = |kind| written.iter().find(|nal| Kind::of(codec, nal) == kind).cloned();
    let vps = of_kind(Kind::Vps);
    let is_whole = vps.is_some() == (codec == ffi::Codec::Hevc);
    let sets = of_kind(Kind::Sps).zip(of_kind(Kind::Pps)).filter(|_| is_whole);
    sets.map(|(sps, pps)| ParameterSets { vps, sps, pps: vec![pps] })
        .ok_or_else(|| bitstream("no parameter sets".into()))
}

/// Checks that the SPS says what was configured, and has it say what the driver does not: chroma location, frame rate, how
/// far frames are reordered.
fn describe(sets: &ParameterSets, config: &Config, level: Level, reorders: bool) -> Result<ParameterSets, Error> {
    let sps = &sets.sps;
    let unreadable = |error: sps::Error| bitstream(error.to_string());
    let parsed = Sps::parse(sps).map_err(unreadable)?;
    let said = (parsed.profile_idc, parsed.level_idc, parsed.width, parsed.height);
    let meant = (PROFILE_HIGH, level.idc, config.size.width(), config.size.height());
    if said != meant {
        return Err(bitstream(format!("an SPS of profile, level, width and height {said:?} instead of {meant:?}")));
    }
    let mut vui = parsed.vui_saying(config.colour, config.rate);
    if reorders {
        let max_dec_frame_buffering = u32::from(parsed.num_ref_frames).max(1);
        vui.restriction = vui.restriction.map(|restriction| Restriction {
            max_num_reorder_frames: 1,
            max_dec_frame_buffering,
            ..restriction
        });
    }
    let sps = sps::with_vui(sps, &vui).map_err(unreadable)?;
    Ok(ParameterSets { sps: sps.into(), ..sets.clone() })
}

/// The slices of a coded frame, each behind its length; what stands elsewhere is left out.
fn unit(codec: ffi::Codec, coded: &Coded<'_>, written: &[Bytes]) -> Result<AccessUnit, Error> {
    let mut nalus = Vec::with_capacity(coded.bytes.len() + 16);
    let mut is_key = false;
    for nal in annex_b(coded.bytes) {
        match Kind::of(codec, nal) {
            kind @ (Kind::Slice | Kind::Key) => {
                is_key |= kind == Kind::Key;
                put_length_prefixed(nal, &mut nalus);
            }
            kind @ (Kind::Vps | Kind::Sps | Kind::Pps) if !written.iter().any(|set| set == nal) => {
                return Err(bitstream(format!("another {kind:?} than it started with")));
            }
            _ => {}
        }
    }
    if nalus.is_empty() {
        return Err(bitstream(format!("frame {} without slices", coded.frame)));
    }
    if is_key != coded.is_idr {
        return Err(bitstream(format!("frame {} as another kind than it says", coded.frame)));
    }
    Ok(AccessUnit { frame: coded.frame, lead: 0, is_key, origin: Origin::Coded, nalus: nalus.into() })
}

fn library_error(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Library { backend: NAME, source: Box::new(error) }
}

fn bitstream(what: String) -> Error {
    Error::Bitstream { backend: NAME, what }
}
