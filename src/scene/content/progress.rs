//! `progress`: a bar that is full to a part, with an optional label.
//!
//! The full part is the track's outline cut straight at the value, so that it never stands out of round corners; its
//! gradient is that of the whole bar, so that colours stay in place while it grows. Without a size the box is 400 x 24.
//! Segments, marks and a value that moves by itself are not here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Action, Fill, Kind, Planner, Refused, Style, TEXT_LEN_MAX, text::set};
use crate::{
    base::colour::Rgba,
    scene::{
        check::Check,
        draw::{Align, Outline, Paint, Raster, Shape},
        geometry::Rect,
    },
};

/// Width and height without a size, in pixels.
const SIZE: [f32; 2] = [400.0, 24.0];
/// Straight pieces that stand for a quarter of a circle: at a radius of 100 px they are off by less than 1/8 px.
const ARC_PIECES: u8 = 15;

/// The document of a progress layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Progress {
    /// 0 (empty) to 1 (full).
    #[schema(minimum = 0, maximum = 1)]
    pub value: f64,
    /// Where it grows to.
    #[serde(default)]
    pub direction: ProgressDirection,
    /// What fills the whole bar, under the full part; `"#00000000"` for nothing.
    #[serde(default = "default_track")]
    pub track: Fill,
    /// What fills the full part.
    #[serde(default = "default_fill")]
    pub fill: Fill,
    /// Radius of the bar's corners, in pixels.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 10000)]
    pub corner_radius: f64,
    /// A text on the bar, in which `{percent}` is the value in whole percent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// How the label looks; centred when left out as a whole.
    #[serde(default = "default_label_style")]
    pub label_style: Style,
}

fn default_track() -> Fill {
    Fill::Color(Rgba::new(255, 255, 255, 51))
}
fn default_fill() -> Fill {
    Fill::Color(Rgba::WHITE)
}
fn default_label_style() -> Style {
    Style { size: 16.0, align: Align::Center, ..Style::default() }
}

/// Where a bar grows to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum ProgressDirection {
    #[default]
    Right,
    Left,
    Up,
    Down,
}

impl Kind for Progress {
    const TYPE: &'static str = "progress";

    fn check(&self, check: &mut Check) {
        check.range("/value", self.value, 0.0..=1.0);
        check.part("/track", |check| self.track.check(check));
        check.part("/fill", |check| self.fill.check(check));
        check.range("/cornerRadius", self.corner_radius, 0.0..=10_000.0);
        check.count("/label", "bytes", self.label.len(), 0..=TEXT_LEN_MAX);
        check.part("/labelStyle", |check| self.label_style.check(check));
    }

    fn fonts(&self) -> Vec<&str> {
        vec![&self.label_style.font]
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let size = planner.size_or(SIZE);
        let radius = (self.corner_radius as f32).min(size[0] / 2.0).min(size[1] / 2.0);
        let whole = Outline::Rectangle { rect: Rect::at_origin(size), radius };
        planner.draw(size, painted(whole, &self.track, size));
        if let Some(part) = self.part(size, radius) {
            planner.draw(size, painted(part, &self.fill, size));
        }
        if !self.label.is_empty() {
            self.plan_label(planner, size);
        }
    }

    /// `set`: another value.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        match action.name.as_str() {
            "set" => Ok(Self { value: action.read::<Value>()?.value, ..self.clone() }),
            _ => Err(Refused::Unknown(&["set"])),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Value {
    value: f64,
}

impl Progress {
    /// The outline of the full part, if there is one.
    fn part(&self, size: [f32; 2], radius: f32) -> Option<Outline> {
        use ProgressDirection::{Down, Left, Right, Up};
        let [w, h] = size;
        let is_lying = matches!(self.direction, Left | Right);
        let (length, thickness) = if is_lying { (w, h) } else { (h, w) };
        let cut = length * self.value as f32;
        // From (along, across) to the box.
        let at = |[along, across]: [f32; 2]| match self.direction {
            Right => [along, across],
            Left => [w - along, across],
            Down => [across, along],
            Up => [across, h - along],
        };
        if cut <= 0.0 {
            return None;
        }
        if cut < length && radius > 0.0 {
            let points = cut_points(length, thickness, radius, cut).into_iter().map(at).collect();
            return Some(Outline::Polygon { points });
        }
        let (a, b) = (at([0.0, 0.0]), at([cut, thickness]));
        let rect = Rect::new(a[0].min(b[0]), a[1].min(b[1]), (a[0] - b[0]).abs(), (a[1] - b[1]).abs());
        Some(Outline::Rectangle { rect, radius })
    }

    fn plan_label(&self, planner: &mut Planner<'_>, size: [f32; 2]) {
        let style = &self.label_style;
        // Rounded down, so that 100 is said of a full bar alone; the small sum is for 0.29 * 100 = 28.999...
        let text = self.label.replace("{percent}", &format!("{}", (self.value * 100.0 + 1e-9).floor()));
        let inside = size.map(|side| (side - 2.0 * style.padding as f32).max(1.0));
        let raster = Arc::new(style.raster(planner, text, Some(inside[0]), false));
        let Some(block) = planner.extent(&Raster::Text(raster.clone())) else { return };
        style.plan_background(planner, size);
        let padding = style.padding as f32;
        let y = style.vertical_align.offset(inside[1] - block[1]);
        planner.draw(size, set(raster, block, [padding, padding + y]));
    }
}

/// The corners of a box with round corners that is cut at `cut`, as (along, across): one side out, the other one back.
fn cut_points(length: f32, thickness: f32, radius: f32, cut: f32) -> Vec<[f32; 2]> {
    let bends = (0..=ARC_PIECES).map(|i| {
        let angle = std::f32::consts::FRAC_PI_2 * f32::from(i) / f32::from(ARC_PIECES);
        radius * (1.0 - angle.cos())
    });
    let ends = bends.clone().rev().map(|bend| length - bend);
    let alongs: Vec<f32> = bends.chain(ends).filter(|&along| along < cut).chain([cut]).collect();
    // How far the outline lies from the side there.
    let inset = |along: f32| {
        let into = (radius - along.min(length - along)).max(0.0);
        radius - (radius * radius - into * into).max(0.0).sqrt()
    };
    let out = alongs.iter().map(|&along| [along, inset(along)]);
    let back = alongs.iter().rev().map(|&along| [along, thickness - inset(along)]);
    out.chain(back).collect()
}

fn painted(outline: Outline, fill: &Fill, size: [f32; 2]) -> Paint {
    Paint::Shape(Arc::new(Shape { outline, fill: Some(fill.over(size)), stroke: None }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::{
        content::testing::{plan, problem, texts},
        draw,
    };

    fn bar(fields: Value) -> Value {
        let mut document = json!({ "type": "progress", "value": 0.25 });
        json_patch::merge(&mut document, &fields);
        document
    }

    fn shapes(fields: Value) -> Vec<Arc<Shape>> {
        let items = plan(bar(fields), json!({ "width": 200, "height": 20 }));
        let shape = |paint: &Paint| if let Paint::Shape(shape) = paint { Some(shape.clone()) } else { None };
        items.iter().filter_map(|item| shape(&item.paint)).collect()
    }

    #[test]
    fn the_part_lies_where_the_bar_begins() {
        for (direction, rect) in [
            ("right", Rect::new(0.0, 0.0, 50.0, 20.0)),
            ("left", Rect::new(150.0, 0.0, 50.0, 20.0)),
            ("down", Rect::new(0.0, 0.0, 200.0, 5.0)),
            ("up", Rect::new(0.0, 15.0, 200.0, 5.0)),
        ] {
            let shapes = shapes(json!({ "direction": direction }));
            assert_eq!(shapes[0].outline, Outline::Rectangle { rect: Rect::new(0.0, 0.0, 200.0, 20.0), radius: 0.0 });
            assert_eq!(shapes[1].outline, Outline::Rectangle { rect, radius: 0.0 }, "{direction}");
        }
        assert_eq!(shapes(json!({ "value": 0 })).len(), 1, "the track alone");
    }

    #[test]
    fn the_cut_follows_the_round_corner() {
        let full = shapes(json!({ "cornerRadius": 50, "value": 1 }));
        assert_eq!(full[1].outline, full[0].outline, "at most half the height");
        // 2 px into a corner of radius 10 the outline is 10 - sqrt(100 - 64) = 4 px from the side.
        let part = shapes(json!({ "cornerRadius": 10, "value": 0.01 }));
        let Outline::Polygon { points } = &part[1].outline else { panic!("a polygon") };
        assert!(points.iter().all(|p| p[0] <= 2.0));
        assert!(points.contains(&[2.0, 4.0]) && points.contains(&[2.0, 16.0]), "{points:?}");
        assert_eq!(points[0], [0.0, 10.0]);
        let most = shapes(json!({ "cornerRadius": 10, "value": 0.99999 }));
        let Outline::Polygon { points } = &most[1].outline else { panic!("a polygon") };
        assert!(points.len() <= draw::POINTS_MAX, "{}", points.len());
    }

    #[test]
    fn the_gradient_is_that_of_the_whole_bar() {
        let stops = json!([{ "offset": 0, "color": "#ff0000" }, { "offset": 1, "color": "#00ff00" }]);
        let shapes = shapes(json!({ "fill": { "type": "linear", "angle": 90, "stops": stops } }));
        let Some(draw::Fill::Linear { from, to, .. }) = &shapes[1].fill else { panic!("a gradient") };
        assert_eq!([from, to].map(|p| p.map(f32::round)), [[0.0, 10.0], [200.0, 10.0]]);
    }

    #[test]
    fn the_label_says_the_percentage() {
        let label = |value| {
            let items = plan(bar(json!({ "value": value, "label": "{percent} % done" })), json!({}));
            texts(&items).remove(0)
        };
        // 400 x 24 px; a line of 16 px is 19.2 px high and lies 2.4 px down, on a whole pixel.
        assert_eq!(label(0.29), ("29 % done".into(), Rect::new(0.0, 2.0, 400.0, label(0.29).1.h)));
        assert_eq!(label(0.999).0, "99 % done");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, pointer) in [
            (json!({ "value": 1.01 }), "/content/value"),
            (json!({ "track": { "type": "linear", "stops": [] } }), "/content/track/stops"),
            (json!({ "labelStyle": { "size": 0 } }), "/content/labelStyle/size"),
            (json!({ "labelStyle": { "bold": true } }), "/content/labelStyle/bold"),
            (json!({ "direction": "in" }), "/content/direction"),
        ] {
            assert_eq!(problem(bar(fields)).0, pointer);
        }
    }
}
