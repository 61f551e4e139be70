//! On air: the daemon, real servers, and what they received, taken apart by FFmpeg's tools.
//!
//! A small show is published while a layer is changed over REST. Proved on the recording: codec, profile, size, colour,
//! exact cadence of picture and sound over more than twenty seconds, the keyframe grid, and that the change is in the
//! decoded picture on the very frame that the API promised. One stream runs within the test, by a clock that holds up its
//! renderer and makes it panic.

mod servers;
mod support;

use std::{
    path::Path,
    process::Command,
    sync::{Arc, Condvar, Mutex},
    thread,
    time::Duration,
};

use prometheus::Registry;
use serde_json::{Value, json};
use servers::{
    FfmpegListener, Nginx, ffprobe_json,
    proxy::{Fault, Proxy},
    refuser::{At, Refuser},
};
use stream_manager::{
    audio::Mix,
    base::{
        clock::{Clock, SystemClock},
        id::Id,
        rate::FrameRate,
        secret::Secret,
    },
    encode::Backend,
    gpu::{self, Fit},
    media::{self, Library},
    output::{self, Limits, Network, tls::Tls},
    pipeline::{Config, Devices, EncoderSettings, Rendition, Report, SoundSettings, Stream, metrics::Families},
    rtmp::Endpoint,
    scene::{Canvas, LayerErrors, Show, read_layers},
};
use support::{clients::Socket, daemon::Daemon, eventually};
use tokio::runtime::Handle;
use tokio_tungstenite::tungstenite;

/// Y, Cb, Cr of BT.709 limited for #ff0000, #00ff00 and #0000ff, computed by hand in `base::colour`.
const RED: [u8; 3] = [63, 102, 240];
const GREEN: [u8; 3] = [173, 42, 26];
const BLUE: [u8; 3] = [32, 240, 118];
/// What a quantiser of a good stream may do to a flat area.
const TOLERANCE: u8 = 3;

/// A red box that the test turns green, a blue ellipse that stays, a text.
fn show(fps: &str, outputs: &Value) -> Value {
    json!({
        "id": "main", "canvas": { "width": 640, "height": 360, "fps": fps, "background": "#101418" },
        "encoder": { "bitrateKbps": 1500 }, "audio": { "sources": [{ "id": "tone", "type": "tone" }] }, "outputs": outputs,
        "layers": [
            { "id": "box", "transform": { "positionX": 40, "positionY": 40, "width": 200, "height": 120 },
              "content": { "type": "shape", "shape": "rectangle", "fill": "#ff0000" } },
            { "id": "dot", "transform": { "positionX": 400, "positionY": 200, "width": 120, "height": 120 },
              "content": { "type": "shape", "shape": "ellipse", "fill": "#0000ff" } },
            { "id": "title", "transform": { "positionX": 40, "positionY": 280, "width": 300, "height": 60 },
              "content": { "type": "text", "text": "On air", "size": 40, "color": "#ffffff" } },
        ],
    })
}

#[test]
fn nginx_receives_twenty_exact_seconds_and_the_change_on_the_promised_frame() {
    let nginx = Nginx::start();
    let outputs = json!([{ "id": "out", "url": nginx.address(), "key": "test" }]);
    let daemon = Daemon::serve(&show("30", &outputs));
    daemon.until_sent("out", 10_000);
    let receipt = daemon.patch("/api/v1/streams/main/layers/box", &json!({ "content": { "fill": "#00ff00" } }));
    let applied = receipt["appliedFrame"].as_u64().unwrap();
    assert_eq!(receipt["ptsMs"].as_u64().unwrap(), (applied * 1000 + 15) / 30);
    daemon.until_sent("out", 22_000);
    let status = daemon.get("/api/v1/streams/main/status");
    assert_eq!(status["state"], "running");
    assert_eq!(status["outputs"][0]["reconnects"], 0);
    let metrics = daemon.metrics();
    let sample = |what: &str, le: &str| {
        let name = format!("stream_manager_output_{what}{{output=\"out\",stream=\"main\"{le}}} ");
        let value = metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok());
        value.unwrap_or_else(|| panic!("there is no {name}:\n{metrics}"))
    };
    assert!(sample("bytes_total", "") > 0.0);
    let observed = sample("send_latency_seconds_count", "");
    assert!((600.0..=sample("frames_total", "")).contains(&observed), "{observed} pictures' latencies");
    assert_eq!(sample("send_latency_seconds_bucket", ",le=\"+Inf\""), observed);
    assert!(sample("send_latency_seconds_bucket", ",le=\"0.002\"") <= observed);
    assert!(sample("send_latency_seconds_sum", "") > 0.0);
    daemon.end();

    let recording = nginx.recording("test");
    let [video, sound] = streams(&recording);
    for (name, expected) in [
        ("codec_name", json!("h264")),
        ("profile", json!("High")),
        ("width", json!(640)),
        ("height", json!(360)),
        ("pix_fmt", json!("yuv420p")),
        ("color_range", json!("tv")),
        ("color_space", json!("bt709")),
        ("color_transfer", json!("bt709")),
        ("color_primaries", json!("bt709")),
        ("chroma_location", json!("left")),
        ("has_b_frames", json!(0)),
        ("r_frame_rate", json!("30/1")),
    ] {
        assert_eq!(video[name], expected, "{name}");
    }
    for (name, expected) in [
        ("codec_name", json!("aac")),
        ("profile", json!("LC")),
        ("sample_rate", json!("48000")),
        ("channels", json!(2)),
    ] {
        assert_eq!(sound[name], expected, "{name}");
    }
    assert_cadence(&recording, 30, 1, 660, 60);
    assert_sound(&recording, 20_000);
    assert_no_decoder_message(&recording);

    let boxes = pixels(&recording, 140, 100);
    let turned = boxes.iter().position(|&pixel| is_near(pixel, GREEN)).expect("the box turns green");
    // The session began at an IDR, and the grid of IDRs is that of the frame numbers.
    assert_eq!((applied as usize - turned) % 60, 0, "frame {applied} was promised, {turned} of the recording shows it");
    // From the first picture on, however long that took.
    assert!(boxes[..turned].iter().all(|&pixel| is_near(pixel, RED)), "red until then");
    assert!(boxes[turned..].iter().all(|&pixel| is_near(pixel, GREEN)), "green from then on");
    assert!(pixels(&recording, 460, 260).iter().all(|&pixel| is_near(pixel, BLUE)), "the ellipse's middle");
    // Outside the ellipse, inside its box, is background: #101418.
    assert!(
        pixels(&recording, 402, 202).iter().all(|&[y, cb, cr]| y < 45 && cb.abs_diff(128) < 8 && cr.abs_diff(128) < 8)
    );
}

/// The picture stands, its sound is silence, and both go on at full cadence; what was changed meanwhile shows afterwards.
#[test]
fn a_paused_stream_sends_its_picture_and_silence() {
    let nginx = Nginx::start();
    let mut document = show("25", &json!([{ "id": "out", "url": nginx.address(), "key": "test" }]));
    document["audio"] = json!({});
    let daemon = Daemon::serve(&document);
    daemon.until_sent("out", 1_000);
    daemon.post("/api/v1/streams/main/pause", &json!({}));
    daemon.patch("/api/v1/streams/main/layers/box", &json!({ "content": { "fill": "#00ff00" } }));
    let sent = |more_ms: u64| {
        let now_ms = daemon.output("out")["outputDuration"].as_u64().unwrap();
        daemon.until_sent("out", now_ms + more_ms);
    };
    sent(5_000);
    assert_eq!(daemon.get("/api/v1/streams/main/status")["state"], "paused");
    daemon.post("/api/v1/streams/main/resume", &json!({}));
    sent(1_000);
    daemon.end();
    let recording = nginx.recording("test");
    assert_cadence(&recording, 25, 1, 170, 50);
    assert_sound(&recording, 6_800);
    assert_silence(&recording);
    assert_no_decoder_message(&recording);
    let boxes = pixels(&recording, 140, 100);
    let turned = boxes.iter().position(|&pixel| is_near(pixel, GREEN)).expect("the box turns green");
    assert!(turned >= 145, "it was paused for more than five seconds, not {turned} pictures");
    assert!(boxes[..turned].iter().all(|&pixel| is_near(pixel, RED)), "red until then");
    assert!(boxes[turned..].iter().all(|&pixel| is_near(pixel, GREEN)), "green from then on");
}

/// What becomes of a renderer that asks for the time of day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Mood {
    /// It is told.
    #[default]
    Kind,
    /// It panics.
    Harsh,
    /// It waits, until the mood is another.
    Deaf,
}

/// The machine's clock. The one who asks it for the time of day is the render thread, for each frame.
#[derive(Debug, Default)]
struct MoodyClock {
    clock: SystemClock,
    mood: Mutex<Mood>,
    changed: Condvar,
}

impl MoodyClock {
    fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
        self.changed.notify_all();
    }
}

impl Clock for MoodyClock {
    fn now(&self) -> Duration {
        self.clock.now()
    }

    fn sleep_until(&self, deadline: Duration) {
        self.clock.sleep_until(deadline);
    }

    fn utc_ms_at(&self, time: Duration) -> i64 {
        let mood = self.mood.lock().unwrap();
        let mood = *self.changed.wait_while(mood, |mood| *mood == Mood::Deaf).unwrap();
        assert!(mood != Mood::Harsh, "the test's clock is harsh to the renderer");
        self.clock.utc_ms_at(time)
    }
}

/// Held up for seconds, then panicking with each frame and each rebuilt compositor: the server gets every picture and all
/// the sound in time, and sees what has changed once the renderer can show it.
#[tokio::test(flavor = "multi_thread")]
async fn a_renderer_that_cannot_render_stops_neither_picture_nor_sound() {
    let (nginx, clock) = (Nginx::start(), Arc::new(MoodyClock::default()));
    let canvas: Canvas = serde_json::from_value(json!({ "width": 320, "height": 180, "fps": "25" })).unwrap();
    let show = |color: &str| {
        let layer = json!({ "id": "all", "content": { "type": "color", "color": color } });
        Arc::new(Show::of_layers(canvas.clone(), LayerErrors::Hide, read_layers(vec![layer]).unwrap()))
    };
    let (id, rate) = (Id::new("main").unwrap(), FrameRate::new(25, 1).unwrap());
    let encoder = EncoderSettings::new(Backend::Auto, canvas.size, rate, 500, Duration::from_secs(2));
    let config = Config {
        id: id.clone(),
        show: show("#ff0000"),
        renditions: vec![Rendition { id: id.clone(), fit: Fit::default(), every: 1, encoder }],
        sound: SoundSettings { mix: Arc::new(Mix::default()), bitrate_kbps: 128 },
    };
    let options = gpu::Options { adapter: String::new(), allow_software: true };
    let devices = Devices::open(options, Library::new(media::Config::default()).unwrap()).unwrap();
    let families = Families::new(&Registry::new()).unwrap();
    let stream = Stream::start(config, Arc::new(devices), clock.clone(), &families).unwrap();
    let destination = Endpoint::with_key_apart(&nginx.address(), &Secret::new("test")).unwrap();
    let network = Network { runtime: Handle::current(), tls: Tls::open(&[]).unwrap() };
    let spec = output::Spec::new(id.clone(), destination, Limits::default());
    stream.add_output(output::Target::Publish(spec), &id, &network);

    let report = || -> Report { stream.renditions().remove(0) };
    let sent = async |more_ms: u64| {
        let sent_ms = || report().outputs[0].output_duration_ms;
        let wanted_ms = sent_ms() + more_ms;
        eventually("more is sent", async || (sent_ms() >= wanted_ms).then_some(())).await;
    };
    sent(1_000).await;
    clock.be(Mood::Deaf);
    let drawn = stream.metrics().frames_rendered.get() + stream.metrics().frames_unchanged.get();
    sent(3_000).await;
    let drawn_since = stream.metrics().frames_rendered.get() + stream.metrics().frames_unchanged.get() - drawn;
    assert!(drawn_since <= 1 && report().metrics.frames_repeated.get() >= 60, "{drawn_since} frames were drawn");
    clock.be(Mood::Harsh);
    sent(3_000).await;
    assert!(stream.metrics().gpu_rebuilds.get() >= 2, "{} rebuilds", stream.metrics().gpu_rebuilds.get());
    let put = async || stream.put_show(stream.aim(0).frame, show("#00ff00"));
    eventually("a show is put on air", put).await;
    clock.be(Mood::Kind);
    sent(3_000).await;
    assert_eq!(report().metrics.frames_dropped.get(), 0);
    stream.stop().await;

    let recording = nginx.recording("test");
    assert_cadence(&recording, 25, 1, 240, 50);
    assert_sound(&recording, 9_600);
    assert_silence(&recording);
    assert_no_decoder_message(&recording);
    let colours = pixels(&recording, 160, 90);
    let turned = colours.iter().position(|&pixel| is_near(pixel, GREEN)).expect("it turns green");
    assert!(turned >= 170, "it could not be drawn for six seconds, but was after {turned} pictures");
    assert!(colours[..turned].iter().all(|&pixel| is_near(pixel, RED)), "the last good picture until then");
    assert!(colours[turned..].iter().all(|&pixel| is_near(pixel, GREEN)), "green from then on");
}

/// The canvas and a smaller picture of half its rate, to one server at once: sizes and rates as they are said, keyframes at
/// the same times, the very same sound, the change of a layer in both on the same frame of the canvas.
#[test]
fn two_renditions_have_their_keyframes_and_their_sound_in_common() {
    let nginx = Nginx::start();
    let mut document = show("30", &json!([]));
    document["renditions"] = json!([
        { "id": "mobile", "width": 320, "height": 240, "fps": "15", "fit": "cover", "encoder": { "bitrateKbps": 400 } },
    ]);
    // Of 443 Hz no two AAC frames are alike within eight seconds.
    document["audio"] = json!({ "sources": [{ "id": "tone", "type": "tone", "frequencyHz": 443 }] });
    document["outputs"] = json!([
        { "id": "large", "url": nginx.address(), "key": "large" },
        { "id": "small", "url": nginx.address(), "key": "small", "rendition": "mobile" },
    ]);
    let daemon = Daemon::serve(&document);
    daemon.until_sent("small", 3_000);
    let receipt = daemon.patch("/api/v1/streams/main/layers/box", &json!({ "content": { "fill": "#00ff00" } }));
    let applied = receipt["appliedFrame"].as_u64().unwrap();
    daemon.until_sent("small", 7_000);
    daemon.until_sent("large", 7_000);
    let status = daemon.get("/api/v1/streams/main/status");
    let of = |output: usize| (&status["outputs"][output]["id"], &status["outputs"][output]["rendition"]);
    assert_eq!((of(0), of(1)), ((&json!("large"), &json!("main")), (&json!("small"), &json!("mobile"))));
    assert!(daemon.metrics().contains("stream_manager_encoded_bytes_total{rendition=\"mobile\",stream=\"main\"}"));
    daemon.end();

    let [large, small] = ["large", "small"].map(|key| nginx.recording(key));
    for (file, width, height, rate, pictures, gop) in [(&large, 640, 360, 30, 200, 60), (&small, 320, 240, 15, 100, 30)]
    {
        let [video, _] = streams(file);
        let said = json!([video["width"], video["height"], video["r_frame_rate"]]);
        assert_eq!(said, json!([width, height, format!("{rate}/1")]));
        assert_cadence(file, rate, 1, pictures, gop);
        assert_sound(file, 6_000);
        assert_no_decoder_message(file);
    }
    // Both sessions began at an IDR of the same grid, perhaps not at the same one.
    let bytes = |file| packets(file, "a").iter().map(|packet| packet["data_hash"].clone()).collect::<Vec<_>>();
    let [sound_of_large, sound_of_small] = [bytes(&large), bytes(&small)];
    assert!(sound_of_small.iter().all(Value::is_string) && sound_of_small[0] != sound_of_small[1]);
    let begins = |of: &[Value], within: &[Value]| within.windows(32).position(|window| window == &of[..32]);
    let later = begins(&sound_of_small, &sound_of_large).map(|at| at as i64);
    let later = later.or_else(|| begins(&sound_of_large, &sound_of_small).map(|at| -(at as i64)));
    let later_ms = later.expect("the same sound") as f64 * 1024.0 / 48.0;
    let groups = (later_ms / 2000.0).round();
    assert!((later_ms - groups * 2000.0).abs() <= 22.0, "the small one's first keyframe is {later_ms} ms later");

    // The middle of the box: at 140, 100 of the canvas, of which the 480 columns in the middle are seen.
    let turned = |file, x, y| {
        let turned = pixels(file, x, y).iter().position(|&pixel| is_near(pixel, GREEN));
        turned.expect("the box turns green") as u64
    };
    let (in_large, in_small) = (turned(&large, 140, 100), turned(&small, 40, 66));
    assert_eq!((applied - in_large) % 60, 0, "frame {applied} was promised");
    // An odd frame of the canvas shows first on the even one after it.
    let expected = (applied.div_ceil(2) * 2) as i64 - (applied - in_large) as i64 - groups as i64 * 60;
    assert_eq!(in_small as i64 * 2, expected, "frame {applied} was promised");
}

#[test]
fn ffmpeg_receives_ntsc_cadence_and_a_proper_end() {
    let mut server = FfmpegListener::start("key");
    let outputs = json!([{ "id": "out", "url": server.address(), "key": "key" }]);
    let daemon = Daemon::serve(&show("59.94", &outputs));
    daemon.until_sent("out", 4_000);
    daemon.end();
    let recording = server.finish();
    let [video, _] = streams(&recording);
    assert_eq!(video["profile"], "High");
    assert_cadence(&recording, 60_000, 1001, 200, 120);
    assert_sound(&recording, 3_000);
    assert_no_decoder_message(&recording);
}

#[test]
fn an_output_that_cannot_publish_does_not_touch_the_others() {
    let nginx = Nginx::start();
    let nowhere = format!("rtmp://127.0.0.1:{}/live", servers::free_port());
    let refused = nginx.address().replace("/live", "/no-such-application");
    let outputs = json!([
        { "id": "nowhere", "url": nowhere, "key": "secret_key" },
        { "id": "unresolved", "url": "rtmp://no-such-host.invalid/live", "key": "secret_key" },
        { "id": "refused", "url": refused, "key": "secret_key" },
        { "id": "good", "url": nginx.address(), "key": "good" },
    ]);
    let daemon = Daemon::serve(&show("25", &outputs));
    daemon.until_sent("good", 5_000);
    let status = daemon.get("/api/v1/streams/main/status");
    for (output, class) in [(0, "connect"), (1, "resolve"), (2, "closed")] {
        let output = &status["outputs"][output];
        assert_eq!(output["lastError"]["class"], class, "{output}");
        assert_ne!(output["state"], "publishing", "{output}");
    }
    assert!(!status.to_string().contains("secret_key"));
    let log = daemon.end();
    assert!(!log.contains("secret_key"), "{log}");
    assert_cadence(&nginx.recording("good"), 25, 1, 100, 50);
}

/// A server that stalls in the middle of a chunk, one that swallows everything, one that refuses, a network that resets and
/// one that delays: the good one's pictures come as if there were no others, and what can come back does.
#[test]
fn outputs_on_bad_networks_do_not_touch_the_others() {
    let nginx = Nginx::start();
    let refuser = Refuser::start("NetStream.Publish.Denied");
    let before = |fault| Proxy::start(nginx.port(), fault);
    let (stalls, resets, delays) =
        (before(Fault::None), before(Fault::None), before(Fault::Delay(Duration::from_millis(30))));
    let swallows = before(Fault::Blackhole);
    let output = |id: &str, proxy: &Proxy| json!({ "id": id, "url": format!("rtmp://127.0.0.1:{}/live", proxy.port()), "key": id });
    let mut show = show(
        "25",
        &json!([
            output("stalls", &stalls), output("resets", &resets), output("delays", &delays), output("swallows", &swallows),
            { "id": "refused", "url": refuser.address(), "key": "refused" },
            { "id": "good", "url": nginx.address(), "key": "good" },
        ]),
    );
    // What the kernel holds for a server that takes nothing is soon full.
    make_noisy(&mut show, 4000);
    let daemon = Daemon::serve(&show);
    for output in ["good", "stalls", "resets", "delays"] {
        daemon.until_sent(output, 2_000);
    }
    let before = daemon.resident_bytes();
    stalls.set(Fault::Stall);
    resets.set(Fault::Reset);
    let of = |output: &str| daemon.output(output);
    daemon.until("the network resets", || of("resets")["lastError"]["class"] == "lost");
    resets.set(Fault::None);
    daemon.until("what was reset is back", || of("resets")["state"] == "publishing" && of("resets")["reconnects"] == 1);
    daemon.until("the stall is given up", || of("stalls")["lastError"]["class"] == "stalled");
    assert!(of("stalls")["queueBytes"].as_u64().unwrap() < 16 << 20, "{}", of("stalls"));
    // Ten seconds of 4 Mbit/s that found no way out, and what a daemon takes that has just started.
    let grown = daemon.resident_bytes().saturating_sub(before);
    assert!(grown <= 24 << 20, "{grown} bytes more than the {before} before the stall");
    stalls.set(Fault::None);
    daemon.until("what stalled is back", || of("stalls")["state"] == "publishing");
    assert_eq!(of("swallows")["lastError"]["class"], "handshake_timeout");
    assert_eq!(
        (&of("refused")["state"], &of("refused")["code"]),
        (&json!("refused"), &json!("NetStream.Publish.Denied"))
    );
    let good = of("good");
    assert_eq!((&good["reconnects"], &good["outputSkippedFrames"]), (&json!(0), &json!(0)), "{good}");
    let sent = good["outputDuration"].as_u64().unwrap();
    daemon.until_sent("good", sent + 1_000);
    daemon.end();
    assert_cadence(&nginx.recording("good"), 25, 1, 250, 50);
    assert_sound(&nginx.recording("good"), 10_000);
    assert_cadence(&nginx.recording("delays"), 25, 1, 250, 50);
}

/// The first server is killed: the second stands in. The second is killed while the first is back: it is the first again.
#[test]
fn a_backup_stands_in_and_gives_way() {
    let (mut first, mut second) = (Nginx::start(), Nginx::start());
    let daemon = Daemon::serve(&show("25", &json!([])));
    let output = json!({
        "id": "out", "url": first.address(), "key": "main", "backupUrl": format!("{}/reserve", second.address()),
    });
    let shown = daemon.post("/api/v1/streams/main/outputs", &output)["output"].take();
    let written = json!({
        "type": "rtmp", "id": "out", "url": first.address(), "backupUrl": second.address(), "rendition": "main",
        "primary": false,
        "enabled": true,
    });
    assert_eq!(shown, written);
    daemon.until_sent("out", 2_500);
    let is_on = |backup: bool| {
        let output = daemon.output("out");
        output["state"] == "publishing" && output["onBackup"] == backup
    };
    assert!(is_on(false), "{}", daemon.output("out"));
    first.kill();
    daemon.until("the backup stands in", || is_on(true));
    let sent = |more: u64| daemon.until_sent("out", daemon.output("out")["outputDuration"].as_u64().unwrap() + more);
    sent(2_500);
    assert!(is_on(true), "what works is kept: {}", daemon.output("out"));
    assert_cadence(&first.recording("main"), 25, 1, 50, 50);
    first.restart();
    second.kill();
    daemon.until("it is the first again", || is_on(false));
    sent(2_500);
    daemon.end();
    assert_cadence(&second.recording("reserve"), 25, 1, 50, 50);
    assert_cadence(&first.recording("main"), 25, 1, 50, 50);
}

/// Keys and passwords in every place where a document may have them, and a daemon that says all that it can say, also of
/// servers that repeat what they were told: none of it has one in it.
#[test]
fn no_secret_is_told() {
    const SENTINEL: &str = "5entinel";
    let secret = |name: &str| format!("{SENTINEL}-{name}");
    let nginx = Nginx::start();
    let refuser = Refuser::start("NetStream.Publish.BadName");
    let wants_user =
        Refuser::start_at(At::Connect, "NetConnection.Connect.Rejected", "[ code=403 need auth; authmod=adobe ]");
    let secrets = tempfile::tempdir().unwrap();
    for name in ["file", "password"] {
        std::fs::write(secrets.path().join(name), secret(name) + "\n").unwrap();
    }
    let url = |server: &str, key: &str| format!("{server}/{}", secret(key));
    let environment = [
        ("STREAM_MANAGER_LOG__LEVEL", "debug"),
        ("STREAM_MANAGER_SECRETS_DIR", secrets.path().to_str().unwrap()),
        ("STREAM_MANAGER_OUTPUTS", &format!("[\"{}\"]", url(&nginx.address(), "configured"))),
        ("SOME_KEY", &secret("variable")),
    ];
    let outputs = json!([
        { "id": "literal", "url": nginx.address(), "key": secret("literal") },
        { "id": "variable", "url": nginx.address(), "key": "env:SOME_KEY" },
        { "id": "file", "url": nginx.address(), "key": "file:file" },
        { "id": "refused", "url": url(&refuser.address(), "refused?token=1"),
          "backupUrl": refuser.address(), "backupKey": secret("backup") },
        { "id": "authenticated", "url": wants_user.address(), "key": secret("authenticated"),
          "username": "alice", "password": "file:password" },
    ]);
    let daemon = Daemon::serve_in(&environment, Some(&show("25", &outputs)), &[]);
    let (mut events, _) = tungstenite::connect(daemon.base().replace("http", "ws") + "/api/v1/events").unwrap();
    for output in ["output-1", "literal", "variable", "file"] {
        daemon.until_sent(output, 500);
    }
    let mut said = vec![format!("{}", daemon.post("/api/v1/streams/main/outputs", &json!({
        "id": "later", "url": url(&nginx.address(), "later"), "backupUrl": url(&nginx.address(), "later-backup"),
    })))];
    for wrong in [
        json!({ "id": "a", "url": url("ftp://host/app", "url") }),
        json!({ "id": "a", "url": format!("rtmp://host/{}", secret("app")) }),
        json!({ "id": "a", "url": format!("rtmp://u:{}@host/app/key", secret("user")) }),
        json!({ "id": "a", "url": "rtmp://host/app", "key": secret("spaced") + " " }),
        json!({ "id": "a", "url": "rtmp://host/app", "key": [secret("list")] }),
        json!({ "id": "a", "url": "rtmp://host/app", "key": secret(&"x".repeat(10_000)) }),
        json!({ "id": "a", "url": "rtmp://host/app", "key": "k", "backupKey": secret("backup") }),
        json!({ "id": "a", "url": "rtmp://host/app", "key": "k", "password": secret("password") }),
    ] {
        let refused = daemon.try_post("/api/v1/streams/main/outputs", &wrong);
        assert!(refused.starts_with("HTTP/1.1 422"), "{wrong}: {refused}");
        said.push(refused);
    }
    let class = |output: &str| daemon.output(output)["lastError"]["class"].clone();
    daemon.until("the refusals", || {
        class("refused") == "refused_stale_session" && class("authenticated") == "refused_auth_required"
    });
    daemon.until("the backup is refused as well", || daemon.output("refused")["onBackup"] == true);
    daemon.until_sent("later", 500);
    said.extend(
        ["status", "outputs", ""]
            .map(|path| daemon.get(format!("/api/v1/streams/main/{path}").trim_end_matches('/')).to_string()),
    );
    said.push(daemon.metrics());
    let topics = json!({ "subscribe": ["state", "stats", "events", "logs"] });
    events.send(tungstenite::Message::text(topics.to_string())).unwrap();
    daemon.patch("/api/v1/streams/main/outputs/later", &json!({ "key": secret("changed") }));
    // Until the document, the status and a log line were told.
    let mut awaited = vec!["\"type\":\"state\"", "\"type\":\"stats\"", "\"type\":\"logs\""];
    while !awaited.is_empty() {
        let message = events.read().unwrap().to_string();
        awaited.retain(|topic| !message.contains(topic));
        said.push(message);
    }
    let log = daemon.end();
    for (what, is_there) in [
        ("the log is that of debugging", log.contains("DEBUG")),
        ("what a refusal says is in the log", log.contains("not today: [redacted]")),
        ("and in the status", said.iter().any(|said| said.contains("not today: [redacted]"))),
    ] {
        assert!(is_there, "{what}\n{log}\n{said:#?}");
    }
    for said in said.iter().flat_map(|said| said.lines()).chain(log.lines()) {
        assert!(!said.contains(SENTINEL), "a secret is told: {said}");
    }
    for key in ["configured", "literal", "variable", "file", "later"] {
        assert!(nginx.recording(&secret(key)).exists(), "{key} was published with its secret");
    }
}

/// A network that takes a third for some seconds, before one output of two: both get less meanwhile, no picture is lost on
/// the good one and few on the slow one, and then all is as it was configured. Where the bitrate follows primary outputs
/// alone, the slow one is left to itself.
#[test]
fn the_bitrate_follows_the_slowest_output_and_comes_back() {
    let nginx = Nginx::start();
    let network = Proxy::start(nginx.port(), Fault::None);
    let slow = format!("rtmp://127.0.0.1:{}/live", network.port());
    let outputs = json!([
        { "id": "slow", "url": slow, "key": "slow" },
        { "id": "good", "url": nginx.address(), "key": "good", "primary": true },
    ]);
    let mut show = show("25", &outputs);
    make_noisy(&mut show, 3000);
    show["encoder"]["adaptiveBitrate"] = json!({ "policy": "lowest", "minKbps": 400 });
    let daemon = Daemon::serve(&show);
    let status = || daemon.get("/api/v1/streams/main/status");
    let target = || status()["encoder"]["targetKbps"].as_u64().unwrap();
    let skipped = |output: &str| daemon.output(output)["outputSkippedFrames"].as_u64().unwrap();
    daemon.until("all is made", || status()["encoder"]["bitrateKbps"].as_u64().unwrap() > 2500);
    assert_eq!(target(), 3000);

    let told = decisions(&daemon);
    network.set(Fault::Throttle(130_000));
    daemon.until("less is made", || target() < 1400);
    daemon.until("what waited is gone", || daemon.output("slow")["queueMs"].as_u64().unwrap() < 100);
    network.set(Fault::None);
    daemon.until("all is made again", || target() == 3000);
    let changes = status()["bitrateChanges"].as_array().unwrap().clone();
    assert_eq!(told.join().unwrap(), changes, "each is told as it is decided");
    assert_eq!((&changes[0]["reason"], &changes[0]["output"]), (&json!("congestion"), &json!("slow")), "{changes:?}");
    assert!(changes.iter().any(|change| change["reason"] == "recovery"), "{changes:?}");
    assert_eq!(skipped("good"), 0);
    assert!(skipped("slow") < 50, "two seconds at most: {}", skipped("slow"));
    let metrics = daemon.metrics();
    let labels = "{rendition=\"main\",stream=\"main\"}";
    assert!(metrics.contains(&format!("stream_manager_bitrate_target_bps{labels} 3000000")), "{metrics}");
    assert!(!metrics.contains(&format!("stream_manager_bitrate_steps_up_total{labels} 0")), "{metrics}");

    daemon.patch("/api/v1/streams/main", &json!({ "encoder": { "adaptiveBitrate": { "policy": "primary" } } }));
    let before = skipped("slow");
    network.set(Fault::Throttle(130_000));
    daemon.until("the slow one loses pictures", || skipped("slow") > before + 25);
    assert_eq!((target(), skipped("good")), (3000, 0));
    daemon.end();
    // All pictures, and keyframes where they always are: a change of the bitrate makes none.
    assert_cadence(&nginx.recording("good"), 25, 1, 500, 50);
}

/// Follows what is decided of the bitrate over the WebSocket, until all that is configured is made again.
fn decisions(daemon: &Daemon) -> thread::JoinHandle<Vec<Value>> {
    let mut socket = Socket::connect(daemon.base().strip_prefix("http://").unwrap().parse().unwrap());
    // At first one looks alone, at the same moment for both: once the sound is told of, events are followed.
    socket.ask(&json!({ "subscribe": ["events", "silence"] }));
    socket.told(|event| event["type"] == "silence");
    let follow = move || {
        let mut told = Vec::new();
        while told.last().is_none_or(|last: &Value| last["toKbps"] != 3000) {
            let mut event = socket.told(|event| event["event"] == "bitrate");
            assert_eq!((event["stream"].take(), event["rendition"].take()), (json!("main"), json!("main")));
            let fields = event.as_object_mut().unwrap();
            fields.retain(|name, _| !["type", "event", "stream", "rendition"].contains(&name.as_str()));
            told.push(event);
        }
        told
    };
    thread::Builder::new().name("decisions".into()).spawn(follow).unwrap()
}

/// Takes as many bits as it may have, which can be few: faint noise all over, at so many kilobits per second.
fn make_noisy(show: &mut Value, bitrate_kbps: u32) {
    show["encoder"]["bitrateKbps"] = json!(bitrate_kbps);
    show["layers"].as_array_mut().unwrap().push(json!({
        "id": "noise", "transform": { "width": 320, "height": 180 },
        "content": { "type": "shader", "source": "fn shade(in: ShadeInput) -> vec4f {
            let q = fract(in.position * vec2f(0.1031, 0.1030) + fract(in.time * 7.31));
            return vec4f(vec3f(0.35 + 0.3 * fract((q.x + q.y) * dot(q, q + 33.33) * 97.0)), 1.0);
        }" },
    }));
}

#[test]
fn outputs_come_and_go_while_on_air() {
    let nginx = Nginx::start();
    let daemon = Daemon::serve(&show("25", &json!([{ "id": "first", "url": nginx.address(), "key": "first" }])));
    daemon.until_sent("first", 1_000);
    daemon.post("/api/v1/streams/main/outputs", &json!({ "id": "second", "url": nginx.address(), "key": "second" }));
    daemon.until_sent("second", 3_000);
    daemon.delete("/api/v1/streams/main/outputs/second");
    let sent = daemon.get("/api/v1/streams/main/status")["outputs"][0]["outputDuration"].as_u64().unwrap();
    daemon.until_sent("first", sent + 1_000);
    daemon.end();
    assert_cadence(&nginx.recording("second"), 25, 1, 60, 50);
    assert_cadence(&nginx.recording("first"), 25, 1, 120, 50);
}

/// The video and the audio stream of a file.
fn streams(file: &Path) -> [Value; 2] {
    let found = ffprobe_json(file, &["-show_streams"]);
    let of = |kind: &str| {
        let mut streams = found["streams"].as_array().unwrap().iter();
        streams.find(|stream| stream["codec_type"] == kind).unwrap_or_else(|| panic!("no {kind}: {found}")).clone()
    };
    [of("video"), of("audio")]
}

fn packets(file: &Path, kind: &str) -> Vec<Value> {
    let found = ffprobe_json(file, &["-select_streams", kind, "-show_packets", "-show_data_hash", "md5"]);
    found["packets"].as_array().unwrap().clone()
}

/// Every picture is `den / num` seconds after the one before, to the millisecond that FLV can say, from zero; keyframes
/// stand each `gop` pictures and nowhere else.
fn assert_cadence(file: &Path, num: u64, den: u64, pictures_min: usize, gop: usize) {
    let packets = packets(file, "v");
    assert!(packets.len() >= pictures_min, "{} pictures, {pictures_min} expected", packets.len());
    let first = packets[0]["pts"].as_i64().unwrap();
    assert!((0..=21).contains(&first), "the session starts at zero: {first}");
    for (n, packet) in packets.iter().enumerate() {
        let exact = n as u64 * 1000 * den;
        let ms = ((exact + num / 2) / num) as i64 + first;
        // The session's zero is some frame of the stream, whose own time was rounded to a millisecond.
        assert!((packet["pts"].as_i64().unwrap() - ms).abs() <= 1, "picture {n} is at {} not {ms}", packet["pts"]);
        assert_eq!(packet["pts"], packet["dts"], "picture {n}");
        let is_key = packet["flags"].as_str().unwrap().starts_with('K');
        assert_eq!(is_key, n % gop == 0, "keyframe at picture {n}");
    }
}

/// AAC frames follow each other without a gap for at least `span_ms`.
fn assert_sound(file: &Path, span_ms: i64) {
    let packets = packets(file, "a");
    let pts: Vec<i64> = packets.iter().map(|packet| packet["pts"].as_i64().unwrap()).collect();
    assert!(pts.last().unwrap() - pts[0] >= span_ms, "{} ms of sound", pts.last().unwrap() - pts[0]);
    for (n, ms) in pts.iter().enumerate() {
        let exact = pts[0] as f64 + n as f64 * 1024.0 * 1000.0 / 48_000.0;
        assert!((*ms as f64 - exact).abs() <= 1.0, "AAC frame {n} is at {ms}, not {exact}");
    }
}

/// What is heard of the file is nothing.
fn assert_silence(file: &Path) {
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-v", "error", "-i"]).arg(file);
    let output = command.args(["-map", "0:a", "-f", "s16le", "-"]).output().unwrap();
    assert!(output.status.success() && !output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    let (samples, _) = output.stdout.as_chunks::<2>();
    assert_eq!(samples.iter().map(|&bytes| i16::from_le_bytes(bytes).unsigned_abs()).max(), Some(0));
}

/// FFmpeg decodes the file from end to end and has nothing to say.
fn assert_no_decoder_message(file: &Path) {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "warning", "-i"])
        .arg(file)
        .args(["-f", "null", "-"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "the decoder's messages");
}

/// Y, Cb, Cr of the picture at an even place, for every frame as it was decoded.
fn pixels(file: &Path, x: u32, y: u32) -> Vec<[u8; 3]> {
    let output = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-i"])
        .arg(file)
        .args(["-vf", &format!("crop=2:2:{x}:{y}"), "-fps_mode", "passthrough", "-pix_fmt", "yuv420p"])
        .args(["-f", "rawvideo", "-"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout.chunks_exact(6).map(|block| [block[0], block[4], block[5]]).collect()
}

fn is_near(pixel: [u8; 3], expected: [u8; 3]) -> bool {
    pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= TOLERANCE)
}
