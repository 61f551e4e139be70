//! The encoder thread of a rendition: a picture for each tick, an access unit for each picture.
//!
//! It waits for frame `n` until three frames after it is due, then repeats the last picture: the access units never stop,
//! whatever the render thread does. An encoder that fails is opened anew on the same thread, and the outputs get its
//! headers; one that fails again and again gives way to the next candidate.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::SyncSender,
    },
    time::Duration,
};

use super::{
    EncoderSettings, frame_store, metrics::RenditionMetrics, mux::ToMux, panic_text, rendition::InUse,
    timeline::Timeline,
};
use crate::{
    base::clock::Clock,
    encode::{self, AccessUnit, Encoder, OpenError, Origin, ParameterSets, Request, Tuning},
    flv,
    h264::{self, AvcConfig},
    hevc,
    output::{Kind, Packet},
    rtmp::FourCc,
};

/// Frames after which a missing picture is given up: what the frame store can absorb.
const PATIENCE_FRAMES: u64 = frame_store::CAPACITY as u64;
/// How long the first picture is waited for. Whoever joins with the stream's first keyframe looks at that for a second or
/// two, and no drawing takes as long as the first. The interleaver holds sound for longer than that.
const FIRST_PATIENCE: Duration = Duration::from_millis(400);
const _: () = assert!(FIRST_PATIENCE.as_millis() < super::interleave::HOLD_MAX_MS as u128);
/// Failures one after the other, each within [`STEADY_FRAMES`] of the one before, after which an encoder is given up.
const FAILURES_MAX: u32 = 3;
/// Frames after which an encoder that failed once counts as sound again.
const STEADY_FRAMES: u64 = 300;
/// Pause before a failed encoder is opened anew.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// The encoder thread's share of a stream.
#[derive(Debug)]
pub(super) struct VideoEncoder {
    /// The rendition's index.
    pub(super) rendition: usize,
    pub(super) settings: EncoderSettings,
    pub(super) clock: Arc<dyn Clock>,
    /// At the rendition's own rate.
    pub(super) timeline: Timeline,
    /// The frame to begin with, as the rendition counts.
    pub(super) first_frame: u64,
    pub(super) consumer: frame_store::Consumer,
    pub(super) mux: SyncSender<ToMux>,
    pub(super) bitrate_kbps: Arc<AtomicU32>,
    pub(super) backend: InUse,
    pub(super) failures: Failures,
    pub(super) metrics: RenditionMetrics,
    pub(super) is_stopping: Arc<AtomicBool>,
}

/// Which candidates fail again and again, so that the next one is taken for the rest of the stream.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// The one that failed last, on which frame, and how often one after the other.
    last: Option<(&'static str, u64, u32)>,
    given_up: Vec<&'static str>,
}

impl Failures {
    /// Takes note that `backend` failed on `frame`.
    fn note(&mut self, backend: &'static str, frame: u64) {
        let again = self.last.filter(|(name, last, _)| *name == backend && frame < last + STEADY_FRAMES);
        let count = again.map_or(0, |(.., count)| count) + 1;
        self.last = Some((backend, frame, count));
        if count == FAILURES_MAX {
            tracing::error!(backend, "it has failed {FAILURES_MAX} times; the next encoder is taken");
            self.given_up.push(backend);
            self.last = None;
        }
    }
}

/// Opens the first candidate that works and warns of those that are there and did not.
pub(super) fn open(settings: &EncoderSettings) -> Result<Box<dyn Encoder>, OpenError> {
    open_but(settings, &[])
}

/// [`open`], without the candidates that were given up.
fn open_but(settings: &EncoderSettings, given_up: &[&str]) -> Result<Box<dyn Encoder>, OpenError> {
    let opened = encode::open_but(settings.backend, &settings.config, given_up)?;
    for refusal in &opened.refusals {
        let (backend, reason) = (refusal.backend, &refusal.source);
        match refusal.is_absence() {
            true => tracing::debug!(backend, %reason, "no such encoder here"),
            false => tracing::warn!(backend, %reason, "encoder not available"),
        }
    }
    tracing::info!(backend = opened.encoder.backend(), bitrate_kbps = settings.config.bitrate_kbps, "encoder opened");
    Ok(opened.encoder)
}

/// Why an encoder's parameter sets cannot be described to a decoder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoHeader {
    /// Those of H.264.
    #[error(transparent)]
    H264(#[from] h264::Error),
    /// Those of HEVC.
    #[error(transparent)]
    Hevc(#[from] hevc::Error),
}

/// Body of the video sequence header for these parameter sets, of which only HEVC's have a VPS.
pub(super) fn sequence_header(sets: &ParameterSets) -> Result<bytes::Bytes, NoHeader> {
    if let Some(vps) = &sets.vps {
        let pps: Vec<_> = sets.pps.iter().map(|pps| pps.to_vec()).collect();
        let record = hevc::decoder_configuration(vps, &sets.sps, &pps)?;
        return Ok(flv::enhanced_sequence_start(FourCc::Hvc1, &record));
    }
    let (first, others) = sets.pps.split_first().ok_or(h264::Error::NoPps)?;
    let config = AvcConfig::new(&sets.sps, first)?;
    let config = others.iter().try_fold(config, |config, pps| config.and_pps(pps))?;
    Ok(flv::video_sequence_header(&config.to_bytes()))
}

impl VideoEncoder {
    /// Runs until the stream stops.
    pub(super) fn run(mut self, encoder: Box<dyn Encoder>) {
        let mut encoder = Some(encoder);
        let mut number = self.first_frame;
        while !self.is_stopping.load(Ordering::Acquire) {
            let taken = self.take(number);
            let Some(taken) = taken else { return };
            self.metrics.frames_dropped.inc_by(taken.number - number);
            if !taken.is_published {
                self.metrics.frames_repeated.inc();
            }
            number = taken.number + 1;
            let Some(open) = &mut encoder else {
                self.metrics.frames_dropped.inc();
                encoder = self.reopen();
                continue;
            };
            if let Err(reason) = self.encode(open.as_mut(), &taken) {
                tracing::error!(reason, backend = open.backend(), "encoding failed; the encoder is opened anew");
                self.failures.note(open.backend(), taken.number);
                self.metrics.encoder_restarts.inc();
                encoder = None;
            }
        }
    }

    /// The picture of frame `number`; `None` when the stream stops meanwhile.
    fn take(&mut self, number: u64) -> Option<frame_store::Taken> {
        // Before a frame is due there is nothing to wait for; this also keeps the cadence when the render thread is gone.
        self.clock.sleep_until(self.timeline.frame_due(number));
        if self.is_stopping.load(Ordering::Acquire) {
            return None;
        }
        let first = if number == self.first_frame { FIRST_PATIENCE } else { Duration::ZERO };
        let patience = self.timeline.frame_due(number + PATIENCE_FRAMES).saturating_sub(self.clock.now());
        Some(self.consumer.take(number, patience.max(first)))
    }

    fn encode(&mut self, encoder: &mut dyn Encoder, taken: &frame_store::Taken) -> Result<(), String> {
        self.follow_bitrate(encoder);
        let started = self.clock.now();
        let request = Request { frame: taken.number, is_idr_forced: false, damage: taken.damage };
        let outcome = catch_unwind(AssertUnwindSafe(|| encoder.encode(&taken.picture, request)));
        let unit = outcome.map_err(|panic| panic_text(&*panic))?.map_err(|error| error.to_string())?;
        self.metrics.encode_seconds.observe((self.clock.now() - started).as_secs_f64());
        match unit {
            Some(unit) => self.send(unit),
            // In the quality tuning an encoder holds frames back; none that knows that tuning leaves any out.
            None if self.settings.config.tuning == Tuning::Quality => {}
            None => self.metrics.frames_dropped.inc(),
        }
        Ok(())
    }

    fn follow_bitrate(&mut self, encoder: &mut dyn Encoder) {
        let wanted = self.bitrate_kbps.load(Ordering::Relaxed);
        if wanted == self.settings.config.bitrate_kbps {
            return;
        }
        match encoder.set_bitrate_kbps(wanted) {
            Ok(()) => {
                tracing::info!(bitrate_kbps = wanted, "bitrate changed");
                self.settings.config.bitrate_kbps = wanted;
            }
            Err(error) => {
                tracing::warn!(%error, "bitrate not changed");
                self.bitrate_kbps.store(self.settings.config.bitrate_kbps, Ordering::Relaxed);
            }
        }
    }

    fn send(&mut self, unit: AccessUnit) {
        match unit.origin {
            Origin::Coded => &self.metrics.frames_coded,
            Origin::Refined => &self.metrics.frames_refined,
            Origin::Repeated => &self.metrics.frames_still,
        }
        .inc();
        self.metrics.frames_encoded.inc();
        self.metrics.encoded_bytes.inc_by(unit.nalus.len() as u64);
        let packet = packet(unit, &self.settings);
        // The mux thread ends only after this one.
        let _ = self.mux.send(ToMux::picture(self.rendition, packet));
    }

    /// The first candidate that works and was not given up; any, where no other is left.
    fn open_again(&mut self) -> Result<Box<dyn Encoder>, OpenError> {
        open_but(&self.settings, &self.failures.given_up).or_else(|_| {
            self.failures.given_up.clear();
            open(&self.settings)
        })
    }

    fn reopen(&mut self) -> Option<Box<dyn Encoder>> {
        match self.open_again().map_err(|error| error.to_string()).and_then(|encoder| {
            self.backend.set(encoder.backend());
            let header = sequence_header(encoder.parameter_sets()).map_err(|error| error.to_string())?;
            let _ = self.mux.send(ToMux::VideoHeader { rendition: self.rendition, header });
            Ok(encoder)
        }) {
            Ok(encoder) => Some(encoder),
            Err(reason) => {
                tracing::error!(reason, "no encoder");
                self.clock.sleep_until(self.clock.now() + RESTART_PAUSE);
                None
            }
        }
    }
}

/// The FLV packet of an access unit.
///
/// ```text
/// shown             frame 0 ............ at delay
/// decoded           frame 0 at 0, as it leads by the delay where there is reordering; never below
/// composition time  between the two, which FLV wants as the difference of rounded times
/// ```
pub(super) fn packet(unit: AccessUnit, settings: &EncoderSettings) -> Packet {
    let encode::Config { rate, tuning, .. } = settings.config;
    let shown = unit.frame + tuning.delay_frames();
    let (pts_ms, dts_ms) = (rate.ms_of(shown), rate.ms_of(shown.saturating_sub(unit.lead)));
    let composition_ms = i32::try_from(pts_ms - dts_ms).unwrap_or(i32::MAX);
    let body = match settings.four_cc() {
        None => flv::video_access_unit(unit.is_key, composition_ms, unit.nalus),
        Some(four_cc) => flv::enhanced_access_unit(four_cc, unit.is_key, composition_ms, unit.nalus),
    };
    Packet { kind: Kind::Video { is_key: unit.is_key }, dts_ms, body }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::{base::size::Size, encode::Backend};

    #[test]
    fn an_encoder_that_fails_again_and_again_is_given_up() {
        let mut failures = Failures::default();
        for frame in [10, 20, 400, 500] {
            failures.note("nvenc", frame);
        }
        assert_eq!(failures.given_up, [""; 0], "it held out in between");
        failures.note("openh264", 510);
        failures.note("nvenc", 520);
        assert_eq!(failures.given_up, [""; 0]);
        failures.note("nvenc", 521);
        failures.note("nvenc", 522);
        assert_eq!(failures.given_up, ["nvenc"]);
    }

    fn times(tuning: Tuning, frame: u64, lead: u64) -> (u64, [u8; 3]) {
        let (size, rate) = (Size::new(16, 16).unwrap(), "30".parse().unwrap());
        let mut settings = EncoderSettings::new(Backend::Auto, size, rate, 100, Duration::from_secs(2));
        settings.config.tuning = tuning;
        let unit = AccessUnit { frame, lead, is_key: false, origin: Origin::Coded, nalus: Bytes::new() };
        let packet = packet(unit, &settings);
        let &[_, _, composition_ms @ ..] = packet.body.head().first_chunk::<5>().unwrap();
        (packet.dts_ms, composition_ms)
    }

    #[test]
    fn the_encoders_buffer_is_the_packets() {
        let (size, rate) = (Size::new(16, 16).unwrap(), "30".parse().unwrap());
        let settings = EncoderSettings::new(Backend::Auto, size, rate, 100, Duration::from_secs(2));
        let nalus = Bytes::from(vec![0, 0, 0, 1, 0x65]);
        let place = nalus.as_ptr();
        let unit = AccessUnit { frame: 0, lead: 0, is_key: true, origin: Origin::Coded, nalus };
        assert_eq!(packet(unit, &settings).body.media().as_ptr(), place);
    }

    #[test]
    fn what_is_not_reordered_is_shown_when_it_is_decoded() {
        assert_eq!(times(Tuning::LowLatency, 3, 0), (100, [0, 0, 0]));
        assert_eq!(times(Tuning::Quality, 3, 0), (133, [0, 0, 0]), "with the sound, by the delay later");
    }

    /// I0 P3 B1 B2: decoded at 0, 1, 2, 3 and shown a frame after they are due.
    #[test]
    fn what_is_reordered_is_decoded_before_it_is_shown() {
        let coded = [(0, 1), (3, 3), (1, 0), (2, 0)].map(|(frame, lead)| times(Tuning::Quality, frame, lead));
        assert_eq!(coded, [(0, [0, 0, 33]), (33, [0, 0, 100]), (67, [0, 0, 0]), (100, [0, 0, 0])]);
    }
}
