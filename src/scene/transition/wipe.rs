//! Wipes: the next scene is uncovered bit by bit, along an edge that moves or as a picture's brightness says.
//!
//! Either is a *matte* over the canvas, of which the alpha or the brightness says how much of the next scene shows. At the
//! start it shows nothing, at the end all; `softness` is how broad the edge is between both.
//!
//! ```text
//!  share uncovered   1 ────┐            edge - softness          progress 0: edge = 0           all is beyond it
//!                          └╲                                    progress 1: edge = 1 + softness all is behind it
//!                            ╲
//!                    0        └─────── edge
//! ```

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Direction, Document};
use crate::{
    base::colour::Rgba,
    scene::{
        Layer,
        check::{self, Check, Problems},
        draw::{self, Fill, Outline, Shape, Stop},
        effect::{Grade, Levels},
        geometry::Rect,
    },
};

/// Narrowest edge, as a share of the way: half a pixel of a small canvas, so that edges are smooth.
const SOFTNESS_MIN: f32 = 0.002;
/// Longest asset name, in bytes.
const NAME_LEN_MAX: usize = 256;
const SHARES: std::ops::RangeInclusive<f64> = 0.0..=1.0;

/// The next scene is uncovered along an edge.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Wipe {
    /// What the edge is.
    pub shape: WipeShape,
    /// Which way a line moves.
    pub direction: Direction,
    /// How broad the edge is, 0 to 1 of the way it goes; a clock's hand is sharp.
    #[schema(minimum = 0, maximum = 1)]
    pub softness: f64,
}

/// What the edge of a wipe is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum WipeShape {
    /// A line that moves across.
    #[default]
    Line,
    /// A circle that grows from the middle.
    Iris,
    /// The hand of a clock, from 12 to 12.
    Clock,
}

/// The next scene is uncovered where a picture is dark first, where it is bright last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LumaWipe {
    /// The picture, stretched over the canvas.
    pub asset: String,
    /// How broad the edge is, 0 to 1 of all brightness.
    #[serde(default = "default_softness")]
    #[schema(minimum = 0, maximum = 1)]
    pub softness: f64,
    /// Whether it is bright parts first.
    #[serde(default)]
    pub inverted: bool,
}

fn default_softness() -> f64 {
    0.05
}

impl Document for Wipe {
    const TYPE: &'static str = "wipe";

    fn read(value: serde_json::Value) -> Result<Self, Problems> {
        check::read(value)
    }

    fn check(&self, _: u32, check: &mut Check) {
        check.range("/softness", self.softness, SHARES);
    }
}

impl Document for LumaWipe {
    const TYPE: &'static str = "lumaWipe";

    fn read(value: serde_json::Value) -> Result<Self, Problems> {
        check::read(value)
    }

    fn check(&self, _: u32, check: &mut Check) {
        check.count("/asset", "bytes", self.asset.len(), 1..=NAME_LEN_MAX);
        check.range("/softness", self.softness, SHARES);
    }
}

impl Wipe {
    /// What is uncovered at `progress`, 0 to 1, of a canvas of this size: by its alpha.
    pub(super) fn matte(&self, progress: f32, canvas: Rect) -> Shape {
        let softness = (self.softness as f32).max(SOFTNESS_MIN);
        // All lies behind the edge's far side at 0, and before its near side at 1.
        let far = progress * (1.0 + softness);
        let near = far - softness;
        match self.shape {
            WipeShape::Line => over(canvas, line(self.direction, near, far, canvas)),
            WipeShape::Iris => over(canvas, iris(near, far, canvas)),
            WipeShape::Clock => clock(progress, canvas),
        }
    }
}

fn over(canvas: Rect, fill: Fill) -> Shape {
    Shape { outline: Outline::Rectangle { rect: canvas, radius: 0.0 }, fill: Some(fill), stroke: None }
}

fn stop(offset: f32, alpha: f32) -> Stop {
    Stop { offset, colour: Rgba { a: (alpha * 255.0).round() as u8, ..Rgba::WHITE } }
}

/// Opaque where the line has been, from its near to its far side less and less.
fn line(direction: Direction, near: f32, far: f32, canvas: Rect) -> Fill {
    let [x, y] = direction.vector();
    let Rect { w, h, .. } = canvas;
    // Where the way begins: at the edge that the direction leads away from.
    let start = [if x < 0.0 { w } else { 0.0 }, if y < 0.0 { h } else { 0.0 }];
    let at = |share: f32| [start[0] + x * w * share, start[1] + y * h * share];
    Fill::Linear { from: at(near), to: at(far), stops: vec![stop(0.0, 1.0), stop(1.0, 0.0)] }
}

/// The same from the middle to the corners.
fn iris(near: f32, far: f32, canvas: Rect) -> Fill {
    let [x, y] = [canvas.w / 2.0, canvas.h / 2.0];
    let outer = (far * x.hypot(y)).max(0.5);
    // In the middle the edge may have begun already.
    let inner = (near / far.max(1e-6)).max(0.0);
    let middle = if near < 0.0 { far / (far - near) } else { 1.0 };
    let stops = vec![stop(0.0, middle), stop(inner.min(1.0), middle), stop(1.0, 0.0)];
    Fill::Radial { centre: [x, y], radii: [outer; 2], stops }
}

/// The wedge that the hand has swept, in steps of an eighth at most, far beyond the canvas.
fn clock(progress: f32, canvas: Rect) -> Shape {
    let centre = [canvas.w / 2.0, canvas.h / 2.0];
    let length = 2.0 * canvas.w.hypot(canvas.h);
    let tip = |share: f32| {
        let (sin, cos) = (share * std::f32::consts::TAU).sin_cos();
        [centre[0] + length * sin, centre[1] - length * cos]
    };
    let eighths = (0..8).map(|i| i as f32 / 8.0).take_while(|&share| share < progress);
    let points = [centre].into_iter().chain(eighths.map(tip)).chain([tip(progress)]).collect();
    let fill = Some(Fill::Solid(Rgba::WHITE));
    Shape { outline: Outline::Polygon { points }, fill, stroke: None }
}

impl LumaWipe {
    /// What is to be done to the picture at `progress`, 0 to 1: where it becomes black, the next scene shows.
    pub(super) fn threshold(&self, progress: f32) -> draw::Effect {
        let softness = self.softness.max(f64::from(SOFTNESS_MIN));
        let far = f64::from(progress) * (1.0 + softness);
        let (dark, bright) = (far - softness, far);
        // Bright parts first: the same from the other end.
        let levels = if self.inverted {
            Levels { in_black: 1.0 - bright, in_white: 1.0 - dark, ..Levels::default() }
        } else {
            Levels { in_black: dark, in_white: bright, ..Levels::default() }
        };
        draw::Effect::Grade(Box::new(Grade { levels, ..Grade::default() }))
    }

    /// The picture as a layer, for who asks what a transition needs.
    pub(super) fn mask(&self) -> Layer {
        let content = serde_json::json!({ "type": "image", "asset": self.asset, "fit": "fill" });
        Layer::read(serde_json::json!({ "id": "mask", "content": content }))
            .unwrap_or_else(|_| unreachable!("the name was checked with the transition"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANVAS: Rect = Rect { x: 0.0, y: 0.0, w: 200.0, h: 100.0 };

    fn line_at(direction: Direction, softness: f64, progress: f32) -> ([f32; 2], [f32; 2]) {
        let shape = Wipe { shape: WipeShape::Line, direction, softness }.matte(progress, CANVAS);
        let Some(Fill::Linear { from, to, .. }) = shape.fill else { panic!("a line's edge is linear") };
        let round = |p: [f32; 2]| p.map(f32::round);
        (round(from), round(to))
    }

    #[test]
    fn a_line_goes_from_edge_to_edge() {
        assert_eq!(line_at(Direction::Right, 0.1, 0.0), ([-20.0, 0.0], [0.0, 0.0]), "all lies beyond it");
        assert_eq!(line_at(Direction::Right, 0.1, 1.0), ([200.0, 0.0], [220.0, 0.0]), "all lies behind it");
        assert_eq!(line_at(Direction::Left, 0.0, 0.5), ([100.0, 0.0], [100.0, 0.0]));
        assert_eq!(line_at(Direction::Down, 0.5, 0.5), ([0.0, 25.0], [0.0, 75.0]));
        assert_eq!(line_at(Direction::Up, 0.5, 0.5), ([0.0, 75.0], [0.0, 25.0]));
    }

    #[test]
    fn an_iris_reaches_the_corners() {
        let shape = Wipe { shape: WipeShape::Iris, ..Wipe::default() }.matte(1.0, CANVAS);
        let Some(Fill::Radial { radii, stops, .. }) = shape.fill else { panic!("an iris is round") };
        assert!(radii[0] * stops[1].offset >= 100.0_f32.hypot(50.0) - 1e-3, "{radii:?} {stops:?}");
    }

    #[test]
    fn a_clock_sweeps_clockwise_from_twelve() {
        let points =
            |progress| match (Wipe { shape: WipeShape::Clock, ..Wipe::default() }).matte(progress, CANVAS).outline {
                Outline::Polygon { points } => points,
                other => panic!("{other:?}"),
            };
        let quarter = points(0.25);
        assert_eq!((quarter[0], quarter.len()), ([100.0, 50.0], 4));
        assert!((quarter[1][0] - 100.0).abs() < 1e-3 && quarter[1][1] < -100.0, "it begins at the top");
        assert!(quarter[3][0] > 400.0 && (quarter[3][1] - 50.0).abs() < 1e-2, "and points to the right: {quarter:?}");
    }

    #[test]
    fn a_luma_wipe_uncovers_what_is_dark_first() {
        let levels = |inverted, progress| {
            let wipe = LumaWipe { asset: "x".into(), softness: 0.5, inverted };
            let draw::Effect::Grade(grade) = wipe.threshold(progress) else { panic!("it is a grade") };
            (grade.levels.in_black, grade.levels.in_white)
        };
        assert_eq!((levels(false, 0.0), levels(false, 1.0)), ((-0.5, 0.0), (1.0, 1.5)));
        assert_eq!((levels(true, 0.0), levels(true, 1.0)), ((1.0, 1.5), (-0.5, 0.0)));
    }
}
