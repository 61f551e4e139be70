//! Runs of still layers above one that moves: drawn once on a surface of their own and laid in as one picture.
//!
//! ```text
//!  logo  text  frame │ ticker │ background         the ticker damages its strip on every frame, and what lies over it is
//!  └── one picture ──┘ moves                       drawn there again: one picture instead of many
//! ```
//!
//! Whether a layer moves is what it says itself: it looks another way on the next frame. So the same list comes of the same
//! scene and time. A picture for the run pays only where its items lie over each other; otherwise it would be larger than
//! they are together. Rounding to 8 bits may differ by one code value from drawing them one by one.
//!
//! What lies below one that moves is kept by the GPU floor, without a surface of its own.

use std::{ops::Range, sync::Arc};

use super::finish::{View, bounds_of};
use crate::scene::{
    BlendMode,
    draw::{DrawItem, Group, Lay, Paint},
    geometry::Affine,
};

/// Fewest items that are worth a surface.
const ITEMS_MIN: usize = 3;
/// How many times the items together must cover the area of their picture.
const OVERDRAW_MIN: f32 = 2.0;

/// A layer's items in the list: those from `first` to the next one's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) first: usize,
    /// Whether it looks another way on the next frame.
    pub(super) moves: bool,
}

/// Makes one item of each run of still layers above one that moves, where that pays. `spans` are all layers of one parent,
/// from bottom to top, up to the end of the list; `scale` is that of the parent's pixels.
pub(super) fn flatten(items: &mut Vec<DrawItem>, spans: &[Span], scale: f32) {
    // From the top, so that what is still to be looked at stays where it is.
    for run in runs(spans, items.len()).into_iter().rev() {
        let Some(picture) = pays(&items[run.clone()]).then(|| picture(items[run.clone()].to_vec(), scale)).flatten()
        else {
            continue;
        };
        items.splice(run, [picture]);
    }
}

/// The items of layers that stand still next to each other, above one that moves.
fn runs(spans: &[Span], end: usize) -> Vec<Range<usize>> {
    let Some(lowest) = spans.iter().position(|span| span.moves) else { return Vec::new() };
    let ends = spans.iter().skip(1).map(|span| span.first).chain([end]);
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (span, end) in spans.iter().zip(ends).skip(lowest).filter(|(span, _)| !span.moves) {
        match runs.last_mut().filter(|run| run.end == span.first) {
            Some(run) => run.end = end,
            None => runs.push(span.first..end),
        }
    }
    runs
}

fn pays(items: &[DrawItem]) -> bool {
    let is_plain = |item: &DrawItem| match &item.paint {
        Paint::Group(group) => matches!(group.lay, Lay::Over(BlendMode::Normal) | Lay::Pinned(_)),
        Paint::Cut(_) => false,
        _ => true,
    };
    let area = |item: &DrawItem| {
        let bounds = item.place.bounds_of(item.clip);
        bounds.w * bounds.h
    };
    let whole = bounds_of(items).map_or(0.0, |bounds| bounds.w * bounds.h);
    items.len() >= ITEMS_MIN
        && items.iter().all(is_plain)
        && items.iter().map(area).sum::<f32>() >= OVERDRAW_MIN * whole
}

/// One item for all of them, under the name of the lowest one's layer.
fn picture(items: Vec<DrawItem>, scale: f32) -> Option<DrawItem> {
    let layer = items.first()?.layer.clone();
    let view = View::new(bounds_of(&items)?, scale, 0.0)?;
    let lay = Lay::Over(BlendMode::Normal);
    let group = Group { size: view.size, dest: view.dest, items: view.of(items), effects: Vec::new(), lay };
    let paint = Paint::Group(Arc::new(group));
    Some(DrawItem { layer, place: Affine::IDENTITY, clip: view.dest, opacity: 1.0, paint })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        base::{colour::Rgba, id::Id},
        scene::geometry::Rect,
    };

    fn item(layer: &str, x: f32, side: f32) -> DrawItem {
        DrawItem {
            layer: Id::new(layer).unwrap(),
            place: Affine::IDENTITY,
            clip: Rect::new(x, 0.0, side, side),
            opacity: 1.0,
            paint: Paint::Solid(Rgba::WHITE),
        }
    }

    /// One item a layer; capital letters move.
    fn flat(layers: &[(&str, f32)]) -> Vec<String> {
        let mut items: Vec<_> = layers.iter().map(|(name, x)| item(&name.to_lowercase(), *x, 100.0)).collect();
        let moves = |name: &str| name.chars().all(char::is_uppercase);
        let spans = layers.iter().enumerate().map(|(first, (name, _))| Span { first, moves: moves(name) });
        flatten(&mut items, &spans.collect::<Vec<_>>(), 1.0);
        let name = |item: DrawItem| match &item.paint {
            Paint::Group(group) => group.items.iter().map(|item| item.layer.to_string()).collect(),
            _ => item.layer.to_string(),
        };
        items.into_iter().map(name).collect()
    }

    #[test]
    fn what_stands_still_above_what_moves_is_one_picture() {
        assert_eq!(flat(&[("a", 0.0), ("M", 0.0), ("b", 0.0), ("c", 5.0), ("d", 9.0)]), ["a", "m", "bcd"]);
        let two = [("M", 0.0), ("a", 0.0), ("b", 0.0), ("c", 0.0), ("N", 0.0), ("d", 0.0), ("e", 0.0), ("f", 0.0)];
        assert_eq!(flat(&two), ["m", "abc", "n", "def"]);
    }

    #[test]
    fn nothing_is_flattened_where_it_does_not_pay() {
        let still = [("a", 0.0), ("b", 0.0), ("c", 0.0), ("d", 0.0)];
        assert_eq!(flat(&still), ["a", "b", "c", "d"], "nothing moves");
        let below = [("a", 0.0), ("b", 0.0), ("c", 0.0), ("M", 0.0)];
        assert_eq!(flat(&below), ["a", "b", "c", "m"], "nothing moves below them");
        assert_eq!(flat(&[("M", 0.0), ("a", 0.0), ("b", 0.0)]), ["m", "a", "b"], "two are few");
        let apart = [("M", 0.0), ("a", 0.0), ("b", 300.0), ("c", 600.0)];
        assert_eq!(flat(&apart), ["m", "a", "b", "c"], "they lie apart");
    }

    #[test]
    fn one_that_mixes_with_what_lies_below_stays() {
        let mut items: Vec<_> = ["m", "a", "b", "c"].map(|name| item(name, 0.0, 64.0)).into();
        let multiplied = picture(vec![items[2].clone()], 1.0).unwrap();
        let Paint::Group(group) = &multiplied.paint else { panic!("a group") };
        let group = Group { lay: Lay::Over(BlendMode::Multiply), ..(**group).clone() };
        items[2] = DrawItem { paint: Paint::Group(Arc::new(group)), ..multiplied };
        let spans = (0..4).map(|first| Span { first, moves: first == 0 }).collect::<Vec<_>>();
        let before = items.clone();
        flatten(&mut items, &spans, 1.0);
        assert_eq!(items, before);
    }
}
