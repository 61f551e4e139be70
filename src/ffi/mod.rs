//! Foreign libraries behind safe types: the only `unsafe` of the project.
//!
//! One file or folder per library: raw bindings below, a safe wrapper above, and a `SAFETY` sentence that could be false on every
//! block. What a library calls a parameter block, a status code or a buffer of its own stops here; policy (which rate
//! control, which group of pictures) belongs to the floor that uses the wrapper.

pub mod cuda;
pub mod files;
pub mod nvenc;
pub mod openh264;
pub mod tcp;
#[cfg(feature = "x264")]
pub mod x264;
