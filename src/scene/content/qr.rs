//! `qr`: a text as a QR code (ISO/IEC 18004), as crisp as the box lets it be.
//!
//! Each module is the same whole number of canvas pixels wide, the code centred in the box; only a box with fewer
//! pixels than modules has to do without. Dark modules are merged into rectangles, which the GPU floor draws with exact
//! edges. The code is made when the document is read, not on each frame. Logos, rounded modules and Micro QR are not
//! here.

use std::sync::Arc;

use qrcode::{Color, EcLevel, QrCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Kind, Planner};
use crate::base::schema::written_as;
use crate::{
    base::colour::Rgba,
    scene::{
        check::Check,
        draw::{Fill, Outline, Paint, Shape},
        geometry::Rect,
    },
};

/// Most modules a side: version 10, which holds 271 bytes at level L, 213 at M, 151 at Q and 119 at H. Each rectangle
/// is an item of the draw list; random texts of that size need some 830.
const MODULES_MAX: usize = 57;
/// Longest text in bytes that is tried: version 10 holds 652 digits.
const TEXT_LEN_MAX: usize = 652;
/// Pixels of a module when the layer has no size.
const MODULE_SIDE: f32 = 8.0;

/// A QR code layer: its document, and the code.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Document", into = "Document")]
pub struct Qr {
    document: Document,
    code: Result<Arc<Code>, String>,
}

/// The document of a QR code layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    /// What it says, most often an address.
    text: String,
    /// Dark modules; light on dark is not read by every phone.
    #[serde(default = "default_color")]
    color: Rgba,
    /// The box behind them.
    #[serde(default = "default_background")]
    background: Rgba,
    /// Modules of background around the code, 0 to 16; the standard asks for 4.
    #[serde(default = "default_quiet_zone")]
    #[schema(minimum = 0, maximum = 16)]
    quiet_zone: u8,
    /// How much may be unreadable.
    #[serde(default)]
    error_correction: ErrorCorrection,
}

written_as!(Qr as "Qr" = Document);

fn default_color() -> Rgba {
    Rgba::BLACK
}
fn default_background() -> Rgba {
    Rgba::WHITE
}
fn default_quiet_zone() -> u8 {
    4
}

/// How much of a QR code may be unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub enum ErrorCorrection {
    /// 7 %.
    L,
    /// 15 %.
    #[default]
    M,
    /// 25 %.
    Q,
    /// 30 %.
    H,
}

/// The dark modules of a code.
#[derive(Debug, PartialEq)]
struct Code {
    /// Modules a side.
    side: usize,
    /// Left, top, width and height, in modules; disjoint.
    rects: Vec<[usize; 4]>,
}

impl From<Document> for Qr {
    fn from(document: Document) -> Self {
        let code = Code::new(&document.text, document.error_correction).map(Arc::new);
        Self { document, code }
    }
}

impl From<Qr> for Document {
    fn from(qr: Qr) -> Self {
        qr.document
    }
}

impl Code {
    fn new(text: &str, level: ErrorCorrection) -> Result<Self, String> {
        if !(1..=TEXT_LEN_MAX).contains(&text.len()) {
            return Err(format!("{} bytes are out of range: 1 to {TEXT_LEN_MAX}", text.len()));
        }
        let level = match level {
            ErrorCorrection::L => EcLevel::L,
            ErrorCorrection::M => EcLevel::M,
            ErrorCorrection::Q => EcLevel::Q,
            ErrorCorrection::H => EcLevel::H,
        };
        let code = QrCode::with_error_correction_level(text, level).map_err(|error| error.to_string())?;
        let side = code.width();
        if side > MODULES_MAX {
            return Err(format!(
                "needs {side} modules a side, {MODULES_MAX} are allowed: shorten the text or lower errorCorrection"
            ));
        }
        let is_dark: Vec<bool> = code.into_colors().into_iter().map(|module| module == Color::Dark).collect();
        Ok(Self { side, rects: rectangles(&is_dark, side) })
    }
}

/// Disjoint rectangles (left, top, width, height) that cover the dark modules: the runs of each row, those that lie
/// under an equal one joined with it.
fn rectangles(is_dark: &[bool], side: usize) -> Vec<[usize; 4]> {
    let mut rects: Vec<[usize; 4]> = Vec::new();
    for (y, row) in is_dark.chunks_exact(side).enumerate() {
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run[0] {
                let above = |r: &&mut [usize; 4]| r[0] == x && r[2] == run.len() && r[1] + r[3] == y;
                match rects.iter_mut().rev().find(above) {
                    Some(rect) => rect[3] += 1,
                    None => rects.push([x, y, run.len(), 1]),
                }
            }
            x += run.len();
        }
    }
    rects
}

impl Kind for Qr {
    const TYPE: &'static str = "qr";

    fn check(&self, check: &mut Check) {
        check.that("/text", self.code.is_ok(), || self.code.as_ref().err().cloned().unwrap_or_default());
        check.range("/quietZone", f64::from(self.document.quiet_zone), 0.0..=16.0);
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let Ok(code) = &self.code else { return };
        let quiet = f32::from(self.document.quiet_zone);
        let modules = code.side as f32 + 2.0 * quiet;
        let size = square_or(planner, modules * MODULE_SIDE);
        planner.draw(size, Paint::Solid(self.document.background));
        let shown = planner.scale();
        let side = module_side(size[0].min(size[1]), modules, shown);
        let snapped = |free: f32| (free / 2.0 * shown).floor() / shown;
        let origin = size.map(|length| snapped(length - modules * side) + quiet * side);
        for rect in &code.rects {
            let [x, y, w, h] = rect.map(|v| v as f32 * side);
            let outline = Outline::Rectangle { rect: Rect::new(origin[0] + x, origin[1] + y, w, h), radius: 0.0 };
            let shape = Shape { outline, fill: Some(Fill::Solid(self.document.color)), stroke: None };
            planner.draw(size, Paint::Shape(Arc::new(shape)));
        }
    }
}

/// The layer's box; a square as far as the document leaves it open.
fn square_or(planner: &Planner<'_>, natural: f32) -> [f32; 2] {
    let side = planner.size_or([planner.width().unwrap_or(natural); 2])[1];
    planner.size_or([side; 2])
}

/// Layer pixels of a module so that `modules` fit `length`: whole canvas pixels when there is at least one for each.
fn module_side(length: f32, modules: f32, shown: f32) -> f32 {
    let pixels = length * shown / modules;
    if pixels >= 1.0 { pixels.floor() / shown } else { length / modules }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::{
        content::testing::{plan, problem},
        draw::DrawItem,
    };

    fn code(fields: Value) -> Value {
        let mut document = json!({ "type": "qr", "text": "https://example.org/live" });
        json_patch::merge(&mut document, &fields);
        document
    }

    fn rects(items: &[DrawItem]) -> Vec<Rect> {
        let rect = |item: &DrawItem| match &item.paint {
            Paint::Shape(shape) => match shape.outline {
                Outline::Rectangle { rect, .. } => Some(rect),
                _ => None,
            },
            _ => None,
        };
        items.iter().filter_map(rect).collect()
    }

    #[test]
    fn modules_are_whole_pixels_in_the_middle_of_the_box() {
        // 24 bytes at M are version 2: 25 modules and twice 4 make 33. 200 px give 6 px each, 198 in all, from 1 px on.
        let items = plan(code(json!({})), json!({ "width": 200, "height": 220 }));
        assert_eq!(items[0].paint, Paint::Solid(Rgba::WHITE));
        let rects = rects(&items);
        // The upper edge of the finder pattern: 7 modules of 6 px, from 1 + 24 and from 11 + 24 px on.
        assert_eq!(rects[0], Rect::new(25.0, 35.0, 42.0, 6.0));
        assert!(rects.iter().all(|r| [r.x, r.y, r.w, r.h].iter().all(|v| v.fract() == 0.0)));
    }

    #[test]
    fn without_a_size_it_is_a_square() {
        for (transform, side) in [(json!({}), 264.0), (json!({ "width": 100 }), 100.0), (json!({ "height": 70 }), 70.0)]
        {
            assert_eq!(plan(code(json!({})), transform)[0].clip, Rect::at_origin([side, side]));
        }
    }

    #[test]
    fn a_zoomed_code_has_whole_canvas_pixels() {
        let items = plan(code(json!({})), json!({ "width": 100, "scaleX": 1.5, "scaleY": 1.5 }));
        // 150 canvas pixels for 33 modules: 4 each, 132 in all, from 9 on; the first lies 4 modules further in.
        let first = items[1].place.bounds_of(rects(&items)[0]);
        assert_eq!(
            [first.x, first.y, first.w, first.h].map(|v| (v * 1000.0).round() / 1000.0),
            [25.0, 25.0, 28.0, 4.0]
        );
    }

    #[test]
    fn the_number_of_items_is_bounded() {
        let items = |text: &str| plan(code(json!({ "text": text })), json!({})).len();
        let address = items("https://example.org/live");
        assert!(address <= 160, "{address}");
        let longest: String = (0..213).map(|i| char::from(b'a' + (i * i % 26) as u8)).collect();
        let most = items(&longest);
        assert!(most <= 900, "{most}");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let (pointer, message) = problem(code(json!({ "text": "a".repeat(214) })));
        assert_eq!(pointer, "/content/text");
        assert_eq!(message, "needs 61 modules a side, 57 are allowed: shorten the text or lower errorCorrection");
        assert_eq!(problem(code(json!({ "text": "" }))).1, "0 bytes are out of range: 1 to 652");
        assert_eq!(problem(code(json!({ "quietZone": 17 }))).0, "/content/quietZone");
        assert_eq!(problem(code(json!({ "errorCorrection": "X" }))).0, "/content/errorCorrection");
        assert_eq!(problem(code(json!({ "size": 4 }))).0, "/content/size");
    }

    #[test]
    fn written_back_it_reads_as_itself() {
        let qr: Qr = serde_json::from_value(json!({ "text": "x", "errorCorrection": "H", "quietZone": 2 })).unwrap();
        assert_eq!(serde_json::from_value::<Qr>(serde_json::to_value(&qr).unwrap()).unwrap(), qr);
    }

    proptest! {
        /// The rectangles are disjoint and cover the dark modules alone.
        #[test]
        fn rectangles_cover_what_is_dark(side in 1..12usize, bits in proptest::collection::vec(any::<bool>(), 144)) {
            let is_dark = &bits[..side * side];
            let mut covered = vec![0; side * side];
            for [x, y, w, h] in rectangles(is_dark, side) {
                for place in (y..y + h).flat_map(|y| (x..x + w).map(move |x| y * side + x)) {
                    covered[place] += 1;
                }
            }
            prop_assert!(covered.iter().zip(is_dark).all(|(&n, &is_dark)| n == i32::from(is_dark)));
        }
    }
}
