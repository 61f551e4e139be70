//! The program as people and init systems run it: what it says, what it writes, how it ends.
//!
//! What `render` writes is taken apart by FFmpeg's tools, not by our own code.

mod servers;
mod support;

use std::{
    f64::consts::TAU,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use servers::ffprobe_json;
use support::{
    pictures::pixel,
    program::{Ended, Running, command, finish, run},
    until,
};
use tempfile::TempDir;

/// A directory with a show in it.
#[derive(Debug)]
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(show: &Value) -> Self {
        let desk = Self::new();
        desk.write("show.json", show.to_string());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        run(self.0.path(), arguments)
    }

    /// `serve` on a free port with these arguments, not listening yet.
    fn serve(&self, arguments: &[&str]) -> Running {
        let mut command = command(self.0.path(), &["serve", "--listen", "127.0.0.1:0"]);
        Running::spawn(command.args(arguments).env("STREAM_MANAGER_LOG__FORMAT", "json"))
    }
}

/// A red rectangle, a blue ellipse on the right, a background.
fn show(width: u32, height: u32, fps: &str) -> Value {
    json!({
        "id": "main", "canvas": { "width": width, "height": height, "fps": fps, "background": "#102030" },
        "encoder": { "bitrateKbps": 600 },
        "layers": [
            { "id": "box", "transform": { "positionX": 2, "positionY": 4, "width": 8, "height": 6 },
              "content": { "type": "shape", "shape": "rectangle", "fill": "#ff0000" } },
            { "id": "dot", "transform": { "positionX": f64::from(width) / 2.0, "positionY": 0, "width": f64::from(width) / 2.0, "height": height },
              "content": { "type": "shape", "shape": "ellipse", "fill": "#0000ff" } },
        ],
    })
}

/// The address in the line that `serve` prints when it is ready.
fn address(daemon: &mut Running) -> String {
    let line = daemon.line();
    let address = line.strip_prefix("listening on http://").map(str::to_owned);
    address.unwrap_or_else(|| panic!("it does not listen: `{line}`\n{}", daemon.log()))
}

fn http_get(address: &str, path: &str) -> String {
    http(address, &format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n"))
}

fn http(address: &str, request: &str) -> String {
    let mut connection = TcpStream::connect(address).unwrap();
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn help_teaches_by_examples() {
    let desk = Desk::new();
    let help = |arguments: &[&str]| {
        let ended = desk.run(arguments).expect(0);
        assert_eq!(ended.stderr, "", "help goes to standard output");
        ended.stdout
    };
    let overview = help(&["--help"]);
    for command in ["serve", "render", "check"] {
        assert!(overview.contains(&format!("  {command} ")), "{overview}");
        assert!(overview.contains(&format!("  stream-manager {command} ")), "an example: {overview}");
        let text = help(&[command, "--help"]);
        assert!(text.contains(&format!("  stream-manager {command} ")), "an example: {text}");
        assert_eq!(text, help(&["help", command]));
    }
    let version = help(&["--version"]);
    let mut lines = version.lines();
    assert_eq!(lines.next(), Some(concat!("stream-manager ", env!("CARGO_PKG_VERSION"))));
    let encoders = lines.next().unwrap();
    assert!(encoders.starts_with("encoders: ") && encoders.ends_with(", syom (MIT)"), "{encoders}");
    assert!(encoders.contains(", openh264 (BSD-2-Clause), "), "{encoders}");
    assert_eq!(encoders.contains("x264 (GPL-2.0-or-later)"), cfg!(feature = "x264"));
    assert_eq!(lines.next().is_some_and(|line| line.contains("GNU GPL")), cfg!(feature = "x264"));
    assert_eq!(help(&["-V"]), version);
}

#[test]
fn a_wrong_command_line_is_refused_with_the_right_one() {
    let desk = Desk::new();
    for (arguments, words) in [
        (&[][..], &["Usage", "serve", "render", "check"][..]),
        (&["sevre"], &["sevre", "serve"]),
        (&["serve", "--lisen", "127.0.0.1:0"], &["--lisen", "--listen"]),
        (&["serve", "--listen", "nowhere"], &["nowhere", "--listen"]),
        (&["serve", "--listen", "127.0.0.1:99999"], &["127.0.0.1:99999"]),
        (&["render"], &["--output"]),
        (&["render", "--at", "soon", "-o", "a.png"], &["`soon` is not a time", "2.5s"]),
        (&["render", "--at", "1s", "--duration", "1s", "-o", "a.png"], &["--at", "--duration"]),
        (&["check"], &["<SCENE>"]),
    ] {
        desk.run(arguments).says(2, words);
    }
}

#[test]
fn check_finds_nothing_wrong_with_the_default_show() {
    let show = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/default-show.json");
    Desk::new().run(&["check", show.to_str().unwrap()]).says(0, &["ok: 1920x1080 at 30 fps"]);
}

#[test]
fn check_says_where_a_document_is_wrong() {
    let layers = |layers: Value| json!({ "id": "main", "layers": layers }).to_string();
    for (text, words) in [
        (
            layers(json!([
                { "id": "a", "opacity": 2, "content": { "type": "text", "text": "A", "size": 0 } },
                { "id": "b", "content": { "type": "vidoe" } },
                { "id": "a", "content": { "type": "color", "color": "#ffffff" } },
                { "id": "c", "contnt": {} },
            ])),
            &["/layers/0/opacity: ", "/layers/0/content/size: ", "/layers/1/content/type: ", "/layers/3/contnt: "][..],
        ),
        (
            json!({ "id": "main", "encoder": { "bitrateKbps": 1 }, "audio": { "bitrateKbps": 1 } }).to_string(),
            &["/encoder/bitrateKbps: ", "/audio/bitrateKbps: "],
        ),
        (
            json!({ "id": "main", "outputs": [{ "id": "o", "url": "srt://host/app/secret" }] }).to_string(),
            &["/outputs/0/url: ", "rtmp://"],
        ),
        (json!({ "id": "main", "canvas": { "width": 641, "height": 360 } }).to_string(), &["/canvas: ", "641x360"]),
        (json!({ "name": "x" }).to_string(), &["missing field `id`"]),
        ("{ \"id\": }".into(), &["show.json is not JSON", "line 1 column 9"]),
        ("".into(), &["show.json is not JSON"]),
    ] {
        let desk = Desk::new();
        desk.write("show.json", &text);
        let ended = desk.run(&["check", "show.json"]).expect(1);
        let missing: Vec<_> = words.iter().filter(|word| !ended.stderr.contains(**word)).collect();
        assert!(missing.is_empty(), "{text}\nnot said: {missing:?}\n{}", ended.stderr);
        assert!(!ended.stderr.contains("secret"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "");
    }
    Desk::new().run(&["check", "none.json"]).says(1, &["none.json", "No such file"]);
}

#[test]
fn check_and_render_name_layers_that_cannot_be_shown() {
    let desk = Desk::with(&json!({ "id": "main", "canvas": { "width": 64, "height": 64 }, "layers": [
        { "id": "lost", "content": { "type": "image", "asset": "lost.png" } },
        { "id": "torn", "content": { "type": "image", "asset": "torn.png" } },
        { "id": "bomb", "content": { "type": "image", "asset": "bomb.png" } },
        { "id": "good", "content": { "type": "image", "asset": "good.png" } },
        { "id": "title", "content": { "type": "text", "text": "A", "font": "Comic Sans MS" } },
    ] }));
    desk.write("torn.png", "no picture");
    desk.write("bomb.png", support::pictures::png_that_claims(60_000, 60_000));
    desk.write("good.png", support::pictures::png(8, 8, [0, 255, 0, 255]));
    let ended = desk.run(&["check", "show.json"]).expect(1);
    for words in [
        ["layer lost: ", "lost.png"],
        ["layer torn: ", "torn.png"],
        ["layer bomb: ", "60000x60000"],
        ["layer title: ", "`Comic Sans MS`, expected one of DejaVu Sans, Inter"],
    ] {
        let is_said = ended.stderr.lines().any(|line| line.starts_with(words[0]) && line.contains(words[1]));
        assert!(is_said, "{words:?}\n{}", ended.stderr);
    }
    assert!(!ended.stderr.contains("layer good"), "{}", ended.stderr);
    desk.run(&["render", "show.json", "-o", "a.png"]).says(1, &["layer lost: ", "layer torn: ", "layer bomb: "]);
    assert!(!desk.path("a.png").exists(), "a frame that is wrong is not written");
    desk.run(&["render", "show.json", "--duration", "1s", "-o", "a.flv"]).says(1, &["layer lost: "]);
}

#[test]
fn check_warns_of_signs_that_no_font_has() {
    let desk = Desk::with(&json!({ "id": "main", "canvas": { "width": 64, "height": 64 }, "layers": [
        { "id": "title", "content": { "type": "text", "text": "\u{6F22}" } },
    ] }));
    desk.run(&["check", "show.json"]).says(0, &["layer title: warning: ", "U+6F22", "ok: 64x64"]);
    desk.run(&["render", "show.json", "-o", "a.png"]).expect(0);
}

#[test]
fn render_writes_a_frame_with_the_right_pixels() {
    let desk = Desk::with(&show(64, 48, "25"));
    for at in [&[][..], &["--at", "0s"], &["--at", "2.5s"], &["--at", "1h"]] {
        let arguments = [&["render", "show.json", "-o", "frame.png"], at].concat();
        desk.run(&arguments).expect(0);
        let frame = image::open(desk.path("frame.png")).unwrap().to_rgba8();
        assert_eq!(frame.dimensions(), (64, 48));
        assert!(frame.pixels().all(|pixel| pixel.0[3] == 255), "opaque");
        for (x, y, rgb) in [
            (0, 0, [16, 32, 48]),
            (2, 4, [255, 0, 0]),
            (9, 9, [255, 0, 0]),
            (10, 9, [16, 32, 48]),
            (9, 10, [16, 32, 48]),
            (1, 4, [16, 32, 48]),
            (48, 24, [0, 0, 255]),
            (34, 24, [0, 0, 255]),
            (33, 1, [16, 32, 48]),
            (63, 47, [16, 32, 48]),
        ] {
            assert_eq!(pixel(&frame, x, y), rgb, "at {x}, {y} with {at:?}");
        }
        fs::remove_file(desk.path("frame.png")).unwrap();
    }
}

#[test]
fn render_finds_pictures_beside_the_show() {
    let layers = json!([{ "id": "a", "content": { "type": "image", "asset": "a.png" } }]);
    let desk = Desk::with(&json!({ "id": "main", "canvas": { "width": 32, "height": 32 }, "layers": layers }));
    desk.write("a.png", support::pictures::png(32, 32, [0, 255, 0, 255]));
    let elsewhere = Desk::new();
    let path = desk.path("show.json");
    let show = path.to_str().unwrap();
    elsewhere.run(&["render", show, "-o", "frame.png"]).expect(0);
    let frame = image::open(elsewhere.path("frame.png")).unwrap().to_rgba8();
    assert!(frame.pixels().all(|pixel| pixel.0 == [0, 255, 0, 255]));
    let arguments = ["render", show, "--assets-dir", elsewhere.0.path().to_str().unwrap(), "-o", "frame.png"];
    elsewhere.run(&arguments).says(1, &["layer a: ", "a.png"]);
}

#[test]
fn render_writes_the_same_flv_every_time() {
    let mut show = show(320, 180, "30");
    show["audio"] = json!({ "gainDb": 12, "sources": [
        { "id": "a", "type": "tone", "fade": { "durationMs": 1500, "easing": "easeOutBounce" } },
        { "id": "b", "type": "tone", "frequencyHz": 300, "pan": -0.3, "delayMs": 21, "followLayer": "box", "duck": { "under": "a" } },
    ] });
    let desk = Desk::with(&show);
    for name in ["one.flv", "two.flv"] {
        desk.run(&["render", "show.json", "--duration", "2s", "-o", name]).expect(0);
    }
    let one = fs::read(desk.path("one.flv")).unwrap();
    assert!(one == fs::read(desk.path("two.flv")).unwrap(), "two runs differ");
    let found = ffprobe_json(&desk.path("one.flv"), &["-show_streams"]);
    for (index, name, expected) in [
        (0, "codec_name", json!("h264")),
        (0, "profile", json!("High")),
        (0, "width", json!(320)),
        (0, "height", json!(180)),
        (0, "has_b_frames", json!(0)),
        (0, "color_range", json!("tv")),
        (0, "color_space", json!("bt709")),
        (1, "codec_name", json!("aac")),
        (1, "profile", json!("LC")),
        (1, "sample_rate", json!("48000")),
        (1, "channels", json!(2)),
    ] {
        assert_eq!(found["streams"][index][name], expected, "{name}");
    }
    assert_cadence(&desk.path("one.flv"), 30, 1, 60);
    let sound = times(&desk.path("one.flv"), "a");
    assert!((94..=97).contains(&sound.len()), "{} AAC frames for 2 s", sound.len());
    for (n, ms) in sound.iter().enumerate() {
        assert!((*ms as f64 - n as f64 * 1024.0 / 48.0).abs() <= 1.0, "AAC frame {n} is at {ms}");
    }
    assert_decodes(&desk.path("one.flv"));
}

/// FFmpeg's loudness meter, its own and of other people than ours, reads what the document says, through AAC.
/// Half the size and half the rate between bars, with keyframes at the same times and the same sound.
#[test]
fn render_writes_a_rendition() {
    let mut document = show(320, 180, "30");
    document["audio"] = json!({ "sources": [{ "id": "tone", "type": "tone" }] });
    document["renditions"] = json!([{ "id": "square", "width": 160, "height": 160, "fps": 15 }]);
    let desk = Desk::with(&document);
    let written = |name: &str, arguments: &[&str]| {
        desk.run(&[&["render", "show.json", "--duration", "4s", "-o", name], arguments].concat()).expect(0);
        let probed = ffprobe_json(&desk.path(name), &["-show_streams", "-show_packets"]);
        let of = |kind: &str| {
            let packets = probed["packets"].as_array().unwrap().iter();
            packets.filter(|packet| packet["codec_type"] == kind).cloned().collect::<Vec<_>>()
        };
        let video = probed["streams"].as_array().unwrap().iter().find(|stream| stream["codec_type"] == "video");
        (json!([video.unwrap()["width"], video.unwrap()["height"]]), of("video"), of("audio"))
    };
    let times = |packets: &[Value], is_wanted: fn(&Value) -> bool| {
        let wanted = packets.iter().filter(|packet| is_wanted(packet));
        wanted.map(|packet| packet["pts"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    let is_key = |packet: &Value| packet["flags"].as_str().unwrap().starts_with('K');
    let (main, square) = (written("main.flv", &[]), written("square.flv", &["--rendition", "square"]));
    assert_eq!((main.0, square.0), (json!([320, 180]), json!([160, 160])));
    assert_eq!((main.1.len(), square.1.len()), (120, 60));
    assert_eq!(times(&main.1, is_key), [0, 2000]);
    assert_eq!(times(&square.1, is_key), [0, 2000]);
    let even: Vec<_> = times(&main.1, |_| true).into_iter().step_by(2).collect();
    assert_eq!(times(&square.1, |_| true), even, "each second frame");
    let sizes = |packets: &[Value]| packets.iter().map(|packet| packet["size"].to_string()).collect::<Vec<_>>();
    assert_eq!((times(&main.2, |_| true), sizes(&main.2)), (times(&square.2, |_| true), sizes(&square.2)));
    let unknown = ["render", "show.json", "--duration", "1s", "--rendition", "round", "-o", "a.flv"];
    desk.run(&unknown).says(1, &["no rendition `round`", "use main, square"]);
}

#[test]
fn render_mixes_the_sound_as_loud_as_the_document_says() {
    let tone = |id: &str, hz: u32, more: Value| {
        let mut tone = json!({ "id": id, "type": "tone", "frequencyHz": hz, "levelDbfs": 0 });
        tone.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        tone
    };
    let hidden = json!({ "id": "hidden", "enabled": false, "content": { "type": "color", "color": "#ffffff" } });
    let loud: Vec<_> = (0..8).map(|n| tone(&format!("s{n}"), 350 + 200 * n, json!({}))).collect();
    for (sources, integrated, true_peak) in [
        (
            json!([
                tone("heard", 1000, json!({ "gainDb": -23 })),
                tone("unseen", 700, json!({ "followLayer": "hidden" })),
                tone("mute", 500, json!({ "mute": true })),
            ]),
            -23.2..=-22.8,
            -23.3..=-22.7,
        ),
        // Eight at full scale are 9 dB above it, with peaks up to 18.
        (json!(loud), -12.0..=-6.0, -2.5..=-0.6),
    ] {
        let mut show = show(64, 64, "10");
        show["layers"] = json!([hidden]);
        show["audio"] = json!({ "sources": sources, "bitrateKbps": 320 });
        let desk = Desk::with(&show);
        desk.run(&["render", "show.json", "--duration", "6s", "-o", "out.flv"]).expect(0);
        let mut command = Command::new("ffmpeg");
        command.args(["-nostdin", "-i"]).arg(desk.path("out.flv"));
        let said = finish(command.args(["-af", "ebur128=peak=true", "-vn", "-f", "null", "-"])).expect(0).stderr;
        let summary = said.rsplit("Summary:").next().unwrap();
        let value = |name: &str| {
            let line =
                summary.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or_else(|| panic!("{said}"));
            line.split_whitespace().next().unwrap().parse::<f64>().unwrap()
        };
        assert!(integrated.contains(&value("I:")), "{summary}");
        assert!(true_peak.contains(&value("Peak:")), "{summary}");
    }
}

/// A file at 44.1 kHz, half a second long, round and round for three: what FFmpeg decodes of the stream is one endless
/// tone, in its place, with no seam where the file begins again; and each time the same bytes.
#[test]
fn render_plays_a_file_in_its_place_and_without_a_seam() {
    let mut show = show(64, 64, "10");
    let music =
        json!({ "id": "music", "type": "file", "asset": "tone.flac", "loop": true, "startMs": 100, "atMs": 250 });
    show["audio"] = json!({ "sources": [music], "bitrateKbps": 320, "limiter": { "enabled": false } });
    let desk = Desk::with(&show);
    fs::create_dir(desk.path("sounds")).unwrap();
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100:duration=0.6"]);
    finish(command.args(["-af", "aeval=val(0)*4|val(0)*2", "-c:a", "flac"]).arg(desk.path("sounds/tone.flac")))
        .expect(0);
    for file in ["out.flv", "again.flv"] {
        let arguments = ["render", "show.json", "--duration", "3s", "--assets-dir", "sounds", "-o", file];
        desk.run(&arguments).expect(0);
    }
    assert!(fs::read(desk.path("out.flv")).unwrap() == fs::read(desk.path("again.flv")).unwrap());

    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-i"]).arg(desk.path("out.flv"));
    finish(command.args(["-vn", "-f", "f32le", "-c:a", "pcm_f32le"]).arg(desk.path("out.f32"))).expect(0);
    let bytes = fs::read(desk.path("out.f32")).unwrap();
    let (samples, _) = bytes.as_chunks::<4>();
    let heard: Vec<[f64; 2]> =
        samples.chunks_exact(2).map(|pair| [0, 1].map(|side| f64::from(f32::from_le_bytes(pair[side])))).collect();
    // FFmpeg's sine has a peak of an eighth; 100 ms into it are whole periods.
    let ideal = |n: usize| {
        let value = if n < 12_000 { 0.0 } else { ((n - 12_000) as f64 * 440.0 / 48_000.0 * TAU).sin() / 2.0 };
        [value, value / 2.0]
    };
    let before = heard[2048..11_000].iter().flatten().fold(0.0, |peak: f64, sample| peak.max(sample.abs()));
    assert!(before < 1e-3, "before it starts: {before}");
    // From where it starts on, over five seams at each half second.
    for first in (12_000..heard.len() - 2048).step_by(2048).skip(1) {
        let [mut signal, mut rest] = [0.0; 2];
        for (n, heard) in heard.iter().enumerate().skip(first).take(2048) {
            for (heard, ideal) in heard.iter().zip(ideal(n)) {
                signal += ideal * ideal;
                rest += (heard - ideal).powi(2);
            }
        }
        let snr_db = 10.0 * (signal / rest).log10();
        // One sample out of place would leave 25 dB.
        assert!(snr_db > 30.0, "from sample {first} on: {snr_db:.1} dB");
    }

    show["audio"]["sources"][0]["asset"] = json!("none.flac");
    desk.write("show.json", show.to_string());
    let missing = desk.run(&["render", "show.json", "--duration", "1s", "--assets-dir", "sounds", "-o", "none.flv"]);
    missing.says(1, &["source music", "`none.flac` is not in the assets directory"]);
}

#[test]
fn every_frame_rate_is_exact() {
    for (fps, num, den) in
        [("25", 25, 1), ("30", 30, 1), ("50", 50, 1), ("60", 60, 1), ("29.97", 30_000, 1001), ("59.94", 60_000, 1001)]
    {
        let desk = Desk::with(&show(64, 64, fps));
        desk.run(&["render", "show.json", "--duration", "1s", "-o", "out.flv"]).expect(0);
        let file = desk.path("out.flv");
        let count = usize::try_from((num + den / 2) / den).unwrap();
        assert_cadence(&file, num, den, count);
        // A picture is two ticks: H.264 E.2.1 counts fields.
        let timing = headers(&file, &["num_units_in_tick", "time_scale", "fixed_frame_rate_flag"]);
        assert_eq!(timing[1] * den, timing[0] * 2 * num, "{fps}: {timing:?}");
        assert_eq!(timing[2], 1, "{fps}");
        assert_decodes(&file);
    }
}

#[test]
fn the_smallest_and_the_largest_picture_are_rendered() {
    for (width, height) in [(16, 16), (3840, 2160), (2160, 3840), (16, 3840)] {
        let desk = Desk::with(&show(width, height, "25"));
        desk.run(&["render", "show.json", "--duration", "80ms", "-o", "out.flv"]).expect(0);
        let file = desk.path("out.flv");
        let found = ffprobe_json(&file, &["-select_streams", "v", "-show_streams"]);
        assert_eq!((&found["streams"][0]["width"], &found["streams"][0]["height"]), (&json!(width), &json!(height)));
        assert_cadence(&file, 25, 1, 2);
        assert_decodes(&file);
        desk.run(&["render", "show.json", "-o", "frame.png"]).expect(0);
        let frame = image::open(desk.path("frame.png")).unwrap().to_rgba8();
        assert_eq!(frame.dimensions(), (width, height));
        assert_eq!((pixel(&frame, 0, 0), pixel(&frame, 4, 6)), ([16, 32, 48], [255, 0, 0]));
    }
}

#[test]
fn sizes_that_cannot_be_are_refused_with_the_limit() {
    for (width, height, words) in [
        (641, 360, &["/canvas: ", "641x360", "odd", "640x360"][..]),
        (640, 361, &["640x361", "odd", "640x360"]),
        (14, 16, &["14x16", "16x16 to 3840x2160"]),
        (0, 0, &["0x0", "16x16 to 3840x2160"]),
        (3842, 2160, &["3842x2160", "16x16 to 3840x2160"]),
        (3840, 2162, &["3840x2162", "16x16 to 3840x2160"]),
    ] {
        let desk = Desk::with(&json!({ "id": "main", "canvas": { "width": width, "height": height } }));
        for arguments in [&["check", "show.json"][..], &["render", "show.json", "-o", "a.png"]] {
            desk.run(arguments).says(1, words);
        }
    }
}

#[test]
fn files_that_cannot_be_written_are_named() {
    let desk = Desk::with(&show(64, 48, "25"));
    fs::create_dir(desk.path("folder.png")).unwrap();
    fs::create_dir(desk.path("folder.flv")).unwrap();
    for (arguments, words) in [
        (&["-o", "frame.jpg"][..], &["frame.jpg does not end in .png", "--duration"][..]),
        (&["-o", "movie.flv"], &["movie.flv does not end in .png", "--duration"]),
        (&["-o", "frame"], &["frame does not end in .png"]),
        (&["--duration", "1s", "-o", "movie.mp4"], &["movie.mp4 does not end in .flv", "--at"]),
        (&["--duration", "1s", "-o", "frame.png"], &["frame.png does not end in .flv", "--at"]),
        (&["-o", "none/frame.png"], &["none/frame.png", "No such file"]),
        (&["--duration", "1s", "-o", "none/movie.flv"], &["none/movie.flv", "No such file"]),
        (&["-o", "folder.png"], &["folder.png", "directory"]),
        (&["--duration", "1s", "-o", "folder.flv"], &["folder.flv", "directory"]),
    ] {
        desk.run(&[&["render", "show.json"], arguments].concat()).says(1, words);
    }
    // A disk that is full: what was rendered before stays.
    desk.write("full.flv", "an earlier rendering");
    std::os::unix::fs::symlink("/dev/full", desk.path("full.flv.part")).unwrap();
    desk.run(&["render", "show.json", "--duration", "1s", "-o", "full.flv"]).says(1, &["full.flv", "No space left"]);
    assert_eq!(fs::read_to_string(desk.path("full.flv")).unwrap(), "an earlier rendering");
    assert!(fs::symlink_metadata(desk.path("full.flv.part")).is_err(), "nothing half-done is left");
}

#[test]
fn serve_does_not_start_with_what_it_does_not_understand() {
    let desk = Desk::with(&show(64, 48, "25"));
    desk.write("unknown.toml", "listen = \"127.0.0.1:0\"\n[log]\nlevle = \"warn\"\n");
    desk.write("broken.toml", "listen = \n");
    desk.write("kind.toml", "[media]\nworkers = \"many\"\n");
    desk.write("range.toml", "[media]\nworkers = 0\n");
    desk.write("level.toml", "[log]\nlevel = \"=loud=\"\n");
    desk.write("assets.toml", "assets_dir = \"none\"\n");
    desk.write("gpu.toml", "[gpu]\nadapter = \"Voodoo 2\"\n");
    desk.write("broken.json", json!({ "id": "main", "layrs": [] }).to_string());
    for (arguments, words) in [
        (&["--config", "unknown.toml"][..], &["levle"][..]),
        (&["--config", "broken.toml"], &["broken.toml"]),
        (&["--config", "kind.toml"], &["workers", "many"]),
        (&["--config", "range.toml"], &["media.workers = 0", "1 to 64"]),
        (&["--config", "level.toml"], &["log.level", "=loud="]),
        (&["--config", "assets.toml"], &["assets directory none"]),
        (&["--config", "gpu.toml"], &["Voodoo 2"]),
        (&["--config", "missing.toml"], &["missing.toml"]),
        (&["--scene", "missing.json"], &["missing.json"]),
        (&["--scene", "broken.json"], &["broken.json", "/layrs", "unknown field"]),
        (&["--output", "http://host/app/5ecret"], &["output 1", "rtmp://"]),
        (&["--output", "rtmp://host/app"], &["output 1", "key is missing"]),
    ] {
        let ended = desk.run(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat());
        assert!(!ended.stderr.contains("5ecret"), "{}", ended.stderr);
        assert_eq!(ended.stdout, "", "it never listened");
        ended.says(1, words);
    }
    let mut with_variable = command(desk.0.path(), &["serve"]);
    finish(with_variable.env("STREAM_MANAGER_LISTNE", "127.0.0.1:0")).says(1, &["listne"]);
}

/// Without a token it is not to be reached from elsewhere, and says what makes one; with what that prints it is, by who has it.
#[test]
fn a_public_address_takes_a_token() {
    let desk = Desk::with(&show(64, 48, "25"));
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let ended = desk.run(&["serve", "--scene", "show.json", "--listen", listen]);
        assert_eq!(ended.stdout, "", "it never listened");
        ended.says(1, &[listen, "there is no token", "stream-manager token --name", "listen on 127.0.0.1"]);
    }
    desk.run(&["token", "--name", "", "--role", "operator"]).says(1, &["auth.tokens", "is not an id"]);
    let made = desk.run(&["token", "--name", "desk", "--role", "operator", "--stream", "main"]).expect(0).stdout;
    let token = made.lines().find_map(|line| line.strip_prefix("# smt_")).expect("it is shown");
    let token = format!("smt_{token}");
    let lines: Vec<_> = made.lines().filter(|line| !line.starts_with('#')).collect();
    let config = lines.join("\n");
    assert!(config.contains("$argon2id$") && !config.contains(&token), "{config}");
    desk.write("token.toml", config);

    let arguments = ["serve", "--scene", "show.json", "--config", "token.toml", "--listen", "0.0.0.0:0"];
    let mut daemon = Running::spawn(&mut command(desk.0.path(), &arguments));
    let port = address(&mut daemon).rsplit(':').next().unwrap().to_owned();
    let address = format!("127.0.0.1:{port}");
    let ask = |method: &str, path: &str, head: &str, body: &str| {
        let kind = "Content-Type: application/json";
        let head = format!("Host: {address}\r\n{kind}\r\nContent-Length: {}\r\n{head}", body.len());
        let answer = http(&address, &format!("{method} {path} HTTP/1.0\r\n{head}\r\n{body}"));
        answer.split(' ').nth(1).unwrap().parse::<u16>().unwrap()
    };
    let with = format!("Authorization: Bearer {token}\r\n");
    let almost = format!("Authorization: Bearer {}\r\n", &token[..token.len() - 1]);
    assert_eq!(ask("GET", "/healthz", "", ""), 200);
    assert_eq!(["", &almost, &with].map(|head| ask("GET", "/api/v1/streams/main", head, "")), [401, 401, 200]);
    assert_eq!(ask("PATCH", "/api/v1/streams/main", &with, r#"{"name": "News"}"#), 200);
    let output = r#"{"id": "o", "url": "rtmp://127.0.0.1:1/live", "key": "k"}"#;
    assert_eq!(ask("POST", "/api/v1/streams/main/outputs", &with, output), 403, "its role is the one it was made for");
    assert!(!daemon.log().contains(&token), "{}", daemon.log());
    daemon.signal("TERM");
    assert!(daemon.wait().success());
}

#[test]
fn serve_names_the_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let desk = Desk::with(&show(64, 48, "25"));
    desk.run(&["serve", "--scene", "show.json", "--listen", &address]).says(1, &[&address, "in use"]);
}

#[test]
fn serve_ends_well_on_sigterm_and_sigint() {
    for signal in ["TERM", "INT"] {
        // An output that cannot be reached and a client that says nothing do not hold it up.
        let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let desk = Desk::with(&show(64, 48, "25"));
        let mut daemon = desk.serve(&["--scene", "show.json", "--output", &format!("rtmp://{nowhere}/live/5ecret")]);
        let address = address(&mut daemon);
        assert!(http_get(&address, "/readyz").starts_with("HTTP/1.0 200"), "ready when it says that it listens");
        let _silent = TcpStream::connect(&address).unwrap();
        daemon.signal(signal);
        let status = daemon.wait();
        assert_eq!(status.code(), Some(0), "after SIG{signal}\n{}", daemon.log());
        assert_eq!(daemon.line(), "", "one line on standard output is all there is");

        let log = daemon.log();
        let lines: Vec<Value> = log
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("no JSON: {error}: {line}")))
            .collect();
        for line in &lines {
            for field in ["timestamp", "level", "message"] {
                assert!(line[field].is_string(), "{field}: {line}");
            }
        }
        let messages: Vec<_> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
        assert_eq!(messages[0], "starting");
        let stopping = lines.iter().find(|line| line["message"].as_str().unwrap().starts_with("stopping")).unwrap();
        assert_eq!(stopping["reason"], format!("SIG{signal}"));
        assert_eq!(messages.last(), Some(&"stopped"), "{messages:?}");
        assert!(messages.contains(&"ready") && messages.contains(&"stream stopped"), "{messages:?}");
        assert!(!log.contains("5ecret"), "{log}");
        assert!(TcpStream::connect(&address).is_err(), "nobody listens any more");
    }
}

/// A daemon that is killed, and one that ends well: what was on air is known to the next.
#[test]
fn the_as_run_log_survives() {
    let desk = Desk::with(&show(64, 48, "25"));
    let serve = || {
        let mut daemon = desk.serve(&["--scene", "show.json"]);
        let address = address(&mut daemon);
        (daemon, address)
    };
    let log = |address: &str| -> Vec<Value> {
        let answer = http_get(address, "/api/v1/streams/main/as-run");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.0 200"), "{head}");
        body.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let boxes = |log: &[Value]| -> Vec<Value> { log.iter().filter(|line| line["id"] == "box").cloned().collect() };
    let (mut daemon, at) = serve();
    until(|| (boxes(&log(&at)).len() == 1).then_some(())).expect("the box is on air");
    // The line is on its way to the disk.
    let journal = desk.path("data/as-run/as-run.jsonl");
    until(|| fs::read_to_string(&journal).ok().filter(|text| text.contains("\"box\""))).expect("it is written");
    daemon.signal("KILL");
    daemon.wait();
    let (mut daemon, at) = serve();
    until(|| (boxes(&log(&at)).len() == 2).then_some(())).expect("the box is on air again");
    let before = boxes(&log(&at));
    assert_eq!(before[0]["until"]["actor"], "daemon", "{before:?}");
    assert_eq!(before[1]["until"], Value::Null);
    daemon.signal("TERM");
    assert!(daemon.wait().success());
    let (_daemon, at) = serve();
    let all = boxes(&log(&at));
    assert_eq!((&all[0], &all[1]["from"]), (&before[0], &before[1]["from"]));
    assert!(all[1]["until"]["utcMs"].as_i64() > all[1]["from"]["utcMs"].as_i64(), "{all:?}");
}

#[test]
fn serve_can_be_stopped_while_it_starts() {
    let desk = Desk::new();
    let mut daemon = desk.serve(&[]);
    until(|| daemon.log().contains("starting").then_some(())).unwrap();
    daemon.signal("TERM");
    let status = daemon.wait();
    // Before its handlers stand, the signal itself ends it.
    assert!(status.code().is_none_or(|code| code == 0), "{status}\n{}", daemon.log());
}

/// Timestamps of a file's packets of one kind, in milliseconds.
fn times(file: &Path, kind: &str) -> Vec<u64> {
    let found = ffprobe_json(file, &["-select_streams", kind, "-show_packets"]);
    let packets = found["packets"].as_array().unwrap();
    for packet in packets {
        assert_eq!(packet["pts"], packet["dts"]);
    }
    packets.iter().map(|packet| packet["pts"].as_u64().unwrap()).collect()
}

/// There are `count` pictures, picture n at n * den / num seconds to the millisecond that FLV can say.
fn assert_cadence(file: &Path, num: u64, den: u64, count: usize) {
    let expected: Vec<_> = (0..count as u64).map(|n| (n * 1000 * den + num / 2) / num).collect();
    assert_eq!(times(file, "v"), expected, "{num}/{den}");
}

/// FFmpeg decodes the file from end to end and has nothing to say.
fn assert_decodes(file: &Path) {
    let ended =
        finish(Command::new("ffmpeg").args(["-nostdin", "-v", "warning", "-i"]).arg(file).args(["-f", "null", "-"]));
    assert_eq!(ended.expect(0).stderr, "", "the decoder's messages");
}

/// Values of fields in the H.264 headers, as FFmpeg's parser reads them.
fn headers(file: &Path, fields: &[&str]) -> Vec<u64> {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "trace", "-i"]).arg(file);
    let trace = finish(command.args(["-c", "copy", "-bsf:v", "trace_headers", "-f", "null", "-"])).expect(0).stderr;
    let value = |field: &&str| {
        let line = trace.lines().find(|line| line.contains(*field)).unwrap_or_else(|| panic!("no {field}"));
        line.rsplit(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
    };
    fields.iter().map(value).collect()
}
