//! The picture as a function: `Show x time -> DrawList`.
//!
//! Documents are JSON in camelCase, read strictly: an unknown field, an unknown name or a number out of range is a
//! [`check::Problem`] with a JSON pointer. What is written back reads as the same document.
//! Pure: no GPU, no clock, no files.

pub mod animation;
mod audibility;
mod blend;
mod border;
mod bounds;
pub mod check;
pub mod content;
pub mod damage;
pub mod draw;
pub mod easing;
pub mod effect;
mod evaluate;
pub mod geometry;
mod mask;
pub mod playback;
pub mod shader;
mod show;
mod strict;
pub mod transition;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use self::{
    animation::Animation,
    blend::BlendMode,
    border::{Border, Radii},
    bounds::{Alignment, Bounds, BoundsFit},
    content::Content,
    draw::{BlendSpace, DrawList},
    easing::Easing,
    effect::Effect,
    evaluate::{Evaluation, LayerError, Moment, Planner, evaluate},
    mask::Mask,
    playback::Playback,
    show::{SCENES_DEEP_MAX, SCENES_MAX, SHOW_LAYERS_MAX, Scene, Show, ShowDocument},
    transition::{OnAir, Take},
};
use self::{
    animation::{Approach, Ground, Passage, Property, Switched, Transition},
    check::{Check, Problem, Problems},
    effect::EFFECTS_MAX,
};
use crate::base::{colour::Rgba, id::Id, rate::FrameRate, schema::written_as, size::Size};

/// Most layers of a scene, those within groups included.
pub const LAYERS_MAX: usize = 256;
/// How deep layers may lie within layers.
const DEPTH_MAX: usize = 8;
/// Most values of a layer that are on their way: each of its own.
const APPROACHES_MAX: usize = Property::OF_TRANSFORM.len() + 1;
/// Coordinates, in pixels, reach this far from the origin.
const COORDINATE_MAX: f64 = 65_536.0;
/// Longest side of a layer's box, in pixels.
const SIDE_MAX: f64 = 16_384.0;

/// Size, rate and colour of a stream's picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Canvas {
    /// Width and height in pixels.
    pub size: Size,
    /// Frames per second.
    pub fps: FrameRate,
    /// Where colours are mixed.
    pub blend_space: BlendSpace,
    /// What lies under all layers.
    pub background: Rgba,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Canvas)]
struct CanvasDocument {
    #[serde(default = "default_width")]
    width: u32,
    #[serde(default = "default_height")]
    height: u32,
    #[serde(default = "default_fps")]
    fps: FrameRate,
    #[serde(default)]
    blend_space: BlendSpace,
    #[serde(default = "default_background")]
    background: Rgba,
}

fn default_width() -> u32 {
    1920
}
fn default_height() -> u32 {
    1080
}
fn default_background() -> Rgba {
    Rgba::BLACK
}
fn default_fps() -> FrameRate {
    FrameRate::new(30, 1).unwrap_or_else(|_| unreachable!("30 is within 1 to 60"))
}

impl Default for Canvas {
    /// 1920 x 1080 at 30 frames per second, black.
    fn default() -> Self {
        let size = Size::new(default_width(), default_height());
        Self {
            size: size.unwrap_or_else(|_| unreachable!("1920 x 1080 is even and within bounds")),
            fps: default_fps(),
            blend_space: BlendSpace::default(),
            background: default_background(),
        }
    }
}

written_as!(Canvas as "Canvas" = CanvasDocument);
written_as!(Layer as "Layer" = LayerDocument);

impl Serialize for Canvas {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (width, height) = (self.size.width(), self.size.height());
        let Self { fps, blend_space, background, .. } = *self;
        CanvasDocument { width, height, fps, blend_space, background }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Canvas {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let CanvasDocument { width, height, fps, blend_space, background } = Deserialize::deserialize(deserializer)?;
        let size = Size::new(width, height).map_err(serde::de::Error::custom)?;
        Ok(Self { size, fps, blend_space, background })
    }
}

/// What is drawn when a layer's media failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum LayerErrors {
    /// Nothing: viewers do not see what went wrong.
    #[default]
    Hide,
    /// A red box with the reason, for rehearsals.
    Box,
}

/// Four points, clockwise from the top left.
pub type Corners = [[f64; 2]; 4];

/// One thing on the canvas.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Layer {
    /// Unique in its scene.
    pub id: Id,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Higher covers lower; equal ones in document order.
    pub z_index: i32,
    /// Whether it is drawn.
    pub enabled: bool,
    /// 0 to 1.
    pub opacity: f64,
    /// How it is mixed with what lies below it.
    #[serde(skip_serializing_if = "is_normal")]
    pub blend_mode: BlendMode,
    /// Where it is.
    pub transform: Transform,
    /// What its box is fitted into, if anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
    /// Where the corners of its box are seen, in pixels of the layer: top left, top right, bottom right, bottom left. What
    /// stands out of the box is cut.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corners: Option<Corners>,
    /// How round the corners of its box are; what stands out of a round box is cut.
    #[serde(skip_serializing_if = "Radii::is_sharp")]
    pub border_radius: Radii,
    /// A line within its box.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub border: Option<Border>,
    /// What is done to its picture, one after the other.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// What of it is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<Mask>,
    /// How place and opacity move; what they say goes before the two above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub animations: Vec<Animation>,
    /// How it comes when it is switched on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enter: Option<Passage>,
    /// How it goes when it is switched off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Passage>,
    /// When it was switched; stamped by whoever changes a layer on air.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switched: Option<Switched>,
    /// How it follows a change of place, size, turn, crop and opacity; none: at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transition: Option<Transition>,
    /// What is on its way; written by whoever changes a layer on air.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub approaches: Vec<Approach>,
    /// What it shows.
    pub content: Content,
}

/// Place, size, turn and crop of a layer; pixels and degrees clockwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Transform {
    /// Canvas x of the anchor.
    #[schema(minimum = -65536, maximum = 65536)]
    pub position_x: f64,
    /// Canvas y of the anchor.
    #[schema(minimum = -65536, maximum = 65536)]
    pub position_y: f64,
    /// Width of the box; none: the content's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 16384)]
    pub width: Option<f64>,
    /// Height of the box; none: the content's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 16384)]
    pub height: Option<f64>,
    /// Horizontal factor; negative mirrors.
    #[schema(minimum = -64, maximum = 64)]
    pub scale_x: f64,
    /// Vertical factor; negative mirrors.
    #[schema(minimum = -64, maximum = 64)]
    pub scale_y: f64,
    /// Degrees clockwise about the anchor.
    #[schema(minimum = -1000000, maximum = 1000000)]
    pub rotation: f64,
    /// The anchor in the box: 0 left to 1 right.
    #[schema(minimum = -10, maximum = 10)]
    pub anchor_x: f64,
    /// The anchor in the box: 0 top to 1 bottom.
    #[schema(minimum = -10, maximum = 10)]
    pub anchor_y: f64,
    /// Pixels of the box cut off at the left; the rest stays in place.
    #[schema(minimum = 0, maximum = 16384)]
    pub crop_left: f64,
    /// Pixels of the box cut off at the top.
    #[schema(minimum = 0, maximum = 16384)]
    pub crop_top: f64,
    /// Pixels of the box cut off at the right.
    #[schema(minimum = 0, maximum = 16384)]
    pub crop_right: f64,
    /// Pixels of the box cut off at the bottom.
    #[schema(minimum = 0, maximum = 16384)]
    pub crop_bottom: f64,
}

impl Default for Transform {
    fn default() -> Self {
        Self {
            position_x: 0.0,
            position_y: 0.0,
            width: None,
            height: None,
            scale_x: 1.0,
            scale_y: 1.0,
            rotation: 0.0,
            anchor_x: 0.0,
            anchor_y: 0.0,
            crop_left: 0.0,
            crop_top: 0.0,
            crop_right: 0.0,
            crop_bottom: 0.0,
        }
    }
}

impl Transform {
    fn check(&self, check: &mut Check) {
        for property in Property::OF_TRANSFORM {
            if let Some(value) = property.get(self) {
                check.range(property.pointer(), value, property.range());
            }
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = Layer)]
struct LayerDocument {
    id: Id,
    #[serde(default)]
    name: String,
    #[serde(default)]
    z_index: i32,
    #[serde(default = "default_enabled")]
    enabled: bool,
    #[serde(default = "default_opacity")]
    #[schema(minimum = 0, maximum = 1)]
    opacity: f64,
    #[serde(default)]
    blend_mode: BlendMode,
    #[serde(default)]
    transform: Transform,
    // Read apart: against the layer that they move.
    #[serde(default)]
    #[schema(value_type = Vec<Animation>)]
    animations: Vec<Value>,
    enter: Option<Passage>,
    exit: Option<Passage>,
    switched: Option<Switched>,
    transition: Option<Transition>,
    #[serde(default)]
    approaches: Vec<Approach>,
    #[serde(default)]
    bounds: Option<Bounds>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<Vec<f64>>>, min_items = 4, max_items = 4)]
    #[schema(minimum = -65536, maximum = 65536)]
    corners: Option<Corners>,
    #[serde(default)]
    border_radius: Radii,
    #[serde(default)]
    border: Option<Border>,
    // Read apart, as contents are.
    #[serde(default)]
    #[schema(value_type = Vec<Effect>)]
    effects: Vec<Value>,
    #[serde(default)]
    mask: Option<Mask>,
    // Read apart: serde loses the path of an error inside an internally tagged enum.
    #[schema(value_type = Content)]
    content: Value,
}

fn default_enabled() -> bool {
    true
}
fn is_normal(mode: &BlendMode) -> bool {
    *mode == BlendMode::Normal
}
fn default_opacity() -> f64 {
    1.0
}

impl Layer {
    /// Reads and checks a layer's document.
    pub fn read(value: Value) -> Result<Self, Problems> {
        let document: LayerDocument = check::read(value)?;
        let effect = |(i, value)| Effect::read(value).map_err(|found| found.under(&format!("/effects/{i}")));
        let mut layer = Self {
            content: Content::read(document.content).map_err(|problems| problems.under("/content"))?,
            id: document.id,
            name: document.name,
            z_index: document.z_index,
            enabled: document.enabled,
            opacity: document.opacity,
            blend_mode: document.blend_mode,
            transform: document.transform,
            bounds: document.bounds,
            corners: document.corners,
            border_radius: document.border_radius,
            border: document.border,
            effects: document.effects.into_iter().enumerate().map(effect).collect::<Result<_, _>>()?,
            mask: document.mask,
            animations: Vec::new(),
            enter: document.enter,
            exit: document.exit,
            switched: document.switched,
            transition: document.transition,
            approaches: document.approaches,
        };
        let mut check = Check::default();
        layer.check(&mut check);
        check.finish()?;
        let animations = animation::read(document.animations, &Ground::new(&layer));
        layer.animations = animations.map_err(|problems| problems.under("/animations"))?;
        Ok(layer)
    }

    /// Notes every value that is out of range, but for what moves.
    fn check(&self, check: &mut Check) {
        check.count("/name", "bytes", self.name.len(), 0..=256);
        check.range("/opacity", self.opacity, Property::Opacity.range());
        check.part("/transform", |check| self.transform.check(check));
        self.check_look(check);
        check.part("/content", |check| self.content.check(check));
        self.check_motion(check);
    }

    fn check_motion(&self, check: &mut Check) {
        for (pointer, passage) in [("/enter", &self.enter), ("/exit", &self.exit)] {
            check.part(pointer, |check| passage.iter().for_each(|passage| passage.check(check)));
        }
        check.part("/switched", |check| self.switched.iter().for_each(|switched| switched.check(check)));
        check.part("/transition", |check| self.transition.iter().for_each(|transition| transition.check(check)));
        check.count("/approaches", "approaches", self.approaches.len(), 0..=APPROACHES_MAX);
        for (i, approach) in self.approaches.iter().enumerate() {
            check.part(&format!("/approaches/{i}"), |check| approach.check(check));
        }
    }

    fn check_look(&self, check: &mut Check) {
        if let Some(bounds) = &self.bounds {
            check.part("/bounds", |check| bounds.check(check));
        }
        if let Some(corners) = &self.corners {
            check.part("/corners", |check| check_corners(corners, check));
        }
        check.part("/borderRadius", |check| self.border_radius.check(check));
        if let Some(border) = &self.border {
            check.part("/border", |check| border.check(check));
        }
        check.count("/effects", "effects", self.effects.len(), 0..=EFFECTS_MAX);
        for (i, effect) in self.effects.iter().enumerate() {
            check.part(&format!("/effects/{i}"), |check| effect.check(check));
        }
        if let Some(mask) = &self.mask {
            check.part("/mask", |check| mask.check(&self.id, check));
        }
    }
}

fn check_corners(corners: &Corners, check: &mut Check) {
    for (i, corner) in corners.iter().enumerate() {
        for (j, &coordinate) in corner.iter().enumerate() {
            check.range(&format!("/{i}/{j}"), coordinate, -COORDINATE_MAX..=COORDINATE_MAX);
        }
    }
    check.that("", geometry::is_convex(*corners), || {
        "must be the corners of a convex quadrangle: top left, top right, bottom right, bottom left".into()
    });
}

/// Layers from bottom to top.
pub fn in_z_order(layers: &[Layer]) -> impl Iterator<Item = &Layer> {
    let mut layers: Vec<&Layer> = layers.iter().collect();
    layers.sort_by_key(|layer| layer.z_index);
    layers.into_iter()
}

/// Reads and checks the layers of a scene or a group: an array of layer documents. Ids are unique, those of children
/// included.
pub fn read_layers(values: Vec<Value>) -> Result<Vec<Layer>, Problems> {
    let too_many = |count: usize| {
        let message = format!("{count} layers are too many: {LAYERS_MAX} at most, children included");
        Problems::from(Problem { pointer: String::new(), message })
    };
    if values.len() > LAYERS_MAX {
        return Err(too_many(values.len()));
    }
    let mut layers: Vec<Layer> = Vec::with_capacity(values.len());
    let mut problems = Vec::new();
    let mut ids = HashSet::new();
    for (i, value) in values.into_iter().enumerate() {
        match Layer::read(value) {
            Ok(layer) => {
                let at = |message| Problem { pointer: format!("/{i}/id"), message };
                if layer.depth() > DEPTH_MAX {
                    problems.push(at(format!("layers within layers are too deep: {DEPTH_MAX} at most")));
                }
                let taken = layer.with_children().into_iter().find(|layer| !ids.insert(layer.id.clone()));
                problems.extend(taken.map(|layer| at(format!("`{}` is another layer's id already", layer.id))));
                layers.push(layer);
            }
            Err(found) => problems.extend(found.under(&format!("/{i}")).0),
        }
    }
    if ids.len() > LAYERS_MAX {
        return Err(too_many(ids.len()));
    }
    if problems.is_empty() { Ok(layers) } else { Err(Problems(problems)) }
}

impl Layer {
    /// It and all layers within it, each before its children.
    pub fn with_children(&self) -> Vec<&Layer> {
        let mut all = vec![self];
        let mut next = 0;
        while let Some(layer) = all.get(next).copied() {
            all.extend(layer.content.children());
            next += 1;
        }
        all
    }

    /// How deep layers lie within it: 0 without children.
    fn depth(&self) -> usize {
        self.content.children().iter().map(|child| child.depth() + 1).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
