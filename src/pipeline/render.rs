//! The render thread: on each tick a draw list, a picture, and the picture into the frame store.
//!
//! The thread keeps the stream's cadence by itself. A frame whose draw list equals the last one's costs no GPU work. A
//! frame that comes late is still drawn while it is late by no more than the store can absorb; beyond, its number is
//! left out and the encoder repeats. When the GPU is lost, or the thread's work panics, the compositor is rebuilt from
//! the show while the encoder keeps the last picture on air.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Devices, frame_store,
    metrics::StreamMetrics,
    program::{Program, Turn},
    still::{Changes, Still},
    timeline::Timeline,
};
use crate::{
    base::{clock::Clock, colour::VideoColour, size::Size},
    gpu::{self, Compositor, Delivered, Framing},
    scene::{
        Evaluation, LayerError, Moment, Show,
        animation::{Event, events_between},
        evaluate,
    },
};

/// How many frames late a frame may be and still be drawn: what the frame store holds, less the one being shown.
const LATE_FRAMES_MAX: u64 = frame_store::CAPACITY as u64 - 1;
/// Pause before a failed compositor is rebuilt.
const REBUILD_PAUSE: Duration = Duration::from_millis(500);

/// The render thread's share of a stream.
#[derive(Debug)]
pub(super) struct Renderer {
    pub(super) devices: Arc<Devices>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeline: Timeline,
    /// The frame to begin with.
    pub(super) first_frame: u64,
    pub(super) size: Size,
    pub(super) colour: VideoColour,
    pub(super) program: Arc<Program>,
    /// The pictures that are made of the canvas, and where each goes.
    pub(super) framings: Vec<Framing>,
    pub(super) producers: Vec<frame_store::Producer>,
    pub(super) metrics: StreamMetrics,
    pub(super) is_stopping: Arc<AtomicBool>,
    pub(super) reported: Vec<LayerError>,
    /// Up to which time elapsed the animations have told what happens.
    pub(super) told_until: Option<Duration>,
    pub(super) warned: Vec<LayerError>,
}

/// What lives as long as a compositor.
#[derive(Debug)]
struct Canvas {
    compositor: Compositor,
    /// What the target shows; `None` at first, and while something is missing in it.
    shown: Option<Shown>,
    /// Frames whose pictures are not in the store yet, oldest first.
    awaited: VecDeque<Awaited>,
    /// What the compositor had drawn anew in all when it was last counted.
    damaged_pixels: u64,
    /// Where it drew anew lately.
    changes: Changes,
}

/// A show and its plan at some time.
#[derive(Debug)]
struct Shown {
    show: Arc<Show>,
    evaluation: Evaluation,
}

impl Shown {
    /// Whether `show` at `time` is known to look the same.
    fn holds(&self, show: &Arc<Show>, time: Duration) -> bool {
        Arc::ptr_eq(&self.show, show) && self.evaluation.holds_at(time)
    }
}

#[derive(Debug)]
enum Awaited {
    /// On its way from the GPU; if it was drawn, planned at this time of the clock.
    Submitted { planned_at: Option<Duration> },
    /// Equal to the one before it.
    Unchanged { number: u64 },
}

impl Renderer {
    /// Runs until the stream stops. `compositor` is the first one; later ones are made here.
    pub(super) fn run(mut self, compositor: Compositor) {
        let mut canvas = Some(Canvas::new(compositor));
        let mut number = self.first_frame;
        while !self.is_stopping.load(Ordering::Acquire) {
            self.clock.sleep_until(self.timeline.frame_due(number));
            number = self.catch_up(number);
            let turn = self.program.begin(number);
            let outcome = match &mut canvas {
                Some(canvas) => catch_unwind(AssertUnwindSafe(|| self.frame(canvas, number, turn))),
                None => Ok(self.rebuild().map(|rebuilt| canvas = Some(rebuilt))),
            };
            if let Some(reason) = failure(outcome) {
                tracing::error!(
                    reason,
                    "rendering failed; the last picture stays on air while the compositor is rebuilt"
                );
                self.metrics.gpu_rebuilds.inc();
                canvas = None;
                self.clock.sleep_until(self.clock.now() + REBUILD_PAUSE);
            }
            number += 1;
        }
    }

    /// The frame to draw next: `number`, or a later one when it is too late for that.
    fn catch_up(&self, number: u64) -> u64 {
        let on_now = self.timeline.frame_at(self.clock.now());
        if on_now > number + LATE_FRAMES_MAX { on_now } else { number }
    }

    fn rebuild(&self) -> Result<Canvas, gpu::Error> {
        let gpu = self.devices.gpu()?;
        let library = self.devices.library.clone();
        let compositor = Compositor::with_renditions(gpu, library, self.size, self.colour, &self.framings)?;
        tracing::info!("compositor rebuilt");
        Ok(Canvas::new(compositor))
    }

    fn frame(&mut self, canvas: &mut Canvas, number: u64, turn: Turn) -> Result<(), gpu::Error> {
        let planned_at = self.clock.now();
        let rate = self.timeline.rate();
        let elapsed = rate.time_of(turn.scene_frame);
        self.tell(&turn.show, elapsed);
        let stood_ms = i64::try_from(rate.ms_of(number) - rate.ms_of(turn.stands_on)).unwrap_or_default();
        let moment = Moment { elapsed, utc_ms: self.clock.utc_ms_at(self.timeline.frame_due(number)) - stood_ms };
        let is_known = |shown: &Shown| turn.is_paused || shown.holds(&turn.show, elapsed);
        if canvas.shown.as_ref().is_some_and(is_known) {
            self.keep(canvas, number)?;
        } else {
            let evaluation = evaluate(&turn.show, moment, &*self.devices.library);
            self.show(canvas, number, planned_at, Shown { show: turn.show, evaluation })?;
        }
        for reply in turn.captures {
            // Whoever asked may have gone away meanwhile.
            let changes = canvas.changes.at(self.timeline.rate().time_of(number));
            let still = canvas.compositor.capture().map(|picture| Still { picture, changes });
            let _ = reply.send(still.map_err(|error| error.to_string()));
        }
        self.collect(canvas, self.timeline.frame_due(number + 1))
    }

    /// Says what the animations on air tell of the time up to `elapsed`; while the picture is frozen that is nothing.
    fn tell(&mut self, show: &Show, elapsed: Duration) {
        let layers = show.on_air().layers.iter();
        let events: Vec<_> = layers.flat_map(|layer| events_between(layer, self.told_until, elapsed)).collect();
        self.told_until = Some(elapsed);
        if events.is_empty() {
            return;
        }
        for Event { layer, animation, kind, .. } in &events {
            tracing::debug!(%layer, animation, ?kind, "animation");
        }
        self.metrics.animation_events.inc_by(events.len() as u64);
        self.program.tell(events);
    }

    /// The picture is the last one again. A slower rendition may not have that yet.
    fn keep(&self, canvas: &mut Canvas, number: u64) -> Result<(), gpu::Error> {
        let is_submitted = canvas.compositor.refresh(number, |index| self.producers[index].is_due(number))?;
        canvas.awaited.push_back(match is_submitted {
            true => Awaited::Submitted { planned_at: None },
            false => Awaited::Unchanged { number },
        });
        self.metrics.frames_unchanged.inc();
        Ok(())
    }

    /// The picture is that of `next`, which is drawn only if it differs.
    fn show(&mut self, canvas: &mut Canvas, number: u64, planned_at: Duration, next: Shown) -> Result<(), gpu::Error> {
        let list = &next.evaluation.draw_list;
        let (mut errors, warnings) = (next.evaluation.errors.clone(), next.evaluation.warnings.clone());
        if canvas.shown.as_ref().is_some_and(|shown| shown.evaluation.draw_list == *list) {
            errors.extend_from_slice(canvas.compositor.problems());
            canvas.shown = Some(next);
            self.keep(canvas, number)?;
        } else {
            match canvas.compositor.render_for(number, list, |index| self.producers[index].is_due(number)) {
                Ok(true) => canvas.awaited.push_back(Awaited::Submitted { planned_at: Some(planned_at) }),
                Ok(false) => canvas.awaited.push_back(Awaited::Unchanged { number }),
                // The GPU is more than a ring of frames behind: this one is left out, and the encoder repeats.
                Err(gpu::Error::RingFull) => return Ok(()),
                Err(error) => return Err(error),
            }
            errors.extend_from_slice(canvas.compositor.problems());
            // With something missing it is drawn again, until all is there.
            canvas.shown = (!canvas.compositor.is_pending()).then_some(next);
            self.count(canvas, number);
        }
        self.report(errors);
        self.report_warnings(warnings);
        Ok(())
    }

    /// Counts a frame that was drawn, and notes what of it.
    fn count(&self, canvas: &mut Canvas, number: u64) {
        canvas.changes.note(self.timeline.rate().time_of(number), canvas.compositor.damage().rects());
        let stats = canvas.compositor.stats();
        self.metrics.frames_rendered.inc();
        self.metrics.items_drawn.inc_by(stats.items as u64);
        self.metrics.items_skipped.inc_by(stats.culled as u64);
        self.metrics.damaged_pixels.inc_by(stats.damaged_pixels_total - canvas.damaged_pixels);
        self.metrics.textures.set(stats.cache.textures as i64);
        self.metrics.texture_bytes.set(stats.cache.bytes as i64);
        canvas.damaged_pixels = stats.damaged_pixels_total;
    }

    /// Says once what cannot be shown, and once that it can be again.
    fn report(&mut self, errors: Vec<LayerError>) {
        if errors == self.reported {
            return;
        }
        for error in errors.iter().filter(|error| !self.reported.contains(error)) {
            tracing::warn!(layer = %error.layer, reason = %error.message, "a layer cannot be shown");
        }
        self.metrics.layer_errors.set(errors.len() as i64);
        self.program.set_layer_errors(errors.clone());
        self.reported = errors;
    }

    /// Says once what is shown, but not as it should be.
    fn report_warnings(&mut self, warnings: Vec<LayerError>) {
        if warnings == self.warned {
            return;
        }
        for warning in warnings.iter().filter(|warning| !self.warned.contains(warning)) {
            tracing::warn!(layer = %warning.layer, reason = %warning.message, "a layer is not shown as it should be");
        }
        self.program.set_layer_warnings(warnings.clone());
        self.warned = warnings;
    }

    /// Moves finished pictures to the store, in order, until none is awaited or it is `deadline`.
    fn collect(&mut self, canvas: &mut Canvas, deadline: Duration) -> Result<(), gpu::Error> {
        while let Some(awaited) = canvas.awaited.front() {
            match *awaited {
                Awaited::Unchanged { number } => {
                    self.producers.iter_mut().for_each(|producer| producer.publish_unchanged(number));
                }
                Awaited::Submitted { planned_at } => {
                    let wait = deadline.saturating_sub(self.clock.now());
                    if !self.collect_one(&mut canvas.compositor, wait)? {
                        return Ok(());
                    }
                    if let Some(planned_at) = planned_at {
                        self.metrics.render_seconds.observe((self.clock.now() - planned_at).as_secs_f64());
                    }
                }
            }
            canvas.awaited.pop_front();
        }
        Ok(())
    }

    /// Whether the oldest frame's pictures came in time.
    fn collect_one(&mut self, compositor: &mut Compositor, wait: Duration) -> Result<bool, gpu::Error> {
        let collected = compositor.collect_each(wait, |Delivered { frame, rendition, picture }| {
            let producer = &mut self.producers[rendition];
            match picture {
                Some((bytes, damage)) => producer.publish(frame, bytes, &damage),
                None => producer.publish_unchanged(frame),
            }
        })?;
        Ok(collected.is_some())
    }
}

impl Canvas {
    fn new(compositor: Compositor) -> Self {
        Self { compositor, shown: None, awaited: VecDeque::new(), damaged_pixels: 0, changes: Changes::default() }
    }
}

fn failure(outcome: std::thread::Result<Result<(), gpu::Error>>) -> Option<String> {
    match outcome {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(panic) => Some(super::panic_text(&*panic)),
    }
}
