//! What fills an outline: a colour, or a gradient over the box.
//!
//! Gradients follow CSS Images 3, sections 3.1 (linear) and 3.2 (radial, farthest-side, centred). Conic ones are not here.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    base::colour::Rgba,
    scene::{
        check::Check,
        draw::{self, STOPS_MAX},
        geometry::Rect,
    },
};

/// A colour or a gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a colour (#rrggbb or #rrggbbaa) or a gradient { type: linear|radial, angle, stops }")]
pub enum Fill {
    /// `"#rrggbb[aa]"`.
    Color(Rgba),
    /// An object with `type` and `stops`.
    Gradient(Gradient),
}

/// A gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum GradientKind {
    /// Along a line through the centre.
    Linear,
    /// From the centre to the sides.
    Radial,
}

/// A colour at a place along a gradient.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stop {
    /// 0 to 1, not smaller than the one before.
    pub offset: f64,
    /// Straight sRGB colour.
    pub color: Rgba,
}

fn to_bottom() -> f64 {
    180.0
}

impl Fill {
    pub(super) fn check(&self, check: &mut Check) {
        let Self::Gradient(gradient) = self else { return };
        check.range("/angle", gradient.angle, -36_000.0..=36_000.0);
        check.count("/stops", "stops", gradient.stops.len(), 2..=STOPS_MAX);
        for (i, stop) in gradient.stops.iter().enumerate() {
            check.range(&format!("/stops/{i}/offset"), stop.offset, 0.0..=1.0);
        }
        let is_rising = gradient.stops.is_sorted_by(|a, b| a.offset <= b.offset);
        check.that("/stops", is_rising, || "offsets must not fall".into());
    }

    /// The fill laid over a box of `size` layer pixels.
    pub(super) fn over(&self, size: [f32; 2]) -> draw::Fill {
        match self {
            Self::Color(colour) => draw::Fill::Solid(*colour),
            Self::Gradient(gradient) => gradient.over(size),
        }
    }
}

impl Gradient {
    /// The gradient laid over a box of `size` layer pixels.
    pub fn over(&self, size: [f32; 2]) -> draw::Fill {
        let stops = self.stops.iter().map(|s| draw::Stop { offset: s.offset as f32, colour: s.color }).collect();
        let centre = size.map(|side| side / 2.0);
        match self.kind {
            GradientKind::Radial => draw::Fill::Radial { centre, radii: centre.map(|r| r.max(0.5)), stops },
            GradientKind::Linear => {
                // The gradient line is just long enough for the corners to get the end colours.
                let (sin, cos) = self.angle.to_radians().sin_cos();
                let (sin, cos) = (sin as f32, cos as f32);
                let half = (size[0] * sin.abs() + size[1] * cos.abs()) / 2.0;
                let towards = |sign: f32| [centre[0] + sign * half * sin, centre[1] - sign * half * cos];
                draw::Fill::Linear { from: towards(-1.0), to: towards(1.0), stops }
            }
        }
    }
}

/// A fill laid over a rectangle that need not be at the origin.
pub(super) fn over(fill: &Fill, rect: Rect) -> draw::Fill {
    let moved = |[x, y]: [f32; 2]| [x + rect.x, y + rect.y];
    match fill.over([rect.w, rect.h]) {
        draw::Fill::Linear { from, to, stops } => draw::Fill::Linear { from: moved(from), to: moved(to), stops },
        draw::Fill::Radial { centre, radii, stops } => draw::Fill::Radial { centre: moved(centre), radii, stops },
        solid @ draw::Fill::Solid(_) => solid,
    }
}
