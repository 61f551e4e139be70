//! What is seen of a take at one moment, as draw items.
//!
//! A side that stands still below the other is planned as ever, straight onto the canvas. One that moves or fades is a
//! picture of its own: a group as large as the canvas, with the canvas's background under its layers.

use std::sync::Arc;

use super::{Direction, Kind, LumaWipe, OnAir, Stinger, Take};
use crate::{
    base::{colour::Rgba, id::Id},
    scene::{
        BlendMode, Evaluation, LayerError, Moment, Show,
        draw::{Channel, DrawItem, Effect, Extent, Group, Lay, Matte, Media, Paint, Raster, Shader},
        evaluate::{plan_canvas, plan_over_canvas},
        geometry::{Affine, Rect},
    },
};

/// Where and when what is on air is planned.
#[derive(Clone, Copy)]
pub(in crate::scene) struct Studio<'a> {
    pub(in crate::scene) show: &'a Show,
    pub(in crate::scene) moment: Moment,
    pub(in crate::scene) media: &'a dyn Media,
}

impl Studio<'_> {
    /// Adds what is on air to the plan.
    pub(in crate::scene) fn plan(&self, on_air: &OnAir, plan: &mut Evaluation) {
        match on_air {
            OnAir::Scene(id) => self.scene(id, plan),
            OnAir::Take(take) => match take.progress(self.moment.elapsed) {
                Some(progress) => self.take(take, progress as f32, plan),
                None => self.scene(&take.to, plan),
            },
        }
    }

    fn scene(&self, id: &Id, plan: &mut Evaluation) {
        if let Some(scene) = self.show.scene(id.as_str()) {
            plan_canvas(*self, &scene.layers, plan);
        }
    }

    fn take(&self, take: &Take, progress: f32, plan: &mut Evaluation) {
        plan.change_at(take.start().max(self.moment.elapsed));
        if self.moment.elapsed < take.start() {
            return self.plan(&take.from, plan);
        }
        match &take.transition.kind {
            Kind::Cut(_) => self.plan(&take.from, plan),
            Kind::Fade(_) => self.fade(take, progress, plan),
            Kind::FadeColor(fade) => {
                self.side(take, progress >= 0.5, plan);
                let opacity = 1.0 - (2.0 * progress - 1.0).abs();
                self.add(DrawItem { opacity, ..self.item(&take.to, Paint::Solid(fade.color)) }, plan);
            }
            Kind::Slide(slide) => {
                self.plan(&take.from, plan);
                let next = self.next(take, plan);
                self.add(self.moved(next, slide.direction, progress, true), plan);
            }
            Kind::Swipe(swipe) => {
                self.scene(&take.to, plan);
                let last = self.last(take, plan);
                self.add(self.moved(last, swipe.direction, progress, false), plan);
            }
            Kind::Push(push) => {
                let (last, next) = (self.last(take, plan), self.next(take, plan));
                self.add(self.moved(last, push.direction, progress, false), plan);
                self.add(self.moved(next, push.direction, progress, true), plan);
            }
            Kind::Wipe(wipe) => {
                let shape = wipe.matte(progress, self.whole());
                let items = vec![self.item(&take.to, Paint::Shape(Arc::new(shape)))];
                self.uncover(take, self.matte(&take.to, items, Vec::new(), Channel::Alpha, false), plan);
            }
            Kind::LumaWipe(wipe) => match self.luma_matte(take, wipe, progress, plan) {
                Some(matte) => self.uncover(take, matte, plan),
                // Without its picture it is a fade.
                None => self.fade(take, progress, plan),
            },
            Kind::Shader(shader) => match shader.given(progress, self.moment.elapsed, self.whole()) {
                Some(shader) => self.mix(take, shader, plan),
                None => self.fade(take, progress, plan),
            },
            Kind::Stinger(stinger) => self.stinger(take, stinger, plan),
        }
    }

    fn fade(&self, take: &Take, progress: f32, plan: &mut Evaluation) {
        self.plan(&take.from, plan);
        let next = self.next(take, plan);
        self.add(DrawItem { opacity: progress, ..next }, plan);
    }

    /// What the shader makes of both.
    fn mix(&self, take: &Take, shader: Shader, plan: &mut Evaluation) {
        self.plan(&take.from, plan);
        let lay = Lay::Mixed(Arc::new(shader));
        let next = self.laid(&take.to, lay, plan, |plan| self.scene(&take.to, plan));
        self.add(next, plan);
    }

    /// The next scene over what was on air, as far as the matte shows it.
    fn uncover(&self, take: &Take, matte: DrawItem, plan: &mut Evaluation) {
        self.plan(&take.from, plan);
        let next = self.picture(&take.to, plan, |plan| {
            self.scene(&take.to, plan);
            plan.draw_list.items.push(matte);
        });
        self.add(next, plan);
    }

    /// Items of which the channel says how much of what lies below on the same surface is left.
    fn matte(
        &self,
        id: &Id,
        items: Vec<DrawItem>,
        effects: Vec<Effect>,
        channel: Channel,
        is_inverted: bool,
    ) -> DrawItem {
        let lay = Lay::Matte(Matte { channel, is_inverted });
        let group = Group { size: self.show.canvas.size.sides(), dest: self.whole(), items, effects, lay };
        self.item(id, Paint::Group(Arc::new(group)))
    }

    /// `None`, noted, when its picture is missing.
    fn luma_matte(&self, take: &Take, wipe: &LumaWipe, progress: f32, plan: &mut Evaluation) -> Option<DrawItem> {
        let raster = Raster::Image(wipe.asset.as_str().into());
        match self.media.extent(&raster) {
            Extent::Ready(_) => {}
            Extent::Pending => {
                plan.is_pending = true;
                return None;
            }
            Extent::Failed(message) => {
                plan.errors.push(LayerError { layer: take.to.clone(), message });
                return None;
            }
        }
        let items = vec![self.item(&take.to, Paint::Raster { raster, dest: self.whole() })];
        // Where it becomes black, the next scene shows; bright parts first is the other way round.
        Some(self.matte(&take.to, items, vec![wipe.threshold(progress)], Channel::Luma, !wipe.inverted))
    }

    /// Both sides on their own, one after the other.
    fn side(&self, take: &Take, is_next: bool, plan: &mut Evaluation) {
        if is_next { self.scene(&take.to, plan) } else { self.plan(&take.from, plan) }
    }

    /// What was on air, as one picture.
    fn last(&self, take: &Take, plan: &mut Evaluation) -> DrawItem {
        self.picture(take.from.target(), plan, |plan| self.plan(&take.from, plan))
    }

    /// What follows, as one picture.
    fn next(&self, take: &Take, plan: &mut Evaluation) -> DrawItem {
        self.picture(&take.to, plan, |plan| self.scene(&take.to, plan))
    }

    /// The items that `make` adds, as an opaque picture of the canvas's size.
    fn picture(&self, id: &Id, plan: &mut Evaluation, make: impl FnOnce(&mut Evaluation)) -> DrawItem {
        self.laid(id, Lay::Over(BlendMode::Normal), plan, make)
    }

    fn laid(&self, id: &Id, lay: Lay, plan: &mut Evaluation, make: impl FnOnce(&mut Evaluation)) -> DrawItem {
        let first = plan.draw_list.items.len();
        let Rgba { r, g, b, .. } = self.show.canvas.background;
        plan.draw_list.items.push(self.item(id, Paint::Solid(Rgba::new(r, g, b, 255))));
        make(plan);
        let items = plan.draw_list.items.split_off(first);
        let size = self.show.canvas.size.sides();
        let group = Group { size, dest: self.whole(), items, effects: Vec::new(), lay };
        self.item(id, Paint::Group(Arc::new(group)))
    }

    /// The stinger plays from its beginning, so its time is the take's.
    fn stinger(&self, take: &Take, stinger: &Stinger, plan: &mut Evaluation) {
        let elapsed = self.moment.elapsed.saturating_sub(take.start());
        let changes_at = plan.changes_at;
        let is_over = elapsed.as_millis() >= stinger.trigger_ms.into();
        match stinger.matte.as_ref().filter(|_| !is_over) {
            None => self.side(take, is_over, plan),
            Some(matte) => {
                let first = plan.draw_list.items.len();
                plan_over_canvas(*self, matte, take.start(), plan);
                let items = plan.draw_list.items.split_off(first);
                self.uncover(take, self.matte(&take.to, items, Vec::new(), Channel::Luma, false), plan);
            }
        }
        plan_over_canvas(*self, &stinger.layer, take.start(), plan);
        // What it says of its own time says nothing here: a take is planned on every frame.
        plan.changes_at = changes_at;
    }

    fn whole(&self) -> Rect {
        Rect::at_origin(self.show.canvas.size.sides().map(|side| side as f32))
    }

    /// An item over the whole canvas. It goes by the name of a scene, as layers' items do by theirs.
    fn item(&self, id: &Id, paint: Paint) -> DrawItem {
        DrawItem { layer: id.clone(), place: Affine::IDENTITY, clip: self.whole(), opacity: 1.0, paint }
    }

    /// The item on its way from the canvas, or to it. Whole pixels, so that it stays crisp and two sides stay side by side.
    fn moved(&self, item: DrawItem, direction: Direction, progress: f32, is_next: bool) -> DrawItem {
        let Rect { w, h, .. } = self.whole();
        let way =
            |share: f32, side: f32| (share * progress * side).floor() - f32::from(u8::from(is_next)) * share * side;
        let [x, y] = direction.vector();
        DrawItem { place: item.place.moved(way(x, w), way(y, h)), ..item }
    }

    /// What is clear or off the canvas is not drawn.
    fn add(&self, item: DrawItem, plan: &mut Evaluation) {
        let is_seen = item.opacity > 0.0 && !item.place.bounds_of(item.clip).intersect(self.whole()).is_empty();
        plan.draw_list.items.extend(is_seen.then_some(item));
    }
}
