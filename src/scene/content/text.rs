//! `text`: one style, wrapped and aligned in the layer's box, with an optional background box.
//!
//! Without a width the box is as wide as the longest line, without a height as high as all lines, plus the padding.
//! Several styles, stroke, shadow and auto-fit are not here.

use std::sync::Arc;

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
const TEXTURE_SIDE_MAX: f32 = 4096.0;

/// The document of a text layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Text {
    /// What is written; `\n` breaks lines.
    pub text: String,
    /// Font family.
    #[serde(default = "default_font")]
    pub font: String,
    /// Size in pixels.
    #[serde(default = "default_size")]
    pub size: f64,
    /// 100 to 900.
    #[serde(default = "default_weight")]
    pub weight: u16,
    /// Slanted.
    #[serde(default)]
    pub italic: bool,
    /// Colour of the letters.
    #[serde(default = "default_color")]
    pub color: Rgba,
    /// Alignment of lines.
    #[serde(default)]
    pub align: Align,
    /// Place of the text in a box that is higher.
    #[serde(default)]
    pub vertical_align: VerticalAlign,
    /// Whether long lines are broken between words.
    #[serde(default = "default_wrap")]
    pub wrap: bool,
    /// Line distance as a multiple of the size.
    #[serde(default = "default_line_height")]
    pub line_height: f64,
    /// Extra space between letters, in pixels.
    #[serde(default)]
    pub letter_spacing: f64,
    /// Colour of the box behind the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<Rgba>,
    /// Space between the box's edges and the text, in pixels.
    #[serde(default)]
    pub padding: f64,
    /// Radius of the box's corners, in pixels.
    #[serde(default)]
    pub corner_radius: f64,
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

fn default_font() -> String {
    "Inter".into()
}
fn default_size() -> f64 {
    32.0
}
fn default_weight() -> u16 {
    400
}
fn default_color() -> Rgba {
    Rgba::WHITE
}
fn default_wrap() -> bool {
    true
}
fn default_line_height() -> f64 {
    1.2
}

impl Kind for Text {
    const TYPE: &'static str = "text";

    fn check(&self, check: &mut Check) {
        check.count("/text", "bytes", self.text.len(), 0..=TEXT_LEN_MAX);
        check.count("/font", "bytes", self.font.len(), 1..=128);
        check.range("/size", self.size, SIZES);
        check.range("/weight", f64::from(self.weight), 100.0..=900.0);
        check.range("/lineHeight", self.line_height, 0.5..=10.0);
        check.range("/letterSpacing", self.letter_spacing, -100.0..=1000.0);
        check.range("/padding", self.padding, 0.0..=1000.0);
        check.range("/cornerRadius", self.corner_radius, 0.0..=10_000.0);
    }

    fn fonts(&self) -> Vec<&str> {
        vec![&self.font]
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let padding = self.padding as f32;
        let raster = Arc::new(self.raster(planner));
        let Some(block) = planner.extent(&Raster::Text(raster.clone())) else { return };
        let size = planner.size_or(block.map(|side| (side + 2.0 * padding).ceil()));
        if let Some(background) = self.background {
            planner.draw(size, self.backdrop(size, background));
        }
        // The block is as wide as the box's inside when that is known, and the lines are aligned within it.
        let free = size[1] - 2.0 * padding - block[1];
        let y = match self.vertical_align {
            VerticalAlign::Top => 0.0,
            VerticalAlign::Middle => free / 2.0,
            VerticalAlign::Bottom => free,
        };
        // Whole texture pixels keep the glyphs as crisp as they were drawn.
        let origin = [padding, padding + y].map(|v| (v * raster.scale).round() / raster.scale);
        let dest = texture_rect(&raster, block, origin);
        planner.draw(size, Paint::Raster { raster: Raster::Text(raster), dest });
    }
}

/// Layer pixels covered by a text's texture whose block of size `block` starts at `origin`: whole texture pixels, with
/// the overhang on each side.
fn texture_rect(raster: &TextRaster, block: [f32; 2], origin: [f32; 2]) -> Rect {
    let texture = raster.texture_size(block).map(|side| side as f32 / raster.scale);
    Rect::new(origin[0] - raster.overhang(), origin[1] - raster.overhang(), texture[0], texture[1])
}

impl TextRaster {
    /// Width and height in pixels of the texture for a measured block of `block` layer pixels.
    pub fn texture_size(&self, block: [f32; 2]) -> [u32; 2] {
        block.map(|side| ((side + 2.0 * self.overhang()) * self.scale).ceil().clamp(1.0, TEXTURE_SIDE_MAX) as u32)
    }
}

impl Text {
    fn raster(&self, planner: &Planner<'_>) -> TextRaster {
        let width = planner.width().map(|width| (width - 2.0 * self.padding as f32).max(1.0));
        TextRaster {
            text: self.text.clone(),
            font: self.font.clone(),
            size: self.size as f32,
            weight: self.weight,
            is_italic: self.italic,
            colour: self.color,
            line_height: self.line_height as f32,
            letter_spacing: self.letter_spacing as f32,
            align: self.align,
            width,
            wrap: self.wrap,
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
