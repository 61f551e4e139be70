//! Bounds: a layer's box, whatever its content makes of it, fitted into one of a given size.
//!
//! The content is planned in its own size, then scaled as a whole; a text keeps its lines and its crispness. Position,
//! anchor and rotation are those of the bounds. The names are OBS's, in CSS's words.

use serde::{Deserialize, Deserializer, Serialize, de::Error};
use utoipa::ToSchema;

use super::{SIDE_MAX, check::Check, geometry::Rect};
use crate::base::schema::written;

/// The document of a layer's bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bounds {
    /// How the box fills them.
    #[serde(rename = "type")]
    pub fit: BoundsFit,
    /// Pixels.
    #[schema(minimum = 1, maximum = 16384)]
    pub width: f64,
    /// Pixels.
    #[schema(minimum = 1, maximum = 16384)]
    pub height: f64,
    /// Where the box lies in them.
    #[serde(default)]
    pub alignment: Alignment,
    /// Whether what stands out of them is cut.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub crop_to_bounds: bool,
}

/// How a box fills its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BoundsFit {
    /// Its own size.
    #[default]
    #[serde(alias = "OBS_BOUNDS_NONE")]
    None,
    /// Stretched to them.
    #[serde(alias = "OBS_BOUNDS_STRETCH")]
    Fill,
    /// As large as fits wholly, in proportion.
    #[serde(alias = "OBS_BOUNDS_SCALE_INNER")]
    Contain,
    /// As small as covers them, in proportion.
    #[serde(alias = "OBS_BOUNDS_SCALE_OUTER")]
    Cover,
    /// `contain`, but never larger than its own size.
    #[serde(alias = "OBS_BOUNDS_MAX_ONLY")]
    ScaleDown,
    /// As wide as they are, in proportion.
    #[serde(alias = "OBS_BOUNDS_SCALE_TO_WIDTH")]
    FitWidth,
    /// As high as they are, in proportion.
    #[serde(alias = "OBS_BOUNDS_SCALE_TO_HEIGHT")]
    FitHeight,
}

/// Where something lies in something larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Alignment {
    #[default]
    Center,
    Left,
    Right,
    Top,
    TopLeft,
    TopRight,
    Bottom,
    BottomLeft,
    BottomRight,
}

/// Name, OBS's number, and the share of the free room to the left and above.
const ALIGNMENTS: [(Alignment, &str, u64, [f32; 2]); 9] = [
    (Alignment::Center, "center", 0, [0.5, 0.5]),
    (Alignment::Left, "left", 1, [0.0, 0.5]),
    (Alignment::Right, "right", 2, [1.0, 0.5]),
    (Alignment::Top, "top", 4, [0.5, 0.0]),
    (Alignment::TopLeft, "top-left", 5, [0.0, 0.0]),
    (Alignment::TopRight, "top-right", 6, [1.0, 0.0]),
    (Alignment::Bottom, "bottom", 8, [0.5, 1.0]),
    (Alignment::BottomLeft, "bottom-left", 9, [0.0, 1.0]),
    (Alignment::BottomRight, "bottom-right", 10, [1.0, 1.0]),
];

impl<'de> Deserialize<'de> for Alignment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        let is_it = |&&(_, name, number, _): &&(Self, &str, u64, [f32; 2])| value == *name || value == number;
        ALIGNMENTS.iter().find(is_it).map(|&(alignment, ..)| alignment).ok_or_else(|| {
            let names = ALIGNMENTS.map(|(_, name, ..)| name).join(", ");
            D::Error::custom(format!("unknown alignment, expected one of {names}, or OBS's number"))
        })
    }
}

written!(Alignment as "Alignment" = {
    "description": "Where something lies in something larger: a name, or OBS's number.",
    "oneOf": [
        { "type": "string", "enum": (ALIGNMENTS.map(|(_, name, ..)| name)) },
        { "type": "integer", "enum": (ALIGNMENTS.map(|(_, _, number, _)| number)) }
    ]
});

impl Alignment {
    fn shares(self) -> [f32; 2] {
        ALIGNMENTS.iter().find(|entry| entry.0 == self).map_or([0.5; 2], |entry| entry.3)
    }
}

impl Bounds {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("/width", self.width, 1.0..=SIDE_MAX);
        check.range("/height", self.height, 1.0..=SIDE_MAX);
    }

    /// Their width and height.
    pub fn size(&self) -> [f32; 2] {
        [self.width as f32, self.height as f32]
    }

    /// Where in them a box of this size, above 0, comes to lie.
    pub fn place(&self, size: [f32; 2]) -> Rect {
        let area = self.size();
        let ratios = [area[0] / size[0], area[1] / size[1]];
        let scale = match self.fit {
            BoundsFit::None => 1.0,
            BoundsFit::Fill => return Rect::at_origin(area),
            BoundsFit::Contain => ratios[0].min(ratios[1]),
            BoundsFit::Cover => ratios[0].max(ratios[1]),
            BoundsFit::ScaleDown => ratios[0].min(ratios[1]).min(1.0),
            BoundsFit::FitWidth => ratios[0],
            BoundsFit::FitHeight => ratios[1],
        };
        let shares = self.alignment.shares();
        let [w, h] = size.map(|side| side * scale);
        // What is not scaled is moved by whole pixels, so that it is not blurred by being aligned.
        let offset = |i: usize, side: f32| {
            let offset = (area[i] - side) * shares[i];
            if scale == 1.0 { offset.round() } else { offset }
        };
        Rect::new(offset(0, w), offset(1, h), w, h)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scene::check;

    fn bounds(fit: &str, alignment: serde_json::Value) -> Bounds {
        check::read(json!({ "type": fit, "width": 100, "height": 100, "alignment": alignment })).unwrap()
    }

    #[test]
    fn boxes_are_fitted_in_proportion_and_aligned() {
        let place = |fit, alignment: &str| bounds(fit, json!(alignment)).place([200.0, 100.0]);
        assert_eq!(place("none", "center"), Rect::new(-50.0, 0.0, 200.0, 100.0));
        assert_eq!(place("fill", "left"), Rect::new(0.0, 0.0, 100.0, 100.0));
        assert_eq!(place("contain", "center"), Rect::new(0.0, 25.0, 100.0, 50.0));
        assert_eq!(place("contain", "bottom-right"), Rect::new(0.0, 50.0, 100.0, 50.0));
        assert_eq!(place("cover", "right"), Rect::new(-100.0, 0.0, 200.0, 100.0));
        assert_eq!(place("fit-width", "top"), Rect::new(0.0, 0.0, 100.0, 50.0));
        assert_eq!(place("fit-height", "top-left"), Rect::new(0.0, 0.0, 200.0, 100.0));
        let small = bounds("scale-down", json!("center")).place([50.0, 21.0]);
        assert_eq!(small, Rect::new(25.0, 40.0, 50.0, 21.0), "not enlarged, and by whole pixels");
    }

    #[test]
    fn obs_names_and_numbers_are_taken() {
        let read = bounds("OBS_BOUNDS_SCALE_INNER", json!(9));
        assert_eq!((read.fit, read.alignment), (BoundsFit::Contain, Alignment::BottomLeft));
        let written = serde_json::to_value(&read).unwrap();
        assert_eq!((&written["type"], &written["alignment"]), (&json!("contain"), &json!("bottom-left")));
        let bad = json!({ "type": "fill", "width": 1, "height": 1, "alignment": 3 });
        let problem = check::read::<Bounds>(bad).unwrap_err().0.remove(0);
        assert_eq!(problem.pointer, "/alignment");
        assert!(problem.message.contains("expected one of center, left"), "{}", problem.message);
    }
}
