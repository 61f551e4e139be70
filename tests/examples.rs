//! The example shows look as their page shows them.
//!
//! `config/examples/README.md` is the table: under each heading stands the line that renders an example and the picture
//! that it gives. `UPDATE_EXAMPLES=1 cargo test --test examples` writes the pictures anew: look at each before it is
//! committed.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use image::{ImageBuffer, Rgb, RgbImage, codecs::jpeg::JpegEncoder, imageops::FilterType};
use stream_manager::{
    gpu::Options,
    media::{Config, Library},
    pipeline::{Devices, offline},
    scene::Content,
    state::Document,
};

/// Pixels of the longer side of a picture on the page.
const PICTURE_SIDE: u32 = 960;
/// Of the pictures that are compared: JPEG's noise and the rasterisers' roundings are gone at this size, and a word that
/// reads otherwise is not.
const COMPARED_SIDE: u32 = 320;
/// Code values that a channel may be off there, and the share of pixels that may be off by more.
const TOLERANCE: u8 = 20;
const OUTLIERS_MAX: f64 = 0.002;
const JPEG_QUALITY: u8 = 88;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// A heading's line and picture.
#[derive(Debug)]
struct Example {
    show: PathBuf,
    at: Duration,
    picture: PathBuf,
}

fn page() -> String {
    fs::read_to_string(root().join("config/examples/README.md")).unwrap()
}

fn examples() -> Vec<Example> {
    let page = page();
    let with_line = |section: &&str| section.contains("stream-manager render ");
    page.split("\n## ").filter(with_line).map(example).collect()
}

fn example(section: &str) -> Example {
    let line = section.lines().find(|line| line.starts_with("stream-manager render ")).unwrap();
    let words: Vec<_> = line.split(' ').collect();
    let &[_, _, show, "--at", at, "-o", _] = &words[..] else { panic!("{line}") };
    let at = at.strip_suffix('s').and_then(|at| at.parse().ok()).unwrap_or_else(|| panic!("{line}"));
    let picture = section.split("](").nth(1).and_then(|rest| rest.split(')').next()).unwrap();
    Example {
        show: root().join(show),
        at: Duration::from_secs_f64(at),
        picture: root().join("config/examples").join(picture),
    }
}

#[test]
fn every_example_is_on_the_page() {
    let is_show = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let entries = fs::read_dir(root().join("config/examples")).unwrap().map(|entry| entry.unwrap().path());
    let mut shows: Vec<_> = entries.filter(is_show).collect();
    let mut shown: Vec<_> = examples().into_iter().map(|example| example.show).collect();
    shows.sort();
    shown.sort();
    assert_eq!(shows, shown);
}

#[test]
fn every_picture_is_what_is_rendered() {
    let library = Library::new(Config::default()).unwrap();
    let devices = Devices::open(Options::default(), library).unwrap_or_else(|error| panic!("{error}"));
    let mut stale = Vec::new();
    for Example { show, at, picture } in examples() {
        let text = fs::read_to_string(&show).unwrap();
        let document = Document::read(serde_json::from_str(&text).unwrap()).unwrap();
        let rendered =
            offline::still(&devices, &document.show, at).unwrap_or_else(|error| panic!("{}: {error}", show.display()));
        let rendered = image::DynamicImage::ImageRgba8(rendered).into_rgb8();
        if std::env::var_os("UPDATE_EXAMPLES").is_some() {
            save(&scaled(&rendered, PICTURE_SIDE), &picture);
            continue;
        }
        let expected = image::open(&picture).unwrap_or_else(|error| panic!("{}: {error}", picture.display()));
        let share = difference(&scaled(&rendered, COMPARED_SIDE), &scaled(&expected.into_rgb8(), COMPARED_SIDE));
        if share > OUTLIERS_MAX {
            stale.push(format!("{}: {:.2} % of its pixels differ", picture.display(), share * 100.0));
        }
    }
    assert!(stale.is_empty(), "UPDATE_EXAMPLES=1 makes them anew:\n{}", stale.join("\n"));
}

fn scaled(image: &RgbImage, side: u32) -> RgbImage {
    let longer = image.width().max(image.height());
    let shorter = |length: u32| (u64::from(length) * u64::from(side) / u64::from(longer)) as u32;
    image::imageops::resize(image, shorter(image.width()), shorter(image.height()), FilterType::Triangle)
}

fn save(image: &ImageBuffer<Rgb<u8>, Vec<u8>>, path: &Path) {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY).encode_image(image).unwrap();
    fs::write(path, jpeg).unwrap();
}

/// The share of pixels of which a channel differs by more than the tolerance.
fn difference(a: &RgbImage, b: &RgbImage) -> f64 {
    assert_eq!(a.dimensions(), b.dimensions());
    let off = |(a, b): (&Rgb<u8>, &Rgb<u8>)| a.0.iter().zip(b.0).any(|(a, b)| a.abs_diff(b) > TOLERANCE);
    let outliers = a.pixels().zip(b.pixels()).filter(|&pair| off(pair)).count();
    outliers as f64 / f64::from(a.width() * a.height())
}

/// The page's table of actions is that of the types: an action that there is not is refused with the names there are.
#[test]
fn the_actions_are_those_there_are() {
    let page = page();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    for row in rows {
        let cells: Vec<_> = row.split('|').map(names).collect();
        for name in &cells[1] {
            assert!(Content::TYPES.contains(&name.as_str()), "{name}");
            assert_eq!(allowed(name), cells[2], "{name}");
        }
    }
}

fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn allowed(type_name: &str) -> Vec<String> {
    use stream_manager::scene::{
        Moment,
        content::{Action, Refused},
    };
    let mut content = match type_name {
        "chart" => serde_json::json!({ "kind": "bar", "categories": [""], "series": [{ "values": [1] }] }),
        "lowerThird" => serde_json::json!({ "title": "A" }),
        "ticker" => serde_json::json!({ "items": ["A"] }),
        "timer" => serde_json::json!({ "mode": "countup" }),
        "progress" => serde_json::json!({ "value": 0 }),
        "scoreboard" => serde_json::json!({ "home": { "name": "A" }, "away": { "name": "B" } }),
        _ => serde_json::json!({}),
    };
    content["type"] = type_name.into();
    let action = Action { name: "?".into(), arguments: serde_json::Value::Null, moment: Moment::START };
    match Content::read(content).unwrap().act(&action) {
        Err(Refused::Unknown(names)) => names.iter().map(|&name| name.to_owned()).collect(),
        other => panic!("{other:?}"),
    }
}
