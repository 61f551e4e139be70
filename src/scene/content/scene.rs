//! `scene`: another scene of the show, drawn as one picture.
//!
//! It has the canvas's size unless the layer has one of its own, and is cut at its box; where it draws nothing, what lies
//! below is seen. A scene is not drawn within itself, however far down, and not more than
//! [`SCENES_DEEP_MAX`](crate::scene::SCENES_DEEP_MAX) deep: both are refused when a show is checked.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Kind, Planner};
use crate::{base::id::Id, scene::check::Check};

/// The document of a scene layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    /// The scene's id.
    pub scene: Id,
}

impl Kind for Scene {
    const TYPE: &'static str = "scene";

    /// Whether there is such a scene is checked with the show.
    fn check(&self, _: &mut Check) {}

    fn scene(&self) -> Option<&Id> {
        Some(&self.scene)
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        planner.plan_scene(&self.scene);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use crate::scene::{
        Evaluation, Moment, Show,
        content::testing::Shelf,
        draw::{DrawItem, Paint},
        evaluate,
        geometry::Rect,
    };

    fn square(id: &str, x: i32) -> Value {
        json!({ "id": id, "transform": { "positionX": x, "positionY": 20, "width": 40, "height": 40 },
            "content": { "type": "color", "color": "#ffffff" } })
    }

    fn nested(id: &str, scene: &str, transform: Value) -> Value {
        json!({ "id": id, "transform": transform, "content": { "type": "scene", "scene": scene } })
    }

    fn show(scenes: Value) -> Result<Show, (String, String)> {
        Show::read(json!({ "canvas": { "width": 640, "height": 360 }, "scenes": scenes })).map_err(|mut problems| {
            let problem = problems.0.remove(0);
            (problem.pointer, problem.message)
        })
    }

    fn plan(show: &Show) -> Evaluation {
        evaluate(show, Moment { elapsed: Duration::ZERO, utc_ms: 0 }, &Shelf::default())
    }

    #[test]
    fn another_scene_is_drawn_in_the_layers_box() {
        let scenes = json!([
            { "id": "a", "layers": [nested("inset", "b", json!({ "positionX": 100, "width": 320 }))] },
            { "id": "b", "layers": [square("x", 10), square("y", 620)] },
        ]);
        let evaluation = plan(&show(scenes).unwrap());
        let [item @ DrawItem { paint: Paint::Group(group), .. }] = &evaluation.draw_list.items[..] else {
            panic!("{evaluation:?}")
        };
        assert_eq!(item.layer.as_str(), "inset");
        assert!(item.clip.right() <= 320.0 && item.clip.bottom() <= 180.0, "cut at the box: {:?}", item.clip);
        // Half as large.
        let place = |item: &DrawItem| group.shown(item.place.bounds_of(item.clip), Rect::new(-1e4, -1e4, 2e4, 2e4));
        let places: Vec<_> = group.items.iter().map(|item| (item.layer.as_str(), place(item))).collect();
        assert_eq!(places, [("x", Rect::new(5.0, 10.0, 20.0, 20.0)), ("y", Rect::new(310.0, 10.0, 20.0, 20.0))]);
    }

    #[test]
    fn a_scene_that_is_not_there_is_refused() {
        let missing = show(json!([{ "id": "a", "layers": [square("x", 0), nested("n", "b", json!({}))] }]));
        assert_eq!(missing.unwrap_err(), ("/scenes/0/layers/1/content".into(), "there is no scene `b`".into()));
    }

    #[test]
    fn a_scene_within_itself_is_refused_however_far_down() {
        let within = |id: &str, scene: &str| {
            json!({ "id": id, "layers": [
            { "id": "g", "content": { "type": "group", "layers": [nested("n", scene, json!({}))] } }] })
        };
        let (pointer, message) = show(json!([within("a", "a")])).unwrap_err();
        assert_eq!((&*pointer, &*message), ("/scenes/0/layers/0/content", "scene `a` would be within itself"));
        let circle = show(json!([within("a", "b"), within("b", "c"), within("c", "a")]));
        assert!(circle.unwrap_err().1.contains("within itself"));
    }

    #[test]
    fn depth_and_number_of_what_is_drawn_are_bounded() {
        let chain = |count: usize| -> Vec<Value> {
            let inner =
                |i: usize| json!({ "id": format!("s{i}"), "layers": [nested("n", &format!("s{}", i + 1), json!({}))] });
            let last = json!({ "id": format!("s{}", count - 1), "layers": [] });
            (0..count - 1).map(inner).chain([last]).collect()
        };
        assert!(show(json!(chain(5))).is_ok());
        let (pointer, message) = show(json!(chain(6))).unwrap_err();
        assert_eq!((&*pointer, &*message), ("/scenes/0", "scenes within scenes are too deep: 4 at most"));

        let many = |scene: &str| (0..200).map(|i| nested(&format!("n{i}"), scene, json!({}))).collect::<Vec<_>>();
        let bomb = json!([{ "id": "a", "layers": many("b") }, { "id": "b", "layers": many("c") }, { "id": "c" }]);
        let (pointer, message) = show(bomb).unwrap_err();
        assert_eq!(pointer, "/scenes/0");
        assert!(message.starts_with("40200 layers, those of scenes within it included,"), "{message}");
    }
}
