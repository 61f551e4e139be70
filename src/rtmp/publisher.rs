//! The client that publishes: one connection, one stream, from the greeting to the good-bye.
//!
//! ```text
//! phase             client                                        server
//! Handshaking       C0 C1, C2 ─────────────────────────────►     S0 S1 S2
//! Connecting        Set Chunk Size, connect(1) ────────────►
//!                             ◄──────────────── Window Ack Size, Set Peer Bandwidth, Set Chunk Size, _result(1)
//! CreatingStream    releaseStream(2) FCPublish(3) createStream(4) ►
//!                             ◄──────────────── _result or _error (2, 3: not awaited), onFCPublish, _result(4) id
//! AwaitingPublish   publish(5) ────────────────────────────►
//!                             ◄──────────────── onStatus NetStream.Publish.Start
//! Publishing        @setDataFrame, sequence headers, audio, video ...
//!                             ◄──────────────── pings, acknowledgements, and perhaps an onStatus that ends it
//! Closed            FCUnpublish(6) deleteStream(7) ────────►
//! ```
//!
//! Bytes from the socket go into [`Publisher::handle_input`]; then bytes for the socket come out of
//! [`Publisher::poll_output`] and news out of [`Publisher::poll_event`], each until it returns `None`. There is no
//! clock: the driver gives each [`Phase`] a deadline. There is no back pressure either: the driver looks at
//! [`Publisher::output_len`] before it sends more. What the server may make this machine hold is limited.
//!
//! The order of messages, chunk streams and properties is that of OBS Studio, so that a server sees what it was tested
//! with, plus `capsEx`, which says that we follow reconnect requests; servers that do not know it pass over it. Only a codec
//! that has no number of old is announced by its FourCC, and it is not sent to a server that names those it takes without it.
//!
//! Specs: RTMP 1.0 sections 5.4, 7.2.1 and 7.2.2.6; *Enhanced RTMP v2*, `connect` and *Reconnect Request*. Left out:
//! authentication and reconnecting take several connections, so they are the driver's ([`auth`](super::auth)).

use std::{collections::VecDeque, fmt};

use bytes::Bytes;

use super::{
    FourCc,
    amf0::{self, Value},
    chunk::{self, Limits, PayloadTooLong, Reader, Writer},
    handshake::{self, Handshake, Progress, RANDOM_LEN},
    message::{self, CSID_MEDIA, Command, Kind, Message},
    url::{Endpoint, without_query},
};
use crate::base::secret::Secret;

/// Chunk size we announce, in bytes; OBS's, accepted everywhere.
pub const CHUNK_SIZE_DEFAULT: usize = 4096;
/// `flashVer` that ingests know as an encoder; OBS's.
pub const FLASH_VER_DEFAULT: &str = "FMLE/3.0 (compatible; FMSc/1.0)";
/// What `capsEx` says: we follow reconnect requests.
const CAPS_EX_RECONNECT: f64 = 1.0;
/// In `videoFourCcInfoMap`: can decode, encode, forward.
const FOUR_CC_CAN_DECODE: u32 = 1;
const FOUR_CC_CAN_ENCODE: u32 = 2;
const FOUR_CC_CAN_FORWARD: u32 = 4;
/// Bytes a server lets us receive before it wants to hear of it, until it says otherwise; librtmp's.
const ACK_WINDOW_INITIAL: u32 = 2_500_000;
/// Lowest window that is obeyed: a smaller one would have us answer nearly every message.
const ACK_WINDOW_MIN: u32 = 10_000;
/// Answers (pongs, acknowledgements, `_checkbw`) that may wait for the driver; a server that causes more floods us.
const ANSWERS_MAX: usize = 256;
/// Longest text of a refusal that is kept, in bytes.
const REFUSAL_TEXT_LEN_MAX: usize = 512;

/// Transaction numbers: constants, since each command is sent once.
mod transaction {
    pub(super) const CONNECT: f64 = 1.0;
    pub(super) const RELEASE_STREAM: f64 = 2.0;
    pub(super) const FC_PUBLISH: f64 = 3.0;
    pub(super) const CREATE_STREAM: f64 = 4.0;
    pub(super) const PUBLISH: f64 = 5.0;
    pub(super) const FC_UNPUBLISH: f64 = 6.0;
    pub(super) const DELETE_STREAM: f64 = 7.0;
    /// The server gets no answer it could match, so this one may repeat.
    pub(super) const CHECK_BW: f64 = 8.0;
}

/// What a [`Publisher`] says about itself.
#[derive(Clone)]
pub struct Config {
    /// `app` of `connect`.
    pub app: String,
    /// `tcUrl` of `connect`.
    pub tc_url: String,
    /// `swfUrl` of `connect`; OBS repeats the `tcUrl`.
    pub swf_url: String,
    /// `flashVer` of `connect`.
    pub flash_ver: String,
    /// Stream name of `publish`.
    pub stream_key: Secret,
    /// The codec of the pictures where it goes by FourCC.
    pub four_cc: Option<FourCc>,
    /// Size of our chunks, 128 to 16,777,215 bytes.
    pub chunk_size: usize,
}

impl Config {
    /// What OBS says about itself when it publishes to `endpoint`.
    pub fn new(endpoint: &Endpoint) -> Self {
        Self {
            app: endpoint.app.clone(),
            tc_url: endpoint.tc_url.clone(),
            swf_url: endpoint.tc_url.clone(),
            flash_ver: FLASH_VER_DEFAULT.to_owned(),
            stream_key: endpoint.stream_key.clone(),
            four_cc: None,
            chunk_size: CHUNK_SIZE_DEFAULT,
        }
    }
}

impl Config {
    /// The same, with pictures in a codec that goes by FourCC.
    pub fn with_four_cc(self, four_cc: Option<FourCc>) -> Self {
        Self { four_cc, ..self }
    }

    /// Appends a query to app and `tcUrl`, as authentication has it.
    pub fn with_query(mut self, query: &str) -> Self {
        for text in [&mut self.app, &mut self.tc_url, &mut self.swf_url] {
            text.push(if text.contains('?') { '&' } else { '?' });
            text.push_str(query);
        }
        self
    }
}

impl fmt::Debug for Config {
    /// Queries are left out: they may be tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("app", &without_query(&self.app))
            .field("tc_url", &without_query(&self.tc_url))
            .field("flash_ver", &self.flash_ver)
            .field("chunk_size", &self.chunk_size)
            .finish_non_exhaustive()
    }
}

/// How far the dialogue has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The greeting is under way.
    Handshaking,
    /// `connect` is sent, its result awaited.
    Connecting,
    /// `createStream` is sent, its result awaited.
    CreatingStream,
    /// `publish` is sent, its status awaited.
    AwaitingPublish,
    /// On air: media may be sent.
    Publishing,
    /// Over: closed by us or the server, refused, or failed on an error.
    Closed,
}

impl Phase {
    /// Name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Handshaking => "handshaking",
            Self::Connecting => "connecting",
            Self::CreatingStream => "creating_stream",
            Self::AwaitingPublish => "awaiting_publish",
            Self::Publishing => "publishing",
            Self::Closed => "closed",
        }
    }
}

/// What happened. Each event comes at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The server speaks RTMP.
    HandshakeDone,
    /// The server knows the app.
    Connected,
    /// The server does not say whether it takes our codec; it is sent.
    CodecUnanswered(FourCc),
    /// The server takes media from now on.
    Publishing,
    /// The server asks us to connect anew, and takes media until we do. What follows a first request is not told.
    ReconnectRequested(ReconnectRequest),
    /// The server does not want us, or no more; the machine is closed.
    Refused(Refusal),
    /// The server said good-bye with a `close` command; the machine is closed.
    Closed,
}

/// Where a server wants us to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReconnectRequest {
    /// A `tcUrl`, whole or relative to ours; none: to the same. Unchecked, and perhaps with a token in it:
    /// [`Endpoint::moved_to`].
    pub tc_url: Option<Secret>,
    /// The server's explanation, for people.
    pub description: String,
}

/// Why a server does not want us. Stream keys in the server's words are masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The server's code, e.g. `NetStream.Publish.BadName`; empty if it gave none.
    pub code: String,
    /// The server's explanation, for people.
    pub description: String,
    /// What it means for the next try.
    pub class: RefusalClass,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, description, class } = self;
        write!(f, "refused ({}): {code} {description}", class.as_str())
    }
}

/// What a refusal means for the next try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// `BadName`: somebody publishes under this key; after a lost connection that is our own ghost, gone in a while.
    StaleSession,
    /// The key or the publisher is not welcome; trying again changes nothing until someone acts.
    Denied,
    /// The server has no such app.
    InvalidApp,
    /// The server wants a user name and password.
    AuthRequired,
    /// It is we who refuse: the server names the codecs it takes, without ours.
    Codec,
    /// Anything else.
    Other,
}

impl RefusalClass {
    /// Name for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StaleSession => "stale_session",
            Self::Denied => "denied",
            Self::InvalidApp => "invalid_app",
            Self::AuthRequired => "auth_required",
            Self::Codec => "codec",
            Self::Other => "other",
        }
    }

    fn of(code: &str, description: &str) -> Self {
        // Servers that want a password say so in the description (`[ authmod=adobe ]`, `code=403 need auth`).
        let is_about_auth = ["authmod=", "need auth", "needauth"].iter().any(|hint| description.contains(hint));
        match code {
            _ if is_about_auth => Self::AuthRequired,
            "NetStream.Publish.BadName" => Self::StaleSession,
            "NetStream.Publish.Denied" | "NetStream.Publish.Rejected" | "NetConnection.Connect.Rejected" => {
                Self::Denied
            }
            "NetConnection.Connect.InvalidApp" => Self::InvalidApp,
            _ => Self::Other,
        }
    }
}

/// Status code of a reconnect request.
const RECONNECT_REQUEST: &str = "NetConnection.Connect.ReconnectRequest";
/// Our own code, for a server that names the codecs it takes, without ours.
const CODEC_NOT_TAKEN: &str = "CodecNotTaken";

/// Status codes that end a session in any phase, as OBS has them.
const FATAL_CODES: [&str; 5] = [
    "NetStream.Failed",
    "NetStream.Publish.Rejected",
    "NetStream.Publish.Denied",
    "NetStream.Publish.BadName",
    "NetConnection.Connect.InvalidApp",
];

/// Why the machine cannot go on, or does not do what it is asked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server does not speak RTMP.
    #[error(transparent)]
    Handshake(#[from] handshake::Error),
    /// The server's bytes are not chunks.
    #[error(transparent)]
    Chunk(#[from] chunk::Error),
    /// A command that matters cannot be read.
    #[error("server's {name} command cannot be read: {source}")]
    Command {
        /// The command, or `unnamed`.
        name: String,
        /// What is wrong with it.
        source: amf0::Error,
    },
    /// The server's answer to `createStream` has no usable number.
    #[error("server answered createStream without a stream id")]
    NoStreamId,
    /// The server causes answers faster than the driver takes them.
    #[error("server caused more than {ANSWERS_MAX} answers that are not sent yet")]
    Flood,
    /// The caller sends media outside of [`Phase::Publishing`]; the machine goes on.
    #[error("media cannot be sent while {}", phase.as_str())]
    NotPublishing {
        /// The phase it is in.
        phase: Phase,
    },
    /// The caller sends a message that RTMP cannot carry; the machine goes on.
    #[error(transparent)]
    PayloadTooLong(#[from] PayloadTooLong),
}

/// Where the dialogue stands, with what only that part of it needs.
#[derive(Debug)]
enum State {
    Handshaking(Handshake),
    Connecting,
    CreatingStream,
    AwaitingPublish { stream_id: u32 },
    Publishing { stream_id: u32 },
    Closed,
}

/// When to tell the server how much we received (section 5.4.3).
#[derive(Debug)]
struct Acknowledger {
    window: u32,
    /// Bytes received since the start, the greeting included; wraps, as the field on the wire does.
    received: u32,
    acknowledged: u32,
}

impl Acknowledger {
    /// The count to send, if it is time: after a tenth of the window, as librtmp does, so that no server waits for us.
    fn poll(&mut self) -> Option<u32> {
        let is_due = self.received.wrapping_sub(self.acknowledged) > self.window / 10;
        is_due.then(|| {
            self.acknowledged = self.received;
            self.received
        })
    }
}

/// The publishing client.
pub struct Publisher {
    config: Config,
    state: State,
    reader: Reader,
    writer: Writer,
    acknowledger: Acknowledger,
    output: VecDeque<Bytes>,
    output_len: usize,
    /// Answers queued since the driver last took all output.
    answers: usize,
    is_reconnect_requested: bool,
    /// At most one of each [`Event`].
    events: VecDeque<Event>,
}

impl Publisher {
    /// Starts a session; the first output is ready.
    ///
    /// `c1_random` should be random, and differ from one connection to the next.
    pub fn new(config: Config, c1_random: [u8; RANDOM_LEN]) -> Self {
        let (handshake, greeting) = Handshake::new(&c1_random);
        let acknowledger = Acknowledger { window: ACK_WINDOW_INITIAL, received: 0, acknowledged: 0 };
        let mut publisher = Self {
            config,
            state: State::Handshaking(handshake),
            reader: Reader::new(Limits::default()),
            writer: Writer::new(),
            acknowledger,
            output: VecDeque::new(),
            output_len: 0,
            answers: 0,
            is_reconnect_requested: false,
            events: VecDeque::new(),
        };
        publisher.push_output(greeting);
        publisher
    }

    /// How far the dialogue has come.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Handshaking(_) => Phase::Handshaking,
            State::Connecting => Phase::Connecting,
            State::CreatingStream => Phase::CreatingStream,
            State::AwaitingPublish { .. } => Phase::AwaitingPublish,
            State::Publishing { .. } => Phase::Publishing,
            State::Closed => Phase::Closed,
        }
    }

    /// Takes bytes from the server, in pieces of any size.
    ///
    /// After an error the machine is closed: output already queued may still be sent, further input is ignored.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<(), Error> {
        let result = self.consume(input);
        if result.is_err() {
            self.state = State::Closed;
        }
        result
    }

    /// The next piece for the socket. Pieces are small headers and slices of payloads: gather them for one write.
    pub fn poll_output(&mut self) -> Option<Bytes> {
        let piece = self.output.pop_front();
        self.output_len -= piece.as_ref().map_or(0, Bytes::len);
        if self.output.is_empty() {
            self.answers = 0;
        }
        piece
    }

    /// Bytes waiting for [`Self::poll_output`].
    pub fn output_len(&self) -> usize {
        self.output_len
    }

    /// The next piece of news.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Queues script data, `@setDataFrame` included: [`on_metadata_body`](crate::flv::on_metadata_body).
    pub fn send_metadata(&mut self, body: Bytes) -> Result<(), Error> {
        self.send_media(Kind::Data, 0, &[], body)
    }

    /// Queues the body of an FLV video tag: `head`, at most [`HEAD_LEN_MAX`](chunk::HEAD_LEN_MAX) bytes, and `media`.
    /// `timestamp_ms` is its decoding time since the start of the stream.
    pub fn send_video(&mut self, timestamp_ms: u32, head: &[u8], media: Bytes) -> Result<(), Error> {
        self.send_media(Kind::Video, timestamp_ms, head, media)
    }

    /// Queues the body of an FLV audio tag, as [`Publisher::send_video`].
    pub fn send_audio(&mut self, timestamp_ms: u32, head: &[u8], media: Bytes) -> Result<(), Error> {
        self.send_media(Kind::Audio, timestamp_ms, head, media)
    }

    /// Says good-bye if there is a stream to say it for; the last output to be sent before the socket is closed.
    ///
    /// The driver then shuts down its writing half and reads to the end for a moment: closing a socket with unread
    /// bytes resets the connection, and the server loses the end of the stream with it.
    pub fn close(&mut self) {
        if let State::AwaitingPublish { stream_id } | State::Publishing { stream_id } = self.state {
            let key = Value::from(self.config.stream_key.expose());
            self.command(&["FCUnpublish".into(), transaction::FC_UNPUBLISH.into(), Value::Null, key]);
            let id = Value::from(stream_id);
            self.command(&["deleteStream".into(), transaction::DELETE_STREAM.into(), Value::Null, id]);
        }
        self.state = State::Closed;
    }

    fn consume(&mut self, mut input: &[u8]) -> Result<(), Error> {
        // A piece is far shorter than 4 GiB; more than that would only make the wrapping count inexact.
        self.acknowledger.received = self.acknowledger.received.wrapping_add(input.len() as u32);
        while let State::Handshaking(handshake) = &mut self.state {
            match handshake.handle_input(&mut input)? {
                Progress::NeedMore => return Ok(()),
                Progress::Send(c2) => self.push_output(c2),
                Progress::Done => self.connect(),
            }
        }
        while !matches!(self.state, State::Closed) {
            let Some(message) = self.reader.read(&mut input)? else { break };
            self.handle_message(&message)?;
        }
        self.acknowledge()
    }

    fn acknowledge(&mut self) -> Result<(), Error> {
        if matches!(self.state, State::Closed) {
            return Ok(());
        }
        match self.acknowledger.poll() {
            Some(received) => self.answer(&Message::control_u32(Kind::Acknowledgement, received)),
            None => Ok(()),
        }
    }

    fn connect(&mut self) {
        self.events.push_back(Event::HandshakeDone);
        self.state = State::Connecting;
        let chunk_size = self.config.chunk_size;
        self.queue(|writer, output| writer.set_chunk_size(chunk_size, output));
        let Config { app, tc_url, swf_url, flash_ver, .. } = &self.config;
        let properties = [
            ("app", app.as_str()),
            ("type", "nonprivate"),
            ("flashVer", flash_ver),
            ("swfUrl", swf_url),
            ("tcUrl", tc_url),
        ];
        let mut properties: amf0::Properties = properties.map(|(name, text)| (name.to_owned(), text.into())).to_vec();
        if let Some(four_cc) = self.config.four_cc {
            let name = four_cc.as_str();
            let can = Value::Object(vec![(name.to_owned(), FOUR_CC_CAN_ENCODE.into())]);
            properties.push(("fourCcList".into(), Value::StrictArray(vec![name.into()])));
            properties.push(("videoFourCcInfoMap".into(), can));
        }
        properties.push(("capsEx".into(), CAPS_EX_RECONNECT.into()));
        self.command(&["connect".into(), transaction::CONNECT.into(), Value::Object(properties)]);
    }

    fn create_stream(&mut self) {
        self.events.push_back(Event::Connected);
        self.state = State::CreatingStream;
        let key = Value::from(self.config.stream_key.expose());
        self.command(&["releaseStream".into(), transaction::RELEASE_STREAM.into(), Value::Null, key.clone()]);
        self.command(&["FCPublish".into(), transaction::FC_PUBLISH.into(), Value::Null, key]);
        self.command(&["createStream".into(), transaction::CREATE_STREAM.into(), Value::Null]);
    }

    fn publish(&mut self, stream_id: u32) {
        self.state = State::AwaitingPublish { stream_id };
        let key = Value::from(self.config.stream_key.expose());
        let command =
            Message::command(&["publish".into(), transaction::PUBLISH.into(), Value::Null, key, "live".into()]);
        self.send(&Message { csid: CSID_MEDIA, stream_id, ..command });
    }

    fn handle_message(&mut self, message: &Message) -> Result<(), Error> {
        match message.kind {
            // The spec paces acknowledgements by the one, librtmp by the other; servers send the same number in both.
            Kind::WindowAckSize | Kind::SetPeerBandwidth => {
                let window = message.leading_u32().filter(|&window| window > 0);
                self.acknowledger.window = window.unwrap_or(ACK_WINDOW_INITIAL).max(ACK_WINDOW_MIN);
                Ok(())
            }
            Kind::UserControl => match message::ping_request(&message.payload) {
                Some(ping_ms) => self.answer(&Message::ping_response(ping_ms)),
                None => Ok(()),
            },
            Kind::Command | Kind::CommandAmf3 => self.handle_command(message),
            // Acknowledgements tell nothing the socket does not, and a publisher is sent no media or data it wants.
            _ => Ok(()),
        }
    }

    fn handle_command(&mut self, message: &Message) -> Result<(), Error> {
        let command = Command::decode(message).map_err(|source| Error::Command { name: "unnamed".into(), source })?;
        let Some(Command { name, transaction, arguments }) = command else { return Ok(()) };
        let decode = || arguments.decode_all().map_err(|source| Error::Command { name: name.clone(), source });
        match name.as_str() {
            "_result" => self.handle_result(transaction, &decode()?),
            "_error" => {
                self.handle_error(transaction, &decode()?);
                Ok(())
            }
            "onStatus" => {
                self.handle_status(&decode()?);
                Ok(())
            }
            "onBWDone" => {
                self.answer(&Message::command(&["_checkbw".into(), transaction::CHECK_BW.into(), Value::Null]))
            }
            "close" => {
                self.state = State::Closed;
                self.events.push_back(Event::Closed);
                Ok(())
            }
            // `onFCPublish`, `_onbwcheck` and whatever else a server likes to tell.
            _ => Ok(()),
        }
    }

    fn handle_result(&mut self, transaction: f64, arguments: &[Value]) -> Result<(), Error> {
        match self.state {
            State::Connecting if transaction == transaction::CONNECT => match self.config.four_cc {
                None => self.create_stream(),
                Some(four_cc) => self.create_stream_of(four_cc, arguments),
            },
            State::CreatingStream if transaction == transaction::CREATE_STREAM => {
                let id =
                    arguments.get(1).and_then(Value::as_number).filter(|id| (0.0..=f64::from(u32::MAX)).contains(id));
                self.publish(id.ok_or(Error::NoStreamId)? as u32);
            }
            State::AwaitingPublish { stream_id } if transaction == transaction::PUBLISH => self.publishing(stream_id),
            // Answers to `releaseStream` and `FCPublish`, and ones we did not ask for.
            _ => {}
        }
        Ok(())
    }

    fn handle_error(&mut self, transaction: f64, arguments: &[Value]) {
        let awaited = match self.state {
            State::Connecting => transaction::CONNECT,
            State::CreatingStream => transaction::CREATE_STREAM,
            State::AwaitingPublish { .. } => transaction::PUBLISH,
            State::Handshaking(_) | State::Publishing { .. } | State::Closed => return,
        };
        // `releaseStream` and `FCPublish` fail on servers that do not know them, without harm.
        if transaction == awaited {
            self.refuse(arguments);
        }
    }

    fn handle_status(&mut self, arguments: &[Value]) {
        let text = |name| info(arguments, name).unwrap_or_default();
        let (code, level) = (text("code"), text("level"));
        match self.state {
            State::AwaitingPublish { stream_id } if code == "NetStream.Publish.Start" => self.publishing(stream_id),
            State::Publishing { .. } if code == RECONNECT_REQUEST => self.request_reconnect(arguments),
            // On air only codes known to be fatal end the session: an unknown complaint is no reason to go off air.
            State::Publishing { .. } if !FATAL_CODES.contains(&code) => {}
            _ if FATAL_CODES.contains(&code) || level == "error" => self.refuse(arguments),
            _ => {}
        }
    }

    fn publishing(&mut self, stream_id: u32) {
        self.state = State::Publishing { stream_id };
        self.events.push_back(Event::Publishing);
    }

    fn request_reconnect(&mut self, arguments: &[Value]) {
        // One is followed; a server that asks on and on fills nothing.
        if std::mem::replace(&mut self.is_reconnect_requested, true) {
            return;
        }
        let tc_url = info(arguments, "tcUrl").map(Secret::new);
        let description = self.masked(info(arguments, "description").unwrap_or_default());
        self.events.push_back(Event::ReconnectRequested(ReconnectRequest { tc_url, description }));
    }

    /// Goes on with a codec of Enhanced RTMP, if the server's answer to `connect` does not say that it cannot take it.
    fn create_stream_of(&mut self, four_cc: FourCc, arguments: &[Value]) {
        match takes(arguments, four_cc) {
            Some(false) => return self.refuse_codec(four_cc),
            Some(true) => {}
            None => self.events.push_back(Event::CodecUnanswered(four_cc)),
        }
        self.create_stream();
    }

    fn refuse_codec(&mut self, four_cc: FourCc) {
        let description = format!("{} is not among the codecs that it takes by Enhanced RTMP", four_cc.as_str());
        let refusal = Refusal { code: CODEC_NOT_TAKEN.into(), description, class: RefusalClass::Codec };
        self.state = State::Closed;
        self.events.push_back(Event::Refused(refusal));
    }

    fn refuse(&mut self, arguments: &[Value]) {
        let text = |name| info(arguments, name).unwrap_or_default();
        let (code, description) = (text("code"), text("description"));
        let class = RefusalClass::of(code, description);
        let refusal = Refusal { code: self.masked(code), description: self.masked(description), class };
        self.state = State::Closed;
        self.events.push_back(Event::Refused(refusal));
    }

    /// A server's words without our key, which many repeat, with or without its query.
    fn masked(&self, text: &str) -> String {
        let key = self.config.stream_key.expose();
        let mut masked = text.to_owned();
        for secret in [key, without_query(key)] {
            if !secret.is_empty() {
                masked = masked.replace(secret, "[redacted]");
            }
        }
        masked.truncate(masked.floor_char_boundary(REFUSAL_TEXT_LEN_MAX));
        masked
    }

    fn send_media(&mut self, kind: Kind, timestamp_ms: u32, head: &[u8], payload: Bytes) -> Result<(), Error> {
        let State::Publishing { stream_id } = self.state else {
            return Err(Error::NotPublishing { phase: self.phase() });
        };
        let message = Message { csid: CSID_MEDIA, timestamp_ms, kind, stream_id, payload };
        Ok(self.queue(|writer, output| writer.write_behind(head, &message, output))?)
    }

    /// Sends something the server caused; limited, so that it cannot fill our memory by asking.
    fn answer(&mut self, message: &Message) -> Result<(), Error> {
        self.answers += 1;
        if self.answers > ANSWERS_MAX {
            return Err(Error::Flood);
        }
        self.try_send(message)
    }

    fn command(&mut self, values: &[Value]) {
        self.send(&Message::command(values));
    }

    /// Sends what is ours and short.
    fn send(&mut self, message: &Message) {
        let result = self.try_send(message);
        debug_assert!(result.is_ok(), "{result:?}");
    }

    fn try_send(&mut self, message: &Message) -> Result<(), Error> {
        Ok(self.queue(|writer, output| writer.write(message, output))?)
    }

    /// Lets the writer append to the output, and keeps its length right.
    fn queue<R>(&mut self, write: impl FnOnce(&mut Writer, &mut VecDeque<Bytes>) -> R) -> R {
        let before = self.output.len();
        let result = write(&mut self.writer, &mut self.output);
        self.output_len += self.output.range(before..).map(Bytes::len).sum::<usize>();
        result
    }

    fn push_output(&mut self, piece: Bytes) {
        self.output_len += piece.len();
        self.output.push_back(piece);
    }
}

/// Whether the answer to `connect` says that the server decodes or forwards pictures of that codec; `None` where it says
/// nothing of Enhanced RTMP at all.
///
/// The specification has servers say it only since its second version, and there they *should*: many that take these codecs,
/// node-media-server 4 among them, are silent. So silence is no refusal, and a server that says anything and leaves the codec
/// out means it.
fn takes(arguments: &[Value], four_cc: FourCc) -> Option<bool> {
    let name = four_cc.as_str();
    let find = |property: &str| arguments.iter().find_map(|argument| argument.get(property));
    let is_in_map = find("videoFourCcInfoMap").is_some_and(|map| {
        let flags = map.get(name).or_else(|| map.get("*")).and_then(Value::as_number).unwrap_or_default();
        flags as u32 & (FOUR_CC_CAN_DECODE | FOUR_CC_CAN_FORWARD) != 0
    });
    let is_in_list = match find("fourCcList") {
        Some(Value::StrictArray(names)) => {
            names.iter().filter_map(Value::as_str).any(|known| [name, "*"].contains(&known))
        }
        _ => false,
    };
    let has_spoken = ["videoFourCcInfoMap", "fourCcList", "capsEx"].into_iter().any(|name| find(name).is_some());
    has_spoken.then_some(is_in_map || is_in_list)
}

/// A text of the information object of `_error` and `onStatus`, which follows a null command object.
fn info<'a>(arguments: &'a [Value], name: &str) -> Option<&'a str> {
    arguments.iter().find_map(|argument| argument.get(name)).and_then(Value::as_str)
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher")
            .field("phase", &self.phase())
            .field("config", &self.config)
            .field("output_len", &self.output_len)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
