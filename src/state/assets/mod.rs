//! Uploaded files: what comes in and what is refused, what is known of them, who uses them, what goes.
//!
//! ```text
//!  request ── pieces ──► Incoming ── whole ──► sniff, examine ──► vault (media) ── name ──► documents: "sha256:…"
//!            bounded      a draft     digest     refused: gone                              found by usage
//! ```
//!
//! A content is kept once, whoever uploads it, under the digest of its bytes. Its kind is what its first bytes say and what
//! decoding it confirms, never what a name or a content type claims. How many bytes there may be is reserved before they
//! are written: of one file, and of all together, those that are coming in included. What is in use is not deleted unless
//! that is insisted on; what is not is collected when asked for. Reading and decoding happen on tokio's blocking threads,
//! few at a time.
//!
//! What is known of assets survives in [`Records`]; a content of which nothing is known any more is examined anew.

mod asset;
mod usage;

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Read},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

pub use self::asset::{Asset, Facts, Filter, Label};
use super::{
    Document, Streams,
    store::{Key, Notices},
};
use crate::{
    audio,
    base::{digest::Digest, id::Id},
    media::{HEAD_BYTES, Kind, Library, Stored, Upload, Vault, cache::Cache, sniff},
    scene::{check::Problems, shader},
};

/// Bytes that are collected before they are written.
const PIECE_BYTES: usize = 256 << 10;
/// Longest file that is read into memory as a whole: all kinds but sound.
const WHOLE_BYTES_MAX: u64 = 64 << 20;
/// Files that are examined, and thumbnails that are made, at the same time.
const EXAMINED_AT_ONCE: usize = 2;
/// What thumbnails that were made may take in memory, in bytes.
const THUMBNAILS_BYTES_MAX: u64 = 16 << 20;

/// How much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all files.
    pub quota_bytes: u64,
    /// Bytes of one.
    pub upload_bytes_max: u64,
    /// Files that come in at the same time.
    pub uploads_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { quota_bytes: 8 << 30, upload_bytes_max: 512 << 20, uploads_max: 4 }
    }
}

/// Where what is known of assets survives. Called under a lock: it must not wait.
pub trait Records: Send + Sync + fmt::Debug {
    /// This is known now.
    fn put(&self, asset: &Asset);
    /// Nothing is known of it any more.
    fn remove(&self, id: &Digest);
}

/// Keeps nothing: names and tags are gone when the daemon ends.
#[derive(Debug, Clone, Copy)]
pub struct Unrecorded;

impl Records for Unrecorded {
    fn put(&self, _: &Asset) {}
    fn remove(&self, _: &Digest) {}
}

/// The store's keeper is told which ones it is to look at.
impl Records for Notices {
    fn put(&self, asset: &Asset) {
        self.tell(Key::of_asset(&asset.id));
    }

    fn remove(&self, id: &Digest) {
        self.tell(Key::of_asset(id));
    }
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such asset.
    #[error("there is no asset `{0}`")]
    NotFound(String),
    /// It is longer than one may be.
    #[error("it is longer than the {0} bytes that one file may have")]
    TooLong(u64),
    /// There is no room.
    #[error("{used} of {quota} bytes are taken: delete what is not used, or collect it at /api/v1/assets/collect")]
    Full {
        /// Bytes that are there, or are coming in.
        used: u64,
        /// Bytes there may be.
        quota: u64,
    },
    /// Too many come in at once.
    #[error("{0} uploads are the most at the same time: try again when one is done")]
    Busy(usize),
    /// Its bytes are not those that were announced.
    #[error("the bytes that came are {found}, not {wanted}: the file was changed or damaged on its way")]
    OtherContent {
        /// What was announced.
        wanted: Digest,
        /// What came.
        found: Digest,
    },
    /// It is of no kind that is kept.
    #[error(
        "it is no file that can be used: PNG, JPEG, WebP, GIF, SVG, .cube, TrueType or OpenType, WAV, FLAC, MP3, AAC, M4A, \
         Ogg Vorbis, or a WGSL text with `fn shade`"
    )]
    UnknownFormat,
    /// It is broken, or beyond what its kind may be.
    #[error("{0}")]
    Refused(String),
    /// It is used.
    #[error("asset `{id}` is in use at {}: take it out there first, or insist with ?force=true", first(places))]
    InUse {
        /// Which one.
        id: Digest,
        /// Where.
        places: Vec<Place>,
    },
    /// What was said of it is wrong.
    #[error("{0}")]
    Invalid(#[from] Problems),
    /// The disk failed.
    #[error("the assets on disk: {0}")]
    Io(#[from] io::Error),
    /// Something that cannot fail did.
    #[error("internal: {0}")]
    Internal(String),
}

fn first(places: &[Place]) -> String {
    let rest = places.len().saturating_sub(1);
    let first = places.first().map(|place| format!("stream `{}`, {}", place.stream, place.pointer)).unwrap_or_default();
    if rest == 0 { first } else { format!("{first} and {rest} more places") }
}

/// Where a document uses an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Whose document.
    pub stream: Id,
    /// Where in it, as an RFC 6901 pointer.
    pub pointer: String,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Amount {
    /// Files.
    pub count: usize,
    /// Their bytes, and those that are coming in.
    pub bytes: u64,
    /// How many bytes there may be.
    pub quota_bytes: u64,
}

/// All uploaded files of the daemon.
#[derive(Debug)]
pub struct Assets {
    vault: Arc<Vault>,
    library: Arc<Library>,
    limits: Limits,
    records: Arc<dyn Records>,
    table: Mutex<BTreeMap<Digest, Arc<Asset>>>,
    /// Bytes of the table and of what is coming in.
    used: AtomicU64,
    uploads: Arc<Semaphore>,
    examinations: Semaphore,
    thumbnails: Mutex<Cache<Digest, Bytes>>,
}

impl Assets {
    /// Those in `vault`, of which `known` says what is known. Blocks: contents that are not known are examined. Fonts and
    /// shaders can be named from then on.
    pub fn open(
        vault: Arc<Vault>,
        library: Arc<Library>,
        limits: Limits,
        known: Vec<Asset>,
        records: Arc<dyn Records>,
    ) -> io::Result<Self> {
        let mut table: BTreeMap<_, _> = known.into_iter().map(|asset| (asset.id, Arc::new(asset))).collect();
        let stored = vault.list()?;
        for Stored { digest, bytes } in &stored {
            if table.contains_key(digest) {
                continue;
            }
            let label = Label::default();
            let examined = Candidate { id: *digest, bytes: *bytes, label, created_utc_ms: 0 };
            match examined.examine(&library, || vault.read(digest)) {
                Ok(asset) => {
                    tracing::warn!(asset = %digest, "nothing was known of this file; it is an asset again, without its name");
                    records.put(&asset);
                    table.insert(*digest, Arc::new(asset));
                }
                Err(error) => tracing::warn!(asset = %digest, %error, "this file is left alone: it is no asset"),
            }
        }
        for asset in table.values() {
            if !stored.iter().any(|stored| stored.digest == asset.id) {
                tracing::warn!(asset = %asset.id, name = asset.label.name, "the file of this asset is gone: upload it again");
            }
        }
        let used = table.values().map(|asset| asset.bytes).sum();
        let assets = Self {
            vault,
            library,
            limits,
            records,
            table: Mutex::new(table),
            used: AtomicU64::new(used),
            uploads: Arc::new(Semaphore::new(limits.uploads_max)),
            examinations: Semaphore::new(EXAMINED_AT_ONCE),
            thumbnails: Mutex::new(Cache::new(THUMBNAILS_BYTES_MAX)),
        };
        assets.list(&Filter::default()).iter().for_each(|asset| {
            if let Err(error) = assets.announce(asset) {
                tracing::warn!(asset = %asset.id, %error, "this asset cannot be used");
            }
        });
        Ok(assets)
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<Digest, Arc<Asset>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much there is.
    pub fn amount(&self) -> Amount {
        let count = self.table().len();
        Amount { count, bytes: self.used.load(Ordering::Relaxed), quota_bytes: self.limits.quota_bytes }
    }

    /// Those that meet `filter`, by id.
    pub fn list(&self, filter: &Filter) -> Vec<Arc<Asset>> {
        self.table().values().filter(|asset| filter.is_met_by(asset)).cloned().collect()
    }

    /// One of them.
    pub fn get(&self, id: &str) -> Result<Arc<Asset>, Error> {
        let asset = id.parse().ok().and_then(|id: Digest| self.table().get(&id).cloned());
        asset.ok_or_else(|| Error::NotFound(id.chars().take(80).collect()))
    }

    /// Where the documents of `streams` use it.
    pub fn places(&self, asset: &Asset, streams: &Streams) -> Vec<Place> {
        places_in(&written(streams), asset)
    }

    /// Begins to take a file in, of which `announced` bytes are said to come.
    pub fn receive(self: &Arc<Self>, announced: Option<u64>) -> Result<Incoming, Error> {
        if announced.is_some_and(|bytes| bytes > self.limits.upload_bytes_max) {
            return Err(Error::TooLong(self.limits.upload_bytes_max));
        }
        let permit = self.uploads.clone().try_acquire_owned().map_err(|_| Error::Busy(self.limits.uploads_max))?;
        let mut reserved = Reserved { assets: self.clone(), bytes: 0 };
        reserved.grow(announced.unwrap_or(0))?;
        let upload = self.vault.receive()?;
        Ok(Incoming { reserved, upload, piece: Vec::new(), bytes: 0, _permit: permit })
    }

    /// Changes what people say of it.
    pub fn patch(&self, id: &str, patch: Value) -> Result<Arc<Asset>, Error> {
        let asset = self.get(id)?;
        let label = asset.label.patched(patch)?;
        let mut table = self.table();
        // It may have gone in the meantime.
        let slot = table.get_mut(&asset.id).ok_or_else(|| Error::NotFound(id.into()))?;
        *slot = Arc::new(Asset { label, ..(**slot).clone() });
        self.records.put(slot);
        Ok(slot.clone())
    }

    /// Deletes it; what is used only if it is insisted on.
    pub fn delete(&self, id: &str, is_forced: bool, streams: &Streams) -> Result<(), Error> {
        let asset = self.get(id)?;
        let places = self.places(&asset, streams);
        if !places.is_empty() && !is_forced {
            return Err(Error::InUse { id: asset.id, places });
        }
        self.remove(&asset)
    }

    fn remove(&self, asset: &Asset) -> Result<(), Error> {
        let mut table = self.table();
        match self.vault.remove(&asset.id) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        if table.remove(&asset.id).is_some() {
            self.used.fetch_sub(asset.bytes, Ordering::Relaxed);
            self.records.remove(&asset.id);
        }
        drop(table);
        match asset.kind {
            Kind::Font => self.library.remove_font(&asset.id),
            Kind::Shader => shader::forget(&asset.id),
            Kind::Picture | Kind::Vector | Kind::Lut | Kind::Audio => self.library.refresh(&asset.id.to_string()),
        }
        self.thumbnails.lock().unwrap_or_else(PoisonError::into_inner).remove(&asset.id);
        Ok(())
    }

    /// Makes what is known of an asset what another instance knows of it. Its file may not be here.
    pub(super) async fn adopt(self: &Arc<Self>, asset: Asset) -> Result<(), Error> {
        let (assets, asset) = (self.clone(), Arc::new(asset));
        let Some(before) = self.table().insert(asset.id, asset.clone()) else {
            self.used.fetch_add(asset.bytes, Ordering::Relaxed);
            return blocking(move || assets.announce(&asset)).await;
        };
        self.used.fetch_add(asset.bytes, Ordering::Relaxed);
        self.used.fetch_sub(before.bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Another instance has deleted it.
    pub(super) async fn forget(self: &Arc<Self>, id: Digest) -> Result<(), Error> {
        let assets = self.clone();
        let known = self.table().get(&id).cloned();
        let Some(asset) = known else { return Ok(()) };
        blocking(move || assets.remove(&asset)).await
    }

    /// Deletes all that no document uses and that came at least `age` before `now_utc_ms`; which they are. With
    /// `is_dry` it says so and deletes nothing.
    pub fn collect(
        &self,
        age: Duration,
        now_utc_ms: i64,
        is_dry: bool,
        streams: &Streams,
    ) -> Result<Vec<Arc<Asset>>, Error> {
        let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let is_old = |asset: &Arc<Asset>| now_utc_ms.saturating_sub(asset.created_utc_ms) >= age_ms;
        let documents = written(streams);
        let mut unused = self.list(&Filter::default());
        unused.retain(|asset| is_old(asset) && places_in(&documents, asset).is_empty());
        if !is_dry {
            unused.iter().try_for_each(|asset| self.remove(asset))?;
        }
        Ok(unused)
    }

    /// Opens its content.
    pub fn open_content(&self, asset: &Asset) -> Result<std::fs::File, Error> {
        self.vault.read(&asset.id).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotFound(asset.id.to_string()),
            _ => error.into(),
        })
    }

    /// A small PNG of it; `None` for what has no looks.
    pub async fn thumbnail(self: &Arc<Self>, asset: Arc<Asset>) -> Result<Option<Bytes>, Error> {
        let known = self.thumbnails.lock().unwrap_or_else(PoisonError::into_inner).get(&asset.id).cloned();
        if known.is_some() {
            return Ok(known);
        }
        let _turn = self.turn().await?;
        let assets = self.clone();
        blocking(move || assets.make_thumbnail(&asset)).await
    }

    fn make_thumbnail(&self, asset: &Asset) -> Result<Option<Bytes>, Error> {
        let bytes = whole(self.open_content(asset)?)?;
        let picture = self.library.thumbnail(asset.format, &asset.id.to_string(), &bytes).map_err(Error::Refused)?;
        let Some(picture) = picture else { return Ok(None) };
        let mut png = io::Cursor::new(Vec::new());
        picture.write_to(&mut png, image::ImageFormat::Png).map_err(|error| Error::Internal(error.to_string()))?;
        let png = Bytes::from(png.into_inner());
        let mut thumbnails = self.thumbnails.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = thumbnails.mark();
        thumbnails.insert(asset.id, png.clone(), png.len() as u64);
        thumbnails.trim(mark);
        Ok(Some(png))
    }

    async fn turn(&self) -> Result<tokio::sync::SemaphorePermit<'_>, Error> {
        self.examinations.acquire().await.map_err(|error| Error::Internal(error.to_string()))
    }

    /// What must be told others of an asset before documents may name it.
    fn announce(&self, asset: &Asset) -> Result<(), Error> {
        match asset.kind {
            Kind::Font => {
                let bytes = whole(self.open_content(asset)?)?;
                self.library.add_font(asset.id, bytes).map(drop).map_err(Error::Refused)
            }
            Kind::Shader => {
                let text = String::from_utf8(whole(self.open_content(asset)?)?);
                let text = text.map_err(|_| Error::Refused("a shader is a text in UTF-8".into()))?;
                shader::know(&text).map(drop).map_err(Error::Refused)
            }
            Kind::Picture | Kind::Vector | Kind::Lut | Kind::Audio => {
                self.library.refresh(&asset.id.to_string());
                Ok(())
            }
        }
    }
}

/// The documents of all streams as they are written. One that cannot be written uses nothing; it is written all the time
/// elsewhere.
fn written(streams: &Streams) -> Vec<(Id, Value)> {
    let written = |document: &Document| (document.id.clone(), serde_json::to_value(document).unwrap_or_default());
    streams.list().iter().map(|snapshot| written(&snapshot.document)).collect()
}

fn places_in(documents: &[(Id, Value)], asset: &Asset) -> Vec<Place> {
    let of = |(stream, document): &(Id, Value)| {
        let stream = stream.clone();
        usage::places(document, asset).into_iter().map(move |pointer| Place { stream: stream.clone(), pointer })
    };
    documents.iter().flat_map(of).collect()
}

/// Runs what reads, writes or decodes.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))?
}

/// The whole of a file that is not too long for that.
fn whole(file: std::fs::File) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    file.take(WHOLE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > WHOLE_BYTES_MAX {
        return Err(Error::Refused(format!("it has more than {WHOLE_BYTES_MAX} bytes; only sound may have")));
    }
    Ok(bytes)
}

/// Bytes of the quota that are spoken for; given back when dropped.
#[derive(Debug)]
struct Reserved {
    assets: Arc<Assets>,
    bytes: u64,
}

impl Reserved {
    /// Makes it at least `bytes`.
    fn grow(&mut self, bytes: u64) -> Result<(), Error> {
        let more = bytes.saturating_sub(self.bytes);
        let quota = self.assets.limits.quota_bytes;
        let used = self.assets.used.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        // What was too much is given back by the drop.
        if used.saturating_add(more) > quota { Err(Error::Full { used, quota }) } else { Ok(()) }
    }

    /// `bytes` of it stay taken.
    fn settle(mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.assets.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A file that is coming in. Dropped, it leaves nothing.
#[derive(Debug)]
pub struct Incoming {
    reserved: Reserved,
    upload: Upload,
    /// What came and is not written yet.
    piece: Vec<u8>,
    bytes: u64,
    _permit: OwnedSemaphorePermit,
}

/// What became of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// As it is known now.
    pub asset: Arc<Asset>,
    /// Whether it was not there before.
    pub is_new: bool,
}

impl Incoming {
    /// The next bytes.
    pub async fn write(mut self, bytes: &[u8]) -> Result<Self, Error> {
        self.bytes += bytes.len() as u64;
        let limit = self.reserved.assets.limits.upload_bytes_max;
        if self.bytes > limit {
            return Err(Error::TooLong(limit));
        }
        self.reserved.grow(self.bytes)?;
        self.piece.extend_from_slice(bytes);
        if self.piece.len() < PIECE_BYTES { Ok(self) } else { blocking(move || self.flushed()).await }
    }

    fn flushed(mut self) -> Result<Self, Error> {
        self.upload.write(&self.piece)?;
        self.piece.clear();
        Ok(self)
    }

    /// There are no more: it is examined, and kept if it is good. Where it is there already it stays as it is known.
    pub async fn finish(self, wanted: Option<Digest>, label: Label, now_utc_ms: i64) -> Result<Received, Error> {
        let assets = self.reserved.assets.clone();
        let _turn = assets.turn().await?;
        blocking(move || self.settle(wanted, label, now_utc_ms)).await
    }

    fn settle(self, wanted: Option<Digest>, label: Label, created_utc_ms: i64) -> Result<Received, Error> {
        let Self { reserved, upload, .. } = self.flushed()?;
        let assets = reserved.assets.clone();
        let sealed = upload.seal()?;
        let Stored { digest: id, bytes } = sealed.stored();
        if let Some(wanted) = wanted.filter(|wanted| *wanted != id) {
            return Err(Error::OtherContent { wanted, found: id });
        }
        let asset = Candidate { id, bytes, label, created_utc_ms }.examine(&assets.library, || sealed.open())?;
        // Under the lock, so that nobody deletes it between its place and the table.
        let mut table = assets.table();
        sealed.keep(&assets.vault)?;
        if let Some(asset) = table.get(&id).cloned() {
            drop(table);
            assets.announce(&asset)?;
            return Ok(Received { asset, is_new: false });
        }
        let asset = Arc::new(asset);
        if let Err(error) = assets.announce(&asset) {
            assets.vault.remove(&id)?;
            return Err(error);
        }
        assets.records.put(&asset);
        table.insert(id, asset.clone());
        drop(table);
        reserved.settle(bytes);
        Ok(Received { asset, is_new: true })
    }
}

/// A file that may become an asset.
struct Candidate {
    id: Digest,
    bytes: u64,
    label: Label,
    created_utc_ms: i64,
}

impl Candidate {
    /// What it is, if it is good.
    fn examine(self, library: &Library, open: impl Fn() -> io::Result<std::fs::File>) -> Result<Asset, Error> {
        let mut head = Vec::new();
        open()?.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        let format = sniff(&head).ok_or(Error::UnknownFormat)?;
        let mut facts = Facts::default();
        if format.kind() == Kind::Audio {
            let sound = audio::examine(open()?).map_err(Error::Refused)?;
            facts.sample_rate_hz = Some(sound.sample_rate_hz);
            facts.channels = Some(sound.channels);
        } else {
            // Documents name it by its digest; whoever uploads it knows it by its own name.
            let name = if self.label.name.is_empty() { "the file" } else { &self.label.name };
            let examined = library.examine(format, name, whole(open()?)?).map_err(Error::Refused)?;
            facts.width = examined.size.map(|[width, _]| width);
            facts.height = examined.size.map(|[_, height]| height);
            facts.frames = examined.frames;
            facts.families = examined.families;
            facts.entries = examined.entries;
        }
        let Self { id, bytes, label, created_utc_ms } = self;
        Ok(Asset { id, kind: format.kind(), format, bytes, created_utc_ms, label, facts })
    }
}
