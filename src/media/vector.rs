//! Vector pictures: SVG into pixels, by resvg.
//!
//! ```text
//!  bytes ──► XML ──► census: how much all references unfold to ──► usvg tree ──► cost in pixels ──► Pixels
//! ```
//!
//! Texts are set with the bundled fonts. Nothing but the document is read: no files, no network, no embedded pictures,
//! no compressed SVGZ. A document is small and can still ask for endless work, by uses of uses, patterns of patterns,
//! or a thousand layers of the whole picture; so what it unfolds to is counted before anything is made of it, and the
//! pixels it would touch before it is drawn. Scripts and animations are ignored.

use std::{collections::HashMap, sync::Arc};

use resvg::{
    tiny_skia::{Pixmap, Transform},
    usvg::{
        self, ImageHrefResolver, Options, Tree,
        roxmltree::{self, Document, Node, ParsingOptions},
    },
};

use super::{
    fonts::{DEFAULT_FAMILY, Fonts},
    picture::Pixels,
};

/// Longest document, in bytes.
const BYTES_MAX: usize = 1 << 20;
/// Most XML nodes.
const NODES_MAX: u32 = 100_000;
/// Deepest nesting of elements, references followed.
const DEPTH_MAX: u32 = 64;
/// Most elements once all references are followed; a letter, or 64 bytes of attributes or other text, count as one more.
const ELEMENTS_MAX: u64 = 100_000;
/// Bytes of text that count as an element.
const ELEMENT_BYTES: usize = 64;
/// A dashed line may fall into as many pieces as this many elements.
const DASHED_ELEMENTS: u64 = 1000;
/// Longest side of the picture in its own units.
const NATURAL_MAX: f32 = 65_536.0;
/// Longest side in pixels of what stands in for a picture until it is drawn for the size at which it is shown.
const STAND_IN_SIDE: f32 = 512.0;
/// Most pixels touched, layers and filters included: 16 times 4096 x 4096, some seconds of one core.
const COST_MAX: f64 = (1u64 << 28) as f64;
/// What a filter primitive takes for each pixel, beside filling it: a blur of 4096 x 4096 as measured.
const FILTER_PASSES: f64 = 16.0;
/// Elements that cannot be shown, and why.
const REFUSED: &[(&str, &str)] = &[
    ("image", "embedded pictures are not drawn; put the picture into a layer of its own"),
    ("feImage", "embedded pictures are not drawn; put the picture into a layer of its own"),
    ("feTurbulence", "its cost has no bound; draw the texture as a picture"),
    ("feMorphology", "its cost has no bound; use a stroke"),
    ("feConvolveMatrix", "its cost has no bound; use feGaussianBlur"),
];

/// Why a document is not a picture.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{asset}` has {len} bytes: an SVG of {BYTES_MAX} is allowed; simplify it")]
    TooLong { asset: String, len: usize },
    #[error("`{asset}` is not UTF-8 text; save it as plain SVG")]
    Encoding { asset: String },
    #[error("`{asset}` defines entities; save it as plain SVG")]
    Entities { asset: String },
    #[error("`{asset}` is not SVG: {source}")]
    Xml { asset: String, source: roxmltree::Error },
    #[error("`{asset}` is nested more than {DEPTH_MAX} elements deep, references followed; simplify it")]
    TooDeep { asset: String },
    #[error("`{asset}` unfolds to more than {ELEMENTS_MAX} elements; simplify it")]
    TooLarge { asset: String },
    #[error("`{asset}`: the element `{id}` refers to itself")]
    Circular { asset: String, id: String },
    #[error("`{asset}` has a `{name}`: {reason}")]
    Refused { asset: String, name: String, reason: &'static str },
    #[error("`{asset}` is not SVG: {source}")]
    Svg { asset: String, source: usvg::Error },
    #[error("`{asset}` is {width}x{height}: {NATURAL_MAX} on a side are allowed; set a smaller width and height")]
    Size { asset: String, width: f32, height: f32 },
    #[error("`{asset}` takes too long to draw at this size: it has too many large layers or filters; simplify it")]
    Cost { asset: String },
}

/// Draws the document `bytes`, stretched to `size`, or small, if only its own size is wanted.
pub(crate) fn rasterise(asset: &str, bytes: &[u8], size: Option<[u32; 2]>, fonts: &Fonts) -> Result<Pixels, Error> {
    let tree = parse(asset, bytes, fonts)?;
    let natural = [tree.size().width(), tree.size().height()];
    if natural.iter().any(|side| *side > NATURAL_MAX) {
        return Err(Error::Size { asset: asset.into(), width: natural[0], height: natural[1] });
    }
    let [width, height] = size.unwrap_or_else(|| stand_in_size(natural));
    let scale = [width as f32 / natural[0], height as f32 / natural[1]];
    let canvas =
        Canvas { pixels: f64::from(width) * f64::from(height), density: f64::from(scale[0]) * f64::from(scale[1]) };
    if canvas.cost(tree.root()) > COST_MAX {
        return Err(Error::Cost { asset: asset.into() });
    }
    let mut pixmap = Pixmap::new(width, height).unwrap_or_else(|| unreachable!("sides are 1 to 4096"));
    resvg::render(&tree, Transform::from_scale(scale[0], scale[1]), &mut pixmap.as_mut());
    let straight = pixmap.pixels().iter().flat_map(|pixel| {
        let pixel = pixel.demultiply();
        [pixel.red(), pixel.green(), pixel.blue(), pixel.alpha()]
    });
    Ok(Pixels::new(width, height, straight.collect()).with_natural_size(natural))
}

/// The pixels for a picture of which only the size is wanted: its own, if that is small.
fn stand_in_size(natural: [f32; 2]) -> [u32; 2] {
    let scale = (STAND_IN_SIDE / natural[0].max(natural[1])).min(1.0);
    natural.map(|side| (side * scale).ceil().max(1.0) as u32)
}

fn parse(asset: &str, bytes: &[u8], fonts: &Fonts) -> Result<Tree, Error> {
    let asset_name = || asset.to_owned();
    if bytes.len() > BYTES_MAX {
        return Err(Error::TooLong { asset: asset_name(), len: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| Error::Encoding { asset: asset_name() })?;
    // Editors write document types, which are harmless without entities.
    if text.contains("<!ENTITY") {
        return Err(Error::Entities { asset: asset_name() });
    }
    let parsing = ParsingOptions { allow_dtd: true, nodes_limit: NODES_MAX, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, parsing);
    let document = document.map_err(|source| Error::Xml { asset: asset_name(), source })?;
    Census::of(asset, &document)?;
    Tree::from_xmltree(&document, &options(fonts)).map_err(|source| Error::Svg { asset: asset_name(), source })
}

fn options(fonts: &Fonts) -> Options<'static> {
    Options {
        font_family: DEFAULT_FAMILY.into(),
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        fontdb: Arc::new(fonts.database().clone()),
        ..Options::default()
    }
}

/// Counts what a document unfolds to when every reference is replaced by what it refers to.
struct Census<'a, 'input> {
    asset: &'a str,
    /// All elements of each id: which of several is meant is the parser's affair.
    ids: HashMap<&'a str, Vec<Node<'a, 'input>>>,
    /// What is known of each node.
    weights: Vec<Weight>,
}

#[derive(Debug, Clone, Copy)]
enum Weight {
    Unknown,
    /// It is being counted further up.
    Open,
    Known {
        elements: u64,
        height: u32,
    },
}

impl<'a, 'input> Census<'a, 'input> {
    fn of(asset: &'a str, document: &'a Document<'input>) -> Result<(), Error> {
        let elements = || document.descendants().filter(Node::is_element);
        let mut ids: HashMap<&str, Vec<Node<'_, '_>>> = HashMap::new();
        for node in elements() {
            if let Some((name, reason)) = REFUSED.iter().find(|(name, _)| *name == node.tag_name().name()) {
                return Err(Error::Refused { asset: asset.into(), name: (*name).into(), reason });
            }
            if let Some(id) = node.attribute("id") {
                ids.entry(id).or_default().push(node);
            }
        }
        let mut census = Self { asset, ids, weights: vec![Weight::Unknown; document.descendants().count()] };
        let (mut total, _) = census.weigh(document.root_element(), 1)?;
        // A style sheet may hang its references on any element, that of another one included.
        let sheets: String =
            elements().filter(|node| node.tag_name().name() == "style").filter_map(|n| n.text()).collect();
        let mut named: Vec<_> = references(&sheets).collect();
        named.sort_unstable();
        named.dedup();
        for id in named {
            let (elements, _) = census.weigh_targets(id, 1, |node| !node.tag_name().name().ends_with("Gradient"))?;
            total = total.saturating_mul(1 + elements);
        }
        if total > ELEMENTS_MAX { Err(Error::TooLarge { asset: asset.into() }) } else { Ok(()) }
    }

    /// Elements below and including `node`, references followed, and how deep they are nested.
    fn weigh(&mut self, node: Node<'a, 'input>, depth: u32) -> Result<(u64, u32), Error> {
        let index = node.id().get_usize();
        match self.weights[index] {
            Weight::Known { elements, height } => return self.judge(elements, height, depth),
            Weight::Open => {
                let id = node.attribute("id").unwrap_or_default().into();
                return Err(Error::Circular { asset: self.asset.into(), id });
            }
            Weight::Unknown => self.weights[index] = Weight::Open,
        }
        if depth > DEPTH_MAX {
            return Err(Error::TooDeep { asset: self.asset.into() });
        }
        let (mut elements, mut height) = (own_elements(node), 1);
        let mut add = |(more, below): (u64, u32)| {
            elements += more;
            height = height.max(1 + below);
        };
        for attribute in node.attributes() {
            let target = if attribute.name() == "href" { attribute.value().strip_prefix('#') } else { None };
            let is_followed =
                !matches!(node.tag_name().name(), "a" | "animate" | "animateMotion" | "animateTransform" | "set");
            for id in target.filter(|_| is_followed).into_iter().chain(references(attribute.value())) {
                add(self.weigh_targets(id, depth + 1, |_| true)?);
            }
        }
        for child in node.children().filter(Node::is_element) {
            add(self.weigh(child, depth + 1)?);
        }
        self.weights[index] = Weight::Known { elements, height };
        self.judge(elements, height, depth)
    }

    fn weigh_targets(
        &mut self,
        id: &str,
        depth: u32,
        is_counted: fn(&Node<'_, '_>) -> bool,
    ) -> Result<(u64, u32), Error> {
        let mut sum = (0, 0);
        for node in self.ids.get(id).cloned().unwrap_or_default().into_iter().filter(is_counted) {
            let (elements, height) = self.weigh(node, depth)?;
            sum = (sum.0 + elements, sum.1.max(height));
        }
        Ok(sum)
    }

    fn judge(&self, elements: u64, height: u32, depth: u32) -> Result<(u64, u32), Error> {
        if elements > ELEMENTS_MAX {
            return Err(Error::TooLarge { asset: self.asset.into() });
        }
        if depth + height - 1 > DEPTH_MAX {
            return Err(Error::TooDeep { asset: self.asset.into() });
        }
        Ok((elements, height))
    }
}

/// What an element counts for, without its children.
fn own_elements(node: Node<'_, '_>) -> u64 {
    let text: usize = node.children().filter(Node::is_text).filter_map(|text| text.text()).map(str::len).sum();
    let is_set = matches!(node.tag_name().name(), "text" | "tspan" | "textPath" | "a");
    // Each letter that is set becomes a path.
    let letters = if is_set { text as u64 } else { 0 };
    let attributes: usize = node.attributes().map(|attribute| attribute.value().len()).sum();
    let is_dashed = node.attributes().any(|a| a.name() == "stroke-dasharray" || a.value().contains("stroke-dasharray"));
    1 + letters + ((text + attributes) / ELEMENT_BYTES) as u64 + if is_dashed { DASHED_ELEMENTS } else { 0 }
}

/// The ids in all `url(#id)` of an attribute or a style sheet.
fn references(text: &str) -> impl Iterator<Item = &str> {
    text.split("url(").skip(1).filter_map(|rest| {
        let inside = rest.split(')').next()?;
        inside.trim_matches(|c: char| c.is_whitespace() || c == '"' || c == '\'').strip_prefix('#')
    })
}

/// The picture that is drawn into, to reckon what that costs.
struct Canvas {
    pixels: f64,
    /// Pixels for each square unit of the document.
    density: f64,
}

impl Canvas {
    /// Pixels that drawing a group touches.
    fn cost(&self, group: &usvg::Group) -> f64 {
        let layers = f64::from(u8::from(group.should_isolate()))
            + group.clip_path().map_or(0.0, |_| 1.0)
            + group.mask().map_or(0.0, |_| 2.0)
            + group.filters().iter().map(|filter| filter.primitives().len() as f64 * FILTER_PASSES).sum::<f64>();
        let area = self.area(group.abs_layer_bounding_box().to_rect());
        let behind = group.clip_path().map_or(0.0, |clip| self.clip_cost(clip, area))
            + group.mask().map_or(0.0, |mask| self.mask_cost(mask, area));
        layers * area + behind + group.children().iter().map(|node| self.node_cost(node)).sum::<f64>()
    }

    /// `area`: pixels of the group that is clipped.
    fn clip_cost(&self, clip: &usvg::ClipPath, area: f64) -> f64 {
        area + clip.clip_path().map_or(0.0, |clip| self.clip_cost(clip, area)) + self.cost(clip.root())
    }

    /// `area`: pixels of the group that is masked.
    fn mask_cost(&self, mask: &usvg::Mask, area: f64) -> f64 {
        2.0 * area + mask.mask().map_or(0.0, |mask| self.mask_cost(mask, area)) + self.cost(mask.root())
    }

    fn node_cost(&self, node: &usvg::Node) -> f64 {
        match node {
            usvg::Node::Group(group) => self.cost(group),
            usvg::Node::Text(text) => self.cost(text.flattened()),
            usvg::Node::Image(_) => 0.0,
            usvg::Node::Path(path) => {
                let paints =
                    path.fill().map(usvg::Fill::paint).into_iter().chain(path.stroke().map(usvg::Stroke::paint));
                let patterns = paints.map(|paint| match paint {
                    usvg::Paint::Pattern(pattern) => self.pixels + self.cost(pattern.root()),
                    _ => 0.0,
                });
                self.area(path.abs_stroke_bounding_box()) + patterns.sum::<f64>()
            }
        }
    }

    fn area(&self, bounds: usvg::Rect) -> f64 {
        (f64::from(bounds.width()) * f64::from(bounds.height()) * self.density).min(self.pixels)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draw(body: &str, size: Option<[u32; 2]>) -> Result<Pixels, Error> {
        let text = format!("<svg xmlns='http://www.w3.org/2000/svg' width='20' height='10'>{body}</svg>");
        rasterise("a.svg", text.as_bytes(), size, &Fonts::bundled())
    }

    fn refused(body: &str) -> String {
        draw(body, None).unwrap_err().to_string()
    }

    fn pixel(pixels: &Pixels, x: u32, y: u32) -> [u8; 4] {
        let at = (y * pixels.width() + x) as usize * 4;
        pixels.bytes()[at..at + 4].try_into().unwrap()
    }

    #[test]
    fn shapes_are_drawn_at_any_size() {
        let body = "<rect x='10' width='10' height='10' fill='#f00' fill-opacity='.5'/>";
        let pixels = draw(body, None).unwrap();
        assert_eq!((pixels.width(), pixels.height(), pixels.natural_size()), (20, 10, [20.0, 10.0]));
        assert_eq!(
            (pixel(&pixels, 9, 5), pixel(&pixels, 10, 5)),
            ([0; 4], [255, 0, 0, 128]),
            "straight, not premultiplied"
        );
        let large = draw(body, Some([200, 30])).unwrap();
        assert_eq!((large.width(), large.height(), large.natural_size()), (200, 30, [20.0, 10.0]));
        assert_eq!((pixel(&large, 99, 29)[3], pixel(&large, 100, 29)[3]), (0, 128));
    }

    #[test]
    fn texts_are_set_with_bundled_fonts() {
        for family in ["Inter", "Playfair Display", "Nonesuch"] {
            let pixels = draw(&format!("<text y='9' font-size='10' font-family='{family}'>MM</text>"), None).unwrap();
            assert!(pixels.bytes().chunks_exact(4).filter(|pixel| pixel[3] > 128).count() > 20, "{family}");
        }
    }

    #[test]
    fn what_is_not_a_picture_says_why() {
        assert!(refused("<g>").starts_with("`a.svg` is not SVG: "));
        assert!(refused("<image href='/etc/passwd'/>").contains("embedded pictures are not drawn"));
        assert!(
            refused("<g filter='url(#f)'/><filter id='f'><feTurbulence numOctaves='999999999'/></filter>")
                .contains("no bound")
        );
        let fonts = Fonts::bundled();
        let of = |bytes: &[u8]| rasterise("a.svg", bytes, None, &fonts).unwrap_err().to_string();
        assert!(of(b"\x1f\x8b\x08").contains("not UTF-8"));
        assert!(of(b"<!DOCTYPE svg [<!ENTITY a 'a'>]><svg/>").contains("defines entities"));
        assert!(of(&vec![b' '; BYTES_MAX + 1]).contains("1048577 bytes"));
        assert!(of(b"<svg xmlns='http://www.w3.org/2000/svg' width='0' height='10'/>").contains("not SVG"));
    }

    #[test]
    fn nesting_is_limited_and_what_is_allowed_is_drawn() {
        let nested = |depth: usize| {
            format!("{}<rect width='9' height='9'/>{}", "<g opacity='.9'>".repeat(depth), "</g>".repeat(depth))
        };
        assert!(draw(&nested(DEPTH_MAX as usize - 2), None).is_ok());
        assert!(refused(&nested(DEPTH_MAX as usize - 1)).contains("nested more than"));
        assert!(refused(&nested(30_000)).contains("nested more than"));
    }

    #[test]
    fn references_cannot_multiply_without_end() {
        let uses = |of: &str| format!("<use href='#{of}'/>").repeat(10);
        let levels: String = (1..8).map(|i| format!("<g id='l{i}'>{}</g>", uses(&format!("l{}", i - 1)))).collect();
        let body = format!("<defs><rect id='l0' width='1' height='1'/>{levels}</defs><use href='#l7'/>");
        assert!(refused(&body).contains("unfolds to more than"));
        assert!(refused("<g id='a'><use href='#b'/></g><g id='b'><use href='#a'/></g>").contains("refers to itself"));

        let rects = |of: &str| format!("<rect width='9' height='9' fill='url( \"#{of}\" )'/>").repeat(10);
        let patterns: String = (1..8)
            .map(|i| format!("<pattern id='p{i}' width='1' height='1'>{}</pattern>", rects(&format!("p{}", i - 1))))
            .collect();
        assert!(refused(&patterns).contains("unfolds to more than"));

        // The same by a style sheet, where any element may refer to any other.
        let classes: String = (1..8).map(|i| format!(".c{i}{{fill:url(#p{})}}", i - 1)).collect();
        let rects = |i: usize| format!("<rect class='c{i}' width='9' height='9'/>").repeat(10);
        let patterns: String =
            (0..8).map(|i| format!("<pattern id='p{i}' width='1' height='1'>{}</pattern>", rects(i))).collect();
        assert!(refused(&format!("<style>{classes}</style>{patterns}")).contains("unfolds to more than"));
    }

    #[test]
    fn a_style_sheet_with_gradients_is_fine() {
        let gradients: String =
            (0..40).map(|i| format!("<linearGradient id='g{i}'><stop stop-color='#0f0'/></linearGradient>")).collect();
        let rules: String = (0..40).map(|i| format!(".c{i}{{fill:url(#g{i})}}")).collect();
        let pixels =
            draw(&format!("<style>{rules}</style>{gradients}<rect class='c3' width='20' height='10'/>"), None).unwrap();
        assert_eq!(pixel(&pixels, 3, 3), [0, 255, 0, 255]);
    }

    #[test]
    fn endless_texts_are_refused() {
        assert!(refused(&format!("<text>{}</text>", "M".repeat(100_000))).contains("unfolds to more than"));
        let uses = "<use href='#t'/>".repeat(300);
        assert!(refused(&format!("<text id='t'>{}</text>{uses}", "M".repeat(400))).contains("unfolds to more than"));
    }

    #[test]
    fn many_layers_of_a_large_picture_are_refused() {
        let layers = "<g opacity='.5'><rect width='20' height='10'/></g>".repeat(100);
        assert!(draw(&layers, None).is_ok());
        let error = draw(&layers, Some([4096, 4096])).unwrap_err().to_string();
        assert!(error.contains("takes too long to draw"), "{error}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Whatever is cut out of or put into a document, it is a picture or an error.
        #[test]
        fn damaged_documents_are_pictures_or_errors(cut in 0usize..400, len in 0usize..40, with in "[<>/'a-z#()= ]{0,6}") {
            let mut text = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 20 10'><defs><linearGradient id='g'><stop \
                offset='.3' stop-color='red'/></linearGradient><clipPath id='c'><circle r='4'/></clipPath></defs><g \
                clip-path='url(#c)' transform='rotate(30)'><path d='M1 1L5 9Q3 4 9 9Z' fill='url(#g)' stroke='blue'/><text \
                y='9'>Text</text><use href='#c'/></g></svg>".to_owned();
            let start = cut.min(text.len());
            text.replace_range(start..(start + len).min(text.len()), &with);
            let _ = rasterise("a.svg", text.as_bytes(), Some([20, 10]), &Fonts::bundled());
        }
    }
}
