//! `shape`: rectangle (with radius), ellipse, polygon or line; filled with a colour or a gradient, stroked.
//!
//! The box is the layer's, or the canvas without a size. The stroke of a rectangle or an ellipse lies inside the box, as
//! a CSS border does; that of a polygon or a line is centred on it, as in SVG, and may stand out of the box.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Fill, Kind, Planner};
use crate::{
    base::colour::Rgba,
    scene::{
        check::Check,
        draw::{self, POINTS_MAX, Paint},
        geometry::Rect,
    },
};

/// The document of a shape layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shape {
    /// Which outline.
    pub shape: Outline,
    /// Corner radius of a rectangle, in pixels.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10000)]
    pub corner_radius: f64,
    /// Corners of a polygon, in fractions of the box.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<[f64; 2]>,
    /// Start of a line, in fractions of the box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<[f64; 2]>,
    /// End of a line, in fractions of the box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<[f64; 2]>,
    /// What fills it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill: Option<Fill>,
    /// The line around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stroke: Option<Stroke>,
}

/// The outlines there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Outline {
    /// With `cornerRadius`.
    Rectangle,
    /// Touching the sides of the box.
    Ellipse,
    /// Through `points`.
    Polygon,
    /// From `from` to `to`.
    Line,
}

/// A line along the outline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stroke {
    /// Straight sRGB colour.
    pub color: Rgba,
    /// Width in pixels.
    pub width: f64,
}

impl Kind for Shape {
    const TYPE: &'static str = "shape";

    fn check(&self, check: &mut Check) {
        check.range("/cornerRadius", self.corner_radius, 0.0..=10_000.0);
        if self.shape == Outline::Polygon {
            check.count("/points", "points", self.points.len(), 3..=POINTS_MAX);
        }
        for (i, point) in self.points.iter().chain(&self.from).chain(&self.to).enumerate() {
            let pointer = if i < self.points.len() { format!("/points/{i}") } else { "/from,/to".into() };
            point.iter().for_each(|&v| check.range(&pointer, v, -10.0..=10.0));
        }
        if self.shape == Outline::Line {
            check.that("/from", self.from.is_some(), || "a line needs from, e.g. [0, 0.5]".into());
            check.that("/to", self.to.is_some(), || "a line needs to, e.g. [1, 0.5]".into());
            check.that("/stroke", self.stroke.is_some(), || "a line is drawn by its stroke".into());
        }
        if let Some(stroke) = &self.stroke {
            check.range("/stroke/width", stroke.width, 0.1..=1000.0);
        }
        if let Some(fill) = &self.fill {
            check.part("/fill", |check| fill.check(check));
        }
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let size = planner.size_or_canvas();
        let fill = self.fill.as_ref().filter(|_| self.shape != Outline::Line).map(|fill| fill.over(size));
        let stroke = self.stroke.as_ref().map(|s| draw::Stroke { colour: s.color, width: s.width as f32 });
        let shape = draw::Shape { outline: self.outline(size), fill, stroke };
        if shape.fill.is_none() && stroke.is_none() {
            return;
        }
        // A stroke centred on an outline that touches the box needs room beyond it: half a width, and at sharp corners
        // as much as the shader's mitre, which is a full width.
        let is_inside = matches!(self.shape, Outline::Rectangle | Outline::Ellipse);
        let room = if is_inside { 0.0 } else { stroke.map_or(0.0, |s| s.width) + self.reach(size) };
        planner.draw_beyond(size, room, Paint::Shape(Arc::new(shape)));
    }
}

impl Shape {
    fn outline(&self, size: [f32; 2]) -> draw::Outline {
        let inset = self.stroke.as_ref().map_or(0.0, |stroke| stroke.width as f32 / 2.0);
        let rect = Rect::at_origin(size).inflate(-inset);
        let at = |p: [f64; 2]| [p[0] as f32 * size[0], p[1] as f32 * size[1]];
        match self.shape {
            Outline::Rectangle => {
                // The radius is that of the outer edge; the outline runs in the middle of the stroke.
                let radius = (self.corner_radius as f32 - inset).max(0.0).min(rect.w / 2.0).min(rect.h / 2.0);
                draw::Outline::Rectangle { rect, radius }
            }
            Outline::Ellipse => draw::Outline::Ellipse { rect },
            Outline::Polygon => draw::Outline::Polygon { points: self.points.iter().map(|&p| at(p)).collect() },
            Outline::Line => {
                draw::Outline::Line { from: at(self.from.unwrap_or([0.0, 0.5])), to: at(self.to.unwrap_or([1.0, 0.5])) }
            }
        }
    }

    /// How far points outside 0..1 stand out of the box, in pixels.
    fn reach(&self, size: [f32; 2]) -> f32 {
        let points = self.points.iter().chain(&self.from).chain(&self.to);
        let out = |v: f64, side: f32| (-v).max(v - 1.0).max(0.0) as f32 * side;
        points.map(|p| out(p[0], size[0]).max(out(p[1], size[1]))).fold(0.0, f32::max)
    }
}
