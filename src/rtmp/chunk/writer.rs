//! Messages to chunks, without copying a payload.
//!
//! The writer emits small headers and slices of the caller's [`Bytes`], to be gathered into one vectored write. The few
//! bytes that FLV puts before a picture or a piece of sound ride on the message's first header. It
//! starts every message with fmt 0 or fmt 1. A fmt 3 start would save seven bytes, and is where implementations disagree
//! on which delta it repeats. The extended timestamp is repeated in every fmt 3 chunk, the rule whose breach ends
//! streams after 4 h 39 min (0xFFFFFF ms). Spec and drawing: [`super`].

use std::{collections::VecDeque, ops::RangeInclusive};

use bytes::{BufMut, Bytes, BytesMut};

use super::{CHUNK_SIZE_INITIAL, CHUNK_SIZE_MAX, EXTENDED, HEADER_LEN_MAX};
use crate::rtmp::message::{Kind, Message, PAYLOAD_LEN_MAX};

/// Most bytes that may stand before a message's payload: fewer than any chunk has.
pub const HEAD_LEN_MAX: usize = CHUNK_SIZE_INITIAL - 1;
/// Lowest and highest chunk stream id.
const CSID_RANGE: RangeInclusive<u32> = 2..=65_599;

/// A payload is longer than the 24-bit length field can say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("message payload of {len} bytes is longer than RTMP allows ({PAYLOAD_LEN_MAX})")]
pub struct PayloadTooLong {
    /// Bytes of the refused payload.
    pub len: usize,
}

/// What the next header on a chunk stream may leave out.
#[derive(Debug, Clone, Copy)]
struct Sent {
    csid: u32,
    timestamp_ms: u32,
    stream_id: u32,
}

/// Cuts messages into chunks.
#[derive(Debug)]
pub struct Writer {
    chunk_size: usize,
    /// One entry for each chunk stream used; a publisher uses three.
    sent: Vec<Sent>,
}

impl Writer {
    /// A writer at the protocol's initial chunk size.
    pub fn new() -> Self {
        Self { chunk_size: CHUNK_SIZE_INITIAL, sent: Vec::new() }
    }

    /// Tells the peer a new chunk size, [`CHUNK_SIZE_INITIAL`] to [`CHUNK_SIZE_MAX`] bytes, and uses it from the next
    /// message on.
    pub fn set_chunk_size(&mut self, chunk_size: usize, out: &mut VecDeque<Bytes>) {
        let chunk_size = chunk_size.clamp(CHUNK_SIZE_INITIAL, CHUNK_SIZE_MAX);
        let message = Message::control_u32(Kind::SetChunkSize, chunk_size as u32);
        if self.write(&message, out).is_ok() {
            self.chunk_size = chunk_size;
        }
    }

    /// Appends the pieces of `message` to `out`; nothing is appended on an error.
    pub fn write(&mut self, message: &Message, out: &mut VecDeque<Bytes>) -> Result<(), PayloadTooLong> {
        self.write_behind(&[], message, out)
    }

    /// Appends the pieces of a message whose payload is `head`, at most [`HEAD_LEN_MAX`] bytes, and then that of `message`.
    pub fn write_behind(
        &mut self,
        head: &[u8],
        message: &Message,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), PayloadTooLong> {
        debug_assert!(CSID_RANGE.contains(&message.csid), "chunk stream id {}", message.csid);
        debug_assert!(head.len() <= HEAD_LEN_MAX, "{} bytes before the payload", head.len());
        let mut rest = message.payload.clone();
        let len = head.len() + rest.len();
        if len > PAYLOAD_LEN_MAX {
            return Err(PayloadTooLong { len });
        }
        let (first, next) = self.headers(head, message);
        out.push_back(first);
        // No chunk is as short as the head.
        let mut room = self.chunk_size - head.len();
        while !rest.is_empty() {
            out.push_back(rest.split_to(room.min(rest.len())));
            room = self.chunk_size;
            if !rest.is_empty() {
                out.push_back(next.clone());
            }
        }
        Ok(())
    }

    /// The header of the first chunk of `message`, with the start of its payload, and that of all its further ones.
    fn headers(&mut self, head: &[u8], message: &Message) -> (Bytes, Bytes) {
        let delta_ms = self.remember(message);
        let (fmt, time_ms) = delta_ms.map_or((0, message.timestamp_ms), |delta_ms| (1, delta_ms));
        let mut bytes = BytesMut::with_capacity(2 * HEADER_LEN_MAX + head.len());
        put_basic_header(&mut bytes, fmt, message.csid);
        bytes.put_uint(u64::from(time_ms.min(EXTENDED)), 3);
        bytes.put_uint((head.len() + message.payload.len()) as u64, 3);
        bytes.put_u8(message.kind.into());
        if fmt == 0 {
            bytes.put_u32_le(message.stream_id);
        }
        put_extended(&mut bytes, time_ms);
        bytes.put_slice(head);
        let first = bytes.split().freeze();
        put_basic_header(&mut bytes, 3, message.csid);
        put_extended(&mut bytes, time_ms);
        (first, bytes.freeze())
    }

    /// Notes `message` as the last on its chunk stream; returns the delta if fmt 1 can express it.
    ///
    /// A step backwards wraps to a delta of 2^31 and more, so that one comparison tells it from a step forwards, also
    /// where the 32-bit timestamp itself wraps.
    fn remember(&mut self, message: &Message) -> Option<u32> {
        let &Message { csid, timestamp_ms, stream_id, .. } = message;
        let now = Sent { csid, timestamp_ms, stream_id };
        let Some(sent) = self.sent.iter_mut().find(|sent| sent.csid == csid) else {
            self.sent.push(now);
            return None;
        };
        let last = std::mem::replace(sent, now);
        let delta_ms = timestamp_ms.wrapping_sub(last.timestamp_ms);
        (last.stream_id == stream_id && delta_ms < EXTENDED).then_some(delta_ms)
    }
}

impl Default for Writer {
    fn default() -> Self {
        Self::new()
    }
}

fn put_basic_header(head: &mut BytesMut, fmt: u8, csid: u32) {
    let fmt = fmt << 6;
    match csid {
        0..=63 => head.put_u8(fmt | csid as u8),
        64..=319 => head.put_slice(&[fmt, (csid - 64) as u8]),
        _ => {
            head.put_u8(fmt | 1);
            head.put_u16_le((csid - 64) as u16);
        }
    }
}

fn put_extended(head: &mut BytesMut, time_ms: u32) {
    if time_ms >= EXTENDED {
        head.put_u32(time_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn video(timestamp_ms: u32, payload: impl Into<Bytes>) -> Message {
        Message { csid: 4, timestamp_ms, kind: Kind::Video, stream_id: 1, payload: payload.into() }
    }

    fn written(writer: &mut Writer, message: &Message) -> Vec<u8> {
        let mut out = VecDeque::new();
        writer.write(message, &mut out).unwrap();
        out.into_iter().flatten().collect()
    }

    /// fmt 0, fmt 1 with a delta, fmt 0 again for a step back and for another message stream.
    #[test]
    fn headers_by_hand() {
        let mut writer = Writer::new();
        let first = [0x04, 0, 0x03, 0xE8, 0, 0, 1, 9, 1, 0, 0, 0, 0xAA];
        assert_eq!(written(&mut writer, &video(1000, vec![0xAA])), first);
        assert_eq!(written(&mut writer, &video(1033, vec![0xAA])), [0x44, 0, 0, 33, 0, 0, 1, 9, 0xAA]);
        assert_eq!(written(&mut writer, &video(1033, vec![0xAA])), [0x44, 0, 0, 0, 0, 0, 1, 9, 0xAA]);
        assert_eq!(written(&mut writer, &video(1000, vec![0xAA])), first);
        let other = Message { stream_id: 2, ..video(1000, vec![0xAA]) };
        assert_eq!(written(&mut writer, &other), [0x04, 0, 0x03, 0xE8, 0, 0, 1, 9, 2, 0, 0, 0, 0xAA]);
    }

    #[test]
    fn long_payloads_are_cut_and_empty_ones_are_not() {
        let mut writer = Writer::new();
        let bytes = written(&mut writer, &video(0, vec![7; 257]));
        assert_eq!(bytes.len(), 12 + 128 + 1 + 128 + 1 + 1);
        assert_eq!((bytes[12 + 128], bytes[12 + 128 + 1 + 128]), (0xC4, 0xC4));
        assert_eq!(written(&mut writer, &video(0, vec![])), [0x44, 0, 0, 0, 0, 0, 0, 9]);
        assert_eq!(written(&mut writer, &video(0, vec![7; 128])).len(), 8 + 128);
    }

    /// The field is FFFFFF from that value on, and the four bytes stand in every chunk of the message.
    #[test]
    fn extended_timestamps_are_repeated() {
        let mut writer = Writer::new();
        let last_short = written(&mut writer, &video(0xFF_FFFE, vec![7; 129]));
        assert_eq!(last_short[1..4], [0xFF, 0xFF, 0xFE]);
        assert_eq!(last_short[12 + 128..], [0xC4, 7]);
        let mut writer = Writer::new();
        let extended = written(&mut writer, &video(0xFF_FFFF, vec![7; 129]));
        assert_eq!(extended[..16], [4, 0xFF, 0xFF, 0xFF, 0, 0, 129, 9, 1, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF]);
        assert_eq!(extended[16 + 128..], [0xC4, 0, 0xFF, 0xFF, 0xFF, 7]);
        // The next one is 33 ms later: its delta is short, and so are its further chunks.
        let next = written(&mut writer, &video(0x0100_0020, vec![7; 129]));
        assert_eq!(next[..8], [0x44, 0, 0, 33, 0, 0, 129, 9]);
        assert_eq!(next[8 + 128..], [0xC4, 7]);
    }

    #[test]
    fn large_steps_and_the_wrap() {
        let mut writer = Writer::new();
        written(&mut writer, &video(0, vec![]));
        assert_eq!(written(&mut writer, &video(0xFF_FFFE, vec![]))[..4], [0x44, 0xFF, 0xFF, 0xFE]);
        assert_eq!(written(&mut writer, &video(0x01FF_FFFD, vec![]))[..4], [0x04, 0xFF, 0xFF, 0xFF]);
        written(&mut writer, &video(u32::MAX, vec![]));
        assert_eq!(written(&mut writer, &video(19, vec![]))[..4], [0x44, 0, 0, 20], "20 ms over the wrap");
    }

    #[test]
    fn chunk_stream_ids_of_three_lengths() {
        let at = |csid| {
            let bytes = written(&mut Writer::new(), &Message { csid, ..video(0, vec![]) });
            bytes[..bytes.len() - 11].to_vec()
        };
        assert_eq!(at(63), [63]);
        assert_eq!(at(64), [0, 0]);
        assert_eq!(at(319), [0, 255]);
        assert_eq!(at(320), [1, 0, 1]);
        assert_eq!(at(65_599), [1, 0xFF, 0xFF]);
    }

    /// The pieces are the caller's memory, not copies of it.
    #[test]
    fn payloads_are_shared() {
        let payload = Bytes::from(vec![7; 300]);
        let mut out = VecDeque::new();
        Writer::new().write(&video(0, payload.clone()), &mut out).unwrap();
        let starts: Vec<_> = out.iter().skip(1).step_by(2).map(|piece| piece.as_ptr()).collect();
        assert_eq!(starts, [0, 128, 256].map(|offset| payload[offset..].as_ptr()));
    }

    /// What stands before a payload counts as its start and costs no piece; the first chunk is shorter by it.
    #[test]
    fn a_head_rides_on_the_first_header() {
        let payload = Bytes::from(vec![7; 300]);
        let (mut behind, mut whole) = (VecDeque::new(), VecDeque::new());
        Writer::new().write_behind(&[1, 2, 3], &video(0, payload.clone()), &mut behind).unwrap();
        Writer::new().write(&video(0, [&[1, 2, 3], &payload[..]].concat()), &mut whole).unwrap();
        assert_eq!(behind.len(), whole.len());
        let starts: Vec<_> = behind.iter().skip(1).step_by(2).map(|piece| piece.as_ptr()).collect();
        assert_eq!(starts, [0, 125, 253].map(|offset| payload[offset..].as_ptr()));
        let [behind, whole] = [behind, whole].map(|pieces| pieces.into_iter().flatten().collect::<Vec<u8>>());
        assert_eq!(behind, whole);
        let mut out = VecDeque::new();
        let too_long = video(0, vec![0; PAYLOAD_LEN_MAX]);
        let result = Writer::new().write_behind(&[1], &too_long, &mut out);
        assert_eq!((result, out.len()), (Err(PayloadTooLong { len: PAYLOAD_LEN_MAX + 1 }), 0));
    }

    #[test]
    fn chunk_size_is_announced_in_the_old_size() {
        let mut writer = Writer::new();
        let mut out = VecDeque::new();
        writer.set_chunk_size(4096, &mut out);
        let bytes: Vec<u8> = out.into_iter().flatten().collect();
        assert_eq!(bytes, [2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0x10, 0]);
        assert_eq!(written(&mut writer, &video(0, vec![7; 4096])).len(), 12 + 4096);
    }

    #[test]
    fn over_long_payloads_are_refused_whole() {
        let mut out = VecDeque::new();
        let result = Writer::new().write(&video(0, vec![0; PAYLOAD_LEN_MAX + 1]), &mut out);
        assert_eq!(result, Err(PayloadTooLong { len: PAYLOAD_LEN_MAX + 1 }));
        assert!(out.is_empty());
    }
}
