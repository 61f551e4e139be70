//! What the tests of contents share: media without files or fonts, and one layer on a canvas of 640 x 360.

use std::{cell::RefCell, time::Duration};

use serde_json::{Value, json};

use crate::scene::{
    Canvas, Content, Evaluation, Layer, LayerErrors, Moment, Show, check,
    content::{Action, Refused},
    draw::{DrawItem, Extent, Media, Paint, Raster},
    evaluate,
    geometry::Rect,
};

/// Texts have letters half as wide as the size, on one line 1.2 times as high; every picture that is asked for is there
/// and has 80 x 40 pixels. What is asked for is noted.
#[derive(Debug, Default)]
pub(in crate::scene) struct Shelf(RefCell<Vec<Raster>>);

impl Shelf {
    /// The texts asked for, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        let text = |raster: &Raster| if let Raster::Text(text) = raster { Some(text.text.clone()) } else { None };
        self.0.borrow().iter().filter_map(text).collect()
    }

    /// The pictures asked for, in the order in which each was first.
    pub(super) fn pictures(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for raster in &*self.0.borrow() {
            let Raster::Image(name) = raster else { continue };
            if !names.iter().any(|known| **known == **name) {
                names.push(name.as_ref().into());
            }
        }
        names
    }
}

impl Media for Shelf {
    fn extent(&self, raster: &Raster) -> Extent {
        self.0.borrow_mut().push(raster.clone());
        let Raster::Text(text) = raster else { return Extent::Ready([80.0, 40.0]) };
        let width = text.width.unwrap_or(text.text.chars().count() as f32 * text.size / 2.0);
        Extent::Ready([width, text.size * text.line_height])
    }
}

fn layer(content: Value, transform: Value) -> Value {
    json!({ "id": "x", "content": content, "transform": transform })
}

/// The plan of one layer at a moment, and what it asked for.
pub(super) fn shelf(content: Value, transform: Value, elapsed_ms: u64, utc_ms: i64) -> (Shelf, Evaluation) {
    let canvas: Canvas = check::read(json!({ "width": 640, "height": 360 })).unwrap();
    let layers = vec![Layer::read(layer(content, transform)).unwrap()];
    let show = Show::of_layers(canvas, LayerErrors::Hide, layers);
    let shelf = Shelf::default();
    let evaluation = evaluate(&show, Moment { elapsed: Duration::from_millis(elapsed_ms), utc_ms }, &shelf);
    (shelf, evaluation)
}

/// The plan of one layer at the start.
pub(super) fn plan(content: Value, transform: Value) -> Vec<DrawItem> {
    shelf(content, transform, 0, 0).1.draw_list.items
}

/// The first problem of a content: pointer and message.
pub(super) fn problem(content: Value) -> (String, String) {
    let problem = Layer::read(layer(content, json!({}))).unwrap_err().0.remove(0);
    (problem.pointer, problem.message)
}

/// The texts that are drawn, in order.
pub(super) fn set_text(evaluation: &Evaluation) -> Vec<String> {
    texts(&evaluation.draw_list.items).into_iter().map(|(text, _)| text).collect()
}

/// The texts that are drawn, each with its block's place.
pub(super) fn texts(items: &[DrawItem]) -> Vec<(String, Rect)> {
    let text = |item: &DrawItem| match &item.paint {
        Paint::Raster { raster: Raster::Text(text), dest } => Some((text.text.clone(), dest.inflate(-text.overhang()))),
        _ => None,
    };
    items.iter().filter_map(text).collect()
}

/// What a content becomes by an action at a moment; the pointer of the first problem, or the names there are.
pub(super) fn act(content: Value, name: &str, arguments: Value, elapsed_ms: u64, utc_ms: i64) -> Result<Value, String> {
    let moment = Moment { elapsed: Duration::from_millis(elapsed_ms), utc_ms };
    let action = Action { name: name.into(), arguments, moment };
    match Content::read(content).unwrap().act(&action) {
        Ok(content) => Ok(serde_json::to_value(&content).unwrap()),
        Err(Refused::Unknown(names)) => Err(names.join(", ")),
        Err(Refused::Invalid(problems)) => Err(problems.0[0].pointer.clone()),
    }
}
