//! `Show x time -> DrawList`: a pure function, so any frame can be asked for in any order.
//!
//! What it needs to know of pictures and fonts ([`Media`]) is data that does not change once it is there. A layer whose
//! media is pending draws nothing; one whose media failed draws nothing or an error box, and never touches the others.

use std::{sync::Arc, time::Duration};

use super::{
    Layer, LayerErrors, Show,
    animation::Pose,
    draw::{BlendSpace, DrawItem, DrawList, Extent, Fill, Media, Outline, Paint, Raster, Shape, Stroke, TextRaster},
    geometry::{Affine, Rect},
    in_z_order,
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

/// A layer that could not be drawn, and why.
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
    /// Whether some layer's media is not there yet.
    pub is_pending: bool,
    /// Until which time elapsed, exclusively, the same show gives the same list; `None`: for ever. Says nothing while media is pending
    /// or failed, which may end at any time.
    pub changes_at: Option<Duration>,
}

impl Evaluation {
    /// Whether a later frame of the same show, at `time`, is known to give the same list without being planned.
    pub fn holds_at(&self, time: Duration) -> bool {
        !self.is_pending && self.errors.is_empty() && self.changes_at.is_none_or(|change| time < change)
    }
}

/// Plans the frame of `show` at `moment`.
pub fn evaluate(show: &Show, moment: Moment, media: &dyn Media) -> Evaluation {
    let (canvas, layers) = (&show.canvas, &show.on_air().layers);
    let mut evaluation = Evaluation {
        draw_list: DrawList {
            size: canvas.size,
            blend_space: canvas.blend_space,
            background: canvas.background,
            items: Vec::with_capacity(layers.len() * 2),
        },
        errors: Vec::new(),
        is_pending: false,
        changes_at: None,
    };
    for layer in in_z_order(layers).filter(|layer| layer.enabled) {
        let pose = Pose::of(layer, moment.elapsed);
        Planner { show, layer, pose, moment, media, evaluation: &mut evaluation }.run();
    }
    evaluation
}

/// What a content needs to plan itself: its layer's box, the time, and where to put what it draws.
pub struct Planner<'a> {
    show: &'a Show,
    layer: &'a Layer,
    /// The layer's transform and opacity at the moment, in place of its own.
    pose: Pose,
    moment: Moment,
    media: &'a dyn Media,
    evaluation: &'a mut Evaluation,
}

impl std::fmt::Debug for Planner<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Planner").field("layer", &self.layer.id).field("moment", &self.moment).finish_non_exhaustive()
    }
}

impl Planner<'_> {
    /// A clear layer is not planned, but says when it will be there.
    fn run(&mut self) {
        if let Some(time) = self.pose.changes_at {
            self.changes_at(time);
        }
        if self.pose.opacity > 0.0 {
            self.layer.content.plan(self);
        }
    }

    /// The moment that is planned.
    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// Says that the layer looks the same until this time elapsed, exclusively. A content that does not say so never
    /// changes by itself.
    pub fn changes_at(&mut self, time: Duration) {
        let earliest = self.evaluation.changes_at.map_or(time, |other| other.min(time));
        self.evaluation.changes_at = Some(earliest);
    }

    /// Says that the layer looks the same for this long, which may be 0: it changes on every frame.
    pub fn changes_in(&mut self, span: Duration) {
        self.changes_at(self.moment.elapsed.saturating_add(span));
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
        self.scene.canvas.blend_space
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

    /// Only pictures keep their proportion; the height of a text follows from its lines.
    fn is_proportional(&self) -> bool {
        matches!(self.layer.content, super::Content::Image(_))
    }

    /// The layer's box, or the canvas.
    pub fn size_or_canvas(&self) -> [f32; 2] {
        let size = self.show.canvas.size;
        self.size_or([size.width() as f32, size.height() as f32])
    }

    /// Canvas pixels for each layer pixel.
    pub fn scale(&self) -> f32 {
        self.place([0.0, 0.0]).scale()
    }

    /// The natural size of a raster; `None` (noted) when it is not there.
    pub fn extent(&mut self, raster: &Raster) -> Option<[f32; 2]> {
        match self.media.extent(raster) {
            Extent::Ready(size) => Some(size),
            Extent::Pending => {
                self.evaluation.is_pending = true;
                None
            }
            Extent::Failed(message) => {
                if self.show.layer_errors == LayerErrors::Box {
                    self.draw_error(&message);
                }
                self.evaluation.errors.push(LayerError { layer: self.layer.id.clone(), message });
                None
            }
        }
    }

    /// Asks for a raster that will be shown soon, so that it is there in time.
    pub fn prefetch(&self, raster: &Raster) {
        // What is wrong with it is said when it is shown.
        let _ = self.media.extent(raster);
    }

    /// Draws `paint` in the layer's box of `size` layer pixels.
    pub fn draw(&mut self, size: [f32; 2], paint: Paint) {
        self.draw_beyond(size, 0.0, paint);
    }

    /// Draws `paint` in the layer's box and up to `room` layer pixels around it; cropped edges still cut.
    pub fn draw_beyond(&mut self, size: [f32; 2], room: f32, paint: Paint) {
        let crop = &self.pose.transform;
        let edge = |crop: f64| if crop > 0.0 { crop as f32 } else { -room };
        let (left, top) = (edge(crop.crop_left), edge(crop.crop_top));
        let clip = Rect::new(left, top, size[0] - edge(crop.crop_right) - left, size[1] - edge(crop.crop_bottom) - top);
        let place = self.place(size);
        // A layer scaled to nothing or wholly off the canvas is not drawn.
        let canvas = self.show.canvas.size;
        let canvas = Rect::new(0.0, 0.0, canvas.width() as f32, canvas.height() as f32);
        if clip.is_empty() || place.inverse().is_none() || place.bounds_of(clip).intersect(canvas).is_empty() {
            return;
        }
        let opacity = self.pose.opacity as f32;
        self.evaluation.draw_list.items.push(DrawItem { layer: self.layer.id.clone(), place, clip, opacity, paint });
    }

    fn place(&self, size: [f32; 2]) -> Affine {
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
        if let Extent::Ready(block) = self.media.extent(&Raster::Text(raster.clone())) {
            let overhang = raster.overhang();
            let [w, h] = raster.texture_size(block).map(|side| side as f32);
            let dest = Rect::new(8.0 - overhang, 8.0 - overhang, w, h);
            self.draw(size, Paint::Raster { raster: Raster::Text(raster), dest });
        }
    }
}
