//! What leaves the GPU: the NV12 picture of each rendition, through one ring of buffers that hold all of them.
//!
//! ```text
//!  target ─┬──────────────► nv12 ─┐  buffer of the ring: [ rendition 0 | rendition 1 | ... ]
//!          └─► scale ─► nv12 ─────┴─► copy rows ──► mapped ──► collect
//! ```
//!
//! A rendition is converted only for frames for which it is wanted, and only where the canvas changed since. A buffer gets
//! those rows that it does not have yet: each remembers what was written while others had their turn.

use std::{collections::VecDeque, time::Duration};

use super::{
    Error,
    device::Gpu,
    framing::Framing,
    nv12::Nv12,
    readback::{RING, Readback, Scheduled},
    scale::Scale,
};
use crate::{
    base::{
        colour::VideoColour,
        nv12::{Layout, Rows},
    },
    scene::damage::Damage,
};

/// Most renditions of a canvas.
pub const RENDITIONS_MAX: usize = 8;

/// For each rendition, where its picture differs from the one before, if the frame has one of it.
type Changes = [Option<Damage>; RENDITIONS_MAX];

/// What came back of a frame, for one rendition.
#[derive(Debug)]
pub struct Delivered<'a> {
    /// The frame's number.
    pub frame: u64,
    /// Index of the rendition.
    pub rendition: usize,
    /// The bytes of its picture, and in which of its pixels they may differ from those delivered before; all others are the
    /// same. None: it was not wanted.
    pub picture: Option<(&'a [u8], Damage)>,
}

/// The renditions of a canvas, and their way back.
#[derive(Debug)]
pub(crate) struct Delivery {
    renditions: Vec<Rendition>,
    readback: Readback,
    /// For each buffer of the ring and each rendition, the rows that are not those of its newest picture.
    lacks: Vec<Vec<Rows>>,
    /// Of the frames in flight, oldest first.
    changes: VecDeque<Changes>,
    /// Damage of pictures that were lost on their way.
    lost: [Damage; RENDITIONS_MAX],
}

/// One of them.
#[derive(Debug)]
struct Rendition {
    framing: Framing,
    /// Where its picture begins in a buffer.
    offset: usize,
    easel: Easel,
    /// Where the canvas changed since it was converted last.
    pending: Damage,
}

/// What its picture is made with.
#[derive(Debug)]
struct Easel {
    scale: Option<Scale>,
    nv12: Nv12,
    /// Whether nothing of it was converted yet, not even the bars.
    is_new: bool,
}

impl Easel {
    fn new(gpu: &Gpu, target: &wgpu::TextureView, framing: Framing, colour: VideoColour) -> Self {
        let (device, queue) = (&gpu.device, &gpu.queue);
        let scale = (!framing.is_whole()).then(|| Scale::new(device, queue, target, framing));
        let picture = scale.as_ref().map_or(target, Scale::picture);
        let nv12 = Nv12::new(device, queue, picture, Layout::of(framing.size()), colour);
        Self { scale, nv12, is_new: true }
    }
}

impl Rendition {
    fn layout(&self) -> Layout {
        Layout::of(self.framing.size())
    }

    /// Records the conversion of what is pending; where its picture is written anew by it.
    fn record(&mut self, queue: &wgpu::Queue, encoder: &mut wgpu::CommandEncoder) -> Damage {
        let pending = std::mem::take(&mut self.pending);
        let mut changed = self.easel.scale.as_ref().map_or(pending, |scale| scale.record(queue, encoder, &pending));
        if std::mem::take(&mut self.easel.is_new) {
            changed = Damage::whole(self.framing.size().sides());
        }
        self.easel.nv12.record(queue, encoder, &changed)
    }
}

impl Delivery {
    /// `target` is a view of encoded values.
    pub(crate) fn new(gpu: &Gpu, target: &wgpu::TextureView, framings: &[Framing], colour: VideoColour) -> Self {
        assert!((1..=RENDITIONS_MAX).contains(&framings.len()), "{} renditions", framings.len());
        let mut len = 0;
        let renditions: Vec<_> = framings
            .iter()
            .map(|&framing| {
                let offset = len;
                len += Layout::of(framing.size()).len();
                Rendition { framing, offset, easel: Easel::new(gpu, target, framing, colour), pending: Damage::none() }
            })
            .collect();
        let readback = Readback::new(&gpu.device, len, RING);
        let lacks = (0..RING).map(|_| renditions.iter().map(|rendition| Rows::all(rendition.layout())).collect());
        let lacks = lacks.collect();
        let lost = [Damage::none(); RENDITIONS_MAX];
        Self { renditions, readback, lacks, changes: VecDeque::with_capacity(RING), lost }
    }

    /// Takes the pictures from another target from now on, which shows nothing yet.
    pub(crate) fn take_from(&mut self, gpu: &Gpu, target: &wgpu::TextureView, colour: VideoColour) {
        for rendition in &mut self.renditions {
            rendition.easel = Easel::new(gpu, target, rendition.framing, colour);
        }
    }

    /// Layout of a rendition's picture.
    pub(crate) fn layout(&self, rendition: usize) -> Layout {
        self.renditions[rendition].layout()
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.readback.in_flight()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.readback.is_full()
    }

    /// Notes where the target changed.
    pub(crate) fn note(&mut self, damage: &Damage) {
        self.renditions.iter_mut().for_each(|rendition| rendition.pending.join(damage));
    }

    /// Whether one of those wanted does not show the target.
    pub(crate) fn is_behind(&self, is_wanted: impl Fn(usize) -> bool) -> bool {
        self.renditions.iter().enumerate().any(|(i, rendition)| !rendition.pending.is_empty() && is_wanted(i))
    }

    /// Records how those wanted are converted and sent on their way; `None` if none is.
    ///
    /// # Errors
    /// [`Error::RingFull`]
    pub(crate) fn record(
        &mut self,
        queue: &wgpu::Queue,
        encoder: &mut wgpu::CommandEncoder,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Result<Option<Underway>, Error> {
        let mut changes = [None; RENDITIONS_MAX];
        for (i, rendition) in self.renditions.iter_mut().enumerate().filter(|(i, _)| is_wanted(*i)) {
            let written = rendition.record(queue, encoder);
            for lacks in &mut self.lacks {
                written.rects().iter().for_each(|rect| lacks[i].add(rect.top..rect.bottom));
            }
            changes[i] = Some(written);
        }
        if changes.iter().all(Option::is_none) {
            return Ok(None);
        }
        let Self { renditions, readback, lacks, .. } = self;
        let scheduled = readback.record(encoder, |encoder, index, to| {
            for (i, rendition) in renditions.iter().enumerate().filter(|(i, _)| changes[*i].is_some()) {
                let lacks = &mut lacks[index][i];
                lacks.spans().for_each(|span| {
                    let (from, len) = (span.start as u64, span.len() as u64);
                    let offset = rendition.offset as u64 + from;
                    encoder.copy_buffer_to_buffer(rendition.easel.nv12.buffer(), from, to, offset, len);
                });
                lacks.clear();
            }
        })?;
        Ok(Some(Underway { scheduled, changes }))
    }

    /// Notes that what was recorded was submitted.
    pub(crate) fn submitted(&mut self, frame: u64, underway: Underway, submission: wgpu::SubmissionIndex) {
        self.readback.submitted(frame, underway.scheduled, submission);
        self.changes.push_back(underway.changes);
    }

    /// Waits, at most `wait`, for the oldest frame in flight and hands out what came of it, for one rendition after the
    /// other. Its number, or `None` when it is not there yet.
    pub(crate) fn collect(
        &mut self,
        gpu: &Gpu,
        wait: Duration,
        mut read: impl FnMut(Delivered<'_>),
    ) -> Result<Option<u64>, Error> {
        let Self { renditions, readback, changes, lost, .. } = self;
        let Some(mut change) = changes.front().copied() else { return Ok(None) };
        for (damage, lost) in change.iter_mut().zip(lost.iter()) {
            damage.iter_mut().for_each(|damage| damage.join(lost));
        }
        let collected = readback.collect(gpu, wait, |frame, bytes| {
            for (i, rendition) in renditions.iter().enumerate() {
                let bytes = &bytes[rendition.offset..][..rendition.layout().len()];
                read(Delivered { frame, rendition: i, picture: change[i].map(|damage| (bytes, damage)) });
            }
        });
        if matches!(collected, Ok(None) | Err(Error::Lost)) {
            return collected;
        }
        changes.pop_front();
        // What was not read is still to be told.
        for (lost, damage) in lost.iter_mut().zip(change).filter_map(|(lost, damage)| Some((lost, damage?))) {
            *lost = if collected.is_ok() { Damage::none() } else { damage };
        }
        collected
    }
}

/// What is recorded but not submitted.
#[derive(Debug)]
pub(crate) struct Underway {
    scheduled: Scheduled,
    changes: Changes,
}
