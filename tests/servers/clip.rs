//! An FLV file as a stream's packets, to be published.

use std::{fs, path::Path};

use bytes::Bytes;
use stream_manager::{
    flv::{self, Body},
    output::{Headers, Kind, Packet},
};

/// `@setDataFrame` as an AMF 0 string: an RTMP server wants it in front of what a file has.
const SET_DATA_FRAME: &[u8] = b"\x02\x00\x0d@setDataFrame";

/// An FLV file taken apart.
#[derive(Debug)]
pub(crate) struct Clip {
    pub(crate) headers: Headers,
    pub(crate) packets: Vec<Packet>,
}

impl Clip {
    /// Reads a file whose first packet is to be so old, in ms.
    pub(crate) fn read(path: &Path, age_ms: u64) -> Self {
        Self::of(fs::read(path).unwrap().into(), age_ms)
    }

    /// The same of what a file holds so far; a tag that is not whole is left out.
    pub(crate) fn of(file: Bytes, age_ms: u64) -> Self {
        let mut headers = Headers { metadata: Bytes::new(), video: Bytes::new(), audio: Bytes::new() };
        let mut packets = Vec::new();
        for (tag_type, time_ms, body) in tags(file) {
            // By FourCC the low bits of the first byte are what is the second byte of H.264: 1 and 3 are frames.
            let is_enhanced = tag_type == 9 && body[0] & 0x80 != 0;
            let packet_type = if is_enhanced { body[0] & 0xF } else { body[1] };
            let is_media = packet_type == 1 || is_enhanced && packet_type == 3;
            let dts_ms = age_ms + time_ms;
            match (tag_type, is_media) {
                (18, _) => headers.metadata = [SET_DATA_FRAME, &body].concat().into(),
                (9, true) => {
                    let is_key = body[0] >> 4 & 7 == 1;
                    packets.push(Packet { kind: Kind::Video { is_key }, dts_ms, body: in_parts(is_key, body) });
                }
                (9, false) if packet_type == 0 => headers.video = body,
                (8, true) => {
                    packets.push(Packet { kind: Kind::Audio, dts_ms, body: flv::audio_frame(body.slice(2..)) });
                }
                (8, false) => headers.audio = body,
                _ => {} // the end of the sequence
            }
        }
        Self { headers, packets }
    }
}

/// A picture's body as an encoder's is, if it is one of H.264.
fn in_parts(is_key: bool, body: Bytes) -> Body {
    match body[..] {
        [first, _, a, b, c, ..] if first & 0x80 == 0 => {
            flv::video_access_unit(is_key, i32::from_be_bytes([a, b, c, 0]) >> 8, body.slice(5..))
        }
        _ => body.into(),
    }
}

/// The tags of a file: `(type, time in ms, body)`.
fn tags(mut file: Bytes) -> Vec<(u8, u64, Bytes)> {
    const HEADER_LEN: usize = 9 + BACK_POINTER_LEN;
    const BACK_POINTER_LEN: usize = 4;
    const TAG_HEADER_LEN: usize = 11;
    let _ = file.split_to(HEADER_LEN);
    let mut tags = Vec::new();
    while file.len() >= TAG_HEADER_LEN {
        let header = file.split_to(TAG_HEADER_LEN);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, &byte| number << 8 | u64::from(byte));
        let (len, time_ms) = (number(&header[1..4]), u64::from(header[7]) << 24 | number(&header[4..7]));
        let len = usize::try_from(len).unwrap();
        if file.len() < len + BACK_POINTER_LEN {
            break;
        }
        tags.push((header[0], time_ms, file.split_to(len)));
        let _back_pointer = file.split_to(BACK_POINTER_LEN);
    }
    tags
}
