//! What the pipeline counts, as Prometheus families with one child for each stream, or for each rendition of one.
//!
//! Children are looked up once, when a stream starts, so counting is one atomic addition. Names follow
//! `stream_manager_<what>_<unit>[_total]`; labels are bounded by the number of streams and of their renditions.

use prometheus::{
    Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::base::id::Id;

/// Seconds; a frame of 30 fps lasts 0.033.
const BUCKETS: &[f64] = &[
    0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.010, 0.0133, 0.0167, 0.020, 0.025, 0.0333, 0.040, 0.066, 0.1, 0.25,
    1.0,
];

macro_rules! families {
    ($(
        $(#[doc = $doc:literal])+
        $metrics:ident by $labels:tt { $($field:ident: $family:ident => $child:ident, $name:literal, $help:literal;)+ }
    )+) => {
        /// All families; made once for the process.
        #[derive(Debug, Clone)]
        #[expect(missing_docs, reason = "the help texts below say what each is")]
        pub struct Families { $($(pub $field: $family),+),+ }

        impl Families {
            /// Makes the families and registers them.
            pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
                let families = Self {
                    $($($field: Make::make(concat!("stream_manager_", $name), $help, &$labels)?),+),+
                };
                $($(registry.register(Box::new(families.$field.clone()))?;)+)+
                Ok(families)
            }
        }

        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone)]
            #[expect(missing_docs, reason = "the help texts below say what each is")]
            pub struct $metrics { $(pub $field: $child),+ }

            impl $metrics {
                fn of(families: &Families, labels: &[&str]) -> Self {
                    Self { $($field: families.$field.with_label_values(labels)),+ }
                }

                fn forget(families: &Families, labels: &[&str]) {
                    // A child that is not there has nothing to forget.
                    $(let _ = families.$field.remove_label_values(labels);)+
                }
            }
        )+
    };
}

families! {
    /// The children of one stream.
    StreamMetrics by ["stream"] {
        frames_rendered: IntCounterVec => IntCounter, "frames_rendered_total", "Frames drawn by the GPU.";
        frames_unchanged: IntCounterVec => IntCounter, "frames_unchanged_total", "Frames equal to the one before, for which nothing was drawn.";
        audio_frames: IntCounterVec => IntCounter, "audio_frames_encoded_total", "AAC frames made.";
        audio_bytes: IntCounterVec => IntCounter, "audio_bytes_total", "Bytes of audio made, without container.";
        momentary_lufs: GaugeVec => Gauge, "audio_momentary_lufs", "Loudness of the last 400 ms, EBU R 128; -100 is silence.";
        short_term_lufs: GaugeVec => Gauge, "audio_short_term_lufs", "Loudness of the last 3 s.";
        integrated_lufs: GaugeVec => Gauge, "audio_integrated_lufs", "Gated loudness since the stream's start, or since it was reset.";
        true_peak_dbtp: GaugeVec => Gauge, "audio_true_peak_dbtp", "Highest true peak in that time, in dB of full scale.";
        peak_dbfs: GaugeVec => Gauge, "audio_peak_dbfs", "Highest sample of a recent second, in dB of full scale.";
        limited_blocks: IntCounterVec => IntCounter, "audio_limited_blocks_total", "Blocks of 1024 samples that the limiter lowered.";
        missing_samples: IntCounterVec => IntCounter, "audio_missing_samples_total", "Samples of sound files that were not decoded in time.";
        is_silent: IntGaugeVec => IntGauge, "audio_silent", "1 while the sound is silent, as the stream's document defines it, otherwise 0.";
        silences: IntCounterVec => IntCounter, "audio_silences_total", "Times it became silent.";
        items_drawn: IntCounterVec => IntCounter, "items_drawn_total", "Items of draw lists that were drawn.";
        items_skipped: IntCounterVec => IntCounter, "items_skipped_total", "Items of drawn frames that were not drawn: outside of what changed, hidden or off the canvas.";
        damaged_pixels: IntCounterVec => IntCounter, "damaged_pixels_total", "Canvas pixels drawn anew.";
        textures: IntGaugeVec => IntGauge, "textures", "Pictures and texts kept on the GPU.";
        texture_bytes: IntGaugeVec => IntGauge, "texture_bytes", "Bytes that they occupy.";
        gpu_rebuilds: IntCounterVec => IntCounter, "gpu_rebuilds_total", "Times the compositor was rebuilt after the GPU or the render thread failed.";
        animation_events: IntCounterVec => IntCounter, "animation_events_total", "Starts, rounds and ends of animations with a name.";
        preview_watchers: IntGaugeVec => IntGauge, "preview_watchers", "Those who watch the stream as JPEGs.";
        preview_pictures: IntCounterVec => IntCounter, "preview_pictures_total", "JPEGs made for them; one serves all who watch in its size and quality.";
        layer_errors: IntGaugeVec => IntGauge, "layer_errors", "Layers that cannot be shown now.";
        render_seconds: HistogramVec => Histogram, "render_duration_seconds", "From the start of planning a drawn frame to its picture in memory.";
    }

    /// The children of one rendition of a stream.
    RenditionMetrics by ["stream", "rendition"] {
        frames_repeated: IntCounterVec => IntCounter, "frames_repeated_total", "Frames for which the last picture was sent again because none was ready in time.";
        frames_dropped: IntCounterVec => IntCounter, "frames_dropped_total", "Frames never encoded because the encoder was behind or skipped them.";
        frames_coded: IntCounterVec => IntCounter, "frames_coded_total", "Changed pictures that were encoded.";
        frames_refined: IntCounterVec => IntCounter, "frames_refined_total", "Unchanged pictures that were encoded once more, finer.";
        frames_still: IntCounterVec => IntCounter, "frames_still_total", "Unchanged pictures that were repeated without being encoded.";
        frames_encoded: IntCounterVec => IntCounter, "frames_encoded_total", "Video access units made.";
        encoded_bytes: IntCounterVec => IntCounter, "encoded_bytes_total", "Bytes of video made, without container.";
        encoder_restarts: IntCounterVec => IntCounter, "encoder_restarts_total", "Times the encoder was opened anew after it failed.";
        bitrate_bps: IntGaugeVec => IntGauge, "encoded_bitrate_bps", "Bits per second of video and audio made over the last seconds.";
        bitrate_target_bps: IntGaugeVec => IntGauge, "bitrate_target_bps", "Bits per second of video that the encoder is told to make: what is configured, or less while an output is behind that the adaptive bitrate follows.";
        bitrate_steps_down: IntCounterVec => IntCounter, "bitrate_steps_down_total", "Times the adaptive bitrate was lowered because an output was behind.";
        bitrate_steps_up: IntCounterVec => IntCounter, "bitrate_steps_up_total", "Times it was raised because none was any more.";
        active_fps: GaugeVec => Gauge, "active_fps", "Access units made per second of the stream, over its last seconds.";
        av_skew_ms: IntGaugeVec => IntGauge, "av_skew_ms", "Milliseconds by which sound has come further than pictures as they reach the muxer, averaged over a second; below zero it is behind.";
        encode_seconds: HistogramVec => Histogram, "encode_duration_seconds", "Time to encode one video frame.";
    }
}

impl Families {
    /// The children of the stream `id`.
    pub fn of(&self, id: &Id) -> StreamMetrics {
        StreamMetrics::of(self, &[id.as_str()])
    }

    /// The children of a rendition of it.
    pub fn of_rendition(&self, id: &Id, rendition: &Id) -> RenditionMetrics {
        RenditionMetrics::of(self, &[id.as_str(), rendition.as_str()])
    }

    /// Forgets the children of a stream that was deleted; those of its renditions are forgotten one by one.
    pub fn forget(&self, id: &Id) {
        StreamMetrics::forget(self, &[id.as_str()]);
    }

    /// Forgets the children of a rendition that was deleted.
    pub fn forget_rendition(&self, id: &Id, rendition: &Id) {
        RenditionMetrics::forget(self, &[id.as_str(), rendition.as_str()]);
    }
}

/// Families are made from a name, a help text and the names of labels.
trait Make: Sized {
    fn make(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error>;
}

impl Make for IntCounterVec {
    fn make(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Make for IntGaugeVec {
    fn make(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Make for GaugeVec {
    fn make(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Make for HistogramVec {
    fn make(name: &str, help: &str, labels: &[&str]) -> Result<Self, prometheus::Error> {
        Self::new(HistogramOpts::new(name, help).buckets(BUCKETS.to_vec()), labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule_and_children_can_be_forgotten() {
        let registry = Registry::new();
        let families = Families::new(&registry).unwrap();
        let (id, mobile) = (Id::new("main").unwrap(), Id::new("mobile").unwrap());
        let main = families.of(&id);
        main.frames_rendered.inc();
        main.render_seconds.observe(0.01);
        families.of_rendition(&id, &mobile).frames_encoded.inc();
        let text = prometheus::TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
        assert!(text.contains("stream_manager_frames_rendered_total{stream=\"main\"} 1"), "{text}");
        assert!(
            text.contains("stream_manager_render_duration_seconds_bucket{stream=\"main\",le=\"0.01\"} 1"),
            "{text}"
        );
        let encoded = "stream_manager_frames_encoded_total{rendition=\"mobile\",stream=\"main\"} 1";
        assert!(text.contains(encoded), "{text}");
        families.forget(&id);
        families.forget_rendition(&id, &mobile);
        assert!(registry.gather().iter().all(|family| family.get_metric().is_empty()));
    }
}
