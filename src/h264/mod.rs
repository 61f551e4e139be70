//! H.264 around the encoder: NAL units, their framings, and the sequence parameter set.
//!
//! ```text
//! nal   start codes (what encoders emit) to lengths (what FLV carries), emulation prevention
//! avcc  AVCDecoderConfigurationRecord: SPS and PPS as FLV's sequence header wants them
//! sps   what the SPS says about the picture, and how to make it say more
//! vui   the SPS's part about colour, timing and buffering
//! pps   what the PPS says, and one for pictures that repeat the last
//! slice the header of a slice: its numbers, what it refers to, its quantiser
//! splice  pictures that repeat the last, between those an encoder made
//! bits  single bits and Exp-Golomb codes
//! ```
//!
//! Spec: ISO/IEC 14496-10 (H.264) sections 7.3, 7.4, 9.1, annexes B and E; ISO/IEC 14496-15 section 5. Left out: SEI
//! contents, and all of decoding.

pub mod avcc;
pub mod nal;
pub mod pps;
pub mod slice;
pub mod splice;
pub mod sps;
pub mod vui;

pub mod bits;

pub use avcc::{AvcConfig, Error, sps_of_record};
pub use nal::{NalKind, annex_b, append_length_prefixed, put_length_prefixed};
pub use splice::Splicer;
pub use sps::Sps;
pub use vui::Vui;
