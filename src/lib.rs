//! `stream-manager`: a broadcast overlay compositor.
//!
//! Layers are composited on the GPU, encoded with sound and published over RTMP to any number of outputs, around the
//! clock. The modules are floors: each may use those listed after it, never those before; `tests/tidy.rs` checks it.
//! ARCHITECTURE.md has the map.

pub mod scene;

pub mod base;
