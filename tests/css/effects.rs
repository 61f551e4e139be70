//! Round corners, borders, filters, masks and pinned corners.

use serde_json::{Value, json};

use crate::{
    Case, Limit,
    pictures::{EXACT, RESAMPLED, picture},
};

/// A corner of a circle. Counted exactly, what we find covered of a pixel is at most 0.05 off and what Skia finds up to 0.25;
/// colours on both sides are 200 apart. A radius wrong by one pixel is off by more at twice as many as these.
const ROUND: Limit = Limit { off: 20, outliers: 0.0012 };
/// We sum texels by the weights of a Gaussian, Skia by three boxes in a row; both round between passes. A deviation wrong
/// by a tenth is off by more at some 50 times as many.
const BLURRED: Limit = Limit { off: 4, outliers: 0.002 };
/// Three boxes of two or twelve pixels, among columns of 7.5 in the strongest colours: by arithmetic they are up to 5.6
/// off a Gaussian of the same deviation, and rounding comes on top.
const BOXES: Limit = Limit { off: 6, outliers: 0.001 };
/// CSS takes the shadow away under the box, where it is a part of the picture here: both show at the box's round corners.
/// On top comes what [`ROUND`] says.
const BOX_SHADOW: Limit = Limit { off: 12, outliers: 0.002 };
/// Four samples of each pixel against one, and edges at any slope.
const PINNED: Limit = Limit { off: 10, outliers: 0.0005 };

const BOX: &str = "left:50px;top:30px;width:90px;height:60px;";

fn layer(content: Value, more: Value) -> Value {
    let mut layer = json!({ "id": "a", "content": content,
        "transform": { "positionX": 50, "positionY": 30, "width": 90, "height": 60 } });
    layer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    layer
}

fn smooth() -> Value {
    json!({ "type": "image", "asset": "smooth.png", "fit": "fill" })
}

fn columns() -> Value {
    json!({ "type": "image", "asset": "columns.png", "fit": "fill" })
}

fn img(name: &str, style: &str) -> String {
    format!("<img src='{}' style='{BOX}{style}'>", picture(name))
}

pub(crate) fn corners() -> Vec<Case> {
    let case = |name: &str, more: Value, css: &str, limit| {
        let fill = format!("background:url({}) 0 0/100% 100% border-box;{css}", picture("smooth.png"));
        Case::new(
            format!("border-{name}"),
            json!([layer(smooth(), more)]),
            format!("<div style='{BOX}{fill}'></div>"),
            limit,
        )
    };
    vec![
        case("radius", json!({ "borderRadius": 16 }), "border-radius:16px", ROUND),
        case("radii", json!({ "borderRadius": [0, 10, 20, 30] }), "border-radius:0 10px 20px 30px", ROUND),
        case("radius-too-large", json!({ "borderRadius": 200 }), "border-radius:200px", ROUND),
        case(
            "radii-too-large",
            json!({ "borderRadius": [80, 10, 40, 40] }),
            "border-radius:80px 10px 40px 40px",
            ROUND,
        ),
        case("line", json!({ "border": { "width": 5, "color": "#e0b040" } }), "border:5px solid #e0b040", EXACT),
        case(
            "line-round",
            json!({ "borderRadius": 20, "border": { "width": 6, "color": "#e0b040" } }),
            "border:6px solid #e0b040;border-radius:20px",
            ROUND,
        ),
        case(
            "line-translucent",
            json!({ "borderRadius": 12, "border": { "width": 8, "color": "#ffffff80" } }),
            "border:8px solid #ffffff80;border-radius:12px",
            ROUND,
        ),
    ]
}

pub(crate) fn blurs() -> Vec<Case> {
    let blur = |radius: f64, limit| {
        let effects = json!({ "effects": [{ "type": "blur", "radius": radius }] });
        Case::new(
            format!("blur-{radius}"),
            json!([layer(columns(), effects)]),
            img("columns.png", &format!("filter:blur({radius}px)")),
            limit,
        )
    };
    let drop = |name: &str, asset: &str, [x, y, blur]: [f64; 3], color: &str| {
        let content = json!({ "type": "image", "asset": asset, "fit": "fill" });
        let effects =
            json!({ "effects": [{ "type": "shadow", "offsetX": x, "offsetY": y, "blur": blur, "color": color }] });
        let css = format!("filter:drop-shadow({x}px {y}px {blur}px {color})");
        Case::new(format!("shadow-{name}"), json!([layer(content, effects)]), img(asset, &css), BLURRED)
    };
    // A box's own shadow, whose blur is twice the standard deviation.
    let square = json!({ "type": "shape", "shape": "rectangle", "fill": "#e0b040", "cornerRadius": 12 });
    let cast =
        json!({ "effects": [{ "type": "shadow", "offsetX": 6, "offsetY": 8, "blur": 5, "color": "#000000c0" }] });
    let html =
        format!("<div style='{BOX}background:#e0b040;border-radius:12px;box-shadow:6px 8px 10px #000000c0'></div>");
    vec![
        // Boxes are a whole number of pixels wide: at 1 and 6 they have a deviation of 1.08 and 5.5.
        blur(1.08, BOXES),
        blur(2.5, BLURRED),
        blur(6.15, BOXES),
        blur(15.0, BLURRED),
        drop("hard", "smooth.png", [8.0, 6.0, 0.0], "#000000a0"),
        drop("soft", "smooth.png", [4.0, 10.0, 5.0], "#000000ff"),
        drop("coloured", "glass.png", [-10.0, -6.0, 3.15], "#e03080c0"),
        Case::new("shadow-box", json!([layer(square, cast)]), html, BOX_SHADOW),
    ]
}

pub(crate) fn filters() -> Vec<Case> {
    let case = |name: &str, effects: Value, css: &str| {
        let layers = json!([layer(columns(), json!({ "effects": effects }))]);
        Case::new(format!("filter-{name}"), layers, img("columns.png", &format!("filter:{css}")), EXACT)
    };
    let grade = |field: &str, value: f64, css: &str| {
        let mut effect = json!({ "type": "grade" });
        effect[field] = json!(value);
        case(&format!("{field}-{value}"), json!([effect]), css)
    };
    vec![
        grade("brightness", 0.4, "brightness(0.4)"),
        grade("brightness", 1.7, "brightness(1.7)"),
        grade("contrast", 0.5, "contrast(0.5)"),
        grade("contrast", 2.0, "contrast(2)"),
        grade("saturation", 0.0, "saturate(0)"),
        grade("saturation", 0.6, "saturate(0.6)"),
        grade("saturation", 2.5, "saturate(2.5)"),
        grade("hue", 90.0, "hue-rotate(90deg)"),
        grade("hue", -200.0, "hue-rotate(-200deg)"),
        case(
            "chain",
            json!([{ "type": "grade", "saturation": 0.5, "hue": 40 }, { "type": "grade", "brightness": 1.3 }]),
            "saturate(0.5) hue-rotate(40deg) brightness(1.3)",
        ),
    ]
}

pub(crate) fn masks() -> Vec<Case> {
    let case = |name: &str, asset: &str, mask: Value, css: &str, limit| {
        let mut mask = mask;
        mask["asset"] = json!(asset);
        let css = format!("mask:url({}) 0 0/100% 100% {css}", picture(asset));
        Case::new(
            format!("mask-{name}"),
            json!([layer(smooth(), json!({ "mask": mask }))]),
            img("smooth.png", &css),
            limit,
        )
    };
    vec![
        case("alpha", "glass.png", json!({}), "alpha", EXACT),
        case("luma", "columns.png", json!({ "channel": "luma" }), "luminance", EXACT),
        case("tiles", "tiles.png", json!({}), "alpha", RESAMPLED),
    ]
}

pub(crate) fn pins() -> Vec<Case> {
    let case = |name: &str, content: Value, asset: &str, corners: [[f64; 2]; 4]| {
        let css = format!("transform:matrix3d({})", matrix3d([90.0, 60.0], corners));
        Case::new(
            format!("pin-{name}"),
            json!([layer(content, json!({ "corners": corners }))]),
            img(asset, &css),
            PINNED,
        )
    };
    vec![
        case("moved", smooth(), "smooth.png", [[10.0, -5.0], [100.0, -5.0], [100.0, 55.0], [10.0, 55.0]]),
        case("wall", smooth(), "smooth.png", [[-10.0, -12.0], [80.0, 6.0], [84.0, 50.0], [-16.0, 72.0]]),
        case("floor", smooth(), "smooth.png", [[25.0, 0.0], [65.0, 4.0], [110.0, 70.0], [-20.0, 64.0]]),
    ]
}

/// The map of a box of this size onto four corners, from the top left clockwise, as CSS wants it: column by column. P. S.
/// Heckbert, Fundamentals of Texture Mapping and Image Warping, 2.2.3.
fn matrix3d([width, height]: [f64; 2], [p0, p1, p2, p3]: [[f64; 2]; 4]) -> String {
    let sum = [0, 1].map(|i| p0[i] - p1[i] + p2[i] - p3[i]);
    let (d1, d2) = ([0, 1].map(|i| p1[i] - p2[i]), [0, 1].map(|i| p3[i] - p2[i]));
    let cross = |a: [f64; 2], b: [f64; 2]| a[0] * b[1] - a[1] * b[0];
    let (g, h) = (cross(sum, d2) / cross(d1, d2), cross(d1, sum) / cross(d1, d2));
    let [a, d] = [0, 1].map(|i| p1[i] - p0[i] + g * p1[i]);
    let [b, e] = [0, 1].map(|i| p3[i] - p0[i] + h * p3[i]);
    let columns = [
        [a / width, d / width, 0.0, g / width],
        [b / height, e / height, 0.0, h / height],
        [0.0, 0.0, 1.0, 0.0],
        [p0[0], p0[1], 0.0, 1.0],
    ];
    columns.concat().iter().map(f64::to_string).collect::<Vec<_>>().join(",")
}
