//! What the default show costs on air: frames, misses, processor time, memory. Run by `make bench`.
//!
//! The built daemon publishes 1920 x 1080 at 30 frames per second to nginx-rtmp on this machine, first with nothing
//! changing, then with a text changed thirty times a second over REST. Figures are printed, not judged: machines differ.

mod cpu;
#[path = "../servers/mod.rs"]
mod servers;
#[path = "../support/mod.rs"]
mod support;

use std::{fs, io::Write};

use serde_json::{Value, json};
use servers::Nginx;
use support::daemon::Daemon;

/// Length of each phase, in milliseconds of the stream.
const PHASE_MS: u64 = 60_000;
const STATUS: &str = "/api/v1/streams/main/status";
const BID: &str = "/api/v1/streams/main/layers/bid-amount";

fn main() {
    let nginx = Nginx::start();
    let url = format!("{}/bench", nginx.address());
    let daemon = Daemon::serve_with(None, &["--output", &url]);
    daemon.until_sent("output-1", 3_000);
    let mut out = std::io::stdout().lock();
    let line = |out: &mut std::io::StdoutLock<'_>, text: String| writeln!(out, "{text}").expect("standard output");
    line(&mut out, format!("adapter: {}", daemon.get(STATUS)["gpu"]["adapter"]));
    line(
        &mut out,
        "phase      frames  drawn  repeated  dropped  CPU ms/frame  encode ms  render ms  memory MiB".into(),
    );
    let still = measure(&daemon, |daemon, until_ms| daemon.until_sent("output-1", until_ms));
    line(&mut out, row("still", &still));
    let busy = measure(&daemon, |daemon, until_ms| {
        let mut bid = 0;
        while sent_ms(&daemon.get(STATUS)) < until_ms {
            bid += 1;
            daemon.patch(BID, &json!({ "content": { "text": format!("{}.{:02} ETH", bid / 100, bid % 100) } }));
        }
    });
    line(&mut out, row("changing", &busy));
    daemon.end();
}

/// Counters of the daemon at one moment.
struct Sample {
    status: Value,
    cpu_ms: f64,
    encode_s: f64,
    render_s: f64,
    renders: f64,
    memory_mib: f64,
}

fn measure(daemon: &Daemon, phase: impl FnOnce(&Daemon, u64)) -> [Sample; 2] {
    let before = sample(daemon);
    phase(daemon, sent_ms(&before.status) + PHASE_MS);
    [before, sample(daemon)]
}

fn sample(daemon: &Daemon) -> Sample {
    let [cpu_ms, _] = cpu::taken_ms(daemon.pid());
    let pages: f64 = fs::read_to_string(format!("/proc/{}/statm", daemon.pid()))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .map_or(0.0, |pages| pages.parse().unwrap());
    let metrics = daemon.metrics();
    let metric = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(&format!("stream_manager_{name}{{")));
        line.and_then(|line| line.rsplit(' ').next()).map_or(0.0, |value| value.parse::<f64>().unwrap())
    };
    Sample {
        status: daemon.get(STATUS),
        cpu_ms,
        encode_s: metric("encode_duration_seconds_sum"),
        render_s: metric("render_duration_seconds_sum"),
        renders: metric("render_duration_seconds_count"),
        memory_mib: pages * 4096.0 / f64::from(1 << 20),
    }
}

fn sent_ms(status: &Value) -> u64 {
    status["outputs"][0]["outputDuration"].as_u64().unwrap()
}

fn row(phase: &str, [before, after]: &[Sample; 2]) -> String {
    let count = |name: &str| after.status[name].as_u64().unwrap() - before.status[name].as_u64().unwrap();
    let frames = count("encodedFrames");
    let each = |ms: f64| ms / frames.max(1) as f64;
    let renders = (after.renders - before.renders).max(1.0);
    format!(
        "{phase:<10} {frames:>6}  {:>5}  {:>8}  {:>7}  {:>12.2}  {:>9.2}  {:>9.2}  {:>10.0}",
        count("renderTotalFrames"),
        count("renderRepeatedFrames"),
        count("encodeDroppedFrames"),
        each(after.cpu_ms - before.cpu_ms),
        each((after.encode_s - before.encode_s) * 1000.0),
        (after.render_s - before.render_s) * 1000.0 / renders,
        after.memory_mib,
    )
}
