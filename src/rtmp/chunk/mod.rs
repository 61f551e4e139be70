//! Messages cut into chunks, and put together again.
//!
//! ```text
//! basic header     message header                                              extended    data
//! ┌─────┬────────┬──────────────┬──────────┬─────────┬───────────────────────┬───────────┬──────────────
//! │ fmt │ csid   │ timestamp 24 │ length 24│ type 8  │ stream id 32, LITTLE  │ time 32   │ <= chunk size
//! └─────┴────────┴──────────────┴──────────┴─────────┴───────────────────────┴───────────┴──────────────
//!  2 bit  6, 14,   fmt 0: absolute ───────────────────────────────────────────  only if the 24-bit field of this or,
//!         22 bit   fmt 1: delta ────────────────────────                        for fmt 3, of the last header on this
//!                  fmt 2: delta ─                                               chunk stream is FFFFFF
//!                  fmt 3: nothing; the rest of a message, or one more like the last
//! ```
//!
//! Spec: RTMP 1.0 sections 5.3, 5.4.1 and 5.4.2.

mod reader;
mod writer;

pub use reader::{Error, Limits, Reader};
pub use writer::{HEAD_LEN_MAX, PayloadTooLong, Writer};

use super::message::PAYLOAD_LEN_MAX;

/// Chunk size of both sides until one says otherwise, in bytes.
pub const CHUNK_SIZE_INITIAL: usize = 128;
/// Largest chunk size that means anything: one message in one chunk.
pub const CHUNK_SIZE_MAX: usize = PAYLOAD_LEN_MAX;
/// Value of the 24-bit timestamp field that says an extended timestamp follows.
const EXTENDED: u32 = 0xFF_FFFF;
/// Basic header, message header and extended timestamp, each at its longest.
const HEADER_LEN_MAX: usize = 3 + 11 + 4;

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::rtmp::message::{Kind, Message};

    fn read_in_pieces(reader: &mut Reader, bytes: &[u8], piece_len: usize) -> Result<Vec<Message>, Error> {
        let mut messages = Vec::new();
        for mut piece in bytes.chunks(piece_len) {
            while let Some(message) = reader.read(&mut piece)? {
                messages.push(message);
            }
        }
        Ok(messages)
    }

    fn written(messages: &[Message], chunk_size: usize) -> Vec<u8> {
        let mut writer = Writer::new();
        let mut out = VecDeque::new();
        writer.set_chunk_size(chunk_size, &mut out);
        messages.iter().for_each(|message| writer.write(message, &mut out).unwrap());
        out.into_iter().flatten().collect()
    }

    /// Two minutes of frames across each border of the timestamp, as a recording of the wire would have them.
    #[test]
    fn timestamps_across_their_borders() {
        for start_ms in [0xFF_FFFFu32 - 1000, u32::MAX - 1000] {
            let frame = |n: u32| Message {
                csid: 4,
                timestamp_ms: start_ms.wrapping_add(n * 100 / 3),
                kind: Kind::Video,
                stream_id: 1,
                payload: Bytes::from(vec![n as u8; 300]),
            };
            let messages: Vec<_> = (0..3600).map(frame).collect();
            let mut reader = Reader::new(Limits::default());
            assert_eq!(read_in_pieces(&mut reader, &written(&messages, 128), 1000), Ok(messages));
        }
    }

    fn any_message() -> impl Strategy<Value = Message> {
        let csid = prop_oneof![2u32..8, Just(63), Just(64), Just(319), Just(320), Just(65_599)];
        let border = prop_oneof![Just(0u32), Just(0xFF_FFFF), Just(0x01FF_FFFE), Just(u32::MAX)];
        let near_border = (border, -40i32..40).prop_map(|(border, step)| border.wrapping_add_signed(step));
        let time = prop_oneof![near_border, any::<u32>()];
        // Kinds 1 and 2 are obeyed by the reader, not handed out.
        (csid, time, 3u8..30, 0u32..3, prop::collection::vec(any::<u8>(), 0..700)).prop_map(
            |(csid, timestamp_ms, kind, stream_id, payload)| Message {
                csid,
                timestamp_ms,
                kind: Kind::from(kind),
                stream_id,
                payload: payload.into(),
            },
        )
    }

    proptest! {
        #[test]
        fn messages_round_trip(
            messages in prop::collection::vec(any_message(), 0..12),
            chunk_size in prop_oneof![CHUNK_SIZE_INITIAL..600, Just(4096), Just(CHUNK_SIZE_MAX)],
            piece_len in 1usize..400,
        ) {
            let bytes = written(&messages, chunk_size);
            let mut reader = Reader::new(Limits::default());
            prop_assert_eq!(read_in_pieces(&mut reader, &bytes, piece_len), Ok(messages));
            prop_assert_eq!(reader.pending_len(), 0);
        }

        /// Garbage is an answer, and never makes the reader hold more than it was given or more than its limits.
        #[test]
        fn garbage_is_bounded(
            bytes in prop::collection::vec(prop_oneof![2 => Just(0u8), 1 => 0u8..8, 2 => any::<u8>()], 0..3000),
            piece_len in 1usize..400,
        ) {
            let limits = Limits { csid_count_max: 3, message_len_max: 500 };
            let mut reader = Reader::new(limits);
            for mut piece in bytes.chunks(piece_len) {
                // The reader is asked on after errors too: it must stay within bounds there as well.
                while !piece.is_empty() {
                    if let Ok(Some(message)) = reader.read(&mut piece) {
                        prop_assert!(message.payload.len() <= limits.message_len_max);
                    }
                }
                prop_assert!(reader.pending_len() <= limits.csid_count_max * limits.message_len_max);
            }
        }
    }
}
