//! Texts that are more than letters of one colour, painted pixel by pixel: several colours, gradient, stroke, shadow.
//!
//! ```text
//!  glyphs ─┬─ coverage and colour ──────────────────────┐ fill
//!          └─ outlines, stroked ── coverage ─┬──────────┤ over stroke   ──► straight pixels
//!                                            └─ blurred ┘ over shadow
//! ```
//!
//! Glyphs are rasterised as glyphon does it, with hinting and at quarters of a pixel, so that painted letters are as crisp as
//! plain ones and lie where those would. A stroke runs along the outline, twice as wide as it is seen, under the
//! fill; corners are round. Colours are mixed here in the canvas's blend space, for that is where the edges between fill,
//! stroke and shadow lie; gradients are interpolated there too, premultiplied, as those of shapes are. A letter covers
//! the letter before it, but letters of one colour do not show through each other.

use glyphon::{
    Buffer, FontSystem, SwashCache,
    cosmic_text::{CacheKey, SwashContent},
};
use zeno::{Join, Mask, Origin, Placement, Scratch, Vector};

use super::{
    apart::{Apart, Part},
    blur::blur,
    picture::Pixels,
};
use crate::{
    base::colour::Rgba,
    scene::{
        BlendSpace,
        draw::{Fill, Stop, TextEffects, TextRaster},
    },
};

/// A text to be painted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Job<'a> {
    pub(super) raster: &'a TextRaster,
    pub(super) effects: &'a TextEffects,
    /// Width and height of the block in layer pixels.
    pub(super) block: [f32; 2],
    /// The lines in texture pixels.
    pub(super) buffer: &'a Buffer,
    /// Where its parts go, if it is taken apart.
    pub(super) apart: Option<&'a Apart>,
}

impl Job<'_> {
    fn size(&self) -> [u32; 2] {
        self.apart.map_or_else(|| self.raster.texture_size(self.block), |apart| apart.size)
    }

    /// How far a glyph is moved; `None` for one that is in no part.
    fn shift(&self, line: usize, glyph: usize) -> Option<[i32; 2]> {
        self.apart.map_or(Some([0, 0]), |apart| apart.part(line, glyph).map(Part::shift))
    }

    /// What is painted, and how far it is moved.
    fn regions(&self) -> Vec<(Area, [i32; 2])> {
        let area = |[left, top]: [i32; 2], [width, height]: [u32; 2]| Area { left, top, width, height };
        let Some(apart) = self.apart else { return vec![(area([0, 0], self.size()), [0, 0])] };
        let region = |part: &Part| (area(part.at, part.size.map(|side| side as u32)), part.shift());
        apart.parts.iter().map(region).collect()
    }
}

/// What rasterises glyphs.
#[derive(Debug)]
pub(super) struct Painter {
    swash: SwashCache,
}

impl Default for Painter {
    fn default() -> Self {
        Self { swash: SwashCache::new() }
    }
}

impl Painter {
    /// The text's texture.
    pub(super) fn paint(&mut self, job: &Job<'_>, system: &mut FontSystem) -> Pixels {
        let mut planes = Planes::new(job.size());
        let start = job.raster.overhang() * job.raster.scale;
        let stroke = job.effects.stroke.map(|stroke| 2.0 * stroke.width * job.raster.scale);
        for (line, run) in job.buffer.layout_runs().enumerate() {
            for (i, glyph) in run.glyphs.iter().enumerate() {
                let Some([dx, dy]) = job.shift(line, i) else { continue };
                let physical = glyph.physical((start, start), 1.0);
                let place = [physical.x + dx, physical.y + run.line_y.round() as i32 + dy];
                self.fill(&mut planes, system, physical.cache_key, place, glyph.metadata as u8);
                if let Some(width) = stroke {
                    self.stroke(&mut planes, system, physical.cache_key, place, width);
                }
            }
        }
        mix(job, &planes)
    }

    fn fill(&mut self, planes: &mut Planes, system: &mut FontSystem, key: CacheKey, [x, y]: [i32; 2], owner: u8) {
        let Some(image) = self.swash.get_image_uncached(system, key) else { return };
        let (left, top) = (x + image.placement.left, y - image.placement.top);
        let area = Area { left, top, width: image.placement.width, height: image.placement.height };
        match image.content {
            SwashContent::Color => planes.picture(area, &image.data),
            SwashContent::Mask => planes.letter(area, &image.data, owner),
            // Not asked for.
            SwashContent::SubpixelMask => {}
        }
    }

    fn stroke(&mut self, planes: &mut Planes, system: &mut FontSystem, key: CacheKey, [x, y]: [i32; 2], width: f32) {
        let Some(outline) = self.swash.get_outline_commands_uncached(system, key) else { return };
        let mut style = zeno::Stroke::new(width);
        style.join(Join::Round);
        let offset = Vector::new(key.x_bin.as_float(), key.y_bin.as_float());
        let mut scratch = Scratch::new();
        let (mask, placement) = Mask::with_scratch(&*outline, &mut scratch)
            .origin(Origin::BottomLeft)
            .style(style)
            .offset(offset)
            .render_offset(offset)
            // Measures first: without it zeno 0.3 places an image that starts at the bottom as if it had no height.
            .inspect(|_, _, _| ())
            .render();
        let Placement { left, top, width, height } = placement;
        planes.around(Area { left: x + left, top: y - top, width, height }, &mask);
    }
}

/// Where an image lies on the planes.
#[derive(Debug, Clone, Copy)]
struct Area {
    left: i32,
    top: i32,
    width: u32,
    height: u32,
}

impl Area {
    /// Index in the image and index on planes of `size` of every pixel that is on both.
    fn pixels(self, size: [usize; 2]) -> impl Iterator<Item = (usize, usize)> {
        let [w, h] = size.map(|side| side as i64);
        let (left, top) = (i64::from(self.left), i64::from(self.top));
        let rows = (-top).max(0)..i64::from(self.height).min(h - top);
        let columns = (-left).max(0)..i64::from(self.width).min(w - left);
        let index = move |row: i64, column: i64| {
            ((row * i64::from(self.width) + column) as usize, ((top + row) * w + left + column) as usize)
        };
        rows.flat_map(move |row| columns.clone().map(move |column| index(row, column)))
    }
}

/// What covers each pixel of the texture.
struct Planes {
    size: [usize; 2],
    /// By letters.
    fill: Vec<u8>,
    /// Number of the look of the letter that covers it most.
    owner: Vec<u8>,
    /// By the lines along the letters.
    stroke: Vec<u8>,
    /// Colour emoji, straight; empty without any.
    picture: Vec<[u8; 4]>,
}

impl Planes {
    fn new([width, height]: [u32; 2]) -> Self {
        let size = [width as usize, height as usize];
        let plane = || vec![0; size[0] * size[1]];
        Self { size, fill: plane(), owner: plane(), stroke: plane(), picture: Vec::new() }
    }

    fn letter(&mut self, area: Area, mask: &[u8], owner: u8) {
        for (from, to) in area.pixels(self.size) {
            if mask[from] > 0 && mask[from] >= self.fill[to] {
                self.owner[to] = owner;
            }
            self.fill[to] = either(self.fill[to], mask[from]);
        }
    }

    fn around(&mut self, area: Area, mask: &[u8]) {
        for (from, to) in area.pixels(self.size) {
            self.stroke[to] = either(self.stroke[to], mask[from]);
        }
    }

    fn picture(&mut self, area: Area, pixels: &[u8]) {
        self.picture.resize(self.fill.len(), [0; 4]);
        for (from, to) in area.pixels(self.size) {
            let pixel = [0, 1, 2, 3].map(|i| pixels[from * 4 + i]);
            if pixel[3] >= self.picture[to][3] {
                self.picture[to] = pixel;
            }
        }
    }

    /// What casts a shadow: all of it.
    fn solid(&self, i: usize) -> u8 {
        let drawn = either(self.fill[i], self.stroke[i]);
        self.picture.get(i).map_or(drawn, |pixel| either(drawn, pixel[3]))
    }
}

/// What two independent coverages cover together.
fn either(a: u8, b: u8) -> u8 {
    (255 - (u32::from(255 - a) * u32::from(255 - b) + 127) / 255) as u8
}

/// Premultiplied red, green, blue and alpha in the blend space.
type Paint = [f32; 4];

fn mix(job: &Job<'_>, planes: &Planes) -> Pixels {
    let space = job.effects.blend_space;
    let [width, height] = planes.size;
    let inks: Vec<Ink> = std::iter::once(Ink::of_text(job)).chain(spans(job)).collect();
    let stroke = job.effects.stroke.map(|stroke| premultiplied(stroke.colour, space));
    let shadow = job.effects.shadow.map(|shadow| (premultiplied(shadow.colour, space), shade(job, planes)));
    let start = job.raster.overhang();
    let mut bytes = vec![0; width * height * 4];
    for (area, [dx, dy]) in job.regions() {
        for (_, i) in area.pixels(planes.size) {
            let mut paint = shadow.as_ref().map_or([0.0; 4], |(colour, shade)| scaled(*colour, shade[i]));
            if let Some(stroke) = stroke {
                // Under the whole letter, so that nothing shines through where fill and stroke meet.
                paint = over(scaled(stroke, either(planes.stroke[i], planes.fill[i])), paint);
            }
            if planes.fill[i] > 0 {
                let place = [(i % width) as i32 - dx, (i / width) as i32 - dy];
                let at = place.map(|v| (v as f32 + 0.5) / job.raster.scale - start);
                let ink = inks.get(usize::from(planes.owner[i])).unwrap_or(&inks[0]);
                paint = over(scaled(ink.at(at), planes.fill[i]), paint);
            }
            if let Some(&[r, g, b, a]) = planes.picture.get(i) {
                paint = over(premultiplied(Rgba::new(r, g, b, a), space), paint);
            }
            bytes[i * 4..][..4].copy_from_slice(&straight(paint, space));
        }
    }
    Pixels::new(width as u32, height as u32, bytes)
}

fn spans<'a>(job: &Job<'a>) -> impl Iterator<Item = Ink> + use<'a> {
    let (text, space) = (Ink::of_text(job), job.effects.blend_space);
    let ink =
        move |colour: Option<Rgba>| colour.map_or(text.clone(), |colour| Ink::Plain(premultiplied(colour, space)));
    job.raster.spans.iter().map(move |span| ink(span.look.colour))
}

/// The shadow's coverage: that of what casts it, moved and blurred.
fn shade(job: &Job<'_>, planes: &Planes) -> Vec<u8> {
    let Some(shadow) = job.effects.shadow else { return Vec::new() };
    let scale = job.raster.scale;
    let [dx, dy] = shadow.offset.map(|v| (v * scale).round() as i32);
    let solid: Vec<u8> = (0..planes.fill.len()).map(|i| planes.solid(i)).collect();
    let [width, height] = planes.size;
    let mut shade = vec![0; solid.len()];
    let area = Area { left: dx, top: dy, width: width as u32, height: height as u32 };
    area.pixels(planes.size).for_each(|(from, to)| shade[to] = solid[from]);
    blur(&mut shade, planes.size, shadow.blur * scale / 2.0);
    shade
}

/// What letters are filled with.
#[derive(Debug, Clone)]
enum Ink {
    Plain(Paint),
    Linear { from: [f32; 2], rate: [f32; 2], stops: Vec<(f32, Paint)> },
    Radial { centre: [f32; 2], radii: [f32; 2], stops: Vec<(f32, Paint)> },
}

impl Ink {
    fn of_text(job: &Job<'_>) -> Self {
        let space = job.effects.blend_space;
        let Some(gradient) = &job.effects.gradient else { return Self::Plain(premultiplied(job.raster.colour, space)) };
        let painted = |stops: Vec<Stop>| stops.iter().map(|s| (s.offset, premultiplied(s.colour, space))).collect();
        match gradient.over(job.block) {
            Fill::Solid(colour) => Self::Plain(premultiplied(colour, space)),
            Fill::Radial { centre, radii, stops } => Self::Radial { centre, radii, stops: painted(stops) },
            Fill::Linear { from, to, stops } => {
                let way = [to[0] - from[0], to[1] - from[1]];
                let square = (way[0] * way[0] + way[1] * way[1]).max(f32::MIN_POSITIVE);
                Self::Linear { from, rate: way.map(|v| v / square), stops: painted(stops) }
            }
        }
    }

    /// The paint at a point of the block, in layer pixels.
    fn at(&self, p: [f32; 2]) -> Paint {
        match self {
            Self::Plain(paint) => *paint,
            Self::Linear { from, rate, stops } => along(stops, (p[0] - from[0]) * rate[0] + (p[1] - from[1]) * rate[1]),
            Self::Radial { centre, radii, stops } => {
                along(stops, ((p[0] - centre[0]) / radii[0]).hypot((p[1] - centre[1]) / radii[1]))
            }
        }
    }
}

/// The paint at an offset of a gradient.
fn along(stops: &[(f32, Paint)], offset: f32) -> Paint {
    let next = stops.partition_point(|&(stop, _)| stop <= offset);
    let (Some(&(before, a)), Some(&(after, b))) = (stops.get(next.saturating_sub(1)), stops.get(next)) else {
        return stops.last().map_or([0.0; 4], |&(_, paint)| paint);
    };
    let part = ((offset - before) / (after - before).max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
    std::array::from_fn(|i| a[i] + (b[i] - a[i]) * part)
}

fn scaled(paint: Paint, cover: u8) -> Paint {
    let part = f32::from(cover) / 255.0;
    paint.map(|v| v * part)
}

fn over(above: Paint, below: Paint) -> Paint {
    std::array::from_fn(|i| above[i] + below[i] * (1.0 - above[3]))
}

fn premultiplied(colour: Rgba, space: BlendSpace) -> Paint {
    let [r, g, b, a] = colour.to_f32();
    let [r, g, b] = match space {
        BlendSpace::Srgb => [r, g, b],
        BlendSpace::Linear => [r, g, b].map(light_from_encoded),
    };
    [r * a, g * a, b * a, a]
}

fn straight(paint: Paint, space: BlendSpace) -> [u8; 4] {
    let [r, g, b, a] = paint;
    if a <= 0.0 {
        return [0; 4];
    }
    let encoded = match space {
        BlendSpace::Srgb => [r, g, b].map(|v| v / a),
        BlendSpace::Linear => [r, g, b].map(|v| encoded_from_light(v / a)),
    };
    [encoded[0], encoded[1], encoded[2], a].map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8)
}

/// IEC 61966-2-1, both 0 to 1.
fn light_from_encoded(encoded: f32) -> f32 {
    if encoded <= 0.04045 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) }
}

fn encoded_from_light(light: f32) -> f32 {
    if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        media::{
            fonts::Fonts,
            text::{Ink as Shaped, Shaper, tests::plain},
        },
        scene::{
            content::{Gradient, GradientKind, Stop as GradientStop},
            draw::{Stroke, TextLook, TextShadow, TextSpan, TextUnit},
        },
    };

    const RED: Rgba = Rgba::new(255, 0, 0, 255);
    const BLUE: Rgba = Rgba::new(0, 0, 255, 255);

    /// A block glyph of the fallback font: solid from edge to edge.
    fn painted(text: &str, edit: impl FnOnce(&mut TextRaster, &mut TextEffects)) -> (Pixels, TextRaster) {
        let mut raster = TextRaster { font: "DejaVu Sans".into(), size: 40.0, ..plain(text) };
        let mut effects = TextEffects::default();
        edit(&mut raster, &mut effects);
        raster.effects = Some(Arc::new(effects));
        let fonts = Fonts::bundled();
        let shaped = Shaper::new(&fonts).shape(&raster, &fonts);
        let Shaped::Pixels(pixels) = shaped.ink() else { panic!("painted") };
        if raster.unit.is_none() {
            assert_eq!([pixels.width(), pixels.height()], raster.texture_size(shaped.block()));
        }
        (pixels.clone(), raster)
    }

    fn pixel(pixels: &Pixels, x: usize, y: usize) -> [u8; 4] {
        let at = (y * pixels.width() as usize + x) * 4;
        pixels.bytes()[at..at + 4].try_into().unwrap()
    }

    fn middle_row(pixels: &Pixels) -> Vec<[u8; 4]> {
        (0..pixels.width() as usize).map(|x| pixel(pixels, x, pixels.height() as usize / 2)).collect()
    }

    fn count(row: &[[u8; 4]], colour: [u8; 4]) -> usize {
        row.iter().filter(|&&pixel| pixel == colour).count()
    }

    #[test]
    fn a_stroke_is_as_wide_as_it_says_and_outside() {
        let (plain, _) = painted("\u{2588}", |_, _| ());
        let (stroked, raster) =
            painted("\u{2588}", |_, effects| effects.stroke = Some(Stroke { colour: RED, width: 6.0 }));
        let (plain, stroked) = (middle_row(&plain), middle_row(&stroked));
        let white = count(&plain, [255; 4]);
        assert!(white > 20);
        assert_eq!(count(&stroked, [255; 4]), white, "the fill is untouched");
        let red = stroked.iter().filter(|pixel| pixel[..3] == [255, 0, 0] && pixel[3] > 0).count();
        assert!((12..=14).contains(&red), "6 px on each side, and parts of pixels: {red}");
        assert!(raster.reach() == 6.0 && stroked[0] == [0; 4]);
    }

    #[test]
    fn a_shadow_lies_where_it_was_moved_and_fades_by_its_blur() {
        let hard = |effects: &mut TextEffects, blur| {
            effects.shadow = Some(TextShadow { colour: BLUE, offset: [50.0, 0.0], blur });
        };
        let (sharp, raster) = painted("\u{2588}", |_, effects| hard(effects, 0.0));
        let start = (raster.overhang() * raster.scale) as usize;
        let row = middle_row(&sharp);
        let first = |row: &[[u8; 4]], colour: [u8; 4]| row.iter().position(|&pixel| pixel == colour).unwrap();
        assert_eq!(first(&row, [0, 0, 255, 255]) - first(&row, [255; 4]), 50);
        assert!(first(&row, [255; 4]) - start <= 1);
        let (soft, raster) = painted("\u{2588}", |_, effects| hard(effects, 20.0));
        assert_eq!(raster.reach(), 80.0);
        let alphas: Vec<u8> =
            middle_row(&soft).iter().filter(|pixel| pixel[2] == 255 && pixel[0] == 0).map(|p| p[3]).collect();
        assert!(alphas.windows(2).filter(|pair| pair[0] > pair[1]).count() > 15, "it fades: {alphas:?}");
        assert_eq!(middle_row(&soft).last(), Some(&[0; 4]), "and has faded where the texture ends");
    }

    #[test]
    fn a_gradient_lies_over_the_block() {
        let stops = [(0.0, RED), (1.0, BLUE)].map(|(offset, color)| GradientStop { offset, color }).to_vec();
        let gradient = Gradient { kind: GradientKind::Linear, angle: 90.0, stops };
        let (pixels, _) = painted("\u{2588}\u{2588}\u{2588}\u{2588}", |_, effects| effects.gradient = Some(gradient));
        let row: Vec<_> = middle_row(&pixels).into_iter().filter(|pixel| pixel[3] == 255).collect();
        assert!(row[0][0] > 250 && row[row.len() - 1][2] > 250, "{:?} {:?}", row[0], row[row.len() - 1]);
        let middle = row[row.len() / 2];
        assert!(middle[0].abs_diff(128) < 4 && middle[2].abs_diff(128) < 4, "{middle:?}");
    }

    #[test]
    fn edges_mix_in_the_blend_space() {
        // Half of a red letter over blue is half of each: of the values, or of the light.
        let mix = |space| straight(over(scaled(premultiplied(RED, space), 128), premultiplied(BLUE, space)), space);
        assert_eq!(mix(BlendSpace::Srgb), [128, 0, 127, 255]);
        assert_eq!(mix(BlendSpace::Linear), [188, 0, 187, 255]);
    }

    #[test]
    fn each_run_has_its_colour() {
        let (pixels, _) = painted("\u{2588}\u{2588}", |raster, _| {
            let look = TextLook { colour: Some(RED), ..raster.look() };
            raster.spans = vec![TextSpan { end: 3, look }];
        });
        let row = middle_row(&pixels);
        assert!(count(&row, [255, 0, 0, 255]) > 20 && count(&row, [255; 4]) > 20);
    }

    /// Put together again, the parts are the text: each pixel of the whole is a pixel of the one part that has it.
    #[test]
    fn parts_are_painted_as_the_whole_is() {
        let stops = [(0.0, RED), (1.0, BLUE)].map(|(offset, color)| GradientStop { offset, color }).to_vec();
        let gradient = Gradient { kind: GradientKind::Linear, angle: 90.0, stops };
        let edit = |unit| {
            let gradient = gradient.clone();
            move |raster: &mut TextRaster, effects: &mut TextEffects| {
                raster.unit = unit;
                effects.gradient = Some(gradient);
            }
        };
        let text = "two \u{2588}\nlines";
        let (whole, _) = painted(text, edit(None));
        let (apart, raster) = painted(text, edit(Some(TextUnit::Word)));
        let fonts = Fonts::bundled();
        let shaped = Shaper::new(&fonts).shape(&raster, &fonts);
        let mut built = vec![0; whole.bytes().len()];
        for part in &shaped.letters().parts {
            let rest = part.rest.map(|v| (v + raster.overhang()).round() as usize);
            for y in 0..part.cell.h as usize {
                for x in 0..part.cell.w as usize {
                    let from = pixel(&apart, part.cell.x as usize + x, part.cell.y as usize + y);
                    let at = ((rest[1] + y) * whole.width() as usize + rest[0] + x) * 4;
                    if from[3] > 0 {
                        built[at..at + 4].copy_from_slice(&from);
                    }
                }
            }
        }
        assert!(built == whole.bytes(), "the parts are not the whole");
    }
}
