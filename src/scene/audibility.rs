//! How much of a layer is seen, as far as sound that goes with it is concerned: a function of show and time, like the
//! picture.
//!
//! A layer counts for what its opacity is at the moment, with those of the groups and scenes that it lies in, and for as
//! much of it as has come, whichever way it comes; a layer that is not on air counts for nothing. While a take is under
//! way the two sides count for how far it is, whatever it looks like. What covers a layer, masks it or puts it off the
//! canvas makes no difference; nor do the staggered times of groups.

use std::time::Duration;

use super::{Layer, OnAir, SCENES_DEEP_MAX, Show, animation};
use crate::base::id::Id;

impl Show {
    /// How much of the layer is seen on air at `elapsed`: 0 nothing, 1 all.
    pub fn audibility(&self, layer: &Id, elapsed: Duration) -> f64 {
        self.share_of(self.program(), layer, elapsed)
    }

    /// Whether any scene has a layer of that id.
    pub fn has_layer(&self, id: &str) -> bool {
        let layers = self.scenes().iter().flat_map(|scene| scene.layers.iter());
        layers.flat_map(Layer::with_children).any(|layer| layer.id.as_str() == id)
    }

    fn share_of(&self, program: &OnAir, layer: &Id, elapsed: Duration) -> f64 {
        let of_scene = |id: &Id| self.scene(id.as_str()).map_or(0.0, |s| self.share_in(&s.layers, layer, elapsed, 0));
        match program {
            OnAir::Scene(scene) => of_scene(scene),
            OnAir::Take(take) => match take.progress(elapsed) {
                None => of_scene(&take.to),
                Some(progress) => {
                    let from = self.share_of(&take.from, layer, elapsed);
                    from + (of_scene(&take.to) - from) * progress
                }
            },
        }
    }

    /// The most that is seen of it among these layers and those within them.
    fn share_in(&self, layers: &[Layer], wanted: &Id, elapsed: Duration, deep: usize) -> f64 {
        let seen = layers.iter().map(|layer| {
            if layer.id == *wanted {
                return animation::visibility(layer, elapsed);
            }
            let children = self.share_in(layer.content.children(), wanted, elapsed, deep);
            let scene = layer.content.scene().filter(|_| deep < SCENES_DEEP_MAX).and_then(|id| self.scene(id.as_str()));
            let within = scene.map_or(0.0, |scene| self.share_in(&scene.layers, wanted, elapsed, deep + 1));
            let within = within.max(children);
            if within > 0.0 { within * animation::visibility(layer, elapsed) } else { 0.0 }
        });
        seen.fold(0.0, f64::max)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn seen(show: Value, ms: u64) -> f64 {
        let show = Show::read(show).unwrap_or_else(|problems| panic!("{problems}"));
        show.audibility(&Id::new("a").unwrap(), Duration::from_millis(ms))
    }

    fn layer(more: Value) -> Value {
        let mut layer = json!({ "id": "a", "content": { "type": "color", "color": "#ffffff" } });
        json_patch::merge(&mut layer, &more);
        layer
    }

    #[test]
    fn a_layer_counts_for_its_opacity_while_it_is_on() {
        assert_eq!(seen(json!({ "layers": [layer(json!({ "opacity": 0.5 }))] }), 0), 0.5);
        assert_eq!(seen(json!({ "layers": [layer(json!({ "enabled": false }))] }), 0), 0.0);
        assert_eq!(seen(json!({ "layers": [] }), 0), 0.0);
    }

    #[test]
    fn whichever_way_it_comes_and_goes_it_counts_for_as_much() {
        for preset in ["fade", "slide-left", "zoom"] {
            let enter = json!({ "enter": { "preset": preset, "durationMs": 1000 } });
            for (ms, expected) in [(0, 0.0), (500, 0.5), (1000, 1.0)] {
                assert_eq!(seen(json!({ "layers": [layer(enter.clone())] }), ms), expected, "{preset} at {ms}");
            }
        }
        let exit =
            json!({ "enabled": false, "switched": { "atMs": 1000 }, "exit": { "preset": "fade", "durationMs": 500 } });
        for (ms, expected) in [(900, 1.0), (1250, 0.5), (1500, 0.0)] {
            assert_eq!(seen(json!({ "layers": [layer(exit.clone())] }), ms), expected, "at {ms}");
        }
        let animated = json!({ "animations": [{ "property": "opacity", "keyframes": [
            { "atMs": 0, "value": 1 }, { "atMs": 1000, "value": 0 }] }] });
        assert_eq!(seen(json!({ "layers": [layer(animated)] }), 250), 0.75);
    }

    #[test]
    fn groups_and_scenes_around_it_count_too() {
        let group = json!({ "id": "g", "opacity": 0.5, "content": { "type": "group", "layers": [layer(json!({ "opacity": 0.5 }))] } });
        assert_eq!(seen(json!({ "layers": [group] }), 0), 0.25);
        let within = json!({ "id": "w", "opacity": 0.5, "content": { "type": "scene", "scene": "two" } });
        let scenes = json!([{ "id": "one", "layers": [within] }, { "id": "two", "layers": [layer(json!({}))] }]);
        assert_eq!(seen(json!({ "scenes": scenes }), 0), 0.5);
    }

    #[test]
    fn a_take_leads_from_one_side_to_the_other() {
        let scenes = json!([{ "id": "one", "layers": [layer(json!({}))] }, { "id": "two", "layers": [] }]);
        assert_eq!(seen(json!({ "scenes": scenes, "program": "two" }), 0), 0.0);
        let take = json!({ "from": "one", "to": "two", "startMs": 1000,
            "transition": { "type": "push", "direction": "left", "durationMs": 1000 } });
        for (ms, expected) in [(0, 1.0), (1250, 0.75), (2000, 0.0)] {
            assert_eq!(seen(json!({ "scenes": scenes, "program": take }), ms), expected, "at {ms}");
        }
    }
}
