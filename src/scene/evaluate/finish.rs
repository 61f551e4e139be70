//! From a layer's items to what is laid in: frame, corner pin, effects, mask, opacity and blend mode, in this order.
//!
//! ```text
//!  items ─► framed: border, round corners ─► pinned ─► laid in: effects, opacity, blend mode ──────► parent's pixels
//!                                                          └── or, with a mask: effects ─► masked ───┘
//! ```
//!
//! Each step that needs all items together makes one item of them: a [`Group`], drawn on a surface of its own. Its surface
//! has the scale at which it is shown, as texts have, so that what lies pixel on pixel stays so.

use std::{sync::Arc, time::Duration};

use super::{Planner, Stage, plan_layer};
use crate::{
    base::id::Id,
    scene::{
        BlendMode, Effect, Layer, Mask,
        draw::{self, DrawItem, Group, Lay, Matte, Outline, Paint, Pin, Raster, SURFACE_SIDE_MAX},
        effect::{self, Ground},
        geometry::{Affine, Projective, Rect},
        shader,
    },
};

/// Surfaces begin and end at multiples of so many pixels: what moves within a group, or a radius that does, seldom needs
/// another one.
const SURFACE_STEP: f32 = 64.0;
/// Surface pixels by which what cuts reaches beyond what it cuts, so that its own edges are not seen.
const CUT_MARGIN: f32 = 4.0;

/// How a layer meets what lies below it.
#[derive(Clone, Copy)]
struct Look {
    opacity: f32,
    blend: BlendMode,
}

impl Look {
    const PLAIN: Self = Self { opacity: 1.0, blend: BlendMode::Normal };
}

impl Planner<'_> {
    /// Takes the layer's items to its parent's pixels.
    pub(super) fn finish(&mut self) {
        let items = self.evaluation.draw_list.items.split_off(self.first);
        let place = self.place();
        // A layer scaled to nothing is not drawn.
        if items.is_empty() || place.inverse().is_none() {
            return;
        }
        // Where a part of it is missing, there may be an error to be drawn in its place.
        let finished = self.finished(items, place).unwrap_or_else(|| {
            let items = self.evaluation.draw_list.items.split_off(self.first);
            laid(items, place, 1.0)
        });
        self.evaluation.draw_list.items.extend(finished);
    }

    /// `None`, noted, when a table or a mask is missing.
    fn finished(&mut self, items: Vec<DrawItem>, place: Affine) -> Option<Vec<DrawItem>> {
        let effects = &self.layer.effects;
        for effect in effects {
            if let Effect::Lut(lut) = effect {
                self.extent(&lut.raster())?;
            }
            if effect.moves() {
                self.changes_in(Duration::ZERO);
            }
        }
        let items = self.framed(items);
        let items = self.pinned(items);
        let look = Look { opacity: self.pose.opacity as f32, blend: self.layer.blend_mode };
        match &self.layer.mask {
            None => Some(self.laid_in(items, place, effects, look)),
            Some(mask) => {
                let items = self.laid_in(items, place, effects, Look::PLAIN);
                self.masked(items, mask, place, look)
            }
        }
    }

    /// The items with the border, cut at round corners and at the bounds.
    fn framed(&mut self, mut items: Vec<DrawItem>) -> Vec<DrawItem> {
        let frame = self.frame();
        let outline = self.layer.border_radius.outline(frame);
        if let Some(shape) = self.layer.border.as_ref().and_then(|border| border.shape(outline.clone())) {
            items.push(self.item(frame, Paint::Shape(shape)));
        }
        if !self.layer.border_radius.is_sharp() {
            self.cut(frame);
            items.push(self.cutting(outline, frame));
        }
        if let Some(bounds) = self.layer.bounds.as_ref().filter(|bounds| bounds.crop_to_bounds)
            && let Some(back) = self.fit().and_then(Affine::inverse)
        {
            self.cut(back.bounds_of(Rect::at_origin(bounds.size())));
        }
        // What lies as the layer does is cut as it is painted.
        if let Some(clip) = self.clip
            && items.iter().all(|item| item.place == Affine::IDENTITY && !matches!(item.paint, Paint::Cut(_)))
        {
            self.clip = None;
            items.iter_mut().for_each(|item| item.clip = item.clip.intersect(clip));
            items.retain(|item| !item.clip.is_empty());
        }
        items
    }

    /// The items as they are seen with the box's corners pinned.
    fn pinned(&mut self, items: Vec<DrawItem>) -> Vec<DrawItem> {
        let Some(corners) = self.layer.corners else { return items };
        let rect = self.frame();
        // Corners that fold over, on their way from one place to another, show nothing.
        let Some(map) = Projective::pinning(rect, corners) else { return Vec::new() };
        self.cut(rect);
        let rect = self.clip.take().unwrap_or(rect);
        let Some(shown) = map.bounds_of(rect) else { return Vec::new() };
        let scale = self.scale() * stretch(rect, map);
        let group = self.group(items, Some(rect), scale, &[], Lay::Pinned(Box::new(Pin { map, rect })));
        group.into_iter().map(|group| self.item(shown, Paint::Group(Arc::new(group)))).collect()
    }

    /// The items in the parent's pixels, one by one if they can be.
    fn laid_in(&self, items: Vec<DrawItem>, place: Affine, effects: &[Effect], look: Look) -> Vec<DrawItem> {
        if !self.is_apart(&items, effects, look) {
            return laid(items, place, look.opacity);
        }
        let group = self.group(items, self.clip, self.scale(), effects, Lay::Over(look.blend));
        let item = group.map(|group| {
            // What effects add lies beyond what is cut.
            let cut = self.clip.filter(|_| !group.spreads());
            let clip = cut.map_or(group.dest, |clip| group.dest.intersect(clip));
            DrawItem { place, opacity: look.opacity, ..self.item(clip, Paint::Group(Arc::new(group))) }
        });
        item.into_iter().collect()
    }

    /// Whether the layer is drawn apart and laid in as one picture: when items would show through each other, or what
    /// they are mixed with must not lie below the layer.
    fn is_apart(&self, items: &[DrawItem], effects: &[Effect], look: Look) -> bool {
        let meets = |item: &DrawItem| match &item.paint {
            Paint::Group(group) => !matches!(group.lay, Lay::Over(BlendMode::Normal) | Lay::Pinned(_)),
            Paint::Cut(_) => true,
            _ => false,
        };
        let is_faded = look.opacity < 1.0 && items.len() > 1;
        let is_finished = self.clip.is_some() || look.blend != BlendMode::Normal || !effects.is_empty();
        is_faded || is_finished || items.iter().any(meets)
    }

    /// One picture of all items, of which only what lies in `clip` is seen.
    fn group(
        &self,
        mut items: Vec<DrawItem>,
        clip: Option<Rect>,
        scale: f32,
        effects: &[Effect],
        lay: Lay,
    ) -> Option<Group> {
        let reach: f64 = effects.iter().map(Effect::reach).sum();
        let bounds = bounds_of(&items)?;
        let view = View::new(clip.map_or(bounds, |clip| bounds.intersect(clip)), scale, reach as f32)?;
        if let Some(clip) = clip.filter(|_| reach > 0.0) {
            items.push(self.cutting(Outline::Rectangle { rect: clip, radius: 0.0 }, view.dest));
        }
        let effects = self.effects(effects, &view);
        Some(Group { size: view.size, dest: view.dest, items: view.of(items), effects, lay })
    }

    /// The effects on a surface.
    fn effects(&self, effects: &[Effect], view: &View) -> Vec<draw::Effect> {
        let time = shader::seconds(self.moment().elapsed, shader::PERIOD_MAX);
        let ground = Ground { scale: view.scale, place: view.surface_from_layer, area: self.frame(), time };
        effects.iter().filter_map(|effect| effect.plan(&ground)).collect()
    }

    /// The items, in the parent's pixels, as far as the mask shows them.
    fn masked(&mut self, items: Vec<DrawItem>, mask: &Mask, place: Affine, look: Look) -> Option<Vec<DrawItem>> {
        let matte = self.matte(mask, place)?;
        let feather = (mask.feather > 0.0).then_some(Effect::Blur(effect::Blur { radius: mask.feather }));
        let reach = feather.as_ref().map_or(0.0, Effect::reach) as f32;
        let seen = bounds_of(&items).and_then(|bounds| {
            if mask.inverted {
                return Some(bounds);
            }
            bounds_of(&matte).map(|matte| bounds.intersect(matte.inflate(reach)))
        });
        let Some(view) = seen.and_then(|seen| View::new(seen, self.stage.scale, reach)) else {
            return Some(Vec::new());
        };
        let whole = Rect::at_origin(view.size.map(|side| side as f32));
        let matte = Group {
            size: view.size,
            dest: whole,
            items: view.of(matte),
            effects: self.effects(feather.as_slice(), &view),
            lay: Lay::Matte(Matte { channel: mask.channel, is_inverted: mask.inverted }),
        };
        let mut items = view.of(items);
        items.push(self.item(whole, Paint::Group(Arc::new(matte))));
        let lay = Lay::Over(look.blend);
        let group = Group { size: view.size, dest: view.dest, items, effects: Vec::new(), lay };
        let item = self.item(view.dest, Paint::Group(Arc::new(group)));
        Some(vec![DrawItem { opacity: look.opacity, ..item }])
    }

    /// What masks the layer, in its parent's pixels.
    fn matte(&mut self, mask: &Mask, place: Affine) -> Option<Vec<DrawItem>> {
        match (&mask.layer, &mask.asset) {
            (Some(id), _) => self.matte_layer(id),
            (None, Some(asset)) => self.matte_picture(asset, place),
            (None, None) => Some(Vec::new()),
        }
    }

    fn matte_layer(&mut self, id: &Id) -> Option<Vec<DrawItem>> {
        let Some(layer) = self.stage.layers.iter().find(|layer| layer.id == *id) else {
            self.fail(format!("its mask `{id}` is no layer beside it: put that layer there, or name another").into());
            return None;
        };
        let Some(mattes) = self.stage.mattes.checked_sub(1) else {
            self.fail("its masks are masked too often, or in a circle".into());
            return None;
        };
        // One that is off is not gone: it is off as a picture of its own.
        let shown = (!layer.enabled).then(|| Layer { enabled: true, switched: None, enter: None, ..layer.clone() });
        let first = self.evaluation.draw_list.items.len();
        plan_layer(shown.as_ref().unwrap_or(layer), &Stage { mattes, ..self.stage }, self.evaluation);
        Some(self.evaluation.draw_list.items.split_off(first))
    }

    /// The picture over the layer's box, pinned as that is.
    fn matte_picture(&mut self, asset: &str, place: Affine) -> Option<Vec<DrawItem>> {
        let raster = Raster::Image(asset.into());
        self.extent(&raster)?;
        let dest = self.frame();
        let items = vec![self.item(dest, Paint::Raster { raster, dest })];
        Some(laid(self.pinned(items), place, 1.0))
    }

    /// Nothing of the layer is seen outside of this, either.
    fn cut(&mut self, rect: Rect) {
        self.clip = Some(self.clip.map_or(rect, |clip| clip.intersect(rect)));
    }

    /// Takes away what lies outside of the outline, as far as `around`.
    fn cutting(&self, outline: Outline, around: Rect) -> DrawItem {
        self.item(around.inflate(CUT_MARGIN / self.scale().min(1.0)), Paint::Cut(Arc::new(outline)))
    }

    fn item(&self, clip: Rect, paint: Paint) -> DrawItem {
        DrawItem { layer: self.layer.id.clone(), place: Affine::IDENTITY, clip, opacity: 1.0, paint }
    }
}

/// What of some pixels is on a surface, and at which scale.
pub(super) struct View {
    pub(super) size: [u32; 2],
    /// Where the surface lies in those pixels.
    pub(super) dest: Rect,
    /// Surface pixels for each of them.
    scale: f32,
    surface_from_layer: Affine,
}

impl View {
    /// Of `bounds` and `reach` around it; `shown` is the scale at which it is shown. It is taken in steps of 1/16, so that
    /// a slow zoom does not draw it anew on every frame, and smaller where a texture could not hold it.
    pub(super) fn new(bounds: Rect, shown: f32, reach: f32) -> Option<Self> {
        if bounds.is_empty() {
            return None;
        }
        let bounds = bounds.inflate(reach);
        // Both ends may lie within a step.
        let most = (SURFACE_SIDE_MAX - 2.0 * SURFACE_STEP) / bounds.w.max(bounds.h).max(1.0);
        let scale = ((shown * 16.0).round() / 16.0).clamp(1.0 / 16.0, 16.0).min(most);
        let bounds = Affine::scaling(scale).bounds_of(bounds);
        let edges = [bounds.x, bounds.y, -bounds.right(), -bounds.bottom()];
        let [left, top, right, bottom] = edges.map(|edge| (edge / SURFACE_STEP).floor() * SURFACE_STEP);
        let [w, h] = [-right - left, -bottom - top].map(|side| side.min(SURFACE_SIDE_MAX));
        let dest = Rect::new(left / scale, top / scale, w / scale, h / scale);
        let surface_from_layer = Affine::scaling(scale).moved(-left, -top);
        Some(Self { size: [w as u32, h as u32], dest, scale, surface_from_layer })
    }

    /// The items on the surface.
    pub(super) fn of(&self, items: Vec<DrawItem>) -> Vec<DrawItem> {
        laid(items, self.surface_from_layer, 1.0)
    }
}

/// The items as `place` places them, faded.
fn laid(items: Vec<DrawItem>, place: Affine, opacity: f32) -> Vec<DrawItem> {
    let lay = |item: DrawItem| DrawItem { place: place.after(item.place), opacity: opacity * item.opacity, ..item };
    items.into_iter().map(lay).collect()
}

/// The smallest rectangle around all items that colour anything.
pub(super) fn bounds_of(items: &[DrawItem]) -> Option<Rect> {
    let colours = |item: &&DrawItem| !matches!(item.paint, Paint::Cut(_));
    items.iter().filter(colours).map(|item| item.place.bounds_of(item.clip)).reduce(Rect::join)
}

/// How many times as long the longest of the sides of `rect` becomes when it is pinned, at least 1/16.
fn stretch(rect: Rect, map: Projective) -> f32 {
    let [left, top, right, bottom] = [rect.x, rect.y, rect.right(), rect.bottom()].map(f64::from);
    let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
    let seen = corners.map(|corner| map.apply(corner).unwrap_or(corner));
    let length = |[a, b]: [f64; 2], [c, d]: [f64; 2]| (c - a).hypot(d - b);
    let ratio = |i: usize| length(seen[i], seen[(i + 1) % 4]) / length(corners[i], corners[(i + 1) % 4]).max(1e-3);
    [0, 1, 2, 3].map(ratio).into_iter().fold(1.0 / 16.0, f64::max) as f32
}
