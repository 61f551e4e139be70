//! The GPU floor: a draw list in, an NV12 picture out.
//!
//! ```text
//!  DrawList ──► plan: resolve rasters, write one slot of uniforms for each item
//!                 │
//!                 ▼  one submission a frame
//!   ┌──────────────────────┐    ┌──────────────┐    ┌────────────────────────┐
//!   │ painter.rs: solid,   │───►│ nv12.rs      │───►│ readback.rs            │──► collect(): base::nv12::Picture
//!   │ shape, raster, blend │ │  │ compute into │    │ ring of three mappable │
//!   │ onto kept surfaces   │ │  │ one buffer   │ ┌─►│ buffers                │
//!   └──────────────────────┘ │  └──────────────┘ │  └────────────────────────┘
//!                            └► scale.rs ► nv12 ─┘    each rendition: delivery.rs
//!          ▲ textures.rs: pictures and texts, uploaded or drawn once and kept
//! ```
//!
//! Colours are premultiplied in the canvas's blend space; `light.rs` is where they enter it and where formats are
//! chosen so that they leave it. One pipeline is one file in `shaders/` and one module here of the same name.
//! In the steady state a frame creates no GPU object: it writes one buffer, submits once, maps a buffer of the ring.
//!
//! No GPU call panics the process: what goes wrong in a call is an error scope's or [`Gpu`]'s flag, a lost device is
//! [`Error::Lost`], and the owner builds a new [`Gpu`] and [`Compositor`] from the same scene.

mod blend;
mod compositor;
mod delivery;
mod device;
mod effects;
mod floor;
mod framing;
mod items;
mod light;
mod matte;
mod nv12;
mod painter;
mod pin;
mod pipeline;
mod raster;
mod readback;
mod scale;
mod shape;
mod solid;
mod surface;
mod text;
mod textures;
mod upload;
mod user;

pub use self::{
    compositor::{Compositor, Stats},
    delivery::{Delivered, RENDITIONS_MAX},
    device::{AdapterReport, Gpu, Memory, Options},
    framing::{Fit, Framing},
    pipeline::{Layout, Member, layouts, shaders},
    textures::CacheStats,
};

/// Why the GPU did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No adapter fits.
    #[error(
        "no Vulkan adapter fits{}; found: {found}. Install a driver (software: mesa-vulkan-drivers; NVIDIA in \
         a container: NVIDIA_DRIVER_CAPABILITIES=all and an ICD file such as /etc/vulkan/icd.d/nvidia_icd.json)",
        if wanted.is_empty() { String::new() } else { format!(" the name `{wanted}`") }
    )]
    NoAdapter {
        /// The wanted part of a name; empty for any.
        wanted: String,
        /// The names and types of all adapters.
        found: String,
    },
    /// Only software adapters are there and they are not allowed.
    #[error(
        "the only Vulkan adapters are software ({found}) and software is not allowed: install the GPU's driver, or \
         allow it"
    )]
    SoftwareRefused {
        /// The names and types of all adapters.
        found: String,
    },
    /// The adapter gave no device.
    #[error("the adapter {adapter} gives no device: {reason}; update its driver or choose another adapter")]
    NoDevice {
        /// Name of the adapter.
        adapter: String,
        /// What the driver said.
        reason: String,
    },
    /// A GPU object could not be made.
    #[error("the GPU cannot make {what}: {reason}")]
    Create {
        /// Which object.
        what: String,
        /// What the driver said.
        reason: String,
    },
    /// The device is gone; build a new one.
    #[error("the GPU device is lost")]
    Lost,
    /// All buffers of the ring are in flight: collect one first.
    #[error("all read-back buffers are in flight")]
    RingFull,
    /// A draw list or a picture has another size than the compositor.
    #[error("{what} has {got} pixels where the compositor has {expected}")]
    SizeMismatch {
        /// Whose size it is.
        what: &'static str,
        /// The compositor's size.
        expected: String,
        /// The refused size.
        got: String,
    },
    /// A finished picture cannot be read.
    #[error("frame {frame} cannot be read back: {reason}")]
    Readback {
        /// Which frame.
        frame: u64,
        /// What went wrong.
        reason: String,
    },
    /// The GPU did not finish in time.
    #[error("the GPU did not finish within {after_ms} ms")]
    Timeout {
        /// How long was waited.
        after_ms: u64,
    },
}
