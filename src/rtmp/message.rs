//! What RTMP messages are about: type ids, the payloads of protocol control, and commands.
//!
//! ```text
//!  1 set chunk size    u32           4 user control     u16 event, data       15/18 data       AMF 3 / AMF 0
//!  2 abort             u32 csid      5 window ack size  u32                   17/20 command    AMF 3 / AMF 0
//!  3 acknowledgement   u32 bytes     6 peer bandwidth   u32, u8 limit type     8/9  audio, video: FLV tag bodies
//! ```
//!
//! Spec: RTMP 1.0 sections 5.4, 6.2, 7.1 and 7.2. Left out: shared objects and aggregates.

use bytes::Bytes;

use super::amf0::{self, Value};

/// Chunk stream of protocol control; fixed by the spec.
pub const CSID_CONTROL: u32 = 2;
/// Chunk stream of commands that concern the connection.
pub const CSID_COMMAND: u32 = 3;
/// Chunk stream of `publish`, metadata, sound and picture: one for all, as OBS has it, so that their order is kept.
pub const CSID_MEDIA: u32 = 4;

/// Message stream of the connection itself.
pub const STREAM_CONNECTION: u32 = 0;

/// Longest payload the 24-bit length field can say, in bytes.
pub const PAYLOAD_LEN_MAX: usize = 0xFF_FFFF;

/// The message type id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 1: the sender's chunks are this long from now on.
    SetChunkSize,
    /// 2: forget the unfinished message of a chunk stream.
    Abort,
    /// 3: bytes received so far.
    Acknowledgement,
    /// 4: events about streams, and ping.
    UserControl,
    /// 5: acknowledge whenever this many bytes have come.
    WindowAckSize,
    /// 6: do not have more than this many bytes unacknowledged.
    SetPeerBandwidth,
    /// 8: the body of an FLV audio tag.
    Audio,
    /// 9: the body of an FLV video tag.
    Video,
    /// 15: script data, AMF 3.
    DataAmf3,
    /// 17: a command, AMF 3; in practice one byte 0 and then AMF 0.
    CommandAmf3,
    /// 18: script data, AMF 0.
    Data,
    /// 20: a command, AMF 0.
    Command,
    /// Anything else.
    Other(u8),
}

impl From<u8> for Kind {
    fn from(id: u8) -> Self {
        match id {
            1 => Self::SetChunkSize,
            2 => Self::Abort,
            3 => Self::Acknowledgement,
            4 => Self::UserControl,
            5 => Self::WindowAckSize,
            6 => Self::SetPeerBandwidth,
            8 => Self::Audio,
            9 => Self::Video,
            15 => Self::DataAmf3,
            17 => Self::CommandAmf3,
            18 => Self::Data,
            20 => Self::Command,
            other => Self::Other(other),
        }
    }
}

impl From<Kind> for u8 {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::SetChunkSize => 1,
            Kind::Abort => 2,
            Kind::Acknowledgement => 3,
            Kind::UserControl => 4,
            Kind::WindowAckSize => 5,
            Kind::SetPeerBandwidth => 6,
            Kind::Audio => 8,
            Kind::Video => 9,
            Kind::DataAmf3 => 15,
            Kind::CommandAmf3 => 17,
            Kind::Data => 18,
            Kind::Command => 20,
            Kind::Other(other) => other,
        }
    }
}

/// One message, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Chunk stream that carries it, 2 to 65,599.
    pub csid: u32,
    /// Milliseconds; wraps after 49.7 days.
    pub timestamp_ms: u32,
    /// What it is.
    pub kind: Kind,
    /// Message stream it belongs to: 0 or what `createStream` gave.
    pub stream_id: u32,
    /// Body, at most [`PAYLOAD_LEN_MAX`] bytes.
    pub payload: Bytes,
}

impl Message {
    /// Protocol control: chunk stream 2, message stream 0, time 0.
    pub fn control(kind: Kind, payload: impl Into<Bytes>) -> Self {
        let payload = payload.into();
        Self { csid: CSID_CONTROL, timestamp_ms: 0, kind, stream_id: STREAM_CONNECTION, payload }
    }

    /// Protocol control whose payload is one number: types 1, 2, 3 and 5.
    pub fn control_u32(kind: Kind, number: u32) -> Self {
        Self::control(kind, Bytes::copy_from_slice(&number.to_be_bytes()))
    }

    /// The answer to a ping: the same four bytes under event 7.
    pub fn ping_response(ping_ms: [u8; 4]) -> Self {
        let [a, b, c, d] = ping_ms;
        Self::control(Kind::UserControl, vec![0, user_control::PING_RESPONSE as u8, a, b, c, d])
    }

    /// A command of the connection: its values in order, name first.
    pub fn command(values: &[Value]) -> Self {
        let payload = amf0::encode_all(values).into();
        Self { csid: CSID_COMMAND, timestamp_ms: 0, kind: Kind::Command, stream_id: STREAM_CONNECTION, payload }
    }

    /// The number at the front of the payload, if four bytes are there.
    pub fn leading_u32(&self) -> Option<u32> {
        self.payload.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }
}

/// Event types of user control messages (section 7.1.7).
pub mod user_control {
    /// The server has a stream ready; no use to a publisher.
    pub const STREAM_BEGIN: u16 = 0;
    /// Asks for [`PING_RESPONSE`]; four bytes of server time follow.
    pub const PING_REQUEST: u16 = 6;
    /// Answers a ping with the same four bytes.
    pub const PING_RESPONSE: u16 = 7;
}

/// The four bytes of a ping request; `None` if the user control message is something else.
pub fn ping_request(payload: &[u8]) -> Option<[u8; 4]> {
    let (event, data) = payload.split_first_chunk::<2>()?;
    (u16::from_be_bytes(*event) == user_control::PING_REQUEST).then(|| data.first_chunk().copied())?
}

/// A command as received: what every command starts with, and the rest still encoded.
///
/// The rest is decoded by whoever wants the command, so that an odd value in one that is ignored does no harm.
#[derive(Debug, Clone)]
pub struct Command<'a> {
    /// What is called, or `_result`, `_error`, `onStatus`.
    pub name: String,
    /// Number by which an answer names its question; 0 where no answer is wanted.
    pub transaction: f64,
    /// The values that follow.
    pub arguments: amf0::Decoder<'a>,
}

impl<'a> Command<'a> {
    /// Reads name and transaction from the payload of a command message; `None` if it does not start with a name.
    pub fn decode(message: &'a Message) -> Result<Option<Self>, amf0::Error> {
        let payload = match message.kind {
            Kind::CommandAmf3 => message.payload.get(1..).unwrap_or_default(),
            _ => &message.payload,
        };
        let mut arguments = amf0::Decoder::new(payload);
        let Some(Value::String(name)) = arguments.decode()? else { return Ok(None) };
        let transaction = arguments.decode()?.and_then(|value| value.as_number()).unwrap_or(0.0);
        Ok(Some(Self { name, transaction, arguments }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_round_trip() {
        for id in 0..=255u8 {
            assert_eq!(u8::from(Kind::from(id)), id);
        }
    }

    #[test]
    fn pings() {
        assert_eq!(ping_request(&[0, 6, 1, 2, 3, 4]), Some([1, 2, 3, 4]));
        assert_eq!(ping_request(&[0, 6, 1, 2, 3]), None);
        assert_eq!(ping_request(&[0, 0, 0, 0, 0, 1]), None);
        assert_eq!(ping_request(&[]), None);
        assert_eq!(&Message::ping_response([1, 2, 3, 4]).payload[..], [0, 7, 1, 2, 3, 4]);
    }

    #[test]
    fn commands_of_both_formats() {
        let plain = Message::command(&["onStatus".into(), 0.0.into(), Value::Null]);
        let amf3 =
            Message { kind: Kind::CommandAmf3, payload: [&[0][..], &plain.payload].concat().into(), ..plain.clone() };
        for message in [plain, amf3] {
            let command = Command::decode(&message).unwrap().unwrap();
            assert_eq!((command.name.as_str(), command.transaction), ("onStatus", 0.0));
            assert_eq!(command.arguments.decode_all().unwrap(), [Value::Null]);
        }
        let nameless = Message::command(&[Value::Null]);
        assert!(Command::decode(&nameless).unwrap().is_none());
    }
}
