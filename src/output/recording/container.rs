//! What every kind of file has in common: packets in, bytes to append out. No files, no clock.

use std::fmt;

use bytes::Bytes;

use super::{Error, Format, flv::Flv, mp4::Mp4};
use crate::output::packet::{Headers, Packet};

/// A file in the making. What it hands out are references to what encoders made, and the bytes around them.
pub(super) trait Container: fmt::Debug + Send {
    /// Takes a packet in, and appends to `out` what is whole now: what is appended can be read by itself.
    fn push(&mut self, packet: &Packet, out: &mut Vec<Bytes>) -> Result<(), Error>;

    /// Appends what is left to `out`, and says what is to be mended in front of it. `end_ms` is when the next picture of
    /// the stream is decoded, if there is one.
    fn finish(&mut self, end_ms: Option<u64>, out: &mut Vec<Bytes>) -> Result<Vec<Patch>, Error>;

    /// Bytes taken in so far.
    fn bytes(&self) -> u64;
}

/// Eight bytes that are written over what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Patch {
    /// Where in the file.
    pub(super) at: u64,
    /// What.
    pub(super) bytes: [u8; 8],
}

/// Begins a file whose time 0 is `origin_ms`; its head is appended to `out`.
pub(super) fn open(
    format: Format,
    headers: &Headers,
    origin_ms: u64,
    out: &mut Vec<Bytes>,
) -> Result<Box<dyn Container>, Error> {
    Ok(match format {
        Format::Flv => Box::new(Flv::open(headers, origin_ms, out)?),
        Format::Mp4 => Box::new(Mp4::open(headers, origin_ms, out)?),
    })
}
