//! What changed is all that is drawn, and nobody can tell: after any sequence of edits, at any times, the picture and its
//! NV12 form, in every rendition, are, bit for bit, those of drawing everything anew.

use std::{cell::RefCell, sync::Arc, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config as Runs, TestRunner},
};
use serde_json::{Value, json};
use stream_manager::{
    base::{colour::VideoColour, nv12::Picture, size::Size},
    gpu::{Compositor, Delivered, Fit, Framing, Gpu, Options},
    media::{Config, Library},
    scene::{Canvas, DrawList, LayerErrors, Moment, Show, damage::Damage, evaluate, read_layers},
};

const WAIT: Duration = Duration::from_secs(30);

/// A compositor and the pictures it gave last, of each rendition.
struct Easel {
    compositor: Compositor,
    pictures: Vec<Picture>,
    frame: u64,
}

/// The canvas itself; smaller, between bars, cut, stretched in one direction.
fn framings(canvas: &Canvas) -> Vec<Framing> {
    let of = |width, height, fit| Framing::of(canvas.size, Size::new(width, height).unwrap(), fit);
    vec![Framing::whole(canvas.size), of(64, 64, Fit::Contain), of(54, 90, Fit::Cover), of(108, 90, Fit::Fill)]
}

impl Easel {
    fn new(gpu: &Arc<Gpu>, library: &Arc<Library>, canvas: &Canvas) -> Self {
        let (framings, colour) = (framings(canvas), VideoColour::BT709_LIMITED);
        let compositor =
            Compositor::with_renditions(gpu.clone(), library.clone(), canvas.size, colour, &framings).unwrap();
        let pictures = framings.iter().map(|framing| Picture::black(framing.size())).collect();
        Self { compositor, pictures, frame: 0 }
    }

    /// Pixels of the target and of the encoders' pictures after this list.
    fn draw(&mut self, list: &DrawList) -> (Vec<u8>, Vec<Picture>) {
        self.frame += 1;
        self.compositor.render(self.frame, list).unwrap();
        self.collect(true);
        (self.compositor.capture().unwrap().into_raw(), self.pictures.clone())
    }

    /// The same, but two of the renditions have half the rate: they get it on an even frame, or on the one after it.
    fn draw_at_rates(&mut self, list: &DrawList) -> (Vec<u8>, Vec<Picture>) {
        self.frame += 1;
        let is_even = self.frame.is_multiple_of(2);
        assert!(self.compositor.render_for(self.frame, list, |i| i < 2 || is_even).unwrap());
        self.collect(is_even);
        if !is_even {
            let is_behind = !self.compositor.damage().is_empty();
            assert_eq!(self.compositor.refresh(self.frame, |i| i >= 2).unwrap(), is_behind);
            if is_behind {
                self.collect(false);
            }
        }
        assert!(!self.compositor.refresh(self.frame, |_| true).unwrap(), "nothing is left to be done");
        (self.compositor.capture().unwrap().into_raw(), self.pictures.clone())
    }

    /// Takes what came of a frame. What an encoder is told is unchanged is.
    fn collect(&mut self, is_whole: bool) {
        assert!(!self.compositor.is_pending() && self.compositor.problems().is_empty());
        let pictures = &mut self.pictures;
        let mut count = 0;
        let collected = self.compositor.collect_each(WAIT, |Delivered { rendition, picture, .. }| {
            let Some((bytes, damage)) = picture else { return };
            let picture = &mut pictures[rendition];
            let before = picture.clone();
            picture.bytes_mut().copy_from_slice(bytes);
            assert!(differs_within(&before, picture, &damage), "rendition {rendition}");
            count += 1;
        });
        assert_eq!(collected, Ok(Some(self.frame)));
        assert_eq!(count == pictures.len(), is_whole);
    }
}

/// Whether both planes of two pictures are the same outside of the damage.
fn differs_within(before: &Picture, after: &Picture, damage: &Damage) -> bool {
    let layout = after.layout();
    let (luma, chroma) = (before.luma().iter().zip(after.luma()), before.chroma().iter().zip(after.chroma()));
    // A pair of chroma samples is that of the four pixels it is for.
    let luma = luma.enumerate().map(|(at, pair)| (at % layout.pitch, at / layout.pitch, pair));
    let chroma = chroma.enumerate().map(|(at, pair)| (at % layout.pitch / 2 * 2, at / layout.pitch * 2, pair));
    let is_within = |x: usize, y: usize| {
        let (x, y) = (x as u32, y as u32);
        damage.rects().iter().any(|rect| (rect.left..rect.right).contains(&x) && (rect.top..rect.bottom).contains(&y))
    };
    luma.chain(chroma).all(|(x, y, (before, after))| before == after || is_within(x, y))
}

fn canvas(blend_space: &str) -> Canvas {
    serde_json::from_value(json!({ "width": 162, "height": 90, "blendSpace": blend_space, "background": "#203040" }))
        .unwrap()
}

/// The frame so many milliseconds after the start, which is noon of 1 January 2026.
fn plan(library: &Library, canvas: &Canvas, layers: &[Value], elapsed_ms: u32) -> DrawList {
    let elapsed = Duration::from_millis(elapsed_ms.into());
    let moment = Moment { elapsed, utc_ms: 1_767_268_800_000 + i64::from(elapsed_ms) };
    let layers = read_layers(layers.to_vec()).unwrap();
    let show = Show::of_layers(canvas.clone(), LayerErrors::Hide, layers);
    assert!(library.prepare_show(&show, moment, WAIT).is_complete());
    evaluate(&show, moment, library).draw_list
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
        Just(json!({ "type": "clock", "size": 20 })),
        Just(json!({ "type": "timer", "mode": "until", "until": "2026-01-01T12:00:03Z", "format": "ss", "size": 24 })),
        (1..200u32).prop_map(|speed| json!({ "type": "ticker", "items": ["one", "another"], "speed": speed, "size": 14 })),
        (0..=10u32).prop_map(|tenths| json!({ "type": "progress", "value": f64::from(tenths) / 10.0, "cornerRadius": 4 })),
        prop::sample::select(vec![
            json!({ "type": "sprite", "asset": "builtin:show/logo.png", "columns": 4, "rows": 2, "fps": 7 }),
            json!({ "type": "slideshow", "items": ["builtin:show/logo.png", "builtin:show/artwork.jpg"], "dwellMs": 900,
                "transition": { "type": "slide", "durationMs": 500 }, "kenBurns": { "zoom": 1.3 } }),
            json!({ "type": "visualFeed", "dwellMs": 900, "strip": { "size": 10 }, "entries": [
                { "asset": "builtin:show/artwork.jpg", "title": "Still Life", "author": "Anon", "tags": ["oil"] },
                { "asset": "builtin:show/host.png", "title": "The Host" }] }),
            json!({ "type": "character", "breathing": {}, "states": {
                "idle": { "type": "image", "asset": "builtin:show/host.png" } } }),
            json!({ "type": "svg", "source": "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 9 9'>\
                <circle cx='4' cy='5' r='3' fill='#f0c040' fill-opacity='.7'/></svg>" }),
        ]),
        (0..9u32).prop_map(|lot| json!({ "type": "qr", "text": format!("lot {lot}") })),
        (0..9u32).prop_map(|points| json!({ "type": "table", "columns": [{ "title": "Name" }, { "title": "Pts" }],
            "rows": [["Ada", points.to_string()]], "style": { "size": 10 }, "zebra": "#ffffff14" })),
        (0..9u32).prop_map(|score| json!({ "type": "scoreboard", "home": { "name": "Harbour", "score": score },
            "away": { "name": "Rovers", "score": 1, "color": "#3070d0" } })),
    ]
}

/// Mostly none, else one property that goes there and back in three seconds.
fn any_animations() -> impl Strategy<Value = Value> {
    let moved = prop_oneof![
        (-20.0..150.0f64).prop_map(|x| ("positionX", x)),
        (4.0..120.0f64).prop_map(|width| ("width", width)),
        (-90.0..90.0f64).prop_map(|degrees| ("rotation", degrees)),
        (0.0..1.0f64).prop_map(|opacity| ("opacity", opacity)),
        (0.0..20.0f64).prop_map(|crop| ("cropLeft", crop)),
    ];
    let moved = moved.prop_map(|(property, value)| {
        json!([{ "property": property, "repeat": "infinite", "direction": "alternate",
        "keyframes": [{ "atMs": 0, "value": 1 }, { "atMs": 3000, "value": value }] }])
    });
    prop_oneof![4 => Just(json!([])), 1 => moved]
}

/// What is done to a layer's picture, mostly nothing.
fn any_look() -> impl Strategy<Value = Value> {
    let effects = prop::sample::subsequence(
        vec![
            json!({ "type": "grade", "hue": 90, "contrast": 1.5 }),
            json!({ "type": "chromaKey", "color": "#30d030", "similarity": 0.2 }),
            json!({ "type": "lumaKey", "min": 0.3, "smoothness": 0.2 }),
            json!({ "type": "blur", "radius": 1.5 }),
            json!({ "type": "blur", "radius": 14 }),
            json!({ "type": "shadow", "offsetX": 3, "offsetY": -2, "blur": 2, "color": "#000000c0" }),
            json!({ "type": "glow", "radius": 4, "color": "#ffe060" }),
        ],
        1..4,
    );
    let id = (0..6u32).prop_map(|id| format!("layer-{id}"));
    let mask = prop_oneof![
        (id, prop::sample::select(vec!["alpha", "luma"]), prop::bool::ANY, prop::sample::select(vec![0, 3])).prop_map(
            |(layer, channel, inverted, feather)| {
                json!({ "layer": layer, "channel": channel, "inverted": inverted, "feather": feather })
            }
        ),
        Just(json!({ "asset": "builtin:show/logo.png" })),
    ];
    prop_oneof![
        4 => Just(json!({})),
        2 => effects.prop_map(|effects| json!({ "effects": effects })),
        2 => mask.prop_map(|mask| json!({ "mask": mask })),
        1 => Just(json!({ "borderRadius": [12, 0, 5, 30], "border": { "width": 2, "color": "#ff8000a0" } })),
        1 => Just(json!({ "border": { "width": 3, "color": "#ffffff" } })),
        1 => Just(json!({ "bounds": { "type": "cover", "width": 70, "height": 40, "cropToBounds": true } })),
        1 => Just(json!({ "corners": [[2, 5], [80, -10], [70, 60], [-8, 40]] })),
        1 => Just(json!({ "corners": [[2, 5], [80, -10], [70, 60], [-8, 40]], "borderRadius": 9,
            "effects": [{ "type": "shadow", "blur": 2 }], "mask": { "asset": "builtin:show/logo.png" } })),
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
    let pose = (pose, blend, any_animations());
    let layer = (0..6u32, -2..3i32, place, whole, pose, any_content(), any_look());
    layer.prop_map(|(id, z, (x, y, w, h), whole, ((turn, opacity), blend, animations), content, look)| {
        let at = |v: f64| if whole { v.round() } else { v };
        let mut layer = json!({ "id": format!("layer-{id}"), "zIndex": z, "opacity": opacity, "blendMode": blend,
            "content": content, "animations": animations,
            "transform": { "positionX": at(x), "positionY": at(y), "width": at(w), "height": at(h), "rotation": turn } });
        json_patch::merge(&mut layer, &look);
        layer
    })
}

/// What happens between two frames.
#[derive(Debug, Clone)]
enum Edit {
    /// A layer is put, in place of the one of its id.
    Put(Value),
    /// The first layer is taken away.
    TakeFirst,
    /// The last layer, or the last child within it, has another opacity; all else is as it was.
    Fade(f64),
    /// Time passes.
    Nothing,
}

/// Edits, each with the time of the frame after it in milliseconds.
fn any_edits() -> impl Strategy<Value = Vec<(Edit, u32)>> {
    let edit = prop_oneof![
        7 => any_layer().prop_map(Edit::Put),
        1 => Just(Edit::TakeFirst),
        2 => prop::sample::select(vec![0.3, 0.6, 0.9]).prop_map(Edit::Fade),
        2 => Just(Edit::Nothing),
    ];
    prop::collection::vec((edit, 0..5000u32), 1..10)
}

impl Edit {
    fn apply(self, layers: &mut Vec<Value>) {
        match self {
            Self::Nothing => {}
            Self::TakeFirst => drop(layers.drain(..layers.len().min(1))),
            Self::Fade(opacity) => {
                let Some(layer) = layers.last_mut() else { return };
                let layer = match layer["content"]["layers"].as_array().map(Vec::len) {
                    Some(count) => &mut layer["content"]["layers"][count - 1],
                    None => layer,
                };
                layer["opacity"] = json!(opacity);
            }
            Self::Put(mut layer) => {
                // A layer cannot be its own mask.
                if layer["mask"]["layer"] == layer["id"] {
                    layer["mask"] = Value::Null;
                }
                match layers.iter_mut().find(|other| other["id"] == layer["id"]) {
                    Some(place) => *place = layer,
                    None => layers.push(layer),
                }
            }
        }
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
                incremental.draw(&plan(&library, &canvas, &layers, 0));
                for (edit, elapsed_ms) in edits {
                    edit.apply(&mut layers);
                    let list = plan(&library, &canvas, &layers, elapsed_ms);
                    whole.compositor.forget();
                    let (expected, found) = (whole.draw(&list), incremental.draw_at_rates(&list));
                    prop_assert!(
                        expected.0 == found.0,
                        "{space}: the picture differs at {elapsed_ms} ms of {layers:#?}"
                    );
                    let differs = expected.1.iter().zip(&found.1).position(|(expected, found)| expected != found);
                    prop_assert!(
                        differs.is_none(),
                        "{space}: NV12 of rendition {differs:?} differs at {elapsed_ms} ms of {layers:#?}"
                    );
                }
                Ok(())
            })
            .unwrap();
    }
}

/// What lies still below what moves is not drawn again, and that cannot be told from the picture: neither while only the
/// top moves, nor when something below changes, comes or goes.
#[test]
fn what_lies_still_below_is_not_drawn_again() {
    let gpu = Gpu::open(&Options::default()).unwrap();
    let library = Library::new(Config::default()).unwrap();
    let canvas = canvas("srgb");
    let [mut kept, mut whole] = [(); 2].map(|()| Easel::new(&gpu, &library, &canvas));
    let still = |i: u32, color: &str| {
        json!({ "id": format!("still-{i}"), "content": { "type": "color", "color": color }, "blendMode": if i == 2 { "multiply" } else { "normal" },
            "transform": { "positionX": i * 20, "positionY": i * 7, "width": 100, "height": 60, "rotation": i * 3 } })
    };
    let mut layers: Vec<Value> = (0..5).map(|i| still(i, "#4060a0c0")).collect();
    let mut drawn = Vec::new();
    for frame in 0..60u32 {
        match frame {
            20 => layers[3] = still(3, "#d03030"),
            35 => drop(layers.remove(0)),
            50 => layers.push(still(9, "#30d030")),
            _ => {}
        }
        let mut moving = layers.clone();
        moving.push(
            json!({ "id": "moving", "zIndex": 1, "content": { "type": "image", "asset": "builtin:show/logo.png" },
            "transform": { "positionX": f64::from(frame) * 1.5, "positionY": 20, "width": 60, "height": 30 } }),
        );
        let list = plan(&library, &canvas, &moving, 0);
        whole.compositor.forget();
        assert!(kept.draw(&list) == whole.draw(&list), "frame {frame}");
        drawn.push(kept.compositor.stats().items);
    }
    // The moving one alone; with the two above the change; alone again, once the longer run has proved itself.
    assert_eq!([15, 30, 44, 59].map(|frame| drawn[frame]), [1, 3, 1, 1], "{drawn:?}");
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
        easel.draw(&plan(&library, &canvas, &layers, 0));
        let before = easel.compositor.stats();
        layers.last_mut().unwrap()["content"]["color"] = json!("#ff0000");
        easel.draw(&plan(&library, &canvas, &layers, 0));
        let after = easel.compositor.stats();
        // The box and one pixel around it.
        assert_eq!(after.damaged_pixels_total - before.damaged_pixels_total, 62 * 22, "{count} layers");
        assert_eq!(after.items, 1, "{count} layers");
    }
}
