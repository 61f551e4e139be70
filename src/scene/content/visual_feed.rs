//! `visualFeed`: pictures that follow each other, each with a strip that says what it is.
//!
//! ```text
//!  ┌───────────────────────────────────┐
//!  │              picture              │   box height - strip height (below), or the whole box (over)
//!  ├───────────────────────────────────┤
//!  │ Title               ( tag ) ( tag )│   strip; the strip stays, what is written fades with the pictures
//!  │ author · time                     │
//!  └───────────────────────────────────┘
//! ```
//!
//! All sizes of the strip follow from its font size. A title that is too long ends in "…" before the tags; tags that do
//! not fit into half of the width are left out.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Fit, Image, KenBurns, Kind, Planner, Refused, SlideTransition, Style,
    film::{Film, NAME_LEN_MAX},
    slides::{self, DWELLS_MS, SLIDES_MAX, Slides},
    text::set,
};
use crate::{
    base::colour::Rgba,
    scene::{
        Playback,
        check::Check,
        draw::{Fill, Outline, Paint, Raster, Shape, TextRaster},
        geometry::{Affine, Rect},
        playback::SINCE_MS_MAX,
    },
};

/// What it can be asked to do.
const ACTIONS: &[&str] = &["add", "next", "previous", "goTo"];
/// Longest text, in bytes, and most tags.
const TEXT_LEN_MAX: usize = 256;
const TAGS_MAX: usize = 16;
/// Parts of the strip in parts of the title's size.
const STRIP_HEIGHT: f64 = 2.8;
const MARGIN: f32 = 0.75;
const BYLINE_SIZE: f32 = 0.62;
const TAG_SIZE: f32 = 0.52;
const TAG_PADDING: [f32; 2] = [0.36, 0.16];
const TAG_GAP: f32 = 0.22;
/// Opacity of the byline and of the ground of a tag, beside the title's.
const BYLINE_ALPHA: f32 = 0.72;
const TAG_ALPHA: f32 = 0.16;

/// The document of a picture feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VisualFeed {
    /// 1 to 256 pictures in their order.
    pub entries: Vec<FeedEntry>,
    /// How long each shows, coming in included, in milliseconds.
    #[serde(default = "default_dwell_ms")]
    #[schema(minimum = 100, maximum = 86400000)]
    pub dwell_ms: u64,
    /// How one gives way to the next.
    #[serde(default)]
    pub transition: SlideTransition,
    /// How the pictures fill the room above the strip.
    #[serde(default)]
    pub fit: Fit,
    /// Colour behind the pictures; none: what lies below shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Rgba>,
    /// A slow zoom; none: the pictures stand still.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ken_burns: Option<KenBurns>,
    /// What is written about them.
    #[serde(default)]
    pub strip: FeedStrip,
    /// Milliseconds elapsed on the stream at which it starts. The actions `add`, `next`, `previous` and `goTo` write it.
    #[serde(default)]
    pub since_ms: i64,
}

/// A picture and what it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FeedEntry {
    /// As an `image` has it.
    pub asset: String,
    /// E.g. `Boy with Apple`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// E.g. `Johannes van Hoytl`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub author: String,
    /// As it is to be read: `1632`, `14:05`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub time: String,
    /// Short words, on the right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// How long it shows; none: as the feed says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 86400000)]
    pub dwell_ms: Option<u64>,
}

/// The strip of a feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct FeedStrip {
    /// Where it is.
    pub position: StripPosition,
    /// Height in pixels; none: as the font size asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4096)]
    pub height: Option<f64>,
    /// Font family.
    pub font: String,
    /// Size of the title in pixels.
    #[schema(minimum = 4, maximum = 400)]
    pub size: f64,
    /// Colour of all letters.
    pub color: Rgba,
    /// Colour of the strip.
    pub background: Rgba,
}

/// Where the strip of a feed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum StripPosition {
    /// Below the pictures, which are that much lower.
    #[default]
    Below,
    /// Over their lower edge.
    Over,
    /// There is none.
    None,
}

impl Default for FeedStrip {
    fn default() -> Self {
        Self {
            position: StripPosition::default(),
            height: None,
            font: Style::default().font,
            size: 28.0,
            color: Rgba::WHITE,
            background: Rgba::new(0, 0, 0, 180),
        }
    }
}

fn default_dwell_ms() -> u64 {
    8000
}

impl Kind for VisualFeed {
    const TYPE: &'static str = "visualFeed";

    fn check(&self, check: &mut Check) {
        check.count("/entries", "pictures", self.entries.len(), 1..=SLIDES_MAX);
        for (i, entry) in self.entries.iter().enumerate() {
            check.part(&format!("/entries/{i}"), |check| {
                entry.check(check);
                check.range("/dwellMs", self.dwell_of(entry) as f64, DWELLS_MS);
            });
        }
        check.range("/dwellMs", self.dwell_ms as f64, DWELLS_MS);
        let shortest = self.entries.iter().map(|entry| self.dwell_of(entry)).min().unwrap_or_default();
        check.part("/transition", |check| self.transition.check(shortest, check));
        if let Some(ken_burns) = &self.ken_burns {
            check.part("/kenBurns", |check| ken_burns.check(check));
        }
        check.part("/strip", |check| self.strip.check(check));
        check.range("/sinceMs", self.since_ms as f64, -SINCE_MS_MAX..=SINCE_MS_MAX);
    }

    fn fonts(&self) -> Vec<&str> {
        vec![&self.strip.font]
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let size = planner.size_or_canvas();
        let strip = self.strip.place(size);
        let height = if self.strip.position == StripPosition::Below { size[1] - strip.h } else { size[1] };
        let area = Rect::new(0.0, 0.0, size[0], height);
        if let Some(background) = self.background {
            fill(planner, size, area, 0.0, background, 1.0);
        }
        let slides =
            Slides { transition: &self.transition, ken_burns: self.ken_burns.as_ref(), since_ms: self.since_ms };
        let dwells = self.dwells();
        let shown = slides.shown(planner, &dwells, self.fit.is_covering());
        for slide in &shown {
            slides.plan_picture(planner, size, area, slide, &self.picture(slide.index));
        }
        if self.strip.position != StripPosition::None {
            fill(planner, size, strip, 0.0, self.strip.background, 1.0);
            for slide in &shown {
                self.strip.plan(planner, size, strip, &self.entries[slide.index], slide.text_opacity);
            }
        }
        if let Some(slide) = shown.last().filter(|_| self.entries.len() > 1) {
            let next = slide.index + 1;
            self.picture(next).ask(planner);
            self.strip.ask(planner, strip, &self.entries[next % self.entries.len()]);
        }
    }

    /// `add`: an entry, which comes in now, and the oldest goes when there are too many; `next`, `previous`, `goTo`.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        match action.name.as_str() {
            "add" => {
                let mut next = self.clone();
                next.entries.push(action.read()?);
                let excess = next.entries.len().saturating_sub(SLIDES_MAX);
                next.entries.drain(..excess);
                let now_ms = i64::try_from(action.elapsed_ms()).unwrap_or(i64::MAX);
                next.since_ms = slides::begin_at(now_ms, &next.dwells(), next.entries.len() - 1);
                Ok(next)
            }
            _ => match slides::act(action, &self.dwells(), self.since_ms) {
                Err(Refused::Unknown(_)) => Err(Refused::Unknown(ACTIONS)),
                since_ms => Ok(Self { since_ms: since_ms?, ..self.clone() }),
            },
        }
    }
}

impl VisualFeed {
    fn dwells(&self) -> Vec<u64> {
        self.entries.iter().map(|entry| self.dwell_of(entry)).collect()
    }

    fn dwell_of(&self, entry: &FeedEntry) -> u64 {
        entry.dwell_ms.unwrap_or(self.dwell_ms)
    }

    /// The picture of an entry; after the last comes the first.
    fn picture(&self, index: usize) -> Image {
        let asset = self.entries[index % self.entries.len()].asset.clone();
        Image { asset, fit: self.fit, playback: Playback::default() }
    }
}

impl FeedEntry {
    fn check(&self, check: &mut Check) {
        check.count("/asset", "bytes", self.asset.len(), 1..=NAME_LEN_MAX);
        for (pointer, text) in [("/title", &self.title), ("/author", &self.author), ("/time", &self.time)] {
            check.count(pointer, "bytes", text.len(), 0..=TEXT_LEN_MAX);
        }
        check.count("/tags", "tags", self.tags.len(), 0..=TAGS_MAX);
        for (i, tag) in self.tags.iter().enumerate() {
            check.count(&format!("/tags/{i}"), "bytes", tag.len(), 1..=TEXT_LEN_MAX);
        }
    }

    fn byline(&self) -> String {
        let parts = [self.author.as_str(), self.time.as_str()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("  ·  ")
    }
}

/// A text on the left of the strip.
struct Line<'a> {
    text: &'a str,
    style: Style,
    alpha: f32,
}

/// A tag with the size of its ground.
struct Tag<'a> {
    text: &'a str,
    width: f32,
    height: f32,
}

impl FeedStrip {
    fn check(&self, check: &mut Check) {
        check.count("/font", "bytes", self.font.len(), 1..=128);
        check.range("/size", self.size, 4.0..=400.0);
        if let Some(height) = self.height {
            check.range("/height", height, 1.0..=4096.0);
        }
    }

    /// Where it lies in a box of `size`.
    fn place(&self, size: [f32; 2]) -> Rect {
        let own = (self.size * STRIP_HEIGHT).ceil();
        let height = (self.height.unwrap_or(own) as f32).min(size[1]);
        Rect::new(0.0, size[1] - height, size[0], height)
    }

    /// Writes what an entry is.
    fn plan(&self, planner: &mut Planner<'_>, size: [f32; 2], strip: Rect, entry: &FeedEntry, opacity: f32) {
        let tags = self.tags(planner, strip, entry);
        let room = self.room(strip, &tags);
        self.plan_tags(planner, size, strip, &tags, opacity);
        let byline = entry.byline();
        let lines = self.lines(entry, &byline);
        let height: f32 = lines.iter().map(|line| (line.style.size * line.style.line_height) as f32).sum();
        let mut y = strip.y + (strip.h - height) / 2.0;
        for line in lines {
            let Some((raster, block)) = measure(planner, &line.style, line.text, Some(room)) else { continue };
            let paint = set(raster, block, [MARGIN * self.size as f32, y]);
            planner.draw_placed(size, Affine::IDENTITY, strip, opacity * line.alpha, paint);
            y += block[1];
        }
    }

    /// The lines on the left, from top to bottom.
    fn lines<'a>(&self, entry: &'a FeedEntry, byline: &'a str) -> Vec<Line<'a>> {
        let title = Line { text: &entry.title, style: self.style(1.0, 600), alpha: 1.0 };
        let byline = Line { text: byline, style: self.style(BYLINE_SIZE, 400), alpha: BYLINE_ALPHA };
        [title, byline].into_iter().filter(|line| !line.text.is_empty()).collect()
    }

    /// The tags that fit, in order.
    fn tags<'a>(&self, planner: &mut Planner<'_>, strip: Rect, entry: &'a FeedEntry) -> Vec<Tag<'a>> {
        let em = self.size as f32;
        let style = self.style(TAG_SIZE, 500);
        let mut room = strip.w / 2.0;
        let mut tags = Vec::new();
        for text in &entry.tags {
            let Some((_, block)) = measure(planner, &style, text, None) else { continue };
            let [width, height] = [0, 1].map(|i| (block[i] + 2.0 * TAG_PADDING[i] * em).ceil());
            room -= width + TAG_GAP * em;
            if room < 0.0 {
                break;
            }
            tags.push(Tag { text, width, height });
        }
        tags
    }

    /// Width that the tags leave for the lines.
    fn room(&self, strip: Rect, tags: &[Tag<'_>]) -> f32 {
        let em = self.size as f32;
        let taken: f32 = tags.iter().map(|tag| tag.width + TAG_GAP * em).sum();
        (strip.w - taken - 2.0 * MARGIN * em).floor().max(1.0)
    }

    /// Draws the tags, flush right.
    fn plan_tags(&self, planner: &mut Planner<'_>, size: [f32; 2], strip: Rect, tags: &[Tag<'_>], opacity: f32) {
        let em = self.size as f32;
        let style = self.style(TAG_SIZE, 500);
        let mut left = MARGIN * em + self.room(strip, tags);
        for tag in tags {
            left += TAG_GAP * em;
            let y = strip.y + (strip.h - tag.height) / 2.0;
            let chip = Rect::new(left.round(), y.round(), tag.width, tag.height);
            fill(planner, size, chip, tag.height / 2.0, self.color, TAG_ALPHA * opacity);
            if let Some((raster, block)) = measure(planner, &style, tag.text, None) {
                let origin = [chip.x + (chip.w - block[0]) / 2.0, chip.y + (chip.h - block[1]) / 2.0];
                planner.draw_placed(size, Affine::IDENTITY, strip, opacity, set(raster, block, origin));
            }
            left += tag.width;
        }
    }

    /// Asks for the texts of an entry, because it will show soon.
    fn ask(&self, planner: &mut Planner<'_>, strip: Rect, entry: &FeedEntry) {
        if self.position == StripPosition::None {
            return;
        }
        let tags = self.tags(planner, strip, entry);
        let room = self.room(strip, &tags);
        for line in self.lines(entry, &entry.byline()) {
            planner.prefetch(&Raster::Text(raster(planner, &line.style, line.text, Some(room))));
        }
    }

    fn style(&self, part: f32, weight: u16) -> Style {
        let size = (self.size * f64::from(part)).max(1.0);
        Style { font: self.font.clone(), size, weight, color: self.color, ..Style::default() }
    }
}

/// A text on one line, cut to a width.
fn raster(planner: &Planner<'_>, style: &Style, text: &str, width: Option<f32>) -> Arc<TextRaster> {
    let raster = style.raster(planner, text.replace(['\n', '\r'], " "), width, false);
    Arc::new(TextRaster { has_ellipsis: width.is_some(), ..raster })
}

/// The same with its block; `None` (noted) when it is not there.
fn measure(
    planner: &mut Planner<'_>,
    style: &Style,
    text: &str,
    width: Option<f32>,
) -> Option<(Arc<TextRaster>, [f32; 2])> {
    let raster = raster(planner, style, text, width);
    let block = planner.extent(&Raster::Text(raster.clone()))?;
    Some((raster, block))
}

fn fill(planner: &mut Planner<'_>, size: [f32; 2], rect: Rect, radius: f32, colour: Rgba, opacity: f32) {
    let outline = Outline::Rectangle { rect, radius: radius.min(rect.w / 2.0).min(rect.h / 2.0) };
    let shape = Shape { outline, fill: Some(Fill::Solid(colour)), stroke: None };
    planner.draw_placed(size, Affine::IDENTITY, rect, opacity, Paint::Shape(Arc::new(shape)));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::*;
    use crate::scene::{
        Content, Evaluation, Moment,
        content::testing::{problem, shelf, texts},
    };

    fn feed(fields: Value) -> Value {
        let mut document = json!({ "type": "visualFeed", "dwellMs": 1000, "strip": { "size": 20 },
            "transition": { "durationMs": 400, "easing": "linear" },
            "entries": [
                { "asset": "a", "title": "Boy with Apple", "author": "van Hoytl", "time": "1632", "tags": ["oil", "rare"] },
                { "asset": "b", "title": "Girl" },
            ] });
        json_patch::merge(&mut document, &fields);
        document
    }

    fn at(fields: Value, ms: u64) -> Evaluation {
        shelf(feed(fields), json!({ "width": 400, "height": 256 }), ms, 0).1
    }

    fn picture(evaluation: &Evaluation) -> Rect {
        let dest = |item: &crate::scene::draw::DrawItem| match &item.paint {
            Paint::Raster { raster: Raster::Image(_), dest } => Some(*dest),
            _ => None,
        };
        evaluation.draw_list.items.iter().find_map(dest).unwrap()
    }

    #[test]
    fn the_strip_says_what_the_picture_is() {
        let evaluation = at(json!({}), 0);
        let found = texts(&evaluation.draw_list.items);
        let names: Vec<_> = found.iter().map(|(text, _)| text.as_str()).collect();
        assert_eq!(names, ["oil", "rare", "Boy with Apple", "van Hoytl  ·  1632"]);
        // Strip: 56 px from 200 on; title 24 and byline 14.88 high, in the middle of it.
        assert_eq!((found[2].1.x, found[2].1.y), (15.0, 209.0));
        assert_eq!(found[3].1.y, 233.0);
        assert!(found[2].1.right() < found[0].1.x && found[0].1.right() < found[1].1.x, "{found:?}");
        assert!(found[1].1.right() < 385.0, "{found:?}");
        assert_eq!(picture(&evaluation), Rect::new(0.0, 0.0, 400.0, 200.0), "80 x 40 in 400 x 200");
    }

    #[test]
    fn the_strip_may_lie_over_the_picture_or_be_absent() {
        let over = at(json!({ "fit": "fill", "strip": { "position": "over" } }), 0);
        assert_eq!(picture(&over), Rect::new(0.0, 0.0, 400.0, 256.0));
        assert_eq!(texts(&over.draw_list.items).len(), 4);
        let none = at(json!({ "fit": "fill", "strip": { "position": "none" } }), 0);
        assert_eq!((picture(&none).h, texts(&none.draw_list.items).len()), (256.0, 0));
    }

    #[test]
    fn what_is_written_fades_with_the_pictures() {
        let evaluation = at(json!({}), 1100);
        let opacity = |wanted: &str| {
            let is_it = |item: &&crate::scene::draw::DrawItem| match &item.paint {
                Paint::Raster { raster: Raster::Text(text), .. } => text.text == wanted,
                _ => false,
            };
            evaluation.draw_list.items.iter().find(is_it).unwrap().opacity
        };
        assert_eq!((opacity("Boy with Apple"), opacity("Girl")), (0.75, 0.25));
        assert_eq!(evaluation.changes_at.map(|at| at.as_millis()), Some(1100));
    }

    #[test]
    fn the_next_entry_is_asked_for() {
        let (shelf, evaluation) = shelf(feed(json!({})), json!({ "width": 400, "height": 256 }), 0, 0);
        assert_eq!(shelf.pictures(), ["a", "b"]);
        assert!(shelf.asked().contains(&"Girl".to_owned()));
        assert_eq!(evaluation.changes_at.map(|at| at.as_millis()), Some(1000));
    }

    #[test]
    fn an_entry_that_is_added_comes_in_now() {
        let moment = Moment { elapsed: Duration::from_millis(12_345), utc_ms: 0 };
        let act = |name: &str, arguments| {
            Content::read(feed(json!({}))).unwrap().act(&Action { name: name.into(), arguments, moment })
        };
        let added = act("add", json!({ "asset": "c", "title": "New" })).unwrap();
        let fields = serde_json::to_value(&added).unwrap();
        assert_eq!(fields["entries"].as_array().unwrap().len(), 3);
        let pictures = |ms| shelf(fields.clone(), json!({ "width": 400, "height": 256 }), ms, 0).0.pictures();
        assert_eq!(pictures(12_345), ["b", "c", "a"], "it comes in over the last one, and the first is asked for");
        assert_eq!(pictures(13_344), ["c", "a"]);
        assert_eq!(act("jump", json!({})), Err(Refused::Unknown(ACTIONS)));
        assert!(matches!(act("add", json!({ "asset": "" })), Err(Refused::Invalid(_))));
    }

    #[test]
    fn tags_that_do_not_fit_are_left_out() {
        let tags: Vec<_> = (0..12).map(|i| format!("a rather long tag {i}")).collect();
        let evaluation = at(json!({ "entries": [{ "asset": "a", "title": "T", "tags": tags }] }), 0);
        let found = texts(&evaluation.draw_list.items);
        assert_eq!(found.len(), 2, "one tag and the title: {found:?}");
    }

    #[test]
    fn limits_are_named() {
        assert_eq!(problem(feed(json!({ "entries": [] }))).0, "/content/entries");
        let long = json!({ "entries": [{ "asset": "a", "title": "x".repeat(257) }] });
        assert_eq!(
            problem(feed(long)),
            ("/content/entries/0/title".into(), "257 bytes is out of range: 0 to 256".into())
        );
        assert_eq!(problem(feed(json!({ "strip": { "size": 1 } }))).0, "/content/strip/size");
    }
}
