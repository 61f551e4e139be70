//! `text`: wrapped and aligned in the layer's box, with an optional background box; in one style, or in several (`runs`).
//!
//! Without a width the box is as wide as the longest line, without a height as high as all lines, plus the padding.
//! Stroke and shadow take no part in this: they reach out of the box. What does not fit is cut at the box, left out
//! (`maxLines`), replaced by "…" (`overflow`) or set smaller (`fit`). Underlines and texts on a curve are not here.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Fill, Kind, Planner,
    text_animation::{self, TextAnimation},
};
use crate::{
    base::colour::Rgba,
    scene::{
        check::Check,
        draw::{
            self, Align, Direction, Letters, Outline, Paint, Raster, Shape, TEXTURE_SIDE_MAX, TextEffects, TextLook,
            TextPart, TextRaster, TextShadow, TextSpan,
        },
        geometry::Rect,
    },
};

/// Longest text, in bytes.
pub const TEXT_LEN_MAX: usize = 10_000;
/// Font sizes, in pixels.
const SIZES: RangeInclusive<f64> = 1.0..=1000.0;
const WEIGHTS: RangeInclusive<f64> = 100.0..=900.0;
/// Extra space between letters, in pixels.
const SPACINGS: RangeInclusive<f64> = -100.0..=1000.0;
/// Smallest size to which `fit` goes when the document does not say.
const MIN_SIZE: f64 = 8.0;
/// Most runs of one text.
const RUNS_MAX: usize = 64;
/// Most animations of one text, and the longest text that has any, in bytes: each letter may be an item of its own.
const ANIMATIONS_MAX: usize = 4;
const ANIMATED_LEN_MAX: usize = 1000;

/// Declares a document with its own fields and those of a text style beside them; serde's `flatten` would lose both the
/// path of an error and the names that are allowed.
macro_rules! styled {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            /// Font family.
            #[serde(default = "crate::scene::content::text::default_font")]
            pub font: String,
            /// Size in pixels.
            #[serde(default = "crate::scene::content::text::default_size")]
            #[schema(minimum = 1, maximum = 1000)]
            pub size: f64,
            /// 100 to 900.
            #[serde(default = "crate::scene::content::text::default_weight")]
            #[schema(minimum = 100, maximum = 900)]
            pub weight: u16,
            /// Slanted.
            #[serde(default)]
            pub italic: bool,
            /// Colour of the letters.
            #[serde(default = "crate::scene::content::text::default_color")]
            pub color: crate::base::colour::Rgba,
            /// Alignment of lines.
            #[serde(default)]
            pub align: crate::scene::draw::Align,
            /// Place of the text in a box that is higher.
            #[serde(default)]
            pub vertical_align: crate::scene::content::VerticalAlign,
            /// Line distance as a multiple of the size.
            #[serde(default = "crate::scene::content::text::default_line_height")]
            #[schema(minimum = 0.5, maximum = 10)]
            pub line_height: f64,
            /// Extra space between letters, in pixels.
            #[serde(default)]
            #[schema(minimum = -100, maximum = 1000)]
            pub letter_spacing: f64,
            /// Whether all digits are equally wide; clocks and timers have such digits unless they say `false`.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub tabular_digits: Option<bool>,
            /// Fills the letters in place of `color`: a colour, or a gradient over the block of lines.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub fill: Option<crate::scene::content::Fill>,
            /// A line around the letters, `width` pixels wide outside of them.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub stroke: Option<crate::scene::content::Stroke>,
            /// A shadow under letters and stroke.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub shadow: Option<crate::scene::content::Shadow>,
            /// Most lines; further ones are left out.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(minimum = 1, maximum = 1000)]
            pub max_lines: Option<u32>,
            /// What happens to what has no room.
            #[serde(default)]
            pub overflow: crate::scene::content::Overflow,
            /// Whether the text is set smaller where its box has no room for it.
            #[serde(default)]
            pub fit: crate::scene::content::TextFit,
            /// Smallest size to which `fit` goes, in pixels; 8 unless said.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schema(minimum = 1, maximum = 1000)]
            pub min_size: Option<f64>,
            /// Colour of the box behind the text.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub background: Option<crate::base::colour::Rgba>,
            /// Space between the box's edges and the text, in pixels.
            #[serde(default)]
            #[schema(minimum = 0, maximum = 1000)]
            pub padding: f64,
            /// Radius of the box's corners, in pixels.
            #[serde(default)]
            #[schema(minimum = 0, maximum = 10000)]
            pub corner_radius: f64,
        }

        impl $name {
            /// How its text looks.
            pub fn style(&self) -> crate::scene::content::Style {
                crate::scene::content::Style {
                    font: self.font.clone(),
                    size: self.size,
                    weight: self.weight,
                    italic: self.italic,
                    color: self.color,
                    align: self.align,
                    vertical_align: self.vertical_align,
                    line_height: self.line_height,
                    letter_spacing: self.letter_spacing,
                    tabular_digits: self.tabular_digits,
                    fill: self.fill.clone(),
                    stroke: self.stroke.clone(),
                    shadow: self.shadow.clone(),
                    max_lines: self.max_lines,
                    overflow: self.overflow,
                    fit: self.fit,
                    min_size: self.min_size,
                    background: self.background,
                    padding: self.padding,
                    corner_radius: self.corner_radius,
                }
            }
        }
    };
}
pub(super) use styled;

styled! {
    /// How a text looks: the fields that every content with one style of text has.
    pub struct Style {}
}

styled! {
    /// The document of a text layer.
    pub struct Text {
        /// What is written; `\n` breaks lines. A layer has either this or `runs`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub text: Option<String>,
        /// What is written, in parts that may look different.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub runs: Option<Vec<TextRun>>,
        /// In which direction it is read.
        #[serde(default)]
        pub direction: Direction,
        /// Whether long lines are broken between words.
        #[serde(default = "default_wrap")]
        pub wrap: bool,
        /// How its letters, words or lines come and go.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub text_animations: Vec<TextAnimation>,
    }
}

/// A part of a text; what it does not say is as the layer has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TextRun {
    /// What is written; `\n` breaks lines.
    pub text: String,
    /// Font family.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub font: Option<String>,
    /// Size in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub size: Option<f64>,
    /// 100 to 900.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 100, maximum = 900)]
    pub weight: Option<u16>,
    /// Slanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub italic: Option<bool>,
    /// Colour of the letters, in place of the layer's `color` or `fill`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub color: Option<Rgba>,
    /// Extra space between letters, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = -100, maximum = 1000)]
    pub letter_spacing: Option<f64>,
}

/// A shadow under letters.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = TextShadow)]
pub struct Shadow {
    /// Straight sRGB colour.
    pub color: Rgba,
    /// To the right, in pixels.
    #[serde(default)]
    #[schema(minimum = -500, maximum = 500)]
    pub offset_x: f64,
    /// Down, in pixels.
    #[serde(default)]
    #[schema(minimum = -500, maximum = 500)]
    pub offset_y: f64,
    /// Twice the standard deviation of the blur in pixels, as CSS has it; 0 is sharp.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 200)]
    pub blur: f64,
}

/// What happens to lines that are too long or too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Overflow {
    /// They are cut off.
    #[default]
    Clip,
    /// "…" stands for what does not fit into the box or `maxLines`.
    Ellipsis,
}

/// Whether a text follows its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum TextFit {
    /// It has its size.
    #[default]
    None,
    /// It is set at the largest size, in steps of half a pixel, at which it fits into the layer's box and `maxLines`.
    Shrink,
}

/// Vertical place of a text in its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum VerticalAlign {
    /// At the upper edge.
    Top,
    /// In the middle.
    #[default]
    Middle,
    /// At the lower edge.
    Bottom,
}

pub(super) fn default_font() -> String {
    "Inter".into()
}
pub(super) fn default_size() -> f64 {
    32.0
}
pub(super) fn default_weight() -> u16 {
    400
}
pub(super) fn default_color() -> Rgba {
    Rgba::WHITE
}
pub(super) fn default_line_height() -> f64 {
    1.2
}

fn default_wrap() -> bool {
    true
}

impl Default for Style {
    fn default() -> Self {
        Self {
            font: default_font(),
            size: default_size(),
            weight: default_weight(),
            italic: false,
            color: default_color(),
            align: Align::default(),
            vertical_align: VerticalAlign::default(),
            line_height: default_line_height(),
            letter_spacing: 0.0,
            tabular_digits: None,
            fill: None,
            stroke: None,
            shadow: None,
            max_lines: None,
            overflow: Overflow::default(),
            fit: TextFit::default(),
            min_size: None,
            background: None,
            padding: 0.0,
            corner_radius: 0.0,
        }
    }
}

impl Kind for Text {
    const TYPE: &'static str = "text";

    fn check(&self, check: &mut Check) {
        let is_one = self.text.is_some() != self.runs.is_some();
        check.that("/text", is_one, || "a text layer has either text or runs".into());
        check.count("/text", "bytes", self.text.as_ref().map_or(0, String::len), 0..=TEXT_LEN_MAX);
        if let Some(runs) = &self.runs {
            check.count("/runs", "runs", runs.len(), 1..=RUNS_MAX);
            let bytes = runs.iter().map(|run| run.text.len()).sum();
            check.count("/runs", "bytes in all", bytes, 0..=TEXT_LEN_MAX);
            for (i, run) in runs.iter().enumerate() {
                check.part(&format!("/runs/{i}"), |check| run.check(check));
            }
        }
        self.check_animations(check);
        self.style().check(check);
    }

    fn fonts(&self) -> Vec<&str> {
        let runs = self.runs.iter().flatten().filter_map(|run| run.font.as_deref());
        [self.font.as_str()].into_iter().chain(runs).collect()
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let style = self.style();
        let raster = self.raster(planner, &style);
        if text_animation::is_whole(&self.text_animations, planner.moment().elapsed, raster.text.len()) {
            self.announce(planner, raster.text.len());
            return style.plan_block(planner, raster);
        }
        self.plan_parts(planner, &style, raster);
    }
}

impl Text {
    fn check_animations(&self, check: &mut Check) {
        let animations = &self.text_animations;
        check.count("/textAnimations", "animations", animations.len(), 0..=ANIMATIONS_MAX);
        for (i, animation) in animations.iter().enumerate() {
            check.part(&format!("/textAnimations/{i}"), |check| animation.check(check));
        }
        let is_one = animations.windows(2).all(|pair| pair[0].unit == pair[1].unit);
        check.that("/textAnimations", is_one, || "all animations of a text have the same unit".into());
        let runs = self.runs.iter().flatten().map(|run| run.text.len()).sum::<usize>();
        let bytes = self.text.as_ref().map_or(runs, String::len);
        let is_short = animations.is_empty() || bytes <= ANIMATED_LEN_MAX;
        let refused = || format!("{bytes} bytes of text are too many to be animated: 0 to {ANIMATED_LEN_MAX}");
        check.that("/textAnimations", is_short, refused);
    }

    /// Says when a text of so many parts changes.
    fn announce(&self, planner: &mut Planner<'_>, parts: usize) {
        if let Some(time) = text_animation::changes_at(&self.text_animations, planner.moment().elapsed, parts) {
            planner.changes_at(time);
        }
    }

    /// Draws each part of the text where it is, on the background.
    fn plan_parts(&self, planner: &mut Planner<'_>, style: &Style, whole: TextRaster) {
        let unit = self.text_animations.first().map(|animation| animation.unit);
        let apart = Raster::Text(Arc::new(TextRaster { unit, ..whole.clone() }));
        let Some(block) = planner.extent(&apart) else { return };
        let whole = Arc::new(whole);
        // What is drawn as soon as all is at rest.
        planner.prefetch(&Raster::Text(whole.clone()));
        let [size, origin] = style.lay(planner, block);
        let origin = whole.snapped(origin);
        style.plan_background(planner, size);
        let letters = planner.letters(&apart).filter(|letters| !letters.parts.is_empty());
        let parts: Vec<(Rect, Rect, Raster)> = match &letters {
            Some(letters) => letters.parts.iter().map(|part| part.drawn(origin, letters, &apart)).collect(),
            // Too large to be taken apart: all of it is one part.
            None => {
                let rect = texture_rect(&whole, block, origin);
                vec![(rect, rect, Raster::Text(whole.clone()))]
            }
        };
        self.announce(planner, parts.len());
        let elapsed = planner.moment().elapsed;
        let count = parts.len();
        for (i, (clip, dest, raster)) in parts.into_iter().enumerate() {
            let stance = text_animation::stance(&self.text_animations, elapsed, i, count);
            let (place, opacity) = (stance.place(clip), stance.opacity as f32);
            let paint = Paint::Raster { raster, dest };
            planner.draw_placed_beyond((size, whole.reach()), place, clip, opacity, paint);
        }
    }

    fn raster(&self, planner: &Planner<'_>, style: &Style) -> TextRaster {
        // One way to break lines, for texts that come from Windows too.
        let parts = self.text.iter().map(String::as_str).chain(self.runs.iter().flatten().map(|run| run.text.as_str()));
        let parts: Vec<String> = parts.map(|part| part.replace("\r\n", "\n").replace('\r', "\n")).collect();
        let mut raster = style.block(planner, parts.concat(), self.wrap);
        raster.direction = self.direction;
        if let Some(runs) = &self.runs {
            let mut end = 0;
            let span = |(run, part): (&TextRun, &String)| {
                end += part.len();
                TextSpan { end, look: run.look(style) }
            };
            let spans = runs.iter().zip(&parts).map(span).collect();
            return style.spanned(planner, raster, spans);
        }
        raster
    }
}

impl TextRun {
    fn check(&self, check: &mut Check) {
        check.count("/font", "bytes", self.font.as_ref().map_or(1, String::len), 1..=128);
        check.range("/size", self.size.unwrap_or(1.0), SIZES);
        check.range("/weight", self.weight.map_or(100.0, f64::from), WEIGHTS);
        check.range("/letterSpacing", self.letter_spacing.unwrap_or(0.0), SPACINGS);
    }

    fn look(&self, style: &Style) -> TextLook {
        TextLook {
            font: self.font.as_ref().unwrap_or(&style.font).clone(),
            size: self.size.unwrap_or(style.size) as f32,
            weight: self.weight.unwrap_or(style.weight),
            is_italic: self.italic.unwrap_or(style.italic),
            colour: self.color,
            letter_spacing: self.letter_spacing.unwrap_or(style.letter_spacing) as f32,
        }
    }
}

impl Shadow {
    fn check(&self, check: &mut Check) {
        check.range("/offsetX", self.offset_x, -500.0..=500.0);
        check.range("/offsetY", self.offset_y, -500.0..=500.0);
        check.range("/blur", self.blur, 0.0..=200.0);
    }
}

impl VerticalAlign {
    /// How far below the upper edge the text starts when `free` pixels of the box are left.
    pub(super) fn offset(self, free: f32) -> f32 {
        match self {
            Self::Top => 0.0,
            Self::Middle => free / 2.0,
            Self::Bottom => free,
        }
    }
}

/// A measured text whose block starts at `origin`, moved to whole texture pixels.
pub(super) fn set(raster: Arc<TextRaster>, block: [f32; 2], origin: [f32; 2]) -> Paint {
    let origin = raster.snapped(origin);
    let dest = texture_rect(&raster, block, origin);
    Paint::Raster { raster: Raster::Text(raster), dest }
}

/// Layer pixels covered by a text's texture whose block of size `block` starts at `origin`: whole texture pixels, with
/// the overhang on each side.
pub(super) fn texture_rect(raster: &TextRaster, block: [f32; 2], origin: [f32; 2]) -> Rect {
    let texture = raster.texture_size(block).map(|side| side as f32 / raster.scale);
    Rect::new(origin[0] - raster.overhang(), origin[1] - raster.overhang(), texture[0], texture[1])
}

impl TextPart {
    /// Where the part is seen and where its texture lies, in layer pixels, when the text's block starts at `origin`.
    fn drawn(&self, origin: [f32; 2], letters: &Letters, raster: &Raster) -> (Rect, Rect, Raster) {
        let [x, y] = [origin[0] + self.rest[0], origin[1] + self.rest[1]];
        let dest = Rect::new(x - self.cell.x, y - self.cell.y, letters.texture[0], letters.texture[1]);
        (Rect::new(x, y, self.cell.w, self.cell.h), dest, raster.clone())
    }
}

impl TextRaster {
    /// The nearest place on whole texture pixels: they keep the glyphs as crisp as they were drawn.
    fn snapped(&self, origin: [f32; 2]) -> [f32; 2] {
        origin.map(|v| (v * self.scale).round() / self.scale)
    }

    /// Width and height in pixels of the texture for a measured block of `block` layer pixels.
    pub fn texture_size(&self, block: [f32; 2]) -> [u32; 2] {
        block.map(|side| ((side + 2.0 * self.overhang()) * self.scale).ceil().clamp(1.0, TEXTURE_SIDE_MAX) as u32)
    }
}

impl Style {
    /// Notes every value that is out of range.
    pub fn check(&self, check: &mut Check) {
        check.count("/font", "bytes", self.font.len(), 1..=128);
        check.range("/size", self.size, SIZES);
        check.range("/weight", f64::from(self.weight), WEIGHTS);
        check.range("/lineHeight", self.line_height, 0.5..=10.0);
        check.range("/letterSpacing", self.letter_spacing, SPACINGS);
        if let Some(fill) = &self.fill {
            check.part("/fill", |check| fill.check(check));
        }
        check.range("/stroke/width", self.stroke.as_ref().map_or(0.1, |stroke| stroke.width), 0.1..=100.0);
        if let Some(shadow) = &self.shadow {
            check.part("/shadow", |check| shadow.check(check));
        }
        check.range("/maxLines", self.max_lines.map_or(1.0, f64::from), 1.0..=1000.0);
        check.range("/minSize", self.min_size.unwrap_or(MIN_SIZE), SIZES);
        check.range("/padding", self.padding, 0.0..=1000.0);
        check.range("/cornerRadius", self.corner_radius, 0.0..=10_000.0);
    }

    /// Draws a text that fills the layer's box, on its background.
    pub(super) fn plan_block(&self, planner: &mut Planner<'_>, raster: TextRaster) {
        let raster = Arc::new(raster);
        let Some(block) = planner.extent(&Raster::Text(raster.clone())) else { return };
        let [size, origin] = self.lay(planner, block);
        self.plan_background(planner, size);
        let reach = raster.reach();
        planner.draw_beyond(size, reach, set(raster, block, origin));
    }

    /// Size of the layer's box, and where the block of a text starts that fills it.
    fn lay(&self, planner: &Planner<'_>, block: [f32; 2]) -> [[f32; 2]; 2] {
        let padding = self.padding as f32;
        let size = planner.size_or(block.map(|side| (side + 2.0 * padding).ceil()));
        // The block is as wide as the box's inside when that is known, and the lines are aligned within it.
        let y = self.vertical_align.offset(size[1] - 2.0 * padding - block[1]);
        [size, [padding, padding + y]]
    }

    /// Draws a text that becomes another one after a time; that one's raster is asked for already, so that the layer
    /// never blinks. Its digits are equally wide unless the document says otherwise, so that it does not tremble.
    pub(super) fn plan_changing(
        &self,
        planner: &mut Planner<'_>,
        text: String,
        next: Option<(Duration, &dyn Fn(i64) -> String)>,
    ) {
        let steady = Self { tabular_digits: self.tabular_digits.or(Some(true)), ..self.clone() };
        if let Some((span, text_in_ms)) = next {
            planner.changes_in(span);
            // That of the next frame: those between two frames are never seen. The world's time of a frame is rounded,
            // now down and now up.
            let ms = i64::try_from(planner.frame_in(span).as_millis()).unwrap_or(i64::MAX);
            let mut known = vec![text.clone()];
            for next in [ms, ms.saturating_sub(1), ms.saturating_add(1)].map(text_in_ms) {
                if !known.contains(&next) {
                    planner.prefetch(&Raster::Text(Arc::new(steady.block(planner, next.clone(), false))));
                    known.push(next);
                }
            }
        }
        let raster = steady.block(planner, text, false);
        steady.plan_block(planner, raster);
    }

    /// Draws the box behind the text, if there is one.
    pub(super) fn plan_background(&self, planner: &mut Planner<'_>, size: [f32; 2]) {
        if let Some(background) = self.background {
            planner.draw(size, self.backdrop(size, background));
        }
    }

    /// A text as wide as the box's inside, and no higher where that matters.
    pub(super) fn block(&self, planner: &Planner<'_>, text: String, wrap: bool) -> TextRaster {
        let inside = |side: f32| (side - 2.0 * self.padding as f32).max(1.0);
        let mut raster = self.raster(planner, text, planner.width().map(inside), wrap);
        if raster.size_min.is_some() || raster.has_ellipsis {
            raster.height = planner.height().map(inside);
        }
        raster
    }

    /// A text of this width in layer pixels, or as wide as it is.
    pub(super) fn raster(&self, planner: &Planner<'_>, text: String, width: Option<f32>, wrap: bool) -> TextRaster {
        let is_painted = self.stroke.is_some() || self.shadow.is_some() || matches!(self.fill, Some(Fill::Gradient(_)));
        let mut raster = TextRaster {
            text,
            spans: Vec::new(),
            font: self.font.clone(),
            size: self.size as f32,
            weight: self.weight,
            is_italic: self.italic,
            colour: if let Some(Fill::Color(colour)) = self.fill { colour } else { self.color },
            line_height: self.line_height as f32,
            letter_spacing: self.letter_spacing as f32,
            has_tabular_digits: self.tabular_digits == Some(true),
            align: self.align,
            direction: Direction::Auto,
            width,
            wrap,
            height: None,
            size_min: (self.fit == TextFit::Shrink).then(|| self.min_size.unwrap_or(MIN_SIZE).min(self.size) as f32),
            lines_max: self.max_lines,
            has_ellipsis: self.overflow == Overflow::Ellipsis,
            effects: is_painted.then(|| Arc::new(self.effects(planner))),
            unit: None,
            scale: 1.0,
        };
        raster.scale = self.raster_scale(planner, &raster);
        raster
    }

    /// The same text with parts that look different.
    pub(super) fn spanned(&self, planner: &Planner<'_>, raster: TextRaster, spans: Vec<TextSpan>) -> TextRaster {
        let mut raster = TextRaster { spans, ..raster };
        raster.effects.get_or_insert_with(|| Arc::new(self.effects(planner)));
        raster.scale = raster.scale.min(self.raster_scale(planner, &raster));
        raster
    }

    /// How its letters look, in this colour or as it is filled.
    pub(super) fn look(&self, colour: Option<Rgba>) -> TextLook {
        TextLook {
            font: self.font.clone(),
            size: self.size as f32,
            weight: self.weight,
            is_italic: self.italic,
            colour,
            letter_spacing: self.letter_spacing as f32,
        }
    }

    fn effects(&self, planner: &Planner<'_>) -> TextEffects {
        let shadow = |shadow: &Shadow| TextShadow {
            colour: shadow.color,
            offset: [shadow.offset_x as f32, shadow.offset_y as f32],
            blur: shadow.blur as f32,
        };
        TextEffects {
            gradient: if let Some(Fill::Gradient(gradient)) = &self.fill { Some(gradient.clone()) } else { None },
            stroke: self.stroke.as_ref().map(|s| draw::Stroke { colour: s.color, width: s.width as f32 }),
            shadow: self.shadow.as_ref().map(shadow),
            blend_space: planner.blend_space(),
        }
    }

    /// The scale at which the text is shown, in steps of 1/16 so that a slow zoom does not set it anew on every frame,
    /// and small enough for a texture and for the glyph atlas.
    fn raster_scale(&self, planner: &Planner<'_>, raster: &TextRaster) -> f32 {
        let shown = (planner.scale() * 16.0).round() / 16.0;
        let em = raster.spans.iter().map(|span| span.look.size).fold(raster.size, f32::max);
        let side = raster.width.unwrap_or(em).max(em) + em + 2.0 * raster.reach();
        shown.clamp(1.0 / 16.0, 16.0).min(TEXTURE_SIDE_MAX / side).min(*SIZES.end() as f32 / em)
    }

    fn backdrop(&self, size: [f32; 2], colour: Rgba) -> Paint {
        let radius = (self.corner_radius as f32).min(size[0] / 2.0).min(size[1] / 2.0);
        if radius <= 0.0 {
            return Paint::Solid(colour);
        }
        Paint::Shape(Arc::new(Shape {
            outline: Outline::Rectangle { rect: Rect::at_origin(size), radius },
            fill: Some(draw::Fill::Solid(colour)),
            stroke: None,
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::{
        content::testing::{plan, problem, shelf},
        draw::DrawItem,
        geometry::Affine,
    };

    fn text(fields: Value) -> Value {
        let mut document = json!({ "type": "text", "text": "Hello" });
        json_patch::merge(&mut document, &fields);
        document
    }

    fn item(fields: Value, transform: Value) -> (DrawItem, Arc<TextRaster>) {
        let item = plan(text(fields), transform).remove(0);
        let Paint::Raster { raster: Raster::Text(raster), .. } = &item.paint else { panic!("a text") };
        let raster = raster.clone();
        (item, raster)
    }

    #[test]
    fn stroke_and_shadow_reach_out_of_the_box() {
        let (plain, _) = item(json!({ "size": 20 }), json!({}));
        assert_eq!(plain.clip, Rect::new(0.0, 0.0, 50.0, 24.0));
        let (item, raster) = item(
            json!({ "size": 20, "stroke": { "color": "#000000", "width": 3 },
                "shadow": { "color": "#00000080", "offsetX": -4, "offsetY": 2, "blur": 6 } }),
            json!({}),
        );
        // 3 px of stroke, 4 px away, and three deviations of 3 px.
        assert_eq!(item.clip, Rect::new(-16.0, -16.0, 82.0, 56.0));
        let effects = raster.effects.as_ref().unwrap();
        assert_eq!(effects.shadow.unwrap().offset, [-4.0, 2.0]);
        assert!(raster.overhang() >= 16.0 + 5.0);
    }

    #[test]
    fn what_limits_a_text_is_part_of_its_key() {
        let (_, raster) = item(
            json!({ "size": 40, "fit": "shrink", "padding": 5, "maxLines": 3, "overflow": "ellipsis" }),
            json!({ "width": 100, "height": 50 }),
        );
        assert_eq!((raster.width, raster.height), (Some(90.0), Some(40.0)));
        assert_eq!((raster.size_min, raster.lines_max, raster.has_ellipsis), (Some(8.0), Some(3), true));
        let (_, plain) = item(json!({ "fit": "none" }), json!({ "width": 100, "height": 50 }));
        assert_eq!((plain.height, plain.size_min), (None, None), "the height alone sets nothing anew");
        let (_, small) = item(json!({ "size": 5, "fit": "shrink" }), json!({}));
        assert_eq!(small.size_min, Some(5.0));
    }

    #[test]
    fn a_colour_as_fill_is_a_colour_and_a_gradient_is_painted() {
        let (_, raster) = item(json!({ "fill": "#ff0000" }), json!({}));
        assert_eq!((raster.colour, raster.effects.is_none()), (Rgba::new(255, 0, 0, 255), true));
        let stops = json!([{ "offset": 0, "color": "#ff0000" }, { "offset": 1, "color": "#0000ff" }]);
        let (_, raster) = item(json!({ "fill": { "type": "linear", "stops": stops } }), json!({}));
        assert!(raster.effects.as_ref().unwrap().gradient.is_some());
    }

    #[test]
    fn runs_take_what_they_do_not_say_from_the_layer() {
        let runs = json!([{ "text": "a\r\n" }, { "text": "b", "weight": 700, "color": "#00ff00" }]);
        let (_, raster) = item(json!({ "text": null, "runs": runs, "size": 20, "italic": true }), json!({}));
        assert_eq!(raster.text, "a\nb");
        assert_eq!(raster.spans.iter().map(|span| span.end).collect::<Vec<_>>(), [2, 3]);
        let (a, b) = (&raster.spans[0].look, &raster.spans[1].look);
        assert_eq!((a.weight, a.is_italic, a.colour, a.size), (400, true, None, 20.0));
        assert_eq!((b.weight, b.is_italic, b.colour), (700, true, Some(Rgba::new(0, 255, 0, 255))));
    }

    /// The shelf takes no text apart, so all of it is one part.
    #[test]
    fn an_animated_text_is_drawn_part_by_part_until_it_is_whole() {
        let animations = json!([{ "startMs": 1000, "durationMs": 200, "staggerMs": 0, "easing": "linear",
            "from": { "opacity": 0, "offsetX": 50 } }]);
        let at = |ms| {
            let (shelf, evaluation) = shelf(text(json!({ "textAnimations": animations })), json!({}), ms, 0);
            (shelf.asked().len(), evaluation.draw_list.items, evaluation.changes_at.map(|time| time.as_millis()))
        };
        let (asked, items, next) = at(500);
        assert_eq!((asked, items.len(), next), (2, 0, Some(1000)), "the whole text is prepared already");
        let (_, items, next) = at(1050);
        assert_eq!((items.len(), items[0].opacity, items[0].place.e, next), (1, 0.25, 37.5, Some(1050)));
        // Five letters, each of which could be a part: by then all are there.
        let (asked, items, next) = at(1200);
        assert_eq!((asked, items[0].opacity, items[0].place, next), (1, 1.0, Affine::IDENTITY, None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, pointer) in [
            (json!({ "textAnimations": [{ "durationMs": 0 }] }), "/content/textAnimations/0/durationMs"),
            (json!({ "textAnimations": [{ "from": { "opacity": 2 } }] }), "/content/textAnimations/0/from/opacity"),
            (json!({ "textAnimations": [{ "unit": "word" }, { "unit": "line" }] }), "/content/textAnimations"),
            (json!({ "text": "x".repeat(1001), "textAnimations": [{}] }), "/content/textAnimations"),
            (json!({ "textAnimations": [{ "easing": "wobble" }] }), "/content/textAnimations/0/easing"),
            (json!({ "runs": [{ "text": "b" }] }), "/content/text"),
            (json!({ "text": null }), "/content/text"),
            (json!({ "text": null, "runs": [] }), "/content/runs"),
            (json!({ "text": null, "runs": [{ "text": "b", "size": 0 }] }), "/content/runs/0/size"),
            (json!({ "text": null, "runs": [{ "text": "b", "weight": 50 }] }), "/content/runs/0/weight"),
            (json!({ "text": null, "runs": [{ "text": "b", "wieght": 50 }] }), "/content/runs/0/wieght"),
            (json!({ "stroke": { "color": "#000000", "width": 0 } }), "/content/stroke/width"),
            (json!({ "shadow": { "color": "#000000", "blur": 201 } }), "/content/shadow/blur"),
            (json!({ "shadow": { "color": "#000000", "offsetX": 501 } }), "/content/shadow/offsetX"),
            (json!({ "fill": { "type": "linear", "stops": [] } }), "/content/fill/stops"),
            (json!({ "maxLines": 0 }), "/content/maxLines"),
            (json!({ "minSize": 0 }), "/content/minSize"),
            (json!({ "overflow": "scroll" }), "/content/overflow"),
            (json!({ "fit": "grow" }), "/content/fit"),
            (json!({ "direction": "up" }), "/content/direction"),
        ] {
            assert_eq!(problem(text(fields)).0, pointer);
        }
    }
}
