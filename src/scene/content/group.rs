//! `group`: layers within a layer.
//!
//! The children are placed in the group's own pixels, from its top left corner, and move, turn, scale and fade with it.
//! They are mixed with each other before the group is mixed with what lies below it: its opacity and blend mode hold for
//! all of them together, as in CSS. With `clip`, what stands out of the group's box is cut off. With `staggerMs` the time
//! of each child runs later than that of the one before: rows that are animated alike come one after the other.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Kind, Planner, Read};
use crate::base::schema::written_as;
use crate::scene::{
    Layer,
    check::{self, Check, Problems},
    read_layers,
};

/// The document of a group layer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Group {
    /// Its children.
    pub layers: Vec<Layer>,
    /// Whether they are cut at the box: the layer's, or the canvas without a size.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub clip: bool,
    /// How much later the time of each child runs than that of the one before, in milliseconds, in document order.
    #[serde(skip_serializing_if = "is_zero")]
    pub stagger_ms: u32,
}

fn is_zero(ms: &u32) -> bool {
    *ms == 0
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    // Read apart, as every layer is.
    #[schema(value_type = Vec<Layer>, no_recursion)]
    layers: Vec<Value>,
    #[serde(default)]
    clip: bool,
    #[serde(default)]
    #[schema(minimum = 0, maximum = 86400000)]
    stagger_ms: u32,
}

written_as!(Group as "Group" = Document);

impl Read for Group {
    fn read(value: Value) -> Result<Self, Problems> {
        let Document { layers, clip, stagger_ms } = check::read(value)?;
        let layers = read_layers(layers).map_err(|problems| problems.under("/layers"))?;
        Ok(Self { layers, clip, stagger_ms })
    }
}

impl Group {
    /// How much later the time of each child runs than that of the one before.
    pub fn stagger(&self) -> Duration {
        Duration::from_millis(self.stagger_ms.into())
    }
}

impl Kind for Group {
    const TYPE: &'static str = "group";

    /// The children were checked when they were read.
    fn check(&self, check: &mut Check) {
        check.range("/staggerMs", self.stagger_ms.into(), 0.0..=86_400_000.0);
    }

    fn fonts(&self) -> Vec<&str> {
        self.layers.iter().flat_map(|layer| layer.content.fonts()).collect()
    }

    fn children(&self) -> &[Layer] {
        &self.layers
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let size = planner.size_or_canvas();
        planner.plan_layers(size, &self.layers, self.stagger());
        if self.clip {
            planner.clip_to(size);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scene::{
        BlendMode,
        content::testing::{plan, problem, shelf},
        draw::{DrawItem, Lay, Paint},
        geometry::Rect,
    };

    fn box_at(id: &str, x: i32, more: Value) -> Value {
        let mut layer = json!({ "id": id, "content": { "type": "color", "color": "#ffffff" },
            "transform": { "positionX": x, "positionY": 5, "width": 20, "height": 10 } });
        json_patch::merge(&mut layer, &more);
        layer
    }

    fn group(layers: Vec<Value>) -> Value {
        json!({ "type": "group", "layers": layers })
    }

    fn bounds(item: &DrawItem) -> Rect {
        item.place.bounds_of(item.clip)
    }

    #[test]
    fn children_are_placed_in_the_groups_pixels() {
        let children = vec![box_at("b", 40, json!({ "zIndex": 1 })), box_at("a", 0, json!({}))];
        let items = plan(group(children), json!({ "positionX": 100, "positionY": 50, "scaleX": 2 }));
        let found: Vec<_> = items.iter().map(|item| (item.layer.as_str(), bounds(item))).collect();
        assert_eq!(
            found,
            [("a", Rect::new(100.0, 55.0, 40.0, 10.0)), ("b", Rect::new(180.0, 55.0, 40.0, 10.0))],
            "in the order of their own z"
        );
    }

    #[test]
    fn a_blend_mode_within_stays_within() {
        let children = vec![box_at("a", 0, json!({})), box_at("b", 10, json!({ "blendMode": "multiply" }))];
        let items = plan(group(children), json!({ "positionX": 100 }));
        let [DrawItem { paint: Paint::Group(group), .. }] = &items[..] else { panic!("one item: {items:?}") };
        assert_eq!((group.size, group.dest), ([128, 128], Rect::new(0.0, 0.0, 128.0, 128.0)), "in steps of 64");
        let [_, DrawItem { paint: Paint::Group(inner), .. }] = &group.items[..] else { panic!("{group:?}") };
        assert_eq!((inner.size, &inner.lay), ([64, 64], &Lay::Over(BlendMode::Multiply)));
    }

    #[test]
    fn children_come_one_after_the_other() {
        let slide = json!([{ "property": "positionX", "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 400, "value": 40 }] }]);
        let children = ["a", "b", "c"].map(|id| box_at(id, 0, json!({ "animations": slide })));
        let mut content = group(children.to_vec());
        content["staggerMs"] = json!(100);
        let at = |ms: u64| {
            let (_, evaluation) = shelf(content.clone(), json!({}), ms, 0);
            let lefts: Vec<f32> = evaluation.draw_list.items.iter().map(|item| bounds(item).x).collect();
            (lefts, evaluation.changes_at.map(|time| time.as_millis()))
        };
        assert_eq!(at(0), (vec![0.0, 0.0, 0.0], Some(0)));
        assert_eq!(at(250), (vec![25.0, 15.0, 5.0], Some(250)));
        assert_eq!(at(500), (vec![40.0, 40.0, 30.0], Some(500)));
        assert_eq!(at(600), (vec![40.0, 40.0, 40.0], None));
        content["staggerMs"] = json!(86_400_001);
        assert_eq!(problem(content).0, "/content/staggerMs");
    }

    #[test]
    fn a_clip_cuts_at_the_box() {
        let mut content = group(vec![box_at("a", 90, json!({}))]);
        content["clip"] = json!(true);
        let items = plan(content, json!({ "width": 100, "height": 12 }));
        assert_eq!(
            items.iter().map(bounds).collect::<Vec<_>>(),
            [Rect::new(64.0, 0.0, 36.0, 12.0)],
            "of a surface in steps of 64"
        );
    }

    #[test]
    fn wrong_children_are_refused_with_their_place() {
        let at = |layers| problem(group(layers));
        assert_eq!(at(vec![box_at("a", 0, json!({ "opacity": 2 }))]).0, "/content/layers/0/opacity");
        assert_eq!(at(vec![box_at("a", 0, json!({})), box_at("a", 0, json!({}))]).0, "/content/layers/1/id");
        let inner = json!({ "id": "a", "content": group(vec![box_at("b", 0, json!({}))]) });
        let (pointer, message) = at(vec![inner, box_at("b", 0, json!({}))]);
        assert_eq!((&*pointer, &*message), ("/content/layers/1/id", "`b` is another layer's id already"));
        let mut deep = box_at("leaf", 0, json!({}));
        for i in 0..9 {
            deep = json!({ "id": format!("g{i}"), "content": group(vec![deep]) });
        }
        let (_, message) = at(vec![deep]);
        assert!(message.contains("8 at most"), "{message}");
    }
}
