//! Round corners and a border of a layer's box, as CSS `overflow: hidden`, `border-radius` and `border` make them.
//!
//! The box is what cropping leaves of it. The border lies within it, over the content's edge.

use std::sync::Arc;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{SeqAccess, Visitor},
};
use utoipa::ToSchema;

use super::{
    SIDE_MAX,
    check::Check,
    draw::{Outline, Shape, Stroke},
    geometry::Rect,
};
use crate::base::colour::Rgba;
use crate::base::schema::written;

/// CSS `border-radius`: one for all corners, or top left, top right, bottom right, bottom left.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Radii(pub [f64; 4]);

impl Radii {
    /// Whether all corners are sharp.
    pub fn is_sharp(&self) -> bool {
        self.0.iter().all(|&radius| radius <= 0.0)
    }

    pub(super) fn check(&self, check: &mut Check) {
        if self.is_uniform() {
            check.range("", self.0[0], 0.0..=SIDE_MAX);
            return;
        }
        for (i, radius) in self.0.into_iter().enumerate() {
            check.range(&format!("/{i}"), radius, 0.0..=SIDE_MAX);
        }
    }

    fn is_uniform(&self) -> bool {
        self.0 == [self.0[0]; 4]
    }

    /// The outline of a box with these corners. Radii of which two would overlap are all made smaller, as CSS
    /// Backgrounds and Borders 3, section 5.5, says.
    pub fn outline(&self, rect: Rect) -> Outline {
        let radii = self.0.map(|radius| radius as f32);
        let [tl, tr, br, bl] = radii;
        let fits = [(rect.w, tl + tr), (rect.h, tr + br), (rect.w, br + bl), (rect.h, bl + tl)]
            .into_iter()
            .filter(|&(_, sum)| sum > 0.0)
            .fold(1.0_f32, |fits, (side, sum)| fits.min(side / sum));
        let radii = radii.map(|radius| radius * fits);
        if self.is_uniform() {
            Outline::Rectangle { rect, radius: radii[0] }
        } else {
            Outline::Cornered { rect, radii }
        }
    }
}

written!(Radii as "CornerRadii" = {
    "description": "A radius for all corners, or four: top left, top right, bottom right, bottom left.",
    "oneOf": [
        { "type": "number", "minimum": 0, "maximum": SIDE_MAX },
        { "type": "array", "items": { "type": "number", "minimum": 0, "maximum": SIDE_MAX }, "minItems": 4, "maxItems": 4 }
    ]
});

impl Serialize for Radii {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.is_uniform() { self.0[0].serialize(serializer) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Radii {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RadiiVisitor)
    }
}

struct RadiiVisitor;

impl<'de> Visitor<'de> for RadiiVisitor {
    type Value = Radii;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a radius, or four: top left, top right, bottom right, bottom left")
    }

    fn visit_f64<E>(self, radius: f64) -> Result<Radii, E> {
        Ok(Radii([radius; 4]))
    }

    fn visit_u64<E>(self, radius: u64) -> Result<Radii, E> {
        Ok(Radii([radius as f64; 4]))
    }

    fn visit_i64<E>(self, radius: i64) -> Result<Radii, E> {
        Ok(Radii([radius as f64; 4]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut radii: A) -> Result<Radii, A::Error> {
        let mut all = [0.0; 4];
        for (i, radius) in all.iter_mut().enumerate() {
            *radius = radii.next_element()?.ok_or_else(|| serde::de::Error::invalid_length(i, &self))?;
        }
        Ok(Radii(all))
    }
}

/// A line along the inner edge of the box.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Border {
    /// Pixels of the layer.
    #[schema(minimum = 0, maximum = 1000)]
    pub width: f64,
    /// Its colour.
    pub color: Rgba,
}

impl Border {
    pub(super) fn check(&self, check: &mut Check) {
        check.range("/width", self.width, 0.0..=1000.0);
    }

    /// The line, twice as wide as is seen of it: whatever cuts the box cuts its outer half, so that both have one edge.
    pub(super) fn shape(&self, outline: Outline) -> Option<Arc<Shape>> {
        let stroke = Stroke { colour: self.color, width: self.width as f32 * 2.0 };
        let is_seen = self.width > 0.0 && self.color.a > 0;
        is_seen.then(|| Arc::new(Shape { outline, fill: None, stroke: Some(stroke) }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scene::check;

    #[test]
    fn one_radius_or_four() {
        let read = |value| check::read::<Radii>(value);
        assert_eq!(read(json!(8)).unwrap(), Radii([8.0; 4]));
        assert_eq!(read(json!([1, 2.5, 3, 4])).unwrap(), Radii([1.0, 2.5, 3.0, 4.0]));
        assert_eq!(serde_json::to_value(Radii([8.0; 4])).unwrap(), json!(8.0));
        assert_eq!(serde_json::to_value(Radii([1.0, 2.5, 3.0, 4.0])).unwrap(), json!([1.0, 2.5, 3.0, 4.0]));
        for bad in [json!([1, 2, 3]), json!([1, 2, 3, 4, 5]), json!("8px"), json!({ "tl": 8 })] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn radii_that_would_overlap_shrink_together() {
        let rect = Rect::new(0.0, 0.0, 100.0, 60.0);
        let Outline::Cornered { radii, .. } = Radii([80.0, 40.0, 0.0, 20.0]).outline(rect) else { panic!("four") };
        // 80 + 40 must fit into 100, 80 + 20 into 60: the second asks for more.
        assert_eq!(radii, [48.0, 24.0, 0.0, 12.0]);
        assert_eq!(Radii([500.0; 4]).outline(rect), Outline::Rectangle { rect, radius: 30.0 });
    }
}
