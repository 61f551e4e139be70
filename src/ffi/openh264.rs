//! Cisco's OpenH264 encoder, compiled in: High profile, CABAC, one reference, no reordering.
//!
//! [`Encoder`] takes one planar picture at a time and lends the NAL units of the coded frame until the next call. It
//! produces an IDR only where it is asked to ([`Encoder::force_idr`]) and for its first frame: the grid of keyframes
//! belongs to the caller, who counts frames; the library's own period would start anew at each forced one.
//!
//! ```text
//! y, u, v planes ──► encode() ──► Encoded::Frame { is_idr, nalus: [SPS, PPS,] slice 0, slice 1, ... }
//!                             └─► Encoded::Skipped        the library dropped the frame to hold its bitrate
//! ```
//!
//! Messages of the library go to `tracing` under the target `openh264`, one step quieter than it rates them, because
//! whatever it calls an error also comes back as an [`Error`].
//!
//! Left out: temporal and spatial layers, long-term references, screen content mode, the decoder.
//! Library: OpenH264 2.7 (`codec_api.h`, `codec_app_def.h`); its worker threads form one pool per process, sized by the
//! first encoder that opens, so a second stream shares the threads of the first.

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    fmt,
    ops::RangeInclusive,
    ptr,
    ptr::NonNull,
    slice,
};

use openh264_sys2 as sys;

use crate::base::{colour::VideoColour, size::Size};

/// Most slices a picture is cut into: the library's limit on threads, and more slices than threads only cost bits.
pub const SLICES_MAX: u32 = 4;
/// The library refuses to slice pictures of this many macroblocks or fewer.
const SINGLE_SLICE_MACROBLOCKS: u32 = 48;
/// Side of a macroblock, in pixels.
const MACROBLOCK: u32 = 16;
/// Pictures wider than this many macroblocks are rate-controlled in groups of four rows, others in groups of two; a
/// slice holds at least one group (`rc.h`, `GOM_ROW_MODE0_*`).
const NARROW_MACROBLOCKS: u32 = 30;

/// How hard the library searches: its `ECOMPLEXITY_MODE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Complexity {
    /// Fastest.
    Low,
    /// In between.
    Medium,
    /// Slowest.
    High,
}

/// What an encoder is opened with.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Size of every picture.
    pub size: Size,
    /// Nominal frames per second, 1 to 60; the rate control's unit of time.
    pub frames_per_second: f32,
    /// Target bitrate in bits per second.
    pub bitrate_bps: u32,
    /// `level_idc` of H.264 table A-1, such as 40 for level 4; raised by the library if the picture needs more.
    pub level_idc: u8,
    /// Slices of a picture, each coded by a thread of its own; see [`slices_for`].
    pub slices: u32,
    /// What the VUI says of colour; its chroma location is not something the library can write.
    pub colour: VideoColour,
    /// Whether frames may be left out where the quantiser alone does not hold the bitrate.
    pub may_skip_frames: bool,
    /// How hard to search.
    pub complexity: Complexity,
    /// Finest and coarsest quantiser of P frames, 12 to 51; the library has bounds of its own for IDRs.
    pub quantiser: RangeInclusive<u8>,
}

/// Why the library did not do as told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No encoder could be made.
    #[error("OpenH264 could not create an encoder (status {status})")]
    Create {
        /// The library's status.
        status: i32,
    },
    /// The parameters were refused.
    #[error("OpenH264 refused its parameters (status {status})")]
    Initialise {
        /// The library's `CM_RETURN`.
        status: i32,
    },
    /// An option was refused.
    #[error("OpenH264 refused {option} (status {status})")]
    Option {
        /// What was to be set.
        option: &'static str,
        /// The library's `CM_RETURN`.
        status: i32,
    },
    /// A plane is shorter than its rows and pitch ask for.
    #[error("plane {plane} has {len} bytes and a pitch of {pitch}; {width}x{height} samples do not fit")]
    Plane {
        /// `y`, `u` or `v`.
        plane: char,
        /// Bytes in the plane.
        len: usize,
        /// Bytes from row to row.
        pitch: usize,
        /// Samples in a row.
        width: usize,
        /// Rows.
        height: usize,
    },
    /// A frame could not be coded; the encoder has given up its state and must be dropped.
    #[error("OpenH264 could not code a frame (status {status}, frame type {frame_type})")]
    Encode {
        /// The library's `CM_RETURN`.
        status: i32,
        /// The library's `EVideoFrameType`.
        frame_type: i32,
    },
}

/// One 8-bit 4:2:0 picture in three planes.
#[derive(Debug, Clone, Copy)]
pub struct Planes<'a> {
    /// Luma, `height` rows.
    pub y: &'a [u8],
    /// Blue difference, `height / 2` rows.
    pub u: &'a [u8],
    /// Red difference, `height / 2` rows.
    pub v: &'a [u8],
    /// Bytes from one row of luma to the next.
    pub y_pitch: usize,
    /// Bytes from one row of chroma to the next, in both planes.
    pub uv_pitch: usize,
}

/// What became of a picture.
#[derive(Debug)]
pub enum Encoded<'a> {
    /// The library left the frame out; its references stand as they were.
    Skipped,
    /// A coded frame.
    Frame {
        /// Whether decoding can start here.
        is_idr: bool,
        /// Its NAL units, without start codes, in bitstream order.
        nalus: Nalus<'a>,
    },
}

/// NAL units lent by the library until its next call; each without its start code.
#[derive(Debug, Clone)]
pub struct Nalus<'a> {
    layers: slice::Iter<'a, sys::SLayerBSInfo>,
    lengths: slice::Iter<'a, c_int>,
    bytes: &'a [u8],
}

/// An open encoder.
pub struct Encoder {
    raw: NonNull<sys::ISVCEncoder>,
    size: Size,
    /// Where the library describes its output; seven kilobytes, so it is kept.
    output: Box<sys::SFrameBSInfo>,
}

// SAFETY: an encoder is used by one thread at a time (`&mut self` everywhere) and has no tie to the thread that made it:
// the library keeps no thread-local state, and the worker pool that encoders share is guarded by its own locks.
unsafe impl Send for Encoder {}

/// Calls a method of the library's C++ object through its table.
///
/// The table is filled in by the library's own compiler, so an empty slot is a broken build, not a state to handle.
macro_rules! call {
    ($raw:expr, $method:ident $(, $argument:expr)*) => {
        ((**$raw.as_ptr()).$method.expect("the library's table of methods is complete"))($raw.as_ptr() $(, $argument)*)
    };
}

/// How many slices `threads` threads can work on in a picture of `size`: 1 to [`SLICES_MAX`].
pub fn slices_for(size: Size, threads: usize) -> u32 {
    let (columns, rows) = (size.width().div_ceil(MACROBLOCK), size.height().div_ceil(MACROBLOCK));
    if columns * rows <= SINGLE_SLICE_MACROBLOCKS {
        return 1;
    }
    let slice_rows_min = if columns <= NARROW_MACROBLOCKS { 2 } else { 4 };
    let threads = u32::try_from(threads).unwrap_or(SLICES_MAX);
    threads.min(SLICES_MAX).min(rows / slice_rows_min).max(1)
}

impl Encoder {
    /// Opens an encoder.
    ///
    /// # Errors
    ///
    /// [`Error::Create`] and [`Error::Initialise`] when the library refuses; its reason is in the log.
    pub fn open(parameters: &Parameters) -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is a valid place for one pointer, which is all the function writes to.
        let status = unsafe { sys::source::APILoader::WelsCreateSVCEncoder(&mut raw) };
        let raw = NonNull::new(raw).filter(|_| status == 0).ok_or(Error::Create { status })?;
        let encoder = Self { raw, size: parameters.size, output: Box::default() };
        encoder.trace_to_log()?;
        encoder.initialise(parameters)?;
        Ok(encoder)
    }

    fn initialise(&self, parameters: &Parameters) -> Result<(), Error> {
        let mut native = sys::SEncParamExt::default();
        // SAFETY: `self.raw` is a live encoder and `native` a parameter block of the version this crate was compiled with,
        // which the library overwrites with its defaults.
        let status = unsafe { call!(self.raw, GetDefaultParams, &mut native) };
        initialised(status)?;
        parameters.write_to(&mut native);
        // SAFETY: as above; the library copies the block before it returns.
        initialised(unsafe { call!(self.raw, InitializeExt, &native) })
    }

    fn trace_to_log(&self) -> Result<(), Error> {
        let mut callback: sys::WelsTraceCallback = Some(trace);
        let mut level: c_int = sys::WELS_LOG_INFO;
        // SAFETY: a callback is set from a `WelsTraceCallback`; `trace` lives as long as the program.
        unsafe { self.set_option(sys::ENCODER_OPTION_TRACE_CALLBACK, "a trace callback", &mut callback)? };
        // SAFETY: a trace level is set from an `int`.
        unsafe { self.set_option(sys::ENCODER_OPTION_TRACE_LEVEL, "a trace level", &mut level) }
    }

    /// Sets one option; `option` is its name for people.
    ///
    /// # Safety
    ///
    /// `T` is the type that `codec_app_def.h` gives for `id`.
    unsafe fn set_option<T>(&self, id: sys::ENCODER_OPTION, option: &'static str, value: &mut T) -> Result<(), Error> {
        // SAFETY: `self.raw` is a live encoder and the caller vouches for `T`; the library copies the value and keeps no
        // pointer to it.
        let status = unsafe { call!(self.raw, SetOption, id, ptr::from_mut(value).cast::<c_void>()) };
        if status == 0 { Ok(()) } else { Err(Error::Option { option, status }) }
    }

    /// Changes the target bitrate from the next frame on.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] when the level the encoder was opened with does not allow it.
    pub fn set_bitrate_bps(&mut self, bitrate_bps: u32) -> Result<(), Error> {
        let bitrate = c_int::try_from(bitrate_bps).unwrap_or(c_int::MAX);
        let mut total = sys::SBitrateInfo { iLayer: sys::SPATIAL_LAYER_ALL, iBitrate: bitrate };
        // SAFETY: a bitrate is set from an `SBitrateInfo`.
        unsafe { self.set_option(sys::ENCODER_OPTION_BITRATE, "a bitrate", &mut total) }
    }

    /// Makes the next frame an IDR.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] when the encoder has given up its state.
    pub fn force_idr(&mut self) -> Result<(), Error> {
        // SAFETY: `self.raw` is a live encoder; the call only sets a flag in it.
        let status = unsafe { call!(self.raw, ForceIntraFrame, true) };
        if status == 0 { Ok(()) } else { Err(Error::Option { option: "a keyframe", status }) }
    }

    /// The SPS and PPS that the coming frames refer to.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`] when the library does not write them.
    pub fn parameter_sets(&mut self) -> Result<Nalus<'_>, Error> {
        *self.output = sys::SFrameBSInfo::default();
        // SAFETY: `self.raw` is a live encoder and `self.output` a description of the library's own type.
        let status = unsafe { call!(self.raw, EncodeParameterSets, &mut *self.output) };
        if status != 0 {
            return Err(Error::Encode { status, frame_type: self.output.eFrameType });
        }
        Ok(self.nalus())
    }

    /// Codes one picture, whose place in time is `time_ms` milliseconds.
    ///
    /// # Errors
    ///
    /// [`Error::Plane`] when a plane is too short, [`Error::Encode`] when the library fails; after the latter the encoder
    /// is of no further use.
    pub fn encode(&mut self, planes: &Planes<'_>, time_ms: i64) -> Result<Encoded<'_>, Error> {
        planes.check(self.size)?;
        let picture = planes.describe(self.size, time_ms);
        *self.output = sys::SFrameBSInfo::default();
        // SAFETY: `self.raw` is a live encoder. `picture` points to planes that `check` found long enough for the size the
        // encoder was opened with, and which outlive the call; the library copies from them and, though its pointers are
        // not `const`, does not write to them. `self.output` is a description of the library's own type.
        let status = unsafe { call!(self.raw, EncodeFrame, &picture, &mut *self.output) };
        match self.output.eFrameType {
            frame_type if status != 0 => Err(Error::Encode { status, frame_type }),
            sys::videoFrameTypeSkip => Ok(Encoded::Skipped),
            sys::videoFrameTypeIDR => Ok(Encoded::Frame { is_idr: true, nalus: self.nalus() }),
            sys::videoFrameTypeI | sys::videoFrameTypeP => Ok(Encoded::Frame { is_idr: false, nalus: self.nalus() }),
            frame_type => Err(Error::Encode { status, frame_type }),
        }
    }

    fn nalus(&self) -> Nalus<'_> {
        let layers = usize::try_from(self.output.iLayerNum).unwrap_or(0).min(self.output.sLayerInfo.len());
        Nalus { layers: self.output.sLayerInfo[..layers].iter(), lengths: [].iter(), bytes: &[] }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `self.raw` came from `WelsCreateSVCEncoder`, is destroyed nowhere else and is not used afterwards; the
        // destructor waits for the worker threads that touch it.
        unsafe { sys::source::APILoader::WelsDestroySVCEncoder(self.raw.as_ptr()) }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("size", &self.size).finish_non_exhaustive()
    }
}

impl<'a> Iterator for Nalus<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            if let Some(&length) = self.lengths.next() {
                let (nalu, rest) = self.bytes.split_at_checked(usize::try_from(length).ok()?)?;
                self.bytes = rest;
                return Some(nalu.strip_prefix(&[0, 0, 0, 1]).unwrap_or(nalu));
            }
            (self.lengths, self.bytes) = contents(self.layers.next()?);
        }
    }
}

/// The lengths of a layer's NAL units and the bytes they lie in one behind another.
fn contents(layer: &sys::SLayerBSInfo) -> (slice::Iter<'_, c_int>, &[u8]) {
    let count = usize::try_from(layer.iNalCount).unwrap_or(0);
    if count == 0 || layer.pNalLengthInByte.is_null() || layer.pBsBuf.is_null() {
        return ([].iter(), &[]);
    }
    // SAFETY: the library has just filled in `layer`: `iNalCount` lengths at `pNalLengthInByte`, whose sum is the number of
    // bytes written at `pBsBuf`. Both stay in place until the next call, which the borrow of the encoder excludes.
    unsafe {
        let lengths = slice::from_raw_parts(layer.pNalLengthInByte, count);
        let total = lengths.iter().map(|&length| usize::try_from(length).unwrap_or(0)).sum();
        (lengths.iter(), slice::from_raw_parts(layer.pBsBuf, total))
    }
}

impl Planes<'_> {
    fn check(&self, size: Size) -> Result<(), Error> {
        let (width, height) = (size.width() as usize, size.height() as usize);
        let plane = |plane: char, bytes: &[u8], pitch: usize, width: usize, height: usize| {
            let is_enough =
                pitch >= width && c_int::try_from(pitch).is_ok() && bytes.len() >= pitch * (height - 1) + width;
            if is_enough { Ok(()) } else { Err(Error::Plane { plane, len: bytes.len(), pitch, width, height }) }
        };
        plane('y', self.y, self.y_pitch, width, height)?;
        plane('u', self.u, self.uv_pitch, width / 2, height / 2)?;
        plane('v', self.v, self.uv_pitch, width / 2, height / 2)
    }

    fn describe(&self, size: Size, time_ms: i64) -> sys::SSourcePicture {
        let data = |plane: &[u8]| plane.as_ptr().cast_mut();
        sys::SSourcePicture {
            iColorFormat: sys::videoFormatI420,
            iStride: [self.y_pitch as c_int, self.uv_pitch as c_int, self.uv_pitch as c_int, 0],
            pData: [data(self.y), data(self.u), data(self.v), ptr::null_mut()],
            iPicWidth: size.width() as c_int,
            iPicHeight: size.height() as c_int,
            uiTimeStamp: time_ms,
            ..Default::default()
        }
    }
}

impl Parameters {
    fn write_to(&self, native: &mut sys::SEncParamExt) {
        let bitrate = c_int::try_from(self.bitrate_bps).unwrap_or(c_int::MAX);
        native.iUsageType = sys::CAMERA_VIDEO_REAL_TIME;
        native.iPicWidth = self.size.width() as c_int;
        native.iPicHeight = self.size.height() as c_int;
        native.fMaxFrameRate = self.frames_per_second;
        native.iTargetBitrate = bitrate;
        native.iMaxBitrate = sys::UNSPECIFIED_BIT_RATE as c_int;
        native.iRCMode = sys::RC_BITRATE_MODE;
        native.bEnableFrameSkip = self.may_skip_frames;
        native.iMinQp = c_int::from(*self.quantiser.start());
        native.iMaxQp = c_int::from(*self.quantiser.end());
        native.iComplexityMode = match self.complexity {
            Complexity::Low => sys::LOW_COMPLEXITY,
            Complexity::Medium => sys::MEDIUM_COMPLEXITY,
            Complexity::High => sys::HIGH_COMPLEXITY,
        };
        native.iEntropyCodingModeFlag = 1;
        native.iTemporalLayerNum = 1;
        native.iSpatialLayerNum = 1;
        native.iNumRefFrame = 1;
        native.bEnableLongTermReference = false;
        native.eSpsPpsIdStrategy = sys::CONSTANT_ID;
        native.uiIntraPeriod = 0;
        // The library must not add keyframes of its own, and the pictures are drawn, not filmed: there is no sensor noise
        // to remove and no background to find.
        native.bEnableSceneChangeDetect = false;
        native.bEnableDenoise = false;
        native.bEnableBackgroundDetection = false;
        native.bEnableAdaptiveQuant = false;
        native.iMultipleThreadIdc = self.slices as u16;
        // Balancing moves slice borders by measured time, which would make the bitstream depend on the machine's load.
        native.bUseLoadBalancing = false;
        self.write_layer_to(&mut native.sSpatialLayers[0]);
    }

    fn write_layer_to(&self, layer: &mut sys::SSpatialLayerConfig) {
        layer.iVideoWidth = self.size.width() as c_int;
        layer.iVideoHeight = self.size.height() as c_int;
        layer.fFrameRate = self.frames_per_second;
        layer.iSpatialBitrate = c_int::try_from(self.bitrate_bps).unwrap_or(c_int::MAX);
        layer.iMaxSpatialBitrate = sys::UNSPECIFIED_BIT_RATE as c_int;
        layer.uiProfileIdc = sys::PRO_HIGH;
        layer.uiLevelIdc = sys::ELevelIdc::from(self.level_idc);
        layer.sSliceArgument.uiSliceMode =
            if self.slices > 1 { sys::SM_FIXEDSLCNUM_SLICE } else { sys::SM_SINGLE_SLICE };
        layer.sSliceArgument.uiSliceNum = self.slices;
        layer.bAspectRatioPresent = true;
        layer.eAspectRatio = sys::ASP_1x1;
        layer.bVideoSignalTypePresent = true;
        layer.uiVideoFormat = sys::VF_UNDEF as u8;
        layer.bFullRange = self.colour.is_full_range;
        layer.bColorDescriptionPresent = true;
        layer.uiColorPrimaries = self.colour.primaries;
        layer.uiTransferCharacteristics = self.colour.transfer;
        layer.uiColorMatrix = self.colour.matrix;
    }
}

fn initialised(status: c_int) -> Result<(), Error> {
    if status == 0 { Ok(()) } else { Err(Error::Initialise { status }) }
}

/// Receives the library's messages, on whichever of its threads they arise.
unsafe extern "C" fn trace(_context: *mut c_void, level: c_int, message: *const c_char) {
    // SAFETY: the library passes a buffer it has just formatted with `vsnprintf`, hence not null and ended by a zero, and
    // does not touch it before this function returns.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    let message = message.trim_end();
    match level {
        sys::WELS_LOG_ERROR => tracing::warn!(target: "openh264", "{message}"),
        sys::WELS_LOG_WARNING => tracing::debug!(target: "openh264", "{message}"),
        _ => tracing::trace!(target: "openh264", "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{
        Event, Level, Metadata, Subscriber,
        field::{Field, Visit},
        span,
    };

    use super::*;

    fn parameters() -> Parameters {
        Parameters {
            size: Size::new(34, 18).unwrap(),
            frames_per_second: 30.0,
            bitrate_bps: 100_000,
            level_idc: 31,
            slices: 1,
            colour: VideoColour::BT709_LIMITED,
            may_skip_frames: false,
            complexity: Complexity::Low,
            quantiser: 12..=51,
        }
    }

    /// The messages of the library, with the level at which they reach the log.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<(Level, String)>>>);

    impl Subscriber for Log {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target() == "openh264"
        }
        fn event(&self, event: &Event<'_>) {
            struct Message(String);
            impl Visit for Message {
                fn record_debug(&mut self, _field: &Field, value: &dyn fmt::Debug) {
                    self.0 = format!("{value:?}");
                }
            }
            let mut message = Message(String::new());
            event.record(&mut message);
            self.0.lock().unwrap().push((*event.metadata().level(), message.0));
        }
        fn new_span(&self, _attributes: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}
        fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}
        fn enter(&self, _span: &span::Id) {}
        fn exit(&self, _span: &span::Id) {}
    }

    #[test]
    fn messages_of_the_library_reach_the_log() {
        let log = Log::default();
        let refused = tracing::subscriber::with_default(log.clone(), || {
            Encoder::open(&Parameters { bitrate_bps: 0, ..parameters() }).unwrap_err()
        });
        assert!(matches!(refused, Error::Initialise { status } if status != 0), "{refused}");
        let log = log.0.lock().unwrap();
        assert!(log.iter().any(|(level, text)| *level == Level::WARN && text.contains("bitrate")), "{log:?}");
    }

    #[test]
    fn planes_that_are_too_short_are_refused() {
        let mut encoder = Encoder::open(&parameters()).unwrap();
        // 34 x 18 with a pitch of 40: 17 whole rows and 34 samples; chroma 17 x 9 with a pitch of 20.
        let (y, uv) = ([16; 17 * 40 + 34], [128; 8 * 20 + 17]);
        let good = Planes { y: &y, u: &uv, v: &uv, y_pitch: 40, uv_pitch: 20 };
        for (plane, bad) in [
            ('y', Planes { y: &y[1..], ..good }),
            ('y', Planes { y_pitch: 33, ..good }),
            ('u', Planes { u: &uv[1..], ..good }),
            ('u', Planes { uv_pitch: 16, ..good }),
            ('v', Planes { v: &[], ..good }),
        ] {
            let error = encoder.encode(&bad, 0).unwrap_err();
            assert!(matches!(error, Error::Plane { plane: found, .. } if found == plane), "{error}");
        }
        assert!(matches!(encoder.encode(&good, 0), Ok(Encoded::Frame { is_idr: true, .. })));
        assert!(matches!(encoder.encode(&good, 33), Ok(Encoded::Frame { is_idr: false, .. })));
        encoder.force_idr().unwrap();
        assert!(matches!(encoder.encode(&good, 67), Ok(Encoded::Frame { is_idr: true, .. })));
    }

    #[test]
    fn an_idr_repeats_the_parameter_sets_and_nothing_has_a_start_code() {
        let mut encoder = Encoder::open(&parameters()).unwrap();
        let sets: Vec<_> = encoder.parameter_sets().unwrap().map(<[u8]>::to_vec).collect();
        assert_eq!(sets.iter().map(|nalu| nalu[0]).collect::<Vec<_>>(), [0x67, 0x68]);
        let (y, uv) = ([16; 34 * 18], [128; 17 * 9]);
        let planes = Planes { y: &y, u: &uv, v: &uv, y_pitch: 34, uv_pitch: 17 };
        let Ok(Encoded::Frame { nalus, .. }) = encoder.encode(&planes, 0) else { panic!("a first frame") };
        let nalus: Vec<_> = nalus.collect();
        assert_eq!(nalus[..2], sets);
        assert_eq!(nalus[2..].iter().map(|nalu| nalu[0]).collect::<Vec<_>>(), [0x65]);
    }

    #[test]
    fn noise_may_be_skipped_where_that_is_allowed() {
        let mut encoder =
            Encoder::open(&Parameters { bitrate_bps: 20_000, may_skip_frames: true, ..parameters() }).unwrap();
        let mut seed = 1u32;
        let mut noise = |len: usize| -> Vec<u8> {
            let next = |_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            };
            (0..len).map(next).collect()
        };
        let mut skipped = 0;
        for frame in 0..60 {
            let (y, u, v) = (noise(34 * 18), noise(17 * 9), noise(17 * 9));
            let planes = Planes { y: &y, u: &u, v: &v, y_pitch: 34, uv_pitch: 17 };
            skipped += usize::from(matches!(encoder.encode(&planes, frame * 33).unwrap(), Encoded::Skipped));
        }
        assert!((1..60).contains(&skipped), "{skipped} of 60");
    }
}
