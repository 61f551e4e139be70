//! `stream-manager`: a broadcast overlay compositor.
//!
//! Layers are composited on the GPU, encoded with sound and published over RTMP to any number of outputs, around the
//! clock. The modules are floors: each may use those of the lines below it, never those above; `tests/tidy.rs` checks it.
//! ARCHITECTURE.md has the map.
//!
//! ```text
//! api                           HTTP
//! telemetry                     logs, metrics
//! state                         documents, revisions, which streams run
//! pipeline                      one stream's threads and clock
//! output                        RTMP sessions, queues
//! gpu  encode  audio            draw list to NV12, NV12 to H.264, sound to AAC
//! media                         files to pixels, texts to glyphs
//! scene  rtmp  flv  mp4  h264  hevc  aac   pure
//! base
//! ffi                           beside the tower: the only `unsafe`
//! ```

pub mod api;
pub mod telemetry;

pub mod state;

pub mod pipeline;

pub mod output;

pub mod audio;
pub mod encode;
pub mod gpu;

pub mod media;

pub mod aac;
pub mod flv;
pub mod h264;
pub mod hevc;
pub mod mp4;
pub mod rtmp;
pub mod scene;

pub mod base;

pub mod ffi;
