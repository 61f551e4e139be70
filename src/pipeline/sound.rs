//! The audio thread: a block of 1024 samples when it is due, an AAC frame for it.
//!
//! Due times come from the sample number on the stream's clock. A thread that was held up makes up for what it missed at
//! once, up to [`CATCH_UP_MAX`] blocks; beyond, samples are left out, and the timestamps say so.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
    mpsc::SyncSender,
};

use super::{
    metrics::StreamMetrics,
    mux::ToMux,
    timeline::{Timeline, ms_of_sample},
};
use crate::{
    audio::{AudioFrame, BLOCK_SAMPLES, Encoder, SILENT_BLOCK, Source},
    base::clock::Clock,
    flv,
    output::{Kind, Packet},
};

/// Blocks, about two seconds, that are made up for after a hold-up.
const CATCH_UP_MAX: u64 = 94;

/// The audio thread's share of a stream.
#[derive(Debug)]
pub(super) struct Sound {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) timeline: Timeline,
    pub(super) source: Box<dyn Source>,
    pub(super) encoder: Encoder,
    pub(super) mux: SyncSender<ToMux>,
    pub(super) metrics: StreamMetrics,
    pub(super) is_stopping: Arc<AtomicBool>,
}

impl Sound {
    /// Runs until the stream stops.
    pub(super) fn run(mut self) {
        let block = BLOCK_SAMPLES as u64;
        let mut sample = 0;
        while !self.is_stopping.load(Ordering::Acquire) {
            self.clock.sleep_until(self.timeline.sample_due(sample));
            if self.timeline.sample_due(sample + CATCH_UP_MAX * block) < self.clock.now() {
                tracing::warn!("sound was held up for more than two seconds; samples are left out");
                while self.timeline.sample_due(sample) < self.clock.now() {
                    sample += block;
                }
            }
            match block_at(self.source.as_mut(), &mut self.encoder, sample) {
                Ok(Some(frame)) => self.send(&frame),
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "a block of sound is lost"),
            }
            sample += block;
        }
    }

    fn send(&self, frame: &AudioFrame) {
        self.metrics.audio_frames.inc();
        self.metrics.encoded_bytes.inc_by(frame.data.len() as u64);
        // The mux thread ends only after this one.
        let _ = self.mux.send(ToMux::Packet(packet(frame)));
    }
}

/// Mixes and encodes the block that starts at `sample`.
pub(super) fn block_at(
    source: &mut dyn Source,
    encoder: &mut Encoder,
    sample: u64,
) -> Result<Option<AudioFrame>, crate::audio::Error> {
    let mut block = SILENT_BLOCK;
    source.mix(sample, &mut block);
    encoder.encode(sample, &block)
}

/// The FLV packet of an AAC frame.
pub(super) fn packet(frame: &AudioFrame) -> Packet {
    Packet { kind: Kind::Audio, dts_ms: ms_of_sample(frame.first_sample), body: flv::audio_frame(&frame.data) }
}
