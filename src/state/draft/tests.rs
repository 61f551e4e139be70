//! Random ops: together they do what they do one by one, or nothing.

use std::time::Duration;

use proptest::{collection::vec, prelude::*, sample::select};
use serde_json::{Value, json};

use super::*;

const LAYERS: [&str; 3] = ["a", "b", "c"];
const SCENES: [&str; 3] = ["main", "two", "three"];

fn document() -> Document {
    let layer = json!({ "id": "a", "content": { "type": "timer", "mode": "countup", "value": 0 },
        "enter": { "preset": "fade", "durationMs": 300 } });
    let scenes = json!([{ "id": "main", "layers": [layer] }, { "id": "two" }]);
    let output = json!({ "id": "o", "url": "rtmp://host/app/secret", "enabled": false });
    Document::read(json!({ "id": "main", "scenes": scenes, "outputs": [output] })).unwrap()
}

fn op() -> impl Strategy<Value = Value> {
    let scene = || select(vec![json!(null), json!("main"), json!("two"), json!("three")]);
    let layer = || select(&LAYERS[..]);
    let named = || select(&SCENES[..]);
    let color = |id: &str| json!({ "id": id, "content": { "type": "color", "color": "#ff0000" } });
    prop_oneof![
        (scene(), layer())
            .prop_map(move |(scene, id)| json!({ "op": "createLayer", "scene": scene, "document": color(id) })),
        (scene(), layer(), any::<bool>()).prop_map(|(scene, id, enabled)| {
            json!({ "op": "patchLayer", "scene": scene, "id": id, "patch": { "enabled": enabled } })
        }),
        (scene(), layer(), -0.5..1.5).prop_map(|(scene, id, opacity)| {
            json!({ "op": "patchLayer", "scene": scene, "id": id, "patch": { "opacity": opacity } })
        }),
        (scene(), layer(), select(vec!["start", "pause", "fly"])).prop_map(|(scene, id, action)| {
            json!({ "op": "actOnLayer", "scene": scene, "id": id, "action": action })
        }),
        (scene(), layer()).prop_map(|(scene, id)| json!({ "op": "deleteLayer", "scene": scene, "id": id })),
        named().prop_map(move |id| json!({ "op": "createScene", "document": { "id": id, "layers": [color("a")] } })),
        named().prop_map(|id| json!({ "op": "patchScene", "id": id, "patch": { "name": "News" } })),
        named().prop_map(|id| json!({ "op": "deleteScene", "id": id })),
        named().prop_map(|id| json!({ "op": "setPreview", "scene": id })),
        (scene(), any::<bool>()).prop_map(|(scene, swap)| json!({ "op": "take", "scene": scene, "swap": swap,
            "transition": { "type": "fade", "durationMs": 400 } })),
        layer().prop_map(|id| json!({ "op": "createSource", "document": { "id": id, "type": "tone" } })),
        layer().prop_map(|id| json!({ "op": "patchSource", "id": id, "patch": { "gainDb": -6 } })),
        layer().prop_map(|id| json!({ "op": "deleteSource", "id": id })),
        select(vec![-6, 400]).prop_map(|gain| json!({ "op": "patchAudio", "patch": { "gainDb": gain } })),
        select(vec![500, 1])
            .prop_map(|kbps| json!({ "op": "patchStream", "patch": { "encoder": { "bitrateKbps": kbps } } })),
        any::<bool>().prop_map(|enabled| json!({ "op": "patchOutput", "id": "o", "patch": { "enabled": enabled } })),
    ]
}

proptest! {
    #[test]
    fn together_is_one_by_one(ops in vec(op(), 1..12), is_running in any::<bool>()) {
        let ops: Vec<_> = ops.into_iter().map(|op| Op::read(op).unwrap()).collect();
        let moment = Moment { elapsed: Duration::from_millis(1234), utc_ms: 0 };
        let time = Time { moment, state: if is_running { RunState::Running } else { RunState::Stopped } };
        let before = document();
        let mut after = before.clone();
        let mut failed = None;
        for (index, op) in ops.iter().enumerate() {
            match apply(&after, std::slice::from_ref(op), time) {
                Ok(draft) => after = draft.document,
                Err((_, error)) => {
                    failed = Some((index, error.to_string()));
                    break;
                }
            }
        }
        let together = apply(&before, &ops, time).map_err(|(index, error)| (index, error.to_string()));
        match failed {
            Some(failed) => prop_assert_eq!(together.map(|_| ()).unwrap_err(), failed),
            None => {
                let draft = together.unwrap();
                prop_assert_eq!(draft.items.len(), ops.len());
                prop_assert_eq!(draft.document, after);
            }
        }
        prop_assert_eq!(before, document());
    }

    #[test]
    fn the_way_back_leads_back(ops in vec(op(), 1..12)) {
        let time = Time { moment: Moment::START, state: RunState::Stopped };
        let before = document();
        let mut after = before.clone();
        for op in &ops {
            let read = Op::read(op.clone()).unwrap();
            after = apply(&after, &[read], time).map_or(after, |draft| draft.document);
        }
        let back = towards(&after, &before, time).unwrap().document;
        let key = |document: &Document| match &document.outputs[0] {
            Output::Rtmp(rtmp) => Some(rtmp.key.expose().to_owned()),
            Output::Recording(_) => None,
        };
        prop_assert_eq!(key(&back), key(&before));
        prop_assert_eq!(back, before);
    }
}

#[test]
fn what_comes_back_on_air_comes_on_its_way() {
    let at = |ms| Time { moment: Moment { elapsed: Duration::from_millis(ms), utc_ms: 0 }, state: RunState::Running };
    let before = document();
    let hide = Op::read(json!({ "op": "patchLayer", "id": "a", "patch": { "enabled": false } })).unwrap();
    let hidden = apply(&before, &[hide], at(1000)).unwrap().document;
    let back = towards(&hidden, &before, at(5000)).unwrap().document;
    let layer = serde_json::to_value(back.show.on_air().layer("a").unwrap()).unwrap();
    assert_eq!((&layer["enabled"], layer["switched"]["atMs"].as_f64()), (&json!(true), Some(5000.0)), "{layer}");
    let canvas = Op::read(json!({ "op": "patchStream", "patch": { "canvas": { "width": 640, "height": 360 } } }));
    let (index, error) = apply(&before, &[canvas.unwrap()], at(0)).unwrap_err();
    assert!(index == 0 && error.to_string().contains("stop it to change canvas"), "{error}");
}
