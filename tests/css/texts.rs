//! Texts: where their lines break and stand, in the same face.
//!
//! Chromium rounds ascent and descent to whole pixels, lowers the ascent where that rounded the descent down, and rounds
//! half the leading down; we round the baseline alone. Sizes and line heights here are those at which both come to the
//! same row, for the difference is Chromium's and not CSS's.

use image::RgbaImage;
use serde_json::{Value, json};

use crate::{Case, Limit, Page, ours};

/// Two rasterisers draw the same outlines, ours with its pen on quarters of a pixel: a stem's edge moves by up to an
/// eighth of one, an eighth of the contrast of 220, and contrast is enhanced otherwise. A line that breaks or stands
/// elsewhere, or letters half a pixel off, cost ten times as many pixels.
const GLYPHS: Limit = Limit { off: 40, outliers: 0.002 };
/// Pixels a line's ink may reach farther or less far on any side.
const INK_OFF_MAX: u32 = 1;
/// Light enough to be seen as ink on the background, which has no red above 32.
const INK: u8 = 112;

const WORDS: &str = "The quick brown fox jumps over 13 lazy dogs.";

pub(crate) fn cases() -> Vec<Case> {
    let text = |name: &str, text: &str, fields: Value, css: &str| {
        let mut content = json!({ "type": "text", "text": text, "size": 20, "verticalAlign": "top" });
        content.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let layers = json!([{ "id": "a", "content": content,
            "transform": { "positionX": 10, "positionY": 6, "width": 180, "height": 110 } }]);
        let html = format!(
            "<div style='left:10px;top:6px;width:180px;height:110px;white-space:pre-wrap;overflow-wrap:anywhere;overflow:hidden;{css}'>{text}</div>"
        );
        Case::new(format!("text-{name}"), layers, html, GLYPHS)
    };
    vec![
        text("wrapped", WORDS, json!({}), ""),
        text("centred", WORDS, json!({ "align": "center" }), "text-align:center"),
        text("right", WORDS, json!({ "align": "right" }), "text-align:right"),
        text("broken", "One line\nand\nanother", json!({}), ""),
        text("not-wrapped", "One line that is too long for its box", json!({ "wrap": false }), "white-space:pre"),
        text("long-word", "Donaudampfschifffahrtsgesellschaft", json!({}), ""),
        text("letter-spacing", "Spaced out text", json!({ "letterSpacing": 3 }), "letter-spacing:3px"),
        text(
            "tight",
            "Tight text, To. AV",
            json!({ "letterSpacing": -1, "size": 32, "lineHeight": 1.21875 }),
            "letter-spacing:-1px;font-size:32px;line-height:1.21875",
        ),
        text("line-height", "Far apart\nlines", json!({ "lineHeight": 2 }), "line-height:2"),
        text(
            "close-lines",
            "Lines that\nlie close",
            json!({ "lineHeight": 0.91, "size": 33 }),
            "line-height:0.91;font-size:33px",
        ),
        text(
            "bold",
            WORDS,
            json!({ "weight": 700, "size": 24, "lineHeight": 1.21 }),
            "font-weight:700;font-size:24px;line-height:1.21",
        ),
        text("large", "AVAfi 0", json!({ "size": 66, "lineHeight": 1.2125 }), "font-size:66px;line-height:1.2125"),
        text("small", WORDS, json!({ "size": 11, "lineHeight": 1.28 }), "font-size:11px;line-height:1.28"),
        text(
            "padding",
            "In a box",
            json!({ "padding": 14, "background": "#8a1030" }),
            "padding:14px;background:#8a1030",
        ),
    ]
}

/// Rows and columns that a line of text covers: left, top, right, bottom.
type Ink = [u32; 4];

/// As many lines as Chromium has, and each covers the same pixels to within one.
pub(crate) fn compare_lines() {
    let mut failures = Vec::new();
    for case in cases() {
        let (ours, theirs) = (lines(&ours::draw(&case.layers)), lines(&Page::get().cell(&case.name)));
        assert!(!theirs.is_empty(), "{}", case.name);
        let is_near = |(a, b): (&Ink, &Ink)| a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= INK_OFF_MAX);
        if ours.len() != theirs.len() || !ours.iter().zip(&theirs).all(is_near) {
            failures.push(format!("{}: {ours:?} instead of {theirs:?}", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn lines(picture: &RgbaImage) -> Vec<Ink> {
    let is_ink = |x: u32, y: u32| picture.get_pixel(x, y)[1] >= INK;
    let mut lines: Vec<Ink> = Vec::new();
    for y in 0..picture.height() {
        let mut inked = (0..picture.width()).filter(|&x| is_ink(x, y));
        let Some(left) = inked.next() else { continue };
        let right = inked.next_back().unwrap_or(left);
        match lines.last_mut().filter(|line| line[3] + 1 == y) {
            Some(line) => *line = [line[0].min(left), line[1], line[2].max(right), y],
            None => lines.push([left, y, right, y]),
        }
    }
    lines
}
