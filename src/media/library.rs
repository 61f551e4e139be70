//! The library: asks the workers for what is not there, keeps what they made.
//!
//! Locks: one, held for look-ups only; decoding and shaping happen outside it. A failure is remembered with its message
//! and tried again when it is asked for [`RETRY_AFTER`] later, so a file that was missing or broken appears once it is
//! there; [`Library::refresh`] does so at once, and for pictures that were fine. What was known stays in use until the
//! new attempt is over, so nothing blinks.

use std::{
    borrow::Cow,
    cell::RefCell,
    collections::{BTreeSet, HashSet},
    fmt, io,
    panic::{self, AssertUnwindSafe},
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use glyphon::FontSystem;

use super::{
    assets::{Assets, SoundFiles},
    cache::Cache,
    fonts::{Fonts, Shelf},
    lut::{self, Lut},
    moving::Budget,
    picture::{self, Picture, Pixels},
    text::{ShapedText, Shaper},
    vault::Vault,
    vector,
};
use crate::{
    base::{
        clock::{Clock, SystemClock},
        digest::Digest,
    },
    scene::{
        Moment, Show,
        draw::{Extent, Letters, Media, Raster, TextPart, TextRaster, VectorRaster, VectorSource},
        evaluate,
        playback::{Rhythm, Timing},
    },
};

/// Rasters that may wait for a worker; more are taken when they are asked for again.
const QUEUE: usize = 64;
/// How long a failure is believed.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// What sizes and failures may occupy, in bytes; an entry is a few hundred.
const KNOWN_BYTES_MAX: u64 = 16 << 20;
/// Bookkeeping of an entry beside its text, in bytes.
const ENTRY_BYTES: u64 = 256;
/// Where a part of a text lies, in bytes.
const PART_BYTES: u64 = size_of::<TextPart>() as u64;
/// A part of a text in another style, in bytes.
const SPAN_BYTES: usize = 128;
/// Unknown families that are reported; beyond, somebody is guessing.
const REPORTED_MAX: usize = 256;

/// How much a library may use.
#[derive(Debug, Clone)]
pub struct Config {
    /// Worker threads, at least one.
    pub workers: usize,
    /// Where pictures lie; none: only the built-in ones exist.
    pub assets_dir: Option<PathBuf>,
    /// Where uploads lie; none: there are none.
    pub vault: Option<Arc<Vault>>,
    /// Most pixels of one picture; larger ones are refused before they are decoded.
    pub pixels_max: u64,
    /// Most bytes of decoded pictures and shaped texts together. What does not fit is made again on demand. The frames
    /// of one moving picture may take half of it.
    pub cache_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self { workers: 2, assets_dir: None, vault: None, pixels_max: 50_000_000, cache_bytes_max: 256 << 20 }
    }
}

/// Why there is no library.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The assets directory cannot be used.
    #[error("the assets directory {} cannot be used: {source}; create it or correct the path", dir.display())]
    AssetsDir {
        /// The configured path.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused a thread.
    #[error("the thread {name} cannot be started: {source}")]
    Thread {
        /// Name of the thread.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// What [`Library::prepare`] found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prepared {
    /// Not done in time.
    pub pending: Vec<Raster>,
    /// Cannot be made, and why.
    pub failed: Vec<(Raster, Arc<str>)>,
}

impl Prepared {
    /// Whether everything can be drawn.
    pub fn is_complete(&self) -> bool {
        self.pending.is_empty() && self.failed.is_empty()
    }
}

/// Pictures and texts by name, made by worker threads. See the module's description.
pub struct Library {
    shared: Arc<Shared>,
    /// Taken when dropped, which ends the workers.
    queue: Option<SyncSender<Raster>>,
    workers: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    tables: Mutex<Tables>,
    /// Notified whenever a raster is done.
    done: Condvar,
    clock: SystemClock,
    assets: Arc<Assets>,
    fonts: Shelf,
    budget: Budget,
    reported: Mutex<HashSet<String>>,
}

#[derive(Debug)]
struct Tables {
    known: Cache<Raster, Known>,
    loaded: Cache<Raster, Loaded>,
    next_revision: u64,
}

/// What is kept of a raster for long.
#[derive(Debug)]
struct Known {
    extent: Extent,
    /// Of a moving picture.
    timing: Option<Arc<Timing>>,
    /// What is to be said of a text beyond its extent, if anything.
    letters: Option<Arc<Letters>>,
    /// When the extent was learnt.
    since: Duration,
    /// Changes whenever the pixels may have.
    revision: u64,
    /// Whether a worker has or will get it.
    is_queued: bool,
    /// Whether it must be made anew, whatever is loaded.
    is_stale: bool,
}

/// What is kept of a raster while there is room.
#[derive(Debug, Clone)]
enum Loaded {
    Picture(Picture),
    Text(Arc<ShapedText>),
    Lut(Arc<Lut>),
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Library").field("workers", &self.workers.len()).finish_non_exhaustive()
    }
}

impl Library {
    /// Starts the workers.
    pub fn new(config: Config) -> Result<Arc<Self>, Error> {
        let dir = config.assets_dir;
        let assets = Assets::new(dir.as_deref(), config.vault)
            .map_err(|source| Error::AssetsDir { dir: dir.clone().unwrap_or_default(), source })?;
        let tables =
            Tables { known: Cache::new(KNOWN_BYTES_MAX), loaded: Cache::new(config.cache_bytes_max), next_revision: 1 };
        let shared = Arc::new(Shared {
            tables: Mutex::new(tables),
            done: Condvar::new(),
            clock: SystemClock::new(),
            assets: Arc::new(assets),
            fonts: Shelf::bundled(),
            budget: Budget { pixels_max: config.pixels_max, bytes_max: config.cache_bytes_max / 2 },
            reported: Mutex::default(),
        });
        let (queue, jobs) = sync_channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let workers = (0..config.workers.max(1)).map(|i| spawn(i, &shared, &jobs)).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { shared, queue: Some(queue), workers }))
    }

    /// Waits, at most `timeout`, until each raster can be drawn or has failed. Blocks the caller: not for the render
    /// thread. Used before a change goes on air, so that nothing blinks.
    pub fn prepare(&self, rasters: &[Raster], timeout: Duration) -> Prepared {
        let deadline = self.shared.clock.now().saturating_add(timeout);
        let mut prepared = Prepared { pending: rasters.to_vec(), failed: Vec::new() };
        let mut tables = self.shared.lock();
        loop {
            // What was seen once is done, even if the budget drops it while others are made.
            prepared.pending.retain(|raster| match self.load(&mut tables, raster) {
                Extent::Pending => true,
                Extent::Ready(_) => false,
                Extent::Failed(message) => {
                    prepared.failed.push((raster.clone(), message));
                    false
                }
            });
            let rest = deadline.saturating_sub(self.shared.clock.now());
            if prepared.pending.is_empty() || rest.is_zero() {
                return prepared;
            }
            tables = self.shared.done.wait_timeout(tables, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits, at most `timeout`, until the frame of `show` at `moment` can be drawn whole, or what is missing has
    /// failed. Blocks the caller, as [`Library::prepare`] does.
    pub fn prepare_show(&self, show: &Show, moment: Moment, timeout: Duration) -> Prepared {
        let deadline = self.shared.clock.now().saturating_add(timeout);
        loop {
            let wanted = Wanted { library: self, rasters: RefCell::default() };
            let is_pending = evaluate(show, moment, &wanted).is_pending;
            let rest = deadline.saturating_sub(self.shared.clock.now());
            let prepared = self.prepare(&wanted.rasters.into_inner(), rest);
            // What was pending may, now that it is there, lead to more: a failure to the text that says so.
            if !is_pending || !prepared.pending.is_empty() {
                return prepared;
            }
        }
    }

    /// The pixels of a picture, or of its frame or cell; `None`, and it is being decoded, when they are not there.
    pub fn pixels(&self, raster: &Raster) -> Option<Arc<Pixels>> {
        let Loaded::Picture(picture) = self.loaded(&source_of(raster))? else { return None };
        Some(match *raster {
            Raster::Frame { index, .. } => picture.frame(index).clone(),
            Raster::Cell { grid, index, .. } => Arc::new(picture.frame(0).cell(grid, index)),
            _ => picture.frame(0).clone(),
        })
    }

    /// The glyphs of a text; `None`, and it is being shaped, when they are not there.
    pub fn text(&self, raster: &Arc<TextRaster>) -> Option<Arc<ShapedText>> {
        match self.loaded(&Raster::Text(raster.clone()))? {
            Loaded::Text(shaped) => Some(shaped),
            Loaded::Picture(_) | Loaded::Lut(_) => None,
        }
    }

    /// The table of that asset name; `None`, and it is being read, when it is not there.
    pub fn lut(&self, name: &str) -> Option<Arc<Lut>> {
        match self.loaded(&Raster::Lut(name.into()))? {
            Loaded::Lut(lut) => Some(lut),
            Loaded::Picture(_) | Loaded::Text(_) => None,
        }
    }

    /// Which making of a raster is current; another number means other pixels. `None` while it was never made.
    pub fn revision(&self, raster: &Raster) -> Option<u64> {
        self.shared.lock().known.peek(&source_of(raster)).filter(|known| known.revision > 0).map(|known| known.revision)
    }

    /// Reads a picture or a table anew, because its file was replaced. The old one is shown until the new one is there.
    pub fn refresh(&self, name: &str) {
        self.remake(|raster| match raster {
            Raster::Image(asset) | Raster::Lut(asset) => &**asset == name,
            Raster::Vector(vector) => matches!(&vector.source, VectorSource::Asset(asset) if &**asset == name),
            _ => false,
        });
    }

    /// Makes what is known of these anew.
    fn remake(&self, is_meant: impl Fn(&Raster) -> bool) {
        let mut tables = self.shared.lock();
        let rasters: Vec<_> = tables.known.keys().filter(|raster| is_meant(raster)).cloned().collect();
        for raster in rasters {
            if let Some(known) = tables.known.get(&raster) {
                known.is_stale = true;
                // There is nothing to be seen of a failure that could blink, and whoever asks next shall wait for what
                // is there now.
                if matches!(known.extent, Extent::Failed(_)) {
                    known.extent = Extent::Pending;
                }
                self.enqueue(known, &raster);
            }
        }
    }

    /// Opens sound files: from the same place, by the same rules as pictures.
    pub fn sound_files(&self) -> SoundFiles {
        SoundFiles(self.shared.assets.clone())
    }

    /// Whether texts can be set in this family; case does not matter.
    pub fn has_family(&self, name: &str) -> bool {
        self.shared.fonts.fonts().family(name).is_some()
    }

    /// The names of all families.
    pub fn families(&self) -> Vec<String> {
        self.shared.fonts.fonts().families()
    }

    /// A rasteriser of one's own, in which the font ids of shaped texts hold, as long as [`Self::fonts_generation`] is what
    /// comes with it.
    pub fn font_system(&self) -> (FontSystem, u64) {
        let fonts = self.shared.fonts.fonts();
        (fonts.system(), fonts.generation())
    }

    /// Which set of fonts texts are shaped with now; it grows.
    pub fn fonts_generation(&self) -> u64 {
        self.shared.fonts.fonts().generation()
    }

    /// Texts may name the families of this font from now on; their names. Texts that named them before are set anew.
    pub fn add_font(&self, digest: Digest, bytes: Vec<u8>) -> Result<Vec<String>, String> {
        let families = self.shared.fonts.add(digest, bytes).map_err(|error| error.to_string())?;
        Ok(self.reset(families))
    }

    /// Texts may no longer name them.
    pub fn remove_font(&self, digest: &Digest) {
        let families = self.shared.fonts.remove(digest);
        self.reset(families);
    }

    /// Shapes the texts anew that name one of these families.
    fn reset(&self, families: BTreeSet<String>) -> Vec<String> {
        let names = |font: &str| families.iter().any(|family| family.eq_ignore_ascii_case(font.trim()));
        self.remake(|raster| match raster {
            Raster::Text(text) => names(&text.font) || text.spans.iter().any(|span| names(&span.look.font)),
            _ => false,
        });
        families.into_iter().collect()
    }

    /// Bytes of all decoded pictures and shaped texts.
    pub fn loaded_bytes(&self) -> u64 {
        self.shared.lock().loaded.cost()
    }

    /// The bytes of a picture, decoded as [`Self::pixels`] would.
    pub(super) fn picture_of(&self, name: &str, bytes: &[u8]) -> Result<Picture, String> {
        picture::decode(name, bytes, self.shared.budget).map_err(|error| error.to_string())
    }

    /// The bytes of a vector picture, at a size that shows what it is.
    pub(super) fn vector_of(&self, name: &str, bytes: &[u8]) -> Result<Pixels, String> {
        vector::rasterise(name, bytes, None, &self.shared.fonts.fonts()).map_err(|error| error.to_string())
    }

    /// The bytes of a table.
    pub(super) fn lut_of(&self, name: &str, bytes: &[u8]) -> Result<Lut, String> {
        lut::decode(name, bytes).map_err(|error| error.to_string())
    }

    /// The families of a font that is not among the others yet.
    pub(super) fn families_of(&self, name: &str, bytes: Vec<u8>) -> Result<Vec<String>, String> {
        let families = self.shared.fonts.fonts().examined(name, bytes).map_err(|error| error.to_string())?;
        Ok(families.into_iter().collect())
    }

    fn loaded(&self, raster: &Raster) -> Option<Loaded> {
        let mut tables = self.shared.lock();
        self.load(&mut tables, raster);
        tables.loaded.get(raster).cloned()
    }

    /// What is known of a raster of which the pixels are wanted, too: pending until they are loaded.
    fn load(&self, tables: &mut Tables, raster: &Raster) -> Extent {
        let extent = self.know(tables, raster);
        let source = source_of(raster);
        if !matches!(extent, Extent::Ready(_)) || tables.loaded.peek(&source).is_some() {
            return extent;
        }
        if let Some(known) = tables.known.get(&source) {
            self.enqueue(known, &source);
        }
        Extent::Pending
    }

    /// What is known of a raster; asks a worker when it is unknown, stale or a failure that is no longer believed.
    fn know(&self, tables: &mut Tables, raster: &Raster) -> Extent {
        match (raster, self.know_source(tables, &source_of(raster))) {
            (Raster::Cell { asset, grid, .. }, Extent::Ready(natural)) => {
                let cell = picture::cell_size(asset, natural, *grid);
                cell.map_or_else(|error| Extent::Failed(error.to_string().into()), Extent::Ready)
            }
            (_, extent) => extent,
        }
    }

    fn know_source(&self, tables: &mut Tables, raster: &Raster) -> Extent {
        let now = self.shared.clock.now();
        if let Some(known) = tables.known.get(raster) {
            let is_doubtful = match known.extent {
                Extent::Pending => true,
                Extent::Ready(_) => false,
                Extent::Failed(_) => now.saturating_sub(known.since) >= RETRY_AFTER,
            };
            if is_doubtful || known.is_stale {
                self.enqueue(known, raster);
            }
            return known.extent.clone();
        }
        let mut known = Known::new(Extent::Pending, now, 0);
        self.enqueue(&mut known, raster);
        tables.know(raster, known);
        Extent::Pending
    }

    fn enqueue(&self, known: &mut Known, raster: &Raster) {
        if known.is_queued {
            return;
        }
        // A full queue is not an error: the raster stays pending and is asked for again.
        let sent = self.queue.as_ref().map(|queue| queue.try_send(raster.clone()));
        known.is_queued = matches!(sent, Some(Ok(())));
        debug_assert!(!matches!(sent, Some(Err(TrySendError::Disconnected(_)))), "workers outlive the library");
    }
}

impl Media for Library {
    fn extent(&self, raster: &Raster) -> Extent {
        self.know(&mut self.shared.lock(), raster)
    }

    fn timing(&self, asset: &Arc<str>) -> Option<Arc<Timing>> {
        let raster = Raster::Image(asset.clone());
        let mut tables = self.shared.lock();
        let timing = tables.known.peek(&raster)?.timing.clone();
        // What plays stays loaded, though its frames may all be textures by now: one may be dropped and wanted again.
        tables.loaded.get(&raster);
        timing
    }

    fn prefetch(&self, raster: &Raster) {
        // What is wrong with it is said when it is shown.
        let _ = self.load(&mut self.shared.lock(), raster);
    }

    fn letters(&self, text: &Raster) -> Option<Arc<Letters>> {
        self.shared.lock().known.peek(text)?.letters.clone()
    }
}

/// Answers as the library does and notes what it was asked for.
struct Wanted<'a> {
    library: &'a Library,
    rasters: RefCell<Vec<Raster>>,
}

impl Media for Wanted<'_> {
    fn extent(&self, raster: &Raster) -> Extent {
        self.rasters.borrow_mut().push(raster.clone());
        self.library.extent(raster)
    }

    fn timing(&self, asset: &Arc<str>) -> Option<Arc<Timing>> {
        self.library.timing(asset)
    }

    fn letters(&self, text: &Raster) -> Option<Arc<Letters>> {
        self.library.letters(text)
    }
}

/// What must be known of a text as long as its extent is; most have nothing.
fn letters_of(shaped: &ShapedText) -> Option<Arc<Letters>> {
    let letters = shaped.letters();
    (!letters.missing.is_empty() || !letters.parts.is_empty()).then(|| Arc::new(letters.clone()))
}

impl Drop for Library {
    fn drop(&mut self) {
        self.queue = None;
        for worker in self.workers.drain(..) {
            // A worker catches the panics of what it calls; there is nothing to report here.
            let _ = worker.join();
        }
    }
}

impl Known {
    fn new(extent: Extent, since: Duration, revision: u64) -> Self {
        Self { extent, timing: None, letters: None, since, revision, is_queued: false, is_stale: false }
    }

    fn cost(&self) -> u64 {
        let frames = self.timing.as_ref().map_or(0, |timing| u64::from(timing.count()) * 8);
        let parts = self.letters.as_ref().map_or(0, |letters| letters.parts.len() as u64 * PART_BYTES);
        ENTRY_BYTES + frames + parts
    }
}

impl Tables {
    fn know(&mut self, raster: &Raster, known: Known) {
        let mark = self.known.mark();
        let cost = known.cost() + name_len(raster);
        self.known.insert(raster.clone(), known, cost);
        self.known.trim(mark);
    }

    fn keep(&mut self, raster: &Raster, loaded: Loaded) {
        let cost = match &loaded {
            Loaded::Picture(picture) => picture.bytes(),
            Loaded::Text(shaped) => shaped.cost(),
            Loaded::Lut(lut) => size_of_val(lut.entries()) as u64,
        };
        let mark = self.loaded.mark();
        self.loaded.insert(raster.clone(), loaded, cost + ENTRY_BYTES);
        self.loaded.trim(mark);
    }

    /// A worker begins to make it: what it reads from here on is new.
    fn begin(&mut self, raster: &Raster) {
        if let Some(known) = self.known.get(raster) {
            known.is_stale = false;
        }
    }

    /// Notes what a worker made. What was to be made anew in the meantime still is.
    fn finish(&mut self, raster: &Raster, made: Result<Loaded, Arc<str>>, now: Duration) {
        let revision = self.next_revision;
        self.next_revision += 1;
        let extent = match &made {
            Ok(Loaded::Picture(picture)) => Extent::Ready(picture.frame(0).natural_size()),
            Ok(Loaded::Text(shaped)) => Extent::Ready(shaped.block()),
            Ok(Loaded::Lut(lut)) => Extent::Ready([lut.size() as f32; 2]),
            Err(message) => Extent::Failed(message.clone()),
        };
        let letters = match &made {
            Ok(Loaded::Text(shaped)) => letters_of(shaped),
            _ => None,
        };
        let timing = match &made {
            Ok(Loaded::Picture(Picture::Moving(moving))) => Some(moving.timing.clone()),
            _ => None,
        };
        let made_nothing = made.is_err();
        match made {
            Ok(loaded) => self.keep(raster, loaded),
            Err(_) => drop(self.loaded.remove(raster)),
        }
        let is_stale = self.known.peek(raster).is_some_and(|known| known.is_stale);
        let extent = if is_stale && made_nothing { Extent::Pending } else { extent };
        self.know(raster, Known { timing, letters, is_stale, ..Known::new(extent, now, revision) });
    }
}

/// The raster that is made so that this one can be: the frames of a picture and the cells of a sheet come from one file.
fn source_of(raster: &Raster) -> Raster {
    match raster {
        Raster::Frame { asset, .. } | Raster::Cell { asset, .. } => Raster::Image(asset.clone()),
        Raster::Image(_) | Raster::Vector(_) | Raster::Text(_) | Raster::Lut(_) => raster.clone(),
    }
}

fn name_len(raster: &Raster) -> u64 {
    match raster {
        Raster::Image(name)
        | Raster::Frame { asset: name, .. }
        | Raster::Cell { asset: name, .. }
        | Raster::Lut(name) => name.len() as u64,
        Raster::Vector(vector) => match &vector.source {
            VectorSource::Asset(text) | VectorSource::Inline(text) => text.len() as u64,
        },
        Raster::Text(text) => (text.text.len() + text.font.len() + text.spans.len() * SPAN_BYTES) as u64,
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn make(&self, raster: &Raster, shaper: &mut Shaper, fonts: &Fonts) -> Result<Loaded, Arc<str>> {
        match raster {
            Raster::Image(name) | Raster::Frame { asset: name, .. } | Raster::Cell { asset: name, .. } => {
                self.decode(name).map(Loaded::Picture).map_err(Arc::from)
            }
            Raster::Vector(vector) => {
                let pixels = self.rasterise(vector, fonts).map_err(Arc::<str>::from)?;
                Ok(Loaded::Picture(Picture::Still(Arc::new(pixels))))
            }
            Raster::Text(text) => {
                text.spans
                    .iter()
                    .map(|span| &span.look.font)
                    .chain([&text.font])
                    .for_each(|font| self.report_unknown(font, fonts));
                Ok(Loaded::Text(Arc::new(shaper.shape(text, fonts))))
            }
            Raster::Lut(name) => {
                let bytes = self.assets.read(name).map_err(|error| error.to_string())?;
                lut::decode(name, &bytes)
                    .map(|lut| Loaded::Lut(Arc::new(lut)))
                    .map_err(|error| error.to_string().into())
            }
        }
    }

    fn decode(&self, name: &str) -> Result<Picture, String> {
        #[cfg(test)]
        assert_ne!(name, tests::BROKEN, "broken decoder");
        let bytes = self.assets.read(name).map_err(|error| error.to_string())?;
        picture::decode(name, &bytes, self.budget).map_err(|error| error.to_string())
    }

    fn rasterise(&self, raster: &VectorRaster, fonts: &Fonts) -> Result<Pixels, String> {
        let (name, bytes) = match &raster.source {
            VectorSource::Asset(name) => (&**name, self.assets.read(name).map_err(|error| error.to_string())?),
            VectorSource::Inline(text) => ("the source", Cow::Borrowed(text.as_bytes())),
        };
        vector::rasterise(name, &bytes, raster.size, fonts).map_err(|error| error.to_string())
    }

    fn report_unknown(&self, family: &str, fonts: &Fonts) {
        if fonts.family(family).is_some() {
            return;
        }
        let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
        if reported.len() < REPORTED_MAX && reported.insert(family.to_owned()) {
            tracing::warn!(family, "no such font family, {} is used instead", super::DEFAULT_FAMILY);
        }
    }
}

fn spawn(number: usize, shared: &Arc<Shared>, jobs: &Arc<Mutex<Receiver<Raster>>>) -> Result<JoinHandle<()>, Error> {
    let name = format!("media-{number}");
    let (shared, jobs) = (shared.clone(), jobs.clone());
    let work = move || run(&shared, &jobs);
    thread::Builder::new().name(name.clone()).spawn(work).map_err(|source| Error::Thread { name, source })
}

/// A worker's life: one raster after the other, until the library is dropped.
fn run(shared: &Shared, jobs: &Mutex<Receiver<Raster>>) {
    let mut fonts = shared.fonts.fonts();
    let mut shaper = Shaper::new(&fonts);
    loop {
        // One worker waits in `recv`, the others for the lock: each raster goes to exactly one of them.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(raster) = job else { return };
        let newest = shared.fonts.fonts();
        if newest.generation() != fonts.generation() {
            fonts = newest;
            shaper = Shaper::new(&fonts);
        }
        shared.lock().begin(&raster);
        let made = panic::catch_unwind(AssertUnwindSafe(|| shared.make(&raster, &mut shaper, &fonts)));
        let made = made.unwrap_or_else(|panic| {
            // It may have been left halfway.
            shaper = Shaper::new(&fonts);
            Err(format!("{} makes its worker panic: {}", describe(&raster), message_of(&*panic)).into())
        });
        shared.lock().finish(&raster, made, shared.clock.now());
        shared.done.notify_all();
    }
}

fn describe(raster: &Raster) -> String {
    match raster {
        Raster::Image(name)
        | Raster::Frame { asset: name, .. }
        | Raster::Cell { asset: name, .. }
        | Raster::Lut(name) => format!("`{name}`"),
        Raster::Vector(_) => "the vector picture".into(),
        Raster::Text(_) => "the text".into(),
    }
}

fn message_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use image::RgbaImage;

    use super::*;
    use crate::media::text::tests::plain;

    /// A name at which the decoder panics, as a faulty one might.
    pub(super) const BROKEN: &str = "broken decoder.png";
    const WAIT: Duration = Duration::from_secs(20);

    fn image(name: &str) -> Raster {
        Raster::Image(name.into())
    }

    fn text(text: &str) -> Raster {
        Raster::Text(Arc::new(plain(text)))
    }

    fn library(config: Config) -> Arc<Library> {
        Library::new(config).unwrap()
    }

    fn directory(name: &str, side: u32) -> (tempfile::TempDir, Arc<Library>) {
        let dir = tempfile::tempdir().unwrap();
        RgbaImage::new(side, side).save(dir.path().join(name)).unwrap();
        let library = library(Config { assets_dir: Some(dir.path().into()), ..Config::default() });
        (dir, library)
    }

    #[test]
    fn pending_until_a_worker_is_done() {
        let (_dir, library) = directory("a.png", 8);
        assert_eq!(library.extent(&image("a.png")), Extent::Pending);
        assert!(library.pixels(&image("a.png")).is_none_or(|pixels| pixels.width() == 8));
        let rasters = [image("a.png"), text("abc"), image("builtin:show/logo.png")];
        assert!(library.prepare(&rasters, WAIT).is_complete());
        assert_eq!(library.extent(&image("a.png")), Extent::Ready([8.0, 8.0]));
        assert!(matches!(library.extent(&text("abc")), Extent::Ready([_, 24.0])));
        assert_eq!(library.pixels(&image("a.png")).unwrap().bytes(), [0; 8 * 8 * 4]);
    }

    #[test]
    fn every_built_in_picture_is_a_picture() {
        let library = library(Config::default());
        let names = super::super::builtin::picture_names();
        let rasters: Vec<_> = names.split(", ").map(image).collect();
        assert!(rasters.len() >= 4);
        assert_eq!(library.prepare(&rasters, WAIT), Prepared::default());
    }

    #[test]
    fn a_failure_says_why_and_a_replaced_file_is_read() {
        let (dir, library) = directory("a.png", 8);
        std::fs::write(dir.path().join("b.png"), b"no picture").unwrap();
        let failed = library.prepare(&[image("b.png")], WAIT).failed;
        assert_eq!(&*failed[0].1, "`b.png` is not a PNG, JPEG, WebP or GIF picture");

        RgbaImage::new(4, 4).save(dir.path().join("b.png")).unwrap();
        assert!(matches!(library.extent(&image("b.png")), Extent::Failed(_)), "believed for a while");
        library.refresh("b.png");
        assert!(library.prepare(&[image("b.png")], WAIT).is_complete(), "the failure is not believed any more");
        wait_for(&library, &image("b.png"), [4.0, 4.0]);
    }

    /// A file is replaced while a worker reads the old one: what it made is not the last word.
    #[test]
    fn what_is_refreshed_while_it_is_made_is_made_again() {
        let (_dir, library) = directory("a.png", 8);
        library.prepare(&[image("a.png")], WAIT);
        let mut tables = library.shared.lock();
        tables.begin(&image("a.png"));
        tables.known.get(&image("a.png")).unwrap().is_stale = true;
        tables.finish(&image("a.png"), Err("the old one was broken".into()), Duration::ZERO);
        assert_eq!(library.know(&mut tables, &image("a.png")), Extent::Pending);
        drop(tables);
        assert!(library.prepare(&[image("a.png")], WAIT).is_complete());
    }

    #[test]
    fn refreshing_shows_the_old_picture_until_the_new_one_is_there() {
        let (dir, library) = directory("a.png", 8);
        library.prepare(&[image("a.png")], WAIT);
        let revision = library.revision(&image("a.png"));
        RgbaImage::new(16, 16).save(dir.path().join("a.png")).unwrap();
        library.refresh("a.png");
        assert_ne!(library.extent(&image("a.png")), Extent::Pending);
        wait_for(&library, &image("a.png"), [16.0, 16.0]);
        assert_ne!(library.revision(&image("a.png")), revision);
    }

    fn wait_for(library: &Library, raster: &Raster, size: [f32; 2]) {
        let mut tables = library.shared.lock();
        while library.know(&mut tables, raster) != Extent::Ready(size) {
            tables = library.shared.done.wait_timeout(tables, WAIT).unwrap().0;
        }
    }

    #[test]
    fn a_panic_in_a_decoder_is_a_failure_and_the_worker_lives() {
        let (_dir, library) = directory("a.png", 8);
        let prepared = library.prepare(&[image(BROKEN), image(BROKEN), image("a.png")], WAIT);
        assert_eq!(prepared.failed.len(), 2);
        assert!(prepared.failed[0].1.contains("panic") && prepared.failed[0].1.contains("broken decoder"));
        assert!(prepared.pending.is_empty());
    }

    #[test]
    fn pictures_that_do_not_fit_are_made_again_on_demand() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..4 {
            RgbaImage::new(64, 64).save(dir.path().join(format!("{i}.png"))).unwrap();
        }
        let two = 2 * (64 * 64 * 4 + ENTRY_BYTES);
        let config = Config { assets_dir: Some(dir.path().into()), cache_bytes_max: two, ..Config::default() };
        let library = library(config);
        let rasters: Vec<_> = (0..4).map(|i| image(&format!("{i}.png"))).collect();
        for raster in rasters.iter().cycle().take(12) {
            assert!(library.prepare(std::slice::from_ref(raster), WAIT).is_complete());
            assert!(library.loaded_bytes() <= two);
        }
        // Their sizes stay known, so a scene does not change while pixels come and go.
        assert!(rasters.iter().all(|raster| library.extent(raster) == Extent::Ready([64.0, 64.0])));
    }

    /// Three frames of 2 x 2 pixels, each of another grey.
    fn moving_picture() -> Vec<u8> {
        let frame =
            |i: u8| (RgbaImage::from_pixel(2, 2, image::Rgba([i * 60, i * 60, i * 60, 255])), 50 * u32::from(i));
        super::super::moving::samples::apng(&[frame(1), frame(2), frame(3)], 0)
    }

    #[test]
    fn frames_of_a_moving_picture_come_from_one_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.png"), moving_picture()).unwrap();
        let library = library(Config { assets_dir: Some(dir.path().into()), ..Config::default() });
        let frame = |index| Raster::Frame { asset: "a.png".into(), index };
        assert_eq!(library.timing(&"a.png".into()), None, "nothing is known yet");
        assert!(library.prepare(&[frame(2)], WAIT).is_complete());
        let timing = library.timing(&"a.png".into()).unwrap();
        assert_eq!((timing.count(), timing.end_ns(2)), (3, 300_000_000));
        for (raster, grey) in [(image("a.png"), 60), (frame(0), 60), (frame(1), 120), (frame(2), 180)] {
            assert_eq!(library.extent(&raster), Extent::Ready([2.0, 2.0]));
            assert_eq!(library.pixels(&raster).unwrap().bytes()[0], grey, "{raster:?}");
        }
        assert_eq!(library.loaded_bytes(), 3 * 16 + ENTRY_BYTES, "kept once");
        assert_eq!(library.revision(&frame(1)), library.revision(&image("a.png")));
    }

    #[test]
    fn cells_are_cut_out_of_their_sheet() {
        let dir = tempfile::tempdir().unwrap();
        let sheet = RgbaImage::from_fn(7, 4, |x, y| image::Rgba([x as u8, y as u8, 0, 255]));
        sheet.save(dir.path().join("s.png")).unwrap();
        let library = library(Config { assets_dir: Some(dir.path().into()), ..Config::default() });
        let cell = |grid, index| Raster::Cell { asset: "s.png".into(), grid, index };
        assert!(library.prepare(&[cell([3, 2], 4)], WAIT).is_complete());
        assert_eq!(library.extent(&cell([3, 2], 4)), Extent::Ready([2.0, 2.0]));
        let pixels = library.pixels(&cell([3, 2], 4)).unwrap();
        let corners = [0, 3].map(|i| [pixels.bytes()[i * 4], pixels.bytes()[i * 4 + 1]]);
        assert_eq!(corners, [[2, 2], [3, 3]], "the second of the lower row; the seventh column is in none");
        let Extent::Failed(message) = library.extent(&cell([8, 1], 0)) else { panic!("no pixel for each column") };
        assert_eq!(
            &*message,
            "`s.png` has 7x4 pixels: a sheet is at most 4096 on a side and has a pixel for each of 8 columns and 1 rows"
        );
    }

    #[test]
    fn a_replaced_vector_picture_is_drawn_anew_at_all_sizes() {
        let dir = tempfile::tempdir().unwrap();
        let draw = |side: u32| {
            let text = format!("<svg xmlns='http://www.w3.org/2000/svg' width='{side}' height='{side}'/>");
            std::fs::write(dir.path().join("v.svg"), text).unwrap();
        };
        draw(10);
        let library = library(Config { assets_dir: Some(dir.path().into()), ..Config::default() });
        let at = |size| Raster::Vector(Arc::new(VectorRaster { source: VectorSource::Asset("v.svg".into()), size }));
        let rasters = [at(None), at(Some([30, 20]))];
        assert!(library.prepare(&rasters, WAIT).is_complete());
        assert_eq!(library.pixels(&rasters[1]).map(|pixels| pixels.width()), Some(30));
        draw(12);
        library.refresh("v.svg");
        rasters.iter().for_each(|raster| wait_for(&library, raster, [12.0, 12.0]));
    }

    #[test]
    fn what_is_prefetched_is_loaded_again_when_it_was_dropped() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.png", "b.png"] {
            RgbaImage::new(64, 64).save(dir.path().join(name)).unwrap();
        }
        let one = 64 * 64 * 4 + ENTRY_BYTES;
        let library =
            library(Config { assets_dir: Some(dir.path().into()), cache_bytes_max: one, ..Config::default() });
        library.prepare(&[image("a.png")], WAIT);
        library.prepare(&[image("b.png")], WAIT);
        let is_loaded = |tables: &Tables| tables.loaded.peek(&image("a.png")).is_some();
        assert!(!is_loaded(&library.shared.lock()), "there is room for one");
        library.prefetch(&image("a.png"));
        let mut tables = library.shared.lock();
        while !is_loaded(&tables) {
            tables = library.shared.done.wait_timeout(tables, WAIT).unwrap().0;
        }
    }

    #[test]
    fn a_hundred_thousand_texts_stay_within_the_budgets() {
        let cache_bytes_max = 200_000;
        let library = library(Config { workers: 2, cache_bytes_max, ..Config::default() });
        for i in 0..100_000 {
            library.extent(&text(&format!("a text that is asked for once, number {i}")));
        }
        library.prepare(&[text("last")], WAIT);
        let tables = library.shared.lock();
        assert!(tables.known.cost() <= KNOWN_BYTES_MAX && tables.loaded.cost() <= cache_bytes_max);
    }

    #[test]
    fn a_missing_directory_is_named() {
        let config = Config { assets_dir: Some("/no/such/directory".into()), ..Config::default() };
        let error = Library::new(config).unwrap_err().to_string();
        assert!(error.starts_with("the assets directory /no/such/directory cannot be used: "), "{error}");
    }

    #[test]
    fn families_are_found_whatever_their_case() {
        let library = library(Config::default());
        assert!(library.has_family("inter") && !library.has_family("Comic Sans MS"));
        assert!(library.families().contains(&"Playfair Display".to_owned()));
    }

    #[test]
    fn a_sign_that_no_font_has_is_a_warning_and_the_layer_is_drawn() {
        let library = library(Config::default());
        let layer = |text: &str| serde_json::json!({ "id": "a", "content": { "type": "text", "text": text } });
        let evaluated = |text: &str| {
            let layers = crate::scene::read_layers(vec![layer(text)]).unwrap();
            let canvas = serde_json::from_value(serde_json::json!({ "width": 640, "height": 360 })).unwrap();
            let show = Show::of_layers(canvas, crate::scene::LayerErrors::Hide, layers);
            assert!(library.prepare_show(&show, Moment::START, WAIT).is_complete());
            evaluate(&show, Moment::START, &*library)
        };
        let warned = evaluated("one \u{6F22}");
        assert_eq!((warned.draw_list.items.len(), warned.errors.len()), (1, 0));
        let expected = "no font has a sign for \u{6F22} (U+6F22); use other words, or a font that has it";
        assert_eq!(warned.warnings.iter().map(|warning| &*warning.message).collect::<Vec<_>>(), [expected]);
        assert!(warned.holds_at(Duration::MAX), "it need not be planned again");
        assert_eq!(evaluated("one two").warnings, []);
    }
}
