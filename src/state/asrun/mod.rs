//! The as-run log: what was on air from when to when, by whom.
//!
//! ```text
//!  feed of changes ──► task: Board (pure) ──► lines: journal on disk, and times on air in memory ──► whoever asks
//! ```
//!
//! Broadcasters bill and argue by it, so it is written as it happens and survives a crash: what was on air when the daemon
//! was killed ends with the last thing that is known of it, by the daemon. The newest ten thousand times on air can be
//! asked for; the journal has more. A disk that fails costs the journal, is told once, and nothing else.

mod journal;
mod stretch;

use std::{
    collections::VecDeque,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{broadcast::error::RecvError, mpsc},
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

pub use self::stretch::{Item, Kind, Mark, Stretch};
use self::{
    journal::Journal,
    stretch::{Board, Line},
};
use super::{Actor, Change, Streams, What};
use crate::base::id::Id;

/// Times on air that can be asked for, those that last not counted.
const STRETCHES_MAX: usize = 10_000;
/// Batches of lines on their way to the disk; while it stands still, what comes is lost to the journal.
const BATCHES: usize = 256;

/// The log.
#[derive(Debug)]
pub struct AsRun {
    records: Arc<Mutex<Records>>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Records {
    board: Board,
    over: VecDeque<Stretch>,
}

impl Records {
    fn note(&mut self, lines: &[Line]) {
        for line in lines {
            self.over.extend(self.board.note(line.clone()));
        }
        let surplus = self.over.len().saturating_sub(STRETCHES_MAX);
        self.over.drain(..surplus);
    }

    /// Ends all that is on air.
    fn end(&mut self, at: &Mark) -> Vec<Line> {
        let ended: Vec<_> = self.board.streams().iter().flat_map(|id| self.board.follow(id, None, at)).collect();
        self.note(&ended);
        ended
    }
}

impl AsRun {
    /// Follows `streams` from now on, with the journal in `dir`; without one nothing survives. Needs a runtime.
    pub fn start(streams: &Arc<Streams>, dir: Option<&Path>) -> io::Result<Self> {
        let mut records = Records::default();
        let mut journal = None;
        if let Some(dir) = dir {
            let (mut opened, lines) = Journal::open(dir)?;
            records.note(&lines);
            // What was on air when the process ended without a word.
            if let Some(last) = lines.last() {
                let at = Mark { utc_ms: last.at.utc_ms, ..by_daemon(0) };
                opened.write(&records.end(&at))?;
            }
            journal = Some(opened);
        }
        let records = Arc::new(Mutex::new(records));
        let stop = CancellationToken::new();
        let follower = Follower {
            changes: streams.changes(),
            streams: streams.clone(),
            records: records.clone(),
            disk: journal.map(spawn_writer),
        };
        let task = tokio::spawn(follower.run(stop.clone()));
        Ok(Self { records, stop, task: Mutex::new(Some(task)) })
    }

    /// The times on air of a stream that touch `from..to`, in milliseconds since 1970 UTC, by their beginning.
    pub fn stretches(&self, stream: &str, from_ms: i64, to_ms: i64) -> Vec<Stretch> {
        let records = lock(&self.records);
        let is_wanted = |stretch: &Stretch| {
            stretch.item.stream.as_str() == stream
                && stretch.from.utc_ms < to_ms
                && stretch.until.as_ref().is_none_or(|until| until.utc_ms >= from_ms)
        };
        let over = records.over.iter().filter(|stretch| is_wanted(stretch)).cloned();
        let mut wanted: Vec<_> = over.chain(records.board.open().filter(is_wanted)).collect();
        wanted.sort_by(|a, b| (a.from.utc_ms, &a.item).cmp(&(b.from.utc_ms, &b.item)));
        wanted
    }

    /// All that is on air ends with the daemon; returns when that is written.
    pub async fn finish(&self) {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Err(error)) = futures_util::future::OptionFuture::from(task).await {
            tracing::error!(%error, "the as-run log did not end by itself");
        }
    }
}

fn lock(records: &Mutex<Records>) -> MutexGuard<'_, Records> {
    records.lock().unwrap_or_else(PoisonError::into_inner)
}

fn by_daemon(utc_ms: i64) -> Mark {
    Mark { utc_ms, frame: None, pts_ms: None, actor: Actor::daemon().name().into() }
}

/// The thread of the journal, and what it is given.
#[derive(Debug)]
struct Disk {
    batches: mpsc::Sender<Vec<Line>>,
    writer: JoinHandle<()>,
}

fn spawn_writer(mut journal: Journal) -> Disk {
    let (batches, mut waiting) = mpsc::channel::<Vec<Line>>(BATCHES);
    let writer = spawn_blocking(move || {
        let mut has_failed = false;
        while let Some(lines) = waiting.blocking_recv() {
            match journal.write(&lines) {
                Ok(()) => has_failed = false,
                Err(error) if !has_failed => {
                    tracing::error!(%error, "the as-run log cannot be written; it goes on in memory");
                    has_failed = true;
                }
                Err(_) => {}
            }
        }
    });
    Disk { batches, writer }
}

/// The task that follows the feed.
struct Follower {
    changes: tokio::sync::broadcast::Receiver<Change>,
    streams: Arc<Streams>,
    records: Arc<Mutex<Records>>,
    disk: Option<Disk>,
}

impl Follower {
    async fn run(mut self, stop: CancellationToken) {
        while let Some(changed) = stop.run_until_cancelled(self.changes.recv()).await {
            match changed {
                Ok(change) => {
                    let snapshot = (change.what != What::Deleted).then_some(&change.snapshot);
                    let lines = lock(&self.records).board.follow(&change.stream, snapshot, &Mark::of(&change));
                    self.note(lines);
                }
                Err(RecvError::Lagged(lost)) => {
                    tracing::warn!(lost, "the as-run log has missed changes; it goes on with what is on air now");
                    self.read_anew();
                }
                Err(RecvError::Closed) => break,
            }
        }
        let ended = lock(&self.records).end(&by_daemon(self.utc_ms()));
        self.tell(ended);
        if let Some(Disk { batches, writer }) = self.disk {
            drop(batches);
            // A panic has been reported by its hook.
            let _ = writer.await;
        }
    }

    fn utc_ms(&self) -> i64 {
        self.streams.services().clock.utc_ms()
    }

    /// Nobody knows by whom and when exactly: it is so now.
    fn read_anew(&mut self) {
        let at = Mark { actor: "unknown".into(), ..by_daemon(self.utc_ms()) };
        let all = self.streams.list();
        let gone = lock(&self.records).board.streams();
        let gone: Vec<Id> = gone.into_iter().filter(|id| !all.iter().any(|one| one.document.id == *id)).collect();
        for id in gone {
            let lines = lock(&self.records).board.follow(&id, None, &at);
            self.note(lines);
        }
        for snapshot in &all {
            let lines = lock(&self.records).board.follow(&snapshot.document.id, Some(snapshot), &at);
            self.note(lines);
        }
    }

    fn note(&mut self, lines: Vec<Line>) {
        lock(&self.records).note(&lines);
        self.tell(lines);
    }

    fn tell(&mut self, lines: Vec<Line>) {
        let Some(disk) = self.disk.as_ref().filter(|_| !lines.is_empty()) else { return };
        if disk.batches.try_send(lines).is_err() {
            tracing::warn!("the disk does not take the as-run log; some of it is in memory only");
        }
    }
}
