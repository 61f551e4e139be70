//! When and what animations move, by numbers.

use serde_json::{Value, json};

use super::*;

/// The pose on a canvas of 640 x 360.
fn pose(layer: &Layer, elapsed: Duration) -> Pose {
    Pose::of(layer, elapsed, [640.0, 360.0])
}

/// A layer to move.
fn ground(content: Value) -> Layer {
    let transform = json!({ "positionX": 7, "width": 50, "height": 50 });
    Layer::read(json!({ "id": "a", "transform": transform, "content": content })).unwrap()
}

fn white() -> Layer {
    ground(json!({ "type": "color", "color": "#ffffff" }))
}

fn animation(document: Value) -> Animation {
    read(vec![document], &Ground::new(&white())).unwrap().remove(0)
}

impl Animation {
    /// What it says of the first thing it moves.
    fn heard(&self, elapsed: Duration) -> (Option<Quantity>, Span) {
        let mut heard = None;
        self.tell(nanos(elapsed), &mut |_, value, still| heard = Some((value, still)));
        heard.unwrap()
    }

    fn value_at(&self, elapsed: Duration) -> Option<f64> {
        self.heard(elapsed).0.map(|value| match value {
            Quantity::Number(number) => number,
            Quantity::Colour(colour) => panic!("{colour}"),
        })
    }

    fn next_change(&self, elapsed: Duration) -> Option<Duration> {
        let still = self.heard(elapsed).1;
        (still.to != i128::MAX).then(|| duration(still.to))
    }
}

/// From 100 to 200 within a second, and whatever `more` says.
fn way(more: Value) -> Animation {
    let keyframes = json!([{ "atMs": 0, "value": 100 }, { "atMs": 1000, "value": 200 }]);
    let mut document = json!({ "property": "positionX", "keyframes": keyframes });
    json_patch::merge(&mut document, &more);
    animation(document)
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn values<const N: usize>(animation: &Animation, times: [u64; N]) -> [Option<f64>; N] {
    times.map(|time| animation.value_at(ms(time)))
}

#[test]
fn the_way_is_gone_from_keyframe_to_keyframe() {
    assert_eq!(values(&way(json!({})), [0, 250, 999, 1000, 5000]), [100.0, 125.0, 199.9, 200.0, 200.0].map(Some));
    let eased = animation(json!({ "property": "rotation", "keyframes": [
        { "atMs": 500, "value": 10, "easing": "easeInQuad" }, { "atMs": 1500, "value": 20, "easing": "hold" },
        { "atMs": 2000, "value": 30 }, { "atMs": 2000, "value": 0, "easing": "ease" } ] }));
    let expected = [10.0, 10.0, 12.5, 20.0, 20.0, 0.0].map(Some);
    assert_eq!(values(&eased, [0, 500, 1000, 1500, 1999, 2000]), expected, "the first holds, and the end jumps");
}

#[test]
fn a_delay_may_lie_in_the_past() {
    let late = way(json!({ "startMs": 2000, "delayMs": 500 }));
    assert_eq!(values(&late, [0, 2500, 2750, 3500]), [100.0, 100.0, 125.0, 200.0].map(Some));
    let early = way(json!({ "delayMs": -250, "repeat": "infinite" }));
    assert_eq!(values(&early, [0, 500, 750]), [125.0, 175.0, 100.0].map(Some));
}

#[test]
fn fill_says_what_shows_before_and_after() {
    for (fill, before, after) in [
        ("none", None, None),
        ("backwards", Some(100.0), None),
        ("forwards", None, Some(200.0)),
        ("both", Some(100.0), Some(200.0)),
    ] {
        let way = way(json!({ "fill": fill, "startMs": 100 }));
        assert_eq!(values(&way, [99, 100, 1099, 1100]), [before, Some(100.0), Some(199.9), after], "{fill}");
    }
}

#[test]
fn rounds_run_as_the_direction_says() {
    let times = [0, 250, 1000, 1250, 2000, 2250, 3000];
    for (direction, expected) in [
        ("normal", [100.0, 125.0, 100.0, 125.0, 100.0, 125.0, 200.0]),
        ("reverse", [200.0, 175.0, 200.0, 175.0, 200.0, 175.0, 100.0]),
        ("alternate", [100.0, 125.0, 200.0, 175.0, 100.0, 125.0, 200.0]),
        ("alternate-reverse", [200.0, 175.0, 100.0, 125.0, 200.0, 175.0, 100.0]),
    ] {
        let way = way(json!({ "direction": direction, "repeat": 3 }));
        assert_eq!(values(&way, times), expected.map(Some), "{direction}");
    }
}

#[test]
fn an_endless_round_is_in_phase_after_years() {
    let endless = way(json!({ "repeat": "infinite", "direction": "alternate" }));
    let years = Duration::from_secs(20 * 365 * 86_400);
    for time in [0, 250, 1250] {
        assert_eq!(endless.value_at(years + ms(time)), endless.value_at(ms(time)));
    }
    assert!(endless.value_at(Duration::MAX).is_some_and(f64::is_finite));
    assert_eq!(endless.next_change(Duration::MAX), Some(Duration::MAX));
}

#[test]
fn a_round_without_length_is_over_at_once() {
    for repeat in [json!(3), json!("infinite")] {
        let jump = animation(json!({ "property": "scaleX", "repeat": repeat, "startMs": 500, "fill": "forwards",
            "keyframes": [{ "atMs": 0, "value": 2 }] }));
        assert_eq!(values(&jump, [499, 500, 9000]), [None, Some(2.0), Some(2.0)]);
        assert_eq!(jump.next_change(ms(0)), Some(ms(500)));
        assert_eq!(jump.next_change(ms(500)), None);
    }
}

#[test]
fn what_overshoots_is_cut_at_the_propertys_range() {
    let mut layer = white();
    layer.animations = vec![animation(json!({ "property": "opacity", "keyframes": [
        { "atMs": 0, "value": 0, "easing": "cubic-bezier(0, 1000000, 0, 1000000)" }, { "atMs": 1000, "value": 1 }] }))];
    assert_eq!([0, 500, 1000].map(|time| pose(&layer, ms(time)).opacity), [0.0, 1.0, 1.0]);
}

#[test]
fn it_says_when_it_changes_next() {
    let changes = |animation: &Animation, times: [u64; 4]| times.map(|time| animation.next_change(ms(time)));
    let moving = way(json!({ "startMs": 100 }));
    assert_eq!(changes(&moving, [0, 100, 500, 1100]), [Some(ms(100)), Some(ms(100)), Some(ms(500)), None]);

    let held = animation(json!({ "property": "positionX", "repeat": 2, "keyframes": [
        { "atMs": 0, "value": 1, "easing": "hold" }, { "atMs": 1000, "value": 2 }, { "atMs": 1500, "value": 2 }] }));
    assert_eq!(changes(&held, [0, 1200, 1500, 3000]), [Some(ms(1000)), Some(ms(1500)), Some(ms(2500)), None]);

    // A step may be announced a little early, never late.
    let stepped = way(json!({ "keyframes": [
        { "atMs": 0, "value": 100, "easing": "steps(4)" }, { "atMs": 1000, "value": 200 }] }));
    let next = stepped.next_change(ms(300)).unwrap();
    assert!(next <= ms(500) && next > ms(499), "{next:?}");

    // Backwards, the second keyframe's value is there for one instant only.
    let back = animation(json!({ "property": "positionX", "direction": "reverse", "keyframes": [
        { "atMs": 0, "value": 1, "easing": "hold" }, { "atMs": 1000, "value": 2 }] }));
    let instant = Duration::from_nanos(1);
    assert_eq!(back.next_change(ms(0)), Some(instant));
    assert_eq!((back.value_at(ms(0)), back.value_at(instant)), (Some(2.0), Some(1.0)));
    assert_eq!(back.next_change(instant), Some(ms(1000)));
}

#[test]
fn properties_stand_where_their_names_say() {
    for &property in Property::OF_TRANSFORM.iter().chain(&[Property::Opacity]) {
        let name = serde_json::to_value(property).unwrap();
        assert_eq!(property.pointer().strip_prefix('/'), name.as_str());
        // What is set is what is got.
        let mut layer = white();
        let value = *property.range().end();
        let keyframes = json!([{ "atMs": 0, "value": value }]);
        layer.animations = vec![animation(json!({ "property": name, "keyframes": keyframes }))];
        let pose = pose(&layer, Duration::ZERO);
        assert_eq!(property.get(&pose.transform).unwrap_or(pose.opacity), value, "{name}");
    }
    assert_eq!(
        animation(json!({ "property": "transform/width", "keyframes": [{ "atMs": 0, "value": 9 }] })),
        animation(json!({ "property": "width", "keyframes": [{ "atMs": 0, "value": 9 }] }))
    );
}

/// The layer's document as it is shown at a time.
fn shown(layer: &Layer, time: u64) -> Value {
    let pose = pose(layer, ms(time));
    match pose.layer {
        Some(changed) => serde_json::to_value(*changed.unwrap()).unwrap(),
        None => serde_json::to_value(layer).unwrap(),
    }
}

fn moved(mut layer: Layer, animations: Value) -> Layer {
    let animations = read(animations.as_array().unwrap().clone(), &Ground::new(&layer));
    layer.animations = animations.unwrap_or_else(|problems| panic!("{problems}"));
    layer
}

#[test]
fn any_number_and_colour_of_the_document_moves() {
    let fill = json!({ "type": "linear", "angle": 10, "stops": [
        { "offset": 0, "color": "#000000" }, { "offset": 1, "color": "#ff0000" }] });
    let shape = json!({ "type": "shape", "shape": "rectangle", "cornerRadius": 4, "fill": fill });
    let layer = moved(
        ground(shape),
        json!([
            { "property": "content/fill/stops/1/color",
              "keyframes": [{ "atMs": 0, "value": "#ff0000" }, { "atMs": 1000, "value": "#0000ff" }] },
            { "property": "content/fill/angle", "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 90 }] },
            { "property": "content/cornerRadius", "keyframes": [
                { "atMs": 0, "value": 0, "easing": "easeInBack:5" }, { "atMs": 1000, "value": 10 }] },
        ]),
    );
    let half = shown(&layer, 500);
    assert_eq!(half["content"]["fill"]["stops"][1]["color"], "#800080");
    assert_eq!(half["content"]["fill"]["stops"][0]["color"], "#000000", "the rest stays");
    assert_eq!(half["content"]["fill"]["angle"], 45.0);
    assert_eq!(half["content"]["cornerRadius"], 0.0, "what undershoots is cut off at the range");
    assert_eq!(pose(&layer, ms(500)).changes_at, Some(ms(500)));
    assert_eq!(pose(&layer, ms(1000)).changes_at, None);
    assert_eq!(shown(&layer, 5000)["content"]["cornerRadius"], 10.0);
}

#[test]
fn whole_numbers_stay_whole() {
    let text = ground(json!({ "type": "text", "text": "a", "weight": 400 }));
    let keyframes = json!([{ "atMs": 0, "value": 100 }, { "atMs": 1000, "value": 900 }]);
    let layer = moved(text, json!([{ "property": "content/weight", "keyframes": keyframes }]));
    assert_eq!([0, 1, 501].map(|time| shown(&layer, time)["content"]["weight"].clone()), [100, 101, 501]);
}

#[test]
fn what_is_clear_is_not_read_anew() {
    let mut layer =
        moved(white(), json!([{ "property": "content/color", "keyframes": [{ "atMs": 0, "value": "#000000" }] }]));
    assert!(pose(&layer, ms(0)).layer.is_some());
    layer.opacity = 0.0;
    assert_eq!(pose(&layer, ms(0)).layer, None);
}

#[test]
fn places_that_cannot_be_animated_are_refused_with_those_that_can() {
    let stops = json!([{ "offset": 0, "color": "#000000" }, { "offset": 0.5, "color": "#ff0000" }]);
    let shape = json!({ "type": "shape", "shape": "rectangle", "cornerRadius": 4,
        "fill": { "type": "radial", "stops": stops } });
    let layer = ground(shape);
    for (property, value, pointer, expected) in [
        ("content/radius", json!(1), "/0/property", "expected one of `content/cornerRadius`, `content/fill/"),
        ("content/fill/stops/7/color", json!("#ffffff"), "/0/property", "`content/fill/stops/1/color`"),
        ("content/fill", json!("#ffffff"), "/0/property", "no number and no colour"),
        ("content/type", json!("#ffffff"), "/0/property", "no number and no colour"),
        ("zIndex/", json!(1), "/0/property", "no number and no colour"),
        ("/content/cornerRadius", json!(1), "/0/property", "no number and no colour"),
        ("content/cornerRadius", json!("#ffffff"), "/0/keyframes/0/value", "cornerRadius is a number, not a colour"),
        ("content/fill/stops/1/color", json!(1), "/0/keyframes/0/value", "color is a colour, not a number"),
        ("content/fill/stops/1/color", json!("red"), "/0/keyframes/0/value", "#rrggbb"),
        ("positionX", json!("#ffffff"), "/0/keyframes/0/value", "positionX is a number"),
        ("content/cornerRadius", json!(10_001), "/0/keyframes/0/value", "0 to 10000"),
        ("content/fill/stops/0/offset", json!(0.75), "/0/keyframes", "offsets must not fall"),
    ] {
        let animation = json!({ "property": property, "keyframes": [{ "atMs": 0, "value": value }] });
        let problems = read(vec![animation], &Ground::new(&layer)).unwrap_err();
        assert_eq!(problems.0[0].pointer, pointer, "{property}: {problems}");
        assert!(problems.0[0].message.contains(expected), "{property}: {problems}");
    }
}

#[test]
fn the_layers_of_a_group_are_animated_themselves() {
    let child = json!({ "id": "child", "content": { "type": "color", "color": "#ffffff" } });
    let layer = ground(json!({ "type": "group", "staggerMs": 5, "layers": [child] }));
    for place in ["content/layers/0/opacity", "content/staggerMs"] {
        let animation = json!({ "property": place, "keyframes": [{ "atMs": 0, "value": 1 }] });
        let problems = read(vec![animation], &Ground::new(&layer)).unwrap_err();
        assert_eq!(problems.0[0].pointer, "/0/property", "{problems}");
    }
}

#[test]
fn what_is_wrong_only_together_is_said_and_the_layer_stays_as_it_is() {
    let stops = json!([{ "offset": 0.2, "color": "#000000" }, { "offset": 0.8, "color": "#ff0000" }]);
    let shape = json!({ "type": "shape", "shape": "rectangle", "fill": { "type": "radial", "stops": stops } });
    let way = |from: f64, to: f64| json!([{ "atMs": 0, "value": from }, { "atMs": 1000, "value": to }]);
    let layer = moved(
        ground(shape),
        json!([
            { "property": "content/fill/stops/0/offset", "keyframes": way(0.2, 0.7) },
            { "property": "content/fill/stops/1/offset", "keyframes": way(0.8, 0.3) },
        ]),
    );
    assert!(pose(&layer, ms(400)).layer.unwrap().is_ok());
    let problems = pose(&layer, ms(900)).layer.unwrap().unwrap_err();
    assert!(problems.to_string().contains("offsets must not fall"), "{problems}");
}

#[test]
fn a_timeline_runs_its_animations_together() {
    let step = |value: i64| json!([{ "atMs": 0, "value": 0 }, { "atMs": 100, "value": value }]);
    let layer = moved(
        white(),
        json!([{ "name": "intro", "startMs": 1000, "staggerMs": 50, "repeat": "infinite",
        "direction": "alternate", "animations": [
            { "property": "positionX", "keyframes": step(100) },
            { "property": "positionY", "keyframes": step(100) },
            { "property": "opacity", "delayMs": 100, "keyframes": step(1) },
        ] }]),
    );
    // A round ends when the last one does: 2 x 50 + 100 + 100 = 300 ms.
    let at = |time: u64| {
        let pose = pose(&layer, ms(time));
        [pose.transform.position_x, pose.transform.position_y, pose.opacity]
    };
    assert_eq!(at(0), [0.0, 0.0, 0.0]);
    assert_eq!(at(1050), [50.0, 0.0, 0.0]);
    assert_eq!(at(1150), [100.0, 100.0, 0.0]);
    assert_eq!(at(1275), [100.0, 100.0, 0.75]);
    assert_eq!(at(1300), [100.0, 100.0, 1.0]);
    assert_eq!(at(1325), [100.0, 100.0, 0.75], "and back");
    assert_eq!(at(1550), at(1050));
    assert_eq!(at(1600 + 600 * 1_000_000), [0.0, 0.0, 0.0], "in phase after a week");
    // Nothing is seen of what moves while the layer is clear, and it comes at 1200.
    assert_eq!(pose(&layer, ms(10)).changes_at, Some(ms(1000)));
    assert_eq!(pose(&layer, ms(1050)).changes_at, Some(ms(1200)));
    assert_eq!(pose(&layer, ms(1250)).changes_at, Some(ms(1250)));
    // On the way back it is clear from 1400 on; a round ends, and with it what can be said.
    assert_eq!(pose(&layer, ms(1500)).changes_at, Some(ms(1600)));
}

#[test]
fn a_timeline_that_is_not_in_effect_says_nothing() {
    let child =
        json!({ "property": "positionX", "keyframes": [{ "atMs": 0, "value": 1 }, { "atMs": 100, "value": 2 }] });
    let timeline = json!({ "startMs": 500, "fill": "none", "repeat": 2, "animations": [child] });
    let layer = moved(white(), json!([timeline]));
    let x = |time: u64| pose(&layer, ms(time)).transform.position_x;
    assert_eq!([499, 500, 550, 650, 700].map(x), [7.0, 1.0, 1.5, 1.5, 7.0]);
    assert_eq!(pose(&layer, ms(0)).changes_at, Some(ms(500)));
    assert_eq!(pose(&layer, ms(700)).changes_at, None);
}

#[test]
fn the_anchor_goes_along_a_path_and_the_layer_turns_with_it() {
    let along = json!({ "path": "M 100 50 L 400 50 V 150", "orient": 10, "keyframes": [
        { "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 1 }] });
    let mut layer = moved(white(), json!([along]));
    layer.transform.rotation = 5.0;
    let at = |time: u64| {
        let transform = pose(&layer, ms(time)).transform;
        [transform.position_x, transform.position_y, transform.rotation].map(|v| (v * 1000.0).round() / 1000.0)
    };
    assert_eq!(at(0), [100.0, 50.0, 15.0]);
    assert_eq!(at(500), [300.0, 50.0, 15.0]);
    assert_eq!(at(900), [400.0, 110.0, 105.0]);
    assert_eq!(pose(&layer, ms(500)).changes_at, Some(ms(500)));
    assert_eq!(pose(&layer, ms(1000)).changes_at, None);
}

#[test]
fn what_is_no_animation_is_refused_with_its_place() {
    let keyframes = json!([{ "atMs": 0, "value": 0 }]);
    let child = json!({ "property": "positionX", "keyframes": keyframes });
    let deep = (0..5).fold(child.clone(), |inner, _| json!({ "animations": [inner] }));
    for (animation, pointer, expected) in [
        (json!({}), "", "`property`, `path` and `animations`"),
        (json!({ "property": "positionX", "path": "M0 0h1", "keyframes": keyframes }), "", "one of"),
        (json!({ "property": "positionX" }), "/keyframes", "missing"),
        (json!({ "path": "M0 0" , "keyframes": keyframes }), "/path", "no length"),
        (json!({ "path": "M0 0h1" , "keyframes": [{ "atMs": 0, "value": 2 }] }), "/keyframes/0/value", "0 to 1"),
        (json!({ "path": "M0 0h1" , "orient": "up", "keyframes": keyframes }), "/orient", "auto"),
        (json!({ "path": "M0 0h1" , "orient": 361, "keyframes": keyframes }), "/orient", "-360 to 360"),
        (json!({ "property": "positionX" , "orient": 1, "keyframes": keyframes }), "/orient", "along a path"),
        (json!({ "property": "positionX" , "staggerMs": 1, "keyframes": keyframes }), "/staggerMs", "timeline"),
        (json!({ "animations": [child], "keyframes": keyframes }), "/keyframes", "a timeline has none"),
        (json!({ "animations": [] }), "/animations", "1 to 64"),
        (json!({ "animations": [child], "staggerMs": -1 }), "/staggerMs", "0 to 86400000"),
        (
            json!({ "animations": [{ "property": "posX", "keyframes": keyframes }] }),
            "/animations/0/property",
            "positionX",
        ),
        (
            json!({ "animations": [{ "animations": [{ "property": "opacity", "repeat": "infinite",
                "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 1, "value": 1 }] }] }] }),
            "/animations/0/animations/0/repeat",
            "endless",
        ),
        (deep, "/animations/0/animations/0/animations/0/animations/0/animations", "4 deep"),
    ] {
        let shown = animation.to_string();
        let problems = read(vec![animation], &Ground::new(&white())).unwrap_err();
        assert_eq!(problems.0[0].pointer, format!("/0{pointer}"), "{shown}: {problems}");
        assert!(problems.0[0].message.contains(expected), "{shown}: {problems}");
    }
    let timeline = json!({ "animations": vec![child.clone(); 32] });
    let problems = read(vec![timeline.clone(), timeline], &Ground::new(&white())).unwrap_err();
    assert_eq!(problems.0[0].message, "66 animations is out of range: 0 to 64");
}

#[test]
fn every_animation_written_back_reads_as_itself() {
    let layer = moved(
        white(),
        json!([
            { "name": "spin", "path": "M0 0 h10", "orient": "auto", "keyframes": [{ "atMs": 5, "value": 0.5 }] },
            { "path": "M0 0 h10", "orient": -90, "keyframes": [{ "atMs": 5, "value": 0.5 }] },
            { "property": "content/color", "keyframes": [{ "atMs": 5, "value": "#01020304" }] },
            { "staggerMs": 40, "repeat": 2, "animations": [{ "property": "width", "keyframes": [{ "atMs": 5, "value": 1 }] }] },
        ]),
    );
    let written = serde_json::to_value(&layer).unwrap();
    assert_eq!(Layer::read(written).unwrap(), layer);
}
