//! The audio thread: a block of 1024 samples [`LEAD`] before it is due, so that its AAC frame is there when it is.
//!
//! Due times come from the sample number on the stream's clock. The encoder gives a frame two blocks after its block came
//! in. Were blocks mixed when they are due, every picture would wait so long for the sound that goes with it, and be seen so
//! much later than it could be. A thread that was held up makes up for what it missed at
//! once, up to [`CATCH_UP_MAX`] blocks; beyond, samples are left out, and the timestamps say so.
//!
//! The [`Desk`] is what it shares with whoever changes the mix: the swap and the thread's taking of a block's number
//! happen under one lock, held for a pointer's copy, so whoever changes the mix learns the first sample for which that
//! holds and may write its time into it.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
    time::Duration,
};

use super::{
    metrics::StreamMetrics,
    mux::ToMux,
    program::{OnCanvas, Program},
    timeline::{Timeline, ms_of_sample, time_of_sample},
};
use crate::{
    audio::{
        self, AudioFrame, BLOCK_SAMPLES, Encoder, Gauge, Measured, Meters, Mix, Mixer, Opened, SILENT_BLOCK, Source,
    },
    base::{clock::Clock, rate::FrameRate},
    flv,
    output::{Kind, Packet},
};

/// Blocks, about two seconds, that are made up for after a hold-up.
const CATCH_UP_MAX: u64 = 94;
/// How many samples before it is due a block is mixed: as many as the encoder keeps back.
const LEAD: u64 = audio::DELAY_SAMPLES;
/// Samples of a block, as numbers are counted.
pub(super) const BLOCK: u64 = BLOCK_SAMPLES as u64;
/// Blocks, a second, of which the metrics show the highest peak.
const PEAK_BLOCKS: u64 = 47;

/// Shared by the audio thread and the stream's handle.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    meters: Mutex<Meters>,
}

#[derive(Debug)]
struct State {
    /// Mixes that the audio thread has not taken yet, with the sources that are new in each.
    coming: VecDeque<Coming>,
    /// Sources that it has done with, to be dropped by another thread.
    retired: Vec<Box<dyn Source>>,
    /// The first sample for which a change made now holds.
    next_sample: u64,
    /// Whether the loudness starts anew.
    is_reset: bool,
}

/// A mix that holds from a sample on.
#[derive(Debug)]
struct Coming {
    sample: u64,
    mix: Arc<Mix>,
    opened: Vec<Opened>,
}

/// What the audio thread gets for a block.
#[derive(Debug)]
struct Turn {
    change: Option<(Arc<Mix>, Vec<Opened>)>,
    is_reset: bool,
}

impl Desk {
    /// A desk for an audio thread that has its first mix, and begins with the block at `next_sample`.
    pub(super) fn new(next_sample: u64) -> Self {
        Self {
            state: Mutex::new(State { coming: VecDeque::new(), retired: Vec::new(), next_sample, is_reset: false }),
            meters: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The audio thread begins the block at `sample`; the one behind it is mixed with it.
    fn begin(&self, sample: u64) -> Turn {
        let mut state = self.lock();
        state.next_sample = sample + 2 * BLOCK;
        let mut change: Option<(Arc<Mix>, Vec<Opened>)> = None;
        while state.coming.front().is_some_and(|coming| coming.sample <= sample + BLOCK)
            && let Some(Coming { mix, opened, .. }) = state.coming.pop_front()
        {
            let before = change.map_or_else(Vec::new, |(_, opened)| opened);
            change = Some((mix, before.into_iter().chain(opened).collect()));
        }
        Turn { change, is_reset: std::mem::take(&mut state.is_reset) }
    }

    fn retire(&self, sources: Vec<Box<dyn Source>>) {
        self.lock().retired.extend(sources);
    }

    /// Puts a mix on air, made from the sample from which on it holds, which is returned: the first of a block, that of sample
    /// `from` or a later one; `opened` are the sources that are new in it.
    pub(super) fn set_mix<T>(
        &self,
        opened: Vec<Opened>,
        from: u64,
        make: impl FnOnce(u64) -> (Arc<Mix>, T),
    ) -> (u64, T) {
        let mut state = self.lock();
        let after = state.coming.back().map_or(0, |coming| coming.sample);
        let sample = from.next_multiple_of(BLOCK).max(state.next_sample).max(after);
        let (mix, made) = make(sample);
        match state.coming.back_mut() {
            Some(last) if last.sample == sample => {
                last.mix = mix;
                last.opened.extend(opened);
            }
            _ => state.coming.push_back(Coming { sample, mix, opened }),
        }
        let retired = std::mem::take(&mut state.retired);
        drop(state);
        // May take its time, which the audio thread does not wait for.
        drop(retired);
        (sample, made)
    }

    /// The first sample for which a change made now holds.
    pub(super) fn next_sample(&self) -> u64 {
        self.lock().next_sample
    }

    /// Loudness and highest peaks start anew.
    pub(super) fn reset_loudness(&self) {
        self.lock().is_reset = true;
    }

    /// The meters, for a look.
    pub(super) fn meters(&self) -> MutexGuard<'_, Meters> {
        self.meters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The audio thread's share of a stream.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeline: Timeline,
    pub(super) desk: Arc<Desk>,
    pub(super) program: Arc<Program>,
    pub(super) mixer: Mixer,
    pub(super) encoder: Encoder,
    pub(super) mux: SyncSender<ToMux>,
    pub(super) metrics: StreamMetrics,
    pub(super) is_stopping: Arc<AtomicBool>,
}

impl Sound {
    /// Runs until the stream stops.
    pub(super) fn run(mut self) {
        let mut watch = Watch::default();
        let mut sample = self.timeline.first_sample(BLOCK);
        while !self.is_stopping.load(Ordering::Acquire) {
            self.clock.sleep_until(self.timeline.sample_due(sample.saturating_sub(LEAD)));
            if self.timeline.sample_due(sample + CATCH_UP_MAX * BLOCK) < self.clock.now() {
                tracing::warn!("sound was held up for more than two seconds; samples are left out");
                while self.timeline.sample_due(sample) < self.clock.now() {
                    sample += BLOCK;
                }
            }
            // The track must not end: a block is lost, and what has a past begins anew behind it.
            let done = catch_unwind(AssertUnwindSafe(|| self.block(sample, &mut watch)));
            if let Err(panic) = done {
                tracing::error!(reason = super::panic_text(&*panic), "a block of sound is lost");
            }
            sample += BLOCK;
        }
        show_nothing(&self.metrics);
    }

    fn block(&mut self, sample: u64, watch: &mut Watch) {
        let Turn { change, is_reset } = self.desk.begin(sample);
        if let Some((mix, opened)) = change {
            self.mixer.change(mix, opened);
        }
        if is_reset {
            watch.gauge.reset();
        }
        let canvas = self.mixer.follows_layers().then(|| self.program.on_canvas());
        let rate = self.timeline.rate();
        let mut seen = |layer: &_, sample| {
            canvas.as_ref().map_or(0.0, |canvas| canvas.show.audibility(layer, elapsed_at(canvas, rate, sample)))
        };
        let mut block = SILENT_BLOCK;
        self.mixer.block(sample, &mut seen, &mut block);
        let retired = self.mixer.take_retired();
        if !retired.is_empty() {
            self.desk.retire(retired);
        }
        self.metrics.missing_samples.inc_by(self.mixer.take_missing());
        let measured = self.mixer.measure(&mut watch.gauge, &block);
        watch.tell(&measured, &self.metrics, self.mixer.mix());
        measured.leave(&mut self.desk.meters());
        match self.encoder.encode(sample, &block) {
            Ok(Some(frame)) => self.send(frame),
            Ok(None) => {}
            Err(error) => tracing::error!(%error, "a block of sound is lost"),
        }
    }

    fn send(&self, frame: AudioFrame) {
        self.metrics.audio_frames.inc();
        self.metrics.audio_bytes.inc_by(frame.data.len() as u64);
        // The mux thread ends only after this one.
        let _ = self.mux.send(ToMux::sound(packet(frame)));
    }
}

/// The time elapsed of the scene that is seen at a sample: without the time that the picture stood still, and not beyond
/// the frame on which it stands.
fn elapsed_at(canvas: &OnCanvas, rate: FrameRate, sample: u64) -> Duration {
    if canvas.is_paused {
        return rate.time_of(canvas.next_scene_frame.saturating_sub(1));
    }
    time_of_sample(sample).saturating_sub(rate.time_of(canvas.paused_frames))
}

/// Who scrapes a stream that has stopped must not take its last sound for a present one.
fn show_nothing(metrics: &StreamMetrics) {
    let StreamMetrics { momentary_lufs, short_term_lufs, peak_dbfs, .. } = metrics;
    [momentary_lufs, short_term_lufs, peak_dbfs].iter().for_each(|gauge| gauge.set(audio::SILENT_DB));
    metrics.is_silent.set(0);
}

/// What the audio thread measures and says.
#[derive(Debug, Default)]
struct Watch {
    gauge: Gauge,
    is_silent: bool,
    blocks: u64,
    /// The highest peak of this second so far.
    peak_dbfs: Option<f64>,
}

impl Watch {
    fn tell(&mut self, measured: &Measured, metrics: &StreamMetrics, mix: &Mix) {
        let loudness = measured.loudness();
        metrics.momentary_lufs.set(loudness.momentary_lufs);
        metrics.short_term_lufs.set(loudness.short_term_lufs);
        metrics.integrated_lufs.set(loudness.integrated_lufs);
        metrics.true_peak_dbtp.set(loudness.true_peak_dbtp);
        metrics.limited_blocks.inc_by(measured.is_limited().into());
        let [left, right] = measured.peak_dbfs();
        let peak = self.peak_dbfs.unwrap_or(audio::SILENT_DB).max(left).max(right);
        self.blocks += 1;
        let is_second = self.blocks.is_multiple_of(PEAK_BLOCKS);
        if is_second {
            metrics.peak_dbfs.set(peak);
        }
        self.peak_dbfs = (!is_second).then_some(peak);
        self.tell_silence(metrics, mix);
    }

    /// Says once that it has become silent, and once that it is not any more. Who has no source knows it.
    fn tell_silence(&mut self, metrics: &StreamMetrics, mix: &Mix) {
        let is_silent = self.gauge.is_silent();
        if is_silent == std::mem::replace(&mut self.is_silent, is_silent) {
            return;
        }
        metrics.is_silent.set(is_silent.into());
        if is_silent {
            metrics.silences.inc();
        }
        match (is_silent, mix.sources.is_empty()) {
            (_, true) => {}
            (true, false) => {
                let audio::Silence { threshold_dbfs, duration_ms } = mix.silence;
                tracing::warn!(threshold_dbfs, duration_ms, "the sound has become silent");
            }
            (false, false) => tracing::info!("the sound is not silent any more"),
        }
    }
}

/// The FLV packet of an AAC frame.
pub(super) fn packet(frame: AudioFrame) -> Packet {
    Packet { kind: Kind::Audio, dts_ms: ms_of_sample(frame.first_sample), body: flv::audio_frame(frame.data) }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::{
        base::{clock::ManualClock, id::Id},
        pipeline::{course::Pauses, metrics::Families},
        scene::{Canvas, LayerErrors, Show},
    };

    #[test]
    fn a_change_is_told_the_first_sample_that_is_mixed_with_it() {
        let desk = Desk::new(0);
        assert_eq!(desk.set_mix(Vec::new(), 0, |sample| (Arc::default(), sample)), (0, 0));
        assert!(desk.begin(0).change.is_some());
        let turn = desk.begin(BLOCK);
        assert!(turn.change.is_none() && !turn.is_reset);
        // Blocks 1 and 2 are mixed.
        assert_eq!(desk.next_sample(), 3 * BLOCK);
        desk.reset_loudness();
        assert_eq!(desk.set_mix(Vec::new(), 0, |sample| (Arc::default(), sample)), (3 * BLOCK, 3 * BLOCK));
        let turn = desk.begin(2 * BLOCK);
        assert!(turn.change.is_some() && turn.is_reset);
    }

    #[test]
    fn a_mix_for_later_comes_with_its_block() {
        let desk = Desk::new(0);
        desk.begin(0);
        let set = |from| desk.set_mix(Vec::new(), from, |_| (Arc::default(), ())).0;
        assert_eq!(set(5 * BLOCK - 1), 5 * BLOCK);
        assert_eq!(set(0), 5 * BLOCK, "what is made later does not come earlier");
        assert!(desk.begin(3 * BLOCK).change.is_none());
        assert!(desk.begin(4 * BLOCK).change.is_some(), "the block behind this one is mixed with it");
        assert!(desk.begin(5 * BLOCK).change.is_none());
    }

    #[test]
    fn sources_that_are_done_with_are_dropped_by_who_changes_the_mix() {
        let desk = Desk::new(0);
        desk.retire(vec![
            audio::SourceKind::Tone(audio::Tone::ALIGNMENT).open(&Id::new("a").unwrap(), &audio::Opener::default()),
        ]);
        assert_eq!(desk.lock().retired.len(), 1);
        desk.set_mix(Vec::new(), 0, |_| (Arc::default(), ()));
        assert!(desk.lock().retired.is_empty());
    }

    #[test]
    fn a_frame_is_there_when_it_is_due() {
        let clock = Arc::new(ManualClock::default());
        let rate = FrameRate::new(25, 1).unwrap();
        let show = Arc::new(Show::of_layers(Canvas::default(), LayerErrors::Hide, Vec::new()));
        let families = Families::new(&prometheus::Registry::new()).unwrap();
        let (mux, packets) = mpsc::sync_channel(8);
        let is_stopping = Arc::new(AtomicBool::new(false));
        let sound = Sound {
            clock: clock.clone(),
            timeline: Timeline::new(Duration::ZERO, rate),
            desk: Arc::new(Desk::new(0)),
            program: Arc::new(Program::new(show, 0, Pauses::default())),
            mixer: Mixer::new(Arc::default(), Vec::new()),
            encoder: Encoder::open(128).unwrap(),
            mux,
            metrics: families.of(&Id::new("main").unwrap()),
            is_stopping: is_stopping.clone(),
        };
        let thread = std::thread::Builder::new().name("audio-main".into()).spawn(move || sound.run()).unwrap();
        for block in 0..8 {
            // Nothing passes meanwhile: a frame that is late never comes.
            let Ok(ToMux::Sound { packet, .. }) = packets.recv_timeout(Duration::from_secs(60)) else {
                panic!("block {block} is not there when it is due")
            };
            assert_eq!(packet.dts_ms, ms_of_sample(block * BLOCK));
            clock.advance(time_of_sample((block + 1) * BLOCK) - clock.now());
        }
        is_stopping.store(true, Ordering::Release);
        clock.advance(Duration::from_secs(1));
        thread.join().unwrap();
    }

    #[test]
    fn sound_that_follows_a_layer_stands_with_the_picture() {
        let rate = FrameRate::new(25, 1).unwrap();
        let show = Arc::new(Show::of_layers(Canvas::default(), LayerErrors::Hide, Vec::new()));
        let canvas = OnCanvas { show, is_paused: false, paused_frames: 25, next_scene_frame: 50 };
        assert_eq!(elapsed_at(&canvas, rate, 144_000), Duration::from_secs(2));
        let paused = OnCanvas { is_paused: true, ..canvas };
        assert_eq!(elapsed_at(&paused, rate, 999_000), Duration::from_millis(49 * 40));
    }
}
