//! The thread of one recording: file after file, until it is stopped.
//!
//! A file is synced every [`SYNC_EVERY`] and at its end. What is written survives the daemon's end without that, but a
//! machine that loses its power loses what the disk does not have yet; syncing more often would cost a busy disk more than
//! five seconds of a recording are worth.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    select,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Recording, Recordings,
    container::{self, Container},
    name::Places,
    part::{self, Part},
};
use crate::output::{
    Error as OutputError,
    backoff::Backoff,
    packet::{Headers, Kind, Packet},
    queue::Entry,
    shared::Shared,
    stats::State,
};

/// How often what was written is synced to the disk.
const SYNC_EVERY: Duration = Duration::from_secs(5);
/// How often the disk is asked how much room there is.
const ROOM_EVERY: Duration = Duration::from_secs(1);
/// A part of what is to stay free that must be free besides for a recording to begin, so that a disk at the limit does not
/// end a file a second.
const MORE_TO_BEGIN: u64 = 10;
/// A recording that went on for so long counts as a success.
const HEALTHY_AFTER: Duration = Duration::from_secs(60);
/// How long one waits that does not mend by itself.
const REFUSED_RETRY: Duration = Duration::from_secs(30);
/// Bytes of a megabyte, in which room is told.
const MB: f64 = 1e6;

/// One recording.
#[derive(Debug)]
pub(in crate::output) struct Recorder {
    recording: Recording,
    recordings: Recordings,
    shared: Arc<Shared>,
    stop: CancellationToken,
    backoff: Backoff,
    /// Files begun.
    parts: u64,
}

/// The file that is written.
#[derive(Debug)]
struct Open {
    part: Part,
    container: Box<dyn Container>,
    headers: Arc<Headers>,
    /// Decoding time of its first picture.
    origin_ms: u64,
    synced_at: Instant,
}

/// From the first file to a failure, or to the end.
#[derive(Debug)]
struct Session<'a> {
    recorder: &'a mut Recorder,
    open: Option<Open>,
    /// What is to be written.
    pieces: Vec<Bytes>,
    first_ms: Option<u64>,
    room_at: Instant,
}

impl Recorder {
    pub(in crate::output) fn new(
        recording: Recording,
        recordings: Recordings,
        shared: Arc<Shared>,
        stop: CancellationToken,
    ) -> Self {
        shared.note_recording(|_| {});
        Self { recording, recordings, shared, stop, backoff: Backoff::default(), parts: 0 }
    }

    /// Records until it is stopped. Blocks whoever polls it, which must be a thread of its own.
    pub(in crate::output) async fn run(mut self) {
        let stop = self.stop.clone();
        while let Err(error) = self.attempt(&stop).await {
            let retry_at = self.handle_failure(error);
            if stop.run_until_cancelled(sleep_until(retry_at)).await.is_none() {
                break;
            }
        }
        tracing::info!(output = %self.recording.id, "output stopped");
    }

    async fn attempt(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        self.shared.begin_attempt(false);
        self.check_room(self.recording.free_bytes_min / MORE_TO_BEGIN)?;
        self.shared.begin_recording();
        let room_at = Instant::now();
        let mut session = Session { recorder: self, open: None, pieces: Vec::new(), first_ms: None, room_at };
        let ended = session.run(stop).await;
        let closed = session.close(None);
        ended.and(closed)
    }

    fn check_room(&mut self, more: u64) -> Result<(), Error> {
        let free = part::free_bytes(&self.recordings.directory)?;
        let min = self.recording.free_bytes_min;
        self.shared.note_recording(|report| report.available_disk_space = Some(free as f64 / MB));
        if free < min.saturating_add(more) {
            return Err(Error::Low { free_mb: free as f64 / MB, min_mb: min as f64 / MB });
        }
        Ok(())
    }

    /// Notes and tells why the recording stopped; returns when to try again.
    fn handle_failure(&mut self, error: Error) -> Instant {
        if self.shared.end_attempt() >= HEALTHY_AFTER {
            self.backoff.reset();
        }
        let jittered = self.backoff.next(rand::random());
        let wait = if error.may_mend_itself() { jittered } else { REFUSED_RETRY };
        let error = OutputError::from(error);
        let (class, wait_ms) = (error.class(), wait.as_millis() as u64);
        tracing::warn!(output = %self.recording.id, wait_ms, class, %error, "recording stopped");
        let retry_at = Instant::now() + wait;
        self.shared.note_failure(&error, retry_at);
        self.shared.enter(State::BackingOff { attempt: self.backoff.failures() });
        retry_at
    }

    fn note_written(&self, bytes: u64, file_bytes: u64) {
        // How long a picture takes to leave is told of networks.
        self.shared.note_progress(Instant::now(), bytes as usize, std::iter::empty());
        self.shared.note_recording(|report| report.file_bytes = file_bytes);
    }
}

impl Drop for Recorder {
    /// However the thread ends, asked to or by a panic: nobody is to think that it still records.
    fn drop(&mut self) {
        self.shared.end_attempt();
        self.shared.enter(State::Stopped);
    }
}

impl Session<'_> {
    async fn run(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        loop {
            let is_ending = select! {
                biased;
                () = stop.cancelled() => true,
                () = self.recorder.shared.media.notified() => false,
            };
            if is_ending {
                self.recorder.shared.seal();
            }
            while let Some(entry) = self.recorder.shared.take() {
                self.push(&entry)?;
            }
            self.write()?;
            self.care()?;
            if is_ending {
                return Ok(());
            }
        }
    }

    fn push(&mut self, Entry { packet, headers, .. }: &Entry) -> Result<(), Error> {
        if packet.kind == (Kind::Video { is_key: true }) && self.is_split_due(packet, headers) {
            self.write()?;
            self.close(Some(packet.dts_ms))?;
            self.begin(packet, headers)?;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.container.push(packet, &mut self.pieces)?;
        let first_ms = *self.first_ms.get_or_insert(packet.dts_ms);
        self.recorder.shared.note_sent(packet, packet.dts_ms.saturating_sub(first_ms));
        Ok(())
    }

    /// Whether this IDR begins a file.
    fn is_split_due(&self, packet: &Packet, headers: &Arc<Headers>) -> bool {
        let split = self.recorder.recording.split;
        let Some(open) = &self.open else { return true };
        let length = Duration::from_millis(packet.dts_ms.saturating_sub(open.origin_ms));
        length >= split.every
            || split.bytes.is_some_and(|bytes| open.container.bytes() >= bytes)
            // A sample entry describes all of a file's samples.
            || (!Arc::ptr_eq(headers, &open.headers) && **headers != *open.headers)
    }

    fn begin(&mut self, packet: &Packet, headers: &Arc<Headers>) -> Result<(), Error> {
        let Recorder { recording, recordings, shared, parts, .. } = &mut *self.recorder;
        let container = container::open(recording.format, headers, packet.dts_ms, &mut self.pieces)?;
        let utc_ms = recordings.clock.utc_ms();
        let places = Places { stream: &recording.stream, output: &recording.id, utc_ms, part: *parts + 1 };
        let stem = recording.template.name(places);
        let part = Part::create(&recordings.directory, &stem, recording.format.extension())?;
        tracing::info!(output = %recording.id, file = part.name(), "recording");
        *parts += 1;
        shared.note_recording(|report| {
            (report.output_path, report.file_bytes, report.files) = (Some(part.name().into()), 0, *parts);
        });
        shared.enter(State::Recording);
        let (headers, origin_ms) = (Arc::clone(headers), packet.dts_ms);
        self.open = Some(Open { part, container, headers, origin_ms, synced_at: Instant::now() });
        Ok(())
    }

    /// Writes what there is.
    fn write(&mut self) -> Result<(), Error> {
        let Some(open) = &mut self.open else { return Ok(()) };
        if self.pieces.is_empty() {
            return Ok(());
        }
        let written = open.part.append(&self.pieces);
        self.pieces.clear();
        self.recorder.note_written(written?, open.part.len());
        Ok(())
    }

    /// What is to be done now and then.
    fn care(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if let Some(open) = &mut self.open
            && now >= open.synced_at + SYNC_EVERY
        {
            open.part.sync()?;
            open.synced_at = now;
        }
        if now >= self.room_at + ROOM_EVERY {
            self.room_at = now;
            self.recorder.check_room(0)?;
        }
        Ok(())
    }

    /// Ends the file, if there is one, as well as can be. `end_ms` is when the next picture is decoded.
    fn close(&mut self, end_ms: Option<u64>) -> Result<(), Error> {
        let Some(Open { mut part, mut container, .. }) = self.open.take() else { return Ok(()) };
        let mut pieces = std::mem::take(&mut self.pieces);
        let patches = container.finish(end_ms, &mut pieces)?;
        let written = part.finish(&pieces, &patches)?;
        self.recorder.note_written(written, part.len());
        tracing::info!(output = %self.recorder.recording.id, file = part.name(), bytes = part.len(), "recorded");
        Ok(())
    }
}
