//! Damage: where the picture of one draw list differs from that of another.
//!
//! ```text
//!  before:  A  B  C  D            kept, in the same order: A, D
//!  after:   A  B' D  E            damaged: old and new bounds of B, bounds of C, bounds of E
//! ```
//!
//! Items are recognised by their layer and their number within it. Whatever was changed, added, removed or has overtaken
//! another one damages the canvas where it was and where it is. The result is a few disjoint rectangles of whole pixels:
//! a clock in one corner and a ticker along the other edge do not damage what lies between. A group that is laid in as it
//! was damages only where its own surface differs. Pure; who draws only the
//! damage must get the picture that drawing everything gives, which is a test of the GPU floor's.

use std::{collections::HashMap, fmt};

use super::{
    draw::{DrawItem, DrawList, Paint},
    geometry::Rect,
};

/// Most rectangles; beyond, those that waste least are joined.
pub const RECTS_MAX: usize = 8;
/// Canvas pixels by which antialiased edges reach beyond an item's bounds.
const FRINGE: f32 = 1.0;

/// A rectangle of whole canvas pixels; `right` and `bottom` are exclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "the four edges need no words")]
pub struct PixelRect {
    pub left: u32,
    pub top: u32,
    pub right: u32,
    pub bottom: u32,
}

impl PixelRect {
    /// All pixels of a canvas or surface with these sides.
    pub fn whole([right, bottom]: [u32; 2]) -> Self {
        Self { left: 0, top: 0, right, bottom }
    }

    /// The pixels of a canvas or surface with these sides that `rect` touches; `None` if there are none.
    pub fn around(rect: Rect, [width, height]: [u32; 2]) -> Option<Self> {
        // `as` saturates, and takes NaN to 0.
        let edge = |v: f32, max: u32| (v.max(0.0) as u32).min(max);
        let pixels = Self {
            left: edge(rect.x.floor(), width),
            top: edge(rect.y.floor(), height),
            right: edge(rect.right().ceil(), width),
            bottom: edge(rect.bottom().ceil(), height),
        };
        (pixels.left < pixels.right && pixels.top < pixels.bottom).then_some(pixels)
    }

    /// Pixels in it.
    pub fn area(self) -> u64 {
        u64::from(self.right - self.left) * u64::from(self.bottom - self.top)
    }

    /// Whether both share a pixel.
    pub fn touches(self, other: Self) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }

    /// Whether all of `other` lies in it.
    pub fn contains(self, other: Self) -> bool {
        self.left <= other.left && self.top <= other.top && self.right >= other.right && self.bottom >= other.bottom
    }

    /// The same in pixels of any size.
    pub fn to_rect(self) -> Rect {
        let [x, y] = [self.left, self.top].map(|edge| edge as f32);
        Rect::new(x, y, self.right as f32 - x, self.bottom as f32 - y)
    }

    /// The smallest rectangle around both.
    pub fn join(self, other: Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }
}

/// Disjoint rectangles, at most [`RECTS_MAX`]. They lie within the value, so that it goes with each frame without being
/// allocated.
#[derive(Clone, Copy, Default)]
pub struct Damage {
    /// The first `count` of them, and room for one that is about to be joined.
    rects: [PixelRect; RECTS_MAX + 1],
    count: usize,
}

impl Damage {
    /// Nothing differs.
    pub fn none() -> Self {
        Self::default()
    }

    /// Everything on a canvas or surface with these sides may differ.
    pub fn whole(size: [u32; 2]) -> Self {
        let mut damage = Self::none();
        damage.push(PixelRect::whole(size));
        damage
    }

    /// Where the picture of `after` differs from that of `before`.
    pub fn between(before: &DrawList, after: &DrawList) -> Self {
        let is_same_canvas = before.size == after.size
            && before.blend_space == after.blend_space
            && before.background == after.background;
        if !is_same_canvas {
            return Self::whole(after.size.sides());
        }
        Self::of_items(&before.items, &after.items, after.size.sides())
    }

    /// Where a surface of this size with `after` on it differs from one with `before`.
    pub fn of_items(before: &[DrawItem], after: &[DrawItem], size: [u32; 2]) -> Self {
        let mut damage = Self::none();
        let kept = kept(before, after);
        for (item, is_kept) in before.iter().zip(&kept.before).chain(after.iter().zip(&kept.after)) {
            if !is_kept && let Some(rect) = bounds(item, size) {
                damage.add(rect);
            }
        }
        for (index, inner) in kept.changed_within {
            let laid_in = inner.rects().iter().filter_map(|&rect| laid_in(&after[index], rect, size));
            laid_in.for_each(|rect| damage.add(rect));
        }
        damage.spread(after, size);
        damage
    }

    /// Grows to all of what reads around itself, where it touches that.
    pub fn spread(&mut self, items: &[DrawItem], size: [u32; 2]) {
        for item in items {
            let reads_around = matches!(&item.paint, Paint::Group(group) if group.reads_around());
            if let Some(rect) = bounds(item, size).filter(|_| reads_around)
                && self.rects().iter().any(|damaged| damaged.touches(rect))
            {
                self.add(rect);
            }
        }
    }

    /// The rectangles.
    pub fn rects(&self) -> &[PixelRect] {
        &self.rects[..self.count]
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Pixels in all rectangles.
    pub fn area(&self) -> u64 {
        self.rects().iter().map(|rect| rect.area()).sum()
    }

    /// Adds all of another one: where a picture differs from the one before the last.
    pub fn join(&mut self, other: &Self) {
        other.rects().iter().for_each(|rect| self.add(*rect));
    }

    /// Adds a rectangle, joined with those it touches; then, if there are too many, joins the cheapest two.
    pub fn add(&mut self, mut rect: PixelRect) {
        // A join may touch what its parts did not, so this goes on until nothing is touched.
        while let Some(index) = self.rects().iter().position(|other| other.touches(rect)) {
            rect = rect.join(self.remove(index));
        }
        self.push(rect);
        if self.count > RECTS_MAX {
            let (a, b) = self.cheapest_pair();
            // The later one first, for what stands last takes the place of the one removed.
            let (b, a) = (self.remove(b), self.remove(a));
            self.add(a.join(b));
        }
    }

    fn push(&mut self, rect: PixelRect) {
        self.rects[self.count] = rect;
        self.count += 1;
    }

    fn remove(&mut self, index: usize) -> PixelRect {
        self.count -= 1;
        self.rects.swap(index, self.count);
        self.rects[self.count]
    }

    /// Two indices, the lower first, whose join covers the fewest pixels that were in neither.
    fn cheapest_pair(&self) -> (usize, usize) {
        let pairs = (0..self.count).flat_map(|a| (a + 1..self.count).map(move |b| (a, b)));
        let waste = |&(a, b): &(usize, usize)| {
            let (a, b) = (self.rects[a], self.rects[b]);
            a.join(b).area() - a.area() - b.area()
        };
        pairs.min_by_key(waste).unwrap_or((0, 0))
    }
}

impl PartialEq for Damage {
    fn eq(&self, other: &Self) -> bool {
        self.rects() == other.rects()
    }
}

impl Eq for Damage {}

impl fmt::Debug for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.rects()).finish()
    }
}

/// The pixels of a canvas or surface with these sides that an item may colour.
pub fn bounds(item: &DrawItem, size: [u32; 2]) -> Option<PixelRect> {
    PixelRect::around(item.place.bounds_of(item.clip).inflate(FRINGE), size)
}

/// The pixels that a change of `rect` on the surface of a group may colour where the group is laid in; an item that is no
/// group may colour all it covers.
pub fn laid_in(item: &DrawItem, rect: PixelRect, size: [u32; 2]) -> Option<PixelRect> {
    let Paint::Group(group) = &item.paint else { return bounds(item, size) };
    if group.spreads() {
        return bounds(item, size);
    }
    // What is sampled between pixels looks at those around it, too.
    let seen = group.shown(rect.to_rect().inflate(FRINGE), item.clip);
    if seen.is_empty() {
        return None;
    }
    PixelRect::around(item.place.bounds_of(seen).inflate(FRINGE), size)
}

/// For each item of both lists whether it is the same in the other one, and in the same order among those kept.
struct Kept {
    before: Vec<bool>,
    after: Vec<bool>,
    /// Groups that are kept but for what is on their surface: their index in the second list, and where that differs.
    changed_within: Vec<(usize, Damage)>,
}

fn kept(before: &[DrawItem], after: &[DrawItem]) -> Kept {
    let mut kept =
        Kept { before: vec![false; before.len()], after: vec![false; after.len()], changed_within: Vec::new() };
    // Most changes are in place: the equal ends need no look-up.
    let head = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let rest = before.len().min(after.len()) - head;
    let tail = before.iter().rev().zip(after.iter().rev()).take(rest).take_while(|(a, b)| a == b).count();
    kept.before[..head].fill(true);
    kept.after[..head].fill(true);
    let (before_end, after_end) = (before.len() - tail, after.len() - tail);
    kept.before[before_end..].fill(true);
    kept.after[after_end..].fill(true);

    let places = keys(&before[head..before_end]).zip(head..).collect::<HashMap<_, _>>();
    let mut next = head;
    for (key, index) in keys(&after[head..after_end]).zip(head..) {
        // One that has overtaken another is not kept: what it covers may have changed.
        let Some(place) = places.get(&key).copied().filter(|&place| place >= next) else { continue };
        if before[place] != after[index] {
            let Some(within) = within(&before[place], &after[index]) else { continue };
            kept.changed_within.push((index, within));
        }
        kept.before[place] = true;
        kept.after[index] = true;
        next = place + 1;
    }
    kept
}

/// Where the surfaces of two groups differ that are laid in alike; `None` for other items.
fn within(before: &DrawItem, after: &DrawItem) -> Option<Damage> {
    let (Paint::Group(was), Paint::Group(is)) = (&before.paint, &after.paint) else { return None };
    let is_laid_in_alike = before.place == after.place
        && before.clip == after.clip
        && before.opacity == after.opacity
        && was.is_framed_as(is);
    is_laid_in_alike.then(|| Damage::of_items(&was.items, &is.items, is.size))
}

/// Layer and number among the items of that layer, wherever they stand: in takes within takes a scene may be there twice.
fn keys(items: &[DrawItem]) -> impl Iterator<Item = (&str, usize)> {
    let mut counts = HashMap::new();
    items.iter().map(move |item| {
        let count = counts.entry(item.layer.as_str()).or_insert(0);
        *count += 1;
        (item.layer.as_str(), *count - 1)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        base::{colour::Rgba, id::Id, size::Size},
        scene::{
            BlendMode, BlendSpace,
            draw::{Effect, Group, Lay},
            geometry::Affine,
        },
    };

    fn list(items: &[(&str, f32, f32, u8)]) -> DrawList {
        let item = |&(id, x, y, shade): &(&str, f32, f32, u8)| DrawItem {
            layer: Id::new(id).unwrap(),
            place: Affine { e: x, f: y, ..Affine::IDENTITY },
            clip: Rect::new(0.0, 0.0, 10.0, 10.0),
            opacity: 1.0,
            paint: Paint::Solid(Rgba::new(shade, 0, 0, 255)),
        };
        DrawList {
            size: Size::new(320, 180).unwrap(),
            blend_space: BlendSpace::Srgb,
            background: Rgba::BLACK,
            items: items.iter().map(item).collect(),
        }
    }

    fn around(x: u32, y: u32) -> PixelRect {
        PixelRect { left: x - 1, top: y - 1, right: x + 11, bottom: y + 11 }
    }

    fn rects(before: &[(&str, f32, f32, u8)], after: &[(&str, f32, f32, u8)]) -> Vec<PixelRect> {
        let mut rects = Damage::between(&list(before), &list(after)).rects().to_vec();
        rects.sort_by_key(|rect| (rect.left, rect.top));
        rects
    }

    const A: (&str, f32, f32, u8) = ("a", 20.0, 20.0, 1);
    const B: (&str, f32, f32, u8) = ("b", 60.0, 20.0, 2);
    const C: (&str, f32, f32, u8) = ("c", 100.0, 20.0, 3);

    #[test]
    fn what_is_the_same_is_not_damaged() {
        assert_eq!(rects(&[A, B, C], &[A, B, C]), []);
        assert_eq!(rects(&[], &[]), []);
    }

    #[test]
    fn what_changed_is_damaged_where_it_was_and_where_it_is() {
        let moved = ("b", 200.0, 100.0, 2);
        assert_eq!(rects(&[A, B, C], &[A, moved, C]), [around(60, 20), around(200, 100)]);
        assert_eq!(rects(&[A, B, C], &[A, C]), [around(60, 20)]);
        assert_eq!(rects(&[A, C], &[A, B, C]), [around(60, 20)]);
        assert_eq!(rects(&[A, B, C], &[B, C]), [around(20, 20)]);
    }

    #[test]
    fn two_changes_leave_what_lies_between_alone() {
        let (a, c) = (("a", 20.0, 20.0, 9), ("c", 100.0, 20.0, 9));
        assert_eq!(rects(&[A, B, C], &[a, B, c]), [around(20, 20), around(100, 20)]);
    }

    #[test]
    fn who_overtakes_is_damaged() {
        let found = rects(&[A, B, C], &[B, A, C]);
        assert!(found == [around(20, 20)] || found == [around(60, 20)], "one of the two moved in front: {found:?}");
    }

    #[test]
    fn another_background_damages_everything() {
        let (before, mut after) = (list(&[A]), list(&[A]));
        after.background = Rgba::WHITE;
        assert_eq!(Damage::between(&before, &after), Damage::whole([320, 180]));
    }

    /// A group at (100, 50) of which the surface is shown at twice its size.
    fn grouped(items: &[(&str, f32, f32, u8)], blend: BlendMode) -> DrawList {
        let dest = Rect::new(10.0, 0.0, 120.0, 80.0);
        let (items, effects, lay) = (list(items).items, Vec::new(), Lay::Over(blend));
        let group = Group { size: [60, 40], dest, items, effects, lay };
        let mut all = list(&[A, B]);
        all.items[1].clip = group.dest;
        all.items[1].place = Affine { e: 100.0, f: 50.0, ..Affine::IDENTITY };
        all.items[1].paint = Paint::Group(std::sync::Arc::new(group));
        all
    }

    #[test]
    fn a_change_within_a_group_damages_where_it_is_laid_in() {
        let (before, after) = ([("x", 5.0, 5.0, 1), ("y", 30.0, 20.0, 1)], [("x", 5.0, 5.0, 1), ("y", 30.0, 20.0, 2)]);
        let damage = Damage::between(&grouped(&before, BlendMode::Normal), &grouped(&after, BlendMode::Normal));
        // 29..41 x 19..31 on the surface with its fringe, one more for sampling, twice as large, 110 and 50 further.
        let (x, y) = (28 * 2 + 110, 18 * 2 + 50);
        let expected = PixelRect { left: x - 1, top: y - 1, right: x + 14 * 2 + 1, bottom: y + 14 * 2 + 1 };
        assert_eq!(damage.rects(), [expected]);
        let blended = Damage::between(&grouped(&before, BlendMode::Normal), &grouped(&before, BlendMode::Screen));
        assert_eq!(blended.rects(), [PixelRect { left: 109, top: 49, right: 231, bottom: 131 }], "all of it");
    }

    #[test]
    fn a_change_within_a_group_that_spreads_damages_all_of_it() {
        let list = |shade, effect| {
            let mut list = grouped(&[("x", 5.0, 5.0, shade)], BlendMode::Normal);
            let Paint::Group(group) = &mut list.items[1].paint else { unreachable!() };
            std::sync::Arc::make_mut(group).effects = vec![effect];
            list
        };
        let whole = [PixelRect { left: 109, top: 49, right: 231, bottom: 131 }];
        let blur = || Effect::Blur { sigma: 2.0 };
        assert_eq!(Damage::between(&list(1, blur()), &list(2, blur())).rects(), whole);
        assert_eq!(Damage::between(&list(1, blur()), &list(1, Effect::Blur { sigma: 3.0 })).rects(), whole);
        let grade = || Effect::Grade(Box::default());
        assert!(Damage::between(&list(1, grade()), &list(2, grade())).area() < whole[0].area(), "only what changed");
    }

    #[test]
    fn items_of_a_layer_are_told_apart_wherever_they_stand() {
        let items = list(&[A, B, A, A, C, B]).items;
        let found: Vec<_> = keys(&items).collect();
        assert_eq!(found, [("a", 0), ("b", 0), ("a", 1), ("a", 2), ("c", 0), ("b", 1)]);
    }

    #[test]
    fn what_touches_is_joined() {
        assert_eq!(rects(&[A], &[("a", 25.0, 22.0, 1)]), [PixelRect { left: 19, top: 19, right: 36, bottom: 33 }]);
    }

    proptest! {
        /// The rectangles are disjoint, few, and cover everything that was added.
        #[test]
        fn rectangles_stay_few_and_disjoint(places in proptest::collection::vec((0..300u32, 0..160u32, 1..40u32, 1..40u32), 1..40)) {
            let mut damage = Damage::none();
            for &(left, top, width, height) in &places {
                damage.add(PixelRect { left, top, right: left + width, bottom: top + height });
            }
            let rects = damage.rects();
            prop_assert!(rects.len() <= RECTS_MAX);
            for (i, a) in rects.iter().enumerate() {
                prop_assert!(rects[i + 1..].iter().all(|b| !a.touches(*b)));
            }
            for (left, top, width, height) in places {
                let inside = |r: &PixelRect| r.left <= left && r.top <= top && r.right >= left + width && r.bottom >= top + height;
                prop_assert!(rects.iter().any(inside));
            }
        }

        /// Whatever is not kept lies within the damage.
        #[test]
        fn every_difference_is_damaged(
            before in proptest::collection::vec((0..6usize, 0..4u8), 0..8),
            after in proptest::collection::vec((0..6usize, 0..4u8), 0..8),
        ) {
            const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
            let unique = |items: &[(usize, u8)]| {
                let mut seen = [false; 6];
                let fresh = items.iter().filter(|(i, _)| !std::mem::replace(&mut seen[*i], true));
                fresh.map(|&(i, shade)| (IDS[i], i as f32 * 50.0 + 5.0, 20.0, shade)).collect::<Vec<_>>()
            };
            let (before, after) = (unique(&before), unique(&after));
            let found = rects(&before, &after);
            for item in before.iter().filter(|item| !after.contains(item)).chain(after.iter().filter(|item| !before.contains(item))) {
                let own = around(item.1 as u32, item.2 as u32);
                prop_assert!(found.iter().any(|rect| rect.touches(own)), "{item:?} {found:?}");
            }
        }
    }
}
