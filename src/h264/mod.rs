//! H.264 around the encoder: NAL units, their framings, and the sequence parameter set.
//!
//! ```text
//! nal   start codes (what encoders emit) to lengths (what FLV carries), emulation prevention
//! avcc  AVCDecoderConfigurationRecord: SPS and PPS as FLV's sequence header wants them
//! sps   what the SPS says about the picture, and how to make it say more
//! vui   the SPS's part about colour, timing and buffering
//! bits  single bits and Exp-Golomb codes
//! ```
//!
//! Spec: ISO/IEC 14496-10 (H.264) sections 7.3, 7.4, 9.1, annexes B and E; ISO/IEC 14496-15 section 5. Left out:
//! slices, PPS and SEI contents, and all of decoding.

pub mod avcc;
pub mod nal;
pub mod sps;
pub mod vui;

pub mod bits;

pub use avcc::{AvcConfig, Error};
pub use nal::{NalKind, annex_b, append_length_prefixed, put_length_prefixed};
pub use sps::Sps;
pub use vui::Vui;
