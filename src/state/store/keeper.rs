//! The keeper: the one task that keeps store and streams in step, away from everything that is on air.
//!
//! ```text
//! feed of changes ─► which streams are not kept yet ─(100 ms)─► compare and set, one record for each stream ─► store
//! streams ◄─ adopt ◄─ read ◄─ notices of what others wrote, or: all of it, after the store was away
//! ```
//!
//! Nothing queues: what waits is the names of streams, and what is written is what they are when they are written. While
//! the store is away it is tried again, ever more seldom up to a few seconds, without end; streams run on.
//!
//! Who is right when both have changed: a record with a higher revision was written by another instance, which won; its
//! stream is taken over as it stands. A lower one, or none, is a store that has lost what it had (it was flushed, or came
//! back from an old copy): it is written again. A record that is equal is nobody's news, so no two instances can set each
//! other off. Deletions are remembered by a shared store, so that they are told from a loss.
//!
//! A record that cannot be read is copied aside, whole, before anything is written over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use rand::Rng;
use tokio::{
    sync::broadcast::{Receiver, error::RecvError},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Found, Key, Kind, News, Record, Store, Write,
    kept::{Kept, Unreadable},
};
use crate::{
    base::{id::Id, id::LEN_MAX},
    state::{self, Actor, Change, Streams},
};

/// How long changes are gathered before they are written.
const GATHER: Duration = Duration::from_millis(100);
/// First and longest pause before a store that is away is tried again.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How often a store that has nothing to do is asked whether it is there.
const CHECK_EVERY: Duration = Duration::from_secs(5);
/// How long the daemon's end waits for what is not written yet.
const FLUSH_PATIENCE: Duration = Duration::from_secs(3);
/// How long the start waits for a store that is away.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// How it stands with what is kept; for whoever asks.
#[derive(Debug, Default)]
pub struct Health(Mutex<Standing>);

/// Where the keeper stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the store is; none: nothing is kept.
    pub store: Option<String>,
    /// Streams whose present state is not kept yet.
    pub pending: usize,
    /// Records written and deleted.
    pub writes: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Changes of other instances that were taken over.
    pub adopted: u64,
    /// When the store last did what it was asked, in milliseconds since 1970 UTC.
    pub last_success_utc_ms: Option<i64>,
    /// Why what is on air is not kept.
    pub problem: Option<String>,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Now.
    pub fn standing(&self) -> Standing {
        self.lock().clone()
    }
}

/// A record as this instance knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Known {
    revision: u64,
    bytes: Bytes,
}

/// What the store had when the daemon started.
#[derive(Debug, Default)]
pub struct Restored {
    known: BTreeMap<Id, Known>,
    /// The streams that go on.
    pub streams: Vec<Id>,
}

/// A keeper at work.
#[derive(Debug)]
pub struct Keeper {
    task: JoinHandle<()>,
    ending: CancellationToken,
}

/// Brings the streams back that the store has, before anything else is on air. A store that is away for long is no reason
/// not to start: what it has is taken over when it comes.
pub async fn restore(store: &dyn Store, streams: &Streams) -> Result<Restored, Error> {
    let health = streams.store_health();
    health.lock().store = Some(store.name());
    let records = match patiently(store).await {
        Err(error @ Error::Unavailable { .. }) => {
            tracing::error!(store = store.name(), %error, "streams are not restored; they are when the store is there");
            health.lock().problem = Some(error.to_string());
            return Ok(Restored::default());
        }
        loaded => loaded?,
    };
    let mut restored = Restored::default();
    for record in records {
        let Record { id, revision, bytes } = record.clone();
        restored.known.insert(id.clone(), Known { revision, bytes: bytes.clone() });
        match read(&record) {
            Ok(kept) => {
                restored.streams.push(id.clone());
                let document_revision = kept.revision;
                match streams.restore(&Actor::daemon().into(), kept).await {
                    Ok(()) => tracing::info!(stream = %id, revision = document_revision, "stream restored"),
                    Err(error) => tracing::error!(stream = %id, %error, "the stream is restored, but did not start"),
                }
            }
            Err(Unreadable::Newer(error)) => return Err(error),
            Err(error) => {
                tracing::error!(stream = %id, %error, "the stream is not restored; its record is set aside");
                set_aside(store, &record).await?;
            }
        }
    }
    Ok(restored)
}

async fn patiently(store: &dyn Store) -> Result<Vec<Record>, Error> {
    let until = Instant::now() + START_PATIENCE;
    let mut pause = PAUSE_MIN;
    loop {
        match store.load(Kind::Stream).await {
            Err(Error::Unavailable { reason }) if Instant::now() + pause < until => {
                tracing::warn!(store = store.name(), reason, "waiting for the store");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            answer => return answer,
        }
    }
}

/// Deletes all streams from the store, each with a copy set aside: for who wants to start from the show.
pub async fn forget_all(store: &dyn Store) -> Result<usize, Error> {
    let records = patiently(store).await?;
    for record in &records {
        set_aside(store, record).await?;
        store.delete(Key::new(Kind::Stream, record.id.clone()), record.revision).await?;
    }
    Ok(records.len())
}

fn read(record: &Record) -> Result<Kept, Unreadable> {
    let kept = Kept::read(&record.bytes)?;
    match kept.document.id == record.id {
        true => Ok(kept),
        false => Err(Unreadable::Damaged(format!("it is of the stream `{}`", kept.document.id))),
    }
}

/// Copies a record to where nothing is written over it.
async fn set_aside(store: &dyn Store, record: &Record) -> Result<(), Error> {
    let name: String = format!("{}-{}", record.revision, record.id).chars().take(LEN_MAX).collect();
    let Ok(id) = Id::new(&name) else { return Ok(()) };
    let key = Key::new(Kind::SetAside, id);
    match store.put(Write { key, expected: None, above: 0, bytes: record.bytes.clone() }).await {
        // It is the same: nobody but us writes there, and by its revision.
        Ok(_) | Err(Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Keeper {
    /// Keeps these streams from now on. `changes` were followed before any of them was restored or made.
    pub fn start(store: Arc<dyn Store>, streams: Arc<Streams>, restored: Restored) -> Self {
        let ending = CancellationToken::new();
        let changes = streams.changes();
        let worker = Worker {
            health: streams.store_health().clone(),
            store,
            // What was made before the feed was followed.
            dirty: streams.list().into_iter().map(|snapshot| snapshot.document.id.clone()).collect(),
            streams,
            known: restored.known,
            news: News::default(),
            pause: PAUSE_MIN,
        };
        Self { task: tokio::spawn(worker.run(changes, ending.clone())), ending }
    }

    /// Writes what is not written yet, and ends. The streams are to be on air still.
    pub async fn finish(self) {
        self.ending.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the keeper of the state has failed");
        }
    }
}

/// The task's own.
struct Worker {
    store: Arc<dyn Store>,
    streams: Arc<Streams>,
    health: Arc<Health>,
    /// What the store has, as far as is known.
    known: BTreeMap<Id, Known>,
    /// Streams whose present state is not kept.
    dirty: BTreeSet<Id>,
    /// What others may have written.
    news: News,
    /// Before the store is tried again.
    pause: Duration,
}

impl Worker {
    async fn run(mut self, mut changes: Receiver<Change>, ending: CancellationToken) {
        let store = self.store.clone();
        // When there is something to do next.
        let mut due = Instant::now();
        loop {
            tokio::select! {
                change = changes.recv() => {
                    let is_first = self.dirty.is_empty();
                    if self.note(change) && is_first && self.health.lock().problem.is_none() {
                        due = Instant::now() + GATHER;
                    }
                }
                news = next_news(&*store) => {
                    self.news.everything |= news.everything;
                    self.news.keys.extend(news.keys);
                    due = due.min(Instant::now() + self.retry_pause());
                }
                () = tokio::time::sleep_until(due) => due = Instant::now() + self.step().await,
                () = ending.cancelled() => break,
            }
        }
        self.finish(changes).await;
    }

    /// No pause for a store that answers.
    fn retry_pause(&self) -> Duration {
        if self.health.lock().problem.is_some() { self.pause } else { Duration::ZERO }
    }

    /// Takes note of a change; whether something is to be written.
    fn note(&mut self, change: Result<Change, RecvError>) -> bool {
        match change {
            Ok(change) if change.actor == Actor::store() => return false,
            Ok(change) => drop(self.dirty.insert(change.stream)),
            // Which ones is not known.
            Err(RecvError::Lagged(_)) => {
                self.dirty.extend(self.known.keys().cloned());
                self.dirty.extend(self.streams.list().iter().map(|snapshot| snapshot.document.id.clone()));
            }
            // The streams are there as long as this is.
            Err(RecvError::Closed) => return false,
        }
        self.health.lock().pending = self.dirty.len();
        true
    }

    /// Does what there is to do; when to come again.
    async fn step(&mut self) -> Duration {
        let done = self.work().await;
        let utc_ms = {
            let clock = &self.streams.services().clock;
            clock.utc_ms()
        };
        let mut health = self.health.lock();
        health.pending = self.dirty.len();
        match done {
            Ok(()) => {
                if health.problem.take().is_some() {
                    tracing::info!(store = self.store.name(), "the store is in step again");
                }
                health.last_success_utc_ms = Some(utc_ms);
                self.pause = PAUSE_MIN;
                CHECK_EVERY
            }
            Err(error) => {
                health.failures += 1;
                if health.problem.replace(error.to_string()).is_none() {
                    tracing::error!(store = self.store.name(), %error, "the state is not kept; it is tried again");
                }
                // Until then nobody knows what is missed.
                self.news.everything |= self.store.notices().is_some();
                let pause = self.pause.mul_f64(rand::rng().random_range(0.5..1.0));
                self.pause = (self.pause * 2).min(PAUSE_MAX);
                pause
            }
        }
    }

    async fn work(&mut self) -> Result<(), Error> {
        self.store.check().await?;
        // A connection that was made anew says so.
        if let Some(notices) = self.store.notices()
            && let Ok(news) = tokio::time::timeout(Duration::ZERO, notices.next()).await
        {
            self.news.everything |= news.everything;
            self.news.keys.extend(news.keys);
        }
        if self.store.notices().is_some() && self.news == News::default() && self.dirty.is_empty() {
            // A store that lost what it had does not say so.
            for id in self.streams.list().into_iter().map(|snapshot| snapshot.document.id.clone()) {
                self.settle(&id).await?;
            }
        }
        if self.news.everything {
            let there = self.store.load(Kind::Stream).await?.into_iter().map(|record| record.id);
            let here = self.streams.list().into_iter().map(|snapshot| snapshot.document.id.clone());
            let all: BTreeSet<_> = there.chain(here).chain(self.known.keys().cloned()).collect();
            for id in all {
                self.settle(&id).await?;
            }
            self.news = News::default();
        }
        while let Some(key) = self.news.keys.first().cloned() {
            if key.kind == Kind::Stream {
                self.settle(&key.id).await?;
            }
            self.news.keys.remove(&key);
        }
        while let Some(id) = self.dirty.first().cloned() {
            self.write(&id).await?;
            self.dirty.remove(&id);
        }
        Ok(())
    }

    /// Writes a stream as it is now, or deletes it if it is gone. If another was quicker, that one wins.
    async fn write(&mut self, id: &Id) -> Result<(), Error> {
        let expected = self.known.get(id).map(|known| known.revision);
        match self.put(id, expected).await {
            Err(Error::Conflict { .. }) => self.settle(id).await,
            done => done,
        }
    }

    async fn put(&mut self, id: &Id, expected: Option<u64>) -> Result<(), Error> {
        let (key, known) = (Key::new(Kind::Stream, id.clone()), self.known.get(id));
        let Ok(kept) = self.streams.kept(id.as_str()) else {
            if let Some(expected) = expected {
                self.store.delete(key, expected).await?;
                self.health.lock().writes += 1;
            }
            self.known.remove(id);
            return Ok(());
        };
        let (bytes, above) = (kept.to_bytes(), known.map_or(0, |known| known.revision));
        if known.is_some_and(|known| known.bytes == bytes && Some(known.revision) == expected) {
            return Ok(());
        }
        let revision = self.store.put(Write { key, expected, above, bytes: bytes.clone() }).await?;
        self.known.insert(id.clone(), Known { revision, bytes });
        self.health.lock().writes += 1;
        Ok(())
    }

    /// Looks who is right about a stream, and does that.
    async fn settle(&mut self, id: &Id) -> Result<(), Error> {
        let found = self.store.get(Key::new(Kind::Stream, id.clone())).await?;
        let known = self.known.get(id);
        match found {
            Found::Present(record) => match known {
                Some(known) if known.revision == record.revision && known.bytes == record.bytes => Ok(()),
                Some(known) if record.revision < known.revision => self.put(id, Some(record.revision)).await,
                // A call whose answer was lost had written it.
                _ if self.streams.kept(id.as_str()).is_ok_and(|kept| kept.to_bytes() == record.bytes) => {
                    self.known.insert(id.clone(), Known { revision: record.revision, bytes: record.bytes });
                    Ok(())
                }
                _ => self.adopt(record).await,
            },
            Found::Deleted { revision } if known.is_some_and(|known| known.revision < revision) => {
                self.known.remove(id);
                self.dirty.remove(id);
                match self.streams.delete(&Actor::store().into(), id.as_str()).await {
                    Ok(()) | Err(state::Error::NotFound { .. }) => self.health.lock().adopted += 1,
                    Err(error) => {
                        tracing::error!(stream = %id, %error, "the stream was deleted elsewhere, but not here")
                    }
                }
                Ok(())
            }
            Found::Deleted { .. } | Found::Missing => self.put(id, None).await,
        }
    }

    /// Takes over what another instance wrote.
    async fn adopt(&mut self, record: Record) -> Result<(), Error> {
        let id = record.id.clone();
        match read(&record) {
            Ok(kept) => {
                let adopted = self.streams.adopt(kept).await;
                if let Err(error) = adopted {
                    tracing::error!(stream = %id, %error, "what another instance wrote is not on air here");
                }
                self.health.lock().adopted += 1;
            }
            Err(error) => {
                tracing::error!(stream = %id, %error, "what another instance wrote is set aside");
                set_aside(&*self.store, &record).await?;
            }
        }
        self.known.insert(id.clone(), Known { revision: record.revision, bytes: record.bytes });
        self.dirty.remove(&id);
        Ok(())
    }

    /// What is not written yet is, if the store is there.
    async fn finish(mut self, mut changes: Receiver<Change>) {
        while let Ok(change) = changes.try_recv() {
            self.note(Ok(change));
        }
        let flushed = tokio::time::timeout(FLUSH_PATIENCE, self.work()).await;
        match flushed.map_err(|_| Error::unavailable("it does not answer")).flatten() {
            Ok(()) => tracing::info!(store = self.store.name(), "the state is kept"),
            Err(error) => {
                tracing::error!(store = self.store.name(), %error, pending = self.dirty.len(), "the last changes are lost");
            }
        }
    }
}

/// What others wrote; never, where there are none.
async fn next_news(store: &dyn Store) -> News {
    match store.notices() {
        Some(notices) => notices.next().await,
        None => std::future::pending().await,
    }
}
