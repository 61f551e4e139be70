//! `ticker`: texts that run through the box one after the other, for ever, at constant speed.
//!
//! ```text
//!                 ┌──────────── box ────────────┐
//!  tape:  A • B • │C • A • B • C • A • B • C • A│• B • C • D • A • B • C • D ...
//!         0       left                          entering edge = left + width;  left = elapsed x speed
//! ```
//!
//! The items lie on an endless tape, lap after lap, and the tape moves by whole fractions of a pixel: its place is a
//! function of the time elapsed alone. It begins with the box full.
//!
//! **Adding an item without a jump**: append it as `{ "text", "sinceMs" }` with the stream's elapsed time at which it
//! is added. It then stands at the end of each lap whose end had not yet come in at that time, so that what was visible
//! stays where it is. An item appended as a plain text counts as there from the start: the laps of the past become
//! longer, and the ticker jumps, as it does when an item is removed or reworded, or speed, style or width change.
//!
//! Priority items and items of several styles are not here. `align` is without effect. A text whose texture would be
//! wider than 4096 pixels is set at a smaller scale and looks softer.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    Kind, Planner, Style, TEXT_LEN_MAX,
    text::{TEXTURE_SIDE_MAX, styled, texture_rect},
};
use crate::scene::{
    check::Check,
    draw::{Paint, Raster, TextRaster},
};

/// Most items.
const ITEMS_MAX: usize = 200;
/// Longest separator, in bytes.
const SEPARATOR_LEN_MAX: usize = 64;
/// Farthest time of an item, in milliseconds: some 300 years.
const SINCE_MS_MAX: u64 = 10_000_000_000_000;
/// Pixels of tape that an item takes at least: bounds what a box of the greatest width shows to 1024 items.
const CELL_LENGTH_MIN: f64 = 16.0;
/// Most texts drawn at a time, with separators and room for those half outside.
const SHOWN_MAX: usize = 2100;

styled! {
    /// The document of a ticker layer.
    pub struct Ticker {
        /// 1 to 200 texts in the order in which they come in; `sinceMs` must not fall.
        pub items: Vec<TickerItem>,
        /// Between two items, and between the last and the first; may be empty.
        #[serde(default = "default_separator")]
        pub separator: String,
        /// Pixels a second, 0 to 4000.
        #[serde(default = "default_speed")]
        pub speed: f64,
        /// Where they go.
        #[serde(default)]
        pub direction: TickerDirection,
        /// Pixels between an item and a separator.
        #[serde(default = "default_gap")]
        pub gap: f64,
    }
}

fn default_separator() -> String {
    "•".into()
}
fn default_speed() -> f64 {
    120.0
}
fn default_gap() -> f64 {
    24.0
}

/// Where a ticker's texts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum TickerDirection {
    /// From right to left, for texts that are read from left to right.
    #[default]
    Left,
    /// From left to right.
    Right,
}

/// One text of a ticker: `"…"`, or `{ "text": "…", "sinceMs": 0 }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct TickerItem {
    /// What is written, on one line.
    pub text: String,
    /// Milliseconds that had elapsed on the stream when it was added.
    pub since_ms: u64,
}

/// An item as documents write it.
#[derive(Serialize, Deserialize)]
#[serde(untagged, expecting = "a text, or { text, sinceMs }")]
enum Written {
    Text(String),
    Dated(Dated),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Dated {
    text: String,
    since_ms: u64,
}

impl From<Written> for TickerItem {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => Self { text, since_ms: 0 },
            Written::Dated(Dated { text, since_ms }) => Self { text, since_ms },
        }
    }
}

impl From<TickerItem> for Written {
    fn from(TickerItem { text, since_ms }: TickerItem) -> Self {
        if since_ms == 0 { Self::Text(text) } else { Self::Dated(Dated { text, since_ms }) }
    }
}

impl Kind for Ticker {
    const TYPE: &'static str = "ticker";

    fn check(&self, check: &mut Check) {
        check.count("/items", "items", self.items.len(), 1..=ITEMS_MAX);
        let bytes = self.items.iter().map(|item| item.text.len()).sum();
        check.count("/items", "bytes in all", bytes, 0..=TEXT_LEN_MAX);
        for (i, item) in self.items.iter().enumerate() {
            check.range(&format!("/items/{i}"), item.since_ms as f64, 0.0..=SINCE_MS_MAX as f64);
        }
        let is_in_order = self.items.is_sorted_by_key(|item| item.since_ms);
        check.that("/items", is_in_order, || "sinceMs must not fall; a plain text is there since 0".into());
        check.count("/separator", "bytes", self.separator.len(), 0..=SEPARATOR_LEN_MAX);
        check.range("/speed", self.speed, 0.0..=4000.0);
        check.range("/gap", self.gap, 0.0..=4000.0);
        self.style().check(check);
    }

    fn fonts(&self) -> Vec<&str> {
        vec![&self.font]
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let style = self.style();
        let separator = Word::measured(planner, &style, &self.separator);
        // One that is not there yet is left out; new ones are at the far end, out of sight.
        let words = self.items.iter().filter_map(|item| Some((item, Word::measured(planner, &style, &item.text)?)));
        let cells: Vec<Cell> = words.map(|(item, word)| self.cell(item, word, separator.as_ref())).collect();
        let height = cells.iter().map(|cell| cell.word.block[1]).fold(0.0, f32::max) + 2.0 * self.padding as f32;
        let size = planner.size_or([planner.size_or_canvas()[0], height.ceil()]);
        style.plan_background(planner, size);
        if !cells.is_empty() {
            self.plan_cells(planner, size, &cells, separator.as_ref());
        }
    }
}

impl Ticker {
    fn cell(&self, item: &TickerItem, word: Word, separator: Option<&Word>) -> Cell {
        let after = separator.map_or(0.0, |separator| f64::from(separator.block[0]) + self.gap);
        let length = (f64::from(word.block[0]) + self.gap + after).max(CELL_LENGTH_MIN);
        Cell { word, length, since: Duration::from_millis(item.since_ms) }
    }

    fn plan_cells(&self, planner: &mut Planner<'_>, size: [f32; 2], cells: &[Cell], separator: Option<&Word>) {
        let width = f64::from(size[0]);
        let left = self.speed * planner.moment().elapsed.as_secs_f64();
        if self.speed > 0.0 {
            planner.changes_in(Duration::ZERO);
        }
        // Slanted and swashed letters reach out of their blocks by less than their size.
        let seen = left - self.size..left + width + self.size;
        let tape = Tape { cells, entering: &|since| self.speed * since.as_secs_f64() + width };
        let mut budget = SHOWN_MAX;
        tape.walk(seen.start, seen.end, |cell, start| {
            let separator = separator.map(|separator| (separator, f64::from(cell.word.block[0]) + self.gap));
            for (word, after) in [(&cell.word, 0.0)].into_iter().chain(separator) {
                let at = start + after;
                if at + f64::from(word.block[0]) > seen.start && at < seen.end && budget > 0 {
                    budget -= 1;
                    self.plan_word(planner, size, word, at - left);
                }
            }
        });
    }

    /// Draws a text that starts `along` pixels from where the box's tape leaves it.
    fn plan_word(&self, planner: &mut Planner<'_>, size: [f32; 2], word: &Word, along: f64) {
        let x = match self.direction {
            TickerDirection::Left => along as f32,
            TickerDirection::Right => (f64::from(size[0]) - along) as f32 - word.block[0],
        };
        let padding = self.padding as f32;
        let y = padding + self.vertical_align.offset(size[1] - 2.0 * padding - word.block[1]);
        // Up and down by whole texture pixels, to stay crisp; along the tape as it comes, to stay even.
        let scale = word.raster.scale;
        let dest = texture_rect(&word.raster, word.block, [x, (y * scale).round() / scale]);
        planner.draw(size, Paint::Raster { raster: Raster::Text(word.raster.clone()), dest });
    }
}

/// A measured text.
struct Word {
    raster: Arc<TextRaster>,
    block: [f32; 2],
}

impl Word {
    /// Nothing for an empty text, or one that cannot be measured yet.
    fn measured(planner: &mut Planner<'_>, style: &Style, text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut raster = style.raster(planner, text.replace(['\n', '\r'], " "), None, false);
        let block = planner.extent(&Raster::Text(Arc::new(raster.clone())))?;
        let room = (TEXTURE_SIDE_MAX - 4.0) / (block[0] + raster.size);
        if room >= raster.scale {
            return Some(Self { raster: Arc::new(raster), block });
        }
        raster.scale = room;
        let raster = Arc::new(raster);
        let block = planner.extent(&Raster::Text(raster.clone()))?;
        Some(Self { raster, block })
    }
}

/// An item with what follows it until the next one.
struct Cell {
    word: Word,
    /// Pixels of tape, above 0.
    length: f64,
    since: Duration,
}

/// The endless tape. A lap is made of the cells that were there when its end came in, which are the first so many.
struct Tape<'a> {
    cells: &'a [Cell],
    /// Which place of the tape comes into the box at a time elapsed.
    entering: &'a dyn Fn(Duration) -> f64,
}

/// The start of a lap on the tape, and how many cells it has.
#[derive(Clone, Copy)]
struct Lap {
    start: f64,
    cells: usize,
}

impl Tape<'_> {
    /// Visits the cells of all laps that reach into `from..to`, in order, each with its start.
    fn walk(&self, from: f64, to: f64, mut visit: impl FnMut(&Cell, f64)) {
        let mut lap = self.lap_at(from);
        while lap.start < to {
            let mut start = lap.start;
            for cell in &self.cells[..lap.cells] {
                visit(cell, start);
                start += cell.length;
            }
            // Without cells nothing comes before the first that joins.
            let Some(next) = (lap.cells > 0).then_some(start).or_else(|| self.joins_at(lap)) else { return };
            lap = self.joined(Lap { start: next, ..lap });
        }
    }

    /// The lap in which a place of the tape lies; the first one for what lies before it.
    fn lap_at(&self, place: f64) -> Lap {
        let mut lap = self.joined(Lap { start: 0.0, cells: 0 });
        while let Some(start) = self.joins_at(lap).filter(|&start| start <= place) {
            lap = self.joined(Lap { start, ..lap });
        }
        let length = self.length(lap);
        if length > 0.0 {
            lap.start += ((place - lap.start) / length).floor().max(0.0) * length;
        }
        lap
    }

    /// The same lap with all that are there by its end.
    fn joined(&self, mut lap: Lap) -> Lap {
        while self.joins_at(lap).is_some_and(|start| start <= lap.start) {
            lap.cells += 1;
        }
        lap
    }

    /// Where the first lap starts, at or after this one, that has one more cell than this one.
    fn joins_at(&self, lap: Lap) -> Option<f64> {
        let cell = self.cells.get(lap.cells)?;
        if cell.since.is_zero() {
            return Some(lap.start);
        }
        let (length, edge) = (self.length(lap), (self.entering)(cell.since));
        if length <= 0.0 {
            return Some(edge.max(lap.start));
        }
        // A millionth of a lap is what sums of lengths may be off by; no frame may see it the other way.
        Some(lap.start + ((edge - length - lap.start) / length - 1e-6).ceil().max(0.0) * length)
    }

    fn length(&self, lap: Lap) -> f64 {
        self.cells[..lap.cells].iter().map(|cell| cell.length).sum()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::{
        content::testing::{problem, shelf, texts},
        geometry::Rect,
    };

    /// Letters are 10 px wide and lines 24 px high; the box is 100 px wide.
    fn ticker(items: Value, more: Value) -> Value {
        let mut document =
            json!({ "type": "ticker", "items": items, "size": 20, "gap": 5, "speed": 100, "separator": "-" });
        json_patch::merge(&mut document, &more);
        document
    }

    fn shown(document: &Value, elapsed_ms: u64) -> Vec<(String, Rect)> {
        let (_, evaluation) = shelf(document.clone(), json!({ "width": 100, "height": 40 }), elapsed_ms, 0);
        texts(&evaluation.draw_list.items)
    }

    /// The texts that lie inside the box, at least in part, with their left edges.
    fn inside(document: &Value, elapsed_ms: u64) -> Vec<(String, f32)> {
        let shown = shown(document, elapsed_ms).into_iter().filter(|(_, r)| r.right() > 0.0 && r.x < 100.0);
        shown.map(|(text, rect)| (text, (rect.x * 1000.0).round() / 1000.0)).collect()
    }

    fn places(list: &[(&str, f32)]) -> Vec<(String, f32)> {
        list.iter().map(|&(text, x)| (text.to_string(), x)).collect()
    }

    #[test]
    fn items_lie_side_by_side_and_again() {
        // A cell is 20 + 5 + 10 + 5 = 40 px for "AA", 30 px for "B".
        let document = ticker(json!(["AA", "B"]), json!({}));
        let expected = [("AA", 0.0), ("-", 25.0), ("B", 40.0), ("-", 55.0), ("AA", 70.0), ("-", 95.0)];
        assert_eq!(inside(&document, 0), places(&expected));
        assert_eq!(shown(&document, 0)[0].1, Rect::new(0.0, 8.0, 20.0, 24.0), "in the middle of 40 px");
        // 1234.5 s at 100 px/s: 123,450 px are 1763 laps of 70 px and 40 px.
        let expected = [("B", 0.0), ("-", 15.0), ("AA", 30.0), ("-", 55.0), ("B", 70.0), ("-", 85.0)];
        assert_eq!(inside(&document, 1_234_500), places(&expected));
    }

    #[test]
    fn it_moves_by_fractions_of_a_pixel() {
        let document = ticker(json!(["AA", "B"]), json!({ "speed": 33.3 }));
        assert_eq!(inside(&document, 100)[0], ("AA".into(), -3.33));
    }

    #[test]
    fn to_the_right_it_is_mirrored() {
        let document = ticker(json!(["AA", "B"]), json!({ "direction": "right" }));
        let expected = [("AA", 80.0), ("-", 65.0), ("B", 50.0), ("-", 35.0), ("AA", 10.0), ("-", -5.0)];
        assert_eq!(inside(&document, 0), places(&expected));
        assert_eq!(inside(&document, 50)[0], ("AA".into(), 85.0));
    }

    #[test]
    fn without_a_separator_there_is_one_gap() {
        let document = ticker(json!(["AAAA", "BBBB"]), json!({ "separator": "" }));
        assert_eq!(inside(&document, 0), places(&[("AAAA", 0.0), ("BBBB", 45.0), ("AAAA", 90.0)]));
    }

    #[test]
    fn an_appended_item_comes_in_at_the_far_end() {
        // At 1 s, 100 px have gone: the box shows 100 to 200. The lap of 70 px that ends first after that ends at 210.
        let after = ticker(json!(["AA", "B", { "text": "C", "sinceMs": 1000 }]), json!({}));
        let before = ticker(json!(["AA", "B"]), json!({}));
        assert_eq!(inside(&after, 1000), inside(&before, 1000));
        // At 1.5 s the box shows 150 to 250: C from 210 to 240, then the next lap.
        let expected = [("-", -10.0 + 5.0), ("B", 30.0), ("-", 45.0), ("C", 60.0), ("-", 75.0), ("AA", 90.0)];
        assert_eq!(
            inside(&after, 1500),
            places(&[("AA", -10.0), ("-", 15.0), expected[1], expected[2], expected[3], expected[4], expected[5]])
        );
    }

    #[test]
    fn an_item_to_come_is_not_there_yet() {
        let document = ticker(json!([{ "text": "A", "sinceMs": 1000 }]), json!({}));
        assert_eq!(inside(&document, 900), []);
        assert_eq!(inside(&document, 1500)[0], ("A".into(), 50.0));
    }

    #[test]
    fn it_changes_on_each_frame_while_something_moves() {
        let changes = |more| shelf(ticker(json!(["A"]), more), json!({ "width": 100 }), 7, 0).1.changes_at;
        assert_eq!(changes(json!({})), Some(Duration::from_millis(7)));
        assert_eq!(changes(json!({ "speed": 0 })), None);
        let empty = shelf(ticker(json!([""]), json!({})), json!({ "width": 100 }), 7, 0).1;
        assert_eq!((empty.changes_at, empty.draw_list.items.len()), (None, 0));
    }

    #[test]
    fn a_long_text_fits_a_texture() {
        let (_, evaluation) = shelf(ticker(json!(["x".repeat(2000)]), json!({})), json!({}), 0, 0);
        let Paint::Raster { raster: Raster::Text(raster), .. } = &evaluation.draw_list.items[0].paint else { panic!() };
        assert!(raster.texture_size([20_000.0, 24.0])[0] < 4096, "{}", raster.scale);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (document, pointer) in [
            (ticker(json!([]), json!({})), "/content/items"),
            (ticker(json!([{ "text": "A", "sinceMs": 5 }, "B"]), json!({})), "/content/items"),
            (ticker(json!(["A", 5]), json!({})), "/content/items/1"),
            (ticker(json!(["A"]), json!({ "speed": -1 })), "/content/speed"),
            (ticker(json!(["A"]), json!({ "direction": "up" })), "/content/direction"),
            (ticker(json!(["A".repeat(10_001)]), json!({})), "/content/items"),
        ] {
            assert_eq!(problem(document).0, pointer);
        }
    }

    proptest! {
        /// Whatever is appended when, what is visible at that time stays where it is; and later additions change
        /// nothing that was visible before them.
        #[test]
        fn appending_never_jumps(
            lengths in proptest::collection::vec(1..12usize, 1..8),
            dates in proptest::collection::vec(0..200_000u64, 0..7),
            back in 0..3000u64,
        ) {
            let mut dates = dates;
            dates.sort_unstable();
            let first = lengths.len().saturating_sub(dates.len()).max(1);
            let date = |i: usize| if i < first { 0 } else { dates.get(i - first).copied().unwrap_or(200_000) };
            let text = |i: usize| char::from(b'A' + i as u8).to_string().repeat(lengths[i]);
            let item = |i| json!({ "text": text(i), "sinceMs": date(i) });
            let items: Vec<Value> = (0..lengths.len()).map(item).collect();
            for n in first..items.len() {
                let (before, after) = (ticker(json!(items[..n]), json!({})), ticker(json!(items[..=n]), json!({})));
                let time = date(n).saturating_sub(back);
                prop_assert_eq!(inside(&before, time), inside(&after, time), "item {} at {} ms", n, time);
            }
        }
    }
}
