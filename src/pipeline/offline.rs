//! Rendering without a clock: one frame as a picture, or a span of time as FLV, as fast as the machine can.
//!
//! The same evaluation, compositor and encoders as on air, asked for frame after frame, so the result depends on the
//! document alone. Broken layers and media that does not come are errors here: nobody is watching yet.

use std::{
    io::{self, Write},
    time::Duration,
};

use image::RgbaImage;

use super::{
    COLOUR, Devices, EncoderSettings, NoHeader, Rendition, SoundSettings,
    interleave::Interleaver,
    prepare::prepare,
    sound,
    timeline::{Timeline, time_of_sample},
    video,
};
use crate::{
    audio::{self, BLOCK_SAMPLES, DELAY_SAMPLES, Mix, Mixer, Opener, SAMPLE_RATE, SILENT_BLOCK},
    base::{id::Id, nv12::Picture},
    encode::{self, Request},
    flv::{self, Body, TagKind},
    gpu::{self, Compositor},
    output::{Kind, Packet},
    scene::{DrawList, Evaluation, LayerError, Moment, Show, damage::Damage},
};

/// The world's time at the start of every offline rendering, 2026-01-01 12:00 UTC: a picture must not depend on when it
/// was rendered.
const START_UTC_MS: i64 = 1_767_268_800_000;
/// How long media may take to be there.
const MEDIA_TIMEOUT: Duration = Duration::from_secs(30);
/// How long the GPU may take for one frame.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);

/// Why nothing was rendered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Layers that cannot be shown.
    #[error("{}", list(.0))]
    Layers(Vec<LayerError>),
    /// Pictures or texts that were not ready in time.
    #[error("pictures and texts were not ready within {} s", MEDIA_TIMEOUT.as_secs())]
    MediaTimeout,
    /// The GPU refused.
    #[error(transparent)]
    Gpu(#[from] gpu::Error),
    /// The GPU did not finish a frame.
    #[error("the GPU did not finish frame {number} within {} s", FRAME_TIMEOUT.as_secs())]
    FrameTimeout {
        /// Which frame.
        number: u64,
    },
    /// No encoder.
    #[error("video encoder: {0}")]
    OpenEncoder(#[from] encode::OpenError),
    /// A frame was not encoded.
    #[error("video encoder: {0}")]
    Encode(#[from] encode::Error),
    /// The encoder's headers are not what they should be.
    #[error("video headers: {0}")]
    Headers(#[from] NoHeader),
    /// No sound.
    #[error("audio encoder: {0}")]
    Sound(#[from] audio::Error),
    /// A source cannot be heard.
    #[error("source {id}: {reason}")]
    Source {
        /// Which one.
        id: Id,
        /// Why.
        reason: String,
    },
    /// An access unit is too long for FLV.
    #[error(transparent)]
    Body(#[from] flv::BodyTooLong),
    /// The file cannot be written.
    #[error("writing: {0}")]
    Write(#[from] io::Error),
}

fn list(errors: &[LayerError]) -> String {
    let lines: Vec<_> = errors.iter().map(|error| format!("layer {}: {}", error.layer, error.message)).collect();
    lines.join("; ")
}

/// The frame of `show` at `time`.
pub fn still(devices: &Devices, show: &Show, time: Duration) -> Result<RgbaImage, Error> {
    let list = plan(devices, show, time)?.draw_list;
    let mut compositor = Compositor::new(devices.gpu()?, devices.library.clone(), show.canvas.size, COLOUR)?;
    draw(&mut compositor, 0, &list)?;
    Ok(compositor.capture()?)
}

/// The frame of `show` at `moment` as it would be on air: without what is broken, or not there within `timeout`.
pub fn picture(devices: &Devices, show: &Show, moment: Moment, timeout: Duration) -> Result<RgbaImage, gpu::Error> {
    let list = prepare(show, moment, &devices.library, timeout).draw_list;
    let mut compositor = Compositor::new(devices.gpu()?, devices.library.clone(), show.canvas.size, COLOUR)?;
    compositor.render(0, &list)?;
    compositor.capture()
}

fn plan(devices: &Devices, show: &Show, elapsed: Duration) -> Result<Evaluation, Error> {
    let moment = Moment { elapsed, utc_ms: START_UTC_MS + elapsed.as_millis() as i64 };
    let evaluation = prepare(show, moment, &devices.library, MEDIA_TIMEOUT);
    if !evaluation.errors.is_empty() {
        return Err(Error::Layers(evaluation.errors));
    }
    if evaluation.is_pending {
        return Err(Error::MediaTimeout);
    }
    Ok(evaluation)
}

fn draw(compositor: &mut Compositor, number: u64, list: &DrawList) -> Result<(), Error> {
    compositor.prepare(list, MEDIA_TIMEOUT)?;
    compositor.render(number, list)?;
    if compositor.is_pending() {
        return Err(Error::MediaTimeout);
    }
    match compositor.problems() {
        [] => Ok(()),
        errors => Err(Error::Layers(errors.to_vec())),
    }
}

/// `duration` of a rendition of `show` from its start, written to `file` as FLV; `progress` is told frames done and in all.
pub fn movie(
    devices: &Devices,
    show: &Show,
    rendition: &Rendition,
    sound: &SoundSettings,
    duration: Duration,
    file: &mut dyn Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), Error> {
    let encoder = &rendition.encoder;
    let frames = encoder.config.rate.frames_in(duration);
    let mut picture = Pictures::new(devices, show, rendition)?;
    let mut track = Track::new(devices, show, sound)?;
    let mut writer = Writer::new(file, encoder, sound.bitrate_kbps, &picture, &track)?;
    for number in 0..frames {
        let packet = picture.packet(number)?;
        track.until(picture.timeline.rate().time_of(number + 1), |sound| writer.push(sound))?;
        packet.map_or(Ok(()), |packet| writer.push(packet))?;
        progress(number + 1, frames);
    }
    while let Some(packet) = picture.held_back()? {
        writer.push(packet)?;
    }
    writer.finish()
}

/// The picture track: frame number in, packet out.
struct Pictures<'a> {
    devices: &'a Devices,
    show: &'a Show,
    timeline: Timeline,
    compositor: Compositor,
    shown: Option<Evaluation>,
    picture: Picture,
    encoder: Box<dyn encode::Encoder>,
    settings: EncoderSettings,
}

impl<'a> Pictures<'a> {
    fn new(devices: &'a Devices, show: &'a Show, rendition: &Rendition) -> Result<Self, Error> {
        let (canvas, config) = (show.canvas.size, &rendition.encoder.config);
        let (gpu, library) = (devices.gpu()?, devices.library.clone());
        let framing = rendition.framing(canvas);
        Ok(Self {
            devices,
            show,
            timeline: Timeline::new(Duration::ZERO, config.rate),
            compositor: Compositor::with_renditions(gpu, library, canvas, COLOUR, &[framing])?,
            shown: None,
            picture: Picture::black(config.size),
            encoder: video::open(&rendition.encoder)?,
            settings: rendition.encoder.clone(),
        })
    }

    fn packet(&mut self, number: u64) -> Result<Option<Packet>, Error> {
        let elapsed = self.timeline.rate().time_of(number);
        let mut damage = Damage::none();
        // As on air: a frame that is known to be the last one again is not planned.
        if !self.shown.as_ref().is_some_and(|shown| shown.holds_at(elapsed)) {
            let next = plan(self.devices, self.show, elapsed)?;
            if self.shown.as_ref().is_none_or(|shown| shown.draw_list != next.draw_list) {
                draw(&mut self.compositor, number, &next.draw_list)?;
                self.compositor.collect(FRAME_TIMEOUT, &mut self.picture)?.ok_or(Error::FrameTimeout { number })?;
                damage = self.compositor.collected_damage();
            }
            self.shown = Some(next);
        }
        let request = Request { frame: number, is_idr_forced: false, damage };
        let unit = self.encoder.encode(&self.picture, request)?;
        Ok(unit.map(|unit| video::packet(unit, &self.settings)))
    }

    /// What the encoder still has, after the last picture.
    fn held_back(&mut self) -> Result<Option<Packet>, Error> {
        let unit = self.encoder.flush()?;
        Ok(unit.map(|unit| video::packet(unit, &self.settings)))
    }
}

/// The sound track: blocks up to a time.
struct Track<'a> {
    show: &'a Show,
    mixer: Mixer,
    encoder: audio::Encoder,
    next_sample: u64,
}

impl<'a> Track<'a> {
    fn new(devices: &Devices, show: &'a Show, settings: &SoundSettings) -> Result<Self, Error> {
        let encoder = audio::Encoder::open(settings.bitrate_kbps)?;
        let opened = settings.mix.opened_since(&Mix::default(), &Opener::offline(devices.library.sound_files()));
        Ok(Self { show, mixer: Mixer::new(settings.mix.clone(), opened), encoder, next_sample: 0 })
    }

    /// Encodes until the frames cover `time`; the encoder gives them [`DELAY_SAMPLES`] after it was fed.
    fn until(&mut self, time: Duration, mut push: impl FnMut(Packet) -> Result<(), Error>) -> Result<(), Error> {
        let end = (time.as_nanos() * u128::from(SAMPLE_RATE) / 1_000_000_000) as u64 + DELAY_SAMPLES;
        while self.next_sample < end {
            let mut seen = |layer: &_, sample| self.show.audibility(layer, time_of_sample(sample));
            let mut block = SILENT_BLOCK;
            self.mixer.block(self.next_sample, &mut seen, &mut block);
            if let Some((id, reason)) = self.mixer.problem() {
                return Err(Error::Source { id: id.clone(), reason: reason.into() });
            }
            if let Some(frame) = self.encoder.encode(self.next_sample, &block)? {
                push(sound::packet(frame))?;
            }
            self.next_sample += BLOCK_SAMPLES as u64;
        }
        Ok(())
    }
}

/// FLV tags in decoding order.
struct Writer<'a> {
    file: &'a mut dyn Write,
    interleaver: Interleaver,
}

impl<'a> Writer<'a> {
    fn new(
        file: &'a mut dyn Write,
        encoder: &EncoderSettings,
        audio_kbps: u32,
        pictures: &Pictures<'_>,
        track: &Track<'_>,
    ) -> Result<Self, Error> {
        file.write_all(&flv::file_header())?;
        let mut writer = Self { file, interleaver: Interleaver::new(encoder.delay_ms()) };
        let metadata = flv::on_metadata_body(&encoder.metadata(audio_kbps), false);
        writer.tag(TagKind::ScriptData, 0, &metadata.into())?;
        writer.tag(TagKind::Video, 0, &video::sequence_header(pictures.encoder.parameter_sets())?.into())?;
        writer.tag(TagKind::Audio, 0, &flv::audio_sequence_header(&track.encoder.config().to_bytes()).into())?;
        Ok(writer)
    }

    fn push(&mut self, packet: Packet) -> Result<(), Error> {
        let mut ready = Vec::new();
        self.interleaver.push(packet, |packet| ready.push(packet));
        ready.into_iter().try_for_each(|packet| self.packet(&packet))
    }

    fn finish(mut self) -> Result<(), Error> {
        let mut ready = Vec::new();
        self.interleaver.finish(|packet| ready.push(packet));
        ready.into_iter().try_for_each(|packet| self.packet(&packet))?;
        Ok(self.file.flush()?)
    }

    fn packet(&mut self, packet: &Packet) -> Result<(), Error> {
        let kind = match packet.kind {
            Kind::Video { .. } => TagKind::Video,
            Kind::Audio => TagKind::Audio,
        };
        // FLV time is 32 bits of milliseconds and wraps after 49 days.
        self.tag(kind, packet.dts_ms as u32, &packet.body)
    }

    fn tag(&mut self, kind: TagKind, timestamp_ms: u32, body: &Body) -> Result<(), Error> {
        let tag = flv::file_tag(kind, timestamp_ms, body.len())?;
        for part in [&tag.head, body.head(), body.media(), &tag.back_pointer] {
            self.file.write_all(part)?;
        }
        Ok(())
    }
}
