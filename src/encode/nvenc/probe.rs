//! Trying the driver in another process first, so that one that crashes or hangs does not take the daemon with it.
//!
//! ```text
//! daemon: is the library there? ─no─► refused, nothing is started
//!            │ yes
//!            ▼
//!         PROGRAM nvenc-probe ─► open, encode some frames ─► {"found": ...} or {"refused": "why"}
//!            │ crash, no end within ten seconds, nonsense: refused, for good
//!            ▼
//!         open here
//! ```
//!
//! A process says once how it gets at the driver ([`set_access`]), and with what it is to be tried. One that does not, such
//! as a test of the library or the probe itself, opens the driver without trying, so that nothing starts anything without
//! end. What the probe found holds for the life of the process; an orderly refusal, such as too many sessions, does not.

use std::{
    fmt,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError, RwLock},
    thread,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{Error, Nvenc, library_error};
use crate::{
    base::{colour::VideoColour, nv12::Picture, rate::FrameRate, size::Size},
    encode::{Codec, Config, Encoder, Request, Tuning},
    ffi::nvenc::{self as ffi, Capabilities, Driver, Session},
    scene::damage::Damage,
};

/// How long a probe may take: a cold driver takes a second or two.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at whether it has ended.
const PAUSE: Duration = Duration::from_millis(20);
/// Most bytes of an answer that are read.
const ANSWER_LEN_MAX: u64 = 64 << 10;
/// Frames that the probe encodes.
const FRAMES: u64 = 4;

/// How this process gets at the driver.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// Where its libraries lie; none: where the dynamic linker finds them.
    pub directory: Option<PathBuf>,
    /// With what it is tried first; none: it is not.
    pub probe: Option<Probe>,
}

/// A program that calls [`examine`] and writes what comes of it, as JSON, to its standard output.
#[derive(Debug, Clone)]
pub struct Probe {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How long it may take.
    pub patience: Duration,
}

/// What a probe says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Answer {
    Found(Findings),
    Refused(String),
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Findings {
    /// The newest version of the encoder's interface that the driver speaks.
    pub interface: String,
    /// The GPU's name.
    pub device: String,
    /// What its encoder knows.
    pub codecs: Vec<FoundCodec>,
}

/// A codec that the encoder knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundCodec {
    /// Its name.
    pub name: String,
    /// Widest picture.
    pub width_max: u32,
    /// Highest picture.
    pub height_max: u32,
    /// Most B frames between two others.
    pub b_frames_max: u32,
    /// Whether the bitrate can be changed while it runs.
    pub has_live_bitrate: bool,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, interface {}", self.device, self.interface)?;
        self.codecs.iter().try_for_each(|codec| {
            write!(f, ", {} to {}x{}, {} B frames", codec.name, codec.width_max, codec.height_max, codec.b_frames_max)
        })
    }
}

/// Why the driver is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The other process was not started.
    #[error("the driver could not be tried: {message}")]
    Start {
        /// Why.
        message: String,
    },
    /// It crashed.
    #[error("the driver crashed the process that tried it: {status}")]
    Crashed {
        /// How it ended.
        status: ExitStatus,
    },
    /// It did not end.
    #[error("the driver hung the process that tried it for {} ms", patience.as_millis())]
    Hung {
        /// For how long it was waited for.
        patience: Duration,
    },
    /// It said something else.
    #[error("the process that tried the driver did not say what came of it")]
    Garbled,
    /// The driver, or the GPU, refused.
    #[error("{reason}")]
    Refused {
        /// Its reason.
        reason: String,
    },
}

static ACCESS: RwLock<Access> = RwLock::new(Access { directory: None, probe: None });
/// What the probe said, where that holds for good.
static OUTCOME: Mutex<Option<Result<Findings, ProbeError>>> = Mutex::new(None);

/// Says how this process gets at the driver, from now on; what was found before is forgotten.
pub fn set_access(access: Access) {
    let mut outcome = OUTCOME.lock().unwrap_or_else(PoisonError::into_inner);
    *ACCESS.write().unwrap_or_else(PoisonError::into_inner) = access;
    *outcome = None;
}

/// How this process gets at the driver.
pub(super) fn access() -> Access {
    ACCESS.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Has the driver tried, unless that has been done; nothing where it is not to be tried.
pub(super) fn ask(access: &Access) -> Result<Option<Findings>, ProbeError> {
    let Some(probe) = &access.probe else { return Ok(None) };
    // Held while the probe runs: streams that start together have it tried once.
    let mut outcome = OUTCOME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = &*outcome {
        return known.clone().map(Some);
    }
    let found = probe.run();
    if !matches!(found, Err(ProbeError::Refused { .. } | ProbeError::Start { .. })) {
        *outcome = Some(found.clone());
    }
    found.map(Some)
}

impl Probe {
    fn run(&self) -> Result<Findings, ProbeError> {
        let start = |error: std::io::Error| ProbeError::Start { message: error.to_string() };
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(start)?;
        let Some(status) = end_of(&mut child, self.patience).map_err(start)? else {
            // Both fail only for a process that has just ended.
            let _ = child.kill();
            let _ = child.wait();
            return Err(ProbeError::Hung { patience: self.patience });
        };
        if !status.success() {
            return Err(ProbeError::Crashed { status });
        }
        let mut answer = Vec::new();
        let stdout = child.stdout.take().ok_or(ProbeError::Garbled)?;
        stdout.take(ANSWER_LEN_MAX).read_to_end(&mut answer).map_err(start)?;
        match serde_json::from_slice(&answer).map_err(|_| ProbeError::Garbled)? {
            Answer::Found(findings) => Ok(findings),
            Answer::Refused(reason) => Err(ProbeError::Refused { reason }),
        }
    }
}

/// How a process ends; `None` where it does not in time.
fn end_of(child: &mut Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    for _ in 0..patience.div_duration_f64(PAUSE).ceil() as u64 {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(PAUSE);
    }
    Ok(None)
}

/// Tries the driver here: opens it, encodes some frames, and says as JSON what came of it. For the probe's own process.
pub fn examine(directory: Option<&Path>) -> String {
    let answer = match found(directory) {
        Ok(findings) => Answer::Found(findings),
        Err(Error::Library { source, .. }) => Answer::Refused(source.to_string()),
        Err(error) => Answer::Refused(error.to_string()),
    };
    serde_json::to_string(&answer).unwrap_or_default()
}

fn found(directory: Option<&Path>) -> Result<Findings, Error> {
    let driver = Driver::open(directory).map_err(library_error)?;
    let mut encoder = super::open_here(directory, &small())?;
    encode_some(&mut encoder)?;
    let device = encoder.library.device().to_owned();
    let codecs = codecs(&driver, &device).map_err(library_error)?;
    Ok(Findings { interface: driver.version().to_string(), device, codecs })
}

/// A picture that every chip takes.
fn small() -> Config {
    Config {
        size: Size::new(320, 192).expect("within the limits"),
        rate: FrameRate::new(30, 1).expect("within the limits"),
        bitrate_kbps: 1000,
        rate_control: crate::encode::RateControl::Variable,
        gop_frames: 60,
        colour: VideoColour::BT709_LIMITED,
        threads: 1,
        codec: Codec::H264,
        tuning: Tuning::LowLatency,
        nvenc: crate::encode::Nvenc::default(),
        x264: crate::encode::X264::default(),
    }
}

fn encode_some(encoder: &mut Nvenc) -> Result<(), Error> {
    let picture = Picture::black(encoder.config.size);
    for frame in 0..FRAMES {
        let request = Request { frame, is_idr_forced: false, damage: Damage::whole(encoder.config.size.sides()) };
        encoder.encode(&picture, request)?;
    }
    while encoder.flush()?.is_some() {}
    Ok(())
}

/// What the encoder of the device with this name knows.
fn codecs(driver: &Driver, name: &str) -> Result<Vec<FoundCodec>, ffi::Error> {
    let mut found = Vec::new();
    for device in driver.devices()?.iter().filter(|device| device.name == name).take(1) {
        let session = Session::open(driver, device)?;
        for codec in [ffi::Codec::H264, ffi::Codec::Hevc] {
            match session.capabilities(codec) {
                Ok(capabilities) => found.push(FoundCodec::new(codec, &capabilities)),
                Err(ffi::Error::Codec { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}

impl FoundCodec {
    fn new(codec: ffi::Codec, capabilities: &Capabilities) -> Self {
        Self {
            name: codec.to_string(),
            width_max: *capabilities.width.end(),
            height_max: *capabilities.height.end(),
            b_frames_max: capabilities.b_frames_max,
            has_live_bitrate: capabilities.has_live_bitrate,
        }
    }
}
