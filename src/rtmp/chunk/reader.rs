//! Chunks to messages, from bytes in any pieces.
//!
//! The reader holds the unfinished message of each chunk stream and nothing else: at most [`Limits::csid_count_max`]
//! times [`Limits::message_len_max`] bytes, and only as many as have been received. Spec and drawing: [`super`].

use bytes::{Buf, BufMut, BytesMut};

use super::{CHUNK_SIZE_INITIAL, CHUNK_SIZE_MAX, EXTENDED, HEADER_LEN_MAX};
use crate::rtmp::message::{CSID_CONTROL, Kind, Message};

/// How much a peer may make a [`Reader`] hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Chunk streams a peer may use.
    pub csid_count_max: usize,
    /// Longest message, in bytes.
    pub message_len_max: usize,
}

impl Default for Limits {
    /// For what a server tells a publisher: 16 chunk streams, messages of 256 KiB.
    fn default() -> Self {
        Self { csid_count_max: 16, message_len_max: 256 * 1024 }
    }
}

/// Why bytes are not chunks, with the place of the chunk in the stream of all bytes read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A short header where there is no earlier one to complete it.
    #[error("chunk at byte {at}: fmt {fmt} on chunk stream {csid}, which has had no message yet")]
    NoEarlierHeader {
        /// Bytes read up to the end of this header.
        at: u64,
        /// Chunk stream.
        csid: u32,
        /// Header format, 1 to 3.
        fmt: u8,
    },
    /// A new message before the last one on this chunk stream is complete.
    #[error(
        "chunk at byte {at}: fmt {fmt} starts a message on chunk stream {csid} with {left} bytes of the last missing"
    )]
    Interrupted {
        /// Bytes read up to the end of this header.
        at: u64,
        /// Chunk stream.
        csid: u32,
        /// Header format, 0 to 2.
        fmt: u8,
        /// Bytes the unfinished message lacks.
        left: usize,
    },
    /// More chunk streams than allowed.
    #[error("chunk at byte {at}: chunk stream {csid} is one more than the {csid_count_max} allowed")]
    TooManyStreams {
        /// Bytes read up to the end of this header.
        at: u64,
        /// Chunk stream.
        csid: u32,
        /// The limit.
        csid_count_max: usize,
    },
    /// A longer message than allowed; the usual face of a stream that is out of step.
    #[error("chunk at byte {at}: message of {len} bytes on chunk stream {csid}, {message_len_max} are allowed")]
    MessageTooLong {
        /// Bytes read up to the end of this header.
        at: u64,
        /// Chunk stream.
        csid: u32,
        /// Bytes announced.
        len: usize,
        /// The limit.
        message_len_max: usize,
    },
    /// Set Chunk Size with a size out of 1 to 0x7FFFFFFF, or without one.
    #[error("byte {at}: Set Chunk Size with an illegal payload {payload:02x?}")]
    ChunkSize {
        /// Bytes read up to the end of the message.
        at: u64,
        /// The first bytes of the payload.
        payload: Vec<u8>,
    },
}

/// What is known of a chunk stream.
#[derive(Debug)]
struct Stream {
    csid: u32,
    timestamp_ms: u32,
    /// What a fmt 3 that starts a message adds: the last delta, or the last absolute time as section 5.3.1.2.4 has it.
    delta_ms: u32,
    /// Whether fmt 3 chunks carry an extended timestamp.
    is_extended: bool,
    len: usize,
    kind: Kind,
    stream_id: u32,
    /// What is here of the message under way.
    payload: BytesMut,
    /// Whether a message is under way; a payload of no bytes yet does not tell.
    is_open: bool,
}

/// A header, as far as it is here.
#[derive(Debug, Default)]
struct Head {
    bytes: [u8; HEADER_LEN_MAX],
    len: usize,
}

/// Data of a chunk of `streams[index]`, `left` bytes of which are missing.
#[derive(Debug, Clone, Copy)]
struct Data {
    index: usize,
    left: usize,
}

/// Puts messages together from chunks. Set Chunk Size and Abort are obeyed here and not handed out.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    chunk_size: usize,
    streams: Vec<Stream>,
    head: Head,
    /// What the next byte belongs to: `None` is a header.
    data: Option<Data>,
    /// Bytes used so far, for errors.
    at: u64,
}

impl Reader {
    /// A reader at the protocol's initial chunk size.
    pub fn new(limits: Limits) -> Self {
        let chunk_size = CHUNK_SIZE_INITIAL;
        Self { limits, chunk_size, streams: Vec::new(), head: Head::default(), data: None, at: 0 }
    }

    /// Uses bytes from the front of `input` up to the end of the next message.
    ///
    /// `None` means that all input is used and more is needed. After an error the reader is out of step with its peer
    /// for good; it may be asked again without harm, but what it says means nothing.
    pub fn read(&mut self, input: &mut &[u8]) -> Result<Option<Message>, Error> {
        loop {
            let step = match self.data {
                None => self.read_header(input)?,
                Some(data) => self.read_data(data, input),
            };
            match step {
                Step::NeedMore => return Ok(None),
                Step::Continue => {}
                Step::Message(message) => {
                    if let Some(message) = self.obey(message)? {
                        return Ok(Some(message));
                    }
                }
            }
        }
    }

    /// Bytes of unfinished messages held now.
    pub fn pending_len(&self) -> usize {
        self.streams.iter().map(|stream| stream.payload.len()).sum()
    }

    fn read_header(&mut self, input: &mut &[u8]) -> Result<Step, Error> {
        let Head { bytes, len } = &mut self.head;
        while *len < header_len(&bytes[..*len], &self.streams) {
            let Some((&byte, rest)) = input.split_first() else { return Ok(Step::NeedMore) };
            bytes[*len] = byte;
            *len += 1;
            self.at += 1;
            *input = rest;
        }
        let header = Header::parse(&bytes[..*len]);
        *len = 0;
        let index = self.apply(&header)?;
        let stream = &mut self.streams[index];
        let left = self.chunk_size.min(stream.missing());
        if left == 0 {
            return Ok(Step::Message(stream.finish()));
        }
        self.data = Some(Data { index, left });
        Ok(Step::Continue)
    }

    fn read_data(&mut self, Data { index, left }: Data, input: &mut &[u8]) -> Step {
        let stream = &mut self.streams[index];
        let (data, rest) = input.split_at(left.min(input.len()));
        stream.payload.put_slice(data);
        self.at += data.len() as u64;
        *input = rest;
        let left = left - data.len();
        self.data = (left > 0).then_some(Data { index, left });
        match stream.missing() {
            _ if left > 0 => Step::NeedMore,
            0 => Step::Message(stream.finish()),
            _ => Step::Continue,
        }
    }

    /// Brings the chunk stream of `header` up to date and returns its place.
    fn apply(&mut self, header: &Header) -> Result<usize, Error> {
        let (at, csid, fmt) = (self.at, header.csid, header.fmt);
        let index = match self.streams.iter().position(|stream| stream.csid == csid) {
            Some(index) => index,
            None if fmt != 0 => return Err(Error::NoEarlierHeader { at, csid, fmt }),
            None => self.open(csid)?,
        };
        let Limits { message_len_max, .. } = self.limits;
        let stream = &mut self.streams[index];
        if stream.is_open && fmt != 3 {
            return Err(Error::Interrupted { at, csid, fmt, left: stream.missing() });
        }
        if !stream.is_open {
            stream.start(header);
        }
        if stream.len > message_len_max {
            return Err(Error::MessageTooLong { at, csid, len: stream.len, message_len_max });
        }
        Ok(index)
    }

    fn open(&mut self, csid: u32) -> Result<usize, Error> {
        let Limits { csid_count_max, .. } = self.limits;
        if self.streams.len() >= csid_count_max {
            return Err(Error::TooManyStreams { at: self.at, csid, csid_count_max });
        }
        self.streams.push(Stream {
            csid,
            timestamp_ms: 0,
            delta_ms: 0,
            is_extended: false,
            len: 0,
            kind: Kind::Other(0),
            stream_id: 0,
            payload: BytesMut::new(),
            is_open: false,
        });
        Ok(self.streams.len() - 1)
    }

    /// Obeys the two messages that are about chunks; the others are returned.
    fn obey(&mut self, message: Message) -> Result<Option<Message>, Error> {
        match (message.kind, message.leading_u32()) {
            (Kind::SetChunkSize, Some(size @ 1..=0x7FFF_FFFF)) => self.chunk_size = (size as usize).min(CHUNK_SIZE_MAX),
            (Kind::SetChunkSize, _) => {
                let payload = message.payload.iter().take(8).copied().collect();
                return Err(Error::ChunkSize { at: self.at, payload });
            }
            (Kind::Abort, Some(csid)) => self.streams.iter_mut().filter(|s| s.csid == csid).for_each(Stream::abort),
            (Kind::Abort, None) => {}
            _ => return Ok(Some(message)),
        }
        Ok(None)
    }
}

/// What a piece of input led to.
enum Step {
    NeedMore,
    /// A header or the data of a chunk is done, the message is not.
    Continue,
    Message(Message),
}

impl Stream {
    /// Bytes that the message under way lacks.
    fn missing(&self) -> usize {
        self.len - self.payload.len()
    }

    /// Starts a message; what the header leaves out stays as it was.
    fn start(&mut self, header: &Header) {
        match header.time {
            Some(Time::Absolute(time_ms)) => (self.timestamp_ms, self.delta_ms) = (time_ms, time_ms),
            Some(Time::Delta(delta_ms)) => {
                self.delta_ms = delta_ms;
                self.timestamp_ms = self.timestamp_ms.wrapping_add(delta_ms);
            }
            None => self.timestamp_ms = self.timestamp_ms.wrapping_add(self.delta_ms),
        }
        if header.time.is_some() {
            self.is_extended = header.is_extended;
        }
        if let Some((len, kind)) = header.len_and_kind {
            (self.len, self.kind) = (len, kind);
        }
        self.stream_id = header.stream_id.unwrap_or(self.stream_id);
        self.is_open = true;
    }

    fn finish(&mut self) -> Message {
        self.is_open = false;
        // Taken, not split: the memory goes with the message instead of staying with an idle chunk stream.
        let payload = std::mem::take(&mut self.payload).freeze();
        let &mut Self { csid, timestamp_ms, kind, stream_id, .. } = self;
        Message { csid, timestamp_ms, kind, stream_id, payload }
    }

    fn abort(&mut self) {
        self.is_open = false;
        self.payload = BytesMut::new();
    }
}

/// Length of the message header for each fmt.
const MESSAGE_HEADER_LEN: [usize; 4] = [11, 7, 3, 0];

/// How many bytes the header that starts with `head` has, as far as `head` tells; equal to its length when complete.
fn header_len(head: &[u8], streams: &[Stream]) -> usize {
    let Some(&first) = head.first() else { return 1 };
    let basic_len = basic_header_len(first);
    let len = basic_len + MESSAGE_HEADER_LEN[usize::from(first >> 6)];
    if head.len() < len {
        return len;
    }
    let is_extended = if first >> 6 < 3 {
        head[basic_len..].starts_with(&[0xFF; 3])
    } else {
        let csid = parse_csid(head);
        streams.iter().any(|stream| stream.csid == csid && stream.is_extended)
    };
    len + if is_extended { 4 } else { 0 }
}

fn basic_header_len(first: u8) -> usize {
    match first & 0x3F {
        0 => 2,
        1 => 3,
        _ => 1,
    }
}

/// The chunk stream id of a complete basic header.
fn parse_csid(head: &[u8]) -> u32 {
    match *head {
        [first, low, ..] if first & 0x3F == 0 => 64 + u32::from(low),
        [first, low, high, ..] if first & 0x3F == 1 => 64 + u32::from(u16::from_le_bytes([low, high])),
        [first, ..] => u32::from(first & 0x3F),
        [] => CSID_CONTROL,
    }
}

#[derive(Debug)]
enum Time {
    Absolute(u32),
    Delta(u32),
}

/// A header as it stands on the wire.
#[derive(Debug)]
struct Header {
    fmt: u8,
    csid: u32,
    time: Option<Time>,
    is_extended: bool,
    len_and_kind: Option<(usize, Kind)>,
    stream_id: Option<u32>,
}

impl Header {
    /// Parses what [`header_len`] called complete.
    fn parse(head: &[u8]) -> Self {
        let first = head.first().copied().unwrap_or_default();
        let (fmt, csid) = (first >> 6, parse_csid(head));
        let mut rest = &head[basic_header_len(first)..];
        let mut field = |len: usize| (rest.remaining() >= len).then(|| rest.get_uint(len) as u32);
        // For fmt 3 the field is missing and the extended timestamp, which only repeats a known one, is skipped.
        let time_field = if fmt < 3 { field(3) } else { None };
        let len_and_kind = if fmt < 2 { field(3).zip(field(1)) } else { None };
        let stream_id = if fmt < 1 { field(4) } else { None };
        let time_ms = time_field.map(|time_ms| if time_ms == EXTENDED { field(4).unwrap_or(time_ms) } else { time_ms });
        Self {
            fmt,
            csid,
            time: time_ms.map(if fmt == 0 { Time::Absolute } else { Time::Delta }),
            is_extended: time_field == Some(EXTENDED),
            len_and_kind: len_and_kind.map(|(len, kind)| (len as usize, Kind::from(kind as u8))),
            stream_id: stream_id.map(u32::swap_bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Vec<Message>, Error> {
        let mut reader = Reader::new(Limits::default());
        read_on(&mut reader, bytes)
    }

    fn read_on(reader: &mut Reader, mut bytes: &[u8]) -> Result<Vec<Message>, Error> {
        let mut messages = Vec::new();
        while let Some(message) = reader.read(&mut bytes)? {
            messages.push(message);
        }
        Ok(messages)
    }

    fn times(bytes: &[u8]) -> Vec<u32> {
        read(bytes).unwrap().iter().map(|message| message.timestamp_ms).collect()
    }

    /// One message in each header format, all on chunk stream 5.
    #[test]
    fn four_formats_by_hand() {
        let bytes = [
            &[0x05, 0, 0, 10, 0, 0, 1, 8, 1, 0, 0, 0, 0xA0][..],
            &[0x45, 0, 0, 20, 0, 0, 2, 9, 0xA1, 0xA2],
            &[0x85, 0, 0, 5, 0xA3, 0xA4],
            &[0xC5, 0xA5, 0xA6],
        ];
        let messages = read(&bytes.concat()).unwrap();
        let seen: Vec<_> = messages.iter().map(|m| (m.timestamp_ms, u8::from(m.kind), &m.payload[..])).collect();
        let expected: [(u32, u8, &[u8]); 4] =
            [(10, 8, &[0xA0]), (30, 9, &[0xA1, 0xA2]), (35, 9, &[0xA3, 0xA4]), (40, 9, &[0xA5, 0xA6])];
        assert_eq!(seen, expected);
        assert!(messages.iter().all(|message| (message.csid, message.stream_id) == (5, 1)));
    }

    /// Section 5.3.1.2.4: a fmt 3 after a fmt 0 adds the absolute time of the latter.
    #[test]
    fn fmt_3_after_fmt_0() {
        let bytes = [&[0x05, 0, 0, 10, 0, 0, 0, 8, 1, 0, 0, 0][..], &[0xC5]];
        assert_eq!(times(&bytes.concat()), [10, 20]);
    }

    #[test]
    fn extended_timestamps_in_each_format() {
        let fmt_0 = [0x05, 0xFF, 0xFF, 0xFF, 0, 0, 0, 8, 1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xF0];
        let fmt_1 = [0x45, 0xFF, 0xFF, 0xFF, 0, 0, 0, 8, 0, 0, 0, 0x08];
        let fmt_2 = [0x85, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0x04];
        let fmt_3 = [0xC5, 0, 0, 0, 0x04];
        let bytes = [&fmt_0[..], &fmt_1, &fmt_2, &fmt_3, &[0x85, 0, 0, 0x02], &[0xC5]].concat();
        assert_eq!(times(&bytes), [0xFFFF_FFF0, 0xFFFF_FFF8, 0xFFFF_FFFC, 0, 2, 4]);
    }

    #[test]
    fn messages_of_two_streams_interleave() {
        let long = |csid: u8| [&[csid, 0, 0, 0, 0, 0, 129, 9, 1, 0, 0, 0][..], &[csid; 128]].concat();
        let bytes = [long(5), long(6), vec![0xC5, 5], vec![0xC6, 6]].concat();
        let messages = read(&bytes).unwrap();
        assert_eq!(messages.len(), 2);
        assert!(messages.iter().all(|message| message.payload == vec![message.csid as u8; 129]));
    }

    #[test]
    fn abort_drops_the_unfinished() {
        let begun = [&[0x05, 0, 0, 0, 0, 0, 129, 9, 1, 0, 0, 0][..], &[7; 128]].concat();
        let abort = [2, 0, 0, 0, 0, 0, 4, 2, 0, 0, 0, 0, 0, 0, 0, 5];
        let whole = [0x05, 0, 0, 0, 0, 0, 1, 8, 1, 0, 0, 0, 0xAA];
        let mut reader = Reader::new(Limits::default());
        assert_eq!(read_on(&mut reader, &begun), Ok(vec![]));
        assert_eq!(reader.pending_len(), 128);
        assert_eq!(read_on(&mut reader, &abort), Ok(vec![]));
        assert_eq!(reader.pending_len(), 0);
        assert_eq!(read_on(&mut reader, &whole).unwrap()[0].payload[..], [0xAA]);
    }

    #[test]
    fn chunk_size_is_obeyed_and_checked() {
        let set = |size: u32| [&[2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0][..], &size.to_be_bytes()].concat();
        let bytes = [set(2), vec![0x05, 0, 0, 0, 0, 0, 3, 9, 1, 0, 0, 0, 1, 2, 0xC5, 3]].concat();
        assert_eq!(read(&bytes).unwrap()[0].payload[..], [1, 2, 3]);
        assert_eq!(read(&set(0x7FFF_FFFF)), Ok(vec![]));
        assert_eq!(read(&set(0)), Err(Error::ChunkSize { at: 16, payload: vec![0; 4] }));
        assert_eq!(read(&set(0x8000_0000)), Err(Error::ChunkSize { at: 16, payload: vec![0x80, 0, 0, 0] }));
        let empty = [2, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
        assert_eq!(read(&empty), Err(Error::ChunkSize { at: 12, payload: vec![] }));
    }

    #[test]
    fn errors_name_the_byte() {
        for fmt in 1..=3u8 {
            let mut bytes = vec![fmt << 6 | 5];
            bytes.extend([0; 7]);
            let at = [0, 8, 4, 1][usize::from(fmt)];
            assert_eq!(read(&bytes), Err(Error::NoEarlierHeader { at, csid: 5, fmt }));
        }
        let begun = [&[0x05, 0, 0, 0, 0, 0, 129, 9, 1, 0, 0, 0][..], &[7; 128], &[0x85, 0, 0, 0]].concat();
        assert_eq!(read(&begun), Err(Error::Interrupted { at: 144, csid: 5, fmt: 2, left: 1 }));
        let too_long = [0x05, 0, 0, 0, 0xFF, 0xFF, 0xFF, 9, 1, 0, 0, 0];
        let error = Error::MessageTooLong { at: 12, csid: 5, len: 0xFF_FFFF, message_len_max: 256 * 1024 };
        assert_eq!(read(&too_long), Err(error));
        let many: Vec<u8> = (2..19u8).flat_map(|csid| [csid, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0, 0]).collect();
        assert_eq!(read(&many), Err(Error::TooManyStreams { at: 17 * 12, csid: 18, csid_count_max: 16 }));
    }
}
