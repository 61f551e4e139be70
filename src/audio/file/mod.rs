//! A sound file as a source.
//!
//! ```text
//!  media::Library ── bytes ──► Decoder ──► Tape ──► Resampler ──► Feed ──► FileSource::mix
//!  confines names              packets     rounds   48 kHz        2 s      audio thread
//!                              └────────── thread sound-ID ───────┘
//! ```
//!
//! What is heard is a function of the sample's number: number `atMs` of the stream is the file's `startMs`, and from there
//! on it goes, to the file's end or round and round. Nothing is decoded or read on the audio thread; a thread of the
//! source's own keeps two seconds ahead. Who joins late, a stream after a hold-up or a source that is opened anew, joins
//! where the file would be by then. What is not decoded in time is silent, led into and out of in 5 ms, and counted.
//!
//! Whatever is wrong with a file, its source is silent and says why; nothing else happens. Left out: pitch and speed.

mod baggage;
mod decode;
mod demux;
mod downmix;
mod edits;
mod error;
mod feed;
mod player;
mod resample;
mod tape;

#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, thread, time::Duration};

use serde::{Deserialize, Serialize};

use self::{decode::Decoder, downmix::Frame, error::Error, feed::Feed, tape::Reader};
use super::{BLOCK_SAMPLES, Block, CHANNELS, SAMPLE_RATE, Source};
use crate::{base::id::Id, media::SoundFiles, scene::check::Check};

/// Samples, 5 ms, in which sound comes back after some was missing, and goes when it starts to be.
const FADE_SAMPLES: usize = 240;
/// How long who opens a file waits until its first samples are decoded, so that it is heard from its start.
const READY_WITHIN: Duration = Duration::from_secs(1);
/// How long a name may be, in bytes.
const NAME_LEN_MAX: usize = 1024;
/// Times of a document, in milliseconds: a day.
const TIMES_MS: std::ops::RangeInclusive<f64> = 0.0..=86_400_000.0;
/// Of a stream's clock, in milliseconds: a hundred years.
const STREAM_TIMES_MS: std::ops::RangeInclusive<f64> = 0.0..=3.2e12;

/// A file, by its document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct File {
    /// A name below the assets directory.
    pub asset: String,
    /// Whether it starts again when it is over, from `start_ms`.
    #[serde(rename = "loop", default)]
    pub is_looped: bool,
    /// Where in the file it starts, in milliseconds.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 86400000)]
    pub start_ms: f64,
    /// When it starts, in milliseconds on the stream's clock. Without a word on it, that is when it goes on air.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 3.2e12)]
    pub at_ms: Option<f64>,
}

impl File {
    pub(super) fn check(&self, check: &mut Check) {
        check.count("/asset", "bytes", self.asset.len(), 1..=NAME_LEN_MAX);
        check.range("/startMs", self.start_ms, TIMES_MS);
        if let Some(at_ms) = self.at_ms {
            check.range("/atMs", at_ms, STREAM_TIMES_MS);
        }
    }

    /// Opens it, on a thread named after `id`. With `waits`, mixing waits for the decoder; otherwise this does, a moment.
    pub(super) fn open(&self, id: &Id, files: &SoundFiles, waits: bool) -> FileSource {
        let at = self.at_ms.map(|ms| (ms * f64::from(SAMPLE_RATE) / 1000.0).round() as u64);
        let (file, files) = (self.clone(), files.clone());
        let source = FileSource::start(id, at, waits, move |feed| match files.open(&file.asset) {
            Ok(opened) => player::run(feed, &file.asset, reader(opened), file.start_ms, file.is_looped),
            Err(error) => feed.fail(&error.to_string()),
        });
        if !waits {
            source.feed.wait_until_ready(READY_WITHIN);
        }
        source
    }
}

/// What is to be known of a sound file before it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Examined {
    /// Its own sampling rate.
    pub sample_rate_hz: u32,
    /// Its own channels.
    pub channels: usize,
}

/// Whether a file is heard, or what is wrong with it; reads its head and decodes its first packet, so it takes a moment.
pub fn examine(file: std::fs::File) -> Result<Examined, String> {
    let opened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let decoder = Decoder::open(Box::new(file))?;
        Ok(Examined { sample_rate_hz: decoder.rate_hz(), channels: decoder.channels() })
    }));
    let panicked = |_| Err(Error::Damaged { reason: "its decoder failed".into() });
    opened.unwrap_or_else(panicked).map_err(|error: Error| error.to_string())
}

/// Reads a file from its start on, each time.
fn reader(file: std::fs::File) -> Reader {
    Box::new(move || {
        let mut file = file.try_clone()?;
        std::io::Seek::rewind(&mut file)?;
        Ok(Box::new(file))
    })
}

/// A file that is being played.
pub(super) struct FileSource {
    feed: Arc<Feed>,
    /// The stream's sample that is the file's first; none: the first that is asked for.
    at: Option<u64>,
    waits: bool,
    scratch: Box<Block>,
    edges: Edges,
    /// Whether the last block was not decoded in time, and what is then said.
    is_late: bool,
    lateness: Arc<str>,
    missing: u64,
}

/// Softens where samples are missing.
#[derive(Debug, Clone, Copy, Default)]
struct Edges {
    /// What was heard last.
    last: Frame,
    /// Samples missing until now.
    missing: usize,
    /// Samples until it is back at full level.
    coming: usize,
}

impl Edges {
    /// A sample that is there.
    fn present(&mut self, sample: Frame) -> Frame {
        if std::mem::take(&mut self.missing) > 0 {
            self.coming = FADE_SAMPLES;
        }
        self.last = sample.map(|side| side * faded(self.coming));
        self.coming = self.coming.saturating_sub(1);
        self.last
    }

    /// One that is not: the last one goes.
    fn missing(&mut self) -> Frame {
        let sample = self.last.map(|side| side * faded(self.missing));
        self.missing = self.missing.saturating_add(1);
        sample
    }
}

/// From all of it, at 0, to nothing.
fn faded(samples: usize) -> f32 {
    1.0 - samples.min(FADE_SAMPLES) as f32 / FADE_SAMPLES as f32
}

impl FileSource {
    fn start(id: &Id, at: Option<u64>, waits: bool, decode: impl FnOnce(&Feed) + Send + 'static) -> Self {
        let feed = Arc::new(Feed::new(0));
        let spawned = thread::Builder::new().name(format!("sound-{id}")).spawn({
            let feed = feed.clone();
            move || decode(&feed)
        });
        if let Err(error) = spawned {
            feed.fail(&format!("there is no thread to decode it: {error}"));
        }
        let scratch = Box::new([[0.0; CHANNELS]; BLOCK_SAMPLES]);
        let lateness = "it is not decoded in time; this machine has too much to do".into();
        Self { feed, at, waits, scratch, edges: Edges::default(), is_late: false, lateness, missing: 0 }
    }
}

impl Source for FileSource {
    fn mix(&mut self, first_sample: u64, out: &mut Block) {
        let at = *self.at.get_or_insert(first_sample);
        // Before it starts there is nothing.
        let early = usize::try_from(at.saturating_sub(first_sample)).unwrap_or(usize::MAX).min(out.len());
        let wanted = out.len() - early;
        if wanted == 0 {
            return;
        }
        let number = first_sample + early as u64 - at;
        let taken = self.feed.take(number, &mut self.scratch[..wanted], self.waits);
        self.is_late = taken.is_late;
        self.missing += if taken.is_late { (wanted - taken.count) as u64 } else { 0 };
        for (index, out) in out[early..].iter_mut().enumerate() {
            let sample = match index < taken.count {
                true => self.edges.present(self.scratch[index]),
                false if taken.is_late => self.edges.missing(),
                // It is over, and ends as its author wanted it.
                false => break,
            };
            out[0] += sample[0];
            out[1] += sample[1];
        }
    }

    fn problem(&self) -> Option<Arc<str>> {
        let (failure, warning) = self.feed.troubles();
        failure.or_else(|| self.is_late.then(|| self.lateness.clone())).or(warning)
    }

    fn take_missing(&mut self) -> u64 {
        std::mem::take(&mut self.missing)
    }

    fn is_over(&self) -> bool {
        self.feed.is_over()
    }
}

impl Drop for FileSource {
    fn drop(&mut self) {
        // Not joined: whoever drops a source has no time, and the thread ends with its packet.
        self.feed.close();
    }
}

impl fmt::Debug for FileSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSource").field("at", &self.at).finish_non_exhaustive()
    }
}
