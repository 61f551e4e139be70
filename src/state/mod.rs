//! The streams of the daemon: their documents, their revisions, and the pipelines that run them.
//!
//! One writer at a time for each stream: a mutation reads the document, makes a new one, waits until what it shows is
//! ready, puts it on air and only then becomes the document, one revision later. Readers never wait for a writer.
//! Documents live in memory; what survives the process is in `store`, which follows the feed of changes.

mod actor;
pub mod asrun;
pub mod assets;
mod control;
pub mod document;
mod draft;
mod dry_run;
mod feed;
mod following;
mod history;
mod locks;
pub mod op;
pub mod output;
pub mod recording;
pub mod rendition;
mod restore;
mod saved;
mod scenes;
mod schedule;
mod scheduler;
pub mod secrets;
mod single;
mod sound;
pub mod store;
mod transaction;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::{Mutex as WriterLock, OwnedMutexGuard, Semaphore, broadcast};

pub use self::{
    actor::{Actor, By},
    control::{Notice, Told},
    document::Document,
    draft::Item,
    feed::{Change, What},
    following::{Bitrates, Happenings},
    history::{REVISIONS_MAX, Record},
    locks::{LOCKS_MAX, Lock, SECONDS as LOCK_SECONDS},
    op::Op,
    saved::{SAVED_MAX, Saved},
    scenes::{Preview, Taken},
    schedule::{At, Due, Entry as Scheduled, Outcome, PENDING_MAX as SCHEDULED_MAX, Tally},
    scheduler::Scheduler,
    secrets::Secrets,
    single::Edit,
    sound::Mixed,
    transaction::{Done, OPS_MAX, Transaction},
};
use self::{
    control::Control,
    feed::Feed,
    history::History,
    single::{merged, replaced},
};
use crate::{
    audio::Reading,
    base::{clock::Clock, id::Id},
    output::{Network, Recordings, Stats},
    pipeline::{
        self, Applied, CaptureError, Devices, Report, StartError, Still,
        metrics::{Families, StreamMetrics},
        prepare::prepare,
    },
    scene::{
        LayerError, Moment, Scene, Show,
        animation::Event,
        check::{Problem, Problems},
    },
};

/// Most streams of a daemon.
pub const STREAMS_MAX: usize = 16;
/// How long a change waits for its pictures and texts. One that comes later shows when it is there.
const MEDIA_TIMEOUT: Duration = Duration::from_secs(5);
/// Pictures of scenes in preview that are rendered at the same time; more are refused.
const PREVIEWS_MAX: usize = 2;

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {what} `{id}`")]
    NotFound {
        /// `stream`, `scene`, `layer` or `output`.
        what: &'static str,
        /// What was asked for.
        id: String,
    },
    /// There is one already.
    #[error("there is a {what} `{id}` already")]
    Exists {
        /// `stream`, `scene`, `layer` or `output`.
        what: &'static str,
        /// Its id.
        id: Id,
    },
    /// There are as many as there may be.
    #[error("{limit} {what}s are the most there may be")]
    TooMany {
        /// `stream`, `scene`, `layer` or `output`.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// The layer cannot do that.
    #[error("there is no action `{name}` of a layer of type {type_name}: {}", use_one_of(allowed))]
    NoAction {
        /// What was asked for.
        name: String,
        /// The layer's type.
        type_name: &'static str,
        /// What there is.
        allowed: &'static [&'static str],
    },
    /// The document is wrong.
    #[error("{0}")]
    Invalid(#[from] Problems),
    /// The stream is not in a state for that.
    #[error("stream `{id}` is {state}: {fix}")]
    State {
        /// Which stream.
        id: Id,
        /// Its state.
        state: RunState,
        /// What to do about it.
        fix: &'static str,
    },
    /// Something else needs it.
    #[error("{what} `{id}` is in use: {by}")]
    InUse {
        /// `scene`.
        what: &'static str,
        /// Its id.
        id: Id,
        /// What needs it, and what to do about it.
        by: String,
    },
    /// Somebody else has changed it since it was read.
    #[error("the stream is at revision {actual}, not {expected}: read it anew and decide again")]
    Conflict {
        /// The revision that was asked for.
        expected: u64,
        /// The one that it has.
        actual: u64,
    },
    /// An op of a transaction was refused, and so the whole.
    #[error("op {index}: {source}")]
    InOp {
        /// Which one, from 0.
        index: usize,
        /// Why.
        source: Box<Error>,
    },
    /// Somebody else alone may change it for now.
    #[error(
        "layer `{}` of scene `{}` is locked by {} until {}: wait, or have an admin break the lock",
        .0.layer, .0.scene, .0.owner, utc(.0.expires_utc_ms)
    )]
    Locked(Lock),
    /// What was scheduled is over.
    #[error("scheduled transaction `{id}` is {how} already: there is nothing to cancel")]
    Over {
        /// Its number.
        id: u64,
        /// How it ended.
        how: &'static str,
    },
    /// There is nothing to take back, or to make again.
    #[error("{0}")]
    NothingTo(&'static str),
    /// There is no scene to show before it goes on air.
    #[error("no scene is in preview: put one there first")]
    NoPreview,
    /// The pipeline did not start.
    #[error("stream `{id}` did not start: {source}")]
    Start {
        /// Which stream.
        id: Id,
        /// What failed.
        source: StartError,
    },
    /// There is no still.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// Something that cannot fail did.
    #[error("internal: {0}")]
    Internal(String),
}

fn utc(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |time| time.to_string())
}

fn use_one_of(allowed: &[&str]) -> String {
    if allowed.is_empty() { "it has none".into() } else { format!("use {}", allowed.join(", ")) }
}

/// Where a stream stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// Nothing runs.
    Stopped,
    /// Picture and sound flow.
    Running,
    /// They flow, and the picture stands still.
    Paused,
    /// The last start failed.
    Failed,
}

impl std::fmt::Display for RunState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Failed => "failed",
        })
    }
}

/// What a mutation answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Receipt<T> {
    /// The document's revision after it.
    pub revision: u64,
    /// The first frame that shows it; none while the stream is stopped or paused.
    pub applied: Option<Applied>,
    /// By whom.
    pub actor: Actor,
    /// When, in milliseconds since 1970 UTC.
    pub at_utc_ms: i64,
    /// What was changed, as it is now.
    pub item: T,
}

impl<T> Receipt<T> {
    /// The same of another item.
    fn map<U>(self, with: impl FnOnce(T) -> U) -> Receipt<U> {
        let Self { revision, applied, actor, at_utc_ms, item } = self;
        Receipt { revision, applied, actor, at_utc_ms, item: with(item) }
    }
}

/// A stream's document with what is known of its run.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The document.
    pub document: Arc<Document>,
    /// Its revision, from 1.
    pub revision: u64,
    /// Where it stands.
    pub state: RunState,
}

/// What a running stream shows of itself.
#[derive(Debug, Clone)]
pub struct Live {
    /// Time since it was started.
    pub uptime: Duration,
    /// Counters.
    pub metrics: StreamMetrics,
    /// Its renditions, the main one first.
    pub renditions: Vec<Report>,
    /// Layers that cannot be shown.
    pub layer_errors: Vec<LayerError>,
    /// What its meters showed in the last second.
    pub sound: Reading,
    /// What animations told last, oldest first.
    pub animation_events: Vec<Event>,
    /// Layers that are shown, but not as they should be.
    pub layer_warnings: Vec<LayerError>,
}

impl Live {
    /// Every output, with the rendition that it gets.
    pub fn outputs(&self) -> impl Iterator<Item = (&Id, &Stats)> {
        self.renditions.iter().flat_map(|rendition| rendition.outputs.iter().map(|output| (&rendition.id, output)))
    }
}

/// What all streams are made with.
#[derive(Debug, Clone)]
pub struct Services {
    /// GPU, pictures, fonts.
    pub devices: Arc<Devices>,
    /// The daemon's clock.
    pub clock: Arc<dyn Clock>,
    /// The pipeline's metrics.
    pub families: Families,
    /// Where outputs run, and whom they trust.
    pub network: Network,
    /// Where references to stream keys and passwords lead.
    pub secrets: Secrets,
    /// Where recordings lie, if there may be any.
    pub recordings: Option<Recordings>,
}

/// All streams of the daemon.
#[derive(Debug)]
pub struct Streams {
    services: Services,
    entries: Mutex<BTreeMap<Id, Arc<Entry>>>,
    feed: Feed,
    previews: Semaphore,
    health: Arc<store::keeper::Health>,
}

#[derive(Debug)]
struct Entry {
    /// Held by whoever changes the stream, also while it waits. Taken before `current`, never after.
    writer: Arc<WriterLock<()>>,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    document: Arc<Document>,
    revision: u64,
    stream: Option<pipeline::Stream>,
    has_failed: bool,
    /// The course of a run that was to go on and could not: its times are in the document until it starts or is stopped.
    cut_off: Option<pipeline::Course>,
    history: History,
    saved: saved::Shelf,
    control: Control,
    feed: Feed,
    clock: Arc<dyn Clock>,
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the run, if there is one: outputs properly, then threads. For the stream's writer.
    async fn end_run(&self) {
        let (stream, cut_off) = {
            let mut current = self.lock();
            (current.stream.take(), current.cut_off.take())
        };
        let elapsed = match (stream, cut_off) {
            (Some(stream), _) => {
                let elapsed = stream.elapsed();
                stream.stop().await;
                elapsed
            }
            (None, Some(course)) => {
                let current = self.lock();
                course.moment_at(current.clock.utc_ms(), current.document.show.canvas.fps).elapsed
            }
            (None, None) => return,
        };
        // The next run begins its time anew.
        let mut current = self.lock();
        current.document = Arc::new(current.document.settled(elapsed));
        current.history.settle(elapsed);
        let utc_ms = current.clock.utc_ms();
        current.control.end_run(utc_ms);
    }
}

impl Current {
    fn state(&self) -> RunState {
        match &self.stream {
            Some(stream) if stream.is_paused() => RunState::Paused,
            Some(_) => RunState::Running,
            None if self.has_failed => RunState::Failed,
            None => RunState::Stopped,
        }
    }

    /// The document as it is now, without the takes and fades that are over.
    fn document(&self) -> Arc<Document> {
        let Some(stream) = &self.stream else { return self.document.clone() };
        let show = self.document.show.caught_up(stream.elapsed());
        let mix = self.document.audio.mix.caught_up(stream.next_sample());
        if show.is_none() && mix.is_none() {
            return self.document.clone();
        }
        let mut document = (*self.document).clone();
        document.show = show.map_or(document.show, Arc::new);
        document.audio.mix = mix.map_or(document.audio.mix, Arc::new);
        Arc::new(document)
    }

    /// Says that nothing was to be done.
    fn unchanged(&self, by: &By) -> Receipt<Snapshot> {
        let applied = self.stream.as_ref().map(pipeline::Stream::next_frame);
        Receipt {
            revision: self.revision,
            applied,
            actor: by.actor.clone(),
            at_utc_ms: self.clock.utc_ms(),
            item: snapshot(self),
        }
    }

    /// Announces what has been done.
    fn announce(&self, by: &By, what: What, applied: Option<Applied>) -> Receipt<Snapshot> {
        self.announce_ops(by, what, applied, Arc::default())
    }

    fn announce_ops(&self, by: &By, what: What, applied: Option<Applied>, ops: Arc<[String]>) -> Receipt<Snapshot> {
        let (snapshot, at_utc_ms) = (snapshot(self), self.clock.utc_ms());
        self.feed.announce(Change {
            stream: self.document.id.clone(),
            revision: self.revision,
            what,
            snapshot: snapshot.clone(),
            applied,
            ops,
            actor: by.actor.clone(),
            at_utc_ms,
        });
        Receipt { revision: self.revision, applied, actor: by.actor.clone(), at_utc_ms, item: snapshot }
    }
}

impl Streams {
    /// No streams yet.
    pub fn new(services: Services) -> Self {
        Self {
            services,
            entries: Mutex::default(),
            feed: Feed::new(),
            previews: Semaphore::new(PREVIEWS_MAX),
            health: Arc::default(),
        }
    }

    /// Which records are not what is kept any more: told by whoever changes what they hold.
    pub fn unkept(&self) -> &Arc<store::Notices> {
        self.feed.unkept()
    }

    /// How it stands with what is kept of the streams.
    pub fn store_health(&self) -> &Arc<store::keeper::Health> {
        &self.health
    }

    /// What streams are made with.
    pub fn services(&self) -> &Services {
        &self.services
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<Id, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, id: &str) -> Result<Arc<Entry>, Error> {
        self.entries().get(id).cloned().ok_or_else(|| not_found("stream", id))
    }

    /// A stream for its only writer, who may have to wait for the one before.
    async fn write(&self, by: &By, id: &str) -> Result<(Arc<Entry>, OwnedMutexGuard<()>), Error> {
        let entry = self.entry(id)?;
        let writing = entry.writer.clone().lock_owned().await;
        // The one before may have deleted it.
        if !Arc::ptr_eq(&self.entry(id)?, &entry) {
            return Err(not_found("stream", id));
        }
        let actual = entry.lock().revision;
        by.expect(actual).map(|()| (entry, writing))
    }

    /// What happens to streams from now on. Whoever falls behind is told so, and begins anew with [`Self::list`].
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.feed.follow()
    }

    /// All streams, by id.
    pub fn list(&self) -> Vec<Snapshot> {
        let entries: Vec<_> = self.entries().values().cloned().collect();
        entries.iter().map(|entry| snapshot(&entry.lock())).collect()
    }

    /// One stream.
    pub fn get(&self, id: &str) -> Result<Snapshot, Error> {
        Ok(snapshot(&self.entry(id)?.lock()))
    }

    /// What a stream's run shows of itself; `None` when it does not run.
    pub fn live(&self, id: &str) -> Result<Option<Live>, Error> {
        let entry = self.entry(id)?;
        let current = entry.lock();
        Ok(current.stream.as_ref().map(|stream| Live {
            uptime: stream.uptime(),
            metrics: stream.metrics().clone(),
            renditions: stream.renditions(),
            sound: stream.sound_levels(),
            layer_errors: stream.layer_errors(),
            animation_events: stream.animation_events(),
            layer_warnings: stream.layer_warnings(),
        }))
    }

    /// Adds a stream and starts it if its document says so. A stream that does not start is there all the same.
    pub async fn create(&self, by: &By, document: Document) -> Result<Receipt<Snapshot>, Error> {
        let id = document.id.clone();
        let auto_start = document.auto_start;
        let entry = self.off_air(by, "create", Arc::new(document), 1, Control::default());
        self.place(id.clone(), &entry)?;
        let created = entry.lock().announce(by, What::Created, None);
        if auto_start { self.start(&by.actor.clone().into(), id.as_str()).await } else { Ok(created) }
    }

    /// A stream that is not on air, with nothing behind it; `op` is how it comes.
    fn off_air(&self, by: &By, op: &str, document: Arc<Document>, revision: u64, control: Control) -> Arc<Entry> {
        let clock = self.services.clock.clone();
        let first = Record {
            revision,
            actor: by.actor.clone(),
            at_utc_ms: clock.utc_ms(),
            ops: [op.to_owned()].into(),
            applied: None,
            document: document.clone(),
        };
        let current = Current {
            document,
            revision,
            stream: None,
            has_failed: false,
            cut_off: None,
            history: History::new(first),
            saved: saved::Shelf::new(),
            control,
            feed: self.feed.clone(),
            clock,
        };
        Arc::new(Entry { writer: Arc::default(), current: Mutex::new(current) })
    }

    /// Puts a stream among the others, where there is room for it.
    fn place(&self, id: Id, entry: &Arc<Entry>) -> Result<(), Error> {
        let mut entries = self.entries();
        if entries.contains_key(&id) {
            return Err(Error::Exists { what: "stream", id });
        }
        if entries.len() >= STREAMS_MAX {
            return Err(Error::TooMany { what: "stream", limit: STREAMS_MAX });
        }
        entries.insert(id, entry.clone());
        Ok(())
    }

    /// Stops a stream and forgets it.
    pub async fn delete(&self, by: &By, id: &str) -> Result<(), Error> {
        let (entry, _writing) = self.write(by, id).await?;
        entry.end_run().await;
        self.entries().remove(id);
        let current = entry.lock();
        self.forget_metrics(&current.document);
        current.announce(by, What::Deleted, None);
        Ok(())
    }

    fn forget_metrics(&self, document: &Document) {
        let families = &self.services.families;
        families.forget(&document.id);
        document.encoders().for_each(|(rendition, _)| families.forget_rendition(&document.id, &rendition));
    }

    /// Starts a stream, or goes on with one that was cut off; one that runs stays as it is.
    pub async fn start(&self, by: &By, id: &str) -> Result<Receipt<Snapshot>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        if entry.lock().stream.is_some() {
            return Ok(entry.lock().unchanged(by));
        }
        let course = entry.lock().cut_off;
        let started = self.run(&entry, course).await;
        let current = entry.lock();
        let applied = current.stream.as_ref().map(pipeline::Stream::next_frame);
        let done = current.announce(by, What::Run, applied);
        started.map(|()| done)
    }

    /// Opens the pipeline of a stream that does not run, anew or where its course is by now; the caller holds its writer's
    /// lock.
    async fn run(&self, entry: &Entry, course: Option<pipeline::Course>) -> Result<(), Error> {
        let document = entry.lock().document.clone();
        let deadline = self.services.clock.now() + MEDIA_TIMEOUT;
        self.ready((*document.show).clone(), self.moment_of(&document, course), deadline).await?;
        let Services { devices, clock, families, .. } = self.services.clone();
        let config = document.pipeline_config();
        let start = move || pipeline::Stream::resume(config, course, devices, clock, &families);
        let started = tokio::task::spawn_blocking(start).await.map_err(|error| Error::Internal(error.to_string()))?;
        let mut current = entry.lock();
        current.has_failed = started.is_err();
        current.cut_off = course.filter(|_| started.is_err());
        let stream = started.map_err(|source| Error::Start { id: document.id.clone(), source })?;
        let Services { secrets, recordings, network, .. } = &self.services;
        for output in document.outputs.iter().filter(|output| output.is_enabled()) {
            match output.target(&document.id, secrets, recordings.as_ref()) {
                Ok(target) => stream.add_output(target, output.rendition(), network),
                // A recording that has no place, say; the other outputs go on.
                Err(error) => tracing::error!(output = %output.id(), %error, "output not started"),
            }
        }
        current.stream = Some(stream);
        Ok(())
    }

    /// Ends a stream's outputs properly and its threads; one that does not run stays as it is.
    pub async fn stop(&self, by: &By, id: &str) -> Result<Receipt<Snapshot>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        if entry.lock().state() == RunState::Stopped {
            return Ok(entry.lock().unchanged(by));
        }
        entry.end_run().await;
        let mut current = entry.lock();
        current.has_failed = false;
        Ok(current.announce(by, What::Run, None))
    }

    /// Freezes the picture of a running stream, or releases it.
    pub async fn set_paused(&self, by: &By, id: &str, is_paused: bool) -> Result<Receipt<Snapshot>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        let current = entry.lock();
        let Some(stream) = &current.stream else {
            let fix = "start it first";
            return Err(Error::State { id: current.document.id.clone(), state: current.state(), fix });
        };
        if stream.is_paused() == is_paused {
            return Ok(current.unchanged(by));
        }
        let applied = stream.set_paused(is_paused);
        Ok(current.announce(by, What::Run, Some(applied)))
    }

    /// Stops a stream, forgets its counters and starts it anew with the same document.
    pub async fn reset(&self, by: &By, id: &str) -> Result<Receipt<Snapshot>, Error> {
        let stopped = self.stop(by, id).await?;
        self.forget_metrics(&stopped.item.document);
        self.start(&by.actor.clone().into(), id).await
    }

    /// Stops all streams, at the same time. That is the daemon's end and no change of theirs: it is not announced.
    pub async fn stop_all(&self) {
        let entries: Vec<_> = self.entries().values().cloned().collect();
        let streams: Vec<_> = entries.iter().filter_map(|entry| entry.lock().stream.take()).collect();
        let mut goodbyes = tokio::task::JoinSet::new();
        streams.into_iter().for_each(|stream| drop(goodbyes.spawn(stream.stop())));
        goodbyes.join_all().await;
    }

    /// The picture on air.
    pub async fn capture(&self, id: &str) -> Result<Still, Error> {
        let entry = self.entry(id)?;
        let capture = {
            let current = entry.lock();
            let Some(stream) = &current.stream else {
                let fix = "start it first";
                return Err(Error::State { id: current.document.id.clone(), state: current.state(), fix });
            };
            stream.capture()
        };
        Ok(capture.await?)
    }

    /// Waits until the media of what is on air at `moment` is there; says what is broken.
    async fn ready(&self, show: Show, moment: Moment, deadline: Duration) -> Result<Vec<LayerError>, Error> {
        let library = self.services.devices.library.clone();
        let timeout = deadline.saturating_sub(self.services.clock.now());
        let work = move || prepare(&show, moment, &library, timeout).errors;
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
    }

    /// Now, as a stream's contents see it; one that does not run is at its start.
    fn moment(&self, current: &Current) -> Moment {
        let elapsed = current.stream.as_ref().map_or(Duration::ZERO, pipeline::Stream::elapsed);
        Moment { elapsed, utc_ms: self.services.clock.utc_ms() }
    }
}

impl Streams {
    /// Whether all that the references of a document's enabled outputs lead to is there now.
    pub fn check_secrets(&self, document: &Document) -> Result<(), Error> {
        for (i, output) in document.outputs.iter().enumerate().filter(|(_, output)| output.is_enabled()) {
            let checked = output.check_secrets(&self.services.secrets);
            checked.map_err(|error| Problems::from(error).under(&format!("/outputs/{i}")))?;
        }
        Ok(())
    }
}

/// Whose layers are meant.
#[derive(Debug, Clone, Copy)]
pub struct LayersOf<'a> {
    /// The stream's id.
    pub stream: &'a str,
    /// The scene's id; none: the one on air.
    pub scene: Option<&'a str>,
}

impl LayersOf<'_> {
    /// The scene in this show.
    pub fn scene_in<'s>(&self, show: &'s Show) -> Result<&'s Scene, Error> {
        match self.scene {
            None => Ok(show.on_air()),
            Some(id) => show.scene(id).map(|scene| &**scene).ok_or_else(|| not_found("scene", id)),
        }
    }
}

fn snapshot(current: &Current) -> Snapshot {
    Snapshot { document: current.document(), revision: current.revision, state: current.state() }
}

fn not_found(what: &'static str, id: &str) -> Error {
    Error::NotFound { what, id: id.into() }
}

fn fixed(pointer: &str, message: &str) -> Error {
    Error::Invalid(Problem { pointer: pointer.into(), message: message.into() }.into())
}

/// Whether the pipeline cannot follow the change while it runs.
fn needs_restart(before: &Document, after: &Document) -> bool {
    let (was, is) = (&before.show.canvas, &after.show.canvas);
    (was.size, was.fps) != (is.size, is.fps)
        || !before.encoder.is_alike(&after.encoder)
        || before.renditions.len() != after.renditions.len()
        || before.renditions.iter().zip(&after.renditions).any(|(was, is)| !was.is_alike(is))
        || before.audio.bitrate_kbps != after.audio.bitrate_kbps
}
