//! What contents of several texts share: a measured text that lies freely in the box, and plain boxes.

use std::sync::Arc;

use super::{
    Planner, Style,
    text::{set, texture_rect},
};
use crate::scene::{
    draw::{Fill, Outline, Paint, Raster, Shape, TextRaster},
    geometry::{Affine, Rect},
};

/// The part of a layer's box that a paint may colour, in layer pixels, and how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    /// Nothing outside is drawn.
    pub(super) clip: Rect,
    /// 0 to 1, on top of the layer's own.
    pub(super) opacity: f32,
}

impl Part {
    /// What lies in `clip`, as it is.
    pub(super) fn within(clip: Rect) -> Self {
        Self { clip, opacity: 1.0 }
    }

    /// Draws `paint` in the layer's box of `size`, as far as it lies in this part.
    pub(super) fn draw(self, planner: &mut Planner<'_>, size: [f32; 2], paint: Paint) {
        planner.draw_placed(size, Affine::IDENTITY, self.clip, self.opacity, paint);
    }
}

/// A measured text.
#[derive(Debug, Clone)]
pub(super) struct Label {
    raster: Arc<TextRaster>,
    /// Width and height of its lines, in layer pixels.
    pub(super) block: [f32; 2],
}

impl Label {
    /// A text on one line; nothing for an empty one, or one that cannot be measured yet.
    pub(super) fn line(planner: &mut Planner<'_>, style: &Style, text: &str) -> Option<Self> {
        if text.is_empty() {
            return None;
        }
        let raster = style.raster(planner, text.replace(['\n', '\r'], " "), None, false);
        Self::measured(planner, raster)
    }

    /// A text on one line, set smaller where it would be wider than `width`, down to half its size; beyond it is cut.
    pub(super) fn fitting(planner: &mut Planner<'_>, style: &Style, text: &str, width: f32) -> Option<Self> {
        let label = Self::line(planner, style, text)?;
        if label.block[0] <= width {
            return Some(label);
        }
        // In whole steps, so that a width that moves does not set the text anew on every frame.
        let share = (f64::from(width / label.block[0]) * 16.0).floor() / 16.0;
        let smaller = Style { size: (style.size * share.max(0.5)).max(1.0), ..style.clone() };
        Self::line(planner, &smaller, text)
    }

    /// A text as its raster says; nothing while it cannot be measured.
    pub(super) fn measured(planner: &mut Planner<'_>, raster: TextRaster) -> Option<Self> {
        let raster = Arc::new(raster);
        let block = planner.extent(&Raster::Text(raster.clone()))?;
        Some(Self { raster, block })
    }

    /// Draws it with its block's corner at `origin`, moved to whole texture pixels, which is crisp.
    pub(super) fn plan(&self, planner: &mut Planner<'_>, size: [f32; 2], part: Part, origin: [f32; 2]) {
        part.draw(planner, size, set(self.raster.clone(), self.block, origin));
    }

    /// Draws it with its block's corner at `origin` as it is, which is even while it moves.
    pub(super) fn plan_moving(&self, planner: &mut Planner<'_>, size: [f32; 2], part: Part, origin: [f32; 2]) {
        let dest = texture_rect(&self.raster, self.block, origin);
        part.draw(planner, size, Paint::Raster { raster: Raster::Text(self.raster.clone()), dest });
    }
}

/// A rectangle with round corners, filled.
pub(super) fn filled(rect: Rect, radius: f32, fill: Fill) -> Paint {
    let radius = radius.min(rect.w / 2.0).min(rect.h / 2.0);
    let outline = Outline::Rectangle { rect, radius };
    Paint::Shape(Arc::new(Shape { outline, fill: Some(fill), stroke: None }))
}
