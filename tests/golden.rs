//! Golden pictures: each `tests/golden/NAME.json` is a scene, `NAME.png` what it must look like, `atMs` milliseconds (0 if
//! not given) after the stream's start at the beginning of 1970.
//!
//! `UPDATE_GOLDEN=1 cargo test --test golden` writes the pictures anew: look at each before it is committed. A failure
//! leaves `NAME.actual.png` and `NAME.diff.png` beside the expected one (differences times eight).
//!
//! Drawn on whatever Vulkan adapter is there, lavapipe in CI; without one the tests fail and say how to install it.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use image::{Rgba, RgbaImage, codecs::gif::Repeat};
use stream_manager::{
    base::{colour::VideoColour, nv12::Picture, size::Size},
    gpu::{Compositor, Delivered, Fit, Framing, Gpu, Options},
    media::{Config, Library},
    scene::{DrawList, Moment, Show, evaluate},
};

mod moving;
mod servers;

const WAIT: Duration = Duration::from_secs(20);
/// Code values a channel may be off. Rasterisers round differently (lavapipe itself with the vector width of the CPU),
/// and a value passes at most three roundings: texture, blend, target.
const TOLERANCE: u8 = 3;
/// Share of pixels that may be off by more: on an edge that passes exactly through a pixel's centre the rasteriser's
/// rounding decides which pixels are shaded at all.
const OUTLIERS_MAX: f64 = 0.001;

macro_rules! golden {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })+

        const NAMES: &[&str] = &[$(stringify!($name)),+];
    };
}

golden!(
    chart,
    chat,
    lower_third,
    colour,
    image_fit,
    image_alpha,
    image_moving,
    sequence,
    sprite,
    svg,
    character,
    slideshow,
    visual_feed,
    text_align,
    text_style,
    text_box,
    text_rich,
    text_stroke_shadow,
    text_fit_ellipsis,
    text_rtl_emoji,
    text_reveal,
    shape_rectangle,
    shape_gradient,
    shape_outlines,
    transform,
    animation_properties,
    animation_colour,
    animation_path,
    enter_exit,
    tell_time,
    tell_data,
    ticker,
    ticker_priority,
    blend_srgb,
    blend_linear,
    blend_modes_srgb,
    blend_modes_linear,
    group,
    layer_errors,
    shader,
    effect_shader,
    effect_blur_shadow_glow,
    effect_blur_shadow_glow_linear,
    effect_grade,
    effect_grade_linear,
    effect_lut,
    effect_lut_linear,
    effect_keys,
    effect_keys_linear,
    mask,
    mask_linear,
    border,
    bounds,
    corner_pin,
    transition_fade,
    transition_fade_color,
    transition_slide,
    transition_swipe,
    transition_interrupted,
    transition_nested,
    scene_layer,
    transition_push,
    transition_wipe,
    transition_iris,
    transition_clock,
    transition_luma,
    transition_luma_inverted,
    transition_shader,
    transition_stinger,
);

fn dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

#[test]
fn every_scene_is_tested() {
    let is_scene = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let scenes = std::fs::read_dir(dir()).unwrap().map(|entry| entry.unwrap().path()).filter(is_scene);
    let scenes: BTreeSet<_> = scenes.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(scenes, NAMES.iter().map(|&name| name.to_owned()).collect());
}

/// Times at which a scene is shown, in milliseconds after its own: on, back, and far on.
const LATER_MS: [u64; 6] = [0, 40, 700, 1300, 40, 6000];

/// Whatever a scene has in it: drawing only what changed gives what drawing everything gives, bit for bit, as time goes and
/// as layers come and go. `damage.rs` tries that with random scenes.
#[test]
fn every_scene_is_the_same_when_only_what_changed_is_drawn() {
    for name in NAMES {
        let mut document = document(name);
        let (show, start) = read(document.clone());
        let [mut kept, mut whole] = [(); 2].map(|()| compositor(&show));
        let mut draw = |show: &Show, moment: Moment, what: &str| {
            let list = plan(show, moment);
            whole.forget();
            assert!(paint(&mut kept, &list) == paint(&mut whole, &list), "{name}, {what}");
        };
        for ms in LATER_MS {
            let later = Moment { elapsed: start.elapsed + Duration::from_millis(ms), utc_ms: start.utc_ms + ms as i64 };
            draw(&show, later, &format!("{ms} ms later"));
        }
        // Shows of several scenes have theirs within.
        for i in 0..document["layers"].as_array().map_or(0, Vec::len) {
            let enabled = document["layers"][i].get("enabled") == Some(&false.into());
            document["layers"][i]["enabled"] = enabled.into();
            draw(&read(document.clone()).0, start, &format!("layer {i} toggled"));
        }
    }
}

fn check(name: &str) {
    let (scene, moment) = read(document(name));
    compare(name, &draw(&scene, moment));
}

fn compare(name: &str, actual: &RgbaImage) {
    let path = |suffix: &str| dir().join(format!("{name}{suffix}.png"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        actual.save(path("")).unwrap();
        return;
    }
    let expected = image::open(path("")).unwrap_or_else(|error| panic!("{name}.png: {error}")).into_rgba8();
    assert_eq!(actual.dimensions(), expected.dimensions(), "{name}");
    let off = |(a, b): (&Rgba<u8>, &Rgba<u8>)| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > TOLERANCE);
    let outliers = actual.pixels().zip(expected.pixels()).filter(|&pair| off(pair)).count();
    let share = outliers as f64 / f64::from(actual.width() * actual.height());
    if share > OUTLIERS_MAX {
        actual.save(path(".actual")).unwrap();
        difference(actual, &expected).save(path(".diff")).unwrap();
        panic!("{name}: {outliers} pixels differ by more than {TOLERANCE}; see {name}.actual.png and {name}.diff.png");
    }
}

/// The show that comes with the program, with much small text in it, in pictures of these sizes, and how much of them it
/// fills: a third smaller, a third of it, by a ratio that is no whole number, and between bars.
const RENDITIONS: [([u32; 2], [u32; 2]); 4] =
    [([1280, 720], [1280, 720]), ([640, 360], [640, 360]), ([854, 480], [854, 480]), ([480, 480], [480, 270])];
/// Those that are compared with what they must look like, too.
const GOLDEN: [(usize, &str); 2] = [(1, "rendition_640x360"), (3, "rendition_480x480")];
/// How like FFmpeg's a rendition is at least: signal to noise of luma in dB, and structural similarity. Measured are 50.5 to
/// 54.8 dB and 0.9989 to 0.9995; of above 45 dB no eye sees the difference.
const LIKE_FFMPEG: (f64, f64) = (48.0, 0.998);

/// Renditions look as FFmpeg's `scale` with `flags=lanczos` makes them of the same picture, and as they did.
#[test]
fn renditions_look_as_ffmpeg_scales_them() {
    let text = include_str!("../config/default-show.json");
    let mut document: serde_json::Value = serde_json::from_str(text).unwrap();
    let fields = document.as_object_mut().unwrap();
    // What of a stream is no show.
    fields.retain(|field, _| !["id", "name", "encoder", "audio", "autoStart"].contains(&field.as_str()));
    let show = Show::read(document).unwrap_or_else(|problems| panic!("{problems}"));
    let list = plan(&show, Moment { elapsed: Duration::ZERO, utc_ms: 1_767_268_800_000 });
    let canvas = show.canvas.size;
    let framing = |size: [u32; 2]| Framing::of(canvas, Size::new(size[0], size[1]).unwrap(), Fit::Contain);
    let framings = RENDITIONS.map(|(size, _)| framing(size));
    let mut compositor =
        Compositor::with_renditions(gpu(), library(), canvas, VideoColour::BT709_LIMITED, &framings).unwrap();
    let mut pictures = framings.map(|framing| Picture::black(framing.size()));
    compositor.render(0, &list).unwrap();
    let collected = compositor.collect_each(WAIT, |Delivered { rendition, picture, .. }| {
        pictures[rendition].bytes_mut().copy_from_slice(picture.unwrap().0);
    });
    assert_eq!(collected, Ok(Some(0)));
    let dir = tempfile::tempdir().unwrap();
    let whole = dir.path().join("whole.png");
    compositor.capture().unwrap().save(&whole).unwrap();
    GOLDEN.into_iter().for_each(|(index, name)| compare(name, &rgb(&pictures[index])));
    for ((size, shown), picture) in RENDITIONS.into_iter().zip(&pictures) {
        let theirs = scaled_by_ffmpeg(&whole, dir.path(), size, shown);
        let (psnr, ssim) = likeness(picture, &theirs);
        assert!(psnr >= LIKE_FFMPEG.0 && ssim >= LIKE_FFMPEG.1, "{size:?}: {psnr:.1} dB, similarity {ssim:.4}");
    }
}

/// The same picture by FFmpeg, which fills so much of it.
fn scaled_by_ffmpeg(whole: &Path, dir: &Path, [width, height]: [u32; 2], shown: [u32; 2]) -> Picture {
    let (file, size) = (dir.join("theirs.nv12"), Size::new(width, height).unwrap());
    let filter = format!(
        "scale={}:{}:flags=lanczos+accurate_rnd+full_chroma_inp:out_color_matrix=bt709:out_range=tv,format=nv12,\
         pad={width}:{height}:-1:-1:black",
        shown[0], shown[1]
    );
    let input = whole.to_str().unwrap();
    servers::ffmpeg(&["-i", input, "-vf", &filter, "-pix_fmt", "nv12", "-f", "rawvideo", file.to_str().unwrap()]);
    let bytes = std::fs::read(&file).unwrap();
    let mut picture = Picture::black(size);
    // FFmpeg's rows are not padded.
    let pitch = picture.layout().pitch;
    let rows = picture.bytes_mut().chunks_exact_mut(pitch).zip(bytes.chunks_exact(width as usize));
    rows.for_each(|(row, theirs)| row[..theirs.len()].copy_from_slice(theirs));
    picture
}

/// Peak signal to noise ratio of luma in dB, and structural similarity (Wang et al. 2004, in squares of eight pixels).
fn likeness(ours: &Picture, theirs: &Picture) -> (f64, f64) {
    let (pitch, [width, height]) = (ours.layout().pitch, ours.layout().size.sides());
    let at = |picture: &Picture, x: u32, y: u32| f64::from(picture.luma()[y as usize * pitch + x as usize]);
    let places = |x: u32, y: u32, side: u32| (y..y + side).flat_map(move |y| (x..x + side).map(move |x| (x, y)));
    let (mut similarity, mut squares, mut error) = (0.0, 0.0, 0.0);
    for (left, top) in (0..height / 8).flat_map(|row| (0..width / 8).map(move |column| (column * 8, row * 8))) {
        let mut sums = [0.0; 5];
        for (x, y) in places(left, top, 8) {
            let (a, b) = (at(ours, x, y), at(theirs, x, y));
            error += (a - b).powi(2);
            for (sum, value) in sums.iter_mut().zip([a, b, a * a, b * b, a * b]) {
                *sum += value / 64.0;
            }
        }
        let [a, b, aa, bb, ab] = sums;
        let (c1, c2) = ((0.01f64 * 255.0).powi(2), (0.03f64 * 255.0).powi(2));
        let (means, spreads) = (a * a + b * b + c1, (aa - a * a) + (bb - b * b) + c2);
        similarity += (2.0 * a * b + c1) * (2.0 * (ab - a * b) + c2) / (means * spreads);
        squares += 1.0;
    }
    let error = error / (squares * 64.0);
    (10.0 * (255.0 * 255.0 / error.max(1e-9)).log10(), similarity / squares)
}

/// NV12 as a picture to look at: BT.709 limited back to RGB, each chroma sample for its four pixels.
fn rgb(picture: &Picture) -> RgbaImage {
    let (pitch, [width, height]) = (picture.layout().pitch, picture.layout().size.sides());
    RgbaImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as usize, y as usize);
        let at = y / 2 * pitch + x / 2 * 2;
        let luma = (f64::from(picture.luma()[y * pitch + x]) - 16.0) / 219.0;
        let [blue, red] = [0, 1].map(|i| (f64::from(picture.chroma()[at + i]) - 128.0) / 224.0);
        let (r, b) = (luma + 1.5748 * red, luma + 1.8556 * blue);
        let g = (luma - 0.2126 * r - 0.0722 * b) / 0.7152;
        let [r, g, b] = [r, g, b].map(|v| (v * 255.0).round() as u8);
        Rgba([r, g, b, 255])
    })
}

fn difference(a: &RgbaImage, b: &RgbaImage) -> RgbaImage {
    RgbaImage::from_fn(a.width(), a.height(), |x, y| {
        let (a, b) = (a.get_pixel(x, y), b.get_pixel(x, y));
        let off = |i: usize| a[i].abs_diff(b[i]).saturating_mul(8);
        Rgba([off(0), off(1), off(2), 255])
    })
}

fn document(name: &str) -> serde_json::Value {
    let text = std::fs::read_to_string(dir().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn read(mut document: serde_json::Value) -> (Show, Moment) {
    let at_ms = document.as_object_mut().unwrap().remove("atMs").map_or(0, |at| at.as_u64().unwrap());
    let show = Show::read(document).unwrap_or_else(|problems| panic!("{problems}"));
    (show, Moment { elapsed: Duration::from_millis(at_ms), utc_ms: at_ms as i64 })
}

/// The pictures that the scenes refer to: made here, so that every texel is known.
fn library() -> Arc<Library> {
    static LIBRARY: OnceLock<(Arc<Library>, tempfile::TempDir)> = OnceLock::new();
    let make = || {
        let dir = tempfile::tempdir().unwrap();
        grid().save(dir.path().join("grid.png")).unwrap();
        alpha().save(dir.path().join("alpha.png")).unwrap();
        lines().save(dir.path().join("lines.png")).unwrap();
        for (name, table) in [("swap", swap as fn(_) -> _), ("warm", warm), ("same", |c| c)] {
            std::fs::write(dir.path().join(format!("{name}.cube")), cube(table)).unwrap();
        }
        std::fs::write(dir.path().join("broken.png"), "no picture").unwrap();
        let steps: Vec<_> = (0..6).map(|i| (step(i), 100 + 100 * i)).collect();
        std::fs::write(dir.path().join("steps.gif"), moving::gif(&steps, Some(Repeat::Infinite))).unwrap();
        std::fs::write(dir.path().join("steps.png"), moving::apng(&steps, 0)).unwrap();
        std::fs::write(dir.path().join("steps.webp"), moving::webp(&steps, 1)).unwrap();
        std::fs::create_dir(dir.path().join("steps")).unwrap();
        for (i, (picture, _)) in steps.iter().enumerate() {
            picture.save(dir.path().join(format!("steps/{:03}.png", i + 1))).unwrap();
        }
        sheet().save(dir.path().join("sheet.png")).unwrap();
        std::fs::write(dir.path().join("badge.svg"), BADGE).unwrap();
        let config = Config { assets_dir: Some(dir.path().into()), ..Config::default() };
        (Library::new(config).unwrap(), dir)
    };
    LIBRARY.get_or_init(make).0.clone()
}

/// 80 x 40: a checkerboard of 10 pixels with a red, green, blue and yellow corner.
fn grid() -> RgbaImage {
    RgbaImage::from_fn(80, 40, |x, y| match (x / 10, y / 10) {
        (0, 0) => Rgba([220, 40, 40, 255]),
        (7, 0) => Rgba([40, 180, 60, 255]),
        (0, 3) => Rgba([50, 80, 220, 255]),
        (7, 3) => Rgba([230, 200, 40, 255]),
        (i, j) if (i + j) % 2 == 0 => Rgba([235, 235, 235, 255]),
        _ => Rgba([90, 90, 100, 255]),
    })
}

/// 64 x 64, clear ground: a ring with `i + 1` of six sectors filled, so that each frame tells its number.
fn step(i: u32) -> RgbaImage {
    RgbaImage::from_fn(64, 64, |x, y| {
        let (x, y) = (x as f32 - 31.5, y as f32 - 31.5);
        let turn = (x.atan2(-y) / std::f32::consts::TAU).rem_euclid(1.0);
        match x.hypot(y) {
            d if !(14.0..=31.0).contains(&d) => Rgba([0; 4]),
            d if !(16.0..=29.0).contains(&d) => Rgba([255; 4]),
            _ if turn * 6.0 < (i + 1) as f32 => Rgba([250, 170, 40, 255]),
            _ => Rgba([50, 60, 80, 255]),
        }
    })
}

/// 130 x 66: the six steps at half size in a grid of 4 x 2 cells, each filled to its edges, two pixels left over.
fn sheet() -> RgbaImage {
    const GROUND: [[u8; 4]; 2] = [[30, 60, 90, 255], [90, 40, 60, 255]];
    let mut sheet = RgbaImage::from_pixel(130, 66, Rgba([255, 0, 255, 255]));
    for i in 0..8 {
        let step = step(i.min(5));
        for (x, y) in (0..32).flat_map(|y| (0..32).map(move |x| (x, y))) {
            let pixel = step.get_pixel(x * 2, y * 2);
            let pixel = if pixel[3] > 0 { *pixel } else { Rgba(GROUND[(i % 2) as usize]) };
            sheet.put_pixel(i % 4 * 32 + x, i / 4 * 32 + y, pixel);
        }
    }
    sheet
}

/// A badge of 120 x 120: gradient, stroke, clip, a use, a style sheet and a text.
const BADGE: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 120" width="120" height="120">
  <style>.ray { stroke: #ffd166; stroke-width: 3; stroke-linecap: round } .label { font: 600 22px Inter; fill: #fff }</style>
  <defs>
    <radialGradient id="ball"><stop offset="0" stop-color="#4f8cff"/><stop offset="1" stop-color="#1b2a6b"/></radialGradient>
    <clipPath id="round"><circle cx="60" cy="60" r="44"/></clipPath>
    <g id="rays"><path class="ray" d="M60 4V12M60 108V116"/></g>
  </defs>
  <use href="#rays"/><use href="#rays" transform="rotate(45 60 60)"/><use href="#rays" transform="rotate(90 60 60)"/>
  <use href="#rays" transform="rotate(135 60 60)"/>
  <circle cx="60" cy="60" r="44" fill="url(#ball)"/>
  <g clip-path="url(#round)" opacity=".35"><path d="M0 80Q60 50 120 80V120H0Z" fill="#fff"/></g>
  <text class="label" x="60" y="68" text-anchor="middle">LIVE</text>
</svg>"##;

/// 64 x 64: a green disc that is opaque within 16 pixels and clear from 32 on; clear pixels are red, which must not show.
fn alpha() -> RgbaImage {
    RgbaImage::from_fn(64, 64, |x, y| {
        let distance = (x as f32 - 31.5).hypot(y as f32 - 31.5);
        match ((32.0 - distance) / 16.0 * 255.0).clamp(0.0, 255.0) as u8 {
            0 => Rgba([255, 0, 0, 0]),
            alpha => Rgba([60, 220, 120, alpha]),
        }
    })
}

/// 256 x 256: black and white lines of one pixel, which must become grey, not a pattern, when they are shown smaller.
fn lines() -> RgbaImage {
    RgbaImage::from_fn(256, 256, |x, y| Rgba(if (x + y) % 2 == 0 { [255; 4] } else { [0, 0, 0, 255] }))
}

/// A table of colours with five entries along each axis.
fn cube(table: fn([f64; 3]) -> [f64; 3]) -> String {
    let at = |i: usize| [i % 5, i / 5 % 5, i / 25].map(|v| v as f64 / 4.0);
    let lines = (0..125).map(|i| table(at(i)).map(|v| format!("{v:.6}")).join(" ") + "\n");
    std::iter::once("LUT_3D_SIZE 5\n".to_owned()).chain(lines).collect()
}

fn swap([r, g, b]: [f64; 3]) -> [f64; 3] {
    [b, r, g]
}

fn warm([r, g, b]: [f64; 3]) -> [f64; 3] {
    [r.powf(0.8), g * 0.95, b * b * 0.9]
}

fn gpu() -> Arc<Gpu> {
    static GPU: OnceLock<Arc<Gpu>> = OnceLock::new();
    GPU.get_or_init(|| Gpu::open(&Options::default()).unwrap_or_else(|error| panic!("{error}"))).clone()
}

fn draw(show: &Show, moment: Moment) -> RgbaImage {
    let mut compositor = compositor(show);
    paint(&mut compositor, &plan(show, moment)).0
}

fn plan(show: &Show, moment: Moment) -> DrawList {
    let library = library();
    let prepared = library.prepare_show(show, moment, WAIT);
    assert_eq!(prepared.pending, []);
    evaluate(show, moment, &*library).draw_list
}

fn compositor(show: &Show) -> Compositor {
    Compositor::new(gpu(), library(), show.canvas.size, VideoColour::BT709_LIMITED).unwrap()
}

/// Draws a list; its picture, and that as the encoder gets it.
fn paint(compositor: &mut Compositor, list: &DrawList) -> (RgbaImage, Picture) {
    let mut picture = Picture::black(compositor.size());
    compositor.prepare(list, WAIT).unwrap();
    compositor.render(0, list).unwrap();
    assert_eq!(compositor.collect(WAIT, &mut picture), Ok(Some(0)));
    assert_eq!((compositor.problems(), compositor.is_pending(), gpu().faults_total()), (&[][..], false, 0));
    (compositor.capture().unwrap(), picture)
}
