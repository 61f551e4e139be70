//! Recordings: FLV and fragmented MP4, as FFmpeg's tools read them.
//!
//! Packets of a clip with B-frames that FFmpeg made go through an output into split files, which are compared packet by
//! packet with what was sent. Then the daemon records what it publishes, is killed while it does, meets disks that do not
//! take it, and publishes on as if there were none.

mod servers;
mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use servers::{Nginx, clip::Clip, ffmpeg, ffprobe_json};
use stream_manager::{
    base::{clock::SystemClock, id::Id},
    output::{
        Kind, Network, Output, Packet, Recording, Recordings, State, Target,
        recording::{Format, LIMITS, Split, Template},
        tls::Tls,
    },
};
use support::daemon::Daemon;
use tokio::{runtime::Handle, time::timeout};

/// The stream's age at the first packet, in ms.
const AGE_MS: u64 = 3_600_000;

/// Four seconds of picture and sound with an IDR each second, and B-frames.
fn make_clip(path: &Path) {
    let picture = "testsrc2=size=320x240:rate=30000/1001,format=yuv420p";
    let sound = "sine=frequency=443:sample_rate=48000";
    let mut arguments = vec!["-f", "lavfi", "-i", picture, "-f", "lavfi", "-i", sound, "-t", "4"];
    arguments.extend(["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "30", "-sc_threshold", "0"]);
    arguments.extend(["-c:a", "aac", "-ac", "2"]);
    arguments.push(path.to_str().unwrap());
    ffmpeg(&arguments);
}

fn recording(format: Format, split: Split) -> Recording {
    Recording {
        id: Id::new("rec").unwrap(),
        stream: Id::new("main").unwrap(),
        template: "{stream}-{output}-{part}".parse::<Template>().unwrap(),
        format,
        split,
        free_bytes_min: 0,
        limits: LIMITS,
    }
}

fn spawn(recording: Recording, directory: &Path, clip: &Clip) -> Output {
    let network = Network { runtime: Handle::current(), tls: Tls::open(&[]).unwrap() };
    let recordings = Recordings { directory: directory.to_owned(), clock: Arc::new(SystemClock::new()) };
    Output::spawn(&network, Target::Record(recording, recordings), Arc::new(clip.headers.clone()))
}

async fn reach(output: &Output, is_it: impl FnMut(&State) -> bool) {
    let reached = timeout(Duration::from_secs(60), output.states().wait_for(is_it)).await.map(|state| state.is_ok());
    assert_eq!(reached, Ok(true), "{:?}", output.stats());
}

/// Waits until it takes packets, and gives it these; there is room for all of them.
async fn record(output: &Output, packets: &[Packet]) {
    assert_eq!(packets[0].kind, Kind::Video { is_key: true });
    support::eventually("the queue is open", async || output.flow().session).await;
    packets.iter().for_each(|packet| output.push(packet));
}

/// All files of a directory in the order of their names.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// A packet of a file: its bytes, and when it is decoded and shown.
#[derive(Debug)]
struct Seen {
    hash: String,
    dts_s: f64,
    pts_s: f64,
    is_key: bool,
}

fn packets(file: &Path, kind: &str) -> Vec<Seen> {
    let found = ffprobe_json(file, &["-select_streams", kind, "-show_packets", "-show_data_hash", "md5"]);
    let number = |packet: &Value, name: &str| packet[name].as_str().unwrap().parse().unwrap();
    let seen = |packet: &Value| Seen {
        hash: packet["data_hash"].as_str().unwrap().into(),
        dts_s: number(packet, "dts_time"),
        pts_s: number(packet, "pts_time"),
        is_key: packet["flags"].as_str().unwrap().starts_with('K'),
    };
    found["packets"].as_array().unwrap().iter().map(seen).collect()
}

/// FFmpeg decodes the file from end to end and has nothing to say; how many pictures those are.
fn decoded(file: &Path) -> usize {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "warning", "-i"]).arg(file);
    let output = command.args(["-map", "0", "-f", "framemd5", "-"]).output().unwrap();
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && stderr.is_empty(), "{}: {stderr}", file.display());
    stdout.lines().filter(|line| line.starts_with("0,")).count()
}

/// Every packet of the clip is in one of the files, in order, at its time; each file begins with an IDR, at 0.
fn assert_all_is_there(files: &[PathBuf], sent: &Path) {
    let mut zeros_s: Vec<f64> = Vec::new();
    for kind in ["v", "a"] {
        let sent = packets(sent, kind);
        let mut rest = sent.iter();
        for (n, file) in files.iter().enumerate() {
            let found = packets(file, kind);
            if kind == "v" {
                assert!(found[0].is_key && found[0].dts_s.abs() < 0.001, "{}: {:?}", file.display(), found[0]);
                zeros_s.push(rest.as_slice()[0].dts_s);
            }
            for found in found {
                let expected =
                    rest.next().unwrap_or_else(|| panic!("{} has more than was sent: {found:?}", file.display()));
                assert_eq!((&found.hash, found.is_key), (&expected.hash, expected.is_key), "{found:?} {expected:?}");
                for (found_s, expected_s) in [(found.dts_s, expected.dts_s), (found.pts_s, expected.pts_s)] {
                    // Milliseconds on both sides, and an AAC frame's sample.
                    let off_s = found_s + zeros_s[n] - expected_s;
                    assert!(off_s.abs() <= 0.0021, "{kind} of {}: {found:?} {expected:?} {off_s}", file.display());
                }
            }
        }
        assert_eq!(rest.len(), 0, "{kind}: all of it");
    }
    let pictures: usize = files.iter().map(|file| decoded(file)).sum();
    assert_eq!(pictures, packets(sent, "v").len());
}

#[tokio::test]
async fn parts_hold_every_packet_once_at_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let clip = Clip::read(&sent, AGE_MS);
    let by_time = Split { every: Duration::from_secs(1), bytes: None };
    let by_size = Split { every: Duration::from_secs(3600), bytes: Some(1) };
    let never = Split { every: Duration::from_secs(3600), bytes: None };
    for (format, split, parts) in [
        (Format::Mp4, by_time, 4),
        (Format::Flv, by_time, 4),
        (Format::Mp4, by_size, 4),
        (Format::Flv, by_size, 4),
        (Format::Mp4, never, 1),
        (Format::Flv, never, 1),
    ] {
        let place = tempfile::tempdir().unwrap();
        let output = spawn(recording(format, split), place.path(), &clip);
        record(&output, &clip.packets).await;
        output.stop().await;
        let files = files(place.path());
        let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        let expected = (1..=parts).map(|part| format!("main-rec-{part:03}.{}", format.extension()));
        assert_eq!(names, expected.collect::<Vec<_>>());
        assert_all_is_there(&files, &sent);
        for file in &files {
            let length_s: f64 =
                ffprobe_json(file, &["-show_format"])["format"]["duration"].as_str().unwrap().parse().unwrap();
            assert!((length_s - 4.0 / f64::from(parts)).abs() < 0.12, "{}: {length_s}", file.display());
        }
    }
}

/// What is wrong with a disk is told, and when it is mended the recording goes on by itself.
#[tokio::test]
async fn a_directory_that_is_not_there_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let clip = Clip::read(&sent, AGE_MS);
    let place = directory.path().join("not mounted");
    let never = Split { every: Duration::from_secs(3600), bytes: None };
    let output = spawn(recording(Format::Mp4, never), &place, &clip);
    reach(&output, |state| matches!(state, State::BackingOff { .. })).await;
    let error = output.stats().last_error.unwrap();
    assert!(error.class == "disk_missing" && error.message.contains("recordings_dir"), "{error:?}");
    fs::create_dir(&place).unwrap();
    record(&output, &clip.packets).await;
    reach(&output, |state| *state == State::Recording).await;
    output.stop().await;
    assert_all_is_there(&files(&place), &sent);
}

#[tokio::test]
async fn what_is_to_stay_free_stays_free() {
    let directory = tempfile::tempdir().unwrap();
    let sent = directory.path().join("clip.flv");
    make_clip(&sent);
    let clip = Clip::read(&sent, AGE_MS);
    let place = tempfile::tempdir().unwrap();
    let never = Split { every: Duration::from_secs(3600), bytes: None };
    let recording = Recording { free_bytes_min: u64::MAX, ..recording(Format::Mp4, never) };
    let output = spawn(recording, place.path(), &clip);
    reach(&output, |state| matches!(state, State::BackingOff { .. })).await;
    let stats = output.stats();
    let error = stats.last_error.unwrap();
    assert!(error.class == "disk_low" && error.message.contains("minFreeMb"), "{error:?}");
    assert!(stats.recording.unwrap().available_disk_space.unwrap() > 0.0);
    output.stop().await;
    assert!(files(place.path()).is_empty());
}

/// A box that moves, so that no two pictures are alike, and a tone.
fn show(outputs: &Value) -> Value {
    json!({
        "id": "main", "canvas": { "width": 320, "height": 180, "fps": "25", "background": "#101418" },
        "encoder": { "bitrateKbps": 800, "keyframeIntervalMs": 1000 },
        "audio": { "sources": [{ "id": "tone", "type": "tone", "frequencyHz": 443 }] },
        "outputs": outputs,
        "layers": [{ "id": "box", "transform": { "width": 320, "height": 180 },
            "content": { "type": "shader", "source": "fn shade(in: ShadeInput) -> vec4f {
                let q = fract(in.position * vec2f(0.1031, 0.1030) + fract(in.time * 7.31));
                return vec4f(vec3f(fract((q.x + q.y) * dot(q, q + 33.33) * 97.0)), 1.0);
            }" } }],
    })
}

const OUTPUTS: &str = "/api/v1/streams/main/outputs";

fn serve(outputs: &Value, place: &Path) -> Daemon {
    Daemon::serve_with(Some(&show(outputs)), &["--recordings-dir", place.to_str().unwrap()])
}

/// Every picture 40 ms after the one before.
fn assert_cadence(file: &Path, pictures_min: usize) {
    let pictures = packets(file, "v");
    assert!(pictures.len() >= pictures_min, "{} pictures", pictures.len());
    for pair in pictures.windows(2) {
        assert!((pair[1].dts_s - pair[0].dts_s - 0.04).abs() < 0.0011, "{pair:?}");
    }
}

/// The pictures of these files one after the other are those of the stream, none lost, none doubled.
fn assert_within(files: &[PathBuf], published: &Path) {
    let hashes = |file: &Path| packets(file, "v").into_iter().map(|seen| seen.hash).collect::<Vec<_>>();
    let (published, recorded) = (hashes(published), files.iter().flat_map(|file| hashes(file)).collect::<Vec<_>>());
    let at = published.iter().position(|hash| *hash == recorded[0]).expect("the first picture was published");
    assert_eq!(published.get(at..at + recorded.len()), Some(&recorded[..]));
    assert!(recorded.len() >= 100, "{} pictures", recorded.len());
}

#[test]
fn recordings_come_and_go_beside_an_output_on_air() {
    let (nginx, place) = (Nginx::start(), tempfile::tempdir().unwrap());
    let daemon = serve(&json!([{ "id": "live", "url": nginx.address(), "key": "live" }]), place.path());
    daemon.until_sent("live", 1_000);
    let parts = json!({ "id": "parts", "type": "recording", "fileName": "parts-{part}", "splitDurationMs": 2000, "minFreeMb": 1 });
    let added = daemon.post(OUTPUTS, &parts);
    assert_eq!((&added["output"]["type"], &added["output"]["container"]), (&json!("recording"), &json!("mp4")));
    daemon.post(
        OUTPUTS,
        &json!({ "id": "whole", "type": "recording", "container": "flv", "fileName": "whole", "minFreeMb": 1 }),
    );
    daemon.until_sent("parts", 5_000);
    daemon.until_sent("whole", 5_000);
    let status = daemon.output("parts");
    assert_eq!(status["state"], "recording", "{status}");
    assert!(
        status["recording"]["files"].as_u64().unwrap() >= 2 && status["outputBytes"].as_u64().unwrap() > 100_000,
        "{status}"
    );
    assert!(status["recording"]["outputPath"].as_str().unwrap().starts_with("parts-00"), "{status}");
    assert!(status["recording"]["availableDiskSpace"].as_f64().unwrap() > 0.0, "{status}");
    let metrics = daemon.metrics();
    for line in [
        "stream_manager_output_recording_files_total{output=\"parts\",stream=\"main\"}",
        "stream_manager_output_state{output=\"parts\",state=\"recording\",stream=\"main\"} 1",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    daemon.delete(&format!("{OUTPUTS}/parts"));
    daemon.post(&format!("{OUTPUTS}/whole/stop"), &json!({}));
    let has_ended =
        || files(place.path()).iter().all(|file| file.extension().unwrap() != "flv" || length_s(file) > 4.0);
    daemon.until("the file has its length", has_ended);
    // The same name again: another file.
    daemon.post(&format!("{OUTPUTS}/whole/start"), &json!({}));
    daemon.until_sent("whole", 1_000);
    assert_eq!(daemon.output("live")["reconnects"], 0);
    daemon.end();

    let all = files(place.path());
    let (parts, wholes): (Vec<_>, Vec<_>) = all.into_iter().partition(|file| file.extension().unwrap() == "mp4");
    assert!(parts.len() >= 2 && wholes.len() == 2, "{parts:?} {wholes:?}");
    assert!(wholes[0].ends_with("whole-2.flv") && wholes[1].ends_with("whole.flv"), "{wholes:?}");
    parts.iter().chain(&wholes).for_each(|file| assert_eq!(decoded(file), packets(file, "v").len()));
    let published = nginx.recording("live");
    assert_cadence(&published, 150);
    assert_within(&parts, &published);
    assert_within(&wholes[1..], &published);
}

/// What the file itself says of its length.
fn length_s(file: &Path) -> f64 {
    let metadata = fs::read(file).unwrap();
    let at = metadata.windows(9).position(|window| window == b"duration\0");
    at.map_or(0.0, |at| f64::from_be_bytes(metadata[at + 9..at + 17].try_into().unwrap()))
}

#[test]
fn what_a_killed_daemon_leaves_can_be_played() {
    let place = tempfile::tempdir().unwrap();
    let outputs = json!([
        { "id": "mp4", "type": "recording", "fileName": "a", "minFreeMb": 1 },
        { "id": "flv", "type": "recording", "fileName": "a", "container": "flv", "minFreeMb": 1 },
    ]);
    let daemon = serve(&outputs, place.path());
    daemon.until_sent("mp4", 5_300);
    daemon.until_sent("flv", 5_300);
    daemon.kill();
    let files = files(place.path());
    assert_eq!(files.len(), 2, "{files:?}");
    for (file, lacks_s) in files.iter().zip([0.2, 1.2]) {
        let pictures = decoded_of_cut(file);
        assert!(pictures as f64 >= (5.3 - lacks_s) * 25.0, "{}: {pictures} pictures", file.display());
        assert_cadence(file, 100);
    }
}

/// A limit of the system on the size of files, reached in the middle of one, and a directory that is taken away: the
/// recording stops and says so, what was written can be played, the output beside it misses nothing, and it records again
/// when it can.
#[test]
fn a_disk_that_takes_no_more_costs_the_recording_alone() {
    let (nginx, place) = (Nginx::start(), tempfile::tempdir().unwrap());
    let recordings = place.path().join("recordings");
    fs::create_dir(&recordings).unwrap();
    let outputs = json!([
        { "id": "live", "url": nginx.address(), "key": "live" },
        { "id": "mp4", "type": "recording", "fileName": "a", "minFreeMb": 1 },
        { "id": "flv", "type": "recording", "fileName": "a", "container": "flv", "minFreeMb": 1 },
    ]);
    let daemon = serve(&outputs, &recordings);
    daemon.until_sent("mp4", 1_000);
    limit_files(&daemon, "250000");
    for output in ["mp4", "flv"] {
        let is_told = || daemon.output(output)["lastError"]["class"] == "disk_file_too_large";
        daemon.until("the limit is told", is_told);
    }
    limit_files(&daemon, "unlimited");
    let is_back = |output: &str| daemon.output(output)["state"] == "recording";
    daemon.until("they record again", || is_back("mp4") && is_back("flv"));
    for cut in ["a.mp4", "a.flv"].map(|name| recordings.join(name)) {
        assert!(decoded_of_cut(&cut) >= 25, "{}", cut.display());
    }

    let away = place.path().join("away");
    fs::rename(&recordings, &away).unwrap();
    daemon.until("the directory is missed", || daemon.output("mp4")["lastError"]["class"] == "disk_missing");
    fs::create_dir(&recordings).unwrap();
    daemon.until("it records again", || is_back("mp4") && recordings.join("a.mp4").exists());
    let live = daemon.output("live");
    assert_eq!((&live["reconnects"], &live["outputSkippedFrames"]), (&json!(0), &json!(0)), "{live}");
    daemon.end();
    assert_cadence(&nginx.recording("live"), 100);
}

/// Sets how large files of the daemon may get, in bytes.
fn limit_files(daemon: &Daemon, bytes: &str) {
    let set = Command::new("prlimit").args(["--pid", &daemon.pid().to_string(), &format!("--fsize={bytes}:")]).status();
    assert!(set.expect("prlimit is missing: apt-get install util-linux").success());
}

/// Pictures of a file that has no proper end.
fn decoded_of_cut(file: &Path) -> usize {
    let output =
        Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-i"]).arg(file).args(["-f", "framemd5", "-"]).output();
    let listed = String::from_utf8(output.unwrap().stdout).unwrap();
    listed.lines().filter(|line| line.starts_with("0,")).count()
}
