//! What is seen of transitions, without a GPU: lists are looked at through points.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::scene::{
    Evaluation, Moment, Show,
    content::testing::Shelf,
    draw::{DrawItem, Lay, Paint},
    evaluate,
    geometry::Rect,
};

const W: f64 = 640.0;
const H: f64 = 360.0;
const RED: [f64; 3] = [255.0, 0.0, 0.0];
const GREEN: [f64; 3] = [0.0, 255.0, 0.0];

/// Scenes `a` red, `b` green, `c` blue, each of one layer over the whole canvas; 25 frames per second.
fn document(program: Value) -> Value {
    let scene = |id: &str, color: &str| json!({ "id": id, "layers": [{ "id": "all", "content": { "type": "color", "color": color } }] });
    let scenes = [scene("a", "#ff0000"), scene("b", "#00ff00"), scene("c", "#0000ff")];
    json!({ "canvas": { "width": 640, "height": 360, "fps": 25 }, "scenes": scenes, "program": program })
}

fn show(program: Value) -> Show {
    Show::read(document(program)).unwrap()
}

/// A take from `a` to `b` that begins at 1 s.
fn take(transition: Value) -> Show {
    show(json!({ "from": "a", "to": "b", "transition": transition, "startMs": 1000 }))
}

fn at(show: &Show, ms: u64) -> Evaluation {
    evaluate(show, Moment { elapsed: Duration::from_millis(ms), utc_ms: 0 }, &Shelf::default())
}

/// The colour that `items` leave at a point on `below`: premultiplied, with alpha.
fn paint(items: &[DrawItem], [x, y]: [f64; 2], below: [f64; 4]) -> [f64; 4] {
    items.iter().fold(below, |below, item| {
        let inverse = item.place.inverse().unwrap();
        let [x, y] = inverse.apply([x as f32, y as f32]);
        let clip = item.clip;
        if x < clip.x || y < clip.y || x >= clip.right() || y >= clip.bottom() {
            return below;
        }
        let over = match &item.paint {
            Paint::Solid(c) => {
                let a = f64::from(c.a) / 255.0;
                [f64::from(c.r) * a, f64::from(c.g) * a, f64::from(c.b) * a, a]
            }
            Paint::Group(group) => paint(&group.items, [x.into(), y.into()], [0.0; 4]),
            other => panic!("{other:?}"),
        };
        let opacity = f64::from(item.opacity);
        let left = 1.0 - over[3] * opacity;
        std::array::from_fn(|i| over[i] * opacity + below[i] * left)
    })
}

fn pixel(evaluation: &Evaluation, x: f64, y: f64) -> [f64; 3] {
    let [r, g, b, _] = paint(&evaluation.draw_list.items, [x, y], [0.0, 0.0, 0.0, 1.0]);
    [r, g, b].map(f64::round)
}

/// Mean colour of 20 x 20 points.
fn mean(evaluation: &Evaluation) -> [f64; 3] {
    let mut sum = [0.0; 3];
    for i in 0..400 {
        let point = [(f64::from(i % 20) + 0.5) * W / 20.0, (f64::from(i / 20) + 0.5) * H / 20.0];
        let colour = paint(&evaluation.draw_list.items, point, [0.0, 0.0, 0.0, 1.0]);
        (0..3).for_each(|c| sum[c] += colour[c] / 400.0);
    }
    sum
}

fn distance(a: [f64; 3], b: [f64; 3]) -> f64 {
    (0..3).map(|i| (a[i] - b[i]).abs()).fold(0.0, f64::max)
}

#[test]
fn before_and_after_only_one_scene_is_seen() {
    for kind in ["fade", "fadeColor", "slide", "swipe", "push"] {
        let show = take(json!({ "type": kind, "durationMs": 1000 }));
        for (ms, colour) in [(0, RED), (960, RED), (1000, RED), (2000, GREEN), (9000, GREEN)] {
            assert_eq!(pixel(&at(&show, ms), 320.0, 180.0), colour, "{kind} at {ms}");
        }
        assert_eq!(at(&show, 0).changes_at, Some(Duration::from_secs(1)), "{kind}");
        assert_eq!(at(&show, 1200).changes_at, Some(Duration::from_millis(1200)), "{kind}: planned on every frame");
        let over = at(&show, 2000);
        assert_eq!(over.changes_at, None, "{kind}");
        assert_eq!(over.draw_list, at(&self::show(json!("b")), 0).draw_list, "{kind}: as if it had never been");
    }
}

#[test]
fn a_fade_mixes_both() {
    let fade = take(json!({ "type": "fade", "durationMs": 1000 }));
    assert_eq!(pixel(&at(&fade, 1250), 5.0, 5.0), [191.0, 64.0, 0.0]);
    assert_eq!(pixel(&at(&fade, 1500), 5.0, 5.0), [128.0, 128.0, 0.0]);
    let eased = take(json!({ "type": "fade", "durationMs": 1000, "easing": "easeInQuad" }));
    assert_eq!(pixel(&at(&eased, 1500), 5.0, 5.0), [191.0, 64.0, 0.0]);
}

#[test]
fn a_fade_to_a_colour_cuts_behind_it() {
    let fade = take(json!({ "type": "fadeColor", "durationMs": 1000, "color": "#0000ff" }));
    let colours = [1250, 1499, 1500, 1750].map(|ms| pixel(&at(&fade, ms), 5.0, 5.0));
    assert_eq!(colours, [[128.0, 0.0, 128.0], [1.0, 0.0, 254.0], [0.0, 0.0, 255.0], [0.0, 128.0, 128.0]]);
}

#[test]
fn what_moves_moves_by_whole_pixels() {
    // A third of the way: 213 of 640 pixels, 120 of 360.
    let edge = |kind: &str, direction: &str| {
        let show = take(json!({ "type": kind, "direction": direction, "durationMs": 3000 }));
        let plan = at(&show, 2000);
        (0..640).filter(|&x| pixel(&plan, f64::from(x) + 0.5, 359.0) == GREEN).count()
    };
    assert_eq!(["left", "right"].map(|way| edge("slide", way)), [214, 213]);
    assert_eq!(["left", "right"].map(|way| edge("swipe", way)), [214, 213]);
    assert_eq!(["left", "right"].map(|way| edge("push", way)), [214, 213]);
    for kind in ["slide", "swipe", "push"] {
        let bottom = at(&take(json!({ "type": kind, "direction": "up", "durationMs": 3000 })), 2000);
        assert_eq!([239.5, 240.5].map(|y| pixel(&bottom, 9.0, y)), [RED, GREEN], "{kind}");
        let top = at(&take(json!({ "type": kind, "direction": "down", "durationMs": 3000 })), 2000);
        assert_eq!([119.5, 120.5].map(|y| pixel(&top, 9.0, y)), [GREEN, RED], "{kind}");
    }
}

#[test]
fn a_push_leaves_no_gap() {
    for direction in ["left", "right", "up", "down"] {
        let show =
            take(json!({ "type": "push", "direction": direction, "durationMs": 1000, "easing": "easeInOutSine" }));
        for ms in 1000..2000 {
            let items = at(&show, ms).draw_list.items;
            let area: f32 = items
                .iter()
                .map(|item| {
                    let seen = item.place.bounds_of(item.clip).intersect(Rect::at_origin([640.0, 360.0]));
                    seen.w * seen.h
                })
                .sum();
            assert_eq!(area, 640.0 * 360.0, "{direction} at {ms}");
        }
    }
}

#[test]
fn what_moves_shows_the_canvas_between_its_layers() {
    let mut document =
        document(json!({ "from": "a", "to": "b", "startMs": 0, "transition": { "type": "push", "durationMs": 1000 } }));
    document["scenes"][1]["layers"] = json!([]);
    document["canvas"]["background"] = json!("#102030");
    let plan = at(&Show::read(document).unwrap(), 500);
    assert_eq!(pixel(&plan, 400.0, 10.0), [16.0, 32.0, 48.0]);
}

#[test]
fn a_stinger_plays_from_its_beginning_over_the_cut() {
    // A wiper of 64 pixels that crosses the canvas in a second, whatever the stream's time.
    let wiper = json!({ "type": "group", "layers": [{ "id": "wiper", "transform": { "width": 64, "height": 360 },
        "animations": [{ "property": "positionX", "keyframes": [{ "atMs": 0, "value": 0 }, { "atMs": 1000, "value": 576 }] }],
        "content": { "type": "color", "color": "#0000ff" } }] });
    let show = take(json!({ "type": "stinger", "durationMs": 1000, "triggerMs": 400, "content": wiper }));
    let colours = |ms: u64| [30.0, 320.0, 610.0].map(|x| pixel(&at(&show, ms), x, 10.0));
    let blue = [0.0, 0.0, 255.0];
    assert_eq!(colours(1000), [blue, RED, RED]);
    assert_eq!(colours(1399), [RED, RED, RED]);
    assert_eq!(colours(1400), [GREEN, GREEN, GREEN]);
    assert_eq!(colours(1500), [GREEN, blue, GREEN]);
    assert_eq!(colours(1999), [GREEN, GREEN, blue]);
    assert_eq!(colours(2000), [GREEN, GREEN, GREEN]);
}

#[test]
fn a_stinger_is_as_large_as_the_canvas() {
    let content = json!({ "type": "shape", "shape": "rectangle", "fill": "#ffffff" });
    let show = take(json!({ "type": "stinger", "durationMs": 1000, "triggerMs": 500, "content": content }));
    let items = at(&show, 1000).draw_list.items;
    assert_eq!(items[1].clip, Rect::at_origin([640.0, 360.0]));
}

fn problem(program: Value) -> (String, String) {
    let problem = Show::read(document(program)).unwrap_err().0.remove(0);
    (problem.pointer, problem.message)
}

#[test]
fn wrong_takes_are_refused_with_their_place() {
    let with = |transition: Value| json!({ "from": "a", "to": "b", "startMs": 0, "transition": transition });
    let refused = |transition: Value| problem(with(transition));
    assert_eq!(problem(json!("x")), ("/program".into(), "there is no scene `x`".into()));
    assert_eq!(problem(json!({ "from": "a", "to": "b", "startMs": 0 })).0, "/program");
    let (pointer, message) = refused(json!({ "type": "star" }));
    assert_eq!(pointer, "/program/transition/type");
    assert!(message.starts_with("unknown type `star`, expected one of cut, fade, fadeColor, "), "{message}");
    assert_eq!(refused(json!({})).1, "missing; expected one of ".to_owned() + &Kind::TYPES.join(", "));
    assert_eq!(refused(json!({ "type": "fade", "durationMs": 0 })).1, "0 is out of range: 1 to 60000");
    assert_eq!(refused(json!({ "type": "fade", "direction": "left" })).0, "/program/transition/direction");
    assert_eq!(refused(json!({ "type": "push", "direction": "in" })).0, "/program/transition/direction");
    assert_eq!(refused(json!({ "type": "fade", "easing": "slow" })).0, "/program/transition/easing");
    assert_eq!(refused(json!({ "type": "cut", "durationMs": 5 })).1, "a cut takes no time");
    assert_eq!(refused(json!({ "type": "fadeColor", "color": "#00000080" })).0, "/program/transition/color");
    let stinger = |more: Value| {
        let mut stinger = json!({ "type": "stinger", "durationMs": 500, "triggerMs": 200, "content": { "type": "color", "color": "#ffffff" } });
        json_patch::merge(&mut stinger, &more);
        refused(stinger)
    };
    assert_eq!(stinger(json!({ "triggerMs": 501 })).1, "501 is out of range: 0 to 500");
    assert_eq!(stinger(json!({ "durationMs": null })).0, "/program/transition/durationMs");
    assert_eq!(stinger(json!({ "content": { "color": "white" } })).0, "/program/transition/content/color");
    let mut deep = json!("a");
    for _ in 0..5 {
        deep = json!({ "from": deep, "to": "b", "startMs": 0, "transition": { "type": "fade" } });
    }
    let (pointer, message) = problem(deep);
    assert_eq!((&*pointer, &*message), ("/program/from/from/from/from", "takes within takes are too deep: 4 at most"));
}

#[test]
fn takes_are_written_as_they_are_read() {
    for transition in [
        json!({ "type": "fade", "durationMs": 300, "easing": "easeOutCubic" }),
        json!({ "type": "fadeColor", "color": "#112233" }),
        json!({ "type": "push", "direction": "down" }),
        json!({ "type": "stinger", "durationMs": 900, "triggerMs": 400, "content": { "type": "color", "color": "#ffffff" } }),
    ] {
        let inner = json!({ "from": "a", "to": "c", "startMs": 5, "transition": { "type": "fade" } });
        let show = show(json!({ "from": inner, "to": "b", "startMs": 70, "transition": transition }));
        assert_eq!(Show::read(serde_json::to_value(&show).unwrap()).unwrap(), show);
    }
    let cut = Transition::default();
    assert_eq!(serde_json::to_value(&cut).unwrap(), json!({ "type": "cut" }));
    assert_eq!(Transition::read(json!({ "type": "cut" })).unwrap(), cut);
}

fn fade_ms(duration_ms: u32) -> Arc<Transition> {
    Arc::new(Transition::read(json!({ "type": "fade", "durationMs": duration_ms })).unwrap())
}

fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

#[test]
fn a_take_begins_in_whole_milliseconds_at_or_before_its_frame() {
    let start = Duration::from_nanos(1_001_000_999);
    let show = show(json!("a")).taking(&id("b"), fade_ms(100), start);
    let OnAir::Take(take) = show.program() else { panic!("{show:?}") };
    assert_eq!((take.start_ms, take.end()), (1001, Duration::from_millis(1101)));
    assert_eq!(show.caught_up(Duration::from_nanos(1_100_999_999)), None);
    assert_eq!(show.caught_up(take.end()).unwrap().program(), &OnAir::Scene(id("b")));
}

#[test]
fn a_cut_is_over_at_once() {
    let show = show(json!("a")).taking(&id("b"), Arc::default(), Duration::ZERO);
    assert_eq!(show.program(), &OnAir::Scene(id("b")));
}

#[test]
fn takes_within_takes_are_few_and_end_by_themselves() {
    let mut show = show(json!("a"));
    for (i, to) in ["b", "c", "a", "b", "c", "a"].into_iter().enumerate() {
        show = show.taking(&id(to), fade_ms(10_000), Duration::from_millis(i as u64 * 40));
        assert_eq!(show.program().scenes().len(), (i + 2).min(TAKES_MAX + 1));
    }
    assert_eq!(show.program().scenes().iter().map(|id| id.as_str()).collect::<String>(), "acbac");
    // The inner ones are over first, whichever is outermost.
    let show = show.caught_up(Duration::from_millis(10_130)).unwrap();
    assert_eq!(show.program().scenes().iter().map(|id| id.as_str()).collect::<String>(), "acb");
    assert_eq!(show.on_air().id.as_str(), "a");
}

/// A take: frames since the last one, scene, kind, direction, and frames it takes.
type Taken = (u64, usize, usize, usize, u64);

fn any_takes() -> impl Strategy<Value = Vec<Taken>> {
    proptest::collection::vec((0..12u64, 0..3usize, 0..5usize, 0..4usize, 4..25u64), 1..8)
}

fn transition((_, _, kind, direction, frames): Taken) -> Arc<Transition> {
    let kind = ["fade", "fadeColor", "slide", "swipe", "push"][kind];
    let mut document = json!({ "type": kind, "durationMs": frames * 40 });
    if !kind.starts_with("fade") {
        document["direction"] = json!(["left", "right", "up", "down"][direction]);
    }
    Arc::new(Transition::read(document).unwrap())
}

proptest! {
    /// Whenever a take is interrupted, the picture is the same before and after; and from frame to frame it changes by no
    /// more than all takes under way move it together.
    #[test]
    fn an_interruption_does_not_jump(takes in any_takes()) {
        let mut show = show(json!("a"));
        let mut frame = 0;
        for taken in takes {
            for n in frame..frame + taken.0 {
                let (before, after) = (mean(&at(&show, n * 40)), mean(&at(&show, (n + 1) * 40)));
                prop_assert!(distance(before, after) <= speed(show.program()), "frame {n} of {show:?}");
            }
            frame += taken.0;
            let now = Duration::from_millis(frame * 40);
            show = show.caught_up(now).unwrap_or(show);
            if show.program().scenes().len() > TAKES_MAX {
                break;
            }
            let next = show.taking(&id(["a", "b", "c"][taken.1]), transition(taken), now);
            let (before, after) = (mean(&at(&show, frame * 40)), mean(&at(&next, frame * 40)));
            prop_assert!(distance(before, after) < 0.01, "{before:?} {after:?} at {frame}: {next:?}");
            show = next;
        }
    }

    /// Frames asked for in any order, of a show that was written and read in between, are the same.
    #[test]
    fn frames_do_not_depend_on_those_before(
        takes in any_takes(),
        order in Just((0..60_u64).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let mut show = show(json!("a"));
        let mut frame = 0;
        for taken in takes {
            frame += taken.0;
            show = show.taking(&id(["a", "b", "c"][taken.1]), transition(taken), Duration::from_millis(frame * 40));
        }
        let in_order: Vec<_> = (0..60).map(|n| at(&show, n * 40)).collect();
        let restarted = Show::read(serde_json::to_value(&show).unwrap()).unwrap();
        for n in order {
            prop_assert_eq!(&at(&restarted, n * 40), &in_order[n as usize]);
        }
        // One who plans only when a change is announced misses nothing, and settling changes nothing.
        let mut kept = in_order[0].clone();
        for (n, expected) in (0..60).zip(&in_order) {
            let now = Duration::from_millis(n * 40);
            if !kept.holds_at(now) {
                kept = at(&show, n * 40);
            }
            prop_assert_eq!(&kept.draw_list, &expected.draw_list);
        }
        let end = Duration::from_millis(frame * 40);
        let settled = show.caught_up(end).unwrap_or_else(|| show.clone());
        for n in frame..60 {
            prop_assert_eq!(&at(&settled, n * 40).draw_list, &in_order[n as usize].draw_list);
        }
    }
}

/// By how much one frame of 40 ms may change the mean colour: a fade to a colour and back goes twice as far in its time; of
/// what moves a row of points more or less may be counted.
fn speed(on_air: &OnAir) -> f64 {
    match on_air {
        OnAir::Scene(_) => 0.01,
        OnAir::Take(take) => {
            let frames = f64::from(take.transition.duration_ms) / 40.0;
            255.0 * (2.0 / frames + 1.0 / 20.0) + speed(&take.from)
        }
    }
}

const MIX: &str = "fn shade(in: ShadeInput) -> vec4f { return mix(sample_from(in.uv), sample_to(in.uv), in.progress * params.gain); }";

#[test]
fn a_shader_mixes_what_is_below_with_the_next_scene() {
    let show = take(
        json!({ "type": "shader", "source": MIX, "params": { "gain": 0.5 }, "durationMs": 1000, "easing": "easeInQuad" }),
    );
    let evaluation = at(&show, 1500);
    let [from, to] = &evaluation.draw_list.items[..] else { panic!("both scenes") };
    assert!(matches!(from.paint, Paint::Solid(_)), "as if there were no take: {from:?}");
    let Paint::Group(group) = &to.paint else { panic!("a picture") };
    let Lay::Mixed(shader) = &group.lay else { panic!("a shader") };
    assert_eq!((to.layer.as_str(), group.size), ("b", [640, 360]));
    assert_eq!((shader.progress, shader.time, &shader.values[..]), (0.25, 0.0, &[[0.5, 0.0, 0.0, 0.0]][..]));
    assert_eq!(shader.area, Rect::at_origin([640.0, 360.0]));
    for ms in [0, 2000] {
        assert!(at(&show, ms).draw_list.items.iter().all(|item| matches!(item.paint, Paint::Solid(_))), "{ms}");
    }
}

#[test]
fn a_wrong_shader_is_refused_with_its_place() {
    let refused = |source: &str, params: Value| {
        Transition::read(json!({ "type": "shader", "source": source, "params": params })).unwrap_err().0.remove(0)
    };
    let problem = refused("fn shade(in: ShadeInput) -> vec4f {\n return sample(in.uv); }", json!({}));
    assert_eq!(
        (&*problem.pointer, problem.message.starts_with("line 2, column 9: ")),
        ("/source", true),
        "{problem:?}"
    );
    assert_eq!(refused(MIX, json!({ "gain": 1e7 })).pointer, "/params/gain");
}

#[test]
fn a_shader_written_back_reads_as_itself() {
    let transition = Transition::read(json!({ "type": "shader", "source": MIX, "params": { "gain": 0.5 } })).unwrap();
    assert_eq!(Transition::read(serde_json::to_value(&transition).unwrap()).unwrap(), transition);
}
