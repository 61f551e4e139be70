//! What a picture costs: processor time for each frame of 1920 x 1080, all threads together. Run by `make bench`.
//!
//! A case is one scene, or several in turn. Its frames are planned, drawn, converted and read back as the render thread
//! does, one after the other without waiting for their time. The same frames are then drawn once more and encoded; what
//! that costs more is the price of encoding alone. Beside the ticker FFmpeg's filters draw a picture of the same kind.
//! `cargo bench --bench picture -- ticker` runs those whose name has that word in it.
//! Figures are printed beside what they should be, not judged: machines differ.

mod cpu;

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use stream_manager::{
    base::{
        colour::VideoColour,
        nv12::{Picture, Rows},
        size::Size,
    },
    encode::{self, Backend, Codec, Encoder, Nvenc, RateControl, Request, Tuning, X264},
    gpu::{Compositor, Delivered, Fit, Framing, Gpu, Options},
    media::{Config, Library},
    scene::{Canvas, Evaluation, LayerErrors, Moment, Show, damage::Damage, evaluate, read_layers},
};

const WAIT: Duration = Duration::from_secs(30);

fn main() {
    let gpu = Gpu::open(&Options::default()).unwrap_or_else(|error| panic!("{error}"));
    let library = Library::new(Config::default()).unwrap();
    say(format!("adapter: {}", gpu.report()));
    say("picture                     frames  drawn  ms/frame  should be  encoding ms/frame  of encoding".into());
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).unwrap_or_default();
    for case in cases().into_iter().filter(|case| case.name.contains(&wanted)) {
        let mut studio = Studio::new(&gpu, &library, &case);
        // The first round makes textures and pipelines.
        studio.run(30, None);
        let drawn_before = studio.drawn;
        let drawing_ms = cpu_ms(|| studio.run(case.frames, None)) / case.frames as f64;
        let drawn = studio.drawn - drawn_before;
        let mut encoder = open_encoder(&case.canvas);
        let both_ms = cpu_ms(|| studio.run(case.encoded_frames, Some(&mut *encoder))) / case.encoded_frames as f64;
        let encoding_ms = both_ms - drawing_ms;
        say(format!(
            "{:<26} {:>7}  {drawn:>5}  {drawing_ms:>8.3}  {:>9}  {encoding_ms:>17.2}  {:>9.0} %",
            case.name,
            case.frames,
            case.should_be,
            drawing_ms / encoding_ms * 100.0
        ));
        if case.name == TICKER {
            let filters_ms = ffmpeg_ms();
            say(format!(
                "  FFmpeg's filters for such a picture: {filters_ms:.3} ms/frame; ours is {:.0} % of that",
                drawing_ms / filters_ms * 100.0
            ));
        }
    }
}

fn say(line: String) {
    writeln!(std::io::stdout(), "{line}").expect("standard output");
}

/// Processor time that this process, all its threads and the children it waited for take for `work`.
fn cpu_ms(work: impl FnOnce()) -> f64 {
    let taken = || cpu::taken_ms("self").iter().sum::<f64>();
    let before = taken();
    work();
    taken() - before
}

/// What is drawn, and how often.
struct Case {
    name: &'static str,
    canvas: Canvas,
    /// One for each frame in turn.
    scenes: Vec<Arc<Show>>,
    /// Sizes of the renditions that are made beside the canvas's own picture.
    beside: Vec<Size>,
    frames: u64,
    encoded_frames: u64,
    should_be: &'static str,
}

const TICKER: &str = "ticker over 5 layers";

fn cases() -> Vec<Case> {
    let change = |count| ["#ffffff", "#ff4040"].map(|colour| scene(with_lamp(many(count), colour))).to_vec();
    let case = |name, scenes, frames, encoded_frames, should_be| Case {
        name,
        canvas: Canvas::default(),
        scenes,
        beside: Vec::new(),
        frames,
        encoded_frames,
        should_be,
    };
    let with_720p = |case: Case| Case { beside: vec![Size::new(1280, 720).expect("a good size")], ..case };
    let cut = || ["artwork", "panel"].map(|name| scene(full(name))).to_vec();
    vec![
        case("still", vec![scene(many(20))], 20_000, 600, "<= 0.2"),
        case("clock among 20 layers", vec![scene(with_clock(many(20)))], 9000, 600, "<= 0.5"),
        case(TICKER, vec![scene(with_ticker())], 400, 400, "<= 4"),
        case("change among 10 layers", change(10), 2000, 300, ""),
        case("change among 200 layers", change(200), 2000, 300, "<= 10's + 20 %"),
        with_720p(case("ticker, 720p beside it", vec![scene(with_ticker())], 400, 400, "")),
        case("another picture", cut(), 300, 100, ""),
        with_720p(case("the same, 720p beside it", cut(), 300, 100, "")),
    ]
}

fn scene(layers: Vec<Value>) -> Arc<Show> {
    let layers = read_layers(layers).unwrap_or_else(|problems| panic!("{problems}"));
    Arc::new(Show::of_layers(Canvas::default(), LayerErrors::Hide, layers))
}

/// A full picture, and so many things beside the upper left corner: pictures, texts, shapes.
fn many(count: usize) -> Vec<Value> {
    let mut layers = vec![
        json!({ "id": "base", "content": { "type": "image", "asset": "builtin:show/artwork.jpg", "fit": "cover" },
        "transform": { "width": 1920, "height": 1080 } }),
    ];
    layers.extend((1..count).map(|i| {
        let (x, y) = (400 + i * 83 % 1200, 200 + i * 47 % 700);
        let content = match i % 4 {
            0 => json!({ "type": "image", "asset": "builtin:show/logo.png" }),
            1 => json!({ "type": "text", "text": format!("Lot {i}"), "size": 40, "background": "#00000080", "padding": 8 }),
            2 => json!({ "type": "shape", "shape": "rectangle", "cornerRadius": 16, "fill": { "type": "linear", "angle": 90,
                "stops": [{ "offset": 0, "color": "#8a1030" }, { "offset": 1, "color": "#ff5a8080" }] } }),
            _ => json!({ "type": "color", "color": "#2060a080" }),
        };
        json!({ "id": format!("layer-{i}"), "zIndex": i, "content": content,
            "transform": { "positionX": x, "positionY": y, "width": 240, "height": 100 } })
    }));
    layers
}

/// One picture that fills the canvas.
fn full(name: &str) -> Vec<Value> {
    vec![json!({ "id": "full", "transform": { "width": 1920, "height": 1080 },
        "content": { "type": "image", "asset": format!("builtin:show/{name}.jpg"), "fit": "cover" } })]
}

fn with_clock(mut layers: Vec<Value>) -> Vec<Value> {
    layers.push(json!({ "id": "clock", "zIndex": 1000, "transform": { "positionX": 600, "positionY": 300, "width": 300, "height": 100 },
        "content": { "type": "clock", "size": 60, "align": "center", "background": "#000000a0" } }));
    layers
}

fn with_lamp(mut layers: Vec<Value>, colour: &str) -> Vec<Value> {
    layers.push(json!({ "id": "lamp", "zIndex": 1000, "content": { "type": "color", "color": colour },
        "transform": { "positionX": 40, "positionY": 40, "width": 120, "height": 60 } }));
    layers
}

/// Five layers that all lie under the ticker's band: a full picture, a translucent bar and three things that reach into it.
fn with_ticker() -> Vec<Value> {
    let at = |x: u32, y: u32, w: u32, h: u32| json!({ "positionX": x, "positionY": y, "width": w, "height": h });
    vec![
        json!({ "id": "base", "transform": at(0, 0, 1920, 1080),
            "content": { "type": "image", "asset": "builtin:show/artwork.jpg", "fit": "cover" } }),
        json!({ "id": "bar", "zIndex": 1, "transform": at(0, 900, 1920, 180), "content": { "type": "color", "color": "#00000080" } }),
        json!({ "id": "host", "zIndex": 2, "transform": at(1300, 600, 576, 432),
            "content": { "type": "image", "asset": "builtin:show/host.png" } }),
        json!({ "id": "panel", "zIndex": 3, "transform": at(60, 620, 576, 400),
            "content": { "type": "image", "asset": "builtin:show/panel.jpg", "fit": "cover" } }),
        json!({ "id": "logo", "zIndex": 4, "transform": at(800, 900, 360, 184),
            "content": { "type": "image", "asset": "builtin:show/logo.png" } }),
        json!({ "id": "ticker", "zIndex": 5, "transform": at(0, 940, 1920, 120), "content": { "type": "ticker", "size": 56, "speed": 180,
            "items": ["Lot 28 follows at noon: a silver jug, 1790", "Bids close in ten minutes", "The catalogue is at example.org/sale"] } }),
    ]
}

/// The same kind of picture as [`with_ticker`], as cheap as FFmpeg makes it: everything decoded, scaled and written once,
/// overlaid in YUV for each frame. The difference between a long and a short run leaves out the start.
fn ffmpeg_ms() -> f64 {
    const SHORT: u32 = 30;
    const LONG: u32 = 630;
    let run = |frames: u32| {
        let show = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/show").join(name);
        let font = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/fonts/inter/Inter-Regular.ttf");
        assert!(font.is_file(), "{}", font.display());
        let still = |input: usize, scale: &str, format: &str, name: &str| {
            format!("[{input}:v]scale={scale},format={format},loop=loop=-1:size=1,fps=30[{name}];")
        };
        let tape = format!(
            "color=black@0:s=4096x120:r=30,format=yuva420p,drawtext=fontfile={}:fontsize=56:fontcolor=white:y=30:\
             text='Lot 28 follows at noon - a silver jug, 1790  •  Bids close in ten minutes  •  The catalogue is at example.org/sale',\
             trim=end_frame=1,loop=loop=-1:size=1,fps=30[tape];",
            font.display()
        );
        let graph = [
            still(0, "1920:1080", "yuv420p", "base"),
            still(1, "576:432", "yuva420p", "host"),
            still(2, "576:400", "yuva420p", "panel"),
            still(3, "360:184", "yuva420p", "logo"),
            "color=black@0.5:s=1920x180:r=30,format=yuva420p,trim=end_frame=1,loop=loop=-1:size=1,fps=30[bar];".into(),
            tape,
            "[base][bar]overlay=0:900[a];[a][host]overlay=1300:600[b];[b][panel]overlay=60:620[c];[c][logo]overlay=800:896[d];\
             [d][tape]overlay=x='-mod(n*6,1200)':y=940"
                .into(),
        ]
        .concat();
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin"]);
        for name in ["artwork.jpg", "host.png", "panel.jpg", "logo.png"] {
            command.arg("-i").arg(show(name));
        }
        command.args(["-filter_complex", &graph, "-frames:v", &frames.to_string(), "-f", "null", "-"]);
        let status = command.stdin(Stdio::null()).status().expect("ffmpeg runs");
        assert!(status.success(), "ffmpeg: {status}");
    };
    (cpu_ms(|| run(LONG)) - cpu_ms(|| run(SHORT))) / f64::from(LONG - SHORT)
}

fn open_encoder(canvas: &Canvas) -> Box<dyn Encoder> {
    let config = encode::Config {
        size: canvas.size,
        rate: canvas.fps,
        bitrate_kbps: 4500,
        rate_control: RateControl::default(),
        gop_frames: 60,
        colour: VideoColour::BT709_LIMITED,
        threads: 2,
        codec: Codec::H264,
        tuning: Tuning::LowLatency,
        nvenc: Nvenc::default(),
        x264: X264::default(),
    };
    encode::open(Backend::Auto, &config).unwrap_or_else(|error| panic!("{error}")).encoder
}

/// Draws the frames of a case as the render thread does.
struct Studio<'a> {
    case: &'a Case,
    library: Arc<Library>,
    compositor: Compositor,
    shown: Option<(Arc<Show>, Evaluation)>,
    pictures: Vec<Picture>,
    number: u64,
    drawn: u64,
}

impl<'a> Studio<'a> {
    fn new(gpu: &Arc<Gpu>, library: &Arc<Library>, case: &'a Case) -> Self {
        let (size, colour) = (case.canvas.size, VideoColour::BT709_LIMITED);
        let beside = case.beside.iter().map(|&smaller| Framing::of(size, smaller, Fit::Contain));
        let framings: Vec<_> = std::iter::once(Framing::whole(size)).chain(beside).collect();
        let compositor = Compositor::with_renditions(gpu.clone(), library.clone(), size, colour, &framings).unwrap();
        let pictures = framings.iter().map(|framing| Picture::black(framing.size())).collect();
        Self { case, library: library.clone(), compositor, shown: None, pictures, number: 0, drawn: 0 }
    }

    fn run(&mut self, frames: u64, mut encoder: Option<&mut (dyn Encoder + 'static)>) {
        for _ in 0..frames {
            self.frame();
            if let Some(encoder) = &mut encoder {
                // As if it had changed everywhere: what it costs to draw is held against what it costs to encode.
                let damage = Damage::whole(self.case.canvas.size.sides());
                encoder
                    .encode(&self.pictures[0], Request { frame: self.number, is_idr_forced: false, damage })
                    .unwrap();
            }
            self.number += 1;
        }
    }

    fn frame(&mut self) {
        let scene = &self.case.scenes[self.number as usize % self.case.scenes.len()];
        let elapsed = self.case.canvas.fps.time_of(self.number);
        if self.shown.as_ref().is_some_and(|(shown, plan)| Arc::ptr_eq(shown, scene) && plan.holds_at(elapsed)) {
            return self.compositor.maintain().unwrap();
        }
        let evaluation = self.plan(scene, Moment { elapsed, utc_ms: elapsed.as_millis() as i64 });
        if self.shown.as_ref().is_some_and(|(_, plan)| plan.draw_list == evaluation.draw_list) {
            self.compositor.maintain().unwrap();
        } else {
            self.compositor.render(self.number, &evaluation.draw_list).unwrap();
            assert!(!self.compositor.is_pending() && self.compositor.problems().is_empty());
            self.collect();
            self.drawn += 1;
        }
        self.shown = Some((scene.clone(), evaluation));
    }

    /// As the frame store does: the rows that changed are copied.
    fn collect(&mut self) {
        let pictures = &mut self.pictures;
        let collected = self.compositor.collect_each(WAIT, |Delivered { rendition, picture, .. }| {
            let (bytes, damage) = picture.expect("every rendition is wanted");
            let mut rows = Rows::none(pictures[rendition].layout());
            damage.rects().iter().for_each(|rect| rows.add(rect.top..rect.bottom));
            rows.spans().for_each(|span| pictures[rendition].bytes_mut()[span.clone()].copy_from_slice(&bytes[span]));
        });
        assert_eq!(collected.unwrap(), Some(self.number));
    }

    /// On air there is a frame's time for what is asked for ahead; here it is waited for.
    fn plan(&self, show: &Show, moment: Moment) -> Evaluation {
        let evaluation = evaluate(show, moment, &*self.library);
        if !evaluation.is_pending {
            return evaluation;
        }
        assert!(self.library.prepare_show(show, moment, WAIT).is_complete());
        evaluate(show, moment, &*self.library)
    }
}
