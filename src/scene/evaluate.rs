//! `Show x time -> DrawList`: a pure function, so any frame can be asked for in any order.
//!
//! Contents plan themselves in *layer pixels*; when a layer is planned, its items are taken to the canvas one by one, or,
//! where something must hold for all of them together, drawn apart as a group that is then laid in (`evaluate/finish.rs`).
//! The children of a group layer are planned the same way, in the group's pixels.
//!
//! What it needs to know of pictures and fonts ([`Media`]) is data that does not change once it is there. A layer whose
//! media is pending draws nothing; one whose media failed draws nothing or an error box, and never touches the others.

mod finish;
mod still;

use std::{sync::Arc, time::Duration};

use self::still::Span;
use super::{
    Layer, LayerErrors, SCENES_DEEP_MAX, Show, Transform,
    animation::Pose,
    draw::{
        BlendSpace, DrawItem, DrawList, Extent, Fill, Letters, Media, Outline, Paint, Raster, Shape, Stroke, TextRaster,
    },
    geometry::{Affine, Rect},
    in_z_order,
    playback::Timing,
    transition::Studio,
};
use crate::base::{colour::Rgba, id::Id};

/// A point on the stream's own time and on the world's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Moment {
    /// Since the stream's start, without the time it stood paused: what animations run on.
    pub elapsed: Duration,
    /// Milliseconds since 1970 UTC: what clocks show and countdowns count to.
    pub utc_ms: i64,
}

impl Moment {
    /// The stream's start, at the beginning of 1970: for what has no time in it.
    pub const START: Self = Self { elapsed: Duration::ZERO, utc_ms: 0 };
}

/// A layer that could not be drawn, or not well, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerError {
    /// Which layer.
    pub layer: Id,
    /// What is wrong with it.
    pub message: Arc<str>,
}

/// The plan of a frame, with what could not be planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// What to draw.
    pub draw_list: DrawList,
    /// Layers whose media failed.
    pub errors: Vec<LayerError>,
    /// Layers that are drawn, but not as they should be.
    pub warnings: Vec<LayerError>,
    /// Whether some layer's media is not there yet.
    pub is_pending: bool,
    /// Until which time elapsed, exclusively, the same show gives the same list; `None`: for ever. Says nothing while media is pending
    /// or failed, which may end at any time.
    pub changes_at: Option<Duration>,
}

impl Evaluation {
    fn new(show: &Show) -> Self {
        let canvas = &show.canvas;
        Self {
            draw_list: DrawList {
                size: canvas.size,
                blend_space: canvas.blend_space,
                background: canvas.background,
                items: Vec::with_capacity(show.on_air().layers.len() * 2),
            },
            errors: Vec::new(),
            warnings: Vec::new(),
            is_pending: false,
            changes_at: None,
        }
    }

    /// Notes that the list is another one at this time.
    pub(super) fn change_at(&mut self, time: Duration) {
        self.changes_at = Some(self.changes_at.map_or(time, |other| other.min(time)));
    }

    /// Whether a later frame of the same show, at `time`, is known to give the same list without being planned.
    pub fn holds_at(&self, time: Duration) -> bool {
        !self.is_pending && self.errors.is_empty() && self.changes_at.is_none_or(|change| time < change)
    }
}

/// Plans the frame of `show` at `moment`.
pub fn evaluate(show: &Show, moment: Moment, media: &dyn Media) -> Evaluation {
    let mut evaluation = Evaluation::new(show);
    Studio { show, moment, media }.plan(show.program(), &mut evaluation);
    let whole = Rect::at_origin(show.canvas.size.sides().map(|side| side as f32));
    evaluation.draw_list.items.retain(|item| !item.place.bounds_of(item.clip).intersect(whole).is_empty());
    evaluation
}

/// How deep masks may be masked themselves; a circle ends here, too.
const MATTES_MAX: u8 = 4;

/// Adds the items of these layers, on the canvas, to the plan.
pub(super) fn plan_canvas(studio: Studio<'_>, layers: &[Layer], evaluation: &mut Evaluation) {
    plan_layers(layers, Duration::ZERO, &Stage::of(studio), evaluation);
}

/// Adds the items of one layer that has a content alone and is as large as the canvas to the plan. Its time begins at
/// `start`.
pub(super) fn plan_over_canvas(studio: Studio<'_>, layer: &Layer, start: Duration, evaluation: &mut Evaluation) {
    let [width, height] = studio.show.canvas.size.sides().map(f64::from);
    let transform = Transform { width: Some(width), height: Some(height), ..Transform::default() };
    let pose = Pose { transform, opacity: 1.0, layer: None, changes_at: None };
    Planner::new(Stage::of(studio).later(start), layer, pose, evaluation).run();
}

/// Where and when layers are planned.
#[derive(Clone, Copy)]
struct Stage<'a> {
    show: &'a Show,
    moment: Moment,
    media: &'a dyn Media,
    /// Canvas pixels for each pixel of the layers' parent, at most.
    scale: f32,
    /// How much later than the stream's their time runs; it stands at its start until then.
    late: Duration,
    /// Whether it is planned only for the rasters it will need.
    is_ahead: bool,
    /// How many scenes deep it may still go.
    scenes: usize,
    /// All layers of the parent.
    layers: &'a [Layer],
    /// How many masks deep it may still go.
    mattes: u8,
}

impl<'a> Stage<'a> {
    fn of(Studio { show, moment, media }: Studio<'a>) -> Self {
        Self {
            show,
            moment,
            media,
            scale: 1.0,
            late: Duration::ZERO,
            is_ahead: false,
            scenes: SCENES_DEEP_MAX,
            layers: &[],
            mattes: MATTES_MAX,
        }
    }

    /// The same on the first frame after `time`.
    fn ahead(&self, time: Duration) -> Self {
        let rate = self.show.canvas.fps;
        let frame = rate.time_of(rate.frame_at(time.saturating_add(self.late)).saturating_add(1));
        let elapsed = frame.saturating_sub(self.late);
        Self { moment: Moment { elapsed, ..self.moment }, is_ahead: true, ..*self }
    }

    /// The same for layers whose time runs that much later.
    fn later(&self, late: Duration) -> Self {
        let elapsed = self.moment.elapsed.saturating_sub(late);
        Self { moment: Moment { elapsed, ..self.moment }, late: self.late.saturating_add(late), ..*self }
    }
}

/// Adds the items of `layers`, in their parent's pixels, to the list. The time of each runs by `stagger` later than that of
/// the one before in the document.
fn plan_layers(layers: &[Layer], stagger: Duration, stage: &Stage<'_>, evaluation: &mut Evaluation) {
    let mut spans = Vec::with_capacity(layers.len());
    for layer in in_z_order(layers).filter(|layer| layer.may_show()) {
        let index = || layers.iter().position(|other| std::ptr::eq(other, layer)).unwrap_or_default();
        let late = if stagger.is_zero() { stagger } else { stagger.saturating_mul(index() as u32) };
        let others_change_at = evaluation.changes_at.take();
        let first = evaluation.draw_list.items.len();
        plan_with_next(layer, &Stage { layers, ..stage.later(late) }, evaluation);
        let own_changes_at = evaluation.changes_at.map(|time| time.saturating_add(late));
        spans.push(Span { first, moves: own_changes_at.is_some_and(|time| time <= stage.moment.elapsed) });
        evaluation.changes_at = others_change_at.into_iter().chain(own_changes_at).min();
    }
    still::flatten(&mut evaluation.draw_list.items, &spans, stage.scale);
}

/// Adds the items of a layer. What moves may need other rasters on each frame: those of the next one on which it does are
/// asked for now.
fn plan_with_next(layer: &Layer, stage: &Stage<'_>, evaluation: &mut Evaluation) {
    let changes_at = plan_layer(layer, stage, evaluation);
    if let Some(time) = changes_at.filter(|_| !stage.is_ahead) {
        plan_layer(layer, &stage.ahead(time), &mut Evaluation::new(stage.show));
    }
}

/// Adds the items of a layer; returns until when its animations leave it as it is.
fn plan_layer(layer: &Layer, stage: &Stage<'_>, evaluation: &mut Evaluation) -> Option<Duration> {
    let mut pose = Pose::of(layer, stage.moment.elapsed, stage.show.canvas.size.sides().map(f64::from));
    let changes_at = pose.changes_at;
    if pose.opacity == 0.0 && changes_at.is_some() && !stage.is_ahead {
        foresee(layer, stage, evaluation);
    }
    let moved = pose.layer.take().transpose().unwrap_or_else(|problems| {
        let message = problems.to_string().into();
        evaluation.errors.push(LayerError { layer: layer.id.clone(), message });
        None
    });
    let layer = moved.as_deref().unwrap_or(layer);
    Planner::new(*stage, layer, pose, evaluation).run();
    changes_at
}

/// Plans a layer that is clear now and may come: what it needs is waited for, and what is wrong with it is said.
fn foresee(layer: &Layer, stage: &Stage<'_>, evaluation: &mut Evaluation) {
    let mut unseen = Evaluation::new(stage.show);
    let pose = Pose { transform: layer.transform.clone(), opacity: 1.0, layer: None, changes_at: None };
    let stage = Stage { is_ahead: true, ..*stage };
    Planner { stage, layer, pose, evaluation: &mut unseen, first: 0, size: [0.0; 2], clip: None, fitted: 1.0 }.run();
    evaluation.is_pending |= unseen.is_pending;
    evaluation.errors.append(&mut unseen.errors);
}

/// What a content needs to plan itself: its layer's box, the time, and where to put what it draws.
pub struct Planner<'a> {
    stage: Stage<'a>,
    layer: &'a Layer,
    /// The layer's transform and opacity at the moment, in place of its own.
    pose: Pose,
    evaluation: &'a mut Evaluation,
    /// Index of the layer's first item: those from here on are in layer pixels.
    first: usize,
    /// The layer's box, as the content said last.
    size: [f32; 2],
    /// Outside of it nothing of the layer is seen.
    clip: Option<Rect>,
    /// By what the layer is scaled to fit its bounds.
    fitted: f32,
}

impl std::fmt::Debug for Planner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("Planner");
        debug.field("layer", &self.layer.id).field("moment", &self.stage.moment).finish_non_exhaustive()
    }
}

impl<'a> Planner<'a> {
    fn new(stage: Stage<'a>, layer: &'a Layer, pose: Pose, evaluation: &'a mut Evaluation) -> Self {
        let first = evaluation.draw_list.items.len();
        Self { stage, layer, pose, evaluation, first, size: [0.0; 2], clip: None, fitted: 1.0 }
    }

    /// A clear layer is not planned, but says when it will be there.
    fn run(mut self) {
        if let Some(time) = self.pose.changes_at {
            self.changes_at(time);
        }
        if self.pose.opacity > 0.0 {
            self.plan_content();
            self.finish();
        }
    }

    /// By what the layer is scaled to fit its bounds is known when it is planned; if it is not what was assumed, it is
    /// planned again, for texts are drawn for the scale at which they are shown.
    fn plan_content(&mut self) {
        let errors = self.evaluation.errors.len();
        self.layer.content.plan(self);
        let fitted = self.fit().map_or(1.0, Affine::scale);
        if fitted != self.fitted {
            self.fitted = fitted;
            self.clip = None;
            self.evaluation.draw_list.items.truncate(self.first);
            self.evaluation.errors.truncate(errors);
            self.layer.content.plan(self);
        }
    }

    /// Plans the layers of a group whose box has this size; their pixels are this layer's, and the time of each runs by
    /// `stagger` later than that of the one before.
    pub fn plan_layers(&mut self, size: [f32; 2], layers: &[Layer], stagger: Duration) {
        self.size = size;
        let stage = Stage { scale: self.scale(), ..self.stage };
        plan_layers(layers, stagger, &stage, self.evaluation);
    }

    /// Plans another scene of the show, stretched over the layer's box and cut at it.
    pub(super) fn plan_scene(&mut self, id: &Id) {
        let show = self.stage.show;
        let Some(scenes) = self.stage.scenes.checked_sub(1) else { return };
        let Some(scene) = show.scene(id.as_str()) else { return };
        let canvas = show.canvas.size.sides().map(|side| side as f32);
        self.size = self.size_or(canvas);
        let stretched = Affine { a: self.size[0] / canvas[0], d: self.size[1] / canvas[1], ..Affine::IDENTITY };
        let first = self.evaluation.draw_list.items.len();
        let stage = Stage { scale: self.scale() * stretched.scale(), scenes, ..self.stage };
        plan_layers(&scene.layers, Duration::ZERO, &stage, self.evaluation);
        for item in &mut self.evaluation.draw_list.items[first..] {
            item.place = stretched.after(item.place);
        }
        self.clip_to(self.size);
    }

    /// Cuts off what the layer draws outside its box of `size`.
    pub fn clip_to(&mut self, size: [f32; 2]) {
        self.clip = Some(Rect::at_origin(size));
    }

    /// The moment that is planned.
    pub fn moment(&self) -> Moment {
        self.stage.moment
    }

    /// Says that the layer looks the same until this time elapsed, exclusively. A content that does not say so never
    /// changes by itself.
    pub fn changes_at(&mut self, time: Duration) {
        self.evaluation.change_at(time);
    }

    /// Says that the layer looks the same for this long, which may be 0: it changes on every frame.
    pub fn changes_in(&mut self, span: Duration) {
        self.changes_at(self.stage.moment.elapsed.saturating_add(span));
    }

    /// How long it is until the first frame that begins no earlier than `span` from now.
    pub fn frame_in(&self, span: Duration) -> Duration {
        let fps = self.stage.show.canvas.fps;
        let now = self.stage.moment.elapsed.saturating_add(self.stage.late);
        fps.time_of(fps.first_frame_at(now.saturating_add(span))).saturating_sub(now)
    }

    /// The layer's width in layer pixels, if the document gives one.
    pub fn width(&self) -> Option<f32> {
        self.pose.transform.width.map(|width| width as f32)
    }

    /// The layer's height in layer pixels, if the document gives one.
    pub fn height(&self) -> Option<f32> {
        self.pose.transform.height.map(|height| height as f32)
    }

    /// Where the canvas mixes colours.
    pub fn blend_space(&self) -> BlendSpace {
        self.stage.show.canvas.blend_space
    }

    /// The layer's box in layer pixels, where what the document leaves open is `natural`. With one side given, the other
    /// follows in proportion.
    pub fn size_or(&self, natural: [f32; 2]) -> [f32; 2] {
        let transform = &self.pose.transform;
        match (transform.width.map(|v| v as f32), transform.height.map(|v| v as f32)) {
            (Some(width), Some(height)) => [width, height],
            (Some(width), None) if self.is_proportional() => [width, natural[1] * width / natural[0].max(1.0)],
            (None, Some(height)) if self.is_proportional() => [natural[0] * height / natural[1].max(1.0), height],
            (width, height) => [width.unwrap_or(natural[0]), height.unwrap_or(natural[1])],
        }
    }

    /// Only pictures and scenes keep their proportion; the height of a text follows from its lines.
    fn is_proportional(&self) -> bool {
        use super::Content::{Character, Image, Scene, Sequence, Sprite, Svg};
        matches!(self.layer.content, Character(_) | Image(_) | Scene(_) | Sequence(_) | Sprite(_) | Svg(_))
    }

    /// The layer's box, or the canvas.
    pub fn size_or_canvas(&self) -> [f32; 2] {
        self.size_or(self.stage.show.canvas.size.sides().map(|side| side as f32))
    }

    /// Canvas pixels for each layer pixel.
    pub fn scale(&self) -> f32 {
        self.stage.scale * self.posed([0.0, 0.0]).scale() * self.fitted
    }

    /// The natural size of a raster; `None` (noted) when it is not there.
    pub fn extent(&mut self, raster: &Raster) -> Option<[f32; 2]> {
        match self.stage.media.extent(raster) {
            Extent::Ready(size) => {
                self.warn_of_missing(raster);
                Some(size)
            }
            Extent::Pending => {
                self.evaluation.is_pending = true;
                None
            }
            Extent::Failed(message) => {
                self.fail(message);
                None
            }
        }
    }

    /// Notes why the layer cannot be drawn, and draws that if the scene wants it.
    fn fail(&mut self, message: Arc<str>) {
        if self.stage.show.layer_errors == LayerErrors::Box {
            self.draw_error(&message);
        }
        self.evaluation.errors.push(LayerError { layer: self.layer.id.clone(), message });
    }

    /// The raster to draw: `wanted`, or `meanwhile` as long as that is pending; `None` (noted) when it failed.
    pub fn ready_or<'r>(&mut self, wanted: &'r Raster, meanwhile: &'r Raster) -> Option<&'r Raster> {
        if self.stage.media.extent(wanted) == Extent::Pending {
            self.evaluation.is_pending = true;
            return Some(meanwhile);
        }
        self.extent(wanted).map(|_| wanted)
    }

    /// When the frames of a picture change, if it is there and a moving one.
    pub fn timing(&self, asset: &Arc<str>) -> Option<Arc<Timing>> {
        self.stage.media.timing(asset)
    }

    /// What is known of the letters of a text beyond its size.
    pub fn letters(&self, text: &Raster) -> Option<Arc<Letters>> {
        self.stage.media.letters(text)
    }

    /// A text with signs that no font has is drawn all the same.
    fn warn_of_missing(&mut self, raster: &Raster) {
        if !matches!(raster, Raster::Text(_)) {
            return;
        }
        let Some(letters) = self.letters(raster).filter(|letters| !letters.missing.is_empty()) else { return };
        let signs: Vec<_> = letters.missing.chars().map(|sign| format!("{sign} (U+{:04X})", u32::from(sign))).collect();
        let message = format!("no font has a sign for {}; use other words, or a font that has it", signs.join(", "));
        let warning = LayerError { layer: self.layer.id.clone(), message: message.into() };
        if !self.evaluation.warnings.contains(&warning) {
            self.evaluation.warnings.push(warning);
        }
    }

    /// Asks for a raster that will be shown soon, so that it is there in time.
    pub fn prefetch(&self, raster: &Raster) {
        self.stage.media.prefetch(raster);
    }

    /// Draws `paint` in the layer's box of `size` layer pixels.
    pub fn draw(&mut self, size: [f32; 2], paint: Paint) {
        self.draw_beyond(size, 0.0, paint);
    }

    /// Draws `paint` in the layer's box and up to `room` layer pixels around it; cropped edges still cut.
    pub fn draw_beyond(&mut self, size: [f32; 2], room: f32, paint: Paint) {
        self.draw_faded(size, room, 1.0, paint);
    }

    /// The same with an opacity of its own.
    pub fn draw_faded(&mut self, size: [f32; 2], room: f32, opacity: f32, paint: Paint) {
        let clip = self.cropped(size, room);
        self.push(size, Affine::IDENTITY, clip, opacity, paint);
    }

    /// Draws what of `paint` lies in `clip`, faded and moved by a map of its own within the layer. Of the clip, what stands
    /// out of the layer's cropped box before it is moved is not drawn.
    pub fn draw_placed(&mut self, size: [f32; 2], place: Affine, clip: Rect, opacity: f32, paint: Paint) {
        self.draw_placed_beyond((size, 0.0), place, clip, opacity, paint);
    }

    /// The same, but for `room` layer pixels around the layer's box of `size`.
    pub fn draw_placed_beyond(
        &mut self,
        (size, room): ([f32; 2], f32),
        place: Affine,
        clip: Rect,
        opacity: f32,
        paint: Paint,
    ) {
        let clip = clip.intersect(self.cropped(size, room));
        self.push(size, place, clip, opacity, paint);
    }

    fn push(&mut self, size: [f32; 2], place: Affine, clip: Rect, opacity: f32, paint: Paint) {
        self.size = size;
        if clip.is_empty() || opacity <= 0.0 || place.inverse().is_none() {
            return;
        }
        self.evaluation.draw_list.items.push(DrawItem { layer: self.layer.id.clone(), place, clip, opacity, paint });
    }

    /// The layer's box of `size`, or that much more around it, without what is cropped.
    fn cropped(&self, size: [f32; 2], room: f32) -> Rect {
        let crop = &self.pose.transform;
        let edge = |crop: f64| if crop > 0.0 { crop as f32 } else { -room };
        let (left, top) = (edge(crop.crop_left), edge(crop.crop_top));
        Rect::new(left, top, size[0] - edge(crop.crop_right) - left, size[1] - edge(crop.crop_bottom) - top)
    }

    /// What cropping leaves of the layer's box.
    fn frame(&self) -> Rect {
        self.cropped(self.size, 0.0)
    }

    /// From layer pixels to the parent's.
    fn place(&self) -> Affine {
        match (&self.layer.bounds, self.fit()) {
            (Some(bounds), Some(fit)) => self.posed(bounds.size()).after(fit),
            _ => self.posed(self.size),
        }
    }

    /// From layer pixels to those of its bounds, if it has any.
    fn fit(&self) -> Option<Affine> {
        let (bounds, frame) = (self.layer.bounds.as_ref()?, self.frame());
        if frame.is_empty() {
            return None;
        }
        let dest = bounds.place([frame.w, frame.h]);
        let (a, d) = (dest.w / frame.w, dest.h / frame.h);
        Some(Affine { a, b: 0.0, c: 0.0, d, e: dest.x - frame.x * a, f: dest.y - frame.y * d })
    }

    /// From the pixels of a box of this size, as the transform places it, to the parent's.
    fn posed(&self, size: [f32; 2]) -> Affine {
        let t = &self.pose.transform;
        let anchor = [t.anchor_x * f64::from(size[0]), t.anchor_y * f64::from(size[1])];
        Affine::place([t.position_x, t.position_y], anchor, [t.scale_x, t.scale_y], t.rotation)
    }

    /// A half-transparent red box with the message, where the layer would be.
    fn draw_error(&mut self, message: &str) {
        let size = self.size_or([480.0, 96.0]);
        let shape = Shape {
            outline: Outline::Rectangle { rect: Rect::at_origin(size).inflate(-1.0), radius: 0.0 },
            fill: Some(Fill::Solid(Rgba::new(160, 0, 0, 128))),
            stroke: Some(Stroke { colour: Rgba::new(255, 64, 64, 255), width: 2.0 }),
        };
        self.draw(size, Paint::Shape(Arc::new(shape)));
        let width = Some((size[0] - 16.0).clamp(1.0, 2000.0));
        let text = TextRaster { width, ..TextRaster::plain(format!("{}: {message}", self.layer.id), 18.0) };
        let raster = Arc::new(text);
        if let Extent::Ready(block) = self.stage.media.extent(&Raster::Text(raster.clone())) {
            let overhang = raster.overhang();
            let [w, h] = raster.texture_size(block).map(|side| side as f32);
            let dest = Rect::new(8.0 - overhang, 8.0 - overhang, w, h);
            self.draw(size, Paint::Raster { raster: Raster::Text(raster), dest });
        }
    }
}
