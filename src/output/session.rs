//! One connection to one server, from the greeting to the good-bye.
//!
//! ```text
//! Queue ─take─► Timeline ─► Publisher ─► Outbox ─write─► socket
//!                               ▲                          │
//!                               └───────── input ◄──read───┘
//! ```
//!
//! Reading and writing wait together, so a server that asks something while it takes nothing is still heard, and one
//! that talks without end is still sent to. A packet leaves the queue only when the outbox has room: what the network is
//! too slow for waits where it can be dropped.
//!
//! ```text
//! greet ─► (the driver puts it on air) ─► stream ─► leave
//! ```
//!
//! A session that is to make way for another streams up to the next IDR, which is the other's first packet.
//!
//! Spec: RTMP 1.0 section 7.2.2.6, as the [`Publisher`] has it. The order metadata, video header, audio header, media
//! from an IDR on suits every known server. TLS may hold back what it has taken, so a session flushes when it has nothing
//! more to write.

use std::{io, sync::Arc, time::Duration};

use bytes::Buf;
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf},
    select,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Error,
    driver::STEP_TIMEOUT,
    error::Step,
    latency::Underway,
    outbox::Outbox,
    packet::{Headers, Kind},
    queue::Entry,
    shared::Shared,
    stats::State,
    transport::{Connection, Probe},
};
use crate::{
    flv,
    rtmp::{Config, Event, Phase, Publisher, ReconnectRequest, handshake::RANDOM_LEN},
};

/// How long the server may take no bytes, while there are some for it, before that is shown.
pub(super) const STALLED_AFTER: Duration = Duration::from_secs(2);
/// How long before the session is given up.
pub(super) const WATCHDOG: Duration = Duration::from_secs(10);
/// How long the good-bye may take, with all that is still to be sent before it.
pub(super) const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// Bytes read at a time; a server says little.
const INPUT_LEN: usize = 8 << 10;

/// From the stream's time to the session's: the first packet is at 0, the others keep their distance to it.
#[derive(Debug, Default)]
struct Timeline {
    first_ms: Option<u64>,
    newest_ms: u64,
}

impl Timeline {
    fn session_ms(&mut self, dts_ms: u64) -> u64 {
        let first_ms = *self.first_ms.get_or_insert(dts_ms);
        // Sound that starts a little before the first picture is at 0 with it, since a timestamp cannot be negative.
        let session_ms = dts_ms.saturating_sub(first_ms);
        self.newest_ms = self.newest_ms.max(session_ms);
        session_ms
    }
}

/// RTMP timestamps have 32 bits and wrap after 49.7 days (section 5.3.1).
fn wire_ms(session_ms: u64) -> u32 {
    session_ms as u32
}

/// Why a session on air stops sending, other than by an error.
#[derive(Debug)]
pub(super) enum End {
    /// It was asked to.
    Stopped,
    /// The server asks us to connect anew. It takes media until then: the session may go on.
    ReconnectRequested(ReconnectRequest),
    /// An IDR is next, and another session's.
    AtKey,
}

/// A connection and where it stands.
#[derive(Debug)]
pub(super) struct Session<S> {
    shared: Arc<Shared>,
    /// Goes to whoever shows statistics, once it is on air.
    probe: Probe,
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    /// Why writing is over. Reading goes on, since the server may have said more about it before it hung up.
    write_error: Option<io::Error>,
    input: Box<[u8]>,
    publisher: Publisher,
    outbox: Outbox,
    underway: Underway,
    /// Whether the stream may hold back what was written.
    is_flush_due: bool,
    timeline: Timeline,
    /// The headers sent last.
    headers: Option<Arc<Headers>>,
    step: Step,
    step_since: Instant,
    /// When the socket last took bytes, or when there were bytes for it again.
    progress_at: Instant,
    /// Whether it is noted that bytes wait for the socket.
    is_waiting: bool,
    /// Whether it is shown that the socket takes nothing.
    is_stalled: bool,
    is_on_air: bool,
    reconnect_request: Option<ReconnectRequest>,
    /// Whether an IDR ends it.
    is_until_key: bool,
}

impl<S: Connection> Session<S> {
    /// Begins the dialogue over a fresh connection.
    pub(super) fn new(stream: S, config: Config, shared: Arc<Shared>) -> Self {
        let probe = stream.probe();
        let (reader, writer) = tokio::io::split(stream);
        let mut c1_random = [0; RANDOM_LEN];
        rand::fill(&mut c1_random[..]);
        let now = Instant::now();
        Self {
            shared,
            probe,
            reader,
            writer,
            write_error: None,
            input: vec![0; INPUT_LEN].into_boxed_slice(),
            publisher: Publisher::new(config, c1_random),
            outbox: Outbox::default(),
            underway: Underway::default(),
            is_flush_due: false,
            timeline: Timeline::default(),
            headers: None,
            step: Step::Handshake,
            step_since: now,
            progress_at: now,
            is_waiting: false,
            is_stalled: false,
            is_on_air: false,
            reconnect_request: None,
            is_until_key: false,
        }
    }

    /// Talks until the server is ready for media; false if `stop` came first.
    pub(super) async fn greet(&mut self, stop: &CancellationToken) -> Result<bool, Error> {
        while !self.is_on_air {
            self.outbox.fill(&mut self.publisher);
            let deadline = self.step_since + STEP_TIMEOUT;
            select! {
                () = stop.cancelled() => return Ok(false),
                () = sleep_until(deadline) => return Err(self.overdue()),
                result = self.exchange() => result?,
            }
        }
        Ok(true)
    }

    /// What shows how its socket is doing, once.
    pub(super) fn take_probe(&mut self) -> Probe {
        std::mem::take(&mut self.probe)
    }

    /// From now on it sends only what comes before the next IDR.
    pub(super) fn make_way(&mut self) {
        self.is_until_key = true;
    }

    /// Publishes until something is to be decided, or wrong. May be cancelled, and called again, without loss.
    pub(super) async fn stream(&mut self, stop: &CancellationToken) -> Result<End, Error> {
        let shared = Arc::clone(&self.shared);
        loop {
            self.feed()?;
            if let Some(request) = self.reconnect_request.take() {
                return Ok(End::ReconnectRequested(request));
            }
            if self.is_at_key() {
                return Ok(End::AtKey);
            }
            let (deadline, wants_media) = (self.deadline(), self.wants_media());
            select! {
                () = stop.cancelled() => return Ok(End::Stopped),
                () = reached(deadline) => self.handle_standstill()?,
                () = shared.media.notified(), if wants_media => {}
                result = self.exchange() => result?,
            }
        }
    }

    /// Sends what it has still to send, says good-bye and ends, in [`GOODBYE_MAX`] at most.
    pub(super) async fn leave(mut self) {
        // A good-bye that fails is no failure of the output's: it was to end anyway.
        if let Ok(Err(error)) = timeout(GOODBYE_MAX, self.say_goodbye()).await {
            tracing::debug!(output = %self.shared.id, %error, "connection ended before the good-bye");
        }
    }

    /// Whether all that comes before an IDR has been taken.
    fn is_at_key(&self) -> bool {
        self.is_until_key && self.shared.is_key_next()
    }

    /// Whether bytes are on their way to the socket.
    fn is_writing(&self) -> bool {
        self.outbox.has_remaining() || self.is_flush_due
    }

    /// Moves what there is to send towards the socket, as far as there is room.
    fn feed(&mut self) -> Result<(), Error> {
        let was_idle = !self.is_writing();
        if self.headers.is_none() && self.publisher.phase() == Phase::Publishing {
            self.send_headers(&self.shared.headers())?;
        }
        loop {
            self.outbox.fill(&mut self.publisher);
            if !self.wants_media() || self.is_at_key() {
                break;
            }
            let Some(entry) = self.shared.take() else { break };
            self.send(&entry)?;
        }
        if was_idle {
            self.progress_at = Instant::now();
        }
        if self.is_writing() != self.is_waiting && !self.is_until_key {
            self.is_waiting = self.is_writing();
            self.shared.note_waiting(self.is_waiting);
        }
        Ok(())
    }

    fn wants_media(&self) -> bool {
        self.outbox.has_room() && self.publisher.phase() == Phase::Publishing
    }

    fn send(&mut self, entry: &Entry) -> Result<(), Error> {
        let packet = &entry.packet;
        let session_ms = self.timeline.session_ms(packet.dts_ms);
        if !self.headers.as_ref().is_some_and(|sent| Arc::ptr_eq(sent, &entry.headers)) {
            self.send_headers(&entry.headers)?;
        }
        let (head, media) = (packet.body.head(), packet.body.media().clone());
        match packet.kind {
            Kind::Video { .. } => self.publisher.send_video(wire_ms(session_ms), head, media)?,
            Kind::Audio => self.publisher.send_audio(wire_ms(session_ms), head, media)?,
        }
        if packet.kind.is_video() {
            self.underway.begin(self.outbox.remaining() + self.publisher.output_len(), entry.ready_at);
        }
        self.shared.note_sent(packet, session_ms);
        Ok(())
    }

    fn send_headers(&mut self, headers: &Arc<Headers>) -> Result<(), Error> {
        let at_ms = wire_ms(self.timeline.newest_ms);
        self.publisher.send_metadata(headers.metadata.clone())?;
        self.publisher.send_video(at_ms, &[], headers.video.clone())?;
        self.publisher.send_audio(at_ms, &[], headers.audio.clone())?;
        self.headers = Some(Arc::clone(headers));
        Ok(())
    }

    /// Waits until the socket brings or takes bytes, and handles that. May be cancelled without loss.
    async fn exchange(&mut self) -> Result<(), Error> {
        let can_write = self.write_error.is_none() && self.is_writing();
        select! {
            read = self.reader.read(&mut self.input) => self.handle_read(read),
            written = write_or_flush(&mut self.writer, &mut self.outbox), if can_write => {
                self.handle_written(written);
                Ok(())
            }
        }
    }

    fn handle_read(&mut self, read: io::Result<usize>) -> Result<(), Error> {
        let len = match read {
            Ok(0) => return Err(self.write_error.take().map_or(Error::Closed, |source| Error::Lost { source })),
            Ok(len) => len,
            // TLS without its good-bye, as many servers end it.
            Err(source) if source.kind() == io::ErrorKind::UnexpectedEof => return Err(Error::Closed),
            Err(source) => return Err(Error::Lost { source }),
        };
        let result = self.publisher.handle_input(&self.input[..len]);
        // News that came before an error explains more than the error.
        while let Some(event) = self.publisher.poll_event() {
            self.handle_event(event)?;
        }
        Ok(result?)
    }

    fn handle_event(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::HandshakeDone => (self.step, self.step_since) = (Step::Publish, Instant::now()),
            Event::Connected => {}
            Event::CodecUnanswered(four_cc) => {
                let codec = four_cc.as_str();
                tracing::warn!(output = %self.shared.id, codec, "server does not say whether it takes this codec");
            }
            Event::Publishing => self.is_on_air = true,
            Event::ReconnectRequested(request) => self.reconnect_request = Some(request),
            Event::Refused(refusal) => return Err(Error::Refused { refusal, was_on_air: self.is_on_air }),
            Event::Closed => return Err(Error::Closed),
        }
        Ok(())
    }

    fn handle_written(&mut self, written: io::Result<Written>) {
        self.is_flush_due = matches!(written, Ok(Written::Bytes(_)));
        match written {
            Ok(Written::Bytes(len)) => {
                self.progress_at = Instant::now();
                self.shared.note_progress(self.progress_at, len, self.underway.take(len));
                self.handle_progress();
            }
            Ok(Written::Flushed) => self.progress_at = Instant::now(),
            Err(error) => self.write_error = Some(error),
        }
    }

    /// When patience ends; never while there is nothing to wait for.
    fn deadline(&self) -> Option<Instant> {
        let patience = if self.is_stalled { WATCHDOG } else { STALLED_AFTER };
        self.is_writing().then(|| self.progress_at + patience)
    }

    /// The socket has taken nothing for long: first it is shown, then the session is over.
    fn handle_standstill(&mut self) -> Result<(), Error> {
        if self.is_stalled {
            return Err(self.overdue());
        }
        self.is_stalled = true;
        tracing::warn!(output = %self.shared.id, state = State::Stalled.as_str(), "server takes nothing");
        self.shared.enter(State::Stalled);
        Ok(())
    }

    fn handle_progress(&mut self) {
        if std::mem::take(&mut self.is_stalled) {
            tracing::info!(output = %self.shared.id, state = State::Publishing.as_str(), "server takes media again");
            self.shared.enter(State::Publishing);
        }
    }

    fn overdue(&mut self) -> Error {
        match self.write_error.take() {
            Some(source) => Error::Lost { source },
            None if self.is_on_air => Error::Stalled { after: WATCHDOG },
            None => Error::TimedOut { step: self.step, after: STEP_TIMEOUT },
        }
    }

    /// Sends what waits, then the good-bye, then waits for the server to hang up: closing a socket with unread input
    /// would reset the connection, and the server might never see the good-bye.
    async fn say_goodbye(&mut self) -> Result<(), Error> {
        if !matches!(self.publisher.phase(), Phase::AwaitingPublish | Phase::Publishing) {
            return Ok(());
        }
        self.drain().await?;
        if let Some(four_cc) = self.headers.as_ref().and_then(|headers| flv::four_cc(&headers.video)) {
            let at_ms = wire_ms(self.timeline.newest_ms);
            self.publisher.send_video(at_ms, &[], flv::enhanced_sequence_end(four_cc))?;
        }
        self.publisher.close();
        self.drain().await?;
        let lost = |source| Error::Lost { source };
        self.writer.shutdown().await.map_err(lost)?;
        while self.reader.read(&mut self.input).await.map_err(lost)? > 0 {}
        Ok(())
    }

    /// Sends all there is.
    async fn drain(&mut self) -> Result<(), Error> {
        loop {
            self.feed()?;
            if !self.is_writing() {
                return Ok(());
            }
            self.exchange().await?;
        }
    }
}

/// What became of the bytes for the socket.
#[derive(Debug)]
enum Written {
    /// The stream took so many; it may hold them back.
    Bytes(usize),
    /// The stream holds nothing back.
    Flushed,
}

/// Writes what there is, or flushes what was written. May be cancelled without loss.
async fn write_or_flush(writer: &mut (impl AsyncWrite + Unpin), outbox: &mut Outbox) -> io::Result<Written> {
    if !outbox.has_remaining() {
        return writer.flush().await.map(|()| Written::Flushed);
    }
    match writer.write_buf(outbox).await {
        // A socket that takes nothing of something will never take more.
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        written => written.map(Written::Bytes),
    }
}

async fn reached(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
