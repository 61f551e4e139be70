//! NVIDIA's CUDA driver, as far as an encoder's session needs it: which devices there are, and their primary contexts.
//!
//! The library is opened at run time: without a driver [`Cuda::open`] says so, and nothing else changes. A [`Context`] is
//! the device's primary one, shared with whoever else of the process uses the device: contexts made and destroyed for each
//! session wear the driver out (after some 65,000 of them on Linux).
//!
//! ```text
//! Cuda::open ─► devices ─► Context::retain ─► enter: calls of the encoder ... ─► drop: release
//! ```
//!
//! Library: the CUDA driver API, `libcuda.so.1`. Left out: memory, streams, kernels.

use std::{
    ffi::{CStr, c_char, c_int, c_uint, c_void},
    fmt,
    path::Path,
    ptr,
    sync::Arc,
};

use libloading::Library;

/// The driver's library.
const LIBRARY: &str = "libcuda.so.1";
/// Longest device name asked for, with its zero.
const NAME_LEN: usize = 128;

/// What a function of the driver returns: a number, since a later driver may return any.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Status(c_uint);

const SUCCESS: Status = Status(0);

/// `CUdevice`.
type RawDevice = c_int;
/// `CUcontext`.
type RawContext = *mut c_void;

/// Why the driver did not do as told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The library, or a function in it, is not there.
    #[error("{LIBRARY}: {message}")]
    Library {
        /// What the dynamic linker said.
        message: String,
    },
    /// A call failed.
    #[error("{call}: {what} ({status})")]
    Call {
        /// The function.
        call: &'static str,
        /// The driver's number for it.
        status: u32,
        /// The driver's words for it.
        what: String,
    },
    /// There is no GPU of NVIDIA's.
    #[error("the CUDA driver finds no device")]
    NoDevice,
}

/// The functions used, as the driver has them.
struct Functions {
    get_error_string: unsafe extern "C" fn(Status, *mut *const c_char) -> Status,
    init: unsafe extern "C" fn(c_uint) -> Status,
    device_get_count: unsafe extern "C" fn(*mut c_int) -> Status,
    device_get: unsafe extern "C" fn(*mut RawDevice, c_int) -> Status,
    device_get_name: unsafe extern "C" fn(*mut c_char, c_int, RawDevice) -> Status,
    primary_context_retain: unsafe extern "C" fn(*mut RawContext, RawDevice) -> Status,
    primary_context_release: unsafe extern "C" fn(RawDevice) -> Status,
    context_push: unsafe extern "C" fn(RawContext) -> Status,
    context_pop: unsafe extern "C" fn(*mut RawContext) -> Status,
    /// Keeps the code of the functions in place.
    _library: Library,
}

/// The driver, initialised.
#[derive(Clone)]
pub struct Cuda(Arc<Functions>);

/// A GPU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its place in the driver's list.
    pub ordinal: i32,
    /// What its maker calls it.
    pub name: String,
    raw: RawDevice,
}

/// A device's primary context, held.
pub struct Context {
    cuda: Cuda,
    device: RawDevice,
    raw: RawContext,
}

// SAFETY: a context belongs to no thread; it is made current on the thread that calls, around each call.
unsafe impl Send for Context {}

/// Looks up a function of the library.
///
/// # Safety
///
/// `T` is the type of the function of this name.
unsafe fn function<T: Copy>(library: &Library, name: &str) -> Result<T, Error> {
    // SAFETY: the caller vouches for the type.
    let symbol = unsafe { library.get::<T>(name.as_bytes()) };
    symbol.map(|symbol| *symbol).map_err(|error| Error::Library { message: error.to_string() })
}

impl Functions {
    fn load(directory: Option<&Path>) -> Result<Self, Error> {
        let path = directory.map_or_else(|| Path::new(LIBRARY).to_owned(), |directory| directory.join(LIBRARY));
        // SAFETY: the driver's library is made to be opened; what its initialisers do is the driver's own affair.
        let library = unsafe { Library::new(path) }.map_err(|error| Error::Library { message: error.to_string() })?;
        // SAFETY: the types are those of the functions in `cuda.h`; a `CUresult` is an unsigned number of 32 bits.
        unsafe {
            Ok(Self {
                get_error_string: function(&library, "cuGetErrorString")?,
                init: function(&library, "cuInit")?,
                device_get_count: function(&library, "cuDeviceGetCount")?,
                device_get: function(&library, "cuDeviceGet")?,
                device_get_name: function(&library, "cuDeviceGetName")?,
                primary_context_retain: function(&library, "cuDevicePrimaryCtxRetain")?,
                // CUDA 11 has a second edition; the first is what older drivers have.
                primary_context_release: function(&library, "cuDevicePrimaryCtxRelease_v2")
                    .or_else(|_| function(&library, "cuDevicePrimaryCtxRelease"))?,
                context_push: function(&library, "cuCtxPushCurrent_v2")?,
                context_pop: function(&library, "cuCtxPopCurrent_v2")?,
                _library: library,
            })
        }
    }
}

impl Cuda {
    /// Opens and initialises the driver: that of the machine, or the one in `directory`.
    ///
    /// # Errors
    ///
    /// [`Error::Library`] where there is none, [`Error::Call`] where it does not start.
    pub fn open(directory: Option<&Path>) -> Result<Self, Error> {
        let cuda = Self(Arc::new(Functions::load(directory)?));
        // SAFETY: 0 is the only flag there is.
        cuda.check("cuInit", unsafe { (cuda.0.init)(0) })?;
        Ok(cuda)
    }

    /// All devices.
    ///
    /// # Errors
    ///
    /// [`Error::NoDevice`] where there is none.
    pub fn devices(&self) -> Result<Vec<Device>, Error> {
        let mut count = 0;
        // SAFETY: `count` is a place for one number.
        self.check("cuDeviceGetCount", unsafe { (self.0.device_get_count)(&mut count) })?;
        let devices: Vec<_> = (0..count).map(|ordinal| self.device(ordinal)).collect::<Result<_, _>>()?;
        if devices.is_empty() { Err(Error::NoDevice) } else { Ok(devices) }
    }

    fn device(&self, ordinal: c_int) -> Result<Device, Error> {
        let (mut raw, mut name) = (0, [0 as c_char; NAME_LEN]);
        // SAFETY: `raw` is a place for one device.
        self.check("cuDeviceGet", unsafe { (self.0.device_get)(&mut raw, ordinal) })?;
        // SAFETY: `name` has one byte more than the length given, which stays zero.
        let status = unsafe { (self.0.device_get_name)(name.as_mut_ptr(), NAME_LEN as c_int - 1, raw) };
        self.check("cuDeviceGetName", status)?;
        // SAFETY: the last byte is zero whatever the driver wrote before it.
        let name = unsafe { CStr::from_ptr(name.as_ptr()) }.to_string_lossy().into_owned();
        Ok(Device { ordinal, name, raw })
    }

    fn check(&self, call: &'static str, status: Status) -> Result<(), Error> {
        if status == SUCCESS {
            return Ok(());
        }
        let mut text = ptr::null();
        // SAFETY: `text` is a place for one pointer, which the driver leaves or sets to a text that lasts as long as itself.
        let known = unsafe { (self.0.get_error_string)(status, &mut text) };
        let what = if known == SUCCESS && !text.is_null() {
            // SAFETY: the driver's texts end with zero.
            unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
        } else {
            "an error without a name".into()
        };
        Err(Error::Call { call, status: status.0, what })
    }
}

impl Context {
    /// Holds the primary context of `device`.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] where the device is in use by another alone, or out of memory.
    pub fn retain(cuda: &Cuda, device: &Device) -> Result<Self, Error> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` is a place for one pointer, and the device is the driver's own.
        let status = unsafe { (cuda.0.primary_context_retain)(&mut raw, device.raw) };
        cuda.check("cuDevicePrimaryCtxRetain", status)?;
        Ok(Self { cuda: cuda.clone(), device: device.raw, raw })
    }

    /// The driver's own pointer, for a session that is opened on it.
    pub(super) fn raw(&self) -> *mut c_void {
        self.raw
    }

    /// Makes the context current on this thread until the guard is dropped.
    ///
    /// # Errors
    ///
    /// [`Error::Call`] where the driver has lost it.
    pub fn enter(&self) -> Result<Current, Error> {
        // SAFETY: `self.raw` is a context that is held.
        self.cuda.check("cuCtxPushCurrent", unsafe { (self.cuda.0.context_push)(self.raw) })?;
        Ok(Current(self.cuda.clone()))
    }
}

/// Takes the context off the thread again.
#[derive(Debug)]
pub struct Current(Cuda);

impl Drop for Current {
    fn drop(&mut self) {
        let mut popped = ptr::null_mut();
        // SAFETY: `popped` is a place for one pointer. That it fails, as nothing else was pushed in between, is a driver
        // that has gone; the next push says so.
        let _ = unsafe { (self.0.0.context_pop)(&mut popped) };
    }
}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the context was retained once and is released once; nothing opened on it is left, for that is dropped
        // before. There is nobody to tell of a failure.
        let _ = unsafe { (self.cuda.0.primary_context_release)(self.device) };
    }
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cuda")
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("device", &self.device).finish_non_exhaustive()
    }
}
