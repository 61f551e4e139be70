//! The streams of the daemon: their documents, their revisions, and the pipelines that run them.
//!
//! One writer at a time for each stream: a mutation reads the document, makes a new one, waits until what it shows is
//! ready, puts it on air and only then becomes the document, one revision later. Readers never wait for a writer.
//! Documents live in memory; a store that survives the process is not here yet.

mod actor;
pub mod asrun;
pub mod assets;
pub mod document;
mod feed;
mod following;
pub mod output;
pub mod rendition;
mod scenes;
pub mod secrets;
mod sound;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Mutex as WriterLock, OwnedMutexGuard, Semaphore, broadcast};

use self::feed::Feed;
pub use self::{
    actor::{Actor, By},
    document::Document,
    feed::{Change, What},
    following::Happenings,
    scenes::{Preview, Taken},
    secrets::Secrets,
    sound::Mixed,
};
use crate::{
    audio::{Opened, Reading},
    base::{clock::Clock, id::Id},
    output::{Network, Stats},
    pipeline::{
        self, Applied, CaptureError, Devices, Heard, Report, StartError, Still,
        metrics::{Families, StreamMetrics},
        prepare::{missing_fonts, prepare},
    },
    scene::{
        LAYERS_MAX, Layer, LayerError, Moment, Scene, Show,
        animation::Event,
        check::{Check, Problem, Problems},
        content::{Action, Refused},
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
}

/// All streams of the daemon.
#[derive(Debug)]
pub struct Streams {
    services: Services,
    entries: Mutex<BTreeMap<Id, Arc<Entry>>>,
    feed: Feed,
    previews: Semaphore,
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
    feed: Feed,
    clock: Arc<dyn Clock>,
}

impl Entry {
    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the run, if there is one: outputs properly, then threads. For the stream's writer.
    async fn end_run(&self) {
        let Some(stream) = self.lock().stream.take() else { return };
        let elapsed = stream.elapsed();
        stream.stop().await;
        // The next run begins its time anew.
        let mut current = self.lock();
        let mut document = (*current.document).clone();
        document.show = Arc::new(document.show.settled(elapsed));
        document.audio.mix = Arc::new(document.audio.mix.settled());
        current.document = Arc::new(document);
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
            at_utc_ms: self.utc_ms(),
            item: snapshot(self),
        }
    }

    fn utc_ms(&self) -> i64 {
        self.clock.utc_ms_at(self.clock.now())
    }

    /// Announces what has been done.
    fn announce(&self, by: &By, what: What, applied: Option<Applied>) -> Receipt<Snapshot> {
        let (snapshot, at_utc_ms) = (snapshot(self), self.utc_ms());
        self.feed.announce(Change {
            stream: self.document.id.clone(),
            revision: self.revision,
            what,
            snapshot: snapshot.clone(),
            applied,
            actor: by.actor.clone(),
            at_utc_ms,
        });
        Receipt { revision: self.revision, applied, actor: by.actor.clone(), at_utc_ms, item: snapshot }
    }

    /// Makes `document` the current one and puts its show on air.
    fn commit<T>(&mut self, by: &By, document: Document, item: T) -> Receipt<T> {
        self.commit_with(by, None, |_| (document, item))
    }

    /// Puts the mix of `document` on air, with the times at which its fades begin, which are written into it; none where
    /// nothing runs. For who commits the document next.
    fn put_mix(&self, document: &mut Document, opened: Vec<Opened>) -> Option<Heard> {
        let stream = self.stream.as_ref()?;
        let mix = (*document.audio.mix).clone();
        let (heard, mix) = stream.set_mix(opened, |sample| {
            let mix = Arc::new(mix.following(&self.document.audio.mix, sample));
            (mix.clone(), mix)
        });
        document.audio.mix = mix;
        Some(heard)
    }

    /// [`Self::commit`] of a document that is made, with what is answered, from the time elapsed of the first frame that
    /// shows it; a stream that does not run has no such time.
    ///
    /// Where it was heard on air already, the change is there when both picture and sound are.
    fn commit_with<T>(
        &mut self,
        by: &By,
        heard: Option<Heard>,
        make: impl FnOnce(Option<Duration>) -> (Document, T),
    ) -> Receipt<T> {
        let ((document, item), applied) = match &self.stream {
            None => (make(None), None),
            Some(stream) => {
                let (applied, made) = stream.set_show(|elapsed| {
                    let made = make(Some(elapsed));
                    (made.0.show.clone(), made)
                });
                // A paused picture shows the change when it is released, which is not known.
                (made, (!stream.is_paused()).then_some(applied))
            }
        };
        self.document = Arc::new(document);
        self.revision += 1;
        let heard = heard.map(|heard| heard.applied);
        let applied = applied.into_iter().chain(heard).max_by_key(|applied| applied.frame);
        self.announce(by, What::Document, applied).map(|_| item)
    }
}

impl Streams {
    /// No streams yet.
    pub fn new(services: Services) -> Self {
        Self { services, entries: Mutex::default(), feed: Feed::new(), previews: Semaphore::new(PREVIEWS_MAX) }
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
        match by.if_revision {
            Some(expected) if expected != actual => Err(Error::Conflict { expected, actual }),
            _ => Ok((entry, writing)),
        }
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
        let current = Current {
            document: Arc::new(document),
            revision: 1,
            stream: None,
            has_failed: false,
            feed: self.feed.clone(),
            clock: self.services.clock.clone(),
        };
        let entry = Arc::new(Entry { writer: Arc::default(), current: Mutex::new(current) });
        {
            let mut entries = self.entries();
            if entries.contains_key(&id) {
                return Err(Error::Exists { what: "stream", id });
            }
            if entries.len() == STREAMS_MAX {
                return Err(Error::TooMany { what: "stream", limit: STREAMS_MAX });
            }
            entries.insert(id.clone(), entry.clone());
        }
        let created = entry.lock().announce(by, What::Created, None);
        if auto_start { self.start(&by.actor.clone().into(), id.as_str()).await } else { Ok(created) }
    }

    /// Changes name, encoder, sound or canvas by a merge patch. Of a running stream only name, `layerErrors`, the
    /// canvas's background, the mix and the bitrate of the picture can be changed.
    pub async fn patch(&self, by: &By, id: &str, patch: &Value) -> Result<Receipt<Snapshot>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        let before = entry.lock().document();
        let mut document = before.patched(patch)?;
        if document.id != before.id {
            return Err(fixed("/id", "the id of a stream does not change"));
        }
        let is_mixed = document.audio.mix != before.audio.mix;
        let opened = if is_mixed { self.open_sources(&entry, &document.audio.mix).await? } else { Vec::new() };
        let mut current = entry.lock();
        if current.stream.is_some() && needs_restart(&before, &document) {
            let fix = "stop it to change canvas, renditions, codec, keyframe interval or the sound's bitrate";
            return Err(Error::State { id: document.id, state: current.state(), fix });
        }
        if let Some(stream) = &current.stream {
            document.encoders().for_each(|(id, encoder)| {
                stream.set_bitrate(&id, encoder.bitrate_kbps, encoder.adaptive_bitrate);
            });
        }
        let gone: Vec<_> = before.encoders().filter(|(id, _)| !document.has_rendition(id)).collect();
        gone.iter().for_each(|(rendition, _)| self.services.families.forget_rendition(&document.id, rendition));
        let heard = is_mixed.then(|| current.put_mix(&mut document, opened)).flatten();
        let done = current.commit_with(by, heard, |_| (document, ()));
        Ok(done.map(|()| snapshot(&current)))
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

    /// Starts a stream; one that runs stays as it is.
    pub async fn start(&self, by: &By, id: &str) -> Result<Receipt<Snapshot>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        if entry.lock().stream.is_some() {
            return Ok(entry.lock().unchanged(by));
        }
        let started = self.run(&entry).await;
        let current = entry.lock();
        let applied = current.stream.as_ref().map(pipeline::Stream::next_frame);
        let done = current.announce(by, What::Run, applied);
        started.map(|()| done)
    }

    /// Opens the pipeline of a stream that does not run; the caller holds its writer's lock.
    async fn run(&self, entry: &Entry) -> Result<(), Error> {
        let document = entry.lock().document.clone();
        self.ready((*document.show).clone(), Moment::START).await?;
        let Services { devices, clock, families, .. } = self.services.clone();
        let config = document.pipeline_config();
        let start = move || pipeline::Stream::start(config, devices, clock, &families);
        let started = tokio::task::spawn_blocking(start).await.map_err(|error| Error::Internal(error.to_string()))?;
        let mut current = entry.lock();
        current.has_failed = started.is_err();
        let stream = started.map_err(|source| Error::Start { id: document.id.clone(), source })?;
        for output in document.outputs.iter().filter(|output| output.enabled) {
            match output.spec(&self.services.secrets) {
                Ok(spec) => stream.add_output(spec, &output.rendition, &self.services.network),
                // Nothing that was read from a document comes here; should it, the other outputs go on.
                Err(error) => tracing::error!(output = %output.id, %error, "output not started"),
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
    async fn ready(&self, show: Show, moment: Moment) -> Result<Vec<LayerError>, Error> {
        let library = self.services.devices.library.clone();
        let work = move || prepare(&show, moment, &library, MEDIA_TIMEOUT).errors;
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
    }

    /// Now, as a stream's contents see it; one that does not run is at its start.
    fn moment(&self, current: &Current) -> Moment {
        let clock = &self.services.clock;
        let elapsed = current.stream.as_ref().map_or(Duration::ZERO, pipeline::Stream::elapsed);
        Moment { elapsed, utc_ms: clock.utc_ms_at(clock.now()) }
    }

    /// Waits until a scene can go on air at `moment`. Its layer `edited` is refused if it cannot be shown.
    async fn admit(&self, show: &Show, scene: &Id, edited: Option<&Id>, moment: Moment) -> Result<(), Error> {
        let layer = edited.zip(show.scene(scene.as_str())).and_then(|(id, scene)| scene.layer(id.as_str()));
        if let Some(message) = layer.and_then(|layer| missing_fonts(layer, &self.services.devices.library)) {
            return Err(fixed("/content/font", &message));
        }
        let errors = self.ready(show.showing(scene), moment).await?;
        match errors.into_iter().find(|error| Some(&error.layer) == edited) {
            Some(error) => Err(fixed("/content", &error.message)),
            None => Ok(()),
        }
    }

    /// Changes a stream's layers: `edit` makes the new ones and names the layer it is about, which is answered as it goes
    /// on air: on its way from the one it was.
    async fn edit_layers(
        &self,
        by: &By,
        of: LayersOf<'_>,
        edit: impl FnOnce(&mut Vec<Layer>) -> Result<Option<Id>, Error>,
    ) -> Result<Receipt<Option<Layer>>, Error> {
        let (entry, _writing) = self.write(by, of.stream).await?;
        let mut document = (*entry.lock().document()).clone();
        let before = document.show.clone();
        let mut show = (*before).clone();
        let scene_id = of.scene_in(&show)?.id.clone();
        let scene = show.scene_mut(scene_id.as_str()).ok_or_else(|| not_found("scene", scene_id.as_str()))?;
        let edited = edit(&mut scene.layers)?;
        // The layer's own place is all that a layer's document has.
        show.check().map_err(|problems| fixed("/content", &problems.0[0].message))?;
        let moment = self.moment(&entry.lock());
        self.admit(&show, &scene_id, edited.as_ref(), moment).await?;
        let is_on_air = show.on_air().id == scene_id;
        let receipt = entry.lock().commit_with(by, None, |elapsed| {
            let layer = edited.and_then(|id| {
                let layers = &mut show.scene_mut(scene_id.as_str())?.layers;
                let layer = layers.iter_mut().find(|layer| layer.id == id)?;
                let was = before.scene(scene_id.as_str()).and_then(|scene| scene.layer(id.as_str()));
                *layer = layer.clone().following(was, elapsed.filter(|_| is_on_air));
                Some(layer.clone())
            });
            document.show = Arc::new(show);
            (document, layer)
        });
        Ok(receipt)
    }

    /// Adds a layer. Without a `zIndex` it comes on top.
    pub async fn create_layer(&self, by: &By, of: LayersOf<'_>, mut value: Value) -> Result<Receipt<Layer>, Error> {
        self.edit_layers(by, of, move |layers| {
            if let Some(fields) = value.as_object_mut()
                && !fields.contains_key("zIndex")
            {
                let top = layers.iter().map(|layer| layer.z_index).max().map_or(0, |top| top.saturating_add(1));
                fields.insert("zIndex".into(), top.into());
            }
            let layer = Layer::read(value)?;
            if layers.iter().any(|other| other.id == layer.id) {
                return Err(Error::Exists { what: "layer", id: layer.id });
            }
            if layers.len() == LAYERS_MAX {
                return Err(Error::TooMany { what: "layer", limit: LAYERS_MAX });
            }
            let id = layer.id.clone();
            layers.push(layer);
            Ok(Some(id))
        })
        .await
        .and_then(edited)
    }

    /// Replaces a layer's document, or merges a patch into it.
    pub async fn change_layer(
        &self,
        by: &By,
        of: LayersOf<'_>,
        layer_id: &str,
        change: Edit,
    ) -> Result<Receipt<Layer>, Error> {
        let layer_id = layer_id.to_owned();
        self.edit_layers(by, of, move |layers| {
            let layer = find_layer(layers, &layer_id)?;
            let changed = Layer::read(change.apply(layer, &layer.id)?)?;
            if changed.id != layer.id {
                return Err(fixed("/id", "the id of a layer does not change"));
            }
            *layer = changed;
            Ok(Some(layer.id.clone()))
        })
        .await
        .and_then(edited)
    }

    /// Lets a layer act. It is done twice: first to wait for what it shows, then with the time of the first frame that
    /// shows it, which the content writes into its document.
    pub async fn act_on_layer(
        &self,
        by: &By,
        of: LayersOf<'_>,
        layer_id: &str,
        name: &str,
        arguments: Value,
    ) -> Result<Receipt<Layer>, Error> {
        let (entry, _writing) = self.write(by, of.stream).await?;
        let (before, moment) = {
            let current = entry.lock();
            (current.document(), self.moment(&current))
        };
        let mut action = Action { name: name.into(), arguments, moment };
        let scene_id = of.scene_in(&before.show)?.id.clone();
        let draft = before.acted(&scene_id, layer_id, &action)?;
        // At the time that is written, what comes at that time is there.
        let written = Moment { elapsed: Duration::from_millis(action.elapsed_ms()), ..moment };
        self.admit(&draft.0.show, &scene_id, Some(&draft.1.id), written).await?;
        let mut current = entry.lock();
        Ok(current.commit_with(by, None, |elapsed| {
            action.moment.elapsed = elapsed.unwrap_or_default();
            // What was good at the moment before is taken where the time has gone over it.
            before.acted(&scene_id, layer_id, &action).unwrap_or(draft)
        }))
    }

    /// Takes a layer away.
    pub async fn delete_layer(&self, by: &By, of: LayersOf<'_>, layer_id: &str) -> Result<Receipt<()>, Error> {
        let layer_id = layer_id.to_owned();
        self.edit_layers(by, of, move |layers| {
            find_layer(layers, &layer_id)?;
            layers.retain(|layer| layer.id.as_str() != layer_id);
            Ok(None)
        })
        .await
        .map(|done| done.map(|_| ()))
    }

    /// Whether all that the references of a document's enabled outputs lead to is there now.
    pub fn check_secrets(&self, document: &Document) -> Result<(), Error> {
        for (i, output) in document.outputs.iter().enumerate().filter(|(_, output)| output.enabled) {
            let checked = output.check_secrets(&self.services.secrets);
            checked.map_err(|error| Problems::from(error).under(&format!("/outputs/{i}")))?;
        }
        Ok(())
    }

    /// Changes a stream's outputs: `edit` makes the new ones and names the output it is about.
    async fn edit_outputs<T>(
        &self,
        by: &By,
        id: &str,
        edit: impl FnOnce(&mut Vec<output::Output>) -> Result<(Id, T), Error>,
    ) -> Result<Receipt<T>, Error> {
        let (entry, _writing) = self.write(by, id).await?;
        let mut document = (*entry.lock().document()).clone();
        let (edited, item) = edit(&mut document.outputs)?;
        let output = document.outputs.iter().find(|output| output.id == edited && output.enabled);
        let mut check = Check::default();
        output.into_iter().for_each(|output| document.check_output(output, &mut check));
        check.finish()?;
        let secrets = &self.services.secrets;
        let spec = output.map(|output| {
            output.check_secrets(secrets)?;
            Ok((output.spec(secrets)?, output.rendition.clone()))
        });
        let spec = spec.transpose().map_err(|error: output::InvalidOutput| Problems::from(error))?;
        let mut current = entry.lock();
        if let Some(stream) = &current.stream {
            match spec {
                Some((spec, rendition)) => stream.add_output(spec, &rendition, &self.services.network),
                None => drop(self.services.network.runtime.spawn(stream.remove_output(&edited))),
            }
        }
        Ok(current.commit(by, document, item))
    }

    /// Adds an output, and publishes to it if it is enabled and the stream runs.
    pub async fn create_output(&self, by: &By, id: &str, value: Value) -> Result<Receipt<output::Output>, Error> {
        let output = output::Output::read(value)?;
        self.edit_outputs(by, id, move |outputs| {
            if outputs.iter().any(|other| other.id == output.id) {
                return Err(Error::Exists { what: "output", id: output.id });
            }
            if outputs.len() == output::OUTPUTS_MAX {
                return Err(Error::TooMany { what: "output", limit: output::OUTPUTS_MAX });
            }
            outputs.push(output.clone());
            Ok((output.id.clone(), output))
        })
        .await
    }

    /// Merges a patch into an output's document; it is published to anew.
    pub async fn patch_output(
        &self,
        by: &By,
        id: &str,
        output_id: &str,
        patch: Value,
    ) -> Result<Receipt<output::Output>, Error> {
        let output_id = output_id.to_owned();
        self.edit_outputs(by, id, move |outputs| {
            let output = find_output(outputs, &output_id)?;
            let patched = output.patched(&patch)?;
            if patched.id != output.id {
                return Err(fixed("/id", "the id of an output does not change"));
            }
            *output = patched.clone();
            Ok((patched.id.clone(), patched))
        })
        .await
    }

    /// Takes an output away, with a proper end.
    pub async fn delete_output(&self, by: &By, id: &str, output_id: &str) -> Result<Receipt<()>, Error> {
        let output_id = output_id.to_owned();
        self.edit_outputs(by, id, move |outputs| {
            let id = find_output(outputs, &output_id)?.id.clone();
            outputs.retain(|output| output.id != id);
            Ok((id, ()))
        })
        .await
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

impl Document {
    /// The document after an action of a layer of one of its scenes, and that layer.
    fn acted(&self, scene: &Id, layer: &str, action: &Action) -> Result<(Self, Layer), Error> {
        let mut show = (*self.show).clone();
        let scene = show.scene_mut(scene.as_str()).ok_or_else(|| not_found("scene", scene.as_str()))?;
        let layer = find_layer(&mut scene.layers, layer)?;
        let refused = |refused| match refused {
            Refused::Invalid(problems) => Error::Invalid(problems),
            Refused::Unknown(allowed) => {
                Error::NoAction { name: action.name.clone(), type_name: layer.content.type_name(), allowed }
            }
        };
        let content = layer.content.act(action).map_err(refused)?;
        layer.content = content;
        let layer = layer.clone();
        Ok((Self { show: Arc::new(show), ..self.clone() }, layer))
    }
}

/// How a document is changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// By another one (PUT).
    Replace(Value),
    /// By a merge patch, RFC 7396 (PATCH).
    Merge(Value),
}

impl Edit {
    fn apply(self, item: &impl Serialize, id: &Id) -> Result<Value, Error> {
        match self {
            Self::Replace(mut value) => {
                // The path has said which one it is.
                if let Some(fields) = value.as_object_mut() {
                    fields.entry("id").or_insert_with(|| id.as_str().into());
                }
                Ok(value)
            }
            Self::Merge(patch) => {
                let mut value = serde_json::to_value(item).map_err(|error| Error::Internal(error.to_string()))?;
                json_patch::merge(&mut value, &patch);
                Ok(value)
            }
        }
    }
}

fn snapshot(current: &Current) -> Snapshot {
    Snapshot { document: current.document(), revision: current.revision, state: current.state() }
}

/// The receipt of a change that was about a layer.
fn edited(receipt: Receipt<Option<Layer>>) -> Result<Receipt<Layer>, Error> {
    match receipt {
        Receipt { item: None, .. } => Err(Error::Internal("the layer that was changed is not there".into())),
        Receipt { revision, applied, actor, at_utc_ms, item: Some(item) } => {
            Ok(Receipt { revision, applied, actor, at_utc_ms, item })
        }
    }
}

fn find_layer<'a>(layers: &'a mut [Layer], id: &str) -> Result<&'a mut Layer, Error> {
    layers.iter_mut().find(|layer| layer.id.as_str() == id).ok_or_else(|| not_found("layer", id))
}

fn find_output<'a>(outputs: &'a mut [output::Output], id: &str) -> Result<&'a mut output::Output, Error> {
    outputs.iter_mut().find(|output| output.id.as_str() == id).ok_or_else(|| not_found("output", id))
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
