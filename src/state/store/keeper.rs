//! The keeper: the one task that keeps store and state in step, away from everything that is on air.
//!
//! ```text
//! whoever changes something ─► names of records ─(100 ms)─► compare and set, each whole ─► store
//! parts ◄─ adopt ◄─ read ◄─ notices of what others wrote, or: all of it, after the store was away
//! ```
//!
//! Nothing queues: what waits is the names of records, and what is written is what they are to hold when they are written.
//! While the store is away it is tried again, ever more seldom up to a few seconds, without end; streams run on. A record
//! that the store does not take, for it is too long, say, is told and tried again; the others are written all the same.
//!
//! Who is right when both have changed: a record with a higher revision was written by another instance, which won; what it
//! says is taken over as it stands. A lower one, or none, is a store that has lost what it had (it was flushed, or came
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
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    Error, Found, Key, Kind, News, Notices, Parts, Record, Store, Write,
    kept::Unreadable,
    parts::{NotAdopted, read_asset},
};
use crate::{
    base::{id::Id, id::LEN_MAX},
    state::{Actor, By, assets::Asset},
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
/// Most warnings that are shown; all are logged.
const WARNINGS_MAX: usize = 16;
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
    /// Records that are not what they are to be yet.
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
    /// What of the state was not as it was left: each is a file or a record that was set aside.
    pub warnings: Vec<String>,
}

impl Health {
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn warn(&self, warnings: impl IntoIterator<Item = String>) {
        let mut standing = self.lock();
        let room = WARNINGS_MAX.saturating_sub(standing.warnings.len());
        standing.warnings.extend(warnings.into_iter().take(room));
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
#[derive(Debug)]
pub struct Loaded {
    store: Arc<dyn Store>,
    records: BTreeMap<Key, Record>,
    /// Why nobody knows what it had.
    problem: Option<Error>,
    warnings: Vec<String>,
}

/// What of it is there again.
#[derive(Debug)]
pub struct Restored {
    store: Arc<dyn Store>,
    known: BTreeMap<Key, Known>,
    /// The streams that go on.
    pub streams: Vec<Id>,
}

/// A keeper at work.
#[derive(Debug)]
pub struct Keeper {
    task: JoinHandle<()>,
    ending: CancellationToken,
}

/// Reads all that a store has, of which `warnings` tell already. One that is away for long is no reason not to start: what
/// it has is taken over when it comes.
pub async fn load(store: Arc<dyn Store>, warnings: Vec<String>) -> Result<Loaded, Error> {
    let mut loaded = Loaded { store: store.clone(), records: BTreeMap::new(), problem: None, warnings };
    match patiently(&*store).await {
        Ok(records) => loaded.records = records,
        Err(error @ Error::Unavailable { .. }) => {
            tracing::error!(store = store.name(), %error, "nothing is restored; it is when the store is there");
            loaded.problem = Some(error);
        }
        Err(error) => return Err(error),
    }
    Ok(loaded)
}

async fn patiently(store: &dyn Store) -> Result<BTreeMap<Key, Record>, Error> {
    let until = Instant::now() + START_PATIENCE;
    let mut pause = PAUSE_MIN;
    loop {
        match load_all(store).await {
            Err(Error::Unavailable { reason }) if Instant::now() + pause < until => {
                tracing::warn!(store = store.name(), reason, "waiting for the store");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            answer => return answer,
        }
    }
}

async fn load_all(store: &dyn Store) -> Result<BTreeMap<Key, Record>, Error> {
    let mut all = BTreeMap::new();
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::SetAside) {
        let records = store.load(kind).await?;
        all.extend(records.into_iter().map(|record| (Key::new(kind, record.id.clone()), record)));
    }
    Ok(all)
}

impl Loaded {
    /// What is known of uploaded files.
    pub async fn assets(&mut self) -> Result<Vec<Asset>, Error> {
        let (mut assets, mut warnings) = (Vec::new(), Vec::new());
        for (key, record) in self.records.iter().filter(|(key, _)| key.kind == Kind::Asset) {
            match read_asset(key, &record.bytes) {
                Ok(asset) => assets.push(asset),
                Err(error) => warnings.push(self.is_no_good(key, record, error).await?),
            }
        }
        self.warnings.append(&mut warnings);
        Ok(assets)
    }

    /// Deletes all streams from the store, each with a copy set aside: for who wants to start from the show. How many.
    pub async fn forget_streams(&mut self) -> Result<usize, Error> {
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        let of_streams = self.records.extract_if(.., |key, _| Kind::OF_STREAMS.contains(&key.kind));
        let of_streams: Vec<_> = of_streams.collect();
        for (key, record) in &of_streams {
            set_aside(&*self.store, key, record).await?;
            self.store.delete(key.clone(), record.revision).await?;
        }
        Ok(of_streams.iter().filter(|(key, _)| key.kind == Kind::Stream).count())
    }

    /// Brings back what is of streams, before anything else is on air. The assets are there already.
    pub async fn restore(self, parts: &Parts) -> Result<Restored, Error> {
        let health = parts.streams.store_health();
        let (mut known, mut streams) = (BTreeMap::new(), Vec::new());
        for (key, record) in &self.records {
            known.insert(key.clone(), Known { revision: record.revision, bytes: record.bytes.clone() });
            if !Kind::OF_STREAMS.contains(&key.kind) {
                continue;
            }
            match parts.adopt(&Actor::daemon().into(), key, &record.bytes).await {
                Err(NotAdopted::Unreadable(error)) => {
                    health.warn([self.is_no_good(key, record, error).await?]);
                    continue;
                }
                Err(error) => tracing::error!(record = %key, %error, "restored, but not as it was"),
                Ok(()) => tracing::info!(record = %key, "restored"),
            }
            streams.extend((key.kind == Kind::Stream).then(|| key.id.clone()));
        }
        health.warn(self.warnings);
        let mut standing = health.lock();
        standing.store = Some(self.store.name());
        standing.problem = self.problem.as_ref().map(Error::to_string);
        Ok(Restored { store: self.store, known, streams })
    }

    /// A record that cannot be read is put aside, but what a later version wrote is not touched. What people are told.
    async fn is_no_good(&self, key: &Key, record: &Record, error: Unreadable) -> Result<String, Error> {
        match error {
            Unreadable::Newer(error) => Err(error),
            error => {
                tracing::error!(record = %key, %error, "not restored; the record is set aside");
                set_aside(&*self.store, key, record).await?;
                Ok(format!("{key}: {error}; it is set aside"))
            }
        }
    }
}

/// Copies a record to where nothing is written over it.
async fn set_aside(store: &dyn Store, key: &Key, record: &Record) -> Result<(), Error> {
    let name = format!("{}-{}-{}", record.revision, key.kind.name(), record.id);
    let name: String = name.chars().take(LEN_MAX).collect();
    let Ok(id) = Id::new(&name) else { return Ok(()) };
    let key = Key::new(Kind::SetAside, id);
    match store.put(Write { key, expected: None, above: 0, bytes: record.bytes.clone() }).await {
        // It is the same: nobody but us writes there, and by its revision.
        Ok(_) | Err(Error::Conflict { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

impl Keeper {
    /// Keeps these parts from now on.
    pub fn start(parts: Parts, restored: Restored) -> Self {
        let ending = CancellationToken::new();
        let Restored { store, known, .. } = restored;
        let worker = Worker {
            health: parts.streams.store_health().clone(),
            unkept: parts.streams.unkept().clone(),
            store,
            // What was made before this.
            dirty: parts.keys(),
            parts,
            known,
            news: News::default(),
            pause: PAUSE_MIN,
        };
        Self { task: tokio::spawn(worker.run(ending.clone())), ending }
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
    parts: Parts,
    /// Told by whoever changes something.
    unkept: Arc<Notices>,
    health: Arc<Health>,
    /// What the store has, as far as is known.
    known: BTreeMap<Key, Known>,
    /// Records that are not what they are to be.
    dirty: BTreeSet<Key>,
    /// What others may have written.
    news: News,
    /// Before the store is tried again.
    pause: Duration,
}

impl Worker {
    async fn run(mut self, ending: CancellationToken) {
        let (store, unkept) = (self.store.clone(), self.unkept.clone());
        // When there is something to do next.
        let mut due = Instant::now();
        loop {
            tokio::select! {
                changes = unkept.next() => {
                    let is_first = self.dirty.is_empty();
                    self.note(changes);
                    if is_first && self.health.lock().problem.is_none() {
                        due = Instant::now() + GATHER;
                    }
                }
                news = next_news(&*store) => {
                    self.news.join(news);
                    due = due.min(Instant::now() + self.retry_pause());
                }
                () = tokio::time::sleep_until(due) => due = Instant::now() + self.step().await,
                () = ending.cancelled() => break,
            }
        }
        self.finish().await;
    }

    /// No pause for a store that answers.
    fn retry_pause(&self) -> Duration {
        if self.health.lock().problem.is_some() { self.pause } else { Duration::ZERO }
    }

    /// Takes note of what is to be written.
    fn note(&mut self, changes: News) {
        self.dirty.extend(changes.keys);
        if changes.everything {
            // Which ones is not known.
            self.dirty.extend(self.known.keys().cloned());
            self.dirty.extend(self.parts.keys());
        }
        self.health.lock().pending = self.dirty.len();
    }

    /// Does what there is to do; when to come again.
    async fn step(&mut self) -> Duration {
        let done = self.work().await;
        let utc_ms = self.parts.streams.services().clock.utc_ms();
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
        if let Some(notices) = self.store.notices() {
            self.news.join(notices.take());
            if self.news == News::default() && self.dirty.is_empty() {
                self.look_for_losses().await?;
            }
        }
        if self.news.everything {
            let there = load_all(&*self.store).await?;
            let all: BTreeSet<_> =
                there.into_keys().chain(self.parts.keys()).chain(self.known.keys().cloned()).collect();
            for key in all {
                self.settle(&key).await?;
            }
            self.news = News::default();
        }
        while let Some(key) = self.news.keys.first().cloned() {
            self.settle(&key).await?;
            self.news.keys.remove(&key);
        }
        self.write_all().await
    }

    /// A store that lost what it had does not say so: it is asked for the streams. If one is not there, the rest may be
    /// gone, too.
    async fn look_for_losses(&mut self) -> Result<(), Error> {
        let writes = self.health.lock().writes;
        for key in self.parts.keys().into_iter().filter(|key| key.kind == Kind::Stream) {
            self.settle(&key).await?;
        }
        self.news.everything = self.health.lock().writes != writes;
        Ok(())
    }

    async fn write_all(&mut self) -> Result<(), Error> {
        let mut refused = None;
        for key in self.dirty.clone() {
            match self.write(&key).await {
                Ok(()) => drop(self.dirty.remove(&key)),
                Err(error @ Error::Unavailable { .. }) => return Err(error),
                Err(error) => drop(refused.get_or_insert(error)),
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Writes a record as it is to be now, or deletes it if it is not to be. If another was quicker, that one wins.
    async fn write(&mut self, key: &Key) -> Result<(), Error> {
        let expected = self.known.get(key).map(|known| known.revision);
        match self.put(key, expected).await {
            Err(Error::Conflict { .. }) => self.settle(key).await,
            done => done,
        }
    }

    async fn put(&mut self, key: &Key, expected: Option<u64>) -> Result<(), Error> {
        let known = self.known.get(key);
        let Some(bytes) = self.parts.kept(key) else {
            if let Some(expected) = expected {
                self.store.delete(key.clone(), expected).await?;
                self.health.lock().writes += 1;
            }
            self.known.remove(key);
            return Ok(());
        };
        if known.is_some_and(|known| known.bytes == bytes && Some(known.revision) == expected) {
            return Ok(());
        }
        let above = known.map_or(0, |known| known.revision);
        let revision = self.store.put(Write { key: key.clone(), expected, above, bytes: bytes.clone() }).await?;
        self.known.insert(key.clone(), Known { revision, bytes });
        self.health.lock().writes += 1;
        Ok(())
    }

    /// Looks who is right about a record, and does that.
    async fn settle(&mut self, key: &Key) -> Result<(), Error> {
        let found = self.store.get(key.clone()).await?;
        let known = self.known.get(key);
        match found {
            Found::Present(record) => match known {
                Some(known) if known.revision == record.revision && known.bytes == record.bytes => Ok(()),
                Some(known) if record.revision < known.revision => self.put(key, Some(record.revision)).await,
                // A call whose answer was lost had written it.
                _ if self.parts.kept(key).is_some_and(|bytes| bytes == record.bytes) => {
                    self.known.insert(key.clone(), Known { revision: record.revision, bytes: record.bytes });
                    Ok(())
                }
                _ => self.adopt(key, record).await,
            },
            Found::Deleted { revision } if known.is_some_and(|known| known.revision < revision) => {
                self.known.remove(key);
                self.dirty.remove(key);
                match self.parts.forget(&by_store(), key).await {
                    Ok(()) => self.health.lock().adopted += 1,
                    Err(error) => tracing::error!(record = %key, %error, "deleted elsewhere, but not here"),
                }
                Ok(())
            }
            Found::Deleted { .. } | Found::Missing => self.put(key, None).await,
        }
    }

    /// Takes over what another instance wrote.
    async fn adopt(&mut self, key: &Key, record: Record) -> Result<(), Error> {
        match self.parts.adopt(&by_store(), key, &record.bytes).await {
            Ok(()) => self.health.lock().adopted += 1,
            Err(NotAdopted::Unreadable(error)) => {
                tracing::error!(record = %key, %error, "what another instance wrote is set aside");
                set_aside(&*self.store, key, &record).await?;
                self.health.warn([format!("{key}, of another instance: {error}; it is set aside")]);
            }
            Err(error) => {
                self.health.lock().adopted += 1;
                tracing::error!(record = %key, %error, "what another instance wrote is not on air here as it is there");
            }
        }
        self.known.insert(key.clone(), Known { revision: record.revision, bytes: record.bytes });
        self.dirty.remove(key);
        Ok(())
    }

    /// What is not written yet is, if the store is there.
    async fn finish(mut self) {
        self.note(self.unkept.take());
        let flushed = tokio::time::timeout(FLUSH_PATIENCE, self.work()).await;
        match flushed.map_err(|_| Error::unavailable("it does not answer")).flatten() {
            Ok(()) => tracing::info!(store = self.store.name(), "the state is kept"),
            Err(error) => {
                tracing::error!(store = self.store.name(), %error, pending = self.dirty.len(), "the last changes are lost");
            }
        }
    }
}

fn by_store() -> By {
    Actor::store().into()
}

/// What others wrote; never, where there are none.
async fn next_news(store: &dyn Store) -> News {
    match store.notices() {
        Some(notices) => notices.next().await,
        None => std::future::pending().await,
    }
}
