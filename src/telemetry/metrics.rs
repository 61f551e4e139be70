//! The text of `/metrics`: the pipeline's families, and those of the outputs and of shared memory, read when asked.
//!
//! Names follow `stream_manager_<what>_<unit>[_total]`; labels are the stream, the output, its state and the class of its
//! failures, all bounded in number.

use std::{collections::HashMap, sync::Arc, time::Duration};

use prometheus::{
    GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
    core::{Collector, Desc},
    proto::{Bucket, Histogram, LabelPair, Metric, MetricFamily, MetricType},
};

use super::control::Control;
use crate::{
    output::{State, Stats},
    state::{Live, Streams},
};

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Those of the WebSocket.
    pub events: Events,
}

/// What the WebSocket counts.
#[derive(Debug, Clone)]
pub struct Events {
    /// Who is connected.
    pub clients: IntGauge,
    /// Who was cut off.
    pub dropped: IntCounter,
    /// Full states sent to who had one before.
    pub resyncs: IntCounter,
    /// Messages to all of them.
    pub messages: IntCounter,
}

impl Events {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |what: &str, help: &str| IntCounter::new(format!("stream_manager_events_{what}"), help);
        let events = Self {
            clients: IntGauge::new("stream_manager_events_clients", "Clients of the WebSocket.")?,
            dropped: counter("dropped_clients_total", "Clients cut off because they took nothing for 10 seconds.")?,
            resyncs: counter(
                "resyncs_total",
                "Full states sent in place of patches, asked for or because a client was too slow.",
            )?,
            messages: counter("messages_total", "Messages sent to all clients.")?,
        };
        registry.register(Box::new(events.clients.clone()))?;
        for counter in [&events.dropped, &events.resyncs, &events.messages] {
            registry.register(Box::new(counter.clone()))?;
        }
        Ok(events)
    }
}

impl Metrics {
    /// The families registered so far, with those of the outputs of `streams`.
    pub fn new(registry: Registry, streams: Arc<Streams>) -> Result<Self, prometheus::Error> {
        let build =
            IntGaugeVec::new(Opts::new("stream_manager_build_info", "1, with the version as a label."), &["version"])?;
        build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
        registry.register(Box::new(build))?;
        registry.register(Box::new(Shared::new(streams.clone())?))?;
        registry.register(Box::new(super::store::Kept::new(streams.clone())?))?;
        registry.register(Box::new(Outputs::new(streams.clone())?))?;
        registry.register(Box::new(Control::new(streams)?))?;
        let events = Events::new(&registry)?;
        Ok(Self { registry, events })
    }

    /// The text exposition format, version 0.0.4.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Reads at the moment of the scrape what all streams together have in memory.
struct Shared {
    streams: Arc<Streams>,
    media_bytes: IntGauge,
    gpu_bytes: IntGauge,
    glyph_bytes: IntGauge,
}

impl Shared {
    fn new(streams: Arc<Streams>) -> Result<Self, prometheus::Error> {
        Ok(Self {
            streams,
            media_bytes: IntGauge::new(
                "stream_manager_media_cache_bytes",
                "Bytes of decoded pictures and shaped texts.",
            )?,
            gpu_bytes: IntGauge::new("stream_manager_gpu_memory_bytes", "Bytes of all textures and buffers.")?,
            glyph_bytes: IntGauge::new("stream_manager_glyph_atlas_bytes", "Those of them in which glyphs are kept.")?,
        })
    }

    fn gauges(&self) -> [&IntGauge; 3] {
        [&self.media_bytes, &self.gpu_bytes, &self.glyph_bytes]
    }
}

impl Collector for Shared {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let devices = &self.streams.services().devices;
        let memory = devices.gpu_memory();
        self.media_bytes.set(devices.library.loaded_bytes() as i64);
        self.gpu_bytes.set(memory.bytes as i64);
        self.glyph_bytes.set(memory.glyph_atlas_bytes as i64);
        self.gauges().into_iter().flat_map(Collector::collect).collect()
    }
}

/// Reads the statistics of every output at the moment of the scrape.
struct Outputs {
    streams: Arc<Streams>,
    descs: Vec<Desc>,
}

/// What tells outputs apart.
const OUTPUT: [&str; 2] = ["stream", "output"];
const LATENCY: &str = "stream_manager_output_send_latency_seconds";
const LATENCY_HELP: &str = "From a picture's being ready, and its turn, to its last byte in the socket's buffer.";

/// Families that live for one scrape.
struct Families {
    bytes: IntCounterVec,
    frames: IntCounterVec,
    skipped: IntCounterVec,
    skipped_audio: IntCounterVec,
    attempts: IntCounterVec,
    failures: IntCounterVec,
    reconnects: IntCounterVec,
    bitrate_bps: IntGaugeVec,
    queue_bytes: IntGaugeVec,
    queue_ms: IntGaugeVec,
    congestion: GaugeVec,
    since_progress: GaugeVec,
    round_trip: GaugeVec,
    is_publishing: IntGaugeVec,
    is_on_backup: IntGaugeVec,
    state: IntGaugeVec,
    recording_files: IntCounterVec,
    recording_file_bytes: IntGaugeVec,
    recording_free_bytes: IntGaugeVec,
}

impl Families {
    fn new() -> Result<Self, prometheus::Error> {
        let opts = |what: &str, help: &str| Opts::new(format!("stream_manager_output_{what}"), help);
        let counter = |what: &str, help: &str| IntCounterVec::new(opts(what, help), &OUTPUT);
        let gauge = |what: &str, help: &str| IntGaugeVec::new(opts(what, help), &OUTPUT);
        let fraction = |what: &str, help: &str| GaugeVec::new(opts(what, help), &OUTPUT);
        let failures = opts("failures_total", "Attempts that failed, by the class of the error.");
        let state = opts("state", "1 for the state in which it is, 0 for all others.");
        Ok(Self {
            bytes: counter("bytes_total", "Bytes the network, or the disk, took.")?,
            frames: counter("frames_total", "Pictures sent.")?,
            skipped: counter("skipped_frames_total", "Pictures dropped because the network was too slow.")?,
            skipped_audio: counter("skipped_audio_frames_total", "AAC frames dropped: not even sound got through.")?,
            attempts: counter("connect_attempts_total", "Attempts to connect.")?,
            failures: IntCounterVec::new(failures, &["stream", "output", "class"])?,
            reconnects: counter("reconnects_total", "Times it went on air again.")?,
            bitrate_bps: gauge("bitrate_bps", "Bits per second sent over the last seconds.")?,
            queue_bytes: gauge("queue_bytes", "Bytes waiting to be sent.")?,
            queue_ms: gauge("queue_duration_ms", "Milliseconds of media waiting to be sent.")?,
            congestion: fraction("congestion_ratio", "How near it is to losing pictures: 1 while it loses them.")?,
            since_progress: fraction("since_progress_seconds", "Seconds since the network took bytes last.")?,
            round_trip: fraction("round_trip_seconds", "The kernel's smoothed round-trip time; only on air.")?,
            is_publishing: gauge("publishing", "1 while the server takes media, otherwise 0.")?,
            is_on_backup: gauge("on_backup", "1 while the backup address is used, otherwise 0.")?,
            state: IntGaugeVec::new(state, &["stream", "output", "state"])?,
            recording_files: counter("recording_files_total", "Files that a recording has begun.")?,
            recording_file_bytes: gauge("recording_file_bytes", "Bytes of the file that is written, or was last.")?,
            recording_free_bytes: gauge("recording_free_bytes", "Bytes free on the disk of a recording.")?,
        })
    }

    fn collectors(&self) -> [&dyn Collector; 19] {
        [
            &self.bytes,
            &self.frames,
            &self.skipped,
            &self.skipped_audio,
            &self.attempts,
            &self.failures,
            &self.reconnects,
            &self.bitrate_bps,
            &self.queue_bytes,
            &self.queue_ms,
            &self.congestion,
            &self.since_progress,
            &self.round_trip,
            &self.is_publishing,
            &self.is_on_backup,
            &self.state,
            &self.recording_files,
            &self.recording_file_bytes,
            &self.recording_free_bytes,
        ]
    }

    fn observe(&self, stream: &str, stats: &Stats) {
        let labels = &[stream, stats.id.as_str()];
        let [stream, output] = *labels;
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.bytes.with_label_values(labels).inc_by(stats.output_bytes);
        self.frames.with_label_values(labels).inc_by(stats.output_total_frames);
        self.skipped.with_label_values(labels).inc_by(stats.output_skipped_frames);
        self.skipped_audio.with_label_values(labels).inc_by(stats.output_skipped_audio_frames);
        self.attempts.with_label_values(labels).inc_by(stats.attempts);
        for (&class, &count) in &stats.failures {
            self.failures.with_label_values(&[stream, output, class]).inc_by(count);
        }
        self.reconnects.with_label_values(labels).inc_by(stats.reconnects);
        self.bitrate_bps.with_label_values(labels).set(gauge(stats.bitrate_kbps * 1000));
        self.queue_bytes.with_label_values(labels).set(gauge(stats.queue_bytes as u64));
        self.queue_ms.with_label_values(labels).set(gauge(stats.queue_ms));
        self.congestion.with_label_values(labels).set(stats.output_congestion);
        // What is not known has no sample: a zero would look like the best there is.
        if let Some(seconds) = stats.seconds_since_progress {
            self.since_progress.with_label_values(labels).set(seconds);
        }
        if let Some(round_trip_ms) = stats.round_trip_ms {
            self.round_trip.with_label_values(labels).set(round_trip_ms / 1000.0);
        }
        self.is_publishing.with_label_values(labels).set(i64::from(stats.state == State::Publishing));
        self.is_on_backup.with_label_values(labels).set(i64::from(stats.is_on_backup));
        for name in State::NAMES {
            let is_it = stats.state.as_str() == name;
            self.state.with_label_values(&[stream, output, name]).set(i64::from(is_it));
        }
        if let Some(recording) = &stats.recording {
            self.recording_files.with_label_values(labels).inc_by(recording.files);
            self.recording_file_bytes.with_label_values(labels).set(gauge(recording.file_bytes));
            if let Some(megabytes) = recording.available_disk_space {
                self.recording_free_bytes.with_label_values(labels).set((megabytes * 1e6) as i64);
            }
        }
    }
}

impl Outputs {
    fn new(streams: Arc<Streams>) -> Result<Self, prometheus::Error> {
        let families = Families::new()?;
        let mut descs: Vec<_> = families.collectors().iter().flat_map(|family| family.desc()).cloned().collect();
        descs.push(Desc::new(LATENCY.into(), LATENCY_HELP.into(), OUTPUT.map(String::from).into(), HashMap::new())?);
        Ok(Self { streams, descs })
    }
}

impl Collector for Outputs {
    fn desc(&self) -> Vec<&Desc> {
        self.descs.iter().collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let Ok(families) = Families::new() else { return Vec::new() };
        let mut latencies = Vec::new();
        for snapshot in self.streams.list() {
            let id = snapshot.document.id.as_str();
            // A stream that was deleted since the list was made has no outputs.
            let live = self.streams.live(id).ok().flatten();
            for (_, stats) in live.iter().flat_map(Live::outputs) {
                families.observe(id, stats);
                latencies.push(latency(id, stats));
            }
        }
        let counted = families.collectors().into_iter().flat_map(Collector::collect);
        counted.chain([latency_family(latencies)]).collect()
    }
}

/// What an output has observed itself, which the library's own histograms have no way to take.
fn latency(stream: &str, stats: &Stats) -> Metric {
    let bucket = |(bound, upto): (Duration, u64)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound.as_secs_f64());
        bucket.set_cumulative_count(upto);
        bucket
    };
    let label = |(name, value): (&str, &str)| {
        let mut label = LabelPair::default();
        label.set_name(name.into());
        label.set_value(value.into());
        label
    };
    let mut histogram = Histogram::default();
    histogram.set_sample_count(stats.latency.count());
    histogram.set_sample_sum(stats.latency.sum().as_secs_f64());
    histogram.set_bucket(stats.latency.cumulative().map(bucket).collect());
    // In the order in which the others have them.
    let mut metric = Metric::from_label([("output", stats.id.as_str()), ("stream", stream)].map(label).into());
    metric.set_histogram(histogram);
    metric
}

fn latency_family(latencies: Vec<Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(LATENCY.into());
    family.set_help(LATENCY_HELP.into());
    family.set_field_type(MetricType::HISTOGRAM);
    family.set_metric(latencies);
    family
}
