//! What delivery costs: one stream of 4.5 Mbit/s to fifty outputs on this machine, in real time. Run by `make bench`.
//!
//! The packets are made beforehand, pictures and sound of the sizes that an encoder gives them, and pushed when they are
//! due, so what is measured is the output floor alone: processor time of this process, all threads, the kernel's part of
//! it included, and the time from a picture's being ready, which is that of the first push, to its last byte in the
//! socket's buffer. nginx-rtmp receives; its own time is not counted. Figures are printed beside what they should be, not
//! judged.

mod cpu;
#[path = "../servers/mod.rs"]
mod servers;

use std::{io::Write, sync::Arc, time::Duration};

use bytes::Bytes;
use servers::Nginx;
use stream_manager::{
    aac::AudioSpecificConfig,
    base::{
        clock::{Clock, SystemClock},
        id::Id,
        rate::FrameRate,
        secret::Secret,
        size::Size,
    },
    encode::{self, Backend},
    flv,
    h264::AvcConfig,
    output::{Headers, Kind, Latency, Limits, Network, Output, Packet, Spec, State, tls::Tls},
    pipeline::EncoderSettings,
    rtmp::Endpoint,
};
use tokio::{runtime::Runtime, time::Instant};

const OUTPUTS: usize = 50;
const SECONDS: u64 = 20;
const FPS: u64 = 30;
const BYTES_PER_SECOND: usize = 4_500_000 / 8;
/// An AAC frame of 128 kbit/s.
const SOUND_BYTES: usize = 341;

fn main() {
    let (nginx, runtime, headers) = (Nginx::start(), Runtime::new().unwrap(), Arc::new(headers()));
    let network = Network { runtime: runtime.handle().clone(), tls: Tls::open(&[]).unwrap() };
    say("outputs  seconds  Mbit/s each  CPU s/s  should be  skipped  MiB each  p50 ms  p99 ms  should be".into());
    for count in [1, OUTPUTS] {
        let outputs: Vec<_> = (0..count).map(|n| spawn(&network, &nginx, &headers, n)).collect();
        runtime.block_on(async {
            for output in &outputs {
                output.states().wait_for(|state| *state == State::Publishing).await.unwrap();
            }
        });
        let before = cpu_s();
        push(&outputs);
        let share = (cpu_s() - before) / SECONDS as f64;
        let stats: Vec<_> = outputs.iter().map(Output::stats).collect();
        for stats in stats.iter().filter(|stats| stats.attempts > 1) {
            say(format!("  lost: {:?}", stats.last_error));
        }
        let skipped: u64 = stats.iter().map(|stats| stats.output_skipped_frames).sum();
        let bytes = stats.iter().map(|stats| stats.output_bytes).sum::<u64>() / count as u64;
        let latency = stats.iter().fold(Latency::default(), |mut all, stats| {
            all.join(&stats.latency);
            all
        });
        let [p50, p99] = [0.5, 0.99].map(|share| latency.quantile(share).unwrap_or_default().as_secs_f64() * 1000.0);
        let should_be = if count == OUTPUTS { "<= 0.3" } else { "" };
        say(format!(
            "{count:>7}  {SECONDS:>7}  {:>11.2}  {share:>7.3}  {should_be:>9}  {skipped:>7}  {:>8.1}  {p50:>6.2}  {p99:>6.2}        < 2",
            bytes as f64 * 8.0 / SECONDS as f64 / 1e6,
            bytes as f64 / f64::from(1 << 20)
        ));
        runtime.block_on(async {
            for output in outputs {
                output.stop().await;
            }
        });
    }
}

fn say(line: String) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

/// Headers of a real stream, which the server reads.
fn headers() -> Headers {
    let (size, rate) = (Size::new(1920, 1080).unwrap(), FrameRate::new(30, 1).unwrap());
    let settings = EncoderSettings::new(Backend::Auto, size, rate, 4500, Duration::from_secs(2));
    let encoder = encode::open(settings.backend, &settings.config).unwrap().encoder;
    let sets = encoder.parameter_sets();
    let metadata = flv::Metadata {
        width: size.width(),
        height: size.height(),
        fps: rate.as_f64(),
        four_cc: None,
        video_kbps: 4500,
        audio_kbps: 128,
        sample_rate_hz: 48_000,
        channels: 2,
        encoder: "bench".into(),
    };
    Headers {
        metadata: flv::on_metadata_body(&metadata, true),
        video: flv::video_sequence_header(&AvcConfig::new(&sets.sps, &sets.pps[0]).unwrap().to_bytes()),
        audio: flv::audio_sequence_header(&AudioSpecificConfig::lc(48_000, 2).unwrap().to_bytes()),
    }
}

fn spawn(network: &Network, nginx: &Nginx, headers: &Arc<Headers>, number: usize) -> Output {
    let destination = Endpoint::with_key_apart(&nginx.address(), &Secret::new(format!("key-{number}"))).unwrap();
    let spec = Spec::new(Id::new(&format!("output-{number}")).unwrap(), destination, Limits::default());
    Output::spawn(network, spec, headers.clone())
}

/// Pushes the stream to all outputs, each packet when it is due.
fn push(outputs: &[Output]) {
    let clock = SystemClock::new();
    let start = clock.now();
    let (mut picture, mut sound) = (0, 0);
    while picture < SECONDS * FPS {
        let (picture_ms, sound_ms) = (picture * 1000 / FPS, sound * 1024 * 1000 / 48_000);
        let packet = if sound_ms <= picture_ms {
            sound += 1;
            let body = flv::audio_frame(Bytes::from(vec![0x21; SOUND_BYTES]));
            Packet { kind: Kind::Audio, dts_ms: sound_ms, body }
        } else {
            let is_key = picture % (2 * FPS) == 0;
            picture += 1;
            // A keyframe takes as much as ten other pictures.
            let share = BYTES_PER_SECOND * 2 / (2 * FPS as usize + 9);
            let body =
                flv::video_access_unit(is_key, 0, Bytes::from(vec![0x41; if is_key { 10 * share } else { share }]));
            Packet { kind: Kind::Video { is_key }, dts_ms: picture_ms, body }
        };
        clock.sleep_until(start + Duration::from_millis(packet.dts_ms));
        let ready_at = Instant::now();
        outputs.iter().for_each(|output| output.push_ready(&packet, ready_at));
    }
}

/// Processor time that this process and all its threads have taken.
fn cpu_s() -> f64 {
    let [own_ms, _] = cpu::taken_ms("self");
    own_ms / 1000.0
}
