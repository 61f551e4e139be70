//! Texts into shaped lines.
//!
//! ```text
//!  text ──► paragraphs ──► glyphs of the face ──► lines within `width` ──► aligned ──► ShapedText
//! ```
//!
//! A text is shaped at the size at which it is shown (`size * scale`), so its glyphs are hinted for the texture's
//! pixels. Letter spacing is added after every letter, the last one included, and switches ligatures off: both as CSS
//! has it.

use glyphon::{
    Attrs, Buffer, FontSystem, Metrics, Shaping, Wrap,
    cosmic_text::{Align as Alignment, CacheKeyFlags, FeatureTag, FontFeatures},
};

use super::fonts::{DEFAULT_FAMILY, Face, Fonts};
use crate::scene::draw::{Align, TextRaster};

/// A text laid out in texture pixels, ready to be drawn.
#[derive(Debug)]
pub struct ShapedText {
    buffer: Buffer,
    block: [f32; 2],
    glyphs: usize,
}

impl ShapedText {
    /// The lines and their glyphs, in texture pixels from the block's top left corner.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// Width and height of the block in layer pixels: the wanted width or that of the longest line, and the height of
    /// all lines.
    pub fn block(&self) -> [f32; 2] {
        self.block
    }

    /// Roughly the bytes it occupies.
    pub(crate) fn cost(&self) -> u64 {
        // A glyph is held twice, as shaped and as laid out.
        (1024 + self.glyphs * 320) as u64
    }
}

/// Shapes `raster` with `fonts`; an unknown family is replaced by [`DEFAULT_FAMILY`].
pub(crate) fn shape(raster: &TextRaster, fonts: &Fonts, system: &mut FontSystem) -> ShapedText {
    let family = fonts.family(&raster.font).unwrap_or(DEFAULT_FAMILY);
    let face = fonts.face(family, raster.weight, raster.is_italic);
    let em = raster.size * raster.scale;
    let line = em * raster.line_height;
    let mut buffer = Buffer::new_empty(Metrics::new(em, line));
    buffer.set_wrap(if raster.wrap && raster.width.is_some() { Wrap::WordOrGlyph } else { Wrap::None });
    buffer.set_size(raster.width.map(|width| width * raster.scale), None);
    buffer.set_text(&raster.text, &attributes(raster, face), Shaping::Advanced, Some(alignment(raster.align)));
    buffer.shape_until_scroll(system, false);
    let longest = longest_line(&buffer);
    if raster.width.is_none() {
        // Lines are aligned to each other within the longest of them, which is known only now.
        buffer.set_size(Some(longest), None);
        buffer.shape_until_scroll(system, false);
    }
    let lines = buffer.layout_runs().count();
    let glyphs = buffer.layout_runs().map(|run| run.glyphs.len()).sum();
    let width = raster.width.unwrap_or(longest / raster.scale);
    ShapedText { buffer, block: [width, lines as f32 * raster.size * raster.line_height], glyphs }
}

fn longest_line(buffer: &Buffer) -> f32 {
    buffer.layout_runs().map(|run| run.line_w).fold(0.0, f32::max)
}

fn alignment(align: Align) -> Alignment {
    match align {
        Align::Left => Alignment::Left,
        Align::Center => Alignment::Center,
        Align::Right => Alignment::Right,
    }
}

fn attributes<'a>(raster: &TextRaster, face: Face<'a>) -> Attrs<'a> {
    let flags = if face.is_slanted { CacheKeyFlags::FAKE_ITALIC } else { CacheKeyFlags::empty() };
    let attributes = Attrs::new()
        .family(glyphon::Family::Name(face.family))
        .weight(face.weight)
        .style(face.style)
        .cache_key_flags(flags);
    if raster.letter_spacing == 0.0 {
        return attributes;
    }
    let mut features = FontFeatures::new();
    features.disable(FeatureTag::STANDARD_LIGATURES).disable(FeatureTag::CONTEXTUAL_LIGATURES);
    attributes.letter_spacing(raster.letter_spacing / raster.size).font_features(features)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::base::colour::Rgba;

    /// A text as plain as possible.
    pub(crate) fn plain(text: &str) -> TextRaster {
        TextRaster {
            text: text.into(),
            font: "Inter".into(),
            size: 20.0,
            weight: 400,
            is_italic: false,
            colour: Rgba::WHITE,
            line_height: 1.2,
            letter_spacing: 0.0,
            align: Align::Left,
            width: None,
            wrap: true,
            scale: 1.0,
        }
    }

    fn block(raster: &TextRaster) -> [f32; 2] {
        let fonts = Fonts::bundled();
        shape(raster, &fonts, &mut fonts.system()).block()
    }

    fn starts(raster: &TextRaster) -> Vec<f32> {
        let fonts = Fonts::bundled();
        let shaped = shape(raster, &fonts, &mut fonts.system());
        shaped.buffer().layout_runs().map(|run| run.glyphs.first().map_or(0.0, |glyph| glyph.x)).collect()
    }

    #[test]
    fn height_is_lines_times_line_height() {
        assert_eq!(block(&plain("one"))[1], 24.0);
        assert_eq!(block(&plain("one\ntwo\nthree"))[1], 72.0);
        assert_eq!(block(&TextRaster { line_height: 2.0, ..plain("a\nb") })[1], 80.0);
        assert_eq!(block(&plain("")), [0.0, 24.0], "an empty text has one line");
    }

    #[test]
    fn width_is_the_longest_line_or_what_was_asked() {
        let one = block(&plain("wide line"))[0];
        assert_eq!(block(&plain("i\nwide line\ni"))[0], one);
        assert_eq!(block(&TextRaster { width: Some(300.0), ..plain("i") })[0], 300.0);
    }

    #[test]
    fn wrapping_is_at_the_width() {
        let raster = TextRaster { width: Some(100.0), ..plain("several words that do not fit") };
        let lines = |raster: &TextRaster| (block(raster)[1] / 24.0).round();
        assert!(lines(&raster) >= 3.0);
        assert_eq!(lines(&TextRaster { wrap: false, ..raster.clone() }), 1.0);
        assert_eq!(lines(&TextRaster { width: Some(10_000.0), ..raster }), 1.0);
    }

    #[test]
    fn lines_align_within_the_block() {
        let two = |align| TextRaster { align, ..plain("wide wide line\ni") };
        let (all, short) = (block(&two(Align::Left))[0], block(&plain("i"))[0]);
        assert_eq!(starts(&two(Align::Left)), [0.0, 0.0]);
        for (align, x) in [(Align::Center, (all - short) / 2.0), (Align::Right, all - short)] {
            let starts = starts(&two(align));
            assert!(starts[0].abs() < 0.01 && (starts[1] - x).abs() < 0.01, "{align:?} {starts:?} {x}");
        }
    }

    /// Three letters at 10 px spacing are 30 px wider, at any scale.
    #[test]
    fn letter_spacing_is_in_layer_pixels() {
        for scale in [1.0, 2.0] {
            let tight = TextRaster { scale, ..plain("abc") };
            let wide = TextRaster { letter_spacing: 10.0, ..tight.clone() };
            assert!((block(&wide)[0] - block(&tight)[0] - 30.0).abs() < 0.01, "at scale {scale}");
        }
    }

    #[test]
    fn the_block_hardly_depends_on_the_scale() {
        let [w1, h1] = block(&plain("Hardly different"));
        let [w2, h2] = block(&TextRaster { scale: 3.0, ..plain("Hardly different") });
        assert_eq!(h1, h2);
        assert!((w1 - w2).abs() < 0.01 * w1, "{w1} {w2}");
    }

    #[test]
    fn unknown_families_are_inter_and_weights_differ() {
        assert_eq!(block(&TextRaster { font: "Nonesuch".into(), ..plain("abc") }), block(&plain("abc")));
        let bold = TextRaster { weight: 700, ..plain("abc") };
        assert!(block(&bold)[0] > block(&plain("abc"))[0]);
        assert_eq!(block(&TextRaster { font: "inter".into(), weight: 800, ..bold.clone() }), block(&bold));
    }

    /// Inter has no snowman; the fallback family has, at every weight.
    #[test]
    fn missing_characters_come_from_the_fallback_family() {
        let fonts = Fonts::bundled();
        let mut system = fonts.system();
        for weight in [400, 700] {
            let shaped = shape(&TextRaster { weight, ..plain("\u{2603}") }, &fonts, &mut system);
            let glyphs: Vec<_> = shaped.buffer().layout_runs().flat_map(|run| run.glyphs).collect();
            assert!(glyphs.iter().all(|glyph| glyph.glyph_id != 0), "at weight {weight}");
        }
    }
}
