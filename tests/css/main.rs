//! The CSS oracle: the same pictures written as scenes and as HTML, drawn by us and by Chromium, and compared.
//!
//! Every case stands in one page of which Chromium makes one screenshot, so a run starts one browser. A case has a limit:
//! how many code values a channel may be off, and how many pixels may be off by more; each says why it is not stricter.
//! What CSS computes without drawing, the easings and where lines break, is asked of the browser as numbers.
//!
//! A failure leaves NAME.actual.png (ours), NAME.expected.png (Chromium's) and NAME.diff.png (times eight) in target/tmp.
//! Chromium must be installed; without it every test here fails and says so. Left out: what CSS does not have.

mod blends;
mod easings;
mod effects;
mod ours;
mod pictures;
#[path = "../support/mod.rs"]
mod support;
mod texts;

use std::{path::PathBuf, sync::OnceLock};

use image::{Rgba, RgbaImage, imageops};
use serde_json::Value;
use support::chromium;

/// Width and height of the picture of a case.
const CELL: [u32; 2] = [200, 120];
const COLUMNS: u32 = 8;

/// One picture, written twice.
struct Case {
    name: String,
    /// The scene's layers, an array.
    layers: Value,
    /// What stands in a box of [`CELL`] with the same background.
    html: String,
    limit: Limit,
}

/// How far a picture may be from Chromium's.
#[derive(Debug, Clone, Copy)]
struct Limit {
    /// Code values a channel may be off.
    off: u8,
    /// Share of pixels that may be off by more.
    outliers: f64,
}

impl Case {
    fn new(name: impl Into<String>, layers: Value, html: impl Into<String>, limit: Limit) -> Self {
        Self { name: name.into(), layers, html: html.into(), limit }
    }
}

/// Every case, in the order in which they stand in the page.
fn all() -> Vec<Case> {
    [
        pictures::fits(),
        pictures::gradients(),
        pictures::transforms(),
        pictures::crops(),
        texts::cases(),
        blends::modes(),
        blends::modes_over_translucent(),
        blends::groups(),
        effects::corners(),
        effects::blurs(),
        effects::filters(),
        effects::masks(),
        effects::pins(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What Chromium made of the page.
struct Page {
    names: Vec<String>,
    picture: RgbaImage,
    numbers: Value,
}

impl Page {
    fn get() -> &'static Self {
        static PAGE: OnceLock<Page> = OnceLock::new();
        PAGE.get_or_init(|| {
            let cases = all();
            let (picture, numbers) = chromium::show(&html_of(&cases), page_size(cases.len()));
            Self { names: cases.into_iter().map(|case| case.name).collect(), picture, numbers }
        })
    }

    fn cell(&self, name: &str) -> RgbaImage {
        let i = self.names.iter().position(|other| other == name).unwrap_or_else(|| panic!("{name} is not in all()"));
        let [x, y] = place(i);
        imageops::crop_imm(&self.picture, x, y, CELL[0], CELL[1]).to_image()
    }
}

fn place(i: usize) -> [u32; 2] {
    let i = i as u32;
    [i % COLUMNS * CELL[0], i / COLUMNS * CELL[1]]
}

fn page_size(cases: usize) -> [u32; 2] {
    [COLUMNS * CELL[0], (cases as u32).div_ceil(COLUMNS) * CELL[1]]
}

fn html_of(cases: &[Case]) -> String {
    let cells: String = cases
        .iter()
        .enumerate()
        .map(|(i, case)| {
            let [x, y] = place(i);
            format!("<div class=cell style='left:{x}px;top:{y}px'>{}</div>\n", case.html)
        })
        .collect();
    let [width, height] = CELL;
    let fonts = ours::root().join("assets/fonts/inter");
    let face = |file: &str, weight: u32, style: &str| {
        let url = chromium::file_url(&fonts.join(file));
        format!("@font-face {{ font-family: Inter; font-weight: {weight}; font-style: {style}; src: url('{url}') }}\n")
    };
    let faces = [face("Inter-Regular.ttf", 400, "normal"), face("Inter-Bold.ttf", 700, "normal")].concat();
    format!(
        "<!doctype html><meta charset=utf-8><style>{faces}
         body {{ margin: 0; background: black }}
         .cell {{ position: absolute; width: {width}px; height: {height}px; overflow: hidden; isolation: isolate;
                  background: {background}; color: white; font: 20px/1.2 Inter; text-rendering: geometricPrecision }}
         .cell * {{ position: absolute; box-sizing: border-box; transform-origin: 0 0 }}
         </style>\n{cells}{script}",
        background = ours::BACKGROUND,
        script = easings::script(),
    )
}

/// Draws each case and compares it with Chromium's picture; says of all that differ how much they do.
fn compare(cases: Vec<Case>) {
    assert!(!cases.is_empty());
    let failures: Vec<String> = cases.iter().filter_map(|case| difference(case).err()).collect();
    assert!(failures.is_empty(), "{} of {} differ:\n{}", failures.len(), cases.len(), failures.join("\n"));
}

fn difference(case: &Case) -> Result<(), String> {
    let (actual, expected) = (ours::draw(&case.layers), Page::get().cell(&case.name));
    let off = |(a, b): (&Rgba<u8>, &Rgba<u8>)| (0..3).map(|i| a[i].abs_diff(b[i])).max().unwrap_or(0);
    let offs: Vec<u8> = actual.pixels().zip(expected.pixels()).map(off).collect();
    let outliers = offs.iter().filter(|&&off| off > case.limit.off).count();
    let share = outliers as f64 / offs.len() as f64;
    if share <= case.limit.outliers {
        return Ok(());
    }
    let path = |suffix: &str| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.{suffix}.png", case.name));
    let diff = RgbaImage::from_fn(CELL[0], CELL[1], |x, y| {
        let (a, b) = (actual.get_pixel(x, y), expected.get_pixel(x, y));
        let off = |i: usize| a[i].abs_diff(b[i]).saturating_mul(8);
        Rgba([off(0), off(1), off(2), 255])
    });
    for (suffix, picture) in [("actual", &actual), ("expected", &expected), ("diff", &diff)] {
        picture.save(path(suffix)).unwrap();
    }
    let most = offs.iter().max().unwrap_or(&0);
    Err(format!(
        "{}: {outliers} pixels ({share:.4} of all, {:.4} allowed) are off by more than {}, the most by {most}; see {}",
        case.name,
        case.limit.outliers,
        case.limit.off,
        path("*").display()
    ))
}

#[test]
fn pictures_fit_as_object_fit_has_it() {
    compare(pictures::fits());
}

#[test]
fn gradients_are_those_of_css() {
    compare(pictures::gradients());
}

#[test]
fn transforms_are_those_of_css() {
    compare(pictures::transforms());
}

#[test]
fn a_crop_is_an_inset_clip() {
    compare(pictures::crops());
}

#[test]
fn blend_modes_are_those_of_css() {
    compare(blends::modes());
}

#[test]
fn blend_modes_over_translucent_ground_are_those_of_css() {
    compare(blends::modes_over_translucent());
}

#[test]
fn groups_are_mixed_as_css_does() {
    compare(blends::groups());
}

#[test]
fn corners_and_borders_are_those_of_css() {
    compare(effects::corners());
}

#[test]
fn blurs_and_shadows_are_those_of_css() {
    compare(effects::blurs());
}

#[test]
fn colour_filters_are_those_of_css() {
    compare(effects::filters());
}

#[test]
fn masks_are_those_of_css() {
    compare(effects::masks());
}

#[test]
fn pinned_corners_are_a_projective_transform() {
    compare(effects::pins());
}

#[test]
fn texts_stand_where_css_puts_them() {
    compare(texts::cases());
}

#[test]
fn lines_of_text_have_the_ink_that_css_gives_them() {
    texts::compare_lines();
}

#[test]
fn easings_are_those_of_css() {
    easings::compare(&Page::get().numbers["easings"]);
}
