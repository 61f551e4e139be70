//! What the three sides of an output share: the mux thread that pushes, the task that sends, whoever asks for stats.
//!
//! One mutex around queue and counters, because the drop policy needs the whole queue at once and a channel cannot give
//! it. It is held for one short, synchronous step, never across an await and never together with another lock; the
//! longest step is the drop of a group of pictures, some hundred entries.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use super::{
    Error,
    latency::Latency,
    packet::{Headers, Packet},
    queue::{Entry, Limits, Queue},
    recording,
    stats::{Effort, Flow, LastError, Meter, State, Stats},
    transport::Probe,
};
use crate::base::id::Id;

pub(super) struct Shared {
    pub(super) id: Id,
    born: Instant,
    board: Mutex<Board>,
    state: watch::Sender<State>,
    /// Told when the queue has something; remembers one call, so none is missed.
    pub(super) media: Notify,
}

/// What is under the lock.
#[derive(Debug)]
struct Board {
    queue: Queue,
    meter: Meter,
    effort: Effort,
    latency: Latency,
    bytes: u64,
    frames: u64,
    /// Media sent by the sessions before this one.
    past_ms: u64,
    /// Media sent by this session.
    session_ms: u64,
    attempts: u64,
    /// Sessions that went on air.
    sessions: u64,
    failures: BTreeMap<&'static str, u64>,
    is_on_backup: bool,
    retry_at: Option<Instant>,
    /// The socket of the session on air.
    probe: Option<Probe>,
    on_air_since: Option<Instant>,
    progress_at: Option<Instant>,
    last_error: Option<LastError>,
    recording: Option<recording::Report>,
}

impl Shared {
    pub(super) fn new(id: Id, limits: Limits, headers: Arc<Headers>) -> Self {
        let board = Board {
            queue: Queue::new(limits, headers),
            meter: Meter::default(),
            effort: Effort::default(),
            latency: Latency::default(),
            bytes: 0,
            frames: 0,
            past_ms: 0,
            session_ms: 0,
            attempts: 0,
            sessions: 0,
            failures: BTreeMap::new(),
            is_on_backup: false,
            retry_at: None,
            probe: None,
            on_air_since: None,
            progress_at: None,
            last_error: None,
            recording: None,
        };
        let (state, _) = watch::channel(State::Idle);
        Self { id, born: Instant::now(), board: Mutex::new(board), state, media: Notify::new() }
    }

    /// A panic inside one of the short steps leaves nothing half done that matters more than going on.
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // The mux thread's side.

    pub(super) fn push(&self, packet: &Packet, ready_at: Instant) {
        self.board().queue.push(packet, ready_at);
        self.media.notify_one();
    }

    pub(super) fn set_headers(&self, headers: Arc<Headers>) {
        self.board().queue.set_headers(headers);
    }

    // The task's side.

    pub(super) fn enter(&self, state: State) {
        self.state.send_replace(state);
    }

    pub(super) fn begin_attempt(&self, is_on_backup: bool) {
        let mut board = self.board();
        board.attempts += 1;
        board.is_on_backup = is_on_backup;
        board.retry_at = None;
    }

    /// The server takes media from now on, beginning with the next IDR.
    pub(super) fn begin_session(&self, probe: Probe) {
        let mut board = self.board();
        board.begin_session();
        board.follow(probe);
    }

    /// The same of files.
    pub(super) fn begin_recording(&self) {
        self.board().begin_session();
    }

    /// Another server takes the media from now on, beginning with the IDR that is next.
    pub(super) fn continue_session(&self, probe: Probe) {
        self.board().follow(probe);
    }

    /// Whether the next picture is an IDR.
    pub(super) fn is_key_next(&self) -> bool {
        self.board().queue.is_key_next()
    }

    /// The headers of the next packet.
    pub(super) fn headers(&self) -> Arc<Headers> {
        self.board().queue.headers()
    }

    pub(super) fn take(&self) -> Option<Entry> {
        self.board().queue.take()
    }

    /// Lets no more media in; what is there is still to be sent.
    pub(super) fn seal(&self) {
        self.board().queue.seal();
    }

    /// A packet with this session timestamp was given to the connection.
    pub(super) fn note_sent(&self, packet: &Packet, session_ms: u64) {
        let mut board = self.board();
        board.frames += u64::from(packet.kind.is_video());
        board.session_ms = board.session_ms.max(session_ms);
    }

    /// The network took `bytes`, and with them the last of pictures that had been ready since then.
    pub(super) fn note_progress(&self, now: Instant, bytes: usize, gone: impl Iterator<Item = Instant>) {
        let mut board = self.board();
        board.bytes += bytes as u64;
        board.progress_at = Some(now);
        board.meter.record(ms(now - self.born), bytes as u64);
        board.effort.record(bytes as u64);
        gone.for_each(|ready_at| board.latency.record(now - ready_at));
    }

    /// Whether bytes wait for the network from now on.
    pub(super) fn note_waiting(&self, is_waiting: bool) {
        let now = self.born.elapsed();
        let effort = &mut self.board().effort;
        if is_waiting { effort.begin(now) } else { effort.end(now) }
    }

    /// The attempt is over, however far it came; returns how long it was on air.
    pub(super) fn end_attempt(&self) -> Duration {
        let mut board = self.board();
        board.queue.close();
        board.retry_at = None;
        board.end_part();
        board.effort.end(self.born.elapsed());
        board.on_air_since.take().map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn note_failure(&self, error: &Error, retry_at: Instant) {
        let mut board = self.board();
        *board.failures.entry(error.class()).or_default() += 1;
        board.last_error = Some(LastError { class: error.class(), message: error.to_string() });
        board.retry_at = Some(retry_at);
    }

    /// What a recording shows of its files changes.
    pub(super) fn note_recording(&self, change: impl FnOnce(&mut recording::Report)) {
        change(self.board().recording.get_or_insert_default());
    }

    // Everybody's side.

    pub(super) fn states(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(super) fn stats(&self) -> Stats {
        let state = self.state.borrow().clone();
        let now = Instant::now();
        let board = self.board();
        let is_lost = matches!(state, State::BackingOff { .. } | State::Refused { .. });
        let is_ended = matches!(state, State::Stopped);
        Stats {
            id: self.id.clone(),
            state,
            retry_in_ms: board.retry_at.map(|at| ms(at - now)),
            output_bytes: board.bytes,
            output_total_frames: board.frames,
            output_skipped_frames: board.queue.dropped_frames(),
            output_skipped_audio_frames: board.queue.dropped_audio_frames(),
            output_duration_ms: board.past_ms + board.session_ms,
            output_congestion: board.queue.congestion(),
            output_reconnecting: is_lost || board.attempts > 1 && !board.is_on_air() && !is_ended,
            bitrate_kbps: board.meter.kbps(ms(now - self.born)),
            queue_ms: board.queue.span_ms(),
            queue_bytes: board.queue.bytes(),
            attempts: board.attempts,
            reconnects: board.sessions.saturating_sub(1),
            is_on_backup: board.is_on_backup,
            failures: board.failures.clone(),
            last_error: board.last_error.clone(),
            seconds_since_progress: board.progress_at.map(|at| (now - at).as_secs_f64()),
            latency: board.latency,
            round_trip_ms: board.probe.as_ref().and_then(Probe::round_trip).map(|time| time.as_secs_f64() * 1000.0),
            recording: board.recording.clone(),
        }
    }

    pub(super) fn flow(&self) -> Flow {
        let board = self.board();
        let (busy, busy_bytes) = board.effort.read(self.born.elapsed());
        let session = board.is_on_air().then_some(board.sessions);
        Flow { session, queue_ms: board.queue.span_ms(), queue_bytes: board.queue.bytes(), busy, busy_bytes }
    }
}

impl Board {
    fn is_on_air(&self) -> bool {
        self.on_air_since.is_some()
    }

    fn begin_session(&mut self) {
        self.sessions += 1;
        self.on_air_since = Some(Instant::now());
        self.queue.open();
    }

    /// From now on it is the connection of `probe` that is on air.
    fn follow(&mut self, probe: Probe) {
        self.end_part();
        self.probe = Some(probe);
    }

    /// What was sent over one connection is history.
    fn end_part(&mut self) {
        self.past_ms += self.session_ms;
        self.session_ms = 0;
        self.probe = None;
    }
}

impl fmt::Debug for Shared {
    /// Without the media in the queue, which may be megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

fn ms(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
