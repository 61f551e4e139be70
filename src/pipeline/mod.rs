//! One stream's real-time side: its threads, its clock, and what connects them.
//!
//! ```text
//!  render-ID            encode-ID-RENDITION            mux-ID                 tokio
//!  evaluate, draw ─┬►[frame store 3]─► encode ─►┐
//!                  └►[frame store 3]─► encode ─►[queue]─► interleave each ─► output queues ─► RTMP
//!                            audio-ID: mix, AAC ─┘
//! ```
//!
//! A stream has one rendition or several, see `rendition.rs`: what goes to one's encoder or outputs never waits for another.
//!
//! [`Stream::start`] opens the encoders and the compositor first and reports what failed; from then on picture and sound
//! flow until [`Stream::stop`], whatever the GPU, the encoder or an output does.
//! Documents, revisions and the API are above; what is drawn and how it is encoded are below.

mod bitrate;
mod course;
mod frame_store;
mod interleave;
pub mod metrics;
mod mux;
pub mod offline;
pub mod prepare;
mod preview;
mod program;
mod render;
mod rendition;
mod skew;
mod sound;
mod still;
mod timeline;
mod video;

#[cfg(test)]
mod tests;

use std::{
    any::Any,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, Ordering},
        mpsc::{self, SyncSender},
    },
    thread::JoinHandle,
    time::Duration,
};

use bytes::Bytes;
use tokio::sync::oneshot;

pub use self::{
    bitrate::{Policy, Rule},
    course::{Course, Pauses},
    frame_store::Unseen,
    prepare::prepare,
    preview::{Full, Look, NoShot, Shot, Watch},
    rendition::{BitrateChange, BitrateReason, Rendition, Report},
    still::{Change, Still},
    video::NoHeader,
};
use self::{
    interleave::Interleaver,
    metrics::{Families, StreamMetrics},
    preview::Preview,
    program::Program,
    rendition::{Running, Shared},
    sound::Desk,
    timeline::Timeline,
};
use crate::{
    audio::{self, Mix, Mixer, Opened, Reading},
    base::{clock::Clock, colour::VideoColour, id::Id, rate::FrameRate, size::Size},
    encode::{self, Backend, Codec, Nvenc, Tuning},
    flv,
    gpu::{self, Compositor, Gpu},
    media::Library,
    output::{Headers, Network, Output, Target},
    rtmp::FourCc,
    scene::{Canvas, LayerError, Show, animation::Event},
};

/// By how much the world's clock may be off the stream's before its beginning is reckoned anew.
const CLOCK_SLACK_MS: u64 = 20;
/// How long before its first frame a stream that goes on has all open: time to have what that shows.
const RESUME_LEAD: Duration = Duration::from_millis(150);
/// Every stream's picture is BT.709, limited range.
const COLOUR: VideoColour = VideoColour::BT709_LIMITED;

/// What all streams share: the GPU, the library of pictures and fonts.
#[derive(Debug)]
pub struct Devices {
    /// How the GPU is chosen, again after it was lost.
    options: gpu::Options,
    gpu: Mutex<Arc<Gpu>>,
    /// Decoded pictures and shaped texts.
    pub library: Arc<Library>,
}

impl Devices {
    /// Opens the GPU.
    pub fn open(options: gpu::Options, library: Arc<Library>) -> Result<Self, gpu::Error> {
        let gpu = Gpu::open(&options)?;
        Ok(Self { options, gpu: Mutex::new(gpu), library })
    }

    /// What opens the sources of sound on air.
    pub fn opener(&self) -> audio::Opener {
        audio::Opener::live(self.library.sound_files())
    }

    /// The GPU, opened anew if it was lost.
    pub fn gpu(&self) -> Result<Arc<Gpu>, gpu::Error> {
        let mut gpu = self.gpu.lock().unwrap_or_else(PoisonError::into_inner);
        if gpu.is_lost_after_all() {
            *gpu = Gpu::open(&self.options)?;
        }
        Ok(gpu.clone())
    }

    /// Whether the GPU works as far as is known.
    pub fn is_healthy(&self) -> bool {
        !self.gpu.lock().unwrap_or_else(PoisonError::into_inner).is_lost()
    }

    /// What the GPU has allocated.
    pub fn gpu_memory(&self) -> gpu::Memory {
        self.gpu.lock().unwrap_or_else(PoisonError::into_inner).memory()
    }

    /// Which GPU it is.
    pub fn report(&self) -> gpu::AdapterReport {
        self.gpu.lock().unwrap_or_else(PoisonError::into_inner).report().clone()
    }
}

/// How the picture is encoded.
#[derive(Debug, Clone, PartialEq)]
pub struct EncoderSettings {
    /// Which encoder.
    pub backend: Backend,
    /// With which values.
    pub config: encode::Config,
    /// How the bitrate follows the outputs.
    pub rule: Rule,
}

impl EncoderSettings {
    /// Settings for a canvas: keyframes each `keyframe_interval`, all processors.
    pub fn new(backend: Backend, size: Size, rate: FrameRate, bitrate_kbps: u32, keyframe_interval: Duration) -> Self {
        let gop_frames = u32::try_from(rate.frames_in(keyframe_interval)).unwrap_or(u32::MAX);
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(encode::THREADS_MAX);
        let (codec, tuning, nvenc, x264) =
            (Codec::default(), Tuning::default(), Nvenc::default(), encode::X264::default());
        let config = encode::Config {
            size,
            rate,
            bitrate_kbps,
            rate_control: encode::RateControl::default(),
            gop_frames,
            colour: COLOUR,
            threads,
            codec,
            tuning,
            nvenc,
            x264,
        };
        Self { backend, config, rule: Rule::default() }
    }

    /// The pictures' codec where RTMP and FLV have it by FourCC: H.264 goes in its form of old, which every server takes.
    fn four_cc(&self) -> Option<FourCc> {
        match self.config.codec {
            Codec::H264 => None,
            Codec::Hevc => Some(FourCc::Hvc1),
            Codec::Av1 => Some(FourCc::Av01),
        }
    }

    /// By how much the sound is later than its samples, in milliseconds: as much as the picture.
    fn delay_ms(&self) -> u64 {
        self.config.rate.ms_of(self.config.tuning.delay_frames())
    }

    fn metadata(&self, audio_kbps: u32) -> flv::Metadata {
        flv::Metadata {
            width: self.config.size.width(),
            height: self.config.size.height(),
            fps: self.config.rate.as_f64(),
            four_cc: self.four_cc(),
            video_kbps: self.config.bitrate_kbps,
            audio_kbps,
            sample_rate_hz: audio::SAMPLE_RATE,
            channels: audio::CHANNELS as u32,
            encoder: concat!("stream-manager/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

/// How the sound is made.
#[derive(Debug, Clone, PartialEq)]
pub struct SoundSettings {
    /// What is heard first.
    pub mix: Arc<Mix>,
    /// Kilobits per second.
    pub bitrate_kbps: u32,
}

/// What a stream is started with.
#[derive(Debug, Clone)]
pub struct Config {
    /// Its name, in threads, logs and metrics.
    pub id: Id,
    /// What is shown first; its canvas stays for the stream's life.
    pub show: Arc<Show>,
    /// Its pictures: at least one, no more than [`gpu::RENDITIONS_MAX`].
    pub renditions: Vec<Rendition>,
    /// How the sound is made.
    pub sound: SoundSettings,
}

/// Why a stream did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No GPU, or it refused the canvas.
    #[error("compositor: {0}")]
    Gpu(#[from] gpu::Error),
    /// No encoder.
    #[error("video encoder of rendition {rendition}: {source}")]
    Encoder {
        /// Of which rendition.
        rendition: Id,
        /// What the encoders said.
        source: encode::OpenError,
    },
    /// No sound.
    #[error("audio encoder: {0}")]
    Sound(#[from] audio::Error),
    /// The encoder's parameter sets cannot be described to a decoder.
    #[error("video headers: {0}")]
    Headers(#[from] NoHeader),
    /// The operating system gave no thread.
    #[error("thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Why there is no still of the program.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// Several others are waiting for one.
    #[error("too many stills are being made; try again")]
    Busy,
    /// The GPU did not give it.
    #[error("{0}")]
    Failed(String),
}

/// A running stream.
#[derive(Debug)]
pub struct Stream {
    id: Id,
    clock: Arc<dyn Clock>,
    timeline: Timeline,
    /// When frame 0 was due, by the world's clock as it was last known.
    began_at_utc_ms: AtomicI64,
    rate: FrameRate,
    program: Arc<Program>,
    desk: Arc<Desk>,
    preview: Preview,
    renditions: Vec<Running>,
    metrics: StreamMetrics,
    is_stopping: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The first frame for which a change holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Its number.
    pub frame: u64,
    /// Its presentation time in milliseconds.
    pub pts_ms: u64,
}

/// A frame that a change can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// Its number.
    pub frame: u64,
    /// Its time elapsed, without the time that the stream stood paused.
    pub elapsed: Duration,
}

/// The first sample for which a change of the sound holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Its number.
    pub sample: u64,
    /// The first frame that is shown from then on, with the sample's own presentation time.
    pub applied: Applied,
}

impl Stream {
    /// Opens everything and sets the threads going.
    pub fn start(
        config: Config,
        devices: Arc<Devices>,
        clock: Arc<dyn Clock>,
        families: &Families,
    ) -> Result<Self, StartError> {
        Self::resume(config, None, devices, clock, families)
    }

    /// [`Self::start`] of a stream that was cut off: it goes on as though it had run on. Its first frame is the one that is
    /// due when everything is open, and its outputs begin new sessions.
    pub fn resume(
        config: Config,
        course: Option<Course>,
        devices: Arc<Devices>,
        clock: Arc<dyn Clock>,
        families: &Families,
    ) -> Result<Self, StartError> {
        let sound_encoder = audio::Encoder::open(config.sound.bitrate_kbps)?;
        let sound_header = flv::audio_sequence_header(&sound_encoder.config().to_bytes());
        let (mut running, mut encoders) = (Vec::new(), Vec::new());
        for rendition in &config.renditions {
            let (encoder, headers) = open(rendition, sound_header.clone(), config.sound.bitrate_kbps)?;
            let metrics = families.of_rendition(&config.id, &rendition.id);
            running.push(Running::new(rendition, &*encoder, headers, config.sound.bitrate_kbps, metrics));
            encoders.push(encoder);
        }
        let Canvas { size, fps, .. } = config.show.canvas;
        let pictures = rendition::pictures(&config.renditions, size);
        let framings: Vec<_> = pictures.iter().map(|picture| picture.framing).collect();
        let library = devices.library.clone();
        let compositor = Compositor::with_renditions(devices.gpu()?, library.clone(), size, COLOUR, &framings)?;

        let metrics = families.of(&config.id);
        let lead = course.map_or(Duration::ZERO, |_| RESUME_LEAD);
        let started_at = clock.now().saturating_add(lead);
        let utc_ms = clock.utc_ms_at(started_at);
        let course = course.unwrap_or(Course { began_at_utc_ms: utc_ms, pauses: Pauses::default() });
        let timeline = Timeline::resumed(started_at, course.elapsed_at(utc_ms), fps);
        let every = config.renditions.iter().map(|rendition| rendition.every);
        let first_frame = course::first_frame(timeline.begun(), fps, every);
        if !lead.is_zero() {
            // It may show other texts than those that were waited for before all was open.
            let due = clock.utc_ms_at(timeline.frame_due(first_frame));
            let moment = course.pauses.until(first_frame).moment(first_frame, fps, due);
            prepare(&config.show, moment, &library, lead);
        }
        let program = Arc::new(Program::new(config.show.clone(), first_frame, course.pauses));
        let mix = config.sound.mix;
        let desk = Arc::new(Desk::new(timeline.first_sample(sound::BLOCK)));
        let opened = mix.opened_since(&Mix::default(), &devices.opener());
        let is_stopping = Arc::new(AtomicBool::new(false));
        let (producers, consumers) = frame_stores(&config.renditions, &pictures);
        let (to_mux, packets) = mpsc::sync_channel(mux::QUEUE * (1 + running.len()));
        // The main rendition is the first, and so its picture, the canvas itself.
        let preview = Preview::new(producers[0].window(), fps, metrics.clone());

        let renderer = render::Renderer {
            devices,
            clock: clock.clone(),
            timeline,
            first_frame,
            size,
            colour: COLOUR,
            program: program.clone(),
            framings,
            producers,
            metrics: metrics.clone(),
            is_stopping: is_stopping.clone(),
            reported: Vec::new(),
            // What happened before was told by whoever was on air then.
            told_until: first_frame.checked_sub(1).map(|last| fps.time_of(last)),
            warned: Vec::new(),
        };
        let sound = sound::Sound {
            clock: clock.clone(),
            timeline,
            desk: desk.clone(),
            program: program.clone(),
            mixer: Mixer::new(mix, opened),
            encoder: sound_encoder,
            mux: to_mux.clone(),
            metrics: metrics.clone(),
            is_stopping: is_stopping.clone(),
        };
        let lanes = config.renditions.iter().zip(&running).map(|(rendition, running)| {
            let interleaver = Interleaver::new(rendition.encoder.delay_ms());
            mux::Lane::new(interleaver, running.fan_out.clone(), running.metrics.clone(), running.control.clone())
        });
        let lanes = lanes.collect();
        let (id, rate, renditions, threads) = (config.id, fps, running, Vec::new());
        let began_at_utc_ms = AtomicI64::new(course.began_at_utc_ms);
        let mut stream = Self {
            id,
            clock,
            timeline,
            began_at_utc_ms,
            rate,
            program,
            desk,
            preview,
            renditions,
            metrics,
            is_stopping,
            threads,
        };
        stream.spawn("mux", None, move || mux::run(packets, lanes))?;
        stream.spawn("audio", None, move || sound.run())?;
        let each = config.renditions.into_iter().zip(consumers).zip(encoders).enumerate();
        for (index, ((rendition, consumer), encoder)) in each {
            let first_frame = first_frame / rendition.every.max(1);
            let video = stream.video(index, first_frame, rendition.encoder, consumer, to_mux.clone());
            stream.spawn("encode", Some(&rendition.id), move || video.run(encoder))?;
        }
        stream.spawn("render", None, move || renderer.run(compositor))?;
        tracing::info!(stream = %stream.id, width = size.width(), height = size.height(), fps = %stream.rate, "stream started");
        Ok(stream)
    }

    /// The encoder thread's share of the rendition with this index.
    fn video(
        &self,
        rendition: usize,
        first_frame: u64,
        settings: EncoderSettings,
        consumer: frame_store::Consumer,
        mux: SyncSender<mux::ToMux>,
    ) -> video::VideoEncoder {
        let running = &self.renditions[rendition];
        video::VideoEncoder {
            rendition,
            timeline: self.timeline.at_rate(settings.config.rate),
            first_frame,
            settings,
            clock: self.clock.clone(),
            consumer,
            mux,
            bitrate_kbps: running.bitrate_kbps().clone(),
            backend: running.backend.clone(),
            failures: video::Failures::default(),
            metrics: running.metrics.clone(),
            is_stopping: self.is_stopping.clone(),
        }
    }

    fn spawn(
        &mut self,
        role: &str,
        rendition: Option<&Id>,
        work: impl FnOnce() + Send + 'static,
    ) -> Result<(), std::io::Error> {
        let (name, span) = match rendition {
            None => (format!("{role}-{}", self.id), tracing::info_span!("stream", id = %self.id)),
            Some(rendition) => {
                (format!("{role}-{}-{rendition}", self.id), tracing::info_span!("stream", id = %self.id, %rendition))
            }
        };
        let thread = std::thread::Builder::new().name(name).spawn(move || span.in_scope(work))?;
        self.threads.push(thread);
        Ok(())
    }

    /// The frame with which a show made now can come on air: `from`, or the first one after it for which there is time.
    pub fn aim(&self, from: u64) -> Aim {
        let (frame, scene_frame) = self.program.aim(from);
        Aim { frame, elapsed: self.rate.time_of(scene_frame) }
    }

    /// The first frame of which all the sound is still to be mixed.
    pub fn next_heard_frame(&self) -> u64 {
        self.rate.first_frame_at(timeline::time_of_sample(self.desk.next_sample()))
    }

    /// Puts a show on air that was made for the time of this frame; nothing is done if that has begun meanwhile. The canvas
    /// must be the one the stream was started with.
    pub fn put_show(&self, frame: u64, show: Arc<Show>) -> Option<Applied> {
        self.program.put_show(frame, show).then(|| self.applied(frame))
    }

    /// Puts a mix on air with this frame, or as soon as it can be. `make` makes it, with something for the caller, from the
    /// first sample for which it holds; it must be quick. `opened` are the sources that are new in it.
    pub fn set_mix<T>(
        &self,
        opened: Vec<Opened>,
        frame: Option<u64>,
        make: impl FnOnce(u64) -> (Arc<Mix>, T),
    ) -> (Heard, T) {
        let from = frame.map_or(0, |frame| timeline::first_sample_at(self.rate.time_of(frame)));
        let (sample, made) = self.desk.set_mix(opened, from, make);
        let frame = self.rate.first_frame_at(timeline::time_of_sample(sample));
        let applied = Applied { frame, pts_ms: timeline::ms_of_sample(sample) };
        (Heard { sample, applied }, made)
    }

    /// The first sample for which a change of the sound made now would hold.
    pub fn next_sample(&self) -> u64 {
        self.desk.next_sample()
    }

    /// Integrated loudness, its range and the highest true peak start anew.
    pub fn reset_loudness(&self) {
        self.desk.reset_loudness();
    }

    /// What the meters showed in the last second.
    pub fn sound_levels(&self) -> Reading {
        self.desk.meters().last_second()
    }

    /// What the meters showed since they had counted `seen` blocks, and how many they have counted now.
    pub fn sound_levels_since(&self, seen: u64) -> (Reading, u64) {
        self.desk.meters().since(seen)
    }

    /// The time elapsed of the next frame: the stream's uptime in whole frames, without the time it stood paused.
    pub fn elapsed(&self) -> Duration {
        self.rate.time_of(self.program.next_scene_frame())
    }

    /// Freezes the picture, with sound and outputs going on, or releases it where it stood.
    pub fn set_paused(&self, is_paused: bool) -> Applied {
        self.applied(self.program.set_paused(is_paused))
    }

    /// Whether the picture is frozen.
    pub fn is_paused(&self) -> bool {
        self.program.is_paused()
    }

    /// What a change made now would be told.
    pub fn next_frame(&self) -> Applied {
        self.applied(self.program.next_frame())
    }

    fn applied(&self, frame: u64) -> Applied {
        Applied { frame, pts_ms: self.rate.ms_of(frame) }
    }

    /// Has the encoder of a rendition make so much when nothing is in the way, and says what may be.
    pub fn set_bitrate(&self, rendition: &Id, ceiling_kbps: u32, rule: Rule) {
        let running = self.renditions.iter().find(|running| running.id == *rendition);
        running.into_iter().for_each(|running| running.set_bitrate(ceiling_kbps, rule));
    }

    /// The picture on air. Asked for at the call; the future is only for waiting.
    pub fn capture(&self) -> impl Future<Output = Result<Still, CaptureError>> + Send + use<> {
        let (reply, image) = oneshot::channel();
        let is_asked = self.program.request_capture(reply);
        async move {
            if !is_asked {
                return Err(CaptureError::Busy);
            }
            let gone = |_| CaptureError::Failed("the compositor is being rebuilt; try again".into());
            image.await.map_err(gone)?.map_err(CaptureError::Failed)
        }
    }

    /// Somebody who watches the picture on air in this look.
    pub fn watch(&self, look: Look) -> Result<Watch, Full> {
        self.preview.watch(look)
    }

    /// Starts an output of a rendition, in place of one of the same id, of whichever rendition, which is ended.
    pub fn add_output(&self, target: Target, rendition: &Id, network: &Network) {
        let replaced: Vec<_> =
            self.renditions.iter().filter_map(|running| running.fan_out.remove(target.id())).collect();
        for replaced in replaced {
            network.runtime.spawn(replaced.stop());
        }
        match self.renditions.iter().find(|running| running.id == *rendition) {
            Some(running) => running.fan_out.add(target, network),
            None => tracing::error!(output = %target.id(), %rendition, "there is no such rendition"),
        }
    }

    /// Takes an output off; the future ends once it said goodbye to its server.
    pub fn remove_output(&self, id: &Id) -> impl Future<Output = ()> + Send + use<> {
        let output = self.renditions.iter().find_map(|running| running.fan_out.remove(id));
        async move {
            if let Some(output) = output {
                output.stop().await;
            }
        }
    }

    /// What each rendition and its outputs show of themselves.
    pub fn renditions(&self) -> Vec<Report> {
        self.renditions.iter().map(Running::report).collect()
    }

    /// Layers that cannot be shown now.
    pub fn layer_errors(&self) -> Vec<LayerError> {
        self.program.layer_errors()
    }

    /// What animations told last, oldest first.
    pub fn animation_events(&self) -> Vec<Event> {
        self.program.events()
    }

    /// What they told since there were `seen` events, as far as it is kept, and how many there are now.
    pub fn animation_events_since(&self, seen: u64) -> (Vec<Event>, u64) {
        self.program.events_since(seen)
    }

    /// Layers that are shown, but not as they should be.
    pub fn layer_warnings(&self) -> Vec<LayerError> {
        self.program.layer_warnings()
    }

    /// The stream's counters.
    pub fn metrics(&self) -> &StreamMetrics {
        &self.metrics
    }

    /// Time since the stream started; that of a stream that goes on counts on.
    pub fn uptime(&self) -> Duration {
        self.timeline.elapsed_at(self.clock.now())
    }

    /// What it takes to go on with it in another process.
    pub fn course(&self) -> Course {
        let now = self.clock.now();
        let elapsed_ms = i64::try_from(self.timeline.elapsed_at(now).as_millis()).unwrap_or(i64::MAX);
        let began_at_utc_ms = self.clock.utc_ms_at(now).saturating_sub(elapsed_ms);
        // It follows a world's clock that is corrected, but not each millisecond of rounding.
        let kept = self.began_at_utc_ms.load(Ordering::Relaxed);
        let is_same = kept.abs_diff(began_at_utc_ms) <= CLOCK_SLACK_MS;
        let began_at_utc_ms = if is_same { kept } else { began_at_utc_ms };
        self.began_at_utc_ms.store(began_at_utc_ms, Ordering::Relaxed);
        Course { began_at_utc_ms, pauses: self.program.pauses() }
    }

    /// Ends the outputs properly, then the threads: a few frames after the outputs are gone, two seconds at most.
    pub async fn stop(self) {
        let outputs = self.renditions.iter().flat_map(|running| running.fan_out.remove_all());
        let goodbyes: Vec<_> = outputs.map(Output::stop).collect();
        for goodbye in goodbyes {
            goodbye.await;
        }
        let id = self.id.clone();
        // Joining waits for a frame; that is nothing for a thread of the network to do.
        let joined = tokio::task::spawn_blocking(move || drop(self)).await;
        tracing::info!(stream = %id, is_clean = joined.is_ok(), "stream stopped");
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.is_stopping.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            // A panic has been reported by the panic hook; the other threads are still to be waited for.
            let _ = thread.join();
        }
    }
}

/// Opens a rendition's encoder; with it, what its outputs start with.
fn open(
    rendition: &Rendition,
    sound_header: Bytes,
    sound_kbps: u32,
) -> Result<(Box<dyn encode::Encoder>, Headers), StartError> {
    let id = || rendition.id.clone();
    let opened = video::open(&rendition.encoder);
    let encoder = opened.map_err(|source| StartError::Encoder { rendition: id(), source })?;
    let headers = Headers {
        metadata: flv::on_metadata_body(&rendition.encoder.metadata(sound_kbps), true),
        video: video::sequence_header(encoder.parameter_sets())?,
        audio: sound_header,
    };
    Ok((encoder, headers))
}

/// A store for each different picture, and the way out of it for each rendition, in their order.
fn frame_stores(
    renditions: &[Rendition],
    pictures: &[Shared],
) -> (Vec<frame_store::Producer>, Vec<frame_store::Consumer>) {
    let (mut producers, mut consumers) = (Vec::new(), Vec::new());
    for Shared { framing, renditions: sharing } in pictures {
        let every: Vec<_> = sharing.iter().map(|&index| renditions[index].every).collect();
        let (producer, ways_out) = frame_store::frame_store(framing.size(), &every);
        producers.push(producer);
        consumers.extend(sharing.iter().copied().zip(ways_out));
    }
    consumers.sort_by_key(|(index, _)| *index);
    (producers, consumers.into_iter().map(|(_, consumer)| consumer).collect())
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic".into())
}
