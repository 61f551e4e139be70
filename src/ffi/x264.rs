//! libx264, the machine's own: High profile, one reference, no reordering, a buffer model that is kept.
//!
//! [`Encoder`] takes NV12 as it is and lends the slices of the coded picture, each behind its length as four bytes, until
//! the next call. It makes an IDR only where it is told to. `x264.c`, compiled against the library's header, stands
//! between: no layout of the library's is known here.
//!
//! ```text
//! NV12, number, idr?, constant macroblocks ──► encode() ──► Coded { is_idr, nalus: [length slice] [length slice] ... }
//! ```
//!
//! Messages of the library go to `tracing` under the target `x264`, one step quieter than it rates them.
//!
//! Library: libx264 from API 155 on, GPL-2.0-or-later. Left out: B frames, lookahead, two passes, bit depths above 8.

use std::{
    ffi::{CStr, c_char},
    fmt,
    ptr::{self, NonNull},
    slice,
};

use crate::base::{
    colour::VideoColour,
    nv12::{Layout, Picture},
    rate::FrameRate,
    size::Size,
};

/// Side of a macroblock, in pixels.
const MACROBLOCK: u32 = 16;

/// What an encoder is opened with.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Size of every picture.
    pub size: Size,
    /// Nominal frame rate; the rate control's unit of time.
    pub rate: FrameRate,
    /// The library's name of a preset.
    pub preset: &'static CStr,
    /// Target bitrate in kilobits per second.
    pub bitrate_kbps: u32,
    /// How much of the stream a decoder has to hold, in kilobits.
    pub buffer_kbit: u32,
    /// `level_idc` of H.264 table A-1, such as 40 for level 4.
    pub level_idc: u8,
    /// Slices of a picture, each coded by a thread of its own; the library makes fewer of small pictures.
    pub threads: u32,
    /// Finest quantiser, 0 to 51.
    pub quantiser_min: u8,
    /// What the VUI says of colour.
    pub colour: VideoColour,
}

/// Why the library did not do as told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The parameters were refused.
    #[error("x264 refused its parameters")]
    Open,
    /// No parameter sets were written.
    #[error("x264 wrote no headers (status {status})")]
    Headers {
        /// The library's status.
        status: i32,
    },
    /// The picture has another layout than the encoder was opened with, or the flags are not one for each macroblock.
    #[error("x264 was given a picture of another layout")]
    Layout,
    /// A picture could not be coded; the encoder is of no further use.
    #[error("x264 could not code a picture (status {status})")]
    Encode {
        /// The library's status.
        status: i32,
    },
    /// Another rate was refused.
    #[error("x264 refused another bitrate (status {status})")]
    Rate {
        /// The library's status.
        status: i32,
    },
}

/// A coded picture.
#[derive(Debug)]
pub struct Coded<'a> {
    /// Whether decoding can start here.
    pub is_idr: bool,
    /// Its slices, each behind its length.
    pub nalus: &'a [u8],
}

/// An open encoder.
pub struct Encoder {
    raw: NonNull<Raw>,
    layout: Layout,
}

// SAFETY: an encoder is used by one thread at a time (`&mut self` everywhere), and neither the shim nor the library ties it
// to the thread that made it: it has threads of its own, which it waits for before it returns from a call.
unsafe impl Send for Encoder {}

/// `struct sm_x264`, known to the shim alone.
#[repr(C)]
struct Raw {
    _opaque: [u8; 0],
}

/// `struct sm_x264_settings`.
#[repr(C)]
struct Settings {
    width: i32,
    height: i32,
    rate_num: i32,
    rate_den: i32,
    bitrate_kbps: i32,
    buffer_kbit: i32,
    level_idc: i32,
    threads: i32,
    quantiser_min: i32,
    is_full_range: i32,
    primaries: i32,
    transfer: i32,
    matrix: i32,
    chroma_location: i32,
}

unsafe extern "C" {
    fn sm_x264_open(
        settings: *const Settings,
        preset: *const c_char,
        log: extern "C" fn(i32, *const c_char),
    ) -> *mut Raw;
    fn sm_x264_close(encoder: *mut Raw);
    fn sm_x264_headers(encoder: *mut Raw, bytes: *mut *const u8) -> i32;
    fn sm_x264_encode(
        encoder: *mut Raw,
        luma: *const u8,
        chroma: *const u8,
        pitch: i32,
        number: i64,
        is_idr: i32,
        constant: *const u8,
        bytes: *mut *const u8,
        is_key: *mut i32,
    ) -> i32;
    fn sm_x264_set_rate(encoder: *mut Raw, bitrate_kbps: i32, buffer_kbit: i32) -> i32;
    #[cfg(test)]
    fn sm_x264_settings_len() -> i32;
}

/// Columns and rows of macroblocks in a picture of `size`.
pub fn macroblocks(size: Size) -> [u32; 2] {
    size.sides().map(|side| side.div_ceil(MACROBLOCK))
}

impl Encoder {
    /// Opens an encoder.
    ///
    /// # Errors
    ///
    /// [`Error::Open`] when the library refuses; its reason is in the log.
    pub fn open(parameters: &Parameters) -> Result<Self, Error> {
        let settings = parameters.settings();
        // SAFETY: `settings` is laid out as the shim declares it, the preset ends with a zero, both outlive the call, and
        // `log` lives as long as the program.
        let raw = unsafe { sm_x264_open(&settings, parameters.preset.as_ptr(), log) };
        let raw = NonNull::new(raw).ok_or(Error::Open)?;
        Ok(Self { raw, layout: Layout::of(parameters.size) })
    }

    /// SPS and PPS, each behind its length, and whatever else the library puts before a stream.
    ///
    /// # Errors
    ///
    /// [`Error::Headers`] when the library does not write them.
    pub fn headers(&mut self) -> Result<&[u8], Error> {
        let mut bytes = ptr::null();
        // SAFETY: `self.raw` is a live encoder, and `bytes` a place for the one pointer that is written.
        let status = unsafe { sm_x264_headers(self.raw.as_ptr(), &mut bytes) };
        // SAFETY: the library keeps `status` bytes there until its next call, which the borrow of the encoder excludes.
        unsafe { lent(bytes, status) }.ok_or(Error::Headers { status })
    }

    /// Codes one picture. Numbers rise from call to call. `constant` has a byte for each macroblock, row by row: 1 where
    /// all its samples are those of the picture before, 0 elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::Layout`] leaves the encoder as it was; after [`Error::Encode`] it is of no further use.
    pub fn encode(
        &mut self,
        picture: &Picture,
        number: u64,
        is_idr: bool,
        constant: Option<&[u8]>,
    ) -> Result<Coded<'_>, Error> {
        let [columns, rows] = macroblocks(self.layout.size);
        let has_each = |flags: &[u8]| flags.len() == (columns * rows) as usize;
        if picture.layout() != self.layout || !constant.is_none_or(has_each) {
            return Err(Error::Layout);
        }
        let (mut bytes, mut is_key) = (ptr::null(), 0);
        // SAFETY: `self.raw` is a live encoder. The planes of a `Picture` have all rows of its layout, which is the one the
        // encoder was opened with, and there is a flag for each macroblock; all of them outlive the call, during which
        // alone the library reads them. `bytes` and `is_key` are places for what is written.
        let status = unsafe {
            sm_x264_encode(
                self.raw.as_ptr(),
                picture.luma().as_ptr(),
                picture.chroma().as_ptr(),
                native(self.layout.pitch),
                i64::try_from(number).unwrap_or(i64::MAX),
                is_idr.into(),
                constant.map_or(ptr::null(), <[u8]>::as_ptr),
                &mut bytes,
                &mut is_key,
            )
        };
        // SAFETY: as in `headers`.
        let nalus = unsafe { lent(bytes, status) }.ok_or(Error::Encode { status })?;
        Ok(Coded { is_idr: is_key != 0, nalus })
    }

    /// Changes target bitrate and buffer from the next picture on.
    ///
    /// # Errors
    ///
    /// [`Error::Rate`] when the library refuses; the encoder goes on as before.
    pub fn set_rate(&mut self, bitrate_kbps: u32, buffer_kbit: u32) -> Result<(), Error> {
        // SAFETY: `self.raw` is a live encoder; the call only notes what the next picture begins with.
        let status = unsafe { sm_x264_set_rate(self.raw.as_ptr(), native(bitrate_kbps), native(buffer_kbit)) };
        if status < 0 { Err(Error::Rate { status }) } else { Ok(()) }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: `self.raw` came from `sm_x264_open`, is closed nowhere else and is not used afterwards.
        unsafe { sm_x264_close(self.raw.as_ptr()) }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("size", &self.layout.size).finish_non_exhaustive()
    }
}

/// Bytes that the library lends; `None` if it reports an error, or none of them.
///
/// # Safety
///
/// Where `bytes` is not null, `len` bytes lie there, and nothing writes to them for the lifetime `'a`.
unsafe fn lent<'a>(bytes: *const u8, len: i32) -> Option<&'a [u8]> {
    let len = usize::try_from(len).ok().filter(|&len| len > 0 && !bytes.is_null())?;
    // SAFETY: the caller vouches for it.
    Some(unsafe { slice::from_raw_parts(bytes, len) })
}

impl Parameters {
    fn settings(&self) -> Settings {
        let VideoColour { primaries, transfer, matrix, is_full_range, chroma_location, .. } = self.colour;
        Settings {
            width: native(self.size.width()),
            height: native(self.size.height()),
            rate_num: native(self.rate.num()),
            rate_den: native(self.rate.den()),
            bitrate_kbps: native(self.bitrate_kbps),
            buffer_kbit: native(self.buffer_kbit),
            level_idc: self.level_idc.into(),
            threads: native(self.threads),
            quantiser_min: self.quantiser_min.into(),
            is_full_range: is_full_range.into(),
            primaries: primaries.into(),
            transfer: transfer.into(),
            matrix: matrix.into(),
            chroma_location: chroma_location.into(),
        }
    }
}

/// A number as C has it; what does not fit is more than the library takes, and it says so.
fn native(value: impl TryInto<i32>) -> i32 {
    value.try_into().unwrap_or(i32::MAX)
}

/// Receives the library's messages, on whichever of its threads they arise.
extern "C" fn log(level: i32, message: *const c_char) {
    const ERROR: i32 = 0;
    const WARNING: i32 = 1;
    // SAFETY: the shim passes a text that it has just formatted, which ends with a zero and stays until this returns.
    let message = unsafe { CStr::from_ptr(message) }.to_string_lossy();
    let message = message.trim_end();
    match level {
        ERROR => tracing::warn!(target: "x264", "{message}"),
        WARNING => tracing::debug!(target: "x264", "{message}"),
        _ => tracing::trace!(target: "x264", "{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> Parameters {
        Parameters {
            size: Size::new(34, 18).unwrap(),
            rate: FrameRate::new(30, 1).unwrap(),
            preset: c"superfast",
            bitrate_kbps: 100,
            buffer_kbit: 100,
            level_idc: 31,
            threads: 1,
            quantiser_min: 10,
            colour: VideoColour::BT709_LIMITED,
        }
    }

    #[test]
    fn both_sides_mean_the_same_settings() {
        // SAFETY: the function takes nothing and touches nothing.
        assert_eq!(unsafe { sm_x264_settings_len() } as usize, size_of::<Settings>());
    }

    #[test]
    fn what_the_library_does_not_know_is_refused() {
        assert_eq!(Encoder::open(&Parameters { preset: c"lightspeed", ..parameters() }).unwrap_err(), Error::Open);
    }

    #[test]
    fn another_layout_and_missing_flags_are_refused() {
        let mut encoder = Encoder::open(&parameters()).unwrap();
        let (good, other) = (Picture::black(parameters().size), Picture::black(Size::new(34, 20).unwrap()));
        assert_eq!(macroblocks(parameters().size), [3, 2]);
        assert!(encoder.encode(&other, 0, true, None).is_err());
        assert!(encoder.encode(&good, 0, true, Some(&[1; 5])).is_err());
        let coded = |encoder: &mut Encoder, number, is_idr, flags| {
            let coded = encoder.encode(&good, number, is_idr, flags).unwrap();
            // One slice behind its length.
            assert_eq!(u32::from_be_bytes(coded.nalus[..4].try_into().unwrap()) as usize, coded.nalus.len() - 4);
            (coded.is_idr, coded.nalus[4])
        };
        assert_eq!(coded(&mut encoder, 0, true, None), (true, 0x65));
        assert_eq!(coded(&mut encoder, 1, false, Some(&[1; 6])), (false, 0x41));
        encoder.set_rate(50, 50).unwrap();
        assert_eq!(coded(&mut encoder, 5, true, None), (true, 0x65));
    }
}
