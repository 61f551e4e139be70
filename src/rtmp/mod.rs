//! RTMP as a publisher speaks it: bytes in, bytes and events out, no socket and no clock.
//!
//! ```text
//! url        where to publish, and the key that must not be seen
//! auth       what to say to a server that wants a password
//! publisher  the dialogue: handshake, connect, createStream, publish, media, close
//! message    what a message is about: type ids, control payloads, commands
//! four_cc    codecs by four letters
//! amf0       values inside commands and metadata
//! chunk      messages cut into chunks and put together again
//! handshake  the 1536-byte greeting before the first chunk
//! ```
//!
//! Spec: Adobe, *RTMP Specification 1.0* (2012). Where it and the deployed servers differ, OBS Studio's behaviour is
//! followed, since that is what every ingest is tested with; what it has not, reconnect requests and codecs by FourCC, is
//! *Enhanced RTMP v2* (Veovera, 2026). Left out: playing, the digest handshake and RTMPE, AMF 3, aggregate messages, and of
//! Enhanced RTMP several tracks, sound in other codecs and finer timestamps.

pub mod auth;
pub mod publisher;
pub mod url;

pub mod four_cc;
pub mod message;

pub mod amf0;
pub mod chunk;
pub mod handshake;

pub use four_cc::FourCc;
pub use publisher::{Config, Error, Event, Phase, Publisher, ReconnectRequest, Refusal, RefusalClass};
pub use url::{Endpoint, Scheme};
