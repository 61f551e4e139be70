//! `text`: one style, wrapped and aligned in the layer's box, with an optional background box.
//!
//! Without a width the box is as wide as the longest line, without a height as high as all lines, plus the padding.
//! Several styles, stroke, shadow and auto-fit are not here.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};

use super::{Kind, Planner};
use crate::{
    base::colour::Rgba,
    scene::{
        check::Check,
        draw::{Align, Fill, Outline, Paint, Raster, Shape, TextRaster},
        geometry::Rect,
    },
};

/// Longest text, in bytes.
pub const TEXT_LEN_MAX: usize = 10_000;
/// Font sizes, in pixels.
const SIZES: std::ops::RangeInclusive<f64> = 1.0..=1000.0;
/// Texture pixels a text may be high and wide; beyond, it is set at a smaller scale.
pub(super) const TEXTURE_SIDE_MAX: f32 = 4096.0;

/// Declares a document with its own fields and those of a text style beside them; serde's `flatten` would lose both the
/// path of an error and the names that are allowed.
macro_rules! styled {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            /// Font family.
            #[serde(default = "crate::scene::content::text::default_font")]
            pub font: String,
            /// Size in pixels.
            #[serde(default = "crate::scene::content::text::default_size")]
            pub size: f64,
            /// 100 to 900.
            #[serde(default = "crate::scene::content::text::default_weight")]
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
            pub line_height: f64,
            /// Extra space between letters, in pixels.
            #[serde(default)]
            pub letter_spacing: f64,
            /// Colour of the box behind the text.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub background: Option<crate::base::colour::Rgba>,
            /// Space between the box's edges and the text, in pixels.
            #[serde(default)]
            pub padding: f64,
            /// Radius of the box's corners, in pixels.
            #[serde(default)]
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
        /// What is written; `\n` breaks lines.
        pub text: String,
        /// Whether long lines are broken between words.
        #[serde(default = "default_wrap")]
        pub wrap: bool,
    }
}

/// Vertical place of a text in its box.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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
            background: None,
            padding: 0.0,
            corner_radius: 0.0,
        }
    }
}

impl Kind for Text {
    const TYPE: &'static str = "text";

    fn check(&self, check: &mut Check) {
        check.count("/text", "bytes", self.text.len(), 0..=TEXT_LEN_MAX);
        self.style().check(check);
    }

    fn fonts(&self) -> Vec<&str> {
        vec![&self.font]
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let style = self.style();
        style.plan_block(planner, style.block(planner, self.text.clone(), self.wrap));
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

/// A measured text whose block starts at `origin`, moved to whole texture pixels: they keep the glyphs as crisp as they
/// were drawn.
pub(super) fn set(raster: Arc<TextRaster>, block: [f32; 2], origin: [f32; 2]) -> Paint {
    let origin = origin.map(|v| (v * raster.scale).round() / raster.scale);
    let dest = texture_rect(&raster, block, origin);
    Paint::Raster { raster: Raster::Text(raster), dest }
}

/// Layer pixels covered by a text's texture whose block of size `block` starts at `origin`: whole texture pixels, with
/// the overhang on each side.
pub(super) fn texture_rect(raster: &TextRaster, block: [f32; 2], origin: [f32; 2]) -> Rect {
    let texture = raster.texture_size(block).map(|side| side as f32 / raster.scale);
    Rect::new(origin[0] - raster.overhang(), origin[1] - raster.overhang(), texture[0], texture[1])
}

impl TextRaster {
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
        check.range("/weight", f64::from(self.weight), 100.0..=900.0);
        check.range("/lineHeight", self.line_height, 0.5..=10.0);
        check.range("/letterSpacing", self.letter_spacing, -100.0..=1000.0);
        check.range("/padding", self.padding, 0.0..=1000.0);
        check.range("/cornerRadius", self.corner_radius, 0.0..=10_000.0);
    }

    /// Draws a text that fills the layer's box, on its background.
    pub(super) fn plan_block(&self, planner: &mut Planner<'_>, raster: TextRaster) {
        let padding = self.padding as f32;
        let raster = Arc::new(raster);
        let Some(block) = planner.extent(&Raster::Text(raster.clone())) else { return };
        let size = planner.size_or(block.map(|side| (side + 2.0 * padding).ceil()));
        self.plan_background(planner, size);
        // The block is as wide as the box's inside when that is known, and the lines are aligned within it.
        let y = self.vertical_align.offset(size[1] - 2.0 * padding - block[1]);
        planner.draw(size, set(raster, block, [padding, padding + y]));
    }

    /// Draws a text that becomes another one after a time; that one's raster is asked for already, so that the layer
    /// never blinks.
    pub(super) fn plan_changing(&self, planner: &mut Planner<'_>, text: String, next: Option<(Duration, String)>) {
        if let Some((span, next)) = next {
            planner.changes_in(span);
            if next != text {
                planner.prefetch(&Raster::Text(Arc::new(self.block(planner, next, false))));
            }
        }
        let raster = self.block(planner, text, false);
        self.plan_block(planner, raster);
    }

    /// Draws the box behind the text, if there is one.
    pub(super) fn plan_background(&self, planner: &mut Planner<'_>, size: [f32; 2]) {
        if let Some(background) = self.background {
            planner.draw(size, self.backdrop(size, background));
        }
    }

    /// A text as wide as the box's inside.
    pub(super) fn block(&self, planner: &Planner<'_>, text: String, wrap: bool) -> TextRaster {
        let width = planner.width().map(|width| (width - 2.0 * self.padding as f32).max(1.0));
        self.raster(planner, text, width, wrap)
    }

    /// A text of this width in layer pixels, or as wide as it is.
    pub(super) fn raster(&self, planner: &Planner<'_>, text: String, width: Option<f32>, wrap: bool) -> TextRaster {
        TextRaster {
            text,
            font: self.font.clone(),
            size: self.size as f32,
            weight: self.weight,
            is_italic: self.italic,
            colour: self.color,
            line_height: self.line_height as f32,
            letter_spacing: self.letter_spacing as f32,
            align: self.align,
            width,
            wrap,
            scale: self.raster_scale(planner, width),
        }
    }

    /// The scale at which the text is shown, in steps of 1/16 so that a slow zoom does not set it anew on every frame,
    /// and small enough for a texture and for the glyph atlas.
    fn raster_scale(&self, planner: &Planner<'_>, width: Option<f32>) -> f32 {
        let shown = (planner.scale() * 16.0).round() / 16.0;
        let em = self.size as f32;
        let side = width.unwrap_or(em).max(em) + em;
        shown.clamp(1.0 / 16.0, 16.0).min(TEXTURE_SIDE_MAX / side).min(*SIZES.end() as f32 / em)
    }

    fn backdrop(&self, size: [f32; 2], colour: Rgba) -> Paint {
        let radius = (self.corner_radius as f32).min(size[0] / 2.0).min(size[1] / 2.0);
        if radius <= 0.0 {
            return Paint::Solid(colour);
        }
        Paint::Shape(Arc::new(Shape {
            outline: Outline::Rectangle { rect: Rect::at_origin(size), radius },
            fill: Some(Fill::Solid(colour)),
            stroke: None,
        }))
    }
}
