//! The program itself on the stand-in: what it renders, with what it is tried first, and what it does where that fails.

use std::{collections::BTreeSet, path::Path, process::Command, time::Duration};

use bytes::Buf;
use serde_json::{Value, json};
use stream_manager::{
    encode::nvenc::{Access, Probe, set_access},
    output::Kind,
};

use super::{
    config, encode, nvenc,
    servers::{Nginx, NodeMediaServer, certificates::Authority, clip::Clip},
    software,
    stand::Stand,
    support::{
        program::{Ended, Running, command, finish},
        until,
    },
};

/// A box that never stands still.
fn show(encoder: &Value) -> Value {
    json!({
        "id": "main", "canvas": { "width": 160, "height": 64, "fps": "30", "background": "#102030" },
        "encoder": encoder,
        "layers": [{
            "id": "box", "transform": { "positionX": 2, "positionY": 4, "width": 60, "height": 40 },
            "content": { "type": "shape", "shape": "rectangle", "fill": "#ff0000" },
            "animations": [{ "property": "positionX", "repeat": "infinite", "direction": "alternate", "keyframes": [{ "atMs": 0, "value": 2 }, { "atMs": 2000, "value": 90 }] }],
        }],
    })
}

fn with_driver(stand: &Stand, arguments: &[&str]) -> Command {
    let mut command = command(stand.path(), arguments);
    command.env("LD_LIBRARY_PATH", stand.path());
    command
}

/// Renders a second with these settings of the encoder.
fn render(stand: &Stand, encoder: &Value) -> Ended {
    std::fs::write(stand.file("show.json"), show(encoder).to_string()).unwrap();
    finish(&mut with_driver(stand, &["render", "show.json", "--duration", "1s", "-o", "show.flv"]))
}

/// A daemon with the show of the stand's directory on air.
struct Daemon {
    program: Running,
    base: String,
}

fn serve(stand: &Stand, arguments: &[&str]) -> Daemon {
    let mut command = with_driver(stand, &["serve", "--listen", "127.0.0.1:0", "--scene", "show.json"]);
    let mut program = Running::spawn(command.args(arguments));
    let line = program.line();
    let base = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line}\n{}", program.log()));
    Daemon { base: base.into(), program }
}

impl Daemon {
    fn get(&self, path: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--max-time", "30"]).arg(format!("{}{path}", self.base));
        String::from_utf8(curl.output().expect("curl is needed").stdout).unwrap()
    }

    fn end(&mut self) {
        self.program.signal("TERM");
        assert!(self.program.wait().success(), "{}", self.program.log());
    }
}

fn packets(file: &Path) -> Vec<Value> {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-show_packets", "-of", "json"]).arg(file);
    let output = ffprobe.output().expect("ffprobe is needed");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    said["packets"].as_array().unwrap().clone()
}

/// Decoding and presentation times in milliseconds.
fn times(packets: &[Value], kind: &str) -> Vec<(i64, i64)> {
    let of_kind = packets.iter().filter(|packet| packet["codec_type"] == kind);
    of_kind.map(|packet| (packet["dts"].as_i64().unwrap(), packet["pts"].as_i64().unwrap())).collect()
}

/// A second with B frames, taken apart by FFmpeg: every frame is there, is shown once and in time, and the sound is as much
/// later as the picture.
#[test]
fn a_rendering_with_b_frames_has_right_times() {
    let stand = Stand::new("");
    render(&stand, &json!({ "backend": "nvenc", "tuning": "quality", "bitrateKbps": 3000 })).expect(0);
    assert!(stand.calls_of("lock").iter().filter(|call| call.ends_with("type=1")).count() > 10, "there are B frames");
    assert_eq!(stand.processes_of("open"), 2, "it is tried in a process of its own");
    let packets = packets(&stand.file("show.flv"));
    let video = times(&packets, "video");
    assert_eq!(video.len(), 30);
    assert_eq!(video[0].0, 0);
    assert!(video.is_sorted_by(|a, b| a.0 < b.0), "decoding times rise: {video:?}");
    assert!(video.iter().all(|(dts, pts)| dts <= pts), "{video:?}");
    let shown: BTreeSet<_> = video.iter().map(|(_, pts)| *pts).collect();
    assert_eq!(shown.into_iter().collect::<Vec<_>>(), (1..=30).map(|n| (n * 1000 + 15) / 30).collect::<Vec<i64>>());
    assert!(!video.is_sorted_by_key(|(_, pts)| *pts), "they are reordered");
    assert_eq!(times(&packets, "audio")[0], (33, 33), "a frame later, as the picture is");

    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg
        .args(["-v", "error", "-xerror", "-err_detect", "explode", "-i"])
        .arg(stand.file("show.flv"))
        .args(["-f", "null", "-"]);
    let output = ffmpeg.output().expect("ffmpeg is needed");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_probe_says_what_it_found() {
    let stand = Stand::new("cap0=3");
    let ended = finish(&mut with_driver(&stand, &["nvenc-probe"])).expect(0);
    let codec = |name: &str| json!({ "name": name, "widthMax": 4096, "heightMax": 4096, "bFramesMax": 3, "hasLiveBitrate": true });
    let found = json!({ "interface": "12.2", "device": "Stand-in T4", "codecs": [codec("H.264"), codec("HEVC")] });
    assert_eq!(serde_json::from_str::<Value>(&ended.stdout).unwrap(), json!({ "found": found }));
    assert_eq!(stand.calls_of("lock").len(), 4, "it has encoded");
    drop(stand);
    let stand = Stand::new("name0=NVIDIA H200\nopen=2");
    let ended = finish(&mut with_driver(&stand, &["nvenc-probe"])).expect(0);
    let said: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(said["refused"].as_str().unwrap().starts_with("NVIDIA H200 has no video encoder"), "{said}");
}

/// What a driver can do to the program that tries it: `auto` goes on in software and says why, `nvenc` alone is an error.
#[test]
fn a_driver_that_refuses_or_crashes_costs_the_encoder_alone() {
    for (scenario, reason) in [
        ("name0=NVIDIA H100\nopen=2", "NVIDIA H100 has no video encoder"),
        ("open=crash", "the driver crashed the process that tried it: signal: 11"),
    ] {
        let stand = Stand::new(scenario);
        let ended = render(&stand, &json!({ "bitrateKbps": 600 })).expect(0);
        assert!(ended.stderr.contains("encoder not available") && ended.stderr.contains(reason), "{}", ended.stderr);
        assert_eq!(times(&packets(&stand.file("show.flv")), "video").len(), 30);
        render(&stand, &json!({ "backend": "nvenc" })).says(1, &["no encoder for backend `nvenc`", reason]);
    }
    let stand = Stand::empty();
    let ended = render(&stand, &json!({ "bitrateKbps": 600 })).expect(0);
    assert_eq!(ended.stderr, "", "a machine without NVIDIA's driver is nothing to warn of");
    render(&stand, &json!({ "backend": "nvenc" })).says(1, &["libnvidia-encode.so.1"]);
}

#[test]
fn a_driver_that_hangs_is_given_up() {
    let stand = Stand::new("open=hang");
    let program = env!("CARGO_BIN_EXE_stream-manager");
    let library_path = format!("LD_LIBRARY_PATH={}", stand.path().display());
    let arguments = vec![library_path, program.into(), "nvenc-probe".into()];
    let probe = Probe { program: "env".into(), arguments, patience: Duration::from_secs(1) };
    set_access(Access { directory: Some(stand.path().into()), probe: Some(probe) });
    let error = encode::open(nvenc(), &config(160, 64)).unwrap_err().to_string();
    assert!(error.ends_with("the driver hung the process that tried it for 1000 ms"), "{error}");
}

/// On a GPU without an encoder the daemon goes on air in software, and its log says why.
#[test]
fn the_daemon_goes_on_air_without_the_chip() {
    let stand = Stand::new("name0=NVIDIA H200\nopen=2");
    std::fs::write(stand.file("show.json"), show(&json!({ "bitrateKbps": 600 })).to_string()).unwrap();
    let mut daemon = serve(&stand, &[]);
    let status: Value = serde_json::from_str(&daemon.get("/api/v1/streams/main/status")).unwrap();
    assert_eq!((&status["state"], &status["encoder"]["backend"]), (&json!("running"), &json!(software())), "{status}");
    let log = daemon.program.log();
    assert!(log.contains("encoder not available") && log.contains("NVIDIA H200 has no video encoder"), "{log}");
    daemon.end();
}

/// Seconds of B frames through a server: a player that joins has each picture once and in time.
#[test]
fn b_frames_reach_a_server_in_the_order_of_decoding() {
    let stand = Stand::new("");
    let encoder = json!({ "backend": "nvenc", "tuning": "quality", "bitrateKbps": 3000, "keyframeIntervalMs": 1000 });
    std::fs::write(stand.file("show.json"), show(&encoder).to_string()).unwrap();
    let nginx = Nginx::start();
    let mut daemon = serve(&stand, &["--output", &format!("{}/reordered", nginx.address())]);
    let sent_ms = || {
        let status: Value = serde_json::from_str(&daemon.get("/api/v1/streams/main/status")).unwrap();
        status["outputs"][0]["outputDuration"].as_u64().unwrap_or(0)
    };
    assert!(until(|| (sent_ms() > 2500).then_some(())).is_some(), "{}", daemon.program.log());
    daemon.end();
    stand.is_left_clean();
    drop(stand);

    let file = nginx.recording("reordered");
    let video = times(&packets(&file), "video");
    assert!(video.len() > 20, "{video:?}");
    assert!(video.is_sorted_by(|a, b| a.0 < b.0), "decoding times rise: {video:?}");
    assert!(video.iter().all(|(dts, pts)| dts <= pts), "{video:?}");
    assert!(!video.is_sorted_by_key(|(_, pts)| *pts), "they are reordered");
    let shown: BTreeSet<_> = video.iter().map(|(_, pts)| *pts).collect();
    assert_eq!(shown.len(), video.len(), "each once");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-xerror", "-err_detect", "explode", "-i"]).arg(file).args(["-f", "null", "-"]);
    let output = ffmpeg.output().expect("ffmpeg is needed");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A chip that fails on every eleventh frame it is given is opened anew twice, and then software goes on.
#[test]
fn a_chip_that_fails_again_and_again_gives_way() {
    let stand = Stand::new("failAfter=10");
    std::fs::write(stand.file("show.json"), show(&json!({ "bitrateKbps": 600 })).to_string()).unwrap();
    let mut daemon = serve(&stand, &[]);
    let status = || serde_json::from_str::<Value>(&daemon.get("/api/v1/streams/main/status")).unwrap();
    let gave_way = until(|| (status()["encoder"]["backend"] == software()).then_some(()));
    assert!(gave_way.is_some(), "{}", daemon.program.log());
    let encoded = |status: Value| status["encodedFrames"].as_u64().unwrap();
    let before = encoded(status());
    assert!(until(|| (encoded(status()) > before + 10).then_some(())).is_some(), "it goes on");
    let metrics = daemon.get("/metrics");
    let restarts = metrics.lines().find(|line| line.starts_with("stream_manager_encoder_restarts_total{")).unwrap();
    assert!(restarts.ends_with(" 3"), "{restarts}");
    let log = daemon.program.log();
    assert!(log.contains("it has failed 3 times; the next encoder is taken"), "{log}");
    daemon.end();
    assert_eq!(stand.calls_of("opened").len(), 3 + 2, "three times there, and the two sessions of the probe");
    stand.is_left_clean();
}

/// What FFmpeg's decoder makes of HEVC in FLV, which its own reader of FLV does not know yet: the pictures' number. The bytes
/// before each are held to the specification, the record's parameter sets are all that the decoder gets.
fn decoded_hevc(file: &Path) -> usize {
    const START: &[u8] = &[0, 0, 0, 1];
    let Clip { headers, packets } = Clip::read(file, 0);
    assert_eq!(headers.video[..6], *b"\x90hvc1\x01", "sequence start, key, and the record's version");
    let mut stream = Vec::new();
    // Behind 22 bytes: a count of arrays, each of a type and counted parameter sets.
    let mut record = &headers.video[5 + 22..];
    assert_eq!(record.get_u8(), 3);
    for kind in [32, 33, 34] {
        assert_eq!(record.get_u8(), 0x80 | kind);
        for _ in 0..record.get_u16() {
            let len = record.get_u16().into();
            stream.extend([START, &record[..len]].concat());
            record.advance(len);
        }
    }
    assert!(record.is_empty());
    let pictures: Vec<_> = packets.iter().filter(|packet| packet.kind.is_video()).collect();
    for picture in &pictures {
        let first = if picture.kind == (Kind::Video { is_key: true }) { 0x93 } else { 0xA3 };
        let mut nals = &picture.body.media()[..];
        assert_eq!(nals[..5], [&[first], &b"hvc1"[..]].concat(), "coded frames that are shown when they are decoded");
        nals.advance(5);
        while !nals.is_empty() {
            let len = nals.get_u32() as usize;
            stream.extend([START, &nals[..len]].concat());
            nals.advance(len);
        }
    }
    let raw = file.with_extension("hevc");
    std::fs::write(&raw, stream).unwrap();
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "warning", "-xerror", "-err_detect", "explode", "-f", "hevc", "-i"]).arg(raw);
    ffmpeg.args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "nv12", "-"]);
    let output = ffmpeg.output().expect("ffmpeg is needed");
    assert!(output.status.success() && output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let shown = output.stdout.len() / (160 * 64 * 3 / 2);
    assert_eq!(shown, pictures.len(), "every picture is decoded");
    shown
}

/// HEVC goes by FourCC, into files and to servers; H.264 in its form of old is what the other tests here have.
#[test]
fn hevc_is_carried_to_files_and_servers() {
    let stand = Stand::new("");
    render(&stand, &json!({ "codec": "hevc", "backend": "nvenc" })).expect(0);
    assert_eq!(decoded_hevc(&stand.file("show.flv")), 30);

    let identity = Authority::new("a private authority").issue("localhost");
    let server = NodeMediaServer::start(&identity);
    let mut show = show(&json!({ "codec": "hevc", "backend": "nvenc", "bitrateKbps": 600 }));
    show["outputs"] = json!([{ "id": "out", "url": server.address(), "key": "hevc" }]);
    std::fs::write(stand.file("show.json"), show.to_string()).unwrap();
    let mut daemon = serve(&stand, &[]);
    let status = || serde_json::from_str::<Value>(&daemon.get("/api/v1/streams/main/status")).unwrap();
    let sent = until(|| (status()["outputs"][0]["outputDuration"].as_u64()? > 3000).then_some(()));
    assert!(sent.is_some(), "{}\n{}", status(), daemon.program.log());
    daemon.end();
    let log = daemon.program.log();
    assert!(log.contains("server does not say whether it takes this codec"), "{log}");
    // The server keeps its file open for a while, and has written most of it.
    let recording = until(|| server.recording("hevc").filter(|file| file.metadata().unwrap().len() > 100_000));
    let copy = stand.file("received.flv");
    std::fs::copy(recording.expect("a recording"), &copy).unwrap();
    assert!(decoded_hevc(&copy) > 60);
    let Clip { headers, packets } = Clip::read(&copy, 0);
    assert!(
        headers
            .metadata
            .windows(21)
            .any(|bytes| bytes == [&b"videocodecid\x00"[..], &1_752_589_105_f64.to_be_bytes()].concat())
    );
    let times: Vec<_> = packets.iter().filter(|packet| packet.kind.is_video()).map(|packet| packet.dts_ms).collect();
    let cadence = (0..times.len() as u64).map(|n| (n * 1000 + 15) / 30);
    assert!(times.iter().zip(cadence).all(|(at_ms, exact)| at_ms.abs_diff(exact) <= 1), "{times:?}");
}

/// Encoders that do not have a codec say so, each by its name.
#[test]
fn codecs_that_no_encoder_has_are_refused() {
    let stand = Stand::new("");
    let of_software = format!("{} does not code AV1", software());
    render(&stand, &json!({ "codec": "av1" })).says(1, &["nvenc does not code AV1", &of_software]);
    let of_software = format!("{} does not code HEVC", software());
    render(&stand, &json!({ "codec": "hevc", "backend": software() })).says(1, &[&of_software]);
    assert!(stand.calls().is_empty());
}
