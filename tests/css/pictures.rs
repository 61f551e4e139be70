//! Boxes, pictures and gradients: how they fit, where they are put, what of them is cut.

use serde_json::{Value, json};

use crate::{Case, Limit, chromium, ours};

/// A value is rounded at most twice on either side.
pub(crate) const EXACT: Limit = Limit { off: 2, outliers: 0.0 };
/// On an edge that runs through pixels the two rasterisers count the covered share a little differently: Skia sums areas
/// in steps, we take the distance from the edge, which is most off at a corner. Colours on both sides are 200 apart.
pub(crate) const EDGES: Limit = Limit { off: 20, outliers: 0.002 };
/// A picture at another size: Skia makes smaller ones from the nearest mip level, we from the two around, and the colours
/// of the picture change by up to 10 from pixel to pixel.
pub(crate) const RESAMPLED: Limit = Limit { off: 6, outliers: 0.001 };

fn at(x: f64, y: f64, width: f64, height: f64) -> Value {
    json!({ "positionX": x, "positionY": y, "width": width, "height": height })
}

fn with(mut place: Value, more: Value) -> Value {
    place.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    place
}

fn css_box(x: f64, y: f64, width: f64, height: f64, more: &str) -> String {
    format!("left:{x}px;top:{y}px;width:{width}px;height:{height}px;{more}")
}

pub(crate) fn picture(name: &str) -> String {
    chromium::file_url(&ours::assets().join(name))
}

pub(crate) fn fits() -> Vec<Case> {
    // Sizes at which no picture ends between pixels. Where one does, Chromium moves the edges of a scaled one to pixels and
    // blurs one of its own size; we smooth the edges of the first and move the second.
    let boxes =
        [("smaller", [66.0, 32.0]), ("wide", [180.0, 100.0]), ("tall", [48.0, 110.0]), ("square", [108.0, 108.0])];
    let fits = ["none", "fill", "contain", "cover", "scale-down"];
    let case = |fit: &str, (name, [width, height]): (&str, [f64; 2])| {
        let layers = json!([{ "id": "a", "transform": at(10.0, 5.0, width, height),
            "content": { "type": "image", "asset": "smooth.png", "fit": fit } }]);
        let style = css_box(10.0, 5.0, width, height, &format!("object-fit:{fit}"));
        let html = format!("<img src='{}' style='{style}'>", picture("smooth.png"));
        Case::new(format!("fit-{fit}-{name}"), layers, html, RESAMPLED)
    };
    fits.iter().flat_map(|fit| boxes.map(|place| case(fit, place))).collect()
}

pub(crate) fn gradients() -> Vec<Case> {
    let two = [(0.0, "#d02020"), (1.0, "#2040e0")];
    let many = [(0.1, "#ffcc00"), (0.4, "#ffcc0000"), (0.4, "#00a060"), (0.9, "#ffffff80")];
    let mut cases = Vec::new();
    for angle in [0, 45, 90, 135, 180, 217, -30] {
        cases.push(gradient(
            &format!("linear-{angle}"),
            json!({ "type": "linear", "angle": angle }),
            &format!("linear-gradient({angle}deg"),
            &two,
        ));
    }
    cases.push(gradient("linear-many", json!({ "type": "linear", "angle": 100 }), "linear-gradient(100deg", &many));
    cases.push(gradient("radial", json!({ "type": "radial" }), "radial-gradient(farthest-side", &two));
    cases.push(gradient("radial-many", json!({ "type": "radial" }), "radial-gradient(farthest-side", &many));
    cases
}

fn gradient(name: &str, mut fill: Value, css: &str, stops: &[(f64, &str)]) -> Case {
    fill["stops"] = stops.iter().map(|(offset, color)| json!({ "offset": offset, "color": color })).collect();
    let layers = json!([{ "id": "a", "transform": at(10.0, 10.0, 180.0, 100.0),
        "content": { "type": "shape", "shape": "rectangle", "fill": fill } }]);
    let stops: String = stops.iter().map(|(offset, color)| format!(",{color} {}%", offset * 100.0)).collect();
    let style = css_box(10.0, 10.0, 180.0, 100.0, &format!("background:{css}{stops})"));
    Case::new(format!("gradient-{name}"), layers, format!("<div style='{style}'></div>"), EXACT)
}

pub(crate) fn transforms() -> Vec<Case> {
    // Name, what is in our transform, the CSS of the same.
    let turned = [
        ("rotated", json!({ "rotation": 30 }), "transform:rotate(30deg)"),
        (
            "rotated-about-the-middle",
            json!({ "rotation": -75, "anchorX": 0.5, "anchorY": 0.5 }),
            "translate:-50% -50%;transform-origin:50% 50%;transform:rotate(-75deg)",
        ),
        ("scaled", json!({ "scaleX": 1.5, "scaleY": 0.75 }), "transform:scale(1.5,0.75)"),
        (
            "scaled-about-a-corner",
            json!({ "scaleX": 0.5, "scaleY": 1.25, "anchorX": 1, "anchorY": 1 }),
            "translate:-100% -100%;transform-origin:100% 100%;transform:scale(0.5,1.25)",
        ),
        (
            "mirrored",
            json!({ "scaleX": -1, "anchorX": 0.25 }),
            "translate:-25% 0;transform-origin:25% 0;transform:scaleX(-1)",
        ),
        (
            "all",
            json!({ "rotation": 20, "scaleX": 1.4, "scaleY": -0.8, "anchorX": 0.5, "anchorY": 0.25 }),
            "translate:-50% -25%;transform-origin:50% 25%;transform:rotate(20deg) scale(1.4,-0.8)",
        ),
    ];
    let contents = [
        (
            "box",
            json!({ "type": "color", "color": "#e0b040" }),
            "<div style='background:#e0b040;STYLE'></div>".to_owned(),
        ),
        (
            "picture",
            json!({ "type": "image", "asset": "smooth.png", "fit": "fill" }),
            format!("<img src='{}' style='STYLE'>", picture("smooth.png")),
        ),
    ];
    let mut cases = Vec::new();
    for (name, transform, css) in &turned {
        for (what, content, html) in &contents {
            let layers = json!([{ "id": "a", "transform": with(at(90.0, 50.0, 80.0, 40.0), transform.clone()), "content": content }]);
            let html = html.replace("STYLE", &css_box(90.0, 50.0, 80.0, 40.0, css));
            cases.push(Case::new(format!("transform-{what}-{name}"), layers, html, EDGES));
        }
    }
    cases
}

pub(crate) fn crops() -> Vec<Case> {
    let crop = json!({ "cropLeft": 10, "cropTop": 5, "cropRight": 30, "cropBottom": 12 });
    let clip = "clip-path:inset(5px 30px 12px 10px)";
    let case = |name: &str, place: Value, css: &str, limit| {
        let layers = json!([{ "id": "a", "transform": place, "content": { "type": "image", "asset": "tiles.png", "fit": "fill" } }]);
        let html = format!("<img src='{}' style='{css}'>", picture("tiles.png"));
        Case::new(format!("crop-{name}"), layers, html, limit)
    };
    let turn = "transform:rotate(25deg) scale(1.2)";
    vec![
        case("upright", with(at(20.0, 20.0, 80.0, 40.0), crop.clone()), &css_box(20.0, 20.0, 80.0, 40.0, clip), EXACT),
        case(
            "turned",
            with(with(at(80.0, 20.0, 80.0, 40.0), crop), json!({ "rotation": 25, "scaleX": 1.2, "scaleY": 1.2 })),
            &css_box(80.0, 20.0, 80.0, 40.0, &format!("{clip};{turn}")),
            EDGES,
        ),
    ]
}
