//! That hostile shaders end, that their neighbours are drawn, and that what comes out is what the text says.

use image::RgbaImage;

use super::*;
use crate::{
    base::{
        colour::{Rgba, VideoColour},
        id::Id,
        size::Size,
    },
    gpu::{Compositor, device::tests::gpu},
    media::{Config, Library},
    scene::{
        BlendMode, DrawList,
        draw::{DrawItem, Effect, Group, Lay, Paint},
        geometry::{Affine, Rect},
        shader::{Code, ParamType, compile},
    },
};

const WAIT: Duration = Duration::from_secs(120);

fn shader(role: Role, source: &str) -> Shader {
    let params = vec![("gain".to_owned(), ParamType::Number), ("tint".to_owned(), ParamType::Colour)];
    let program = compile(Code { role, source: source.into(), params }).unwrap();
    let values = vec![[0.5, 0.0, 0.0, 0.0], [1.0, 0.5, 0.25, 1.0]];
    Shader { program, area: Rect::at_origin([16.0, 16.0]), time: 2.0, progress: 0.0, values }
}

fn content(body: &str) -> Shader {
    shader(Role::Content, &format!("fn shade(in: ShadeInput) -> vec4f {{ {body} }}"))
}

fn compositor() -> Compositor {
    let library = Library::new(Config::default()).unwrap();
    Compositor::new(gpu(), library, Size::new(32, 16).unwrap(), VideoColour::BT709_LIMITED).unwrap()
}

fn item(x: f32, paint: Paint) -> DrawItem {
    let place = Affine { e: x, ..Affine::IDENTITY };
    DrawItem { layer: Id::new("x").unwrap(), place, clip: Rect::at_origin([16.0, 16.0]), opacity: 1.0, paint }
}

/// The shader on the left half, white on the right one, over grey.
fn list(shader: Shader, blend_space: BlendSpace) -> DrawList {
    let items = vec![item(0.0, Paint::Shader(Arc::new(shader))), item(16.0, Paint::Solid(Rgba::WHITE))];
    DrawList { size: Size::new(32, 16).unwrap(), blend_space, background: Rgba::new(128, 128, 128, 255), items }
}

fn draw(compositor: &mut Compositor, list: &DrawList) -> RgbaImage {
    compositor.prepare(list, WAIT).unwrap();
    compositor.render(0, list).unwrap();
    assert!(!compositor.is_pending());
    let mut picture = crate::base::nv12::Picture::black(list.size);
    assert_eq!(compositor.collect(WAIT, &mut picture), Ok(Some(0)));
    compositor.capture().unwrap()
}

fn pixel(shader: Shader, space: BlendSpace, x: u32) -> [u8; 3] {
    let mut compositor = compositor();
    let picture = draw(&mut compositor, &list(shader, space));
    assert_eq!(compositor.problems(), []);
    let [r, g, b, _] = picture.get_pixel(x, 8).0;
    [r, g, b]
}

#[test]
fn loops_without_end_end_and_their_neighbours_are_drawn() {
    let hostile = [
        "loop {} return vec4f(1.0);",
        "var a = 0.0; while true { a += 1.0; } return vec4f(a);",
        "var a = in.uv.x; for (;;) { for (;;) { loop { a = sin(a); } } } return vec4f(a);",
        "var a = 1u; for (var i = 0u; i < 4294967295u; i++) { a = a * 1664525u + 1013904223u; } return vec4f(f32(a));",
        "var a = 0; loop { a++; if a > 0 { continue; } continuing { a--; } } return vec4f(f32(a));",
        "var a = 0; loop { switch a { case 1: { break; } default: { continue; } } } return vec4f(f32(a));",
        "var a: array<vec4f, 32>; for (var i = 0; ; i++) { a[i] = a[i - 1] + 1.0; } return a[i32(in.position.x) * 9999];",
    ];
    let mut compositor = compositor();
    for body in hostile {
        let picture = draw(&mut compositor, &list(content(body), BlendSpace::Srgb));
        assert_eq!(picture.get_pixel(24, 8).0, [255; 4], "{body}");
        // A slow machine may refuse what a fast one draws.
        let is_refusal = |problem: &crate::scene::LayerError| problem.message.contains("ms are allowed");
        assert!(compositor.problems().iter().all(is_refusal), "{body}: {:?}", compositor.problems());
    }
    let picture = draw(&mut compositor, &list(content("return params.tint;"), BlendSpace::Srgb));
    assert_eq!((picture.get_pixel(8, 8).0, compositor.problems()), ([255, 128, 64, 255], &[][..]));
    assert!(!gpu().is_lost());
    assert_eq!(gpu().faults_total(), 0);
}

/// The counter stops each pixel after the same number of turns, so what is drawn is the same everywhere.
#[test]
fn a_loop_ends_after_the_turns_it_is_given() {
    let body = "var n = 0u; loop { n++; if n > 4000000u { break; } } return vec4f(f32(n & 255u), f32((n >> 8u) & 255u), f32(n >> 16u), 255.0) / 255.0;";
    let shader = content(body);
    let turns = shader.program.fuel();
    let picture =
        draw(&mut compositor(), &list(Shader { area: Rect::at_origin([16.0; 2]), ..shader }, BlendSpace::Srgb));
    let [low, middle, high, _] = picture.get_pixel(3, 3).0.map(u32::from);
    assert_eq!(low | middle << 8 | high << 16, turns);
}

#[test]
fn what_is_no_number_does_not_spread() {
    // 0 / 0 and its like come from the position, so that no compiler folds them.
    for (body, expected) in [
        ("let zero = in.uv.x - in.uv.x; return vec4f(zero / zero, 0.0, 1.0, 1.0);", [0, 0, 255]),
        ("let zero = in.uv.x - in.uv.x; return vec4f(1.0 / zero, -1.0 / zero, 0.0, 1.0);", [255, 0, 0]),
        ("let zero = in.uv.x - in.uv.x; return vec4f(1.0, 1.0, 1.0, zero / zero);", [128, 128, 128]),
        ("return vec4f(pow(-in.uv.x - 1.0, 0.5), 7.0, -7.0, 9.0);", [0, 255, 0]),
        ("return bitcast<vec4f>(vec4u(0x7fc00001u, 0xffc00000u, 0x7f800001u, 0x3f800000u) + u32(in.uv.x));", [0, 0, 0]),
    ] {
        assert_eq!(pixel(content(body), BlendSpace::Srgb, 4), expected, "{body}");
    }
}

#[test]
fn colours_are_straight_and_encoded_in_either_space() {
    for space in [BlendSpace::Srgb, BlendSpace::Linear] {
        let [r, g, b] = pixel(content("return vec4f(params.tint.rgb, 1.0);"), space, 4);
        // Into linear light and out of it a value is rounded twice.
        assert!(r == 255 && g.abs_diff(128) <= 1 && b.abs_diff(64) <= 1, "{space:?}: {:?}", [r, g, b]);
    }
    // Half of white over 128: (255 + 128) / 2; in linear light half of it is (1 + 0.21586) / 2, encoded 205.
    let half = "return vec4f(1.0, 1.0, 1.0, params.gain);";
    assert_eq!(pixel(content(half), BlendSpace::Srgb, 4), [192; 3]);
    let linear = pixel(content(half), BlendSpace::Linear, 4);
    assert!(linear.iter().all(|value| value.abs_diff(205) <= 1), "{linear:?}");
}

#[test]
fn it_knows_where_it_is() {
    let body = "return vec4f(in.position.x / 16.0, in.uv.y, in.time / 4.0 + in.size.x / 160.0, 1.0);";
    // The centre of pixel 4 is at 4.5 of 16, that of row 8 at 8.5; 0.5 + 0.1 of blue.
    assert_eq!(pixel(content(body), BlendSpace::Srgb, 4), [72, 135, 153]);
}

#[test]
fn what_would_take_too_long_is_refused_with_both_figures() {
    let gpu = gpu();
    let library = Library::new(Config::default()).unwrap();
    let textures = crate::gpu::textures::Textures::new(gpu.clone(), library, BlendSpace::Srgb);
    let maker = Maker::new(&gpu.device, &gpu.queue, BlendSpace::Srgb, textures.layout().clone());
    let mut items = Items::new(&gpu.device);
    let mut user = User::new(&gpu, &maker, textures.layout(), &items, BlendSpace::Srgb);
    let shader = content("var a = 1u; loop { a = a * 3u; } return vec4f(f32(a));");
    let place = item(0.0, Paint::Shader(Arc::new(shader.clone())));
    let placed = Placed::of(&place, place.clip, Rect::at_origin([32.0, 16.0])).unwrap();
    assert_eq!(user.push(&mut items, placed, 1.0, &shader, 256.0).unwrap_err(), Unready::Pending);
    user.wait(&shader, WAIT);
    let refused = user.push(&mut items, placed, 1.0, &shader, 1e15).unwrap_err();
    let Unready::Failed(message) = refused else { panic!("{refused:?}") };
    assert!(message.starts_with("its shader takes ") && message.contains("250 ms are allowed"), "{message}");
}

/// Large programs are made, or, where the driver takes long to compile them, refused; nothing else is touched.
#[test]
fn large_programs_end_in_a_picture_or_in_an_error() {
    let unrolled = format!("var c = in.time; {} return vec4f(c);", "c=sin(c);".repeat(300));
    let calls: String = (1..9)
        .map(|i| format!("fn g{i}(a: f32) -> f32 {{ return g{0}(a) * 0.5 + g{0}(a + 1.0); }}\n", i - 1))
        .collect();
    let calls = format!(
        "fn g0(a: f32) -> f32 {{ return a * a; }}\n{calls}fn shade(in: ShadeInput) -> vec4f {{ return vec4f(g8(in.time)); }}"
    );
    let arrays =
        "var a: array<vec4f, 8>; var b = a; a[i32(in.position.x)] = b[3] + 1.0; b = a; return b[i32(in.position.y)];";
    for shader in [content(&unrolled), shader(Role::Content, &calls), content(arrays)] {
        let mut compositor = compositor();
        let picture = draw(&mut compositor, &list(shader, BlendSpace::Srgb));
        assert_eq!(picture.get_pixel(24, 8).0, [255; 4]);
        let is_refusal = |problem: &crate::scene::LayerError| problem.message.contains("did not finish within");
        assert!(compositor.problems().iter().all(is_refusal), "{:?}", compositor.problems());
        assert!(!gpu().is_lost());
    }
}

/// What is below is grey with a red left part, what comes is white; `source` is a transition's.
fn mixing_on(size: Size, source: &str, progress: f32) -> DrawList {
    let sides = size.sides();
    let whole = Rect::at_origin(sides.map(|side| side as f32));
    let shader = Shader { area: whole, progress, ..shader(Role::Transition, source) };
    let items = vec![DrawItem { clip: whole, ..item(0.0, Paint::Solid(Rgba::WHITE)) }];
    let group = Group { size: sides, dest: whole, items, effects: Vec::new(), lay: Lay::Mixed(Arc::new(shader)) };
    let next = DrawItem { clip: whole, ..item(0.0, Paint::Group(Arc::new(group))) };
    let left = item(0.0, Paint::Solid(Rgba::new(255, 0, 0, 255)));
    DrawList { size, items: vec![left, next], ..list(content("return vec4f(0.0);"), BlendSpace::Srgb) }
}

fn mixing(source: &str, progress: f32) -> DrawList {
    mixing_on(Size::new(32, 16).unwrap(), source, progress)
}

const MIRRORED: &str = "fn shade(in: ShadeInput) -> vec4f { let uv = vec2f(1.0 - in.uv.x, in.uv.y); return mix(sample_from(uv), sample_to(in.uv), in.progress); }";

#[test]
fn a_transition_reads_both_scenes_anywhere() {
    let mut compositor = compositor();
    for progress in [0.0, 0.5, 1.0] {
        let picture = draw(&mut compositor, &mixing(MIRRORED, progress));
        let expected = |from: u8| (f32::from(from) + (255.0 - f32::from(from)) * progress).round() as u8;
        let [left, right] = [4, 28].map(|x| picture.get_pixel(x, 8).0);
        assert!(left[0].abs_diff(expected(128)) <= 1 && left[1] == left[0], "{progress}: {left:?}");
        assert!(right[0] == 255 && right[1].abs_diff(expected(0)) <= 1, "{progress}: {right:?}");
    }
}

/// A change below on one side is seen on the other.
#[test]
fn what_changes_below_a_transition_draws_all_of_it_anew() {
    let mut compositor = compositor();
    let before = mixing(MIRRORED, 0.0);
    draw(&mut compositor, &before);
    let mut after = before;
    after.items[0].paint = Paint::Solid(Rgba::new(0, 0, 255, 255));
    let picture = draw(&mut compositor, &after);
    assert_eq!([4, 28].map(|x| picture.get_pixel(x, 8).0), [[128, 128, 128, 255], [0, 0, 255, 255]]);
}

#[test]
fn until_a_transition_is_made_the_scene_that_goes_is_seen() {
    let mut compositor = compositor();
    let list = mixing("fn shade(in: ShadeInput) -> vec4f { return sample_to(in.uv * 0.125); }", 0.5);
    compositor.render(0, &list).unwrap();
    assert!(compositor.is_pending());
    let mut picture = crate::base::nv12::Picture::black(list.size);
    assert_eq!(compositor.collect(WAIT, &mut picture), Ok(Some(0)));
    assert_eq!(
        [4, 28].map(|x| compositor.capture().unwrap().get_pixel(x, 8).0),
        [[255, 0, 0, 255], [128, 128, 128, 255]]
    );
}

/// No machine draws so much in time, so none tries.
#[test]
fn a_transition_that_takes_too_long_is_a_fade_and_an_error() {
    let size = Size::new(3840, 2160).unwrap();
    let library = Library::new(Config::default()).unwrap();
    let mut compositor = Compositor::new(gpu(), library, size, VideoColour::BT709_LIMITED).unwrap();
    let endless = "fn shade(in: ShadeInput) -> vec4f { var a = 1u; loop { a = a * 3u; } return vec4f(f32(a)); }";
    let picture = draw(&mut compositor, &mixing_on(size, endless, 0.5));
    let [problem] = compositor.problems() else { panic!("{:?}", compositor.problems()) };
    assert!(problem.message.contains("250 ms are allowed"), "{problem:?}");
    let [left, right] = [4, 28].map(|x| picture.get_pixel(x, 8).0);
    assert!(left[0] == 255 && left[1].abs_diff(128) <= 1, "{left:?}");
    assert!(right.iter().take(3).all(|value| value.abs_diff(192) <= 1), "{right:?}");
}

#[test]
fn an_effect_reads_the_picture_by_places_in_the_box() {
    // The box is the right half; red left of it, white in it.
    let source = "fn shade(in: ShadeInput) -> vec4f { return sample(in.uv - vec2f(1.0, 0.0)) * params.tint; }";
    let area = Rect::new(8.0, 0.0, 8.0, 16.0);
    let effect = Effect::Shader {
        shader: Arc::new(Shader { area, ..shader(Role::Effect, source) }),
        place: Affine { a: 2.0, d: 2.0, ..Affine::IDENTITY },
    };
    let half =
        |x: f32, colour| DrawItem { place: Affine { e: x, ..Affine::IDENTITY }, ..item(0.0, Paint::Solid(colour)) };
    let items = vec![half(0.0, Rgba::new(255, 0, 0, 255)), half(16.0, Rgba::WHITE)];
    let group = Group {
        size: [32, 32],
        dest: Rect::at_origin([16.0; 2]),
        items,
        effects: vec![effect],
        lay: Lay::Over(BlendMode::Normal),
    };
    let list = DrawList {
        items: vec![item(0.0, Paint::Group(Arc::new(group)))],
        ..list(content("return vec4f(0.0);"), BlendSpace::Srgb)
    };
    let picture = draw(&mut compositor(), &list);
    // Left of the box: what is clear; in it: what stands left of it, tinted 1, 0.5, 0.25.
    assert_eq!([2, 12].map(|x| picture.get_pixel(x, 4).0), [[128, 128, 128, 255], [255, 0, 0, 255]]);
}
