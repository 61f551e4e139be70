//! What changed is all that is drawn, and nobody can tell: after any sequence of edits the picture and its NV12 form are,
//! bit for bit, those of drawing everything anew.

use std::{cell::RefCell, sync::Arc, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config as Runs, TestRunner},
};
use serde_json::{Value, json};
use stream_manager::{
    base::{colour::VideoColour, nv12::Picture},
    gpu::{Compositor, Gpu, Options},
    media::{Config, Library},
    scene::{Canvas, DrawList, LayerErrors, Moment, Show, evaluate, read_layers},
};

const WAIT: Duration = Duration::from_secs(30);

/// A compositor and the picture it gave last.
struct Easel {
    compositor: Compositor,
    picture: Picture,
    frame: u64,
}

impl Easel {
    fn new(gpu: &Arc<Gpu>, library: &Arc<Library>, canvas: &Canvas) -> Self {
        let compositor =
            Compositor::new(gpu.clone(), library.clone(), canvas.size, VideoColour::BT709_LIMITED).unwrap();
        Self { compositor, picture: Picture::black(canvas.size), frame: 0 }
    }

    /// Pixels of the target and of the encoder's picture after this list.
    fn draw(&mut self, list: &DrawList) -> (Vec<u8>, Vec<u8>) {
        self.frame += 1;
        self.compositor.render(self.frame, list).unwrap();
        assert!(!self.compositor.is_pending() && self.compositor.problems().is_empty());
        assert_eq!(self.compositor.collect(WAIT, &mut self.picture).unwrap(), Some(self.frame));
        (self.compositor.capture().unwrap().into_raw(), self.picture.bytes().to_vec())
    }
}

fn canvas(blend_space: &str) -> Canvas {
    serde_json::from_value(json!({ "width": 162, "height": 90, "blendSpace": blend_space, "background": "#203040" }))
        .unwrap()
}

fn plan(library: &Library, canvas: &Canvas, layers: &[Value]) -> DrawList {
    let layers = read_layers(layers.to_vec()).unwrap();
    let show = Show::of_layers(canvas.clone(), LayerErrors::Hide, layers);
    assert!(library.prepare_show(&show, Moment::START, WAIT).is_complete());
    evaluate(&show, Moment::START, library).draw_list
}

fn any_content() -> impl Strategy<Value = Value> {
    let colour = prop::sample::select(vec!["#d03030", "#30d030ff", "#3030d080", "#ffffff01", "#000000"]);
    prop_oneof![
        colour.clone().prop_map(|color| json!({ "type": "color", "color": color })),
        Just(json!({ "type": "image", "asset": "builtin:show/logo.png", "fit": "contain" })),
        Just(json!({ "type": "image", "asset": "builtin:show/panel.jpg", "fit": "cover" })),
        (prop::sample::select(vec!["Bid", "1.5 ETH", "Ünï"]), 8..30u32)
            .prop_map(|(text, size)| json!({ "type": "text", "text": text, "size": size, "background": "#00000060" })),
        (colour, 0..20u32).prop_map(|(fill, radius)| json!({ "type": "shape", "shape": "rectangle", "cornerRadius": radius,
            "fill": { "type": "linear", "angle": 30, "stops": [{ "offset": 0, "color": fill }, { "offset": 1, "color": "#ffe0a0" }] },
            "stroke": { "color": "#ffffff", "width": 3 } })),
        Just(json!({ "type": "shape", "shape": "ellipse", "fill": "#40a0ff90" })),
    ]
}

/// A layer of any content, or a group of a few, within which blend modes stay.
fn any_layer() -> impl Strategy<Value = Value> {
    let group = (0..6u32, prop::collection::vec(any_plain_layer(), 1..4), any_plain_layer(), prop::bool::ANY);
    let group = group.prop_map(|(id, mut children, mut layer, clip)| {
        for (i, child) in children.iter_mut().enumerate() {
            child["id"] = json!(format!("child-{id}-{i}"));
        }
        layer["id"] = json!(format!("layer-{id}"));
        layer["content"] = json!({ "type": "group", "layers": children, "clip": clip });
        layer
    });
    prop_oneof![3 => any_plain_layer(), 1 => group]
}

fn any_plain_layer() -> impl Strategy<Value = Value> {
    let blend = prop_oneof![4 => Just("normal"), 1 => prop::sample::select(vec!["multiply", "hue", "plus-lighter", "hard-mix"])];
    let place = (-20.0..150.0f64, -20.0..90.0f64, 4.0..120.0f64, 4.0..80.0f64);
    let whole = prop::bool::weighted(0.6);
    let pose = (prop::sample::select(vec![0.0, 0.0, 90.0, 17.0]), prop::sample::select(vec![1.0, 0.5]));
    let pose = (pose, blend);
    (0..6u32, -2..3i32, place, whole, pose, any_content()).prop_map(|(id, z, (x, y, w, h), whole, ((turn, opacity), blend), content)| {
        let at = |v: f64| if whole { v.round() } else { v };
        json!({ "id": format!("layer-{id}"), "zIndex": z, "opacity": opacity, "blendMode": blend, "content": content,
            "transform": { "positionX": at(x), "positionY": at(y), "width": at(w), "height": at(h), "rotation": turn } })
    })
}

/// One edit of a scene: a layer is put (in place of the one of its id), or the first one is taken away.
fn any_edits() -> impl Strategy<Value = Vec<Option<Value>>> {
    prop::collection::vec(prop::option::weighted(0.85, any_layer()), 1..10)
}

fn edit(layers: &mut Vec<Value>, change: Option<Value>) {
    let Some(layer) = change else {
        layers.drain(..layers.len().min(1));
        return;
    };
    match layers.iter_mut().find(|other| other["id"] == layer["id"]) {
        Some(place) => *place = layer,
        None => layers.push(layer),
    }
}

#[test]
fn drawing_what_changed_gives_the_picture_that_drawing_everything_gives() {
    let gpu = Gpu::open(&Options::default()).unwrap();
    let library = Library::new(Config::default()).unwrap();
    for space in ["srgb", "linear"] {
        let canvas = canvas(space);
        let easels = RefCell::new([(); 2].map(|()| Easel::new(&gpu, &library, &canvas)));
        let mut runner = TestRunner::new(Runs { cases: 200, failure_persistence: None, ..Runs::default() });
        runner
            .run(&any_edits(), |edits| {
                let mut layers = Vec::new();
                let [incremental, whole] = &mut *easels.borrow_mut();
                incremental.compositor.forget();
                incremental.draw(&plan(&library, &canvas, &layers));
                for change in edits {
                    edit(&mut layers, change);
                    let list = plan(&library, &canvas, &layers);
                    whole.compositor.forget();
                    let (expected, found) = (whole.draw(&list), incremental.draw(&list));
                    prop_assert!(expected.0 == found.0, "{space}: the picture differs after {layers:#?}");
                    prop_assert!(expected.1 == found.1, "{space}: NV12 differs after {layers:#?}");
                }
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn a_small_change_draws_few_pixels_however_many_layers_there_are() {
    let gpu = Gpu::open(&Options::default()).unwrap();
    let library = Library::new(Config::default()).unwrap();
    let canvas: Canvas = serde_json::from_value(json!({ "width": 640, "height": 360 })).unwrap();
    for count in [10, 200] {
        let mut layers: Vec<Value> = (0..count)
            .map(|i| {
                json!({ "id": format!("layer-{i}"), "content": { "type": "color", "color": "#4060a0" },
                    "transform": { "positionX": 100 + i, "positionY": 100, "width": 300, "height": 200 } })
            })
            .collect();
        layers.push(json!({ "id": "clock", "content": { "type": "color", "color": "#ffffff" },
            "transform": { "positionX": 10, "positionY": 10, "width": 60, "height": 20 } }));
        let mut easel = Easel::new(&gpu, &library, &canvas);
        easel.draw(&plan(&library, &canvas, &layers));
        let before = easel.compositor.stats();
        layers.last_mut().unwrap()["content"]["color"] = json!("#ff0000");
        easel.draw(&plan(&library, &canvas, &layers));
        let after = easel.compositor.stats();
        // The box and one pixel around it.
        assert_eq!(after.damaged_pixels_total - before.damaged_pixels_total, 62 * 22, "{count} layers");
        assert_eq!(after.items, 1, "{count} layers");
    }
}
