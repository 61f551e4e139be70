//! `lowerThird`: a name and what there is to say of it, which come in, change and go out.
//!
//! ```text
//!  step:  off ──play──► in ──continue──► continue ──stop──► out        each holds from `stepAtMs` on
//!         hidden        comes in         the texts change   goes out   and takes `durationMs`
//! ```
//!
//! The picture is a function of these values and the time elapsed on the stream: whoever knows them gets any frame. The
//! actions `play`, `continue` and `stop` write them, with `stepFrom`, the share that was there, so that one that is
//! stopped while it comes in turns round where it is. What comes in one after the other goes out the other way round.
//!
//! | design | looks like |
//! |---|---|
//! | `bar` | an upright bar, from which two plates are drawn out |
//! | `box` | one plate with round corners, which rises; a strip is drawn along its foot |
//! | `line` | a line is drawn; the title rises from it and the subtitle falls from it; no plate |
//!
//! All sizes follow from the box's height, 132 pixels when left out. It is as wide as its texts; a given width is the
//! most it takes, and texts that are longer are set smaller.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Fill, Fit, Kind, Planner, Refused, Style,
    action::{Nothing, wrong},
    fill,
    label::{Label, Part, filled},
};
use crate::{
    base::colour::Rgba,
    scene::{
        Easing,
        check::Check,
        draw::{self, Paint, Raster},
        geometry::Rect,
    },
};

/// Height without one, in pixels.
const HEIGHT: f32 = 132.0;
/// Longest text, in bytes.
const TEXT_LEN_MAX: usize = 256;
/// Farthest time of a step, in milliseconds: some 300 years.
const AT_MS_MAX: u64 = 10_000_000_000_000;
/// In parts of the height: space beside texts, and the way they go when they change.
const MARGIN: f32 = 0.26;
const WAY: f32 = 0.16;

/// The document of a lower third layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LowerThird {
    /// The larger text.
    pub title: String,
    /// The smaller one under it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subtitle: String,
    /// A picture on the left, as an image layer names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo: Option<String>,
    /// How it looks and moves.
    #[serde(default)]
    pub design: LowerThirdDesign,
    /// Colour of bar, strip or line.
    #[serde(default = "default_accent")]
    pub accent: Rgba,
    /// What fills the plate of the title, or the one plate.
    #[serde(default = "default_background")]
    pub background: Fill,
    /// What fills the plate of the subtitle in design `bar`.
    #[serde(default = "default_subtitle_background")]
    pub subtitle_background: Fill,
    /// Font family of the title.
    #[serde(default = "default_font")]
    pub font: String,
    /// Font family of the subtitle; the title's when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle_font: Option<String>,
    /// Colour of the title.
    #[serde(default = "default_color")]
    pub color: Rgba,
    /// Colour of the subtitle; the accent when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle_color: Option<Rgba>,
    /// Where it stands.
    #[serde(default)]
    pub step: LowerThirdStep,
    /// Milliseconds elapsed on the stream when the step began.
    #[serde(default)]
    pub step_at_ms: u64,
    /// The share of it that was there then; 0 before `in`, 1 before the others when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 1)]
    pub step_from: Option<f64>,
    /// How long a step takes, in milliseconds.
    #[serde(default = "default_duration_ms")]
    #[schema(minimum = 0, maximum = 60000)]
    pub duration_ms: u64,
    /// How each part moves as it comes in; out, the same way back.
    #[serde(default = "default_easing")]
    pub easing: Easing,
    /// The texts before the step `continue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<LowerThirdTexts>,
}

/// How a lower third looks and moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the table at the head of the file shows them")]
pub enum LowerThirdDesign {
    #[default]
    Bar,
    Box,
    Line,
}

/// Where a lower third stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum LowerThirdStep {
    /// Hidden.
    Off,
    /// Comes in and stays.
    #[default]
    In,
    /// Its texts change.
    Continue,
    /// Goes out.
    Out,
}

/// What a lower third says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LowerThirdTexts {
    /// The larger text.
    pub title: String,
    /// The smaller one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub subtitle: String,
}

fn default_accent() -> Rgba {
    Rgba::new(0xd4, 0xaf, 0x6a, 0xff)
}
fn default_background() -> Fill {
    Fill::Color(Rgba::new(0x0e, 0x13, 0x1b, 0xf2))
}
fn default_subtitle_background() -> Fill {
    Fill::Color(Rgba::new(0x1d, 0x25, 0x32, 0xe6))
}
fn default_font() -> String {
    Style::default().font
}
fn default_color() -> Rgba {
    Rgba::WHITE
}
fn default_duration_ms() -> u64 {
    900
}
fn default_easing() -> Easing {
    "easeOutQuart".parse().unwrap_or_default()
}

impl Kind for LowerThird {
    const TYPE: &'static str = "lowerThird";

    fn check(&self, check: &mut Check) {
        check.count("/title", "bytes", self.title.len(), 1..=TEXT_LEN_MAX);
        check.count("/subtitle", "bytes", self.subtitle.len(), 0..=TEXT_LEN_MAX);
        self.previous.iter().for_each(|previous| {
            check.count("/previous/title", "bytes", previous.title.len(), 1..=TEXT_LEN_MAX);
            check.count("/previous/subtitle", "bytes", previous.subtitle.len(), 0..=TEXT_LEN_MAX);
        });
        self.logo.iter().for_each(|logo| check.count("/logo", "bytes", logo.len(), 1..=TEXT_LEN_MAX));
        check.part("/background", |check| self.background.check(check));
        check.part("/subtitleBackground", |check| self.subtitle_background.check(check));
        for (pointer, font) in [("/font", Some(&self.font)), ("/subtitleFont", self.subtitle_font.as_ref())] {
            font.iter().for_each(|font| check.count(pointer, "bytes", font.len(), 1..=128));
        }
        check.range("/stepAtMs", self.step_at_ms as f64, 0.0..=AT_MS_MAX as f64);
        check.range("/stepFrom", self.step_from.unwrap_or_default(), 0.0..=1.0);
        check.range("/durationMs", self.duration_ms as f64, 0.0..=60_000.0);
    }

    fn fonts(&self) -> Vec<&str> {
        [&self.font].into_iter().chain(&self.subtitle_font).map(String::as_str).collect()
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let elapsed = planner.moment().elapsed;
        self.say_changes(planner, elapsed);
        let height = planner.size_or([1.0, HEIGHT])[1];
        // Measured before it is shown too, so that it is there when it comes.
        let Some(sheet) = self.sheet(planner, height, elapsed) else { return };
        let there = self.there_at(elapsed);
        if there <= 0.0 {
            return;
        }
        let stage = Stage { there, easing: &self.easing };
        match self.design {
            LowerThirdDesign::Bar => self.plan_bar(planner, &sheet, stage),
            LowerThirdDesign::Box => self.plan_box(planner, &sheet, stage),
            LowerThirdDesign::Line => self.plan_line(planner, &sheet, stage),
        }
    }

    /// `play` with other texts if given; `continue` with others; `stop`.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        let mut next = self.clone();
        let there = self.there_at(action.moment.elapsed);
        match action.name.as_str() {
            "play" | "continue" => {
                let says: Says = action.read()?;
                if action.name == "continue" && there <= 0.0 {
                    return Err(wrong("", "it is not shown: play it"));
                }
                next.title = says.title.unwrap_or(next.title);
                next.subtitle = says.subtitle.unwrap_or(next.subtitle);
                let is_swap = there > 0.0 && next.texts() != self.texts();
                next.previous = is_swap.then(|| self.texts());
                next.step = if is_swap { LowerThirdStep::Continue } else { LowerThirdStep::In };
            }
            "stop" => {
                let Nothing {} = action.read()?;
                next.previous = None;
                next.step = LowerThirdStep::Out;
            }
            _ => return Err(Refused::Unknown(&["play", "continue", "stop"])),
        }
        next.step_from = Some(there);
        next.step_at_ms = action.elapsed_ms();
        Ok(next)
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Says {
    title: Option<String>,
    subtitle: Option<String>,
}

/// How far it has come in, as parts that come one after the other see it.
#[derive(Clone, Copy)]
struct Stage<'a> {
    there: f64,
    easing: &'a Easing,
}

impl Stage<'_> {
    /// How far a part has come that moves in this span of the whole.
    fn part(self, from: f64, to: f64) -> f32 {
        self.easing.at(((self.there - from) / (to - from)).clamp(0.0, 1.0)) as f32
    }

    fn is_over(self) -> bool {
        self.there >= 1.0
    }
}

/// The measured texts.
struct Sheet {
    height: f32,
    title: Line,
    subtitle: Line,
    /// The logo with its natural size.
    logo: Option<(Raster, [f32; 2])>,
}

/// A text that may be changing into another.
struct Line {
    old: Option<Label>,
    new: Option<Label>,
    /// How far the change has come, from 0 to 1.
    changed: f64,
    /// Of the box around both, as it changes.
    width: f32,
}

impl Sheet {
    /// Pixels in parts of the height, whole ones, so that edges are sharp.
    fn px(&self, part: f32) -> f32 {
        (self.height * part).round().max(1.0)
    }

    fn logo_width(&self) -> f32 {
        if self.logo.is_some() { self.height } else { 0.0 }
    }

    fn widest(&self) -> f32 {
        self.title.width.max(self.subtitle.width)
    }
}

impl LowerThird {
    fn texts(&self) -> LowerThirdTexts {
        LowerThirdTexts { title: self.title.clone(), subtitle: self.subtitle.clone() }
    }

    /// The share of the step that is over.
    fn gone_at(&self, elapsed: Duration) -> f64 {
        let passed = elapsed.saturating_sub(Duration::from_millis(self.step_at_ms)).as_secs_f64() * 1000.0;
        let is_begun = elapsed >= Duration::from_millis(self.step_at_ms);
        if self.duration_ms == 0 { f64::from(u8::from(is_begun)) } else { (passed / self.duration_ms as f64).min(1.0) }
    }

    /// The share of it that is there: 0 hidden, 1 wholly in.
    fn there_at(&self, elapsed: Duration) -> f64 {
        let gone = self.gone_at(elapsed);
        match self.step {
            LowerThirdStep::Off => 0.0,
            LowerThirdStep::In => (self.step_from.unwrap_or(0.0) + gone).min(1.0),
            LowerThirdStep::Continue => (self.step_from.unwrap_or(1.0) + gone).min(1.0),
            LowerThirdStep::Out => (self.step_from.unwrap_or(1.0) - gone).max(0.0),
        }
    }

    fn say_changes(&self, planner: &mut Planner<'_>, elapsed: Duration) {
        let start = Duration::from_millis(self.step_at_ms);
        if self.step != LowerThirdStep::Off && elapsed < start + Duration::from_millis(self.duration_ms) {
            planner.changes_at(start.max(elapsed));
        }
    }

    /// Sizes of the two texts in parts of the height.
    fn sizes(&self) -> [f32; 2] {
        match self.design {
            LowerThirdDesign::Bar => [0.36, 0.205],
            LowerThirdDesign::Box => [0.34, 0.205],
            LowerThirdDesign::Line => [0.42, 0.22],
        }
    }

    /// Measures what is shown; nothing until the title and the logo are there.
    fn sheet(&self, planner: &mut Planner<'_>, height: f32, elapsed: Duration) -> Option<Sheet> {
        let logo = match &self.logo {
            Some(asset) => {
                let raster = Raster::Image(asset.as_str().into());
                let natural = planner.extent(&raster)?;
                Some((raster, natural))
            }
            None => None,
        };
        let beside = if logo.is_some() { height } else { 0.0 } + height * (2.0 * MARGIN + 0.07);
        let room = planner.width().map_or(f32::INFINITY, |width| (width - beside).max(1.0));
        let old = self.previous.as_ref().filter(|_| self.step == LowerThirdStep::Continue);
        let changed = if old.is_some() { self.gone_at(elapsed) } else { 1.0 };
        let [title_size, subtitle_size] = self.sizes().map(|part| f64::from((part * height).clamp(1.0, 1000.0)));
        let title_style =
            Style { font: self.font.clone(), size: title_size, weight: 700, color: self.color, ..Style::default() };
        let subtitle_style = Style {
            font: self.subtitle_font.as_ref().unwrap_or(&self.font).clone(),
            size: subtitle_size,
            weight: 500,
            color: self.subtitle_color.unwrap_or(self.accent),
            letter_spacing: subtitle_size * 0.02,
            ..Style::default()
        };
        let mut line = |style: &Style, new: &str, old: Option<&String>| {
            let old = old.filter(|&old| old != new);
            let changed = if old.is_some() { changed } else { 1.0 };
            let mut label = |text: &str| Label::fitting(planner, style, text, room);
            let (new, old) = (label(new), old.filter(|_| changed < 1.0).and_then(|old| label(old)));
            let width = |label: &Option<Label>| label.as_ref().map_or(0.0, |label| label.block[0]);
            let towards = Stage { there: changed, easing: &self.easing }.part(0.15, 0.85);
            let width = if changed < 1.0 { width(&old) + (width(&new) - width(&old)) * towards } else { width(&new) };
            Line { old, new, changed, width }
        };
        let title = line(&title_style, &self.title, old.map(|old| &old.title));
        let subtitle = line(&subtitle_style, &self.subtitle, old.map(|old| &old.subtitle));
        title.new.is_some().then_some(Sheet { height, title, subtitle, logo })
    }

    fn plan_bar(&self, planner: &mut Planner<'_>, sheet: &Sheet, stage: Stage<'_>) {
        let h = sheet.height;
        let (bar, margin, upper) = (sheet.px(0.07), sheet.px(MARGIN), sheet.px(0.62));
        let left = bar + sheet.logo_width();
        let wide = |line: &Line| if line.width > 0.0 { (line.width + 2.0 * margin).ceil() } else { 0.0 };
        let (title, subtitle) = (wide(&sheet.title), wide(&sheet.subtitle));
        let size = [left + title.max(subtitle), h];
        let size = [planner.size_or(size)[0], h];
        let grown = stage.part(0.0, 0.4);
        let rect = Rect::new(0.0, h / 2.0 * (1.0 - grown), bar, h * grown);
        Part::within(rect).draw(planner, size, Paint::Solid(self.accent));
        if sheet.logo.is_some() {
            let place = Rect::new(bar, 0.0, h, h);
            let drawn = drawn_out(place, stage.part(0.1, 0.55));
            Part::within(drawn).draw(planner, size, laid(&self.background, place));
            self.plan_logo(planner, size, sheet, place, Part { clip: drawn, opacity: stage.part(0.25, 0.7) });
        }
        let plates = [
            (&sheet.title, Rect::new(left, 0.0, title, upper), &self.background, 0.2),
            (&sheet.subtitle, Rect::new(left, upper, subtitle, h - upper), &self.subtitle_background, 0.35),
        ];
        for (line, place, fill, from) in plates.into_iter().filter(|(_, place, ..)| place.w > 0.0) {
            let drawn = drawn_out(place, stage.part(from, from + 0.5));
            Part::within(drawn).draw(planner, size, laid(fill, place));
            let come = stage.part(from + 0.15, from + 0.65);
            let part = Part { clip: drawn, opacity: come };
            let x = place.x + margin - (1.0 - come) * h * 0.4;
            line.plan(planner, size, part, stage, [x, place.y + place.h / 2.0]);
        }
    }

    fn plan_box(&self, planner: &mut Planner<'_>, sheet: &Sheet, stage: Stage<'_>) {
        let h = sheet.height;
        let margin = sheet.px(MARGIN);
        let inner = if sheet.logo.is_some() { h * 0.98 } else { margin };
        let size = [(inner + sheet.widest() + margin * 1.2).ceil(), h];
        let place = Rect::at_origin(size);
        let size = [planner.size_or(size)[0], h];
        let (come, radius) = (stage.part(0.0, 0.5), h * 0.1);
        let rise = |come: f32| (1.0 - come) * h * 0.3;
        let panel = Rect { y: rise(come), ..place };
        let part = Part { clip: place, opacity: come };
        part.draw(planner, size, rounded(&self.background, panel, radius));
        let strip = sheet.px(0.05);
        let foot = Rect::new(0.0, panel.bottom() - strip, place.w * stage.part(0.25, 0.85), strip);
        let accent = filled(panel, radius, draw::Fill::Solid(self.accent));
        Part { clip: foot.intersect(place), opacity: come }.draw(planner, size, accent);
        if sheet.logo.is_some() {
            let square = Rect::new(0.0, panel.y, h, h);
            self.plan_logo(planner, size, sheet, square, Part { clip: place, opacity: stage.part(0.15, 0.65) });
        }
        let has_subtitle = sheet.subtitle.width > 0.0;
        let lines = [(&sheet.title, if has_subtitle { 0.35 } else { 0.48 }, 0.25), (&sheet.subtitle, 0.68, 0.35)];
        for (line, middle, from) in lines {
            let come = stage.part(from, from + 0.6);
            let part = Part { clip: place, opacity: come };
            line.plan(planner, size, part, stage, [inner, h * middle + rise(come)]);
        }
    }

    fn plan_line(&self, planner: &mut Planner<'_>, sheet: &Sheet, stage: Stage<'_>) {
        let h = sheet.height;
        let left = if sheet.logo.is_some() { h * 1.15 } else { 0.0 };
        let size = [(left + sheet.widest()).ceil().max(1.0), h];
        let size = [planner.size_or(size)[0], h];
        let thickness = sheet.px(0.03).max(2.0);
        let (above, below) = (sheet.px(0.6), sheet.px(0.6) + thickness);
        if sheet.logo.is_some() {
            let square = Rect::new(0.0, 0.0, h, h);
            self.plan_logo(planner, size, sheet, square, Part { clip: square, opacity: stage.part(0.0, 0.5) });
        }
        let rule = Rect::new(left, above, sheet.widest() * stage.part(0.0, 0.6), thickness);
        Part::within(rule).draw(planner, size, Paint::Solid(self.accent));
        let width = sheet.widest();
        let upper = Rect::new(left, 0.0, width, above);
        let lower = Rect::new(left, below, width, h - below);
        let (rising, falling) = (stage.part(0.3, 0.9), stage.part(0.4, 1.0));
        let title = [left, h * 0.31 + (1.0 - rising) * above];
        sheet.title.plan(planner, size, Part::within(upper), stage, title);
        let subtitle = [left, h * 0.81 - (1.0 - falling) * (h - below)];
        sheet.subtitle.plan(planner, size, Part::within(lower), stage, subtitle);
    }

    /// Draws the logo into a square, with some room around it.
    fn plan_logo(&self, planner: &mut Planner<'_>, size: [f32; 2], sheet: &Sheet, square: Rect, part: Part) {
        let Some((raster, natural)) = &sheet.logo else { return };
        let room = square.inflate(-square.h * 0.16);
        let fitted = Fit::Contain.place(*natural, [room.w, room.h]);
        let dest = Rect { x: room.x + fitted.x, y: room.y + fitted.y, ..fitted };
        part.draw(planner, size, Paint::Raster { raster: raster.clone(), dest });
    }
}

impl Line {
    /// Draws it with its middle at this height; changing, the old one leaves upwards and the new one comes from below.
    fn plan(&self, planner: &mut Planner<'_>, size: [f32; 2], part: Part, stage: Stage<'_>, [x, middle]: [f32; 2]) {
        let easing = stage.easing;
        let way = size[1] * WAY;
        let mut draw = |label: &Label, shift: f32, opacity: f32| {
            let part = Part { opacity: part.opacity * opacity, ..part };
            let origin = [x, middle - label.block[1] / 2.0 + shift];
            if stage.is_over() && self.changed >= 1.0 {
                label.plan(planner, size, part, origin);
            } else {
                label.plan_moving(planner, size, part, origin);
            }
        };
        let changing = Stage { there: self.changed, easing };
        let (left, come) = (changing.part(0.0, 0.5), changing.part(0.4, 1.0));
        self.old.iter().for_each(|old| draw(old, -left * way, 1.0 - left));
        self.new.iter().for_each(|new| draw(new, (1.0 - come) * way, come));
    }
}

/// The part of a plate that has been drawn out to the right.
fn drawn_out(place: Rect, share: f32) -> Rect {
    Rect { w: place.w * share, ..place }
}

fn laid(fill: &Fill, place: Rect) -> Paint {
    rounded(fill, place, 0.0)
}

fn rounded(fill: &Fill, place: Rect, radius: f32) -> Paint {
    filled(place, radius, fill::over(fill, place))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::{
        content::testing::{act, problem, shelf, texts},
        draw::DrawItem,
    };

    /// 100 px high; titles in `bar` have letters of 18 px.
    fn third(fields: Value) -> Value {
        let mut document = json!({ "type": "lowerThird", "title": "Ada", "subtitle": "Countess",
            "durationMs": 1000, "easing": "linear", "stepAtMs": 2000 });
        json_patch::merge(&mut document, &fields);
        document
    }

    fn items(document: &Value, elapsed_ms: u64) -> Vec<DrawItem> {
        shelf(document.clone(), json!({ "height": 100 }), elapsed_ms, 0).1.draw_list.items
    }

    /// The texts with their opacities, rounded to hundredths.
    fn shown(document: &Value, elapsed_ms: u64) -> Vec<(String, f32)> {
        let each = |item: &DrawItem| {
            let text = texts(std::slice::from_ref(item)).pop()?.0;
            Some((text, (item.opacity * 100.0).round() / 100.0))
        };
        items(document, elapsed_ms).iter().filter_map(each).collect()
    }

    fn pairs(list: &[(&str, f32)]) -> Vec<(String, f32)> {
        list.iter().map(|&(text, opacity)| (text.to_owned(), opacity)).collect()
    }

    #[test]
    fn it_comes_in_and_goes_out() {
        for design in ["bar", "box", "line"] {
            let coming = third(json!({ "design": design }));
            assert_eq!(items(&coming, 1999), [], "{design}");
            assert_eq!(shown(&coming, 3000), pairs(&[("Ada", 1.0), ("Countess", 1.0)]), "{design}");
            let going = third(json!({ "design": design, "step": "out" }));
            assert_eq!(items(&going, 1000), items(&coming, 3000), "{design}: out begins where in ends");
            assert_eq!(items(&going, 2250), items(&coming, 2750), "{design}: the same way back");
            assert_eq!(items(&going, 3000), [], "{design}");
            assert_eq!(items(&third(json!({ "design": design, "step": "off" })), 9000), [], "{design}");
        }
    }

    #[test]
    fn plates_are_as_wide_as_their_texts() {
        // The bar is 7 px, the title 3 x 18 px, the subtitle 8 x 10.25 px and its spacing; margins are 26 px.
        let clips: Vec<Rect> = items(&third(json!({})), 3000).iter().map(|item| item.clip).collect();
        assert_eq!(clips[0], Rect::new(0.0, 0.0, 7.0, 100.0));
        assert_eq!(clips[1], Rect::new(7.0, 0.0, 106.0, 62.0));
        assert_eq!(clips[3], Rect::new(7.0, 62.0, 134.0, 38.0));
        let narrow = shelf(third(json!({})), json!({ "width": 90, "height": 100 }), 3000, 0).1.draw_list.items;
        assert!(narrow.iter().all(|item| item.clip.right() <= 90.0));
        let title = texts(&narrow).remove(0).1;
        assert!(title.w < 54.0, "set smaller: {title:?}");
    }

    #[test]
    fn texts_change_and_the_plate_with_them() {
        let document = third(json!({ "step": "continue", "title": "Adalbert",
            "previous": { "title": "Ada", "subtitle": "Countess" } }));
        assert_eq!(shown(&document, 2000), pairs(&[("Ada", 1.0), ("Countess", 1.0)]));
        assert_eq!(shown(&document, 2250), pairs(&[("Ada", 0.5), ("Countess", 1.0)]), "what is the same stays");
        assert_eq!(shown(&document, 2700), pairs(&[("Adalbert", 0.5), ("Countess", 1.0)]));
        let width = |ms| items(&document, ms)[1].clip.w;
        assert_eq!([width(2000), width(2500), width(3000)], [106.0, 151.0, 196.0]);
    }

    #[test]
    fn it_says_when_it_changes() {
        let changes = |fields, at| shelf(third(fields), json!({}), at, 0).1.changes_at.map(|time| time.as_millis());
        assert_eq!(changes(json!({}), 500), Some(2000));
        assert_eq!(changes(json!({}), 2500), Some(2500));
        assert_eq!(changes(json!({}), 3000), None);
        assert_eq!(changes(json!({ "step": "off" }), 500), None);
        let (shelf, _) = shelf(third(json!({})), json!({}), 0, 0);
        assert_eq!(shelf.asked(), ["Ada", "Countess"], "asked for before it comes");
    }

    #[test]
    fn actions_turn_round_where_it_is() {
        let at = |document: &Value, name, arguments, ms| act(document.clone(), name, arguments, ms, 0);
        let off = third(json!({ "step": "off" }));
        assert_eq!(at(&off, "continue", json!({ "title": "B" }), 5000).unwrap_err(), "");
        let played = at(&off, "play", json!({ "title": "Grace" }), 5000).unwrap();
        assert_eq!(
            (&played["step"], &played["stepAtMs"], &played["title"]),
            (&json!("in"), &json!(5000), &json!("Grace"))
        );
        let stopped = at(&played, "stop", Value::Null, 5400).unwrap();
        assert_eq!((&stopped["step"], &stopped["stepFrom"]), (&json!("out"), &json!(0.4)));
        assert_eq!(items(&stopped, 5400), items(&played, 5400), "no jump");
        let again = at(&stopped, "play", json!({}), 5600).unwrap();
        assert_eq!((&again["step"], &again["stepFrom"]), (&json!("in"), &json!(0.2)));
        let next = at(&played, "continue", json!({ "subtitle": "Rear admiral" }), 7000).unwrap();
        assert_eq!(
            (&next["step"], &next["previous"]),
            (&json!("continue"), &json!({ "title": "Grace", "subtitle": "Countess" }))
        );
        assert_eq!(at(&played, "pause", json!({}), 7000).unwrap_err(), "play, continue, stop");
        assert_eq!(at(&played, "play", json!({ "title": "" }), 7000).unwrap_err(), "/title");
        assert_eq!(at(&played, "play", json!({ "name": "" }), 7000).unwrap_err(), "/name");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, pointer) in [
            (json!({ "title": "" }), "/content/title"),
            (json!({ "step": "up" }), "/content/step"),
            (json!({ "design": "star" }), "/content/design"),
            (json!({ "stepFrom": 1.5 }), "/content/stepFrom"),
            (json!({ "durationMs": 60_001 }), "/content/durationMs"),
            (json!({ "background": { "type": "linear", "stops": [] } }), "/content/background/stops"),
        ] {
            assert_eq!(problem(third(fields)).0, pointer);
        }
    }

    proptest! {
        /// Whatever is pressed when, the picture at that time is the one that was there.
        #[test]
        fn no_action_jumps(times in proptest::collection::vec((0..900u64, any::<bool>()), 1..8), design in 0..3usize) {
            let design = ["bar", "box", "line"][design];
            let mut document = third(json!({ "design": design, "step": "off" }));
            let mut now = 0;
            for (gap, is_play) in times {
                now += gap;
                let name = if is_play { "play" } else { "stop" };
                let next = act(document.clone(), name, json!({}), now, 0).unwrap();
                prop_assert_eq!(items(&document, now), items(&next, now), "{} at {}", name, now);
                document = next;
            }
        }
    }
}
