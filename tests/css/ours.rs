//! Our side of the oracle: a case's layers drawn on a canvas of the size of its cell.

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use image::{Rgba, RgbaImage};
use serde_json::{Value, json};
use stream_manager::{
    base::{colour::VideoColour, nv12::Picture},
    gpu::{Compositor, Gpu, Options},
    media::{Config, Library},
    scene::{Canvas, LayerErrors, Moment, Show, evaluate, read_layers},
};

use crate::CELL;

pub(crate) const BACKGROUND: &str = "#203040";
const WAIT: Duration = Duration::from_secs(30);

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The directory of the cases' pictures, which are made here: `smooth.png`, `tiles.png`,
/// `columns.png`, `glass.png` (the same, clear in part) and `rows.png`.
pub(crate) fn assets() -> &'static Path {
    static DIR: OnceLock<tempfile::TempDir> = OnceLock::new();
    DIR.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        smooth().save(dir.path().join("smooth.png")).unwrap();
        tiles().save(dir.path().join("tiles.png")).unwrap();
        columns(&[255]).save(dir.path().join("columns.png")).unwrap();
        columns(&[160, 255, 90, 0, 210]).save(dir.path().join("glass.png")).unwrap();
        rows().save(dir.path().join("rows.png")).unwrap();
        dir
    })
    .path()
}

/// 90 x 60: colours that change slowly, so that only a wrong place or size makes a difference.
fn smooth() -> RgbaImage {
    RgbaImage::from_fn(90, 60, |x, y| {
        let wave = |v: u32, side: f32| ((v as f32 / side * std::f32::consts::TAU).sin() * 100.0 + 128.0) as u8;
        Rgba([wave(x, 90.0), wave(y, 60.0), (x + y) as u8, 255])
    })
}

/// 80 x 40: tiles of 10 pixels in four colours, every other row of tiles half clear.
fn tiles() -> RgbaImage {
    RgbaImage::from_fn(80, 40, |x, y| {
        let alpha = if y / 10 % 2 == 0 { 255 } else { 128 };
        let [r, g, b] =
            [[230, 60, 50], [40, 170, 90], [60, 90, 230], [240, 200, 60]][((x / 10 + y / 10 * 2) % 4) as usize];
        Rgba([r, g, b, alpha])
    })
}

const COLUMNS: [[u8; 3]; 12] = [
    [0, 0, 0],
    [255, 255, 255],
    [128, 128, 128],
    [255, 0, 0],
    [0, 255, 0],
    [0, 0, 255],
    [200, 120, 40],
    [40, 90, 200],
    [120, 200, 60],
    [255, 255, 0],
    [60, 60, 60],
    [230, 200, 220],
];
const ROWS: [[u8; 4]; 8] = [
    [255, 0, 0, 255],
    [40, 160, 220, 255],
    [255, 255, 255, 128],
    [0, 0, 0, 128],
    [128, 128, 128, 255],
    [250, 220, 30, 200],
    [20, 40, 80, 90],
    [180, 60, 200, 255],
];

/// 180 x 96: columns of 12 colours with these alphas in turn.
fn columns(alphas: &[u8]) -> RgbaImage {
    RgbaImage::from_fn(180, 96, |x, _| {
        let i = x as usize / 15;
        let [r, g, b] = COLUMNS[i];
        Rgba([r, g, b, alphas[i % alphas.len()]])
    })
}

/// 180 x 96: rows of 8 colours.
fn rows() -> RgbaImage {
    RgbaImage::from_fn(180, 96, |_, y| Rgba(ROWS[y as usize / 12]))
}

struct Easel {
    library: Arc<Library>,
    gpu: Arc<Gpu>,
}

/// Draws layers on a canvas of the size of a cell.
pub(crate) fn draw(layers: &Value) -> RgbaImage {
    static EASEL: OnceLock<Easel> = OnceLock::new();
    let Easel { library, gpu } = EASEL.get_or_init(|| {
        let config = Config { assets_dir: Some(assets().into()), ..Config::default() };
        let gpu = Gpu::open(&Options::default()).unwrap_or_else(|error| panic!("{error}"));
        Easel { library: Library::new(config).unwrap(), gpu }
    });
    let canvas = json!({ "width": CELL[0], "height": CELL[1], "background": BACKGROUND });
    let canvas: Canvas = serde_json::from_value(canvas).unwrap();
    let layers =
        read_layers(layers.as_array().unwrap().clone()).unwrap_or_else(|problems| panic!("{problems}\n{layers:#}"));
    let show = Show::of_layers(canvas, LayerErrors::Hide, layers);
    assert!(library.prepare_show(&show, Moment::START, WAIT).is_complete(), "{:?}", show.on_air());
    let list = evaluate(&show, Moment::START, &**library).draw_list;
    let size = show.canvas.size;
    let mut compositor = Compositor::new(gpu.clone(), library.clone(), size, VideoColour::BT709_LIMITED).unwrap();
    compositor.render(0, &list).unwrap();
    assert_eq!(compositor.collect(WAIT, &mut Picture::black(size)), Ok(Some(0)));
    assert_eq!((compositor.problems(), compositor.is_pending(), gpu.faults_total()), (&[][..], false, 0));
    compositor.capture().unwrap()
}
