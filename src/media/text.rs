//! Texts into shaped lines.
//!
//! ```text
//!  text ──► pieces of one face ──► paragraphs ──► lines within `width` ──► fitted, cut ──► aligned ──► ShapedText
//! ```
//!
//! A text is shaped at the size at which it is shown (`size * scale`), so its glyphs are hinted for the texture's
//! pixels. Letter spacing is added after every letter, the last one included, and switches ligatures off: both as CSS
//! has it. All styles of a text are shaped together and stand on one baseline; where one has a letter that its font
//! lacks, the other fonts are asked. Fitting and cutting try sizes and lengths by halving, so a text is shaped some ten
//! times at most.

use std::ops::Range;

use glyphon::{
    Attrs, Buffer, Family, FontSystem, Metrics, Shaping, Style, Weight, Wrap,
    cosmic_text::{Align as Alignment, CacheKeyFlags, Ellipsize, EllipsizeHeightLimit, FeatureTag, FontFeatures},
};
use unicode_segmentation::UnicodeSegmentation;

use super::{
    apart::Apart,
    emoji,
    fonts::{DEFAULT_FAMILY, EMOJI_FAMILY, Fonts},
    paint::{self, Painter},
    picture::Pixels,
};
use crate::scene::{
    BlendSpace,
    draw::{Align, Direction, Letters, TextEffects, TextLook, TextRaster},
};

/// Steps of the sizes that are tried to fit a text, in layer pixels.
const FIT_STEP: f32 = 0.5;
/// What a line may be longer than its room, in texture pixels: rounding of sums.
const SLACK: f32 = 0.01;
/// A text of one colour, painted because it is taken apart; there is nothing to mix.
const PLAIN: TextEffects = TextEffects { gradient: None, stroke: None, shadow: None, blend_space: BlendSpace::Srgb };
/// Signs without a glyph that are named.
const MISSING_MAX: usize = 16;

/// A text laid out in texture pixels, ready to be drawn.
#[derive(Debug)]
pub struct ShapedText {
    ink: Ink,
    block: [f32; 2],
    glyphs: usize,
    letters: Letters,
}

/// What there is to draw of a text.
#[derive(Debug)]
pub enum Ink {
    /// Lines and their glyphs, in texture pixels from the block's top left corner, all of the raster's colour.
    Lines(Buffer),
    /// The whole texture, painted already.
    Pixels(Pixels),
}

impl ShapedText {
    /// What there is to draw.
    pub fn ink(&self) -> &Ink {
        &self.ink
    }

    /// Width and height of the block in layer pixels: the wanted width or that of the longest line, and the height of
    /// all lines.
    pub fn block(&self) -> [f32; 2] {
        self.block
    }

    /// What is known of it beyond its size.
    pub fn letters(&self) -> &Letters {
        &self.letters
    }

    /// Roughly the bytes it occupies.
    pub(crate) fn cost(&self) -> u64 {
        // A glyph is held twice, as shaped and as laid out.
        let ink = match &self.ink {
            Ink::Lines(_) => self.glyphs * 320,
            Ink::Pixels(pixels) => pixels.bytes().len(),
        };
        (1024 + ink) as u64
    }
}

/// A worker's tools for texts.
#[derive(Debug)]
pub(crate) struct Shaper {
    system: FontSystem,
    painter: Painter,
}

impl Shaper {
    pub(crate) fn new(fonts: &Fonts) -> Self {
        Self { system: fonts.system(), painter: Painter::default() }
    }

    /// Shapes `raster` with `fonts`; an unknown family is replaced by [`DEFAULT_FAMILY`].
    pub(crate) fn shape(&mut self, raster: &TextRaster, fonts: &Fonts) -> ShapedText {
        let mut setting = Setting { raster, fonts, system: &mut self.system, factor: 1.0 };
        setting.factor = setting.fitted();
        let lines = setting.limited();
        let lines = setting.align(lines);
        let block = [raster.width.unwrap_or(lines.longest / raster.scale), lines.height];
        let glyphs = lines.buffer.layout_runs().map(|run| run.glyphs.len()).sum();
        let mut letters = Letters { missing: missing(&lines.buffer), ..Letters::default() };
        let apart = raster.unit.and_then(|unit| Apart::of(raster, unit, &lines.buffer));
        let ink = if raster.effects.is_none() && apart.is_none() {
            Ink::Lines(lines.buffer)
        } else {
            let effects = raster.effects.as_deref().unwrap_or(&PLAIN);
            let job = paint::Job { raster, effects, block, buffer: &lines.buffer, apart: apart.as_ref() };
            Ink::Pixels(self.painter.paint(&job, &mut self.system))
        };
        if let Some(apart) = &apart {
            (letters.parts, letters.texture) = apart.in_layer_pixels(raster);
        }
        ShapedText { ink, block, glyphs, letters }
    }
}

/// How much of a text is set.
#[derive(Debug, Clone, Copy)]
struct Cut {
    end: usize,
    has_ellipsis: bool,
}

/// A text that was laid out.
struct Lines {
    buffer: Buffer,
    count: usize,
    /// Width of the longest line in texture pixels.
    longest: f32,
    /// Height of all lines in layer pixels.
    height: f32,
}

/// A text being set.
struct Setting<'a> {
    raster: &'a TextRaster,
    fonts: &'a Fonts,
    system: &'a mut FontSystem,
    /// Multiplies all sizes.
    factor: f32,
}

impl Setting<'_> {
    /// The largest factor of the text's sizes at which it fits, down to the smallest one that is allowed.
    fn fitted(&mut self) -> f32 {
        let (size, Some(size_min)) = (self.raster.size, self.raster.size_min) else { return 1.0 };
        let steps = ((size - size_min) / FIT_STEP).ceil() as usize;
        let factor = |step: usize| (size - step as f32 * FIT_STEP).max(size_min) / size;
        let too_large = partition_point(steps, |step| {
            self.factor = factor(step);
            !self.fits()
        });
        factor(too_large)
    }

    /// Whether all of the text has room without a line being cut or a word broken.
    fn fits(&mut self) -> bool {
        let wrap = if self.wrap() == Wrap::None { Wrap::None } else { Wrap::Word };
        let lines = self.lay_out(self.whole(), wrap, Ellipsize::None);
        let width = self.raster.width.map_or(f32::INFINITY, |width| width * self.raster.scale);
        let height = self.raster.height.unwrap_or(f32::INFINITY);
        lines.longest <= width + SLACK && lines.height <= height + SLACK && lines.count <= self.lines_max()
    }

    /// The lines that have room.
    fn limited(&mut self) -> Lines {
        let lines = self.shortened(self.whole());
        if self.has_room(&lines) {
            return lines;
        }
        let end = if self.raster.has_ellipsis { self.end_for_ellipsis() } else { self.end_of_lines(&lines) };
        self.shortened(self.cut(end))
    }

    /// Where the longest start of the text ends that has room with "…" after it.
    fn end_for_ellipsis(&mut self) -> usize {
        let ends: Vec<usize> = self.raster.text.grapheme_indices(true).map(|(start, _)| start).collect();
        let too_long = partition_point(ends.len(), |i| {
            let lines = self.shortened(self.cut(ends[i]));
            self.has_room(&lines)
        });
        too_long.checked_sub(1).map_or(0, |last| ends[last])
    }

    /// Where the last line ends of those that are allowed.
    fn end_of_lines(&self, lines: &Lines) -> usize {
        let Some(run) = lines.buffer.layout_runs().nth(self.lines_max() - 1) else { return self.raster.text.len() };
        let before: usize = self.raster.text.split_inclusive('\n').take(run.line_i).map(str::len).sum();
        let end = run.glyphs.iter().map(|glyph| glyph.end).max().unwrap_or(0);
        let mark = mark(self.raster.direction).map_or(0, str::len);
        self.raster.text.floor_char_boundary(before + end.saturating_sub(mark))
    }

    fn has_room(&self, lines: &Lines) -> bool {
        // Without "…" the box cuts what is too high.
        let height = self.raster.height.filter(|_| self.raster.has_ellipsis).unwrap_or(f32::INFINITY);
        lines.count <= 1 || lines.count <= self.lines_max() && lines.height <= height + SLACK
    }

    fn lines_max(&self) -> usize {
        self.raster.lines_max.map_or(usize::MAX, |lines| lines.max(1) as usize)
    }

    fn whole(&self) -> Cut {
        Cut { end: self.raster.text.len(), has_ellipsis: false }
    }

    fn cut(&self, end: usize) -> Cut {
        let has_ellipsis = self.raster.has_ellipsis;
        let end = if has_ellipsis { self.raster.text[..end].trim_end().len() } else { end };
        Cut { end, has_ellipsis }
    }

    fn wrap(&self) -> Wrap {
        if self.raster.wrap && self.raster.width.is_some() { Wrap::WordOrGlyph } else { Wrap::None }
    }

    /// Lines that are too long are wrapped, or end in "…" where the text is set so.
    fn shortened(&mut self, cut: Cut) -> Lines {
        let is_ellipsized = self.raster.has_ellipsis && self.wrap() == Wrap::None;
        let one = Ellipsize::End(EllipsizeHeightLimit::Lines(1));
        self.lay_out(cut, self.wrap(), if is_ellipsized { one } else { Ellipsize::None })
    }

    fn lay_out(&mut self, cut: Cut, wrap: Wrap, ellipsize: Ellipsize) -> Lines {
        let raster = self.raster;
        let mut buffer = Buffer::new_empty(self.metrics(raster.size));
        buffer.set_wrap(wrap);
        buffer.set_ellipsize(ellipsize);
        buffer.set_size(raster.width.map(|width| width * raster.scale), None);
        let (own, align) = (self.attributes(&raster.look(), 0), alignment(raster.align));
        match self.pieces(cut).as_slice() {
            [] => buffer.set_text("", &own, Shaping::Advanced, align),
            [(text, attributes)] => buffer.set_text(text, attributes, Shaping::Advanced, align),
            pieces => buffer.set_rich_text(pieces.iter().cloned(), &own, Shaping::Advanced, align),
        }
        buffer.shape_until_scroll(self.system, false);
        let count = buffer.layout_runs().count();
        let longest = buffer.layout_runs().map(|run| run.line_w).fold(0.0, f32::max);
        // A line is as high as its largest style wants it; counted in lines of the text's own size, whole numbers stay so.
        let line = self.metrics(raster.size).line_height;
        let heights: f32 = buffer.layout_runs().map(|run| run.line_height / line).sum();
        let height = heights * (raster.size * self.factor * raster.line_height);
        Lines { buffer, count, longest, height }
    }

    /// Lines are aligned to each other within the longest of them, which is known only when they are laid out.
    fn align(&mut self, mut lines: Lines) -> Lines {
        if self.raster.width.is_none() {
            lines.buffer.set_size(Some(lines.longest), None);
            lines.buffer.shape_until_scroll(self.system, false);
        }
        lines
    }

    fn metrics(&self, size: f32) -> Metrics {
        let em = size * self.factor * self.raster.scale;
        Metrics::new(em, em * self.raster.line_height)
    }

    /// The text in parts of one style and one kind of sign.
    fn pieces(&self, cut: Cut) -> Vec<(&str, Attrs<'_>)> {
        let raster = self.raster;
        let mark = mark(raster.direction);
        let mut pieces = Vec::new();
        let mut is_line_start = true;
        for (range, look, index) in self.looks(cut.end) {
            let own = self.attributes(&look, index);
            for line in raster.text[range.clone()].split_inclusive('\n') {
                pieces.extend(mark.filter(|_| is_line_start).map(|mark| (mark, own.clone())));
                pieces.extend(emoji::split(line).map(|(part, is_emoji)| (part, kind(own.clone(), is_emoji))));
                is_line_start = line.ends_with('\n');
            }
            if cut.has_ellipsis && range.end == cut.end {
                pieces.push(("\u{2026}", own));
            }
        }
        pieces
    }

    /// The parts of the text up to `end`, how each looks, and its number: 0 is the text's own look.
    fn looks(&self, end: usize) -> Vec<(Range<usize>, TextLook, usize)> {
        let mut looks = Vec::new();
        let mut start = 0;
        for (i, span) in self.raster.spans.iter().enumerate() {
            let span_end = span.end.min(end);
            if start < span_end {
                looks.push((start..span_end, span.look.clone(), i + 1));
                start = span_end;
            }
        }
        if start < end || looks.is_empty() {
            looks.push((start..end, self.raster.look(), 0));
        }
        looks
    }

    fn attributes(&self, look: &TextLook, index: usize) -> Attrs<'_> {
        let family = self.fonts.family(&look.font).unwrap_or(DEFAULT_FAMILY);
        let face = self.fonts.face(family, look.weight, look.is_italic);
        let flags = if face.is_slanted { CacheKeyFlags::FAKE_ITALIC } else { CacheKeyFlags::empty() };
        let mut attributes = Attrs::new()
            .family(Family::Name(face.family))
            .weight(face.weight)
            .style(face.style)
            .cache_key_flags(flags)
            .metadata(index);
        if look.size != self.raster.size {
            attributes = attributes.metrics(self.metrics(look.size));
        }
        let mut features = FontFeatures::new();
        if look.letter_spacing != 0.0 {
            features.disable(FeatureTag::STANDARD_LIGATURES).disable(FeatureTag::CONTEXTUAL_LIGATURES);
            attributes = attributes.letter_spacing(look.letter_spacing / look.size);
        }
        if self.raster.has_tabular_digits {
            features.enable(FeatureTag::new(b"tnum"));
        }
        attributes.font_features(features)
    }
}

/// An invisible letter of a direction: at the start of a paragraph it decides for it.
fn mark(direction: Direction) -> Option<&'static str> {
    match direction {
        Direction::Auto => None,
        Direction::Ltr => Some("\u{200E}"),
        Direction::Rtl => Some("\u{200F}"),
    }
}

/// Colour emoji come from their own font, whatever the style.
fn kind(own: Attrs<'_>, is_emoji: bool) -> Attrs<'_> {
    if !is_emoji {
        return own;
    }
    let upright = CacheKeyFlags::empty();
    own.family(Family::Name(EMOJI_FAMILY)).weight(Weight::NORMAL).style(Style::Normal).cache_key_flags(upright)
}

/// How many of the first numbers below `len` are `is_before`, which is so for the first ones and not for the others.
fn partition_point(len: usize, mut is_before: impl FnMut(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if is_before(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// The signs that got no glyph, each once.
fn missing(buffer: &Buffer) -> String {
    let mut signs = String::new();
    for run in buffer.layout_runs() {
        for glyph in run.glyphs.iter().filter(|glyph| glyph.glyph_id == 0) {
            let cluster = run.text.get(glyph.start..glyph.end).unwrap_or_default();
            let is_seen = |sign: &char| !sign.is_control() && !sign.is_whitespace();
            for sign in cluster.chars().filter(is_seen) {
                if !signs.contains(sign) && signs.chars().count() < MISSING_MAX {
                    signs.push(sign);
                }
            }
        }
    }
    signs
}

fn alignment(align: Align) -> Option<Alignment> {
    match align {
        Align::Start => None,
        Align::Left => Some(Alignment::Left),
        Align::Center => Some(Alignment::Center),
        Align::Right => Some(Alignment::Right),
        Align::End => Some(Alignment::End),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::scene::draw::{TextPart, TextSpan, TextUnit};

    /// A text as plain as possible.
    pub(crate) fn plain(text: &str) -> TextRaster {
        TextRaster::plain(text.into(), 20.0)
    }

    fn shaped(raster: &TextRaster) -> ShapedText {
        let fonts = Fonts::bundled();
        Shaper::new(&fonts).shape(raster, &fonts)
    }

    fn lines(shaped: &ShapedText) -> &Buffer {
        let Ink::Lines(buffer) = shaped.ink() else { panic!("a painted text") };
        buffer
    }

    /// The lines as they are written.
    fn written(raster: &TextRaster) -> Vec<String> {
        let shaped = shaped(raster);
        let line = |run: glyphon::LayoutRun<'_>| {
            let ends = run.glyphs.iter().map(|glyph| glyph.end).max().unwrap_or(0);
            let starts = run.glyphs.iter().map(|glyph| glyph.start).min().unwrap_or(0);
            run.text[starts..ends].to_owned()
        };
        lines(&shaped).layout_runs().map(line).collect()
    }

    fn block(raster: &TextRaster) -> [f32; 2] {
        shaped(raster).block()
    }

    fn starts(raster: &TextRaster) -> Vec<f32> {
        lines(&shaped(raster)).layout_runs().map(|run| run.glyphs.first().map_or(0.0, |glyph| glyph.x)).collect()
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
        let mut shaper = Shaper::new(&fonts);
        for weight in [400, 700] {
            let shaped = shaper.shape(&TextRaster { weight, ..plain("\u{2603}") }, &fonts);
            let glyphs: Vec<_> = lines(&shaped).layout_runs().flat_map(|run| run.glyphs).collect();
            assert!(glyphs.iter().all(|glyph| glyph.glyph_id != 0), "at weight {weight}");
        }
    }
    fn sized(text: &str, width: f32, height: Option<f32>) -> TextRaster {
        TextRaster { width: Some(width), height, ..plain(text) }
    }

    const LONG: &str = "one two three four five six seven eight nine ten";

    #[test]
    fn lines_beyond_the_most_are_left_out() {
        let raster = TextRaster { lines_max: Some(2), ..sized(LONG, 100.0, None) };
        let all = written(&sized(LONG, 100.0, None));
        assert!(all.len() > 3);
        let kept: Vec<_> = written(&raster).iter().map(|line| line.trim_end().to_owned()).collect();
        assert_eq!(kept, all[..2]);
        assert_eq!(block(&raster), [100.0, 48.0]);
        for direction in [Direction::Auto, Direction::Ltr] {
            let three = TextRaster { lines_max: Some(2), direction, ..plain("a\n\u{e9}\u{1F600} b\nc") };
            assert_eq!(block(&three), block(&TextRaster { text: "a\n\u{e9}\u{1F600} b".into(), ..three.clone() }));
            assert_eq!(block(&three)[1], 48.0);
        }
    }

    #[test]
    fn an_ellipsis_stands_for_what_has_no_room() {
        let cut = |raster| TextRaster { has_ellipsis: true, ..raster };
        let two = written(&TextRaster { lines_max: Some(2), ..cut(sized(LONG, 100.0, None)) });
        assert!(two.len() == 2 && two[1].ends_with('\u{2026}'), "{two:?}");
        assert!(!two[1].ends_with(" \u{2026}"), "{two:?}");
        // Three lines of 24 px have room in 80 px.
        let by_height = written(&cut(sized(LONG, 100.0, Some(80.0))));
        assert!(by_height.len() == 3 && by_height[2].ends_with('\u{2026}'), "{by_height:?}");
        let paragraphs = written(&TextRaster { lines_max: Some(2), ..cut(plain("a\nb\nc")) });
        assert_eq!(paragraphs, ["a", "b\u{2026}"]);
        assert_eq!(written(&cut(sized("one", 100.0, Some(10.0)))), ["one"], "one line is always there");
        assert_eq!(written(&cut(sized(LONG, 1000.0, Some(80.0)))), [LONG], "and nothing is cut that has room");
    }

    #[test]
    fn a_line_that_is_not_wrapped_ends_in_an_ellipsis() {
        let raster = TextRaster { has_ellipsis: true, wrap: false, ..sized(LONG, 100.0, None) };
        let shaped = shaped(&raster);
        let run = lines(&shaped).layout_runs().next().unwrap();
        assert!(run.line_w <= 100.0 && run.line_w > 80.0, "{}", run.line_w);
        let whole = TextRaster { wrap: false, ..sized(LONG, 100.0, None) };
        let whole = self::shaped(&whole);
        assert!(run.glyphs.len() < lines(&whole).layout_runs().next().unwrap().glyphs.len());
    }

    #[test]
    fn a_text_shrinks_to_the_largest_size_that_fits() {
        let size = |raster: &TextRaster| {
            let shaped = shaped(raster);
            lines(&shaped).layout_runs().next().unwrap().glyphs[0].font_size / raster.scale
        };
        let fit = |raster: TextRaster| TextRaster { size_min: Some(8.0), ..raster };
        let line = |width| fit(TextRaster { wrap: false, ..sized("Broadcasting", width, None) });
        let natural = block(&plain("Broadcasting"))[0];
        assert_eq!(size(&line(natural + 1.0)), 20.0);
        let half = size(&line(natural / 2.0));
        assert!((9.0..=10.0).contains(&half) && half % FIT_STEP == 0.0, "{half}");
        assert!(block(&TextRaster { width: None, size: half + FIT_STEP, ..plain("Broadcasting") })[0] > natural / 2.0);
        assert_eq!(size(&line(1.0)), 8.0, "not below the smallest");
        // Wrapped, it shrinks until the lines fit into the height, and no word is broken for it.
        let box_ = fit(sized(LONG, 120.0, Some(50.0)));
        assert!(size(&box_) < 20.0 && block(&box_)[1] <= 50.0, "{} {:?}", size(&box_), block(&box_));
        let word = fit(sized("Broadcasting", natural * 0.7, Some(500.0)));
        assert_eq!(written(&word), ["Broadcasting"]);
        // At every scale the same.
        assert_eq!(size(&TextRaster { scale: 2.0, ..box_.clone() }), size(&box_));
    }

    #[test]
    fn tabular_digits_are_equally_wide() {
        let width = |text, has_tabular_digits| block(&TextRaster { has_tabular_digits, ..plain(text) })[0];
        assert!(width("1111", false) < width("0000", false) - 1.0);
        assert_eq!(width("1111", true), width("0000", true));
    }

    #[test]
    fn styles_stand_on_one_baseline_and_wrap_together() {
        let look = |raster: &TextRaster, size| TextLook { size, ..raster.look() };
        let mut raster = plain("small LARGE small");
        raster.spans =
            vec![TextSpan { end: 6, look: look(&raster, 20.0) }, TextSpan { end: 11, look: look(&raster, 60.0) }];
        let rich = shaped(&raster);
        let run = lines(&rich).layout_runs().next().unwrap();
        assert!(run.glyphs.iter().all(|glyph| glyph.y == 0.0), "they have one line");
        let sizes: std::collections::BTreeSet<u32> = run.glyphs.iter().map(|glyph| glyph.font_size as u32).collect();
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [20, 60]);
        assert_eq!(rich.block()[1], 72.0, "as high as the largest");
        let narrow = TextRaster { width: Some(rich.block()[0] - 40.0), ..raster };
        assert_eq!(lines(&shaped(&narrow)).layout_runs().count(), 2);
    }

    #[test]
    fn the_direction_follows_the_letters_or_the_document() {
        let first = |text: &str, align, direction| {
            let raster = TextRaster { align, direction, width: Some(400.0), ..plain(text) };
            starts(&raster)[0]
        };
        // Hebrew starts on the right; a forced direction moves the start of Latin there, too.
        assert!(first("\u{5E9}\u{5DC}\u{5D5}\u{5DD}", Align::Start, Direction::Auto) > 300.0);
        assert!(first("shalom", Align::Start, Direction::Auto) < 1.0);
        assert!(first("shalom", Align::Start, Direction::Rtl) > 300.0);
        assert!(first("shalom", Align::End, Direction::Auto) > 300.0);
        assert!(first("\u{5E9}\u{5DC}", Align::Start, Direction::Ltr) < 1.0);
        let rtl = shaped(&TextRaster { direction: Direction::Rtl, ..plain("abc") });
        assert_eq!(
            (rtl.letters().missing.as_str(), rtl.block()[0].round()),
            ("", block(&plain("abc"))[0].round()),
            "the mark is not seen"
        );
    }

    /// The bundled faces have Arabic and Hebrew letters, joined as they must be, and colour emoji.
    #[test]
    fn scripts_and_emoji_of_the_bundled_fonts() {
        for text in [
            "\u{645}\u{631}\u{62D}\u{628}\u{627}",
            "\u{5E9}\u{5DC}\u{5D5}\u{5DD}",
            "\u{1F600}\u{1F469}\u{200D}\u{1F4BB}",
        ] {
            assert_eq!(shaped(&plain(text)).letters().missing, "", "{text}");
        }
        let glyphs = |text| lines(&shaped(&plain(text))).layout_runs().map(|run| run.glyphs.len()).sum::<usize>();
        assert_eq!(glyphs("\u{1F469}\u{200D}\u{1F4BB}"), 1, "a woman, a joiner and a computer are one picture");
        assert_eq!(block(&plain("\u{1F600}")), [20.0, 24.0]);
    }

    #[test]
    fn signs_without_a_glyph_are_named_once() {
        assert_eq!(shaped(&plain("caf\u{e9}\t\n \u{3}")).letters().missing, "");
        assert_eq!(shaped(&plain("\u{6F22}a\u{5B57}\u{6F22}")).letters().missing, "\u{6F22}\u{5B57}");
    }

    fn parts(text: &str, unit: TextUnit) -> Vec<TextPart> {
        shaped(&TextRaster { unit: Some(unit), ..plain(text) }).letters().parts.clone()
    }

    #[test]
    fn a_text_is_taken_apart() {
        let text = "To be,\nor not";
        assert_eq!([TextUnit::Glyph, TextUnit::Word, TextUnit::Line].map(|unit| parts(text, unit).len()), [10, 4, 2]);
        let overhang = plain(text).overhang();
        let words = parts(text, TextUnit::Word);
        assert_eq!(words[0].rest, [-overhang, -overhang]);
        assert!(words[1].rest[0] > 15.0 && words[2].rest == [-overhang, 24.0 - overhang], "{words:?}");
        for (i, a) in words.iter().enumerate() {
            assert!(words[i + 1..].iter().all(|b| a.cell.intersect(b.cell).is_empty()), "they lie side by side");
        }
        assert!(parts("\u{1F469}\u{200D}\u{1F4BB}e\u{301}", TextUnit::Glyph).len() == 2);
        // Read from right to left, the first word is on the right.
        let hebrew = parts("\u{5E9}\u{5DC}\u{5D5}\u{5DD} \u{5E2}\u{5D5}\u{5DC}\u{5DD}", TextUnit::Word);
        assert!(hebrew[0].rest[0] > hebrew[1].rest[0]);
        assert_eq!(parts(" \n ", TextUnit::Word), []);
    }

    #[test]
    fn what_no_texture_has_room_for_stays_whole() {
        let raster = TextRaster { size: 1000.0, unit: Some(TextUnit::Glyph), ..plain("too large to be taken apart") };
        let shaped = shaped(&raster);
        assert!(shaped.letters().parts.is_empty() && matches!(shaped.ink(), Ink::Lines(_)));
    }
}
