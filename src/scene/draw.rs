//! The draw list: the plan of one frame, pure data.
//!
//! [`evaluate`](super::evaluate) makes it from a scene and a time, the GPU floor executes it. Items are painted in order,
//! each over those before it. Two equal draw lists give the identical frame: that is what lets an unchanged frame cost
//! nothing.
//!
//! Spaces: an item's geometry is in *layer pixels* (origin at the layer's top left corner); `place` takes it to canvas
//! pixels. Within a [`Group`] the group's surface is the canvas. Colours are straight sRGB here; the GPU floor premultiplies
//! them in the canvas's blend space.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    BlendMode,
    content::Gradient,
    effect::Grade,
    geometry::{Affine, Projective, Rect},
    playback::Timing,
    shader::Program,
};
use crate::base::{colour::Rgba, id::Id, size::Size};

/// In which space translucent colours are mixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum BlendSpace {
    /// Encoded sRGB values, as CSS and CasparCG do.
    #[default]
    Srgb,
    /// Linear light, as OBS does.
    Linear,
}

/// What to draw for one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawList {
    /// Canvas size in pixels.
    pub size: Size,
    /// Where colours are mixed.
    pub blend_space: BlendSpace,
    /// What lies under everything; its alpha is ignored, for a broadcast picture is opaque.
    pub background: Rgba,
    /// From bottom to top.
    pub items: Vec<DrawItem>,
}

/// One thing to draw.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawItem {
    /// The layer it belongs to, for errors and metrics.
    pub layer: Id,
    /// From layer pixels to canvas pixels.
    pub place: Affine,
    /// Nothing outside this rectangle, in layer pixels, is drawn. Its edges are antialiased where they fall between
    /// canvas pixels.
    pub clip: Rect,
    /// 0 (invisible) to 1.
    pub opacity: f32,
    /// What fills the clip.
    pub paint: Paint,
}

/// What an item is filled with.
#[derive(Debug, Clone, PartialEq)]
pub enum Paint {
    /// One colour.
    Solid(Rgba),
    /// Analytic geometry, antialiased by the shader at any scale.
    Shape(Arc<Shape>),
    /// Retained pixels, laid over `dest` (layer pixels) and sampled bilinearly.
    Raster {
        /// Which pixels.
        raster: Raster,
        /// Where their outer edges lie.
        dest: Rect,
    },
    /// Items that are drawn apart and laid in as one picture.
    Group(Arc<Group>),
    /// Takes away what lies below on the same surface, outside of this outline.
    Cut(Arc<Outline>),
    /// What a user's shader says.
    Shader(Arc<Shader>),
}

/// A user's shader and what it is given.
#[derive(Debug, Clone, PartialEq)]
pub struct Shader {
    /// What is run for each pixel.
    pub program: Arc<Program>,
    /// The box over which `uv` goes from 0 to 1, in layer pixels.
    pub area: Rect,
    /// Seconds; 0 for a program that does not use them.
    pub time: f32,
    /// 0 to 1 in a transition.
    pub progress: f32,
    /// Its parameters, in the program's order: a colour is straight sRGB, a number stands first.
    pub values: Vec<[f32; 4]>,
}

/// Longest side of a group's surface in pixels: what every GPU takes as a texture.
pub const SURFACE_SIDE_MAX: f32 = 4096.0;

/// Items drawn on clear ground of their own, so that opacity, blend mode and effects hold for all of them together.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Width and height of its surface in pixels, 1 to [`SURFACE_SIDE_MAX`].
    pub size: [u32; 2],
    /// Where the surface's outer edges lie, in layer pixels.
    pub dest: Rect,
    /// From bottom to top; their places lead to surface pixels.
    pub items: Vec<DrawItem>,
    /// What is done to the surface when all items are on it, one after the other.
    pub effects: Vec<Effect>,
    /// How it meets what lies below.
    pub lay: Lay,
}

/// How a group meets what lies below it.
#[derive(Debug, Clone, PartialEq)]
pub enum Lay {
    /// Over it, mixed by a blend mode.
    Over(BlendMode),
    /// Over it, with its corners pinned.
    Pinned(Box<Pin>),
    /// It takes away from what lies below on the same surface.
    Matte(Matte),
    /// A user's shader says what becomes of both; it may read all of what lies below.
    Mixed(Arc<Shader>),
}

/// How a group is seen whose corners are pinned.
#[derive(Debug, Clone, PartialEq)]
pub struct Pin {
    /// From layer pixels to layer pixels as they are shown.
    pub map: Projective,
    /// What of the layer is seen, in its pixels.
    pub rect: Rect,
}

/// What a matte leaves of what lies below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matte {
    /// What counts.
    pub channel: Channel,
    /// Whether what counts is taken away, rather than left.
    pub is_inverted: bool,
}

/// What of a matte counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Channel {
    /// How opaque it is.
    #[default]
    Alpha,
    /// How bright it is, on black.
    Luma,
}

impl Group {
    /// What `rect`, in surface pixels, covers in layer pixels as they are shown, as far as `clip`.
    pub fn shown(&self, rect: Rect, clip: Rect) -> Rect {
        let [w, h] = self.size.map(|side| side as f32);
        let Rect { x: e, y: f, .. } = self.dest;
        let layer_from_surface = Affine { a: self.dest.w / w, b: 0.0, c: 0.0, d: self.dest.h / h, e, f };
        let rect = layer_from_surface.bounds_of(rect);
        match &self.lay {
            // A rectangle that reaches behind the eye may be seen anywhere.
            Lay::Pinned(pin) => pin.map.bounds_of(rect.intersect(pin.rect)).unwrap_or(clip),
            Lay::Over(_) | Lay::Matte(_) | Lay::Mixed(_) => rect,
        }
        .intersect(clip)
    }

    /// Whether it is the same picture in the same place, but for what `items` say.
    pub fn is_framed_as(&self, other: &Self) -> bool {
        self.size == other.size && self.dest == other.dest && self.effects == other.effects && self.lay == other.lay
    }

    /// Whether a pixel of the surface colours others when it is finished.
    pub fn spreads(&self) -> bool {
        self.reads_around() || self.effects.iter().any(Effect::spreads)
    }

    /// The shaders that it is finished and laid in with.
    pub fn shaders(&self) -> impl Iterator<Item = &Shader> {
        let mixed = match &self.lay {
            Lay::Mixed(shader) => Some(&**shader),
            _ => None,
        };
        let own = self.effects.iter().filter_map(|effect| match effect {
            Effect::Shader { shader, .. } => Some(&**shader),
            _ => None,
        });
        own.chain(mixed)
    }

    /// Whether a pixel of what lies below colours others.
    pub fn reads_around(&self) -> bool {
        matches!(self.lay, Lay::Mixed(_))
    }
}

/// One step from the surface with all its items to what is laid in; lengths in surface pixels.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A Gaussian blur with this standard deviation.
    Blur {
        /// Pixels, at least 0.
        sigma: f32,
    },
    /// The surface's outline in one colour, moved and blurred, under the surface.
    Shadow {
        /// How far it is moved.
        offset: [f32; 2],
        /// Standard deviation of its blur.
        sigma: f32,
        /// Its colour.
        colour: Rgba,
        /// By what the blurred outline is multiplied.
        strength: f32,
    },
    /// Colours point by point.
    Grade(Box<Grade>),
    /// Alpha by colour.
    Key(Key),
    /// Colours by a table.
    Lut {
        /// Which table.
        lut: Raster,
        /// How much of it, 0 to 1.
        amount: f32,
    },
    /// What a user's shader makes of it.
    Shader {
        /// The shader; its area is in layer pixels.
        shader: Arc<Shader>,
        /// From layer pixels to surface pixels.
        place: Affine,
    },
}

impl Effect {
    /// Whether a pixel colours others.
    pub fn spreads(&self) -> bool {
        matches!(self, Self::Blur { .. } | Self::Shadow { .. } | Self::Shader { .. })
    }
}

/// How a colour becomes alpha; all numbers 0 to 1. What they mean stands at `scene::effect`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the fields are those of the documents")]
pub enum Key {
    Chroma { colour: Rgba, similarity: f32, smoothness: f32, spill: f32 },
    Colour { colour: Rgba, similarity: f32, smoothness: f32 },
    Luma { min: f32, max: f32, smoothness: f32, is_inverted: bool },
}

/// A filled and stroked outline, in layer pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// The outline.
    pub outline: Outline,
    /// What fills it, if anything.
    pub fill: Option<Fill>,
    /// The line along it, centred on the outline, if any.
    pub stroke: Option<Stroke>,
}

/// The outline of a shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Outline {
    /// A rectangle with corners of one radius (at most half its shorter side).
    Rectangle {
        /// Its edges.
        rect: Rect,
        /// Corner radius in pixels.
        radius: f32,
    },
    /// A rectangle with corners of four radii, of which no two overlap.
    Cornered {
        /// Its edges.
        rect: Rect,
        /// Radii in pixels: top left, top right, bottom right, bottom left.
        radii: [f32; 4],
    },
    /// The ellipse that touches the sides of `rect`.
    Ellipse {
        /// Its bounding box.
        rect: Rect,
    },
    /// A closed polygon of 3 to [`POINTS_MAX`] points, filled by the even-odd rule.
    Polygon {
        /// Corners in order.
        points: Vec<[f32; 2]>,
    },
    /// A segment with butt ends; it has no fill.
    Line {
        /// One end.
        from: [f32; 2],
        /// The other end.
        to: [f32; 2],
    },
}

/// Most corners of a polygon: the shader walks them for every pixel.
pub const POINTS_MAX: usize = 128;
/// Most colour stops of a gradient.
pub const STOPS_MAX: usize = 16;

/// What fills an outline.
#[derive(Debug, Clone, PartialEq)]
pub enum Fill {
    /// One colour.
    Solid(Rgba),
    /// Colours along the line from `from` to `to`, the end colours beyond.
    Linear {
        /// Where offset 0 lies.
        from: [f32; 2],
        /// Where offset 1 lies.
        to: [f32; 2],
        /// 2 to [`STOPS_MAX`] stops with rising offsets.
        stops: Vec<Stop>,
    },
    /// Colours from `centre` outwards; offset 1 lies on the ellipse with these radii.
    Radial {
        /// Where offset 0 lies.
        centre: [f32; 2],
        /// Horizontal and vertical radius in pixels, above 0.
        radii: [f32; 2],
        /// 2 to [`STOPS_MAX`] stops with rising offsets.
        stops: Vec<Stop>,
    },
}

/// A colour at a place along a gradient; between stops premultiplied colours are interpolated, as CSS does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stop {
    /// 0 to 1.
    pub offset: f32,
    /// Straight sRGB colour.
    pub colour: Rgba,
}

/// A line along an outline.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stroke {
    /// Straight sRGB colour.
    pub colour: Rgba,
    /// Width in layer pixels, above 0.
    pub width: f32,
}

/// Pixels that are made once and kept: the key under which the GPU floor retains a texture.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Raster {
    /// A decoded picture, by its asset name; of a moving one the first frame.
    Image(Arc<str>),
    /// One frame of a moving picture.
    Frame {
        /// Its asset name.
        asset: Arc<str>,
        /// From 0.
        index: u32,
    },
    /// One cell of a sheet, a picture that is cut into a grid from its top left corner.
    Cell {
        /// Its asset name.
        asset: Arc<str>,
        /// Columns and rows, at least 1 each.
        grid: [u32; 2],
        /// Row by row, from 0.
        index: u32,
    },
    /// A vector picture, drawn for the size at which it is shown.
    Vector(Arc<VectorRaster>),
    /// A set text.
    Text(Arc<TextRaster>),
    /// A table of colours, by its asset name.
    Lut(Arc<str>),
}

/// Everything the pixels of a vector picture depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct VectorRaster {
    /// Where its document is.
    pub source: VectorSource,
    /// Width and height in pixels, 1 to 4096, to which it is stretched; none: small, to learn its own size.
    pub size: Option<[u32; 2]>,
}

/// Where the document of a vector picture is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum VectorSource {
    /// An asset, by its name.
    Asset(Arc<str>),
    /// In the scene.
    Inline(Arc<str>),
}

/// Everything the pixels of a text depend on.
#[derive(Debug, Clone, PartialEq)]
pub struct TextRaster {
    /// What is written; `\n` breaks lines.
    pub text: String,
    /// Parts that look different, one after the other from the start of the text; what comes after the last looks as the
    /// text does.
    pub spans: Vec<TextSpan>,
    /// Font family; an unknown one falls back to the default family.
    pub font: String,
    /// Size of the em square in layer pixels.
    pub size: f32,
    /// 100 (thin) to 900 (black).
    pub weight: u16,
    /// Slanted.
    pub is_italic: bool,
    /// Straight sRGB colour.
    pub colour: Rgba,
    /// Line distance as a multiple of the size.
    pub line_height: f32,
    /// Extra space between letters in layer pixels.
    pub letter_spacing: f32,
    /// Whether all digits are equally wide, in fonts that have such digits.
    pub has_tabular_digits: bool,
    /// How lines stand to each other.
    pub align: Align,
    /// In which direction paragraphs are read.
    pub direction: Direction,
    /// Lines break (if `wrap`) and align within this many layer pixels; none: the longest line's width.
    pub width: Option<f32>,
    /// Whether lines longer than `width` are broken between words.
    pub wrap: bool,
    /// Room for the lines in layer pixels, where `size_min` or `has_ellipsis` ask for it.
    pub height: Option<f32>,
    /// The text is set at the largest size, down to this one, at which it fits into `width` and `height`.
    pub size_min: Option<f32>,
    /// Lines beyond so many are left out.
    pub lines_max: Option<u32>,
    /// Whether "…" stands for what is left out, and lines that are too long or too many are cut for it.
    pub has_ellipsis: bool,
    /// What is painted besides letters of one colour.
    pub effects: Option<Arc<TextEffects>>,
    /// Taken apart into these, laid side by side so that each can be drawn alone; where they lie, [`Media::letters`] says.
    pub unit: Option<TextUnit>,
    /// Texture pixels for each layer pixel: the scale at which the text is shown, so that it stays crisp.
    pub scale: f32,
}

/// A part of a text that looks different.
#[derive(Debug, Clone, PartialEq)]
pub struct TextSpan {
    /// Where it ends in the text, in bytes.
    pub end: usize,
    /// How it looks.
    pub look: TextLook,
}

/// How letters look.
#[derive(Debug, Clone, PartialEq)]
pub struct TextLook {
    /// Font family.
    pub font: String,
    /// Size of the em square in layer pixels.
    pub size: f32,
    /// 100 (thin) to 900 (black).
    pub weight: u16,
    /// Slanted.
    pub is_italic: bool,
    /// Straight sRGB colour; none: as the text is filled.
    pub colour: Option<Rgba>,
    /// Extra space between letters in layer pixels.
    pub letter_spacing: f32,
}

/// What a text is painted with besides one colour. Its pixels are mixed by the workers, in the canvas's blend space.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TextEffects {
    /// Fills the letters, laid over the block of lines.
    pub gradient: Option<Gradient>,
    /// Around the letters, under their fill: as wide as it is seen.
    pub stroke: Option<Stroke>,
    /// Under fill and stroke.
    pub shadow: Option<TextShadow>,
    /// Where the colours are mixed.
    pub blend_space: BlendSpace,
}

/// The shadow of a text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextShadow {
    /// Straight sRGB colour.
    pub colour: Rgba,
    /// To the right and down, in layer pixels.
    pub offset: [f32; 2],
    /// Twice the standard deviation, in layer pixels, as CSS has it.
    pub blur: f32,
}

/// What a text can be taken apart into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum TextUnit {
    /// Letters, each with its marks.
    Glyph,
    /// What stands between white space.
    #[default]
    Word,
    /// Lines, as they are broken.
    Line,
}

/// What is known of a set text beyond its size.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Letters {
    /// The signs for which no font has a glyph, each once.
    pub missing: String,
    /// Its parts in the order in which they are read, if it was taken apart.
    pub parts: Vec<TextPart>,
    /// Width and height of the texture in layer pixels, if it was taken apart.
    pub texture: [f32; 2],
}

/// A part of a text that was taken apart, in layer pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TextPart {
    /// Where it lies in the texture.
    pub cell: Rect,
    /// Where its top left corner lies in the whole text, from the top left corner of the block.
    pub rest: [f32; 2],
}

/// Longest side of a text's texture in pixels; what would be larger is set at a smaller scale.
pub const TEXTURE_SIDE_MAX: f32 = 4096.0;

/// Horizontal alignment of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum Align {
    /// Flush with the side on which reading starts.
    Start,
    /// Flush left.
    #[default]
    Left,
    /// Centred.
    Center,
    /// Flush right.
    Right,
    /// Flush with the side on which reading ends.
    End,
}

/// In which direction the paragraphs of a text are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TextDirection)]
pub enum Direction {
    /// As the first letter of each paragraph has it.
    #[default]
    Auto,
    /// From left to right.
    Ltr,
    /// From right to left.
    Rtl,
}

impl TextRaster {
    /// Letters of one colour as plain as possible, of the default font at this size.
    pub fn plain(text: String, size: f32) -> Self {
        Self {
            text,
            spans: Vec::new(),
            font: "Inter".into(),
            size,
            weight: 400,
            is_italic: false,
            colour: Rgba::WHITE,
            line_height: 1.2,
            letter_spacing: 0.0,
            has_tabular_digits: false,
            align: Align::Left,
            direction: Direction::Auto,
            width: None,
            wrap: true,
            height: None,
            size_min: None,
            lines_max: None,
            has_ellipsis: false,
            effects: None,
            unit: None,
            scale: 1.0,
        }
    }

    /// How the letters look that are in no span.
    pub fn look(&self) -> TextLook {
        TextLook {
            font: self.font.clone(),
            size: self.size,
            weight: self.weight,
            is_italic: self.is_italic,
            colour: None,
            letter_spacing: self.letter_spacing,
        }
    }

    /// Layer pixels that the texture reaches beyond the measured block on each side, for slanted and swashed glyphs and
    /// tall accents, stroke and shadow; whole texture pixels.
    pub fn overhang(&self) -> f32 {
        let em = self.spans.iter().map(|span| span.look.size).fold(self.size, f32::max);
        ((((em * 0.25) + self.reach()) * self.scale).ceil() + 1.0) / self.scale
    }

    /// Layer pixels that stroke and shadow reach beyond the letters.
    pub fn reach(&self) -> f32 {
        let Some(effects) = &self.effects else { return 0.0 };
        let stroke = effects.stroke.map_or(0.0, |stroke| stroke.width);
        // Three standard deviations, where a shadow has faded to nothing.
        let shadow = |shadow: TextShadow| shadow.offset[0].abs().max(shadow.offset[1].abs()) + 1.5 * shadow.blur;
        stroke + effects.shadow.map_or(0.0, shadow)
    }
}

// Validation lets no NaN in, so equality of the floats is an equivalence.
impl Eq for TextRaster {}

impl Hash for TextRaster {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // What tells texts apart in practice; the rest is left to equality.
        (&self.text, &self.font, self.weight, self.colour, self.spans.len(), self.unit).hash(state);
        [self.size, self.scale, self.letter_spacing, self.width.unwrap_or(-1.0)].map(f32::to_bits).hash(state);
    }
}

/// What is known of a raster's pixels.
#[derive(Debug, Clone, PartialEq)]
pub enum Extent {
    /// Not decoded or shaped yet.
    Pending,
    /// Width and height in layer pixels: a picture's own size, or a text's measured block (without overhang).
    Ready([f32; 2]),
    /// It cannot be made; the text says why.
    Failed(Arc<str>),
}

/// What a scene needs to know of pictures and fonts.
///
/// An implementation must give the same answer for the same raster once it said `Ready`, and must not block.
pub trait Media {
    /// The natural size of a raster.
    fn extent(&self, raster: &Raster) -> Extent;

    /// When the frames of a picture change, if it is [`Extent::Ready`] and a moving one.
    fn timing(&self, asset: &Arc<str>) -> Option<Arc<Timing>> {
        let _ = asset;
        None
    }

    /// Asks for a raster that will be shown soon, so that it can be drawn in time.
    fn prefetch(&self, raster: &Raster) {
        // What is wrong with it is said when it is shown.
        let _ = self.extent(raster);
    }

    /// What is to be said of a text that is ready; `None` when there is nothing.
    fn letters(&self, _text: &Raster) -> Option<Arc<Letters>> {
        None
    }
}
