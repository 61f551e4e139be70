//! The document model and the evaluation, without a GPU.

use std::{cell::Cell, sync::Arc, time::Duration};

use proptest::prelude::*;
use serde_json::json;

use super::{
    draw::{Extent, Media, Outline, Paint, Raster},
    geometry::Rect,
    *,
};

/// Pictures are 200 x 100, texts 100 x 24 (or as wide as asked); `missing` fails, `slow` is pending.
#[derive(Default)]
struct Shelf {
    asked: Cell<u32>,
}

impl Media for Shelf {
    fn extent(&self, raster: &Raster) -> Extent {
        self.asked.set(self.asked.get() + 1);
        match raster {
            Raster::Image(name) | Raster::Lut(name) if &**name == "missing" => Extent::Failed("no such asset".into()),
            Raster::Image(name) if &**name == "slow" => Extent::Pending,
            Raster::Image(_) => Extent::Ready([200.0, 100.0]),
            Raster::Lut(_) => Extent::Ready([2.0, 2.0]),
            Raster::Text(text) => Extent::Ready([text.width.unwrap_or(100.0), 24.0]),
            Raster::Frame { .. } | Raster::Cell { .. } | Raster::Vector(_) => Extent::Pending,
        }
    }
}

fn canvas() -> Canvas {
    check::read(json!({ "width": 640, "height": 360 })).unwrap()
}

fn show(layers: Value) -> Show {
    let layers = read_layers(layers.as_array().unwrap().clone()).unwrap();
    Show::of_layers(canvas(), LayerErrors::Hide, layers)
}

fn plan(layers: Value) -> Evaluation {
    evaluate(&show(layers), Moment::START, &Shelf::default())
}

fn problem(layers: Value) -> (String, String) {
    let problems = read_layers(layers.as_array().unwrap().clone()).unwrap_err();
    (problems.0[0].pointer.clone(), problems.0[0].message.clone())
}

#[test]
fn an_unknown_field_is_refused_with_its_place_and_the_allowed_names() {
    let (pointer, message) = problem(json!([{ "id": "a", "content": { "type": "color", "colour": "#ffffff" } }]));
    assert_eq!(pointer, "/0/content/colour");
    assert!(message.contains("unknown field `colour`") && message.contains("`color`"), "{message}");

    let (pointer, message) = problem(json!([
        { "id": "a", "content": { "type": "color", "color": "#ffffff" } },
        { "id": "b", "transform": { "posX": 1 }, "content": { "type": "color", "color": "#ffffff" } },
    ]));
    assert_eq!(pointer, "/1/transform/posX");
    assert!(message.contains("`positionX`"), "{message}");
}

#[test]
fn an_unknown_name_is_refused_with_the_allowed_ones() {
    assert_eq!(
        problem(json!([{ "id": "a", "content": { "type": "video" } }])),
        ("/0/content/type".into(), format!("unknown type `video`, expected one of {}", Content::TYPES.join(", ")))
    );
    let (pointer, message) =
        problem(json!([{ "id": "a", "content": { "type": "image", "asset": "x", "fit": "stretch" } }]));
    assert_eq!(pointer, "/0/content/fit");
    assert!(message.contains("`scale-down`"), "{message}");
}

#[test]
fn numbers_out_of_range_are_refused_with_the_range() {
    for (layer, pointer, range) in [
        (json!({ "opacity": 1.5 }), "/0/opacity", "0 to 1"),
        (json!({ "transform": { "width": 0 } }), "/0/transform/width", "1 to 16384"),
        (json!({ "transform": { "positionX": 1e300 } }), "/0/transform/positionX", "-65536 to 65536"),
        (json!({ "content": { "type": "text", "text": "", "size": 0.5 } }), "/0/content/size", "1 to 1000"),
        (json!({ "content": { "type": "shape", "shape": "polygon" } }), "/0/content/points", "3 to 128"),
    ] {
        let mut document = json!({ "id": "a", "content": { "type": "color", "color": "#ffffff" } });
        if layer.get("content").is_some() {
            document["content"] = layer["content"].clone();
        } else {
            json_patch::merge(&mut document, &layer);
        }
        let (found, message) = problem(json!([document]));
        assert_eq!(found, pointer);
        assert!(message.ends_with(range), "{message}");
    }
}

#[test]
fn an_array_is_not_taken_for_an_object() {
    let color = json!({ "type": "color", "color": "#ffffff" });
    let (pointer, message) = problem(json!([{ "id": "a", "transform": [1, 2], "content": color }]));
    assert_eq!((pointer.as_str(), message.as_str()), ("/0/transform", "invalid type: sequence, expected an object"));
    assert_eq!(problem(json!([["a", "name"]])).0, "/0");
}

#[test]
fn ids_are_unique_and_safe() {
    let color = json!({ "type": "color", "color": "#ffffff" });
    let (pointer, _) = problem(json!([{ "id": "a", "content": color }, { "id": "a", "content": color }]));
    assert_eq!(pointer, "/1/id");
    let (pointer, message) = problem(json!([{ "id": "../a", "content": color }]));
    assert_eq!(pointer, "/0/id");
    assert!(message.contains("is not an id"), "{message}");
}

#[test]
fn a_document_written_back_reads_as_itself() {
    let shown = show(json!([
        { "id": "a", "zIndex": -3, "enabled": false, "opacity": 0.25, "content": { "type": "color", "color": "#01020304" } },
        { "id": "b", "transform": { "width": 10, "rotation": 720, "cropLeft": 3 },
          "content": { "type": "text", "text": "Zürich\n1:0", "background": "#000000b3", "align": "right" } },
        { "id": "c", "content": { "type": "image", "asset": "x.png", "fit": "scale-down" } },
        { "id": "d", "content": { "type": "shape", "shape": "polygon", "points": [[0, 0], [1, 0], [0.5, 1]],
          "fill": { "type": "linear", "angle": 45, "stops": [{ "offset": 0, "color": "#ff0000" }, { "offset": 1, "color": "#00ff00" }] },
          "stroke": { "color": "#ffffff", "width": 2 } } },
    ]));
    let written = serde_json::to_value(&shown.on_air().layers).unwrap();
    assert_eq!(read_layers(written.as_array().unwrap().clone()).unwrap(), shown.on_air().layers);
}

#[test]
fn layers_are_drawn_in_z_order_and_only_when_they_show() {
    let color = json!({ "type": "color", "color": "#ffffff" });
    let ids: Vec<String> = plan(json!([
        { "id": "top", "zIndex": 5, "content": color },
        { "id": "first", "content": color },
        { "id": "second", "content": color },
        { "id": "below", "zIndex": -1, "content": color },
        { "id": "off", "enabled": false, "content": color },
        { "id": "clear", "opacity": 0, "content": color },
        { "id": "outside", "transform": { "positionX": 641 }, "content": color },
        { "id": "flat", "transform": { "scaleX": 0 }, "content": color },
        { "id": "cropped", "transform": { "width": 10, "cropLeft": 6, "cropRight": 4 }, "content": color },
    ]))
    .draw_list
    .items
    .iter()
    .map(|item| item.layer.to_string())
    .collect();
    assert_eq!(ids, ["below", "first", "second", "top"]);
}

#[test]
fn the_anchor_is_what_the_position_places() {
    let evaluation = plan(json!([{ "id": "a",
        "transform": { "positionX": 100, "positionY": 50, "width": 40, "height": 20, "anchorX": 0.5, "anchorY": 1, "scaleX": 2 },
        "content": { "type": "color", "color": "#ffffff" } }]));
    let item = &evaluation.draw_list.items[0];
    assert_eq!(item.place.bounds_of(item.clip), Rect::new(60.0, 30.0, 80.0, 20.0));
}

#[test]
fn a_picture_without_a_size_has_its_own_and_keeps_its_proportion() {
    for (transform, expected) in [
        (json!({}), [200.0, 100.0]),
        (json!({ "width": 100 }), [100.0, 50.0]),
        (json!({ "height": 50 }), [100.0, 50.0]),
        (json!({ "width": 50, "height": 50 }), [50.0, 50.0]),
    ] {
        let evaluation =
            plan(json!([{ "id": "a", "transform": transform, "content": { "type": "image", "asset": "x" } }]));
        assert_eq!(evaluation.draw_list.items[0].clip, Rect::at_origin(expected));
    }
}

#[test]
fn a_text_sits_in_its_box() {
    let evaluation = plan(json!([{ "id": "a", "transform": { "width": 300, "height": 100 },
        "content": { "type": "text", "text": "Hi", "size": 20, "padding": 10, "background": "#000000", "verticalAlign": "bottom" } }]));
    let [backdrop, text] = &evaluation.draw_list.items[..] else { panic!("backdrop and text") };
    assert!(matches!(backdrop.paint, Paint::Solid(Rgba::BLACK)));
    let Paint::Raster { raster: Raster::Text(raster), dest } = &text.paint else { panic!("a text raster") };
    assert_eq!(raster.width, Some(280.0));
    let overhang = raster.overhang();
    assert_eq!(overhang, 6.0); // a quarter of 20, and one
    assert_eq!(*dest, Rect::new(10.0 - overhang, 66.0 - overhang, 280.0 + 2.0 * overhang, 24.0 + 2.0 * overhang));
}

#[test]
fn a_zoomed_text_is_set_at_its_shown_size() {
    let evaluation = plan(json!([{ "id": "a", "transform": { "scaleX": 2, "scaleY": 2 },
        "content": { "type": "text", "text": "Hi", "size": 20 } }]));
    let Paint::Raster { raster: Raster::Text(raster), .. } = &evaluation.draw_list.items[0].paint else { panic!() };
    assert_eq!(raster.scale, 2.0);
}

#[test]
fn a_broken_layer_is_reported_and_the_others_stay() {
    let layers = json!([
        { "id": "broken", "content": { "type": "image", "asset": "missing" } },
        { "id": "waiting", "content": { "type": "image", "asset": "slow" } },
        { "id": "fine", "content": { "type": "image", "asset": "x" } },
    ]);
    let mut show = show(layers);
    let evaluation = evaluate(&show, Moment::START, &Shelf::default());
    assert_eq!(evaluation.draw_list.items.len(), 1);
    assert!(evaluation.is_pending);
    assert_eq!(evaluation.errors.len(), 1);
    assert_eq!((evaluation.errors[0].layer.as_str(), &*evaluation.errors[0].message), ("broken", "no such asset"));

    show.layer_errors = LayerErrors::Box;
    let evaluation = evaluate(&show, Moment::START, &Shelf::default());
    let broken = evaluation.draw_list.items.iter().filter(|item| item.layer.as_str() == "broken");
    assert_eq!(broken.count(), 2, "a box and its message");
}

#[test]
fn a_still_scene_holds_for_ever_but_not_while_something_is_missing() {
    let color = json!({ "id": "a", "content": { "type": "color", "color": "#ffffff" } });
    let day = Duration::from_secs(86_400);
    assert!(plan(json!([color])).holds_at(day));
    for asset in ["slow", "missing"] {
        let evaluation = plan(json!([color, { "id": "b", "content": { "type": "image", "asset": asset } }]));
        assert!(!evaluation.holds_at(Duration::ZERO), "{asset}");
    }
}

#[test]
fn an_empty_scene_is_a_plan_of_nothing() {
    let evaluation = plan(json!([]));
    assert!(evaluation.draw_list.items.is_empty() && evaluation.errors.is_empty());
}

#[test]
fn gradients_follow_css() {
    let shape = |angle: f64| {
        let evaluation = plan(json!([{ "id": "a", "transform": { "width": 200, "height": 100 },
            "content": { "type": "shape", "shape": "rectangle", "fill": { "type": "linear", "angle": angle,
            "stops": [{ "offset": 0, "color": "#000000" }, { "offset": 1, "color": "#ffffff" }] } } }]));
        let Paint::Shape(shape) = &evaluation.draw_list.items[0].paint else { panic!("a shape") };
        let Some(draw::Fill::Linear { from, to, .. }) = &shape.fill else { panic!("a linear gradient") };
        [*from, *to].map(|p| p.map(|v| v.round()))
    };
    assert_eq!(shape(90.0), [[0.0, 50.0], [200.0, 50.0]]);
    assert_eq!(shape(0.0), [[100.0, 100.0], [100.0, 0.0]]);
    // 45 degrees: length 200 sin 45 + 100 cos 45 = 212, so the ends lie 106 px from the centre.
    assert_eq!(shape(45.0), [[25.0, 125.0], [175.0, -25.0]]);
}

#[test]
fn a_stroke_lies_inside_its_box() {
    let evaluation = plan(json!([{ "id": "a", "transform": { "width": 100, "height": 50 },
        "content": { "type": "shape", "shape": "rectangle", "cornerRadius": 10, "stroke": { "color": "#ffffff", "width": 4 } } }]));
    let Paint::Shape(shape) = &evaluation.draw_list.items[0].paint else { panic!("a shape") };
    assert_eq!(shape.outline, Outline::Rectangle { rect: Rect::new(2.0, 2.0, 96.0, 46.0), radius: 8.0 });
}

fn any_layer() -> impl Strategy<Value = Value> {
    let number = prop_oneof![-1e4..1e4, Just(0.0), Just(1.0), Just(f64::MAX), Just(-65_536.0)];
    let content = prop_oneof![
        Just(json!({ "type": "color", "color": "#12345678" })),
        Just(json!({ "type": "image", "asset": "x", "fit": "cover" })),
        ".{0,20}".prop_map(|text| json!({ "type": "text", "text": text })),
        (0.0..50.0f64)
            .prop_map(|r| json!({ "type": "shape", "shape": "rectangle", "cornerRadius": r, "fill": "#ffffff" })),
    ];
    (proptest::collection::vec(number, 6), content).prop_map(|(n, content)| {
        json!({ "id": "x", "zIndex": 1, "content": content, "transform": { "positionX": n[0], "positionY": n[1],
            "width": n[2], "height": n[3], "scaleX": n[4], "rotation": n[5] } })
    })
}

proptest! {
    /// Whatever is accepted is planned without a panic, finitely, and the same way twice.
    #[test]
    fn accepted_layers_are_planned_finitely(layer in any_layer()) {
        let Ok(layers) = read_layers(vec![layer]) else { return Ok(()) };
        let show = Show::of_layers(canvas(), LayerErrors::Box, layers);
        let media = Shelf::default();
        let first = evaluate(&show, Moment { elapsed: Duration::from_secs(1), utc_ms: 5 }, &media);
        prop_assert_eq!(&first, &evaluate(&show, Moment { elapsed: Duration::from_secs(1), utc_ms: 5 }, &media));
        for item in &first.draw_list.items {
            let bounds = item.place.bounds_of(item.clip);
            prop_assert!([bounds.x, bounds.y, bounds.w, bounds.h].iter().all(|v| v.is_finite()), "{:?}", item);
        }
    }
}

#[test]
fn equal_scenes_plan_equal_lists() {
    // Equality of draw lists is what lets an unchanged frame cost nothing; it must not depend on allocation.
    let layers = json!([{ "id": "a", "content": { "type": "text", "text": "x" } }]);
    let (a, b) = (plan(layers.clone()), plan(layers));
    assert_eq!(a, b);
    let (Paint::Raster { raster: Raster::Text(a), .. }, Paint::Raster { raster: Raster::Text(b), .. }) =
        (&a.draw_list.items[0].paint, &b.draw_list.items[0].paint)
    else {
        panic!("two texts")
    };
    assert!(!Arc::ptr_eq(a, b));
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn evaluate_at(show: &Show, elapsed: Duration) -> Evaluation {
    evaluate(show, Moment { elapsed, utc_ms: 0 }, &Shelf::default())
}

/// A box of 10 x 10 with these animations, and whatever `more` says.
fn animated(animations: Value, more: Value) -> Show {
    let mut layer = json!({ "id": "a", "transform": { "width": 10, "height": 10 }, "animations": animations,
        "content": { "type": "color", "color": "#ffffff" } });
    json_patch::merge(&mut layer, &more);
    show(json!([layer]))
}

#[test]
fn animations_move_what_is_drawn() {
    let show = animated(
        json!([
            { "property": "positionX", "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 100 }] },
            { "property": "width", "keyframes": [{ "atMs": 0, "value": 10 }, { "atMs": 1000, "value": 20 }] },
            { "property": "cropLeft", "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 4 }] },
            { "property": "opacity", "keyframes": [{ "atMs": 0, "value": 1 }, { "atMs": 1000, "value": 0.5 }] },
        ]),
        json!({}),
    );
    let evaluation = evaluate_at(&show, ms(500));
    let item = &evaluation.draw_list.items[0];
    assert_eq!((item.clip, item.opacity), (Rect::new(2.0, 0.0, 13.0, 10.0), 0.75));
    assert_eq!(item.place.apply([0.0, 0.0]), [50.0, 0.0]);
    assert_eq!(evaluation.changes_at, Some(ms(500)));
    assert!(!evaluation.holds_at(ms(500)));
    assert_eq!(evaluate_at(&show, ms(1000)).changes_at, None);
    assert!(evaluate_at(&show, ms(1000)).holds_at(Duration::MAX));
}

#[test]
fn of_two_animations_of_a_property_the_last_in_effect_wins() {
    let show = animated(
        json!([
            { "property": "positionX", "repeat": "infinite",
              "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 100 }] },
            { "property": "positionX", "startMs": 1000, "fill": "none",
              "keyframes": [{ "atMs": 0, "value": 300, "easing": "hold" }, { "atMs": 1000, "value": 400 }] },
        ]),
        json!({}),
    );
    let x = |time: u64| evaluate_at(&show, ms(time)).draw_list.items[0].place.e;
    assert_eq!([500, 999, 1500, 2000, 2500].map(x), [50.0, 99.9, 300.0, 0.0, 50.0]);
    assert_eq!(evaluate_at(&show, ms(500)).changes_at, Some(ms(500)));
    assert_eq!(evaluate_at(&show, ms(1500)).changes_at, Some(ms(2000)), "what the last one hides does not move");
}

#[test]
fn a_clear_layer_is_not_drawn_but_says_when_it_comes() {
    let fade = json!({ "property": "opacity", "startMs": 2000,
        "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 1 }] });
    let spin = json!({ "property": "rotation", "repeat": "infinite",
        "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 360 }] });
    let show = animated(json!([fade, spin]), json!({ "transform": { "positionX": 50, "positionY": 50 } }));
    let before = evaluate_at(&show, ms(500));
    assert!(before.draw_list.items.is_empty());
    assert_eq!(before.changes_at, Some(ms(2000)), "that it turns is not seen");
    assert_eq!(evaluate_at(&show, ms(2500)).draw_list.items[0].opacity, 0.5);

    // A layer that is clear by itself shows while its animation is in effect; one that is off never does.
    let show = animated(json!([fade]), json!({ "opacity": 0 }));
    assert_eq!(evaluate_at(&show, ms(2500)).draw_list.items.len(), 1);
    let off = evaluate_at(&animated(json!([fade]), json!({ "enabled": false })), ms(2500));
    assert!(off.draw_list.items.is_empty() && off.changes_at.is_none());
}

#[test]
fn bad_animations_are_refused_with_their_place() {
    let keyframes = json!([{ "atMs": 0, "value": 0 }, { "atMs": 500, "value": 1 }]);
    for (change, pointer, expected) in [
        (json!({ "property": "posX" }), "/property", "`positionX`"),
        (json!({ "loop": true }), "/loop", "`repeat`"),
        (json!({ "keyframes": [] }), "/keyframes", "1 to 256"),
        (json!({ "keyframes": vec![json!({ "atMs": 0, "value": 0 }); 257] }), "/keyframes", "1 to 256"),
        (
            json!({ "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 9, "value": 1.5 }] }),
            "/keyframes/1/value",
            "0 to 1",
        ),
        (json!({ "keyframes": [{ "atMs": 9, "value": 0 }, { "atMs": 8, "value": 1 }] }), "/keyframes/1/atMs", "order"),
        (json!({ "keyframes": [{ "atMs": -1, "value": 0 }] }), "/keyframes/0/atMs", "0 to 86400000"),
        (
            json!({ "keyframes": [{ "atMs": 0, "value": 0, "easing": "wobble" }] }),
            "/keyframes/0/easing",
            "linear, hold",
        ),
        (
            json!({ "keyframes": [{ "atMs": 0, "value": 0, "easing": "steps(0)" }] }),
            "/keyframes/0/easing",
            "1 to 10000",
        ),
        (json!({ "keyframes": [{ "atMs": 0, "valu": 0 }] }), "/keyframes/0/valu", "`value`"),
        (json!({ "delayMs": 86_400_001 }), "/delayMs", "-86400000 to 86400000"),
        (json!({ "startMs": -5 }), "/startMs", "0 to 1000000000000"),
        (json!({ "repeat": 0 }), "/repeat", "1 to 1000000"),
        (json!({ "repeat": "forever" }), "/repeat", "infinite"),
        (json!({ "direction": "backwards" }), "/direction", "`alternate-reverse`"),
        (json!({ "fill": "auto" }), "/fill", "`forwards`"),
    ] {
        let mut animation = json!({ "property": "opacity", "keyframes": keyframes });
        json_patch::merge(&mut animation, &change);
        let good = json!({ "property": "opacity", "keyframes": keyframes });
        let color = json!({ "type": "color", "color": "#ffffff" });
        let (found, message) = problem(json!([{ "id": "a", "content": color, "animations": [good, animation] }]));
        assert_eq!(found, format!("/0/animations/1{pointer}"), "{message}");
        assert!(message.contains(expected), "{message}");
    }
    let many = vec![json!({ "property": "opacity", "keyframes": keyframes }); 65];
    let color = json!({ "type": "color", "color": "#ffffff" });
    let (pointer, message) = problem(json!([{ "id": "a", "content": color, "animations": many }]));
    assert_eq!((&*pointer, &*message), ("/0/animations", "65 animations is out of range: 0 to 64"));
}

#[test]
fn animations_written_back_read_as_themselves() {
    let show = animated(
        json!([
            { "property": "scaleY", "keyframes": [{ "atMs": 5, "value": 1, "easing": "power2.out" }], "repeat": "infinite",
              "direction": "alternate-reverse", "fill": "none", "startMs": 7, "delayMs": -9 },
            { "property": "opacity", "keyframes": [{ "atMs": 0, "value": 0.5, "easing": "spring(1, 100, 10)" }], "repeat": 4 },
        ]),
        json!({}),
    );
    let written = serde_json::to_value(&show.on_air().layers).unwrap();
    assert_eq!(written[0]["animations"][0]["keyframes"][0]["easing"], "easeOutCubic");
    assert_eq!(read_layers(written.as_array().unwrap().clone()).unwrap(), show.on_air().layers);
    let still = serde_json::to_value(&animated(json!([]), json!({})).on_air().layers).unwrap();
    assert_eq!(still[0].get("animations"), None);
}

/// Short rounds with jumps, holds, steps and equal values in all directions, so that a few seconds meet every case.
fn any_animation() -> impl Strategy<Value = Value> {
    let properties = [("positionX", 100.0), ("width", 50.0), ("rotation", 90.0), ("opacity", 1.0), ("cropTop", 5.0)];
    let easings =
        ["linear", "hold", "steps(3)", "steps(7, jump-both)", "step-start", "easeInOutBack", "linear(0, 1 20% 80%, 0)"];
    let keyframe = (0..4_i64, 0..3_u8, proptest::sample::select(easings.to_vec()));
    let keyframes = proptest::collection::vec(keyframe, 1..6);
    let repeat = prop_oneof![Just(json!(1)), Just(json!(3)), Just(json!("infinite"))];
    let direction = proptest::sample::select(vec!["normal", "reverse", "alternate", "alternate-reverse"]);
    let fill = proptest::sample::select(vec!["none", "forwards", "backwards", "both"]);
    let times = (0..2_000_i64, -500..500_i64);
    (proptest::sample::select(properties.to_vec()), keyframes, repeat, direction, fill, times).prop_map(
        |((property, unit), keyframes, repeat, direction, fill, (start, delay))| {
            let mut at = 0;
            let keyframes = keyframes.into_iter().map(|(step, level, easing)| {
                at += step * 133;
                // A width is at least 1.
                let value = if property == "width" { 1.0 } else { 0.0 } + unit * f64::from(level) / 3.0;
                json!({ "atMs": at, "value": value, "easing": easing })
            });
            json!({ "property": property, "keyframes": keyframes.collect::<Vec<_>>(), "repeat": repeat,
                "direction": direction, "fill": fill, "startMs": start, "delayMs": delay })
        },
    )
}

/// One value, a way along a line, a colour, or several of them in a timeline that runs to and fro.
fn any_motion() -> impl Strategy<Value = Value> {
    let timeline = (proptest::collection::vec(any_animation(), 1..4), 0..200_i64, any_animation()).prop_map(
        |(mut animations, stagger, mut timeline)| {
            for animation in &mut animations {
                // Within a timeline nothing is endless.
                if animation["repeat"] == "infinite" {
                    animation["repeat"] = json!(2);
                }
            }
            let fields = timeline.as_object_mut().unwrap();
            fields.retain(|field, _| field != "property" && field != "keyframes");
            fields.insert("animations".into(), json!(animations));
            fields.insert("staggerMs".into(), json!(stagger));
            timeline
        },
    );
    let along = any_animation().prop_map(|mut animation| {
        animation.as_object_mut().unwrap().remove("property");
        for keyframe in animation["keyframes"].as_array_mut().unwrap() {
            keyframe["value"] = json!(keyframe["value"].as_f64().unwrap() / 128.0);
        }
        animation["path"] = json!("M 0 0 C 50 100 100 -50 200 100 A 50 50 0 0 1 100 100 Z");
        animation["orient"] = json!("auto");
        animation
    });
    let colour = any_animation().prop_map(|mut animation| {
        animation["property"] = json!("content/color");
        for keyframe in animation["keyframes"].as_array_mut().unwrap() {
            keyframe["value"] = json!(format!("#{:02x}8040c0", keyframe["value"].as_f64().unwrap() as u8));
        }
        animation
    });
    prop_oneof![3 => any_animation(), 3 => timeline, 1 => along, 1 => colour]
}

/// How the layer comes, goes and follows.
fn any_life() -> impl Strategy<Value = Value> {
    let presets = proptest::sample::select(vec!["fade", "slide-left", "slide-down", "zoom"]);
    let passage = (presets, 0..1000_u64, 0..300_u64)
        .prop_map(|(preset, duration, delay)| json!({ "preset": preset, "durationMs": duration, "delayMs": delay }));
    let switched = (0..3000_u64, proptest::bool::ANY).prop_map(|(at, is_back)| match is_back {
        true => json!({ "atMs": at, "from": 0.25, "along": "exit" }),
        false => json!({ "atMs": at }),
    });
    let approach = (0..3000_u64, 1..1000_u64, -500.0..500.0f64).prop_map(|(start, duration, velocity)| {
        json!({ "property": "positionX", "from": 50, "velocity": velocity, "startMs": start, "durationMs": duration,
            "easing": "ease" })
    });
    let optional = |strategy: BoxedStrategy<Value>| prop_oneof![Just(Value::Null), strategy];
    (
        proptest::bool::weighted(0.7),
        optional(passage.clone().boxed()),
        optional(passage.boxed()),
        optional(switched.boxed()),
        proptest::collection::vec(approach, 0..2),
    )
        .prop_map(|(enabled, enter, exit, switched, approaches)| {
            json!({ "enabled": enabled, "enter": enter, "exit": exit, "switched": switched, "approaches": approaches })
        })
}

/// Times of which many lie on the frames and keyframes of [`any_animation`].
fn any_time() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..5_000_u64).prop_map(ms),
        (0..40_u64).prop_map(|n| ms(n * 133)),
        (0..5_000_000_000_u64).prop_map(Duration::from_nanos)
    ]
}

proptest! {
    /// Until the time that is announced, exclusively, every frame is the same: also in the last nanosecond before it.
    #[test]
    fn nothing_changes_before_it_is_announced(
        animations in proptest::collection::vec(any_motion(), 0..4),
        life in any_life(),
        now in any_time(),
        shares in proptest::collection::vec(0.0..1.0, 8),
    ) {
        let show = animated(Value::Array(animations), life);
        let plan = evaluate_at(&show, now);
        let end = plan.changes_at.unwrap_or(now + ms(10_000));
        prop_assert!(end >= now);
        let last = (end > now).then(|| end - Duration::from_nanos(1));
        let between = shares.iter().map(|&share| now + (end - now).mul_f64(share)).filter(|time| *time < end);
        for time in between.chain(last) {
            prop_assert!(plan.holds_at(time));
            prop_assert_eq!(&plan.draw_list, &evaluate_at(&show, time).draw_list, "{:?} and {:?}", now, time);
        }
    }

    /// Frames that are asked for in any order, or by a stream that was started anew, are those of a run in order.
    #[test]
    fn frames_do_not_depend_on_those_before(
        animations in proptest::collection::vec(any_motion(), 0..4),
        life in any_life(),
        order in Just((0..60_u64).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let show = animated(Value::Array(animations.clone()), life.clone());
        let frame = |show: &Show, n: u64| evaluate_at(show, ms(n * 40));
        let in_order: Vec<Evaluation> = (0..60).map(|n| frame(&show, n)).collect();
        let restarted = animated(Value::Array(animations), life);
        for n in order {
            prop_assert_eq!(&frame(&restarted, n), &in_order[n as usize]);
        }
    }

    /// The same of layers within a group, whose times run one after the other.
    #[test]
    fn a_lazy_renderer_misses_nothing_of_a_group(
        lives in proptest::collection::vec((proptest::collection::vec(any_motion(), 0..2), any_life()), 1..4),
        stagger in 0..500_u64,
    ) {
        let children = lives.into_iter().enumerate().map(|(i, (animations, life))| {
            let mut layer = json!({ "id": format!("child-{i}"), "transform": { "width": 10, "height": 10 },
                "animations": animations, "content": { "type": "color", "color": "#ffffff" } });
            json_patch::merge(&mut layer, &life);
            layer
        });
        let group = json!({ "type": "group", "staggerMs": stagger, "layers": children.collect::<Vec<_>>() });
        let show = show(json!([{ "id": "group", "content": group }]));
        let mut kept = evaluate_at(&show, Duration::ZERO);
        for time in (0..200).map(|n| ms(n * 30)) {
            if !kept.holds_at(time) {
                kept = evaluate_at(&show, time);
            }
            prop_assert_eq!(&kept.draw_list, &evaluate_at(&show, time).draw_list, "at {:?}", time);
        }
    }

    /// A renderer that plans only when a change is announced shows what one shows that plans every frame.
    #[test]
    fn a_lazy_renderer_misses_nothing(
        animations in proptest::collection::vec(any_motion(), 0..4),
        life in any_life(),
    ) {
        let show = animated(Value::Array(animations), life);
        let mut kept = evaluate_at(&show, Duration::ZERO);
        for time in (0..300).map(|n| ms(n * 20)) {
            if !kept.holds_at(time) {
                kept = evaluate_at(&show, time);
            }
            prop_assert_eq!(&kept.draw_list, &evaluate_at(&show, time).draw_list, "at {:?}", time);
        }
    }
}
