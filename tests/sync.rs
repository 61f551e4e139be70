//! Sound and picture together: a show that flashes and beeps at once, through our encoders, our RTMP and nginx-rtmp, as a
//! player has them that goes by the timestamps.
//!
//! A flash is one white frame among black ones; its moment is the frame's presentation time. A beep's is the presentation
//! time of the packet in which it begins, and its place in what that packet decodes to; where it begins is told by the
//! middle of its energy, which no coding shifts. FLV counts in whole milliseconds, so each is known to half of one.
//!
//! Ten minutes of the stream are rendered offline and sent as fast as nginx takes them, a minute and a half with a server
//! that is killed in between; and for some seconds the daemon is on air, where the pictures that arrive are held against
//! those that were sent, too.

mod servers;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Value, json};
use servers::{FfmpegListener, Nginx, clip::Clip, ffmpeg, ffprobe_json};
use stream_manager::{
    base::{id::Id, secret::Secret},
    h264::bits::Reader,
    output::{Limits, Network, Output, Packet, Spec, State, tls::Tls},
    rtmp::Endpoint,
};
use support::{daemon::Daemon, eventually, program};
use tokio::{runtime::Handle, time::timeout};

const KEY: &str = "sync";
const BEEP_MS: f64 = 40.0;
/// How often nine seconds without a hold-up are tried for.
const ATTEMPTS: usize = 8;
/// Samples in a millisecond, and in a packet of sound.
const PER_MS: f64 = 48.0;
const PER_PACKET: usize = 1024;
/// More than any sample is off after coding, far less than a beep's peak of 0.126.
const HEARD: f32 = 0.02;

/// A white flash of one frame and a beep each `interval_ms`, whole frames; beside it a box that moves a second of three.
fn show(fps: &str, interval_ms: u32, outputs: &Value) -> Value {
    json!({
        "id": "main", "canvas": { "width": 64, "height": 48, "fps": fps, "background": "#000000" },
        "encoder": { "bitrateKbps": 300 }, "outputs": outputs,
        "audio": { "sources": [{ "id": "beep", "type": "syncBeep", "intervalMs": interval_ms }] },
        "layers": [
            { "id": "flash",
              "animations": [{ "property": "opacity", "repeat": "infinite", "keyframes": [
                  { "atMs": 0, "value": 1 }, { "atMs": 10, "value": 1 }, { "atMs": 10, "value": 0 },
                  { "atMs": interval_ms, "value": 0 }] }],
              "content": { "type": "color", "color": "#ffffff" } },
            { "id": "box", "zIndex": 1, "transform": { "positionY": 40, "width": 8, "height": 8 },
              "animations": [{ "property": "positionX", "repeat": "infinite", "keyframes": [
                  { "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 56 }, { "atMs": 3000, "value": 56 }] }],
              "content": { "type": "color", "color": "#606060" } },
        ],
    })
}

/// What FFmpeg decodes of a file; it must have nothing to say.
fn decoded(file: &Path, arguments: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "warning", "-i"])
        .arg(file)
        .args(arguments.split(' '))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "ffmpeg: {said}");
    output.stdout
}

/// Presentation times in ms of the packets of one kind.
fn times(file: &Path, kind: &str) -> Vec<f64> {
    let probed = ffprobe_json(file, &["-select_streams", kind, "-show_entries", "packet=pts"]);
    let packets = probed["packets"].as_array().unwrap();
    packets.iter().map(|packet| packet["pts"].as_i64().unwrap() as f64).collect()
}

/// When the picture flashes.
fn flashes(file: &Path) -> Vec<f64> {
    let times = times(file, "v");
    // A part of the picture that no box crosses, flat.
    let pixels = decoded(file, "-map 0:v -vf crop=8:8:0:0 -fps_mode passthrough -pix_fmt gray -f rawvideo -");
    assert_eq!(pixels.len(), times.len() * 64, "a picture for each packet");
    let lumas: Vec<u8> = pixels.iter().step_by(64).copied().collect();
    let lit: Vec<_> = (0..lumas.len()).filter(|&n| lumas[n] > 128).collect();
    assert!(lit.windows(2).all(|pair| pair[1] - pair[0] > 1), "each flash is one frame");
    assert!(lumas.iter().all(|luma| !(40..=215).contains(luma)), "nothing between black and white");
    lit.into_iter().map(|n| times[n]).collect()
}

/// When it beeps.
fn beeps(file: &Path) -> Vec<f64> {
    let times = times(file, "a");
    let bytes = decoded(file, "-map 0:a -ac 1 -c:a pcm_f32le -f f32le -");
    let (samples, _) = bytes.as_chunks::<4>();
    let samples: Vec<f32> = samples.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
    assert_eq!(samples.len(), times.len() * PER_PACKET, "every packet decodes in full");
    let mut beeps = Vec::new();
    let mut at = 0;
    while let Some(first) = samples[at..].iter().position(|sample| sample.abs() > HEARD).map(|n| at + n) {
        let (from, to) = (first.saturating_sub(1000), (first + 4000).min(samples.len()));
        let energy = |n: usize| f64::from(samples[n]).powi(2);
        let middle = (from..to).map(|n| n as f64 * energy(n)).sum::<f64>() / (from..to).map(energy).sum::<f64>();
        let begin = middle - (BEEP_MS * PER_MS - 1.0) / 2.0;
        let packet = (begin.max(0.0) as usize / PER_PACKET).min(times.len() - 1);
        beeps.push(times[packet] + (begin - (packet * PER_PACKET) as f64) / PER_MS);
        at = to;
    }
    beeps
}

/// By how many ms each beep is later than its flash. What the file's ends cut in two is left out.
fn offsets(file: &Path, interval_ms: f64) -> Vec<f64> {
    let (flashes, beeps) = (flashes(file), beeps(file));
    let [first, last] = ["v", "a"].map(|kind| {
        let times = times(file, kind);
        (times[0] + 50.0, times.last().unwrap() - 50.0)
    });
    let (begin, end) = (first.0.max(last.0), first.1.min(last.1));
    let inside = |times: Vec<f64>| times.into_iter().filter(|time| (begin..end).contains(time)).collect::<Vec<_>>();
    let (flashes, beeps) = (inside(flashes), inside(beeps));
    assert_eq!(flashes.len(), beeps.len(), "flashes at {flashes:?}, beeps at {beeps:?}");
    for pair in flashes.windows(2) {
        assert!((pair[1] - pair[0] - interval_ms).abs() <= 1.0, "flashes at {pair:?}");
    }
    beeps.iter().zip(&flashes).map(|(beep, flash)| beep - flash).collect()
}

fn mean(offsets: &[f64]) -> f64 {
    offsets.iter().sum::<f64>() / offsets.len() as f64
}

/// At least so many, none off by more than a millisecond that FLV may round by and one for what coding does.
#[track_caller]
fn assert_together(offsets: &[f64], count_min: usize) {
    assert!(offsets.len() >= count_min, "{} flashes", offsets.len());
    let worst = offsets.iter().fold(0.0_f64, |worst, offset| worst.max(offset.abs()));
    assert!(worst < 2.0, "{worst:.2} ms between flash and beep, {:.2} in the mean", mean(offsets));
}

/// The show from its start, as an FLV file.
fn rendered(directory: &Path, show: &Value, seconds: u32) -> PathBuf {
    fs::write(directory.join("show.json"), show.to_string()).unwrap();
    let duration = format!("{seconds}s");
    let mut command = program::command(directory, &["render", "show.json", "--duration", &duration, "-o", "show.flv"]);
    program::finish(&mut command).expect(0);
    directory.join("show.flv")
}

/// An output that takes any length of stream at once.
async fn publish(clip: &Clip, nginx: &Nginx) -> Output {
    let destination = Endpoint::with_key_apart(&nginx.address(), &Secret::new(KEY)).unwrap();
    let max = u64::MAX;
    let limits = Limits { bytes_max: 1 << 30, disposable_ms_max: max, video_ms_max: max, audio_ms_max: max };
    let network = Network { runtime: Handle::current(), tls: Tls::open(&[]).unwrap() };
    let spec = Spec::new(Id::new("test").unwrap(), destination, limits);
    let output = Output::spawn(&network, spec, Arc::new(clip.headers.clone()));
    reach(&output, |state| *state == State::Publishing).await;
    output
}

async fn reach(output: &Output, is_it: impl FnMut(&State) -> bool) {
    let patience = Duration::from_secs(60);
    let reached = timeout(patience, output.states().wait_for(is_it)).await.map(|state| state.is_ok());
    assert_eq!(reached, Ok(true), "{:?}", output.stats());
}

/// Pushes packets and waits until they are sent.
async fn send(output: &Output, packets: &[Packet]) {
    packets.iter().for_each(|packet| output.push(packet));
    eventually("everything is sent", async || (output.stats().queue_bytes == 0).then_some(())).await;
}

/// What all the others go by.
#[test]
fn a_beep_that_comes_late_is_seen_to() {
    let directory = tempfile::tempdir().unwrap();
    let mut show = show("25", 1000, &json!([]));
    show["audio"]["sources"][0]["delayMs"] = json!(12);
    let offsets = offsets(&rendered(directory.path(), &show, 6), 1000.0);
    assert!(offsets.len() >= 5 && offsets.iter().all(|offset| (offset - 12.0).abs() < 1.0), "{offsets:?}");
}

/// All pictures are shown a frame later there, and sound is heard a frame later.
#[test]
fn the_quality_tuning_keeps_them_together() {
    let directory = tempfile::tempdir().unwrap();
    let mut show = show("25", 1000, &json!([]));
    show["encoder"]["tuning"] = json!("quality");
    assert_together(&offsets(&rendered(directory.path(), &show, 6), 1000.0), 5);
}

/// Ten minutes of flashes, all together, and at the end as at the beginning.
async fn assert_no_drift(fps: &str, interval_ms: u32) {
    let directory = tempfile::tempdir().unwrap();
    let sent = rendered(directory.path(), &show(fps, interval_ms, &json!([])), 600);
    let (clip, nginx) = (Clip::read(&sent, 0), Nginx::start());
    let output = publish(&clip, &nginx).await;
    send(&output, &clip.packets).await;
    output.stop().await;
    let offsets = offsets(&nginx.recording(KEY), interval_ms.into());
    assert_together(&offsets, 597);
    let (first, last) = (mean(&offsets[..60]), mean(&offsets[offsets.len() - 60..]));
    assert!((last - first).abs() < 1.0, "{first:.2} ms in the first minute, {last:.2} in the last");
}

#[tokio::test]
async fn ten_minutes_do_not_drift_at_25_frames() {
    assert_no_drift("25", 1000).await;
}

#[tokio::test]
async fn ten_minutes_do_not_drift_at_ntsc_frames() {
    // 30 frames of 1001/30000 s.
    assert_no_drift("30000/1001", 1001).await;
}

/// A server that is killed amid a minute and a half; the session after it begins at zero.
async fn assert_together_anew(fps: &str, interval_ms: u32) {
    let directory = tempfile::tempdir().unwrap();
    let sent = rendered(directory.path(), &show(fps, interval_ms, &json!([])), 90);
    let (clip, mut nginx) = (Clip::read(&sent, 5_000_000), Nginx::start());
    let output = publish(&clip, &nginx).await;
    let (before, after) = clip.packets.split_at(clip.packets.len() / 2);
    send(&output, before).await;
    nginx.kill();
    reach(&output, |state| matches!(state, State::BackingOff { .. })).await;
    nginx.restart();
    reach(&output, |state| *state == State::Publishing).await;
    send(&output, after).await;
    output.stop().await;
    let recording = nginx.recording(KEY);
    assert!(times(&recording, "v")[0] <= 21.0 && times(&recording, "a")[0] <= 22.0, "the session starts at zero");
    assert_together(&offsets(&recording, interval_ms.into()), 40);
}

#[tokio::test]
async fn a_session_that_begins_anew_is_together_from_zero() {
    assert_together_anew("25", 1000).await;
    assert_together_anew("30000/1001", 1001).await;
}

/// Each packet of the video track, and the checksum of the picture that it decodes to.
fn pictures(file: &Path) -> Vec<(Bytes, String)> {
    let packets = Clip::read(file, 0).packets.into_iter().filter(|packet| packet.kind.is_video());
    let packets: Vec<_> = packets.map(|packet| packet.body.media().clone()).collect();
    let listing = String::from_utf8(decoded(file, "-map 0:v -fps_mode passthrough -f framemd5 -")).unwrap();
    let frames: Vec<_> = listing.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(frames.len(), packets.len(), "a picture for each packet");
    let shown = frames.into_iter().map(|frame| frame.rsplit(',').next().unwrap().trim().to_owned());
    packets.into_iter().zip(shown).collect()
}

/// Whether a packet is one that we wrote ourselves: its slice refers to the PPS beside the encoder's own, which is 0.
fn is_repeat(packet: &Bytes) -> bool {
    const BEFORE_SLICE: usize = 4 + 1;
    let mut bits = Reader::new(&packet[BEFORE_SLICE..]);
    let [_first_mb, _slice_type, pps] = [(); 3].map(|()| bits.ue().unwrap());
    pps == 1
}

/// The daemon sends to two: nginx, from which a player pulls it, and FFmpeg, which keeps what was sent.
#[test]
fn what_is_pulled_from_nginx_is_together_and_is_what_was_sent() {
    let (nginx, mut witness) = (Nginx::start(), FfmpegListener::start("key"));
    let outputs = json!([
        { "id": "witness", "url": witness.address(), "key": "key" },
        { "id": "server", "url": nginx.address(), "key": KEY },
    ]);
    let daemon = Daemon::serve(&show("25", 1000, &outputs));
    daemon.until_sent("server", 500);
    let directory = tempfile::tempdir().unwrap();
    let pulled = directory.path().join("pulled.flv");
    let url = format!("{}/{KEY}", nginx.address());
    let status = || daemon.get("/api/v1/streams/main/status");
    // A machine that cannot keep up sends a picture late or again, and says so: the flashes of that time tell nothing.
    let held_up = |status: &Value| [&status["renderRepeatedFrames"], &status["encodeDroppedFrames"]].map(Value::as_u64);
    let is_kept_up = (0..ATTEMPTS).any(|_| {
        let before = status();
        ffmpeg(&["-i", &url, "-t", "9", "-c", "copy", pulled.to_str().unwrap()]);
        let after = status();
        assert!(after["avSkewMs"].as_i64().is_some_and(|skew| skew.abs() < 500), "{after}");
        held_up(&before) == held_up(&after)
    });
    assert!(is_kept_up, "the machine does not keep up: {}", status());
    daemon.end();
    assert_together(&offsets(&pulled, 1000.0), 6);

    let (pulled, sent) = (pictures(&pulled), pictures(&witness.finish()));
    let begin = sent.iter().position(|(packet, _)| *packet == pulled[0].0).expect("what is pulled was sent");
    assert_eq!(pulled, sent[begin..][..pulled.len()], "packets and pictures are those that were sent");
    let repeats: Vec<_> = (1..pulled.len()).filter(|&n| is_repeat(&pulled[n].0)).collect();
    let coded = pulled.len() - repeats.len();
    assert!(repeats.len() > 40 && coded > 40, "{} repeats between {coded} others", repeats.len());
    assert!(repeats.iter().all(|&n| pulled[n].1 == pulled[n - 1].1), "a repeat is its predecessor");
}
