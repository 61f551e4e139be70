//! NVENC, the encoder in NVIDIA's GPUs: a session on a device, pictures in, coded frames out.
//!
//! ```text
//! Driver::open ─► Session::open(device) ─► capabilities ─► start(parameters) ─► Encoder
//!
//! submit(picture)  free input buffer: lock, copy rows at the driver's pitch, unlock ─► encode
//!                     success: all buffers given so far hold a frame       "need more input": reordering, not yet
//! take             the oldest output buffer that holds a frame: lock, lend, unlock
//! ```
//!
//! Output buffers come back filled in the order in which they were given, which is that of decoding; frames are told apart
//! by the number they were submitted with. An input buffer is free again once its own frame has come out. Linux has no
//! asynchronous mode: locking an output waits for its frame.
//!
//! Every call has the device's context current. An encoder is taken down in the order the driver asks for: end of stream,
//! buffers, encoder, context.
//!
//! Libraries: `libnvidia-encode.so.1` and `libcuda.so.1`, opened at run time; the structs are in `sys`. Left out: input
//! from GPU memory (resources to be registered and mapped), asynchronous events, motion vectors, HEVC's and H.264's other
//! formats than 8-bit 4:2:0.

mod sys;

#[cfg(test)]
mod layout_tests;

use std::{
    ffi::{CStr, c_void},
    fmt,
    ops::RangeInclusive,
    path::Path,
    ptr, slice,
    sync::Arc,
};

use libloading::Library;

use self::sys::{NVENCSTATUS, Zeroed as _};
use super::cuda::{self, Context, Cuda, Device};
use crate::base::{colour::VideoColour, nv12::Picture, rate::FrameRate, size::Size};

/// The encoder's library.
const LIBRARY: &str = "libnvidia-encode.so.1";
/// Buffers beyond those that reordering holds: room for a driver that is slower to say that frames are ready.
const SPARE_BUFFERS: usize = 3;
/// `video_format` that says nothing.
const VIDEO_FORMAT_UNSPECIFIED: u32 = 5;
/// `sliceMode` in which `sliceModeData` is the number of slices.
const SLICES_BY_COUNT: u32 = 3;
/// How much the quantiser follows what the eye sees, 1 to 15.
const AQ_STRENGTH: u32 = 8;
/// Where `aqStrength` starts in its word; its four bits hold values to 15.
const AQ_STRENGTH_SHIFT: u32 = 12;

/// A version of the encoder's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Its first number.
    pub major: u32,
    /// Its second.
    pub minor: u32,
}

/// What this program speaks; drivers take it and every later one.
pub const VERSION: Version = Version { major: sys::MAJOR, minor: sys::MINOR };

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Why there is no encoder, or a frame was not coded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The library, or a function in it, is not there.
    #[error("{LIBRARY}: {message}")]
    Library {
        /// What the dynamic linker said.
        message: String,
    },
    /// The driver lacks a function that its version has.
    #[error("the driver has no {name}")]
    Function {
        /// Its name in the header.
        name: &'static str,
    },
    /// The driver speaks an older version.
    #[error(
        "the driver speaks version {driver} of the encoder's interface, and {VERSION} is needed: install a newer one"
    )]
    TooOld {
        /// What it speaks.
        driver: Version,
    },
    /// The CUDA driver failed.
    #[error(transparent)]
    Cuda(#[from] cuda::Error),
    /// The GPU has no encoder.
    #[error("{device} has no video encoder (data-centre GPUs such as A100, H100 and H200 have none): {status}")]
    NoEncoder {
        /// The GPU's name.
        device: String,
        /// The driver's status.
        status: &'static str,
    },
    /// No further session.
    #[error(
        "{device} gives no further encoder session: the driver's limit is reached, or the GPU's memory is full ({status})"
    )]
    Sessions {
        /// The GPU's name.
        device: String,
        /// The driver's status.
        status: &'static str,
    },
    /// The encoder does not know the codec.
    #[error("{device} does not encode {codec}")]
    Codec {
        /// The GPU's name.
        device: String,
        /// The codec.
        codec: Codec,
    },
    /// A call failed.
    #[error("{call}: {status} ({number}){}{said}", if said.is_empty() { "" } else { ": " })]
    Call {
        /// The function.
        call: &'static str,
        /// The status' name in the header.
        status: &'static str,
        /// Its number.
        number: u32,
        /// The driver's words, if it has any.
        said: String,
    },
    /// The driver did what its interface excludes.
    #[error("the driver gave {what}")]
    Driver {
        /// What it did.
        what: String,
    },
}

/// What frames are coded as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264 High.
    H264,
    /// HEVC Main.
    Hevc,
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::H264 => "H.264",
            Self::Hevc => "HEVC",
        })
    }
}

impl Codec {
    fn guid(self) -> sys::GUID {
        match self {
            Self::H264 => sys::NV_ENC_CODEC_H264_GUID,
            Self::Hevc => sys::NV_ENC_CODEC_HEVC_GUID,
        }
    }
}

/// NVIDIA's presets, from the fastest to the finest.
const PRESETS: [sys::GUID; 7] = [
    sys::NV_ENC_PRESET_P1_GUID,
    sys::NV_ENC_PRESET_P2_GUID,
    sys::NV_ENC_PRESET_P3_GUID,
    sys::NV_ENC_PRESET_P4_GUID,
    sys::NV_ENC_PRESET_P5_GUID,
    sys::NV_ENC_PRESET_P6_GUID,
    sys::NV_ENC_PRESET_P7_GUID,
];

/// What the encoder of a device can do with a codec.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// Pixels from left to right.
    pub width: RangeInclusive<u32>,
    /// Pixels from top to bottom.
    pub height: RangeInclusive<u32>,
    /// Most B frames between two others.
    pub b_frames_max: u32,
    /// Whether it holds a constant bitrate.
    pub has_cbr: bool,
    /// Whether it codes by CABAC; HEVC always does.
    pub has_cabac: bool,
    /// Whether the bitrate can be changed without a new session.
    pub has_live_bitrate: bool,
    /// Whether the size of the decoder's buffer can be chosen.
    pub has_buffer_size: bool,
    /// Whether the quantiser can follow movement.
    pub has_temporal_aq: bool,
    /// Whether the number of references can be chosen.
    pub has_reference_count: bool,
}

/// What an encoder is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// The codec.
    pub codec: Codec,
    /// NVIDIA's preset, 1 to 7.
    pub preset: usize,
    /// Whether it is tuned for quality rather than for latency.
    pub is_quality: bool,
    /// Size of every picture.
    pub size: Size,
    /// Frames per second.
    pub rate: FrameRate,
    /// Bits per second, constant.
    pub bitrate_bps: u32,
    /// Bits of the decoder's buffer; 0 leaves it to the driver.
    pub buffer_bits: u32,
    /// The level as the codec's headers have it; 0 leaves it to the driver.
    pub level_idc: u32,
    /// B frames between two others.
    pub b_frames: u32,
    /// Whether each frame refers to the one before it alone.
    pub has_one_reference: bool,
    /// Whether the quantiser follows movement.
    pub has_temporal_aq: bool,
    /// What the VUI says of colour.
    pub colour: VideoColour,
}

/// A frame that came out; lent until it is taken note of.
#[derive(Debug)]
pub struct Coded<'a> {
    /// The number it was submitted with.
    pub frame: u64,
    /// Whether decoding can start here.
    pub is_idr: bool,
    /// Its NAL units behind start codes.
    pub bytes: &'a [u8],
}

/// The functions used, as the driver gave them.
#[derive(Clone, Copy)]
struct Functions {
    open_session: sys::OpenEncodeSessionEx,
    guid_count: sys::GetEncodeGUIDCount,
    guids: sys::GetEncodeGUIDs,
    caps: sys::GetEncodeCaps,
    preset_config: sys::GetEncodePresetConfigEx,
    initialise: sys::Call<sys::NV_ENC_INITIALIZE_PARAMS>,
    create_input: sys::Call<sys::NV_ENC_CREATE_INPUT_BUFFER>,
    destroy_input: sys::OnBuffer,
    create_output: sys::Call<sys::NV_ENC_CREATE_BITSTREAM_BUFFER>,
    destroy_output: sys::OnBuffer,
    lock_input: sys::Call<sys::NV_ENC_LOCK_INPUT_BUFFER>,
    unlock_input: sys::OnBuffer,
    encode: sys::Call<sys::NV_ENC_PIC_PARAMS>,
    lock_output: sys::Call<sys::NV_ENC_LOCK_BITSTREAM>,
    unlock_output: sys::OnBuffer,
    sequence: sys::Call<sys::NV_ENC_SEQUENCE_PARAM_PAYLOAD>,
    reconfigure: sys::Call<sys::NV_ENC_RECONFIGURE_PARAMS>,
    destroy: sys::OnSession,
    last_error: sys::GetLastErrorString,
}

/// The driver: both libraries, open. Cheap to clone.
#[derive(Clone)]
pub struct Driver(Arc<Opened>);

struct Opened {
    cuda: Cuda,
    functions: Functions,
    version: Version,
    /// Keeps the code of the functions in place.
    _library: Library,
}

/// Whether the encoder's library is there; nothing in it is called.
///
/// # Errors
///
/// [`Error::Library`] where it is not.
pub fn find(directory: Option<&Path>) -> Result<(), Error> {
    library(directory).map(drop)
}

fn library(directory: Option<&Path>) -> Result<Library, Error> {
    let path = directory.map_or_else(|| Path::new(LIBRARY).to_owned(), |directory| directory.join(LIBRARY));
    // SAFETY: the driver's library is made to be opened; what its initialisers do is the driver's own affair.
    unsafe { Library::new(path) }.map_err(|error| Error::Library { message: error.to_string() })
}

impl Driver {
    /// Opens the driver: that of the machine, or the one in `directory`.
    ///
    /// # Errors
    ///
    /// [`Error::Library`] where there is none, [`Error::TooOld`] where it is too old, [`Error::Cuda`] where CUDA does not
    /// start.
    pub fn open(directory: Option<&Path>) -> Result<Self, Error> {
        let library = library(directory)?;
        let version = speaks(&library)?;
        if version < VERSION {
            return Err(Error::TooOld { driver: version });
        }
        let functions = Functions::of(&library)?;
        let cuda = Cuda::open(directory)?;
        Ok(Self(Arc::new(Opened { cuda, functions, version, _library: library })))
    }

    /// The newest version that the driver speaks.
    pub fn version(&self) -> Version {
        self.0.version
    }

    /// The devices that may have an encoder.
    ///
    /// # Errors
    ///
    /// [`Error::Cuda`] where there is none.
    pub fn devices(&self) -> Result<Vec<Device>, Error> {
        Ok(self.0.cuda.devices()?)
    }
}

/// The newest version of its interface that a library speaks.
fn speaks(library: &Library) -> Result<Version, Error> {
    let name = "NvEncodeAPIGetMaxSupportedVersion";
    // SAFETY: the header declares the function so.
    let ask = unsafe { library.get::<sys::GetMaxSupportedVersion>(name.as_bytes()) };
    let ask = ask.map_err(|error| Error::Library { message: error.to_string() })?;
    let mut packed = 0;
    // SAFETY: `packed` is a place for one number.
    checked(name, unsafe { ask(&mut packed) }, String::new)?;
    Ok(Version { major: packed >> 4, minor: packed & 0xF })
}

/// `Err` unless the status is success; `said` are the driver's words for it.
fn checked(call: &'static str, status: NVENCSTATUS, said: impl FnOnce() -> String) -> Result<(), Error> {
    match status.0 {
        sys::NV_ENC_SUCCESS => Ok(()),
        number => Err(Error::Call { call, status: status_name(status), number, said: said() }),
    }
}

/// A status' name in the header, without what they all start with.
fn status_name(status: NVENCSTATUS) -> &'static str {
    match status.0 {
        sys::NV_ENC_ERR_NO_ENCODE_DEVICE => "NO_ENCODE_DEVICE",
        sys::NV_ENC_ERR_UNSUPPORTED_DEVICE => "UNSUPPORTED_DEVICE",
        sys::NV_ENC_ERR_INVALID_ENCODERDEVICE => "INVALID_ENCODERDEVICE",
        sys::NV_ENC_ERR_INVALID_DEVICE => "INVALID_DEVICE",
        sys::NV_ENC_ERR_DEVICE_NOT_EXIST => "DEVICE_NOT_EXIST",
        sys::NV_ENC_ERR_INVALID_PTR => "INVALID_PTR",
        sys::NV_ENC_ERR_INVALID_EVENT => "INVALID_EVENT",
        sys::NV_ENC_ERR_INVALID_PARAM => "INVALID_PARAM",
        sys::NV_ENC_ERR_INVALID_CALL => "INVALID_CALL",
        sys::NV_ENC_ERR_OUT_OF_MEMORY => "OUT_OF_MEMORY",
        sys::NV_ENC_ERR_ENCODER_NOT_INITIALIZED => "ENCODER_NOT_INITIALIZED",
        sys::NV_ENC_ERR_UNSUPPORTED_PARAM => "UNSUPPORTED_PARAM",
        sys::NV_ENC_ERR_LOCK_BUSY => "LOCK_BUSY",
        sys::NV_ENC_ERR_NOT_ENOUGH_BUFFER => "NOT_ENOUGH_BUFFER",
        sys::NV_ENC_ERR_INVALID_VERSION => "INVALID_VERSION",
        sys::NV_ENC_ERR_MAP_FAILED => "MAP_FAILED",
        sys::NV_ENC_ERR_NEED_MORE_INPUT => "NEED_MORE_INPUT",
        sys::NV_ENC_ERR_ENCODER_BUSY => "ENCODER_BUSY",
        sys::NV_ENC_ERR_EVENT_NOT_REGISTERD => "EVENT_NOT_REGISTERD",
        sys::NV_ENC_ERR_GENERIC => "GENERIC",
        sys::NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY => "INCOMPATIBLE_CLIENT_KEY",
        sys::NV_ENC_ERR_UNIMPLEMENTED => "UNIMPLEMENTED",
        sys::NV_ENC_ERR_RESOURCE_REGISTER_FAILED => "RESOURCE_REGISTER_FAILED",
        sys::NV_ENC_ERR_RESOURCE_NOT_REGISTERED => "RESOURCE_NOT_REGISTERED",
        sys::NV_ENC_ERR_RESOURCE_NOT_MAPPED => "RESOURCE_NOT_MAPPED",
        _ => "a status without a name",
    }
}

impl Functions {
    /// Has the library fill in its list.
    fn of(library: &Library) -> Result<Self, Error> {
        let name = "NvEncodeAPICreateInstance";
        // SAFETY: the header declares the function so.
        let create = unsafe { library.get::<sys::CreateInstance>(name.as_bytes()) };
        let create = create.map_err(|error| Error::Library { message: error.to_string() })?;
        let mut list = sys::NV_ENCODE_API_FUNCTION_LIST::zeroed();
        list.version = sys::NV_ENCODE_API_FUNCTION_LIST_VER;
        // SAFETY: `list` is one of the version that it says.
        checked(name, unsafe { create(&mut list) }, String::new)?;
        let missing = |name| Error::Function { name };
        Ok(Self {
            open_session: list.nvEncOpenEncodeSessionEx.ok_or(missing("nvEncOpenEncodeSessionEx"))?,
            guid_count: list.nvEncGetEncodeGUIDCount.ok_or(missing("nvEncGetEncodeGUIDCount"))?,
            guids: list.nvEncGetEncodeGUIDs.ok_or(missing("nvEncGetEncodeGUIDs"))?,
            caps: list.nvEncGetEncodeCaps.ok_or(missing("nvEncGetEncodeCaps"))?,
            preset_config: list.nvEncGetEncodePresetConfigEx.ok_or(missing("nvEncGetEncodePresetConfigEx"))?,
            initialise: list.nvEncInitializeEncoder.ok_or(missing("nvEncInitializeEncoder"))?,
            create_input: list.nvEncCreateInputBuffer.ok_or(missing("nvEncCreateInputBuffer"))?,
            destroy_input: list.nvEncDestroyInputBuffer.ok_or(missing("nvEncDestroyInputBuffer"))?,
            create_output: list.nvEncCreateBitstreamBuffer.ok_or(missing("nvEncCreateBitstreamBuffer"))?,
            destroy_output: list.nvEncDestroyBitstreamBuffer.ok_or(missing("nvEncDestroyBitstreamBuffer"))?,
            lock_input: list.nvEncLockInputBuffer.ok_or(missing("nvEncLockInputBuffer"))?,
            unlock_input: list.nvEncUnlockInputBuffer.ok_or(missing("nvEncUnlockInputBuffer"))?,
            encode: list.nvEncEncodePicture.ok_or(missing("nvEncEncodePicture"))?,
            lock_output: list.nvEncLockBitstream.ok_or(missing("nvEncLockBitstream"))?,
            unlock_output: list.nvEncUnlockBitstream.ok_or(missing("nvEncUnlockBitstream"))?,
            sequence: list.nvEncGetSequenceParams.ok_or(missing("nvEncGetSequenceParams"))?,
            reconfigure: list.nvEncReconfigureEncoder.ok_or(missing("nvEncReconfigureEncoder"))?,
            destroy: list.nvEncDestroyEncoder.ok_or(missing("nvEncDestroyEncoder"))?,
            last_error: list.nvEncGetLastErrorString.ok_or(missing("nvEncGetLastErrorString"))?,
        })
    }
}

/// A session on a device's encoder, not started yet.
pub struct Session {
    driver: Driver,
    context: Context,
    device: String,
    raw: sys::Session,
}

// SAFETY: a session belongs to no thread; every call has the context current on the thread that calls, and `&mut self`
// or ownership keep calls apart.
unsafe impl Send for Session {}

impl Session {
    /// Opens a session.
    ///
    /// # Errors
    ///
    /// [`Error::NoEncoder`] where the device has none, [`Error::Sessions`] where there are too many sessions already.
    pub fn open(driver: &Driver, device: &Device) -> Result<Self, Error> {
        let context = Context::retain(&driver.0.cuda, device)?;
        let mut parameters = sys::NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS::zeroed();
        parameters.version = sys::NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS_VER;
        parameters.deviceType = sys::NV_ENC_DEVICE_TYPE_CUDA;
        parameters.device = context.raw();
        parameters.apiVersion = sys::NVENCAPI_VERSION;
        let mut raw = ptr::null_mut();
        let current = context.enter()?;
        // SAFETY: `parameters` is of the version that it says and names a context that is held; `raw` is a place for one
        // pointer, which is of no use where the call fails.
        let status = unsafe { (driver.0.functions.open_session)(&mut parameters, &mut raw) };
        drop(current);
        let (name, said) = (device.name.clone(), status_name(status));
        match status.0 {
            sys::NV_ENC_ERR_NO_ENCODE_DEVICE | sys::NV_ENC_ERR_UNSUPPORTED_DEVICE => {
                return Err(Error::NoEncoder { device: name, status: said });
            }
            sys::NV_ENC_ERR_OUT_OF_MEMORY | sys::NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY => {
                return Err(Error::Sessions { device: name, status: said });
            }
            _ => checked("nvEncOpenEncodeSessionEx", status, String::new)?,
        }
        if raw.is_null() {
            return Err(Error::Driver { what: "no session".into() });
        }
        Ok(Self { driver: driver.clone(), context, device: name, raw })
    }

    fn functions(&self) -> Functions {
        self.driver.0.functions
    }

    /// What comes of a call; a failure is told with the driver's words.
    fn checked(&self, call: &'static str, status: NVENCSTATUS) -> Result<(), Error> {
        checked(call, status, || {
            // SAFETY: the session is open; the text is the driver's, ends with zero and lasts until the next call.
            let text = unsafe { (self.functions().last_error)(self.raw) };
            // SAFETY: as above.
            if text.is_null() { String::new() } else { unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned() }
        })
    }

    /// What the encoder can do with `codec`.
    ///
    /// # Errors
    ///
    /// [`Error::Codec`] where it does not know it.
    pub fn capabilities(&self, codec: Codec) -> Result<Capabilities, Error> {
        let _current = self.context.enter()?;
        if !self.codecs()?.contains(&codec.guid()) {
            return Err(Error::Codec { device: self.device.clone(), codec });
        }
        let cap = |cap| self.cap(codec, cap);
        Ok(Capabilities {
            width: cap(sys::NV_ENC_CAPS_WIDTH_MIN)?..=cap(sys::NV_ENC_CAPS_WIDTH_MAX)?,
            height: cap(sys::NV_ENC_CAPS_HEIGHT_MIN)?..=cap(sys::NV_ENC_CAPS_HEIGHT_MAX)?,
            b_frames_max: cap(sys::NV_ENC_CAPS_NUM_MAX_BFRAMES)?,
            has_cbr: cap(sys::NV_ENC_CAPS_SUPPORTED_RATECONTROL_MODES)? & sys::NV_ENC_PARAMS_RC_CBR != 0,
            has_cabac: cap(sys::NV_ENC_CAPS_SUPPORT_CABAC)? != 0,
            has_live_bitrate: cap(sys::NV_ENC_CAPS_SUPPORT_DYN_BITRATE_CHANGE)? != 0,
            has_buffer_size: cap(sys::NV_ENC_CAPS_SUPPORT_CUSTOM_VBV_BUF_SIZE)? != 0,
            has_temporal_aq: cap(sys::NV_ENC_CAPS_SUPPORT_TEMPORAL_AQ)? != 0,
            has_reference_count: cap(sys::NV_ENC_CAPS_SUPPORT_MULTIPLE_REF_FRAMES)? != 0,
        })
    }

    fn codecs(&self) -> Result<Vec<sys::GUID>, Error> {
        let mut count = 0;
        // SAFETY: the session is open, its context current, `count` a place for one number.
        self.checked("nvEncGetEncodeGUIDCount", unsafe { (self.functions().guid_count)(self.raw, &mut count) })?;
        let mut guids = vec![sys::GUID::zeroed(); count.min(64) as usize];
        let mut written = 0;
        // SAFETY: as above; `guids` has as many places as the length says.
        let status =
            unsafe { (self.functions().guids)(self.raw, guids.as_mut_ptr(), guids.len() as u32, &mut written) };
        self.checked("nvEncGetEncodeGUIDs", status)?;
        guids.truncate(written as usize);
        Ok(guids)
    }

    /// One number that says what the encoder can do; what is below zero is none.
    fn cap(&self, codec: Codec, cap: u32) -> Result<u32, Error> {
        let mut parameters = sys::NV_ENC_CAPS_PARAM::zeroed();
        parameters.version = sys::NV_ENC_CAPS_PARAM_VER;
        parameters.capsToQuery = cap;
        let mut value = 0;
        // SAFETY: the session is open, its context current; `parameters` is of the version that it says, `value` a place
        // for one number.
        let status = unsafe { (self.functions().caps)(self.raw, codec.guid(), &mut parameters, &mut value) };
        self.checked("nvEncGetEncodeCaps", status)?;
        Ok(u32::try_from(value).unwrap_or(0))
    }

    /// Starts the encoder.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] where the driver refuses the parameters or has no memory for the buffers.
    pub fn start(self, parameters: &Parameters) -> Result<Encoder, Error> {
        let current = self.context.enter()?;
        let mut config = Box::new(self.preset(parameters)?);
        parameters.write_to(&mut config);
        let mut encoder = Encoder {
            initialisation: Box::new(parameters.initialisation()),
            config,
            size: parameters.size,
            inputs: Vec::new(),
            outputs: Vec::new(),
            submitted: 0,
            ready: 0,
            taken: 0,
            is_finished: false,
            session: self,
        };
        encoder.initialise()?;
        for _ in 0..parameters.b_frames as usize + 1 + SPARE_BUFFERS {
            encoder.create_buffers()?;
        }
        drop(current);
        Ok(encoder)
    }

    /// The driver's own configuration for the preset and the tuning.
    fn preset(&self, parameters: &Parameters) -> Result<sys::NV_ENC_CONFIG, Error> {
        let mut preset = sys::NV_ENC_PRESET_CONFIG::zeroed();
        preset.version = sys::NV_ENC_PRESET_CONFIG_VER;
        preset.presetCfg.version = sys::NV_ENC_CONFIG_VER;
        let (codec, guid) = (parameters.codec.guid(), parameters.preset_guid());
        // SAFETY: the session is open, its context current; `preset` is of the versions that it says.
        let status =
            unsafe { (self.functions().preset_config)(self.raw, codec, guid, parameters.tuning(), &mut preset) };
        self.checked("nvEncGetEncodePresetConfigEx", status)?;
        Ok(preset.presetCfg)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Without the context nothing can be destroyed, and the driver has gone anyway.
        if let Ok(_current) = self.context.enter() {
            // SAFETY: the session is open, its context current, and its buffers are gone: whoever has some has this inside
            // and drops them first. It is not used afterwards. There is nobody to tell of a failure.
            let _ = unsafe { (self.functions().destroy)(self.raw) };
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("device", &self.device).finish_non_exhaustive()
    }
}

impl Parameters {
    fn preset_guid(&self) -> sys::GUID {
        PRESETS[self.preset.clamp(1, PRESETS.len()) - 1]
    }

    fn tuning(&self) -> u32 {
        if self.is_quality { sys::NV_ENC_TUNING_INFO_HIGH_QUALITY } else { sys::NV_ENC_TUNING_INFO_LOW_LATENCY }
    }

    /// Overwrites what of the preset is ours to say.
    fn write_to(&self, config: &mut sys::NV_ENC_CONFIG) {
        config.version = sys::NV_ENC_CONFIG_VER;
        // Keyframes come where they are asked for; the encoder's own period would start anew at each.
        config.gopLength = sys::NVENC_INFINITE_GOPLENGTH;
        config.frameIntervalP = self.b_frames as i32 + 1;
        config.frameFieldMode = sys::NV_ENC_PARAMS_FRAME_FIELD_MODE_FRAME;
        self.write_rate_control_to(&mut config.rcParams);
        match self.codec {
            Codec::H264 => {
                config.profileGUID = sys::NV_ENC_H264_PROFILE_HIGH_GUID;
                // SAFETY: all members of the union are integers and pointers, for which any bits are a value.
                self.write_h264_to(unsafe { &mut config.encodeCodecConfig.h264Config });
            }
            Codec::Hevc => {
                config.profileGUID = sys::NV_ENC_HEVC_PROFILE_MAIN_GUID;
                // SAFETY: as above.
                self.write_hevc_to(unsafe { &mut config.encodeCodecConfig.hevcConfig });
            }
        }
    }

    fn write_rate_control_to(&self, rate: &mut sys::NV_ENC_RC_PARAMS) {
        use sys::NV_ENC_RC_PARAMS as Rate;
        rate.rateControlMode = sys::NV_ENC_PARAMS_RC_CBR;
        rate.averageBitRate = self.bitrate_bps;
        rate.maxBitRate = self.bitrate_bps;
        rate.vbvBufferSize = self.buffer_bits;
        rate.vbvInitialDelay = 0;
        // Looking ahead would hold frames back; scene cuts are no reason for I frames, since keyframes are ours to place.
        rate.bits &= !(Rate::enableLookahead | Rate::enableTemporalAQ | 0xF << AQ_STRENGTH_SHIFT);
        rate.bits |= Rate::disableIadapt | Rate::enableAQ | AQ_STRENGTH << AQ_STRENGTH_SHIFT;
        rate.lookaheadDepth = 0;
        if self.has_temporal_aq {
            rate.bits |= Rate::enableTemporalAQ;
        }
        rate.multiPass =
            if self.is_quality { sys::NV_ENC_TWO_PASS_QUARTER_RESOLUTION } else { sys::NV_ENC_MULTI_PASS_DISABLED };
    }

    fn write_h264_to(&self, h264: &mut sys::NV_ENC_CONFIG_H264) {
        use sys::NV_ENC_CONFIG_H264 as H264;
        // What is no slice stays out of access units, so it need not be written; filler neither: an unchanged picture may
        // cost as little as it does.
        h264.bits &= !(H264::outputBufferingPeriodSEI
            | H264::outputPictureTimingSEI
            | H264::outputAUD
            | H264::disableSPSPPS
            | H264::repeatSPSPPS
            | H264::enableIntraRefresh
            | H264::enableLTR
            | H264::enableFillerDataInsertion);
        h264.level = self.level_idc;
        h264.idrPeriod = sys::NVENC_INFINITE_GOPLENGTH;
        h264.entropyCodingMode = sys::NV_ENC_H264_ENTROPY_CODING_MODE_CABAC;
        h264.useBFramesAsRef = sys::NV_ENC_BFRAME_REF_MODE_DISABLED;
        (h264.sliceMode, h264.sliceModeData) = (SLICES_BY_COUNT, 1);
        if self.has_one_reference {
            (h264.maxNumRefFrames, h264.numRefL0) = (1, sys::NV_ENC_NUM_REF_FRAMES_1);
        }
        self.write_vui_to(&mut h264.h264VUIParameters);
    }

    fn write_hevc_to(&self, hevc: &mut sys::NV_ENC_CONFIG_HEVC) {
        use sys::NV_ENC_CONFIG_HEVC as Hevc;
        hevc.bits &= !(Hevc::outputBufferingPeriodSEI
            | Hevc::outputPictureTimingSEI
            | Hevc::outputAUD
            | Hevc::disableSPSPPS
            | Hevc::repeatSPSPPS
            | Hevc::enableIntraRefresh
            | Hevc::enableLTR
            | Hevc::enableFillerDataInsertion);
        hevc.level = self.level_idc;
        hevc.idrPeriod = sys::NVENC_INFINITE_GOPLENGTH;
        hevc.useBFramesAsRef = sys::NV_ENC_BFRAME_REF_MODE_DISABLED;
        (hevc.sliceMode, hevc.sliceModeData) = (SLICES_BY_COUNT, 1);
        self.write_vui_to(&mut hevc.hevcVUIParameters);
    }

    fn write_vui_to(&self, vui: &mut sys::NV_ENC_CONFIG_H264_VUI_PARAMETERS) {
        let VideoColour { primaries, transfer, matrix, is_full_range, chroma_location, .. } = self.colour;
        vui.videoSignalTypePresentFlag = 1;
        vui.videoFormat = VIDEO_FORMAT_UNSPECIFIED;
        vui.videoFullRangeFlag = is_full_range.into();
        vui.colourDescriptionPresentFlag = 1;
        vui.colourPrimaries = primaries.into();
        vui.transferCharacteristics = transfer.into();
        vui.colourMatrix = matrix.into();
        vui.chromaSampleLocationFlag = 1;
        vui.chromaSampleLocationTop = chroma_location.into();
        vui.chromaSampleLocationBot = chroma_location.into();
        vui.bitstreamRestrictionFlag = 1;
    }

    /// What the encoder is initialised with, but for the configuration it points to.
    fn initialisation(&self) -> sys::NV_ENC_INITIALIZE_PARAMS {
        let (width, height) = (self.size.width(), self.size.height());
        let mut parameters = sys::NV_ENC_INITIALIZE_PARAMS::zeroed();
        parameters.version = sys::NV_ENC_INITIALIZE_PARAMS_VER;
        parameters.encodeGUID = self.codec.guid();
        parameters.presetGUID = self.preset_guid();
        (parameters.encodeWidth, parameters.encodeHeight) = (width, height);
        // The shape of the picture, which for square pixels is that of its size.
        (parameters.darWidth, parameters.darHeight) = (width, height);
        (parameters.frameRateNum, parameters.frameRateDen) = (self.rate.num(), self.rate.den());
        // The encoder decides on the kinds of frames, but for keyframes.
        parameters.enablePTD = 1;
        parameters.tuningInfo = self.tuning();
        parameters
    }
}

/// A started encoder.
pub struct Encoder {
    /// What it was started with; changes of the bitrate need it again.
    initialisation: Box<sys::NV_ENC_INITIALIZE_PARAMS>,
    /// What goes with it.
    config: Box<sys::NV_ENC_CONFIG>,
    size: Size,
    inputs: Vec<Input>,
    outputs: Vec<*mut c_void>,
    /// Frames given to the driver; each with the next output buffer in turn.
    submitted: u64,
    /// How many of them are coded.
    ready: u64,
    /// How many of those were taken.
    taken: u64,
    /// Whether the driver was told that there are no more.
    is_finished: bool,
    /// Last, because what is above is gone before it is.
    session: Session,
}

// SAFETY: as for `Session`; the buffers are the session's, and the boxes are owned.
unsafe impl Send for Encoder {}

/// A buffer for a picture.
struct Input {
    raw: *mut c_void,
    /// The frame whose picture is in it and has not come out.
    frame: Option<u64>,
}

impl Encoder {
    fn initialise(&mut self) -> Result<(), Error> {
        let mut parameters = *self.initialisation;
        parameters.encodeConfig = &mut *self.config;
        // SAFETY: the session is open, its context current; the parameters are of the version that they say and point to a
        // configuration of its own version.
        let status = unsafe { (self.session.functions().initialise)(self.session.raw, &mut parameters) };
        self.session.checked("nvEncInitializeEncoder", status)
    }

    fn create_buffers(&mut self) -> Result<(), Error> {
        let functions = self.session.functions();
        let mut input = sys::NV_ENC_CREATE_INPUT_BUFFER::zeroed();
        input.version = sys::NV_ENC_CREATE_INPUT_BUFFER_VER;
        (input.width, input.height) = (self.size.width(), self.size.height());
        input.bufferFmt = sys::NV_ENC_BUFFER_FORMAT_NV12;
        // SAFETY: the encoder is initialised, its context current; `input` is of the version that it says.
        let status = unsafe { (functions.create_input)(self.session.raw, &mut input) };
        self.session.checked("nvEncCreateInputBuffer", status)?;
        self.inputs.push(Input { raw: input.inputBuffer, frame: None });
        let mut output = sys::NV_ENC_CREATE_BITSTREAM_BUFFER::zeroed();
        output.version = sys::NV_ENC_CREATE_BITSTREAM_BUFFER_VER;
        // SAFETY: as above.
        let status = unsafe { (functions.create_output)(self.session.raw, &mut output) };
        self.session.checked("nvEncCreateBitstreamBuffer", status)?;
        self.outputs.push(output.bitstreamBuffer);
        Ok(())
    }

    /// The GPU's name.
    pub fn device(&self) -> &str {
        &self.session.device
    }

    /// The parameter sets that the coming frames refer to, behind start codes.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] where the driver does not write them.
    pub fn parameter_sets(&mut self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; sys::NV_MAX_SEQ_HDR_LEN as usize];
        let mut len = 0;
        let mut payload = sys::NV_ENC_SEQUENCE_PARAM_PAYLOAD::zeroed();
        payload.version = sys::NV_ENC_SEQUENCE_PARAM_PAYLOAD_VER;
        payload.inBufferSize = sys::NV_MAX_SEQ_HDR_LEN;
        payload.spsppsBuffer = bytes.as_mut_ptr().cast();
        payload.outSPSPPSPayloadSize = &mut len;
        let _current = self.session.context.enter()?;
        // SAFETY: the encoder is initialised, its context current; `payload` is of the version that it says, and points to
        // as many bytes as it says and to a place for one number.
        let status = unsafe { (self.session.functions().sequence)(self.session.raw, &mut payload) };
        self.session.checked("nvEncGetSequenceParams", status)?;
        bytes.truncate(len as usize);
        Ok(bytes)
    }

    /// Gives the encoder a picture of its size as the frame with this number.
    ///
    /// # Errors
    ///
    /// [`Error::Call`]; the encoder is of no further use then.
    pub fn submit(&mut self, picture: &Picture, frame: u64, is_idr_forced: bool) -> Result<(), Error> {
        let output = self.outputs[(self.submitted % self.outputs.len() as u64) as usize];
        let is_full = self.submitted - self.taken == self.outputs.len() as u64;
        let input = self.inputs.iter().position(|input| input.frame.is_none()).filter(|_| !is_full);
        let input = input.ok_or_else(|| Error::Driver { what: "no frame back for too long".into() })?;
        let raw = self.inputs[input].raw;
        let _current = self.session.context.enter()?;
        let pitch = self.upload(raw, picture)?;
        self.inputs[input].frame = Some(frame);

        let mut parameters = sys::NV_ENC_PIC_PARAMS::zeroed();
        parameters.version = sys::NV_ENC_PIC_PARAMS_VER;
        (parameters.inputWidth, parameters.inputHeight) = (self.size.width(), self.size.height());
        parameters.inputPitch = pitch;
        parameters.encodePicFlags = if is_idr_forced { sys::NV_ENC_PIC_FLAG_FORCEIDR } else { 0 };
        parameters.frameIdx = self.submitted as u32;
        parameters.inputTimeStamp = frame;
        parameters.inputDuration = 1;
        parameters.inputBuffer = raw;
        parameters.outputBitstream = output;
        parameters.bufferFmt = sys::NV_ENC_BUFFER_FORMAT_NV12;
        parameters.pictureStruct = sys::NV_ENC_PIC_STRUCT_FRAME;
        self.encode(&mut parameters)
    }

    /// Copies a picture into a buffer of the driver's; says the distance of its rows there.
    fn upload(&self, buffer: *mut c_void, picture: &Picture) -> Result<u32, Error> {
        let functions = self.session.functions();
        let mut lock = sys::NV_ENC_LOCK_INPUT_BUFFER::zeroed();
        lock.version = sys::NV_ENC_LOCK_INPUT_BUFFER_VER;
        lock.inputBuffer = buffer;
        // SAFETY: the encoder is initialised, its context current; `lock` is of the version that it says and names a buffer
        // of this session that no frame is in.
        let status = unsafe { (functions.lock_input)(self.session.raw, &mut lock) };
        self.session.checked("nvEncLockInputBuffer", status)?;
        let copied = self.copy(&lock, picture);
        // SAFETY: as above; the buffer was locked, and nothing points into it any more.
        let status = unsafe { (functions.unlock_input)(self.session.raw, buffer) };
        self.session.checked("nvEncUnlockInputBuffer", status)?;
        copied.map(|()| lock.pitch)
    }

    fn copy(&self, lock: &sys::NV_ENC_LOCK_INPUT_BUFFER, picture: &Picture) -> Result<(), Error> {
        let (width, height, pitch) = (self.size.width() as usize, self.size.height() as usize, lock.pitch as usize);
        if lock.bufferDataPtr.is_null() || pitch < width || picture.layout().size != self.size {
            let what = format!("a buffer with rows of {pitch} bytes for a picture {width} pixels wide");
            return Err(Error::Driver { what });
        }
        // SAFETY: an NV12 buffer made for this size has, while it is locked, `height` rows of luma and half as many of
        // chroma behind them, all `pitch` bytes apart, and nobody else looks at it.
        let target = unsafe { slice::from_raw_parts_mut(lock.bufferDataPtr.cast::<u8>(), pitch * height / 2 * 3) };
        let source = picture.bytes().chunks_exact(picture.layout().pitch);
        for (target, source) in target.chunks_exact_mut(pitch).zip(source) {
            target[..width].copy_from_slice(&source[..width]);
        }
        Ok(())
    }

    fn encode(&mut self, parameters: &mut sys::NV_ENC_PIC_PARAMS) -> Result<(), Error> {
        // SAFETY: the encoder is initialised, its context current; the parameters are of the version that they say and
        // name buffers of this session that are free, or none at the end of the stream.
        let status = unsafe { (self.session.functions().encode)(self.session.raw, parameters) };
        if status.0 != sys::NV_ENC_ERR_NEED_MORE_INPUT {
            self.session.checked("nvEncEncodePicture", status)?;
        }
        let is_end = parameters.encodePicFlags & sys::NV_ENC_PIC_FLAG_EOS != 0;
        self.submitted += u64::from(!is_end);
        if is_end || status.0 == sys::NV_ENC_SUCCESS {
            self.ready = self.submitted;
        }
        Ok(())
    }

    /// Ends the stream: what is held back for reordering is coded.
    ///
    /// # Errors
    ///
    /// [`Error::Call`]; the encoder is of no further use then.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.is_finished = true;
        let mut parameters = sys::NV_ENC_PIC_PARAMS::zeroed();
        parameters.version = sys::NV_ENC_PIC_PARAMS_VER;
        parameters.encodePicFlags = sys::NV_ENC_PIC_FLAG_EOS;
        let _current = self.session.context.enter()?;
        self.encode(&mut parameters)
    }

    /// Lends the next coded frame, in the order of decoding, to `read`; `None` while there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Call`]; the encoder is of no further use then.
    pub fn take<T>(&mut self, read: impl FnOnce(&Coded<'_>) -> T) -> Result<Option<T>, Error> {
        if self.taken == self.ready {
            return Ok(None);
        }
        let functions = self.session.functions();
        let mut lock = sys::NV_ENC_LOCK_BITSTREAM::zeroed();
        lock.version = sys::NV_ENC_LOCK_BITSTREAM_VER;
        lock.outputBitstream = self.outputs[(self.taken % self.outputs.len() as u64) as usize];
        let _current = self.session.context.enter()?;
        // SAFETY: the encoder is initialised, its context current; `lock` is of the version that it says and names a buffer
        // of this session that holds a frame.
        let status = unsafe { (functions.lock_output)(self.session.raw, &mut lock) };
        self.session.checked("nvEncLockBitstream", status)?;
        self.taken += 1;
        let outcome = self.lend(&lock, read);
        // SAFETY: as above; the buffer was locked, and what was lent of it has come back.
        let status = unsafe { (functions.unlock_output)(self.session.raw, lock.outputBitstream) };
        self.session.checked("nvEncUnlockBitstream", status)?;
        outcome.map(Some)
    }

    fn lend<T>(&mut self, lock: &sys::NV_ENC_LOCK_BITSTREAM, read: impl FnOnce(&Coded<'_>) -> T) -> Result<T, Error> {
        let frame = lock.outputTimeStamp;
        let input = self.inputs.iter_mut().find(|input| input.frame == Some(frame));
        let input = input.ok_or_else(|| Error::Driver { what: format!("frame {frame}, which it was not given") })?;
        input.frame = None;
        if lock.bitstreamBufferPtr.is_null() {
            return Err(Error::Driver { what: format!("no bytes for frame {frame}") });
        }
        // SAFETY: while the buffer is locked, as many bytes as the driver says lie there, and nobody writes to them.
        let bytes =
            unsafe { slice::from_raw_parts(lock.bitstreamBufferPtr.cast::<u8>(), lock.bitstreamSizeInBytes as usize) };
        Ok(read(&Coded { frame, is_idr: lock.pictureType == sys::NV_ENC_PIC_TYPE_IDR, bytes }))
    }

    /// Changes bitrate and buffer from the next frame on, without a keyframe.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] where the driver refuses them; it goes on as before.
    pub fn set_bitrate(&mut self, bitrate_bps: u32, buffer_bits: u32) -> Result<(), Error> {
        let rate = &mut self.config.rcParams;
        let before = (rate.averageBitRate, rate.vbvBufferSize);
        (rate.averageBitRate, rate.maxBitRate, rate.vbvBufferSize) = (bitrate_bps, bitrate_bps, buffer_bits);
        let mut parameters = sys::NV_ENC_RECONFIGURE_PARAMS::zeroed();
        parameters.version = sys::NV_ENC_RECONFIGURE_PARAMS_VER;
        parameters.reInitEncodeParams = *self.initialisation;
        parameters.reInitEncodeParams.encodeConfig = &mut *self.config;
        // Resetting the rate control is for a stream that starts anew with a keyframe.
        parameters.bits &= !(sys::NV_ENC_RECONFIGURE_PARAMS::resetEncoder | sys::NV_ENC_RECONFIGURE_PARAMS::forceIDR);
        let _current = self.session.context.enter()?;
        // SAFETY: the encoder is initialised, its context current; the parameters are of the versions that they say and
        // point to a configuration of its own version.
        let status = unsafe { (self.session.functions().reconfigure)(self.session.raw, &mut parameters) };
        self.session.checked("nvEncReconfigureEncoder", status).inspect_err(|_| {
            let rate = &mut self.config.rcParams;
            (rate.averageBitRate, rate.maxBitRate, rate.vbvBufferSize) = (before.0, before.0, before.1);
        })
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // There is nobody to tell of failures here, and an encoder that failed may refuse to end well.
        if self.submitted > 0 && !self.is_finished && self.finish().is_ok() {
            while let Ok(Some(())) = self.take(|_| ()) {}
        }
        let Ok(_current) = self.session.context.enter() else { return };
        let functions = self.session.functions();
        for input in &self.inputs {
            // SAFETY: the buffer is this session's, not locked, and not used afterwards; the context is current.
            let _ = unsafe { (functions.destroy_input)(self.session.raw, input.raw) };
        }
        for &output in &self.outputs {
            // SAFETY: as above.
            let _ = unsafe { (functions.destroy_output)(self.session.raw, output) };
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("session", &self.session).field("size", &self.size).finish_non_exhaustive()
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("version", &self.0.version).finish_non_exhaustive()
    }
}
