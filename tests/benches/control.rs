//! How quick control is, and that a crowd that follows it costs the picture nothing. Run by `make bench`.
//!
//! **A change**, from the first byte of its PATCH to the arrival of the first picture that shows it. The built daemon
//! publishes the default show, 1920 x 1080 at 30 frames per second, encoded in software, to FFmpeg as an RTMP server on this
//! machine, which hands on each picture as it comes and undecoded; its arrival is noted there. Each PATCH, over one
//! connection of HTTP, gives a square another grey, and comes at another point of the frame's time. Which picture shows it is
//! seen afterwards, in the pictures that FFmpeg decodes from what was received: their greys must be those that were sent, in
//! their order. That it is the picture which the answer promised is looked at, too. So the time has everything in it that
//! lies between an operator and a server: HTTP, waiting for the next frame, drawing, encoding, waiting for the sound that
//! goes with it, RTMP, FFmpeg.
//!
//! **A crowd**: a thousand clients of the WebSocket that follow the document while 100 transactions a second are applied, and
//! the same without them. What nginx-rtmp has recorded says whether a picture is missing, the daemon's own counters whether
//! one was repeated, dropped or skipped; all clients must end with the same document.
//!
//! `cargo bench --bench control -- crowd` runs that part alone. Figures are printed beside what they should be, not judged.

mod cpu;
#[path = "../servers/mod.rs"]
mod servers;
#[path = "../support/mod.rs"]
mod support;

use std::{
    fs::{self, File},
    io::{BufReader, Read, Write},
    path::Path,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use servers::{Forwarder, Nginx, ffprobe_json};
use stream_manager::{
    base::clock::{Clock, SystemClock},
    ffi::files,
};
use support::{clients::Crowd, daemon::Daemon, http::Connection, until};

const FPS: u64 = 30;
const STATUS: &str = "/api/v1/streams/main/status";
const LAYERS: &str = "/api/v1/streams/main/layers";

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    if "change".contains(&wanted) {
        change();
    }
    if "crowd".contains(&wanted) {
        crowd();
    }
}

fn say(line: String) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

/// Starts the daemon with the default show, encoded in software whatever GPU there is.
fn serve(outputs: &[&str]) -> Daemon {
    let mut show: Value = serde_json::from_str(include_str!("../../config/default-show.json")).unwrap();
    show["encoder"]["backend"] = json!("openh264");
    let arguments: Vec<_> = outputs.iter().flat_map(|output| ["--output", output]).collect();
    let daemon = Daemon::serve_with(Some(&show), &arguments);
    daemon.until_sent("output-1", 3_000);
    daemon
}

/// A counter of the daemon, by the beginning of its name, over all its labels.
fn metric(daemon: &Daemon, name: &str) -> f64 {
    let metrics = daemon.metrics();
    let lines = metrics.lines().filter(|line| line.starts_with(&format!("stream_manager_{name}")));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

// ---- A change ----

/// Changes that are measured, and how far apart they are: some frames and a part of one, so that all of its time has its turn.
const CHANGES: usize = 400;
const INTERVAL: Duration = Duration::from_micros(133_333 + 20_601);
/// Greys, far enough apart for any quantiser, in turn.
const GREYS: [u8; 8] = [0, 32, 64, 96, 128, 160, 192, 224];
/// Width and height of the square, and where it is.
const SIDE: u32 = 64;
const AT: [u32; 2] = [1400, 900];

/// A change, as whoever makes it sees it.
struct Change {
    sent_at: Duration,
    answered_at: Duration,
    /// When the picture that shows it is presented, as promised.
    pts_ms: u64,
}

fn change() {
    let directory = tempfile::tempdir().unwrap();
    let received = directory.path().join("received.flv");
    let clock = SystemClock::new();
    let mut forwarder = Forwarder::start("bench");
    let pipe = forwarder.output();
    let (changes, encode_ms, repeated, arrivals) = thread::scope(|scope| {
        let (clock, received) = (&clock, &received);
        let receiver = scope.spawn(move || receive(clock, pipe, received));
        let daemon = serve(&[&forwarder.url()]);
        let of_encoder = || ["sum", "count"].map(|part| metric(&daemon, &format!("encode_duration_seconds_{part}")));
        let repeated = || metric(&daemon, "frames_repeated_total") + metric(&daemon, "frames_dropped_total");
        let (before, repeated_before) = (of_encoder(), repeated());
        let changes = make_changes(clock, &daemon);
        let [seconds, frames] = [0, 1].map(|part| of_encoder()[part] - before[part]);
        let repeated = repeated() - repeated_before;
        daemon.end();
        (changes, seconds / frames * 1000.0, repeated, receiver.join().unwrap())
    });
    forwarder.finish();
    let (pictures, unseen) = first_pictures(&received, arrivals.len(), changes.len());
    report_changes(&changes, &arrivals, &pictures, encode_ms);
    say(format!("  changes that no picture shows: {unseen}; pictures repeated or dropped meanwhile: {repeated}"));
}

fn make_changes(clock: &SystemClock, daemon: &Daemon) -> Vec<Change> {
    let [x, y] = AT;
    let square = json!({ "id": "square", "zIndex": 1000, "content": { "type": "color", "color": grey(0) },
        "transform": { "positionX": x, "positionY": y, "width": SIDE, "height": SIDE } });
    let mut connection = Connection::open(daemon.base());
    connection.send("POST", LAYERS, &square);
    let start = clock.now() + Duration::from_secs(1);
    let change = |number: usize| {
        let patch = json!({ "content": { "color": grey(number) } });
        clock.sleep_until(start + INTERVAL * number as u32);
        let sent_at = clock.now();
        let answer = connection.send("PATCH", &format!("{LAYERS}/square"), &patch);
        Change { sent_at, answered_at: clock.now(), pts_ms: answer["ptsMs"].as_u64().unwrap() }
    };
    let changes = (1..=CHANGES).map(change).collect();
    // The last one has to arrive.
    clock.sleep_until(clock.now() + Duration::from_secs(1));
    changes
}

fn grey(number: usize) -> String {
    let value = GREYS[number % GREYS.len()];
    format!("#{value:02x}{value:02x}{value:02x}")
}

/// When the last byte of each picture came, and its time in the stream; everything is kept in `file`.
fn receive(clock: &SystemClock, pipe: impl Read, file: &Path) -> Vec<(Duration, u64)> {
    const HEADER_LEN: usize = 9 + 4;
    const TAG_LEN: usize = 11;
    let (mut pipe, mut file) = (BufReader::new(pipe), File::create(file).unwrap());
    let mut arrivals = Vec::new();
    let mut take = |len: usize| -> Option<Vec<u8>> {
        let mut bytes = vec![0; len];
        pipe.read_exact(&mut bytes).ok()?;
        file.write_all(&bytes).unwrap();
        Some(bytes)
    };
    take(HEADER_LEN).expect("FFmpeg is given something");
    while let Some(tag) = take(TAG_LEN) {
        let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        let (len, time_ms) = (number(&tag[1..4]) as usize, number(&[&tag[7..8], &tag[4..7]].concat()));
        let Some(body) = take(len + 4) else { break };
        let is_picture = tag[0] == 9 && body[1] == 1;
        if is_picture {
            arrivals.push((clock.now(), time_ms));
        }
    }
    arrivals
}

/// Of each change, the number of the first picture that shows it, or one that came after it, as is seen in the middle of the
/// square; and how many no picture shows.
fn first_pictures(received: &Path, arrived: usize, count: usize) -> (Vec<usize>, usize) {
    let [x, y] = AT.map(|at| at + SIDE / 4);
    let crop = format!("crop={0}:{0}:{x}:{y},scale=1:1:flags=area", SIDE / 2);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(received).args(["-fps_mode", "passthrough", "-vf", &crop]);
    let decoded = command.args(["-f", "rawvideo", "-pix_fmt", "gray", "-"]).output().expect("apt-get install ffmpeg");
    assert!(decoded.status.success(), "{}", String::from_utf8_lossy(&decoded.stderr));
    let pictures = decoded.stdout;
    assert_eq!(pictures.len(), arrived, "each picture that came is decoded");
    let shows = |picture: u8, change: usize| picture.abs_diff(GREYS[change % GREYS.len()]) < 8;
    // The square was not there at first, and came black.
    let from = (0..pictures.len()).find(|at| shows(pictures[*at], 0)).expect("the square is seen");
    let (mut change, mut unseen, mut firsts) = (0, 0, Vec::new());
    for (at, picture) in pictures.iter().enumerate().skip(from) {
        let next = (change..change + GREYS.len()).find(|next| shows(*picture, *next));
        let next = next.unwrap_or_else(|| panic!("picture {at} shows {picture}, which is no grey of ours"));
        firsts.extend(std::iter::repeat_n(at, next - change));
        unseen += (next - change).saturating_sub(1);
        change = next;
    }
    assert_eq!(firsts.len(), count, "the last change is seen, and none after it");
    (firsts, unseen)
}

fn report_changes(changes: &[Change], arrivals: &[(Duration, u64)], pictures: &[usize], encode_ms: f64) {
    let shown = || changes.iter().zip(pictures).map(|(change, picture)| (change, arrivals[*picture]));
    let unkept = unkept(shown().map(|(change, (_, time_ms))| change.pts_ms as i64 - time_ms as i64).collect());
    let answered = quantiles(changes.iter().map(|change| change.answered_at - change.sent_at));
    let [p50, p99] = quantiles(shown().map(|(change, (arrived_at, _))| arrived_at - change.sent_at));
    let target = 2000.0 / FPS as f64 + encode_ms;
    say("a change          changes  answered p50 ms  p99 ms  shown p50 ms  p99 ms  should be  encode ms  unkept".into());
    say(format!(
        "PATCH of a layer  {:>7}  {:>15.1}  {:>6.1}  {p50:>12.1}  {p99:>6.1}  {target:>6.1} at most  {encode_ms:>9.1}  {unkept:>6}",
        changes.len(),
        answered[0],
        answered[1],
    ));
}

/// How many pictures are not the promised ones. What is promised counts from the stream's beginning, what was received from
/// the session's: between the two lies always the same time, but for the rounding of both to milliseconds.
fn unkept(mut distances_ms: Vec<i64>) -> usize {
    distances_ms.sort();
    let usual_ms = distances_ms[distances_ms.len() / 2];
    distances_ms.iter().filter(|distance_ms| distance_ms.abs_diff(usual_ms) > 2).count()
}

/// The median and what 99 of 100 are not above, in milliseconds.
fn quantiles(times: impl Iterator<Item = Duration>) -> [f64; 2] {
    let mut times: Vec<_> = times.collect();
    times.sort();
    [0.5, 0.99].map(|share| {
        let rank = (times.len() as f64 * share).ceil() as usize;
        times[rank.max(1) - 1].as_secs_f64() * 1000.0
    })
}

// ---- A crowd ----

const CLIENTS: usize = 1000;
const SECONDS: u64 = 10;
const TRANSACTIONS_PER_SECOND: u32 = 100;

fn crowd() {
    files::raise_open_max().unwrap();
    say("a crowd: clients  transactions/s  frames  repeated  dropped  skipped  missing  told/s each  KiB/s each  daemon CPU s/s  lost  same document".into());
    for count in [0, CLIENTS] {
        run_crowd(count);
    }
}

fn run_crowd(count: usize) {
    let nginx = Nginx::start();
    let daemon = serve(&[&format!("{}/bench", nginx.address())]);
    let clock = SystemClock::new();
    let address = daemon.base().trim_start_matches("http://").parse().unwrap();
    let mut crowd = Crowd::gather(address, count);
    let know_all = |crowd: &mut Crowd| {
        crowd.sweep();
        crowd.followers().iter().all(|follower| follower.documents.0.contains_key("main")).then_some(())
    };
    until(|| know_all(&mut crowd)).expect("all know the document");
    let figures = || {
        let status = daemon.get(STATUS);
        let counts = ["encodedFrames", "renderRepeatedFrames", "encodeDroppedFrames", "outputSkippedFrames"];
        (counts.map(|name| status[name].as_u64().unwrap()), cpu::taken_ms(daemon.pid())[0])
    };
    let told = |crowd: &Crowd| -> (u64, u64) {
        crowd.followers().iter().fold((0, 0), |(messages, bytes), one| (messages + one.messages, bytes + one.bytes))
    };
    let (before, cpu_before) = figures();
    let from_ms = daemon.output("output-1")["outputDuration"].as_u64().unwrap();
    let told_before = told(&crowd);
    let (start, is_over) = (clock.now(), AtomicBool::new(false));
    let rate = thread::scope(|scope| {
        let changer = scope.spawn(|| {
            let done = transact(&clock, &daemon, start);
            is_over.store(true, Ordering::Release);
            done
        });
        while !is_over.load(Ordering::Acquire) {
            crowd.sweep();
            clock.sleep_until(clock.now() + Duration::from_millis(2));
        }
        changer.join().unwrap()
    });
    let seconds = (clock.now() - start).as_secs_f64();
    let ((after, cpu_after), told_after) = (figures(), told(&crowd));
    let document = daemon.get("/api/v1/streams/main");
    let have_all = |crowd: &mut Crowd| {
        crowd.sweep();
        let knows = |documents: &support::clients::Documents| documents.0["main"].document == document;
        crowd.followers().iter().all(|follower| knows(&follower.documents)).then_some(())
    };
    let is_same = until(|| have_all(&mut crowd)).is_some();
    let lost = metric(&daemon, "events_dropped_clients_total");
    daemon.end();
    let [frames, repeated, dropped, skipped] = [0, 1, 2, 3].map(|n| after[n] - before[n]);
    let each = |after: u64, before: u64| (after - before) as f64 / seconds / count.max(1) as f64;
    say(format!(
        "{count:>16}  {rate:>14.1}  {frames:>6}  {repeated:>8}  {dropped:>7}  {skipped:>7}  {:>7}  {:>11.1}  {:>10.1}  {:>14.2}  {lost:>4}  {}",
        missing(&nginx.recording("bench"), from_ms),
        each(told_after.0, told_before.0),
        each(told_after.1, told_before.1) / 1024.0,
        (cpu_after - cpu_before) / 1000.0 / seconds,
        if is_same { "yes" } else { "NO" },
    ));
}

/// Makes transactions at their moments, each of two changes; gives how many a second.
fn transact(clock: &SystemClock, daemon: &Daemon, start: Duration) -> f64 {
    let mut connection = Connection::open(daemon.base());
    let count = TRANSACTIONS_PER_SECOND * SECONDS as u32;
    for number in 0..count {
        clock.sleep_until(start + Duration::from_secs(1) * number / TRANSACTIONS_PER_SECOND);
        let text = format!("{}.{:02} ETH", number / 100, number % 100);
        let ops = json!([
            { "op": "patchLayer", "id": "bid-amount", "patch": { "content": { "text": text } } },
            { "op": "patchLayer", "id": "live-badge", "patch": { "transform": { "positionX": 28 + number % 100 } } },
        ]);
        connection.send("POST", "/api/v1/streams/main/transactions", &json!({ "ops": ops }));
    }
    f64::from(count) / (clock.now() - start).as_secs_f64()
}

/// Pictures that a recording lacks between this time and its end.
fn missing(recording: &Path, from_ms: u64) -> u64 {
    assert!(fs::metadata(recording).unwrap().len() > 0);
    let found = ffprobe_json(recording, &["-select_streams", "v", "-show_entries", "packet=pts"]);
    let times_ms: Vec<_> = found["packets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|packet| packet["pts"].as_u64().unwrap())
        .filter(|time_ms| *time_ms >= from_ms)
        .collect();
    let frame = |time_ms: u64| (time_ms * FPS + 500) / 1000;
    times_ms.windows(2).map(|pair| frame(pair[1]) - frame(pair[0]) - 1).sum()
}
