//! Renditions: the pictures of one canvas that are encoded side by side, each in its own size, rate and bitrate.
//!
//! ```text
//!  canvas 1920x1080, 30/s ─┬─► main    1920x1080, 30/s ─► encode-ID-main   ─► interleave ─► outputs
//!                          └─► mobile   640x360,  15/s ─► encode-ID-mobile ─► interleave ─► outputs
//!  sound ── encoded once ──────────────────────────────────── to each ───────────┘
//! ```
//!
//! A frame of a slower rendition is a frame of the canvas whose number is a multiple; it counts them itself, at its own
//! rate, so its timestamps are exact. Those that show the same picture share it. Their keyframes come at the same times:
//! whoever makes the settings sees to that.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use serde::Serialize;

use super::{
    EncoderSettings,
    bitrate::{Policy, Rule, Wanted},
    metrics::RenditionMetrics,
    mux::FanOut,
};
use crate::{
    base::{id::Id, rate::FrameRate, size::Size},
    encode::Encoder,
    gpu::{Fit, Framing},
    output::{Headers, Stats},
};

/// What a rendition is made with.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendition {
    /// Unique in its stream; in threads, logs and metrics.
    pub id: Id,
    /// How the canvas lies in a picture of another shape.
    pub fit: Fit,
    /// Frames of the canvas for one of its own, at least 1.
    pub every: u64,
    /// How it is encoded; size and rate of the picture stand there.
    pub encoder: EncoderSettings,
}

impl Rendition {
    /// Its picture of a canvas.
    pub(super) fn framing(&self, canvas: Size) -> Framing {
        Framing::of(canvas, self.encoder.config.size, self.fit)
    }
}

/// Renditions that show the same picture.
#[derive(Debug, PartialEq)]
pub(super) struct Shared {
    pub(super) framing: Framing,
    /// Their indices.
    pub(super) renditions: Vec<usize>,
}

/// Each different picture of these renditions, in order.
pub(super) fn pictures(renditions: &[Rendition], canvas: Size) -> Vec<Shared> {
    let mut pictures: Vec<Shared> = Vec::new();
    for (index, rendition) in renditions.iter().enumerate() {
        let framing = rendition.framing(canvas);
        match pictures.iter_mut().find(|picture| picture.framing == framing) {
            Some(picture) => picture.renditions.push(index),
            None => pictures.push(Shared { framing, renditions: vec![index] }),
        }
    }
    pictures
}

/// The name of the encoder in use; the encoder thread may change it. The lock is held for a pointer.
#[derive(Debug, Clone)]
pub(super) struct InUse(Arc<Mutex<&'static str>>);

impl InUse {
    fn new(backend: &'static str) -> Self {
        Self(Arc::new(Mutex::new(backend)))
    }

    fn get(&self) -> &'static str {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set(&self, backend: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = backend;
    }
}

/// Changes of a bitrate that are remembered; the oldest are forgotten.
const CHANGES_MAX: usize = 64;

/// A change of a rendition's bitrate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BitrateChange {
    /// When, in milliseconds of the stream.
    pub at_ms: u64,
    /// Kilobits per second before.
    pub from_kbps: u32,
    /// And after.
    pub to_kbps: u32,
    /// Why.
    pub reason: BitrateReason,
    /// Which output got behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Id>,
}

/// Why a bitrate changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum BitrateReason {
    /// An output got behind.
    Congestion,
    /// None is behind any more.
    Recovery,
    /// What is configured was changed.
    Configured,
}

/// What is wanted of a rendition's bitrate, what its encoder is told, and what was decided. The locks are held for copies.
#[derive(Debug)]
pub(super) struct Control {
    wanted: Mutex<Wanted>,
    bitrate_kbps: Arc<AtomicU32>,
    changes: Mutex<Changes>,
}

/// The last changes of a bitrate, the newest first.
#[derive(Debug, Default)]
struct Changes {
    kept: VecDeque<BitrateChange>,
    /// How many there have been.
    count: u64,
}

impl Control {
    fn new(wanted: Wanted) -> Self {
        let bitrate_kbps = Arc::new(AtomicU32::new(wanted.ceiling_kbps));
        Self { wanted: Mutex::new(wanted), bitrate_kbps, changes: Mutex::default() }
    }

    pub(super) fn wanted(&self) -> Wanted {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does as was decided.
    pub(super) fn change(&self, change: BitrateChange) {
        let BitrateChange { from_kbps, to_kbps, reason, output, .. } = &change;
        tracing::info!(from_kbps, to_kbps, ?reason, output = output.as_ref().map(Id::as_str), "bitrate");
        self.bitrate_kbps.store(change.to_kbps, Ordering::Relaxed);
        let mut changes = self.changes();
        changes.kept.truncate(CHANGES_MAX - 1);
        changes.kept.push_front(change);
        changes.count += 1;
    }

    /// Somebody wants something else. Where no output has a say it holds at once.
    fn configure(&self, ceiling_kbps: u32, rule: Rule) {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        (wanted.ceiling_kbps, wanted.rule) = (ceiling_kbps, rule);
        if rule.policy == Policy::Off {
            self.bitrate_kbps.store(ceiling_kbps, Ordering::Relaxed);
        }
    }
}

/// A rendition that is on air, as the stream's handle has it.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) id: Id,
    pub(super) backend: InUse,
    pub(super) size: Size,
    pub(super) rate: FrameRate,
    pub(super) fan_out: Arc<FanOut>,
    pub(super) control: Arc<Control>,
    pub(super) metrics: RenditionMetrics,
}

/// What a rendition shows of itself.
#[derive(Debug, Clone)]
pub struct Report {
    /// Its id.
    pub id: Id,
    /// The encoder in use.
    pub backend: &'static str,
    /// Its picture's size.
    pub size: Size,
    /// Its frames per second.
    pub rate: FrameRate,
    /// Its counters.
    pub metrics: RenditionMetrics,
    /// The kilobits per second that its encoder is told to make.
    pub target_kbps: u32,
    /// How that changed last, the oldest first.
    pub bitrate_changes: Vec<BitrateChange>,
    /// How often it has changed by now.
    pub bitrate_changes_count: u64,
    /// Its outputs.
    pub outputs: Vec<Stats>,
}

impl Running {
    pub(super) fn new(
        rendition: &Rendition,
        encoder: &dyn Encoder,
        headers: Headers,
        sound_kbps: u32,
        metrics: RenditionMetrics,
    ) -> Self {
        let EncoderSettings { config, rule, .. } = &rendition.encoder;
        let wanted = Wanted { rule: *rule, ceiling_kbps: config.bitrate_kbps, sound_kbps };
        metrics.bitrate_target_bps.set(i64::from(config.bitrate_kbps) * 1000);
        Self {
            id: rendition.id.clone(),
            backend: InUse::new(encoder.backend()),
            size: config.size,
            rate: config.rate,
            fan_out: Arc::new(FanOut::new(headers)),
            control: Arc::new(Control::new(wanted)),
            metrics,
        }
    }

    pub(super) fn report(&self) -> Report {
        let (bitrate_changes, bitrate_changes_count) = {
            let changes = self.control.changes();
            (changes.kept.iter().rev().cloned().collect(), changes.count)
        };
        Report {
            id: self.id.clone(),
            backend: self.backend.get(),
            size: self.size,
            rate: self.rate,
            metrics: self.metrics.clone(),
            target_kbps: self.bitrate_kbps().load(Ordering::Relaxed),
            bitrate_changes,
            bitrate_changes_count,
            outputs: self.fan_out.stats(),
        }
    }

    /// What the encoder is told.
    pub(super) fn bitrate_kbps(&self) -> &Arc<AtomicU32> {
        &self.control.bitrate_kbps
    }

    pub(super) fn set_bitrate(&self, ceiling_kbps: u32, rule: Rule) {
        self.control.configure(ceiling_kbps, rule);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::encode::Backend;

    fn rendition(id: &str, (width, height): (u32, u32), fit: Fit) -> Rendition {
        let (size, rate) = (Size::new(width, height).unwrap(), FrameRate::new(30, 1).unwrap());
        let encoder = EncoderSettings::new(Backend::Auto, size, rate, 1000, Duration::from_secs(2));
        Rendition { id: Id::new(id).unwrap(), fit, every: 1, encoder }
    }

    #[test]
    fn the_same_picture_is_made_once() {
        let canvas = Size::new(1920, 1080).unwrap();
        let renditions = [
            rendition("main", (1920, 1080), Fit::Contain),
            rendition("mobile", (1280, 720), Fit::Contain),
            rendition("cheap", (1920, 1080), Fit::Cover),
            rendition("filled", (1280, 720), Fit::Fill),
            rendition("square", (720, 720), Fit::Contain),
            rendition("cut", (720, 720), Fit::Cover),
        ];
        let pictures = pictures(&renditions, canvas);
        let shared: Vec<_> = pictures.iter().map(|picture| &picture.renditions[..]).collect();
        // In a picture of the canvas's own shape it lies the same way however it is fitted.
        assert_eq!(shared, [&[0, 2][..], &[1, 3], &[4], &[5]]);
    }
}
