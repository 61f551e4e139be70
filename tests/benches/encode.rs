//! What encoding costs: processor time for each frame of 1920 x 1080, all threads together, of every encoder that is built in,
//! beside FFmpeg's libx264 with the same settings. Run by `make bench`.
//!
//! A case is one scene, drawn once; its frames go through each encoder as they do on air, with what changed in each, and
//! through `ffmpeg -c:v libx264 -preset superfast -tune zerolatency` from a pipe. What FFmpeg takes to read them alone is
//! left out. Keyframes come every two seconds on both sides.
//! `cargo bench --bench encode -- ticker` runs those whose name has that word in it.
//! Figures are printed beside what they should be, not judged: machines differ.

mod cpu;

use std::{
    io::Write,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use stream_manager::{
    base::{colour::VideoColour, nv12::Picture, rate::FrameRate, size::Size},
    encode::{self, Backend, CANDIDATES, Codec, Encoder, Nvenc, RateControl, Request, Tuning, X264},
    gpu::{Compositor, Gpu, Options},
    media::{Config, Library},
    scene::{Canvas, LayerErrors, Moment, Show, damage::Damage, evaluate, read_layers},
};

const WAIT: Duration = Duration::from_secs(30);
const BITRATE_KBPS: u32 = 4500;
const GOP_FRAMES: u32 = 60;
const THREADS: usize = 2;

fn main() {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    say("picture                       encoder  frames  ms/frame  of FFmpeg's  x264 should be   kbit/s  PSNR dB".into());
    for case in cases().iter().filter(|case| case.name.contains(&wanted)) {
        let frames = (case.frames)();
        let reading_ms = ffmpeg_ms(&frames, &["-c", "copy"]);
        let beside_ms = (ffmpeg_ms(&frames, &x264_arguments()) - reading_ms) / frames.len() as f64;
        say(format!("{:<26} {:>10}  {:>6}  {beside_ms:>8.2}", case.name, "FFmpeg", frames.len()));
        for candidate in CANDIDATES {
            let Ok(opened) = encode::open(Backend::Named(candidate), &config()) else { continue };
            let measured = measure(opened.encoder, &frames);
            let should_be = if candidate.name == "x264" { case.should_be } else { "" };
            say(format!(
                "{:<26} {:>10}  {:>6}  {:>8.2}  {:>11.2}  {should_be:>14}  {:>7.0}  {:>7.2}",
                case.name,
                candidate.name,
                frames.len(),
                measured.ms,
                measured.ms / beside_ms,
                measured.kbps,
                measured.psnr
            ));
        }
    }
}

fn say(line: String) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

fn config() -> encode::Config {
    encode::Config {
        size: Size::new(1920, 1080).unwrap(),
        rate: FrameRate::new(30, 1).unwrap(),
        bitrate_kbps: BITRATE_KBPS,
        rate_control: RateControl::default(),
        gop_frames: GOP_FRAMES,
        colour: VideoColour::BT709_LIMITED,
        threads: THREADS,
        codec: Codec::default(),
        tuning: Tuning::default(),
        nvenc: Nvenc::default(),
        x264: X264::default(),
    }
}

/// One frame as an encoder gets it.
#[derive(Clone)]
struct Frame {
    picture: Arc<Picture>,
    damage: Damage,
}

struct Measured {
    ms: f64,
    kbps: f64,
    psnr: f64,
}

fn measure(mut encoder: Box<dyn Encoder>, frames: &[Frame]) -> Measured {
    let before = cpu::taken_ms("self");
    let units: Vec<_> = (0..)
        .zip(frames)
        .filter_map(|(frame, Frame { picture, damage })| {
            encoder.encode(picture, Request { frame, is_idr_forced: false, damage: *damage }).unwrap()
        })
        .collect();
    let ms = (cpu::taken_ms("self")[0] - before[0]) / frames.len() as f64;
    let bytes: usize = units.iter().map(|unit| unit.nalus.len()).sum();
    let mut stream = Vec::new();
    let sets = encoder.parameter_sets();
    let slices = units.iter().flat_map(|unit| stream_manager::h264::nal::length_prefixed(&unit.nalus).flatten());
    for nal in [&sets.sps[..]].into_iter().chain(sets.pps.iter().map(|pps| &pps[..])).chain(slices) {
        stream.extend([0, 0, 0, 1]);
        stream.extend(nal);
    }
    Measured { ms, kbps: bytes as f64 * 8.0 * 30.0 / 1000.0 / frames.len() as f64, psnr: psnr(stream, frames) }
}

/// What a decoder shows against what was drawn, in luma, the mean over the frames of a stream.
fn psnr(stream: Vec<u8>, frames: &[Frame]) -> f64 {
    let mut command = ffmpeg();
    command.args(["-f", "h264", "-i", "-", "-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "nv12", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ffmpeg runs");
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let feeder = std::thread::Builder::new().name("feeder".into());
    let feeder = feeder.spawn(move || input.write_all(&stream)).unwrap();
    let mut sum = 0.0;
    let mut decoded = frames[0].picture.bytes().to_vec();
    for Frame { picture, .. } in frames {
        std::io::Read::read_exact(&mut output, &mut decoded).expect("a picture for each frame");
        let squares = picture.luma().iter().zip(&decoded).map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2));
        let error = squares.sum::<u64>() as f64 / picture.luma().len() as f64;
        sum += 10.0 * (255.0 * 255.0 / error.max(1e-3)).log10();
    }
    feeder.join().unwrap().unwrap();
    assert!(child.wait().unwrap().success());
    sum / frames.len() as f64
}

fn ffmpeg() -> Command {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin"]);
    command
}

fn x264_arguments() -> Vec<&'static str> {
    "-c:v libx264 -preset superfast -tune zerolatency -profile:v high -threads 2 -b:v 4500k -maxrate 4500k -bufsize 4500k \
     -g 60 -sc_threshold 0"
        .split_whitespace()
        .collect()
}

/// Processor time that FFmpeg takes for the frames.
fn ffmpeg_ms(frames: &[Frame], codec: &[&str]) -> f64 {
    let before = cpu::taken_ms("self");
    let mut command = ffmpeg();
    command.args("-f rawvideo -pix_fmt nv12 -video_size 1920x1080 -framerate 30 -i -".split_whitespace());
    command.args(codec).args(["-f", "null", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("ffmpeg runs");
    let mut input = child.stdin.take().unwrap();
    frames.iter().for_each(|frame| input.write_all(frame.picture.bytes()).unwrap());
    drop(input);
    assert!(child.wait().unwrap().success());
    cpu::taken_ms("self")[1] - before[1]
}

/// What is encoded.
struct Case {
    name: &'static str,
    frames: fn() -> Vec<Frame>,
    should_be: &'static str,
}

fn cases() -> [Case; 4] {
    [
        Case { name: "still", frames: || drawn(600, vec![]), should_be: "<= 0.15" },
        Case { name: "clock, each second", frames: || drawn(600, vec![clock()]), should_be: "<= 0.50" },
        Case { name: "ticker", frames: || drawn(180, vec![bar(), ticker()]), should_be: "<= 0.85" },
        Case { name: "hard: grain everywhere", frames: || grain(150), should_be: "<= 1.05" },
    ]
}

fn clock() -> Value {
    json!({ "id": "clock", "zIndex": 9, "transform": { "positionX": 1500, "positionY": 60, "width": 340, "height": 100 },
        "content": { "type": "clock", "size": 60, "align": "center", "background": "#000000a0" } })
}

fn bar() -> Value {
    json!({ "id": "bar", "zIndex": 8, "transform": { "positionX": 0, "positionY": 930, "width": 1920, "height": 110 },
        "content": { "type": "color", "color": "#101828" } })
}

fn ticker() -> Value {
    json!({ "id": "ticker", "zIndex": 9, "transform": { "positionX": 0, "positionY": 940, "width": 1920, "height": 90 },
        "content": { "type": "ticker", "size": 56, "speed": 180, "items": ["Lot 28 follows at noon: a silver jug, 1790",
            "Bids close in ten minutes", "The catalogue is at example.org/sale"] } })
}

/// A full picture with a portrait and texts before it, and what is added.
fn drawn(frames: u64, added: Vec<Value>) -> Vec<Frame> {
    let at = |x: u32, y: u32, w: u32, h: u32| json!({ "positionX": x, "positionY": y, "width": w, "height": h });
    let mut layers = vec![
        json!({ "id": "base", "transform": at(0, 0, 1920, 1080),
            "content": { "type": "image", "asset": "builtin:show/artwork.jpg", "fit": "cover" } }),
        json!({ "id": "host", "zIndex": 2, "transform": at(1300, 400, 576, 500),
            "content": { "type": "image", "asset": "builtin:show/host.png", "fit": "contain" } }),
        json!({ "id": "title", "zIndex": 3, "transform": at(80, 80, 900, 160),
            "content": { "type": "text", "text": "The Evening Sale", "size": 96, "background": "#00000080", "padding": 16 } }),
    ];
    layers.extend(added);
    let layers = read_layers(layers).unwrap_or_else(|problems| panic!("{problems}"));
    let show = Arc::new(Show::of_layers(Canvas::default(), LayerErrors::Hide, layers));
    let gpu = Gpu::open(&Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let library = Library::new(Config::default()).unwrap();
    let size = show.canvas.size;
    let mut compositor = Compositor::new(gpu, library.clone(), size, VideoColour::BT709_LIMITED).unwrap();
    let mut shown = None;
    let mut last = Frame { picture: Arc::new(Picture::black(size)), damage: Damage::none() };
    let frame = |number| {
        let elapsed = show.canvas.fps.time_of(number);
        let moment = Moment { elapsed, utc_ms: elapsed.as_millis() as i64 };
        assert!(library.prepare_show(&show, moment, WAIT).is_complete());
        let list = evaluate(&show, moment, &*library).draw_list;
        last.damage = Damage::none();
        if shown.as_ref() != Some(&list) {
            compositor.render(number, &list).unwrap();
            let mut picture = Picture::black(size);
            assert_eq!(compositor.collect(WAIT, &mut picture).unwrap(), Some(number));
            last = Frame { picture: Arc::new(picture), damage: compositor.collected_damage() };
            shown = Some(list);
        }
        last.clone()
    };
    (0..frames).map(frame).collect()
}

/// Film grain over a slope that moves: nothing can be predicted.
fn grain(frames: usize) -> Vec<Frame> {
    let size = Size::new(1920, 1080).unwrap();
    let mut state = 1u64;
    let frame = |number: usize| {
        let mut picture = Picture::black(size);
        let pitch = picture.layout().pitch;
        let luma_len = picture.layout().luma_len();
        for (at, byte) in picture.bytes_mut()[..luma_len].iter_mut().enumerate() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = ((at % pitch + at / pitch + number * 8) / 8 % 128) as u8 + 40 + (state >> 60) as u8;
        }
        Frame { picture: Arc::new(picture), damage: Damage::whole(size.sides()) }
    };
    (0..frames).map(frame).collect()
}
