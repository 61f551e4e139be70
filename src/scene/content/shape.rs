//! `shape`: rectangle (with radius), ellipse, polygon or line; filled with a colour or a gradient, stroked.
//!
//! The box is the layer's, or the canvas without a size. The stroke of a rectangle or an ellipse lies inside the box, as
//! a CSS border does; that of a polygon or a line is centred on it, as in SVG, and may stand out of the box.
//! Gradients follow CSS Images 3, sections 3.1 (linear) and 3.2 (radial, farthest-side).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Kind, Planner};
use crate::{
    base::colour::Rgba,
    scene::{
        check::Check,
        draw::{self, POINTS_MAX, Paint, STOPS_MAX},
        geometry::Rect,
    },
};

/// The document of a shape layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Shape {
    /// Which outline.
    pub shape: Outline,
    /// Corner radius of a rectangle, in pixels.
    #[serde(default)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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

/// A colour or a gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a colour (#rrggbb or #rrggbbaa) or a gradient { type: linear|radial, angle, stops }")]
pub enum Fill {
    /// `"#rrggbb[aa]"`.
    Color(Rgba),
    /// An object with `type` and `stops`.
    Gradient(Gradient),
}

/// A gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Gradient {
    /// Along a line, or outwards.
    #[serde(rename = "type")]
    pub kind: GradientKind,
    /// Direction of a linear gradient in degrees: 0 to the top, 90 to the right.
    #[serde(default = "to_bottom")]
    pub angle: f64,
    /// Colours along the way.
    pub stops: Vec<Stop>,
}

/// The gradients there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum GradientKind {
    /// Along a line through the centre.
    Linear,
    /// From the centre to the sides.
    Radial,
}

/// A colour at a place along a gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stop {
    /// 0 to 1, not smaller than the one before.
    pub offset: f64,
    /// Straight sRGB colour.
    pub color: Rgba,
}

/// A line along the outline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stroke {
    /// Straight sRGB colour.
    pub color: Rgba,
    /// Width in pixels.
    pub width: f64,
}

fn to_bottom() -> f64 {
    180.0
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
        if let Some(Fill::Gradient(gradient)) = &self.fill {
            check.part("/fill", |check| gradient.check(check));
        }
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let size = planner.size_or_canvas();
        let stroke = self.stroke.as_ref().map(|s| draw::Stroke { colour: s.color, width: s.width as f32 });
        let shape = draw::Shape { outline: self.outline(size), fill: self.fill_in(size), stroke };
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

impl Gradient {
    fn check(&self, check: &mut Check) {
        check.range("/angle", self.angle, -36_000.0..=36_000.0);
        check.count("/stops", "stops", self.stops.len(), 2..=STOPS_MAX);
        for (i, stop) in self.stops.iter().enumerate() {
            check.range(&format!("/stops/{i}/offset"), stop.offset, 0.0..=1.0);
        }
        check.that("/stops", self.stops.is_sorted_by(|a, b| a.offset <= b.offset), || "offsets must not fall".into());
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

    fn fill_in(&self, size: [f32; 2]) -> Option<draw::Fill> {
        let gradient = match self.fill.as_ref().filter(|_| self.shape != Outline::Line)? {
            Fill::Color(colour) => return Some(draw::Fill::Solid(*colour)),
            Fill::Gradient(gradient) => gradient,
        };
        let stops = gradient.stops.iter().map(|s| draw::Stop { offset: s.offset as f32, colour: s.color }).collect();
        let centre = size.map(|side| side / 2.0);
        Some(match gradient.kind {
            GradientKind::Radial => draw::Fill::Radial { centre, radii: centre.map(|r| r.max(0.5)), stops },
            GradientKind::Linear => {
                // CSS: the gradient line is just long enough for the corners to get the end colours.
                let (sin, cos) = gradient.angle.to_radians().sin_cos();
                let (sin, cos) = (sin as f32, cos as f32);
                let half = (size[0] * sin.abs() + size[1] * cos.abs()) / 2.0;
                let towards = |sign: f32| [centre[0] + sign * half * sin, centre[1] - sign * half * cos];
                draw::Fill::Linear { from: towards(-1.0), to: towards(1.0), stops }
            }
        })
    }
}
