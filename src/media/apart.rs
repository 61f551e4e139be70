//! A text taken apart: its letters, words or lines laid side by side in one texture, so that each can be drawn alone.
//!
//! ```text
//!   AVA fi      ──►     A   V   A     each with the texture's overhang around it, so that nothing of it is cut
//!                       f   i         and nothing of its neighbours is in it
//! ```
//!
//! All in whole texture pixels, so that a part at rest is as crisp as the text is.

use std::collections::BTreeMap;

use glyphon::{Buffer, LayoutRun, cosmic_text::LayoutGlyph};

use crate::scene::{
    draw::{TEXTURE_SIDE_MAX, TextPart, TextRaster, TextUnit},
    geometry::Rect,
};

/// Width at which parts go on in the next row.
const ROW_WIDTH: i32 = 2048;

/// The parts of a text and where they lie.
#[derive(Debug)]
pub(super) struct Apart {
    /// Width and height of the texture.
    pub(super) size: [u32; 2],
    /// In the order in which they are read.
    pub(super) parts: Vec<Part>,
    /// The part of each glyph, by line and place in it; white space has none.
    of_glyphs: Vec<Vec<Option<usize>>>,
}

/// A part of a text, in texture pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// Its top left corner where the text is whole.
    pub(super) rest: [i32; 2],
    /// Its top left corner where the text is apart.
    pub(super) at: [i32; 2],
    pub(super) size: [i32; 2],
}

impl Part {
    /// How far it is moved from its place in the whole.
    pub(super) fn shift(&self) -> [i32; 2] {
        [0, 1].map(|i| self.at[i] - self.rest[i])
    }
}

impl Apart {
    /// The part of a glyph.
    pub(super) fn part(&self, line: usize, glyph: usize) -> Option<&Part> {
        let index = (*self.of_glyphs.get(line)?.get(glyph)?)?;
        self.parts.get(index)
    }

    /// The parts as scenes know them, and the size of the texture.
    pub(super) fn in_layer_pixels(&self, raster: &TextRaster) -> (Vec<TextPart>, [f32; 2]) {
        let layer = |v: i32| v as f32 / raster.scale;
        let part = |part: &Part| {
            let ([x, y], [w, h]) = (part.at.map(layer), part.size.map(layer));
            TextPart { cell: Rect::new(x, y, w, h), rest: part.rest.map(|v| layer(v) - raster.overhang()) }
        };
        (self.parts.iter().map(part).collect(), self.size.map(|side| layer(side as i32)))
    }

    /// Takes a text apart; `None` when one texture has no room for its parts.
    pub(super) fn of(raster: &TextRaster, unit: TextUnit, buffer: &Buffer) -> Option<Self> {
        let margin = (raster.overhang() * raster.scale).round() as i32;
        // By line and place in it: the order of reading, whatever the direction.
        let mut parts: BTreeMap<(usize, usize), Part> = BTreeMap::new();
        let mut keys = Vec::new();
        for (line, run) in buffer.layout_runs().enumerate() {
            let places = run.glyphs.iter().map(|glyph| Some((line, place(&run, glyph, unit)?)));
            let places: Vec<_> = places.collect();
            for (glyph, key) in run.glyphs.iter().zip(&places).filter_map(|(glyph, key)| Some((glyph, (*key)?))) {
                let seen = around(&run, glyph, margin);
                parts.entry(key).and_modify(|part| *part = joined(*part, seen)).or_insert(seen);
            }
            keys.push(places);
        }
        let order: BTreeMap<(usize, usize), usize> = parts.keys().copied().zip(0..).collect();
        let mut parts: Vec<Part> = parts.into_values().collect();
        let size = pack(&mut parts)?;
        let of_glyphs = keys.into_iter().map(|line| line.into_iter().map(|key| order.get(&key?).copied()).collect());
        Some(Self { size, parts, of_glyphs: of_glyphs.collect() })
    }
}

/// Which part of its line a glyph belongs to; none for white space.
fn place(run: &LayoutRun<'_>, glyph: &LayoutGlyph, unit: TextUnit) -> Option<usize> {
    // "…" stands for a part of the text that may be anything.
    let cluster = run.text.get(glyph.start..glyph.end).filter(|text| !text.is_empty()).unwrap_or("\u{2026}");
    if cluster.trim().is_empty() {
        return None;
    }
    Some(match unit {
        TextUnit::Glyph => glyph.start,
        TextUnit::Word => run.text.get(..glyph.end).map_or(glyph.start, |read| read.split_whitespace().count()),
        TextUnit::Line => 0,
    })
}

/// The box of a glyph with `margin` around it; the whole text has the same margin around its block.
fn around(run: &LayoutRun<'_>, glyph: &LayoutGlyph, margin: i32) -> Part {
    let (left, right) = (glyph.x.floor() as i32, (glyph.x + glyph.w).ceil() as i32);
    let (top, bottom) = (run.line_top.floor() as i32, (run.line_top + run.line_height).ceil() as i32);
    Part { rest: [left, top], at: [0, 0], size: [right - left + 2 * margin, bottom - top + 2 * margin] }
}

fn joined(a: Part, b: Part) -> Part {
    let rest = [0, 1].map(|i| a.rest[i].min(b.rest[i]));
    let size = [0, 1].map(|i| (a.rest[i] + a.size[i]).max(b.rest[i] + b.size[i]) - rest[i]);
    Part { rest, size, ..a }
}

/// Lays the parts in rows; the size of all, if a texture can have it.
fn pack(parts: &mut [Part]) -> Option<[u32; 2]> {
    let row_width = parts.iter().map(|part| part.size[0]).fold(ROW_WIDTH, i32::max);
    let (mut x, mut y, mut row, mut width) = (0, 0, 0, 1);
    for part in parts {
        if x > 0 && x + part.size[0] > row_width {
            (x, y, row) = (0, y + row, 0);
        }
        part.at = [x, y];
        x += part.size[0];
        row = row.max(part.size[1]);
        width = width.max(x);
    }
    let size = [width, (y + row).max(1)];
    size.iter().all(|&side| side as f32 <= TEXTURE_SIDE_MAX).then(|| size.map(|side| side as u32))
}
