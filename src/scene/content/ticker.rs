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
//! longer, and the ticker jumps, as it does when an item is taken out or reworded, or speed, style or width change.
//! `untilMs` takes an item out without a jump: from then on it does not come in any more.
//!
//! **Priority**: an item with `priority` does not wait for its place. It comes in after the text that is entering at
//! `sinceMs`, before all that follow, and again at the same place of each following lap until it has come `repeat`
//! times. The rest waits for so long, and goes on where it was.
//!
//! The actions `append` and `remove` write these times. `align` is without effect. A text whose texture would be wider
//! than 4096 pixels is set at a smaller scale and looks softer.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Kind, Planner, Refused, Style, TEXT_LEN_MAX,
    action::wrong,
    label::Part,
    text::{styled, texture_rect},
};
use crate::base::schema::written_as;
use crate::{
    base::colour::Rgba,
    scene::{
        check::Check,
        draw::{Paint, Raster, TEXTURE_SIDE_MAX, TextRaster},
        geometry::Rect,
    },
};

/// Most items.
const ITEMS_MAX: usize = 200;
/// Longest separator, in bytes.
const SEPARATOR_LEN_MAX: usize = 64;
/// Farthest time of an item, in milliseconds: some 300 years.
const SINCE_MS_MAX: u64 = 10_000_000_000_000;
/// Pixels of tape that an item takes at least: bounds what a box of the greatest width shows to 1024 items.
const CELL_LENGTH_MIN: f64 = 16.0;
/// Most times that a priority item comes.
const REPEAT_MAX: u32 = 1000;
/// Pixels by which a sum of lengths may be off: no frame may see another order of items than the one before.
const SLACK: f64 = 1e-3;
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
        #[schema(minimum = 0, maximum = 4000)]
        pub speed: f64,
        /// Where they go.
        #[serde(default)]
        pub direction: TickerDirection,
        /// Pixels between an item and a separator.
        #[serde(default = "default_gap")]
        #[schema(minimum = 0, maximum = 4000)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum TickerDirection {
    /// From right to left, for texts that are read from left to right.
    #[default]
    Left,
    /// From left to right.
    Right,
}

/// One text of a ticker: `"…"`, or `{ "text": "…", "sinceMs": 0, "priority": true }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub struct TickerItem {
    /// What is written, on one line.
    pub text: String,
    /// Milliseconds that had elapsed on the stream when it was added.
    pub since_ms: u64,
    /// Milliseconds that had elapsed when it was taken out.
    pub until_ms: Option<u64>,
    /// Whether it comes next, so many times.
    pub priority: Option<u32>,
    /// Colour of its letters; the ticker's when left out.
    pub color: Option<Rgba>,
    /// Colour of the box behind it, as high as the ticker.
    pub background: Option<Rgba>,
}

/// An item as documents write it.
#[derive(Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a text, or { text, sinceMs, untilMs, priority, repeat, color, background }")]
enum Written {
    Text(String),
    Item(WrittenItem),
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = TimedTickerItem)]
struct WrittenItem {
    text: String,
    #[serde(default)]
    since_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    priority: bool,
    #[serde(default = "once", skip_serializing_if = "is_once")]
    repeat: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    color: Option<Rgba>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    background: Option<Rgba>,
}

written_as!(TickerItem as "TickerItem" = Written);

fn once() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_once(repeat: &u32) -> bool {
    *repeat == 1
}

impl From<Written> for TickerItem {
    fn from(written: Written) -> Self {
        match written {
            Written::Text(text) => {
                Self { text, since_ms: 0, until_ms: None, priority: None, color: None, background: None }
            }
            Written::Item(WrittenItem { text, since_ms, until_ms, priority, repeat, color, background }) => {
                Self { text, since_ms, until_ms, priority: priority.then_some(repeat), color, background }
            }
        }
    }
}

impl From<TickerItem> for Written {
    fn from(item: TickerItem) -> Self {
        let TickerItem { text, since_ms, until_ms, priority, color, background } = item;
        if since_ms == 0 && until_ms.is_none() && priority.is_none() && color.is_none() && background.is_none() {
            return Self::Text(text);
        }
        let (priority, repeat) = (priority.is_some(), priority.unwrap_or(1));
        Self::Item(WrittenItem { text, since_ms, until_ms, priority, repeat, color, background })
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
            check.range(&format!("/items/{i}"), item.until_ms.unwrap_or_default() as f64, 0.0..=SINCE_MS_MAX as f64);
            let repeat = item.priority.unwrap_or(1);
            check.range(&format!("/items/{i}/repeat"), f64::from(repeat), 1.0..=f64::from(REPEAT_MAX));
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
        let separator = Word::measured(planner, &style, &self.separator, None);
        // One that is not there yet is left out; new ones are at the far end, out of sight.
        let words: Vec<(&TickerItem, Word)> =
            self.items.iter().filter_map(|item| Some((item, Word::of_item(planner, &style, item)?))).collect();
        let height = words.iter().map(|(_, word)| word.block[1]).fold(0.0, f32::max) + 2.0 * self.padding as f32;
        let size = planner.size_or([planner.size_or_canvas()[0], height.ceil()]);
        style.plan_background(planner, size);
        let (extras, cells): (Vec<Cell>, Vec<Cell>) = words
            .into_iter()
            .map(|(item, word)| self.cell(item, word, separator.as_ref(), size[0]))
            .partition(|cell| cell.repeat > 0);
        if !cells.is_empty() || !extras.is_empty() {
            self.plan_cells(planner, size, &Tape { cells: &cells, extras: &extras }, separator.as_ref());
        }
    }

    /// `append` an item; `remove` those with a text.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        let mut ticker = self.clone();
        let last_ms = self.items.last().map_or(0, |item| item.since_ms);
        match action.name.as_str() {
            "append" => {
                let Append { text, priority, repeat, color, background } = action.read()?;
                let since_ms = action.elapsed_ms().max(last_ms);
                let priority = priority.then_some(repeat);
                ticker.items.push(TickerItem { text, since_ms, until_ms: None, priority, color, background });
            }
            "remove" => {
                let Remove { text } = action.read()?;
                let is_meant = |item: &&mut TickerItem| item.text == text && item.until_ms.is_none();
                let meant: Vec<_> = ticker.items.iter_mut().filter(is_meant).collect();
                if meant.is_empty() {
                    return Err(wrong("/text", "there is no such item"));
                }
                meant.into_iter().for_each(|item| item.until_ms = Some(action.elapsed_ms()));
            }
            _ => return Err(Refused::Unknown(&["append", "remove"])),
        }
        Ok(ticker)
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Append {
    text: String,
    #[serde(default)]
    priority: bool,
    #[serde(default = "once")]
    repeat: u32,
    color: Option<Rgba>,
    background: Option<Rgba>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Remove {
    text: String,
}

impl Ticker {
    fn cell(&self, item: &TickerItem, word: Word, separator: Option<&Word>, width: f32) -> Cell {
        let after = separator.map_or(0.0, |separator| f64::from(separator.block[0]) + self.gap);
        let length = (f64::from(word.block[0]) + self.gap + after).max(CELL_LENGTH_MIN);
        // Which place of the tape comes into the box at a time elapsed.
        let entering = |ms: u64| self.speed * ms as f64 / 1000.0 + f64::from(width);
        let is_from_the_start = item.since_ms == 0 && item.priority.is_none();
        Cell {
            word,
            length,
            background: item.background,
            since: if is_from_the_start { f64::NEG_INFINITY } else { entering(item.since_ms) },
            until: item.until_ms.map_or(f64::INFINITY, entering),
            repeat: item.priority.unwrap_or(0),
        }
    }

    fn plan_cells(&self, planner: &mut Planner<'_>, size: [f32; 2], tape: &Tape<'_>, separator: Option<&Word>) {
        let width = f64::from(size[0]);
        let left = self.speed * planner.moment().elapsed.as_secs_f64();
        if self.speed > 0.0 {
            planner.changes_in(Duration::ZERO);
        }
        // Slanted and swashed letters reach out of their blocks by less than their size, boxes by half the gap.
        let reach = self.size.max(self.gap);
        let seen = left - reach..left + width + reach;
        let mut budget = SHOWN_MAX;
        tape.walk(seen.start, seen.end, |cell, start| {
            self.plan_backdrop(planner, size, cell, start - left);
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

    /// Draws the box behind an item that has one, up to the middle of the gaps beside it.
    fn plan_backdrop(&self, planner: &mut Planner<'_>, size: [f32; 2], cell: &Cell, along: f64) {
        let Some(background) = cell.background else { return };
        let width = cell.word.block[0] + self.gap as f32;
        let start = (along - self.gap / 2.0) as f32;
        let x = match self.direction {
            TickerDirection::Left => start,
            TickerDirection::Right => size[0] - start - width,
        };
        Part::within(Rect::new(x, 0.0, width, size[1])).draw(planner, size, Paint::Solid(background));
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
    fn of_item(planner: &mut Planner<'_>, style: &Style, item: &TickerItem) -> Option<Self> {
        Self::measured(planner, style, &item.text, item.color)
    }

    /// Nothing for an empty text, or one that cannot be measured yet.
    fn measured(planner: &mut Planner<'_>, style: &Style, text: &str, colour: Option<Rgba>) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let mut raster = style.raster(planner, text.replace(['\n', '\r'], " "), None, false);
        raster.colour = colour.unwrap_or(raster.colour);
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
    background: Option<Rgba>,
    /// Pixels of tape, above 0.
    length: f64,
    /// It may come at places from here on, which had not come in when it was added.
    since: f64,
    /// And not from here on.
    until: f64,
    /// How many times it comes next; 0 for one that comes in its turn.
    repeat: u32,
}

/// The endless tape.
struct Tape<'a> {
    /// Those that come in turn, in the order in which they joined.
    cells: &'a [Cell],
    /// Those that come next.
    extras: &'a [Cell],
}

impl Tape<'_> {
    /// Visits the cells that reach into `from..to`, and perhaps some before, in order, each with its start.
    fn walk(&self, from: f64, to: f64, mut visit: impl FnMut(&Cell, f64)) {
        let extras = self.extras.iter().map(|cell| Extra { left: cell.repeat, slot: None }).collect();
        let mut walk = Walk { tape: self, place: 0.0, joined: 0, extras };
        while walk.place < to {
            walk.skip_laps(from);
            let lap_start = walk.place;
            walk.lap(&mut visit);
            // Without cells nothing comes before the next one joins.
            if walk.place <= lap_start && !walk.await_next() {
                return;
            }
        }
    }
}

/// The way along the tape from its start.
///
/// What comes at a place follows from the cells alone that may come there, and those that are added later may not: so
/// nothing that is added moves what had come in before. Whole laps without a change are skipped.
struct Walk<'a> {
    tape: &'a Tape<'a>,
    place: f64,
    /// How many of the cells are in the laps now.
    joined: usize,
    /// Of each of the tape's extras.
    extras: Vec<Extra>,
}

/// How often a priority item will still come, and before which cell of a lap.
struct Extra {
    left: u32,
    slot: Option<usize>,
}

impl Walk<'_> {
    /// Goes one lap: cells in turn, extras where they are due between them, and new cells at its end.
    fn lap(&mut self, visit: &mut impl FnMut(&Cell, f64)) {
        for at in 0.. {
            self.insert(at, visit);
            if at == self.joined {
                let is_due = |cell: &Cell| self.place >= cell.since - SLACK;
                if !self.tape.cells.get(at).is_some_and(is_due) {
                    return;
                }
                self.joined += 1;
            }
            self.pass(&self.tape.cells[at], visit);
        }
    }

    /// Passes the extras whose slot is before cell `at`, and those that are due for the first time.
    fn insert(&mut self, at: usize, visit: &mut impl FnMut(&Cell, f64)) {
        for (i, cell) in self.tape.extras.iter().enumerate() {
            let Extra { left, slot } = &mut self.extras[i];
            let is_due = slot.map_or(self.place >= cell.since - SLACK, |slot| slot == at);
            if *left > 0 && is_due {
                *left -= 1;
                *slot = Some(at);
                self.pass(cell, visit);
            }
        }
    }

    fn pass(&mut self, cell: &Cell, visit: &mut impl FnMut(&Cell, f64)) {
        if self.place < cell.until - SLACK {
            visit(cell, self.place);
            self.place += cell.length;
        }
    }

    /// From the start of a lap, goes as many whole laps as are the same and end before `from`.
    fn skip_laps(&mut self, from: f64) {
        let place = self.place;
        let is_there = |cell: &&Cell| place < cell.until - SLACK;
        let (mut length, mut event) = (0.0, self.next_join());
        let mut repeats = u32::MAX;
        let running =
            self.tape.extras.iter().zip(&self.extras).filter(|(_, extra)| extra.left > 0 && extra.slot.is_some());
        for (cell, extra) in running.filter(|(cell, _)| is_there(cell)) {
            length += cell.length;
            event = event.min(cell.until);
            repeats = repeats.min(extra.left);
        }
        for cell in self.tape.cells[..self.joined].iter().filter(is_there) {
            length += cell.length;
            event = event.min(cell.until);
        }
        if length <= 0.0 {
            return;
        }
        let same = ((event - SLACK - place) / length).ceil() - 1.0;
        let unseen = ((from - place) / length).floor();
        let laps = same.min(unseen).min(f64::from(repeats)).max(0.0);
        self.place += laps * length;
        for extra in self.extras.iter_mut().filter(|extra| extra.slot.is_some()) {
            extra.left = extra.left.saturating_sub(laps.min(f64::from(u32::MAX)) as u32);
        }
    }

    /// Where the next cell or extra may come.
    fn next_join(&self) -> f64 {
        let waiting =
            self.tape.extras.iter().zip(&self.extras).filter(|(_, extra)| extra.left > 0 && extra.slot.is_none());
        let next = self.tape.cells.get(self.joined);
        waiting.map(|(cell, _)| cell).chain(next).map(|cell| cell.since).fold(f64::INFINITY, f64::min)
    }

    /// Goes to where the next one comes; whether there is one.
    fn await_next(&mut self) -> bool {
        let next = self.next_join();
        self.place = self.place.max(next);
        next.is_finite()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::{
        content::testing::{act, problem, shelf, texts},
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

    /// Cells of 35 and 25 px without a separator: laps start at 0, 60, 120, 180, 240.
    fn with_extras(extras: Value) -> Value {
        let mut items = vec![json!("AAA"), json!("BB")];
        items.extend(extras.as_array().unwrap().iter().cloned());
        ticker(json!(items), json!({ "separator": "" }))
    }

    #[test]
    fn a_priority_item_comes_next() {
        let before = with_extras(json!([]));
        let extra = |repeat| json!({ "text": "PP", "sinceMs": 1300, "priority": true, "repeat": repeat });
        let (once, twice) = (with_extras(json!([extra(1)])), with_extras(json!([extra(2)])));
        // At 1.3 s, 230 has come in, and a lap ends at 240.
        assert_eq!(inside(&once, 1300), inside(&before, 1300));
        assert_eq!(inside(&once, 1600), places(&[("BB", -5.0), ("AAA", 20.0), ("BB", 55.0), ("PP", 80.0)]));
        assert_eq!(
            inside(&once, 2900),
            places(&[("AAA", -25.0), ("BB", 10.0), ("AAA", 35.0), ("BB", 70.0), ("AAA", 95.0)])
        );
        let again = [("AAA", -25.0), ("BB", 10.0), ("PP", 35.0), ("AAA", 60.0), ("BB", 95.0)];
        assert_eq!(inside(&twice, 2900), places(&again), "once more after the next lap");
        // They take 50 px, which are half a second.
        assert_eq!(inside(&twice, 1_000_500), inside(&before, 1_000_000), "then no more, for ever");
        let two = with_extras(json!([extra(1), { "text": "QQ", "sinceMs": 1301, "priority": true }]));
        let both = [("AAA", -10.0), ("BB", 25.0), ("PP", 50.0), ("QQ", 75.0)];
        assert_eq!(inside(&two, 1900), places(&both), "one after the other");
    }

    #[test]
    fn a_priority_item_comes_between_two_of_a_lap() {
        let document = with_extras(json!([{ "text": "PP", "sinceMs": 1000, "priority": true, "repeat": 2 }]));
        // At 1 s, 200 has come in; the next text starts at 215, in the middle of a lap.
        assert_eq!(inside(&document, 2000), places(&[("AAA", -20.0), ("PP", 15.0), ("BB", 40.0), ("AAA", 65.0)]));
        assert_eq!(inside(&document, 2800), places(&[("AAA", -15.0), ("PP", 20.0), ("BB", 45.0), ("AAA", 70.0)]));
        assert_eq!(inside(&document, 3700), places(&[("AAA", -20.0), ("BB", 15.0), ("AAA", 40.0), ("BB", 75.0)]));
    }

    #[test]
    fn an_item_of_its_own_look() {
        let items = json!([{ "text": "AA", "color": "#ff0000", "background": "#0000ff" }]);
        let document = ticker(items, json!({ "separator": "", "gap": 10 }));
        let (_, evaluation) = shelf(document, json!({ "width": 30, "height": 40 }), 0, 0);
        let items = evaluation.draw_list.items;
        assert_eq!(
            (items[0].clip, &items[0].paint),
            (Rect::new(0.0, 0.0, 25.0, 40.0), &Paint::Solid(Rgba::new(0, 0, 255, 255)))
        );
        let Paint::Raster { raster: Raster::Text(raster), .. } = &items[1].paint else { panic!("a text") };
        assert_eq!(raster.colour, Rgba::new(255, 0, 0, 255));
    }

    #[test]
    fn actions_write_times() {
        let at = |document: &Value, name, arguments, ms| act(document.clone(), name, arguments, ms, 0);
        let document = ticker(json!(["AA", "B"]), json!({}));
        let appended = at(&document, "append", json!({ "text": "C" }), 1500).unwrap();
        assert_eq!(appended["items"], json!(["AA", "B", { "text": "C", "sinceMs": 1500 }]));
        let next =
            at(&appended, "append", json!({ "text": "P", "priority": true, "repeat": 3, "color": "#ff0000" }), 1600)
                .unwrap();
        assert_eq!(
            next["items"][3],
            json!({ "text": "P", "sinceMs": 1600, "priority": true, "repeat": 3, "color": "#ff0000" })
        );
        let removed = at(&appended, "remove", json!({ "text": "AA" }), 2000).unwrap();
        assert_eq!(removed["items"][0], json!({ "text": "AA", "sinceMs": 0, "untilMs": 2000 }));
        assert_eq!(inside(&removed, 2000), inside(&appended, 2000), "what is visible goes on");
        assert!(inside(&removed, 4000).iter().all(|(text, _)| text != "AA"));
        assert_eq!(at(&document, "remove", json!({ "text": "D" }), 2000).unwrap_err(), "/text");
        assert_eq!(
            at(&document, "append", json!({ "text": "P", "priority": true, "repeat": 0 }), 9).unwrap_err(),
            "/items/2/repeat"
        );
        assert_eq!(at(&document, "insert", json!({}), 9).unwrap_err(), "append, remove");
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

    /// An item that is added, perhaps with priority, and perhaps taken out later.
    fn added() -> impl Strategy<Value = (usize, u64, Option<u32>, Option<u64>)> {
        (1..12usize, 0..60_000u64, proptest::option::of(1..6u32), proptest::option::of(1..60_000u64))
    }

    proptest! {
        /// Whatever is added or taken out when, what is visible at that time stays where it is; and what is done later
        /// changes nothing that was visible before.
        #[test]
        fn nothing_that_is_done_jumps(
            first in proptest::collection::vec(1..12usize, 1..4),
            added in proptest::collection::vec(added(), 0..7),
            back in 0..3000u64,
        ) {
            let mut added = added;
            added.sort_by_key(|(_, since, ..)| *since);
            let text = |i: usize, length| char::from(b'A' + i as u8).to_string().repeat(length);
            let mut items: Vec<Value> = first.iter().enumerate().map(|(i, &length)| json!(text(i, length))).collect();
            let mut ends = Vec::new();
            for (i, (length, since, priority, until)) in added.into_iter().enumerate() {
                let before = ticker(json!(items), json!({}));
                let mut item = json!({ "text": text(first.len() + i, length), "sinceMs": since });
                if let Some(repeat) = priority {
                    item["priority"] = json!(true);
                    item["repeat"] = json!(repeat);
                }
                items.push(item);
                ends.extend(until.map(|until| (items.len() - 1, until)));
                let time = since.saturating_sub(back);
                prop_assert_eq!(inside(&before, time), inside(&ticker(json!(items), json!({})), time), "item {} at {} ms", i, time);
            }
            for (i, until) in ends {
                let before = ticker(json!(items), json!({}));
                items[i]["untilMs"] = json!(until);
                let time = until.saturating_sub(back);
                prop_assert_eq!(inside(&before, time), inside(&ticker(json!(items), json!({})), time), "end of {} at {} ms", i, time);
            }
        }

        /// Laps that are skipped are those that would have been walked.
        #[test]
        fn it_moves_evenly(added in proptest::collection::vec(added(), 0..5), at in 0..100_000u64) {
            let mut added = added;
            added.sort_by_key(|(_, since, ..)| *since);
            let mut items = vec![json!("first"), json!("x")];
            items.extend(added.into_iter().enumerate().map(|(i, (length, since, priority, until))| {
                let text = char::from(b'A' + i as u8).to_string().repeat(length);
                let mut item = json!({ "text": text, "sinceMs": since, "priority": priority.is_some(), "repeat": priority.unwrap_or(1) });
                until.iter().for_each(|until| item["untilMs"] = json!(until));
                item
            }));
            let document = ticker(json!(items), json!({}));
            // 100 ms are 10 px: all that is not at an end is 10 px farther to the left.
            let moved: Vec<_> = inside(&document, at).into_iter().map(|(text, x)| (text, ((x - 10.0) * 100.0).round())).collect();
            let after: Vec<_> = inside(&document, at + 100).into_iter().map(|(text, x)| (text, (x * 100.0).round())).collect();
            for place in moved.iter().filter(|(_, x)| *x > 0.0) {
                prop_assert!(after.contains(place), "{:?} in {:?}", place, after);
            }
        }
    }
}
