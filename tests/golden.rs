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

use image::{Rgba, RgbaImage};
use stream_manager::{
    base::{colour::VideoColour, nv12::Picture},
    gpu::{Compositor, Gpu, Options},
    media::{Config, Library},
    scene::{Canvas, LayerErrors, Moment, Show, evaluate, read_layers},
};

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
    text_align,
    text_style,
    text_box,
    text_rich,
    text_stroke_shadow,
    text_fit_ellipsis,
    text_rtl_emoji,
    shape_rectangle,
    shape_gradient,
    shape_outlines,
    transform,
    animation_properties,
    animation_colour,
    animation_path,
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

fn check(name: &str) {
    let path = |suffix: &str| dir().join(format!("{name}{suffix}.png"));
    let (scene, moment) = read(&dir().join(format!("{name}.json")));
    let actual = draw(&scene, moment);
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
        difference(&actual, &expected).save(path(".diff")).unwrap();
        panic!("{name}: {outliers} pixels differ by more than {TOLERANCE}; see {name}.actual.png and {name}.diff.png");
    }
}

fn difference(a: &RgbaImage, b: &RgbaImage) -> RgbaImage {
    RgbaImage::from_fn(a.width(), a.height(), |x, y| {
        let (a, b) = (a.get_pixel(x, y), b.get_pixel(x, y));
        let off = |i: usize| a[i].abs_diff(b[i]).saturating_mul(8);
        Rgba([off(0), off(1), off(2), 255])
    })
}

fn read(path: &Path) -> (Show, Moment) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}"));
    let canvas: Canvas = serde_json::from_value(document["canvas"].take()).unwrap();
    let layer_errors: LayerErrors = serde_json::from_value(document["layerErrors"].take()).unwrap_or_default();
    let at_ms: u32 = document.get("atMs").map_or(0, |at| serde_json::from_value(at.clone()).unwrap());
    let serde_json::Value::Array(layers) = document["layers"].take() else { panic!("layers are an array") };
    let layers = read_layers(layers).unwrap_or_else(|problems| panic!("{problems}"));
    let moment = Moment { elapsed: Duration::from_millis(at_ms.into()), utc_ms: at_ms.into() };
    (Show::of_layers(canvas, layer_errors, layers), moment)
}

/// The pictures that the scenes refer to: made here, so that every texel is known.
fn library() -> Arc<Library> {
    static LIBRARY: OnceLock<(Arc<Library>, tempfile::TempDir)> = OnceLock::new();
    let make = || {
        let dir = tempfile::tempdir().unwrap();
        grid().save(dir.path().join("grid.png")).unwrap();
        alpha().save(dir.path().join("alpha.png")).unwrap();
        lines().save(dir.path().join("lines.png")).unwrap();
        std::fs::write(dir.path().join("broken.png"), "no picture").unwrap();
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

fn gpu() -> Arc<Gpu> {
    static GPU: OnceLock<Arc<Gpu>> = OnceLock::new();
    GPU.get_or_init(|| Gpu::open(&Options::default()).unwrap_or_else(|error| panic!("{error}"))).clone()
}

fn draw(show: &Show, moment: Moment) -> RgbaImage {
    let (gpu, library) = (gpu(), library());
    let size = show.canvas.size;
    let prepared = library.prepare_show(show, moment, Duration::from_secs(20));
    assert_eq!(prepared.pending, []);
    let draw_list = evaluate(show, moment, &*library).draw_list;
    let mut compositor = Compositor::new(gpu.clone(), library, size, VideoColour::BT709_LIMITED).unwrap();
    compositor.render(0, &draw_list).unwrap();
    let collected = compositor.collect(Duration::from_secs(20), &mut Picture::black(size));
    assert_eq!(collected, Ok(Some(0)));
    assert_eq!((compositor.problems(), compositor.is_pending(), gpu.faults_total()), (&[][..], false, 0));
    compositor.capture().unwrap()
}
