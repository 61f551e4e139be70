//! Files into pixels, texts into shaped lines: all that may take longer than a frame, on worker threads.
//!
//! ```text
//!  scene::evaluate ── extent() ──┐            ┌─► media-0 ─┐ decode, shape
//!  Compositor ─ pixels(), text() ┼─► Library ─┤    ...     ├──► Library: what is known, what is loaded
//!  state writer ── prepare() ────┘   (a lock) └─► media-n ─┘
//!                                  queue of QUEUE rasters
//! ```
//!
//! Nobody but [`Library::prepare`] waits: a raster that is not there is queued and said to be pending. Two bounded
//! tables hold the results: *known* (sizes and failures, small, kept long) and *loaded* (pixels and glyphs, large,
//! dropped when not used, made again on demand). CPU only; textures are the GPU floor's. Not here: video, the network.

mod apart;
mod assets;
mod blur;
pub(crate) mod builtin;
pub(crate) mod cache;
mod emoji;
mod examine;
mod fonts;
mod library;
mod lut;
mod moving;
mod paint;
mod picture;
mod survey;
mod text;
mod vault;
mod vector;

pub use self::{
    assets::SoundFiles,
    examine::Examined,
    fonts::DEFAULT_FAMILY,
    library::{Config, Error, Library, Prepared},
    lut::Lut,
    picture::Pixels,
    survey::{Format, HEAD_BYTES, Kind, Survey, sniff, survey},
    text::{Ink, ShapedText},
    vault::{Sealed, Stored, Upload, Vault},
};
