//! Blend modes, groups and what they keep apart.

use serde_json::{Value, json};

use crate::{
    Case, Limit,
    pictures::{EDGES, picture},
};

/// The 18 of CSS but `plus-darker`, which Chromium does not have.
const MODES: &[&str] = &[
    "normal",
    "multiply",
    "screen",
    "overlay",
    "darken",
    "lighten",
    "color-dodge",
    "color-burn",
    "hard-light",
    "soft-light",
    "difference",
    "exclusion",
    "hue",
    "saturation",
    "color",
    "luminosity",
    "plus-lighter",
];
/// Chromium keeps premultiplied bytes between all steps, and so do we: what is divided by a small alpha has lost bits.
const MIXED: Limit = Limit { off: 3, outliers: 0.0 };

fn layer(id: &str, asset: &str, more: Value) -> Value {
    let mut layer = json!({ "id": id, "transform": { "positionX": 10, "positionY": 10, "width": 180, "height": 96 },
        "content": { "type": "image", "asset": asset, "fit": "fill" } });
    layer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    layer
}

fn img(name: &str, style: &str) -> String {
    format!("<img src='{}' style='left:10px;top:10px;{style}'>", picture(name))
}

/// Rows of 8 colours of various alpha on columns of 12 colours.
pub(crate) fn modes() -> Vec<Case> {
    let over_opaque = |mode: &&str| {
        let layers =
            json!([layer("a", "columns.png", json!({})), layer("b", "rows.png", json!({ "blendMode": mode }))]);
        let html = img("columns.png", "") + &img("rows.png", &format!("mix-blend-mode:{mode}"));
        Case::new(format!("blend-{mode}"), layers, html, MIXED)
    };
    MODES.iter().map(over_opaque).collect()
}

/// The same on columns that are clear in part, apart from the ground.
pub(crate) fn modes_over_translucent() -> Vec<Case> {
    let case = |mode: &&str| {
        let children = [layer("a", "glass.png", json!({})), layer("b", "rows.png", json!({ "blendMode": mode }))];
        let layers = json!([{ "id": "group", "content": { "type": "group", "layers": children } }]);
        let html = img("glass.png", "") + &img("rows.png", &format!("mix-blend-mode:{mode}"));
        Case::new(
            format!("blend-glass-{mode}"),
            layers,
            format!("<div style='isolation:isolate;inset:0'>{html}</div>"),
            MIXED,
        )
    };
    MODES.iter().map(case).collect()
}

fn square(id: &str, x: f64, y: f64, colour: &str, more: Value) -> Value {
    let mut layer = json!({ "id": id, "content": { "type": "color", "color": colour },
        "transform": { "positionX": x, "positionY": y, "width": 60, "height": 50 } });
    layer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    layer
}

fn div(x: f64, y: f64, colour: &str, style: &str) -> String {
    format!("<div style='left:{x}px;top:{y}px;width:60px;height:50px;background:{colour};{style}'></div>")
}

/// Opacity, blend mode and clip of a group hold for its children together; `pair` are two that overlap.
pub(crate) fn groups() -> Vec<Case> {
    let pair = || vec![square("red", 0.0, 0.0, "#d03030", json!({})), square("blue", 30.0, 25.0, "#3050d0", json!({}))];
    let html_pair = div(0.0, 0.0, "#d03030", "") + &div(30.0, 25.0, "#3050d0", "");
    // No edge of a child lies on the clip's: where one does, Chromium counts the share of the pixel twice.
    let outgrown =
        || vec![square("red", -10.0, -8.0, "#d03030", json!({})), square("blue", 50.0, 25.0, "#3050d0", json!({}))];
    let html_outgrown = div(-10.0, -8.0, "#d03030", "") + &div(50.0, 25.0, "#3050d0", "");
    let group = |more: Value, content: Value| {
        let mut layer =
            json!({ "id": "group", "transform": { "positionX": 50, "positionY": 20, "width": 100, "height": 60 } });
        layer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        layer["content"] = json!({ "type": "group" });
        layer["content"].as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        layer
    };
    let html_group = |style: &str, inner: &str| {
        format!("<div style='left:50px;top:20px;width:100px;height:60px;{style}'>{inner}</div>")
    };
    let under = || square("under", 20.0, 40.0, "#40c060", json!({}));
    let html_under = div(20.0, 40.0, "#40c060", "");
    let case = |name: &str, group: Value, html: String, limit: Limit| {
        Case::new(format!("group-{name}"), json!([under(), group]), html_under.clone() + &html, limit)
    };
    let multiplied = square("blue", 30.0, 25.0, "#d0d030", json!({ "blendMode": "multiply" }));
    let html_multiplied = div(0.0, 0.0, "#d03030", "") + &div(30.0, 25.0, "#d0d030", "mix-blend-mode:multiply");
    let nested = group(
        json!({ "opacity": 0.6 }),
        json!({ "layers": [
        square("a", 0.0, 0.0, "#d03030", json!({ "opacity": 0.5 })),
        { "id": "inner", "opacity": 0.7, "transform": { "positionX": 20, "positionY": 10, "width": 100, "height": 60 },
            "content": { "type": "group", "layers": [square("b", 0.0, 0.0, "#3050d0", json!({})), square("c", 20.0, 20.0, "#f0e040", json!({}))] } }] }),
    );
    let html_nested = html_group(
        "opacity:0.6",
        &(div(0.0, 0.0, "#d03030", "opacity:0.5")
            + &format!(
                "<div style='left:20px;top:10px;opacity:0.7'>{}</div>",
                div(0.0, 0.0, "#3050d0", "") + &div(20.0, 20.0, "#f0e040", "")
            )),
    );
    vec![
        case(
            "opacity",
            group(json!({ "opacity": 0.5 }), json!({ "layers": pair() })),
            html_group("opacity:0.5", &html_pair),
            MIXED,
        ),
        case(
            "blend",
            group(json!({ "blendMode": "difference" }), json!({ "layers": pair() })),
            html_group("mix-blend-mode:difference", &html_pair),
            MIXED,
        ),
        case(
            "isolates",
            group(json!({}), json!({ "layers": [square("red", 0.0, 0.0, "#d03030", json!({})), multiplied] })),
            html_group("isolation:isolate", &html_multiplied),
            MIXED,
        ),
        case(
            "clips",
            group(json!({}), json!({ "layers": outgrown(), "clip": true })),
            html_group("overflow:hidden", &html_outgrown),
            MIXED,
        ),
        case("nested", nested, html_nested, MIXED),
        case(
            "turned",
            with_transform(
                group(json!({ "opacity": 0.5 }), json!({ "layers": pair() })),
                json!({ "rotation": 20, "scaleX": 1.25 }),
            ),
            html_group("opacity:0.5;transform:rotate(20deg) scaleX(1.25)", &html_pair),
            EDGES,
        ),
        case(
            "turned-clip",
            with_transform(group(json!({}), json!({ "layers": outgrown(), "clip": true })), json!({ "rotation": -15 })),
            html_group("overflow:hidden;transform:rotate(-15deg)", &html_outgrown),
            EDGES,
        ),
    ]
}

fn with_transform(mut layer: Value, more: Value) -> Value {
    layer["transform"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    layer
}
